//! Connections that cross overlays: the hand-over between edges and the network.

use longhaul_core::machine::{Input, PeerId};
use longhaul_core::payload::Payload;
use longhaul_core::schedule::Schedule;
use longhaul_core::time::Instant;
use longhaul_engine::Engine;
use longhaul_net::network::{Landed, SocketId, segment_payload};
use longhaul_net::notice::{ConnectionId, Side};
use longhaul_net::routing::RegionId;
use longhaul_net::way::Way;
use longhaul_sdwan::{Command, Event, FlowKey};
use longhaul_tcp::Config;
use longhaul_tunnel as tunnel;
use longhaul_tunnel::path_mtu::PathMtuEvent;
use serde_json::Value;

use super::cast::{Role, Workload};
use super::endpoint::{Life, Order, Protocol};
use super::overlays::{flow_number, sender_of, socket_flow};
use super::scene::Scene;
use super::transit::Transit;

impl Scene {
    /// Opens a connection between two regions, over the paths that the edges choose if an overlay joins them.
    pub(super) fn connect(
        &mut self,
        engine: &mut Engine,
        workload: Workload,
        (from, to): (RegionId, RegionId),
        tcp: Config,
        class: u8,
        port: u16,
    ) -> ConnectionId {
        const ROUTED: &str = "the scenario's check found a route both ways";
        let next = ConnectionId(self.attachments.len() as u32);
        let Some(edges) = self.overlays.edges_of((from, to), next, port, class) else {
            if let Some(ways) = self.controlled_ways(engine, (from, to)) {
                let network = self.network.packets();
                let now = engine.now();
                let mtus = [
                    network.mtu_by(now, from, ways[0]),
                    network.mtu_by(now, to, ways[1]),
                ];
                let payload = mtus.into_iter().flatten().map(segment_payload).min();
                let tcp = Config {
                    mss: tcp.mss.min(payload.unwrap_or(tcp.mss)),
                    ..tcp
                };
                let opened = network.open_by(engine, (from, to), tcp, class, ways);
                let connection = opened.expect(ROUTED);
                self.travel_by_control(Landed::Connection(connection, Side::Opener), (from, to));
                self.travel_by_control(Landed::Connection(connection, Side::Acceptor), (to, from));
                return connection;
            }
            let connection = self.network.open(engine, from, to, tcp, class).expect(ROUTED);
            self.travel(workload, connection, (from, to));
            return connection;
        };
        let mut ways = Vec::new();
        for ((edge, key), (side, end)) in edges
            .into_iter()
            .zip([(Side::Opener, to), (Side::Acceptor, from)])
        {
            let flow = flow_number(next, side);
            self.begin_crossing(engine, edge, flow, key);
            ways.push(self.overlays.way_of(flow, end));
        }
        let tcp = Config {
            mss: tcp.mss.min(self.overlays.segment_payload(from, to)),
            ..tcp
        };
        let network = self.network.packets();
        network
            .open_by(engine, (from, to), tcp, class, [ways[0], ways[1]])
            .expect(ROUTED)
    }

    /// Puts a new connection on the path of its reservation, if it has one that is in force. Its first packet has left by
    /// the routers' route.
    fn travel(&mut self, workload: Workload, connection: ConnectionId, (from, to): (RegionId, RegionId)) {
        let Some((place, ways)) = self.reservations.ways(&self.scenario, workload) else {
            return;
        };
        for (side, home, answers) in [
            (Side::Opener, Way::to(to), false),
            (Side::Acceptor, Way::to(from), true),
        ] {
            let who = Landed::Connection(connection, side);
            self.reservations.travel(place, who, home, answers);
            if let Some(ways) = ways {
                self.network
                    .packets()
                    .steer(connection, side, ways[usize::from(answers)]);
            }
        }
    }

    /// The ways there and back by a controller's routes; none without a controller, and within a region.
    fn controlled_ways(&mut self, engine: &mut Engine, (from, to): (RegionId, RegionId)) -> Option<[Way; 2]> {
        if from == to {
            return None;
        }
        let mut ways = [Way::to(to), Way::to(from)];
        for (way, ends) in ways.iter_mut().zip([(from, to), (to, from)]) {
            let control = self.route_control.as_mut()?;
            let network = self.network.packets();
            let (known, happened) = control.way(engine, ends, &self.scenario, network);
            *way = known;
            for (entity, kind, detail) in happened {
                self.happened(engine, entity, kind, detail);
            }
        }
        Some(ways)
    }

    fn travel_by_control(&mut self, who: Landed, ends: (RegionId, RegionId)) {
        if let Some(control) = &mut self.route_control {
            control.travel(who, ends);
        }
    }

    /// A side of a connection is over, and its edge hears of it.
    pub(super) fn end_crossing(&mut self, engine: &mut Engine, connection: ConnectionId, side: Side) {
        if let Some(control) = &mut self.route_control {
            control.leave(Landed::Connection(connection, side));
        }
        let flow = flow_number(connection, side);
        if let Some(edge) = self.overlays.forget(flow) {
            self.tell_edge(engine, edge, Command::Ended { flow });
        }
    }

    /// Tells an edge something, if it runs.
    fn tell_edge(&mut self, engine: &mut Engine, edge: PeerId, command: Command) {
        if self.endpoints[edge.0 as usize].life == Life::Runs {
            self.deliver(engine, edge, Input::Command(Order::Edge(command)));
        }
    }

    /// Carries out what an edge has decided.
    pub(super) fn follow_edge(&mut self, now: Instant, event: &Event) {
        let faults = &self.faults;
        let steered = self.overlays.observe(now, event, |link| faults.failed_at(link));
        if let Some((flow, way)) = steered {
            let network = self.network.packets();
            match sender_of(flow) {
                // One that is just being opened begins on this way.
                Landed::Connection(connection, _) if connection.0 >= network.connections() => {}
                sender => sender.steer(network, way),
            }
        }
    }

    /// Sends a datagram of a machine: to another, or over the path that a number stands for.
    pub(super) fn send_datagram(&mut self, engine: &mut Engine, from: PeerId, to: PeerId, payload: Payload) {
        if (to.0 as usize) < self.endpoints.len() {
            let socket = self.socket(engine, from, to);
            self.network.packets().send_datagram(engine, socket, payload);
            return;
        }
        let (socket, tunnel) = self.overlays.leave(engine.now(), to);
        if let Some(tunnel) = tunnel {
            self.deliver(
                engine,
                tunnel,
                Input::Command(Order::Tunnel(tunnel::Command::Sent)),
            );
        }
        self.network.packets().send_datagram(engine, socket, payload);
    }

    /// The socket from one machine to another, over the paths that its edge chooses if an overlay joins their regions.
    fn socket(&mut self, engine: &mut Engine, from: PeerId, to: PeerId) -> SocketId {
        if let Some(socket) = self.overlays.socket_between(from, to) {
            return socket;
        }
        let (here, there) = (
            self.endpoints[from.0 as usize].part,
            self.endpoints[to.0 as usize].part,
        );
        let network = self.network.packets();
        let bound = network.bind_to(here.region, there.region, here.tcp.class);
        let socket = bound.expect("the scenario's check found a route both ways");
        self.overlays.note_socket(from, to, socket);
        let class = here.tcp.class;
        let edge = self
            .overlays
            .edge_of(here.region, there.region, socket, there.port, class);
        if let Some([way, _]) = self.controlled_ways(engine, (here.region, there.region)) {
            self.network.packets().steer_socket(socket, way);
            self.travel_by_control(Landed::Socket(socket), (here.region, there.region));
        }
        if let Some((place, ways)) = self.reservations.ways(&self.scenario, here.workload) {
            let answers = here.role == Role::DatagramReceiver;
            self.reservations
                .travel(place, Landed::Socket(socket), Way::to(there.region), answers);
            if let Some(ways) = ways {
                self.network
                    .packets()
                    .steer_socket(socket, ways[usize::from(answers)]);
            }
        }
        // Edges find each other beside the paths.
        if let Some((edge, key)) = edge.filter(|_| !matches!(here.role, Role::Edge(_))) {
            let flow = socket_flow(socket);
            self.begin_crossing(engine, edge, flow, key);
            let way = self.overlays.way_of(flow, there.region);
            self.network.packets().steer_socket(socket, way);
        }
        socket
    }

    /// The datagrams of a workload are over, and the edges hear of it.
    pub(super) fn end_sockets(&mut self, engine: &mut Engine, workload: Workload) {
        let machines: Vec<PeerId> = self.cast.machines(workload).collect();
        for (from, to) in machines
            .iter()
            .flat_map(|from| machines.iter().map(move |to| (*from, *to)))
        {
            let flow = self.overlays.socket_between(from, to).map(socket_flow);
            if let Some((flow, edge)) = flow.and_then(|flow| Some((flow, self.overlays.forget(flow)?))) {
                self.tell_edge(engine, edge, Command::Ended { flow });
            }
        }
    }

    /// An edge hears of a flow, and puts it on a path if there is one.
    fn begin_crossing(&mut self, engine: &mut Engine, edge: PeerId, flow: u64, key: FlowKey) {
        if let Protocol::Edge(process) = &self.endpoints[edge.0 as usize].machine {
            let policies = &process.config().policies;
            let objective = policies.as_slice()[policies.classify(&key)].objective;
            self.overlays.cross(flow, edge, objective);
        }
        self.tell_edge(engine, edge, Command::Classify { flow, key });
    }

    /// Opens or closes the path of a tunnel that has come up or gone down.
    pub(super) fn follow_tunnel(&mut self, now: Instant, end: u32, event: &tunnel::Event) {
        if let Some((way, open)) = self.overlays.observe_tunnel(now, end, event) {
            self.network.packets().set_open(way, open);
        }
    }

    /// Gives a tunnel the MTU that was found for its path.
    pub(super) fn follow_path_mtu(&mut self, now: Instant, end: u32, event: &PathMtuEvent) {
        let tunnel = self.overlays.tunnel_of(&self.scenario, end);
        if let Some((way, encapsulation, mtu)) = self.overlays.observe_path_mtu(now, end, &tunnel, event) {
            self.network.packets().set_tunnel(way, encapsulation, mtu);
        }
    }

    /// Hands on the next datagram that has arrived, and notes where payload has landed; false if there is none. A machine
    /// that stands still or has ended gets none.
    pub(super) fn next_datagram(&mut self, engine: &mut Engine) -> bool {
        let Transit::Packet(network) = &mut self.network else {
            return false;
        };
        while let Some(landed) = network.poll_landed() {
            let flow = match landed {
                Landed::Connection(connection, side) => flow_number(connection, side),
                Landed::Socket(socket) => socket_flow(socket),
            };
            self.overlays.land(engine.now(), flow);
        }
        let Some(arrived) = network.poll_datagram() else {
            return false;
        };
        if let Some((from, to)) = self.overlays.machines_of(arrived.socket) {
            if self.endpoints[to.0 as usize].life == Life::Runs {
                let payload = arrived.payload;
                self.deliver(engine, to, Input::Datagram { from, payload });
            }
            return true;
        }
        let (edge, from, tunnel) = self.overlays.arrive(engine.now(), arrived.socket);
        if let Some(tunnel) = tunnel {
            let order = Order::Tunnel(tunnel::Command::Received);
            self.deliver(engine, tunnel, Input::Command(order));
        }
        if self.endpoints[edge.0 as usize].life == Life::Runs {
            let payload = arrived.payload;
            self.deliver(engine, edge, Input::Datagram { from, payload });
        }
        true
    }

    /// Compares what the edges have chosen with how the paths are.
    pub(super) fn judge_paths(&mut self, now: Instant) {
        if let Transit::Packet(network) = &self.network {
            self.overlays.judge(now, &self.scenario, network);
        }
    }

    /// The edges of a region end. What they had put on a path stays there.
    pub(super) fn kill_edges(&mut self, now: Instant, region: RegionId) {
        for peer in self.machines_in(region) {
            if let Protocol::Edge(process) = &mut self.endpoints[peer.0 as usize].machine {
                process.kill();
                self.overlays.orphan(peer, now);
            }
        }
    }

    /// An edge that has ended is started again, and knows nothing.
    pub(super) fn restart_edge(&mut self, engine: &mut Engine, peer: PeerId) {
        if self.wound_up {
            return;
        }
        let endpoint = &mut self.endpoints[peer.0 as usize];
        if let (Protocol::Edge(process), Life::Ended { .. }) = (&mut endpoint.machine, endpoint.life) {
            process.restart();
            endpoint.life = Life::Runs;
            self.start(engine, peer);
        }
    }

    /// Puts the names of paths in place of their numbers into the detail of an edge's event.
    pub(super) fn name_paths(&self, detail: &mut Value) {
        let Value::Object(fields) = detail else {
            return;
        };
        for field in ["path", "from", "to"] {
            if let Some(value) = fields.get_mut(field)
                && let Some(name) = value.as_u64().and_then(|peer| self.overlays.path_name(peer))
            {
                *value = name.into();
            }
        }
    }
}
