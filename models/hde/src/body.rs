//! What the body of a frame consists of, and the two hashes that tie it to page contents.
//!
//! A body is four columns, one after the other: a class byte per page; references of duplicates (varints); XOR
//! pages of deltas; literal pages. Like lies beside like, which is what the compressor wants.

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::{Xxh3, xxh3_128};

use crate::PAGE_SIZE;

/// Class of a page, as written in the class column.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(crate) enum Class {
    /// All bytes zero; no data.
    Zero = 0,
    /// Equal to a page of the receiver's store as it was before this frame. Reference: that page's number
    /// minus this page's, signed.
    DuplicateInStore = 1,
    /// Equal to an earlier page of this frame. Reference: how many places earlier, at least 1.
    DuplicateInFrame = 2,
    /// A page of XOR against the receiver's content of the same page before this frame.
    Delta = 3,
    /// The page itself.
    Literal = 4,
}

impl Class {
    pub(crate) fn from_code(code: u8) -> Option<Class> {
        [
            Class::Zero,
            Class::DuplicateInStore,
            Class::DuplicateInFrame,
            Class::Delta,
            Class::Literal,
        ]
        .get(usize::from(code))
        .copied()
    }
}

/// How many pages travelled in which class.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct ClassCounts {
    /// Pages of zeros.
    pub zero: u64,
    /// References to pages that the receiver has, from earlier frames or earlier in the same one.
    pub duplicate: u64,
    /// XOR with the receiver's content.
    pub delta: u64,
    /// Whole pages.
    pub literal: u64,
}

impl ClassCounts {
    /// Pages of all classes.
    pub fn total(&self) -> u64 {
        self.zero + self.duplicate + self.delta + self.literal
    }

    pub(crate) fn count(&mut self, class: Class) {
        match class {
            Class::Zero => self.zero += 1,
            Class::DuplicateInStore | Class::DuplicateInFrame => self.duplicate += 1,
            Class::Delta => self.delta += 1,
            Class::Literal => self.literal += 1,
        }
    }

    pub(crate) fn add(&mut self, other: &ClassCounts) {
        self.zero += other.zero;
        self.duplicate += other.duplicate;
        self.delta += other.delta;
        self.literal += other.literal;
    }
}

/// What stands for the hash of a page of zeros, the commonest page of all: no need to look at it twice.
pub(crate) const ZERO_HASH: u128 = 0;

/// Hash of a page's content.
pub(crate) fn content_hash(page: &[u8; PAGE_SIZE]) -> u128 {
    xxh3_128(page)
}

/// Both hashes of a frame, fed page by page in order. They are built from content hashes, which the encoder
/// needs anyway for its index, so every page is hashed once.
#[derive(Default)]
pub(crate) struct FrameHashes {
    result: Xxh3,
    baseline: Xxh3,
}

impl FrameHashes {
    /// Page `number` results in content of hash `content`.
    pub(crate) fn result(&mut self, number: u64, content: u128) {
        self.result.update(&number.to_le_bytes());
        self.result.update(&content.to_le_bytes());
    }

    /// The frame takes content of hash `content` from the receiver's store.
    pub(crate) fn baseline(&mut self, content: u128) {
        self.baseline.update(&content.to_le_bytes());
    }

    pub(crate) fn result_hash(&self) -> u128 {
        self.result.digest128()
    }

    pub(crate) fn baseline_hash(&self) -> u64 {
        self.baseline.digest()
    }
}
