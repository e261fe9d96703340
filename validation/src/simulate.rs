//! Runs the scenarios of many configurations and seeds in parallel.

use longhaul_core::time::Span;
use longhaul_scenarios::diagnose::Diagnostics;
use longhaul_scenarios::load;
use longhaul_scenarios::parallel::{self, Aborted};
pub use longhaul_scenarios::parallel::{Unwatched, Watch};
use longhaul_scenarios::run::{RunOptions, Simulation};
use longhaul_scenarios::source::Source;
use thiserror::Error;

use crate::table::Configuration;
use crate::testbed::{self, Testbed};

/// The tick of the measuring kernel's clock (`HZ` 250), which TCP's timers and CUBIC's curve move by.
const TICK: Span = Span::from_ms(4);
/// How far a run starts after the last one within the tick: the golden section of it, which spreads any number of
/// runs evenly.
const NEXT_PHASE: Span = Span::from_ns(2_472_136);

/// Why there are no results.
#[derive(Debug, Error)]
pub enum SimulateError {
    /// The scenario language refuses a configuration.
    #[error("line {line}: configuration {configuration} makes no scenario:\n{reason}")]
    Refused {
        /// The configuration.
        configuration: String,
        /// Line of its first row.
        line: u64,
        /// What the language says.
        reason: Box<Diagnostics>,
    },
    /// The runs did not come to their ends.
    #[error(transparent)]
    Aborted(#[from] Aborted),
}

/// One run of one configuration.
struct Job<'a> {
    text: &'a str,
    configuration: &'a Configuration,
    seed: u64,
    start: Span,
}

/// The completion times of every configuration, in the order of the list and of the seeds; `None` instead of
/// the times if the simulator does not model the configuration, instead of one time if that run did not finish.
///
/// # Errors
/// See [`SimulateError`].
pub fn simulate(
    configurations: &[&Configuration],
    testbed: &Testbed,
    seeds: u32,
    threads: usize,
    watch: &dyn Watch,
) -> Result<Vec<Option<Vec<Option<Span>>>>, SimulateError> {
    let texts: Vec<Option<String>> = configurations
        .iter()
        .map(|configuration| testbed::scenario(configuration, testbed))
        .collect();
    let mut jobs = Vec::new();
    for (configuration, text) in configurations.iter().zip(&texts) {
        let Some(text) = text else { continue };
        let first = testbed::first_seed(configuration);
        jobs.extend((0..seeds).map(|run| Job {
            text,
            configuration,
            seed: first.wrapping_add(u64::from(run)),
            start: start_of(run),
        }));
    }
    let times = parallel::in_parallel(&jobs, threads, watch, |job| run(job, watch))?;
    let mut times = times.into_iter();
    let results = texts.iter().map(|text| {
        text.as_ref()
            .map(|_| times.by_ref().take(seeds as usize).collect())
    });
    Ok(results.collect())
}

/// When a run starts. A measured transfer starts anywhere within the tick of its kernel's clock, so that without
/// any loss, too, it does not always take the same time.
fn start_of(run: u32) -> Span {
    Span::from_ns(NEXT_PHASE.as_ns() * u64::from(run) % TICK.as_ns())
}

/// Runs one scenario to its end; `None` if the transfer did not complete.
fn run(job: &Job, watch: &dyn Watch) -> Result<Option<Span>, SimulateError> {
    let source = Source {
        name: format!("configuration {}", job.configuration.name),
        text: job.text.to_owned(),
        base_dir: std::path::PathBuf::new(),
    };
    let start = format!("transfers[bulk].at={}", job.start);
    let loaded = load(&source, &[start], Some(job.seed)).map_err(|reason| SimulateError::Refused {
        configuration: job.configuration.name.clone(),
        line: job.configuration.line,
        reason: Box::new(reason),
    })?;
    let simulation = Simulation::build(&loaded, RunOptions::default())
        .expect("a checked scenario without memory images can be built");
    let record = parallel::to_its_end(simulation, watch)?;
    Ok(record.transfers[0].completion_ns.map(Span::from_ns))
}
