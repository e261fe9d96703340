//! What a cluster has done and measured so far.

use serde::{Deserialize, Serialize};

use crate::histogram::Histogram;
use crate::outbox::OutboxStatistics;

/// Bytes of one class, headers of frames and records included.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Traffic {
    /// Handed to streams.
    pub sent: u64,
    /// Received from streams.
    pub received: u64,
}

/// Counters of a cluster. Where the original system has a name for one, it is given.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Statistics {
    /// Handshakes and keepalives.
    pub control: Traffic,
    /// The log.
    pub consensus: Traffic,
    /// Looking for differences.
    pub reconciliation: Traffic,
    /// Acknowledgements of objects and of chunks.
    pub acknowledgements: Traffic,
    /// State on its way.
    pub data: Traffic,
    /// Bytes of keys and values that were encoded for a peer, each time that they were.
    pub value_bytes: u64,
    /// Bytes of the frames that came out.
    pub frame_bytes: u64,
    /// Updates of clients.
    pub updates: u64,
    /// Updates that were refused: no room for another key, or too long a value.
    pub refused_updates: u64,
    /// Changes that peers acknowledged.
    pub changes_delivered: u64,
    /// Changes that peers refused, or held a later version of.
    pub changes_rejected: u64,
    /// Changes that came from peers and were news.
    pub changes_applied: u64,
    /// Changes that came from a peer after others that the peer had put on their way later.
    pub overtaken: u64,
    /// Changes that came from peers and met writes that knew nothing of them: the last writer won.
    pub conflicts: u64,
    /// Synchronisations with a peer that had something to send (`syncOperations`).
    pub sync_operations: u64,
    /// Of these, those that a lost connection ended, and those that found none (`syncFailures`).
    pub sync_failures: u64,
    /// Values that travelled whole again because it was time (`baselineRefreshes`).
    pub baseline_refreshes: u64,
    /// Values that were rebuilt from a baseline (`deltaApplications`).
    pub delta_applications: u64,
    /// Frames refused or damaged, handshakes refused, keys without room (`errorCount`).
    pub errors: u64,
    /// Processor time of encoding, ns.
    pub encode_ns: u64,
    /// Dictionaries trained.
    pub dictionaries: u64,
    /// Connections that came about.
    pub connections: u64,
    /// Connections that were lost.
    pub connections_lost: u64,
    /// Attempts to connect.
    pub dials: u64,
    /// Frames of the log that were dropped because a control stream was full.
    pub dropped_frames: u64,
    /// The outboxes of all peers together; the longest of any.
    pub outbox: OutboxStatistics,
    /// Times that two clusters looked whether they agree, and came to agree.
    pub reconciliations: u64,
    /// Rounds in which differences were looked for.
    pub reconciliation_rounds: u64,
    /// Keys that differed in them.
    pub differing_keys: u64,
    /// Reconciliations that took longer than they may.
    pub late_reconciliations: u64,
    /// How long after it was made a change was applied here.
    pub propagation: Histogram,
    /// Round trips to peers, by keepalives.
    pub round_trip: Histogram,
    /// Keys, removed ones included.
    pub keys: u64,
    /// Changes that wait for peers.
    pub waiting: u64,
    /// The hash of the state.
    pub state_hash: String,
    /// The log, if the cluster takes part in it.
    pub consensus_log: Option<ConsensusStatistics>,
}

/// Counters of the log at one cluster.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct ConsensusStatistics {
    /// Commands that clients here gave.
    pub proposals: u64,
    /// Of these, those that were answered.
    pub committed: u64,
    /// Reads that clients here asked for.
    pub reads: u64,
    /// Commands and reads that failed.
    pub failed: u64,
    /// Commands and reads that wait for an answer.
    pub unanswered: u64,
    /// A number that equal registries have in common; none if the cluster does not vote.
    pub registry: Option<u64>,
    /// How often a client asked again.
    pub retries: u64,
    /// Elections that this cluster began.
    pub elections: u64,
    /// Terms that it led.
    pub terms_led: u64,
    /// Commands applied here.
    pub applied: u64,
    /// Commands that were in the log again and were not applied again.
    pub repeats: u64,
    /// Snapshots that it got.
    pub snapshots_installed: u64,
    /// Batches that it sent as a leader and that not all acknowledged in time.
    pub not_acknowledged: u64,
    /// From a command to its answer.
    pub commit_latency: Histogram,
    /// From a read to its answer.
    pub read_latency: Histogram,
}

impl Statistics {
    /// All bytes handed to streams (`totalBytesSent`).
    pub fn sent_bytes(&self) -> u64 {
        self.classes().iter().map(|(_, traffic)| traffic.sent).sum()
    }

    /// All bytes received from streams (`totalBytesReceived`).
    pub fn received_bytes(&self) -> u64 {
        self.classes().iter().map(|(_, traffic)| traffic.received).sum()
    }

    /// Traffic by class.
    pub fn classes(&self) -> [(&'static str, Traffic); 5] {
        [
            ("data", self.data),
            ("acknowledgements", self.acknowledgements),
            ("consensus", self.consensus),
            ("reconciliation", self.reconciliation),
            ("control", self.control),
        ]
    }

    /// Bytes of keys and values over bytes of frames, in millionths (`compressionRatio`); none if nothing was encoded.
    pub fn compression_ratio_millionths(&self) -> Option<u64> {
        ratio_millionths(self.value_bytes, self.frame_bytes)
    }

    /// What encoding and transport save of the bytes of keys and values, in millionths: one less the bytes on the wire
    /// for state and its acknowledgements over those of keys and values. Negative if more travels than that.
    pub fn savings_millionths(&self) -> Option<i64> {
        let wire = self.data.sent + self.acknowledgements.sent;
        let share = ratio_millionths(wire, self.value_bytes)?;
        Some(1_000_000 - i64::try_from(share).unwrap_or(i64::MAX / 2))
    }

    /// Changes that were to be brought to peers and were given up: neither acknowledged nor refused, neither replaced by a
    /// later one nor dropped for want of room, and not waiting either. An outbox loses none; those that had not been
    /// brought when this cluster or the peer ended are counted here, and comparing the states brings them.
    pub fn lost_changes(&self) -> u64 {
        let OutboxStatistics {
            queued,
            coalesced,
            dropped,
            ..
        } = self.outbox;
        let accounted = coalesced + dropped + self.changes_delivered + self.changes_rejected + self.waiting;
        queued.saturating_sub(accounted)
    }

    /// Takes in the counters of another cluster or of an earlier life, for a sum over all. What says how things stand,
    /// such as keys and hash, stays.
    pub fn add(&mut self, other: &Statistics) {
        for (own, other) in [
            (&mut self.control, other.control),
            (&mut self.consensus, other.consensus),
            (&mut self.reconciliation, other.reconciliation),
            (&mut self.acknowledgements, other.acknowledgements),
            (&mut self.data, other.data),
        ] {
            own.sent += other.sent;
            own.received += other.received;
        }
        for (own, other) in [
            (&mut self.value_bytes, other.value_bytes),
            (&mut self.frame_bytes, other.frame_bytes),
            (&mut self.updates, other.updates),
            (&mut self.refused_updates, other.refused_updates),
            (&mut self.changes_delivered, other.changes_delivered),
            (&mut self.changes_rejected, other.changes_rejected),
            (&mut self.changes_applied, other.changes_applied),
            (&mut self.overtaken, other.overtaken),
            (&mut self.conflicts, other.conflicts),
            (&mut self.sync_operations, other.sync_operations),
            (&mut self.sync_failures, other.sync_failures),
            (&mut self.baseline_refreshes, other.baseline_refreshes),
            (&mut self.delta_applications, other.delta_applications),
            (&mut self.errors, other.errors),
            (&mut self.encode_ns, other.encode_ns),
            (&mut self.dictionaries, other.dictionaries),
            (&mut self.connections, other.connections),
            (&mut self.connections_lost, other.connections_lost),
            (&mut self.dials, other.dials),
            (&mut self.dropped_frames, other.dropped_frames),
            (&mut self.reconciliations, other.reconciliations),
            (&mut self.reconciliation_rounds, other.reconciliation_rounds),
            (&mut self.differing_keys, other.differing_keys),
            (&mut self.late_reconciliations, other.late_reconciliations),
        ] {
            *own += other;
        }
        self.outbox.add(&other.outbox);
        self.propagation.merge(&other.propagation);
        self.round_trip.merge(&other.round_trip);
        if let Some(other) = &other.consensus_log {
            self.consensus_log.get_or_insert_default().add(other);
        }
    }
}

impl ConsensusStatistics {
    fn add(&mut self, other: &ConsensusStatistics) {
        for (own, other) in [
            (&mut self.proposals, other.proposals),
            (&mut self.committed, other.committed),
            (&mut self.reads, other.reads),
            (&mut self.failed, other.failed),
            (&mut self.retries, other.retries),
            (&mut self.elections, other.elections),
            (&mut self.terms_led, other.terms_led),
            (&mut self.applied, other.applied),
            (&mut self.repeats, other.repeats),
            (&mut self.snapshots_installed, other.snapshots_installed),
            (&mut self.not_acknowledged, other.not_acknowledged),
        ] {
            *own += other;
        }
        self.commit_latency.merge(&other.commit_latency);
        self.read_latency.merge(&other.read_latency);
    }
}

fn ratio_millionths(part: u64, whole: u64) -> Option<u64> {
    let ratio = (u128::from(part) * 1_000_000).checked_div(u128::from(whole))?;
    Some(u64::try_from(ratio).unwrap_or(u64::MAX))
}
