//! Nearly the most that can be delivered, in time that grows with the number of demands and not with that of paths.
//!
//! Links and demands have prices that grow exponentially with what they have carried, and rates are added on paths whose
//! price is within 1 + ε of the least: N. Garg and J. Könemann (FOCS 1998), with one threshold for all demands instead of
//! the exact minimum (L. K. Fleischer, SIAM J. Discrete Math. 13, 2000). With steps of ε the result comes within a factor of
//! (1 − ε)⁻³ of the optimum. Prices prove a bound all along, and it ends when the gap that was asked for is proved.

use longhaul_routing::{Demands, LinkId, RegionId, Spf, Topology, UNUSABLE, next_hop};

use crate::approximate::Effort;
use crate::bound::{self, capacity};
use crate::exact::reachable;
use crate::flows::{Flows, Optimum};

/// Delivers nearly as much of the demands as the links can carry. [`Optimum::gap`] says how nearly; a round is one pass over all
/// destinations. Demands without a path get nothing.
pub fn approximate_max_flow(topology: &Topology, demands: &Demands, effort: &Effort) -> Optimum {
    let served = reachable(topology, demands);
    let step = (effort.gap / 3.0).clamp(1e-3, 0.2);
    let mut packing = Packing::new(topology, &served, step);
    let mut best = Optimum {
        flows: Flows::default(),
        value: 0.0,
        bound: served.total(),
    };
    let mut check = 1;
    for number in 1..=effort.rounds.max(1) {
        packing.round();
        packing.threshold *= 1.0 + step;
        // A look at how good it is costs as much as a few rounds.
        if number < check && number < effort.rounds {
            continue;
        }
        check = number + number / 8 + 1;
        let bound = packing.bound();
        best.bound = best.bound.min(bound);
        let (value, flows) = packing.feasible();
        if value > best.value {
            best.value = value;
            best.flows = flows;
        }
        if best.value * (1.0 + effort.gap) >= best.bound {
            break;
        }
    }
    best
}

struct Packing<'a> {
    topology: &'a Topology,
    step: f64,
    capacities: Vec<f64>,
    /// By destination: the sources with their demands.
    wanted: Vec<(RegionId, Vec<(RegionId, f64)>)>,
    /// Prices by link, and by demand in the order of `wanted`.
    lengths: Vec<f64>,
    waits: Vec<Vec<f64>>,
    /// Rates by destination and link, and by demand.
    flows: Vec<Vec<f64>>,
    sent: Vec<Vec<f64>>,
    threshold: f64,
    spf: Spf,
    weights: Vec<u64>,
}

impl<'a> Packing<'a> {
    fn new(topology: &'a Topology, demands: &Demands, step: f64) -> Packing<'a> {
        let list = |(to, sources): (RegionId, &std::collections::BTreeMap<RegionId, f64>)| {
            (
                to,
                sources
                    .iter()
                    .map(|(from, rate)| (*from, *rate))
                    .collect::<Vec<_>>(),
            )
        };
        let wanted: Vec<_> = demands.destinations().map(list).collect();
        let capacities: Vec<f64> = topology.links().map(|link| capacity(topology, link)).collect();
        let lengths = capacities
            .iter()
            .map(|rate| if *rate > 0.0 { 1.0 / rate } else { 0.0 });
        let lengths: Vec<f64> = lengths.collect();
        let waits: Vec<Vec<f64>> = wanted
            .iter()
            .map(|(_, sources)| sources.iter().map(|(_, rate)| 1.0 / rate).collect())
            .collect();
        let cheapest = waits.iter().flatten().copied().fold(f64::INFINITY, f64::min);
        Packing {
            flows: vec![vec![0.0; capacities.len()]; wanted.len()],
            sent: waits.iter().map(|row| vec![0.0; row.len()]).collect(),
            threshold: cheapest,
            topology,
            step,
            capacities,
            wanted,
            lengths,
            waits,
            spf: Spf::new(),
            weights: Vec::new(),
        }
    }

    /// Adds rates until every path costs more than the threshold allows.
    fn round(&mut self) {
        let limit = self.threshold * (1.0 + self.step);
        for place in 0..self.wanted.len() {
            loop {
                let to = self.wanted[place].0;
                bound::weights(self.topology, &self.lengths, &mut self.weights);
                self.spf.run(self.topology, &self.weights, to);
                let mut any = false;
                for source in 0..self.wanted[place].1.len() {
                    any |= self.push(place, source, limit);
                }
                if !any {
                    break;
                }
            }
        }
    }

    /// Adds a rate for one demand along the tree if that is cheap enough at present prices.
    fn push(&mut self, place: usize, source: usize, limit: f64) -> bool {
        let (from, wanted) = self.wanted[place].1[source];
        let price = self.waits[place][source];
        if price >= limit {
            return false;
        }
        let Some((links, length, narrowest)) = self.path(from) else {
            return false;
        };
        if price + length >= limit {
            return false;
        }
        let rate = narrowest.min(wanted);
        for link in links {
            let link = link.index();
            self.flows[place][link] += rate;
            self.lengths[link] *= 1.0 + self.step * rate / self.capacities[link];
        }
        self.sent[place][source] += rate;
        self.waits[place][source] *= 1.0 + self.step * rate / wanted;
        true
    }

    /// The path along the last tree with its present price and its least capacity.
    fn path(&self, from: RegionId) -> Option<(Vec<LinkId>, f64, f64)> {
        let distances = self.spf.distances();
        if !distances[from.index()].is_finite() {
            return None;
        }
        let (mut here, mut length, mut narrowest) = (from, 0.0, f64::INFINITY);
        let mut links = Vec::new();
        while let Some(link) = next_hop(self.topology, &self.weights, distances, here) {
            length += self.lengths[link.index()];
            narrowest = narrowest.min(self.capacities[link.index()]);
            links.push(link);
            here = self.topology.link(link).to;
        }
        Some((links, length, narrowest))
    }

    /// By the prices over the threshold: no path is cheaper than one, but for what its demand pays.
    fn bound(&mut self) -> f64 {
        let unit = bound::weights(self.topology, &self.lengths, &mut self.weights);
        let pairs = self.capacities.iter().zip(&self.lengths);
        let worth: f64 = pairs.map(|(rate, length)| rate * length).sum();
        // The gain of a demand is its rate times what its path is cheaper than the threshold. The best threshold for
        // the bound may lie above the present one; a few are tried.
        let factors = [1.0, 1.5, 2.0, 4.0, 8.0];
        let mut gains = [0.0; 5];
        for (to, sources) in &self.wanted {
            let distances = self.spf.run(self.topology, &self.weights, *to);
            for (from, rate) in sources {
                let distance = distances[from.index()].weight() as f64 / unit;
                for (gain, factor) in gains.iter_mut().zip(factors) {
                    *gain += rate * (1.0 - distance / (self.threshold * factor)).max(0.0);
                }
            }
        }
        let bounds = gains
            .iter()
            .zip(factors)
            .map(|(gain, factor)| worth / (self.threshold * factor) + gain);
        bounds.fold(f64::INFINITY, f64::min)
    }

    /// The rates scaled down to what fits, then topped up along free paths.
    fn feasible(&mut self) -> (f64, Flows) {
        let mut loads = vec![0.0; self.capacities.len()];
        for flow in &self.flows {
            for (load, rate) in loads.iter_mut().zip(flow) {
                *load += rate;
            }
        }
        let used = loads
            .iter()
            .zip(&self.capacities)
            .filter(|(load, _)| **load > 0.0);
        let mut most = used.map(|(load, rate)| load / rate).fold(0.0, f64::max);
        for (sent, (_, sources)) in self.sent.iter().zip(&self.wanted) {
            for (sent, (_, wanted)) in sent.iter().zip(sources) {
                most = most.max(sent / wanted);
            }
        }
        let fits = if most > 0.0 { 1.0 / most } else { 0.0 };
        let mut value = 0.0;
        let mut free: Vec<f64> = self
            .capacities
            .iter()
            .zip(&loads)
            .map(|(rate, load)| rate - load * fits)
            .collect();
        let mut flows = Flows::default();
        for place in 0..self.wanted.len() {
            let to = self.wanted[place].0;
            let mut flow: Vec<f64> = self.flows[place].iter().map(|rate| rate * fits).collect();
            value += self.sent[place].iter().sum::<f64>() * fits;
            value += self.top_up(place, fits, &mut free, &mut flow);
            flows.to.insert(to, flow);
        }
        (value, flows)
    }

    /// Sends what is still wanted along shortest paths with room.
    fn top_up(&mut self, place: usize, fits: f64, free: &mut [f64], flow: &mut [f64]) -> f64 {
        let to = self.wanted[place].0;
        let mut sent = 0.0;
        for source in 0..self.wanted[place].1.len() {
            let (from, wanted) = self.wanted[place].1[source];
            let mut left = wanted - self.sent[place][source] * fits;
            while left > wanted * 1e-9 {
                bound::weights(self.topology, &self.lengths, &mut self.weights);
                for (weight, (free, rate)) in self.weights.iter_mut().zip(free.iter().zip(&self.capacities)) {
                    if *free <= rate * 1e-9 {
                        *weight = UNUSABLE;
                    }
                }
                self.spf.run_until(self.topology, &self.weights, to, from);
                let Some((links, _, _)) = self.path(from) else {
                    break;
                };
                let room = links.iter().map(|link| free[link.index()]).fold(left, f64::min);
                for link in links {
                    free[link.index()] -= room;
                    flow[link.index()] += room;
                }
                left -= room;
                sent += room;
            }
        }
        sent
    }
}
