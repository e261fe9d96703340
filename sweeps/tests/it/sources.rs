//! Replications over single sources of chance.

use std::collections::BTreeSet;
use std::fs;

use longhaul_sweeps::compare::compare;
use longhaul_sweeps::summary::SummaryFile;
use longhaul_sweeps::text;

use crate::common::{AXES, METRICS, Place, same, shard, text as sweep_text, threads};

/// Background load and lost frames, both by chance.
const LUCK: &str = r#"Scenario(
    version: 1,
    name: "small",
    question: "How long does half a megabyte take?",
    expect: "Some tenths of a second.",
    horizon: "20 s",
    regions: [(name: "north"), (name: "south")],
    links: [(between: ("north", "south"), rtt: "20 ms", rate: "50 Mbit/s", loss: Independent(mean: "1 %"),
        background: Poisson(rate: "20 Mbit/s"))],
    transfers: [(name: "bulk", from: "north", to: "south", size: "500 kB")],
)"#;

fn sweep(over: &str) -> String {
    sweep_text(
        r#"(name: "streams", path: "transfers[bulk].streams", values: [1, 4]),"#,
        METRICS,
        &format!(
            r#"replications: 4, replicate_over: {over}, plots: [Cdf(name: "times", x: "time", series: "streams")],"#
        ),
    )
}

fn place() -> Place {
    let place = Place::new();
    fs::write(place.path("small.ron"), LUCK).expect("a written scenario");
    place
}

fn summary(place: &Place, folder: &str) -> SummaryFile {
    let text = fs::read_to_string(place.path(folder).join("summary.json")).expect("a summary");
    serde_json::from_str(&text).expect("a readable summary")
}

/// A column of the first point.
fn column(place: &Place, folder: &str, name: &str) -> Vec<String> {
    let text = fs::read_to_string(place.path(folder).join("results.csv")).expect("results");
    let mut lines = text.lines().map(|line| line.split(',').collect::<Vec<&str>>());
    let head = lines.next().expect("a head");
    let index = head.iter().position(|column| *column == name);
    let index = index.unwrap_or_else(|| panic!("no column {name} in {head:?}"));
    let first = lines.filter(|line| line[0] == "0");
    first.map(|line| line[index].to_owned()).collect()
}

#[test]
fn one_source_varies_and_the_others_stay() {
    let place = place();
    place.run(&sweep("Seed"), "seed", threads(2));
    place.run(&sweep("[Network]"), "network", threads(2));
    place.run(&sweep("[Faults]"), "faults", threads(2));
    let distinct = |folder: &str| {
        column(&place, folder, "digest")
            .into_iter()
            .collect::<BTreeSet<_>>()
            .len()
    };
    // Nothing fails here, so that other luck in that changes nothing.
    assert_eq!(
        (distinct("seed"), distinct("network"), distinct("faults")),
        (4, 4, 1)
    );
    assert_eq!(column(&place, "network", "seed"), ["1"; 4]);
    assert_eq!(column(&place, "network", "network_seed"), ["1", "2", "3", "4"]);
    assert_eq!(summary(&place, "network").head.replicate_over, "network");
    // The first replication of all is the scenario as it is.
    assert_eq!(
        column(&place, "network", "digest")[0],
        column(&place, "seed", "digest")[0]
    );
    assert!(!place.path("network/components.csv").exists());
}

#[test]
fn two_sources_are_combined_and_their_parts_of_the_variance_told() {
    let place = place();
    let ran = place.run(&sweep("[Workload, Network]"), "out", threads(2));
    assert_eq!(ran.effort.simulated, 32);
    assert_eq!(
        column(&place, "out", "workload_seed")[..6],
        ["1", "1", "1", "1", "2", "2"]
    );
    assert_eq!(
        column(&place, "out", "network_seed")[..6],
        ["1", "2", "3", "4", "1", "2"]
    );
    let summary = summary(&place, "out");
    assert_eq!(summary.head.replicate_over, "workload × network");
    let known = &summary.points[0].metrics[0];
    let sources: Vec<&str> = known.components.iter().map(|part| part.source.as_str()).collect();
    assert_eq!(sources, ["workload", "network", "together"]);
    let shares: f64 = known.components.iter().filter_map(|part| part.share).sum();
    assert!((shares - 1.0).abs() < 1e-9, "{known:?}");
    assert_eq!(
        known.method.as_deref(),
        Some("two-way random effects, Satterthwaite t")
    );
    let table = fs::read_to_string(place.path("out/components.csv")).unwrap();
    // Two points, two metrics, three parts, and the head.
    assert_eq!(table.lines().count(), 13, "{table}");
    let shown = text::components(
        &place.prepare(&sweep("[Workload, Network]")).sweep,
        &summary.points,
        200,
    );
    assert!(shown.contains("of workload and network"), "{shown}");
    // A curve of runs that depend on each other has no band.
    let index = fs::read_to_string(place.path("out/plots/index.json")).unwrap();
    assert!(index.contains("\"independent\": false"), "{index}");
    // The combination of the first samples is the scenario as it is; more samples use what is there.
    let more = sweep("[Workload, Network]").replace("replications: 4", "replications: 5");
    let effort = place.run(&more, "out", threads(2)).effort;
    assert_eq!((effort.simulated, effort.reused), (18, 32));
}

#[test]
fn parts_of_combinations_are_put_together_and_compared() {
    let place = place();
    let text = sweep("[Workload, Network]");
    place.run(&text, "whole", threads(2));
    for index in 1..=2 {
        place.run(&text, &format!("part-{index}"), shard(index, 2));
    }
    let parts = [place.path("part-1"), place.path("part-2")];
    longhaul_sweeps::merge::merge(&parts, &place.path("merged"), false, |_| {}).unwrap();
    same(&place.path("whole"), &place.path("merged"));
    fs::write(place.path("small.ron"), LUCK.replace("500 kB", "600 kB")).unwrap();
    place.run(&text, "more", threads(2));
    let comparison = compare(&place.path("whole"), &place.path("more"), &[]).unwrap();
    let row = &comparison.rows[0];
    assert_eq!((row.n, row.unpaired, row.p), (16, 0, None));
    assert_eq!(row.method, Some("two-way random effects, Satterthwaite t"));
    assert!(
        comparison
            .warnings
            .iter()
            .any(|warning| warning.contains("depend on each other")),
        "{:?}",
        comparison.warnings
    );
}

#[test]
fn the_usual_axes_take_sources_of_their_own() {
    // A point with a seed of its own begins there.
    let place = place();
    let axes = format!(r#"{AXES} (name: "luck", path: "seeds.network", values: [1, 5]),"#);
    let text = sweep_text(&axes, METRICS, "replications: 2, replicate_over: [Network],");
    let ran = place.run(&text, "out", threads(2));
    let seeds: Vec<Option<u64>> = ran
        .index
        .points
        .iter()
        .take(2)
        .map(|point| point.seeds.own.network)
        .collect();
    assert_eq!(seeds, [Some(1), Some(5)]);
}
