//! What was seen lately: counts by time, the last so many values with their percentiles, the last so many outcomes. Nothing
//! is allocated after construction.

use longhaul_core::time::{Instant, Span};
use longhaul_core::units::Probability;

/// Two counts over a sliding window that advances in equal steps: it holds the current step and all but one of those
/// before it, so between `window − step` and `window`.
#[derive(Clone, Debug)]
pub struct TimeWindow {
    step_ns: u64,
    steps: Vec<[u64; 2]>,
    newest: u64,
    place: usize,
    ends_ns: u64,
    sums: [u64; 2],
}

impl TimeWindow {
    /// A window of so many steps, both at least one; a window of fewer nanoseconds than steps is stretched.
    pub fn new(window: Span, steps: u32) -> TimeWindow {
        let steps = steps.max(1);
        let step_ns = window.as_ns().div_ceil(u64::from(steps)).max(1);
        TimeWindow {
            step_ns,
            steps: vec![[0; 2]; steps as usize],
            newest: 0,
            place: 0,
            ends_ns: step_ns,
            sums: [0; 2],
        }
    }

    #[inline]
    fn advance(&mut self, now: Instant) {
        if now.as_ns() >= self.ends_ns {
            self.turn(now);
        }
    }

    #[cold]
    fn turn(&mut self, now: Instant) {
        let index = now.as_ns() / self.step_ns;
        let passed = (index - self.newest).min(self.steps.len() as u64);
        for _ in 0..passed {
            self.place = (self.place + 1) % self.steps.len();
            let old = std::mem::take(&mut self.steps[self.place]);
            self.sums = [self.sums[0] - old[0], self.sums[1] - old[1]];
        }
        self.newest = index;
        self.ends_ns = (index + 1).saturating_mul(self.step_ns);
    }

    /// Adds to both counts. Times must not go back.
    #[inline]
    pub fn add(&mut self, now: Instant, first: u64, second: u64) {
        self.advance(now);
        let step = &mut self.steps[self.place];
        *step = [step[0] + first, step[1] + second];
        self.sums = [self.sums[0] + first, self.sums[1] + second];
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.steps.fill([0; 2]);
        self.sums = [0; 2];
    }

    /// Both counts.
    #[inline]
    pub fn sums(&mut self, now: Instant) -> [u64; 2] {
        self.advance(now);
        self.sums
    }
}

/// The last so many values, sorted.
#[derive(Clone, Debug)]
pub struct Latest {
    ring: Vec<u64>,
    sorted: Vec<u64>,
    next: usize,
    capacity: usize,
    sum: u128,
}

impl Latest {
    /// A window of `capacity` values, at least one.
    pub fn new(capacity: u32) -> Latest {
        let capacity = capacity.max(1) as usize;
        Latest {
            ring: Vec::with_capacity(capacity),
            sorted: Vec::with_capacity(capacity),
            next: 0,
            capacity,
            sum: 0,
        }
    }

    /// Adds a value; the oldest one leaves a full window.
    pub fn push(&mut self, value: u64) {
        self.sum += u128::from(value);
        if self.ring.len() < self.capacity {
            self.ring.push(value);
            let place = self.sorted.partition_point(|other| *other <= value);
            self.sorted.insert(place, value);
            return;
        }
        let old = std::mem::replace(&mut self.ring[self.next], value);
        self.next += 1;
        if self.next == self.capacity {
            self.next = 0;
        }
        self.sum -= u128::from(old);
        // Moves only what lies between the places of the two.
        let from = self.sorted.partition_point(|other| *other < old);
        if value >= old {
            let to = self.sorted.partition_point(|other| *other <= value) - 1;
            self.sorted.copy_within(from + 1..=to, from);
            self.sorted[to] = value;
        } else {
            let to = self.sorted.partition_point(|other| *other <= value);
            self.sorted.copy_within(to..from, to + 1);
            self.sorted[to] = value;
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.ring.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ring.is_empty()
    }

    /// Whether another value would push one out.
    pub fn is_full(&self) -> bool {
        self.ring.len() == self.capacity
    }

    /// Their sum.
    pub fn sum(&self) -> u128 {
        self.sum
    }

    /// Forgets them all.
    pub fn clear(&mut self) {
        self.ring.clear();
        self.sorted.clear();
        self.next = 0;
        self.sum = 0;
    }

    /// The 95th percentile by nearest rank: the smallest value that at least 95 % of them do not exceed.
    pub fn p95(&self) -> Option<u64> {
        let rank = (95 * self.sorted.len()).div_ceil(100);
        self.sorted.get(rank.checked_sub(1)?).copied()
    }

    /// Any percentile above zero by nearest rank.
    pub fn percentile(&self, share: Probability) -> Option<u64> {
        let parts = u128::from(Probability::PARTS);
        let rank = (u128::from(share.as_parts()) * self.sorted.len() as u128).div_ceil(parts) as usize;
        self.sorted.get(rank.max(1) - 1).copied()
    }
}

/// The last so many outcomes, and how many of them failed.
#[derive(Clone, Debug)]
pub struct Outcomes {
    failed: Vec<bool>,
    next: usize,
    capacity: usize,
    failures: u32,
}

impl Outcomes {
    /// A window of `capacity` outcomes, at least one.
    pub fn new(capacity: u32) -> Outcomes {
        let capacity = capacity.max(1) as usize;
        Outcomes {
            failed: Vec::with_capacity(capacity),
            next: 0,
            capacity,
            failures: 0,
        }
    }

    /// Adds an outcome; the oldest one leaves a full window.
    #[inline]
    pub fn push(&mut self, failed: bool) {
        self.failures += u32::from(failed);
        if self.failed.len() < self.capacity {
            self.failed.push(failed);
            return;
        }
        let old = std::mem::replace(&mut self.failed[self.next], failed);
        self.failures -= u32::from(old);
        self.next += 1;
        if self.next == self.capacity {
            self.next = 0;
        }
    }

    /// Forgets them all.
    pub fn clear(&mut self) {
        self.failed.clear();
        self.next = 0;
        self.failures = 0;
    }

    /// How many there are.
    pub fn len(&self) -> u32 {
        self.failed.len() as u32
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.failed.is_empty()
    }

    /// How many failed.
    pub fn failures(&self) -> u32 {
        self.failures
    }
}
