//! `longhaul run`: runs a scenario, keeps its results and says what came out.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use longhaul_core::record::Ended;
use longhaul_reports::console::{self, Style};
use longhaul_reports::csv::TraceRow;
use longhaul_reports::directory::{RunContents, RunDirectory};
use longhaul_reports::json;
use longhaul_scenarios::Loaded;
use longhaul_scenarios::run::{RunOptions, RunOutput, Simulation, TraceRecord};

use crate::args::RunArgs;
use crate::check;
use crate::exit::{Exit, Failure};
use crate::interrupt::Interrupt;
use crate::output::{self, Colour};
use crate::progress::Progress;
use crate::replica::Fingerprint;
use crate::reproduce;
use crate::verify::Verification;

/// Events between two looks at the clock and at signals: a few milliseconds.
const BATCH: u64 = 1 << 10;

/// Runs the scenario that the command line names.
pub fn run(args: &RunArgs, colour: Colour) -> Result<Exit, Failure> {
    let loaded = check::read(&args.scenario)?;
    if !args.quiet {
        check::warn(&loaded, colour);
    }
    let command = reproduce::command(args, loaded.scenario.seed);
    reproduce::remember(&command);
    // Everything that can fail before the long run does.
    let target = args.out.clone().unwrap_or_else(|| default_directory(&loaded));
    let directory = RunDirectory::reserve(&target)?;
    let options = RunOptions {
        event_budget: args.events,
        trace: args.trace.clone(),
        perturb_at: None,
        reproduce: command.clone(),
        ..RunOptions::default()
    };
    let simulation = Simulation::build(&loaded, options)?;
    let interrupt = Interrupt::install().map_err(Failure::Signals)?;
    if args.verbose {
        output::note(&format!(
            "longhaul: {command}\nlonghaul: scenario {}, results in {}\n",
            loaded.hash,
            target.display()
        ));
    }

    let finished = simulate(simulation, args, &interrupt);
    let written = write(directory, &finished, &loaded, args);
    report(
        &finished,
        written.is_ok().then_some(target.as_path()),
        args,
        colour,
    )?;
    written?;

    let record = &finished.record;
    if record.ended == Ended::Interrupted {
        return Ok(interrupt.requested().unwrap_or(Exit::Interrupted));
    }
    if args.verify {
        let verification = Verification {
            loaded: &loaded,
            first: &Fingerprint::of(&finished),
            events: args.events,
            inject_divergence: args.inject_divergence,
            reproduce: &command,
        };
        if let Some(exit) = verification.verify(&interrupt)? {
            return Ok(exit);
        }
    }
    Ok(record.verdict.into())
}

/// `runs/<scenario>-s<seed>-<start of the hash>`: runs of different scenarios or seeds never meet.
fn default_directory(loaded: &Loaded) -> PathBuf {
    let hash = &loaded.hash[..8];
    Path::new("runs").join(format!(
        "{}-s{}-{hash}",
        loaded.scenario.name, loaded.scenario.seed
    ))
}

/// Runs to the end, or to the first signal.
fn simulate(mut simulation: Simulation, args: &RunArgs, interrupt: &Interrupt) -> RunOutput {
    let mut progress = Progress::new(simulation.horizon(), args.quiet);
    let mut interrupted = false;
    while simulation.advance(BATCH) {
        progress.show(simulation.now(), simulation.events());
        if interrupt.requested().is_some() {
            interrupted = true;
            break;
        }
    }
    progress.clear();
    if args.verbose {
        let speed = progress.speed(simulation.now(), simulation.events());
        output::note(&format!("longhaul: {speed}\n"));
    }
    simulation.finish(interrupted)
}

fn write(
    directory: RunDirectory,
    finished: &RunOutput,
    loaded: &Loaded,
    args: &RunArgs,
) -> Result<(), Failure> {
    let trace: Option<Vec<TraceRow>> = args
        .trace
        .as_ref()
        .map(|_| finished.trace.iter().map(trace_row).collect());
    let argv: Vec<String> = std::env::args_os()
        .map(|word| OsStr::to_string_lossy(&word).into_owned())
        .collect();
    directory.write(&RunContents {
        record: &finished.record,
        scenario: &loaded.canonical,
        faults: finished.faults.as_deref(),
        series: &finished.series,
        events: &finished.events,
        checkpoints: &finished.checkpoints,
        trace: trace.as_deref(),
        argv: &argv,
    })?;
    Ok(())
}

fn trace_row(event: &TraceRecord) -> TraceRow {
    TraceRow {
        index: event.index,
        time_ns: event.at.as_ns(),
        event: event.id.to_string(),
        target: event.target.index(),
        token: event.token,
        cause: event.cause.to_string(),
        digest: format!("{:016x}", event.digest),
    }
}

/// What goes to standard output.
fn report(
    finished: &RunOutput,
    directory: Option<&Path>,
    args: &RunArgs,
    colour: Colour,
) -> Result<(), Failure> {
    let style = Style::of_stdout(output::colour_of_stdout(colour));
    output::print(&if args.json {
        json::summary(&finished.record)
    } else if args.quiet {
        console::verdict(&finished.record, style)
    } else {
        console::report(&finished.record, directory, style)
    })
}
