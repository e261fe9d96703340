//! The queue of the sender's own device, which unlike a router's talks to the sender.

use longhaul_core::time::Instant;

use super::timers::LOCAL_PAUSE;
use super::transmit::Kind;
use super::{Sender, Turn};

impl Sender {
    /// The queue of the sender's own device refused the segment that was polled last: as in Linux, what it
    /// carried counts as not sent, the window is reduced once per round trip (`tcp_enter_cwr`), and nothing more
    /// leaves until an ACK or a timer gives another reason.
    pub(crate) fn on_local_drop(&mut self, now: Instant) {
        self.counts.local_drops += 1;
        let Some(refused) = self.last.take() else {
            self.enter_reduced();
            return;
        };
        self.turn = Turn::Idle;
        self.pace_after_refusal(refused.packets, u64::from(refused.len));
        match refused.kind {
            Kind::New => {
                self.nxt = self.board.take_back(refused.packets);
                self.turn_packets -= refused.packets;
                self.enter_reduced();
                self.end_turn(now, false);
                if self.board.outstanding() == 0 {
                    // No ACK will come to try again.
                    self.set_full_timeout(now);
                }
            }
            Kind::One => {
                self.nxt = self.board.take_back(refused.packets);
                self.enter_reduced();
                if self.board.outstanding() == 0 {
                    self.retry_later(now);
                } else {
                    self.probe = None;
                    self.wait_for_timeout(now);
                }
            }
            Kind::Lost(number) => {
                self.board.retransmission_failed(number, refused.packets);
                self.reduction.sent = self.reduction.sent.saturating_sub(refused.packets);
                self.enter_reduced();
            }
            Kind::Oldest(number) => {
                self.board.retransmission_failed(number, refused.packets);
                self.enter_reduced();
                self.retry_later(now);
            }
            Kind::Probe => {
                self.probe = None;
                self.enter_reduced();
            }
            Kind::Window => self.set_persist_timer(now, LOCAL_PAUSE),
        }
    }

    /// The sender's own queue holds the segment that was polled last until `until`.
    pub(crate) fn on_local_queue(&mut self, until: Instant) {
        let Some(last) = self.last else { return };
        let number = match last.kind {
            Kind::Lost(number) | Kind::Oldest(number) => number,
            Kind::Window => return,
            Kind::New | Kind::One | Kind::Probe => self.board.numbers().end - u64::from(last.packets),
        };
        self.board.mark_queued(number, last.packets, until);
    }

    /// Whether the last copy of this packet is still in the sender's own queue: then another would be a waste.
    pub(super) fn is_queued(&self, number: u64, now: Instant) -> bool {
        self.board.is_queued(number, now)
    }
}
