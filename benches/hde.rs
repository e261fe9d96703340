//! Ratio and speed of HDE beside zstd, zstd with a prefix, lz4 and XBZRLE, on generated patterns and recorded memory.
//!
//! `cargo bench -p longhaul-hde --bench hde` prints tables, and in the end a cost model of this computer.
//! `-- FILE...` adds images of a guest's memory, raw and of one size, in the order of time; `-- --quick` makes two passes
//! instead of seven and leaves the cost model out.
//!
//! "Ratio" is bytes of pages over bytes of frames, all headers included; of an epoch of a pattern, bytes of the whole
//! memory over those of its frames. Speeds are bytes of pages over the shortest processor time of the passes, on one
//! core; the contenders take turns. HDE's include hashing, checksums and its index; encoder and decoder are new in every
//! pass, buffers and all, and the encoder has learned beforehand what the receiver holds. The others get the same pages
//! in the same portions, with a context of their own, and check nothing.
//!
//! | contender | what it does |
//! | --- | --- |
//! | HDE *n* | this crate at level *n* |
//! | zstd *n* | each portion on its own |
//! | zstd *n* of XOR | XOR with the old pages, then zstd |
//! | zstd *n* prefix | the old pages of the portion as a prefix, a window over both (`--patch-from`) |
//! | lz4 | each portion on its own |
//! | XBZRLE | QEMU's format, page by page |

use longhaul_core::random::Streams;
use longhaul_hde::{PAGE_SIZE, PageInput, is_zero};
use longhaul_memory::pattern::{Content, Pattern};

#[path = "hde/contenders.rs"]
mod contenders;
#[path = "hde/cost.rs"]
mod cost;
#[path = "../models/hde/tests/recorded/mod.rs"]
mod recorded;
#[path = "support/mod.rs"]
#[expect(dead_code, reason = "other benches use the median")]
mod support;
#[path = "hde/xbzrle.rs"]
mod xbzrle;

use contenders::{Contender, Outcome, Workload, measure};
use support::Stopwatch;

/// Pages of a frame, unless a table says otherwise.
const PAGES_PER_FRAME: usize = 4096;

const PATTERN_PAGES: u64 = 64 << 8;

type Page = [u8; PAGE_SIZE];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let quick = arguments.iter().any(|argument| argument == "--quick");
    let files = arguments.iter().filter(|argument| !argument.starts_with("--"));
    let passes = if quick { 2 } else { 7 };

    zero_scan();
    patterns(passes);
    if let Some(images) = recorded::images(3) {
        let images: Vec<(String, &[Page])> = (0..)
            .zip(&images)
            .map(|(moment, image)| (format!("recorded {moment}"), image.as_slice()))
            .collect();
        guest(&images, passes);
    }
    let files: Vec<(String, Vec<Page>)> = files.map(|file| (file.clone(), read(file))).collect();
    let files: Vec<(String, &[Page])> = files
        .iter()
        .map(|(name, image)| (name.clone(), image.as_slice()))
        .collect();
    guest(&files, passes);
    if !quick {
        cost::print();
    }
}

fn read(file: &str) -> Vec<Page> {
    let bytes = std::fs::read(file).unwrap_or_else(|error| panic!("{file}: {error}"));
    bytes.as_chunks().0.to_vec()
}

/// How fast zeros are found, beside reading the same memory for nothing but a sum.
fn zero_scan() {
    let memory = vec![[0u8; PAGE_SIZE]; 64 << 8];
    // Touched, so that its pages are there.
    let memory = std::hint::black_box(memory.clone());
    let bytes = (memory.len() * PAGE_SIZE) as f64;
    let best = |work: &dyn Fn() -> u64| {
        let passes = (0..9).map(|_| {
            let stopwatch = Stopwatch::start();
            std::hint::black_box(work());
            stopwatch.elapsed_ns()
        });
        bytes / passes.fold(f64::INFINITY, f64::min)
    };
    let scan = best(&|| memory.iter().filter(|page| is_zero(page)).count() as u64);
    let sum = best(&|| {
        let (words, _) = memory.as_flattened().as_chunks::<8>();
        words
            .iter()
            .fold(0, |sum: u64, word| sum.wrapping_add(u64::from_ne_bytes(*word)))
    });
    println!("zero pages: found at {scan:.1} GB/s; the same memory is summed up at {sum:.1} GB/s\n");
}

fn heading(title: &str) {
    println!(
        "{title:<44} {:>6} | {:>16} {:>8} {:>8} {:>8}",
        "MiB", "", "ratio", "encode", "decode"
    );
}

/// Measures and prints a row per contender.
fn rows(workload: &Workload<'_>, contenders: &[Contender], passes: usize) {
    let bytes = (workload.pages.len() * PAGE_SIZE) as f64;
    for (contender, outcome) in contenders.iter().zip(measure(workload, contenders, passes)) {
        let Outcome {
            encoded,
            encode,
            decode,
        } = outcome;
        println!(
            "{:<44} {:>6.1} | {:>16} {:>8.2} {:>8.0} {:>8.0}",
            workload.name,
            bytes / f64::from(1 << 20),
            contender.to_string(),
            workload.counted_bytes as f64 / encoded as f64,
            bytes / encode * 1e3,
            bytes / decode * 1e3,
        );
    }
}

fn inputs<'a>(new: &'a [Page], old: Option<&'a [Page]>) -> Vec<PageInput<'a>> {
    let pages = (0..).zip(new).map(|(number, content)| PageInput {
        number,
        content,
        baseline: old.map(|old| &old[number as usize]),
    });
    pages.filter(|page| page.baseline != Some(page.content)).collect()
}

fn patterns(passes: usize) {
    heading("generated memory: whole, MB/s");
    let mut epochs = Vec::new();
    for (name, pattern) in [
        ("real_world", Pattern::RealWorld),
        ("constant", Pattern::Constant),
        ("bursty", Pattern::Bursty),
        ("sinusoidal", Pattern::Sinusoidal),
    ] {
        let content = Content::new(
            pattern,
            PATTERN_PAGES,
            &mut Streams::new(1, 0).stream("vm", "memory content"),
        );
        let mut memory = vec![[0; PAGE_SIZE]; PATTERN_PAGES as usize];
        for (number, page) in (0..).zip(&mut memory) {
            content.read(number, page);
        }
        let whole = Workload::first(name, &memory, PAGES_PER_FRAME);
        rows(
            &whole,
            &[
                Contender::Hde(1),
                Contender::Hde(3),
                Contender::Zstd(3),
                Contender::Lz4,
            ],
            passes.min(5),
        );
        epochs.push((name, rewritten(&memory), memory));
    }
    println!();
    heading("generated memory: 1 % of blocks rewritten, MB/s");
    for (name, after, before) in &epochs {
        let mut epoch = Workload::epoch(*name, after, before, PAGES_PER_FRAME);
        epoch.counted_bytes = after.len() * PAGE_SIZE;
        rows(
            &epoch,
            &[
                Contender::Hde(1),
                Contender::Hde(3),
                Contender::Zstd(3),
                Contender::Xbzrle,
            ],
            passes,
        );
    }
    println!();
}

/// Memory after an epoch in which the guest has filled one percent of its blocks with random bytes.
fn rewritten(memory: &[Page]) -> Vec<Page> {
    let mut stream = Streams::new(2, 0).stream("vm", "writes");
    let mut after = memory.to_vec();
    for _ in 0..memory.len() / 100 {
        let page = &mut after[stream.below(memory.len() as u64) as usize];
        stream.fill(page);
    }
    after
}

/// A guest at several moments: the first as a whole, then what has changed from moment to moment.
fn guest(images: &[(String, &[Page])], passes: usize) {
    let Some((name, first)) = images.first() else {
        return;
    };
    heading("memory of a guest: whole, MB/s");
    let whole = Workload::first(name, first, PAGES_PER_FRAME);
    rows(
        &whole,
        &[
            Contender::Hde(1),
            Contender::Hde(2),
            Contender::Hde(3),
            Contender::Hde(6),
            Contender::Zstd(1),
            Contender::Zstd(3),
            Contender::Lz4,
        ],
        passes.min(5),
    );
    println!();
    heading("memory of a guest: pages changed since, MB/s");
    for pair in images.windows(2) {
        let [(_, before), (name, after)] = pair else {
            unreachable!("two at a time")
        };
        let epoch = Workload::epoch(name, after, before, PAGES_PER_FRAME);
        rows(
            &epoch,
            &[
                Contender::Hde(1),
                Contender::Hde(3),
                Contender::Hde(6),
                Contender::Hde(9),
                Contender::Zstd(3),
                Contender::ZstdOfXor(3),
                Contender::ZstdPrefix(3),
                Contender::ZstdPrefix(9),
                Contender::Lz4,
                Contender::Xbzrle,
            ],
            passes,
        );
    }
    println!();
    heading("memory of a guest: pages changed, by pages per frame");
    let [.., (_, before), (_, after)] = images else {
        return;
    };
    for pages_per_frame in [64, 256, 1024, 4096] {
        let epoch = Workload::epoch(
            format!("frames of {pages_per_frame}"),
            after,
            before,
            pages_per_frame,
        );
        rows(&epoch, &[Contender::Hde(1)], passes);
    }
    println!();
}
