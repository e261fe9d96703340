//! What a peer may send that breaks the rules.

use bytes::Bytes;
use longhaul_amst::{Priority, Sender, SenderOptions, SenderOutput};
use longhaul_core::machine::{CloseReason, Input, Machine, Output, StreamId};
use longhaul_core::payload::{Payload, PayloadBuffer};
use longhaul_core::time::{Instant, Span};
use longhaul_hde::header::PageRun;
use longhaul_hde::{Encoder, EncoderOptions, PAGE_SIZE, PageInput, encode_synthetic_header};
use longhaul_memory::generated::GeneratedMemory;
use longhaul_memory::pattern::Pattern;
use longhaul_replication::control::{Control, ControlError, ControlReader, Preamble, Role, SetState};
use longhaul_replication::message::{Commit, MessageError};
use longhaul_replication::{
    Disconnect, Fingerprint, RejectReason, Replica, ReplicaCommand, ReplicaEvent, ResyncReason, SessionEnd,
    Source, SourceCommand, SourceEvent, StreamRefusal,
};

use crate::support::{Setup, at_ms};

const WINDOW: u64 = 1 << 20;
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
fn fingerprint(byte: u8) -> Fingerprint {
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

/// Somebody who talks to a source of one guest.
struct Answerer {
    source: Source<GeneratedMemory>,
    now: Instant,
    events: Vec<SourceEvent>,
    opened: Vec<StreamId>,
    aborted: Vec<StreamId>,
    sent_bytes: u64,
    wake: Option<Instant>,
}

impl Answerer {
    /// A guest of 100 pages.
    fn new() -> Answerer {
        Answerer::of(&Setup {
            sets: vec![(0, vec![100])],
            ..Setup::default()
        })
    }

    fn of(setup: &Setup) -> Answerer {
        let mut answerer = Answerer {
            source: setup.source(),
            now: Instant::ZERO,
            events: Vec::new(),
            opened: Vec::new(),
            aborted: Vec::new(),
            sent_bytes: 0,
            wake: None,
        };
        answerer.give(Input::Command(SourceCommand::Start));
        answerer.give(Input::Opened { stream: StreamId(0) });
        answerer
    }

    fn say(&mut self, record: &Control) {
        let control = *self
            .opened
            .iter()
            .rev()
            .find(|stream| self.is_control(**stream))
            .unwrap();
        let payload = Bytes::from(record.to_bytes()).into();
        self.give(Input::Received {
            stream: control,
            payload,
        });
    }

    /// The tests open no stream of the transport but two per session.
    fn is_control(&self, stream: StreamId) -> bool {
        stream.0.is_multiple_of(3)
    }

    fn welcome(&mut self, session: u64, state: SetState) {
        let sets = vec![state];
        self.say(&Control::Welcome { session, sets });
    }

    fn give(&mut self, input: Input<SourceCommand>) {
        self.source.handle(self.now, input);
        loop {
            match self.source.poll() {
                Output::Open { stream, .. } => self.opened.push(stream),
                Output::Send { stream, payload } => {
                    let bytes = payload.len();
                    self.sent_bytes += bytes;
                    self.source.handle(self.now, Input::Sent { stream, bytes });
                }
                Output::Abort { stream } => self.aborted.push(stream),
                Output::Event(event) => self.events.push(event),
                Output::WakeAt { at, .. } => {
                    self.wake = Some(at);
                    break;
                }
                Output::Idle => {
                    self.wake = None;
                    break;
                }
                _ => {}
            }
        }
    }

    /// Lets time pass until the source has nothing to do before this.
    fn pass(&mut self, until: Instant) {
        while let Some(wake) = self.wake.filter(|wake| *wake <= until) {
            self.now = self.now.max(wake);
            self.give(Input::Wake);
        }
        self.now = until;
    }
}

#[test]
fn a_replica_that_says_nothing_is_given_up_and_tried_again() {
    let mut answerer = Answerer::new();
    answerer.pass(at_ms(11_000));
    let why = Disconnect::Silence;
    assert_eq!(answerer.events, [SourceEvent::NotConnected { session: 1, why }]);
    assert_eq!(answerer.aborted, [StreamId(0)]);
    assert_eq!(answerer.opened, [StreamId(0), StreamId(1)]);
}

#[test]
fn a_replica_that_acknowledges_nothing_gets_no_more_than_the_window() {
    let mut answerer = Answerer::of(&Setup {
        sets: vec![(0, vec![1_000])],
        pattern: Pattern::Constant,
        ..Setup::default()
    });
    answerer.welcome(1, SetState::default());
    for stream in [1, 2] {
        answerer.give(Input::Opened {
            stream: StreamId(stream),
        });
    }
    // The guest has four times as much that cannot be compressed.
    let sent = answerer.sent_bytes;
    assert!((WINDOW - (64 << 10)..WINDOW + 1_000).contains(&sent), "{sent}");
    // The heartbeats are not heard either.
    answerer.pass(at_ms(1_000));
    let why = Disconnect::Silence;
    assert!(
        answerer
            .events
            .contains(&SourceEvent::Disconnected { session: 1, why }),
        "{:?}",
        answerer.events
    );
    assert!(
        answerer
            .events
            .contains(&SourceEvent::EpochInterrupted { set: 0, epoch: 1 })
    );
}

#[test]
fn a_welcome_that_does_not_fit_makes_the_source_send_everything_again() {
    let none = SetState::default();
    let there = SetState {
        attempt: 1,
        epoch: 5,
        ..none
    };
    for (state, reason) in [
        (there, ResyncReason::Epoch),
        (
            SetState {
                attempt: 1,
                frames: 1,
                ..none
            },
            ResyncReason::Frames,
        ),
        (SetState { attempt: 9, ..none }, ResyncReason::Frames),
        (
            SetState {
                attempt: 1,
                dead: true,
                ..none
            },
            ResyncReason::Rejected,
        ),
    ] {
        let mut answerer = Answerer::new();
        answerer.welcome(1, state);
        assert!(
            answerer.events.contains(&SourceEvent::Resync { set: 0, reason }),
            "{:?}",
            answerer.events
        );
        let started = answerer.events.iter().find_map(|event| match event {
            SourceEvent::EpochStarted { epoch, pages, .. } => Some((*epoch, *pages)),
            _ => None,
        });
        // Never a number that the replica has seen.
        assert_eq!(started, Some((state.epoch + 1, 100)));
    }
}

#[test]
fn a_replica_with_another_memory_under_the_right_number_gets_everything_again() {
    let world = Setup {
        sets: vec![(0, vec![100])],
        ..Setup::default()
    }
    .run();
    let epoch = world.replica.newest_epoch(0).unwrap().0;
    let mut world = world;
    let control = StreamId(0);
    let now = world.setup.horizon + Span::from_ms(1);
    let mut events = Vec::new();
    let mut give = |source: &mut Source<GeneratedMemory>, now, input| {
        source.handle(now, input);
        let mut wake = None;
        loop {
            match source.poll() {
                Output::Event(event) => events.push(event),
                Output::WakeAt { at, .. } => break wake = Some(at),
                Output::Idle => break,
                _ => {}
            }
        }
        wake
    };
    let reason = CloseReason::Failed;
    let retry = give(
        &mut world.source,
        now,
        Input::Closed {
            stream: control,
            reason,
        },
    )
    .unwrap();
    give(&mut world.source, retry, Input::Wake);
    let control = StreamId(3);
    give(&mut world.source, retry, Input::Opened { stream: control });
    let state = SetState {
        attempt: 1,
        dead: false,
        frames: world.source.statistics().sets[0].copy.frames,
        epoch,
        fingerprint: fingerprint(1),
    };
    let welcome = Control::Welcome {
        session: 2,
        sets: vec![state],
    };
    let payload = Bytes::from(welcome.to_bytes()).into();
    give(
        &mut world.source,
        retry,
        Input::Received {
            stream: control,
            payload,
        },
    );
    let reason = ResyncReason::Fingerprint;
    assert!(
        events.contains(&SourceEvent::Resync { set: 0, reason }),
        "{events:?}"
    );
}

#[test]
fn records_that_make_no_sense_end_the_session() {
    for record in [
        Control::Applied { set: 0, epoch: 9 },
        Control::Applied { set: 1, epoch: 1 },
        Control::Resync { set: 7, attempt: 1 },
        Control::Resync { set: 0, attempt: 2 },
        Control::Heartbeat {
            number: 0,
            leased: false,
        },
        Control::Welcome {
            session: 1,
            sets: vec![SetState::default()],
        },
        Control::Refused,
    ] {
        let mut answerer = Answerer::new();
        answerer.welcome(1, SetState::default());
        answerer.say(&record);
        let why = Disconnect::Unexpected;
        assert!(
            answerer
                .events
                .contains(&SourceEvent::Disconnected { session: 1, why }),
            "{record:?}: {:?}",
            answerer.events
        );
    }
    for (session, sets) in [(2, 1), (1, 0), (1, 2)] {
        let mut answerer = Answerer::new();
        let sets = vec![SetState::default(); sets];
        answerer.say(&Control::Welcome { session, sets });
        let why = Disconnect::Unexpected;
        assert_eq!(answerer.events, [SourceEvent::NotConnected { session: 1, why }]);
    }
}

#[test]
fn a_source_that_is_refused_or_fenced_does_not_come_back() {
    for (record, event) in [
        (Control::Refused, SourceEvent::Refused),
        (Control::Fenced, SourceEvent::Fenced),
    ] {
        let mut answerer = Answerer::new();
        answerer.say(&record);
        assert_eq!(answerer.events, [event]);
        answerer.pass(at_ms(100_000));
        assert_eq!(answerer.opened.len(), 1);
    }
}

#[test]
fn a_rejected_attempt_is_followed_by_another() {
    let mut answerer = Answerer::new();
    answerer.welcome(1, SetState::default());
    answerer.say(&Control::Resync { set: 0, attempt: 1 });
    // Said again, it is about an attempt that was given up.
    answerer.say(&Control::Resync { set: 0, attempt: 1 });
    let reason = ResyncReason::Rejected;
    let resyncs = answerer
        .events
        .iter()
        .filter(|event| **event == SourceEvent::Resync { set: 0, reason });
    assert_eq!(resyncs.count(), 1);
    assert_eq!(answerer.source.statistics().sets[0].epochs_started, 2);
}
