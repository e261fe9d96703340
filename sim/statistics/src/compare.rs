//! Comparing two variants under common random numbers, and many at once.

use serde::Serialize;

use crate::distribution::StudentT;
use crate::error::{StatisticsError, check, finite, same_length};
use crate::interval::{Interval, Level, Method};
use crate::mean::{t_interval_as, welch_interval};
use crate::proportion::Proportion;
use crate::special::incomplete_beta;
use crate::summary::Summary;

/// The difference of two variants whose replications are paired by number, and so by random numbers.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
#[non_exhaustive]
pub struct Paired {
    /// Mean of the differences `left` − `right`. The one to report: it holds whatever the correlation is.
    pub difference: Interval,
    /// What Welch's method says of the same values as if they were independent, for comparison. Where the correlation is
    /// negative this interval is too narrow, and wrong.
    pub unpaired: Interval,
    /// Correlation of the pairs; `None` where a side never varies.
    pub correlation: Option<f64>,
    /// How many times smaller the variance of the difference is than without pairing: as many times fewer replications are
    /// needed. Below one, pairing costs precision. `None` where the differences never vary.
    pub variance_reduction: Option<f64>,
    /// Two-sided p of no difference; `None` where the differences never vary.
    pub p: Option<f64>,
}

impl Paired {
    /// Whether common random numbers do what they are for. If not, the two variants probably do not draw the same numbers
    /// for the same purposes: warn.
    pub fn pairing_helps(&self) -> bool {
        self.correlation.is_none_or(|correlation| correlation > 0.0)
    }
}

/// Compares two variants replication by replication (Law, 2015, sections 10.2.1 and 11.2).
///
/// # Errors
/// Different numbers of replications, fewer than two, or a number that is none.
pub fn paired(left: &[f64], right: &[f64], level: Level) -> Result<Paired, StatisticsError> {
    let name = Method::PairedT.name();
    same_length(left.len(), right.len())?;
    check(name, left, 2)?;
    check(name, right, 2)?;
    let differences: Vec<f64> = left.iter().zip(right).map(|(a, b)| a - b).collect();
    if let Some(&difference) = differences.iter().find(|difference| !difference.is_finite()) {
        finite(name, difference)?;
    }
    let (a, b, d) = (
        Summary::of(left)?,
        Summary::of(right)?,
        Summary::of(&differences)?,
    );
    let variance = |summary: &Summary| summary.variance.unwrap_or(0.0);
    let together = left
        .iter()
        .zip(right)
        .map(|(x, y)| (x - a.mean) * (y - b.mean))
        .sum::<f64>()
        / (d.n as f64 - 1.0);
    let scale = variance(&a).sqrt() * variance(&b).sqrt();
    Ok(Paired {
        difference: t_interval_as(Method::PairedT, &differences, level)?,
        unpaired: welch_interval(left, right, level)?,
        correlation: (scale > 0.0).then(|| (together / scale).clamp(-1.0, 1.0)),
        variance_reduction: Some((variance(&a) + variance(&b)) / variance(&d)).filter(|f| f.is_finite()),
        p: t_test(&d)?,
    })
}

/// The two-sided p of a mean of zero; `None` where nothing varies.
fn t_test(summary: &Summary) -> Result<Option<f64>, StatisticsError> {
    let Some(error) = summary.standard_error().filter(|error| *error > 0.0) else {
        return Ok(None);
    };
    let t = finite("a t test", summary.mean / error)?;
    Ok(Some(StudentT::new(summary.n as f64 - 1.0)?.two_sided(t)))
}

/// The two-sided p of the sign test: whether as many differences are positive as negative (exact, binomial). It needs to know
/// no more of a pair than which side is larger; pairs that are equal, or of which that is unknown, are left out. `None` of
/// no pairs.
pub fn sign_test(positive: usize, negative: usize) -> Option<f64> {
    let n = positive + negative;
    if n == 0 {
        return None;
    }
    let fewer = positive.min(negative);
    if 2 * fewer == n {
        return Some(1.0);
    }
    // P(X ≤ k) of n fair coins is the incomplete beta function at one half.
    let (tail, _) = incomplete_beta((n - fewer) as f64, fewer as f64 + 1.0, 0.5, 0.5);
    Some((2.0 * tail).min(1.0))
}

/// Two answers, yes or no, to each of a number of trials, such as whether a run succeeded with one variant and with another.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
pub struct PairedProportions {
    /// Trials with two yeses.
    pub both: usize,
    /// Only the left one says yes.
    pub left_only: usize,
    /// Only the right one.
    pub right_only: usize,
    /// Two noes.
    pub neither: usize,
}

impl PairedProportions {
    /// Counts pairs of which each side is 0 or 1; `None` if one is anything else.
    pub fn count(left: &[f64], right: &[f64]) -> Option<PairedProportions> {
        let mut counts = PairedProportions::default();
        for (&left, &right) in left.iter().zip(right) {
            let cell = match (left, right) {
                (1.0, 1.0) => &mut counts.both,
                (1.0, 0.0) => &mut counts.left_only,
                (0.0, 1.0) => &mut counts.right_only,
                (0.0, 0.0) => &mut counts.neither,
                _ => return None,
            };
            *cell += 1;
        }
        (left.len() == right.len()).then_some(counts)
    }

    /// Trials.
    pub fn n(self) -> usize {
        self.both + self.left_only + self.right_only + self.neither
    }

    /// The difference of the shares `left` − `right`: Newcombe's method 10 (Stat. Med. 17 (1998) 2635), which has a width also
    /// where all pairs say the same. From 50 pairs on it covers 93.5 to 96.5 % (tested), with fewer mostly more.
    ///
    /// # Errors
    /// No pairs.
    pub fn difference(self, level: Level) -> Result<Interval, StatisticsError> {
        let n = self.n();
        let (left, right) = (self.both + self.left_only, self.both + self.right_only);
        let left_share = Proportion::new(left, n)?.wilson(level)?;
        let right_share = Proportion::new(right, n)?.wilson(level)?;
        let margins = [left, n - left, right, n - right].map(|margin| margin as f64);
        // How the two answers hang together, with a correction for continuity where they do so positively.
        let agreement = self.both as f64 * self.neither as f64;
        let excess = agreement - self.left_only as f64 * self.right_only as f64;
        let excess = if excess > 0.0 {
            (excess - n as f64 / 2.0).max(0.0)
        } else {
            excess
        };
        let product: f64 = margins.iter().product();
        let phi = if product > 0.0 {
            excess / product.sqrt()
        } else {
            0.0
        };
        let together = |one: f64, other: f64| (one * one - 2.0 * phi * one * other + other * other).sqrt();
        let difference = (self.left_only as f64 - self.right_only as f64) / n as f64;
        let low = difference
            - together(
                left_share.estimate - left_share.low,
                right_share.high - right_share.estimate,
            );
        let high = difference
            + together(
                right_share.estimate - right_share.low,
                left_share.high - left_share.estimate,
            );
        let ends = (low.max(-1.0), high.min(1.0));
        Interval::new(difference, ends, level, n, Method::PairedProportions)
    }

    /// The two-sided p of no difference, exact (McNemar, 1947; the sign test of the pairs that disagree). `None` if none does.
    pub fn p(self) -> Option<f64> {
        sign_test(self.left_only, self.right_only)
    }
}

/// A mean difference in standard deviations of single values, those of both sides averaged (Cohen's d; Cumming,
/// Understanding The New Statistics (2012), ch. 11). `None` where neither side varies, or of fewer than two values.
pub fn effect_size(left: &[f64], right: &[f64]) -> Option<f64> {
    let (left, right) = (Summary::of(left).ok()?, Summary::of(right).ok()?);
    let spread = f64::midpoint(left.variance?, right.variance?).sqrt();
    Some((left.mean - right.mean) / spread).filter(|size| size.is_finite())
}

/// The p-values of a family of tests so that the chance of one or more false alarms stays below the level asked for
/// (Holm, "A simple sequentially rejective multiple test procedure", Scand. J. Stat. 6 (1979) 65): reject what is at
/// most alpha. In the order given.
///
/// # Errors
/// No p-values, or one outside [0, 1].
pub fn holm(p_values: &[f64]) -> Result<Vec<f64>, StatisticsError> {
    check("Holm's correction", p_values, 1)?;
    if let Some(&value) = p_values.iter().find(|p| !(0.0..=1.0).contains(*p)) {
        return Err(StatisticsError::OutOfRange {
            name: "a p-value",
            value,
            range: "[0, 1]",
        });
    }
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|&i, &j| p_values[i].total_cmp(&p_values[j]));
    let mut adjusted = vec![0.0; p_values.len()];
    let mut least = 0.0_f64;
    for (rank, &index) in order.iter().enumerate() {
        least = least
            .max((p_values.len() - rank) as f64 * p_values[index])
            .min(1.0);
        adjusted[index] = least;
    }
    Ok(adjusted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_that_move_together_are_compared_sharply() {
        let left = [10.1, 20.3, 30.2, 40.0, 50.4];
        let right = [10.0, 20.0, 30.0, 40.0, 50.0];
        let paired = paired(&left, &right, Level::P95).unwrap();
        // Differences 0.1, 0.3, 0.2, 0, 0.4: mean 0.2, variance 0.025, t with 4 degrees 2.776445.
        assert!((paired.difference.estimate - 0.2).abs() < 1e-12);
        assert!((paired.difference.half_width() - 2.776_445_105 * (0.025_f64 / 5.0).sqrt()).abs() < 1e-8);
        assert!(paired.correlation.unwrap() > 0.9999 && paired.pairing_helps());
        assert!(paired.variance_reduction.unwrap() > 10_000.0);
        assert!(paired.unpaired.half_width() > 50.0 * paired.difference.half_width());
        // t = 0.2 / √0.005 = 2√2: with four degrees of freedom p = 0.047421.
        assert!((paired.p.unwrap() - 0.047_420_7).abs() < 1e-6, "{:?}", paired.p);
    }

    #[test]
    fn pairing_that_hurts_says_so() {
        let paired = paired(&[1.0, 2.0, 3.0, 4.5], &[4.0, 3.0, 2.5, 1.0], Level::P95).unwrap();
        assert!(!paired.pairing_helps());
        assert!(paired.variance_reduction.unwrap() < 1.0);
        assert!(paired.difference.half_width() > paired.unpaired.half_width());
    }

    #[test]
    fn equal_differences_are_a_point_without_a_test() {
        let same = paired(&[1.0, 2.0, 3.0], &[0.0, 1.0, 2.0], Level::P95).unwrap();
        assert_eq!((same.difference.low, same.difference.high), (1.0, 1.0));
        assert_eq!((same.p, same.variance_reduction), (None, None));
        assert!(paired(&[1.0, 2.0], &[1.0], Level::P95).is_err());
        assert!(paired(&[1.0], &[1.0], Level::P95).is_err());
        assert!(paired(&[1.0, f64::NAN], &[1.0, 2.0], Level::P95).is_err());
        assert!(paired(&[f64::MAX, 0.0], &[-f64::MAX, 0.0], Level::P95).is_err());
    }

    #[test]
    fn signs_are_coins() {
        // 9 of 10: 2 (1 + 10) / 1024; 0 of 6: 2 / 64.
        assert!((sign_test(9, 1).unwrap() - 22.0 / 1024.0).abs() < 1e-12);
        assert!((sign_test(0, 6).unwrap() - 2.0 / 64.0).abs() < 1e-12);
        assert_eq!(sign_test(1, 9), sign_test(9, 1));
        assert_eq!((sign_test(3, 3), sign_test(0, 0)), (Some(1.0), None));
        assert!((sign_test(3, 4).unwrap() - 1.0).abs() < 1e-12);
    }

    #[test]
    fn yes_and_no_have_a_width_and_an_exact_test() {
        // Newcombe (1998), by hand: shares 0.96 and 0.76, phi −0.1147.
        let published = PairedProportions {
            both: 36,
            left_only: 12,
            right_only: 2,
            neither: 0,
        };
        let found = published.difference(Level::P95).unwrap();
        assert!((found.estimate - 0.2).abs() < 1e-12, "{found}");
        assert!(
            (found.low - 0.0569).abs() < 5.1e-5 && (found.high - 0.3404).abs() < 5.1e-5,
            "{found}"
        );
        let mirrored = PairedProportions {
            left_only: published.right_only,
            right_only: published.left_only,
            ..published
        };
        let mirror = mirrored.difference(Level::P95).unwrap();
        assert!((mirror.low + found.high).abs() < 1e-12 && (mirror.high + found.low).abs() < 1e-12);
        // Five times no against five times yes.
        let all = PairedProportions::count(&[1.0; 5], &[0.0; 5]).unwrap();
        let found = all.difference(Level::P95).unwrap();
        assert_eq!((found.estimate, found.high), (1.0, 1.0));
        assert!((found.low - 0.3855).abs() < 5e-4, "{found}");
        assert!((all.p().unwrap() - 0.0625).abs() < 1e-12);
        let same = PairedProportions::count(&[1.0; 5], &[1.0; 5]).unwrap();
        let found = same.difference(Level::P95).unwrap();
        assert!(found.low < -0.3 && found.high > 0.3, "{found}");
        assert_eq!(same.p(), None);
        assert_eq!(PairedProportions::count(&[0.5], &[1.0]), None);
        assert_eq!(PairedProportions::count(&[0.0], &[]), None);
        assert!(PairedProportions::default().difference(Level::P95).is_err());
    }

    #[test]
    fn an_effect_is_measured_in_deviations() {
        // Means 2 and 4, variances 1 and 4: 2 over the root of 2.5.
        let size = effect_size(&[3.0, 4.0, 5.0], &[0.0, 2.0, 4.0]).unwrap();
        assert!((size - 2.0 / 2.5_f64.sqrt()).abs() < 1e-12);
        assert_eq!(effect_size(&[1.0, 1.0], &[2.0, 2.0]), None);
        assert_eq!(effect_size(&[1.0], &[2.0]), None);
    }

    #[test]
    fn holm_steps_down() {
        // Holm (1979) by hand: 0.01·4, then 0.02·3, 0.03·2 and 0.04·1, none below the one before.
        let adjusted = holm(&[0.04, 0.01, 0.03, 0.02]).unwrap();
        for (found, expected) in adjusted.iter().zip([0.06, 0.04, 0.06, 0.06]) {
            assert!((found - expected).abs() < 1e-15, "{adjusted:?}");
        }
        assert_eq!(holm(&[0.6, 0.7]), Ok(vec![1.0, 1.0]));
        assert!(holm(&[]).is_err() && holm(&[1.1]).is_err() && holm(&[f64::NAN]).is_err());
    }
}
