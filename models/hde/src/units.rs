//! The grid of a page: units of 16 bytes, and sets of them.
//!
//! Copies and changes are told apart unit by unit. On recorded guests, 8-byte units describe the changes a little more
//! closely and cost as much again to describe; 32-byte units lose two percent.

use std::ops::Range;

use crate::PAGE_SIZE;

/// Bytes of a unit.
pub(crate) const UNIT: usize = 16;

/// Units of a page.
pub(crate) const UNITS: usize = PAGE_SIZE / UNIT;

const WORDS: usize = UNITS / 64;

/// A set of the units of a page.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct UnitSet([u64; WORDS]);

impl UnitSet {
    /// No unit.
    pub(crate) const NONE: UnitSet = UnitSet([0; WORDS]);

    /// All units.
    pub(crate) const ALL: UnitSet = UnitSet([u64::MAX; WORDS]);

    /// The units in which two pages differ.
    pub(crate) fn of_changes(a: &[u8; PAGE_SIZE], b: &[u8; PAGE_SIZE]) -> UnitSet {
        /// Units compared at once: most of a page is unchanged.
        const STRIDE: usize = 16;
        let (strides_a, _) = a.as_chunks::<{ UNIT * STRIDE }>();
        let (strides_b, _) = b.as_chunks::<{ UNIT * STRIDE }>();
        let mut set = UnitSet::NONE;
        for (stride, (a, b)) in strides_a.iter().zip(strides_b).enumerate() {
            if a == b {
                continue;
            }
            let (units_a, _) = a.as_chunks::<UNIT>();
            let (units_b, _) = b.as_chunks::<UNIT>();
            let mut bits = 0;
            for (unit, (a, b)) in units_a.iter().zip(units_b).enumerate() {
                bits |= u64::from(u128::from_ne_bytes(*a) != u128::from_ne_bytes(*b)) << unit;
            }
            set.0[stride * STRIDE / 64] |= bits << (stride * STRIDE % 64);
        }
        set
    }

    /// Adds a unit, or takes it out.
    pub(crate) fn set(&mut self, unit: usize, member: bool) {
        let bit = 1 << (unit % 64);
        if member {
            self.0[unit / 64] |= bit;
        } else {
            self.0[unit / 64] &= !bit;
        }
    }

    /// Adds a range of units.
    pub(crate) fn add(&mut self, units: Range<usize>) {
        for (word, bits) in self.0.iter_mut().enumerate() {
            let start = units.start.clamp(word * 64, word * 64 + 64) - word * 64;
            let end = units.end.clamp(word * 64, word * 64 + 64) - word * 64;
            if start < end {
                *bits |= (u64::MAX >> (64 - (end - start))) << start;
            }
        }
    }

    /// Whether a unit is in the set.
    pub(crate) fn has(&self, unit: usize) -> bool {
        self.0[unit / 64] >> (unit % 64) & 1 == 1
    }

    /// How many units are in the set.
    pub(crate) fn len(&self) -> usize {
        self.0.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// The first unit from `from` on, and before `end`, that is in the set or, for `member` false, outside; `end`
    /// if there is none.
    fn next(&self, member: bool, from: usize, end: usize) -> usize {
        let mut unit = from;
        while unit < end {
            let word = if member {
                self.0[unit / 64]
            } else {
                !self.0[unit / 64]
            };
            let ahead = word >> (unit % 64);
            if ahead != 0 {
                return (unit + ahead.trailing_zeros() as usize).min(end);
            }
            unit = (unit / 64 + 1) * 64;
        }
        end
    }

    /// The runs of units within a range that are all in the set, or all outside, ascending; together they are the
    /// range.
    pub(crate) fn runs(&self, within: Range<usize>) -> impl Iterator<Item = (bool, Range<usize>)> {
        let mut start = within.start;
        std::iter::from_fn(move || {
            if start >= within.end {
                return None;
            }
            let member = self.has(start);
            let run = start..self.next(!member, start, within.end);
            start = run.end;
            Some((member, run))
        })
    }
}

/// The bytes of units.
pub(crate) fn bytes(units: Range<usize>) -> Range<usize> {
    units.start * UNIT..units.end * UNIT
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_found_wherever_they_are() {
        let old = [7; PAGE_SIZE];
        assert_eq!(UnitSet::of_changes(&old, &old), UnitSet::NONE);
        for at in 0..PAGE_SIZE {
            let mut new = old;
            new[at] ^= 1 << (at % 8);
            let mut expected = UnitSet::NONE;
            expected.set(at / UNIT, true);
            assert_eq!(UnitSet::of_changes(&old, &new), expected, "byte {at}");
        }
        assert_eq!(UnitSet::of_changes(&old, &[8; PAGE_SIZE]), UnitSet::ALL);
    }

    #[test]
    fn runs_alternate_and_make_up_the_range() {
        let mut set = UnitSet::NONE;
        set.add(0..3);
        set.add(60..130);
        set.set(64, false);
        set.set(255, true);
        let runs: Vec<_> = set.runs(1..256).collect();
        assert_eq!(
            runs,
            [
                (true, 1..3),
                (false, 3..60),
                (true, 60..64),
                (false, 64..65),
                (true, 65..130),
                (false, 130..255),
                (true, 255..256)
            ]
        );
        assert_eq!(set.len(), 3 + 69 + 1);
        assert_eq!(set.runs(61..63).collect::<Vec<_>>(), [(true, 61..63)]);
        assert_eq!(set.runs(9..9).count(), 0);
    }

    #[test]
    fn ranges_are_added_across_words() {
        for start in 0..UNITS {
            for end in [start, start + 1, start + 64, start + 129] {
                let (mut at_once, mut one_by_one) = (UnitSet::NONE, UnitSet::NONE);
                let range = start..end.min(UNITS);
                at_once.add(range.clone());
                for unit in range {
                    one_by_one.set(unit, true);
                }
                assert_eq!(at_once, one_by_one);
            }
        }
    }
}
