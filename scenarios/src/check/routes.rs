//! Who can reach whom, and over which links.

use longhaul_net::routing::{Edge, Graph, Route};

use crate::decode::Decoded;
use crate::schema::{Link, Region, whereabouts};

use super::Report;

/// The graph of a scenario. `None` if its regions or links contradict each other.
pub fn graph<'a>(
    regions: impl Iterator<Item = &'a Region>,
    links: impl Iterator<Item = &'a Link>,
) -> Option<Graph> {
    let names: Vec<String> = regions.map(|region| region.name.clone()).collect();
    // Only names are needed to number the ends of links.
    let numbering = Graph::new(&names, &[]).ok()?;
    let edges = links.map(|link| {
        let (from, to) = (
            numbering.region(&link.from).ok()?,
            numbering.region(&link.to).ok()?,
        );
        Some(Edge {
            from,
            to,
            latency: link.delay,
        })
    });
    Graph::new(&names, &edges.collect::<Option<Vec<Edge>>>()?).ok()
}

/// The route between two regions by name.
pub fn route(graph: &Graph, from: &str, to: &str) -> Option<Route> {
    graph.route(graph.region(from).ok()?, graph.region(to).ok()?).ok()
}

/// Everything that moves needs a way there, and a way back for its acknowledgements.
pub fn reachable(decoded: &Decoded, report: &mut Report) {
    if !decoded.regions.complete || !decoded.links.complete {
        return;
    }
    let regions = decoded.regions.good.iter().map(|(_, region)| region);
    let Some(graph) = graph(regions, decoded.links.good.iter().map(|(_, link)| link)) else {
        return;
    };
    for (position, (index, migration)) in decoded.migrations.good.iter().enumerate() {
        if let Some((_, vm)) = decoded.vms.good.iter().find(|(_, vm)| vm.name == migration.vm) {
            let before = &decoded.migrations.good[..position];
            both_ways(
                &graph,
                whereabouts(vm, before.iter().map(|(_, migration)| migration)),
                &migration.to,
                &format!("migrations[{index}].to"),
                report,
            );
        }
    }
    for (index, replication) in &decoded.replications.good {
        let first = replication.vms.first();
        let vm = decoded.vms.good.iter().find(|(_, vm)| Some(&vm.name) == first);
        // That it runs in the region where it is replicated to is another mistake.
        if let Some((_, vm)) = vm.filter(|(_, vm)| vm.region != replication.to) {
            let path = format!("replications[{index}].to");
            both_ways(&graph, &vm.region, &replication.to, &path, report);
        }
    }
    for (index, transfer) in &decoded.transfers.good {
        both_ways(
            &graph,
            &transfer.from,
            &transfer.to,
            &format!("transfers[{index}].to"),
            report,
        );
    }
}

fn both_ways(graph: &Graph, from: &str, to: &str, path: &str, report: &mut Report) {
    if route(graph, from, to).is_none() {
        report.error(path, format!("no links lead from `{from}` to `{to}`"));
    } else if route(graph, to, from).is_none() {
        let message = format!("no links lead back from `{to}` to `{from}`, so nothing could be acknowledged");
        report.error(path, message);
    }
}
