//! Runs what has not run yet, on all threads; what has, the cache knows.
//!
//! Memory grows with the number of points by some hundred bytes of each, and no more (and, where fields are uncertain, by
//! some thirty of each run). A run that fails is noted and the others
//! go on. Which thread does what, and when, changes nothing: all that is kept of a run depends on its scenario and its
//! seed alone.

#![expect(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "a timeout is of wall time; it decides whether a run is given up, and about no result"
)]

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use longhaul_scenarios::Loaded;
use longhaul_scenarios::run::{RunOptions, Simulation};
use rayon::ThreadPoolBuilder;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::cache::{Cache, Found};
use crate::directory::{DirectoryError, Shard, SweepDirectory};
use crate::entry::{Entry, Known, LawBounds, law_bounds};
use crate::estimate::{Standing, Width, standing, width};
use crate::guard::guarded;
use crate::identity::ScenarioHash;
use crate::isolate::{Children, Isolation, Outcome, Task};
use crate::points::Points;
use crate::prepare::{Prepared, files_of};
use crate::seeds::RunSeeds;

/// Events between two looks at the clock and at whether to end.
const BATCH: u64 = 1 << 14;

/// How to execute a sweep.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Threads; at least one is used.
    pub threads: usize,
    /// Which points.
    pub shard: Option<Shard>,
    /// Wall time of a run, instead of the sweep's own.
    pub timeout: Option<Duration>,
    /// Panic in the runs of this point: the canary that proves that the others survive.
    pub inject_panic: Option<u64>,
    /// Each run in a process of its own, with a limit of memory.
    pub isolation: Option<Isolation>,
}

/// How far a sweep has got.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Progress {
    /// Runs that are done, reused and failed ones among them.
    pub done: u64,
    /// Runs that are to be done, as far as known.
    pub all: u64,
    /// Of those done, how many had been done before.
    pub reused: u64,
    /// Of those done, how many failed.
    pub failed: u64,
    /// Virtual time of what has been simulated now.
    pub simulated_ns: u64,
    /// The widest 95 % interval of the points that have finished: of the metric of `until`, else of all.
    pub widest: Option<Widest>,
}

/// The interval of a mean that is known least well.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Widest {
    /// Index of its metric.
    pub metric: usize,
    /// Half of it.
    pub width: Width,
}

/// The wider of two.
fn wider(one: Option<Widest>, other: Option<Widest>) -> Option<Widest> {
    match (one, other) {
        (Some(one), Some(other)) if other.width.share() > one.width.share() => Some(other),
        (one, other) => one.or(other),
    }
}

/// Sees how far a sweep has got. Called from several threads.
pub trait Watch: Sync {
    /// After each run.
    fn progress(&self, progress: &Progress);
    /// Something that the user should know now.
    fn note(&self, message: &str);
    /// Whether to stop here; what is finished is kept.
    fn wants_end(&self) -> bool;
}

/// Watches nothing.
#[derive(Clone, Copy, Debug)]
pub struct Unwatched;

impl Watch for Unwatched {
    fn progress(&self, _progress: &Progress) {}
    fn note(&self, _message: &str) {}
    fn wants_end(&self) -> bool {
        false
    }
}

/// Why a sweep did not come to its end. What was finished is kept.
#[derive(Debug, Error)]
pub enum ExecuteError {
    /// The watch wanted an end.
    #[error("interrupted; all finished runs are kept, and --resume goes on")]
    Ended,
    /// The results cannot be written.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// The system gives no process to a run.
    #[error("cannot run a process: {0}; all runs finished so far are kept, and --resume goes on")]
    Process(std::io::Error),
    /// The system gives no threads.
    #[error("cannot start threads: {0}")]
    Threads(#[from] rayon::ThreadPoolBuildError),
}

/// Which runs make up a point.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PointRuns {
    /// Its number.
    pub point: u64,
    /// Its scenario, with the first sample of what is uncertain; `None` if there is no valid one.
    pub scenario: Option<ScenarioHash>,
    /// The same with the further samples.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub samples: Vec<Option<ScenarioHash>>,
    /// Seeds of its first replication.
    #[serde(flatten)]
    pub seeds: RunSeeds,
    /// Its replications.
    pub replications: u32,
}

impl PointRuns {
    /// Its scenario with a sample of what is uncertain; the same with all of them if nothing is.
    pub fn scenario_of(&self, sample: u32) -> Option<ScenarioHash> {
        match (self.samples.is_empty(), sample.checked_sub(1)) {
            (false, Some(further)) => self.samples.get(further as usize).copied().flatten(),
            _ => self.scenario,
        }
    }

    fn set_scenario(&mut self, sample: u32, scenario: Option<ScenarioHash>) {
        let Some(further) = sample.checked_sub(1) else {
            self.scenario = scenario;
            return;
        };
        let further = further as usize;
        if self.samples.len() <= further {
            self.samples.resize(further + 1, None);
        }
        self.samples[further] = scenario;
    }
}

/// A run that left nothing.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct Failure {
    /// Of this point.
    pub point: u64,
    /// Of this replication.
    pub replication: u32,
    /// How it failed.
    pub kind: FailureKind,
    /// What is known about it.
    pub message: String,
}

/// How a run failed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub enum FailureKind {
    /// The values of the point are not allowed together.
    Invalid,
    /// The scenario names a file that cannot be used.
    Unbuildable,
    /// An invariant of the program did not hold, or it panicked otherwise.
    Panicked,
    /// It took too long.
    TimedOut,
    /// It needed more memory than there was for it.
    OutOfMemory,
}

/// What became of a sweep.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Index {
    /// In the order of their numbers; those of a shard only.
    pub points: Vec<PointRuns>,
    /// In the order of points and replications.
    pub failures: Vec<Failure>,
}

/// How much had to be done.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Effort {
    /// Runs simulated now.
    pub simulated: u64,
    /// Runs that had been done before.
    pub reused: u64,
    /// Entries of the cache that could not be used.
    pub unusable: u64,
}

/// What is kept in memory of each point.
struct State {
    runs: PointRuns,
    /// How well its least known metric is known.
    widest: Option<Widest>,
}

/// Replications of a point that are to be run.
struct Work {
    slot: usize,
    from: u32,
    to: u32,
    /// Values of the metric of `until` in those before.
    known: Vec<Known>,
}

/// A run that is to be made.
struct Job {
    slot: usize,
    point: u64,
    replication: u32,
    scene: Arc<Scene>,
    open: Arc<Mutex<Open>>,
}

/// A scenario, which replications share that differ in seeds alone.
struct Scene {
    sample: u32,
    /// With what identifies it.
    loaded: Result<(Loaded, ScenarioHash), (FailureKind, String)>,
    /// What theory says of it, once a run needs it.
    laws: OnceLock<Vec<LawBounds>>,
}

/// What is open at a point.
struct Open {
    /// Of its replications in this round.
    left: u32,
    /// Its values of each metric that is watched.
    values: Vec<Vec<Known>>,
}

/// Runs all points of a sweep, or of its shard, that are not in the cache of the directory.
///
/// # Errors
/// If the watch wants an end, or the directory cannot be written.
pub fn execute(
    prepared: &Prepared,
    directory: &SweepDirectory,
    options: Options,
    watch: &dyn Watch,
) -> Result<(Index, Effort), ExecuteError> {
    let points = prepared.points();
    let numbers: Vec<u64> = match options.shard {
        Some(shard) => (0..points.len()).filter(|point| shard.has(*point)).collect(),
        None => (0..points.len()).collect(),
    };
    let first = prepared.sweep.runs();
    let threads = options.threads.max(1);
    let all = numbers.len() as u64 * u64::from(first);
    let state = |point| State {
        runs: PointRuns {
            point,
            scenario: None,
            samples: Vec::new(),
            seeds: RunSeeds::default(),
            replications: first,
        },
        widest: None,
    };
    let children = options.isolation.clone();
    let run = Run {
        children: children.map(|isolation| Children::new(isolation, threads)),
        prepared,
        points: &points,
        cache: Cache::new(directory.path(), files_of(prepared)),
        options,
        watch,
        all: AtomicU64::new(all),
        count: numbers.len(),
        seen: Mutex::new(Progress::default()),
        failures: Mutex::new(Vec::new()),
        unusable: AtomicU64::new(0),
        states: Mutex::new(numbers.into_iter().map(state).collect()),
    };
    watch.progress(&run.progress());
    let pool = ThreadPoolBuilder::new().num_threads(threads).build()?;
    pool.install(|| run.all_rounds())?;
    Ok(run.outcome())
}

struct Run<'a> {
    prepared: &'a Prepared,
    points: &'a Points<'a>,
    /// Of them, or of those of the shard.
    count: usize,
    cache: Cache,
    children: Option<Children>,
    options: Options,
    watch: &'a dyn Watch,
    all: AtomicU64,
    seen: Mutex<Progress>,
    failures: Mutex<Vec<Failure>>,
    unusable: AtomicU64,
    states: Mutex<Vec<State>>,
}

/// The content of a mutex: a thread that panicked leaves nothing half done in any of ours.
fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Run<'_> {
    fn all_rounds(&self) -> Result<(), ExecuteError> {
        let first = self.prepared.sweep.runs();
        self.round((0..self.count).map(|slot| Work {
            slot,
            from: 0,
            to: first,
            known: Vec::new(),
        }))?;
        loop {
            // What a round found depends on its points alone, so neither do threads change who gets more.
            let more: Vec<Work> = (0..self.count).filter_map(|slot| self.more(slot)).collect();
            if more.is_empty() {
                return Ok(());
            }
            let runs: u64 = more.iter().map(|work| u64::from(work.to - work.from)).sum();
            self.all.fetch_add(runs, Ordering::Relaxed);
            let widest = {
                let mut states = locked(&self.states);
                for work in &more {
                    states[work.slot].runs.replications = work.to;
                    // To be known better soon.
                    states[work.slot].widest = None;
                }
                states.iter().map(|state| state.widest).fold(None, wider)
            };
            locked(&self.seen).widest = widest;
            self.round(more.into_iter())?;
        }
    }

    /// The metrics whose intervals are watched.
    fn watched(&self) -> std::ops::Range<usize> {
        let sweep = &self.prepared.sweep;
        match sweep.until {
            Some(until) => until.measure..until.measure + 1,
            None => 0..sweep.measures.len(),
        }
    }

    /// Those of a replication of a point that begins with these.
    fn seeds(&self, first: RunSeeds, replication: u32) -> RunSeeds {
        first.replication(self.prepared.sweep.over(), replication)
    }

    /// The replications that a point still needs to be known well enough.
    fn more(&self, slot: usize) -> Option<Work> {
        let until = self.prepared.sweep.until?;
        let runs = locked(&self.states)[slot].runs.clone();
        let done = runs.replications;
        runs.scenario?;
        let measure = &self.prepared.sweep.measures[until.measure];
        let value = |replication| {
            let seeds = self.seeds(runs.seeds, replication);
            let found = runs.scenario_of(seeds.sample);
            match found.map(|scenario| self.cache.find(&scenario.run(seeds), false)) {
                Some(Found::Finished(entry)) => entry.value(measure),
                Some(Found::Nothing | Found::Unusable(_)) | None => Known::Missing,
            }
        };
        let known: Vec<Known> = (0..done).map(value).collect();
        match standing(measure, &known, until, self.prepared.sweep.replications) {
            Standing::NeedsMore(more) => Some(Work {
                slot,
                from: done,
                to: done + more,
                known,
            }),
            Standing::Reached | Standing::Limit | Standing::Incomplete => None,
        }
    }

    /// Runs the given replications of the given points.
    fn round(&self, work: impl Iterator<Item = Work> + Send) -> Result<(), ExecuteError> {
        let jobs = work.flat_map(|work| {
            let mut values = vec![Vec::new(); self.watched().len()];
            // In later rounds there is one metric, whose interval is that of all replications.
            if let Some(first) = values.first_mut() {
                *first = work.known;
            }
            let left = work.to - work.from;
            let open = Arc::new(Mutex::new(Open { left, values }));
            let point = locked(&self.states)[work.slot].runs.point;
            let mut last: Option<Arc<Scene>> = None;
            (work.from..work.to).map(move |replication| {
                let sample = self.prepared.sweep.sample(replication);
                let scene = match last.take().filter(|scene| scene.sample == sample) {
                    Some(scene) => scene,
                    None => Arc::new(self.scene(work.slot, point, sample)),
                };
                last = Some(Arc::clone(&scene));
                Job {
                    slot: work.slot,
                    point,
                    replication,
                    scene,
                    open: Arc::clone(&open),
                }
            })
        });
        // Runs differ a thousandfold in length, so each is handed out by itself.
        jobs.par_bridge().try_for_each(|job| self.one(&job))
    }

    /// The scenario of a point, with a sample of what is uncertain.
    fn scene(&self, slot: usize, point: u64, sample: u32) -> Scene {
        let loaded = match guarded(|| self.prepared.load(self.points, point, sample)) {
            Ok(Ok(loaded)) => {
                let hash = ScenarioHash::of(&loaded.scenario);
                Ok((loaded, hash))
            }
            Ok(Err(mistakes)) => {
                let first = mistakes.items().first();
                let message = first.map(|item| format!("{}: {}", item.path, item.message));
                Err((FailureKind::Invalid, message.unwrap_or_default()))
            }
            Err(panic) => Err((FailureKind::Panicked, panic)),
        };
        let valid = loaded.as_ref().ok();
        let mut states = locked(&self.states);
        let runs = &mut states[slot].runs;
        runs.set_scenario(sample, valid.map(|(_, hash)| *hash));
        if sample == 0 {
            runs.seeds = valid.map_or(self.prepared.seeds, |(loaded, _)| RunSeeds::of(&loaded.scenario));
        }
        drop(states);
        Scene {
            sample,
            loaded,
            laws: OnceLock::new(),
        }
    }

    /// Does one run, or finds that it has been done.
    fn one(&self, job: &Job) -> Result<(), ExecuteError> {
        if self.watch.wants_end() {
            return Err(ExecuteError::Ended);
        }
        let done = match &job.scene.loaded {
            Err(failure) => Err(failure.clone()),
            Ok((loaded, hash)) => {
                let seeds = self.seeds(RunSeeds::of(&loaded.scenario), job.replication);
                let key = hash.run(seeds);
                match self.known(&key, job) {
                    Some(entry) => Ok((*entry, true)),
                    None => match self.simulate(job, loaded, seeds, key)? {
                        Ok(entry) => {
                            self.cache.keep(&entry)?;
                            Ok((entry, false))
                        }
                        Err(failure) => Err(failure),
                    },
                }
            }
        };
        self.note(job, done);
        Ok(())
    }

    /// The entry of a run, if it has been done.
    fn known(&self, key: &str, job: &Job) -> Option<Box<Entry>> {
        // A canary wants to see the run fail.
        if self.options.inject_panic == Some(job.point) {
            return None;
        }
        match self.cache.find(key, true) {
            Found::Finished(entry) => Some(entry),
            Found::Nothing => None,
            Found::Unusable(why) => {
                self.unusable.fetch_add(1, Ordering::Relaxed);
                let path = self.cache.path(key);
                self.watch.note(&format!(
                    "replication {} of point {} runs again: {}: {why}",
                    job.replication,
                    job.point,
                    path.display()
                ));
                None
            }
        }
    }

    /// Simulates a run to its end. The outer error ends the sweep, the inner one is this run's alone.
    fn simulate(
        &self,
        job: &Job,
        loaded: &Loaded,
        seeds: RunSeeds,
        key: String,
    ) -> Result<Result<Entry, (FailureKind, String)>, ExecuteError> {
        let began = Instant::now();
        let own = self
            .prepared
            .sweep
            .timeout
            .map(|span| Duration::from_nanos(span.as_ns()));
        let timeout = self.options.timeout.or(own);
        let work = || {
            assert!(self.options.inject_panic != Some(job.point), "an injected panic");
            let mut loaded = loaded.clone();
            seeds.apply(&mut loaded.scenario);
            if let Some(children) = &self.children {
                let task = Task {
                    loaded: &loaded,
                    key: &key,
                    timeout,
                    wants_end: &|| self.watch.wants_end(),
                };
                return match children.run(task).map_err(ExecuteError::Process)? {
                    Outcome::Finished(entry) => Ok(Ok(*entry)),
                    Outcome::Failed(kind, message) => Ok(Err((kind, message))),
                    Outcome::Ended => Err(ExecuteError::Ended),
                };
            }
            let mut simulation = match Simulation::build(&loaded, RunOptions::default()) {
                Ok(simulation) => simulation,
                Err(error) => return Ok(Err((FailureKind::Unbuildable, error.to_string()))),
            };
            while simulation.advance(BATCH) {
                if self.watch.wants_end() {
                    return Err(ExecuteError::Ended);
                }
                if let Some(timeout) = timeout.filter(|timeout| began.elapsed() > *timeout) {
                    let message = format!("given up after {timeout:?} of wall time");
                    return Ok(Err((FailureKind::TimedOut, message)));
                }
            }
            let record = simulation.finish(false).record;
            let laws = job.scene.laws.get_or_init(|| law_bounds(&loaded.scenario));
            Ok(Ok(Entry::of(key, &record, laws.clone())))
        };
        guarded(work).unwrap_or_else(|panic| Ok(Err((FailureKind::Panicked, panic))))
    }

    /// Counts a run that is done.
    fn note(&self, job: &Job, done: Result<(Entry, bool), (FailureKind, String)>) {
        let sweep = &self.prepared.sweep;
        let watched = self.watched();
        let widest = {
            let mut open = locked(&job.open);
            open.left -= 1;
            for (values, metric) in open.values.iter_mut().zip(watched.clone()) {
                values.push(
                    done.as_ref()
                        .map_or(Known::Missing, |(entry, _)| entry.value(&sweep.measures[metric])),
                );
            }
            // Runs that depend on each other have intervals of another kind.
            if open.left == 0 && sweep.over().samples().is_none() {
                let each = watched.zip(&open.values).map(|(metric, values)| {
                    let width = width(&sweep.measures[metric], values)?;
                    Some(Widest { metric, width })
                });
                each.fold(None, wider)
            } else {
                None
            }
        };
        if widest.is_some() {
            locked(&self.states)[job.slot].widest = widest;
        }
        let progress = {
            let mut seen = locked(&self.seen);
            seen.done += 1;
            match &done {
                Ok((_, true)) => seen.reused += 1,
                Ok((entry, false)) => {
                    seen.simulated_ns = seen.simulated_ns.saturating_add(entry.simulated_ns);
                }
                Err(_) => seen.failed += 1,
            }
            seen.widest = wider(seen.widest, widest);
            Progress {
                all: self.all.load(Ordering::Relaxed),
                ..*seen
            }
        };
        if let Err((kind, message)) = done {
            locked(&self.failures).push(Failure {
                point: job.point,
                replication: job.replication,
                kind,
                message,
            });
        }
        self.watch.progress(&progress);
    }

    fn progress(&self) -> Progress {
        Progress {
            all: self.all.load(Ordering::Relaxed),
            ..*locked(&self.seen)
        }
    }

    fn outcome(&self) -> (Index, Effort) {
        let seen = self.progress();
        let mut failures = std::mem::take(&mut *locked(&self.failures));
        failures.sort();
        let states = std::mem::take(&mut *locked(&self.states));
        let points = states.into_iter().map(|state| state.runs);
        let index = Index {
            points: points.collect(),
            failures,
        };
        let effort = Effort {
            simulated: seen.done - seen.reused - seen.failed,
            reused: seen.reused,
            unusable: self.unusable.load(Ordering::Relaxed),
        };
        (index, effort)
    }
}
