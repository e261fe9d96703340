//! What encoding and decoding cost in processor time, as a model that a simulation can charge.
//!
//! The encoder and the decoder count the bytes that go through each of their stages ([`EncodeWork`],
//! [`DecodeWork`]); a [`CostModel`] says how many bytes per second one core takes through each. Time follows by
//! integer arithmetic alone, so that it is the same on every computer. The defaults were measured by
//! `cargo bench -p longhaul-hde`, which ends with a cost model of the computer that it ran on.

use std::num::NonZeroU64;
use std::ops::{Add, AddAssign};

use serde::{Deserialize, Serialize};

const NS_PER_S: u128 = 1_000_000_000;

/// Bytes that went through the stages of the encoder.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct EncodeWork {
    /// Frames.
    pub frames: u64,
    /// Bytes of pages tested for being all zero: every page.
    pub scanned: u64,
    /// Bytes of pages hashed: every page that is not zero.
    pub hashed: u64,
    /// Bytes of pages compared with their baselines.
    pub compared: u64,
    /// Bytes searched for content that the receiver holds elsewhere, and entered into the index of such content.
    pub searched: u64,
    /// Bytes handed to the entropy coder, the context that it looks back to included.
    pub entropy: u64,
}

/// Bytes that went through the stages of the decoder.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct DecodeWork {
    /// Frames.
    pub frames: u64,
    /// Bytes that came out of the entropy decoder.
    pub entropy: u64,
    /// Bytes of pages rebuilt and installed: every page.
    pub rebuilt: u64,
    /// Bytes of pages hashed: every page that is not zero.
    pub hashed: u64,
}

impl Add for EncodeWork {
    type Output = EncodeWork;

    fn add(self, other: EncodeWork) -> EncodeWork {
        EncodeWork {
            frames: self.frames + other.frames,
            scanned: self.scanned + other.scanned,
            hashed: self.hashed + other.hashed,
            compared: self.compared + other.compared,
            searched: self.searched + other.searched,
            entropy: self.entropy + other.entropy,
        }
    }
}

impl AddAssign for EncodeWork {
    fn add_assign(&mut self, other: EncodeWork) {
        *self = *self + other;
    }
}

impl Add for DecodeWork {
    type Output = DecodeWork;

    fn add(self, other: DecodeWork) -> DecodeWork {
        DecodeWork {
            frames: self.frames + other.frames,
            entropy: self.entropy + other.entropy,
            rebuilt: self.rebuilt + other.rebuilt,
            hashed: self.hashed + other.hashed,
        }
    }
}

impl AddAssign for DecodeWork {
    fn add_assign(&mut self, other: DecodeWork) {
        *self = *self + other;
    }
}

/// How fast one core takes bytes through the stages of the codec.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct CostModel {
    /// Encoding.
    pub encode: EncodeCost,
    /// Decoding.
    pub decode: DecodeCost,
}

/// Speeds of the encoder's stages, in bytes per second per core; each belongs to the field of [`EncodeWork`] of
/// the same name.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct EncodeCost {
    /// Nanoseconds per frame, whatever is in it.
    pub frame_ns: u64,
    /// Testing for zeros.
    pub scan: NonZeroU64,
    /// Hashing.
    pub hash: NonZeroU64,
    /// Comparing with baselines.
    pub compare: NonZeroU64,
    /// Searching for similar content and indexing it.
    pub search: NonZeroU64,
    /// Entropy coding.
    pub entropy: NonZeroU64,
}

/// Speeds of the decoder's stages, in bytes per second per core; each belongs to the field of [`DecodeWork`] of
/// the same name.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct DecodeCost {
    /// Nanoseconds per frame, whatever is in it.
    pub frame_ns: u64,
    /// Entropy decoding.
    pub entropy: NonZeroU64,
    /// Rebuilding and installing pages.
    pub rebuild: NonZeroU64,
    /// Hashing.
    pub hash: NonZeroU64,
}

impl CostModel {
    /// Nanoseconds that one core takes to encode, every stage rounded up; at most `u64::MAX`.
    pub fn encode_time(&self, work: &EncodeWork) -> u64 {
        let cost = &self.encode;
        total_ns(
            (work.frames, cost.frame_ns),
            &[
                (work.scanned, cost.scan),
                (work.hashed, cost.hash),
                (work.compared, cost.compare),
                (work.searched, cost.search),
                (work.entropy, cost.entropy),
            ],
        )
    }

    /// Nanoseconds that one core takes to decode, every stage rounded up; at most `u64::MAX`.
    pub fn decode_time(&self, work: &DecodeWork) -> u64 {
        let cost = &self.decode;
        total_ns(
            (work.frames, cost.frame_ns),
            &[
                (work.entropy, cost.entropy),
                (work.rebuilt, cost.rebuild),
                (work.hashed, cost.hash),
            ],
        )
    }

    /// What was measured at a zstd level, `None` for bodies that are stored as they are, on one core of a server
    /// of 2023 (Intel Xeon, Sapphire Rapids, 2.1 GHz). Levels between those measured cost what the next lower one
    /// does.
    pub fn measured(level: Option<i32>) -> CostModel {
        let mega = |rate: u64| NonZeroU64::new(rate * 1_000_000).expect("a rate above zero");
        let (encode_entropy, decode_entropy) = match level {
            None => (10_000, 10_000),
            Some(..=2) => (250, 900),
            Some(3..=5) => (170, 900),
            Some(6..=8) => (60, 900),
            Some(9..=15) => (35, 900),
            Some(_) => (3, 800),
        };
        CostModel {
            encode: EncodeCost {
                frame_ns: 20_000,
                scan: mega(12_000),
                hash: mega(9_000),
                compare: mega(6_000),
                search: mega(500),
                entropy: mega(encode_entropy),
            },
            decode: DecodeCost {
                frame_ns: 5_000,
                entropy: mega(decode_entropy),
                rebuild: mega(5_000),
                hash: mega(9_000),
            },
        }
    }
}

/// Every stage is rounded up on its own.
fn total_ns((frames, frame_ns): (u64, u64), stages: &[(u64, NonZeroU64)]) -> u64 {
    let fixed = u128::from(frames) * u128::from(frame_ns);
    let ns = stages.iter().fold(fixed, |ns, (bytes, rate)| {
        ns.saturating_add((u128::from(*bytes) * NS_PER_S).div_ceil(u128::from(rate.get())))
    });
    u64::try_from(ns).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn per_s(rate: u64) -> NonZeroU64 {
        NonZeroU64::new(rate).unwrap()
    }

    fn model() -> CostModel {
        CostModel {
            encode: EncodeCost {
                frame_ns: 7,
                scan: per_s(1_000_000_000),
                hash: per_s(500_000_000),
                compare: per_s(250_000_000),
                search: per_s(3_000_000_000),
                entropy: per_s(100_000_000),
            },
            decode: DecodeCost {
                frame_ns: 11,
                entropy: per_s(1_000_000_000),
                rebuild: per_s(2_000_000_000),
                hash: per_s(500_000_000),
            },
        }
    }

    #[test]
    fn every_stage_costs_its_bytes_over_its_speed() {
        let none = EncodeWork::default();
        let cases = [
            (EncodeWork { frames: 3, ..none }, 21),
            (
                EncodeWork {
                    scanned: 1000,
                    ..none
                },
                1000,
            ),
            (EncodeWork { hashed: 1000, ..none }, 2000),
            (
                EncodeWork {
                    compared: 1000,
                    ..none
                },
                4000,
            ),
            (
                EncodeWork {
                    searched: 3000,
                    ..none
                },
                1000,
            ),
            (
                EncodeWork {
                    entropy: 1000,
                    ..none
                },
                10_000,
            ),
        ];
        let mut whole = none;
        for (work, ns) in cases {
            assert_eq!(model().encode_time(&work), ns, "{work:?}");
            whole += work;
        }
        assert_eq!(model().encode_time(&whole), 18_021);
        let work = DecodeWork {
            frames: 1,
            entropy: 100,
            rebuilt: 200,
            hashed: 300,
        };
        assert_eq!(model().decode_time(&work), 11 + 100 + 100 + 600);
    }

    #[test]
    fn every_stage_is_rounded_up() {
        let work = EncodeWork {
            searched: 4,
            scanned: 5,
            ..EncodeWork::default()
        };
        assert_eq!(model().encode_time(&work), 2 + 5);
    }

    #[test]
    fn the_largest_work_at_the_lowest_speed_saturates() {
        let mut slow = model();
        slow.encode.entropy = per_s(1);
        slow.encode.frame_ns = u64::MAX;
        let work = EncodeWork {
            frames: u64::MAX,
            entropy: u64::MAX,
            ..EncodeWork::default()
        };
        assert_eq!(slow.encode_time(&work), u64::MAX);
    }

    #[test]
    fn higher_levels_never_cost_less() {
        let rates: Vec<u64> = (1..=19)
            .map(|level| CostModel::measured(Some(level)).encode.entropy.get())
            .collect();
        assert!(rates.is_sorted_by(|a, b| a >= b), "{rates:?}");
        assert!(CostModel::measured(None).encode.entropy.get() > rates[0]);
    }
}
