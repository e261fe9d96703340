//! The bytes of messages.
//!
//! Integers are big endian. A message is a header and a body, and its length is known before it is read.
//!
//! | offset | bytes | field |
//! | --: | --: | --- |
//! | 0 | 2 | magic, `LR` |
//! | 2 | 1 | version, 1 |
//! | 3 | 1 | what it is, 1 to 8 in the order of [`Body`] |
//! | 4 | 4 | from |
//! | 8 | 4 | to |
//! | 12 | 8 | term |
//! | 20 | 4 | length of the body |
//! | 24 | 4 | CRC-32C of bytes 0 to 23 and the body |

use bytes::{Buf, Bytes};
use serde::{Deserialize, Serialize};

use crate::config::MAX_BODY_BYTES;
use crate::log::Mark;
use crate::message::{Append, AppendAnswer, Body, Candidacy, Chunk, Message, Outcome};
use crate::{Entry, Index, LIMIT, NodeId, Term};

/// Length of a message's header.
pub const MESSAGE_HEADER_BYTES: u64 = 28;

const HEADER_LEN: usize = MESSAGE_HEADER_BYTES as usize;
const MAGIC: [u8; 2] = *b"LR";
const VERSION: u8 = 1;

/// Why bytes are no message.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error, Serialize, Deserialize)]
pub enum WireError {
    /// Fewer bytes than announced.
    #[error("cut short")]
    Truncated,
    /// More bytes than announced.
    #[error("bytes after the end")]
    Trailing,
    /// The header does not begin with the magic number.
    #[error("not a message")]
    Magic,
    /// Another version of the format.
    #[error("unknown version")]
    Version,
    /// An unknown type of message or entry.
    #[error("unknown type")]
    Kind,
    /// A CRC-32C does not match.
    #[error("damaged")]
    Checksum,
    /// A field outside its range.
    #[error("field out of range")]
    Range,
}

impl Message {
    /// The message in bytes.
    pub fn to_bytes(&self) -> Bytes {
        let mut out = vec![0; HEADER_LEN];
        let kind = self.body.encode(&mut out);
        let length = u32::try_from(out.len() - HEADER_LEN).expect("the configuration bounds messages");
        assert!(length <= MAX_BODY_BYTES, "a message of {length} bytes");
        out[0..2].copy_from_slice(&MAGIC);
        out[2] = VERSION;
        out[3] = kind;
        out[4..8].copy_from_slice(&self.from.0.to_be_bytes());
        out[8..12].copy_from_slice(&self.to.0.to_be_bytes());
        out[12..20].copy_from_slice(&self.term.0.to_be_bytes());
        out[20..24].copy_from_slice(&length.to_be_bytes());
        let checksum = crc32c::crc32c_append(crc32c::crc32c(&out[..24]), &out[HEADER_LEN..]);
        out[24..28].copy_from_slice(&checksum.to_be_bytes());
        out.into()
    }

    /// Reads a message that fills all of `bytes`; its data shares their memory.
    ///
    /// # Errors
    /// The first rule that it breaks. Nothing but a whole and undamaged message is accepted.
    pub fn parse(bytes: &Bytes) -> Result<Message, WireError> {
        let header: &[u8; HEADER_LEN] = bytes
            .get(..HEADER_LEN)
            .and_then(|header| header.try_into().ok())
            .ok_or(WireError::Truncated)?;
        if header[0..2] != MAGIC {
            return Err(WireError::Magic);
        }
        if header[2] != VERSION {
            return Err(WireError::Version);
        }
        let u32_at = |at: usize| u32::from_be_bytes(header[at..at + 4].try_into().expect("4 bytes"));
        let length = u32_at(20);
        if length > MAX_BODY_BYTES {
            return Err(WireError::Range);
        }
        match (bytes.len() - HEADER_LEN).cmp(&(length as usize)) {
            std::cmp::Ordering::Less => return Err(WireError::Truncated),
            std::cmp::Ordering::Greater => return Err(WireError::Trailing),
            std::cmp::Ordering::Equal => {}
        }
        if u32_at(24) != crc32c::crc32c_append(crc32c::crc32c(&header[..24]), &bytes[HEADER_LEN..]) {
            return Err(WireError::Checksum);
        }
        let mut reader = Reader(bytes.slice(HEADER_LEN..));
        let term = u64::from_be_bytes(header[12..20].try_into().expect("8 bytes"));
        let message = Message {
            from: NodeId(u32_at(4)),
            to: NodeId(u32_at(8)),
            term: Term(below_limit(term)?),
            body: Body::decode(header[3], &mut reader)?,
        };
        if reader.0.is_empty() {
            Ok(message)
        } else {
            Err(WireError::Trailing)
        }
    }
}

impl Body {
    /// Appends the body; returns the number that says what it is.
    fn encode(&self, out: &mut Vec<u8>) -> u8 {
        let u64s = |out: &mut Vec<u8>, values: &[u64]| {
            values
                .iter()
                .for_each(|value| out.extend_from_slice(&value.to_be_bytes()));
        };
        match self {
            Body::PreVote(candidacy) => {
                u64s(out, &[candidacy.last_index.0, candidacy.last_term.0]);
                1
            }
            Body::PreVoteAnswer { granted } => {
                out.push(u8::from(*granted));
                2
            }
            Body::Vote(candidacy) => {
                u64s(out, &[candidacy.last_index.0, candidacy.last_term.0]);
                3
            }
            Body::VoteAnswer { granted } => {
                out.push(u8::from(*granted));
                4
            }
            Body::Append(append) => {
                let Append { commit, round, .. } = append;
                u64s(
                    out,
                    &[append.previous.0, append.previous_term.0, commit.0, *round],
                );
                append.entries.iter().for_each(|entry| entry.encode(out));
                5
            }
            Body::AppendAnswer(answer) => {
                u64s(out, &[answer.round]);
                match answer.outcome {
                    Outcome::Matches(index) => {
                        out.push(1);
                        u64s(out, &[index.0]);
                    }
                    Outcome::Differs {
                        previous,
                        hint,
                        hint_term,
                    } => {
                        // No entry has term 0, so it stands for none.
                        out.push(2);
                        u64s(out, &[previous.0, hint.0, hint_term.unwrap_or_default().0]);
                    }
                }
                6
            }
            Body::Snapshot(chunk) => {
                let Chunk {
                    at, total, offset, ..
                } = chunk;
                u64s(out, &[at.index.0, at.term.0, at.chain, *total]);
                out.extend_from_slice(&chunk.hash);
                u64s(out, &[*offset, chunk.round]);
                out.extend_from_slice(&chunk.data);
                7
            }
            Body::SnapshotAnswer { index, received } => {
                u64s(out, &[index.0, *received]);
                8
            }
        }
    }

    fn decode(kind: u8, reader: &mut Reader) -> Result<Body, WireError> {
        Ok(match kind {
            1 => Body::PreVote(reader.candidacy()?),
            2 => Body::PreVoteAnswer {
                granted: reader.flag()?,
            },
            3 => Body::Vote(reader.candidacy()?),
            4 => Body::VoteAnswer {
                granted: reader.flag()?,
            },
            5 => Body::Append(reader.append()?),
            6 => {
                let round = reader.u64()?;
                let outcome = match reader.u8()? {
                    1 => Outcome::Matches(reader.index()?),
                    2 => Outcome::Differs {
                        previous: reader.index()?,
                        hint: reader.index()?,
                        hint_term: Some(reader.term()?).filter(|term| term.0 > 0),
                    },
                    _ => return Err(WireError::Kind),
                };
                Body::AppendAnswer(AppendAnswer { round, outcome })
            }
            7 => Body::Snapshot(reader.chunk()?),
            8 => Body::SnapshotAnswer {
                index: reader.index()?,
                received: reader.u64()?,
            },
            _ => return Err(WireError::Kind),
        })
    }
}

/// The rest of a body.
struct Reader(Bytes);

impl Reader {
    fn u8(&mut self) -> Result<u8, WireError> {
        self.0.try_get_u8().map_err(|_| WireError::Truncated)
    }

    fn u64(&mut self) -> Result<u64, WireError> {
        self.0.try_get_u64().map_err(|_| WireError::Truncated)
    }

    fn flag(&mut self) -> Result<bool, WireError> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(WireError::Range),
        }
    }

    fn term(&mut self) -> Result<Term, WireError> {
        Ok(Term(below_limit(self.u64()?)?))
    }

    fn index(&mut self) -> Result<Index, WireError> {
        Ok(Index(below_limit(self.u64()?)?))
    }

    fn candidacy(&mut self) -> Result<Candidacy, WireError> {
        Ok(Candidacy {
            last_index: self.index()?,
            last_term: self.term()?,
        })
    }

    fn append(&mut self) -> Result<Append, WireError> {
        let mut append = Append {
            previous: self.index()?,
            previous_term: self.term()?,
            commit: self.index()?,
            round: self.u64()?,
            entries: Vec::new(),
        };
        let (mut index, mut term) = (append.previous, append.previous_term);
        while !self.0.is_empty() {
            let entry = Entry::take(&mut self.0)?;
            if entry.index != index.next() || entry.term < term {
                return Err(WireError::Range);
            }
            (index, term) = (entry.index, entry.term);
            append.entries.push(entry);
        }
        Ok(append)
    }

    fn chunk(&mut self) -> Result<Chunk, WireError> {
        let at = Mark {
            index: self.index()?,
            term: self.term()?,
            chain: self.u64()?,
        };
        let total = below_limit(self.u64()?)?;
        let mut hash = [0; 32];
        self.0
            .try_copy_to_slice(&mut hash)
            .map_err(|_| WireError::Truncated)?;
        let (offset, round) = (below_limit(self.u64()?)?, self.u64()?);
        let data = std::mem::take(&mut self.0);
        if offset + data.len() as u64 > total || data.is_empty() {
            return Err(WireError::Range);
        }
        Ok(Chunk {
            at,
            total,
            hash,
            offset,
            round,
            data,
        })
    }
}

fn below_limit(value: u64) -> Result<u64, WireError> {
    if value < LIMIT {
        Ok(value)
    } else {
        Err(WireError::Range)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::EntryKind;
    use crate::entry::CommandTag;

    /// One message of each kind.
    fn messages() -> Vec<Message> {
        let candidacy = Candidacy {
            last_index: Index(LIMIT - 1),
            last_term: Term(7),
        };
        let command = EntryKind::Command(CommandTag::default());
        let entry = |index, kind, data| Entry::new(Term(7), Index(index), kind, Bytes::from_static(data));
        let differs = |hint_term| Outcome::Differs {
            previous: Index(9),
            hint: Index(4),
            hint_term,
        };
        let answer = |outcome| Body::AppendAnswer(AppendAnswer { round: 11, outcome });
        let bodies = vec![
            Body::PreVote(candidacy),
            Body::PreVoteAnswer { granted: true },
            Body::Vote(candidacy),
            Body::VoteAnswer { granted: false },
            Body::Append(Append {
                previous: Index(0),
                previous_term: Term(0),
                commit: Index(1),
                round: u64::MAX,
                entries: vec![entry(1, EntryKind::Noop, b""), entry(2, command, b"value")],
            }),
            answer(Outcome::Matches(Index(3))),
            answer(differs(None)),
            answer(differs(Some(Term(2)))),
            Body::Snapshot(Chunk {
                at: Mark {
                    index: Index(4),
                    term: Term(2),
                    chain: u64::MAX,
                },
                total: 10,
                hash: [7; 32],
                offset: 6,
                round: 1,
                data: Bytes::from_static(b"tail"),
            }),
            Body::SnapshotAnswer {
                index: Index(4),
                received: 10,
            },
        ];
        let message = |body| Message {
            from: NodeId(1),
            to: NodeId(u32::MAX),
            term: Term(LIMIT - 1),
            body,
        };
        bodies.into_iter().map(message).collect()
    }

    #[test]
    fn every_kind_of_message_survives_its_bytes() {
        for message in messages() {
            assert_eq!(Message::parse(&message.to_bytes()), Ok(message));
        }
    }

    #[test]
    fn every_flipped_bit_and_every_other_length_is_refused() {
        for message in messages() {
            let bytes = message.to_bytes();
            for bit in 0..bytes.len() * 8 {
                let mut damaged = bytes.to_vec();
                damaged[bit / 8] ^= 1 << (bit % 8);
                assert!(
                    Message::parse(&damaged.into()).is_err(),
                    "bit {bit} of {message:?}"
                );
            }
            for len in 0..bytes.len() {
                assert!(
                    Message::parse(&bytes.slice(..len)).is_err(),
                    "{len} of {message:?}"
                );
            }
            let longer = [&bytes[..], b"x"].concat();
            assert_eq!(Message::parse(&longer.into()), Err(WireError::Trailing));
        }
    }

    #[test]
    fn what_a_checksum_vouches_for_must_still_make_sense() {
        let mut gap = messages().swap_remove(4);
        if let Body::Append(append) = &mut gap.body {
            append.entries.remove(0);
        }
        let mut beyond = messages().swap_remove(8);
        if let Body::Snapshot(chunk) = &mut beyond.body {
            chunk.offset = 7;
        }
        let mut term = messages().swap_remove(0);
        term.term = Term(LIMIT);
        for message in [gap, beyond, term] {
            assert_eq!(Message::parse(&message.to_bytes()), Err(WireError::Range));
        }
    }
}
