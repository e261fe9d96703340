//! The metrics of replications.

use longhaul_core::record::{Progress, ReplicationRecord};
use longhaul_core::time::Span;
use longhaul_core::units::{BitRate, Probability};

use crate::run::assertions::{Sample, quotient};
use crate::schema::{MILLIONTHS, Metric};

/// The sample that a replication gives a metric.
pub fn of_replication(metric: Metric, replication: &ReplicationRecord, end_ns: u64) -> Sample {
    let or_missing = |value: Option<u64>| value.map_or(Sample::Missing, Sample::Exact);
    let Some(started) = replication.started_ns else {
        return Sample::Missing;
    };
    match metric {
        Metric::ReplicationSeedTime => match replication.seed_ns {
            Some(seed) => Sample::Exact(seed),
            None => Sample::AtLeast(end_ns - started),
        },
        Metric::ReplicationSeedRate => or_missing(replication.seed_ns.and_then(|seed| {
            BitRate::of(replication.memory, Span::from_ns(seed)).map(BitRate::as_bits_per_s)
        })),
        Metric::ReplicationRpoMedian => or_missing(replication.worst_rpo(|rpo| rpo.median_ns)),
        Metric::ReplicationRpoP95 => or_missing(replication.worst_rpo(|rpo| rpo.p95_ns)),
        Metric::ReplicationRpoP99 => or_missing(replication.worst_rpo(|rpo| rpo.p99_ns)),
        Metric::ReplicationRpoMax => or_missing(replication.worst_rpo(|rpo| rpo.max_ns)),
        Metric::ReplicationRpoWithin => within_target(replication),
        Metric::ReplicationEpochs => Sample::Exact(replication.epochs.applied.saturating_mul(MILLIONTHS)),
        Metric::ReplicationTransferred => Sample::Exact(replication.transferred),
        Metric::ReplicationCompressionRatio => quotient(
            replication.encoding.raw_bytes,
            replication.transferred,
            MILLIONTHS,
        ),
        Metric::ReplicationResyncs => Sample::Exact(replication.epochs.resyncs.saturating_mul(MILLIONTHS)),
        Metric::ReplicationCatchUp => catch_up(replication, end_ns),
        Metric::ReplicationRto => rto(replication, end_ns),
        Metric::ReplicationDataLoss => {
            let each = replication
                .vms
                .iter()
                .map(|vm| vm.resumed.map(|resumed| resumed.lost_ns));
            or_missing(
                each.collect::<Option<Vec<_>>>()
                    .and_then(|each| each.into_iter().max()),
            )
        }
        Metric::ReplicationOverlap => {
            or_missing(replication.failover.as_ref().map(|failover| failover.overlap_ns))
        }
        _ => {
            let good = replication.progress == Progress::Completed && replication.epochs.rejected == 0;
            Sample::Exact(if good { MILLIONTHS } else { 0 })
        }
    }
}

fn within_target(replication: &ReplicationRecord) -> Sample {
    let mut least = Sample::Missing;
    for vm in &replication.vms {
        let Some(rpo) = vm.rpo else { return Sample::Missing };
        let share = quotient(rpo.within_target_ns, rpo.over_ns, Probability::PARTS);
        least = match (least, share) {
            (Sample::Exact(least), Sample::Exact(share)) => Sample::Exact(least.min(share)),
            (_, share) => share,
        };
    }
    least
}

/// The longest of all outages after the first epochs; one that is not over has lasted for as long as it has.
fn catch_up(replication: &ReplicationRecord, end_ns: u64) -> Sample {
    let mut longest = Sample::Missing;
    for outage in replication.outages.iter().filter(|outage| !outage.while_seeding) {
        let Some(reconnected) = outage.reconnected_ns else {
            continue;
        };
        let this = match outage.catch_up_ns {
            Some(ns) => Sample::Exact(ns),
            None => Sample::AtLeast(end_ns - reconnected),
        };
        longest = longest.longer(this);
    }
    longest
}

/// Until the last VM runs again; a source that is lost with nobody in its place is lost for as long as it is.
fn rto(replication: &ReplicationRecord, end_ns: u64) -> Sample {
    let Some(failover) = &replication.failover else {
        return Sample::Missing;
    };
    let each = replication
        .vms
        .iter()
        .map(|vm| vm.resumed.map(|resumed| resumed.rto_ns));
    match (each.collect::<Option<Vec<_>>>(), failover.stopped_ns) {
        (Some(each), _) => each.into_iter().max().map_or(Sample::Missing, Sample::Exact),
        (None, Some(stopped)) if failover.lost_vms == 0 => Sample::AtLeast(end_ns - stopped),
        (None, _) => Sample::Missing,
    }
}
