//! A source and a replica joined by one link in each direction: a fixed rate forth, a fixed delay both ways. The
//! streams share the rate piece by piece; each has a socket buffer. The link can be down for a time: nothing crosses
//! it, and what was on its way arrives after it is back, as if it had been sent again then. The source can be killed,
//! as by a loss of power: nothing of it is heard any more but what was on its way.

use std::collections::BTreeMap;

use longhaul_amst::SenderOptions;
use longhaul_core::disk::DiskCondition;
use longhaul_core::machine::{CloseReason, Input, Machine, Output, PeerId, StreamId};
use longhaul_core::payload::{Payload, PayloadBuffer};
use longhaul_core::random::Streams;
use longhaul_core::time::{Instant, Span};
use longhaul_core::units::{BitRate, ByteSize, Probability};
use longhaul_frames::PayloadMode;
use longhaul_hde::{EncoderOptions, PAGE_SIZE};
use longhaul_memory::generated::{DirtyOptions, GeneratedMemory, GeneratedOptions};
use longhaul_memory::locality::Locality;
use longhaul_memory::pattern::Pattern;
use longhaul_memory::{GuestMemory, ReadOptions};
use longhaul_replication::{
    Backoff, Failover, Guest, Heartbeat, Policy, Replica, ReplicaCommand, ReplicaEvent, ReplicaOptions,
    ReplicaSetOptions, RpoHistory, SetGuests, Source, SourceCommand, SourceEvent, SourceOptions,
};

pub const PIECE_BYTES: u64 = 1_448;

/// Everything that a run depends on.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The priority of each set and the pages of its guests.
    pub sets: Vec<(u32, Vec<u64>)>,
    pub pattern: Pattern,
    pub dirty_pages_per_s: u64,
    pub working_set: Probability,
    pub bytes_per_write: u64,
    pub options: SourceOptions,
    pub resume_time: Span,
    pub write_rate: Option<BitRate>,
    pub restore_rate: Option<BitRate>,
    /// How well the disk of the replica does, from when on.
    pub disk: Vec<(Instant, DiskCondition)>,
    pub rate: BitRate,
    pub delay: Span,
    pub socket_bytes: u64,
    pub horizon: Instant,
    /// When the link is down, ascending and apart.
    pub outages: Vec<(Instant, Instant)>,
    /// When which streams die, by number.
    pub deaths: Vec<(Instant, u32)>,
    pub kill: Option<Instant>,
    pub fail_over: Option<Instant>,
    /// Unasked-for wakes at both.
    pub extra_wakes: Option<Span>,
    /// What happens to every piece on its way forth, by its number.
    pub damage: Option<fn(u64, Payload) -> Payload>,
}

pub fn at_ms(ms: u64) -> Instant {
    Instant::ZERO + Span::from_ms(ms)
}

impl Default for Setup {
    fn default() -> Setup {
        Setup {
            sets: vec![(0, vec![512])],
            pattern: Pattern::RealWorld,
            dirty_pages_per_s: 50,
            working_set: Probability::from_ratio(1, 4).unwrap(),
            bytes_per_write: 64,
            options: SourceOptions {
                replica: PeerId(1),
                policy: Policy::Interval(Span::from_s(1)),
                rpo_target: Span::from_s(2),
                snapshot_pause: Span::ZERO,
                encoding: EncoderOptions::hde(1),
                cost: None,
                payload: PayloadMode::Real,
                transport: SenderOptions::fixed(2, 64 << 10, 1 << 20),
                max_bandwidth: None,
                heartbeat: Heartbeat {
                    interval: Span::from_ms(100),
                    multiplier: 5,
                },
                backoff: Backoff {
                    first: Span::from_ms(100),
                    most: Span::from_ms(400),
                },
                failover: Failover::MANUAL,
            },
            resume_time: Span::from_ms(700),
            write_rate: None,
            restore_rate: None,
            disk: Vec::new(),
            rate: BitRate::from_bits_per_s(80_000_000),
            delay: Span::from_ms(20),
            socket_bytes: 16 << 10,
            horizon: at_ms(10_000),
            outages: Vec::new(),
            deaths: Vec::new(),
            kill: None,
            fail_over: None,
            extra_wakes: None,
            damage: None,
        }
    }
}

impl Setup {
    pub fn memory(&self, set: usize, guest: usize) -> GeneratedMemory {
        let options = GeneratedOptions {
            pattern: self.pattern,
            size: ByteSize::from_bytes(self.sets[set].1[guest] * PAGE_SIZE as u64),
            vcpus: 1,
            reads: ReadOptions::NONE,
            dirty: DirtyOptions {
                pages_per_s: self.dirty_pages_per_s,
                working_set: self.working_set,
                locality: Locality::Uniform,
                bytes_per_write: ByteSize::from_bytes(self.bytes_per_write),
            },
        };
        GeneratedMemory::new(&options, &Streams::new(11, 0), &format!("vm-{set}-{guest}")).unwrap()
    }

    pub fn source(&self) -> Source<GeneratedMemory> {
        let sets = self.sets.iter().enumerate().map(|(set, (priority, guests))| {
            let guests = (0..guests.len()).map(|guest| Guest {
                memory: self.memory(set, guest),
                random: Streams::new(11, 0).stream(&format!("vm-{set}-{guest}"), "real extents"),
            });
            SetGuests {
                guests: guests.collect(),
                priority: *priority,
            }
        });
        Source::new(self.options, sets.collect()).unwrap()
    }

    pub fn replica(&self) -> Replica {
        let sets = self.sets.iter().map(|(priority, pages)| ReplicaSetOptions {
            pages: pages.clone(),
            priority: *priority,
        });
        Replica::new(ReplicaOptions {
            sets: sets.collect(),
            window_bytes: self.options.transport.window_bytes,
            heartbeat: self.options.heartbeat,
            failover: self.options.failover,
            write_rate: self.write_rate,
            restore_rate: self.restore_rate,
            resume_time: self.resume_time,
        })
        .unwrap()
    }

    pub fn run(&self) -> World {
        let mut world = World::new(self.clone());
        world.run();
        world
    }
}

/// What is going to happen.
#[derive(Debug)]
enum Event {
    ToSource(Input<SourceCommand>),
    ToReplica(Input<ReplicaCommand>),
    /// A piece arrives at the replica.
    Arrival(StreamId, Payload),
    /// A handshake is over at the replica.
    Handshake(StreamId),
    /// The link forth is free.
    Free,
    Death(u32),
    Kill,
}

/// One stream of the source, as the transport sees it.
#[derive(Default)]
struct Socket {
    /// Not taken over yet.
    outside: PayloadBuffer,
    /// Taken over and not on the link yet.
    inside: PayloadBuffer,
    closing: bool,
    dead: bool,
}

type Tape<I, O> = Vec<(Instant, I, Vec<O>)>;

pub struct World {
    pub setup: Setup,
    pub source: Source<GeneratedMemory>,
    pub replica: Replica,
    now: Instant,
    events: BTreeMap<(Instant, u64), Event>,
    next_event: u64,
    sockets: BTreeMap<StreamId, Socket>,
    turn: usize,
    busy: bool,
    killed: bool,
    pieces: u64,
    wakes: [Option<Instant>; 2],
    pub link_bytes: u64,
    pub source_events: Vec<(Instant, SourceEvent)>,
    pub replica_events: Vec<(Instant, ReplicaEvent)>,
    /// The versions of all pages of a set at the snapshot of each epoch: by guest.
    pub snapshots: BTreeMap<(u32, u64), Vec<Vec<u32>>>,
    pub rpo: Vec<RpoHistory>,
    /// The most pages that the replica has ever held for an epoch under way.
    pub staged_max: u64,
    pub source_tape: Tape<Input<SourceCommand>, Output<SourceEvent>>,
    pub replica_tape: Tape<Input<ReplicaCommand>, Output<ReplicaEvent>>,
}

fn accepted(stream: StreamId) -> StreamId {
    StreamId(stream.0 + StreamId::FIRST_ACCEPTED)
}

fn opened(stream: StreamId) -> StreamId {
    StreamId(stream.0 - StreamId::FIRST_ACCEPTED)
}

impl World {
    pub fn new(setup: Setup) -> World {
        let mut world = World {
            source: setup.source(),
            replica: setup.replica(),
            now: Instant::ZERO,
            events: BTreeMap::new(),
            next_event: 0,
            sockets: BTreeMap::new(),
            turn: 0,
            busy: false,
            killed: false,
            pieces: 0,
            wakes: [None; 2],
            link_bytes: 0,
            source_events: Vec::new(),
            replica_events: Vec::new(),
            snapshots: BTreeMap::new(),
            rpo: vec![RpoHistory::default(); setup.sets.len()],
            staged_max: 0,
            source_tape: Vec::new(),
            replica_tape: Vec::new(),
            setup,
        };
        world.at(Instant::ZERO, Event::ToSource(Input::Start));
        world.at(Instant::ZERO, Event::ToReplica(Input::Start));
        world.at(at_ms(5), Event::ToSource(Input::Command(SourceCommand::Start)));
        for (at, stream) in world.setup.deaths.clone() {
            world.at(at, Event::Death(stream));
        }
        for (_, end) in world.setup.outages.clone() {
            world.at(end, Event::Free);
        }
        if let Some(at) = world.setup.kill {
            world.at(at, Event::Kill);
        }
        if let Some(at) = world.setup.fail_over {
            world.at(at, Event::ToReplica(Input::Command(ReplicaCommand::FailOver)));
        }
        for (at, condition) in world.setup.disk.clone() {
            world.at(
                at,
                Event::ToReplica(Input::Command(ReplicaCommand::Disk(condition))),
            );
        }
        if let Some(every) = world.setup.extra_wakes {
            for k in 1..500 {
                world.at(Instant::ZERO + every * k, Event::ToSource(Input::Wake));
                world.at(Instant::ZERO + every * k, Event::ToReplica(Input::Wake));
            }
        }
        world
    }

    /// Asserts that the newest epoch of every set at the replica is the memory of its guests at the snapshot, page by
    /// page; returns how many pages were compared.
    pub fn compare_pages(&self) -> u64 {
        let mut compared = 0;
        let mut expected = [0; PAGE_SIZE];
        for set in 0..self.setup.sets.len() {
            let Some((epoch, _)) = self.replica.newest_epoch(set) else {
                continue;
            };
            let versions = &self.snapshots[&(set as u32, epoch)];
            for (guest, (memory, versions)) in self.source.memories(set).zip(versions).enumerate() {
                for (page, &version) in (0..).zip(versions) {
                    if let Some(content) = self.replica.page(set, guest, page) {
                        memory.read(page, version, &mut expected);
                        assert_eq!(
                            *content, expected,
                            "set {set}, guest {guest}, page {page}, epoch {epoch}"
                        );
                        compared += 1;
                    }
                }
            }
        }
        compared
    }

    /// When each epoch of a set was applied, with its number and the time of its snapshot.
    pub fn applied(&self, set: u32) -> Vec<(Instant, u64, Instant)> {
        let applied = self.replica_events.iter().filter_map(|(at, event)| match event {
            ReplicaEvent::EpochApplied {
                set: of,
                epoch,
                snapshot_at,
                ..
            } if *of == set => Some((*at, *epoch, *snapshot_at)),
            _ => None,
        });
        applied.collect()
    }

    fn at(&mut self, at: Instant, event: Event) {
        self.events.insert((at, self.next_event), event);
        self.next_event += 1;
    }

    fn outage_at(&self, at: Instant) -> Option<(Instant, Instant)> {
        let outages = &self.setup.outages;
        outages
            .iter()
            .copied()
            .find(|(begin, end)| *begin <= at && at < *end)
    }

    /// What would arrive at a time arrives later if the link is down then.
    fn arrival(&self, at: Instant) -> Instant {
        match self.outage_at(at) {
            Some((_, end)) => end + self.setup.delay,
            None => at,
        }
    }

    fn later(&mut self, event: Event) {
        let at = self.arrival(self.now + self.setup.delay);
        self.at(at, event);
    }

    pub fn run(&mut self) {
        self.run_to(self.setup.horizon);
    }

    pub fn run_to(&mut self, until: Instant) {
        loop {
            let next = self.events.first_key_value().map(|(key, _)| key.0);
            let wake = self.wakes.iter().flatten().min().copied();
            let wake = wake.filter(|wake| next.is_none_or(|next| *wake < next));
            let Some(at) = wake.or(next).filter(|at| *at <= until) else {
                break;
            };
            self.now = at;
            if wake.is_some() {
                if self.wakes[0] == Some(at) {
                    self.wakes[0] = None;
                    self.give_source(Input::Wake);
                } else {
                    self.wakes[1] = None;
                    self.give_replica(Input::Wake);
                }
                continue;
            }
            match self.events.pop_first().expect("peeked").1 {
                Event::ToSource(input) => self.give_source(input),
                Event::ToReplica(input) => self.give_replica(input),
                Event::Handshake(stream) => {
                    if self.sockets.get(&stream).is_some_and(|socket| !socket.dead) {
                        let accepted = accepted(stream);
                        self.give_replica(Input::Accepted { stream: accepted });
                        self.later(Event::ToSource(Input::Opened { stream }));
                    }
                }
                Event::Arrival(stream, payload) => {
                    let stream = accepted(stream);
                    self.give_replica(Input::Received { stream, payload });
                }
                Event::Free => {
                    self.busy = false;
                    self.transmit();
                }
                Event::Death(stream) => self.die(StreamId(stream), true),
                Event::Kill => {
                    self.killed = true;
                    self.wakes[0] = None;
                    self.sockets.clear();
                }
            }
        }
    }

    fn give_source(&mut self, input: Input<SourceCommand>) {
        let of_dead = match &input {
            Input::Received { stream, .. } | Input::Opened { stream } => {
                self.sockets.get(stream).is_none_or(|socket| socket.dead)
            }
            _ => false,
        };
        if of_dead || self.killed {
            return;
        }
        self.source.handle(self.now, input.clone());
        let mut outputs = Vec::new();
        loop {
            let output = self.source.poll();
            let last = output.ends_poll();
            outputs.push(output);
            if last {
                break;
            }
        }
        self.source_tape.push((self.now, input, outputs.clone()));
        for output in outputs {
            self.on_source_output(output);
        }
        self.transmit();
    }

    fn on_source_output(&mut self, output: Output<SourceEvent>) {
        match output {
            Output::Open { stream, .. } => {
                self.sockets.insert(stream, Socket::default());
                self.later(Event::Handshake(stream));
            }
            Output::Send { stream, payload } => {
                if let Some(socket) = self.sockets.get_mut(&stream).filter(|socket| !socket.dead) {
                    socket.outside.push(payload);
                    self.take(stream);
                }
            }
            Output::Close { stream } => {
                if let Some(socket) = self.sockets.get_mut(&stream) {
                    socket.closing = true;
                }
            }
            Output::Abort { stream } => self.die(stream, false),
            Output::Event(event) => {
                if let SourceEvent::EpochStarted { set, epoch, .. } = &event {
                    let memories = self.source.memories(*set as usize);
                    let versions = memories.map(|memory| {
                        let pages = 0..memory.pages();
                        pages.map(|page| memory.version(page)).collect()
                    });
                    self.snapshots.insert((*set, *epoch), versions.collect());
                }
                self.source_events.push((self.now, event));
            }
            Output::WakeAt { at, .. } => self.wakes[0] = Some(at.max(self.now)),
            Output::Idle => self.wakes[0] = None,
            Output::Inspect { .. } => {}
            Output::Datagram { .. } => unreachable!("no datagrams"),
        }
    }

    pub fn give_replica(&mut self, input: Input<ReplicaCommand>) {
        self.replica.handle(self.now, input.clone());
        let mut outputs = Vec::new();
        loop {
            let output = self.replica.poll();
            let last = output.ends_poll();
            outputs.push(output);
            if last {
                break;
            }
        }
        self.replica_tape.push((self.now, input, outputs.clone()));
        let (base, staged) = self.replica.held_pages();
        let pages: u64 = self.setup.sets.iter().flat_map(|(_, guests)| guests).sum();
        assert!(base <= pages && staged <= pages, "{base} and {staged} pages held");
        self.staged_max = self.staged_max.max(staged);
        for output in outputs {
            self.on_replica_output(output);
        }
    }

    fn on_replica_output(&mut self, output: Output<ReplicaEvent>) {
        match output {
            Output::Send { stream, payload } => {
                let bytes = payload.len();
                self.at(self.now, Event::ToReplica(Input::Sent { stream, bytes }));
                let stream = opened(stream);
                self.later(Event::ToSource(Input::Received { stream, payload }));
            }
            Output::Close { stream } => {
                let (stream, reason) = (opened(stream), CloseReason::Finished);
                self.later(Event::ToSource(Input::Closed { stream, reason }));
            }
            Output::Abort { stream } => {
                let (stream, reason) = (opened(stream), CloseReason::Failed);
                self.later(Event::ToSource(Input::Closed { stream, reason }));
            }
            Output::Event(event) => {
                if let ReplicaEvent::EpochApplied { set, snapshot_at, .. } = &event {
                    self.rpo[*set as usize].apply(self.now, *snapshot_at);
                }
                self.replica_events.push((self.now, event));
            }
            Output::WakeAt { at, .. } => self.wakes[1] = Some(at.max(self.now)),
            Output::Idle => self.wakes[1] = None,
            Output::Open { .. } | Output::Inspect { .. } | Output::Datagram { .. } => {
                unreachable!("a replica opens nothing")
            }
        }
    }

    /// Fills the socket buffer of a stream once half of it is free, as an operating system does.
    fn take(&mut self, stream: StreamId) {
        let Some(socket) = self.sockets.get_mut(&stream) else {
            return;
        };
        if socket.inside.len() > self.setup.socket_bytes / 2 {
            return;
        }
        let mut bytes = 0;
        while let Some(piece) = socket.outside.pop(self.setup.socket_bytes - socket.inside.len()) {
            bytes += piece.len();
            socket.inside.push(piece);
        }
        if bytes > 0 {
            self.at(self.now, Event::ToSource(Input::Sent { stream, bytes }));
        }
    }

    /// Puts the next piece on the link if it is free.
    fn transmit(&mut self) {
        if self.busy || self.outage_at(self.now).is_some() {
            return;
        }
        let streams: Vec<StreamId> = self.sockets.keys().copied().collect();
        for step in 0..streams.len() {
            let index = (self.turn + step) % streams.len();
            let stream = streams[index];
            let socket = self.sockets.get_mut(&stream).expect("a key");
            let Some(mut payload) = socket.inside.pop(PIECE_BYTES) else {
                if socket.closing && socket.outside.is_empty() {
                    socket.closing = false;
                    let (stream, reason) = (accepted(stream), CloseReason::Finished);
                    self.later(Event::ToReplica(Input::Closed { stream, reason }));
                }
                continue;
            };
            self.turn = index + 1;
            self.busy = true;
            self.link_bytes += payload.len();
            let free = self.now + self.setup.rate.time_for(payload.len());
            self.at(free, Event::Free);
            if let Some(damage) = self.setup.damage {
                payload = damage(self.pieces, payload);
            }
            self.pieces += 1;
            let arrival = self.arrival(free + self.setup.delay);
            self.at(arrival, Event::Arrival(stream, payload));
            self.take(stream);
            return;
        }
    }

    /// A stream fails at the source, or is given up by it.
    fn die(&mut self, stream: StreamId, tell: bool) {
        let Some(socket) = self.sockets.get_mut(&stream) else {
            return;
        };
        *socket = Socket {
            dead: true,
            ..Socket::default()
        };
        let reason = CloseReason::Failed;
        if tell {
            self.later(Event::ToSource(Input::Closed { stream, reason }));
        }
        let stream = accepted(stream);
        self.later(Event::ToReplica(Input::Closed { stream, reason }));
    }
}
