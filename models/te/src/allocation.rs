//! Rates on paths.

use std::collections::BTreeMap;

use longhaul_routing::{LinkId, Loads, RegionId, Topology};

/// A path and the rate that is sent along it.
#[derive(Clone, PartialEq, Debug)]
pub struct Share {
    /// The links in the order in which they are crossed.
    pub links: Vec<LinkId>,
    /// bit/s, positive.
    pub rate: f64,
}

/// Which paths each pair of regions uses, at which rates.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Allocation {
    pairs: BTreeMap<(RegionId, RegionId), Vec<Share>>,
}

impl Allocation {
    /// Nothing is sent.
    pub fn new() -> Allocation {
        Allocation::default()
    }

    /// Adds a rate on a path, to the same path if it is in use already.
    pub fn add(&mut self, from: RegionId, to: RegionId, links: Vec<LinkId>, rate: f64) {
        let shares = self.pairs.entry((from, to)).or_default();
        match shares.iter_mut().find(|share| share.links == links) {
            Some(share) => share.rate += rate,
            None => shares.push(Share { links, rate }),
        }
    }

    /// The paths of a pair of regions.
    pub fn shares(&self, from: RegionId, to: RegionId) -> &[Share] {
        self.pairs.get(&(from, to)).map_or(&[], Vec::as_slice)
    }

    /// All pairs with their paths, by source, then by destination.
    pub fn pairs(&self) -> impl Iterator<Item = (RegionId, RegionId, &[Share])> {
        let pairs = self.pairs.iter();
        pairs.map(|((from, to), shares)| (*from, *to, shares.as_slice()))
    }

    /// What a pair sends in all, bit/s.
    pub fn rate(&self, from: RegionId, to: RegionId) -> f64 {
        self.shares(from, to).iter().map(|share| share.rate).sum()
    }

    /// What all pairs send, bit/s.
    pub fn total(&self) -> f64 {
        let shares = self.pairs.values().flatten();
        shares.map(|share| share.rate).sum()
    }

    /// What the links carry.
    pub fn loads(&self, topology: &Topology) -> Loads {
        let mut loads = Loads::none(topology);
        for share in self.pairs.values().flatten() {
            for link in &share.links {
                loads.by_link[link.index()] += share.rate;
            }
        }
        loads
    }
}
