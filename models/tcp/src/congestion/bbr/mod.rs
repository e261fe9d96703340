//! BBR v1 as `net/ipv4/tcp_bbr.c` of Linux 6.1 does it (Cardwell et al., "BBR: Congestion-Based Congestion
//! Control", ACM Queue 14/5, 2016).
//!
//! BBR keeps a model of the path, the largest delivery rate of the last ten rounds and the smallest RTT of the
//! last ten seconds, and paces at the first times a gain. Losses do not move the model.
//!
//! | mode | pacing gain | ends |
//! | --- | --- | --- |
//! | Startup | 2/ln 2 | after three rounds without 25 % more bandwidth |
//! | Drain | ln 2/2 | when no more is in flight than the product of bandwidth and delay |
//! | ProbeBandwidth | [`cycle`] | |
//! | ProbeRtt, when the smallest RTT is ten seconds old | 1, with a window of four | after 200 ms and a round |
//!
//! [`probe_rtt`] follows the smallest RTT, [`window`] is the cap on what is in flight, [`policer`] the long-term bandwidth, [`aggregation`] the allowance
//! for ACKs that come in heaps.
//!
//! BBR v1 takes no notice of ECN.

mod aggregation;
mod bandwidth;
mod cycle;
mod max_filter;
mod policer;
mod probe_rtt;
mod window;

use longhaul_core::random::Stream;
use longhaul_core::time::Span;

use super::{RateSample, Repair, Situation, Window};
use crate::timer::jiffies;
use aggregation::Aggregation;
use bandwidth::{Bandwidth, GAIN_UNIT};
use cycle::Cycle;
use max_filter::MaxFilter;
use policer::{Finding, Policer};
use probe_rtt::ProbeRtt;

/// Rounds over which the largest delivery rate counts.
const BANDWIDTH_ROUNDS: u64 = 10;
/// 2/ln 2, the least gain that doubles the rate every round trip, and its inverse.
const HIGH_GAIN: u64 = GAIN_UNIT * 2885 / 1000 + 1;
const DRAIN_GAIN: u64 = GAIN_UNIT * 1000 / 2885;
/// Gain of the window while the rate cycles: room for delayed and thinned ACKs.
const WINDOW_GAIN: u64 = 2 * GAIN_UNIT;
/// The pipe is full after so many rounds without growth to 1.25 times.
const FULL_PIPE_ROUNDS: u32 = 3;
const FULL_PIPE_GROWTH: u64 = GAIN_UNIT * 5 / 4;
/// The RTT to pace by before any was measured.
const NOMINAL_RTT: Span = Span::from_ms(1);

/// What the sender is at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Mode {
    Startup,
    Drain,
    ProbeBandwidth,
    ProbeRtt,
}

/// Whether Startup has found the bandwidth.
#[derive(Clone, Copy, Debug, Default)]
struct FullPipe {
    reached: bool,
    /// Bandwidth when it last grew, and rounds since.
    bandwidth: Bandwidth,
    rounds: u32,
}

/// State of the controller.
#[derive(Clone, Debug)]
pub(crate) struct Bbr {
    mode: Mode,
    /// Largest delivery rate by rounds.
    rates: MaxFilter,
    /// [`Span::MAX`] before the first sample.
    min_rtt: Span,
    /// Jiffy in which it was measured.
    min_rtt_at: u64,
    /// Whether the pacing rate rests on an RTT.
    has_rtt: bool,
    rounds: u64,
    /// The round ends when a packet is delivered that left after so many had been delivered.
    round_end: u64,
    round_start: bool,
    /// Data has just begun to flow again.
    restarting: bool,
    full_pipe: FullPipe,
    probe_rtt: ProbeRtt,
    cycle: Cycle,
    policer: Policer,
    aggregation: Aggregation,
    /// State of recovery at the last ACK.
    repair: Repair,
    /// In the first round of recovery as much leaves as is delivered.
    conserving: bool,
    saved_window: u32,
    pacing_gain: u64,
    window_gain: u64,
    /// Bytes of payload per second.
    pacing_rate: u64,
}

impl Bbr {
    /// `stream` decides with which phase a gain cycle begins.
    pub(super) fn new(stream: Stream) -> Bbr {
        Bbr {
            mode: Mode::Startup,
            rates: MaxFilter::new(BANDWIDTH_ROUNDS),
            min_rtt: Span::MAX,
            min_rtt_at: 0,
            has_rtt: false,
            rounds: 0,
            round_end: 0,
            round_start: false,
            restarting: false,
            full_pipe: FullPipe::default(),
            probe_rtt: ProbeRtt::default(),
            cycle: Cycle::new(stream),
            policer: Policer::default(),
            aggregation: Aggregation::default(),
            repair: Repair::None,
            conserving: false,
            saved_window: 0,
            pacing_gain: HIGH_GAIN,
            window_gain: HIGH_GAIN,
            pacing_rate: u64::MAX,
        }
    }

    /// Bytes of payload per second.
    pub(crate) fn pacing_rate(&self) -> u64 {
        self.pacing_rate
    }

    /// The handshake is over, and gave `min_rtt` or [`Span::MAX`].
    pub(crate) fn on_start(&mut self, window: &Window, situation: &Situation, min_rtt: Span) {
        self.min_rtt = min_rtt;
        self.min_rtt_at = jiffies(situation.now);
        self.aggregation.restart(situation.now);
        self.start_pacing(window, situation);
    }

    /// The initial window per round trip, times the high gain.
    fn start_pacing(&mut self, window: &Window, situation: &Situation) {
        self.has_rtt = situation.srtt.is_some();
        let bandwidth = Bandwidth::of(u64::from(window.cwnd), situation.srtt.unwrap_or(NOMINAL_RTT));
        self.pacing_rate = bandwidth.bytes_per_s(situation.mss, HIGH_GAIN);
    }

    /// The bandwidth to act by.
    fn bandwidth(&self) -> Bandwidth {
        self.policer.bandwidth().unwrap_or(self.largest_rate())
    }

    fn largest_rate(&self) -> Bandwidth {
        Bandwidth(self.rates.get())
    }

    /// An ACK was evaluated. Returns whether what leaves from now on says nothing of the bandwidth.
    pub(crate) fn on_ack(&mut self, window: &mut Window, situation: &Situation, sample: &RateSample) -> bool {
        self.take_rate(situation, sample);
        if sample.interval.is_some() {
            let bandwidth = self.bandwidth();
            self.aggregation.on_ack(
                situation,
                sample.newly_delivered,
                window.cwnd,
                bandwidth,
                self.round_start,
            );
        }
        if self.mode == Mode::ProbeBandwidth && self.is_phase_over(situation, sample) {
            self.cycle.advance(situation.delivered_at);
        }
        self.check_full_pipe(sample);
        self.check_drain(window, situation);
        let dips = self.take_rtt(window, situation, sample);
        self.set_gains();
        self.set_pacing_rate(window, situation, self.pacing_gain);
        self.set_window(window, situation, sample);
        dips
    }

    fn take_rate(&mut self, situation: &Situation, sample: &RateSample) {
        self.round_start = false;
        let Some(interval) = sample.interval else { return };
        if sample.prior_delivered >= self.round_end {
            self.round_end = situation.delivered;
            self.rounds += 1;
            self.round_start = true;
            self.conserving = false;
        }
        self.look_for_policer(situation, sample);
        let rate = Bandwidth::of(sample.delivered, interval);
        // A sender that had nothing to send learns only of a path that is faster than believed.
        if !sample.app_limited || rate >= self.largest_rate() {
            self.rates.insert(self.rounds, rate.0);
        }
    }

    fn look_for_policer(&mut self, situation: &Situation, sample: &RateSample) {
        let probing = self.mode == Mode::ProbeBandwidth;
        match self
            .policer
            .on_sample(situation, sample, self.round_start, probing)
        {
            Finding::Nothing => {}
            // For the rest of this ACK; afterwards the mode's gain takes the policer into account.
            Finding::Policed => self.pacing_gain = GAIN_UNIT,
            Finding::Over => self.enter_probe_bandwidth(situation),
        }
    }

    fn enter_probe_bandwidth(&mut self, situation: &Situation) {
        self.mode = Mode::ProbeBandwidth;
        self.cycle.start(situation.delivered_at);
    }

    /// Whether the phase of the cycle has lasted a round trip and reached what it was for.
    fn is_phase_over(&self, situation: &Situation, sample: &RateSample) -> bool {
        let lasted = situation.delivered_at.saturating_since(self.cycle.since) > self.min_rtt;
        let in_flight = || self.in_network_at_departure(situation, sample.prior_in_flight);
        let aim = |gain| self.inflight(self.largest_rate(), gain, situation.mss);
        if self.pacing_gain > GAIN_UNIT {
            lasted && (sample.newly_lost > 0 || in_flight() >= aim(self.pacing_gain))
        } else if self.pacing_gain < GAIN_UNIT {
            lasted || in_flight() <= aim(GAIN_UNIT)
        } else {
            lasted
        }
    }

    /// Packets that the network will hold when the next burst may leave.
    fn in_network_at_departure(&self, situation: &Situation, in_flight: u32) -> u32 {
        let wait = situation.next_departure.saturating_since(situation.now);
        let delivered = u32::try_from(self.bandwidth().packets_in(wait)).unwrap_or(u32::MAX);
        let burst = if self.pacing_gain > GAIN_UNIT {
            self.burst_goal(situation.mss)
        } else {
            0
        };
        in_flight.saturating_add(burst).saturating_sub(delivered)
    }

    fn check_full_pipe(&mut self, sample: &RateSample) {
        if self.full_pipe.reached || !self.round_start || sample.app_limited {
            return;
        }
        let rate = self.largest_rate();
        let full = &mut self.full_pipe;
        if rate.0 >= full.bandwidth.0 * FULL_PIPE_GROWTH / GAIN_UNIT {
            full.bandwidth = rate;
            full.rounds = 0;
            return;
        }
        full.rounds += 1;
        full.reached = full.rounds >= FULL_PIPE_ROUNDS;
    }

    fn check_drain(&mut self, window: &mut Window, situation: &Situation) {
        let aim = self.inflight(self.largest_rate(), GAIN_UNIT, situation.mss);
        if self.mode == Mode::Startup && self.full_pipe.reached {
            self.mode = Mode::Drain;
            window.ssthresh = aim;
        }
        if self.mode == Mode::Drain && self.in_network_at_departure(situation, situation.in_flight) <= aim {
            self.enter_probe_bandwidth(situation);
        }
    }

    fn set_gains(&mut self) {
        (self.pacing_gain, self.window_gain) = match self.mode {
            Mode::Startup => (HIGH_GAIN, HIGH_GAIN),
            Mode::Drain => (DRAIN_GAIN, HIGH_GAIN),
            Mode::ProbeBandwidth if self.policer.bandwidth().is_some() => (GAIN_UNIT, WINDOW_GAIN),
            Mode::ProbeBandwidth => (self.cycle.gain(), WINDOW_GAIN),
            Mode::ProbeRtt => (GAIN_UNIT, GAIN_UNIT),
        };
    }

    /// Until the pipe is full the rate only grows.
    fn set_pacing_rate(&mut self, window: &Window, situation: &Situation, gain: u64) {
        if !self.has_rtt && situation.srtt.is_some() {
            self.start_pacing(window, situation);
        }
        let rate = self.bandwidth().bytes_per_s(situation.mss, gain);
        if self.full_pipe.reached || rate > self.pacing_rate {
            self.pacing_rate = rate;
        }
    }

    /// Data leaves after a time with nothing in flight, in which the application had nothing to send: at the
    /// known bandwidth, lest it overflow a queue.
    pub(crate) fn on_transmit_start(&mut self, window: &mut Window, situation: &Situation) {
        self.restarting = true;
        self.aggregation.restart(situation.now);
        match self.mode {
            Mode::ProbeBandwidth => self.set_pacing_rate(window, situation, GAIN_UNIT),
            Mode::ProbeRtt => self.check_probe_rtt_done(window, situation),
            Mode::Startup | Mode::Drain => {}
        }
    }

    /// A recovery begins; the threshold does not move.
    pub(super) fn ssthresh(&mut self, window: &Window) -> u32 {
        self.save_window(window);
        window.ssthresh
    }

    /// A retransmission timeout ends a round, and the search for the bandwidth starts over if it is not over.
    pub(crate) fn on_timeout(&mut self, situation: &Situation) {
        self.repair = Repair::Timeout;
        self.full_pipe.bandwidth = Bandwidth::ZERO;
        self.round_start = true;
        let loss = RateSample {
            newly_lost: 1,
            ..RateSample::default()
        };
        self.look_for_policer(situation, &loss);
    }

    /// A reduction was needless: what it hid of the bandwidth is looked for again (`bbr_undo_cwnd`).
    pub(crate) fn on_undo(&mut self, situation: &Situation) {
        self.full_pipe.bandwidth = Bandwidth::ZERO;
        self.full_pipe.rounds = 0;
        self.policer.reset(situation);
    }
}
