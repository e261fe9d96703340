//! CoDel against RFC 8289: the control law, the target, and what it leaves alone.

use crate::support::{Drive, FULL, PLAIN, Probe, at_us};
use longhaul_core::time::{Instant, Span};
use longhaul_net::link::{LinkError, LinkSpec, Offer, Queue};
use longhaul_net::queue::{CoDel, QueueError};

/// A full frame takes 121,120 ns, and the delay line is empty.
fn spec(codel: CoDel) -> LinkSpec {
    LinkSpec {
        queue: Queue::CoDel(codel),
        delay: Span::ZERO,
        ..PLAIN
    }
}

const FRAME: Span = Span::from_ns(121_120);

/// Offers full frames at `percent` of the rate for `seconds`.
fn load(drive: &mut Drive, percent: u64, seconds: u64, ecn: bool) {
    let distance = 12_112_000 / percent;
    for id in 0..seconds * 1_000_000_000 / distance {
        let packet = Probe {
            id: id as u32,
            ecn,
            ..Probe::default()
        };
        let _ = drive.offer(Instant::from_ns(id * distance), packet, FULL);
    }
}

#[test]
fn marks_come_an_interval_over_the_root_of_their_number_apart() {
    let ecn = CoDel {
        ecn: true,
        limit_packets: 100_000,
        ..CoDel::LINUX
    };
    let mut drive = Drive::new(&spec(ecn));
    // 5 % too much: the delay passes 5 ms after 0.1 s, and the law begins 100 ms later.
    load(&mut drive, 105, 4, true);
    let marks: Vec<Instant> = drive
        .out
        .iter()
        .filter(|(_, packet)| packet.marked)
        .map(|&(at, _)| at)
        .collect();
    assert!(marks.len() > 100, "{}", marks.len());
    assert!(
        marks[0] >= at_us(200_000) && marks[0] < at_us(212_000),
        "{:?}",
        marks[0]
    );
    let mut expected = marks[0];
    for (count, &mark) in (1..).zip(&marks[1..]) {
        expected += Span::from_ns((100e6 / f64::from(count).sqrt()) as u64);
        // Frames leave every 121 µs, so a mark comes at most that much late.
        assert!(
            mark >= expected && mark <= expected + FRAME * 2,
            "{count}: {mark:?} for {expected:?}"
        );
    }
    assert_eq!(drive.link.stats().marked.packets, marks.len() as u64);
    assert_eq!(drive.link.stats().dropped_early.packets, 0);
}

#[test]
fn packets_that_cannot_be_marked_are_dropped_at_the_same_pace() {
    for ecn in [false, true] {
        let options = CoDel {
            ecn,
            limit_packets: 100_000,
            ..CoDel::LINUX
        };
        let mut drive = Drive::new(&spec(options));
        // Marked only if both the queue and the packet know ECN.
        load(&mut drive, 105, 2, !ecn);
        let stats = drive.link.stats();
        assert_eq!(stats.marked.packets, 0);
        // Into the 1.8 s from 0.2 s on fit n intervals of 100 ms / √i; their sum is about 100 ms (2 √n − 1.46).
        let fit = (19.46f64 / 2.0) * (19.46 / 2.0);
        assert!(
            (stats.dropped_early.packets as f64 - fit).abs() < 4.0,
            "{stats:?}"
        );
    }
}

#[test]
fn a_queue_below_the_target_or_shorter_than_the_interval_is_left_alone() {
    let mut drive = Drive::new(&spec(CoDel::LINUX));
    load(&mut drive, 99, 3, false);
    // A burst of 70 ms that is gone within the interval.
    for id in 0..580 {
        let _ = drive.offer(
            at_us(4_000_000),
            Probe {
                id,
                ..Probe::default()
            },
            FULL,
        );
    }
    drive.run(Instant::MAX);
    let stats = drive.link.stats();
    assert_eq!((stats.dropped_early.packets, stats.dropped_full.packets), (0, 0));
    assert!(stats.longest_wait > Span::from_ms(69), "{stats:?}");
    assert_eq!(stats.max_queue_packets, 579);
}

#[test]
fn a_full_queue_drops_the_newcomer() {
    let mut drive = Drive::new(&spec(CoDel {
        limit_packets: 2,
        ..CoDel::LINUX
    }));
    let offers: Vec<Offer> = (0..4)
        .map(|id| {
            drive.offer(
                Instant::ZERO,
                Probe {
                    id,
                    ..Probe::default()
                },
                FULL,
            )
        })
        .collect();
    assert_eq!(offers[3], Offer::DroppedFull);
    drive.run(Instant::MAX);
    let ids: Vec<u32> = drive.out.iter().map(|(_, packet)| packet.id).collect();
    assert_eq!(ids, [0, 1, 2]);
    assert_eq!(drive.link.stats().dropped_full.packets, 1);
}

#[test]
fn the_law_starts_again_near_the_pace_that_held_the_queue_before() {
    let options = CoDel {
        ecn: true,
        limit_packets: 100_000,
        ..CoDel::LINUX
    };
    let mut drive = Drive::new(&spec(options));
    load(&mut drive, 110, 2, true);
    // The queue empties; half a second later (less than 16 intervals) it stands again.
    drive.run(Instant::MAX);
    let first_round = drive.link.stats().marked.packets;
    let resume = drive.out.last().unwrap().0 + Span::from_ms(500);
    let before = drive.out.len();
    for id in 0..6_000u32 {
        let at = resume + Span::from_ns(110_109) * u64::from(id);
        let _ = drive.offer(
            at,
            Probe {
                id,
                ecn: true,
                ..Probe::default()
            },
            FULL,
        );
    }
    let marks: Vec<Instant> = drive.out[before..]
        .iter()
        .filter(|(_, packet)| packet.marked)
        .map(|&(at, _)| at)
        .collect();
    let pace = marks[1] - marks[0];
    let expected = 100e6 / (first_round as f64 - 1.0).sqrt();
    assert!(
        (pace.as_ns() as f64 - expected).abs() < 3.0 * 121_120.0,
        "{pace:?} for {expected}"
    );
}

#[test]
fn without_an_interval_there_is_no_law() {
    let refused = longhaul_net::link::Link::<Probe>::new(
        &spec(CoDel {
            interval: Span::ZERO,
            ..CoDel::LINUX
        }),
        "a->b",
        &longhaul_core::random::Streams::new(1, 0),
    );
    assert_eq!(refused.unwrap_err(), LinkError::Queue(QueueError::NoInterval));
}
