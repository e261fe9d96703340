//! Series in time: correlated ones, ones with a warm-up, ones with a trend.

use longhaul_core::random::Stream;
use longhaul_statistics::trend::trend;
use longhaul_statistics::{Horizon, Interval, Level, StatisticsError, SteadyState, mean, steady};

use crate::laws::{covers, share};

/// A first-order autoregressive series of mean 5, begun in its steady state.
fn autoregressive(correlation: f64, n: usize, stream: &mut Stream) -> Vec<f64> {
    let mut state = stream.normal() / (1.0 - correlation * correlation).sqrt();
    (0..n)
        .map(|_| {
            state = correlation * state + stream.normal();
            5.0 + state
        })
        .collect()
}

fn steady_state(values: &[f64]) -> SteadyState<'_> {
    SteadyState::new(Horizon::SteadyState, values).unwrap()
}

#[test]
fn batch_means_of_correlated_series() {
    for (correlation, n) in [(0.0, 400), (0.5, 2_000), (0.8, 6_000), (0.95, 24_000)] {
        covers(
            &format!("batch means, correlation {correlation}, n = {n}"),
            if n < 10_000 { 4_000 } else { 2_000 },
            |stream| {
                let values = autoregressive(correlation, n, stream);
                let found = steady_state(&values).batch_means(Level::P95).unwrap();
                found.interval.contains(5.0)
            },
        );
    }
}

#[test]
fn single_observations_of_a_correlated_series_cover_nothing_and_short_runs_are_refused() {
    let pooled = share("pooled", 1_000, |stream| {
        let values = autoregressive(0.8, 4_000, stream);
        mean::t_interval(&values, Level::P95).unwrap().contains(5.0)
    });
    assert!(pooled < 0.6, "{pooled}");
    let refused = share("short", 1_000, |stream| {
        let values = autoregressive(0.95, 4_000, stream);
        matches!(
            steady_state(&values).batch_means(Level::P95),
            Err(StatisticsError::Correlated { .. })
        )
    });
    assert!(refused > 0.99, "{refused}");
}

#[test]
fn a_sequentially_extended_run_still_covers() {
    covers("batch means, run doubled until accepted", 4_000, |stream| {
        let mut values = autoregressive(0.8, 400, stream);
        loop {
            match steady_state(&values).batch_means(Level::P95) {
                Ok(found) => return found.interval.contains(5.0),
                Err(StatisticsError::Correlated { .. }) => {}
                Err(other) => panic!("{other}"),
            }
            for _ in 0..values.len() {
                let state = values[values.len() - 1] - 5.0;
                values.push(5.0 + 0.8 * state + stream.normal());
            }
        }
    });
}

#[test]
fn deleting_the_warm_up_removes_the_bias() {
    // Ten replications begun far from the steady state, cut where their average says.
    let mut refused = 0;
    covers("mean after MSER-5", 2_000, |stream| {
        loop {
            match mean_after_warm_up(stream) {
                Ok(found) => return found.contains(5.0),
                Err(StatisticsError::WarmUpTooLong { .. }) => refused += 1,
                Err(other) => panic!("{other}"),
            }
        }
    });
    println!("refused: {refused}");
    assert!(refused < 100, "{refused} of 2,000 runs refused as too short");
}

fn mean_after_warm_up(stream: &mut Stream) -> Result<Interval, StatisticsError> {
    let replications: Vec<Vec<f64>> = (0..10)
        .map(|_| {
            let mut values = autoregressive(0.5, 1_000, stream);
            for (i, value) in values.iter_mut().enumerate() {
                *value += 15.0 * libm::exp(-(i as f64) / 25.0);
            }
            values
        })
        .collect();
    let average = steady::average(&replications)?;
    let cut = steady_state(&average).mser5()?.deleted;
    let means: Vec<f64> = replications
        .iter()
        .map(|values| values[cut..].iter().sum::<f64>() / (values.len() - cut) as f64)
        .collect();
    mean::t_interval(&means, Level::P95)
}

#[test]
fn slopes_of_trends() {
    for n in [12, 40] {
        covers(&format!("Theil–Sen, n = {n}"), 4_000, |stream| {
            let x: Vec<f64> = (0..n).map(f64::from).collect();
            let y: Vec<f64> = x
                .iter()
                .map(|x| 1.0 + 0.3 * x + stream.exponential(2.0))
                .collect();
            trend(&x, &y, Level::P95).unwrap().slope.contains(0.3)
        });
        covers(
            &format!("Mann–Kendall without a trend, n = {n}"),
            4_000,
            |stream| {
                let x: Vec<f64> = (0..n).map(f64::from).collect();
                let y: Vec<f64> = x.iter().map(|_| stream.exponential(2.0)).collect();
                trend(&x, &y, Level::P95).unwrap().p > 0.05
            },
        );
    }
}
