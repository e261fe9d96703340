//! How many streams pay: AMST over the packet network, on paths like those of the five corrected scenarios.
//!
//! `cargo bench -p longhaul-amst --bench amst -- [sweep|resets|sharing|changes] [path]`

#![allow(missing_docs, reason = "a program, not a library")]

#[path = "../models/amst/tests/lab/mod.rs"]
mod lab;

use lab::{Outcome, Path};
use longhaul_amst::object::Amount;
use longhaul_amst::{ChunkSize, SenderOptions, Streams};
use longhaul_core::time::Span;
use longhaul_core::units::BitRate;
use longhaul_net::course::Step;
use longhaul_net::loss::Loss;

const SEEDS: u64 = 4;
const LIMIT: Span = Span::from_s(300);

/// Paths, and the megabytes that are carried over them.
fn paths() -> Vec<(Path, u64)> {
    vec![
        (
            Path::new("cross-region us-eu", 7_000, 80).gilbert_elliott(1_000, 3),
            1_500,
        ),
        (
            Path::new("cross-region us-ap", 2_500, 200).gilbert_elliott(5_000, 5),
            800,
        ),
        (
            Path::new("high latency", 400, 300).gilbert_elliott(10_000, 5),
            800,
        ),
        (
            Path::new("packet loss", 7_000, 50).gilbert_elliott(50_000, 20),
            600,
        ),
        (Path::new("constrained", 20, 30).gilbert_elliott(1_000, 1), 150),
        (
            Path::new("disaster recovery", 800, 20).gilbert_elliott(100, 1),
            1_000,
        ),
        (Path::new("clean metro", 200, 10), 300),
        (Path::new("clean ocean", 500, 150), 1_000),
    ]
}

fn options(streams: Streams) -> SenderOptions {
    SenderOptions {
        streams,
        chunk: ChunkSize::Adaptive,
        ..SenderOptions::adaptive(256 << 20)
    }
}

fn adaptive(contending: u32) -> Streams {
    Streams::Adaptive {
        initial: 16,
        most: 256,
        contending,
    }
}

/// Mean rate in Mbit/s over the seeds, and the last outcome.
fn carry(path: &Path, bytes: u64, streams: Streams) -> (f64, Outcome) {
    let run = |seed| {
        let path = Path { seed, ..path.clone() };
        path.carry(Amount::Bytes(bytes), options(streams), LIMIT)
    };
    let outcomes: Vec<Outcome> = (1..=SEEDS).map(run).collect();
    let mean = outcomes.iter().map(Outcome::mbit_per_s).sum::<f64>() / SEEDS as f64;
    (mean, outcomes.into_iter().next_back().expect("at least one seed"))
}

fn numbers(outcome: &Outcome) -> String {
    let mut last = 0;
    let mut text = String::new();
    for (at, streams, _) in &outcome.adapted {
        if *streams != last {
            text.push_str(&format!(" {:.1}:{streams}", at.as_ns() as f64 / 1e9));
            last = *streams;
        }
    }
    text
}

fn sweep(which: &str) {
    for (path, megabytes) in paths().into_iter().filter(|(path, _)| path.name.contains(which)) {
        let bytes = megabytes * 1_000_000;
        println!("{} ({megabytes} MB)", path.name);
        let mut best: f64 = 0.0;
        for streams in [1, 2, 4, 8, 16, 32, 64, 128, 256] {
            let (rate, outcome) = carry(&path, bytes, Streams::Fixed(streams));
            println!(
                "  {streams:>9} {rate:>9.1} Mbit/s {:>6} rescued",
                outcome.sender.rescued_chunks
            );
            best = best.max(rate);
        }
        let rules = [
            ("adaptive", adaptive(256)),
            ("modest 4", adaptive(4)),
            ("modest 1", adaptive(1)),
            ("spec rule", Streams::SpecRule { rate: path.rate }),
            ("optimiser", Streams::SeedOptimiser),
        ];
        for (name, streams) in rules {
            let (rate, outcome) = carry(&path, bytes, streams);
            println!(
                "  {name:>9} {rate:>9.1} Mbit/s {:>6} rescued, {:.3} of the best;{}",
                outcome.sender.rescued_chunks,
                rate / best,
                numbers(&outcome)
            );
        }
    }
}

fn resets(which: &str) {
    for (path, megabytes) in paths().into_iter().filter(|(path, _)| path.name.contains(which)) {
        let bytes = megabytes * 1_000_000;
        let (calm, _) = carry(&path, bytes, adaptive(256));
        let restless = Path {
            reset_every: Some(Span::from_s(1)),
            ..path.clone()
        };
        let (rate, outcome) = carry(&restless, bytes, adaptive(256));
        println!(
            "{:>20} {calm:>9.1} Mbit/s, reset every second {rate:>9.1}: {:.3}; {} resets, {} chunks again;{}",
            path.name,
            rate / calm,
            outcome.resets,
            outcome.sender.retransmitted_chunks,
            numbers(&outcome)
        );
    }
}

fn sharing(which: &str) {
    for (path, megabytes) in paths().into_iter().filter(|(path, _)| path.name.contains(which)) {
        let bytes = megabytes * 1_000_000;
        for contending in [256, 16, 4, 1] {
            let path = Path {
                others: 1,
                ..path.clone()
            };
            let seconds = (bytes * 8 / path.rate.as_bits_per_s()).max(20) + 10;
            let outcome = path.carry(
                Amount::Duration(Span::from_s(seconds)),
                options(adaptive(contending)),
                Span::from_s(seconds),
            );
            let (own, other) = (outcome.received as f64, outcome.others as f64);
            println!(
                "{:>20} contending {contending:>3}: {:>8.1} and {:>8.1} Mbit/s, share {:.3};{}",
                path.name,
                own * 8e-6 / seconds as f64,
                other * 8e-6 / seconds as f64,
                own / (own + other),
                numbers(&outcome)
            );
        }
    }
}

fn changes() {
    let at = |seconds| Step {
        at: Span::from_s(seconds),
        ..Step::default()
    };
    let mbit = |mbit: u64| Some(BitRate::from_bits_per_s(mbit * 1_000_000));
    let lossy = Path::new("", 1, 1).independent(2_000).loss;
    let base = || Path::new("clean", 400, 60);
    let paths = [
        (
            "slower",
            vec![Step {
                rate: mbit(50),
                ..at(30)
            }],
        ),
        (
            "faster",
            vec![Step {
                rate: mbit(1_200),
                ..at(30)
            }],
        ),
        (
            "lossier",
            vec![Step {
                loss: Some(lossy),
                ..at(30)
            }],
        ),
        (
            "longer",
            vec![Step {
                delay: Some(Span::from_ms(120)),
                ..at(30)
            }],
        ),
        (
            "cleaner",
            vec![
                Step {
                    loss: Some(lossy),
                    ..at(1)
                },
                Step {
                    loss: Some(Loss::None),
                    ..at(30)
                },
            ],
        ),
    ];
    for (name, changes) in paths {
        let path = Path { changes, ..base() };
        let run = |streams| {
            path.carry(
                Amount::Duration(Span::from_s(90)),
                options(streams),
                Span::from_s(90),
            )
        };
        println!("{name}");
        for streams in [1, 2, 4, 8, 16, 32, 64, 128, 256]
            .map(Streams::Fixed)
            .into_iter()
            .chain([adaptive(256)])
        {
            let outcome = run(streams);
            println!(
                "  {streams:?}: before {:.1}, after {:.1}, at the end {:.1} Mbit/s;{}",
                outcome.mbit_per_s_between(10, 30),
                outcome.mbit_per_s_between(30, 60),
                outcome.mbit_per_s_between(60, 89),
                numbers(&outcome)
            );
        }
    }
}

fn main() {
    let words: Vec<String> = std::env::args()
        .skip(1)
        .filter(|word| !word.starts_with("--"))
        .collect();
    let which = words.get(1).map_or("", String::as_str);
    match words.first().map_or("", String::as_str) {
        "" => {
            sweep("");
            resets("");
            sharing("");
            changes();
        }
        "sweep" => sweep(which),
        "resets" => resets(which),
        "sharing" => sharing(which),
        "changes" => changes(),
        other => eprintln!("no such part: {other}"),
    }
}
