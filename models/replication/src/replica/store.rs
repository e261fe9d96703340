//! The replica's pages: those of the newest complete epoch, and beside them those of the next as far as it has come.

use std::collections::BTreeMap;

use longhaul_hde::{PAGE_SIZE, PageStore, is_zero};
use longhaul_memory::bitmap::DirtyBitmap;

use crate::digest::{Fingerprint, MemoryDigest, page_hash};

type Page = [u8; PAGE_SIZE];

static ZERO_PAGE: Page = [0; PAGE_SIZE];

/// Real bytes of a page.
#[derive(Clone, Debug)]
enum Content {
    /// All zero; takes no room.
    Zero,
    Bytes(Box<Page>),
}

impl Content {
    fn page(&self) -> &Page {
        match self {
            Content::Zero => &ZERO_PAGE,
            Content::Bytes(page) => page,
        }
    }
}

/// Some pages of a set.
#[derive(Debug)]
pub(super) struct Pages {
    real: BTreeMap<u64, Content>,
    /// Which pages are in `real`: to compare whole sets of pages at once.
    is_real: DirtyBitmap,
    /// Pages that came as a length.
    is_synthetic: DirtyBitmap,
}

impl Pages {
    /// No page, of numbers below `end`.
    pub fn new(end: u64) -> Pages {
        Pages {
            real: BTreeMap::new(),
            is_real: DirtyBitmap::new(end),
            is_synthetic: DirtyBitmap::new(end),
        }
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.is_real.count() + self.is_synthetic.count()
    }

    /// How many of them are not in `others`.
    pub fn count_beside(&self, others: &Pages) -> u64 {
        let both = [&self.is_real, &self.is_synthetic]
            .map(|here| here.common_at(0, &others.is_real) + here.common_at(0, &others.is_synthetic));
        self.count() - both[0] - both[1]
    }

    pub fn page(&self, number: u64) -> Option<&Page> {
        self.real.get(&number).map(Content::page)
    }

    pub fn install_synthetic(&mut self, number: u64) {
        self.is_synthetic.set(number);
        if self.is_real.clear(number) {
            self.real.remove(&number);
        }
    }

    fn install(&mut self, number: u64, content: &Page) {
        self.is_synthetic.clear(number);
        self.is_real.set(number);
        match self.real.get_mut(&number) {
            Some(Content::Bytes(there)) if !is_zero(content) => **there = *content,
            _ => {
                let content = if is_zero(content) {
                    Content::Zero
                } else {
                    Content::Bytes(Box::new(*content))
                };
                self.real.insert(number, content);
            }
        }
    }

    /// Moves all pages of `other` over those that are here.
    pub fn overlay(&mut self, other: &mut Pages) {
        for number in self.real_but_synthetic_in(other) {
            self.is_real.clear(number);
            self.real.remove(&number);
        }
        while let Some((number, content)) = other.real.pop_first() {
            self.is_synthetic.clear(number);
            self.real.insert(number, content);
        }
        self.is_real.absorb(&mut other.is_real);
        self.is_synthetic.absorb(&mut other.is_synthetic);
    }

    pub fn clear(&mut self) {
        *self = Pages::new(self.is_real.pages());
    }

    /// Tells a digest of `base` that these pages come over it; returns what the digest said before of each, to take it
    /// back.
    pub fn tell(&self, base: &Pages, digest: &mut MemoryDigest) -> Vec<(u64, Option<[u8; 32]>)> {
        let gone = base.real_but_synthetic_in(self).into_iter();
        let gone = gone.map(|number| (number, None));
        let here = self.real.iter();
        let here = here.map(|(&number, content)| (number, Some(page_hash(content.page()))));
        gone.chain(here)
            .map(|(number, hash)| (number, digest.set(number, hash)))
            .collect()
    }

    /// The pages that are real here and synthetic in `other`. An honest source has none.
    fn real_but_synthetic_in(&self, other: &Pages) -> Vec<u64> {
        if self.is_real.common_at(0, &other.is_synthetic) == 0 {
            return Vec::new();
        }
        let numbers = self.real.keys().copied();
        numbers
            .filter(|number| other.is_synthetic.test(*number))
            .collect()
    }

    /// Reads everything once more.
    pub fn fingerprint(&self) -> Fingerprint {
        let mut digest = MemoryDigest::default();
        for (&number, content) in &self.real {
            digest.set(number, Some(page_hash(content.page())));
        }
        digest.fingerprint()
    }
}

/// The pages of the next epoch over those of the newest complete one: what a frame builds on.
pub(super) struct Staged<'a> {
    pub base: &'a Pages,
    pub staging: &'a mut Pages,
}

impl PageStore for Staged<'_> {
    fn page(&self, number: u64) -> Option<&Page> {
        // A frame may refer to any page whatsoever.
        let synthetic = &self.staging.is_synthetic;
        if number >= synthetic.pages() || synthetic.test(number) {
            return None;
        }
        self.staging.page(number).or_else(|| self.base.page(number))
    }

    fn install(&mut self, number: u64, content: &Page) {
        self.staging.install(number, content);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn an_overlay_replaces_what_it_has_and_nothing_else(
            steps in prop::collection::vec((any::<bool>(), 0u64..90, prop::option::of(0u8..3)), 0..80),
        ) {
            let (mut base, mut staging) = (Pages::new(90), Pages::new(90));
            let (mut expected, mut staged) = (BTreeMap::new(), BTreeMap::new());
            let mut digest = MemoryDigest::default();
            for (overlay, page, byte) in steps {
                match byte {
                    Some(byte) => staging.install(page, &[byte; PAGE_SIZE]),
                    None => staging.install_synthetic(page),
                }
                staged.insert(page, byte);
                prop_assert_eq!(staging.count(), staged.len() as u64);
                let beside = staged.keys().filter(|page| !expected.contains_key(*page)).count();
                prop_assert_eq!(staging.count_beside(&base), beside as u64);
                if overlay {
                    let was = digest.fingerprint();
                    let before = staging.tell(&base, &mut digest);
                    for (page, hash) in before.into_iter().rev() {
                        digest.set(page, hash);
                    }
                    prop_assert_eq!(digest.fingerprint(), was);
                    staging.tell(&base, &mut digest);
                    base.overlay(&mut staging);
                    expected.append(&mut staged);
                    prop_assert_eq!(digest.fingerprint(), base.fingerprint());
                }
            }
            prop_assert_eq!(base.count(), expected.len() as u64);
            for page in 0..90 {
                let byte = expected.get(&page).copied().flatten();
                prop_assert_eq!(base.page(page).map(|content| content[0]), byte);
                let over = staged.get(&page).copied().unwrap_or(byte);
                let view = Staged { base: &base, staging: &mut staging };
                prop_assert_eq!(PageStore::page(&view, page).map(|content| content[0]), over);
            }
        }
    }
}
