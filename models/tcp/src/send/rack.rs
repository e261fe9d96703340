//! Which packets are lost: RACK (RFC 8985), by the time of their last transmission.
//!
//! A packet is lost when one sent later was delivered and the reordering window has passed since. Originals
//! leave in the order of their numbers and retransmissions in the order of a queue; each is walked once, from
//! the oldest that is still open, so an ACK costs what it decides.

use std::collections::VecDeque;

use longhaul_core::time::{Instant, Span};

use super::packet::{Mark, Packet};
use super::scoreboard::Scoreboard;

/// Without reordering so far, this many packets held above a hole end all patience (`tcp_reordering`).
const DUPLICATE_THRESHOLD: u32 = 3;
/// Most steps of the reordering window.
const MAX_STEPS: u32 = 255;
/// Recoveries for which a wider reordering window lasts (`TCP_RACK_RECOVERY_THRESH`).
const STEPS_PERSIST: u32 = 16;
/// Largest degree of reordering that is believed (`tcp_max_reordering`).
const MAX_REORDERING: u64 = 300;

/// State of the detector.
#[derive(Clone, Debug)]
pub(super) struct Rack {
    /// Number of the transmission and end of the latest-sent packet that was delivered.
    latest: (u64, u64),
    /// Its RTT.
    rtt: Span,
    /// Whether anything was delivered since the last detection.
    advanced: bool,
    /// Whether an original arrived after a later one.
    reordering_seen: bool,
    /// Steps of a quarter of the smallest RTT that make up the reordering window: one more for every round trip in
    /// which the peer reported a duplicate.
    steps: u32,
    /// Recoveries until the steps are forgotten.
    steps_persist: u32,
    /// A duplicate was reported since the last adaptation.
    duplicate_seen: bool,
    /// Number of the last transmission that was delivered when the steps last changed.
    steps_changed: u64,
    /// Packets by which they were apart; the duplicate threshold otherwise.
    reordering: u32,
    /// The first original that is neither delivered nor taken for lost, or an earlier number.
    oldest_original: u64,
    /// Packet and transmission of each retransmission, in the order sent. May hold packets delivered since.
    retransmissions: VecDeque<(u64, u64)>,
}

impl Rack {
    pub(super) fn new() -> Rack {
        Rack {
            latest: (0, 0),
            rtt: Span::ZERO,
            advanced: false,
            reordering_seen: false,
            steps: 1,
            steps_persist: 0,
            duplicate_seen: false,
            steps_changed: 0,
            reordering: DUPLICATE_THRESHOLD,
            oldest_original: 0,
            retransmissions: VecDeque::new(),
        }
    }

    /// Whether the degree of reordering is still the default.
    pub(super) fn expects_order(&self) -> bool {
        self.reordering <= DUPLICATE_THRESHOLD
    }

    /// `packet`, which ends at `end`, was delivered.
    pub(super) fn on_delivered(&mut self, now: Instant, packet: &Packet, end: u64, min_rtt: Span) {
        let rtt = now.saturating_since(packet.sent_at);
        // Faster than ever: the first copy arrived, and says nothing of the time of the second.
        if packet.mark.has(Mark::AMBIGUOUS) && rtt < min_rtt {
            return;
        }
        self.advanced = true;
        if (packet.order, end) >= self.latest {
            self.latest = (packet.order, end);
            self.rtt = rtt;
        }
    }

    /// An original at `low` arrived after one that ended at `high`.
    pub(super) fn on_reordering(&mut self, low: u64, high: u64, mss: u32) {
        self.reordering_seen = true;
        let distance = high
            .saturating_sub(low)
            .div_ceil(u64::from(mss))
            .min(MAX_REORDERING);
        self.reordering = self.reordering.max(distance as u32);
    }

    /// Packets `number..number + count` were sent again in the transmission with number `order`.
    pub(super) fn on_retransmitted(&mut self, number: u64, count: u32, order: u64) {
        for number in number..number + u64::from(count) {
            self.retransmissions.push_back((number, order));
        }
    }

    /// How long after a later delivery a packet may still arrive.
    pub(super) fn window(&self, in_recovery: bool, sacked_out: u32, min_rtt: Span, srtt: Span) -> Span {
        if !self.reordering_seen && (in_recovery || sacked_out >= self.reordering) {
            return Span::ZERO;
        }
        (min_rtt / 4).saturating_mul(u64::from(self.steps)).min(srtt)
    }

    /// The peer reported a duplicate: a retransmission was needless. Only where packets do get out of order does
    /// that blame the reordering window (`tcp_dsack_seen`).
    pub(super) fn on_duplicate(&mut self) {
        self.duplicate_seen |= self.reordering_seen;
    }

    /// Widens the reordering window by a step if duplicates were reported, at most once per round trip
    /// (`tcp_rack_update_reo_wnd`).
    pub(super) fn adapt_window(&mut self, last_order: u64) {
        // What was delivered now left before the last change took effect.
        if self.latest.0 < self.steps_changed {
            self.duplicate_seen = false;
        }
        if std::mem::take(&mut self.duplicate_seen) {
            self.steps = (self.steps + 1).min(MAX_STEPS);
            self.steps_changed = last_order;
            self.steps_persist = STEPS_PERSIST;
        } else if self.steps_persist == 0 {
            self.steps = 1;
        }
    }

    /// A recovery is over that was not needless.
    pub(super) fn on_recovery_over(&mut self) {
        self.steps_persist = self.steps_persist.saturating_sub(1);
    }

    /// A recovery turned out needless.
    pub(super) fn on_needless_recovery(&mut self) {
        self.steps_persist = (self.steps_persist + 1).min(STEPS_PERSIST);
    }

    /// A timeout came although `sacked_out` packets were held above a hole: the degree of reordering was
    /// overestimated (`tcp_enter_loss`).
    pub(super) fn distrust_reordering(&mut self, sacked_out: u32) {
        if sacked_out >= DUPLICATE_THRESHOLD {
            self.reordering = self.reordering.min(DUPLICATE_THRESHOLD);
        }
    }

    /// What was taken for lost no longer is: every packet is looked at again.
    pub(super) fn look_again(&mut self) {
        self.advanced = true;
        self.oldest_original = 0;
    }

    /// Marks what is lost, if anything was delivered since the last time or `timer` says that the window of a
    /// packet has passed. Returns how long the first packet that is still in doubt has left.
    pub(super) fn detect(
        &mut self,
        board: &mut Scoreboard,
        now: Instant,
        window: Span,
        timer: bool,
    ) -> Option<Span> {
        if !self.advanced && !timer {
            return None;
        }
        self.advanced = false;
        let original = self.detect_originals(board, now, window);
        let retransmission = self.detect_retransmissions(board, now, window);
        match (original, retransmission) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    fn detect_originals(&mut self, board: &mut Scoreboard, now: Instant, window: Span) -> Option<Span> {
        let numbers = board.numbers();
        self.oldest_original = self.oldest_original.max(numbers.start);
        while self.oldest_original < numbers.end {
            let number = self.oldest_original;
            let packet = board.packet(number)?;
            let mark = packet.mark;
            let open = !mark.has(Mark::SACKED) && !mark.has(Mark::LOST) && !mark.has(Mark::AMBIGUOUS);
            if open {
                if (packet.order, board.end_of(number)) >= self.latest {
                    return None;
                }
                if let Some(left) = self.time_left(packet.sent_at, now, window) {
                    return Some(left);
                }
                board.mark_lost(number);
            }
            self.oldest_original += 1;
        }
        None
    }

    fn detect_retransmissions(&mut self, board: &mut Scoreboard, now: Instant, window: Span) -> Option<Span> {
        while let Some(&(number, order)) = self.retransmissions.front() {
            // Delivered, or sent yet again: then a later entry stands for it.
            let current = |packet: &Packet| !packet.mark.has(Mark::SACKED) && packet.order == order;
            if let Some(packet) = board.packet(number).filter(current) {
                if (order, board.end_of(number)) >= self.latest {
                    return None;
                }
                if let Some(left) = self.time_left(packet.sent_at, now, window) {
                    return Some(left);
                }
                board.mark_lost(number);
            }
            self.retransmissions.pop_front();
        }
        None
    }

    /// What is left of the window of a packet sent at `sent_at`; `None` if it has passed.
    fn time_left(&self, sent_at: Instant, now: Instant, window: Span) -> Option<Span> {
        let due = sent_at.saturating_add(self.rtt).saturating_add(window);
        (due > now).then(|| due - now)
    }

    /// A retransmission timeout: everything is lost but what was sent less than an RTT ago. The oldest packet
    /// is lost in any case.
    pub(super) fn mark_all_lost(&mut self, board: &mut Scoreboard, now: Instant) {
        for number in board.numbers() {
            let packet = board.packet(number).expect("the range is that of the packets");
            let oldest = number == board.numbers().start;
            if oldest || self.time_left(packet.sent_at, now, Span::ZERO).is_none() {
                board.mark_lost(number);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RTT: Span = Span::from_ms(80);

    fn window(rack: &Rack) -> Span {
        rack.window(false, 0, RTT, RTT)
    }

    #[test]
    fn the_window_is_a_quarter_of_the_rtt_and_nothing_once_loss_is_likely() {
        let mut rack = Rack::new();
        assert_eq!(window(&rack), RTT / 4);
        assert_eq!(rack.window(false, 3, RTT, RTT), Span::ZERO);
        assert_eq!(rack.window(true, 0, RTT, RTT), Span::ZERO);
        rack.on_reordering(0, 5 * 1448, 1448);
        assert_eq!(rack.window(true, 3, RTT, RTT), RTT / 4);
    }

    #[test]
    fn duplicates_widen_the_window_once_per_round_trip_and_up_to_the_rtt() {
        let mut rack = Rack::new();
        rack.on_duplicate();
        rack.adapt_window(10);
        assert_eq!(window(&rack), RTT / 4, "nothing was out of order");
        rack.on_reordering(0, 5 * 1448, 1448);
        rack.on_duplicate();
        rack.adapt_window(10);
        assert_eq!(window(&rack), RTT / 2);
        rack.on_duplicate();
        rack.adapt_window(12);
        assert_eq!(window(&rack), RTT / 2, "that was sent before the change");
        for order in [20, 30, 40] {
            rack.latest = (order, 0);
            rack.on_duplicate();
            rack.adapt_window(order);
        }
        assert_eq!(window(&rack), RTT);
    }

    #[test]
    fn sixteen_recoveries_without_duplicates_forget_the_wider_window() {
        let mut rack = Rack::new();
        rack.on_reordering(0, 5 * 1448, 1448);
        rack.on_duplicate();
        rack.adapt_window(10);
        for _ in 0..15 {
            rack.on_recovery_over();
            rack.adapt_window(10);
        }
        assert_eq!(window(&rack), RTT / 2);
        rack.on_recovery_over();
        rack.adapt_window(10);
        assert_eq!(window(&rack), RTT / 4);
    }
}
