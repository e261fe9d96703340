//! Ratio and speed of HDE beside zstd alone, on generated patterns and on recorded guest memory.
//!
//! `cargo bench -p longhaul-hde` prints a table. "Ratio" is bytes of pages over bytes of frames. zstd alone
//! compresses the same pages in the same portions with a context of its own. Speeds are bytes of pages over
//! the shortest of three passes, on one core; decoding goes into a store that holds all pages already.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use longhaul_core::random::Streams;
use longhaul_hde::{Decoder, Encoder, EncoderOptions, PAGE_SIZE, PageInput};
use longhaul_memory::pattern::{Content, Pattern};
use zstd::bulk::{Compressor, Decompressor};

#[path = "../models/hde/tests/recorded/mod.rs"]
mod recorded;

const PASSES: usize = 3;
const PAGES_PER_FRAME: usize = 1024;
const PATTERN_PAGES: u64 = 16 << 8;
const LEVELS: [i32; 2] = [1, 3];

type Page = [u8; PAGE_SIZE];

/// Pages to encode, with what the receiver holds beforehand.
struct Workload<'a> {
    name: String,
    pages: Vec<PageInput<'a>>,
}

/// Bytes produced, and the shortest time of each direction.
struct Outcome {
    encoded: usize,
    encode: Duration,
    decode: Duration,
}

fn main() {
    println!(
        "{:<22} {:>5} {:>6} | {:>9} {:>9} {:>9} | {:>9} {:>9} {:>9}",
        "", "", "", "HDE", "encode", "decode", "zstd", "encode", "decode"
    );
    println!(
        "{:<22} {:>5} {:>6} | {:>9} {:>9} {:>9} | {:>9} {:>9} {:>9}",
        "pages", "MiB", "level", "ratio", "MB/s", "MB/s", "ratio", "MB/s", "MB/s"
    );
    for (name, pattern) in [
        ("real_world", Pattern::RealWorld),
        ("constant", Pattern::Constant),
        ("bursty", Pattern::Bursty),
        ("sinusoidal", Pattern::Sinusoidal),
    ] {
        let pages = generated(pattern);
        report(&Workload {
            name: name.into(),
            pages: inputs(0.., &pages, None),
        });
    }
    let Some(images) = recorded::images(3) else { return };
    report(&Workload {
        name: "recorded, image 0".into(),
        pages: inputs(0.., &images[0], None),
    });
    for moment in 1..images.len() {
        let (old, new) = (&images[moment - 1], &images[moment]);
        let pages = inputs(0.., new, Some(old));
        report(&Workload {
            name: format!("recorded, dirty at {moment}"),
            pages: pages
                .into_iter()
                .filter(|page| page.baseline != Some(page.content))
                .collect(),
        });
    }
}

fn generated(pattern: Pattern) -> Vec<Page> {
    let content = Content::new(
        pattern,
        PATTERN_PAGES,
        &mut Streams::new(1, 0).stream("vm", "memory content"),
    );
    let mut pages = vec![[0; PAGE_SIZE]; PATTERN_PAGES as usize];
    for (number, page) in (0..).zip(&mut pages) {
        content.read(number, page);
    }
    pages
}

fn inputs<'a>(
    numbers: impl Iterator<Item = u64>,
    pages: &'a [Page],
    baselines: Option<&'a Vec<Page>>,
) -> Vec<PageInput<'a>> {
    numbers
        .zip(pages)
        .map(|(number, content)| PageInput {
            number,
            content,
            baseline: baselines.map(|baselines| &baselines[number as usize]),
        })
        .collect()
}

fn report(workload: &Workload<'_>) {
    let bytes = workload.pages.len() * PAGE_SIZE;
    let rate = |time: Duration| bytes as f64 / 1e6 / time.as_secs_f64();
    let ratio = |outcome: &Outcome| bytes as f64 / outcome.encoded as f64;
    for level in LEVELS {
        let (hde, zstd) = (hde(workload, level), zstd_alone(workload, level));
        println!(
            "{:<22} {:>5} {level:>6} | {:>9.2} {:>9.0} {:>9.0} | {:>9.2} {:>9.0} {:>9.0}",
            workload.name,
            bytes >> 20,
            ratio(&hde),
            rate(hde.encode),
            rate(hde.decode),
            ratio(&zstd),
            rate(zstd.encode),
            rate(zstd.decode),
        );
    }
}

fn hde(workload: &Workload<'_>, level: i32) -> Outcome {
    let mut best: Option<Outcome> = None;
    for _ in 0..PASSES {
        let mut encoder = Encoder::new(EncoderOptions::hde(level));
        let (frames, encode) = timed(|| {
            let portions = workload.pages.chunks(PAGES_PER_FRAME);
            (0..)
                .zip(portions)
                .map(|(round, pages)| encoder.encode(round, pages))
                .collect::<Vec<_>>()
        });
        let mut store: BTreeMap<u64, Box<Page>> = workload
            .pages
            .iter()
            .map(|page| (page.number, Box::new(*page.baseline.unwrap_or(&[0; PAGE_SIZE]))))
            .collect();
        let mut decoder = Decoder::new();
        let ((), decode) = timed(|| {
            for frame in &frames {
                decoder
                    .decode(frame, &mut store)
                    .expect("a frame of this encoder");
            }
        });
        assert!(
            workload
                .pages
                .iter()
                .all(|page| *store[&page.number] == *page.content)
        );
        let encoded = frames.iter().map(Bytes::len).sum();
        best = Some(
            Outcome {
                encoded,
                encode,
                decode,
            }
            .or_faster(best),
        );
    }
    best.expect("at least one pass")
}

fn zstd_alone(workload: &Workload<'_>, level: i32) -> Outcome {
    let portions: Vec<Vec<u8>> = workload
        .pages
        .chunks(PAGES_PER_FRAME)
        .map(|pages| pages.iter().flat_map(|page| *page.content).collect())
        .collect();
    let mut best: Option<Outcome> = None;
    for _ in 0..PASSES {
        let mut compressor = Compressor::new(level).expect("a zstd context");
        let (frames, encode) = timed(|| {
            let compressed = portions.iter().map(|portion| compressor.compress(portion));
            compressed.collect::<Result<Vec<_>, _>>().expect("enough memory")
        });
        let mut decompressor = Decompressor::new().expect("a zstd context");
        let mut out = Vec::with_capacity(PAGES_PER_FRAME * PAGE_SIZE);
        let ((), decode) = timed(|| {
            for frame in &frames {
                out.clear();
                decompressor
                    .decompress_to_buffer(frame, &mut out)
                    .expect("a frame of this compressor");
            }
        });
        let encoded = frames.iter().map(Vec::len).sum();
        best = Some(
            Outcome {
                encoded,
                encode,
                decode,
            }
            .or_faster(best),
        );
    }
    best.expect("at least one pass")
}

impl Outcome {
    fn or_faster(self, other: Option<Outcome>) -> Outcome {
        match other {
            None => self,
            Some(other) => Outcome {
                encoded: self.encoded,
                encode: self.encode.min(other.encode),
                decode: self.decode.min(other.decode),
            },
        }
    }
}

#[expect(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "a bench measures wall time"
)]
fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let start = std::time::Instant::now();
    let result = work();
    (result, start.elapsed())
}
