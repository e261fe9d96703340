//! The guest's own time: virtual time minus the time that the guest stood still.

use longhaul_core::time::{Instant, Span};

/// Time of a guest that starts with the run.
#[derive(Clone, Debug, Default)]
pub(crate) struct GuestClock {
    /// How long the guest has stood still, up to the last resumption.
    stood: Span,
    paused_at: Option<Instant>,
    last: Instant,
}

impl GuestClock {
    /// The guest's time at `now`, nanoseconds since its start.
    ///
    /// # Panics
    /// If `now` lies before an instant seen earlier.
    pub(crate) fn advance(&mut self, now: Instant) -> u64 {
        assert!(now >= self.last, "guest time ran backwards");
        self.last = now;
        (self.paused_at.unwrap_or(now) - Instant::ZERO - self.stood).as_ns()
    }

    /// Stands still from `now` on.
    pub(crate) fn pause(&mut self, now: Instant) {
        self.advance(now);
        self.paused_at.get_or_insert(now);
    }

    /// Goes on from `now` on.
    pub(crate) fn resume(&mut self, now: Instant) {
        self.advance(now);
        if let Some(paused_at) = self.paused_at.take() {
            self.stood += now - paused_at;
        }
    }

    /// When the guest's time will be `guest_ns`; `None` if it stands still.
    pub(crate) fn when(&self, guest_ns: u64) -> Option<Instant> {
        match self.paused_at {
            Some(_) => None,
            None => Some(Instant::from_ns(guest_ns).saturating_add(self.stood)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guest_time_stands_still_between_pause_and_resume() {
        let at = Instant::from_ns;
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
    #[should_panic(expected = "guest time ran backwards")]
    fn time_that_runs_backwards_is_a_broken_invariant() {
        let mut clock = GuestClock::default();
        clock.advance(Instant::from_ns(2));
        clock.advance(Instant::from_ns(1));
    }
}
