//! Slow start, and what limits a sender.

use longhaul_core::time::{Instant, Span};
use longhaul_tcp::Config;

use crate::harness::{Link, Network, reno};

const RTT: Span = Span::from_ms(100);
const SEGMENT: u64 = 1448;

/// Completion of a transfer that meets no loss, in nanoseconds.
fn completion(link: Link, config: Config, bytes: u64) -> u64 {
    let mut network = Network::new(link, config, config, 1, bytes);
    assert!(network.run(Span::from_s(1_000)));
    assert_eq!(network.client().tcp.stats().retransmits, 0);
    network.completion().expect("it ends").as_ns()
}

#[test]
fn slow_start_doubles_from_ten_segments_every_round_trip() {
    for rounds in 1..=9u64 {
        // 10 + 20 + 40 + … segments need so many rounds; two more packets need another (for one, the last,
        // the FIN makes an exception).
        let fits = 10 * ((1 << rounds) - 1) * SEGMENT;
        let expected = (RTT * (1 + rounds)).as_ns();
        assert_eq!(completion(Link::new(None, RTT), reno(), fits), expected);
        assert_eq!(
            completion(Link::new(None, RTT), reno(), fits + SEGMENT + 1),
            expected + RTT.as_ns()
        );
    }
}

#[test]
fn the_initial_window_is_as_configured() {
    let config = Config {
        initial_window_segments: 4,
        ..reno()
    };
    assert_eq!(
        completion(Link::new(None, RTT), config, 4 * SEGMENT),
        2 * RTT.as_ns()
    );
    assert_eq!(
        completion(Link::new(None, RTT), config, 12 * SEGMENT),
        3 * RTT.as_ns()
    );
}

#[test]
fn a_long_transfer_fills_the_link() {
    let bytes = 50_000_000;
    for config in [
        reno(),
        Config {
            segmentation_offload: true,
            ..reno()
        },
        Config { ..Config::default() },
    ] {
        let link = Link::new(Some(20), Span::from_ms(40));
        let seconds = completion(link, config, bytes) as f64 / 1e9;
        let ideal = bytes as f64 * 8.0 * 1514.0 / 1448.0 / 20e6;
        assert!(
            seconds > ideal && seconds < ideal + 0.3,
            "{seconds} s, at best {ideal} s"
        );
    }
}

#[test]
fn the_offered_window_limits_the_rate_to_one_window_per_round_trip() {
    let window = 40 * SEGMENT;
    let config = Config {
        receive_buffer: window,
        ..reno()
    };
    let rounds = 200;
    let needed = completion(Link::new(None, RTT), config, rounds * window);
    let expected = (RTT * rounds).as_ns();
    // Handshake, slow start up to 40 segments, and the last half round trips.
    assert!(
        (expected..expected + 5 * RTT.as_ns()).contains(&needed),
        "{needed} ns"
    );
}

#[test]
fn the_send_buffer_limits_the_rate_to_one_buffer_per_round_trip() {
    let buffer = 40 * SEGMENT;
    let config = Config {
        send_buffer: buffer,
        ..reno()
    };
    let rounds = completion(Link::new(None, RTT), config, 200 * buffer) as f64 / RTT.as_ns() as f64;
    // The application hears of space only when a third of the buffer is free, so up to a third stays unused.
    assert!((200.0..310.0).contains(&rounds), "{rounds} round trips");
}

#[test]
fn a_write_takes_what_fits() {
    let config = Config {
        send_buffer: 10_000,
        ..reno()
    };
    let mut client = longhaul_tcp::Connection::connect(config, Instant::ZERO);
    assert_eq!(client.write(Instant::ZERO, 4_000), 4_000);
    assert_eq!(client.free_send_space(), 6_000);
    assert_eq!(client.write(Instant::ZERO, u64::MAX), 6_000);
    assert_eq!(client.write(Instant::ZERO, 1), 0);
    client.shutdown(Instant::ZERO);
    assert_eq!(client.write(Instant::ZERO, 1), 0);
}

#[test]
fn a_window_that_nothing_fills_does_not_grow() {
    let mut network = Network::new(Link::new(None, RTT), reno(), reno(), 1, 0).left_open();
    network.run(Span::from_s(1));
    for second in 1..50 {
        network.write(2 * SEGMENT);
        network.run(Span::from_s(second + 1));
    }
    assert_eq!(network.client().tcp.stats().cwnd_segments, 10);
}

#[test]
fn a_pause_brings_the_window_back_to_its_initial_size() {
    let mut network = Network::new(Link::new(None, RTT), reno(), reno(), 1, 0).left_open();
    network.run(Span::from_s(1));
    network.write(5_000 * SEGMENT);
    assert!(network.run(Span::from_s(30)));
    let grown = network.client().tcp.stats().cwnd_segments;
    assert!(grown > 1_000, "{grown} segments");
    network.now = Instant::ZERO + Span::from_s(60);
    network.write(SEGMENT);
    assert_eq!(network.client().tcp.stats().cwnd_segments, 10);
    assert!(network.client().tcp.stats().ssthresh >= grown / 4 * 3 - 1);
}

#[test]
fn hystart_ends_slow_start_before_the_queue_overflows() {
    let bytes = 20_000_000;
    let run = |hystart| {
        let link = Link {
            limit: 1_000,
            ..Link::new(Some(50), RTT)
        };
        let config = Config {
            hystart,
            send_buffer: 256 << 20,
            receive_buffer: 128 << 20,
            ..Config::default()
        };
        let mut network = Network::new(link, config, config, 1, bytes);
        assert!(network.run(Span::from_s(100)));
        network.client().tcp.stats()
    };
    assert_eq!(run(true).retransmits, 0);
    assert!(run(false).retransmits > 100);
}
