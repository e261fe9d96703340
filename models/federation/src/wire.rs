//! The bytes of control streams: frames of a header and a body.
//!
//! Integers are big endian.
//!
//! | offset | bytes | field |
//! | --: | --: | --- |
//! | 0 | 2 | magic, `LF` |
//! | 2 | 1 | version, 1 |
//! | 3 | 1 | what it is, 1 to 11 in the order of [`Frame`] |
//! | 4 | 4 | length of the body |
//! | 8 | 4 | CRC-32C of the body |
//! | 12 | 4 | CRC-32C of bytes 0 to 11 |
//!
//! The header has a checksum of its own: with a damaged length a reader would wait for bytes that never come.
//!
//! A data stream begins with one such frame, [`Frame::DataStream`], and goes on with the records of AMST.

use bytes::{Buf, BufMut, Bytes};
use longhaul_core::payload::{Payload, PayloadBuffer};
use serde::{Deserialize, Serialize};

use crate::handshake::{Hello, Refused, Welcome};
use crate::reconcile::Talk;
use crate::{ClusterId, Key};

/// Length of a frame's header.
pub const FRAME_HEADER_BYTES: u64 = 16;

/// The longest body of a frame.
pub const MAX_FRAME_BYTES: u32 = 1 << 20;

const HEADER_LEN: usize = FRAME_HEADER_BYTES as usize;
const MAGIC: [u8; 2] = *b"LF";
const VERSION: u8 = 1;

/// Why bytes are no frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error, Serialize, Deserialize)]
pub enum FrameError {
    /// The header does not begin with the magic number.
    #[error("not a frame of a federation")]
    Magic,
    /// Another version of the format.
    #[error("unknown version of the format")]
    Version,
    /// An unknown kind of frame.
    #[error("unknown kind of frame")]
    Kind,
    /// The CRC-32C does not match.
    #[error("damaged frame")]
    Checksum,
    /// A field or length outside its range.
    #[error("field out of range")]
    Range,
    /// A synthetic byte where a real one must be.
    #[error("synthetic bytes in place of real ones")]
    Synthetic,
}

/// What clusters tell each other on control streams.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Frame {
    /// The first frame of whoever connects.
    Hello(Hello),
    /// The answer, if the connection is taken.
    Welcome(Welcome),
    /// The answer, if it is not.
    Refused(Refused),
    /// Are you there? Answered with the same number.
    Keepalive {
        /// Its number.
        number: u64,
    },
    /// The answer to a keepalive.
    KeepaliveAnswer {
        /// Its number.
        number: u64,
    },
    /// What a receiver of objects says ([`longhaul_hde::baseline::Reply`]).
    Acknowledgement(Bytes),
    /// A message of the log ([`longhaul_raft::Message`]), perhaps to be passed on.
    Consensus(Routed),
    /// A client's request ([`longhaul_raft::request::Request`]), perhaps to be passed on.
    Request(Routed),
    /// The answer ([`longhaul_raft::request::Answer`]), perhaps to be passed on.
    Answer(Routed),
    /// About differences between both states.
    Reconcile(Talk),
    /// The first frame of a data stream.
    DataStream(DataStream),
}

/// Something that goes from one cluster to another, perhaps over others.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Routed {
    /// Whose it is.
    pub from: ClusterId,
    /// Who is meant.
    pub to: ClusterId,
    /// Over how many clusters it may still go.
    pub hops: u8,
    /// What it is.
    pub content: Bytes,
}

/// Which connection a data stream belongs to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DataStream {
    /// Who opened it.
    pub from: ClusterId,
    /// Who is meant.
    pub to: ClusterId,
    /// The number of the connection.
    pub connection: u64,
}

impl Frame {
    /// The frame in bytes.
    ///
    /// # Panics
    /// If the body is longer than [`MAX_FRAME_BYTES`].
    pub fn to_bytes(&self) -> Bytes {
        let mut out = vec![0; HEADER_LEN];
        let kind = self.encode_body(&mut out);
        let length = u32::try_from(out.len() - HEADER_LEN).unwrap_or(u32::MAX);
        assert!(length <= MAX_FRAME_BYTES, "a frame of {length} bytes");
        out[0..2].copy_from_slice(&MAGIC);
        out[2] = VERSION;
        out[3] = kind;
        out[4..8].copy_from_slice(&length.to_be_bytes());
        let of_body = crc32c::crc32c(&out[HEADER_LEN..]);
        out[8..12].copy_from_slice(&of_body.to_be_bytes());
        let of_header = crc32c::crc32c(&out[..12]);
        out[12..16].copy_from_slice(&of_header.to_be_bytes());
        out.into()
    }

    /// Reads a frame that fills all of `bytes`.
    ///
    /// # Errors
    /// The first rule that it breaks.
    pub fn parse(bytes: &[u8]) -> Result<Frame, FrameError> {
        let mut reader = FrameReader::default();
        reader.push(Bytes::copy_from_slice(bytes).into());
        match reader.read()? {
            Some(frame) if reader.is_empty() => Ok(frame),
            _ => Err(FrameError::Range),
        }
    }

    /// Appends the body; returns the number that says what it is.
    fn encode_body(&self, out: &mut Vec<u8>) -> u8 {
        match self {
            Frame::Hello(hello) => {
                hello.encode(out);
                1
            }
            Frame::Welcome(welcome) => {
                welcome.encode(out);
                2
            }
            Frame::Refused(refused) => {
                refused.encode(out);
                3
            }
            Frame::Keepalive { number } => {
                out.put_u64(*number);
                4
            }
            Frame::KeepaliveAnswer { number } => {
                out.put_u64(*number);
                5
            }
            Frame::Acknowledgement(reply) => {
                out.put_slice(reply);
                6
            }
            Frame::Consensus(routed) => {
                routed.encode(out);
                7
            }
            Frame::Request(routed) => {
                routed.encode(out);
                8
            }
            Frame::Answer(routed) => {
                routed.encode(out);
                9
            }
            Frame::Reconcile(talk) => {
                talk.encode(out);
                10
            }
            Frame::DataStream(stream) => {
                out.put_u32(stream.from.0);
                out.put_u32(stream.to.0);
                out.put_u64(stream.connection);
                11
            }
        }
    }

    fn decode_body(kind: u8, mut body: Bytes) -> Result<Frame, FrameError> {
        let frame = match kind {
            1 => Frame::Hello(Hello::take(&mut body)?),
            2 => Frame::Welcome(Welcome::take(&mut body)?),
            3 => Frame::Refused(Refused::take(&mut body)?),
            4 => Frame::Keepalive {
                number: take_u64(&mut body)?,
            },
            5 => Frame::KeepaliveAnswer {
                number: take_u64(&mut body)?,
            },
            6 => Frame::Acknowledgement(std::mem::take(&mut body)),
            7 => Frame::Consensus(Routed::take(&mut body)?),
            8 => Frame::Request(Routed::take(&mut body)?),
            9 => Frame::Answer(Routed::take(&mut body)?),
            10 => Frame::Reconcile(Talk::take(&mut body)?),
            11 => Frame::DataStream(DataStream {
                from: ClusterId(take_u32(&mut body)?),
                to: ClusterId(take_u32(&mut body)?),
                connection: take_u64(&mut body)?,
            }),
            _ => return Err(FrameError::Kind),
        };
        if body.is_empty() {
            Ok(frame)
        } else {
            Err(FrameError::Range)
        }
    }
}

impl Routed {
    fn encode(&self, out: &mut Vec<u8>) {
        out.put_u32(self.from.0);
        out.put_u32(self.to.0);
        out.put_u8(self.hops);
        out.put_slice(&self.content);
    }

    fn take(body: &mut Bytes) -> Result<Routed, FrameError> {
        Ok(Routed {
            from: ClusterId(take_u32(body)?),
            to: ClusterId(take_u32(body)?),
            hops: take_u8(body)?,
            content: std::mem::take(body),
        })
    }
}

/// Finds frames in a stream of bytes; holds at most one frame and the piece that came last.
#[derive(Debug, Default)]
pub struct FrameReader {
    buffer: PayloadBuffer,
    /// The header of the frame whose body is still to come.
    header: Option<[u8; HEADER_LEN]>,
}

impl FrameReader {
    /// More bytes of the stream.
    pub fn push(&mut self, piece: Payload) {
        self.buffer.push(piece);
    }

    /// Whether it holds nothing.
    pub fn is_empty(&self) -> bool {
        self.buffer.is_empty() && self.header.is_none()
    }

    /// What comes after the last frame, for whoever reads the stream from here on.
    pub fn into_rest(self) -> PayloadBuffer {
        self.buffer
    }

    /// The next frame, if all of it is there.
    ///
    /// # Errors
    /// The stream is not one of frames; nothing more can be read from it.
    pub fn read(&mut self) -> Result<Option<Frame>, FrameError> {
        let header = match self.header {
            Some(header) => header,
            None if self.buffer.len() < FRAME_HEADER_BYTES => return Ok(None),
            None => {
                let header = self.buffer.pop_real(HEADER_LEN).ok_or(FrameError::Synthetic)?;
                let header = *header.first_chunk().expect("a header's length");
                check_header(&header)?;
                *self.header.insert(header)
            }
        };
        let length = body_length(&header);
        if self.buffer.len() < u64::from(length) {
            return Ok(None);
        }
        let body = self
            .buffer
            .pop_real(length as usize)
            .ok_or(FrameError::Synthetic)?;
        self.header = None;
        if header[8..12] != crc32c::crc32c(&body).to_be_bytes() {
            return Err(FrameError::Checksum);
        }
        Frame::decode_body(header[3], body).map(Some)
    }
}

fn check_header(header: &[u8; HEADER_LEN]) -> Result<(), FrameError> {
    if header[0..2] != MAGIC {
        Err(FrameError::Magic)
    } else if header[12..16] != crc32c::crc32c(&header[..12]).to_be_bytes() {
        Err(FrameError::Checksum)
    } else if header[2] != VERSION {
        Err(FrameError::Version)
    } else if body_length(header) > MAX_FRAME_BYTES {
        Err(FrameError::Range)
    } else {
        Ok(())
    }
}

fn body_length(header: &[u8; HEADER_LEN]) -> u32 {
    u32::from_be_bytes(header[4..8].try_into().expect("4 bytes"))
}

pub(crate) fn take_u8(body: &mut Bytes) -> Result<u8, FrameError> {
    body.try_get_u8().map_err(|_| FrameError::Range)
}

pub(crate) fn take_u16(body: &mut Bytes) -> Result<u16, FrameError> {
    body.try_get_u16().map_err(|_| FrameError::Range)
}

pub(crate) fn take_u32(body: &mut Bytes) -> Result<u32, FrameError> {
    body.try_get_u32().map_err(|_| FrameError::Range)
}

pub(crate) fn take_u64(body: &mut Bytes) -> Result<u64, FrameError> {
    body.try_get_u64().map_err(|_| FrameError::Range)
}

/// A key: its length in a byte, and its text.
pub(crate) fn put_key(out: &mut Vec<u8>, key: &Key) {
    put_text(out, key.as_str());
}

pub(crate) fn take_key(body: &mut Bytes) -> Result<Key, FrameError> {
    let text = take_text(body)?;
    Key::new(&text).map_err(|_| FrameError::Range)
}

/// At most 255 bytes of text, after their number.
pub(crate) fn put_text(out: &mut Vec<u8>, text: &str) {
    out.put_u8(u8::try_from(text.len()).expect("at most 255 bytes"));
    out.put_slice(text.as_bytes());
}

pub(crate) fn take_text(body: &mut Bytes) -> Result<String, FrameError> {
    let length = usize::from(take_u8(body)?);
    if body.len() < length {
        return Err(FrameError::Range);
    }
    let text = body.split_to(length);
    String::from_utf8(text.to_vec()).map_err(|_| FrameError::Range)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handshake::{PROTOCOL, REQUIRED};
    use crate::record::{Record, Stamp, VersionVector};
    use crate::tree::{NodeAt, Sum};

    /// One frame of each kind.
    fn frames() -> Vec<Frame> {
        let routed = || Routed {
            from: ClusterId(1),
            to: ClusterId(2),
            hops: 3,
            content: Bytes::from_static(b"content"),
        };
        let key = |text| Key::new(text).expect("a short key");
        let mut versions = VersionVector::default();
        versions.raise(ClusterId(4), 9);
        let head = |value| Record {
            stamp: Stamp::default(),
            versions: versions.clone(),
            value,
        };
        let leaf = NodeAt { level: 3, place: 99 };
        vec![
            Frame::Hello(Hello {
                oldest: 1,
                newest: PROTOCOL,
                federation: "f".to_owned(),
                from: ClusterId(0),
                to: ClusterId(1),
                incarnation: 2,
                connection: 3,
                capabilities: REQUIRED,
                max_value_bytes: 4,
            }),
            Frame::Welcome(Welcome {
                version: 1,
                incarnation: 2,
                connection: 3,
                capabilities: REQUIRED,
                max_value_bytes: 4,
            }),
            Frame::Refused(Refused::Stranger),
            Frame::Keepalive { number: 1 },
            Frame::KeepaliveAnswer { number: u64::MAX },
            Frame::Acknowledgement(Bytes::from_static(b"reply")),
            Frame::Consensus(routed()),
            Frame::Request(routed()),
            Frame::Answer(routed()),
            Frame::Reconcile(Talk::Root { sum: Sum(u128::MAX) }),
            Frame::Reconcile(Talk::Nodes {
                round: 1,
                nodes: vec![(NodeAt::ROOT, Sum(1)), (leaf, Sum(2))],
            }),
            Frame::Reconcile(Talk::Differ {
                round: 1,
                nodes: vec![leaf],
            }),
            Frame::Reconcile(Talk::Leaf {
                round: 1,
                leaf: 99,
                after: Some(key("a")),
                last: false,
                items: vec![(key("b"), head(None)), (key("c"), head(Some(Bytes::new())))],
            }),
            Frame::Reconcile(Talk::Want {
                round: 1,
                leaf: 99,
                keys: vec![key("b")],
                sends: 3,
                older: 7,
            }),
            Frame::Reconcile(Talk::RoundOver { finished: true }),
            Frame::DataStream(DataStream {
                from: ClusterId(0),
                to: ClusterId(1),
                connection: 5,
            }),
        ]
    }

    #[test]
    fn every_kind_of_frame_survives_its_bytes_and_any_cut() {
        let mut stream = Vec::new();
        for frame in frames() {
            assert_eq!(Frame::parse(&frame.to_bytes()), Ok(frame.clone()));
            stream.extend_from_slice(&frame.to_bytes());
        }
        for piece in [1, 7, 100] {
            let mut reader = FrameReader::default();
            let mut found = Vec::new();
            for bytes in stream.chunks(piece) {
                reader.push(Bytes::copy_from_slice(bytes).into());
                while let Some(frame) = reader.read().expect("a stream of frames") {
                    found.push(frame);
                }
            }
            assert_eq!(found, frames());
            assert!(reader.is_empty());
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
    fn a_frame_that_is_too_long_or_synthetic_is_refused_before_it_is_read() {
        let mut reader = FrameReader::default();
        let mut header = Frame::Keepalive { number: 0 }.to_bytes()[..HEADER_LEN].to_vec();
        header[4..8].copy_from_slice(&(MAX_FRAME_BYTES + 1).to_be_bytes());
        let checksum = crc32c::crc32c(&header[..12]);
        header[12..16].copy_from_slice(&checksum.to_be_bytes());
        reader.push(Bytes::from(header).into());
        assert_eq!(reader.read(), Err(FrameError::Range));
        let mut reader = FrameReader::default();
        reader.push(Payload::Synthetic(100));
        assert_eq!(reader.read(), Err(FrameError::Synthetic));
    }
}
