//! Disks at the replica that are slow, full or broken.

use longhaul_core::disk::DiskCondition;
use longhaul_core::time::{Instant, Span};
use longhaul_core::units::BitRate;
use longhaul_hde::PAGE_SIZE;
use longhaul_replication::{Failover, ReplicaEvent, Stalled};

use crate::support::{Setup, World, at_ms};

const WELL: DiskCondition = DiskCondition {
    slowdown: 1_000,
    full: false,
    failed: false,
};
const SLOW: DiskCondition = DiskCondition {
    slowdown: 10_000,
    ..WELL
};
const FULL: DiskCondition = DiskCondition { full: true, ..WELL };
const FAILED: DiskCondition = DiskCondition { failed: true, ..WELL };

/// A page takes a millisecond.
fn with_disk(disk: &[(u64, DiskCondition)]) -> Setup {
    Setup {
        write_rate: Some(BitRate::from_bits_per_s(8 * PAGE_SIZE as u64 * 1_000)),
        disk: disk
            .iter()
            .map(|(ms, condition)| (at_ms(*ms), *condition))
            .collect(),
        ..Setup::default()
    }
}

/// When each epoch was in place, when its snapshot was taken, and how many pages it had.
fn epochs(world: &World) -> Vec<(Instant, Instant, u64)> {
    let applied = world.replica_events.iter().filter_map(|(at, event)| match event {
        ReplicaEvent::EpochApplied {
            snapshot_at, pages, ..
        } => Some((*at, *snapshot_at, *pages)),
        _ => None,
    });
    applied.collect()
}

fn saw(world: &World, what: impl Fn(&ReplicaEvent) -> bool) -> Option<Instant> {
    let found = world.replica_events.iter().find(|(_, event)| what(event));
    found.map(|(at, _)| *at)
}

fn never_rejected(world: &World) {
    let rejected = |event: &ReplicaEvent| matches!(event, ReplicaEvent::Rejected { .. });
    assert_eq!(saw(world, rejected), None);
    assert!(world.compare_pages() > 0);
}

#[test]
fn an_epoch_takes_its_bytes_over_the_rate_of_the_disk() {
    let world = with_disk(&[(5_000, SLOW)]).run();
    let epochs = epochs(&world);
    for (at, snapshot_at, pages) in &epochs {
        let page = Span::from_ms(if *snapshot_at >= at_ms(5_000) { 10 } else { 1 });
        let disk = page * *pages;
        let took = *at - *snapshot_at;
        // The first frame is on its way for 20 ms, and up to 256 KiB of it take 26 ms to send, over streams that have
        // to be opened first.
        let most = disk + Span::from_ms(65);
        assert!(
            (disk..=most).contains(&took),
            "{pages} pages in {took:?}, not {disk:?}"
        );
    }
    // The seed has all pages. Then some 50 are dirty in a second: 50 ms, and 500 ms on the slow disk.
    assert_eq!(epochs[0].2, 512);
    let longest = |from, to| {
        let of = epochs
            .iter()
            .filter(|(_, snapshot_at, _)| (at_ms(from)..at_ms(to)).contains(snapshot_at));
        of.map(|(at, snapshot_at, _)| (*at - *snapshot_at).as_ns() / 1_000_000)
            .max()
            .unwrap()
    };
    assert!(
        longest(1_000, 4_000) < 110 && longest(5_000, 9_000) > 300,
        "{epochs:?}"
    );
    never_rejected(&world);
}

#[test]
fn without_space_nothing_is_in_place_until_there_is_some() {
    for (condition, why) in [(FULL, Stalled::Full), (FAILED, Stalled::Failed)] {
        let world = with_disk(&[(3_100, condition), (6_300, WELL)]).run();
        let epochs = epochs(&world);
        let in_between = |at: &Instant| (at_ms(3_100)..at_ms(6_300)).contains(at);
        assert!(epochs.iter().all(|(at, ..)| !in_between(at)), "{epochs:?}");
        let first = epochs.iter().find(|(at, ..)| *at >= at_ms(6_300)).unwrap();
        // It was on its way when the disk stalled, waited in memory, and takes a millisecond for a page.
        assert!(
            first.1 < at_ms(3_100) && first.0 == at_ms(6_300) + Span::from_ms(first.2),
            "{first:?}"
        );
        let stalled = saw(&world, |event| *event == ReplicaEvent::DiskStalled { why });
        let after = Span::from_ms(3_200);
        let writes = saw(&world, |event| *event == ReplicaEvent::DiskWrites { after });
        assert_eq!((stalled, writes), (Some(at_ms(3_100)), Some(at_ms(6_300))));
        never_rejected(&world);
    }
}

#[test]
fn an_epoch_that_was_not_written_when_the_connection_was_lost_comes_again() {
    // The epoch of 3 s is on its way to a disk that takes half a second for it when the link goes down.
    let setup = Setup {
        outages: vec![(at_ms(3_100), at_ms(5_000))],
        ..with_disk(&[(2_500, SLOW)])
    };
    let world = setup.run();
    let sessions = world
        .replica_events
        .iter()
        .filter(|(_, event)| matches!(event, ReplicaEvent::SessionOver { .. }));
    assert_eq!(sessions.count(), 1);
    let epochs = epochs(&world);
    assert!(epochs.iter().any(|(at, ..)| *at > at_ms(5_000)));
    never_rejected(&world);
}

#[test]
fn guests_start_from_the_last_epoch_that_was_written() {
    let well = with_disk(&[]);
    let lost = |disk: &[(u64, DiskCondition)]| {
        let mut setup = with_disk(disk);
        setup.options.failover = Failover::Automatic;
        setup.kill = Some(at_ms(6_900));
        setup.horizon = at_ms(15_000);
        setup.restore_rate = Some(BitRate::from_bits_per_s(8 << 20));
        let world = setup.run();
        let promoted = world.replica_events.iter().find_map(|(at, event)| match event {
            ReplicaEvent::Promoted { snapshot_at, .. } => Some((*at, at_ms(6_900) - *snapshot_at)),
            _ => None,
        });
        let (decided, lost) = promoted.unwrap();
        let running = saw(&world, |event| matches!(event, ReplicaEvent::GuestRunning { .. })).unwrap();
        let waited = saw(&world, |event| *event == ReplicaEvent::FailOverWaits);
        (lost, running - decided, waited.map(|at| decided - at))
    };
    // 2 MiB at 1 MiB/s.
    let restored = Span::from_s(2) + well.resume_time;
    let (data, took, waited) = lost(&[]);
    assert!(data < Span::from_ms(1_000));
    assert_eq!((took, waited), (restored, None));
    // Full since 4.5 s: what was taken at 5 s and later is lost. Reading goes on.
    let (data, took, waited) = lost(&[(4_500, FULL)]);
    assert!(data > Span::from_ms(2_700), "{data:?}");
    assert_eq!((took, waited), (restored, None));
    // A slow disk is slow to read, too: a second at half the speed gets half as far.
    let half = DiskCondition {
        slowdown: 2_000,
        ..WELL
    };
    assert_eq!(lost(&[(4_500, half)]).1, Span::from_s(4) + well.resume_time);
    // What cannot be read cannot be started.
    let (data, took, waited) = lost(&[(4_500, FAILED), (9_000, WELL)]);
    assert!(data > Span::from_ms(2_700), "{data:?}");
    assert_eq!(took, restored);
    assert!(
        waited.is_some_and(|waited| waited > Span::from_ms(1_500)),
        "{waited:?}"
    );
    // While it is being read, too: it goes on where it was.
    let (_, took, _) = lost(&[(8_000, FAILED), (8_700, WELL)]);
    assert_eq!(took, restored + Span::from_ms(700));
}
