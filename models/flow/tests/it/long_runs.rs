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

#[test]
fn a_crowd_keeps_its_link_full_for_hours_at_the_cost_of_few_events() {
    let bytes = 10_000_000_000;
    let mut lab = FlowLab::new(1, 0, 2, &pair(0, 1, &PLAIN));
    lab.run(&[Transfer::new(0, 1, bytes, CUBIC); 12], Span::from_s(100_000));
    let serialised = 12.0 * (bytes as f64 / 1448.0) * 121.12e-6;
    for transfer in &lab.transfers {
        let ratio = transfer.seconds() / serialised;
        assert!((0.97..1.001).contains(&ratio), "{ratio}");
    }
    assert!(lab.executed < 4_000, "{}", lab.executed);
}

#[test]
fn a_crowd_survives_those_who_join_from_elsewhere_and_those_who_leave() {
    let mut links = pair(0, 1, &PLAIN).to_vec();
    links.extend(pair(1, 2, &PLAIN));
    let crowd = (0..12).map(|place| Transfer::new(0, 1, 60_000_000 + place * 1_000_000, CUBIC));
    // Over two links, one of which the crowd fills; then over the other, so that both are.
    let across = Transfer::new(0, 2, 30_000_000, CUBIC).at(Span::from_s(20));
    let beyond = Transfer::new(1, 2, 200_000_000, CUBIC).at(Span::from_s(22));
    let transfers: Vec<Transfer> = crowd.chain([across, beyond]).collect();
    let mut lab = FlowLab::new(1, 0, 3, &links);
    lab.run(&transfers, Span::from_s(10_000));
    let serialised = (12.0 * 65.5e6 + 30e6) / 1448.0 * 121.12e-6;
    let last = |transfers: &[Transfer]| transfers.iter().map(Transfer::seconds).fold(0.0, f64::max);
    let ratio = last(&lab.transfers[..12]) / serialised;
    assert!((0.99..1.15).contains(&ratio), "{ratio}");
    for transfer in &lab.transfers {
        assert_eq!(transfer.received, transfer.bytes);
    }
}
