//! Optima and availabilities against published ones: REPETITA, Teal's B4, TEAVAR's B4.

#[path = "../../routing/tests/data/mod.rs"]
mod data;

use std::collections::BTreeMap;

use longhaul_import::{
    Defaults, Import, repetita, repetita_demands, teal, teal_demands, teavar, teavar_demands,
};
use longhaul_routing::{Demands, Loads, Metric, Split};
use longhaul_te::{
    Delivered, Effort, Scenarios, approximate_max_flow, approximate_min_max, availability, least_risk,
    max_flow, min_max_utilisation, survive, throughput_at, tunnels,
};

/// An instance of REPETITA with its reference utilisation of equal-cost routing. The optimum of all of them is 0.9.
struct Instance {
    name: String,
    import: Import,
    demands: Demands,
    equal_cost: f64,
}

/// The instances with this many nodes.
fn instances(nodes: std::ops::Range<usize>) -> Vec<Instance> {
    let Some(reference) = data::text("te-repetita/REFERENCE_mlu.csv") else {
        return Vec::new();
    };
    let mut instances = Vec::new();
    for row in reference.lines().skip(1) {
        let row: Vec<&str> = row.split(',').collect();
        if !nodes.contains(&row[3].parse().expect("a number of nodes")) {
            continue;
        }
        let path = format!("te-repetita/{}/{}", row[0], row[1]);
        let text = data::text(&format!("{path}.graph")).expect("a graph");
        let import = repetita(&text, &Defaults::default()).expect("a REPETITA graph");
        let text = data::text(&format!("{path}.{}.demands", row[2])).expect("a matrix");
        let demands = repetita_demands(&text, &import).expect("REPETITA demands");
        instances.push(Instance {
            name: format!("{path} {}", row[2]),
            import,
            demands,
            equal_cost: row[7].parse().expect("a utilisation"),
        });
    }
    instances
}

fn check_optimum(nodes: std::ops::Range<usize>) {
    for instance in instances(nodes) {
        let topology = &instance.import.topology;
        let optimum = min_max_utilisation(topology, &instance.demands).expect("an optimum");
        println!(
            "{}: {:.6}, at least {:.6}",
            instance.name, optimum.value, optimum.bound
        );
        assert!(
            (optimum.value - 0.9).abs() < 0.009,
            "{}: {}",
            instance.name,
            optimum.value
        );
        assert!(
            optimum.bound <= optimum.value * (1.0 + 1e-9),
            "a bound above a solution"
        );
        assert!(optimum.gap() < 1e-4, "{}: {}", instance.name, optimum.gap());
        assert!(optimum.value < instance.equal_cost);
        carries(&instance, &optimum.flows);
    }
}

/// Taken apart into paths, the flows carry every demand, and load the links as they say.
fn carries(instance: &Instance, flows: &longhaul_te::Flows) {
    let topology = &instance.import.topology;
    let paths = flows.paths(topology, &instance.demands);
    for (from, to, amount) in instance.demands.iter() {
        let rate = paths.rate(from, to);
        assert!((rate / amount - 1.0).abs() < 1e-9, "{rate} of {amount}");
    }
    let busiest = |loads: Loads| loads.busiest(topology).expect("links").1;
    let (by_paths, by_flows) = (busiest(paths.loads(topology)), busiest(flows.loads(topology)));
    assert!(
        (by_paths / by_flows - 1.0).abs() < 1e-3,
        "{by_paths} by paths, {by_flows} by flows"
    );
}

fn check_approximation(nodes: std::ops::Range<usize>) {
    for instance in instances(nodes) {
        let topology = &instance.import.topology;
        let effort = Effort::default();
        let near = approximate_min_max(topology, &instance.demands, &effort).expect("a routing");
        println!("{}: {:.6}, at least {:.6}", instance.name, near.value, near.bound);
        assert!(near.gap() <= effort.gap, "{}: {}", instance.name, near.gap());
        assert!(near.value < 0.9 * 1.05, "{}: {}", instance.name, near.value);
        // The published optimum has six decimals.
        assert!(near.bound < 0.9 + 1e-6, "{}: {}", instance.name, near.bound);
        carries(&instance, &near.flows);
    }
}

#[test]
fn the_optimum_of_small_instances_of_repetita_is_the_published_one() {
    check_optimum(0..12);
}

/// `cargo test --release -p longhaul-te --test published -- --ignored optimum_of_all`: minutes.
#[test]
#[ignore = "minutes in release"]
fn the_optimum_of_all_instances_of_repetita_is_the_published_one() {
    check_optimum(12..150);
}

#[test]
fn the_approximation_is_within_five_percent_on_small_instances_of_repetita() {
    check_approximation(0..41);
}

/// `cargo test --release -p longhaul-te --test published -- --ignored percent_on_all`: a minute.
#[test]
#[ignore = "a minute in release"]
fn the_approximation_is_within_five_percent_on_all_instances_of_repetita() {
    check_approximation(41..1_000);
}

fn b4() -> Option<(Import, Vec<Demands>, Vec<f64>)> {
    let reference = data::text("te-teal/REFERENCE_maxflow.csv")?;
    let defaults = Defaults::default();
    let import = teal(&data::text("te-teal/B4.json")?, &defaults).expect("Teal's B4");
    let matrices = data::text("te-teal/B4_real_36tm.csv")?;
    let matrices = teal_demands(&matrices, &import, &defaults).expect("matrices");
    let satisfied = |row: &str| row.rsplit(',').next().and_then(|text| text.parse().ok());
    let reference = reference
        .lines()
        .skip(1)
        .map(|row| satisfied(row).expect("a fraction"));
    Some((import, matrices, reference.collect()))
}

#[test]
fn the_maximal_flow_on_b4_is_the_reference() {
    let Some((import, matrices, reference)) = b4() else {
        return;
    };
    assert_eq!((matrices.len(), reference.len()), (36, 36));
    let mut tight = 0;
    for (number, (demands, expected)) in matrices.iter().zip(reference).enumerate() {
        // Most matrices fit as a whole; all that do not, and some that do.
        if expected == 1.0 && number % 6 != 0 {
            continue;
        }
        let optimum = max_flow(&import.topology, demands).expect("an optimum");
        let satisfied = optimum.value / demands.total();
        println!(
            "{number}: {satisfied:.6}, reference {expected}, gap {:.2e}",
            optimum.gap()
        );
        assert!((satisfied - expected).abs() < 0.001, "{number}: {satisfied}");
        assert!(optimum.gap() < 1e-4, "{number}: {}", optimum.gap());
        let (_, busiest) = optimum
            .flows
            .loads(&import.topology)
            .busiest(&import.topology)
            .expect("links");
        assert!(busiest <= 1.0 + 1e-9, "{number}: {busiest}");
        let effort = Effort {
            gap: 0.02,
            ..Effort::default()
        };
        let near = approximate_max_flow(&import.topology, demands, &effort);
        println!(
            "    approximately {:.6}, gap {:.4}",
            near.value / demands.total(),
            near.gap()
        );
        assert!(near.gap() <= effort.gap && near.value <= optimum.bound);
        tight += u32::from(expected < 1.0);
    }
    assert_eq!(tight, 3);
}

/// TEAVAR's B4, with an answer to what fails how often.
fn risky_b4() -> Option<(Import, Vec<Demands>)> {
    let defaults = Defaults {
        unit: 1_000,
        ..Defaults::default()
    };
    let import = teavar(&data::text("te-teavar/B4/topology.txt")?, &defaults).expect("TEAVAR's B4");
    let matrices = data::text("te-teavar/B4/demand.txt")?;
    let matrices = teavar_demands(&matrices, &import, &defaults).expect("matrices");
    Some((import, matrices))
}

#[test]
fn b4_works_as_often_as_published() {
    let Some((import, matrices)) = risky_b4() else {
        return;
    };
    assert_eq!((import.failures.len(), matrices.len()), (19, 200));
    let covered = |failures| Scenarios::new(&import.failures, failures, 0.0).covered();
    assert!((covered(0) - 0.9267).abs() < 0.000_05, "{}", covered(0));
    // 0.99739 by arithmetic, 0.99741 as published.
    assert!((covered(1) - 0.9974).abs() < 0.000_05, "{}", covered(1));
    let cut = Scenarios::new(&import.failures, 19, 1e-4);
    assert_eq!(cut.len(), 20, "at 10^-4 two failures are too unlikely");
    assert!((covered(19) - 1.0).abs() < 1e-9 || covered(3) < 1.0);
}

/// Failure-aware rates deliver at least what equal-cost routing does, at 99.9 % availability.
fn check_availability(places: &[usize], scales: &[f64]) {
    let Some((import, matrices)) = risky_b4() else {
        return;
    };
    let topology = &import.topology;
    let scenarios = Scenarios::new(&import.failures, 2, 0.0);
    for &place in places {
        let paths = tunnels(topology, topology.weights(Metric::Hops), &matrices[place], 8);
        for &scale in scales {
            let demands = matrices[place].scaled(scale);
            let aware = least_risk(topology, &demands, &paths, &scenarios, 0.999).expect("rates");
            let at = |routing| throughput_at(&availability(topology, &demands, routing, &scenarios), 0.999);
            let (aware, equal) = (
                at(Delivered::Tunnels(&aware)),
                at(Delivered::EqualCost(Metric::Hops)),
            );
            println!("matrix {place} × {scale}: {aware:.5} failure-aware, {equal:.5} equal-cost");
            assert!(
                aware >= equal - 1e-9,
                "matrix {place} × {scale}: {aware} below {equal}"
            );
        }
    }
}

#[test]
fn failure_aware_rates_are_never_below_equal_cost_on_b4() {
    check_availability(&[117], &[2.4]);
}

/// `cargo test --release -p longhaul-te --test published -- --ignored many_demands`: minutes.
#[test]
#[ignore = "minutes in release"]
fn failure_aware_rates_are_never_below_equal_cost_on_b4_for_many_demands() {
    let places: Vec<usize> = (0..200).step_by(10).collect();
    check_availability(&places, &[1.0, 1.5, 2.0, 2.5, 3.0]);
}

/// What survives any single failure by promise also arrives when each failure is played through.
#[test]
fn promises_on_b4_are_kept_in_every_single_failure() {
    let Some((import, matrices)) = risky_b4() else {
        return;
    };
    let topology = &import.topology;
    let demands = matrices[0].scaled(2.5);
    let paths = tunnels(topology, topology.weights(Metric::Hops), &demands, 6);
    let mut granted = Vec::new();
    for failures in [0, 1, 2] {
        let grant = survive(topology, &demands, &paths, failures).expect("rates");
        println!(
            "{failures} failures: {:.4} of the demand",
            grant.granted.total() / demands.total()
        );
        let risks: BTreeMap<_, _> = import.failures.clone();
        for scenario in Scenarios::new(&risks, failures, 0.0).iter() {
            let down = scenario.links(topology);
            let mut loads = Loads::none(topology);
            for (from, to, promised) in grant.granted.iter() {
                let alive = grant.allocation.shares(from, to).iter();
                let alive = alive.filter(|share| share.links.iter().all(|link| !down.contains(link)));
                let alive: Vec<_> = alive.collect();
                let rate: f64 = alive.iter().map(|share| share.rate).sum();
                assert!(
                    rate >= promised * (1.0 - 1e-6),
                    "{:?}: {rate} of {promised}",
                    scenario.down
                );
                for share in alive {
                    share
                        .links
                        .iter()
                        .for_each(|link| loads.by_link[link.index()] += share.rate);
                }
            }
            let (_, busiest) = loads.busiest(topology).expect("links");
            assert!(busiest <= 1.0 + 1e-9, "{busiest}");
        }
        granted.push(grant.granted.total());
    }
    assert!(granted[0] >= granted[1] && granted[1] > granted[2], "{granted:?}");
}

/// Equal-cost routing is what the approximation starts from; it never ends with worse.
#[test]
fn the_approximation_beats_equal_cost_on_abilene() {
    for instance in instances(0..12) {
        let topology = &instance.import.topology;
        let weights = topology.weights(Metric::Cost);
        let loads = Loads::equal_cost(topology, weights, &instance.demands, Split::PerLink);
        let near = approximate_min_max(topology, &instance.demands, &Effort::default()).expect("a routing");
        assert!(near.value < loads.busiest(topology).expect("links").1);
    }
}
