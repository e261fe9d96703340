//! Steady-state horizons: where the warm-up ends (MSER-5), and the mean of one long run (batch means).
//!
//! Both take a [`SteadyState`], which exists only for a horizon of that kind: one migration or one fault ends by
//! itself, its beginning belongs to the answer, and there is nothing to delete.

use serde::Serialize;

use crate::error::{StatisticsError, check, finite, same_length};
use crate::interval::{Interval, Level, Method};
use crate::mean::t_interval_as;

/// Observations of an MSER batch.
const MSER_BATCH: usize = 5;
/// Last batches that are no candidates: so few have a small error by chance alone.
const LAST_MSER_BATCHES: usize = 5;
/// Batches without which MSER-5 finds nothing.
const LEAST_MSER_BATCHES: usize = 10;
/// Batches from whose correlation that of the final ones is judged (Law & Carson, 1979).
const TRIAL_BATCHES: usize = 400;
/// Batches of the interval.
const BATCHES: usize = 40;
/// Correlation of neighbouring trial batches up to which a tenth as many are as good as uncorrelated.
const MOST_CORRELATION: f64 = 0.4;

/// How a scenario ends (Law, Simulation Modeling and Analysis, 5th ed. (2015), section 9.3).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub enum Horizon {
    /// By itself: one migration, one fault. Its start belongs to the answer.
    Terminating,
    /// Never: only the long run matters.
    SteadyState,
}

/// Observations at equal distances of a run whose horizon is steady state.
#[derive(Clone, Copy, Debug)]
pub struct SteadyState<'a> {
    values: &'a [f64],
}

impl<'a> SteadyState<'a> {
    /// Observations in the order of time.
    ///
    /// # Errors
    /// A terminating horizon, no observations, or a number that is none.
    pub fn new(horizon: Horizon, values: &'a [f64]) -> Result<SteadyState<'a>, StatisticsError> {
        if horizon == Horizon::Terminating {
            return Err(StatisticsError::Terminating);
        }
        check("a steady-state series", values, 1)?;
        Ok(SteadyState { values })
    }

    /// The observations.
    pub fn values(self) -> &'a [f64] {
        self.values
    }

    /// Where the warm-up ends, by MSER-5 (White, "An effective truncation heuristic for bias reduction in simulation
    /// output", Simulation 69 (1997) 323; White, Cobb & Spratt, 2000): the cut that minimises the squared standard error
    /// of the mean of what remains, over batches of five.
    ///
    /// Best on the mean over replications ([`average`]).
    ///
    /// # Errors
    /// Fewer than 50 observations. [`StatisticsError::WarmUpTooLong`] if the best cut takes more than half of the run: then
    /// the run is too short, and no cut is right.
    pub fn mser5(self) -> Result<Truncation, StatisticsError> {
        const METHOD: &str = "MSER-5";
        let n = self.values.len();
        check(METHOD, self.values, LEAST_MSER_BATCHES * MSER_BATCH)?;
        let batches: Vec<f64> = self.values.chunks_exact(MSER_BATCH).map(mean).collect();
        let count = batches.len();
        // From the end, adding one batch at a time; shifted, so that squares stay small.
        let shift = batches[count - 1];
        let (mut sum, mut squares) = (0.0, 0.0);
        let mut best: Option<(f64, usize)> = None;
        for cut in (0..count).rev() {
            let value = batches[cut] - shift;
            sum += value;
            squares += value * value;
            let kept = (count - cut) as f64;
            if count - cut < LAST_MSER_BATCHES {
                continue;
            }
            let error = finite(METHOD, (squares - sum * sum / kept).max(0.0) / (kept * kept))?;
            // At equal errors the earlier cut keeps more.
            if best.is_none_or(|(least, _)| error <= least) {
                best = Some((error, cut));
            }
        }
        let cut = best.map_or(0, |(_, cut)| cut);
        if 2 * cut > count {
            return Err(StatisticsError::WarmUpTooLong { n });
        }
        Ok(Truncation {
            n,
            deleted: cut * MSER_BATCH,
        })
    }

    /// The mean of a run from which the warm-up is deleted, by 40 batches, if 400 show that these are as good as
    /// uncorrelated: the lag-1 correlation of the 400 must be below 0.4 (Law & Carson, 1979).
    ///
    /// Covers 93.5 to 96.5 % at 95 % for first-order autoregressive series whenever it answers (tested for
    /// correlations of 0, 0.5, 0.8 and 0.95).
    ///
    /// # Errors
    /// Fewer than 400 observations. [`StatisticsError::Correlated`]: go on with the same run until it is twice as long, and
    /// ask again.
    pub fn batch_means(self, level: Level) -> Result<BatchMeans, StatisticsError> {
        let method = Method::BatchMeans { batches: BATCHES };
        check(method.name(), self.values, TRIAL_BATCHES)?;
        let n = self.values.len();
        let lag1_trial = lag1(&batches(self.values, TRIAL_BATCHES))?;
        if lag1_trial >= MOST_CORRELATION {
            return Err(StatisticsError::Correlated { n, lag1: lag1_trial });
        }
        let means = batches(self.values, BATCHES);
        Ok(BatchMeans {
            interval: t_interval_as(method, &means, level)?,
            batch_size: n / BATCHES,
            lag1: lag1(&means)?,
            lag1_trial,
        })
    }
}

/// Where the warm-up ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[non_exhaustive]
pub struct Truncation {
    /// Observations of the run.
    pub n: usize,
    /// Of these, those to delete from its start: a multiple of five, at most about a half.
    pub deleted: usize,
}

/// The mean of one long run.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
#[non_exhaustive]
pub struct BatchMeans {
    /// The interval; its n is the number of batches.
    pub interval: Interval,
    /// Observations of each batch. Up to 39 observations at the start are left out so that all are of one size.
    pub batch_size: usize,
    /// Estimated correlation of neighbouring batches: of 40 it has a standard error of 0.16.
    pub lag1: f64,
    /// The same of the 400 trial batches, which decided.
    pub lag1_trial: f64,
}

/// The mean of several replications at each observation: what Welch's plot shows and MSER-5 should look at.
///
/// # Errors
/// No replications, replications of different lengths, or a number that is none.
pub fn average<S: AsRef<[f64]>>(replications: &[S]) -> Result<Vec<f64>, StatisticsError> {
    const METHOD: &str = "an average over replications";
    let Some(first) = replications.first().map(AsRef::as_ref) else {
        return Err(StatisticsError::TooFew {
            method: METHOD,
            n: 0,
            least: 1,
        });
    };
    let mut sums = vec![0.0; first.len()];
    for replication in replications.iter().map(AsRef::as_ref) {
        same_length(first.len(), replication.len())?;
        check(METHOD, replication, 1)?;
        for (sum, value) in sums.iter_mut().zip(replication) {
            *sum += value;
        }
    }
    let count = replications.len() as f64;
    sums.into_iter().map(|sum| finite(METHOD, sum / count)).collect()
}

/// The lag-1 autocorrelation of a series; zero where it never varies.
///
/// # Errors
/// Fewer than three values, or a number that is none.
pub fn lag1(series: &[f64]) -> Result<f64, StatisticsError> {
    const METHOD: &str = "a lag-1 autocorrelation";
    check(METHOD, series, 3)?;
    let centre = mean(series);
    let squares: f64 = series.iter().map(|x| (x - centre) * (x - centre)).sum();
    if series.iter().all(|x| *x == series[0]) || squares == 0.0 {
        return Ok(0.0);
    }
    let products: f64 = series.windows(2).map(|w| (w[0] - centre) * (w[1] - centre)).sum();
    finite(METHOD, products / squares)
}

/// Means of so many batches of equal size, the last ones of the series.
fn batches(values: &[f64], count: usize) -> Vec<f64> {
    let size = values.len() / count;
    values[values.len() - size * count..]
        .chunks_exact(size)
        .map(mean)
        .collect()
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

#[cfg(test)]
mod tests {
    use longhaul_core::random::Streams;

    use super::*;

    fn series(values: &[f64]) -> SteadyState<'_> {
        SteadyState::new(Horizon::SteadyState, values).unwrap()
    }

    #[test]
    fn a_terminating_horizon_has_no_warm_up() {
        let values = [1.0; 500];
        let error = SteadyState::new(Horizon::Terminating, &values).unwrap_err();
        assert_eq!(error, StatisticsError::Terminating);
    }

    #[test]
    fn mser_cuts_where_a_shift_ends_and_little_where_there_is_none() {
        let mut stream = Streams::new(1, 0).stream("mser", "test");
        let mut values: Vec<f64> = (0..2000).map(|_| 10.0 + stream.normal()).collect();
        assert!(series(&values).mser5().unwrap().deleted <= 200);
        for (i, value) in values.iter_mut().enumerate().take(300) {
            *value += 20.0 * libm::exp(-(i as f64) / 60.0);
        }
        let deleted = series(&values).mser5().unwrap().deleted;
        assert!((150..=400).contains(&deleted), "{deleted}");
        assert_eq!(deleted % 5, 0);
    }

    #[test]
    fn a_run_that_never_settles_is_too_short() {
        let rising: Vec<f64> = (0..1000).map(f64::from).collect();
        let error = series(&rising).mser5().unwrap_err();
        assert_eq!(error, StatisticsError::WarmUpTooLong { n: 1000 });
        assert!(series(&rising[..49]).mser5().is_err());
        assert_eq!(series(&[4.0; 100]).mser5(), Ok(Truncation { n: 100, deleted: 0 }));
    }

    #[test]
    fn correlated_batches_are_refused() {
        let rising: Vec<f64> = (0..4000).map(f64::from).collect();
        let error = series(&rising).batch_means(Level::P95).unwrap_err();
        assert!(matches!(error, StatisticsError::Correlated { n: 4000, lag1 } if lag1 > 0.9));
        let constant = series(&[2.5; 410]).batch_means(Level::P95).unwrap();
        assert_eq!(
            (constant.interval.low, constant.interval.high, constant.lag1),
            (2.5, 2.5, 0.0)
        );
        assert_eq!((constant.batch_size, constant.interval.n), (10, 40));
    }

    #[test]
    fn an_average_is_taken_at_each_observation() {
        assert_eq!(average(&[[1.0, 4.0], [3.0, 0.0]]), Ok(vec![2.0, 2.0]));
        assert!(average::<Vec<f64>>(&[]).is_err());
        assert!(average(&[vec![1.0], vec![1.0, 2.0]]).is_err());
        assert_eq!(lag1(&[1.0, -1.0, 1.0, -1.0]), Ok(-0.75));
    }
}
