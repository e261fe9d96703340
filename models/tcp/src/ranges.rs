//! A sorted set of disjoint ranges: what a receiver holds out of order, what a sender knows to be held.

use std::collections::VecDeque;

use crate::segment::SackBlock;

/// Disjoint, non-touching ranges in ascending order. Inserting at the end and removing from the front, which
/// is what happens in practice, are O(1); the rest is a binary search and a move of the shorter side.
#[derive(Clone, Debug, Default)]
pub(crate) struct RangeSet {
    ranges: VecDeque<SackBlock>,
    bytes: u64,
}

impl RangeSet {
    /// Bytes in all ranges.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether nothing is held.
    pub(crate) fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// The highest byte held, plus one; zero if nothing is.
    pub(crate) fn highest(&self) -> u64 {
        self.ranges.back().map_or(0, |range| range.end)
    }

    /// The range that contains `seq`.
    pub(crate) fn containing(&self, seq: u64) -> Option<SackBlock> {
        let found = self.ranges.partition_point(|range| range.end <= seq);
        self.ranges.get(found).copied().filter(|range| range.start <= seq)
    }

    /// Adds `block` and tells `new` of every part of it that was not held before, in ascending order.
    pub(crate) fn insert(&mut self, block: SackBlock, mut new: impl FnMut(SackBlock)) {
        assert!(block.start < block.end, "an empty range");
        let SackBlock { start, end } = block;
        // The ranges that touch the block are those from `first` up to `beyond`.
        let first = match self.ranges.back() {
            Some(last) if last.end < start => self.ranges.len(),
            Some(last) if last.start <= start => self.ranges.len() - 1,
            _ => self.ranges.partition_point(|range| range.end < start),
        };
        let mut beyond = first;
        let mut merged = block;
        let mut covered = start;
        while let Some(range) = self.ranges.get(beyond).filter(|range| range.start <= end) {
            if range.start > covered {
                self.bytes += range.start - covered;
                new(SackBlock {
                    start: covered,
                    end: range.start,
                });
            }
            covered = covered.max(range.end);
            merged = SackBlock {
                start: merged.start.min(range.start),
                end: merged.end.max(range.end),
            };
            beyond += 1;
        }
        if covered < end {
            self.bytes += end - covered;
            new(SackBlock { start: covered, end });
        }
        if beyond == first {
            self.ranges.insert(first, merged);
        } else {
            self.ranges[first] = merged;
            if beyond > first + 1 {
                self.ranges.drain(first + 1..beyond);
            }
        }
    }

    /// Forgets everything below `bound`.
    pub(crate) fn remove_below(&mut self, bound: u64) {
        while let Some(first) = self.ranges.front_mut() {
            if first.start >= bound {
                return;
            }
            self.bytes -= first.end.min(bound) - first.start;
            if first.end > bound {
                first.start = bound;
                return;
            }
            self.ranges.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_set_agrees_with_one_flag_per_byte(
            operations in prop::collection::vec((0u64..200, 1u64..30, any::<bool>()), 1..60),
        ) {
            let mut set = RangeSet::default();
            let mut flags = [false; 256];
            let mut bound = 0;
            for (start, len, remove) in operations {
                if remove {
                    bound = bound.max(start / 4);
                    set.remove_below(bound);
                    flags[..bound as usize].fill(false);
                } else {
                    let block = SackBlock { start: start.max(bound), end: (start + len).max(bound + 1) };
                    let mut reported = flags;
                    set.insert(block, |new| {
                        for seq in new.start..new.end {
                            assert!(!reported[seq as usize], "byte {seq} was held already");
                            reported[seq as usize] = true;
                        }
                    });
                    flags[block.start as usize..block.end as usize].fill(true);
                    prop_assert_eq!(reported, flags);
                }
                prop_assert_eq!(set.bytes(), flags.iter().filter(|&&held| held).count() as u64);
                prop_assert_eq!(set.is_empty(), set.bytes() == 0);
                let highest = flags.iter().rposition(|&held| held).map_or(0, |last| last as u64 + 1);
                prop_assert_eq!(set.highest(), highest);
                for seq in 0..256u64 {
                    let range = set.containing(seq);
                    prop_assert_eq!(range.is_some(), flags[seq as usize]);
                    if let Some(SackBlock { start, end }) = range {
                        prop_assert!(flags[start as usize..end as usize].iter().all(|&held| held));
                        prop_assert!(start == 0 || !flags[start as usize - 1]);
                        prop_assert!(!flags[end as usize]);
                    }
                }
            }
        }
    }
}
