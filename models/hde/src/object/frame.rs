//! The frame of an object: what it is, what it builds on, and how it is checked.
//!
//! | bytes | field |
//! | --- | --- |
//! | 4 | `LHDO` |
//! | 1 | format version |
//! | 1 | kind, and in the upper four bits the form of the body |
//! | 1 + n | length of the object id, and the id |
//! | varint | version |
//! | varint | length of the object |
//! | 32 | BLAKE3 of the object |
//! | 1 | number of references |
//! | each: 1 + n, varint, 32 | length of its id (0: that of this object) and the id; version; BLAKE3 |
//! | varint, varint, 8 | only with a dictionary: its id, version and fingerprint |
//! | varint | length of the body before compression |
//! | varint | length of the body as it travels |
//! | … | body |
//! | 4 | CRC-32C of everything before |
//!
//! Integers are little-endian. One header has one encoding.

use crate::dictionary::DictionaryName;
use crate::object::{ContentHash, MAX_OBJECT_BYTES, ObjectError, ObjectName, wire};
use crate::varint;

/// Most objects that one frame can refer to.
pub const MAX_REFERENCES: usize = 8;

const MAGIC: [u8; 4] = *b"LHDO";
const VERSION: u8 = 1;

/// A body is never longer than its object and this: a frame that does not copy spends no more on saying so.
pub(super) const MAX_BODY_OVERHEAD: usize = 16;

/// What a frame says about its object.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, serde::Serialize, serde::Deserialize)]
pub enum FrameKind {
    /// All its bytes are zero, or there are none.
    Zero,
    /// It has the bytes of its only reference.
    Identical,
    /// It is built from its references and new bytes.
    Delta,
    /// It is whole.
    Full,
}

/// How the body travels.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum BodyForm {
    Stored,
    Zstd,
    Dictionary,
}

/// The header of a frame.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ObjectHeader {
    /// What kind of frame it is.
    pub kind: FrameKind,
    /// The object that it gives.
    pub object: ObjectName,
    /// Its length in bytes.
    pub object_len: usize,
    /// What the receiver must hold; the baseline first.
    pub references: Vec<ObjectName>,
    /// The dictionary that the receiver must have.
    pub dictionary: Option<DictionaryName>,
    /// Length of the body before compression.
    pub(super) raw_len: usize,
    /// Length of the body as it travels.
    pub(super) body_len: usize,
    pub(super) form: BodyForm,
}

impl ObjectHeader {
    /// Parses and checks a whole frame, its checksum included. What it refers to and what its body says is the
    /// decoder's to check.
    ///
    /// # Errors
    /// If the bytes are not one whole and undamaged frame.
    pub fn parse(frame: &[u8]) -> Result<ObjectHeader, ObjectError> {
        ObjectHeader::parse_with_body(frame).map(|(header, _)| header)
    }

    /// As [`parse`](Self::parse), with the body as it travels.
    pub(super) fn parse_with_body(frame: &[u8]) -> Result<(ObjectHeader, &[u8]), ObjectError> {
        let mut rest = frame;
        let header = ObjectHeader::take(&mut rest)?;
        let needed = frame.len() - rest.len() + header.body_len + wire::CHECKSUM_LEN;
        if frame.len() < needed {
            return Err(ObjectError::Truncated);
        }
        if frame.len() > needed {
            return Err(ObjectError::Malformed("bytes after the frame"));
        }
        wire::unseal(frame)?;
        header.check()?;
        Ok((header, &rest[..rest.len() - wire::CHECKSUM_LEN]))
    }

    /// Writes the header.
    pub(super) fn put(&self, out: &mut Vec<u8>) {
        debug_assert_eq!(self.check(), Ok(()));
        out.extend_from_slice(&MAGIC);
        out.push(VERSION);
        out.push(self.kind as u8 | (self.form as u8) << 4);
        wire::put_id(out, &self.object.id);
        varint::put(out, self.object.version);
        varint::put(out, self.object_len as u64);
        out.extend_from_slice(&self.object.hash.0);
        out.push(self.references.len() as u8);
        for reference in &self.references {
            if reference.id == self.object.id {
                out.push(0);
            } else {
                wire::put_id(out, &reference.id);
            }
            varint::put(out, reference.version);
            out.extend_from_slice(&reference.hash.0);
        }
        if let Some(dictionary) = &self.dictionary {
            wire::put_dictionary(out, dictionary);
        }
        varint::put(out, self.raw_len as u64);
        varint::put(out, self.body_len as u64);
    }

    /// Takes a header from the front of `rest`. Its fields are in range; nothing else has been checked.
    fn take(rest: &mut &[u8]) -> Result<ObjectHeader, ObjectError> {
        let [magic @ .., version, kind_and_form] = wire::take_array::<6>(rest)?;
        if magic != MAGIC {
            return Err(ObjectError::BadMagic);
        }
        if version != VERSION {
            return Err(ObjectError::BadVersion(version));
        }
        let kind = match kind_and_form & 0xf {
            0 => FrameKind::Zero,
            1 => FrameKind::Identical,
            2 => FrameKind::Delta,
            3 => FrameKind::Full,
            _ => return Err(ObjectError::Malformed("unknown kind")),
        };
        let form = match kind_and_form >> 4 {
            0 => BodyForm::Stored,
            1 => BodyForm::Zstd,
            2 => BodyForm::Dictionary,
            _ => return Err(ObjectError::Malformed("unknown form of the body")),
        };
        let id = wire::take_id(rest)?.ok_or(ObjectError::Malformed("object without an id"))?;
        let version = wire::take_varint(rest)?;
        let object_len = take_len(rest)?;
        let hash = ContentHash(wire::take_array(rest)?);
        let [count] = wire::take_array(rest)?;
        if usize::from(count) > MAX_REFERENCES {
            return Err(ObjectError::Malformed("too many references"));
        }
        let mut references = Vec::with_capacity(usize::from(count));
        for _ in 0..count {
            let named = wire::take_id(rest)?;
            if named.as_ref() == Some(&id) {
                return Err(ObjectError::Malformed("own id written out"));
            }
            references.push(ObjectName {
                id: named.unwrap_or_else(|| id.clone()),
                version: wire::take_varint(rest)?,
                hash: ContentHash(wire::take_array(rest)?),
            });
        }
        let dictionary = match form {
            BodyForm::Dictionary => Some(wire::take_dictionary(rest)?),
            BodyForm::Stored | BodyForm::Zstd => None,
        };
        Ok(ObjectHeader {
            kind,
            object: ObjectName { id, version, hash },
            object_len,
            references,
            dictionary,
            raw_len: take_len(rest)?,
            body_len: take_len(rest)?,
            form,
        })
    }

    /// What must hold for every header, written or read.
    fn check(&self) -> Result<(), ObjectError> {
        let references = match self.kind {
            FrameKind::Zero | FrameKind::Full => 0..=0,
            FrameKind::Identical => 1..=1,
            FrameKind::Delta => 1..=MAX_REFERENCES,
        };
        if !references.contains(&self.references.len()) {
            return Err(ObjectError::Malformed("references contradict the kind"));
        }
        let sound = match (self.kind, self.form) {
            (FrameKind::Zero | FrameKind::Identical, form) => {
                form == BodyForm::Stored && self.raw_len == 0 && self.body_len == 0
            }
            (FrameKind::Delta | FrameKind::Full, BodyForm::Stored) => self.body_len == self.raw_len,
            // A body that compression does not shorten is stored.
            (FrameKind::Delta | FrameKind::Full, _) => self.body_len < self.raw_len,
        };
        if !sound || self.raw_len > self.object_len.saturating_add(MAX_BODY_OVERHEAD) {
            return Err(ObjectError::Malformed("lengths contradict the kind"));
        }
        Ok(())
    }
}

fn take_len(rest: &mut &[u8]) -> Result<usize, ObjectError> {
    let len = wire::take_varint(rest)?;
    usize::try_from(len)
        .ok()
        .filter(|len| *len <= MAX_OBJECT_BYTES + MAX_BODY_OVERHEAD)
        .ok_or(ObjectError::TooLarge { bytes: len })
}
