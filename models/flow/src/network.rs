//! Links, routes and connections, driven by the events that they schedule.
//!
//! Entities are numbered as in the packet network: links first, in the order of the list, then two per connection,
//! opener first. Links have no events here. A side has one for what it is told next, and a group of sides that
//! share links has one, on behalf of its first member, for the round that ends next.

mod close;
mod counters;
mod crowd;
mod groups;
mod half;
mod link;
mod sharing;
mod traffic;

use std::collections::{BTreeMap, VecDeque};

use longhaul_core::machine::PathInfo;
use longhaul_core::random::Streams;
use longhaul_core::schedule::EntityId;
use longhaul_core::time::Instant;
use longhaul_net::link::LinkError;
use longhaul_net::network::{NetworkError, NetworkLink, Topology};
use longhaul_net::notice::{ConnectionId, Notice, Side, What};
use longhaul_net::routing::{Graph, LinkId, RoutingPolicy};

use crate::limits::{FlowError, not_modelled};
use crate::maxmin::{Share, Solver};
use crate::sender::FlowStats;
pub use counters::LinkCounters;
use groups::Group;
use half::Half;
use link::{Carrier, Path};

/// One side of a connection as one number: twice the connection, plus one for the acceptor.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Flow(u32);

impl Flow {
    fn new(connection: ConnectionId, side: Side) -> Flow {
        Flow(connection.0 * 2 + u32::from(side == Side::Acceptor))
    }

    fn peer(self) -> Flow {
        Flow(self.0 ^ 1)
    }

    fn is_opener(self) -> bool {
        self.0 & 1 == 0
    }
}

/// What is kept of one side.
#[derive(Clone, Debug)]
enum Slot {
    Open(Box<Half>),
    /// The connection is over; only the counters are left.
    Closed(FlowStats),
}

/// Links, routes and connections.
#[derive(Clone, Debug)]
pub struct Network {
    streams: Streams,
    topology: Topology,
    links: Vec<Carrier>,
    paths: Vec<Path>,
    by_ends: BTreeMap<(u32, u32), u32>,
    /// By flow.
    slots: Vec<Slot>,
    groups: Vec<Group>,
    free_groups: Vec<u32>,
    solver: Solver,
    shares: Vec<Share>,
    notices: VecDeque<Notice>,
}

impl Network {
    /// A network of idle links. It uses every entity number from `first_entity` on. A connection's random streams
    /// are those of its regions and its place among the connections between them.
    ///
    /// # Errors
    /// If names repeat, a link ends nowhere, leads back to its start, has a twin, an impossible law or something
    /// that is not modelled.
    pub fn new(
        first_entity: u32,
        streams: &Streams,
        regions: &[String],
        links: &[NetworkLink],
    ) -> Result<Network, FlowError> {
        Network::with_routing(first_entity, streams, regions, links, RoutingPolicy::default())
    }

    /// The same, with routes chosen otherwise.
    ///
    /// # Errors
    /// As [`Network::new`], if a link costs too much, and if routes are to be shared.
    pub fn with_routing(
        first_entity: u32,
        streams: &Streams,
        regions: &[String],
        links: &[NetworkLink],
        policy: RoutingPolicy,
    ) -> Result<Network, FlowError> {
        if policy.multipath {
            return Err(FlowError::Multipath);
        }
        let topology = Topology::new(first_entity, regions, links, policy)?;
        let mut carriers = Vec::with_capacity(links.len());
        for (link, name) in links.iter().zip(topology.names()) {
            let what = not_modelled(&link.spec);
            if !what.is_empty() {
                let link = name.clone();
                return Err(FlowError::NotModelled { link, what });
            }
            if let Err(error) = check(link) {
                let name = name.clone();
                return Err(NetworkError::Link { name, error }.into());
            }
            carriers.push(Carrier::new(link.spec.clone()));
        }
        Ok(Network {
            streams: *streams,
            topology,
            links: carriers,
            paths: Vec::new(),
            by_ends: BTreeMap::new(),
            slots: Vec::new(),
            groups: Vec::new(),
            free_groups: Vec::new(),
            solver: Solver::default(),
            shares: Vec::new(),
            notices: VecDeque::new(),
        })
    }

    /// The next notice, in the order in which things happened.
    pub fn poll_notice(&mut self) -> Option<Notice> {
        self.notices.pop_front()
    }

    /// Regions and routes.
    pub fn graph(&self) -> &Graph {
        self.topology.graph()
    }

    /// The link of this name, `from->to`.
    pub fn link_named(&self, name: &str) -> Option<LinkId> {
        self.topology.link_named(name)
    }

    /// Number of connections opened so far, closed ones included.
    pub fn connections(&self) -> u32 {
        // Below 2^24, as every entity.
        (self.slots.len() / 2) as u32
    }

    /// What one side has sent so far, also after the connection is closed. Counters of segments move when a round
    /// ends, and may be ahead of time by the rounds up to the next notice.
    ///
    /// # Panics
    /// If the connection was never opened.
    pub fn stats(&self, connection: ConnectionId, side: Side) -> FlowStats {
        match &self.slots[Flow::new(connection, side).0 as usize] {
            Slot::Open(half) => half.sender.stats,
            Slot::Closed(stats) => *stats,
        }
    }

    /// What one side's TCP knows of the path; `None` once the connection is over. A flow that meets nobody is computed
    /// ahead of time, and tells what it will know then.
    ///
    /// # Panics
    /// If the connection was never opened.
    pub fn path_info(&self, connection: ConnectionId, side: Side) -> Option<PathInfo> {
        let Slot::Open(half) = &self.slots[Flow::new(connection, side).0 as usize] else {
            return None;
        };
        let stats = half.sender.stats;
        Some(PathInfo {
            srtt: half.sender.rtt(),
            segments_sent: stats.segments_sent,
            segments_retransmitted: stats.retransmits,
            bytes_acked: stats.delivered_bytes,
            congestion_window_bytes: half.sender.congestion_window_bytes(),
            buffer_window_bytes: u64::from(half.sender.line.limit) * u64::from(half.sender.line.mss),
        })
    }

    /// Bytes that one side's application has written and TCP has not taken yet.
    ///
    /// # Panics
    /// If the connection was never opened.
    pub fn outbox_bytes(&self, connection: ConnectionId, side: Side) -> u64 {
        match &self.slots[Flow::new(connection, side).0 as usize] {
            Slot::Open(half) => half.outbox.len(),
            Slot::Closed(_) => 0,
        }
    }

    /// The rate at which one side sends now, in bytes on the wire per second.
    ///
    /// # Panics
    /// If the connection was never opened.
    pub fn rate(&self, now: Instant, connection: ConnectionId, side: Side) -> f64 {
        self.flow_rate(now, Flow::new(connection, side))
    }

    fn flow_rate(&self, now: Instant, flow: Flow) -> f64 {
        let Slot::Open(half) = &self.slots[flow.0 as usize] else {
            return 0.0;
        };
        match half.seat {
            Some(seat) => self.groups[seat.group as usize].pace(now, seat).rate,
            None => half.private_rate(now),
        }
    }

    /// Asserts conservation: on every open connection the payload in the pipe is what TCP took and the peer has not
    /// received; and no link of a group carries more than it can.
    ///
    /// # Panics
    /// If the books do not balance.
    pub fn check(&self) {
        for slot in &self.slots {
            if let Slot::Open(half) = slot {
                half.check();
            }
        }
        for (link, name) in self.links.iter().zip(self.topology.names()) {
            let used: f64 = link
                .flows
                .iter()
                .filter_map(|crossing| self.group_rate(crossing.flow))
                .sum();
            assert!(
                used <= link.capacity * (1.0 + 1e-9),
                "{name} carries {used} bytes per second of {}",
                link.capacity
            );
        }
    }

    fn group_rate(&self, flow: Flow) -> Option<f64> {
        let Slot::Open(half) = &self.slots[flow.0 as usize] else {
            return None;
        };
        let seat = half.seat?;
        Some(self.groups[seat.group as usize].rate(seat))
    }

    fn half_mut(&mut self, flow: Flow) -> Option<&mut Half> {
        match &mut self.slots[flow.0 as usize] {
            Slot::Open(half) => Some(half),
            Slot::Closed(_) => None,
        }
    }

    /// A side that takes part in sharing, so it is open.
    fn active(&mut self, flow: Flow) -> &mut Half {
        self.half_mut(flow).expect("what is active is open")
    }

    fn entity(&self, flow: Flow) -> EntityId {
        self.topology.side(flow.0)
    }

    fn notify(&mut self, flow: Flow, what: What) {
        let side = if flow.is_opener() {
            Side::Opener
        } else {
            Side::Acceptor
        };
        self.notices.push_back(Notice {
            connection: ConnectionId(flow.0 / 2),
            side,
            what,
        });
    }
}

fn check(link: &NetworkLink) -> Result<(), LinkError> {
    if link.spec.rate.as_bits_per_s() == 0 {
        return Err(LinkError::ZeroRate);
    }
    Ok(link.spec.loss.check()?)
}
