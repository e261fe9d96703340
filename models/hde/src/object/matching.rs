//! Finds what an object shares with others and with itself.
//!
//! The scan goes over the target once. As long as the bytes continue the last copy (after a change in place, too)
//! they are compared where they are expected. Where they do not, a rolling hash looks the last 32 bytes up among the
//! sampled windows of all sources; a hit is extended in both directions, byte by byte. See [`super::index`].

use crate::object::index::{Gear, SMALL, SampleIndex, Sampling, WINDOW};
use crate::object::ops::{AddressSpace, MIN_COPY, Step};

/// Shortest copy from a place where none was expected. Its address costs two bytes among little content and four among
/// much, where zstd, besides, finds a near repetition instead.
const MIN_FOUND: usize = 64;
const MIN_FOUND_IN_SMALL: usize = 24;

/// So many expected bytes in a row are no chance; with fewer the search for a better place goes on.
const MIN_CERTAIN: usize = 64;

/// Shortest copy from the target itself: nearer and shorter repetitions are zstd's.
const MIN_OWN: usize = 512;

/// Which of its own positions the target samples; several in every such copy.
const OWN_SAMPLED_EVERY: usize = 64;

/// Targets shorter than this are not searched for parts of their own.
const MIN_SEARCHED_FOR_OWN: usize = 64 << 10;

/// Content to copy from, with its index.
pub(super) struct Source<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) index: &'a SampleIndex,
}

/// Where copies come from: some bytes, where these begin in the address space, and the position in them less
/// that in the target.
#[derive(Clone, Copy)]
struct Diagonal<'a> {
    bytes: &'a [u8],
    start: usize,
    shift: isize,
    /// Longest copy: one from the target itself must not reach beyond what has been built when it is made.
    limit: usize,
}

impl<'a> Diagonal<'a> {
    /// How many bytes of the target at `position` are found here.
    fn matching(&self, target: &[u8], position: usize) -> usize {
        let there = position.checked_add_signed(self.shift);
        let there = there.and_then(|there| self.bytes.get(there..)).unwrap_or(&[]);
        common_prefix(&target[position..], &there[..there.len().min(self.limit)])
    }

    /// Whether at least [`MIN_COPY`] bytes of the target at `position` are found here.
    #[inline]
    fn continues(&self, target: &[u8], position: usize) -> bool {
        let there = position.wrapping_add_signed(self.shift);
        match (
            target[position..].first_chunk::<MIN_COPY>(),
            self.bytes.get(there..),
        ) {
            (Some(here), Some(there)) => there.first_chunk() == Some(here),
            _ => false,
        }
    }

    /// Whether both say the same.
    fn is(&self, other: &Diagonal<'_>) -> bool {
        (self.start, self.shift) == (other.start, other.shift)
    }

    /// The address of what is found here for `position` of the target.
    fn address(&self, position: usize) -> usize {
        self.start
            + position
                .checked_add_signed(self.shift)
                .expect("a place within the bytes")
    }
}

/// The steps that build `target` from `sources` and from itself.
pub(super) fn find_steps(target: &[u8], sources: &[Source<'_>]) -> Vec<Step> {
    let space = AddressSpace::new(sources.iter().map(|source| source.bytes.len()));
    let mut scan = Scan::new(target, sources, &space);
    let mut at = 0;
    while at < target.len() {
        let expected = scan.expected.map_or(0, |expected| expected.matching(target, at));
        if expected >= MIN_COPY {
            scan.copy(at, expected);
        }
        at = if expected >= MIN_CERTAIN {
            scan.settle(at + expected);
            at + expected
        } else if expected >= MIN_COPY {
            // Few bytes may be the expected ones by chance: the search goes on through them.
            scan.search(at, at + expected, false)
        } else {
            scan.search(at, target.len(), true)
        };
    }
    scan.steps
}

struct Scan<'a> {
    target: &'a [u8],
    sources: &'a [Source<'a>],
    space: &'a AddressSpace,
    /// Samples of the target's own literals.
    own: Option<SampleIndex>,
    /// The densest sampling of all indices.
    sampling: Sampling,
    /// Shortest copy from a source.
    min_found: usize,
    steps: Vec<Step>,
    /// Where the last copy ends.
    copied_to: usize,
    /// Where the last copy ends that no search takes back.
    settled_to: usize,
    /// Where the next bytes are expected.
    expected: Option<Diagonal<'a>>,
    /// The hash of the bytes before the search.
    gear: Gear,
    last_sample: Option<u64>,
}

impl<'a> Scan<'a> {
    fn new(target: &'a [u8], sources: &'a [Source<'a>], space: &'a AddressSpace) -> Scan<'a> {
        let own = (target.len() >= MIN_SEARCHED_FOR_OWN)
            .then(|| SampleIndex::empty(target.len(), OWN_SAMPLED_EVERY));
        let samplings = sources.iter().map(|source| source.index.sampling());
        let own_sampling = own.as_ref().map(SampleIndex::sampling);
        Scan {
            target,
            sources,
            space,
            own,
            // With nothing to look up, the least frequent.
            sampling: samplings.chain(own_sampling).min().unwrap_or(Sampling::SPARSEST),
            min_found: if space.result_start() <= SMALL {
                MIN_FOUND_IN_SMALL
            } else {
                MIN_FOUND
            },
            steps: Vec::new(),
            copied_to: 0,
            settled_to: 0,
            expected: sources.first().map(|source| Diagonal {
                bytes: source.bytes,
                start: 0,
                shift: 0,
                limit: usize::MAX,
            }),
            gear: Gear::default(),
            last_sample: None,
        }
    }

    /// Writes down a copy of `len` expected bytes to `position`, with the literals before it.
    fn copy(&mut self, position: usize, len: usize) {
        let expected = self.expected.expect("a copy from where it is expected");
        self.steps.push(Step {
            literal: position - self.copied_to,
            copy: len,
            from: expected.address(position),
        });
        self.copied_to = position + len;
    }

    /// What has been copied up to `position` stays, and the next search begins afresh.
    fn settle(&mut self, position: usize) {
        self.settled_to = position;
        self.gear = Gear::default();
        self.last_sample = None;
    }

    /// Takes back what was copied behind `position`.
    fn take_back(&mut self, position: usize) {
        while let Some(last) = self.steps.last_mut()
            && self.copied_to > position
        {
            let start = self.copied_to - last.copy;
            if start + MIN_COPY <= position {
                last.copy = position - start;
                self.copied_to = position;
            } else {
                self.copied_to = start - last.literal;
                self.steps.pop();
            }
        }
    }

    /// Searches through the bytes from `start` to `end` and returns where to go on: behind what it found, or where
    /// the bytes are the expected ones again if it is to stop there.
    fn search(&mut self, start: usize, end: usize, stop_at_expected: bool) -> usize {
        let target = self.target;
        let stop = self.expected.filter(|_| stop_at_expected);
        for position in start..end {
            if let Some(expected) = stop
                && position > start
                && expected.continues(target, position)
            {
                return position;
            }
            self.gear.roll(target[position]);
            let mixed = self.gear.mixed();
            let window_end = position + 1;
            let sampled = self.sampling.takes(mixed) && window_end - self.settled_to >= WINDOW;
            // A run of one byte has one hash.
            if sampled
                && self.last_sample.replace(mixed) != Some(mixed)
                && let Some((at, len, place)) = self.look_up(mixed, window_end)
            {
                self.take_back(at);
                self.expected = Some(place);
                self.copy(at, len);
                self.settle(at + len);
                return at + len;
            }
        }
        end
    }

    /// Looks for the window that ends before `end`: first in the sources, then in the target.
    fn look_up(&mut self, mixed: u64, end: usize) -> Option<(usize, usize, Diagonal<'a>)> {
        let sources = self.sources;
        for (number, source) in sources.iter().enumerate() {
            if source.index.sampling().takes(mixed)
                && let Some(there) = source.index.find(mixed)
            {
                let place = Diagonal {
                    bytes: source.bytes,
                    start: self.space.start(number),
                    shift: there.cast_signed() - end.cast_signed(),
                    limit: usize::MAX,
                };
                let found = self.extend(place, there, end, self.min_found);
                if found.is_some() {
                    return found;
                }
            }
        }
        let own = self.own.as_mut().filter(|own| own.sampling().takes(mixed))?;
        let Some(there) = own.find(mixed) else {
            own.insert(mixed, end);
            return None;
        };
        // Nothing nearer can give a copy long enough.
        if end - there < MIN_OWN {
            return None;
        }
        let place = Diagonal {
            bytes: self.target,
            start: self.space.result_start(),
            shift: there.cast_signed() - end.cast_signed(),
            limit: end - there,
        };
        self.extend(place, there, end, MIN_OWN)
    }

    /// The copy around the window that ends at `end` in the target and at `there` in its place, if it brings at
    /// least `min` bytes more than what it takes back.
    fn extend(
        &self,
        place: Diagonal<'a>,
        there: usize,
        end: usize,
        min: usize,
    ) -> Option<(usize, usize, Diagonal<'a>)> {
        if self.expected.is_some_and(|expected| expected.is(&place)) {
            return None;
        }
        let ahead = &place.bytes[there..];
        let forward = common_prefix(&self.target[end..], &ahead[..ahead.len().min(place.limit)]);
        let backward = common_suffix(&self.target[self.settled_to..end], &place.bytes[..there]);
        let len = (forward + backward).min(place.limit);
        let position = end - backward;
        (len >= min && len >= min + self.copied_behind(position)).then_some((position, len, place))
    }

    /// Bytes behind `position` that are copied so far.
    fn copied_behind(&self, position: usize) -> usize {
        let mut step_end = self.copied_to;
        let mut copied = 0;
        for step in self.steps.iter().rev() {
            if step_end <= position {
                break;
            }
            copied += step.copy.min(step_end - position);
            step_end -= step.copy + step.literal;
        }
        copied
    }
}

/// How many bytes both begin with.
fn common_prefix(a: &[u8], b: &[u8]) -> usize {
    const STRIDE: usize = 32;
    let (strides_a, strides_b) = (a.as_chunks::<STRIDE>().0, b.as_chunks::<STRIDE>().0);
    let equal = strides_a
        .iter()
        .zip(strides_b)
        .take_while(|(a, b)| a == b)
        .count()
        * STRIDE;
    let rest = a[equal..].iter().zip(&b[equal..]);
    equal + rest.take_while(|(a, b)| a == b).count()
}

/// How many bytes both end with.
fn common_suffix(a: &[u8], b: &[u8]) -> usize {
    const STRIDE: usize = 32;
    let (strides_a, strides_b) = (a.as_rchunks::<STRIDE>().1, b.as_rchunks::<STRIDE>().1);
    let pairs = strides_a.iter().rev().zip(strides_b.iter().rev());
    let equal = pairs.take_while(|(a, b)| a == b).count() * STRIDE;
    let rest = a[..a.len() - equal]
        .iter()
        .rev()
        .zip(b[..b.len() - equal].iter().rev());
    equal + rest.take_while(|(a, b)| a == b).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_and_suffixes_are_counted_across_strides() {
        for equal in 0..100 {
            let mut a = vec![1; 100];
            let mut b = vec![1; 150];
            if equal < 100 {
                a[equal] = 2;
            }
            assert_eq!(common_prefix(&a, &b), equal);
            a.reverse();
            b.truncate(130);
            assert_eq!(common_suffix(&a, &b), equal);
        }
        assert_eq!(common_prefix(&[], &[1]), 0);
        assert_eq!(common_suffix(&[1; 70], &[1; 40]), 40);
    }
}
