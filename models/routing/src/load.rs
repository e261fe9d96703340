//! Demands between regions, and the load that they put on links when equal-cost paths share them evenly.
//!
//! Each region splits what it has for a destination evenly over its next hops, as routers do, and not over paths.
//! Loads are sums of doubles in a fixed order.

use std::collections::BTreeMap;

use crate::spf::{Spf, equal_next_hops};
use crate::topology::{LinkId, RegionId, Topology};

/// What is to be carried, in bit/s or whatever unit the capacities have.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Demands {
    /// By destination, then by source; positive amounts.
    by_destination: BTreeMap<RegionId, BTreeMap<RegionId, f64>>,
}

impl Demands {
    /// Nothing to carry.
    pub fn new() -> Demands {
        Demands::default()
    }

    /// Adds a demand. One from a region to itself needs no link and is left out, as is one of nothing.
    ///
    /// # Panics
    /// If the amount is negative or not finite.
    pub fn add(&mut self, from: RegionId, to: RegionId, amount: f64) {
        assert!(amount.is_finite() && amount >= 0.0, "a demand of {amount}");
        if from != to && amount > 0.0 {
            *self
                .by_destination
                .entry(to)
                .or_default()
                .entry(from)
                .or_insert(0.0) += amount;
        }
    }

    /// All demands as (source, destination, amount), by destination, then by source.
    pub fn iter(&self) -> impl Iterator<Item = (RegionId, RegionId, f64)> {
        let by_destination = self.by_destination.iter();
        by_destination.flat_map(|(to, sources)| sources.iter().map(|(from, amount)| (*from, *to, *amount)))
    }

    /// The destinations with their sources and amounts.
    pub fn destinations(&self) -> impl Iterator<Item = (RegionId, &BTreeMap<RegionId, f64>)> {
        self.by_destination.iter().map(|(to, sources)| (*to, sources))
    }

    /// How many pairs of regions have a demand.
    pub fn len(&self) -> usize {
        self.by_destination.values().map(BTreeMap::len).sum()
    }

    /// Whether there is nothing to carry.
    pub fn is_empty(&self) -> bool {
        self.by_destination.is_empty()
    }

    /// Sum of all demands.
    pub fn total(&self) -> f64 {
        self.iter().map(|(_, _, amount)| amount).sum()
    }

    /// All demands times a factor.
    ///
    /// # Panics
    /// If the factor is negative or not finite.
    pub fn scaled(&self, factor: f64) -> Demands {
        let mut scaled = Demands::new();
        for (from, to, amount) in self.iter() {
            scaled.add(from, to, amount * factor);
        }
        scaled
    }
}

/// The load of each link.
#[derive(Clone, PartialEq, Debug)]
pub struct Loads {
    /// By link, in the unit of the demands.
    pub by_link: Vec<f64>,
    /// Sum of the demands for which there was no way.
    pub unrouted: f64,
}

/// How a region splits traffic over the links that lead nearer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Split {
    /// The same share for each next region; parallel links to it share its share.
    PerRegion,
    /// The same share for each link.
    PerLink,
    /// By the capacities of the links.
    ByCapacity,
}

impl Loads {
    /// No load.
    pub fn none(topology: &Topology) -> Loads {
        Loads {
            by_link: vec![0.0; topology.link_count()],
            unrouted: 0.0,
        }
    }

    /// The loads when paths of equal weight share the demands.
    ///
    /// # Panics
    /// If there is not one weight for each link.
    pub fn equal_cost(topology: &Topology, weights: &[u64], demands: &Demands, split: Split) -> Loads {
        let mut loads = Loads::none(topology);
        let mut spf = Spf::new();
        let mut passing = vec![0.0; topology.region_count()];
        let mut hops: Vec<(RegionId, LinkId)> = Vec::new();
        for (to, sources) in demands.destinations() {
            spf.run(topology, weights, to);
            let (distances, order) = spf.ordered();
            passing.fill(0.0);
            for (from, amount) in sources {
                if distances[from.index()].is_finite() {
                    passing[from.index()] += amount;
                } else {
                    loads.unrouted += amount;
                }
            }
            // From the farthest in: what arrives at a region has arrived before the region is looked at.
            for &here in order.iter().rev() {
                let amount = passing[here.index()];
                if amount == 0.0 || here == to {
                    continue;
                }
                hops.clear();
                hops.extend(equal_next_hops(topology, weights, distances, here));
                share(topology, split, &hops, |far, link, part| {
                    loads.by_link[link.index()] += amount * part;
                    passing[far.index()] += amount * part;
                });
            }
        }
        loads
    }

    /// The load of a link as a share of its capacity; infinite for a load on a link without capacity.
    pub fn utilisation(&self, topology: &Topology, link: LinkId) -> f64 {
        let load = self.by_link[link.index()];
        if load == 0.0 {
            return 0.0;
        }
        load / topology.state(link).capacity.as_bits_per_s() as f64
    }

    /// The highest utilisation and the first link that has it; `None` without links.
    pub fn busiest(&self, topology: &Topology) -> Option<(LinkId, f64)> {
        let mut busiest: Option<(LinkId, f64)> = None;
        for link in topology.links() {
            let utilisation = self.utilisation(topology, link);
            if busiest.is_none_or(|(_, known)| utilisation > known) {
                busiest = Some((link, utilisation));
            }
        }
        busiest
    }
}

/// Calls `give` with the part of the traffic that each next hop gets.
fn share(
    topology: &Topology,
    split: Split,
    hops: &[(RegionId, LinkId)],
    mut give: impl FnMut(RegionId, LinkId, f64),
) {
    let capacity = |link: LinkId| topology.state(link).capacity.as_bits_per_s() as f64;
    match split {
        Split::PerLink => {
            let part = 1.0 / hops.len() as f64;
            hops.iter().for_each(|&(far, link)| give(far, link, part));
        }
        Split::PerRegion => {
            // Links to the same region stand next to each other.
            let groups = hops.chunk_by(|(a, _), (b, _)| a == b);
            let part = 1.0 / groups.clone().count() as f64;
            for group in groups {
                let part = part / group.len() as f64;
                group.iter().for_each(|&(far, link)| give(far, link, part));
            }
        }
        Split::ByCapacity => {
            let sum: f64 = hops.iter().map(|&(_, link)| capacity(link)).sum();
            let even = 1.0 / hops.len() as f64;
            for &(far, link) in hops {
                let part = if sum > 0.0 { capacity(link) / sum } else { even };
                give(far, link, part);
            }
        }
    }
}
