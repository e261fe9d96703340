//! The destination's memory.
//!
//! Frames of the bulk lane are decoded one after the other, each on what the ones before have left. Pages that the guest
//! waits for overtake them and are kept beside, so that they change nothing under a frame that was made before.

use std::collections::BTreeMap;

use longhaul_hde::{PAGE_SIZE, PageStore, is_zero};
use longhaul_memory::bitmap::DirtyBitmap;

use crate::wire::data::{RealPages, RealPagesHasher};

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

impl Content {
    fn of(content: &Page) -> Content {
        if is_zero(content) {
            Content::Zero
        } else {
            Content::Real(Box::new(*content))
        }
    }

    fn bytes(&self) -> Option<&Page> {
        match self {
            Content::Zero => Some(&ZERO_PAGE),
            Content::Real(content) => Some(content),
            Content::Missing | Content::Synthetic => None,
        }
    }
}

/// The pages of one guest, as far as they have come. Zero and synthetic pages take no room.
#[derive(Debug)]
pub(crate) struct Store {
    bulk: Vec<Content>,
    overtaking: BTreeMap<u64, Content>,
    /// Pages that are not here as the guest needs them.
    missing: DirtyBitmap,
    /// Pages that have come in frames made after the guest was stopped, as long as the destination does not know that it
    /// was: control messages and bulk may overtake each other.
    early: DirtyBitmap,
    /// Once the guest runs without all its pages: those of which frames made before bring old content.
    outdated: Option<DirtyBitmap>,
}

impl Store {
    /// A guest of `pages` pages, none of which has come.
    pub fn new(pages: u64) -> Store {
        let mut missing = DirtyBitmap::new(pages);
        missing.set_all();
        Store {
            bulk: vec![Content::Missing; usize::try_from(pages).expect("pages that fit the address space")],
            overtaking: BTreeMap::new(),
            missing,
            early: DirtyBitmap::new(pages),
            outdated: None,
        }
    }

    pub fn pages(&self) -> u64 {
        self.missing.pages()
    }

    /// The content of a page that came as real bytes.
    pub fn content(&self, number: u64) -> Option<&Page> {
        match self.overtaking.get(&number) {
            Some(content) => content.bytes(),
            None => self.bulk.get(usize::try_from(number).ok()?)?.bytes(),
        }
    }

    /// Pages that are not here as the guest needs them.
    pub fn missing(&self) -> &DirtyBitmap {
        &self.missing
    }

    /// Pages that are.
    pub fn received(&self) -> DirtyBitmap {
        let mut received = DirtyBitmap::new(self.pages());
        (0..self.pages())
            .filter(|page| !self.missing.test(*page))
            .for_each(|page| {
                received.set(page);
            });
        received
    }

    /// The guest has been stopped while these pages were dirty: what is here of them, and what frames made before will
    /// bring, is old.
    pub fn begin_postcopy(&mut self, dirty: DirtyBitmap) {
        for page in 0..self.pages() {
            if dirty.test(page) && !self.early.test(page) {
                self.missing.set(page);
            }
        }
        self.outdated = Some(dirty);
    }

    /// A page has come in the bulk lane; whether it was missing. `before` is whether its frame was made before the guest
    /// was stopped for post-copy.
    pub fn arrived(&mut self, number: u64, before: bool) -> bool {
        let is_old = before && self.outdated.as_ref().is_some_and(|dirty| dirty.test(number));
        if !before && self.outdated.is_none() {
            self.early.set(number);
        }
        !is_old && self.missing.clear(number)
    }

    /// A page of the bulk lane came as a length.
    pub fn install_synthetic(&mut self, number: u64) {
        self.bulk[number as usize] = Content::Synthetic;
    }

    /// A page has overtaken others, as bytes or as a length; whether it was missing.
    pub fn install_overtaking(&mut self, number: u64, content: Option<&Page>) -> bool {
        let content = content.map_or(Content::Synthetic, Content::of);
        self.overtaking.insert(number, content);
        self.missing.clear(number)
    }

    /// Number and hash of the real pages.
    pub fn hash_real_pages(&self) -> RealPages {
        let mut hasher = RealPagesHasher::default();
        for number in 0..self.pages() {
            if let Some(content) = self.content(number) {
                hasher.add(number, content);
            }
        }
        hasher.finish()
    }

    /// Drops all contents.
    pub fn clear(&mut self) {
        self.bulk = Vec::new();
        self.overtaking = BTreeMap::new();
    }
}

/// The bulk lane's view.
impl PageStore for Store {
    fn page(&self, number: u64) -> Option<&Page> {
        self.bulk.get(usize::try_from(number).ok()?)?.bytes()
    }

    fn install(&mut self, number: u64, content: &Page) {
        match &mut self.bulk[number as usize] {
            Content::Real(there) if !is_zero(content) => **there = *content,
            page => *page = Content::of(content),
        }
    }
}

/// Where a frame that overtakes others is decoded: it has nothing to build on.
#[derive(Default)]
pub(crate) struct Alone(pub Vec<(u64, Box<Page>)>);

impl PageStore for Alone {
    fn page(&self, _: u64) -> Option<&Page> {
        None
    }

    fn install(&mut self, number: u64, content: &Page) {
        self.0.push((number, Box::new(*content)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_overtakes_changes_nothing_under_bulk_frames_and_wins_in_the_end() {
        let mut store = Store::new(3);
        store.install(0, &[1; PAGE_SIZE]);
        assert!(store.arrived(0, true));
        let mut dirty = DirtyBitmap::new(3);
        dirty.set(0);
        store.begin_postcopy(dirty);
        assert_eq!(store.missing().count(), 3);
        assert!(store.install_overtaking(0, Some(&[2; PAGE_SIZE])));
        // A frame made before brings page 0 once more, and page 1.
        store.install(0, &[9; PAGE_SIZE]);
        assert!(!store.arrived(0, true));
        store.install(1, &[3; PAGE_SIZE]);
        assert!(store.arrived(1, true));
        assert_eq!(store.page(0), Some(&[9; PAGE_SIZE]));
        assert_eq!(store.content(0), Some(&[2; PAGE_SIZE]));
        let mut received = DirtyBitmap::new(3);
        received.set(0);
        received.set(1);
        assert_eq!(store.received(), received);
        assert!(store.install_overtaking(2, None));
        assert_eq!((store.missing().count(), store.content(2)), (0, None));
        assert_eq!(store.hash_real_pages().pages, 2);
    }

    #[test]
    fn an_old_copy_does_not_make_a_dirty_page_complete() {
        let mut store = Store::new(2);
        let mut dirty = DirtyBitmap::new(2);
        dirty.set_all();
        store.begin_postcopy(dirty);
        assert!(!store.arrived(0, true));
        assert!(store.arrived(0, false));
        assert!(!store.arrived(1, true) && store.missing().test(1));
    }

    #[test]
    fn a_page_that_comes_before_the_word_that_it_was_dirty_is_not_missing() {
        let mut store = Store::new(2);
        assert!(store.arrived(1, false));
        let mut dirty = DirtyBitmap::new(2);
        dirty.set_all();
        store.begin_postcopy(dirty);
        assert!(store.missing().test(0) && !store.missing().test(1));
    }
}
