//! What traffic engineering must hold to on networks small enough to know the answer.

use std::collections::BTreeMap;

use longhaul_core::random::Streams;
use longhaul_core::time::Span;
use longhaul_core::units::{BitRate, Probability};
use longhaul_routing::{Builder, Demands, GroupId, LinkState, Loads, Metric, RegionId, Split, Topology};
use longhaul_te::{
    Class, Delivered, Effort, Flows, Outcome, Scenarios, TeError, WhatIf, approximate_max_flow,
    approximate_min_max, availability, by_class, delivered, least_risk, max_flow, min_max_utilisation,
    smallest_cut, survive, throughput_at, tunnels,
};

/// Links in both directions, each pair one cable that is cut as a whole; capacities in Gbit/s.
fn network(regions: &[&str], cables: &[(&str, &str, u64)]) -> Topology {
    let mut builder = Builder::new();
    for name in regions {
        builder.region(name).expect("a new region");
    }
    for (a, b, gbit) in cables {
        let rate = BitRate::from_bits_per_s(gbit * 1_000_000_000);
        let state = LinkState::idle(Span::from_ms(1), rate);
        let cable = format!("{a}-{b}");
        builder.link(a, b, "", state, &[&cable]).expect("a new link");
        builder.link(b, a, "", state, &[&cable]).expect("a new link");
    }
    builder.build()
}

/// a to d over b with 10 Gbit/s and over c with 30 Gbit/s.
fn diamond() -> Topology {
    network(
        &["a", "b", "c", "d"],
        &[("a", "b", 10), ("b", "d", 10), ("a", "c", 30), ("c", "d", 30)],
    )
}

fn demand(topology: &Topology, list: &[(&str, &str, f64)]) -> Demands {
    let region = |name: &str| topology.region(name).expect("a region");
    let mut demands = Demands::new();
    for (from, to, gbit) in list {
        demands.add(region(from), region(to), gbit * 1e9);
    }
    demands
}

fn close(found: f64, expected: f64, tolerance: f64) {
    assert!(
        (found - expected).abs() <= tolerance * expected.abs().max(1e-9),
        "{found} instead of {expected}"
    );
}

#[test]
fn the_optimum_splits_by_capacity() {
    let topology = diamond();
    let demands = demand(&topology, &[("a", "d", 20.0)]);
    let optimum = min_max_utilisation(&topology, &demands).expect("an optimum");
    close(optimum.value, 0.5, 1e-6);
    close(optimum.bound, 0.5, 1e-6);
    let link = |from, to| topology.find_link(from, to, "").expect("a link").index();
    let loads = optimum.flows.loads(&topology);
    close(loads.by_link[link("a", "b")], 5e9, 1e-5);
    close(loads.by_link[link("a", "c")], 15e9, 1e-5);
    let near = approximate_min_max(
        &topology,
        &demands,
        &Effort {
            gap: 0.01,
            rounds: 1_000,
        },
    )
    .expect("a routing");
    assert!(near.value < 0.505 && near.gap() <= 0.01 && near.bound <= 0.5 + 1e-9);
    let equal = Loads::equal_cost(
        &topology,
        topology.weights(Metric::Hops),
        &demands,
        Split::PerLink,
    );
    close(equal.busiest(&topology).expect("links").1, 1.0, 1e-9);
}

#[test]
fn the_maximal_flow_is_the_cut_or_the_demand() {
    let topology = diamond();
    for (wanted, expected) in [(20.0, 20e9), (100.0, 40e9)] {
        let demands = demand(&topology, &[("a", "d", wanted)]);
        let optimum = max_flow(&topology, &demands).expect("an optimum");
        close(optimum.value, expected, 1e-6);
        close(optimum.bound, expected, 1e-6);
        let near = approximate_max_flow(
            &topology,
            &demands,
            &Effort {
                gap: 0.02,
                rounds: 10_000,
            },
        );
        assert!(near.value >= expected * 0.98 && near.value <= expected * (1.0 + 1e-9) && near.gap() <= 0.02);
    }
}

#[test]
fn the_smallest_cut_is_what_the_linear_program_finds_on_networks_drawn_at_random() {
    let topology = diamond();
    let region = |name: &str| topology.region(name).expect("a region");
    assert_eq!(smallest_cut(&topology, region("a"), region("d")), 40_000_000_000);
    assert_eq!(smallest_cut(&topology, region("a"), region("a")), u64::MAX);
    let names = ["a", "b", "c", "d", "e", "f", "g", "h"];
    let mut stream = Streams::new(5, 0).stream("network", "cables");
    let mut apart = 0;
    for _ in 0..60 {
        let mut cables = Vec::new();
        for (index, one) in names.iter().enumerate() {
            for other in &names[..index] {
                if stream.below(100) < 30 {
                    cables.push((*one, *other, stream.below(40) + 1));
                }
            }
        }
        let topology = network(&names, &cables);
        let ends = ["a", "h"].map(|name| topology.region(name).expect("a region"));
        let cut = smallest_cut(&topology, ends[0], ends[1]);
        let most = max_flow(&topology, &demand(&topology, &[("a", "h", 1e6)])).expect("an optimum");
        close(most.value, cut as f64, 1e-6);
        apart += usize::from(cut == 0);
    }
    // Some have no way at all, most have one.
    assert!((1..20).contains(&apart), "{apart}");
}

#[test]
fn what_cannot_be_routed_is_refused_or_gets_nothing() {
    let topology = network(&["a", "b", "z"], &[("a", "b", 1)]);
    let demands = demand(&topology, &[("a", "b", 0.5), ("a", "z", 1.0)]);
    let expected = TeError::Unroutable {
        from: "a".to_owned(),
        to: "z".to_owned(),
    };
    assert_eq!(
        min_max_utilisation(&topology, &demands).expect_err("no way"),
        expected
    );
    assert_eq!(
        approximate_min_max(&topology, &demands, &Effort::default()).expect_err("no way"),
        expected
    );
    close(
        max_flow(&topology, &demands).expect("an optimum").value,
        0.5e9,
        1e-6,
    );
    close(
        approximate_max_flow(&topology, &demands, &Effort::default()).value,
        0.5e9,
        1e-2,
    );
    let nothing = Demands::new();
    assert_eq!(
        min_max_utilisation(&topology, &nothing)
            .expect("an optimum")
            .value,
        0.0
    );
    assert_eq!(
        approximate_min_max(&topology, &nothing, &Effort::default())
            .expect("a routing")
            .value,
        0.0
    );
    assert_eq!(max_flow(&topology, &nothing).expect("an optimum").value, 0.0);
    // A link that is down or has no capacity is none.
    let mut cut = topology.clone();
    let link = cut.find_link("a", "b", "").expect("a link");
    cut.set_link_up(link, false);
    let only = demand(&topology, &[("a", "b", 0.5)]);
    assert!(min_max_utilisation(&cut, &only).is_err());
    assert_eq!(max_flow(&cut, &only).expect("an optimum").value, 0.0);
}

/// A ring of eight regions with chords.
fn ring() -> Topology {
    let names: Vec<String> = (0..8).map(|region| format!("r{region}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut cables = Vec::new();
    for region in 0..8 {
        cables.push((names[region], names[(region + 1) % 8], 10));
        if region % 2 == 0 {
            cables.push((names[region], names[(region + 3) % 8], 4));
        }
    }
    network(&names, &cables)
}

fn random_demands(topology: &Topology, seed: u64, gbit: u64) -> Demands {
    let mut random = Streams::new(seed, 0).stream("te", "demands");
    let mut demands = Demands::new();
    let count = topology.region_count() as u64;
    for _ in 0..30 {
        let (from, to) = (
            RegionId(random.below(count) as u32),
            RegionId(random.below(count) as u32),
        );
        demands.add(from, to, (1 + random.below(gbit * 1_000)) as f64 * 1e6);
    }
    demands
}

#[test]
fn approximations_and_bounds_enclose_the_optimum() {
    let topology = ring();
    for seed in 0..8 {
        let demands = random_demands(&topology, seed, 3);
        let exact = min_max_utilisation(&topology, &demands).expect("an optimum");
        assert!(exact.gap() < 1e-5, "seed {seed}: {}", exact.gap());
        let near = approximate_min_max(&topology, &demands, &Effort::default()).expect("a routing");
        assert!(near.gap() <= 0.05, "seed {seed}: {}", near.gap());
        assert!(near.value >= exact.bound * (1.0 - 1e-9) && near.bound <= exact.value * (1.0 + 1e-9));
        let exact = max_flow(&topology, &demands).expect("an optimum");
        assert!(exact.gap() < 1e-5, "seed {seed}: {}", exact.gap());
        let near = approximate_max_flow(&topology, &demands, &Effort::default());
        assert!(near.gap() <= 0.05, "seed {seed}: {}", near.gap());
        assert!(near.value <= exact.bound * (1.0 + 1e-9) && near.bound >= exact.value * (1.0 - 1e-9));
        let (_, busiest) = near.flows.loads(&topology).busiest(&topology).expect("links");
        assert!(busiest <= 1.0 + 1e-9);
    }
}

/// A hash of the bits of all rates.
fn digest(topology: &Topology, flows: &Flows) -> u64 {
    let rates = flows.loads(topology).by_link;
    let bits = rates.iter().map(|rate| rate.to_bits());
    bits.fold(0xcbf2_9ce4_8422_2325, |hash: u64, bits| {
        (hash ^ bits).wrapping_mul(0x0100_0000_01b3)
    })
}

/// Debug and release, with and without the vector units of the machine, give these bits.
/// [`approximations_and_bounds_enclose_the_optimum`] knows that they are right.
#[test]
fn results_are_the_same_bits_everywhere() {
    let topology = ring();
    let demands = random_demands(&topology, 0, 3);
    let effort = Effort::default();
    let found = [
        digest(
            &topology,
            &min_max_utilisation(&topology, &demands)
                .expect("an optimum")
                .flows,
        ),
        digest(
            &topology,
            &max_flow(&topology, &demands).expect("an optimum").flows,
        ),
        digest(
            &topology,
            &approximate_min_max(&topology, &demands, &effort)
                .expect("a routing")
                .flows,
        ),
        digest(
            &topology,
            &approximate_max_flow(&topology, &demands, &effort).flows,
        ),
    ];
    assert_eq!(found.map(|digest| format!("{digest:016x}")), BITS);
}

const BITS: [&str; 4] = [
    "0b7e7ad37d540c92",
    "92fda64e38e7690c",
    "8e9539684ab6e93d",
    "e7f73adb2a3c2305",
];

#[test]
fn what_survives_one_cut_is_what_the_smaller_side_holds() {
    let topology = diamond();
    let demands = demand(&topology, &[("a", "d", 40.0)]);
    let paths = tunnels(&topology, topology.weights(Metric::Hops), &demands, 4);
    for (failures, expected) in [(0, 40e9), (1, 10e9), (2, 0.0)] {
        let grant = survive(&topology, &demands, &paths, failures).expect("rates");
        assert!(
            (grant.granted.total() - expected).abs() < 1e5,
            "{failures}: {}",
            grant.granted.total()
        );
    }
}

/// Two cables that fail at a tenth of all times each: what a pair should put where depends on what is asked for.
#[test]
fn the_least_risk_is_that_of_the_formula() {
    let topology = network(
        &["a", "b", "c", "d"],
        &[("a", "b", 10), ("b", "d", 10), ("a", "c", 10), ("c", "d", 10)],
    );
    let demands = demand(&topology, &[("a", "d", 10.0)]);
    let paths = tunnels(&topology, topology.weights(Metric::Hops), &demands, 2);
    let risk = Probability::from_ratio(1, 10).expect("a tenth");
    let named = |wanted: &str| {
        topology
            .groups()
            .find(|(_, name, _)| *name == wanted)
            .expect("a cable")
            .0
    };
    let risks = BTreeMap::from([(named("a-b"), risk), (named("a-c"), risk)]);
    let scenarios = Scenarios::new(&risks, 2, 0.0);
    assert_eq!(scenarios.len(), 4);
    close(scenarios.covered(), 1.0, 1e-12);
    let probabilities: Vec<f64> = scenarios.iter().map(|scenario| scenario.probability).collect();
    for (found, expected) in probabilities.iter().zip([0.81, 0.09, 0.09, 0.01]) {
        close(*found, expected, 1e-12);
    }
    // All on both paths: whatever single cable fails, everything arrives, at 99 % of all times.
    let rates = least_risk(&topology, &demands, &paths, &scenarios, 0.95).expect("rates");
    let outcomes = availability(&topology, &demands, Delivered::Tunnels(&rates), &scenarios);
    close(throughput_at(&outcomes, 0.98), 1.0, 1e-6);
    assert_eq!(
        throughput_at(&outcomes, 0.995),
        0.0,
        "both fail at 1 % of all times"
    );
    for share in rates.shares(
        topology.region("a").expect("a region"),
        topology.region("d").expect("a region"),
    ) {
        close(share.rate, 10e9, 1e-4);
    }
}

#[test]
fn throughput_is_read_off_the_distribution() {
    let outcome = |probability, delivered| Outcome {
        probability,
        delivered,
    };
    let outcomes = [outcome(0.9, 1.0), outcome(0.09, 0.5), outcome(0.009, 0.75)];
    assert_eq!(throughput_at(&outcomes, 0.9), 1.0);
    assert_eq!(throughput_at(&outcomes, 0.905), 0.75);
    assert_eq!(throughput_at(&outcomes, 0.95), 0.5);
    assert_eq!(
        throughput_at(&outcomes, 0.9999),
        0.0,
        "nothing is known of one in a thousand"
    );
}

#[test]
fn senders_share_what_is_left_and_guarantees_come_first() {
    let topology = diamond();
    let demands = demand(&topology, &[("a", "d", 40.0), ("a", "b", 10.0)]);
    let link = |from, to| topology.find_link(from, to, "").expect("a link");
    // Evenly over b and c: b's link is shared by 20 of 40 and 10 of 10, so each gets a third of its demand.
    let part = delivered(&topology, &demands, Delivered::EqualCost(Metric::Hops), &[]);
    close(part, 1.0 / 3.0, 1e-9);
    // Without the way over b, 30 of 40 go over c; a to b goes round, over what is full already.
    let part = delivered(
        &topology,
        &demands,
        Delivered::EqualCost(Metric::Hops),
        &[link("a", "b"), link("b", "a")],
    );
    close(part, 30.0 / 50.0, 1e-9);
    let paths = tunnels(&topology, topology.weights(Metric::Hops), &demands, 3);
    let grant = survive(&topology, &demands, &paths, 0).expect("rates");
    let part = delivered(&topology, &demands, Delivered::Tunnels(&grant.allocation), &[]);
    close(part, 40.0 / 50.0, 1e-6);
    assert_eq!(
        delivered(
            &topology,
            &Demands::new(),
            Delivered::EqualCost(Metric::Hops),
            &[]
        ),
        1.0
    );
}

#[test]
fn what_if_equals_a_computation_from_scratch() {
    let topology = ring();
    let demands = random_demands(&topology, 3, 3);
    for split in [Split::PerLink, Split::PerRegion, Split::ByCapacity] {
        let mut what_if = WhatIf::new(&topology, Metric::Latency, &demands, split);
        let (singles, doubles) = (what_if.singles(), what_if.doubles());
        let cables = topology.groups().count();
        assert_eq!(
            (singles.len(), doubles.len()),
            (cables, cables * (cables - 1) / 2)
        );
        for impact in singles.iter().chain(&doubles) {
            let mut cut = topology.clone();
            let links: Vec<_> = impact
                .down
                .iter()
                .flat_map(|group| topology.group(*group))
                .copied()
                .collect();
            for link in &links {
                cut.set_link_up(*link, false);
            }
            let loads = Loads::equal_cost(&cut, cut.weights(Metric::Latency), &demands, split);
            assert_eq!(what_if.loads(&links).by_link, loads.by_link);
            assert_eq!(impact.utilisation, loads.busiest(&cut).expect("links").1);
            close(impact.unrouted + 1.0, loads.unrouted + 1.0, 1e-12);
        }
        let worse = |pair: &[longhaul_te::Impact]| {
            (pair[0].unrouted, pair[0].utilisation) >= (pair[1].unrouted, pair[1].utilisation)
        };
        assert!(doubles.windows(2).all(worse));
        assert!(doubles[0].unrouted >= singles[0].unrouted);
    }
}

#[test]
fn urgent_classes_take_what_they_need_first() {
    let topology = diamond();
    let offered = BTreeMap::from([
        (Class::Bulk, demand(&topology, &[("a", "d", 50.0)])),
        (Class::Critical, demand(&topology, &[("a", "d", 5.0)])),
        (Class::Interactive, demand(&topology, &[("a", "d", 15.0)])),
        (Class::BestEffort, demand(&topology, &[("a", "d", 1.0)])),
    ]);
    let solved = by_class(&topology, &offered, max_flow).expect("optima");
    let value = |class| solved[&class].value;
    close(value(Class::Critical), 5e9, 1e-6);
    close(value(Class::Interactive), 15e9, 1e-6);
    close(value(Class::Bulk), 20e9, 1e-5);
    assert!(value(Class::BestEffort) < 1e3, "{}", value(Class::BestEffort));
    assert!(Class::ALL.is_sorted());
}

#[test]
fn scenarios_are_counted_and_cut_by_probability() {
    let part = |parts| Probability::from_ratio(parts, 1_000).expect("a probability");
    let risks: BTreeMap<GroupId, Probability> = (0..10)
        .map(|group| (GroupId(group), part(u64::from(group) * 10)))
        .collect();
    let all = Scenarios::new(&risks, 10, 0.0);
    // Group 0 never fails.
    assert_eq!(all.len(), 1 << 9);
    close(all.covered(), 1.0, 1e-12);
    let likely: Vec<_> = all
        .iter()
        .filter(|scenario| scenario.probability >= 1e-3)
        .cloned()
        .collect();
    let cut = Scenarios::new(&risks, 10, 1e-3);
    assert_eq!(cut.iter().cloned().collect::<Vec<_>>(), likely);
    let two = Scenarios::new(&risks, 2, 0.0);
    assert_eq!(two.len(), 1 + 9 + 36);
}
