//! One digest per scenario, seed and model version, however it is run. Debug against release, two processes and
//! another CPU are compared by `.ci/digests`, which needs both builds.

use crate::common::{run, run_in_slices, run_text, smoke_scenarios};

#[test]
fn a_scenario_run_twice_leaves_the_same_records() {
    for path in smoke_scenarios() {
        let (first, second) = (run(&path, &[]), run_in_slices(&path, &[], 1_013));
        assert_eq!(first.checkpoints, second.checkpoints, "{}", path.display());
        assert_eq!(first.record, second.record, "{}", path.display());
        assert_eq!(first.events, second.events, "{}", path.display());
        assert_eq!(first.series, second.series, "{}", path.display());
    }
}

#[test]
fn another_seed_gives_another_digest_wherever_something_is_random() {
    let path = crate::common::root().join("scenarios/smoke/bulk_cubic_loss.ron");
    let digest = |seed: &str| run(&path, &[seed]).record.digest;
    assert_ne!(digest("seed=1"), digest("seed=2"));
}

/// Two regions, a lossy link and one transfer; `extra` goes into the list of links, with its regions.
fn with_neighbours(regions: &str, links: &str, transfers: &str) -> String {
    format!(
        r#"Scenario(
            version: 1, name: "neighbours", question: "q", expect: "e", seed: 5, horizon: "60 s",
            regions: [(name: "a"), (name: "b"), {regions}],
            links: [(between: ("a", "b"), rtt: "20 ms", rate: "50 Mbit/s", loss: Independent(mean: "1 %")), {links}],
            transfers: [(name: "bulk", from: "a", to: "b", size: "3 MB", at: "0 s"), {transfers}],
        )"#
    )
}

#[test]
fn adding_a_link_elsewhere_moves_no_random_draw_of_the_others() {
    let alone = run_text(&with_neighbours("", "", ""));
    let neighbour = run_text(&with_neighbours(
        r#"(name: "c"), (name: "d")"#,
        r#"(between: ("c", "d"), rtt: "30 ms", rate: "50 Mbit/s", loss: Independent(mean: "2 %"))"#,
        r#"(name: "other", from: "c", to: "d", size: "3 MB", at: "0 s")"#,
    ));
    assert_eq!(alone.record.transfers[0], neighbour.record.transfers[0]);
    assert_eq!(alone.record.links[0], neighbour.record.links[0]);
}
