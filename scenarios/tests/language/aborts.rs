//! Faults that go too far end at once.

use longhaul_core::record::{AbortRecord, EventRecord, RecoveryOutcome};
use longhaul_scenarios::run::{RunOptions, RunOutput, Simulation};

use crate::read;

const S: u64 = 1_000_000_000;

/// The retry storm of the library, brought about by errors: each failed request is five attempts, so 133 requests a second
/// are more than the 354 attempts that the server can work on.
fn storm(faults: &str, abort_when: &str) -> String {
    format!(
        r#"Scenario(
            version: 1, name: "storm", question: "q", expect: "e", horizon: "2 min",
            regions: [(name: "users"), (name: "servers")],
            links: [(between: ("users", "servers"), rtt: "1 ms", rate: "10 Gbit/s")],
            services: [(name: "api", replicas: ["servers"], cores: 1, service_time: Constant("2.82 ms"))],
            clients: [(
                name: "web", region: "users", service: "api", duration: "100 s", names: (ttl: "1 s", timeout: "1 s"),
                connection: (silence: "2 s"),
                load: Open(pattern: Regular, rate: Steady(interval: "7.5 ms")),
                policies: [Retry(retries: 4, backoff: Linear(base: "1 ms", increment: "0 s"), cap: "1 ms", jitter: None), Timeout("3 s")],
            )],
            faults: [{faults}],
            abort_when: [{abort_when}],
        )"#
    )
}

fn run(text: &str) -> RunOutput {
    let loaded = read(text).unwrap_or_else(|errors| panic!("{errors}"));
    let mut simulation = Simulation::build(&loaded, RunOptions::default()).expect("a scenario that builds");
    while simulation.advance(10_000) {}
    simulation.finish(false)
}

/// When, of whom and what.
type Said<'a> = (u64, &'a str, &'a str);

/// What is said, but for what a client or a server says.
fn told(output: &RunOutput) -> Vec<Said<'_>> {
    let events = output.events.iter();
    let told = events.map(|event: &EventRecord| (event.at_ns, &*event.entity, &*event.kind));
    told.filter(|(_, entity, _)| *entity != "web" && *entity != "api/servers")
        .collect()
}

const ERRORS: &str = r#"Server(name: "errors", service: "api", region: "servers", suffers: Errors("100 %"), at: "10 s", for: "30 s"),
    Server(name: "more", service: "api", region: "servers", suffers: Crash, at: "50 s", for: "5 s")"#;

#[test]
fn a_retry_storm_that_is_aborted_recovers() {
    let first = ERRORS.lines().next().expect("a fault");
    let left = run(&storm(first, ""));
    let recovery = left.record.clients[0].recovery.as_ref().expect("after faults");
    // Thirty seconds leave so many waiting that every attempt is given up before its turn comes.
    assert_eq!(recovery.outcome, RecoveryOutcome::Metastable);
    assert!(left.record.aborted.is_none());

    let aborted = run(&storm(
        ERRORS,
        r#"(metric: ClientSuccess, scope: Only("web"), below: "50 %", for: "2 s")"#,
    ));
    // The second from 10 to 11 s is the first without success, which is seen at its end; two more follow.
    let expected = AbortRecord {
        at_ns: 13 * S,
        since_ns: 11 * S,
        metric: "ClientSuccess".to_owned(),
        of: "web".to_owned(),
        value: "0 %".to_owned(),
        bound: "below 50 %".to_owned(),
    };
    assert_eq!(aborted.record.aborted.as_ref(), Some(&expected));
    let expected = [
        (10 * S, "errors", "FaultInjected"),
        (13 * S, "faults", "FaultsAborted"),
        (13 * S + 1, "errors", "FaultEnded"),
    ];
    assert_eq!(told(&aborted), expected);
    // Three seconds of a hundred are lost; what waits then is answered within the next. The request that is made last, at
    // 99.9975 s, is answered a second later by the clock: it takes 3.8 ms.
    let client = &aborted.record.clients[0];
    assert_eq!((client.good_intervals, client.intervals), (98, 101));
    let recovery = client.recovery.as_ref().expect("after faults");
    assert_eq!(recovery.fault_end_ns, 13 * S + 1);
    assert_eq!(recovery.outcome, RecoveryOutcome::Recovered);
    // Up to there it is the run that nobody aborts.
    let until = |output: &RunOutput| {
        let early = output.events.iter().filter(|event| event.at_ns <= 13 * S);
        let early = early.filter(|event| event.kind != "FaultsAborted");
        early
            .map(|event| {
                (
                    event.at_ns,
                    event.entity.clone(),
                    event.kind.clone(),
                    event.detail.clone(),
                )
            })
            .collect::<Vec<_>>()
    };
    assert_eq!(until(&aborted), until(&left));
    let early = |output: &RunOutput| {
        let series = output.series.iter();
        series
            .filter(|sample| sample.at_ns <= 13 * S)
            .cloned()
            .collect::<Vec<_>>()
    };
    assert_eq!(early(&aborted), early(&left));
}

/// What happens to a run whose faults end as soon as nobody gets an answer for a second.
fn ended(faults: &str) -> RunOutput {
    run(&storm(
        faults,
        r#"(metric: ClientGoodput, below: 50, for: "1 s"), (metric: ServiceUtilisation, above: "99.9 %", for: "1 min")"#,
    ))
}

#[test]
fn whatever_it_is_it_ends() {
    let end = 12 * S + 1;
    let cases: [(&str, &[Said]); 7] = [
        (
            r#"LinkDown(between: ("users", "servers"), at: "10 s")"#,
            &[
                (end, "users->servers", "LinkUp"),
                (end, "servers->users", "LinkUp"),
            ],
        ),
        (
            r#"Pause(region: "servers", at: "10 s", for: "1 min"), Pause(region: "servers", at: "90 s", for: "1 s")"#,
            &[(end, "servers", "Resumed")],
        ),
        (
            r#"Kill(region: "servers", at: "10 s")"#,
            &[(end, "servers", "Restarted")],
        ),
        (
            r#"RegionDown(name: "r", region: "servers", at: "10 s", recovery: Manual)"#,
            &[
                (end, "r", "FaultEnded"),
                (end, "servers", "Restarted"),
                (end, "users->servers", "LinkUp"),
            ],
        ),
        (
            r#"Server(name: "c", service: "api", region: "servers", suffers: Crash, at: "10 s", for: "1 min")"#,
            &[(end, "c", "FaultEnded")],
        ),
        (
            r#"Server(name: "s", service: "api", region: "servers", suffers: Silence("100 %"), at: "10 s", for: "1 s", recovery: Gradual(steps: 3, step: "20 s"))"#,
            &[(11 * S, "s", "FaultFades"), (end, "s", "FaultEnded")],
        ),
        (
            r#"Names(name: "n", client: "web", answer: Failed, at: "9900 ms")"#,
            &[(end, "n", "FaultEnded")],
        ),
    ];
    for (faults, expected) in cases {
        let output = ended(faults);
        let abort = output
            .record
            .aborted
            .as_ref()
            .unwrap_or_else(|| panic!("{faults}"));
        assert_eq!(abort.at_ns, 12 * S, "{faults}: {abort:?}");
        let told = told(&output);
        for expected in expected {
            assert!(
                told.contains(expected),
                "{faults}: {expected:?} is not in {told:?}"
            );
        }
        let late: Vec<_> = told
            .iter()
            .filter(|(at, _, kind)| *at > end && *kind != "Rerouted")
            .collect();
        assert!(late.is_empty(), "{faults}: {late:?}");
        // All is as before from the twentieth second on.
        let series = &output.record.clients[0].series;
        for (second, interval) in series.iter().enumerate().take(99).skip(20) {
            assert!(
                interval.succeeded >= 130,
                "{faults}: {interval:?} in second {second}"
            );
        }
    }
}

#[test]
fn what_stays_within_its_bounds_is_left_alone() {
    let without = run(&storm(ERRORS, ""));
    for condition in [
        // It never takes so long.
        r#"(metric: ClientSuccess, below: "50 %", for: "100 s")"#,
        r#"(metric: ServiceLongestQueue, above: 100000)"#,
        r#"(metric: ClientAmplification, above: 50)"#,
        r#"(metric: ServiceRefused, above: "0 %")"#,
    ] {
        let with = run(&storm(ERRORS, condition));
        assert!(with.record.aborted.is_none(), "{condition}");
        assert_eq!(with.record.digest, without.record.digest, "{condition}");
    }
}

#[test]
fn a_condition_must_mean_something() {
    let fails = |condition: &str, expected: &str| {
        let errors = read(&storm(ERRORS, condition))
            .expect_err("a mistake")
            .to_string();
        assert!(errors.contains(expected), "{condition}: {errors}");
    };
    fails(
        r#"(metric: ClientLatencyP99, above: "1 s")"#,
        "`ClientLatencyP99` is not measured during a run",
    );
    fails(
        r#"(metric: ClientSucces, below: "1 %")"#,
        "did you mean `ClientSuccess`",
    );
    fails(
        r#"(metric: ClientSuccess, scope: Only("wep"), below: "1 %")"#,
        "no client is named `wep`",
    );
    fails(
        r#"(metric: ReplicationRpoMax, above: "1 s")"#,
        "there is no replication",
    );
    fails(
        r#"(metric: ClientSuccess)"#,
        "the bound is missing: `above` or `below`",
    );
    fails(
        r#"(metric: ClientSuccess, above: "1 %", below: "2 %")"#,
        "either `above` or `below`",
    );
    fails(
        r#"(metric: ClientSuccess, below: "0 %")"#,
        "nothing is ever below this",
    );
    fails(
        r#"(metric: ServiceUtilisation, above: "100 %")"#,
        "nothing is ever above this",
    );
    fails(
        r#"(metric: ClientGoodput, below: "5 s")"#,
        "the bound of this metric is",
    );
    fails(
        r#"(metric: ClientSuccess, below: "5 %", for: "0 s")"#,
        "this time must be above zero",
    );
    fails(
        r#"(metric: ClientSuccess, below: "5 %", for: "2 min")"#,
        "never so long: the run ends at 2 min",
    );
    fails(
        r#"(metric: ClientSuccess, below: "5 %", unit: 3)"#,
        "no field `unit`",
    );
    let idle = read(&storm("", r#"(metric: ClientSuccess, below: "5 %")"#)).expect("no mistake");
    assert!(
        idle.warnings.to_string().contains("no fault strikes"),
        "{}",
        idle.warnings
    );
}
