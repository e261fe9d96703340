//! The encoder's memory of what the receiver holds: content hash to page number, never stale.

use std::collections::BTreeMap;

/// Which page of the receiver holds which content.
///
/// The two maps are inverse to each other: every remembered page has one content and every remembered content
/// one page. A page that is overwritten takes its old content out of the index.
#[derive(Debug)]
pub(crate) struct DuplicateIndex {
    page_of: BTreeMap<u128, u64>,
    content_of: BTreeMap<u64, u128>,
    capacity: usize,
}

impl DuplicateIndex {
    /// An index that remembers at most `capacity` pages; once full, it takes in new contents only as old ones
    /// are overwritten.
    pub(crate) fn new(capacity: usize) -> DuplicateIndex {
        DuplicateIndex {
            page_of: BTreeMap::new(),
            content_of: BTreeMap::new(),
            capacity,
        }
    }

    /// A page that holds the content of this hash.
    pub(crate) fn find(&self, content: u128) -> Option<u64> {
        self.page_of.get(&content).copied()
    }

    /// The receiver's `page` no longer holds what it held.
    pub(crate) fn forget(&mut self, page: u64) {
        if let Some(content) = self.content_of.remove(&page) {
            self.page_of.remove(&content);
        }
    }

    /// The receiver's `page` now holds the content of this hash.
    pub(crate) fn remember(&mut self, page: u64, content: u128) {
        self.forget(page);
        // The first page with a content stands for all of them: pages that merely refer to it take no room.
        if self.content_of.len() < self.capacity && !self.page_of.contains_key(&content) {
            self.page_of.insert(content, page);
            self.content_of.insert(page, content);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_overwritten_page_is_not_found_by_its_old_content() {
        let mut index = DuplicateIndex::new(8);
        index.remember(1, 100);
        index.remember(2, 100);
        assert_eq!(index.find(100), Some(1));
        index.remember(1, 101);
        assert_eq!(index.find(100), None);
        assert_eq!(index.find(101), Some(1));
        index.forget(1);
        assert_eq!(index.find(101), None);
    }

    #[test]
    fn the_index_stays_within_its_capacity_and_reuses_room() {
        let mut index = DuplicateIndex::new(2);
        for page in 0..10 {
            index.remember(page, u128::from(page) + 100);
        }
        assert_eq!((index.page_of.len(), index.content_of.len()), (2, 2));
        index.remember(1, 200);
        assert_eq!((index.find(200), index.find(101)), (Some(1), None));
    }
}
