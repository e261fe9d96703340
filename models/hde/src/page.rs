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

/// In how many bytes the two pages differ.
pub fn changed_bytes(a: &[u8; PAGE_SIZE], b: &[u8; PAGE_SIZE]) -> usize {
    let (strides_a, _) = a.as_chunks::<STRIDE>();
    let (strides_b, _) = b.as_chunks::<STRIDE>();
    strides_a
        .iter()
        .zip(strides_b)
        // A stride holds fewer than 256 bytes, so its count fits a byte and stays in vector registers.
        .map(|(a, b)| usize::from(a.iter().zip(b).fold(0u8, |n, (a, b)| n + u8::from(a != b))))
        .sum()
}

/// `target ^= other`, byte by byte.
pub(crate) fn xor_in_place(target: &mut [u8; PAGE_SIZE], other: &[u8; PAGE_SIZE]) {
    let (words, _) = target.as_chunks_mut::<8>();
    let (others, _) = other.as_chunks::<8>();
    for (word, other) in words.iter_mut().zip(others) {
        *word = (u64::from_ne_bytes(*word) ^ u64::from_ne_bytes(*other)).to_ne_bytes();
    }
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
    fn xor_is_its_own_inverse() {
        let a: [u8; PAGE_SIZE] = std::array::from_fn(|i| (i * 7) as u8);
        let b: [u8; PAGE_SIZE] = std::array::from_fn(|i| (i / 3) as u8);
        let mut page = a;
        xor_in_place(&mut page, &b);
        assert_eq!(page[999], a[999] ^ b[999]);
        xor_in_place(&mut page, &b);
        assert_eq!(page, a);
    }
}
