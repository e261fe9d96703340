//! Which points there are.

use longhaul_sweeps::points::{Points, Setter};
use longhaul_sweeps::prepare::Prepared;

use crate::common::{METRICS, Place, text};

fn prepared(axes: &str, more: &str) -> Prepared {
    Place::new().prepare(&text(axes, METRICS, more))
}

fn described(prepared: &Prepared) -> Vec<String> {
    let points = prepared.points();
    (0..points.len()).map(|point| points.describe(point)).collect()
}

fn column(points: &Points, axis: usize) -> Vec<i64> {
    (0..points.len())
        .map(|point| points.values(point)[axis].exact.unwrap())
        .collect()
}

#[test]
fn points_are_all_combinations_the_last_axis_changing_fastest() {
    let prepared = prepared(
        r#"(path: "links[0].rtt", values: ["10 ms", "20 ms"]), (path: "transfers[0].streams", values: [1, 4, 16])"#,
        "",
    );
    assert_eq!(
        described(&prepared),
        [
            "rtt = 10 ms, streams = 1",
            "rtt = 10 ms, streams = 4",
            "rtt = 10 ms, streams = 16",
            "rtt = 20 ms, streams = 1",
            "rtt = 20 ms, streams = 4",
            "rtt = 20 ms, streams = 16",
        ]
    );
    let (overrides, setters) = prepared.points().overrides(5, &[]);
    assert_eq!(overrides, ["links[0].rtt=\"20 ms\"", "transfers[0].streams=16"]);
    assert_eq!(setters, [Setter::Axis(0), Setter::Axis(1)]);
}

#[test]
fn an_axis_may_set_several_fields_and_zipped_axes_change_together() {
    let prepared = prepared(
        r#"Zipped([
            (name: "rtt", path: ["links[0].rtt"], values: ["10 ms", "20 ms"]),
            (name: "size", path: ["transfers[0].size"], values: ["10 kB", "20 kB"]),
        ])"#,
        r#"set: ["links[0].rate=9 Mbit/s"],"#,
    );
    assert_eq!(
        described(&prepared),
        ["rtt = 10 ms, size = 10 kB", "rtt = 20 ms, size = 20 kB"]
    );
    let loaded = prepared.load(&prepared.points(), 1, 0).unwrap();
    assert_eq!(loaded.scenario.links[0].delay.as_ns(), 10_000_000);
    assert!(loaded.canonical.contains("9 Mbit/s"), "{}", loaded.canonical);
}

#[test]
fn conditions_leave_points_out() {
    let axes = r#"(name: "low", path: "links[0].rtt", values: ["10 ms", "20 ms", "30 ms"]),
        (name: "high", path: "transfers[0].at", values: ["20 ms", "30 ms"]),
        (name: "loss", path: "links[0].loss", values: [None, Independent(mean: "1 %")]),"#;
    let prepared = prepared(axes, r#"where: ["low < high", "low >= 20 ms", "loss != None"],"#);
    assert_eq!(
        described(&prepared),
        ["low = 20 ms, high = 30 ms, loss = Independent(mean: \"1 %\")"]
    );
}

#[test]
fn ranges_have_their_ends_and_round_values_between_them() {
    let even = prepared(
        r#"(path: "links[0].rtt", values: Range(from: "10 ms", to: "50 ms", step: "10 ms"))"#,
        "",
    );
    assert_eq!(
        described(&even),
        [
            "rtt = 10 ms",
            "rtt = 20 ms",
            "rtt = 30 ms",
            "rtt = 40 ms",
            "rtt = 50 ms"
        ]
    );
    let ratio = prepared(
        r#"(path: "links[0].rate", values: LogRange(from: "1 Mbit/s", to: "1 Gbit/s", steps: 7))"#,
        "",
    );
    assert_eq!(
        described(&ratio),
        [
            "rate = 1 Mbit/s",
            "rate = 3.16 Mbit/s",
            "rate = 10 Mbit/s",
            "rate = 31.6 Mbit/s",
            "rate = 100 Mbit/s",
            "rate = 316 Mbit/s",
            "rate = 1 Gbit/s",
        ]
    );
    let whole = prepared(
        r#"(path: "transfers[0].streams", values: LogRange(from: 1, to: 64, steps: 7))"#,
        "",
    );
    assert_eq!(
        described(&whole).join(" "),
        "streams = 1 streams = 2 streams = 4 streams = 8 streams = 16 streams = 32 streams = 64"
    );
}

#[test]
fn a_latin_hypercube_has_one_value_in_each_part_of_each_side() {
    let axes = |seed: u32| {
        format!(
            r#"LatinHypercube(points: 20, seed: {seed}, axes: [
            (name: "rtt", path: "links[0].rtt", values: Range(from: "0 ms", to: "200 ms")),
            (name: "rate", path: "links[0].rate", values: LogRange(from: "1 Mbit/s", to: "100 Mbit/s")),
        ])"#
        )
    };
    let first = prepared(&axes(1), "");
    let points = first.points();
    assert_eq!(points.len(), 20);
    let mut rtt: Vec<i64> = column(&points, 0).iter().map(|ns| ns / 10_000_000).collect();
    let unsorted = rtt.clone();
    rtt.sort_unstable();
    assert_eq!(rtt, (0..20).collect::<Vec<i64>>());
    assert_ne!(unsorted, rtt, "in random order");
    // Half of a range of equal ratios lies below its geometric mean.
    let below = column(&points, 1)
        .iter()
        .filter(|rate| **rate < 10_000_000)
        .count();
    assert_eq!(below, 10);
    assert_eq!(described(&first), described(&prepared(&axes(1), "")));
    assert_ne!(described(&first), described(&prepared(&axes(2), "")));
}

/// A guest that writes.
const GUEST: &str = r#"Scenario(
    version: 1,
    name: "small",
    question: "How long does it take to move?",
    expect: "Some seconds.",
    horizon: "60 s",
    regions: [(name: "north"), (name: "south")],
    links: [(between: ("north", "south"), rtt: "20 ms", rate: "50 Mbit/s")],
    vms: [(name: "vm", region: "north", memory: Generated(pattern: Constant, size: "1 MiB", dirty: (rate: "50 pages/s")))],
    migrations: [(name: "move", vm: "vm", to: "south")],
)"#;

#[test]
fn rates_of_pages_have_an_order() {
    let place = Place::new();
    std::fs::write(place.path("small.ron"), GUEST).unwrap();
    let metrics = r#"(name: "time", metric: MigrationTotalTime, statistic: Max),"#;
    let rate =
        |values: &str| format!(r#"(name: "dirty", path: "vms[vm].memory.dirty.rate", values: {values}),"#);
    let range = rate(r#"Range(from: "500 pages/s", to: "2000 pages/s", steps: 4)"#);
    let condition = r#"where: ["dirty <= 1500 pages/s"],"#;
    let prepared = place.prepare(&text(&range, metrics, condition));
    assert_eq!(
        described(&prepared),
        [
            "dirty = 500 pages/s",
            "dirty = 1000 pages/s",
            "dirty = 1500 pages/s"
        ]
    );
    let listed = rate(r#"["20 pages/s", "100 pages/s"]"#);
    let plots = r#"replications: 1, plots: [Line(name: "times", x: "dirty", y: "time")],"#;
    place.run(&text(&listed, metrics, plots), "out", crate::common::threads(1));
    let table = std::fs::read_to_string(place.path("out/results.csv")).unwrap();
    assert!(
        table.starts_with("point,replication,seed,dirty_pages_per_s,"),
        "{table}"
    );
    assert!(table.lines().nth(1).unwrap().contains(",20,done,"), "{table}");
    let picture = std::fs::read_to_string(place.path("out/plots/times.svg")).unwrap();
    assert!(picture.contains("dirty (pages/s)"), "{picture}");
    let mixed = place.try_prepare(&text(&range, metrics, r#"where: ["dirty <= 15 ms"],"#));
    let message = mixed.unwrap_err();
    assert!(message.contains("nor a rate of pages such as"), "{message}");
    let mixed = rate(r#"Range(from: "500 pages/s", to: "2 s", steps: 4)"#);
    let message = place.try_prepare(&text(&mixed, metrics, "")).unwrap_err();
    assert!(message.contains("of one kind"), "{message}");
}
