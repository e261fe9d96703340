//! How many replications are enough: on until every metric's interval is narrow enough relative to its mean.
//!
//! The rule of Hoad, Robinson & Davies ("Automated selection of the number of replications for a discrete-event
//! simulation", J. Oper. Res. Soc. 61 (2010) 1632): the t interval of each metric must be within the precision,
//! and stay so over a look-ahead of further replications, so that a lucky narrow moment does not stop it.
//! Replications are added in the order of their numbers, whichever finished first, so the answer depends on neither
//! threads nor speed. It looks at precision alone: stopping because a comparison looks good would bias it.

use serde::Serialize;

use crate::error::{StatisticsError, same_length};
use crate::interval::Level;
use crate::mean::t_factor;
use crate::proportion::Proportion;
use crate::summary::Running;

/// When to stop.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub struct Precision {
    /// Level of the intervals.
    pub level: Level,
    /// Half width over the size of the mean that must be reached, such as 0.05; of a proportion the half width itself.
    pub relative_half_width: f64,
    /// Replications to begin with, at least 3.
    pub first: usize,
    /// Further replications over which the precision must hold, up to a hundred replications; beyond, per hundred.
    pub look_ahead: usize,
    /// Replications at which it stops in any case.
    pub most: usize,
}

impl Default for Precision {
    /// 5 % at 95 %, from 10 replications, looking ahead 5, at most 500.
    fn default() -> Precision {
        Precision {
            level: Level::P95,
            relative_half_width: 0.05,
            first: 10,
            look_ahead: 5,
            most: 500,
        }
    }
}

/// What to do next.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub enum Next {
    /// Run so many more replications, in parallel if you like, and add them in the order of their numbers.
    NeedMore(usize),
    /// Every metric is precise enough.
    Reached {
        /// Replications added.
        n: usize,
    },
    /// The cap was hit before: say so wherever the numbers are shown.
    Limit {
        /// Replications added.
        n: usize,
    },
}

/// The state of a sequential run over one or more metrics.
#[derive(Clone, Debug)]
pub struct Sequential {
    precision: Precision,
    metrics: Vec<Running>,
    /// Whether values are 0 or 1 and intervals Wilson's.
    proportion: bool,
    /// Replications at which all metrics became precise, without interruption since.
    precise_since: Option<usize>,
}

impl Sequential {
    /// For so many metrics, all of which must become precise.
    ///
    /// # Errors
    /// No metrics; a relative half width outside (0, 1); fewer than 3 replications to begin with; a cap below that.
    pub fn new(precision: Precision, metrics: usize) -> Result<Sequential, StatisticsError> {
        let out = |name, value: f64, range| Err(StatisticsError::OutOfRange { name, value, range });
        let wanted = precision.relative_half_width;
        if !(wanted > 0.0 && wanted < 1.0) {
            return out("the relative half width", wanted, "(0, 1)");
        }
        if metrics == 0 {
            return out("the number of metrics", 0.0, "at least 1");
        }
        if precision.first < 3 {
            return out(
                "the first number of replications",
                precision.first as f64,
                "at least 3",
            );
        }
        if precision.most < precision.first {
            return out(
                "the largest number of replications",
                precision.most as f64,
                "at least the first number",
            );
        }
        Ok(Sequential {
            precision,
            metrics: vec![Running::default(); metrics],
            proportion: false,
            precise_since: None,
        })
    }

    /// For a metric that is 0 or 1, which becomes precise by its Wilson interval. The half width is that of the share itself:
    /// relative to a share near zero none is ever narrow, and values that happen to be equal have a t interval without any
    /// width however few they are.
    ///
    /// # Errors
    /// As [`Sequential::new`].
    pub fn of_proportion(precision: Precision) -> Result<Sequential, StatisticsError> {
        let sequential = Sequential::new(precision, 1)?;
        Ok(Sequential {
            proportion: true,
            ..sequential
        })
    }

    /// Adds the next replication, with one value for each metric. More may be added than were asked for.
    ///
    /// # Errors
    /// A number of values that differs from that of the metrics, a number that is none, or of a proportion one that is neither
    /// 0 nor 1; then nothing was added.
    pub fn add(&mut self, replication: &[f64]) -> Result<(), StatisticsError> {
        same_length(self.metrics.len(), replication.len())?;
        if let Some(index) = replication.iter().position(|value| !value.is_finite()) {
            return Err(StatisticsError::NotFinite { index });
        }
        if let Some(&value) = replication.iter().find(|value| ![0.0, 1.0].contains(*value))
            && self.proportion
        {
            return Err(StatisticsError::OutOfRange {
                name: "a value of a proportion",
                value,
                range: "0 or 1",
            });
        }
        for (running, &value) in self.metrics.iter_mut().zip(replication) {
            running.add(value);
        }
        let n = self.n();
        let precise = n >= self.precision.first && self.widest_excess()?.is_some_and(|excess| excess <= 1.0);
        self.precise_since = precise.then(|| self.precise_since.unwrap_or(n));
        Ok(())
    }

    /// Replications added.
    pub fn n(&self) -> usize {
        self.metrics[0].n()
    }

    /// The widest relative half width of all metrics so far: `None` below two replications, or if a mean is zero
    /// while its values vary (such a metric never becomes precise).
    ///
    /// # Errors
    /// None for numbers of replications that can be run.
    pub fn widest(&self) -> Result<Option<f64>, StatisticsError> {
        let excess = self.widest_excess()?;
        Ok(excess.map(|excess| excess * self.precision.relative_half_width))
    }

    /// The widest half width over the one allowed.
    fn widest_excess(&self) -> Result<Option<f64>, StatisticsError> {
        let n = self.n();
        if n < 2 {
            return Ok(None);
        }
        if self.proportion {
            // Exact: a sum of ones.
            let events = libm::round(self.metrics[0].mean() * n as f64) as usize;
            let interval = Proportion::new(events, n)?.wilson(self.precision.level)?;
            return Ok(Some(interval.half_width() / self.precision.relative_half_width));
        }
        let factor = t_factor(n, self.precision.level)? / (n as f64).sqrt();
        let mut widest = Some(0.0_f64);
        for running in &self.metrics {
            let variance = running.variance().unwrap_or(0.0);
            if variance == 0.0 {
                continue;
            }
            let half = factor * variance.sqrt();
            let excess = half / (self.precision.relative_half_width * running.mean().abs());
            widest = widest
                .filter(|_| excess.is_finite())
                .map(|widest| widest.max(excess));
        }
        Ok(widest)
    }

    /// What to do next.
    ///
    /// # Errors
    /// As [`Sequential::widest`].
    pub fn next(&self) -> Result<Next, StatisticsError> {
        let Precision {
            first,
            look_ahead,
            most,
            ..
        } = self.precision;
        let n = self.n();
        if n < first {
            return Ok(Next::NeedMore(first - n));
        }
        if let Some(since) = self.precise_since {
            let held = n - since;
            let wanted = look_ahead * since.max(100) / 100;
            if held >= wanted {
                return Ok(Next::Reached { n });
            }
            if n < most {
                return Ok(Next::NeedMore((wanted - held).min(most - n)));
            }
        }
        if n >= most {
            return Ok(Next::Limit { n });
        }
        // The half width shrinks with the root of n. Never more than twice as many at once: early variances are rough.
        let needed = match self.widest_excess()? {
            Some(excess) if excess > 1.0 => libm::ceil(n as f64 * (excess * excess - 1.0)),
            _ => n as f64,
        };
        // Truncation: bounded by n.
        let more = needed.clamp(1.0, n as f64) as usize;
        Ok(Next::NeedMore(more.min(most - n)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(precision: Precision, mut value: impl FnMut(usize) -> Vec<f64>, metrics: usize) -> Next {
        let mut sequential = Sequential::new(precision, metrics).unwrap();
        loop {
            match sequential.next().unwrap() {
                Next::NeedMore(k) => {
                    assert!(k > 0);
                    for _ in 0..k {
                        sequential.add(&value(sequential.n())).unwrap();
                    }
                }
                end => return end,
            }
        }
    }

    #[test]
    fn it_begins_with_ten_and_looks_five_ahead() {
        assert_eq!(
            run(Precision::default(), |_| vec![3.0], 1),
            Next::Reached { n: 15 }
        );
        let none_ahead = Precision {
            look_ahead: 0,
            ..Precision::default()
        };
        assert_eq!(run(none_ahead, |_| vec![3.0], 1), Next::Reached { n: 10 });
    }

    #[test]
    fn the_least_precise_metric_decides_and_a_mean_of_zero_never_is() {
        let alternating = |i: usize| if i.is_multiple_of(2) { 1.2 } else { 0.8 };
        let Next::Reached { n } = run(Precision::default(), |i| vec![5.0, alternating(i)], 2) else {
            panic!("not reached");
        };
        // 1.96 · 0.2 / √n = 0.05 at n = 62.
        assert!((62..=75).contains(&n), "{n}");
        let zero = |i: usize| vec![5.0, alternating(i) - 1.0];
        assert_eq!(run(Precision::default(), zero, 2), Next::Limit { n: 500 });
    }

    #[test]
    fn a_lucky_moment_does_not_stop_it() {
        // Ten equal values, then wide ones.
        let values = |i: usize| vec![if i < 10 || i.is_multiple_of(2) { 1.0 } else { 2.0 }];
        let Next::Reached { n } = run(Precision::default(), values, 1) else {
            panic!("not reached");
        };
        assert!(n > 100, "{n}");
    }

    #[test]
    fn equal_answers_are_not_precise_before_there_are_enough_of_them() {
        let precision = Precision {
            relative_half_width: 0.1,
            ..Precision::default()
        };
        for (value, least) in [(1.0, 16), (0.0, 16)] {
            let mut sequential = Sequential::of_proportion(precision).unwrap();
            while let Next::NeedMore(more) = sequential.next().unwrap() {
                for _ in 0..more {
                    sequential.add(&[value]).unwrap();
                }
            }
            // Of n equal answers Wilson's interval is z² / (n + z²) wide: 0.2 at n = 15.4. And five more.
            assert!(
                (least + 5..=least + 12).contains(&sequential.n()),
                "{}",
                sequential.n()
            );
            assert!(sequential.widest().unwrap().unwrap() <= 0.1);
            assert!(sequential.add(&[0.5]).is_err());
        }
    }

    #[test]
    fn impossible_rules_and_values_are_refused() {
        let rule = |change: fn(&mut Precision)| {
            let mut precision = Precision::default();
            change(&mut precision);
            Sequential::new(precision, 1)
        };
        assert!(rule(|p| p.first = 2).is_err());
        assert!(rule(|p| p.most = 9).is_err());
        for wanted in [0.0, 1.0, f64::NAN] {
            let precision = Precision {
                relative_half_width: wanted,
                ..Precision::default()
            };
            assert!(Sequential::new(precision, 1).is_err());
        }
        assert!(Sequential::new(Precision::default(), 0).is_err());
        let mut sequential = Sequential::new(Precision::default(), 2).unwrap();
        assert!(sequential.add(&[1.0]).is_err());
        assert!(sequential.add(&[1.0, f64::NAN]).is_err());
        assert_eq!(sequential.n(), 0);
        assert_eq!(sequential.widest(), Ok(None));
    }
}
