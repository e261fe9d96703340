//! The network of a run at the fidelity that it has: every segment over every hop, or TCP by rounds and links by fair
//! shares. Both have the same operations and the same notices; what they can tell of a link differs.

use longhaul_core::machine::PathInfo;
use longhaul_core::payload::Payload;
use longhaul_core::record::{Fidelity, LinkPackets};
use longhaul_core::schedule::{EntityId, Schedule};
use longhaul_core::time::{Instant, Span};
use longhaul_core::units::BitRate;
use longhaul_engine::Engine;
use longhaul_flow::network as flow;
use longhaul_net::network as packet;
use longhaul_net::network::{OpenError, WriteError};
use longhaul_net::notice::{ConnectionId, Notice, Side};
use longhaul_net::routing::{LinkId, RegionId};
use longhaul_tcp::Config;

use super::endpoint::{Endpoint, Protocol};

/// A network under way.
pub enum Transit {
    /// At packet fidelity.
    Packet(Box<packet::Network>),
    /// At flow fidelity.
    Flow(Flows),
}

/// A network at flow fidelity, and since when its links are in use.
pub struct Flows {
    network: Box<flow::Network>,
    first_use: Vec<Option<Instant>>,
}

impl Flows {
    /// A network whose links nobody has used.
    pub fn new(network: flow::Network, links: usize) -> Flows {
        Flows {
            network: Box::new(network),
            first_use: vec![None; links],
        }
    }

    /// Notes that data may cross the route from now on.
    fn note_use(&mut self, now: Instant, from: RegionId, to: RegionId) {
        let Ok(route) = self.network.graph().route(from, to) else {
            return;
        };
        for link in route.links {
            self.first_use[link.0 as usize].get_or_insert(now);
        }
    }
}

/// What a link has done so far.
pub struct LinkUse {
    /// Bytes on the wire that came out at its far end.
    pub delivered_bytes: u64,
    /// How long it was sending.
    pub busy: Span,
    /// From its first frame to its last; at flow fidelity to now.
    pub active: Span,
    /// What only single packets show.
    pub packets: Option<LinkPackets>,
}

impl Transit {
    /// Which one it is.
    pub fn fidelity(&self) -> Fidelity {
        match self {
            Transit::Packet(_) => Fidelity::Packet,
            Transit::Flow(_) => Fidelity::Flow,
        }
    }

    /// Opens a connection whose packets belong to a traffic class.
    ///
    /// # Errors
    /// [`OpenError`]
    pub fn open(
        &mut self,
        engine: &mut Engine,
        from: RegionId,
        to: RegionId,
        config: Config,
        class: u8,
    ) -> Result<ConnectionId, OpenError> {
        match self {
            Transit::Packet(network) => network.open_in_class(engine, from, to, config, class),
            Transit::Flow(flows) => {
                flows.note_use(engine.now(), from, to);
                flows.network.open(engine, from, to, config)
            }
        }
    }

    /// Takes payload that [`Transit::flush`] hands over, with what else there is.
    ///
    /// # Errors
    /// [`WriteError`]
    pub fn gather(
        &mut self,
        engine: &mut Engine,
        connection: ConnectionId,
        side: Side,
        payload: Payload,
    ) -> Result<(), WriteError> {
        match self {
            Transit::Packet(network) => network.gather(connection, side, payload),
            // It knows no segments.
            Transit::Flow(Flows { network, .. }) => network.write(engine, connection, side, payload),
        }
    }

    /// Hands over what was gathered.
    pub fn flush(&mut self, engine: &mut Engine, connection: ConnectionId, side: Side) {
        if let Transit::Packet(network) = self {
            network.flush(engine, connection, side);
        }
    }

    /// Nothing more will be written on one side.
    pub fn shutdown(&mut self, engine: &mut Engine, connection: ConnectionId, side: Side) {
        match self {
            Transit::Packet(network) => network.shutdown(engine, connection, side),
            Transit::Flow(Flows { network, .. }) => network.shutdown(engine, connection, side),
        }
    }

    /// One side gives the connection up.
    pub fn abort(&mut self, engine: &mut Engine, connection: ConnectionId, side: Side) {
        match self {
            Transit::Packet(network) => network.abort(engine, connection, side),
            Transit::Flow(Flows { network, .. }) => network.abort(engine, connection, side),
        }
    }

    /// Takes an event of one of its entities.
    pub fn handle(&mut self, engine: &mut Engine, target: EntityId, token: u32) {
        match self {
            Transit::Packet(network) => network.handle(engine, target, token),
            Transit::Flow(Flows { network, .. }) => network.handle(engine, target, token),
        }
    }

    /// The next notice.
    pub fn poll_notice(&mut self) -> Option<Notice> {
        match self {
            Transit::Packet(network) => network.poll_notice(),
            Transit::Flow(Flows { network, .. }) => network.poll_notice(),
        }
    }

    /// A link fails; returns how many packets are lost in it.
    pub fn fail(&mut self, now: Instant, link: LinkId) -> u64 {
        let network = self.packets();
        let lost = |network: &packet::Network| network.link(link).stats().lost_down.packets;
        let before = lost(network);
        network.fail(now, link);
        lost(network) - before
    }

    /// A link is back.
    pub fn restore(&mut self, now: Instant, link: LinkId) {
        self.packets().restore(now, link);
    }

    /// The routers use these links from now on.
    pub fn converge(&mut self, usable: &[bool]) {
        self.packets().converge(usable);
    }

    /// The name of a region.
    pub fn region_name(&self, region: RegionId) -> &str {
        match self {
            Transit::Packet(network) => network.graph().name(region),
            Transit::Flow(Flows { network, .. }) => network.graph().name(region),
        }
    }

    /// The processes of a region stand still.
    pub fn pause(&mut self, region: RegionId) {
        self.packets().pause(region);
    }

    /// They go on.
    pub fn resume(&mut self, engine: &mut Engine, region: RegionId) {
        self.packets().resume(engine, region);
    }

    /// They end.
    pub fn kill(&mut self, engine: &mut Engine, region: RegionId) {
        self.packets().kill(engine, region);
    }

    /// Processes run there again.
    pub fn restart(&mut self, region: RegionId) {
        self.packets().restart(region);
    }

    /// Packets lost because a link does not carry their length.
    pub fn oversized(&self) -> u64 {
        match self {
            Transit::Packet(network) => network.oversized().packets,
            Transit::Flow(_) => 0,
        }
    }

    /// Packets lost where there was no route.
    pub fn unrouted(&self) -> u64 {
        match self {
            Transit::Packet(network) => network.unrouted().packets,
            Transit::Flow(_) => 0,
        }
    }

    /// The network at packet fidelity, which a scenario with faults or overlays always has.
    ///
    /// # Panics
    /// At flow fidelity.
    pub fn packets(&mut self) -> &mut packet::Network {
        match self {
            Transit::Packet(network) => network,
            Transit::Flow(_) => {
                unreachable!("a scenario with faults or overlays is simulated packet by packet")
            }
        }
    }

    /// Brings what is worked out only when it is looked at up to `now`.
    pub fn catch_up(&mut self, now: Instant) {
        if let Transit::Packet(network) = self {
            network.catch_up(now);
        }
    }

    /// Asserts conservation.
    ///
    /// # Panics
    /// If the books do not balance.
    pub fn check(&self) {
        match self {
            Transit::Packet(network) => network.check(),
            Transit::Flow(Flows { network, .. }) => network.check(),
        }
    }

    /// Segments that one side has sent, and how many of them again.
    pub fn segments(&self, connection: ConnectionId, side: Side) -> (u64, u64) {
        match self {
            Transit::Packet(network) => {
                let stats = network.tcp_stats(connection, side);
                (stats.segments_sent, stats.retransmits)
            }
            Transit::Flow(Flows { network, .. }) => {
                let stats = network.stats(connection, side);
                (stats.segments_sent, stats.retransmits)
            }
        }
    }

    /// What one side's TCP knows of the path; `None` once the connection is over.
    pub fn path_info(&self, connection: ConnectionId, side: Side) -> Option<PathInfo> {
        match self {
            Transit::Packet(network) => network.path_info(connection, side),
            Transit::Flow(Flows { network, .. }) => network.path_info(connection, side),
        }
    }

    /// Payload that the receiver of a transfer has received by `now`, over plain connections on each stream. At flow fidelity a machine hears of a write
    /// when all of it has arrived, so the network is asked.
    ///
    /// # Panics
    /// If the endpoint is no receiver of a transfer.
    pub fn received(&mut self, receiver: &Endpoint, now: Instant) -> Vec<u64> {
        let machine = match &receiver.machine {
            Protocol::BulkReceiver(machine) => machine,
            // What counts is what has arrived in order on all streams together; chunks are small enough.
            Protocol::ObjectReceiver(machine) => return vec![machine.received()],
            _ => unreachable!("a transfer's receiver"),
        };
        match self {
            Transit::Packet(_) => machine.received_by_stream().collect(),
            Transit::Flow(flows) => {
                let streams = receiver.streams.values();
                let so_far = |&(connection, side)| flows.network.received_so_far(connection, side, now);
                streams.map(so_far).collect()
            }
        }
    }

    /// What a link of this rate has done by `now`.
    pub fn link_use(&mut self, link: LinkId, rate: Option<BitRate>, now: Instant) -> LinkUse {
        match self {
            Transit::Packet(network) => packet_link_use(network, link, now),
            Transit::Flow(flows) => {
                let delivered_bytes = flows.network.link_carried(link, now);
                let first = flows.first_use[link.0 as usize];
                LinkUse {
                    delivered_bytes,
                    busy: rate.map_or(Span::ZERO, |rate| rate.time_for(delivered_bytes)),
                    active: first.map_or(Span::ZERO, |first| now.saturating_since(first)),
                    packets: None,
                }
            }
        }
    }

    /// What of a link goes into the time series: names with their values.
    pub fn link_samples(&mut self, link: LinkId, now: Instant) -> Vec<(&'static str, u64)> {
        match self {
            Transit::Packet(network) => {
                let link = network.link(link);
                let stats = link.stats();
                let dropped = stats.dropped_full.packets + stats.dropped_early.packets;
                vec![
                    ("delivered_bytes", stats.delivered.bytes),
                    ("delivered_packets", stats.delivered.packets),
                    ("lost_packets", stats.lost_by_law.packets),
                    ("queue_dropped_packets", dropped),
                    ("down_lost_packets", stats.lost_down.packets),
                    ("queue_bytes", link.queue(now).bytes),
                ]
            }
            Transit::Flow(flows) => {
                let counters = flows.network.link_counters(link, now);
                vec![
                    ("delivered_bytes", counters.carried_bytes),
                    ("lost_packets", counters.lost_segments),
                    ("queue_dropped_packets", counters.dropped_segments),
                ]
            }
        }
    }
}

fn packet_link_use(network: &packet::Network, link: LinkId, now: Instant) -> LinkUse {
    let link = network.link(link);
    let stats = link.stats();
    LinkUse {
        delivered_bytes: stats.delivered.bytes,
        busy: link.busy_time(now),
        active: stats.first_start.map_or(Span::ZERO, |first| {
            link.last_end().min(now).saturating_since(first)
        }),
        packets: Some(LinkPackets {
            offered_packets: stats.offered.packets,
            offered_bytes: stats.offered.bytes,
            delivered_packets: stats.delivered.packets,
            lost_packets: stats.lost_by_law.packets,
            duplicated_packets: stats.duplicated.packets,
            corrupted_packets: stats.corrupted.packets,
            queue_dropped_packets: stats.dropped_full.packets,
            early_dropped_packets: stats.dropped_early.packets,
            down_lost_packets: stats.lost_down.packets,
            marked_packets: stats.marked.packets,
            queue_delay_max_ns: stats.longest_wait.as_ns(),
            queue_bytes_max: stats.max_queue_bytes,
            background_packets: stats.background.offered.packets,
            background_dropped_packets: stats.background.dropped_full.packets
                + stats.background.dropped_early.packets
                + stats.background.lost_down.packets,
        }),
    }
}
