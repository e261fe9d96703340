//! The k shortest paths without loops, and all that are nearly as good as the best.
//!
//! J. Y. Yen, "Finding the K shortest loopless networks", Management Science 17 (1971), with E. L. Lawler's remark
//! (1972) that a path found as a deviation need not be deviated from before that point. Paths are ordered by
//! (weight, hops, names), so the list is unique. Paths over different parallel links are different paths.

use std::collections::BTreeSet;

use longhaul_core::units::Probability;

use crate::order::Rank;
use crate::spf::{Spf, descend};
use crate::topology::{LinkId, RegionId, Topology, UNUSABLE};

/// Yields paths from the best on. Each costs at most one search per link of the path before it.
#[derive(Clone, Debug)]
pub struct Paths<'a> {
    topology: &'a Topology,
    from: RegionId,
    to: RegionId,
    weights: Vec<u64>,
    spf: Spf,
    found: Vec<Vec<LinkId>>,
    /// Paths that may come next, with the place at which they leave the path that they were found from.
    candidates: BTreeSet<(Rank, usize)>,
    /// Where the last path left the one that it was found from.
    left_at: usize,
    over: bool,
}

/// The paths from one region to another in the order of (weight, hops, names), over links that weigh less than
/// [`UNUSABLE`]. From a region to itself there is one, without links.
///
/// # Panics
/// If there is not one weight for each link.
pub fn paths<'a>(topology: &'a Topology, weights: &[u64], from: RegionId, to: RegionId) -> Paths<'a> {
    assert_eq!(weights.len(), topology.link_count(), "one weight for each link");
    Paths {
        topology,
        from,
        to,
        weights: weights.to_vec(),
        spf: Spf::new(),
        found: Vec::new(),
        candidates: BTreeSet::new(),
        left_at: 0,
        over: false,
    }
}

/// Distinct paths whose weight is at most the best one's plus `tolerance` of it, at most `limit`, best first.
///
/// # Panics
/// If there is not one weight for each link.
pub fn near_equal(
    topology: &Topology,
    weights: &[u64],
    from: RegionId,
    to: RegionId,
    tolerance: Probability,
    limit: usize,
) -> Vec<Vec<LinkId>> {
    let weight = |links: &[LinkId]| links.iter().map(|link| weights[link.index()]).sum::<u64>();
    let mut near: Vec<Vec<LinkId>> = Vec::new();
    for path in paths(topology, weights, from, to).take(limit) {
        if let Some(best) = near.first() {
            let (best, whole) = (u128::from(weight(best)), u128::from(Probability::PARTS));
            let most = best * (whole + u128::from(tolerance.as_parts()));
            if u128::from(weight(&path)) * whole > most {
                break;
            }
        }
        near.push(path);
    }
    near
}

impl Paths<'_> {
    /// Adds the best path that shares the first `place` links of `path` and then leaves every path found so far.
    fn deviate(&mut self, path: &[LinkId], place: usize) {
        let spur = match path[..place].last() {
            Some(&link) => self.topology.link(link).to,
            None => self.from,
        };
        let mut removed = Vec::new();
        let mut remove = |weights: &mut [u64], link: LinkId| {
            let weight = std::mem::replace(&mut weights[link.index()], UNUSABLE);
            removed.push((link, weight));
        };
        for known in &self.found {
            if known.len() > place && known[..place] == path[..place] {
                remove(&mut self.weights, known[place]);
            }
        }
        // The way must not come back to a region on the shared part.
        let mut here = self.from;
        for &link in &path[..place] {
            for &(_, back) in self.topology.arriving(here) {
                remove(&mut self.weights, back);
            }
            here = self.topology.link(link).to;
        }
        let distances = self.spf.run_until(self.topology, &self.weights, self.to, spur);
        let rest = descend(self.topology, &self.weights, distances, spur, self.to);
        for (link, weight) in removed.into_iter().rev() {
            self.weights[link.index()] = weight;
        }
        if let Some(rest) = rest {
            let links = [&path[..place], &rest].concat();
            let rank = Rank::new(self.topology, &self.weights, &links);
            self.candidates.insert((rank, place));
        }
    }
}

impl Iterator for Paths<'_> {
    type Item = Vec<LinkId>;

    fn next(&mut self) -> Option<Vec<LinkId>> {
        if self.over {
            return None;
        }
        let next = if let Some(last) = self.found.last().cloned() {
            // Everything that leaves the last path before this place is among the candidates already.
            for place in self.left_at..last.len() {
                self.deviate(&last, place);
            }
            self.candidates.pop_first().map(|(rank, place)| {
                self.left_at = place;
                rank.links
            })
        } else {
            let (topology, weights) = (self.topology, &self.weights);
            let distances = self.spf.run_until(topology, weights, self.to, self.from);
            descend(topology, weights, distances, self.from, self.to)
        };
        match &next {
            Some(links) => self.found.push(links.clone()),
            None => self.over = true,
        }
        next
    }
}
