//! Taking back a window reduction that turned out needless: `tcp_undo_cwnd_reduction`, and F-RTO (RFC 5682).
//!
//! Three signs, each on its own: the peer reports every retransmission as a duplicate (DSACK); it echoes a
//! timestamp older than the first retransmission (Eifel, RFC 3522), so the original arrived; or after a timeout
//! something arrives that was never sent again, so not everything was lost (F-RTO).

use longhaul_core::time::{Instant, Span};

use super::Sender;
use super::ack::Findings;
use super::recovery::Phase;

/// Timestamps tick in milliseconds (`TCP_TS_HZ`); what happens within one tick cannot be told apart.
const TICK: Span = Span::from_ms(1);

/// What is needed to take the last reduction back.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Undo {
    /// Oldest unacknowledged number when the window was reduced; `None` if there is nothing to take back.
    marker: Option<u64>,
    /// Packets sent again since then and not reported as duplicates; `None` before the first.
    resent: Option<u32>,
    /// When the first of them left.
    first_resent: Option<Instant>,
    /// Threshold of slow start before.
    ssthresh: Option<u32>,
    /// F-RTO: a timeout has passed and nothing has shown yet whether it was spurious.
    timeout_in_doubt: bool,
}

impl Undo {
    /// A packet was sent again, or would have been if its last copy had left the host; `sent_at` is when the last
    /// copy was sent.
    pub(super) fn on_resent(&mut self, sent_at: Instant, packets: u32) {
        self.first_resent.get_or_insert(sent_at);
        self.resent = Some(self.resent.unwrap_or(0).saturating_add(packets));
    }

    /// The peer received `packets` packets that end at `end` twice.
    pub(super) fn on_duplicate(&mut self, end: u64, packets: u32) {
        if self.marker.is_some_and(|marker| end > marker) {
            self.resent = self.resent.map(|resent| resent.saturating_sub(packets));
        }
    }

    /// The window shrinks for a reason that no ACK can refute.
    pub(super) fn forget(&mut self) {
        self.marker = None;
        self.ssthresh = None;
    }

    /// As [`Undo::forget`], but while another reduction is under way: its end still counts, its undoing does not
    /// bring the window back.
    pub(super) fn forget_window(&mut self) {
        self.ssthresh = None;
    }

    /// Whether the last reduction stands.
    pub(super) fn is_reduced(&self) -> bool {
        self.marker.is_some()
    }

    /// Nothing sent again is outstanding.
    pub(super) fn on_repaired(&mut self) {
        self.first_resent = None;
    }

    fn all_were_duplicates(&self) -> bool {
        self.marker.is_some() && self.resent == Some(0)
    }

    /// The original arrived, for the peer echoes a timestamp of before the first retransmission.
    fn original_arrived(&self, echo: Instant) -> bool {
        let tick = |at: Instant| at.as_ns() / TICK.as_ns();
        echo > Instant::ZERO && self.first_resent.is_some_and(|first| tick(echo) < tick(first))
    }

    fn is_refuted(&self, echo: Instant) -> bool {
        self.marker.is_some() && (self.resent == Some(0) || self.original_arrived(echo))
    }

    /// The timeout was real, or its repair goes the ordinary way.
    pub(super) fn end_doubt(&mut self) {
        self.timeout_in_doubt = false;
    }
}

/// What may be sent after an ACK.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Resume {
    /// New data only.
    New,
    /// New data, and if there is none what is lost (F-RTO's second step).
    NewFirst,
    /// What is lost, then new data.
    Lost,
}

impl Sender {
    /// A reduction begins (`tcp_init_undo`); `ssthresh` is what it replaces, if it replaces anything.
    pub(super) fn remember_for_undo(&mut self, ssthresh: Option<u32>) {
        self.undo.marker = Some(self.una);
        self.undo.resent = Some(self.board.retransmitted_out()).filter(|&resent| resent > 0);
        self.undo.ssthresh = ssthresh;
    }

    /// A timeout has passed; `phase` is the one before (F-RTO's first step).
    pub(super) fn doubt_timeout(&mut self, phase: Phase) {
        self.undo.timeout_in_doubt = phase < Phase::Recovery || self.timeouts > 0;
    }

    fn take_back(&mut self, now: Instant, losses_too: bool) {
        if losses_too {
            self.board.unmark_lost();
        }
        if let Some(ssthresh) = self.undo.ssthresh {
            if self.congestion.rules_window() {
                self.tell_control_of_undo(now);
            } else {
                self.window.cwnd = self.window.cwnd.max(self.reduction.prior_cwnd);
            }
            if ssthresh > self.window.ssthresh {
                self.window.ssthresh = ssthresh;
                // The peer need not hear of what did not happen (`tcp_ecn_withdraw_cwr`).
                self.reduction_notice = false;
            }
        }
        self.usage.full_at = now;
        self.undo.marker = None;
        self.rack.look_again();
        self.counts.undone_reductions += 1;
    }

    /// Everything that was outstanding when recovery began is acknowledged (`tcp_try_undo_recovery`).
    pub(super) fn finish_recovery(&mut self, now: Instant, findings: &Findings) {
        if self.undo.is_refuted(findings.echo) {
            self.take_back(now, false);
        } else {
            self.rack.on_recovery_over();
        }
        self.phase = Phase::Open;
    }

    /// Every retransmission was a duplicate (`tcp_try_undo_dsack`).
    pub(super) fn undo_by_duplicates(&mut self, now: Instant) -> bool {
        let refuted = self.undo.all_were_duplicates();
        if refuted {
            self.rack.on_needless_recovery();
            self.take_back(now, false);
        }
        refuted
    }

    /// Part of what was outstanding is acknowledged, and by an original (`tcp_try_undo_partial`). Returns whether
    /// to wait for what is being repaired.
    pub(super) fn undo_partially(&mut self, now: Instant, findings: &Findings) -> bool {
        if !(self.undo.is_reduced() && self.undo.original_arrived(findings.echo)) {
            return false;
        }
        let high = self.board.highest_sacked();
        if findings.prior_una < high {
            self.rack.on_reordering(findings.prior_una, high, self.mss);
        }
        if self.board.retransmitted_out() > 0 {
            return true;
        }
        if !self.any_resent() {
            self.undo.on_repaired();
        }
        self.take_back(now, true);
        self.settle();
        false
    }

    fn undo_timeout(&mut self, now: Instant) {
        self.take_back(now, true);
        self.timeouts = 0;
        self.phase = Phase::Open;
    }

    /// An ACK after a timeout (`tcp_process_loss`).
    pub(super) fn follow_timeout(&mut self, now: Instant, findings: &Findings) -> Resume {
        let recovered = self.una >= self.reduction.high;
        if findings.una_advanced && self.undo.is_refuted(findings.echo) {
            self.undo_timeout(now);
            return Resume::New;
        }
        if self.undo.timeout_in_doubt {
            let original = findings.delivery.original_end;
            if original.is_some_and(|end| end <= self.reduction.high) {
                self.undo_timeout(now);
                return Resume::New;
            }
            if self.nxt > self.reduction.high {
                let says_nothing =
                    !findings.una_advanced && !findings.not_duplicate && !findings.duplicate_arrived;
                if findings.delivery.sacked > 0 || says_nothing {
                    self.undo.timeout_in_doubt = false;
                }
            } else if findings.una_advanced && !recovered {
                self.reduction.high = self.nxt;
                if self.has_new_data() {
                    return Resume::NewFirst;
                }
                self.undo.timeout_in_doubt = false;
            }
        }
        if recovered {
            self.finish_recovery(now, findings);
            return Resume::New;
        }
        Resume::Lost
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at_ms(ms: u64) -> Instant {
        Instant::ZERO + Span::from_ms(ms)
    }

    fn reduced() -> Undo {
        Undo {
            marker: Some(1_000),
            ..Undo::default()
        }
    }

    #[test]
    fn duplicates_refute_a_reduction_once_they_cover_everything_sent_again() {
        let mut undo = reduced();
        assert!(!undo.all_were_duplicates(), "nothing was sent again yet");
        undo.on_resent(at_ms(100), 2);
        undo.on_duplicate(2_448, 1);
        assert!(!undo.all_were_duplicates());
        undo.on_duplicate(900, 1);
        assert!(!undo.all_were_duplicates(), "that was before the reduction");
        undo.on_duplicate(3_896, 1);
        assert!(undo.all_were_duplicates());
        undo.forget();
        assert!(!undo.all_were_duplicates());
    }

    #[test]
    fn an_echo_from_before_the_first_retransmission_refutes_a_reduction() {
        let mut undo = reduced();
        assert!(!undo.is_refuted(at_ms(50)));
        undo.on_resent(at_ms(100), 1);
        undo.on_resent(at_ms(200), 1);
        assert!(undo.is_refuted(at_ms(99)));
        // Within the same tick nobody can tell.
        assert!(!undo.is_refuted(at_ms(100)));
        assert!(!undo.is_refuted(Instant::ZERO), "no timestamp");
    }
}
