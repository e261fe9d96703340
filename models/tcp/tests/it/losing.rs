//! Repair of losses, in the network and in the sender's own queue.

use longhaul_core::random::Streams;
use longhaul_core::time::Span;
use longhaul_core::units::Probability;
use longhaul_tcp::{Config, Stats};

use crate::harness::{Link, Loss, Network, reno};

const RTT: Span = Span::from_ms(80);
const SEGMENT: u64 = 1448;

/// Completion in nanoseconds, and the client's counters.
fn transfer(link: Link, config: Config, segments: u64) -> (u64, Stats) {
    let mut network = Network::new(link, config, config, 1, segments * SEGMENT);
    assert!(network.run(Span::from_s(1_000)));
    assert_eq!(network.server().received, segments * SEGMENT);
    (
        network.completion().expect("it ends").as_ns(),
        network.client().tcp.stats(),
    )
}

#[test]
fn one_lost_segment_costs_about_one_round_trip() {
    for config in [reno(), Config::default()] {
        // Number 50 belongs to the last flight, so the smaller window costs nothing.
        let (clean, _) = transfer(Link::new(Some(100), RTT), config, 70);
        let (lossy, stats) = transfer(Link::new(Some(100), RTT).losing([50]), config, 70);
        assert_eq!((stats.retransmits, stats.fast_recoveries, stats.rtos), (1, 1, 0));
        let cost = (lossy - clean) as f64 / RTT.as_ns() as f64;
        assert!((0.5..1.6).contains(&cost), "{cost} round trips");
    }
}

#[test]
fn the_window_falls_to_the_share_of_its_controller() {
    let window_after = |config| {
        let link = Link::new(None, RTT).losing([62]);
        let mut network = Network::new(link, config, config, 1, 10_000 * SEGMENT);
        // Numbers 2..12, 12..32 and 32..72 are the first three flights; the loss shows after the third.
        network.run(RTT * 4 + Span::from_ms(60));
        network.client().tcp.stats().ssthresh
    };
    let (reno_share, cubic_share) = (window_after(reno()), window_after(Config::default()));
    assert!((30..=40).contains(&reno_share), "{reno_share}");
    let ratio = f64::from(cubic_share) / f64::from(reno_share);
    assert!((1.3..1.5).contains(&ratio), "{cubic_share} and {reno_share}");
}

#[test]
fn many_losses_in_one_window_are_repaired_without_a_timeout() {
    let (_, stats) = transfer(
        Link::new(Some(100), RTT).losing((40..140).step_by(3)),
        reno(),
        2_000,
    );
    assert_eq!((stats.retransmits, stats.rtos), (34, 0));
    assert_eq!(stats.delivered, 2_000);
}

#[test]
fn a_lost_retransmission_is_noticed_without_a_timeout() {
    let clean = Link::new(Some(100), RTT).losing([50]);
    let mut network = Network::new(clean, reno(), reno(), 1, 1_000 * SEGMENT).recorded();
    network.run(Span::from_s(100));
    let again = network.data().enumerate().find(|(at, sighting)| {
        network
            .data()
            .take(*at)
            .any(|earlier| earlier.segment.seq == sighting.segment.seq)
    });
    let number = again.expect("a retransmission").0 as u64 + 2;
    let (_, stats) = transfer(Link::new(Some(100), RTT).losing([50, number]), reno(), 1_000);
    assert_eq!((stats.retransmits, stats.rtos), (2, 0));
}

#[test]
fn a_lost_tail_is_repaired_by_a_probe() {
    // Numbers 2..72 carry the data; the last two are lost.
    let (clean, _) = transfer(Link::new(None, RTT), reno(), 70);
    let (lossy, stats) = transfer(Link::new(None, RTT).losing([70, 71]), reno(), 70);
    assert_eq!((stats.loss_probes, stats.rtos), (1, 0));
    // One round trip until the last ACK, two (and a tick) until the probe, one for its answer, half a one for the
    // repair and half for the end; without losses it was one.
    let cost = (lossy - clean) as f64 / RTT.as_ns() as f64;
    assert!((4.0..4.3).contains(&cost), "{cost} round trips");
}

#[test]
fn a_probe_that_repaired_a_loss_reduces_the_window_once_more_is_acknowledged() {
    let link = Link::new(None, RTT).losing([71]);
    let mut network = Network::new(link, reno(), reno(), 1, 70 * SEGMENT).left_open();
    network.run(RTT * 12);
    let stats = network.client().tcp.stats();
    assert_eq!((stats.loss_probes, stats.retransmits, stats.rtos), (1, 1, 0));
    assert_eq!(stats.ssthresh, u32::MAX);
    network.write(10 * SEGMENT);
    network.run(Span::from_s(4));
    let stats = network.client().tcp.stats();
    assert!((10..45).contains(&stats.ssthresh), "{}", stats.ssthresh);
}

#[test]
fn a_lost_flight_waits_for_the_timeout_and_starts_again_from_one_segment() {
    let link = Link {
        // The ten segments, the FIN behind them, and the probe.
        loss: Loss::These((2..14).collect()),
        ..Link::new(None, RTT)
    };
    let (needed, stats) = transfer(link, reno(), 10);
    assert!(stats.rtos >= 1 && stats.retransmits >= 10);
    assert!(needed > Span::from_ms(280).as_ns(), "{needed} ns");
}

#[test]
fn a_refusal_by_the_own_queue_is_no_loss_but_reduces_the_window() {
    for segmentation_offload in [false, true] {
        let config = Config {
            segmentation_offload,
            ..reno()
        };
        let link = Link {
            limit: 100,
            tells: true,
            ..Link::new(Some(10), Span::from_ms(20))
        };
        let (needed, stats) = transfer(link, config, 10_000);
        assert!(stats.local_drops > 0 && stats.ssthresh < 400, "{stats:?}");
        assert_eq!((stats.retransmits, stats.delivered), (0, 10_000));
        let ideal = 10_000.0 * 1514.0 * 8.0 / 10e6;
        assert!((needed as f64 / 1e9) < ideal * 1.02, "{needed} ns");
    }
}

#[test]
fn an_overflow_at_a_router_is_repaired() {
    let link = Link {
        limit: 100,
        ..Link::new(Some(10), Span::from_ms(20))
    };
    let (needed, stats) = transfer(link, reno(), 10_000);
    assert!(stats.retransmits > 0 && stats.fast_recoveries > 0);
    let ideal = 10_000.0 * 1514.0 * 8.0 / 10e6;
    assert!((needed as f64 / 1e9) < ideal * 1.1, "{needed} ns");
}

#[test]
fn a_burst_is_lost_and_repaired_as_a_whole() {
    let config = Config {
        segmentation_offload: true,
        ..reno()
    };
    // Number 2 is the first burst of two segments.
    let mut network =
        Network::new(Link::new(None, RTT).losing([4]), config, config, 1, 300 * SEGMENT).recorded();
    assert!(network.run(Span::from_s(10)));
    let lost = network
        .data()
        .find(|sighting| sighting.lost)
        .expect("a loss")
        .segment;
    assert_eq!((lost.packets, lost.len), (2, 2 * 1448));
    let repairs = (network.data())
        .filter(|sighting| (lost.seq..lost.end()).contains(&sighting.segment.seq))
        .skip(1);
    assert_eq!(repairs.map(|sighting| sighting.segment.packets).sum::<u16>(), 2);
    assert_eq!(network.client().tcp.stats().retransmits, 2);
}

#[test]
fn bursts_grow_with_the_pace_from_two_packets() {
    let config = Config {
        segmentation_offload: true,
        ..reno()
    };
    let mut network = Network::new(Link::new(Some(100), RTT), config, config, 1, 20_000 * SEGMENT).recorded();
    assert!(network.run(Span::from_s(100)));
    let bursts: Vec<u16> = network.data().map(|sighting| sighting.segment.packets).collect();
    assert_eq!(bursts[..5], [2; 5]);
    // 100 Mbit/s are 8 packets in 1/1024 s; slow start is allowed twice the pace of a window that is twice as
    // large as what has been timed.
    assert!(
        (8..=32).contains(bursts.iter().max().expect("data")),
        "{:?}",
        bursts.iter().max()
    );
}

#[test]
fn the_same_seed_gives_the_same_segments() {
    let run = |seed| {
        let stream = Streams::new(seed, 0).stream("link", "loss");
        let loss = Loss::Independent(Probability::from_ratio(1, 50).expect("below one"), stream);
        let link = Link {
            loss,
            ..Link::new(Some(50), RTT)
        };
        let mut network = Network::new(link, reno(), reno(), 4, 1_000_000).recorded();
        assert!(network.run(Span::from_s(1_000)));
        network.seen
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
}
