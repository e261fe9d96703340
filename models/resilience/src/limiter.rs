//! Rate limiters: a token bucket whose rate is fixed or follows what the calls tell.

use serde::{Deserialize, Serialize};

use longhaul_core::time::{Instant, Span};
use longhaul_core::units::Probability;

use crate::bucket::{BucketConfig, TokenBucket};
use crate::check::{COUNT_MAX, Check, FieldError, Problem, Rate};
use crate::planted::Planted;
use crate::window::Latest;

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
    /// interval the rate becomes rate × max(½, min(1, (1 + tolerance) × shortest / mean)) + headroom. A timeout or a refusal
    /// by the server counts as twice what would still do.
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

/// What a call that was let through tells about the server.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Answer {
    /// It took this long.
    After(Span),
    /// There was none in time, or the server refused.
    Congested,
}

/// A change of a rate.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LimitChange {
    /// What it was.
    pub from: Rate,
    /// What it is.
    pub to: Rate,
    /// Why.
    pub cause: LimitCause,
}

/// What is known of the current interval.
#[derive(Clone, Debug, Default)]
struct Interval {
    ends: Option<Instant>,
    calls: u64,
    congested: u64,
    sum_ns: u128,
}

#[derive(Clone, Debug)]
enum Law {
    Fixed,
    Percentile {
        latest: Latest,
        changed: Option<Instant>,
    },
    Intervals {
        current: Interval,
        shortest: Option<Span>,
    },
}

/// A rate limiter.
#[derive(Clone, Debug)]
pub struct RateLimiter {
    config: RateConfig,
    bucket: TokenBucket,
    rate: Rate,
    law: Law,
    admitted: u64,
    rejected: u64,
}

impl RateLimiter {
    /// A limiter with a full bucket. The configuration should have passed its check.
    pub fn new(config: &RateConfig) -> RateLimiter {
        RateLimiter::with_planted(config, Planted::Nothing)
    }

    /// With a bug, for tests.
    #[doc(hidden)]
    pub fn with_planted(config: &RateConfig, planted: Planted) -> RateLimiter {
        let (bucket, law) = match config {
            RateConfig::Fixed(bucket) => (*bucket, Law::Fixed),
            RateConfig::Percentile { range, window, .. } => {
                let latest = Latest::new(*window);
                let changed = None;
                (bucket_for(range.start), Law::Percentile { latest, changed })
            }
            RateConfig::Aimd { range, .. } | RateConfig::Gradient { range, .. } => {
                let current = Interval::default();
                let shortest = None;
                (bucket_for(range.start), Law::Intervals { current, shortest })
            }
        };
        RateLimiter {
            config: *config,
            bucket: TokenBucket::with_planted(&bucket, planted),
            rate: bucket.rate,
            law,
            admitted: 0,
            rejected: 0,
        }
    }

    /// Takes a token if there is one.
    #[inline]
    pub fn take(&mut self, now: Instant) -> bool {
        let taken = self.bucket.take(now);
        self.admitted += u64::from(taken);
        self.rejected += u64::from(!taken);
        taken
    }

    /// When the next token is there if none is taken before.
    pub fn ready_at(&mut self, now: Instant) -> Instant {
        self.bucket.ready_at(now)
    }

    /// The rate at the moment.
    pub fn rate(&self) -> Rate {
        self.rate
    }

    /// Whether the rate follows what the calls tell.
    #[inline]
    pub fn adapts(&self) -> bool {
        !matches!(self.law, Law::Fixed)
    }

    /// Calls let through.
    pub fn admitted(&self) -> u64 {
        self.admitted
    }

    /// Calls refused.
    pub fn rejected(&self) -> u64 {
        self.rejected
    }

    /// A call that was let through has ended. Failures that were answered at once tell nothing about the load and are
    /// not to be recorded.
    pub fn record(&mut self, now: Instant, answer: Answer) -> Option<LimitChange> {
        let (rate, cause, range) = match (&mut self.law, &self.config) {
            (
                Law::Percentile { latest, changed },
                RateConfig::Percentile {
                    range,
                    target,
                    window,
                    interval,
                },
            ) => {
                latest.push(match answer {
                    Answer::After(latency) => latency.as_ns(),
                    Answer::Congested => target.saturating_mul(2).as_ns(),
                });
                let early = changed.is_some_and(|changed| now.saturating_since(changed) < *interval);
                if early || 2 * latest.len() < *window as usize {
                    return None;
                }
                let p95 = latest.p95()?;
                let target = target.as_ns();
                let mean_is_below = latest.sum() < u128::from(target) * latest.len() as u128;
                let rate = if 5 * u128::from(p95) > 6 * u128::from(target) {
                    self.rate.scaled(9, 10)
                } else if 5 * u128::from(p95) < 4 * u128::from(target) && mean_is_below {
                    self.rate.scaled(21, 20)
                } else {
                    return None;
                };
                *changed = Some(now);
                let p95 = Span::from_ns(p95);
                (rate, LimitCause::Percentile { p95 }, range)
            }
            (
                Law::Intervals { current, .. },
                RateConfig::Aimd {
                    range,
                    target,
                    increase,
                    decrease,
                    interval,
                },
            ) => {
                let done = current.turn(now, *interval);
                let congested = match answer {
                    Answer::After(latency) => latency > *target,
                    Answer::Congested => true,
                };
                current.calls += 1;
                current.congested += u64::from(congested);
                let (calls, of) = done.map(|done| (done.congested, done.calls))?;
                let rate = if calls > 0 {
                    self.rate.scaled(decrease.as_parts(), Probability::PARTS)
                } else {
                    Rate::from_parts(self.rate.as_parts().saturating_add(increase.as_parts()))
                };
                (rate, LimitCause::Congested { calls, of }, range)
            }
            (
                Law::Intervals { current, shortest },
                RateConfig::Gradient {
                    range,
                    headroom,
                    tolerance,
                    interval,
                },
            ) => {
                let done = current.turn(now, *interval);
                let good = |shortest: Span| {
                    u128::from(shortest.as_ns()) * u128::from(Probability::PARTS + tolerance.as_parts())
                        / u128::from(Probability::PARTS)
                };
                // The decision is about the interval before this answer.
                let decided = done.filter(|done| done.calls > 0).zip(*shortest);
                match answer {
                    Answer::After(latency) => {
                        current.calls += 1;
                        current.sum_ns += u128::from(latency.as_ns());
                        *shortest = Some(shortest.map_or(latency, |shortest| shortest.min(latency)));
                    }
                    Answer::Congested => {
                        if let Some(shortest) = *shortest {
                            current.calls += 1;
                            current.sum_ns += 2 * good(shortest);
                        }
                    }
                }
                let (done, shortest) = decided?;
                let mean = done.sum_ns / u128::from(done.calls);
                // The mean lies between half of it and it, or the ratio stands at an end.
                let still_good = good(shortest).max(1);
                let mean_bounded = mean.clamp(still_good, 2 * still_good);
                let parts = u128::from(self.rate.as_parts()) * still_good / mean_bounded;
                let parts = u64::try_from(parts).unwrap_or(u64::MAX);
                let rate = Rate::from_parts(parts.saturating_add(headroom.as_parts()));
                let mean = Span::from_ns(u64::try_from(mean).unwrap_or(u64::MAX));
                (rate, LimitCause::Gradient { shortest, mean }, range)
            }
            _ => return None,
        };
        let to = rate.clamp(range.least, range.most);
        if to == self.rate {
            return None;
        }
        let from = std::mem::replace(&mut self.rate, to);
        self.bucket.set(now, &bucket_for(to));
        Some(LimitChange { from, to, cause })
    }
}

/// A second's worth of whole calls.
fn bucket_for(rate: Rate) -> BucketConfig {
    let burst = u32::try_from(rate.whole()).unwrap_or(u32::MAX).max(1);
    BucketConfig { rate, burst }
}

impl Interval {
    /// Begins the next interval if this one is over, and gives what was seen in it. The first one begins with the first
    /// answer, and each other one with the first answer after the end of the one before.
    fn turn(&mut self, now: Instant, length: Span) -> Option<Interval> {
        let next = || Interval {
            ends: Some(now.saturating_add(length)),
            ..Interval::default()
        };
        match self.ends {
            None => {
                *self = next();
                None
            }
            Some(ends) if now >= ends => Some(std::mem::replace(self, next())),
            Some(_) => None,
        }
    }
}
