//! What a federation does in situations that are told beforehand.

use longhaul_core::time::{Instant, Span};
use longhaul_core::units::Probability;
use longhaul_federation::outbox::Priority;
use longhaul_federation::planted::Planted;
use longhaul_federation::{
    ClusterId, Command, CommandOptions, Event, Lost, Options, Topology, UpdateOptions, WorkloadOptions,
};
use longhaul_raft::history::Verdict;

use super::world::World;

/// The default configuration, with encoding that takes no time and without a dictionary.
pub fn options() -> Options {
    let mut options = Options::default();
    options.encoding.costs_time = false;
    options.encoding.dictionary_bytes = None;
    options
}

pub fn percent(percent: u64) -> Probability {
    Probability::from_ratio(percent, 100).expect("a share")
}

pub fn updates(every_ms: u64, keys: u32) -> UpdateOptions {
    UpdateOptions {
        every: Span::from_ms(every_ms),
        keys,
        shared: true,
        value_bytes: 4_096,
        changed: percent(5),
        hot_keys: percent(10),
        hot_updates: percent(50),
        removals: percent(2),
        priority: Priority::Normal,
    }
}

const HUB: Topology = Topology::Star { hub: ClusterId(1) };

#[test]
fn what_is_written_anywhere_is_known_everywhere() {
    for topology in [Topology::Mesh, Topology::Ring, HUB] {
        let mut world = World::new(1, 4, topology, &options(), None);
        world.run_for(Span::from_s(2));
        for id in 0..4 {
            world.put(id, &format!("key-{id}"), &vec![id as u8; 10_000]);
        }
        world.settle(Span::from_s(60));
        for id in 0..4 {
            for of in 0..4 {
                let value = world.value(id, &format!("key-{of}"));
                assert_eq!(value.as_deref(), Some(&vec![of as u8; 10_000][..]));
            }
        }
        assert!(world.states_agree());
    }
}

/// Three updates during a partition of 20 s are queued, delivered in their order afterwards, and then the states are the
/// same.
#[test]
fn updates_during_a_partition_arrive_in_order_afterwards() {
    let mut options = options();
    options.sync.coalesce = false;
    let mut world = World::new(1, 2, Topology::Mesh, &options, None);
    world.run_for(Span::from_s(1));
    world.put(0, "b", b"before");
    world.settle(Span::from_s(30));
    world.cut_off(&[0]);
    for (key, value) in [("b", "first"), ("a", "second"), ("b", "third")] {
        world.run_for(Span::from_s(5));
        world.put(0, key, value.as_bytes());
    }
    world.run_for(Span::from_s(5));
    assert!(world.events_of(0).any(|event| matches!(
        event,
        Event::Disconnected { why: Lost::Silent, silent, .. } if *silent < Span::from_s(8)
    )));
    assert_eq!(world.cluster(0).statistics().outbox.longest, 3);
    assert_eq!(world.value(1, "b").as_deref(), Some(&b"before"[..]));
    assert!(!world.states_agree());
    world.heal();
    let mut seen = Vec::new();
    let end = world.now + Span::from_s(60);
    while world.now < end && !world.is_settled() {
        world.run_for(Span::from_ms(1));
        let value = world.value(1, "b").expect("it was there before");
        if seen.last() != Some(&value) {
            // The second came no later than the third, and no earlier than the first.
            let second = world.value(1, "a").is_some();
            assert!(&value[..] != b"before" || !second);
            assert!(&value[..] != b"third" || second);
            seen.push(value);
        }
    }
    assert_eq!(seen, ["before", "first", "third"]);
    assert_eq!(world.cluster(1).statistics().overtaken, 0);
    assert!(world.states_agree());
    let reconciled = world
        .events_of(0)
        .filter(|event| matches!(event, Event::Reconciled { .. }));
    assert_eq!(reconciled.count(), 2, "after each connection");
}

#[test]
fn an_outbox_that_overflows_is_made_good_by_comparing_the_states() {
    let mut options = options();
    options.sync.outbox_messages = 20;
    let mut world = World::new(1, 2, Topology::Mesh, &options, None);
    world.run_for(Span::from_s(1));
    for n in 0..300 {
        world.put(1, &format!("old-{n}"), b"both have this");
        world.run_for(Span::from_ms(500));
    }
    world.settle(Span::from_s(60));
    world.cut_off(&[0]);
    for n in 0..200 {
        world.put(0, &format!("left-{n}"), b"value of the left");
        world.put(1, &format!("right-{n}"), b"value of the right");
        world.put(n % 2, "both", format!("{n}").as_bytes());
        world.run_for(Span::from_ms(100));
    }
    let outbox = world.cluster(0).statistics().outbox;
    // A batch of 100 was under way when the connection was lost.
    assert!(outbox.dropped >= 80 && outbox.longest <= 20, "{outbox:?}");
    assert!(
        world
            .events_of(0)
            .any(|event| matches!(event, Event::Overflow { .. }))
    );
    world.heal();
    world.settle(Span::from_s(120));
    assert!(world.states_agree());
    assert_eq!(world.cluster(0).state().len(), 701);
    assert_eq!(world.value(0, "both").as_deref(), Some(&b"199"[..]));
    let found = world.events_of(0).any(|event| {
        matches!(event, Event::Reconciled { differing_keys, .. } if (160..1_000).contains(differing_keys))
    });
    assert!(found, "what was dropped was found, and little else");
    // Of the 300 keys that both had, none travelled again.
    let sent = world.cluster(0).statistics().data.sent;
    assert!(sent < 200 * 500, "{sent} bytes");
}

#[test]
fn of_two_writes_that_know_nothing_of_each_other_the_last_wins_everywhere() {
    let mut world = World::new(1, 3, Topology::Ring, &options(), None);
    world.run_for(Span::from_s(1));
    world.put(0, "key", b"original");
    world.settle(Span::from_s(60));
    world.cut_off(&[0]);
    world.put(0, "key", b"earlier");
    world.run_for(Span::from_s(1));
    world.put(1, "key", b"later");
    world.run_for(Span::from_s(30));
    world.heal();
    world.settle(Span::from_s(60));
    for id in 0..3 {
        assert_eq!(world.value(id, "key").as_deref(), Some(&b"later"[..]));
    }
    let conflicts: u64 = (0..3).map(|id| world.cluster(id).statistics().conflicts).sum();
    assert!(conflicts > 0);
}

#[test]
fn a_cluster_that_crashed_comes_back_and_misses_nothing() {
    let mut options = options();
    options.durable_after = Span::from_s(2);
    let workload = WorkloadOptions {
        duration: Span::from_s(60),
        updates: Some(updates(200, 100)),
        commands: Some(CommandOptions {
            every: Span::from_ms(300),
            value_bytes: 50,
            names: 10,
            reads: percent(30),
        }),
    };
    let mut world = World::new(3, 3, Topology::Mesh, &options, Some(workload));
    world.run_for(Span::from_s(25));
    world.crash(ClusterId(1));
    world.run_for(Span::from_s(20));
    world.restart(ClusterId(1));
    world.settle(Span::from_s(200));
    assert!(world.states_agree());
    let restarted = world.events_of(1).find_map(|event| match event {
        Event::Restarted {
            incarnation,
            taken_back,
        } => Some((*incarnation, *taken_back)),
        _ => None,
    });
    assert!(matches!(restarted, Some((2, 1..))), "{restarted:?}");
    assert_eq!(world.check_history(), Verdict::Linearizable);
    let registry = |id| world.cluster(id).replica().expect("all vote").digest();
    assert_eq!((registry(0), registry(1)), (registry(2), registry(2)));
}

#[test]
fn commands_are_ordered_by_the_log_whoever_leads() {
    for topology in [Topology::Mesh, Topology::Ring, HUB] {
        let workload = WorkloadOptions {
            duration: Span::from_s(40),
            updates: None,
            commands: Some(CommandOptions {
                every: Span::from_ms(100),
                value_bytes: 50,
                names: 20,
                reads: percent(30),
            }),
        };
        let mut world = World::new(5, 5, topology, &options(), Some(workload));
        world.settle(Span::from_s(90));
        assert_eq!(world.check_history(), Verdict::Linearizable);
        let mut sum = longhaul_federation::Statistics::default();
        (0..5).for_each(|id| sum.add(&world.cluster(id).statistics()));
        let log = sum.consensus_log.expect("a log");
        assert!(log.committed > 1_000 && log.terms_led == 1, "{log:?}");
        // All commands of the time before there was a leader took as long as that; none failed.
        assert_eq!((log.failed, log.proposals), (0, log.committed));
        let median = log.commit_latency.quantile_thousandths(500).expect("commands");
        // From a follower: to the leader and back, one round of the log, batches and disks.
        assert!(
            (Span::from_ms(80)..Span::from_ms(400)).contains(&median),
            "{median:?}"
        );
    }
}

#[test]
fn a_silent_member_is_named_after_the_timeout_of_consensus() {
    let mut world = World::new(5, 3, Topology::Mesh, &options(), None);
    world.run_for(Span::from_s(10));
    let leader = (0..3).find(|id| {
        world
            .events_of(*id)
            .any(|event| matches!(event, Event::Leads { .. }))
    });
    let leader = leader.expect("a leader");
    let silent = (leader + 1) % 3;
    world.cut_off(&[silent]);
    let (name, value) = ("name".to_owned(), b"value".to_vec());
    world.command(ClusterId(leader), Command::Propose { name, value });
    world.run_for(Span::from_s(6));
    assert!(world.events_of(leader).any(|event| {
        matches!(event, Event::NotAcknowledged { committed: true, silent: named, .. } if *named == [ClusterId(silent)])
    }));
    // A client at the member that is cut off hears who did not answer.
    let (name, value) = ("name".to_owned(), b"other".to_vec());
    world.command(ClusterId(silent), Command::Propose { name, value });
    world.run_for(Span::from_s(6));
    let failed = world.events_of(silent).find_map(|event| match event {
        Event::CommandFailed { why } => Some(why.clone()),
        _ => None,
    });
    assert!(failed.is_some_and(|why| why.starts_with("no answer within 5 s; silent: ")));
}

#[test]
fn whoever_is_not_to_be_had_is_reported_and_tried_on() {
    let mut options = options();
    options.connection.connect_timeout = Span::from_s(2);
    let mut world = World::new(1, 2, Topology::Mesh, &options, None);
    world.cut_off(&[0]);
    world.run_for(Span::from_s(100));
    let reports: Vec<&Event> = world
        .events_of(0)
        .filter(|event| matches!(event, Event::OutOfReach { .. }))
        .collect();
    assert_eq!(
        reports,
        [&Event::OutOfReach {
            peer: ClusterId(1),
            attempts: 10
        }]
    );
    // Ten attempts of 2 s with 5 s between them, then one every 30 s.
    let dials = world.cluster(0).statistics().dials;
    assert!((10..=12).contains(&dials), "{dials}");
    world.heal();
    world.run_for(Span::from_s(40));
    assert_eq!(world.cluster(0).connections(), 1);
    assert!(world.now > Instant::ZERO);
}

#[test]
fn few_changes_cost_few_bytes() {
    // 1 MiB of state in one value; between two synchronisations one block in a hundred changes, or one in ten.
    for (changed, least) in [(1, 50), (10, 9)] {
        let workload = WorkloadOptions {
            duration: Span::from_s(190),
            updates: Some(UpdateOptions {
                every: Span::from_s(10),
                keys: 1,
                value_bytes: 1 << 20,
                changed: percent(changed),
                removals: Probability::ZERO,
                ..updates(0, 1)
            }),
            commands: None,
        };
        let mut options = options();
        options.consensus = None;
        options.encoding.max_delta_chain = 1_000;
        let mut world = World::with_workload_at_first(1, 2, Topology::Mesh, &options, workload);
        world.run_for(Span::from_s(30));
        let begin = world.cluster(0).statistics();
        world.settle(Span::from_s(300));
        let end = world.cluster(0).statistics();
        let (values, frames) = (
            end.value_bytes - begin.value_bytes,
            end.data.sent - begin.data.sent,
        );
        let ratio = values / frames.max(1);
        assert!(
            values > 5 << 20 && ratio >= least,
            "{values} bytes in {frames}: {ratio}"
        );
        assert!(world.states_agree());
    }
}

/// What waits when a partition is noticed is brought afterwards, but for the bug; comparing the states makes good for that.
#[test]
fn an_outbox_loses_nothing_in_a_partition_unless_that_is_planted() {
    let mut options = options();
    options.sync.coalesce = false;
    for (planted, lost) in [(Planted::Nothing, 0), (Planted::OutboxForgets, 3)] {
        let mut world = World::with_planted(1, 2, &options, planted);
        world.run_for(Span::from_s(1));
        world.put(0, "a", b"before");
        world.settle(Span::from_s(30));
        world.cut_off(&[0]);
        // The peer is found to be gone before it is time to synchronise.
        for value in ["first", "second", "third"] {
            world.put(0, "a", value.as_bytes());
        }
        world.run_for(Span::from_s(40));
        world.heal();
        world.settle(Span::from_s(60));
        assert_eq!(world.cluster(0).statistics().lost_changes(), lost, "{planted:?}");
        assert_eq!(world.value(1, "a").as_deref(), Some(&b"third"[..]));
        assert!(world.states_agree());
    }
}
