//! What a run leaves behind. Reports see only these records, so a table or chart can be redrawn without
//! simulating. Times are integer nanoseconds, sizes bytes, counts integers; nothing here depends on the
//! machine or the time of day, so equal runs leave equal bytes.

mod datagrams;
mod demand;
mod federation;
mod link;
mod migration;
pub mod outage;
mod overlay;
mod replication;
mod reservation;
mod route;
mod service;
mod transfer;

use serde::{Deserialize, Serialize};

pub use datagrams::*;
pub use demand::*;
pub use federation::*;
pub use link::*;
pub use migration::*;
pub use overlay::*;
pub use replication::*;
pub use reservation::*;
pub use route::*;
pub use service::*;
pub use transfer::*;

/// Version of the records; a reader refuses a newer one.
pub const RECORD_FORMAT: u32 = 6;

/// A whole run: the content of `summary.json`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct RunRecord {
    /// [`RECORD_FORMAT`].
    pub format: u32,
    /// Version of the program.
    pub tool_version: String,
    /// [`crate::MODEL_VERSION`].
    pub model_version: u32,
    /// Scenario name.
    pub scenario: String,
    /// What the scenario asks.
    pub question: String,
    /// The answer that its author expects.
    pub expect: String,
    /// BLAKE3 of the canonical resolved scenario, hexadecimal.
    pub scenario_hash: String,
    /// Files that the scenario names and the run has read.
    pub inputs: Vec<InputRecord>,
    /// Root seed.
    pub seed: u64,
    /// Root seeds of the sources of chance, if they are not all the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seeds: Option<SeedsRecord>,
    /// How the network was simulated.
    pub fidelity: Fidelity,
    /// Why so, if the scenario left it to the program.
    pub fidelity_reason: Option<String>,
    /// Why the run ended.
    pub ended: Ended,
    /// Why its faults ended early, if an abort condition ended them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aborted: Option<AbortRecord>,
    /// The verdict over all assertions.
    pub verdict: Verdict,
    /// Virtual time at the end.
    pub simulated_ns: u64,
    /// Events executed.
    pub events: u64,
    /// Digest of all events, 16 hexadecimal digits.
    pub digest: String,
    /// How much of the payload was real.
    pub payload: PayloadRecord,
    /// In the order of the scenario.
    pub migrations: Vec<MigrationRecord>,
    /// In the order of the scenario.
    pub transfers: Vec<TransferRecord>,
    /// In the order of the scenario.
    pub replications: Vec<ReplicationRecord>,
    /// In the order of the scenario.
    pub federations: Vec<FederationRecord>,
    /// In the order of the scenario.
    #[serde(default)]
    pub datagrams: Vec<DatagramRecord>,
    /// In the order of the scenario.
    #[serde(default)]
    pub reservations: Vec<ReservationRecord>,
    /// In the order of the scenario.
    #[serde(default)]
    pub demands: Vec<DemandRecord>,
    /// Pairs of regions whose routes a controller installs, by name.
    #[serde(default)]
    pub routes: Vec<RouteRecord>,
    /// In the order of the scenario.
    #[serde(default)]
    pub services: Vec<ServiceRecord>,
    /// In the order of the scenario.
    #[serde(default)]
    pub clients: Vec<ClientRecord>,
    /// In the order of the scenario.
    #[serde(default)]
    pub overlays: Vec<OverlayRecord>,
    /// In the order of the scenario.
    pub links: Vec<LinkRecord>,
    /// Frames lost in regions that had no route to where they were going; on no link.
    pub unrouted_packets: u64,
    /// Frames lost because a link does not carry packets of their length; on no link.
    #[serde(default)]
    pub oversized_packets: u64,
    /// In the order of the scenario.
    pub assertions: Vec<AssertionRecord>,
    /// What a reader should know before trusting the numbers.
    pub warnings: Vec<String>,
    /// The command that reproduces the run.
    pub reproduce: String,
}

/// Root seeds of the sources of chance (see [`crate::random::Source`]).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SeedsRecord {
    /// Of what is asked of the network.
    pub workload: u64,
    /// Of the network.
    pub network: u64,
    /// Of the faults.
    pub faults: u64,
}

/// A file that a run has read. The scenario's hash covers its name; this covers its content.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct InputRecord {
    /// Its name in the scenario.
    pub file: String,
    /// Its size.
    pub bytes: u64,
    /// BLAKE3 of its content, hexadecimal.
    pub blake3: String,
}

/// How the network was simulated.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Fidelity {
    /// Every segment crosses every hop.
    Packet,
    /// TCP by round trips, links by max-min fair shares.
    Flow,
}

/// Why a run ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Ended {
    /// All migrations and transfers are done, all replications failed over, and all federations in step.
    Done,
    /// The scenario's horizon came first.
    Horizon,
    /// The event budget came first.
    EventBudget,
    /// The user interrupted it.
    Interrupted,
}

/// What went so far beyond its bound that all faults ended.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct AbortRecord {
    /// When; nothing of a fault is left a nanosecond later.
    pub at_ns: u64,
    /// Since when it had been beyond the bound.
    pub since_ns: u64,
    /// Metric.
    pub metric: String,
    /// Of what: the name of a client, a service or a replication.
    pub of: String,
    /// The last value.
    pub value: String,
    /// The bound, as `below 50 %`.
    pub bound: String,
}

/// Verdict of an assertion or of a run. Missing data is never a pass.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Verdict {
    /// Holds.
    Pass,
    /// Does not hold.
    Fail,
    /// Too little data to tell.
    Inconclusive,
}

/// Real and synthetic payload of all migrations and replications.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct PayloadRecord {
    /// Declared share of the pages that is real, in parts of 10^12.
    pub declared_share_parts: u64,
    /// Memory bytes that were generated, encoded, carried and decoded, every copy counted.
    pub real_bytes: u64,
    /// Memory bytes that were represented by a length.
    pub synthetic_bytes: u64,
    /// Pages compared with the source's memory at the end, or at the snapshot of the newest epoch, all of them equal: a
    /// destination refuses others, and its migration fails; a replica does not use them.
    pub verified_pages: u64,
}

/// How far something got.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Progress {
    /// Its start never came.
    NotStarted,
    /// Under way at the end of the run.
    Unfinished,
    /// Done.
    Completed,
    /// Given up, and why.
    Failed(String),
}

/// The multi-stream transport and the TCP connections under it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct TransportRecord {
    /// TCP connections.
    pub streams: u32,
    /// Chunks sent.
    pub chunks: u64,
    /// Chunks sent again after a stream died.
    pub requeued_chunks: u64,
    /// TCP segments sent by the source.
    pub segments: u64,
    /// Of these, retransmissions.
    pub retransmits: u64,
}

/// An assertion and what became of it. Values carry their unit in text and their exact number.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct AssertionRecord {
    /// Metric.
    pub metric: String,
    /// Statistic.
    pub statistic: String,
    /// `all` or a name.
    pub scope: String,
    /// `≤ 300 s` or `≥ 3.9`.
    pub bound: String,
    /// Whether a failure fails the run.
    pub critical: bool,
    /// Samples that went into the value.
    pub samples: u64,
    /// The value with its unit, if there is one.
    pub value: Option<String>,
    /// The value as an integer: ns, bytes, bit/s, parts of 10^12, or millionths of a plain number.
    pub value_exact: Option<u64>,
    /// The verdict.
    pub verdict: Verdict,
    /// Why, in a sentence.
    pub reason: String,
}

/// One row of `events.csv`: something worth telling, and the engine event that caused it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct EventRecord {
    /// When.
    pub at_ns: u64,
    /// Migration, transfer, replication, `federation/region` of a cluster, or link; `routing` for all routers.
    pub entity: String,
    /// What happened, in one word.
    pub kind: String,
    /// Details as JSON.
    pub detail: String,
    /// Index of the engine event in which it happened, as in the trace.
    pub during_event: u64,
}

/// One row of `series.csv`: a sample of a quantity at a time.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SampleRecord {
    /// When.
    pub at_ns: u64,
    /// Migration, transfer, replication, federation, `federation/region` of a cluster, or link.
    pub entity: String,
    /// What, with its unit at the end of the name.
    pub metric: String,
    /// The value.
    pub value: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_survives_its_json_form_exactly() {
        let link = LinkRecord {
            name: "a->b".to_owned(),
            rate_bits_per_s: Some(u64::MAX),
            delay_ns: u64::MAX,
            delivered_bytes: u64::MAX,
            busy_ns: u64::MAX,
            active_ns: u64::MAX,
            packets: Some(LinkPackets {
                offered_packets: u64::MAX,
                ..LinkPackets::default()
            }),
        };
        let text = serde_json::to_string(&link).unwrap();
        assert_eq!(serde_json::from_str::<LinkRecord>(&text).unwrap(), link);
        assert!(text.contains("18446744073709551615"));
    }
}
