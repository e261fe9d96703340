//! What routes cost: one route among ten regions, all pairs on Kdl against petgraph's Dijkstra from every node, following one
//! link failure against computing anew, and equal-cost loads on the world backbone.
//!
//! Times are processor time where the kernel tells it; ratios are medians over runs within one process. Graphs come from the
//! data folder (`LONGHAUL_DATA`, by default `../shared/data`), and what needs one that is absent is left out.

#![allow(missing_docs, reason = "a program, not a library")]

#[path = "../models/routing/tests/data/mod.rs"]
mod data;
#[path = "support/peak.rs"]
mod peak;
mod support;

use std::hint::black_box;

use longhaul_core::time::Span;
use longhaul_core::units::{BitRate, Probability};
use longhaul_import::{Defaults, gml, topohub};
use longhaul_routing::{
    AllPairs, Builder, Congestion, Demands, LinkState, Loads, Metric, Objective, RegionId, Router, Split,
    Topology, Weights,
};
use petgraph::graph::{DiGraph, NodeIndex};
use support::{Stopwatch, median};

const RUNS: usize = 7;

/// Ten regions, all connected, 10 to 200 ms.
fn mesh() -> Topology {
    let mut builder = Builder::new();
    for region in 0..10 {
        builder.region(&format!("r{region}")).expect("a new region");
    }
    for from in 0..10u64 {
        for to in (0..10u64).filter(|to| *to != from) {
            let mixed = (from * 7 + to * 13) * 2_654_435_761 % 1_000;
            let state = LinkState {
                cost: 1 + mixed % 20,
                utilisation: Probability::from_ratio(mixed % 90, 100).expect("a percentage"),
                ..LinkState::idle(
                    Span::from_ms(10 + mixed % 191),
                    BitRate::from_bits_per_s((1 + mixed % 10) * 1_000_000_000),
                )
            };
            let (from, to) = (format!("r{from}"), format!("r{to}"));
            builder.link(&from, &to, "", state, &[]).expect("a new link");
        }
    }
    builder.build()
}

/// Nanoseconds per route over all 90 pairs.
fn per_route(rounds: u32, mut route: impl FnMut(RegionId, RegionId)) -> f64 {
    let run = |route: &mut dyn FnMut(RegionId, RegionId)| {
        let watch = Stopwatch::start();
        for _ in 0..rounds {
            for from in (0..10).map(RegionId) {
                for to in (0..10).map(RegionId).filter(|to| *to != from) {
                    route(from, to);
                }
            }
        }
        watch.elapsed_ns() / f64::from(rounds * 90)
    };
    median((0..RUNS).map(|_| run(&mut route)).collect())
}

fn one_route() {
    let weights = Weights {
        latency_per_ms: 100_000,
        cost: 1_000_000,
        congestion: 1_000_000,
        price: Congestion::Convex,
        loss_per_percent: 1_000_000,
        width_at_gbit: 0,
    };
    let mut router = Router::new(mesh());
    println!("ten regions, full mesh: ns per route");
    for (name, objective) in [
        ("lowest latency", Objective::Latency),
        ("lowest cost", Objective::Cost),
        ("widest", Objective::Widest),
        ("balanced", Objective::Balanced(weights)),
    ] {
        let computed = per_route(2_000, |from, to| {
            black_box(router.compute(from, to, &objective)).expect("a route");
        });
        let remembered = per_route(20_000, |from, to| {
            black_box(router.route(from, to, &objective)).expect("a route");
        });
        println!("{name:>16} {computed:>8.0} computed {remembered:>6.1} remembered");
    }
    println!();
}

fn petgraph_all_pairs(graph: &DiGraph<(), u64>) -> u64 {
    let nodes = graph.node_indices();
    let sum = |node| {
        petgraph::algo::dijkstra(graph, node, None, |edge| *edge.weight())
            .values()
            .sum::<u64>()
    };
    nodes.map(sum).sum()
}

fn sum(all: &AllPairs, topology: &Topology) -> u64 {
    let distances = topology.regions().flat_map(|to| all.distances_to(to));
    distances
        .filter(|distance| distance.is_finite())
        .map(|distance| distance.weight())
        .sum()
}

fn kdl() {
    let Some(text) = data::text("topo-zoo/Kdl.gml") else {
        return;
    };
    let import = gml(&text, &Defaults::default()).expect("a graph");
    let mut topology = import.topology;
    let mut graph = DiGraph::<(), u64>::new();
    for _ in topology.regions() {
        graph.add_node(());
    }
    for link in topology.links() {
        let ends = topology.link(link);
        let weight = topology.weights(Metric::Latency)[link.index()];
        graph.add_edge(
            NodeIndex::new(ends.from.index()),
            NodeIndex::new(ends.to.index()),
            weight,
        );
    }
    let mut ours = Vec::new();
    let mut theirs = Vec::new();
    for _ in 0..RUNS {
        let watch = Stopwatch::start();
        let all = black_box(AllPairs::new(&topology, Metric::Latency));
        ours.push(watch.elapsed_ns());
        let watch = Stopwatch::start();
        let expected = black_box(petgraph_all_pairs(&graph));
        theirs.push(watch.elapsed_ns());
        assert_eq!(sum(&all, &topology), expected, "the same distances");
    }
    let (ours, theirs) = (median(ours), median(theirs));
    println!(
        "Kdl, {} regions, {} links: all pairs",
        topology.region_count(),
        topology.link_count()
    );
    println!(
        "{:>16.2} ms, petgraph's Dijkstra {:.2} ms: {:.1} times faster",
        ours / 1e6,
        theirs / 1e6,
        theirs / ours
    );
    // Every link fails and comes back.
    let mut all = AllPairs::new(&topology, Metric::Latency);
    let (mut failures, mut recoveries) = (Vec::new(), Vec::new());
    for link in topology.links() {
        topology.set_link_up(link, false);
        let watch = Stopwatch::start();
        all.refresh(&topology);
        failures.push(watch.elapsed_ns());
        topology.set_link_up(link, true);
        let watch = Stopwatch::start();
        all.refresh(&topology);
        recoveries.push(watch.elapsed_ns());
    }
    let fresh = AllPairs::new(&topology, Metric::Latency);
    assert!(
        topology
            .regions()
            .all(|to| all.distances_to(to) == fresh.distances_to(to))
    );
    for (name, times) in [("a failure", failures), ("a recovery", recoveries)] {
        let mean = times.iter().sum::<f64>() / times.len() as f64;
        let worst = times.iter().copied().fold(0.0, f64::max);
        println!(
            "{:>16.3} ms to follow {name} in the mean ({:.1} times faster than anew), {:.3} ms at worst ({:.1} times)",
            mean / 1e6,
            ours / mean,
            worst / 1e6,
            ours / worst
        );
    }
    println!();
}

fn world() {
    let Some(text) = data::text("topo-backbone-large/world.json") else {
        return;
    };
    let import = topohub(&text, &Defaults::default()).expect("a graph");
    let cities = import
        .regions
        .iter()
        .filter(|region| region.kind.as_deref() == Some("City"));
    let cities: Vec<RegionId> = cities.map(|region| region.id).collect();
    let mut demands = Demands::new();
    for &from in &cities {
        for &to in &cities {
            demands.add(from, to, 1.0);
        }
    }
    let watch = Stopwatch::start();
    let weights = import.topology.weights(Metric::Hops);
    let loads = Loads::equal_cost(&import.topology, weights, &demands, Split::PerRegion);
    let seconds = watch.elapsed_ns() / 1e9;
    assert_eq!(black_box(loads).unrouted, 0.0);
    println!(
        "world, {} regions, {} demands: equal-cost loads in {seconds:.2} s, at most {} MiB resident",
        import.topology.region_count(),
        demands.len(),
        peak::peak_kib().unwrap_or(0) / 1024
    );
}

fn main() {
    one_route();
    kdl();
    world();
}
