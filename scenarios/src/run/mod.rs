//! Runs a resolved scenario in virtual time.
//!
//! | module | what it does |
//! | --- | --- |
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
}

/// A scenario under way.
pub struct Simulation {
    engine: Engine,
    scene: Scene,
    /// The scenario that is run: with plain faults.
    loaded: Loaded,
    faults: Option<String>,
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
        let mut engine = Engine::new();
        if let Some(window) = options.trace.clone() {
            engine.set_trace(Recorder::new(window));
        }
        let concrete = chaos::concrete(&loaded.scenario)?;
        let mut scene = build::build(&loaded.scenario, &concrete, &loaded.base_dir, &mut engine)?;
        scene.perturb_at = options.perturb_at;
        let faults = (!concrete.faults.is_empty()).then(|| show::faults_file(&concrete.faults));
        let mut loaded = loaded.clone();
        loaded.scenario = concrete.scenario;
        Ok(Simulation {
            engine,
            scene,
            loaded,
            faults,
            options,
            ended: None,
        })
    }

    /// Executes up to `events` events; false once the run has ended.
    pub fn advance(&mut self, events: u64) -> bool {
        if self.ended.is_some() {
            return false;
        }
        let budget_left = self
            .options
            .event_budget
            .map_or(u64::MAX, |budget| budget.saturating_sub(self.engine.executed()));
        let until = Instant::ZERO.saturating_add(self.loaded.scenario.horizon);
        let budget = Budget {
            until,
            events: events.min(budget_left),
        };
        self.ended = match self.engine.run(&mut self.scene, budget) {
            // A link that stays down can keep a connection from closing until the horizon.
            Stopped::Drained | Stopped::Until if self.scene.workloads.outstanding() == 0 => Some(Ended::Done),
            // Nothing will ever happen again, but something is not done: it would wait for the horizon.
            Stopped::Drained | Stopped::Until => Some(Ended::Horizon),
            Stopped::Events if events >= budget_left => Some(Ended::EventBudget),
            Stopped::Events => None,
        };
        self.ended.is_none()
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
