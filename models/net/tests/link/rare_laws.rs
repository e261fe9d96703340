//! Duplication, damage and reordering.

use crate::support::{Drive, FULL, PLAIN, Probe, accepted, at_us};
use longhaul_core::time::{Instant, Span};
use longhaul_core::units::Probability;
use longhaul_net::jitter::Jitter;
use longhaul_net::link::{LinkSpec, Offer, Queue, QueueLimit};
use longhaul_net::loss::Loss;
use longhaul_net::queue::CoDel;

fn percent(n: u64) -> Probability {
    Probability::from_ratio(n, 100).unwrap()
}

/// Offers `n` full frames a millisecond apart, and lets everything arrive.
fn sparse(spec: &LinkSpec, n: u32) -> Drive {
    let mut drive = Drive::new(spec);
    for id in 0..n {
        let _ = drive.offer(
            at_us(u64::from(id) * 1_000),
            Probe {
                id,
                ..Probe::default()
            },
            FULL,
        );
    }
    drive.run(Instant::MAX);
    drive.link.check();
    drive
}

#[test]
fn a_copy_passes_through_the_queue_behind_the_original() {
    for queue in [PLAIN.queue, Queue::CoDel(CoDel::LINUX)] {
        let always = LinkSpec {
            duplicate: Probability::ONE,
            queue,
            ..PLAIN
        };
        let drive = sparse(&always, 3);
        let ids: Vec<u32> = drive.out.iter().map(|(_, packet)| packet.id).collect();
        assert_eq!(ids, [0, 0, 1, 1, 2, 2]);
        assert_eq!(drive.out[1].0 - drive.out[0].0, Span::from_ns(121_120));
        let stats = drive.link.stats();
        let counts = [stats.offered, stats.duplicated, stats.delivered].map(|count| count.packets);
        assert_eq!(counts, [3, 3, 6]);
    }
}

#[test]
fn a_copy_without_room_is_dropped_and_the_original_goes() {
    let mut drive = Drive::new(&LinkSpec {
        duplicate: Probability::ONE,
        queue: Queue::Fifo(QueueLimit::Packets(0)),
        ..PLAIN
    });
    assert!(accepted(drive.offer(Instant::ZERO, Probe::default(), FULL)));
    assert_eq!(drive.link.stats().dropped_full.packets, 1);
    assert_eq!(
        drive.offer(Instant::ZERO, Probe::default(), FULL),
        Offer::DroppedFull
    );
    drive.link.check();
}

#[test]
fn as_in_netem_a_copy_makes_up_for_the_loss_of_its_original() {
    // A frame with p(copy) = d and p(loss) = l gives 0 with l (1 − d), otherwise 1, and a second one with
    // d (1 − l) (1 − l), the copy having its own loss.
    let n = 100_000;
    let drive = sparse(
        &LinkSpec {
            duplicate: percent(20),
            loss: Loss::Independent(percent(30)),
            ..PLAIN
        },
        n,
    );
    let mut copies = vec![0u8; n as usize];
    for (_, packet) in &drive.out {
        copies[packet.id as usize] += 1;
    }
    let share = |wanted: u8| copies.iter().filter(|&&c| c == wanted).count() as f64 / f64::from(n);
    // Standard errors below 0.0014.
    assert!((share(0) - 0.3 * 0.8).abs() < 0.006, "{}", share(0));
    assert!((share(2) - 0.2 * 0.7 * 0.7).abs() < 0.006, "{}", share(2));
}

#[test]
fn a_damaged_frame_takes_its_place_and_is_counted_apart() {
    let n = 50_000;
    let drive = sparse(
        &LinkSpec {
            corrupt: percent(3),
            ..PLAIN
        },
        n,
    );
    assert_eq!(drive.out.len(), n as usize);
    let damaged = drive.out.iter().filter(|(_, packet)| packet.damaged).count() as f64;
    // 1,500 ± 38.
    assert!((damaged - 1_500.0).abs() < 170.0, "{damaged}");
    let stats = drive.link.stats();
    assert_eq!(stats.corrupted.packets as f64, damaged);
    assert_eq!(stats.delivered.packets + stats.corrupted.packets, u64::from(n));
    let gaps = drive
        .out
        .windows(2)
        .all(|pair| pair[1].0 - pair[0].0 == Span::from_ms(1));
    assert!(gaps, "a damaged frame takes as long as any other");
}

#[test]
fn laws_that_are_not_asked_for_draw_nothing() {
    // The loss of a link is the same with and without other laws beside it.
    let lossy = LinkSpec {
        loss: Loss::Independent(percent(10)),
        ..PLAIN
    };
    let ids = |spec: &LinkSpec| -> Vec<u32> {
        sparse(spec, 2_000)
            .out
            .iter()
            .map(|(_, packet)| packet.id)
            .collect()
    };
    let damaged = LinkSpec {
        corrupt: percent(50),
        ..lossy.clone()
    };
    assert_eq!(ids(&lossy), ids(&damaged));
}

#[test]
fn reordered_frames_are_each_delayed_on_their_own() {
    let max = Span::from_ms(10);
    for queue in [PLAIN.queue, Queue::CoDel(CoDel::LINUX)] {
        let spec = LinkSpec {
            jitter: Jitter::Uniform { max },
            reorder: true,
            queue,
            ..PLAIN
        };
        let n = 20_000u32;
        let drive = sparse(&spec, n);
        assert_eq!(drive.out.len(), n as usize);
        assert!(drive.out.is_sorted_by_key(|&(at, _)| at));
        let jitter = |&(at, packet): &(Instant, Probe)| {
            let jitter = at - at_us(u64::from(packet.id) * 1_000) - Span::from_ns(40_121_120);
            assert!(jitter <= max);
            jitter.as_ns() as f64
        };
        let mean = drive.out.iter().map(jitter).sum::<f64>() / f64::from(n);
        // 5 ms ± 0.02.
        assert!((mean / 5e6 - 1.0).abs() < 0.02, "{mean}");
        // Neighbours at a distance d of a uniform law of width w change places with (1 − d/w)²/2.
        let mut arrivals = vec![Instant::ZERO; n as usize];
        drive
            .out
            .iter()
            .for_each(|&(at, packet)| arrivals[packet.id as usize] = at);
        let swapped = arrivals.windows(2).filter(|pair| pair[1] < pair[0]).count() as f64 / f64::from(n - 1);
        assert!((swapped - 0.81 / 2.0).abs() < 0.02, "{swapped}");
    }
}

#[test]
fn without_reordering_jitter_keeps_the_order() {
    for queue in [PLAIN.queue, Queue::CoDel(CoDel::LINUX)] {
        let drive = sparse(
            &LinkSpec {
                jitter: Jitter::Uniform {
                    max: Span::from_ms(10),
                },
                queue,
                ..PLAIN
            },
            5_000,
        );
        assert!(drive.out.iter().map(|(_, packet)| packet.id).eq(0..5_000));
    }
}

#[test]
fn both_engines_agree_where_the_discipline_does_nothing() {
    // CoDel with an endless target is drop-tail.
    let idle_law = Queue::CoDel(CoDel {
        target: Span::MAX,
        limit_packets: 20,
        ..CoDel::LINUX
    });
    let drives = [Queue::Fifo(QueueLimit::Packets(20)), idle_law].map(|queue| {
        let mut drive = Drive::new(&LinkSpec {
            queue,
            loss: Loss::Independent(percent(5)),
            duplicate: percent(10),
            ..PLAIN
        });
        let mut now = 0u64;
        for id in 0..20_000u32 {
            // Pauses of 0 to 131 µs from a multiplicative congruence.
            now += u64::from(id.wrapping_mul(2_654_435_761) >> 15);
            let _ = drive.offer(
                Instant::from_ns(now),
                Probe {
                    id,
                    ..Probe::default()
                },
                FULL,
            );
        }
        drive.run(Instant::MAX);
        drive
    });
    assert!(drives[0].link.stats().dropped_full.packets > 100);
    assert_eq!(drives[0].out, drives[1].out);
    assert_eq!(drives[0].link.stats(), drives[1].link.stats());
}
