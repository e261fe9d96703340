//! What a receiver answers, as bytes.
//!
//! | bytes | field |
//! | --- | --- |
//! | 4, 1 | `LHDR` and the format version |
//! | 1 | kind: 0 held, 1 to 5 the refusals in their order, 6 hello |
//! | varint | incarnation of the receiver |
//! | 1 + n, varint, 32 | except in a hello: id, version and BLAKE3 of the object that the reply is about |
//! | as above | only for a refused reference: its id, version and BLAKE3 |
//! | varint, varint, 8 | only for a refused dictionary: its id, version and fingerprint |
//! | varint | only for an object too large: the largest accepted |
//! | 4 | CRC-32C of everything before |

use serde::{Deserialize, Serialize};

use crate::dictionary::DictionaryName;
use crate::object::{ObjectError, ObjectName, wire};
use crate::varint;

const MAGIC: [u8; 4] = *b"LHDR";
const VERSION: u8 = 1;

/// What a receiver says, of its own accord or in answer to a frame.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Reply {
    /// Which life of the receiver speaks. What an earlier one held is lost.
    pub incarnation: u64,
    /// What it says.
    pub says: Says,
}

/// What a receiver says.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Says {
    /// It is there.
    Hello,
    /// It holds this version: the one that was sent, or a later one.
    Held(ObjectName),
    /// It cannot use the frame of this object.
    Refused {
        /// The object of the frame.
        object: ObjectName,
        /// Why.
        why: Refusal,
    },
}

/// Why a receiver cannot use a frame.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Refusal {
    /// It does not hold this object, or another content under its name.
    Reference(ObjectName),
    /// It does not have this dictionary, or another content under its name.
    Dictionary(DictionaryName),
    /// It accepts no object of that size.
    TooLarge {
        /// The largest that it accepts, in bytes.
        max_bytes: u64,
    },
    /// It tracks as many objects as it may.
    TooManyObjects,
    /// The frame does not decode to what it says.
    Undecodable,
}

/// Bytes that are no reply.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("not a reply of a baseline receiver: {0}")]
pub struct ReplyError(ObjectError);

impl Reply {
    /// Its bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(64);
        out.extend_from_slice(&MAGIC);
        out.push(VERSION);
        out.push(match &self.says {
            Says::Held(_) => 0,
            Says::Refused { why, .. } => match why {
                Refusal::Reference(_) => 1,
                Refusal::Dictionary(_) => 2,
                Refusal::TooLarge { .. } => 3,
                Refusal::TooManyObjects => 4,
                Refusal::Undecodable => 5,
            },
            Says::Hello => 6,
        });
        varint::put(&mut out, self.incarnation);
        match &self.says {
            Says::Hello => {}
            Says::Held(object) => wire::put_name(&mut out, object),
            Says::Refused { object, why } => {
                wire::put_name(&mut out, object);
                match why {
                    Refusal::Reference(name) => wire::put_name(&mut out, name),
                    Refusal::Dictionary(name) => wire::put_dictionary(&mut out, name),
                    Refusal::TooLarge { max_bytes } => varint::put(&mut out, *max_bytes),
                    Refusal::TooManyObjects | Refusal::Undecodable => {}
                }
            }
        }
        wire::seal(&mut out);
        out
    }

    /// Reads a reply.
    ///
    /// # Errors
    /// If the bytes are not one whole and undamaged reply.
    pub fn decode(bytes: &[u8]) -> Result<Reply, ReplyError> {
        Reply::take(bytes).map_err(ReplyError)
    }

    fn take(bytes: &[u8]) -> Result<Reply, ObjectError> {
        let mut rest = wire::unseal(bytes)?;
        let [magic @ .., version, kind] = wire::take_array::<6>(&mut rest)?;
        if magic != MAGIC {
            return Err(ObjectError::BadMagic);
        }
        if version != VERSION {
            return Err(ObjectError::BadVersion(version));
        }
        let incarnation = wire::take_varint(&mut rest)?;
        let says = match kind {
            0 => Says::Held(wire::take_name(&mut rest)?),
            6 => Says::Hello,
            _ => Says::Refused {
                object: wire::take_name(&mut rest)?,
                why: match kind {
                    1 => Refusal::Reference(wire::take_name(&mut rest)?),
                    2 => Refusal::Dictionary(wire::take_dictionary(&mut rest)?),
                    3 => Refusal::TooLarge {
                        max_bytes: wire::take_varint(&mut rest)?,
                    },
                    4 => Refusal::TooManyObjects,
                    5 => Refusal::Undecodable,
                    _ => return Err(ObjectError::Malformed("unknown kind")),
                },
            },
        };
        if !rest.is_empty() {
            return Err(ObjectError::Malformed("bytes after the reply"));
        }
        Ok(Reply { incarnation, says })
    }
}
