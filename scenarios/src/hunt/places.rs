//! Where faults may strike in a scenario, and the faults of a schedule in its language.

use std::collections::BTreeMap;

use longhaul_chaos::{Action, Candidate, Impact, Kind, Schedule};
use longhaul_core::time::Span;
use longhaul_core::units::{BitRate, ByteSize, Probability};

use super::classes::FaultClass;
use crate::schema::{
    Client, DiskPlace, DiskSuffering, Effect, Ends, Fault, Federation, NetworkFault, Objective, Pause, Rate,
    Scenario, Service, Suffering, Timing, WrongAnswer, WrongClock,
};

/// Where a fault of a class strikes: a directed link, a region, a server, a client, a disk or a cluster, by its index.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Place {
    class: FaultClass,
    index: usize,
}

/// What may strike, and where.
pub fn candidates(scenario: &Scenario, classes: &[FaultClass]) -> Vec<Candidate<Place>> {
    let asked = |class: &FaultClass| classes.is_empty() || classes.contains(class);
    let candidate = |class: FaultClass| {
        let place = |index| Place { class, index };
        let all = match class {
            FaultClass::Latency
            | FaultClass::Loss
            | FaultClass::Bandwidth
            | FaultClass::Cut
            | FaultClass::OneWay => scenario.links.len(),
            FaultClass::Isolation | FaultClass::Region | FaultClass::Pause => scenario.regions.len(),
            FaultClass::Cpu
            | FaultClass::Errors
            | FaultClass::ServerLatency
            | FaultClass::Crash
            | FaultClass::Panics
            | FaultClass::Gray
            | FaultClass::Silence
            | FaultClass::Leak
            | FaultClass::Memory => servers(scenario).count(),
            FaultClass::BlackHole | FaultClass::NoName => scenario.clients.len(),
            FaultClass::DiskSlow | FaultClass::DiskFull | FaultClass::DiskFailed => disks(scenario).count(),
            FaultClass::ClockAhead
            | FaultClass::ClockBehind
            | FaultClass::ClockFast
            | FaultClass::ClockSlow => clusters(scenario).count(),
        };
        let may_strike = |index: &usize| may_strike(scenario, class, *index);
        let targets: Vec<Place> = (0..all).filter(may_strike).map(place).collect();
        Candidate {
            name: class.name().to_owned(),
            targets,
            strongest: class.strongest(),
            normal: Impact::NORMAL_RATE,
        }
    };
    let candidates = FaultClass::ALL.into_iter().filter(asked).map(candidate);
    candidates
        .filter(|candidate| !candidate.targets.is_empty())
        .collect()
}

/// All servers: each service in each of its regions.
fn servers(scenario: &Scenario) -> impl Iterator<Item = (&Service, &String)> {
    let of = |service| move |region| (service, region);
    let services = scenario.services.iter();
    services.flat_map(move |service: &Service| service.replicas.iter().map(of(service)))
}

/// All clusters: each federation in each of its regions.
fn clusters(scenario: &Scenario) -> impl Iterator<Item = (&Federation, &String)> {
    let of = |federation| move |member| (federation, member);
    let federations = scenario.federations.iter();
    federations.flat_map(move |federation: &Federation| federation.members.iter().map(of(federation)))
}

/// All disks, and whether anything takes time on each: those of clusters, and those that replications write to.
fn disks(scenario: &Scenario) -> impl Iterator<Item = (DiskPlace, bool)> {
    let of_clusters = clusters(scenario).map(|(federation, member)| {
        let disk = DiskPlace::Cluster {
            federation: federation.name.clone(),
            member: member.clone(),
        };
        (disk, federation.settings.writes_take_time())
    });
    let with_disk = scenario
        .replications
        .iter()
        .filter(|replication| replication.write_rate.is_some());
    let of_replicas = with_disk.map(|replication| {
        let replication = replication.name.clone();
        (DiskPlace::Replica { replication }, true)
    });
    of_clusters.chain(of_replicas)
}

/// What the check of a scenario would refuse is left out.
fn may_strike(scenario: &Scenario, class: FaultClass, index: usize) -> bool {
    let rate = || &scenario.links[index].rate;
    match class {
        FaultClass::Latency | FaultClass::Loss => !matches!(rate(), Rate::Recorded { .. }),
        FaultClass::Bandwidth => {
            rate().constant().is_some() && scenario.routing.objective != Objective::Widest
        }
        FaultClass::Pause => {
            let region = &scenario.regions[index].name;
            let stops = |fault: &Fault| match fault {
                Fault::Pause(pause) => pause.region == *region,
                Fault::Kill(kill) => kill.region == *region,
                _ => false,
            };
            !scenario.faults.iter().any(stops)
        }
        FaultClass::BlackHole | FaultClass::NoName => {
            let client: &Client = &scenario.clients[index];
            client.options.service.names.is_some()
        }
        FaultClass::DiskSlow => disks(scenario)
            .nth(index)
            .is_some_and(|(_, takes_time)| takes_time),
        _ => true,
    }
}

/// The faults of a schedule, each with a name of its own.
pub fn faults_of(scenario: &Scenario, schedule: &Schedule<Place>) -> Vec<Fault> {
    let taken = |name: &String| {
        scenario
            .faults
            .iter()
            .filter_map(Fault::network)
            .any(|fault| fault.name == *name)
    };
    let mut names = (1..)
        .map(|number: u32| format!("hunted-{number}"))
        .filter(|name| !taken(name));
    let mut faults = Vec::new();
    // Until when each region stands still: what stands still cannot stop.
    let mut still: BTreeMap<usize, Option<Span>> = BTreeMap::new();
    for entry in schedule.entries() {
        let Action::Inject {
            kind,
            duration,
            recovery,
        } = entry.action
        else {
            continue;
        };
        let Place { class, index } = entry.target;
        if class == FaultClass::Pause {
            let goes_on = duration.map(|duration| entry.at.saturating_add(duration));
            let stands = |until: &Option<Span>| until.is_none_or(|until| entry.at <= until);
            if !still.get(&index).is_some_and(stands) {
                still.insert(index, goes_on);
                faults.push(Fault::Pause(Pause {
                    region: scenario.regions[index].name.clone(),
                    at: entry.at,
                    duration,
                }));
            }
            continue;
        }
        let Some(effect) = effect(scenario, entry.target, &kind) else {
            continue;
        };
        faults.push(Fault::Network(NetworkFault {
            name: names.next().unwrap_or_default(),
            effect,
            timing: Timing::Scripted {
                at: entry.at,
                duration,
            },
            recovery,
        }));
    }
    faults
}

/// None of a region that is the only one: nothing can cut it off.
fn effect(scenario: &Scenario, place: Place, kind: &Kind) -> Option<Effect> {
    let ends = || {
        let link = &scenario.links[place.index];
        Ends {
            from: link.from.clone(),
            to: link.to.clone(),
            both: false,
        }
    };
    let server = |suffers| {
        let (service, region) = servers(scenario)
            .nth(place.index)
            .expect("a server of the scenario");
        Effect::Server {
            service: service.name.clone(),
            region: region.clone(),
            suffers,
        }
    };
    let disk = |suffers| {
        let (disk, _) = disks(scenario).nth(place.index).expect("a disk of the scenario");
        Effect::Disk { disk, suffers }
    };
    let clock = |wrong| {
        let (federation, member) = clusters(scenario)
            .nth(place.index)
            .expect("a cluster of the scenario");
        Effect::Clock {
            federation: federation.name.clone(),
            member: member.clone(),
            wrong,
        }
    };
    let skew = |ns: i64| Span::from_ns(ns.unsigned_abs());
    let names = |answer| Effect::Names {
        client: scenario.clients[place.index].name.clone(),
        answer,
    };
    Some(match (place.class, *kind) {
        (FaultClass::Latency, Kind::Latency { extra, .. }) => Effect::LinkLatency {
            ends: ends(),
            extra: extra.max(Span::from_ns(1)),
        },
        (FaultClass::Loss, Kind::Loss { probability }) => Effect::LinkLoss {
            ends: ends(),
            probability: probability.max(Probability::from_parts(1)?),
        },
        (FaultClass::Bandwidth, Kind::Bandwidth { rate }) => Effect::LinkBandwidth {
            ends: ends(),
            rate: rate.max(BitRate::from_bits_per_s(1)),
        },
        (FaultClass::Cut | FaultClass::OneWay, _) => {
            let Ends { from, to, .. } = ends();
            Effect::Partition {
                one: vec![from],
                other: vec![to],
                one_way: place.class == FaultClass::OneWay,
            }
        }
        (FaultClass::Isolation, _) => {
            let name = &scenario.regions[place.index].name;
            let others = scenario
                .regions
                .iter()
                .map(|region| &region.name)
                .filter(|other| *other != name);
            let touched = |link: &crate::schema::Link| link.from == *name || link.to == *name;
            if !scenario.links.iter().any(touched) {
                return None;
            }
            Effect::Partition {
                one: vec![name.clone()],
                other: others.cloned().collect(),
                one_way: false,
            }
        }
        (FaultClass::Region, _) => Effect::RegionDown {
            region: scenario.regions[place.index].name.clone(),
        },
        (FaultClass::Cpu, Kind::CpuStarvation { share }) => server(Suffering::Cpu(share)),
        (FaultClass::Errors, Kind::Errors { probability }) => server(Suffering::Errors(probability)),
        (FaultClass::ServerLatency, Kind::Latency { extra, .. }) => {
            server(Suffering::Latency(extra.max(Span::from_ns(1))))
        }
        (FaultClass::Crash, _) => server(Suffering::Crash),
        (FaultClass::Panics, Kind::Panics { probability }) => server(Suffering::Panics(probability)),
        (FaultClass::Gray, Kind::Gray { probability, extra }) => server(Suffering::Gray {
            errors: probability,
            extra,
        }),
        (FaultClass::Silence, Kind::Timeouts { probability, .. }) => server(Suffering::Silence(probability)),
        (FaultClass::Leak, Kind::Leak { bytes_per_s }) => {
            server(Suffering::Leak(ByteSize::from_bytes(bytes_per_s)))
        }
        (FaultClass::Memory, Kind::MemoryPressure { share }) => server(Suffering::Memory(share)),
        (FaultClass::DiskSlow, Kind::DiskSlow { slowdown }) => disk(DiskSuffering::Slow(slowdown)),
        (FaultClass::DiskFull, _) => disk(DiskSuffering::Full),
        (FaultClass::DiskFailed, _) => disk(DiskSuffering::Failed),
        (FaultClass::ClockAhead, Kind::ClockSkew { ns }) => clock(WrongClock::Ahead(skew(ns))),
        (FaultClass::ClockBehind, Kind::ClockSkew { ns }) => clock(WrongClock::Behind(skew(ns))),
        (FaultClass::ClockFast | FaultClass::ClockSlow, Kind::ClockDrift { ppb }) => {
            clock(WrongClock::Drift { ppb })
        }
        (FaultClass::BlackHole, _) => names(WrongAnswer::BlackHole),
        (FaultClass::NoName, _) => names(WrongAnswer::Failed),
        _ => return None,
    })
}
