//! No dead knobs: every field that describes the world changes what happens in it. That every field changes the
//! resolved scenario is tested beside the language; here the run's digest has to move.
//!
//! Not in the list: `version`, `name`, `question` and `expect`, which are words about the scenario; `location`, which
//! only the check uses (a link faster than light is an error); `horizon` beyond the end of the work; assertions,
//! which judge a run and must not change it, and `replay`, which judges the comparison with a real kernel and which no
//! simulation reads (both tested below).

use crate::common::{run, run_text};

/// Small, and tight everywhere: queues overflow, buffers and windows bind, memory is written while it is copied.
const TIGHT: &str = r#"Scenario(
    version: 1, name: "tight", question: "q", expect: "e", seed: 3, horizon: "30 s", sample_interval: "100 ms",
    payload: Sampled(share: "30 %"),
    regions: [(name: "a"), (name: "b"), (name: "c")],
    links: [
        (from: "a", to: "b", delay: "10 ms", rate: "80 Mbit/s", queue: Packets(60),
            loss: GilbertElliott(mean: "0.2 %", burst: 3), jitter: Normal(mean: "200 us", sd: "100 us")),
        (from: "b", to: "a", delay: "11 ms", rate: "70 Mbit/s", queue: Bytes("100 kB"),
            loss: Independent(mean: "0.1 %"), jitter: Uniform(max: "1 ms")),
        (between: ("b", "c"), rtt: "8 ms", rate: "60 Mbit/s", queue: Bdp(1.2)),
    ],
    vms: [
        (name: "first", region: "a", memory: Generated(pattern: RealWorld, size: "8 MiB",
            dirty: (rate: "2000 pages/s", working_set: "30 %", bytes_per_write: "100 B"))),
        (name: "second", region: "b", memory: Generated(pattern: Bursty, size: "4 MiB")),
    ],
    migrations: [
        (name: "m1", vm: "first", to: "b", start: At("1 s"), downtime_limit: "100 ms", encoding: Hde(level: 1),
            transport: (streams: 3, chunk: "16 KiB", window: "512 KiB",
                tcp: (controller: Cubic, send_buffer: "128 KiB", notsent_lowat: "16 KiB", receive_buffer: "1 MiB"))),
        (name: "m2", vm: "second", to: "c", start: After(migration: "m1", pause: "50 ms")),
    ],
    transfers: [
        (name: "t1", from: "a", to: "c", size: "4 MB", at: "10 ms", streams: 2,
            tcp: (controller: Reno, send_buffer: "4 MiB", receive_buffer: "64 KiB")),
        (name: "t2", from: "b", to: "c", size: "2 MB", at: "0 s"),
        (name: "t3", from: "b", to: "c", duration: "300 ms"),
        (name: "t4", from: "c", to: "b", size: "6 MB", transport: (
            streams: Adaptive(initial: 2, most: 12, contending: 2), chunk: "32 KiB", window: "1 MiB",
            tcp: (send_buffer: "128 KiB", receive_buffer: "128 KiB"))),
        (name: "t5", from: "c", to: "b", size: "2 MB", at: "2 s",
            transport: (streams: SpecRule("80 Mbit/s"), chunk: Adaptive, window: "4 MiB")),
    ],
    assertions: [(metric: MigrationTotalTime, statistic: Max, bound: AtMost("20 s"))],
)"#;

const CHANGES: &[&str] = &[
    "seed=4",
    "seeds.workload=4",
    "seeds.network=4",
    "sample_interval=90 ms",
    r#"payload=Sampled(share: "60 %")"#,
    "payload=Real",
    "links[0].delay=10.5 ms",
    "links[0].rate=81 Mbit/s",
    "links[0].queue=Packets(50)",
    "links[0].queue=Inside(60)",
    r#"links[0].loss.mean="0.3 %""#,
    "links[0].loss.burst=4",
    r#"links[0].jitter.mean="210 us""#,
    r#"links[0].jitter.sd="110 us""#,
    r#"links[1].loss.mean="2 %""#,
    r#"links[1].jitter.max="2 ms""#,
    r#"links[1].delay="12 ms""#,
    r#"links[1].rate="60 Mbit/s""#,
    "links[2].rtt=9 ms",
    "links[2].rate=50 Mbit/s",
    "links[2].queue=Bdp(1.1)",
    "vms[first].memory.pattern=Sinusoidal",
    "vms[first].memory.size=9 MiB",
    "vms[first].memory.dirty.rate=2100 pages/s",
    "vms[first].memory.dirty.working_set=40 %",
    "vms[first].memory.dirty.bytes_per_write=200 B",
    "migrations[m1].start=At(\"1.1 s\")",
    "migrations[m1].downtime_limit=20 ms",
    "migrations[m1].encoding=Raw",
    "migrations[m1].encoding=Hde(level: 9)",
    "migrations[m1].to=c",
    "migrations[m1].transport.streams=4",
    "migrations[m1].transport.chunk=20 KiB",
    "migrations[m1].transport.window=400 KiB",
    "migrations[m1].transport.tcp.controller=Reno",
    "migrations[m1].transport.tcp.send_buffer=32 KiB",
    "migrations[m1].transport.tcp.notsent_lowat=32 KiB",
    "migrations[m1].transport.tcp.receive_buffer=16 KiB",
    "migrations[m1].transport.tcp.initial_window=20",
    "migrations[m1].transport.tcp.segmentation_offload=true",
    "migrations[m2].start.pause=60 ms",
    "transfers[t1].from=b",
    "transfers[t1].size=4.1 MB",
    "transfers[t1].at=20 ms",
    "transfers[t1].streams=3",
    "transfers[t1].call_time=30 us",
    "transfers[t1].tcp.autotuning=false",
    "transfers[t1].tcp.controller=Cubic",
    "transfers[t1].tcp.controller=Bbr",
    "transfers[t1].tcp.send_buffer=48 KiB",
    "transfers[t1].tcp.receive_buffer=72 KiB",
    "transfers[t3].duration=320 ms",
    "transfers[t4].transport.streams=7",
    "transfers[t4].transport.streams.initial=3",
    "transfers[t4].transport.streams.most=3",
    "transfers[t4].transport.streams.contending=7",
    "transfers[t4].transport.chunk=30 KiB",
    "transfers[t4].transport.window=300 KiB",
    "transfers[t4].transport.tcp.controller=Reno",
    r#"transfers[t5].transport.streams=SpecRule("60 Mbit/s")"#,
    "transfers[t5].transport.streams=SeedOptimiser",
    "transfers[t5].transport.chunk=64 KiB",
    "transfers[t1].tcp.initial_window=2",
    "transfers[t2].tcp.hystart=false",
    "transfers[t1].tcp.segmentation_offload=true",
];

/// Migrations of every kind, each slow enough that everything said of it matters.
const MOVING: &str = r#"Scenario(
    version: 1, name: "moving", question: "q", expect: "e", seed: 3, horizon: "6 min", sample_interval: "1 s",
    regions: [(name: "a"), (name: "b"), (name: "c")],
    links: [(between: ("a", "b"), rtt: "10 ms", rate: "40 Mbit/s"), (between: ("a", "c"), rtt: "10 ms", rate: "40 Mbit/s")],
    transport: (streams: 2),
    vms: [
        (name: "writer", region: "a", vcpus: 2, memory: Generated(pattern: Constant, size: "4 MiB",
            dirty: (rate: "4000 pages/s", working_set: "60 %", locality: HotCold(hot: "20 %", accesses: "50 %")))),
        (name: "reader", region: "a", vcpus: 2,
            memory: Generated(pattern: RealWorld, size: "4 MiB", dirty: (rate: "300 pages/s")),
            reads: (rate: "2000 pages/s", working_set: "80 %", locality: Zipf(exponent: 0.9))),
        (name: "loop", region: "a", memory: Generated(pattern: Constant, size: "2 MiB",
            dirty: (rate: "900 pages/s", working_set: "50 %", locality: Sequential, bytes_per_write: "16 B"))),
        (name: "hot", region: "a", memory: Generated(pattern: Constant, size: "8 MiB", dirty: (rate: "30000 pages/s"))),
    ],
    migrations: [
        (name: "slowed", vm: "writer", to: "b", cancel_after: "1 min", orchestration: (before: "100 ms", after: "50 ms"),
            downtime_limit: "50 ms", throttle: AutoConverge(trigger: "40 %", initial: "30 %", increment: "50 %", max: "95 %"),
            max_bandwidth: "32 Mbit/s", stall_after: "500 ms", device_state: "100 kB", resume_time: "20 ms", encoding: Zstd(level: 1),
            cost: Processors(threads: 2, carry: "20 MB", frame: "2 us", scan: "500 MB", hash: "400 MB", entropy: "5 MB",
                decode_frame: "3 us", decode_entropy: "30 MB", rebuild: "300 MB", decode_hash: "200 MB")),
        (name: "follows", vm: "reader", to: "b", start: At("99 s"), mode: PostCopy,
            max_postcopy_bandwidth: "10 Mbit/s", recover: (delay: "500 ms")),
        (name: "deltas", vm: "loop", to: "c", mode: Hybrid(rounds: 3), downtime_limit: "2 ms", encoding: Xbzrle(cache: "1 MiB"),
            cost: Processors(threads: 1, compare: "50 MB")),
        (name: "limited", vm: "hot", to: "c", start: After(migration: "deltas"), downtime_limit: "100 ms",
            throttle: DirtyLimit(trigger: "40 %", per_second: "2 MiB", period: "50 ms"), encoding: Raw, cancel_after: "20 s"),
        (name: "back", vm: "loop", to: "a", start: After(migration: "deltas"), stop: DynamicRate(lowest: "3 Mbit/s", highest: "20 Mbit/s", step: "2 Mbit/s", remaining: "64 kB")),
    ],
    faults: [LinkDown(between: ("a", "b"), at: "100 s", for: "150 s")],
)"#;

const MOVING_CHANGES: &[&str] = &[
    "vms[writer].vcpus=3",
    "vms[writer].memory.dirty.locality=Uniform",
    r#"vms[writer].memory.dirty.locality.hot="30 %""#,
    r#"vms[writer].memory.dirty.locality.accesses="60 %""#,
    "vms[reader].vcpus=1",
    r#"vms[reader].reads.rate="2100 pages/s""#,
    r#"vms[reader].reads.working_set="70 %""#,
    "vms[reader].reads.locality.exponent=1.1",
    "migrations[slowed].cancel_after=3 s",
    r#"migrations[slowed].orchestration.before="110 ms""#,
    r#"migrations[slowed].orchestration.after="60 ms""#,
    "migrations[slowed].mode=Hybrid(rounds: 1)",
    r#"migrations[slowed].mode=Hybrid(after: "500 ms")"#,
    "migrations[slowed].throttle=None",
    "migrations[slowed].throttle=DirtyLimit()",
    r#"migrations[slowed].throttle.trigger="90 %""#,
    r#"migrations[slowed].throttle.initial="40 %""#,
    r#"migrations[slowed].throttle.increment="20 %""#,
    r#"migrations[slowed].throttle.max="50 %""#,
    "migrations[slowed].throttle.tailslow=true",
    r#"migrations[slowed].max_bandwidth="20 Mbit/s""#,
    r#"migrations[slowed].stall_after="20 ms""#,
    r#"migrations[slowed].device_state="90 kB""#,
    r#"migrations[slowed].resume_time="25 ms""#,
    "migrations[slowed].encoding=Zstd(level: 7)",
    "migrations[slowed].cost=Free",
    "migrations[slowed].cost.threads=3",
    r#"migrations[slowed].cost.carry="30 MB""#,
    r#"migrations[slowed].cost.frame="9 us""#,
    r#"migrations[slowed].cost.scan="300 MB""#,
    r#"migrations[slowed].cost.hash="300 MB""#,
    r#"migrations[slowed].cost.entropy="4 MB""#,
    r#"migrations[slowed].cost.decode_frame="9 us""#,
    r#"migrations[slowed].cost.decode_entropy="20 MB""#,
    r#"migrations[slowed].cost.rebuild="200 MB""#,
    r#"migrations[slowed].cost.decode_hash="100 MB""#,
    "migrations[follows].mode=PreCopy",
    "migrations[follows].preempt=false",
    r#"migrations[follows].max_postcopy_bandwidth="12 Mbit/s""#,
    "migrations[follows].recover=None",
    r#"migrations[follows].recover.delay="700 ms""#,
    "migrations[follows].recover.attempts=1",
    "migrations[deltas].mode.rounds=2",
    r#"migrations[deltas].encoding.cache="512 KiB""#,
    r#"migrations[deltas].cost.compare="40 MB""#,
    r#"migrations[limited].throttle.trigger="100 %""#,
    r#"migrations[limited].throttle.per_second="20 MiB""#,
    r#"migrations[limited].throttle.period="500 ms""#,
    "migrations[back].stop=Xen()",
    "migrations[back].stop=Xen(pages: 5)",
    "migrations[back].stop=Xen(rounds: 2)",
    r#"migrations[back].stop.lowest="4 Mbit/s""#,
    r#"migrations[back].stop.highest="10 Mbit/s""#,
    r#"migrations[back].stop.step="1 Mbit/s""#,
    r#"migrations[back].stop.remaining="16 kB""#,
];

/// A link with a way round, and machines that stop.
const FAULTY: &str = r#"Scenario(
    version: 1, name: "faulty", question: "q", expect: "e", seed: 3, horizon: "30 s", sample_interval: "100 ms",
    regions: [(name: "a"), (name: "b"), (name: "c")],
    links: [
        (between: ("a", "b"), rtt: "20 ms", rate: "8 Mbit/s"),
        (between: ("a", "c"), rtt: "20 ms", rate: "8 Mbit/s"),
        (between: ("c", "b"), rtt: "20 ms", rate: "8 Mbit/s"),
    ],
    transfers: [
        (name: "t1", from: "a", to: "b", size: "4 MB"), (name: "t2", from: "c", to: "a", size: "4 MB"),
        (name: "t3", from: "a", to: "c", size: "9 MB", transport: (streams: 3, patience: "500 ms")),
    ],
    faults: [
        LinkDown(from: "a", to: "b", at: "1 s", for: "500 ms"),
        LinkDown(between: ("a", "c"), at: "2 s", for: "300 ms"),
        Pause(region: "b", at: "500 ms", for: "200 ms"),
        Kill(region: "c", at: "3 s"),
        Reset(workload: "t3", at: "300 ms", every: "700 ms"),
    ],
    reroute_after: "100 ms",
)"#;

const FAULTY_CHANGES: &[&str] = &[
    r#"faults[0]=LinkDown(from: "b", to: "a", at: "1 s", for: "500 ms")"#,
    r#"faults[0]=LinkDown(from: "a", to: "b", at: "1 s")"#,
    r#"faults[0].at="1100 ms""#,
    r#"faults[0].for="600 ms""#,
    r#"faults[1].between=("b", "c")"#,
    r#"faults[1].at="2100 ms""#,
    r#"faults[1].for="400 ms""#,
    "faults[2].region=a",
    r#"faults[2].at="510 ms""#,
    r#"faults[2].for="210 ms""#,
    "faults[3].region=b",
    r#"faults[3].at="3100 ms""#,
    "faults[4].workload=t1",
    r#"faults[4].at="310 ms""#,
    r#"faults[4].every="600 ms""#,
    r#"transfers[t3].transport.patience="600 ms""#,
    r#"reroute_after="110 ms""#,
];

#[test]
fn every_field_that_describes_the_world_moves_the_digest() {
    changes_count(TIGHT, CHANGES);
}

/// A replication with an outage and a fail-over.
const PROTECTED: &str = r#"Scenario(
    version: 1, name: "protected", question: "q", expect: "e", seed: 3, horizon: "30 s", sample_interval: "100 ms",
    payload: Sampled(share: "30 %"),
    regions: [(name: "a"), (name: "b"), (name: "c")],
    links: [
        (between: ("a", "b"), rtt: "20 ms", rate: "20 Mbit/s"),
        (between: ("a", "c"), rtt: "20 ms", rate: "20 Mbit/s"),
    ],
    vms: [
        (name: "v1", region: "a", memory: Generated(pattern: RealWorld, size: "2 MiB", dirty: (rate: "200 pages/s"))),
        (name: "v2", region: "a", memory: Generated(pattern: RealWorld, size: "1 MiB", dirty: (rate: "100 pages/s"))),
        (name: "v3", region: "a", memory: Generated(pattern: RealWorld, size: "1 MiB", dirty: (rate: "200 pages/s"))),
    ],
    transport: (streams: 2, chunk: "16 KiB", window: "512 KiB"),
    replications: [
        (name: "r1", vms: ["v1", "v2"], to: "b", at: "10 ms", consistency: Each, policy: Interval("500 ms"),
            rpo_target: "900 ms", snapshot_pause: "1 ms", encoding: Hde(level: 1), encode_threads: 1,
            max_bandwidth: "10 Mbit/s", heartbeat: (interval: "100 ms", multiplier: 5),
            backoff: (first: "200 ms", most: "400 ms"), failover: Manual(at: "8 s"), write_rate: "30 Mbit/s", restore_rate: "100 Mbit/s",
            resume_time: "500 ms"),
        (name: "r2", vms: ["v3"], to: "c", policy: Adaptive(least: "100 ms", most: "300 ms"), rpo_target: "250 ms"),
    ],
    faults: [LinkDown(between: ("a", "b"), at: "3 s", for: "2 s")],
)"#;

const PROTECTED_CHANGES: &[&str] = &[
    r#"replications[r1].vms=["v1"]"#,
    r#"replications[r1].vms=["v2", "v1"]"#,
    "replications[r1].to=c",
    r#"replications[r1].at="12 ms""#,
    "replications[r1].consistency=Group",
    "replications[r1].consistency=Ranked",
    r#"replications[r1].policy=Interval("600 ms")"#,
    r#"replications[r1].policy=Continuous(least: "500 ms")"#,
    // What is a catching up depends on it.
    r#"replications[r1].rpo_target="600 ms""#,
    r#"replications[r2].rpo_target="150 ms""#,
    r#"replications[r2].policy.least="220 ms""#,
    r#"replications[r2].policy.most="200 ms""#,
    r#"replications[r1].snapshot_pause="2 ms""#,
    "replications[r1].encoding=Raw",
    "replications[r1].encoding.level=5",
    "replications[r1].encode_threads=2",
    "replications[r1].transport=(streams: 3)",
    r#"replications[r1].max_bandwidth="9 Mbit/s""#,
    r#"replications[r1].heartbeat.interval="110 ms""#,
    "replications[r1].heartbeat.multiplier=6",
    r#"replications[r1].backoff.first="250 ms""#,
    r#"replications[r1].failover.at="8100 ms""#,
    r#"replications[r1].failover=Manual(after: "100 ms")"#,
    "replications[r1].failover=Automatic",
    r#"replications[r1].write_rate="20 Mbit/s""#,
    r#"replications[r1].restore_rate="110 Mbit/s""#,
    r#"replications[r1].resume_time="510 ms""#,
];

#[test]
fn every_field_of_a_replication_moves_the_digest() {
    changes_count(PROTECTED, PROTECTED_CHANGES);
    // The longest pause matters only after several attempts, each of which takes 10 s.
    let longer = PROTECTED.replace(r#"for: "2 s""#, r#"for: "22 s""#);
    changes_count(&longer, &[r#"replications[r1].backoff.most="300 ms""#]);
}

/// Clusters that write the same keys over links with little room, one of which is cut off, and one of which ends and
/// comes back.
const FEDERATED: &str = r#"Scenario(
    version: 1, name: "federated", question: "q", expect: "e", seed: 3, horizon: "90 s", sample_interval: "1 s",
    regions: [(name: "a"), (name: "b"), (name: "c"), (name: "d")],
    links: [
        (between: ("a", "b"), rtt: "20 ms", rate: "10 Mbit/s"),
        (between: ("a", "c"), rtt: "30 ms", rate: "10 Mbit/s"),
        (between: ("b", "c"), rtt: "40 ms", rate: "10 Mbit/s"),
        (between: ("c", "d"), rtt: "40 ms", rate: "2 Mbit/s"),
    ],
    federations: [(
        name: "f", members: ["a", "b", "c", "d"], at: "100 ms", duration: "30 s",
        state: (every: "250 ms", keys: 60, value: "16 KiB", changed: "20 %", hot_keys: "20 %", hot_updates: "60 %",
            removals: "5 %"),
        commands: (every: "300 ms", value: "200 B", names: 50, reads: "30 %"),
        settings: (
            sync_interval: "2 s", sync_batch: 20, outbox_changes: 40, outbox_bytes: "512 KiB", level: 6,
            baseline_interval: "12 s", max_delta_chain: 3, dictionary: "16 KiB", streams: 2, connect_timeout: "2 s",
            retry_interval: "1 s", max_retries: 3, keepalive: "3 s", answer_timeout: "2 s", recovery_timeout: "2 s",
            metrics_interval: "5 s", target_ratio: 3, target_latency: "35 ms",
            consensus: Raft(voters: ["a", "b", "c"], timeout: "2 s"),
        ),
    )],
    faults: [
        LinkDown(between: ("c", "d"), at: "8 s", for: "12 s"),
        Kill(region: "b", at: "14 s", for: "6 s"),
    ],
)"#;

const FEDERATED_CHANGES: &[&str] = &[
    r#"federations[f].members=["a", "b", "d", "c"]"#,
    "federations[f].topology=Ring",
    r#"federations[f].topology=Star(hub: "a")"#,
    r#"federations[f].at="120 ms""#,
    r#"federations[f].duration="31 s""#,
    r#"federations[f].state.every="260 ms""#,
    "federations[f].state.keys=61",
    "federations[f].state.shared=false",
    r#"federations[f].state.value="17 KiB""#,
    r#"federations[f].state.changed="40 %""#,
    r#"federations[f].state.hot_keys="30 %""#,
    r#"federations[f].state.hot_updates="50 %""#,
    r#"federations[f].state.removals="10 %""#,
    "federations[f].state.priority=High",
    r#"federations[f].commands.every="310 ms""#,
    r#"federations[f].commands.value="210 B""#,
    "federations[f].commands.names=40",
    r#"federations[f].commands.reads="20 %""#,
    "federations[f].config=Production",
    r#"federations[f].settings.sync_interval="3 s""#,
    "federations[f].settings.sync_batch=5",
    "federations[f].settings.outbox_changes=20",
    r#"federations[f].settings.outbox_bytes="64 KiB""#,
    "federations[f].settings.coalesce=false",
    "federations[f].settings.level=2",
    "federations[f].settings.adaptive=false",
    r#"federations[f].settings.bandwidth_threshold="1 %""#,
    r#"federations[f].settings.dictionary="0 B""#,
    r#"federations[f].settings.baseline_interval="6 s""#,
    "federations[f].settings.max_delta_chain=1",
    "federations[f].settings.encode_time=false",
    "federations[f].settings.streams=3",
    r#"federations[f].settings.stream_buffer="16 KiB""#,
    r#"federations[f].settings.connect_timeout="1 s""#,
    r#"federations[f].settings.retry_interval="2 s""#,
    "federations[f].settings.max_retries=1",
    r#"federations[f].settings.keepalive="2 s""#,
    r#"federations[f].settings.answer_timeout="1 s""#,
    r#"federations[f].settings.recovery_timeout="1 ms""#,
    r#"federations[f].settings.metrics_interval="4 s""#,
    "federations[f].settings.target_ratio=100",
    r#"federations[f].settings.target_latency="500 ms""#,
    r#"federations[f].settings.durable_after="2 s""#,
    r#"federations[f].settings.consensus.voters=["a", "b", "c", "d"]"#,
    r#"federations[f].settings.consensus.timeout="1 s""#,
    "federations[f].settings.consensus.batch_entries=1",
    r#"federations[f].settings.consensus.batch_interval="50 ms""#,
    r#"federations[f].settings.consensus.election_timeout="2 s""#,
    r#"federations[f].settings.consensus.heartbeat="200 ms""#,
    "federations[f].settings.consensus.pre_vote=false",
    "federations[f].settings.consensus.lease_drift_ppm=100",
    "federations[f].tcp.initial_window=2",
];

#[test]
fn every_field_of_a_federation_moves_the_digest() {
    changes_count(FEDERATED, FEDERATED_CHANGES);
    // What is written out overrules the configuration.
    let shorter = FEDERATED.replace("level: 6,", "");
    changes_count(&shorter, &["federations[f].config=MultiRegion"]);
    // A quorum matters to a leader that is cut off from it: here every voter is, one after the other.
    let (before, _) = FEDERATED.split_once("faults:").expect("faults");
    let cut_off = r#"faults: [
        LinkDown(between: ("a", "b"), at: "6 s", for: "6 s"), LinkDown(between: ("a", "c"), at: "6 s", for: "6 s"),
        LinkDown(between: ("b", "a"), at: "15 s", for: "6 s"), LinkDown(between: ("b", "c"), at: "15 s", for: "6 s"),
        LinkDown(between: ("c", "a"), at: "24 s", for: "6 s"), LinkDown(between: ("c", "b"), at: "24 s", for: "6 s"),
    ])"#;
    let quorum = ["federations[f].settings.consensus.check_quorum=false"];
    changes_count(&format!("{before}{cut_off}"), &quorum);
}

/// Three ways between two regions, one of which fails, and traffic of several kinds over them.
const OVERLAID: &str = r#"Scenario(
    version: 1, name: "overlaid", question: "q", expect: "e", seed: 3, horizon: "4 min", sample_interval: "1 s",
    regions: [(name: "a"), (name: "z"), (name: "y"), (name: "b"), (name: "c")],
    links: [
        (between: ("a", "z"), rtt: "10 ms", rate: "20 Mbit/s", cost: 1, jitter: Normal(mean: "4 ms", sd: "3 ms")),
        (between: ("z", "b"), rtt: "10 ms", rate: "20 Mbit/s", cost: 1),
        (between: ("a", "y"), rtt: "30 ms", rate: "40 Mbit/s", cost: 1, loss: Independent(mean: "0.5 %")),
        (between: ("y", "b"), rtt: "30 ms", rate: "40 Mbit/s", cost: 1),
        (between: ("a", "b"), rtt: "60 ms", rate: "10 Mbit/s", cost: 20, mtu: "1400 B"),
        (between: ("b", "c"), rtt: "20 ms", rate: "20 Mbit/s", cost: 2),
    ],
    overlays: [
        (name: "wan", paths: [
            (name: "near", between: ("a", "b"), via: ["z"], tunnel: WireGuard(keepalive: "20 s"), rate: "20 Mbit/s", price: 0.05),
            (name: "far", between: ("a", "b"), via: ["y"], tunnel: Ipsec(nat_traversal: false), price: 0.01),
            (name: "open", between: ("a", "b"), tunnel: Gre(key: false, keepalive: None)),
            (name: "bare", between: ("a", "b"), via: []),
        ], selection: ByPolicy(policies: [
            (name: "urgent", priority: 0, class: Realtime, objective: LowestCost),
            (name: "voice", priority: 1, ports: (5060, 5061), objective: LatencySensitive),
            (name: "bulk", priority: 2, from: "a", ports: 21, class: Bulk, objective: HighestBandwidth),
            (name: "rest", priority: 9, objective: Weighted(latency: 0.2, jitter: 0.1, loss: 0.2, bandwidth: 0.1, cost: 0.4)),
        ], hysteresis: (leave: 50, back: 80, hold: "20 s", advantage: 5), review: "5 s"),
            bfd: (interval: "300 ms", multiplier: 3, slow_start: true), trains: (interval: "20 s")),
        (name: "tail", paths: [(name: "only", between: ("b", "c"), via: [])], selection: InOrder(hold: "15 s")),
    ],
    datagrams: [
        (name: "call", from: "a", to: "b", at: "5 s", duration: "150 s", interval: "50 ms"),
        (name: "talk", from: "b", to: "c", at: "5 s", duration: "60 s", interval: "50 ms", port: 5004),
    ],
    transfers: [
        (name: "bulk", from: "a", to: "b", size: "30 MB", at: "10 s", port: 21, tcp: (class: 4)),
        (name: "web", from: "b", to: "a", size: "5 MB", at: "12 s"),
        (name: "routed", from: "a", to: "c", size: "3 MB", at: "1 s"),
    ],
    faults: [
        LinkDown(between: ("z", "b"), at: "30 s", for: "10 s"),
        LinkDown(between: ("b", "c"), at: "20 s", for: "2 s"),
        LinkDown(between: ("b", "c"), at: "45 s", for: "2 s"),
    ],
    routing: (objective: LowestCost),
)"#;

const OVERLAID_CHANGES: &[&str] = &[
    "routing.objective=LowestLatency",
    "routing.objective=Balanced(latency_per_ms: 1, cost: 1)",
    "routing.multipath=true",
    "links[0].cost=0",
    r#"links[4].mtu="1200 B""#,
    r#"overlays[wan].paths[near].via=["y"]"#,
    r#"overlays[wan].paths[near].tunnel=None"#,
    r#"overlays[wan].paths[near].tunnel.ip=6"#,
    r#"overlays[wan].paths[far].tunnel.nat_traversal=true"#,
    r#"overlays[wan].paths[far].tunnel=Vxlan()"#,
    r#"overlays[wan].paths[open].tunnel.key=true"#,
    r#"overlays[wan].paths[open].tunnel.keepalive=(every: "5 s")"#,
    r#"overlays[wan].paths[open].via=[]"#,
    "overlays[wan].paths[near].price=0.2",
    r#"overlays[wan].selection=InOrder(hold: "10 s")"#,
    "overlays[wan].selection.policies[1].objective=HighestBandwidth",
    "overlays[wan].selection.policies[1].ports=6000",
    "overlays[wan].selection.policies[2].priority=10",
    r#"overlays[wan].selection.policies[2].from="b""#,
    "overlays[wan].selection.policies[2].class=Critical",
    "overlays[wan].selection.hysteresis=None",
    r#"overlays[wan].selection.hysteresis.hold="40 s""#,
    r#"overlays[wan].selection.review="1 s""#,
    r#"overlays[wan].probes.interval="500 ms""#,
    r#"overlays[wan].probes.timeout="20 ms""#,
    "overlays[wan].probes.rtt_samples=3",
    "overlays[wan].probes.loss_samples=4",
    r#"overlays[wan].probes.age="3 s""#,
    r#"overlays[wan].bfd.interval="200 ms""#,
    "overlays[wan].bfd.multiplier=5",
    "overlays[wan].bfd.slow_start=false",
    "overlays[wan].bfd=None",
    "overlays[wan].trains=None",
    "overlays[wan].trains.packets=4",
    r#"overlays[wan].trains.burst="1 ms""#,
    r#"overlays[wan].trains.length="600 B""#,
    r#"overlays[wan].trains.interval="10 s""#,
    r#"overlays[wan].trains.share="0.01 %""#,
    r#"overlays[wan].trains.assumed="50 kbit/s""#,
    r#"overlays[tail].selection.hold="30 s""#,
    r#"datagrams[call].at="6 s""#,
    r#"datagrams[call].duration="140 s""#,
    r#"datagrams[call].interval="40 ms""#,
    r#"datagrams[call].payload="200 B""#,
    "datagrams[call].port=80",
    "datagrams[call].class=2",
    "datagrams[call].to=c",
    "transfers[bulk].port=443",
];

#[test]
fn every_field_of_an_overlay_and_its_traffic_moves_the_digest() {
    changes_count(OVERLAID, OVERLAID_CHANGES);
    // A rate that is given counts until one is measured, and keepalives where nothing else keeps a tunnel busy.
    let unmeasured = OVERLAID.replace("trains: (interval: \"20 s\")", "trains: None");
    changes_count(&unmeasured, &[r#"overlays[wan].paths[far].rate="1 Gbit/s""#]);
    let quiet = OVERLAID.replace("bfd: (interval", "probes: (interval: \"10 s\"), bfd: (interval");
    let quiet = quiet.replace(
        "bfd: (interval: \"300 ms\", multiplier: 3, slow_start: true)",
        "bfd: None",
    );
    changes_count(&quiet, &[r#"overlays[wan].paths[near].tunnel.keepalive="3 s""#]);
    // These matter once sessions are not there to be faster.
    let probed = OVERLAID.replace(
        "bfd: (interval: \"300 ms\", multiplier: 3, slow_start: true)",
        "bfd: None",
    );
    changes_count(
        &probed,
        &[
            "overlays[wan].probes.down_after=5",
            "overlays[wan].probes.up_after=9",
        ],
    );
}

/// Reservations of which one displaces another, and traffic on them.
const RESERVED: &str = r#"Scenario(
    version: 1, name: "reserved", question: "q", expect: "e", seed: 3, horizon: "1 min", sample_interval: "1 s",
    regions: [(name: "a"), (name: "x"), (name: "y"), (name: "b")],
    links: [
        (between: ("a", "x"), rtt: "10 ms", rate: "20 Mbit/s"), (between: ("x", "b"), rtt: "10 ms", rate: "20 Mbit/s"),
        (between: ("a", "y"), rtt: "30 ms", rate: "20 Mbit/s"), (between: ("y", "b"), rtt: "30 ms", rate: "20 Mbit/s"),
    ],
    reservations: [
        (name: "low", from: "a", to: "b", rate: "15 Mbit/s", start: "0 s", end: "40 s", priority: 1),
        (name: "other", from: "a", to: "b", rate: "15 Mbit/s", start: "1 s", end: "30 s", priority: 2),
        (name: "high", from: "a", to: "b", rate: "18 Mbit/s", requested: "4 s", start: "5 s", end: "20 s", priority: 3),
    ],
    headroom: "5 %",
    datagrams: [(name: "d", from: "a", to: "b", duration: "45 s", interval: "100 ms", reservation: "other")],
    transfers: [(name: "t", from: "a", to: "b", size: "40 MB", reservation: "low")],
)"#;

#[test]
fn every_field_of_a_reservation_moves_the_digest() {
    changes_count(
        RESERVED,
        &[
            r#"reservations[low].rate="3 Mbit/s""#,
            r#"reservations[low].end="39 s""#,
            "reservations[low].priority=4",
            r#"reservations[other].start="2 s""#,
            r#"reservations[high].requested="3 s""#,
            r#"reservations[high].start="6 s""#,
            r#"headroom="50 %""#,
            "datagrams[d].reservation=low",
            "transfers[t].reservation=other",
        ],
    );
}

/// Demands that a failure moves, beside a stream of datagrams.
const SPREAD: &str = r#"Scenario(
    version: 1, name: "spread", question: "q", expect: "e", seed: 3, horizon: "1 min", sample_interval: "1 s",
    regions: [(name: "a"), (name: "x"), (name: "y"), (name: "b")],
    links: [
        (between: ("a", "x"), rtt: "10 ms", rate: "20 Mbit/s"), (between: ("x", "b"), rtt: "10 ms", rate: "20 Mbit/s"),
        (between: ("a", "y"), rtt: "30 ms", rate: "20 Mbit/s"), (between: ("y", "b"), rtt: "30 ms", rate: "20 Mbit/s"),
    ],
    demands: [(from: "a", to: "b", rate: "25 Mbit/s"), (from: "b", to: "a", rate: "9 Mbit/s")],
    engineering: (method: Survive(failures: 1, paths: 2), reaction: "500 ms"),
    datagrams: [(name: "d", from: "a", to: "b", duration: "45 s", interval: "100 ms")],
    faults: [LinkDown(between: ("a", "x"), at: "10 s", for: "10 s")],
)"#;

#[test]
fn every_field_of_a_demand_moves_the_digest() {
    changes_count(
        SPREAD,
        &[
            r#"demands[a->b].rate="5 Mbit/s""#,
            r#"demands[1].to="x""#,
            r#"demands[1].from="y""#,
            r#"engineering.reaction="600 ms""#,
            "engineering=(method: Routed)",
            "engineering.method=LeastUtilisation",
            "engineering.method.failures=2",
            "engineering.method.paths=1",
        ],
    );
}

#[test]
fn every_field_of_a_migration_moves_the_digest() {
    changes_count(MOVING, MOVING_CHANGES);
}

#[test]
fn every_field_of_a_fault_moves_the_digest() {
    changes_count(FAULTY, FAULTY_CHANGES);
}

/// Each of the changes to a scenario gives another digest.
pub fn changes_count(text: &str, changes: &[&str]) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("scenario.ron");
    std::fs::write(&path, text).expect("a written scenario");
    let before = run(&path, &[]).record.digest;
    let idle: Vec<&&str> = changes
        .iter()
        .filter(|change| run(&path, &[change]).record.digest == before)
        .collect();
    assert!(idle.is_empty(), "these change nothing: {idle:?}");
}

#[test]
fn an_assertion_judges_a_run_and_does_not_change_it() {
    let (with, without) = (
        run_text(TIGHT).record,
        run_text(&TIGHT.replace("20 s", "1 ms")).record,
    );
    assert_eq!(with.digest, without.digest);
    assert_ne!(with.verdict, without.verdict);
}

#[test]
fn how_a_replay_is_judged_changes_no_run() {
    let block = r#"replay: (replications: 7, simulations: 9, margins: [(metric: LinkDelivered, within: "1 %")]), seed"#;
    let (with, without) = (
        run_text(&TIGHT.replacen("seed", block, 1)).record,
        run_text(TIGHT).record,
    );
    assert_eq!(with.digest, without.digest);
    // It is part of the scenario all the same.
    assert_ne!(with.scenario_hash, without.scenario_hash);
}
