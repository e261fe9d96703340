//! Services: what callers, and what servers, may send.

use ::bytes::Bytes;
use longhaul_core::machine::{CloseReason, Input, Machine, Output, PeerId, StreamId};
use longhaul_core::payload::Payload;
use longhaul_core::random::Streams;
use longhaul_core::time::{Instant, Span};
use longhaul_core::units::Probability;
use longhaul_resilience::Priority;
use longhaul_service::wire::{Frame, FrameReader, HEADER_BYTES, Reference, Status};
use longhaul_service::{
    Behind, OperationOptions, Replica, Server, ServerCommand, ServerEvent, ServerOptions, ServiceOptions,
    Stage, TimeLaw,
};

use crate::bytes::{Decisions, noise};

const HEADER_LEN: usize = HEADER_BYTES as usize;

/// The most outputs that one input may cause: answers to as many requests as fit into it, and calls behind.
const OUTPUTS_MAX: usize = 2_000;

/// A header whose checksum is repaired: what is read is written the same again. Then all of it as a stream.
pub fn frame(data: &[u8]) {
    let mut sealed = data.to_vec();
    if sealed.len() >= HEADER_LEN {
        let (content, rest) = sealed.split_at_mut(HEADER_LEN - 4);
        rest[..4].copy_from_slice(&crc32c::crc32c(content).to_be_bytes());
    }
    if let Some(header) = sealed.get(..HEADER_LEN)
        && let Ok(frame) = Frame::parse(header)
    {
        assert_eq!(&frame.to_bytes()[..], header, "{frame:?} is written otherwise");
    }
    let mut reader = FrameReader::default();
    for piece in sealed.chunks(7) {
        reader.push(Bytes::copy_from_slice(piece).into());
        loop {
            match reader.read() {
                Ok(Some(_)) => {}
                Ok(None) => break,
                Err(_) => return,
            }
        }
    }
}

/// One frame of each kind, and two of them with their bodies.
pub fn frame_seeds() -> Vec<Vec<u8>> {
    let content = noise(1, 200);
    let mut decisions = Decisions::new(&content);
    let frames: Vec<Frame> = (0..5).map(|kind| sent(&mut decisions, kind)).collect();
    let mut stream = Vec::new();
    for frame in &frames[..2] {
        stream.extend_from_slice(&frame.to_bytes());
        stream.resize(stream.len() + frame.body_bytes() as usize, 0);
    }
    let headers = frames.iter().map(|frame| frame.to_bytes().to_vec());
    headers.chain([stream]).collect()
}

/// A server with a service behind it that is told anything. It accounts for every request, does not write on streams that
/// it gave up, never wants a wake in the past and never spins.
pub fn server(data: &[u8]) {
    let mut decisions = Decisions::new(data);
    let mut options = ServerOptions::new(2, TimeLaw::Constant(Span::from_ms(5)));
    options.concurrency = 4;
    options.queue.limit = 8;
    options.queue.drop_expired = decisions.below(2) == 0;
    options.cancellation = decisions.below(2) == 0;
    options.remember = 4 * decisions.below(2) as u32;
    options.behind.push(Behind {
        operation: 0,
        service: ServiceOptions::new(vec![Replica {
            peer: PeerId(1),
            region: "region".to_owned(),
            distance: Span::from_ms(1),
        }]),
        body: longhaul_core::units::ByteSize::from_bytes(10),
        answer: longhaul_core::units::ByteSize::from_bytes(10),
    });
    if decisions.below(2) == 0 {
        options.stages.push(Stage::All(vec![0]));
    }
    options.operations.push(OperationOptions {
        service: TimeLaw::Constant(Span::from_ms(1)),
        error_rate: Probability::ZERO,
        stages: vec![Stage::OneOf(vec![0])],
    });
    let mut server = Server::new("server", options, Streams::new(1, 0)).expect("sound options");
    let mut world = World::default();
    world.tell(&mut server, Input::Start);
    while !decisions.is_over() {
        if let Some(input) = world.input(&mut decisions) {
            world.tell(&mut server, input);
        }
        let statistics = server.statistics();
        assert!(statistics.is_conserved(), "{statistics:?}");
    }
}

/// Requests that are worked on, with faults.
pub fn server_seeds() -> Vec<Vec<u8>> {
    (0..6).map(|seed| noise(seed, 400)).collect()
}

/// What the server has done with streams so far.
#[derive(Default)]
struct World {
    now: Instant,
    open: Vec<StreamId>,
    closed: Vec<StreamId>,
    opening: Vec<StreamId>,
    accepted: u32,
}

impl World {
    fn input(&mut self, decisions: &mut Decisions<'_>) -> Option<Input<ServerCommand>> {
        let share = |byte: u8| Probability::from_ratio(byte.into(), 255).expect("a share");
        Some(match decisions.below(12) {
            0 => {
                let stream = StreamId(StreamId::FIRST_ACCEPTED + self.accepted);
                self.accepted += 1;
                self.open.push(stream);
                Input::Accepted { stream }
            }
            1 | 2 => {
                self.now += Span::from_ms(decisions.byte().into());
                Input::Wake
            }
            3 => {
                let stream = self.opening.pop()?;
                self.open.push(stream);
                Input::Opened { stream }
            }
            4 => {
                let stream = self.stream(decisions)?;
                self.open.retain(|open| *open != stream);
                let reason = match decisions.below(2) {
                    0 => CloseReason::Failed,
                    _ => CloseReason::Finished,
                };
                Input::Closed { stream, reason }
            }
            5 => {
                let stream = self.stream(decisions)?;
                let len = decisions.byte() / 4;
                let payload = Payload::Real(Bytes::copy_from_slice(decisions.take(len.into())));
                Input::Received { stream, payload }
            }
            6 => Input::Command(match decisions.below(7) {
                0 => ServerCommand::Cpu(share(decisions.byte())),
                1 => ServerCommand::ErrorRate(share(decisions.byte())),
                2 => ServerCommand::Hang(decisions.below(2) == 0),
                3 => ServerCommand::Panic(share(decisions.byte() / 4)),
                4 => ServerCommand::Delay(
                    (decisions.below(2) == 0).then(|| TimeLaw::Constant(Span::from_ms(9))),
                ),
                5 => ServerCommand::Crash {
                    restart_after: Some(Span::from_ms(decisions.byte().into())),
                },
                _ => ServerCommand::Resume,
            }),
            _ => {
                let stream = self.stream(decisions)?;
                // Callers send requests, servers answers; now and then it is the other way round.
                let accepted = stream.0 >= StreamId::FIRST_ACCEPTED;
                let kind = match decisions.below(8) {
                    0 => decisions.below(5),
                    1 => 2,
                    2 => 3,
                    _ if accepted => 0,
                    _ => 1,
                };
                let frame = sent(decisions, kind);
                let mut bytes = frame.to_bytes().to_vec();
                bytes.resize(bytes.len() + frame.body_bytes() as usize, 0);
                let payload = Payload::Real(bytes.into());
                Input::Received { stream, payload }
            }
        })
    }

    fn stream(&self, decisions: &mut Decisions<'_>) -> Option<StreamId> {
        let place = decisions.below(self.open.len());
        self.open.get(place).copied()
    }

    fn tell(&mut self, server: &mut Server, input: Input<ServerCommand>) {
        server.handle(self.now, input);
        for _ in 0..OUTPUTS_MAX {
            match server.poll() {
                Output::WakeAt { at, .. } => {
                    assert!(at >= self.now, "a wake in the past");
                    return;
                }
                Output::Idle => return,
                Output::Open { stream, .. } => self.opening.push(stream),
                Output::Send { stream, .. } => {
                    assert!(!self.closed.contains(&stream), "a write on a closed stream");
                }
                Output::Close { stream } | Output::Abort { stream } => {
                    self.open.retain(|open| *open != stream);
                    self.opening.retain(|open| *open != stream);
                    self.closed.push(stream);
                }
                Output::Event(event) => {
                    let _: ServerEvent = event;
                }
                other => panic!("a server has no use for {other:?}"),
            }
        }
        panic!("a server that spins");
    }
}

/// A frame of a kind.
fn sent(decisions: &mut Decisions<'_>, kind: usize) -> Frame {
    let reference = Reference {
        origin: decisions.below(2) as u32,
        request: decisions.below(12) as u64,
        attempt: 1 + decisions.below(3) as u32,
        tag: decisions.below(8) as u32,
    };
    match kind {
        0 => Frame::Request {
            reference,
            operation: decisions.below(3) as u16,
            idempotent: decisions.below(2) == 0,
            priority: [Priority::Background, Priority::Normal, Priority::Critical][decisions.below(3)],
            time_left: match decisions.below(3) {
                0 => Span::MAX,
                _ => Span::from_ms(decisions.byte().into()),
            },
            body_bytes: decisions.below(20) as u32,
            answer_bytes: decisions.below(20) as u32,
        },
        1 => Frame::Answer {
            reference,
            status: [
                Status::Ok,
                Status::Error,
                Status::Overloaded,
                Status::Expired,
                Status::Fatal,
            ][decisions.below(5)],
            body_bytes: decisions.below(20) as u32,
        },
        2 => Frame::Cancel { reference },
        3 => Frame::Ping {
            number: decisions.byte().into(),
        },
        _ => Frame::Pong {
            number: decisions.byte().into(),
            healthy: decisions.below(2) == 0,
        },
    }
}
