//! What a sweep costs beside its runs: `benches/thousand_points.ron`, 1,000 points × 10 replications on one thread, against
//! the same runs in a plain loop that keeps nothing of them. First as it is, with transfers of 100 kB, which are the shortest
//! runs that anybody would sweep; then with those of `smoke/bulk_reno`, 30 MB.
//!
//! Times are processor time of the whole process. A machine that others use is not always equally fast, so the two take turns,
//! a hundredth of the points at a time, and the pairs are compared.

#![allow(missing_docs, reason = "a program, not a library")]

use std::fs;
use std::path::Path;
use std::time::Duration;

use longhaul_scenarios::Loaded;
use longhaul_scenarios::run::{RunOptions, Simulation};
use longhaul_scenarios::source::{Source, read_file};
use longhaul_sweeps::cache::Cache;
use longhaul_sweeps::decode;
use longhaul_sweeps::directory::{Claim, Manifest, Shard, SweepDirectory};
use longhaul_sweeps::execute::{self, Options, Unwatched};
use longhaul_sweeps::prepare::{Prepared, files_of, prepare};
use longhaul_sweeps::seeds::RunSeeds;
use longhaul_sweeps::tables;
use rustix::time::{ClockId, clock_gettime};

const PATH: &str = "../benches/thousand_points.ron";
/// What makes the transfers of the sweep shorter than those of its scenario.
const CUT: &str = "\"transfers[bulk].size=100 kB\", ";
/// Events between two looks, as in a sweep.
const BATCH: u64 = 1 << 14;

/// In how many pairs of parts the sweep and its runs are timed.
const PARTS: u32 = 100;

/// Processor time of this process so far, all threads together.
fn spent() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    let (seconds, nanoseconds) = (time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs());
    Duration::from_secs(seconds) + Duration::from_nanos(nanoseconds)
}

fn timed<T>(work: impl FnOnce() -> T) -> (Duration, T) {
    let before = spent();
    let result = work();
    (spent() - before, result)
}

/// The runs of some points, of which nothing is kept but how much happened.
fn bare(prepared: &Prepared, points: &[Loaded], shard: Shard) -> u64 {
    let mut events = 0;
    for (_, loaded) in (0..).zip(points).filter(|(point, _)| shard.has(*point)) {
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

/// Times a sweep and its runs in turns, a hundredth of the points at a time, and says how they compare.
fn measure(what: &str, text: String) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(PATH);
    let source = Source {
        text,
        ..read_file(&path).expect("the sweep")
    };
    let file = decode::read(&source).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    let prepared = prepare(&file, false).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    let points = prepared.points();
    let loaded: Vec<Loaded> = (0..points.len())
        .map(|point| prepared.load(&points, point, 0).expect("a valid point"))
        .collect();
    let place = tempfile::tempdir().expect("a temporary folder");
    let manifest = Manifest::of(&prepared, None);
    let directory =
        SweepDirectory::take(&place.path().join("out"), &manifest, Claim::New).expect("a new directory");
    directory
        .begin(&manifest, &prepared.text, &prepared.base)
        .expect("a directory");
    let sweep = |shard| {
        let options = Options {
            threads: 1,
            shard,
            ..Options::default()
        };
        execute::execute(&prepared, &directory, options, &Unwatched)
            .expect("a sweep")
            .0
    };
    let (mut plain, mut swept, mut events) = (0.0, 0.0, 0);
    let mut more = Vec::new();
    for index in 1..=PARTS {
        let shard = Shard { index, count: PARTS };
        let runs = || timed(|| bare(&prepared, &loaded, shard));
        let whole = || timed(|| sweep(Some(shard))).0;
        // What comes second finds a warm machine, so each does so every other time.
        let ((one, executed), other) = if index % 2 == 0 {
            let runs = runs();
            (runs, whole())
        } else {
            let whole = whole();
            (runs(), whole)
        };
        let (one, other) = (one.as_secs_f64(), other.as_secs_f64());
        (plain, swept, events) = (plain + one, swept + other, events + executed);
        more.push((other / one - 1.0) * 100.0);
    }
    // Tables, which come after all parts are done, belong to the sweep, too.
    let index = sweep(None);
    let cache = Cache::new(directory.path(), files_of(&prepared));
    let (tables, _) = timed(|| {
        tables::write(
            &directory,
            &prepared.sweep,
            &points,
            &manifest,
            &index,
            &cache,
            |_| {},
        )
        .expect("tables")
    });
    let tables = tables.as_secs_f64();
    more.sort_by(f64::total_cmp);
    // The order statistics that enclose the median of a hundred with 95 %.
    let [low, middle, high] = [39, 50, 60].map(|rank| more[rank]);
    println!(
        "{what}: {events} events; bare runs {plain:.2} s, sweep {swept:.2} s and {tables:.2} s of tables: {:+.1} %; runs alone, median of {PARTS} pairs: {middle:+.1} % ({low:+.1} to {high:+.1})",
        ((swept + tables) / plain - 1.0) * 100.0
    );
}

fn main() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(PATH);
    let cut = fs::read_to_string(path).expect("the sweep");
    assert!(cut.contains(CUT), "the sweep cuts its transfers");
    let whole = cut.replace(CUT, "");
    // `cargo bench … -- 30` measures one of them alone.
    let asked: Vec<String> = std::env::args()
        .skip(1)
        .filter(|it| !it.starts_with('-'))
        .collect();
    for (what, text) in [("100 kB", cut), ("30 MB", whole)] {
        if asked.is_empty() || asked.iter().any(|it| what.contains(it.as_str())) {
            measure(what, text);
        }
    }
}
