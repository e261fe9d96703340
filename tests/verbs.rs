//! `longhaul hunt` and `longhaul what-if` as a user meets them, and runs whose faults are aborted.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

const LONGHAUL: &str = env!("CARGO_BIN_EXE_longhaul");

/// A client that calls a service for ten seconds.
const CALLS: &str = r#"Scenario(
    version: 1, name: "calls", question: "What do calls take?", expect: "Nothing ill.", horizon: "15 s",
    regions: [(name: "users"), (name: "servers")],
    links: [(between: ("users", "servers"), rtt: "20 ms", rate: "100 Mbit/s")],
    services: [(name: "api", replicas: ["servers"], cores: 1, service_time: Constant("2 ms"))],
    clients: [(
        name: "web", region: "users", service: "api", duration: "10 s",
        load: Open(pattern: Regular, rate: Steady(interval: "50 ms")), policies: [Timeout("500 ms")],
    )],
    faults: [],
    assertions: [(metric: ClientSuccess, statistic: Min, bound: AtLeast("99.9 %"))],
)"#;

/// Two demands over three sites in a ring, all of 10 Mbit/s.
const RING: &str = r#"Scenario(
    version: 1, name: "ring", question: "What if a link fails?", expect: "All go the other way round.", horizon: "10 s",
    regions: [(name: "a"), (name: "b"), (name: "c"), (name: "d")],
    links: [
        (between: ("a", "b"), rtt: "20 ms", rate: "10 Mbit/s"),
        (between: ("b", "c"), rtt: "20 ms", rate: "10 Mbit/s"),
        (between: ("c", "a"), rtt: "20 ms", rate: "10 Mbit/s"),
        (between: ("c", "d"), rtt: "20 ms", rate: "10 Mbit/s"),
    ],
    demands: [(from: "a", to: "b", rate: "4 Mbit/s"), (from: "a", to: "d", rate: "3 Mbit/s")],
    transfers: [(name: "copy", from: "a", to: "b", size: "1 MB")],
)"#;

struct Place(TempDir);

impl Place {
    fn new(file: &str, text: &str) -> Place {
        let place = Place(tempfile::tempdir().expect("a temporary directory"));
        fs::write(place.path(file), text).expect("a written scenario");
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    #[track_caller]
    fn longhaul(&self, args: &[&str], exit: i32) -> (String, String) {
        let mut command = Command::new(LONGHAUL);
        command.args(args).current_dir(self.0.path()).stdin(Stdio::null());
        let Output {
            status,
            stdout,
            stderr,
        } = command.output().expect("a process");
        let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
        let (stdout, stderr) = (text(stdout), text(stderr));
        assert_eq!(status.code(), Some(exit), "{stdout}\n{stderr}");
        (stdout, stderr)
    }
}

#[test]
fn a_hunt_writes_a_scenario_that_fails() {
    let place = Place::new("calls.ron", CALLS);
    let args = [
        "hunt",
        "calls.ron",
        "--seeds",
        "50",
        "--faults",
        "errors,server-latency",
        "--quiet",
    ];
    let (told, warned) = place.longhaul(&args, 3);
    assert!(told.contains("makes the scenario fail: "), "{told}");
    assert!(told.contains("1 fault is enough"), "{told}");
    assert!(
        told.contains("reproduce: longhaul run calls-hunted.ron"),
        "{told}"
    );
    assert_eq!(warned, "");
    let (told, _) = place.longhaul(&["run", "calls-hunted.ron"], 3);
    assert!(told.contains("FAIL"), "{told}");
    let hunted = fs::read_to_string(place.path("calls-hunted.ron")).expect("a scenario");
    assert!(hunted.contains("hunted-1"), "{hunted}");
    // The other name of the option, another file, and the same result with more threads.
    let args = [
        "hunt",
        "calls.ron",
        "--seeds",
        "50",
        "--only",
        "errors,server-latency",
        "--jobs",
        "2",
        "-o",
        "other.ron",
    ];
    place.longhaul(&args, 3);
    assert_eq!(
        fs::read_to_string(place.path("other.ron")).expect("a scenario"),
        hunted
    );
}

#[test]
fn a_hunt_that_finds_nothing_passes_and_one_that_cannot_be_says_why() {
    let place = Place::new("calls.ron", CALLS);
    let args = ["hunt", "calls.ron", "--seeds", "5", "--faults", "bandwidth", "-q"];
    let (told, _) = place.longhaul(&args, 0);
    assert!(
        told.contains("5 schedules of faults, and none makes the scenario fail"),
        "{told}"
    );
    assert!(!place.path("calls-hunted.ron").exists());
    let mistakes: [(&[&str], &str); 4] = [
        (&["--faults", "gremlins"], "server-latency, crash, panics"),
        (&["--faults", "black-hole"], "none of these faults can strike"),
        (
            &["--set", "assertions=[]"],
            "no critical assertion that could fail",
        ),
        (
            &["--set", "assertions[0].bound=AtMost(\"1 %\")"],
            "does not pass without further faults",
        ),
    ];
    for (more, expected) in mistakes {
        let args = [&["hunt", "calls.ron", "-q"], more].concat();
        let (told, warned) = place.longhaul(&args, 2);
        assert!(
            told.is_empty() && warned.contains(expected),
            "{more:?}: {told}{warned}"
        );
    }
}

#[test]
fn what_if_names_the_link_that_leaves_a_demand_without_a_way() {
    let place = Place::new("ring.ron", RING);
    let (told, _) = place.longhaul(&["what-if", "ring.ron", "--json"], 0);
    let record: Value = serde_json::from_str(&told).expect("JSON");
    assert_eq!(record["failures"], 4, "{told}");
    assert_eq!(record["demand_bits_per_s"], 7_000_000);
    let of = |link: &str| {
        let after = record["after"].as_array().expect("a list");
        let found = after
            .iter()
            .find(|impact| impact["down"][0].as_str().expect("a name").contains(link));
        found.unwrap_or_else(|| panic!("{link}: {told}")).clone()
    };
    // Without the link to it nobody reaches d; round the ring there is always another way, which both then share.
    let last = of("d");
    assert_eq!(last["unrouted_bits_per_s"], 3_000_000);
    assert_eq!(last["utilisation_ppm"], 400_000);
    let first = record["after"][0].clone();
    assert_eq!(first["unrouted_bits_per_s"], 3_000_000, "the worst comes first");
    let busiest = record["after"].as_array().expect("a list").iter();
    let busiest = busiest
        .filter_map(|impact| impact["utilisation_ppm"].as_u64())
        .max();
    assert_eq!(busiest, Some(700_000));
    let (table, _) = place.longhaul(&["what-if", "ring.ron", "--failures", "2", "--worst", "3"], 0);
    assert!(table.contains("a<->b, a<->c       7 Mbit/s"), "{table}");
    place.longhaul(&["what-if", "ring.ron", "--failures", "3"], 2);
    let plain = Place::new("calls.ron", CALLS);
    let (_, warned) = plain.longhaul(&["what-if", "calls.ron"], 2);
    assert!(warned.contains("demand"), "{warned}");
}

#[test]
fn a_run_says_that_its_faults_were_aborted() {
    let fault = r#"faults: [Server(service: "api", region: "servers", suffers: Errors("100 %"), at: "3 s", for: "9 s")],
        abort_when: [(metric: ClientSuccess, below: "10 %", for: "1 s")]"#;
    let place = Place::new("calls.ron", &CALLS.replace("faults: []", fault));
    let (told, _) = place.longhaul(&["run", "calls.ron", "--out", "out"], 3);
    let expected = "at 5 s: ClientSuccess of web was 0 %, below 10 %, beyond it for 1 s";
    // Long lines are wrapped.
    let words: Vec<&str> = told.split_whitespace().collect();
    let words = words.join(" ");
    assert!(
        words.contains("faults aborted: at 5 s") && words.contains(expected),
        "{told}"
    );
    let summary = fs::read(place.path("out/summary.json")).expect("a summary");
    let summary: Value = serde_json::from_slice(&summary).expect("JSON");
    assert_eq!(summary["aborted"]["at_ns"], 5_000_000_000_u64);
    assert_eq!(summary["aborted"]["of"], "web");
    assert_eq!(
        summary["clients"][0]["recovery"]["fault_end_ns"],
        5_000_000_001_u64
    );
    // A report has it too, and verifying runs it twice to the same end.
    place.longhaul(&["run", "calls.ron", "--verify", "--quiet"], 3);
}
