//! Equal-cost loads against published ones: TopoHub's for every graph in the data folder, and REPETITA's utilisations.

mod data;

use std::collections::BTreeMap;

use longhaul_import::{Defaults, Import, repetita, repetita_demands, topohub};
use longhaul_routing::{Demands, Loads, Metric, RegionId, Split};

/// The highest difference from TopoHub's loads, in points of a percentage of the busiest direction, and over how many
/// loads.
fn compare(text: &str) -> (f64, usize) {
    let import = topohub(text, &Defaults::default()).expect("a TopoHub graph");
    let published: serde_json::Value = serde_json::from_str(text).expect("JSON");
    let edges = published["edges"].as_array().or(published["links"].as_array());
    let edges = edges.expect("edges");
    let mut worst = (0.0, 0);
    for kind in ["uni", "deg", "org"] {
        if edges[0]["ecmp_fwd"][kind].is_null() {
            continue;
        }
        let demands = demands(&import, kind);
        let weights = import.topology.weights(Metric::Hops);
        let loads = Loads::equal_cost(&import.topology, weights, &demands, Split::PerRegion);
        let busiest = loads.by_link.iter().copied().fold(0.0, f64::max);
        for link in &import.links {
            let direction = if link.reverse { "ecmp_bwd" } else { "ecmp_fwd" };
            let expected = edges[link.edge][direction][kind].as_f64().expect("a load");
            let load = loads.by_link[link.id.index()] / busiest * 100.0;
            worst = (f64::max(worst.0, (load - expected).abs()), worst.1 + 1);
        }
    }
    worst
}

/// One per ordered pair, the product of the degrees, or the demands of the file in both directions.
fn demands(import: &Import, kind: &str) -> Demands {
    let mut demands = Demands::new();
    if kind == "org" {
        for (from, to, amount) in import.demands.iter() {
            demands.add(from, to, amount);
            demands.add(to, from, amount);
        }
        return demands;
    }
    // Backbones have demands between cities alone.
    let cities = import.regions.iter().filter(|region| {
        let kind = region.kind.as_deref();
        kind.is_none_or(|kind| kind == "City")
    });
    let cities: Vec<RegionId> = cities.map(|region| region.id).collect();
    let degree = |region: RegionId| import.topology.leaving(region).len() as f64;
    for &from in &cities {
        for &to in &cities {
            let amount = if kind == "uni" {
                1.0
            } else {
                degree(from) * degree(to)
            };
            demands.add(from, to, amount);
        }
    }
    demands
}

fn check_folder(folder: &str, at_most_bytes: u64) {
    for path in data::files(folder, "json") {
        if path.metadata().expect("a file").len() > at_most_bytes {
            continue;
        }
        let text = std::fs::read_to_string(&path).expect("a readable file");
        let (worst, count) = compare(&text);
        println!("{}: {count} loads, within {worst:.4} points", path.display());
        assert!(worst < 0.01, "{}: {worst} points", path.display());
    }
}

#[test]
fn loads_on_every_sndlib_graph_are_the_published_ones() {
    check_folder("topo-sndlib", u64::MAX);
}

#[test]
fn loads_on_the_regional_backbones_are_the_published_ones() {
    check_folder("topo-backbone-large", 500_000);
}

/// 3,815 regions, 1.55 million demands: `cargo test --release -p longhaul-routing --test published -- --ignored`.
#[test]
#[ignore = "seconds in release, a minute in debug"]
fn loads_on_the_world_backbone_are_the_published_ones() {
    check_folder("topo-backbone-large", u64::MAX);
}

#[test]
fn utilisations_of_repetita_are_the_reference() {
    let Some(reference) = data::text("te-repetita/REFERENCE_mlu.csv") else {
        return;
    };
    let mut graphs: BTreeMap<String, Import> = BTreeMap::new();
    let mut checked = 0;
    for row in reference.lines().skip(1) {
        let row: Vec<&str> = row.split(',').collect();
        let (folder, graph, matrix) = (row[0], row[1], row[2]);
        let path = format!("te-repetita/{folder}/{graph}");
        let import = graphs.entry(path.clone()).or_insert_with(|| {
            let text = data::text(&format!("{path}.graph")).expect("a graph");
            repetita(&text, &Defaults::default()).expect("a REPETITA graph")
        });
        let text = data::text(&format!("{path}.{matrix}.demands")).expect("a matrix");
        let demands = repetita_demands(&text, import).expect("REPETITA demands");
        assert_eq!(
            import.topology.link_count(),
            row[4].parse::<usize>().expect("arcs")
        );
        assert_eq!(demands.total(), row[6].parse::<f64>().expect("a total") * 1e3);
        let topology = &import.topology;
        let weights = topology.weights(Metric::Cost);
        let loads = Loads::equal_cost(topology, weights, &demands, Split::PerLink);
        assert_eq!(loads.unrouted, 0.0);
        let (_, utilisation) = loads.busiest(topology).expect("links");
        let expected: f64 = row[7].parse().expect("a utilisation");
        println!("{path} {matrix}: {utilisation:.7}, reference {expected}");
        assert!(
            (utilisation - expected).abs() < 1e-6,
            "{path} {matrix}: {utilisation} not {expected}"
        );
        checked += 1;
    }
    assert_eq!(checked, 30, "instances in the reference");
}
