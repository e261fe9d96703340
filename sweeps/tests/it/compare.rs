//! Two sweeps, or two runs, against each other.

use std::fs;

use longhaul_sweeps::compare::compare;
use longhaul_sweeps::text;

use crate::common::{Place, SCENARIO, threads, usual};

#[test]
fn equal_sweeps_are_identical() {
    let place = Place::new();
    place.run(&usual(), "a", threads(2));
    place.run(&usual(), "b", threads(1));
    let comparison = compare(&place.path("a"), &place.path("b")).unwrap();
    let digest = comparison.identical.clone().expect("the same runs");
    assert_eq!(digest.len(), 16);
    assert!(text::comparison(&comparison, 100).ends_with(&format!("identical ({digest})\n")));
    assert!(
        comparison
            .rows
            .iter()
            .all(|row| row.difference == Some(0.0) && row.p.is_none())
    );
}

#[test]
fn differences_are_paired_by_point_and_seed_and_corrected_for_their_number() {
    let place = Place::new();
    place.run(&usual(), "a", threads(2));
    // A fifth more to carry: slower for every seed.
    fs::write(place.path("small.ron"), SCENARIO.replace("500 kB", "600 kB")).unwrap();
    place.run(&usual(), "b", threads(2));
    let comparison = compare(&place.path("a"), &place.path("b")).unwrap();
    assert_eq!(comparison.identical, None);
    assert_eq!(comparison.rows.len(), 12, "6 points, 2 metrics");
    assert!(comparison.tests <= 12);
    let results = |name: &str| fs::read_to_string(place.path(name).join("results.csv")).unwrap();
    for row in &comparison.rows {
        assert_eq!((row.n, row.unpaired), (4, 0));
        if let (Some(p), Some(corrected)) = (row.p, row.p_holm) {
            assert!(p <= corrected && corrected <= 1.0, "{row:?}");
        }
    }
    // The first row by hand, from the tables.
    let times = |table: &str| -> Vec<f64> {
        let rows = table.lines().skip(1).take(4);
        rows.map(|line| line.split(',').nth(10).unwrap().parse().unwrap())
            .collect()
    };
    let (a, b) = (times(&results("a")), times(&results("b")));
    let differences: Vec<f64> = b.iter().zip(&a).map(|(b, a)| b - a).collect();
    let mean = differences.iter().sum::<f64>() / 4.0;
    let variance = differences.iter().map(|d| (d - mean) * (d - mean)).sum::<f64>() / 3.0;
    // Student's quantile of 97.5 % with three degrees of freedom.
    let half = 3.182_446 * (variance / 4.0).sqrt();
    let row = &comparison.rows[0];
    assert_eq!(
        (row.metric.as_str(), row.unit, row.place.as_str()),
        ("time", "ns", "rtt = 10 ms, streams = 1")
    );
    assert!((row.difference.unwrap() / mean - 1.0).abs() < 1e-9);
    assert!(
        ((row.high.unwrap() - row.low.unwrap()) / 2.0 / half - 1.0).abs() < 1e-5,
        "{row:?} {half}"
    );
    let shown = text::comparison(&comparison, 200);
    assert!(
        shown.contains("10 ms, 1 ") && shown.contains("Holm over"),
        "{shown}"
    );
}

#[test]
fn points_that_only_one_has_are_left_out_and_said_so() {
    let place = Place::new();
    place.run(&usual(), "a", threads(2));
    place.run(
        &usual().replace(r#""20 ms", "40 ms""#, r#""80 ms""#),
        "b",
        threads(2),
    );
    let comparison = compare(&place.path("a"), &place.path("b")).unwrap();
    assert_eq!(comparison.rows.len(), 4);
    assert!(
        comparison
            .warnings
            .iter()
            .any(|warning| warning.contains("6 points are in one of the two"))
    );
    place.run(
        &usual().replace(r#""10 ms", "20 ms", "40 ms""#, r#""7 ms""#),
        "c",
        threads(2),
    );
    let error = compare(&place.path("a"), &place.path("c"))
        .unwrap_err()
        .to_string();
    assert!(error.contains("no point with the same values"), "{error}");
    let error = compare(&place.path("a"), &place.path("d"))
        .unwrap_err()
        .to_string();
    assert!(error.contains("holds neither a run nor a sweep"), "{error}");
}
