//! The most that can flow between two regions.

use std::collections::VecDeque;

use longhaul_routing::{LinkId, RegionId, Topology};

/// What can flow from one region to another over all paths at once, which is the capacity of the smallest cut between them (Ford
/// and Fulkerson, 1956), in bit/s. Exact: shortest augmenting paths on whole numbers (Edmonds and Karp, 1972). Links that are
/// down carry nothing; between a region and itself there is no cut, and the answer is the largest number.
pub fn smallest_cut(topology: &Topology, from: RegionId, to: RegionId) -> u64 {
    if from == to {
        return u64::MAX;
    }
    let mut left: Vec<u64> = topology
        .links()
        .map(|link| match topology.usable(link) {
            true => topology.state(link).capacity.as_bits_per_s(),
            false => 0,
        })
        .collect();
    let mut taken = vec![0u64; left.len()];
    let mut total = 0u64;
    while let Some(path) = shortest(topology, (from, to), &left, &taken) {
        let room = |&(link, forth): &(LinkId, bool)| {
            if forth {
                left[link.index()]
            } else {
                taken[link.index()]
            }
        };
        let most = path.iter().map(room).min().unwrap_or(0);
        for (link, forth) in path {
            let (left, taken) = (&mut left[link.index()], &mut taken[link.index()]);
            // What flows against a link takes back what flows along it.
            if forth {
                *left -= most;
                *taken += most;
            } else {
                *left += most;
                *taken -= most;
            }
        }
        total = total.saturating_add(most);
    }
    total
}

/// The links of a shortest path with room, each with whether it is used along its direction.
fn shortest(
    topology: &Topology,
    (from, to): (RegionId, RegionId),
    left: &[u64],
    taken: &[u64],
) -> Option<Vec<(LinkId, bool)>> {
    let mut reached: Vec<Option<(RegionId, LinkId, bool)>> = vec![None; topology.region_count()];
    let mut queue = VecDeque::from([from]);
    while let Some(here) = queue.pop_front() {
        if here == to {
            let mut path = Vec::new();
            let mut at = to;
            while at != from {
                let (before, link, forth) = reached[at.index()].expect("reached on the way here");
                path.push((link, forth));
                at = before;
            }
            return Some(path);
        }
        let forth = topology
            .leaving(here)
            .iter()
            .filter(|(_, link)| left[link.index()] > 0);
        let back = topology
            .arriving(here)
            .iter()
            .filter(|(_, link)| taken[link.index()] > 0);
        let next = forth
            .map(|next| (next, true))
            .chain(back.map(|next| (next, false)));
        for ((region, link), forth) in next {
            if *region != from && reached[region.index()].is_none() {
                reached[region.index()] = Some((here, *link, forth));
                queue.push_back(*region);
            }
        }
    }
    None
}
