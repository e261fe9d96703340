//! What a set of values looks like: moments, extremes and the empirical distribution function.

use serde::Serialize;

use crate::error::{StatisticsError, check, finite};
use crate::interval::Level;

/// Count, moments and extremes of a set.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
#[non_exhaustive]
pub struct Summary {
    /// Number of values.
    pub n: usize,
    /// Arithmetic mean.
    pub mean: f64,
    /// Variance of the population, estimated with n − 1; `None` of a single value.
    pub variance: Option<f64>,
    /// Adjusted Fisher–Pearson skewness; `None` below three values and where nothing varies.
    pub skewness: Option<f64>,
    /// Smallest value.
    pub min: f64,
    /// Largest value.
    pub max: f64,
}

impl Summary {
    /// Of one or more values, in two passes (Chan, Golub & LeVeque, "Algorithms for computing the sample variance",
    /// Am. Stat. 37 (1983) 242).
    ///
    /// # Errors
    /// No values, a number that is none, or values whose squares leave the range of numbers.
    pub fn of(values: &[f64]) -> Result<Summary, StatisticsError> {
        const METHOD: &str = "a summary";
        check(METHOD, values, 1)?;
        let n = values.len();
        let count = n as f64;
        let mean = finite(METHOD, values.iter().sum::<f64>() / count)?;
        let (mut sum, mut squares, mut cubes) = (0.0, 0.0, 0.0);
        let (mut min, mut max) = (f64::INFINITY, f64::NEG_INFINITY);
        for &value in values {
            let deviation = value - mean;
            sum += deviation;
            squares += deviation * deviation;
            cubes += deviation * deviation * deviation;
            min = min.min(value);
            max = max.max(value);
        }
        // What never varies must not vary by rounding.
        let varies = min < max;
        // The second term is what the rounding of the mean adds.
        let squares = if varies { squares - sum * sum / count } else { 0.0 };
        finite(METHOD, squares)?;
        let variance = (n > 1).then(|| squares.max(0.0) / (count - 1.0));
        let skewness = (n > 2 && squares > 0.0).then(|| {
            let second = squares / count;
            let biased = cubes / count / (second * second.sqrt());
            biased * (count * (count - 1.0)).sqrt() / (count - 2.0)
        });
        Ok(Summary {
            n,
            mean: if varies { mean } else { min },
            variance,
            skewness: skewness.filter(|skewness| skewness.is_finite()),
            min,
            max,
        })
    }

    /// Standard deviation; `None` of a single value.
    pub fn standard_deviation(&self) -> Option<f64> {
        self.variance.map(f64::sqrt)
    }

    /// Standard error of the mean of independent values; `None` of a single value.
    pub fn standard_error(&self) -> Option<f64> {
        self.variance.map(|variance| (variance / self.n as f64).sqrt())
    }

    /// Whether nothing varies.
    pub fn is_constant(&self) -> bool {
        self.min == self.max
    }
}

/// Mean and variance as values arrive (Welford, Technometrics 4 (1962) 419).
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub(crate) struct Running {
    n: usize,
    mean: f64,
    squares: f64,
}

impl Running {
    /// Takes one value into account, which the caller has found to be finite.
    pub(crate) fn add(&mut self, value: f64) {
        self.n += 1;
        let deviation = value - self.mean;
        self.mean += deviation / self.n as f64;
        self.squares += deviation * (value - self.mean);
    }

    /// Values so far.
    pub(crate) fn n(&self) -> usize {
        self.n
    }

    /// Mean so far; zero of no values.
    pub(crate) fn mean(&self) -> f64 {
        self.mean
    }

    /// Variance so far; `None` below two values.
    pub(crate) fn variance(&self) -> Option<f64> {
        (self.n > 1).then(|| self.squares / (self.n as f64 - 1.0))
    }
}

/// The empirical distribution function of a set.
#[derive(Clone, PartialEq, Debug)]
pub struct Ecdf {
    sorted: Vec<f64>,
}

impl Ecdf {
    /// Of one or more values.
    ///
    /// # Errors
    /// No values, or a number that is none.
    pub fn of(values: &[f64]) -> Result<Ecdf, StatisticsError> {
        check("an empirical distribution", values, 1)?;
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        Ok(Ecdf { sorted })
    }

    /// Number of values.
    pub fn n(&self) -> usize {
        self.sorted.len()
    }

    /// The values in rising order.
    pub fn sorted(&self) -> &[f64] {
        &self.sorted
    }

    /// The share of values that are at most `x`.
    pub fn at(&self, x: f64) -> f64 {
        self.sorted.partition_point(|&value| value <= x) as f64 / self.sorted.len() as f64
    }

    /// Where it rises, and to what share: one point for each different value.
    pub fn steps(&self) -> impl Iterator<Item = (f64, f64)> + '_ {
        let n = self.sorted.len();
        self.sorted.iter().enumerate().filter_map(move |(i, &value)| {
            let last_of_its_kind = i + 1 == n || self.sorted[i + 1] != value;
            last_of_its_kind.then(|| (value, (i + 1) as f64 / n as f64))
        })
    }

    /// Half the height of the band around it that holds the whole true function at once with this confidence (Dvoretzky,
    /// Kiefer & Wolfowitz, 1956, with the constant of Massart, Ann. Probab. 18 (1990) 1269). For independent
    /// values only; the band covers somewhat more often than it claims.
    pub fn band(&self, level: Level) -> f64 {
        (libm::log(2.0 / level.alpha()) / (2.0 * self.sorted.len() as f64)).sqrt()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_of_a_known_set() {
        let summary = Summary::of(&[2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0]).unwrap();
        assert_eq!(
            (summary.n, summary.mean, summary.min, summary.max),
            (8, 5.0, 2.0, 9.0)
        );
        assert_eq!(summary.variance, Some(32.0 / 7.0));
        // 42 / 8 over 4^1.5, times √56 / 6.
        assert!((summary.skewness.unwrap() - 0.818_487_553_356_599).abs() < 1e-12);
    }

    #[test]
    fn an_offset_costs_no_digits() {
        let values: Vec<f64> = (0..1000).map(|i| 1e9 + f64::from(i % 2)).collect();
        let summary = Summary::of(&values).unwrap();
        assert!((summary.variance.unwrap() - 0.25 * 1000.0 / 999.0).abs() < 1e-12);
        let mut running = Running::default();
        values.iter().for_each(|&value| running.add(value));
        assert!((running.variance().unwrap() - summary.variance.unwrap()).abs() < 1e-9);
        assert!((running.mean() - summary.mean).abs() < 1e-6);
    }

    #[test]
    fn what_never_varies_and_what_is_alone_has_a_defined_answer() {
        let constant = Summary::of(&[0.1; 7]).unwrap();
        assert_eq!(
            (constant.mean, constant.variance, constant.skewness),
            (0.1, Some(0.0), None)
        );
        let alone = Summary::of(&[3.0]).unwrap();
        assert_eq!((alone.variance, alone.standard_error()), (None, None));
        assert_eq!(
            Summary::of(&[]),
            Err(StatisticsError::TooFew {
                method: "a summary",
                n: 0,
                least: 1
            })
        );
        assert_eq!(
            Summary::of(&[1.0, f64::NAN]),
            Err(StatisticsError::NotFinite { index: 1 })
        );
        assert_eq!(
            Summary::of(&[f64::MAX, -f64::MAX]),
            Err(StatisticsError::Overflow { method: "a summary" })
        );
    }

    #[test]
    fn an_empirical_distribution_rises_at_its_values() {
        let ecdf = Ecdf::of(&[3.0, 1.0, 3.0, 2.0]).unwrap();
        assert_eq!(
            ecdf.steps().collect::<Vec<_>>(),
            [(1.0, 0.25), (2.0, 0.5), (3.0, 1.0)]
        );
        assert_eq!([0.9, 1.0, 2.9, 3.0].map(|x| ecdf.at(x)), [0.0, 0.25, 0.5, 1.0]);
        // √(ln 40 / 8).
        assert!((ecdf.band(Level::P95) - 0.679_050_4).abs() < 1e-6);
    }
}
