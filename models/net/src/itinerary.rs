//! The links that a packet crosses, laid out so that a packet carries one number and a hop costs one look-up.

use std::collections::BTreeMap;

use crate::routing::{Graph, LinkId, RegionId, RouteError};

/// Where a packet is on its way: an index into [`Itineraries`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Hop(u32);

/// The routes in use. Each is computed once and kept, so connections between the same regions share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Itineraries {
    /// All routes, one after another; `None` ends each.
    links: Vec<Option<LinkId>>,
    first_hops: BTreeMap<(RegionId, RegionId), Hop>,
}

impl Hop {
    /// The hop after this one.
    #[inline]
    pub(crate) fn next(self) -> Hop {
        Hop(self.0 + 1)
    }
}

impl Itineraries {
    /// The first hop from one region to another; at the end at once if they are the same.
    pub(crate) fn start(&mut self, graph: &Graph, from: RegionId, to: RegionId) -> Result<Hop, RouteError> {
        if let Some(&known) = self.first_hops.get(&(from, to)) {
            return Ok(known);
        }
        let route = graph.route(from, to)?;
        let first = Hop(u32::try_from(self.links.len()).expect("routes fill 2^32 hops"));
        self.links.extend(route.links.into_iter().map(Some));
        self.links.push(None);
        self.first_hops.insert((from, to), first);
        Ok(first)
    }

    /// The link to cross at this hop; `None` at the end of the route.
    #[inline]
    pub(crate) fn link(&self, hop: Hop) -> Option<LinkId> {
        self.links[hop.0 as usize]
    }
}
