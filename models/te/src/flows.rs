//! Rates on links by destination: what all paths to one region carry together. Much smaller than a list of paths, and as
//! good: it can be taken apart into paths.

use std::collections::BTreeMap;

use longhaul_routing::{Demands, LinkId, Loads, RegionId, Topology};

use crate::allocation::Allocation;

/// Below this part of the largest rate to a destination, a rate is rounding.
const NOISE: f64 = 1e-9;

/// Rates on links, by destination.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Flows {
    /// bit/s by link.
    pub(crate) to: BTreeMap<RegionId, Vec<f64>>,
}

/// A solution and a bound that none can beat.
#[derive(Clone, PartialEq, Debug)]
pub struct Optimum {
    /// What each link carries for each destination.
    pub flows: Flows,
    /// What the solution attains: the highest utilisation, or the rate that is delivered in bit/s.
    pub value: f64,
    /// What no solution can beat: a lower bound of the utilisation, an upper bound of the rate.
    pub bound: f64,
}

impl Optimum {
    /// How far the solution may be from the optimum at most, as a part of the better of the two: 0 is optimal.
    pub fn gap(&self) -> f64 {
        let (low, high) = (self.value.min(self.bound), self.value.max(self.bound));
        if high == low { 0.0 } else { high / low - 1.0 }
    }
}

impl Flows {
    /// What the links carry in all.
    pub fn loads(&self, topology: &Topology) -> Loads {
        let mut loads = Loads::none(topology);
        for flow in self.to.values() {
            for (load, rate) in loads.by_link.iter_mut().zip(flow) {
                *load += rate;
            }
        }
        loads
    }

    /// The rate that a region sends to another: what leaves it less what passes through.
    pub fn rate(&self, topology: &Topology, from: RegionId, to: RegionId) -> f64 {
        let Some(flow) = self.to.get(&to) else {
            return 0.0;
        };
        let sum =
            |links: &[(RegionId, LinkId)]| -> f64 { links.iter().map(|(_, link)| flow[link.index()]).sum() };
        sum(topology.leaving(from)) - sum(topology.arriving(from))
    }

    /// The same without flow that goes round in circles.
    pub(crate) fn without_circles(mut self, topology: &Topology) -> Flows {
        for (to, flow) in &mut self.to {
            let noise = noise(flow);
            cancel_circles(topology, flow, *to, noise);
        }
        self
    }

    /// Takes the flows apart into paths that carry exactly the demands, each path in proportion to the flow that was found
    /// along it. Flow that goes round in circles carries nothing and is dropped.
    ///
    /// A demand without any flow gets no path.
    pub fn paths(&self, topology: &Topology, demands: &Demands) -> Allocation {
        let mut allocation = Allocation::new();
        for (to, sources) in demands.destinations() {
            let Some(flow) = self.to.get(&to) else {
                continue;
            };
            let mut left = flow.clone();
            let noise = noise(flow);
            cancel_circles(topology, &mut left, to, noise);
            for (&from, &amount) in sources {
                let mut shares = peel(topology, &mut left, from, to, amount, noise);
                let found: f64 = shares.iter().map(|(_, rate)| rate).sum();
                for (links, rate) in &mut shares {
                    allocation.add(from, to, std::mem::take(links), *rate / found * amount);
                }
            }
        }
        allocation
    }
}

/// What is rounding in this flow.
fn noise(flow: &[f64]) -> f64 {
    flow.iter().copied().fold(0.0, f64::max) * NOISE
}

/// Takes `amount` out of the flow, path by path, each along the links with the most flow left.
fn peel(
    topology: &Topology,
    left: &mut [f64],
    from: RegionId,
    to: RegionId,
    amount: f64,
    noise: f64,
) -> Vec<(Vec<LinkId>, f64)> {
    let mut shares = Vec::new();
    let mut missing = amount;
    while missing > noise {
        let mut here = from;
        let mut links = Vec::new();
        let mut rate = missing;
        while here != to && links.len() < topology.region_count() {
            let leaving = topology.leaving(here).iter();
            let most = leaving.map(|(far, link)| (left[link.index()], *far, *link));
            let most = most.max_by(|a, b| a.0.total_cmp(&b.0).then(b.2.cmp(&a.2)));
            match most {
                Some((flow, far, link)) if flow > noise => {
                    rate = rate.min(flow);
                    links.push(link);
                    here = far;
                }
                _ => break,
            }
        }
        if here != to {
            break;
        }
        for link in &links {
            left[link.index()] -= rate;
        }
        missing -= rate;
        shares.push((links, rate));
    }
    shares
}

/// Removes flow that goes round in circles: a walk along links with flow either ends or closes a circle, whose smallest
/// rate is taken off.
fn cancel_circles(topology: &Topology, left: &mut [f64], to: RegionId, noise: f64) {
    /// Place on the walk, or one of these.
    const NEW: usize = usize::MAX;
    const DONE: usize = usize::MAX - 1;
    let mut place = vec![NEW; topology.region_count()];
    place[to.index()] = DONE;
    let next = |left: &[f64], place: &[usize], here: RegionId| {
        let mut leaving = topology.leaving(here).iter();
        leaving
            .find(|(far, link)| left[link.index()] > noise && place[far.index()] != DONE)
            .copied()
    };
    for start in topology.regions() {
        let mut walk: Vec<LinkId> = Vec::new();
        let mut here = start;
        if place[here.index()] == NEW {
            place[here.index()] = 0;
        } else {
            continue;
        }
        loop {
            let Some((far, link)) = next(left, &place, here) else {
                place[here.index()] = DONE;
                let Some(back) = walk.pop() else {
                    break;
                };
                here = topology.link(back).from;
                continue;
            };
            walk.push(link);
            let known = place[far.index()];
            if known == NEW {
                place[far.index()] = walk.len();
                here = far;
                continue;
            }
            let circle = walk.split_off(known);
            let least = circle
                .iter()
                .map(|link| left[link.index()])
                .fold(f64::MAX, f64::min);
            for link in &circle {
                let rate = &mut left[link.index()];
                *rate = if *rate <= least { 0.0 } else { *rate - least };
                let end = topology.link(*link).to;
                if end != far {
                    place[end.index()] = NEW;
                }
            }
            here = far;
        }
    }
}
