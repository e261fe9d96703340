//! What every failure of one or two links would do to the demands of a scenario, without simulating.
//!
//! Demands are what the scenario states as such, what is reserved, and its streams of datagrams; transfers take what is
//! left and have no rate of their own. All go by routes that are equally good in equal parts (equal-cost multipath).

use longhaul_core::what_if::{ImpactRecord, OptimumRecord, WHAT_IF_FORMAT, WhatIfRecord};
use longhaul_routing::{Demands, Metric, Objective, Split, Topology};
use longhaul_te::{Effort, Impact, TeError, WhatIf, approximate_min_max, min_max_utilisation};
use thiserror::Error;

use crate::planning::Planning;
use crate::schema::Scenario;

/// Why there is no answer.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum WhatIfError {
    /// Nothing has a rate.
    #[error(
        "the scenario has no demands, reservations or streams of datagrams: nothing has a rate that links must bear"
    )]
    NoDemand,
    /// Routes that are not shortest paths.
    #[error("routing.objective: what-if follows LowestLatency and LowestCost")]
    Objective,
    /// A rate that varies.
    #[error("the rate of `{0}` varies: what-if weighs demands against constant rates")]
    Varies(String),
}

/// What every failure of at most `at_once` links would do, and how good the routes of the whole network are.
///
/// # Errors
/// [`WhatIfError`]
///
/// # Panics
/// If `at_once` is neither 1 nor 2.
pub fn what_if(scenario: &Scenario, at_once: usize) -> Result<WhatIfRecord, WhatIfError> {
    assert!((1..=2).contains(&at_once), "one or two failures at once");
    let (metric, weighed) = match scenario.routing.objective {
        Objective::Latency => (Metric::Latency, "latency"),
        Objective::Cost => (Metric::Cost, "cost"),
        _ => return Err(WhatIfError::Objective),
    };
    let mut links = scenario.links.iter();
    if let Some(link) = links.find(|link| link.rate.constant().is_none() || !link.changes.is_empty()) {
        return Err(WhatIfError::Varies(link.name()));
    }
    let planning = Planning::of(scenario);
    let demands = demands(scenario, &planning);
    if demands.is_empty() {
        return Err(WhatIfError::NoDemand);
    }
    let topology = planning.without_background();
    let mut what_if = WhatIf::new(&topology, metric, &demands, Split::PerRegion);
    let whole = record(scenario, &planning, &what_if.fail(&[]));
    let mut impacts = what_if.singles();
    let failures = impacts.len() as u64;
    if at_once == 2 {
        impacts.extend(what_if.doubles());
        longhaul_te::worst_first(&mut impacts);
    }
    Ok(WhatIfRecord {
        format: WHAT_IF_FORMAT,
        scenario: scenario.name.clone(),
        demands: demands.len() as u64,
        demand_bits_per_s: demands.total() as u64,
        failures,
        at_once: at_once as u64,
        metric: weighed.to_owned(),
        whole,
        optimum: optimum(&topology, &demands),
        after: impacts
            .iter()
            .map(|impact| record(scenario, &planning, impact))
            .collect(),
    })
}

/// Everything that has a rate.
fn demands(scenario: &Scenario, planning: &Planning) -> Demands {
    let mut demands = planning.demands(scenario);
    let region = |name: &str| planning.topology.region(name).expect("a region of the scenario");
    for it in &scenario.reservations {
        demands.add(region(&it.from), region(&it.to), it.rate.as_bits_per_s() as f64);
    }
    for it in &scenario.datagrams {
        let bits = (u64::from(it.payload_bytes) + HEADERS) * 8;
        let rate = bits as f64 * 1e9 / it.interval.as_ns() as f64;
        demands.add(region(&it.from), region(&it.to), rate);
    }
    demands
}

/// UDP, IPv4 and Ethernet.
const HEADERS: u64 = 8 + 20 + 14;

/// The best that can be: by the linear program, or nearly where that is too large.
fn optimum(topology: &Topology, demands: &Demands) -> Option<OptimumRecord> {
    let (found, method) = match min_max_utilisation(topology, demands) {
        Err(TeError::TooLarge(_)) => (
            approximate_min_max(topology, demands, &Effort::default()),
            "approximation",
        ),
        found => (found, "linear program"),
    };
    let found = found.ok()?;
    Some(OptimumRecord {
        utilisation_ppm: ppm(found.value),
        bound_ppm: ppm(found.bound),
        method: method.to_owned(),
    })
}

fn record(scenario: &Scenario, planning: &Planning, impact: &Impact) -> ImpactRecord {
    let names = impact
        .down
        .iter()
        .map(|group| planning.group_name(*group).to_owned());
    ImpactRecord {
        down: names.collect(),
        unrouted_bits_per_s: impact.unrouted as u64,
        utilisation_ppm: ppm(impact.utilisation),
        busiest: impact
            .busiest
            .map(|link| scenario.links[planning.place(link)].name()),
    }
}

/// Millionths, rounded.
fn ppm(share: f64) -> u64 {
    // Rounded: no share is negative.
    (share * 1e6 + 0.5) as u64
}
