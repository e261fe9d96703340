//! The rolling digest of a run: two runs that did the same things in the same order have the same digest.
//!
//! Every step is a bijection of the state for a given word, so two runs that have once differed cannot meet
//! again by absorbing equal words. It detects differences; it does not resist an adversary.

use serde::{Deserialize, Serialize};

use crate::time::Instant;

/// Odd, with bits spread evenly (the golden ratio in 64 bits).
const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;

/// 64 bits that stand for everything mixed so far.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Digest(u64);

impl Digest {
    /// The digest of nothing.
    #[inline]
    pub const fn new() -> Digest {
        Digest(0x6c6f_6e67_6861_756c) // "longhaul"
    }

    /// Absorbs one word.
    #[inline]
    pub fn mix(&mut self, word: u64) {
        let mixed = (self.0 ^ word).wrapping_mul(MULTIPLIER);
        self.0 = mixed ^ (mixed >> 29);
    }

    /// Absorbs bytes, with their length.
    #[inline]
    pub fn mix_bytes(&mut self, bytes: &[u8]) {
        self.mix(bytes.len() as u64);
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.mix(u64::from_le_bytes(word));
        }
    }

    /// The digest so far.
    #[inline]
    pub const fn value(self) -> u64 {
        self.0
    }
}

impl Default for Digest {
    fn default() -> Digest {
        Digest::new()
    }
}

/// Sixteen hexadecimal digits.
impl std::fmt::Display for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// The digest after a number of events; two lists of them enclose the first difference of two runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Checkpoint {
    /// Events executed so far.
    pub events: u64,
    /// Time of the last of them.
    pub at: Instant,
    /// The digest after it.
    pub digest: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(words: &[u64]) -> u64 {
        let mut digest = Digest::new();
        words.iter().for_each(|&word| digest.mix(word));
        digest.value()
    }

    #[test]
    fn order_number_and_content_matter() {
        assert_ne!(of(&[1, 2]), of(&[2, 1]));
        assert_ne!(of(&[0]), of(&[0, 0]));
        assert_ne!(of(&[1]), of(&[2]));
    }

    #[test]
    fn bytes_are_absorbed_with_their_length() {
        let of_bytes = |bytes: &[u8]| {
            let mut digest = Digest::new();
            digest.mix_bytes(bytes);
            digest.value()
        };
        assert_ne!(of_bytes(&[1]), of_bytes(&[1, 0]));
        assert_ne!(of_bytes(&[]), Digest::new().value());
    }

    #[test]
    fn runs_that_differed_once_never_meet_again() {
        let (mut left, mut right) = (Digest::new(), Digest::new());
        left.mix(1);
        right.mix(2);
        for word in 0..100_000 {
            left.mix(word);
            right.mix(word);
            assert_ne!(left, right);
        }
    }
}
