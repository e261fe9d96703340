//! `longhaul replay`: the same scenario in the simulator and on a real kernel, and whether they agree.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `backend` | where the replications run: on this kernel, or in virtual machines |
//! | `perform` | what both do: plan, ground, coordinator |
//! | `error` | why there is no verdict |

mod backend;
mod error;
mod perform;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use longhaul_core::doctor::Backend;
use longhaul_core::replay::{ReplayRecord, ReplayVerdict};
use longhaul_replay::outcome::Outcome;
use longhaul_replay::shard;
use longhaul_reports::console::{self, Style};
use longhaul_reports::directory::{ReplayContents, RunDirectory};
use longhaul_reports::replay as files;
use longhaul_scenarios::Loaded;
use longhaul_scenarios::replay::compare::{Worlds, compare, settings_with};
use longhaul_scenarios::replay::plan::plan;
use longhaul_scenarios::replay::scale::scaled;
use longhaul_scenarios::replay::simulate::simulate;
use longhaul_scenarios::replay::tapes;

pub use error::ReplayFailure;
pub use perform::guest;

use crate::args::{ReplayArgs, ScenarioArgs};
use crate::check;
use crate::exit::{Exit, Failure};
use crate::interrupt::Interrupt;
use crate::output::{self, Colour};
use crate::reproduce;
use crate::watch::{Watcher, processors};

/// Largest file of measurements that is read.
const LARGEST_OUTCOME: u64 = 4 << 30;

/// Replays the scenario that the command line names.
pub fn replay(args: &ReplayArgs, colour: Colour) -> Result<Exit, Failure> {
    let Some(scenario) = &args.scenario else {
        return cleanup();
    };
    let loaded = read(args, scenario)?;
    if !args.quiet {
        check::warn(&loaded, colour);
    }
    let plan = plan(&loaded).map_err(ReplayFailure::from)?;
    if args.plan {
        output::print(&plan.text())?;
        return Ok(Exit::Passed);
    }
    let settings = settings_with(&loaded, args.replications, args.simulations);
    let command = reproduce::replay_command(args, scenario, &loaded, &settings);
    reproduce::remember(&command);
    // Everything that can fail before the long run does.
    let backend = args
        .from
        .is_none()
        .then(|| backend::choose(args.backend, args.kernel.as_deref()));
    let backend = backend.transpose()?;
    let target = args.out.clone().unwrap_or_else(|| default_directory(&loaded));
    let directory = RunDirectory::reserve(&target)?;
    let interrupt = Interrupt::install().map_err(Failure::Signals)?;
    let watch = Watcher::new(&interrupt, args.quiet);
    let simulated = simulate(&loaded, settings.simulations, processors(), &watch);
    drop(watch);
    let simulated = simulated.map_err(|error| interrupted(&interrupt, error.into()))?;
    let outcome = match (&args.from, backend) {
        (Some(path), _) => read_outcome(path)?,
        (None, backend) => {
            let backend = backend.expect("chosen above");
            if args.verbose {
                output::note(&format!(
                    "longhaul: {command}\nlonghaul: replaying with the backend {}\n",
                    backend.name()
                ));
            }
            let request = backend::Request {
                loaded: &loaded,
                plan: &plan,
                replications: settings.replications,
                tapes: args.tapes,
                kernel: args.kernel.clone(),
                jobs: args.jobs.map_or_else(processors, usize::from),
                verbose: args.verbose,
            };
            let parts = backend::replay(backend, &request, &interrupt);
            parts.map_err(|error| interrupted(&interrupt, error))?
        }
    };
    let worlds = Worlds {
        loaded: &loaded,
        settings: &settings,
        simulated: &simulated,
        outcome: &outcome,
        backend,
        steps: plan.timeline.len(),
        notes: &plan.notes,
        reproduce: &command,
    };
    let record = compare(&worlds).map_err(ReplayFailure::from)?;
    // Measurements from a file may hold anything; what a machine recorded just now it must be able to repeat.
    let repeated = match args.tapes {
        true => tapes::repeat(&loaded, &outcome),
        false => Ok(0),
    };
    let written = write(directory, &record, &loaded, &plan.text(), outcome);
    let directory = written.is_ok().then_some(target.as_path());
    report(&record, directory, args, colour)?;
    written?;
    let tapes = repeated.map_err(ReplayFailure::Tape)?;
    if tapes > 0 && !args.quiet {
        output::note(&format!("longhaul: {tapes} tapes, all repeated offline\n"));
    }
    Ok(exit_of(record.verdict))
}

fn exit_of(verdict: ReplayVerdict) -> Exit {
    match verdict {
        ReplayVerdict::Pass => Exit::Passed,
        ReplayVerdict::Fail => Exit::AssertionFailed,
        ReplayVerdict::Inconclusive => Exit::Inconclusive,
        ReplayVerdict::Invalid => Exit::ReplayInvalid,
    }
}

/// Removes what a killed replay has left.
fn cleanup() -> Result<Exit, Failure> {
    let removed = backend::cleanup()?;
    let text: String = removed.iter().map(|what| format!("removed {what}\n")).collect();
    output::print(if text.is_empty() {
        "nothing was left of a replay\n"
    } else {
        &text
    })?;
    Ok(Exit::Passed)
}

fn read(args: &ReplayArgs, scenario: &str) -> Result<Loaded, Failure> {
    let loaded = check::read(&ScenarioArgs {
        scenario: scenario.to_owned(),
        seed: args.seed,
        set: args.set.clone(),
    })?;
    match args.scale {
        None => Ok(loaded),
        Some(factor) => Ok(scaled(&loaded, factor.into()).map_err(ReplayFailure::from)?),
    }
}

/// Measurements that an earlier replay has left.
fn read_outcome(path: &Path) -> Result<Outcome, ReplayFailure> {
    use std::io::Read;
    let unreadable = |error| ReplayFailure::Unreadable {
        path: path.to_owned(),
        error,
    };
    let mut text = Vec::new();
    let file = std::fs::File::open(path).map_err(unreadable)?;
    file.take(LARGEST_OUTCOME)
        .read_to_end(&mut text)
        .map_err(unreadable)?;
    let outcome = serde_json::from_slice(&text).map_err(|error| ReplayFailure::Malformed {
        path: path.to_owned(),
        error,
    })?;
    Ok(shard::merge(vec![outcome])?)
}

/// `runs/<scenario>-replay-s<seed>-<start of the hash>`.
fn default_directory(loaded: &Loaded) -> PathBuf {
    let (name, seed, hash) = (&loaded.scenario.name, loaded.scenario.seed, &loaded.hash[..8]);
    Path::new("runs").join(format!("{name}-replay-s{seed}-{hash}"))
}

/// The first signal ends a replay, whatever error that brings up.
fn interrupted(interrupt: &Interrupt, error: Failure) -> Failure {
    match interrupt.requested() {
        Some(exit) => Failure::Replay(ReplayFailure::Interrupted(exit)),
        None => error,
    }
}

fn write(
    directory: RunDirectory,
    record: &ReplayRecord,
    loaded: &Loaded,
    plan: &str,
    mut outcome: Outcome,
) -> Result<(), Failure> {
    let argv: Vec<String> = std::env::args_os()
        .map(|word| OsStr::to_string_lossy(&word).into_owned())
        .collect();
    let mut files = vec![
        ("scenario.resolved.ron".to_owned(), loaded.canonical.clone()),
        ("plan.txt".to_owned(), plan.to_owned()),
    ];
    // Each tape is a file of its own, which the tape driver reads.
    for replication in &mut outcome.replications {
        for (peer, tape) in std::mem::take(&mut replication.tapes) {
            files.push((format!("tapes/{}-{peer}.jsonl", replication.number), tape));
        }
    }
    let measured = serde_json::to_string_pretty(&outcome).expect("measurements have a JSON form");
    files.push(("outcome.json".to_owned(), measured + "\n"));
    directory.write_replay(&ReplayContents {
        record,
        files: &files,
        argv: &argv,
    })?;
    Ok(())
}

/// What goes to standard output.
fn report(
    record: &ReplayRecord,
    directory: Option<&Path>,
    args: &ReplayArgs,
    colour: Colour,
) -> Result<(), Failure> {
    let style = Style::of_stdout(output::colour_of_stdout(colour));
    output::print(&if args.json {
        files::json(record)
    } else if args.quiet {
        console::replay_verdict(record, style)
    } else {
        console::replay(record, directory, style)
    })
}

/// The backend that a user asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub enum Wish {
    /// This kernel if it can, else a virtual machine.
    Auto,
    /// This machine's kernel.
    Host,
    /// A virtual machine in deterministic virtual time.
    Vm,
}

impl Wish {
    /// The backend, if it is a certain one.
    fn certain(self) -> Option<Backend> {
        match self {
            Wish::Auto => None,
            Wish::Host => Some(Backend::Host),
            Wish::Vm => Some(Backend::Vm),
        }
    }
}
