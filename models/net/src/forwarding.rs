//! The tables by which regions forward packets: one look-up per hop, by region and destination.

use crate::routing::{Graph, LinkId, RegionId, RouteError};

/// Next hops for the destinations in use, over the links that the routers take for usable.
#[derive(Clone, Debug)]
pub(crate) struct Forwarding {
    /// By link.
    usable: Vec<bool>,
    /// By destination: the next hops by region, once someone asked for a route there.
    columns: Vec<Option<Box<[Option<LinkId>]>>>,
}

impl Forwarding {
    /// Over all links; no destination is in use.
    pub(crate) fn new(regions: usize, links: usize) -> Forwarding {
        Forwarding {
            usable: vec![true; links],
            columns: vec![None; regions],
        }
    }

    /// Puts a destination in use, for packets from `from`. That there is no route now is no error as long as there
    /// is one over all links.
    pub(crate) fn serve(&mut self, graph: &Graph, from: RegionId, to: RegionId) -> Result<(), RouteError> {
        let column = self.columns[to.0 as usize].get_or_insert_with(|| next_hops(graph, to, &self.usable));
        if column[from.0 as usize].is_none() {
            graph.route(from, to)?;
        }
        Ok(())
    }

    /// From now on the routers use these links, and no others.
    pub(crate) fn converge(&mut self, graph: &Graph, usable: &[bool]) {
        assert_eq!(usable.len(), self.usable.len(), "a network keeps its links");
        self.usable.copy_from_slice(usable);
        for (column, to) in self.columns.iter_mut().zip((0..).map(RegionId)) {
            if let Some(column) = column {
                *column = next_hops(graph, to, usable);
            }
        }
    }

    /// The link on which `here` sends packets for `to`; `None` if it has no route.
    ///
    /// # Panics
    /// If the destination is not in use.
    #[inline]
    pub(crate) fn next(&self, here: RegionId, to: RegionId) -> Option<LinkId> {
        let column = self.columns[to.0 as usize].as_ref();
        column.expect("packets go where a connection leads")[here.0 as usize]
    }
}

fn next_hops(graph: &Graph, to: RegionId, usable: &[bool]) -> Box<[Option<LinkId>]> {
    graph.next_hops(to, |link| usable[link.0 as usize]).into()
}
