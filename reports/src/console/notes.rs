//! The remarks under the tables of a report.

use longhaul_core::record::{LinkRecord, MigrationRecord, Progress, RunRecord, Verdict};

use super::Note;
use super::tables::{FAILED, asserted, verdict_word};
use crate::human::{self, printable};

pub(super) fn failure_notes<'a>(items: impl Iterator<Item = (&'a str, &'a Progress)>) -> Vec<Note> {
    items
        .filter_map(|(name, progress)| match progress {
            Progress::Failed(reason) => Some(Note {
                status: FAILED,
                text: format!("{}: {}", printable(name), printable(reason)),
            }),
            _ => None,
        })
        .collect()
}

/// Why migrations failed, and what a row has no room for, where there is something to be told.
pub(super) fn migration_notes(record: &RunRecord) -> Vec<Note> {
    let mut notes = failure_notes(record.migrations.iter().map(|m| (m.name.as_str(), &m.progress)));
    for migration in &record.migrations {
        let about = [
            ("state", standing(migration)),
            ("time", around(migration)),
            ("guest", slowed(migration)),
            ("guest", waited(migration)),
            ("copy", bound(migration)),
            ("cache", cached(migration)),
        ];
        notes.extend(about.into_iter().filter_map(|(status, text)| {
            let text = format!("{}: {}", printable(&migration.name), text?);
            Some(Note { status, text })
        }));
    }
    notes
}

/// Where a migration stands that is neither over nor simply under way, and what troubles it had.
fn standing(migration: &MigrationRecord) -> Option<String> {
    let stands = (migration.progress == Progress::Unfinished && migration.status != "active")
        .then(|| migration.status.clone())
        .filter(|status| !status.is_empty());
    let times = |count: u64, what: &str| (count > 0).then(|| format!("{what} {}", times(count)));
    let troubles = [
        stands,
        times(migration.interruptions, "interrupted"),
        times(migration.stalls, "stalled"),
    ];
    let told: Vec<String> = troubles.into_iter().flatten().collect();
    (!told.is_empty()).then(|| told.join(", "))
}

fn times(count: u64) -> String {
    match count {
        1 => "once".to_owned(),
        2 => "twice".to_owned(),
        more => format!("{} times", human::count(more)),
    }
}

/// What went before and after.
fn around(migration: &MigrationRecord) -> Option<String> {
    let before = migration.began_ns? - migration.started_ns?;
    let whole = migration.job_time_ns.map_or_else(String::new, |ns| {
        format!("{} from the start to the end of the job, ", human::span(ns))
    });
    (before > 0).then(|| format!("{whole}{} before the migration itself", human::span(before)))
}

fn slowed(migration: &MigrationRecord) -> Option<String> {
    let throttle = migration.throttle;
    (throttle.lost_ns > 0).then(|| {
        let at_last = match throttle.cpu_throttle_percentage {
            0 => String::new(),
            percent => format!(", {percent} % at the end"),
        };
        format!(
            "slowed down by {} per processor{at_last}",
            human::span(throttle.lost_ns)
        )
    })
}

fn waited(migration: &MigrationRecord) -> Option<String> {
    let postcopy = migration.postcopy.as_ref()?;
    Some(format!(
        "waited {} times for pages, {} at the longest; all processors at once for {}",
        human::count(postcopy.faults),
        human::span(postcopy.longest_fault_ns),
        human::span(postcopy.blocktime_ns)
    ))
}

/// What held up copying, where it was not the network alone.
fn bound(migration: &MigrationRecord) -> Option<String> {
    let bounds = migration.bounds;
    let whole = bounds.copying_ns();
    (bounds.processor_ns + bounds.bandwidth_limit_ns > 0).then(|| {
        let parts = [
            (bounds.network_ns, "the network"),
            (bounds.processor_ns, "processors"),
            (bounds.bandwidth_limit_ns, "the bandwidth limit"),
            (bounds.idle_ns, "nothing to send"),
        ];
        let told: Vec<String> = parts
            .iter()
            .filter(|(ns, _)| *ns > 0)
            .map(|(ns, what)| format!("{what} {}", human::share(*ns, whole)))
            .collect();
        format!("held up by {}", told.join(", "))
    })
}

fn cached(migration: &MigrationRecord) -> Option<String> {
    let cache = migration.xbzrle_cache?;
    Some(format!(
        "{} pages found, {} of them no shorter encoded, {} not found",
        human::count(cache.pages),
        human::count(cache.overflow),
        human::count(cache.cache_miss)
    ))
}

/// Why transfers failed.
pub(super) fn transfer_notes(record: &RunRecord) -> Vec<Note> {
    failure_notes(record.transfers.iter().map(|t| (t.name.as_str(), &t.progress)))
}

/// What else happened on links, where it did.
pub(super) fn link_notes(record: &RunRecord) -> Vec<Note> {
    let note = |link: &LinkRecord| {
        let packets = link.packets?;
        let counts = [
            (packets.early_dropped_packets, "dropped early by CoDel"),
            (packets.down_lost_packets, "lost while the link was down"),
            (packets.marked_packets, "marked instead of dropped"),
            (packets.duplicated_packets, "duplicated"),
            (packets.corrupted_packets, "damaged and discarded"),
            (packets.background_packets, "of background traffic came"),
            (
                packets.background_dropped_packets,
                "of background traffic dropped",
            ),
        ];
        let told: Vec<String> = counts
            .iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, what)| format!("{} {what}", human::count(*count)))
            .collect();
        (!told.is_empty()).then(|| Note {
            status: "frames",
            text: format!(
                "{}: {}",
                printable(&link.name).replace("->", " → "),
                told.join(", ")
            ),
        })
    };
    let unrouted = (record.unrouted_packets > 0).then(|| Note {
        status: "frames",
        text: format!("no route: {} lost", human::count(record.unrouted_packets)),
    });
    let oversized = (record.oversized_packets > 0).then(|| Note {
        status: "frames",
        text: format!(
            "longer than a link's MTU: {} lost",
            human::count(record.oversized_packets)
        ),
    });
    let links = record.links.iter().filter_map(note);
    links.chain(unrouted).chain(oversized).collect()
}

/// Why assertions do not hold.
pub(super) fn assertion_notes(record: &RunRecord) -> Vec<Note> {
    let failing = record.assertions.iter().filter(|a| a.verdict != Verdict::Pass);
    failing
        .map(|a| Note {
            status: verdict_word(a.verdict),
            text: format!(
                "{}{}: {}",
                asserted(a),
                if a.critical { "" } else { " (advisory)" },
                printable(&a.reason)
            ),
        })
        .collect()
}
