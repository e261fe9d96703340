//! One random schedule of faults, from its seed alone.

use std::collections::BTreeSet;

use longhaul_core::random::{Stream, Streams};
use longhaul_core::time::{Instant, Span};
use longhaul_core::units::Probability;

use super::world::{Failure, Plan, World};
use crate::config::Lease;
use crate::mistake::Mistake;
use crate::session::SessionLimits;
use crate::{Config, NodeId};

/// How long faults go on.
const TROUBLE: Span = Span::from_s(8);

/// After the last fault a leader emerges, every call is answered and all members agree within this: with election
/// timeouts of 150 to 300 ms and messages that take up to 20 ms.
pub const RECOVERY: Span = Span::from_s(10);

/// What came of a schedule.
#[derive(Clone, Copy, Default, Debug)]
pub struct Report {
    pub steps: u64,
    pub crashes: u64,
    pub terms: u64,
    pub committed: u64,
    pub calls: u64,
    pub snapshots: u64,
    pub truncations: u64,
    pub undecided: u64,
    pub recovery: Span,
}

/// Runs the schedule of a seed.
pub fn run(seed: u64, mistake: Option<Mistake>) -> Result<Report, Failure> {
    let mut choices = Streams::new(seed, 0).stream("schedule", "choices");
    let (mut world, mut report) = (World::new(plan(seed, mistake, &mut choices)), Report::default());
    let ids: Vec<NodeId> = world.members.keys().copied().collect();
    let drift = world.members[&ids[0]]
        .config
        .lease
        .map_or(100_000, |lease| u64::from(lease.drift_ppm));
    for member in world.members.values_mut() {
        member.drift_ppm = choices.below(2 * drift + 1).cast_signed() - drift.cast_signed();
        member.sync_time = Span::from_us(choices.below(10_000));
    }
    while world.now < Instant::ZERO + TROUBLE && world.failure.is_none() {
        world.run_for(Span::from_us(20_000 + choices.below(400_000)));
        trouble(&mut world, &ids, &mut choices, &mut report);
    }
    heal(&mut world, &ids);
    let healed = world.now;
    world.settle(RECOVERY);
    report.recovery = world.now - healed;
    report.undecided = world.check_history(30_000);
    if let Some(failure) = world.failure {
        return Err(failure);
    }
    assert!(world.checker.observations() > 0 && world.applied_by_all() == world.checker.committed());
    report.steps = world.steps;
    report.terms = world.checker.terms_with_leader() as u64;
    report.committed = world.checker.committed().0;
    report.calls = world.calls.len() as u64;
    for (_, event) in world.members.values().flat_map(|member| &member.events) {
        report.snapshots += u64::from(matches!(event, crate::Event::Restored { .. }));
        report.truncations += u64::from(matches!(event, crate::Event::Truncated { .. }));
        assert!(
            !matches!(event, crate::Event::Refused { .. }),
            "seed {seed}: {event:?}"
        );
    }
    Ok(report)
}

/// Cuts leaders off, one after the other, while clients on both sides go on reading and writing. Clocks differ as much as
/// the lease allows, the leader's being slow: this is where reads go stale.
pub fn isolate_leaders(seed: u64, lease: bool, mistake: Option<Mistake>) -> Result<u64, Failure> {
    let ids: Vec<NodeId> = (0..3).map(NodeId).collect();
    let config = |id: &NodeId| Config {
        lease: lease.then_some(Lease { drift_ppm: 300_000 }),
        heartbeat: Span::from_ms(20),
        batch_interval: Span::ZERO,
        pre_vote: false,
        ..Config::new(*id, ids.clone(), Span::from_ms(150))
    };
    let mut world = World::new(Plan {
        seed,
        configs: ids.iter().map(config).collect(),
        limits: SessionLimits::default(),
        clients: 6,
        readers: 3,
        calls: 80,
        window: 1,
        patience: Span::from_ms(50),
        keys: 4,
        think: Span::from_ms(30),
        mistake,
    });
    world.weather.delay = (Span::from_us(100), Span::from_ms(2));
    for member in world.members.values_mut() {
        member.sync_time = Span::from_us(100);
        member.drift_ppm = 300_000;
    }
    world.members.get_mut(&ids[0]).expect("a member").drift_ppm = -300_000;
    for _ in 0..4 {
        world.run_for(Span::from_ms(300));
        let leader = world.leaders().first().copied().unwrap_or(ids[0]);
        cut(&mut world, &ids, |from, to| from == leader || to == leader);
        world.run_for(Span::from_ms(300));
        world.weather.cut.clear();
    }
    world.settle(RECOVERY);
    let undecided = world.check_history(1_000_000);
    match world.failure {
        Some(failure) => Err(failure),
        None if undecided > 0 => Err(Failure::Undecided),
        None => Ok(world.checker.terms_with_leader() as u64),
    }
}

fn plan(seed: u64, mistake: Option<Mistake>, choices: &mut Stream) -> Plan {
    let members = [1, 2, 3, 3, 3, 4, 5, 5, 5, 7][choices.below(10) as usize];
    let ids: Vec<NodeId> = (0..members).map(NodeId).collect();
    let check_quorum = choices.below(2) == 0;
    let lease = check_quorum && choices.below(2) == 0;
    let shape = |id: NodeId, choices: &mut Stream| Config {
        batch_entries: 1 + choices.below(8) as usize,
        batch_interval: Span::from_ms(choices.below(3) * 5),
        batch_bytes: 200,
        in_flight: 1 + choices.below(4) as usize,
        snapshot_after: 5 + choices.below(40),
        snapshot_keep: choices.below(10),
        snapshot_chunk: 16 + choices.below(100) as u32,
        snapshot_window: 1 + choices.below(3) as u32,
        ..Config::new(id, ids.clone(), Span::from_ms(150))
    };
    let pre_vote = choices.below(2) == 0;
    let configs = ids.iter().map(|id| Config {
        pre_vote,
        check_quorum,
        lease: lease.then_some(Lease { drift_ppm: 50_000 }),
        heartbeat: Span::from_ms(30),
        ..shape(*id, choices)
    });
    let configs = configs.collect();
    Plan {
        seed,
        configs,
        limits: SessionLimits {
            sessions: if choices.below(8) == 0 { 3 } else { 100 },
            window: 3,
        },
        clients: 3,
        readers: 0,
        calls: 25,
        window: 1 + choices.below(3) as usize,
        patience: Span::from_ms(300),
        keys: 3,
        think: Span::from_ms(150),
        mistake,
    }
}

/// Something goes wrong, or is put right.
fn trouble(world: &mut World, ids: &[NodeId], choices: &mut Stream, report: &mut Report) {
    let any = ids[choices.below(ids.len() as u64) as usize];
    let leader = world.leaders().first().copied().unwrap_or(any);
    match choices.below(16) {
        0 | 1 => {
            let side: BTreeSet<NodeId> = ids.iter().copied().filter(|_| choices.below(2) == 0).collect();
            cut(world, ids, |from, to| side.contains(&from) != side.contains(&to));
        }
        2 => cut(world, ids, |from, to| from == leader || to == leader),
        3 => cut(world, ids, |from, _| from == leader),
        4 => cut(world, ids, |_, to| to == leader),
        5 => {
            let pairs: BTreeSet<(NodeId, NodeId)> = ids
                .iter()
                .flat_map(|from| ids.iter().map(|to| (*from, *to)))
                .filter(|_| choices.below(3) == 0)
                .collect();
            cut(world, ids, |from, to| pairs.contains(&(from, to)));
        }
        6 => world.weather.cut.clear(),
        7 | 8 => {
            report.crashes += 1;
            world.crash(any);
        }
        9 => {
            report.crashes += 1;
            world.crash(leader);
        }
        10 => {
            report.crashes += ids.len() as u64;
            ids.iter().for_each(|id| world.crash(*id));
            ids.iter().for_each(|id| world.start(*id));
        }
        11 | 12 => ids.iter().for_each(|id| world.start(*id)),
        13 => {
            let percent = |most, choices: &mut Stream| {
                Probability::from_ratio(choices.below(most), 100).expect("a share")
            };
            world.weather.loss = percent(30, choices);
            world.weather.duplication = percent(20, choices);
            world.weather.damage = percent(20, choices);
        }
        14 => {
            world.weather.slow = BTreeSet::from([any]);
            world.weather.delay.1 = Span::from_ms(2 + choices.below(100));
        }
        _ => world.members.get_mut(&any).expect("a member").sync_time = Span::from_ms(choices.below(100)),
    }
}

fn cut(world: &mut World, ids: &[NodeId], is_cut: impl Fn(NodeId, NodeId) -> bool) {
    let pairs = ids.iter().flat_map(|from| ids.iter().map(|to| (*from, *to)));
    world.weather.cut = pairs
        .filter(|(from, to)| from != to && is_cut(*from, *to))
        .collect();
}

fn heal(world: &mut World, ids: &[NodeId]) {
    world.weather.cut.clear();
    world.weather.slow.clear();
    world.weather.loss = Probability::ZERO;
    world.weather.duplication = Probability::ZERO;
    world.weather.damage = Probability::ZERO;
    world.weather.delay.1 = Span::from_ms(20);
    for id in ids {
        world.members.get_mut(id).expect("a member").sync_time = Span::from_ms(2);
        world.start(*id);
    }
    world.more_calls(2);
}
