//! Distances between all pairs that follow the topology link by link.
//!
//! After a change of one weight only the regions with a shortest path over that link are visited (after G. Ramalingam
//! and T. Reps, "On the computational complexity of dynamic graph problems", 1996). Distances are unique integers, so
//! the result equals a computation from scratch bit by bit.

use std::collections::BTreeSet;

use crate::heap::Heap;
use crate::spf::{Distance, Spf, descend};
use crate::topology::{LinkId, Metric, RegionId, Topology, UNUSABLE};

/// What remains between every pair of regions, in one metric.
#[derive(Clone, Debug)]
pub struct AllPairs {
    metric: Metric,
    version: u64,
    weights: Vec<u64>,
    /// By destination, then by region.
    distances: Vec<Distance>,
    heap: Heap<u128>,
    affected: Vec<RegionId>,
    /// The last update in which a region was affected.
    marks: Vec<u64>,
    stamp: u64,
}

impl AllPairs {
    /// Computes all distances from scratch.
    pub fn new(topology: &Topology, metric: Metric) -> AllPairs {
        let mut all = AllPairs {
            metric,
            version: topology.version(),
            weights: topology.weights(metric).to_vec(),
            distances: vec![Distance::INFINITE; topology.region_count() * topology.region_count()],
            heap: Heap::default(),
            affected: Vec::new(),
            marks: vec![0; topology.region_count()],
            stamp: 0,
        };
        let count = topology.region_count();
        let by_neighbours = apart(topology);
        let mut spf = Spf::new();
        for to in topology.regions().filter(|to| !by_neighbours[to.index()]) {
            let tree = &mut all.distances[to.index() * count..][..count];
            spf.run_into(topology, &all.weights, to, tree);
        }
        // A path to a region comes by one of its neighbours, so where what remains to all of these is known, no
        // search is needed.
        for to in topology.regions().filter(|to| by_neighbours[to.index()]) {
            for &(far, link) in topology.arriving(to) {
                let weight = all.weights[link.index()];
                if weight == UNUSABLE {
                    continue;
                }
                let [tree, beyond] = all
                    .distances
                    .get_disjoint_mut([
                        to.index() * count..(to.index() + 1) * count,
                        far.index() * count..(far.index() + 1) * count,
                    ])
                    .expect("two regions");
                for (known, beyond) in tree.iter_mut().zip(beyond) {
                    *known = beyond.saturating_plus(weight).min(*known);
                }
            }
            all.distances[to.index() * count + to.index()] = Distance::ZERO;
        }
        all
    }

    /// What remains to `to`, by region.
    pub fn distances_to(&self, to: RegionId) -> &[Distance] {
        &self.distances[to.index() * self.marks.len()..][..self.marks.len()]
    }

    /// The links of the best route, which is unique; `None` if there is none.
    ///
    /// # Panics
    /// If the topology changed since the last [refresh](AllPairs::refresh).
    pub fn route(&self, topology: &Topology, from: RegionId, to: RegionId) -> Option<Vec<LinkId>> {
        assert_eq!(
            self.version,
            topology.version(),
            "distances of another version of the topology"
        );
        descend(topology, &self.weights, self.distances_to(to), from, to)
    }

    /// Follows the topology: for each link whose weight differs, updates the distances that it affects. Costs
    /// little after few changes; after many, computing [from scratch](AllPairs::new) is as good.
    ///
    /// # Panics
    /// If the topology has other regions or links than the one this was made of.
    pub fn refresh(&mut self, topology: &Topology) {
        if self.version == topology.version() {
            return;
        }
        assert_eq!(self.weights.len(), topology.link_count(), "another topology");
        assert_eq!(self.marks.len(), topology.region_count(), "another topology");
        for link in topology.links() {
            let new = topology.weights(self.metric)[link.index()];
            let old = std::mem::replace(&mut self.weights[link.index()], new);
            if new > old {
                for to in topology.regions() {
                    self.heavier(topology, to, link, old);
                }
            } else if new < old {
                for to in topology.regions() {
                    self.lighter(topology, to, link, new);
                }
            }
        }
        self.version = topology.version();
    }

    /// A link got heavier or was lost.
    fn heavier(&mut self, topology: &Topology, to: RegionId, link: LinkId, old: u64) {
        let count = self.marks.len();
        let tree = &mut self.distances[to.index() * count..][..count];
        let (start, end) = (topology.link(link).from, topology.link(link).to);
        if !leads(tree, end, old, start) {
            return;
        }
        self.stamp += 1;
        let stamp = self.stamp;
        // All that may go over the link: whose shortest paths lead to it, also if others lead elsewhere. Of those
        // the distance is found anew, so one that had another shortest path gets the same again.
        self.affected.clear();
        self.affected.push(start);
        self.marks[start.index()] = stamp;
        let mut next = 0;
        while let Some(&region) = self.affected.get(next) {
            next += 1;
            for &(far, link) in topology.arriving(region) {
                if self.marks[far.index()] != stamp && leads(tree, region, self.weights[link.index()], far) {
                    self.marks[far.index()] = stamp;
                    self.affected.push(far);
                }
            }
        }
        // Each starts from the best of its neighbours that were spared; the rest is Dijkstra among the affected.
        self.heap.clear();
        for &region in &self.affected {
            tree[region.index()] = Distance::INFINITE;
        }
        for &region in &self.affected {
            let spared = topology.leaving(region).iter().filter(|(far, link)| {
                self.marks[far.index()] != stamp
                    && self.weights[link.index()] != UNUSABLE
                    && tree[far.index()].is_finite()
            });
            let best = spared
                .map(|(far, link)| tree[far.index()].plus(self.weights[link.index()]))
                .min();
            if let Some(best) = best {
                self.heap.push(best.key(region));
            }
        }
        for &key in self.heap.keys() {
            let (distance, region) = Distance::of_key(key);
            tree[region.index()] = distance;
        }
        settle(topology, &self.weights, tree, &mut self.heap);
    }

    /// A link got lighter or came back.
    fn lighter(&mut self, topology: &Topology, to: RegionId, link: LinkId, new: u64) {
        let count = self.marks.len();
        let tree = &mut self.distances[to.index() * count..][..count];
        let (start, end) = (topology.link(link).from, topology.link(link).to);
        if !tree[end.index()].is_finite() {
            return;
        }
        let through = tree[end.index()].plus(new);
        if through < tree[start.index()] {
            tree[start.index()] = through;
            self.heap.clear();
            self.heap.push(through.key(start));
            settle(topology, &self.weights, tree, &mut self.heap);
        }
    }
}

/// Regions no two of which are neighbours, as many as taking the one with the fewest neighbours left again and again
/// finds.
fn apart(topology: &Topology) -> Vec<bool> {
    let near = |region| {
        let links = topology.arriving(region).iter().chain(topology.leaving(region));
        links.map(|(far, _)| *far)
    };
    let mut left: Vec<usize> = topology.regions().map(|region| near(region).count()).collect();
    let mut waiting: BTreeSet<(usize, RegionId)> = topology
        .regions()
        .map(|region| (left[region.index()], region))
        .collect();
    let mut taken = vec![false; topology.region_count()];
    while let Some((_, region)) = waiting.pop_first() {
        taken[region.index()] = true;
        for gone in near(region) {
            if !waiting.remove(&(left[gone.index()], gone)) {
                continue;
            }
            for far in near(gone) {
                if waiting.remove(&(left[far.index()], far)) {
                    left[far.index()] -= 1;
                    waiting.insert((left[far.index()], far));
                }
            }
        }
    }
    taken
}

/// Whether what remains at `here` is what remains at `far` plus a link of this weight.
fn leads(tree: &[Distance], far: RegionId, weight: u64, here: RegionId) -> bool {
    let beyond = tree[far.index()];
    weight != UNUSABLE && beyond.is_finite() && beyond.plus(weight) == tree[here.index()]
}

/// Lets improvements spread.
fn settle(topology: &Topology, weights: &[u64], tree: &mut [Distance], heap: &mut Heap<u128>) {
    while let Some(key) = heap.top() {
        let (distance, region) = Distance::of_key(key);
        if tree[region.index()] != distance {
            heap.pop();
            continue;
        }
        let mut stays = true;
        for &(far, link) in topology.arriving(region) {
            let weight = weights[link.index()];
            if weight == UNUSABLE {
                continue;
            }
            let through = distance.plus(weight);
            if through < tree[far.index()] {
                tree[far.index()] = through;
                let key = through.key(far);
                if std::mem::take(&mut stays) {
                    heap.replace(key);
                } else {
                    heap.push(key);
                }
            }
        }
        if stays {
            heap.pop();
        }
    }
}
