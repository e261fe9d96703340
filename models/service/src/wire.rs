//! The bytes on a connection between a caller and a server: frames of a fixed header and a body.
//!
//! As in HTTP/2 (RFC 9113) many requests are under way on one connection, answers come in any order, and a tag that the
//! caller chose says which request an answer is for. Bodies are only counted, so they may be synthetic.
//!
//! Integers are big endian. What a kind does not use is zero.
//!
//! | offset | bytes | field | used by |
//! | --: | --: | --- | --- |
//! | 0 | 2 | magic, `LS` | all |
//! | 2 | 1 | version, 1 | all |
//! | 3 | 1 | kind: 1 request, 2 answer, 3 cancel, 4 ping, 5 pong | all |
//! | 4 | 1 | flags: bit 0, idempotent; of a pong: bit 0, healthy | request, pong |
//! | 5 | 1 | [`Priority`], from 0; of an answer: its [`Status`], from 0 | request, answer |
//! | 6 | 2 | what is asked for: 0, or the number of an operation | request |
//! | 8 | 4 | number of the attempt, from 1 | request, answer, cancel |
//! | 12 | 4 | tag, chosen by the caller and given back | request, answer, cancel |
//! | 16 | 4 | origin: which caller numbered the request | request, answer, cancel |
//! | 20 | 8 | number of the request; of a ping and a pong: its number | all |
//! | 28 | 8 | time left until nobody waits for the answer, in ns; all ones: for ever | request |
//! | 36 | 4 | length of the body, which follows the header | request, answer |
//! | 40 | 4 | length that the body of the answer shall have | request |
//! | 44 | 4 | CRC-32C of bytes 0 to 43 | all |

use bytes::{Buf, Bytes};
use longhaul_core::payload::{Payload, PayloadBuffer};
use longhaul_core::time::Span;
use longhaul_resilience::Priority;
use serde::{Deserialize, Serialize};

/// Length of a frame's header.
pub const HEADER_BYTES: u64 = 48;

/// The longest body: 1 GiB.
pub const MAX_BODY_BYTES: u32 = 1 << 30;

const HEADER_LEN: usize = HEADER_BYTES as usize;
const MAGIC: [u8; 2] = *b"LS";
const VERSION: u8 = 1;
/// In the order of their numbers.
const PRIORITIES: [Priority; 3] = [Priority::Background, Priority::Normal, Priority::Critical];
/// Where the checksum is.
const CHECKSUM_AT: usize = HEADER_LEN - 4;

/// Why bytes are not a frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error, Serialize)]
pub enum FrameError {
    /// It does not begin as a frame.
    #[error("not a frame: it does not begin with \"LS\"")]
    Magic,
    /// A version that is not known.
    #[error("a frame of an unknown version")]
    Version,
    /// A kind that is not known.
    #[error("a frame of an unknown kind")]
    Kind,
    /// The header was damaged.
    #[error("the checksum of a frame's header does not match")]
    Checksum,
    /// A field that is out of its range, or used where it must be zero.
    #[error("a field of a frame is out of range")]
    Range,
    /// A header whose bytes nobody knows.
    #[error("a frame's header is synthetic")]
    Synthetic,
}

/// Whose request this is, which try, and the caller's tag for it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct Reference {
    /// Who numbered the request.
    pub origin: u32,
    /// The number of the request: the same in every attempt.
    pub request: u64,
    /// Which attempt, from 1.
    pub attempt: u32,
    /// The caller's tag.
    pub tag: u32,
}

/// How a server answers.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub enum Status {
    /// It is done (as 200 of HTTP).
    Ok,
    /// It failed here or behind here (500, 502).
    Error,
    /// It was refused or thrown out of the queue: too much to do (503).
    Overloaded,
    /// Its time was over before it was begun (504).
    Expired,
    /// It can never succeed (400).
    Fatal,
}

impl Status {
    const ALL: [Status; 5] = [
        Status::Ok,
        Status::Error,
        Status::Overloaded,
        Status::Expired,
        Status::Fatal,
    ];

    fn number(self) -> u8 {
        // A handful of variants without data.
        self as u8
    }
}

/// A frame, without its body.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Frame {
    /// Do something.
    Request {
        /// Which request.
        reference: Reference,
        /// What is asked for; see [`RequestOptions::operation`](crate::RequestOptions::operation).
        operation: u16,
        /// Whether doing it twice must be the same as doing it once.
        idempotent: bool,
        /// How much it matters.
        priority: Priority,
        /// How long somebody waits for the answer; [`Span::MAX`]: for ever.
        time_left: Span,
        /// Length of the body.
        body_bytes: u32,
        /// Length that the answer's body shall have.
        answer_bytes: u32,
    },
    /// What came of it.
    Answer {
        /// Of which request.
        reference: Reference,
        /// What came of it.
        status: Status,
        /// Length of the body.
        body_bytes: u32,
    },
    /// Nobody waits for this attempt any more.
    Cancel {
        /// Which one.
        reference: Reference,
    },
    /// Are you well?
    Ping {
        /// Its number.
        number: u64,
    },
    /// The answer to a ping.
    Pong {
        /// The ping's number.
        number: u64,
        /// Whether the server takes itself for healthy.
        healthy: bool,
    },
}

/// The fields as they stand in a header.
#[derive(Default, PartialEq, Eq)]
struct Fields {
    kind: u8,
    flags: u8,
    class: u8,
    operation: u16,
    attempt: u32,
    tag: u32,
    origin: u32,
    number: u64,
    time_left: u64,
    body_bytes: u32,
    answer_bytes: u32,
}

impl Fields {
    fn new(kind: u8, reference: Reference) -> Fields {
        Fields {
            kind,
            attempt: reference.attempt,
            tag: reference.tag,
            origin: reference.origin,
            number: reference.request,
            ..Fields::default()
        }
    }

    fn reference(&self) -> Reference {
        Reference {
            origin: self.origin,
            request: self.number,
            attempt: self.attempt,
            tag: self.tag,
        }
    }
}

impl Frame {
    /// Length of the body that follows the header.
    pub fn body_bytes(&self) -> u32 {
        match self {
            Frame::Request { body_bytes, .. } | Frame::Answer { body_bytes, .. } => *body_bytes,
            Frame::Cancel { .. } | Frame::Ping { .. } | Frame::Pong { .. } => 0,
        }
    }

    /// The header.
    pub fn to_bytes(&self) -> Bytes {
        Bytes::copy_from_slice(&self.header())
    }

    fn header(&self) -> [u8; HEADER_LEN] {
        let fields = self.fields();
        let mut header = [0; HEADER_LEN];
        header[..2].copy_from_slice(&MAGIC);
        header[2..6].copy_from_slice(&[VERSION, fields.kind, fields.flags, fields.class]);
        header[6..8].copy_from_slice(&fields.operation.to_be_bytes());
        header[8..12].copy_from_slice(&fields.attempt.to_be_bytes());
        header[12..16].copy_from_slice(&fields.tag.to_be_bytes());
        header[16..20].copy_from_slice(&fields.origin.to_be_bytes());
        header[20..28].copy_from_slice(&fields.number.to_be_bytes());
        header[28..36].copy_from_slice(&fields.time_left.to_be_bytes());
        header[36..40].copy_from_slice(&fields.body_bytes.to_be_bytes());
        header[40..CHECKSUM_AT].copy_from_slice(&fields.answer_bytes.to_be_bytes());
        let checksum = crc32c::crc32c(&header[..CHECKSUM_AT]);
        header[CHECKSUM_AT..].copy_from_slice(&checksum.to_be_bytes());
        header
    }

    fn fields(&self) -> Fields {
        match *self {
            Frame::Request {
                reference,
                operation,
                idempotent,
                priority,
                time_left,
                body_bytes,
                answer_bytes,
            } => Fields {
                operation,
                flags: idempotent.into(),
                class: priority as u8,
                time_left: time_left.as_ns(),
                body_bytes,
                answer_bytes,
                ..Fields::new(1, reference)
            },
            Frame::Answer {
                reference,
                status,
                body_bytes,
            } => Fields {
                class: status.number(),
                body_bytes,
                ..Fields::new(2, reference)
            },
            Frame::Cancel { reference } => Fields::new(3, reference),
            Frame::Ping { number } => Fields {
                kind: 4,
                number,
                ..Fields::default()
            },
            Frame::Pong { number, healthy } => Fields {
                kind: 5,
                flags: healthy.into(),
                number,
                ..Fields::default()
            },
        }
    }

    /// Reads a header.
    ///
    /// # Errors
    /// The first rule that it breaks; [`FrameError::Range`] if it is longer or shorter than [`HEADER_BYTES`].
    pub fn parse(header: &[u8]) -> Result<Frame, FrameError> {
        let Ok(header) = <&[u8; HEADER_LEN]>::try_from(header) else {
            return Err(FrameError::Range);
        };
        let (content, checksum) = header.split_at(CHECKSUM_AT);
        if header[..2] != MAGIC {
            return Err(FrameError::Magic);
        } else if checksum != crc32c::crc32c(content).to_be_bytes() {
            return Err(FrameError::Checksum);
        } else if header[2] != VERSION {
            return Err(FrameError::Version);
        }
        let mut rest = &content[6..];
        let fields = Fields {
            kind: header[3],
            flags: header[4],
            class: header[5],
            operation: rest.get_u16(),
            attempt: rest.get_u32(),
            tag: rest.get_u32(),
            origin: rest.get_u32(),
            number: rest.get_u64(),
            time_left: rest.get_u64(),
            body_bytes: rest.get_u32(),
            answer_bytes: rest.get_u32(),
        };
        let frame = match fields.kind {
            1 => Frame::Request {
                reference: fields.reference(),
                operation: fields.operation,
                idempotent: fields.flags == 1,
                priority: *PRIORITIES
                    .get(usize::from(fields.class))
                    .ok_or(FrameError::Range)?,
                time_left: Span::from_ns(fields.time_left),
                body_bytes: fields.body_bytes,
                answer_bytes: fields.answer_bytes,
            },
            2 => Frame::Answer {
                reference: fields.reference(),
                status: *Status::ALL
                    .get(usize::from(fields.class))
                    .ok_or(FrameError::Range)?,
                body_bytes: fields.body_bytes,
            },
            3 => Frame::Cancel {
                reference: fields.reference(),
            },
            4 => Frame::Ping {
                number: fields.number,
            },
            5 => Frame::Pong {
                number: fields.number,
                healthy: fields.flags == 1,
            },
            _ => return Err(FrameError::Kind),
        };
        // What is not used must be zero, so that a frame has one form only.
        let within = fields.body_bytes <= MAX_BODY_BYTES && fields.answer_bytes <= MAX_BODY_BYTES;
        if frame.fields() == fields && within {
            Ok(frame)
        } else {
            Err(FrameError::Range)
        }
    }
}

/// Finds frames in a stream of bytes. Bodies are thrown away as they come, so it holds less than a header and the piece
/// that came last.
#[derive(Debug, Default)]
pub struct FrameReader {
    buffer: PayloadBuffer,
    /// The frame whose body is still coming, and how much of it is missing.
    pending: Option<(Frame, u64)>,
}

impl FrameReader {
    /// More bytes of the stream.
    pub fn push(&mut self, piece: Payload) {
        self.buffer.push(piece);
    }

    /// Whether it stands between two frames.
    pub fn is_empty(&self) -> bool {
        self.buffer.is_empty() && self.pending.is_none()
    }

    /// The next frame, once all of its body has come.
    ///
    /// # Errors
    /// The stream is not one of frames; nothing more can be read from it.
    pub fn read(&mut self) -> Result<Option<Frame>, FrameError> {
        let (frame, mut missing) = match self.pending.take() {
            Some(pending) => pending,
            None if self.buffer.len() < HEADER_BYTES => return Ok(None),
            None => {
                let header = self.buffer.pop_real(HEADER_LEN).ok_or(FrameError::Synthetic)?;
                let frame = Frame::parse(&header)?;
                (frame, u64::from(frame.body_bytes()))
            }
        };
        while missing > 0 {
            let Some(piece) = self.buffer.pop(missing) else {
                self.pending = Some((frame, missing));
                return Ok(None);
            };
            missing -= piece.len();
        }
        Ok(Some(frame))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{ProptestConfig, any, prop_assert, prop_assert_eq, proptest};

    use super::*;

    /// One frame of each kind.
    fn frames() -> Vec<Frame> {
        let reference = Reference {
            origin: 1,
            request: u64::MAX,
            attempt: 3,
            tag: 4,
        };
        let request = |time_left, body_bytes| Frame::Request {
            reference,
            operation: 0x0102,
            idempotent: body_bytes == 0,
            priority: Priority::Critical,
            time_left,
            body_bytes,
            answer_bytes: 7,
        };
        let answers = Status::ALL.map(|status| Frame::Answer {
            reference,
            status,
            body_bytes: 100,
        });
        let mut frames = vec![
            request(Span::MAX, 0),
            request(Span::ZERO, 1_000),
            Frame::Cancel { reference },
            Frame::Ping { number: 9 },
            Frame::Pong {
                number: 9,
                healthy: true,
            },
            Frame::Pong {
                number: 10,
                healthy: false,
            },
        ];
        frames.extend(answers);
        frames
    }

    #[test]
    fn every_kind_of_frame_survives_its_bytes() {
        for frame in frames() {
            assert_eq!(Frame::parse(&frame.to_bytes()), Ok(frame));
        }
    }

    #[test]
    fn every_flipped_bit_and_every_missing_byte_is_noticed() {
        for frame in frames() {
            let bytes = frame.to_bytes();
            for bit in 0..bytes.len() * 8 {
                let mut damaged = bytes.to_vec();
                damaged[bit / 8] ^= 1 << (bit % 8);
                assert!(Frame::parse(&damaged).is_err(), "bit {bit} of {frame:?}");
            }
            for len in 0..bytes.len() {
                assert!(Frame::parse(&bytes[..len]).is_err());
            }
        }
    }

    #[test]
    fn what_a_kind_does_not_use_must_be_zero_and_lengths_have_a_bound() {
        let sealed = |change: &dyn Fn(&mut [u8])| {
            let mut bytes = Frame::Ping { number: 1 }.to_bytes().to_vec();
            change(&mut bytes);
            let checksum = crc32c::crc32c(&bytes[..CHECKSUM_AT]);
            bytes[CHECKSUM_AT..].copy_from_slice(&checksum.to_be_bytes());
            Frame::parse(&bytes)
        };
        assert_eq!(sealed(&|_| {}), Ok(Frame::Ping { number: 1 }));
        for at in (4..20).chain(28..CHECKSUM_AT) {
            assert_eq!(sealed(&|bytes| bytes[at] = 1), Err(FrameError::Range), "{at}");
        }
        assert_eq!(sealed(&|bytes| bytes[2] = 2), Err(FrameError::Version));
        assert_eq!(sealed(&|bytes| bytes[3] = 6), Err(FrameError::Kind));
        let long = |bytes: &mut [u8]| {
            bytes[3] = 1;
            bytes[36] = 0x40;
            bytes[39] = 1;
        };
        assert_eq!(sealed(&long), Err(FrameError::Range));
    }

    #[test]
    fn a_synthetic_header_is_refused() {
        let mut reader = FrameReader::default();
        reader.push(Payload::Synthetic(HEADER_BYTES));
        assert_eq!(reader.read(), Err(FrameError::Synthetic));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        #[test]
        fn a_stream_of_frames_may_be_cut_anywhere(
            order in proptest::collection::vec(0..11usize, 1..20),
            cuts in proptest::collection::vec(1..300u64, 1..20),
            synthetic in any::<bool>(),
        ) {
            let all = frames();
            let sent: Vec<Frame> = order.iter().map(|kind| all[*kind]).collect();
            let mut stream = PayloadBuffer::default();
            for frame in &sent {
                stream.push(frame.to_bytes().into());
                let body = u64::from(frame.body_bytes());
                stream.push(if synthetic {
                    Payload::Synthetic(body)
                } else {
                    Payload::Real(vec![0; body as usize].into())
                });
            }
            let mut reader = FrameReader::default();
            let mut found = Vec::new();
            for cut in cuts.iter().cycle() {
                let Some(piece) = stream.pop(*cut) else { break };
                reader.push(piece);
                while let Some(frame) = reader.read().expect("a stream of frames") {
                    found.push(frame);
                }
            }
            prop_assert!(reader.is_empty());
            prop_assert_eq!(found, sent);
        }
    }
}
