//! The codec for byte objects: cluster state, configuration, blobs, of any size from nothing to 4 GiB.
//!
//! An [`Object`] is one version of some bytes under an [`ObjectId`]. An [`ObjectEncoder`] turns it into one
//! self-describing frame, and an [`ObjectDecoder`] that can look up what the frame refers to turns that back into the
//! object. The frame is the cheapest of four kinds, from the top down:
//!
//! 1. **zero**: a length, no data; the empty object is one of these;
//! 2. **identical**: the name of an object that the receiver holds and that has the same bytes;
//! 3. **delta**: copies from objects that the receiver holds, first among them the baseline, and from the result
//!    itself (duplicate parts), with what is new in between;
//! 4. **full**: the same without references to other objects.
//!
//! Copies are found at any distance, byte by byte ([`Matching::Content`]), or block by block at the same position
//! ([`Matching::Blocks`], the block delta of the original system done right). What is left is compressed with
//! zstd, on request with a shared trained [`Dictionary`](crate::dictionary::Dictionary), and stored as it is where
//! that does not pay.
//!
//! Every frame names what it was built on by id, version and BLAKE3 hash, carries a checksum of itself and the BLAKE3
//! hash of the result. A frame that was cut or damaged, a baseline of another content and an unknown or different
//! dictionary are typed errors ([`ObjectError`]), never wrong bytes.
//!
//! Nothing here quantises: an object is opaque bytes, and dropping bits of opaque bytes destroys state. A caller
//! that knows a numeric field and its error bound rounds it before it makes the object.
//!
//! ```
//! use longhaul_hde::object::{Object, ObjectDecoder, ObjectEncoder, ObjectId, ObjectOptions};
//!
//! let id = ObjectId::new("cluster/eu-west").unwrap();
//! let first = Object::new(id.clone(), 1, vec![7; 50_000]).unwrap();
//! let mut bytes = first.bytes().to_vec();
//! bytes.insert(100, 8);
//! let second = Object::new(id, 2, bytes).unwrap();
//!
//! let mut encoder = ObjectEncoder::new(ObjectOptions::wan());
//! let frame = encoder.encode(&second, &[&first], None).frame;
//! assert!(frame.len() < 150);
//!
//! // The receiver holds the first version.
//! let mut held = vec![first];
//! let decoded = ObjectDecoder::new(1 << 20).decode(&frame, &mut held).unwrap();
//! assert_eq!(decoded.object, second);
//! ```

mod blocks;
mod decode;
mod encode;
mod frame;
mod index;
mod matching;
mod ops;
mod options;
mod sketch;
pub(crate) mod wire;

use std::fmt;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

pub use blocks::{BLOCK_SIZE, SEED_EFFICIENT_CHANGE, seed_block_delta};
pub use decode::{DecodedObject, ObjectDecoder, ObjectError, References};
pub use encode::{EncodedObject, ObjectEncoder};
pub use frame::{FrameKind, MAX_REFERENCES, ObjectHeader};
pub use options::{Matching, ObjectOptions, ObjectStats};

use index::SampleIndex;
pub(crate) use sketch::Sketch;

/// The largest object, in bytes.
pub const MAX_OBJECT_BYTES: usize = u32::MAX as usize;

/// Longest object id, in bytes.
pub const MAX_ID_BYTES: usize = 255;

/// The name under which the versions of an object follow each other: 1 to 255 bytes of UTF-8.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ObjectId(Arc<str>);

/// A text that is empty or longer than [`MAX_ID_BYTES`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("an object id has 1 to {MAX_ID_BYTES} bytes, not {0}")]
pub struct ObjectIdError(pub usize);

impl ObjectId {
    /// The id of this text.
    ///
    /// # Errors
    /// If it is empty or longer than [`MAX_ID_BYTES`].
    pub fn new(text: &str) -> Result<ObjectId, ObjectIdError> {
        if (1..=MAX_ID_BYTES).contains(&text.len()) {
            Ok(ObjectId(text.into()))
        } else {
            Err(ObjectIdError(text.len()))
        }
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for ObjectId {
    type Error = ObjectIdError;

    fn try_from(text: String) -> Result<ObjectId, ObjectIdError> {
        ObjectId::new(&text)
    }
}

impl From<ObjectId> for String {
    fn from(id: ObjectId) -> String {
        id.as_str().to_owned()
    }
}

/// A BLAKE3 hash of some bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ContentHash(pub [u8; 32]);

impl ContentHash {
    /// The hash of `bytes`.
    pub fn of(bytes: &[u8]) -> ContentHash {
        ContentHash(*blake3::hash(bytes).as_bytes())
    }
}

impl fmt::Debug for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Eight bytes tell any two apart for a reader.
        self.0[..8].iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        f.write_str("…")
    }
}

/// Which version of which object, with what content.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct ObjectName {
    /// The object.
    pub id: ObjectId,
    /// Its version.
    pub version: u64,
    /// The hash of its bytes.
    pub hash: ContentHash,
}

/// One version of an object's bytes, which nothing changes any more. Clones share the bytes.
#[derive(Clone)]
pub struct Object(Arc<Shared>);

struct Shared {
    name: ObjectName,
    bytes: Bytes,
    /// Where which content is found; built when the object first serves as a reference.
    index: OnceLock<SampleIndex>,
}

/// More bytes than [`MAX_OBJECT_BYTES`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("an object of {0} bytes; at most {MAX_OBJECT_BYTES}")]
pub struct ObjectTooLarge(pub usize);

impl Object {
    /// This version of an object. Hashes the bytes.
    ///
    /// # Errors
    /// If there are more than [`MAX_OBJECT_BYTES`].
    pub fn new(id: ObjectId, version: u64, bytes: impl Into<Bytes>) -> Result<Object, ObjectTooLarge> {
        let bytes = bytes.into();
        if bytes.len() > MAX_OBJECT_BYTES {
            return Err(ObjectTooLarge(bytes.len()));
        }
        let hash = ContentHash::of(&bytes);
        Ok(Object::of_known_hash(ObjectName { id, version, hash }, bytes))
    }

    /// An object whose hash was computed already.
    fn of_known_hash(name: ObjectName, bytes: Bytes) -> Object {
        Object(Arc::new(Shared {
            name,
            bytes,
            index: OnceLock::new(),
        }))
    }

    /// Its full name.
    pub fn name(&self) -> &ObjectName {
        &self.0.name
    }

    /// Which object this is a version of.
    pub fn id(&self) -> &ObjectId {
        &self.0.name.id
    }

    /// Its version.
    pub fn version(&self) -> u64 {
        self.0.name.version
    }

    /// The hash of its bytes.
    pub fn hash(&self) -> ContentHash {
        self.0.name.hash
    }

    /// Its bytes.
    pub fn bytes(&self) -> &Bytes {
        &self.0.bytes
    }

    /// Bytes of memory that it takes in a store, once it has served as a reference: its content, the index of it, and
    /// a flat 512 bytes for names and bookkeeping.
    pub fn memory_bytes(&self) -> u64 {
        self.0.bytes.len() as u64 + SampleIndex::memory_bytes(self.0.bytes.len()) + 512
    }

    /// What its content is like.
    pub(crate) fn sketch(&self) -> Sketch {
        Sketch::of(&self.0.bytes)
    }

    fn is_indexed(&self) -> bool {
        self.0.index.get().is_some()
    }

    fn index(&self) -> &SampleIndex {
        self.0.index.get_or_init(|| SampleIndex::of(&self.0.bytes))
    }
}

impl PartialEq for Object {
    fn eq(&self, other: &Object) -> bool {
        // The name holds the hash of the bytes.
        self.0.name == other.0.name
    }
}

impl Eq for Object {}

impl fmt::Debug for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Object")
            .field("id", &self.id().as_str())
            .field("version", &self.version())
            .field("hash", &self.hash())
            .field("bytes", &self.bytes().len())
            .finish()
    }
}
