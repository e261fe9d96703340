//! Finds parts of a page in what the receiver holds, wherever that is: moved, copied, shifted content.
//!
//! Anchors of the changed parts of the page are looked up in the index; every hit is compared byte by byte, unit by unit
//! in both directions, and becomes a piece if it saves enough. A piece goes on over a few changed units, which then
//! have the units beside the source as their context: an edited copy is still mostly a copy.

use std::ops::Range;

use crate::PAGE_SIZE;
use crate::anchor::{self, Anchor};
use crate::contents::{HeldPages, ImageId};
use crate::encode::PageInput;
use crate::index::{ContentIndex, Place};
use crate::page::blank;
use crate::plan::{MAX_PIECES, Origin, Piece, PlanWriter};
use crate::units::{UNIT, UNITS, UnitSet, bytes};

type Page = [u8; PAGE_SIZE];

/// Changed units that a piece must save. To describe a piece takes about five bytes; shorter pieces also tend to be of
/// sources that have little else in common with the page, and to get in the way of better ones.
const MIN_SAVED: usize = 8;

/// Changed units in a row over which a piece goes on...
const MAX_GAP: isize = 4;

/// ...if at least so many units in a row after them are the same again.
const MIN_RESUMED: isize = 3;

/// Shorter runs of changed units are not searched.
const MIN_SEARCHED: usize = anchor::WINDOW.div_ceil(UNIT);

/// What there is to copy from while a page of a frame is encoded.
pub(crate) struct Surroundings<'a> {
    /// All pages of the frame.
    pub pages: &'a [PageInput<'a>],
    /// The place of the page in the frame.
    pub position: usize,
    pub held: Option<&'a dyn HeldPages>,
    /// The caller's images, by number minus one; `None` are gone.
    pub images: &'a [Option<ImageId>],
}

impl<'a> Surroundings<'a> {
    pub(crate) fn page(&self) -> &PageInput<'a> {
        &self.pages[self.position]
    }

    /// What the receiver holds before this frame.
    pub(crate) fn held<'b>(&'b self, place: Place, scratch: &'b mut Page) -> Option<&'b Page> {
        if place.image > 0 {
            return self.held_of(self.image(place)?, place.page, scratch);
        }
        let in_frame = self.pages.binary_search_by_key(&place.page, |page| page.number);
        match in_frame.ok().and_then(|position| self.pages[position].baseline) {
            Some(baseline) => Some(baseline),
            None => self.held?.held_page(place.page, scratch),
        }
    }

    /// The new content of an earlier page of this frame.
    pub(crate) fn earlier(&self, number: u64) -> Option<&'a Page> {
        let earlier = &self.pages[..self.position];
        let position = earlier.binary_search_by_key(&number, |page| page.number).ok()?;
        Some(earlier[position].content)
    }

    /// The other image that a place belongs to.
    pub(crate) fn image(&self, place: Place) -> Option<ImageId> {
        self.images[(place.image as usize).checked_sub(1)?]
    }

    /// What the receiver holds of another image.
    pub(crate) fn held_of<'b>(
        &'b self,
        image: ImageId,
        page: u64,
        scratch: &'b mut Page,
    ) -> Option<&'b Page> {
        self.held?.held_page_of(image, page, scratch)
    }
}

/// A run of units that are copied from a source or at least like it.
struct Match {
    units: Range<usize>,
    saved: usize,
    shift: isize,
}

/// An anchor that is in the index.
#[derive(Clone, Copy)]
pub(crate) struct Hit {
    /// The first unit within its window.
    unit: usize,
    place: Place,
    /// Offset there minus offset here.
    shift: isize,
}

impl Hit {
    fn agrees(&self, other: &Hit) -> bool {
        self.place == other.place && self.shift == other.shift
    }
}

/// The first unit within the window of an anchor.
fn first_unit(anchor: &Anchor) -> usize {
    usize::from(anchor.offset).div_ceil(UNIT)
}

fn look_up(index: &ContentIndex, anchor: &Anchor) -> Option<Hit> {
    let (place, offset) = index.find_anchor(anchor.key)?;
    Some(Hit {
        unit: first_unit(anchor),
        place,
        shift: offset.cast_signed() - usize::from(anchor.offset).cast_signed(),
    })
}

/// Finds the pieces of a page.
pub(crate) struct Search<'a> {
    pub around: &'a Surroundings<'a>,
    pub index: &'a ContentIndex,
    pub plan: &'a mut PlanWriter,
    /// Whether to follow every hint. Without a base a page has many, and next to none is worth it on its own.
    pub thorough: bool,
    /// A buffer.
    pub hits: &'a mut Vec<Hit>,
}

impl Search<'_> {
    /// `anchors` are those of the changed runs of the page, ascending. `changed` marks the units that differ from its
    /// base, or all; on return, those that differ from their pieces or, outside of pieces, from the base.
    pub(crate) fn run(&mut self, anchors: &[Anchor], changed: &mut UnitSet, pieces: &mut Vec<Piece>) {
        let (mut end, mut scratch) = (0, None);
        if self.thorough {
            // Each when its turn comes: most lie within a piece by then, and looking them up is what takes time.
            for anchor in anchors {
                if pieces.len() < MAX_PIECES
                    && first_unit(anchor) >= end
                    && let Some(hit) = look_up(self.index, anchor)
                {
                    self.follow(&hit, &mut end, changed, pieces, &mut scratch);
                }
            }
            return;
        }
        self.hits.clear();
        let hits = anchors.iter().filter_map(|anchor| look_up(self.index, anchor));
        self.hits.extend(hits);
        for i in 0..self.hits.len() {
            let hit = self.hits[i];
            if pieces.len() < MAX_PIECES && hit.unit >= end && self.is_confirmed(i) {
                self.follow(&hit, &mut end, changed, pieces, &mut scratch);
            }
        }
    }

    /// Makes a piece of a hint, not before unit `end`, if it is worth one; `end` is then its end.
    fn follow(
        &mut self,
        hit: &Hit,
        end: &mut usize,
        changed: &mut UnitSet,
        pieces: &mut Vec<Piece>,
        scratch: &mut Option<Page>,
    ) {
        let content = self.around.page().content;
        let scratch = scratch.get_or_insert_with(blank);
        let Some((found, origin)) = self.best_match(hit, *end, changed, scratch) else {
            return;
        };
        let source = match origin {
            Origin::Frame => self.around.earlier(hit.place.page),
            Origin::Store | Origin::Image(_) => self.around.held(hit.place, scratch),
        };
        let source = source.expect("it was compared with");
        for unit in found.units.clone() {
            changed.set(unit, !same(content, source, unit, hit.shift));
        }
        *end = found.units.end;
        pieces.push(Piece {
            start: found.units.start as u16,
            end: found.units.end as u16,
            origin,
            page: hit.place.page,
            shift: hit.shift,
        });
    }

    /// Whether another hit beside this one points to the same source.
    fn is_confirmed(&self, i: usize) -> bool {
        let beside = i.saturating_sub(2)..(i + 3).min(self.hits.len());
        beside
            .into_iter()
            .any(|other| other != i && self.hits[other].agrees(&self.hits[i]))
    }

    /// The best use of a hint that is worth a piece, not before unit `floor`.
    fn best_match(
        &mut self,
        hit: &Hit,
        floor: usize,
        changed: &UnitSet,
        scratch: &mut Page,
    ) -> Option<(Match, Origin)> {
        let content = self.around.page().content;
        let compare = |source: &Page| {
            compare(content, source, hit, floor, changed).filter(|found| found.saved >= MIN_SAVED)
        };
        let in_frame = match hit.place.image {
            0 => self.around.earlier(hit.place.page).and_then(compare),
            _ => None,
        };
        let held = self.around.held(hit.place, scratch).and_then(compare);
        let saved = |found: &Option<Match>| found.as_ref().map_or(0, |found| found.saved);
        if saved(&in_frame) >= saved(&held) {
            return in_frame.map(|found| (found, Origin::Frame));
        }
        let mut held = held?;
        held.add_neighbours(floor, changed);
        Some((held, self.origin(hit.place)?))
    }

    fn origin(&mut self, place: Place) -> Option<Origin> {
        match place.image {
            0 => Some(Origin::Store),
            _ => self.plan.image(self.around.image(place)?).map(Origin::Image),
        }
    }
}

/// Appends the anchors of the changed runs of a page; returns how many bytes were searched.
pub(crate) fn anchors_of_changes(content: &Page, changed: &UnitSet, anchors: &mut Vec<Anchor>) -> usize {
    let mut searched = 0;
    for (_, run) in changed.runs(0..UNITS).filter(|(changed, _)| *changed) {
        if run.len() >= MIN_SEARCHED {
            searched += run.len() * UNIT;
            anchor::find_all(content, bytes(run), anchors);
        }
    }
    searched
}

fn same(content: &Page, source: &Page, unit: usize, shift: isize) -> bool {
    let at = unit * UNIT;
    let from = at.wrapping_add_signed(shift);
    let word = |page: &Page, at: usize| {
        let bytes = page[at..at + UNIT].try_into().expect("a slice of a unit");
        u128::from_ne_bytes(bytes)
    };
    word(content, at) == word(source, from)
}

/// The units of a page that have all their bytes in the source.
fn within_source(shift: isize) -> Range<usize> {
    let start = (-shift).max(0).cast_unsigned().div_ceil(UNIT);
    let end = (PAGE_SIZE - shift.max(0).cast_unsigned()) / UNIT;
    start..end
}

/// How far content and source go together around a hit, not before unit `floor`.
fn compare(content: &Page, source: &Page, hit: &Hit, floor: usize, changed: &UnitSet) -> Option<Match> {
    let shift = hit.shift;
    let within = within_source(shift);
    let within = within.start.max(floor)..within.end;
    let same = |unit: usize| within.contains(&unit) && same(content, source, unit, shift);
    if !same(hit.unit) {
        return None;
    }
    // How far the units from here on, in steps of 1 or -1, are the same, apart from gaps.
    let reach = |step: isize| {
        let ahead = |unit: usize, units: isize| unit.wrapping_add_signed(step * units);
        // Units that the base has already are not given up.
        let may_differ = |unit: usize| within.contains(&unit) && changed.has(unit);
        let mut last = hit.unit;
        loop {
            let next = ahead(last, 1);
            if same(next) {
                last = next;
                continue;
            }
            let resumes = |gap: &isize| {
                (0..*gap).all(|i| may_differ(ahead(next, i)))
                    && (*gap..gap + MIN_RESUMED).all(|i| same(ahead(next, i)))
            };
            match (1..=MAX_GAP).find(resumes) {
                Some(gap) => last = ahead(next, gap),
                None => return last,
            }
        }
    };
    let units = reach(-1)..reach(1) + 1;
    let saved = units
        .clone()
        .filter(|unit| same(*unit) && changed.has(*unit))
        .count();
    Some(Match { units, saved, shift })
}

impl Match {
    /// Takes in the changed units on both sides, which begin or end like the source: it is the better context.
    fn add_neighbours(&mut self, floor: usize, changed: &UnitSet) {
        let within = within_source(self.shift);
        if self.units.start > within.start.max(floor) && changed.has(self.units.start - 1) {
            self.units.start -= 1;
        }
        if self.units.end < within.end && changed.has(self.units.end) {
            self.units.end += 1;
        }
    }
}
