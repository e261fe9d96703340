//! What the destination says: the one answer of AMST at the end, and before that records on the stream that leads back.
//!
//! | bytes | field of a record |
//! | --: | --- |
//! | 4 | magic `LHMR` |
//! | 1 | kind |
//! | 3 | length of the body, at most [`MAX_BODY`] |
//! | 4 | CRC-32C of kind, length and body |
//!
//! | kind | body | what it says |
//! | --: | --- | --- |
//! | 1 | pages (8 each) | the guest waits for these pages |
//! | 2 | time (8) | the guest runs here since then |
//! | 3 | a [part of a set](super::pages) | pages that are here; after a query all parts come, in order |
//! | 4 | nothing | the guest does not run here, and never will |
//!
//! Whatever is said on this stream is said again if the stream has to be opened again, so nothing is lost with it. The
//! answer of AMST is `LHMA`, a verdict (1 byte: 1 the guest runs and has all its memory, 2 it does not run and never will,
//! 3 it runs and its memory is not right) and the time since when it runs (8 bytes; for the others 0).

use bytes::{Buf, Bytes, BytesMut};
use longhaul_core::payload::Payload;
use longhaul_core::time::Instant;

use super::Reader;

const MAGIC: [u8; 4] = *b"LHMR";
const HEADER_LEN: usize = 12;

/// Longest body of a record: that of a part of a set, with room to spare.
pub const MAX_BODY: usize = 48 << 10;

/// Most pages of a request.
pub const MAX_REQUESTS: usize = MAX_BODY / 8;

const ANSWER_MAGIC: [u8; 4] = *b"LHMA";
const ANSWER_LEN: usize = 13;

/// A record of the destination.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Record {
    Requests(Vec<u64>),
    Running { since: Instant },
    Received(Bytes),
    Abandoned,
}

impl Record {
    pub fn to_bytes(&self) -> Bytes {
        let (kind, body) = match self {
            Record::Requests(pages) => {
                let numbers = pages.iter().flat_map(|page| page.to_be_bytes());
                (1u8, numbers.collect())
            }
            Record::Running { since } => (2, since.as_ns().to_be_bytes().to_vec()),
            Record::Received(part) => (3, part.to_vec()),
            Record::Abandoned => (4, Vec::new()),
        };
        assert!(body.len() <= MAX_BODY, "a record of {} bytes", body.len());
        let covered = [&[kind], &(body.len() as u32).to_be_bytes()[1..], &body].concat();
        let checksum = crc32c::crc32c(&covered).to_be_bytes();
        [&MAGIC, &covered[..4], &checksum, &body].concat().into()
    }

    fn parse(kind: u8, body: &[u8]) -> Option<Record> {
        let mut reader = Reader::new(body);
        match kind {
            1 if !body.is_empty() && body.len().is_multiple_of(8) => {
                let pages = std::iter::from_fn(|| reader.u64());
                Some(Record::Requests(pages.collect()))
            }
            2 if body.len() == 8 => Some(Record::Running {
                since: Instant::from_ns(reader.u64()?),
            }),
            3 => Some(Record::Received(Bytes::copy_from_slice(body))),
            4 if body.is_empty() => Some(Record::Abandoned),
            _ => None,
        }
    }
}

/// Bytes that are no record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NotARecord;

/// Cuts the bytes of the stream into records.
#[derive(Debug, Default)]
pub struct RecordReader {
    bytes: BytesMut,
}

impl RecordReader {
    /// Takes in a piece.
    pub fn push(&mut self, piece: &Payload) -> Result<(), NotARecord> {
        let Payload::Real(bytes) = piece else {
            return Err(NotARecord);
        };
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    /// The next record, if it is complete; an error if it is none.
    pub fn next(&mut self) -> Result<Option<Record>, NotARecord> {
        let Some(header) = self.bytes.first_chunk::<HEADER_LEN>() else {
            return Ok(None);
        };
        let len = u32::from_be_bytes([0, header[5], header[6], header[7]]) as usize;
        if header[..4] != MAGIC || len > MAX_BODY {
            return Err(NotARecord);
        }
        if self.bytes.len() < HEADER_LEN + len {
            return Ok(None);
        }
        let record = self.bytes.split_to(HEADER_LEN + len);
        let (header, body) = record.split_at(HEADER_LEN);
        let checksum = crc32c::crc32c_append(crc32c::crc32c(&header[4..8]), body);
        if checksum.to_be_bytes() != header[8..] {
            return Err(NotARecord);
        }
        Record::parse(header[4], body).map(Some).ok_or(NotARecord)
    }
}

/// The destination's answer at the end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Answer {
    /// The guest runs there since then, and everything has come.
    Complete { running_since: Instant },
    /// It does not run there and never will.
    Refused,
    /// It runs there, and not all of its memory is right.
    Lost,
}

impl Answer {
    pub fn to_bytes(self) -> Bytes {
        let (verdict, ns) = match self {
            Answer::Complete { running_since } => (1, running_since.as_ns()),
            Answer::Refused => (2, 0),
            Answer::Lost => (3, 0),
        };
        [&ANSWER_MAGIC[..], &[verdict], &ns.to_be_bytes()].concat().into()
    }

    pub fn parse(bytes: &[u8]) -> Option<Answer> {
        let mut bytes: &[u8] = bytes
            .first_chunk::<ANSWER_LEN>()
            .filter(|_| bytes.len() == ANSWER_LEN)?;
        if !bytes.starts_with(&ANSWER_MAGIC) {
            return None;
        }
        bytes.advance(ANSWER_MAGIC.len());
        match (bytes.get_u8(), bytes.get_u64()) {
            (1, ns) => Some(Answer::Complete {
                running_since: Instant::from_ns(ns),
            }),
            (2, 0) => Some(Answer::Refused),
            (3, 0) => Some(Answer::Lost),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records() -> [Record; 5] {
        [
            Record::Requests(vec![1, u64::MAX]),
            Record::Requests((0..MAX_REQUESTS as u64).collect()),
            Record::Running { since: Instant::MAX },
            Record::Received(Bytes::from_static(b"part")),
            Record::Abandoned,
        ]
    }

    #[test]
    fn records_survive_in_any_parts() {
        let all: Vec<u8> = records().iter().flat_map(Record::to_bytes).collect();
        for step in [1, 7, 4096, all.len()] {
            let (mut reader, mut back) = (RecordReader::default(), Vec::new());
            for piece in all.chunks(step) {
                reader.push(&Bytes::copy_from_slice(piece).into()).unwrap();
                while let Some(record) = reader.next().unwrap() {
                    back.push(record);
                }
            }
            assert_eq!(back, records());
        }
    }

    #[test]
    fn every_flipped_bit_is_noticed_or_waits_for_more() {
        let bytes = Record::Requests(vec![5, 6]).to_bytes();
        for bit in 0..bytes.len() * 8 {
            let mut damaged = bytes.to_vec();
            damaged[bit / 8] ^= 1 << (bit % 8);
            let mut reader = RecordReader::default();
            reader.push(&Bytes::from(damaged).into()).unwrap();
            assert!(!matches!(reader.next(), Ok(Some(_))), "bit {bit}");
        }
        assert_eq!(
            RecordReader::default().push(&Payload::Synthetic(1)),
            Err(NotARecord)
        );
    }

    #[test]
    fn answers_survive_and_nothing_else_passes() {
        let running_since = Instant::MAX;
        for answer in [Answer::Complete { running_since }, Answer::Refused, Answer::Lost] {
            assert_eq!(Answer::parse(&answer.to_bytes()), Some(answer));
            assert_eq!(Answer::parse(&answer.to_bytes()[1..]), None);
        }
        assert_eq!(Answer::parse(b"LHMA\x04\0\0\0\0\0\0\0\0"), None);
        assert_eq!(Answer::parse(b"LHMA\x02\0\0\0\0\0\0\0\x01"), None);
    }
}
