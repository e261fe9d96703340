//! Timeouts, fixed or following the latencies.

use serde::{Deserialize, Serialize};

use longhaul_core::time::{Instant, Span};

use crate::check::{Check, FieldError, Problem};
use crate::window::Latest;

/// How a timeout is found.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum TimeoutConfig {
    /// Always the same; above zero.
    Fixed(Span),
    /// After each success of latency L: max(0.95 × timeout, 2 × L). After each failure or timeout: 1.1 × timeout.
    Step {
        /// Where it begins.
        start: Span,
        /// The shortest; above zero.
        least: Span,
        /// The longest.
        most: Span,
    },
    /// By the last 100 latencies, from the tenth on: towards twice their 95th percentile, upwards by half of what is
    /// missing and downwards by a tenth. A timeout is a sample of its own length, so that a timeout that has become too
    /// short grows again.
    History {
        /// Where it begins.
        start: Span,
        /// The shortest; above zero.
        least: Span,
        /// The longest.
        most: Span,
    },
    /// RFC 6298: smoothed latency + max(granularity, 4 × deviation), doubled at each timeout until there is a new sample.
    /// By Karn's rule the first attempts of calls alone are samples.
    Rfc6298 {
        /// Before the first sample (RFC 6298, section 2.1: 1 s).
        start: Span,
        /// The shortest (section 2.4: 1 s; Linux: 200 ms); above zero.
        least: Span,
        /// The longest (section 2.5: 60 s or more).
        most: Span,
        /// The granularity of the clock.
        granularity: Span,
    },
}

/// The shortest timeout that the adaptive rules of the named operations reach.
pub const ADAPTIVE_LEAST: Span = Span::from_ms(10);
/// The longest one.
pub const ADAPTIVE_MOST: Span = Span::from_s(300);

impl TimeoutConfig {
    /// [`TimeoutConfig::Step`] between 10 ms and 5 min.
    pub const fn step(start: Span) -> TimeoutConfig {
        TimeoutConfig::Step {
            start,
            least: ADAPTIVE_LEAST,
            most: ADAPTIVE_MOST,
        }
    }

    /// [`TimeoutConfig::History`] between 10 ms and 5 min.
    pub const fn history(start: Span) -> TimeoutConfig {
        TimeoutConfig::History {
            start,
            least: ADAPTIVE_LEAST,
            most: ADAPTIVE_MOST,
        }
    }

    /// [`TimeoutConfig::Rfc6298`] with 1 s to begin with, at least `least`, at most 60 s, and a clock of 1 ms.
    pub const fn rfc6298(least: Span) -> TimeoutConfig {
        TimeoutConfig::Rfc6298 {
            start: Span::from_s(1),
            least,
            most: Span::from_s(60),
            granularity: Span::from_ms(1),
        }
    }

    /// # Errors
    /// Times of zero or beyond sense, and a start outside its range.
    pub fn check(&self) -> Result<(), Vec<FieldError>> {
        let mut check = Check::default();
        match *self {
            TimeoutConfig::Fixed(after) => check.span("after", after),
            TimeoutConfig::Step { start, least, most } | TimeoutConfig::History { start, least, most } => {
                range(&mut check, start, least, most);
            }
            TimeoutConfig::Rfc6298 {
                start,
                least,
                most,
                granularity,
            } => {
                range(&mut check, start, least, most);
                check.span_or_zero("granularity", granularity);
                if granularity > most {
                    let (value, most) = (granularity.to_string(), most.to_string());
                    check.fail("granularity", Problem::TooLarge { value, most });
                }
            }
        }
        check.done()
    }

    /// The longest that this timeout can become.
    pub const fn longest(&self) -> Span {
        match *self {
            TimeoutConfig::Fixed(after) => after,
            TimeoutConfig::Step { most, .. }
            | TimeoutConfig::History { most, .. }
            | TimeoutConfig::Rfc6298 { most, .. } => most,
        }
    }
}

fn range(check: &mut Check, start: Span, least: Span, most: Span) {
    check.span("start", start);
    check.span("least", least);
    check.span("most", most);
    if least > most {
        check.contradiction("least", "is above most");
    } else if start < least || start > most {
        check.contradiction("start", "lies outside least to most");
    }
}

/// Latencies that the history rule looks at.
const HISTORY: u32 = 100;
/// How many of them it needs.
const HISTORY_LEAST: usize = 10;

#[derive(Clone, Debug)]
enum Rule {
    Fixed,
    Step,
    History(Latest),
    Rfc6298 {
        granularity: u64,
        smoothed: Option<(u64, u64)>,
        backed_off: Instant,
    },
}

/// A timeout that follows its rule.
#[derive(Clone, Debug)]
pub struct Timeout {
    current: Span,
    least: Span,
    most: Span,
    rule: Rule,
    expired: u64,
}

impl Timeout {
    /// The configuration should have passed its check.
    pub fn new(config: &TimeoutConfig) -> Timeout {
        let (rule, current, least, most) = match *config {
            TimeoutConfig::Fixed(after) => (Rule::Fixed, after, after, after),
            TimeoutConfig::Step { start, least, most } => (Rule::Step, start, least, most),
            TimeoutConfig::History { start, least, most } => {
                (Rule::History(Latest::new(HISTORY)), start, least, most)
            }
            TimeoutConfig::Rfc6298 {
                start,
                least,
                most,
                granularity,
            } => {
                let rule = Rule::Rfc6298 {
                    granularity: granularity.as_ns(),
                    smoothed: None,
                    backed_off: Instant::ZERO,
                };
                (rule, start, least, most)
            }
        };
        Timeout {
            current,
            least,
            most,
            rule,
            expired: 0,
        }
    }

    /// What it is at the moment.
    #[inline]
    pub fn current(&self) -> Span {
        self.current
    }

    /// How often it has ended something.
    pub fn expired_count(&self) -> u64 {
        self.expired
    }

    /// Something succeeded after `latency`. `first`: it was the first attempt of its call.
    #[inline]
    pub fn succeeded(&mut self, latency: Span, first: bool) {
        if !matches!(self.rule, Rule::Fixed) {
            self.learn(latency, first);
        }
    }

    fn learn(&mut self, latency: Span, first: bool) {
        let to = match &mut self.rule {
            Rule::Fixed => return,
            Rule::Step => {
                let shorter = u128::from(self.current.as_ns()) * 95 / 100;
                Span::from_ns(shorter as u64).max(latency.saturating_mul(2))
            }
            Rule::History(latest) => {
                latest.push(latency.as_ns());
                towards(self.current, latest)
            }
            Rule::Rfc6298 {
                granularity,
                smoothed,
                ..
            } => {
                if !first {
                    return;
                }
                let sample = latency.as_ns();
                let (srtt, rttvar) = match *smoothed {
                    None => (sample, sample / 2),
                    Some((srtt, rttvar)) => (
                        srtt - srtt / 8 + sample / 8,
                        rttvar - rttvar / 4 + srtt.abs_diff(sample) / 4,
                    ),
                };
                *smoothed = Some((srtt, rttvar));
                let margin = rttvar.saturating_mul(4).max(*granularity);
                Span::from_ns(srtt.saturating_add(margin))
            }
        };
        self.current = to.clamp(self.least, self.most);
    }

    /// Something failed before its time was over.
    pub fn failed(&mut self) {
        if matches!(self.rule, Rule::Step) {
            self.grow_by_a_tenth();
        }
    }

    /// The timeout has ended something that began at `began`.
    pub fn expired(&mut self, now: Instant, began: Instant) {
        self.expired += 1;
        match &mut self.rule {
            Rule::Fixed => {}
            Rule::Step => self.grow_by_a_tenth(),
            Rule::History(latest) => {
                latest.push(now.saturating_since(began).as_ns());
                self.current = towards(self.current, latest).clamp(self.least, self.most);
            }
            // Of many that run at once, those that began before the last doubling say nothing about it.
            Rule::Rfc6298 { backed_off, .. } => {
                if began >= *backed_off {
                    *backed_off = now;
                    self.current = self.current.saturating_mul(2).min(self.most);
                }
            }
        }
    }

    fn grow_by_a_tenth(&mut self) {
        let longer = u128::from(self.current.as_ns()) * 11 / 10;
        let longer = Span::from_ns(u64::try_from(longer).unwrap_or(u64::MAX));
        self.current = longer.clamp(self.least, self.most);
    }
}

/// From `current` towards twice the 95th percentile.
fn towards(current: Span, latest: &Latest) -> Span {
    let Some(p95) = latest.p95().filter(|_| latest.len() >= HISTORY_LEAST) else {
        return current;
    };
    let target = Span::from_ns(p95).saturating_mul(2);
    if target > current {
        current + (target - current) / 2
    } else {
        current - (current - target) / 10
    }
}
