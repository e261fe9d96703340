//! What a sweep costs beside its runs: `benches/thousand_points.ron`, 1,000 points × 10 replications on one thread, against
//! the same runs in a plain loop that keeps nothing of them. First as it is, with transfers of 100 kB, which are the shortest
//! runs that anybody would sweep; then with those of `smoke/bulk_reno`, 30 MB.
//!
//! Times are processor time of the whole process, as the kernel counts it in hundredths of a second. The two take turns, and
//! the best of each counts.

#![allow(missing_docs, reason = "a program, not a library")]

use std::fs;
use std::path::Path;
use std::time::Duration;

use longhaul_scenarios::Loaded;
use longhaul_scenarios::run::{RunOptions, Simulation};
use longhaul_scenarios::source::{Source, read_file};
use longhaul_sweeps::cache::Cache;
use longhaul_sweeps::decode;
use longhaul_sweeps::directory::{Claim, Manifest, SweepDirectory};
use longhaul_sweeps::execute::{self, Options, Unwatched};
use longhaul_sweeps::prepare::{Prepared, files_of, prepare};
use longhaul_sweeps::seeds::RunSeeds;
use longhaul_sweeps::tables;

const PATH: &str = "../benches/thousand_points.ron";
/// What makes the transfers of the sweep shorter than those of its scenario.
const CUT: &str = "\"transfers[bulk].size=100 kB\", ";
/// Events between two looks, as in a sweep.
const BATCH: u64 = 1 << 14;

/// Processor time of this process so far.
fn spent() -> Duration {
    let stat = fs::read_to_string("/proc/self/stat").expect("Linux");
    // The name in brackets may hold anything.
    let fields = stat.rsplit_once(')').expect("a name").1.split_whitespace();
    let ticks: u64 = fields
        .skip(11)
        .take(2)
        .map(|field| field.parse::<u64>().expect("ticks"))
        .sum();
    Duration::from_millis(ticks * 10)
}

fn timed<T>(work: impl FnOnce() -> T) -> (Duration, T) {
    let before = spent();
    let result = work();
    (spent() - before, result)
}

/// All runs, of which nothing is kept but how much happened.
fn bare(prepared: &Prepared, points: &[Loaded]) -> u64 {
    let mut events = 0;
    for loaded in points {
        for replication in 0..prepared.sweep.runs() {
            let mut loaded = loaded.clone();
            RunSeeds::of(&loaded.scenario)
                .replication(prepared.sweep.over(), replication)
                .apply(&mut loaded.scenario);
            let mut simulation = Simulation::build(&loaded, RunOptions::default()).expect("a world");
            while simulation.advance(BATCH) {}
            events += simulation.finish(false).record.events;
        }
    }
    events
}

/// The sweep: processor time of its runs, and of its tables.
fn sweep(prepared: &Prepared, folder: &Path) -> (Duration, Duration) {
    let manifest = Manifest::of(prepared, None);
    let directory = SweepDirectory::take(folder, &manifest, Claim::New).expect("a new directory");
    directory
        .begin(&manifest, &prepared.text, &prepared.base)
        .expect("a directory");
    let options = Options {
        threads: 1,
        ..Options::default()
    };
    let (runs, (index, _)) =
        timed(|| execute::execute(prepared, &directory, options, &Unwatched).expect("a sweep"));
    let cache = Cache::new(directory.path(), files_of(prepared));
    let (tables, _) = timed(|| {
        tables::write(
            &directory,
            &prepared.sweep,
            &prepared.points(),
            &manifest,
            &index,
            &cache,
            |_| {},
        )
        .expect("tables")
    });
    (runs, tables)
}

/// Measures a sweep and its runs in turns, and says what the best of each are.
fn measure(what: &str, text: String, turns: usize) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(PATH);
    let source = Source {
        text,
        ..read_file(&path).expect("the sweep")
    };
    let file = decode::read(&source).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    let prepared = prepare(&file, false).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    let points = prepared.points();
    let loaded: Vec<Loaded> = (0..points.len())
        .map(|point| prepared.load(&points, point).expect("a valid point"))
        .collect();
    let place = tempfile::tempdir().expect("a temporary folder");
    let mut best: [Option<Duration>; 3] = [None; 3];
    for turn in 0..turns {
        let (plain, events) = timed(|| bare(&prepared, &loaded));
        let (runs, tables) = sweep(&prepared, &place.path().join(turn.to_string()));
        println!("{what}, turn {turn}: bare {plain:?} ({events} events), sweep {runs:?}, tables {tables:?}");
        for (best, time) in best.iter_mut().zip([plain, runs, tables]) {
            *best = Some(best.map_or(time, |best| best.min(time)));
        }
    }
    let [plain, runs, tables] = best.map(|time| time.unwrap_or_default().as_secs_f64());
    println!(
        "{what}: bare runs {plain:.2} s, sweep {:.2} s ({runs:.2} s with cache, {tables:.2} s of tables): {:+.1} %",
        runs + tables,
        ((runs + tables) / plain - 1.0) * 100.0
    );
}

fn main() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(PATH);
    let cut = fs::read_to_string(path).expect("the sweep");
    assert!(cut.contains(CUT), "the sweep cuts its transfers");
    let whole = cut.replace(CUT, "");
    measure("100 kB", cut, 3);
    measure("30 MB", whole, 1);
}
