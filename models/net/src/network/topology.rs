//! Regions and links by number and by name: what every network is built on, whatever crosses it.

use std::collections::BTreeMap;

use longhaul_core::schedule::EntityId;

use crate::network::{NetworkError, NetworkLink, OpenError};
use crate::routing::{Edge, Graph, LinkId, RegionId, RoutingPolicy};

/// The graph of a network, the names of its links, and where its entities begin: links from `first_entity` on in the
/// order of the list, then two per connection.
#[derive(Clone, Debug)]
pub struct Topology {
    first_entity: u32,
    graph: Graph,
    names: Vec<String>,
    by_name: BTreeMap<String, LinkId>,
    /// Links of regions to themselves: one for each region or none. They come after the others.
    local: u32,
}

impl Topology {
    /// Regions joined by links. A link's name is `from->to`.
    ///
    /// # Errors
    /// If names repeat, or a link ends nowhere, leads back to its start or has a twin.
    pub fn new(
        first_entity: u32,
        regions: &[String],
        links: &[NetworkLink],
        policy: RoutingPolicy,
    ) -> Result<Topology, NetworkError> {
        let edge = |link: &NetworkLink| Edge {
            from: link.from,
            to: link.to,
            latency: link.spec.delay,
            cost: link.spec.cost,
            capacity: link.spec.rate,
            loss: link.spec.loss.mean(),
        };
        let edges: Vec<Edge> = links.iter().map(edge).collect();
        let graph = Graph::with_policy(regions, &edges, policy)?;
        let room = EntityId::LIMIT.saturating_sub(first_entity);
        if links.len() > room as usize {
            return Err(NetworkError::TooManyLinks);
        }
        let mut names = Vec::with_capacity(links.len());
        let mut by_name = BTreeMap::new();
        for (id, link) in (0..).map(LinkId).zip(links) {
            let name = format!("{}->{}", graph.name(link.from), graph.name(link.to));
            if by_name.insert(name.clone(), id).is_some() {
                return Err(NetworkError::ParallelLinks(name));
            }
            names.push(name);
        }
        Ok(Topology {
            first_entity,
            graph,
            names,
            by_name,
            local: 0,
        })
    }

    /// Regions and routes.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// The names of the links, in the order of the list.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The name of a link.
    ///
    /// # Panics
    /// If it is not of this network.
    pub fn name(&self, link: LinkId) -> &str {
        &self.names[link.0 as usize]
    }

    /// The link of this name.
    pub fn link_named(&self, name: &str) -> Option<LinkId> {
        self.by_name.get(name).copied()
    }

    /// Every region has a link to itself from now on. Before any connection is opened.
    pub fn join_locally(&mut self, regions: u32) {
        self.local = regions;
    }

    /// The link of a region to itself.
    pub fn local(&self, region: RegionId) -> Option<LinkId> {
        (self.local > 0).then(|| LinkId(self.names.len() as u32 + region.0))
    }

    /// Where a link ends, those of regions to themselves included.
    #[inline]
    pub fn far_end(&self, link: LinkId) -> RegionId {
        match link.0.checked_sub(self.names.len() as u32) {
            None => self.graph.far_end(link),
            Some(region) => RegionId(region),
        }
    }

    /// Links, those of regions to themselves included.
    fn all_links(&self) -> usize {
        self.names.len() + self.local as usize
    }

    /// The entity of the first link.
    pub fn first_entity(&self) -> u32 {
        self.first_entity
    }

    /// The entity of one side of a connection, sides counted from 0.
    ///
    /// # Panics
    /// If there are not so many entities: [`Topology::admit`] refuses before.
    pub fn side(&self, side: u32) -> EntityId {
        EntityId::new(self.first_entity + self.all_links() as u32 + side)
    }

    /// Whether another connection between two regions can be opened beside `sides` sides.
    ///
    /// # Errors
    /// If the regions are one that has no link to itself, or there are no entities left.
    pub fn admit(&self, from: RegionId, to: RegionId, sides: usize) -> Result<(), OpenError> {
        if from == to && self.local == 0 {
            return Err(OpenError::SameRegion(self.graph.name(from).to_owned()));
        }
        let used = self.first_entity as usize + self.all_links() + sides;
        if used + 2 > EntityId::LIMIT as usize {
            return Err(OpenError::TooManyConnections);
        }
        Ok(())
    }
}
