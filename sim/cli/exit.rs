//! Exit codes, and the failures that lead to them.

use std::io;
use std::process::ExitCode;

use longhaul_core::record::Verdict;
use longhaul_replay::node::NodeError;
use longhaul_replay::vm::VmError;
use longhaul_reports::directory::DirectoryError;
use longhaul_reports::report::ReportError;
use longhaul_scenarios::diagnose::Diagnostics;
use longhaul_scenarios::run::BuildError;
use longhaul_scenarios::source::ReadError;
use longhaul_scenarios::what_if::WhatIfError;
use longhaul_sweeps::compare::CompareError;
use longhaul_sweeps::execute::ExecuteError;
use longhaul_sweeps::library::OpenError;
use longhaul_sweeps::merge::MergeError;
use longhaul_sweeps::plan::PlanError;
use longhaul_sweeps::prepare::PrepareError;

use crate::hunt::HuntFailure;
use crate::import::ImportFailure;
use crate::replay::ReplayFailure;
use crate::replica::ReplicaError;
use crate::reproduce;
use crate::validate::ValidateError;

/// How the program ends. The numbers are documented and never change their meaning; 6 is reserved for
/// golden mismatch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Exit {
    /// Everything asked for was done, and no critical assertion failed.
    Passed = 0,
    /// A bug in this program. The message ends with the command that reproduces it.
    Internal = 1,
    /// A wrong command line, an invalid scenario or table, or output that cannot be written.
    Usage = 2,
    /// A critical assertion failed, or a tolerance was missed.
    AssertionFailed = 3,
    /// No assertion failed, but one has too little data to tell; or there was no tolerance to judge.
    Inconclusive = 4,
    /// Two runs of the same scenario and seed differed.
    Nondeterminism = 5,
    /// A replay whose figures cannot be trusted: the kernel did not do as told, or the machine was too slow for it.
    ReplayInvalid = 7,
    /// This machine lacks a privilege, a tool or a kernel.
    Unavailable = 8,
    /// Some runs of a sweep failed; the others are valid.
    SweepIncomplete = 9,
    /// Ended by SIGINT; what was finished is kept.
    Interrupted = 130,
    /// Ended by SIGTERM; what was finished is kept.
    Terminated = 143,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit as u8)
    }
}

impl From<Verdict> for Exit {
    fn from(verdict: Verdict) -> Exit {
        match verdict {
            Verdict::Pass => Exit::Passed,
            Verdict::Fail => Exit::AssertionFailed,
            Verdict::Inconclusive => Exit::Inconclusive,
        }
    }
}

/// Why a verb did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// No text of a scenario.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A scenario with mistakes.
    #[error(transparent)]
    Scenario(#[from] Diagnostics),
    /// A valid scenario that cannot be built here.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// No run directory.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// Standard input.
    #[error("cannot read standard input: {0}")]
    Input(io::Error),
    /// Standard output.
    #[error("cannot write to standard output: {0}")]
    Output(io::Error),
    /// The canary of `--verify` has no event to perturb.
    #[error("there is no event {event} to perturb: the run has {events} events")]
    NothingToPerturb {
        /// As asked for.
        event: u64,
        /// Events of the run.
        events: u64,
    },
    /// No scenario of a topology.
    #[error(transparent)]
    Import(#[from] ImportFailure),
    /// No answer to what if.
    #[error(transparent)]
    WhatIf(#[from] WhatIfError),
    /// No hunt.
    #[error(transparent)]
    Hunt(#[from] HuntFailure),
    /// No validation.
    #[error(transparent)]
    Validate(#[from] ValidateError),
    /// Signal handlers.
    #[error("cannot watch for signals: {0}")]
    Signals(io::Error),
    /// The process of a region.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// The second process of `--verify`.
    #[error(transparent)]
    Replica(#[from] ReplicaError),
    /// The virtual machine.
    #[error(transparent)]
    Vm(#[from] VmError),
    /// The job inside the virtual machine.
    #[error("{0}")]
    Guest(String),
    /// No report.
    #[error(transparent)]
    Report(#[from] ReportError),
    /// No verdict of a replay.
    #[error(transparent)]
    Replay(#[from] ReplayFailure),
    /// No text of a sweep.
    #[error(transparent)]
    OpenSweep(#[from] OpenError),
    /// No sweep.
    #[error(transparent)]
    Sweep(#[from] PrepareError),
    /// No estimate of a sweep.
    #[error("the first point of the sweep cannot run: {0}")]
    Plan(#[from] PlanError),
    /// A sweep that did not come to its end.
    #[error(transparent)]
    Execute(#[from] ExecuteError),
    /// The program itself, which processes of runs need.
    #[error("cannot find the program itself: {0}")]
    Program(io::Error),
    /// Its limits of memory and of time.
    #[error("cannot limit the process of a run: {0}")]
    Limit(io::Error),
    /// No directory of a sweep.
    #[error(transparent)]
    SweepDirectory(#[from] longhaul_sweeps::directory::DirectoryError),
    /// Parts of a sweep that do not fit.
    #[error(transparent)]
    Merge(#[from] MergeError),
    /// Nothing to compare.
    #[error(transparent)]
    Compare(#[from] CompareError),
}

impl Failure {
    /// The exit code.
    pub fn exit(&self) -> Exit {
        match self {
            Failure::Replica(_) | Failure::Signals(_) | Failure::Report(ReportError::Page(_)) => {
                Exit::Internal
            }
            Failure::Vm(VmError::Stopped) => Exit::Interrupted,
            Failure::Vm(error) if error.unavailable() => Exit::Unavailable,
            Failure::Vm(_) => Exit::ReplayInvalid,
            Failure::Replay(failure) => failure.exit(),
            _ => Exit::Usage,
        }
    }

    /// What to tell the user. Mistakes in a scenario are shown one by one with their lines.
    pub fn message(&self, colour: bool) -> String {
        match self {
            Failure::Scenario(mistakes)
            | Failure::Sweep(PrepareError::Mistakes(mistakes))
            | Failure::Merge(MergeError::Mistakes(mistakes)) => mistakes.render(colour),
            Failure::Replay(failure) => failure.message(),
            bug if bug.exit() == Exit::Internal => format!("error: {bug}\n{}", reproduce::line()),
            mistake => format!("error: {mistake}\n"),
        }
    }
}
