//! The simulated runs of a comparison, in parallel.

use std::sync::atomic::{AtomicU64, Ordering};

use longhaul_core::record::RunRecord;
use rayon::ThreadPoolBuilder;
use rayon::prelude::*;
use thiserror::Error;

use crate::Loaded;
use crate::run::{BuildError, RunOptions, Simulation};

/// Events between two looks at whether to end: some tens of milliseconds.
const BATCH: u64 = 1 << 16;

/// Sees how far a set of runs has got. Called from several threads.
pub trait Watch: Sync {
    /// `done` of `all` runs have finished.
    fn progress(&self, done: u64, all: u64);
    /// Whether to give everything up.
    fn wants_end(&self) -> bool;
}

/// Watches nothing.
#[derive(Clone, Copy, Debug)]
pub struct Unwatched;

impl Watch for Unwatched {
    fn progress(&self, _done: u64, _all: u64) {}
    fn wants_end(&self) -> bool {
        false
    }
}

/// Why there are no runs.
#[derive(Debug, Error)]
pub enum SimulateError {
    /// The scenario cannot be built.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// The watch wanted an end.
    #[error("interrupted")]
    Ended,
    /// The system gives no threads.
    #[error("cannot start threads: {0}")]
    Threads(#[from] rayon::ThreadPoolBuildError),
}

/// Runs of a scenario with its seed and the following ones, in that order: the seeds that the replications have.
///
/// # Errors
/// See [`SimulateError`].
pub fn simulate(
    loaded: &Loaded,
    simulations: u32,
    threads: usize,
    watch: &dyn Watch,
) -> Result<Vec<RunRecord>, SimulateError> {
    let (all, done) = (u64::from(simulations), AtomicU64::new(0));
    watch.progress(0, all);
    let pool = ThreadPoolBuilder::new().num_threads(threads.max(1)).build()?;
    pool.install(|| {
        let runs = (0..simulations).into_par_iter().with_max_len(1).map(|number| {
            let record = run(&loaded.replication(number), watch)?;
            watch.progress(done.fetch_add(1, Ordering::Relaxed) + 1, all);
            Ok(record)
        });
        runs.collect()
    })
}

fn run(loaded: &Loaded, watch: &dyn Watch) -> Result<RunRecord, SimulateError> {
    let mut simulation = Simulation::build(loaded, RunOptions::default())?;
    while simulation.advance(BATCH) {
        if watch.wants_end() {
            return Err(SimulateError::Ended);
        }
    }
    Ok(simulation.finish(false).record)
}
