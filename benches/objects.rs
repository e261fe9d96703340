//! Ratio and speed of the object codec beside zstd alone and zstd with the baseline as its prefix.
//!
//! `cargo bench -p longhaul-hde --bench objects` prints a table. "Ratio" is bytes of objects over bytes of frames. zstd
//! alone and `zstd --patch-from` (prefix, long-distance matching, a window over both) compress the same object at
//! the same level with a context of their own; neither checks anything. Speeds are bytes of objects over the
//! shortest processor time of three passes, on one core. Ours include the hash of the new object; the index of the
//! baseline, which a sender makes once for all versions that follow, is in the first pass alone.
//! `-- TEXT` runs only what has that text in its name.

use std::time::Duration;

use longhaul_core::random::{Stream, Streams};
use longhaul_hde::PAGE_SIZE;
use longhaul_hde::object::{
    BLOCK_SIZE, Matching, Object, ObjectDecoder, ObjectEncoder, ObjectId, ObjectOptions,
};
use zstd::bulk::{Compressor, Decompressor};
use zstd::zstd_safe::{CCtx, CParameter, DCtx, DParameter};

#[path = "../models/hde/tests/recorded/mod.rs"]
mod recorded;
#[expect(dead_code, reason = "the median is for others")]
mod support;

use support::Stopwatch;

const PASSES: usize = 3;
const LEVELS: [i32; 2] = [3, 9];

/// Bytes of an object of generated content.
const LEN: usize = 8 << 20;

struct Workload {
    name: String,
    old: Vec<u8>,
    new: Vec<u8>,
}

struct Outcome {
    encoded: usize,
    encode: Duration,
    decode: Duration,
}

fn main() {
    println!(
        "{:<34} {:>5} {:>5} | {:^23} | {:^23} | {:^23} | {:^23}",
        "", "", "", "content matching", "block matching", "zstd", "zstd --patch-from"
    );
    print!("{:<34} {:>5} {:>5}", "object", "MiB", "level");
    for _ in 0..4 {
        print!(" | {:>7} {:>7} {:>7}", "ratio", "encode", "decode");
    }
    println!();
    let wanted = std::env::args()
        .skip(1)
        .find(|argument| !argument.starts_with("--"));
    let report = |workload: &Workload| {
        if wanted
            .as_ref()
            .is_none_or(|wanted| workload.name.contains(wanted))
        {
            report(workload);
        }
    };
    for workload in generated() {
        report(&workload);
    }
    let Some(images) = recorded::images(3) else { return };
    for moment in 1..images.len() {
        let dirty: Vec<usize> = (0..images[moment].len())
            .filter(|page| images[moment][*page] != images[moment - 1][*page])
            .collect();
        let pages = |image: &recorded::Image| dirty.iter().flat_map(|page| image[*page]).collect::<Vec<u8>>();
        assert_eq!(PAGE_SIZE, BLOCK_SIZE);
        report(&Workload {
            name: format!("recorded, dirty pages at {moment}"),
            old: pages(&images[moment - 1]),
            new: pages(&images[moment]),
        });
    }
}

fn random(purpose: &str) -> Stream {
    Streams::new(1, 0).stream("objects bench", purpose)
}

/// A line of the state of a cluster, as JSON.
fn line(random: &mut Stream) -> String {
    format!(
        "{{\"vm\":\"vm-{:05}\",\"host\":\"eu-west-{}\",\"state\":\"{}\",\"cpu\":0.{:03},\"memory_mib\":{},\"dirty_rate\":{},\
         \"labels\":{{\"zone\":\"{}\",\"owner\":\"team-{}\"}},\"updated\":{}}}\n",
        random.below(100_000),
        random.below(400),
        ["running", "running", "running", "migrating", "stopped"][random.below(5) as usize],
        random.below(1000),
        1024 << random.below(6),
        random.below(20_000),
        random.below(4),
        random.below(50),
        1_700_000_000_000 + random.below(100_000_000_000),
    )
}

fn cluster_state() -> Vec<u8> {
    let mut random = random("state");
    let mut text = Vec::new();
    while text.len() < LEN {
        text.extend_from_slice(line(&mut random).as_bytes());
    }
    text.truncate(LEN);
    text
}

fn generated() -> Vec<Workload> {
    let state = cluster_state();
    let mut workloads = Vec::new();
    let mut add = |name: String, new: Vec<u8>| {
        workloads.push(Workload {
            name,
            old: state.clone(),
            new,
        });
    };
    add("cluster state, unchanged".into(), state.clone());
    for (share, per_mille) in [("0.1 %", 1), ("1 %", 10), ("10 %", 100)] {
        let mut random = random("blocks");
        let mut new = state.clone();
        for block in new.chunks_mut(BLOCK_SIZE) {
            if random.below(1000) < per_mille {
                let fresh: Vec<u8> = std::iter::repeat_with(|| line(&mut random).into_bytes())
                    .take(40)
                    .flatten()
                    .collect();
                let len = block.len();
                block.copy_from_slice(&fresh[..len]);
            }
        }
        add(format!("cluster state, {share} of blocks new"), new);
    }
    for (share, per_mille) in [("0.1 %", 1), ("1 %", 10), ("10 %", 100)] {
        let mut random = random("lines");
        let lines = state.split_inclusive(|byte| *byte == b'\n');
        let new = lines.flat_map(|old| {
            if random.below(1000) < per_mille {
                line(&mut random).into_bytes()
            } else {
                old.to_vec()
            }
        });
        add(format!("cluster state, {share} of lines new"), new.collect());
    }
    let mut inserted = state.clone();
    inserted.insert(0, b'x');
    add("cluster state, a byte in front".into(), inserted);
    let mut noise = vec![0; LEN];
    random("noise").fill(&mut noise);
    let mut inserted = noise.clone();
    inserted.insert(0, b'x');
    workloads.push(Workload {
        name: "noise, a byte in front".into(),
        old: noise,
        new: inserted,
    });
    workloads
}

fn report(workload: &Workload) {
    let bytes = workload.new.len() as f64;
    for level in LEVELS {
        print!("{:<34} {:>5} {level:>5}", workload.name, workload.new.len() >> 20);
        for outcome in [
            ours(workload, level, Matching::Content),
            ours(workload, level, Matching::Blocks),
            zstd_alone(workload, level),
            patch_from(workload, level),
        ] {
            let rate = |time: Duration| bytes / 1e6 / time.as_secs_f64();
            print!(
                " | {:>7.1} {:>7.0} {:>7.0}",
                bytes / outcome.encoded as f64,
                rate(outcome.encode),
                rate(outcome.decode)
            );
        }
        println!();
    }
}

/// The shortest times of several passes; every pass must give `new` again.
fn measured(
    new: &[u8],
    mut encode: impl FnMut() -> Vec<u8>,
    mut decode: impl FnMut(&[u8]) -> Vec<u8>,
) -> Outcome {
    let mut best: Option<Outcome> = None;
    for _ in 0..PASSES {
        let (frame, encode) = timed(&mut encode);
        let (result, decode) = timed(|| decode(&frame));
        assert!(result == new, "not bit-exact");
        let (encode, decode) = match best {
            Some(best) => (encode.min(best.encode), decode.min(best.decode)),
            None => (encode, decode),
        };
        best = Some(Outcome {
            encoded: frame.len(),
            encode,
            decode,
        });
    }
    best.expect("at least one pass")
}

fn ours(workload: &Workload, level: i32, matching: Matching) -> Outcome {
    let id = ObjectId::new("cluster-abc").expect("a short id");
    let old = Object::new(id.clone(), 1, workload.old.clone()).expect("a small object");
    let mut encoder = ObjectEncoder::new(ObjectOptions {
        level: Some(level),
        matching,
    });
    let mut decoder = ObjectDecoder::new(1 << 30);
    let mut held = vec![old.clone()];
    let new = bytes::Bytes::from(workload.new.clone());
    measured(
        &workload.new,
        || {
            let new = Object::new(id.clone(), 2, new.clone()).expect("a small object");
            encoder.encode(&new, &[&old], None).frame.to_vec()
        },
        |frame| {
            let decoded = decoder.decode(frame, &mut held).expect("a frame of this encoder");
            decoded.object.bytes().to_vec()
        },
    )
}

fn zstd_alone(workload: &Workload, level: i32) -> Outcome {
    let mut compressor = Compressor::new(level).expect("a zstd context");
    let mut decompressor = Decompressor::new().expect("a zstd context");
    measured(
        &workload.new,
        || compressor.compress(&workload.new).expect("enough memory"),
        |frame| {
            decompressor
                .decompress(frame, workload.new.len())
                .expect("a sound frame")
        },
    )
}

fn patch_from(workload: &Workload, level: i32) -> Outcome {
    let window = (workload.old.len() + workload.new.len())
        .next_power_of_two()
        .ilog2();
    measured(
        &workload.new,
        || {
            let mut context = CCtx::create();
            for parameter in [
                CParameter::CompressionLevel(level),
                CParameter::WindowLog(window),
                CParameter::EnableLongDistanceMatching(true),
            ] {
                context.set_parameter(parameter).expect("a parameter of zstd");
            }
            context.ref_prefix(&workload.old).expect("a prefix");
            let mut out = Vec::with_capacity(zstd::zstd_safe::compress_bound(workload.new.len()));
            context.compress2(&mut out, &workload.new).expect("enough memory");
            out
        },
        |frame| {
            let mut context = DCtx::create();
            context
                .set_parameter(DParameter::WindowLogMax(30))
                .expect("a parameter of zstd");
            context.ref_prefix(&workload.old).expect("a prefix");
            let mut out = Vec::with_capacity(workload.new.len());
            context.decompress(&mut out, frame).expect("a sound frame");
            out
        },
    )
}

fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let stopwatch = Stopwatch::start();
    let result = work();
    (result, Duration::from_nanos(stopwatch.elapsed_ns() as u64))
}
