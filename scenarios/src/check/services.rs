//! Services and clients against the rest of the scenario.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::decode::Decoded;
use crate::schema::{Client, Service};
use crate::suggest;

use super::Report;
use super::work::starts_in_time;

/// Services behind each other, operations that nobody has, and clients that come too late.
pub fn services(decoded: &Decoded, report: &mut Report) {
    cycles(decoded, report);
    operations(decoded, report);
    for (index, client) in &decoded.clients.good {
        starts_in_time(decoded, client.at, &format!("clients[{index}].at"), report);
    }
}

/// Reports what is asked of a service that it does not do.
fn operations(decoded: &Decoded, report: &mut Report) {
    let services = &decoded.services.good;
    let mut look = |service: &str, operation: &Option<String>, path: String| {
        let asked = services.iter().find(|(_, known)| known.name == service);
        let Some((_, asked)) = asked else { return };
        if asked.operation(operation.as_deref()).is_none() {
            let name = operation.as_deref().unwrap_or_default();
            let known = asked.operations.iter().map(String::as_str);
            let help = suggest::help(name, known).map_or(String::new(), |help| format!(": {help}"));
            report.error(&path, format!("`{service}` has no operation `{name}`{help}"));
        }
    };
    for (index, client) in &decoded.clients.good {
        let path = format!("clients[{index}].request.operation");
        look(&client.service, &client.operation, path);
    }
    for (index, service) in services {
        for (place, (behind, operation)) in service.behind.iter().zip(&service.asks_for).enumerate() {
            let path = format!("services[{index}].behind[{place}].operation");
            look(behind, operation, path);
        }
    }
}

/// Reports each service that stands behind itself, with the shortest way there; who is on the way of one that was
/// reported is not reported again.
fn cycles(decoded: &Decoded, report: &mut Report) {
    let services = &decoded.services.good;
    let behind: BTreeMap<&str, &[String]> = services
        .iter()
        .map(|(_, service)| (service.name.as_str(), &service.behind[..]))
        .collect();
    let mut reported: BTreeSet<&str> = BTreeSet::new();
    for (index, service) in services {
        let first = service.name.as_str();
        if reported.contains(first) {
            continue;
        }
        let Some(circle) = way_back(first, &behind) else {
            continue;
        };
        let place = service.behind.iter().position(|name| *name == circle[0]);
        let place = place.expect("the circle begins behind this service");
        let message = format!(
            "these services stand behind each other: {first} asks {}",
            circle.join(" asks ")
        );
        report.error(&format!("services[{index}].behind[{place}].service"), message);
        reported.extend(circle);
    }
}

/// The shortest way from a service to itself: those on it, the service itself last.
fn way_back<'a>(service: &'a str, behind: &BTreeMap<&'a str, &'a [String]>) -> Option<Vec<&'a str>> {
    let mut before: BTreeMap<&str, &str> = BTreeMap::new();
    let mut waiting = VecDeque::from([service]);
    while let Some(here) = waiting.pop_front() {
        for next in behind.get(here).copied().unwrap_or_default() {
            if before.contains_key(next.as_str()) {
                continue;
            }
            before.insert(next, here);
            if next != service {
                waiting.push_back(next);
                continue;
            }
            let (mut circle, mut here) = (vec![service], here);
            while here != service {
                circle.push(here);
                here = before[here];
            }
            circle.reverse();
            return Some(circle);
        }
    }
    None
}

/// Which servers are called from where: the field that says so, the region of the caller and that of the server. Each
/// pair of regions comes once.
pub fn callers<'a>(
    services: impl Iterator<Item = (usize, &'a Service)> + Clone,
    clients: impl Iterator<Item = (usize, &'a Client)>,
) -> Vec<(String, &'a str, &'a str)> {
    let replicas: BTreeMap<&str, &'a [String]> = services
        .clone()
        .map(|(_, service)| (service.name.as_str(), &service.replicas[..]))
        .collect();
    let mut seen: BTreeSet<(&str, &str)> = BTreeSet::new();
    let mut found = Vec::new();
    let mut note = |path: String, from: &'a str, service: &str| {
        for to in replicas.get(service).copied().unwrap_or_default() {
            let pair = (from.min(to), from.max(to));
            if from != to && seen.insert(pair) {
                found.push((path.clone(), from, to.as_str()));
            }
        }
    };
    for (index, client) in clients {
        note(
            format!("clients[{index}].service"),
            &client.region,
            &client.service,
        );
    }
    for (index, service) in services {
        for (place, behind) in service.behind.iter().enumerate() {
            for from in &service.replicas {
                note(format!("services[{index}].behind[{place}].service"), from, behind);
            }
        }
    }
    found
}
