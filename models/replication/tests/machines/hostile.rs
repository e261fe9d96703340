//! What a source may send that breaks the rules.

use bytes::Bytes;
use longhaul_amst::{Priority, Sender, SenderOptions, SenderOutput};
use longhaul_core::machine::{CloseReason, Input, Machine, Output, StreamId};
use longhaul_core::payload::{Payload, PayloadBuffer};
use longhaul_core::time::Instant;
use longhaul_hde::header::PageRun;
use longhaul_hde::{Encoder, EncoderOptions, PAGE_SIZE, PageInput, encode_synthetic_header};
use longhaul_replication::control::{Control, ControlError, ControlReader, Preamble, Role};
use longhaul_replication::message::{Commit, MessageError};
use longhaul_replication::{
    Fingerprint, RejectReason, Replica, ReplicaCommand, ReplicaEvent, SessionEnd, StreamRefusal,
};

use crate::support::Setup;

pub const WINDOW: u64 = 1 << 20;
const CONTROL: StreamId = StreamId(StreamId::FIRST_ACCEPTED);
const DATA: StreamId = StreamId(StreamId::FIRST_ACCEPTED + 1);
const THEIRS: StreamId = StreamId(0);

/// Somebody who talks to a replica of one guest of two pages.
pub struct Talker {
    pub replica: Replica,
    now: Instant,
    sender: Sender,
    pub events: Vec<ReplicaEvent>,
    /// What the replica said on the control stream.
    answers: Vec<Control>,
    reader: ControlReader,
    aborted: Vec<StreamId>,
}

impl Talker {
    pub fn new() -> Talker {
        let setup = Setup {
            sets: vec![(0, vec![2])],
            ..Setup::default()
        };
        let mut sender = Sender::new(SenderOptions::fixed(1, 4_096, WINDOW)).unwrap();
        sender.start();
        assert_eq!(sender.poll(), Some(SenderOutput::Open { stream: THEIRS }));
        sender.on_opened(THEIRS);
        Talker {
            replica: setup.replica(),
            now: Instant::ZERO,
            sender,
            events: Vec::new(),
            answers: Vec::new(),
            reader: ControlReader::default(),
            aborted: Vec::new(),
        }
    }

    /// A session that is welcome, with one stream for data.
    pub fn welcome() -> Talker {
        let mut talker = Talker::new();
        talker.greet(1, &[2]);
        talker.accept(DATA);
        talker.say(DATA, &preamble(Role::Data, 1));
        talker
    }

    pub fn greet(&mut self, session: u64, pages: &[u64]) {
        self.accept(CONTROL);
        self.say(CONTROL, &preamble(Role::Control, session));
        let pages = pages.to_vec();
        self.say(CONTROL, &Control::Hello { session, pages }.to_bytes());
    }

    pub fn accept(&mut self, stream: StreamId) {
        self.give(Input::Accepted { stream });
    }

    pub fn say(&mut self, stream: StreamId, bytes: &[u8]) {
        let payload = Bytes::copy_from_slice(bytes).into();
        self.give(Input::Received { stream, payload });
    }

    pub fn give(&mut self, input: Input<ReplicaCommand>) {
        self.replica.handle(self.now, input);
        loop {
            match self.replica.poll() {
                Output::Send { stream, payload } => {
                    let bytes = payload.len();
                    if stream == CONTROL {
                        self.reader.take(&payload).unwrap();
                        while let Some(record) = self.reader.next_record().unwrap() {
                            self.answers.push(record);
                        }
                    } else {
                        self.sender.on_received(THEIRS, payload);
                    }
                    self.replica.handle(self.now, Input::Sent { stream, bytes });
                }
                Output::Abort { stream } => self.aborted.push(stream),
                Output::Event(event) => self.events.push(event),
                Output::WakeAt { .. } | Output::Idle => break,
                _ => {}
            }
        }
    }

    /// Carries a message.
    pub fn send(&mut self, message: PayloadBuffer) {
        self.sender.push(message, Priority::Bulk).unwrap();
        while let Some(output) = self.sender.poll() {
            if let SenderOutput::Send { payload, .. } = output {
                self.sender.on_sent(THEIRS, payload.len());
                self.give(Input::Received {
                    stream: DATA,
                    payload,
                });
            }
        }
    }

    pub fn last_event(&self) -> &ReplicaEvent {
        self.events.last().unwrap()
    }
}

fn preamble(role: Role, session: u64) -> [u8; 20] {
    Preamble { role, session }.to_bytes()
}

fn message(pieces: Vec<Payload>) -> PayloadBuffer {
    let mut content = PayloadBuffer::default();
    pieces.into_iter().for_each(|piece| content.push(piece));
    content
}

fn frame_header(set: u32, attempt: u32) -> Vec<u8> {
    [&b"LHRF"[..], &set.to_be_bytes(), &attempt.to_be_bytes()].concat()
}

/// A frame of pages full of this byte.
fn frame(attempt: u32, sequence: u64, numbers: &[u64], byte: u8) -> PayloadBuffer {
    let content = [byte; PAGE_SIZE];
    let pages: Vec<_> = numbers
        .iter()
        .map(|&number| PageInput {
            number,
            content: &content,
            baseline: None,
        })
        .collect();
    let frame = Encoder::new(EncoderOptions::raw()).encode(sequence, &pages);
    message(vec![Bytes::from(frame_header(0, attempt)).into(), frame.into()])
}

fn synthetic(sequence: u64, said: u64, sent: u64) -> PayloadBuffer {
    let run = PageRun { start: 0, count: 2 };
    let header = encode_synthetic_header(&[run], sequence, said);
    message(vec![
        Bytes::from(frame_header(0, 1)).into(),
        header.into(),
        Payload::Synthetic(sent),
    ])
}

/// What two pages full of this byte come to: pages first, then extents, by BLAKE3.
pub fn fingerprint(byte: u8) -> Fingerprint {
    let page = *blake3::hash(&[byte; PAGE_SIZE]).as_bytes();
    let mut pages = [[0; 32]; 64];
    pages[..2].fill(page);
    let mut extent = blake3::Hasher::new();
    extent.update(&3u64.to_le_bytes());
    extent.update(pages.as_flattened());
    let mut root = blake3::Hasher::new();
    root.update(&0u64.to_le_bytes());
    root.update(extent.finalize().as_bytes());
    Fingerprint {
        pages: 2,
        hash: *root.finalize().as_bytes(),
    }
}

fn commit(attempt: u32, epoch: u64, frames: u64, fingerprint: Fingerprint) -> PayloadBuffer {
    let commit = Commit {
        set: 0,
        attempt,
        epoch,
        snapshot_at: Instant::ZERO,
        frames,
        fingerprint,
    };
    message(vec![Bytes::copy_from_slice(&commit.to_bytes()).into()])
}

#[test]
fn the_hash_of_an_epoch_is_blake3_over_pages_and_extents() {
    let mut talker = Talker::welcome();
    talker.send(frame(1, 0, &[0, 1], 9));
    talker.send(commit(1, 1, 1, fingerprint(9)));
    assert!(
        matches!(talker.last_event(), ReplicaEvent::EpochApplied { epoch: 1, .. }),
        "{:?}",
        talker.events
    );
    assert_eq!(talker.replica.page(0, 0, 1), Some(&[9; PAGE_SIZE]));
    assert_eq!(
        talker.answers.last(),
        Some(&Control::Applied { set: 0, epoch: 1 })
    );
}

#[test]
fn what_cannot_be_used_is_rejected_and_the_complete_epoch_stays() {
    let damaged = || {
        let mut frame = Encoder::new(EncoderOptions::raw()).encode(1, &[]).to_vec();
        frame.push(0);
        message(vec![Bytes::from([frame_header(0, 1), frame].concat()).into()])
    };
    type Expected = fn(&RejectReason) -> bool;
    let cases: Vec<(PayloadBuffer, Expected)> = vec![
        (damaged(), |reason| matches!(reason, RejectReason::Frame { .. })),
        (frame(1, 2, &[0], 1), |reason| {
            matches!(
                reason,
                RejectReason::Sequence {
                    expected: 1,
                    found: 2
                }
            )
        }),
        (frame(1, 0, &[0], 1), |reason| {
            matches!(
                reason,
                RejectReason::Sequence {
                    expected: 1,
                    found: 0
                }
            )
        }),
        (frame(1, 1, &[0, 2], 1), |reason| {
            matches!(reason, RejectReason::NoSuchPage { page: 2 })
        }),
        (synthetic(1, 10, 11), |reason| *reason == RejectReason::Synthetic),
        (commit(1, 2, 0, fingerprint(9)), |reason| {
            matches!(
                reason,
                RejectReason::Sequence {
                    expected: 1,
                    found: 0
                }
            )
        }),
        (commit(1, 1, 1, fingerprint(9)), |reason| {
            matches!(reason, RejectReason::Epoch { newest: 1, found: 1 })
        }),
        (commit(1, 2, 1, fingerprint(8)), |reason| {
            matches!(
                reason,
                RejectReason::Mismatch {
                    expected_pages: 2,
                    found_pages: 2
                }
            )
        }),
    ];
    for (wrong, expected) in cases {
        let mut talker = Talker::welcome();
        talker.send(frame(1, 0, &[0, 1], 9));
        talker.send(commit(1, 1, 1, fingerprint(9)));
        talker.send(wrong);
        match talker.last_event() {
            ReplicaEvent::Rejected { set: 0, reason } => assert!(expected(reason), "{reason:?}"),
            other => panic!("{other:?}"),
        }
        assert_eq!(
            talker.answers.last(),
            Some(&Control::Resync { set: 0, attempt: 1 })
        );
        // What still comes of this attempt is dropped without a word.
        let (events, answers) = (talker.events.len(), talker.answers.len());
        talker.send(frame(1, 1, &[0], 7));
        talker.send(commit(1, 2, 2, fingerprint(7)));
        assert_eq!((talker.events.len(), talker.answers.len()), (events, answers));
        assert_eq!(talker.replica.newest_epoch(0).unwrap().0, 1);
        assert_eq!(talker.replica.page(0, 0, 0), Some(&[9; PAGE_SIZE]));
        // The next attempt counts from 0.
        talker.send(frame(2, 0, &[0, 1], 5));
        talker.send(commit(2, 2, 1, fingerprint(5)));
        assert!(matches!(
            talker.last_event(),
            ReplicaEvent::EpochApplied { epoch: 2, .. }
        ));
        assert_eq!(talker.replica.page(0, 0, 0), Some(&[5; PAGE_SIZE]));
    }
}

#[test]
fn an_epoch_without_all_pages_is_rejected() {
    let mut talker = Talker::welcome();
    talker.send(frame(1, 0, &[1], 9));
    talker.send(commit(1, 1, 1, fingerprint(9)));
    let missing = RejectReason::MissingPages { pages: 1 };
    assert_eq!(
        talker.last_event(),
        &ReplicaEvent::Rejected {
            set: 0,
            reason: missing
        }
    );
    assert_eq!(talker.replica.newest_epoch(0), None);
}

#[test]
fn what_is_no_message_ends_the_session() {
    let real = |bytes: &[u8]| Payload::from(Bytes::copy_from_slice(bytes));
    let beyond = [&b"LHRF"[..], &1u32.to_be_bytes(), &1u32.to_be_bytes(), b"LHDE"].concat();
    for (wrong, error) in [
        (vec![real(b"what is this")], MessageError::Magic),
        (vec![real(b"LHRC")], MessageError::Length),
        (vec![real(&beyond)], MessageError::Range),
        (vec![Payload::Synthetic(3)], MessageError::Length),
        (
            vec![real(b"LH"), Payload::Synthetic(3), real(b"RF")],
            MessageError::Length,
        ),
    ] {
        let mut talker = Talker::welcome();
        talker.send(message(wrong));
        let why = SessionEnd::Message(error);
        assert_eq!(
            talker.last_event(),
            &ReplicaEvent::SessionOver { session: 1, why }
        );
        assert_eq!(talker.aborted, [CONTROL, DATA]);
    }
}

#[test]
fn a_stream_must_say_what_it_is_for_and_belong_to_the_session() {
    let refusal = |bytes: &[u8]| {
        let mut talker = Talker::welcome();
        let stream = StreamId(StreamId::FIRST_ACCEPTED + 9);
        talker.accept(stream);
        talker.say(stream, bytes);
        match talker.last_event() {
            ReplicaEvent::StreamRefused { stream: refused, why } => {
                assert_eq!((*refused, talker.aborted.clone()), (stream, vec![stream]));
                *why
            }
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(
        refusal(b"GET / HTTP/1.1\r\n\r\n\r\n"),
        StreamRefusal::Control(ControlError::Magic)
    );
    assert_eq!(refusal(&preamble(Role::Data, 2)), StreamRefusal::Session);
    assert_eq!(refusal(&preamble(Role::Control, 1)), StreamRefusal::Session);
    let mut damaged = preamble(Role::Data, 1);
    damaged[12] ^= 1;
    assert_eq!(refusal(&damaged), StreamRefusal::Control(ControlError::Checksum));
}

#[test]
fn streams_that_never_say_what_they_are_for_are_limited() {
    let mut talker = Talker::welcome();
    for k in 0..1_000 {
        talker.accept(StreamId(StreamId::FIRST_ACCEPTED + 2 + k));
    }
    // The oldest make room, so that a source that comes late is heard.
    assert_eq!(talker.aborted.len(), 1_000 - 257);
    assert_eq!(talker.aborted[0], StreamId(StreamId::FIRST_ACCEPTED + 2));
    let last = StreamId(StreamId::FIRST_ACCEPTED + 1_001);
    let reason = CloseReason::Failed;
    talker.give(Input::Closed { stream: last, reason });
    talker.accept(StreamId(StreamId::FIRST_ACCEPTED + 5_000));
    assert_eq!(talker.aborted.len(), 1_000 - 257);
}

#[test]
fn a_source_of_other_guests_is_refused_and_a_newer_session_supersedes() {
    let mut talker = Talker::new();
    talker.greet(1, &[3]);
    assert_eq!(talker.answers, [Control::Refused]);
    assert!(matches!(
        talker.last_event(),
        ReplicaEvent::StreamRefused {
            why: StreamRefusal::Guests,
            ..
        }
    ));
    let mut talker = Talker::welcome();
    talker.send(frame(1, 0, &[0], 9));
    let newer = StreamId(StreamId::FIRST_ACCEPTED + 2);
    talker.accept(newer);
    talker.say(newer, &preamble(Role::Control, 7));
    let why = SessionEnd::Superseded;
    assert_eq!(
        talker.last_event(),
        &ReplicaEvent::SessionOver { session: 1, why }
    );
    assert_eq!(talker.aborted, [CONTROL, DATA]);
}

#[test]
fn records_that_do_not_belong_here_end_the_session() {
    for (record, greeted) in [
        (Control::Heard { number: 1 }, true),
        (Control::Applied { set: 0, epoch: 1 }, true),
        (Control::Fenced, true),
        (
            Control::Hello {
                session: 1,
                pages: vec![2],
            },
            true,
        ),
        (
            Control::Heartbeat {
                number: 1,
                leased: true,
            },
            false,
        ),
        (
            Control::Hello {
                session: 2,
                pages: vec![2],
            },
            false,
        ),
    ] {
        let mut talker = if greeted { Talker::welcome() } else { Talker::new() };
        if !greeted {
            talker.accept(CONTROL);
            talker.say(CONTROL, &preamble(Role::Control, 1));
        }
        talker.say(CONTROL, &record.to_bytes());
        let why = SessionEnd::Unexpected;
        assert_eq!(
            talker.last_event(),
            &ReplicaEvent::SessionOver { session: 1, why },
            "{record:?}"
        );
    }
}
