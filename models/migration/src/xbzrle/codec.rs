//! Pages to runs and back, and the frame that carries them.
//!
//! | bytes | field of a frame |
//! | --: | --- |
//! | 4 | magic `LHMX` |
//! | 8 | number of the frame |
//! | 4 | CRC-32C of all pages as they are to be |
//! | 2 | pages |
//! | … | per page: number (8), kind (1: 0 zeros, 1 runs, 2 whole), length (2) and bytes |

use bytes::Bytes;
use longhaul_hde::{PAGE_SIZE, PageInput, PageStore, is_zero};

use crate::wire::{Reader, put_uleb128};

type Page = [u8; PAGE_SIZE];

const MAGIC: [u8; 4] = *b"LHMX";
const HEADER_LEN: usize = 18;

/// Most pages of a frame: 16 MiB, like HDE's.
const MAX_PAGES: usize = 4096;

/// How a page travels.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Zero = 0,
    Runs = 1,
    Whole = 2,
}

/// A frame and what is in it.
pub struct Encoded {
    pub frame: Bytes,
    pub zero_pages: u64,
    /// Pages that were compared with the cache.
    pub compared_pages: u64,
    /// What they came to, without their numbers.
    pub compared_bytes: u64,
    pub overflows: u64,
}

/// The changes from `old` to `new` as runs; `None` if they would not be shorter than the page.
pub fn encode_page(old: &Page, new: &Page, out: &mut Vec<u8>) -> Option<()> {
    let start = out.len();
    let mut at = 0;
    while at < PAGE_SIZE {
        let same = (at..PAGE_SIZE).take_while(|i| old[*i] == new[*i]).count();
        if at + same == PAGE_SIZE {
            break;
        }
        let changed_at = at + same;
        let changed = (changed_at..PAGE_SIZE).take_while(|i| old[*i] != new[*i]).count();
        put_uleb128(out, same as u64);
        put_uleb128(out, changed as u64);
        at = changed_at + changed;
        if out.len() - start + changed >= PAGE_SIZE {
            out.truncate(start);
            return None;
        }
        out.extend_from_slice(&new[changed_at..at]);
    }
    Some(())
}

/// Applies runs to a page; `None` if they do not fit.
pub fn decode_page(runs: &[u8], page: &mut Page) -> Option<()> {
    let mut reader = Reader::new(runs);
    let mut at = 0usize;
    while !reader.is_empty() {
        at = at.checked_add(usize::try_from(reader.uleb128()?).ok()?)?;
        let changed = usize::try_from(reader.uleb128()?)
            .ok()
            .filter(|changed| *changed > 0)?;
        let end = at.checked_add(changed).filter(|end| *end <= PAGE_SIZE)?;
        page[at..end].copy_from_slice(reader.take(changed)?);
        at = end;
    }
    Some(())
}

/// Encodes pages into a frame. The baseline of a page is what the destination has, if the cache knows.
pub fn encode(sequence: u64, pages: &[PageInput<'_>]) -> Encoded {
    assert!(pages.len() <= MAX_PAGES, "{} pages in one frame", pages.len());
    let mut encoded = Encoded {
        frame: Bytes::new(),
        zero_pages: 0,
        compared_pages: 0,
        compared_bytes: 0,
        overflows: 0,
    };
    let (mut body, mut checksum, mut runs) = (Vec::new(), 0, Vec::new());
    for page in pages {
        checksum = crc32c::crc32c_append(checksum, page.content);
        runs.clear();
        let (kind, bytes): (Kind, &[u8]) = if is_zero(page.content) {
            encoded.zero_pages += 1;
            (Kind::Zero, &[])
        } else {
            let shorter = page
                .baseline
                .map(|cached| encode_page(cached, page.content, &mut runs));
            encoded.compared_pages += u64::from(shorter.is_some());
            match shorter {
                Some(Some(())) => {
                    encoded.compared_bytes += KIND_AND_LENGTH + runs.len() as u64;
                    (Kind::Runs, &runs)
                }
                Some(None) => {
                    encoded.overflows += 1;
                    encoded.compared_bytes += KIND_AND_LENGTH + PAGE_SIZE as u64;
                    (Kind::Whole, page.content)
                }
                None => (Kind::Whole, page.content),
            }
        };
        body.extend_from_slice(&page.number.to_be_bytes());
        body.push(kind as u8);
        body.extend_from_slice(&(bytes.len() as u16).to_be_bytes());
        body.extend_from_slice(bytes);
    }
    encoded.frame = [
        &MAGIC[..],
        &sequence.to_be_bytes(),
        &checksum.to_be_bytes(),
        &(pages.len() as u16).to_be_bytes(),
        &body,
    ]
    .concat()
    .into();
    encoded
}

/// Why a frame was refused. The store is as it was.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum FrameError {
    /// Bytes that no encoder writes.
    #[error("malformed frame")]
    Malformed,
    /// It changes a page that is not there.
    #[error("page {0} is needed and missing")]
    MissingPage(u64),
    /// The pages are not those that were encoded.
    #[error("decoded pages differ from the encoded ones")]
    Mismatch,
}

/// Whether these bytes claim to be a frame of this encoding.
pub fn is_meant(bytes: &[u8]) -> bool {
    bytes.starts_with(&MAGIC)
}

/// The number of a frame, and the pages in it.
pub fn header(frame: &[u8]) -> Result<(u64, Vec<u64>), FrameError> {
    let (sequence, _, pages) = parse(frame)?;
    Ok((sequence, pages.into_iter().map(|page| page.number).collect()))
}

/// Decodes a whole frame and installs its pages, all or none.
pub fn decode<S: PageStore + ?Sized>(frame: &[u8], store: &mut S) -> Result<(), FrameError> {
    let (_, expected, parts) = parse(frame)?;
    let (mut pages, mut checksum): (Vec<(u64, Page)>, _) = (Vec::with_capacity(parts.len()), 0);
    for part in parts {
        let page = match part.kind {
            Kind::Zero => [0; PAGE_SIZE],
            Kind::Whole => *part.bytes.first_chunk().ok_or(FrameError::Malformed)?,
            Kind::Runs => {
                let mut page = *store
                    .page(part.number)
                    .ok_or(FrameError::MissingPage(part.number))?;
                decode_page(part.bytes, &mut page).ok_or(FrameError::Malformed)?;
                page
            }
        };
        checksum = crc32c::crc32c_append(checksum, &page);
        pages.push((part.number, page));
    }
    if checksum != expected {
        return Err(FrameError::Mismatch);
    }
    pages
        .iter()
        .for_each(|(number, page)| store.install(*number, page));
    Ok(())
}

/// A page in a frame.
struct Part<'a> {
    number: u64,
    kind: Kind,
    bytes: &'a [u8],
}

fn parse(frame: &[u8]) -> Result<(u64, u32, Vec<Part<'_>>), FrameError> {
    let parsed = || -> Option<_> {
        let mut reader = Reader::new(frame);
        let (magic, sequence, checksum) = (reader.take(4)?, reader.u64()?, reader.u32()?);
        let count = usize::from(reader.u16()?);
        if magic != MAGIC || count > MAX_PAGES {
            return None;
        }
        let mut parts: Vec<Part> = Vec::with_capacity(count.min(frame.len() / 11));
        for _ in 0..count {
            let number = reader.u64()?;
            let kind = match reader.u8()? {
                0 => Kind::Zero,
                1 => Kind::Runs,
                2 => Kind::Whole,
                _ => return None,
            };
            let len = usize::from(reader.u16()?);
            let fits = match kind {
                Kind::Zero => len == 0,
                Kind::Runs => len < PAGE_SIZE,
                Kind::Whole => len == PAGE_SIZE,
            };
            let ascends = parts.last().is_none_or(|last| last.number < number);
            if !fits || !ascends {
                return None;
            }
            let bytes = reader.take(len)?;
            parts.push(Part { number, kind, bytes });
        }
        reader.is_empty().then_some((sequence, checksum, parts))
    };
    parsed().ok_or(FrameError::Malformed)
}

/// Bytes of a frame that are there whatever is in it.
pub const FIXED_LEN: usize = HEADER_LEN;

/// Bytes of a page's number.
pub const NUMBER_LEN: u64 = 8;

/// Bytes that say how a page travels.
const KIND_AND_LENGTH: u64 = 3;

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_example_of_the_specification_comes_out_as_there() {
        let (mut old, mut new) = ([0; PAGE_SIZE], [0; PAGE_SIZE]);
        let old_bytes = [
            5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 0x68, 0, 0, 0x6b, 0, 0x6d,
        ];
        let new_bytes = [
            1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 0x68, 0, 0, 0x67, 0, 0x69,
        ];
        old[1001..][..21].copy_from_slice(&old_bytes);
        new[1001..][..21].copy_from_slice(&new_bytes);
        let mut runs = Vec::new();
        encode_page(&old, &new, &mut runs).unwrap();
        let expected = [
            0xe9, 7, 15, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 3, 1, 0x67, 1, 1, 0x69,
        ];
        assert_eq!(runs, expected);
        decode_page(&runs, &mut old).unwrap();
        assert_eq!(old, new);
    }

    #[test]
    fn a_page_that_has_not_changed_costs_nothing_and_one_that_has_overflows() {
        let (old, mut runs) = ([1; PAGE_SIZE], Vec::new());
        assert_eq!(encode_page(&old, &old, &mut runs), Some(()));
        assert!(runs.is_empty());
        let every_other: Page = std::array::from_fn(|i| 1 + (i % 2) as u8);
        assert_eq!(encode_page(&old, &every_other, &mut runs), None);
        assert_eq!(encode_page(&old, &[2; PAGE_SIZE], &mut runs), None);
        assert!(runs.is_empty());
    }

    fn store(pages: &[(u64, Page)]) -> BTreeMap<u64, Box<Page>> {
        pages
            .iter()
            .map(|(number, page)| (*number, Box::new(*page)))
            .collect()
    }

    fn sample() -> (Encoded, [Page; 3]) {
        let old = [7; PAGE_SIZE];
        let mut new = old;
        new[100] = 9;
        let contents = [[0; PAGE_SIZE], new, [3; PAGE_SIZE]];
        let input = |number, index: usize, baseline| PageInput {
            number,
            content: &contents[index],
            baseline,
        };
        let inputs = [input(1, 0, None), input(4, 1, Some(&old)), input(9, 2, None)];
        (encode(5, &inputs), contents)
    }

    #[test]
    fn a_frame_brings_its_pages() {
        let (encoded, contents) = sample();
        assert_eq!(
            (encoded.zero_pages, encoded.compared_pages, encoded.overflows),
            (1, 1, 0)
        );
        assert_eq!(encoded.compared_bytes, 3 + 3);
        assert_eq!(header(&encoded.frame), Ok((5, vec![1, 4, 9])));
        assert_eq!(encoded.frame.len(), FIXED_LEN + 3 * 11 + 3 + PAGE_SIZE);
        let mut there = store(&[(4, [7; PAGE_SIZE])]);
        decode(&encoded.frame, &mut there).unwrap();
        for (number, content) in [1, 4, 9].iter().zip(&contents) {
            assert_eq!(*there[number], *content);
        }
    }

    #[test]
    fn a_page_of_another_guest_is_noticed_and_nothing_installed() {
        let (encoded, _) = sample();
        let mut wrong = store(&[(4, [8; PAGE_SIZE])]);
        assert_eq!(decode(&encoded.frame, &mut wrong), Err(FrameError::Mismatch));
        assert_eq!(wrong, store(&[(4, [8; PAGE_SIZE])]));
        assert_eq!(
            decode(&encoded.frame, &mut store(&[])),
            Err(FrameError::MissingPage(4))
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn any_change_survives(changes in proptest::collection::vec((0..PAGE_SIZE, any::<u8>()), 0..400)) {
            let old: Page = std::array::from_fn(|i| (i % 251) as u8);
            let mut new = old;
            changes.iter().for_each(|(at, byte)| new[*at] = *byte);
            let mut runs = Vec::new();
            encode_page(&old, &new, &mut runs).unwrap();
            let mut page = old;
            decode_page(&runs, &mut page).unwrap();
            prop_assert_eq!(page, new);
        }

        #[test]
        fn damaged_frames_are_refused(at in any::<prop::sample::Index>(), mask in 1u8.., cut in any::<prop::sample::Index>()) {
            let (encoded, contents) = sample();
            let mut damaged = encoded.frame.to_vec();
            let index = at.index(damaged.len());
            damaged[index] ^= mask;
            let mut there = store(&[(4, [7; PAGE_SIZE])]);
            if decode(&damaged, &mut there).is_ok() {
                // Only the numbers of the frame and its pages are not covered: the transport covers them.
                prop_assert!(there.values().all(|page| contents.contains(page) || **page == [7; PAGE_SIZE]));
            }
            let mut there = store(&[(4, [7; PAGE_SIZE])]);
            prop_assert!(decode(&encoded.frame[..cut.index(encoded.frame.len())], &mut there).is_err());
        }

        #[test]
        fn no_bytes_make_it_panic(noise in proptest::collection::vec(any::<u8>(), 0..200)) {
            let frame = [&MAGIC[..], &noise].concat();
            let _ = decode(&frame, &mut store(&[]));
            let _ = decode_page(&noise, &mut [0; PAGE_SIZE]);
        }
    }
}
