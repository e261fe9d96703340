//! From Open to Loss and back: `tcp_fastretrans_alert`, with proportional rate reduction (RFC 6937).

use longhaul_core::time::Instant;

use super::Sender;
use super::ack::Findings;
use super::packet::Mark;
use super::undo::Resume;

/// What the sender believes of the network (`icsk_ca_state`).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Phase {
    /// All is well.
    Open,
    /// Something arrived out of order; nothing is known to be lost.
    Disorder,
    /// The window shrinks for another reason than a loss in the network: the local queue refused a packet, or a
    /// queue on the way marked one.
    Reduced,
    /// Something is lost and the window shrinks.
    Recovery,
    /// A retransmission timeout: the window starts again from one packet.
    Loss,
}

/// State of the window while it shrinks.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Reduction {
    /// The phase ends when this number is acknowledged.
    pub(super) high: u64,
    /// The window before.
    pub(super) prior_cwnd: u32,
    delivered: u32,
    /// Packets sent since the phase began.
    pub(super) sent: u32,
}

impl Sender {
    /// The window follows the reduction and not the controller.
    pub(super) fn is_reducing(&self) -> bool {
        matches!(self.phase, Phase::Reduced | Phase::Recovery)
    }

    /// `tcp_init_cwnd_reduction`.
    fn start_reduction(&mut self) {
        self.reduction = Reduction {
            high: self.nxt,
            prior_cwnd: self.window.cwnd.max(1),
            delivered: 0,
            sent: 0,
        };
        self.probe = None;
        self.window.credit = 0;
        self.window.ssthresh = self.congestion.ssthresh(&self.window);
        self.reduction_notice = true;
    }

    /// `tcp_end_cwnd_reduction`; one that was taken back has left the window as it should be.
    fn end_reduction(&mut self, now: Instant) {
        if self.congestion.rules_window() {
            return;
        }
        if self.phase == Phase::Reduced || self.undo.is_reduced() {
            self.window.cwnd = self.window.ssthresh;
            self.usage.full_at = now;
        }
    }

    /// The local queue refused a packet, or a queue on the way marked one (`tcp_enter_cwr`).
    pub(super) fn enter_reduced(&mut self) {
        self.undo.forget_window();
        if self.phase < Phase::Reduced {
            self.undo.forget();
            self.start_reduction();
            self.phase = Phase::Reduced;
        }
    }

    pub(super) fn enter_recovery(&mut self) {
        let ssthresh = (!self.is_reducing()).then(|| self.window.remembered_ssthresh());
        self.remember_for_undo(ssthresh);
        if !self.is_reducing() {
            self.start_reduction();
        }
        self.phase = Phase::Recovery;
        self.counts.fast_recoveries += 1;
    }

    /// A retransmission timeout (`tcp_enter_loss`).
    pub(super) fn enter_loss(&mut self, now: Instant) {
        self.rack.mark_all_lost(&mut self.board, now);
        let already_reduced = match self.phase {
            Phase::Open | Phase::Disorder => false,
            Phase::Reduced | Phase::Recovery => self.reduction.high > self.una,
            Phase::Loss => self.reduction.high > self.una && self.timeouts > 0,
        };
        if !already_reduced {
            let ssthresh = if self.is_reducing() {
                self.window.ssthresh
            } else {
                self.window.remembered_ssthresh()
            };
            self.reduction.prior_cwnd = self.window.cwnd;
            self.window.ssthresh = self.congestion.ssthresh(&self.window);
            self.remember_for_undo(Some(ssthresh));
        }
        self.congestion.on_timeout(now, self.nxt);
        self.tell_control_of_timeout(now);
        self.window.cwnd = self.in_flight() + 1;
        self.window.credit = 0;
        self.usage.full_at = now;
        if self.phase <= Phase::Disorder {
            self.rack.distrust_reordering(self.board.sacked_out());
        }
        self.doubt_timeout(self.phase);
        self.phase = Phase::Loss;
        self.reduction.high = self.nxt;
        self.reduction_notice = true;
    }

    /// What an ACK means for the phase, and what may be sent now.
    pub(super) fn follow_phase(&mut self, now: Instant, findings: &mut Findings) -> Resume {
        if self.phase == Phase::Open {
            self.undo.on_repaired();
        } else if self.una >= self.reduction.high {
            match self.phase {
                // Strictly above, so that the reduction covers at least one round trip.
                Phase::Reduced if self.una > self.reduction.high => {
                    self.end_reduction(now);
                    self.phase = Phase::Open;
                }
                Phase::Recovery => {
                    self.finish_recovery(now, findings);
                    self.end_reduction(now);
                }
                _ => {}
            }
        }
        match self.phase {
            Phase::Recovery => {
                if findings.una_advanced && self.undo_partially(now, findings) {
                    return Resume::New;
                }
                if self.undo_by_duplicates(now) {
                    self.settle();
                }
                self.identify_losses(now, findings);
                if self.phase != Phase::Recovery {
                    if self.board.lost_out() == 0 {
                        return Resume::New;
                    }
                    self.enter_recovery();
                }
                return Resume::Lost;
            }
            Phase::Loss => {
                let resume = self.follow_timeout(now, findings);
                self.identify_losses(now, findings);
                // A retransmission lost again is a new reason to slow down.
                if self.phase == Phase::Loss && !findings.retransmission_lost {
                    return resume;
                }
            }
            Phase::Open | Phase::Disorder | Phase::Reduced => {}
        }
        if self.phase <= Phase::Disorder {
            self.undo_by_duplicates(now);
        }
        self.identify_losses(now, findings);
        if self.board.lost_out() > 0 {
            self.enter_recovery();
            return Resume::Lost;
        }
        if !self.any_resent() {
            self.undo.on_repaired();
        }
        if findings.congestion_echoed {
            self.enter_reduced();
        }
        self.settle();
        Resume::New
    }

    /// A loss probe repaired a loss: the window shrinks at once (`tcp_process_tlp_ack`).
    pub(super) fn repair_by_probe(&mut self, now: Instant) {
        self.start_reduction();
        self.end_reduction(now);
        self.phase = Phase::Open;
        self.settle();
    }

    /// Neither lost nor recovering: Open, or Disorder as long as something is out of order.
    pub(super) fn settle(&mut self) {
        if self.phase == Phase::Reduced {
            return;
        }
        let left_out = self.board.sacked_out() > 0 || self.board.lost_out() > 0;
        let disorder = left_out || self.any_resent();
        let phase = if disorder { Phase::Disorder } else { Phase::Open };
        if self.phase != phase {
            self.phase = phase;
            self.reduction.high = self.nxt;
        }
    }

    /// Whether something sent again is outstanding (`tcp_any_retrans_done`).
    pub(super) fn any_resent(&self) -> bool {
        let oldest = self.board.oldest();
        self.board.retransmitted_out() > 0 || oldest.is_some_and(|packet| packet.mark.has(Mark::AMBIGUOUS))
    }

    fn identify_losses(&mut self, now: Instant, findings: &mut Findings) {
        if self.board.outstanding() == 0 {
            return;
        }
        let retransmitted = self.board.retransmitted_out();
        if self.detect_losses(now, false) {
            findings.timer_is_set = true;
        }
        findings.retransmission_lost |= self.board.retransmitted_out() < retransmitted;
    }

    /// Runs RACK; sets the reordering timer and returns true if a packet is still in doubt.
    pub(super) fn detect_losses(&mut self, now: Instant, timer: bool) -> bool {
        let patience = self.rack.window(
            self.phase >= Phase::Recovery,
            self.board.sacked_out(),
            self.rtt.min_rtt(),
            self.srtt(),
        );
        let Some(left) = self.rack.detect(&mut self.board, now, patience, timer) else {
            return false;
        };
        self.wait_for_reordering(now, left);
        true
    }

    /// Proportional rate reduction with the slow-start reduction bound (`tcp_cwnd_reduction`): as many packets
    /// may leave as bring the window to the threshold over one round trip.
    pub(super) fn reduce(&mut self, delivered: u32, newly_lost: bool, una_advanced: bool) {
        if delivered == 0 || self.congestion.rules_window() {
            return;
        }
        let reduction = &mut self.reduction;
        reduction.delivered += delivered;
        let in_flight = self.board.in_flight();
        let threshold = self.window.ssthresh;
        let may_send = if in_flight > threshold {
            let prior = u64::from(reduction.prior_cwnd);
            let due = (u64::from(threshold) * u64::from(reduction.delivered)).div_ceil(prior);
            u32::try_from(due)
                .unwrap_or(u32::MAX)
                .saturating_sub(reduction.sent)
        } else {
            let owed = reduction.delivered.saturating_sub(reduction.sent).max(delivered);
            let catch_up = u32::from(una_advanced && !newly_lost);
            (owed + catch_up).min(threshold - in_flight)
        };
        // The first retransmission leaves at once.
        let forced = u32::from(reduction.sent == 0);
        self.window.cwnd = in_flight + may_send.max(forced);
    }
}
