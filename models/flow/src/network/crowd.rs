//! Those of a group that have settled in a crowd. All get the same, so one clock serves them all: it counts the bytes
//! that each has been served, and a member's stretch ends when the clock comes to its tag. A change of the rate
//! moves the clock alone.

use longhaul_core::time::Instant;

use crate::pace::seconds;

/// What settled members must have in common.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Kind {
    /// Most bytes that the buffers let a flow have in flight, and bytes of a segment.
    pub(super) limit: f64,
    pub(super) frame: f64,
    /// Its window over time in parts of its peak.
    pub(super) mean_part: f64,
}

/// Bytes served to each settled member.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Clock {
    served: f64,
    updated: Instant,
    /// Bytes per second, and bytes in flight, of each.
    pub(super) rate: f64,
    pub(super) window: f64,
}

impl Clock {
    pub(super) fn served(&self, now: Instant) -> f64 {
        let elapsed = now.saturating_since(self.updated).as_ns() as f64 / 1e9;
        self.served + self.rate * elapsed
    }

    /// From `now` on the rate is another.
    pub(super) fn set_rate(&mut self, now: Instant, rate: f64, window: f64) {
        *self = Clock {
            served: self.served(now),
            updated: now,
            rate,
            window,
        };
    }

    /// When the clock comes to `tag`.
    pub(super) fn due(&self, now: Instant, tag: f64) -> Instant {
        if self.rate > 0.0 && tag < f64::INFINITY {
            now.saturating_add(seconds((tag - self.served(now)).max(0.0) / self.rate))
        } else {
            Instant::MAX
        }
    }

    /// Whether it has come there, to a part of a byte: what is due is rounded to nanoseconds.
    pub(super) fn has_come_to(&self, now: Instant, tag: f64) -> bool {
        self.served(now) >= tag - 0.5
    }
}
