//! Federations of clusters.

use longhaul_core::time::Span;
use longhaul_core::units::{ByteSize, Probability};
use longhaul_federation::ClusterId;
use longhaul_federation::options::{ConsensusOptions, MAX_VALUE_BYTES, Options};

use crate::schema::{CommandLoad, Federation, FederationTopology, StateLoad, Tcp, UpdatePriority};
use crate::syntax::Kind;

use super::context::{At, Context, Fields, Variant, list, no_content, variant};
use super::network::region_name;
use super::work::positive_span;
use super::{transport, value};

/// Most clusters: each is connected with all others, and packet fidelity carries every segment.
const MOST_MEMBERS: usize = 64;
/// Most keys of one cluster.
const MOST_KEYS: u64 = 1_000_000;
/// Longest command to the log.
const LONGEST_COMMAND: ByteSize = ByteSize::from_kib(64);

/// A federation; what its connections do not say is as in `base`.
pub fn federation(cx: &mut Context, at: &At, base: Tcp) -> Option<Federation> {
    let known = [
        "name", "members", "topology", "at", "duration", "state", "commands", "config", "settings", "tcp",
    ];
    let fields = Fields::of(cx, at, "a federation", None, &known)?;
    let name = fields.required(cx, "name", value::name);
    let members = fields.required(cx, "members", members);
    let named = members.clone().unwrap_or_default();
    let topology = fields.optional(cx, "topology", FederationTopology::Mesh, |cx, at| {
        topology(cx, at, &named)
    });
    let start = fields.optional(cx, "at", Span::ZERO, value::quantity);
    let duration = fields.required(cx, "duration", positive_span);
    let state = fields.optional(cx, "state", None, |cx, at| state(cx, at).map(Some));
    let commands = fields.optional(cx, "commands", None, |cx, at| commands(cx, at).map(Some));
    let preset = fields.optional(cx, "config", Options::default(), config);
    // With the default in place of a wrong configuration the rest can still be checked; the mistake is noted.
    let base_settings = preset.clone().unwrap_or_default();
    let settings = fields.optional(cx, "settings", base_settings.clone(), |cx, at| {
        settings(cx, at, &base_settings, &named)
    });
    let tcp = fields.optional(cx, "tcp", base, |cx, at| transport::tcp(cx, at, base));
    preset?;
    let federation = Federation {
        name: name?,
        members: members?,
        topology: topology?,
        at: start?,
        duration: duration?,
        state: state?,
        commands: commands?,
        settings: settings?,
        tcp: tcp?,
    };
    if federation.commands.is_some() && federation.settings.consensus.is_none() {
        let message = "commands go to the log, and `settings.consensus` is None";
        return cx.refuse(&fields.get("commands")?, message);
    }
    if let Err(error) = federation.settings.check() {
        let at = fields.get("settings").unwrap_or_else(|| at.clone());
        return cx.refuse(&at, error.to_string());
    }
    Some(federation)
}

fn members(cx: &mut Context, at: &At) -> Option<Vec<String>> {
    let mut seen: Vec<String> = Vec::new();
    let (members, complete) = list(cx, at, MOST_MEMBERS, |cx, at| {
        let region = region_name(cx, at)?;
        if seen.contains(&region) {
            return cx.refuse(at, format!("there is a cluster in `{region}` already"));
        }
        seen.push(region.clone());
        Some(region)
    });
    if complete && members.len() < 2 {
        return cx.refuse(at, "a federation has at least two clusters");
    }
    complete.then(|| members.into_iter().map(|(_, member)| member).collect())
}

fn member(cx: &mut Context, at: &At, members: &[String]) -> Option<usize> {
    let region = region_name(cx, at)?;
    match members.iter().position(|member| *member == region) {
        Some(place) => Some(place),
        None => cx.refuse(at, format!("no cluster of the federation is in `{region}`")),
    }
}

fn topology(cx: &mut Context, at: &At, members: &[String]) -> Option<FederationTopology> {
    let variants = [
        Variant {
            name: "Mesh",
            form: "Mesh",
        },
        Variant {
            name: "Star",
            form: "Star(hub: \"a\")",
        },
        Variant {
            name: "Ring",
            form: "Ring",
        },
    ];
    match variant(cx, at, "a topology", &variants)? {
        "Mesh" => no_content(cx, at).map(|()| FederationTopology::Mesh),
        "Ring" => no_content(cx, at).map(|()| FederationTopology::Ring),
        name => {
            let fields = Fields::of(cx, at, "a star", Some(name), &["hub"])?;
            let hub = fields.required(cx, "hub", |cx, at| member(cx, at, members))?;
            Some(FederationTopology::Star {
                hub: members[hub].clone(),
            })
        }
    }
}

fn share(cx: &mut Context, at: &At) -> Option<Probability> {
    value::quantity(cx, at)
}

fn count(cx: &mut Context, at: &At, most: u64) -> Option<u32> {
    let count = value::integer(cx, at, 1, most)?;
    Some(u32::try_from(count).expect("limits below 2^32"))
}

fn state(cx: &mut Context, at: &At) -> Option<StateLoad> {
    let known = [
        "every",
        "keys",
        "shared",
        "value",
        "changed",
        "hot_keys",
        "hot_updates",
        "removals",
        "priority",
    ];
    let percent = |percent| Probability::from_ratio(percent, 100).expect("a share");
    let fields = Fields::of(cx, at, "updates", None, &known)?;
    let every = fields.required(cx, "every", positive_span);
    let keys = fields.required(cx, "keys", |cx, at| count(cx, at, MOST_KEYS));
    let shared = fields.optional(cx, "shared", true, value::boolean);
    let value = fields.required(cx, "value", |cx, at| {
        let most = ByteSize::from_bytes(MAX_VALUE_BYTES);
        value::quantity_within(cx, at, &ByteSize::from_bytes(1), &most)
    });
    let changed = fields.optional(cx, "changed", percent(100), share);
    let hot_keys = fields.optional(cx, "hot_keys", percent(0), share);
    let hot_updates = fields.optional(cx, "hot_updates", percent(0), share);
    let removals = fields.optional(cx, "removals", percent(0), share);
    let priority = fields.optional(cx, "priority", UpdatePriority::Normal, priority);
    Some(StateLoad {
        every: every?,
        keys: keys?,
        shared: shared?,
        value: value?,
        changed: changed?,
        hot_keys: hot_keys?,
        hot_updates: hot_updates?,
        removals: removals?,
        priority: priority?,
    })
}

fn priority(cx: &mut Context, at: &At) -> Option<UpdatePriority> {
    let variants = ["High", "Normal", "Low"].map(|name| Variant { name, form: name });
    let name = variant(cx, at, "a priority", &variants)?;
    no_content(cx, at)?;
    Some(match name {
        "High" => UpdatePriority::High,
        "Normal" => UpdatePriority::Normal,
        _ => UpdatePriority::Low,
    })
}

fn commands(cx: &mut Context, at: &At) -> Option<CommandLoad> {
    let fields = Fields::of(cx, at, "commands", None, &["every", "value", "names", "reads"])?;
    let every = fields.required(cx, "every", positive_span);
    let value = fields.required(cx, "value", |cx, at| {
        value::quantity_within(cx, at, &ByteSize::from_bytes(1), &LONGEST_COMMAND)
    });
    let names = fields.optional(cx, "names", 100, |cx, at| count(cx, at, MOST_KEYS));
    let reads = fields.optional(cx, "reads", Probability::ZERO, share);
    Some(CommandLoad {
        every: every?,
        value: value?,
        names: names?,
        reads: reads?,
    })
}

fn config(cx: &mut Context, at: &At) -> Option<Options> {
    let variants =
        ["Default", "Adapter", "Production", "MultiRegion"].map(|name| Variant { name, form: name });
    let name = variant(cx, at, "a configuration", &variants)?;
    no_content(cx, at)?;
    Some(match name {
        "Default" => Options::default(),
        "Adapter" => Options::adapter(),
        "Production" => Options::production(),
        _ => Options::multi_region(),
    })
}

/// Settings over those of a configuration, field by field.
fn settings(cx: &mut Context, at: &At, base: &Options, members: &[String]) -> Option<Options> {
    let known = [
        "sync_interval",
        "sync_batch",
        "outbox_changes",
        "outbox_bytes",
        "coalesce",
        "level",
        "adaptive",
        "bandwidth_threshold",
        "dictionary",
        "baseline_interval",
        "max_delta_chain",
        "encode_time",
        "streams",
        "stream_buffer",
        "connect_timeout",
        "retry_interval",
        "max_retries",
        "keepalive",
        "answer_timeout",
        "recovery_timeout",
        "metrics_interval",
        "target_ratio",
        "target_latency",
        "durable_after",
        "consensus",
    ];
    let fields = Fields::of(cx, at, "settings", None, &known)?;
    let mut settings = base.clone();
    let mut good = true;
    let span = |cx: &mut Context, name: &str, target: &mut Span, good: &mut bool| match fields.optional(
        cx,
        name,
        *target,
        positive_span,
    ) {
        Some(value) => *target = value,
        None => *good = false,
    };
    for (name, target) in [
        ("sync_interval", &mut settings.sync.interval),
        ("baseline_interval", &mut settings.encoding.baseline_interval),
        ("connect_timeout", &mut settings.connection.connect_timeout),
        ("retry_interval", &mut settings.connection.retry_interval),
        ("keepalive", &mut settings.connection.keepalive),
        ("answer_timeout", &mut settings.connection.answer_timeout),
        ("recovery_timeout", &mut settings.recovery_timeout),
        ("metrics_interval", &mut settings.metrics_interval),
        ("target_latency", &mut settings.objectives.latency),
    ] {
        span(cx, name, target, &mut good);
    }
    let mut flag = |cx: &mut Context, name: &str, target: &mut bool| match fields.optional(
        cx,
        name,
        *target,
        value::boolean,
    ) {
        Some(value) => *target = value,
        None => good = false,
    };
    flag(cx, "coalesce", &mut settings.sync.coalesce);
    flag(cx, "adaptive", &mut settings.encoding.adaptive);
    flag(cx, "encode_time", &mut settings.encoding.costs_time);
    let durable = fields.optional(cx, "durable_after", settings.durable_after, value::quantity);
    let batch = fields.optional(cx, "sync_batch", settings.sync.batch as u64, |cx, at| {
        value::integer(cx, at, 1, 10_000)
    });
    let changes = fields.optional(
        cx,
        "outbox_changes",
        settings.sync.outbox_messages as u64,
        |cx, at| value::integer(cx, at, 1, 10_000_000),
    );
    let bytes = ByteSize::from_bytes(settings.sync.outbox_bytes);
    let bytes = fields.optional(cx, "outbox_bytes", bytes, |cx, at| {
        value::quantity_within(cx, at, &ByteSize::from_kib(1), &ByteSize::from_mib(1 << 20))
    });
    let level = fields.optional(cx, "level", u64::from(settings.encoding.level), |cx, at| {
        value::integer(cx, at, 1, 9)
    });
    let threshold = settings.encoding.bandwidth_threshold;
    let threshold = fields.optional(cx, "bandwidth_threshold", threshold, share);
    let dictionary = settings.encoding.dictionary_bytes.unwrap_or(0);
    let dictionary = ByteSize::from_bytes(u64::from(dictionary));
    let dictionary = fields.optional(cx, "dictionary", dictionary, dictionary_size);
    let chain = fields.optional(
        cx,
        "max_delta_chain",
        u64::from(settings.encoding.max_delta_chain),
        |cx, at| value::integer(cx, at, 0, u64::from(u32::MAX)),
    );
    let streams = fields.optional(cx, "streams", u64::from(settings.connection.streams), |cx, at| {
        value::integer(cx, at, 1, 256)
    });
    let buffer = ByteSize::from_bytes(u64::from(settings.connection.stream_buffer));
    let buffer = fields.optional(cx, "stream_buffer", buffer, |cx, at| {
        value::quantity_within(cx, at, &ByteSize::from_kib(1), &ByteSize::from_mib(16))
    });
    let retries = fields.optional(
        cx,
        "max_retries",
        u64::from(settings.connection.max_retries),
        |cx, at| value::integer(cx, at, 1, 1_000_000),
    );
    let ratio = u64::from(settings.objectives.compression_ratio);
    let ratio = fields.optional(cx, "target_ratio", ratio, |cx, at| {
        value::integer(cx, at, 1, 1_000_000)
    });
    let consensus = fields.optional(cx, "consensus", settings.consensus.clone(), |cx, at| {
        consensus(cx, at, base.consensus.as_ref(), members)
    });
    settings.durable_after = durable?;
    settings.sync.batch = batch? as usize;
    settings.sync.outbox_messages = changes? as usize;
    settings.sync.outbox_bytes = bytes?.as_bytes();
    settings.encoding.level = level? as u8;
    settings.encoding.bandwidth_threshold = threshold?;
    settings.encoding.dictionary_bytes = Some(dictionary?.as_bytes() as u32).filter(|bytes| *bytes > 0);
    settings.encoding.max_delta_chain = chain? as u32;
    settings.connection.streams = streams? as u32;
    settings.connection.stream_buffer = buffer?.as_bytes() as u32;
    settings.connection.max_retries = retries? as u32;
    settings.objectives.compression_ratio = ratio? as u32;
    settings.consensus = consensus?;
    good.then_some(settings)
}

/// None at all, or what a dictionary may have.
fn dictionary_size(cx: &mut Context, at: &At) -> Option<ByteSize> {
    let size: ByteSize = value::quantity(cx, at)?;
    if size == ByteSize::from_bytes(0) {
        return Some(size);
    }
    value::within(cx, at, size, &ByteSize::from_kib(1), &ByteSize::from_mib(1))
}

/// The log, over the settings of a configuration; the outer `None` is a mistake.
fn consensus(
    cx: &mut Context,
    at: &At,
    base: Option<&ConsensusOptions>,
    members: &[String],
) -> Option<Option<ConsensusOptions>> {
    let variants = [
        Variant {
            name: "None",
            form: "None",
        },
        Variant {
            name: "Raft",
            form: "Raft(timeout: \"5 s\")",
        },
    ];
    let name = variant(cx, at, "a log", &variants)?;
    if name == "None" {
        return no_content(cx, at).map(|()| None);
    }
    let mut raft = base.cloned().unwrap_or_default();
    if matches!(at.node.kind, Kind::Word(_)) {
        return Some(Some(raft));
    }
    let known = [
        "voters",
        "timeout",
        "batch_entries",
        "batch_interval",
        "election_timeout",
        "heartbeat",
        "pre_vote",
        "check_quorum",
        "lease_drift_ppm",
        "snapshot_after",
        "disk_sync",
    ];
    let fields = Fields::of(cx, at, "a log", Some(name), &known)?;
    let voters = fields.optional(cx, "voters", raft.voters.clone(), |cx, at| {
        voters(cx, at, members)
    });
    let timeout = fields.optional(cx, "timeout", raft.timeout, positive_span);
    let entries = fields.optional(cx, "batch_entries", raft.batch_entries as u64, |cx, at| {
        value::integer(cx, at, 1, 10_000)
    });
    let interval = fields.optional(cx, "batch_interval", raft.batch_interval, value::quantity);
    let election = fields.optional(cx, "election_timeout", raft.election_timeout, positive_span);
    let heartbeat = fields.optional(cx, "heartbeat", raft.heartbeat, positive_span);
    let pre_vote = fields.optional(cx, "pre_vote", raft.pre_vote, value::boolean);
    let check_quorum = fields.optional(cx, "check_quorum", raft.check_quorum, value::boolean);
    let drift = u64::from(raft.lease_drift_ppm.unwrap_or(0));
    let drift = fields.optional(cx, "lease_drift_ppm", drift, |cx, at| {
        value::integer(cx, at, 0, 400_000)
    });
    let snapshot = fields.optional(cx, "snapshot_after", raft.snapshot_after, |cx, at| {
        value::integer(cx, at, 1, u64::from(u32::MAX))
    });
    let disk_sync = fields.optional(cx, "disk_sync", raft.disk_sync, value::quantity);
    raft.voters = voters?;
    raft.timeout = timeout?;
    raft.batch_entries = entries? as usize;
    raft.batch_interval = interval?;
    raft.election_timeout = election?;
    raft.heartbeat = heartbeat?;
    raft.pre_vote = pre_vote?;
    raft.check_quorum = check_quorum?;
    raft.lease_drift_ppm = Some(drift? as u32).filter(|ppm| *ppm > 0);
    raft.snapshot_after = snapshot?;
    raft.disk_sync = disk_sync?;
    if raft.heartbeat >= raft.election_timeout {
        let message = "heartbeats come more often than elections";
        return cx.refuse(&fields.get("heartbeat").unwrap_or_else(|| at.clone()), message);
    }
    if raft.lease_drift_ppm.is_some() && !raft.check_quorum {
        let message = "a lease wants `check_quorum`: without it a leader may be replaced at any time";
        return cx.refuse(&fields.get("lease_drift_ppm")?, message);
    }
    Some(Some(raft))
}

/// Voters by their regions; all members, if none is named.
fn voters(cx: &mut Context, at: &At, members: &[String]) -> Option<Vec<ClusterId>> {
    let mut seen = Vec::new();
    let (voters, complete) = list(cx, at, MOST_MEMBERS, |cx, at| {
        let place = member(cx, at, members)?;
        let id = ClusterId(u32::try_from(place).expect("at most 64"));
        if seen.contains(&id) {
            return cx.refuse(at, format!("`{}` votes already", members[place]));
        }
        seen.push(id);
        Some(id)
    });
    complete.then(|| voters.into_iter().map(|(_, voter)| voter).collect())
}
