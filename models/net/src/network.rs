//! The network: links, routes and TCP connections, driven by the events that they schedule.
//!
//! A segment becomes a packet on the first link of its route and crosses one link after another, each region
//! forwarding it by its own next hop; at the end of the route it is given to the other side's TCP, and what that
//! answers leaves at once. Links fail and come back when the caller says so, and routers use other links when it
//! says so; a packet at a region that has no route is lost, and nobody hears of it. Links and sides of
//! connections are entities: links from `first_entity` on in the order of the list, then two per connection,
//! opener first, as they are opened. A link has one pending event (its next arrival, or the next move of its
//! queue), a side has at most one (its next timer), so the queue of events does not grow with the packets in
//! flight.
//!
//! The payload itself never moves through the links: TCP counts bytes, and the bytes that it reports as
//! received in order are taken out of the pipe into which the sender's application had put them.

mod datagrams;
mod error;
mod failures;
mod paths;
mod processes;
mod topology;
mod traffic;

use std::collections::VecDeque;

use longhaul_core::machine::PathInfo;
use longhaul_core::random::Streams;
use longhaul_core::schedule::EntityId;
use longhaul_core::time::Instant;
use longhaul_tcp::{HEADER_BYTES, Header, SackBlocks, Segment, Stats};

pub use crate::network::datagrams::{Arrived, LONGEST_DATAGRAM, MAX_SOCKETS, SocketId};
pub use crate::network::error::{NetworkError, OpenError, WriteError};
pub use crate::network::paths::{Landed, segment_payload};
pub use crate::network::topology::Topology;

use crate::endpoint::Endpoint;
use crate::forwarding::Forwarding;
use crate::frame::Frame;
use crate::link::{Link, LinkSpec};
use crate::mtus::Mtus;
use crate::network::datagrams::Datagrams;
use crate::network::processes::Processes;
use crate::notice::{ConnectionId, Notice, Side, What};
use crate::routing::{Graph, LinkId, RegionId, RoutingPolicy};
use crate::stats::Count;
use crate::way::Way;

/// A directed link between two regions. Its name is `from->to`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NetworkLink {
    /// Region at the sending end.
    pub from: RegionId,
    /// Region at the receiving end.
    pub to: RegionId,
    /// What it is like.
    pub spec: LinkSpec,
}

/// A segment on its way: whose it is, and where it goes.
#[derive(Clone, Copy, Debug)]
pub struct Packet {
    origin: Origin,
    way: Way,
    segment: Segment,
    /// Whether a link has damaged it: the host at the end discards it.
    damaged: bool,
}

/// What a link keeps of every packet.
#[derive(Clone, Copy, Debug)]
pub struct CommonPart {
    origin: Origin,
    way: Way,
    header: Header,
}

/// What it keeps of packets that tell of gaps or are damaged.
#[derive(Clone, Copy, Debug)]
pub struct RarePart {
    sack: Option<SackBlocks>,
    damaged: bool,
}

/// The side or socket that sent a packet, and the traffic class of its connection, in one number: flows are entities, of
/// which there are at most 2^24.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Origin(u32);

impl Origin {
    const CLASS_SHIFT: u32 = EntityId::LIMIT.ilog2();

    #[inline]
    fn new(flow: Flow, class: u8) -> Origin {
        Origin(flow.0 | u32::from(class) << Origin::CLASS_SHIFT)
    }

    #[inline]
    fn flow(self) -> Flow {
        Flow(self.0 & (EntityId::LIMIT - 1))
    }

    #[inline]
    fn class(self) -> u8 {
        (self.0 >> Origin::CLASS_SHIFT) as u8
    }
}

impl Packet {
    /// How many packets a burst stands for.
    #[inline]
    pub(crate) fn packets(&self) -> u16 {
        self.segment.packets
    }

    /// Makes as many packets of it as hold its payload with at most `payload_bytes` in each.
    #[inline]
    pub(crate) fn cut_to(&mut self, payload_bytes: u32) {
        let needed = self.segment.len.div_ceil(payload_bytes.max(1));
        if needed > u32::from(self.segment.packets) {
            self.segment.packets = u16::try_from(needed).expect("a burst of less than 2^16 bytes");
        }
    }

    /// [`Packet::frame_bytes`] of the same packet without SACK blocks.
    #[inline]
    pub(crate) fn frame_bytes_without_sack(&self) -> u32 {
        if self.segment.has_sack() {
            return self.segment.len + u32::from(self.segment.packets) * HEADER_BYTES;
        }
        self.frame_bytes()
    }

    /// Bytes of the frame, as `netem` counts a rate, without what its way wraps it in.
    #[inline]
    fn frame_bytes(&self) -> u32 {
        if self.origin.flow().is_socket() {
            // A datagram has its whole length there.
            return self.segment.len;
        }
        self.segment.frame_bytes()
    }
}

impl Frame for Packet {
    type Common = CommonPart;
    type Rare = RarePart;

    #[inline]
    fn split(self) -> (CommonPart, Option<RarePart>) {
        let (header, sack) = self.segment.split();
        let common = CommonPart {
            origin: self.origin,
            way: self.way,
            header,
        };
        let damaged = self.damaged;
        let rare = (sack.is_some() || damaged).then_some(RarePart { sack, damaged });
        (common, rare)
    }

    #[inline]
    fn join(common: CommonPart, rare: Option<RarePart>) -> Packet {
        Packet {
            origin: common.origin,
            way: common.way,
            segment: Segment::join(common.header, rare.and_then(|rare| rare.sack)),
            damaged: rare.is_some_and(|rare| rare.damaged),
        }
    }

    fn flow(&self) -> u64 {
        u64::from(self.origin.flow().0)
    }

    fn class(&self) -> u8 {
        self.origin.class()
    }

    fn ecn_capable(&self) -> bool {
        self.segment.ecn_capable()
    }

    fn mark_congestion(&mut self) {
        self.segment.mark_congestion();
    }

    fn damage(&mut self) {
        self.damaged = true;
    }
}

/// One side of a connection as one number: twice the connection, plus one for the acceptor. Sockets for datagrams have the
/// highest numbers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Flow(u32);

impl Flow {
    fn new(connection: ConnectionId, side: Side) -> Flow {
        Flow(connection.0 * 2 + u32::from(side == Side::Acceptor))
    }

    /// Whether it is a socket that sends datagrams.
    #[inline]
    fn is_socket(self) -> bool {
        self.0 >= datagrams::FIRST_SOCKET
    }

    fn peer(self) -> Flow {
        Flow(self.0 ^ 1)
    }

    fn notice(self, what: What) -> Notice {
        let side = if self.0 & 1 == 0 {
            Side::Opener
        } else {
            Side::Acceptor
        };
        Notice {
            connection: ConnectionId(self.0 / 2),
            side,
            what,
        }
    }
}

/// What is kept of one side.
#[derive(Clone, Debug)]
enum Slot {
    Open(Box<Endpoint>),
    /// The connection is over; only the counters are left.
    Closed(Box<Stats>),
}

/// Links, routes and connections.
#[derive(Clone, Debug)]
pub struct Network {
    topology: Topology,
    links: Vec<Link<Packet>>,
    forwarding: Forwarding,
    /// By flow.
    slots: Vec<Slot>,
    notices: VecDeque<Notice>,
    datagrams: Datagrams,
    /// Senders of whom payload has arrived over the way that they were last put on.
    landed: VecDeque<Landed>,
    discarded: Count,
    unrouted: Count,
    oversized: Count,
    mtus: Mtus,
    /// By region: what its processes do.
    processes: Vec<Processes>,
}

impl Network {
    /// A network of idle links. It uses every entity number from `first_entity` on. A link's random streams are
    /// those of its name.
    ///
    /// # Errors
    /// If names repeat, a link ends nowhere, leads back to its start, has a twin or an impossible law.
    pub fn new(
        first_entity: u32,
        streams: &Streams,
        regions: &[String],
        links: &[NetworkLink],
    ) -> Result<Network, NetworkError> {
        Network::with_routing(first_entity, streams, regions, links, RoutingPolicy::default())
    }

    /// The same, with routes chosen otherwise.
    ///
    /// # Errors
    /// As [`Network::new`], and if a link costs too much.
    pub fn with_routing(
        first_entity: u32,
        streams: &Streams,
        regions: &[String],
        links: &[NetworkLink],
        policy: RoutingPolicy,
    ) -> Result<Network, NetworkError> {
        let topology = Topology::new(first_entity, regions, links, policy)?;
        let mut built = Vec::with_capacity(links.len());
        let mut mtus = Mtus::new();
        for (link, name) in links.iter().zip(topology.names()) {
            match Link::new(&link.spec, name, streams) {
                Ok(made) => {
                    built.push(made);
                    mtus.push(&link.spec);
                }
                Err(error) => {
                    let name = name.clone();
                    return Err(NetworkError::Link { name, error });
                }
            }
        }
        Ok(Network {
            topology,
            links: built,
            forwarding: Forwarding::new(
                regions.len(),
                links.len(),
                streams.stream("routing", "flow hash").u64(),
            ),
            slots: Vec::new(),
            notices: VecDeque::new(),
            datagrams: Datagrams::default(),
            landed: VecDeque::new(),
            discarded: Count::default(),
            unrouted: Count::default(),
            oversized: Count::default(),
            mtus,
            processes: vec![Processes::Run; regions.len()],
        })
    }

    /// Gives every region a link to itself, for connections within it. Before any connection is opened. Such a link is
    /// in nobody's list of links; its random streams are those of `<region> (local)`.
    ///
    /// # Errors
    /// [`NetworkError::Link`]
    ///
    /// # Panics
    /// If a connection was opened before.
    pub fn join_locally(&mut self, streams: &Streams, spec: &LinkSpec) -> Result<(), NetworkError> {
        assert!(self.slots.is_empty(), "entities are numbered before connections");
        for region in (0..self.processes.len() as u32).map(RegionId) {
            let name = format!("{} (local)", self.topology.graph().name(region));
            match Link::new(spec, &name, streams) {
                Ok(link) => self.links.push(link),
                Err(error) => return Err(NetworkError::Link { name, error }),
            }
            self.mtus.push(spec);
        }
        self.topology.join_locally(self.processes.len() as u32);
        let first = self.topology.local(RegionId(0)).expect("a network has regions");
        self.forwarding.join_locally(first);
        Ok(())
    }

    /// The next notice, in the order in which things happened.
    pub fn poll_notice(&mut self) -> Option<Notice> {
        self.notices.pop_front()
    }

    /// Regions and routes.
    pub fn graph(&self) -> &Graph {
        self.topology.graph()
    }

    /// The links, each with its name `from->to`, in the order of the list.
    pub fn links(&self) -> impl Iterator<Item = (&str, &Link<Packet>)> {
        self.topology.names().iter().map(String::as_str).zip(&self.links)
    }

    /// A link.
    ///
    /// # Panics
    /// If it is not of this network.
    pub fn link(&self, link: LinkId) -> &Link<Packet> {
        &self.links[link.0 as usize]
    }

    /// The link of this name, `from->to`.
    pub fn link_named(&self, name: &str) -> Option<LinkId> {
        self.topology.link_named(name)
    }

    /// Brings the background traffic of every link up to `now`: before reading the books of links that nobody has
    /// used for a while. Changes no fate of any packet.
    pub fn catch_up(&mut self, now: Instant) {
        for link in &mut self.links {
            link.catch_up(now);
        }
    }

    /// Damaged frames that hosts have discarded so far, because the checksum was wrong.
    pub fn discarded(&self) -> Count {
        self.discarded
    }

    /// Frames that regions without a route to their destination have lost so far.
    pub fn unrouted(&self) -> Count {
        self.unrouted
    }

    /// Frames lost so far because a link, or the way that they were put on, does not carry packets of their length.
    pub fn oversized(&self) -> Count {
        self.oversized
    }

    /// What one side's TCP has done so far, also after the connection is closed.
    ///
    /// # Panics
    /// If the connection was never opened.
    pub fn tcp_stats(&self, connection: ConnectionId, side: Side) -> Stats {
        match &self.slots[Flow::new(connection, side).0 as usize] {
            Slot::Open(endpoint) => endpoint.tcp.stats(),
            Slot::Closed(stats) => **stats,
        }
    }

    /// What one side's TCP knows of the path; `None` once the connection is over.
    ///
    /// # Panics
    /// If the connection was never opened.
    pub fn path_info(&self, connection: ConnectionId, side: Side) -> Option<PathInfo> {
        let Slot::Open(endpoint) = &self.slots[Flow::new(connection, side).0 as usize] else {
            return None;
        };
        let stats = endpoint.tcp.stats();
        Some(PathInfo {
            srtt: stats.srtt,
            segments_sent: stats.segments_sent,
            segments_retransmitted: stats.retransmits,
            bytes_acked: stats.bytes_acked,
            congestion_window_bytes: u64::from(stats.cwnd_segments) * u64::from(endpoint.tcp.mss()),
            buffer_window_bytes: endpoint.tcp.buffer_window(),
        })
    }

    /// Bytes that one side's application has written and TCP has not taken yet.
    ///
    /// # Panics
    /// If the connection was never opened.
    pub fn outbox_bytes(&self, connection: ConnectionId, side: Side) -> u64 {
        match &self.slots[Flow::new(connection, side).0 as usize] {
            Slot::Open(endpoint) => endpoint.outgoing.outbox.len(),
            Slot::Closed(_) => 0,
        }
    }

    /// Number of connections opened so far, closed ones included.
    pub fn connections(&self) -> u32 {
        // Below 2^24, as every entity.
        (self.slots.len() / 2) as u32
    }

    /// Asserts conservation: on every link in frames and bytes, and on every open connection that the payload
    /// in the pipe is what TCP took and the peer has not received.
    ///
    /// # Panics
    /// If the books do not balance.
    pub fn check(&self) {
        for link in &self.links {
            link.check();
        }
        for pair in self.slots.chunks_exact(2) {
            let [Slot::Open(a), Slot::Open(b)] = pair else {
                continue;
            };
            for (from, to) in [(a, b), (b, a)] {
                let received = to.tcp.stats().bytes_received - to.tcp.unread();
                let taken = from.outgoing.taken;
                let pipe = from.outgoing.pipe.len();
                assert!(
                    taken == received + pipe,
                    "{taken} bytes taken, {received} received, {pipe} on the way"
                );
            }
        }
    }

    fn endpoint_mut(&mut self, flow: Flow) -> Option<&mut Endpoint> {
        match &mut self.slots[flow.0 as usize] {
            Slot::Open(endpoint) => Some(endpoint),
            Slot::Closed(_) => None,
        }
    }

    fn entity(&self, flow: Flow) -> EntityId {
        self.topology.side(flow.0)
    }
}
