//! Drop-tail: a frame's fate is known when it is offered, so no event is needed for the queue or the serialiser.

use std::collections::VecDeque;

use longhaul_core::time::Instant;

use super::service::Service;
use crate::queue::QueueLimit;
use crate::stats::{Count, LinkStats};

/// A drop-tail queue, as a list of the times at which its frames start.
#[derive(Clone, Debug)]
pub(super) struct Ring {
    limit: QueueLimit,
    /// When the last frame left the jitter stage.
    last_ready: Instant,
    /// Frames that had not started at `last_ready`.
    waiting: VecDeque<Waiting>,
    waiting_bytes: u64,
    /// How many of them are background traffic.
    waiting_foreign: usize,
}

#[derive(Clone, Copy, Debug)]
struct Waiting {
    start: Instant,
    frame_bytes: u32,
    foreign: bool,
}

impl Ring {
    pub(super) fn new(limit: QueueLimit) -> Ring {
        Ring {
            limit,
            last_ready: Instant::ZERO,
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            waiting_foreign: 0,
        }
    }

    /// Whether the limit counts everything inside the link.
    pub(super) fn counts_inside(&self) -> bool {
        matches!(self.limit, QueueLimit::Inside(_))
    }

    /// Whether a limit on the whole link refuses a frame when `inside` are in it.
    #[inline]
    pub(super) fn refuses(&self, inside: usize) -> bool {
        match self.limit {
            QueueLimit::Inside(limit) => inside + self.waiting_foreign >= limit as usize,
            QueueLimit::Packets(_) | QueueLimit::Bytes(_) => false,
        }
    }

    /// Takes a frame in that jitter holds back until `ready`; returns when it is out of the serialiser, `None`
    /// if the queue is full.
    #[inline]
    pub(super) fn admit(
        &mut self,
        service: &mut Service,
        stats: &mut LinkStats,
        ready: Instant,
        frame_bytes: u32,
        foreign: bool,
    ) -> Option<Instant> {
        let ready = ready.max(self.last_ready);
        self.last_ready = ready;
        self.start_waiting_frames(ready);
        let start = service.start(ready);
        let must_wait = start > ready;
        if must_wait && self.is_full(frame_bytes) {
            return None;
        }
        if must_wait {
            self.waiting.push_back(Waiting {
                start,
                frame_bytes,
                foreign,
            });
            self.waiting_bytes += u64::from(frame_bytes);
            self.waiting_foreign += usize::from(foreign);
            stats.max_queue_packets = stats.max_queue_packets.max(self.waiting.len() as u64);
            stats.max_queue_bytes = stats.max_queue_bytes.max(self.waiting_bytes);
            stats.longest_wait = stats.longest_wait.max(start - ready);
        }
        stats.first_start.get_or_insert(start);
        Some(service.send(ready, frame_bytes))
    }

    /// Frames and bytes that wait at `now`.
    pub(super) fn queue(&self, now: Instant) -> Count {
        let started = self.waiting.partition_point(|frame| frame.start <= now);
        let mut count = Count::default();
        for frame in self.waiting.range(started..) {
            count.add(frame.frame_bytes);
        }
        count
    }

    /// Forgets everything that has not started at `now`; returns what of it was background traffic.
    pub(super) fn flush(&mut self, now: Instant) -> Count {
        let mut foreign = Count::default();
        for frame in self.waiting.drain(..) {
            if frame.foreign && frame.start > now {
                foreign.add(frame.frame_bytes);
            }
        }
        self.waiting_bytes = 0;
        self.waiting_foreign = 0;
        self.last_ready = self.last_ready.min(now);
        foreign
    }

    /// Forgets the frames that have started by `ready`.
    #[inline]
    fn start_waiting_frames(&mut self, ready: Instant) {
        while let Some(first) = self.waiting.front() {
            if first.start > ready {
                break;
            }
            self.waiting_bytes -= u64::from(first.frame_bytes);
            self.waiting_foreign -= usize::from(first.foreign);
            self.waiting.pop_front();
        }
    }

    /// Whether a frame that must wait finds no room to do so.
    #[inline]
    fn is_full(&self, frame_bytes: u32) -> bool {
        match self.limit {
            QueueLimit::Packets(limit) => self.waiting.len() >= limit as usize,
            QueueLimit::Bytes(limit) => self.waiting_bytes + u64::from(frame_bytes) > limit,
            QueueLimit::Inside(_) => false,
        }
    }
}
