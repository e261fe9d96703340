//! From the faults that a scenario describes to those that strike in one run.
//!
//! What is left to chance is drawn from the scenario's seed. What overlaps is laid over each other: a link is down as
//! long as anything keeps it down, and of several degradations the strongest is felt. What comes out is a scenario of
//! plain means: links that are down for a time, machines that end, links whose laws change. Everything that reads a
//! scenario knows those: the simulation, the routers, the judge of overlays.
//!
//! What servers, clients and disks suffer is not in a plain scenario: it comes as [orders](services) at given times. Nor
//! are [clocks] that are wrong: whoever drives a machine tells it the time by them.

pub mod clocks;
pub mod degrade;
mod disks;
pub mod services;

use std::collections::{BTreeMap, BTreeSet};

use longhaul_chaos::{Action, Direction, Entry, Injection, Kind, Overlay, Plan, Schedule, Spec};
use longhaul_core::random::{Source, Streams};
use longhaul_core::time::Span;
use longhaul_core::units::BitRate;
use longhaul_net::loss::LawError;
use longhaul_net::routing::{LinkId, RegionId};
use serde_json::json;
use thiserror::Error;

use self::clocks::Clocks;

use crate::decode::MOST_FAULTS;
use crate::faults::link_of;
use crate::schema::{
    DiskPlace, Effect, Fault, Federation, Kill, LinkDown, NetworkFault, RecoverFault, Recovery, Scenario,
    Service, Timing,
};

/// What faults act on.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Target {
    /// A directed link.
    Link(LinkId),
    /// The machines of a region.
    Region(RegionId),
    /// A server of a service, by the places of both.
    Server(usize, u32),
    /// A client.
    Client(usize),
    /// A cluster of a federation, by the places of both.
    Cluster(usize, u32),
    /// The replica of a replication.
    Replica(usize),
}

/// A scenario in which nothing is left to chance.
#[derive(Clone, Debug)]
pub struct Concrete {
    /// The scenario, with plain faults and links that change.
    pub scenario: Scenario,
    /// The scenario's faults as they strike: each that is left to chance is replaced by those that were drawn. Empty if
    /// no fault of the network is described.
    pub faults: Vec<Fault>,
    /// What is to be told of them, in the order of time.
    pub told: Vec<Told>,
    /// What servers, clients and disks are told to suffer, in the order of time.
    pub orders: Vec<services::OrderAt>,
    /// The clocks that are ever wrong.
    pub clocks: BTreeMap<Target, Clocks>,
    /// When all faults end, if they were aborted.
    pub end: Option<Span>,
}

/// A fault strikes or ends.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Told {
    /// When.
    pub at: Span,
    /// Its name.
    pub fault: String,
    /// `FaultInjected`, `FaultFades` or `FaultEnded`.
    pub kind: &'static str,
    /// What it is, as JSON.
    pub detail: String,
}

/// How many strikes, counted at each of their targets, a run may have.
const MOST_ENTRIES: usize = 200_000;

/// Why faults cannot be laid out.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum ChaosError {
    /// A fault contradicts itself or another one.
    #[error(transparent)]
    Fault(#[from] longhaul_chaos::Error),
    /// Own and added loss make no law.
    #[error("the loss of {link} under this fault: {error}")]
    Loss {
        /// Which link.
        link: String,
        /// Why.
        error: LawError,
    },
    /// Too much happens.
    #[error(
        "there would be more than {most} faults, or more than {MOST_ENTRIES} counted at every link and region"
    )]
    TooMany {
        /// How often they may.
        most: usize,
    },
    /// A link changes too often.
    #[error("{link} would change more than {most} times")]
    TooManyChanges {
        /// Which link.
        link: String,
        /// How often a link may change in a run with faults.
        most: usize,
    },
}

/// Lays out the faults of a run.
///
/// # Errors
/// [`ChaosError`]
///
/// # Panics
/// If a fault names what does not exist: the check refuses it.
pub fn concrete(scenario: &Scenario) -> Result<Concrete, ChaosError> {
    concrete_until(scenario, None)
}

/// Lays out the faults of a run in which all of them end at a time, whatever they are doing, and none strikes later.
///
/// # Errors
/// [`ChaosError`]
///
/// # Panics
/// As [`concrete`].
pub fn concrete_until(scenario: &Scenario, end: Option<Span>) -> Result<Concrete, ChaosError> {
    let mut concrete = scenario.clone();
    if let Some(end) = end {
        concrete.faults = cut_short(&scenario.faults, end);
    }
    if !scenario.faults.iter().any(|fault| fault.network().is_some()) {
        return Ok(Concrete {
            scenario: concrete,
            faults: Vec::new(),
            told: Vec::new(),
            orders: Vec::new(),
            clocks: BTreeMap::new(),
            end,
        });
    }
    let strikes = strikes(scenario)?;
    let mut overlay = Overlay::new(&laid_over(scenario, &strikes)?);
    if let Some(end) = end {
        overlay = overlay.ending_at(end);
    }
    concrete
        .faults
        .retain(|fault| matches!(fault, Fault::Pause(_) | Fault::Reset(_)));
    for target in overlay.targets() {
        if !matches!(target, Target::Link(_) | Target::Region(_)) {
            continue;
        }
        let stretches = down(&overlay, &target);
        let plain = stretches.iter().map(|&(at, duration)| match target {
            Target::Link(link) => {
                let link = &scenario.links[link.0 as usize];
                Fault::LinkDown(LinkDown {
                    from: link.from.clone(),
                    to: link.to.clone(),
                    at,
                    duration,
                })
            }
            Target::Region(region) => {
                let region = scenario.regions[region.0 as usize].name.clone();
                Fault::Kill(Kill { region, at, duration })
            }
            _ => unreachable!("left out above"),
        });
        concrete.faults.extend(plain);
        if let Target::Link(link) = target {
            degrade::degrade(
                &mut concrete.links[link.0 as usize],
                &overlay,
                &target,
                scenario.horizon,
            )?;
        }
    }
    let faults = as_they_strike(scenario, &strikes);
    if faults.len() > MOST_FAULTS {
        return Err(ChaosError::TooMany { most: MOST_FAULTS });
    }
    let mut told = told(scenario, &strikes);
    let mut orders = services::orders(scenario, &strikes, &overlay);
    if let Some(end) = end {
        told = told_until(told, &strikes.injections(), end);
        orders = services::orders_until(orders, end);
    }
    Ok(Concrete {
        scenario: concrete,
        faults,
        told,
        orders,
        clocks: wrong_clocks(scenario, &strikes, &overlay),
        end,
    })
}

/// Plain faults that are over at a time.
fn cut_short(faults: &[Fault], end: Span) -> Vec<Fault> {
    let lasting = |at: Span, duration: Option<Span>| {
        let left = end.saturating_sub(at);
        Some(duration.map_or(left, |duration| duration.min(left)))
    };
    let mut faults = faults.to_vec();
    faults.retain_mut(|fault| {
        let (at, duration) = match fault {
            Fault::LinkDown(down) => (down.at, &mut down.duration),
            Fault::Pause(pause) => (pause.at, &mut pause.duration),
            Fault::Kill(kill) => (kill.at, &mut kill.duration),
            Fault::Reset(reset) => return reset.at < end,
            Fault::Network(_) | Fault::Recover(_) => return true,
        };
        *duration = lasting(at, *duration);
        at < end
    });
    faults
}

/// What is told of faults that all end at a time.
fn told_until(mut told: Vec<Told>, injections: &[Injection<usize>], end: Span) -> Vec<Told> {
    told.retain(|told| told.at < end);
    let goes_on = |it: &&Injection<usize>| it.from < end && it.gone().is_none_or(|gone| end <= gone);
    told.extend(injections.iter().filter(goes_on).map(|injection| Told {
        at: end,
        fault: injection.fault.clone(),
        kind: "FaultEnded",
        detail: json!({ "kind": injection.kind.name() }).to_string(),
    }));
    told.sort();
    told
}

/// When the faults of the network strike: the target is the place of the fault in the scenario's list.
fn strikes(scenario: &Scenario) -> Result<Schedule<usize>, ChaosError> {
    let recoveries = |name: &str| {
        let of = |fault: &Fault| match fault {
            Fault::Recover(RecoverFault { fault, at }) if fault == name => Some(*at),
            _ => None,
        };
        scenario.faults.iter().filter_map(of).collect::<Vec<Span>>()
    };
    let mut plan = Plan {
        enabled: true,
        faults: Vec::new(),
    };
    let mut entries = Vec::new();
    // Several scripted faults may have one name, and then one recovery ends them all.
    let mut scripted: BTreeMap<&str, usize> = BTreeMap::new();
    for (place, fault) in scenario.faults.iter().enumerate() {
        let Fault::Network(NetworkFault {
            name,
            effect,
            timing,
            recovery,
        }) = fault
        else {
            continue;
        };
        if let Timing::Scripted { at, duration } = *timing {
            let first = *scripted.entry(name).or_insert(place);
            if first == place && *recovery == Recovery::Manual {
                for at in recoveries(name) {
                    entries.push(Entry {
                        at,
                        target: place,
                        fault: name.clone(),
                        action: Action::Recover,
                    });
                }
            }
            let action = Action::Inject {
                kind: effect.kind(),
                duration,
                recovery: *recovery,
            };
            // What is alike shares a place, so that a recovery finds it.
            let target = if *recovery == Recovery::Manual {
                first
            } else {
                place
            };
            entries.push(Entry {
                at,
                target,
                fault: name.clone(),
                action,
            });
        } else {
            plan.faults.push(Spec {
                name: name.clone(),
                target: place,
                kind: effect.kind(),
                timing: timing.clone(),
                recovery: *recovery,
                recover_at: if *recovery == Recovery::Manual {
                    recoveries(name)
                } else {
                    Vec::new()
                },
            });
        }
    }
    let streams = Streams::with(scenario.seeds(), Source::Faults);
    let drawn = plan.draw(&streams, scenario.horizon)?;
    entries.extend(drawn.schedule.entries().iter().cloned());
    Ok(Schedule::new(entries)?)
}

/// Everything that acts on a link or a region, each at each of its targets.
fn laid_over(scenario: &Scenario, strikes: &Schedule<usize>) -> Result<Schedule<Target>, ChaosError> {
    let mut entries = Vec::new();
    let mut of: BTreeMap<usize, Vec<Target>> = BTreeMap::new();
    for entry in strikes.entries() {
        let targets = of.entry(entry.target).or_insert_with(|| {
            let fault = scenario.faults[entry.target].network();
            targets(scenario, &fault.expect("a fault of the network").effect)
        });
        if entries.len() + targets.len() > MOST_ENTRIES {
            return Err(ChaosError::TooMany { most: MOST_FAULTS });
        }
        for &target in &*targets {
            let (at, fault, action) = (entry.at, entry.fault.clone(), entry.action);
            entries.push(Entry {
                at,
                target,
                fault,
                action,
            });
        }
    }
    for (place, fault) in scenario.faults.iter().enumerate() {
        let (target, at, duration, kind) = match fault {
            Fault::LinkDown(down) => {
                let link = link_of(scenario, &down.from, &down.to).expect("the check found the link");
                let cut = Kind::Partition(Direction::Both);
                (Target::Link(link), down.at, down.duration, cut)
            }
            Fault::Kill(kill) => {
                let region = Target::Region(region_of(scenario, &kill.region));
                (region, kill.at, kill.duration, Kind::RegionOutage)
            }
            Fault::Pause(_) | Fault::Reset(_) | Fault::Network(_) | Fault::Recover(_) => continue,
        };
        let recovery = Recovery::Automatic;
        let action = Action::Inject {
            kind,
            duration,
            recovery,
        };
        // No name of the language has a space.
        entries.push(Entry {
            at,
            target,
            fault: format!("plain {place}"),
            action,
        });
    }
    Ok(Schedule::new(entries)?)
}

/// What a fault of the network acts on.
///
/// # Panics
/// If that does not exist.
pub fn targets(scenario: &Scenario, effect: &Effect) -> Vec<Target> {
    let link = |from: &str, to: &str| link_of(scenario, from, to).map(Target::Link);
    let both = |one: &str, other: &str| [link(one, other), link(other, one)];
    match effect {
        Effect::Partition { one, other, one_way } => {
            let set = |regions: &'_ [String]| regions.iter().cloned().collect::<BTreeSet<String>>();
            let (one, other) = (set(one), set(other));
            let links = scenario.links.iter().enumerate().filter(|(_, link)| {
                let there = one.contains(&link.from) && other.contains(&link.to);
                let back = other.contains(&link.from) && one.contains(&link.to);
                there || (back && !one_way)
            });
            links
                .map(|(index, _)| Target::Link(LinkId(index as u32)))
                .collect()
        }
        Effect::LinkLatency { ends, .. }
        | Effect::LinkLoss { ends, .. }
        | Effect::LinkBandwidth { ends, .. } => {
            let links = ends.directed().map(|(from, to)| link(from, to));
            links
                .map(|link| link.expect("the check found the link"))
                .collect()
        }
        Effect::RegionDown { region } => {
            let id = region_of(scenario, region);
            let links = scenario.links.iter().enumerate();
            let touching = links.filter(|(_, link)| link.from == *region || link.to == *region);
            let links = touching.map(|(index, _)| Target::Link(LinkId(index as u32)));
            [Target::Region(id)].into_iter().chain(links).collect()
        }
        Effect::Server { service, region, .. } => {
            let index = Service::place(&scenario.services, service);
            let place = scenario.services[index].server_in(region);
            vec![Target::Server(index, place)]
        }
        Effect::Names { client, .. } => {
            let index = scenario.clients.iter().position(|known| known.name == *client);
            vec![Target::Client(index.expect("the check found the client"))]
        }
        Effect::Disk {
            disk: DiskPlace::Cluster { federation, member },
            ..
        }
        | Effect::Clock {
            federation, member, ..
        } => vec![cluster(scenario, federation, member)],
        Effect::Disk {
            disk: DiskPlace::Replica { replication },
            ..
        } => {
            let mut replications = scenario.replications.iter();
            let index = replications.position(|known| known.name == *replication);
            vec![Target::Replica(index.expect("the check found the replication"))]
        }
        Effect::SharedRisk { links } => links
            .iter()
            .flat_map(|(one, other)| both(one, other))
            .flatten()
            .collect(),
    }
}

fn cluster(scenario: &Scenario, federation: &str, member: &str) -> Target {
    let mut federations = scenario.federations.iter();
    let index = federations.position(|known| known.name == *federation);
    let index = index.expect("the check found the federation");
    let members = &scenario.federations[index].members;
    let place = members.iter().position(|known| known == member);
    Target::Cluster(index, place.expect("the check found the member") as u32)
}

/// The clocks that a fault ever strikes.
fn wrong_clocks(
    scenario: &Scenario,
    strikes: &Schedule<usize>,
    overlay: &Overlay<Target>,
) -> BTreeMap<Target, Clocks> {
    let mut clocks = BTreeMap::new();
    for entry in strikes.entries() {
        let fault = scenario.faults[entry.target].network();
        if let Some(Effect::Clock {
            federation, member, ..
        }) = fault.map(|fault| &fault.effect)
        {
            let target = cluster(scenario, federation, member);
            clocks
                .entry(target)
                .or_insert_with(|| Clocks::of(overlay, &target));
        }
    }
    clocks
}

fn region_of(scenario: &Scenario, name: &str) -> RegionId {
    let index = scenario.regions.iter().position(|region| region.name == name);
    RegionId(index.expect("the check found the region") as u32)
}

/// When a target is down: beginnings and durations, in order and apart.
fn down(overlay: &Overlay<Target>, target: &Target) -> Vec<(Span, Option<Span>)> {
    let mut stretches = Vec::new();
    let mut since = None;
    for at in overlay.changes(target) {
        let is_down = overlay
            .effective(target, at, BitRate::from_bits_per_s(0))
            .is_silent();
        match (since, is_down) {
            (None, true) => since = Some(at),
            (Some(from), false) => {
                stretches.push((from, Some(at.saturating_sub(from))));
                since = None;
            }
            _ => {}
        }
    }
    stretches.extend(since.map(|from| (from, None)));
    stretches
}

/// The faults of the scenario, with those that were drawn in the place of each that is left to chance.
fn as_they_strike(scenario: &Scenario, strikes: &Schedule<usize>) -> Vec<Fault> {
    let mut faults = Vec::new();
    for (place, fault) in scenario.faults.iter().enumerate() {
        let drawn = match fault {
            Fault::Network(network) if network.scripted().is_none() => network,
            // Those of a fault that was drawn come with it: some may have found nothing to recover.
            Fault::Recover(recover) if is_drawn(scenario, &recover.fault) => continue,
            _ => {
                faults.push(fault.clone());
                continue;
            }
        };
        for entry in strikes.entries().iter().filter(|entry| entry.target == place) {
            let at = entry.at;
            faults.push(match entry.action {
                Action::Recover => Fault::Recover(RecoverFault {
                    fault: entry.fault.clone(),
                    at,
                }),
                Action::Inject { duration, .. } => Fault::Network(NetworkFault {
                    timing: Timing::Scripted { at, duration },
                    ..drawn.clone()
                }),
            });
        }
    }
    faults
}

fn is_drawn(scenario: &Scenario, name: &str) -> bool {
    let mut faults = scenario.faults.iter().filter_map(Fault::network);
    faults.any(|fault| fault.name == name && fault.scripted().is_none())
}

fn told(scenario: &Scenario, strikes: &Schedule<usize>) -> Vec<Told> {
    let mut told = Vec::new();
    for injection in strikes.injections() {
        let fault = scenario.faults[injection.target]
            .network()
            .expect("a fault of the network");
        let name = |target| match target {
            Target::Link(link) => scenario.links[link.0 as usize].name(),
            Target::Region(region) => scenario.regions[region.0 as usize].name.clone(),
            Target::Server(service, place) => {
                let service = &scenario.services[service];
                format!("{}/{}", service.name, service.replicas[place as usize])
            }
            Target::Client(client) => scenario.clients[client].name.clone(),
            Target::Cluster(federation, place) => {
                let Federation { name, members, .. } = &scenario.federations[federation];
                format!("{name}/{}", members[place as usize])
            }
            Target::Replica(replication) => scenario.replications[replication].name.clone(),
        };
        let names: Vec<String> = targets(scenario, &fault.effect).into_iter().map(name).collect();
        let mut tell = |at, kind, detail: serde_json::Value| {
            let (fault, detail) = (fault.name.clone(), detail.to_string());
            told.push(Told {
                at,
                fault,
                kind,
                detail,
            });
        };
        let kind = injection.kind.name();
        tell(
            injection.from,
            "FaultInjected",
            json!({ "kind": kind, "at": names, "what": injection.kind }),
        );
        if let (Recovery::Gradual(_), Some(until)) = (injection.recovery, injection.until) {
            tell(until, "FaultFades", json!({ "kind": kind }));
        }
        if let Some(gone) = injection.gone() {
            tell(gone, "FaultEnded", json!({ "kind": kind }));
        }
    }
    told.sort();
    told
}
