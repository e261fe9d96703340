//! CUBIC: RFC 9438 with the integer arithmetic of `net/ipv4/tcp_cubic.c`.
//!
//! After a loss at `W_max` segments the window is `W_max + C·(t - K)³` at time `t`, with `C` = 0.4 and
//! `K = cbrt(W_max·(1 - beta)/C)`. Time has units of 1/1024 s, and steps of a jiffy.

use longhaul_core::time::{Instant, Span};

use super::hystart::HyStart;
use super::{PathSample, Window};
use crate::timer::{HZ, jiffies, span_in_jiffies};

/// Multiplicative decrease, in 1/1024: 717/1024 is 0.7.
const BETA: u64 = 717;
const BETA_UNIT: u64 = 1024;
/// `C` in units of 1/1024 (0.4 · 1024, as `bic_scale · 10`).
const C: u64 = 410;
/// Binary digits of the fraction of a second.
const TIME_SHIFT: u32 = 10;
/// Segments that Reno must acknowledge to grow by one, in eighths of a window: 8·(1 + beta)/(3·(1 - beta)).
const RENO_EIGHTHS: u64 = 8 * (BETA_UNIT + BETA) / 3 / (BETA_UNIT - BETA);
/// Nothing is recomputed for the same window within this many jiffies.
const RECOMPUTE_PAUSE: u64 = HZ / 32;

/// State of the controller. An *epoch* runs from one reduction to the next.
#[derive(Clone, Debug)]
pub(crate) struct Cubic {
    /// Segments to acknowledge for each segment of growth.
    per_segment: u32,
    /// Window before the last reduction; 0 if unknown.
    last_max: u32,
    /// Window at the last computation.
    last_cwnd: u32,
    /// Jiffy of the last computation.
    last_time: u64,
    /// The window that the curve passes at its flat point.
    origin: u32,
    /// Time from the start of the epoch to the flat point, in 1/1024 s.
    k: u64,
    /// Jiffy at which the epoch began; `None` until the first growth after a reduction.
    epoch_start: Option<u64>,
    /// Segments acknowledged in this epoch that the Reno estimate has not used.
    reno_credit: u64,
    /// The window that Reno would have.
    reno_cwnd: u32,
    /// Smallest RTT; `None` before the first sample.
    min_rtt: Option<Span>,
    hystart: Option<HyStart>,
}

impl Cubic {
    pub(super) fn new(hystart: bool) -> Cubic {
        Cubic {
            per_segment: 0,
            last_max: 0,
            last_cwnd: 0,
            last_time: 0,
            origin: 0,
            k: 0,
            epoch_start: None,
            reno_credit: 0,
            reno_cwnd: 0,
            min_rtt: None,
            hystart: hystart.then(HyStart::new),
        }
    }

    /// Forgets the path, as at the start and after a retransmission timeout.
    pub(super) fn reset(&mut self, now: Instant, nxt: u64) {
        let hystart = self.hystart.take();
        *self = Cubic::new(false);
        self.hystart = hystart;
        if let Some(hystart) = &mut self.hystart {
            hystart.restart(now, nxt);
        }
    }

    /// 0.7 of the window. With fast convergence: a flow that lost before it came back to its old maximum
    /// remembers less than it had, and so yields to newer flows.
    pub(super) fn ssthresh(&mut self, window: &Window) -> u32 {
        let cwnd = u64::from(window.cwnd);
        self.epoch_start = None;
        self.last_max = if window.cwnd < self.last_max {
            scale(cwnd, BETA_UNIT + BETA, 2 * BETA_UNIT)
        } else {
            window.cwnd
        };
        scale(cwnd, BETA, BETA_UNIT).max(2)
    }

    /// Slow start takes what it can of the acknowledged segments. What is left, if any, the curve is ready for.
    fn pass_slow_start(&mut self, window: &mut Window, now: Instant, acked: u32) -> Option<u32> {
        let mut acked = acked;
        if window.in_slow_start() {
            acked = window.slow_start(acked);
            if acked == 0 {
                return None;
            }
        }
        self.update(window.cwnd, jiffies(now), acked);
        Some(acked)
    }

    pub(super) fn grow(&mut self, window: &mut Window, now: Instant, acked: u32) {
        let Some(acked) = self.pass_slow_start(window, now, acked) else {
            return;
        };
        window.additive_increase(self.per_segment, acked);
    }

    /// The same when `acked` covers several round trips. After a loss the curve is absolute in time, so one window of
    /// ACKs takes the window to it, however long ago the last ones came; before the first the window grows by a
    /// share of itself per round trip.
    pub(super) fn grow_over_rounds(&mut self, window: &mut Window, now: Instant, acked: u32) {
        let Some(acked) = self.pass_slow_start(window, now, acked) else {
            return;
        };
        let mut left = acked;
        loop {
            let before = window.cwnd;
            let round = left.min(before);
            window.additive_increase(self.per_segment, round);
            // Credit from a slower pace would take the window past the curve, which ACK by ACK stops it there.
            let growth = (before / self.per_segment).max(1);
            window.cwnd = window.cwnd.min(before.saturating_add(growth));
            left -= round;
            if self.last_max > 0 || left == 0 {
                return;
            }
        }
    }

    /// Recomputes `per_segment` (`bictcp_update`).
    fn update(&mut self, cwnd: u32, now: u64, acked: u32) {
        self.reno_credit += u64::from(acked);
        if self.last_cwnd == cwnd && now.saturating_sub(self.last_time) <= RECOMPUTE_PAUSE {
            return;
        }
        // The curve moves at most once a jiffy; the Reno estimate below moves with every ACK.
        if self.epoch_start.is_none() || now != self.last_time {
            self.last_cwnd = cwnd;
            self.last_time = now;
            let epoch_start = *self.epoch_start.get_or_insert_with(|| {
                self.reno_credit = u64::from(acked);
                self.reno_cwnd = cwnd;
                if self.last_max <= cwnd {
                    self.k = 0;
                    self.origin = cwnd;
                } else {
                    let missing = u64::from(self.last_max - cwnd);
                    self.k = cube_root((1u64 << (4 * TIME_SHIFT)) / C * missing);
                    self.origin = self.last_max;
                }
                now
            });
            self.per_segment = self.pace_of_curve(cwnd, now - epoch_start);
        }
        self.keep_up_with_reno(cwnd);
        // At most one segment for two acknowledged: 1.5 times per round trip.
        self.per_segment = self.per_segment.max(2);
    }

    /// How many segments to acknowledge per segment of growth, so that the window meets the curve one RTT later.
    fn pace_of_curve(&self, cwnd: u32, elapsed_jiffies: u64) -> u32 {
        let ahead = self.min_rtt.map_or(0, span_in_jiffies);
        let time = ((elapsed_jiffies + ahead) << TIME_SHIFT) / HZ;
        let distance = u128::from(time.abs_diff(self.k));
        // Saturating: a pause of days would leave 128 bits, and the answer is "at once" long before.
        let cube = distance.saturating_mul(distance).saturating_mul(distance);
        let delta = cube.saturating_mul(u128::from(C)) >> (4 * TIME_SHIFT);
        let delta = u32::try_from(delta).unwrap_or(u32::MAX);
        let target = if time < self.k {
            self.origin.saturating_sub(delta)
        } else {
            self.origin.saturating_add(delta)
        };
        let pace = if target > cwnd {
            cwnd / (target - cwnd)
        } else {
            cwnd.saturating_mul(100)
        };
        // Before the first loss nothing is known of the path: at least 5 % per round trip.
        if self.last_max == 0 { pace.min(20) } else { pace }
    }

    /// Never slower than Reno would be (RFC 9438 section 4.3).
    fn keep_up_with_reno(&mut self, cwnd: u32) {
        let per_growth = (u64::from(cwnd) * RENO_EIGHTHS) >> 3;
        if per_growth > 0 && self.reno_credit > per_growth {
            let growth = (self.reno_credit - 1) / per_growth;
            self.reno_credit -= growth * per_growth;
            self.reno_cwnd = self
                .reno_cwnd
                .saturating_add(u32::try_from(growth).unwrap_or(u32::MAX));
        }
        if self.reno_cwnd > cwnd {
            self.per_segment = self.per_segment.min(cwnd / (self.reno_cwnd - cwnd));
        }
    }

    pub(super) fn on_path_sample(&mut self, window: &mut Window, sample: &PathSample) {
        // For a second after a reduction the RTT is that of a draining queue.
        if self
            .epoch_start
            .is_some_and(|start| jiffies(sample.now).saturating_sub(start) < HZ)
        {
            return;
        }
        let rtt = sample.rtt.max(Span::from_us(1));
        let min_rtt = self.min_rtt.map_or(rtt, |smallest| smallest.min(rtt));
        self.min_rtt = Some(min_rtt);
        if let Some(hystart) = &mut self.hystart
            && window.in_slow_start()
        {
            hystart.on_path_sample(window, sample, min_rtt);
        }
    }

    /// The smallest RTT, from a caller that does not judge samples one by one.
    pub(super) fn on_smallest_rtt(&mut self, rtt: Span) {
        self.min_rtt = Some(rtt);
    }

    /// The curve stands still while nothing is in flight.
    pub(super) fn on_transmit_start(&mut self, now: Instant, last_sent: Instant) {
        if let Some(start) = self.epoch_start {
            let idle = jiffies(now).saturating_sub(jiffies(last_sent));
            self.epoch_start = Some((start + idle).min(jiffies(now)));
        }
    }
}

/// `value · numerator / denominator`, for a fraction of at most one.
fn scale(value: u64, numerator: u64, denominator: u64) -> u32 {
    u32::try_from(value * numerator / denominator).expect("a fraction of at most one")
}

/// Integer cube root, rounded down: one binary digit of the result per step.
fn cube_root(value: u64) -> u64 {
    let mut root = 0u64;
    for bit in (0..22).rev() {
        let candidate = root | 1 << bit;
        if u128::from(candidate).pow(3) <= u128::from(value) {
            root = candidate;
        }
    }
    root
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at_ms(ms: u64) -> Instant {
        Instant::ZERO + Span::from_ms(ms)
    }

    #[test]
    fn cube_roots_are_exact() {
        assert_eq!(cube_root(0), 0);
        for root in [1, 2, 1_000, 65_535, 2_000_000] {
            let cube = u64::pow(root, 3);
            assert_eq!(cube_root(cube - 1), root - 1);
            assert_eq!(cube_root(cube), root);
            assert_eq!(cube_root(cube + 1), root);
        }
        assert_eq!(cube_root(u64::MAX), 2_642_245);
    }

    #[test]
    fn a_loss_leaves_seven_tenths_and_fast_convergence_remembers_less() {
        let mut cubic = Cubic::new(false);
        assert_eq!(cubic.ssthresh(&Window::new(1000)), 700);
        assert_eq!(cubic.last_max, 1000);
        assert_eq!(cubic.ssthresh(&Window::new(800)), 560);
        assert_eq!(cubic.last_max, 680);
        assert_eq!(cubic.ssthresh(&Window::new(2)), 2);
    }

    /// Sends a full window every 100 ms and returns the window after each round.
    fn windows_after_loss_at(max: u32, rounds: u64) -> Vec<u32> {
        let mut cubic = Cubic::new(false);
        cubic.min_rtt = Some(Span::from_ms(100));
        let mut window = Window::new(max);
        window.ssthresh = cubic.ssthresh(&window);
        window.cwnd = window.ssthresh;
        let round = |round: u64| {
            let (mut left, start) = (window.cwnd, window.cwnd);
            while left > 0 {
                let acked = left.min(2);
                let elapsed = 100 * round + u64::from(start - left) * 100 / u64::from(start);
                cubic.grow(&mut window, at_ms(elapsed), acked);
                left -= acked;
            }
            window.cwnd
        };
        (0..rounds).map(round).collect()
    }

    #[test]
    fn the_window_follows_the_curve_of_rfc_9438() {
        // K = cbrt(1000·0.3/0.4) = 9.09 s.
        let windows = windows_after_loss_at(1000, 120);
        for (round, &cwnd) in windows.iter().enumerate() {
            let time = (round + 1) as f64 / 10.0;
            let from_flat = time - 9.086;
            let curve = 1000.0 + 0.4 * from_flat * from_flat * from_flat;
            let error = (f64::from(cwnd) - curve).abs();
            assert!(error <= 10.0, "after {time} s: {cwnd} segments, curve {curve:.0}");
        }
    }

    #[test]
    fn a_small_window_grows_as_fast_as_reno_would() {
        // From 7 segments at 100 ms, Reno with beta 0.7 adds 3·0.3/1.7 = 0.53 segments per round trip.
        let windows = windows_after_loss_at(10, 40);
        let growth = f64::from(windows[39] - 7) / 40.0;
        assert!((0.4..0.7).contains(&growth), "{growth} segments per round trip");
    }

    #[test]
    fn a_pause_does_not_move_the_curve() {
        let mut cubic = Cubic::new(false);
        let mut window = Window::new(100);
        window.ssthresh = cubic.ssthresh(&window);
        window.cwnd = window.ssthresh;
        cubic.grow(&mut window, at_ms(1_000), 2);
        cubic.on_transmit_start(at_ms(61_000), at_ms(1_000));
        cubic.grow(&mut window, at_ms(61_000), 2);
        assert_eq!(window.cwnd, 70);
    }
}
