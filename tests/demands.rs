//! Demands in the simulator: which links carry them, what arrives, and what is made of failures.

use longhaul_core::record::RunRecord;
use longhaul_scenarios::run::RunOutput;
use longhaul_scenarios::what_if::what_if;

use crate::common::{load_text, run_text};

/// `a` and `b`, joined by a short way through `x` and a longer one through `y`, of 100 Mbit/s each.
fn world(rest: &str) -> String {
    format!(
        r#"Scenario(
            version: 1, name: "world", question: "q", expect: "e", horizon: "1 min",
            regions: [(name: "a"), (name: "x"), (name: "y"), (name: "b")],
            links: [
                (between: ("a", "x"), rtt: "10 ms", rate: "100 Mbit/s"),
                (between: ("x", "b"), rtt: "10 ms", rate: "100 Mbit/s"),
                (between: ("a", "y"), rtt: "20 ms", rate: "100 Mbit/s"),
                (between: ("y", "b"), rtt: "20 ms", rate: "100 Mbit/s"),
            ],
            datagrams: [(name: "clock", from: "b", to: "a", duration: "40 s", interval: "1 s")],
            {rest}
        )"#
    )
}

fn run(rest: &str) -> RunOutput {
    run_text(&world(rest))
}

/// Megabits per second of background traffic that a link took.
fn background(record: &RunRecord, link: &str) -> f64 {
    let found = record
        .links
        .iter()
        .find(|known| known.name == link)
        .expect("a link");
    let packets = found.packets.expect("packets");
    packets.background_packets as f64 * 1_514.0 * 8.0 / (record.simulated_ns as f64 / 1e9) / 1e6
}

fn spreads(output: &RunOutput) -> Vec<(u64, &str)> {
    let events = output.events.iter().filter(|event| event.entity == "demands");
    events
        .map(|event| (event.at_ns / 1_000_000, event.kind.as_str()))
        .collect()
}

const SIXTY: &str = r#"demands: [(from: "a", to: "b", rate: "60 Mbit/s")],"#;
/// The short way fails after ten seconds, for ten.
const FAULT: &str = r#"faults: [LinkDown(between: ("a", "x"), at: "10 s", for: "10 s")],"#;

#[test]
fn routers_put_a_demand_on_one_way_and_multipath_halves_it() {
    let output = run(SIXTY);
    assert!((background(&output.record, "a->x") - 60.0).abs() < 1.0);
    assert_eq!(background(&output.record, "a->y"), 0.0);
    let alike = world(SIXTY).replace("20 ms", "10 ms");
    let output = run_text(&alike.replace("datagrams:", "routing: (multipath: true), datagrams:"));
    assert!((background(&output.record, "a->x") - 30.0).abs() < 1.0);
    assert!((background(&output.record, "y->b") - 30.0).abs() < 1.0);
}

#[test]
fn the_best_spreading_halves_what_the_routers_overload() {
    let more = SIXTY.replace("60", "150");
    let routed = run(&more).record;
    let spread = run(&format!("{more} engineering: (method: LeastUtilisation),")).record;
    let arrived = |record: &RunRecord| {
        let demand = &record.demands[0];
        demand.arrived_bytes as f64 / demand.offered_bytes as f64
    };
    // 100 of 150 fit on one way; both ways have 200.
    assert!(
        (arrived(&routed) - 2.0 / 3.0).abs() < 1e-6,
        "{}",
        arrived(&routed)
    );
    assert!((arrived(&spread) - 1.0).abs() < 1e-6, "{}", arrived(&spread));
    for link in ["a->x", "x->b", "a->y", "y->b"] {
        assert!((background(&spread, link) - 75.0).abs() < 1.5, "{link}");
    }
}

#[test]
fn what_a_failure_costs_is_the_time_until_somebody_reacts() {
    // What was lost, in seconds of the whole demand.
    let lost = |rest: &str| {
        let output = run(rest);
        let demand = output.record.demands[0].clone();
        let seconds = (demand.offered_bytes - demand.arrived_bytes) as f64 * 8.0 / 60e6;
        let kinds: Vec<&str> = spreads(&output).into_iter().map(|(_, kind)| kind).collect();
        assert!(kinds.iter().all(|kind| *kind == "Spread"), "{kinds:?}");
        seconds
    };
    // Routers: 200 ms.
    let routers = lost(&format!("{SIXTY} {FAULT}"));
    assert!((routers - 0.2).abs() < 0.001, "{routers}");
    // A controller: 3 s, of the half that is on the short way.
    let controller = r#"engineering: (method: LeastUtilisation, reaction: "3 s"),"#;
    let controller = lost(&format!("{SIXTY} {FAULT} {controller}"));
    assert!((controller - 1.5).abs() < 0.01, "{controller}");
    // Chosen paths of which one survives: what is left of them takes all of it, after half a second.
    let survive = r#"engineering: (method: Survive(failures: 1), reaction: "500 ms"),"#;
    let survive = lost(&format!("{SIXTY} {FAULT} {survive}"));
    assert!(survive < 0.5, "{survive}");
}

#[test]
fn what_cannot_survive_is_not_granted() {
    let more = SIXTY.replace("60", "150");
    let record = run(&format!("{more} engineering: (method: Survive(failures: 1)),")).record;
    let demand = &record.demands[0];
    // Either way alone carries 100.
    let share = demand.arrived_bytes as f64 / demand.offered_bytes as f64;
    assert!((share - 100.0 / 150.0).abs() < 1e-6, "{share}");
}

#[test]
fn a_transfer_gets_what_the_demands_leave() {
    let transfer = r#"transfers: [(name: "t", from: "a", to: "b", size: "20 MB")],"#;
    let time = |rest: &str| {
        run(&format!("{rest} {transfer}")).record.transfers[0]
            .completion_ns
            .expect("done")
    };
    let (alone, beside) = (time(""), time(SIXTY));
    assert!(beside > 2 * alone, "{alone} {beside}");
}

#[test]
fn what_if_names_the_link_that_nobody_can_do_without() {
    let loaded =
        load_text(&world(SIXTY).replace(r#"(between: ("y", "b"), rtt: "20 ms", rate: "100 Mbit/s"),"#, ""));
    let record = what_if(&loaded.scenario, 2).expect("an answer");
    assert_eq!((record.failures, record.after.len()), (3, 6));
    // The clock of b and the demand of a need x.
    let worst = &record.after[0];
    assert!(worst.unrouted_bits_per_s > 60_000_000);
    assert!(
        record
            .after
            .iter()
            .any(|it| it.down == ["a<->y"] && it.unrouted_bits_per_s == 0)
    );
    assert_eq!(record.whole.busiest.as_deref(), Some("a->x"));
    assert_eq!(record.whole.utilisation_ppm, 600_000);
    let whole = what_if(&load_text(&world(SIXTY)).scenario, 1).expect("an answer");
    let best = whole.optimum.expect("an optimum");
    assert!((299_000..=301_000).contains(&best.utilisation_ppm), "{best:?}");
    assert!(best.bound_ppm <= best.utilisation_ppm);
    // Round the failure the demand loads the longer way alike.
    assert!(whole.after.iter().all(|it| it.unrouted_bits_per_s == 0));
}
