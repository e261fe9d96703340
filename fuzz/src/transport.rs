//! AMST: what a peer may send to either side.

use std::collections::BTreeMap;

use bytes::Bytes;
use longhaul_amst::record::{Header, Kind};
use longhaul_amst::{
    CONTROL_WINDOW_BYTES, ChunkSize, Priority, Receiver, ReceiverOptions, ReceiverOutput, Sender,
    SenderOptions, SenderOutput, Streams,
};
use longhaul_core::machine::{CloseReason, StreamId};
use longhaul_core::payload::{Payload, PayloadBuffer};
use longhaul_core::time::{Instant, Span};

use crate::bytes::{Decisions, noise};

const WINDOW: u64 = 4096;

/// A record whose header holds together, with fields of any value, or simply bytes.
fn input(decisions: &mut Decisions<'_>, direction: Kind) -> Payload {
    let kind = match decisions.below(8) {
        0 => return Bytes::copy_from_slice(decisions.take(60)).into(),
        1 => return Payload::Synthetic(1 << decisions.below(64)),
        2 => [Kind::Chunk, Kind::Acknowledgements, Kind::Reply][decisions.below(3)],
        3 if direction == Kind::Acknowledgements => Kind::Reply,
        _ => direction,
    };
    let mut body = Vec::new();
    if kind == Kind::Acknowledgements {
        for _ in 0..=decisions.below(4) {
            body.extend((decisions.byte() as u64).to_be_bytes());
            body.extend((decisions.below(8) as u64 * 50).to_be_bytes());
            body.extend((decisions.byte() as u32).to_be_bytes());
        }
    } else {
        let len = decisions.byte().into();
        body.extend_from_slice(decisions.take(len));
    }
    let real = body.len() as u32;
    let synthetic = if kind == Kind::Chunk {
        decisions.below(3) as u32 * 40
    } else {
        0
    };
    let chunk = |value: u64| if kind == Kind::Chunk { value } else { 0 };
    let offset = chunk(decisions.below(8) as u64 * 50);
    let mut header = Header {
        kind,
        length: real + synthetic,
        real,
        message: chunk(decisions.byte().into()),
        message_length: chunk(offset + u64::from(real + synthetic) + decisions.below(4) as u64 * 50),
        offset,
        checksum: crc32c::crc32c(&body),
    };
    // A field of any value, now and then.
    match decisions.below(16) {
        0 => header.length = 1 << decisions.below(32),
        1 => header.real = 1 << decisions.below(32),
        2 => header.message = 1 << decisions.below(64),
        3 => header.message_length = 1 << decisions.below(64),
        4 => header.offset = u64::MAX << decisions.below(64),
        5 => header.checksum ^= 1,
        _ => {}
    }
    let mut bytes = [&header.to_bytes()[..], &body].concat();
    bytes.resize(bytes.len() + synthetic as usize, 0);
    if decisions.below(8) == 0 {
        bytes.truncate(decisions.short() % bytes.len());
    }
    Bytes::from(bytes).into()
}

/// A receiver that is told anything. What it holds stays within its windows, and messages come in order.
pub fn receiver(data: &[u8]) {
    let mut decisions = Decisions::new(data);
    let mut receiver = Receiver::new(ReceiverOptions { window_bytes: WINDOW });
    let mut untaken: BTreeMap<StreamId, u64> = BTreeMap::new();
    let mut next = [0, 0];
    let mut replied = false;
    let mut holding = false;
    while !decisions.is_over() {
        let stream = StreamId(decisions.below(4) as u32);
        match decisions.below(13) {
            0 => receiver.on_accepted(stream),
            12 => {
                holding = decisions.below(2) == 0;
                receiver.hold(holding);
            }
            1 => {
                untaken.remove(&stream);
                receiver.on_closed(stream, CloseReason::Failed);
            }
            2 => {
                untaken.remove(&stream);
                receiver.on_closed(stream, CloseReason::Finished);
            }
            3 => receiver.on_sent(stream, untaken.remove(&stream).unwrap_or(0)),
            4 if !replied => {
                replied = true;
                receiver.reply(Bytes::from_static(b"done"));
            }
            _ => receiver.on_received(stream, input(&mut decisions, Kind::Chunk)),
        }
        while let Some(output) = receiver.poll() {
            match output {
                ReceiverOutput::Send { stream, payload } => {
                    *untaken.entry(stream).or_default() += payload.len();
                }
                ReceiverOutput::Delivered { message, content } => {
                    let next = &mut next[usize::from(message.priority == Priority::Control)];
                    assert_eq!(message.number, *next, "out of order");
                    assert!(
                        !holding || message.priority == Priority::Control,
                        "bulk out of hold"
                    );
                    assert!(content.len() <= WINDOW.max(CONTROL_WINDOW_BYTES));
                    *next += 1;
                }
                ReceiverOutput::StreamEnded { stream, .. } => {
                    untaken.remove(&stream);
                }
                ReceiverOutput::Close { .. } => {}
            }
        }
        assert!(receiver.held_bytes() <= WINDOW + CONTROL_WINDOW_BYTES);
    }
}

/// Streams that are accepted, and records on them.
pub fn receiver_seeds() -> Vec<Vec<u8>> {
    (0..8u8)
        .map(|seed| {
            let mut bytes = vec![0, 0, 1, 0, 2, 0];
            for message in 0..12 {
                // A chunk that is a whole message: its stream, the choice of a record, its kind, length and content.
                bytes.extend([message % 3, 5 + seed % 4, 4, 20]);
                bytes.extend(noise(message.into(), 20));
                bytes.extend([0, 0, message * 2 / (1 + seed % 2), 0, 15, 1]);
            }
            bytes.extend(noise(seed.into(), 40));
            bytes
        })
        .collect()
}

/// A sender that is told anything: streams that open or do not, acknowledgements and replies true and false, time.
pub fn sender(data: &[u8]) {
    let mut decisions = Decisions::new(data);
    let mut sender = Sender::new(SenderOptions {
        streams: match decisions.below(2) {
            0 => Streams::Fixed(3),
            _ => Streams::Adaptive {
                initial: 2,
                most: 6,
                contending: 4,
            },
        },
        chunk: ChunkSize::Fixed(50),
        window_bytes: WINDOW,
        patience: Span::from_s(decisions.below(3) as u64 * 5),
    })
    .expect("sound options");
    sender.start();
    let mut now = Instant::ZERO;
    let mut untaken: BTreeMap<StreamId, u64> = BTreeMap::new();
    let mut pushed = [0, 0];
    let mut acked = [0, 0];
    let mut finished = false;
    let mut replies = 0;
    while !decisions.is_over() {
        let stream = StreamId(decisions.below(8) as u32);
        match decisions.below(16) {
            0 | 1 => sender.on_opened(stream),
            2 => sender.on_closed(stream, CloseReason::Failed),
            3 => sender.on_closed(stream, CloseReason::Finished),
            4 => {
                now += Span::from_ms(decisions.short() as u64);
                sender.advance(now);
            }
            5 | 6 if !finished => {
                let priority = Priority::ALL[decisions.below(2)];
                let mut content = PayloadBuffer::default();
                content.push(Payload::Synthetic(decisions.below(400) as u64 + 1));
                if sender.push(content, priority).is_ok() {
                    pushed[usize::from(priority == Priority::Control)] += 1;
                }
            }
            7 if decisions.below(8) == 0 => {
                finished = true;
                sender.finish();
            }
            8 if decisions.below(8) == 0 => {
                finished = true;
                sender.close();
            }
            9 | 10 => {
                let bytes = untaken.remove(&stream).unwrap_or(0);
                sender.on_sent(stream, bytes);
            }
            _ => sender.on_received(stream, input(&mut decisions, Kind::Acknowledgements)),
        }
        while let Some(output) = sender.poll() {
            match output {
                SenderOutput::Send { stream, payload } => {
                    *untaken.entry(stream).or_default() += payload.len();
                }
                SenderOutput::Acked { message } => {
                    acked[usize::from(message.priority == Priority::Control)] += 1;
                }
                SenderOutput::Reply { .. } => replies += 1,
                SenderOutput::StreamLost { stream, .. } => {
                    untaken.remove(&stream);
                }
                SenderOutput::Open { .. }
                | SenderOutput::Close { .. }
                | SenderOutput::Abort { .. }
                | SenderOutput::Inspect { .. }
                | SenderOutput::Adapted { .. }
                | SenderOutput::Drained
                | SenderOutput::Failed { .. } => {}
            }
        }
        assert!(replies <= 1, "a reply twice");
        assert!(acked[0] <= pushed[0] && acked[1] <= pushed[1]);
        assert!(
            sender.next_wake().is_none_or(|(at, _)| at >= now),
            "a wake in the past"
        );
    }
}

/// Streams that open, messages, and acknowledgements of them.
pub fn sender_seeds() -> Vec<Vec<u8>> {
    (0..8u8)
        .map(|seed| {
            let mut bytes = vec![seed % 2, seed / 2 % 3, 0, 0, 1, 0, 2, 0];
            for message in 0..8 {
                bytes.extend([0, 5, message % 2, 0, 100]);
                // All that is on the first stream is taken over; then acknowledgements of three chunks.
                bytes.extend([0, 9, message % 3, 11, 4, 2]);
                for chunk in 0..3 {
                    bytes.extend([message * 2, chunk, 50]);
                }
                bytes.extend([0, 0, 0, 15, 1]);
            }
            bytes.extend(noise(seed.into(), 60));
            bytes
        })
        .collect()
}
