//! What a replay leaves behind: the same scenario in the simulator and on a real kernel, side by side.
//!
//! Values are exact integers in the unit of their metric: nanoseconds, bytes, bit/s, parts of 10^12, or millionths
//! of a plain number. What was not measured is `None`, never zero.

use serde::{Deserialize, Serialize};

use crate::doctor::Backend;
use crate::record::{Ended, Fidelity, InputRecord, Verdict};

/// Version of these records; a reader refuses a newer one.
pub const REPLAY_FORMAT: u32 = 1;

/// A whole replay: the content of `replay.json`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ReplayRecord {
    /// [`REPLAY_FORMAT`].
    pub format: u32,
    /// Version of the program.
    pub tool_version: String,
    /// [`crate::MODEL_VERSION`].
    pub model_version: u32,
    /// Scenario name.
    pub scenario: String,
    /// What the scenario asks.
    pub question: String,
    /// BLAKE3 of the canonical resolved scenario, hexadecimal.
    pub scenario_hash: String,
    /// Files that the scenario names.
    pub inputs: Vec<InputRecord>,
    /// Seed of the first simulation and of the first replication; the following ones have the following seeds.
    pub seed: u64,
    /// How the network was simulated.
    pub fidelity: Fidelity,
    /// Where the replay ran; `None` if measurements of an earlier one were judged again.
    pub backend: Option<Backend>,
    /// `uname -sr` there.
    pub kernel: String,
    /// How each simulation ended.
    pub simulations: Vec<Ended>,
    /// How each replication ended.
    pub replications: Vec<Ended>,
    /// How the two were compared.
    pub method: String,
    /// What was compared.
    pub comparisons: Vec<ComparisonRecord>,
    /// The scenario's own assertions, judged on each replication. They do not decide the verdict.
    pub assertions: Vec<ReplayedAssertion>,
    /// Whether the replay itself can be trusted.
    pub health: Vec<HealthCheck>,
    /// What was to change during the run, and when it did.
    pub timeline: Vec<StepRecord>,
    /// The verdict over all of it.
    pub verdict: ReplayVerdict,
    /// Why, in a sentence.
    pub reason: String,
    /// What a reader should know before trusting the numbers.
    pub warnings: Vec<String>,
    /// The command that reproduces the replay.
    pub reproduce: String,
}

/// The verdict over a replay.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum ReplayVerdict {
    /// Both worlds agree within every margin.
    Pass,
    /// A margin is missed.
    Fail,
    /// No margin is missed, but something could not be compared.
    Inconclusive,
    /// The replay is not trustworthy, whatever its numbers say.
    Invalid,
}

/// The verdict over one metric.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum ComparisonVerdict {
    /// Shown to be equal within the margin.
    Pass,
    /// Not shown to be equal, or shown to be different.
    Fail,
    /// There is nothing to compare, for the reason given.
    NotComparable,
}

/// What the values of a metric count.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Quantity {
    /// Nanoseconds.
    Time,
    /// Bytes.
    Size,
    /// Bit/s.
    Rate,
    /// Parts of 10^12.
    Share,
    /// Millionths of a plain number.
    Number,
}

/// How far apart both worlds may be.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum MarginRecord {
    /// In millionths of the replayed median.
    Relative(u64),
    /// In the unit of the metric.
    Absolute(u64),
}

/// One metric of one migration, transfer or link in both worlds.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ComparisonRecord {
    /// Metric.
    pub metric: String,
    /// The migration, transfer or link.
    pub entity: String,
    /// What its values count.
    pub quantity: Quantity,
    /// How far apart they may be.
    pub margin: MarginRecord,
    /// Whether the scenario declares the margin, or it is the default.
    pub declared: bool,
    /// What the simulator gave.
    pub simulated: SideRecord,
    /// What the kernel gave.
    pub replayed: SideRecord,
    /// How far the simulated median lies above the replayed one, in the unit of the margin.
    pub difference: Option<Estimate>,
    /// The verdict.
    pub verdict: ComparisonVerdict,
    /// Why, in a sentence.
    pub reason: String,
}

/// One world's values of a metric.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct SideRecord {
    /// One per run, in the order of the seeds; `None` where a run gave none.
    pub values: Vec<Option<u64>>,
    /// First quartile.
    pub first_quartile: Option<Estimate>,
    /// Median.
    pub median: Option<Estimate>,
    /// Third quartile.
    pub third_quartile: Option<Estimate>,
}

/// A number with its 90 % interval.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Estimate {
    /// The number.
    pub value: i64,
    /// Lower end of the interval.
    pub low: i64,
    /// Upper end.
    pub high: i64,
}

/// One of the scenario's assertions on the replayed runs.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ReplayedAssertion {
    /// Statistic, metric and scope: `Max MigrationDowntime`, `Min LinkLoss of fra->nyc`.
    pub what: String,
    /// `≤ 300 s` or `≥ 3.9`.
    pub bound: String,
    /// Whether a failure fails a simulated run.
    pub critical: bool,
    /// The verdict in each replication.
    pub verdicts: Vec<Verdict>,
    /// Why it is undecided in the first replication in which it is.
    pub undecided: Option<String>,
}

/// One check of the health gate.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct HealthCheck {
    /// In a word or two: `ceiling`.
    pub name: String,
    /// Whether it holds.
    pub passed: bool,
    /// What was found.
    pub measured: String,
    /// What is needed.
    pub needed: String,
    /// What to change if it does not hold.
    pub advice: Option<String>,
}

/// A step of the timeline, in every replication.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct StepRecord {
    /// In words: `a->b down`.
    pub what: String,
    /// When the scenario wants it, since the start.
    pub planned_ns: u64,
    /// When it began, by replication.
    pub begun_ns: Vec<u64>,
    /// When it was done, by replication.
    pub done_ns: Vec<u64>,
}

impl ReplayRecord {
    /// The checks of the health gate that do not hold.
    pub fn failed_checks(&self) -> impl Iterator<Item = &HealthCheck> {
        self.health.iter().filter(|check| !check.passed)
    }
}
