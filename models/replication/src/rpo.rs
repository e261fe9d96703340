//! The recovery point: how old the newest complete epoch at the replica is, over time.
//!
//! Its age grows by a second per second and falls whenever an epoch is applied: a sawtooth. Nothing of it is sampled.
//! Between two epochs the age takes every value from its least to its greatest for equally long, so quantiles over
//! time follow exactly from when the epochs were applied and when their snapshots were taken.

use longhaul_core::time::{Instant, Span};
use longhaul_core::units::Probability;

/// When epochs were applied, and how old they were.
#[derive(Clone, Debug, Default)]
pub struct RpoHistory {
    /// When an epoch was applied, and when its snapshot had been taken; in order.
    applied: Vec<(Instant, Instant)>,
}

/// The distribution of the recovery point over a stretch of time.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RpoDistribution {
    /// The least and the greatest age of every tooth, ascending by the least.
    teeth: Vec<(u64, u64)>,
    total: Span,
    unprotected: Span,
}

impl RpoHistory {
    /// An epoch was applied.
    ///
    /// # Panics
    /// If it was applied before the one before it, or before its own snapshot was taken.
    pub fn apply(&mut self, at: Instant, snapshot_at: Instant) {
        assert!(snapshot_at <= at, "an epoch from the future");
        if let Some(&(last, _)) = self.applied.last() {
            assert!(last <= at, "epochs are applied in order");
        }
        self.applied.push((at, snapshot_at));
    }

    /// Epochs applied.
    pub fn epochs(&self) -> u64 {
        self.applied.len() as u64
    }

    /// When the first epoch was applied.
    pub fn first(&self) -> Option<Instant> {
        self.applied.first().map(|(at, _)| *at)
    }

    /// The age of the newest complete epoch at `now`, if there is one by then.
    pub fn age(&self, now: Instant) -> Option<Span> {
        let by_then = self.applied.partition_point(|(at, _)| *at <= now);
        let (_, snapshot_at) = self.applied[..by_then].last()?;
        Some(now - *snapshot_at)
    }

    /// The distribution from one instant to another, the time before the first epoch apart.
    pub fn distribution(&self, from: Instant, to: Instant) -> RpoDistribution {
        let ends = self
            .applied
            .iter()
            .skip(1)
            .map(|(at, _)| *at)
            .chain([Instant::MAX]);
        let mut teeth: Vec<(u64, u64)> = self
            .applied
            .iter()
            .zip(ends)
            .filter_map(|(&(at, snapshot_at), next)| {
                let (begin, end) = (at.max(from), next.min(to));
                (begin < end).then(|| ((begin - snapshot_at).as_ns(), (end - snapshot_at).as_ns()))
            })
            .collect();
        teeth.sort_unstable();
        let total = teeth.iter().map(|(least, greatest)| greatest - least).sum();
        let total = Span::from_ns(total);
        RpoDistribution {
            teeth,
            total,
            unprotected: to.saturating_since(from).saturating_sub(total),
        }
    }
}

impl RpoDistribution {
    /// How long there was a recovery point.
    pub fn total(&self) -> Span {
        self.total
    }

    /// How long there was none, because no epoch was complete.
    pub fn unprotected(&self) -> Span {
        self.unprotected
    }

    /// The greatest age; `None` if there never was a recovery point.
    pub fn max(&self) -> Option<Span> {
        let greatest = self.teeth.iter().map(|(_, greatest)| *greatest).max();
        greatest.map(Span::from_ns)
    }

    /// The mean age over time, rounded down.
    pub fn mean(&self) -> Option<Span> {
        // Twice the area under a tooth: the sum of both ends times their distance. Sums of squares of 64 bits.
        let area = |(least, greatest): &(u64, u64)| {
            (u128::from(*least) + u128::from(*greatest)) * u128::from(greatest - least)
        };
        let twice = self
            .teeth
            .iter()
            .fold(0u128, |sum, tooth| sum.saturating_add(area(tooth)));
        let mean = twice.checked_div(2 * u128::from(self.total.as_ns()))?;
        Some(Span::from_ns(u64::try_from(mean).unwrap_or(u64::MAX)))
    }

    /// The age that is not exceeded for this share of the time: the least such one.
    pub fn quantile(&self, share: Probability) -> Option<Span> {
        let wanted = u128::from(self.total.as_ns()) * u128::from(share.as_parts());
        let wanted = wanted.div_ceil(u128::from(Probability::PARTS));
        // At a bound between teeth more of them begin or end; from one to the next the time below grows by the
        // number of teeth that are open.
        let mut bounds: Vec<(u64, i64)> = self
            .teeth
            .iter()
            .flat_map(|&(least, greatest)| [(least, 1), (greatest, -1)])
            .collect();
        bounds.sort_unstable();
        let (mut below, mut open, mut age) = (0u128, 0i64, bounds.first()?.0);
        for (bound, change) in bounds {
            // Never negative: a tooth begins before it ends.
            let teeth = u128::from(open.unsigned_abs());
            let grows = teeth * u128::from(bound - age);
            if below + grows >= wanted && teeth > 0 {
                let further = (wanted - below).div_ceil(teeth);
                return Some(Span::from_ns(age + further as u64));
            }
            below += grows;
            age = bound;
            open += change;
        }
        Some(Span::from_ns(age))
    }

    /// How long the age was at most this.
    pub fn time_within(&self, age: Span) -> Span {
        let within = |&(least, greatest): &(u64, u64)| age.as_ns().clamp(least, greatest) - least;
        Span::from_ns(self.teeth.iter().map(within).sum())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(s: u64) -> Instant {
        Instant::ZERO + Span::from_s(s)
    }

    fn share(percent: u64) -> Probability {
        Probability::from_ratio(percent, 100).unwrap()
    }

    #[test]
    fn a_regular_sawtooth_is_uniform_between_its_ends() {
        // Every 10 s a snapshot that is applied 2 s later: from 2 to 12 s.
        let mut history = RpoHistory::default();
        for k in 0..10 {
            history.apply(at(10 * k + 2), at(10 * k));
        }
        let distribution = history.distribution(at(0), at(102));
        assert_eq!(distribution.total(), Span::from_s(100));
        assert_eq!(distribution.unprotected(), Span::from_s(2));
        assert_eq!(distribution.max(), Some(Span::from_s(12)));
        assert_eq!(distribution.mean(), Some(Span::from_s(7)));
        for (percent, s) in [(0, 2), (1, 0), (50, 7), (90, 11), (100, 12)] {
            let expected = if percent == 1 {
                Span::from_ms(2_100)
            } else {
                Span::from_s(s)
            };
            assert_eq!(
                distribution.quantile(share(percent)),
                Some(expected),
                "{percent} %"
            );
        }
        assert_eq!(distribution.time_within(Span::from_s(7)), Span::from_s(50));
        assert_eq!(history.age(at(1)), None);
        assert_eq!(history.age(at(11)), Some(Span::from_s(11)));
        assert_eq!(history.age(at(12)), Some(Span::from_s(2)));
    }

    #[test]
    fn an_outage_weighs_as_long_as_it_lasts() {
        let mut history = RpoHistory::default();
        history.apply(at(0), at(0));
        // From 0 to 90 s once, then from 0 to 10 s.
        history.apply(at(90), at(90));
        let distribution = history.distribution(at(0), at(100));
        assert_eq!(distribution.quantile(share(20)), Some(Span::from_s(10)));
        assert_eq!(distribution.quantile(share(60)), Some(Span::from_s(50)));
        assert_eq!(distribution.quantile(share(100)), Some(Span::from_s(90)));
    }

    #[test]
    fn without_an_epoch_there_is_no_recovery_point() {
        let distribution = RpoHistory::default().distribution(at(1), at(5));
        assert_eq!(distribution.unprotected(), Span::from_s(4));
        let none = (
            distribution.max(),
            distribution.mean(),
            distribution.quantile(share(50)),
        );
        assert_eq!(none, (None, None, None));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        #[test]
        fn quantiles_are_those_of_the_ages_at_every_nanosecond(
            epochs in prop::collection::vec((0u64..40, 0u64..60), 1..12),
            percent in 0u64..=100,
            window in (0u64..200, 1u64..300),
        ) {
            let mut history = RpoHistory::default();
            let mut now = 60;
            for (gap, age) in epochs {
                now += gap;
                history.apply(Instant::from_ns(now), Instant::from_ns(now - age));
            }
            let (from, to) = (Instant::from_ns(window.0), Instant::from_ns(window.0 + window.1));
            let distribution = history.distribution(from, to);
            // The age over each nanosecond, by its end.
            let mut ages: Vec<u64> = (from.as_ns()..to.as_ns())
                .filter_map(|ns| history.age(Instant::from_ns(ns)))
                .map(|age| age.as_ns() + 1)
                .collect();
            ages.sort_unstable();
            prop_assert_eq!(distribution.total().as_ns(), ages.len() as u64);
            prop_assert_eq!(distribution.unprotected().as_ns(), window.1 - ages.len() as u64);
            prop_assert_eq!(distribution.max().map(Span::as_ns), ages.last().copied());
            let rank = (ages.len() as u64 * percent).div_ceil(100) as usize;
            let quantile = distribution.quantile(share(percent)).map(Span::as_ns);
            if rank > 0 {
                prop_assert_eq!(quantile, ages.get(rank - 1).copied());
            } else {
                prop_assert_eq!(quantile, ages.first().map(|age| age - 1));
            }
            for limit in [0, 5, 50] {
                let within = ages.iter().filter(|age| **age <= limit).count() as u64;
                prop_assert_eq!(distribution.time_within(Span::from_ns(limit)).as_ns(), within);
            }
            let twice: u64 = ages.iter().map(|age| 2 * age - 1).sum();
            let mean = (!ages.is_empty()).then(|| twice / (2 * ages.len() as u64));
            prop_assert_eq!(distribution.mean().map(Span::as_ns), mean);
        }
    }
}
