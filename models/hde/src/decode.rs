//! The decoder: checks a frame completely, then installs its pages, all or none.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use crate::body::{ClassCounts, ResultHash, ZERO_HASH, content_hash};
use crate::contents::ImageId;
use crate::cost::DecodeWork;
use crate::dictionary::{Dictionary, DictionaryName};
use crate::entropy::SectionReader;
use crate::header::{BodyForm, FrameHeader, PageRun};
use crate::plan::{self, Class, Context, LITERAL_SORTS, Origin, Piece, Plan, Recipe, segments};
use crate::units::{UNIT, bytes};
use crate::{MAX_PAGES_PER_FRAME, PAGE_SIZE};

type Page = [u8; PAGE_SIZE];

/// The receiver's pages.
pub trait PageStore {
    /// The current content of a page; `None` if there is none yet.
    fn page(&self, number: u64) -> Option<&[u8; PAGE_SIZE]>;
    /// The content of a page of another image, for frames that take from it; by default there is none.
    fn page_of(&self, image: ImageId, number: u64) -> Option<&[u8; PAGE_SIZE]> {
        let _ = (image, number);
        None
    }
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
    /// The frame is not the one that follows the frame decoded last: it is repeated, early, late, or of another
    /// encoder.
    #[error("the frame does not follow the one decoded last")]
    OutOfOrder,
    /// The frame was encoded with a dictionary that the decoder does not have.
    #[error("dictionary {} in version {} is needed and missing", .0.id, .0.version)]
    UnknownDictionary(DictionaryName),
    /// The frame builds on a page that the receiver does not have.
    #[error("page {0} is needed and missing")]
    MissingPage(u64),
    /// The frame builds on a page of another image that the receiver does not have.
    #[error("page {page} of image {image:#x} is needed and missing")]
    MissingImagePage {
        /// The image.
        image: u64,
        /// The page.
        page: u64,
    },
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

/// Decodes frames.
///
/// A [new](Decoder::new) decoder is for the frames of one encoder in the order in which they were encoded: it takes any
/// frame as its first, and from then on refuses all but the next one as [`DecodeError::OutOfOrder`]. One that is
/// [unordered](Decoder::unordered) leaves the order to its caller. Besides its place in the order, a decoder holds only
/// buffers.
pub struct Decoder {
    is_ordered: bool,
    /// The link that the last frame has left, if order matters.
    link: Option<u64>,
    dictionaries: BTreeMap<DictionaryName, Dictionary>,
    plan: Vec<u8>,
    context: Vec<u8>,
    data: Vec<u8>,
    /// Bytes of the pages of a frame, and perhaps more; zeroed memory that is not touched costs nothing.
    pages: Vec<u8>,
}

impl Default for Decoder {
    fn default() -> Decoder {
        Decoder::new()
    }
}

impl Decoder {
    /// A decoder of frames in order.
    pub fn new() -> Decoder {
        Decoder {
            is_ordered: true,
            link: None,
            dictionaries: BTreeMap::new(),
            plan: Vec::new(),
            context: Vec::new(),
            data: Vec::new(),
            pages: Vec::new(),
        }
    }

    /// A decoder of frames whose order somebody else sees to, by sequence numbers for example: frames that are lost and
    /// encoded again, or of several encoders. A frame that takes from the receiver's pages is still refused where they
    /// are not those that it was encoded for; one that takes nothing can bring back old content.
    pub fn unordered() -> Decoder {
        Decoder {
            is_ordered: false,
            ..Decoder::new()
        }
    }

    /// From now on frames may need this dictionary.
    pub fn add_dictionary(&mut self, dictionary: Dictionary) {
        self.dictionaries.insert(dictionary.name(), dictionary);
    }

    /// Forgets a dictionary.
    pub fn remove_dictionary(&mut self, name: DictionaryName) {
        self.dictionaries.remove(&name);
    }

    /// Decodes one whole frame and installs its pages in `store`.
    ///
    /// Its buffers stay below 64 MiB, whatever the frame declares.
    ///
    /// # Errors
    /// Any [`DecodeError`]; store and decoder are then as if the frame had never come.
    pub fn decode<S: PageStore + ?Sized>(
        &mut self,
        frame: &[u8],
        store: &mut S,
    ) -> Result<DecodedFrame, DecodeError> {
        let (header, header_len) = FrameHeader::parse(frame)?;
        if header.form == BodyForm::Synthetic {
            return Err(DecodeError::Synthetic);
        }
        let needed = header_len + header.body_len as usize;
        if frame.len() < needed {
            return Err(DecodeError::Truncated {
                needed,
                have: frame.len(),
            });
        }
        if frame.len() > needed {
            return Err(DecodeError::Malformed("bytes after the body"));
        }
        let body = &frame[header_len..];
        if xxh3_64(body) != header.body_checksum {
            return Err(DecodeError::BodyChecksum);
        }
        if self.link.is_some_and(|link| link != header.chain) {
            return Err(DecodeError::OutOfOrder);
        }
        let (counts, work) = self.rebuild(&header, body, store)?;
        for (number, page) in header.pages().zip(self.pages.as_chunks().0) {
            store.install(number, page);
        }
        self.link = self.is_ordered.then(|| header.link());
        Ok(DecodedFrame {
            sequence: header.sequence,
            runs: header.runs,
            counts,
            work,
        })
    }

    /// Rebuilds all pages of a frame in `self.pages` and checks the result.
    fn rebuild<S: PageStore + ?Sized>(
        &mut self,
        header: &FrameHeader,
        body: &[u8],
        store: &S,
    ) -> Result<(ClassCounts, DecodeWork), DecodeError> {
        self.context.clear();
        if let Some(name) = header.dictionary {
            let dictionary = self.dictionaries.get(&name);
            let dictionary = dictionary.ok_or(DecodeError::UnknownDictionary(name))?;
            self.context.extend_from_slice(dictionary.content());
        }
        let numbers: Vec<u64> = header.pages().collect();
        let mut sections = SectionReader::new(body);
        let plan_section = sections.take(plan::max_len(numbers.len()))?;
        let data_section = sections.take(numbers.len() * PAGE_SIZE)?;
        sections.finish()?;

        let plan = Plan::parse(plan_section.read(&[], &mut self.plan)?, &numbers)?;
        let sources = Sources {
            plan: &plan,
            numbers: &numbers,
            store,
        };
        let lengths = sources.gather_context(&mut self.context)?;
        let data = data_section.read(&self.context, &mut self.data)?;
        let mut data = Data::split(data, &lengths)?;

        let mut counts = ClassCounts::default();
        let mut hash = ResultHash::default();
        let needed = numbers.len() * PAGE_SIZE;
        if self.pages.len() < needed {
            // Room for more of the kind, without what was in the old one.
            let room = (2 * self.pages.len()).min(MAX_PAGES_PER_FRAME * PAGE_SIZE);
            self.pages = vec![0; room.max(needed)];
        }
        let (pages, _) = self.pages.as_chunks_mut();
        for (position, (number, recipe)) in numbers.iter().zip(&plan.recipes).enumerate() {
            let (earlier, rest) = pages.split_at_mut(position);
            let page = &mut rest[0];
            counts.count(recipe.class());
            if *recipe == Recipe::Zero {
                *page = [0; PAGE_SIZE];
                hash.add(*number, ZERO_HASH);
            } else {
                sources.rebuild(*number, recipe, earlier, &mut data, page)?;
                hash.add(*number, content_hash(page));
            }
        }
        if hash.finish() != header.result_hash {
            return Err(if plan.takes_from_store() {
                DecodeError::WrongBaseline
            } else {
                DecodeError::ResultMismatch
            });
        }
        let rebuilt = (numbers.len() * PAGE_SIZE) as u64;
        let entropy = [&plan_section, &data_section].map(|section| {
            if section.is_compressed() {
                section.len() as u64
            } else {
                0
            }
        });
        let work = DecodeWork {
            frames: 1,
            entropy: entropy[0] + entropy[1],
            rebuilt,
            hashed: rebuilt - counts.zero * PAGE_SIZE as u64,
        };
        Ok((counts, work))
    }
}

/// Where the pages of a frame take from.
struct Sources<'a, S: ?Sized> {
    plan: &'a Plan,
    numbers: &'a [u64],
    store: &'a S,
}

impl<S: PageStore + ?Sized> Sources<'_, S> {
    fn held(&self, number: u64) -> Result<&Page, DecodeError> {
        self.store.page(number).ok_or(DecodeError::MissingPage(number))
    }

    fn of_image(&self, image: ImageId, number: u64) -> Result<&Page, DecodeError> {
        self.store
            .page_of(image, number)
            .ok_or(DecodeError::MissingImagePage {
                image: image.0,
                page: number,
            })
    }

    /// The source of a piece; `earlier` are the pages of the frame before it.
    fn source<'a>(&'a self, piece: &Piece, earlier: &'a [Page]) -> Result<&'a Page, DecodeError> {
        match piece.origin {
            Origin::Store => self.held(piece.page),
            Origin::Image(place) => self.of_image(self.plan.images[usize::from(place)], piece.page),
            Origin::Frame => {
                let position = self.numbers[..earlier.len()].binary_search(&piece.page);
                Ok(&earlier[position.expect("the plan was checked")])
            }
        }
    }

    /// Adds what the data refers to to its context, and counts what the data consists of.
    fn gather_context(&self, context: &mut Vec<u8>) -> Result<Lengths, DecodeError> {
        let before = context.len();
        let mut lengths = Lengths::default();
        for (number, recipe) in self.numbers.iter().zip(&self.plan.recipes) {
            match recipe {
                Recipe::Literal(sort) => lengths.literals[usize::from(*sort)] += PAGE_SIZE,
                Recipe::Assembly {
                    class,
                    changed,
                    pieces,
                } => {
                    let base = self.base(*class, *number)?;
                    segments(changed, &self.plan.pieces[pieces.clone()], |segment| {
                        if !segment.changed {
                            return Ok(());
                        }
                        let units = segment.units.clone();
                        let source = match (segment.context(*class), base) {
                            (Context::Piece(piece), _) => &self.source(piece, &[])?[piece.source(units)],
                            (Context::Base, Some(base)) => &base[bytes(units)],
                            _ => {
                                lengths.loose += units.len() * UNIT;
                                return Ok(());
                            }
                        };
                        context.extend_from_slice(source);
                        Ok(())
                    })?;
                }
                _ => {}
            }
        }
        lengths.residual = context.len() - before;
        Ok(lengths)
    }

    /// Rebuilds a page that is not zero.
    fn rebuild(
        &self,
        number: u64,
        recipe: &Recipe,
        earlier: &[Page],
        data: &mut Data<'_>,
        page: &mut Page,
    ) -> Result<(), DecodeError> {
        match recipe {
            Recipe::Zero => unreachable!("zero pages need no sources"),
            Recipe::DuplicateInStore(original) => *page = *self.held(*original)?,
            Recipe::DuplicateInFrame(position) => *page = earlier[*position],
            Recipe::DuplicateOfImage(image, original) => *page = *self.of_image(*image, *original)?,
            Recipe::Literal(sort) => {
                page.copy_from_slice(take(&mut data.literals[usize::from(*sort)], PAGE_SIZE));
            }
            Recipe::Assembly {
                class,
                changed,
                pieces,
            } => {
                let base = self.base(*class, number)?;
                segments(changed, &self.plan.pieces[pieces.clone()], |segment| {
                    let units = segment.units.clone();
                    let from = match (segment.changed, segment.context(*class)) {
                        (true, Context::Nothing) => take(&mut data.loose, units.len() * UNIT),
                        (true, _) => take(&mut data.residual, units.len() * UNIT),
                        (false, _) => match (segment.piece, base) {
                            (Some(piece), _) => &self.source(piece, earlier)?[piece.source(units.clone())],
                            (None, Some(base)) => &base[bytes(units.clone())],
                            (None, None) => unreachable!("the plan was checked"),
                        },
                    };
                    page[bytes(units)].copy_from_slice(from);
                    Ok(())
                })?;
            }
        }
        Ok(())
    }

    fn base(&self, class: Class, number: u64) -> Result<Option<&Page>, DecodeError> {
        if class.has_base() {
            self.held(number).map(Some)
        } else {
            Ok(None)
        }
    }
}

/// Bytes of the parts of the data.
#[derive(Default)]
struct Lengths {
    residual: usize,
    loose: usize,
    literals: [usize; LITERAL_SORTS],
}

/// What is left of the data: changed units that have a context, changed units that have none, literal pages by sort.
struct Data<'a> {
    residual: &'a [u8],
    loose: &'a [u8],
    literals: [&'a [u8]; LITERAL_SORTS],
}

impl<'a> Data<'a> {
    fn split(mut data: &'a [u8], lengths: &Lengths) -> Result<Data<'a>, DecodeError> {
        let literals: usize = lengths.literals.iter().sum();
        if data.len() != lengths.residual + lengths.loose + literals {
            return Err(DecodeError::Malformed("data of another length than the plan's"));
        }
        Ok(Data {
            residual: take(&mut data, lengths.residual),
            loose: take(&mut data, lengths.loose),
            literals: lengths.literals.map(|len| take(&mut data, len)),
        })
    }
}

/// Takes bytes off the front of a part of the data, whose length was checked against the plan.
fn take<'a>(part: &mut &'a [u8], len: usize) -> &'a [u8] {
    let (taken, rest) = part.split_at(len);
    *part = rest;
    taken
}
