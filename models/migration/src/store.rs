//! The destination's memory.

use longhaul_hde::{PAGE_SIZE, PageStore, is_zero};

use crate::message::{RealPages, RealPagesHasher};

type Page = [u8; PAGE_SIZE];

static ZERO_PAGE: Page = [0; PAGE_SIZE];

/// What the destination knows of a page.
#[derive(Clone, Debug, Default)]
enum Content {
    #[default]
    Missing,
    /// Real bytes, all zero.
    Zero,
    Real(Box<Page>),
    /// It came as a length.
    Synthetic,
}

/// The pages of one guest, as far as they have come. Zero and synthetic pages take no room.
#[derive(Debug)]
pub(crate) struct Store {
    pages: Vec<Content>,
}

impl Store {
    /// A guest of `pages` pages, none of which has come.
    pub fn new(pages: u64) -> Store {
        let pages = usize::try_from(pages).expect("pages that fit the address space");
        Store {
            pages: vec![Content::Missing; pages],
        }
    }

    pub fn pages(&self) -> u64 {
        self.pages.len() as u64
    }

    /// A page came as a length.
    pub fn install_synthetic(&mut self, number: u64) {
        self.pages[number as usize] = Content::Synthetic;
    }

    /// Pages that have not come.
    pub fn missing_pages(&self) -> u64 {
        self.pages
            .iter()
            .filter(|page| matches!(page, Content::Missing))
            .count() as u64
    }

    /// Number and hash of the real pages.
    pub fn hash_real_pages(&self) -> RealPages {
        let mut hasher = RealPagesHasher::default();
        for number in 0..self.pages() {
            if let Some(content) = self.page(number) {
                hasher.add(number, content);
            }
        }
        hasher.finish()
    }

    /// Drops all contents.
    pub fn clear(&mut self) {
        self.pages = Vec::new();
    }
}

impl PageStore for Store {
    fn page(&self, number: u64) -> Option<&Page> {
        match self.pages.get(usize::try_from(number).ok()?)? {
            Content::Zero => Some(&ZERO_PAGE),
            Content::Real(content) => Some(content),
            Content::Missing | Content::Synthetic => None,
        }
    }

    fn install(&mut self, number: u64, content: &Page) {
        match &mut self.pages[number as usize] {
            page if is_zero(content) => *page = Content::Zero,
            Content::Real(there) => **there = *content,
            page => *page = Content::Real(Box::new(*content)),
        }
    }
}
