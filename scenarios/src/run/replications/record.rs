//! From what was seen of a replication to its record.

use longhaul_core::record::{
    EncodingRecord, EpochsRecord, FailoverRecord, OutageRecord, ProtectedVmRecord, ReplicationRecord,
    ResumedVmRecord, RpoRecord, TransportRecord,
};
use longhaul_core::time::{Instant, Span};
use longhaul_core::units::Probability;
use longhaul_memory::PAGE_SIZE;
use longhaul_replication::{RpoDistribution, SourceStatistics};

use crate::run::cast::{source_region, vms_of};
use crate::run::encoding::add_encoding;
use crate::run::workload::{Outage, ReplicationRun};
use crate::schema::{Memory, Replication, Scenario, Streams};

/// The record of a replication: what was seen of it, what its source counted, and the TCP segments that it sent, in all
/// and again. Without counters there are none of encoding and transport.
pub fn replication_record(
    scenario: &Scenario,
    index: usize,
    run: &ReplicationRun,
    statistics: Option<&SourceStatistics>,
    (segments, retransmits): (u64, u64),
    end: Instant,
) -> ReplicationRecord {
    let spec = &scenario.replications[index];
    let since_start = |at: Instant| Some((at - run.stage.started?).as_ns());
    let transport = statistics
        .map(|statistics| statistics.transport)
        .unwrap_or_default();
    let of_sets = statistics.map_or(&[][..], |statistics| &statistics.sets);
    ReplicationRecord {
        name: run.name.clone(),
        from: source_region(scenario, spec).clone(),
        to: spec.to.clone(),
        progress: run.progress(),
        started_ns: run.stage.started.map(Instant::as_ns),
        seed_ns: run.seeded.and_then(since_start),
        rpo_target_ns: spec.rpo_target.as_ns(),
        memory: memory_bytes(scenario, spec, run),
        vms: vms(spec, run, end),
        epochs: EpochsRecord {
            started: run.started,
            applied: run.sets.iter().map(|set| set.rpo.epochs()).sum(),
            late: run.late,
            interrupted: run.interrupted,
            rejected: run.rejected,
            resyncs: run.resyncs,
            longest_ns: run.longest_epoch.as_ns(),
            verified_pages: run.sets.iter().map(|set| set.verified_pages).sum(),
        },
        outages: run.outages.iter().map(outage).collect(),
        failover: run.failover.as_ref().map(|failover| {
            let running = failover.running.iter().flatten();
            let first = running.clone().min();
            let stopped = run.stopped();
            let all: Option<Vec<Instant>> = failover.running.iter().copied().collect();
            FailoverRecord {
                stopped_ns: stopped.map(Instant::as_ns),
                detected_ns: failover.detected.map(Instant::as_ns),
                decided_ns: failover.decided.as_ns(),
                running_ns: all.and_then(|all| all.into_iter().max()).map(Instant::as_ns),
                overlap_ns: first.map_or(0, |first| stopped.unwrap_or(end).saturating_since(*first).as_ns()),
                lost_vms: (0..run.sets.len())
                    .filter(|set| failover.promoted[*set].is_none())
                    .map(|set| run.sets[set].members.len() as u64)
                    .sum(),
            }
        }),
        paused_ns: of_sets.iter().map(|set| set.paused.as_ns()).max().unwrap_or(0),
        stopped_ns: run.stood(end).as_ns(),
        kept_pages_max: of_sets.iter().map(|set| set.kept_pages_max).max().unwrap_or(0),
        encode_ns: statistics.map_or(0, |statistics| statistics.encode_time.as_ns()),
        transferred: transport.wire_bytes,
        encoding: encoding_record(statistics),
        transport: TransportRecord {
            streams: match spec.transport.streams {
                Streams::Fixed(streams) => streams,
                _ => transport.most_streams,
            },
            chunks: transport.chunks,
            requeued_chunks: transport.retransmitted_chunks,
            segments,
            retransmits,
        },
    }
}

/// The memory of all VMs; of recorded ones what their epochs say.
fn memory_bytes(scenario: &Scenario, spec: &Replication, run: &ReplicationRun) -> u64 {
    let sizes: Option<Vec<u64>> = vms_of(scenario, spec)
        .map(|vm| match &vm.memory {
            Memory::Generated { size, .. } => Some(size.as_bytes()),
            Memory::Images { .. } => None,
        })
        .collect();
    let verified = || run.sets.iter().map(|set| set.verified_pages).sum::<u64>() * PAGE_SIZE as u64;
    sizes.map_or_else(verified, |sizes| sizes.iter().sum())
}

fn outage(outage: &Outage) -> OutageRecord {
    let caught_up = outage.caught_up.zip(outage.reconnected);
    OutageRecord {
        noticed_ns: outage.noticed.as_ns(),
        reconnected_ns: outage.reconnected.map(Instant::as_ns),
        catch_up_ns: caught_up.map(|(caught_up, reconnected)| (caught_up - reconnected).as_ns()),
        while_seeding: outage.while_seeding,
    }
}

fn vms(spec: &Replication, run: &ReplicationRun, end: Instant) -> Vec<ProtectedVmRecord> {
    let until = run.protected_until(end);
    let stopped = run.stopped().unwrap_or(end);
    let mut vms: Vec<(usize, ProtectedVmRecord)> = Vec::new();
    for (number, set) in run.sets.iter().enumerate() {
        let first = set.rpo.first().unwrap_or(until);
        let rpo = rpo_record(&set.rpo.distribution(first.min(until), until), spec.rpo_target);
        for &member in &set.members {
            let resumed = run.failover.as_ref().and_then(|failover| {
                let (epoch, snapshot_at, verified_pages) = failover.promoted[number]?;
                let running = failover.running[member]?;
                Some(ResumedVmRecord {
                    epoch,
                    lost_ns: stopped.saturating_since(snapshot_at).as_ns(),
                    rto_ns: running.saturating_since(stopped).as_ns(),
                    verified_pages,
                })
            });
            let record = ProtectedVmRecord {
                vm: spec.vms[member].clone(),
                epochs: set.rpo.epochs(),
                rpo,
                resumed,
            };
            vms.push((member, record));
        }
    }
    vms.sort_by_key(|(member, _)| *member);
    vms.into_iter().map(|(_, record)| record).collect()
}

fn rpo_record(distribution: &RpoDistribution, target: Span) -> Option<RpoRecord> {
    let percent = |percent| {
        let share = Probability::from_ratio(percent, 100).expect("less than all");
        Some(distribution.quantile(share)?.as_ns())
    };
    Some(RpoRecord {
        over_ns: distribution.total().as_ns(),
        mean_ns: distribution.mean()?.as_ns(),
        median_ns: percent(50)?,
        p95_ns: percent(95)?,
        p99_ns: percent(99)?,
        max_ns: distribution.max()?.as_ns(),
        within_target_ns: distribution.time_within(target).as_ns(),
    })
}

fn encoding_record(statistics: Option<&SourceStatistics>) -> EncodingRecord {
    let mut record = EncodingRecord::default();
    for set in statistics.iter().flat_map(|statistics| &statistics.sets) {
        add_encoding(&mut record, &set.copy, &set.encoder.pages);
    }
    record
}
