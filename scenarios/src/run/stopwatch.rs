//! How long something has been so, all times together.

use longhaul_core::time::{Instant, Span};

/// Runs and stands, any number of times.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Stopwatch {
    since: Option<Instant>,
    before: Span,
}

impl Stopwatch {
    /// It runs from now on; one that runs already goes on.
    pub fn start(&mut self, now: Instant) {
        self.since.get_or_insert(now);
    }

    /// It stands from now on. How long it has run this time, if it did.
    pub fn stop(&mut self, now: Instant) -> Option<Span> {
        let span = now.saturating_since(self.since.take()?);
        self.before = self.before.saturating_add(span);
        Some(span)
    }

    /// Since when it runs, if it does.
    pub fn since(&self) -> Option<Instant> {
        self.since
    }

    /// How long it has run this time by now; nothing while it stands.
    pub fn lap(&self, now: Instant) -> Span {
        self.since.map_or(Span::ZERO, |since| now.saturating_since(since))
    }

    /// How long it has run by now, all times together.
    pub fn total(&self, now: Instant) -> Span {
        self.before.saturating_add(self.lap(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_times_add_up_and_a_second_start_changes_nothing() {
        let at = |s| Instant::ZERO + Span::from_s(s);
        let mut watch = Stopwatch::default();
        assert_eq!((watch.stop(at(1)), watch.total(at(2))), (None, Span::ZERO));
        watch.start(at(3));
        watch.start(at(4));
        assert_eq!((watch.since(), watch.lap(at(5))), (Some(at(3)), Span::from_s(2)));
        assert_eq!(watch.stop(at(6)), Some(Span::from_s(3)));
        watch.start(at(10));
        assert_eq!(
            (watch.lap(at(12)), watch.total(at(12))),
            (Span::from_s(2), Span::from_s(5))
        );
    }
}
