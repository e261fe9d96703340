//! Queue disciplines: what waits, how much of it, and who goes first.
//!
//! A drop-tail queue decides when a frame is offered; a link with one needs no event for it. The others decide
//! when the serialiser is free: CoDel drops by how long a frame *has* waited, FQ-CoDel and HTB choose among
//! flows and classes.

mod codel;
mod fq_codel;
mod htb;

use std::collections::VecDeque;
use std::sync::Arc;

use longhaul_core::time::{Instant, Span};
use thiserror::Error;

pub use crate::queue::codel::CoDel;
pub use crate::queue::fq_codel::FqCoDel;
pub use crate::queue::htb::{Htb, HtbClass};

use crate::frame::Frame;
use crate::queue::codel::CoDelQueue;
use crate::queue::fq_codel::FqCoDelQueue;
use crate::queue::htb::HtbQueue;
use crate::stats::{Count, LinkStats};

/// A queue discipline with its options.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Queue {
    /// First in, first out; a frame that finds it full is dropped.
    Fifo(QueueLimit),
    /// First in, first out, with CoDel (RFC 8289) against standing queues.
    CoDel(CoDel),
    /// Flows kept apart, each with its own CoDel (RFC 8290).
    FqCoDel(FqCoDel),
    /// Classes with guaranteed rates that lend each other what they do not use, as Linux's `htb`.
    Htb(Arc<Htb>),
}

/// Capacity of a drop-tail queue.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum QueueLimit {
    /// At most so many frames wait. A frame that finds the serialiser free need not wait.
    Packets(u32),
    /// At most so many bytes of frames wait. A frame that finds the serialiser free need not wait.
    Bytes(u64),
    /// At most so many frames are inside the link, from the moment they are offered until they arrive. This is
    /// netem's `limit`: a burst may use the room that a half-empty delay line leaves. Frames of background
    /// traffic count as long as they wait.
    Inside(u32),
}

/// Why a queue cannot be built.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum QueueError {
    /// CoDel measures the least delay of an interval.
    #[error("CoDel needs an interval above zero")]
    NoInterval,
    /// FQ-CoDel needs somewhere to put a packet.
    #[error("FQ-CoDel needs between 1 and {} flows", FqCoDel::MOST_FLOWS)]
    Flows,
    /// Rounds of so little would only spin.
    #[error("FQ-CoDel needs a quantum of at least {} bytes", FqCoDel::LEAST_QUANTUM)]
    SmallQuantum,
    /// A class that may send nothing per turn.
    #[error("HTB class {0} has a quantum of 0 bytes")]
    NoQuantum(u8),
    /// HTB needs at least one class, and at most one of each number.
    #[error("HTB needs between 1 and 256 classes, each number once")]
    Classes,
    /// The class for packets of unknown classes is not in the list.
    #[error("HTB's default class {0} does not exist")]
    NoDefaultClass(u8),
    /// A class that may not send.
    #[error("HTB class {0} has a rate of 0 bit/s")]
    NoRate(u8),
    /// A ceiling below the guaranteed rate.
    #[error("HTB class {0} has a ceiling below its rate")]
    CeilBelowRate(u8),
    /// A bucket that holds nothing never lets anything out.
    #[error("HTB class {0} has a burst of 0 bytes")]
    NoBurst(u8),
    /// Only a queue of packets or bytes can stand in front of a class.
    #[error("HTB class {0}: the limit of a class counts packets or bytes that wait")]
    LimitInside(u8),
    /// The root lends nothing.
    #[error("HTB's root has a rate or a burst of 0")]
    EmptyRoot,
}

/// A frame in a queue that decides when the serialiser is free.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Queued<P> {
    pub(crate) enqueued: Instant,
    pub(crate) frame_bytes: u32,
    pub(crate) flow: u64,
    pub(crate) class: u8,
    /// Whether this link damaged it.
    pub(crate) damaged: bool,
    /// `None` for background traffic.
    pub(crate) packet: Option<P>,
}

/// Why a queue dropped a frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum DropCause {
    /// No room.
    Full,
    /// CoDel's law.
    Early,
}

/// What a queue has to say when the serialiser is free.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Next<P> {
    /// This frame goes.
    Frame(Queued<P>),
    /// Something waits, but nothing may go before then.
    NotBefore(Instant),
    /// Nothing waits.
    Empty,
}

impl<P: Frame> Queued<P> {
    /// Enters the drop in the books.
    pub(crate) fn drop(&self, cause: DropCause, stats: &mut LinkStats) {
        let foreign = self.packet.is_none();
        let count = match (cause, foreign) {
            (DropCause::Full, false) => &mut stats.dropped_full,
            (DropCause::Early, false) => &mut stats.dropped_early,
            (DropCause::Full, true) => &mut stats.background.dropped_full,
            (DropCause::Early, true) => &mut stats.background.dropped_early,
        };
        count.add(self.frame_bytes);
    }

    /// Marks it instead of dropping it, if it may be marked. Background traffic may not.
    pub(crate) fn mark(&mut self, stats: &mut LinkStats) -> bool {
        let Some(packet) = self.packet.as_mut().filter(|packet| packet.ecn_capable()) else {
            return false;
        };
        packet.mark_congestion();
        stats.marked.add(self.frame_bytes);
        true
    }
}

/// A queue that decides when the serialiser is free.
#[derive(Clone, Debug)]
pub(crate) enum Discipline<P> {
    CoDel(CoDelQueue<P>),
    FqCoDel(FqCoDelQueue<P>),
    Htb(Box<HtbQueue<P>>),
}

impl<P: Frame> Discipline<P> {
    /// The discipline of this kind; `None` for a drop-tail queue, which needs none. `salt` spreads flows.
    pub(crate) fn new(queue: &Queue, salt: u64) -> Result<Option<Discipline<P>>, QueueError> {
        Ok(Some(match queue {
            Queue::Fifo(_) => return Ok(None),
            Queue::CoDel(options) => Discipline::CoDel(CoDelQueue::new(*options)?),
            Queue::FqCoDel(options) => Discipline::FqCoDel(FqCoDelQueue::new(*options, salt)?),
            Queue::Htb(options) => Discipline::Htb(Box::new(HtbQueue::new(options)?)),
        }))
    }

    /// Takes a frame in. Returns whether it was; what is dropped, this frame or others, is in the books.
    pub(crate) fn enqueue(&mut self, frame: Queued<P>, stats: &mut LinkStats) -> bool {
        match self {
            Discipline::CoDel(queue) => queue.enqueue(frame, stats),
            Discipline::FqCoDel(queue) => queue.enqueue(frame, stats),
            Discipline::Htb(queue) => queue.enqueue(frame, stats),
        }
    }

    /// What goes next, now that the serialiser is free.
    pub(crate) fn dequeue(&mut self, now: Instant, stats: &mut LinkStats) -> Next<P> {
        match self {
            Discipline::CoDel(queue) => queue.dequeue(now, stats),
            Discipline::FqCoDel(queue) => queue.dequeue(now, stats),
            Discipline::Htb(queue) => queue.dequeue(now),
        }
    }

    /// Forgets every frame and where its law stands, as Linux's `qdisc_reset`.
    pub(crate) fn reset(&mut self) {
        match self {
            Discipline::CoDel(queue) => queue.reset(),
            Discipline::FqCoDel(queue) => queue.reset(),
            Discipline::Htb(queue) => queue.reset(),
        }
    }

    /// Frames that wait, background traffic included.
    pub(crate) fn backlog(&self) -> Count {
        match self {
            Discipline::CoDel(queue) => queue.backlog(),
            Discipline::FqCoDel(queue) => queue.backlog(),
            Discipline::Htb(queue) => queue.backlog(),
        }
    }

    /// Every frame that waits.
    pub(crate) fn frames(&self) -> Box<dyn Iterator<Item = &Queued<P>> + '_> {
        match self {
            Discipline::CoDel(queue) => Box::new(queue.frames()),
            Discipline::FqCoDel(queue) => Box::new(queue.frames()),
            Discipline::Htb(queue) => Box::new(queue.frames()),
        }
    }
}

/// Frames in order, with their bytes.
#[derive(Clone, Debug)]
pub(crate) struct Backlog<P> {
    frames: VecDeque<Queued<P>>,
    bytes: u64,
}

impl<P> Default for Backlog<P> {
    fn default() -> Backlog<P> {
        Backlog {
            frames: VecDeque::new(),
            bytes: 0,
        }
    }
}

impl<P> Backlog<P> {
    pub(crate) fn push(&mut self, frame: Queued<P>) {
        self.bytes += u64::from(frame.frame_bytes);
        self.frames.push_back(frame);
    }

    pub(crate) fn pop(&mut self) -> Option<Queued<P>> {
        let frame = self.frames.pop_front()?;
        self.bytes -= u64::from(frame.frame_bytes);
        Some(frame)
    }

    pub(crate) fn count(&self) -> Count {
        Count {
            packets: self.frames.len() as u64,
            bytes: self.bytes,
        }
    }

    pub(crate) fn frames(&self) -> impl Iterator<Item = &Queued<P>> {
        self.frames.iter()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }
}

/// Bytes of a full Ethernet frame: what may always wait, however long it takes.
const FULL_FRAME: u32 = 1_514;

/// How long `frame` has waited.
fn sojourn<P>(frame: &Queued<P>, now: Instant) -> Span {
    now.saturating_since(frame.enqueued)
}
