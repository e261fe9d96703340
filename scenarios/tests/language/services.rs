//! What users read about services, clients and their policies, and what `--set` reaches of them.

use longhaul_core::time::Span;
use longhaul_resilience::{LayerConfig, Policy};
use longhaul_scenarios::schema::Scenario;
use longhaul_service::{Arrivals, Load, Rate, Stage};
use proptest::prelude::*;

use crate::messages::messages;
use crate::{FULL, read, read_with};

const STORE: &str = r#"(name: "store", replicas: ["south"], cores: 1, service_time: Constant("1 ms"))"#;

/// A service with these further fields.
fn service(name: &str, more: &str) -> String {
    format!(r#"(name: "{name}", replicas: ["south"], cores: 1, service_time: Constant("1 ms"), {more})"#)
}

/// A client of `store` with these further fields.
fn client(more: &str) -> String {
    format!(
        r#"(name: "web", region: "north", service: "store", duration: "1 min", load: Open(rate: Steady(5)), {more})"#
    )
}

fn with(services: &str, clients: &str) -> String {
    format!("services: [{services}], clients: [{clients}], assertions: [")
}

fn all_messages(texts: &[String], doubts: bool) -> String {
    let changes: Vec<(&str, &str)> = texts
        .iter()
        .map(|text| ("assertions: [", text.as_str()))
        .collect();
    messages(&changes, doubts)
}

#[test]
fn services() {
    let mistakes = [
        r#"(name: "store", replicas: [])"#.to_owned(),
        r#"(name: "store", replicas: ["south", "west", "south"], cores: 0, service_time: "1 ms", queue: (limit: -1, discipline: CoDel(target: "1 s"), drop_expired: 1), error_rate: "101 %")"#.to_owned(),
        r#"(name: "store", replicas: ["south"], cores: 1, service_time: Uniform(min: "2 ms", max: "1 ms"), queue: (discipline: Random), remember: 2000000, restart: "0 s", memory: (limit: "1 MiB", slowest: "0 %"), cancelation: true)"#.to_owned(),
        r#"(name: "store", replicas: ["south"], cores: 1, service_time: LogNormal(mean: "1 ms", sigma: 6), memory: (limit: "2 GiB", base: "2 GiB"))"#.to_owned(),
        service("store", r#"admission: [Rate(rate: 0, burst: 0), Timeout("1 s")]"#),
        service("store", r#"admission: [Rate(rate: 5, burst: 1), Timeout("1 s"), Retry(), Bulkhead(permits: 3), Hedge(delay: "1 ms")]"#),
        service("store", "admission: Send"),
        service("store", r#"behind: [(service: "shop", body: "2 GiB")]"#),
        format!("{}, {}", service("store", r#"behind: [(service: "db", policies: [Timeout("0 s")]), (service: "db")], stages: [All([]), OneOf(["store"]), Any(["db"])]"#), service("db", "")),
        service("store", r#"operations: [(name: "write"), (name: "read", service_time: Constant("1 ms"), stages: [All(["db"])]), (name: "read", service_time: Constant("1 ms"))]"#),
        format!("{}, {}", service("store", r#"behind: [(service: "db", operation: "raed")]"#), service("db", r#"operations: [(name: "read", service_time: Constant("1 ms"))]"#)),
        service("store", r#"behind: [(service: "store")]"#),
        format!(
            "{}, {}, {}, {}",
            service("store", r#"behind: [(service: "a")]"#),
            service("a", r#"behind: [(service: "c"), (service: "b")]"#),
            service("b", r#"behind: [(service: "c"), (service: "a")]"#),
            service("c", ""),
        ),
        service("m0", ""),
    ];
    let texts = mistakes.map(|services| with(&services, ""));
    pinned!(all_messages(&texts, false));
}

#[test]
fn clients() {
    let load = |load: &str| {
        format!(r#"(name: "web", region: "north", service: "store", duration: "1 min", load: {load})"#)
    };
    let mistakes = [
        r#"(name: "store", region: "north")"#.to_owned(),
        r#"(name: "web", region: "west", service: "shop", at: "10 min", duration: "0 s", load: Steady(5), limit: 0)"#.to_owned(),
        client(r#"at: "10 min""#),
        client(r#"request: (body: "2 GiB", answer: 5, idempotent: "yes", priority: High, deadline: "0 s", late_after: 1)"#),
        client(r#"request: (operation: "write")"#),
        client(r#"choice: Random, names: (lookup_time: "2 s", timeout: "1 s"), connection: (backoff: "3 min", silence: "0 s")"#),
        client(r#"ejection: (failures: 0, time: "10 min"), health: (fall: (k: 0), rise: (k: 3, n: 2), interval: "0 s")"#),
        client(r#"connection: (backoff_max: "500 ms"), ejection: (share_max: "200 %")"#),
        load(r#"Open(rate: Steady(0), pattern: Bursty)"#),
        load(r#"Open(rate: Steady(rate: 5, interval: "1 s"))"#),
        load(r#"Open(rate: Steady(interval: "0 s"))"#),
        load(r#"Open(rate: Bursts(on: "0 s", off: "1 s", rate: 2000000000))"#),
        load(r#"Open(rate: Sinusoidal(rate: 0.0000001, amplitude: "120 %", period: "0 s"))"#),
        load(r#"Open(rate: Steps([]))"#),
        load(r#"Open(rate: Steps([(at: "2 s", rate: 1), (at: "2 s", rate: 0), (at: "1 s")]))"#),
        load(r#"Open(rate: Steps([(at: "2 s", rate: 1), (at: "2 s", rate: 0)]))"#),
        load(r#"Open(rate: 500)"#),
        load(r#"Closed(users: 0, think: Exponential("1 s", "2 s"))"#),
    ];
    let mut texts: Vec<String> = mistakes.iter().map(|clients| with(STORE, clients)).collect();
    texts.push(format!("fidelity: Flow, {}", with(STORE, &client(""))));
    let apart = r#"        (name: "east"),
    ],
    services: [(name: "store", replicas: ["south", "east"], cores: 1, service_time: Constant("1 ms"))],
    clients: [(name: "web", region: "north", service: "store", duration: "1 min", load: Open(rate: Steady(5)))],
    links: ["#;
    pinned!(all_messages(&texts, false) + &messages(&[("    ],\n    links: [", apart)], false));
}

#[test]
fn policies() {
    let stack = |policies: &str| with(STORE, &client(&format!("policies: {policies}")));
    let texts = [
        // Everything at once, each at its field.
        r#"[
            Rate(rate: 0, burst: 0),
            PercentileRate(range: (start: 5, least: 6, most: 4), target: "0 s", window: 1),
            AimdRate(range: (start: 9, least: 1, most: 4), target: "1 s", increase: 0, decrease: "100 %", interval: "0 s"),
            GradientRate(range: (start: 1, least: 1, most: 2000000), headroom: 0, tolerance: "5 %", interval: "0 s"),
            Shed(load: Inside(0), max_load: "0 %", cap: "0 %", exempt: Background),
            Bulkhead(permits: 0, wait: "1 s"),
            Breaker(trip: Consecutive(0), open: "0 s", permits: 0, successes: 0, counts: []),
            Breaker(trip: CountWindow(calls: 5, failure_rate: "0 %", minimum: 6)),
            Breaker(trip: TimeWindow(window: "0 s", failure_rate: "0 %", minimum: 0)),
            Retry(retries: 101, backoff: Exponential(base: "0 s", factor: 0), cap: "0 s", retryable: [], budget: (ratio: "0 %", minimum_per_s: 0, window: "1 ns")),
            Timeout("0 s"),
            Timeout(after: "10000 h"),
            StepTimeout(start: "1 s", least: "2 s", most: "1 s"),
            HistoryTimeout(start: "1 ms"),
            Rfc6298Timeout(granularity: "2 h"),
            Hedge(delay: "0 s", hedges: 11),
            Hedge(delay: Percentile(percentile: "100 %", window: 0, until_then: "0 s"), budget: (window: "0 s")),
            Degradation(error_rate: "0 %", latency: "0 s", window: 5, minimum: 6, margin: "100 %", emergency_probe: "0 s"),
            ErrorBudget(objective: "100 %", window: "1 ns", minimum: 0),
            LatencyBudget(p95: "0 s", window: 10, minimum: 11),
        ]"#,
        r#"[Timeout("1 s"), Bulkhead(permits: 3, queue: 5, wait: "2 s"), Retry(retries: 5, backoff: Linear(base: "300 ms", increment: "0 s")), Hedge(delay: "1 s"), Timeout("1 s")]"#,
        // The rest is asked all the same.
        r#"[Retry(retries: 0), Timout("1 s"), Breaker(trip: Five), Hedge(), Retry(retryable: [Error, Error, Late], jitter: Some)]"#,
        r#"[Timeout(), Timeout("1 s", "2 s"), Timeout(time: "1 s"), Bulkhead]"#,
        "Sending",
        "Send(3)",
        "Consensus(order: [Timeout, Bulkhead, Cache])",
        "Consensus(order: [Timeout, Bulkhead])",
    ];
    pinned!(all_messages(&texts.map(stack), false));
}

#[test]
fn doubts_about_services() {
    let patient = r#"connection: (silence: "9 s")"#;
    let two = r#"(name: "store", replicas: ["south", "north"], cores: 1, service_time: Constant("1 ms"), queue: (drop_expired: true))"#;
    let texts = [
        with(&format!("{STORE}, {}", service("db", "")), &client(patient)),
        with(
            &format!(
                "{}, {}",
                service("store", r#"behind: [(service: "db", spread: true)], stages: []"#),
                service("db", "")
            ),
            &client(patient),
        ),
        with(STORE, &client("")),
        with(
            STORE,
            &client(r#"policies: [Timeout("1 s")], request: (deadline: "1 s", late_after: "2 s")"#),
        ),
        with(
            STORE,
            &client(r#"policies: Send, request: (deadline: "5 ms", idempotent: false)"#),
        ),
        with(
            STORE,
            &client(r#"policies: [Timeout("1 s"), Hedge(delay: "2 ms")], request: (idempotent: false)"#),
        ),
        with(
            STORE,
            &client(&format!("choice: Nearest, spread: true, cancel: true, {patient}")),
        ),
        with(
            STORE,
            &client(r#"policies: [Shed(load: Reported), Timeout("1 s")]"#),
        ),
        with(two, &client(&format!("choice: Nearest, {patient}"))),
        with(
            STORE,
            &client(&format!(
                "at: \"9 min\", tcp: (controller: Reno, hystart: true), {patient}"
            ))
            .replace("1 min", "2 min"),
        ),
    ];
    pinned!(all_messages(&texts, true));
}

fn full_with(overrides: &[&str]) -> Scenario {
    let loaded = read_with(FULL, overrides);
    loaded.unwrap_or_else(|errors| panic!("{errors}")).scenario
}

#[test]
fn overrides_reach_policies_by_their_place_and_services_behind_by_their_name() {
    let scenario = full_with(&[
        "clients[drips].policies[1].retries=2",
        "clients[drips].policies[1].backoff.base=45 ms",
        "clients[drips].policies[0][0]=4 s",
        "clients[tides].policies[0].after=8 s",
        "clients[shoppers].policies[11].budget.ratio=25 %",
        "clients[robots].load.users=7",
        "services[storefront].behind[ledger].choice=RoundRobin",
        "services[storefront].behind[stash].policies=[Timeout(\"90 ms\"), Breaker()]",
        "services[storefront].stages=[All([\"stash\", \"stash\"])]",
    ]);
    let named = |name: &str| {
        let found = scenario.clients.iter().find(|client| client.name == name);
        &found.unwrap().options
    };
    let drips = &named("drips").service.stack;
    let (Some(LayerConfig::Timeout(timeout)), Some(LayerConfig::Retry(retry))) =
        (drips.layers.first(), drips.layers.get(1))
    else {
        panic!("{drips:?}");
    };
    assert_eq!(timeout.longest(), Span::from_s(4));
    assert_eq!((retry.retries, retry.backoff.base()), (2, Span::from_ms(45)));
    assert!(matches!(named("robots").load, Load::Closed { users: 7, .. }));
    let storefront = &scenario.services[0].options;
    let policies = |place: usize| -> Vec<Policy> {
        let layers = &storefront.behind[place].service.stack.layers;
        layers.iter().map(LayerConfig::policy).collect()
    };
    assert_eq!(policies(1), [Policy::Timeout, Policy::Breaker]);
    assert_eq!(storefront.stages, [Stage::All(vec![1, 1])]);
}

#[test]
fn without_stages_everything_behind_is_asked_at_once() {
    let scenario = full_with(&[]);
    assert_eq!(scenario.services[1].options.stages, []);
    let text = with(
        &format!(
            "{}, {}, {}",
            service("store", r#"behind: [(service: "a"), (service: "b")]"#),
            service("a", ""),
            service("b", "")
        ),
        &client(""),
    );
    let base = crate::messages::BASE.replacen("assertions: [", &text, 1);
    let scenario = read(&base).unwrap_or_else(|errors| panic!("{errors}")).scenario;
    assert_eq!(scenario.services[0].options.stages, [Stage::All(vec![0, 1])]);
}

#[test]
fn a_named_stack_is_written_out_layer_by_layer() {
    let text = with(STORE, &client("policies: Sync"));
    let base = crate::messages::BASE.replacen("assertions: [", &text, 1);
    let canonical = read(&base).unwrap_or_else(|errors| panic!("{errors}")).canonical;
    let policies = canonical.split("policies: ").nth(1).unwrap();
    pinned!(policies.split(", connection").next().unwrap());
}

#[test]
fn the_example_of_services_reads_without_a_doubt() {
    let page = include_str!("../../README.md");
    let blocks: Vec<&str> = page
        .split("```ron\n")
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap())
        .collect();
    let example = blocks
        .iter()
        .find(|block| block.starts_with("services:"))
        .unwrap();
    let whole = blocks[0].replacen("    assertions: [", &format!("{example}    assertions: ["), 1);
    let loaded = read(&whole).unwrap_or_else(|errors| panic!("{errors}"));
    assert!(loaded.warnings.is_empty(), "{}", loaded.warnings);
    assert_eq!(loaded.scenario.clients[0].options.service.stack.layers.len(), 3);
}

/// The interval of a client of so many requests per second, and what it is once it was shown and read again.
fn interval_of(requests: &str) -> (Span, Span) {
    let text = with(STORE, &client("").replace("Steady(5)", requests));
    let base = crate::messages::BASE.replacen("assertions: [", &text, 1);
    let interval = |text: &str| {
        let scenario = read(text).unwrap_or_else(|errors| panic!("{errors}")).scenario;
        match &scenario.clients[0].options.load {
            Load::Open(Arrivals {
                rate: Rate::Steady { interval },
                ..
            }) => *interval,
            other => panic!("{other:?}"),
        }
    };
    let canonical = read(&base).unwrap_or_else(|errors| panic!("{errors}")).canonical;
    (interval(&base), interval(&canonical))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn rates_of_requests_are_rounded_to_the_nearest_interval_and_read_back_exactly(
        whole in 0_u64..2_000_000,
        millionths in 1_u64..1_000_000,
    ) {
        let (read, again) = interval_of(&format!("Steady({whole}.{millionths:06})"));
        prop_assert_eq!(read, again);
        let parts = u128::from(whole * 1_000_000 + millionths);
        let off = (u128::from(read.as_ns()) * parts).abs_diff(1_000_000_000_000_000);
        prop_assert!(off * 2 <= parts, "{read} is not the nearest to {parts} millionths");
    }

    #[test]
    fn intervals_read_back_exactly(ns in 1_u64..100_000_000_000) {
        let (read, again) = interval_of(&format!("Steady(interval: \"{ns} ns\")"));
        prop_assert_eq!((read, again), (Span::from_ns(ns), Span::from_ns(ns)));
    }
}
