//! Shared dictionaries: what many small objects have in common, known to both ends beforehand.
//!
//! A dictionary is trained from samples ([`DictionaryTrainer`]), gets an id and a version, and travels like any object:
//! a sender uses it once the receiver has acknowledged it. Frames name it by id, version and a fingerprint of its
//! content, and a decoder without exactly that dictionary refuses them.

use std::collections::VecDeque;
use std::fmt;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use zstd::bulk::{Compressor, Decompressor};

use crate::object::{ContentHash, Object, ObjectId};

/// Smallest dictionary, in bytes.
pub const MIN_DICTIONARY_BYTES: usize = 1 << 10;

/// Largest dictionary, in bytes.
pub const MAX_DICTIONARY_BYTES: usize = 1 << 20;

/// Ids of objects that are dictionaries begin with this.
pub const OBJECT_ID_PREFIX: &str = "longhaul:dictionary/";

/// Longest sample that training looks at, in bytes: zstd takes no more of one into account.
const MAX_SAMPLE_BYTES: usize = 128 << 10;

/// What a frame calls the dictionary that it needs.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct DictionaryName {
    /// Its id: for what kind of objects it was trained.
    pub id: u32,
    /// Its version.
    pub version: u32,
    /// The first eight bytes of the BLAKE3 hash of its content.
    pub fingerprint: [u8; 8],
}

/// A dictionary. Clones share its content.
#[derive(Clone, PartialEq, Eq)]
pub struct Dictionary {
    name: DictionaryName,
    content: Bytes,
}

/// Why there is no dictionary.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum DictionaryError {
    /// Its length is outside [`MIN_DICTIONARY_BYTES`] to [`MAX_DICTIONARY_BYTES`].
    #[error("a dictionary of {0} bytes; {MIN_DICTIONARY_BYTES} to {MAX_DICTIONARY_BYTES} are possible")]
    Size(usize),
    /// It begins like a trained dictionary of zstd and is none.
    #[error("not a dictionary that zstd accepts")]
    Malformed,
    /// The samples are too few, or have too little in common.
    #[error("{samples} samples of {bytes} bytes in all are too little to train a dictionary from")]
    TooFewSamples {
        /// How many there were.
        samples: usize,
        /// Their length together.
        bytes: usize,
    },
}

impl Dictionary {
    /// The dictionary of this content: what a [`DictionaryTrainer`] made, or any bytes that are typical of the
    /// objects, the most typical last (zstd, "raw content dictionary").
    ///
    /// # Errors
    /// [`DictionaryError::Size`] and [`DictionaryError::Malformed`].
    pub fn new(id: u32, version: u32, content: impl Into<Bytes>) -> Result<Dictionary, DictionaryError> {
        let content = content.into();
        if !(MIN_DICTIONARY_BYTES..=MAX_DICTIONARY_BYTES).contains(&content.len()) {
            return Err(DictionaryError::Size(content.len()));
        }
        let fingerprint = *ContentHash::of(&content).0.first_chunk().expect("32 bytes");
        let name = DictionaryName {
            id,
            version,
            fingerprint,
        };
        let dictionary = Dictionary { name, content };
        // Either side finds out at its first use, which must not fail later.
        let sound = dictionary
            .compressor(1)
            .is_some_and(|mut it| it.compress(b"trial").is_ok())
            && dictionary.decompressor().is_some();
        if sound {
            Ok(dictionary)
        } else {
            Err(DictionaryError::Malformed)
        }
    }

    /// What frames call it.
    pub fn name(&self) -> DictionaryName {
        self.name
    }

    /// Its content.
    pub fn content(&self) -> &Bytes {
        &self.content
    }

    /// The id of the object that is the dictionary of this id.
    pub fn object_id(id: u32) -> ObjectId {
        ObjectId::new(&format!("{OBJECT_ID_PREFIX}{id}")).expect("a short id")
    }

    /// The dictionary as an object, so that it can be propagated like any other.
    pub fn to_object(&self) -> Object {
        let version = u64::from(self.name.version);
        Object::new(Dictionary::object_id(self.name.id), version, self.content.clone())
            .expect("a dictionary is short")
    }

    /// The dictionary in an object that [`to_object`](Self::to_object) made; `None` for any other object.
    ///
    /// # Errors
    /// If the object should be a dictionary and its content is none.
    pub fn from_object(object: &Object) -> Result<Option<Dictionary>, DictionaryError> {
        let id = object.id().as_str().strip_prefix(OBJECT_ID_PREFIX);
        let (Some(Ok(id)), Ok(version)) = (id.map(str::parse), u32::try_from(object.version())) else {
            return Ok(None);
        };
        Dictionary::new(id, version, object.bytes().clone()).map(Some)
    }

    /// A compressor that uses it.
    pub(crate) fn compressor(&self, level: i32) -> Option<Compressor<'static>> {
        Compressor::with_dictionary(level, &self.content).ok()
    }

    /// A decompressor that uses it.
    pub(crate) fn decompressor(&self) -> Option<Decompressor<'static>> {
        Decompressor::with_dictionary(&self.content).ok()
    }
}

impl fmt::Debug for Dictionary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dictionary")
            .field("name", &self.name)
            .field("bytes", &self.content.len())
            .finish()
    }
}

/// Collects samples and trains dictionaries from the latest of them.
#[derive(Clone, Debug)]
pub struct DictionaryTrainer {
    dictionary_bytes: usize,
    memory_bytes: usize,
    samples: VecDeque<Bytes>,
    held_bytes: usize,
}

impl DictionaryTrainer {
    /// A trainer of dictionaries of at most `dictionary_bytes` that holds at most `memory_bytes` of samples, the
    /// latest. zstd recommends a hundred times as many bytes of samples as of dictionary.
    ///
    /// # Errors
    /// [`DictionaryError::Size`] for a dictionary that is too small or too large.
    pub fn new(dictionary_bytes: usize, memory_bytes: usize) -> Result<DictionaryTrainer, DictionaryError> {
        if !(MIN_DICTIONARY_BYTES..=MAX_DICTIONARY_BYTES).contains(&dictionary_bytes) {
            return Err(DictionaryError::Size(dictionary_bytes));
        }
        Ok(DictionaryTrainer {
            dictionary_bytes,
            memory_bytes,
            samples: VecDeque::new(),
            held_bytes: 0,
        })
    }

    /// Takes a sample; of a long one its beginning. The oldest make room for it.
    pub fn add(&mut self, sample: &[u8]) {
        let sample = &sample[..sample.len().min(MAX_SAMPLE_BYTES)];
        if sample.is_empty() || sample.len() > self.memory_bytes {
            return;
        }
        self.held_bytes += sample.len();
        self.samples.push_back(Bytes::copy_from_slice(sample));
        while self.held_bytes > self.memory_bytes {
            let oldest = self.samples.pop_front().expect("what is held is in samples");
            self.held_bytes -= oldest.len();
        }
    }

    /// Bytes of samples held.
    pub fn held_bytes(&self) -> usize {
        self.held_bytes
    }

    /// Trains a dictionary from the samples held. The same samples give the same dictionary.
    ///
    /// # Errors
    /// [`DictionaryError::TooFewSamples`].
    pub fn train(&self, id: u32, version: u32) -> Result<Dictionary, DictionaryError> {
        let lengths: Vec<usize> = self.samples.iter().map(Bytes::len).collect();
        let bytes: Vec<u8> = self.samples.iter().flatten().copied().collect();
        let too_few = DictionaryError::TooFewSamples {
            samples: lengths.len(),
            bytes: bytes.len(),
        };
        let content = zstd::dict::from_continuous(&bytes, &lengths, self.dictionary_bytes);
        Dictionary::new(id, version, content.map_err(|_| too_few)?).map_err(|_| too_few)
    }
}
