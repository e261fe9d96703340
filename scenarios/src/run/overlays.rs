//! Overlays at work: the ends of their paths, what crosses them, and what edges decide.
//!
//! To an edge a path is a peer, numbered from [`FIRST_PATH`] on; its datagrams leave by a socket whose way is that path.
//! Every connection between two sites of an overlay is a flow to the edge on each side: the opener's edge puts its
//! direction on a path, the acceptor's the other.

mod config;
mod decisions;
pub mod discovery;
mod metrics;
mod path_mtu;
mod process;
mod record;
mod truth;
mod tunnels;

use std::collections::BTreeMap;

use longhaul_core::machine::PeerId;
use longhaul_core::random::Source;
use longhaul_core::time::{Instant, Span};
use longhaul_core::units::{BitRate, Probability};
use longhaul_net::link::ETHERNET_MTU;
use longhaul_net::network::{Landed, Network, OpenError, SocketId};
use longhaul_net::notice::{ConnectionId, Side};
use longhaul_net::routing::{Graph, LinkId, RegionId};
use longhaul_net::way::{Path, Way};
use longhaul_sdwan::{FlowKey, PathReport, Protocol as Ip};

pub use metrics::of_overlay;
pub use path_mtu::FIRST_PROBED;
pub use process::{EdgeProcess, Report};
pub use record::{EdgeFigures, overlay_record};
pub use tunnels::FIRST_UNDERLAY;

use decisions::{Decisions, Switch};
use path_mtu::ProbedEnd;

use super::build::BuildError;
use super::cast::{Cast, Role, Workload, region_id};
use super::endpoint::Protocol;
use super::machines::Maker;
use super::stopwatch::Stopwatch;
use crate::schema::{OverlayPath, PathObjective, Scenario};

/// The number of the first path end among peers.
pub const FIRST_PATH: u32 = 1 << 30;

/// One end of a path: what leaves here.
#[derive(Clone, Debug)]
pub struct End {
    /// Its overlay and its path, by index.
    pub overlay: usize,
    /// See [`End::overlay`].
    pub path: usize,
    /// Where it starts.
    pub from: RegionId,
    /// Where it ends.
    pub to: RegionId,
}

/// The ends of all paths of a scenario: of each path the one at its first region, then the other.
pub fn ends(scenario: &Scenario) -> Vec<End> {
    let mut ends = Vec::new();
    for (overlay, spec) in scenario.overlays.iter().enumerate() {
        for (path, of) in spec.paths.iter().enumerate() {
            let (one, other) = (region_id(scenario, &of.ends.0), region_id(scenario, &of.ends.1));
            for (from, to) in [(one, other), (other, one)] {
                ends.push(End {
                    overlay,
                    path,
                    from,
                    to,
                });
            }
        }
    }
    ends
}

/// The links of a path from its first region to the other: those given, or those of the route over all links.
fn links_of(scenario: &Scenario, graph: &Graph, path: &OverlayPath) -> Vec<LinkId> {
    let Some(_) = &path.via else {
        let ends = (
            region_id(scenario, &path.ends.0),
            region_id(scenario, &path.ends.1),
        );
        return graph
            .route(ends.0, ends.1)
            .expect("the check found a route")
            .links;
    };
    let named = |(from, to): (&str, &str)| {
        let mut links = scenario.links.iter();
        let index = links.position(|link| (link.from.as_str(), link.to.as_str()) == (from, to));
        LinkId(index.expect("the check found the link") as u32)
    };
    path.hops().into_iter().map(named).collect()
}

/// The same links the other way round, last first.
pub fn reversed(scenario: &Scenario, links: &[LinkId]) -> Vec<LinkId> {
    let back = |link: &LinkId| {
        let link = &scenario.links[link.0 as usize];
        let mut links = scenario.links.iter();
        let index = links.position(|other| (&other.from, &other.to) == (&link.to, &link.from));
        index.map(|index| LinkId(index as u32))
    };
    links.iter().rev().filter_map(back).collect()
}

impl Maker<'_> {
    /// The edge of an overlay at a site.
    pub(super) fn edge(&self, overlay: usize, place: u32) -> Result<Protocol, BuildError> {
        let spec = &self.scenario.overlays[overlay];
        let region = region_id(self.scenario, spec.sites()[place as usize]);
        let config = config::edge(self.scenario, overlay, region, &ends(self.scenario));
        let name = format!("{}/{}", spec.name, spec.sites()[place as usize]);
        let streams = self.streams.of(Source::Network);
        let others = discovery::acquaintance(self.scenario, self.cast, &streams, overlay, place);
        EdgeProcess::new(config, others, streams, name)
            .map(|process| Protocol::Edge(Box::new(process)))
            .map_err(|error| BuildError::Overlay {
                overlay: spec.name.clone(),
                reason: error.to_string(),
            })
    }
}

/// A path end in the network, and what has become of it.
struct PathEnd {
    end: End,
    name: String,
    /// `overlay/path from->to`.
    entity: String,
    /// The edge that sends here.
    edge: PeerId,
    way: Way,
    socket: SocketId,
    /// Its links, and those of the way back.
    links: Vec<LinkId>,
    back: Vec<LinkId>,
    /// Since when it is up as its edge sees it.
    up: Stopwatch,
    downs: u64,
    /// When its edge last took it for down.
    down_at: Option<Instant>,
    report: Option<PathReport>,
    /// The longest IP packet that it takes in; `None` if it does not lead anywhere.
    mtu: Option<u32>,
    tunnel: Option<WrappedEnd>,
    probed: Option<ProbedEnd>,
}

/// What a socket of a path end sends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Lane {
    /// What goes over the path.
    Path,
    /// Messages of its tunnel.
    Tunnel,
    /// Probes for its MTU.
    Probes,
}

/// The end of a tunnel.
struct WrappedEnd {
    machine: PeerId,
    /// Where its control messages leave.
    socket: SocketId,
    standing: tunnels::Standing,
}

/// One side of a connection that edges know.
#[derive(Clone, Copy)]
struct Crossing {
    edge: PeerId,
    /// The end that it is on.
    on: Option<usize>,
    objective: PathObjective,
    /// The switch that it waits for: nothing has arrived since.
    switch: Option<usize>,
}

/// The overlays of a run.
#[derive(Default)]
pub struct Overlays {
    ends: Vec<PathEnd>,
    /// Sockets of path ends.
    by_socket: BTreeMap<SocketId, (usize, Lane)>,
    /// Sockets of machines: from whom, to whom.
    between: BTreeMap<(PeerId, PeerId), SocketId>,
    by_machine_socket: BTreeMap<SocketId, (PeerId, PeerId)>,
    /// The edge of each pair of regions, in the first.
    edges: BTreeMap<(RegionId, RegionId), PeerId>,
    /// The longest segment between them.
    segments: BTreeMap<(RegionId, RegionId), u32>,
    voids: BTreeMap<RegionId, Way>,
    crossings: BTreeMap<u64, Crossing>,
    switches: Vec<Switch>,
    decisions: Vec<Decisions>,
}

impl Overlays {
    /// Lays the paths of a scenario.
    ///
    /// # Errors
    /// Nothing leads somewhere that a path should.
    pub fn lay(
        scenario: &Scenario,
        graph: &Graph,
        cast: &Cast,
        network: &mut Network,
    ) -> Result<Overlays, OpenError> {
        let mut overlays = Overlays {
            decisions: vec![Decisions::default(); scenario.overlays.len()],
            ..Overlays::default()
        };
        for end in ends(scenario) {
            let spec = &scenario.overlays[end.overlay];
            let path = &spec.paths[end.path];
            let forward = links_of(scenario, graph, path);
            let backward = reversed(scenario, &forward);
            let starts_here = region_id(scenario, &path.ends.0) == end.from;
            let (links, back) = if starts_here {
                (forward, backward)
            } else {
                (backward, forward)
            };
            let lay = |network: &mut Network, encapsulation| {
                network.lay(&Path {
                    from: end.from,
                    to: end.to,
                    links: path.via.is_some().then(|| links.clone()),
                    encapsulation,
                })
            };
            let index = overlays.ends.len();
            let number = index as u32;
            let mut probed = None;
            let (way, mtu, tunnel) = match &path.tunnel {
                None => {
                    let way = lay(network, None)?;
                    (way, network.mtu_by(Instant::ZERO, end.from, way), None)
                }
                Some(tunnel) => {
                    let bare = lay(network, tunnels::bare(tunnel))?;
                    let wrapped = match tunnel.path_mtu {
                        Some(search) => tunnels::exactly(tunnel, search.base),
                        None => {
                            let outer = network.mtu_by(Instant::ZERO, end.from, bare);
                            tunnels::encapsulation(tunnel, outer.unwrap_or(ETHERNET_MTU))
                        }
                    };
                    let (encapsulation, mtu) =
                        wrapped.expect("the least MTU of a link has room for a tunnel");
                    let way = lay(network, Some(encapsulation))?;
                    network.set_open(way, false);
                    if let Some(search) = tunnel.path_mtu {
                        network.set_tunnel(way, encapsulation, mtu);
                        let machine = cast.peer(Workload::Overlay(end.overlay), Role::PathMtu(number));
                        let socket = network.bind(end.from, bare, 0);
                        overlays.by_socket.insert(socket, (index, Lane::Probes));
                        probed = Some(ProbedEnd::new(machine, socket, search.base, mtu));
                    }
                    let standing = tunnels::Standing::default();
                    let tunnel = WrappedEnd {
                        machine: cast.peer(Workload::Overlay(end.overlay), Role::Tunnel(number)),
                        socket: network.bind(end.from, bare, 0),
                        standing,
                    };
                    overlays.by_socket.insert(tunnel.socket, (index, Lane::Tunnel));
                    (way, Some(mtu), Some(tunnel))
                }
            };
            let socket = network.bind(end.from, way, 0);
            let place = spec
                .sites()
                .iter()
                .position(|site| region_id(scenario, site) == end.from);
            let place = place.expect("an end is a site") as u32;
            let edge = cast.peer(Workload::Overlay(end.overlay), Role::Edge(place));
            let pair = (end.from, end.to);
            overlays.edges.insert(pair, edge);
            overlays
                .voids
                .entry(end.to)
                .or_insert_with(|| network.lay_void(end.to));
            overlays.by_socket.insert(socket, (index, Lane::Path));
            overlays.ends.push(PathEnd {
                name: path.name.clone(),
                entity: format!(
                    "{}/{} {}->{}",
                    spec.name,
                    path.name,
                    graph.name(end.from),
                    graph.name(end.to)
                ),
                edge,
                way,
                socket,
                links,
                back,
                up: Stopwatch::default(),
                downs: 0,
                down_at: None,
                report: None,
                mtu,
                tunnel,
                probed,
                end,
            });
            overlays.note_segments(pair);
        }
        Ok(overlays)
    }

    /// The edges that put a connection on its paths, the opener's first, if an overlay joins its regions; and what the
    /// connection is to them.
    pub fn edges_of(
        &self,
        (from, to): (RegionId, RegionId),
        connection: ConnectionId,
        port: u16,
        class: u8,
    ) -> Option<[(PeerId, FlowKey); 2]> {
        let there = *self.edges.get(&(from, to))?;
        let back = *self.edges.get(&(to, from))?;
        let key = |from, to| config::flow_key(from, to, connection.0, port, class);
        Some([(there, key(from, to)), (back, key(to, from))])
    }

    /// The longest payload of a segment that every path between two regions carries.
    pub fn segment_payload(&self, from: RegionId, to: RegionId) -> u32 {
        self.segments[&(from, to)].min(self.segments[&(to, from)])
    }

    /// The way that a flow begins on, by what its edge has decided.
    pub fn way_of(&self, flow: u64, to: RegionId) -> Way {
        let on = self.crossings.get(&flow).and_then(|crossing| crossing.on);
        on.map_or(self.voids[&to], |end| self.ends[end].way)
    }

    /// A flow becomes known.
    pub fn cross(&mut self, flow: u64, edge: PeerId, objective: PathObjective) {
        self.crossings.entry(flow).or_insert(Crossing {
            edge,
            on: None,
            objective,
            switch: None,
        });
    }

    /// A flow is over; the edge that has to hear of it, if one knows it.
    pub fn forget(&mut self, flow: u64) -> Option<PeerId> {
        self.crossings.remove(&flow).map(|crossing| crossing.edge)
    }

    /// The flows of an edge that has died: nobody puts them on a path.
    pub fn orphan(&mut self, edge: PeerId, now: Instant) -> Vec<u64> {
        for end in self.ends.iter_mut().filter(|end| end.edge == edge) {
            end.up.stop(now);
        }
        let own = self
            .crossings
            .iter()
            .filter(|(_, crossing)| crossing.edge == edge);
        own.map(|(flow, _)| *flow).collect()
    }

    /// The socket from one machine to another, if there is one yet.
    pub fn socket_between(&self, from: PeerId, to: PeerId) -> Option<SocketId> {
        self.between.get(&(from, to)).copied()
    }

    /// There is one now.
    pub fn note_socket(&mut self, from: PeerId, to: PeerId, socket: SocketId) {
        self.between.insert((from, to), socket);
        self.by_machine_socket.insert(socket, (from, to));
    }

    /// The two machines that a socket is between, if it is one of those.
    pub fn machines_of(&self, socket: SocketId) -> Option<(PeerId, PeerId)> {
        self.by_machine_socket.get(&socket).copied()
    }

    /// The edge that puts the datagrams of a socket on its paths, if an overlay joins the regions, and what they are to it.
    pub fn edge_of(
        &self,
        from: RegionId,
        to: RegionId,
        socket: SocketId,
        port: u16,
        class: u8,
    ) -> Option<(PeerId, FlowKey)> {
        let edge = *self.edges.get(&(from, to))?;
        let key = FlowKey {
            protocol: Ip::UDP,
            ..config::flow_key(from, to, socket.0, port, class)
        };
        Some((edge, key))
    }

    /// Where a datagram for a path end leaves; and the tunnel that is to hear of it, if one is.
    ///
    /// # Panics
    /// If the number is none of a path end.
    pub fn leave(&mut self, now: Instant, to: PeerId) -> (SocketId, Option<PeerId>) {
        if let Some(index) = to.0.checked_sub(FIRST_PATH) {
            let end = &mut self.ends[index as usize];
            let tunnel = end.tunnel.as_mut();
            let told = tunnel.and_then(|it| {
                it.standing
                    .tell_sent(now, index.is_multiple_of(2))
                    .then_some(it.machine)
            });
            return (end.socket, told);
        }
        let Some(index) = to.0.checked_sub(FIRST_UNDERLAY) else {
            let end = &self.ends[(to.0 - FIRST_PROBED) as usize];
            let probed = end
                .probed
                .as_ref()
                .expect("those that probe send to their own kind");
            return (probed.socket, None);
        };
        let end = &self.ends[index as usize];
        let tunnel = end.tunnel.as_ref().expect("tunnels send to their own kind");
        (tunnel.socket, None)
    }

    /// Who gets a datagram of a socket, and from which number; and the tunnel that is to hear of it, if one is.
    pub fn arrive(&mut self, now: Instant, socket: SocketId) -> (PeerId, PeerId, Option<PeerId>) {
        // The two ends of a path follow each other.
        let (near, lane) = self.by_socket[&socket];
        let far = near ^ 1;
        let end = &mut self.ends[far];
        let number = far as u32;
        // To a tunnel, and to what probes, the other end has the number of its own path end.
        match (lane, &mut end.tunnel, &end.probed) {
            (Lane::Tunnel, Some(tunnel), _) => (tunnel.machine, PeerId(FIRST_UNDERLAY + number), None),
            (Lane::Probes, _, Some(probed)) => (probed.machine, PeerId(FIRST_PROBED + number), None),
            (_, tunnel, _) => {
                let tunnel = tunnel.as_mut();
                let told = tunnel.and_then(|it| it.standing.tell_received(now).then_some(it.machine));
                (end.edge, PeerId(FIRST_PATH + number), told)
            }
        }
    }

    /// Follows what the tunnel at a path end reports: the way to be opened or closed, if one is.
    pub fn observe_tunnel(
        &mut self,
        now: Instant,
        number: u32,
        event: &longhaul_tunnel::Event,
    ) -> Option<(Way, bool)> {
        let end = &mut self.ends[number as usize];
        let tunnel = end.tunnel.as_mut().expect("a path with a tunnel");
        let open = tunnel.standing.observe(now, event)?;
        Some((end.way, open))
    }

    /// The name of the path of a path end.
    pub fn name_of(&self, number: u32) -> &str {
        &self.ends[number as usize].name
    }

    /// The figures of the paths for the time series: the entity, and its values.
    pub fn samples(&self) -> Vec<(String, Vec<(&'static str, u64)>)> {
        let sample = |end: &PathEnd| {
            let entity = end.entity.clone();
            let mut values = vec![("path_up", u64::from(end.up.since().is_some()))];
            if let Some(probed) = &end.probed {
                values.push(("plpmtu_bytes", probed.record.plpmtu_bytes));
            }
            if let Some(report) = &end.report {
                let ns = |span: Option<Span>| span.map(Span::as_ns);
                let more = [
                    ("rtt_mean_ns", ns(report.rtt_mean)),
                    ("rtt_stddev_ns", ns(report.rtt_stddev)),
                    ("jitter_ns", report.jitter_rfc3550_ns.map(|ns| ns.round() as u64)),
                    ("probe_loss_parts", report.loss.map(Probability::as_parts)),
                    ("flows", Some(report.flows)),
                    ("score_millis", Some((report.score * 1_000.0).round() as u64)),
                    (
                        "measured_bits_per_s",
                        report.measured_rate.map(BitRate::as_bits_per_s),
                    ),
                ];
                values.extend(more.into_iter().filter_map(|(name, value)| Some((name, value?))));
            }
            (entity, values)
        };
        self.ends.iter().map(sample).collect()
    }

    /// The name of the path behind a number of a peer.
    pub fn path_name(&self, peer: u64) -> Option<&str> {
        let index = usize::try_from(peer.checked_sub(u64::from(FIRST_PATH))?).ok()?;
        self.ends.get(index).map(|end| end.name.as_str())
    }
}

fn index(path: PeerId) -> usize {
    (path.0 - FIRST_PATH) as usize
}

/// Flows from here on are sockets; those below are sides of connections.
const FIRST_SOCKET_FLOW: u64 = 1 << 40;

/// The number by which edges know the datagrams of a socket.
pub fn socket_flow(socket: SocketId) -> u64 {
    FIRST_SOCKET_FLOW + u64::from(socket.0)
}

/// The number by which edges know one side of a connection.
pub fn flow_number(connection: ConnectionId, side: Side) -> u64 {
    u64::from(connection.0) * 2 + u64::from(side == Side::Acceptor)
}

/// Who sends behind such a number.
pub fn sender_of(flow: u64) -> Landed {
    if let Some(socket) = flow.checked_sub(FIRST_SOCKET_FLOW) {
        return Landed::Socket(SocketId(u32::try_from(socket).expect("sockets are fewer")));
    }
    let connection = u32::try_from(flow / 2).expect("connections are fewer");
    let side = if flow.is_multiple_of(2) {
        Side::Opener
    } else {
        Side::Acceptor
    };
    Landed::Connection(ConnectionId(connection), side)
}
