//! Log entries: what they are, their checksum and their bytes.
//!
//! Integers are big endian.
//!
//! | offset | bytes | field |
//! | --: | --: | --- |
//! | 0 | 8 | term |
//! | 8 | 8 | index |
//! | 16 | 1 | type: 0 no-op, 1 opens a session, 2 command |
//! | 17 | 1 | the application's kind of command, else 0 |
//! | 18 | 2 | 0 |
//! | 20 | 4 | length of the data |
//! | 24 | 8 | session of a command, else 0 |
//! | 32 | 8 | its number in the session, else 0 |
//! | 40 | 8 | the lowest number whose answer the client does not have yet, else 0 |
//! | 48 | 4 | CRC-32C of bytes 0 to 47 and the data |
//! | 52 | | data |

use bytes::{Buf, Bytes};

use crate::wire::WireError;
use crate::{Index, LIMIT, Term};

/// Length of an entry without its data.
pub const ENTRY_HEADER_BYTES: u64 = 52;

const HEADER_LEN: usize = ENTRY_HEADER_BYTES as usize;

/// A client's session: the index of the entry that opened it. 0 is no session: such commands are applied as often as
/// they are in the log.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, serde::Serialize, serde::Deserialize,
)]
#[serde(transparent)]
pub struct SessionId(pub u64);

impl SessionId {
    /// No session.
    pub const NONE: SessionId = SessionId(0);
}

/// Which command of a session this is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct CommandTag {
    /// What kind of command, for the application to say.
    pub kind: u8,
    /// The session.
    pub session: SessionId,
    /// Its number in the session, from 1.
    pub sequence: u64,
    /// All commands with lower numbers have been answered, and the client knows.
    pub unanswered: u64,
}

/// The type of an entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EntryKind {
    /// What a leader begins its term with.
    Noop,
    /// Opens a session, whose name is the index of this entry.
    OpenSession,
    /// A command to the state machine.
    Command(CommandTag),
}

/// An entry of the log. Its checksum is made with it and goes with it wherever it goes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// The term of the leader that made it.
    pub term: Term,
    /// Its place.
    pub index: Index,
    /// What it is.
    pub kind: EntryKind,
    /// The command; empty for other types.
    pub data: Bytes,
    checksum: u32,
}

impl Entry {
    /// A new entry.
    pub fn new(term: Term, index: Index, kind: EntryKind, data: Bytes) -> Entry {
        let mut entry = Entry {
            term,
            index,
            kind,
            data,
            checksum: 0,
        };
        entry.checksum = entry.expected_checksum();
        entry
    }

    /// CRC-32C of everything else in it.
    pub fn checksum(&self) -> u32 {
        self.checksum
    }

    /// Whether it is what it was when it was made.
    pub fn is_intact(&self) -> bool {
        self.checksum == self.expected_checksum()
    }

    /// Its length in bytes when written.
    pub fn encoded_len(&self) -> u64 {
        ENTRY_HEADER_BYTES + self.data.len() as u64
    }

    /// Appends its bytes.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.header());
        out.extend_from_slice(&self.checksum.to_be_bytes());
        out.extend_from_slice(&self.data);
    }

    /// Cuts an entry off the front of `bytes`.
    ///
    /// # Errors
    /// Fewer bytes than it says, an unknown type, a field out of range or another checksum.
    pub fn take(bytes: &mut Bytes) -> Result<Entry, WireError> {
        let header: &[u8; HEADER_LEN] = bytes
            .get(..HEADER_LEN)
            .and_then(|header| header.try_into().ok())
            .ok_or(WireError::Truncated)?;
        let u64_at = |at: usize| u64::from_be_bytes(header[at..at + 8].try_into().expect("8 bytes"));
        let u32_at = |at: usize| u32::from_be_bytes(header[at..at + 4].try_into().expect("4 bytes"));
        let tag = CommandTag {
            kind: header[17],
            session: SessionId(u64_at(24)),
            sequence: u64_at(32),
            unanswered: u64_at(40),
        };
        let length = u32_at(20) as usize;
        let kind = match header[16] {
            0 => EntryKind::Noop,
            1 => EntryKind::OpenSession,
            2 => EntryKind::Command(tag),
            _ => return Err(WireError::Kind),
        };
        let (term, index) = (Term(u64_at(0)), Index(u64_at(8)));
        let plain = matches!(kind, EntryKind::Command(_)) || (tag == CommandTag::default() && length == 0);
        if term.0 >= LIMIT || !(1..LIMIT).contains(&index.0) || header[18..20] != [0, 0] || !plain {
            return Err(WireError::Range);
        }
        if bytes.len() - HEADER_LEN < length {
            return Err(WireError::Truncated);
        }
        let checksum = u32_at(48);
        bytes.advance(HEADER_LEN);
        let entry = Entry {
            term,
            index,
            kind,
            data: bytes.split_to(length),
            checksum,
        };
        if entry.is_intact() {
            Ok(entry)
        } else {
            Err(WireError::Checksum)
        }
    }

    fn header(&self) -> [u8; HEADER_LEN - 4] {
        let mut header = [0; HEADER_LEN - 4];
        let length = u32::try_from(self.data.len()).expect("data below 4 GiB: the options bound it");
        header[0..8].copy_from_slice(&self.term.0.to_be_bytes());
        header[8..16].copy_from_slice(&self.index.0.to_be_bytes());
        header[20..24].copy_from_slice(&length.to_be_bytes());
        match self.kind {
            EntryKind::Noop => {}
            EntryKind::OpenSession => header[16] = 1,
            EntryKind::Command(tag) => {
                header[16] = 2;
                header[17] = tag.kind;
                header[24..32].copy_from_slice(&tag.session.0.to_be_bytes());
                header[32..40].copy_from_slice(&tag.sequence.to_be_bytes());
                header[40..48].copy_from_slice(&tag.unanswered.to_be_bytes());
            }
        }
        header
    }

    fn expected_checksum(&self) -> u32 {
        crc32c::crc32c_append(crc32c::crc32c(&self.header()), &self.data)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(data: &'static [u8]) -> Entry {
        let tag = CommandTag {
            kind: 7,
            session: SessionId(3),
            sequence: 9,
            unanswered: 8,
        };
        let data = Bytes::from_static(data);
        Entry::new(Term(5), Index(42), EntryKind::Command(tag), data)
    }

    #[test]
    fn a_batch_of_two_nine_byte_entries_keeps_their_types() {
        let noop = Entry::new(Term(5), Index(41), EntryKind::Noop, Bytes::new());
        let batch = [noop, command(b"nine byte"), command(b"byte nine")];
        let mut bytes = Vec::new();
        batch.iter().for_each(|entry| entry.encode(&mut bytes));
        assert_eq!(bytes.len(), 3 * HEADER_LEN + 18);
        let mut bytes = Bytes::from(bytes);
        for entry in batch {
            assert_eq!(Entry::take(&mut bytes), Ok(entry));
        }
        assert_eq!(Entry::take(&mut bytes), Err(WireError::Truncated));
    }

    #[test]
    fn every_flipped_bit_and_every_missing_byte_is_noticed() {
        let mut bytes = Vec::new();
        command(b"data").encode(&mut bytes);
        for bit in 0..bytes.len() * 8 {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(Entry::take(&mut damaged.into()).is_err(), "bit {bit}");
        }
        for len in 0..bytes.len() {
            assert!(Entry::take(&mut Bytes::copy_from_slice(&bytes[..len])).is_err());
        }
    }

    #[test]
    fn a_change_after_the_making_shows() {
        let mut entry = command(b"data");
        assert!(entry.is_intact());
        entry.kind = EntryKind::Noop;
        assert!(!entry.is_intact());
    }
}
