//! The wire format: records of a fixed header and a body.
//!
//! All integers are big endian.
//!
//! | offset | bytes | field |
//! | --: | --: | --- |
//! | 0 | 2 | magic, `0x4c53` |
//! | 2 | 1 | version, 2 |
//! | 3 | 1 | kind: 1 chunk, 2 acknowledgements, 3 reply |
//! | 4 | 4 | length of the body |
//! | 8 | 4 | how many bytes at the start of the body are real; the rest is synthetic |
//! | 12 | 8 | message (chunk only, else 0): twice its number, and one more for control |
//! | 20 | 8 | length of the message (chunk only, else 0) |
//! | 28 | 8 | offset of the body in the message (chunk only, else 0) |
//! | 36 | 4 | CRC-32C of the real bytes of the body |
//! | 40 | 4 | CRC-32C of bytes 0 to 39 |
//!
//! The header says which part of a body is synthetic, so a driver over real sockets may fill it with anything:
//! the reader turns it back into a length.
//!
//! The body of an acknowledgement record is a list of [`ChunkName`]s.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::{MAX_CHUNK_BYTES, MAX_REPLY_BYTES};

/// Length of a record header.
pub const HEADER_BYTES: u32 = 44;

const MAGIC: u16 = 0x4c53;
const VERSION: u8 = 2;
const HEADER_LEN: usize = HEADER_BYTES as usize;

/// Length of a [`ChunkName`] on the wire.
pub(crate) const CHUNK_NAME_LEN: usize = 20;

/// The most acknowledgements in one record.
pub(crate) const MAX_NAMES_PER_RECORD: usize = 1024;

/// What a record carries.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A part of a message; from the sender.
    Chunk,
    /// Chunks that have arrived; from the receiver.
    Acknowledgements,
    /// The application's answer; from the receiver.
    Reply,
}

/// A record header.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header {
    /// What the body is.
    pub kind: Kind,
    /// Length of the body in bytes, at least 1.
    pub length: u32,
    /// Bytes at the start of the body that are real, at most `length`.
    pub real: u32,
    /// The message of a chunk.
    pub message: u64,
    /// The whole length of that message in bytes.
    pub message_length: u64,
    /// Where in the message the body begins, in bytes.
    pub offset: u64,
    /// CRC-32C of the real bytes of the body.
    pub checksum: u32,
}

/// How a record, or what it asks for, can be wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error, Serialize, Deserialize)]
pub enum RecordError {
    /// The header does not begin with the magic number.
    #[error("not a record")]
    Magic,
    /// The CRC-32C of the header does not match.
    #[error("damaged header")]
    HeaderChecksum,
    /// Another version of the format.
    #[error("unknown version")]
    Version,
    /// An unknown kind, or one that does not travel in this direction.
    #[error("unexpected kind of record")]
    Kind,
    /// A length or offset outside its range, or a field that is not used and not zero.
    #[error("field out of range")]
    Range,
    /// A synthetic byte where a real one must be.
    #[error("synthetic bytes in place of real ones")]
    Synthetic,
    /// The CRC-32C of the body does not match.
    #[error("damaged body")]
    BodyChecksum,
    /// The chunk does not fit into the receiver's window.
    #[error("beyond the window")]
    Window,
    /// The chunk contradicts another chunk of its message.
    #[error("contradicts an earlier chunk")]
    Contradiction,
    /// The peer does not read its acknowledgements.
    #[error("acknowledgements are not read")]
    Backlog,
}

impl Header {
    /// The header on the wire.
    pub fn to_bytes(&self) -> [u8; HEADER_LEN] {
        let mut bytes = [0; HEADER_LEN];
        bytes[0..2].copy_from_slice(&MAGIC.to_be_bytes());
        bytes[2] = VERSION;
        bytes[3] = match self.kind {
            Kind::Chunk => 1,
            Kind::Acknowledgements => 2,
            Kind::Reply => 3,
        };
        bytes[4..8].copy_from_slice(&self.length.to_be_bytes());
        bytes[8..12].copy_from_slice(&self.real.to_be_bytes());
        bytes[12..20].copy_from_slice(&self.message.to_be_bytes());
        bytes[20..28].copy_from_slice(&self.message_length.to_be_bytes());
        bytes[28..36].copy_from_slice(&self.offset.to_be_bytes());
        bytes[36..40].copy_from_slice(&self.checksum.to_be_bytes());
        let checksum = crc32c::crc32c(&bytes[..40]);
        bytes[40..44].copy_from_slice(&checksum.to_be_bytes());
        bytes
    }

    /// Reads a header and checks everything that can be checked without knowing other records.
    ///
    /// # Errors
    /// The first rule it breaks, in the order of [`RecordError`].
    pub fn parse(bytes: &[u8; HEADER_LEN]) -> Result<Header, RecordError> {
        let u32_at = |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().expect("4 bytes"));
        let u64_at = |at: usize| u64::from_be_bytes(bytes[at..at + 8].try_into().expect("8 bytes"));
        if bytes[0..2] != MAGIC.to_be_bytes() {
            return Err(RecordError::Magic);
        }
        if u32_at(40) != crc32c::crc32c(&bytes[..40]) {
            return Err(RecordError::HeaderChecksum);
        }
        if bytes[2] != VERSION {
            return Err(RecordError::Version);
        }
        let kind = match bytes[3] {
            1 => Kind::Chunk,
            2 => Kind::Acknowledgements,
            3 => Kind::Reply,
            _ => return Err(RecordError::Kind),
        };
        let header = Header {
            kind,
            length: u32_at(4),
            real: u32_at(8),
            message: u64_at(12),
            message_length: u64_at(20),
            offset: u64_at(28),
            checksum: u32_at(36),
        };
        if header.in_range() {
            Ok(header)
        } else {
            Err(RecordError::Range)
        }
    }

    fn in_range(&self) -> bool {
        let unused_are_zero = self.message == 0 && self.message_length == 0 && self.offset == 0;
        let names = CHUNK_NAME_LEN as u32;
        self.length > 0
            && self.real <= self.length
            && match self.kind {
                Kind::Chunk => {
                    let end = self.offset.checked_add(u64::from(self.length));
                    self.length <= MAX_CHUNK_BYTES && end.is_some_and(|end| end <= self.message_length)
                }
                Kind::Acknowledgements => {
                    unused_are_zero
                        && self.real == self.length
                        && self.length.is_multiple_of(names)
                        && self.length / names <= MAX_NAMES_PER_RECORD as u32
                }
                Kind::Reply => unused_are_zero && self.real == self.length && self.length <= MAX_REPLY_BYTES,
            }
    }
}

/// What identifies a chunk: a message is cut once, so these never overlap.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct ChunkName {
    /// Its message.
    pub message: u64,
    /// Where in the message it begins, in bytes.
    pub offset: u64,
    /// Its length in bytes.
    pub length: u32,
}

/// An acknowledgement record for 1 to [`MAX_NAMES_PER_RECORD`] chunks.
pub(crate) fn acknowledgements(names: &[ChunkName]) -> Bytes {
    let mut body = Vec::with_capacity(names.len() * CHUNK_NAME_LEN);
    for name in names {
        body.extend_from_slice(&name.message.to_be_bytes());
        body.extend_from_slice(&name.offset.to_be_bytes());
        body.extend_from_slice(&name.length.to_be_bytes());
    }
    real_record(Kind::Acknowledgements, &body)
}

/// A reply record.
pub(crate) fn reply(content: &[u8]) -> Bytes {
    real_record(Kind::Reply, content)
}

fn real_record(kind: Kind, body: &[u8]) -> Bytes {
    let length = u32::try_from(body.len()).expect("bounded by the caller");
    let header = Header {
        kind,
        length,
        real: length,
        message: 0,
        message_length: 0,
        offset: 0,
        checksum: crc32c::crc32c(body),
    };
    assert!(header.in_range(), "a record of {length} bytes");
    [&header.to_bytes(), body].concat().into()
}

/// The chunks named in the body of an acknowledgement record, whose length the header has vouched for.
pub(crate) fn chunk_names(body: &[u8]) -> impl Iterator<Item = ChunkName> + '_ {
    body.chunks_exact(CHUNK_NAME_LEN).map(|name| ChunkName {
        message: u64::from_be_bytes(name[0..8].try_into().expect("8 bytes")),
        offset: u64::from_be_bytes(name[8..16].try_into().expect("8 bytes")),
        length: u32::from_be_bytes(name[16..20].try_into().expect("4 bytes")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHUNK: Header = Header {
        kind: Kind::Chunk,
        length: 6,
        real: 2,
        message: u64::MAX,
        message_length: u64::MAX,
        offset: u64::MAX - 6,
        checksum: 0,
    };

    #[test]
    fn a_header_survives_its_wire_form_at_the_ends_of_its_range() {
        assert_eq!(Header::parse(&CHUNK.to_bytes()), Ok(CHUNK));
        assert_eq!(&CHUNK.to_bytes()[..12], b"LS\x02\x01\0\0\0\x06\0\0\0\x02");
    }

    #[test]
    fn every_flipped_bit_of_a_header_is_noticed() {
        let bytes = CHUNK.to_bytes();
        for bit in 0..HEADER_LEN * 8 {
            let mut damaged = bytes;
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(Header::parse(&damaged).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn ranges_are_checked_without_overflow() {
        for wrong in [
            Header {
                length: 0,
                real: 0,
                ..CHUNK
            },
            Header { real: 7, ..CHUNK },
            Header {
                offset: u64::MAX - 5,
                ..CHUNK
            },
            Header {
                offset: 0,
                length: MAX_CHUNK_BYTES + 1,
                ..CHUNK
            },
            Header {
                kind: Kind::Reply,
                length: 2,
                ..CHUNK
            },
            Header {
                kind: Kind::Acknowledgements,
                length: 19,
                real: 19,
                message: 0,
                message_length: 0,
                offset: 0,
                ..CHUNK
            },
        ] {
            assert_eq!(
                Header::parse(&wrong.to_bytes()),
                Err(RecordError::Range),
                "{wrong:?}"
            );
        }
    }
}
