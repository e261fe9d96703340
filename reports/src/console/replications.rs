//! The table of replications and the remarks under it.

use longhaul_core::record::{FailoverRecord, OutageRecord, Progress, ReplicationRecord, RunRecord};

use super::Note;
use super::notes::failure_notes;
use super::tables::{once_started, or_missing, route, state};
use crate::human::{self, MISSING, printable};
use crate::table::Align::{Left, Right};
use crate::table::Table;

/// Outages of a replication that are told one by one.
const MOST_OUTAGES: usize = 5;

/// One row per replication; of several VMs the one with the oldest epochs.
pub(super) fn replications(replications: &[ReplicationRecord]) -> Table {
    let row = |r: &ReplicationRecord| {
        let (raw, wire) = (r.encoding.raw_bytes, r.transferred);
        let age =
            |of: fn(&longhaul_core::record::RpoRecord) -> u64| or_missing(r.worst_rpo(of).map(human::span));
        let within = r.worst_rpo(|rpo| rpo.over_ns).and_then(|_| {
            let shares = r.vms.iter().filter_map(|vm| vm.rpo);
            let worst = shares.min_by_key(|rpo| {
                u128::from(rpo.within_target_ns) * u128::from(u64::MAX) / u128::from(rpo.over_ns.max(1))
            })?;
            Some(human::share(worst.within_target_ns, worst.over_ns))
        });
        vec![
            state(&r.progress).to_owned(),
            printable(&r.name),
            route(&r.from, &r.to),
            human::count(r.vms.len() as u64),
            or_missing(r.seed_ns.map(human::span)),
            once_started(&r.progress, human::count(r.epochs.applied)),
            age(|rpo| rpo.median_ns),
            age(|rpo| rpo.p99_ns),
            age(|rpo| rpo.max_ns),
            or_missing(within),
            once_started(
                &r.progress,
                format!("{} → {}", human::bytes(raw), human::bytes(wire)),
            ),
            once_started(&r.progress, human::factor(raw, wire)),
        ]
    };
    Table {
        columns: vec![
            ("state", Left),
            ("name", Left),
            ("route", Left),
            ("VMs", Right),
            ("first epochs", Right),
            ("epochs", Right),
            ("RPO median", Right),
            ("RPO p99", Right),
            ("RPO max", Right),
            ("in target", Right),
            ("raw → wire", Right),
            ("ratio", Right),
        ],
        name_column: 1,
        rows: replications.iter().map(row).collect(),
    }
}

/// Outages, fail-overs, and what else happened.
pub(super) fn replication_notes(record: &RunRecord) -> Vec<Note> {
    let failures = failure_notes(record.replications.iter().map(|r| (r.name.as_str(), &r.progress)));
    record
        .replications
        .iter()
        .flat_map(notes_of)
        .chain(failures)
        .collect()
}

fn notes_of(r: &ReplicationRecord) -> Vec<Note> {
    let name = printable(&r.name);
    let mut notes = Vec::new();
    let mut note = |status, text: String| {
        notes.push(Note {
            status,
            text: format!("{name}: {text}"),
        });
    };
    for outage in r.outages.iter().take(MOST_OUTAGES) {
        note("outage", outage_text(outage));
    }
    if let Some(more) = r.outages.len().checked_sub(MOST_OUTAGES).filter(|more| *more > 0) {
        note("outages", format!("{more} more"));
    }
    if let Some(failover) = &r.failover {
        note("fail-over", failover_text(r, failover));
    }
    let epochs = r.epochs;
    let counts = [
        (epochs.late, "late"),
        (epochs.interrupted, "interrupted"),
        (epochs.rejected, "rejected by the replica"),
    ];
    let mut told: Vec<String> = counts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{} {what}", human::count(*count)))
        .collect();
    match epochs.resyncs {
        0 => {}
        1 => told.push("everything once again".to_owned()),
        times => told.push(format!("everything again {} times", human::count(times))),
    }
    if !told.is_empty() {
        note("epochs", told.join(", "));
    }
    let stood = [
        (r.paused_ns, "for snapshots"),
        (r.stopped_ns, "because the replica might have taken over"),
    ];
    for (ns, why) in stood.into_iter().filter(|(ns, _)| *ns > 0) {
        note("VMs", format!("stood still for {} {why}", human::span(ns)));
    }
    if r.progress == Progress::Unfinished {
        note(
            "unfinished",
            "not all VMs are protected, or the source is lost and nobody took over".to_owned(),
        );
    }
    notes
}

fn outage_text(outage: &OutageRecord) -> String {
    let noticed = format!("noticed at {}", human::span(outage.noticed_ns));
    let Some(reconnected) = outage.reconnected_ns else {
        return format!("{noticed}, never connected again");
    };
    let lasted = human::span(reconnected - outage.noticed_ns);
    let caught_up = match outage.catch_up_ns {
        Some(ns) => format!("caught up {} later", human::span(ns)),
        None => "not caught up".to_owned(),
    };
    format!("{noticed}, connected again after {lasted}, {caught_up}")
}

fn failover_text(r: &ReplicationRecord, failover: &FailoverRecord) -> String {
    let since = |from: Option<u64>, to: Option<u64>| {
        let span = from.zip(to).map(|(from, to)| to.saturating_sub(from));
        span.map_or_else(|| MISSING.to_owned(), human::span)
    };
    let decided = Some(failover.decided_ns);
    let mut text = match (failover.stopped_ns, failover.detected_ns) {
        (Some(stopped), detected) if detected.is_none_or(|detected| stopped <= detected) => format!(
            "VMs stopped at {}, counted as lost after {}, decided {}, all running after {}",
            human::span(stopped),
            since(Some(stopped), detected),
            match detected.unwrap_or(stopped) {
                before if before == failover.decided_ns => "at once".to_owned(),
                before => format!("after {}", since(Some(before), decided)),
            },
            since(decided, failover.running_ns)
        ),
        _ => format!(
            "decided at {}, all running after {}",
            human::span(failover.decided_ns),
            since(decided, failover.running_ns)
        ),
    };
    let worst = |of: fn(&longhaul_core::record::ResumedVmRecord) -> u64| {
        r.vms.iter().filter_map(|vm| vm.resumed.as_ref()).map(of).max()
    };
    if let (Some(rto), Some(lost)) = (worst(|vm| vm.rto_ns), worst(|vm| vm.lost_ns)) {
        text += &format!(
            "; without service for {}, work of the last {} lost",
            human::span(rto),
            human::span(lost)
        );
    }
    if failover.overlap_ns > 0 {
        text += &format!(
            "; VMs ran in both regions for {}",
            human::span(failover.overlap_ns)
        );
    }
    if failover.lost_vms > 0 {
        text += &format!("; {} VMs had no usable epoch", human::count(failover.lost_vms));
    }
    text
}
