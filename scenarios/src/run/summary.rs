//! From the world at the end of a run to its records.

use longhaul_core::MODEL_VERSION;
use longhaul_core::record::{
    EncodingRecord, Ended, LinkRecord, MigrationRecord, PayloadRecord, RECORD_FORMAT, RamRecord,
    ReplicationRecord, RunRecord, TransferRecord, TransportRecord, Verdict,
};
use longhaul_core::schedule::Schedule;
use longhaul_core::time::{Instant, Span};
use longhaul_core::units::{BitRate, ByteSize, Probability};
use longhaul_engine::Engine;
use longhaul_memory::PAGE_SIZE;
use longhaul_migration::Statistics;
use longhaul_net::routing::LinkId;

use super::RunOptions;
use super::assertions;
use super::cast::{Role, Workload};
use super::endpoint::{Endpoint, Protocol};
use super::replications::replication_record;
use super::scene::Scene;
use super::workload::{MigrationRun, TransferRun};
use crate::Loaded;
use crate::schema::{Amount, PayloadMode, Scenario};

/// Draws up the record of a run.
pub fn summarise(
    loaded: &Loaded,
    options: &RunOptions,
    engine: &Engine,
    scene: &mut Scene,
    ended: Ended,
) -> RunRecord {
    let scenario = &loaded.scenario;
    let migrations: Vec<MigrationRecord> = (0..scene.workloads.migrations.len())
        .map(|i| migration(loaded, scene, i))
        .collect();
    let declared = match scenario.payload {
        PayloadMode::Real => Probability::ONE,
        PayloadMode::Sampled { share } => share,
    };
    let mut payload = PayloadRecord {
        declared_share_parts: declared.as_parts(),
        ..PayloadRecord::default()
    };
    let replications: Vec<ReplicationRecord> = (0..scene.workloads.replications.len())
        .map(|i| replication(loaded, scene, i, engine.now()))
        .collect();
    for record in &replications {
        payload.real_bytes += record.encoding.real_raw_bytes;
        payload.synthetic_bytes += record.encoding.raw_bytes - record.encoding.real_raw_bytes;
        payload.verified_pages += record.epochs.verified_pages;
    }
    for record in &migrations {
        payload.real_bytes += record.encoding.real_raw_bytes;
        payload.synthetic_bytes += record.encoding.raw_bytes - record.encoding.real_raw_bytes;
        payload.verified_pages += record.verified_pages;
    }
    let now = engine.now();
    let mut record = RunRecord {
        format: RECORD_FORMAT,
        tool_version: env!("CARGO_PKG_VERSION").to_owned(),
        model_version: MODEL_VERSION,
        scenario: scenario.name.clone(),
        question: scenario.question.clone(),
        expect: scenario.expect.clone(),
        scenario_hash: loaded.hash.clone(),
        inputs: scene.inputs.clone(),
        seed: scenario.seed,
        fidelity: scene.network.fidelity(),
        fidelity_reason: scene.fidelity_reason.clone(),
        ended,
        verdict: Verdict::Inconclusive,
        simulated_ns: now.as_ns(),
        events: engine.executed(),
        digest: format!("{:016x}", engine.position().digest),
        payload,
        migrations,
        transfers: (0..scene.workloads.transfers.len())
            .map(|i| transfer(loaded, scene, i, now))
            .collect(),
        replications,
        links: (0..scenario.links.len())
            .map(|i| link(loaded, scene, i, now))
            .collect(),
        unrouted_packets: scene.network.unrouted(),
        assertions: Vec::new(),
        warnings: loaded
            .warnings
            .items()
            .iter()
            .map(|doubt| format!("{}: {}", doubt.path, doubt.message))
            .collect(),
        reproduce: options.reproduce.clone(),
    };
    record.assertions = assertions::judge_all(&scenario.assertions, (&record).into());
    record.verdict = assertions::overall(&record);
    record
}

/// From one moment to another, if both have come.
fn since(start: Option<Instant>, end: Option<Instant>) -> Option<u64> {
    Some((end? - start?).as_ns())
}

fn migration(loaded: &Loaded, scene: &Scene, index: usize) -> MigrationRecord {
    let run = &scene.workloads.migrations[index];
    let endpoint = scene.endpoint(Workload::Migration(index), Role::MigrationSource);
    let Protocol::MigrationSource(source) = &endpoint.machine else {
        unreachable!("a migration starts from its source")
    };
    let segments = segments(scene, endpoint);
    migration_record(&loaded.scenario, index, run, Some(&source.statistics()), segments)
}

/// The record of a migration: what was seen of it, what its source counted, and the TCP segments that it sent, in all
/// and again. Without counters there are none of memory, encoding and transport.
pub fn migration_record(
    scenario: &Scenario,
    index: usize,
    run: &MigrationRun,
    statistics: Option<&Statistics>,
    (segments, retransmits): (u64, u64),
) -> MigrationRecord {
    let spec = &scenario.migrations[index];
    let vm = scenario.vms.iter().find(|vm| vm.name == spec.vm);
    let vm = vm.expect("a VM of the scenario");
    let counted = statistics.map(|statistics| {
        let (ram, copy, encoder) = (statistics.ram, statistics.copy, statistics.encoder);
        let memory = RamRecord {
            total: ram.total,
            transferred: ram.transferred,
            remaining: ram.remaining,
            duplicate: ram.duplicate,
            normal: ram.normal,
            dirty_sync_count: ram.dirty_sync_count,
            dirty_pages_rate: ram.dirty_pages_rate,
        };
        let encoding = EncodingRecord {
            raw_bytes: copy.pages() * PAGE_SIZE as u64,
            encoded_bytes: copy.real_frame_bytes + copy.synthetic_frame_bytes,
            real_raw_bytes: copy.real_pages * PAGE_SIZE as u64,
            real_encoded_bytes: copy.real_frame_bytes,
            zero_pages: encoder.pages.zero,
            duplicate_pages: encoder.pages.duplicate,
            delta_pages: encoder.pages.delta,
            literal_pages: encoder.pages.literal,
        };
        (memory, encoding)
    });
    let (ram, encoding) = counted.unwrap_or_default();
    MigrationRecord {
        name: run.name.clone(),
        vm: spec.vm.clone(),
        from: vm.region.clone(),
        to: spec.to.clone(),
        progress: run.stage.progress().clone(),
        started_ns: run.stage.started.map(Instant::as_ns),
        total_time_ns: since(run.stage.started, run.resumed),
        downtime_ns: since(run.paused, run.resumed),
        setup_time_ns: since(run.stage.started, run.set_up),
        expected_downtime_ns: run
            .set_up
            .and(statistics)
            .map(|statistics| statistics.expected_downtime.as_ns()),
        verified_pages: run.verified_pages,
        ram,
        encoding,
        transport: TransportRecord {
            streams: spec.transport.streams,
            chunks: statistics.map_or(0, |statistics| statistics.transport.chunks),
            requeued_chunks: statistics.map_or(0, |s| s.transport.retransmitted_chunks),
            segments,
            retransmits,
        },
    }
}

fn replication(loaded: &Loaded, scene: &Scene, index: usize, now: Instant) -> ReplicationRecord {
    let endpoint = scene.endpoint(Workload::Replication(index), Role::ReplicationSource);
    let Protocol::ReplicationSource(source) = &endpoint.machine else {
        unreachable!("a replication starts from its source")
    };
    replication_record(
        &loaded.scenario,
        index,
        &scene.workloads.replications[index],
        Some(&source.statistics()),
        segments(scene, endpoint),
        now,
    )
}

fn transfer(loaded: &Loaded, scene: &mut Scene, index: usize, now: Instant) -> TransferRecord {
    let receiver = scene.cast.peer(Workload::Transfer(index), Role::BulkReceiver);
    let receiver = &scene.endpoints[receiver.0 as usize];
    let received = scene.network.received(receiver, now).iter().sum();
    let run = &scene.workloads.transfers[index];
    let sender = scene.endpoint(Workload::Transfer(index), Role::BulkSender);
    let segments = segments(scene, sender);
    transfer_record(&loaded.scenario, index, run, received, segments)
}

/// The record of a transfer: what was seen of it, the bytes that arrived, and the TCP segments that its sender sent, in
/// all and again.
pub fn transfer_record(
    scenario: &Scenario,
    index: usize,
    run: &TransferRun,
    received: u64,
    (segments, retransmits): (u64, u64),
) -> TransferRecord {
    let spec = &scenario.transfers[index];
    let (size, duration) = match spec.amount {
        Amount::Size(size) => (Some(size), None),
        Amount::Duration(duration) => (None, Some(duration)),
    };
    // Until all streams are connected the slowest handshake is not known.
    let connected = run.connected.filter(|_| run.connections == spec.streams);
    TransferRecord {
        name: run.name.clone(),
        from: spec.from.clone(),
        to: spec.to.clone(),
        progress: run.stage.progress().clone(),
        size: size.map(ByteSize::as_bytes),
        duration_ns: duration.map(Span::as_ns),
        received,
        received_in_time: duration
            .and(run.shares.as_ref())
            .map(|shares| shares.iter().sum()),
        fairness_millionths: run.fairness_millionths(),
        completion_ns: since(run.stage.started, run.finished),
        first_stream_ns: since(run.stage.started, run.first_stream),
        handshake_ns: since(run.stage.started, connected),
        streams: spec.streams,
        segments,
        retransmits,
    }
}

fn link(loaded: &Loaded, scene: &mut Scene, index: usize, now: Instant) -> LinkRecord {
    let spec = &loaded.scenario.links[index];
    let used = scene
        .network
        .link_use(LinkId(index as u32), spec.rate.constant(), now);
    LinkRecord {
        name: spec.name(),
        rate_bits_per_s: spec.rate.constant().map(BitRate::as_bits_per_s),
        delay_ns: spec.delay.as_ns(),
        delivered_bytes: used.delivered_bytes,
        busy_ns: used.busy.as_ns(),
        active_ns: used.active.as_ns(),
        packets: used.packets,
    }
}

/// TCP segments that an endpoint's connections have sent, and how many of them again.
fn segments(scene: &Scene, endpoint: &Endpoint) -> (u64, u64) {
    endpoint
        .streams
        .values()
        .fold((0, 0), |(segments, retransmits), &(connection, side)| {
            let (sent, again) = scene.network.segments(connection, side);
            (segments + sent, retransmits + again)
        })
}
