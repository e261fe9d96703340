//! The delay line behind the serialiser: frames on their way, in the order in which they arrive.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use longhaul_core::time::{Instant, Span};

use crate::course::Course;
use crate::frame::Frame;
use crate::stats::Count;

/// A frame on its way, as a link keeps it by the thousand.
#[derive(Clone, Copy, Debug)]
pub(super) struct InFlight<C> {
    arrival: Instant,
    frame_bytes: u32,
    /// Whether this link damaged it.
    damaged: bool,
    /// Whether the packet has a rare part, which waits in a queue of its own.
    has_rare: bool,
    common: C,
}

/// The frame that arrives next.
#[derive(Clone, Copy, Debug)]
pub(super) struct Next {
    /// When.
    pub(super) arrival: Instant,
    pub(super) frame_bytes: u32,
    /// Whether this link damaged it.
    pub(super) damaged: bool,
}

/// Frames on their way.
#[derive(Clone, Debug)]
pub(super) enum Wire<P: Frame> {
    /// None overtakes another.
    InOrder {
        frames: VecDeque<InFlight<P::Common>>,
        /// The rare parts of the packets that have one, in the same order.
        rare: VecDeque<P::Rare>,
    },
    /// The earliest arrival first; among equals, in the order of sending.
    Sorted {
        heap: BinaryHeap<Reverse<Ranked<P>>>,
        sent: u64,
    },
}

/// A frame in the order of (arrival, number).
#[derive(Clone, Copy, Debug)]
pub(super) struct Ranked<P> {
    arrival: Instant,
    number: u64,
    frame_bytes: u32,
    damaged: bool,
    packet: P,
}

impl<P> Ranked<P> {
    fn rank(&self) -> (Instant, u64) {
        (self.arrival, self.number)
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

impl<P: Frame> Wire<P> {
    pub(super) fn new(reorder: bool) -> Wire<P> {
        if reorder {
            Wire::Sorted {
                heap: BinaryHeap::new(),
                sent: 0,
            }
        } else {
            Wire::InOrder {
                frames: VecDeque::new(),
                rare: VecDeque::new(),
            }
        }
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        match self {
            Wire::InOrder { frames, .. } => frames.len(),
            Wire::Sorted { heap, .. } => heap.len(),
        }
    }

    #[inline]
    pub(super) fn push(&mut self, arrival: Instant, packet: &P, frame_bytes: u32, damaged: bool) {
        match self {
            Wire::InOrder { frames, rare } => {
                let (common, part) = packet.split();
                if let Some(part) = part {
                    rare.push_back(part);
                }
                if frames.len() == frames.capacity() {
                    make_room(frames);
                }
                frames.push_back(InFlight {
                    arrival,
                    frame_bytes,
                    damaged,
                    has_rare: part.is_some(),
                    common,
                });
            }
            Wire::Sorted { heap, sent } => {
                heap.push(Reverse(Ranked {
                    arrival,
                    number: *sent,
                    frame_bytes,
                    damaged,
                    packet: *packet,
                }));
                *sent += 1;
            }
        }
    }

    /// What is known of the next frame before it is taken out.
    #[inline]
    pub(super) fn next(&self) -> Option<Next> {
        let next = match self {
            Wire::InOrder { frames, .. } => {
                let first = frames.front()?;
                Next {
                    arrival: first.arrival,
                    frame_bytes: first.frame_bytes,
                    damaged: first.damaged,
                }
            }
            Wire::Sorted { heap, .. } => {
                let Reverse(first) = heap.peek()?;
                Next {
                    arrival: first.arrival,
                    frame_bytes: first.frame_bytes,
                    damaged: first.damaged,
                }
            }
        };
        (next.arrival < Instant::MAX).then_some(next)
    }

    /// When the next frame arrives, unless there is none or that is never.
    #[inline]
    pub(super) fn next_arrival(&self) -> Option<Instant> {
        self.next().map(|next| next.arrival)
    }

    /// When the frame sent last arrives, unless frames overtake each other.
    pub(super) fn last_arrival(&self) -> Option<Instant> {
        match self {
            Wire::InOrder { frames, .. } => frames.back().map(|frame| frame.arrival),
            Wire::Sorted { .. } => None,
        }
    }

    /// Takes the next frame out.
    #[inline]
    pub(super) fn pop(&mut self) -> Option<P> {
        match self {
            Wire::InOrder { frames, rare } => {
                let frame = frames.pop_front()?;
                let part = if frame.has_rare { rare.pop_front() } else { None };
                Some(P::join(frame.common, part))
            }
            Wire::Sorted { heap, .. } => heap.pop().map(|Reverse(frame)| frame.packet),
        }
    }

    /// Loses every frame on its way.
    pub(super) fn clear(&mut self) {
        match self {
            Wire::InOrder { frames, rare } => {
                frames.clear();
                rare.clear();
            }
            Wire::Sorted { heap, .. } => heap.clear(),
        }
    }

    /// Frames on their way, counted one by one.
    pub(super) fn count(&self) -> Count {
        let mut count = Count::default();
        match self {
            Wire::InOrder { frames, .. } => frames.iter().for_each(|frame| count.add(frame.frame_bytes)),
            Wire::Sorted { heap, .. } => {
                let frames = heap.iter().map(|Reverse(frame)| frame.frame_bytes);
                frames.for_each(|bytes| count.add(bytes));
            }
        }
        count
    }
}

/// Makes an eighth more room, not twice as much: the rest would lie idle on a long, fast link.
#[cold]
fn make_room<T>(frames: &mut VecDeque<T>) {
    frames.reserve_exact(frames.len() / 8 + 16);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::CommonPart;

    #[test]
    fn a_packet_in_flight_takes_less_than_a_hundred_bytes() {
        // Its sender keeps 24 bytes more: `a_packet_sent_takes_24_bytes`.
        assert!(size_of::<InFlight<CommonPart>>() <= 72);
    }
}
