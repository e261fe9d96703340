//! FQ-CoDel against RFC 8290: equal shares, sparse flows first, drops from the fattest queue.

use crate::support::{Drive, FULL, PLAIN, Probe, at_us, mbit};
use longhaul_core::time::{Instant, Span};
use longhaul_core::units::ByteSize;
use longhaul_net::link::{LinkSpec, Offer, Queue};
use longhaul_net::queue::FqCoDel;

/// 100 Mbit/s, no delay line; CoDel's target so far away that it does nothing.
fn spec(options: FqCoDel) -> LinkSpec {
    LinkSpec {
        queue: Queue::FqCoDel(options),
        delay: Span::ZERO,
        ..PLAIN
    }
}

const FAIR_ONLY: FqCoDel = FqCoDel {
    target: Span::from_s(1_000),
    ..FqCoDel::LINUX
};

fn packet(id: u32, flow: u64) -> Probe {
    Probe {
        id,
        flow,
        ..Probe::default()
    }
}

/// Bytes that arrived, by flow.
fn carried(drive: &Drive, flows: u64, bytes: impl Fn(u64) -> u64) -> Vec<u64> {
    (0..flows)
        .map(|flow| drive.out.iter().filter(|(_, packet)| packet.flow == flow).count() as u64 * bytes(flow))
        .collect()
}

#[test]
fn flows_get_equal_bytes_whatever_their_rates_and_sizes() {
    let mut drive = Drive::new(&spec(FAIR_ONLY));
    // Flow 0 sends frames of 300 bytes, flow 2 twice as many full ones as flow 1. All want more than a third.
    let size = |flow: u64| if flow == 0 { 300 } else { u64::from(FULL) };
    let mut offers: Vec<(u64, u64)> = vec![];
    for (flow, rate) in [(0, 50), (1, 50), (2, 100)] {
        let distance = mbit(rate).time_for(size(flow)).as_ns();
        offers.extend((0..2_000_000_000 / distance).map(|i| (i * distance, flow)));
    }
    offers.sort_unstable();
    for (id, (ns, flow)) in (0u32..).zip(offers) {
        let _ = drive.offer(Instant::from_ns(ns), packet(id, flow), size(flow) as u32);
    }
    let shares = carried(&drive, 3, size);
    let third = 100_000_000 / 8 * 2 / 3;
    for share in shares {
        // A quantum per flow and round: within two frames of each other over any time.
        assert!(share.abs_diff(third) < 3 * u64::from(FULL), "{share} of {third}");
    }
}

#[test]
fn a_sparse_flow_waits_for_one_frame_at_most_per_other_new_flow() {
    let mut drive = Drive::new(&spec(FAIR_ONLY));
    // Flows 0 and 1 keep a backlog of hundreds of frames; flow 2 sends a small frame every 10 ms.
    for round in 0..200u32 {
        let now = at_us(u64::from(round) * 10_000);
        for id in 0..83 {
            let _ = drive.offer(now, packet(id, u64::from(id % 2)), FULL);
        }
        let _ = drive.offer(now + Span::from_us(700), packet(round, 2), 100);
    }
    drive.run(Instant::MAX);
    let sparse = drive.out.iter().filter(|(_, packet)| packet.flow == 2);
    let worst = sparse
        .map(|&(at, packet)| at - at_us(u64::from(packet.id) * 10_000 + 700))
        .max();
    // The frame in service, and itself.
    assert!(worst <= Some(Span::from_us(121 + 8 + 1)), "{worst:?}");
    assert!(drive.link.stats().longest_wait > Span::from_ms(8));
}

#[test]
fn what_does_not_fit_is_dropped_from_the_head_of_the_fattest_flow_in_batches() {
    let mut drive = Drive::new(&spec(FqCoDel {
        limit_packets: 300,
        ..FAIR_ONLY
    }));
    // The first goes into the serialiser; flow 1 has 20 frames waiting, flow 0 the other 280.
    for id in 0..21 {
        let _ = drive.offer(Instant::ZERO, packet(id, 1), FULL);
    }
    for id in 0..280 {
        assert_ne!(
            drive.offer(Instant::ZERO, packet(id, 0), FULL),
            Offer::DroppedFull
        );
    }
    assert_eq!(drive.link.stats().dropped_full.packets, 0);
    // One more is one too many, of a third flow even: a batch of 64 goes, from the head of flow 0.
    assert_ne!(drive.offer(Instant::ZERO, packet(0, 2), FULL), Offer::DroppedFull);
    assert_eq!(drive.link.stats().dropped_full.packets, 64);
    drive.run(Instant::MAX);
    let first = drive
        .out
        .iter()
        .find(|(_, packet)| packet.flow == 0)
        .unwrap()
        .1
        .id;
    assert_eq!(first, 64);
    assert_eq!(carried(&drive, 3, |_| 1), [216, 21, 1]);
}

#[test]
fn the_memory_limit_counts_bytes() {
    let mut drive = Drive::new(&spec(FqCoDel {
        memory_limit: ByteSize::from_bytes(10 * u64::from(FULL)),
        ..FAIR_ONLY
    }));
    for id in 0..11 {
        let _ = drive.offer(Instant::ZERO, packet(id, 1), FULL);
    }
    assert_eq!(drive.link.stats().dropped_full.packets, 0);
    let _ = drive.offer(Instant::ZERO, packet(11, 1), FULL);
    // Half of what the flow held: five and a half frames, so six.
    assert_eq!(drive.link.stats().dropped_full.packets, 6);
}

#[test]
fn each_flow_has_its_own_codel() {
    let mut drive = Drive::new(&spec(FqCoDel {
        limit_packets: 100_000,
        ..FqCoDel::LINUX
    }));
    // Flow 0 takes 120 % of the link alone; flow 1 a tenth.
    for id in 0..30_000u32 {
        let now = Instant::from_ns(u64::from(id) * 100_933);
        let _ = drive.offer(now, packet(id, 0), FULL);
        if id % 12 == 0 {
            let _ = drive.offer(now, packet(id, 1), FULL);
        }
    }
    let dropped_early = drive.link.stats().dropped_early.packets;
    drive.run(Instant::MAX);
    assert_eq!(carried(&drive, 2, |_| 1)[1], 2_500);
    assert!(dropped_early > 100, "{dropped_early}");
}
