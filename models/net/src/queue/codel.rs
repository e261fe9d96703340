//! CoDel, controlled delay (Nichols and Jacobson; RFC 8289), as Linux's `codel` runs it.
//!
//! A queue that empties within an interval is good; one whose *least* delay stays above the target for a whole
//! interval is standing, and CoDel drops from its head, the next drop an interval/√count after the last, until
//! the delay is below the target again.
//!
//! The square root is exact here; Linux approximates it by a step of Newton's method per drop, and is off by a
//! few per cent for the first drops of a sudden burst.

use longhaul_core::time::{Instant, Span};

use super::{Backlog, DropCause, FULL_FRAME, Next, QueueError, Queued, sojourn};
use crate::frame::Frame;
use crate::stats::{Count, LinkStats};

/// Options of CoDel. The default is Linux's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CoDel {
    /// Frames that may wait; one that finds so many is dropped.
    pub limit_packets: u32,
    /// Delay that a queue may have for ever. Linux: 5 ms.
    pub target: Span,
    /// Time in which the delay must fall below the target once; about a worst-case round trip. Linux: 100 ms.
    pub interval: Span,
    /// Whether packets that are ECN-capable are marked rather than dropped.
    pub ecn: bool,
}

impl CoDel {
    /// What `tc qdisc add … codel` gives: 1,000 packets, 5 ms, 100 ms, no ECN.
    pub const LINUX: CoDel = CoDel {
        limit_packets: 1_000,
        target: Span::from_ms(5),
        interval: Span::from_ms(100),
        ecn: false,
    };
}

impl Default for CoDel {
    fn default() -> CoDel {
        CoDel::LINUX
    }
}

/// CoDel's law: its options and where it stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Law {
    pub(super) target: Span,
    pub(super) interval: Span,
    pub(super) ecn: bool,
    /// When the delay will have been above the target for an interval; `None` while it is below.
    above_until: Option<Instant>,
    dropping: bool,
    drop_next: Instant,
    /// Drops since the law began to drop, and what it was when it last began.
    count: u32,
    last_count: u32,
}

impl Law {
    pub(super) fn new(target: Span, interval: Span, ecn: bool) -> Result<Law, QueueError> {
        if interval == Span::ZERO {
            return Err(QueueError::NoInterval);
        }
        Ok(Law {
            target,
            interval,
            ecn,
            above_until: None,
            dropping: false,
            drop_next: Instant::ZERO,
            count: 0,
            last_count: 0,
        })
    }

    /// Forgets where it stands.
    pub(super) fn reset(&mut self) {
        self.above_until = None;
        self.dropping = false;
        self.drop_next = Instant::ZERO;
        self.count = 0;
        self.last_count = 0;
    }

    /// Frames that were dropped for want of room count as drops of the law, as in Linux's `fq_codel`.
    pub(super) fn add_drops(&mut self, drops: u32) {
        self.count = self.count.saturating_add(drops);
    }

    /// The next frame that leaves `queue`.
    pub(super) fn dequeue<P: Frame>(
        &mut self,
        queue: &mut Backlog<P>,
        now: Instant,
        stats: &mut LinkStats,
    ) -> Option<Queued<P>> {
        let Some(mut frame) = queue.pop() else {
            self.dropping = false;
            self.above_until = None;
            return None;
        };
        let stands = self.stands(&frame, queue, now);
        if self.dropping {
            self.dropping = stands;
            while self.dropping && now >= self.drop_next {
                self.count = self.count.saturating_add(1);
                if self.ecn && frame.mark(stats) {
                    self.drop_next = self.after(self.drop_next);
                    break;
                }
                frame.drop(DropCause::Early, stats);
                let Some(next) = queue.pop() else {
                    self.dropping = false;
                    self.above_until = None;
                    return None;
                };
                frame = next;
                if self.stands(&frame, queue, now) {
                    self.drop_next = self.after(self.drop_next);
                } else {
                    self.dropping = false;
                }
            }
        } else if stands {
            self.begin(now);
            if !(self.ecn && frame.mark(stats)) {
                frame.drop(DropCause::Early, stats);
                let Some(next) = queue.pop() else {
                    self.above_until = None;
                    return None;
                };
                frame = next;
                // Keeps `above_until` current; whatever it says, this frame goes.
                let _ = self.stands(&frame, queue, now);
            }
        }
        Some(frame)
    }

    /// Whether the delay has been above the target for a whole interval. A last full frame may always wait.
    fn stands<P>(&mut self, frame: &Queued<P>, rest: &Backlog<P>, now: Instant) -> bool {
        if sojourn(frame, now) < self.target || rest.count().bytes <= u64::from(FULL_FRAME) {
            self.above_until = None;
            return false;
        }
        match self.above_until {
            Some(until) => now > until,
            None => {
                self.above_until = Some(now.saturating_add(self.interval));
                false
            }
        }
    }

    /// Begins to drop. Soon after the last time, at about the pace that held the queue then.
    fn begin(&mut self, now: Instant) {
        let delta = self.count.saturating_sub(self.last_count);
        let recent = now.saturating_since(self.drop_next) < self.interval.saturating_mul(16);
        self.dropping = true;
        self.count = if delta > 1 && recent { delta } else { 1 };
        self.last_count = self.count;
        self.drop_next = self.after(now);
    }

    /// The control law: an interval/√count later.
    fn after(&self, at: Instant) -> Instant {
        let ns = self.interval.as_ns() as f64 / f64::from(self.count.max(1)).sqrt();
        at.saturating_add(Span::from_ns(ns as u64))
    }
}

/// A queue with CoDel.
#[derive(Clone, Debug)]
pub(crate) struct CoDelQueue<P> {
    limit_packets: u32,
    queue: Backlog<P>,
    law: Law,
}

impl<P: Frame> CoDelQueue<P> {
    pub(super) fn new(options: CoDel) -> Result<CoDelQueue<P>, QueueError> {
        Ok(CoDelQueue {
            limit_packets: options.limit_packets,
            queue: Backlog::default(),
            law: Law::new(options.target, options.interval, options.ecn)?,
        })
    }

    pub(super) fn enqueue(&mut self, frame: Queued<P>, stats: &mut LinkStats) -> bool {
        let room = self.queue.count().packets < u64::from(self.limit_packets);
        if room {
            self.queue.push(frame);
        } else {
            frame.drop(DropCause::Full, stats);
        }
        room
    }

    pub(super) fn dequeue(&mut self, now: Instant, stats: &mut LinkStats) -> Next<P> {
        let next = self.law.dequeue(&mut self.queue, now, stats);
        next.map_or(Next::Empty, Next::Frame)
    }

    pub(super) fn reset(&mut self) {
        self.queue = Backlog::default();
        self.law.reset();
    }

    pub(super) fn backlog(&self) -> Count {
        self.queue.count()
    }

    pub(super) fn frames(&self) -> impl Iterator<Item = &Queued<P>> {
        self.queue.frames()
    }
}
