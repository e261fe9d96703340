//! Bootstrap intervals: of any statistic by percentiles or BCa, of a mean studentised.
//!
//! The draws come from a stream that the caller names after what is resampled, so the same values give the same
//! interval. With B resamples the ends move by chance by about 1.3 / √B of the interval's half width: 2,000 are good
//! for reports.
//!
//! From which n on 95 % intervals of the mean cover 93.5 to 96.5 % (tested): the percentile interval and BCa from 100 for
//! normal and 200 for exponential and lognormal (σ = 0.5) values, the studentised one from 30 for all of them. Below,
//! the first two cover too rarely: 93 % of normal values at n = 30.

use longhaul_core::random::Stream;

use crate::distribution::{normal_cdf, normal_quantile};
use crate::error::{StatisticsError, check, finite};
use crate::interval::{Interval, Level, Method};
use crate::quantile::quantile;
use crate::resample::draw;
use crate::summary::Summary;

/// Resamples without which the ends of a 95 % interval are mere noise.
pub const LEAST_RESAMPLES: usize = 100;
/// Resamples beyond which nothing is gained but memory lost.
pub const MOST_RESAMPLES: usize = 1_000_000;
/// Values below which a studentised resample is too often constant.
pub const LEAST_STUDENTISED: usize = 8;

/// The percentile interval of a statistic. The statistic is handed a scratch copy, which it may reorder.
///
/// # Errors
/// Fewer than two values, a number that is none (also as the statistic of a resample), or resamples outside
/// [[`LEAST_RESAMPLES`], [`MOST_RESAMPLES`]].
pub fn percentile(
    values: &[f64],
    statistic: impl Fn(&mut [f64]) -> f64,
    level: Level,
    resamples: usize,
    stream: &mut Stream,
) -> Result<Interval, StatisticsError> {
    let method = Method::PercentileBootstrap { resamples };
    let (estimate, others) = resample(method, values, statistic, resamples, stream)?;
    let half = level.alpha() / 2.0;
    let ends = (at(&others, half), at(&others, 1.0 - half));
    Interval::new(estimate, ends, level, values.len(), method)
}

/// The bias-corrected and accelerated interval of a statistic, which must be smooth: not of a median, for which
/// [`crate::quantile::quantile_interval`] is made. Costs one more evaluation for each value.
///
/// # Errors
/// As [`percentile`].
pub fn bca(
    values: &[f64],
    statistic: impl Fn(&mut [f64]) -> f64,
    level: Level,
    resamples: usize,
    stream: &mut Stream,
) -> Result<Interval, StatisticsError> {
    let method = Method::BcaBootstrap { resamples };
    let (estimate, others) = resample(method, values, &statistic, resamples, stream)?;
    let acceleration = acceleration(method.name(), values, statistic)?;
    let below = others.partition_point(|&other| other < estimate);
    let equal = others.partition_point(|&other| other <= estimate) - below;
    let count = resamples as f64;
    // Ties count half. Kept off the ends, where the correction would be infinite.
    let share = (below as f64 + 0.5 * equal as f64).clamp(0.5, count - 0.5) / count;
    let bias = normal_quantile(share);
    let moved = |z: f64| {
        let z = bias + z;
        let room = 1.0 - acceleration * z;
        // Beyond the pole of the correction the end of the resamples is meant.
        let z = if room > 0.0 {
            bias + z / room
        } else {
            f64::INFINITY * z
        };
        normal_cdf(z)
    };
    let z = level.z();
    let ends = (at(&others, moved(-z)), at(&others, moved(z)));
    Interval::new(estimate, ends, level, values.len(), method)
}

/// The studentised interval (bootstrap-t) of the mean: second-order correct, so it holds for skewed values at small n.
///
/// # Errors
/// Fewer than eight values, a number that is none, resamples outside [[`LEAST_RESAMPLES`], [`MOST_RESAMPLES`]], or
/// values so nearly constant that the resamples at an end of the interval do not vary.
pub fn studentised(
    values: &[f64],
    level: Level,
    resamples: usize,
    stream: &mut Stream,
) -> Result<Interval, StatisticsError> {
    let method = Method::StudentisedBootstrap { resamples };
    check(method.name(), values, LEAST_STUDENTISED)?;
    check_resamples(resamples)?;
    let summary = Summary::of(values)?;
    let (mean, error) = (summary.mean, summary.standard_error().unwrap_or(0.0));
    if summary.is_constant() {
        return Interval::new(mean, (mean, mean), level, summary.n, method);
    }
    let count = values.len() as f64;
    let mut scratch = vec![0.0; values.len()];
    let mut roots: Vec<f64> = (0..resamples)
        .map(|_| {
            draw(values, &mut scratch, stream);
            // Shifted by the mean: little is lost to cancellation, and one pass is enough.
            let (mut sum, mut squares) = (0.0, 0.0);
            for value in &scratch {
                let deviation = value - mean;
                sum += deviation;
                squares += deviation * deviation;
            }
            let shift = sum / count;
            let variance = (squares - sum * shift).max(0.0) / (count - 1.0);
            let constant = scratch.iter().all(|value| *value == scratch[0]);
            match (constant, shift) {
                (false, shift) => shift / (variance / count).sqrt(),
                (true, 0.0) => 0.0,
                (true, shift) => f64::INFINITY * shift,
            }
        })
        .collect();
    roots.sort_by(f64::total_cmp);
    let half = level.alpha() / 2.0;
    // The tails change sides: a large root means a mean that is too large.
    let ends = (
        mean - at(&roots, 1.0 - half) * error,
        mean - at(&roots, half) * error,
    );
    if !(ends.0.is_finite() && ends.1.is_finite()) {
        return Err(StatisticsError::Degenerate {
            method: method.name(),
            why: "too many resamples do not vary",
        });
    }
    Interval::new(mean, ends, level, summary.n, method)
}

/// The arithmetic mean, as a statistic to hand over.
pub fn mean(values: &mut [f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// The statistic of the values and, rising, those of the resamples.
fn resample(
    method: Method,
    values: &[f64],
    statistic: impl Fn(&mut [f64]) -> f64,
    resamples: usize,
    stream: &mut Stream,
) -> Result<(f64, Vec<f64>), StatisticsError> {
    check(method.name(), values, 2)?;
    check_resamples(resamples)?;
    let mut scratch = values.to_vec();
    let estimate = finite(method.name(), statistic(&mut scratch))?;
    let mut others = Vec::with_capacity(resamples);
    for _ in 0..resamples {
        draw(values, &mut scratch, stream);
        others.push(finite(method.name(), statistic(&mut scratch))?);
    }
    others.sort_by(f64::total_cmp);
    Ok((estimate, others))
}

/// From the jackknife (Efron & Tibshirani, 1993, equation 14.15). Zero where leaving out a value changes nothing.
fn acceleration(
    method: &'static str,
    values: &[f64],
    statistic: impl Fn(&mut [f64]) -> f64,
) -> Result<f64, StatisticsError> {
    let mut scratch = vec![0.0; values.len() - 1];
    let mut without = Vec::with_capacity(values.len());
    for left_out in 0..values.len() {
        scratch[..left_out].copy_from_slice(&values[..left_out]);
        scratch[left_out..].copy_from_slice(&values[left_out + 1..]);
        without.push(finite(method, statistic(&mut scratch))?);
    }
    let mean = without.iter().sum::<f64>() / without.len() as f64;
    let (mut squares, mut cubes) = (0.0, 0.0);
    for value in without {
        let deviation = mean - value;
        squares += deviation * deviation;
        cubes += deviation * deviation * deviation;
    }
    let scale = 6.0 * squares * squares.sqrt();
    finite(method, if scale > 0.0 { cubes / scale } else { 0.0 })
}

pub(crate) fn check_resamples(resamples: usize) -> Result<(), StatisticsError> {
    if (LEAST_RESAMPLES..=MOST_RESAMPLES).contains(&resamples) {
        return Ok(());
    }
    Err(StatisticsError::OutOfRange {
        name: "the number of resamples",
        value: resamples as f64,
        range: "[100, 1000000]",
    })
}

/// The quantile of resamples, of which there are some.
pub(crate) fn at(sorted: &[f64], q: f64) -> f64 {
    quantile(sorted, q).unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use longhaul_core::random::Streams;

    use super::*;

    fn stream() -> Stream {
        Streams::new(1, 0).stream("bootstrap", "test")
    }

    #[test]
    fn the_same_stream_gives_the_same_interval_and_skew_moves_bca() {
        let values = [1.0, 1.2, 1.1, 0.9, 1.4, 1.3, 9.0, 1.0, 1.2, 0.8];
        let one = bca(&values, mean, Level::P95, 2000, &mut stream()).unwrap();
        assert_eq!(one, bca(&values, mean, Level::P95, 2000, &mut stream()).unwrap());
        let plain = percentile(&values, mean, Level::P95, 2000, &mut stream()).unwrap();
        assert!(one.low > plain.low && one.high > plain.high, "{one} {plain}");
        let wide = studentised(&values, Level::P95, 2000, &mut stream()).unwrap();
        assert!(wide.high > one.high, "{wide} {one}");
    }

    #[test]
    fn what_never_varies_is_a_point_and_what_nearly_never_does_an_error() {
        for interval in [
            percentile(&[0.3; 9], mean, Level::P95, 100, &mut stream()).unwrap(),
            bca(&[0.3; 9], mean, Level::P95, 100, &mut stream()).unwrap(),
        ] {
            assert!((interval.low - 0.3).abs() < 1e-15 && interval.low == interval.high);
        }
        let point = studentised(&[0.3; 9], Level::P95, 100, &mut stream()).unwrap();
        assert_eq!((point.low, point.high), (0.3, 0.3));
        let mut values = [0.0; 9];
        values[4] = 1.0;
        assert!(matches!(
            studentised(&values, Level::P95, 1000, &mut stream()),
            Err(StatisticsError::Degenerate { .. })
        ));
    }

    #[test]
    fn bad_input_is_refused() {
        assert!(percentile(&[1.0], mean, Level::P95, 100, &mut stream()).is_err());
        assert!(percentile(&[1.0, 2.0], mean, Level::P95, 99, &mut stream()).is_err());
        assert!(bca(&[1.0, f64::NAN], mean, Level::P95, 100, &mut stream()).is_err());
        let none = |_: &mut [f64]| f64::NAN;
        assert!(matches!(
            bca(&[1.0, 2.0], none, Level::P95, 100, &mut stream()),
            Err(StatisticsError::Overflow { .. })
        ));
        assert!(studentised(&[1.0, 2.0], Level::P95, 100, &mut stream()).is_err());
    }
}
