//! Why a replay has no verdict.

use std::io;
use std::path::PathBuf;

use longhaul_replay::coordinator::ReplayError;
use longhaul_replay::doctor::NoBackend;
use longhaul_replay::host::HostError;
use longhaul_replay::shard::MergeError;
use longhaul_scenarios::parallel::Aborted;
use longhaul_scenarios::replay::job::JobError;
use longhaul_scenarios::replay::plan::PlanError;
use longhaul_scenarios::replay::records::RecordsError;
use longhaul_scenarios::replay::scale::ScaleError;
use longhaul_scenarios::replay::simulate::SimulateError;
use thiserror::Error;

use crate::exit::{Exit, Failure};

/// Why a replay has no verdict.
#[derive(Debug, Error)]
pub enum ReplayFailure {
    /// A scenario that a kernel cannot do.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// A scenario that cannot be scaled.
    #[error(transparent)]
    Scale(#[from] ScaleError),
    /// Nothing here can replay.
    #[error(transparent)]
    NoBackend(#[from] NoBackend),
    /// The backend that was asked for cannot.
    #[error("the backend {backend} is not available here: {missing}")]
    NotAvailable {
        /// Which.
        backend: &'static str,
        /// What it lacks first.
        missing: String,
    },
    /// The network of this machine.
    #[error(transparent)]
    Host(#[from] HostError),
    /// The replications.
    #[error(transparent)]
    Replay(#[from] ReplayError),
    /// The files of the scenario.
    #[error(transparent)]
    Job(#[from] JobError),
    /// The simulations.
    #[error(transparent)]
    Simulate(#[from] SimulateError),
    /// Parts that do not belong together.
    #[error(transparent)]
    Merge(#[from] MergeError),
    /// Measurements of another scenario.
    #[error(transparent)]
    Records(#[from] RecordsError),
    /// An answer of a virtual machine that is none.
    #[error("the virtual machine's answer is garbled: {0}")]
    Garbled(serde_json::Error),
    /// Measurements that cannot be read.
    #[error("cannot read {path}: {error}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// A file that holds no measurements.
    #[error("{path} holds no measurements of a replay (outcome.json): {error}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Where and why.
        error: serde_json::Error,
    },
    /// A machine that does not repeat what it did.
    #[error("a tape fed back offline gives other outputs than it recorded: {0}")]
    Tape(String),
    /// A signal.
    #[error("interrupted; there is no result")]
    Interrupted(Exit),
}

impl ReplayFailure {
    /// The exit code.
    pub fn exit(&self) -> Exit {
        match self {
            ReplayFailure::Plan(PlanError::NotReplayable(_))
            | ReplayFailure::NoBackend(_)
            | ReplayFailure::NotAvailable { .. } => Exit::Unavailable,
            ReplayFailure::Host(error) if error.unavailable() => Exit::Unavailable,
            ReplayFailure::Replay(ReplayError::Ground(error)) => match error.downcast_ref::<HostError>() {
                Some(error) if error.unavailable() => Exit::Unavailable,
                _ => Exit::ReplayInvalid,
            },
            ReplayFailure::Replay(ReplayError::Stopped)
            | ReplayFailure::Simulate(SimulateError::Aborted(Aborted::Ended)) => Exit::Interrupted,
            ReplayFailure::Host(_) | ReplayFailure::Replay(_) | ReplayFailure::Garbled(_) => {
                Exit::ReplayInvalid
            }
            ReplayFailure::Interrupted(exit) => *exit,
            ReplayFailure::Tape(_) => Exit::Nondeterminism,
            _ => Exit::Usage,
        }
    }

    /// What to tell the user; everything that cannot be replayed has a line of its own.
    pub fn message(&self) -> String {
        match self {
            ReplayFailure::Plan(PlanError::NotReplayable(all)) => all
                .iter()
                .map(|one| format!("error: not replayable: {one}\n"))
                .collect(),
            ReplayFailure::Interrupted(_) => format!("longhaul: {self}\n"),
            other => format!("error: {other}\n"),
        }
    }
}

impl From<SimulateError> for Failure {
    fn from(error: SimulateError) -> Failure {
        Failure::Replay(error.into())
    }
}
