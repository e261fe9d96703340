//! The encoder of objects: picks the cheapest kind of frame.

use bytes::Bytes;
use zstd::bulk::Compressor;
use zstd::zstd_safe::CParameter;

use crate::cost::EncodeWork;
use crate::dictionary::{Dictionary, DictionaryName};
use crate::object::frame::{BodyForm, FrameKind, MAX_BODY_OVERHEAD, MAX_REFERENCES, ObjectHeader};
use crate::object::matching::Source;
use crate::object::ops::Step;
use crate::object::{Matching, Object, ObjectName, ObjectOptions, ObjectStats, blocks, matching, ops, wire};

/// The window of zstd: repetitions at a greater distance are found by matching, from 512 bytes on. It bounds what a
/// decoder needs beside the object.
const WINDOW_LOG: u32 = 23;

/// Longer bodies gain nothing from a dictionary, whose content their own first part replaces.
const MAX_DICTIONARY_BODY: usize = 1 << 20;

/// What the name of a dictionary adds to a frame, with small numbers.
const DICTIONARY_NAME_LEN: usize = 10;

/// Smaller objects are cheap to try both ways, and the name of a reference weighs.
const UNDOUBTED: usize = 8 << 10;

/// What the name of a reference adds to a frame, about.
const NAME_LEN: usize = 40;

/// BLAKE3 takes about as long as this many passes of the hash of pages, of which the cost model knows the speed.
pub(super) const HASH_PASSES: u64 = 2;

/// An object, ready to travel.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EncodedObject {
    /// What the frame is and what it needs.
    pub header: ObjectHeader,
    /// The frame.
    pub frame: Bytes,
    /// What it took, the hashing of the object included, for a [`CostModel`](crate::cost::CostModel).
    pub work: EncodeWork,
}

/// Encodes objects into frames. It holds only buffers: what the receiver holds is said with each object.
pub struct ObjectEncoder {
    options: ObjectOptions,
    compressor: Option<Compressor<'static>>,
    /// The compressor with the dictionary that was used last.
    with_dictionary: Option<(DictionaryName, Compressor<'static>)>,
    stats: ObjectStats,
    /// Of the frame under construction.
    work: EncodeWork,
}

/// A frame's body, ready to travel.
struct Body {
    kind: FrameKind,
    references: Vec<ObjectName>,
    form: BodyForm,
    raw_len: usize,
    bytes: Vec<u8>,
    copied: u64,
}

impl ObjectEncoder {
    /// An encoder.
    ///
    /// # Panics
    /// If the level is outside 1 to 19.
    pub fn new(options: ObjectOptions) -> ObjectEncoder {
        let mut encoder = ObjectEncoder {
            options,
            compressor: None,
            with_dictionary: None,
            stats: ObjectStats::default(),
            work: EncodeWork::default(),
        };
        encoder.set_options(options);
        encoder
    }

    /// Works like this from now on; the counters go on.
    ///
    /// # Panics
    /// If the level is outside 1 to 19.
    pub fn set_options(&mut self, options: ObjectOptions) {
        self.compressor = options.level.map(|level| {
            assert!((1..=19).contains(&level), "zstd level {level} outside 1 to 19");
            configured(Compressor::new(level).expect("memory for a zstd context"))
        });
        self.with_dictionary = None;
        self.options = options;
    }

    /// Counters since construction.
    pub fn stats(&self) -> &ObjectStats {
        &self.stats
    }

    /// How it works.
    pub fn options(&self) -> &ObjectOptions {
        &self.options
    }

    /// Encodes `object` for a receiver that holds all of `references`, the baseline first, and `dictionary`.
    ///
    /// # Panics
    /// If there are more than [`MAX_REFERENCES`].
    pub fn encode(
        &mut self,
        object: &Object,
        references: &[&Object],
        dictionary: Option<&Dictionary>,
    ) -> EncodedObject {
        assert!(
            references.len() <= MAX_REFERENCES,
            "{} references, at most {MAX_REFERENCES}",
            references.len()
        );
        let len = object.bytes().len() as u64;
        self.work = EncodeWork {
            frames: 1,
            scanned: len,
            hashed: len * HASH_PASSES,
            ..EncodeWork::default()
        };
        let references = match self.options.matching {
            Matching::None => &[],
            Matching::Blocks => &references[..references.len().min(1)],
            Matching::Content => references,
        };
        let identical = references
            .iter()
            .find(|reference| reference.hash() == object.hash());
        let body = if is_zero(object.bytes()) {
            Body::empty(FrameKind::Zero, Vec::new(), 0)
        } else if let Some(reference) = identical {
            Body::empty(FrameKind::Identical, vec![reference.name().clone()], len)
        } else {
            self.cheapest_body(object, references, dictionary)
        };
        let header = ObjectHeader {
            kind: body.kind,
            object: object.name().clone(),
            object_len: object.bytes().len(),
            references: body.references,
            dictionary: match body.form {
                BodyForm::Dictionary => dictionary.map(Dictionary::name),
                BodyForm::Stored | BodyForm::Zstd => None,
            },
            raw_len: body.raw_len,
            body_len: body.bytes.len(),
            form: body.form,
        };
        let mut frame = Vec::with_capacity(body.bytes.len() + 256);
        header.put(&mut frame);
        frame.extend_from_slice(&body.bytes);
        wire::seal(&mut frame);
        self.count(&header, body.copied, frame.len());
        EncodedObject {
            header,
            frame: frame.into(),
            work: self.work,
        }
    }

    /// The delta, or the whole where that is shorter.
    fn cheapest_body(
        &mut self,
        object: &Object,
        references: &[&Object],
        dictionary: Option<&Dictionary>,
    ) -> Body {
        let target = &object.bytes()[..];
        let mut steps = match self.options.matching {
            Matching::None => Vec::new(),
            Matching::Blocks => references.first().map_or(Vec::new(), |baseline| {
                blocks::find_steps(target, baseline.bytes())
            }),
            Matching::Content => {
                let new = references.iter().filter(|reference| !reference.is_indexed());
                self.work.searched += new.map(|reference| reference.bytes().len() as u64).sum::<u64>();
                let sources: Vec<Source<'_>> =
                    references.iter().map(|reference| reference.source()).collect();
                matching::find_steps(target, &sources)
            }
        };
        let lengths: Vec<usize> = references
            .iter()
            .map(|reference| reference.bytes().len())
            .collect();
        let used = ops::drop_unused(&mut steps, &lengths);
        let names = references.iter().zip(used).filter(|(_, used)| *used);
        let names: Vec<ObjectName> = names.map(|(reference, _)| reference.name().clone()).collect();
        let copied = self.count_matching(target, &steps);
        // With most bytes of a large object copied there is no doubt that a delta is shorter; otherwise what
        // compression makes of the whole decides. Without a reference the steps are those of the whole already.
        if names.is_empty() {
            return self.whole_body(target, &steps, dictionary);
        }
        let names_len = NAME_LEN * names.len();
        let found = self.body(FrameKind::Delta, names, &steps, target, dictionary);
        if copied * 2 >= target.len().max(UNDOUBTED)
            && let Some(found) = found
        {
            return found;
        }
        let steps = match self.options.matching {
            Matching::Content => matching::find_steps(target, &[]),
            Matching::None | Matching::Blocks => Vec::new(),
        };
        self.count_matching(target, &steps);
        let whole = self.whole_body(target, &steps, dictionary);
        found
            .filter(|found| found.bytes.len() + names_len < whole.bytes.len())
            .unwrap_or(whole)
    }

    /// The body of a full frame of these steps, or of none if they would be too long.
    fn whole_body(&mut self, target: &[u8], steps: &[Step], dictionary: Option<&Dictionary>) -> Body {
        let full = FrameKind::Full;
        self.body(full, Vec::new(), steps, target, dictionary)
            .or_else(|| self.body(full, Vec::new(), &[], target, dictionary))
            .expect("without steps the overhead is bounded")
    }

    /// Counts what was copied as compared, and the rest as searched if it was; returns the bytes copied.
    fn count_matching(&mut self, target: &[u8], steps: &[Step]) -> usize {
        let copied: usize = steps.iter().map(|step| step.copy).sum();
        match self.options.matching {
            Matching::None => {}
            Matching::Blocks => self.work.compared += target.len() as u64,
            Matching::Content => {
                self.work.compared += copied as u64;
                self.work.searched += (target.len() - copied) as u64;
            }
        }
        copied
    }

    /// The body of these steps; `None` if it would be longer than any frame allows.
    fn body(
        &mut self,
        kind: FrameKind,
        references: Vec<ObjectName>,
        steps: &[Step],
        target: &[u8],
        dictionary: Option<&Dictionary>,
    ) -> Option<Body> {
        let mut raw = Vec::new();
        ops::write(steps, target, &mut raw);
        if raw.len() > target.len() + MAX_BODY_OVERHEAD {
            return None;
        }
        let copied = steps.iter().map(|step| step.copy as u64).sum();
        let raw_len = raw.len();
        let (form, bytes) = self.compress(raw, dictionary);
        Some(Body {
            kind,
            references,
            form,
            raw_len,
            bytes,
            copied,
        })
    }

    /// The shortest form of a body.
    fn compress(&mut self, raw: Vec<u8>, dictionary: Option<&Dictionary>) -> (BodyForm, Vec<u8>) {
        let (Some(compressor), Some(level)) = (&mut self.compressor, self.options.level) else {
            return (BodyForm::Stored, raw);
        };
        self.work.entropy += raw.len() as u64;
        let compressed = compressor.compress(&raw).expect("memory for the compressed body");
        let plain_len = compressed.len().min(raw.len());
        if let Some(dictionary) = dictionary.filter(|_| raw.len() <= MAX_DICTIONARY_BODY) {
            let name = dictionary.name();
            if self
                .with_dictionary
                .as_ref()
                .is_none_or(|(last, _)| *last != name)
            {
                let compressor = dictionary.compressor(level).expect("memory for a zstd context");
                self.with_dictionary = Some((name, configured(compressor)));
            }
            self.work.entropy += raw.len() as u64;
            let (_, compressor) = self.with_dictionary.as_mut().expect("it was just put there");
            let compressed = compressor.compress(&raw).expect("memory for the compressed body");
            if compressed.len() + DICTIONARY_NAME_LEN < plain_len {
                return (BodyForm::Dictionary, compressed);
            }
        }
        if compressed.len() < raw.len() {
            (BodyForm::Zstd, compressed)
        } else {
            (BodyForm::Stored, raw)
        }
    }

    fn count(&mut self, header: &ObjectHeader, copied: u64, frame_len: usize) {
        let stats = &mut self.stats;
        *match header.kind {
            FrameKind::Zero => &mut stats.zero,
            FrameKind::Identical => &mut stats.identical,
            FrameKind::Delta => &mut stats.delta,
            FrameKind::Full => &mut stats.full,
        } += 1;
        stats.with_dictionary += u64::from(header.dictionary.is_some());
        stats.object_bytes += header.object_len as u64;
        stats.copied_bytes += copied;
        stats.frame_bytes += frame_len as u64;
    }
}

fn is_zero(bytes: &[u8]) -> bool {
    let (strides, rest) = bytes.as_chunks::<64>();
    strides.iter().all(|stride| *stride == [0; 64]) && rest.iter().all(|byte| *byte == 0)
}

/// Sets what all compressors have in common.
fn configured(mut compressor: Compressor<'static>) -> Compressor<'static> {
    for parameter in [
        CParameter::WindowLog(WINDOW_LOG),
        // The frame says these things itself.
        CParameter::ContentSizeFlag(false),
        CParameter::ChecksumFlag(false),
        CParameter::DictIdFlag(false),
    ] {
        compressor
            .set_parameter(parameter)
            .expect("a parameter that zstd supports on every target");
    }
    compressor
}

impl Body {
    /// A frame that says it all in its header.
    fn empty(kind: FrameKind, references: Vec<ObjectName>, copied: u64) -> Body {
        Body {
            kind,
            references,
            form: BodyForm::Stored,
            raw_len: 0,
            bytes: Vec::new(),
            copied,
        }
    }
}

impl Object {
    /// This object as something to copy from.
    fn source(&self) -> Source<'_> {
        Source {
            bytes: self.bytes(),
            index: self.index(),
        }
    }
}
