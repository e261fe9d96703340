//! Levels of confidence, the names of methods, and intervals that carry both together with n.

use std::fmt;

use serde::Serialize;

use crate::distribution::normal_quantile;
use crate::error::{StatisticsError, finite};

/// A level of confidence, strictly between 0 and 1.
#[derive(Clone, Copy, PartialEq, PartialOrd, Debug, Serialize)]
#[serde(transparent)]
pub struct Level(f64);

impl Level {
    /// 90 %.
    pub const P90: Level = Level(0.90);
    /// 95 %.
    pub const P95: Level = Level(0.95);
    /// 99 %.
    pub const P99: Level = Level(0.99);

    /// A level as a share.
    ///
    /// # Errors
    /// Outside (0, 1).
    pub fn new(share: f64) -> Result<Level, StatisticsError> {
        if share > 0.0 && share < 1.0 {
            Ok(Level(share))
        } else {
            Err(StatisticsError::OutOfRange {
                name: "the level of confidence",
                value: share,
                range: "(0, 1)",
            })
        }
    }

    /// As a share.
    pub fn share(self) -> f64 {
        self.0
    }

    /// The probability of error, 1 − level.
    pub fn alpha(self) -> f64 {
        1.0 - self.0
    }

    /// The level of each of so many intervals that shall all hold at once with this level (Bonferroni; Dunn, 1961).
    /// Zero intervals count as one.
    #[must_use]
    pub fn of_each(self, intervals: usize) -> Level {
        // Closest to one where the division would reach it.
        Level((1.0 - self.alpha() / intervals.max(1) as f64).min(1.0 - f64::EPSILON))
    }

    /// The normal quantile of a two-sided interval: 1.96 for 95 %.
    pub(crate) fn z(self) -> f64 {
        -normal_quantile(self.alpha() / 2.0)
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Rounded so that 1 - 0.05 reads as 95 %.
        let percent = (self.0 * 1e6).round() / 1e4;
        write!(f, "{percent} %")
    }
}

/// How a number was found. [`Method::name`] is for captions and records, [`Method::source`] for the curious.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[non_exhaustive]
pub enum Method {
    /// Student's t on the mean of independent values.
    StudentT,
    /// Student's t on the differences of pairs.
    PairedT,
    /// Welch's t for the difference of two independent means.
    Welch,
    /// Percentile bootstrap.
    PercentileBootstrap {
        /// Resamples drawn.
        resamples: usize,
    },
    /// Bias-corrected and accelerated bootstrap.
    BcaBootstrap {
        /// Resamples drawn.
        resamples: usize,
    },
    /// Studentised bootstrap (bootstrap-t) of a mean.
    StudentisedBootstrap {
        /// Resamples drawn.
        resamples: usize,
    },
    /// Order statistics by the binomial distribution.
    OrderStatistics,
    /// Wilson's score interval of a proportion.
    Wilson,
    /// The difference of two proportions of the same trials, by squaring and adding Wilson's intervals.
    PairedProportions,
    /// The exact interval of a proportion.
    ClopperPearson,
    /// The one-sided bound of a proportion of which no event was seen.
    RuleOfThree,
    /// Means of batches of one long run.
    BatchMeans {
        /// Number of batches.
        batches: usize,
    },
    /// Kaplan–Meier with Greenwood's variance on the log-log scale.
    KaplanMeier,
    /// Effects of a two-level factorial design, t over replications of the design.
    TwoLevelFactorial,
    /// Mean absolute elementary effects, t over trajectories.
    Morris,
    /// First-order indices by Saltelli's estimator, percentile bootstrap over rows.
    SobolFirstOrder {
        /// Resamples drawn.
        resamples: usize,
    },
    /// Total indices by Jansen's estimator, percentile bootstrap over rows.
    SobolTotal {
        /// Resamples drawn.
        resamples: usize,
    },
    /// Median of pairwise slopes, with Sen's interval.
    TheilSen,
    /// Standard deviation by the jackknifed logarithm of the variance.
    JackknifedDeviation,
    /// The grand mean of a two-way layout of random effects, t with Satterthwaite's degrees of freedom.
    CrossedMean,
    /// A component of the variance of a two-way layout of random effects.
    VarianceComponent,
}

impl Method {
    /// The name as a caption says it.
    pub fn name(self) -> &'static str {
        match self {
            Method::StudentT => "Student t",
            Method::PairedT => "paired t",
            Method::Welch => "Welch t",
            Method::PercentileBootstrap { .. } => "percentile bootstrap",
            Method::BcaBootstrap { .. } => "BCa bootstrap",
            Method::StudentisedBootstrap { .. } => "studentised bootstrap",
            Method::OrderStatistics => "order statistics",
            Method::Wilson => "Wilson score",
            Method::PairedProportions => "paired proportions, Newcombe",
            Method::ClopperPearson => "Clopper–Pearson",
            Method::RuleOfThree => "rule of three",
            Method::BatchMeans { .. } => "batch means",
            Method::KaplanMeier => "Kaplan–Meier, Greenwood log-log",
            Method::TwoLevelFactorial => "2^k factorial, t over replications",
            Method::Morris => "Morris elementary effects, t over trajectories",
            Method::SobolFirstOrder { .. } => "Sobol first order, bootstrap",
            Method::SobolTotal { .. } => "Sobol total, bootstrap",
            Method::TheilSen => "Theil–Sen",
            Method::JackknifedDeviation => "jackknifed log variance",
            Method::CrossedMean => "two-way random effects, Satterthwaite t",
            Method::VarianceComponent => "two-way random effects, ANOVA, modified large-sample limits",
        }
    }

    /// Where the method is described.
    pub fn source(self) -> &'static str {
        match self {
            Method::StudentT => "Law, Simulation Modeling and Analysis, 5th ed. (2015), section 4.5",
            Method::PairedT => "Law (2015), section 10.2.1",
            Method::Welch => "Welch, Biometrika 34 (1947) 28; Law (2015), section 10.2.2",
            Method::PercentileBootstrap { .. } => {
                "Efron & Tibshirani, An Introduction to the Bootstrap (1993), ch. 13"
            }
            Method::BcaBootstrap { .. } => {
                "Efron, J. Am. Stat. Assoc. 82 (1987) 171; Efron & Tibshirani (1993), ch. 14"
            }
            Method::StudentisedBootstrap { .. } => "Efron & Tibshirani (1993), section 12.5",
            Method::OrderStatistics => "David & Nagaraja, Order Statistics, 3rd ed. (2003), section 7.1",
            Method::Wilson => {
                "Wilson, J. Am. Stat. Assoc. 22 (1927) 209; Brown, Cai & DasGupta, Stat. Sci. 16 (2001) 101"
            }
            Method::PairedProportions => "Newcombe, Stat. Med. 17 (1998) 2635, method 10",
            Method::ClopperPearson => "Clopper & Pearson, Biometrika 26 (1934) 404",
            Method::RuleOfThree => "Hanley & Lippman-Hand, JAMA 249 (1983) 1743",
            Method::BatchMeans { .. } => "Law & Carson, Oper. Res. 27 (1979) 1011; Law (2015), section 9.5.3",
            Method::KaplanMeier => {
                "Kaplan & Meier, J. Am. Stat. Assoc. 53 (1958) 457; Kalbfleisch & Prentice (2002), section 1.4; \
                 Brookmeyer & Crowley, Biometrics 38 (1982) 29"
            }
            Method::TwoLevelFactorial => {
                "Law (2015), section 12.2; Jain, The Art of Computer Systems Performance \
                 Analysis (1991), ch. 17–18"
            }
            Method::Morris => {
                "Morris, Technometrics 33 (1991) 161; Campolongo et al., Environ. Model. Softw. 22 (2007) 1509"
            }
            Method::SobolFirstOrder { .. } => {
                "Saltelli et al., Comput. Phys. Commun. 181 (2010) 259, table 2 (b)"
            }
            Method::SobolTotal { .. } => {
                "Jansen, Comput. Phys. Commun. 117 (1999) 35; Saltelli et al. (2010), table 2 (f)"
            }
            Method::TheilSen => "Theil (1950); Sen, J. Am. Stat. Assoc. 63 (1968) 1379",
            Method::JackknifedDeviation => "Miller, Ann. Math. Stat. 39 (1968) 567",
            Method::CrossedMean => {
                "Satterthwaite, Biometrics Bull. 2 (1946) 110; Searle, Casella & McCulloch, Variance Components (1992), ch. 4"
            }
            Method::VarianceComponent => {
                "Ting, Burdick, Graybill, Jeyaratnam & Lu, J. Stat. Comput. Simul. 35 (1990) 135; Burdick & \
                 Graybill, Confidence Intervals on Variance Components (1992), section 3.3"
            }
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// An estimate with its interval, the level of the interval, the number of independent values behind it and the
/// method. All numbers are finite, and `low <= high`.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
#[non_exhaustive]
pub struct Interval {
    /// The estimate, in the unit of the values. It may lie outside a bootstrap interval of a biased estimator.
    pub estimate: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// Level of confidence.
    pub level: Level,
    /// Independent values: replications, pairs, trials or batches, never pooled packets.
    pub n: usize,
    /// How it was found.
    pub method: Method,
}

impl Interval {
    pub(crate) fn new(
        estimate: f64,
        (low, high): (f64, f64),
        level: Level,
        n: usize,
        method: Method,
    ) -> Result<Interval, StatisticsError> {
        for number in [estimate, low, high] {
            finite(method.name(), number)?;
        }
        Ok(Interval {
            estimate,
            low,
            high,
            level,
            n,
            method,
        })
    }

    /// Half of the width, in the unit of the values.
    pub fn half_width(&self) -> f64 {
        self.high / 2.0 - self.low / 2.0
    }

    /// Half of the width as a share of the estimate's size: zero for a point, `None` for an estimate of zero.
    pub fn relative_half_width(&self) -> Option<f64> {
        if self.low == self.high {
            return Some(0.0);
        }
        Some(self.half_width() / self.estimate.abs()).filter(|share| share.is_finite())
    }

    /// Whether it covers a value.
    pub fn contains(&self, value: f64) -> bool {
        self.low <= value && value <= self.high
    }
}

impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Interval {
            estimate,
            low,
            high,
            level,
            n,
            method,
        } = self;
        write!(f, "{estimate} [{low}, {high}] ({level}, n = {n}, {method})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_stay_between_nothing_and_certainty() {
        for share in [0.0, 1.0, -0.1, 1.1, f64::NAN, f64::INFINITY] {
            assert!(Level::new(share).is_err(), "{share}");
        }
        assert_eq!(Level::P95.to_string(), "95 %");
        assert_eq!(Level::P95.of_each(5).to_string(), "99 %");
        assert_eq!(
            Level::P95.of_each(0),
            Level::new(1.0 - Level::P95.alpha()).unwrap()
        );
        assert!(Level::P95.of_each(usize::MAX).share() < 1.0);
        assert!((Level::P95.z() - 1.959_963_984_540_054).abs() < 1e-12);
    }

    #[test]
    fn an_interval_says_what_it_is() {
        let interval = Interval::new(2.0, (1.0, 3.0), Level::P95, 10, Method::StudentT).unwrap();
        assert_eq!(interval.to_string(), "2 [1, 3] (95 %, n = 10, Student t)");
        assert_eq!(interval.relative_half_width(), Some(0.5));
        assert!(interval.contains(3.0) && !interval.contains(3.1));
        let zero = Interval::new(0.0, (-1.0, 1.0), Level::P95, 10, Method::StudentT).unwrap();
        assert_eq!(zero.relative_half_width(), None);
        let error = Interval::new(f64::NAN, (1.0, 3.0), Level::P95, 10, Method::StudentT);
        assert_eq!(error, Err(StatisticsError::Overflow { method: "Student t" }));
    }
}
