//! Datagrams: UDP packets that go a way, are lost without a word, and arrive whole or not at all.
//!
//! A socket is one sending end: a region, the way that its datagrams go, and their traffic class. The payload stays
//! with the network until the datagram is too old to be anywhere, since links may deliver it twice.

use std::collections::VecDeque;

use longhaul_core::payload::Payload;
use longhaul_core::schedule::{EntityId, Schedule};
use longhaul_core::time::{Instant, Span};
use longhaul_tcp::{Flags, Segment};

use crate::network::{Flow, Landed, Network, OpenError, Origin, Packet};
use crate::routing::RegionId;
use crate::way::Way;

/// Ethernet (14), IPv4 (20) and UDP (8) headers, in bytes.
const HEADER_BYTES: u32 = 42;
/// How long a datagram may be on its way: the maximum segment lifetime of RFC 9293.
const LIFETIME: Span = Span::from_s(120);
/// Longest payload, in bytes: what fits beside the headers in a jumbo frame of 9216 bytes. A datagram that a link does not
/// carry is lost there; fragments are not modelled.
pub const LONGEST_DATAGRAM: u64 = 9_188;
/// Most sockets.
pub const MAX_SOCKETS: u32 = 1 << 16;
/// Flows from here on are sockets; those below are sides of connections.
pub(super) const FIRST_SOCKET: u32 = EntityId::LIMIT - MAX_SOCKETS;

/// A socket, by the order of binding.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct SocketId(pub u32);

/// A datagram at the end of its way.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Arrived {
    /// The socket that sent it.
    pub socket: SocketId,
    /// What it holds.
    pub payload: Payload,
}

/// The sockets, and the datagrams that may be on their way.
#[derive(Clone, Debug, Default)]
pub(super) struct Datagrams {
    sockets: Vec<Socket>,
    /// In the order of sending.
    sent: VecDeque<Sent>,
    /// Number of the first of them.
    first: u64,
    arrived: VecDeque<Arrived>,
}

#[derive(Clone, Copy, Debug)]
struct Socket {
    here: RegionId,
    way: Way,
    class: u8,
    /// Whether nothing has arrived by that way since it was put on it.
    steered: bool,
}

#[derive(Clone, Debug)]
struct Sent {
    at: Instant,
    payload: Payload,
}

impl Datagrams {
    /// Keeps a payload, and forgets what is too old. Returns its number.
    fn keep(&mut self, now: Instant, payload: Payload) -> u64 {
        while self.sent.front().is_some_and(|sent| sent.at + LIFETIME < now) {
            self.sent.pop_front();
            self.first += 1;
        }
        self.sent.push_back(Sent { at: now, payload });
        self.first + self.sent.len() as u64 - 1
    }

    fn payload(&self, number: u64) -> Option<Payload> {
        let index = usize::try_from(number.checked_sub(self.first)?).ok()?;
        Some(self.sent.get(index)?.payload.clone())
    }
}

impl Network {
    /// A socket in a region whose datagrams go a way.
    ///
    /// # Panics
    /// If the way is not in use, or there are [`MAX_SOCKETS`].
    pub fn bind(&mut self, here: RegionId, way: Way, class: u8) -> SocketId {
        let _ = self.forwarding.column(way);
        let socket = SocketId(self.datagrams.sockets.len() as u32);
        assert!(socket.0 < MAX_SOCKETS, "at most {MAX_SOCKETS} sockets");
        self.datagrams.sockets.push(Socket {
            here,
            way,
            class,
            steered: false,
        });
        socket
    }

    /// Sends a datagram. Whether it arrives, nobody says.
    ///
    /// # Panics
    /// If the socket is not bound, or the payload is longer than [`LONGEST_DATAGRAM`].
    pub fn send_datagram<S: Schedule>(&mut self, schedule: &mut S, socket: SocketId, payload: Payload) {
        assert!(
            payload.len() <= LONGEST_DATAGRAM,
            "a datagram of {} bytes: no link carries it",
            payload.len()
        );
        let Socket { here, way, class, .. } = self.datagrams.sockets[socket.0 as usize];
        let now = schedule.now();
        // At most `LONGEST_DATAGRAM`.
        let len = HEADER_BYTES + payload.len() as u32;
        let mut segment = Segment::control(Flags::NONE, self.datagrams.keep(now, payload), now);
        segment.len = len;
        let packet = Packet {
            origin: Origin::new(Flow(FIRST_SOCKET + socket.0), class),
            way,
            segment,
            damaged: false,
        };
        let flow = u64::from(packet.origin.flow().0);
        let column = self.forwarding.column(way);
        if column.first(here, flow).is_none() {
            self.unrouted.add(packet.frame_bytes());
            return;
        }
        if !column.admits(&packet) {
            self.oversized.add(packet.frame_bytes());
            return;
        }
        self.forward(schedule, here, packet);
    }

    /// A socket in a region whose datagrams go to another by the routers' own routes.
    ///
    /// # Errors
    /// If no links lead there.
    ///
    /// # Panics
    /// As [`Network::bind`], and if one of the regions is not of this network.
    pub fn bind_to(&mut self, here: RegionId, to: RegionId, class: u8) -> Result<SocketId, OpenError> {
        self.forwarding.serve(self.topology.graph(), here, to)?;
        Ok(self.bind(here, Way::to(to), class))
    }

    /// From now on the datagrams of a socket go another way; what is under way goes on where it is.
    ///
    /// # Panics
    /// If the socket is not bound, or the way ends elsewhere.
    pub fn steer_socket(&mut self, socket: SocketId, way: Way) {
        let end = self.forwarding.column(way).end();
        let socket = &mut self.datagrams.sockets[socket.0 as usize];
        let known = self.forwarding.column(socket.way).end();
        assert_eq!(known, end, "a way to the same end");
        socket.steered |= socket.way != way;
        socket.way = way;
    }

    /// The next datagram that has arrived.
    pub fn poll_datagram(&mut self) -> Option<Arrived> {
        self.datagrams.arrived.pop_front()
    }

    /// A datagram is at the end of its way.
    pub(super) fn arrive_datagram(&mut self, packet: &Packet) {
        let socket = SocketId(packet.origin.flow().0 - FIRST_SOCKET);
        match self.datagrams.payload(packet.segment.seq) {
            Some(payload) => {
                let sender = &mut self.datagrams.sockets[socket.0 as usize];
                if sender.steered && sender.way == packet.way {
                    sender.steered = false;
                    self.landed.push_back(Landed::Socket(socket));
                }
                self.datagrams.arrived.push_back(Arrived { socket, payload });
            }
            // It has outlived its time.
            None => self.discarded.add(packet.frame_bytes()),
        }
    }
}
