//! The processor time that a migration takes, and the threads that take it.
//!
//! A frame is encoded, and decoded, by one thread; several work side by side, as QEMU's multifd channels do, and what
//! they make leaves in the order in which it was begun. Encoding itself costs what a [`CostModel`] says of the bytes that
//! went through each of its stages. Handing bytes to the network costs as well: copying them into a socket, encrypting
//! them, or passing them through another process that tunnels them.
//!
//! What is not charged: hashing all memory at the end, which no hypervisor does, and post-copy's faults themselves.

use std::collections::VecDeque;
use std::num::NonZeroU64;

use longhaul_core::time::{Instant, Span};
use longhaul_hde::{CostModel, DecodeWork, EncodeWork};
use serde::{Deserialize, Serialize};

/// Most threads of one side.
pub const MAX_THREADS: u32 = 256;

/// What one side of a migration may spend.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Cost {
    /// The codec.
    pub codec: CostModel,
    /// Bytes of frames per second that a thread hands to the network, or takes from it; `None` if that costs nothing.
    pub carry: Option<NonZeroU64>,
    /// Threads that encode or decode, 1 to [`MAX_THREADS`].
    pub threads: u32,
}

impl Cost {
    /// What one thread takes to encode a frame of so many bytes and hand it over.
    pub fn encode(&self, work: &EncodeWork, frame_bytes: u64) -> Span {
        Span::from_ns(
            self.codec
                .encode_time(work)
                .saturating_add(self.carrying(frame_bytes)),
        )
    }

    /// What one thread takes to receive a frame of so many bytes and decode it.
    pub fn decode(&self, work: &DecodeWork, frame_bytes: u64) -> Span {
        Span::from_ns(
            self.codec
                .decode_time(work)
                .saturating_add(self.carrying(frame_bytes)),
        )
    }

    fn carrying(&self, bytes: u64) -> u64 {
        self.carry.map_or(0, |rate| {
            let ns = (u128::from(bytes) * 1_000_000_000).div_ceil(u128::from(rate.get()));
            u64::try_from(ns).unwrap_or(u64::MAX)
        })
    }
}

/// Work under way on several threads; it comes out in the order in which it went in.
#[derive(Debug)]
pub(crate) struct Pipeline<T> {
    /// When each thread is free.
    free_at: Vec<Instant>,
    /// What is or will be done, and when.
    items: VecDeque<(Instant, T)>,
    /// Thread time spent.
    busy: Span,
}

impl<T> Pipeline<T> {
    /// A pipeline of so many idle threads.
    pub fn new(threads: u32) -> Pipeline<T> {
        Pipeline {
            free_at: vec![Instant::ZERO; threads as usize],
            items: VecDeque::new(),
            busy: Span::ZERO,
        }
    }

    /// Whether there is a thread for more, and room for what it makes.
    pub fn has_room(&self, now: Instant) -> bool {
        self.items.len() < 2 * self.free_at.len() && self.free_at.iter().any(|at| *at <= now)
    }

    /// Gives an item to the thread that is free first.
    pub fn submit(&mut self, now: Instant, takes: Span, item: T) {
        let thread = self.free_at.iter_mut().min().expect("at least one thread");
        let done = (*thread).max(now).saturating_add(takes);
        *thread = done;
        self.busy = Span::from_ns(self.busy.as_ns().saturating_add(takes.as_ns()));
        self.items.push_back((done, item));
    }

    /// The next item, if it is done.
    pub fn pop(&mut self, now: Instant) -> Option<T> {
        self.items
            .pop_front_if(|(done, _)| *done <= now)
            .map(|(_, item)| item)
    }

    /// When the next item is done, or a thread free for more, after `now`.
    pub fn next_change(&self, now: Instant) -> Option<Instant> {
        let done = self.items.front().map(|(done, _)| *done);
        let free = self.free_at.iter().copied();
        free.chain(done).filter(|at| *at > now).min()
    }

    /// Whether no thread is free.
    pub fn is_busy(&self, now: Instant) -> bool {
        self.free_at.iter().all(|at| *at > now)
    }

    /// When the next item is done.
    pub fn next_done(&self) -> Option<Instant> {
        self.items.front().map(|(done, _)| *done)
    }

    /// What is in it.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.items.iter().map(|(_, item)| item)
    }

    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Drops what is in it.
    pub fn clear(&mut self) {
        self.items.clear();
    }

    /// Thread time spent so far, that of work under way included.
    pub fn busy(&self) -> Span {
        self.busy
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Instant {
        Instant::ZERO + Span::from_ms(ms)
    }

    #[test]
    fn threads_work_side_by_side_and_results_keep_their_order() {
        let mut pipeline = Pipeline::new(2);
        pipeline.submit(at(0), Span::from_ms(10), "slow");
        assert!(pipeline.has_room(at(0)));
        pipeline.submit(at(0), Span::from_ms(2), "quick");
        assert!(!pipeline.has_room(at(0)));
        assert_eq!(pipeline.next_change(at(0)), Some(at(2)));
        assert_eq!(pipeline.pop(at(2)), None, "the slow one is first");
        assert!(pipeline.has_room(at(2)));
        pipeline.submit(at(2), Span::from_ms(4), "third");
        assert_eq!(pipeline.next_change(at(6)), Some(at(10)));
        let done: Vec<_> = std::iter::from_fn(|| pipeline.pop(at(10))).collect();
        assert_eq!(done, ["slow", "quick", "third"]);
        assert_eq!(pipeline.busy(), Span::from_ms(16));
        assert_eq!(pipeline.next_change(at(10)), None);
    }

    #[test]
    fn results_that_nobody_takes_stop_the_threads() {
        let mut pipeline = Pipeline::new(1);
        for _ in 0..2 {
            assert!(pipeline.has_room(at(1)));
            pipeline.submit(at(1), Span::ZERO, ());
        }
        assert!(!pipeline.has_room(at(1)));
    }

    #[test]
    fn carrying_costs_bytes_over_its_rate() {
        let mut cost = Cost {
            codec: CostModel::measured(None),
            carry: NonZeroU64::new(1_000_000),
            threads: 1,
        };
        let nothing = EncodeWork::default();
        assert_eq!(cost.encode(&nothing, 500), Span::from_us(500));
        assert_eq!(cost.decode(&DecodeWork::default(), 1), Span::from_us(1));
        cost.carry = None;
        assert_eq!(cost.encode(&nothing, u64::MAX), Span::ZERO);
    }
}
