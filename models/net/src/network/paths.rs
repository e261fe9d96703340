//! Paths that are laid through the network, and connections that are put on them.

use longhaul_core::schedule::Schedule;
use longhaul_core::time::Instant;
use longhaul_tcp::{Config, HEADER_BYTES};

use crate::link::ETHERNET_MTU;
use crate::network::traffic::transmit;
use crate::network::{Flow, Network, OpenError, Packet, Slot, SocketId};
use crate::notice::{ConnectionId, Side};
use crate::routing::RegionId;
use crate::way::{ETHERNET_BYTES, Encapsulation, Path, Way};

/// The longest payload of a TCP segment in IP packets of at most `mtu` bytes.
pub fn segment_payload(mtu: u32) -> u32 {
    mtu.saturating_sub(HEADER_BYTES - ETHERNET_BYTES)
        .max(*Config::MSS.start())
}

/// Who sends: of whom something has arrived by a new way.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Landed {
    /// One side of a connection.
    Connection(ConnectionId, Side),
    /// A socket.
    Socket(SocketId),
}

impl Landed {
    /// What it sends goes another way from now on.
    ///
    /// # Panics
    /// As [`Network::steer`] and [`Network::steer_socket`].
    pub fn steer(self, network: &mut Network, way: Way) {
        match self {
            Landed::Connection(connection, side) => network.steer(connection, side, way),
            Landed::Socket(socket) => network.steer_socket(socket, way),
        }
    }
}

impl Network {
    /// Lays a path, for good.
    ///
    /// # Errors
    /// If it names no links and no links lead there.
    ///
    /// # Panics
    /// If its links are not of this network, do not follow one another, or do not lead from its start to its end.
    pub fn lay(&mut self, path: &Path) -> Result<Way, OpenError> {
        if let Some(links) = &path.links {
            let graph = self.topology.graph();
            let end = links.iter().fold(path.from, |here, &link| {
                assert_eq!(
                    graph.near_end(link),
                    here,
                    "each link goes on where the last one ends"
                );
                graph.far_end(link)
            });
            assert_eq!(end, path.to, "a path leads where it says");
        }
        Ok(self.forwarding.lay(self.topology.graph(), path)?)
    }

    /// From now on what one side of a connection sends goes another way; what is under way goes on where it is. Harmless
    /// once the side is closed.
    ///
    /// # Panics
    /// If the connection was never opened, or the way does not end where the peer is.
    pub fn steer(&mut self, connection: ConnectionId, side: Side, way: Way) {
        let flow = Flow::new(connection, side);
        let end = self.forwarding.column(way).end();
        if let Some(peer) = self.endpoint_mut(flow.peer()) {
            assert_eq!(peer.here, end, "a way to the peer");
        }
        if let Some(endpoint) = self.endpoint_mut(flow) {
            endpoint.steered |= endpoint.way != way;
            endpoint.way = way;
        }
    }

    /// The next sender of which payload has arrived over the way that it was last put on, for the first time since.
    pub fn poll_landed(&mut self) -> Option<Landed> {
        self.landed.pop_front()
    }

    /// A way to a region by which nothing arrives: what is sent by it is lost, as where no route is.
    pub fn lay_void(&mut self, to: RegionId) -> Way {
        self.forwarding.lay_void(to)
    }

    /// Removes a path that nobody sends by any more: where what is under way on it arrives next, no router knows it, and
    /// it is lost.
    ///
    /// # Panics
    /// If it was not laid.
    pub fn retire(&mut self, way: Way) {
        self.forwarding.retire(way);
    }

    /// Closes a way, as the interface of a tunnel without a session is: what is sent by it is lost; or opens it again.
    ///
    /// # Panics
    /// If the way is not in use.
    pub fn set_open(&mut self, way: Way, open: bool) {
        self.forwarding.set_open(way, open);
    }

    /// The tunnel that a way is has another MTU from now on: what its packets are wrapped in, and the longest IP packet that
    /// enters it. The host that sends a longer segment hears of it at once (its region's edge is next to it) and sends
    /// what is in it as packets that fit; they are lost together, and TCP counts the segment as it was cut when the
    /// connection was opened. A longer datagram is lost.
    ///
    /// # Panics
    /// If the way is not in use.
    pub fn set_tunnel(&mut self, way: Way, encapsulation: Encapsulation, mtu: u32) {
        self.forwarding.set_tunnel(way, encapsulation, mtu);
    }

    /// The longest IP packet that the links of a way carry from a region at `now`, without what it is wrapped in; `None` if the
    /// way does not lead anywhere.
    pub fn mtu_by(&mut self, now: Instant, from: RegionId, way: Way) -> Option<u32> {
        self.mtus.move_to(now);
        self.mtu_of_flow(from, way, 0)
    }

    /// The longest IP packet that the first link of a way carries at `now`, without what it is wrapped in; `None` if the way does
    /// not lead anywhere.
    pub fn first_mtu_by(&mut self, now: Instant, from: RegionId, way: Way) -> Option<u32> {
        self.mtus.move_to(now);
        let column = self.forwarding.column(way);
        let mtu = self.mtus.of(column.next(from, 0)?);
        column.longest_inside(mtu)
    }

    /// The same for a flow, where flows share routes.
    fn mtu_of_flow(&self, from: RegionId, way: Way, flow: u64) -> Option<u32> {
        let column = self.forwarding.column(way);
        let end = column.end();
        if from == end {
            let local = self.topology.local(from)?;
            return Some(self.mtus.of(local));
        }
        let (mut here, mut mtu) = (from, u32::MAX);
        while here != end {
            let link = column.next(here, flow)?;
            mtu = mtu.min(self.mtus.of(link));
            here = self.topology.graph().far_end(link);
        }
        column.longest_inside(mtu)
    }

    /// The longest payload of a segment that the links of the routes between two regions carry for the next connection.
    pub(super) fn mss_between(&mut self, now: Instant, one: RegionId, other: RegionId) -> u32 {
        self.mtus.move_to(now);
        let next = self.slots.len() as u64;
        let mtu = |from, to, flow| self.mtu_of_flow(from, Way::to(to), flow).unwrap_or(ETHERNET_MTU);
        segment_payload(mtu(one, other, next).min(mtu(other, one, next + 1)))
    }

    /// A segment with payload is where its connection's peer is.
    #[inline]
    pub(super) fn note_landing(&mut self, flow: Flow, way: Way) {
        let Slot::Open(sender) = &mut self.slots[flow.0 as usize] else {
            return;
        };
        if sender.steered && sender.way == way {
            sender.steered = false;
            let side = if flow.0 & 1 == 0 {
                Side::Opener
            } else {
                Side::Acceptor
            };
            let connection = ConnectionId(flow.0 / 2);
            self.landed.push_back(Landed::Connection(connection, side));
        }
    }

    /// Puts a packet on the next link of its way; where there is none, or where that carries no
    /// packets of its length, it is lost.
    #[inline]
    pub(super) fn forward<S: Schedule>(&mut self, schedule: &mut S, here: RegionId, packet: Packet) {
        let flow = u64::from(packet.origin.flow().0);
        let column = self.forwarding.column(packet.way);
        let Some(link) = column.next(here, flow) else {
            self.unrouted.add(packet.frame_bytes());
            return;
        };
        let bytes = column.wire_bytes(packet.frame_bytes(), packet.segment.packets);
        self.mtus.move_to(schedule.now());
        if !column.fits(&packet, self.mtus.of(link)) {
            self.oversized.add(bytes);
            return;
        }
        let first_entity = self.topology.first_entity();
        let _ = transmit(schedule, first_entity, &mut self.links, link, packet, bytes);
    }
}
