//! Federations: what peers and strangers may send to a cluster.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use longhaul_core::machine::{CloseReason, Input, Machine, Output, PeerId, StreamId};
use longhaul_core::random::Streams;
use longhaul_core::time::{Instant, Span};
use longhaul_federation::handshake::{Hello, PROTOCOL, REQUIRED};
use longhaul_federation::outbox::Priority;
use longhaul_federation::planted::Planted;
use longhaul_federation::reconcile::Talk;
use longhaul_federation::record::{Record, Stamp, VersionVector};
use longhaul_federation::tree::{NodeAt, Sum};
use longhaul_federation::wire::{DataStream, Frame, Routed};
use longhaul_federation::{
    Cluster, ClusterId, Command, Key, Member, Options, RegionManager, Setup, Topology,
};

use crate::bytes::{Decisions, noise};

const MAX_KEYS: usize = 20;

/// Anything that is read is written the same again.
pub fn frame(data: &[u8]) {
    if let Ok(frame) = Frame::parse(data) {
        assert_eq!(&frame.to_bytes()[..], data);
    }
    let bytes = Bytes::copy_from_slice(data);
    if let Ok(record) = Record::parse(bytes.clone()) {
        assert_eq!(record.to_bytes(), bytes);
    }
}

/// One frame of most kinds, and a record.
pub fn frame_seeds() -> Vec<Vec<u8>> {
    let content = noise(1, 400);
    let mut decisions = Decisions::new(&content);
    let record = record(&mut decisions).to_bytes().to_vec();
    let frames = (0..16).map(|kind| any_frame(&mut decisions, kind).to_bytes().to_vec());
    frames.chain([record]).collect()
}

/// A cluster in the middle of three that is told anything by both, and by whoever else opens a stream. What it holds stays
/// within its bounds, and it does not write on streams that it has closed.
pub fn cluster(data: &[u8]) {
    let mut decisions = Decisions::new(data);
    let mut options = Options::default();
    options.sync.max_keys = MAX_KEYS;
    options.sync.outbox_messages = 8;
    options.sync.interval = Span::from_s(1);
    options.encoding.costs_time = false;
    options.encoding.dictionary_bytes = None;
    options.connection.streams = 2;
    let member = |id| Member {
        id: ClusterId(id),
        name: id.to_string(),
        region: "region".to_owned(),
        peer: PeerId(id),
    };
    let regions = RegionManager::new((0..3).map(member).collect(), Topology::Mesh).expect("members");
    let mut cluster = Cluster::new(Setup {
        options,
        federation: "f".to_owned(),
        id: ClusterId(1),
        regions,
        workload: None,
        streams: Streams::new(1, 0),
        planted: Planted::Nothing,
    })
    .expect("options in range");
    let mut world = World::default();
    world.tell(&mut cluster, Input::Command(Command::Start));
    while !decisions.is_over() {
        let input = world.input(&mut decisions);
        if let Some(input) = input {
            world.tell(&mut cluster, input);
        }
        assert!(cluster.state().len() <= MAX_KEYS, "too many keys");
        assert!(cluster.waiting() <= 2 * 108, "{} changes wait", cluster.waiting());
    }
}

/// Connections that come about, with frames and data on them.
pub fn cluster_seeds() -> Vec<Vec<u8>> {
    (0..8u8)
        .map(|seed| {
            // Cluster 0 opens a stream and says hello, properly.
            let mut bytes = vec![0, 3, 0, 0];
            for kind in 0..16 {
                bytes.extend([4, 0, kind]);
                bytes.extend(noise(u64::from(seed) * 16 + u64::from(kind), 12));
                bytes.extend([1, 0, 7, kind, 9]);
            }
            // A data stream of the connection, and something on it.
            bytes.extend([0, 4, 1, 0, 1, 5, 1, 30]);
            bytes.extend(noise(seed.into(), 60));
            bytes
        })
        .collect()
}

/// What the cluster has done with streams so far.
#[derive(Default)]
struct World {
    now: Instant,
    open: BTreeSet<StreamId>,
    opening: BTreeSet<StreamId>,
    closed: BTreeSet<StreamId>,
    untaken: BTreeMap<StreamId, u64>,
    accepted: u32,
    connection: u64,
}

impl World {
    fn input(&mut self, decisions: &mut Decisions<'_>) -> Option<Input<Command>> {
        Some(match decisions.below(9) {
            0 => {
                let stream = StreamId(StreamId::FIRST_ACCEPTED + self.accepted);
                self.accepted += 1;
                self.open.insert(stream);
                Input::Accepted { stream }
            }
            1 => {
                self.now += Span::from_ms(decisions.short() as u64);
                Input::Wake
            }
            2 => {
                // A driver says so once, and of streams that the cluster has opened.
                let stream = self.stream(decisions)?;
                self.opening.remove(&stream).then_some(Input::Opened { stream })?
            }
            3 => {
                let stream = self.stream(decisions)?;
                self.connection += 1;
                let hello = Frame::Hello(Hello {
                    oldest: PROTOCOL,
                    newest: PROTOCOL,
                    federation: "f".to_owned(),
                    from: ClusterId(decisions.below(3) as u32),
                    to: ClusterId(1),
                    incarnation: 1 + u64::from(decisions.below(8) == 7),
                    connection: self.connection,
                    capabilities: REQUIRED,
                    max_value_bytes: 100,
                });
                received(stream, hello.to_bytes())
            }
            4 => {
                let stream = self.stream(decisions)?;
                let kind = decisions.below(16);
                received(stream, any_frame(decisions, kind).to_bytes())
            }
            5 => {
                let stream = self.stream(decisions)?;
                let len = decisions.byte();
                received(stream, Bytes::copy_from_slice(decisions.take(len.into())))
            }
            6 => {
                let stream = self.stream(decisions)?;
                let bytes = self.untaken.remove(&stream)?;
                Input::Sent { stream, bytes }
            }
            7 => {
                let key = key(decisions);
                let len = decisions.byte();
                let value = decisions.take(len.into()).to_vec();
                let priority = Priority::ALL[decisions.below(3)];
                Input::Command(Command::Put { key, value, priority })
            }
            _ => {
                let stream = self.stream(decisions)?;
                self.open.remove(&stream);
                self.untaken.remove(&stream);
                let reason = match decisions.below(2) {
                    0 => CloseReason::Failed,
                    _ => CloseReason::Finished,
                };
                Input::Closed { stream, reason }
            }
        })
    }

    fn stream(&self, decisions: &mut Decisions<'_>) -> Option<StreamId> {
        let place = decisions.below(self.open.len());
        self.open.iter().nth(place).copied()
    }

    fn tell(&mut self, cluster: &mut Cluster, input: Input<Command>) {
        cluster.handle(self.now, input);
        loop {
            match cluster.poll() {
                Output::Open { stream, .. } => {
                    self.open.insert(stream);
                    self.opening.insert(stream);
                }
                Output::Send { stream, payload } => {
                    assert!(!self.closed.contains(&stream), "a write on a closed stream");
                    *self.untaken.entry(stream).or_default() += payload.len();
                }
                Output::Close { stream } | Output::Abort { stream } => {
                    self.closed.insert(stream);
                }
                Output::WakeAt { at, .. } => {
                    assert!(at >= self.now || at == Instant::ZERO, "a wake in the past");
                    return;
                }
                Output::Idle => return,
                Output::Inspect { .. } | Output::Datagram { .. } | Output::Event(_) => {}
            }
        }
    }
}

fn received(stream: StreamId, bytes: Bytes) -> Input<Command> {
    Input::Received {
        stream,
        payload: bytes.into(),
    }
}

fn key(decisions: &mut Decisions<'_>) -> Key {
    Key::new(&format!("key-{}", decisions.below(40))).expect("a short key")
}

fn record(decisions: &mut Decisions<'_>) -> Record {
    let mut versions = VersionVector::default();
    for _ in 0..decisions.below(3) {
        versions.raise(
            ClusterId(decisions.below(4) as u32),
            1 + decisions.below(5) as u64,
        );
    }
    Record {
        stamp: Stamp {
            time: Instant::from_ns(decisions.short() as u64),
            number: decisions.below(3) as u32,
            writer: ClusterId(decisions.below(4) as u32),
        },
        versions,
        value: (decisions.below(4) > 0).then(Bytes::new),
    }
}

fn any_frame(decisions: &mut Decisions<'_>, kind: usize) -> Frame {
    let node = |decisions: &mut Decisions<'_>| {
        let level = decisions.below(4) as u8;
        NodeAt {
            level,
            place: decisions.below(1 << (4 * level)) as u16,
        }
    };
    let round = decisions.below(4) as u32;
    let leaf = decisions.below(4_096) as u16;
    let talk = match kind {
        0..=2 => Talk::Root {
            sum: Sum(decisions.below(3) as u128),
        },
        3 => Talk::Nodes {
            round,
            nodes: (0..decisions.below(20))
                .map(|_| (node(decisions), Sum(decisions.below(3) as u128)))
                .collect(),
        },
        4 => Talk::Differ {
            round,
            nodes: (0..decisions.below(20)).map(|_| node(decisions)).collect(),
        },
        5 => {
            let items: BTreeMap<Key, Record> = (0..decisions.below(10))
                .map(|_| (key(decisions), record(decisions)))
                .collect();
            Talk::Leaf {
                round,
                leaf,
                after: None,
                last: true,
                items: items.into_iter().collect(),
            }
        }
        6 => Talk::Want {
            round,
            leaf,
            keys: (0..decisions.below(10)).map(|_| key(decisions)).collect(),
            sends: decisions.byte().into(),
            older: decisions.below(3) as u32,
        },
        7 => Talk::RoundOver {
            finished: decisions.below(2) == 0,
        },
        8 => {
            return Frame::Keepalive {
                number: decisions.byte().into(),
            };
        }
        9 => {
            return Frame::KeepaliveAnswer {
                number: decisions.byte().into(),
            };
        }
        10 => {
            let len = decisions.byte();
            return Frame::Acknowledgement(Bytes::copy_from_slice(decisions.take(len.into())));
        }
        11..=13 => {
            let len = decisions.byte();
            let routed = Routed {
                from: ClusterId(decisions.below(4) as u32),
                to: ClusterId(decisions.below(4) as u32),
                hops: decisions.below(4) as u8,
                content: Bytes::copy_from_slice(decisions.take(len.into())),
            };
            return match kind {
                11 => Frame::Consensus(routed),
                12 => Frame::Request(routed),
                _ => Frame::Answer(routed),
            };
        }
        _ => {
            return Frame::DataStream(DataStream {
                from: ClusterId(decisions.below(3) as u32),
                to: ClusterId(1),
                connection: decisions.below(4) as u64,
            });
        }
    };
    Frame::Reconcile(talk)
}
