//! Faults of the network against the links: what is cut or degraded must exist and must be able to change, and who
//! recovers something by hand must mean one thing.

use std::collections::{BTreeMap, BTreeSet};

use longhaul_net::routing::LinkId;

use crate::chaos::{Target, targets};
use crate::decode::Decoded;
use crate::path::locate;
use crate::schema::{
    DiskPlace, DiskSuffering, Effect, Fault, Link, NetworkFault, Objective, Rate, Recovery, Scenario,
    WrongAnswer,
};
use crate::suggest;

use super::Report;

/// Faults of links that do not exist or cannot change, names that mean two things, and recoveries of nothing.
pub fn network_faults(decoded: &Decoded, report: &mut Report) {
    let links: BTreeMap<(&str, &str), &Link> = decoded
        .links
        .good
        .iter()
        .map(|(_, link)| ((&*link.from, &*link.to), link))
        .collect();
    let mut named: BTreeMap<&str, (usize, &NetworkFault)> = BTreeMap::new();
    for (index, fault) in &decoded.faults.good {
        let Fault::Network(fault) = fault else { continue };
        if decoded.links.complete {
            places(decoded, &links, *index, fault, report);
        }
        let Some((first, other)) = named.get(&*fault.name) else {
            named.insert(&fault.name, (*index, fault));
            continue;
        };
        // What was drawn from one process can be written one by one.
        let alike = other.effect == fault.effect && other.recovery == fault.recovery;
        if !alike || other.scripted().is_none() || fault.scripted().is_none() {
            let message = format!(
                "another fault is called `{}`: give one of them another `name`",
                fault.name
            );
            let error = report.at(&format!("faults[{index}]"), message);
            let first = locate(report.root, &format!("faults[{first}]"));
            report.sink.push(error.related(first, "here"));
        }
    }
    for (index, fault) in &decoded.faults.good {
        let Fault::Recover(recover) = fault else { continue };
        let path = format!("faults[{index}].fault");
        match named.get(&*recover.fault) {
            Some((_, fault)) if fault.recovery == Recovery::Manual => {}
            Some(_) => {
                let message = format!(
                    "`{}` ends by itself: only `recovery: Manual` leaves that to others",
                    recover.fault
                );
                report.error(&path, message);
            }
            None if !decoded.faults.complete => {}
            None => {
                let mut error = report.at(
                    &path,
                    format!("no fault of the network is called `{}`", recover.fault),
                );
                if !report.sink.is_full() {
                    error.help = suggest::help(&recover.fault, named.keys().copied());
                }
                report.sink.push(error);
            }
        }
    }
}

/// Whether what a fault acts on is there and can change.
fn places(
    decoded: &Decoded,
    links: &BTreeMap<(&str, &str), &Link>,
    index: usize,
    fault: &NetworkFault,
    report: &mut Report,
) {
    let at = format!("faults[{index}]");
    let missing = |from: &str, to: &str| format!("no link leads from `{from}` to `{to}`");
    match &fault.effect {
        Effect::Partition { one, other, one_way } => {
            let mut pairs = one
                .iter()
                .flat_map(|one| other.iter().map(move |other| (one, other)));
            let joined = |(one, other): (&String, &String)| {
                links.contains_key(&(&**one, &**other))
                    || (!one_way && links.contains_key(&(&**other, &**one)))
            };
            if !pairs.any(joined) {
                report.error(
                    &format!("{at}.between"),
                    "no link joins the two groups, so nothing would be cut",
                );
            }
        }
        Effect::SharedRisk { links: shared } => {
            for (place, (one, other)) in shared.iter().enumerate() {
                if !links.contains_key(&(&**one, &**other)) && !links.contains_key(&(&**other, &**one)) {
                    report.error(
                        &format!("{at}.links[{place}]"),
                        format!("no link joins `{one}` and `{other}`"),
                    );
                }
            }
        }
        Effect::RegionDown { .. } => {}
        Effect::Server { service, region, .. } => {
            let mut services = decoded.services.good.iter().map(|(_, it)| it);
            let found = services.find(|known| known.name == *service);
            if found.is_some_and(|found| !found.replicas.contains(region)) {
                report.error(
                    &format!("{at}.region"),
                    format!("`{service}` has no server in `{region}`"),
                );
            }
        }
        Effect::Names { client, answer } => {
            let mut clients = decoded.clients.good.iter().map(|(_, it)| it);
            let Some(client) = clients.find(|known| known.name == *client) else {
                return;
            };
            if client.options.service.names.is_none() {
                let message = format!(
                    "`{}` knows the addresses: only a client with `names` looks them up",
                    client.name
                );
                report.error(&format!("{at}.client"), message);
            }
            let mut services = decoded.services.good.iter().map(|(_, it)| it);
            let service = services.find(|known| known.name == client.service);
            if let (WrongAnswer::Stale(region), Some(service)) = (answer, service)
                && !service.replicas.contains(region)
            {
                let message = format!("`{}` has no server in `{region}`", service.name);
                report.error(&format!("{at}.answer"), message);
            }
        }
        Effect::Disk { disk, suffers } => disks(decoded, &at, disk, *suffers, report),
        Effect::Clock {
            federation, member, ..
        } => {
            is_member(decoded, &at, federation, member, report);
        }
        Effect::LinkLatency { ends, .. }
        | Effect::LinkLoss { ends, .. }
        | Effect::LinkBandwidth { ends, .. } => {
            for (from, to) in ends.directed() {
                let Some(link) = links.get(&(from, to)) else {
                    report.error(&at, missing(from, to));
                    continue;
                };
                if let Some(reason) = cannot_change(decoded, link, &fault.effect) {
                    report.error(&at, format!("{reason} {}", link.name()));
                }
            }
        }
    }
}

/// Whether there is such a disk, and something takes time on it.
fn disks(decoded: &Decoded, at: &str, disk: &DiskPlace, suffers: DiskSuffering, report: &mut Report) {
    match disk {
        DiskPlace::Cluster { federation, member } => {
            let Some(settings) = is_member(decoded, at, federation, member, report) else {
                return;
            };
            if matches!(suffers, DiskSuffering::Slow(_)) && !settings.writes_take_time() {
                let message = format!(
                    "writes of `{federation}` take no time, so none is slow: `disk_sync` and `durable_after` say how long"
                );
                report.error(&format!("{at}.suffers"), message);
            }
        }
        DiskPlace::Replica { replication } => {
            let mut replications = decoded.replications.good.iter().map(|(_, it)| it);
            let found = replications.find(|known| known.name == *replication);
            if found.is_some_and(|found| found.write_rate.is_none()) {
                let message = format!("`{replication}` writes to no disk: give it a `write_rate`");
                report.error(&format!("{at}.replication"), message);
            }
        }
    }
}

/// The settings of a federation if it has a cluster there.
fn is_member<'a>(
    decoded: &'a Decoded,
    at: &str,
    federation: &str,
    member: &str,
    report: &mut Report,
) -> Option<&'a longhaul_federation::Options> {
    let mut federations = decoded.federations.good.iter().map(|(_, it)| it);
    let found = federations.find(|known| known.name == *federation)?;
    if found.members.iter().any(|known| known == member) {
        return Some(&found.settings);
    }
    let message = format!("`{federation}` has no cluster in `{member}`");
    report.error(&format!("{at}.member"), message);
    None
}

fn cannot_change(decoded: &Decoded, link: &Link, effect: &Effect) -> Option<&'static str> {
    if matches!(link.rate, Rate::Recorded { .. }) {
        return Some("a recorded rate has its own times, so no fault can degrade");
    }
    let limits = matches!(effect, Effect::LinkBandwidth { .. });
    if limits && link.rate.constant().is_none() {
        return Some("the rate varies by itself, so no fault can limit that of");
    }
    let widest = decoded
        .routing
        .is_some_and(|routing| routing.objective == Objective::Widest);
    (limits && widest).then_some("routes go where links are widest, so no fault can limit the rate of")
}

/// Faults of the network that nobody would notice: index of the fault, field, and why.
pub fn doubts(scenario: &Scenario, carrying: &BTreeSet<usize>) -> Vec<(usize, &'static str, String)> {
    let mut found = Vec::new();
    let horizon = scenario.horizon;
    for (index, fault) in scenario.faults.iter().enumerate() {
        if let Fault::Recover(recover) = fault
            && recover.at >= horizon
        {
            found.push((index, ".at", format!("never happens: the run ends at {horizon}")));
        }
        let Fault::Network(fault) = fault else { continue };
        match fault.scripted() {
            Some((at, _)) if at >= horizon => {
                found.push((index, ".at", format!("never happens: the run ends at {horizon}")));
            }
            Some((_, Some(end))) if end >= horizon => {
                found.push((
                    index,
                    ".for",
                    format!("it is not over before the run ends at {horizon}"),
                ));
            }
            _ => {}
        }
        let carries = |target: &Target| match target {
            Target::Link(LinkId(link)) => carrying.contains(&(*link as usize)),
            // Its machines may have work even if no link has.
            _ => true,
        };
        if !targets(scenario, &fault.effect).iter().any(carries) {
            found.push((index, "", "no route uses what it acts on".to_owned()));
        }
    }
    found
}
