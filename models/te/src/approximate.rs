//! Nearly the least highest utilisation, in time that grows with destinations × links.
//!
//! Every demand is routed along the shortest path again and again, while links get longer exponentially in what they have
//! carried: N. Garg and J. Könemann, "Faster and simpler algorithms for multicommodity flow and other fractional packing
//! problems", FOCS 1998; all demands of one destination share a shortest-path tree as in L. K. Fleischer (SIAM J. Discrete
//! Math. 13, 2000) and G. Karakostas (ACM Trans. Algorithms 4, 2008). With steps of ε the average of all rounds comes within a
//! factor of (1 − ε)⁻³ of the optimum after about ln(links)/ε² rounds.
//!
//! The lengths also prove a bound after every round, so it ends as soon as the gap that was asked for is proved, long
//! before that. Averages over the last rounds alone are tried as well, since the first rounds know nothing yet.

use longhaul_routing::{Demands, Spf, Topology, next_hop};

use crate::TeError;
use crate::bound::{self, capacity};
use crate::exact::unroutable;
use crate::flows::{Flows, Optimum};

/// How hard to try.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Effort {
    /// The gap to the optimum that is good enough, such as 0.05.
    pub gap: f64,
    /// Rounds after which to stop in any case.
    pub rounds: u32,
}

impl Default for Effort {
    /// 5 %, 20,000 rounds.
    fn default() -> Effort {
        Effort {
            gap: 0.05,
            rounds: 20_000,
        }
    }
}

/// Routes all demands such that the highest utilisation of a link is nearly the least. [`Optimum::gap`] says how nearly;
/// it is at most what was asked for unless the rounds did not suffice.
///
/// # Errors
/// [`TeError::Unroutable`].
pub fn approximate_min_max(
    topology: &Topology,
    demands: &Demands,
    effort: &Effort,
) -> Result<Optimum, TeError> {
    let capacities: Vec<f64> = topology.links().map(|link| capacity(topology, link)).collect();
    // Without a price for length, links start as long as they are thin.
    let mut lengths: Vec<f64> = capacities
        .iter()
        .map(|rate| if *rate > 0.0 { 1.0 / rate } else { 0.0 })
        .collect();
    let step = (effort.gap / 3.0).clamp(1e-3, 0.2);
    let mut round = Round::new(topology, demands);
    let destinations = demands.destinations().count();
    let mut best = Optimum {
        flows: Flows::default(),
        value: f64::INFINITY,
        bound: 0.0,
    };
    if demands.is_empty() {
        return Ok(Optimum { value: 0.0, ..best });
    }
    let nothing = vec![vec![0.0; topology.link_count()]; destinations];
    // The average of the rounds since a power of two, and of those since the power before.
    let mut young = Average {
        rounds: 0,
        flows: nothing.clone(),
    };
    let mut old = Average {
        rounds: 0,
        flows: nothing,
    };
    let mut scale = f64::INFINITY;
    for number in 1..=effort.rounds.max(1) {
        let cost = round.run(
            &mut lengths,
            &capacities,
            step,
            scale,
            [&mut young.flows, &mut old.flows],
        )?;
        young.rounds += 1;
        old.rounds += 1;
        let worth: f64 = capacities
            .iter()
            .zip(&lengths)
            .map(|(rate, length)| rate * length)
            .sum();
        best.bound = best.bound.max(cost / worth);
        for average in [&young, &old] {
            let value = average.utilisation(&capacities);
            if value < best.value {
                best.value = value;
                scale = scale.min(value);
                // Copying flows is dear: it is done when they are good enough, or at the end of a window.
                if value <= best.bound * (1.0 + effort.gap)
                    || number == effort.rounds
                    || number.is_power_of_two()
                {
                    best.flows = average.flows(demands);
                }
            }
        }
        if best.value <= best.bound * (1.0 + effort.gap) {
            break;
        }
        if number.is_power_of_two() {
            std::mem::swap(&mut young, &mut old);
            young.rounds = 0;
            young.flows.iter_mut().flatten().for_each(|rate| *rate = 0.0);
        }
        // Only ratios of lengths matter.
        let longest = lengths.iter().copied().fold(0.0, f64::max);
        lengths.iter_mut().for_each(|length| *length /= longest);
    }
    // The best value may be of flows that were not copied; what is returned is what the flows attain.
    let busiest = best.flows.loads(topology).busiest(topology);
    best.value = busiest.map_or(0.0, |(_, utilisation)| utilisation);
    Ok(best)
}

/// The sum of the flows of some rounds.
struct Average {
    rounds: u32,
    /// By destination, by link.
    flows: Vec<Vec<f64>>,
}

impl Average {
    fn utilisation(&self, capacities: &[f64]) -> f64 {
        let mut loads = vec![0.0; capacities.len()];
        for flow in &self.flows {
            for (load, rate) in loads.iter_mut().zip(flow) {
                *load += rate;
            }
        }
        let used = loads.iter().zip(capacities).filter(|(load, _)| **load > 0.0);
        let highest = used.map(|(load, rate)| load / rate).fold(0.0, f64::max);
        highest / f64::from(self.rounds)
    }

    fn flows(&self, demands: &Demands) -> Flows {
        let part = 1.0 / f64::from(self.rounds);
        let destinations = demands.destinations().map(|(to, _)| to);
        let flows = self
            .flows
            .iter()
            .map(|flow| flow.iter().map(|rate| rate * part).collect());
        Flows {
            to: destinations.zip(flows).collect(),
        }
    }
}

/// Routes all demands once, with what it needs for that.
struct Round<'a> {
    topology: &'a Topology,
    demands: &'a Demands,
    spf: Spf,
    weights: Vec<u64>,
    passing: Vec<f64>,
    used: Vec<(usize, f64)>,
}

impl<'a> Round<'a> {
    fn new(topology: &'a Topology, demands: &'a Demands) -> Round<'a> {
        Round {
            topology,
            demands,
            spf: Spf::new(),
            weights: Vec::new(),
            passing: vec![0.0; topology.region_count()],
            used: Vec::new(),
        }
    }

    /// Routes every demand in pieces that fill no link beyond `scale` of its capacity at once. Returns the cost of the demands
    /// along the shortest paths that it met; as lengths only grow, it is at most that at the end.
    fn run(
        &mut self,
        lengths: &mut [f64],
        capacities: &[f64],
        step: f64,
        scale: f64,
        mut into: [&mut Vec<Vec<f64>>; 2],
    ) -> Result<f64, TeError> {
        let mut sum = 0.0;
        for (place, (to, sources)) in self.demands.destinations().enumerate() {
            let mut left = 1.0;
            while left > 0.0 {
                let unit = bound::weights(self.topology, lengths, &mut self.weights);
                self.spf.run(self.topology, &self.weights, to);
                let distances = self.spf.distances();
                self.passing.fill(0.0);
                for (from, rate) in sources {
                    if !distances[from.index()].is_finite() {
                        return Err(unroutable(self.topology, *from, to));
                    }
                    self.passing[from.index()] += rate;
                    if left == 1.0 {
                        sum += rate * (distances[from.index()].weight() as f64 / unit);
                    }
                }
                self.used.clear();
                let mut part: f64 = left;
                for &here in self.spf.order().iter().rev() {
                    let rate = self.passing[here.index()];
                    if rate == 0.0 || here == to {
                        continue;
                    }
                    let link = next_hop(self.topology, &self.weights, distances, here).expect("a way on");
                    self.passing[self.topology.link(link).to.index()] += rate;
                    self.used.push((link.index(), rate));
                    part = part.min(scale.min(1e300) * capacities[link.index()] / rate);
                }
                for &(link, rate) in &self.used {
                    let rate = rate * part;
                    into.iter_mut().for_each(|flows| flows[place][link] += rate);
                    let filled = rate / (capacities[link] * scale);
                    lengths[link] *= 1.0 + step * filled;
                }
                left = if part >= left { 0.0 } else { left - part };
            }
        }
        Ok(sum)
    }
}
