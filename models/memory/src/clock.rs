//! The guest's own time: virtual time while it runs, slower while it is throttled, none while it stands still.

use longhaul_core::time::Instant;
use longhaul_core::units::Probability;

/// Time of one virtual processor, which starts with the run at full speed.
///
/// Slow time keeps its remainder, so that the guest's time depends on when its speed changed and not on how often
/// anybody asked.
#[derive(Clone, Debug)]
pub(crate) struct GuestClock {
    /// The guest's time at `since`, in nanoseconds, and what is left of the next one in parts of 10^12.
    guest_ns: u64,
    remainder: u64,
    since: Instant,
    speed: Probability,
    stands_still: bool,
    last: Instant,
}

impl Default for GuestClock {
    fn default() -> GuestClock {
        GuestClock {
            guest_ns: 0,
            remainder: 0,
            since: Instant::ZERO,
            speed: Probability::ONE,
            stands_still: false,
            last: Instant::ZERO,
        }
    }
}

impl GuestClock {
    /// The guest's time at `now`, nanoseconds since its start.
    ///
    /// # Panics
    /// If `now` lies before an instant seen earlier.
    pub(crate) fn advance(&mut self, now: Instant) -> u64 {
        assert!(now >= self.last, "guest time ran backwards");
        self.last = now;
        self.at(now).0
    }

    fn at(&self, now: Instant) -> (u64, u64) {
        let elapsed = now.saturating_since(self.since).as_ns();
        if self.stands_still {
            (self.guest_ns, self.remainder)
        } else if self.speed == Probability::ONE {
            (self.guest_ns.saturating_add(elapsed), self.remainder)
        } else {
            let parts = u128::from(elapsed) * u128::from(self.speed.as_parts()) + u128::from(self.remainder);
            let (whole, remainder) = (parts / PARTS, parts % PARTS);
            // Slower than real time, so it fits where real time does.
            (self.guest_ns.saturating_add(whole as u64), remainder as u64)
        }
    }

    /// Lets everything up to `now` count at the speed so far.
    fn settle(&mut self, now: Instant) {
        self.advance(now);
        (self.guest_ns, self.remainder) = self.at(now);
        self.since = now;
    }

    /// Stands still from `now` on.
    pub(crate) fn pause(&mut self, now: Instant) {
        self.settle(now);
        self.stands_still = true;
    }

    /// Goes on from `now` on.
    pub(crate) fn resume(&mut self, now: Instant) {
        self.settle(now);
        self.stands_still = false;
    }

    /// Runs at this share of its full speed from `now` on.
    pub(crate) fn set_speed(&mut self, now: Instant, speed: Probability) {
        self.settle(now);
        self.speed = speed;
    }

    /// Stands still at this time of its own from `now` on, whatever it was before.
    pub(crate) fn set(&mut self, now: Instant, guest_ns: u64) {
        self.settle(now);
        self.guest_ns = guest_ns;
        self.remainder = 0;
        self.stands_still = true;
    }

    /// The guest's time when its clock was last set, stopped, started or told another speed.
    pub(crate) fn now_ns(&self) -> u64 {
        self.guest_ns
    }

    /// Whether it stands still.
    pub(crate) fn stands_still(&self) -> bool {
        self.stands_still
    }

    /// When the guest's time will be `guest_ns`; `None` if it stands still or never gets there.
    pub(crate) fn when(&self, guest_ns: u64) -> Option<Instant> {
        if self.stands_still || self.speed == Probability::ZERO {
            return None;
        }
        let missing = guest_ns.saturating_sub(self.guest_ns);
        let elapsed = if missing == 0 {
            0
        } else {
            let parts = u128::from(missing) * PARTS - u128::from(self.remainder);
            u64::try_from(parts.div_ceil(u128::from(self.speed.as_parts()))).unwrap_or(u64::MAX)
        };
        let at = self.since.as_ns().saturating_add(elapsed);
        Some(Instant::from_ns(at))
    }
}

const PARTS: u128 = Probability::PARTS as u128;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(ns: u64) -> Instant {
        Instant::from_ns(ns)
    }

    #[test]
    fn guest_time_stands_still_between_pause_and_resume() {
        let mut clock = GuestClock::default();
        assert_eq!(clock.advance(at(10)), 10);
        clock.pause(at(20));
        clock.pause(at(25));
        assert_eq!(clock.advance(at(30)), 20);
        assert_eq!(clock.when(50), None);
        clock.resume(at(120));
        clock.resume(at(121));
        assert_eq!(clock.advance(at(130)), 30);
        assert_eq!(clock.when(50), Some(at(150)));
    }

    #[test]
    fn a_clock_can_be_set_to_the_time_of_another() {
        let mut clock = GuestClock::default();
        clock.set(at(100), 7);
        assert_eq!((clock.advance(at(200)), clock.stands_still()), (7, true));
        clock.resume(at(300));
        assert_eq!((clock.advance(at(301)), clock.when(10)), (8, Some(at(303))));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn slow_time_does_not_depend_on_how_often_one_asks(
            percent in 1u64..100, changed_at in 0u64..1_000, steps in proptest::collection::vec(0u64..1_000, 1..30),
        ) {
            let speed = Probability::from_ratio(percent, 100).unwrap();
            let (mut often, mut once) = (GuestClock::default(), GuestClock::default());
            often.set_speed(at(changed_at), speed);
            once.set_speed(at(changed_at), speed);
            let mut now = changed_at;
            for step in steps {
                now += step;
                often.set_speed(at(now), speed);
            }
            let guest = once.advance(at(now));
            prop_assert_eq!(often.advance(at(now)), guest);
            prop_assert_eq!(guest, changed_at + (now - changed_at) * percent / 100);
            // The first moment at which it is so late.
            let later = guest + 5;
            let when = once.when(later).unwrap();
            prop_assert_eq!(once.at(when).0, later);
            prop_assert!(once.at(at(when.as_ns() - 1)).0 < later);
        }
    }

    #[test]
    #[should_panic(expected = "guest time ran backwards")]
    fn time_that_runs_backwards_is_a_broken_invariant() {
        let mut clock = GuestClock::default();
        clock.advance(Instant::from_ns(2));
        clock.advance(Instant::from_ns(1));
    }
}
