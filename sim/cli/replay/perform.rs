//! What every backend does with a plan: the ground, the coordinator. On the host it happens here, with a
//! virtual machine inside it.

use std::path::Path;

use longhaul_replay::coordinator::{self, Ground};
use longhaul_replay::host::World;
use longhaul_replay::outcome::Outcome;
use longhaul_replay::plan::Plan;
use longhaul_scenarios::Loaded;
use longhaul_scenarios::replay::endpoints::ScenarioWork;
use longhaul_scenarios::replay::job::Job;
use longhaul_scenarios::replay::plan::plan;

use super::error::ReplayFailure;

/// Where the guest keeps the files of a job.
const GUEST_DIRECTORY: &str = "/tmp/job";

/// Replays the replications of a job in this machine's kernel.
///
/// # Errors
/// What the kernel or a process of the replay refuses; `stop`.
pub fn perform(
    loaded: &Loaded,
    plan: &Plan,
    replications: std::ops::Range<u32>,
    tapes: bool,
    program: &Path,
    stop: &dyn Fn() -> bool,
) -> Result<Outcome, ReplayFailure> {
    let job = coordinator::Job {
        program,
        arguments: vec!["node".to_owned()],
        replications,
        horizon: loaded.scenario.horizon,
        tapes,
    };
    let mut lay = || Ok(Box::new(World::apply(plan)?) as Box<dyn Ground>);
    Ok(coordinator::replay(
        &job,
        &mut lay,
        &ScenarioWork::new(loaded),
        stop,
    )?)
}

/// Does a job inside a virtual machine: its answer is the measurements as JSON.
///
/// # Errors
/// In a line.
pub fn guest(mut job: Job) -> Result<Vec<u8>, String> {
    let directory = Path::new(GUEST_DIRECTORY);
    let text = |error: &dyn std::fmt::Display| error.to_string();
    std::fs::create_dir_all(directory).map_err(|error| text(&error))?;
    let loaded = job.unpack(directory).map_err(|error| text(&error))?;
    // They are in the guest's memory once more now.
    job.files = Vec::new();
    let program = std::env::current_exe().map_err(|error| text(&error))?;
    // Nobody interrupts a guest: its machine is switched off.
    let plan = plan(&loaded).map_err(|error| text(&error))?;
    let outcome = perform(
        &loaded,
        &plan,
        job.replications.clone(),
        job.tapes,
        &program,
        &|| false,
    );
    let outcome = outcome.map_err(|error| text(&error))?;
    Ok(serde_json::to_vec(&outcome).expect("measurements have a JSON form"))
}
