//! The dirty bitmap: one bit per page, and their number at hand.

/// A set of pages of one guest.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DirtyBitmap {
    words: Vec<u64>,
    pages: u64,
    count: u64,
}

impl DirtyBitmap {
    /// An empty set for a guest of `pages` pages.
    pub fn new(pages: u64) -> DirtyBitmap {
        let words = usize::try_from(pages.div_ceil(64)).expect("a bitmap that fits the address space");
        DirtyBitmap {
            words: vec![0; words],
            pages,
            count: 0,
        }
    }

    /// Pages of the guest, set or not.
    pub fn pages(&self) -> u64 {
        self.pages
    }

    /// How many pages are set.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Whether no page is set.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Sets every page.
    pub fn set_all(&mut self) {
        self.words.fill(u64::MAX);
        if !self.pages.is_multiple_of(64) {
            let last = self.words.last_mut().expect("a partial word is a word");
            *last = (1 << (self.pages % 64)) - 1;
        }
        self.count = self.pages;
    }

    /// Sets a page; whether it was clear.
    ///
    /// # Panics
    /// Like all methods that take a page, if the guest has no such page.
    pub fn set(&mut self, page: u64) -> bool {
        let (word, bit) = self.locate(page);
        let was_clear = self.words[word] & bit == 0;
        self.words[word] |= bit;
        self.count += u64::from(was_clear);
        was_clear
    }

    /// Clears a page; whether it was set.
    pub fn clear(&mut self, page: u64) -> bool {
        let (word, bit) = self.locate(page);
        let was_set = self.words[word] & bit != 0;
        self.words[word] &= !bit;
        self.count -= u64::from(was_set);
        was_set
    }

    /// Whether a page is set.
    pub fn test(&self, page: u64) -> bool {
        let (word, bit) = self.locate(page);
        self.words[word] & bit != 0
    }

    /// The first set page from `from` on, which may be the end.
    pub fn next(&self, from: u64) -> Option<u64> {
        let first = usize::try_from(from / 64).ok()?;
        let words = self.words.get(first..)?;
        for (i, word) in words.iter().enumerate() {
            let wanted = if i == 0 { u64::MAX << (from % 64) } else { u64::MAX };
            if word & wanted != 0 {
                return Some((first + i) as u64 * 64 + u64::from((word & wanted).trailing_zeros()));
            }
        }
        None
    }

    /// The first page from `from` on that is not set; the number of pages if there is none.
    pub fn next_clear(&self, from: u64) -> u64 {
        let first = (from / 64) as usize;
        for (i, word) in self.words.iter().enumerate().skip(first) {
            let wanted = if i == first {
                u64::MAX << (from % 64)
            } else {
                u64::MAX
            };
            if !word & wanted != 0 {
                return (i as u64 * 64 + u64::from((!word & wanted).trailing_zeros())).min(self.pages);
            }
        }
        self.pages
    }

    /// Whether a page is set; a page that the guest does not have is not.
    pub fn contains(&self, page: u64) -> bool {
        page < self.pages && self.test(page)
    }

    /// Takes out the first set page from `from` on. Going on from the page after it visits all in order.
    pub fn take_next(&mut self, from: u64) -> Option<u64> {
        let page = self.next(from)?;
        self.clear(page);
        Some(page)
    }

    /// Moves all pages of `other` into this set and leaves `other` empty; returns how many are new here.
    ///
    /// # Panics
    /// If the two belong to guests of different size.
    pub fn absorb(&mut self, other: &mut DirtyBitmap) -> u64 {
        assert_eq!(self.pages, other.pages, "bitmaps of guests of different size");
        let before = self.count;
        for (word, moved) in self.words.iter_mut().zip(&mut other.words) {
            self.count += u64::from((*moved & !*word).count_ones());
            *word |= *moved;
            *moved = 0;
        }
        other.count = 0;
        self.count - before
    }

    /// Moves all pages of `other`, the bitmap of a part that begins at page `base` of this one, into this set and
    /// leaves `other` empty; returns how many are new here.
    ///
    /// # Panics
    /// If `base` is not a multiple of 64, or the part reaches beyond this bitmap.
    pub fn absorb_at(&mut self, base: u64, other: &mut DirtyBitmap) -> u64 {
        let before = self.count;
        let first = self.first_word(base, other);
        for (word, moved) in self.words[first..].iter_mut().zip(&mut other.words) {
            self.count += u64::from((*moved & !*word).count_ones());
            *word |= *moved;
            *moved = 0;
        }
        other.count = 0;
        self.count - before
    }

    /// How many pages are set both here and in `other`, the bitmap of a part that begins at page `base` of this one.
    ///
    /// # Panics
    /// Like [`DirtyBitmap::absorb_at`].
    pub fn common_at(&self, base: u64, other: &DirtyBitmap) -> u64 {
        let words = self.words[self.first_word(base, other)..].iter();
        words
            .zip(&other.words)
            .map(|(here, there)| u64::from((here & there).count_ones()))
            .sum()
    }

    fn first_word(&self, base: u64, part: &DirtyBitmap) -> usize {
        assert!(
            base.is_multiple_of(64),
            "a part begins at a whole word, not at page {base}"
        );
        let end = base.checked_add(part.pages);
        assert!(
            end.is_some_and(|end| end <= self.pages),
            "a part of {} pages at {base} of {}",
            part.pages,
            self.pages
        );
        (base / 64) as usize
    }

    fn locate(&self, page: u64) -> (usize, u64) {
        assert!(page < self.pages, "page {page} of {}", self.pages);
        ((page / 64) as usize, 1 << (page % 64))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn the_bitmap_is_an_ordered_set(
            pages in 1u64..300,
            steps in proptest::collection::vec((0u8..4, any::<u64>()), 0..200),
        ) {
            let mut bitmap = DirtyBitmap::new(pages);
            let mut set = BTreeSet::new();
            for (what, page) in steps {
                let page = page % pages;
                match what {
                    0 => prop_assert_eq!(bitmap.set(page), set.insert(page)),
                    1 => prop_assert_eq!(bitmap.clear(page), set.remove(&page)),
                    2 => {
                        prop_assert_eq!(bitmap.test(page), set.contains(&page));
                        let clear = (page..).find(|page| !set.contains(page)).unwrap_or(pages);
                        prop_assert_eq!(bitmap.next_clear(page), clear.min(pages));
                    }
                    _ => {
                        let next = set.range(page..).next().copied();
                        prop_assert_eq!(bitmap.take_next(page), next);
                        next.map(|next| set.remove(&next));
                    }
                }
                prop_assert_eq!(bitmap.count(), set.len() as u64);
            }
            let mut left = Vec::new();
            let mut cursor = 0;
            while let Some(page) = bitmap.take_next(cursor) {
                left.push(page);
                cursor = page + 1;
            }
            prop_assert!(bitmap.is_empty());
            prop_assert_eq!(left, set.into_iter().collect::<Vec<_>>());
        }
    }

    #[test]
    fn setting_all_sets_the_pages_and_nothing_beyond() {
        for pages in [0, 1, 63, 64, 65, 1000] {
            let mut bitmap = DirtyBitmap::new(pages);
            bitmap.set_all();
            let mut cursor = 0;
            while let Some(page) = bitmap.take_next(cursor) {
                assert_eq!(page, cursor);
                cursor = page + 1;
            }
            assert_eq!((cursor, bitmap.count()), (pages, 0));
            assert!(!bitmap.contains(pages));
            assert_eq!(bitmap.next(u64::MAX), None);
        }
    }

    #[test]
    fn absorbing_counts_only_what_is_new() {
        let (mut all, mut log) = (DirtyBitmap::new(100), DirtyBitmap::new(100));
        all.set(3);
        for page in [3, 64, 99] {
            log.set(page);
        }
        assert_eq!(all.absorb(&mut log), 2);
        assert_eq!((all.count(), log.count()), (3, 0));
        assert!(all.test(64) && !log.test(64));
    }

    #[test]
    fn a_part_is_absorbed_where_it_begins() {
        let (mut all, mut part) = (DirtyBitmap::new(300), DirtyBitmap::new(100));
        for page in [0, 63, 99] {
            part.set(page);
        }
        all.set(128);
        all.set(5);
        assert_eq!((all.common_at(128, &part), all.common_at(64, &part)), (1, 0));
        assert_eq!(all.absorb_at(128, &mut part), 2);
        assert_eq!((all.count(), part.count()), (4, 0));
        assert!(all.test(128) && all.test(191) && all.test(227) && all.test(5));
    }

    #[test]
    #[should_panic(expected = "a part of 100 pages at 256 of 300")]
    fn a_part_that_reaches_beyond_is_a_broken_invariant() {
        DirtyBitmap::new(300).absorb_at(256, &mut DirtyBitmap::new(100));
    }

    #[test]
    #[should_panic(expected = "page 65 of 65")]
    fn a_page_beyond_the_guest_is_a_broken_invariant() {
        DirtyBitmap::new(65).set(65);
    }
}
