//! The metrics of federations.

use longhaul_core::record::{FederationRecord, LatencyRecord, LogRecord, Progress};

use crate::run::assertions::{Sample, quotient};
use crate::schema::{MILLIONTHS, Metric};

/// The sample that a federation gives a metric.
pub fn of_federation(metric: Metric, federation: &FederationRecord, end_ns: u64) -> Sample {
    if federation.started_ns.is_none() {
        return Sample::Missing;
    }
    let (state, log) = (&federation.state, federation.log.as_ref());
    let number = |count: u64| Sample::Exact(count.saturating_mul(MILLIONTHS));
    let of_log = |count: fn(&LogRecord) -> u64| log.map_or(Sample::Missing, |log| number(count(log)));
    let commit = |of: fn(&LatencyRecord) -> u64| time(log.and_then(|log| log.commit_latency), of);
    let propagation = |of: fn(&LatencyRecord) -> u64| time(state.propagation, of);
    match metric {
        Metric::FederationCommitLatencyMedian => commit(|latency| latency.median_ns),
        Metric::FederationCommitLatencyP95 => commit(|latency| latency.p95_ns),
        Metric::FederationCommitLatencyP99 => commit(|latency| latency.p99_ns),
        Metric::FederationCommitLatencyMax => commit(|latency| latency.max_ns),
        Metric::FederationReadLatencyP99 => {
            time(log.and_then(|log| log.read_latency), |latency| latency.p99_ns)
        }
        Metric::FederationPropagationMedian => propagation(|latency| latency.median_ns),
        Metric::FederationPropagationP99 => propagation(|latency| latency.p99_ns),
        Metric::FederationPropagationMax => propagation(|latency| latency.max_ns),
        Metric::FederationConvergenceTime => match (federation.convergence_ns, federation.clients_done_ns) {
            (Some(convergence), _) => Sample::Exact(convergence),
            (None, Some(done)) => Sample::AtLeast(end_ns.saturating_sub(done)),
            (None, None) => Sample::Missing,
        },
        Metric::FederationReconcileTime => reconcile_time(federation, end_ns),
        Metric::FederationLeaderless => log.map_or(Sample::Missing, |log| Sample::Exact(log.leaderless_ns)),
        Metric::FederationElections => of_log(|log| log.elections),
        Metric::FederationCommitted => of_log(|log| log.committed),
        Metric::FederationFailedCommands => of_log(|log| log.failed),
        Metric::FederationLinearizable => {
            let fits = log.and_then(|log| log.linearizable);
            fits.map_or(Sample::Missing, |fits| number(u64::from(fits)))
        }
        Metric::FederationSavings => federation.savings_parts().map_or(Sample::Missing, |parts| {
            Sample::Exact(u64::try_from(parts).unwrap_or(0))
        }),
        Metric::FederationCompressionRatio => quotient(state.value_bytes, state.frame_bytes, MILLIONTHS),
        Metric::FederationSent => Sample::Exact(federation.traffic.total()),
        Metric::FederationSyncFailures => number(state.sync_failures),
        Metric::FederationConflicts => number(state.conflicts),
        Metric::FederationDropped => number(state.dropped),
        Metric::FederationLostChanges => number(state.lost),
        Metric::FederationErrors => number(state.errors),
        _ => number(u64::from(federation.progress == Progress::Completed)),
    }
}

fn time(latency: Option<LatencyRecord>, of: fn(&LatencyRecord) -> u64) -> Sample {
    latency.map_or(Sample::Missing, |latency| Sample::Exact(of(&latency)))
}

/// The longest of all partings that are over but for this; one that is not has lasted for as long as it has.
fn reconcile_time(federation: &FederationRecord, end_ns: u64) -> Sample {
    let mut longest = Sample::Missing;
    for parting in &federation.partings {
        let Some(reconnected) = parting.reconnected_ns else {
            continue;
        };
        let this = match parting.reconciled_ns {
            Some(ns) => Sample::Exact(ns),
            None => Sample::AtLeast(end_ns.saturating_sub(reconnected)),
        };
        longest = longest.longer(this);
    }
    longest
}
