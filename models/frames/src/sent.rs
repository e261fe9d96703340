//! What the receiver has of each page through the frames made so far.

use longhaul_hde::{HeldPages, PAGE_SIZE};
use longhaul_memory::bitmap::DirtyBitmap;

use crate::PageView;

/// What the receiver had of a page before a frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Before {
    /// The page.
    pub page: u64,
    /// The version that the receiver had; `None` if it had none. Of a synthetic page it means only that it had one.
    pub version: Option<u32>,
}

/// The pages that the receiver has, and at what version; for synthetic pages, that it has had their length.
#[derive(Debug)]
pub struct Sent {
    pages: DirtyBitmap,
    /// Meaningful for pages that were sent.
    versions: Vec<u32>,
}

impl Sent {
    /// For page numbers below `pages`, of which the receiver has none.
    pub fn new(pages: u64) -> Sent {
        Sent {
            pages: DirtyBitmap::new(pages),
            versions: vec![0; usize::try_from(pages).expect("pages that fit the address space")],
        }
    }

    /// The version of a page that the receiver has; `None` if it has none.
    pub fn version(&self, page: u64) -> Option<u32> {
        self.pages.test(page).then(|| self.versions[page as usize])
    }

    /// The receiver has this version from now on; what it had before.
    pub fn add(&mut self, page: u64, version: u32) -> Before {
        let there = &mut self.versions[page as usize];
        let is_new = self.pages.set(page);
        let before = (!is_new).then_some(*there);
        // Memory of pages that stay at version 0 is not touched.
        if *there != version {
            *there = version;
        }
        Before {
            page,
            version: before,
        }
    }

    /// The receiver has what it had before.
    pub fn take_back(&mut self, before: Before) {
        let Before { page, version } = before;
        match version {
            Some(version) => self.versions[page as usize] = version,
            None => {
                self.pages.clear(page);
            }
        }
    }

    /// The contents of what the receiver has, for an encoder of frames that are decoded in the order in which they are
    /// made: content that the guest has moved or copied is then found wherever it was.
    pub fn held<'a, V: PageView>(&'a self, view: &'a V) -> Held<'a, V> {
        Held { sent: self, view }
    }

    /// The receiver has nothing any more; hands every page that it had to `was_sent`.
    pub fn clear(&mut self, mut was_sent: impl FnMut(u64)) {
        let mut from = 0;
        while let Some(page) = self.pages.take_next(from) {
            was_sent(page);
            from = page + 1;
        }
    }
}

/// The contents of what the receiver has: memory still knows them by their versions.
#[derive(Debug)]
pub struct Held<'a, V> {
    sent: &'a Sent,
    view: &'a V,
}

/// An encoder asks for pages that it was given before, and those it is being given. They are real ones, and a page is real
/// or synthetic for good, so those that the receiver has only as a length are never asked for.
impl<V: PageView> HeldPages for Held<'_, V> {
    fn held_page<'a>(&'a self, number: u64, scratch: &'a mut [u8; PAGE_SIZE]) -> Option<&'a [u8; PAGE_SIZE]> {
        let version = self.sent.version(number)?;
        self.view.read(number, version, scratch);
        Some(scratch)
    }
}
