//! The simulated runs of a comparison, in parallel.

use longhaul_core::record::RunRecord;
use thiserror::Error;

use crate::Loaded;
use crate::parallel::{self, Aborted, Watch};
use crate::run::{BuildError, RunOptions, Simulation};

/// Why there are no runs.
#[derive(Debug, Error)]
pub enum SimulateError {
    /// The scenario cannot be built.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// The runs did not come to their ends.
    #[error(transparent)]
    Aborted(#[from] Aborted),
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
    let numbers: Vec<u32> = (0..simulations).collect();
    parallel::in_parallel(&numbers, threads, watch, |&number| {
        let simulation = Simulation::build(&loaded.replication(number), RunOptions::default())?;
        Ok(parallel::to_its_end(simulation, watch)?)
    })
}
