//! The promise of a source to stop its guests before anybody else may start them.
//!
//! Under [`Failover::Automatic`](crate::Failover::Automatic) the replica starts the guests when it has not heard from
//! the source for the detection time. So the source stops them when it does not know that it has been heard within
//! that time: the lease runs from when the newest heartbeat was *sent* that the replica has answered. The replica
//! heard it later than it was sent and waits as long, so the guests stand still before others start, as far as both
//! clocks run equally fast; what they show does not matter.

use std::collections::VecDeque;

use longhaul_core::time::{Instant, Span};

/// Whether the guests may run.
#[derive(Debug)]
pub(super) struct Lease {
    length: Span,
    /// From when it runs; `None` as long as nothing was promised.
    since: Option<Instant>,
    /// When the guests stopped because it had run out.
    pub stopped_at: Option<Instant>,
    /// Heartbeats that were not answered, with the time at which they were sent.
    unanswered: VecDeque<(u64, Instant)>,
    next_number: u64,
}

impl Lease {
    pub fn new(length: Span) -> Lease {
        Lease {
            length,
            since: None,
            stopped_at: None,
            unanswered: VecDeque::new(),
            next_number: 0,
        }
    }

    /// Numbers a heartbeat that is sent now; `promised` says whether it makes or keeps the promise.
    pub fn on_heartbeat(&mut self, now: Instant, promised: bool) -> u64 {
        if promised {
            self.since.get_or_insert(now);
        }
        // Of those before, the answer could not lengthen the lease any more.
        while self
            .unanswered
            .front()
            .is_some_and(|(_, sent)| sent.saturating_add(self.length) <= now)
        {
            self.unanswered.pop_front();
        }
        let number = self.next_number;
        self.next_number += 1;
        self.unanswered.push_back((number, now));
        number
    }

    /// The replica has heard a heartbeat.
    pub fn on_heard(&mut self, number: u64) {
        while let Some(&(oldest, sent)) = self.unanswered.front()
            && oldest <= number
        {
            self.unanswered.pop_front();
            if oldest == number
                && let Some(since) = &mut self.since
            {
                *since = (*since).max(sent);
            }
        }
    }

    /// When it runs out.
    pub fn end(&self) -> Option<Instant> {
        Some(self.since?.saturating_add(self.length))
    }

    /// Whether it has run out.
    pub fn is_over(&self, now: Instant) -> bool {
        self.end().is_some_and(|end| end <= now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Instant {
        Instant::ZERO + Span::from_ms(ms)
    }

    #[test]
    fn a_lease_runs_from_when_the_newest_answered_heartbeat_was_sent() {
        let mut lease = Lease::new(Span::from_ms(300));
        let before = lease.on_heartbeat(at(0), false);
        lease.on_heard(before);
        assert_eq!(lease.end(), None);
        let first = lease.on_heartbeat(at(100), true);
        // It binds from when it is sent: the replica may hear it and not be heard.
        assert_eq!(lease.end(), Some(at(400)));
        let second = lease.on_heartbeat(at(200), true);
        lease.on_heard(second);
        assert_eq!(lease.end(), Some(at(500)));
        lease.on_heard(first);
        lease.on_heard(77);
        assert_eq!(lease.end(), Some(at(500)));
        assert!(!lease.is_over(at(499)) && lease.is_over(at(500)));
    }

    #[test]
    fn heartbeats_that_nobody_answers_are_not_kept() {
        let mut lease = Lease::new(Span::from_ms(300));
        for k in 0..1_000 {
            lease.on_heartbeat(at(100 * k), true);
        }
        assert!(lease.unanswered.len() <= 4, "{}", lease.unanswered.len());
    }
}
