//! The tables by which regions forward packets: one look-up per hop, by region and [`Way`].

use crate::routing::{Graph, LinkId, RegionId, RouteError};
use crate::way::{Encapsulation, Path, Way};

/// Next hops for the ways in use, over the links that the routers take for usable.
#[derive(Clone, Debug)]
pub(crate) struct Forwarding {
    /// By link.
    usable: Vec<bool>,
    /// By way: those to regions first, made once someone asks for a route there, then the paths that were laid.
    columns: Vec<Option<Column>>,
    regions: usize,
}

/// Where packets of a way go on from each region.
#[derive(Clone, Debug)]
struct Column {
    end: RegionId,
    /// By region.
    next: Box<[Option<LinkId>]>,
    /// Whether the links were given, so that no routing protocol moves them.
    pinned: bool,
    encapsulation: Option<Encapsulation>,
}

impl Forwarding {
    /// Over all links; no way is in use.
    pub(crate) fn new(regions: usize, links: usize) -> Forwarding {
        Forwarding {
            usable: vec![true; links],
            columns: vec![None; regions],
            regions,
        }
    }

    /// Puts the way to a region in use, for packets from `from`. That there is no route now is no error as long as
    /// there is one over all links.
    pub(crate) fn serve(&mut self, graph: &Graph, from: RegionId, to: RegionId) -> Result<(), RouteError> {
        let column = self.columns[to.0 as usize].get_or_insert_with(|| Column {
            end: to,
            next: next_hops(graph, to, &self.usable),
            pinned: false,
            encapsulation: None,
        });
        if column.next[from.0 as usize].is_none() {
            graph.route(from, to)?;
        }
        Ok(())
    }

    /// Lays a path and returns its way.
    pub(crate) fn lay(&mut self, graph: &Graph, path: &Path) -> Result<Way, RouteError> {
        let next = match &path.links {
            None => {
                graph.route(path.from, path.to)?;
                next_hops(graph, path.to, &self.usable)
            }
            Some(links) => {
                let mut next = vec![None; self.regions];
                let mut here = path.from;
                for &link in links {
                    next[here.0 as usize] = Some(link);
                    here = graph.far_end(link);
                }
                next.into()
            }
        };
        let way = Way::numbered(self.columns.len());
        self.columns.push(Some(Column {
            end: path.to,
            next,
            pinned: path.links.is_some(),
            encapsulation: path.encapsulation,
        }));
        Ok(way)
    }

    /// From now on the routers use these links, and no others.
    pub(crate) fn converge(&mut self, graph: &Graph, usable: &[bool]) {
        assert_eq!(usable.len(), self.usable.len(), "a network keeps its links");
        self.usable.copy_from_slice(usable);
        for column in self.columns.iter_mut().flatten().filter(|column| !column.pinned) {
            column.next = next_hops(graph, column.end, usable);
        }
    }

    /// The link on which `here` sends packets of a way; `None` if it has no route.
    ///
    /// # Panics
    /// If the way is not in use.
    #[inline]
    pub(crate) fn next(&self, here: RegionId, way: Way) -> Option<LinkId> {
        self.column(way).next[here.0 as usize]
    }

    /// Where a way ends.
    ///
    /// # Panics
    /// If it is not in use.
    #[inline]
    pub(crate) fn end(&self, way: Way) -> RegionId {
        self.column(way).end
    }

    /// Bytes of a frame on the links of a way; `packets` tells how many packets a burst stands for.
    #[inline]
    pub(crate) fn wire_bytes(&self, way: Way, frame_bytes: u32, packets: u16) -> u32 {
        match self.column(way).encapsulation {
            None => frame_bytes,
            Some(encapsulation) => encapsulation.wire_bytes(frame_bytes, packets),
        }
    }

    #[inline]
    fn column(&self, way: Way) -> &Column {
        let column = self.columns[way.index()].as_ref();
        column.expect("packets go where a connection leads")
    }
}

fn next_hops(graph: &Graph, to: RegionId, usable: &[bool]) -> Box<[Option<LinkId>]> {
    graph.next_hops(to, |link| usable[link.0 as usize]).into()
}
