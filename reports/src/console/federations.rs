//! The tables of federations and of their clusters, and the remarks under them.

use longhaul_core::record::{FederationRecord, LatencyRecord, LogRecord, PartingRecord, Progress, RunRecord};
use longhaul_core::units::Probability;

use super::Note;
use super::notes::failure_notes;
use super::tables::{once_started, or_missing, state};
use crate::human::{self, printable};
use crate::table::Align::{Left, Right};
use crate::table::Table;

/// Partings of a federation that are told one by one.
const MOST_PARTINGS: usize = 5;

/// One row per federation.
pub(super) fn federations(federations: &[FederationRecord]) -> Table {
    let row = |f: &FederationRecord| {
        let log = f.log.as_ref();
        let latency = |latency: Option<LatencyRecord>, of: fn(&LatencyRecord) -> u64| {
            or_missing(latency.map(|latency| human::span(of(&latency))))
        };
        let commit = |of| latency(log.and_then(|log| log.commit_latency), of);
        let of_log = |of: fn(&LogRecord) -> String| or_missing(log.map(of));
        vec![
            state(&f.progress).to_owned(),
            printable(&f.name),
            f.topology.clone(),
            once_started(&f.progress, human::count(f.state.updates)),
            latency(f.state.propagation, |latency| latency.median_ns),
            latency(f.state.propagation, |latency| latency.p99_ns),
            or_missing(f.savings_parts().map(signed_percentage)),
            of_log(|log| human::count(log.committed)),
            commit(|latency| latency.median_ns),
            commit(|latency| latency.p99_ns),
            of_log(|log| human::count(log.elections)),
            of_log(|log| human::span(log.leaderless_ns)),
            or_missing(f.convergence_ns.map(human::span)),
        ]
    };
    Table {
        columns: vec![
            ("state", Left),
            ("name", Left),
            ("topology", Left),
            ("updates", Right),
            ("spread median", Right),
            ("spread p99", Right),
            ("saved", Right),
            ("commits", Right),
            ("commit median", Right),
            ("commit p99", Right),
            ("elections", Right),
            ("leaderless", Right),
            ("in step after", Right),
        ],
        name_column: 1,
        rows: federations.iter().map(row).collect(),
    }
}

/// One row per cluster.
pub(super) fn clusters(federations: &[FederationRecord]) -> Table {
    let rows = federations.iter().flat_map(|f| {
        f.clusters.iter().map(|c| {
            vec![
                format!("{}/{}", printable(&f.name), printable(&c.region)),
                human::count(c.keys),
                human::count(c.updates),
                human::count(c.applied),
                human::count(c.longest_outbox),
                human::count(c.committed),
                human::count(c.terms_led),
                human::bytes(c.sent),
                human::bytes(c.received),
                human::span(c.down_ns),
            ]
        })
    });
    Table {
        columns: vec![
            ("cluster", Left),
            ("keys", Right),
            ("updates", Right),
            ("applied", Right),
            ("longest outbox", Right),
            ("commits", Right),
            ("terms led", Right),
            ("sent", Right),
            ("received", Right),
            ("down", Right),
        ],
        name_column: 0,
        rows: rows.collect(),
    }
}

/// Partings, the log, the bytes, and what else happened.
pub(super) fn federation_notes(record: &RunRecord) -> Vec<Note> {
    let failures = failure_notes(record.federations.iter().map(|f| (f.name.as_str(), &f.progress)));
    record
        .federations
        .iter()
        .flat_map(notes_of)
        .chain(failures)
        .collect()
}

fn notes_of(f: &FederationRecord) -> Vec<Note> {
    if f.started_ns.is_none() {
        return Vec::new();
    }
    let name = printable(&f.name);
    let mut notes = Vec::new();
    let mut note = |status, text: String| {
        notes.push(Note {
            status,
            text: format!("{name}: {text}"),
        });
    };
    for parting in f.partings.iter().take(MOST_PARTINGS) {
        note("parting", parting_text(parting));
    }
    if let Some(more) = f
        .partings_in_all
        .checked_sub(MOST_PARTINGS as u64)
        .filter(|more| *more > 0)
    {
        note("partings", format!("{} more", human::count(more)));
    }
    if let Some(log) = &f.log {
        note("log", log_text(log));
    }
    note("bytes", bytes_text(f));
    if let Some(text) = state_text(f) {
        note("state", text);
    }
    if f.progress == Progress::Unfinished {
        note("unfinished", "clusters were not in step at the end".to_owned());
    }
    notes
}

fn parting_text(parting: &PartingRecord) -> String {
    let (one, other) = &parting.between;
    let pair = format!(
        "{} and {}, noticed at {}",
        printable(one),
        printable(other),
        human::span(parting.noticed_ns)
    );
    let Some(reconnected) = parting.reconnected_ns else {
        return format!("{pair}, never connected again");
    };
    let lasted = human::span(reconnected.saturating_sub(parting.noticed_ns));
    let agreed = match parting.reconciled_ns {
        Some(ns) => format!("in step {} later", human::span(ns)),
        None => "not in step again".to_owned(),
    };
    let mut text = format!(
        "{pair}, connected again after {lasted} with {} changes waiting, {agreed}",
        human::count(parting.waiting)
    );
    if parting.differing_keys > 0 {
        text += &format!(
            "; {} keys differed all the same",
            human::count(parting.differing_keys)
        );
    }
    text
}

fn log_text(log: &LogRecord) -> String {
    let mut text = format!(
        "{} voters, {} with a leader",
        human::count(log.voters),
        match log.terms {
            1 => "1 term".to_owned(),
            terms => format!("{} terms", human::count(terms)),
        },
    );
    if let Some(first) = log.first_leader_ns {
        text += &format!(", the first after {}", human::span(first));
    }
    if log.leaderless_ns > log.longest_leaderless_ns {
        text += &format!(
            "; at most {} at a time without",
            human::span(log.longest_leaderless_ns)
        );
    }
    if let Some(latency) = log.read_latency {
        text += &format!(
            "; {} reads, median {}, p99 {}",
            human::count(latency.count),
            human::span(latency.median_ns),
            human::span(latency.p99_ns)
        );
    }
    let counts = [
        (log.failed, "commands and reads failed"),
        (log.repeats, "commands came twice and counted once"),
        (log.snapshots_installed, "snapshots installed"),
    ];
    for (count, what) in counts.into_iter().filter(|(count, _)| *count > 0) {
        text += &format!("; {} {what}", human::count(count));
    }
    text += match log.linearizable {
        Some(true) => "; all answers fit into one order",
        Some(false) => "; answers that fit into no order",
        None => "; not known whether all answers fit into one order",
    };
    text
}

fn bytes_text(f: &FederationRecord) -> String {
    let traffic = &f.traffic;
    let classes = [
        (traffic.data, "state"),
        (traffic.acknowledgements, "acknowledgements"),
        (traffic.consensus, "log"),
        (traffic.reconciliation, "reconciliation"),
        (traffic.control, "control"),
    ];
    let told: Vec<String> = classes
        .iter()
        .filter(|(bytes, _)| *bytes > 0)
        .map(|(bytes, what)| format!("{what} {}", human::bytes(*bytes)))
        .collect();
    let mut text = told.join(", ");
    if let Some(parts) = f.savings_parts() {
        text += &format!(
            "; of {} of keys and values sent {} saved, {} by the legacy estimate",
            human::bytes(f.state.value_bytes),
            signed_percentage(parts),
            human::share(f.legacy_estimate_percent.into(), 100),
        );
    }
    text
}

/// What is not in the table and worth telling.
fn state_text(f: &FederationRecord) -> Option<String> {
    let state = &f.state;
    let counts = [
        (state.conflicts, "conflicts, the last writer won"),
        (state.dropped, "changes dropped by full outboxes"),
        (state.sync_failures, "synchronisations failed"),
        (state.refused, "updates refused"),
        (state.errors, "errors"),
    ];
    let told: Vec<String> = counts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{} {what}", human::count(*count)))
        .collect();
    (!told.is_empty()).then(|| told.join(", "))
}

/// A share in parts of 10^12 that may be below zero.
fn signed_percentage(parts: i64) -> String {
    let share = human::share(parts.unsigned_abs(), Probability::PARTS);
    if parts < 0 { format!("−{share}") } else { share }
}
