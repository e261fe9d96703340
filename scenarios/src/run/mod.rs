//! Runs a resolved scenario in virtual time.
//!
//! | module | what it does |
//! | --- | --- |
//! | `aborts` | what ends all faults |
//! | `build` | turns the scenario into a network, machines and starts |
//! | `cast` | who takes part: every machine with its number, for the replay too |
//! | `crossings` | connections that cross overlays |
//! | `datagrams` | streams of datagrams |
//! | `encoding` | what became of pages, for the records of migrations and replications |
//! | `endpoint` | the machines behind one type |
//! | `machines` | makes the machines, for the replay too |
//! | `links` | the links of the network, with the files that they name |
//! | `faults` | what fails when, and routes that follow |
//! | `guest` | the memory of a VM, generated or recorded |
//! | `transit` | the network, at packet or at flow fidelity |
//! | `scene` | the simulated world: events in, network and machines hand over to each other |
//! | `workload` | how far each migration, transfer, replication and federation has got, for the replay too |
//! | `processes` | machines that stand still, go on, end, or are started again |
//! | `replications` | the machines of continuous replications, and their records |
//! | `federations` | the machines of federations, and their records |
//! | `overlays` | the ends of paths, what crosses them, and what edges decide |
//! | `demands` | traffic of many, how it is spread, and what of it arrives |
//! | `reservations` | what is reserved when, and the traffic on it |
//! | `sample` | the time series |
//! | `services` | services and their clients |
//! | `summary` | from the world at the end to the records |
//! | `assertions` | from the records to verdicts |

mod aborts;
pub mod assertions;
mod build;
pub(crate) mod cast;
mod crossings;
mod datagrams;
mod demands;
mod encoding;
pub(crate) mod endpoint;
mod faults;
pub(crate) mod federations;
mod guest;
pub(crate) mod links;
pub(crate) mod machines;
pub(crate) mod overlays;
mod processes;
pub(crate) mod replications;
mod reservations;
mod route_control;
mod sample;
mod scene;
pub(crate) mod services;
mod stopwatch;
pub mod summary;
mod transit;
pub(crate) mod workload;

use std::ops::Range;

use longhaul_core::digest::Checkpoint;
use longhaul_core::record::{Ended, EventRecord, RunRecord, SampleRecord};
use longhaul_core::schedule::Schedule;
use longhaul_core::time::{Instant, Span};
use longhaul_engine::trace::Recorder;
use longhaul_engine::{Budget, Engine, Stopped};

pub use build::BuildError;
pub use longhaul_engine::trace::TraceRecord;
pub use longhaul_engine::verify;
use scene::Scene;

use crate::{Loaded, chaos, show};

/// How to run, beside what the scenario says.
#[derive(Clone, Debug, Default)]
pub struct RunOptions {
    /// Most events to execute.
    pub event_budget: Option<u64>,
    /// Keep the engine events with these indices (from 0), with their causes.
    pub trace: Option<Range<u64>>,
    /// Perturb the digest at this event: the canary that proves that the determinism check can fail.
    pub perturb_at: Option<u64>,
    /// The command that reproduces the run, for the record.
    pub reproduce: String,
    /// Bugs on purpose, for tests that must find them: no scenario and no command leads here.
    #[doc(hidden)]
    pub planted: Planted,
}

/// Bugs on purpose.
#[doc(hidden)]
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Planted {
    /// In the policies of clients.
    pub policies: longhaul_resilience::planted::Planted,
    /// In the clusters of federations.
    pub clusters: longhaul_federation::planted::Planted,
}

/// A scenario under way.
pub struct Simulation {
    engine: Engine,
    scene: Scene,
    /// The scenario as it was read.
    declared: Loaded,
    /// The scenario that is run: with plain faults.
    loaded: Loaded,
    faults: Option<String>,
    /// When all faults end, if they were aborted.
    faults_end: Option<Span>,
    options: RunOptions,
    ended: Option<Ended>,
}

/// Everything that a run leaves.
#[derive(Clone, Debug)]
pub struct RunOutput {
    /// The summary.
    pub record: RunRecord,
    /// What happened, in order.
    pub events: Vec<EventRecord>,
    /// The time series.
    pub series: Vec<SampleRecord>,
    /// Digests along the way; the last one is the end of the run.
    pub checkpoints: Vec<Checkpoint>,
    /// The traced engine events.
    pub trace: Vec<TraceRecord>,
    /// The faults as they were drawn, as a list that can take the place of the scenario's own; none without faults of
    /// the network.
    pub faults: Option<String>,
}

impl Simulation {
    /// Builds the world of a scenario. Nothing has happened yet.
    ///
    /// # Errors
    /// A memory image that cannot be read or used.
    pub fn build(loaded: &Loaded, options: RunOptions) -> Result<Simulation, BuildError> {
        Simulation::with(loaded, options, None)
    }

    /// With faults that all end at a time.
    fn with(
        loaded: &Loaded,
        options: RunOptions,
        faults_end: Option<Span>,
    ) -> Result<Simulation, BuildError> {
        let mut engine = Engine::new();
        if let Some(window) = options.trace.clone() {
            engine.set_trace(Recorder::new(window));
        }
        let concrete = chaos::concrete_until(&loaded.scenario, faults_end)?;
        let mut scene = build::build(
            &loaded.scenario,
            &concrete,
            &loaded.base_dir,
            options.planted,
            &mut engine,
        )?;
        scene.perturb_at = options.perturb_at;
        let faults = (!concrete.faults.is_empty()).then(|| show::faults_file(&concrete.faults));
        let declared = loaded.clone();
        let mut loaded = loaded.clone();
        loaded.scenario = concrete.scenario;
        Ok(Simulation {
            engine,
            scene,
            declared,
            loaded,
            faults,
            faults_end,
            options,
            ended: None,
        })
    }

    /// Executes up to `events` events; false once the run has ended. When its faults are aborted it begins again, with
    /// faults that end there: up to that moment it is the same run.
    ///
    /// # Panics
    /// If it must begin again and a file that it was built from is gone.
    pub fn advance(&mut self, events: u64) -> bool {
        let mut events = events;
        while self.ended.is_none() {
            let executed = self.engine.executed();
            let budget_left = self
                .options
                .event_budget
                .map_or(u64::MAX, |budget| budget.saturating_sub(executed));
            let horizon = Instant::ZERO.saturating_add(self.loaded.scenario.horizon);
            let until = self.next_stop().min(horizon);
            let budget = Budget {
                until,
                events: events.min(budget_left),
            };
            let stopped = self.engine.run(&mut self.scene, budget);
            if let Some((at, _)) = self.scene.aborts.abort()
                && self.faults_end.is_none()
            {
                // What was measured at that moment was measured before they end.
                let end = at
                    .saturating_since(Instant::ZERO)
                    .saturating_add(Span::from_ns(1));
                *self = Simulation::with(&self.declared, self.options.clone(), Some(end))
                    .unwrap_or_else(|error| panic!("what was built cannot be built again: {error}"));
                return true;
            }
            match stopped {
                Stopped::Until if until < horizon => {
                    events = events.saturating_sub(self.engine.executed() - executed);
                }
                // A link that stays down can keep a connection from closing until the horizon.
                Stopped::Drained | Stopped::Until if self.scene.workloads.outstanding() == 0 => {
                    self.ended = Some(Ended::Done);
                }
                // Nothing will ever happen again, but something is not done: it would wait for the horizon.
                Stopped::Drained | Stopped::Until => self.ended = Some(Ended::Horizon),
                Stopped::Events if events >= budget_left => self.ended = Some(Ended::EventBudget),
                Stopped::Events => return true,
            }
        }
        false
    }

    /// Where to look whether the faults must end: at the next sample.
    fn next_stop(&self) -> Instant {
        if self.faults_end.is_some() || !self.scene.aborts.is_watching() {
            return Instant::MAX;
        }
        let interval = self.loaded.scenario.sample_interval.as_ns();
        let samples = self.engine.now().as_ns() / interval + 1;
        Instant::from_ns(samples.saturating_mul(interval))
    }

    /// Virtual time.
    pub fn now(&self) -> Instant {
        self.engine.now()
    }

    /// Events executed.
    pub fn events(&self) -> u64 {
        self.engine.executed()
    }

    /// When the run ends at the latest.
    pub fn horizon(&self) -> Span {
        self.loaded.scenario.horizon
    }

    /// Ends the run and draws up what it leaves. `interrupted` says that the user cut it short.
    pub fn finish(mut self, interrupted: bool) -> RunOutput {
        self.scene.network.catch_up(self.engine.now());
        self.scene.network.check();
        if let Some(end) = self
            .faults_end
            .filter(|end| self.engine.now() >= Instant::ZERO + *end)
        {
            let again = self.scene.aborts.abort().map(|(at, _)| *at + Span::from_ns(1));
            assert_eq!(
                again,
                Some(Instant::ZERO + end),
                "a run is the same up to where its faults end"
            );
        }
        let ended = match (self.ended, interrupted) {
            (Some(ended), _) => ended,
            (None, true) => Ended::Interrupted,
            (None, false) => Ended::EventBudget,
        };
        let record = summary::summarise(&self.loaded, &self.options, &self.engine, &mut self.scene, ended);
        let trace = self
            .engine
            .take_trace::<Recorder>()
            .map_or_else(Vec::new, |sink| sink.records().to_vec());
        // The end of the run closes the list, so that two runs can be compared to their last event.
        let mut checkpoints = self.engine.checkpoints().to_vec();
        if checkpoints.last() != Some(&self.engine.position()) {
            checkpoints.push(self.engine.position());
        }
        RunOutput {
            record,
            events: self.scene.events,
            series: self.scene.sampler.into_samples(),
            checkpoints,
            trace,
            faults: self.faults,
        }
    }
}
