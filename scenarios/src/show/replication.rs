//! The canonical text of a replication.

use longhaul_core::units::BitRate;

use super::migration::encoding;
use super::{quoted, transport_settings};
use crate::schema::{Consistency, Failover, Policy, Replication};

/// One entry of `replications`.
pub fn replication(replication: &Replication) -> String {
    let Replication {
        name,
        vms,
        to,
        at,
        consistency,
        policy,
        rpo_target,
        snapshot_pause,
        encoding: pages,
        encode_threads,
        transport,
        max_bandwidth,
        heartbeat,
        backoff,
        failover,
        write_rate,
        restore_rate,
        resume_time,
    } = replication;
    let vms: Vec<String> = vms.iter().map(|vm| quoted(vm)).collect();
    let consistency = match consistency {
        Consistency::Group => "Group",
        Consistency::Each => "Each",
        Consistency::Ranked => "Ranked",
    };
    let policy = match policy {
        Policy::Interval(interval) => format!("Interval(\"{interval}\")"),
        Policy::Continuous { least } => format!("Continuous(least: \"{least}\")"),
        Policy::Adaptive { least, most } => format!("Adaptive(least: \"{least}\", most: \"{most}\")"),
    };
    let threads = encode_threads.map_or(String::new(), |threads| format!(", encode_threads: {threads}"));
    let rate = |field: &str, rate: &Option<BitRate>| {
        rate.map_or(String::new(), |rate| format!(", {field}: \"{rate}\""))
    };
    let failover = match failover {
        Failover::Automatic => "Automatic".to_owned(),
        Failover::Manual { at, after } => {
            let fields = [("at", at), ("after", after)];
            let given = fields
                .iter()
                .filter_map(|(field, span)| Some(format!("{field}: \"{}\"", (**span)?)));
            format!("Manual({})", given.collect::<Vec<_>>().join(", "))
        }
    };
    format!(
        "(name: {}, vms: [{}], to: {}, at: \"{at}\", consistency: {consistency}, policy: {policy}, \
         rpo_target: \"{rpo_target}\", snapshot_pause: \"{snapshot_pause}\", encoding: {}{threads}, transport: {}{}, \
         heartbeat: (interval: \"{}\", multiplier: {}), backoff: (first: \"{}\", most: \"{}\"), \
         failover: {failover}{}{}, resume_time: \"{resume_time}\")",
        quoted(name),
        vms.join(", "),
        quoted(to),
        encoding(*pages),
        transport_settings(*transport),
        rate("max_bandwidth", max_bandwidth),
        heartbeat.interval,
        heartbeat.multiplier,
        backoff.first,
        backoff.most,
        rate("write_rate", write_rate),
        rate("restore_rate", restore_rate),
    )
}
