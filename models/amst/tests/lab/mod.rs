//! One AMST transfer over the packet network: a path of one link each way, traffic of others on it, connections that are
//! reset, and a path that changes. Shared by the tests and by `benches/amst.rs`.

#![allow(dead_code, reason = "each user needs a part of it")]

use std::collections::BTreeMap;

use longhaul_amst::object::{Amount, Command, ObjectEvent, ObjectOptions, ObjectReceiver, ObjectSender};
use longhaul_amst::{ReceiverOptions, SenderOptions};
use longhaul_core::machine::{CloseReason, Input, Machine, Output, PeerId, StreamId};
use longhaul_core::payload::Payload;
use longhaul_core::random::{Stream as Random, Streams};
use longhaul_core::schedule::{Class, EntityId, Schedule, TimerId};
use longhaul_core::time::{Instant, Span};
use longhaul_core::units::{BitRate, Probability};
use longhaul_engine::{Budget, Engine, Event, World};
use longhaul_net::course::{Step, Steps};
use longhaul_net::link::{Changes, LinkSpec, QueueLimit};
use longhaul_net::loss::Loss;
use longhaul_net::network::{Network, NetworkLink};
use longhaul_net::notice::{ConnectionId, Notice, Side, What};
use longhaul_net::routing::{LinkId, RegionId};
use longhaul_tcp::Config;

const HERE: RegionId = RegionId(0);
const THERE: RegionId = RegionId(1);
/// Entities: the sender's wake, resets, then the network.
const WAKE: EntityId = EntityId::new(0);
const RESET: EntityId = EntityId::new(1);
const FIRST_OF_NETWORK: u32 = 2;

/// A path and what happens on it.
#[derive(Clone)]
pub struct Path {
    pub name: &'static str,
    pub rate: BitRate,
    pub rtt: Span,
    pub loss: Loss,
    pub jitter: longhaul_net::jitter::Jitter,
    /// Frames that the queue holds.
    pub queue_frames: u64,
    pub tcp: Config,
    /// New rates, delays and loss laws on the way forth.
    pub changes: Vec<Step>,
    /// Plain TCP connections of others, that always have something to send, from the start.
    pub others: u32,
    /// One connection of the transfer is reset after every such span.
    pub reset_every: Option<Span>,
    pub seed: u64,
}

/// What came of a transfer.
#[derive(Clone, Debug)]
pub struct Outcome {
    pub amount: u64,
    /// When it was complete; none if it failed or ran out of time.
    pub completed: Option<Instant>,
    /// Bytes that had arrived in order by then, or by the end.
    pub received: u64,
    /// What the connections of others had delivered by then.
    pub others: u64,
    /// Bytes that had arrived in order at every whole second.
    pub course: Vec<u64>,
    pub adapted: Vec<(Instant, u32, u32)>,
    pub sender: longhaul_amst::SenderStats,
    pub receiver: longhaul_amst::ReceiverStats,
    pub failed: bool,
    /// Bytes on the wire of records in both directions.
    pub record_bytes: u64,
    pub resets: u32,
    pub events: u64,
    pub link_loss: f64,
}

impl Outcome {
    /// Mean rate from the start to completion, in Mbit/s, or to the end if it never was.
    pub fn mbit_per_s(&self) -> f64 {
        match self.completed {
            Some(completed) => self.amount as f64 * 8.0 / completed.as_ns() as f64 * 1e3,
            None => self.received as f64 * 8.0 / self.course.len().max(1) as f64 / 1e6,
        }
    }

    /// Mean rate between two times of the course, in Mbit/s.
    pub fn mbit_per_s_between(&self, from_s: usize, to_s: usize) -> f64 {
        let at = |second: usize| {
            self.course
                .get(second)
                .or(self.course.last())
                .copied()
                .unwrap_or(0)
        };
        (at(to_s) - at(from_s)) as f64 * 8.0 / (to_s - from_s) as f64 / 1e6
    }

    pub fn final_streams(&self) -> u32 {
        self.adapted.last().map_or(0, |&(_, streams, _)| streams)
    }
}

struct Lab {
    network: Network,
    tcp: Config,
    sender: ObjectSender,
    receiver: ObjectReceiver,
    wake: Option<(Instant, TimerId)>,
    /// The sender's stream of a connection, and the receiver's number for it.
    streams: BTreeMap<StreamId, ConnectionId>,
    accepted: BTreeMap<StreamId, ConnectionId>,
    by_connection: BTreeMap<ConnectionId, (StreamId, Option<StreamId>)>,
    others: Vec<ConnectionId>,
    others_received: u64,
    reset_every: Option<Span>,
    resets: u32,
    random: Random,
    seeds: u64,
    completed: Option<Instant>,
    failed: bool,
    adapted: Vec<(Instant, u32, u32)>,
    back_bytes: u64,
    course: Vec<u64>,
}

impl Path {
    /// A clean path with a queue of one bandwidth-delay product.
    pub fn new(name: &'static str, mbit: u64, rtt_ms: u64) -> Path {
        let rate = BitRate::from_bits_per_s(mbit * 1_000_000);
        let rtt = Span::from_ms(rtt_ms);
        Path {
            name,
            rate,
            rtt,
            loss: Loss::None,
            jitter: longhaul_net::jitter::Jitter::None,
            queue_frames: (rate.bytes_in(rtt) / 1_500).max(20),
            tcp: Config {
                notsent_lowat: 128 << 10,
                ..Config::default()
            },
            changes: Vec::new(),
            others: 0,
            reset_every: None,
            seed: 1,
        }
    }

    pub fn gilbert_elliott(self, mean_parts_per_million: u64, burst: u32) -> Path {
        let mean = Probability::from_ratio(mean_parts_per_million, 1_000_000).unwrap();
        let loss = Loss::GilbertElliott {
            mean,
            burst_packets: burst,
        };
        Path { loss, ..self }
    }

    pub fn independent(self, parts_per_million: u64) -> Path {
        let loss = Loss::Independent(Probability::from_ratio(parts_per_million, 1_000_000).unwrap());
        Path { loss, ..self }
    }

    fn network(&self) -> Network {
        let forth = LinkSpec {
            loss: self.loss,
            jitter: self.jitter.clone(),
            changes: Changes {
                steps: (!self.changes.is_empty())
                    .then(|| std::sync::Arc::new(Steps::new(self.changes.clone(), None).unwrap())),
                delivery: None,
            },
            ..LinkSpec::fifo(
                self.rate,
                self.rtt / 2,
                QueueLimit::Packets(self.queue_frames as u32),
            )
        };
        let back = LinkSpec {
            changes: Changes::default(),
            ..forth.clone()
        };
        let link = |from, to, spec| NetworkLink { from, to, spec };
        let links = [link(HERE, THERE, forth), link(THERE, HERE, back)];
        let regions = ["a".to_owned(), "b".to_owned()];
        Network::new(FIRST_OF_NETWORK, &Streams::new(self.seed, 0), &regions, &links).unwrap()
    }

    /// Carries `amount` in at most `limit`.
    pub fn carry(&self, amount: Amount, transport: SenderOptions, limit: Span) -> Outcome {
        let mut engine = Engine::new();
        let mut lab = Lab {
            network: self.network(),
            tcp: self.tcp,
            sender: ObjectSender::new(ObjectOptions {
                peer: PeerId(1),
                amount,
                transport,
            })
            .unwrap(),
            receiver: ObjectReceiver::new(ReceiverOptions {
                window_bytes: transport.window_bytes,
            }),
            wake: None,
            streams: BTreeMap::new(),
            accepted: BTreeMap::new(),
            by_connection: BTreeMap::new(),
            others: Vec::new(),
            others_received: 0,
            reset_every: self.reset_every,
            resets: 0,
            random: Streams::new(self.seed, 0).stream("lab", "resets"),
            seeds: 0,
            completed: None,
            failed: false,
            adapted: vec![(Instant::ZERO, 0, 0)],
            back_bytes: 0,
            course: Vec::new(),
        };
        for _ in 0..self.others {
            let tcp = lab.next_tcp();
            let connection = lab.network.open(&mut engine, HERE, THERE, tcp).unwrap();
            lab.network
                .write(&mut engine, connection, Side::Opener, Payload::Synthetic(1 << 50))
                .unwrap();
            lab.others.push(connection);
        }
        lab.give(&mut engine, Input::Command(Command::Start));
        if let Some(every) = self.reset_every {
            engine.schedule(Instant::ZERO + every, Class::World, RESET, RESET, 0);
        }
        let mut second = 0;
        while lab.completed.is_none() && !lab.failed && Span::from_s(second) < limit {
            lab.course.push(lab.receiver.received());
            second += 1;
            engine.run(&mut lab, Budget::until(Instant::ZERO + Span::from_s(second)));
            lab.network.check();
        }
        let link = lab.network.link(LinkId(0)).stats();
        Outcome {
            amount: match amount {
                Amount::Bytes(bytes) => bytes,
                Amount::Duration(_) => lab.receiver.received(),
            },
            completed: lab.completed,
            received: lab.receiver.received(),
            others: lab.others_received,
            course: lab.course,
            adapted: lab.adapted,
            sender: *lab.sender.statistics(),
            receiver: *lab.receiver.statistics(),
            failed: lab.failed,
            record_bytes: lab.sender.statistics().wire_bytes + lab.back_bytes,
            resets: lab.resets,
            events: engine.executed(),
            link_loss: link.lost_by_law.packets as f64 / link.offered.packets.max(1) as f64,
        }
    }
}

impl Lab {
    fn next_tcp(&mut self) -> Config {
        self.seeds += 1;
        Config {
            seed: self.seeds,
            ..self.tcp
        }
    }

    fn give(&mut self, engine: &mut Engine, input: Input<Command>) {
        let now = engine.now();
        let mut inspected = Vec::new();
        let mut written = Vec::new();
        self.sender.handle(now, input);
        let wake = loop {
            match self.sender.poll() {
                Output::Open { stream, .. } => {
                    let tcp = self.next_tcp();
                    let connection = self.network.open(engine, HERE, THERE, tcp).unwrap();
                    self.streams.insert(stream, connection);
                    self.by_connection.insert(connection, (stream, None));
                }
                Output::Send { stream, payload } => {
                    let connection = self.streams[&stream];
                    let _ = self.network.gather(connection, Side::Opener, payload);
                    if written.last() != Some(&connection) {
                        written.push(connection);
                    }
                }
                Output::Close { stream } => {
                    self.network.flush(engine, self.streams[&stream], Side::Opener);
                    self.network.shutdown(engine, self.streams[&stream], Side::Opener);
                }
                Output::Inspect { stream } => inspected.push(stream),
                Output::Abort { stream } => self.network.abort(engine, self.streams[&stream], Side::Opener),
                Output::Datagram { .. } => unreachable!(),
                Output::Event(event) => self.note(now, event),
                Output::WakeAt { at, .. } => break Some(at.max(now)),
                Output::Idle => break None,
            }
        };
        for connection in written {
            self.network.flush(engine, connection, Side::Opener);
        }
        if self.wake.map(|(at, _)| at) != wake {
            if let Some((_, timer)) = self.wake.take() {
                engine.cancel(timer);
            }
            self.wake = wake.map(|at| (at, engine.schedule_timer(at, Class::Wake, WAKE, WAKE, 0)));
        }
        for stream in inspected {
            if let Some(info) = self.network.path_info(self.streams[&stream], Side::Opener) {
                self.give(engine, Input::Path { stream, info });
            }
        }
    }

    fn note(&mut self, now: Instant, event: ObjectEvent) {
        match event {
            ObjectEvent::Adapted { streams, chunk_bytes } => self.adapted.push((now, streams, chunk_bytes)),
            ObjectEvent::Completed => self.completed = Some(now),
            ObjectEvent::Failed { .. } => self.failed = true,
            ObjectEvent::Connected { .. } | ObjectEvent::StreamLost { .. } | ObjectEvent::TimeUp => {}
        }
    }

    fn give_receiver(&mut self, engine: &mut Engine, input: Input<()>) {
        self.receiver.handle(engine.now(), input);
        loop {
            match self.receiver.poll() {
                Output::Send { stream, payload } => {
                    self.back_bytes += payload.len();
                    let _ = self
                        .network
                        .write(engine, self.accepted[&stream], Side::Acceptor, payload);
                }
                Output::Close { stream } => {
                    self.network
                        .shutdown(engine, self.accepted[&stream], Side::Acceptor);
                }
                Output::Event(_) => {}
                output => break assert!(output.ends_poll()),
            }
        }
    }

    fn notify(&mut self, engine: &mut Engine, notice: Notice) {
        let Notice {
            connection,
            side,
            what,
        } = notice;
        let Some((stream, accepted)) = self.by_connection.get_mut(&connection) else {
            if let (Side::Acceptor, What::Received(piece)) = (side, &what) {
                self.others_received += piece.len();
            }
            return;
        };
        if side == Side::Opener {
            let stream = *stream;
            let input = match what {
                What::Opened => Input::Opened { stream },
                What::Received(payload) => Input::Received { stream, payload },
                What::Sent(bytes) => Input::Sent { stream, bytes },
                What::PeerFinished => closed(stream, CloseReason::Finished),
                What::Closed(CloseReason::Failed) => closed(stream, CloseReason::Failed),
                What::Closed(CloseReason::Finished) | What::Accepted => return,
            };
            return self.give(engine, input);
        }
        if what == What::Accepted {
            let stream = StreamId(StreamId::FIRST_ACCEPTED + connection.0);
            *accepted = Some(stream);
            self.accepted.insert(stream, connection);
        }
        let Some(stream) = *accepted else { return };
        let input = match what {
            What::Accepted => Input::Accepted { stream },
            What::Received(payload) => Input::Received { stream, payload },
            What::Sent(bytes) => Input::Sent { stream, bytes },
            What::PeerFinished => closed(stream, CloseReason::Finished),
            What::Closed(CloseReason::Failed) => closed(stream, CloseReason::Failed),
            What::Closed(CloseReason::Finished) | What::Opened => return,
        };
        self.give_receiver(engine, input);
    }

    /// Resets one of the transfer's connections, drawn at random among those that are open.
    fn reset(&mut self, engine: &mut Engine) {
        let open: Vec<ConnectionId> = self
            .streams
            .values()
            .copied()
            .filter(|&connection| self.network.path_info(connection, Side::Opener).is_some())
            .collect();
        if !open.is_empty() {
            let victim = open[self.random.below(open.len() as u64) as usize];
            self.network.abort(engine, victim, Side::Opener);
            self.resets += 1;
        }
        let every = self.reset_every.expect("asked for");
        engine.schedule(engine.now() + every, Class::World, RESET, RESET, 0);
    }
}

fn closed<C>(stream: StreamId, reason: CloseReason) -> Input<C> {
    Input::Closed { stream, reason }
}

impl World for Lab {
    fn handle(&mut self, event: &Event, engine: &mut Engine) {
        if event.target == WAKE {
            self.wake = None;
            self.give(engine, Input::Wake);
        } else if event.target == RESET {
            self.reset(engine);
        } else {
            self.network.handle(engine, event.target, event.token);
        }
        while let Some(notice) = self.network.poll_notice() {
            self.notify(engine, notice);
        }
    }
}
