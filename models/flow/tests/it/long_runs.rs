//! Long transfers cost few events, and the same ones every time.

use longhaul_core::time::Span;
use longhaul_core::units::{BitRate, Probability};
use longhaul_net::link::LinkSpec;
use longhaul_net::loss::Loss;

use crate::lab::{CUBIC, FlowLab, PLAIN, Transfer, pair};

#[test]
fn a_transfer_that_its_window_limits_costs_seven_events_however_long_it_is() {
    let events = |bytes: u64| {
        let spec = LinkSpec {
            rate: BitRate::from_bits_per_s(10_000_000_000),
            ..PLAIN
        };
        let config = longhaul_tcp::Config::default();
        let mut lab = FlowLab::new(1, 0, 2, &pair(0, 1, &spec));
        lab.run(&[Transfer::new(0, 1, bytes, config)], Span::from_s(1_000_000));
        assert!(lab.transfers[0].completed.is_some());
        lab.executed
    };
    // The one that starts it is the laboratory's.
    assert_eq!(events(10_000_000), 7);
    // A day at the rate of the window: reports of progress are all that is added.
    assert!(events(3_000_000_000_000) < 600);
}

#[test]
fn the_same_seed_gives_the_same_run_and_another_seed_another() {
    let spec = LinkSpec {
        loss: Loss::Independent(Probability::from_ratio(1, 200).expect("at most one")),
        ..PLAIN
    };
    let run = |seed| {
        let mut lab = FlowLab::new(seed, 0, 2, &pair(0, 1, &spec));
        lab.run(&[Transfer::new(0, 1, 3_000_000, CUBIC); 5], Span::from_s(1_000));
        lab.transfers
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
}
