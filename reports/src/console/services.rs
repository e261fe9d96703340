//! The tables of clients and servers, and what became of clients after faults.

use longhaul_core::record::{ClientRecord, FailuresRecord, RecoveryOutcome, ServerRecord, ServiceRecord};

use super::Note;
use super::tables::route;
use crate::human::{self, MISSING, printable};
use crate::table::Align::{Left, Right};
use crate::table::Table;

/// One row per client.
pub(super) fn clients(clients: &[ClientRecord]) -> Table {
    let row = |c: &ClientRecord| {
        let ended = c.started - c.in_flight;
        let latency = |read: fn(&longhaul_core::record::DelayRecord) -> u64| {
            c.latency
                .as_ref()
                .map_or(MISSING.to_owned(), |it| human::span(read(it)))
        };
        vec![
            printable(&c.name),
            route(&c.region, &c.service),
            human::count(c.started),
            human::share(c.succeeded, ended),
            human::count(c.late),
            human::count(c.failed),
            human::factor(c.attempts, c.started),
            latency(|it| it.median_ns),
            latency(|it| it.p99_ns),
        ]
    };
    Table {
        columns: vec![
            ("client", Left),
            ("calls", Left),
            ("requests", Right),
            ("in time", Right),
            ("late", Right),
            ("failed", Right),
            ("attempts each", Right),
            ("median", Right),
            ("p99", Right),
        ],
        name_column: 0,
        rows: clients.iter().map(row).collect(),
    }
}

/// Why requests failed, and what became of goodput after the faults.
pub(super) fn client_notes(clients: &[ClientRecord]) -> Vec<Note> {
    let mut notes = Vec::new();
    for client in clients {
        let name = printable(&client.name);
        if client.failed > 0 {
            notes.push(Note {
                status: "failures",
                text: format!("{name}: {}", causes(&client.failures)),
            });
        }
        let Some(recovery) = &client.recovery else {
            continue;
        };
        let rate = |mhz: u64| format!("{}.{:01}/s", mhz / 1_000, mhz / 100 % 10);
        let noticed = match recovery.detected_after_ns {
            None => "it noticed nothing".to_owned(),
            Some(ns) => format!("it noticed the faults after {}", human::span(ns)),
        };
        let became = match (recovery.outcome, recovery.recovered_after_ns) {
            (RecoveryOutcome::Recovered, Some(0)) => "goodput was back by their end".to_owned(),
            (RecoveryOutcome::Recovered, Some(ns)) => {
                format!("goodput was back {} after their end", human::span(ns))
            }
            (RecoveryOutcome::Recovered, None) => "goodput is back".to_owned(),
            (RecoveryOutcome::Degraded, _) => "goodput did not come back".to_owned(),
            (RecoveryOutcome::Metastable, _) => {
                "goodput did not come back, and retries or the queue keep it down: a metastable failure"
                    .to_owned()
            }
            (RecoveryOutcome::Unknown, _) => {
                "too little was seen to say whether goodput came back".to_owned()
            }
        };
        notes.push(Note {
            status: "recovery",
            text: format!(
                "{name}: {noticed}; {became} (before {}, at the end {})",
                rate(recovery.baseline_mhz),
                rate(recovery.final_mhz)
            ),
        });
    }
    notes
}

fn causes(failures: &FailuresRecord) -> String {
    let FailuresRecord {
        rate_limited,
        bulkhead,
        breaker_open,
        shed,
        timed_out,
        deadline,
        error,
        overloaded,
        unreachable,
        fatal,
    } = *failures;
    let causes = [
        (timed_out, "timed out"),
        (deadline, "past their deadline"),
        (breaker_open, "refused by an open breaker"),
        (rate_limited, "refused by a rate limiter"),
        (bulkhead, "refused by a bulkhead"),
        (shed, "shed"),
        (error, "answered with an error"),
        (overloaded, "refused by an overloaded server"),
        (unreachable, "without a connection or an address"),
        (fatal, "that can never succeed"),
    ];
    let causes = causes.iter().filter(|(count, _)| *count > 0);
    let texts: Vec<String> = causes
        .map(|(count, what)| format!("{} {what}", human::count(*count)))
        .collect();
    texts.join(", ")
}

/// One row per server.
pub(super) fn servers(services: &[ServiceRecord]) -> Table {
    let row = |name: &str, s: &ServerRecord| {
        vec![
            format!("{} in {}", printable(name), printable(&s.region)),
            human::count(s.received),
            human::count(s.answered),
            human::count(s.refused),
            human::count(s.lost),
            human::share(s.repeated, s.begun),
            human::share(s.in_vain, s.answered),
            human::count(s.longest_queue),
            human::span(s.mean_wait_ns),
        ]
    };
    let rows = services
        .iter()
        .flat_map(|service| service.servers.iter().map(move |server| (service, server)));
    Table {
        columns: vec![
            ("server", Left),
            ("requests", Right),
            ("answered", Right),
            ("refused", Right),
            ("lost", Right),
            ("repeated", Right),
            ("in vain", Right),
            ("longest queue", Right),
            ("mean wait", Right),
        ],
        name_column: 0,
        rows: rows.map(|(service, server)| row(&service.name, server)).collect(),
    }
}
