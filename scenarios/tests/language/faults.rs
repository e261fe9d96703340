//! The timeline of faults: what fails when, and which routes hold.

use longhaul_core::time::Span;
use longhaul_net::routing::RegionId;
use longhaul_scenarios::faults::{
    LinkChange, ProcessChange, RoutingEpoch, Signal, begins, link_changes, process_changes, routing_epochs,
};
use longhaul_scenarios::schema::Scenario;

use crate::read;

/// Links 0 and 1 join a and b, 2 and 3 join b and c.
fn scenario(faults: &str) -> Scenario {
    let text = format!(
        r#"Scenario(
            version: 1, name: "f", question: "q", expect: "e", horizon: "1 min", reroute_after: "300 ms",
            regions: [(name: "a"), (name: "b"), (name: "c")],
            links: [(between: ("a", "b"), rtt: "4 ms", rate: "9 Mbit/s"), (between: ("b", "c"), rtt: "4 ms", rate: "9 Mbit/s")],
            transfers: [(name: "t", from: "a", to: "c", size: "1 MB")],
            faults: [{faults}],
        )"#
    );
    read(&text).unwrap_or_else(|errors| panic!("{errors}")).scenario
}

fn changes(scenario: &Scenario) -> Vec<(u64, u32, bool)> {
    let plain = |change: LinkChange| (change.at.as_ns() / 1_000_000, change.link.0, change.up);
    link_changes(scenario).into_iter().map(plain).collect()
}

fn epochs(scenario: &Scenario) -> Vec<(u64, Vec<bool>)> {
    let plain = |epoch: RoutingEpoch| (epoch.at.as_ns() / 1_000_000, epoch.up);
    routing_epochs(scenario).into_iter().map(plain).collect()
}

#[test]
fn without_faults_there_is_one_epoch() {
    let scenario = Scenario {
        reroute_after: Span::ZERO,
        ..scenario("")
    };
    assert_eq!(changes(&scenario), []);
    assert_eq!(epochs(&scenario), [(0, vec![true; 4])]);
}

#[test]
fn routers_follow_each_change_after_their_time() {
    let scenario = scenario(
        r#"LinkDown(from: "c", to: "b", at: "1100 ms"), LinkDown(between: ("a", "b"), at: "1 s", for: "200 ms")"#,
    );
    let expected = [
        (1_000, 0, false),
        (1_000, 1, false),
        (1_100, 3, false),
        (1_200, 0, true),
        (1_200, 1, true),
    ];
    assert_eq!(changes(&scenario), expected);
    let expected = [
        (0, vec![true; 4]),
        (1_300, vec![false, false, true, true]),
        (1_400, vec![false, false, true, false]),
        (1_500, vec![true, true, true, false]),
    ];
    assert_eq!(epochs(&scenario), expected);
}

#[test]
fn routers_that_know_at_once_know_a_failure_at_the_start() {
    let scenario = Scenario {
        reroute_after: Span::ZERO,
        ..scenario(r#"LinkDown(from: "a", to: "b", at: "0 s", for: "1 s")"#)
    };
    let expected = [(0, vec![false, true, true, true]), (1_000, vec![true; 4])];
    assert_eq!(epochs(&scenario), expected);
}

#[test]
fn signals_come_in_the_order_of_time_and_none_after_the_end() {
    let scenario = scenario(
        r#"Kill(region: "c", at: "3 s"), Pause(region: "c", at: "2 s", for: "5 s"), Pause(region: "a", at: "1 s", for: "500 ms")"#,
    );
    let plain = |change: ProcessChange| (change.at.as_ns() / 1_000_000, change.region.0, change.signal);
    let signals: Vec<_> = process_changes(&scenario).into_iter().map(plain).collect();
    let expected = [
        (1_000, 0, Signal::Stop),
        (1_500, 0, Signal::Continue),
        (2_000, 2, Signal::Stop),
        (3_000, 2, Signal::Kill),
    ];
    assert_eq!(signals, expected);
    assert_eq!((changes(&scenario).len(), epochs(&scenario).len()), (0, 1));
}

#[test]
fn a_machine_begins_when_its_region_runs() {
    let scenario = scenario(
        r#"Pause(region: "a", at: "1 s", for: "500 ms"), Pause(region: "b", at: "2 s"),
           Pause(region: "c", at: "1 s", for: "5 s"), Kill(region: "c", at: "3 s")"#,
    );
    let begins = |region, ms| {
        let at = begins(&scenario, RegionId(region), Span::from_ms(ms));
        at.map(|at| at.as_ns() / 1_000_000)
    };
    let at = [0, 999, 1_000, 1_499, 1_500, 9_000];
    let of_a = at.map(|ms| begins(0, ms));
    assert_eq!(of_a, [0, 999, 1_500, 1_500, 1_500, 9_000].map(Some));
    assert_eq!([1_999, 2_000].map(|ms| begins(1, ms)), [Some(1_999), None]);
    assert_eq!(
        [500, 2_000, 3_000].map(|ms| begins(2, ms)),
        [Some(500), None, None]
    );
}
