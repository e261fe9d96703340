//! Compression ratios on contents whose right answer is known, and on recorded guest memory.

mod recorded;
mod support;

use std::collections::BTreeMap;

use longhaul_core::random::{Stream, Streams};
use longhaul_hde::{ClassCounts, Encoder, EncoderOptions, PAGE_SIZE, PageStore, is_zero};
use longhaul_memory::pattern::{Content, Pattern};

use support::{Page, Pair};

/// Pages per frame.
const PORTION: usize = 4096;

/// Sends pages and returns bytes of frames and classes.
fn send(pair: &mut Pair, pages: &BTreeMap<u64, Page>) -> (usize, ClassCounts) {
    let (bytes, counts) = (pair.encoder.stats().frame_bytes, pair.encoder.stats().pages);
    let mut rest = pages.clone();
    while let Some(next) = rest.keys().nth(PORTION).copied() {
        let later = rest.split_off(&next);
        pair.send(&rest);
        rest = later;
    }
    pair.send(&rest);
    let stats = pair.encoder.stats();
    let classes = ClassCounts {
        zero: stats.pages.zero - counts.zero,
        duplicate: stats.pages.duplicate - counts.duplicate,
        delta: stats.pages.delta - counts.delta,
        similar: stats.pages.similar - counts.similar,
        literal: stats.pages.literal - counts.literal,
    };
    ((stats.frame_bytes - bytes) as usize, classes)
}

fn ratio(pages: &BTreeMap<u64, Page>, bytes: usize) -> f64 {
    (pages.len() * PAGE_SIZE) as f64 / bytes as f64
}

fn new_pair(level: i32) -> Pair {
    Pair::new(Encoder::new(EncoderOptions::hde(level)))
}

/// The pages of a pattern.
fn pattern(pattern: Pattern, mib: u64) -> BTreeMap<u64, Page> {
    let pages = mib << 8;
    let content = Content::new(
        pattern,
        pages,
        &mut Streams::new(11, 0).stream("vm", "memory content"),
    );
    let page = |number| {
        let mut page = [0; PAGE_SIZE];
        content.read(number, &mut page);
        (number, page)
    };
    (0..pages).map(page).collect()
}

#[test]
fn real_world_memory_comes_close_to_its_entropy_bound_and_not_beyond() {
    for level in [1, 3, 9] {
        let pages = pattern(Pattern::RealWorld, 16);
        let ratio = ratio(&pages, send(&mut new_pair(level), &pages).0);
        // 20 % at 6 bits and 10 % at 8 bits are 25 % that cannot be saved.
        assert!((3.95..=4.0).contains(&ratio), "level {level}: {ratio}");
    }
}

#[test]
fn random_memory_costs_less_than_one_percent_extra_and_does_not_shrink() {
    let pages = pattern(Pattern::Constant, 16);
    let ratio = ratio(&pages, send(&mut new_pair(3), &pages).0);
    assert!((0.99..=1.0).contains(&ratio), "{ratio}");
}

#[test]
fn bursty_memory_costs_its_random_share_and_nothing_else() {
    let pages = pattern(Pattern::Bursty, 64);
    let nonzero = pages.values().filter(|page| !is_zero(page)).count() as f64 / pages.len() as f64;
    let ratio = ratio(&pages, send(&mut new_pair(3), &pages).0);
    assert!(
        (0.995..=1.0).contains(&(ratio * nonzero)),
        "{ratio} at {nonzero} nonzero"
    );
    // 512 chunks of expected 17.65 %: one standard deviation is about 0.4 of the ratio.
    assert!((ratio - 5.67).abs() < 1.2, "{ratio}");
}

#[test]
fn sinusoidal_memory_shrinks_at_least_29_fold() {
    let pages = pattern(Pattern::Sinusoidal, 16);
    let ratio = ratio(&pages, send(&mut new_pair(3), &pages).0);
    assert!(ratio >= 29.0, "{ratio}");
}

#[test]
fn an_epoch_that_rewrites_one_percent_of_the_pages_costs_a_fiftieth_of_the_memory_at_most() {
    for (content, whole) in [
        (Pattern::RealWorld, true),
        (Pattern::RealWorld, false),
        (Pattern::Constant, true),
        (Pattern::Bursty, true),
        (Pattern::Sinusoidal, true),
    ] {
        let pages = pattern(content, 16);
        let mut pair = new_pair(3);
        send(&mut pair, &pages);
        let mut stream = Streams::new(5, 0).stream("vm", "writes");
        let dirty: BTreeMap<u64, Page> = (0..pages.len() / 100)
            .map(|_| {
                let number = stream.below(pages.len() as u64);
                let mut page = pages[&number];
                // The whole page becomes random, or a tenth of it.
                let written = if whole { PAGE_SIZE } else { PAGE_SIZE / 10 };
                page[..written].fill_with(|| stream.u64() as u8);
                (number, page)
            })
            .collect();
        let (bytes, _) = send(&mut pair, &dirty);
        let ratio = ratio(&pages, bytes);
        let bound = if whole { 95.0 } else { 900.0 };
        assert!(ratio >= bound, "{content:?}: {ratio}");
    }
}

/// A made-up database: pages of rows, and a log of page images behind headers of 24 bytes, into whose place later ones
/// come. Text pages change row by row, each row with a number that counts up.
struct Database {
    pages: BTreeMap<u64, Page>,
    log_at: usize,
    stream: Stream,
}

impl Database {
    const PAGES: u64 = 1024;
    const LOG_PAGES: u64 = 512;
    const ROW: usize = 192;
    const HEADER: usize = 24;

    fn new() -> Database {
        let mut database = Database {
            pages: BTreeMap::new(),
            log_at: 0,
            stream: Streams::new(3, 0).stream("vm", "rows"),
        };
        for number in 0..Database::PAGES {
            let mut page = [0; PAGE_SIZE];
            for row in page.chunks_exact_mut(Database::ROW) {
                // Words of a small vocabulary, one of four bytes random.
                for word in row.chunks_exact_mut(4) {
                    word[..3].copy_from_slice(b"row");
                    word[3] = database.stream.u64() as u8;
                }
            }
            database.pages.insert(number, page);
        }
        for number in 0..Database::LOG_PAGES {
            database.pages.insert(Database::PAGES + number, [0; PAGE_SIZE]);
        }
        database
    }

    /// Changes a few bytes of a few rows of `count` pages, and writes an image of each into the log.
    fn update(&mut self, count: usize) {
        for _ in 0..count {
            let number = self.stream.below(Database::PAGES);
            let page = self.pages.get_mut(&number).expect("a page of the table");
            for _ in 0..4 {
                let row = self.stream.below((PAGE_SIZE / Database::ROW) as u64) as usize;
                let at = row * Database::ROW + 8;
                page[at..at + 8].copy_from_slice(&self.stream.u64().to_le_bytes());
            }
            let mut image = vec![0; Database::HEADER];
            image[..8].copy_from_slice(&number.to_le_bytes());
            image[8..16].copy_from_slice(&self.stream.u64().to_le_bytes());
            image.extend_from_slice(&*page);
            for byte in image {
                let number = Database::PAGES + (self.log_at / PAGE_SIZE) as u64 % Database::LOG_PAGES;
                let page = self.pages.get_mut(&number).expect("a page of the log");
                page[self.log_at % PAGE_SIZE] = byte;
                self.log_at += 1;
            }
        }
    }
}

/// What others reach on the same dirty pages at zstd level 3: alone, over XOR, with the old pages as a prefix.
fn others(pages: &BTreeMap<u64, Page>, old: &BTreeMap<u64, Page>) -> [f64; 3] {
    let new: Vec<u8> = pages.values().flatten().copied().collect();
    let old: Vec<u8> = pages.keys().flat_map(|number| old[number]).collect();
    let xor: Vec<u8> = new.iter().zip(&old).map(|(a, b)| a ^ b).collect();
    let alone = zstd::bulk::compress(&new, 3).unwrap().len();
    let of_xor = zstd::bulk::compress(&xor, 3).unwrap().len();
    let mut prefixed = zstd::stream::Encoder::with_ref_prefix(Vec::new(), 3, &old).unwrap();
    prefixed.window_log(27).unwrap();
    std::io::Write::write_all(&mut prefixed, &new).unwrap();
    let prefixed = prefixed.finish().unwrap().len();
    [alone, of_xor, prefixed].map(|len| new.len() as f64 / len as f64)
}

#[test]
fn a_log_of_page_images_costs_little_more_than_its_news() {
    let mut database = Database::new();
    let mut pair = new_pair(3);
    send(&mut pair, &database.pages);
    // The second round writes the log over itself.
    for round in 0..2 {
        let old = database.pages.clone();
        database.update(400);
        let dirty: BTreeMap<u64, Page> = database
            .pages
            .iter()
            .filter(|(number, page)| **page != old[*number])
            .map(|(number, page)| (*number, *page))
            .collect();
        let (bytes, classes) = send(&mut pair, &dirty);
        let [alone, xor, prefixed] = others(&dirty, &old);
        let ratio = ratio(&dirty, bytes);
        println!(
            "round {round}: HDE {ratio:.1}, zstd {alone:.1}, of XOR {xor:.1}, with prefix {prefixed:.1}; \
             {classes:?}"
        );
        // Per update 48 random bytes, of which 32 are in the page and again in the log; at a good 6 KiB dirty.
        let news = (48 * 400) as f64;
        let bound = (dirty.len() * PAGE_SIZE) as f64 / news;
        assert!(ratio <= bound, "round {round}: {ratio} of at most {bound}");
        assert!(ratio >= 0.4 * bound, "round {round}: {ratio} of {bound}");
        assert!(ratio >= 3.0 * alone.max(xor), "round {round}: {ratio}");
        assert!(classes.similar >= 300, "round {round}: {classes:?}");
    }
}

#[test]
fn recorded_guest_memory_and_its_updates_shrink_as_measured_and_arrive_bit_exact() {
    let Some(images) = recorded::images(3) else { return };
    let image = |image: &recorded::Image| (0..).zip(image.iter().copied()).collect::<BTreeMap<u64, Page>>();
    let first = image(&images[0]);
    for level in [1, 3] {
        let mut pair = new_pair(level);
        let whole = ratio(&first, send(&mut pair, &first).0);
        println!("level {level}, image 0: {whole:.2}");
        assert!(whole >= 5.0, "level {level}, image 0: {whole}");
        for moment in [1, 2] {
            let mut dirty = image(&images[moment]);
            dirty.retain(|number, page| pair.receiver.page(*number) != Some(page));
            let update = ratio(&dirty, send(&mut pair, &dirty).0);
            println!("level {level}, dirty pages of moment {moment}: {update:.2}");
            assert!(update >= 30.0, "level {level}, moment {moment}: {update}");
        }
    }
}
