//! Quantiles, and how far a median would move by chance.

use crate::random::Stream;
use crate::time::Span;

/// Resamples from which the noise of a median is taken: enough for two digits of it.
const RESAMPLES: usize = 400;

/// The `q`-quantile, `q` in [0, 1], of values in rising order, between two of them in proportion (type 7 of
/// Hyndman and Fan, 1996). `None` of no values.
pub fn quantile(sorted: &[f64], q: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    let place = last as f64 * q;
    // Truncation: the place is not negative.
    let below = (place as usize).min(last);
    let above = (below + 1).min(last);
    let share = place - below as f64;
    if share == 0.0 {
        // Without this an infinite neighbour would make it not a number.
        return Some(sorted[below]);
    }
    Some(sorted[below] + (sorted[above] - sorted[below]) * share)
}

/// The `q`-quantile of values in any order.
pub fn quantile_of(mut values: Vec<f64>, q: f64) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    quantile(&values, q)
}

/// Completion times in seconds in rising order, those of unfinished runs infinite.
pub fn sorted_seconds(times: impl IntoIterator<Item = Option<Span>>) -> Vec<f64> {
    let mut seconds: Vec<f64> = times
        .into_iter()
        .map(|time| time.map_or(f64::INFINITY, Span::as_s_f64))
        .collect();
    seconds.sort_by(f64::total_cmp);
    seconds
}

/// The `q`-quantiles of so many resamples of a set with replacement (Efron, 1979), in the order of drawing.
///
/// # Panics
/// If the set is empty.
pub fn resampled_quantiles(sorted: &[f64], q: f64, resamples: usize, stream: &mut Stream) -> Vec<f64> {
    let mut resample = vec![0.0; sorted.len()];
    let mut draw = || {
        for value in &mut resample {
            *value = sorted[stream.below(sorted.len() as u64) as usize];
        }
        resample.sort_by(f64::total_cmp);
        quantile(&resample, q).expect("as many values as the set has")
    };
    (0..resamples).map(|_| draw()).collect()
}

/// How far the median of another such set would lie from this one's: the median, over resamples,
/// of the relative distance between the resample's median and the set's. Zero for a
/// single value or an infinite median.
pub fn median_noise(sorted: &[f64], stream: &mut Stream) -> f64 {
    let Some(median) = quantile(sorted, 0.5).filter(|median| median.is_finite()) else {
        return 0.0;
    };
    if sorted.first() == sorted.last() || median == 0.0 {
        return 0.0;
    }
    let others = resampled_quantiles(sorted, 0.5, RESAMPLES, stream);
    let distances = others.iter().map(|other| (other / median - 1.0).abs()).collect();
    quantile_of(distances, 0.5).expect("there are resamples")
}

#[cfg(test)]
mod tests {
    use crate::random::Streams;

    use super::*;

    #[test]
    fn quantiles_lie_between_the_values_in_proportion() {
        let values = [1.0, 2.0, 4.0, 8.0];
        for (q, value) in [(0.0, 1.0), (0.25, 1.75), (0.5, 3.0), (0.75, 5.0), (1.0, 8.0)] {
            assert_eq!(quantile(&values, q), Some(value));
        }
        assert_eq!(quantile(&[], 0.5), None);
        assert_eq!(quantile(&[7.0], 0.9), Some(7.0));
    }

    #[test]
    fn an_unfinished_run_stands_after_all_others() {
        let times = sorted_seconds([None, Some(Span::from_s(2)), Some(Span::from_s(1))]);
        assert_eq!(times, [1.0, 2.0, f64::INFINITY]);
        assert_eq!(quantile(&times, 0.5), Some(2.0));
        assert_eq!(quantile(&times, 1.0), Some(f64::INFINITY));
        assert_eq!(quantile(&times, 0.6), Some(f64::INFINITY));
        assert_eq!(quantile(&[f64::INFINITY; 3], 0.5), Some(f64::INFINITY));
    }

    #[test]
    fn the_noise_of_a_normal_median_is_what_theory_says() {
        // The median of n normal values has a standard deviation of about σ √(π / 2n), half of which is within
        // 0.674 of it. The bootstrap estimates it from one sample, so averaging over many is needed.
        let mut stream = Streams::new(3, 0).stream("normal", "test");
        let (n, sets) = (101, 60);
        let mut sum = 0.0;
        for _ in 0..sets {
            let mut values: Vec<f64> = (0..n).map(|_| 100.0 + stream.normal()).collect();
            values.sort_by(f64::total_cmp);
            sum += median_noise(&values, &mut stream);
        }
        let theory = 0.674 * (std::f64::consts::PI / (2.0 * f64::from(n))).sqrt() / 100.0;
        let mean = sum / f64::from(sets);
        assert!((mean / theory - 1.0).abs() < 0.15, "{mean} against {theory}");
    }

    #[test]
    fn what_never_varies_has_no_noise() {
        let mut stream = Streams::new(3, 0).stream("x", "test");
        assert_eq!(median_noise(&[5.0; 8], &mut stream), 0.0);
        assert_eq!(median_noise(&[5.0], &mut stream), 0.0);
        assert_eq!(median_noise(&[], &mut stream), 0.0);
        assert_eq!(
            median_noise(&[1.0, f64::INFINITY, f64::INFINITY], &mut stream),
            0.0
        );
    }
}
