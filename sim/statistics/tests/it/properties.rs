//! What holds for all inputs.

use longhaul_core::random::{Stream, Streams};
use longhaul_statistics::equivalence::tost_paired;
use longhaul_statistics::trend::trend;
use longhaul_statistics::{
    Ecdf, Horizon, Interval, KaplanMeier, Level, Lifetime, Proportion, StatisticsError, SteadyState, Summary,
    bootstrap, compare, design, mean, quantile,
};
use proptest::collection::vec;
use proptest::prelude::*;

fn stream(seed: u64) -> Stream {
    Streams::new(seed, 0).stream("properties", "test")
}

/// Any number, with the awkward ones more often than chance would have it.
fn number() -> impl Strategy<Value = f64> {
    prop_oneof![
        4 => -1e3..1e3,
        2 => Just(1.0),
        1 => any::<f64>(),
        1 => Just(0.0),
    ]
}

/// An interval is finite, ordered and knows its n; an error is an answer, too.
fn sane(found: Result<Interval, StatisticsError>) {
    if let Ok(found) = found {
        assert!(found.estimate.is_finite() && found.low.is_finite() && found.high.is_finite());
        assert!(found.low <= found.high && found.n > 0, "{found}");
    }
}

proptest! {
    #[test]
    fn any_numbers_give_an_interval_or_an_error(values in vec(number(), 0..40), seed: u64) {
        let p95 = Level::P95;
        sane(mean::t_interval(&values, p95));
        sane(mean::welch_interval(&values, &values, p95));
        sane(quantile::quantile_interval(&values, 0.5, p95));
        sane(bootstrap::percentile(&values, bootstrap::mean, p95, 100, &mut stream(seed)));
        sane(bootstrap::bca(&values, bootstrap::mean, p95, 100, &mut stream(seed)));
        sane(bootstrap::studentised(&values, p95, 100, &mut stream(seed)));
        let reversed: Vec<f64> = values.iter().rev().copied().collect();
        sane(compare::paired(&values, &reversed, p95).map(|paired| paired.difference));
        sane(tost_paired(&values, &reversed, 1.0, 0.05).map(|tost| tost.difference));
        let places: Vec<f64> = (0..values.len()).map(|i| i as f64).collect();
        sane(trend(&places, &values, p95).map(|trend| trend.slope));
        if let Ok(summary) = Summary::of(&values) {
            prop_assert!(summary.min <= summary.max && summary.mean.is_finite());
            prop_assert!(summary.variance.is_none_or(|v| v >= 0.0 && v.is_finite()));
        }
        if let Ok(ecdf) = Ecdf::of(&values) {
            prop_assert_eq!(ecdf.steps().last().map(|step| step.1), Some(1.0));
        }
    }

    #[test]
    fn any_series_has_a_warm_up_and_batches_or_an_error(values in vec(number(), 400..500)) {
        if let Ok(series) = SteadyState::new(Horizon::SteadyState, &values) {
            if let Ok(cut) = series.mser5() {
                prop_assert!(cut.deleted <= values.len() / 2 + 5);
            }
            sane(series.batch_means(Level::P95).map(|found| found.interval));
        }
    }

    #[test]
    fn every_nth_of_every_axis_holds_one_point_of_a_latin_hypercube(n in 1_usize..200, factors in 1_usize..6, seed: u64) {
        let points = design::latin_hypercube(n, factors, &mut stream(seed)).unwrap();
        for factor in 0..factors {
            let mut taken = vec![false; n];
            for point in &points {
                prop_assert!((0.0..1.0).contains(&point[factor]));
                let stratum = (0..n)
                    .find(|&i| point[factor] < (i as f64 + 1.0) / n as f64)
                    .expect("below one");
                prop_assert!(!taken[stratum], "two points in {stratum} of {n}");
                taken[stratum] = true;
            }
        }
    }

    #[test]
    fn every_axis_of_a_halton_sequence_is_even(factors in 1_usize..=10, seed: u64) {
        let points = design::halton(1000, factors, &mut stream(seed)).unwrap();
        for factor in 0..factors {
            for half in [0.25, 0.5, 0.75] {
                let below = points.iter().filter(|point| point[factor] < half).count() as f64 / 1000.0;
                // Random points are off by 0.047 in one case of a thousand; the bound of base 29 is 0.05.
                prop_assert!((below - half).abs() < 0.05, "{below} below {half}");
            }
            prop_assert!(points.iter().all(|point| (0.0..1.0).contains(&point[factor])));
        }
    }

    #[test]
    fn intervals_of_proportions_hold_the_share_and_shrink_with_the_level(n in 1_usize..500, part in 0.0..=1.0) {
        let proportion = Proportion::new((n as f64 * part) as usize, n).unwrap();
        for find in [Proportion::wilson, Proportion::exact] {
            let (wide, narrow) = (find(proportion, Level::P99).unwrap(), find(proportion, Level::P90).unwrap());
            prop_assert!(0.0 <= wide.low && wide.high <= 1.0);
            prop_assert!(wide.low <= narrow.low && narrow.high <= wide.high);
            prop_assert!(narrow.contains(proportion.share()));
        }
    }

    #[test]
    fn survival_falls_from_one_to_at_least_zero(times in vec((0.0..100.0, any::<bool>()), 1..60)) {
        let lifetimes: Vec<Lifetime> = times
            .iter()
            .map(|&(time, finished)| if finished { Lifetime::Finished(time) } else { Lifetime::Unfinished(time) })
            .collect();
        let estimate = KaplanMeier::of(&lifetimes, Level::P95).unwrap();
        let mut before = 1.0;
        for step in estimate.steps() {
            prop_assert!(0.0 <= step.survival && step.survival < before);
            if let Some((low, high)) = step.interval {
                prop_assert!(0.0 <= low && low <= step.survival && step.survival <= high && high <= 1.0);
            }
            before = step.survival;
        }
        let median = estimate.median();
        if let (Some(low), Some(middle)) = (median.low, median.estimate) {
            prop_assert!(low <= middle && median.high.is_none_or(|high| middle <= high));
        }
        // Without unfinished ones it is one minus the empirical distribution.
        if let Ok(ecdf) = Ecdf::of(&times.iter().map(|time| time.0).collect::<Vec<_>>())
            && times.iter().all(|time| time.1)
        {
            for step in estimate.steps() {
                prop_assert!((step.survival - (1.0 - ecdf.at(step.time))).abs() < 1e-9);
            }
        }
    }

    #[test]
    fn corrected_p_values_are_no_smaller_and_keep_their_order(p in vec(0.0..=1.0, 1..20)) {
        let adjusted = compare::holm(&p).unwrap();
        for (i, (p_i, a_i)) in p.iter().zip(&adjusted).enumerate() {
            prop_assert!(p_i <= a_i && *a_i <= 1.0);
            for j in 0..i {
                prop_assert!(p[j] > *p_i || adjusted[j] <= *a_i);
            }
        }
    }
}
