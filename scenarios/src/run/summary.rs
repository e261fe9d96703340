//! From the world at the end of a run to its records.

use longhaul_amst::SenderStats;
use longhaul_core::MODEL_VERSION;
use longhaul_core::random::Seeds;
use longhaul_core::record::outage::{Outage, Outages, together};
use longhaul_core::record::{
    AmstRecord, BoundsRecord, ClientRecord, DatagramRecord, EncodingRecord, Ended, EventRecord,
    FederationRecord, LinkRecord, MigrationRecord, OverlayRecord, PayloadRecord, PostcopyRecord,
    RECORD_FORMAT, RamRecord, ReplicationRecord, RunRecord, SeedsRecord, ServiceRecord, ThrottleRecord,
    TransferRecord, TransportRecord, Verdict, XbzrleCacheRecord,
};
use longhaul_core::schedule::Schedule;
use longhaul_core::time::{Instant, Span};
use longhaul_core::units::{BitRate, ByteSize, Probability};
use longhaul_engine::Engine;
use longhaul_federation::check::check_history;
use longhaul_migration::Statistics;
use longhaul_net::routing::LinkId;
use longhaul_raft::history::Verdict as Order;

use super::RunOptions;
use super::assertions;
use super::cast::{Role, Workload};
use super::datagrams::datagram_record;
use super::encoding::add_encoding;
use super::endpoint::{Endpoint, Protocol};
use super::federations::{Counted, federation_record};
use super::overlays::{EdgeFigures, overlay_record};
use super::replications::replication_record;
use super::scene::Scene;
use super::services::{client_record, server_record};
use super::workload::{MigrationRun, TransferRun};
use crate::Loaded;
use crate::schema::{Amount, Mode, PayloadMode, Scenario, Service, Streams};

/// Outages whose effects are looked at.
const MOST_OUTAGES: usize = 1_000;

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
    let outages = outages(&scene.events, now);
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
        seeds: seeds(scenario),
        fidelity: scene.network.fidelity(),
        fidelity_reason: scene.fidelity_reason.clone(),
        ended,
        aborted: scene.aborts.abort().map(|(_, record)| record.clone()),
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
        federations: (0..scene.workloads.federations.len())
            .map(|i| federation(loaded, scene, i, now))
            .collect(),
        datagrams: (0..scenario.datagrams.len())
            .map(|i| datagrams(scene, i))
            .collect(),
        reservations: scene.reservations.records(scenario, now),
        demands: scene.demands.records(scenario, now),
        routes: scene
            .route_control
            .as_ref()
            .map_or(Vec::new(), |control| control.records(scenario, now)),
        services: services(scene),
        clients: (0..scenario.clients.len())
            .map(|i| client(scene, i, &outages, now))
            .collect(),
        overlays: (0..scenario.overlays.len())
            .map(|i| overlay(scene, i, now))
            .collect(),
        links: (0..scenario.links.len())
            .map(|i| link(loaded, scene, i, now))
            .collect(),
        unrouted_packets: scene.network.unrouted(),
        oversized_packets: scene.network.oversized(),
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

/// What was broken when; what strikes and ends together is one.
fn outages(events: &[EventRecord], end: Instant) -> Vec<Outage> {
    let mut outages = Outages::new(MOST_OUTAGES);
    for event in events {
        outages.event(event.at_ns, &event.entity, event.kind.as_bytes());
    }
    together(&outages.finish(end.as_ns()).0)
}

fn services(scene: &Scene) -> Vec<ServiceRecord> {
    let scenario = &scene.scenario;
    let record = |(index, spec): (usize, &Service)| {
        let servers = (0..).zip(&spec.replicas).map(|(place, region)| {
            let endpoint = scene.endpoint(Workload::Service(index), Role::Server(place));
            let Protocol::Server(server) = &endpoint.machine else {
                unreachable!("a service has servers")
            };
            let statistics = server.statistics();
            assert!(
                statistics.is_conserved(),
                "requests vanished or multiplied at {} in {region}: {statistics:?}",
                spec.name
            );
            server_record(region, spec.options.cores, &statistics)
        });
        ServiceRecord {
            name: spec.name.clone(),
            servers: servers.collect(),
        }
    };
    scenario.services.iter().enumerate().map(record).collect()
}

fn client(scene: &Scene, index: usize, outages: &[Outage], now: Instant) -> ClientRecord {
    let spec = &scene.scenario.clients[index];
    let endpoint = scene.endpoint(Workload::Client(index), Role::Client);
    let Protocol::Client(client) = &endpoint.machine else {
        unreachable!("a client is a client")
    };
    let progress = scene.workloads.clients[index].stage.progress().clone();
    let before = scene.queued_before_faults.as_ref();
    let queued = before.map(|before| {
        let service = Service::place(&scene.scenario.services, &spec.service);
        (before[service], scene.queued(service))
    });
    client_record(spec, client, progress, scene.fault_window, outages, queued, now)
}

/// From one moment to another, if both have come.
/// The seeds of the sources of chance, unless all of them have the scenario's.
fn seeds(scenario: &Scenario) -> Option<SeedsRecord> {
    let seeds = scenario.seeds();
    (seeds != Seeds::all(scenario.seed)).then_some(SeedsRecord {
        workload: seeds.workload,
        network: seeds.network,
        faults: seeds.faults,
    })
}

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
    let ns = Span::as_ns;
    let counted = statistics.map(|statistics| {
        let mut record = EncodingRecord::default();
        add_encoding(&mut record, &statistics.copy, &statistics.encoder.pages);
        record
    });
    MigrationRecord {
        name: run.name.clone(),
        vm: spec.vm.clone(),
        from: scenario.origin(index).to_owned(),
        to: spec.to.clone(),
        progress: run.stage.progress().clone(),
        status: statistics.map_or(String::new(), |statistics| statistics.status.name().to_owned()),
        started_ns: run.stage.started.map(Instant::as_ns),
        began_ns: run.began.map(Instant::as_ns),
        job_time_ns: since(run.stage.started, run.finished),
        total_time_ns: since(run.began, run.arrived),
        downtime_ns: since(run.paused, run.resumed),
        setup_time_ns: since(run.began, run.set_up),
        expected_downtime_ns: run
            .set_up
            .and(statistics)
            .map(|statistics| ns(statistics.expected_downtime)),
        expected_total_time_ns: statistics.and_then(|statistics| statistics.expected_total_time.map(ns)),
        stalls: run.stalls,
        interruptions: statistics.map_or(0, |statistics| statistics.interruptions.into()),
        verified_pages: run.verified_pages,
        ram: statistics.map(ram_record).unwrap_or_default(),
        throttle: statistics.map(throttle_record).unwrap_or_default(),
        postcopy: run
            .arrival
            .as_ref()
            .filter(|_| spec.mode != Mode::PreCopy)
            .map(|arrival| PostcopyRecord {
                faults: arrival.faults,
                requests: arrival.requests,
                blocktime_ns: ns(arrival.postcopy_blocktime),
                vcpu_blocktime_ns: arrival.postcopy_vcpu_blocktime.iter().copied().map(ns).collect(),
                longest_fault_ns: ns(arrival.longest_fault),
            }),
        xbzrle_cache: statistics
            .and_then(|statistics| statistics.xbzrle_cache)
            .map(|cache| XbzrleCacheRecord {
                cache_size: cache.cache_size,
                bytes: cache.bytes,
                pages: cache.pages,
                cache_miss: cache.cache_miss,
                overflow: cache.overflow,
            }),
        bounds: BoundsRecord {
            decoding_ns: run
                .arrival
                .as_ref()
                .map_or(0, |arrival| ns(arrival.decoding_time)),
            ..statistics.map(bounds_record).unwrap_or_default()
        },
        encoding: counted.unwrap_or_default(),
        transport: TransportRecord {
            streams: match spec.transport.streams {
                Streams::Fixed(streams) => streams,
                _ => statistics.map_or(0, |statistics| statistics.transport.most_streams),
            },
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

fn datagrams(scene: &Scene, index: usize) -> DatagramRecord {
    let workload = Workload::Datagrams(index);
    let sender = scene.endpoint(workload, Role::DatagramSender);
    let receiver = scene.endpoint(workload, Role::DatagramReceiver);
    let (Protocol::DatagramSender(sender), Protocol::DatagramReceiver(receiver)) =
        (&sender.machine, &receiver.machine)
    else {
        unreachable!("a stream has a sender and a receiver")
    };
    let run = &scene.workloads.datagrams[index];
    datagram_record(
        &scene.scenario.datagrams[index],
        run,
        u64::from(sender.sent()),
        &receiver.report(),
    )
}

fn overlay(scene: &Scene, index: usize, now: Instant) -> OverlayRecord {
    let edges = scene.cast.machines(Workload::Overlay(index));
    let figures = edges.filter_map(|peer| match &scene.endpoints[peer.0 as usize].machine {
        Protocol::Edge(process) => Some(EdgeFigures {
            counters: process.counters(),
            discovery: process.discovery(),
        }),
        _ => None,
    });
    let figures = figures.collect();
    let mut record = overlay_record(&scene.scenario, &scene.overlays, index, figures, now);
    let searches =
        scene
            .overlays
            .probers(index)
            .map(|peer| match &scene.endpoints[peer.0 as usize].machine {
                Protocol::PathMtu(search) => search.probes_sent(),
                _ => unreachable!("only these probe for the MTU"),
            });
    let found = record.paths.iter_mut().filter_map(|path| path.path_mtu.as_mut());
    for (record, probes) in found.zip(searches) {
        record.probes_sent = probes;
    }
    record
}

/// Attempts to find an order of all calls to one name of a registry.
const ORDER_ATTEMPTS: u64 = 1_000_000;

/// # Panics
/// If what clients were answered cannot have happened in one order although all clocks were as right as leases rely on.
fn federation(loaded: &Loaded, scene: &Scene, index: usize, now: Instant) -> FederationRecord {
    let workload = Workload::Federation(index);
    let endpoints = scene
        .cast
        .machines(workload)
        .map(|peer| &scene.endpoints[peer.0 as usize]);
    let (mut counted, mut calls) = (
        Counted {
            clusters: Vec::new(),
            segments: 0,
            retransmits: 0,
            linearizable: None,
        },
        Vec::new(),
    );
    let mut drift_ppb = 0;
    for endpoint in endpoints {
        let Protocol::Cluster(process) = &endpoint.machine else {
            unreachable!("a federation has clusters")
        };
        drift_ppb = drift_ppb.max(process.clocks().largest_drift_ppb());
        counted.clusters.push(Some(process.statistics()));
        calls.extend(process.calls());
        let (sent, again) = segments(scene, endpoint);
        counted.segments += sent;
        counted.retransmits += again;
    }
    let run = &scene.workloads.federations[index];
    if let Some(log) = &loaded.scenario.federations[index].settings.consensus {
        let lease_ppm = log.lease_drift_ppm;
        let (verdict, name) = check_history(calls.iter(), ORDER_ATTEMPTS);
        counted.linearizable = match verdict {
            Order::Linearizable => Some(true),
            Order::Undecided => None,
            // A lease relies on clocks, and says how much.
            Order::NotLinearizable { .. }
                if lease_ppm.is_some_and(|ppm| drift_ppb > u64::from(ppm) * 1_000) =>
            {
                Some(false)
            }
            Order::NotLinearizable { explained } => panic!(
                "{}: what clients were answered of {name:?} cannot have happened in any order; {explained} calls can",
                run.name
            ),
        };
    }
    federation_record(&loaded.scenario, index, run, &counted, now)
}

fn ram_record(statistics: &Statistics) -> RamRecord {
    let ram = statistics.ram;
    RamRecord {
        total: ram.total,
        transferred: ram.transferred,
        remaining: ram.remaining,
        duplicate: ram.duplicate,
        normal: ram.normal,
        dirty_sync_count: ram.dirty_sync_count,
        dirty_pages_rate: ram.dirty_pages_rate,
        bandwidth_bits_per_s: ram.bandwidth.as_bits_per_s(),
        pages_per_second: ram.pages_per_second,
        postcopy_requests: ram.postcopy_requests,
        precopy_bytes: ram.precopy_bytes,
        downtime_bytes: ram.downtime_bytes,
        postcopy_bytes: ram.postcopy_bytes,
    }
}

fn throttle_record(statistics: &Statistics) -> ThrottleRecord {
    ThrottleRecord {
        cpu_throttle_percentage: statistics.cpu_throttle_percentage.into(),
        lost_ns: statistics.throttled_time.as_ns(),
        dirty_limit_throttle_time_per_round_ns: statistics.dirty_limit_throttle_time_per_round.as_ns(),
        dirty_limit_ring_full_time_ns: statistics.dirty_limit_ring_full_time.as_ns(),
    }
}

fn bounds_record(statistics: &Statistics) -> BoundsRecord {
    let bounds = statistics.bounds;
    BoundsRecord {
        network_ns: bounds.network.as_ns(),
        processor_ns: bounds.processor.as_ns(),
        bandwidth_limit_ns: bounds.bandwidth_limit.as_ns(),
        idle_ns: bounds.idle.as_ns(),
        encoding_ns: statistics.encoding_time.as_ns(),
        decoding_ns: 0,
    }
}

fn transfer(loaded: &Loaded, scene: &mut Scene, index: usize, now: Instant) -> TransferRecord {
    let (sender, receiver) = scene.cast.transfer(index);
    let receiver = &scene.endpoints[receiver.0 as usize];
    let received = scene.network.received(receiver, now).iter().sum();
    let run = &scene.workloads.transfers[index];
    let sender = &scene.endpoints[sender.0 as usize];
    let amst = match &sender.machine {
        Protocol::ObjectSender(sender) => Some(*sender.statistics()),
        _ => None,
    };
    let segments = segments(scene, sender);
    transfer_record(&loaded.scenario, index, run, received, amst.as_ref(), segments)
}

/// The record of a transfer: what was seen of it, the bytes that arrived, what AMST counted if it carried it, and the
/// TCP segments that its sender sent, in all and again.
pub fn transfer_record(
    scenario: &Scenario,
    index: usize,
    run: &TransferRun,
    received: u64,
    amst: Option<&SenderStats>,
    (segments, retransmits): (u64, u64),
) -> TransferRecord {
    let spec = &scenario.transfers[index];
    let (size, duration) = match spec.amount {
        Amount::Size(size) => (Some(size), None),
        Amount::Duration(duration) => (None, Some(duration)),
    };
    // Until all streams are connected the slowest handshake is not known.
    let awaited = run.streams.unwrap_or(1);
    let connected = run.connected.filter(|_| run.connections >= awaited);
    TransferRecord {
        name: run.name.clone(),
        from: spec.from.clone(),
        to: spec.to.clone(),
        progress: run.stage.progress().clone(),
        started_ns: run.stage.started.map(Instant::as_ns),
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
        streams: run.streams.or(amst.map(|amst| amst.most_streams)).unwrap_or(0),
        segments,
        retransmits,
        amst: amst.map(|amst| AmstRecord {
            streams_last: amst.streams,
            lost_streams: amst.lost_streams,
            chunks: amst.chunks,
            wire_bytes: amst.wire_bytes,
            requeued_chunks: amst.retransmitted_chunks,
            rescued_chunks: amst.rescued_chunks,
        }),
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
