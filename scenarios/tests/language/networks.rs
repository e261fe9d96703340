//! What users read about routes, overlays and streams of datagrams: one exact message for every kind of mistake.

use crate::messages::messages;

#[test]
fn routes() {
    let with = |routing: &str| format!("routing: {routing}, assertions: [");
    let cases = [
        "LowestCost",
        "(objective: Fastest)",
        "(objective: Balanced())",
        "(objective: Balanced(latency_per_ms: -1, price: 3))",
        "(objective: Widest, multipath: true)",
        "(multipath: 1)",
    ];
    let texts = cases.map(with);
    let mut changes: Vec<(&str, &str)> = texts
        .iter()
        .map(|text| ("assertions: [", text.as_str()))
        .collect();
    changes.extend([
        (
            "rate: \"1 Gbit/s\"",
            "rate: \"1 Gbit/s\", cost: -1, mtu: \"100 B\"",
        ),
        ("rate: \"1 Gbit/s\"", "rate: \"1 Gbit/s\", mtu: 1400"),
    ]);
    let mistakes = messages(&changes, false);
    let doubts = messages(
        &[
            ("assertions: [", &with("(objective: LowestCost)")),
            ("rate: \"1 Gbit/s\"", "rate: \"1 Gbit/s\", cost: 3"),
        ],
        true,
    );
    pinned!(mistakes + &doubts);
}

#[test]
fn reservations() {
    let with =
        |reservations: &str, more: &str| format!("reservations: [{reservations}], {more}assertions: [");
    let gold = r#"(name: "gold", from: "north", to: "south", rate: "1 Gbit/s", start: "1 s", end: "2 s")"#;
    let texts = [
        with(
            r#"(name: "gold", from: "north", to: "north", rate: "0 bit/s", start: "1 s", end: "2 s")"#,
            "",
        ),
        with(
            r#"(name: "gold", from: "north", to: "south", rate: "1 Mbit/s", start: "3 s", end: "2 s", priority: 256)"#,
            "",
        ),
        with(
            r#"(name: "gold", from: "north", to: "south", rate: "1 Mbit/s", requested: "2 s", start: "1 s", end: "9 s")"#,
            "",
        ),
        with(
            r#"(name: "m0", from: "north", to: "south", rate: "1 Mbit/s", start: "11 min", end: "12 min")"#,
            "",
        ),
        with(
            gold,
            r#"transfers: [(name: "t", from: "south", to: "north", size: "1 MB", reservation: "gold")], "#,
        ),
        with(
            gold,
            r#"transfers: [(name: "t", from: "north", to: "south", size: "1 MB", reservation: "silver")], "#,
        ),
        format!("fidelity: Flow, {}", with(gold, "")),
    ];
    let changes: Vec<(&str, &str)> = texts
        .iter()
        .map(|text| ("assertions: [", text.as_str()))
        .collect();
    let mistakes = messages(&changes, false);
    let doubts = [with(gold, ""), r#"headroom: "5 %", assertions: ["#.to_owned()];
    let changes: Vec<(&str, &str)> = doubts
        .iter()
        .map(|text| ("assertions: [", text.as_str()))
        .collect();
    pinned!(mistakes + &messages(&changes, true));
}

#[test]
fn demands() {
    let with = |demands: &str, more: &str| format!("demands: [{demands}], {more}assertions: [");
    let one = r#"(from: "north", to: "south", rate: "1 Mbit/s")"#;
    let texts = [
        with(r#"(from: "north", to: "north", rate: "0 bit/s")"#, ""),
        with(&format!("{one}, {one}"), ""),
        with(one, r#"engineering: (method: Best, reaction: "1 s"), "#),
        with(one, r#"engineering: (reaction: "1 s"), "#),
        with(one, r#"engineering: (method: Survive(failures: 0, paths: 65)), "#),
        with(one, "routing: (objective: Widest), "),
        format!("fidelity: Flow, {}", with(one, "")),
    ];
    let changes: Vec<(&str, &str)> = texts
        .iter()
        .map(|text| ("assertions: [", text.as_str()))
        .collect();
    let mistakes = messages(&changes, false);
    let doubts = [r#"engineering: (method: LeastUtilisation), assertions: ["#];
    let changes: Vec<(&str, &str)> = doubts.iter().map(|text| ("assertions: [", *text)).collect();
    pinned!(mistakes + &messages(&changes, true));
}

#[test]
fn route_control() {
    let control = r#"route_control: (), "#;
    let texts = [
        r#"route_control: (margin: "120 %", hold_down: "-1 s", period: "0 s", speed: 3), assertions: ["#
            .to_owned(),
        format!("{control}routing: (multipath: true), assertions: ["),
        format!(
            r#"{control}reservations: [(name: "gold", from: "north", to: "south", rate: "1 Mbit/s", start: "1 s", end: "2 s")], assertions: ["#
        ),
        format!(r#"{control}demands: [(from: "north", to: "south", rate: "1 Mbit/s")], assertions: ["#),
        format!(
            r#"{control}overlays: [(name: "wan", paths: [(name: "p", between: ("north", "south"))])], assertions: ["#
        ),
        r#"assertions: [(metric: RouteChanges, statistic: Max, bound: AtMost(1)), "#.to_owned(),
        format!(
            r#"{control}assertions: [(metric: RouteOutage, statistic: Max, scope: Only("north->moon"), bound: AtMost("1 s")), "#
        ),
        format!("fidelity: Flow, {control}assertions: ["),
    ];
    let changes: Vec<(&str, &str)> = texts
        .iter()
        .map(|text| ("assertions: [", text.as_str()))
        .collect();
    let mistakes = messages(&changes, false);
    let doubts = [format!("{control}assertions: [")];
    let changes: Vec<(&str, &str)> = doubts
        .iter()
        .map(|text| ("assertions: [", text.as_str()))
        .collect();
    pinned!(mistakes + &messages(&changes, true));
}

#[test]
fn overlays() {
    let with = |paths: &str, more: &str| {
        format!("overlays: [(name: \"wan\", paths: [{paths}]{more})], assertions: [")
    };
    let path = r#"(name: "p", between: ("north", "south"), via: [])"#;
    let texts = [
        with("", ""),
        with(r#"(name: "p", between: ("north", "north"))"#, ""),
        with(r#"(name: "p", between: ("north", "south"), via: ["north"]), (name: "p", between: ("south", "north"))"#, ""),
        with(&[path; 5].join(", "), ", selection: InOrder()"),
        with(path, ", selection: ByPolicy(policies: [])"),
        with(path, r#", selection: ByPolicy(policies: [(name: "a", priority: 1, ports: (9, 8), objective: Cheapest)])"#),
        with(path, r#", selection: ByPolicy(policies: [(name: "a", priority: 1, objective: Weighted(loss: 0.5))])"#),
        with(path, ", selection: ByPolicy(hysteresis: (leave: 90))"),
        with(path, r#", bfd: (interval: "10 ns", multiplier: 0)"#),
        with(path, r#", trains: (packets: 1, length: "9 kB", share: "0 %")"#),
        with(r#"(name: "p", between: ("north", "south"), tunnel: WireGuard)"#, ""),
        with(r#"(name: "p", between: ("north", "south"), tunnel: Gre(ip: 6, keepalive: ()))"#, ""),
        with(r#"(name: "p", between: ("north", "south"), tunnel: Ipsec(ip: 5, lifetime: "30 min"))"#, ""),
        with(r#"(name: "p", between: ("north", "south"), tunnel: Vxlan(path_mtu: Probe()))"#, ""),
        with(r#"(name: "p", between: ("north", "south"), tunnel: Vxlan(path_mtu: Discover(min_plpmtu: "500 B", probe_timer: "10 ms", max_probes: 0)))"#, ""),
        with(r#"(name: "p", between: ("north", "south"), tunnel: Vxlan(path_mtu: Discover(base_plpmtu: "1400 B", max_plpmtu: "1300 B")))"#, ""),
        with(path, ", discovery: (hubs: [])"),
        with(path, r#", discovery: (hubs: ["north"], interval: "40 s")"#),
        with(path, r#", discovery: (hubs: ["alpine", "north", "north"], wrong_keys: ["alpine"])"#),
        with(
            r#"(name: "p", between: ("north", "south"), tunnel: Vxlan())"#,
            r#", bfd: None, probes: (interval: "20 s")"#,
        ),
        format!("fidelity: Flow, {}", with(path, "")),
        r#"datagrams: [(name: "m0", from: "north", to: "north", duration: "0 s", payload: "9 B")], assertions: ["#.to_owned(),
    ];
    let changes: Vec<(&str, &str)> = texts
        .iter()
        .map(|text| ("assertions: [", text.as_str()))
        .collect();
    let mistakes = messages(&changes, false);
    let doubts = [
        with(path, r#", probes: (timeout: "50 ms")"#),
        r#"datagrams: [(name: "d", from: "north", to: "south", duration: "11 min", interval: "1 us")], assertions: ["#.to_owned(),
    ];
    let changes: Vec<(&str, &str)> = doubts
        .iter()
        .map(|text| ("assertions: [", text.as_str()))
        .collect();
    pinned!(mistakes + &messages(&changes, true));
}
