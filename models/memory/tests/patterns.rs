//! The content patterns against their published figures, and any page on its own against the whole.

use longhaul_core::random::Streams;
use longhaul_memory::PAGE_SIZE;
use longhaul_memory::pattern::{Content, Pattern, Region};
use proptest::prelude::*;

type Page = [u8; PAGE_SIZE];

/// 16 MiB.
const PAGES: u64 = 4096;

fn content(pattern: Pattern, pages: u64) -> Content {
    Content::new(
        pattern,
        pages,
        &mut Streams::new(5, 0).stream("vm", "memory content"),
    )
}

fn read_all(content: &Content) -> Vec<Page> {
    let mut memory = vec![[0xaa; PAGE_SIZE]; content.pages() as usize];
    // Backwards: no page may depend on one read before it.
    for (number, page) in memory.iter_mut().enumerate().rev() {
        content.read(number as u64, page);
    }
    memory
}

fn zero_pages(memory: &[Page]) -> usize {
    memory
        .iter()
        .filter(|page| page.iter().all(|byte| *byte == 0))
        .count()
}

/// Shannon entropy of the byte histogram, in bits per byte.
fn entropy(memory: &[Page]) -> f64 {
    let mut histogram = [0u64; 256];
    for byte in memory.as_flattened() {
        histogram[usize::from(*byte)] += 1;
    }
    let total = memory.as_flattened().len() as f64;
    let shares = histogram
        .iter()
        .filter(|count| **count > 0)
        .map(|count| *count as f64 / total);
    shares.map(|share| -share * libm::log2(share)).sum()
}

fn zstd_ratio(memory: &[Page]) -> f64 {
    let bytes = memory.as_flattened();
    bytes.len() as f64 / zstd::bulk::compress(bytes, 3).unwrap().len() as f64
}

#[test]
fn real_world_memory_has_the_zero_pages_entropy_and_ratio_of_the_reference() {
    let memory = read_all(&content(Pattern::RealWorld, PAGES));
    assert_eq!(zero_pages(&memory), 1228);
    assert!((entropy(&memory) - 5.107).abs() <= 0.001, "{}", entropy(&memory));
    let ratio = zstd_ratio(&memory);
    assert!((3.99..=4.0).contains(&ratio), "{ratio}");
}

#[test]
fn constant_memory_is_incompressible() {
    let memory = read_all(&content(Pattern::Constant, PAGES));
    assert!(entropy(&memory) >= 7.9999, "{}", entropy(&memory));
    let ratio = zstd_ratio(&memory);
    assert!((0.999..=1.0).contains(&ratio), "{ratio}");
}

#[test]
fn bursty_memory_has_its_expected_random_share_in_chunks_of_the_two_sizes() {
    // 4 GiB, of which no byte is read.
    let pages = 1u64 << 20;
    let content = content(Pattern::Bursty, pages);
    let regions: Vec<Region> = (0..pages).map(|page| content.region(page)).collect();
    let runs: Vec<&[Region]> = regions.chunk_by(PartialEq::eq).collect();
    for run in &runs[..runs.len() - 1] {
        let unit = if run[0] == Region::Random { 16 } else { 32 };
        assert_eq!(run.len() % unit, 0, "{:?}", run[0]);
    }
    // About 38,500 chunks: the share 0.3·64 / (0.3·64 + 0.7·128) has a standard deviation of 0.0019.
    let random = regions.iter().filter(|region| **region == Region::Random).count();
    let share = random as f64 / pages as f64;
    assert!((share - 0.3 / 1.7).abs() < 3.0 * 0.0019, "{share}");
}

#[test]
fn bursty_memory_is_as_compressible_as_its_zero_share_says() {
    let memory = read_all(&content(Pattern::Bursty, PAGES));
    let random = memory.len() - zero_pages(&memory);
    let bound = memory.len() as f64 / random as f64;
    let ratio = zstd_ratio(&memory);
    assert!(
        ratio > 0.99 * bound && ratio <= bound,
        "{ratio} with bound {bound}"
    );
}

#[test]
fn sinusoidal_memory_is_the_sine_of_every_byte_offset() {
    let memory = read_all(&content(Pattern::Sinusoidal, PAGES));
    for (i, byte) in memory.as_flattened().iter().enumerate() {
        let direct = (128.0 + 127.0 * libm::sin(i as f64 / 1000.0)) as u8;
        assert_eq!(*byte, direct, "byte {i}");
    }
    assert!(zstd_ratio(&memory) >= 29.0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn the_parts_of_real_world_memory_meet_at_their_byte_boundaries(pages in 1u64..60) {
        let memory = read_all(&content(Pattern::RealWorld, pages));
        let bytes = memory.as_flattened();
        let n = bytes.len();
        let (zeros, text) = (3 * n / 10, 4 * n / 10);
        let (symbols, random) = (2 * n / 10, n - zeros - text - 2 * n / 10);
        let (zero_part, rest) = bytes.split_at(zeros);
        let (text_part, rest) = rest.split_at(text);
        let (symbol_part, random_part) = rest.split_at(symbols);
        prop_assert!(zero_part.iter().all(|byte| *byte == 0));
        prop_assert!(text_part.iter().zip(&text_part[80..]).all(|(a, b)| a == b), "period 80");
        prop_assert!(text_part.starts_with(b"status=ok status=ok "));
        prop_assert!(text_part.iter().all(|byte| byte.is_ascii_graphic() || *byte == b' '));
        prop_assert!(symbol_part.iter().all(|byte| byte.is_ascii_alphanumeric() || b"+/".contains(byte)));
        // Of these bytes a quarter would be symbols by chance.
        let chance = random_part.iter().filter(|byte| byte.is_ascii_alphanumeric()).count();
        prop_assert!(chance * 2 < random);
    }

    #[test]
    fn a_region_says_what_its_pages_hold(pages in 1u64..200) {
        for pattern in [Pattern::RealWorld, Pattern::Constant, Pattern::Bursty, Pattern::Sinusoidal] {
            let content = content(pattern, pages);
            let memory = read_all(&content);
            for (number, page) in (0..).zip(&memory) {
                let zero = page.iter().all(|byte| *byte == 0);
                prop_assert_eq!(zero, content.region(number) == Region::Zero, "{:?} page {}", pattern, number);
            }
        }
    }
}

#[test]
fn guests_differ_in_their_random_bytes_and_agree_with_themselves_everywhere() {
    let first = |name: &str| {
        let mut stream = Streams::new(5, 0).stream(name, "memory content");
        let mut page = [0; PAGE_SIZE];
        Content::new(Pattern::Constant, 8, &mut stream).read(7, &mut page);
        u64::from_le_bytes(page[..8].try_into().unwrap())
    };
    assert_ne!(first("a"), first("b"));
    // Pinned: a change here changes the memory of every guest.
    assert_eq!(first("vm"), 17_199_771_634_497_978_846);
}
