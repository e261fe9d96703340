//! What a peer may send that breaks the rules.

use bytes::Bytes;
use longhaul_amst::record::{Header, Kind};
use longhaul_amst::{
    CONTROL_WINDOW_BYTES, Failure, MessageId, Priority, Receiver, ReceiverOptions, ReceiverOutput,
    RecordError, Sender, SenderOptions, SenderOutput, StreamEnd,
};
use longhaul_core::machine::{CloseReason, StreamId};
use longhaul_core::payload::{Payload, PayloadBuffer};
use longhaul_core::time::{Instant, Span};
use proptest::prelude::*;

const WINDOW: u64 = 10_000;
const A: StreamId = StreamId(0);
const B: StreamId = StreamId(1);

/// A message of bulk on the wire.
fn bulk(number: u64) -> u64 {
    MessageId {
        priority: Priority::Bulk,
        number,
    }
    .to_wire()
}

/// A message of control on the wire.
fn control(number: u64) -> u64 {
    MessageId {
        priority: Priority::Control,
        number,
    }
    .to_wire()
}

fn chunk(message: u64, message_length: u64, offset: u64, body: &[u8]) -> Vec<u8> {
    chunk_of(bulk(message), message_length, offset, body)
}

fn control_chunk(message: u64, message_length: u64, offset: u64, body: &[u8]) -> Vec<u8> {
    chunk_of(control(message), message_length, offset, body)
}

fn chunk_of(message: u64, message_length: u64, offset: u64, body: &[u8]) -> Vec<u8> {
    let length = body.len() as u32;
    let checksum = crc32c::crc32c(body);
    let header = Header {
        kind: Kind::Chunk,
        length,
        real: length,
        message,
        message_length,
        offset,
        checksum,
    };
    [&header.to_bytes(), body].concat()
}

fn acknowledgement(message: u64, offset: u64, length: u32) -> Payload {
    acknowledgement_of(bulk(message), offset, length)
}

fn control_acknowledgement(message: u64, offset: u64, length: u32) -> Payload {
    acknowledgement_of(control(message), offset, length)
}

fn acknowledgement_of(message: u64, offset: u64, length: u32) -> Payload {
    let body = [
        &message.to_be_bytes()[..],
        &offset.to_be_bytes(),
        &length.to_be_bytes(),
    ]
    .concat();
    let checksum = crc32c::crc32c(&body);
    let header = Header {
        kind: Kind::Acknowledgements,
        length: 20,
        real: 20,
        message: 0,
        message_length: 0,
        offset: 0,
        checksum,
    };
    Bytes::from([&header.to_bytes()[..], &body].concat()).into()
}

fn receiver() -> Receiver {
    let mut receiver = Receiver::new(ReceiverOptions { window_bytes: WINDOW });
    receiver.on_accepted(A);
    receiver
}

/// Opens the first streams.
fn open(sender: &mut Sender, streams: u32) {
    sender.start();
    for stream in (0..streams).map(StreamId) {
        assert_eq!(sender.poll(), Some(SenderOutput::Open { stream }));
    }
    for stream in (0..streams).map(StreamId) {
        sender.on_opened(stream);
    }
}

fn outputs(receiver: &mut Receiver) -> Vec<ReceiverOutput> {
    std::iter::from_fn(|| receiver.poll()).collect()
}

/// The reason for which `receiver` gives up stream A when it reads `bytes`.
fn refusal(receiver: &mut Receiver, bytes: Vec<u8>) -> Option<StreamEnd> {
    receiver.on_received(A, Bytes::from(bytes).into());
    outputs(receiver).into_iter().find_map(|output| match output {
        ReceiverOutput::StreamEnded { why, .. } => Some(why),
        _ => None,
    })
}

fn malformed(error: RecordError) -> Option<StreamEnd> {
    Some(StreamEnd::Malformed(error))
}

#[test]
fn a_message_of_two_to_the_63_bytes_is_refused_at_its_first_chunk() {
    let bytes = chunk(0, 1 << 63, 0, b"a");
    assert_eq!(refusal(&mut receiver(), bytes), malformed(RecordError::Window));
}

#[test]
fn chunks_cannot_fill_more_than_the_window() {
    // Message 0 never comes, so nothing can be delivered.
    let mut receiver = receiver();
    for message in 1..=WINDOW / 45 {
        assert_eq!(refusal(&mut receiver, chunk(message, 2, 0, b"a")), None);
    }
    assert!(receiver.held_bytes() <= WINDOW);
    assert_eq!(
        refusal(&mut receiver, chunk(9_999, 2, 0, b"a")),
        malformed(RecordError::Window)
    );
    assert_eq!(
        refusal(&mut self::receiver(), chunk(WINDOW + 1, 2, 0, b"a")),
        malformed(RecordError::Window)
    );
}

#[test]
fn chunks_that_contradict_each_other_are_refused() {
    for contradiction in [
        chunk(0, 9, 1, b"bc"),
        chunk(0, 9, 3, b"bc"),
        chunk(0, 9, 2, b"b"),
        chunk(0, 9, 1, b"bcde"),
        chunk(0, 8, 5, b"b"),
    ] {
        let mut receiver = receiver();
        assert_eq!(refusal(&mut receiver, chunk(0, 9, 2, b"bc")), None);
        assert_eq!(
            refusal(&mut receiver, contradiction),
            malformed(RecordError::Contradiction)
        );
    }
}

#[test]
fn a_duplicate_is_dropped_and_acknowledged_again() {
    let mut receiver = receiver();
    for _ in 0..3 {
        receiver.on_received(A, Bytes::from(chunk(0, 2, 0, b"a")).into());
        let sent = outputs(&mut receiver);
        assert!(matches!(&sent[..], [ReceiverOutput::Send { payload, .. }] if payload.len() == 64));
    }
    assert_eq!(receiver.stats().duplicate_chunks, 2);
    receiver.on_received(A, Bytes::from(chunk(0, 2, 1, b"b")).into());
    receiver.on_received(A, Bytes::from(chunk(0, 2, 1, b"b")).into());
    let delivered = outputs(&mut receiver)
        .iter()
        .filter(|o| matches!(o, ReceiverOutput::Delivered { .. }))
        .count();
    assert_eq!((delivered, receiver.held_bytes()), (1, 0));
}

#[test]
fn acknowledgements_that_come_together_share_a_record() {
    let mut receiver = receiver();
    let both = [chunk(0, 2, 0, b"a"), chunk(0, 2, 1, b"b")].concat();
    receiver.on_received(A, Bytes::from(both).into());
    let sent: u64 = outputs(&mut receiver)
        .iter()
        .map(|output| {
            if let ReceiverOutput::Send { payload, .. } = output {
                payload.len()
            } else {
                0
            }
        })
        .sum();
    assert_eq!(sent, 44 + 2 * 20);
}

#[test]
fn a_peer_that_does_not_read_its_acknowledgements_loses_the_stream() {
    let mut receiver = receiver();
    let one = Bytes::from(chunk(0, 2, 0, b"a"));
    let ended = (0..100_000).any(|_| {
        receiver.on_received(A, one.clone().into());
        outputs(&mut receiver).iter().any(|output| {
            matches!(
                output,
                ReceiverOutput::StreamEnded {
                    why: StreamEnd::Malformed(RecordError::Backlog),
                    ..
                }
            )
        })
    });
    assert!(ended);
}

#[test]
fn damage_and_wrong_directions_are_refused() {
    let mut damaged = chunk(0, 2, 0, b"a");
    damaged[44] = b'b';
    assert_eq!(
        refusal(&mut receiver(), damaged),
        malformed(RecordError::BodyChecksum)
    );
    let Payload::Real(backwards) = acknowledgement(0, 0, 1) else {
        unreachable!()
    };
    assert_eq!(
        refusal(&mut receiver(), backwards.to_vec()),
        malformed(RecordError::Kind)
    );
    let mut receiver = receiver();
    receiver.on_received(A, Payload::Synthetic(u64::MAX));
    assert!(matches!(
        outputs(&mut receiver)[..],
        [
            ReceiverOutput::Close { stream: A },
            ReceiverOutput::StreamEnded {
                why: StreamEnd::Malformed(RecordError::Synthetic),
                ..
            }
        ]
    ));
}

#[test]
fn needless_acknowledgements_are_counted_and_harmless() {
    let mut sender = Sender::new(SenderOptions::fixed(2, 10, WINDOW)).unwrap();
    open(&mut sender, 2);
    let mut content = PayloadBuffer::default();
    content.push(Payload::Synthetic(20));
    let message = sender.push(content, Priority::Bulk).unwrap();
    while sender.poll().is_some() {}
    // The first chunk went on A, the second on B. Each is acknowledged twice, and on the wrong stream, and
    // chunks that were never sent are acknowledged as well.
    for (stream, offset) in [(A, 10), (A, 0), (A, 0), (A, 500), (B, 0), (B, 10), (B, 10)] {
        sender.on_received(stream, acknowledgement(0, offset, 10));
    }
    assert_eq!(sender.poll(), Some(SenderOutput::Acked { message }));
    assert_eq!(sender.poll(), None);
    assert_eq!(sender.stats().needless_acknowledgements, 5);
}

#[test]
fn chunks_of_a_stream_with_a_malformed_answer_go_to_the_others() {
    let mut sender = Sender::new(SenderOptions::fixed(2, 10, WINDOW)).unwrap();
    open(&mut sender, 2);
    let mut content = PayloadBuffer::default();
    content.push(Payload::Synthetic(20));
    sender.push(content, Priority::Bulk).unwrap();
    while sender.poll().is_some() {}
    sender.on_sent(B, 54);
    sender.on_received(A, Bytes::from_static(&[7; 44]).into());
    let told: Vec<_> = std::iter::from_fn(|| sender.poll()).collect();
    let why = StreamEnd::Malformed(RecordError::Magic);
    assert_eq!(
        told[..2],
        [
            SenderOutput::Abort { stream: A },
            SenderOutput::StreamLost {
                stream: A,
                why,
                requeued_chunks: 1
            }
        ]
    );
    // Another stream takes its place, and the one that is there its chunk.
    assert!(matches!(
        told[2..],
        [
            SenderOutput::Open { stream: StreamId(2) },
            SenderOutput::Send { stream: B, .. },
            SenderOutput::Send { stream: B, .. }
        ]
    ));
}

fn seconds(seconds: u64) -> Instant {
    Instant::ZERO + Span::from_s(seconds)
}

fn synthetic(bytes: u64) -> PayloadBuffer {
    let mut content = PayloadBuffer::default();
    content.push(Payload::Synthetic(bytes));
    content
}

/// What the sender answers until it has nothing to say, with what it hands to its streams taken over at once.
fn drain(sender: &mut Sender) -> Vec<SenderOutput> {
    let mut outputs = Vec::new();
    while let Some(output) = sender.poll() {
        if let SenderOutput::Send { stream, payload } = &output {
            sender.on_sent(*stream, payload.len());
        }
        outputs.push(output);
    }
    outputs
}

#[test]
fn a_peer_that_acknowledges_nothing_ends_the_transport_after_its_patience() {
    let mut sender = Sender::new(SenderOptions::fixed(2, 100, WINDOW)).unwrap();
    open(&mut sender, 2);
    // Nobody is waited for as long as nothing is out.
    sender.advance(seconds(500));
    assert_eq!(sender.next_wake(), None);
    sender.push(synthetic(150), Priority::Bulk).unwrap();
    assert_eq!(drain(&mut sender).len(), 4);
    let (mut wakes, mut told) = (0, Vec::new());
    while let Some((at, _)) = sender.next_wake() {
        // Every 50 ms it looks at its streams.
        assert!(at >= seconds(500) && wakes < 1_300, "{at:?} after {wakes} wakes");
        sender.advance(at);
        let outputs = drain(&mut sender).into_iter();
        let outputs = outputs.filter(|output| !matches!(output, SenderOutput::Inspect { .. }));
        told.extend(outputs.map(|output| (at, output)));
        wakes += 1;
    }
    let failed = SenderOutput::Failed {
        why: Failure::Silent,
        unacknowledged_bytes: 150,
    };
    let end = seconds(560);
    let aborts = [A, B].map(|stream| (end, SenderOutput::Abort { stream }));
    assert_eq!(told, [&[(end, failed)][..], &aborts].concat());
}

#[test]
fn a_peer_that_is_not_there_ends_the_transport_after_its_patience_and_pauses_that_grow() {
    let mut sender = Sender::new(SenderOptions::fixed(1, 100, WINDOW)).unwrap();
    sender.start();
    let (mut attempts, mut failed) = (Vec::new(), None);
    let mut now = Instant::ZERO;
    loop {
        while let Some(output) = sender.poll() {
            match output {
                SenderOutput::Open { stream } => {
                    attempts.push(now);
                    sender.on_closed(stream, CloseReason::Failed);
                }
                SenderOutput::Failed { why, .. } => failed = Some((now, why)),
                _ => {}
            }
        }
        let Some((at, _)) = sender.next_wake() else { break };
        now = at;
        sender.advance(now);
    }
    assert_eq!(failed, Some((seconds(60), Failure::NoStream)));
    let pauses = attempts
        .windows(2)
        .map(|pair| (pair[1] - pair[0]).as_ns() / 1_000_000);
    let pauses: Vec<u64> = pauses.collect();
    assert_eq!(pauses[..8], [0, 100, 200, 400, 800, 1_600, 3_200, 5_000]);
    assert!(pauses[8..].iter().all(|&pause| pause == 5_000));
}

#[test]
fn a_peer_that_never_replies_ends_the_transport_after_its_patience() {
    let mut sender = Sender::new(SenderOptions::fixed(1, 100, WINDOW)).unwrap();
    open(&mut sender, 1);
    sender.push(synthetic(10), Priority::Control).unwrap();
    sender.finish();
    drain(&mut sender);
    sender.on_received(A, control_acknowledgement(0, 0, 10));
    assert_eq!(drain(&mut sender).last(), Some(&SenderOutput::Drained));
    assert_eq!(sender.next_wake().map(|(at, _)| at), Some(seconds(60)));
    sender.advance(seconds(60));
    assert!(matches!(
        drain(&mut sender)[..],
        [
            SenderOutput::Failed {
                why: Failure::Silent,
                unacknowledged_bytes: 0
            },
            SenderOutput::Abort { stream: A }
        ]
    ));
}

#[test]
fn a_stream_that_stalls_gives_its_chunks_to_the_others_and_its_place_to_another() {
    let mut sender = Sender::new(SenderOptions::fixed(2, 100, WINDOW)).unwrap();
    open(&mut sender, 2);
    sender.push(synthetic(100), Priority::Bulk).unwrap();
    drain(&mut sender);
    // Stream A takes the first chunk and is not heard of again; stream B works.
    let mut lost = None;
    for second in 1..100 {
        sender.advance(seconds(second));
        sender.push(synthetic(10), Priority::Bulk).unwrap();
        while let Some(output) = sender.poll() {
            if let SenderOutput::Send { stream: B, payload } = &output {
                sender.on_sent(B, payload.len());
            }
            match output {
                SenderOutput::Send {
                    stream: B,
                    payload: Payload::Real(header),
                } if header.len() == 44 => {
                    let header = Header::parse(header[..].try_into().unwrap()).unwrap();
                    let number = MessageId::from_wire(header.message).number;
                    sender.on_received(B, acknowledgement(number, header.offset, header.length));
                }
                SenderOutput::StreamLost { stream, why, .. } => lost = Some((second, stream, why)),
                SenderOutput::Open { stream } => assert_eq!(stream, StreamId(2)),
                _ => {}
            }
        }
    }
    // Looked for four times in a patience.
    let (second, stream, why) = lost.expect("given up");
    assert_eq!((stream, why), (A, StreamEnd::Stalled));
    assert!((60..=75).contains(&second), "after {second} s");
    assert_eq!(sender.stats().acknowledged_bytes, sender.stats().message_bytes);
}

#[test]
fn bulk_on_hold_fills_the_window_and_control_passes() {
    let mut receiver = receiver();
    receiver.hold(true);
    for message in 0..3 {
        receiver.on_received(A, Bytes::from(chunk(message, 2, 0, b"ab")).into());
    }
    receiver.on_received(A, Bytes::from(control_chunk(0, 1, 0, b"c")).into());
    let kept = outputs(&mut receiver);
    assert!(matches!(
        &kept[..],
        [
            ReceiverOutput::Delivered { message, .. },
            ReceiverOutput::Send { payload, .. }
        ] if message.priority == Priority::Control && payload.len() == 64
    ));
    assert_eq!(receiver.held_bytes(), 3 * 46);
    // What is on hold counts in the window.
    for message in 3..WINDOW / 46 {
        assert_eq!(refusal(&mut receiver, chunk(message, 2, 0, b"ab")), None);
    }
    receiver.hold(false);
    let released = outputs(&mut receiver);
    let delivered = released
        .iter()
        .filter(|output| matches!(output, ReceiverOutput::Delivered { .. }));
    assert_eq!(delivered.count() as u64, WINDOW / 46);
    let acknowledged: u64 = released
        .iter()
        .map(|output| match output {
            ReceiverOutput::Send { payload, .. } => payload.len(),
            _ => 0,
        })
        .sum();
    assert_eq!(acknowledged, 44 + 20 * (WINDOW / 46));
    assert_eq!(receiver.held_bytes(), 0);
}

#[test]
fn what_a_peer_repeats_while_bulk_is_on_hold_is_remembered_once() {
    let mut receiver = receiver();
    receiver.hold(true);
    let one = Bytes::from(chunk(0, 2, 0, b"a"));
    for stream in 0..500 {
        receiver.on_accepted(StreamId(stream));
    }
    // Each stream may bring it once.
    for stream in 0..500 {
        for _ in 0..3 {
            receiver.on_received(StreamId(stream), one.clone().into());
        }
    }
    assert!(outputs(&mut receiver).is_empty());
    receiver.hold(false);
    let sent = outputs(&mut receiver);
    assert_eq!(sent.len(), 500);
}

#[test]
fn the_stream_that_was_silent_for_longest_makes_room_for_another() {
    let mut receiver = receiver();
    for stream in 1..512 {
        receiver.on_accepted(StreamId(stream));
    }
    assert_eq!(receiver.open_streams(), 512);
    receiver.on_received(A, Bytes::from_static(b"L").into());
    receiver.on_accepted(StreamId(600));
    assert!(matches!(
        outputs(&mut receiver)[..],
        [
            ReceiverOutput::Close { stream: B },
            ReceiverOutput::StreamEnded {
                stream: B,
                why: StreamEnd::TooMany
            }
        ]
    ));
    assert_eq!(receiver.open_streams(), 512);
}

#[test]
fn a_reply_survives_the_stream_that_carried_it() {
    let mut receiver = receiver();
    receiver.on_accepted(B);
    receiver.reply(Bytes::from_static(b"ok"));
    assert!(matches!(
        outputs(&mut receiver)[..],
        [ReceiverOutput::Send { stream: A, .. }]
    ));
    receiver.on_closed(A, CloseReason::Failed);
    assert!(
        outputs(&mut receiver)
            .iter()
            .any(|output| matches!(output, ReceiverOutput::Send { stream: B, .. }))
    );
    receiver.on_closed(B, CloseReason::Finished);
    assert!(
        !outputs(&mut receiver)
            .iter()
            .any(|output| matches!(output, ReceiverOutput::Send { .. }))
    );
}

prop_compose! {
    /// Garbage, or a true chunk with some bytes changed, cut anywhere.
    fn any_input()(
        stream in 0u32..3,
        message in 0u64..4, length in 1u64..600, offset in 0u64..600, body in 1usize..200,
        noise in prop::collection::vec(any::<u8>(), 0..80),
        damage in prop::option::weighted(0.2, (any::<prop::sample::Index>(), any::<u8>())),
        kind in 0u8..8, synthetic in any::<u64>(),
    ) -> (StreamId, Payload) {
        let payload = match kind {
            0 => Payload::Synthetic(synthetic),
            1 => Bytes::from(noise).into(),
            2 => acknowledgement(message, offset, body as u32),
            _ => {
                let mut bytes = chunk(message, length.max(offset + body as u64), offset, &vec![0; body]);
                if let Some((at, value)) = damage {
                    let at = at.index(bytes.len());
                    bytes[at] = value;
                }
                Bytes::from(bytes).into()
            }
        };
        (StreamId(stream), payload)
    }
}

proptest! {
    #[test]
    fn no_input_makes_either_side_panic_or_hold_too_much(inputs in prop::collection::vec(any_input(), 0..60)) {
        let mut receiver = Receiver::new(ReceiverOptions { window_bytes: 1_000 });
        let mut sender = Sender::new(SenderOptions::fixed(3, 100, 1_000)).unwrap();
        open(&mut sender, 3);
        (0..3).for_each(|stream| receiver.on_accepted(StreamId(stream)));
        for (stream, payload) in inputs {
            if sender.wants_more() {
                let mut content = PayloadBuffer::default();
                content.push(Payload::Synthetic(250));
                sender.push(content, Priority::Bulk).unwrap();
            }
            receiver.on_received(stream, payload.clone());
            sender.on_received(stream, payload);
            while let Some(output) = sender.poll() {
                if let SenderOutput::Send { stream, payload } = output {
                    sender.on_sent(stream, payload.len());
                }
            }
            while receiver.poll().is_some() {}
            prop_assert!(receiver.held_bytes() <= 1_000 + CONTROL_WINDOW_BYTES);
        }
    }
}
