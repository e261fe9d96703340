//! What a group does in situations that are told beforehand.

use longhaul_core::time::{Instant, Span};

use super::registers::Registers;
use super::world::{Plan, World};
use crate::event::NotAcknowledged;
use crate::node::Role;
use crate::session::SessionLimits;
use crate::{Config, Event, Index, NodeId, Replica};

/// A group of equal members and a few clients; election timeouts of 150 to 300 ms.
fn world(members: u32, calls: u32, change: impl Fn(&mut Config)) -> World {
    let ids: Vec<NodeId> = (0..members).map(NodeId).collect();
    let configs = ids.iter().map(|id| {
        let mut config = Config::new(*id, ids.clone(), Span::from_ms(150));
        change(&mut config);
        config
    });
    World::new(Plan {
        seed: 1,
        configs: configs.collect(),
        limits: SessionLimits::default(),
        clients: 2,
        readers: 0,
        calls,
        window: 4,
        patience: Span::from_ms(300),
        keys: 2,
        think: Span::from_ms(20),
        mistake: None,
    })
}

/// Nothing passes between these and the others.
fn cut_off(world: &mut World, side: &[NodeId]) {
    let ids: Vec<NodeId> = world.members.keys().copied().collect();
    let pairs = ids.iter().flat_map(|from| ids.iter().map(|to| (*from, *to)));
    world.weather.cut = pairs
        .filter(|(from, to)| side.contains(from) != side.contains(to))
        .collect();
}

fn only_leader(world: &World) -> NodeId {
    let leaders = world.leaders();
    assert_eq!(leaders.len(), 1, "one leader");
    leaders[0]
}

fn count(world: &World, what: impl Fn(&Event) -> bool) -> usize {
    let events = world.members.values().flat_map(|member| &member.events);
    events.filter(|(_, event)| what(event)).count()
}

#[test]
fn one_leader_emerges_and_stays_while_nothing_fails() {
    for members in [1, 2, 3, 5, 9] {
        let mut world = world(members, 50, |_| {});
        world.run_for(Span::from_s(1));
        let leader = only_leader(&world);
        world.run_for(Span::from_s(60));
        assert_eq!(only_leader(&world), leader);
        assert_eq!(count(&world, |event| matches!(event, Event::Leads { .. })), 1);
        assert_eq!((world.unanswered(), &world.failure), (0, &None));
        assert_eq!(world.applied_by_all(), world.checker.committed());
    }
}

#[test]
fn a_member_without_a_disk_leads_nobody_until_it_has_one_again() {
    let mut world = world(3, 200, |_| {});
    world.run_for(Span::from_s(1));
    let first = only_leader(&world);
    let others: Vec<NodeId> = world.members.keys().copied().filter(|id| *id != first).collect();
    world.serve(first, Replica::suspend);
    assert_eq!(world.leaders(), []);
    world.run_for(Span::from_s(5));
    let second = only_leader(&world);
    assert_ne!(second, first);
    // The only one left besides has no majority, and this one neither tries nor helps.
    world.crash(second);
    world.run_for(Span::from_s(20));
    assert_eq!(world.leaders(), []);
    let tries = |world: &World, id: NodeId| {
        let campaigns = world
            .events(id.0)
            .filter(|event| matches!(event, Event::Campaigns { pre_vote: false, .. }));
        campaigns.count()
    };
    let before = others.iter().map(|id| tries(&world, *id)).sum::<usize>() + tries(&world, first);
    world.run_for(Span::from_s(20));
    let after = others.iter().map(|id| tries(&world, *id)).sum::<usize>() + tries(&world, first);
    assert_eq!(before, after, "a pre-vote is not granted by who could not vote");
    world.serve(first, Replica::resume);
    world.run_for(Span::from_s(10));
    only_leader(&world);
    world.start(second);
    world.settle(Span::from_s(60));
    assert_eq!((world.unanswered(), &world.failure), (0, &None));
}

#[test]
fn a_follower_that_does_not_acknowledge_within_five_seconds_is_named() {
    let mut world = world(3, 0, |_| {});
    world.run_for(Span::from_s(2));
    let leader = only_leader(&world);
    let silent = NodeId((leader.0 + 1) % 3);
    cut_off(&mut world, &[silent]);
    world.more_calls(1);
    world.run_for(Span::from_ms(4_900));
    let errors = |world: &World| -> Vec<NotAcknowledged> {
        let errors = world.events(leader.0).filter_map(|event| match event {
            Event::NotAcknowledged(error) => Some(error.clone()),
            _ => None,
        });
        errors.collect()
    };
    assert_eq!(errors(&world), []);
    world.run_for(Span::from_ms(500));
    let [error] = &errors(&world)[..] else {
        panic!("one error")
    };
    assert_eq!((error.committed, &error.silent), (true, &vec![silent]));
    let text = format!(
        "no acknowledgement of entry {} within 5 s from {silent}",
        error.index
    );
    assert_eq!(error.to_string(), text);
    // It is named once, and again only after it was heard.
    world.more_calls(2);
    world.run_for(Span::from_s(20));
    assert_eq!(errors(&world).len(), 1);
    world.weather.cut.clear();
    world.run_for(Span::from_s(1));
    assert!(
        world
            .events(leader.0)
            .any(|event| *event == Event::Answers { member: silent })
    );
}

#[test]
fn a_leader_without_a_quorum_steps_down_and_one_that_was_cut_off_disturbs_nobody() {
    let mut world = world(5, 0, |_| {});
    world.run_for(Span::from_s(1));
    let leader = only_leader(&world);
    cut_off(&mut world, &[leader]);
    // Its timer to look for a quorum may just have begun.
    world.run_for(Span::from_ms(300));
    assert_eq!(world.replica(leader.0).node().role(), Role::Follower);
    world.run_for(Span::from_s(30));
    let next = only_leader(&world);
    let term = world.replica(next.0).node().hard_state().term;
    world.weather.cut.clear();
    world.run_for(Span::from_s(5));
    assert_eq!(only_leader(&world), next);
    assert_eq!(world.replica(leader.0).node().hard_state().term, term);
}

#[test]
fn without_pre_vote_one_that_was_cut_off_ends_the_leaders_term() {
    let mut world = world(3, 0, |config| {
        config.pre_vote = false;
        config.check_quorum = false;
    });
    world.run_for(Span::from_s(1));
    let leader = only_leader(&world);
    cut_off(&mut world, &[NodeId((leader.0 + 1) % 3)]);
    world.run_for(Span::from_s(5));
    assert_eq!(only_leader(&world), leader);
    world.weather.cut.clear();
    world.run_for(Span::from_s(2));
    let later = count(&world, |event| matches!(event, Event::SteppedDown { .. }));
    assert!(later > 0, "its higher term ends the other's");
}

#[test]
fn a_member_that_is_far_behind_gets_a_snapshot_and_one_that_is_not_gets_entries() {
    let mut world = world(3, 300, |config| {
        config.snapshot_after = 100;
        config.snapshot_keep = 50;
        config.snapshot_chunk = 64;
        config.batch_interval = Span::ZERO;
    });
    world.run_for(Span::from_s(1));
    let leader = only_leader(&world);
    let (near, far) = (NodeId((leader.0 + 1) % 3), NodeId((leader.0 + 2) % 3));
    cut_off(&mut world, &[far]);
    world.settle(Span::from_s(1));
    world.failure = None;
    world.run_for(Span::from_s(10));
    assert!(world.replica(leader.0).node().log().base().index > Index(100));
    cut_off(&mut world, &[]);
    world.settle(Span::from_s(3));
    let restored = |world: &World, id: NodeId| {
        let events = world.events(id.0);
        events
            .filter(|event| matches!(event, Event::Restored { .. }))
            .count()
    };
    assert!(restored(&world, far) > 0);
    assert_eq!(restored(&world, near), 0);
    cut_off(&mut world, &[near]);
    world.more_calls(15);
    world.run_for(Span::from_s(2));
    cut_off(&mut world, &[]);
    world.settle(Span::from_s(3));
    assert_eq!((restored(&world, near), &world.failure), (0, &None));
}

#[test]
fn what_was_committed_survives_the_crash_of_all() {
    let mut world = world(3, 40, |_| {});
    world.settle(Span::from_s(10));
    let (committed, digest) = (world.checker.committed(), world.replica(0).digest());
    for round in 0..20 {
        let ids: Vec<NodeId> = world.members.keys().copied().collect();
        ids.iter().for_each(|id| world.crash(*id));
        world.run_for(Span::from_ms(10 + round));
        ids.iter().for_each(|id| world.start(*id));
        world.run_for(Span::from_ms(700));
    }
    assert!(world.checker.committed() > committed, "each term has an entry");
    let digests = world.members.values().map(|member| {
        let replica = member.replica.as_ref().expect("all run");
        replica.digest()
    });
    assert_eq!(digests.collect::<Vec<_>>(), [digest; 3]);
    assert_eq!(world.failure, None);
}

#[test]
fn what_waits_for_a_quorum_is_bounded() {
    let mut world = world(3, 0, |config| {
        config.uncommitted_bytes = 1_500;
        config.check_quorum = false;
    });
    world.run_for(Span::from_s(1));
    let leader = only_leader(&world);
    cut_off(&mut world, &[leader]);
    let before = world.replica(leader.0).node().log().last().index;
    world.more_calls(400);
    world.run_for(Span::from_s(30));
    let replica: &Replica<Registers> = world.replica(leader.0);
    let waiting = replica.node().log().last().index - before;
    // An entry has 52 bytes and those of its command.
    assert!((15..=28).contains(&waiting), "{waiting} entries");
    cut_off(&mut world, &[]);
    world.settle(Span::from_s(60));
    assert_eq!(world.failure, None);
    assert!(world.now > Instant::ZERO);
}
