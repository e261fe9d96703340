//! Shortest paths to one region from every other: Dijkstra's algorithm backwards from the destination.
//!
//! Backwards, because a region that forwards looks at the destination alone: the distances that remain say for
//! every region which links lead nearer. What remains is ordered by (weight, hops); hops make it fall strictly
//! along a route, so links without weight form no cycles. Integers only: equal inputs give equal bits.

use crate::heap::Heap;
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

    /// One link more, or nowhere if there was no way.
    #[inline]
    pub(crate) fn saturating_plus(self, weight: u64) -> Distance {
        Distance(self.0.saturating_add((u128::from(weight) << 32) + 1))
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

    /// One integer of a distance and a region, in the order of both. Weights of paths have 62 bits, hops 32, of
    /// which no path uses more than 20, and regions 20.
    #[inline]
    pub(crate) fn key(self, region: RegionId) -> u128 {
        self.0 << 20 | u128::from(region.0)
    }

    /// What such an integer was made of.
    #[inline]
    pub(crate) fn of_key(key: u128) -> (Distance, RegionId) {
        (Distance(key >> 20), RegionId((key & ((1 << 20) - 1)) as u32))
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
    order: Vec<RegionId>,
    narrow: Search<u64>,
    wide: Search<u128>,
}

/// The state of a search with keys of this width.
#[derive(Clone, Debug, Default)]
struct Search<K> {
    /// Weight and hops by region.
    best: Vec<K>,
    heap: Heap<K>,
}

/// How weight, hops and region share a key.
#[derive(Clone, Copy, Debug)]
struct Layout {
    hop_bits: u32,
    region_bits: u32,
}

/// An integer that holds a key.
trait Key: Copy + Ord + Default {
    const LAST: Self;
    /// A weight and one hop, in the place of a distance.
    fn step(weight: u64, layout: Layout) -> Self;
    fn plus(self, other: Self) -> Self;
    /// The key of a region at this distance.
    fn at(self, region: u32, layout: Layout) -> Self;
    fn distance(self, layout: Layout) -> Self;
    fn region(self, layout: Layout) -> u32;
    fn widen(self, layout: Layout) -> Distance;
}

/// Written out for both widths.
macro_rules! key {
    ($integer:ty) => {
        impl Key for $integer {
            const LAST: $integer = <$integer>::MAX;
            #[inline]
            fn step(weight: u64, layout: Layout) -> $integer {
                (<$integer>::from(weight) << layout.hop_bits) + 1
            }
            #[inline]
            fn plus(self, other: $integer) -> $integer {
                self + other
            }
            #[inline]
            fn at(self, region: u32, layout: Layout) -> $integer {
                self << layout.region_bits | <$integer>::from(region)
            }
            #[inline]
            fn distance(self, layout: Layout) -> $integer {
                self >> layout.region_bits
            }
            #[inline]
            fn region(self, layout: Layout) -> u32 {
                (self & ((1 << layout.region_bits) - 1)) as u32
            }
            #[inline]
            fn widen(self, layout: Layout) -> Distance {
                if self == <$integer>::MAX {
                    return Distance::INFINITE;
                }
                let hops = self & ((1 << layout.hop_bits) - 1);
                Distance((self >> layout.hop_bits) as u128 * (1 << 32) + hops as u128)
            }
        }
    };
}

key!(u64);
key!(u128);

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

    /// As [`Spf::run`], into a row of as many cells as there are regions.
    pub(crate) fn run_into(
        &mut self,
        topology: &Topology,
        weights: &[u64],
        to: RegionId,
        row: &mut [Distance],
    ) {
        match self.find(topology, weights, to, None) {
            (layout, true) => self.narrow.widen(layout, row),
            (layout, false) => self.wide.widen(layout, row),
        }
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

    /// The distances of the last run, and the regions from which it found a way in the order of (what remains, name).
    pub fn ordered(&mut self) -> (&[Distance], &[RegionId]) {
        let distances = &self.distances;
        let regions = (0..).map(RegionId).zip(distances);
        let found = regions.filter(|(_, distance)| distance.is_finite());
        self.order.clear();
        self.order.extend(found.map(|(region, _)| region));
        self.order
            .sort_unstable_by_key(|region| (distances[region.index()], *region));
        (&self.distances, &self.order)
    }

    fn search(&mut self, topology: &Topology, weights: &[u64], to: RegionId, from: Option<RegionId>) {
        let (layout, narrow) = self.find(topology, weights, to, from);
        self.distances.resize(topology.region_count(), Distance::INFINITE);
        if narrow {
            self.narrow.widen(layout, &mut self.distances);
        } else {
            self.wide.widen(layout, &mut self.distances);
        }
    }

    /// Searches with keys as wide as they must be; how they are laid out, and whether they are the narrow ones.
    fn find(
        &mut self,
        topology: &Topology,
        weights: &[u64],
        to: RegionId,
        from: Option<RegionId>,
    ) -> (Layout, bool) {
        assert_eq!(weights.len(), topology.link_count(), "one weight for each link");
        // A path has fewer hops than there are regions, so the number of regions needs as many bits as either.
        let bits = usize::BITS - topology.region_count().leading_zeros();
        let layout = Layout {
            hop_bits: bits,
            region_bits: bits,
        };
        // The heaviest link that can be used; what cannot is above all others, so its bits are masked off.
        let heaviest = weights
            .iter()
            .map(|weight| if *weight == UNUSABLE { 0 } else { *weight });
        let weight_bits = u64::BITS - heaviest.fold(0, |all, weight| all | weight).leading_zeros();
        // The sum over a path needs as many bits more as the number of hops has.
        let narrow = weight_bits + 3 * bits < u64::BITS;
        if narrow {
            self.narrow.run(topology, weights, to, from, layout);
        } else {
            self.wide.run(topology, weights, to, from, layout);
        }
        (layout, narrow)
    }
}

impl<K: Key> Search<K> {
    fn run(
        &mut self,
        topology: &Topology,
        weights: &[u64],
        to: RegionId,
        from: Option<RegionId>,
        layout: Layout,
    ) {
        let Search { best, heap } = self;
        best.clear();
        best.resize(topology.region_count(), K::LAST);
        best[to.index()] = K::default();
        heap.clear();
        heap.push(K::default().at(to.0, layout));
        while let Some(key) = heap.top() {
            let (distance, region) = (key.distance(layout), RegionId(key.region(layout)));
            if best[region.index()] != distance {
                heap.pop();
                continue;
            }
            // What is found from here on is farther away.
            if from.is_some_and(|from| best[from.index()] <= distance) {
                break;
            }
            let mut stays = true;
            for &first in topology.arriving(region) {
                // Where a chain of links goes on without a fork there is no choice and no need of a queue.
                let (mut behind, mut reached, mut next) = (region, distance, Some(first));
                while let Some((far, link)) = next.take() {
                    let weight = weights[link.index()];
                    if weight == UNUSABLE {
                        break;
                    }
                    let through = reached.plus(K::step(weight, layout));
                    let known = &mut best[far.index()];
                    if through >= *known {
                        break;
                    }
                    *known = through;
                    match topology.arriving(far) {
                        // Going back leads nowhere nearer.
                        [(end, _)] if *end == behind => {}
                        [(a, _), on] if *a == behind => next = Some(*on),
                        [on, (b, _)] if *b == behind => next = Some(*on),
                        _ => {
                            let key = through.at(far.0, layout);
                            if std::mem::take(&mut stays) {
                                heap.replace(key);
                            } else {
                                heap.push(key);
                            }
                        }
                    }
                    (behind, reached) = (far, through);
                }
            }
            if stays {
                heap.pop();
            }
        }
    }

    fn widen(&self, layout: Layout, distances: &mut [Distance]) {
        for (distance, best) in distances.iter_mut().zip(&self.best) {
            *distance = best.widen(layout);
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
