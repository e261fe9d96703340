//! Resampling with replacement, and how far a median would move by chance.

use longhaul_core::random::Stream;

use crate::quantile::{quantile, quantile_of};

/// Resamples from which the noise of a median is taken: enough for two digits of it.
const RESAMPLES: usize = 400;

/// Fills `resample` with values of a set, drawn with replacement.
pub(crate) fn draw(values: &[f64], resample: &mut [f64], stream: &mut Stream) {
    for value in resample {
        *value = values[stream.below(values.len() as u64) as usize];
    }
}

/// The `q`-quantiles of so many resamples of a set with replacement (Efron, 1979), in the order of drawing.
///
/// # Panics
/// If the set is empty.
pub fn resampled_quantiles(sorted: &[f64], q: f64, resamples: usize, stream: &mut Stream) -> Vec<f64> {
    let mut resample = vec![0.0; sorted.len()];
    let mut one = || {
        draw(sorted, &mut resample, stream);
        resample.sort_by(f64::total_cmp);
        quantile(&resample, q).expect("as many values as the set has")
    };
    (0..resamples).map(|_| one()).collect()
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
    use longhaul_core::random::Streams;

    use super::*;

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
