//! Whether two sets are equal within a margin: two one-sided tests (Schuirmann, J. Pharmacokinet. Biopharm. 15 (1987)
//! 657), carried out by looking whether the interval of level 1 − 2α lies inside the margin. "Not significantly
//! different" shows nothing; this does.
//!
//! For means of pairs the interval is Student's ([`tost_paired`]). For medians it is the percentile bootstrap
//! ([`Resampled`], [`median_difference`]): both sets are resampled with replacement, each by itself, which assumes no
//! form of the distributions and not that they are alike.

use longhaul_core::random::Stream;
use serde::Serialize;

use crate::compare::paired;
use crate::distribution::StudentT;
use crate::error::StatisticsError;
use crate::interval::{Interval, Level};
use crate::quantile::quantile;
use crate::resample::resampled_quantiles;

/// What an interval says about a margin.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub enum Equivalence {
    /// The whole interval lies inside: equal.
    Equal,
    /// The whole interval lies outside: different.
    Different,
    /// The estimate itself lies outside, though by chance it might.
    EstimateOutside,
    /// The estimate lies inside, but the interval is too wide.
    Undecided {
        /// About how many times as many values are needed: an interval shrinks with their root.
        factor: f64,
    },
}

/// Judges an estimate and the ends of its interval by a margin of −`margin` to `margin`, all in one unit. A test at α
/// takes the interval of level 1 − 2α. What is not a number is outside.
pub fn judge(estimate: f64, low: f64, high: f64, margin: f64) -> Equivalence {
    if -margin <= low && high <= margin {
        return Equivalence::Equal;
    }
    if low > margin || high < -margin {
        return Equivalence::Different;
    }
    let room = margin - estimate.abs();
    if room.is_nan() || room <= 0.0 {
        return Equivalence::EstimateOutside;
    }
    let half = (high - estimate).max(estimate - low);
    Equivalence::Undecided {
        factor: (half / room) * (half / room),
    }
}

/// Two one-sided paired t tests.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
#[non_exhaustive]
pub struct Tost {
    /// The difference, with the interval of level 1 − 2α.
    pub difference: Interval,
    /// The margin, in the unit of the values.
    pub margin: f64,
    /// The larger p of the two tests: equal if at most α. `None` where the differences never vary.
    pub p: Option<f64>,
    /// What follows.
    pub verdict: Equivalence,
}

/// Whether the means of pairs are equal within `margin`, declared beforehand, at an error of at most `alpha`.
///
/// # Errors
/// As [`paired`]; a margin that is not positive; an alpha outside (0, 0.5).
pub fn tost_paired(left: &[f64], right: &[f64], margin: f64, alpha: f64) -> Result<Tost, StatisticsError> {
    if !(margin > 0.0 && margin.is_finite()) {
        return Err(StatisticsError::OutOfRange {
            name: "the margin",
            value: margin,
            range: "(0, ∞)",
        });
    }
    let level = Level::new(1.0 - 2.0 * alpha)?;
    let difference = paired(left, right, level)?.difference;
    let degrees = StudentT::new(difference.n as f64 - 1.0)?;
    let error = difference.half_width() / degrees.quantile(1.0 - level.alpha() / 2.0)?;
    let p = (error > 0.0).then(|| degrees.cdf((difference.estimate.abs() - margin) / error));
    Ok(Tost {
        difference,
        margin,
        p,
        verdict: judge(difference.estimate, difference.low, difference.high, margin),
    })
}

/// A set of values, its quartiles, and those of its resamples.
#[derive(Clone, Debug)]
pub struct Resampled {
    sorted: Vec<f64>,
    quartiles: [(f64, Vec<f64>); 3],
}

impl Resampled {
    /// Resamples a set; all three quartiles are those of the same resamples. `None` of no values.
    pub fn new(mut values: Vec<f64>, resamples: usize, stream: &Stream) -> Option<Resampled> {
        values.sort_by(f64::total_cmp);
        if values.is_empty() {
            return None;
        }
        let constant = values.first() == values.last();
        let quartile = |q| {
            let value = quantile(&values, q).unwrap_or(f64::NAN);
            let others = if constant {
                vec![value; resamples]
            } else {
                resampled_quantiles(&values, q, resamples, &mut stream.clone())
            };
            (value, others)
        };
        let quartiles = [quartile(0.25), quartile(0.5), quartile(0.75)];
        Some(Resampled {
            sorted: values,
            quartiles,
        })
    }

    /// Number of values.
    pub fn n(&self) -> usize {
        self.sorted.len()
    }

    /// Whether nothing varies.
    pub fn is_constant(&self) -> bool {
        self.sorted.first() == self.sorted.last()
    }

    /// The median.
    pub fn median(&self) -> f64 {
        self.quartiles[1].0
    }

    /// The first, second and third quartile with the ends of their percentile intervals.
    pub fn quartiles(&self, level: Level) -> [Ends; 3] {
        let [first, median, third] = &self.quartiles;
        [first, median, third].map(|(value, others)| Ends::new(*value, others.clone(), level))
    }
}

/// An estimate and the ends of its percentile interval. Where values are infinite (runs that did not finish) these may
/// be, too.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Ends {
    /// The estimate.
    pub estimate: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

impl Ends {
    fn new(estimate: f64, mut others: Vec<f64>, level: Level) -> Ends {
        others.sort_by(f64::total_cmp);
        // Rounded to a part in 10^12, so that 0.9 leaves exactly 0.05 and 0.95.
        let half = (level.alpha() / 2.0 * 1e12).round() / 1e12;
        let end = |q| quantile(&others, q).unwrap_or(estimate);
        Ends {
            estimate,
            low: end(half),
            high: end(1.0 - half),
        }
    }
}

/// How two medians are held against each other.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Contrast {
    /// `left` / `right` − 1, in parts of which `parts` make one.
    Relative {
        /// 10^6 for millionths.
        parts: f64,
    },
    /// `left` − `right`.
    Absolute,
}

/// How far the left median lies above the right one. `None` if it is relative to a median of zero, unless both are.
pub fn median_difference(
    left: &Resampled,
    right: &Resampled,
    contrast: Contrast,
    level: Level,
) -> Option<Ends> {
    let of = |left: f64, right: f64| match contrast {
        Contrast::Relative { .. } if left == right => 0.0,
        Contrast::Relative { parts } => (left / right - 1.0) * parts,
        Contrast::Absolute => left - right,
    };
    let relative = matches!(contrast, Contrast::Relative { .. });
    if relative && right.median() == 0.0 && left.median() != 0.0 {
        return None;
    }
    let pairs = left.quartiles[1].1.iter().zip(&right.quartiles[1].1);
    let others = pairs.map(|(&left, &right)| of(left, right)).collect();
    Some(Ends::new(of(left.median(), right.median()), others, level))
}

#[cfg(test)]
mod tests {
    use longhaul_core::random::Streams;

    use super::*;

    #[test]
    fn an_interval_is_inside_outside_or_across() {
        assert_eq!(judge(0.0, -1.0, 1.0, 1.0), Equivalence::Equal);
        assert_eq!(judge(3.0, 1.5, 4.0, 1.0), Equivalence::Different);
        assert_eq!(judge(-3.0, -4.0, -1.5, 1.0), Equivalence::Different);
        assert_eq!(judge(1.0, 0.5, 1.5, 1.0), Equivalence::EstimateOutside);
        assert_eq!(judge(0.5, -0.5, 1.5, 1.0), Equivalence::Undecided { factor: 4.0 });
        assert_eq!(judge(f64::NAN, -0.5, 1.5, 1.0), Equivalence::EstimateOutside);
    }

    #[test]
    fn the_p_of_two_tests_agrees_with_the_interval() {
        let right = [10.0, 11.0, 12.0, 13.0, 14.0, 15.0];
        let left = [10.1, 10.9, 12.2, 13.0, 13.9, 15.2];
        let equal = tost_paired(&left, &right, 0.2, 0.05).unwrap();
        assert!(
            equal.verdict == Equivalence::Equal && equal.p.unwrap() <= 0.05,
            "{equal:?}"
        );
        let unknown = tost_paired(&left, &right, 0.1, 0.05).unwrap();
        assert!(matches!(unknown.verdict, Equivalence::Undecided { .. }) && unknown.p.unwrap() > 0.05);
        assert_eq!(tost_paired(&right, &right, 0.1, 0.05).unwrap().p, None);
        for (margin, alpha) in [
            (0.0, 0.05),
            (f64::NAN, 0.05),
            (1.0, 0.0),
            (1.0, 0.5),
            (1.0, f64::NAN),
        ] {
            assert!(tost_paired(&left, &right, margin, alpha).is_err());
        }
    }

    #[test]
    fn the_ends_of_a_level_are_at_round_shares() {
        let ends = Ends::new(0.0, (0..=100).map(f64::from).collect(), Level::P90);
        assert_eq!((ends.low, ends.high), (5.0, 95.0));
        let none = Resampled::new(vec![], 100, &Streams::new(1, 0).stream("x", "y"));
        assert!(none.is_none());
    }
}
