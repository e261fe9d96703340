//! The delay line behind the serialiser: frames on their way, in the order in which they arrive.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use longhaul_core::time::{Instant, Span};

use crate::course::Course;
use crate::stats::Count;

/// A frame on its way.
#[derive(Clone, Copy, Debug)]
pub(super) struct InFlight<P> {
    pub(super) arrival: Instant,
    pub(super) frame_bytes: u32,
    /// Whether this link damaged it.
    pub(super) damaged: bool,
    pub(super) packet: P,
}

/// Frames on their way.
#[derive(Clone, Debug)]
pub(super) enum Wire<P> {
    /// None overtakes another.
    InOrder(VecDeque<InFlight<P>>),
    /// The earliest arrival first; among equals, in the order of sending.
    Sorted {
        heap: BinaryHeap<Reverse<Ranked<P>>>,
        sent: u64,
    },
}

/// A frame in the order of (arrival, number).
#[derive(Clone, Debug)]
pub(super) struct Ranked<P> {
    number: u64,
    frame: InFlight<P>,
}

impl<P> Ranked<P> {
    fn rank(&self) -> (Instant, u64) {
        (self.frame.arrival, self.number)
    }
}

impl<P> PartialEq for Ranked<P> {
    fn eq(&self, other: &Ranked<P>) -> bool {
        self.rank() == other.rank()
    }
}

impl<P> Eq for Ranked<P> {}

impl<P> PartialOrd for Ranked<P> {
    fn partial_cmp(&self, other: &Ranked<P>) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<P> Ord for Ranked<P> {
    fn cmp(&self, other: &Ranked<P>) -> std::cmp::Ordering {
        self.rank().cmp(&other.rank())
    }
}

impl<P: Copy> Wire<P> {
    pub(super) fn new(reorder: bool) -> Wire<P> {
        if reorder {
            Wire::Sorted {
                heap: BinaryHeap::new(),
                sent: 0,
            }
        } else {
            Wire::InOrder(VecDeque::new())
        }
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        match self {
            Wire::InOrder(frames) => frames.len(),
            Wire::Sorted { heap, .. } => heap.len(),
        }
    }

    #[inline]
    pub(super) fn push(&mut self, frame: InFlight<P>) {
        match self {
            Wire::InOrder(frames) => frames.push_back(frame),
            Wire::Sorted { heap, sent } => {
                heap.push(Reverse(Ranked { number: *sent, frame }));
                *sent += 1;
            }
        }
    }

    /// When the next frame arrives, unless there is none or that is never.
    #[inline]
    pub(super) fn next_arrival(&self) -> Option<Instant> {
        let first = match self {
            Wire::InOrder(frames) => frames.front()?.arrival,
            Wire::Sorted { heap, .. } => heap.peek()?.0.frame.arrival,
        };
        (first < Instant::MAX).then_some(first)
    }

    /// When the frame sent last arrives, unless frames overtake each other.
    pub(super) fn last_arrival(&self) -> Option<Instant> {
        match self {
            Wire::InOrder(frames) => frames.back().map(|frame| frame.arrival),
            Wire::Sorted { .. } => None,
        }
    }

    #[inline]
    pub(super) fn pop(&mut self) -> Option<InFlight<P>> {
        match self {
            Wire::InOrder(frames) => frames.pop_front(),
            Wire::Sorted { heap, .. } => heap.pop().map(|Reverse(ranked)| ranked.frame),
        }
    }

    /// Frames on their way, counted one by one.
    pub(super) fn count(&self) -> Count {
        let mut count = Count::default();
        match self {
            Wire::InOrder(frames) => frames.iter().for_each(|frame| count.add(frame.frame_bytes)),
            Wire::Sorted { heap, .. } => {
                let frames = heap.iter().map(|Reverse(ranked)| ranked.frame.frame_bytes);
                frames.for_each(|bytes| count.add(bytes));
            }
        }
        count
    }
}

/// The propagation delay, constant or in steps.
#[derive(Clone, Debug)]
pub(super) struct Propagation {
    constant: Span,
    steps: Option<Box<DelaySteps>>,
}

#[derive(Clone, Debug)]
struct DelaySteps {
    course: Course<Span>,
    cursor: usize,
}

impl Propagation {
    pub(super) fn new(constant: Span, course: Option<Course<Span>>) -> Propagation {
        let steps = course.map(|course| Box::new(DelaySteps { course, cursor: 0 }));
        Propagation { constant, steps }
    }

    /// When a frame that leaves the serialiser at `end` would arrive, if none were before it.
    #[inline]
    pub(super) fn arrival(&mut self, end: Instant) -> Instant {
        let delay = match &mut self.steps {
            None => self.constant,
            Some(steps) => steps.course.stretch(end, &mut steps.cursor).value,
        };
        end.saturating_add(delay)
    }

    /// Whether a frame may be sent later and arrive earlier.
    #[inline]
    pub(super) fn varies(&self) -> bool {
        self.steps.is_some()
    }
}
