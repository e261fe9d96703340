//! Mistakes that show only between items: what cannot be, and what cannot happen.
//!
//! Every check looks at what could be decoded and needs no more than that, so the mistakes of one item hide
//! none of another. What is merely doubtful is [`lint`]'s business.

mod chaos;
mod demands;
mod faults;
mod federations;
mod lint;
mod overlays;
mod replications;
mod reservations;
mod route_control;
mod routes;
mod services;
mod work;

use std::collections::BTreeMap;

use longhaul_core::units::Probability;
use longhaul_net::geo::Coordinates;

use crate::decode::{Decoded, PAGE};
use crate::diagnose::{Diagnostic, Sink, approximate};
use crate::fidelity::obstacles;
use crate::path::locate;
use crate::schema::{Fidelity, Location, Memory, PayloadMode, Scenario};
use crate::syntax::Node;

pub use lint::lint;
pub use routes::{graph, route};

/// Samples × sampled things in one run; bounds what the time series can take.
const MOST_SAMPLES: u64 = 10_000_000;

/// Reports to `sink` what is wrong between the items of a scenario whose tree is `root`.
pub fn check(root: &Node, decoded: &Decoded, sink: &mut Sink) {
    let mut report = Report { root, sink };
    times(decoded, &mut report);
    sampled_share(decoded, &mut report);
    links(decoded, &mut report);
    routes::objective(decoded, &mut report);
    routes::reachable(decoded, &mut report);
    work::migrations(decoded, &mut report);
    work::transfers(decoded, &mut report);
    work::datagrams(decoded, &mut report);
    replications::replications(decoded, &mut report);
    federations::federations(decoded, &mut report);
    reservations::reservations(decoded, &mut report);
    demands::demands(decoded, &mut report);
    route_control::route_control(decoded, &mut report);
    overlays::overlays(decoded, &mut report);
    services::services(decoded, &mut report);
    faults::faults(decoded, &mut report);
    chaos::network_faults(decoded, &mut report);
    work::assertions(decoded, &mut report);
    let empty = [
        decoded.migrations.is_empty(),
        decoded.transfers.is_empty(),
        decoded.replications.is_empty(),
        decoded.federations.is_empty(),
        decoded.datagrams.is_empty(),
        decoded.clients.is_empty(),
    ];
    if empty == [true; 6] {
        let message = "nothing happens: there is neither a migration nor a transfer, nor a replication, a federation, a stream of datagrams or a client";
        report.error("", message);
    }
}

/// Reports to `sink` what flow fidelity does not model of a scenario that asks for it.
pub fn fidelity(root: &Node, scenario: &Scenario, sink: &mut Sink) {
    if scenario.fidelity != Fidelity::Flow {
        return;
    }
    let mut report = Report { root, sink };
    for what in obstacles(scenario) {
        report.error("fidelity", format!("flow fidelity does not model {what}"));
    }
}

/// Where mistakes go, and where the paths lead.
struct Report<'a> {
    root: &'a Node,
    sink: &'a mut Sink,
}

impl Report<'_> {
    /// An error at a path. It points at the innermost thing on the path that is written.
    fn at(&self, path: &str, message: impl Into<String>) -> Diagnostic {
        let place = if path.is_empty() {
            self.root.head()
        } else {
            locate(self.root, path)
        };
        Diagnostic::error(place, path, message)
    }

    fn error(&mut self, path: &str, message: impl Into<String>) {
        let error = self.at(path, message);
        self.sink.push(error);
    }
}

fn times(decoded: &Decoded, report: &mut Report) {
    let (Some(horizon), Some(interval)) = (decoded.horizon, decoded.sample_interval) else {
        return;
    };
    if interval > horizon {
        report.error(
            "sample_interval",
            format!("no sample within the horizon of {horizon}"),
        );
        return;
    }
    let lists = [
        decoded.links.good.len(),
        decoded.migrations.good.len(),
        decoded.transfers.good.len(),
        decoded.replications.good.len(),
        decoded.clients.good.len(),
    ];
    let servers = decoded.services.good.iter();
    let servers: usize = servers.map(|(_, service)| service.replicas.len()).sum();
    let clusters = decoded.federations.good.iter();
    let clusters: usize = clusters.map(|(_, federation)| federation.members.len()).sum();
    let sampled = lists.iter().sum::<usize>() + clusters + servers;
    let samples = (horizon.as_ns() / interval.as_ns()).saturating_mul(sampled as u64);
    if samples > MOST_SAMPLES {
        let message = format!("{samples} samples of all links and of all that moves; at most {MOST_SAMPLES}");
        report.error("sample_interval", message);
    }
}

/// At least one page of every generated memory must be real, or there is nothing to measure ratios on.
fn sampled_share(decoded: &Decoded, report: &mut Report) {
    let Some(PayloadMode::Sampled { share }) = decoded.payload else {
        return;
    };
    for (index, vm) in &decoded.vms.good {
        let Memory::Generated { size, .. } = vm.memory else {
            continue;
        };
        let real = u128::from(size.as_bytes() / PAGE) * u128::from(share.as_parts());
        if real < u128::from(Probability::PARTS) {
            let path = format!("vms[{index}].memory.size");
            report.error(
                &path,
                format!("{share} of {size} is less than one page, so nothing would be measured"),
            );
        }
    }
}

fn links(decoded: &Decoded, report: &mut Report) {
    let mut seen = BTreeMap::new();
    for (index, link) in &decoded.links.good {
        let path = format!("links[{index}]");
        if let Some(first) = seen.insert((&link.from, &link.to), *index) {
            let error = report.at(
                &path,
                format!("another link leads from `{}` to `{}`", link.from, link.to),
            );
            let first = locate(report.root, &format!("links[{first}]"));
            report.sink.push(error.related(first, "here"));
        }
    }
    let location = |name: &str| {
        let region = decoded
            .regions
            .good
            .iter()
            .find(|(_, region)| region.name == name);
        region.and_then(|(_, region)| region.location).map(coordinates)
    };
    for (index, link) in &decoded.links.good {
        let (Some(from), Some(to)) = (location(&link.from), location(&link.to)) else {
            continue;
        };
        let least = from.fibre_delay(to);
        if link.delay < least {
            let entry = format!("links[{index}]");
            let symmetric = report
                .root
                .field("links")
                .and_then(|links| links.items().get(*index)?.field("rtt"));
            let (field, least) = match symmetric {
                Some(_) => ("rtt", least * 2),
                None => ("delay", least),
            };
            let least = approximate(least);
            let message = format!(
                "faster than light: {} and {} are {:.0} km apart, so the {field} is at least {least} in fibre",
                link.from,
                link.to,
                from.distance_km(to)
            );
            let error = report.at(&format!("{entry}.{field}"), message);
            // Both directions of a symmetric link are wrong together; one message is enough.
            if !already(report.sink, &error) {
                report.sink.push(error);
            }
        }
    }
}

fn already(sink: &Sink, error: &Diagnostic) -> bool {
    sink.items()
        .iter()
        .any(|item| item.place == error.place && item.path == error.path)
}

/// A location as the network has it.
pub fn coordinates(location: Location) -> Coordinates {
    Coordinates {
        latitude_microdegrees: location.latitude_microdegrees,
        longitude_microdegrees: location.longitude_microdegrees,
    }
}
