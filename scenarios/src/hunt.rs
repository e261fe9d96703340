//! Looks for faults that make a scenario fail: many random schedules, and of the first that fails the smallest part.
//!
//! Each schedule is a swarm: a few kinds of faults, each with a strength of its own, at random places and times. A run
//! fails if a critical assertion fails that holds without faults. What fails is [shrunk](longhaul_chaos::shrink()) to
//! faults none of which can be left out, and comes back as a scenario with nothing left to chance.

mod classes;
mod places;

use std::collections::BTreeMap;
use std::path::PathBuf;

use longhaul_chaos::{Impact, Schedule, Shrunk, Swarm, shrink};
use longhaul_core::random::Streams;
use longhaul_core::record::{RunRecord, Verdict};
use longhaul_core::time::Span;
use thiserror::Error;

pub use classes::FaultClass;
use places::{Place, candidates, faults_of};

use crate::Loaded;
use crate::diagnose::Diagnostics;
use crate::parallel::{Aborted, Unwatched, Watch, in_parallel, to_its_end};
use crate::run::{BuildError, Planted, RunOptions, Simulation};
use crate::source::Source;
use crate::{load, show};

/// Schedules that are tried before it is looked whether one of them failed; it bounds what is tried in vain.
const BATCH: usize = 64;

/// How to hunt.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Hunt {
    /// How many schedules.
    pub schedules: u32,
    /// Number of the first: each number has its own schedule.
    pub first: u32,
    /// Which faults may take part; none for all.
    pub classes: Vec<FaultClass>,
    /// How often one kind of fault strikes in a schedule at most.
    pub most_strikes: u32,
    /// Runs that shrinking may take.
    pub most_calls: u32,
    /// Whether the run of schedule n has the scenario's seed plus n, rather than that seed.
    pub vary_seed: bool,
    /// Threads. They change no result.
    pub threads: usize,
    /// Bugs on purpose, for tests that must find them.
    #[doc(hidden)]
    pub planted: Planted,
}

impl Default for Hunt {
    /// A thousand schedules, all faults, each at most four times, all with the scenario's seed.
    fn default() -> Hunt {
        Hunt {
            schedules: 1_000,
            first: 0,
            classes: Vec::new(),
            most_strikes: 4,
            most_calls: 1_000,
            vary_seed: false,
            threads: 1,
            planted: Planted::default(),
        }
    }
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Hunted {
    /// How many schedules were run.
    pub tried: u32,
    /// How many of them fail without their faults, by their seed alone; they count as nothing found.
    pub fail_anyway: u32,
    /// What fails, if anything does.
    pub found: Option<Found>,
}

/// A smallest schedule that makes the scenario fail.
#[derive(Clone, Debug)]
pub struct Found {
    /// The number of the schedule that failed.
    pub number: u32,
    /// How many faults it had.
    pub faults_before: usize,
    /// How many are left.
    pub faults: usize,
    /// Runs that shrinking took.
    pub calls: u32,
    /// Whether none of the faults can be left out; false if the calls were used up before that was known.
    pub is_complete: bool,
    /// Which assertion fails, and why.
    pub reason: String,
    /// The scenario with those faults, and the length of the run that they need.
    pub scenario: String,
}

/// Why there is no hunt.
#[derive(Debug, Error)]
pub enum HuntError {
    /// Nothing can fail.
    #[error("the scenario has no critical assertion that could fail")]
    NothingToFail,
    /// It fails by itself.
    #[error("the scenario does not pass without further faults: {0}")]
    FailsAnyway(String),
    /// Nothing can strike.
    #[error("none of these faults can strike in this scenario")]
    NoTargets,
    /// A run cannot be built.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// The runs did not come to their ends.
    #[error(transparent)]
    Aborted(#[from] Aborted),
    /// The scenario with a drawn schedule is refused.
    #[error("the scenario with these faults is refused:\n{0}")]
    Refused(Box<Diagnostics>),
    /// A candidate contradicts itself.
    #[error(transparent)]
    Fault(#[from] longhaul_chaos::Error),
}

/// Hunts. `watch` sees how many schedules have been run.
///
/// # Errors
/// [`HuntError`]
pub fn hunt(loaded: &Loaded, how: &Hunt, watch: &dyn Watch) -> Result<Hunted, HuntError> {
    let prey = Prey {
        loaded,
        seed: loaded.scenario.seed,
        planted: how.planted,
    };
    let with_seed_of = |number: u32| Prey {
        seed: match how.vary_seed {
            true => prey.seed.wrapping_add(u64::from(number)),
            false => prey.seed,
        },
        ..prey
    };
    prey.check(watch)?;
    let candidates = candidates(&loaded.scenario, &how.classes);
    if candidates.is_empty() {
        return Err(HuntError::NoTargets);
    }
    let horizon = loaded.scenario.horizon;
    let swarm = Swarm {
        from: Span::ZERO,
        until: horizon,
        shortest: Span::from_ns((horizon.as_ns() / 1_000).max(1)),
        longest: horizon,
        most: how.most_strikes,
    };
    let numbers: Vec<u32> = (0..how.schedules)
        .map(|number| how.first.saturating_add(number))
        .collect();
    let (mut tried, mut fail_anyway) = (0, 0);
    for batch in numbers.chunks(BATCH) {
        let one = |number: &u32| {
            let streams = Streams::new(loaded.scenario.seeds().faults, *number);
            let schedule = swarm.draw(&candidates, &streams)?;
            let prey = with_seed_of(*number);
            if failed(&prey.run(&schedule, horizon, watch)?).is_none() {
                return Ok::<_, HuntError>(Tried::Passes);
            }
            let by_seed_alone = how.vary_seed && !prey.passes_alone(horizon, watch)?;
            Ok(if by_seed_alone {
                Tried::FailsAnyway
            } else {
                Tried::Fails(*number, schedule)
            })
        };
        let progress = Part {
            watch,
            done: u64::from(tried),
            all: u64::from(how.schedules),
        };
        let results = in_parallel(batch, how.threads, &progress, one)?;
        tried += batch.len() as u32;
        let anyway = results.iter().filter(|one| matches!(one, Tried::FailsAnyway));
        fail_anyway += anyway.count() as u32;
        // The lowest number, whichever thread was first.
        for one in results {
            if let Tried::Fails(number, schedule) = one {
                let found = with_seed_of(number).shrink(number, &schedule, how, watch)?;
                return Ok(Hunted {
                    tried,
                    fail_anyway,
                    found: Some(found),
                });
            }
        }
    }
    Ok(Hunted {
        tried,
        fail_anyway,
        found: None,
    })
}

/// What one schedule did.
enum Tried {
    Passes,
    Fails(u32, Schedule<Place>),
    FailsAnyway,
}

/// One batch of all.
struct Part<'a> {
    watch: &'a dyn Watch,
    done: u64,
    all: u64,
}

impl Watch for Part<'_> {
    fn progress(&self, done: u64, _all: u64) {
        self.watch.progress(self.done + done, self.all);
    }

    fn wants_end(&self) -> bool {
        self.watch.wants_end()
    }
}

/// The place of the first critical assertion that fails.
fn failed(record: &RunRecord) -> Option<usize> {
    let mut assertions = record.assertions.iter();
    assertions.position(|assertion| assertion.critical && assertion.verdict == Verdict::Fail)
}

/// The scenario that is hunted.
#[derive(Clone, Copy)]
struct Prey<'a> {
    loaded: &'a Loaded,
    /// Of its runs.
    seed: u64,
    planted: Planted,
}

impl Prey<'_> {
    /// Whether there is something to hunt for: an assertion that holds as long as nothing strikes.
    fn check(&self, watch: &dyn Watch) -> Result<(), HuntError> {
        let record = self.run(&Schedule::default(), self.loaded.scenario.horizon, watch)?;
        if !record.assertions.iter().any(|assertion| assertion.critical) {
            return Err(HuntError::NothingToFail);
        }
        let mut assertions = record.assertions.iter().filter(|assertion| assertion.critical);
        match assertions.find(|assertion| assertion.verdict != Verdict::Pass) {
            Some(bad) => Err(HuntError::FailsAnyway(bad.reason.clone())),
            None => Ok(()),
        }
    }

    /// Whether it passes as long as nothing strikes.
    fn passes_alone(&self, horizon: Span, watch: &dyn Watch) -> Result<bool, HuntError> {
        let record = self.run(&Schedule::default(), horizon, watch)?;
        Ok(record.verdict == Verdict::Pass)
    }

    /// The scenario with further faults and another end.
    fn with(&self, schedule: &Schedule<Place>, horizon: Span) -> Loaded {
        let mut loaded = self.loaded.clone();
        let scenario = &mut loaded.scenario;
        scenario.faults.extend(faults_of(&self.loaded.scenario, schedule));
        scenario.seed = self.seed;
        scenario.horizon = horizon;
        scenario.sample_interval = scenario.sample_interval.min(horizon);
        loaded
    }

    fn options(&self) -> RunOptions {
        RunOptions {
            planted: self.planted,
            ..RunOptions::default()
        }
    }

    fn run(
        &self,
        schedule: &Schedule<Place>,
        horizon: Span,
        watch: &dyn Watch,
    ) -> Result<RunRecord, HuntError> {
        let loaded = self.with(schedule, horizon);
        let simulation = Simulation::build(&loaded, self.options())?;
        Ok(to_its_end(simulation, watch)?)
    }

    fn shrink(
        &self,
        number: u32,
        schedule: &Schedule<Place>,
        how: &Hunt,
        watch: &dyn Watch,
    ) -> Result<Found, HuntError> {
        let horizon = self.loaded.scenario.horizon;
        let assertion = failed(&self.run(schedule, horizon, watch)?);
        let mut broken = None;
        // A run that is too short fails without any fault; that is not what is looked for.
        let mut whole: BTreeMap<Span, bool> = BTreeMap::from([(horizon, true)]);
        let oracle = |schedule: &Schedule<Place>, horizon: Span| {
            let mut ask = |schedule: &Schedule<Place>| match self.run(schedule, horizon, watch) {
                Ok(record) => Some(record),
                Err(error) => {
                    broken.get_or_insert(error);
                    None
                }
            };
            let passes_anyway = *whole.entry(horizon).or_insert_with(|| {
                let record = ask(&Schedule::default());
                record.is_some_and(|record| record.verdict == Verdict::Pass)
            });
            match ask(schedule) {
                Some(record) if passes_anyway && failed(&record) == assertion => {
                    longhaul_chaos::Verdict::Fails
                }
                Some(_) => longhaul_chaos::Verdict::Passes,
                None => longhaul_chaos::Verdict::Inconclusive,
            }
        };
        let shrunk = shrink(
            schedule,
            horizon,
            Impact::NORMAL_RATE,
            how.most_calls.max(1),
            oracle,
        );
        if let Some(error) = broken {
            return Err(error);
        }
        let shrunk = shrunk.expect("a run that has failed fails again");
        self.found(number, schedule.len(), &shrunk)
    }

    /// The scenario that fails, as a text that has been read and run again.
    fn found(&self, number: u32, faults_before: usize, shrunk: &Shrunk<Place>) -> Result<Found, HuntError> {
        let small = self.with(&shrunk.schedule, shrunk.horizon);
        let source = Source {
            name: "the scenario with its faults".to_owned(),
            text: show::canonical(&small.scenario),
            base_dir: PathBuf::clone(&self.loaded.base_dir),
        };
        let again = load(&source, &[], None).map_err(|mistakes| HuntError::Refused(Box::new(mistakes)))?;
        let simulation = Simulation::build(&again, self.options())?;
        let record = to_its_end(simulation, &Unwatched)?;
        let assertion = failed(&record).expect("the text of a scenario gives the same run");
        Ok(Found {
            number,
            faults_before,
            faults: shrunk.schedule.len(),
            calls: shrunk.calls,
            is_complete: shrunk.is_complete,
            reason: record.assertions[assertion].reason.clone(),
            scenario: source.text,
        })
    }
}
