//! The order of paths that are equally good by weight and hops: by the names of the regions on the way, compared
//! one by one, then by the names of the links. Ids have the order of names.

use crate::spf::Distance;
use crate::topology::{LinkId, RegionId, Topology};

/// What sorts paths with the same start by name.
pub(crate) fn names(topology: &Topology, links: &[LinkId]) -> (Vec<RegionId>, Vec<LinkId>) {
    let ends = links.iter().map(|&link| topology.link(link).to);
    (ends.collect(), links.to_vec())
}

/// What sorts paths with the same start: weight, hops, names.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Rank {
    pub(crate) distance: Distance,
    regions: Vec<RegionId>,
    pub(crate) links: Vec<LinkId>,
}

impl Rank {
    /// The rank of a path over usable links.
    pub(crate) fn new(topology: &Topology, weights: &[u64], links: &[LinkId]) -> Rank {
        let add = |sum: Distance, link: &LinkId| sum.plus(weights[link.index()]);
        let (regions, links) = names(topology, links);
        Rank {
            distance: links.iter().fold(Distance::ZERO, add),
            regions,
            links,
        }
    }
}
