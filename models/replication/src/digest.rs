//! The hash of a whole memory that follows its changes.
//!
//! Two levels: the BLAKE3 hashes of the pages of an extent are hashed together, and so are the hashes of the extents.
//! A changed page costs its own hash and that of its extent, however large the memory is. Only pages that travel as
//! real bytes are in it; an extent says which of its pages are.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use longhaul_frames::EXTENT_PAGES;
use longhaul_hde::{PAGE_SIZE, is_zero};
use serde::{Deserialize, Serialize};

/// A BLAKE3 hash.
pub(crate) type Hash = [u8; 32];

/// The real pages of a memory: how many there are, and the hash over number and content of each.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct Fingerprint {
    /// Pages that travelled as real bytes.
    pub pages: u64,
    /// Their hash.
    pub hash: [u8; 32],
}

static ZERO_PAGE: LazyLock<Hash> = LazyLock::new(|| *blake3::hash(&[0; PAGE_SIZE]).as_bytes());

/// Hash of a page's content.
pub(crate) fn page_hash(content: &[u8; PAGE_SIZE]) -> Hash {
    if is_zero(content) {
        *ZERO_PAGE
    } else {
        *blake3::hash(content).as_bytes()
    }
}

/// Hashes of all real pages of a memory.
#[derive(Debug, Default)]
pub(crate) struct MemoryDigest {
    extents: BTreeMap<u64, Extent>,
}

#[derive(Debug)]
struct Extent {
    pages: Box<[Hash; EXTENT_PAGES as usize]>,
    /// Which of them are there.
    present: u64,
    /// Hash of all that; `None` after a change.
    hash: Option<Hash>,
}

impl MemoryDigest {
    /// Page `page` has content of this hash now, or is not among the real pages; returns what was said before.
    pub fn set(&mut self, page: u64, hash: Option<Hash>) -> Option<Hash> {
        let (number, place) = (page / EXTENT_PAGES, (page % EXTENT_PAGES) as usize);
        if hash.is_none() && !self.extents.contains_key(&number) {
            return None;
        }
        let extent = self.extents.entry(number).or_insert_with(|| Extent {
            pages: Box::new([[0; 32]; EXTENT_PAGES as usize]),
            present: 0,
            hash: None,
        });
        let bit = 1 << place;
        let before = (extent.present & bit != 0).then_some(extent.pages[place]);
        if before != hash {
            extent.hash = None;
            extent.pages[place] = hash.unwrap_or_default();
            extent.present = if hash.is_some() {
                extent.present | bit
            } else {
                extent.present & !bit
            };
        }
        before
    }

    /// The whole memory.
    pub fn fingerprint(&mut self) -> Fingerprint {
        let mut root = blake3::Hasher::new();
        let mut pages = 0;
        for (number, extent) in &mut self.extents {
            if extent.present == 0 {
                continue;
            }
            pages += u64::from(extent.present.count_ones());
            let hash = extent.hash.get_or_insert_with(|| {
                let mut hasher = blake3::Hasher::new();
                hasher.update(&extent.present.to_le_bytes());
                hasher.update(extent.pages.as_flattened());
                *hasher.finalize().as_bytes()
            });
            root.update(&number.to_le_bytes());
            root.update(hash);
        }
        Fingerprint {
            pages,
            hash: *root.finalize().as_bytes(),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn digest_of(pages: &BTreeMap<u64, u8>) -> Fingerprint {
        let mut digest = MemoryDigest::default();
        for (&page, &byte) in pages {
            digest.set(page, Some(page_hash(&[byte; PAGE_SIZE])));
        }
        digest.fingerprint()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn a_fingerprint_depends_on_the_memory_and_not_on_its_history(
            steps in prop::collection::vec((0u64..200, prop::option::of(0u8..4)), 1..60),
        ) {
            let (mut digest, mut pages) = (MemoryDigest::default(), BTreeMap::new());
            for (page, byte) in steps {
                let before = digest.set(page, byte.map(|byte| page_hash(&[byte; PAGE_SIZE])));
                let had = match byte {
                    Some(byte) => pages.insert(page, byte),
                    None => pages.remove(&page),
                };
                prop_assert_eq!(before, had.map(|byte| page_hash(&[byte; PAGE_SIZE])));
                prop_assert_eq!(digest.fingerprint(), digest_of(&pages));
            }
        }
    }

    #[test]
    fn every_page_its_content_and_its_place_matter() {
        let base = BTreeMap::from([(1, 1), (70, 2)]);
        let others = [
            BTreeMap::from([(1, 1)]),
            BTreeMap::from([(1, 1), (71, 2)]),
            BTreeMap::from([(1, 1), (70, 3)]),
            BTreeMap::from([(1, 1), (134, 2)]),
            BTreeMap::from([(1, 1), (70, 2), (71, 0)]),
        ];
        for other in others {
            assert_ne!(digest_of(&other).hash, digest_of(&base).hash, "{other:?}");
        }
    }
}
