//! A histogram of spans whose buckets grow with the value, in the manner of HdrHistogram: fixed size, integers only.
//!
//! A value keeps its seven highest bits. Below 128 ns that is exact; above, a bucket of width 2^s begins at 64 × 2^s
//! or later, so its highest value exceeds its lowest by less than 1/64.

use longhaul_core::time::Span;

/// Bits of a value that its bucket keeps after the highest one.
const KEPT_BITS: u32 = 6;
/// Buckets from one power of two to the next.
const PER_OCTAVE: usize = 1 << KEPT_BITS;
/// Buckets for all of `u64`: the exact ones up to 2 × 64, and 64 for each of the 57 octaves from 2^7 on.
const BUCKETS: usize = PER_OCTAVE * (64 - KEPT_BITS as usize + 1);

/// Counts of spans by their size. About 30 KiB.
pub struct Histogram {
    counts: Vec<u64>,
    total: u64,
}

impl Histogram {
    pub fn new() -> Histogram {
        Histogram {
            counts: vec![0; BUCKETS],
            total: 0,
        }
    }

    pub fn add(&mut self, span: Span) {
        self.counts[bucket(span.as_ns())] += 1;
        self.total += 1;
    }

    /// The percentile by nearest rank: the highest value of the bucket of the `⌈total × percent / 100⌉`-th smallest
    /// value, and how many values lie in buckets above. `None` if it is empty.
    pub fn percentile(&self, percent: u64) -> Option<(Span, u64)> {
        let rank = (u128::from(self.total) * u128::from(percent))
            .div_ceil(100)
            .max(1);
        let mut below = 0;
        for (index, count) in self.counts.iter().enumerate() {
            below += count;
            if u128::from(below) >= rank {
                return Some((Span::from_ns(highest(index)), self.total - below));
            }
        }
        None
    }
}

fn bucket(value: u64) -> usize {
    let shift = value
        .checked_ilog2()
        .map_or(0, |log| log.saturating_sub(KEPT_BITS));
    // At most 127, so it fits any integer.
    let kept = (value >> shift) as usize;
    shift as usize * PER_OCTAVE + kept
}

/// The highest value of a bucket.
fn highest(bucket: usize) -> u64 {
    let shift = (bucket / PER_OCTAVE).saturating_sub(1);
    let kept = (bucket - shift * PER_OCTAVE) as u64;
    (kept << shift) + ((1 << shift) - 1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{ProptestConfig, any, prop_assert, prop_assert_eq, proptest};

    use super::*;

    #[test]
    fn the_buckets_cover_every_value_without_a_hole() {
        assert_eq!((bucket(0), highest(0)), (0, 0));
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
        assert_eq!(highest(BUCKETS - 1), u64::MAX);
        for index in 0..BUCKETS - 1 {
            assert_eq!(bucket(highest(index)), index);
            assert_eq!(bucket(highest(index) + 1), index + 1);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        #[test]
        fn a_percentile_is_never_too_low_and_at_most_a_64th_too_high(
            values in proptest::collection::vec((any::<u64>(), 0..64u32), 1..200),
            percent in 1..=100u64,
        ) {
            let mut values: Vec<u64> = values.into_iter().map(|(value, shift)| value >> shift).collect();
            let mut histogram = Histogram::new();
            for value in &values {
                histogram.add(Span::from_ns(*value));
            }
            values.sort_unstable();
            let exact = values[(values.len() * percent as usize).div_ceil(100) - 1];
            let (found, above) = histogram.percentile(percent).expect("values");
            let found = found.as_ns();
            prop_assert!(found >= exact && found - exact <= exact / 64);
            prop_assert_eq!(above, values.iter().filter(|value| **value > found).count() as u64);
        }
    }

    #[test]
    fn nothing_has_no_percentile() {
        assert_eq!(Histogram::new().percentile(99), None);
    }
}
