//! Anchors: places in a page that its content alone singles out, so that moved content is found again by them.
//!
//! A place can be an anchor if a hash of the eight bytes that begin there has its top bits zero, as it has at one place in
//! 16. Its key is a hash of the [`WINDOW`] bytes that begin there. One side of a comparison has to look at all these
//! places, whatever their alignment ([`find_all`]); for the other side some of them do ([`find_some`]).
//!
//! Every byte that is sent or learned passes through here, so the first hash is one that compilers turn into vector
//! instructions of any processor: products of 16 bits, of all even places and all odd places side by side.

use std::ops::Range;

use crate::PAGE_SIZE;

/// Bytes by which an anchor is known again.
pub(crate) const WINDOW: usize = 32;

/// One place in 2^this can be an anchor.
const DENSITY_BITS: u32 = 4;

/// Bytes from one anchor to the next, at least, where some will do.
const SPACING: usize = 64;

/// Bits of a key.
pub(crate) const KEY_BITS: u32 = 26;

/// Odd, and otherwise arbitrary.
const FACTORS: [u16; 4] = [0x9e37, 0x85eb, 0xc2b3, 0x27d5];

/// Keeps zeros from being anchors.
const OFFSET: u16 = 0x5a5a;

/// Odd, and otherwise arbitrary: 2^64 over the golden ratio.
const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;

impl Anchor {
    fn at(page: &[u8; PAGE_SIZE], offset: usize) -> Anchor {
        Anchor {
            offset: offset as u16,
            key: key(&page[offset..offset + WINDOW]),
        }
    }
}

/// A place that is singled out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Anchor {
    /// Where in the page its window begins.
    pub offset: u16,
    /// The key of the window, of [`KEY_BITS`] bits.
    pub key: u32,
}

/// Appends the anchors of a page whose windows lie within `within`. Of neighbours of equal keys, as in periodic
/// content, only the first.
pub(crate) fn find_all(page: &[u8; PAGE_SIZE], within: Range<usize>, anchors: &mut Vec<Anchor>) {
    let Some(places) = places(&within) else { return };
    let mut marks = [0; PAGE_SIZE];
    // Two places at a time; the last one may be one too many.
    mark_pairs(&page[within.clone()], &mut marks[..places.next_multiple_of(2)]);
    marks[places] = 0;
    let mut key_before = None;
    for_each_marked(&marks[..places.next_multiple_of(STRIDE)], |place| {
        let anchor = Anchor::at(page, within.start + place);
        if key_before != Some(anchor.key) {
            anchors.push(anchor);
        }
        key_before = Some(anchor.key);
    });
}

/// Appends some anchors of a page, at even places and [`SPACING`] apart.
pub(crate) fn find_some(page: &[u8; PAGE_SIZE], anchors: &mut Vec<Anchor>) {
    const PLACES: usize = (PAGE_SIZE - WINDOW) / 2 + 1;
    let mut marks = [0; PLACES.next_multiple_of(STRIDE)];
    mark_even(page, &mut marks[..PLACES]);
    let mut next = 0;
    let (strides, _) = marks.as_chunks::<STRIDE>();
    for (start, stride) in (0..).step_by(STRIDE).zip(strides) {
        let mut left = bits(stride);
        loop {
            // Places before the next one drop out together: to test them one by one takes most of the time.
            left &= u64::MAX.checked_shl((next - start.min(next)) as u32).unwrap_or(0);
            if left == 0 {
                break;
            }
            let place = start + left.trailing_zeros() as usize;
            anchors.push(Anchor::at(page, 2 * place));
            next = place + SPACING / 2;
        }
    }
}

/// Leaves some of the anchors that [`find_all`] has found in one page, [`SPACING`] apart.
pub(crate) fn thin_out(anchors: &mut Vec<Anchor>) {
    let mut next = 0;
    anchors.retain(|anchor| {
        let kept = usize::from(anchor.offset) >= next;
        if kept {
            next = usize::from(anchor.offset) + SPACING;
        }
        kept
    });
}

/// At how many places of a range windows begin that lie within it; `None` for none.
fn places(within: &Range<usize>) -> Option<usize> {
    (within.len() + 1)
        .checked_sub(WINDOW)
        .filter(|places| *places > 0)
}

/// Places marked together.
const STRIDE: usize = 64;

/// Marks the places at which anchors can be with 1, all others with 0.
fn mark_pairs(bytes: &[u8], marks: &mut [u8]) {
    let (marks, _) = marks.as_chunks_mut::<2>();
    let pairs = marks.len();
    let even = [0, 2, 4, 6].map(|from| words(bytes, from, pairs));
    let odd = [1, 3, 5, 7].map(|from| words(bytes, from, pairs));
    for (i, mark) in marks.iter_mut().enumerate() {
        *mark = [
            mark_of(even.map(|words| words[i])),
            mark_of(odd.map(|words| words[i])),
        ];
    }
}

/// The same for even places alone.
fn mark_even(bytes: &[u8], marks: &mut [u8]) {
    let even = [0, 2, 4, 6].map(|from| words(bytes, from, marks.len()));
    for (i, mark) in marks.iter_mut().enumerate() {
        *mark = mark_of(even.map(|words| words[i]));
    }
}

/// The 16-bit words of every second place.
fn words(bytes: &[u8], from: usize, count: usize) -> &[[u8; 2]] {
    &bytes[from..from + 2 * count].as_chunks::<2>().0[..count]
}

fn mark_of(words: [[u8; 2]; 4]) -> u8 {
    let step = |hash: u16, i: usize| (hash ^ u16::from_le_bytes(words[i])).wrapping_mul(FACTORS[i]);
    let hash = (0..4).fold(OFFSET, step);
    u8::from(hash >> (u16::BITS - DENSITY_BITS) == 0)
}

/// Visits the places that are marked, ascending.
fn for_each_marked(marks: &[u8], mut visit: impl FnMut(usize)) {
    let (strides, _) = marks.as_chunks::<STRIDE>();
    for (start, stride) in (0..).step_by(STRIDE).zip(strides) {
        let mut bits = bits(stride);
        while bits != 0 {
            visit(start + bits.trailing_zeros() as usize);
            bits &= bits - 1;
        }
    }
}

/// The marks of a stride as bits.
fn bits(marks: &[u8; 64]) -> u64 {
    let (words, _) = marks.as_chunks::<8>();
    words.iter().rev().fold(0, |bits, word| {
        // Eight bytes that are 0 or 1, moved together in the top byte.
        bits << 8 | u64::from_le_bytes(*word).wrapping_mul(0x0102_0408_1020_4080) >> 56
    })
}

fn key(window: &[u8]) -> u32 {
    let mut hash = 0u64;
    for word in window.chunks_exact(8) {
        hash = (hash ^ word_of(word)).wrapping_mul(MULTIPLIER);
        hash ^= hash >> 32;
    }
    (hash.wrapping_mul(MULTIPLIER) >> (64 - KEY_BITS)) as u32
}

fn word_of(bytes: &[u8]) -> u64 {
    u64::from_le_bytes(bytes.try_into().expect("a slice of 8 bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise() -> [u8; PAGE_SIZE] {
        let mut state = 1u64;
        std::array::from_fn(|_| {
            state = state.wrapping_mul(MULTIPLIER).wrapping_add(1);
            (state >> 56) as u8
        })
    }

    fn all(page: &[u8; PAGE_SIZE], within: Range<usize>) -> Vec<Anchor> {
        let mut anchors = Vec::new();
        find_all(page, within, &mut anchors);
        anchors
    }

    fn some(page: &[u8; PAGE_SIZE]) -> Vec<Anchor> {
        let mut anchors = Vec::new();
        find_some(page, &mut anchors);
        anchors
    }

    #[test]
    fn about_one_place_in_16_is_an_anchor() {
        let count = all(&noise(), 0..PAGE_SIZE).len();
        // Binomial: 4065 places, mean 254, standard deviation 15.
        assert!((194..=314).contains(&count), "{count}");
    }

    #[test]
    fn some_anchors_are_anchors_far_enough_apart() {
        let page = noise();
        let all = all(&page, 0..PAGE_SIZE);
        let apart = |anchors: &[Anchor]| {
            anchors
                .windows(2)
                .all(|pair| usize::from(pair[0].offset) + SPACING <= usize::from(pair[1].offset))
        };
        let mut thinned = all.clone();
        thin_out(&mut thinned);
        let some = some(&page);
        for (anchors, gap) in [(&some, 32), (&thinned, 16)] {
            assert!(anchors.iter().all(|anchor| all.contains(anchor)));
            assert!(apart(anchors));
            // The mean distance is the spacing and the wait for the next anchor.
            let mean = PAGE_SIZE / anchors.len();
            assert!((SPACING..SPACING + 2 * gap).contains(&mean), "{mean}");
        }
        let mut even = all;
        even.retain(|anchor| anchor.offset % 2 == 0);
        thin_out(&mut even);
        assert_eq!(some, even);
    }

    #[test]
    fn content_keeps_its_anchors_wherever_it_moves() {
        let page = noise();
        let here = all(&page, 100..2000);
        for shift in [1, 24, 777] {
            let mut moved = [0; PAGE_SIZE];
            moved[100 + shift..2000 + shift].copy_from_slice(&page[100..2000]);
            let there: Vec<Anchor> = here
                .iter()
                .map(|anchor| Anchor {
                    offset: anchor.offset + shift as u16,
                    ..*anchor
                })
                .collect();
            assert_eq!(all(&moved, 100 + shift..2000 + shift), there);
        }
    }

    #[test]
    fn windows_lie_within_the_range() {
        let page = noise();
        for range in [0..WINDOW - 1, 5..5, 4080..PAGE_SIZE] {
            assert_eq!(all(&page, range), []);
        }
        for Anchor { offset, key } in all(&page, 0..PAGE_SIZE) {
            let at = usize::from(offset);
            assert_eq!(all(&page, at..at + WINDOW), [Anchor { offset, key }]);
            assert_eq!(all(&page, at..at + WINDOW - 1), []);
        }
    }

    #[test]
    fn zeros_have_no_anchors_and_periodic_content_few() {
        assert_eq!(all(&[0; PAGE_SIZE], 0..PAGE_SIZE), []);
        for byte in 1..=u8::MAX {
            assert!(all(&[byte; PAGE_SIZE], 0..PAGE_SIZE).len() <= 1, "{byte}");
            assert!(some(&[byte; PAGE_SIZE]).len() <= PAGE_SIZE / SPACING, "{byte}");
        }
        let periodic = std::array::from_fn(|i| b"some text of 26 characters"[i % 26]);
        assert!(all(&periodic, 0..PAGE_SIZE).len() <= 5 * PAGE_SIZE / 26);
    }
}
