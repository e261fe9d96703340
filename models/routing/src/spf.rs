//! Shortest paths to one region from every other: Dijkstra's algorithm backwards from the destination.
//!
//! Backwards, because a region that forwards looks at the destination alone: the distances that remain say for
//! every region which links lead nearer. What remains is ordered by (weight, hops); hops make it fall strictly
//! along a route, so links without weight form no cycles. Integers only: equal inputs give equal bits.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::topology::{LinkId, RegionId, Topology, UNUSABLE};

/// What remains to the destination: weight first, then hops. [`Distance::INFINITE`] where there is no way.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Distance(u128);

impl Distance {
    /// At the destination.
    pub const ZERO: Distance = Distance(0);
    /// No way leads there.
    pub const INFINITE: Distance = Distance(u128::MAX);

    /// One link more. The weight must be usable.
    #[inline]
    pub fn plus(self, weight: u64) -> Distance {
        debug_assert!(weight != UNUSABLE && self != Distance::INFINITE);
        Distance(self.0 + (u128::from(weight) << 32) + 1)
    }

    /// The sum of the weights.
    #[inline]
    pub fn weight(self) -> u64 {
        (self.0 >> 32) as u64
    }

    /// The number of links.
    #[inline]
    pub fn hops(self) -> u32 {
        self.0 as u32
    }

    /// Whether there is a way.
    #[inline]
    pub fn is_finite(self) -> bool {
        self != Distance::INFINITE
    }

    /// The bits, weight above hops, for sums over several paths.
    #[inline]
    pub(crate) fn bits(self) -> u128 {
        self.0
    }
}

/// Distances to one destination. Reusing one saves the allocations.
#[derive(Clone, Debug, Default)]
pub struct Spf {
    distances: Vec<Distance>,
    heap: BinaryHeap<Reverse<(Distance, RegionId)>>,
    order: Vec<RegionId>,
}

impl Spf {
    /// Nothing computed yet.
    pub fn new() -> Spf {
        Spf::default()
    }

    /// Computes what remains to `to` from every region, over links that weigh less than [`UNUSABLE`].
    ///
    /// # Panics
    /// If there is not one weight for each link.
    pub fn run(&mut self, topology: &Topology, weights: &[u64], to: RegionId) -> &[Distance] {
        self.search(topology, weights, to, None);
        &self.distances
    }

    /// Computes what remains to `to` from `from`; regions farther away may be missing from the answer.
    ///
    /// # Panics
    /// If there is not one weight for each link.
    pub fn run_until(
        &mut self,
        topology: &Topology,
        weights: &[u64],
        to: RegionId,
        from: RegionId,
    ) -> &[Distance] {
        self.search(topology, weights, to, Some(from));
        &self.distances
    }

    /// The distances of the last run.
    pub fn distances(&self) -> &[Distance] {
        &self.distances
    }

    /// The regions from which the last run found a way, in the order of (what remains, name).
    pub fn order(&self) -> &[RegionId] {
        &self.order
    }

    fn search(&mut self, topology: &Topology, weights: &[u64], to: RegionId, from: Option<RegionId>) {
        assert_eq!(weights.len(), topology.link_count(), "one weight for each link");
        self.distances.clear();
        self.distances.resize(topology.region_count(), Distance::INFINITE);
        self.heap.clear();
        self.order.clear();
        self.distances[to.index()] = Distance::ZERO;
        self.heap.push(Reverse((Distance::ZERO, to)));
        while let Some(Reverse((distance, region))) = self.heap.pop() {
            if self.distances[region.index()] != distance {
                continue;
            }
            self.order.push(region);
            if Some(region) == from {
                break;
            }
            for &(far, link) in topology.arriving(region) {
                let weight = weights[link.index()];
                if weight == UNUSABLE {
                    continue;
                }
                let through = distance.plus(weight);
                let known = &mut self.distances[far.index()];
                if through < *known {
                    *known = through;
                    self.heap.push(Reverse((through, far)));
                }
            }
        }
    }
}

/// The link on which `here` sends what is to take the best route: of those on which (weight, hops) fall as they
/// should, the one whose far end is named first, of parallel links the one named first. `None` at the destination
/// and where no way leads there.
pub fn next_hop(
    topology: &Topology,
    weights: &[u64],
    distances: &[Distance],
    here: RegionId,
) -> Option<LinkId> {
    let remaining = distances[here.index()];
    let leaving = topology.leaving(here).iter();
    let mut tight = leaving.filter(|(far, link)| {
        let (weight, beyond) = (weights[link.index()], distances[far.index()]);
        weight != UNUSABLE && beyond.is_finite() && beyond.plus(weight) == remaining
    });
    tight.next().map(|(_, link)| *link)
}

/// The links on which `here` may send when paths of equal weight share the traffic, hops aside, in the order of
/// (far end, name). They lead strictly nearer in (weight, hops), so following any of them ends at the destination.
pub fn equal_next_hops<'a>(
    topology: &'a Topology,
    weights: &'a [u64],
    distances: &'a [Distance],
    here: RegionId,
) -> impl Iterator<Item = (RegionId, LinkId)> + 'a {
    let remaining = distances[here.index()];
    let leaving = topology.leaving(here).iter().copied();
    leaving.filter(move |(far, link)| {
        let (weight, beyond) = (weights[link.index()], distances[far.index()]);
        weight != UNUSABLE && beyond < remaining && {
            let through = beyond.weight() + weight;
            remaining.is_finite() && through == remaining.weight()
        }
    })
}

/// Follows [`next_hop`] from `from` to `to`. `None` if no way leads there.
///
/// Every best route goes down in what remains at each hop and every such descent is a best route, so taking the
/// first name at each step gives the first of them.
pub fn descend(
    topology: &Topology,
    weights: &[u64],
    distances: &[Distance],
    from: RegionId,
    to: RegionId,
) -> Option<Vec<LinkId>> {
    let remaining = distances[from.index()];
    if !remaining.is_finite() {
        return None;
    }
    let mut links = Vec::with_capacity(remaining.hops() as usize);
    let mut here = from;
    while here != to {
        let step = next_hop(topology, weights, distances, here);
        let step = step.expect("a region from which the end can be reached has a next hop");
        links.push(step);
        here = topology.link(step).to;
    }
    Some(links)
}
