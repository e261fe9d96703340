//! Paths that do not fail together.
//!
//! The pair (or more) of paths without a common link or region whose weights have the least sum is a flow of least
//! cost: J. W. Suurballe (1974); with negative weights on the way back as by R. Bhandari, "Survivable Networks"
//! (1999). Taking the shortest path and then the shortest that avoids it is not the same: it may find a worse pair,
//! or none where there is one.
//!
//! Links that share a risk (a duct, a cable, both directions of a fibre) make the problem NP-complete (J. Q. Hu,
//! "Diverse routing in optical mesh networks", 2003). There primaries are tried from the shortest on, each with the
//! shortest backup that shares no risk with it, until no later primary can give a better pair or a limit is reached;
//! the answer says which.

use std::collections::VecDeque;

use crate::k_shortest::paths;
use crate::order::Rank;
use crate::spf::{Distance, Spf, descend};
use crate::topology::{LinkId, RegionId, Topology, UNUSABLE};

/// What the paths must not have in common.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Disjoint {
    /// A link.
    Links,
    /// A link or a region between the ends.
    Regions,
}

/// Up to `count` paths from one region to another that have nothing in common, such that the sum of their
/// (weight, hops) is the least for their number; as many as there are, each by (weight, hops, names). Empty if
/// there is no way, and from a region to itself.
///
/// # Panics
/// If there is not one weight for each link.
pub fn disjoint_paths(
    topology: &Topology,
    weights: &[u64],
    from: RegionId,
    to: RegionId,
    count: usize,
    disjoint: Disjoint,
) -> Vec<Vec<LinkId>> {
    assert_eq!(weights.len(), topology.link_count(), "one weight for each link");
    if from == to {
        return Vec::new();
    }
    let mut flow = Flow::new(topology, weights, disjoint, from, to);
    for _ in 0..count {
        if !flow.augment() {
            break;
        }
    }
    let mut ranked: Vec<Rank> = flow
        .paths(topology)
        .into_iter()
        .map(|links| Rank::new(topology, weights, &links))
        .collect();
    ranked.sort();
    ranked.into_iter().map(|rank| rank.links).collect()
}

/// The shortest path that has nothing in common with `avoided`, shared risks included. `None` if there is none.
///
/// # Panics
/// If there is not one weight for each link.
pub fn backup(
    topology: &Topology,
    weights: &[u64],
    from: RegionId,
    to: RegionId,
    avoided: &[LinkId],
    disjoint: Disjoint,
) -> Option<Vec<LinkId>> {
    let mut weights = weights.to_vec();
    for &link in avoided {
        weights[link.index()] = UNUSABLE;
        for group in &topology.link(link).groups {
            for member in topology.group(*group) {
                weights[member.index()] = UNUSABLE;
            }
        }
        let end = topology.link(link).to;
        if disjoint == Disjoint::Regions && end != to {
            for (_, arriving) in topology.arriving(end) {
                weights[arriving.index()] = UNUSABLE;
            }
        }
    }
    let mut spf = Spf::new();
    let distances = spf.run_until(topology, &weights, to, from);
    descend(topology, &weights, distances, from, to).filter(|links| !links.is_empty())
}

/// A primary and a backup without a shared risk.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pair {
    /// The better of the two.
    pub primary: Vec<LinkId>,
    /// What to use when the primary fails.
    pub backup: Vec<LinkId>,
    /// Whether no other pair has a smaller sum of (weight, hops).
    pub proved: bool,
}

/// The pair of paths with the least sum of (weight, hops) that have nothing in common, shared risks included, among
/// those whose primary is one of the `limit` shortest paths. `None` if none of those has a backup.
///
/// # Panics
/// If there is not one weight for each link.
pub fn shared_risk_pair(
    topology: &Topology,
    weights: &[u64],
    from: RegionId,
    to: RegionId,
    disjoint: Disjoint,
    limit: usize,
) -> Option<Pair> {
    let rank = |links: Vec<LinkId>| Rank::new(topology, weights, &links);
    let mut best: Option<(u128, Rank, Rank)> = None;
    let mut tried = paths(topology, weights, from, to);
    for _ in 0..limit {
        let Some(path) = tried.next() else {
            return finish(best, true);
        };
        let path = rank(path);
        // A pair of later paths weighs at least twice as much as this one.
        if let Some((sum, _, _)) = &best
            && path.distance.bits() * 2 >= *sum
        {
            return finish(best, true);
        }
        let Some(other) = backup(topology, weights, from, to, &path.links, disjoint) else {
            continue;
        };
        let other = rank(other);
        let sum = path.distance.bits() + other.distance.bits();
        let (primary, other) = if path <= other {
            (path, other)
        } else {
            (other, path)
        };
        let better = best
            .as_ref()
            .is_none_or(|(known, p, b)| (sum, &primary, &other) < (*known, p, b));
        if better {
            best = Some((sum, primary, other));
        }
    }
    finish(best, false)
}

fn finish(best: Option<(u128, Rank, Rank)>, proved: bool) -> Option<Pair> {
    best.map(|(_, primary, backup)| Pair {
        primary: primary.links,
        backup: backup.links,
        proved,
    })
}

/// An arc of the flow network with its residual capacity. The next arc (xor 1) is its reverse.
#[derive(Clone, Copy, Debug)]
struct Arc {
    to: u32,
    left: u32,
    cost: i128,
    /// The link that it stands for.
    link: Option<LinkId>,
}

/// A flow of least cost, one unit at a time. Each region is a pair of nodes, entry and exit, joined by an arc that
/// only one path may use if regions must differ.
#[derive(Debug)]
struct Flow {
    arcs: Vec<Arc>,
    /// Arcs that leave each node.
    leaving: Vec<Vec<u32>>,
    source: u32,
    sink: u32,
}

impl Flow {
    fn new(topology: &Topology, weights: &[u64], disjoint: Disjoint, from: RegionId, to: RegionId) -> Flow {
        let mut flow = Flow {
            arcs: Vec::new(),
            leaving: vec![Vec::new(); topology.region_count() * 2],
            source: from.0 * 2,
            sink: to.0 * 2 + 1,
        };
        for region in topology.regions() {
            let shared = disjoint == Disjoint::Links || region == from || region == to;
            let passes = if shared { u32::MAX } else { 1 };
            flow.arc(region.0 * 2, region.0 * 2 + 1, passes, 0, None);
        }
        for link in topology.links().filter(|link| weights[link.index()] != UNUSABLE) {
            let ends = topology.link(link);
            let cost = Distance::ZERO.plus(weights[link.index()]).bits();
            let cost = i128::try_from(cost).expect("a weight and a hop");
            flow.arc(ends.from.0 * 2 + 1, ends.to.0 * 2, 1, cost, Some(link));
        }
        flow
    }

    fn arc(&mut self, from: u32, to: u32, capacity: u32, cost: i128, link: Option<LinkId>) {
        let forward = self.arcs.len() as u32;
        for (at, to, left, cost) in [(from, to, capacity, cost), (to, from, 0, -cost)] {
            self.leaving[at as usize].push(self.arcs.len() as u32);
            self.arcs.push(Arc { to, left, cost, link });
        }
        debug_assert_eq!(forward % 2, 0);
    }

    /// Sends one unit more along the cheapest residual path (Bellman and Ford's algorithm, by a queue: costs on
    /// the way back are negative). Whether there was one.
    fn augment(&mut self) -> bool {
        let nodes = self.leaving.len();
        let mut cost = vec![i128::MAX; nodes];
        let mut arrived_by = vec![u32::MAX; nodes];
        let mut waiting = vec![false; nodes];
        let mut queue = VecDeque::from([self.source]);
        cost[self.source as usize] = 0;
        while let Some(node) = queue.pop_front() {
            waiting[node as usize] = false;
            for &number in &self.leaving[node as usize] {
                let arc = self.arcs[number as usize];
                let through = cost[node as usize] + arc.cost;
                if arc.left == 0 || through >= cost[arc.to as usize] {
                    continue;
                }
                cost[arc.to as usize] = through;
                arrived_by[arc.to as usize] = number;
                if !std::mem::replace(&mut waiting[arc.to as usize], true) {
                    queue.push_back(arc.to);
                }
            }
        }
        let mut node = self.sink;
        if cost[node as usize] == i128::MAX {
            return false;
        }
        while node != self.source {
            let number = arrived_by[node as usize] as usize;
            self.arcs[number].left -= 1;
            let back = &mut self.arcs[number ^ 1];
            back.left = back.left.saturating_add(1);
            node = back.to;
        }
        true
    }

    /// Takes the flow apart. Costs are positive, so it has no cycles.
    fn paths(&self, topology: &Topology) -> Vec<Vec<LinkId>> {
        let mut used: Vec<Vec<LinkId>> = vec![Vec::new(); topology.region_count()];
        let forward = self.arcs.iter().step_by(2);
        for link in forward.filter(|arc| arc.left == 0).filter_map(|arc| arc.link) {
            used[topology.link(link).from.index()].push(link);
        }
        let (from, to) = (self.source / 2, RegionId(self.sink / 2));
        let mut paths = Vec::new();
        while !used[from as usize].is_empty() {
            let mut here = RegionId(from);
            let mut links = Vec::new();
            while here != to {
                let link = used[here.index()].remove(0);
                links.push(link);
                here = topology.link(link).to;
            }
            paths.push(links);
        }
        paths
    }
}
