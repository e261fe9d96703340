//! A set of pages of one guest on the wire, in parts that cover a gibibyte of memory each.
//!
//! | bytes | field |
//! | --: | --- |
//! | 8 | the first page that the part covers, a multiple of [`PAGES_PER_PART`] |
//! | 1 | form: 0 runs, 1 bits |
//! | … | runs: alternating lengths (ULEB128) of pages that are not in the set and pages that are |
//! | … | bits: eight pages per byte, the first one the lowest |
//!
//! A part takes the shorter form, so that neither a whole memory nor a random half of it costs more than a bit per page.

use longhaul_memory::bitmap::DirtyBitmap;

use super::{Reader, put_uleb128};

/// Pages that a part covers: 1 GiB.
pub const PAGES_PER_PART: u64 = 1 << 18;

/// Parts that a guest of so many pages takes.
pub fn part_count(pages: u64) -> u64 {
    pages.div_ceil(PAGES_PER_PART)
}

/// The part of a set with this number.
pub fn part(set: &DirtyBitmap, number: u64) -> Vec<u8> {
    let first = number * PAGES_PER_PART;
    let end = (first + PAGES_PER_PART).min(set.pages());
    let bits_len = (end - first).div_ceil(8) as usize;
    let mut out = first.to_be_bytes().to_vec();
    out.push(0);
    let header = out.len();
    let mut at = first;
    while let Some(start) = set.next(at).filter(|start| *start < end) {
        let stop = set.next_clear(start).min(end);
        put_uleb128(&mut out, start - at);
        put_uleb128(&mut out, stop - start);
        at = stop;
        if out.len() - header > bits_len {
            out.truncate(header - 1);
            out.push(1);
            let byte =
                |byte: u64| (0..8).fold(0, |bits, bit| bits | u8::from(set.contains(byte + bit)) << bit);
            out.extend((first..end).step_by(8).map(byte));
            break;
        }
    }
    out
}

/// Adds a part to a set; `None` if it does not fit the guest or makes no sense.
pub fn add_part(bytes: &[u8], set: &mut DirtyBitmap) -> Option<()> {
    let mut reader = Reader::new(bytes);
    let first = reader.u64()?;
    if first >= set.pages() || !first.is_multiple_of(PAGES_PER_PART) {
        return None;
    }
    let end = (first + PAGES_PER_PART).min(set.pages());
    match reader.u8()? {
        0 => {
            let mut at = first;
            while !reader.is_empty() {
                let start = at.checked_add(reader.uleb128()?)?;
                let stop = start.checked_add(reader.uleb128()?).filter(|stop| *stop <= end)?;
                if stop == start {
                    return None;
                }
                (start..stop).for_each(|page| {
                    set.set(page);
                });
                at = stop;
            }
        }
        1 => {
            let bits = reader.rest();
            if bits.len() as u64 != (end - first).div_ceil(8) {
                return None;
            }
            for (byte, base) in bits.iter().zip((first..).step_by(8)) {
                for bit in (0..8).filter(|bit| byte & 1 << bit != 0) {
                    if base + bit >= end {
                        return None;
                    }
                    set.set(base + bit);
                }
            }
        }
        _ => return None,
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn round_trip(set: &DirtyBitmap) -> usize {
        let (mut back, mut bytes) = (DirtyBitmap::new(set.pages()), 0);
        for number in 0..part_count(set.pages()) {
            let part = part(set, number);
            add_part(&part, &mut back).unwrap();
            bytes += part.len();
        }
        assert_eq!(back, *set);
        bytes
    }

    #[test]
    fn a_set_costs_a_bit_per_page_at_most_and_little_if_it_is_simple() {
        let pages = 2 * PAGES_PER_PART + 77;
        let mut set = DirtyBitmap::new(pages);
        assert_eq!(round_trip(&set), 3 * 9);
        set.set_all();
        assert!(round_trip(&set) < 3 * 9 + 3 * 5);
        let mut every_other = DirtyBitmap::new(pages);
        (0..pages).step_by(2).for_each(|page| {
            every_other.set(page);
        });
        assert_eq!(round_trip(&every_other) as u64, 3 * 9 + pages.div_ceil(8));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn any_set_survives(pages in 1u64..500, picks in proptest::collection::vec(any::<u64>(), 0..600)) {
            let mut set = DirtyBitmap::new(pages);
            picks.iter().for_each(|pick| { set.set(pick % pages); });
            round_trip(&set);
        }

        #[test]
        fn no_bytes_make_it_panic(pages in 1u64..500, bytes in proptest::collection::vec(any::<u8>(), 0..80), first in any::<bool>()) {
            let mut set = DirtyBitmap::new(pages);
            let mut bytes = bytes;
            if first && bytes.len() >= 9 {
                bytes[..8].fill(0);
                bytes[8] &= 1;
            }
            add_part(&bytes, &mut set);
            prop_assert!(set.count() <= pages);
        }
    }
}
