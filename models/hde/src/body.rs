//! Counts of a frame's pages by class, and the hash that ties a frame to page contents.

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::{Xxh3, xxh3_128};

use crate::PAGE_SIZE;
use crate::plan::Class;

/// How many pages travelled in which class.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct ClassCounts {
    /// Pages of zeros.
    pub zero: u64,
    /// References to pages that the receiver has, from earlier frames, earlier in the same one, or in another image.
    pub duplicate: u64,
    /// Changes against the receiver's content of the same page.
    pub delta: u64,
    /// Put together, at least in part, from content that the receiver has elsewhere.
    pub similar: u64,
    /// Whole pages.
    pub literal: u64,
}

impl ClassCounts {
    /// Pages of all classes.
    pub fn total(&self) -> u64 {
        self.zero + self.duplicate + self.delta + self.similar + self.literal
    }

    pub(crate) fn count(&mut self, class: Class) {
        match class {
            Class::Zero => self.zero += 1,
            Class::DuplicateInStore | Class::DuplicateInFrame | Class::DuplicateOfImage => {
                self.duplicate += 1;
            }
            Class::Delta => self.delta += 1,
            Class::Patched | Class::Assembled => self.similar += 1,
            Class::Literal(_) => self.literal += 1,
        }
    }

    pub(crate) fn add(&mut self, other: &ClassCounts) {
        self.zero += other.zero;
        self.duplicate += other.duplicate;
        self.delta += other.delta;
        self.similar += other.similar;
        self.literal += other.literal;
    }
}

/// What stands for the hash of a page of zeros, the commonest page of all: no need to look at it twice.
pub(crate) const ZERO_HASH: u128 = 0;

/// Hash of a page's content.
pub(crate) fn content_hash(page: &[u8; PAGE_SIZE]) -> u128 {
    xxh3_128(page)
}

/// The result hash of a frame, fed page by page in order. It is built from content hashes, which the encoder needs
/// anyway for its index, so every page is hashed once.
#[derive(Default)]
pub(crate) struct ResultHash(Xxh3);

impl ResultHash {
    /// Page `number` results in content of hash `content`.
    pub(crate) fn add(&mut self, number: u64, content: u128) {
        let mut bytes = [0; 24];
        bytes[..8].copy_from_slice(&number.to_le_bytes());
        bytes[8..].copy_from_slice(&content.to_le_bytes());
        self.0.update(&bytes);
    }

    pub(crate) fn finish(&self) -> u128 {
        self.0.digest128()
    }
}
