//! Flows over equal paths: how many move when a path goes, how even they are, and what loads add up to.

use longhaul_core::random::Streams;
use longhaul_core::time::Span;
use longhaul_core::units::BitRate;
use longhaul_routing::{
    Builder, Demands, FlowKey, LinkState, Loads, Metric, RegionId, Split, Topology, choose, choose_weighted,
};

fn flows(count: u32) -> impl Iterator<Item = FlowKey> {
    (0..count).map(|number| FlowKey {
        source: 0xffff_0a00_0001 + u128::from(number / 1_000),
        destination: 0xffff_0a01_0001,
        source_port: (number % 1_000) as u16,
        destination_port: 443,
        protocol: 17,
    })
}

const KEYS: [u64; 4] = [0x1111, 0x2222, 0x3333, 0x4444];

#[test]
fn flows_spread_evenly_and_only_those_of_a_lost_path_move() {
    let mut counts = [0u32; 4];
    for flow in flows(40_000) {
        let hash = flow.hash(1);
        let chosen = choose(hash, KEYS).expect("a choice");
        counts[chosen] += 1;
        // Without the second path only its own flows move, and the order of the rest makes no difference.
        let left = [KEYS[3], KEYS[0], KEYS[2]];
        let now = left[choose(hash, left).expect("a choice")];
        if chosen != 1 {
            assert_eq!(now, KEYS[chosen]);
        }
    }
    for count in counts {
        // Four standard deviations of a binomial count.
        assert!((f64::from(count) - 10_000.0).abs() < 4.0 * 86.6, "{counts:?}");
    }
    assert_eq!(choose(1, []), None);
}

#[test]
fn weighted_flows_follow_the_weights_and_move_only_to_what_gained() {
    let before = [(KEYS[0], 10), (KEYS[1], 20), (KEYS[2], 30), (KEYS[3], 0)];
    let after = [(KEYS[0], 10), (KEYS[1], 20), (KEYS[2], 60), (KEYS[3], 0)];
    let mut counts = [0u32; 4];
    let mut moved = 0;
    for flow in flows(60_000) {
        let hash = flow.hash(2);
        let (old, new) = (choose_weighted(hash, before), choose_weighted(hash, after));
        let (old, new) = (old.expect("a choice"), new.expect("a choice"));
        counts[old] += 1;
        assert!(
            old == new || new == 2,
            "a flow moved between paths that did not change"
        );
        moved += u32::from(old != new);
    }
    for (count, expected) in counts.iter().zip([10_000.0, 20_000.0, 30_000.0, 0.0]) {
        assert!((f64::from(*count) - expected).abs() < 500.0, "{counts:?}");
    }
    // The third goes from a half to two thirds: a sixth of all flows, and no more.
    assert!((f64::from(moved) - 10_000.0).abs() < 500.0, "{moved}");
}

#[test]
fn another_seed_or_another_port_is_another_hash() {
    let flow = flows(1).next().expect("a flow");
    let other = FlowKey {
        source_port: 1,
        ..flow
    };
    assert_ne!(flow.hash(1), flow.hash(2));
    assert_ne!(flow.hash(1), other.hash(1));
    // A second router with the same seed would see only what the first sent its way.
    let first: Vec<FlowKey> = flows(10_000)
        .filter(|flow| choose(flow.hash(1), KEYS) == Some(0))
        .collect();
    let same = first
        .iter()
        .filter(|flow| choose(flow.hash(1), KEYS) == Some(0))
        .count();
    let fresh = first
        .iter()
        .filter(|flow| choose(flow.hash(3), KEYS) == Some(0))
        .count();
    assert_eq!(same, first.len());
    assert!(
        (fresh as f64 / first.len() as f64 - 0.25).abs() < 0.05,
        "{fresh} of {}",
        first.len()
    );
}

/// a to d over b (one link each) and over c (two links to c).
fn diamond() -> Topology {
    let mut builder = Builder::new();
    for name in ["a", "b", "c", "d"] {
        builder.region(name).expect("a new region");
    }
    for (from, to, name, gbit) in [
        ("a", "b", "", 10),
        ("a", "c", "1", 10),
        ("a", "c", "2", 30),
        ("b", "d", "", 10),
        ("c", "d", "", 40),
    ] {
        let rate = BitRate::from_bits_per_s(gbit * 1_000_000_000);
        let state = LinkState::idle(Span::from_ms(1), rate);
        builder.link(from, to, name, state, &[]).expect("a new link");
    }
    builder.build()
}

#[test]
fn parallel_links_share_by_region_by_link_or_by_capacity() {
    let topology = diamond();
    let region = |name| topology.region(name).expect("a region");
    let link = |from, to, name| topology.find_link(from, to, name).expect("a link").index();
    let mut demands = Demands::new();
    demands.add(region("a"), region("d"), 12.0);
    let over = [
        link("a", "b", ""),
        link("a", "c", "1"),
        link("a", "c", "2"),
        link("c", "d", ""),
    ];
    for (split, expected) in [
        (Split::PerRegion, [6.0, 3.0, 3.0, 6.0]),
        (Split::PerLink, [4.0, 4.0, 4.0, 8.0]),
        (Split::ByCapacity, [2.4, 2.4, 7.2, 9.6]),
    ] {
        let loads = Loads::equal_cost(&topology, topology.weights(Metric::Hops), &demands, split);
        for (link, expected) in over.iter().zip(expected) {
            assert!(
                (loads.by_link[*link] - expected).abs() < 1e-12,
                "{split:?}: {:?}",
                loads.by_link
            );
        }
    }
}

/// At every region, what arrives and starts there leaves or ends there.
#[test]
fn loads_are_conserved() {
    for seed in 0..30 {
        let mut random = Streams::new(seed, 0).stream("flows", "topology");
        let mut builder = Builder::new();
        for region in 0..20 {
            builder.region(&format!("r{region:02}")).expect("a new region");
        }
        for _ in 0..60 {
            let (from, to) = (random.below(20), random.below(20));
            let state = LinkState {
                // Links without weight must not send traffic round in circles.
                cost: random.below(3),
                ..LinkState::idle(Span::from_ms(1), BitRate::from_bits_per_s(1_000))
            };
            let (from, to) = (format!("r{from:02}"), format!("r{to:02}"));
            // Self loops and repeated links are refused, and then there is one link less.
            let _ = builder.link(&from, &to, "", state, &[]).is_ok();
        }
        let topology = builder.build();
        let mut demands = Demands::new();
        for _ in 0..100 {
            let (from, to) = (
                RegionId(random.below(20) as u32),
                RegionId(random.below(20) as u32),
            );
            demands.add(from, to, random.below(1_000) as f64);
        }
        let mut single = 0.0;
        let mut by_link = vec![0.0; topology.link_count()];
        for (to, sources) in demands.destinations() {
            let mut one = Demands::new();
            sources
                .iter()
                .for_each(|(from, amount)| one.add(*from, to, *amount));
            let loads = Loads::equal_cost(&topology, topology.weights(Metric::Cost), &one, Split::PerLink);
            let mut lost = 0.0;
            for region in topology.regions().filter(|region| *region != to) {
                let sum = |links: &[(RegionId, longhaul_routing::LinkId)]| -> f64 {
                    links.iter().map(|(_, link)| loads.by_link[link.index()]).sum()
                };
                let starts = sources.get(&region).copied().unwrap_or(0.0);
                let excess = sum(topology.arriving(region)) + starts - sum(topology.leaving(region));
                assert!(
                    excess.abs() < 1e-9 || (excess - starts).abs() < 1e-9,
                    "seed {seed}: {excess}"
                );
                lost += excess;
            }
            assert!((lost - loads.unrouted).abs() < 1e-6);
            single += loads.unrouted;
            by_link
                .iter_mut()
                .zip(&loads.by_link)
                .for_each(|(sum, load)| *sum += load);
        }
        let all = Loads::equal_cost(
            &topology,
            topology.weights(Metric::Cost),
            &demands,
            Split::PerLink,
        );
        assert_eq!(all.by_link, by_link, "destination by destination or all at once");
        assert!((all.unrouted - single).abs() < 1e-6);
    }
}
