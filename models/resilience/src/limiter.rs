//! Rate limiters: a token bucket whose rate is fixed or follows what the calls tell.

use serde::{Deserialize, Serialize};

use longhaul_core::time::Span;
use longhaul_core::units::Probability;

use crate::bucket::BucketConfig;
use crate::check::{COUNT_MAX, Check, FieldError, Problem, Rate};

/// Between what a rate may move. Its burst is one second's whole calls, at least one.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RateRange {
    /// Where it begins.
    pub start: Rate,
    /// The lowest; above zero.
    pub least: Rate,
    /// The highest; at most 10^6 per second.
    pub most: Rate,
}

/// How a rate limiter works.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum RateConfig {
    /// A token bucket.
    Fixed(BucketConfig),
    /// By the 95th percentile of the last latencies: above 1.2 × target the rate falls by a tenth; below 0.8 × target
    /// with the mean below the target it grows by a twentieth. Nothing happens until the window is half full. Timeouts
    /// and refusals by the server count as twice the target, since otherwise a dead server looks like a silent one.
    Percentile {
        /// Between what.
        range: RateRange,
        /// What the 95th percentile should be; above zero.
        target: Span,
        /// How many latencies are looked at; 2 to 10^4.
        window: u32,
        /// At most one change in this time. Zero: one at every sample, as the rule was first written, which swings by a
        /// factor of ten within 50 calls.
        interval: Span,
    },
    /// Additive increase, multiplicative decrease (Chiu and Jain, 1989): one decision for each interval in which a call
    /// ended.
    Aimd {
        /// Between what.
        range: RateRange,
        /// Calls that took longer are congested, as are timeouts and refusals by the server; above zero.
        target: Span,
        /// What is added when nothing was congested; above zero.
        increase: Rate,
        /// What remains when something was; between 0 and 1.
        decrease: Probability,
        /// The time of a decision; above zero, and no less than a round trip to be of use.
        interval: Span,
    },
    /// By the ratio of the shortest latency ever seen to that of the last interval (as Netflix's gradient limit): each
    /// interval the rate becomes rate × max(½, min(1, tolerance × shortest / mean)) + headroom. Failing by timeout or
    /// refusal counts as a ratio of ½.
    Gradient {
        /// Between what.
        range: RateRange,
        /// What is added at each decision, so that there is room to grow; above zero.
        headroom: Rate,
        /// By how much of itself a latency may exceed the shortest one before the rate falls.
        tolerance: Probability,
        /// The time of a decision; above zero, and no less than a round trip to be of use.
        interval: Span,
    },
}

impl RateRange {
    fn check(&self, check: &mut Check) {
        check.rate("range.start", self.start);
        check.rate("range.least", self.least);
        check.rate("range.most", self.most);
        let most = Rate::per_s(u64::from(COUNT_MAX));
        if self.most > most {
            let (value, most) = (self.most.to_string(), most.to_string());
            check.fail("range.most", Problem::TooLarge { value, most });
        }
        if self.least > self.most {
            check.contradiction("range.least", "is above range.most");
        } else if self.start < self.least || self.start > self.most {
            check.contradiction("range.start", "lies outside range.least to range.most");
        }
    }
}

impl RateConfig {
    /// # Errors
    /// Rates, counts and times of zero or beyond sense, and a start outside the range.
    pub fn check(&self) -> Result<(), Vec<FieldError>> {
        let mut check = Check::default();
        match self {
            RateConfig::Fixed(bucket) => return bucket.check(),
            RateConfig::Percentile {
                range,
                target,
                window,
                interval,
            } => {
                range.check(&mut check);
                check.span("target", *target);
                check.count("window", *window, 10_000);
                if *window == 1 {
                    let (value, least) = ("1".to_owned(), "2".to_owned());
                    check.fail("window", Problem::TooSmall { value, least });
                }
                check.span_or_zero("interval", *interval);
            }
            RateConfig::Aimd {
                range,
                target,
                increase,
                decrease,
                interval,
            } => {
                range.check(&mut check);
                check.span("target", *target);
                check.rate("increase", *increase);
                check.inside("decrease", *decrease);
                check.span("interval", *interval);
            }
            RateConfig::Gradient {
                range,
                headroom,
                tolerance: _,
                interval,
            } => {
                range.check(&mut check);
                check.rate("headroom", *headroom);
                check.span("interval", *interval);
            }
        }
        check.done()
    }
}

/// Why a limiter changed its rate.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum LimitCause {
    /// The 95th percentile of the window.
    Percentile {
        /// How long.
        p95: Span,
    },
    /// So many calls of the interval were congested; of none, the rate grew.
    Congested {
        /// How many.
        calls: u64,
        /// Of how many.
        of: u64,
    },
    /// The mean of the interval beside the shortest latency ever seen.
    Gradient {
        /// The shortest.
        shortest: Span,
        /// The mean.
        mean: Span,
    },
}
