//! Faults against the links: what fails must exist, must be up before it can fail, and should be missed.

use std::collections::{BTreeMap, BTreeSet};

use longhaul_core::time::Span;
use longhaul_net::routing::{Graph, RegionId};

use crate::decode::Decoded;
use crate::faults::{link_of, routing_epochs};
use crate::path::locate;
use crate::schema::{Fault, Kill, Pause, Scenario, Vm};
use crate::suggest;

use super::Report;

/// Links that do not exist, links that fail while they are down, and machines that stop while they stand still or
/// have ended.
pub fn faults(decoded: &Decoded, report: &mut Report) {
    let links: Vec<String> = decoded.links.good.iter().map(|(_, link)| link.name()).collect();
    let mut stretches = Stretches::new();
    for (index, fault) in &decoded.faults.good {
        match fault {
            Fault::LinkDown(down) => {
                let name = down.link();
                if decoded.links.complete && !links.contains(&name) {
                    let message = format!("no link leads from `{}` to `{}`", down.from, down.to);
                    let mut error = report.at(&format!("faults[{index}]"), message);
                    if !report.sink.is_full() {
                        error.help = suggest::help(&name, links.iter().map(String::as_str));
                    }
                    report.sink.push(error);
                    continue;
                }
                let stretch = (down.at, down.end(), *index, ("fails", "down"));
                stretches.entry(name).or_default().push(stretch);
            }
            Fault::Pause(pause) => {
                let stretch = (pause.at, pause.end(), *index, ("stops", "still"));
                stretches.entry(pause.region.clone()).or_default().push(stretch);
            }
            Fault::Kill(_) | Fault::Reset(_) | Fault::Network(_) | Fault::Recover(_) => {}
        }
    }
    for (name, stretches) in &mut stretches {
        stretches.sort_by_key(|&(at, end, index, _)| (at, end.unwrap_or(Span::MAX), index));
        for pair in stretches.windows(2) {
            let ((_, end, first, (_, state)), (at, _, second, (verb, _))) = (pair[0], pair[1]);
            if end.is_some_and(|end| end < at) {
                continue;
            }
            let until = end.map_or("for the rest of the run".to_owned(), |end| format!("until {end}"));
            let message = format!("{name} {verb} at {at}, and is {state} {until} already");
            let error = report.at(&format!("faults[{second}].at"), message);
            let first = locate(report.root, &format!("faults[{first}]"));
            report.sink.push(error.related(first, "here"));
        }
    }
    after_the_end(decoded, report);
}

/// By link or region: when it fails or stops, until when, in which entry, and how that is called.
type Stretches = BTreeMap<String, Vec<(Span, Option<Span>, usize, (&'static str, &'static str))>>;

/// What has been killed can neither stop nor be killed again before it is started again.
fn after_the_end(decoded: &Decoded, report: &mut Report) {
    let faults = &decoded.faults.good;
    let kills = || {
        faults
            .iter()
            .filter_map(|(index, fault)| Some((*index, fault.kill()?)))
    };
    for (index, fault) in faults {
        let (region, at) = match fault {
            Fault::LinkDown(_) | Fault::Reset(_) | Fault::Network(_) | Fault::Recover(_) => continue,
            Fault::Pause(pause) => (&pause.region, pause.at),
            Fault::Kill(kill) => (&kill.region, kill.at),
        };
        // Of two kills at one moment the second is one too many.
        let comes_before = |place: usize, kill: &Kill| match fault {
            Fault::Kill(_) => (kill.at, place) < (at, *index),
            _ => kill.at <= at,
        };
        let down = kills().filter(|(place, kill)| {
            kill.region == *region && comes_before(*place, kill) && kill.end().is_none_or(|end| at < end)
        });
        if let Some((first, kill)) = down.min_by_key(|(place, kill)| (kill.at, *place)) {
            let message = format!(
                "nothing happens in {region} at {at}: its machines are killed at {}",
                kill.at
            );
            let error = report.at(&format!("faults[{index}].at"), message);
            let first = locate(report.root, &format!("faults[{first}]"));
            report.sink.push(error.related(first, "here"));
        }
    }
}

/// Computations of routes to one region that a check may take; beyond, every link is taken to carry something.
const MOST_TREES: usize = 10_000;

/// Adds to `carrying`, by index, the links that carry something only while others are down. `pairs` has where
/// packets go and from where.
pub fn detours(
    scenario: &Scenario,
    graph: &Graph,
    pairs: &BTreeSet<(RegionId, RegionId)>,
    carrying: &mut BTreeSet<usize>,
) {
    let mut sources: BTreeMap<RegionId, Vec<RegionId>> = BTreeMap::new();
    for &(to, from) in pairs {
        sources.entry(to).or_default().push(from);
    }
    // The first epoch has every link, and its routes are known.
    let epochs = routing_epochs(scenario);
    let epochs = epochs.iter().skip(1).filter(|epoch| epoch.at < scenario.horizon);
    if epochs.clone().count().saturating_mul(sources.len()) > MOST_TREES {
        carrying.extend(0..scenario.links.len());
        return;
    }
    for epoch in epochs {
        for (&to, sources) in &sources {
            let next_hops = graph.next_hops(to, |link| epoch.up[link.0 as usize]);
            for &from in sources {
                let mut here = from;
                while let Some(link) = next_hops[here.0 as usize] {
                    carrying.insert(link.0 as usize);
                    here = graph.far_end(link);
                }
            }
        }
    }
}

/// Faults that nobody would notice: index of the fault, field, and why.
pub fn doubts(scenario: &Scenario, carrying: &BTreeSet<usize>) -> Vec<(usize, &'static str, String)> {
    let horizon = scenario.horizon;
    let mut found = Vec::new();
    let mut find = |index, field, message| found.push((index, field, message));
    for (index, fault) in scenario.faults.iter().enumerate() {
        let (at, end, who) = match fault {
            Fault::LinkDown(down) => (down.at, down.end(), "the link is not back"),
            Fault::Pause(pause) => (pause.at, pause.end(), "the machines do not go on"),
            Fault::Kill(kill) => (kill.at, kill.end(), "the clusters are not started again"),
            Fault::Reset(reset) => (reset.at, None, ""),
            // See `super::chaos`.
            Fault::Network(_) | Fault::Recover(_) => continue,
        };
        if at >= horizon {
            find(index, ".at", format!("never happens: the run ends at {horizon}"));
        } else if end.is_some_and(|end| end >= horizon) {
            find(index, ".for", format!("{who} before the run ends at {horizon}"));
        }
        match fault {
            Fault::LinkDown(down) => {
                let link = link_of(scenario, &down.from, &down.to).expect("the check found the link");
                if !carrying.contains(&(link.0 as usize)) {
                    let message = format!("no route uses the link from `{}` to `{}`", down.from, down.to);
                    find(index, "", message);
                }
            }
            Fault::Reset(_) | Fault::Network(_) | Fault::Recover(_) => {}
            Fault::Pause(Pause { region, .. }) | Fault::Kill(Kill { region, .. }) => {
                if !has_machines(scenario, region) {
                    find(index, ".region", format!("no machine runs in `{region}`"));
                } else if fault.kill().is_some_and(|kill| kill.duration.is_some())
                    && !has_clusters(scenario, region)
                {
                    let message = format!(
                        "neither a cluster of a federation nor a server is in `{region}`, and nothing else is started again"
                    );
                    find(index, ".for", message);
                }
            }
        }
    }
    found
}

/// Whether a federation has a cluster in a region, or a service a server: they are started again.
fn has_clusters(scenario: &Scenario, region: &str) -> bool {
    let mut members = scenario
        .federations
        .iter()
        .flat_map(|federation| &federation.members);
    let mut servers = scenario.services.iter().flat_map(|service| &service.replicas);
    members.any(|member| member == region) || servers.any(|server| server == region)
}

/// Whether a migration, a transfer or a replication starts or ends in a region, or a cluster is there.
fn has_machines(scenario: &Scenario, region: &str) -> bool {
    let mut transfers = scenario.transfers.iter();
    let mut replications = scenario.replications.iter();
    let mut vms = scenario.vms.iter().filter(|vm| vm.region == region);
    let leaves = |vm: &Vm| {
        let mut migrations = scenario.migrations.iter();
        let mut replications = scenario.replications.iter();
        migrations.any(|migration| migration.vm == vm.name)
            || replications.any(|replication| replication.vms.contains(&vm.name))
    };
    transfers.any(|transfer| transfer.from == region || transfer.to == region)
        || scenario.migrations.iter().any(|migration| migration.to == region)
        || replications.any(|replication| replication.to == region)
        || vms.any(leaves)
        || has_clusters(scenario, region)
        || scenario.clients.iter().any(|client| client.region == region)
}
