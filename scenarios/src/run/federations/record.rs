//! From what was seen of a federation to its record.

use longhaul_core::record::{
    ClusterRecord, FederationRecord, LatencyRecord, LogRecord, PartingRecord, StateRecord, TrafficRecord,
};
use longhaul_core::time::Instant;
use longhaul_federation::histogram::Histogram;
use longhaul_federation::{ConsensusStatistics, Statistics};

use crate::run::workload::{FederationRun, Parting};
use crate::schema::{Federation, FederationTopology, Scenario};

/// What was counted.
#[derive(Clone, Debug)]
pub struct Counted {
    /// By each cluster, in the order of the scenario; none by one that was lost with its counters.
    pub clusters: Vec<Option<Statistics>>,
    /// TCP segments of all clusters.
    pub segments: u64,
    /// Of these, retransmissions.
    pub retransmits: u64,
    /// See [`LogRecord::linearizable`].
    pub linearizable: Option<bool>,
}

/// The record of a federation: what was seen of it, and what was counted.
pub fn federation_record(
    scenario: &Scenario,
    index: usize,
    run: &FederationRun,
    counted: &Counted,
    end: Instant,
) -> FederationRecord {
    let spec = &scenario.federations[index];
    let end = run.finished.unwrap_or(end);
    let since = |start: Option<Instant>, end: Option<Instant>| Some((end? - start?).as_ns());
    let mut all = Statistics::default();
    counted.clusters.iter().flatten().for_each(|one| all.add(one));
    FederationRecord {
        name: run.name.clone(),
        topology: match spec.topology {
            FederationTopology::Mesh => "mesh",
            FederationTopology::Star { .. } => "star",
            FederationTopology::Ring => "ring",
        }
        .to_owned(),
        progress: run.progress(&counted.clusters),
        started_ns: run.stage.started.map(Instant::as_ns),
        total_time_ns: since(run.stage.started, run.finished),
        clients_done_ns: run.clients_done().map(Instant::as_ns),
        convergence_ns: since(run.clients_done(), run.finished),
        clusters: clusters(spec, run, &counted.clusters, end),
        state: state(&all, &counted.clusters),
        log: spec
            .settings
            .consensus
            .as_ref()
            .map(|_| log(run, all.consensus_log.as_ref(), counted.linearizable, end)),
        traffic: TrafficRecord {
            data: all.data.sent,
            acknowledgements: all.acknowledgements.sent,
            consensus: all.consensus.sent,
            reconciliation: all.reconciliation.sent,
            control: all.control.sent,
        },
        partings: run
            .partings
            .iter()
            .map(|parting| parting_record(spec, parting))
            .collect(),
        partings_in_all: run.partings_in_all,
        legacy_estimate_percent: spec.settings.legacy_estimate_percent(),
        segments: counted.segments,
        retransmits: counted.retransmits,
    }
}

fn clusters(
    spec: &Federation,
    run: &FederationRun,
    counted: &[Option<Statistics>],
    end: Instant,
) -> Vec<ClusterRecord> {
    let nothing = Statistics::default();
    let one = |place: usize| {
        let member = &run.members[place];
        let statistics = counted[place].as_ref().unwrap_or(&nothing);
        let log = statistics.consensus_log.as_ref();
        ClusterRecord {
            region: spec.members[place].clone(),
            lives: member.lives,
            down_ns: member.down.total(end).as_ns(),
            keys: statistics.keys,
            state_hash: match member.down.since() {
                None => statistics.state_hash.clone(),
                Some(_) => String::new(),
            },
            updates: statistics.updates,
            applied: statistics.changes_applied,
            waiting: statistics.waiting,
            longest_outbox: statistics.outbox.longest,
            committed: log.map_or(0, |log| log.committed),
            terms_led: run.log.terms(Some(place)),
            sent: statistics.sent_bytes(),
            received: statistics.received_bytes(),
        }
    };
    (0..spec.members.len()).map(one).collect()
}

fn state(all: &Statistics, clusters: &[Option<Statistics>]) -> StateRecord {
    StateRecord {
        updates: all.updates,
        refused: all.refused_updates,
        delivered: all.changes_delivered,
        applied: all.changes_applied,
        conflicts: all.conflicts,
        coalesced: all.outbox.coalesced,
        dropped: all.outbox.dropped,
        lost: clusters.iter().flatten().map(Statistics::lost_changes).sum(),
        propagation: latency(&all.propagation),
        sync_operations: all.sync_operations,
        sync_failures: all.sync_failures,
        baseline_refreshes: all.baseline_refreshes,
        delta_applications: all.delta_applications,
        errors: all.errors,
        reconciliations: all.reconciliations,
        differing_keys: all.differing_keys,
        encode_ns: all.encode_ns,
        value_bytes: all.value_bytes,
        frame_bytes: all.frame_bytes,
    }
}

fn log(
    run: &FederationRun,
    counted: Option<&ConsensusStatistics>,
    linearizable: Option<bool>,
    end: Instant,
) -> LogRecord {
    let nothing = ConsensusStatistics::default();
    let counted = counted.unwrap_or(&nothing);
    let (without, longest_without) = run.log.without(end);
    LogRecord {
        voters: run.members.iter().filter(|member| member.votes).count() as u64,
        proposals: counted.proposals,
        committed: counted.committed,
        reads: counted.reads,
        failed: counted.failed,
        retries: counted.retries,
        repeats: counted.repeats,
        commit_latency: latency(&counted.commit_latency),
        read_latency: latency(&counted.read_latency),
        elections: run.log.elections,
        terms: run.log.terms(None),
        first_leader_ns: run
            .log
            .first_leader
            .and_then(|first| Some((first - run.stage.started?).as_ns())),
        leaderless_ns: without.as_ns(),
        longest_leaderless_ns: longest_without.as_ns(),
        snapshots_installed: counted.snapshots_installed,
        linearizable,
    }
}

fn latency(histogram: &Histogram) -> Option<LatencyRecord> {
    let quantile = |thousandths| Some(histogram.quantile_thousandths(thousandths)?.as_ns());
    Some(LatencyRecord {
        count: histogram.count(),
        mean_ns: histogram.mean()?.as_ns(),
        median_ns: quantile(500)?,
        p95_ns: quantile(950)?,
        p99_ns: quantile(990)?,
        max_ns: histogram.longest()?.as_ns(),
    })
}

fn parting_record(spec: &Federation, parting: &Parting) -> PartingRecord {
    let (one, other) = parting.between;
    let reconciled = parting.reconnected.zip(parting.agreed);
    PartingRecord {
        between: (spec.members[one].clone(), spec.members[other].clone()),
        silent_since_ns: parting.silent_since.as_ns(),
        noticed_ns: parting.noticed.as_ns(),
        reconnected_ns: parting.reconnected.map(Instant::as_ns),
        reconciled_ns: reconciled.map(|(reconnected, agreed)| (agreed - reconnected).as_ns()),
        waiting: parting.waiting,
        differing_keys: parting.differing_keys,
    }
}
