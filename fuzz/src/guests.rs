//! Guests that come from elsewhere: what a peer may send to the destination of a migration and to a replica.

use bytes::Bytes;
use longhaul_amst::record::{Header, Kind};
use longhaul_core::machine::{CloseReason, Input, Machine, Output, StreamId};
use longhaul_core::payload::Payload;
use longhaul_core::time::{Instant, Span};
use longhaul_hde::header::PageRun;
use longhaul_hde::{Encoder, EncoderOptions, PAGE_SIZE, PageInput, encode_synthetic_header};
use longhaul_memory::generated::GeneratedMemory;
use longhaul_migration::{Destination, DestinationEvent, DestinationOptions};
use longhaul_replication::control::{Control, ControlReader, Preamble, Role};
use longhaul_replication::message::{Commit, Message};
use longhaul_replication::{
    Failover, Fingerprint, Heartbeat, Replica, ReplicaCommand, ReplicaEvent, ReplicaOptions,
    ReplicaSetOptions,
};

use crate::bytes::{Decisions, noise};

const SESSION: u64 = 7;
const PAGES: u64 = 3;
const WINDOW: u64 = 1 << 20;

/// A stream that was never there: what is said of it must not matter.
const NOBODY: StreamId = StreamId(StreamId::FIRST_ACCEPTED - 1);

/// Most things that happen to a machine.
const MAX_STEPS: usize = 64;

/// Streams of a driver: none has the number of another, whatever became of that.
#[derive(Default)]
struct Accepted {
    open: [Option<StreamId>; 4],
    count: u32,
}

impl Accepted {
    /// Accepts a stream; the one that had the place, if it is open, is told of as the second.
    fn accept(&mut self, place: usize) -> (StreamId, Option<StreamId>) {
        let stream = StreamId(StreamId::FIRST_ACCEPTED + self.count);
        self.count += 1;
        (stream, self.open[place].replace(stream))
    }
}

/// An input that says that a stream is over.
fn closed<C>(decisions: &mut Decisions<'_>, stream: StreamId) -> Input<C> {
    let reason = [CloseReason::Failed, CloseReason::Finished][decisions.below(2)];
    Input::Closed { stream, reason }
}

/// Inputs that begin a stream with these bytes, after the end of the one that had its place.
fn begin<C>(
    decisions: &mut Decisions<'_>,
    streams: &mut Accepted,
    place: usize,
    bytes: Bytes,
) -> Vec<Input<C>> {
    let (stream, before) = streams.accept(place);
    let mut inputs: Vec<Input<C>> = before
        .map(|before| closed(decisions, before))
        .into_iter()
        .collect();
    inputs.push(Input::Accepted { stream });
    let payload = bytes.into();
    inputs.push(Input::Received { stream, payload });
    inputs
}

/// Messages, each as one record of the transport.
#[derive(Default)]
struct Carrier {
    sent: [u64; 2],
}

impl Carrier {
    /// A message of these bytes and as many synthetic ones, of control or of bulk.
    fn carry(&mut self, control: bool, content: &[u8], synthetic: u32) -> Vec<Payload> {
        let real = content.len() as u32;
        if real + synthetic == 0 {
            return Vec::new();
        }
        let number = &mut self.sent[usize::from(control)];
        let header = Header {
            kind: Kind::Chunk,
            length: real + synthetic,
            real,
            message: 2 * *number + u64::from(control),
            message_length: u64::from(real + synthetic),
            offset: 0,
            checksum: crc32c::crc32c(content),
        };
        *number += 1;
        let record = Bytes::from([&header.to_bytes()[..], content].concat());
        vec![record.into(), Payload::Synthetic(synthetic.into())]
    }
}

/// A frame of pages from `start` on, real or not, perhaps damaged, and its synthetic bytes.
fn frame(decisions: &mut Decisions<'_>) -> (Vec<u8>, u32) {
    let (sequence, start) = (decisions.below(4) as u64, decisions.below(4) as u64);
    let count = 1 + decisions.below(3) as u64;
    if decisions.below(3) == 0 {
        let runs = [PageRun {
            start,
            count: count as u32,
        }];
        let len = decisions.byte();
        let header = encode_synthetic_header(&runs, sequence, len.into());
        return (
            header.to_vec(),
            u32::from(len) + u32::from(decisions.below(8) == 0),
        );
    }
    let mut content = [0; PAGE_SIZE];
    content.copy_from_slice(&noise(decisions.below(3) as u64, PAGE_SIZE));
    let pages: Vec<PageInput<'_>> = (start..start + count)
        .map(|number| PageInput {
            number,
            content: &content,
            baseline: None,
        })
        .collect();
    let mut frame = Encoder::new(EncoderOptions::hde(1))
        .encode(sequence, &pages)
        .to_vec();
    if decisions.below(4) == 0 {
        let at = decisions.short() % frame.len();
        frame[at] ^= decisions.byte();
    }
    (frame, 0)
}

/// Bytes that begin with `magic` and so many numbers, and perhaps go on.
fn fields(decisions: &mut Decisions<'_>, magic: &[u8], numbers: usize) -> Vec<u8> {
    let mut bytes = magic.to_vec();
    for _ in 0..numbers {
        // Small numbers are more often right.
        bytes.extend((decisions.below(5) as u64).to_be_bytes());
    }
    let more = decisions.below(16).saturating_sub(8);
    bytes.extend_from_slice(decisions.take(more));
    bytes
}

/// A message of a migration's source, or something like it, and its synthetic bytes.
fn migration_message(decisions: &mut Decisions<'_>) -> (Vec<u8>, u32) {
    match decisions.below(8) {
        0 => (fields(decisions, b"LHMQ", 0), 0),
        1 => (fields(decisions, b"LHMB", 1), 0),
        2 => ([fields(decisions, b"LHMP", 1), vec![0; 4]].concat(), 0),
        3 | 4 => ([&fields(decisions, b"LHME", 2)[..], &[0; 44]].concat(), 0),
        5 => (b"LHMD".to_vec(), decisions.byte().into()),
        6 => (fields(decisions, b"LHMX", 3), 0),
        _ => (decisions.take(60).to_vec(), decisions.byte().into()),
    }
}

/// A destination that is told anything by a source, on streams that come and go. The guest starts at most once, and
/// never after it was given up.
pub fn destination(data: &[u8]) {
    let mut decisions = Decisions::new(data);
    let options = DestinationOptions {
        pages: PAGES,
        session: SESSION,
        window_bytes: WINDOW,
        cost: None,
        resume_time: Span::from_ms(decisions.below(3) as u64),
        keep_pages: decisions.below(2) == 1,
    };
    let mut destination = Destination::<GeneratedMemory>::new(options, None);
    let mut carrier = Carrier::default();
    let mut streams = Accepted::default();
    let mut now = Instant::ZERO;
    let (mut resumed, mut given_up) = (false, false);
    for _ in 0..MAX_STEPS {
        if decisions.is_over() {
            break;
        }
        let place = decisions.below(4);
        let stream = streams.open[place].unwrap_or(NOBODY);
        let received = |payload| Input::Received { stream, payload };
        let inputs: Vec<Input<()>> = match decisions.below(12) {
            0 | 1 => {
                let attempt = decisions.below(3) as u8;
                let role = [0, 0, 0, 0, 1, 2][decisions.below(6)];
                let session = SESSION + u64::from(decisions.below(8) == 0);
                if decisions.below(4) == 0 {
                    carrier = Carrier::default();
                }
                let preface = [&b"LHMS\x01"[..], &[role, 0, attempt], &session.to_be_bytes()].concat();
                begin(&mut decisions, &mut streams, place, preface.into())
            }
            2 => vec![received(Bytes::copy_from_slice(decisions.take(30)).into())],
            3 => {
                streams.open[place] = None;
                vec![closed(&mut decisions, stream)]
            }
            4 => {
                now += Span::from_ms(decisions.byte().into());
                vec![Input::Wake]
            }
            kind => {
                let (content, synthetic) = if kind < 8 {
                    frame(&mut decisions)
                } else {
                    migration_message(&mut decisions)
                };
                let control = decisions.below(3) == 0;
                let pieces = carrier.carry(control, &content, synthetic);
                pieces.into_iter().map(received).collect()
            }
        };
        for input in inputs {
            destination.handle(now, input);
            let mut sent = Vec::new();
            loop {
                match destination.poll() {
                    Output::Send { stream, payload } => sent.push((stream, payload.len())),
                    Output::Event(DestinationEvent::Resumed { .. }) => {
                        assert!(!resumed && !given_up, "a guest that must not start");
                        resumed = true;
                    }
                    Output::Event(DestinationEvent::Abandoned | DestinationEvent::Failed { .. }) => {
                        given_up = true;
                    }
                    output if output.ends_poll() => break,
                    _ => {}
                }
            }
            for (stream, bytes) in sent {
                destination.handle(now, Input::Sent { stream, bytes });
            }
        }
    }
}

/// A stream for data, and frames and messages on it.
pub fn destination_seeds() -> Vec<Vec<u8>> {
    (0..8u8)
        .map(|seed| {
            let mut bytes = vec![seed % 3, seed % 2, 0, 0, 0, 0, 1, 1];
            for sequence in 0..3 {
                // A frame: its stream, the choice, number, first page, count, real, content, sound; bulk.
                bytes.extend([0, 5, sequence, sequence, 0, 1, seed, 1, 1]);
            }
            bytes.extend(noise(seed.into(), 120));
            bytes
        })
        .collect()
}

/// Anything of replication that is read is written the same again.
pub fn replication_message(data: &[u8]) {
    if let Ok(Message::Commit(commit)) = Message::parse(data) {
        assert_eq!(commit.to_bytes(), data);
    }
    if let Some((preamble, _)) = data.split_first_chunk()
        && let Ok(parsed) = Preamble::parse(preamble)
    {
        assert_eq!(parsed.to_bytes(), *preamble);
    }
    let mut reader = ControlReader::default();
    let (first, second) = data.split_at(data.len() / 2);
    let mut written = Vec::new();
    for piece in [first, second] {
        reader.push(piece);
        while let Ok(Some(record)) = reader.next_record() {
            written.extend(record.to_bytes());
        }
    }
    assert_eq!(written, data[..written.len()]);
}

/// One message of each kind.
pub fn replication_message_seeds() -> Vec<Vec<u8>> {
    let content = noise(2, 200);
    let mut decisions = Decisions::new(&content);
    let controls = (0..8).map(|kind| control(&mut decisions, kind).to_bytes());
    let preamble = |role| {
        Preamble {
            role,
            session: SESSION,
        }
        .to_bytes()
        .to_vec()
    };
    let ends = [
        commit(&mut Decisions::new(&[1; 9])).to_bytes().to_vec(),
        preamble(Role::Control),
        preamble(Role::Data),
    ];
    controls.chain(ends).collect()
}

fn commit(decisions: &mut Decisions<'_>) -> Commit {
    Commit {
        set: decisions.below(3) as u32,
        attempt: decisions.below(3) as u32,
        epoch: decisions.below(3) as u64,
        snapshot_at: Instant::from_ns(decisions.byte().into()),
        frames: decisions.below(4) as u64,
        fingerprint: Fingerprint {
            pages: decisions.below(4) as u64,
            ..Fingerprint::default()
        },
    }
}

fn control(decisions: &mut Decisions<'_>, kind: usize) -> Control {
    let (number, small) = (u64::from(decisions.byte()), decisions.below(3) as u32);
    match kind {
        0 => Control::Hello {
            session: SESSION + u64::from(small),
            pages: vec![PAGES; decisions.below(3)],
        },
        1 => Control::Welcome {
            session: number,
            sets: Vec::new(),
        },
        2 => Control::Heartbeat {
            number,
            leased: small == 1,
        },
        3 => Control::Heard { number },
        4 => Control::Applied {
            set: small,
            epoch: number,
        },
        5 => Control::Resync {
            set: small,
            attempt: small,
        },
        6 => Control::Fenced,
        _ => Control::Refused,
    }
}

/// A replica that is told anything by a source. It holds no more than twice the guest's pages, and an epoch that it counts
/// as complete is later than the one before.
pub fn replica(data: &[u8]) {
    let mut decisions = Decisions::new(data);
    let heartbeat = Heartbeat {
        interval: Span::from_ms(100),
        multiplier: 3,
    };
    let options = ReplicaOptions {
        sets: vec![ReplicaSetOptions {
            pages: vec![PAGES],
            priority: 0,
        }],
        window_bytes: WINDOW,
        heartbeat,
        failover: [Failover::Automatic, Failover::MANUAL][decisions.below(2)],
        write_rate: None,
        restore_rate: None,
        resume_time: Span::ZERO,
    };
    let mut replica = Replica::new(options).expect("sound options");
    let mut carrier = Carrier::default();
    let mut streams = Accepted::default();
    let mut now = Instant::ZERO;
    let mut newest = 0;
    for _ in 0..MAX_STEPS {
        if decisions.is_over() {
            break;
        }
        let place = decisions.below(4);
        let stream = streams.open[place].unwrap_or(NOBODY);
        let received = |payload| Input::Received { stream, payload };
        let real = |bytes: &[u8]| received(Bytes::copy_from_slice(bytes).into());
        let inputs = match decisions.below(14) {
            0 | 1 => {
                let role = [Role::Control, Role::Data][decisions.below(2)];
                let session = SESSION + decisions.below(3) as u64;
                let preamble = Preamble { role, session }.to_bytes().to_vec();
                if decisions.below(4) == 0 {
                    carrier = Carrier::default();
                }
                begin(&mut decisions, &mut streams, place, preamble.into())
            }
            2..=4 => {
                let kind = [0, 0, 2, 2, 1, 3, 4, 5, 6, 7][decisions.below(10)];
                vec![real(&control(&mut decisions, kind).to_bytes())]
            }
            5 => vec![real(decisions.take(30))],
            6 => {
                streams.open[place] = None;
                vec![closed(&mut decisions, stream)]
            }
            7 => {
                now += Span::from_ms(decisions.byte().into());
                vec![Input::Wake]
            }
            8 if decisions.below(4) == 0 => vec![Input::Command(ReplicaCommand::FailOver)],
            8..=10 => {
                let (frame, synthetic) = frame(&mut decisions);
                let (set, attempt) = (decisions.below(2) as u32, 1 + decisions.below(2) as u32);
                let content = [&b"LHRF"[..], &set.to_be_bytes(), &attempt.to_be_bytes(), &frame].concat();
                carrier
                    .carry(false, &content, synthetic)
                    .into_iter()
                    .map(received)
                    .collect()
            }
            11 => {
                let content = decisions.take(60);
                carrier
                    .carry(false, content, 0)
                    .into_iter()
                    .map(received)
                    .collect()
            }
            _ => {
                let commit = commit(&mut decisions).to_bytes();
                carrier
                    .carry(false, &commit, 0)
                    .into_iter()
                    .map(received)
                    .collect()
            }
        };
        for input in inputs {
            replica.handle(now, input);
            let mut sent = Vec::new();
            loop {
                match replica.poll() {
                    Output::Send { stream, payload } => sent.push((stream, payload.len())),
                    Output::Event(ReplicaEvent::EpochApplied { epoch, .. }) => {
                        assert!(epoch > newest, "an epoch goes back");
                        newest = epoch;
                    }
                    output if output.ends_poll() => break,
                    _ => {}
                }
            }
            for (stream, bytes) in sent {
                replica.handle(now, Input::Sent { stream, bytes });
            }
            let (complete, next) = replica.held_pages();
            assert!(complete <= PAGES && next <= PAGES);
        }
    }
}

/// A session that is welcome, and frames, commits and heartbeats in it.
pub fn replica_seeds() -> Vec<Vec<u8>> {
    (0..8u8)
        .map(|seed| {
            // The control stream and its greeting, a data stream.
            let mut bytes = vec![seed % 2, 0, 0, 0, 0, 1, 0, 2, 0, 9, 0, 1, 1, 0, 1, 1];
            for sequence in 0..2 {
                // A frame: its stream, the choice, number, first page, count, real, content, sound; set, attempt.
                bytes.extend([1, 9, sequence, sequence, 1, 1, seed, 1, 0, 0]);
            }
            bytes.extend([1, 13, 0, 1, 1, 9, 2, 3]);
            bytes.extend(noise(seed.into(), 120));
            bytes
        })
        .collect()
}
