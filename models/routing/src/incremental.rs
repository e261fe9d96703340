//! Distances between all pairs that follow the topology link by link.
//!
//! After a change of one weight only the regions with a shortest path over that link are visited (after G. Ramalingam
//! and T. Reps, "On the computational complexity of dynamic graph problems", 1996). Distances are unique integers, so
//! the result equals a computation from scratch bit by bit.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::spf::{Distance, Spf, descend};
use crate::topology::{LinkId, Metric, RegionId, Topology, UNUSABLE};

/// What remains between every pair of regions, in one metric.
#[derive(Clone, Debug)]
pub struct AllPairs {
    metric: Metric,
    version: u64,
    weights: Vec<u64>,
    /// By destination.
    trees: Vec<Vec<Distance>>,
    heap: BinaryHeap<Reverse<(Distance, RegionId)>>,
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
            trees: Vec::with_capacity(topology.region_count()),
            heap: BinaryHeap::new(),
            affected: Vec::new(),
            marks: vec![0; topology.region_count()],
            stamp: 0,
        };
        let mut spf = Spf::new();
        for to in topology.regions() {
            all.trees.push(spf.run(topology, &all.weights, to).to_vec());
        }
        all
    }

    /// What remains to `to`, by region.
    pub fn distances_to(&self, to: RegionId) -> &[Distance] {
        &self.trees[to.index()]
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
        assert_eq!(self.trees.len(), topology.region_count(), "another topology");
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
        let tree = &mut self.trees[to.index()];
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
                self.heap.push(Reverse((best, region)));
            }
        }
        for &Reverse((distance, region)) in &self.heap {
            tree[region.index()] = distance;
        }
        settle(topology, &self.weights, tree, &mut self.heap);
    }

    /// A link got lighter or came back.
    fn lighter(&mut self, topology: &Topology, to: RegionId, link: LinkId, new: u64) {
        let tree = &mut self.trees[to.index()];
        let (start, end) = (topology.link(link).from, topology.link(link).to);
        if !tree[end.index()].is_finite() {
            return;
        }
        let through = tree[end.index()].plus(new);
        if through < tree[start.index()] {
            tree[start.index()] = through;
            self.heap.clear();
            self.heap.push(Reverse((through, start)));
            settle(topology, &self.weights, tree, &mut self.heap);
        }
    }
}

/// Whether what remains at `here` is what remains at `far` plus a link of this weight.
fn leads(tree: &[Distance], far: RegionId, weight: u64, here: RegionId) -> bool {
    let beyond = tree[far.index()];
    weight != UNUSABLE && beyond.is_finite() && beyond.plus(weight) == tree[here.index()]
}

/// Lets improvements spread.
fn settle(
    topology: &Topology,
    weights: &[u64],
    tree: &mut [Distance],
    heap: &mut BinaryHeap<Reverse<(Distance, RegionId)>>,
) {
    while let Some(Reverse((distance, region))) = heap.pop() {
        if tree[region.index()] != distance {
            continue;
        }
        for &(far, link) in topology.arriving(region) {
            let weight = weights[link.index()];
            if weight == UNUSABLE {
                continue;
            }
            let through = distance.plus(weight);
            if through < tree[far.index()] {
                tree[far.index()] = through;
                heap.push(Reverse((through, far)));
            }
        }
    }
}
