//! BBR by rounds: what `net/ipv4/tcp_bbr.c` (version 1) does to the window, seen once per round trip.
//!
//! Startup doubles the window every round until three rounds in a row bring less than a quarter more; Drain empties
//! the queue that this built; ProbeBW keeps about one bandwidth-delay product in flight, with an eighth of the
//! rounds a quarter above it to look for more and the next a quarter below; ProbeRTT falls to four segments
//! for 200 ms whenever the smallest RTT is ten seconds old. Loss as such changes nothing: only what is delivered
//! counts, so random loss matters once more is lost than the probing adds.

use longhaul_core::time::{Instant, Span};

/// Rounds for which the largest delivery rate is remembered (`bbr_bw_rtts`).
const BANDWIDTH_ROUNDS: usize = 10;
/// Growth that counts as growth, and rounds without it that end startup.
const STARTUP_GROWTH: f64 = 1.25;
const STARTUP_ROUNDS: u32 = 3;
/// Window in ProbeRTT, in segments.
const MIN_WINDOW: u32 = 4;
const PROBE_RTT_EVERY: Span = Span::from_s(10);
const PROBE_RTT_FOR: Span = Span::from_ms(200);
/// Pacing gains of ProbeBW, in eighths of the bandwidth.
const CYCLE: [u32; 8] = [10, 6, 8, 8, 8, 8, 8, 8];

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    Startup { best: u64, stalled: u32 },
    Drain,
    ProbeBandwidth { step: usize },
    ProbeRtt { until: Instant },
}

/// State of the controller.
#[derive(Clone, Debug)]
pub(crate) struct Bbr {
    phase: Phase,
    window: u32,
    /// Delivery rates of the last rounds in segments per second.
    rates: [f64; BANDWIDTH_ROUNDS],
    round: usize,
    rtt: f64,
    probed_rtt_at: Instant,
}

impl Bbr {
    /// The controller of a connection whose handshake, ended at `now`, took `rtt`.
    pub(crate) fn new(initial: u32, now: Instant, rtt: Span) -> Bbr {
        Bbr {
            phase: Phase::Startup { best: 0, stalled: 0 },
            window: initial.max(MIN_WINDOW),
            rates: [0.0; BANDWIDTH_ROUNDS],
            round: 0,
            rtt: rtt.as_ns() as f64 / 1e9,
            probed_rtt_at: now,
        }
    }

    /// Segments in flight.
    pub(crate) fn window(&self) -> u32 {
        self.window
    }

    pub(crate) fn in_startup(&self) -> bool {
        matches!(self.phase, Phase::Startup { .. })
    }

    fn bandwidth(&self) -> f64 {
        self.rates.iter().fold(0.0, |best, &rate| best.max(rate))
    }

    /// Segments that `eighths`/8 of the bandwidth has in flight.
    fn product(&self, eighths: u32) -> u32 {
        let segments = self.bandwidth() * self.rtt * f64::from(eighths) / 8.0;
        // Twice the product is the bound of the window; a cast from beyond the range goes to its end.
        (libm::ceil(segments) as u32).max(MIN_WINDOW)
    }

    /// A round ended in which `delivered` segments arrived in `seconds`.
    pub(crate) fn on_round(&mut self, now: Instant, delivered: u32, seconds: f64, app_limited: bool) {
        let rate = f64::from(delivered) / seconds;
        if !app_limited || rate > self.bandwidth() {
            self.rates[self.round % BANDWIDTH_ROUNDS] = rate;
            self.round += 1;
        }
        if let Phase::ProbeRtt { until } = self.phase {
            if now < until {
                return;
            }
            self.probed_rtt_at = now;
            self.phase = Phase::ProbeBandwidth { step: 2 };
        } else if !self.in_startup() && now.saturating_since(self.probed_rtt_at) >= PROBE_RTT_EVERY {
            let longest = PROBE_RTT_FOR.max(Span::from_ns((self.rtt * 1e9) as u64));
            self.phase = Phase::ProbeRtt {
                until: now.saturating_add(longest),
            };
            self.window = MIN_WINDOW;
            return;
        }
        match &mut self.phase {
            Phase::Startup { best, stalled } => {
                let rate = rate as u64;
                if rate as f64 >= *best as f64 * STARTUP_GROWTH {
                    (*best, *stalled) = (rate, 0);
                } else if !app_limited {
                    *stalled += 1;
                }
                if *stalled >= STARTUP_ROUNDS {
                    self.phase = Phase::Drain;
                    self.window = self.product(8);
                } else {
                    // The bound is 2.89 products; below it the window grows by what is acknowledged.
                    let bound = self.product(24).max(self.window);
                    self.window = self.window.saturating_add(delivered).min(bound);
                }
            }
            Phase::Drain => {
                self.phase = Phase::ProbeBandwidth { step: 2 };
                self.window = self.product(8);
            }
            Phase::ProbeBandwidth { step } => {
                *step = (*step + 1) % CYCLE.len();
                let eighths = CYCLE[*step];
                self.window = self.product(eighths);
            }
            Phase::ProbeRtt { .. } => unreachable!("left or waited out above"),
        }
    }

    /// All that was outstanding is lost: one segment, and from there back to what is known of the path.
    pub(crate) fn restart(&mut self, left: u32) {
        self.window = left;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs rounds on a path of `rate` segments per second and 100 ms; returns the mean rate after startup.
    fn run(rate: f64, keep: f64, rounds: u32) -> (Bbr, f64) {
        let mut bbr = Bbr::new(10, Instant::ZERO, Span::from_ms(100));
        let (mut now, mut sum, mut time) = (0.0, 0.0, 0.0);
        for round in 0..rounds {
            let sent = f64::from(bbr.window());
            let seconds = (sent / rate).max(0.1);
            let delivered = sent * keep;
            now += seconds;
            if round > rounds / 4 {
                sum += delivered;
                time += seconds;
            }
            bbr.on_round(
                Instant::from_ns((now * 1e9) as u64),
                delivered as u32,
                seconds,
                false,
            );
        }
        (bbr, sum / time)
    }

    #[test]
    fn startup_finds_the_rate_and_steady_state_keeps_it() {
        let (bbr, rate) = run(5_000.0, 1.0, 400);
        assert!(!bbr.in_startup());
        assert!((0.93..1.01).contains(&(rate / 5_000.0)), "{rate}");
    }

    #[test]
    fn random_loss_below_the_probing_gain_costs_about_twice_what_is_lost() {
        // The bandwidth is known from probes of which a tenth was lost, and a tenth is lost of what is paced by it.
        let (_, rate) = run(5_000.0, 0.9, 400);
        assert!((0.76..0.83).contains(&(rate / 5_000.0)), "{rate}");
        // 25 % more sent and 30 % lost: the known bandwidth shrinks every ten rounds.
        let (_, rate) = run(5_000.0, 0.7, 400);
        assert!(rate / 5_000.0 < 0.4, "{rate}");
    }
}
