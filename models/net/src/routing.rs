//! Routes between regions.
//!
//! The answer is unique: routes are ordered by (what the [`Objective`] counts, hops, the names of the regions on the way,
//! compared one by one), so neither the order in which links are listed nor the queue inside decides anything. Of
//! parallel links between two regions the better one counts, then the lower index.
//!
//! A region that forwards a packet looks at its destination alone, so what a network follows are [next
//! hops](Graph::next_hops); over the same links they lead along the same routes, with one exception: where the
//! objective is [`Objective::Widest`], a region on the way knows the best route from itself, which is at least as wide
//! as the rest of the one on which the packet came. Next hops never lead in a circle: along them the width that remains
//! does not fall, and while it stays the same, latency and hops do.
//!
//! Regions and links are numbered in the order of a list here; the library below numbers them by name.

use std::collections::BTreeMap;

use longhaul_core::time::Span;
use longhaul_core::units::{BitRate, Probability};
use longhaul_routing::{
    Builder, LinkState, Metric, Router, Spf, Topology, UNUSABLE, descend, equal_next_hops, next_hop,
};
pub use longhaul_routing::{Congestion, MAX_WEIGHT, Objective, Weights};
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
    /// One-way propagation delay. Beyond [`MAX_WEIGHT`] nanoseconds (73 minutes) all count alike.
    pub latency: Span,
    /// What it costs to use, in a unit of the owner's choice, at most [`MAX_WEIGHT`].
    pub cost: u64,
    /// Rate at which it sends.
    pub capacity: BitRate,
    /// Share of the packets that it loses.
    pub loss: Probability,
}

impl Edge {
    /// A link of which only the latency counts.
    pub const fn of_latency(from: RegionId, to: RegionId, latency: Span) -> Edge {
        Edge {
            from,
            to,
            latency,
            cost: 0,
            capacity: BitRate::from_bits_per_s(0),
            loss: Probability::ZERO,
        }
    }
}

/// How routes are chosen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RoutingPolicy {
    /// What makes a route good.
    pub objective: Objective,
    /// Whether flows share routes that are equally good, hops aside (equal-cost multipath, RFC 2992). Not where the
    /// objective is [`Objective::Widest`]: there routes are alike by chance only.
    pub multipath: bool,
}

impl Default for RoutingPolicy {
    /// Lowest latency, one route.
    fn default() -> RoutingPolicy {
        RoutingPolicy {
            objective: Objective::Latency,
            multipath: false,
        }
    }
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
    /// There are more regions or links than the routing library numbers.
    #[error("more regions or links than can be numbered")]
    TooMany,
    /// A link costs more than [`MAX_WEIGHT`].
    #[error("link {} costs {}, which is above {MAX_WEIGHT}", .0.0, .1)]
    TooDear(LinkId, u64),
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
    policy: RoutingPolicy,
    topology: Topology,
    /// The topology's number of each region and link, and the other way round.
    ranks: Numbers<longhaul_routing::RegionId, RegionId>,
    link_ranks: Numbers<longhaul_routing::LinkId, LinkId>,
    /// What each of the topology's links weighs; for [`Objective::Widest`] its latency.
    weights: Vec<u64>,
}

/// Two numberings of the same things.
#[derive(Clone, Debug)]
struct Numbers<Theirs, Ours> {
    theirs: Vec<Theirs>,
    ours: Vec<Ours>,
}

impl Graph {
    /// The graph of these regions and links, with routes of lowest latency.
    ///
    /// # Errors
    /// If names repeat, a link ends nowhere or leads back to its own start: see [`GraphError`].
    pub fn new(regions: &[String], edges: &[Edge]) -> Result<Graph, GraphError> {
        Graph::with_policy(regions, edges, RoutingPolicy::default())
    }

    /// The same, with routes chosen otherwise.
    ///
    /// # Errors
    /// As [`Graph::new`].
    pub fn with_policy(
        regions: &[String],
        edges: &[Edge],
        policy: RoutingPolicy,
    ) -> Result<Graph, GraphError> {
        let mut by_name = BTreeMap::new();
        let mut builder = Builder::new();
        for (id, name) in (0..).map(RegionId).zip(regions) {
            if by_name.insert(name.clone(), id).is_some() {
                return Err(GraphError::DuplicateRegion(name.clone()));
            }
            builder.region(name).map_err(|_| GraphError::TooMany)?;
        }
        for (id, edge) in (0..).map(LinkId).zip(edges) {
            for end in [edge.from, edge.to] {
                if end.0 as usize >= regions.len() {
                    return Err(GraphError::UnknownEnd(id, end));
                }
            }
            let [from, to] = [edge.from, edge.to].map(|end| regions[end.0 as usize].as_str());
            if edge.from == edge.to {
                return Err(GraphError::Loop(id, from.to_owned()));
            }
            if edge.cost > MAX_WEIGHT {
                return Err(GraphError::TooDear(id, edge.cost));
            }
            let latency = edge.latency.min(Span::from_ns(MAX_WEIGHT));
            let state = LinkState {
                cost: edge.cost,
                loss: edge.loss,
                ..LinkState::idle(latency, edge.capacity)
            };
            // Digits keep parallel links in the order of the list.
            let added = builder.link(from, to, &format!("{:010}", id.0), state, &[]);
            added.map_err(|_| GraphError::TooMany)?;
        }
        let topology = builder.build();
        let theirs = regions
            .iter()
            .map(|name| topology.region(name).expect("just added"));
        let theirs: Vec<_> = theirs.collect();
        let mut ours = vec![RegionId(0); regions.len()];
        for (id, rank) in (0..).map(RegionId).zip(&theirs) {
            ours[rank.index()] = id;
        }
        let ranks = Numbers { theirs, ours };
        let ours = topology.links().map(|link| {
            let index = topology.link(link).name.parse().expect("the digits of an index");
            LinkId(index)
        });
        let ours: Vec<LinkId> = ours.collect();
        let mut theirs = vec![longhaul_routing::LinkId(0); edges.len()];
        for (rank, id) in topology.links().zip(&ours) {
            theirs[id.0 as usize] = rank;
        }
        let weights = match policy.objective {
            Objective::Latency | Objective::Widest => topology.weights(Metric::Latency).to_vec(),
            Objective::Cost => topology.weights(Metric::Cost).to_vec(),
            Objective::Balanced(weights) => topology
                .links()
                .map(|link| weights.link(&topology, link))
                .collect(),
        };
        Ok(Graph {
            names: regions.to_vec(),
            by_name,
            edges: edges.to_vec(),
            policy,
            topology,
            ranks,
            link_ranks: Numbers { theirs, ours },
            weights,
        })
    }

    /// How routes are chosen.
    pub fn policy(&self) -> RoutingPolicy {
        self.policy
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

    /// The best route; among equals the one with the fewest hops, then the one whose region names come first. From a
    /// region to itself it has no links.
    ///
    /// # Errors
    /// [`RouteError::NoPath`].
    ///
    /// # Panics
    /// If one of the regions is not of this graph.
    pub fn route(&self, from: RegionId, to: RegionId) -> Result<Route, RouteError> {
        let (start, end) = (self.rank(from), self.rank(to));
        let links = match self.policy.objective {
            Objective::Widest => {
                let mut router = Router::new(self.topology.clone());
                router
                    .compute(start, end, &Objective::Widest)
                    .ok()
                    .map(|route| route.links)
            }
            _ => {
                let mut spf = Spf::new();
                let distances = spf.run_until(&self.topology, &self.weights, end, start);
                descend(&self.topology, &self.weights, distances, start, end)
            }
        };
        let Some(links) = links else {
            return Err(RouteError::NoPath {
                from: self.name(from).to_owned(),
                to: self.name(to).to_owned(),
            });
        };
        let links: Vec<LinkId> = links
            .iter()
            .map(|link| self.link_ranks.ours[link.index()])
            .collect();
        let latency = links.iter().fold(Span::ZERO, |sum, link| {
            sum.saturating_add(self.edges[link.0 as usize].latency)
        });
        Ok(Route { links, latency })
    }

    /// For each region the link on which it sends packets for `to`, when only the links that are `up` are used: the
    /// first of [`Graph::route`] over those. `None` where no route is left, and for `to` itself.
    ///
    /// # Panics
    /// If `to` is not of this graph.
    pub fn next_hops(&self, to: RegionId, up: impl Fn(LinkId) -> bool) -> Vec<Option<LinkId>> {
        let end = self.rank(to);
        let hops: Vec<Option<longhaul_routing::LinkId>> = match self.policy.objective {
            Objective::Widest => {
                let mut topology = self.topology.clone();
                for link in self.topology.links() {
                    topology.set_link_up(link, up(self.link_ranks.ours[link.index()]));
                }
                let mut router = Router::new(topology);
                let regions = self.topology.regions();
                let first = |here| {
                    let route = router.compute(here, end, &Objective::Widest).ok()?;
                    route.links.first().copied()
                };
                regions.map(first).collect()
            }
            _ => {
                let weights = self.weights_of(up);
                let mut spf = Spf::new();
                let distances = spf.run(&self.topology, &weights, end);
                let hop = |here| next_hop(&self.topology, &weights, distances, here);
                self.topology.regions().map(hop).collect()
            }
        };
        let ours = |hop: Option<longhaul_routing::LinkId>| hop.map(|hop| self.link_ranks.ours[hop.index()]);
        self.ranks
            .theirs
            .iter()
            .map(|rank| ours(hops[rank.index()]))
            .collect()
    }

    /// For each region the links on which it may send packets for `to` when equally good routes share the flows, in the
    /// order of the names of their far ends. None where no route is left, and for `to` itself.
    ///
    /// # Panics
    /// If `to` is not of this graph.
    pub fn equal_next_hops(&self, to: RegionId, up: impl Fn(LinkId) -> bool) -> Vec<Vec<LinkId>> {
        let weights = self.weights_of(up);
        let mut spf = Spf::new();
        let distances = spf.run(&self.topology, &weights, self.rank(to));
        let ours = |rank: &longhaul_routing::RegionId| {
            let hops = equal_next_hops(&self.topology, &weights, distances, *rank);
            hops.map(|(_, link)| self.link_ranks.ours[link.index()]).collect()
        };
        self.ranks.theirs.iter().map(ours).collect()
    }

    /// A number that stands for a link by its names alone.
    pub fn key(&self, link: LinkId) -> u64 {
        self.topology.link(self.link_ranks.theirs[link.0 as usize]).key
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

    fn rank(&self, region: RegionId) -> longhaul_routing::RegionId {
        self.ranks.theirs[region.0 as usize]
    }

    /// The weights when only the links that are `up` are used.
    fn weights_of(&self, up: impl Fn(LinkId) -> bool) -> Vec<u64> {
        let weights = self.weights.iter().zip(&self.link_ranks.ours);
        weights
            .map(|(&weight, &link)| if up(link) { weight } else { UNUSABLE })
            .collect()
    }
}
