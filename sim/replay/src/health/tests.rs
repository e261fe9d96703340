//! Every check can hold and can fail, and says what to do.

use std::collections::BTreeMap;

use longhaul_core::random::Streams;

use super::*;
use crate::outcome::{OUTCOME_FORMAT, StepDone, Vitals};

fn facts() -> Facts {
    Facts {
        replications: 2,
        largest_rate_bits_per_s: 100_000_000,
        steps: 1,
        links: vec![LinkFacts {
            name: "a->b".to_owned(),
            loss_parts: (10_000_000_000, 10_000_000_000),
            burst: 1,
            simulated_queue_drops: 0,
        }],
    }
}

fn replication(number: u32) -> Replication {
    Replication {
        number,
        ended: Ended::Done,
        events: Vec::new(),
        summaries: BTreeMap::new(),
        tcp: BTreeMap::new(),
        links: vec![LinkCounters {
            name: "a->b".to_owned(),
            sent_bytes: 15_000_000,
            sent_packets: 9_900,
            dropped_by_law: 100,
            dropped_by_queue: Some(0),
            lost_down: 0,
        }],
        timeline: vec![StepDone {
            what: "a->b down".to_owned(),
            planned_ns: 1_000_000_000,
            begun_ns: 1_000_100_000,
            done_ns: 1_003_000_000,
        }],
        health: Vitals {
            ceiling_bits_per_s: Some(150_000_000),
            busy_share: Some(0.1),
            ..Vitals::default()
        },
        tapes: BTreeMap::new(),
    }
}

fn outcome() -> Outcome {
    Outcome {
        format: OUTCOME_FORMAT,
        kernel: "Linux 6.1".to_owned(),
        replications: vec![replication(0), replication(1)],
    }
}

/// The names of the checks that do not hold after a change.
fn failed(change: impl FnOnce(&mut Outcome)) -> Vec<String> {
    let mut outcome = outcome();
    change(&mut outcome);
    let checks = judge(&outcome, &facts());
    for check in &checks {
        assert_eq!(check.advice.is_some(), !check.passed, "{check:?}");
    }
    checks
        .into_iter()
        .filter(|check| !check.passed)
        .map(|check| check.name)
        .collect()
}

#[test]
fn a_healthy_replay_passes_every_check() {
    assert!(failed(|_| {}).is_empty());
    assert_eq!(judge(&outcome(), &facts()).len(), 8);
}

#[test]
fn each_illness_fails_its_own_check_alone() {
    let one = |change: fn(&mut Replication)| failed(move |outcome| change(&mut outcome.replications[1]));
    assert_eq!(one(|r| r.ended = Ended::Interrupted), ["finished"]);
    assert_eq!(
        one(|r| r.health.ceiling_bits_per_s = Some(149_999_999)),
        ["ceiling"]
    );
    assert_eq!(
        one(|r| r.health.offloads_on = vec!["a/v0: tso".to_owned()]),
        ["offloads"]
    );
    assert_eq!(
        one(|r| r.health.latest_wake_ns = WAKE_SLIP_NS + 1),
        ["timer slip"]
    );
    assert_eq!(
        one(|r| r.timeline[0].done_ns = 1_000_000_001 + STEP_SLIP_NS),
        ["timer slip"]
    );
    assert_eq!(one(|r| r.timeline[0].begun_ns = 999_999_999), ["timer slip"]);
    assert_eq!(
        one(|r| {
            r.timeline.clear();
            r.ended = Ended::Horizon;
        }),
        ["steps"]
    );
    assert_eq!(one(|r| r.links[0].dropped_by_law = 300), ["loss"]);
    assert_eq!(one(|r| r.links[0].dropped_by_queue = Some(1)), ["queues"]);
    assert_eq!(one(|r| r.health.busy_share = Some(0.81)), ["processors"]);
}

#[test]
fn what_was_not_measured_does_not_hold() {
    let none = failed(|outcome| {
        outcome
            .replications
            .iter_mut()
            .for_each(|r| r.health = Vitals::default());
    });
    assert_eq!(none, ["ceiling", "processors"]);
    assert_eq!(failed(|outcome| outcome.replications.truncate(1)), ["finished"]);
    let nothing = failed(|outcome| outcome.replications.clear());
    assert_eq!(nothing, ["finished", "ceiling", "timer slip", "processors"]);
}

#[test]
fn a_ceiling_that_is_too_low_names_the_scale_that_fits() {
    let mut outcome = outcome();
    outcome.replications[0].health.ceiling_bits_per_s = Some(40_000_000);
    let checks = judge(&outcome, &facts());
    let ceiling = checks.iter().find(|check| check.name == "ceiling").unwrap();
    assert!(
        ceiling.advice.as_deref().unwrap().contains("--scale 4 "),
        "{ceiling:?}"
    );
}

#[test]
fn a_replication_that_reaches_the_horizon_is_a_result_and_no_illness() {
    assert!(failed(|outcome| outcome.replications[0].ended = Ended::Horizon).is_empty());
}

#[test]
fn a_law_that_does_not_act_is_noticed_and_so_is_a_loss_without_a_law() {
    assert_eq!(
        failed(|outcome| outcome.replications.iter_mut().for_each(|r| {
            r.links[0].sent_packets = 10_000;
            r.links[0].dropped_by_law = 0;
        })),
        ["loss"]
    );
    let mut facts = facts();
    facts.links[0].loss_parts = (0, 0);
    let mut outcome = outcome();
    outcome
        .replications
        .iter_mut()
        .for_each(|r| r.links[0].dropped_by_law = 0);
    assert!(judge(&outcome, &facts).iter().all(|check| check.passed));
    outcome.replications[0].links[0].dropped_by_law = 1;
    assert!(
        judge(&outcome, &facts)
            .iter()
            .any(|check| check.name == "loss" && !check.passed)
    );
}

#[test]
fn losses_in_bursts_may_lie_further_off() {
    let alone = deviation(1e4, 0.01, 1);
    assert!((40.0..100.0).contains(&alone), "{alone}");
    assert!(deviation(1e4, 0.01, 8) > 2.5 * alone);
    assert_eq!(deviation(1e4, 0.0, 8), 0.0);
}

#[test]
fn chance_alone_hardly_ever_fails_the_loss_check() {
    // 2,000 links of 5,000 frames each, in bursts of three: none may be refused at one in a million.
    let mut stream = Streams::new(11, 0).stream("links", "loss");
    let (mean, burst) = (0.01, 3_u32);
    let to_good = 1.0 / f64::from(burst);
    let to_bad = mean * to_good / (1.0 - mean);
    for _ in 0..2_000 {
        let (mut bad, mut lost) = (stream.unit() < mean, 0_u32);
        for _ in 0..5_000 {
            lost += u32::from(bad);
            bad = stream.unit() < if bad { 1.0 - to_good } else { to_bad };
        }
        assert!(
            (f64::from(lost) - 50.0).abs() <= deviation(5_000.0, mean, burst),
            "{lost}"
        );
    }
}
