//! What a peer may send that breaks the rules.

use bytes::Bytes;
use longhaul_amst::{Failure, Priority, Sender, SenderOptions, SenderOutput};
use longhaul_core::machine::{CloseReason, Input, Machine, Output, StreamId};
use longhaul_core::payload::{Payload, PayloadBuffer};
use longhaul_core::time::{Instant, Span};
use longhaul_hde::header::PageRun;
use longhaul_hde::{Encoder, EncoderOptions, PAGE_SIZE, PageInput, encode_synthetic_header};
use longhaul_memory::GuestMemory;
use longhaul_memory::generated::GeneratedMemory;
use longhaul_migration::{
    Command, Destination, DestinationEvent, DestinationFailure, DestinationOptions, Mode, SourceEvent,
    SourceFailure,
};
use proptest::prelude::*;

use crate::support::{SESSION, Setup};

const HERE: StreamId = StreamId(StreamId::FIRST_ACCEPTED);
const THERE: StreamId = StreamId(0);
const WINDOW: u64 = 1 << 20;
const REFUSED: &[u8] = b"LHMA\x02\0\0\0\0\0\0\0\0";

/// A destination of a guest of two pages, or of as many as `guest` has.
fn destination(guest: Option<GeneratedMemory>) -> Destination<GeneratedMemory> {
    let options = DestinationOptions {
        pages: guest.as_ref().map_or(2, GuestMemory::pages),
        session: SESSION,
        window_bytes: WINDOW,
        cost: None,
        resume_time: Span::ZERO,
        keep_pages: false,
    };
    Destination::new(options, guest)
}

/// How a stream begins that carries data, or leads back.
fn preface(role: u8, attempt: u8, session: u64) -> Bytes {
    [&b"LHMS\x01"[..], &[role, 0, attempt], &session.to_be_bytes()]
        .concat()
        .into()
}

/// Carries messages to a destination of two pages; returns what it reports and what it answers.
fn deliver(messages: Vec<(Priority, PayloadBuffer)>) -> (Vec<DestinationEvent>, Option<Bytes>) {
    deliver_to(destination(None), messages)
}

fn deliver_to(
    mut destination: Destination<GeneratedMemory>,
    messages: Vec<(Priority, PayloadBuffer)>,
) -> (Vec<DestinationEvent>, Option<Bytes>) {
    let mut sender = Sender::new(SenderOptions::fixed(1, 4_096, WINDOW)).unwrap();
    sender.start();
    assert_eq!(sender.poll(), Some(SenderOutput::Open { stream: THERE }));
    sender.on_opened(THERE);
    for (priority, message) in messages {
        sender.push(message, priority).unwrap();
    }
    destination.handle(Instant::ZERO, Input::Accepted { stream: HERE });
    let payload = preface(0, 0, SESSION).into();
    destination.handle(
        Instant::ZERO,
        Input::Received {
            stream: HERE,
            payload,
        },
    );
    let (mut events, mut reply) = (Vec::new(), None);
    while let Some(output) = sender.poll() {
        match output {
            SenderOutput::Send { payload, .. } => {
                sender.on_sent(THERE, payload.len());
                destination.handle(
                    Instant::ZERO,
                    Input::Received {
                        stream: HERE,
                        payload,
                    },
                );
            }
            SenderOutput::Reply { content } => reply = Some(content),
            _ => {}
        }
        loop {
            match destination.poll() {
                Output::Send { payload, .. } => sender.on_received(THERE, payload),
                Output::Event(event) => events.push(event),
                output if output.ends_poll() => break,
                _ => {}
            }
        }
    }
    (events, reply)
}

fn message(pieces: Vec<Payload>) -> PayloadBuffer {
    let mut content = PayloadBuffer::default();
    pieces.into_iter().for_each(|piece| content.push(piece));
    content
}

fn real_frame(sequence: u64, numbers: &[u64]) -> PayloadBuffer {
    let content = [3; PAGE_SIZE];
    let pages: Vec<_> = numbers
        .iter()
        .map(|&number| PageInput {
            number,
            content: &content,
            baseline: None,
        })
        .collect();
    message(vec![
        Encoder::new(EncoderOptions::raw())
            .encode(sequence, &pages)
            .into(),
    ])
}

fn synthetic_frame(sequence: u64, start: u64, count: u32, said: u64, sent: u64) -> PayloadBuffer {
    let header = encode_synthetic_header(&[PageRun { start, count }], sequence, said);
    message(vec![header.into(), Payload::Synthetic(sent)])
}

fn end(frames: u64, real_pages: u64, hash: [u8; 32]) -> PayloadBuffer {
    let bytes = [
        b"LHME",
        &frames.to_be_bytes()[..],
        &real_pages.to_be_bytes(),
        &hash,
        &0u64.to_be_bytes(),
        &0u32.to_be_bytes(),
    ]
    .concat();
    message(vec![Bytes::from(bytes).into()])
}

fn package(device_bytes: u64, vcpu_ns: &[u64]) -> PayloadBuffer {
    let mut bytes = [b"LHMP", &device_bytes.to_be_bytes()[..]].concat();
    bytes.extend((vcpu_ns.len() as u32).to_be_bytes());
    vcpu_ns.iter().for_each(|ns| bytes.extend(ns.to_be_bytes()));
    message(vec![Bytes::from(bytes).into()])
}

fn text(bytes: &'static [u8]) -> PayloadBuffer {
    message(vec![Bytes::from_static(bytes).into()])
}

fn bulk(messages: Vec<PayloadBuffer>) -> Vec<(Priority, PayloadBuffer)> {
    messages
        .into_iter()
        .map(|message| (Priority::Bulk, message))
        .collect()
}

fn assert_refused(messages: Vec<PayloadBuffer>, expected: impl Fn(&DestinationFailure) -> bool) {
    assert_answer_is_refusal(deliver(bulk(messages)), expected);
}

fn assert_answer_is_refusal(
    (events, reply): (Vec<DestinationEvent>, Option<Bytes>),
    expected: impl Fn(&DestinationFailure) -> bool,
) {
    match &events[..] {
        [DestinationEvent::Failed { reason }] => assert!(expected(reason), "{reason:?}"),
        other => panic!("{other:?}"),
    }
    assert_eq!(reply.as_deref(), Some(REFUSED));
}

#[test]
fn messages_that_make_no_sense_are_refused() {
    let is_message = |reason: &DestinationFailure| *reason == DestinationFailure::Message;
    let is_frame = |reason: &DestinationFailure| matches!(reason, DestinationFailure::Frame { .. });
    assert_refused(
        vec![message(vec![Bytes::from_static(b"LHMEshort").into()])],
        is_message,
    );
    assert_refused(vec![message(vec![Bytes::from_static(b"what?").into()])], is_frame);
    assert_refused(vec![message(vec![Payload::Synthetic(1_000)])], is_frame);
    assert_refused(vec![synthetic_frame(0, 0, 2, 50, 51)], is_message);
    let mut mixed = real_frame(0, &[0, 1]);
    mixed.push(Payload::Synthetic(1));
    assert_refused(vec![mixed], is_message);
    let mut reversed = message(vec![Payload::Synthetic(1)]);
    reversed.push(Bytes::from_static(b"LHDE").into());
    assert_refused(vec![reversed], is_message);
}

#[test]
fn frames_out_of_turn_are_refused() {
    let (expected, found) = (1, 2);
    let skipped = |reason: &DestinationFailure| *reason == DestinationFailure::Sequence { expected, found };
    assert_refused(vec![real_frame(0, &[0]), real_frame(2, &[1])], skipped);
    assert_refused(vec![real_frame(0, &[0, 1]), end(2, 2, [0; 32])], skipped);
}

#[test]
fn pages_that_the_guest_does_not_have_are_refused() {
    let no_page_2 = |reason: &DestinationFailure| *reason == DestinationFailure::NoSuchPage { page: 2 };
    assert_refused(vec![real_frame(0, &[0, 2])], no_page_2);
    assert_refused(vec![synthetic_frame(0, 1, 2, 9, 9)], no_page_2);
}

#[test]
fn an_incomplete_or_different_memory_is_refused() {
    let missing = |reason: &DestinationFailure| *reason == DestinationFailure::MissingPages { pages: 1 };
    assert_refused(vec![real_frame(0, &[1]), end(1, 1, [0; 32])], missing);
    let mismatch = |reason: &DestinationFailure| {
        let (expected_pages, found_pages) = (2, 1);
        *reason
            == DestinationFailure::Mismatch {
                expected_pages,
                found_pages,
            }
    };
    assert_refused(
        vec![
            real_frame(0, &[0]),
            synthetic_frame(1, 1, 1, 9, 9),
            end(2, 2, [0; 32]),
        ],
        mismatch,
    );
}

#[test]
fn the_hash_of_the_end_message_is_blake3_over_numbers_and_contents() {
    let mut hasher = blake3::Hasher::new();
    for number in 0..2u64 {
        hasher.update(&number.to_le_bytes()).update(&[3; PAGE_SIZE]);
    }
    let hash = *hasher.finalize().as_bytes();
    let (events, reply) = deliver(bulk(vec![real_frame(0, &[0, 1]), end(1, 2, hash)]));
    let resumed = DestinationEvent::Resumed {
        at: Instant::ZERO,
        missing_pages: 0,
    };
    assert_eq!(events[0], resumed);
    assert!(matches!(
        events[1],
        DestinationEvent::Arrived {
            verified_pages: 2,
            verified_bytes: 8192,
            ..
        }
    ));
    assert_eq!(reply.as_deref(), Some(&b"LHMA\x01\0\0\0\0\0\0\0\0"[..]));
}

#[test]
fn post_copy_out_of_turn_is_refused() {
    let guest = || {
        let setup = Setup {
            mib: 1,
            ..Setup::default()
        };
        Some(setup.memory())
    };
    let refused =
        |guest, messages: Vec<(Priority, PayloadBuffer)>, expected: &dyn Fn(&DestinationFailure) -> bool| {
            assert_answer_is_refusal(deliver_to(destination(guest), messages), expected);
        };
    let control = |message| (Priority::Control, message);
    let is_message = |reason: &DestinationFailure| *reason == DestinationFailure::Message;
    refused(None, vec![control(package(0, &[0]))], &|reason| {
        *reason == DestinationFailure::NoGuest
    });
    refused(guest(), vec![control(package(9, &[0]))], &|reason| {
        let (expected, found) = (9, 0);
        *reason == DestinationFailure::DeviceState { expected, found }
    });
    for impossible in [&[][..], &[0, 0], &[1], &[u64::MAX]] {
        refused(guest(), vec![control(package(0, impossible))], &|reason| {
            matches!(reason, DestinationFailure::State { .. })
        });
    }
    refused(guest(), vec![control(real_frame(0, &[0]))], &is_message);
    refused(guest(), vec![control(text(b"LHMB"))], &is_message);
    refused(guest(), vec![control(text(b"LHMPshort"))], &is_message);
    let mut with_synthetic = package(0, &[0]);
    with_synthetic.push(Payload::Synthetic(1));
    refused(guest(), vec![control(with_synthetic)], &is_message);
}

#[test]
fn a_guest_that_runs_already_is_lost_if_what_follows_is_wrong() {
    let setup = Setup {
        mib: 1,
        ..Setup::default()
    };
    let control = |message| (Priority::Control, message);
    let wrong: [(Priority, PayloadBuffer); 3] = [
        (Priority::Bulk, real_frame(7, &[0])),
        control(real_frame(0, &[300])),
        control(package(0, &[0])),
    ];
    for message in wrong {
        let messages = vec![control(package(0, &[0])), message];
        let (events, reply) = deliver_to(destination(Some(setup.memory())), messages);
        assert!(matches!(
            events[0],
            DestinationEvent::Resumed {
                missing_pages: 256,
                ..
            }
        ));
        assert!(matches!(events[1], DestinationEvent::Failed { .. }), "{events:?}");
        assert_eq!(reply.as_deref(), Some(&b"LHMA\x03\0\0\0\0\0\0\0\0"[..]));
    }
}

#[test]
fn streams_of_another_guest_are_refused_and_change_nothing() {
    let mut destination = destination(None);
    let mut events = Vec::new();
    let mut closed = 0;
    for (number, bytes) in [
        preface(0, 0, SESSION + 1),
        preface(1, 9, SESSION ^ 1),
        preface(2, 0, SESSION),
        Bytes::from_static(b"GET / HTTP/1.1\r\n"),
    ]
    .into_iter()
    .enumerate()
    {
        let stream = StreamId(HERE.0 + number as u32);
        destination.handle(Instant::ZERO, Input::Accepted { stream });
        for payload in [bytes.into(), Payload::Synthetic(1)] {
            destination.handle(Instant::ZERO, Input::Received { stream, payload });
        }
        loop {
            match destination.poll() {
                Output::Event(event) => events.push(event),
                Output::Close { .. } => closed += 1,
                output if output.ends_poll() => break,
                output => panic!("{output:?}"),
            }
        }
    }
    assert_eq!((events.len(), closed), (4, 4));
    assert!(
        events
            .iter()
            .all(|event| matches!(event, DestinationEvent::StreamRefused { .. }))
    );
}

#[test]
fn a_guest_that_the_source_was_told_does_not_run_never_does() {
    let mut hasher = blake3::Hasher::new();
    for number in 0..2u64 {
        hasher.update(&number.to_le_bytes()).update(&[3; PAGE_SIZE]);
    }
    let hash = *hasher.finalize().as_bytes();
    let messages = vec![
        text(b"LHMQ"),
        real_frame(0, &[0, 1]),
        end(1, 2, hash),
        text(b"LHMQ"),
    ];
    let (events, reply) = deliver(bulk(messages));
    assert_eq!(events, [DestinationEvent::Abandoned]);
    assert_eq!(reply, None, "that is said on the stream that leads back");
}

#[test]
fn a_source_that_gets_nonsense_on_every_stream_fails() {
    let mut setup = Setup::default();
    setup.transport.patience = Span::ZERO;
    let mut source = setup.source();
    let mut events = Vec::new();
    let mut drain = |source: &mut longhaul_migration::Source<_>| {
        loop {
            match source.poll() {
                Output::Event(event) => events.push(event),
                output if output.ends_poll() => break,
                _ => {}
            }
        }
    };
    source.handle(Instant::ZERO, Input::Command(Command::Start { guest: None }));
    drain(&mut source);
    for stream in (0..4).map(StreamId) {
        source.handle(Instant::ZERO, Input::Opened { stream });
        drain(&mut source);
    }
    for stream in (0..4).map(StreamId) {
        source.handle(Instant::ZERO, Input::Sent { stream, bytes: 16 });
        let payload = Bytes::from(vec![b'?'; 44]).into();
        source.handle(Instant::ZERO, Input::Received { stream, payload });
        drain(&mut source);
    }
    assert!(matches!(
        events.last(),
        Some(SourceEvent::Failed {
            reason: SourceFailure::Transport {
                why: Failure::NoStream,
                unacknowledged_bytes: 1..
            }
        })
    ));
}

prop_compose! {
    fn any_message()(
        kind in 0u8..8, sequence in 0u64..3, start in 0u64..3, count in 1u32..4, said in 0u64..300, sent in 0u64..300,
        noise in prop::collection::vec(any::<u8>(), 0..200), cut in any::<prop::sample::Index>(),
        flip in prop::option::of((any::<prop::sample::Index>(), 1u8..)),
    ) -> PayloadBuffer {
        let mut made = match kind {
            0 => message(vec![Bytes::from(noise.clone()).into(), Payload::Synthetic(sent)]),
            1 => real_frame(sequence, &(start..start + u64::from(count)).collect::<Vec<_>>()),
            2 => synthetic_frame(sequence, start, count, said, if sent % 2 == 0 { said } else { sent }),
            3 => end(sequence, start, [7; 32]),
            4 => package(said % 2, &[0][..sent as usize % 2]),
            5 => message(vec![Bytes::from([b"LHMX", &noise[..]].concat()).into()]),
            6 => message(vec![Bytes::from([b"LHMB", &noise[..]].concat()).into()]),
            _ => message(vec![Bytes::from_static(b"LHMD").into(), Payload::Synthetic(said)]),
        };
        let mut content = PayloadBuffer::default();
        while let Some(piece) = made.pop(u64::MAX) {
            match (piece, flip) {
                (Payload::Real(bytes), Some((at, mask))) => {
                    let mut bytes = bytes.to_vec();
                    let at = at.index(bytes.len());
                    bytes[at] ^= mask;
                    bytes.truncate(1 + cut.index(bytes.len()));
                    content.push(Bytes::from(bytes).into());
                }
                (piece, _) => content.push(piece),
            }
        }
        if content.is_empty() {
            content.push(Payload::Synthetic(1));
        }
        content
    }
}

proptest! {
    #[test]
    fn no_message_makes_a_destination_panic(
        messages in prop::collection::vec((any::<bool>(), any_message()), 1..8), can_run in any::<bool>(),
    ) {
        let guest = Setup { mib: 1, ..Setup::default() }.memory();
        let messages = messages.into_iter().map(|(urgent, message)| {
            (if urgent { Priority::Control } else { Priority::Bulk }, message)
        });
        let (events, _) = deliver_to(destination(can_run.then_some(guest)), messages.collect());
        let failed = events.iter().filter(|event| matches!(event, DestinationEvent::Failed { .. })).count();
        prop_assert!(failed <= 1 && events.len() <= 3);
    }

    #[test]
    fn no_bytes_on_a_stream_make_either_machine_panic(
        mode in prop::sample::select(vec![Mode::PreCopy, Mode::PostCopy]),
        inputs in prop::collection::vec(
            (0u32..5, 0u8..6, prop::collection::vec(any::<u8>(), 0..100), any::<u64>()), 0..40,
        ),
    ) {
        let setup = Setup { mib: 1, mode, ..Setup::default() };
        let mut source = setup.source();
        let mut destination = setup.destination();
        source.handle(Instant::ZERO, Input::Command(Command::Start { guest: None }));
        for (number, what, noise, length) in inputs {
            // The last one is the stream that leads back.
            let stream = StreamId(if number == 4 { 1 << 23 } else { number });
            let begin = preface((length % 2) as u8, (length >> 1) as u8 % 3, SESSION);
            let noise = Payload::from(Bytes::from(noise));
            let (there, here) = match what {
                0 => (Input::Opened { stream }, Input::Accepted { stream }),
                1 => {
                    let payload = Payload::Synthetic(length);
                    (Input::Received { stream, payload: payload.clone() }, Input::Received { stream, payload })
                }
                2 => {
                    let reason = CloseReason::Failed;
                    (Input::Closed { stream, reason }, Input::Closed { stream, reason })
                }
                3 => (Input::Wake, Input::Wake),
                4 => (Input::Wake, Input::Received { stream, payload: begin.into() }),
                _ => (
                    Input::Received { stream, payload: noise.clone() },
                    Input::Received { stream, payload: noise },
                ),
            };
            source.handle(Instant::ZERO, there);
            while !source.poll().ends_poll() {}
            destination.handle(Instant::ZERO, here);
            while !destination.poll().ends_poll() {}
        }
    }
}
