//! The canonical text of a federation.

use longhaul_core::units::ByteSize;
use longhaul_federation::options::{ConsensusOptions, Options};

use super::{quoted, tcp_settings};
use crate::schema::{CommandLoad, Federation, FederationTopology, StateLoad, UpdatePriority};

/// One entry of `federations`.
pub fn federation(federation: &Federation) -> String {
    let Federation {
        name,
        members,
        topology,
        at,
        duration,
        state,
        commands,
        settings: options,
        tcp,
    } = federation;
    let topology = match topology {
        FederationTopology::Mesh => "Mesh".to_owned(),
        FederationTopology::Star { hub } => format!("Star(hub: {})", quoted(hub)),
        FederationTopology::Ring => "Ring".to_owned(),
    };
    let named: Vec<String> = members.iter().map(|member| quoted(member)).collect();
    let state = state.map_or(String::new(), |load| format!(", state: {}", state_load(load)));
    let commands = commands.map_or(String::new(), |load| {
        format!(", commands: {}", command_load(load))
    });
    format!(
        "(name: {}, members: [{}], topology: {topology}, at: \"{at}\", duration: \"{duration}\"{state}{commands}, \
         settings: {}, tcp: {})",
        quoted(name),
        named.join(", "),
        settings(options, members),
        tcp_settings(*tcp),
    )
}

fn state_load(load: StateLoad) -> String {
    let StateLoad {
        every,
        keys,
        shared,
        value,
        changed,
        hot_keys,
        hot_updates,
        removals,
        priority,
    } = load;
    let priority = match priority {
        UpdatePriority::High => "High",
        UpdatePriority::Normal => "Normal",
        UpdatePriority::Low => "Low",
    };
    format!(
        "(every: \"{every}\", keys: {keys}, shared: {shared}, value: \"{value}\", changed: \"{changed}\", \
         hot_keys: \"{hot_keys}\", hot_updates: \"{hot_updates}\", removals: \"{removals}\", priority: {priority})"
    )
}

fn command_load(load: CommandLoad) -> String {
    let CommandLoad {
        every,
        value,
        names,
        reads,
    } = load;
    format!("(every: \"{every}\", value: \"{value}\", names: {names}, reads: \"{reads}\")")
}

fn settings(options: &Options, members: &[String]) -> String {
    let (sync, encoding, connection) = (&options.sync, &options.encoding, &options.connection);
    let size = |bytes: u64| ByteSize::from_bytes(bytes);
    let consensus = options
        .consensus
        .as_ref()
        .map_or("None".to_owned(), |raft| log(raft, members));
    format!(
        "(sync_interval: \"{}\", sync_batch: {}, outbox_changes: {}, outbox_bytes: \"{}\", coalesce: {}, level: {}, \
         adaptive: {}, bandwidth_threshold: \"{}\", dictionary: \"{}\", baseline_interval: \"{}\", \
         max_delta_chain: {}, encode_time: {}, streams: {}, stream_buffer: \"{}\", connect_timeout: \"{}\", \
         retry_interval: \"{}\", max_retries: {}, keepalive: \"{}\", answer_timeout: \"{}\", \
         recovery_timeout: \"{}\", metrics_interval: \"{}\", target_ratio: {}, target_latency: \"{}\", \
         durable_after: \"{}\", consensus: {consensus})",
        sync.interval,
        sync.batch,
        sync.outbox_messages,
        size(sync.outbox_bytes),
        sync.coalesce,
        encoding.level,
        encoding.adaptive,
        encoding.bandwidth_threshold,
        size(u64::from(encoding.dictionary_bytes.unwrap_or(0))),
        encoding.baseline_interval,
        encoding.max_delta_chain,
        encoding.costs_time,
        connection.streams,
        size(u64::from(connection.stream_buffer)),
        connection.connect_timeout,
        connection.retry_interval,
        connection.max_retries,
        connection.keepalive,
        connection.answer_timeout,
        options.recovery_timeout,
        options.metrics_interval,
        options.objectives.compression_ratio,
        options.objectives.latency,
        options.durable_after,
    )
}

fn log(raft: &ConsensusOptions, members: &[String]) -> String {
    let voters: Vec<String> = raft
        .voters
        .iter()
        .map(|voter| quoted(&members[voter.0 as usize]))
        .collect();
    format!(
        "Raft(voters: [{}], timeout: \"{}\", batch_entries: {}, batch_interval: \"{}\", election_timeout: \"{}\", \
         heartbeat: \"{}\", pre_vote: {}, check_quorum: {}, lease_drift_ppm: {}, snapshot_after: {}, \
         disk_sync: \"{}\")",
        voters.join(", "),
        raft.timeout,
        raft.batch_entries,
        raft.batch_interval,
        raft.election_timeout,
        raft.heartbeat,
        raft.pre_vote,
        raft.check_quorum,
        raft.lease_drift_ppm.unwrap_or(0),
        raft.snapshot_after,
        raft.disk_sync,
    )
}
