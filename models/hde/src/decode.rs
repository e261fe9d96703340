//! The decoder: checks a frame completely, then installs its pages, all or none.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;
use zstd::bulk::Decompressor;

use crate::body::{Class, ClassCounts, FrameHashes, ZERO_HASH, content_hash};
use crate::cost::DecodeWork;
use crate::header::{BodyForm, FrameHeader, PageRun};
use crate::page::xor_in_place;
use crate::{PAGE_SIZE, varint};

/// The receiver's pages.
pub trait PageStore {
    /// The current content of a page; `None` if there is none yet.
    fn page(&self, number: u64) -> Option<&[u8; PAGE_SIZE]>;
    /// Replaces the content of a page.
    fn install(&mut self, number: u64, content: &[u8; PAGE_SIZE]);
}

impl PageStore for BTreeMap<u64, Box<[u8; PAGE_SIZE]>> {
    fn page(&self, number: u64) -> Option<&[u8; PAGE_SIZE]> {
        self.get(&number).map(Box::as_ref)
    }

    fn install(&mut self, number: u64, content: &[u8; PAGE_SIZE]) {
        **self.entry(number).or_insert_with(|| Box::new([0; PAGE_SIZE])) = *content;
    }
}

/// Why a frame was refused. The store is as it was.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum DecodeError {
    /// The frame ends too early.
    #[error("frame cut off: {needed} bytes needed, {have} there")]
    Truncated {
        /// Bytes needed to get further.
        needed: usize,
        /// Bytes there.
        have: usize,
    },
    /// These bytes are no frame.
    #[error("not a frame")]
    BadMagic,
    /// A frame of another format version.
    #[error("frame format version {0} is not supported")]
    BadVersion(u8),
    /// The header was damaged in transit.
    #[error("header checksum mismatch")]
    HeaderChecksum,
    /// The body was damaged in transit.
    #[error("body checksum mismatch")]
    BodyChecksum,
    /// The frame declares more than a frame may hold.
    #[error("frame larger than allowed")]
    TooLarge,
    /// Sound checksums, but contents that no encoder writes.
    #[error("malformed frame: {0}")]
    Malformed(&'static str),
    /// The body is only a length.
    #[error("a synthetic frame has no body to decode")]
    Synthetic,
    /// The frame builds on a page that the receiver does not have.
    #[error("page {0} is needed and missing")]
    MissingPage(u64),
    /// The frame builds on pages that differ from the receiver's.
    #[error("the receiver's pages are not those that the frame builds on")]
    WrongBaseline,
    /// The decoded pages are not those that were encoded.
    #[error("decoded pages differ from the encoded ones")]
    ResultMismatch,
}

/// What a frame has brought.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct DecodedFrame {
    /// The encoder's number of the frame.
    pub sequence: u64,
    /// The pages installed, ascending.
    pub runs: Vec<PageRun>,
    /// How many pages travelled in which class.
    pub counts: ClassCounts,
    /// Bytes that went through each stage, for a [cost model](crate::CostModel).
    pub work: DecodeWork,
}

/// Decodes frames; holds only buffers, so one decoder can serve any number of stores.
pub struct Decoder {
    decompressor: Decompressor<'static>,
    body: Vec<u8>,
    pages: Vec<[u8; PAGE_SIZE]>,
}

impl Default for Decoder {
    fn default() -> Decoder {
        Decoder::new()
    }
}

impl Decoder {
    /// A decoder.
    pub fn new() -> Decoder {
        Decoder {
            decompressor: Decompressor::new().expect("memory for a zstd context"),
            body: Vec::new(),
            pages: Vec::new(),
        }
    }

    /// Decodes one whole frame and installs its pages in `store`.
    ///
    /// Its buffers stay below 33 MiB, whatever the frame declares.
    ///
    /// # Errors
    /// Any [`DecodeError`]; the store is then untouched.
    pub fn decode<S: PageStore + ?Sized>(
        &mut self,
        frame: &[u8],
        store: &mut S,
    ) -> Result<DecodedFrame, DecodeError> {
        let (header, header_len) = FrameHeader::parse(frame)?;
        let needed = header_len + header.body_len as usize;
        let travelling = &frame[header_len..];
        let body = match header.form {
            BodyForm::Synthetic => return Err(DecodeError::Synthetic),
            _ if frame.len() < needed => {
                return Err(DecodeError::Truncated {
                    needed,
                    have: frame.len(),
                });
            }
            _ if frame.len() > needed => return Err(DecodeError::Malformed("bytes after the body")),
            _ if xxh3_64(travelling) != header.body_checksum => return Err(DecodeError::BodyChecksum),
            BodyForm::Stored => travelling,
            BodyForm::Zstd => {
                decompress(&mut self.decompressor, travelling, header.raw_len, &mut self.body)?;
                &self.body
            }
        };
        let counts = rebuild(&header, body, store, &mut self.pages)?;
        for (number, page) in header.pages().zip(&self.pages) {
            store.install(number, page);
        }
        let rebuilt = (header.page_count() * PAGE_SIZE) as u64;
        Ok(DecodedFrame {
            sequence: header.sequence,
            runs: header.runs,
            counts,
            work: DecodeWork {
                frames: 1,
                entropy: match header.form {
                    BodyForm::Zstd => u64::from(header.raw_len),
                    BodyForm::Stored | BodyForm::Synthetic => 0,
                },
                rebuilt,
                hashed: rebuilt - counts.zero * PAGE_SIZE as u64,
            },
        })
    }
}

/// Decompresses exactly `raw_len` bytes, which the header check has bounded.
fn decompress(
    decompressor: &mut Decompressor<'_>,
    travelling: &[u8],
    raw_len: u32,
    body: &mut Vec<u8>,
) -> Result<(), DecodeError> {
    body.clear();
    body.reserve_exact(raw_len as usize);
    // Writes at most the capacity, which may exceed the length declared.
    match decompressor.decompress_to_buffer(travelling, body) {
        Ok(len) if len == raw_len as usize => Ok(()),
        _ => Err(DecodeError::Malformed("body does not decompress to its length")),
    }
}

/// Rebuilds all pages of a frame in `pages` and checks them against both hashes.
fn rebuild<S: PageStore + ?Sized>(
    header: &FrameHeader,
    body: &[u8],
    store: &S,
    pages: &mut Vec<[u8; PAGE_SIZE]>,
) -> Result<ClassCounts, DecodeError> {
    let page_count = header.page_count();
    let mut columns = Columns::split(body, page_count)?;
    let mut hashes = FrameHashes::default();
    pages.resize(page_count, [0; PAGE_SIZE]);
    for (position, number) in header.pages().enumerate() {
        let (earlier, rest) = pages.split_at_mut(position);
        let page = &mut rest[0];
        match columns.classes[position] {
            Class::Zero => {
                *page = [0; PAGE_SIZE];
                hashes.result(number, ZERO_HASH);
                continue;
            }
            Class::DuplicateInStore => {
                let original = columns.store_reference(number)?;
                *page = *store.page(original).ok_or(DecodeError::MissingPage(original))?;
                hashes.baseline(content_hash(page));
            }
            Class::DuplicateInFrame => *page = earlier[columns.frame_reference(position)?],
            Class::Delta => {
                let baseline = store.page(number).ok_or(DecodeError::MissingPage(number))?;
                hashes.baseline(content_hash(baseline));
                *page = *columns.deltas.next().expect("a delta per class byte");
                xor_in_place(page, baseline);
            }
            Class::Literal => *page = *columns.literals.next().expect("a literal per class byte"),
        }
        hashes.result(number, content_hash(page));
    }
    if !columns.references.is_empty() {
        return Err(DecodeError::Malformed("references left over"));
    }
    if hashes.baseline_hash() != header.baseline_hash {
        return Err(DecodeError::WrongBaseline);
    }
    if hashes.result_hash() != header.result_hash {
        return Err(DecodeError::ResultMismatch);
    }
    Ok(columns.counts)
}

/// A body, cut into its columns.
struct Columns<'a> {
    classes: Vec<Class>,
    counts: ClassCounts,
    references: &'a [u8],
    deltas: std::slice::Iter<'a, [u8; PAGE_SIZE]>,
    literals: std::slice::Iter<'a, [u8; PAGE_SIZE]>,
}

impl<'a> Columns<'a> {
    fn split(body: &'a [u8], page_count: usize) -> Result<Columns<'a>, DecodeError> {
        let too_short = DecodeError::Malformed("body too short for its classes");
        let (codes, rest) = body.split_at_checked(page_count).ok_or(too_short.clone())?;
        let classes: Option<Vec<Class>> = codes.iter().map(|code| Class::from_code(*code)).collect();
        let classes = classes.ok_or(DecodeError::Malformed("unknown page class"))?;
        let mut counts = ClassCounts::default();
        for class in &classes {
            counts.count(*class);
        }
        // At most one page each of a number of pages that the header check has bounded.
        let data_len = (counts.delta + counts.literal) as usize * PAGE_SIZE;
        let references_len = rest.len().checked_sub(data_len).ok_or(too_short)?;
        let (references, data) = rest.split_at(references_len);
        let (deltas, literals) = data.as_chunks().0.split_at(counts.delta as usize);
        Ok(Columns {
            classes,
            counts,
            references,
            deltas: deltas.iter(),
            literals: literals.iter(),
        })
    }

    /// The page of the store to which the next reference, of page `number`, points.
    fn store_reference(&mut self, number: u64) -> Result<u64, DecodeError> {
        varint::take_signed(&mut self.references)
            .and_then(|distance| number.checked_add_signed(distance))
            .ok_or(DecodeError::Malformed("reference to a page of the store"))
    }

    /// The place in the frame to which the next reference, of the page at `position`, points.
    fn frame_reference(&mut self, position: usize) -> Result<usize, DecodeError> {
        varint::take(&mut self.references)
            .and_then(|places| usize::try_from(places).ok())
            .filter(|places| *places > 0)
            .and_then(|places| position.checked_sub(places))
            .ok_or(DecodeError::Malformed("reference to an earlier page"))
    }
}
