//! Disks that are slow, full or broken, and wall clocks that are wrong.

use longhaul_core::disk::DiskCondition;
use longhaul_core::time::Span;
use longhaul_federation::{ClusterId, Command, Event, Topology};

use super::behaviour::options;
use super::world::World;

const WELL: DiskCondition = DiskCondition {
    slowdown: 1_000,
    full: false,
    failed: false,
};
const FULL: DiskCondition = DiskCondition { full: true, ..WELL };
const FAILED: DiskCondition = DiskCondition { failed: true, ..WELL };

fn times(times: u32) -> DiskCondition {
    DiskCondition {
        slowdown: 1_000 * times,
        ..WELL
    }
}

/// Three clusters with disks that take 20 ms, and the one that leads the log.
fn led(seed: u64) -> (World, ClusterId) {
    let mut options = options();
    if let Some(consensus) = &mut options.consensus {
        consensus.disk_sync = Span::from_ms(20);
    }
    let mut world = World::new(seed, 3, Topology::Mesh, &options, None);
    world.run_for(Span::from_s(10));
    let leader = leader(&world).expect("a leader");
    (world, leader)
}

/// Who led last.
fn leader(world: &World) -> Option<ClusterId> {
    let mut events = world.events.iter().rev();
    events.find_map(|(_, id, event)| matches!(event, Event::Leads { .. }).then_some(*id))
}

fn propose(world: &mut World, id: ClusterId) {
    let name = "who".to_owned();
    let value = id.0.to_be_bytes().to_vec();
    world.command(id, Command::Propose { name, value });
}

/// How long a command of the leader's client takes.
fn commit(world: &mut World, leader: ClusterId) -> Span {
    propose(world, leader);
    world.run_for(Span::from_s(4));
    let (_, last) = world.cluster(leader.0).history().last().expect("a call");
    last.returned.expect("an answer") - last.called
}

#[test]
fn a_slow_disk_counts_where_a_quorum_waits_for_it() {
    let (mut world, leader) = led(3);
    commit(&mut world, leader);
    let normal = commit(&mut world, leader);
    // A batch waits for 10 ms, goes there and back in 80 ms, and a follower writes it in 20 ms; the leader meanwhile.
    assert_eq!(normal, Span::from_ms(110));
    let followers: Vec<ClusterId> = world.ids().into_iter().filter(|id| *id != leader).collect();
    world.set_disk(followers[0], times(30));
    assert_eq!(
        commit(&mut world, leader),
        normal,
        "the other follower is as fast as before"
    );
    world.set_disk(followers[1], times(10));
    // Both followers, the faster takes 200 ms.
    assert_eq!(commit(&mut world, leader), Span::from_ms(290));
    world.set_disk(leader, times(20));
    // The leader's own disk takes 400 ms: it answers when it has the entry itself.
    assert_eq!(commit(&mut world, leader), Span::from_ms(410));
    world.ids().into_iter().for_each(|id| world.set_disk(id, WELL));
    assert_eq!(commit(&mut world, leader), normal);
    assert!(
        !world
            .events
            .iter()
            .any(|(_, _, event)| matches!(event, Event::SteppedDown { .. }))
    );
}

#[test]
fn a_member_without_space_stands_still_and_loses_nothing() {
    let (mut world, first) = led(4);
    world.put(first.0, "before", b"1");
    world.run_for(Span::from_s(15));
    world.set_disk(first, FULL);
    world.put(first.0, "refused", b"2");
    world.run_for(Span::from_s(5));
    let second = leader(&world).expect("a leader");
    assert_ne!(second, first);
    assert!(
        world
            .events_of(first.0)
            .any(|event| matches!(event, Event::DiskFull))
    );
    assert!(
        world
            .events_of(first.0)
            .any(|event| matches!(event, Event::SteppedDown { why, .. } if why == "NoDisk"))
    );
    propose(&mut world, second);
    let other = world.ids().into_iter().find(|id| *id != first).expect("another");
    world.put(other.0, "meanwhile", b"3");
    world.run_for(Span::from_s(30));
    // Nobody takes it for lost, and it knows what the others write, but has promised nothing.
    assert!(
        !world
            .events
            .iter()
            .any(|(_, _, event)| matches!(event, Event::Disconnected { .. }))
    );
    assert_eq!(world.value(first.0, "meanwhile").as_deref(), Some(&b"3"[..]));
    let log = |world: &World, id: ClusterId| world.cluster(id.0).disk().expect("a disk").stable().log.last();
    assert!(log(&world, first).index < log(&world, second).index);
    world.set_disk(first, WELL);
    world.run_for(Span::from_s(2));
    assert_eq!(log(&world, first), log(&world, second));
    assert!(
        world
            .events_of(first.0)
            .any(|event| matches!(event, Event::DiskHasSpace { refused: 1 }))
    );
    assert_eq!(world.value(first.0, "refused"), None);
    world.settle(Span::from_s(60));
    assert!(world.states_agree() && world.registries_agree());
    world.check_history();
}

#[test]
fn what_came_while_there_was_no_space_is_lost_with_the_process() {
    let (mut world, _) = led(5);
    world.set_disk(ClusterId(2), FULL);
    world.put(0, "meanwhile", b"3");
    world.run_for(Span::from_s(30));
    assert!(world.value(2, "meanwhile").is_some());
    world.crash(ClusterId(2));
    world.set_disk(ClusterId(2), WELL);
    assert_eq!(world.value(2, "meanwhile"), None);
    let taken_back = |event: &Event| matches!(event, Event::Restarted { taken_back: 1, .. });
    assert!(world.events_of(2).any(taken_back));
    world.settle(Span::from_s(60));
    assert!(world.value(2, "meanwhile").is_some() && world.states_agree());
}

#[test]
fn a_process_ends_with_a_write_that_fails() {
    for (what, seed) in [("log", 6), ("state", 7)] {
        let (mut world, leader) = led(seed);
        world.set_disk(leader, FAILED);
        world.run_for(Span::from_s(5));
        // Nothing is written, so nothing fails.
        assert!(
            !world
                .events
                .iter()
                .any(|(_, _, event)| matches!(event, Event::DiskFailed { .. }))
        );
        let began = world.now;
        let takes = if what == "log" {
            propose(&mut world, leader);
            // The batch, then the write.
            Span::from_ms(30)
        } else {
            world.put(leader.0, "key", b"value");
            Span::from_ms(5)
        };
        world.run_for(Span::from_s(20));
        let failed = world.events.iter().find_map(|(at, id, event)| match event {
            Event::DiskFailed { what } => Some((*at - began, *id, what.as_str())),
            _ => None,
        });
        assert_eq!(failed, Some((takes, leader, what)));
        assert!(world.clusters[&leader].is_none());
        let next = self::leader(&world).expect("a leader");
        assert_ne!(next, leader);
        world.restart(leader);
        assert!(world.clusters[&leader].is_none(), "its disk cannot be read");
        world.set_disk(leader, WELL);
        world.settle(Span::from_s(90));
        assert!(world.states_agree() && world.registries_agree());
        world.check_history();
        // Of the write that failed nothing is left.
        assert_eq!(world.value(leader.0, "key"), None);
    }
}

#[test]
fn a_wall_clock_that_is_ahead_wins_over_later_writes_that_it_has_not_seen() {
    let last = |ahead_ns: i64| {
        let mut world = World::new(8, 2, Topology::Mesh, &options(), None);
        world.run_for(Span::from_s(5));
        world.command(ClusterId(0), Command::WallClock { ahead_ns });
        world.cut_off(&[0]);
        world.put(0, "key", b"first");
        world.run_for(Span::from_ms(300));
        world.put(1, "key", b"later");
        world.run_for(Span::from_s(10));
        world.heal();
        world.settle(Span::from_s(90));
        let value = world.value(0, "key").expect("a value");
        assert_eq!(world.value(1, "key").as_ref(), Some(&value));
        // Who has seen a write writes after it, whatever the clocks say.
        world.put(1, "key", b"third");
        world.settle(Span::from_s(60));
        assert_eq!(world.value(0, "key").as_deref(), Some(&b"third"[..]));
        value.to_vec()
    };
    assert_eq!(last(0), b"later");
    assert_eq!(last(299_999_999), b"later");
    assert_eq!(last(300_000_001), b"first");
    assert_eq!(last(-5_000_000_000), b"later");
}
