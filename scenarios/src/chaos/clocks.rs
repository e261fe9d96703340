//! Clocks that are wrong: what a machine's clocks say at any true time, and when they will say something.
//!
//! A machine has two clocks, as Linux has. The *monotonic* one (`CLOCK_MONOTONIC`) times everything: it never steps, but
//! it runs at the wrong speed while its oscillator drifts, and what it has gained by then it keeps. The *wall clock*
//! (`CLOCK_REALTIME`) dates things: it gains with the monotonic one, a skew makes it step, and when a fault ends it is
//! set right at once, as by `chronyc makestep`.
//!
//! All is known before the run begins, so that both directions are exact: times are kept in 10⁻⁹ ns, in which a drift of
//! a billionth leaves no remainder.

use longhaul_chaos::Overlay;
use longhaul_core::time::{Instant, Span};
use longhaul_core::units::BitRate;

use super::Target;

/// Parts of a nanosecond, and a clock that is right gains so many of them in each.
const PARTS: i64 = 1_000_000_000;

/// The clocks of a machine over the whole run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Clocks {
    /// From when on they go at one speed; in order, the first from the beginning.
    stretches: Vec<Stretch>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Stretch {
    from: Instant,
    /// What the monotonic clock says then, in parts of a nanosecond.
    says: u128,
    /// Parts that it gains in each nanosecond, above zero.
    speed: u64,
    /// By how many nanoseconds the wall clock is ahead of it.
    ahead_ns: i64,
}

impl Default for Clocks {
    fn default() -> Clocks {
        let right = Stretch {
            from: Instant::ZERO,
            says: 0,
            speed: PARTS.unsigned_abs(),
            ahead_ns: 0,
        };
        Clocks {
            stretches: vec![right],
        }
    }
}

impl Clocks {
    /// The clocks of a target, under all faults that strike them.
    pub(super) fn of(overlay: &Overlay<Target>, target: &Target) -> Clocks {
        let felt = |at| {
            let felt = overlay.effective(target, at, BitRate::from_bits_per_s(0));
            (at, felt.skew_ns, felt.drift_ppb)
        };
        Clocks::new(overlay.changes(target).into_iter().map(felt))
    }

    /// Clocks that are ahead by a skew, in ns, and drift by so many parts per billion from each of these times on, which
    /// are in order. A drift takes no more than the whole speed away.
    fn new(changes: impl Iterator<Item = (Span, i64, i64)>) -> Clocks {
        let mut clocks = Clocks::default();
        // What the monotonic clock had gained when the drift began that the wall clock shares.
        let mut kept_ns = 0;
        for (at, skew_ns, drift_ppb) in changes {
            let from = Instant::ZERO.saturating_add(at);
            let last = *clocks.stretches.last().expect("the first");
            let says = last.at(from);
            if drift_ppb == 0 || last.speed == PARTS.unsigned_abs() {
                let gained = (says / PARTS.unsigned_abs() as u128).cast_signed() - i128::from(from.as_ns());
                kept_ns = gained.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64;
            }
            let stretch = Stretch {
                from,
                says,
                speed: PARTS.saturating_add(drift_ppb).max(1).unsigned_abs(),
                ahead_ns: skew_ns.saturating_sub(kept_ns),
            };
            if last.from == from {
                clocks.stretches.pop();
            }
            clocks.stretches.push(stretch);
        }
        clocks
    }

    /// What the monotonic clock says at a time.
    pub fn monotonic(&self, at: Instant) -> Instant {
        Instant::from_ns(ns_of(self.stretch(at).at(at)))
    }

    /// By how many nanoseconds the wall clock is ahead of the monotonic one at a time.
    pub fn wall_ahead(&self, at: Instant) -> i64 {
        self.stretch(at).ahead_ns
    }

    /// The first time at which the monotonic clock says this or more.
    pub fn first(&self, says: Instant) -> Instant {
        if says == Instant::MAX {
            return says;
        }
        let parts = u128::from(says.as_ns()) * PARTS.unsigned_abs() as u128;
        let begun = self.stretches.partition_point(|stretch| stretch.says < parts);
        let Some(stretch) = self.stretches[..begun].last() else {
            return Instant::ZERO;
        };
        let ns = (parts - stretch.says).div_ceil(u128::from(stretch.speed));
        let at = u128::from(stretch.from.as_ns()) + ns;
        Instant::from_ns(u64::try_from(at).unwrap_or(u64::MAX))
    }

    /// The last time at which the monotonic clock says this: a slow one says the same for more than a nanosecond.
    pub fn last(&self, says: Instant) -> Instant {
        let next = self.first(says.saturating_add(Span::from_ns(1)));
        Instant::from_ns(next.as_ns().saturating_sub(1)).max(self.first(says))
    }

    /// The furthest that the speed of the clocks is ever from the right one, in parts per billion.
    pub fn largest_drift_ppb(&self) -> u64 {
        let drifts = self
            .stretches
            .iter()
            .map(|stretch| stretch.speed.abs_diff(PARTS.unsigned_abs()));
        drifts.max().unwrap_or(0)
    }

    fn stretch(&self, at: Instant) -> &Stretch {
        let begun = self.stretches.partition_point(|stretch| stretch.from <= at);
        &self.stretches[begun.max(1) - 1]
    }
}

impl Stretch {
    /// What the monotonic clock says, in parts of a nanosecond.
    fn at(&self, at: Instant) -> u128 {
        self.says + u128::from(at.saturating_since(self.from).as_ns()) * u128::from(self.speed)
    }
}

fn ns_of(parts: u128) -> u64 {
    u64::try_from(parts / PARTS.unsigned_abs() as u128).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(ns: u64) -> Instant {
        Instant::from_ns(ns)
    }

    fn clocks(changes: &[(u64, i64, i64)]) -> Clocks {
        Clocks::new(
            changes
                .iter()
                .map(|(at, skew, drift)| (Span::from_ns(*at), *skew, *drift)),
        )
    }

    /// What both clocks say.
    fn say(clocks: &Clocks, now: u64) -> (u64, u64) {
        let monotonic = clocks.monotonic(at(now)).as_ns();
        (
            monotonic,
            monotonic.saturating_add_signed(clocks.wall_ahead(at(now))),
        )
    }

    #[test]
    fn a_skew_is_a_step_of_the_wall_clock_alone() {
        let skewed = clocks(&[(1_000, 200, 0), (2_000, 0, 0)]);
        let said = [999, 1_000, 1_999, 2_000].map(|now| say(&skewed, now));
        assert_eq!(said, [(999, 999), (1_000, 1_200), (1_999, 2_199), (2_000, 2_000)]);
    }

    #[test]
    fn the_monotonic_clock_keeps_what_it_has_gained_and_the_wall_clock_is_set_right() {
        // A hundredth too fast from 1,000 to 2,000, and again from 3,000 on with a skew beside it.
        let drifts = clocks(&[
            (1_000, 0, 10_000_000),
            (2_000, 0, 0),
            (3_000, -5, 10_000_000),
            (4_000, -5, 0),
        ]);
        let said = [1_000, 1_500, 1_999, 2_000, 3_000, 3_500, 4_000].map(|now| say(&drifts, now));
        assert_eq!(
            said,
            [
                (1_000, 1_000),
                (1_505, 1_505),
                (2_008, 2_008),
                (2_010, 2_000),
                (3_010, 2_995),
                (3_515, 3_500),
                (4_020, 3_995),
            ]
        );
    }

    #[test]
    fn a_drift_that_fades_is_one_drift() {
        let fades = clocks(&[(0, 0, 500_000_000), (1_000, 0, 250_000_000), (2_000, 0, 0)]);
        let said = [1_000, 1_800, 2_000].map(|now| say(&fades, now));
        assert_eq!(said, [(1_500, 1_500), (2_500, 2_500), (2_750, 2_000)]);
    }

    #[test]
    fn a_clock_that_never_reaches_a_time_names_the_end() {
        let slow = clocks(&[(0, 0, -999_999_999)]);
        assert_eq!(slow.first(at(1)), at(1_000_000_000));
        assert_eq!(slow.first(Instant::MAX), Instant::MAX);
        assert_eq!(slow.first(at(u64::MAX - 1)), Instant::MAX);
        assert_eq!(slow.last(at(0)), at(999_999_999));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn both_directions_are_inverse(
            spans in prop::collection::vec((0..5_000_u64, -999_999_999..2_000_000_000_i64), 0..6),
            now in 0..20_000_u64,
        ) {
            let mut from = 0;
            let changes = spans.iter().map(|(span, drift)| {
                from += span;
                (from, 0, *drift)
            });
            let clocks = clocks(&changes.collect::<Vec<_>>());
            let says = clocks.monotonic(at(now));
            // It never goes back, and steps no further than its speed.
            prop_assert!(says <= clocks.monotonic(at(now + 1)));
            prop_assert!(clocks.monotonic(at(now + 1)).as_ns() - says.as_ns() <= 4);
            let (first, last) = (clocks.first(says), clocks.last(says));
            prop_assert!(first <= at(now) && at(now) <= last);
            prop_assert_eq!((clocks.monotonic(first), clocks.monotonic(last)), (says, says));
            prop_assert!(clocks.monotonic(at(last.as_ns() + 1)) > says);
            // A wake comes when the clock says so, and not a nanosecond sooner.
            let due = at(now);
            let wake = clocks.first(due);
            prop_assert!(clocks.monotonic(wake) >= due);
            prop_assert!(wake == at(0) || clocks.monotonic(at(wake.as_ns() - 1)) < due);
        }
    }
}
