//! The tables by which regions forward packets: one look-up per hop, by region and [`Way`].

use longhaul_routing::choose;

use crate::network::{Packet, segment_payload};
use crate::routing::{Graph, LinkId, RegionId, RouteError};
use crate::way::{ETHERNET_BYTES, Encapsulation, Path, Way};

/// Next hops for the ways in use, over the links that the routers take for usable.
#[derive(Clone, Debug)]
pub(crate) struct Forwarding {
    /// By link.
    usable: Vec<bool>,
    /// By way: those to regions first, made once someone asks for a route there, then the paths that were laid.
    columns: Vec<Option<Column>>,
    regions: usize,
    /// The first of the links of regions to themselves, if there are any.
    first_local: Option<u32>,
    /// See [`Column`].
    salt: u64,
}

/// Where packets of a way go on from each region.
#[derive(Clone, Debug)]
pub(crate) struct Column {
    end: RegionId,
    hops: Hops,
    /// Makes the choice among equally good routes another one in every run.
    salt: u64,
    /// Whether the links were given, so that no routing protocol moves them.
    pinned: bool,
    /// Whether what is sent by it leaves.
    open: bool,
    encapsulation: Option<Encapsulation>,
    /// The longest IP packet that enters it, if that is not a matter of its links.
    entrance: Option<u32>,
}

/// Links that are equally good, each with its key.
type Equal = Box<[(LinkId, u64)]>;

/// By region.
#[derive(Clone, Debug)]
enum Hops {
    One(Box<[Option<LinkId>]>),
    /// Equally good ones; a region's flows choose among its own.
    Several(Box<[Equal]>),
}

impl Forwarding {
    /// Over all links; no way is in use.
    pub(crate) fn new(regions: usize, links: usize, salt: u64) -> Forwarding {
        Forwarding {
            usable: vec![true; links],
            columns: vec![None; regions],
            regions,
            first_local: None,
            salt,
        }
    }

    /// Regions have links to themselves, from this one on. Before any way is in use.
    pub(crate) fn join_locally(&mut self, first: LinkId) {
        self.first_local = Some(first.0);
    }

    /// The next hops to a region; in the region itself its own link, if it has one.
    fn hops(&self, graph: &Graph, to: RegionId) -> Hops {
        let local = self.first_local.map(|first| LinkId(first + to.0));
        Hops::of(graph, to, &self.usable, local)
    }

    /// Puts the way to a region in use, for packets from `from`. That there is no route now is no error as long as
    /// there is one over all links.
    pub(crate) fn serve(&mut self, graph: &Graph, from: RegionId, to: RegionId) -> Result<(), RouteError> {
        if self.columns[to.0 as usize].is_none() {
            self.columns[to.0 as usize] = Some(Column {
                end: to,
                hops: self.hops(graph, to),
                salt: self.salt,
                pinned: false,
                open: true,
                encapsulation: None,
                entrance: None,
            });
        }
        if self.column(Way::to(to)).next(from, 0).is_none() {
            graph.route(from, to)?;
        }
        Ok(())
    }

    /// Lays a path and returns its way.
    pub(crate) fn lay(&mut self, graph: &Graph, path: &Path) -> Result<Way, RouteError> {
        let hops = match &path.links {
            None => {
                graph.route(path.from, path.to)?;
                self.hops(graph, path.to)
            }
            Some(links) => {
                let mut next = vec![None; self.regions];
                for &link in links {
                    next[graph.near_end(link).0 as usize] = Some(link);
                }
                Hops::One(next.into())
            }
        };
        let way = Way::numbered(self.columns.len());
        self.columns.push(Some(Column {
            end: path.to,
            hops,
            salt: self.salt,
            pinned: path.links.is_some(),
            open: true,
            encapsulation: path.encapsulation,
            entrance: None,
        }));
        Ok(way)
    }

    /// A way to a region that leads nowhere.
    pub(crate) fn lay_void(&mut self, to: RegionId) -> Way {
        let way = Way::numbered(self.columns.len());
        self.columns.push(Some(Column {
            end: to,
            hops: Hops::One(vec![None; self.regions].into()),
            salt: self.salt,
            pinned: true,
            open: true,
            encapsulation: None,
            entrance: None,
        }));
        way
    }

    /// A laid way leads nowhere any more.
    pub(crate) fn retire(&mut self, way: Way) {
        let column = self.columns[way.index()].as_mut();
        let column = column.expect("a way in use");
        assert!(column.pinned, "a way that was laid");
        column.hops = Hops::One(vec![None; self.regions].into());
    }

    /// Opens or closes a way.
    pub(crate) fn set_open(&mut self, way: Way, open: bool) {
        let column = self.columns[way.index()].as_mut();
        column.expect("a way in use").open = open;
    }

    /// A laid way wraps its packets so from now on, and takes in none longer than `mtu`.
    pub(crate) fn set_tunnel(&mut self, way: Way, encapsulation: Encapsulation, mtu: u32) {
        let column = self.columns[way.index()].as_mut();
        let column = column.expect("a way in use");
        column.encapsulation = Some(encapsulation);
        column.entrance = Some(mtu);
    }

    /// From now on the routers use these links, and no others.
    pub(crate) fn converge(&mut self, graph: &Graph, usable: &[bool]) {
        assert_eq!(usable.len(), self.usable.len(), "a network keeps its links");
        self.usable.copy_from_slice(usable);
        let first_local = self.first_local;
        for column in self.columns.iter_mut().flatten().filter(|column| !column.pinned) {
            let local = first_local.map(|first| LinkId(first + column.end.0));
            column.hops = Hops::of(graph, column.end, usable, local);
        }
    }

    /// What is known of a way.
    ///
    /// # Panics
    /// If it is not in use.
    #[inline]
    pub(crate) fn column(&self, way: Way) -> &Column {
        let column = self.columns[way.index()].as_ref();
        column.expect("packets go where a connection leads")
    }
}

impl Column {
    /// The link on which `here` sends packets of a flow; `None` if it has no route.
    #[inline]
    pub(crate) fn next(&self, here: RegionId, flow: u64) -> Option<LinkId> {
        self.hops.next(here, flow ^ self.salt)
    }

    /// The link on which what is sent leaves its start: as [`Column::next`], but none while the way is closed.
    #[inline]
    pub(crate) fn first(&self, here: RegionId, flow: u64) -> Option<LinkId> {
        self.next(here, flow).filter(|_| self.open)
    }

    /// Where the way ends.
    #[inline]
    pub(crate) fn end(&self) -> RegionId {
        self.end
    }

    /// Bytes of a frame on the links of the way; `packets` tells how many packets a burst stands for.
    #[inline]
    pub(crate) fn wire_bytes(&self, frame_bytes: u32, packets: u16) -> u32 {
        match self.encapsulation {
            None => frame_bytes,
            Some(encapsulation) => encapsulation.wire_bytes(frame_bytes, packets),
        }
    }

    /// The longest IP packet that fits into one of `mtu` bytes with what the way wraps it in.
    pub(crate) fn longest_inside(&self, mtu: u32) -> Option<u32> {
        let fits = |inner: &u32| self.wire_bytes(inner + ETHERNET_BYTES, 1) <= mtu + ETHERNET_BYTES;
        (1..=mtu).rev().find(fits)
    }

    /// Makes as many packets of a segment as the entrance of the way needs it to be.
    #[inline]
    pub(crate) fn cut(&self, packet: &mut Packet) {
        if let Some(mtu) = self.entrance {
            packet.cut_to(segment_payload(mtu));
        }
    }

    /// Whether a datagram may enter the way.
    pub(crate) fn admits(&self, datagram: &Packet) -> bool {
        let entrance = self.entrance;
        entrance.is_none_or(|mtu| datagram.frame_bytes_without_sack() <= mtu + ETHERNET_BYTES)
    }

    /// Whether a link with this MTU carries a packet, with what the way wraps it in. SACK blocks do not count: a TCP that
    /// has some to tell puts less payload beside them.
    #[inline]
    pub(crate) fn fits(&self, packet: &Packet, mtu: u32) -> bool {
        let packets = packet.packets();
        let bytes = self.wire_bytes(packet.frame_bytes_without_sack(), packets);
        bytes <= (mtu + ETHERNET_BYTES) * u32::from(packets)
    }
}

impl Hops {
    fn of(graph: &Graph, to: RegionId, usable: &[bool], local: Option<LinkId>) -> Hops {
        let up = |link: LinkId| usable[link.0 as usize];
        if !graph.policy().multipath {
            let mut next = graph.next_hops(to, up);
            next[to.0 as usize] = local;
            return Hops::One(next.into());
        }
        let keyed = |links: Vec<LinkId>| links.into_iter().map(|link| (link, graph.key(link))).collect();
        let equal = graph.equal_next_hops(to, up).into_iter();
        let mut several: Box<[Equal]> = equal.map(keyed).collect();
        // One link is no choice, so its key is of no use.
        several[to.0 as usize] = local.map(|link| (link, 0)).into_iter().collect();
        Hops::Several(several)
    }

    #[inline]
    fn next(&self, here: RegionId, flow: u64) -> Option<LinkId> {
        match self {
            Hops::One(next) => next[here.0 as usize],
            Hops::Several(equal) => match &*equal[here.0 as usize] {
                [] => None,
                [(only, _)] => Some(*only),
                several => {
                    let place = choose(flow, several.iter().map(|(_, key)| *key));
                    place.map(|place| several[place].0)
                }
            },
        }
    }
}
