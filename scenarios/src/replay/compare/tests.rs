//! Verdicts on measurements that are made up from simulated runs: a kernel that behaves exactly as the simulator, and
//! one that differs in one thing.

use std::collections::BTreeMap;

use longhaul_core::machine::PeerId;
use longhaul_core::record::{Ended, Progress, Verdict};
use longhaul_replay::outcome::{
    LinkCounters, MachineEvent, OUTCOME_FORMAT, Replication, StepDone, TcpCounters, Vitals,
};
use serde_json::json;

use super::*;
use crate::run::{RunOptions, RunOutput, Simulation};
use crate::source::Source;

const TEXT: &str = r#"Scenario(
    version: 1, name: "pair", question: "q", expect: "e", seed: 3, horizon: "1 min", sample_interval: "1 s",
    regions: [(name: "a"), (name: "b")],
    links: [
        (from: "a", to: "b", delay: "10 ms", rate: "20 Mbit/s", queue: Packets(1000)),
        (from: "b", to: "a", delay: "10 ms", rate: "20 Mbit/s", queue: Packets(1000)),
    ],
    vms: [(name: "db", region: "a", memory: Generated(pattern: Constant, size: "1 MiB", dirty: (rate: "50 pages/s")))],
    migrations: [(name: "move", vm: "db", to: "b", transport: (streams: 2))],
    transfers: [
        (name: "bulk", from: "b", to: "a", size: "300 kB", at: "100 ms"),
        (name: "timed", from: "b", to: "a", duration: "200 ms", streams: 2),
    ],
    assertions: [
        (metric: TransferCompletionTime, statistic: Max, bound: AtMost("20 s")),
        (metric: LinkUtilisation, statistic: Max, bound: AtMost("100 %")),
    ],
)"#;

/// The scenario above with these changes.
pub fn loaded(changes: &[&str]) -> Loaded {
    let source = Source {
        name: "pair".to_owned(),
        text: TEXT.to_owned(),
        base_dir: std::path::PathBuf::new(),
    };
    let changes: Vec<String> = changes.iter().map(|&change| change.to_owned()).collect();
    crate::load(&source, &changes, None).unwrap_or_else(|errors| panic!("{errors}"))
}

fn output(loaded: &Loaded) -> RunOutput {
    let mut simulation = Simulation::build(loaded, RunOptions::default()).unwrap();
    while simulation.advance(1 << 20) {}
    simulation.finish(false)
}

/// A simulated run.
pub fn run(loaded: &Loaded) -> RunRecord {
    output(loaded).record
}

/// What a kernel would measure that behaves as the simulator does.
fn measured(loaded: &Loaded, number: u32) -> Replication {
    let output = output(&loaded.replication(number));
    let record = &output.record;
    let peers = |entity: &str, kind: &str| match (entity, kind) {
        ("move", "Resumed" | "Arrived" | "StreamEnded") => 1,
        ("move", _) => 0,
        ("bulk", "StreamRead") => 3,
        ("bulk", _) => 2,
        ("timed", "StreamRead") => 5,
        _ => 4,
    };
    let mut events = Vec::new();
    let mut timeline = Vec::new();
    for event in &output.events {
        if event.kind == "Killed" {
            timeline.push(StepDone {
                what: format!("{} killed", event.entity),
                planned_ns: event.at_ns,
                begun_ns: event.at_ns,
                done_ns: event.at_ns,
            });
        }
        if !["move", "bulk", "timed"].contains(&event.entity.as_str()) {
            continue;
        }
        let detail: Option<serde_json::Value> = serde_json::from_str(&event.detail).ok();
        let peer = PeerId(peers(&event.entity, &event.kind));
        let ends = matches!(event.kind.as_str(), "TimeUp" | "StreamFinished");
        events.push(MachineEvent {
            at_ns: event.at_ns,
            peer,
            event: detail.map_or_else(
                || json!(event.kind),
                |detail| json!({ event.kind.clone(): detail }),
            ),
        });
        if ends {
            let transfer = record.transfers.iter().find(|t| t.name == event.entity).unwrap();
            let received = transfer.received_in_time.unwrap_or(transfer.received);
            events.push(MachineEvent {
                at_ns: event.at_ns + 10_000,
                peer: PeerId(peer.0 + 1),
                event: json!({ "Summary": { "received": received, "by_stream": [received] } }),
            });
        }
    }
    let counted = |t: &longhaul_core::record::TransferRecord| TcpCounters {
        segments: t.segments,
        retransmits: t.retransmits,
    };
    let links = record.links.iter().map(|link| {
        let packets = link.packets.unwrap();
        LinkCounters {
            name: link.name.clone(),
            sent_bytes: link.delivered_bytes,
            sent_packets: packets.delivered_packets,
            dropped_by_law: packets.lost_packets,
            dropped_by_queue: Some(packets.queue_dropped_packets),
            lost_down: packets.down_lost_packets,
        }
    });
    let statistics = output
        .events
        .iter()
        .find(|e| e.kind == "Completed" && e.entity == "move");
    let statistics = statistics.map_or_else(serde_json::Value::default, |event| {
        serde_json::from_str(&event.detail).unwrap()
    });
    Replication {
        number,
        ended: Ended::Done,
        events,
        summaries: BTreeMap::from([
            (0, statistics["statistics"].clone()),
            (3, json!({ "received": record.transfers[0].received })),
            (5, json!({ "received": record.transfers[1].received })),
        ]),
        tcp: BTreeMap::from([
            (2, counted(&record.transfers[0])),
            (4, counted(&record.transfers[1])),
        ]),
        links: links.collect(),
        timeline,
        health: Vitals {
            ceiling_bits_per_s: Some(800_000_000),
            busy_share: Some(0.2),
            ..Vitals::default()
        },
        tapes: BTreeMap::new(),
    }
}

fn outcome(loaded: &Loaded, replications: u32) -> Outcome {
    Outcome {
        format: OUTCOME_FORMAT,
        kernel: "Linux 6.1.0".to_owned(),
        replications: (0..replications).map(|number| measured(loaded, number)).collect(),
    }
}

fn compared(loaded: &Loaded, change: impl FnOnce(&mut Outcome)) -> ReplayRecord {
    let settings = settings_with(loaded, Some(5), Some(6));
    let simulated: Vec<RunRecord> = (0..6).map(|i| run(&loaded.replication(i))).collect();
    let mut outcome = outcome(loaded, 5);
    change(&mut outcome);
    let worlds = Worlds {
        loaded,
        settings: &settings,
        simulated: &simulated,
        outcome: &outcome,
        backend: Some(Backend::Vm),
        steps: 0,
        notes: &[],
        reproduce: "longhaul replay pair",
    };
    compare(&worlds).unwrap()
}

fn verdict_of<'r>(record: &'r ReplayRecord, metric: &str, entity: &str) -> &'r ComparisonRecord {
    let of = |c: &&ComparisonRecord| c.metric == metric && c.entity == entity;
    record
        .comparisons
        .iter()
        .find(of)
        .unwrap_or_else(|| panic!("no {metric} of {entity}"))
}

#[test]
fn records_of_a_kernel_that_behaves_as_the_simulator_are_those_of_the_simulator() {
    let loaded = loaded(&[]);
    let (simulated, replayed) = (
        run(&loaded),
        records(&loaded.scenario, &measured(&loaded, 0)).unwrap(),
    );
    let mut migration = simulated.migrations[0].clone();
    migration.transport = replayed.migrations[0].transport;
    assert_eq!(replayed.migrations[0], migration);
    assert!(replayed.migrations[0].transport.chunks > 0 && replayed.migrations[0].downtime_ns.is_some());
    let mut transfers = simulated.transfers.clone();
    // The two streams' shares are made up above.
    transfers[1].fairness_millionths = replayed.transfers[1].fairness_millionths;
    assert_eq!(replayed.transfers, transfers);
    assert!(replayed.transfers[1].goodput().is_some());
    assert_eq!(
        replayed.links[0].delivered_bytes,
        simulated.links[0].delivered_bytes
    );
}

#[test]
fn what_is_killed_or_starts_late_because_it_is_paused_ends_as_in_the_simulator() {
    for (faults, bulk) in [
        (r#"Kill(region: "b", at: "150 ms")"#, "killed in b"),
        // Neither has begun: `bulk` and `timed` are sent from there.
        (
            r#"Pause(region: "b", at: "0 s"), Kill(region: "b", at: "1 s")"#,
            "killed in b",
        ),
        (r#"Pause(region: "b", at: "50 ms", for: "700 ms")"#, ""),
    ] {
        let loaded = loaded(&[&format!("faults=[{faults}]")]);
        let simulated = run(&loaded);
        let replayed = records(&loaded.scenario, &measured(&loaded, 0)).unwrap();
        let expected = match bulk {
            "" => Progress::Completed,
            reason => Progress::Failed(reason.to_owned()),
        };
        assert_eq!(replayed.transfers[0].progress, expected, "{faults}");
        for (one, other) in replayed.transfers.iter().zip(&simulated.transfers) {
            assert_eq!(one.progress, other.progress, "{faults}");
            assert_eq!(one.completion_ns, other.completion_ns, "{faults}");
        }
        let (one, other) = (&replayed.migrations[0], &simulated.migrations[0]);
        assert_eq!(one.progress, other.progress, "{faults}");
        assert_eq!(one.started_ns, other.started_ns, "{faults}");
        assert_eq!(one.total_time_ns, other.total_time_ns, "{faults}");
    }
}

#[test]
fn equal_worlds_pass_by_the_default_margins() {
    let record = compared(&loaded(&[]), |_| {});
    assert_eq!(record.verdict, ReplayVerdict::Pass, "{:#?}", record.comparisons);
    let compared: Vec<(&str, &str)> = record
        .comparisons
        .iter()
        .map(|c| (c.metric.as_str(), c.entity.as_str()))
        .collect();
    assert_eq!(
        compared,
        [
            ("MigrationTotalTime", "move"),
            ("MigrationDirtySyncCount", "move"),
            ("MigrationSuccess", "move"),
            ("TransferCompletionTime", "bulk"),
            ("TransferCompletionTime", "timed"),
            ("LinkDelivered", "a->b"),
            ("LinkDelivered", "b->a"),
        ]
    );
    assert!(record.comparisons.iter().all(|c| !c.declared));
    let json = serde_json::to_string(&record).unwrap();
    assert_eq!(serde_json::from_str::<ReplayRecord>(&json).unwrap(), record);
}

#[test]
fn a_slower_kernel_misses_the_margin_of_time_alone() {
    let slower = |outcome: &mut Outcome| {
        for replication in &mut outcome.replications {
            for event in replication.events.iter_mut().filter(|event| event.peer.0 == 2) {
                event.at_ns += 50_000_000;
            }
        }
    };
    let record = compared(&loaded(&[]), slower);
    assert_eq!(record.verdict, ReplayVerdict::Fail);
    let failed: Vec<&ComparisonRecord> = record
        .comparisons
        .iter()
        .filter(|c| c.verdict == ComparisonVerdict::Fail)
        .collect();
    assert_eq!(failed.len(), 1);
    assert_eq!(
        (failed[0].metric.as_str(), failed[0].entity.as_str()),
        ("TransferCompletionTime", "bulk")
    );
    assert!(
        failed[0].difference.unwrap().value < -50_000,
        "{:?}",
        failed[0].difference
    );
}

#[test]
fn declared_margins_replace_the_defaults_and_a_name_comes_before_all() {
    let loaded = loaded(&[r#"replay=(margins: [
        (metric: TransferCompletionTime, within: "1 ms"),
        (metric: TransferCompletionTime, scope: Only("timed"), within: "2 %"),
        (metric: TransferGoodput, scope: Only("timed"), within: "2 Mbit/s"),
        (metric: LinkLoss, within: "0.1 %"),
        (metric: LinkQueueDelay, scope: Only("a->b"), within: "1 ms"),
    ])"#]);
    let record = compared(&loaded, |_| {});
    let margin = |metric, entity| verdict_of(&record, metric, entity).margin;
    assert_eq!(
        margin("TransferCompletionTime", "bulk"),
        MarginRecord::Absolute(1_000_000)
    );
    assert_eq!(
        margin("TransferCompletionTime", "timed"),
        MarginRecord::Relative(20_000)
    );
    assert_eq!(
        margin("TransferGoodput", "timed"),
        MarginRecord::Absolute(2_000_000)
    );
    assert_eq!(margin("LinkLoss", "b->a"), MarginRecord::Absolute(1_000_000_000));
    assert_eq!(
        verdict_of(&record, "LinkLoss", "b->a").verdict,
        ComparisonVerdict::Pass
    );
    assert!(record.comparisons.iter().all(|c| c.declared));
    let delay = verdict_of(&record, "LinkQueueDelay", "a->b");
    assert_eq!(delay.verdict, ComparisonVerdict::NotComparable);
    assert!(
        delay.reason.contains("does not tell how long"),
        "{}",
        delay.reason
    );
    assert_eq!(record.comparisons.len(), 6);
    // Everything else passes, but what was declared and not compared is no pass.
    assert_eq!(record.verdict, ReplayVerdict::Inconclusive);
}

#[test]
fn what_finishes_in_one_world_alone_fails_and_what_sometimes_does_is_not_comparable() {
    let never = |outcome: &mut Outcome, from: usize| {
        for replication in &mut outcome.replications[from..] {
            replication.events.retain(|event| event.peer.0 != 2);
            replication.ended = Ended::Horizon;
        }
    };
    let record = compared(&loaded(&[]), |outcome| never(outcome, 0));
    let bulk = verdict_of(&record, "TransferCompletionTime", "bulk");
    assert_eq!(bulk.verdict, ComparisonVerdict::Fail);
    assert_eq!(
        bulk.reason,
        "no value in 0 of 6 simulations and 5 of 5 replications"
    );
    assert_eq!(record.verdict, ReplayVerdict::Fail);
    let record = compared(&loaded(&[]), |outcome| never(outcome, 4));
    let bulk = verdict_of(&record, "TransferCompletionTime", "bulk");
    assert_eq!(bulk.verdict, ComparisonVerdict::NotComparable);
    assert_eq!(record.verdict, ReplayVerdict::Inconclusive);
}

#[test]
fn too_few_replications_of_something_that_varies_are_not_comparable() {
    let record = compared(&loaded(&["replay=(replications: 2)"]), |outcome| {
        outcome.replications.truncate(4);
        for (late, replication) in (0..).zip(&mut outcome.replications) {
            replication
                .events
                .iter_mut()
                .for_each(|event| event.at_ns += late);
        }
    });
    let bulk = verdict_of(&record, "TransferCompletionTime", "bulk");
    assert_eq!(bulk.reason, "fewer than 5 replications, and their values vary");
}

#[test]
fn an_unhealthy_replay_is_invalid_whatever_its_numbers_say() {
    let record = compared(&loaded(&[]), |outcome| {
        outcome.replications[3].health.busy_share = Some(0.95);
    });
    assert_eq!(record.verdict, ReplayVerdict::Invalid);
    assert_eq!(record.reason, "the replay is not trustworthy: processors");
    assert!(
        record
            .comparisons
            .iter()
            .all(|c| c.verdict == ComparisonVerdict::Pass)
    );
}

#[test]
fn assertions_are_judged_on_every_replication() {
    let record = compared(&loaded(&[]), |_| {});
    assert_eq!(record.assertions[0].what, "Max TransferCompletionTime");
    assert_eq!(record.assertions[0].verdicts, [Verdict::Pass; 5]);
    assert_eq!(record.assertions[1].verdicts, [Verdict::Inconclusive; 5]);
    assert!(
        record.assertions[1]
            .undecided
            .as_deref()
            .unwrap()
            .contains("when it was busy")
    );
}

#[test]
fn the_timeline_has_every_step_of_every_replication() {
    let step = |late: u64| StepDone {
        what: "a->b down".to_owned(),
        planned_ns: 1_000,
        begun_ns: 1_000 + late,
        done_ns: 2_000 + late,
    };
    let record = compared(&loaded(&[]), |outcome| {
        for (late, replication) in (0..).zip(&mut outcome.replications) {
            replication.timeline.push(step(late));
        }
    });
    assert_eq!(record.timeline.len(), 1);
    assert_eq!(record.timeline[0].begun_ns, [1_000, 1_001, 1_002, 1_003, 1_004]);
    // A step that the scenario does not have.
    assert_eq!(record.verdict, ReplayVerdict::Invalid);
}

#[test]
fn measurements_of_another_scenario_are_refused() {
    let loaded = loaded(&[]);
    let refused = |change: &dyn Fn(&mut Replication)| {
        let mut replication = measured(&loaded, 0);
        change(&mut replication);
        records(&loaded.scenario, &replication).unwrap_err().to_string()
    };
    let links = refused(&|r| r.links[1].name = "b->c".to_owned());
    assert!(
        links.contains("links a->b, b->c; the scenario has a->b, b->a"),
        "{links}"
    );
    assert!(refused(&|r| r.links.truncate(1)).contains("links a->b;"));
    for (peer, event) in [
        (6, json!("Completed")),
        (0, json!("Nonsense")),
        (3, json!({ "Summary": 5 })),
    ] {
        let error = refused(&|r| {
            r.events.push(MachineEvent {
                at_ns: 1,
                peer: PeerId(peer),
                event: event.clone(),
            });
        });
        assert!(error.contains(&format!("machine {peer} reports")), "{error}");
    }
}
