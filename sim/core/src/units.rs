//! Rates, sizes and probabilities: integers that cannot be confused with each other.

use std::ops::{Add, AddAssign};

use serde::{Deserialize, Serialize};

use crate::time::Span;

/// A rate in bits per second.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BitRate(u64);

/// A size in bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ByteSize(u64);

/// A probability in [0, 1], as whole parts of 10^12, so that every percentage with up to ten decimals is
/// exact and none lies outside the interval.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(try_from = "u64", into = "u64")]
pub struct Probability(u64);

impl BitRate {
    /// A rate of `bits` bits per second.
    #[inline]
    pub const fn from_bits_per_s(bits: u64) -> BitRate {
        BitRate(bits)
    }

    /// Bits per second.
    #[inline]
    pub const fn as_bits_per_s(self) -> u64 {
        self.0
    }

    /// The rate at which `bytes` pass in `span`, rounded down; `None` for an empty span.
    #[inline]
    pub fn of(bytes: u64, span: Span) -> Option<BitRate> {
        let bits = u128::from(bytes) * 8 * 1_000_000_000;
        let rate = bits.checked_div(u128::from(span.as_ns()))?;
        Some(BitRate(u64::try_from(rate).unwrap_or(u64::MAX)))
    }

    /// The time that `bytes` take at this rate, rounded up to a whole nanosecond; [`Span::MAX`] at rate 0.
    #[inline]
    pub fn time_for(self, bytes: u64) -> Span {
        if self.0 == 0 {
            return Span::MAX;
        }
        let ns = (u128::from(bytes) * 8 * 1_000_000_000).div_ceil(u128::from(self.0));
        Span::from_ns(u64::try_from(ns).unwrap_or(u64::MAX))
    }

    /// Whole bytes that pass in `span` at this rate.
    #[inline]
    pub fn bytes_in(self, span: Span) -> u64 {
        let bytes = u128::from(self.0) * u128::from(span.as_ns()) / 8_000_000_000;
        u64::try_from(bytes).unwrap_or(u64::MAX)
    }
}

impl ByteSize {
    /// A size of `bytes` bytes.
    #[inline]
    pub const fn from_bytes(bytes: u64) -> ByteSize {
        ByteSize(bytes)
    }

    /// A size of `kib` × 1024 bytes.
    #[inline]
    pub const fn from_kib(kib: u64) -> ByteSize {
        ByteSize(kib << 10)
    }

    /// A size of `mib` × 1024² bytes.
    #[inline]
    pub const fn from_mib(mib: u64) -> ByteSize {
        ByteSize(mib << 20)
    }

    /// Size in bytes.
    #[inline]
    pub const fn as_bytes(self) -> u64 {
        self.0
    }
}

impl Add for ByteSize {
    type Output = ByteSize;
    #[inline]
    fn add(self, other: ByteSize) -> ByteSize {
        ByteSize(self.0.checked_add(other.0).expect("a size left its range"))
    }
}

impl AddAssign for ByteSize {
    #[inline]
    fn add_assign(&mut self, other: ByteSize) {
        *self = *self + other;
    }
}

impl Probability {
    /// Parts that make up certainty.
    pub const PARTS: u64 = 1_000_000_000_000;
    /// Never.
    pub const ZERO: Probability = Probability(0);
    /// Always.
    pub const ONE: Probability = Probability(Probability::PARTS);

    /// `parts` of 10^12, or `None` above one.
    #[inline]
    pub const fn from_parts(parts: u64) -> Option<Probability> {
        if parts <= Probability::PARTS {
            Some(Probability(parts))
        } else {
            None
        }
    }

    /// `numerator / denominator` rounded to the nearest part, or `None` above one or for a zero denominator.
    #[inline]
    pub fn from_ratio(numerator: u64, denominator: u64) -> Option<Probability> {
        if denominator == 0 {
            return None;
        }
        let denominator = u128::from(denominator);
        let parts = (u128::from(numerator) * u128::from(Probability::PARTS) + denominator / 2) / denominator;
        u64::try_from(parts).ok().and_then(Probability::from_parts)
    }

    /// Parts of 10^12.
    #[inline]
    pub const fn as_parts(self) -> u64 {
        self.0
    }

    /// The probability as a double, for display and statistics only.
    #[inline]
    pub fn as_f64(self) -> f64 {
        self.0 as f64 / Probability::PARTS as f64
    }
}

impl TryFrom<u64> for Probability {
    type Error = &'static str;
    fn try_from(parts: u64) -> Result<Probability, &'static str> {
        Probability::from_parts(parts).ok_or("a probability above one")
    }
}

impl From<Probability> for u64 {
    fn from(probability: Probability) -> u64 {
        probability.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_frame_takes_its_textbook_time() {
        assert_eq!(
            BitRate::from_bits_per_s(100_000_000).time_for(1514),
            Span::from_ns(121_120)
        );
        assert_eq!(BitRate::from_bits_per_s(0).time_for(1), Span::MAX);
        assert_eq!(
            BitRate::from_bits_per_s(3).time_for(1),
            Span::from_ns(2_666_666_667)
        );
    }

    #[test]
    fn rate_and_time_are_inverse() {
        let rate = BitRate::from_bits_per_s(8_000);
        assert_eq!(BitRate::of(1_000, Span::from_s(1)), Some(rate));
        assert_eq!(rate.bytes_in(Span::from_ms(500)), 500);
        assert_eq!(BitRate::of(1, Span::ZERO), None);
    }

    #[test]
    fn a_probability_cannot_leave_the_unit_interval() {
        assert_eq!(Probability::from_parts(Probability::PARTS + 1), None);
        assert_eq!(Probability::from_ratio(3, 2), None);
        assert_eq!(Probability::from_ratio(1, 0), None);
        assert_eq!(
            Probability::from_ratio(1, 1000).unwrap().as_parts(),
            1_000_000_000
        );
    }
}
