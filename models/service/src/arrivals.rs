//! When requests begin: rates over time, and how requests fall into them.
//!
//! Arrivals are drawn by the time change of point processes: if Λ(t) is the integral of the rate, the next arrival
//! after t is where Λ has grown by 1 (regular) or by an exponential variable of mean 1 (an inhomogeneous Poisson
//! process; Çinlar, "Introduction to Stochastic Processes", 1975, chapter 4). Piecewise constant rates are integrated
//! exactly, sinusoidal ones by Newton's method within a bracket.

use longhaul_core::random::Stream;
use longhaul_core::time::{Instant, Span};
use longhaul_core::units::Probability;
use serde::{Deserialize, Serialize};

use crate::law::rounded;

/// The shortest interval: a billion requests per second are more than anybody offers.
const MIN_INTERVAL: Span = Span::from_ns(1);

/// How requests fall into a rate.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Pattern {
    /// As evenly as the rate allows.
    Regular,
    /// Independently of each other.
    Poisson,
}

/// A rate of arrivals over time, given as mean intervals between requests. Times count from when the load begins.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum Rate {
    /// Always the same.
    Steady {
        /// Mean interval.
        interval: Span,
    },
    /// On and off in turns, beginning with on.
    Bursts {
        /// How long it is on.
        on: Span,
        /// How long it is off.
        off: Span,
        /// Mean interval while it is on.
        interval: Span,
    },
    /// Mean rate × (1 + amplitude × sin(2πt / period)).
    Sinusoidal {
        /// Interval at the mean rate.
        interval: Span,
        /// Share of the mean rate by which it rises and falls.
        amplitude: Probability,
        /// One cycle.
        period: Span,
    },
    /// Step by step; nothing before the first.
    Steps(Vec<Step>),
}

/// From when on which rate applies.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Step {
    /// Since the load began.
    pub at: Span,
    /// Mean interval; `None`: no requests.
    pub interval: Option<Span>,
}

/// An open loop: requests that begin whether or not earlier ones have ended.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Arrivals {
    /// How they fall.
    pub pattern: Pattern,
    /// How many they are.
    pub rate: Rate,
}

/// Why a rate cannot be had.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ArrivalsError {
    /// An interval of nothing is an infinite rate.
    #[error("the interval between requests must be at least 1 ns")]
    Interval,
    /// A cycle without length.
    #[error("a cycle of the rate must not be empty")]
    Cycle,
    /// A step that is not after the one before it.
    #[error("step {index} is not later than the one before it")]
    Order {
        /// Which one, from 0.
        index: usize,
    },
    /// No step at all.
    #[error("there is no step")]
    NoStep,
}

impl Arrivals {
    /// Checks that arrivals can be drawn.
    ///
    /// # Errors
    /// [`ArrivalsError`]
    pub fn check(&self) -> Result<(), ArrivalsError> {
        let sound = |interval: Span| {
            let ok = interval >= MIN_INTERVAL;
            ok.then_some(()).ok_or(ArrivalsError::Interval)
        };
        match &self.rate {
            Rate::Steady { interval } => sound(*interval),
            Rate::Bursts { on, interval, .. } if *on > Span::ZERO => sound(*interval),
            Rate::Sinusoidal { period, interval, .. } if *period > Span::ZERO => sound(*interval),
            Rate::Bursts { .. } | Rate::Sinusoidal { .. } => Err(ArrivalsError::Cycle),
            Rate::Steps(steps) if steps.is_empty() => Err(ArrivalsError::NoStep),
            Rate::Steps(steps) => {
                let mut last = None;
                for (index, step) in steps.iter().enumerate() {
                    if last.is_some_and(|last| step.at <= last) {
                        return Err(ArrivalsError::Order { index });
                    }
                    last = Some(step.at);
                    sound(step.interval.unwrap_or(MIN_INTERVAL))?;
                }
                Ok(())
            }
        }
    }
}

/// Arrivals one after the other.
pub(crate) struct Source {
    arrivals: Arrivals,
    began: Instant,
    /// Since the beginning, exact for regular arrivals at steady rates.
    last: Span,
}

impl Source {
    pub fn new(arrivals: Arrivals, began: Instant) -> Source {
        Source {
            arrivals,
            began,
            last: Span::ZERO,
        }
    }

    /// The next arrival; `None` if there is none any more.
    pub fn next(&mut self, random: &mut Stream) -> Option<Instant> {
        let amount = match self.arrivals.pattern {
            Pattern::Regular => 1.0,
            Pattern::Poisson => random.exponential(1.0),
        };
        self.last = after(&self.arrivals.rate, self.last, amount)?;
        Some(self.began.saturating_add(self.last))
    }
}

/// Where the integral of the rate has grown by `amount` since `from`.
fn after(rate: &Rate, from: Span, amount: f64) -> Option<Span> {
    match rate {
        Rate::Steady { interval } => Some(from.saturating_add(rounded(interval.as_ns() as f64 * amount))),
        Rate::Bursts { on, off, interval } => Some(after_bursts(*on, *off, *interval, from, amount)),
        Rate::Sinusoidal {
            interval,
            amplitude,
            period,
        } => Some(after_sine(*interval, amplitude.as_f64(), *period, from, amount)),
        Rate::Steps(steps) => after_steps(steps, from, amount),
    }
}

fn after_bursts(on: Span, off: Span, interval: Span, from: Span, amount: f64) -> Span {
    let cycle = on.saturating_add(off);
    // While it is on, time runs; the time that is off is put back in at the end.
    let cycles = from.as_ns() / cycle.as_ns();
    let within = Span::from_ns(from.as_ns() % cycle.as_ns()).min(on);
    let target = within.saturating_add(rounded(interval.as_ns() as f64 * amount));
    let whole = target.as_ns() / on.as_ns();
    let rest = Span::from_ns(target.as_ns() % on.as_ns());
    cycle
        .saturating_mul(cycles.saturating_add(whole))
        .saturating_add(rest)
}

fn after_sine(interval: Span, amplitude: f64, period: Span, from: Span, amount: f64) -> Span {
    let (mean, period) = (interval.as_ns() as f64, period.as_ns() as f64);
    let turn = std::f64::consts::TAU / period;
    // The phase alone matters, and a small number keeps its digits.
    let phase = from.as_ns() as f64 % period;
    let grown = |x: f64| {
        let swing = amplitude / turn * (libm::cos(turn * phase) - libm::cos(turn * (phase + x)));
        (x + swing) / mean - amount
    };
    // Over whole periods the integral is that of the mean rate.
    let (mut low, mut high) = (0.0, amount * mean + period);
    let mut x = amount * mean;
    for _ in 0..64 {
        let error = grown(x);
        if error < 0.0 {
            low = x;
        } else {
            high = x;
        }
        if high - low < 0.25 {
            break;
        }
        let slope = (1.0 + amplitude * libm::sin(turn * (phase + x))) / mean;
        let newton = x - error / slope;
        if (newton - x).abs() < 0.25 && newton >= low && newton <= high {
            x = newton;
            break;
        }
        x = if newton > low && newton < high {
            newton
        } else {
            f64::midpoint(low, high)
        };
    }
    from.saturating_add(rounded(x))
}

fn after_steps(steps: &[Step], from: Span, mut amount: f64) -> Option<Span> {
    let begun = steps.partition_point(|step| step.at <= from);
    let mut at = from;
    for index in begun.saturating_sub(1)..steps.len() {
        at = at.max(steps[index].at);
        let Some(interval) = steps[index].interval else {
            continue;
        };
        let found = at.saturating_add(rounded(interval.as_ns() as f64 * amount));
        match steps.get(index + 1) {
            Some(next) if found >= next.at => {
                amount -= (next.at - at).as_ns() as f64 / interval.as_ns() as f64;
                amount = amount.max(0.0);
            }
            _ => return Some(found),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use longhaul_core::random::Streams;

    use super::*;

    const SECOND: u64 = 1_000_000_000;

    /// Arrivals per second for a while.
    fn counts(pattern: Pattern, rate: Rate, seconds: usize) -> Vec<u64> {
        let arrivals = Arrivals { pattern, rate };
        assert_eq!(arrivals.check(), Ok(()));
        let mut random = Streams::new(1, 0).stream("arrivals", "test");
        let mut source = Source::new(arrivals, Instant::ZERO);
        let mut counts = vec![0; seconds];
        let mut last = Instant::ZERO;
        while let Some(at) = source.next(&mut random) {
            assert!(at >= last);
            last = at;
            let Some(count) = counts.get_mut((at.as_ns() / SECOND) as usize) else {
                break;
            };
            *count += 1;
        }
        counts
    }

    #[test]
    fn a_regular_steady_rate_is_exact() {
        let interval = Span::from_us(75);
        let mut source = Source::new(
            Arrivals {
                pattern: Pattern::Regular,
                rate: Rate::Steady { interval },
            },
            Instant::from_ns(5),
        );
        let mut random = Streams::new(1, 0).stream("arrivals", "test");
        for number in 1..10_000 {
            let at = Instant::from_ns(5) + interval * number;
            assert_eq!(source.next(&mut random), Some(at));
        }
    }

    #[test]
    fn a_poisson_process_has_the_variance_of_one() {
        let interval = Span::from_ms(10);
        let counts = counts(Pattern::Poisson, Rate::Steady { interval }, 2_000);
        let n = counts.len() as f64;
        let mean = counts.iter().sum::<u64>() as f64 / n;
        let squares: f64 = counts
            .iter()
            .map(|c| (*c as f64 - mean) * (*c as f64 - mean))
            .sum();
        assert!((mean - 100.0).abs() < 1.0, "{mean}");
        assert!((squares / n / mean - 1.0).abs() < 0.1, "{}", squares / n / mean);
    }

    #[test]
    fn bursts_fall_into_the_time_that_is_on() {
        let rate = Rate::Bursts {
            on: Span::from_s(1),
            off: Span::from_s(2),
            interval: Span::from_ms(10),
        };
        let counts = counts(Pattern::Regular, rate, 9);
        // What falls on the end of a burst opens the next one.
        assert_eq!(counts, [99, 0, 0, 100, 0, 0, 100, 0, 0]);
    }

    #[test]
    fn a_sine_has_its_mean_and_its_amplitude() {
        let rate = Rate::Sinusoidal {
            interval: Span::from_us(500),
            amplitude: Probability::from_ratio(8, 10).expect("a probability"),
            period: Span::from_s(8),
        };
        let counts = counts(Pattern::Regular, rate, 80);
        let total: u64 = counts.iter().sum();
        assert!(total.abs_diff(160_000) <= 1, "{total}");
        // The integral over the second around the crest: 2,000 (1 + 0.8 × mean of the sine from 1/8 to 2/8 turn).
        let quarter = 0.8 * 4.0 / std::f64::consts::PI * std::f64::consts::FRAC_1_SQRT_2;
        let crest = 2_000.0 * (1.0 + quarter);
        assert!(
            (counts[1] as f64 - crest).abs() < 2.0,
            "{} against {crest}",
            counts[1]
        );
        assert!(
            (counts[5] as f64 - (4_000.0 - crest)).abs() < 2.0,
            "{}",
            counts[5]
        );
    }

    #[test]
    fn steps_follow_their_schedule_and_may_end() {
        let step = |at, interval_ms: u64| Step {
            at: Span::from_s(at),
            interval: (interval_ms > 0).then(|| Span::from_ms(interval_ms)),
        };
        let steps = vec![step(1, 10), step(2, 5), step(4, 0), step(6, 100), step(7, 0)];
        let counts = counts(Pattern::Regular, Rate::Steps(steps), 10);
        // What falls on a step belongs to the next one, and waits where that has no requests.
        assert_eq!(counts, [0, 99, 200, 200, 0, 0, 10, 0, 0, 0]);
    }

    #[test]
    fn rates_that_cannot_be_had_are_refused() {
        let check = |rate| {
            Arrivals {
                pattern: Pattern::Regular,
                rate,
            }
            .check()
        };
        let (zero, one) = (Span::ZERO, Span::from_s(1));
        assert_eq!(
            check(Rate::Steady { interval: zero }),
            Err(ArrivalsError::Interval)
        );
        let bursts = Rate::Bursts {
            on: zero,
            off: one,
            interval: one,
        };
        assert_eq!(check(bursts), Err(ArrivalsError::Cycle));
        assert_eq!(check(Rate::Steps(vec![])), Err(ArrivalsError::NoStep));
        let step = Step {
            at: one,
            interval: Some(one),
        };
        assert_eq!(
            check(Rate::Steps(vec![step, step])),
            Err(ArrivalsError::Order { index: 1 })
        );
    }
}
