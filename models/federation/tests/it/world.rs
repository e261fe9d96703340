//! Clusters, the streams between them and virtual time.
//!
//! A stream is two first-in first-out pipes with a delay and room for so many bytes. A cut holds up what is on its way, as
//! TCP does, and lets it go on afterwards; a crash ends all streams of a cluster.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use longhaul_core::disk::DiskCondition;
use longhaul_core::machine::{CloseReason, Input, Machine, Output, PeerId, StreamId};
use longhaul_core::payload::{Payload, PayloadBuffer};
use longhaul_core::random::{Stream as Random, Streams};
use longhaul_core::time::{Instant, Span};
use longhaul_federation::check::{Checker, check_history};
use longhaul_federation::outbox::Priority;
use longhaul_federation::planted::Planted;
use longhaul_federation::registry::Call;
use longhaul_federation::{
    Cluster, ClusterId, Command, Event, Key, Member, Options, RegionManager, Setup, Topology, WorkloadOptions,
};
use longhaul_raft::history::{Timed, Verdict};

/// Bytes on the way of a pipe.
const ROOM: u64 = 256 << 10;

#[derive(Debug)]
enum Happening {
    Wake(ClusterId),
    /// A connection reaches the acceptor.
    Reaches(usize),
    /// The opener learns that it was taken.
    Opened(usize),
    /// A piece arrives at the end of a pipe.
    Arrives {
        connection: usize,
        forth: bool,
    },
    /// The end of a stream arrives.
    Ends {
        connection: usize,
        forth: bool,
        reason: CloseReason,
    },
}

#[derive(Default)]
struct Pipe {
    outbox: PayloadBuffer,
    on_the_way: VecDeque<Payload>,
    in_flight: u64,
    /// Nothing more is written.
    finished: bool,
    end_sent: bool,
    /// Arrivals that a cut holds up.
    held: u32,
    held_end: Option<CloseReason>,
}

struct Connection {
    ends: [(ClusterId, Option<StreamId>); 2],
    pipes: [Pipe; 2],
    reached: bool,
    held_open: bool,
    dead: bool,
}

pub struct World {
    pub now: Instant,
    sequence: u64,
    queue: BTreeMap<(Instant, u64), Happening>,
    pub clusters: BTreeMap<ClusterId, Option<Cluster>>,
    survivors: BTreeMap<ClusterId, longhaul_federation::Survivor>,
    setups: BTreeMap<ClusterId, Setup>,
    wakes: BTreeMap<ClusterId, (Instant, u64)>,
    accepted: BTreeMap<ClusterId, u32>,
    streams: BTreeMap<(ClusterId, StreamId), (usize, usize)>,
    connections: Vec<Connection>,
    pub delay: Span,
    /// Those that are not well.
    disks: BTreeMap<ClusterId, DiskCondition>,
    /// Unordered pairs between which nothing passes.
    cut: BTreeSet<(ClusterId, ClusterId)>,
    pub random: Random,
    /// One piece in so many has a bit turned over; 0 for none.
    pub damage: u64,
    pub events: Vec<(Instant, ClusterId, Event)>,
    pub checker: Checker,
    /// What clients asked for of clusters that crashed since.
    past: Vec<(String, Timed<Call>)>,
    pub steps: u64,
}

impl World {
    #[expect(
        clippy::needless_pass_by_value,
        reason = "a test reads better without borrows"
    )]
    pub fn new(
        seed: u64,
        clusters: u32,
        topology: Topology,
        options: &Options,
        workload: Option<WorkloadOptions>,
    ) -> World {
        World::new_with(seed, clusters, topology, options, Planted::Nothing, |_| {
            workload.clone()
        })
    }

    /// Clusters with a bug, and without clients.
    pub fn with_planted(seed: u64, clusters: u32, options: &Options, planted: Planted) -> World {
        World::new_with(seed, clusters, Topology::Mesh, options, planted, |_| None)
    }

    fn new_with(
        seed: u64,
        clusters: u32,
        topology: Topology,
        options: &Options,
        planted: Planted,
        workload: impl Fn(ClusterId) -> Option<WorkloadOptions>,
    ) -> World {
        let member = |id| Member {
            id: ClusterId(id),
            name: format!("cluster-{id}"),
            region: format!("region-{id}"),
            peer: PeerId(id),
        };
        let regions = RegionManager::new((0..clusters).map(member).collect(), topology).expect("members");
        let streams = Streams::new(seed, 0);
        let voters = options.consensus.as_ref().map_or_else(Vec::new, |consensus| {
            if consensus.voters.is_empty() {
                (0..clusters).map(ClusterId).collect()
            } else {
                consensus.voters.clone()
            }
        });
        let mut world = World {
            now: Instant::ZERO,
            sequence: 0,
            queue: BTreeMap::new(),
            clusters: BTreeMap::new(),
            survivors: BTreeMap::new(),
            setups: BTreeMap::new(),
            wakes: BTreeMap::new(),
            accepted: BTreeMap::new(),
            streams: BTreeMap::new(),
            connections: Vec::new(),
            delay: Span::from_ms(40),
            disks: BTreeMap::new(),
            cut: BTreeSet::new(),
            random: streams.stream("world", "faults"),
            damage: 0,
            events: Vec::new(),
            checker: Checker::new(voters),
            past: Vec::new(),
            steps: 0,
        };
        for id in (0..clusters).map(ClusterId) {
            let setup = Setup {
                options: options.clone(),
                federation: "test".to_owned(),
                id,
                regions: regions.clone(),
                workload: workload(id),
                streams,
                planted,
            };
            world.setups.insert(id, setup.clone());
            let cluster = Cluster::new(setup).expect("options in range");
            world.clusters.insert(id, Some(cluster));
        }
        for id in world.ids() {
            world.command(id, Command::Start);
        }
        world
    }

    /// Clients at the first cluster alone.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "a test reads better without borrows"
    )]
    pub fn with_workload_at_first(
        seed: u64,
        clusters: u32,
        topology: Topology,
        options: &Options,
        workload: WorkloadOptions,
    ) -> World {
        let mut world = World::new_with(seed, clusters, topology, options, Planted::Nothing, |id| {
            (id.0 == 0).then(|| workload.clone())
        });
        world.steps = 0;
        world
    }

    pub fn ids(&self) -> Vec<ClusterId> {
        self.clusters.keys().copied().collect()
    }

    pub fn cluster(&self, id: u32) -> &Cluster {
        self.clusters[&ClusterId(id)]
            .as_ref()
            .expect("a cluster that runs")
    }

    pub fn command(&mut self, id: ClusterId, command: Command) {
        self.deliver(id, Input::Command(command));
    }

    pub fn put(&mut self, id: u32, key: &str, value: &[u8]) {
        let key = Key::new(key).expect("a short key");
        let value = value.to_vec();
        let priority = Priority::Normal;
        self.command(ClusterId(id), Command::Put { key, value, priority });
    }

    pub fn value(&self, id: u32, key: &str) -> Option<Bytes> {
        let key = Key::new(key).expect("a short key");
        self.cluster(id).state().get(&key)?.value.clone()
    }

    /// Nothing passes between these and the others.
    pub fn cut_off(&mut self, side: &[u32]) {
        let side: Vec<ClusterId> = side.iter().copied().map(ClusterId).collect();
        for a in self.ids() {
            for b in self.ids() {
                if a < b && side.contains(&a) != side.contains(&b) {
                    self.cut.insert((a, b));
                }
            }
        }
    }

    pub fn cut_pair(&mut self, a: ClusterId, b: ClusterId) {
        self.cut.insert((a.min(b), a.max(b)));
    }

    /// Everything passes again.
    pub fn heal(&mut self) {
        self.cut.clear();
        for connection in 0..self.connections.len() {
            if std::mem::take(&mut self.connections[connection].held_open) {
                self.schedule(self.delay, Happening::Reaches(connection));
            }
            for forth in [true, false] {
                let pipe = &mut self.connections[connection].pipes[usize::from(!forth)];
                let held = std::mem::take(&mut pipe.held);
                let end = pipe.held_end.take();
                for _ in 0..held {
                    self.schedule(self.delay, Happening::Arrives { connection, forth });
                }
                if let Some(reason) = end {
                    self.schedule(
                        self.delay,
                        Happening::Ends {
                            connection,
                            forth,
                            reason,
                        },
                    );
                }
            }
        }
    }

    pub fn crash(&mut self, id: ClusterId) {
        let Some(cluster) = self.clusters.get_mut(&id).and_then(Option::take) else {
            return;
        };
        // What was under way may be applied later.
        self.past.extend_from_slice(cluster.history());
        self.survivors.insert(id, cluster.crash(self.now));
        self.checker.on_crash(id);
        if let Some(wake) = self.wakes.remove(&id) {
            self.queue.remove(&wake);
        }
        self.streams.retain(|(owner, _), _| *owner != id);
        for connection in 0..self.connections.len() {
            let it = &mut self.connections[connection];
            if it.dead || it.ends.iter().all(|(end, _)| *end != id) {
                continue;
            }
            it.dead = true;
            let reason = CloseReason::Failed;
            let forth = it.ends[0].0 == id;
            self.schedule(
                self.delay,
                Happening::Ends {
                    connection,
                    forth,
                    reason,
                },
            );
        }
    }

    /// How well a disk does from now on. What has ended with it starts again when it works.
    pub fn set_disk(&mut self, id: ClusterId, condition: DiskCondition) {
        self.disks.insert(id, condition);
        self.command(id, Command::Disk(condition));
        if self.clusters[&id].is_none() {
            self.restart(id);
        }
    }

    /// Not from a disk that has failed.
    pub fn restart(&mut self, id: ClusterId) {
        let disk = self.disks.get(&id).copied().unwrap_or_default();
        if disk.failed {
            return;
        }
        let Some(survivor) = self.survivors.remove(&id) else {
            return;
        };
        let setup = self.setups[&id].clone();
        let cluster = Cluster::restart(setup, self.now, survivor).expect("options in range");
        self.clusters.insert(id, Some(cluster));
        self.command(id, Command::Disk(disk));
    }

    pub fn run_until(&mut self, until: Instant) {
        while let Some((&(at, _), _)) = self.queue.first_key_value()
            && at <= until
        {
            let ((at, _), happening) = self.queue.pop_first().expect("the first");
            self.now = at;
            self.steps += 1;
            self.happen(happening);
        }
        self.now = self.now.max(until);
    }

    pub fn run_for(&mut self, span: Span) {
        self.run_until(self.now + span);
    }

    /// Runs until all clusters are settled with equal states; returns how long that took.
    pub fn settle(&mut self, within: Span) -> Span {
        let (began, end) = (self.now, self.now + within);
        while self.now < end {
            self.run_for(Span::from_ms(100));
            if self.is_settled() {
                return self.now - began;
            }
        }
        panic!("not settled within {} s:\n{}", within.as_s_f64(), self.picture());
    }

    pub fn is_settled(&self) -> bool {
        let mut settled = self.ids().into_iter().map(|id| {
            let mut events = self.events.iter().rev().filter(|(_, of, _)| *of == id);
            events.find_map(|(_, _, event)| match event {
                Event::Settled { state_hash, .. } => Some(Some(state_hash.clone())),
                Event::Unsettled => Some(None),
                _ => None,
            })
        });
        let first = settled.next().flatten().flatten();
        first.is_some() && settled.all(|hash| hash == Some(first.clone()))
    }

    /// Whether all states are the same, byte by byte.
    pub fn states_agree(&self) -> bool {
        let running: Vec<&Cluster> = self.clusters.values().flatten().collect();
        running.windows(2).all(|pair| {
            pair[0].state().hash() == pair[1].state().hash()
                && pair[0].state().iter().eq(pair[1].state().iter())
        })
    }

    /// Whether all registries are the same.
    pub fn registries_agree(&self) -> bool {
        let replicas = self.clusters.values().flatten().filter_map(Cluster::replica);
        let digests: Vec<u64> = replicas.map(longhaul_raft::Replica::digest).collect();
        digests.windows(2).all(|pair| pair[0] == pair[1])
    }

    /// Where every cluster stands.
    pub fn picture(&self) -> String {
        let lines = self.clusters.iter().map(|(id, cluster)| match cluster {
            None => format!("{id}: down\n"),
            Some(cluster) => {
                let last: Vec<String> = self
                    .events
                    .iter()
                    .rev()
                    .filter(|(_, of, _)| of == id)
                    .take(6)
                    .map(|(at, _, event)| format!("{:.3} {event:?}", at.as_ns() as f64 / 1e9))
                    .collect();
                let log = cluster.replica().map(longhaul_raft::Replica::node);
                let log = log.map(|node| {
                    format!(
                        "{:?} of {:?}, term {}, log {}..{}, committed {}, delivered {}",
                        node.role(),
                        node.leader(),
                        node.hard_state().term,
                        node.log().base().index,
                        node.log().last().index,
                        node.commit(),
                        node.delivered()
                    )
                });
                format!(
                    "{id}: {} connections, {} waiting, {} keys, {:032x}\n {log:?}\n  {}\n",
                    cluster.connections(),
                    cluster.waiting(),
                    cluster.state().len(),
                    cluster.state().hash().0,
                    last.join("\n  "),
                )
            }
        });
        lines.collect()
    }

    /// Looks for an order of all calls.
    pub fn check_history(&self) -> Verdict {
        let histories = self.clusters.values().flatten().flat_map(Cluster::history);
        let histories = self.past.iter().chain(histories);
        let (verdict, name) = check_history(histories, 200_000);
        assert!(
            !matches!(verdict, Verdict::NotLinearizable { .. }),
            "{verdict:?} of {name:?}"
        );
        verdict
    }

    pub fn events_of(&self, id: u32) -> impl Iterator<Item = &Event> {
        self.events
            .iter()
            .filter(move |(_, of, _)| *of == ClusterId(id))
            .map(|(_, _, event)| event)
    }

    fn is_cut(&self, connection: usize) -> bool {
        let [(a, _), (b, _)] = self.connections[connection].ends;
        self.cut.contains(&(a.min(b), a.max(b)))
    }

    #[expect(
        clippy::needless_pass_by_value,
        reason = "a test reads better without borrows"
    )]
    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Wake(id) => {
                self.wakes.remove(&id);
                self.deliver(id, Input::Wake);
            }
            Happening::Reaches(connection) => self.reaches(connection),
            Happening::Opened(connection) => {
                let (id, stream) = self.connections[connection].ends[0];
                if let Some(stream) = stream
                    && !self.connections[connection].dead
                {
                    self.deliver(id, Input::Opened { stream });
                    self.pump(connection, true);
                }
            }
            Happening::Arrives { connection, forth } => self.arrives(connection, forth),
            Happening::Ends {
                connection,
                forth,
                reason,
            } => {
                if self.is_cut(connection) {
                    self.connections[connection].pipes[usize::from(!forth)].held_end = Some(reason);
                    return;
                }
                let (id, stream) = self.connections[connection].ends[usize::from(forth)];
                if let Some(stream) = stream {
                    self.deliver(id, Input::Closed { stream, reason });
                }
            }
        }
    }

    fn reaches(&mut self, connection: usize) {
        if self.is_cut(connection) {
            self.connections[connection].held_open = true;
            return;
        }
        let (acceptor, _) = self.connections[connection].ends[1];
        if self.connections[connection].dead {
            return;
        }
        if self.clusters[&acceptor].is_none() {
            self.connections[connection].dead = true;
            let (forth, reason) = (false, CloseReason::Failed);
            self.schedule(
                self.delay,
                Happening::Ends {
                    connection,
                    forth,
                    reason,
                },
            );
            return;
        }
        let number = self.accepted.entry(acceptor).or_default();
        let stream = StreamId(StreamId::FIRST_ACCEPTED + *number);
        *number += 1;
        let it = &mut self.connections[connection];
        it.ends[1].1 = Some(stream);
        it.reached = true;
        self.streams.insert((acceptor, stream), (connection, 1));
        self.deliver(acceptor, Input::Accepted { stream });
        self.schedule(self.delay, Happening::Opened(connection));
    }

    fn arrives(&mut self, connection: usize, forth: bool) {
        if self.is_cut(connection) {
            self.connections[connection].pipes[usize::from(!forth)].held += 1;
            return;
        }
        let it = &mut self.connections[connection];
        if it.dead {
            return;
        }
        let pipe = &mut it.pipes[usize::from(!forth)];
        let Some(payload) = pipe.on_the_way.pop_front() else {
            return;
        };
        pipe.in_flight -= payload.len();
        let (id, stream) = it.ends[usize::from(forth)];
        let payload = self.perhaps_damaged(payload);
        if let Some(stream) = stream {
            self.deliver(id, Input::Received { stream, payload });
        }
        self.pump(connection, forth);
    }

    fn perhaps_damaged(&mut self, payload: Payload) -> Payload {
        match payload {
            Payload::Real(bytes) if self.damage > 0 && self.random.below(self.damage) == 0 => {
                let mut bytes = bytes.to_vec();
                let bit = self.random.below(bytes.len() as u64 * 8) as usize;
                bytes[bit / 8] ^= 1 << (bit % 8);
                Bytes::from(bytes).into()
            }
            other => other,
        }
    }

    /// Takes over what there is room for.
    fn pump(&mut self, connection: usize, forth: bool) {
        let delay = self.delay;
        let it = &mut self.connections[connection];
        if it.dead || !it.reached {
            return;
        }
        let (writer, stream) = it.ends[usize::from(!forth)];
        let pipe = &mut it.pipes[usize::from(!forth)];
        let mut taken = 0;
        while pipe.in_flight < ROOM
            && let Some(piece) = pipe.outbox.pop(16 << 10)
        {
            taken += piece.len();
            pipe.in_flight += piece.len();
            pipe.on_the_way.push_back(piece);
            self.sequence += 1;
            self.queue.insert(
                (self.now + delay, self.sequence),
                Happening::Arrives { connection, forth },
            );
        }
        if pipe.finished && pipe.outbox.is_empty() && !std::mem::replace(&mut pipe.end_sent, true) {
            let reason = CloseReason::Finished;
            self.schedule(
                delay,
                Happening::Ends {
                    connection,
                    forth,
                    reason,
                },
            );
        }
        if taken > 0
            && let Some(stream) = stream
        {
            self.deliver(writer, Input::Sent { stream, bytes: taken });
        }
    }

    fn deliver(&mut self, id: ClusterId, input: Input<Command>) {
        let now = self.now;
        let Some(cluster) = self.clusters.get_mut(&id).and_then(Option::as_mut) else {
            return;
        };
        cluster.handle(now, input);
        let mut outputs = Vec::new();
        let wake = loop {
            match cluster.poll() {
                Output::WakeAt { at, .. } => break Some(at.max(now)),
                Output::Idle => break None,
                output => outputs.push(output),
            }
        };
        let failed = cluster.has_failed();
        if let Err(violation) = self.checker.observe(cluster) {
            panic!("{violation}");
        }
        let disks = self.clusters.iter().filter_map(|(id, cluster)| match cluster {
            Some(cluster) => cluster.disk(),
            None => self.survivors.get(id).map(longhaul_federation::Survivor::disk),
        });
        if let Err(violation) = self.checker.observe_disks(disks) {
            panic!("{violation}");
        }
        if let Some(before) = self.wakes.remove(&id) {
            self.queue.remove(&before);
        }
        if let Some(at) = wake {
            self.sequence += 1;
            self.queue.insert((at, self.sequence), Happening::Wake(id));
            self.wakes.insert(id, (at, self.sequence));
        }
        for output in outputs {
            self.carry_out(id, output);
        }
        if failed {
            self.crash(id);
        }
    }

    fn carry_out(&mut self, id: ClusterId, output: Output<Event>) {
        match output {
            Output::Open { stream, peer } => {
                let connection = self.connections.len();
                self.connections.push(Connection {
                    ends: [(id, Some(stream)), (ClusterId(peer.0), None)],
                    pipes: [Pipe::default(), Pipe::default()],
                    reached: false,
                    held_open: false,
                    dead: false,
                });
                assert!(
                    self.streams.insert((id, stream), (connection, 0)).is_none(),
                    "a stream number twice"
                );
                self.schedule(self.delay, Happening::Reaches(connection));
            }
            Output::Send { stream, payload } => {
                if let Some(&(connection, end)) = self.streams.get(&(id, stream)) {
                    let pipe = &mut self.connections[connection].pipes[end];
                    assert!(!pipe.finished, "{id} writes on a stream that it has closed");
                    pipe.outbox.push(payload);
                    self.pump(connection, end == 0);
                }
            }
            Output::Close { stream } => {
                if let Some(&(connection, end)) = self.streams.get(&(id, stream)) {
                    self.connections[connection].pipes[end].finished = true;
                    self.pump(connection, end == 0);
                }
            }
            Output::Event(event) => self.events.push((self.now, id, event)),
            Output::Inspect { .. } => {}
            Output::Abort { stream } => {
                if let Some((connection, end)) = self.streams.remove(&(id, stream)) {
                    self.connections[connection].dead = true;
                    let (forth, reason) = (end == 0, CloseReason::Failed);
                    self.schedule(
                        self.delay,
                        Happening::Ends {
                            connection,
                            forth,
                            reason,
                        },
                    );
                }
            }
            Output::Datagram { .. } => unreachable!("clusters send no datagrams"),
            Output::WakeAt { .. } | Output::Idle => {}
        }
    }

    fn schedule(&mut self, after: Span, happening: Happening) {
        self.sequence += 1;
        self.queue.insert((self.now + after, self.sequence), happening);
    }
}
