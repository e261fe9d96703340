//! A run in a process of its own, so that two runs share no memory layout, no allocator state and no cache.

use std::io::{self, Read, Write};
use std::ops::Range;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use longhaul_core::digest::Checkpoint;
use longhaul_core::schedule::{EntityId, EventId};
use longhaul_core::time::Instant;
use longhaul_scenarios::Loaded;
use longhaul_scenarios::run::{RunOutput, TraceRecord};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::exit::Exit;
use crate::interrupt::Interrupt;

/// How often a waiting process looks for signals.
const LOOK: Duration = Duration::from_millis(20);

/// What identifies a run: its digests along the way, and the events of a window if one was recorded.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Fingerprint {
    /// Hash of the scenario that ran.
    pub scenario_hash: String,
    /// In the order of events; the last one is the end of the run.
    pub checkpoints: Vec<Checkpoint>,
    trace: Vec<PackedEvent>,
}

/// A [`TraceRecord`] in numbers.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
struct PackedEvent {
    index: u64,
    at: Instant,
    id: u64,
    target: u32,
    token: u32,
    cause: u64,
    digest: u64,
}

impl Fingerprint {
    /// That of a finished run.
    pub fn of(output: &RunOutput) -> Fingerprint {
        let record = &output.record;
        let pack = |event: &TraceRecord| PackedEvent {
            index: event.index,
            at: event.at,
            id: event.id.as_u64(),
            target: event.target.index(),
            token: event.token,
            cause: event.cause.as_u64(),
            digest: event.digest,
        };
        Fingerprint {
            scenario_hash: record.scenario_hash.clone(),
            checkpoints: output.checkpoints.clone(),
            trace: output.trace.iter().map(pack).collect(),
        }
    }

    /// As the second process prints it.
    pub fn text(&self) -> String {
        serde_json::to_string(self).expect("a fingerprint has a JSON form")
    }

    /// The recorded events.
    pub fn trace(&self) -> Vec<TraceRecord> {
        let unpack = |event: &PackedEvent| TraceRecord {
            index: event.index,
            at: event.at,
            id: EventId::from_u64(event.id),
            target: EntityId::new(event.target),
            token: event.token,
            cause: EventId::from_u64(event.cause),
            digest: event.digest,
        };
        self.trace.iter().map(unpack).collect()
    }
}

/// What a replica is to do, beside the scenario.
#[derive(Clone, Debug, Default)]
pub struct ReplicaOptions {
    /// Stop after so many events.
    pub events: Option<u64>,
    /// Record these events.
    pub window: Option<Range<u64>>,
    /// Perturb the digest at this event.
    pub inject_divergence: Option<u64>,
}

/// Why there is no second run to compare with.
#[derive(Debug, Error)]
pub enum ReplicaError {
    /// The process cannot be started or talked to.
    #[error("cannot run a second process: {0}")]
    Process(#[from] io::Error),
    /// It ended without a result; it has said why on standard error.
    #[error("the second process failed ({0})")]
    Failed(std::process::ExitStatus),
    /// Not a fingerprint.
    #[error("the second process printed something else than its digest: {0}")]
    Malformed(serde_json::Error),
    /// It ran something else, because the resolved text does not read back as the same scenario.
    #[error("the second process read the resolved scenario as another one (hash {0})")]
    OtherScenario(String),
}

/// What became of a replica.
pub enum Outcome {
    /// It ran.
    Finished(Fingerprint),
    /// The user wants an end; the replica was stopped.
    Interrupted(Exit),
}

/// Runs a scenario in a second process.
///
/// # Errors
/// If that process cannot be run or does not do its work.
pub fn run(
    loaded: &Loaded,
    options: &ReplicaOptions,
    interrupt: &Interrupt,
) -> Result<Outcome, ReplicaError> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("digest");
    if !loaded.base_dir.as_os_str().is_empty() {
        command.arg("--base-dir").arg(&loaded.base_dir);
    }
    if let Some(events) = options.events {
        command.arg(format!("--events={events}"));
    }
    if let Some(window) = &options.window {
        command.arg(format!("--window={}..{}", window.start, window.end));
    }
    if let Some(event) = options.inject_divergence {
        command.arg(format!("--inject-divergence={event}"));
    }
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    // The resolved text and not the file: the file may be a pipe, or change meanwhile. The handle is dropped,
    // which ends the other side's input. If that side has died, its exit status says more than a broken pipe.
    if let Some(mut stdin) = child.stdin.take() {
        let _ = stdin.write_all(loaded.canonical.as_bytes());
    }
    let stdout = child.stdout.take().expect("standard output is piped");
    let Some(printed) = wait(&mut child, stdout, interrupt)? else {
        return Ok(Outcome::Interrupted(
            interrupt.requested().unwrap_or(Exit::Interrupted),
        ));
    };
    let status = child.wait()?;
    if !status.success() {
        return Err(ReplicaError::Failed(status));
    }
    let fingerprint: Fingerprint = serde_json::from_slice(&printed).map_err(ReplicaError::Malformed)?;
    if fingerprint.scenario_hash != loaded.hash {
        return Err(ReplicaError::OtherScenario(fingerprint.scenario_hash));
    }
    Ok(Outcome::Finished(fingerprint))
}

/// Everything that a process prints, or `None` if the user wants an end first: then it is killed.
#[expect(
    clippy::disallowed_methods,
    reason = "a second thread empties the pipe while this one looks for signals; no result depends on either"
)]
fn wait(child: &mut Child, mut stdout: ChildStdout, interrupt: &Interrupt) -> io::Result<Option<Vec<u8>>> {
    let reader = std::thread::spawn(move || {
        let mut printed = Vec::new();
        stdout.read_to_end(&mut printed).map(|_| printed)
    });
    while !reader.is_finished() {
        if interrupt.requested().is_some() {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        std::thread::sleep(LOOK);
    }
    let printed = reader.join().expect("reading does not panic")?;
    Ok(Some(printed))
}
