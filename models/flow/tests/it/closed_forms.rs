//! What a transfer takes where that can be worked out by hand.

use longhaul_core::time::Span;
use longhaul_core::units::{BitRate, Probability};
use longhaul_net::link::{LinkSpec, Queue, QueueLimit};
use longhaul_net::loss::Loss;
use longhaul_tcp::{Config, Controller};

use crate::lab::{CUBIC, FlowLab, FlowNetwork, PLAIN, RENO, Transfer, pair, single};

/// A frame of 1514 bytes at 100 Mbit/s.
const FRAME_S: f64 = 121.12e-6;

#[test]
fn a_transfer_of_one_segment_takes_two_round_trips_and_the_frame() {
    // Handshake; data there; the end of the other stream back.
    let transfer = single::<FlowNetwork>(&PLAIN, CUBIC, 1448, 0);
    let syn = 74.0 * 8.0 / 100e6;
    let expected = 4.0 * 0.04 + syn + FRAME_S;
    assert!(
        (transfer.seconds() - expected).abs() < 1e-6,
        "{}",
        transfer.seconds()
    );
}

#[test]
fn slow_start_doubles_from_ten_segments_every_round_trip() {
    // 10 + 20 + 40 + 80 = 150 segments take four rounds; the last of them sends its 80th after 80 frame times.
    for (segments, rounds, last) in [(10, 0, 10), (30, 1, 20), (31, 2, 1), (150, 3, 80)] {
        let transfer = single::<FlowNetwork>(&PLAIN, RENO, segments * 1448, 0);
        let read = transfer.read.expect("read").as_ns() as f64 / 1e9;
        let round_trip = 0.08 + FRAME_S;
        let expected = 0.08 + f64::from(rounds) * round_trip + 0.04 + f64::from(last) * FRAME_S;
        assert!(
            (read - expected).abs() < 20e-6,
            "{segments}: {read} not {expected}"
        );
    }
}

#[test]
fn a_long_transfer_fills_the_link() {
    let bytes = 500_000_000;
    for controller in [Controller::Reno, Controller::Cubic, Controller::Bbr] {
        let mut lab = FlowLab::new(1, 0, 2, &pair(0, 1, &PLAIN));
        let config = Config { controller, ..RENO };
        let transfer = Transfer::new(0, 1, bytes, config);
        lab.run(&[transfer], Span::from_s(1_000));
        let serialised = bytes as f64 / 1448.0 * FRAME_S;
        let ratio = lab.transfers[0].seconds() / serialised;
        // BBR gives up 2 % of the time to find the smallest RTT, and does not fill the link in every round.
        let most = if controller == Controller::Bbr { 1.09 } else { 1.04 };
        assert!((1.0..most).contains(&ratio), "{controller:?}: {ratio}");
    }
}

#[test]
fn a_receive_window_limits_the_rate_to_a_window_per_round_trip() {
    let config = Config {
        receive_buffer: 100 * 1448,
        ..CUBIC
    };
    let transfer = single::<FlowNetwork>(&PLAIN, config, 100 * 1448 * 1000, 0);
    let rounds = transfer.seconds() / (0.08 + FRAME_S);
    // Handshake, four rounds of slow start for 150 segments less than full ones, the way back.
    assert!((1000.0..1006.0).contains(&rounds), "{rounds}");
}

#[test]
fn reno_with_random_loss_has_the_rate_of_mathis() {
    // Mathis et al. 1997: a window of sqrt(3/2) / sqrt(p), counting every loss as one reduction.
    for loss in [1_000, 3_000] {
        let spec = LinkSpec {
            rate: BitRate::from_bits_per_s(10_000_000_000),
            queue: Queue::Fifo(QueueLimit::Packets(100_000)),
            loss: Loss::Independent(Probability::from_ratio(loss, 1_000_000).expect("at most one")),
            ..PLAIN
        };
        let bytes = 400_000_000;
        let seconds: f64 = (0..4)
            .map(|replication| single::<FlowNetwork>(&spec, RENO, bytes, replication).seconds())
            .sum::<f64>()
            / 4.0;
        let window = bytes as f64 / 1448.0 / (seconds / 0.08);
        let p = loss as f64 / 1e6;
        let ratio = window / (1.5 / p).sqrt();
        assert!(
            (0.85..1.1).contains(&ratio),
            "loss {p}: window {window}, {ratio} of Mathis"
        );
    }
}

#[test]
fn bbr_minds_random_loss_of_a_tenth_little() {
    let spec = LinkSpec {
        loss: Loss::Independent(Probability::from_ratio(1, 10).expect("at most one")),
        ..PLAIN
    };
    let mut lab = FlowLab::new(1, 0, 2, &pair(0, 1, &spec));
    let config = Config {
        controller: Controller::Bbr,
        ..RENO
    };
    let transfer = Transfer::new(0, 1, 100_000_000, config);
    lab.run(&[transfer], Span::from_s(1_000));
    // A tenth is lost of the probes that find the bandwidth, and of what is paced by it; Reno would take minutes.
    let ratio = lab.transfers[0].seconds() / (100e6 / 1448.0 * FRAME_S / 0.81);
    assert!((0.95..1.2).contains(&ratio), "{ratio}");
}

#[test]
fn a_link_that_loses_everything_fails_the_transfer() {
    let spec = LinkSpec {
        loss: Loss::Independent(Probability::ONE),
        ..PLAIN
    };
    let transfer = single::<FlowNetwork>(&spec, CUBIC, 1_000_000, 0);
    assert!(transfer.failed && transfer.opened.is_none());
}
