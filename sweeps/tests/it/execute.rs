//! What runs, what is used again, and what survives.

use std::fs;
use std::path::PathBuf;

use longhaul_core::MODEL_VERSION;
use longhaul_sweeps::cache::{Cache, Found};
use longhaul_sweeps::entry::Entry;
use longhaul_sweeps::estimate::{Standing, Width};
use longhaul_sweeps::execute::{FailureKind, Options};
use longhaul_sweeps::plan::plan;
use longhaul_sweeps::points::Points;
use longhaul_sweeps::schema::ReplicateOver;
use longhaul_sweeps::summary::SummaryFile;
use longhaul_sweeps::tables::key_of;

use crate::common::{
    ADMITTED, AXES, METRICS, Place, Ran, SCENARIO, files, reserving, same, text, threads, usual,
};

/// The file of a run's entry.
fn entry_file(place: &Place, folder: &str, ran: &Ran, point: usize, replication: u32) -> PathBuf {
    let key = key_of(&ran.index.points[point], replication, ReplicateOver::Seed).expect("a valid point");
    Cache::new(&place.path(folder), PathBuf::new()).path(&key)
}

/// An entry's file with this content and a checksum that holds.
fn forged(content: &str) -> String {
    format!("longhaul-run {}\n{content}\n", blake3_of(content))
}

fn blake3_of(text: &str) -> String {
    blake3::hash(text.as_bytes()).to_hex().to_string()
}

#[test]
fn threads_change_nothing() {
    let place = Place::new();
    let one = place.run(&usual(), "one", threads(1));
    place.run(&usual(), "many", threads(5));
    assert_eq!((one.effort.simulated, one.effort.reused), (24, 0));
    assert_eq!((one.last.done, one.last.all), (24, 24));
    assert!(
        one.last.widest.is_some_and(|widest| widest.width.share() > 0.0),
        "{:?}",
        one.last
    );
    same(&place.path("one"), &place.path("many"));
}

#[test]
fn a_finished_sweep_runs_nothing_again_and_keeps_its_bytes() {
    let place = Place::new();
    place.run(&usual(), "first", threads(2));
    place.run(&usual(), "again", threads(2));
    let again = place.run(&usual(), "again", threads(2));
    assert_eq!((again.effort.simulated, again.effort.reused), (0, 24));
    same(&place.path("first"), &place.path("again"));
}

#[test]
fn a_sweep_that_grows_uses_what_it_has_and_ends_as_if_it_had_been_large_from_the_start() {
    let place = Place::new();
    place.run(&usual(), "grown", threads(2));
    let axes = AXES.replace(r#""40 ms""#, r#""40 ms", "80 ms""#);
    let metrics = format!(r#"{METRICS} (name: "goodput", metric: TransferGoodput, statistic: Mean),"#);
    let large = text(&axes, &metrics, "replications: 5,");
    let grown = place.run(&large, "grown", threads(2));
    // 8 points of 5 runs, of which 6 had 4.
    assert_eq!((grown.effort.simulated, grown.effort.reused), (16, 24));
    place.run(&large, "large", threads(2));
    same(&place.path("grown"), &place.path("large"));
    let again = place.run(&usual(), "grown", threads(2));
    assert_eq!((again.effort.simulated, again.effort.reused), (0, 24));
    place.run(&usual(), "small", threads(2));
    same(&place.path("grown"), &place.path("small"));
}

#[test]
fn all_points_have_the_same_seeds() {
    let place = Place::new();
    let ran = place.run(&usual(), "out", threads(2));
    assert!(
        ran.index
            .points
            .iter()
            .all(|point| point.seeds.seed == 1 && point.replications == 4)
    );
    let table = fs::read_to_string(place.path("out/results.csv")).unwrap();
    let seeds: Vec<&str> = table
        .lines()
        .skip(1)
        .map(|line| line.split(',').nth(2).unwrap())
        .collect();
    assert_eq!(seeds, ["1", "2", "3", "4"].repeat(6));
}

#[test]
fn a_parameter_without_effect_changes_no_draw() {
    let place = Place::new();
    let axes = r#"(name: "horizon", path: "horizon", values: ["20 s", "30 s"]),"#;
    place.run(&text(axes, METRICS, "replications: 3,"), "out", threads(2));
    let table = fs::read_to_string(place.path("out/results.csv")).unwrap();
    let digests: Vec<&str> = table
        .lines()
        .skip(1)
        .map(|line| line.split(',').nth(6).unwrap())
        .collect();
    assert_eq!(digests[..3], digests[3..], "{table}");
    assert_ne!(digests[0], digests[1], "seeds matter");
}

#[test]
fn a_run_that_panics_is_recorded_and_takes_nothing_with_it() {
    let place = Place::new();
    let canary = Options {
        inject_panic: Some(2),
        ..threads(2)
    };
    let ran = place.run(&usual(), "out", canary);
    assert_eq!(ran.effort.simulated, 20);
    let failed: Vec<(u64, u32, FailureKind)> = ran
        .index
        .failures
        .iter()
        .map(|failure| (failure.point, failure.replication, failure.kind))
        .collect();
    assert_eq!(
        failed,
        [0, 1, 2, 3].map(|replication| (2, replication, FailureKind::Panicked))
    );
    assert!(
        ran.index.failures[0].message.contains("an injected panic"),
        "{:?}",
        ran.index.failures
    );
    let table = fs::read_to_string(place.path("out/results.csv")).unwrap();
    assert_eq!(table.lines().count(), 25, "a failed run has a row, too");
    assert_eq!(table.lines().filter(|line| line.contains("panicked")).count(), 4);
    let summary = fs::read_to_string(place.path("out/summary.json")).unwrap();
    assert!(summary.contains("an injected panic"), "{summary}");
    // Whatever it was, the next attempt has only that to do.
    let again = place.run(&usual(), "out", threads(2));
    assert_eq!((again.effort.simulated, again.effort.reused), (4, 20));
    place.run(&usual(), "clean", threads(2));
    same(&place.path("out"), &place.path("clean"));
}

#[test]
fn a_run_that_takes_too_long_is_given_up() {
    let place = Place::new();
    fs::write(
        place.path("small.ron"),
        SCENARIO.replace("500 kB", "500 GB").replace("20 s", "20 h"),
    )
    .unwrap();
    let axes = r#"(name: "rtt", path: "links[0].rtt", values: ["10 ms"]),"#;
    let sweep = text(axes, METRICS, r#"replications: 2, timeout: "20 ms","#);
    let ran = place.run(&sweep, "out", threads(2));
    assert_eq!(ran.index.failures.len(), 2);
    assert!(
        ran.index
            .failures
            .iter()
            .all(|failure| failure.kind == FailureKind::TimedOut)
    );
}

#[test]
fn values_that_are_not_allowed_together_fail_alone() {
    let place = Place::new();
    // Each value appears first in a point that is valid.
    let axes = r#"(path: "routing.objective", values: [LowestLatency, Widest]),
        (path: "routing.multipath", values: [false, true]),"#;
    let ran = place.run(&text(axes, METRICS, "replications: 2,"), "out", threads(2));
    let failed: Vec<(u64, FailureKind)> = ran
        .index
        .failures
        .iter()
        .map(|failure| (failure.point, failure.kind))
        .collect();
    assert_eq!(failed, [(3, FailureKind::Invalid), (3, FailureKind::Invalid)]);
    assert_eq!(ran.effort.simulated, 6);
    // Their rows have the seeds that they would have had.
    let table = fs::read_to_string(place.path("out/results.csv")).unwrap();
    let seeds: Vec<&str> = table
        .lines()
        .skip(1)
        .map(|line| line.split(',').nth(2).unwrap())
        .collect();
    assert_eq!(seeds, ["1", "2"].repeat(4), "{table}");
}

#[test]
fn damaged_entries_are_noticed_reported_and_made_again() {
    let place = Place::new();
    let ran = place.run(&usual(), "out", threads(2));
    place.run(&usual(), "clean", threads(2));
    let file = |point| entry_file(&place, "out", &ran, point, 0);
    let mut flipped = fs::read(file(0)).unwrap();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 1;
    fs::write(file(0), &flipped).unwrap();
    let whole = fs::read(file(1)).unwrap();
    fs::write(file(1), &whole[..whole.len() - 7]).unwrap();
    fs::write(file(2), "").unwrap();
    fs::write(file(3), forged("{}")).unwrap();
    let again = place.run(&usual(), "out", threads(2));
    assert_eq!((again.effort.unusable, again.effort.simulated), (4, 4));
    assert_eq!(
        again.notes.iter().filter(|note| note.contains("damaged")).count(),
        3,
        "{:?}",
        again.notes
    );
    same(&place.path("out"), &place.path("clean"));
}

#[test]
fn entries_of_another_model_version_or_another_run_never_mix() {
    let place = Place::new();
    let ran = place.run(&usual(), "out", threads(2));
    place.run(&usual(), "clean", threads(2));
    let files = [0, 1].map(|point| entry_file(&place, "out", &ran, point, 0));
    let versions = files[0].ancestors().nth(2).unwrap();
    assert!(
        versions
            .to_string_lossy()
            .contains(&format!("model-{MODEL_VERSION}-"))
    );
    let text = fs::read_to_string(&files[0]).unwrap();
    let mut other: Entry = serde_json::from_str(text.lines().nth(1).unwrap()).unwrap();
    other.model_version += 1;
    other.simulated_ns += 1;
    fs::write(&files[0], forged(&serde_json::to_string(&other).unwrap())).unwrap();
    fs::copy(entry_file(&place, "out", &ran, 5, 3), &files[1]).unwrap();
    let again = place.run(&usual(), "out", threads(2));
    assert_eq!((again.effort.unusable, again.effort.simulated), (2, 2));
    assert!(
        again
            .notes
            .iter()
            .any(|note| note.contains("another model version")),
        "{:?}",
        again.notes
    );
    assert!(
        again.notes.iter().any(|note| note.contains("another run")),
        "{:?}",
        again.notes
    );
    same(&place.path("out"), &place.path("clean"));
}

#[test]
fn a_run_is_made_again_once_a_file_that_it_read_has_changed() {
    let place = Place::new();
    let scenario = SCENARIO.replace(
        r#"rate: "50 Mbit/s""#,
        r#"rate: Deliveries(file: "lte.down"), queue: Packets(100)"#,
    );
    fs::write(place.path("small.ron"), scenario).unwrap();
    fs::write(place.path("lte.down"), "1\n2\n3\n4\n").unwrap();
    place.run(&usual(), "out", threads(2));
    fs::write(place.path("lte.down"), "1\n2\n3\n3\n").unwrap();
    let again = place.run(&usual(), "out", threads(2));
    assert_eq!((again.effort.unusable, again.effort.simulated), (24, 24));
    place.run(&usual(), "clean", threads(2));
    same(&place.path("out"), &place.path("clean"));
}

#[test]
fn replications_go_on_until_the_mean_is_known() {
    let place = Place::new();
    let goal = r#"replications: 3, until: (relative_half_width: "30 %", metric: "time", at_most: 100),"#;
    let sweep = text(AXES, METRICS, goal);
    let ran = place.run(&sweep, "one", threads(1));
    let numbers: Vec<u32> = ran.index.points.iter().map(|point| point.replications).collect();
    assert!(
        numbers.iter().all(|number| (8..=100).contains(number)),
        "{numbers:?}"
    );
    assert!(numbers.iter().any(|number| *number != numbers[0]), "{numbers:?}");
    assert_eq!(
        ran.effort.simulated,
        numbers.iter().map(|number| u64::from(*number)).sum::<u64>()
    );
    place.run(&sweep, "many", threads(4));
    same(&place.path("one"), &place.path("many"));
    let again = place.run(&sweep, "one", threads(3));
    assert_eq!(again.effort.simulated, 0);
    same(&place.path("one"), &place.path("many"));
}

fn summary(place: &Place, folder: &str) -> SummaryFile {
    let text = fs::read_to_string(place.path(folder).join("summary.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

#[test]
fn points_say_how_they_stopped() {
    let place = Place::new();
    // Half a megabyte at 150 kbit/s takes longer than the horizon; with losses one per cent is not to be had in ten runs.
    let axes = r#"(name: "rate", path: "links[0].rate", values: ["150 kbit/s", "50 Mbit/s"]),
        (name: "lossy", path: "links[0].loss.mean", values: ["0.000001 %", "2 %"]),"#;
    let goal = r#"replications: 3, until: (relative_half_width: "1 %", metric: "time", at_most: 10),"#;
    let sweep = text(axes, METRICS, goal);
    let ran = place.run(&sweep, "out", threads(2));
    let found = summary(&place, "out");
    let stopped: Vec<(Standing, u64)> = found
        .points
        .iter()
        .map(|point| (point.until.expect("a goal").stopped, point.replications))
        .collect();
    assert_eq!(
        stopped,
        [
            (Standing::Incomplete, 3),
            (Standing::Incomplete, 3),
            (Standing::Reached, 8),
            (Standing::Limit, 10)
        ]
    );
    let widest = found.points[3].until.unwrap().half_width.unwrap();
    assert!(widest > 0.01, "{widest}");
    let said = format!(
        "1 of 4 points stopped at the limit of 10 runs before `time` was known to ±1 %; the widest is at ±{:.1} %",
        widest * 100.0
    );
    assert_eq!(ran.said[0], said);
    assert!(
        ran.said[1].starts_with("at 2 of 4 points a run failed or did not get to its end"),
        "{:?}",
        ran.said
    );
    // Nothing of it where nothing was asked for.
    let ran = place.run(&text(axes, METRICS, "replications: 2,"), "plain", threads(2));
    assert!(ran.said.is_empty() && summary(&place, "plain").points[0].until.is_none());
}

#[test]
fn a_plan_of_a_sweep_with_a_goal_has_two_ends() {
    let place = Place::new();
    let goal = r#"replications: 3, until: (relative_half_width: "1 %", metric: "time", at_most: 60),"#;
    let planned = |more: &str| {
        let prepared = place.prepare(&text(AXES, METRICS, more));
        let patience = std::time::Duration::from_secs(60);
        plan(&prepared, &place.path("out"), None, 2, patience, &|| false).expect("a plan")
    };
    let two = planned(goal);
    assert_eq!((two.runs, two.most_runs), (18, 360));
    assert_eq!(two.most_bytes, 20 * two.bytes);
    assert!(two.most_time.unwrap() > two.time.unwrap() * 19, "{two:?}");
    let shown = longhaul_sweeps::text::plan(&two);
    let lines: Vec<&str> = shown.lines().collect();
    assert!(lines[0].ends_with("18 runs (at most 360)"), "{shown}");
    assert!(lines[1..].iter().all(|line| line.contains(" to ")), "{shown}");
    let one = planned("replications: 3,");
    assert_eq!((one.bytes, one.time), (one.most_bytes, one.most_time));
    assert!(!longhaul_sweeps::text::plan(&one).contains(" to "));
}

#[test]
fn of_yes_and_no_the_interval_of_a_share_decides_when_enough_is_known() {
    let place = Place::new();
    fs::write(place.path("small.ron"), reserving()).unwrap();
    let axes = r#"(name: "gold", path: "reservations[gold].rate", values: ["10 Mbit/s", "100 Mbit/s"]),"#;
    let goal = r#"replications: 3, until: (relative_half_width: "15 %", metric: "admitted", at_most: 100),"#;
    let ran = place.run(&text(axes, ADMITTED, goal), "out", threads(2));
    let found = summary(&place, "out");
    for (point, share) in found.points.iter().zip([1.0, 0.0]) {
        let known = &point.metrics[0];
        assert_eq!(
            (known.mean, known.method.as_deref()),
            (Some(share), Some("Wilson score"))
        );
        let (goal, width) = (point.until.unwrap(), known.high.unwrap() - known.low.unwrap());
        assert_eq!(goal.stopped, Standing::Reached);
        assert!((goal.half_width.unwrap() - width / 2.0).abs() < 1e-12 && width <= 0.3);
        // z² / (n + z²) is 0.3 at n = 8.96, and must be so for five more.
        assert!((14..=20).contains(&point.replications), "{}", point.replications);
    }
    assert!(ran.said.is_empty(), "{:?}", ran.said);
    let widest = ran.last.widest.expect("intervals");
    assert!(widest.metric == 0 && matches!(widest.width, Width::OfAShare(half) if half > 0.05));
    // Without a goal all metrics are watched, not the first alone.
    let plain = text(
        AXES,
        ADMITTED.replace("admitted", "always").as_str(),
        "replications: 40,",
    );
    let ran = place.run(&plain, "plain", threads(2));
    assert_eq!(
        ran.last.widest.map(|widest| widest.metric),
        Some(1),
        "{:?}",
        ran.last
    );
}

#[test]
fn half_written_files_of_a_killed_program_are_swept_up_and_never_read() {
    let place = Place::new();
    let ran = place.run(&usual(), "out", threads(2));
    let entry = entry_file(&place, "out", &ran, 0, 0);
    let partial = entry.with_file_name(".partial-3-x");
    fs::rename(&entry, &partial).unwrap();
    fs::write(place.path("out/.partial-0-results.csv"), "half").unwrap();
    let again = place.run(&usual(), "out", threads(2));
    assert_eq!(again.effort.simulated, 1);
    let left = files(&place.path("out"));
    assert!(
        left.iter()
            .all(|path| !path.to_string_lossy().contains(".partial-")),
        "{left:?}"
    );
}

#[test]
fn what_is_kept_of_each_point_does_not_grow_with_the_points() {
    let place = Place::new();
    let axes = r#"(path: "links[0].rtt", values: Range(from: "1 ms", to: "300 ms", steps: 300)),
        (path: "links[0].rate", values: Range(from: "1 Mbit/s", to: "300 Mbit/s", steps: 300)),"#;
    let prepared = place.prepare(&text(axes, METRICS, ""));
    // Points are computed from their numbers: no list of 90,000 of them exists.
    let points: Points = prepared.points();
    assert_eq!(points.len(), 90_000);
    assert!(std::mem::size_of_val(&points) < 100);
    assert_eq!(points.describe(89_999), "rtt = 300 ms, rate = 300 Mbit/s");
}

#[test]
fn a_missing_entry_is_not_found() {
    let place = Place::new();
    let cache = Cache::new(&place.path("nowhere"), PathBuf::new());
    assert_eq!(cache.find(&"0".repeat(64), true), Found::Nothing);
}
