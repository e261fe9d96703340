//! `longhaul sweep`: many runs of one scenario, what is finished kept whatever happens.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use longhaul_reports::console::Style;
use longhaul_reports::human;
use longhaul_sweeps::cache::Cache;
use longhaul_sweeps::decode;
use longhaul_sweeps::directory::{Claim, Manifest, SweepDirectory, unreadable};
use longhaul_sweeps::execute::{self, Effort, ExecuteError, Failure as FailedRun, Options};
use longhaul_sweeps::isolate::Isolation;
use longhaul_sweeps::plan::{self, PlanError};
use longhaul_sweeps::prepare::{Prepared, files_of, prepare};
use longhaul_sweeps::rows::status;
use longhaul_sweeps::schema::{Sensitivity, Sweep};
use longhaul_sweeps::sensitivity::Findings;
use longhaul_sweeps::summary::PointSummary;
use longhaul_sweeps::{library, tables, text};

use crate::args::SweepArgs;
use crate::exit::{Exit, Failure};
use crate::interrupt::Interrupt;
use crate::output::{self, Colour};
use crate::progress::SweepProgress;
use crate::watch::processors;

/// How long a plan waits for the first point.
const PATIENCE: Duration = Duration::from_secs(60);
/// Failed runs that are described; all of them are in `summary.json`.
const MOST_DESCRIBED: usize = 20;

/// Runs the sweep that the command line names.
pub fn sweep(args: &SweepArgs, colour: Colour) -> Result<Exit, Failure> {
    let source = library::open(&args.sweep)?;
    let mut file = decode::read(&source)?;
    if let Some(replications) = args.replications {
        file.sweep.set_replications(replications);
    }
    let prepared = prepare(&file, args.yes)?;
    let target = args
        .out
        .clone()
        .unwrap_or_else(|| default_directory(args, &prepared));
    let interrupt = Interrupt::install().map_err(Failure::Signals)?;
    if args.plan {
        return planned(args, &prepared, &target, &interrupt);
    }
    let manifest = Manifest::of(&prepared, args.shard);
    let claim = if args.resume { Claim::Resume } else { Claim::New };
    let directory = SweepDirectory::take(&target, &manifest, claim)?.with_png(args.png);
    if let Some(before) = directory.held().filter(|_| !args.quiet) {
        outdated(before, &manifest, &target);
    }
    directory.begin(&manifest, &prepared.text, &prepared.base)?;
    let options = Options {
        threads: threads(args),
        shard: args.shard,
        timeout: args.timeout.map(|span| Duration::from_nanos(span.as_ns())),
        inject_panic: args.inject_panic,
        isolation: isolation(args)?,
    };
    let metrics = prepared.sweep.measures.iter();
    let metrics = metrics.map(|measure| measure.name.clone()).collect();
    let progress = SweepProgress::new(&interrupt, args.quiet, metrics);
    let executed = execute::execute(&prepared, &directory, options, &progress);
    progress.clear();
    let (index, effort) = match executed {
        Ok(done) => done,
        Err(ExecuteError::Ended) => {
            output::note(&format!("longhaul: {}\n", ExecuteError::Ended));
            return Ok(interrupt.requested().unwrap_or(Exit::Interrupted));
        }
        Err(error) => return Err(error.into()),
    };

    let mut shown = Vec::new();
    let cache = Cache::new(directory.path(), files_of(&prepared));
    let (sweep, points) = (&prepared.sweep, prepared.points());
    let written = tables::write(&directory, sweep, &points, &manifest, &index, &cache, |point| {
        if shown.len() < text::MOST_SHOWN {
            shown.push(point.clone());
        }
    })?;
    notes(&written.notes);
    if args.json {
        let path = target.join("summary.json");
        output::print(&fs::read_to_string(&path).map_err(|error| unreadable(&path, &error))?)?;
    } else if !args.quiet {
        let found = Found {
            shown: &shown,
            points: index.points.len() as u64,
            findings: written.findings.as_ref(),
        };
        report(sweep, &found, &effort, &target, colour)?;
    }
    Ok(failures(&index.failures))
}

/// Says that the runs of a directory are of no use to this program, if that is so.
fn outdated(before: &Manifest, now: &Manifest, target: &Path) {
    let (what, before, now) = if before.model_version != now.model_version {
        ("model version", before.model_version, now.model_version)
    } else if before.record_format != now.record_format {
        ("record format", before.record_format, now.record_format)
    } else {
        return;
    };
    output::note(&format!(
        "longhaul: {} was of {what} {before}, this program's is {now}: all runs are made again\n",
        target.display()
    ));
}

/// `runs/sweep-<name>`: by its name alone, so that a sweep that has grown finds what it has.
fn default_directory(args: &SweepArgs, prepared: &Prepared) -> PathBuf {
    let part = args.shard.map_or(String::new(), |shard| {
        format!("-{}of{}", shard.index, shard.count)
    });
    Path::new("runs").join(format!("sweep-{}{part}", prepared.sweep.name))
}

/// Runs in processes of their own, if their memory is limited.
fn isolation(args: &SweepArgs) -> Result<Option<Isolation>, Failure> {
    let Some(memory) = args.memory else {
        return Ok(None);
    };
    let program = std::env::current_exe().map_err(Failure::Program)?;
    Ok(Some(Isolation {
        program: vec![program, PathBuf::from("single")],
        memory: memory.as_bytes(),
    }))
}

fn threads(args: &SweepArgs) -> usize {
    args.threads.map_or_else(processors, usize::from)
}

fn planned(
    args: &SweepArgs,
    prepared: &Prepared,
    target: &Path,
    interrupt: &Interrupt,
) -> Result<Exit, Failure> {
    let wants_end = || interrupt.requested().is_some();
    let planned = plan::plan(prepared, target, args.shard, threads(args), PATIENCE, &wants_end);
    if let (Err(PlanError::Ended), Some(exit)) = (&planned, interrupt.requested()) {
        return Ok(exit);
    }
    output::print(&text::plan(&planned?))?;
    Ok(Exit::Passed)
}

/// What a sweep found.
struct Found<'f> {
    /// Points that are shown.
    shown: &'f [PointSummary],
    /// All of them.
    points: u64,
    /// What its study found.
    findings: Option<&'f Findings>,
}

/// What goes to standard output.
fn report(
    sweep: &Sweep,
    found: &Found,
    effort: &Effort,
    target: &Path,
    colour: Colour,
) -> Result<(), Failure> {
    let width = Style::of_stdout(output::colour_of_stdout(colour)).columns();
    let mut out = format!("{}\n\n", human::printable(&sweep.question));
    // Points that a random design chose say nothing one by one.
    if matches!(sweep.sensitivity, None | Some(Sensitivity::Factorial)) {
        out.push_str(&text::points(sweep, found.shown, found.points, width));
        out.push('\n');
        let components = text::components(sweep, found.shown, width);
        if !components.is_empty() {
            out.push_str(&components);
            out.push('\n');
        }
    }
    match (sweep.sensitivity, found.findings) {
        (Some(_), Some(findings)) => {
            out.push_str(&text::findings(findings, width));
            out.push('\n');
        }
        (Some(_), None) => out.push_str("what matters is worked out once all parts are merged\n\n"),
        (None, _) => {}
    }
    out.push_str(&format!(
        "{} runs simulated, {} used again; means with 95 % intervals; all of it in {}\n",
        human::count(effort.simulated),
        human::count(effort.reused),
        target.display()
    ));
    output::print(&out)
}

/// Says what a reader of the tables should know.
pub fn notes(notes: &[String]) {
    for note in notes {
        output::note(&format!("note: {}\n", human::printable(note)));
    }
}

/// Says which runs failed, and how the program is to end.
pub fn failures(failures: &[FailedRun]) -> Exit {
    if failures.is_empty() {
        return Exit::Passed;
    }
    for failure in failures.iter().take(MOST_DESCRIBED) {
        let (point, replication) = (failure.point, failure.replication);
        let message = failure.message.replace('\n', " ");
        let kind = status(failure.kind);
        output::note(&format!(
            "failed: point {point}, replication {replication}: {kind}: {}\n",
            human::printable(&message)
        ));
    }
    let rest = failures.len().saturating_sub(MOST_DESCRIBED);
    if rest > 0 {
        output::note(&format!("and {rest} more, all in summary.json\n"));
    }
    Exit::SweepIncomplete
}
