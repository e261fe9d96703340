//! Links and the paths made of them.

use longhaul_core::time::{Instant, Span};
use longhaul_net::jitter::Jitter;
use longhaul_net::link::{LinkSpec, Queue, QueueLimit};

use super::Flow;
use crate::sender::Room;

/// A directed link.
#[derive(Clone, Debug)]
pub(super) struct Carrier {
    pub(super) spec: LinkSpec,
    /// Its queue.
    limit: QueueLimit,
    /// Bytes per second.
    pub(super) capacity: f64,
    /// Flows that have something to send over it, in the order in which they began.
    pub(super) flows: Vec<Crossing>,
    /// Whether they could fill it together.
    pub(super) contended: bool,
    /// Bytes per second in use, and bytes that stand in its queue, when its group was last solved.
    pub(super) used: f64,
    pub(super) queued: f64,
    /// When the bursts of flows that do not fill it have left.
    pub(super) busy_until: Instant,
    /// Of the flows of its group: the rates that their windows want, bytes in flight, lowest and highest RTT in seconds.
    pub(super) wanted: f64,
    pub(super) in_flight: f64,
    pub(super) rtt_s: Option<(f64, f64)>,
    /// How long its queue is, in seconds.
    pub(super) wait_s: f64,
}

/// A flow on a link.
#[derive(Clone, Copy, Debug)]
pub(super) struct Crossing {
    pub(super) flow: Flow,
    /// Most bytes per second that it can use.
    pub(super) potential: f64,
}

/// The links from one region to another.
#[derive(Clone, Debug)]
pub(super) struct Path {
    pub(super) links: Box<[u32]>,
    /// Propagation and mean jitter.
    pub(super) delay: Span,
    /// The slowest link, the first if several are.
    pub(super) slowest: u32,
    /// Connections opened over it so far.
    pub(super) opened: u32,
}

impl Path {
    /// How long its queues are together, in seconds.
    pub(super) fn wait(&self, links: &[Carrier]) -> f64 {
        self.links.iter().map(|link| links[*link as usize].wait_s).sum()
    }

    /// The link with a queue, if there is one.
    pub(super) fn slowest_queue(&self, links: &[Carrier]) -> Option<u32> {
        self.links
            .iter()
            .copied()
            .find(|link| links[*link as usize].wait_s > 0.0)
    }
}

impl Carrier {
    /// # Panics
    /// If the queue is no drop-tail one: see [`crate::limits`].
    pub(super) fn new(spec: LinkSpec) -> Carrier {
        let Queue::Fifo(limit) = spec.queue else {
            unreachable!("the network checked its links")
        };
        Carrier {
            capacity: spec.rate.as_bits_per_s() as f64 / 8.0,
            limit,
            spec,
            flows: Vec::new(),
            contended: false,
            used: 0.0,
            queued: 0.0,
            busy_until: Instant::ZERO,
            wanted: 0.0,
            in_flight: 0.0,
            rtt_s: None,
            wait_s: 0.0,
        }
    }

    /// Finds out anew whether the flows could fill the link. Returns whether the answer has changed.
    pub(super) fn judge(&mut self) -> bool {
        let potential: f64 = self.flows.iter().map(|crossing| crossing.potential).sum();
        let contended = self.flows.len() > 1 && potential > self.capacity;
        std::mem::replace(&mut self.contended, contended) != contended
    }

    /// Room in the queue for a flow with segments of `frame` bytes beside `others` bytes. `own_device` says that a
    /// burst is one frame here.
    pub(super) fn room(&self, frame: f64, others: f64, own_device: bool) -> Room {
        let frames = |limit: u32| {
            if own_device {
                (f64::from(limit), -others)
            } else {
                (0.0, f64::from(limit) * frame - others)
            }
        };
        let (frames, bytes) = match self.limit {
            QueueLimit::Packets(limit) | QueueLimit::Inside(limit) => frames(limit),
            QueueLimit::Bytes(limit) => (0.0, limit as f64 - others),
        };
        Room {
            frames,
            bytes,
            line_s: self.line_s(),
        }
    }

    /// Seconds of traffic on the way that the limit counts.
    pub(super) fn line_s(&self) -> f64 {
        match self.limit {
            QueueLimit::Inside(_) => self.spec.delay.as_ns() as f64 / 1e9,
            QueueLimit::Packets(_) | QueueLimit::Bytes(_) => 0.0,
        }
    }
}

/// Time that jitter adds on average.
pub(super) fn mean_jitter(jitter: &Jitter) -> Span {
    match jitter {
        Jitter::None => Span::ZERO,
        Jitter::Uniform { max } => *max / 2,
        // The tables have a mean near zero; what the cut at zero adds is taken to be as in a normal law.
        Jitter::Normal { mean, sd }
        | Jitter::Pareto { mean, sd }
        | Jitter::ParetoNormal { mean, sd }
        | Jitter::Table { mean, sd, .. } => {
            // The mean of a normal law whose negative values are zero.
            let (mean, sd) = (mean.as_ns() as f64, sd.as_ns() as f64);
            if sd == 0.0 {
                return Span::from_ns(mean as u64);
            }
            let z = mean / sd;
            let density = libm::exp(-z * z / 2.0) / (2.0 * std::f64::consts::PI).sqrt();
            let below = 0.5 * (1.0 + libm::erf(z / std::f64::consts::SQRT_2));
            Span::from_ns((mean * below + sd * density) as u64)
        }
    }
}
