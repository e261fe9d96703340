//! What traffic engineering costs: the optimum by linear program and the approximation on REPETITA, the approximation on
//! larger graphs, and every single failure on Kdl. Graphs come from the data folder (`LONGHAUL_DATA`, by default
//! `../shared/data`); what needs one that is absent is left out.

#![allow(missing_docs, reason = "a program, not a library")]

#[path = "../models/routing/tests/data/mod.rs"]
mod data;
mod support;

use longhaul_import::{Defaults, Import, repetita, repetita_demands, teal};
use longhaul_routing::{Demands, Metric, Split, Topology};
use longhaul_te::{Effort, WhatIf, approximate_max_flow, approximate_min_max, max_flow, min_max_utilisation};
use support::{Stopwatch, median};

fn instance(name: &str) -> Option<(Import, Demands)> {
    let graph = repetita(
        &data::text(&format!("te-repetita/{name}.graph"))?,
        &Defaults::default(),
    );
    let graph = graph.expect("a graph");
    let demands = repetita_demands(&data::text(&format!("te-repetita/{name}.0000.demands"))?, &graph);
    Some((graph, demands.expect("demands")))
}

/// What the work gives, and how long it took in the median of three.
fn seconds<T>(work: impl Fn() -> T) -> (T, f64) {
    let run = || {
        let watch = Stopwatch::start();
        let done = work();
        (done, watch.elapsed_ns() / 1e9)
    };
    let (done, first) = run();
    (done, median(vec![first, run().1, run().1]))
}

fn least_utilisation() {
    println!("least highest utilisation: seconds and proved gap, by linear program and approximately");
    for (name, exact) in [
        ("2016TopologyZooUCL_inverseCapacity/Abilene", true),
        ("2016TopologyZooUCL_inverseCapacity/AttMpls", true),
        ("2016TopologyZooUCL_inverseCapacity/Geant2012", true),
        ("2016TopologyZooUCL_inverseCapacity/Bellcanada", true),
        ("2016TopologyZooUCL_inverseCapacity/Cogentco", false),
    ] {
        let Some((import, demands)) = instance(name) else {
            return;
        };
        let topology = &import.topology;
        let program = exact.then(|| seconds(|| min_max_utilisation(topology, &demands).expect("an optimum")));
        let program = program.map_or("not tried".to_owned(), |(optimum, seconds)| {
            format!("{seconds:>7.2} s {:.1e}", optimum.gap())
        });
        let (near, took) =
            seconds(|| approximate_min_max(topology, &demands, &Effort::default()).expect("a routing"));
        println!("{name:>46}: {program:>18} {took:>8.3} s {:.3}", near.gap());
    }
    println!();
}

/// The same demand between every pair that is 37 places apart, in all as much as `load` of a link each.
fn spread(topology: &Topology, load: f64) -> Demands {
    let regions: Vec<_> = topology.regions().collect();
    let mut demands = Demands::new();
    for (place, from) in regions.iter().enumerate() {
        for step in 1..=8 {
            let to = regions[(place + step * 37) % regions.len()];
            demands.add(*from, to, load);
        }
    }
    demands
}

fn most_delivered() {
    println!("most that can be delivered, by linear program and approximately (5 %)");
    for (name, exact) in [("B4", true), ("UsCarrier", false), ("Kdl", false)] {
        let Some(text) = data::text(&format!("te-teal/{name}.json")) else {
            return;
        };
        let import = teal(&text, &Defaults::default()).expect("a graph");
        let topology = &import.topology;
        let capacity = topology
            .links()
            .map(|link| topology.state(link).capacity.as_bits_per_s())
            .min();
        let demands = spread(topology, capacity.expect("a link") as f64 / 4.0);
        let program = exact.then(|| seconds(|| max_flow(topology, &demands).expect("an optimum")));
        let program = program.map_or("not tried".to_owned(), |(optimum, seconds)| {
            format!("{seconds:>7.2} s {:.4}", optimum.value / demands.total())
        });
        let (near, took) = seconds(|| approximate_max_flow(topology, &demands, &Effort::default()));
        let part = near.value / demands.total();
        println!(
            "{name:>46}: {program:>18} {took:>8.3} s {part:.4}, gap {:.3}",
            near.gap()
        );
    }
    println!();
}

fn every_failure() {
    let Some(text) = data::text("te-teal/Kdl.json") else {
        return;
    };
    let import = teal(&text, &Defaults::default()).expect("a graph");
    let topology = &import.topology;
    let demands = spread(topology, 1e6);
    let what_if = WhatIf::new(topology, Metric::Hops, &demands, Split::PerLink);
    let (_, once) = seconds(|| WhatIf::new(topology, Metric::Hops, &demands, Split::PerLink));
    let (impacts, all) = seconds(|| what_if.clone().singles());
    println!(
        "Kdl, {} single failures: {all:.2} s, {:.1} times faster than routing all demands each time",
        impacts.len(),
        once * impacts.len() as f64 / all
    );
}

fn main() {
    least_utilisation();
    most_delivered();
    every_failure();
}
