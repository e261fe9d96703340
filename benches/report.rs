//! What a report takes of a run that wrote down ten million events: `longhaul report` in a process of its own, on the
//! directory of a small run whose `events.csv` is replaced. Either none or half of the events change a breaker, which is
//! what the report reads most closely; the others are names that did not resolve.
//!
//! Times are processor time of the process where the system tells it; so is the peak of its memory.

#![allow(missing_docs, reason = "a program, not a library")]

#[path = "support/peak.rs"]
mod peak;
#[expect(dead_code, reason = "other benches use the median")]
mod support;

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;

use longhaul_reports::directory::{MANIFEST, Manifest, RunContents, RunDirectory};
use longhaul_reports::report;
use longhaul_scenarios::run::{RunOptions, Simulation};
use longhaul_scenarios::{load, source};

use support::Stopwatch;

const EVENTS: u64 = 10_000_000;
const TURNS: usize = 3;
/// Names this program when it is to make a report.
const REPORT: &str = "--report-of";

fn main() {
    let words: Vec<String> = std::env::args().collect();
    if let Some(at) = words.iter().position(|word| word == REPORT) {
        make(Path::new(&words[at + 1]));
        return;
    }
    let place = tempfile::tempdir().expect("a temporary folder");
    for (share, every) in [("none", u64::MAX), ("half", 2)] {
        let run = place.path().join(share);
        small_run(&run);
        let bytes = events(&run.join("events.csv"), every).expect("room for the events");
        told(&run.join(MANIFEST), bytes);
        println!(
            "{EVENTS} events, {share} of them of breakers, {} MB:",
            bytes / 1_000_000
        );
        for _ in 0..TURNS {
            let program = std::env::current_exe().expect("this program");
            let mut child = std::process::Command::new(program);
            let done = child.arg(REPORT).arg(&run).status().expect("a process");
            assert!(done.success(), "{done}");
        }
        fs::remove_dir_all(&run).expect("its own folder");
    }
}

/// The directory of a real run.
fn small_run(directory: &Path) {
    let source = source::open("smoke/retry_storm").expect("in the library");
    let loaded = load(&source, &[], None).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    let mut simulation = Simulation::build(&loaded, RunOptions::default()).expect("a world");
    while simulation.advance(u64::MAX) {}
    let output = simulation.finish(false);
    let contents = RunContents {
        record: &output.record,
        scenario: &loaded.canonical,
        faults: output.faults.as_deref(),
        series: &output.series,
        events: &output.events,
        checkpoints: &output.checkpoints,
        trace: None,
        argv: &[],
    };
    let directory = RunDirectory::reserve(directory).expect("a new folder");
    directory.write(&contents).expect("a directory");
}

/// Writes the events; gives their size in bytes. One of `every` is a change of a breaker, of one of twenty clients.
fn events(path: &Path, every: u64) -> io::Result<u64> {
    let mut out = BufWriter::new(File::create(path)?);
    writeln!(out, "time_ns,entity,kind,detail,during_event")?;
    for number in 0..EVENTS {
        let (at_ns, client) = (number * 10_000, number / 2 % 20);
        if number % every == 1 {
            let (from, to) = [("Closed", "Open"), ("Open", "HalfOpen"), ("HalfOpen", "Closed")]
                [(number / 40 % 3) as usize];
            let detail = format!(
                r#""{{""Breaker"":{{""layer"":1,""from"":""{from}"",""to"":""{to}"",""cause"":""Forced""}}}}""#
            );
            writeln!(out, "{at_ns},client-{client},Policy,{detail},{number}")?;
        } else {
            writeln!(out, "{at_ns},client-{client},NameFailed,,{number}")?;
        }
    }
    out.flush()?;
    Ok(path.metadata()?.len())
}

/// Puts the size of the events into the manifest: files of another size are refused.
fn told(path: &Path, bytes: u64) {
    let text = fs::read(path).expect("a manifest");
    let mut manifest: Manifest = serde_json::from_slice(&text).expect("a manifest");
    let events = manifest.files.iter_mut().find(|file| file.name == "events.csv");
    events.expect("every run has events").bytes = bytes;
    let text = serde_json::to_vec(&manifest).expect("numbers and texts");
    fs::write(path, text).expect("its own folder");
}

fn make(run: &Path) {
    let stopwatch = Stopwatch::start();
    let story = report::load(run).unwrap_or_else(|error| panic!("{error}"));
    let written = report::write(&story, run, None).unwrap_or_else(|error| panic!("{error}"));
    let taken_s = stopwatch.elapsed_ns() / 1e9;
    let page = fs::metadata(&written[0]).expect("the page").len();
    println!(
        "  {taken_s:.2} s, page of {} kB, peak {} MiB",
        page / 1000,
        peak::peak_kib().unwrap_or(0) / 1024
    );
}
