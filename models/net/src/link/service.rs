//! What sends the frames: a serialiser at a constant rate, one whose rate changes, or opportunities to deliver.
//! All three are first-in first-out and know their future, so a frame's end is known when it is handed over.

use std::sync::Arc;

use longhaul_core::time::{Instant, Span};

use super::serialiser::Serialiser;
use super::spec::{LinkError, LinkSpec};
use super::stepped::Stepped;
use crate::trace::DeliveryTrace;

/// The sender of a link.
#[derive(Clone, Debug)]
pub(super) enum Service {
    Constant(Serialiser),
    Stepped(Box<Stepped>),
    Opportunities(Box<Opportunities>),
}

impl Service {
    pub(super) fn new(spec: &LinkSpec) -> Result<Service, LinkError> {
        let rates = spec.changes.steps.as_ref();
        let rates = rates.and_then(|steps| steps.course(spec.rate, |step| step.rate));
        if let Some(trace) = &spec.changes.delivery {
            if spec.rate.as_bits_per_s() > 0 || rates.is_some() {
                return Err(LinkError::RateBesideTrace);
            }
            return Ok(Service::Opportunities(Box::new(Opportunities::new(trace))));
        }
        if let Some(rates) = rates {
            let stepped = Stepped::new(rates).ok_or(LinkError::ZeroRate)?;
            return Ok(Service::Stepped(Box::new(stepped)));
        }
        Serialiser::new(spec.rate)
            .map(Service::Constant)
            .ok_or(LinkError::ZeroRate)
    }

    /// When all frames handed over so far are out.
    #[inline]
    pub(super) fn free_at(&self) -> Instant {
        match self {
            Service::Constant(serialiser) => serialiser.free_at(),
            Service::Stepped(stepped) => stepped.free_at(),
            Service::Opportunities(opportunities) => opportunities.end,
        }
    }

    /// When a frame that is ready at `ready` would start.
    #[inline]
    pub(super) fn start(&self, ready: Instant) -> Instant {
        match self {
            Service::Opportunities(opportunities) => opportunities.start(ready),
            Service::Constant(_) | Service::Stepped(_) => self.free_at().max(ready),
        }
    }

    /// Sends a frame that is ready at `ready`; returns when it is out.
    #[inline]
    pub(super) fn send(&mut self, ready: Instant, frame_bytes: u32) -> Instant {
        match self {
            Service::Constant(serialiser) => serialiser.send(ready, frame_bytes),
            Service::Stepped(stepped) => stepped.send(ready, frame_bytes),
            Service::Opportunities(opportunities) => opportunities.send(ready, frame_bytes),
        }
    }

    /// Forgets what is not out at `now`: it is free from then on.
    pub(super) fn cut(&mut self, now: Instant) {
        match self {
            Service::Constant(serialiser) => serialiser.cut(now),
            Service::Stepped(stepped) => stepped.cut(now),
            Service::Opportunities(opportunities) => opportunities.cut(now),
        }
    }

    /// How long it has been busy by `now`. Outages and the wait for an opportunity count while a frame is at it.
    pub(super) fn busy_time(&self, now: Instant) -> Span {
        match self {
            Service::Constant(serialiser) => serialiser.busy_time(now),
            Service::Stepped(stepped) => stepped.busy.time(now),
            Service::Opportunities(opportunities) => opportunities.busy.time(now),
        }
    }
}

/// Time spent with something to send: closed periods, and the one that is still open.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Busy {
    before: Span,
    since: Instant,
    until: Instant,
}

impl Busy {
    /// Something to send from `from` until `until`; calls come in order.
    pub(super) fn add(&mut self, from: Instant, until: Instant) {
        if from > self.until {
            self.before = self.before.saturating_add(self.until - self.since);
            self.since = from;
        }
        self.until = until;
    }

    /// Nothing is left to send from `now` on.
    pub(super) fn cut(&mut self, now: Instant) {
        self.until = self.until.min(now);
        self.since = self.since.min(self.until);
    }

    fn time(&self, now: Instant) -> Span {
        let open = self.until.min(now).saturating_since(self.since);
        self.before.saturating_add(open)
    }
}

/// Delivers by opportunities, as mahimahi does: each is worth some bytes, of one frame or several, and what no
/// frame uses is lost.
#[derive(Clone, Debug)]
pub(super) struct Opportunities {
    trace: Arc<DeliveryTrace>,
    /// Number of the opportunity that the last frame ended in, and what is left of it.
    number: u128,
    left: u32,
    /// When the last frame was out.
    end: Instant,
    busy: Busy,
}

impl Opportunities {
    fn new(trace: &Arc<DeliveryTrace>) -> Opportunities {
        Opportunities {
            trace: Arc::clone(trace),
            number: 0,
            left: trace.opportunity_bytes(),
            end: Instant::ZERO,
            busy: Busy::default(),
        }
    }

    /// The opportunity in which a frame that is ready at `ready` starts, and what that has left.
    fn first(&self, ready: Instant) -> (u128, u32) {
        let whole = self.trace.opportunity_bytes();
        let first = self.trace.first_from(ready);
        if first > self.number {
            (first, whole)
        } else if self.left > 0 {
            (self.number, self.left)
        } else {
            (self.number + 1, whole)
        }
    }

    fn start(&self, ready: Instant) -> Instant {
        self.trace.time_of(self.first(ready).0)
    }

    /// Gives back the opportunities from `now` on.
    fn cut(&mut self, now: Instant) {
        if self.end <= now {
            return;
        }
        // None of those before is left; the first from now on is whole.
        let next = self.trace.first_from(now);
        (self.number, self.left) = match next.checked_sub(1) {
            Some(last) => (last, 0),
            None => (0, self.trace.opportunity_bytes()),
        };
        self.end = now;
        self.busy.cut(now);
    }

    fn send(&mut self, ready: Instant, frame_bytes: u32) -> Instant {
        let (first, left) = self.first(ready);
        let whole = self.trace.opportunity_bytes();
        let beyond = frame_bytes.saturating_sub(left);
        let more = beyond.div_ceil(whole);
        self.number = first + u128::from(more);
        // What the last of them does not need; without more of them, what the first does not.
        self.left = if more == 0 {
            left - frame_bytes
        } else {
            whole - (beyond - (more - 1) * whole)
        };
        self.end = self.trace.time_of(self.number);
        self.busy.add(ready, self.end);
        self.end
    }
}
