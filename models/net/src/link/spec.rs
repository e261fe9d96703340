//! What a link is like, and why some descriptions are refused.

use std::sync::Arc;

use longhaul_core::time::Span;
use longhaul_core::units::{BitRate, Probability};
use thiserror::Error;

use crate::background::{Background, BackgroundError};
use crate::course::Steps;
use crate::jitter::Jitter;
use crate::loss::{LawError, Loss};
use crate::queue::{Queue, QueueError, QueueLimit};
use crate::trace::DeliveryTrace;

/// Longest IP packet of Ethernet, in bytes.
pub const ETHERNET_MTU: u32 = 1_500;

/// What a link is like.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LinkSpec {
    /// Rate of the serialiser at the start. It counts whole frames, as netem does. Above zero, unless a later
    /// step raises it; zero with a delivery trace, which takes the serialiser's place.
    pub rate: BitRate,
    /// One-way propagation delay at the start.
    pub delay: Span,
    /// What it costs to use, where routes count costs; at most [`longhaul_routing::MAX_WEIGHT`].
    pub cost: u64,
    /// Longest IP packet that it carries, in bytes; longer ones are lost without a word.
    pub mtu: u32,
    /// What waits, how much of it, and who goes first.
    pub queue: Queue,
    /// Loss law at the start, applied before the queue.
    pub loss: Loss,
    /// Jitter law. A frame is held back before the queue and keeps its order, unless `reorder` is set.
    pub jitter: Jitter,
    /// Whether frames may overtake each other: each is then delayed on its own *after* the serialiser, as in a
    /// netem without a rate, whose queue is sorted by the time to send.
    pub reorder: bool,
    /// Probability that a frame is offered twice. As in netem, the copy meets the loss law and the queue on its
    /// own and is not copied again; a frame that is both copied and lost passes once.
    pub duplicate: Probability,
    /// Probability that a frame is damaged: it takes its place, travels on, and the receiving host discards it.
    pub corrupt: Probability,
    /// What changes over time.
    pub changes: Changes,
    /// Traffic of others in the same queue.
    pub background: Option<Background>,
}

/// How a link changes over time. The default is a link that does not.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Changes {
    /// New rates, delays and loss laws at given times.
    pub steps: Option<Arc<Steps>>,
    /// Opportunities to deliver, in place of a rate.
    pub delivery: Option<Arc<DeliveryTrace>>,
}

impl LinkSpec {
    /// A link with a drop-tail queue and nothing else: no loss, no jitter, no change, no other traffic.
    pub const fn fifo(rate: BitRate, delay: Span, limit: QueueLimit) -> LinkSpec {
        LinkSpec {
            rate,
            delay,
            cost: 0,
            mtu: ETHERNET_MTU,
            queue: Queue::Fifo(limit),
            loss: Loss::None,
            jitter: Jitter::None,
            reorder: false,
            duplicate: Probability::ZERO,
            corrupt: Probability::ZERO,
            changes: Changes {
                steps: None,
                delivery: None,
            },
            background: None,
        }
    }

    /// A link that offers `trace`'s opportunities in place of a rate; otherwise as [`LinkSpec::fifo`].
    pub fn cellular(trace: Arc<DeliveryTrace>, delay: Span, limit: QueueLimit) -> LinkSpec {
        LinkSpec {
            changes: Changes {
                steps: None,
                delivery: Some(trace),
            },
            ..LinkSpec::fifo(BitRate::from_bits_per_s(0), delay, limit)
        }
    }

    /// The largest mean rate that the link can carry over time: the constant rate, or the mean over the period
    /// of its steps or trace. `None` if steps change the rate once and for all.
    pub fn mean_rate(&self) -> Option<BitRate> {
        if let Some(trace) = &self.changes.delivery {
            return Some(trace.mean_rate());
        }
        match &self.changes.steps {
            None => Some(self.rate),
            Some(steps) => steps.mean_rate(self.rate),
        }
    }
}

/// Why a link cannot be built.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum LinkError {
    /// A link that never sends is not a link.
    #[error("a rate of 0 bit/s")]
    ZeroRate,
    /// A delivery trace says when frames may leave; a rate or steps of it would say it again.
    #[error("a rate beside a delivery trace: the trace is the rate")]
    RateBesideTrace,
    /// A loss law contradicts itself.
    #[error(transparent)]
    Loss(#[from] LawError),
    /// The queue cannot be built.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// The other traffic contradicts itself.
    #[error(transparent)]
    Background(#[from] BackgroundError),
}
