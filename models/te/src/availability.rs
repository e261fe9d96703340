//! What of the demand is delivered when something has failed, and for what share of the time how much.
//!
//! Senders adapt to what they get, as TCP does: nobody sends into a link that is full. Each pair splits its traffic over its
//! paths as its routing says, and rates rise together until links are full (max–min fairness of the delivered parts).

use longhaul_routing::{Demands, LinkId, Metric, RegionId, Spf, Topology, UNUSABLE, equal_next_hops};

use crate::allocation::Allocation;
use crate::bound::capacity;
use crate::failure::Scenarios;

/// How traffic finds its way.
#[derive(Clone, Copy, Debug)]
pub enum Delivered<'a> {
    /// Over the tunnels that are left, in proportion to the rates set aside on them. These are guaranteed; beyond them
    /// pairs share what is free.
    Tunnels(&'a Allocation),
    /// Over all shortest paths in this metric that are left, evenly at every region.
    EqualCost(Metric),
}

/// What is delivered in one scenario.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Outcome {
    /// Probability of the scenario.
    pub probability: f64,
    /// Part of the total demand that is delivered.
    pub delivered: f64,
}

/// The part of the total demand that is delivered while these links are down; 1 if there is no demand.
pub fn delivered(topology: &Topology, demands: &Demands, routing: Delivered, down: &[LinkId]) -> f64 {
    let mut capacities: Vec<f64> = topology.links().map(|link| capacity(topology, link)).collect();
    for link in down {
        capacities[link.index()] = 0.0;
    }
    let pairs: Vec<Offer> = match routing {
        Delivered::Tunnels(allocation) => demands
            .iter()
            .map(|(from, to, rate)| over_tunnels(allocation, &capacities, from, to, rate))
            .collect(),
        Delivered::EqualCost(metric) => over_equal_cost(topology, demands, &capacities, metric),
    };
    let total: f64 = pairs.iter().map(|pair| pair.demand).sum();
    if total == 0.0 {
        return 1.0;
    }
    let parts = fill(&mut capacities, &pairs);
    let sum: f64 = pairs
        .iter()
        .zip(parts)
        .map(|(pair, part)| pair.demand * part)
        .sum();
    sum / total
}

/// What is delivered in every scenario.
pub fn availability(
    topology: &Topology,
    demands: &Demands,
    routing: Delivered,
    scenarios: &Scenarios,
) -> Vec<Outcome> {
    let outcome = |scenario: &crate::Scenario| Outcome {
        probability: scenario.probability,
        delivered: delivered(topology, demands, routing, &scenario.links(topology)),
    };
    scenarios.iter().map(outcome).collect()
}

/// The largest part of the demand that is delivered with at least this probability; 0 if the outcomes cover less.
pub fn throughput_at(outcomes: &[Outcome], probability: f64) -> f64 {
    let mut best: Vec<Outcome> = outcomes.to_vec();
    best.sort_by(|a, b| b.delivered.total_cmp(&a.delivered));
    let mut sum = 0.0;
    for outcome in best {
        sum += outcome.probability;
        if sum >= probability {
            return outcome.delivered;
        }
    }
    0.0
}

/// What a pair would send over each link if all of its demand were delivered.
struct Offer {
    demand: f64,
    loads: Vec<(LinkId, f64)>,
    /// The part that it may send in any case.
    guaranteed: f64,
    /// The most that it can send, if it has a path at all.
    most: f64,
}

fn over_tunnels(
    allocation: &Allocation,
    capacities: &[f64],
    from: RegionId,
    to: RegionId,
    demand: f64,
) -> Offer {
    let shares = allocation.shares(from, to).iter();
    let left = shares.filter(|share| share.links.iter().all(|link| capacities[link.index()] > 0.0));
    let left: Vec<_> = left.collect();
    let rate: f64 = left.iter().map(|share| share.rate).sum();
    let mut loads: std::collections::BTreeMap<LinkId, f64> = std::collections::BTreeMap::new();
    for share in &left {
        for link in &share.links {
            *loads.entry(*link).or_default() += share.rate / rate * demand;
        }
    }
    Offer {
        demand,
        loads: loads.into_iter().collect(),
        guaranteed: (rate / demand).min(1.0),
        most: if left.is_empty() { 0.0 } else { 1.0 },
    }
}

fn over_equal_cost(topology: &Topology, demands: &Demands, capacities: &[f64], metric: Metric) -> Vec<Offer> {
    let weights: Vec<u64> = topology
        .weights(metric)
        .iter()
        .zip(capacities)
        .map(|(weight, rate)| if *rate > 0.0 { *weight } else { UNUSABLE })
        .collect();
    let mut spf = Spf::new();
    let mut offers = Vec::new();
    let mut passing = vec![0.0; topology.region_count()];
    for (to, sources) in demands.destinations() {
        spf.run(topology, &weights, to);
        let (distances, order) = spf.ordered();
        for (&from, &demand) in sources {
            passing.fill(0.0);
            passing[from.index()] = demand;
            let mut loads = Vec::new();
            for &here in order.iter().rev() {
                let rate = passing[here.index()];
                if rate == 0.0 || here == to {
                    continue;
                }
                let hops = equal_next_hops(topology, &weights, distances, here);
                let hops: Vec<(RegionId, LinkId)> = hops.collect();
                for (far, link) in &hops {
                    loads.push((*link, rate / hops.len() as f64));
                    passing[far.index()] += rate / hops.len() as f64;
                }
            }
            offers.push(Offer {
                demand,
                guaranteed: 0.0,
                most: if loads.is_empty() { 0.0 } else { 1.0 },
                loads,
            });
        }
    }
    offers
}

/// The part that each pair gets: what is guaranteed, then all rise by the same until a link is full, which stops those that
/// cross it, and so on.
fn fill(free: &mut [f64], pairs: &[Offer]) -> Vec<f64> {
    /// Below this part of its capacity a link counts as full.
    const FULL: f64 = 1e-12;
    let full: Vec<f64> = free.iter().map(|rate| rate * FULL).collect();
    let mut parts: Vec<f64> = pairs.iter().map(|pair| pair.guaranteed.min(pair.most)).collect();
    for (pair, part) in pairs.iter().zip(&parts) {
        for (link, rate) in &pair.loads {
            free[link.index()] -= rate * part;
        }
    }
    let mut rising: Vec<usize> = (0..pairs.len())
        .filter(|pair| parts[*pair] < pairs[*pair].most)
        .collect();
    while !rising.is_empty() {
        rising.retain(|pair| {
            let open = |(link, _): &(LinkId, f64)| free[link.index()] > full[link.index()];
            parts[*pair] < pairs[*pair].most && pairs[*pair].loads.iter().all(open)
        });
        let mut slope = vec![0.0; free.len()];
        let mut rise = f64::INFINITY;
        for pair in &rising {
            rise = rise.min(pairs[*pair].most - parts[*pair]);
            for (link, rate) in &pairs[*pair].loads {
                slope[link.index()] += rate;
            }
        }
        let limits = free.iter().zip(&slope).filter(|(_, slope)| **slope > 0.0);
        rise = limits.map(|(free, slope)| free / slope).fold(rise, f64::min);
        for pair in &rising {
            let part = parts[*pair] + rise;
            // The last step ends at the most exactly, or it would not end.
            parts[*pair] = if pairs[*pair].most - part < 1e-12 {
                pairs[*pair].most
            } else {
                part
            };
        }
        for (link, slope) in slope.iter().enumerate().filter(|(_, slope)| **slope > 0.0) {
            let left = free[link] - slope * rise;
            free[link] = if left < full[link] { 0.0 } else { left };
        }
    }
    parts
}
