//! Goldens: the commands of plans.

use longhaul_core::time::Span;
use longhaul_replay::plan::Plan;
use longhaul_scenarios::replay::plan::{PlanError, plan};
use longhaul_scenarios::{Loaded, library, load};

use super::scenario;

const TRANSFER: &str = r#"transfers: [(name: "t", from: "a", to: "b", size: "1 MB")]"#;

fn planned(loaded: &Loaded) -> Plan {
    plan(loaded).unwrap_or_else(|error| panic!("{error}"))
}

/// The part of a plan that shapes and happens, without what every plan has.
fn shaping(plan: &Plan) -> String {
    let text = plan.text();
    let lines = text
        .lines()
        .filter(|line| line.starts_with("tc ") || line.starts_with('#'));
    lines.collect::<Vec<_>>().join("\n")
}

/// The commands of the timeline.
fn timeline_of(loaded: &Loaded) -> String {
    let text = planned(loaded).text();
    let lines = text.lines().skip_while(|line| !line.starts_with("# at "));
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn one_link_in_full() {
    let loaded = scenario(
        "a b",
        r#"(between: ("a", "b"), rtt: "80 ms", rate: "100 Mbit/s", loss: Independent(mean: "0.1 %"))"#,
        TRANSFER,
    );
    pinned!(planned(&loaded).text());
}

#[test]
fn a_route_over_two_links() {
    let loaded = scenario(
        "west middle east",
        r#"(between: ("west", "middle"), rtt: "10 ms", rate: "100 Mbit/s", queue: Packets(50)),
           (from: "middle", to: "east", delay: "15 ms", rate: "50 Mbit/s", queue: Inside(200)),
           (from: "east", to: "middle", delay: "15 ms", rate: "50 Mbit/s")"#,
        r#"transfers: [(name: "t", from: "west", to: "east", size: "1 MB",
            tcp: (initial_window: 20, ecn: true, receive_buffer: "1 MiB", hystart: false))]"#,
    );
    pinned!(planned(&loaded).text());
}

#[test]
fn all_laws() {
    let laws = [
        r#"jitter: Normal(mean: "8 ms", sd: "2 ms")"#,
        r#"jitter: Normal(mean: "1 ms", sd: "2 ms")"#,
        r#"jitter: Uniform(max: "5 ms"), loss: GilbertElliott(mean: "1 %", burst: 3)"#,
        r#"jitter: Pareto(mean: "2 ms", sd: "1 ms"), reorder: true, queue: Packets(10)"#,
        r#"jitter: ParetoNormal(mean: "2 ms", sd: "300 us"), queue: Inside(300)"#,
        r#"jitter: Table(mean: "2 ms", sd: "1 ms", file: "own.dist"), corrupt: "0.01 %""#,
        r#"jitter: Measured(file: "delays.txt"), loss: TwoState(mean: "1 %", stay: 5, bad: "50 %", good: "0.1 %")"#,
        r#"duplicate: "0.5 %", queue: Bytes("90 kB")"#,
        r#"duplicate: "0.5 %", queue: Packets(60)"#,
    ];
    let shapes = laws.map(|law| {
        let link = format!(r#"(from: "a", to: "b", delay: "20 ms", rate: "10 Mbit/s", {law})"#);
        let back = r#"(from: "b", to: "a", delay: "20 ms", rate: "10 Mbit/s")"#;
        let plan = planned(&scenario("a b", &format!("{link}, {back}"), TRANSFER));
        let range = |entries: &[i16]| {
            (
                entries.len(),
                *entries.iter().min().unwrap(),
                *entries.iter().max().unwrap(),
            )
        };
        let tables: Vec<_> = plan.tables.iter().map(|table| range(&table.entries)).collect();
        let notes: Vec<&String> = plan
            .notes
            .iter()
            .filter(|note| note.starts_with("a->b"))
            .collect();
        let lines = plan.links[0].shape.join("\n");
        let counted = plan.links[0].counted;
        format!(
            "{law}\n{lines}\n{counted:?}, tables {tables:?}, {:?}\n{notes:#?}",
            plan.modules
        )
    });
    pinned!(shapes.join("\n\n"));
}

#[test]
fn a_link_that_changes() {
    let loaded = scenario(
        "a b",
        r#"(from: "a", to: "b", delay: "20 ms", rate: "10 Mbit/s", queue: Packets(60), changes: [
              (at: "1 s", rate: "5 Mbit/s", delay: "30 ms"),
              (at: "3 s", loss: Independent(mean: "1 %")),
           ], period: "4 s"),
           (from: "b", to: "a", delay: "20 ms", rate: Recorded(file: "rates.txt"), queue: Bytes("90 kB"))"#,
        TRANSFER,
    );
    pinned!(shaping(&planned(&loaded)));
}

#[test]
fn a_failure_and_the_way_round() {
    let loaded = scenario(
        "a b c",
        r#"(between: ("a", "b"), rtt: "20 ms", rate: "10 Mbit/s"),
           (between: ("b", "c"), rtt: "20 ms", rate: "10 Mbit/s"),
           (between: ("a", "c"), rtt: "80 ms", rate: "10 Mbit/s", changes: [(at: "2.5 s", delay: "50 ms")])"#,
        r#"transfers: [(name: "t", from: "a", to: "b", size: "1 MB")], reroute_after: "200 ms",
           faults: [LinkDown(between: ("a", "b"), at: "2 s", for: "3 s"), LinkDown(from: "a", to: "c", at: "2 s", for: "1 s")]"#,
    );
    pinned!(timeline_of(&loaded));
}

#[test]
fn routers_that_know_at_once_know_a_failure_at_the_start() {
    let loaded = scenario(
        "a b",
        r#"(between: ("a", "b"), rtt: "20 ms", rate: "10 Mbit/s")"#,
        r#"transfers: [(name: "t", from: "a", to: "b", size: "1 MB")], reroute_after: "0 s",
           faults: [LinkDown(from: "a", to: "b", at: "0 s", for: "1 s")]"#,
    );
    let plan = planned(&loaded);
    let steps: Vec<(Span, &str)> = plan
        .timeline
        .iter()
        .map(|step| (step.at, step.what.as_str()))
        .collect();
    let at = Span::from_s;
    assert_eq!(
        steps,
        [(at(0), "a->b down; new routes"), (at(1), "a->b up; new routes")]
    );
}

#[test]
fn machines_that_stop_and_end() {
    let loaded = scenario(
        "a b c",
        r#"(between: ("a", "b"), rtt: "20 ms", rate: "10 Mbit/s"), (between: ("b", "c"), rtt: "20 ms", rate: "10 Mbit/s")"#,
        r#"transfers: [(name: "t", from: "a", to: "c", size: "1 MB")], reroute_after: "500 ms",
           faults: [Pause(region: "a", at: "1 s", for: "500 ms"), Kill(region: "c", at: "1.5 s"), Pause(region: "b", at: "9 s", for: "2 s"),
                    LinkDown(from: "b", to: "c", at: "1 s", for: "500 ms")]"#,
    );
    pinned!(timeline_of(&loaded));
}

#[test]
fn every_name_of_a_device_fits_and_no_two_regions_share_an_address() {
    let names: Vec<String> = (0..100).map(|n| format!("r{n}")).collect();
    let links: Vec<String> = (1..100)
        .map(|n| format!(r#"(between: ("r0", "r{n}"), rtt: "20 ms", rate: "10 Mbit/s")"#))
        .collect();
    let rest = r#"transfers: [(name: "t", from: "r1", to: "r99", size: "1 MB")]"#;
    let plan = planned(&scenario(&names.join(" "), &links.join(", "), rest));
    assert_eq!(plan.wires.len(), 99);
    assert!(plan.devices().iter().all(|device| device.name.len() <= 15));
    let mut addresses: Vec<_> = plan.regions.iter().map(|region| region.address).collect();
    addresses.dedup();
    assert_eq!(addresses.len(), 100);
    let back: Plan = serde_json::from_str(&serde_json::to_string(&plan).unwrap()).unwrap();
    assert_eq!(back, plan);
}

#[test]
fn what_of_the_library_can_be_replayed() {
    let one = |entry: &library::Entry| {
        let loaded = load(&entry.source(), &[], None).unwrap_or_else(|errors| panic!("{errors}"));
        match plan(&loaded) {
            Ok(plan) => format!("{}: {} steps", entry.name, plan.timeline.len()),
            Err(PlanError::NotReplayable(list)) => {
                let fields: Vec<&str> = list.iter().map(|refused| refused.path.as_str()).collect();
                format!("{}: not {}", entry.name, fields.join(", "))
            }
            Err(error) => format!("{}: {error}", entry.name),
        }
    };
    let lines: Vec<String> = library::list().iter().map(one).collect();
    pinned!(lines.join("\n"));
}
