//! Records of federations of clusters.

use serde::{Deserialize, Serialize};

use super::Progress;

/// Clusters in several regions that keep their state in step and have a log in common.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct FederationRecord {
    /// Name.
    pub name: String,
    /// Who is connected with whom: `mesh`, `star` or `ring`.
    pub topology: String,
    /// Completed: all clusters were equal and had nothing left to do; or those were that were left at the end.
    pub progress: Progress,
    /// When it started.
    pub started_ns: Option<u64>,
    /// From the start until all clusters were equal and had nothing left to do.
    pub total_time_ns: Option<u64>,
    /// When the clients of all clusters were done.
    pub clients_done_ns: Option<u64>,
    /// From then until all clusters were equal and had nothing left to do.
    pub convergence_ns: Option<u64>,
    /// In the order of the scenario.
    pub clusters: Vec<ClusterRecord>,
    /// Keys and values.
    pub state: StateRecord,
    /// The log, if there is one.
    pub log: Option<LogRecord>,
    /// Bytes on the streams, of all clusters.
    pub traffic: TrafficRecord,
    /// Times in which two neighbours were without each other; the first thousand.
    pub partings: Vec<PartingRecord>,
    /// How many there were.
    pub partings_in_all: u64,
    /// What the original system's formula promises to save, in percent. It looks at no byte.
    pub legacy_estimate_percent: u32,
    /// TCP segments sent.
    pub segments: u64,
    /// Of these, retransmissions.
    pub retransmits: u64,
}

/// A cluster.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ClusterRecord {
    /// The region that it is in.
    pub region: String,
    /// How often it was started.
    pub lives: u32,
    /// How long it was down.
    pub down_ns: u64,
    /// Keys at the end, removed ones included.
    pub keys: u64,
    /// The hash of its state at the end, 32 hexadecimal digits; empty if it was down.
    pub state_hash: String,
    /// Updates of its clients.
    pub updates: u64,
    /// Changes that came from others and were news.
    pub applied: u64,
    /// Changes that waited for peers at the end.
    pub waiting: u64,
    /// The most that waited for one peer at a time.
    pub longest_outbox: u64,
    /// Commands of its clients that were answered.
    pub committed: u64,
    /// Terms of the log that it led.
    pub terms_led: u64,
    /// Bytes that it handed to streams.
    pub sent: u64,
    /// Bytes that it received from streams.
    pub received: u64,
}

/// Keys and values, over all clusters.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct StateRecord {
    /// Updates of clients.
    pub updates: u64,
    /// Updates that there was no room for.
    pub refused: u64,
    /// Changes that peers acknowledged.
    pub delivered: u64,
    /// Changes that came from others and were news.
    pub applied: u64,
    /// Changes that came from others and met writes that knew nothing of them: the last writer won.
    pub conflicts: u64,
    /// Changes that a later one of the same key replaced while they waited.
    pub coalesced: u64,
    /// Changes that an outbox had no room for.
    pub dropped: u64,
    /// Changes that were given up before a peer had them, replaced, dropped and refused ones apart; comparing the states
    /// brings them.
    #[serde(default)]
    pub lost: u64,
    /// From an update until it was applied at another cluster, each counted wherever it arrived.
    pub propagation: Option<LatencyRecord>,
    /// Synchronisations with a peer that had something to send.
    pub sync_operations: u64,
    /// Those that a lost connection ended, and those that found none.
    pub sync_failures: u64,
    /// Values that travelled whole again because it was time.
    pub baseline_refreshes: u64,
    /// Values that were rebuilt from a baseline.
    pub delta_applications: u64,
    /// Frames refused or damaged, handshakes refused, updates without room.
    pub errors: u64,
    /// Times that two clusters compared their states and came to agree.
    pub reconciliations: u64,
    /// Keys that differed in that.
    pub differing_keys: u64,
    /// Processor time of encoding.
    pub encode_ns: u64,
    /// Bytes of keys and values that were encoded for a peer.
    pub value_bytes: u64,
    /// Bytes of the frames that came out.
    pub frame_bytes: u64,
}

/// The log.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct LogRecord {
    /// Clusters that vote.
    pub voters: u64,
    /// Commands that clients gave.
    pub proposals: u64,
    /// Of these, those that were answered.
    pub committed: u64,
    /// Reads that clients asked for.
    pub reads: u64,
    /// Commands and reads that failed.
    pub failed: u64,
    /// How often a client asked again.
    pub retries: u64,
    /// Commands that were in the log again and were not applied again.
    pub repeats: u64,
    /// From a command to its answer.
    pub commit_latency: Option<LatencyRecord>,
    /// From a read to its answer.
    pub read_latency: Option<LatencyRecord>,
    /// Elections that clusters began.
    pub elections: u64,
    /// Terms that had a leader.
    pub terms: u64,
    /// From the start until there was a leader.
    pub first_leader_ns: Option<u64>,
    /// How long there was none after that: from when the leader of the newest term stepped down or its cluster ended until
    /// there was another.
    pub leaderless_ns: u64,
    /// The longest such time.
    pub longest_leaderless_ns: u64,
    /// Snapshots that clusters got because they were far behind.
    pub snapshots_installed: u64,
    /// Whether what clients asked and were answered can have happened in one order; none if that was not looked at, or if
    /// too much of it overlaps.
    pub linearizable: Option<bool>,
}

/// How long something took; quantiles are nearest-rank, by the upper ends of buckets 1/64 wide.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct LatencyRecord {
    /// How often.
    pub count: u64,
    /// Mean.
    pub mean_ns: u64,
    /// Median.
    pub median_ns: u64,
    /// 95th percentile.
    pub p95_ns: u64,
    /// 99th percentile.
    pub p99_ns: u64,
    /// Longest.
    pub max_ns: u64,
}

/// Bytes handed to streams by class, headers of frames and records included.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct TrafficRecord {
    /// State on its way.
    pub data: u64,
    /// Acknowledgements of it.
    pub acknowledgements: u64,
    /// The log.
    pub consensus: u64,
    /// Looking for differences.
    pub reconciliation: u64,
    /// Handshakes and keepalives.
    pub control: u64,
}

/// A time in which two neighbours were without each other.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PartingRecord {
    /// The regions of the two.
    pub between: (String, String),
    /// Since when one of them had not heard of the other.
    pub silent_since_ns: u64,
    /// When the first of them noticed.
    pub noticed_ns: u64,
    /// When both were connected again.
    pub reconnected_ns: Option<u64>,
    /// From then until both agreed again.
    pub reconciled_ns: Option<u64>,
    /// Changes that waited on both sides when they were connected again.
    pub waiting: u64,
    /// Keys that were found to differ after these had been sent.
    pub differing_keys: u64,
}

impl TrafficRecord {
    /// All classes together.
    pub fn total(&self) -> u64 {
        self.data + self.acknowledgements + self.consensus + self.reconciliation + self.control
    }
}

impl FederationRecord {
    /// What encoding and transport save of the bytes of keys and values that were sent, in parts of 10^12: one less the
    /// bytes of state and its acknowledgements on the streams over those. Negative if more travels than that; none if
    /// nothing was sent.
    pub fn savings_parts(&self) -> Option<i64> {
        const ALL: i128 = 1_000_000_000_000;
        let wire = i128::from(self.traffic.data + self.traffic.acknowledgements);
        let share = (wire * ALL).checked_div(i128::from(self.state.value_bytes))?;
        i64::try_from(ALL - share).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn savings_are_what_does_not_travel() {
        let mut record = FederationRecord {
            name: "f".to_owned(),
            topology: "mesh".to_owned(),
            progress: Progress::Completed,
            started_ns: Some(0),
            total_time_ns: None,
            clients_done_ns: None,
            convergence_ns: None,
            clusters: Vec::new(),
            state: StateRecord {
                value_bytes: 1_000,
                ..StateRecord::default()
            },
            log: None,
            traffic: TrafficRecord {
                data: 90,
                acknowledgements: 10,
                consensus: 1_000_000,
                ..TrafficRecord::default()
            },
            partings: Vec::new(),
            partings_in_all: 0,
            legacy_estimate_percent: 90,
            segments: 0,
            retransmits: 0,
        };
        assert_eq!(record.savings_parts(), Some(900_000_000_000));
        record.traffic.data = 1_990;
        assert_eq!(record.savings_parts(), Some(-1_000_000_000_000));
        record.state.value_bytes = 0;
        assert_eq!(record.savings_parts(), None);
    }
}
