//! A peer whose window is closed (RFC 9293 section 3.8.6.1; `tcp_probe_timer`, `tcp_send_probe0`, `tcp_ack_probe`).
//!
//! With nothing in flight no ACK will tell that the window has opened, and the update that did may be lost. So the
//! sender asks: after a retransmission timeout, and then after twice the time before, it repeats the last byte that
//! was acknowledged, without sending it, and the peer answers with its window. If the window has room for less than
//! a packet, the first time sends what fits. A peer that answers is never given up.

use longhaul_core::time::{Instant, Span};

use super::timers::GaveUp;
use super::transmit::{Kind, Outgoing};
use super::{Sender, Turn};
use crate::rtt::MAX_RTO;

/// Least time before the first probe (`TCP_RTO_MIN`).
const LEAST: Span = Span::from_ms(200);
/// Probes without an answer after which the peer is gone (`tcp_retries2`).
const MOST_UNANSWERED: u32 = 15;
/// The same for a sender whose process has ended (`tcp_orphan_retries`).
const MOST_OF_ORPHANS: u32 = 8;
/// Doublings after which the least timeout has passed the longest.
const MOST_DOUBLINGS: u32 = 10;

/// Probes of a closed window.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Persist {
    /// Sent since the peer was last heard.
    unanswered: u32,
    /// How often the time between two has been doubled.
    doublings: u32,
}

impl Persist {
    /// The peer lives.
    pub(super) fn on_ack(&mut self) {
        self.unanswered = 0;
    }
}

impl Sender {
    /// Whether nothing is in flight, and what waits finds no room in the peer's window.
    pub(super) fn is_shut_out(&self) -> bool {
        let end = self.end_of_stream();
        self.board.outstanding() == 0
            && self.nxt < end
            && end.min(self.nxt + u64::from(self.mss)) > self.window_end
    }

    /// Sees to it that the window is looked after.
    pub(super) fn persist(&mut self, now: Instant) {
        if self.timer.is_none() {
            self.set_persist_timer(now, self.rtt.rto().max(LEAST));
        }
    }

    /// An ACK arrived while nothing was in flight: either the window has opened or the next probe is as far away as
    /// the last one was.
    pub(super) fn persist_or_go_on(&mut self, now: Instant) {
        if self.is_shut_out() {
            self.set_persist_timer(now, self.until_next_probe());
        } else if self.is_persisting() {
            self.timer = None;
            self.persist = Persist::default();
        }
    }

    fn until_next_probe(&self) -> Span {
        let doublings = self.persist.doublings.min(MOST_DOUBLINGS);
        let base = self.rtt.rto().max(LEAST);
        base.saturating_mul(1 << doublings).min(MAX_RTO)
    }

    /// # Errors
    /// If the peer has left too many probes without an answer.
    pub(super) fn on_persist_timer(&mut self) -> Result<(), GaveUp> {
        if !self.is_shut_out() {
            self.persist = Persist::default();
        } else if self.persist.unanswered >= self.most_unanswered() {
            return Err(GaveUp);
        } else {
            self.turn = Turn::Window;
        }
        Ok(())
    }

    fn most_unanswered(&self) -> u32 {
        if self.is_orphan {
            MOST_OF_ORPHANS
        } else {
            MOST_UNANSWERED
        }
    }

    /// What fits in the window, or a probe if nothing does (`tcp_write_wakeup`).
    pub(super) fn send_into_window(&mut self, now: Instant) -> Outgoing {
        let end = self.end_of_stream().min(self.window_end);
        if self.nxt < end {
            self.persist = Persist::default();
            let outgoing = Outgoing {
                kind: Kind::One,
                ..self.send_range(now, end)
            };
            self.note_sent();
            return outgoing;
        }
        self.persist.unanswered += 1;
        self.persist.doublings = (self.persist.doublings + 1).min(MOST_UNANSWERED);
        self.set_persist_timer(now, self.until_next_probe());
        Outgoing {
            seq: self.una.saturating_sub(1),
            len: 0,
            packets: 1,
            fin: false,
            kind: Kind::Window,
        }
    }
}
