//! What a sweep will take: numbers of runs, and time and disk as one run of its first point suggests.

#![expect(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "an estimate of wall time; no result depends on it"
)]

use std::path::Path;
use std::time::{Duration, Instant};

use longhaul_scenarios::diagnose::Diagnostics;
use longhaul_scenarios::run::{BuildError, RunOptions, Simulation};
use thiserror::Error;

use crate::cache::{Cache, Found};
use crate::directory::Shard;
use crate::entry::{Entry, law_bounds};
use crate::identity::ScenarioHash;
use crate::prepare::{Prepared, files_of};
use crate::seeds::RunSeeds;

/// Bytes of all tables for each run and each of its metrics: measured on the sweeps of the library.
const TABLE_BYTES: u64 = 60;
/// Events between two looks at whether to end.
const BATCH: u64 = 1 << 16;

/// What a sweep will take.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Plan {
    /// Points, of the shard if there is one.
    pub points: u64,
    /// Runs, at least.
    pub runs: u64,
    /// Runs, if no point is known well enough before.
    pub most_runs: u64,
    /// Of [`Plan::runs`], those that the directory has already.
    pub known: u64,
    /// What one run took; `None` if it did not end.
    pub trial: Option<Duration>,
    /// Threads that the time is estimated for.
    pub threads: usize,
    /// Estimated time of what is left of [`Plan::runs`], if all take as long as that one.
    pub time: Option<Duration>,
    /// The same of [`Plan::most_runs`].
    pub most_time: Option<Duration>,
    /// Estimated size of the directory with [`Plan::runs`].
    pub bytes: u64,
    /// The same with [`Plan::most_runs`].
    pub most_bytes: u64,
}

/// Why a plan cannot be made.
#[derive(Debug, Error)]
pub enum PlanError {
    /// The first point is not valid.
    #[error(transparent)]
    Invalid(#[from] Diagnostics),
    /// It cannot be built.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// The user wanted an end.
    #[error("interrupted")]
    Ended,
}

/// Plans a sweep with one run of its first point, which is given up after `patience`, or when `wants_end`.
///
/// # Errors
/// If that run cannot be made.
pub fn plan(
    prepared: &Prepared,
    directory: &Path,
    shard: Option<Shard>,
    threads: usize,
    patience: Duration,
    wants_end: &dyn Fn() -> bool,
) -> Result<Plan, PlanError> {
    let points = prepared.points();
    let cache = Cache::new(directory, files_of(prepared));
    let replications = u64::from(prepared.sweep.runs());
    let (mut known, mut count) = (0, 0);
    let looks = directory.is_dir();
    for point in (0..points.len()).filter(|point| shard.is_none_or(|shard| shard.has(*point))) {
        count += 1;
        if !looks {
            continue;
        }
        let mut last: Option<(u32, Option<(ScenarioHash, RunSeeds)>)> = None;
        for replication in 0..prepared.sweep.runs() {
            let sample = prepared.sweep.sample(replication);
            if last.is_none_or(|(known, _)| known != sample) {
                let loaded = prepared.load(&points, point, sample).ok();
                let scenario = loaded.map(|it| (ScenarioHash::of(&it.scenario), RunSeeds::of(&it.scenario)));
                last = Some((sample, scenario));
            }
            let Some((_, Some((scenario, seeds)))) = last else {
                continue;
            };
            let key = scenario.run(seeds.replication(prepared.sweep.over(), replication));
            known += u64::from(matches!(cache.find(&key, true), Found::Finished(_)));
        }
    }
    let runs = count * replications;
    let most = prepared
        .sweep
        .until
        .map_or(replications, |until| until.at_most.into());

    let began = Instant::now();
    let loaded = prepared.load(&points, 0, 0)?;
    let mut simulation = Simulation::build(&loaded, RunOptions::default())?;
    let mut ended = false;
    while began.elapsed() < patience {
        if wants_end() {
            return Err(PlanError::Ended);
        }
        if !simulation.advance(BATCH) {
            ended = true;
            break;
        }
    }
    let entry = Entry::of(
        "0".repeat(64),
        &simulation.finish(!ended).record,
        law_bounds(&loaded.scenario),
    );
    let trial = ended.then(|| began.elapsed());
    let most_runs = count * most;
    let busy = u32::try_from(threads.max(1)).unwrap_or(u32::MAX);
    let metrics = prepared.sweep.measures.len() as u64 + prepared.sweep.plots.len() as u64 + 2;
    let time = |runs: u64| {
        let left = u32::try_from(runs - known).unwrap_or(u32::MAX);
        trial.map(|trial| trial.saturating_mul(left.div_ceil(busy)))
    };
    // Entries take whole blocks of the file system.
    let each = Cache::size(&entry).next_multiple_of(4096) + TABLE_BYTES * metrics;
    Ok(Plan {
        points: count,
        runs,
        most_runs,
        known,
        trial,
        threads,
        time: time(runs),
        most_time: time(most_runs),
        bytes: runs * each,
        most_bytes: most_runs * each,
    })
}
