//! The simulated world: the network, the machines on it, and the hand-over between them.
//!
//! An event reaches either the scene itself (a start, a sample), a machine (a wake) or the network (a packet, a
//! timer). Whatever it sets off is carried to the end before the next event: notices of the network become
//! inputs of machines, outputs of machines become calls of the network, until both are silent.

use longhaul_core::digest::Digest;
use longhaul_core::machine::{CloseReason, Input, Machine, Output, PeerId, StreamId};
use longhaul_core::record::{EventRecord, InputRecord};
use longhaul_core::schedule::{Class, EntityId, Schedule, TimerId};
use longhaul_core::time::Instant;
use longhaul_engine::{Engine, Event as EngineEvent, World};
use longhaul_net::notice::{ConnectionId, Notice, Side, What};

use longhaul_federation::check::Checker;
use longhaul_federation::{self as federation, ClusterId};
use longhaul_sdwan as sdwan;
use longhaul_service::measures::Window;
use serde_json::Value;

use super::aborts::Aborts;
use super::cast::{Cast, Part, Role, Workload};
use super::demands::Demands;
use super::endpoint::{Endpoint, Event, Life, Order, Protocol};
use super::faults::Faults;
use super::overlays::{Overlays, discovery};
use super::reservations::Reservations;
use super::route_control::RouteControl;
use super::sample::Sampler;
use super::transit::Transit;
use super::workload::Workloads;
use crate::faults::Signal;
use crate::schema::Scenario;

/// The scene itself among the entities; the machines follow, then the network.
pub const SCENE: EntityId = EntityId::new(0);
/// Tokens of the scene: a sample is due; every higher token starts the endpoint `token - FIRST_START`.
pub const SAMPLE: u32 = 0;
/// See [`SAMPLE`].
pub const FIRST_START: u32 = 1;
/// Token of the scene: a fault is due. It is the highest that the engine takes; endpoints are fewer.
pub const FAULT: u32 = i32::MAX as u32;
/// Token of the scene: something happens to a reservation.
pub const RESERVE: u32 = FAULT - 1;

/// Token of the scene: demands are spread anew.
pub const ENGINEER: u32 = FAULT - 2;
/// Token of the scene: the controller of routes hears of something, or looks.
pub const CONTROL: u32 = FAULT - 3;

/// Which machine and stream each end of a connection belongs to.
#[derive(Clone, Copy)]
pub(super) struct Attachment {
    opener: (PeerId, StreamId),
    acceptor: (PeerId, Option<StreamId>),
}

/// The simulated world.
pub struct Scene {
    /// What is simulated.
    pub scenario: Scenario,
    /// Links and connections.
    pub network: Transit,
    /// Who takes part.
    pub cast: Cast,
    /// Machines; the index is the [`PeerId`].
    pub endpoints: Vec<Endpoint>,
    /// What they work for.
    pub workloads: Workloads,
    /// The overlays that their connections cross.
    pub overlays: Overlays,
    /// Who installs routes in the routers' place.
    pub route_control: Option<RouteControl>,
    /// What is reserved, and when.
    pub reservations: Reservations,
    /// What regions send each other in the mean.
    pub demands: Demands,
    /// What fails, and when.
    pub(super) faults: Faults,
    /// When its faults have gone too far.
    pub(super) aborts: Aborts,
    /// Everything worth telling, in order.
    pub events: Vec<EventRecord>,
    /// The time series.
    pub sampler: Sampler,
    /// Why the network has the fidelity that it has.
    pub fidelity_reason: Option<String>,
    /// Files that were read to build it.
    pub inputs: Vec<InputRecord>,
    next_sample: Option<TimerId>,
    /// Room for what a machine writes on in one go.
    written: Vec<(ConnectionId, Side)>,
    pub(super) attachments: Vec<Attachment>,
    /// What must hold of each federation, in the order of the scenario.
    pub(super) checkers: Vec<Checker>,
    /// All work is done.
    pub(super) wound_up: bool,
    /// From the first fault to the end of the last one.
    pub fault_window: Option<Window>,
    /// How many requests waited at the servers of each service just before the first fault.
    pub(super) queued_before_faults: Option<Vec<u64>>,
    /// Clusters have been told so.
    clusters_stopped: bool,
    /// Adds a word to the digest at this event: the canary of the determinism check.
    pub perturb_at: Option<u64>,
}

impl Scene {
    /// A scene in which nothing has started.
    #[expect(
        clippy::too_many_arguments,
        reason = "everything that a world is made of, named by its type"
    )]
    pub fn new(
        scenario: &Scenario,
        network: Transit,
        cast: Cast,
        endpoints: Vec<Endpoint>,
        workloads: Workloads,
        reservations: Reservations,
        demands: Demands,
        faults: Faults,
        sampler: Sampler,
        checkers: Vec<Checker>,
    ) -> Scene {
        Scene {
            scenario: scenario.clone(),
            overlays: Overlays::default(),
            route_control: None,
            network,
            cast,
            endpoints,
            workloads,
            reservations,
            demands,
            faults,
            aborts: Aborts::default(),
            events: Vec::new(),
            sampler,
            fidelity_reason: None,
            inputs: Vec::new(),
            next_sample: None,
            written: Vec::new(),
            attachments: Vec::new(),
            checkers,
            wound_up: false,
            fault_window: None,
            queued_before_faults: None,
            clusters_stopped: false,
            perturb_at: None,
        }
    }

    /// The machine that has a role in a workload.
    pub fn endpoint(&self, workload: Workload, role: Role) -> &Endpoint {
        &self.endpoints[self.cast.peer(workload, role).0 as usize]
    }

    /// Schedules the start of an endpoint's workload.
    pub fn schedule_start(engine: &mut Engine, at: Instant, endpoint: PeerId) {
        engine.schedule(at, Class::World, SCENE, SCENE, FIRST_START + endpoint.0);
    }

    fn sample(&mut self, engine: &mut Engine) {
        let now = engine.now();
        self.network.catch_up(now);
        self.sampler.sample(
            now,
            &mut self.network,
            &self.endpoints,
            &self.workloads,
            &self.overlays,
        );
        self.judge_paths(now);
        self.judge_faults(engine);
        (0..self.checkers.len()).for_each(|index| self.check_disks(index));
        self.next_sample = (self.workloads.outstanding() > 0).then(|| {
            let next = now.saturating_add(self.sampler.interval());
            engine.schedule_timer(next, Class::Observe, SCENE, SCENE, SAMPLE)
        });
    }

    /// Hands one input to a machine and carries out what it answers.
    pub(super) fn deliver(&mut self, engine: &mut Engine, peer: PeerId, input: Input<Order>) {
        let now = engine.now();
        if self.wound_up && self.has_fallen_silent(peer) {
            return;
        }
        let mut inspected = Vec::new();
        // A process writes what it has for a connection in one call once it has looked at everything (`writev(2)`).
        let mut written = std::mem::take(&mut self.written);
        self.endpoints[peer.0 as usize].machine.handle(now, input);
        loop {
            let endpoint = &mut self.endpoints[peer.0 as usize];
            match endpoint.machine.poll() {
                Output::Open { stream, peer: to } => self.open(engine, peer, stream, to),
                Output::Send { stream, payload } => {
                    if let Some(&(connection, side)) = endpoint.streams.get(&stream) {
                        // A stream that has just ended drops what is written; its machine hears of the end next.
                        let _ = self.network.gather(engine, connection, side, payload);
                        if written.last() != Some(&(connection, side)) {
                            written.push((connection, side));
                        }
                    }
                }
                Output::Close { stream } => {
                    if let Some(&(connection, side)) = endpoint.streams.get(&stream) {
                        self.network.flush(engine, connection, side);
                        self.network.shutdown(engine, connection, side);
                    }
                }
                Output::Abort { stream } => {
                    if let Some(&(connection, side)) = endpoint.streams.get(&stream) {
                        self.network.abort(engine, connection, side);
                    }
                }
                Output::Inspect { stream } => inspected.push(stream),
                Output::Datagram { to, payload } => self.send_datagram(engine, peer, to, payload),
                Output::Event(event) => self.record(engine, peer, &event),
                Output::WakeAt { at, .. } => {
                    arm(engine, endpoint, at.max(now));
                    break;
                }
                Output::Idle => {
                    disarm(engine, endpoint);
                    break;
                }
            }
        }
        for (connection, side) in written.drain(..) {
            self.network.flush(engine, connection, side);
        }
        self.written = written;
        self.check_cluster(peer);
        for stream in inspected {
            let endpoint = &self.endpoints[peer.0 as usize];
            if let Some(&(connection, side)) = endpoint.streams.get(&stream)
                && let Some(info) = self.network.path_info(connection, side)
            {
                self.deliver(engine, peer, Input::Path { stream, info });
            }
        }
    }

    fn open(&mut self, engine: &mut Engine, opener: PeerId, stream: StreamId, to: PeerId) {
        let acceptor = self.endpoints[to.0 as usize].part.region;
        let endpoint = &mut self.endpoints[opener.0 as usize];
        let tcp = endpoint.next_tcp();
        let (region, class) = (endpoint.part.region, endpoint.part.tcp.class);
        let workload = endpoint.part.workload;
        let port = self.endpoints[to.0 as usize].part.port;
        let connection = self.connect(engine, workload, (region, acceptor), tcp, class, port);
        let endpoint = &mut self.endpoints[opener.0 as usize];
        endpoint.streams.insert(stream, (connection, Side::Opener));
        assert_eq!(
            connection.0 as usize,
            self.attachments.len(),
            "connections are numbered in the order of opening"
        );
        self.attachments.push(Attachment {
            opener: (opener, stream),
            acceptor: (to, None),
        });
    }

    /// Carries notices and datagrams of the network to the machines until there are none.
    pub(super) fn drain(&mut self, engine: &mut Engine) {
        loop {
            while let Some(notice) = self.network.poll_notice() {
                self.notify(engine, notice);
            }
            if !self.next_datagram(engine) {
                break;
            }
        }
    }

    fn notify(&mut self, engine: &mut Engine, notice: Notice) {
        let Notice {
            connection,
            side,
            what,
        } = notice;
        if what == What::Accepted {
            let attachment = &mut self.attachments[connection.0 as usize];
            let stream = self.endpoints[attachment.acceptor.0.0 as usize].accept(connection);
            attachment.acceptor.1 = Some(stream);
            let (acceptor, _) = attachment.acceptor;
            if matches!(self.endpoints[acceptor.0 as usize].life, Life::Ended { .. }) {
                // Processes run in the region again, but not this one: nobody listens.
                return self.network.abort(engine, connection, side);
            }
        }
        if matches!(what, What::Closed(_)) {
            self.end_crossing(engine, connection, side);
        }
        let Some((peer, stream)) = self.attached(connection, side) else {
            // A handshake that failed before it was over: the accepting machine has never heard of it.
            return;
        };
        let input = match what {
            What::Sent(_) if !self.endpoints[peer.0 as usize].machine.waits_for_room() => return,
            What::Opened => Input::Opened { stream },
            What::Accepted => Input::Accepted { stream },
            What::Received(payload) => Input::Received { stream, payload },
            What::Sent(bytes) => Input::Sent { stream, bytes },
            What::PeerFinished => Input::Closed {
                stream,
                reason: CloseReason::Finished,
            },
            What::Closed(CloseReason::Failed) => Input::Closed {
                stream,
                reason: CloseReason::Failed,
            },
            // Both directions are done and both machines know it.
            What::Closed(CloseReason::Finished) => return,
        };
        self.deliver(engine, peer, input);
    }

    /// Which machine and stream an end of a connection belongs to; `None` for one that was never accepted.
    fn attached(&self, connection: ConnectionId, side: Side) -> Option<(PeerId, StreamId)> {
        let attachment = &self.attachments[connection.0 as usize];
        match side {
            Side::Opener => Some(attachment.opener),
            Side::Acceptor => {
                let (peer, stream) = attachment.acceptor;
                Some((peer, stream?))
            }
        }
    }

    /// Writes down what a machine reports, moves its workload on, and starts what waited for it.
    fn record(&mut self, engine: &mut Engine, peer: PeerId, event: &Event) {
        let now = engine.now();
        let (kind, mut detail) = kind_and_detail(event);
        let part = self.endpoints[peer.0 as usize].part;
        match (event, part.role) {
            (Event::Edge(event), _) => {
                self.name_paths(&mut detail);
                self.follow_edge(now, event);
            }
            (Event::Discovery(event), _) => detail = discovery::detail(&self.scenario, event),
            (Event::Tunnel(event), Role::Tunnel(end)) => self.follow_tunnel(now, end, event),
            (Event::PathMtu(event), Role::PathMtu(end)) => self.follow_path_mtu(now, end, event),
            (Event::Cluster(federation::Event::DiskFailed { .. }), Role::Cluster(place)) => {
                if let Workload::Federation(index) = part.workload {
                    self.checkers[index].on_crash(ClusterId(place));
                }
            }
            _ => {}
        }
        let detail = text_of(&detail);
        engine.mix(digest_of(&detail));
        let workload = part.workload;
        if let Workload::Transfer(index) = workload
            && self.workloads.transfers[index].compares_streams(event)
        {
            let (_, receiver) = self.cast.transfer(index);
            let receiver = &self.endpoints[receiver.0 as usize];
            self.workloads.transfers[index].shares = Some(self.network.received(receiver, now));
        }
        let ended = self.workloads.observe(now, &part, event);
        if let Workload::Migration(index) = workload {
            let run = &self.workloads.migrations[index];
            assert!(
                !run.runs_twice(),
                "the guest of `{}` runs on both sides",
                run.name
            );
        }
        // What is measured stands in the time series.
        if !matches!(event, Event::Edge(sdwan::Event::Measured(_))) {
            self.note(engine, self.entity(&part), kind, detail);
        }
        if ended {
            self.end(engine, workload);
        }
    }

    /// Whose events a machine's are: those of its workload, or of the cluster.
    fn entity(&self, part: &Part) -> String {
        let name = self.workloads.name(part.workload);
        match part.role {
            Role::Tunnel(end) | Role::PathMtu(end) => format!(
                "{name}/{} {}",
                self.overlays.name_of(end),
                self.network.region_name(part.region)
            ),
            Role::Cluster(_) | Role::Edge(_) | Role::Server(_) => {
                format!("{name}/{}", self.network.region_name(part.region))
            }
            _ => name.to_owned(),
        }
    }

    fn note(&mut self, engine: &Engine, entity: String, kind: String, detail: String) {
        self.events.push(EventRecord {
            at_ns: engine.now().as_ns(),
            entity,
            kind,
            detail,
            during_event: engine.executed(),
        });
    }

    pub(super) fn happened(&mut self, engine: &mut Engine, entity: String, kind: &str, detail: String) {
        engine.mix(digest_of(&format!("{entity} {kind} {detail}")));
        self.note(engine, entity, kind.to_owned(), detail);
    }

    /// Takes in that a workload has ended.
    pub(super) fn end(&mut self, engine: &mut Engine, workload: Workload) {
        if let Workload::Datagrams(_) = workload {
            self.end_sockets(engine, workload);
        }
        if self.workloads.outstanding() == 0 {
            self.wind_up(engine);
        }
        for (waiting, pause) in self.workloads.dependents(workload) {
            let at = engine.now().saturating_add(pause);
            for starter in self.cast.starters(waiting) {
                Scene::schedule_start(engine, at, starter);
            }
        }
    }

    /// All work is done: nothing waits for what is still to be sampled, or to fail.
    fn wind_up(&mut self, engine: &mut Engine) {
        self.wound_up = true;
        self.faults.cancel(engine);
        self.reservations.cancel(engine);
        self.demands.cancel(engine);
        if let Some(control) = &mut self.route_control {
            control.end(engine);
        }
        if let Some(timer) = self.next_sample.take() {
            // The last sample shows the end.
            engine.cancel(timer);
            self.sample(engine);
        }
    }

    fn reserve(&mut self, engine: &mut Engine) {
        let network = self.network.packets();
        for (entity, kind, detail) in self.reservations.happen(engine.now(), &self.scenario, network) {
            self.happened(engine, entity, kind, detail);
        }
    }

    /// Puts the demands on the links, before anything else happens.
    pub fn spread_demands(&mut self, engine: &mut Engine) {
        let network = self.network.packets();
        let (entity, kind, detail) = self.demands.begin(&self.scenario, network);
        self.happened(engine, entity, kind, detail);
    }

    /// How many requests wait at the servers of a service.
    pub(super) fn queued(&self, service: usize) -> u64 {
        let servers = self.cast.machines(Workload::Service(service));
        let queued = servers.map(|peer| match &self.endpoints[peer.0 as usize].machine {
            Protocol::Server(server) => server.statistics().queued,
            _ => 0,
        });
        queued.sum()
    }

    /// Spreads the demands anew.
    fn engineer(&mut self, engine: &mut Engine) {
        let network = self.network.packets();
        let (entity, kind, detail) = self.demands.react(engine.now(), &self.scenario, network);
        self.happened(engine, entity, kind, detail);
    }

    /// Lets the controller of routes do what is due.
    fn control(&mut self, engine: &mut Engine) {
        let Some(control) = &mut self.route_control else {
            return;
        };
        let network = self.network.packets();
        for (entity, kind, detail) in control.happen(engine, &self.scenario, network) {
            self.happened(engine, entity, kind, detail);
        }
    }

    fn fault(&mut self, engine: &mut Engine) {
        if self.queued_before_faults.is_none() {
            let services = 0..self.scenario.services.len();
            self.queued_before_faults = Some(services.map(|service| self.queued(service)).collect());
        }
        for (entity, kind, detail) in self.faults.happen(engine.now(), &mut self.network) {
            self.happened(engine, entity, kind, detail);
        }
        if !self.scenario.demands.is_empty() {
            let (up, usable) = (self.faults.carrying(), self.faults.usable());
            let network = self.network.packets();
            let moved = self
                .demands
                .links_changed(engine, &self.scenario, up, &usable, network);
            if let Some((entity, kind, detail)) = moved {
                self.happened(engine, entity, kind, detail);
            }
        }
        while let Some((region, signal, (entity, kind, detail))) = self.faults.next_signal(engine.now()) {
            self.happened(engine, entity, kind, detail);
            match signal {
                Signal::Stop => self.pause(engine, region),
                Signal::Continue => self.resume(engine, region),
                Signal::Kill => self.kill(engine, region),
                Signal::Restart => self.restart(engine, region),
            }
            // Before the next signal: what a machine has to do now, it does first.
            self.drain(engine);
        }
        while let Some(next) = self.faults.next_order(engine.now()) {
            self.suffer(engine, next);
            self.drain(engine);
        }
        self.reset_connections(engine);
        if self.workloads.outstanding() == 0 {
            self.faults.cancel(engine);
        }
    }

    /// Resets a connection of each workload of which one is due. One without any has none to lose.
    fn reset_connections(&mut self, engine: &mut Engine) {
        let workloads = &self.workloads;
        let hope = |workload| workloads.stage(workload).is_outstanding();
        while let Some((workload, random)) = self.faults.next_reset(engine, hope) {
            let mut open = Vec::new();
            for endpoint in self.endpoints.iter().filter(|it| it.part.workload == workload) {
                let opened = endpoint
                    .streams
                    .iter()
                    .filter(|(_, (_, side))| *side == Side::Opener);
                open.extend(opened.map(|(&stream, &(connection, _))| (stream, connection)));
            }
            open.retain(|&(_, connection)| self.network.path_info(connection, Side::Opener).is_some());
            if open.is_empty() {
                continue;
            }
            let (stream, connection) = open[random.below(open.len() as u64) as usize];
            let name = self.workloads.name(workload).to_owned();
            let detail = format!("{{\"stream\":{}}}", stream.0);
            self.network.abort(engine, connection, Side::Opener);
            engine.mix(digest_of(&format!("{name} Reset {detail}")));
            self.events.push(EventRecord {
                at_ns: engine.now().as_ns(),
                entity: name,
                kind: "Reset".to_owned(),
                detail,
                during_event: engine.executed(),
            });
        }
        self.drain(engine);
    }

    pub(super) fn start(&mut self, engine: &mut Engine, peer: PeerId) {
        let now = engine.now();
        match &mut self.endpoints[peer.0 as usize].life {
            Life::Runs => {}
            Life::Still { start, .. } | Life::Ended { start } => {
                *start = true;
                return;
            }
        }
        let workload = self.endpoints[peer.0 as usize].part.workload;
        self.workloads.stage_mut(workload).start(now);
        let guest = self.workloads.guest_for(workload);
        self.deliver(engine, peer, Input::Command(Order::Start { guest }));
    }
}

impl World for Scene {
    fn handle(&mut self, event: &EngineEvent, engine: &mut Engine) {
        if self.perturb_at == Some(engine.executed()) {
            engine.mix(1);
        }
        let target = event.target.index() as usize;
        if event.target == SCENE {
            match event.token {
                SAMPLE => self.sample(engine),
                FAULT => self.fault(engine),
                RESERVE => self.reserve(engine),
                ENGINEER => self.engineer(engine),
                CONTROL => self.control(engine),
                token => self.start(engine, PeerId(token - FIRST_START)),
            }
        } else if target <= self.endpoints.len() {
            let endpoint = &mut self.endpoints[target - 1];
            endpoint.wake = None;
            if let Life::Still { wake, .. } = &mut endpoint.life {
                *wake = true;
            } else {
                self.deliver(engine, PeerId(event.target.index() - 1), Input::Wake);
            }
        } else {
            self.network.handle(engine, event.target, event.token);
        }
        self.drain(engine);
        // Not while a machine reports the end: it has more to say first.
        if self.wound_up && !std::mem::replace(&mut self.clusters_stopped, true) {
            for peer in self.cast.parts().map(|(peer, _)| peer).collect::<Vec<_>>() {
                self.stop_machine(engine, peer);
            }
            self.drain(engine);
        }
    }

    fn check(&self) {
        self.network.check();
    }
}

/// Replaces the wake of an endpoint, unless it is the one already armed.
fn arm(engine: &mut Engine, endpoint: &mut Endpoint, at: Instant) {
    if endpoint.wake.is_some_and(|(armed, _)| armed == at) {
        return;
    }
    disarm(engine, endpoint);
    let timer = engine.schedule_timer(at, Class::Wake, endpoint.entity, endpoint.entity, 0);
    endpoint.wake = Some((at, timer));
}

pub(super) fn disarm(engine: &mut Engine, endpoint: &mut Endpoint) {
    if let Some((_, timer)) = endpoint.wake.take() {
        engine.cancel(timer);
    }
}

/// A word that stands for a text in the run's digest.
pub fn digest_of(text: &str) -> u64 {
    let mut digest = Digest::new();
    digest.mix_bytes(text.as_bytes());
    digest.value()
}

/// The variant's name, and its fields; null without any.
fn kind_and_detail(event: &Event) -> (String, Value) {
    let value = serde_json::to_value(event).expect("events of machines have a JSON form");
    match value {
        Value::String(kind) => (kind, Value::Null),
        Value::Object(map) => map.into_iter().next().expect("an enum variant has a name"),
        other => (String::new(), other),
    }
}

/// A detail as the records have it.
fn text_of(detail: &Value) -> String {
    match detail {
        Value::Null => String::new(),
        detail => detail.to_string(),
    }
}
