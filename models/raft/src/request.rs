//! What clients ask of members and are answered, and its bytes.
//!
//! Integers are big endian. Both begin with two letters (`LQ` for a request, `LA` for an answer), a version (1) and a
//! number that says which it is; then the member and client that asked and the number of the request; then the fields;
//! at the end CRC-32C of everything before it.

use bytes::{Buf, BufMut, Bytes};

use crate::NodeId;
use crate::entry::{CommandTag, SessionId};
use crate::wire::WireError;

const REQUEST: [u8; 3] = *b"LQ\x01";
const ANSWER: [u8; 3] = *b"LA\x01";
const CHECKSUM_LEN: usize = 4;

/// Where a request came from and its answer must go.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Origin {
    /// The member at which the client is.
    pub node: NodeId,
    /// The client among those there.
    pub client: u32,
    /// The request among those of the client.
    pub request: u64,
}

/// A request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Request {
    /// Whose it is.
    pub origin: Origin,
    /// What is asked.
    pub ask: Ask,
}

/// What is asked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Ask {
    /// A session.
    Open,
    /// That a command be applied.
    Command {
        /// Which one.
        tag: CommandTag,
        /// Its bytes.
        data: Bytes,
    },
    /// What the state is.
    Read {
        /// The question.
        query: Bytes,
    },
}

/// An answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Answer {
    /// The request's origin.
    pub to: Origin,
    /// What came of it.
    pub reply: Reply,
}

/// What came of a request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Reply {
    /// The session is open.
    Opened {
        /// Its name.
        session: SessionId,
    },
    /// The state machine's answer to a command that was applied or to a read.
    Done {
        /// Its bytes.
        data: Bytes,
    },
    /// Ask somebody else. A command may have been applied all the same, or may still be.
    NotLeader {
        /// Who leads, as far as the member knows.
        leader: Option<NodeId>,
    },
    /// Ask again later; nothing was done.
    Busy,
    /// The session is not known any more, or the command was answered before; whether it was applied is not known.
    Expired,
    /// The command is too long.
    TooLong,
}

impl Request {
    /// The request in bytes.
    pub fn to_bytes(&self) -> Bytes {
        let kind = match self.ask {
            Ask::Open => 1,
            Ask::Command { .. } => 2,
            Ask::Read { .. } => 3,
        };
        let mut out = begin(REQUEST, kind, self.origin);
        match &self.ask {
            Ask::Open => {}
            Ask::Command { tag, data } => {
                out.put_u8(tag.kind);
                out.put_u64(tag.session.0);
                out.put_u64(tag.sequence);
                out.put_u64(tag.unanswered);
                out.put_slice(data);
            }
            Ask::Read { query } => out.put_slice(query),
        }
        end(out)
    }

    /// Reads a request that fills all of `bytes`.
    ///
    /// # Errors
    /// The first rule that it breaks.
    pub fn parse(bytes: &Bytes) -> Result<Request, WireError> {
        let (kind, origin, mut rest) = open(REQUEST, bytes)?;
        let ask = match kind {
            1 => {
                nothing_left(&rest)?;
                Ask::Open
            }
            2 => {
                let short = |_| WireError::Truncated;
                let tag = CommandTag {
                    kind: rest.try_get_u8().map_err(short)?,
                    session: SessionId(rest.try_get_u64().map_err(short)?),
                    sequence: rest.try_get_u64().map_err(short)?,
                    unanswered: rest.try_get_u64().map_err(short)?,
                };
                Ask::Command { tag, data: rest }
            }
            3 => Ask::Read { query: rest },
            _ => return Err(WireError::Kind),
        };
        Ok(Request { origin, ask })
    }
}

impl Answer {
    /// The answer in bytes.
    pub fn to_bytes(&self) -> Bytes {
        let kind = match self.reply {
            Reply::Opened { .. } => 1,
            Reply::Done { .. } => 2,
            Reply::NotLeader { leader: None } => 3,
            Reply::NotLeader { leader: Some(_) } => 4,
            Reply::Busy => 5,
            Reply::Expired => 6,
            Reply::TooLong => 7,
        };
        let mut out = begin(ANSWER, kind, self.to);
        match &self.reply {
            Reply::Opened { session } => out.put_u64(session.0),
            Reply::Done { data } => out.put_slice(data),
            Reply::NotLeader { leader: Some(leader) } => out.put_u32(leader.0),
            Reply::NotLeader { leader: None } | Reply::Busy | Reply::Expired | Reply::TooLong => {}
        }
        end(out)
    }

    /// Reads an answer that fills all of `bytes`.
    ///
    /// # Errors
    /// The first rule that it breaks.
    pub fn parse(bytes: &Bytes) -> Result<Answer, WireError> {
        let (kind, to, mut rest) = open(ANSWER, bytes)?;
        let reply = match kind {
            1 => Reply::Opened {
                session: SessionId(rest.try_get_u64().map_err(|_| WireError::Truncated)?),
            },
            2 => Reply::Done {
                data: std::mem::take(&mut rest),
            },
            3 => Reply::NotLeader { leader: None },
            4 => Reply::NotLeader {
                leader: Some(NodeId(rest.try_get_u32().map_err(|_| WireError::Truncated)?)),
            },
            5 => Reply::Busy,
            6 => Reply::Expired,
            7 => Reply::TooLong,
            _ => return Err(WireError::Kind),
        };
        nothing_left(&rest)?;
        Ok(Answer { to, reply })
    }
}

fn begin(magic: [u8; 3], kind: u8, origin: Origin) -> Vec<u8> {
    let mut out = magic.to_vec();
    out.put_u8(kind);
    out.put_u32(origin.node.0);
    out.put_u32(origin.client);
    out.put_u64(origin.request);
    out
}

fn end(mut out: Vec<u8>) -> Bytes {
    out.put_u32(crc32c::crc32c(&out));
    out.into()
}

/// What kind it is, its origin and its fields.
fn open(magic: [u8; 3], bytes: &Bytes) -> Result<(u8, Origin, Bytes), WireError> {
    const HEAD_LEN: usize = 3 + 1 + 4 + 4 + 8;
    if bytes.len() < HEAD_LEN + CHECKSUM_LEN {
        return Err(WireError::Truncated);
    }
    if bytes[..2] != magic[..2] {
        return Err(WireError::Magic);
    }
    if bytes[2] != magic[2] {
        return Err(WireError::Version);
    }
    let (covered, checksum) = bytes.split_at(bytes.len() - CHECKSUM_LEN);
    if crc32c::crc32c(covered).to_be_bytes() != checksum {
        return Err(WireError::Checksum);
    }
    let mut head = &covered[3..HEAD_LEN];
    let kind = head.get_u8();
    let origin = Origin {
        node: NodeId(head.get_u32()),
        client: head.get_u32(),
        request: head.get_u64(),
    };
    Ok((kind, origin, bytes.slice(HEAD_LEN..covered.len())))
}

fn nothing_left(rest: &Bytes) -> Result<(), WireError> {
    if rest.is_empty() {
        Ok(())
    } else {
        Err(WireError::Trailing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORIGIN: Origin = Origin {
        node: NodeId(3),
        client: u32::MAX,
        request: u64::MAX,
    };

    fn requests() -> Vec<Request> {
        let tag = CommandTag {
            kind: 9,
            session: SessionId(1),
            sequence: 2,
            unanswered: 1,
        };
        let data = Bytes::from_static(b"put");
        let query = Bytes::new();
        let asks = [Ask::Open, Ask::Command { tag, data }, Ask::Read { query }];
        asks.into_iter()
            .map(|ask| Request { origin: ORIGIN, ask })
            .collect()
    }

    fn answers() -> Vec<Answer> {
        let replies = [
            Reply::Opened {
                session: SessionId(7),
            },
            Reply::Done {
                data: Bytes::from_static(b"value"),
            },
            Reply::NotLeader { leader: None },
            Reply::NotLeader {
                leader: Some(NodeId(0)),
            },
            Reply::Busy,
            Reply::Expired,
            Reply::TooLong,
        ];
        replies
            .into_iter()
            .map(|reply| Answer { to: ORIGIN, reply })
            .collect()
    }

    #[test]
    fn requests_and_answers_survive_their_bytes() {
        for request in requests() {
            assert_eq!(Request::parse(&request.to_bytes()), Ok(request));
        }
        for answer in answers() {
            assert_eq!(Answer::parse(&answer.to_bytes()), Ok(answer));
        }
    }

    #[test]
    fn every_flipped_bit_and_every_other_length_is_refused() {
        let requests = requests().into_iter().map(|request| request.to_bytes());
        for bytes in requests.chain(answers().into_iter().map(|answer| answer.to_bytes())) {
            let refused = |bytes: Bytes| Request::parse(&bytes).is_err() && Answer::parse(&bytes).is_err();
            for bit in 0..bytes.len() * 8 {
                let mut damaged = bytes.to_vec();
                damaged[bit / 8] ^= 1 << (bit % 8);
                assert!(refused(damaged.into()), "bit {bit}");
            }
            for len in 0..bytes.len() {
                assert!(refused(bytes.slice(..len)), "{len}");
            }
            assert!(refused([&bytes[..], b"x"].concat().into()));
        }
    }
}
