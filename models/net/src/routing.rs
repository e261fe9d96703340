//! Lowest-latency routes between regions.
//!
//! The answer is unique: routes are ordered by (latency, hops, the names of the regions on the way, compared
//! one by one), so neither the order in which links are listed nor the queue inside decides anything. Of
//! parallel links between two regions the one with the lowest latency counts, then the lowest index.
//!
//! A region that forwards a packet looks at its destination alone, so what a network follows are [next
//! hops](Graph::next_hops); over the same links they lead along the same routes.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use longhaul_core::time::Span;
use thiserror::Error;

/// A region, by its index in the list that the graph was made of.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct RegionId(pub u32);

/// A directed link, by its index in the list that the graph was made of.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct LinkId(pub u32);

/// A directed link as routing sees it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Edge {
    /// Region at the sending end.
    pub from: RegionId,
    /// Region at the receiving end.
    pub to: RegionId,
    /// One-way propagation delay.
    pub latency: Span,
}

/// A way from one region to another.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Route {
    /// The links in the order in which they are crossed; empty from a region to itself.
    pub links: Vec<LinkId>,
    /// Sum of their latencies, [`Span::MAX`] if it lies beyond the range.
    pub latency: Span,
}

/// Why a graph cannot be built.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum GraphError {
    /// Two regions have one name.
    #[error("two regions are named \"{0}\"")]
    DuplicateRegion(String),
    /// A link starts or ends at a region that is not in the list.
    #[error("link {} ends at region {}, which does not exist", .0.0, .1.0)]
    UnknownEnd(LinkId, RegionId),
    /// A link leads back to where it starts.
    #[error("link {} leads from region \"{}\" to itself", .0.0, .1)]
    Loop(LinkId, String),
}

/// Why there is no route.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum RouteError {
    /// There is no region of this name.
    #[error("no region is named \"{0}\"")]
    UnknownRegion(String),
    /// No sequence of links leads from one to the other.
    #[error("no path leads from \"{from}\" to \"{to}\"")]
    NoPath {
        /// Where the route should start.
        from: String,
        /// Where it should end.
        to: String,
    },
}

/// Regions and the directed links between them.
#[derive(Clone, Debug)]
pub struct Graph {
    names: Vec<String>,
    /// Regions by name.
    by_name: BTreeMap<String, RegionId>,
    edges: Vec<Edge>,
    /// Links that leave each region, in the order of (name of the far end, latency, index).
    leaving: Vec<Vec<LinkId>>,
    /// Links that arrive at each region.
    arriving: Vec<Vec<LinkId>>,
}

/// What is left to go: latency in nanoseconds first, then hops. Hops make it fall strictly along a route, so
/// links without latency form no cycles; 128 bits hold the sum over any route.
type Remaining = (u128, u32);

impl Graph {
    /// The graph of these regions and links.
    ///
    /// # Errors
    /// If names repeat, a link ends nowhere or leads back to its own start: see [`GraphError`].
    pub fn new(regions: &[String], edges: &[Edge]) -> Result<Graph, GraphError> {
        let mut by_name = BTreeMap::new();
        for (id, name) in (0..).map(RegionId).zip(regions) {
            if by_name.insert(name.clone(), id).is_some() {
                return Err(GraphError::DuplicateRegion(name.clone()));
            }
        }
        let mut leaving = vec![Vec::new(); regions.len()];
        let mut arriving = vec![Vec::new(); regions.len()];
        for (id, edge) in (0..).map(LinkId).zip(edges) {
            for end in [edge.from, edge.to] {
                if end.0 as usize >= regions.len() {
                    return Err(GraphError::UnknownEnd(id, end));
                }
            }
            if edge.from == edge.to {
                return Err(GraphError::Loop(id, regions[edge.from.0 as usize].clone()));
            }
            leaving[edge.from.0 as usize].push(id);
            arriving[edge.to.0 as usize].push(id);
        }
        for links in &mut leaving {
            links.sort_by_key(|&id| {
                let edge = edges[id.0 as usize];
                (&regions[edge.to.0 as usize], edge.latency, id)
            });
        }
        Ok(Graph {
            names: regions.to_vec(),
            by_name,
            edges: edges.to_vec(),
            leaving,
            arriving,
        })
    }

    /// The region of this name.
    ///
    /// # Errors
    /// [`RouteError::UnknownRegion`].
    pub fn region(&self, name: &str) -> Result<RegionId, RouteError> {
        let found = self.by_name.get(name).copied();
        found.ok_or_else(|| RouteError::UnknownRegion(name.to_owned()))
    }

    /// The name of a region.
    ///
    /// # Panics
    /// If the region is not of this graph.
    pub fn name(&self, region: RegionId) -> &str {
        &self.names[region.0 as usize]
    }

    /// The lowest-latency route; among equals the one with the fewest hops, then the one whose region names
    /// come first. From a region to itself it has no links.
    ///
    /// # Errors
    /// [`RouteError::NoPath`].
    ///
    /// # Panics
    /// If one of the regions is not of this graph.
    pub fn route(&self, from: RegionId, to: RegionId) -> Result<Route, RouteError> {
        let all = |_| true;
        let remaining = self.remaining_to(to, Some(from), &all);
        let Some((latency, hops)) = remaining[from.0 as usize] else {
            return Err(RouteError::NoPath {
                from: self.name(from).to_owned(),
                to: self.name(to).to_owned(),
            });
        };
        // Every best route goes down in `remaining` at each hop and every such descent is a best route, so
        // taking the first name at each step gives the first of them.
        let mut links = Vec::with_capacity(hops as usize);
        let mut here = from;
        while here != to {
            let step = self.step(here, &remaining, &all);
            let step = step.expect("a region from which the end can be reached has a next hop");
            links.push(step);
            here = self.edges[step.0 as usize].to;
        }
        let latency = u64::try_from(latency).map_or(Span::MAX, Span::from_ns);
        Ok(Route { links, latency })
    }

    /// For each region the link on which it sends packets for `to`, when only the links that are `up` are used:
    /// the first of [`Graph::route`] over those. `None` where no route is left, and for `to` itself.
    ///
    /// # Panics
    /// If `to` is not of this graph.
    pub fn next_hops(&self, to: RegionId, up: impl Fn(LinkId) -> bool) -> Vec<Option<LinkId>> {
        let remaining = self.remaining_to(to, None, &up);
        let regions = (0..).map(RegionId).zip(&remaining);
        regions
            .map(|(here, left)| {
                left.filter(|_| here != to)
                    .and_then(|_| self.step(here, &remaining, &up))
            })
            .collect()
    }

    /// The region that a link leads from.
    ///
    /// # Panics
    /// If the link is not of this graph.
    pub fn near_end(&self, link: LinkId) -> RegionId {
        self.edges[link.0 as usize].from
    }

    /// The region that a link leads to.
    ///
    /// # Panics
    /// If the link is not of this graph.
    #[inline]
    pub fn far_end(&self, link: LinkId) -> RegionId {
        self.edges[link.0 as usize].to
    }

    /// The first of the links out of a region on which less remains.
    fn step(
        &self,
        here: RegionId,
        remaining: &[Option<Remaining>],
        up: &impl Fn(LinkId) -> bool,
    ) -> Option<LinkId> {
        let leaving = self.leaving[here.0 as usize].iter().copied();
        leaving.filter(|&id| up(id)).find(|&id| {
            let edge = self.edges[id.0 as usize];
            let beyond = remaining[edge.to.0 as usize];
            beyond.map(|rest| add(rest, edge.latency)) == remaining[here.0 as usize]
        })
    }

    /// Dijkstra's algorithm backwards from `to` over the links that are `up`: what remains from each region. If
    /// only `from` is wanted, regions farther away may be missing.
    fn remaining_to(
        &self,
        to: RegionId,
        from: Option<RegionId>,
        up: &impl Fn(LinkId) -> bool,
    ) -> Vec<Option<Remaining>> {
        let mut best: Vec<Option<Remaining>> = vec![None; self.names.len()];
        let mut heap = BinaryHeap::from([Reverse(((0, 0), to))]);
        best[to.0 as usize] = Some((0, 0));
        while let Some(Reverse((rest, region))) = heap.pop() {
            if best[region.0 as usize] != Some(rest) {
                continue;
            }
            if Some(region) == from {
                break;
            }
            for &id in self.arriving[region.0 as usize].iter().filter(|&&id| up(id)) {
                let edge = self.edges[id.0 as usize];
                let through = add(rest, edge.latency);
                let known = &mut best[edge.from.0 as usize];
                if known.is_none_or(|known| through < known) {
                    *known = Some(through);
                    heap.push(Reverse((through, edge.from)));
                }
            }
        }
        best
    }
}

fn add((latency, hops): Remaining, more: Span) -> Remaining {
    (latency + u128::from(more.as_ns()), hops + 1)
}
