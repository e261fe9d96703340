//! Whole-page primitives. They run over every page of a guest, so they are written for the vectoriser.

use crate::PAGE_SIZE;

/// Bytes looked at between two checks for an early exit: a few vector registers.
const STRIDE: usize = 128;

/// Whether every byte is zero.
pub fn is_zero(page: &[u8; PAGE_SIZE]) -> bool {
    let (strides, _) = page.as_chunks::<STRIDE>();
    strides.iter().all(|stride| {
        let (words, _) = stride.as_chunks::<8>();
        words.iter().fold(0, |any, word| any | u64::from_ne_bytes(*word)) == 0
    })
}

/// A page to write into, for where most pages need none: it is as good as free only as long as it is not made.
pub(crate) fn blank() -> [u8; PAGE_SIZE] {
    [0; PAGE_SIZE]
}

/// In how many bytes the two pages differ.
pub fn changed_bytes(a: &[u8; PAGE_SIZE], b: &[u8; PAGE_SIZE]) -> usize {
    let (strides_a, _) = a.as_chunks::<STRIDE>();
    let (strides_b, _) = b.as_chunks::<STRIDE>();
    strides_a
        .iter()
        .zip(strides_b)
        // A stride holds fewer than 256 bytes, so its count fits a byte; a sum that is
        // checked would not stay in vector registers.
        .map(|(a, b)| {
            usize::from(
                a.iter()
                    .zip(b)
                    .fold(0u8, |n, (a, b)| n.wrapping_add(u8::from(a != b))),
            )
        })
        .sum()
}

/// What sort of page this looks like, of four: text or not, many zeros or few. The pages of a frame compress better
/// with those of their sort beside them (on the recorded guest of the `hde` bench, by 0.7 percent).
///
/// A quarter of the page tells it as well as all of it.
pub(crate) fn sort_of(page: &[u8; PAGE_SIZE]) -> u8 {
    /// One stride in so many is looked at.
    const SAMPLED: usize = 4;
    const SAMPLE: usize = PAGE_SIZE / SAMPLED;
    let (mut text, mut zeros) = (0, 0);
    let (strides, _) = page.as_chunks::<STRIDE>();
    for stride in strides.iter().step_by(SAMPLED) {
        // As in `changed_bytes`.
        let (mut text_here, mut zeros_here) = (0u8, 0u8);
        for byte in stride {
            text_here = text_here.wrapping_add(u8::from(byte.wrapping_sub(b' ') < 95));
            zeros_here = zeros_here.wrapping_add(u8::from(*byte == 0));
        }
        text += usize::from(text_here);
        zeros += usize::from(zeros_here);
    }
    u8::from(text >= SAMPLE / 2) << 1 | u8::from(zeros >= SAMPLE * 3 / 8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_set_bit_anywhere_makes_a_page_nonzero() {
        let mut page = [0; PAGE_SIZE];
        assert!(is_zero(&page));
        for position in 0..PAGE_SIZE {
            page[position] = 1 << (position % 8);
            assert!(!is_zero(&page), "byte {position}");
            page[position] = 0;
        }
    }

    #[test]
    fn changed_bytes_are_counted_up_to_the_whole_page() {
        let (zeros, mut page) = ([0; PAGE_SIZE], [0; PAGE_SIZE]);
        for position in 0..PAGE_SIZE {
            assert_eq!(changed_bytes(&zeros, &page), position);
            page[position] = 0xff;
        }
        assert_eq!(changed_bytes(&zeros, &page), PAGE_SIZE);
    }

    #[test]
    fn pages_are_sorted_by_text_and_zeros() {
        // So many bytes of every 128.
        let page =
            |byte: u8, count: usize| std::array::from_fn(|i| if i % 128 < count { byte } else { 0x80 });
        assert_eq!(sort_of(&page(0, 47)), 0);
        assert_eq!(sort_of(&page(0, 48)), 1);
        assert_eq!(sort_of(&page(b'a', 63)), 0);
        assert_eq!(sort_of(&page(b'a', 64)), 2);
        let mut half: [u8; PAGE_SIZE] = page(b'~', 64);
        half.chunks_exact_mut(128).for_each(|stride| stride[64..].fill(0));
        assert_eq!(sort_of(&half), 3);
    }
}
