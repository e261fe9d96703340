//! Measures the cost model of this computer, and prints it so that it can be pasted.
//!
//! Each stage is what remains of the time of an encoder or decoder that takes pages through it when that of the stages
//! before is taken off. Real memory is made for it: random bytes for stages to which content is nothing, text of a small
//! vocabulary for the entropy coder, which is slower on what it can compress.

use longhaul_core::random::{Stream, Streams};
use longhaul_hde::{DecodeWork, Decoder, EncodeWork, Encoder, EncoderOptions, PAGE_SIZE, PageInput};

use crate::Page;
use crate::contenders::Memory;
use crate::support::Stopwatch;

const PAGES: usize = 4096;
const PASSES: usize = 9;
const LEVELS: [Option<i32>; 7] = [None, Some(1), Some(2), Some(3), Some(6), Some(9), Some(19)];

/// Nanoseconds of a pass, the shortest, and its work.
struct Measured<W> {
    ns: f64,
    work: W,
}

pub fn print() {
    let mut stream = Streams::new(4, 0).stream("bench", "cost");
    let zero = vec![[0; PAGE_SIZE]; PAGES];
    let random = pages(|page| stream.fill(page));
    let other = pages(|page| stream.fill(page));
    let mut stream = Streams::new(5, 0).stream("bench", "cost");
    let text = pages(|page| fill_with_text(page, &mut stream));
    let raw = EncoderOptions::raw();
    let with_baselines = EncoderOptions { delta: true, ..raw };
    let searching = EncoderOptions {
        similar: true,
        index_pages: 1 << 20,
        index_anchors: 1 << 22,
        ..raw
    };

    let rate = |bytes: u64, ns: f64| bytes as f64 / ns.max(1.0) * 1e3;
    // Encoding, stage by stage.
    let [scan, hash, compare, search] = take_turns([
        &|| encode_once(raw, &zero, None),
        &|| encode_once(raw, &random, None),
        // All of it changes, so that it travels like the pages without baselines.
        &|| encode_once(with_baselines, &random, Some(&other)),
        &|| encode_once(searching, &random, None),
    ]);
    let per_byte = |measured: &Measured<EncodeWork>, bytes: u64| measured.ns / bytes as f64;
    let scan_ns = per_byte(&scan, scan.work.scanned);
    let hash_ns = per_byte(&hash, hash.work.hashed) - scan_ns;
    let compare_ns = per_byte(&compare, compare.work.compared) - hash_ns - scan_ns;
    let search_ns = per_byte(&search, search.work.searched) - hash_ns - scan_ns;
    println!("cost model, MB/s of each stage:");
    println!(
        "  encode: scan {:.0}, hash {:.0}, compare {:.0}, search {:.0}",
        1e3 / scan_ns,
        1e3 / hash_ns,
        1e3 / compare_ns,
        1e3 / search_ns
    );

    // Decoding.
    let [rebuild, checked] = take_turns([&|| decode_once(raw, &zero), &|| decode_once(raw, &random)]);
    let rebuild_ns = rebuild.ns / rebuild.work.rebuilt as f64;
    let check_ns = checked.ns / checked.work.hashed as f64 - rebuild_ns;
    println!(
        "  decode: rebuild {:.0}, hash {:.0}",
        1e3 / rebuild_ns,
        1e3 / check_ns
    );

    for level in LEVELS {
        let options = EncoderOptions { level, ..raw };
        let passes = if level == Some(19) { 1 } else { PASSES };
        let some = &text[..if level == Some(19) { PAGES / 8 } else { PAGES }];
        let encoded = repeat(passes, || encode_once(options, some, None));
        let before = encoded.work.scanned as f64 * scan_ns + encoded.work.hashed as f64 * hash_ns;
        let decoded = repeat(PASSES, || decode_once(options, some));
        let decoded_before = decoded.work.rebuilt as f64 * rebuild_ns + decoded.work.hashed as f64 * check_ns;
        let (encode_frame, decode_frame) = empty_frames(options);
        let level = level.map_or("none".into(), |level| level.to_string());
        let entropy = match decoded.work.entropy {
            0 => "as good as nothing".into(),
            bytes => format!("{:.0}", rate(bytes, decoded.ns - decoded_before)),
        };
        println!(
            "  level {level:>4}: entropy {:.0}, frame {encode_frame:.0} ns; decode: entropy {entropy}, frame \
             {decode_frame:.0} ns",
            rate(encoded.work.entropy, encoded.ns - before),
        );
    }
}

fn pages(mut fill: impl FnMut(&mut Page)) -> Vec<Page> {
    let mut pages = vec![[0; PAGE_SIZE]; PAGES];
    pages.iter_mut().for_each(&mut fill);
    pages
}

/// Records of words and numbers, which shrink to about a third as those of programs do.
fn fill_with_text(page: &mut Page, stream: &mut Stream) {
    const WORDS: [&str; 16] = [
        "status", "reader", "lock", "released", "config", "default", "state", "binary", "user", "name",
        "email", "street", "city", "visits", "note", "null",
    ];
    let mut text = String::with_capacity(PAGE_SIZE + 64);
    while text.len() < PAGE_SIZE {
        let word = WORDS[stream.below(16) as usize];
        text.push_str(&format!("\"{word}\":{:x},", stream.below(1 << 20)));
    }
    page.copy_from_slice(&text.as_bytes()[..PAGE_SIZE]);
}

fn inputs<'a>(pages: &'a [Page], baselines: Option<&'a [Page]>) -> Vec<PageInput<'a>> {
    let pages = pages.iter().enumerate().map(|(number, content)| PageInput {
        number: number as u64,
        content,
        baseline: baselines.map(|baselines| &baselines[number]),
    });
    pages.collect()
}

fn repeat<W>(passes: usize, mut once: impl FnMut() -> Measured<W>) -> Measured<W> {
    let mut best = once();
    for _ in 1..passes {
        let measured = once();
        if measured.ns < best.ns {
            best = measured;
        }
    }
    best
}

/// The shortest pass of each, in turns, so that what else the machine does disturbs all alike.
fn take_turns<W, const N: usize>(stages: [&dyn Fn() -> Measured<W>; N]) -> [Measured<W>; N] {
    let mut best = stages.map(|stage| stage());
    for _ in 1..PASSES {
        for (stage, best) in stages.iter().zip(&mut best) {
            let measured = stage();
            if measured.ns < best.ns {
                *best = measured;
            }
        }
    }
    best
}

/// The second frame of an encoder, whose buffers have grown with the first.
fn encode_once(options: EncoderOptions, pages: &[Page], baselines: Option<&[Page]>) -> Measured<EncodeWork> {
    let mut encoder = Encoder::new(options);
    let inputs = inputs(pages, baselines);
    encoder.encode(0, &inputs);
    let stopwatch = Stopwatch::start();
    std::hint::black_box(encoder.encode(1, &inputs));
    Measured {
        ns: stopwatch.elapsed_ns(),
        work: *encoder.last_work(),
    }
}

fn decode_once(options: EncoderOptions, pages: &[Page]) -> Measured<DecodeWork> {
    let frame = Encoder::new(options).encode(0, &inputs(pages, None));
    let mut memory = Memory(vec![[1; PAGE_SIZE]; pages.len()]);
    let mut decoder = Decoder::unordered();
    decoder.decode(&frame, &mut memory).expect("a sound frame");
    let stopwatch = Stopwatch::start();
    let decoded = decoder.decode(&frame, &mut memory).expect("a sound frame");
    Measured {
        ns: stopwatch.elapsed_ns(),
        work: decoded.work,
    }
}

/// What a frame costs that carries next to nothing: nanoseconds to encode and to decode.
fn empty_frames(options: EncoderOptions) -> (f64, f64) {
    const FRAMES: u64 = 200;
    let page = [7; PAGE_SIZE];
    let pages = [PageInput {
        number: 0,
        content: &page,
        baseline: None,
    }];
    let mut encoder = Encoder::new(options);
    let stopwatch = Stopwatch::start();
    let frames: Vec<_> = (0..FRAMES)
        .map(|sequence| encoder.encode(sequence, &pages))
        .collect();
    let encode = stopwatch.elapsed_ns();
    let mut memory = Memory(vec![[0; PAGE_SIZE]]);
    let mut decoder = Decoder::new();
    let stopwatch = Stopwatch::start();
    for frame in &frames {
        decoder.decode(frame, &mut memory).expect("a sound frame");
    }
    let decode = stopwatch.elapsed_ns();
    (encode / FRAMES as f64, decode / FRAMES as f64)
}
