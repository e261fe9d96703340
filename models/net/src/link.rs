//! A directed link: a jittery delay line, a drop-tail queue, a serialiser and a propagation delay, all FIFO.
//!
//! # The law of motion
//! A frame offered at t that is not lost is *ready* at r = max(r′, t + jitter), starts at s = max(r, e′) and
//! ends at e = s + size / rate, where r′ and e′ belong to the frame before it; it arrives at e + delay. That
//! is what netem does with `delay` and `rate` in one qdisc (`netem_enqueue`: a = max(t + delay + jitter, a′) +
//! size / rate), with the constant delay moved to the end: jitter holds a frame back *before* the
//! serialiser, so a standing queue hides it and it never bunches frames closer than the rate allows.
//!
//! What is offered as one frame stays one: a burst of segmentation offload takes one place in the queue and one
//! draw of the loss law, as it does in a qdisc on the sender's own device.
//!
//! Everything about a frame is known when it is offered, so a link needs no event for the queue or the
//! serialiser: it is a ring of arrivals, and only the first of them stands in the engine's queue.

use std::collections::VecDeque;

use longhaul_core::random::Streams;
use longhaul_core::time::{Instant, Span};
use longhaul_core::units::BitRate;
use thiserror::Error;

use crate::jitter::{Jitter, JitterProcess};
use crate::loss::{LawError, Loss, LossProcess};
use crate::serialiser::Serialiser;
use crate::stats::{Count, Ledger, LinkStats};

/// What a link is like.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LinkSpec {
    /// Rate of the serialiser, above zero. It counts whole frames, as netem does.
    pub rate: BitRate,
    /// One-way propagation delay.
    pub delay: Span,
    /// How much may wait.
    pub queue: QueueLimit,
    /// Loss law, applied before the queue.
    pub loss: Loss,
    /// Jitter law, applied before the queue.
    pub jitter: Jitter,
}

/// Capacity of a drop-tail queue.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum QueueLimit {
    /// At most so many frames wait. A frame that finds the serialiser free need not wait.
    Packets(u32),
    /// At most so many bytes of frames wait. A frame that finds the serialiser free need not wait.
    Bytes(u64),
    /// At most so many frames are inside the link, from the moment they are offered until they arrive. This is
    /// netem's `limit`: a burst may use the room that a half-empty delay line leaves.
    Inside(u32),
}

/// Why a link cannot be built.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum LinkError {
    /// A link that never sends is not a link.
    #[error("a rate of 0 bit/s")]
    ZeroRate,
    /// The loss law contradicts itself.
    #[error(transparent)]
    Loss(#[from] LawError),
}

/// What became of an offered frame.
#[must_use]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Offer {
    /// It will arrive.
    Accepted {
        /// When it will, if no frame is before it: the caller schedules this event. Otherwise one is pending.
        schedule: Option<Instant>,
    },
    /// The loss law took it.
    LostByLaw,
    /// The queue was full.
    DroppedFull,
}

/// A directed link that carries packets of type `P`.
#[derive(Clone, Debug)]
pub struct Link<P> {
    delay: Span,
    limit: QueueLimit,
    loss: LossProcess,
    jitter: JitterProcess,
    serialiser: Serialiser,
    /// When the last frame left the jitter stage.
    last_ready: Instant,
    /// Frames that had not started at `last_ready`.
    waiting: VecDeque<Waiting>,
    waiting_bytes: u64,
    /// All frames inside, the next to arrive first.
    inside: VecDeque<InFlight<P>>,
    stats: LinkStats,
}

#[derive(Clone, Copy, Debug)]
struct Waiting {
    start: Instant,
    frame_bytes: u32,
}

#[derive(Clone, Copy, Debug)]
struct InFlight<P> {
    arrival: Instant,
    frame_bytes: u32,
    packet: P,
}

impl<P: Copy> Link<P> {
    /// An idle link. Its random streams are those of the entity `name` for the purposes `loss` and `jitter`.
    ///
    /// # Errors
    /// If the rate is zero or the loss law contradicts itself.
    pub fn new(spec: &LinkSpec, name: &str, streams: &Streams) -> Result<Link<P>, LinkError> {
        Ok(Link {
            delay: spec.delay,
            limit: spec.queue,
            loss: LossProcess::new(spec.loss, streams.stream(name, "loss"))?,
            jitter: JitterProcess::new(spec.jitter, streams.stream(name, "jitter")),
            serialiser: Serialiser::new(spec.rate).ok_or(LinkError::ZeroRate)?,
            last_ready: Instant::ZERO,
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            inside: VecDeque::new(),
            stats: LinkStats::default(),
        })
    }

    /// Offers a frame of `frame_bytes`, headers included. `now` never goes back.
    ///
    /// A frame that would arrive beyond the representable time is accepted and stays inside for ever.
    pub fn offer(&mut self, now: Instant, packet: P, frame_bytes: u32) -> Offer {
        self.stats.offered.add(frame_bytes);
        if self.loss.lose() {
            self.stats.lost_by_law.add(frame_bytes);
            return Offer::LostByLaw;
        }
        if matches!(self.limit, QueueLimit::Inside(limit) if self.inside.len() >= limit as usize) {
            self.stats.dropped_full.add(frame_bytes);
            return Offer::DroppedFull;
        }
        let ready = now.saturating_add(self.jitter.draw()).max(self.last_ready);
        self.last_ready = ready;
        self.start_waiting_frames(ready);
        let start = self.serialiser.free_at().max(ready);
        let must_wait = start > ready;
        if must_wait && self.is_full(frame_bytes) {
            self.stats.dropped_full.add(frame_bytes);
            return Offer::DroppedFull;
        }
        if must_wait {
            self.waiting.push_back(Waiting { start, frame_bytes });
            self.waiting_bytes += u64::from(frame_bytes);
            self.stats.max_queue_packets = self.stats.max_queue_packets.max(self.waiting.len() as u64);
            self.stats.max_queue_bytes = self.stats.max_queue_bytes.max(self.waiting_bytes);
            self.stats.longest_wait = self.stats.longest_wait.max(start - ready);
        }
        let end = self.serialiser.send(ready, frame_bytes);
        self.stats.first_start.get_or_insert(start);
        let arrival = end.saturating_add(self.delay);
        let schedule = (self.inside.is_empty() && arrival < Instant::MAX).then_some(arrival);
        self.inside.push_back(InFlight {
            arrival,
            frame_bytes,
            packet,
        });
        Offer::Accepted { schedule }
    }

    /// When the next frame arrives, unless the link is empty or that is never.
    #[inline]
    pub fn next_arrival(&self) -> Option<Instant> {
        let first = self.inside.front()?.arrival;
        (first < Instant::MAX).then_some(first)
    }

    /// Takes out the next frame if it has arrived by `now`. The caller then schedules [`Link::next_arrival`].
    #[inline]
    pub fn pop_arrival(&mut self, now: Instant) -> Option<P> {
        if self.next_arrival()? > now {
            return None;
        }
        let first = self.inside.pop_front()?;
        self.stats.delivered.add(first.frame_bytes);
        Some(first.packet)
    }

    /// What the link has done so far.
    pub fn stats(&self) -> &LinkStats {
        &self.stats
    }

    /// How long the serialiser has been sending by `now`. Over the time since
    /// [`first_start`](LinkStats::first_start) it is the utilisation. While jitter holds frames back, the
    /// pauses that they will cause are already taken off.
    pub fn busy_time(&self, now: Instant) -> Span {
        self.serialiser.busy_time(now)
    }

    /// When the serialiser ends, or ended, with the last frame accepted so far.
    pub fn last_end(&self) -> Instant {
        self.serialiser.free_at()
    }

    /// When the frame accepted last leaves the device: with its last bit, but where the delay line belongs to the
    /// device, as netem's does ([`QueueLimit::Inside`]), at its arrival.
    pub fn last_departure(&self) -> Instant {
        match self.limit {
            QueueLimit::Inside(_) => self.inside.back().map_or(Instant::ZERO, |last| last.arrival),
            QueueLimit::Packets(_) | QueueLimit::Bytes(_) => self.last_end(),
        }
    }

    /// Frames and bytes that wait for the serialiser at `now`, the one in transmission not counted. With jitter,
    /// frames that are still held back count from the moment a later frame is ready.
    pub fn queue(&self, now: Instant) -> Count {
        let started = self.waiting.partition_point(|frame| frame.start <= now);
        let mut count = Count::default();
        for frame in self.waiting.range(started..) {
            count.add(frame.frame_bytes);
        }
        count
    }

    /// Where every offered frame is.
    pub fn ledger(&self) -> Ledger {
        let mut inside = Count::default();
        for frame in &self.inside {
            inside.add(frame.frame_bytes);
        }
        Ledger {
            offered: self.stats.offered,
            delivered: self.stats.delivered,
            lost_by_law: self.stats.lost_by_law,
            dropped_full: self.stats.dropped_full,
            inside,
        }
    }

    /// Asserts conservation: what was offered was delivered, lost or dropped, or is inside.
    ///
    /// # Panics
    /// If the books do not balance.
    pub fn check(&self) {
        let ledger = self.ledger();
        assert!(
            ledger.balances(),
            "frames appeared or vanished in a link: {ledger:?}"
        );
    }

    /// Forgets the frames that have started by `ready`.
    fn start_waiting_frames(&mut self, ready: Instant) {
        while let Some(first) = self.waiting.front() {
            if first.start > ready {
                break;
            }
            self.waiting_bytes -= u64::from(first.frame_bytes);
            self.waiting.pop_front();
        }
    }

    /// Whether a frame that must wait finds no room to do so.
    fn is_full(&self, frame_bytes: u32) -> bool {
        match self.limit {
            QueueLimit::Packets(limit) => self.waiting.len() >= limit as usize,
            QueueLimit::Bytes(limit) => self.waiting_bytes + u64::from(frame_bytes) > limit,
            QueueLimit::Inside(_) => false,
        }
    }
}
