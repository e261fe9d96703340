//! The paths that a pair of regions may use: chosen beforehand and kept, since installing paths takes longer than changing
//! rates.

use std::collections::{BTreeMap, BTreeSet};

use longhaul_routing::{Demands, Disjoint, GroupId, LinkId, RegionId, Topology, disjoint_paths, paths};

/// Paths by pair; at most 64 each.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Tunnels {
    pairs: BTreeMap<(RegionId, RegionId), Vec<Vec<LinkId>>>,
}

/// For each pair with a demand: up to two paths without a common link or region, so that one survives what it can, then the
/// shortest that are not among them, up to `count` in all (at most 64).
///
/// # Panics
/// If there is not one weight for each link.
pub fn tunnels(topology: &Topology, weights: &[u64], demands: &Demands, count: usize) -> Tunnels {
    let count = count.min(64);
    let mut tunnels = Tunnels::default();
    for (from, to, _) in demands.iter() {
        let mut chosen = disjoint_paths(topology, weights, from, to, 2, Disjoint::Regions);
        if chosen.len() < 2 {
            chosen = disjoint_paths(topology, weights, from, to, 2, Disjoint::Links);
        }
        chosen.truncate(count);
        // The pair is among the shortest now and then; looking a little further makes up for it.
        for path in paths(topology, weights, from, to).take(count + 2) {
            if chosen.len() < count && !chosen.contains(&path) {
                chosen.push(path);
            }
        }
        tunnels.pairs.insert((from, to), chosen);
    }
    tunnels
}

impl Tunnels {
    /// The paths of a pair.
    pub fn of(&self, from: RegionId, to: RegionId) -> &[Vec<LinkId>] {
        self.pairs.get(&(from, to)).map_or(&[], Vec::as_slice)
    }
}

/// Which paths survive, one bit for each.
pub(crate) type Mask = u64;

/// The paths of a pair and the groups that each of them depends on.
pub(crate) struct Exposure {
    pub all: Mask,
    /// By group: the paths that fail with it.
    hit: BTreeMap<GroupId, Mask>,
}

impl Exposure {
    pub fn new(topology: &Topology, paths: &[Vec<LinkId>]) -> Exposure {
        let mut hit: BTreeMap<GroupId, Mask> = BTreeMap::new();
        for (place, path) in paths.iter().enumerate() {
            for group in path.iter().flat_map(|link| &topology.link(*link).groups) {
                *hit.entry(*group).or_default() |= 1 << place;
            }
        }
        let all = if paths.len() == 64 {
            Mask::MAX
        } else {
            (1 << paths.len()) - 1
        };
        Exposure { all, hit }
    }

    /// The paths that survive when these groups are down.
    pub fn left(&self, down: &[GroupId]) -> Mask {
        let lost = down.iter().filter_map(|group| self.hit.get(group));
        self.all & !lost.fold(0, |lost, hit| lost | hit)
    }

    /// What may be left after any `failures` groups failed, without what contains another.
    pub fn worst(&self, failures: usize) -> Vec<Mask> {
        let mut left = BTreeSet::from([self.all]);
        for _ in 0..failures {
            let hits = || self.hit.values();
            let fewer: Vec<Mask> = left
                .iter()
                .flat_map(|mask| hits().map(move |hit| mask & !hit))
                .collect();
            left.extend(fewer);
        }
        let contains_another = |mask: &Mask| left.iter().any(|other| other != mask && other & !mask == 0);
        left.iter()
            .copied()
            .filter(|mask| !contains_another(mask))
            .collect()
    }
}

/// The places of the bits of a mask.
pub(crate) fn places(mask: Mask) -> impl Iterator<Item = usize> {
    (0..64).filter(move |place| mask >> place & 1 == 1)
}
