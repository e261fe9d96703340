//! A frame under construction: picks a class for every page, and collects plan and data column by column.

use crate::PAGE_SIZE;
use crate::anchor::{self, Anchor};
use crate::body::content_hash;
use crate::cost::EncodeWork;
use crate::dictionary::Dictionary;
use crate::encode::{EncoderOptions, PageInput};
use crate::entropy::SectionWriter;
use crate::index::{ContentIndex, Place};
use crate::page::{blank, sort_of};
use crate::plan::{Class, Context, LITERAL_SORTS, Origin, Piece, PlanWriter, segments};
use crate::similar::{Hit, Search, Surroundings, anchors_of_changes};
use crate::units::{UNITS, UnitSet, bytes};

/// Data of more than so many times the length of the dictionary is a better one itself.
const DICTIONARY_REACH: usize = 16;

type Page = [u8; PAGE_SIZE];

/// A page in which more units differ from its base, and of which nothing is found elsewhere, travels as a literal.
const MAX_CHANGED_UNITS: usize = UNITS * 3 / 4;

/// What a frame is made of; kept from frame to frame for its capacity.
pub(crate) struct Columns {
    plan: PlanWriter,
    sections: SectionWriter,
    /// What zstd may refer back to: the counterparts of `residual`.
    context: Vec<u8>,
    /// Changed units that have a context.
    residual: Vec<u8>,
    /// Changed units that have none.
    loose: Vec<u8>,
    /// Places in the frame of literal pages, by sort.
    literals: [Vec<usize>; LITERAL_SORTS],
    section: Vec<u8>,
    // Of the page at hand.
    anchors: Vec<Anchor>,
    pieces: Vec<Piece>,
    hits: Vec<Hit>,
}

impl Columns {
    /// Columns of frames at this zstd level.
    pub(crate) fn new(level: Option<i32>) -> Columns {
        Columns {
            plan: PlanWriter::default(),
            sections: SectionWriter::new(level),
            context: Vec::new(),
            residual: Vec::new(),
            loose: Vec::new(),
            literals: Default::default(),
            section: Vec::new(),
            anchors: Vec::new(),
            pieces: Vec::new(),
            hits: Vec::new(),
        }
    }

    /// Begins a frame.
    pub(crate) fn clear(&mut self) {
        self.plan.clear();
        self.context.clear();
        self.residual.clear();
        self.loose.clear();
        self.literals.iter_mut().for_each(Vec::clear);
    }

    /// Adds a page of zeros.
    pub(crate) fn add_zero(&mut self) {
        self.plan.plain(Class::Zero);
    }

    /// Adds a page that is not zero, and enters it in the index; returns its class and the hash of its content.
    pub(crate) fn add(
        &mut self,
        around: &Surroundings<'_>,
        options: EncoderOptions,
        index: &mut ContentIndex,
        work: &mut EncodeWork,
    ) -> (Class, u128) {
        let page = around.page();
        let hash = content_hash(page.content);
        work.hashed += PAGE_SIZE as u64;
        self.anchors.clear();
        let duplicate = if options.duplicates {
            self.add_duplicate(around, hash, index)
        } else {
            None
        };
        let class = duplicate.unwrap_or_else(|| self.add_content(around, options, index, work));
        if options.duplicates || options.similar {
            index.remember(Place::own(page.number), hash, &self.anchors);
        }
        (class, hash)
    }

    /// Adds the page as a duplicate, if it is one.
    fn add_duplicate(
        &mut self,
        around: &Surroundings<'_>,
        hash: u128,
        index: &ContentIndex,
    ) -> Option<Class> {
        let Surroundings { pages, position, .. } = *around;
        let page = around.page();
        let original = index.find(hash)?;
        if let Some(image) = around.image(original) {
            if self.differs(around, original) {
                return None;
            }
            let image = self.plan.image(image)?;
            self.plan.duplicate_of_image(page.number, image, original.page);
            return Some(Class::DuplicateOfImage);
        }
        match pages[..position].binary_search_by_key(&original.page, |page| page.number) {
            Ok(earlier) if pages[earlier].content == page.content => {
                self.plan.duplicate_in_frame(position - earlier);
                Some(Class::DuplicateInFrame)
            }
            // Two contents with one hash: the page finds another class.
            Ok(_) => None,
            Err(_) if self.differs(around, original) => None,
            Err(_) => {
                self.plan.duplicate_in_store(page.number, original.page);
                Some(Class::DuplicateInStore)
            }
        }
    }

    /// Whether a page that the receiver holds is known to differ from the page at hand, whatever its hash says.
    fn differs(&self, around: &Surroundings<'_>, original: Place) -> bool {
        around
            .held(original, &mut [0; PAGE_SIZE])
            .is_some_and(|held| held != around.page().content)
    }

    /// Adds the page by its content: put together as far as something like it is known, or as it is.
    fn add_content(
        &mut self,
        around: &Surroundings<'_>,
        options: EncoderOptions,
        index: &ContentIndex,
        work: &mut EncodeWork,
    ) -> Class {
        let page = around.page();
        let mut scratch = None;
        let base = match page.baseline {
            _ if !options.delta => None,
            None => around.held(Place::own(page.number), scratch.insert([0; PAGE_SIZE])),
            baseline => baseline,
        };
        let mut changed = UnitSet::ALL;
        if let Some(base) = base {
            changed = UnitSet::of_changes(page.content, base);
            work.compared += PAGE_SIZE as u64;
        }
        self.pieces.clear();
        if options.similar {
            work.searched += match base {
                Some(_) => anchors_of_changes(page.content, &changed, &mut self.anchors) as u64,
                None => {
                    anchor::find_some(page.content, &mut self.anchors);
                    PAGE_SIZE as u64
                }
            };
            let mut search = Search {
                around,
                index,
                plan: &mut self.plan,
                thorough: base.is_some(),
                hits: &mut self.hits,
            };
            search.run(&self.anchors, &mut changed, &mut self.pieces);
            anchor::thin_out(&mut self.anchors);
        }
        let class = match (base.is_some(), self.pieces.is_empty()) {
            (false, true) => Class::Literal(sort_of(page.content)),
            (true, true) if changed.len() > MAX_CHANGED_UNITS => Class::Literal(sort_of(page.content)),
            (true, true) => Class::Delta,
            (true, false) => Class::Patched,
            (false, false) => Class::Assembled,
        };
        if let Class::Literal(sort) = class {
            self.plan.plain(class);
            self.literals[usize::from(sort)].push(around.position);
        } else {
            self.plan.assembly(page.number, class, &changed, &self.pieces);
            self.add_changes(around, class, base, &changed);
        }
        class
    }

    /// Adds the changed units of the page to the columns, and their counterparts to the context.
    fn add_changes(
        &mut self,
        around: &Surroundings<'_>,
        class: Class,
        base: Option<&Page>,
        changed: &UnitSet,
    ) {
        let content = around.page().content;
        let mut scratch = None;
        let walked: Result<(), std::convert::Infallible> = segments(changed, &self.pieces, |segment| {
            if segment.changed {
                let units = segment.units.clone();
                let context = match segment.context(class) {
                    Context::Nothing => None,
                    Context::Base => base.map(|base| &base[bytes(units.clone())]),
                    Context::Piece(piece) => {
                        let scratch = scratch.get_or_insert_with(blank);
                        let source = source(around, &self.plan, piece, scratch);
                        Some(&source[piece.source(units.clone())])
                    }
                };
                let changes = &content[bytes(units)];
                match context {
                    None => self.loose.extend_from_slice(changes),
                    Some(context) => {
                        self.context.extend_from_slice(context);
                        self.residual.extend_from_slice(changes);
                    }
                }
            }
            Ok(())
        });
        let Ok(()) = walked;
    }

    /// Bytes that no copy covers, of pages that were put together.
    pub(crate) fn residual_bytes(&self) -> u64 {
        (self.residual.len() + self.loose.len()) as u64
    }

    /// Appends the body to a frame; returns whether it needs the dictionary.
    pub(crate) fn finish(
        &mut self,
        pages: &[PageInput<'_>],
        dictionary: Option<&Dictionary>,
        work: &mut EncodeWork,
        frame: &mut Vec<u8>,
    ) -> bool {
        self.section.clear();
        self.plan.finish(&mut self.section);
        self.sections.write(&self.section, &[], frame);
        work.entropy = self.section.len() as u64;

        let literals = self.literals.iter().flatten();
        let data_len = self.residual.len() + self.loose.len() + literals.clone().count() * PAGE_SIZE;
        let dictionary = dictionary
            .map(Dictionary::content)
            .filter(|content| (1..=content.len() * DICTIONARY_REACH).contains(&data_len));
        if let Some(content) = dictionary {
            self.context.splice(..0, content.iter().copied());
        }
        // The data comes behind its context, as zstd likes it best.
        let context_len = self.context.len();
        self.context.append(&mut self.residual);
        self.context.append(&mut self.loose);
        for position in literals {
            self.context.extend_from_slice(pages[*position].content);
        }
        work.entropy += self.context.len() as u64;
        let (context, data) = self.context.split_at(context_len);
        self.sections.write(data, context, frame);
        dictionary.is_some()
    }
}

/// The content that the receiver held before the frame, and from which a piece was found to come.
fn source<'a>(
    around: &'a Surroundings<'_>,
    plan: &PlanWriter,
    piece: &Piece,
    scratch: &'a mut Page,
) -> &'a Page {
    let source = match piece.origin {
        Origin::Frame => unreachable!("an earlier page of the frame is no context"),
        Origin::Store => around.held(Place::own(piece.page), scratch),
        Origin::Image(place) => around.held_of(plan.image_at(place), piece.page, scratch),
    };
    source.expect("it was compared with")
}
