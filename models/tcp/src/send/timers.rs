//! The sender's one timer, which serves four purposes in turn as in Linux: retransmission timeout, loss probe
//! (RFC 8985 section 7), reordering window, and the probe of a closed window.

use longhaul_core::time::{Instant, Span};

use super::recovery::Phase;
use super::{Sender, Turn};
use crate::rtt::MIN_VARIANCE;
use crate::timer::{JIFFY, expiry, span_in_jiffies};

/// Added to short timers, which would otherwise fire with the tick that is under way (`TCP_TIMEOUT_MIN`).
const MIN_TIMEOUT: Span = Span::from_ns(2 * JIFFY.as_ns());
/// Pause after the local queue refused what a timeout sent (`TCP_RESOURCE_PROBE_INTERVAL`).
pub(super) const LOCAL_PAUSE: Span = Span::from_ms(500);
/// A peer silent for this long after the first timeout is gone: 15 timeouts of a path with the smallest one
/// (`tcp_retries2`).
const PATIENCE: Span = Span::from_ms(924_600);
/// The same after 8 timeouts, for a sender whose process has ended (`tcp_orphan_retries`).
const PATIENCE_OF_ORPHANS: Span = Span::from_ms(102_200);

/// What a timer is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Purpose {
    Retransmission,
    Probe,
    Reordering,
    Window,
}

/// A pending timer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timer {
    pub(super) at: Instant,
    purpose: Purpose,
}

/// The peer is gone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct GaveUp;

impl Sender {
    fn set_timer(&mut self, now: Instant, purpose: Purpose, after: Span) {
        self.timer = Some(Timer {
            at: expiry(now, span_in_jiffies(after.saturating_add(self.pacing_delay(now)))),
            purpose,
        });
    }

    /// A packet is in doubt for `left` more.
    pub(super) fn wait_for_reordering(&mut self, now: Instant, left: Span) {
        let after = left.saturating_add(MIN_TIMEOUT).min(self.rtt.rto());
        self.set_timer(now, Purpose::Reordering, after);
    }

    /// Time until the oldest packet times out.
    fn left_to_timeout(&self, now: Instant) -> Span {
        let oldest = self.board.oldest();
        oldest.map_or(self.rtt.rto(), |packet| {
            packet
                .sent_at
                .saturating_add(self.rtt.rto())
                .saturating_since(now)
        })
    }

    /// Progress was made: probe or timeout start again (`tcp_set_xmit_timer`).
    pub(super) fn restart_timer(&mut self, now: Instant) {
        if !self.schedule_probe(now, self.rtt.rto()) {
            self.set_timeout(now);
        }
    }

    /// `tcp_rearm_rto`: a timeout that replaces a shorter timer counts from the transmission it watches.
    pub(super) fn set_timeout(&mut self, now: Instant) {
        if self.board.outstanding() == 0 {
            self.timer = None;
            return;
        }
        let replaces_shorter = self
            .timer
            .is_some_and(|timer| timer.purpose != Purpose::Retransmission);
        let after = if replaces_shorter {
            self.left_to_timeout(now)
        } else {
            self.rtt.rto()
        };
        self.set_timer(now, Purpose::Retransmission, after.max(Span::from_us(1)));
    }

    /// The timeout counts from now.
    pub(super) fn set_full_timeout(&mut self, now: Instant) {
        self.set_timer(now, Purpose::Retransmission, self.rtt.rto());
    }

    /// New data left at the end of a turn: a probe becomes due before the timeout.
    pub(super) fn schedule_probe_after_data(&mut self, now: Instant) {
        self.schedule_probe(now, self.left_to_timeout(now));
    }

    /// Sets a probe two round trips from now, at the latest when the timeout is due; only while nothing is being
    /// recovered.
    fn schedule_probe(&mut self, now: Instant, timeout: Span) -> bool {
        if self.board.outstanding() == 0 || !matches!(self.phase, Phase::Open | Phase::Reduced) {
            return false;
        }
        let Some(srtt) = self.rtt.srtt() else { return false };
        // A single packet may wait for the peer's delayed ACK.
        let slack = if self.board.outstanding() == 1 {
            MIN_VARIANCE
        } else {
            MIN_TIMEOUT
        };
        let mut after = srtt.saturating_mul(2).saturating_add(slack);
        if timeout > Span::ZERO {
            after = after.min(timeout);
        }
        self.set_timer(now, Purpose::Probe, after);
        true
    }

    /// The first data leaves, or data leaves while a probe is pending.
    pub(super) fn on_data_sent(&mut self, now: Instant, was_empty: bool) {
        if was_empty || self.timer.is_some_and(|timer| timer.purpose == Purpose::Probe) {
            self.set_timeout(now);
        }
    }

    /// Whether the reordering timer is pending; the timeout does not replace it.
    pub(super) fn waits_for_reordering(&self) -> bool {
        self.timer
            .is_some_and(|timer| timer.purpose == Purpose::Reordering)
    }

    /// The local queue refused what a timeout sent: the next try comes later, by which time others may have
    /// finished.
    pub(super) fn retry_later(&mut self, now: Instant) {
        self.set_timer(now, Purpose::Retransmission, LOCAL_PAUSE);
    }

    /// The window is looked after so long from now.
    pub(super) fn set_persist_timer(&mut self, now: Instant, after: Span) {
        self.set_timer(now, Purpose::Window, after);
    }

    /// Whether the window is looked after.
    pub(super) fn is_persisting(&self) -> bool {
        self.timer.is_some_and(|timer| timer.purpose == Purpose::Window)
    }

    /// A timer may be due.
    ///
    /// # Errors
    /// If the peer has been silent for too long.
    pub(crate) fn on_timer(&mut self, now: Instant) -> Result<(), GaveUp> {
        self.on_pacing_timer(now);
        let Some(timer) = self.timer.filter(|timer| timer.at <= now) else {
            return Ok(());
        };
        self.timer = None;
        match timer.purpose {
            Purpose::Retransmission if self.board.outstanding() == 0 => self.turn = Turn::One,
            Purpose::Retransmission => return self.on_timeout(now),
            Purpose::Probe => self.on_probe_due(now),
            Purpose::Reordering => self.on_reordering_window_over(now),
            Purpose::Window => return self.on_persist_timer(),
        }
        Ok(())
    }

    fn on_timeout(&mut self, now: Instant) -> Result<(), GaveUp> {
        if self.timeouts == 0 {
            self.first_timeout = now;
        } else if now.saturating_since(self.first_timeout) >= self.patience() {
            return Err(GaveUp);
        }
        self.probe = None;
        self.enter_loss(now);
        self.timeouts += 1;
        self.counts.rtos += 1;
        self.rtt.back_off();
        self.set_full_timeout(now);
        self.turn = Turn::Oldest;
        Ok(())
    }

    fn patience(&self) -> Span {
        if self.is_orphan {
            PATIENCE_OF_ORPHANS
        } else {
            PATIENCE
        }
    }

    fn on_probe_due(&mut self, now: Instant) {
        if self.probe.is_some() {
            // One probe at a time; now the timeout must help.
            self.wait_for_timeout(now);
        } else {
            self.turn = Turn::Probe;
        }
    }

    fn on_reordering_window_over(&mut self, now: Instant) {
        let in_flight = self.in_flight();
        let losses = self.board.losses();
        let timer_is_set = self.detect_losses(now, true);
        if self.in_flight() != in_flight {
            if self.phase != Phase::Recovery {
                self.enter_recovery();
                self.reduce(1, self.board.losses() > losses, false);
            }
            self.start_turn(Turn::Lost);
        }
        if !timer_is_set {
            self.wait_for_timeout(now);
        }
    }

    /// Sets the timeout of the oldest packet, after a shorter timer has passed.
    pub(super) fn wait_for_timeout(&mut self, now: Instant) {
        let after = self.left_to_timeout(now).max(Span::from_us(1));
        self.set_timer(now, Purpose::Retransmission, after);
    }
}
