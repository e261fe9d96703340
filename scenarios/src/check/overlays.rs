//! Mistakes in overlays that show only between items.

use std::collections::BTreeMap;

use longhaul_core::time::Span;
use longhaul_sdwan::config::BACKUPS_MAX;

use crate::decode::Decoded;
use crate::schema::{Overlay, OverlayPath, Selection, SiteDiscovery};

use super::Report;
use super::routes::{graph, route};

/// Probes this far apart keep the timers of tunnels going: the shortest, WireGuard's, is 10 s.
const KEEPS_BUSY: Span = Span::from_s(10);

/// Everything about overlays.
pub fn overlays(decoded: &Decoded, report: &mut Report) {
    let mut joined: BTreeMap<(&str, &str), &str> = BTreeMap::new();
    for (index, overlay) in &decoded.overlays.good {
        let path = format!("overlays[{index}]");
        paths(decoded, overlay, &path, report);
        // The edges' messages tell tunnels that they are in use.
        let wrapped = overlay.paths.iter().any(OverlayPath::has_tunnel);
        if wrapped && overlay.bfd.is_none() && overlay.probes.interval > KEEPS_BUSY {
            let message = format!(
                "tunnels need probes every {KEEPS_BUSY} at least, or BFD, to know that they are in use"
            );
            report.error(&format!("{path}.probes"), message);
        }
        if let Some(discovery) = &overlay.discovery {
            acquainted(decoded, overlay, discovery, &format!("{path}.discovery"), report);
        }
        for (one, other) in overlay.pairs() {
            let pair = (one.min(other), one.max(other));
            if let Some(first) = joined.insert(pair, &overlay.name) {
                let message =
                    format!("`{first}` joins `{one}` and `{other}` already: traffic has one overlay");
                report.error(&format!("{path}.paths"), message);
            }
        }
    }
}

/// Every site must be able to reach the hubs, which are sites themselves, and be reached from there.
fn acquainted(
    decoded: &Decoded,
    overlay: &Overlay,
    discovery: &SiteDiscovery,
    at: &str,
    report: &mut Report,
) {
    let sites = overlay.sites();
    for (field, names) in [("hubs", &discovery.hubs), ("wrong_keys", &discovery.wrong_keys)] {
        for (place, name) in names.iter().enumerate() {
            let at = format!("{at}.{field}[{place}]");
            if !sites.contains(&name.as_str()) {
                report.error(&at, format!("no path of `{}` ends in `{name}`", overlay.name));
            }
            if names[..place].contains(name) {
                report.error(&at, format!("`{name}` stands here twice"));
            }
        }
    }
    if !decoded.regions.complete || !decoded.links.complete {
        return;
    }
    let regions = decoded.regions.good.iter().map(|(_, region)| region);
    let links = decoded.links.good.iter().map(|(_, link)| link);
    let Some(graph) = graph(regions, links, decoded.routing.unwrap_or_default()) else {
        return;
    };
    for (place, hub) in discovery.hubs.iter().enumerate() {
        let mut others = sites.iter().filter(|site| *site != hub);
        let cut_off =
            others.find(|site| route(&graph, site, hub).is_none() || route(&graph, hub, site).is_none());
        if let Some(site) = cut_off.filter(|_| sites.contains(&hub.as_str())) {
            let message = format!("no links lead from `{site}` to `{hub}` and back");
            report.error(&format!("{at}.hubs[{place}]"), message);
        }
    }
}

fn paths(decoded: &Decoded, overlay: &Overlay, at: &str, report: &mut Report) {
    for (place, path) in overlay.paths.iter().enumerate() {
        let at = format!("{at}.paths[{place}]");
        let alike = |other: &&OverlayPath| other.joins(&path.ends.0, &path.ends.1);
        let before: Vec<&OverlayPath> = overlay.paths[..place].iter().filter(alike).collect();
        if before.iter().any(|other| other.name == path.name) {
            let message = format!(
                "another path between `{}` and `{}` is named `{}`",
                path.ends.0, path.ends.1, path.name
            );
            report.error(&format!("{at}.name"), message);
        }
        if matches!(overlay.selection, Selection::InOrder { .. }) && before.len() == BACKUPS_MAX + 1 {
            let message = format!("a primary path has at most {BACKUPS_MAX} backups");
            report.error(&at, message);
        }
        if !decoded.links.complete {
            continue;
        }
        let links = decoded.links.good.iter().map(|(_, link)| link);
        let hops = path.hops();
        let there = hops.iter().copied();
        let back = hops.iter().map(|&(from, to)| (to, from));
        for (from, to) in there.chain(back) {
            if !links
                .clone()
                .any(|link| (link.from.as_str(), link.to.as_str()) == (from, to))
            {
                let message = format!("no link leads from `{from}` to `{to}`");
                report.error(&format!("{at}.via"), message);
                break;
            }
        }
    }
}
