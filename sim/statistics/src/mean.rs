//! Intervals of a mean of independent values: one for each replication, never one for each packet.

use crate::distribution::StudentT;
use crate::error::{StatisticsError, check};
use crate::interval::{Interval, Level, Method};
use crate::summary::Summary;

/// Student's t interval of the mean.
///
/// Exact for normal values at every n. For skewed ones it covers too rarely when there are few: 95 % intervals of
/// exponential values cover 90 % at n = 10 and reach 94 % near n = 100 ([`crate::bootstrap::studentised`] needs fewer).
/// Values that never vary give a point.
///
/// # Errors
/// Fewer than two values, or a number that is none.
pub fn t_interval(values: &[f64], level: Level) -> Result<Interval, StatisticsError> {
    t_interval_as(Method::StudentT, values, level)
}

pub(crate) fn t_interval_as(
    method: Method,
    values: &[f64],
    level: Level,
) -> Result<Interval, StatisticsError> {
    check(method.name(), values, 2)?;
    let summary = Summary::of(values)?;
    let half = t_half_width(summary.n, summary.variance.unwrap_or(0.0), level)?;
    let ends = (summary.mean - half, summary.mean + half);
    Interval::new(summary.mean, ends, level, summary.n, method)
}

/// Half of the width of the t interval of a mean of `n` ≥ 2 values.
pub(crate) fn t_half_width(n: usize, variance: f64, level: Level) -> Result<f64, StatisticsError> {
    Ok(t_factor(n, level)? * (variance / n as f64).sqrt())
}

/// The quantile of t for the mean of `n` ≥ 2 values.
pub(crate) fn t_factor(n: usize, level: Level) -> Result<f64, StatisticsError> {
    StudentT::new(n as f64 - 1.0)?.quantile(1.0 - level.alpha() / 2.0)
}

/// Difference of means of two independent sets, standard error and degrees of freedom (Welch, 1947; Satterthwaite,
/// 1946). The degrees are `None` where neither set varies.
pub(crate) fn welch_parts(left: &[f64], right: &[f64]) -> Result<(f64, f64, Option<f64>), StatisticsError> {
    let method = Method::Welch.name();
    check(method, left, 2)?;
    check(method, right, 2)?;
    let (left, right) = (Summary::of(left)?, Summary::of(right)?);
    let share = |summary: &Summary| summary.variance.unwrap_or(0.0) / summary.n as f64;
    let (a, b) = (share(&left), share(&right));
    let sum = a + b;
    let degrees = (sum > 0.0).then(|| {
        // Divided first, so that tiny variances do not vanish in their squares.
        let (a, b) = (a / sum, b / sum);
        1.0 / (a * a / (left.n as f64 - 1.0) + b * b / (right.n as f64 - 1.0))
    });
    Ok((left.mean - right.mean, sum.sqrt(), degrees))
}

/// Welch's interval of the difference `left` − `right` of two independent means with unequal variances. Its n is that
/// of the smaller set.
///
/// # Errors
/// Fewer than two values on a side, or a number that is none.
pub fn welch_interval(left: &[f64], right: &[f64], level: Level) -> Result<Interval, StatisticsError> {
    let (difference, error, degrees) = welch_parts(left, right)?;
    let half = match degrees {
        Some(degrees) => error * StudentT::new(degrees)?.quantile(1.0 - level.alpha() / 2.0)?,
        None => 0.0,
    };
    let ends = (difference - half, difference + half);
    Interval::new(
        difference,
        ends,
        level,
        left.len().min(right.len()),
        Method::Welch,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_textbook_interval() {
        // Law (2015), example 4.27: ten values, 90 % interval 1.34 ± 0.24.
        let values = [1.20, 1.50, 1.68, 1.89, 0.95, 1.49, 1.58, 1.55, 0.50, 1.09];
        let interval = t_interval(&values, Level::P90).unwrap();
        assert_eq!(interval.n, 10);
        assert!((interval.estimate - 1.343).abs() < 1e-12);
        assert!((interval.half_width() - 0.24).abs() < 0.005, "{interval}");
    }

    #[test]
    fn edges_are_points_or_errors() {
        let point = t_interval(&[0.1; 5], Level::P95).unwrap();
        assert_eq!((point.low, point.estimate, point.high), (0.1, 0.1, 0.1));
        assert!(t_interval(&[1.0], Level::P95).is_err());
        assert!(t_interval(&[1.0, f64::INFINITY], Level::P95).is_err());
        let welch = welch_interval(&[2.0; 3], &[1.0; 4], Level::P95).unwrap();
        assert_eq!((welch.low, welch.high, welch.n), (1.0, 1.0, 3));
    }

    #[test]
    fn welch_of_equal_sizes_and_variances_has_the_pooled_degrees() {
        let (_, _, degrees) = welch_parts(&[1.0, 2.0, 3.0], &[11.0, 12.0, 13.0]).unwrap();
        assert!((degrees.unwrap() - 4.0).abs() < 1e-12);
    }
}
