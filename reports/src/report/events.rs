//! What happened, as far as a report tells it: faults with their ends, the phases of migrations, and a list that frequent
//! kinds of events do not flood.

use std::collections::BTreeMap;

use longhaul_core::record::RunRecord;
use longhaul_core::record::outage::{Outage, Outages};
use serde_json::Value;

use super::rows::Rows;
use super::strips::{self, Strips};
use super::words;

/// Events of one kind that are listed.
const LISTED_OF_A_KIND: u64 = 25;
/// Events that are listed.
const LISTED: usize = 400;
/// Faults that are drawn.
const FAULTS: usize = 200;
/// Segments of one migration.
const SEGMENTS: usize = 2_000;

/// An event as it is listed.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Told {
    pub at_ns: u64,
    pub entity: String,
    pub kind: String,
    /// In words.
    pub detail: String,
}

/// A part of a migration.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Phase {
    Setup,
    Round(u64),
    /// The guest runs nowhere.
    Stopped,
    /// It runs at the destination, and pages still come.
    Postcopy,
    /// The transport was lost.
    Interrupted,
}

/// Phases of a migration, and moments.
#[derive(Clone, PartialEq, Debug, Default)]
pub(super) struct Course {
    pub phases: Vec<(u64, u64, Phase)>,
    pub moments: Vec<(u64, String)>,
    open: Option<(u64, Phase)>,
}

/// All of it.
#[derive(Debug, Default)]
pub(super) struct Events {
    pub told: Vec<Told>,
    pub read: u64,
    pub outages: Vec<Outage>,
    pub more_outages: u64,
    /// By the name of the migration.
    pub courses: BTreeMap<String, Course>,
    /// States of policies.
    pub strips: Strips,
}

impl Events {
    /// Reads `events.csv`.
    pub fn read(mut rows: Rows, record: &RunRecord) -> Result<Events, String> {
        let mut events = Events {
            courses: record
                .migrations
                .iter()
                .map(|of| (of.name.clone(), Course::default()))
                .collect(),
            strips: Strips::new(record.simulated_ns),
            ..Events::default()
        };
        let mut kinds: BTreeMap<Vec<u8>, u64> = BTreeMap::new();
        let mut outages = Outages::new(FAULTS);
        while let Some(row) = rows.next()? {
            events.read += 1;
            let kind = row.raw(2);
            let of_kind = match kinds.get_mut(kind) {
                Some(count) => count,
                None => kinds.entry(kind.to_vec()).or_default(),
            };
            *of_kind += 1;
            let listed = *of_kind <= LISTED_OF_A_KIND && events.told.len() < LISTED;
            let fault = Outages::tells(kind);
            let course = phase_kind(kind);
            let strip = kind == b"Policy" && strips::tells(row.raw(3));
            if !listed && !fault && !course && !strip {
                continue;
            }
            let at_ns = row.number(0)?;
            if strip {
                events.strips.event(at_ns, row.raw(1), row.raw(3));
                if !listed {
                    continue;
                }
            }
            let (entity, detail) = (row.text(1).into_owned(), row.text(3).into_owned());
            if fault {
                outages.event(at_ns, &entity, kind);
            }
            if course && let Some(of) = events.courses.get_mut(&entity) {
                of.event(at_ns, &String::from_utf8_lossy(kind), &detail);
            }
            if listed {
                let kind = row.text(2).into_owned();
                events.told.push(Told {
                    at_ns,
                    entity,
                    kind,
                    detail: words::of(&detail),
                });
            }
        }
        (events.outages, events.more_outages) = outages.finish(record.simulated_ns);
        for course in events.courses.values_mut() {
            course.end(record.simulated_ns);
        }
        Ok(events)
    }
}

fn phase_kind(kind: &[u8]) -> bool {
    const KINDS: [&[u8]; 14] = [
        b"Started",
        b"SetupDone",
        b"RoundStarted",
        b"GuestPaused",
        b"Resumed",
        b"Arrived",
        b"Completed",
        b"Cancelled",
        b"Failed",
        b"Stalled",
        b"Paused",
        b"Recovered",
        b"GuestThrottled",
        b"PostcopyStarted",
    ];
    KINDS.contains(&kind)
}

impl Course {
    fn event(&mut self, at_ns: u64, kind: &str, detail: &str) {
        let moment = |course: &mut Course, what: String| {
            if course.moments.len() < SEGMENTS {
                course.moments.push((at_ns, what));
            }
        };
        match kind {
            "Started" => self.enter(at_ns, Some(Phase::Setup)),
            "RoundStarted" => {
                let detail: Value = serde_json::from_str(detail).unwrap_or(Value::Null);
                self.enter(at_ns, Some(Phase::Round(detail["round"].as_u64().unwrap_or(0))));
            }
            "GuestPaused" => self.enter(at_ns, Some(Phase::Stopped)),
            // If all pages have come, `Arrived` follows at once.
            "Resumed" | "Recovered" => self.enter(at_ns, Some(Phase::Postcopy)),
            "Paused" => self.enter(at_ns, Some(Phase::Interrupted)),
            "Arrived" | "Cancelled" | "Failed" => {
                self.enter(at_ns, None);
                moment(self, kind.to_lowercase());
            }
            "Completed" => self.enter(at_ns, None),
            "Stalled" => moment(self, "no progress".to_owned()),
            "GuestThrottled" => moment(self, "guest slowed down".to_owned()),
            _ => {}
        }
    }

    fn enter(&mut self, at_ns: u64, next: Option<Phase>) {
        let before = std::mem::replace(&mut self.open, next.map(|phase| (at_ns, phase)));
        if let Some((from, phase)) = before
            && at_ns > from
            && self.phases.len() < SEGMENTS
        {
            self.phases.push((from, at_ns, phase));
        }
    }

    fn end(&mut self, end_ns: u64) {
        self.enter(end_ns, None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phases_follow_each_other_and_end_with_the_run() {
        let mut course = Course::default();
        for (at, kind, detail) in [
            (0, "Started", ""),
            (10, "RoundStarted", r#"{"round":1}"#),
            (20, "GuestPaused", ""),
            (30, "Resumed", ""),
            (30, "Arrived", ""),
            (35, "Completed", ""),
        ] {
            course.event(at, kind, detail);
        }
        course.end(50);
        assert_eq!(
            course.phases,
            [
                (0, 10, Phase::Setup),
                (10, 20, Phase::Round(1)),
                (20, 30, Phase::Stopped)
            ]
        );
        assert_eq!(course.moments, [(30, "arrived".to_owned())]);

        let mut stuck = Course::default();
        stuck.event(5, "RoundStarted", r#"{"round":7}"#);
        stuck.end(50);
        assert_eq!(stuck.phases, [(5, 50, Phase::Round(7))]);
    }
}
