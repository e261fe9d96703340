//! Who can reach whom, and over which links.

use longhaul_core::units::BitRate;
use longhaul_net::routing::{Edge, Graph, Route, RoutingPolicy};

use crate::decode::Decoded;
use crate::schema::{Link, Objective, Region, whereabouts};

use super::Report;
use super::services::callers;

/// The graph of a scenario. `None` if its regions or links contradict each other.
pub fn graph<'a>(
    regions: impl Iterator<Item = &'a Region>,
    links: impl Iterator<Item = &'a Link>,
    policy: RoutingPolicy,
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
            cost: link.cost,
            capacity: link.rate.mean().unwrap_or(BitRate::from_bits_per_s(0)),
            loss: link.loss.mean(),
        })
    });
    Graph::with_policy(&names, &edges.collect::<Option<Vec<Edge>>>()?, policy).ok()
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
    let policy = decoded.routing.unwrap_or_default();
    let links = decoded.links.good.iter().map(|(_, link)| link);
    let Some(graph) = graph(regions, links, policy) else {
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
    for (index, federation) in &decoded.federations.good {
        for (one, other) in federation.neighbours() {
            let path = format!("federations[{index}].members[{other}]");
            let members = &federation.members;
            both_ways(&graph, &members[one], &members[other], &path, report);
        }
    }
    for (index, overlay) in &decoded.overlays.good {
        for (place, routed) in overlay
            .paths
            .iter()
            .enumerate()
            .filter(|(_, path)| path.via.is_none())
        {
            let path = format!("overlays[{index}].paths[{place}].between");
            both_ways(&graph, &routed.ends.0, &routed.ends.1, &path, report);
        }
    }
    let services = decoded.services.good.iter().map(|(index, it)| (*index, it));
    let clients = decoded.clients.good.iter().map(|(index, it)| (*index, it));
    for (path, from, to) in callers(services, clients) {
        both_ways(&graph, from, to, &path, report);
    }
    for (index, stream) in &decoded.datagrams.good {
        both_ways(
            &graph,
            &stream.from,
            &stream.to,
            &format!("datagrams[{index}].to"),
            report,
        );
    }
    for (index, demand) in &decoded.demands.good {
        if route(&graph, &demand.from, &demand.to).is_none() {
            let message = format!("no links lead from `{}` to `{}`", demand.from, demand.to);
            report.error(&format!("demands[{index}].to"), message);
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

/// Widest routes need rates that are known.
pub fn objective(decoded: &Decoded, report: &mut Report) {
    if decoded
        .routing
        .is_none_or(|routing| routing.objective != Objective::Widest)
    {
        return;
    }
    let varies = |link: &Link| link.rate.constant().is_none() || !link.changes.is_empty();
    let mut links = decoded.links.good.iter().map(|(_, link)| link);
    if let Some(link) = links.find(|link| varies(link)) {
        let message = format!(
            "the rate of `{}` varies, so that no route is the widest",
            link.name()
        );
        report.error("routing.objective", message);
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
