//! Where faults may strike in a scenario, and the faults of a schedule in its language.

use longhaul_chaos::{Action, Candidate, Direction, Impact, Kind, Schedule};
use longhaul_core::time::Span;
use longhaul_core::units::{BitRate, Probability};

use crate::schema::{Effect, Ends, Fault, NetworkFault, Objective, Rate, Scenario, Timing};

/// A class of faults that may take part.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum FaultClass {
    /// A link takes up to two seconds longer.
    Latency,
    /// A link loses up to half of what it carries.
    Loss,
    /// A link carries down to 1 Mbit/s.
    Bandwidth,
    /// Both directions between two regions are down.
    Cut,
    /// One direction between two regions is down.
    OneWay,
    /// A region is cut off from all others.
    Isolation,
    /// A region is without power.
    Region,
}

impl FaultClass {
    /// All of them.
    pub const ALL: [FaultClass; 7] = [
        FaultClass::Latency,
        FaultClass::Loss,
        FaultClass::Bandwidth,
        FaultClass::Cut,
        FaultClass::OneWay,
        FaultClass::Isolation,
        FaultClass::Region,
    ];

    /// Its name; the random stream of its swarm has the same.
    pub fn name(self) -> &'static str {
        match self {
            FaultClass::Latency => "latency",
            FaultClass::Loss => "loss",
            FaultClass::Bandwidth => "bandwidth",
            FaultClass::Cut => "cut",
            FaultClass::OneWay => "one-way",
            FaultClass::Isolation => "isolation",
            FaultClass::Region => "region",
        }
    }

    fn strongest(self) -> Kind {
        let critical = Impact::Critical.magnitudes();
        match self {
            FaultClass::Latency => critical.latency(),
            FaultClass::Loss => critical.loss(),
            FaultClass::Bandwidth => critical.bandwidth(),
            FaultClass::Cut | FaultClass::Isolation => Kind::Partition(Direction::Both),
            FaultClass::OneWay => Kind::Partition(Direction::Outbound),
            FaultClass::Region => Kind::RegionOutage,
        }
    }
}

/// Where a fault of a class strikes: a directed link or a region, by its index.
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
        let targets: Vec<Place> = match class {
            FaultClass::Isolation | FaultClass::Region => (0..scenario.regions.len()).map(place).collect(),
            _ => (0..scenario.links.len())
                .filter(|&link| may_strike(scenario, class, link))
                .map(place)
                .collect(),
        };
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

/// What the check of a scenario would refuse is left out.
fn may_strike(scenario: &Scenario, class: FaultClass, link: usize) -> bool {
    let rate = &scenario.links[link].rate;
    match class {
        FaultClass::Latency | FaultClass::Loss => !matches!(rate, Rate::Recorded { .. }),
        FaultClass::Bandwidth => rate.constant().is_some() && scenario.routing.objective != Objective::Widest,
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
    for entry in schedule.entries() {
        let Action::Inject {
            kind,
            duration,
            recovery,
        } = entry.action
        else {
            continue;
        };
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
        _ => return None,
    })
}
