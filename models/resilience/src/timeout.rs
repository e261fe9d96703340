//! Timeouts, fixed or following the latencies.

use serde::{Deserialize, Serialize};

use longhaul_core::time::Span;

use crate::check::{Check, FieldError, Problem};

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
