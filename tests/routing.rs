//! Routes by objective, shared routes and MTUs in the simulator.

use longhaul_core::record::RunRecord;

use crate::common::run_text;

/// `a` and `b`, joined by a quick, dear and narrow way through `x` and a slow, cheap and wide one through `y`.
fn two_ways(routing: &str, transfers: &str) -> RunRecord {
    run_text(&format!(
        r#"Scenario(
            version: 1, name: "ways", question: "q", expect: "e", horizon: "5 min",
            regions: [(name: "a"), (name: "x"), (name: "y"), (name: "b")],
            links: [
                (between: ("a", "x"), rtt: "10 ms", rate: "50 Mbit/s", cost: 10, loss: Independent(mean: "0.05 %")),
                (between: ("x", "b"), rtt: "10 ms", rate: "50 Mbit/s", cost: 10),
                (between: ("a", "y"), rtt: "30 ms", rate: "80 Mbit/s", cost: 1),
                (between: ("y", "b"), rtt: "30 ms", rate: "80 Mbit/s", cost: 1),
            ],
            {routing}
            {transfers}
        )"#
    ))
    .record
}

const ONE: &str = r#"transfers: [(name: "t", from: "a", to: "b", size: "2 MB")],"#;

fn delivered(record: &RunRecord, link: &str) -> u64 {
    let found = record.links.iter().find(|known| known.name == link);
    found.expect("a link").delivered_bytes
}

#[test]
fn each_objective_sends_traffic_its_own_way() {
    for (routing, quick) in [
        ("", true),
        ("routing: (objective: LowestCost),", false),
        ("routing: (objective: Widest),", false),
        (
            "routing: (objective: Balanced(latency_per_ms: 1, cost: 0.5)),",
            true,
        ),
        (
            "routing: (objective: Balanced(latency_per_ms: 1, cost: 2)),",
            false,
        ),
        (
            "routing: (objective: Balanced(latency_per_ms: 1, loss_per_percent: 1000)),",
            false,
        ),
    ] {
        let record = two_ways(routing, ONE);
        let ways = [delivered(&record, "a->x"), delivered(&record, "a->y")];
        let expected = if quick { [true, false] } else { [false, true] };
        assert_eq!(
            ways.map(|bytes| bytes > 2_000_000),
            expected,
            "{routing} {ways:?}"
        );
    }
}

#[test]
fn shared_routes_carry_more_than_one_can() {
    let many = r#"transfers: [(name: "t", from: "a", to: "b", size: "60 MB", streams: 16)],"#;
    // 10 ms and a cost of 20 against 30 ms and 2: 18 × 10 + 20 × 20 = 18 × 30 + 20 × 2 = 580 points.
    let equal = "routing: (objective: Balanced(latency_per_ms: 18, cost: 20), multipath: ";
    let alone = two_ways(&format!("{equal}false),"), many);
    let shared = two_ways(&format!("{equal}true),"), many);
    let used = |record: &RunRecord| {
        ["a->x", "a->y"]
            .into_iter()
            .filter(|link| delivered(record, link) > 5_000_000)
            .count()
    };
    assert_eq!((used(&alone), used(&shared)), (1, 2));
    let seconds = |record: &RunRecord| record.transfers[0].completion_ns.expect("completed");
    assert!(
        seconds(&shared) < seconds(&alone),
        "{} {}",
        seconds(&shared),
        seconds(&alone)
    );
}

#[test]
fn connections_fit_their_segments_to_the_links_of_their_route() {
    let record = run_text(
        r#"Scenario(
            version: 1, name: "narrow", question: "q", expect: "e", horizon: "5 min",
            regions: [(name: "a"), (name: "x"), (name: "b")],
            links: [
                (between: ("a", "x"), rtt: "10 ms", rate: "50 Mbit/s"),
                (between: ("x", "b"), rtt: "10 ms", rate: "50 Mbit/s", mtu: "1052 B"),
            ],
            transfers: [(name: "t", from: "a", to: "b", size: "10 MB")],
            datagrams: [(name: "d", from: "a", to: "b", duration: "1 s", payload: "1100 B")],
        )"#,
    )
    .record;
    let transfer = &record.transfers[0];
    let sent = transfer.segments - transfer.retransmits;
    assert!((10_000..10_020).contains(&sent), "{sent}");
    // 1,128 bytes do not fit, and nobody says so.
    let stream = &record.datagrams[0];
    assert_eq!((stream.sent, stream.received), (50, 0));
    assert!(record.oversized_packets >= 50);
}
