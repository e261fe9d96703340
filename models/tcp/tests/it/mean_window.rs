//! The window that a loss rate sustains, against the table of RFC 9438 section 5.1 (restated below for an RTT of
//! 100 ms; `published-tables/rfc9438_avg_window.csv`).
//!
//! The table follows from the window law alone, with one loss after every 1/p packets, so that is what the link
//! does here.

use longhaul_core::time::Span;
use longhaul_tcp::{Config, Controller};

use crate::harness::{Link, Loss, Network, reno};

const RTT: Span = Span::from_ms(100);

/// Mean window in segments over the second half of `rounds` round trips: what is delivered per round trip.
fn mean_window(controller: Controller, packets_per_loss: u64, rounds: u64) -> f64 {
    let config = Config {
        controller,
        hystart: false,
        initial_window_segments: 10,
        ..reno()
    };
    let link = Link {
        loss: Loss::Every(packets_per_loss),
        ..Link::new(None, RTT)
    };
    let mut network = Network::new(link, config, config, 1, u64::MAX);
    network.run(RTT * (rounds / 2));
    let half = network.client().tcp.stats().delivered;
    network.run(RTT * rounds);
    (network.client().tcp.stats().delivered - half) as f64 / (rounds - rounds / 2) as f64
}

#[test]
fn reno_sustains_the_window_of_its_response_function() {
    for (packets_per_loss, published) in [(100, 12.0), (1_000, 38.0), (10_000, 120.0)] {
        let window = mean_window(Controller::Reno, packets_per_loss, 6_000);
        let error = window / published - 1.0;
        assert!(
            error.abs() < 0.2,
            "1 in {packets_per_loss}: {window:.1} segments, published {published}"
        );
    }
}

#[test]
fn cubic_sustains_the_window_of_its_response_function() {
    for (packets_per_loss, published) in [(100, 12.0), (1_000, 38.0), (10_000, 187.0)] {
        let window = mean_window(Controller::Cubic, packets_per_loss, 6_000);
        let error = window / published - 1.0;
        assert!(
            error.abs() < 0.2,
            "1 in {packets_per_loss}: {window:.1} segments, published {published}"
        );
    }
}
