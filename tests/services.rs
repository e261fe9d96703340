//! Services and clients over the simulated network: known answers, failing over, work in vain, and what faults do.

use longhaul_core::record::{ClientRecord, RecoveryOutcome, RunRecord};

use crate::common::run_text;

const MS: u64 = 1_000_000;
const S: u64 = 1_000 * MS;

/// Clients in `a`, servers in `b` 20 ms away and in `c` 60 ms away.
fn world(services: &str, clients: &str, rest: &str) -> RunRecord {
    run_text(&format!(
        r#"Scenario(
            version: 1, name: "world", question: "q", expect: "e", horizon: "5 min",
            regions: [(name: "a"), (name: "b"), (name: "c")],
            links: [
                (between: ("a", "b"), rtt: "20 ms", rate: "1 Gbit/s"),
                (between: ("a", "c"), rtt: "60 ms", rate: "1 Gbit/s"),
                (between: ("b", "c"), rtt: "50 ms", rate: "1 Gbit/s"),
            ],
            services: [{services}],
            clients: [{clients}],
            {rest}
        )"#
    ))
    .record
}

fn client<'r>(record: &'r RunRecord, name: &str) -> &'r ClientRecord {
    let mut clients = record.clients.iter();
    let client = clients.find(|client| client.name == name).expect("a client");
    let ended = client.succeeded + client.late + client.failed + client.in_flight;
    assert_eq!(client.started, ended, "requests are lost or doubled");
    client
}

const STORE: &str = r#"(name: "store", replicas: ["b", "c"], cores: 1, service_time: Exponential("10 ms"))"#;

/// The same with room for many at once: who waits for a late answer keeps nobody else from being served.
const ROOMY: &str = r#"(name: "store", replicas: ["b", "c"], cores: 1, concurrency: 100, service_time: Exponential("10 ms"))"#;

#[test]
fn an_idle_server_takes_a_round_trip_and_its_work() {
    let services = r#"(name: "s", replicas: ["b"], cores: 1, service_time: Constant("3 ms"))"#;
    let clients = r#"(name: "c", region: "a", service: "s", duration: "60 s", load: Open(pattern: Regular, rate: Steady(10)))"#;
    let record = world(services, clients, "");
    let latency = client(&record, "c").latency.expect("latencies");
    // 20 ms there and back and 3 ms; the frames take microseconds.
    assert!((23 * MS..24 * MS).contains(&latency.median_ns), "{latency:?}");
    assert_eq!(client(&record, "c").succeeded, 600);
    // The first one waits for the handshake.
    assert!((43 * MS..45 * MS).contains(&latency.max_ns), "{latency:?}");
}

#[test]
fn a_queue_waits_as_erlang_says() {
    // M/M/1 at half load: the mean time in the system is 1 / (μ − λ) = 20 ms, of which 10 ms are waiting.
    let clients =
        r#"(name: "c", region: "a", service: "store", duration: "240 s", load: Open(rate: Steady(50)))"#;
    let record = world(STORE, clients, "");
    let server = &record.services[0].servers[0];
    let wait = server.mean_wait_ns as f64 / 1e6;
    assert!((wait - 10.0).abs() < 1.5, "{wait} ms");
    let utilisation = server.worked_ns as f64 / record.simulated_ns as f64;
    assert!((utilisation - 0.5).abs() < 0.03, "{utilisation}");
}

#[test]
fn a_closed_loop_is_bound_by_its_round() {
    // Ten users, each 100 ms of thought, 20 ms of network and 1 ms of work: at most 10 / 121 ms = 82.6 a second.
    let services = r#"(name: "s", replicas: ["b"], cores: 4, service_time: Constant("1 ms"))"#;
    let clients = r#"(name: "c", region: "a", service: "s", duration: "120 s", load: Closed(users: 10, think: Constant("100 ms")))"#;
    let record = world(services, clients, "");
    let rate = client(&record, "c").succeeded as f64 / 120.0;
    assert!((81.0..82.7).contains(&rate), "{rate}");
}

#[test]
fn within_a_region_there_is_a_quarter_of_a_millisecond() {
    let services = r#"(name: "s", replicas: ["b"], cores: 4, service_time: Constant("1 ms"))"#;
    let clients = r#"(name: "c", region: "b", service: "s", duration: "20 s", load: Open(pattern: Regular, rate: Steady(20)))"#;
    let record = world(services, clients, "");
    let median = client(&record, "c").latency.expect("latencies").median_ns;
    assert!((1_250_000..1_300_000).contains(&median), "{median}");
    assert!(record.links.iter().all(|link| link.delivered_bytes == 0));
}

#[test]
fn clients_go_to_the_other_server_and_back() {
    let clients = r#"(
        name: "c", region: "a", service: "store", duration: "120 s", load: Open(rate: Steady(20)),
        connection: (connect_timeout: "1 s", backoff: "200 ms", backoff_max: "1 s", silence: "1 s"),
        policies: [Timeout("3 s"), Retry(retries: 3), Timeout("1 s")],
    )"#;
    let kill = r#"faults: [Kill(region: "b", at: "30 s", for: "30 s")],"#;
    let record = world(STORE, clients, kill);
    let [b, c] = &record.services[0].servers[..] else {
        panic!("two servers")
    };
    assert!((1_600..2_000).contains(&b.answered), "{}", b.answered);
    assert!((500..700).contains(&c.answered), "{}", c.answered);
    assert_eq!(b.deaths, 1);
    let client = client(&record, "c");
    assert!(client.failed < 5, "{}", client.failed);
    let recovery = client.recovery.clone().expect("a recovery");
    assert_eq!(recovery.outcome, RecoveryOutcome::Recovered);
    assert_eq!((recovery.fault_ns, recovery.fault_end_ns), (30 * S, 60 * S));
    assert!(recovery.detected_after_ns.expect("noticed") < S);
}

#[test]
fn a_request_fans_out_and_takes_the_longest_of_its_parts() {
    let services = r#"
        (name: "front", replicas: ["b"], cores: 4, service_time: Constant("1 ms"), behind: [(service: "near"), (service: "far")]),
        (name: "near", replicas: ["b"], cores: 4, service_time: Constant("2 ms")),
        (name: "far", replicas: ["c"], cores: 4, service_time: Constant("5 ms"))"#;
    let clients = r#"(name: "c", region: "a", service: "front", duration: "30 s", load: Open(pattern: Regular, rate: Steady(10)))"#;
    let record = world(services, clients, "");
    let median = client(&record, "c").latency.expect("latencies").median_ns;
    // 20 ms to the front and back, its 1 ms, 50 ms to the far one and back, its 5 ms.
    assert!((76 * MS..77 * MS).contains(&median), "{median}");
    let answered: Vec<u64> = record.services.iter().map(|it| it.servers[0].answered).collect();
    assert_eq!(answered, [300, 300, 300]);
}

/// The fault of half a minute, and what then became of a client with timeouts of a second.
fn suffering(suffers: &str) -> ClientRecord {
    let clients = r#"(
        name: "c", region: "a", service: "store", duration: "100 s", load: Open(rate: Steady(20)), policies: [Timeout("1 s")],
    )"#;
    let fault = format!(
        r#"faults: [Server(service: "store", region: "b", suffers: {suffers}, at: "30 s", for: "30 s")],"#
    );
    client(&world(ROOMY, clients, &fault), "c").clone()
}

#[test]
fn what_a_server_suffers_is_what_its_clients_see() {
    let share = |part: u64, client: &ClientRecord| part as f64 / client.started as f64;
    // A third of the time at a fifth: 4 requests a second of 20 cannot be served, and queue up.
    let starved = suffering(r#"Cpu("95 %")"#);
    assert!(share(starved.failures.timed_out, &starved) > 0.2, "{starved:?}");
    let errors = suffering(r#"Errors("50 %")"#);
    assert!(
        (share(errors.failures.error, &errors) - 0.15).abs() < 0.03,
        "{errors:?}"
    );
    let late = suffering(r#"Latency("300 ms")"#);
    assert_eq!(late.failed, 0);
    assert!(late.latency.expect("latencies").p95_ns > 300 * MS);
    let crash = suffering("Crash");
    assert!(
        share(crash.failed, &crash) < 0.05,
        "the other server serves all but those that fail while a connection is tried again: {crash:?}"
    );
    // 1 GiB of 8 with 80 % taken: half way from 85 % to the limit, where a tenth of the speed is left.
    let pressed = suffering(r#"Memory("80 %")"#);
    let late = pressed.latency.expect("latencies").p95_ns;
    let well = suffering(r#"Memory("1 %")"#).latency.expect("latencies").p95_ns;
    assert!(pressed.failed == 0 && late > well * 3 / 2, "{late} {well}");
    // With 90 % there is not enough for the process itself, which is killed until the fault ends.
    let killed = suffering(r#"Memory("90 %")"#);
    assert!(share(killed.failed, &killed) < 0.05, "{killed:?}");
    let silent = suffering(r#"Silence("50 %")"#);
    assert!(
        (share(silent.failures.timed_out, &silent) - 0.15).abs() < 0.03,
        "{silent:?}"
    );
    let gray = suffering(r#"Gray(errors: "50 %", extra: "100 ms")"#);
    assert!(
        (share(gray.failures.error, &gray) - 0.15).abs() < 0.03,
        "{gray:?}"
    );
}

#[test]
fn overlapping_faults_of_a_server_end_one_by_one() {
    let clients = r#"(
        name: "c", region: "a", service: "store", duration: "100 s", load: Open(pattern: Regular, rate: Steady(20)),
    )"#;
    let faults = r#"faults: [
        Server(name: "short", service: "store", region: "b", suffers: Latency("500 ms"), at: "20 s", for: "20 s"),
        Server(name: "long", service: "store", region: "b", suffers: Latency("200 ms"), at: "30 s", for: "30 s"),
    ],"#;
    let record = world(ROOMY, clients, faults);
    let latency = client(&record, "c").latency.expect("latencies");
    // 20 of 100 s with the stronger one, 20 s more with the weaker: the 95th percentile is beyond the first.
    assert!(
        latency.p95_ns > 500 * MS && latency.median_ns < 100 * MS,
        "{latency:?}"
    );
}

#[test]
fn policies_change_what_becomes_of_the_same_fault() {
    let with = |policies: &str| {
        let clients = format!(
            r#"(
                name: "c", region: "a", service: "one", duration: "120 s", load: Open(pattern: Regular, rate: Steady(80)),
                policies: [{policies}],
            )"#
        );
        let services = r#"(name: "one", replicas: ["b"], cores: 1, service_time: Constant("6 ms"))"#;
        let fault = r#"faults: [Server(service: "one", region: "b", suffers: Cpu("90 %"), at: "30 s", for: "10 s")],"#;
        client(&world(services, &clients, fault), "c")
            .recovery
            .clone()
            .expect("a recovery")
    };
    let retry = r#"Retry(retries: 4, backoff: Linear(base: "1 ms", increment: "0 s"), cap: "1 ms", jitter: None), Timeout("1 s")"#;
    assert_eq!(with(retry).outcome, RecoveryOutcome::Metastable);
    let budget = retry.replacen(
        "jitter: None",
        r#"jitter: None, budget: (ratio: "10 %", minimum_per_s: 0)"#,
        1,
    );
    assert_eq!(with(&budget).outcome, RecoveryOutcome::Recovered);
}
