//! The slowest requests of clients, run by run.

use std::fs;

use crate::common::{Place, text as sweep_text, threads};

const CALLS: &str = r#"Scenario(
    version: 1,
    name: "small",
    question: "How long do calls take?",
    expect: "As long as their work.",
    horizon: "30 s",
    regions: [(name: "north"), (name: "south")],
    links: [(between: ("north", "south"), rtt: "20 ms", rate: "50 Mbit/s")],
    services: [(name: "shop", replicas: ["south"], cores: 4, service_time: Exponential("5 ms"))],
    clients: [(name: "web", region: "north", service: "shop", duration: "20 s", load: Open(rate: Steady(120)))],
)"#;

fn rows(table: &str) -> Vec<Vec<f64>> {
    let lines = table.lines().skip(1);
    let numbers = |line: &str| {
        line.split(',')
            .map(|field| field.parse().unwrap_or(f64::NAN))
            .collect()
    };
    lines.map(numbers).collect()
}

#[test]
fn each_run_gives_its_own_quantiles() {
    let place = Place::new();
    fs::write(place.path("small.ron"), CALLS).expect("a written scenario");
    let text = sweep_text(
        r#"(name: "rtt", path: "links[0].rtt", values: ["20 ms", "40 ms"]),"#,
        r#"(name: "p99", metric: ClientLatencyP99, statistic: Max), (name: "p999", metric: ClientLatencyP999, statistic: Max),"#,
        r#"replications: 5, plots: [Tail(name: "slow", client: "web", series: "rtt", bound: "50 ms")],"#,
    );
    place.run(&text, "out", threads(2));
    let table = fs::read_to_string(place.path("out/plots/slow.csv")).expect("a table");
    assert!(
        table.starts_with(
            "point,rtt_ns,one_in,n,latency_mean_ns,latency_low_ns,latency_high_ns,latency_state\n"
        ),
        "{table}"
    );
    let rows = rows(&table);
    // Of 2,400 calls twelve took longer than the 99.5th percentile, and not than any beyond.
    let last = |point: f64| rows.iter().rfind(|row| row[0] == point).expect("quantiles");
    assert!((199.9..=200.1).contains(&last(0.0)[2]), "{:?}", last(0.0));
    for row in &rows {
        assert_eq!(row[3], 5.0);
        assert!(row[5] <= row[4] && row[4] <= row[6], "{row:?}");
    }
    // The mean of the runs' 99th percentiles is the one of the summary.
    let results = fs::read_to_string(place.path("out/results.csv")).expect("results");
    let head: Vec<&str> = results.lines().next().expect("a head").split(',').collect();
    let column = head.iter().position(|name| *name == "p99_ns").expect("a column");
    let of_point = results.lines().skip(1).take(5);
    let sum: f64 = of_point
        .map(|line| line.split(',').nth(column).unwrap().parse::<f64>().unwrap())
        .sum();
    let p99 = rows
        .iter()
        .find(|row| row[0] == 0.0 && (row[2] - 100.0).abs() < 0.1)
        .expect("p99");
    assert!((p99[4] / (sum / 5.0) - 1.0).abs() < 1e-9, "{p99:?} {sum}");
    // A thousandth of 2,400 calls is too few to say anything.
    let state = head
        .iter()
        .position(|name| *name == "p999_state")
        .expect("a column");
    assert_eq!(
        results.lines().nth(1).unwrap().split(',').nth(state),
        Some("missing")
    );
    let picture = fs::read_to_string(place.path("out/plots/slow.svg")).expect("a picture");
    assert!(
        picture.contains("one request in so many takes longer"),
        "{picture}"
    );
}

/// For half of the time there is nobody to answer.
const BROKEN: &str = r#"Scenario(
    version: 1,
    name: "small",
    question: "How long do calls take while a server is down?",
    expect: "Those that are answered are fast.",
    horizon: "30 s",
    regions: [(name: "north"), (name: "south")],
    links: [(between: ("north", "south"), rtt: "20 ms", rate: "50 Mbit/s")],
    services: [(name: "shop", replicas: ["south"], cores: 4, service_time: Exponential("5 ms"))],
    clients: [(
        name: "web", region: "north", service: "shop", duration: "20 s", load: Open(rate: Steady(120)),
        policies: [Timeout("500 ms")],
    )],
    faults: [Server(service: "shop", region: "south", suffers: Cpu("100 %"), at: "5 s", for: "10 s")],
)"#;

#[test]
fn what_has_no_answer_is_slower_than_what_has_one() {
    let place = Place::new();
    fs::write(place.path("small.ron"), BROKEN).expect("a written scenario");
    let text = sweep_text(
        r#"(name: "left", path: "faults[0].suffers", values: [Cpu("100 %"), Cpu("1 %")]),"#,
        r#"(name: "success", metric: ClientSuccess, statistic: Min),"#,
        r#"replications: 3, plots: [Tail(name: "slow", client: "web", series: "left")],"#,
    );
    place.run(&text, "out", threads(2));
    let table = fs::read_to_string(place.path("out/plots/slow.csv")).expect("a table");
    let summary = fs::read_to_string(place.path("out/summary.json")).expect("a summary");
    let summary: longhaul_sweeps::summary::SummaryFile = serde_json::from_str(&summary).expect("a summary");
    let mut ends = Vec::new();
    for (point, known) in summary.points.iter().enumerate() {
        let of_point = |line: &&str| line.starts_with(&format!("{point},"));
        let lines: Vec<&str> = table.lines().filter(of_point).collect();
        let (last, quantiles) = lines.split_last().expect("rows");
        println!("{} {last}", known.metrics[0].mean.unwrap());
        let one_in = |line: &str| line.split(',').nth(2).unwrap().parse::<f64>().unwrap();
        if last.ends_with(",unanswered") {
            // At most the share that succeeds in the worst run, and every quantile lies before it.
            let worst = known.metrics[0].min.unwrap();
            assert!((1.0 - 1.0 / one_in(last) - worst).abs() < 0.01, "{last} {worst}");
            assert!(
                quantiles
                    .iter()
                    .all(|line| one_in(line) <= one_in(last) && line.ends_with(",exact"))
            );
            ends.push(one_in(last));
        }
    }
    assert_eq!(ends.len(), 1, "{table}");
    assert!(ends[0] < 4.0, "{ends:?}");
    let picture = fs::read_to_string(place.path("out/plots/slow.svg")).expect("a picture");
    assert!(picture.contains("class=\"unbounded\"") && picture.contains("Arrow up: one request in so many"));
}
