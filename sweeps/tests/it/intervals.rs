//! Intervals that a sweep may ask for, and those of medians.

use std::fs;

use longhaul_core::random::Streams;
use longhaul_statistics::{Level, bootstrap};
use serde_json::Value;

use crate::common::{AXES, Place, text, threads};

/// The transfer's time by the bootstrap, and its loss by Student's t.
const SKEWED: &str = r#"
        (name: "time", metric: TransferCompletionTime, statistic: Max, interval: Bootstrap),
        (name: "loss", metric: LinkLoss, statistic: Max, scope: Only("north->south")),"#;

/// The estimates of a point in `summary.json`, by metric.
fn estimates(place: &Place, point: usize) -> Vec<Value> {
    let summary = fs::read(place.path("out/summary.json")).unwrap();
    let summary: Value = serde_json::from_slice(&summary).unwrap();
    summary["points"][point]["metrics"].as_array().unwrap().clone()
}

/// The times of a point's runs in ns, sorted.
fn times(place: &Place, point: &str) -> Vec<f64> {
    let mut rows = csv::Reader::from_path(place.path("out/results.csv")).unwrap();
    let heads = rows.headers().unwrap().clone();
    let column = |name: &str| heads.iter().position(|head| head == name).unwrap();
    let (of, time) = (column("point"), column("time_ns"));
    let rows = rows.records().map(Result::unwrap).filter(|row| &row[of] == point);
    rows.map(|row| row[time].parse().unwrap()).collect()
}

#[test]
fn a_mean_has_the_interval_that_is_asked_for_and_a_median_that_of_order_statistics() {
    let place = Place::new();
    place.run(&text(AXES, SKEWED, "replications: 10,"), "out", threads(2));
    let found = estimates(&place, 2);
    let mut values = times(&place, "2");
    let mut stream = Streams::new(0, 0).stream("interval", "time");
    let expected = bootstrap::studentised(&values, Level::P95, 2_000, &mut stream).unwrap();
    assert_eq!(found[0]["method"], "studentised bootstrap");
    for (field, value) in [
        ("mean", expected.estimate),
        ("low", expected.low),
        ("high", expected.high),
    ] {
        assert_eq!(found[0][field].as_f64(), Some(value), "{field}");
    }
    assert_eq!(found[1]["method"], "Student t");
    // Of ten values the second and the ninth: two binomial tails of 1.1 % each.
    values.sort_by(f64::total_cmp);
    assert_eq!(found[0]["median_method"], "order statistics");
    assert_eq!(found[0]["median_low"].as_f64(), Some(values[1]));
    assert_eq!(found[0]["median_high"].as_f64(), Some(values[8]));
}

#[test]
fn a_few_values_have_no_interval_of_their_median() {
    let place = Place::new();
    place.run(
        &text(AXES, crate::common::METRICS, "replications: 5,"),
        "out",
        threads(2),
    );
    let found = estimates(&place, 0);
    assert!(
        found[0]["median"].is_number() && found[0]["median_low"].is_null(),
        "{found:?}"
    );
}

#[test]
fn where_a_bootstrap_means_nothing_it_is_refused() {
    let place = Place::new();
    let yes = r#"(name: "done", metric: ReservationSuccess, statistic: Min, interval: Bootstrap),"#;
    let until = r#"replications: 10, until: (relative_half_width: "5 %", metric: "time", at_most: 50),"#;
    for (metrics, more, part) in [
        (SKEWED, "replications: 7,", "at least 8 replications"),
        (
            SKEWED,
            "replications: 8, replicate_over: [Workload, Network],",
            "are not independent",
        ),
        (SKEWED, until, "Student"),
        (yes, "replications: 10,", "by Wilson"),
    ] {
        let message = place.try_prepare(&text(AXES, metrics, more)).unwrap_err();
        assert!(message.contains(part), "{part}: {message}");
    }
}
