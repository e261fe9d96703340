//! The plan of a frame: what each page is made of. It is the first section of the body, and all of it but the bytes.
//!
//! A page is zero, a duplicate, a literal, or put together unit by unit ([`units`](crate::units)). Units that are not
//! marked as changed are copied; from where is said by *pieces*, runs of units with a source of their own, and by the
//! receiver's content of the same page elsewhere (the *base*), if the class says that there is one.
//!
//! Columns, one after the other, behind the lengths of all but the first (varints): like lies beside like.
//!
//! | column | per | content |
//! | --- | --- | --- |
//! | classes | page | [`Class`], a byte |
//! | images | image | ids of other images that the frame takes from, 8 bytes each |
//! | references | duplicate | signed distance of page numbers; or places back in the frame; or image, then page |
//! | runs | page put together | bytes: units copied, units changed, and so on until they make up the page |
//! | counts | page with pieces | number of pieces, a byte |
//! | gaps | piece | units since the end of the piece before, a byte |
//! | lengths | piece | units minus one, a byte |
//! | kinds | piece | a byte: 0 the receiver's image as it was, 1 earlier page of this frame, 2 and more other images |
//! | shifts | piece | signed: address of the source minus address of the piece, minus that of the piece before |
//!
//! An address is page number times 4096 plus offset, modulo 2^64. A piece lies within one page of its source.

use std::ops::Range;

use crate::contents::ImageId;
use crate::decode::DecodeError;
use crate::header::PAGE_NUMBER_LIMIT;
use crate::units::{UNIT, UNITS, UnitSet, bytes};
use crate::{PAGE_SIZE, varint};

/// Most pieces of a page.
pub(crate) const MAX_PIECES: usize = 32;

/// Most images that a frame takes from.
pub(crate) const MAX_IMAGES: usize = 64;

/// Sorts of literal pages, each with a column of its own in the data.
pub(crate) const LITERAL_SORTS: usize = 4;

/// Class of a page, as written in the class column.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Class {
    /// All bytes zero.
    Zero,
    /// Equal to a page of the receiver's image as it was before this frame.
    DuplicateInStore,
    /// Equal to an earlier page of this frame.
    DuplicateInFrame,
    /// Equal to a page of another image.
    DuplicateOfImage,
    /// Put together from the base.
    Delta,
    /// Put together from pieces and the base.
    Patched,
    /// Put together from pieces alone.
    Assembled,
    /// The page itself, one of [`LITERAL_SORTS`].
    Literal(u8),
}

impl Class {
    fn code(self) -> u8 {
        match self {
            Class::Zero => 0,
            Class::DuplicateInStore => 1,
            Class::DuplicateInFrame => 2,
            Class::DuplicateOfImage => 3,
            Class::Delta => 4,
            Class::Patched => 5,
            Class::Assembled => 6,
            Class::Literal(sort) => 7 + sort,
        }
    }

    fn from_code(code: u8) -> Option<Class> {
        Some(match code {
            0 => Class::Zero,
            1 => Class::DuplicateInStore,
            2 => Class::DuplicateInFrame,
            3 => Class::DuplicateOfImage,
            4 => Class::Delta,
            5 => Class::Patched,
            6 => Class::Assembled,
            _ if usize::from(code - 7) < LITERAL_SORTS => Class::Literal(code - 7),
            _ => return None,
        })
    }

    fn has_pieces(self) -> bool {
        matches!(self, Class::Patched | Class::Assembled)
    }

    /// Whether units come from the receiver's content of the same page.
    pub(crate) fn has_base(self) -> bool {
        matches!(self, Class::Delta | Class::Patched)
    }
}

/// Where a piece comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Origin {
    /// The receiver's image as it was before this frame.
    Store,
    /// The new content of an earlier page of this frame.
    Frame,
    /// Another image, by its place in the frame's list.
    Image(u8),
}

/// A run of units with a source of its own.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Piece {
    /// Its first unit.
    pub start: u16,
    /// The unit after its last.
    pub end: u16,
    /// Where the source is.
    pub origin: Origin,
    /// The source's page.
    pub page: u64,
    /// Offset of the source in its page minus offset of the piece in its own.
    pub shift: isize,
}

impl Piece {
    /// Its units.
    pub(crate) fn units(&self) -> Range<usize> {
        usize::from(self.start)..usize::from(self.end)
    }

    /// The bytes of the source for some of its units.
    pub(crate) fn source(&self, units: Range<usize>) -> Range<usize> {
        let Range { start, end } = bytes(units);
        let shifted = |at: usize| {
            at.checked_add_signed(self.shift)
                .expect("a piece lies within its source")
        };
        shifted(start)..shifted(end)
    }
}

/// What a page is made of.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Recipe {
    Zero,
    DuplicateInStore(u64),
    /// Place in the frame.
    DuplicateInFrame(usize),
    DuplicateOfImage(ImageId, u64),
    Assembly {
        class: Class,
        changed: UnitSet,
        /// Places in the plan's list of pieces.
        pieces: Range<usize>,
    },
    Literal(u8),
}

impl Recipe {
    pub(crate) fn class(&self) -> Class {
        match self {
            Recipe::Zero => Class::Zero,
            Recipe::DuplicateInStore(_) => Class::DuplicateInStore,
            Recipe::DuplicateInFrame(_) => Class::DuplicateInFrame,
            Recipe::DuplicateOfImage(..) => Class::DuplicateOfImage,
            Recipe::Assembly { class, .. } => *class,
            Recipe::Literal(sort) => Class::Literal(*sort),
        }
    }
}

/// Units of a page that come from the same place, and are all copied or all changed.
pub(crate) struct Segment<'a> {
    pub units: Range<usize>,
    pub changed: bool,
    /// `None` is the base.
    pub piece: Option<&'a Piece>,
}

/// What changed units have for a context.
pub(crate) enum Context<'a> {
    /// The units beside them in the source of their piece.
    Piece(&'a Piece),
    /// The same units of the base.
    Base,
    /// Nothing.
    Nothing,
}

impl<'a> Segment<'a> {
    /// The context of its units, if they are changed. Earlier pages of the frame cannot be one: the receiver has
    /// them only when it has the changed units of all pages.
    pub(crate) fn context(&self, class: Class) -> Context<'a> {
        match self.piece {
            Some(piece) if piece.origin != Origin::Frame => Context::Piece(piece),
            _ if class.has_base() => Context::Base,
            _ => Context::Nothing,
        }
    }
}

/// Walks over a page that is put together, in ascending order.
pub(crate) fn segments<E>(
    changed: &UnitSet,
    pieces: &[Piece],
    mut visit: impl FnMut(Segment<'_>) -> Result<(), E>,
) -> Result<(), E> {
    let mut part = |units: Range<usize>, piece: Option<&Piece>| {
        changed.runs(units).try_for_each(|(changed, units)| {
            visit(Segment {
                units,
                changed,
                piece,
            })
        })
    };
    let mut end = 0;
    for piece in pieces {
        part(end..usize::from(piece.start), None)?;
        part(piece.units(), Some(piece))?;
        end = usize::from(piece.end);
    }
    part(end..UNITS, None)
}

/// Writes plans.
#[derive(Default)]
pub(crate) struct PlanWriter {
    classes: Vec<u8>,
    images: Vec<ImageId>,
    references: Vec<u8>,
    runs: Vec<u8>,
    counts: Vec<u8>,
    gaps: Vec<u8>,
    lengths: Vec<u8>,
    kinds: Vec<u8>,
    shifts: Vec<u8>,
    shift_before: u64,
}

impl PlanWriter {
    /// Forgets the plan written before.
    pub(crate) fn clear(&mut self) {
        self.classes.clear();
        self.images.clear();
        for column in self.columns_mut() {
            column.clear();
        }
        self.shift_before = 0;
    }

    /// The place of an image in the list, to which it is added if there is room.
    pub(crate) fn image(&mut self, image: ImageId) -> Option<u8> {
        let place = self.images.iter().position(|it| *it == image);
        let place = place.unwrap_or_else(|| {
            if self.images.len() < MAX_IMAGES {
                self.images.push(image);
            }
            self.images.len() - 1
        });
        (self.images[place] == image).then_some(place as u8)
    }

    /// An image by its place in the list.
    pub(crate) fn image_at(&self, place: u8) -> ImageId {
        self.images[usize::from(place)]
    }

    /// Adds a page that is zero or a literal.
    pub(crate) fn plain(&mut self, class: Class) {
        self.classes.push(class.code());
    }

    /// Adds a page `number` that is equal to page `original`.
    pub(crate) fn duplicate_in_store(&mut self, number: u64, original: u64) {
        self.plain(Class::DuplicateInStore);
        varint::put_signed(&mut self.references, distance(original, number));
    }

    /// Adds a page that is equal to one of this frame.
    pub(crate) fn duplicate_in_frame(&mut self, places_back: usize) {
        self.plain(Class::DuplicateInFrame);
        varint::put(&mut self.references, places_back as u64);
    }

    /// Adds a page `number` that is equal to a page of another image.
    pub(crate) fn duplicate_of_image(&mut self, number: u64, image: u8, original: u64) {
        self.plain(Class::DuplicateOfImage);
        varint::put(&mut self.references, u64::from(image));
        varint::put_signed(&mut self.references, distance(original, number));
    }

    /// Adds a page `number` that is put together; pieces ascend and do not overlap.
    pub(crate) fn assembly(&mut self, number: u64, class: Class, changed: &UnitSet, pieces: &[Piece]) {
        assert!(pieces.len() <= MAX_PIECES && class.has_pieces() != pieces.is_empty());
        self.plain(class);
        put_runs(&mut self.runs, changed);
        if class.has_pieces() {
            self.counts.push(pieces.len() as u8);
        }
        let mut end = 0;
        for piece in pieces {
            self.gaps.push((piece.start - end) as u8);
            self.lengths.push((piece.end - piece.start - 1) as u8);
            end = piece.end;
            self.kinds.push(match piece.origin {
                Origin::Store => 0,
                Origin::Frame => 1,
                Origin::Image(place) => 2 + place,
            });
            let source = address(piece.page, 0).wrapping_add_signed(piece.shift as i64);
            let shift = source.wrapping_sub(address(number, 0));
            let step = shift.wrapping_sub(self.shift_before);
            varint::put_signed(&mut self.shifts, step.cast_signed());
            self.shift_before = shift;
        }
    }

    /// Appends the whole plan.
    pub(crate) fn finish(&mut self, out: &mut Vec<u8>) {
        varint::put(out, (self.images.len() * 8) as u64);
        for column in self.columns_mut() {
            varint::put(out, column.len() as u64);
        }
        out.extend_from_slice(&self.classes);
        for image in &self.images {
            out.extend_from_slice(&image.0.to_le_bytes());
        }
        for column in self.columns_mut() {
            out.extend_from_slice(column);
        }
    }

    /// The columns behind the images, in their order.
    fn columns_mut(&mut self) -> [&mut Vec<u8>; COLUMNS] {
        [
            &mut self.references,
            &mut self.runs,
            &mut self.counts,
            &mut self.gaps,
            &mut self.lengths,
            &mut self.kinds,
            &mut self.shifts,
        ]
    }
}

const COLUMNS: usize = 7;

/// Largest plan of a frame of `pages` pages.
pub(crate) const fn max_len(pages: usize) -> usize {
    // A class, a reference or else runs, a count and pieces; runs alternate at every unit at worst.
    let page = 1 + 2 * UNITS + 1 + MAX_PIECES * (3 + varint::MAX_LEN);
    (1 + COLUMNS) * varint::MAX_LEN + 8 * MAX_IMAGES + pages * page
}

/// A plan that was read and found sound: every page is described completely, every piece lies within its page and
/// that of its source, and what refers to the frame itself refers backwards.
pub(crate) struct Plan {
    pub recipes: Vec<Recipe>,
    pub pieces: Vec<Piece>,
    pub images: Vec<ImageId>,
}

impl Plan {
    /// Reads the plan of a frame with these pages.
    ///
    /// # Errors
    /// [`DecodeError::Malformed`].
    pub(crate) fn parse(mut input: &[u8], numbers: &[u64]) -> Result<Plan, DecodeError> {
        let mut lengths = [0; 1 + COLUMNS];
        for length in &mut lengths {
            let value = varint::take(&mut input).and_then(|value| usize::try_from(value).ok());
            *length = value.ok_or(DecodeError::Malformed("column length"))?;
        }
        let [images_len, column_lengths @ ..] = lengths;
        let mut cut = |len: usize| {
            let (column, rest) = input
                .split_at_checked(len)
                .ok_or(DecodeError::Malformed("plan shorter than its columns"))?;
            input = rest;
            Ok(column)
        };
        let classes = cut(numbers.len())?;
        let (images, odd) = cut(images_len)?.as_chunks();
        if !odd.is_empty() || images.len() > MAX_IMAGES {
            return Err(DecodeError::Malformed("list of images"));
        }
        let mut columns = [&[][..]; COLUMNS];
        for (column, len) in columns.iter_mut().zip(column_lengths) {
            *column = cut(len)?;
        }
        if !input.is_empty() {
            return Err(DecodeError::Malformed("plan longer than its columns"));
        }
        let images = images.iter().map(|id| ImageId(u64::from_le_bytes(*id))).collect();
        let mut reader = PlanReader {
            numbers,
            images,
            columns: Columns::new(columns),
            pieces: Vec::new(),
            shift_before: 0,
        };
        let recipes: Result<Vec<Recipe>, DecodeError> = classes
            .iter()
            .enumerate()
            .map(|(position, code)| reader.recipe(position, *code))
            .collect();
        let recipes = recipes?;
        if !reader.columns.all_used() {
            return Err(DecodeError::Malformed("plan says more than its pages need"));
        }
        Ok(Plan {
            recipes,
            pieces: reader.pieces,
            images: reader.images,
        })
    }
}

impl Plan {
    /// Whether the frame takes contents that the receiver held before it.
    pub(crate) fn takes_from_store(&self) -> bool {
        let held = |class: Class| {
            matches!(class, Class::DuplicateInStore | Class::DuplicateOfImage) || class.has_base()
        };
        self.recipes.iter().any(|recipe| held(recipe.class()))
            || self.pieces.iter().any(|piece| piece.origin != Origin::Frame)
    }
}

/// What is left of the columns.
struct Columns<'a> {
    references: &'a [u8],
    runs: &'a [u8],
    counts: &'a [u8],
    gaps: &'a [u8],
    lengths: &'a [u8],
    kinds: &'a [u8],
    shifts: &'a [u8],
}

impl<'a> Columns<'a> {
    fn new([references, runs, counts, gaps, lengths, kinds, shifts]: [&'a [u8]; COLUMNS]) -> Columns<'a> {
        Columns {
            references,
            runs,
            counts,
            gaps,
            lengths,
            kinds,
            shifts,
        }
    }

    fn all_used(&self) -> bool {
        [
            self.references,
            self.runs,
            self.counts,
            self.gaps,
            self.lengths,
            self.kinds,
            self.shifts,
        ]
        .iter()
        .all(|column| column.is_empty())
    }
}

struct PlanReader<'a> {
    numbers: &'a [u64],
    images: Vec<ImageId>,
    columns: Columns<'a>,
    pieces: Vec<Piece>,
    shift_before: u64,
}

impl PlanReader<'_> {
    fn recipe(&mut self, position: usize, code: u8) -> Result<Recipe, DecodeError> {
        let number = self.numbers[position];
        let class = Class::from_code(code).ok_or(DecodeError::Malformed("unknown page class"))?;
        Ok(match class {
            Class::Zero => Recipe::Zero,
            Class::Literal(sort) => Recipe::Literal(sort),
            Class::DuplicateInStore => Recipe::DuplicateInStore(self.original(number)?),
            Class::DuplicateInFrame => {
                let back = varint::take(&mut self.columns.references)
                    .and_then(|back| usize::try_from(back).ok())
                    .filter(|back| *back > 0)
                    .and_then(|back| position.checked_sub(back));
                Recipe::DuplicateInFrame(back.ok_or(DecodeError::Malformed("reference to an earlier page"))?)
            }
            Class::DuplicateOfImage => {
                let image = varint::take(&mut self.columns.references)
                    .and_then(|place| self.images.get(usize::try_from(place).ok()?))
                    .copied();
                let image = image.ok_or(DecodeError::Malformed("reference to an image"))?;
                Recipe::DuplicateOfImage(image, self.original(number)?)
            }
            Class::Delta | Class::Patched | Class::Assembled => {
                let changed = take_runs(&mut self.columns.runs)?;
                let first = self.pieces.len();
                if class.has_pieces() {
                    self.take_pieces(position)?;
                }
                let pieces = first..self.pieces.len();
                if !class.has_base() && !covered(&changed, &self.pieces[pieces.clone()]) {
                    return Err(DecodeError::Malformed("units copied from nowhere"));
                }
                Recipe::Assembly {
                    class,
                    changed,
                    pieces,
                }
            }
        })
    }

    /// The page to which the next reference, of page `number`, points.
    fn original(&mut self, number: u64) -> Result<u64, DecodeError> {
        varint::take_signed(&mut self.columns.references)
            .and_then(|distance| number.checked_add_signed(distance))
            .filter(|original| *original < PAGE_NUMBER_LIMIT)
            .ok_or(DecodeError::Malformed("reference to a page"))
    }

    fn take_pieces(&mut self, position: usize) -> Result<(), DecodeError> {
        let count = take_byte(&mut self.columns.counts)?;
        if count == 0 || usize::from(count) > MAX_PIECES {
            return Err(DecodeError::Malformed("number of pieces"));
        }
        let mut end = 0;
        for _ in 0..count {
            let start = end + u16::from(take_byte(&mut self.columns.gaps)?);
            end = start + 1 + u16::from(take_byte(&mut self.columns.lengths)?);
            if usize::from(end) > UNITS {
                return Err(DecodeError::Malformed("piece beyond its page"));
            }
            let origin = match take_byte(&mut self.columns.kinds)? {
                0 => Origin::Store,
                1 => Origin::Frame,
                kind if usize::from(kind - 2) < self.images.len() => Origin::Image(kind - 2),
                _ => return Err(DecodeError::Malformed("piece of an unknown image")),
            };
            let step = varint::take_signed(&mut self.columns.shifts)
                .ok_or(DecodeError::Malformed("source of a piece"))?;
            self.shift_before = self.shift_before.wrapping_add_signed(step);
            let at = usize::from(start) * UNIT;
            let source = address(self.numbers[position], at).wrapping_add(self.shift_before);
            let (page, offset) = (source / PAGE_SIZE as u64, source as usize % PAGE_SIZE);
            if offset + usize::from(end - start) * UNIT > PAGE_SIZE {
                return Err(DecodeError::Malformed("piece beyond the page of its source"));
            }
            if origin == Origin::Frame && self.numbers[..position].binary_search(&page).is_err() {
                return Err(DecodeError::Malformed(
                    "piece of a page that is not earlier in the frame",
                ));
            }
            self.pieces.push(Piece {
                start,
                end,
                origin,
                page,
                shift: offset.cast_signed() - at.cast_signed(),
            });
        }
        Ok(())
    }
}

/// Whether all units outside the pieces are marked as changed.
fn covered(changed: &UnitSet, pieces: &[Piece]) -> bool {
    segments(changed, pieces, |segment| {
        if segment.changed || segment.piece.is_some() {
            Ok(())
        } else {
            Err(())
        }
    })
    .is_ok()
}

/// The address of a byte of a page.
fn address(page: u64, offset: usize) -> u64 {
    page.wrapping_mul(PAGE_SIZE as u64).wrapping_add(offset as u64)
}

/// Distance between page numbers, which lie below 2^52.
fn distance(to: u64, from: u64) -> i64 {
    to.cast_signed() - from.cast_signed()
}

fn take_byte(column: &mut &[u8]) -> Result<u8, DecodeError> {
    let (byte, rest) = column
        .split_first()
        .ok_or(DecodeError::Malformed("plan says less than its pages need"))?;
    *column = rest;
    Ok(*byte)
}

/// Run lengths, copied and changed in turn. A run of 256 units is one of 255, an empty one of the other sort and one
/// of 1.
fn put_runs(out: &mut Vec<u8>, changed: &UnitSet) {
    if changed.has(0) {
        out.push(0);
    }
    for (_, run) in changed.runs(0..UNITS) {
        match u8::try_from(run.len()) {
            Ok(len) => out.push(len),
            Err(_) => out.extend_from_slice(&[u8::MAX, 0, 1]),
        }
    }
}

fn take_runs(column: &mut &[u8]) -> Result<UnitSet, DecodeError> {
    let (mut changed, mut end) = (UnitSet::NONE, 0);
    for member in [false, true].into_iter().cycle() {
        let start = end;
        end += usize::from(take_byte(column)?);
        if end > UNITS {
            return Err(DecodeError::Malformed("runs longer than a page"));
        }
        if member {
            changed.add(start..end);
        }
        if end == UNITS {
            break;
        }
    }
    Ok(changed)
}

#[cfg(test)]
mod tests;
