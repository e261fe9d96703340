//! What both sides say on the control stream, and how every stream begins.
//!
//! A source opens one stream for control and, once it is welcome, others for the transport. Every stream begins with
//! a [preamble](Preamble) that says what it is for and to which session it belongs; on the control stream records
//! follow in both directions. Integers are big endian.
//!
//! | preamble: bytes | field | record: bytes | field |
//! | --: | --- | --: | --- |
//! | 4 | magic `LHRP` | 4 | magic `LHRX` |
//! | 1 | version, 1 | 1 | kind |
//! | 1 | 1 control, 2 data | 3 | 0 |
//! | 2 | 0 | 4 | length of the body |
//! | 8 | session | 4 | CRC-32C of the body |
//! | 4 | CRC-32C of the above | 4 | CRC-32C of the above |
//!
//! | kind | from | body |
//! | --: | --- | --- |
//! | 1 hello | source | session (8), then the pages of each set (8 each) |
//! | 2 welcome | replica | session (8), then of each set: attempt (4), whether it is dead (4), frames of it (8), newest complete epoch or 0 (8), its real pages (8) and their hash (32) |
//! | 3 heartbeat | source | number (8), whether it holds a lease (1) |
//! | 4 heard | replica | number (8) |
//! | 5 applied | replica | set (4), epoch (8) |
//! | 6 resync | replica | set (4), attempt (4) |
//! | 7 fenced | replica | nothing |
//! | 8 refused | replica | nothing |

use longhaul_core::payload::Payload;
use serde::{Deserialize, Serialize};

use crate::message::{u32_at, u64_at};
use crate::{Fingerprint, MAX_SETS};

const PREAMBLE_MAGIC: [u8; 4] = *b"LHRP";
const RECORD_MAGIC: [u8; 4] = *b"LHRX";
const VERSION: u8 = 1;
const SET_STATE_LEN: usize = 64;

/// Length of a preamble.
pub const PREAMBLE_BYTES: usize = 20;

/// Length of what stands before the body of a record.
pub const RECORD_HEADER_BYTES: usize = 20;

/// The longest body: a welcome to [`MAX_SETS`] sets.
pub const MAX_BODY_BYTES: usize = 8 + MAX_SETS * SET_STATE_LEN;

/// How a stream begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Preamble {
    /// What it is for.
    pub role: Role,
    /// The session that it belongs to.
    pub session: u64,
}

/// What a stream is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// Records.
    Control,
    /// The transport.
    Data,
}

/// A record.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Control {
    /// The source wants to begin a session, newer than all before it.
    Hello {
        /// Its number.
        session: u64,
        /// The pages of each consistency set.
        pages: Vec<u64>,
    },
    /// The replica agrees, and says what it has.
    Welcome {
        /// The session.
        session: u64,
        /// Each consistency set.
        sets: Vec<SetState>,
    },
    /// The source is there.
    Heartbeat {
        /// Counted over all sessions.
        number: u64,
        /// Whether it stops its guests when the replica stays silent.
        leased: bool,
    },
    /// The replica has heard a heartbeat.
    Heard {
        /// Which one.
        number: u64,
    },
    /// An epoch is complete, verified and in place.
    Applied {
        /// The consistency set.
        set: u32,
        /// The epoch.
        epoch: u64,
    },
    /// What came of an attempt cannot be used; the set must be sent as a whole again.
    Resync {
        /// The consistency set.
        set: u32,
        /// The attempt.
        attempt: u32,
    },
    /// The guests run at the replica's site: the source must not let them run.
    Fenced,
    /// The replica is set up for other guests.
    Refused,
}

/// What the replica has of a consistency set.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SetState {
    /// The newest attempt that it knows; 0 for none.
    pub attempt: u32,
    /// Whether that attempt is of no more use.
    pub dead: bool,
    /// Frames of it that have arrived.
    pub frames: u64,
    /// The newest complete epoch; 0 for none.
    pub epoch: u64,
    /// The memory of that epoch.
    pub fingerprint: Fingerprint,
}

/// Why bytes on a control stream, or at the beginning of any stream, are wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error, Serialize, Deserialize)]
pub enum ControlError {
    /// Not the magic number.
    #[error("not a stream of this protocol")]
    Magic,
    /// Another version.
    #[error("unknown version")]
    Version,
    /// A CRC-32C does not match.
    #[error("damaged")]
    Checksum,
    /// A kind or role that is not known, or not said by this side.
    #[error("unexpected kind")]
    Kind,
    /// A length that does not fit the kind.
    #[error("a record of the wrong length")]
    Length,
    /// A field out of its range.
    #[error("a field out of range")]
    Range,
    /// Bytes without content.
    #[error("synthetic bytes in place of real ones")]
    Synthetic,
}

impl Preamble {
    /// The preamble on the wire.
    pub fn to_bytes(self) -> [u8; PREAMBLE_BYTES] {
        let mut bytes = [0; PREAMBLE_BYTES];
        bytes[..4].copy_from_slice(&PREAMBLE_MAGIC);
        bytes[4] = VERSION;
        bytes[5] = match self.role {
            Role::Control => 1,
            Role::Data => 2,
        };
        bytes[8..16].copy_from_slice(&self.session.to_be_bytes());
        let checksum = crc32c::crc32c(&bytes[..16]);
        bytes[16..].copy_from_slice(&checksum.to_be_bytes());
        bytes
    }

    /// Reads a preamble.
    ///
    /// # Errors
    /// [`ControlError`]
    pub fn parse(bytes: &[u8; PREAMBLE_BYTES]) -> Result<Preamble, ControlError> {
        if bytes[..4] != PREAMBLE_MAGIC {
            return Err(ControlError::Magic);
        }
        if crc32c::crc32c(&bytes[..16]) != u32_at(bytes, 16) {
            return Err(ControlError::Checksum);
        }
        if bytes[4] != VERSION {
            return Err(ControlError::Version);
        }
        let role = match bytes[5] {
            1 => Role::Control,
            2 => Role::Data,
            _ => return Err(ControlError::Kind),
        };
        if bytes[6..8] != [0; 2] {
            return Err(ControlError::Range);
        }
        let session = u64_at(bytes, 8);
        Ok(Preamble { role, session })
    }
}

impl Control {
    /// The record on the wire.
    ///
    /// # Panics
    /// If there are more than [`MAX_SETS`] sets.
    pub fn to_bytes(&self) -> Vec<u8> {
        let body = self.body();
        assert!(body.len() <= MAX_BODY_BYTES, "too many consistency sets");
        let mut bytes = Vec::with_capacity(RECORD_HEADER_BYTES + body.len());
        bytes.extend_from_slice(&RECORD_MAGIC);
        bytes.extend_from_slice(&[self.kind(), 0, 0, 0]);
        bytes.extend_from_slice(&(body.len() as u32).to_be_bytes());
        bytes.extend_from_slice(&crc32c::crc32c(&body).to_be_bytes());
        let checksum = crc32c::crc32c(&bytes);
        bytes.extend_from_slice(&checksum.to_be_bytes());
        bytes.extend_from_slice(&body);
        bytes
    }

    fn kind(&self) -> u8 {
        match self {
            Control::Hello { .. } => 1,
            Control::Welcome { .. } => 2,
            Control::Heartbeat { .. } => 3,
            Control::Heard { .. } => 4,
            Control::Applied { .. } => 5,
            Control::Resync { .. } => 6,
            Control::Fenced => 7,
            Control::Refused => 8,
        }
    }

    fn body(&self) -> Vec<u8> {
        let mut body = Vec::new();
        match self {
            Control::Hello { session, pages } => {
                body.extend_from_slice(&session.to_be_bytes());
                for pages in pages {
                    body.extend_from_slice(&pages.to_be_bytes());
                }
            }
            Control::Welcome { session, sets } => {
                body.extend_from_slice(&session.to_be_bytes());
                for set in sets {
                    body.extend_from_slice(&set.attempt.to_be_bytes());
                    body.extend_from_slice(&u32::from(set.dead).to_be_bytes());
                    body.extend_from_slice(&set.frames.to_be_bytes());
                    body.extend_from_slice(&set.epoch.to_be_bytes());
                    body.extend_from_slice(&set.fingerprint.pages.to_be_bytes());
                    body.extend_from_slice(&set.fingerprint.hash);
                }
            }
            Control::Heartbeat { number, leased } => {
                body.extend_from_slice(&number.to_be_bytes());
                body.push(u8::from(*leased));
            }
            Control::Heard { number } => body.extend_from_slice(&number.to_be_bytes()),
            Control::Applied { set, epoch } => {
                body.extend_from_slice(&set.to_be_bytes());
                body.extend_from_slice(&epoch.to_be_bytes());
            }
            Control::Resync { set, attempt } => {
                body.extend_from_slice(&set.to_be_bytes());
                body.extend_from_slice(&attempt.to_be_bytes());
            }
            Control::Fenced | Control::Refused => {}
        }
        body
    }

    /// Reads the body of a record.
    fn parse_body(kind: u8, body: &[u8]) -> Result<Control, ControlError> {
        let of_length = |length: usize| (body.len() == length).then_some(()).ok_or(ControlError::Length);
        let flag = |value: u32| match value {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(ControlError::Range),
        };
        match kind {
            1 => {
                let (session, pages) = body.split_first_chunk().ok_or(ControlError::Length)?;
                let (pages, []) = pages.as_chunks() else {
                    return Err(ControlError::Length);
                };
                Ok(Control::Hello {
                    session: u64::from_be_bytes(*session),
                    pages: pages.iter().map(|bytes| u64::from_be_bytes(*bytes)).collect(),
                })
            }
            2 => {
                let (session, sets) = body.split_first_chunk().ok_or(ControlError::Length)?;
                let (sets, []) = sets.as_chunks::<SET_STATE_LEN>() else {
                    return Err(ControlError::Length);
                };
                let sets = sets.iter().map(|bytes| {
                    Ok(SetState {
                        attempt: u32_at(bytes, 0),
                        dead: flag(u32_at(bytes, 4))?,
                        frames: u64_at(bytes, 8),
                        epoch: u64_at(bytes, 16),
                        fingerprint: Fingerprint {
                            pages: u64_at(bytes, 24),
                            hash: bytes[32..].try_into().expect("32 bytes"),
                        },
                    })
                });
                Ok(Control::Welcome {
                    session: u64::from_be_bytes(*session),
                    sets: sets.collect::<Result<_, _>>()?,
                })
            }
            3 => of_length(9).and_then(|()| {
                Ok(Control::Heartbeat {
                    number: u64_at(body, 0),
                    leased: flag(u32::from(body[8]))?,
                })
            }),
            4 => of_length(8).map(|()| Control::Heard {
                number: u64_at(body, 0),
            }),
            5 => of_length(12).map(|()| Control::Applied {
                set: u32_at(body, 0),
                epoch: u64_at(body, 4),
            }),
            6 => of_length(8).map(|()| Control::Resync {
                set: u32_at(body, 0),
                attempt: u32_at(body, 4),
            }),
            7 => of_length(0).map(|()| Control::Fenced),
            8 => of_length(0).map(|()| Control::Refused),
            _ => Err(ControlError::Kind),
        }
    }
}

/// Cuts the bytes of a control stream into records. Holds at most one record and what is given at once.
#[derive(Clone, Debug, Default)]
pub struct ControlReader {
    bytes: Vec<u8>,
}

impl ControlReader {
    /// Takes bytes in.
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Takes payload in, which must be real.
    ///
    /// # Errors
    /// [`ControlError::Synthetic`]
    pub fn take(&mut self, payload: &Payload) -> Result<(), ControlError> {
        match payload {
            Payload::Real(bytes) => {
                self.push(bytes);
                Ok(())
            }
            Payload::Synthetic(_) => Err(ControlError::Synthetic),
        }
    }

    /// The next record, if it is complete.
    ///
    /// # Errors
    /// [`ControlError`]; the stream is of no use then.
    pub fn next_record(&mut self) -> Result<Option<Control>, ControlError> {
        let Some(header) = self.bytes.first_chunk::<RECORD_HEADER_BYTES>() else {
            return Ok(None);
        };
        if header[..4] != RECORD_MAGIC {
            return Err(ControlError::Magic);
        }
        if crc32c::crc32c(&header[..16]) != u32_at(header, 16) {
            return Err(ControlError::Checksum);
        }
        if header[5..8] != [0; 3] {
            return Err(ControlError::Range);
        }
        let (kind, checksum) = (header[4], u32_at(header, 12));
        let length = u32_at(header, 8) as usize;
        if length > MAX_BODY_BYTES {
            return Err(ControlError::Length);
        }
        let end = RECORD_HEADER_BYTES + length;
        let Some(body) = self.bytes.get(RECORD_HEADER_BYTES..end) else {
            return Ok(None);
        };
        if crc32c::crc32c(body) != checksum {
            return Err(ControlError::Checksum);
        }
        let record = Control::parse_body(kind, body)?;
        self.bytes.drain(..end);
        Ok(Some(record))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn records() -> Vec<Control> {
        let state = SetState {
            attempt: 2,
            dead: true,
            frames: 3,
            epoch: 4,
            fingerprint: Fingerprint {
                pages: 5,
                hash: [6; 32],
            },
        };
        vec![
            Control::Hello {
                session: 1,
                pages: vec![2, 3],
            },
            Control::Welcome {
                session: 1,
                sets: vec![state, SetState::default()],
            },
            Control::Heartbeat {
                number: 9,
                leased: true,
            },
            Control::Heard { number: 9 },
            Control::Applied { set: 1, epoch: 2 },
            Control::Resync { set: 1, attempt: 2 },
            Control::Fenced,
            Control::Refused,
        ]
    }

    #[test]
    fn records_survive_their_wire_form_in_pieces_of_any_length() {
        let wire: Vec<u8> = records().iter().flat_map(Control::to_bytes).collect();
        for piece in [1, 7, wire.len()] {
            let mut reader = ControlReader::default();
            let mut read = Vec::new();
            for bytes in wire.chunks(piece) {
                reader.push(bytes);
                while let Some(record) = reader.next_record().unwrap() {
                    read.push(record);
                }
            }
            assert_eq!(read, records());
        }
    }

    #[test]
    fn a_flipped_bit_anywhere_is_noticed() {
        for record in records() {
            let wire = record.to_bytes();
            for bit in 0..wire.len() * 8 {
                let mut damaged = wire.clone();
                damaged[bit / 8] ^= 1 << (bit % 8);
                let mut reader = ControlReader::default();
                reader.push(&damaged);
                assert!(reader.next_record().is_err(), "bit {bit} of {record:?}");
            }
        }
        let preamble = Preamble {
            role: Role::Data,
            session: 77,
        };
        let wire = preamble.to_bytes();
        assert_eq!(Preamble::parse(&wire), Ok(preamble));
        for bit in 0..wire.len() * 8 {
            let mut damaged = wire;
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(Preamble::parse(&damaged).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn a_sound_record_with_a_wrong_body_is_refused() {
        for (kind, body, error) in [
            (0, vec![], ControlError::Kind),
            (9, vec![], ControlError::Kind),
            (1, vec![0; 7], ControlError::Length),
            (1, vec![0; 12], ControlError::Length),
            (2, vec![0; 71], ControlError::Length),
            (3, [&[0; 8][..], &[2]].concat(), ControlError::Range),
            (4, vec![0; 9], ControlError::Length),
            (7, vec![0], ControlError::Length),
        ] {
            assert_eq!(Control::parse_body(kind, &body), Err(error), "{kind} {body:?}");
        }
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_are_records_or_an_error_and_never_more_than_one_record_is_held(
            bytes in prop::collection::vec(any::<u8>(), 0..200),
        ) {
            let mut reader = ControlReader::default();
            reader.push(&bytes);
            while let Ok(Some(_)) = reader.next_record() {}
        }
    }
}
