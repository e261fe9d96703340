//! What a controller that goes by the delivery rate sees and does: the side of the sender.

use longhaul_core::time::Instant;

use super::Sender;
use super::ack::Findings;
use super::burst;
use super::pacing::Pacing;
use super::rate::RateSampler;
use super::recovery::Phase;
use crate::congestion::{Congestion, Repair, Situation};

impl Sender {
    fn situation(&self, now: Instant) -> Situation {
        let (delivered, delivered_at) = self
            .board
            .rates()
            .expect("a controller that paces measures the rate")
            .delivered();
        Situation {
            now,
            delivered,
            delivered_at,
            lost: self.board.losses(),
            in_flight: self.in_flight(),
            srtt: self.rtt.srtt(),
            repair: match self.phase {
                Phase::Open | Phase::Disorder | Phase::Reduced => Repair::None,
                Phase::Recovery => Repair::Fast,
                Phase::Loss => Repair::Timeout,
            },
            next_departure: self.pacing.as_ref().map_or(now, Pacing::opens_at),
            mss: self.mss,
        }
    }

    /// The handshake is over.
    pub(super) fn start_control(&mut self, now: Instant) {
        if self.congestion.rules_window() {
            let situation = self.situation(now);
            let min_rtt = self.rtt.min_rtt();
            if let Congestion::Bbr(bbr) = &mut self.congestion {
                bbr.on_start(&self.window, &situation, min_rtt);
            }
            self.set_pace();
        }
    }

    /// The controller's part of an ACK (`cong_control`).
    pub(super) fn control(&mut self, now: Instant, findings: &Findings, newly_lost: u64) {
        let min_rtt = self.rtt.min_rtt();
        let Some(rates) = self.board.rates_mut() else {
            return;
        };
        let mut sample = rates.sample(now, findings.delivery.packets, min_rtt);
        sample.newly_lost = u32::try_from(newly_lost).unwrap_or(u32::MAX);
        sample.prior_in_flight = findings.prior_in_flight;
        sample.rtt = findings.rtt;
        // A single short packet: the receiver may have waited for another.
        sample.ack_delayed =
            findings.delivery.acked == 1 && findings.delivery.acked_bytes < u64::from(self.mss);
        let situation = self.situation(now);
        if let Congestion::Bbr(bbr) = &mut self.congestion
            && bbr.on_ack(&mut self.window, &situation, &sample)
            && let Some(rates) = self.board.rates_mut()
        {
            rates.note_app_limited(situation.in_flight);
        }
        self.set_pace();
    }

    /// Data leaves after a time with nothing in flight.
    pub(super) fn tell_control_of_start(&mut self, now: Instant) {
        if self.board.rates().is_some_and(RateSampler::is_app_limited) {
            let situation = self.situation(now);
            if let Congestion::Bbr(bbr) = &mut self.congestion {
                bbr.on_transmit_start(&mut self.window, &situation);
            }
            self.set_pace();
        }
    }

    /// A retransmission timeout passed.
    pub(super) fn tell_control_of_timeout(&mut self, now: Instant) {
        if self.congestion.rules_window() {
            let situation = self.situation(now);
            if let Congestion::Bbr(bbr) = &mut self.congestion {
                bbr.on_timeout(&situation);
            }
        }
    }

    /// A reduction was needless.
    pub(super) fn tell_control_of_undo(&mut self, now: Instant) {
        if self.congestion.rules_window() {
            let situation = self.situation(now);
            if let Congestion::Bbr(bbr) = &mut self.congestion {
                bbr.on_undo(&situation);
            }
        }
    }

    /// The application writes: if everything before has left, the rate up to here was its own
    /// (`tcp_rate_check_app_limited`).
    pub(super) fn note_app_limited(&mut self) {
        let in_flight = self.in_flight();
        let idle = self.unsent() < u64::from(self.mss)
            && in_flight < self.window.cwnd
            && self.board.lost_out() <= self.board.retransmitted_out();
        if let Some(rates) = self.board.rates_mut()
            && idle
        {
            rates.note_app_limited(in_flight);
        }
    }

    fn set_pace(&mut self) {
        let Congestion::Bbr(bbr) = &self.congestion else {
            return;
        };
        let rate = bbr.pacing_rate();
        let limit = if self.offload {
            // Each segment is a burst, also one that is short of the limit.
            1
        } else {
            burst::limit(self.mss, rate, self.rtt.min_rtt(), bbr.least_burst())
        };
        if let Some(pacing) = &mut self.pacing {
            pacing.set(rate, limit);
        }
    }

    /// The rate in bytes per second that the size of bursts follows, and their least packets.
    pub(super) fn burst_rate(&self) -> (u64, u32) {
        match &self.congestion {
            Congestion::Bbr(bbr) => (bbr.pacing_rate(), bbr.least_burst()),
            Congestion::Reno | Congestion::Cubic(_) => (self.pace().rate(), burst::MIN_BURST_PACKETS),
        }
    }
}
