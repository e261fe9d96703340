//! Thousands of random schedules of faults.

use super::schedule::{Report, run};

/// Runs many schedules and fails with the seed of the first that is wrong.
fn run_all(seeds: std::ops::Range<u64>) -> Report {
    let mut sum = Report::default();
    for seed in seeds {
        let report = run(seed, None).unwrap_or_else(|failure| panic!("seed {seed}: {failure:?}"));
        sum.steps += report.steps;
        sum.crashes += report.crashes;
        sum.terms += report.terms;
        sum.committed += report.committed;
        sum.calls += report.calls;
        sum.snapshots += report.snapshots;
        sum.truncations += report.truncations;
        sum.undecided += report.undecided;
        sum.recovery = sum.recovery.max(report.recovery);
    }
    println!("{sum:?}");
    sum
}

#[test]
fn hundreds_of_schedules_are_safe_and_live() {
    let sum = run_all(0..300);
    // The schedules are hard enough to mean something.
    assert!(sum.crashes > 1_000 && sum.terms > 1_000 && sum.committed > 10_000);
    assert!(
        sum.undecided * 10 < 300 * 3,
        "few histories are too hard to decide"
    );
    assert!(sum.snapshots > 100 && sum.truncations > 100 && sum.calls > 20_000);
}

/// `cargo test -p longhaul-raft --release -- --ignored`
#[test]
#[ignore = "takes minutes"]
fn tens_of_thousands_of_schedules_are_safe_and_live() {
    run_all(0..30_000);
}
