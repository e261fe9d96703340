//! How far a flow has come in its current stretch, while rates change around it.

use longhaul_core::time::{Instant, Span};

/// A stretch: so many bytes at a rate that others decide, or a pause.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Pace {
    /// Bytes on the wire that end the stretch; 0 in a pause.
    goal: f64,
    done: f64,
    /// Most bytes per second that the flow can use; 0 in a pause.
    pub(crate) cap: f64,
    pub(crate) rate: f64,
    /// When `done` was right.
    updated: Instant,
    /// When the stretch ends at this rate.
    pub(crate) due: Instant,
    /// Bytes that stand in the queue when the flow gets less than its cap: what is in flight less rate times RTT.
    pub(crate) in_flight: f64,
    rtt_s: f64,
}

impl Pace {
    /// `goal` bytes at up to `cap`, with `in_flight` of them in flight at a time.
    pub(crate) fn stretch(now: Instant, goal: f64, cap: f64, in_flight: f64, rtt_s: f64) -> Pace {
        Pace {
            goal,
            done: 0.0,
            cap,
            rate: 0.0,
            updated: now,
            due: Instant::MAX,
            in_flight,
            rtt_s,
        }
    }

    /// Nothing until `until`.
    pub(crate) fn pause(now: Instant, until: Instant) -> Pace {
        Pace {
            due: until,
            ..Pace::stretch(now, 0.0, 0.0, 0.0, 0.0)
        }
    }

    /// From `now` on the rate is `rate`.
    #[inline]
    pub(crate) fn set_rate(&mut self, now: Instant, rate: f64) {
        if self.cap == 0.0 || rate == self.rate {
            return;
        }
        self.sync(now);
        self.rate = rate;
        self.due = now.saturating_add(seconds((self.goal - self.done) / rate));
    }

    #[inline]
    fn sync(&mut self, now: Instant) {
        let elapsed = now.saturating_since(self.updated).as_ns() as f64 / 1e9;
        self.done = (self.done + self.rate * elapsed).min(self.goal);
        self.updated = now;
    }

    /// `more` bytes join the stretch, to be sent in what is left of its time if the rate allows.
    pub(crate) fn extend(&mut self, now: Instant, more: f64) {
        self.sync(now);
        self.goal += more;
        self.in_flight += more;
        let left = self.due.saturating_since(now).as_ns().max(1_000) as f64 / 1e9;
        self.cap = (self.goal - self.done) / left;
        // The caller sets the rate anew.
        self.rate = 0.0;
    }

    /// Most bytes per second when a queue makes the round trip `wait_s` longer.
    #[inline]
    pub(crate) fn cap_after(&self, wait_s: f64) -> f64 {
        if wait_s > 0.0 {
            self.cap.min(self.in_flight / (self.rtt_s + wait_s))
        } else {
            self.cap
        }
    }

    /// The round trip that the cap counts with, in seconds.
    #[inline]
    pub(crate) fn rtt_s(&self) -> f64 {
        self.rtt_s
    }

    /// Bytes that stand in the bottleneck's queue.
    #[inline]
    pub(crate) fn queued(&self) -> f64 {
        if self.rate < self.cap {
            (self.in_flight - self.rate * self.rtt_s).max(0.0)
        } else {
            0.0
        }
    }
}

/// A whole number of nanoseconds, rounded up; what lies beyond the range goes to its end.
#[inline]
pub(crate) fn seconds(seconds: f64) -> Span {
    let ns = seconds * 1e9;
    // Faster than `ceil` for what fits, and exact.
    let whole = ns as u64;
    Span::from_ns(whole.saturating_add(u64::from((whole as f64) < ns)))
}
