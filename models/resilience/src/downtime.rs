//! Downtime: the union of the times during which something was down, each moment counted once.

use std::collections::BTreeMap;
use std::ops::Range;

use longhaul_core::time::{Instant, Span};

/// A union of intervals, given in any order. The ends are outside.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Intervals {
    /// Start to end; disjoint, and no two touch.
    parts: BTreeMap<Instant, Instant>,
}

impl Intervals {
    /// Adds an interval; an empty one changes nothing.
    pub fn add(&mut self, interval: Range<Instant>) {
        let Range { mut start, mut end } = interval;
        if start >= end {
            return;
        }
        while let Some((&from, &to)) = self.parts.range(..=end).next_back() {
            if to < start {
                break;
            }
            self.parts.remove(&from);
            start = start.min(from);
            end = end.max(to);
        }
        self.parts.insert(start, end);
    }

    /// The disjoint intervals that make it up, in order.
    pub fn iter(&self) -> impl Iterator<Item = Range<Instant>> {
        self.parts.iter().map(|(start, end)| *start..*end)
    }

    /// How long they are together within `during`.
    pub fn total(&self, during: Range<Instant>) -> Span {
        self.iter()
            .map(|part| {
                part.end
                    .min(during.end)
                    .saturating_since(part.start.max(during.start))
            })
            .fold(Span::ZERO, |sum, part| sum + part)
    }
}

/// The downtime of something whose calls are seen: from a failure to the next success.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Downtime {
    down_since: Option<Instant>,
    intervals: Intervals,
}

impl Downtime {
    /// A call ended. Times must not go back.
    pub fn record(&mut self, now: Instant, failed: bool) {
        if failed {
            self.down_since.get_or_insert(now);
        } else if let Some(since) = self.down_since.take() {
            self.intervals.add(since..now);
        }
    }

    /// Since when it has been down, if it is.
    pub fn down_since(&self) -> Option<Instant> {
        self.down_since
    }

    /// The times it was down until `now`.
    pub fn intervals(&self, now: Instant) -> Intervals {
        let mut intervals = self.intervals.clone();
        if let Some(since) = self.down_since {
            intervals.add(since..now);
        }
        intervals
    }

    /// How long it was down during an interval that ends no later than now.
    pub fn total(&self, during: Range<Instant>) -> Span {
        let open = self.down_since.map_or(Span::ZERO, |since| {
            during.end.saturating_since(since.max(during.start))
        });
        self.intervals.total(during) + open
    }

    /// The share of an interval during which it was up, in [0, 1]; one for an empty interval.
    pub fn availability(&self, during: Range<Instant>) -> f64 {
        let length = during.end.saturating_since(during.start);
        if length == Span::ZERO {
            return 1.0;
        }
        1.0 - self.total(during).as_ns() as f64 / length.as_ns() as f64
    }
}
