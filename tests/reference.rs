//! Published results and closed forms, each as a scenario of the library whose assertions are the published
//! figures; `scenarios/reference/README.md` lists them.

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use longhaul_core::record::Verdict;

use crate::common::{reference_scenarios, root, run};

/// Scenarios of ten million events and more.
const HEAVY: [&str; 1] = ["aws_64_streams"];

fn is_heavy(path: &Path) -> bool {
    HEAVY.iter().any(|name| path.ends_with(format!("{name}.ron")))
}

fn hold(path: &Path) {
    let record = run(path, &[]).record;
    let held: Vec<String> = record
        .assertions
        .iter()
        .map(|assertion| {
            let value = assertion.value.as_deref().unwrap_or("nothing");
            format!(
                "{:?} {} {} of {}: {value}, wanted {}",
                assertion.verdict, assertion.statistic, assertion.metric, assertion.scope, assertion.bound
            )
        })
        .collect();
    assert_eq!(record.verdict, Verdict::Pass, "{}: {held:#?}", path.display());
    assert!(
        !held.is_empty() && record.assertions.iter().all(|assertion| assertion.critical),
        "{} holds nothing",
        path.display()
    );
}

#[test]
fn every_reference_scenario_reproduces_its_published_result() {
    let light: Vec<PathBuf> = reference_scenarios()
        .into_iter()
        .filter(|path| !is_heavy(path))
        .collect();
    let next = Mutex::new(light.iter());
    let work = || {
        loop {
            let path = next.lock().expect("nobody panics with it").next();
            let Some(path) = path else { break };
            hold(path);
        }
    };
    std::thread::scope(|scope| {
        let helper = scope.spawn(work);
        work();
        helper.join().expect("every scenario holds");
    });
}

/// `cargo test --release --test main -- --ignored heavy_reference`: a quarter of a minute.
#[test]
#[ignore = "twelve million events"]
fn every_heavy_reference_scenario_reproduces_its_published_result() {
    let heavy: Vec<PathBuf> = reference_scenarios()
        .into_iter()
        .filter(|path| is_heavy(path))
        .collect();
    assert_eq!(heavy.len(), HEAVY.len());
    for path in heavy {
        hold(&path);
    }
}

/// Runs CUBIC for a minute over an uplink with these delivery opportunities, and compares what has left at each
/// moment with what could: an opportunity is worth a full frame.
fn assert_never_beyond_the_trace(trace: &str) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::fs::write(folder.path().join("link.trace"), trace).expect("a written trace");
    let scenario = r#"Scenario(
        version: 1, name: "cellular", question: "?", expect: "!", horizon: "60 s", sample_interval: "50 ms",
        regions: [(name: "phone"), (name: "server")],
        links: [
            (from: "phone", to: "server", delay: "20 ms", rate: Deliveries(file: "link.trace"), queue: Packets(300)),
            (from: "server", to: "phone", delay: "20 ms", rate: "1 Gbit/s"),
        ],
        transfers: [(name: "upload", from: "phone", to: "server", duration: "59 s")],
    )"#;
    let path = folder.path().join("cellular.ron");
    std::fs::write(&path, scenario).expect("a written scenario");
    let output = run(&path, &[]);

    let at_ms: Vec<u64> = trace
        .lines()
        .map(|line| line.parse().expect("milliseconds"))
        .collect();
    let period = *at_ms.last().expect("an opportunity");
    let offered = |ms: u64| {
        let within = at_ms.partition_point(|&at| at <= ms % period);
        (ms / period * at_ms.len() as u64 + within as u64) * 1_514
    };
    let mut delivered_in_all = 0;
    for sample in &output.series {
        if sample.entity == "phone->server" && sample.metric == "delivered_bytes" {
            let ms = sample.at_ns / 1_000_000;
            let delivered = sample.value;
            assert!(
                delivered <= offered(ms.saturating_sub(20)),
                "after {ms} ms: {delivered} B of {}",
                offered(ms - 20)
            );
            delivered_in_all = delivered;
        }
    }
    // And the link is used: a queue of 300 frames bridges all but the longest silences.
    let share = delivered_in_all as f64 / offered(60_000) as f64;
    println!("{:.1} % of the opportunities used", 100.0 * share);
    assert!(share > 0.5, "{share}");
}

#[test]
fn a_link_with_silences_delivers_no_more_than_its_opportunities() {
    // Rates that swing between 2 and 10 Mbit/s, and a silence of 2 s in every 12.
    let mut trace = String::new();
    for ms in 0..10_000u64 {
        let distance = (ms / 100 % 10).abs_diff(5);
        if ms.is_multiple_of(1 + distance) {
            trace += &format!("{ms}\n");
        }
    }
    trace += "12000\n";
    assert_never_beyond_the_trace(&trace);
}

#[test]
fn recorded_lte_links_deliver_no_more_than_their_opportunities() {
    #[expect(
        clippy::disallowed_methods,
        reason = "where the recordings lie, not what the model does"
    )]
    let data = std::env::var_os("LONGHAUL_DATA").map_or_else(|| root().join("../shared/data"), PathBuf::from);
    for name in [
        "ATT-LTE-driving-2016.down",
        "ATT-LTE-driving-2016.up",
        "Verizon-LTE-short.down",
        "Verizon-LTE-short.up",
    ] {
        let path = data.join("traces-mahimahi-cellular").join(name);
        match std::fs::read_to_string(&path) {
            Ok(trace) => assert_never_beyond_the_trace(&trace),
            Err(_) => println!("skipped: no {}", path.display()),
        }
    }
}
