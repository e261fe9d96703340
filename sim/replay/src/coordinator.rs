//! Runs the replications of a replay: lays the ground, starts a process per region, keeps the timeline, and collects
//! what all of them measured.
//!
//! | module | what it holds |
//! | --- | --- |
//! | `nodes` | the processes, and the lines between them and the coordinator |
//! | `run` | one replication |
//! | `ceiling` | what the unshaped ground carries |
//! | `world` | a plan on this kernel, as a ground |
//! | [`loopback`] | a ground without privilege, for tests |

mod ceiling;
pub mod loopback;
mod nodes;
mod run;
mod world;

use std::error::Error;
use std::net::Ipv4Addr;
use std::num::NonZeroU64;
use std::ops::Range;
use std::path::Path;
use std::process::Command;

use longhaul_core::machine::PeerId;
use longhaul_core::time::{Instant, Span};
use serde_json::Value;

use crate::driver::SocketOptions;
use crate::outcome::{LinkCounters, OUTCOME_FORMAT, Outcome};
use crate::plan::Signal;

/// What a ground cannot do.
pub type GroundError = Box<dyn Error + Send + Sync>;

/// What a replication runs on: regions with addresses, and links between them. Removed when it is dropped.
pub trait Ground {
    /// Address of each region.
    fn addresses(&self) -> Vec<Ipv4Addr>;

    /// Gives the links their laws. Before that nothing slows them down.
    ///
    /// # Errors
    /// What the kernel refuses.
    fn shape(&mut self) -> Result<(), GroundError>;

    /// A command that runs `program` in a region, as the process that is started and not as a child of it.
    fn command_in(&self, region: usize, program: &Path) -> Command;

    /// What changes during a replication, in the order of time.
    fn timeline(&self) -> Vec<TimelineStep>;

    /// Carries out a step of the timeline that is no signal.
    ///
    /// # Errors
    /// What the kernel refuses.
    fn step(&mut self, index: usize) -> Result<(), GroundError>;

    /// What the links have counted.
    ///
    /// # Errors
    /// What cannot be read.
    fn counters(&self) -> Result<Vec<LinkCounters>, GroundError>;

    /// Devices on which an offload is on all the same.
    ///
    /// # Errors
    /// What cannot be read.
    fn offloads_on(&self) -> Result<Vec<String>, GroundError>;

    /// Takes everything away.
    ///
    /// # Errors
    /// What could not be taken away.
    fn remove(self: Box<Self>) -> Result<(), GroundError>;
}

/// A change at a time.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TimelineStep {
    /// Since the start.
    pub at: Span,
    /// In words: `a->b down`.
    pub what: String,
    /// To the process of this region, if it is a signal.
    pub signal: Option<(usize, Signal)>,
}

/// Where a machine runs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Place {
    /// In this region.
    pub region: usize,
    /// On this port, TCP and UDP.
    pub port: u16,
    /// With these options for its connections.
    pub options: SocketOptions,
}

/// What an observer wants.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Request {
    /// That a machine starts.
    Start {
        /// When.
        at: Instant,
        /// Which.
        peer: PeerId,
    },
    /// That a machine says at once what it has to say; see [`crate::node::SUMMARY_EVENT`].
    Summary {
        /// Which.
        peer: PeerId,
    },
}

/// Follows a replication.
pub trait Observer {
    /// What starts by itself, and when.
    fn starts(&self) -> Vec<(Instant, PeerId)>;

    /// Takes in what a machine reports.
    fn observe(&mut self, at: Instant, peer: PeerId, event: &Value) -> Vec<Request>;

    /// The process of a region was killed: its machines will report nothing more.
    fn killed(&mut self, region: usize);

    /// How much is not over.
    fn outstanding(&self) -> usize;
}

/// What is replayed, as far as the coordinator must know it.
pub trait Work {
    /// Where each machine runs, by [`PeerId`].
    fn places(&self) -> Vec<Place>;

    /// From which region to which there is something to carry.
    fn paths(&self) -> Vec<(usize, usize)>;

    /// What the nodes of a replication build their machines from.
    fn machines(&self, replication: u32) -> Value;

    /// Follows a replication.
    fn observer(&self) -> Box<dyn Observer>;
}

/// How to replay.
#[derive(Clone, Debug)]
pub struct Job<'a> {
    /// The program that serves as a node,
    pub program: &'a Path,
    /// and the arguments that make it one.
    pub arguments: Vec<String>,
    /// Numbers of the replications.
    pub replications: Range<u32>,
    /// When a replication ends at the latest.
    pub horizon: Span,
    /// Whether to record tapes.
    pub tapes: bool,
}

/// Why there is no outcome.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The ground.
    #[error("{0}")]
    Ground(GroundError),
    /// A process of a region.
    #[error("replication {replication}: the process of region {region} {what}")]
    Node {
        /// Which replication.
        replication: u32,
        /// Index of the region.
        region: usize,
        /// What it did, with its own words.
        what: String,
    },
    /// Something of this process.
    #[error("replication {replication}: {error}")]
    Here {
        /// Which replication.
        replication: u32,
        /// What the system says.
        error: std::io::Error,
    },
    /// It was asked to stop.
    #[error("interrupted")]
    Stopped,
}

/// Replays. `lay` lays the ground for each replication anew, so that none inherits anything; `stop` is asked several
/// times a second. Whatever the result, no process and no ground is left.
///
/// # Errors
/// [`ReplayError`]
pub fn replay(
    job: &Job<'_>,
    lay: &mut dyn FnMut() -> Result<Box<dyn Ground>, GroundError>,
    work: &dyn Work,
    stop: &dyn Fn() -> bool,
) -> Result<Outcome, ReplayError> {
    // The timeline is kept by waiting, which the kernel may stretch by 50 us otherwise. A kernel that cannot do
    // better shows in the timeline.
    let _ = rustix::thread::set_current_timer_slack(NonZeroU64::new(1));
    let mut replications = Vec::new();
    for number in job.replications.clone() {
        if stop() {
            return Err(ReplayError::Stopped);
        }
        let mut ground = lay().map_err(ReplayError::Ground)?;
        let ceiling = if replications.is_empty() {
            ceiling::measure(job, &*ground, work, number, stop)?
        } else {
            None
        };
        ground.shape().map_err(ReplayError::Ground)?;
        let mut replication = run::replicate(job, &mut *ground, work, number, stop)?;
        ground.remove().map_err(ReplayError::Ground)?;
        replication.health.ceiling_bits_per_s = ceiling;
        replications.push(replication);
    }
    let system = rustix::system::uname();
    Ok(Outcome {
        format: OUTCOME_FORMAT,
        kernel: format!(
            "{} {}",
            system.sysname().to_string_lossy(),
            system.release().to_string_lossy()
        ),
        replications,
    })
}
