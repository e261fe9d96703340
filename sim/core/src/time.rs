//! Virtual time: an instant and a span are different types, both integer nanoseconds.
//!
//! `u64` nanoseconds reach 584 years. Arithmetic that would leave the range panics (a broken invariant);
//! text that names such a quantity is refused where it is read.

use std::ops::{Add, AddAssign, Div, Mul, Sub, SubAssign};

use serde::{Deserialize, Serialize};

/// A point of virtual time, in nanoseconds since the start of the run.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Instant(u64);

/// A length of virtual time, in nanoseconds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Span(u64);

impl Instant {
    /// The start of the run.
    pub const ZERO: Instant = Instant(0);
    /// The end of representable time; used as "never".
    pub const MAX: Instant = Instant(u64::MAX);

    /// The instant `ns` nanoseconds after the start of the run.
    #[inline]
    pub const fn from_ns(ns: u64) -> Instant {
        Instant(ns)
    }

    /// Nanoseconds since the start of the run.
    #[inline]
    pub const fn as_ns(self) -> u64 {
        self.0
    }

    /// The span from `earlier` to `self`, zero if `earlier` is later.
    #[inline]
    pub const fn saturating_since(self, earlier: Instant) -> Span {
        Span(self.0.saturating_sub(earlier.0))
    }

    /// `self + span`, or [`Instant::MAX`] beyond the range.
    #[inline]
    pub const fn saturating_add(self, span: Span) -> Instant {
        Instant(self.0.saturating_add(span.0))
    }
}

impl Span {
    /// No time at all.
    pub const ZERO: Span = Span(0);
    /// The longest representable span.
    pub const MAX: Span = Span(u64::MAX);

    /// A span of `ns` nanoseconds.
    #[inline]
    pub const fn from_ns(ns: u64) -> Span {
        Span(ns)
    }

    /// A span of `us` microseconds.
    #[inline]
    pub const fn from_us(us: u64) -> Span {
        Span(us * 1_000)
    }

    /// A span of `ms` milliseconds.
    #[inline]
    pub const fn from_ms(ms: u64) -> Span {
        Span(ms * 1_000_000)
    }

    /// A span of `s` seconds.
    #[inline]
    pub const fn from_s(s: u64) -> Span {
        Span(s * 1_000_000_000)
    }

    /// Length in nanoseconds.
    #[inline]
    pub const fn as_ns(self) -> u64 {
        self.0
    }

    /// Length in seconds, rounded to a double; for display and statistics only.
    #[inline]
    pub fn as_s_f64(self) -> f64 {
        self.0 as f64 / 1e9
    }

    /// The shorter span `self - other`, zero if `other` is longer.
    #[inline]
    pub const fn saturating_sub(self, other: Span) -> Span {
        Span(self.0.saturating_sub(other.0))
    }

    /// The longer span `self + other`, or [`Span::MAX`] beyond the range.
    #[inline]
    pub const fn saturating_add(self, other: Span) -> Span {
        Span(self.0.saturating_add(other.0))
    }

    /// `self * factor`, or [`Span::MAX`] beyond the range.
    #[inline]
    pub const fn saturating_mul(self, factor: u64) -> Span {
        Span(self.0.saturating_mul(factor))
    }
}

impl Add<Span> for Instant {
    type Output = Instant;
    #[inline]
    fn add(self, span: Span) -> Instant {
        Instant(self.0.checked_add(span.0).expect("virtual time left its range"))
    }
}

impl AddAssign<Span> for Instant {
    #[inline]
    fn add_assign(&mut self, span: Span) {
        *self = *self + span;
    }
}

impl Sub<Span> for Instant {
    type Output = Instant;
    #[inline]
    fn sub(self, span: Span) -> Instant {
        Instant(
            self.0
                .checked_sub(span.0)
                .expect("virtual time before the start of the run"),
        )
    }
}

impl Sub<Instant> for Instant {
    type Output = Span;
    #[inline]
    fn sub(self, earlier: Instant) -> Span {
        Span(self.0.checked_sub(earlier.0).expect("virtual time ran backwards"))
    }
}

impl Add for Span {
    type Output = Span;
    #[inline]
    fn add(self, other: Span) -> Span {
        Span(self.0.checked_add(other.0).expect("a span left its range"))
    }
}

impl AddAssign for Span {
    #[inline]
    fn add_assign(&mut self, other: Span) {
        *self = *self + other;
    }
}

impl Sub for Span {
    type Output = Span;
    #[inline]
    fn sub(self, other: Span) -> Span {
        Span(self.0.checked_sub(other.0).expect("a span below zero"))
    }
}

impl SubAssign for Span {
    #[inline]
    fn sub_assign(&mut self, other: Span) {
        *self = *self - other;
    }
}

impl Mul<u64> for Span {
    type Output = Span;
    #[inline]
    fn mul(self, factor: u64) -> Span {
        Span(self.0.checked_mul(factor).expect("a span left its range"))
    }
}

impl Div<u64> for Span {
    type Output = Span;
    #[inline]
    fn div(self, divisor: u64) -> Span {
        Span(self.0 / divisor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_minus_an_instant_is_a_span() {
        let start = Instant::from_ns(5);
        let end = start + Span::from_ms(80);
        assert_eq!(end - start, Span::from_us(80_000));
        assert_eq!(start.saturating_since(end), Span::ZERO);
    }

    #[test]
    #[should_panic(expected = "virtual time ran backwards")]
    fn time_that_runs_backwards_is_a_broken_invariant() {
        let _ = Instant::ZERO - Instant::from_ns(1);
    }

    #[test]
    #[should_panic(expected = "virtual time left its range")]
    fn time_does_not_wrap() {
        let _ = Instant::MAX + Span::from_ns(1);
    }
}
