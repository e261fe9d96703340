//! The decoder of objects, and every reason to refuse a frame.

use zstd::bulk::Decompressor;

use crate::cost::DecodeWork;
use crate::dictionary::{Dictionary, DictionaryName};
use crate::object::encode::HASH_PASSES;
use crate::object::frame::{BodyForm, FrameKind, ObjectHeader};
use crate::object::{ContentHash, Object, ObjectName, ops};

/// A larger buffer is not kept from one frame to the next.
const KEPT_BYTES: usize = 4 << 20;

/// What a receiver holds: a frame is decoded against it.
///
/// A holder may answer with an object of the same id and version and another content; the decoder notices.
pub trait References {
    /// The object of this id and version.
    fn object(&mut self, name: &ObjectName) -> Option<Object>;

    /// The dictionary of this id and version.
    fn dictionary(&mut self, name: &DictionaryName) -> Option<Dictionary>;
}

impl References for Vec<Object> {
    fn object(&mut self, name: &ObjectName) -> Option<Object> {
        self.iter()
            .find(|object| (object.id(), object.version()) == (&name.id, name.version))
            .cloned()
    }

    fn dictionary(&mut self, _: &DictionaryName) -> Option<Dictionary> {
        None
    }
}

/// Why a frame was refused.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ObjectError {
    /// The frame ends too early.
    #[error("frame cut off")]
    Truncated,
    /// These bytes are no frame of an object.
    #[error("not an object frame")]
    BadMagic,
    /// A frame of another format version.
    #[error("object frame format version {0} is not supported")]
    BadVersion(u8),
    /// The frame was damaged in transit.
    #[error("frame checksum mismatch")]
    Checksum,
    /// The object is larger than this receiver, or any, accepts.
    #[error("an object of {bytes} bytes is larger than allowed")]
    TooLarge {
        /// Its length.
        bytes: u64,
    },
    /// A sound checksum, but contents that no encoder writes.
    #[error("malformed frame: {0}")]
    Malformed(&'static str),
    /// The frame builds on an object that the receiver does not hold.
    #[error("version {} of {} is needed and missing", .0.version, .0.id)]
    MissingReference(Box<ObjectName>),
    /// The receiver's object of that id and version has another content.
    #[error("version {} of {} has another content here", .0.version, .0.id)]
    WrongReference(Box<ObjectName>),
    /// The frame needs a dictionary that the receiver does not have.
    #[error("version {} of dictionary {} is needed and missing", .0.version, .0.id)]
    UnknownDictionary(DictionaryName),
    /// The receiver's dictionary of that id and version has another content.
    #[error("version {} of dictionary {} has another content here", .0.version, .0.id)]
    WrongDictionary(DictionaryName),
    /// The decoded bytes are not those that were encoded.
    #[error("decoded bytes differ from the encoded ones")]
    ResultMismatch,
}

/// What a frame has brought.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DecodedObject {
    /// The object. Its hash has been checked.
    pub object: Object,
    /// How it came.
    pub kind: FrameKind,
    /// What it was built on; the baseline first.
    pub references: Vec<ObjectName>,
    /// What it took, for a [`CostModel`](crate::cost::CostModel).
    pub work: DecodeWork,
}

/// Decodes frames; holds only buffers, so one decoder can serve any number of holders.
pub struct ObjectDecoder {
    max_object_bytes: usize,
    decompressor: Decompressor<'static>,
    /// The decompressor with the dictionary that was used last.
    with_dictionary: Option<(DictionaryName, Decompressor<'static>)>,
    body: Vec<u8>,
}

impl ObjectDecoder {
    /// A decoder that refuses objects of more than this many bytes. What a frame can make it allocate is about twice
    /// that.
    pub fn new(max_object_bytes: usize) -> ObjectDecoder {
        ObjectDecoder {
            max_object_bytes,
            decompressor: Decompressor::new().expect("memory for a zstd context"),
            with_dictionary: None,
            body: Vec::new(),
        }
    }

    /// Decodes one whole frame.
    ///
    /// # Errors
    /// Any [`ObjectError`].
    pub fn decode(
        &mut self,
        frame: &[u8],
        held: &mut (impl References + ?Sized),
    ) -> Result<DecodedObject, ObjectError> {
        let (header, travelling) = ObjectHeader::parse_with_body(frame)?;
        if header.object_len > self.max_object_bytes {
            return Err(ObjectError::TooLarge {
                bytes: header.object_len as u64,
            });
        }
        if self.body.capacity() > KEPT_BYTES {
            self.body = Vec::new();
        }
        let sources = look_up(&header, held)?;
        let bytes = match header.kind {
            FrameKind::Zero => vec![0; header.object_len].into(),
            FrameKind::Identical => sources[0].bytes().clone(),
            FrameKind::Delta | FrameKind::Full => {
                let body = match header.form {
                    BodyForm::Stored => travelling,
                    BodyForm::Zstd | BodyForm::Dictionary => self.decompress(&header, travelling, held)?,
                };
                let sources: Vec<&[u8]> = sources.iter().map(|source| &source.bytes()[..]).collect();
                ops::apply(body, &sources, header.object_len)?.into()
            }
        };
        if bytes.len() != header.object_len {
            return Err(ObjectError::Malformed(
                "length differs from that of the reference",
            ));
        }
        // The bytes of an identical object were hashed when it was made.
        let known = (header.kind == FrameKind::Identical).then(|| sources[0].hash());
        if known.unwrap_or_else(|| ContentHash::of(&bytes)) != header.object.hash {
            return Err(ObjectError::ResultMismatch);
        }
        let compressed = header.form != BodyForm::Stored;
        let len = bytes.len() as u64;
        let work = DecodeWork {
            frames: 1,
            entropy: if compressed { header.raw_len as u64 } else { 0 },
            rebuilt: len,
            hashed: if known.is_none() { len * HASH_PASSES } else { 0 },
        };
        Ok(DecodedObject {
            work,
            object: Object::of_known_hash(header.object, bytes),
            kind: header.kind,
            references: header.references,
        })
    }

    /// Decompresses exactly the declared length, which is bounded by that of the object.
    fn decompress(
        &mut self,
        header: &ObjectHeader,
        travelling: &[u8],
        held: &mut (impl References + ?Sized),
    ) -> Result<&[u8], ObjectError> {
        let decompressor = match &header.dictionary {
            None => &mut self.decompressor,
            Some(name) => {
                let dictionary = held.dictionary(name);
                let dictionary = dictionary.ok_or(ObjectError::UnknownDictionary(*name))?;
                if dictionary.name() != *name {
                    return Err(ObjectError::WrongDictionary(*name));
                }
                if self.with_dictionary.as_ref().is_none_or(|(last, _)| last != name) {
                    let decompressor = dictionary.decompressor().expect("memory for a zstd context");
                    self.with_dictionary = Some((*name, decompressor));
                }
                &mut self.with_dictionary.as_mut().expect("it was just put there").1
            }
        };
        self.body.clear();
        self.body.reserve_exact(header.raw_len);
        let result = decompressor.decompress_to_buffer(travelling, &mut self.body);
        match result {
            // It writes at most the capacity, which may exceed the length declared.
            Ok(len) if len == header.raw_len => Ok(&self.body),
            _ => Err(ObjectError::Malformed("body does not decompress to its length")),
        }
    }
}

/// The objects that a frame refers to.
fn look_up(header: &ObjectHeader, held: &mut (impl References + ?Sized)) -> Result<Vec<Object>, ObjectError> {
    let references = header.references.iter();
    references
        .map(|name| {
            let object = held.object(name);
            let object = object.ok_or_else(|| ObjectError::MissingReference(Box::new(name.clone())))?;
            if object.hash() == name.hash {
                Ok(object)
            } else {
                Err(ObjectError::WrongReference(Box::new(name.clone())))
            }
        })
        .collect()
}
