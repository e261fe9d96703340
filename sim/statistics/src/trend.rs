//! Whether something rises or falls over time, and how fast, whatever its distribution.

use serde::Serialize;

use crate::distribution::normal_cdf;
use crate::error::{StatisticsError, check, finite, same_length};
use crate::interval::{Interval, Level, Method};

/// Points without which the normal approximation is too rough (Gilbert, Statistical Methods for Environmental
/// Pollution Monitoring (1987), section 16.4.2).
pub const LEAST_POINTS: usize = 10;
/// Points whose pairs still fit into memory: 32 MB of slopes.
pub const MOST_POINTS: usize = 3_000;

/// A trend.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
#[non_exhaustive]
pub struct Trend {
    /// Median of the slopes of all pairs (Theil, 1950; Sen, 1968), in units of y per unit of x.
    pub slope: Interval,
    /// Kendall's S: pairs that rise less pairs that fall.
    pub s: i64,
    /// Two-sided p of no trend (Mann, Econometrica 13 (1945) 245; Kendall, Rank Correlation Methods, 1975), with corrections
    /// for ties and continuity. One where all y are equal. Neighbouring values must be independent: a series that is
    /// correlated in time shows trends that are none.
    pub p: f64,
}

/// The trend of `y` over `x`, in any order.
///
/// # Errors
/// Different numbers of values, fewer than [`LEAST_POINTS`] or more than [`MOST_POINTS`], all x equal, or a number that is
/// none.
pub fn trend(x: &[f64], y: &[f64], level: Level) -> Result<Trend, StatisticsError> {
    let method = Method::TheilSen;
    same_length(x.len(), y.len())?;
    check(method.name(), x, LEAST_POINTS)?;
    check(method.name(), y, LEAST_POINTS)?;
    let n = x.len();
    if n > MOST_POINTS {
        return Err(StatisticsError::TooMany {
            method: method.name(),
            n,
            most: MOST_POINTS,
        });
    }
    let mut slopes = Vec::with_capacity(n * (n - 1) / 2);
    let mut s = 0_i64;
    for i in 1..n {
        for j in 0..i {
            let run = x[i] - x[j];
            if run == 0.0 {
                continue;
            }
            let slope = finite(method.name(), (y[i] - y[j]) / run)?;
            s += i64::from(slope > 0.0) - i64::from(slope < 0.0);
            slopes.push(slope);
        }
    }
    if slopes.is_empty() {
        return Err(StatisticsError::Degenerate {
            method: method.name(),
            why: "all x are equal",
        });
    }
    slopes.sort_by(f64::total_cmp);
    let deviation = variance_of_s(x, y).max(0.0).sqrt();
    // The place-th slope from either end (Gilbert, 1987, section 16.5, with a correction for continuity): S moves in steps
    // of two. Truncation: bounded.
    let count = slopes.len() as f64;
    let place = ((count + 1.0 - level.z() * deviation) / 2.0).clamp(1.0, count) as usize;
    let ends = (slopes[place - 1], slopes[slopes.len() - place]);
    let middle = slopes.len() / 2;
    let median = if slopes.len() % 2 == 1 {
        slopes[middle]
    } else {
        slopes[middle - 1] / 2.0 + slopes[middle] / 2.0
    };
    let p = if deviation > 0.0 {
        let z = (s.abs() - 1).max(0) as f64 / deviation;
        (2.0 * normal_cdf(-z)).min(1.0)
    } else {
        1.0
    };
    Ok(Trend {
        slope: Interval::new(median, ends, level, n, method)?,
        s,
        p,
    })
}

/// The variance of S without a trend, with ties in either variable (Kendall, 1975, section 4.7).
fn variance_of_s(x: &[f64], y: &[f64]) -> f64 {
    let n = x.len() as f64;
    // Over groups of equal values: sums of t(t−1)(2t+5), t(t−1)(t−2) and t(t−1).
    let ties = |values: &[f64]| {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        sorted
            .chunk_by(|a, b| a == b)
            .map(|group| group.len() as f64)
            .fold((0.0, 0.0, 0.0), |(five, three, two), t| {
                let pairs = t * (t - 1.0);
                (
                    five + pairs * (2.0 * t + 5.0),
                    three + pairs * (t - 2.0),
                    two + pairs,
                )
            })
    };
    let (x, y) = (ties(x), ties(y));
    let pairs = n * (n - 1.0);
    (pairs * (2.0 * n + 5.0) - x.0 - y.0) / 18.0
        + x.1 * y.1 / (9.0 * pairs * (n - 2.0))
        + x.2 * y.2 / (2.0 * pairs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gilberts_variance_with_ties() {
        // Without ties n(n−1)(2n+5)/18; groups of 2 and 3 take 2·9 and 6·11 off (Gilbert, 1987, equation 16.2).
        let x: Vec<f64> = (0..10).map(f64::from).collect();
        assert_eq!(variance_of_s(&x, &x), 125.0);
        let y = [1.0, 1.0, 2.0, 2.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0];
        assert!((variance_of_s(&x, &y) - (2250.0 - 18.0 - 66.0) / 18.0).abs() < 1e-12);
        let found = trend(&x, &y, Level::P95).unwrap();
        // 45 pairs, of which 1 and 3 are tied: S = 41, z = 40 / √120.33.
        assert_eq!(found.s, 41);
        assert!((found.p - 2.0 * normal_cdf(-40.0 / (2166.0_f64 / 18.0).sqrt())).abs() < 1e-15);
    }

    #[test]
    fn a_line_has_its_slope_and_an_outlier_does_not_move_it() {
        let x: Vec<f64> = (0..20).map(f64::from).collect();
        let mut y: Vec<f64> = x.iter().map(|x| 3.0 - 2.0 * x).collect();
        y[7] = 1e6;
        let found = trend(&x, &y, Level::P95).unwrap();
        assert_eq!(found.slope.estimate, -2.0);
        assert!(found.slope.contains(-2.0) && found.p < 1e-4 && found.slope.n == 20);
        let reversed: (Vec<f64>, Vec<f64>) = (x.into_iter().rev().collect(), y.into_iter().rev().collect());
        assert_eq!(trend(&reversed.0, &reversed.1, Level::P95), Ok(found));
    }

    #[test]
    fn what_does_not_vary_has_no_trend() {
        let x: Vec<f64> = (0..12).map(f64::from).collect();
        let flat = trend(&x, &[4.0; 12], Level::P95).unwrap();
        assert_eq!(
            (flat.slope.low, flat.slope.high, flat.p, flat.s),
            (0.0, 0.0, 1.0, 0)
        );
        assert!(matches!(
            trend(&[1.0; 12], &x, Level::P95),
            Err(StatisticsError::Degenerate { .. })
        ));
        assert!(trend(&x[..9], &x[..9], Level::P95).is_err());
        assert!(trend(&x, &x[..11], Level::P95).is_err());
        assert!(trend(&x, &[f64::NAN; 12], Level::P95).is_err());
        let many = vec![0.0; MOST_POINTS + 1];
        assert!(matches!(
            trend(&many, &many, Level::P95),
            Err(StatisticsError::TooMany { .. })
        ));
    }
}
