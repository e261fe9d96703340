//! Many runs at once, watched from outside. Neither threads nor the watch change a result.

use std::sync::atomic::{AtomicU64, Ordering};

use longhaul_core::record::RunRecord;
use rayon::ThreadPoolBuilder;
use rayon::prelude::*;
use thiserror::Error;

use crate::run::Simulation;

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

/// Why runs did not come to their ends.
#[derive(Debug, Error)]
pub enum Aborted {
    /// The watch wanted an end.
    #[error("interrupted")]
    Ended,
    /// The system gives no threads.
    #[error("cannot start threads: {0}")]
    Threads(#[from] rayon::ThreadPoolBuildError),
}

/// Does all jobs, and tells the watch how many are done; the results have the order of the jobs.
///
/// # Errors
/// Of one of the jobs, or [`Aborted::Threads`].
pub fn in_parallel<J: Sync, T: Send, E: From<Aborted> + Send>(
    jobs: &[J],
    threads: usize,
    watch: &dyn Watch,
    run: impl Fn(&J) -> Result<T, E> + Sync,
) -> Result<Vec<T>, E> {
    let (all, done) = (jobs.len() as u64, AtomicU64::new(0));
    watch.progress(0, all);
    let pool = ThreadPoolBuilder::new().num_threads(threads.max(1)).build();
    pool.map_err(Aborted::Threads)?.install(|| {
        // Runs differ a thousandfold in length, so each is handed out by itself.
        let results = jobs.par_iter().with_max_len(1).map(|job| {
            let result = run(job);
            watch.progress(done.fetch_add(1, Ordering::Relaxed) + 1, all);
            result
        });
        results.collect()
    })
}

/// Runs a simulation to its end.
///
/// # Errors
/// [`Aborted::Ended`]
pub fn to_its_end(mut simulation: Simulation, watch: &dyn Watch) -> Result<RunRecord, Aborted> {
    loop {
        if watch.wants_end() {
            return Err(Aborted::Ended);
        }
        if !simulation.advance(BATCH) {
            return Ok(simulation.finish(false).record);
        }
    }
}
