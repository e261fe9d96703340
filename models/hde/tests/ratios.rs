//! Compression ratios on contents whose right answer is known, and on recorded guest memory.

mod recorded;

use std::collections::BTreeMap;

use longhaul_core::random::Streams;
use longhaul_hde::{Decoder, Encoder, EncoderOptions, PAGE_SIZE, PageInput, is_zero};
use longhaul_memory::pattern::{Content, Pattern};

type Page = [u8; PAGE_SIZE];
type Store = BTreeMap<u64, Box<Page>>;

/// Pages per frame.
const PORTION: usize = 1024;

/// Encodes and decodes pages, checks what arrives, and returns bytes of pages over bytes of frames.
fn ratio(encoder: &mut Encoder, store: &mut Store, pages: &[PageInput<'_>]) -> f64 {
    let mut decoder = Decoder::new();
    let before = encoder.stats().frame_bytes;
    for (sequence, portion) in (0..).zip(pages.chunks(PORTION)) {
        let frame = encoder.encode(sequence, portion);
        decoder.decode(&frame, store).expect("a frame of this encoder");
    }
    assert!(
        pages.iter().all(|page| *store[&page.number] == *page.content),
        "not bit-exact"
    );
    (pages.len() * PAGE_SIZE) as f64 / (encoder.stats().frame_bytes - before) as f64
}

/// The ratio on a pattern, and the share of its pages that is not zero.
fn pattern(pattern: Pattern, mib: u64, level: i32) -> (f64, f64) {
    let pages = mib << 8;
    let content = Content::new(
        pattern,
        pages,
        &mut Streams::new(11, 0).stream("vm", "memory content"),
    );
    let mut memory = vec![[0; PAGE_SIZE]; pages as usize];
    for (number, page) in (0..).zip(&mut memory) {
        content.read(number, page);
    }
    let inputs: Vec<PageInput<'_>> = (0..)
        .zip(&memory)
        .map(|(number, content)| PageInput {
            number,
            content,
            baseline: None,
        })
        .collect();
    let ratio = ratio(
        &mut Encoder::new(EncoderOptions::hde(level)),
        &mut Store::new(),
        &inputs,
    );
    let nonzero = memory.iter().filter(|page| !is_zero(page)).count();
    (ratio, nonzero as f64 / pages as f64)
}

#[test]
fn real_world_memory_comes_close_to_its_entropy_bound_and_not_beyond() {
    for level in [1, 3, 9] {
        let (ratio, _) = pattern(Pattern::RealWorld, 16, level);
        // 20 % at 6 bits and 10 % at 8 bits are 25 % that cannot be saved.
        assert!((3.9..=4.0).contains(&ratio), "level {level}: {ratio}");
    }
}

#[test]
fn random_memory_costs_less_than_one_percent_extra_and_does_not_shrink() {
    let (ratio, _) = pattern(Pattern::Constant, 16, 3);
    assert!((0.99..=1.0).contains(&ratio), "{ratio}");
}

#[test]
fn bursty_memory_costs_its_random_share_and_nothing_else() {
    let (ratio, nonzero) = pattern(Pattern::Bursty, 64, 3);
    assert!(
        (0.995..=1.0).contains(&(ratio * nonzero)),
        "{ratio} at {nonzero} nonzero"
    );
    // 512 chunks of expected 17.65 %: one standard deviation is about 0.4 of the ratio.
    assert!((ratio - 5.67).abs() < 1.2, "{ratio}");
}

#[test]
fn sinusoidal_memory_shrinks_at_least_29_fold() {
    let (ratio, _) = pattern(Pattern::Sinusoidal, 16, 3);
    assert!(ratio >= 29.0, "{ratio}");
}

#[test]
fn recorded_guest_memory_and_its_updates_shrink_as_measured_and_arrive_bit_exact() {
    let Some(images) = recorded::images(3) else { return };
    let mut encoder = Encoder::new(EncoderOptions::hde(3));
    let mut store = Store::new();
    let first: Vec<PageInput<'_>> = (0..)
        .zip(&images[0])
        .map(|(number, content)| PageInput {
            number,
            content,
            baseline: None,
        })
        .collect();
    let whole = ratio(&mut encoder, &mut store, &first);
    println!("image 0: {whole:.2}");
    assert!(whole >= 4.5, "image 0: {whole}");
    for moment in [1, 2] {
        let dirty: Vec<PageInput<'_>> = (0..)
            .zip(images[moment].iter().zip(&images[moment - 1]))
            .filter(|(_, (new, old))| new != old)
            .map(|(number, (content, old))| PageInput {
                number,
                content,
                baseline: Some(old),
            })
            .collect();
        let update = ratio(&mut encoder, &mut store, &dirty);
        println!("dirty pages of moment {moment}: {update:.2}");
        assert!(update >= 9.0, "moment {moment}: {update}");
    }
}
