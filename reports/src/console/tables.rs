//! The tables of a report.

use longhaul_core::record::{
    AssertionRecord, LinkRecord, MigrationRecord, Progress, TransferRecord, Verdict,
};
use longhaul_core::units::Probability;

use super::Ink;
use crate::human::{self, MISSING, printable};
use crate::table::Align::{Left, Right};
use crate::table::Table;

const COMPLETED: &str = "completed";
const UNFINISHED: &str = "unfinished";
const NOT_STARTED: &str = "waiting";
pub(super) const FAILED: &str = "failed";
pub(super) const GOOD: &str = "ok";
pub(super) const LACKING: &str = "lacking";
pub(super) const WARNING: &str = "warning:";

pub(super) fn verdict_word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "PASS",
        Verdict::Fail => "FAIL",
        Verdict::Inconclusive => "INCONCLUSIVE",
    }
}

pub(super) fn verdict_ink(verdict: Verdict) -> Ink {
    match verdict {
        Verdict::Pass => Ink::Good,
        Verdict::Fail => Ink::Bad,
        Verdict::Inconclusive => Ink::Doubtful,
    }
}

/// The colour of a state or verdict word; `None` for any other word.
pub(super) fn ink_of(status: &str) -> Option<Ink> {
    match status {
        COMPLETED | GOOD | "PASS" => Some(Ink::Good),
        FAILED | LACKING | "FAIL" | "INVALID" => Some(Ink::Bad),
        UNFINISHED | NOT_STARTED | "INCONCLUSIVE" | "NOT" | "COMPARABLE" | WARNING => Some(Ink::Doubtful),
        _ => None,
    }
}

pub(super) fn state(progress: &Progress) -> &'static str {
    match progress {
        Progress::NotStarted => NOT_STARTED,
        Progress::Unfinished => UNFINISHED,
        Progress::Completed => COMPLETED,
        Progress::Failed(_) => FAILED,
    }
}

pub(super) fn or_missing(text: Option<String>) -> String {
    text.unwrap_or_else(|| MISSING.to_owned())
}

/// A text that makes sense only once the work has begun.
pub(super) fn once_started(progress: &Progress, text: String) -> String {
    match progress {
        Progress::NotStarted => MISSING.to_owned(),
        _ => text,
    }
}

pub(super) fn route(from: &str, to: &str) -> String {
    format!("{} → {}", printable(from), printable(to))
}

pub(super) fn migrations(migrations: &[MigrationRecord]) -> Table {
    let row = |m: &MigrationRecord| {
        let raw = m.encoding.raw_bytes;
        let wire = m.ram.transferred;
        let carried = format!("{} → {}", human::bytes(raw), human::bytes(wire));
        vec![
            state(&m.progress).to_owned(),
            printable(&m.name),
            route(&m.from, &m.to),
            or_missing(m.total_time_ns.map(human::span)),
            or_missing(m.downtime_ns.map(human::span)),
            once_started(&m.progress, human::count(m.ram.dirty_sync_count)),
            once_started(&m.progress, carried),
            once_started(&m.progress, human::factor(raw, wire)),
            once_started(&m.progress, human::count(m.verified_pages)),
            once_started(&m.progress, human::count(m.transport.retransmits)),
        ]
    };
    Table {
        columns: vec![
            ("state", Left),
            ("name", Left),
            ("route", Left),
            ("total time", Right),
            ("downtime", Right),
            ("rounds", Right),
            ("raw → wire", Right),
            ("ratio", Right),
            ("verified pages", Right),
            ("retransmits", Right),
        ],
        name_column: 1,
        rows: migrations.iter().map(row).collect(),
    }
}

pub(super) fn transfers(transfers: &[TransferRecord]) -> Table {
    let row = |t: &TransferRecord| {
        let goodput = t.goodput();
        let size = match (&t.progress, t.size) {
            (Progress::Completed, Some(size)) => human::bytes(size),
            (_, Some(size)) => format!("{} of {}", human::bytes(t.received), human::bytes(size)),
            (_, None) => human::bytes(t.received),
        };
        vec![
            state(&t.progress).to_owned(),
            printable(&t.name),
            route(&t.from, &t.to),
            size,
            or_missing(t.completion_ns.map(human::span)),
            or_missing(goodput.map(|rate| human::rate(rate.as_bits_per_s()))),
            once_started(&t.progress, human::count(t.retransmits)),
        ]
    };
    Table {
        columns: vec![
            ("state", Left),
            ("name", Left),
            ("route", Left),
            ("size", Right),
            ("completion", Right),
            ("goodput", Right),
            ("retransmits", Right),
        ],
        name_column: 1,
        rows: transfers.iter().map(row).collect(),
    }
}

pub(super) fn links(links: &[LinkRecord]) -> Table {
    let row = |link: &LinkRecord| {
        let packets = link.packets.filter(|packets| packets.offered_packets > 0);
        vec![
            printable(&link.name).replace("->", " → "),
            or_missing(link.rate_bits_per_s.map(human::rate)),
            human::share(link.busy_ns, link.active_ns),
            packets.map_or_else(
                || MISSING.to_owned(),
                |p| human::share(p.lost_packets, p.offered_packets),
            ),
            or_missing(packets.map(|p| human::count(p.queue_dropped_packets + p.early_dropped_packets))),
            or_missing(packets.map(|p| human::span(p.queue_delay_max_ns))),
        ]
    };
    Table {
        columns: vec![
            ("link", Left),
            ("rate", Right),
            ("utilisation", Right),
            ("loss", Right),
            ("queue drops", Right),
            ("max wait", Right),
        ],
        name_column: 0,
        rows: links.iter().map(row).collect(),
    }
}

pub(super) fn assertions(assertions: &[AssertionRecord]) -> Table {
    let row = |a: &AssertionRecord| {
        let advisory = if a.critical { "" } else { " (advisory)" };
        vec![
            verdict_word(a.verdict).to_owned(),
            asserted(a),
            or_missing(asserted_value(a)),
            format!("{}{advisory}", printable(&a.bound)),
        ]
    };
    Table {
        columns: vec![
            ("verdict", Left),
            ("assertion", Left),
            ("value", Right),
            ("bound", Left),
        ],
        name_column: 1,
        rows: assertions.iter().map(row).collect(),
    }
}

/// Statistic, metric and scope: `Max MigrationDowntime`, `Min LinkUtilisation of fra->nyc`.
pub(crate) fn asserted(assertion: &AssertionRecord) -> String {
    let whole = format!("{} {}", assertion.statistic, assertion.metric);
    printable(&match assertion.scope.as_str() {
        "all" => whole,
        one => format!("{whole} of {one}"),
    })
}

/// The value, rounded for the eye. Its unit says what the exact number counts; a plain number stays as it is.
pub(crate) fn asserted_value(assertion: &AssertionRecord) -> Option<String> {
    let text = assertion.value.as_deref()?;
    let unit = text.rsplit_once(' ').map_or("", |(_, unit)| unit);
    Some(match (unit, assertion.value_exact) {
        ("ns" | "us" | "ms" | "s" | "min" | "h", Some(ns)) => human::span(ns),
        (_, Some(bits_per_s)) if unit.ends_with("bit/s") => human::rate(bits_per_s),
        ("%", Some(parts)) => human::share(parts, Probability::PARTS),
        (_, Some(bytes)) if unit.ends_with('B') => human::bytes(bytes),
        _ => printable(text),
    })
}
