//! Hunts: what may strike at services, and bugs on purpose that a hunt must find in schedules under which nothing fails
//! without them.
//!
//! `cargo test -p longhaul-scenarios --test language --release -- --ignored hunts` tries a hundred times as many.

use std::collections::BTreeSet;

use longhaul_core::record::Verdict;
use longhaul_federation::planted::Planted as ClusterBug;
use longhaul_resilience::planted::Planted as PolicyBug;
use longhaul_scenarios::hunt::{FaultClass, Hunt, hunt};
use longhaul_scenarios::parallel::Unwatched;
use longhaul_scenarios::run::{Planted, RunOptions, Simulation};
use longhaul_scenarios::schema::Fault;

use crate::read;

const NO_BUG: Planted = Planted {
    policies: PolicyBug::Nothing,
    clusters: ClusterBug::Nothing,
};

/// A bug, and a scenario in which it shows under faults of some classes and under them alone.
struct Prey {
    bug: Planted,
    text: String,
    classes: Vec<FaultClass>,
}

impl Prey {
    fn hunt(&self, planted: Planted, schedules: u32) -> longhaul_scenarios::hunt::Hunted {
        let loaded = read(&self.text).unwrap_or_else(|errors| panic!("{errors}"));
        let how = Hunt {
            schedules,
            classes: self.classes.clone(),
            threads: 2,
            planted,
            ..Hunt::default()
        };
        hunt(&loaded, &how, &Unwatched).expect("a hunt")
    }

    /// The bug is found and needs few faults, of which the same scenario without the bug takes no harm; nor does it of any
    /// of so many schedules.
    fn is_found(&self, schedules: u32) {
        let hunted = self.hunt(self.bug, schedules);
        let found = hunted.found.expect("the bug");
        println!(
            "{:?}: schedule {} of {} tried, {} faults of {} after {} runs: {}",
            self.bug,
            found.number,
            hunted.tried,
            found.faults,
            found.faults_before,
            found.calls,
            found.reason
        );
        assert!(found.is_complete && (1..=3).contains(&found.faults), "{found:?}");
        assert_eq!(verdict(&found.scenario, self.bug), Verdict::Fail);
        assert_eq!(
            verdict(&found.scenario, NO_BUG),
            Verdict::Pass,
            "{}",
            found.scenario
        );
        let without = self.hunt(NO_BUG, schedules);
        assert!(without.found.is_none(), "{:?}", without.found);
        assert_eq!(without.tried, schedules);
    }
}

fn verdict(text: &str, planted: Planted) -> Verdict {
    let loaded = read(text).unwrap_or_else(|errors| panic!("{errors}"));
    let options = RunOptions {
        planted,
        ..RunOptions::default()
    };
    let mut simulation = Simulation::build(&loaded, options).expect("a scenario that builds");
    while simulation.advance(u64::MAX) {}
    simulation.finish(false).record.verdict
}

/// A client that calls a service for ten seconds over a link.
fn calls(interval: &str, policies: &str, assertion: &str) -> String {
    format!(
        r#"Scenario(
            version: 1, name: "calls", question: "q", expect: "e", seed: 3, horizon: "15 s",
            regions: [(name: "users"), (name: "servers")],
            links: [(between: ("users", "servers"), rtt: "100 ms", rate: "100 Mbit/s")],
            services: [(name: "api", replicas: ["servers"], cores: 4, service_time: Constant("2 ms"))],
            clients: [(
                name: "web", region: "users", service: "api", duration: "10 s",
                load: Open(pattern: Regular, rate: Steady(interval: "{interval}")), policies: [{policies}],
            )],
            assertions: [{assertion}],
        )"#
    )
}

/// A breaker that opens for five seconds opens at 0, 5 and 10 s of the twelve in which a call may end; no more. Five calls
/// are on their way when it opens.
fn breaker() -> Prey {
    let text = calls(
        "20 ms",
        r#"Breaker(trip: Consecutive(3), open: "5 s"), Timeout("2 s")"#,
        "(metric: ClientBreakerOpenings, statistic: Max, bound: AtMost(3))",
    );
    Prey {
        bug: Planted {
            policies: PolicyBug::LateSuccessCloses,
            ..NO_BUG
        },
        text,
        classes: Vec::new(),
    }
}

/// Ten calls a second, each with one retry at most, keep a limit of twenty a second: a retry comes up to 600 ms after its
/// call, so six and another two calls may come above the rate, which is what the burst is for. A machine that stands still
/// makes up for its calls all at once.
fn bucket() -> Prey {
    let text = calls(
        "100 ms",
        r#"Retry(retries: 1, backoff: Linear(base: "100 ms", increment: "0 s"), jitter: Full),
           Rate(rate: 20, burst: 10), Timeout("500 ms")"#,
        r#"(metric: ClientRateLimited, statistic: Max, bound: AtMost("0 %"))"#,
    );
    let classes = FaultClass::ALL.into_iter();
    Prey {
        bug: Planted {
            policies: PolicyBug::LostRemainders,
            ..NO_BUG
        },
        text,
        classes: classes.filter(|class| *class != FaultClass::Pause).collect(),
    }
}

/// Outboxes have room for all; only a process that ends takes its own with it.
fn outbox() -> Prey {
    let text = r#"Scenario(
        version: 1, name: "outbox", question: "q", expect: "e", seed: 4, horizon: "40 s",
        regions: [(name: "north"), (name: "south"), (name: "west")],
        links: [
            (between: ("north", "south"), rtt: "40 ms", rate: "50 Mbit/s"),
            (between: ("north", "west"), rtt: "60 ms", rate: "50 Mbit/s"),
        ],
        federations: [(
            name: "state",
            members: ["north", "south", "west"],
            duration: "12 s",
            state: (every: "500 ms", keys: 10, value: "1 KiB", changed: "20 %"),
            commands: (every: "1 s", value: "100 B"),
            settings: (sync_interval: "1 s", keepalive: "1 s", answer_timeout: "2 s", connect_timeout: "2 s", retry_interval: "1 s"),
        )],
        assertions: [(metric: FederationLostChanges, statistic: Max, bound: AtMost(0))],
    )"#;
    Prey {
        bug: Planted {
            clusters: ClusterBug::OutboxForgets,
            ..NO_BUG
        },
        text: text.to_owned(),
        classes: vec![
            FaultClass::Latency,
            FaultClass::Loss,
            FaultClass::Bandwidth,
            FaultClass::Cut,
            FaultClass::OneWay,
            FaultClass::Isolation,
        ],
    }
}

#[test]
fn a_breaker_that_closes_on_a_late_success_is_found() {
    breaker().is_found(300);
}

#[test]
fn a_token_bucket_that_loses_remainders_is_found() {
    bucket().is_found(300);
}

#[test]
fn an_outbox_that_forgets_in_a_partition_is_found() {
    outbox().is_found(100);
}

#[test]
#[ignore = "takes minutes"]
fn bugs_are_found_and_nothing_else_in_many_schedules() {
    for prey in [breaker(), bucket(), outbox()] {
        prey.is_found(3_000);
    }
}

/// A service in two regions whose client looks its name up, and nothing that holds under all faults.
fn fragile() -> String {
    calls(
        "20 ms",
        r#"Timeout("500 ms")"#,
        r#"(metric: ClientSuccess, statistic: Min, bound: AtLeast("99.9 %"))"#,
    )
    .replace(r#"replicas: ["servers"]"#, r#"replicas: ["servers", "users"]"#)
    .replace(
        "cores: 4,",
        r#"cores: 1, memory: (limit: "1200 MiB", base: "512 MiB"),"#,
    )
    .replace(r#"Constant("2 ms")"#, r#"Constant("10 ms")"#)
    .replace(
        "policies:",
        r#"names: (ttl: "1 s", timeout: "200 ms"), policies:"#,
    )
}

/// Two clusters, both of which must write before a command is committed, and bounds that hold by a little.
fn fragile_clusters() -> String {
    r#"Scenario(
        version: 1, name: "pair", question: "q", expect: "e", seed: 4, horizon: "40 s",
        regions: [(name: "north"), (name: "south")],
        links: [(between: ("north", "south"), rtt: "40 ms", rate: "50 Mbit/s")],
        federations: [(
            name: "state", members: ["north", "south"], duration: "12 s",
            state: (every: "200 ms", keys: 4, value: "1 KiB", changed: "50 %"),
            commands: (every: "100 ms", value: "100 B", reads: "50 %"),
            settings: (consensus: Raft(disk_sync: "10 ms")),
        )],
        assertions: [
            (metric: FederationCommitLatencyMedian, statistic: Max, bound: AtMost("120 ms")),
            (metric: FederationPropagationMax, statistic: Max, bound: AtMost("9.7 s")),
            (metric: FederationFailedCommands, statistic: Max, bound: AtMost(0)),
        ],
    )"#
    .to_owned()
}

#[test]
fn every_class_strikes_and_can_be_written_down() {
    for class in FaultClass::ALL {
        let at_clusters = matches!(
            class,
            FaultClass::DiskSlow
                | FaultClass::DiskFull
                | FaultClass::DiskFailed
                | FaultClass::ClockAhead
                | FaultClass::ClockBehind
                | FaultClass::ClockFast
                | FaultClass::ClockSlow
        );
        let prey = Prey {
            bug: NO_BUG,
            text: if at_clusters {
                fragile_clusters()
            } else {
                fragile()
            },
            classes: vec![class],
        };
        let hunted = prey.hunt(NO_BUG, 400);
        let name = class.name();
        // What a link is slower by is too little to fail.
        if class == FaultClass::Bandwidth {
            assert!(hunted.found.is_none(), "{name}");
            continue;
        }
        let found = hunted.found.unwrap_or_else(|| panic!("{name} does no harm"));
        assert_eq!(verdict(&found.scenario, NO_BUG), Verdict::Fail, "{name}");
        let small = read(&found.scenario)
            .unwrap_or_else(|errors| panic!("{errors}"))
            .scenario;
        let kinds: BTreeSet<String> = small
            .faults
            .iter()
            .map(|fault| match fault {
                Fault::Network(fault) => fault.effect.kind().name().to_owned(),
                Fault::Pause(_) => "Pause".to_owned(),
                other => panic!("{name}: {other:?}"),
            })
            .collect();
        let expected = match class {
            FaultClass::Latency | FaultClass::ServerLatency => "Latency",
            FaultClass::Loss => "Loss",
            FaultClass::Bandwidth => "Bandwidth",
            FaultClass::Cut | FaultClass::OneWay | FaultClass::Isolation => "Partition",
            FaultClass::Region => "RegionOutage",
            FaultClass::Pause => "Pause",
            FaultClass::Cpu => "CpuStarvation",
            FaultClass::Errors => "Errors",
            FaultClass::Crash => "Crash",
            FaultClass::Panics => "Panics",
            FaultClass::Gray => "Gray",
            FaultClass::Silence => "Timeouts",
            FaultClass::Leak => "Leak",
            FaultClass::Memory => "MemoryPressure",
            FaultClass::BlackHole | FaultClass::NoName => "DnsFailure",
            FaultClass::DiskSlow => "DiskSlow",
            FaultClass::DiskFull => "DiskFull",
            FaultClass::DiskFailed => "DiskFailed",
            FaultClass::ClockAhead | FaultClass::ClockBehind => "ClockSkew",
            FaultClass::ClockFast | FaultClass::ClockSlow => "ClockDrift",
        };
        assert_eq!(kinds, BTreeSet::from([expected.to_owned()]), "{name}");
    }
}
