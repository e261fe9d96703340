//! Proportions: so many events in so many independent trials.

use serde::Serialize;

use crate::distribution::Beta;
use crate::error::StatisticsError;
use crate::interval::{Interval, Level, Method};

/// Events among trials.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct Proportion {
    events: usize,
    n: usize,
}

impl Proportion {
    /// So many events in `n` trials.
    ///
    /// # Errors
    /// No trials, or more events than trials.
    pub fn new(events: usize, n: usize) -> Result<Proportion, StatisticsError> {
        if n == 0 {
            return Err(StatisticsError::TooFew {
                method: "a proportion",
                n,
                least: 1,
            });
        }
        if events > n {
            return Err(StatisticsError::OutOfRange {
                name: "the number of events",
                value: events as f64,
                range: "[0, n]",
            });
        }
        Ok(Proportion { events, n })
    }

    /// Trials.
    pub fn n(self) -> usize {
        self.n
    }

    /// Events.
    pub fn events(self) -> usize {
        self.events
    }

    /// The share of trials with the event.
    pub fn share(self) -> f64 {
        self.events as f64 / self.n as f64
    }

    /// Wilson's score interval. Its coverage averages the level and swings around it by a per cent or two as n and the
    /// probability change; very close to probabilities of 0 and 1 it can be lower, where [`Proportion::exact`] is safe.
    ///
    /// # Errors
    /// None for sets that exist; the type leaves room for overflow.
    pub fn wilson(self, level: Level) -> Result<Interval, StatisticsError> {
        let (n, p, z) = (self.n as f64, self.share(), level.z());
        let square = z * z / n;
        let centre = (p + square / 2.0) / (1.0 + square);
        let half = z * (p * (1.0 - p) / n + square / (4.0 * n)).sqrt() / (1.0 + square);
        // The ends that are exact by algebra, without rounding.
        let low = if self.events == 0 {
            0.0
        } else {
            (centre - half).max(0.0)
        };
        let high = if self.events == self.n {
            1.0
        } else {
            (centre + half).min(1.0)
        };
        Interval::new(p, (low, high), level, self.n, Method::Wilson)
    }

    /// The exact interval of Clopper and Pearson: never covers less than the level, and often more.
    ///
    /// # Errors
    /// None for sets that exist.
    pub fn exact(self, level: Level) -> Result<Interval, StatisticsError> {
        let (events, rest) = (self.events as f64, (self.n - self.events) as f64);
        let half = level.alpha() / 2.0;
        let low = if self.events == 0 {
            0.0
        } else {
            Beta::new(events, rest + 1.0)?.quantile(half)?
        };
        let high = if self.events == self.n {
            1.0
        } else {
            Beta::new(events + 1.0, rest)?.quantile(1.0 - half)?
        };
        Interval::new(self.share(), (low, high), level, self.n, Method::ClopperPearson)
    }

    /// What no event in n trials says: with this confidence the probability is at most 1 − α^(1/n), which for 95 % is
    /// the rule of three, 3/n. One-sided, so the whole of α stands at the upper end.
    ///
    /// # Errors
    /// If there were events.
    pub fn bound_of_none(self, level: Level) -> Result<Interval, StatisticsError> {
        if self.events > 0 {
            return Err(StatisticsError::OutOfRange {
                name: "the number of events",
                value: self.events as f64,
                range: "0 alone",
            });
        }
        let high = -libm::expm1(libm::log(level.alpha()) / self.n as f64);
        Interval::new(0.0, (0.0, high), level, self.n, Method::RuleOfThree)
    }

    /// The interval to print: the one-sided bound if there was no event, else Wilson's.
    ///
    /// # Errors
    /// As [`Proportion::wilson`].
    pub fn interval(self, level: Level) -> Result<Interval, StatisticsError> {
        if self.events == 0 {
            self.bound_of_none(level)
        } else {
            self.wilson(level)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_intervals() {
        // Newcombe, Stat. Med. 17 (1998) 857, table I: 81 of 263 and 15 of 148, score and exact intervals.
        for (events, n, wilson, exact) in [
            (81, 263, (0.2553, 0.3662), (0.2527, 0.3676)),
            (15, 148, (0.0624, 0.1605), (0.0578, 0.1617)),
            (0, 20, (0.0, 0.1611), (0.0, 0.1684)),
            (1, 29, (0.0061, 0.1718), (0.0009, 0.1776)),
        ] {
            let proportion = Proportion::new(events, n).unwrap();
            for (interval, (low, high)) in [
                (proportion.wilson(Level::P95).unwrap(), wilson),
                (proportion.exact(Level::P95).unwrap(), exact),
            ] {
                assert!((interval.low - low).abs() < 5.1e-5, "{interval}");
                assert!((interval.high - high).abs() < 5.1e-5, "{interval}");
            }
        }
    }

    #[test]
    fn no_event_in_300_runs_is_at_most_one_per_cent() {
        let bound = Proportion::new(0, 300).unwrap().interval(Level::P95).unwrap();
        assert_eq!(
            (bound.low, bound.method, bound.n),
            (0.0, Method::RuleOfThree, 300)
        );
        assert!(bound.high < 0.01 && bound.high > 0.0099);
        // Exact: (1 − p)^300 = 0.05.
        assert!((libm::pow(1.0 - bound.high, 300.0) - 0.05).abs() < 1e-12);
        assert!(
            Proportion::new(1, 300)
                .unwrap()
                .bound_of_none(Level::P95)
                .is_err()
        );
        assert_eq!(
            Proportion::new(1, 300)
                .unwrap()
                .interval(Level::P95)
                .unwrap()
                .method,
            Method::Wilson
        );
    }

    #[test]
    fn all_events_and_impossible_counts() {
        let all = Proportion::new(7, 7).unwrap();
        assert_eq!(all.wilson(Level::P95).unwrap().high, 1.0);
        assert_eq!(all.exact(Level::P95).unwrap().high, 1.0);
        assert!(Proportion::new(0, 0).is_err());
        assert!(Proportion::new(2, 1).is_err());
    }
}
