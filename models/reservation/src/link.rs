//! The calendar of one link: how much is reserved at each instant, and by whom.
//!
//! Two trees over the same reservations. The first holds the steps of the reserved rate: at a start it rises, at an
//! end it falls; the peak in an interval is the greatest sum of steps up to a point in it. The second is an interval
//! tree: starts in order, each part knowing its last end.

use std::ops::{Bound, Range};

use longhaul_core::time::Instant;

use crate::reservation::{Priority, ReservationId};
use crate::tree::{Summary, Tree, Value};

/// No more bit/s than this can be reserved on a link, whatever its capacity, so that sums of steps fit in 64 bits, also
/// while a reservation is half booked.
const MAX_LIMIT: u64 = 1 << 61;

/// By how many bit/s the reserved rate changes.
#[derive(Clone, Copy, Debug)]
struct Step(i64);

/// Of several steps.
#[derive(Clone, Copy, Debug)]
struct Steps {
    /// By how much they change the rate together.
    sum: i64,
    /// The greatest change up to one of them, or 0 before the first.
    peak: i64,
}

impl Summary for Steps {
    const EMPTY: Steps = Steps { sum: 0, peak: 0 };

    fn then(self, next: Steps) -> Steps {
        Steps {
            sum: self.sum + next.sum,
            peak: self.peak.max(self.sum + next.peak),
        }
    }
}

impl Value for Step {
    type Summary = Steps;

    fn summary(&self) -> Steps {
        Steps {
            sum: self.0,
            peak: self.0.max(0),
        }
    }
}

/// A reservation as its links know it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Booking {
    pub(crate) end: Instant,
    pub(crate) rate: u64,
    pub(crate) priority: Priority,
}

/// The last end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LastEnd(Instant);

impl Summary for LastEnd {
    const EMPTY: LastEnd = LastEnd(Instant::ZERO);

    fn then(self, next: LastEnd) -> LastEnd {
        LastEnd(self.0.max(next.0))
    }
}

impl Value for Booking {
    type Summary = LastEnd;

    fn summary(&self) -> LastEnd {
        LastEnd(self.end)
    }
}

/// What is reserved on a link, and how much may be. Rates in bit/s.
#[derive(Clone, Debug)]
pub(crate) struct LinkCalendar {
    pub(crate) capacity: u64,
    /// What is in use without any reservation.
    pub(crate) background: u64,
    /// The most that may be reserved.
    limit: u64,
    steps: Tree<Instant, Step>,
    bookings: Tree<(Instant, ReservationId), Booking>,
}

impl LinkCalendar {
    pub(crate) fn new() -> LinkCalendar {
        LinkCalendar {
            capacity: 0,
            background: 0,
            limit: 0,
            steps: Tree::new(),
            bookings: Tree::new(),
        }
    }

    /// The most that may be reserved.
    pub(crate) fn limit(&self) -> u64 {
        self.limit
    }

    pub(crate) fn set_limit(&mut self, limit: u64) {
        self.limit = limit.min(MAX_LIMIT);
    }

    /// The highest rate that is reserved at an instant of the interval; 0 in an empty interval.
    pub(crate) fn peak(&self, when: &Range<Instant>) -> u64 {
        if when.is_empty() {
            return 0;
        }
        let at_start = self.steps.sum(Bound::Unbounded, Bound::Included(when.start)).sum;
        let later = self
            .steps
            .sum(Bound::Excluded(when.start), Bound::Excluded(when.end));
        let peak = at_start + later.peak;
        u64::try_from(peak).expect("no more than what was admitted, and never below zero")
    }

    /// What may still be reserved throughout the interval; 0 if more is reserved than may be.
    pub(crate) fn available(&self, when: &Range<Instant>) -> u64 {
        self.limit.saturating_sub(self.peak(when))
    }

    /// What reservations of at least this priority leave throughout the interval. Takes O(k log k) for k
    /// reservations in the interval.
    pub(crate) fn available_to(&self, priority: Priority, when: &Range<Instant>) -> u64 {
        let mut steps = Vec::new();
        self.for_each(when, |start, _, booking| {
            if booking.priority >= priority {
                steps.push((start.max(when.start), booking.rate.cast_signed()));
                steps.push((booking.end, -booking.rate.cast_signed()));
            }
        });
        // Falls stand before rises at the same instant, since intervals do not hold their ends.
        steps.sort_unstable();
        let (mut level, mut peak) = (0i64, 0i64);
        for (_, step) in steps {
            level += step;
            peak = peak.max(level);
        }
        self.limit.saturating_sub(peak.unsigned_abs())
    }

    /// Shows the reservations that overlap the interval, by start.
    pub(crate) fn for_each(
        &self,
        when: &Range<Instant>,
        mut show: impl FnMut(Instant, ReservationId, Booking),
    ) {
        self.bookings.walk(
            |LastEnd(end)| end > when.start,
            |(start, id), booking| {
                let begins = start < when.end;
                if begins && booking.end > when.start {
                    show(start, id, booking);
                }
                begins
            },
        );
    }

    pub(crate) fn insert(&mut self, id: ReservationId, start: Instant, booking: Booking) {
        self.step(start, booking.rate.cast_signed());
        self.step(booking.end, -booking.rate.cast_signed());
        self.bookings.change((start, id), |_| Some(booking));
    }

    pub(crate) fn remove(&mut self, id: ReservationId, start: Instant, booking: Booking) {
        self.step(start, -booking.rate.cast_signed());
        self.step(booking.end, booking.rate.cast_signed());
        self.bookings.change((start, id), |_| None);
    }

    /// How many reservations there are.
    pub(crate) fn len(&self) -> usize {
        self.bookings.len()
    }

    /// Changes the step at an instant; one of no height is none.
    fn step(&mut self, at: Instant, change: i64) {
        self.steps.change(at, |step| {
            let height = step.map_or(0, |Step(height)| height) + change;
            (height != 0).then_some(Step(height))
        });
    }
}
