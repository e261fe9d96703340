//! How long things took: counts by size, exact to 1.6 %.

use std::collections::BTreeMap;

use longhaul_core::time::Span;
use serde::{Deserialize, Serialize};

/// Bits of a value that are kept: buckets are at most 1/64 wide.
const PRECISION: u32 = 6;

/// Counts of spans in buckets whose width grows with the span (as in HDR histograms).
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Histogram {
    /// By the lower end of the bucket, ns.
    counts: BTreeMap<u64, u64>,
    count: u64,
    sum_ns: u128,
    longest: Span,
}

impl Histogram {
    /// Counts one.
    pub fn add(&mut self, span: Span) {
        *self.counts.entry(bucket(span.as_ns())).or_default() += 1;
        self.count += 1;
        self.sum_ns += u128::from(span.as_ns());
        self.longest = self.longest.max(span);
    }

    /// Takes in all of another.
    pub fn merge(&mut self, other: &Histogram) {
        for (bucket, count) in &other.counts {
            *self.counts.entry(*bucket).or_default() += count;
        }
        self.count += other.count;
        self.sum_ns += other.sum_ns;
        self.longest = self.longest.max(other.longest);
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Their mean, exact.
    pub fn mean(&self) -> Option<Span> {
        let mean = self.sum_ns.checked_div(u128::from(self.count))?;
        Some(Span::from_ns(
            u64::try_from(mean).expect("no longer than the longest"),
        ))
    }

    /// The longest, exact.
    pub fn longest(&self) -> Option<Span> {
        (self.count > 0).then_some(self.longest)
    }

    /// The nearest-rank quantile: so many thousandths of the spans are no longer than this, by the upper end of the bucket.
    pub fn quantile_thousandths(&self, thousandths: u64) -> Option<Span> {
        let rank = (u128::from(self.count) * u128::from(thousandths))
            .div_ceil(1_000)
            .max(1);
        let mut seen = 0;
        for bucket in self.counts.keys() {
            seen += u128::from(self.counts[bucket]);
            if seen >= rank {
                return Some(self.longest.min(Span::from_ns(upper_end(*bucket))));
            }
        }
        None
    }
}

fn bucket(ns: u64) -> u64 {
    let bits = u64::BITS - ns.leading_zeros();
    let shift = bits.saturating_sub(PRECISION + 1);
    ns >> shift << shift
}

fn upper_end(bucket: u64) -> u64 {
    let bits = u64::BITS - bucket.leading_zeros();
    bucket + ((1u64 << bits.saturating_sub(PRECISION + 1)) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_within_a_sixtyfourth_and_the_rest_is_exact() {
        let mut histogram = Histogram::default();
        (1..=1_000).for_each(|us| histogram.add(Span::from_us(us)));
        for (thousandths, us) in [(1, 1), (500, 500), (950, 950), (999, 999), (1_000, 1_000)] {
            let found = histogram
                .quantile_thousandths(thousandths)
                .expect("a value")
                .as_ns();
            assert!(
                (us * 1_000..=us * 1_000 * 65 / 64).contains(&found),
                "{found} for {us}"
            );
        }
        assert_eq!(histogram.mean(), Some(Span::from_ns(500_500)));
        assert_eq!(histogram.longest(), Some(Span::from_us(1_000)));
        let mut twice = histogram.clone();
        twice.merge(&histogram);
        assert_eq!((twice.count(), twice.mean()), (2_000, histogram.mean()));
    }

    #[test]
    fn the_ends_of_the_range_are_counted() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.quantile_thousandths(500), None);
        for ns in [0, 1, u64::MAX] {
            histogram.add(Span::from_ns(ns));
        }
        assert_eq!(histogram.quantile_thousandths(1_000), Some(Span::MAX));
        assert_eq!(histogram.quantile_thousandths(1), Some(Span::ZERO));
    }
}
