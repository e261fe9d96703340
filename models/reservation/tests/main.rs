//! The calendar against the acceptance cases, against a model without trees, and against search by hand.

mod acceptance;
mod admission;
mod model;

use longhaul_core::time::{Instant, Span};
use longhaul_core::units::{BitRate, Probability};
use longhaul_reservation::{Demand, Priority};
use longhaul_routing::{Builder, LinkState, Topology};

fn mbit(rate: u64) -> BitRate {
    BitRate::from_bits_per_s(rate * 1_000_000)
}

fn at(seconds: u64) -> Instant {
    Instant::ZERO + Span::from_s(seconds)
}

fn demand(flow: &str, rate: u64, from: u64, until: u64, priority: u8) -> Demand {
    Demand {
        flow: flow.to_owned(),
        rate: mbit(rate),
        when: at(from)..at(until),
        priority: Priority(priority),
    }
}

/// Three regions, links in one direction: latency in ms, Mbit/s, utilisation in per cent.
fn example() -> Topology {
    let mut builder = Builder::new();
    for name in ["us-east", "eu-west", "ap-south"] {
        builder.region(name).expect("a new region");
    }
    for (from, to, ms, rate, percent) in [
        ("us-east", "eu-west", 80, 1_000, 30),
        ("us-east", "ap-south", 200, 800, 20),
        ("eu-west", "ap-south", 120, 900, 25),
    ] {
        let state = LinkState {
            utilisation: Probability::from_ratio(percent, 100).expect("a percentage"),
            ..LinkState::idle(Span::from_ms(ms), mbit(rate))
        };
        builder.link(from, to, "", state, &[]).expect("a new link");
    }
    builder.build()
}
