//! Cutting the bytes of a stream into records.

use longhaul_core::payload::{Payload, PayloadBuffer};

use crate::record::{HEADER_BYTES, Header, Kind, RecordError};

const HEADER_LEN: usize = HEADER_BYTES as usize;

/// Which of the two directions a reader is at the end of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Direction {
    ToReceiver,
    ToSender,
}

/// A complete record whose checksums hold.
#[derive(Debug)]
pub(crate) struct Record {
    pub header: Header,
    pub body: PayloadBuffer,
}

/// Cuts the bytes of one stream into records. The work per piece does not depend on how much is already there,
/// and the body is kept by reference.
#[derive(Debug)]
pub(crate) struct RecordReader {
    direction: Direction,
    header_bytes: [u8; HEADER_LEN],
    header_filled: usize,
    unfinished: Option<Unfinished>,
}

#[derive(Debug)]
struct Unfinished {
    header: Header,
    body: PayloadBuffer,
    checksum: u32,
}

impl RecordReader {
    pub fn new(direction: Direction) -> RecordReader {
        RecordReader {
            direction,
            header_bytes: [0; HEADER_LEN],
            header_filled: 0,
            unfinished: None,
        }
    }

    /// Takes from the front of `piece` until a record is complete or nothing is left.
    pub fn read(&mut self, piece: &mut Payload) -> Result<Option<Record>, RecordError> {
        while !piece.is_empty() {
            let Some(unfinished) = &mut self.unfinished else {
                self.read_header(piece)?;
                continue;
            };
            unfinished.take(piece)?;
            if unfinished.body.len() == u64::from(unfinished.header.length) {
                let complete = self.unfinished.take().expect("just filled");
                if complete.checksum != complete.header.checksum {
                    return Err(RecordError::BodyChecksum);
                }
                return Ok(Some(Record {
                    header: complete.header,
                    body: complete.body,
                }));
            }
        }
        Ok(None)
    }

    fn read_header(&mut self, piece: &mut Payload) -> Result<(), RecordError> {
        let missing = HEADER_LEN - self.header_filled;
        let Payload::Real(bytes) = piece.split_to(piece.len().min(missing as u64)) else {
            return Err(RecordError::Synthetic);
        };
        self.header_bytes[self.header_filled..][..bytes.len()].copy_from_slice(&bytes);
        self.header_filled += bytes.len();
        if self.header_filled == HEADER_LEN {
            self.header_filled = 0;
            let header = Header::parse(&self.header_bytes)?;
            if (header.kind == Kind::Chunk) != (self.direction == Direction::ToReceiver) {
                return Err(RecordError::Kind);
            }
            self.unfinished = Some(Unfinished {
                header,
                body: PayloadBuffer::default(),
                checksum: 0,
            });
        }
        Ok(())
    }
}

impl Unfinished {
    /// Moves what belongs to this record's real or synthetic part from the front of `piece` to the body.
    fn take(&mut self, piece: &mut Payload) -> Result<(), RecordError> {
        let have = self.body.len();
        let real = u64::from(self.header.real);
        if have < real {
            let part = piece.split_to(piece.len().min(real - have));
            let Payload::Real(bytes) = &part else {
                return Err(RecordError::Synthetic);
            };
            self.checksum = crc32c::crc32c_append(self.checksum, bytes);
            self.body.push(part);
        } else {
            let part = piece.split_to(piece.len().min(u64::from(self.header.length) - have));
            self.body.push(Payload::Synthetic(part.len()));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[test]
    fn whatever_stands_in_the_synthetic_part_becomes_a_length() {
        let header = Header {
            kind: Kind::Chunk,
            length: 6,
            real: 2,
            message: 0,
            message_length: 6,
            offset: 0,
            checksum: crc32c::crc32c(b"ab"),
        };
        let mut stream = header.to_bytes().to_vec();
        stream.extend_from_slice(b"abzzzz");
        let mut reader = RecordReader::new(Direction::ToReceiver);
        let mut piece = Payload::from(Bytes::from(stream));
        let mut record = reader.read(&mut piece).unwrap().unwrap();
        assert_eq!(record.body.pop(9), Some(Bytes::from_static(b"ab").into()));
        assert_eq!(record.body.pop(9), Some(Payload::Synthetic(4)));
        assert!(piece.is_empty());
    }
}
