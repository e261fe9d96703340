//! Where the replications run: in this machine's kernel, or in virtual machines, some replications in each.

use std::path::{Path, PathBuf};

use longhaul_core::doctor::Backend;
use longhaul_replay::outcome::Outcome;
use longhaul_replay::plan::Plan;
use longhaul_replay::vm::{self, Boot, VmOptions};
use longhaul_replay::{doctor, host, shard};
use longhaul_scenarios::Loaded;
use longhaul_scenarios::replay::job::Job;

use super::Wish;
use super::error::ReplayFailure;
use super::perform::perform;
use crate::exit::Failure;
use crate::interrupt::Interrupt;
use crate::output;

/// What to replay, and how.
pub struct Request<'a> {
    /// The scenario.
    pub loaded: &'a Loaded,
    /// What it is on a kernel.
    pub plan: &'a Plan,
    /// How many replications.
    pub replications: u32,
    /// Whether to keep the tapes of the machines.
    pub tapes: bool,
    /// The kernel of the virtual machines, if the user names one.
    pub kernel: Option<PathBuf>,
    /// Virtual machines side by side.
    pub jobs: usize,
    /// Whether to show the consoles of the virtual machines.
    pub verbose: bool,
}

/// The backend that the user wishes, if it is available.
///
/// # Errors
/// If it is not; what it lacks first.
pub fn choose(wish: Wish, kernel: Option<&Path>) -> Result<Backend, ReplayFailure> {
    let Some(backend) = wish.certain() else {
        return Ok(doctor::choose(kernel)?);
    };
    let found = doctor::backends(kernel)
        .into_iter()
        .find(|one| one.backend == backend);
    match found.and_then(|found| found.missing.into_iter().next()) {
        None => Ok(backend),
        Some(missing) => Err(ReplayFailure::NotAvailable {
            backend: backend.name(),
            missing,
        }),
    }
}

/// Removes what a killed replay has left in this machine's kernel.
///
/// # Errors
/// What the kernel refuses.
pub fn cleanup() -> Result<Vec<String>, ReplayFailure> {
    Ok(host::cleanup()?)
}

/// Replays.
///
/// # Errors
/// What stopped it.
pub fn replay(backend: Backend, request: &Request, interrupt: &Interrupt) -> Result<Outcome, Failure> {
    match backend {
        Backend::Host => {
            let program = std::env::current_exe().map_err(Failure::Input)?;
            let stop = || interrupt.requested().is_some();
            let all = 0..request.replications;
            Ok(perform(
                request.loaded,
                request.plan,
                all,
                request.tapes,
                &program,
                &stop,
            )?)
        }
        Backend::Vm => in_virtual_machines(request, interrupt),
    }
}

fn in_virtual_machines(request: &Request, interrupt: &Interrupt) -> Result<Outcome, Failure> {
    let whole = Job::of(request.loaded, 0..0, request.tapes).map_err(ReplayFailure::from)?;
    let seed = request.loaded.scenario.seed;
    let boot = |part: std::ops::Range<u32>| Boot {
        seed: shard::boot_seed(seed, &part),
        job: whole.part(part).to_bytes(),
    };
    let boots: Vec<Boot> = shard::shards(request.replications)
        .into_iter()
        .map(boot)
        .collect();
    let options = VmOptions {
        program: std::env::current_exe().map_err(Failure::Input)?,
        kernel: request.kernel.clone(),
        parallel: request.jobs.max(1),
        memory_mib: None,
        watchdog: None,
    };
    let answers = vm::run(&options, &boots, &|| interrupt.requested().is_some())?;
    let mut parts = Vec::new();
    for answered in answers {
        if request.verbose {
            output::note(&answered.console);
        }
        let part: Outcome = serde_json::from_slice(&answered.answer).map_err(ReplayFailure::Garbled)?;
        parts.push(part);
    }
    Ok(shard::merge(parts).map_err(ReplayFailure::from)?)
}
