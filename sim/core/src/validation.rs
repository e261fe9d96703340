//! What a validation leaves: a table of measured transfers beside the same transfers simulated.
//!
//! Times are integer nanoseconds. Errors and shares are plain fractions: 0.03 is 3 %. A figure that does not
//! exist (nothing simulated, nothing finished) is `None`, never zero.

use serde::{Deserialize, Serialize};

use crate::record::{Fidelity, Verdict};

/// Version of these records; a reader refuses a newer one.
pub const VALIDATION_FORMAT: u32 = 1;

/// A whole validation.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct ValidationRecord {
    /// [`VALIDATION_FORMAT`].
    pub format: u32,
    /// Version of the program.
    pub tool_version: String,
    /// [`crate::MODEL_VERSION`].
    pub model_version: u32,
    /// Name of the table.
    pub table: String,
    /// BLAKE3 of the table's bytes, hexadecimal.
    pub table_blake3: String,
    /// What was selected from the table, empty for all of it.
    pub filter: String,
    /// How the network was simulated.
    pub fidelity: Fidelity,
    /// Simulated runs of each configuration.
    pub seeds: u32,
    /// Time that the measuring hosts themselves add to each way.
    pub host_delay_ns: u64,
    /// Where that figure comes from.
    pub host_delay_source: HostDelaySource,
    /// Time that each call of the sending application takes.
    pub call_time_ns: u64,
    /// In the order of the table.
    pub configurations: Vec<ConfigurationRecord>,
    /// All configurations, then classes of them.
    pub groups: Vec<GroupRecord>,
    /// What was declared, and whether it holds.
    pub tolerances: Vec<ToleranceRecord>,
    /// Fails if any tolerance is missed; inconclusive if there was none to judge.
    pub verdict: Verdict,
}

/// Where the delay of the measuring hosts comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum HostDelaySource {
    /// The user gave it.
    Given,
    /// Half of what the handshakes of this many loss-free, jitter-free configurations of one stream exceed round
    /// trip and serialisation by, at the median.
    Handshakes(u32),
    /// The table tells nothing about it, so it is zero.
    Unknown,
}

/// One configuration: what was measured and what was simulated.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct ConfigurationRecord {
    /// Its name in the table.
    pub name: String,
    /// Its path and its transfer.
    pub parameters: ParametersRecord,
    /// Seed of the first simulated run; the next ones count up from there and wrap around.
    pub first_seed: u64,
    /// The measured completion times.
    pub measured: DistributionRecord,
    /// How far the measured median would have moved in another set of as many measurements: the median over
    /// resamples of its relative distance. Below this no error means anything.
    pub measured_noise: f64,
    /// The simulated completion times; `None` if the simulator does not model the controller.
    pub simulated: Option<DistributionRecord>,
    /// The same figure as `measured_noise` for the simulated median.
    pub simulated_noise: Option<f64>,
    /// Simulated over measured median, minus one.
    pub error: Option<f64>,
    /// Simulated over measured first quartile, minus one.
    pub first_quartile_error: Option<f64>,
    /// Simulated over measured third quartile, minus one.
    pub third_quartile_error: Option<f64>,
    /// Whether chance plays a part: loss or jitter.
    pub random: bool,
    /// Whether the measured median lies between 90 % of the first and 110 % of the third simulated quartile.
    pub inside: Option<bool>,
    /// The same with the range widened by a twentieth of its own width at either end.
    pub inside_narrow: Option<bool>,
}

/// Path and transfer of a configuration.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ParametersRecord {
    /// Round trip, both ways' propagation.
    pub rtt_ns: u64,
    /// Rate of the way of the data.
    pub rate_bits_per_s: u64,
    /// Mean share of frames lost, in parts of 10^12.
    pub loss_parts: u64,
    /// `none`, `iid` or `gemodel`.
    pub loss_model: String,
    /// Mean burst of losses in frames, for `gemodel`.
    pub loss_burst: Option<u32>,
    /// Standard deviation of the jitter.
    pub jitter_ns: u64,
    /// Congestion control.
    pub controller: String,
    /// Connections.
    pub streams: u32,
    /// Bytes over all of them.
    pub bytes: u64,
    /// Room in packets: netem's `limit` on the sender's device, or a router's queue.
    pub room_packets: u32,
    /// Whether the room is netem's `limit`.
    pub netem: bool,
    /// `default`, `big`, or the maximum of the socket buffers in bytes.
    pub buffers: String,
}

/// A set of completion times. Runs that did not finish stand after all others; a quantile among them is `None`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct DistributionRecord {
    /// Runs, finished or not.
    pub runs: u32,
    /// Of these, those that did not finish.
    pub unfinished: u32,
    /// Smallest.
    pub min_ns: Option<u64>,
    /// First quartile.
    pub first_quartile_ns: Option<u64>,
    /// Median.
    pub median_ns: Option<u64>,
    /// Third quartile.
    pub third_quartile_ns: Option<u64>,
    /// Largest.
    pub max_ns: Option<u64>,
}

/// A class of configurations.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct GroupRecord {
    /// What the classes are made by: `all`, `controller`, `loss`, …
    pub by: String,
    /// The class, such as `≤ 0.1 %`.
    pub class: String,
    /// Configurations that were simulated.
    pub configurations: u32,
    /// Configurations that the simulator does not model.
    pub not_modelled: u32,
    /// Median of the absolute errors.
    pub median_error: Option<f64>,
    /// 90th percentile of the absolute errors.
    pub p90_error: Option<f64>,
    /// The error of the largest absolute value, with its sign.
    pub worst_error: Option<f64>,
    /// Median absolute error of the first quartiles, over configurations in which chance plays a part.
    pub first_quartile_error: Option<f64>,
    /// Median absolute error of the third quartiles, likewise.
    pub third_quartile_error: Option<f64>,
    /// Configurations in which chance plays a part.
    pub random: u32,
    /// Of these, those with [`ConfigurationRecord::inside`].
    pub inside: u32,
    /// Of these, those with [`ConfigurationRecord::inside_narrow`].
    pub inside_narrow: u32,
    /// Median, over configurations in which chance plays a part, of the measured medians' own noise.
    pub noise_median: Option<f64>,
    /// 90th percentile of the same.
    pub noise_p90: Option<f64>,
}

/// A declared tolerance and what became of it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct ToleranceRecord {
    /// Its name on the command line.
    pub name: String,
    /// What it looks at, in words.
    pub what: String,
    /// Configurations that it looked at.
    pub configurations: u32,
    /// The figure; `None` if a configuration that decides it did not finish.
    pub value: Option<f64>,
    /// What the figure must not exceed, or must reach.
    pub bound: f64,
    /// Whether the bound is the least allowed value instead of the largest.
    pub at_least: bool,
    /// Whether it holds.
    pub verdict: Verdict,
}
