//! Round-trip time and retransmission timeout: RFC 6298 as `tcp_rtt_estimator` computes it.

use longhaul_core::time::{Instant, Span};

use crate::timer::{JIFFY, span_in_jiffies};

/// Timeout before the first sample (`TCP_TIMEOUT_INIT`).
pub(crate) const INITIAL_RTO: Span = Span::from_s(1);
/// The variance term is at least this (`TCP_RTO_MIN`), so the timeout is at least the RTT plus 200 ms.
pub(crate) const MIN_VARIANCE: Span = Span::from_ms(200);
/// The timeout is at most this (`TCP_RTO_MAX`).
pub(crate) const MAX_RTO: Span = Span::from_s(120);
/// A minimum older than this is forgotten (`tcp_min_rtt_wlen`).
const MIN_RTT_WINDOW: Span = Span::from_s(300);

/// The RTT that an echoed timestamp tells. Linux's timestamps count milliseconds (`TCP_TS_HZ`), so this one does.
pub(crate) fn rtt_by_timestamp(now: Instant, echo: Instant) -> Span {
    let ms = |at: Instant| at.as_ns() / 1_000_000;
    Span::from_ms(ms(now).saturating_sub(ms(echo)).max(1))
}

/// Running estimates of one path.
#[derive(Clone, Debug)]
pub(crate) struct RttEstimator {
    /// Eight times the smoothed RTT, in nanoseconds; 0 before the first sample.
    srtt_8: i64,
    /// Four times the smoothed deviation.
    deviation: i64,
    /// Largest `deviation` in the current round.
    deviation_max: i64,
    /// What the timeout adds to the RTT: follows `deviation_max` up at once and down slowly, once a round.
    variance: i64,
    /// The round ends when this byte is acknowledged.
    round_end: u64,
    rto: Span,
    minimum: Minimum,
}

/// Smallest sample of the last 300 s, within a factor of two: the minimum of the current window and of the one
/// before.
#[derive(Clone, Copy, Debug)]
struct Minimum {
    current: Span,
    previous: Span,
    since: Instant,
}

impl RttEstimator {
    pub(crate) fn new() -> RttEstimator {
        RttEstimator {
            srtt_8: 0,
            deviation: 0,
            deviation_max: 0,
            variance: 0,
            round_end: 0,
            rto: INITIAL_RTO,
            minimum: Minimum {
                current: Span::MAX,
                previous: Span::MAX,
                since: Instant::ZERO,
            },
        }
    }

    /// A sample taken when everything up to `una` was acknowledged and everything up to `nxt` was sent. Undoes
    /// any backoff.
    pub(crate) fn sample(&mut self, rtt: Span, una: u64, nxt: u64) {
        // Beyond 2^58 ns (nine years) eight times the RTT would leave the range.
        let sample = rtt.as_ns().min(1 << 58).cast_signed();
        let floor = MIN_VARIANCE.as_ns().cast_signed();
        if self.srtt_8 == 0 {
            self.srtt_8 = sample << 3;
            self.deviation = sample << 1;
            self.variance = self.deviation.max(floor);
            self.deviation_max = self.variance;
            self.round_end = nxt;
        } else {
            let error = sample - (self.srtt_8 >> 3);
            self.srtt_8 += error;
            let mut change = error.abs() - (self.deviation >> 2);
            // A sudden drop of the RTT must not raise the deviation as fast as a rise does.
            if error < 0 && change > 0 {
                change >>= 3;
            }
            self.deviation += change;
            if self.deviation > self.deviation_max {
                self.deviation_max = self.deviation;
                self.variance = self.variance.max(self.deviation_max);
            }
            if una > self.round_end {
                if self.deviation_max < self.variance {
                    self.variance -= (self.variance - self.deviation_max) >> 2;
                }
                self.round_end = nxt;
                self.deviation_max = floor;
            }
        }
        self.srtt_8 = self.srtt_8.max(1);
        let rto = Span::from_ns(((self.srtt_8 >> 3) + self.variance) as u64);
        self.rto = (JIFFY * span_in_jiffies(rto)).min(MAX_RTO);
    }

    /// Tells the minimum filter of a sample that no delayed ACK can have lengthened.
    pub(crate) fn sample_minimum(&mut self, now: Instant, rtt: Span) {
        let minimum = &mut self.minimum;
        if now.saturating_since(minimum.since) > MIN_RTT_WINDOW {
            *minimum = Minimum {
                current: rtt,
                previous: minimum.current,
                since: now,
            };
        } else if rtt < minimum.current {
            minimum.current = rtt;
        }
    }

    /// Doubles the timeout after it has passed.
    pub(crate) fn back_off(&mut self) {
        self.rto = self.rto.saturating_mul(2).min(MAX_RTO);
    }

    /// Current timeout, a whole number of jiffies.
    pub(crate) fn rto(&self) -> Span {
        self.rto
    }

    /// Smoothed RTT, if there was a sample.
    pub(crate) fn srtt(&self) -> Option<Span> {
        (self.srtt_8 != 0).then(|| Span::from_ns((self.srtt_8 >> 3) as u64))
    }

    /// Smallest RTT, [`Span::MAX`] before the first sample.
    pub(crate) fn min_rtt(&self) -> Span {
        self.minimum.current.min(self.minimum.previous)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROUND: u64 = 14_480;

    #[test]
    fn the_first_sample_gives_three_round_trips_but_at_least_200_ms_of_variance() {
        let mut rtt = RttEstimator::new();
        assert_eq!(rtt.rto(), INITIAL_RTO);
        rtt.sample(Span::from_ms(80), 0, ROUND);
        assert_eq!(rtt.rto(), Span::from_ms(280));
        let mut rtt = RttEstimator::new();
        rtt.sample(Span::from_ms(300), 0, ROUND);
        assert_eq!(rtt.rto(), Span::from_ms(900));
    }

    #[test]
    fn a_steady_path_settles_at_rtt_plus_200_ms() {
        let mut rtt = RttEstimator::new();
        for round in 0..60 {
            rtt.sample(Span::from_ms(300), round * ROUND, (round + 1) * ROUND);
        }
        assert_eq!(rtt.srtt(), Some(Span::from_ms(300)));
        // The variance comes down by quarters, so it keeps a remainder, and a remainder costs a jiffy.
        assert!(
            (Span::from_ms(500)..=Span::from_ms(504)).contains(&rtt.rto()),
            "{:?}",
            rtt.rto()
        );
    }

    #[test]
    fn a_sudden_rise_raises_the_timeout_at_once_and_a_fall_lowers_it_slowly() {
        let mut rtt = RttEstimator::new();
        for round in 0..60 {
            rtt.sample(Span::from_ms(100), round * ROUND, (round + 1) * ROUND);
        }
        rtt.sample(Span::from_ms(900), 60 * ROUND, 61 * ROUND);
        let raised = rtt.rto();
        assert!(raised >= Span::from_ms(900), "{raised:?}");
        rtt.sample(Span::from_ms(100), 61 * ROUND, 62 * ROUND);
        assert!(rtt.rto() > Span::from_ms(700), "{:?}", rtt.rto());
    }

    #[test]
    fn backoff_doubles_up_to_two_minutes_and_a_sample_ends_it() {
        let mut rtt = RttEstimator::new();
        rtt.sample(Span::from_ms(80), 0, ROUND);
        rtt.back_off();
        assert_eq!(rtt.rto(), Span::from_ms(560));
        for _ in 0..20 {
            rtt.back_off();
        }
        assert_eq!(rtt.rto(), MAX_RTO);
        rtt.sample(Span::from_ms(80), ROUND, 2 * ROUND);
        assert!(rtt.rto() < Span::from_ms(300));
    }

    #[test]
    fn the_minimum_is_forgotten_after_two_windows() {
        let mut rtt = RttEstimator::new();
        let at = |s| Instant::ZERO + Span::from_s(s);
        rtt.sample_minimum(at(1), Span::from_ms(10));
        rtt.sample_minimum(at(2), Span::from_ms(20));
        assert_eq!(rtt.min_rtt(), Span::from_ms(10));
        rtt.sample_minimum(at(302), Span::from_ms(20));
        assert_eq!(rtt.min_rtt(), Span::from_ms(10));
        rtt.sample_minimum(at(603), Span::from_ms(20));
        assert_eq!(rtt.min_rtt(), Span::from_ms(20));
    }
}
