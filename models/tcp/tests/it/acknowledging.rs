//! When the receiver acknowledges, and what it says.

use longhaul_core::time::{Instant, Span};
use longhaul_tcp::Config;

use crate::harness::{Link, Network, Sighting, reno};

const RTT: Span = Span::from_ms(80);
const SEGMENT: u64 = 1448;

/// Acknowledgements of a transfer: bytes newly acknowledged by each.
fn steps(network: &Network) -> Vec<u64> {
    let acks: Vec<u64> = network.acks().map(|sighting| sighting.segment.ack).collect();
    std::iter::once(acks[0])
        .chain(acks.windows(2).map(|pair| pair[1] - pair[0]))
        .collect()
}

#[test]
fn sixteen_segments_are_acknowledged_one_by_one_and_then_every_second() {
    let mut network = Network::new(Link::new(None, RTT), reno(), reno(), 1, 70 * SEGMENT)
        .left_open()
        .recorded();
    assert!(network.run(Span::from_s(10)));
    let steps = steps(&network);
    assert_eq!(steps[..16], [SEGMENT; 16]);
    assert_eq!(steps[16..], [2 * SEGMENT; 27]);
}

#[test]
fn while_the_window_grows_every_segment_is_acknowledged_by_itself() {
    let config = Config {
        autotuning: true,
        ..reno()
    };
    let mut network = Network::new(Link::new(Some(100), RTT), config, config, 1, 1_000 * SEGMENT)
        .left_open()
        .recorded();
    assert!(network.run(Span::from_s(10)));
    let steps = steps(&network);
    let single = steps.iter().filter(|&&step| step == SEGMENT).count();
    assert!(single > 800, "{single} of {}", steps.len());
    let windows = network.acks().map(|sighting| sighting.segment.window);
    let (first, largest) = windows.fold((0, 0), |(first, largest), window| {
        (if first == 0 { window } else { first }, window.max(largest))
    });
    assert_eq!(first, 65_536);
    assert!(largest > 1_000_000, "{largest}");
}

#[test]
fn a_lone_segment_is_acknowledged_after_forty_milliseconds() {
    let mut network = Network::new(Link::new(None, RTT), reno(), reno(), 1, 70 * SEGMENT)
        .left_open()
        .recorded();
    network.run(RTT * 5);
    network.seen.clear();
    network.now = Instant::ZERO + RTT * 5;
    network.write(SEGMENT);
    network.run(Span::from_s(10));
    let waited = network.acks().next().expect("an ACK").sent_at - (Instant::ZERO + RTT * 5 + RTT / 2);
    // One jiffy for the tick that was under way, one for the slot of the timer.
    assert!(
        waited >= Span::from_ms(40) && waited <= Span::from_ms(48),
        "{waited:?}"
    );
}

#[test]
fn a_short_segment_is_acknowledged_at_once() {
    let mut network = Network::new(Link::new(None, RTT), reno(), reno(), 1, 70 * SEGMENT)
        .left_open()
        .recorded();
    network.run(Span::from_s(1));
    network.seen.clear();
    network.now = Instant::ZERO + Span::from_s(1);
    network.write(100);
    assert!(network.run(Span::from_s(10)));
    let acknowledged = network.acks().next().expect("an ACK").sent_at;
    assert_eq!(acknowledged, Instant::ZERO + Span::from_s(1) + RTT / 2);
}

/// The acknowledgements after packets with these numbers were lost; packets 0 and 1 are SYN and ACK.
fn acks_after_losing(numbers: &[u64]) -> Vec<Sighting> {
    let link = Link::new(Some(10), RTT).losing(numbers.iter().copied());
    let mut network = Network::new(link, reno(), reno(), 1, 10 * SEGMENT).recorded();
    assert!(network.run(Span::from_s(10)));
    network.acks().copied().collect()
}

#[test]
fn blocks_tell_what_arrived_beyond_the_gap_newest_first() {
    // Segments 1, 3 and 5 of 0..10 are lost.
    let acks = acks_after_losing(&[3, 5, 7]);
    let blocks = |at: usize| -> Vec<(u64, u64)> {
        let blocks = acks[at].segment.sack_blocks();
        blocks
            .map(|block| (block.start / SEGMENT, block.end / SEGMENT))
            .collect()
    };
    assert_eq!((acks[0].segment.ack / SEGMENT, blocks(0)), (1, vec![]));
    assert_eq!((acks[1].segment.ack / SEGMENT, blocks(1)), (1, vec![(2, 3)]));
    assert_eq!(
        (acks[2].segment.ack / SEGMENT, blocks(2)),
        (1, vec![(4, 5), (2, 3)])
    );
    assert_eq!(
        (acks[3].segment.ack / SEGMENT, blocks(3)),
        (1, vec![(6, 7), (4, 5), (2, 3)])
    );
    assert_eq!(acks[3].segment.frame_bytes(), 66 + 28);
}

#[test]
fn duplicates_beyond_three_are_thinned_to_one_per_millisecond() {
    // 10 Mbit/s: a segment every 1.2 ms. 100 Mbit/s: every 0.12 ms.
    let count = |mbit| {
        let mut network = Network::new(
            Link::new(Some(mbit), RTT).losing([40]),
            reno(),
            reno(),
            1,
            70 * SEGMENT,
        )
        .recorded();
        assert!(network.run(Span::from_s(10)));
        network
            .acks()
            .filter(|sighting| sighting.segment.has_sack())
            .count()
    };
    let (all, thinned) = (count(10), count(100));
    assert!(all > 25, "{all}");
    assert!((4..12).contains(&thinned), "{thinned}");
}

#[test]
fn the_right_edge_of_the_window_never_moves_back() {
    let config = longhaul_tcp::Config {
        receive_buffer: 60 * SEGMENT,
        ..reno()
    };
    let link = Link::new(Some(50), RTT).losing([12, 30, 31, 32, 60, 61, 90]);
    let mut network = Network::new(link, config, config, 1, 400 * SEGMENT).recorded();
    assert!(network.run(Span::from_s(20)));
    let edges: Vec<u64> = network
        .acks()
        .map(|ack| ack.segment.ack + u64::from(ack.segment.window))
        .collect();
    assert!(edges.windows(2).all(|pair| pair[0] <= pair[1]));
    let furthest = network
        .data()
        .map(|sighting| sighting.segment.end())
        .max()
        .expect("data");
    assert!(furthest <= *edges.last().expect("ACKs"));
    assert_eq!(network.server().received, 400 * SEGMENT);
}
