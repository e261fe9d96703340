//! Faults against the links: what fails must exist, must be up before it can fail, and should be missed.

use std::collections::{BTreeMap, BTreeSet};

use longhaul_core::time::Span;
use longhaul_net::routing::{Graph, RegionId};

use crate::decode::Decoded;
use crate::faults::{link_of, routing_epochs};
use crate::path::locate;
use crate::schema::{Fault, Scenario};
use crate::suggest;

use super::Report;

/// Links that do not exist, and links that fail while they are down.
pub fn faults(decoded: &Decoded, report: &mut Report) {
    let links: Vec<String> = decoded.links.good.iter().map(|(_, link)| link.name()).collect();
    // By link: when it fails, until when, and in which entry.
    let mut downs: BTreeMap<String, Vec<(Span, Span, usize)>> = BTreeMap::new();
    for (index, fault) in &decoded.faults.good {
        let Fault::LinkDown(down) = fault;
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
        let end = down.end().unwrap_or(Span::MAX);
        downs.entry(name).or_default().push((down.at, end, *index));
    }
    for (name, mut downs) in downs {
        downs.sort();
        for pair in downs.windows(2) {
            let ((_, end, first), (at, _, second)) = (pair[0], pair[1]);
            if at > end {
                continue;
            }
            let until = if end == Span::MAX {
                "for the rest of the run".to_owned()
            } else {
                format!("until {end}")
            };
            let message = format!("{name} fails at {at}, and is down {until} already");
            let error = report.at(&format!("faults[{second}].at"), message);
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
    for (index, fault) in scenario.faults.iter().enumerate() {
        let Fault::LinkDown(down) = fault;
        let link = link_of(scenario, down).expect("the check found the link");
        if down.at >= horizon {
            found.push((index, ".at", format!("never happens: the run ends at {horizon}")));
        } else if down.end().is_some_and(|end| end >= horizon) {
            let message = format!("the link is not back before the run ends at {horizon}");
            found.push((index, ".for", message));
        }
        if !carrying.contains(&(link.0 as usize)) {
            let message = format!("no route uses the link from `{}` to `{}`", down.from, down.to);
            found.push((index, "", message));
        }
    }
    found
}
