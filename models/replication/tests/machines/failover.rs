//! Sources that are lost, or seem to be.

use longhaul_core::time::{Instant, Span};
use longhaul_core::units::BitRate;
use longhaul_memory::GuestMemory;
use longhaul_replication::{Failover, NotPromoted, ReplicaEvent, SourceEvent};

use crate::support::{Setup, World, at_ms};

fn replica_saw(world: &World, what: impl Fn(&ReplicaEvent) -> bool) -> Option<Instant> {
    let found = world.replica_events.iter().find(|(_, event)| what(event));
    found.map(|(at, _)| *at)
}

fn source_saw(world: &World, what: impl Fn(&SourceEvent) -> bool) -> Option<Instant> {
    let found = world.source_events.iter().find(|(_, event)| what(event));
    found.map(|(at, _)| *at)
}

fn running(world: &World) -> Vec<(Instant, u32, u32)> {
    let running = world.replica_events.iter().filter_map(|(at, event)| match event {
        ReplicaEvent::GuestRunning { set, guest, .. } => Some((*at, *set, *guest)),
        _ => None,
    });
    running.collect()
}

fn automatic() -> Setup {
    let mut setup = Setup::default();
    setup.options.failover = Failover::Automatic;
    setup
}

#[test]
fn the_recovery_time_is_detection_restoring_and_resumption() {
    let setup = Setup {
        sets: vec![(0, vec![256]), (3, vec![512])],
        kill: Some(at_ms(5_555)),
        restore_rate: Some(BitRate::from_bits_per_s(16_777_216)),
        ..automatic()
    };
    let world = setup.run();
    let lost = replica_saw(&world, |event| matches!(event, ReplicaEvent::SourceLost { .. })).unwrap();
    // Five heartbeats of 100 ms after the last one, which was sent at 5,485 ms at the latest and under way for 20 ms.
    let detection = lost - at_ms(5_555);
    assert!(
        (Span::from_ms(400)..=Span::from_ms(520)).contains(&detection),
        "{detection:?}"
    );
    // 512 and then 256 pages at 2 MiB/s, and 700 ms each.
    assert_eq!(
        running(&world),
        [
            (lost + Span::from_s(1) + setup.resume_time, 1, 0),
            (lost + Span::from_ms(1_500) + setup.resume_time, 0, 0)
        ]
    );
    let over = replica_saw(&world, |event| matches!(event, ReplicaEvent::FailedOver));
    assert_eq!(over, Some(lost + Span::from_ms(2_200)));
    // What was lost is what was written since the snapshot of the epoch that was promoted.
    for set in [0, 1] {
        let promoted = world.replica_events.iter().find_map(|(_, event)| match event {
            ReplicaEvent::Promoted {
                set: of,
                epoch,
                snapshot_at,
                verified_pages,
            } if *of == set => Some((*epoch, *snapshot_at, *verified_pages)),
            _ => None,
        });
        let (epoch, snapshot_at, verified) = promoted.unwrap();
        let (_, newest, at) = *world.applied(set).last().unwrap();
        assert_eq!((epoch, snapshot_at), (newest, at));
        assert_eq!(verified, if set == 0 { 256 } else { 512 });
        let rpo = at_ms(5_555) - snapshot_at;
        assert!(rpo < Span::from_ms(1_050), "{rpo:?}");
    }
    assert_eq!(world.compare_pages(), 768);
}

#[test]
fn a_source_that_is_cut_off_has_stopped_its_guests_before_others_start() {
    let setup = Setup {
        outages: vec![(at_ms(3_210), at_ms(7_000))],
        ..automatic()
    };
    let world = setup.run();
    let stopped = world.source_events.iter().find_map(|(_, event)| match event {
        SourceEvent::GuestsStopped { at } => Some(*at),
        _ => None,
    });
    let promoted = replica_saw(&world, |event| matches!(event, ReplicaEvent::Promoted { .. }));
    assert!(stopped.unwrap() <= promoted.unwrap(), "{stopped:?} {promoted:?}");
    // Back again, it hears that others run in its place, and stays still.
    let fenced = source_saw(&world, |event| matches!(event, SourceEvent::Fenced)).unwrap();
    assert!(fenced > at_ms(7_000));
    assert!(source_saw(&world, |event| matches!(event, SourceEvent::GuestsResumed { .. })).is_none());
    assert!(replica_saw(&world, |event| matches!(event, ReplicaEvent::SourceFenced)).is_some());
    // Not a single write after they stopped.
    let mut memory = setup.memory(0, 0);
    let mut log = longhaul_memory::bitmap::DirtyBitmap::new(512);
    memory.advance(stopped.unwrap(), &mut log);
    let there = world.source.memories(0).next().unwrap();
    assert!((0..512).all(|page| there.version(page) == memory.version(page)));
    world.compare_pages();
}

#[test]
fn guests_go_on_if_the_source_was_heard_in_time_after_all() {
    // The newest answer that the source has got is older than the newest heartbeat that the replica has, by a delay and
    // a half. An outage can be too long for the one and not for the other.
    let mut setup = automatic();
    setup.delay = Span::from_ms(90);
    setup.outages = vec![(at_ms(3_300), at_ms(3_600))];
    let world = setup.run();
    let stopped = source_saw(&world, |event| matches!(event, SourceEvent::GuestsStopped { .. }));
    let resumed = source_saw(&world, |event| matches!(event, SourceEvent::GuestsResumed { .. }));
    let promoted = replica_saw(&world, |event| matches!(event, ReplicaEvent::Promoted { .. }));
    assert!(
        stopped.is_some() && resumed > stopped && promoted.is_none(),
        "{stopped:?} {resumed:?} {promoted:?}"
    );
    assert!(world.applied(0).last().unwrap().0 > at_ms(9_000));
    world.compare_pages();
}

#[test]
fn a_replica_does_not_start_guests_that_nobody_has_promised_to_stop() {
    // Lost in the middle of the seed.
    let setup = Setup {
        rate: BitRate::from_bits_per_s(1_000_000),
        kill: Some(at_ms(2_000)),
        ..automatic()
    };
    let world = setup.run();
    assert!(replica_saw(&world, |event| matches!(event, ReplicaEvent::SourceLost { .. })).is_some());
    assert!(replica_saw(&world, |event| matches!(event, ReplicaEvent::NoLease)).is_some());
    assert!(running(&world).is_empty() && world.replica.newest_epoch(0).is_none());
}

#[test]
fn an_operator_fails_over_from_a_source_that_runs_and_it_is_fenced_at_once() {
    let setup = Setup {
        fail_over: Some(at_ms(5_400)),
        ..Setup::default()
    };
    let world = setup.run();
    assert_eq!(running(&world), [(at_ms(5_400) + setup.resume_time, 0, 0)]);
    let fenced = source_saw(&world, |event| matches!(event, SourceEvent::Fenced));
    assert_eq!(fenced, Some(at_ms(5_420)));
    let last = world.source_events.last().unwrap();
    assert_eq!(last.1, SourceEvent::Fenced);
    assert_eq!(world.applied(0).len(), 6);
    world.compare_pages();
}

#[test]
fn an_operator_fails_over_from_a_source_that_is_cut_off_and_both_run_until_it_hears_of_it() {
    let setup = Setup {
        outages: vec![(at_ms(3_200), at_ms(7_000))],
        fail_over: Some(at_ms(5_000)),
        ..Setup::default()
    };
    let world = setup.run();
    assert_eq!(running(&world), [(at_ms(5_700), 0, 0)]);
    let fenced = source_saw(&world, |event| matches!(event, SourceEvent::Fenced));
    assert!(
        (at_ms(7_000)..at_ms(7_700)).contains(&fenced.unwrap()),
        "{fenced:?}"
    );
    assert!(source_saw(&world, |event| matches!(event, SourceEvent::GuestsStopped { .. })).is_none());
    world.compare_pages();
}

#[test]
fn an_order_can_be_given_ahead_of_time() {
    let mut setup = Setup::default();
    let at = Some(at_ms(5_400));
    setup.options.failover = Failover::Manual { at, after: None };
    let world = setup.run();
    assert_eq!(running(&world), [(at_ms(5_400) + setup.resume_time, 0, 0)]);
    assert_eq!(
        source_saw(&world, |event| matches!(event, SourceEvent::Fenced)),
        Some(at_ms(5_420))
    );
}

#[test]
fn an_operator_with_a_rule_waits_for_a_source_that_comes_back_and_not_for_one_that_does_not() {
    let mut setup = Setup {
        outages: vec![(at_ms(2_000), at_ms(3_500))],
        kill: Some(at_ms(6_000)),
        ..Setup::default()
    };
    let after = Some(Span::from_s(2));
    setup.options.failover = Failover::Manual { at: None, after };
    let world = setup.run();
    let lost: Vec<Instant> = world
        .replica_events
        .iter()
        .filter(|(_, event)| matches!(event, ReplicaEvent::SourceLost { .. }))
        .map(|(at, _)| *at)
        .collect();
    assert_eq!(lost.len(), 2);
    let promoted = replica_saw(&world, |event| matches!(event, ReplicaEvent::Promoted { .. }));
    assert_eq!(promoted, Some(lost[1] + Span::from_s(2)));
    assert_eq!(
        running(&world),
        [(lost[1] + Span::from_s(2) + setup.resume_time, 0, 0)]
    );
}

#[test]
fn an_order_to_fail_over_to_nothing_is_refused_and_the_source_goes_on() {
    let setup = Setup {
        rate: BitRate::from_bits_per_s(2_000_000),
        fail_over: Some(at_ms(1_000)),
        ..Setup::default()
    };
    let world = setup.run();
    assert!(
        replica_saw(&world, |event| {
            matches!(
                event,
                ReplicaEvent::NotPromoted {
                    reason: NotPromoted::NoEpoch,
                    ..
                }
            )
        })
        .is_some()
    );
    assert!(source_saw(&world, |event| matches!(event, SourceEvent::Fenced)).is_none());
    assert!(world.applied(0).len() > 5);
}
