//! How good a path is, in points from 0 to 100.
//!
//! Two scales. The *monitor score* rates a path by itself and decides when it is too bad to stay on and good enough
//! to come back to. The *policy scores* compare paths for one kind of traffic. Latency is the mean round trip and
//! jitter its population standard deviation, both in milliseconds; loss is in percent.

use longhaul_core::time::Span;
use longhaul_core::units::{BitRate, Probability};
use serde::{Deserialize, Serialize};

use crate::probe::Statistics;

/// What probes say of a path.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct Quality {
    /// Mean round trip in milliseconds.
    pub latency_ms: f64,
    /// Standard deviation of the round trips in milliseconds.
    pub jitter_ms: f64,
    /// Probes lost in percent, 0 to 100.
    pub loss_percent: f64,
}

impl Quality {
    /// Of a window; `None` while it holds no answer, so that nothing is known.
    pub fn of(statistics: &Statistics) -> Option<Quality> {
        let ms = |span: Span| span.as_ns() as f64 / 1e6;
        Some(Quality {
            latency_ms: ms(statistics.rtt_mean?),
            jitter_ms: ms(statistics.rtt_stddev?),
            loss_percent: statistics.loss().map_or(0.0, Probability::as_f64) * 100.0,
        })
    }
}

/// The monitor score: 0.4 of latency, 0.3 of jitter, 0.3 of loss, each 0 to 100 along one continuous curve, and never
/// more than twice the part of loss.
///
/// Latency counts full below 50 ms, half at 200 ms and nothing from 300 ms; jitter full below 5 ms, half at 50 ms and
/// nothing from 60 ms; loss loses five points for each percent up to 20 %. The limit by loss matters from about 12 % on
/// and leaves nothing at 20 %: a path that loses that much is bad however short it is. Without samples the score is 0:
/// a path that has never answered is the worst, not a mediocre one.
pub fn monitor(quality: Option<Quality>) -> f64 {
    let Some(quality) = quality else { return 0.0 };
    let latency = curve(quality.latency_ms, &[(50.0, 100.0), (200.0, 50.0), (300.0, 0.0)]);
    let jitter = curve(quality.jitter_ms, &[(5.0, 100.0), (50.0, 50.0), (60.0, 0.0)]);
    let loss = curve(quality.loss_percent, &[(0.0, 100.0), (20.0, 0.0)]);
    (0.4 * latency + 0.3 * jitter + 0.3 * loss).min(2.0 * loss)
}

/// The score that the curve above replaces, for comparison: the same up to 200 ms, 50 ms and 10 %, where each part
/// falls from half to nothing at once (loss also jumps by half a point at 0.1 %). It has no limit by loss, so that a
/// short path scores 70 whatever it loses, and so does a path of which nothing is known.
pub fn monitor_with_cliffs(quality: Option<Quality>) -> f64 {
    let Some(quality) = quality else { return 70.0 };
    let cliff = |value: f64, points: &[(f64, f64)], end: f64| {
        if value >= end { 0.0 } else { curve(value, points) }
    };
    let latency = cliff(quality.latency_ms, &[(50.0, 100.0), (200.0, 50.0)], 200.0);
    let jitter = cliff(quality.jitter_ms, &[(5.0, 100.0), (50.0, 50.0)], 50.0);
    let loss = match quality.loss_percent {
        percent if percent < 0.1 => 100.0,
        percent => cliff(percent, &[(0.0, 100.0), (10.0, 50.0)], 10.0),
    };
    0.4 * latency + 0.3 * jitter + 0.3 * loss
}

/// Straight lines through points of rising x; constant before the first and after the last.
fn curve(x: f64, points: &[(f64, f64)]) -> f64 {
    let mut before = points[0];
    for &(at, value) in points {
        if x <= at {
            let width = at - before.0;
            let share = if width > 0.0 {
                (x - before.0).max(0.0) / width
            } else {
                0.0
            };
            return before.1 + (value - before.1) * share;
        }
        before = (at, value);
    }
    before.1
}

/// What a policy may look at.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct Attributes {
    /// What probes say; `None` without samples.
    pub quality: Option<Quality>,
    /// Measured rate, or the configured one while none has been measured.
    pub rate: Option<BitRate>,
    /// Price in millionths of a dollar for each 10^9 bytes.
    pub microdollars_per_gb: Option<u64>,
}

/// Shares of the five parts of a policy score; they add up to 1,000.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Weights {
    /// Of latency, in thousandths.
    pub latency: u32,
    /// Of jitter, in thousandths.
    pub jitter: u32,
    /// Of loss, in thousandths.
    pub loss: u32,
    /// Of bandwidth, in thousandths.
    pub bandwidth: u32,
    /// Of cost, in thousandths.
    pub cost: u32,
}

impl Weights {
    /// For traffic that people wait for: 0.5, 0.3, 0.2, 0, 0.
    pub const LATENCY_SENSITIVE: Weights = Weights::of([500, 300, 200, 0, 0]);
    /// For large transfers: 0.1, 0, 0.2, 0.7, 0.
    pub const THROUGHPUT_FOCUSED: Weights = Weights::of([100, 0, 200, 700, 0]);
    /// For traffic that may take its time: 0.2, 0.1, 0.2, 0, 0.5.
    pub const COST_OPTIMISED: Weights = Weights::of([200, 100, 200, 0, 500]);
    /// A little of everything but cost: 0.3, 0.2, 0.3, 0.2, 0.
    pub const BALANCED: Weights = Weights::of([300, 200, 300, 200, 0]);

    const fn of(parts: [u32; 5]) -> Weights {
        let [latency, jitter, loss, bandwidth, cost] = parts;
        Weights {
            latency,
            jitter,
            loss,
            bandwidth,
            cost,
        }
    }

    /// Whether they add up to the whole.
    pub fn is_valid(&self) -> bool {
        let parts = [self.latency, self.jitter, self.loss, self.bandwidth, self.cost];
        parts.into_iter().map(u64::from).sum::<u64>() == 1_000
    }
}

/// What a policy wants of a path.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Objective {
    /// The shortest round trip.
    LowestLatency,
    /// The highest rate.
    HighestBandwidth,
    /// The least loss.
    LowestPacketLoss,
    /// The lowest price.
    LowestCost,
    /// A weighted sum of all.
    Weighted(Weights),
}

impl Objective {
    /// The points of a path.
    ///
    /// Latency: (200 − ms) / 2, jitter: (50 − ms) × 2, loss: 100 − percent, bandwidth: Mbit/s ÷ 10, cost: 100 − 500 ×
    /// dollars per GB, each within 0 to 100. What is not known counts 0, but an unknown price 50.
    pub fn points(&self, path: &Attributes) -> f64 {
        let of = |f: fn(&Quality) -> f64| path.quality.as_ref().map_or(0.0, f).clamp(0.0, 100.0);
        let latency = || of(|quality| (200.0 - quality.latency_ms) / 2.0);
        let jitter = || of(|quality| (50.0 - quality.jitter_ms) * 2.0);
        let loss = || of(|quality| 100.0 - quality.loss_percent);
        let bandwidth = || {
            let bits = path.rate.map_or(0, BitRate::as_bits_per_s);
            (bits as f64 / 1e7).min(100.0)
        };
        let cost = || {
            let dollars = path.microdollars_per_gb.map(|micro| micro as f64 / 1e6);
            dollars.map_or(50.0, |dollars| (100.0 - 500.0 * dollars).clamp(0.0, 100.0))
        };
        match self {
            Objective::LowestLatency => latency(),
            Objective::HighestBandwidth => bandwidth(),
            Objective::LowestPacketLoss => loss(),
            Objective::LowestCost => cost(),
            Objective::Weighted(weights) => {
                let sum = f64::from(weights.latency) * latency()
                    + f64::from(weights.jitter) * jitter()
                    + f64::from(weights.loss) * loss()
                    + f64::from(weights.bandwidth) * bandwidth()
                    + f64::from(weights.cost) * cost();
                sum / 1_000.0
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quality(latency_ms: f64, jitter_ms: f64, loss_percent: f64) -> Option<Quality> {
        Some(Quality {
            latency_ms,
            jitter_ms,
            loss_percent,
        })
    }

    fn hundredths(points: f64) -> i64 {
        (points * 100.0).round() as i64
    }

    #[test]
    fn the_monitor_score_keeps_the_known_values_and_loses_the_cliffs() {
        for (latency, jitter, loss, expected, with_cliffs) in [
            (10.0, 2.0, 0.1, 9985, 9985),
            (50.0, 10.0, 1.0, 9683, 9683),
            (100.0, 20.0, 2.0, 8533, 8533),
            (205.0, 4.08, 85.0, 0, 3000),
            (205.0, 4.08, 0.0, 7900, 6000),
            (10.0, 2.0, 10.0, 8500, 7000),
            (10.0, 2.0, 15.0, 5000, 7000),
            (199.99, 0.0, 0.0, 8000, 8000),
            (200.0, 0.0, 0.0, 8000, 6000),
            (300.0, 60.0, 20.0, 0, 0),
        ] {
            let quality = quality(latency, jitter, loss);
            assert_eq!(
                hundredths(monitor(quality)),
                expected,
                "{latency} {jitter} {loss}"
            );
            assert_eq!(
                hundredths(monitor_with_cliffs(quality)),
                with_cliffs,
                "{latency} {jitter} {loss}"
            );
        }
        assert_eq!((monitor(None), monitor_with_cliffs(None)), (0.0, 70.0));
    }

    #[test]
    fn the_monitor_score_is_continuous_and_never_rises() {
        type Axis = fn(f64) -> Option<Quality>;
        let axes: [(Axis, f64, f64); 3] = [
            (|x| quality(x, 0.0, 0.0), 320.0, 0.4 * 0.5),
            (|x| quality(0.0, x, 0.0), 70.0, 0.3 * 5.0),
            (|x| quality(0.0, 0.0, x), 25.0, 2.0 * 5.0),
        ];
        for (at, end, steepest) in axes {
            let step = end / 10_000.0;
            for place in 0..10_000 {
                let x = f64::from(place) * step;
                let fall = monitor(at(x)) - monitor(at(x + step));
                assert!((-1e-9..=steepest * step + 1e-9).contains(&fall), "{fall} at {x}");
            }
        }
    }

    #[test]
    fn policy_scores_have_their_known_values() {
        let path = |latency, jitter, loss, mbps: u64| Attributes {
            quality: quality(latency, jitter, loss),
            rate: Some(BitRate::from_bits_per_s(mbps * 1_000_000)),
            microdollars_per_gb: None,
        };
        let paths = [
            path(10.0, 2.0, 0.1, 1000),
            path(50.0, 10.0, 1.0, 100),
            path(100.0, 20.0, 2.0, 100),
        ];
        for (weights, expected) in [
            (Weights::LATENCY_SENSITIVE, [9628, 8130, 6260]),
            (Weights::BALANCED, [9767, 7020, 5840]),
            (Weights::THROUGHPUT_FOCUSED, [9948, 3430, 3160]),
        ] {
            assert!(weights.is_valid());
            let objective = Objective::Weighted(weights);
            assert_eq!(paths.map(|path| hundredths(objective.points(&path))), expected);
        }
        let other = path(25.0, 5.0, 0.1, 0);
        let objective = Objective::Weighted(Weights::LATENCY_SENSITIVE);
        assert_eq!(hundredths(objective.points(&other)), 9073);
        assert_eq!(hundredths(Objective::LowestLatency.points(&other)), 8750);
        assert_eq!(hundredths(Objective::HighestBandwidth.points(&paths[1])), 1000);
        assert_eq!(hundredths(Objective::LowestPacketLoss.points(&other)), 9990);
        for (price, expected) in [
            (Some(0), 10_000),
            (Some(100_000), 5_000),
            (Some(250_000), 0),
            (None, 5_000),
        ] {
            let priced = Attributes {
                microdollars_per_gb: price,
                ..other
            };
            assert_eq!(hundredths(Objective::LowestCost.points(&priced)), expected);
        }
        assert!(Weights::COST_OPTIMISED.is_valid() && !Weights::of([1, 0, 0, 0, 0]).is_valid());
    }
}
