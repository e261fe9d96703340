//! What users read: one exact message for every kind of mistake. Each group is one snapshot, in which every
//! case opens with the change that makes the scenario wrong.

use crate::read;

/// A scenario without mistakes and without doubts.
pub const BASE: &str = r#"Scenario(
    version: 1,
    name: "base",
    question: "Does it read?",
    expect: "It does.",
    horizon: "10 min",
    regions: [
        (name: "north", location: (lat: 40.7128, lon: -74.006)),
        (name: "south", location: (lat: 51.5074, lon: -0.1278)),
    ],
    links: [
        (between: ("north", "south"), rtt: "80 ms", rate: "1 Gbit/s"),
    ],
    vms: [
        (name: "vm0", region: "north", memory: Generated(pattern: RealWorld, size: "64 MiB", dirty: (rate: "100 pages/s"))),
        (name: "vm1", region: "north", memory: Generated(pattern: RealWorld, size: "64 MiB")),
    ],
    migrations: [
        (name: "m0", vm: "vm0", to: "south"),
        (name: "m1", vm: "vm1", to: "south", start: After(migration: "m0")),
    ],
    assertions: [
        (metric: MigrationTotalTime, statistic: Max, bound: AtMost("60 s")),
    ],
)
"#;

/// The messages about the base with each of the changes, `from` to `to`. Each change must give a mistake, or a
/// doubt if `doubts`.
pub fn messages(changes: &[(&str, &str)], doubts: bool) -> String {
    let mut out = String::new();
    for (from, to) in changes {
        assert!(BASE.contains(from), "{from}");
        let rendered = match read(&BASE.replacen(from, to, 1)) {
            Err(errors) if !doubts => errors.render(false),
            Ok(loaded) if doubts && !loaded.warnings.is_empty() => loaded.warnings.render(false),
            Ok(loaded) => panic!("{from} → {to}: accepted, {}", loaded.warnings),
            Err(errors) => panic!("{from} → {to}: {errors}"),
        };
        let first = rendered.lines().next().unwrap_or_default();
        assert!(
            first.contains(": test.ron:"),
            "the first line says where: {first}"
        );
        out.push_str(&format!("======== {from}  →  {to}\n{rendered}\n"));
    }
    out
}

#[test]
fn the_base_is_clean() {
    let loaded = read(BASE).unwrap_or_else(|errors| panic!("{errors}"));
    assert!(loaded.warnings.is_empty(), "{}", loaded.warnings);
}

#[test]
fn syntax() {
    pinned!(messages(
        &[
            ("version: 1,", "version 1,"),
            ("horizon: \"10 min\"", "horizon: 10 min"),
            ("horizon: \"10 min\"", "horizon: 10min"),
            ("name: \"base\"", "name: \"base"),
            ("name: \"base\"", "name: \"ba\\qse\""),
            ("name: \"base\"", "name: {\"base\": 1}"),
            ("name: \"base\"", "name: 'b'"),
            ("name: \"base\"", "name: b\"base\""),
            ("name: \"base\"", "name: r#base"),
            ("name: \"base\"", "name: r\"base"),
            ("name: \"base\"", "name: base\""),
            ("name: \"base\"", "name \"base\""),
            ("name: \"base\"", "name: §"),
            ("Scenario(", "#![enable(implicit_some)]\nScenario("),
            ("Scenario(", "/* a /* b */ Scenario("),
            ("    ],\n    links", "    ),\n    links"),
            ("links: [", "links: "),
            ("question:", "question: ,"),
            ("(name: \"m0\", vm", "(name: \"m0\" vm"),
            ("60 s\")),\n    ],\n)\n", "60 s\")),\n    ],\n"),
            ("60 s\")),\n    ],\n)\n", "60 s\")),\n    ],\n) Scenario()"),
        ],
        false
    ));
}

#[test]
fn fields_and_types() {
    pinned!(messages(
        &[
            ("Scenario(", "Scene("),
            ("version: 1,", ""),
            ("version: 1,", "version: 2,"),
            ("horizon:", "horizn:"),
            ("name: \"base\",", "name: \"base\", name: \"again\","),
            ("name: \"base\"", "name: 7"),
            ("name: \"base\"", "name: \"two words\""),
            ("name: \"base\"", "name: \"\""),
            ("question: \"Does it read?\"", "question: \" \""),
            ("horizon: \"10 min\"", "horizon: 600"),
            ("horizon: \"10 min\"", "horizon: \"10 mins\""),
            ("horizon: \"10 min\"", "horizon: \"0 s\""),
            ("horizon: \"10 min\"", "horizon: \"-1 s\""),
            ("horizon: \"10 min\"", "horizon: true"),
            ("horizon: \"10 min\",", "horizon: \"10 min\", seed: -1,"),
            (
                "horizon: \"10 min\",",
                "horizon: \"10 min\", seed: 18446744073709551616,"
            ),
            (
                "horizon: \"10 min\",",
                "horizon: \"10 min\", sample_interval: \"0 s\","
            ),
            (
                "horizon: \"10 min\",",
                "horizon: \"10 min\", sample_interval: \"11 min\","
            ),
            (
                "horizon: \"10 min\",",
                "horizon: \"10 min\", sample_interval: \"1 us\","
            ),
            ("horizon: \"10 min\",", "horizon: \"10 min\", payload: Sample,"),
            ("horizon: \"10 min\",", "horizon: \"10 min\", payload: Sampled,"),
            ("horizon: \"10 min\",", "horizon: \"10 min\", payload: Real(1),"),
            (
                "horizon: \"10 min\",",
                "horizon: \"10 min\", payload: Sampled(share: \"0 %\"),"
            ),
            (
                "horizon: \"10 min\",",
                "horizon: \"10 min\", payload: Sampled(share: \"0.001 %\"),"
            ),
            ("regions: [", "regions: Region["),
            ("vms: [", "vms: (), was: ["),
        ],
        false
    ));
}

#[test]
fn laws_of_links() {
    let rate = "rate: \"1 Gbit/s\"";
    let with = |more: &'static str| (rate, more);
    pinned!(messages(
        &[
            with("rate: Deliveries(\"x\")"),
            with("rate: Deliveries(file: \"x.down\")"),
            with("rate: Recorded(file: \"x\"), queue: Packets(9), changes: [(at: \"1 s\", delay: \"2 ms\")]"),
            with("rate: \"1 Gbit/s\", queue: CoDel"),
            with("rate: \"1 Gbit/s\", queue: CoDel(target: \"0 ms\")"),
            with("rate: \"1 Gbit/s\", queue: FqCoDel(quantum: \"1 B\", flows: 0)"),
            with("rate: \"1 Gbit/s\", queue: Htb(rate: \"1 Gbit/s\", default_class: 1, classes: [])"),
            with(
                "rate: \"1 Gbit/s\", queue: Htb(rate: \"1 Gbit/s\", default_class: 1, \
                 classes: [(class: 1, rate: \"2 Mbit/s\", ceil: \"1 Mbit/s\")])"
            ),
            with(
                "rate: \"1 Gbit/s\", queue: Htb(rate: \"1 Gbit/s\", default_class: 2, \
                 classes: [(class: 1, rate: \"2 Mbit/s\")])"
            ),
            with("rate: \"1 Gbit/s\", loss: TwoState(mean: \"60 %\", stay: 3, bad: \"50 %\", good: \"1 %\")"),
            with("rate: \"1 Gbit/s\", jitter: Pareto(mean: \"1 ms\")"),
            with("rate: \"1 Gbit/s\", reorder: yes, corrupt: \"200 %\""),
            with("rate: \"1 Gbit/s\", changes: [(at: \"1 s\")]"),
            with(
                "rate: \"1 Gbit/s\", changes: [(at: \"2 s\", rate: \"1 bit/s\"), (at: \"2 s\", rate: \"2 bit/s\")]"
            ),
            with("rate: \"1 Gbit/s\", changes: [(at: \"2 s\", rate: \"1 bit/s\")], period: \"2 s\""),
            with("rate: \"1 Gbit/s\", period: \"2 s\""),
            with("rate: \"1 Gbit/s\", background: Poisson(rate: \"0 bit/s\")"),
            with(
                "rate: \"1 Gbit/s\", background: OnOff(rate: \"1 Mbit/s\", mean_on: \"1 us\", \
                 mean_off: \"1 s\", shape: 1.0)"
            ),
            with("rate: \"1 Gbit/s\", background: Bursts(rate: \"1 Mbit/s\")"),
            ("rtt: \"80 ms\"", "rtt: Fibre(0.5)"),
            ("rtt: \"80 ms\"", "rtt: Fibre(1.255)"),
            ("rtt: \"80 ms\"", "rtt: Measured(file: \"no-such-table.csv\")"),
            ("rtt: \"80 ms\"", "rtt: Measure(file: \"x\")"),
        ],
        false
    ));
}

#[test]
fn network() {
    let rate = "rate: \"1 Gbit/s\"";
    pinned!(messages(
        &[
            ("lat: 40.7128", "lat: 140.7128"),
            ("lat: 40.7128", "lat: \"40.7128\""),
            ("lat: 40.7128", "lat: 40.71281234"),
            ("name: \"south\", loc", "name: \"north\", loc"),
            (
                "between: (\"north\", \"south\")",
                "between: (\"north\", \"north\")"
            ),
            (
                "between: (\"north\", \"south\")",
                "between: (\"north\", \"sout\")"
            ),
            ("between: (\"north\", \"south\")", "between: [\"north\"]"),
            (
                "between: (\"north\", \"south\")",
                "between: (\"north\", \"south\"), from: \"north\""
            ),
            (
                "between: (\"north\", \"south\")",
                "from: \"north\", to: \"south\""
            ),
            (
                "between: (\"north\", \"south\"), rtt: \"80 ms\"",
                "from: \"north\", to: \"north\", delay: \"40 ms\""
            ),
            (
                "between: (\"north\", \"south\"), rtt: \"80 ms\"",
                "from: \"north\", to: \"south\", delay: \"40 ms\""
            ),
            ("rtt: \"80 ms\"", "rtt: \"20 ms\""),
            ("rtt: \"80 ms\", ", ""),
            (rate, "rate: \"0 bit/s\""),
            (rate, "rate: \"1 GB/s\""),
            (rate, "rate: \"1 Gbits/s\""),
            (rate, "rate: \"1 Gbit/s\", loss: 0.1"),
            (rate, "rate: \"1 Gbit/s\", loss: Independent(mean: 0.001)"),
            (rate, "rate: \"1 Gbit/s\", loss: Independent(mean: \"100 %\")"),
            (rate, "rate: \"1 Gbit/s\", loss: Independent(0.1)"),
            (
                rate,
                "rate: \"1 Gbit/s\", loss: GilbertElliott(mean: \"90 %\", burst: 3)"
            ),
            (
                rate,
                "rate: \"1 Gbit/s\", loss: GilbertElliott(mean: \"1 %\", burst: 0)"
            ),
            (
                rate,
                "rate: \"1 Gbit/s\", loss: GilbertElliott(mean: \"1 %\", burst: 2.5)"
            ),
            (
                rate,
                "rate: \"1 Gbit/s\", jitter: Normal(mean: \"2 h\", sd: \"1 ms\")"
            ),
            (rate, "rate: \"1 Gbit/s\", queue: \"1 MiB\""),
            (rate, "rate: \"1 Gbit/s\", queue: Bytes(\"1 KiB\")"),
            (rate, "rate: \"1 Gbit/s\", queue: Packets(0)"),
            (rate, "rate: \"1 Gbit/s\", queue: Bdp(0.0)"),
            (rate, "rate: \"1 kbit/s\", queue: Bytes(\"1 GiB\")"),
            (
                "80 ms\", rate: \"1 Gbit/s\"),",
                "80 ms\", rate: \"1 Gbit/s\"), (from: \"south\", to: \"north\", delay: \"50 ms\", rate: \"1 Gbit/s\"),"
            ),
            (
                "(between: (\"north\", \"south\"), rtt: \"80 ms\", rate: \"1 Gbit/s\"),",
                ""
            ),
        ],
        false
    ));
}

#[test]
fn machines_and_work() {
    let m0 = "(name: \"m0\", vm: \"vm0\", to: \"south\"),";
    let size = "size: \"64 MiB\"";
    pinned!(messages(
        &[
            ("region: \"north\"", "region: \"nort\""),
            (size, "size: \"10 kB\""),
            (size, "size: \"0 B\""),
            (size, "size: \"2 TiB\""),
            ("pattern: RealWorld", "pattern: RealWord"),
            ("rate: \"100 pages/s\"", "rate: \"100\""),
            ("rate: \"100 pages/s\"", "rate: \"0.5 pages/s\""),
            (
                "rate: \"100 pages/s\"",
                "rate: \"100 pages/s\", working_set: \"0 %\""
            ),
            (
                "rate: \"100 pages/s\"",
                "rate: \"100 pages/s\", bytes_per_write: \"8 KiB\""
            ),
            (
                "memory: Generated(pattern: RealWorld, size: \"64 MiB\")",
                "memory: Images(files: [], interval: \"0 s\")"
            ),
            ("(name: \"vm1\"", "(name: \"vm0\""),
            (m0, "(name: \"m0\", vm: \"vm9\", to: \"south\"),"),
            (m0, "(name: \"m0\", vm: \"vm0\", to: \"north\"),"),
            (m0, "(name: \"m0\", vm: \"vm0\", to: \"mars\"),"),
            (m0, "(name: \"m0\", vm: \"vm1\", to: \"south\"),"),
            (
                m0,
                "(name: \"m0\", vm: \"vm0\", to: \"south\", start: At(\"10 min\")),"
            ),
            (m0, "(name: \"m0\", vm: \"vm0\", to: \"south\", start: \"0 s\"),"),
            (
                m0,
                "(name: \"m0\", vm: \"vm0\", to: \"south\", start: After(migration: \"m1\")),"
            ),
            (
                m0,
                "(name: \"m0\", vm: \"vm0\", to: \"south\", start: After(migration: \"m0\")),"
            ),
            (
                m0,
                "(name: \"m0\", vm: \"vm0\", to: \"south\", start: After(migration: \"m2\")),"
            ),
            (
                m0,
                "(name: \"m0\", vm: \"vm0\", to: \"south\", encoding: Hde(level: 20)),"
            ),
            (m0, "(name: \"m0\", vm: \"vm0\", to: \"south\", encoding: Raw()),"),
            (
                m0,
                "(name: \"m0\", vm: \"vm0\", to: \"south\", downtime_limit: \"1 h\"),"
            ),
            (
                m0,
                "(name: \"m0\", vm: \"vm0\", to: \"south\", transport: (streams: 0)),"
            ),
            (
                m0,
                "(name: \"m0\", vm: \"vm0\", to: \"south\", transport: (window: \"100 KiB\")),"
            ),
            (
                m0,
                "(name: \"m0\", vm: \"vm0\", to: \"south\", transport: (tcp: (controller: Vegas))),"
            ),
            (
                m0,
                "(name: \"m0\", vm: \"vm0\", to: \"south\", transport: (tcp: (send_buffer: \"2 GiB\"))),"
            ),
            (
                m0,
                "(name: \"m0\", vm: \"vm0\", to: \"south\", transport: (tcp: (initial_window: 0))),"
            ),
            (
                m0,
                "(name: \"m0\", vm: \"vm0\", to: \"south\", transport: (tcp: (hystart: 1))),"
            ),
            (
                "assertions: [",
                "transfers: [(name: \"t\", from: \"north\", to: \"north\", size: \"1 MB\")], assertions: ["
            ),
            (
                "assertions: [",
                "transfers: [(name: \"t\", from: \"north\", to: \"south\", size: \"3 B\", streams: 4)], assertions: ["
            ),
            (
                "assertions: [",
                "transfers: [(name: \"m0\", from: \"north\", to: \"south\", size: \"0 B\")], assertions: ["
            ),
        ],
        false
    ));
}

#[test]
fn transports() {
    let m0 = "(name: \"m0\", vm: \"vm0\", to: \"south\"),";
    let with =
        |transport: &str| format!("(name: \"m0\", vm: \"vm0\", to: \"south\", transport: ({transport})),");
    let cases = [
        "streams: Adaptiv",
        "streams: Adaptive(16)",
        "streams: Adaptive(most: 257)",
        "streams: Adaptive(initial: 9, most: 8, contending: 0)",
        "streams: SpecRule",
        "streams: SpecRule(\"0 bit/s\")",
        "streams: SeedOptimiser()",
        "chunk: Adaptive, window: \"1 MiB\"",
        "chunk: Fixed(\"1 MiB\")",
        "patience: \"2 h\"",
    ];
    let texts = cases.map(with);
    let migrations = texts.each_ref().map(|text| (m0, text.as_str()));
    let transfer = "transfers: [(name: \"t\", from: \"north\", to: \"south\", size: \"1 B\", streams: 2, call_time: \"1 ms\", \
                    tcp: (controller: Reno), transport: (streams: 2))], assertions: [";
    pinned!(messages(
        &[&migrations[..], &[("assertions: [", transfer)]].concat(),
        false
    ));
}

#[test]
fn faults() {
    let with = |faults: &str| format!("faults: [{faults}], assertions: [");
    let cases = [
        r#""north""#,
        r#"LinkUp(at: "1 s")"#,
        r#"LinkDown(between: ("north", "south"))"#,
        r#"LinkDown(between: ("north", "south"), from: "north", at: "1 s")"#,
        r#"LinkDown(between: "north", at: "1 s")"#,
        r#"LinkDown(between: ("north", "soth"), at: "1 s")"#,
        r#"LinkDown(from: "north", at: "1 s", for: "0 s")"#,
        r#"LinkDown(from: "north", to: "north", at: "1 s")"#,
        r#"LinkDown(from: "north", to: "south", at: 1, duration: "1 s")"#,
        r#"LinkDown(from: "north", to: "south", at: "1 s", for: "2 s"), LinkDown(between: ("south", "north"), at: "3 s")"#,
        r#"LinkDown(from: "north", to: "south", at: "1 s"), LinkDown(from: "north", to: "south", at: "9 s")"#,
        r#"Pause(region: "nort", for: "1 s"), Kill(at: "1 s", for: "2 s")"#,
        r#"Pause(region: "north", at: "1 s", for: "2 s"), Pause(region: "north", at: "2 s")"#,
        r#"Kill(region: "north", at: "1 s"), Kill(region: "north", at: "2 s"), Pause(region: "north", at: "3 s")"#,
        r#"Reset(workload: "nobody", every: "1 us")"#,
    ];
    let texts = cases.map(with);
    let changes = texts.each_ref().map(|text| ("assertions: [", text.as_str()));
    let flow = r#"fidelity: Flow, faults: [LinkDown(from: "north", to: "south", at: "1 s")], assertions: ["#;
    let mistakes = messages(&[&changes[..], &[("assertions: [", flow)]].concat(), false);
    let doubts = messages(
        &[
            (
                "assertions: [",
                &with(r#"LinkDown(between: ("north", "south"), at: "10 min")"#),
            ),
            (
                "assertions: [",
                &with(r#"LinkDown(between: ("north", "south"), at: "9 min", for: "1 min")"#),
            ),
            ("assertions: [", r#"reroute_after: "1 s", assertions: ["#),
            (
                "assertions: [",
                &with(
                    r#"Pause(region: "south", at: "9 min", for: "2 min"), Kill(region: "north", at: "10 min")"#,
                ),
            ),
            ("assertions: [", &with(r#"Reset(workload: "m0", at: "10 min")"#)),
        ],
        true,
    );
    pinned!(mistakes + &doubts);
}

#[test]
fn faults_of_the_network() {
    let with = |faults: &str| format!("faults: [{faults}], assertions: [");
    let ends = r#"from: "north", to: "south""#;
    let once = r#"at: "1 s", for: "2 s""#;
    let link = |kind: &str, what: &str| format!("{kind}({ends}, {what})");
    let mistakes = [
        r#"Partition(between: ("north", "south"), at: "1 s")"#.to_owned(),
        r#"Partition(between: (["north"], ["north", "soth"]), at: "1 s")"#.to_owned(),
        r#"Partition(between: (["north"], []), at: "1 s")"#.to_owned(),
        r#"Partition(between: (["north"], ["south"]), at: "1 s", recovery: Gradual())"#.to_owned(),
        link("LinkLatency", once),
        link("LinkLatency", &format!(r#"extra: "0 s", {once}"#)),
        link("LinkLatency", &format!(r#"extra: "1 s", impact: High, {once}"#)),
        link("LinkLoss", &format!(r#"impact: Severe, {once}"#)),
        link("LinkLoss", &format!(r#"probability: "0 %", {once}"#)),
        link("LinkLoss", &format!(r#"probability: "120 %", {once}"#)),
        link("LinkBandwidth", &format!(r#"rate: "0 bit/s", {once}"#)),
        link("LinkBandwidth", r#"rate: "1 Mbit/s""#),
        link(
            "LinkLoss",
            r#"impact: Low, at: "1 s", process: Poisson(every: "0 s", lasts: Constant("1 s"))"#,
        ),
        link(
            "LinkLoss",
            r#"impact: Low, process: Poisson(every: "1 s", lasts: "1 s")"#,
        ),
        link(
            "LinkLoss",
            r#"impact: Low, process: Chance(every: "1 s", probability: "0 %", lasts: Weibull(mean: "1 s", shape: 0))"#,
        ),
        link(
            "LinkLoss",
            r#"impact: Low, process: Chance(every: "1 s", probability: "0 %")"#,
        ),
        link(
            "LinkLoss",
            r#"impact: Low, process: Alternating(up: Normal("1 s"), down: LogNormal(mean: "1 s", sigma: 0.0001))"#,
        ),
        link(
            "LinkLoss",
            r#"impact: Low, process: Poisson(every: "1 us", lasts: Constant("1 us"))"#,
        ),
        link("LinkLoss", &format!("impact: Low, recovery: Manual, {once}")),
        link(
            "LinkLoss",
            &format!("impact: Low, recovery: Gradual(steps: 0, step: \"1 s\"), {once}"),
        ),
        r#"LinkLoss(from: "north", to: "north", impact: Low, at: "1 s")"#.to_owned(),
        r#"RegionDown(region: "nort", at: "1 s"), SharedRisk(links: [], at: "1 s")"#.to_owned(),
        r#"SharedRisk(links: ["north"], at: "1 s"), SharedRisk(links: [("north", "north")], at: "1 s")"#
            .to_owned(),
        format!(
            "{}, {}",
            link("LinkLoss", &format!("impact: Low, {once}")),
            link("LinkLoss", &format!("impact: High, {once}"))
        ),
        r#"Recover(fault: "cut", at: "1 s")"#.to_owned(),
        format!(
            r#"{}, Recover(fault: "cut", at: "1 s")"#,
            link("LinkLoss", &format!("name: \"cut\", impact: Low, {once}"))
        ),
        format!(
            r#"{}, Recover(fault: "cut", at: "1 s")"#,
            link(
                "LinkLoss",
                r#"name: "cut", impact: Low, at: "2 s", recovery: Manual"#
            )
        ),
    ];
    let texts: Vec<String> = mistakes.iter().map(|faults| with(faults)).collect();
    let mut changes: Vec<(&str, &str)> = texts
        .iter()
        .map(|text| ("assertions: [", text.as_str()))
        .collect();
    let flow = format!(
        "fidelity: Flow, {}",
        with(&link("LinkLoss", &format!("impact: Low, {once}")))
    );
    changes.push(("assertions: [", &flow));
    let mistakes = messages(&changes, false);
    let late = with(&link("LinkLoss", r#"impact: Low, at: "10 min""#));
    let long = with(&link("LinkLoss", r#"impact: Low, at: "9 min", for: "1 min""#));
    let doubts = messages(&[("assertions: [", &late), ("assertions: [", &long)], true);
    pinned!(mistakes + &doubts);
}

#[test]
fn assertions() {
    let bound = "bound: AtMost(\"60 s\")";
    pinned!(messages(
        &[
            ("metric: MigrationTotalTime", "metric: MigrationTime"),
            ("metric: MigrationTotalTime", "metric: \"MigrationTotalTime\""),
            ("metric: MigrationTotalTime", "metric: TransferGoodput"),
            ("metric: MigrationTotalTime", "metric: TransferCompletionTime"),
            ("statistic: Max", "statistic: Maximum"),
            (
                "metric: MigrationTotalTime, statistic: Max, bound: AtMost(\"60 s\")",
                "metric: LinkLoss, statistic: Sum, bound: AtMost(\"1 %\")"
            ),
            (bound, "bound: AtMost(60)"),
            (bound, "bound: \"60 s\""),
            (bound, "bound: AtMost(\"60 MB\")"),
            (bound, "bound: AtMost(\"60 s\"), scope: Only(\"m7\")"),
            (bound, "bound: AtMost(\"60 s\"), level: Fatal"),
        ],
        false
    ));
}

#[test]
fn margins_of_a_replay() {
    let with = |margins: &str| format!("replay: (margins: [{margins}]), horizon");
    let changes = [
        "replay: (replications: 0), horizon".to_owned(),
        "replay: (simulations: 2000, seeds: 3), horizon".to_owned(),
        "replay: [], horizon".to_owned(),
        with("(metric: MigrationTotalTime)"),
        with("(metric: MigrationTotalTime, within: 5)"),
        with("(metric: MigrationTotalTime, within: \"120 %\")"),
        with("(metric: MigrationDirtySyncCount, within: \"1 s\")"),
        with("(metric: LinkLoss, within: 0.1)"),
        with("(metric: TransferGoodput, within: \"5 %\")"),
        with("(metric: LinkDelivered, scope: Only(\"north-south\"), within: \"3 %\")"),
        with("(metric: LinkLoss, within: \"1 %\"), (metric: LinkLoss, scope: All, within: \"2 %\")"),
    ];
    let changes: Vec<(&str, &str)> = changes.iter().map(|to| ("horizon", to.as_str())).collect();
    pinned!(messages(&changes, false));
}

#[test]
fn a_margin_that_no_kernel_can_judge_is_doubtful() {
    let margin = "replay: (margins: [(metric: LinkQueueDelay, within: \"1 ms\")]), horizon";
    pinned!(messages(&[("horizon", margin)], true));
}

#[test]
fn all_mistakes_of_a_file_are_reported_at_once() {
    let mut text = BASE.to_owned();
    for (from, to) in [
        ("horizon:", "horizn:"),
        ("rtt: \"80 ms\"", "rtt: 80"),
        ("region: \"north\"", "region: \"nort\""),
        ("vm: \"vm1\", to: \"south\"", "vm: \"vm1\", to: \"north\""),
        ("After(migration: \"m0\")", "After(migration: \"m1\")"),
        ("AtMost(\"60 s\")", "AtMost(60)"),
    ] {
        text = text.replacen(from, to, 1);
    }
    pinned!(read(&text).expect_err("six mistakes").render(false));
}

#[test]
fn colours_change_nothing_but_the_looks() {
    let errors = read(&BASE.replacen("rtt:", "rt:", 1)).expect_err("a mistake");
    let mut plain = String::new();
    let mut escape = false;
    for character in errors.render(true).chars() {
        match character {
            '\u{1b}' => escape = true,
            'm' if escape => escape = false,
            _ if escape => {}
            other => plain.push(other),
        }
    }
    assert_eq!(plain, errors.render(false));
    assert_ne!(errors.render(true), errors.render(false));
}
