//! Random schedules of partitions, crashes and damage.

use longhaul_core::disk::DiskCondition;
use longhaul_core::random::{Stream, Streams};
use longhaul_core::time::{Instant, Span};
use longhaul_federation::{
    ClusterId, CommandOptions, Options, Statistics, Topology, UpdateOptions, WorkloadOptions,
};
use longhaul_raft::history::Verdict;

use super::behaviour::{options, percent, updates};
use super::world::World;

/// How long things go wrong.
const TROUBLE: Span = Span::from_s(60);

/// After the last fault all states are the same within this. It may take a cluster 30 s to notice that a peer is gone
/// which it has nothing to say to, and as long until it dials again.
const RECOVERY: Span = Span::from_s(200);

/// Runs the schedule of a seed.
fn run(seed: u64) -> Statistics {
    let mut choices = Streams::new(seed, 0).stream("schedule", "choices");
    let clusters = 2 + choices.below(4) as u32;
    let topology = match choices.below(3) {
        0 => Topology::Mesh,
        1 => Topology::Ring,
        _ => Topology::Star {
            hub: ClusterId(choices.below(u64::from(clusters)) as u32),
        },
    };
    let workload = WorkloadOptions {
        duration: TROUBLE,
        updates: Some(UpdateOptions {
            value_bytes: 200 + choices.below(3_000) as u32,
            ..updates(100 + choices.below(900), 1 + choices.below(60) as u32)
        }),
        commands: Some(CommandOptions {
            every: Span::from_ms(400),
            value_bytes: 50,
            names: 20,
            reads: percent(40),
        }),
    };
    let mut world = World::new(seed, clusters, topology, &shape(&mut choices), Some(workload));
    world.delay = Span::from_ms(5 + choices.below(150));
    let mut crashed = false;
    while world.now < Instant::ZERO + TROUBLE {
        world.run_for(Span::from_ms(500 + choices.below(6_000)));
        crashed |= trouble(&mut world, &mut choices);
    }
    world.damage = 0;
    world.heal();
    for id in world.ids() {
        world.set_disk(id, DiskCondition::default());
    }
    world.settle(RECOVERY);
    assert!(world.states_agree());
    assert!(matches!(
        world.check_history(),
        Verdict::Linearizable | Verdict::Undecided
    ));
    // A follower hears with the next heartbeat of a leader what is committed; votes may split a few times before.
    let end = world.now + Span::from_s(60);
    while !world.registries_agree() {
        world.run_for(Span::from_s(1));
        assert!(world.now < end, "{}", world.picture());
    }
    let mut sum = Statistics::default();
    for id in world.ids() {
        let statistics = world.cluster(id.0).statistics();
        assert!(
            crashed || statistics.lost_changes() == 0,
            "seed {seed}: {id} lost {} changes: {statistics:?}",
            statistics.lost_changes()
        );
        sum.add(&statistics);
    }
    sum
}

fn shape(choices: &mut Stream) -> Options {
    let mut options = options();
    options.sync.outbox_messages = [5, 50, 10_000][choices.below(3) as usize];
    options.sync.batch = 1 + choices.below(50) as usize;
    options.sync.coalesce = choices.below(2) == 0;
    options.sync.interval = Span::from_s(1 + choices.below(5));
    options.encoding.costs_time = choices.below(2) == 0;
    options.encoding.max_delta_chain = 1 + choices.below(20) as u32;
    options.encoding.baseline_interval = Span::from_s(10 + choices.below(60));
    options.encoding.dictionary_bytes = (choices.below(2) == 0).then_some(2_048);
    options.connection.streams = 1 + choices.below(4) as u32;
    options.connection.stream_buffer = 1_024 << choices.below(6);
    options.connection.retry_interval = Span::from_s(1);
    options.connection.connect_timeout = Span::from_s(5);
    options.connection.keepalive = Span::from_s(5);
    options.durable_after = Span::from_ms(choices.below(500));
    if let Some(consensus) = &mut options.consensus {
        consensus.snapshot_after = 10 + choices.below(100);
        consensus.pre_vote = choices.below(2) == 0;
        consensus.disk_sync = Span::from_ms(choices.below(20));
    }
    options
}

/// Whether a cluster crashed.
fn trouble(world: &mut World, choices: &mut Stream) -> bool {
    let ids = world.ids();
    let any = ids[choices.below(ids.len() as u64) as usize];
    let other = ids[choices.below(ids.len() as u64) as usize];
    match choices.below(14) {
        0 | 1 => world.cut_off(&[any.0]),
        2 if any != other => world.cut_pair(any, other),
        2..=4 => world.heal(),
        5 | 6 => {
            world.crash(any);
            return true;
        }
        7 | 8 => ids.iter().for_each(|id| world.restart(*id)),
        9 => world.set_disk(any, DiskCondition::default()),
        10..=12 => {
            let condition = DiskCondition {
                slowdown: 1_000 << choices.below(7),
                full: choices.below(3) == 0,
                failed: choices.below(3) == 0,
            };
            world.set_disk(any, condition);
        }
        _ => world.damage = [0, 50, 500][choices.below(3) as usize],
    }
    false
}

fn run_all(seeds: std::ops::Range<u64>) -> Statistics {
    let mut sum = Statistics::default();
    for seed in seeds {
        println!("seed {seed}");
        sum.add(&run(seed));
    }
    println!(
        "{} updates, {} conflicts, {} connections, {} dropped, {} reconciliations of {} keys, {} errors",
        sum.updates,
        sum.conflicts,
        sum.connections,
        sum.outbox.dropped,
        sum.reconciliations,
        sum.differing_keys,
        sum.errors
    );
    sum
}

#[test]
fn states_agree_after_any_faults() {
    let sum = run_all(0..8);
    assert!(sum.connections > 50 && sum.conflicts > 100);
    assert!(sum.outbox.dropped > 50 && sum.differing_keys > 200);
}

/// `cargo test -p longhaul-federation --release -- --ignored`
#[test]
#[ignore = "takes minutes"]
fn a_thousand_schedules() {
    run_all(0..1_000);
}
