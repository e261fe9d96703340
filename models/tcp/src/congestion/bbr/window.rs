//! BBR's congestion window: a cap on what is in flight, of secondary weight beside the pacing rate
//! (`bbr_set_cwnd`).

use longhaul_core::time::Span;

use super::{Bandwidth, Bbr, Mode, Situation};
use crate::congestion::{RateSample, Repair, Window};
use crate::send::burst::MAX_BURST_BYTES;

/// Fewest segments that keep a path with delayed ACKs going.
pub(super) const LEAST_WINDOW: u32 = 4;
/// The window while nothing is known of the path.
const INITIAL_WINDOW: u32 = 10;
/// The excess of ACKs that is provided for is at most what passes in this time.
const LONGEST_EXCESS: Span = Span::from_ms(100);
/// Below this rate, in bytes per second (1.2 Mbit/s), packets leave one by one.
const BURST_RATE: u64 = 150_000;
/// A burst holds what passes in 2^-10 s (`sk_pacing_shift`), but at most so many packets.
const PACING_SHIFT: u32 = 10;
const MOST_BURST_PACKETS: u64 = 127;

impl Bbr {
    /// Fewest packets of a burst.
    pub(crate) fn least_burst(&self) -> u32 {
        if self.pacing_rate < BURST_RATE { 1 } else { 2 }
    }

    /// Packets of one burst, as far as the window is concerned (`bbr_tso_segs_goal`).
    pub(super) fn burst_goal(&self, mss: u32) -> u32 {
        let bytes = (self.pacing_rate >> PACING_SHIFT).min(MAX_BURST_BYTES);
        let packets = bytes / u64::from(mss);
        packets.max(u64::from(self.least_burst())).min(MOST_BURST_PACKETS) as u32
    }

    /// `gain` times the product of bandwidth and delay, rounded up.
    fn bdp(&self, bandwidth: Bandwidth, gain: u64) -> u32 {
        if self.min_rtt == Span::MAX {
            return INITIAL_WINDOW;
        }
        bandwidth.bdp(self.min_rtt, gain)
    }

    /// Room for what the two hosts hold besides the path: three bursts, an even number, and two packets more
    /// while looking for bandwidth.
    fn with_budget(&self, window: u32, mss: u32) -> u32 {
        let window = window.saturating_add(3 * self.burst_goal(mss));
        let even = window.saturating_add(window & 1);
        let probing = self.mode == Mode::ProbeBandwidth && self.cycle.is_probing();
        even.saturating_add(2 * u32::from(probing))
    }

    /// Packets in flight that `gain` aims at.
    pub(super) fn inflight(&self, bandwidth: Bandwidth, gain: u64, mss: u32) -> u32 {
        self.with_budget(self.bdp(bandwidth, gain), mss)
    }

    /// The window before a recovery or ProbeRTT cut it.
    pub(super) fn save_window(&mut self, window: &Window) {
        if self.repair < Repair::Fast && self.mode != Mode::ProbeRtt {
            self.saved_window = window.cwnd;
        } else {
            self.saved_window = self.saved_window.max(window.cwnd);
        }
    }

    /// The window after an ACK.
    pub(super) fn set_window(&mut self, window: &mut Window, situation: &Situation, sample: &RateSample) {
        if sample.newly_delivered > 0 {
            window.cwnd = self.repair_window(window.cwnd, situation, sample);
            if !self.conserving {
                window.cwnd = self.approach_target(window.cwnd, situation, sample.newly_delivered);
            }
        }
        if self.mode == Mode::ProbeRtt {
            window.cwnd = window.cwnd.min(LEAST_WINDOW);
        }
    }

    /// The window as recovery wants it: in its first round as much leaves as is delivered, later up to twice as
    /// much (`bbr_set_cwnd_to_recover_or_restore`). The end of recovery brings the saved window back.
    fn repair_window(&mut self, cwnd: u32, situation: &Situation, sample: &RateSample) -> u32 {
        let conserved = situation.in_flight.saturating_add(sample.newly_delivered);
        let mut cwnd = if sample.newly_lost > 0 {
            cwnd.saturating_sub(sample.newly_lost).max(1)
        } else {
            cwnd
        };
        let before = std::mem::replace(&mut self.repair, situation.repair);
        if situation.repair == Repair::Fast && before != Repair::Fast {
            self.conserving = true;
            self.round_end = situation.delivered;
            cwnd = conserved;
        } else if before >= Repair::Fast && situation.repair < Repair::Fast {
            self.conserving = false;
            cwnd = cwnd.max(self.saved_window);
        }
        if self.conserving {
            cwnd.max(conserved)
        } else {
            cwnd
        }
    }

    /// Grows by what was delivered up to the target; above it falls at once, but only once the pipe is known to
    /// be full.
    fn approach_target(&self, cwnd: u32, situation: &Situation, delivered: u32) -> u32 {
        let bandwidth = self.bandwidth();
        let mut target = self.bdp(bandwidth, self.window_gain);
        if self.full_pipe.reached {
            let most = bandwidth.packets_in(LONGEST_EXCESS);
            let excess = u64::from(self.aggregation.excess()).min(most);
            target = target.saturating_add(excess as u32);
        }
        let target = self.with_budget(target, situation.mss);
        let grown = cwnd.saturating_add(delivered);
        let cwnd = if self.full_pipe.reached {
            grown.min(target)
        } else if cwnd < target || situation.delivered < u64::from(INITIAL_WINDOW) {
            grown
        } else {
            cwnd
        };
        cwnd.max(LEAST_WINDOW)
    }
}
