//! HyStart: leaving slow start before the queue overflows (Ha and Rhee, 2011, as `hystart_update` in
//! `net/ipv4/tcp_cubic.c`).
//!
//! Two signs, either suffices: ACKs have kept arriving without a pause for half the smallest RTT (the path is
//! full), or the smallest RTT of this round lies clearly above the smallest of all (a queue is building).

use longhaul_core::time::{Instant, Span};

use super::rounds::SlowStartRound;
use super::{PathSample, Window};
use crate::send::burst::MAX_BURST_BYTES;

/// Below this window, in segments, nothing is decided.
const LOW_WINDOW: u32 = 16;
/// ACKs closer together than this belong to one train.
const TRAIN_GAP: Span = Span::from_ms(2);
/// Samples of a round before its smallest RTT counts.
const MIN_SAMPLES: u32 = 8;
/// Bounds of the rise of the RTT that ends slow start; an eighth of the smallest RTT lies between them.
const DELAY_RISE: std::ops::RangeInclusive<Span> = Span::from_ms(4)..=Span::from_ms(16);

/// State of one round trip.
#[derive(Clone, Debug)]
pub(super) struct HyStart {
    round_start: Instant,
    /// The round ends when this byte is acknowledged.
    round_end: u64,
    /// Last ACK of the train.
    last_ack: Instant,
    round_min: Span,
    samples: u32,
    found: bool,
}

impl HyStart {
    pub(super) fn new() -> HyStart {
        HyStart {
            round_start: Instant::ZERO,
            round_end: 0,
            last_ack: Instant::ZERO,
            round_min: Span::MAX,
            samples: 0,
            found: false,
        }
    }

    /// Forgets what was found; a new search begins with a new round.
    pub(super) fn restart(&mut self, now: Instant, nxt: u64) {
        self.found = false;
        self.start_round(now, nxt);
    }

    fn start_round(&mut self, now: Instant, nxt: u64) {
        self.round_start = now;
        self.last_ack = now;
        self.round_end = nxt;
        self.round_min = Span::MAX;
        self.samples = 0;
    }

    /// One ACK in slow start; `min_rtt` is the smallest RTT of the connection. Ends slow start by setting the
    /// threshold to the window.
    pub(super) fn on_path_sample(&mut self, window: &mut Window, sample: &PathSample, min_rtt: Span) {
        if self.found {
            return;
        }
        if sample.una > self.round_end {
            self.start_round(sample.now, sample.nxt);
        }
        if window.cwnd < LOW_WINDOW {
            return;
        }
        let train = self.train_is_long(sample, min_rtt);
        let delay = self.delay_has_risen(sample, min_rtt);
        if train || delay {
            self.found = true;
            window.ssthresh = window.cwnd;
        }
    }

    fn train_is_long(&mut self, sample: &PathSample, min_rtt: Span) -> bool {
        if sample.now.saturating_since(self.last_ack) > TRAIN_GAP {
            return false;
        }
        self.last_ack = sample.now;
        // The half holds for senders that do not pace; time that a burst waits at its sender is allowed for.
        let threshold = (min_rtt + burst_allowance(sample.pace.rate())) / 2;
        sample.now.saturating_since(self.round_start) > threshold
    }

    fn delay_has_risen(&mut self, sample: &PathSample, min_rtt: Span) -> bool {
        self.round_min = self.round_min.min(sample.rtt);
        if self.samples < MIN_SAMPLES {
            self.samples += 1;
            return false;
        }
        self.round_min > delay_limit(min_rtt)
    }
}

/// The RTT of a round above which a queue is building.
fn delay_limit(min_rtt: Span) -> Span {
    let rise = (min_rtt / 8).clamp(*DELAY_RISE.start(), *DELAY_RISE.end());
    min_rtt.saturating_add(rise)
}

/// The same signs, read from a whole round: how many of its ACKs arrive before one of them ends slow start;
/// `None` if neither does.
pub(super) fn acks_before_exit(cwnd: u32, mss: u32, round: &SlowStartRound) -> Option<u32> {
    // The window below which nothing is decided may be passed within the round.
    let early = LOW_WINDOW.saturating_sub(cwnd);
    let delay = (round.round_min_rtt > delay_limit(round.min_rtt)).then_some(early.max(MIN_SAMPLES + 1));
    // An ACK may answer two segments.
    let train = (round.spacing.saturating_mul(2) <= TRAIN_GAP).then(|| {
        let pace =
            u128::from(cwnd) * u128::from(mss) * 2_000_000_000 / u128::from(round.min_rtt.as_ns().max(1));
        let allowance = burst_allowance(u64::try_from(pace).unwrap_or(u64::MAX));
        let threshold = round.min_rtt.saturating_add(allowance) / 2;
        let acks = threshold.as_ns() / round.spacing.as_ns().max(1) + 1;
        u32::try_from(acks).unwrap_or(u32::MAX).max(early)
    });
    let first = delay.into_iter().chain(train).min()?;
    (first <= round.segments).then_some(first)
}

/// Four of the largest bursts at the pacing rate, at most 1 ms (`hystart_ack_delay`).
fn burst_allowance(pacing_rate: u64) -> Span {
    let four_bursts = 4 * MAX_BURST_BYTES * 1_000_000_000;
    four_bursts
        .checked_div(pacing_rate)
        .map_or(Span::ZERO, |ns| Span::from_ns(ns).min(Span::from_ms(1)))
}

#[cfg(test)]
mod tests {
    use super::super::Pace;
    use super::*;

    const RTT: Span = Span::from_ms(80);

    fn sample(at_ms: u64, rtt: Span, una: u64) -> PathSample {
        let now = Instant::ZERO + Span::from_ms(at_ms);
        PathSample {
            now,
            rtt,
            una,
            nxt: 2 * una + 1,
            pace: Pace {
                window: u64::MAX,
                early: true,
                srtt: RTT,
            },
        }
    }

    #[test]
    fn a_train_longer_than_half_the_rtt_ends_slow_start() {
        let mut window = Window::new(100);
        let mut hystart = HyStart::new();
        hystart.restart(Instant::ZERO, 1_000);
        for at_ms in 1..=40 {
            hystart.on_path_sample(&mut window, &sample(at_ms, RTT, 500), RTT);
            assert!(window.in_slow_start(), "after {at_ms} ms");
        }
        hystart.on_path_sample(&mut window, &sample(41, RTT, 500), RTT);
        assert_eq!(window.ssthresh, 100);
    }

    #[test]
    fn a_pause_of_more_than_two_milliseconds_breaks_the_train() {
        let mut window = Window::new(100);
        let mut hystart = HyStart::new();
        hystart.restart(Instant::ZERO, 1_000);
        for at_ms in (3..80).step_by(3) {
            hystart.on_path_sample(&mut window, &sample(at_ms, RTT, 500), RTT);
        }
        assert!(window.in_slow_start());
    }

    #[test]
    fn eight_late_samples_and_one_more_end_slow_start() {
        let late = RTT + Span::from_us(10_001);
        let mut window = Window::new(LOW_WINDOW);
        let mut hystart = HyStart::new();
        hystart.restart(Instant::ZERO, 1_000);
        for _ in 0..MIN_SAMPLES {
            hystart.on_path_sample(&mut window, &sample(50, late, 500), RTT);
        }
        assert!(window.in_slow_start());
        hystart.on_path_sample(&mut window, &sample(50, late, 500), RTT);
        assert!(!window.in_slow_start());
    }

    #[test]
    fn one_sample_near_the_minimum_clears_the_round() {
        let late = RTT + Span::from_ms(20);
        let mut window = Window::new(LOW_WINDOW);
        let mut hystart = HyStart::new();
        hystart.restart(Instant::ZERO, 1_000);
        hystart.on_path_sample(&mut window, &sample(50, RTT + Span::from_ms(9), 500), RTT);
        for _ in 0..20 {
            hystart.on_path_sample(&mut window, &sample(50, late, 500), RTT);
        }
        assert!(window.in_slow_start());
    }

    #[test]
    fn a_small_window_decides_nothing() {
        let mut window = Window::new(LOW_WINDOW - 1);
        let mut hystart = HyStart::new();
        hystart.restart(Instant::ZERO, 1_000);
        for at_ms in 1..80 {
            hystart.on_path_sample(&mut window, &sample(at_ms, RTT * 2, 500), RTT);
        }
        assert!(window.in_slow_start());
    }
}
