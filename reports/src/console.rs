//! The text of a finished run for a terminal, a pipe or a log.
//!
//! Everything here can be derived from `summary.json`. What is missing or unfinished is shown as `–` beside
//! its state, never as 0. Names come from the scenario, so their control characters are made visible.

mod datagrams;
mod demands;
mod doctor;
mod federations;
mod notes;
mod overlays;
mod replay;
mod replications;
mod reservations;
mod routes;
mod services;
mod tables;
mod validation;
mod what_if;

pub(crate) use tables::{asserted, asserted_value};

pub use doctor::doctor;
pub use replay::{replay, replay_verdict};
pub use validation::{validation, validation_verdict};
pub use what_if::what_if;

use std::path::Path;

use longhaul_core::record::{AbortRecord, Ended, Fidelity, PayloadRecord, Progress, RunRecord, Verdict};
use longhaul_core::units::Probability;

use crate::human;
use crate::wrap::wrap;

/// How to lay out text.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Style {
    /// Columns of the terminal. Below [`Style::NARROWEST`] tables are laid out for that width.
    pub width: u16,
    /// Whether to write ANSI colour sequences.
    pub colour: bool,
}

impl Style {
    /// The least width that tables are made for.
    pub const NARROWEST: u16 = 40;
    /// The width where there is no terminal to ask.
    pub const PIPED: Style = Style {
        width: 80,
        colour: false,
    };

    /// For standard output: as wide as the terminal there, or 80 columns where there is none.
    pub fn of_stdout(colour: bool) -> Style {
        // The one thing here that asks the machine; it decides about line breaks and nothing else.
        let width = comfy_table::Table::new().width();
        Style {
            width: width.unwrap_or(Style::PIPED.width),
            colour,
        }
    }

    /// For standard error, likewise.
    pub fn of_stderr(colour: bool) -> Style {
        let mut table = comfy_table::Table::new();
        Style {
            width: table.use_stderr().width().unwrap_or(Style::PIPED.width),
            colour,
        }
    }

    /// Columns that are used: those of the terminal, but at least [`Style::NARROWEST`].
    pub fn columns(self) -> u16 {
        self.width.max(Style::NARROWEST)
    }

    fn paint(self, ink: Ink, text: &str) -> String {
        if !self.colour {
            return text.to_owned();
        }
        let code = match ink {
            Ink::Heading => "1",
            Ink::Good => "32",
            Ink::Bad => "31",
            Ink::Doubtful => "33",
        };
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    }
}

/// What a colour means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Ink {
    Heading,
    Good,
    Bad,
    Doubtful,
}

/// The whole report: head, tables, verdict, digest, payload, reproduce command and, if it was written, the
/// run directory.
pub fn report(record: &RunRecord, directory: Option<&Path>, style: Style) -> String {
    let mut page = Page::new(style);
    page.head(record);
    for section in sections(record) {
        page.table(section.heading, &section.table, &section.notes);
    }
    page.warnings(&record.warnings);
    page.blank();
    page.verdict(record);
    page.labelled("digest", &record.digest);
    page.labelled("payload", &payload_statement(&record.payload));
    // Not wrapped: it is there to be copied.
    page.line(&format!("reproduce: {}", human::printable(&record.reproduce)));
    if let Some(directory) = directory {
        page.line(&format!(
            "run directory: {}",
            human::printable(&directory.to_string_lossy())
        ));
    }
    page.text
}

/// A table of a report, with what is to be said about it.
#[derive(Clone, Debug)]
pub(crate) struct Section {
    pub heading: &'static str,
    pub table: crate::table::Table,
    pub notes: Vec<Note>,
}

impl Section {
    /// Whether there is nothing to say.
    pub fn is_empty(&self) -> bool {
        self.table.rows.is_empty() && self.notes.is_empty()
    }
}

/// All tables in order, empty ones included: the same on a terminal, on a page and in Markdown. A column in which nothing has a
/// value is left out.
pub(crate) fn sections(record: &RunRecord) -> Vec<Section> {
    let mut sections = all_sections(record);
    for section in &mut sections {
        section.table.drop_empty_columns();
    }
    sections
}

fn all_sections(record: &RunRecord) -> Vec<Section> {
    vec![
        Section {
            heading: "Migrations",
            table: tables::migrations(&record.migrations),
            notes: notes::migration_notes(record),
        },
        Section {
            heading: "Transfers",
            table: tables::transfers(&record.transfers),
            notes: notes::transfer_notes(record),
        },
        Section {
            heading: "Datagrams",
            table: datagrams::datagrams(&record.datagrams),
            notes: Vec::new(),
        },
        Section {
            heading: "Replications",
            table: replications::replications(&record.replications),
            notes: replications::replication_notes(record),
        },
        Section {
            heading: "Federations",
            table: federations::federations(&record.federations),
            notes: federations::federation_notes(record),
        },
        Section {
            heading: "Clusters",
            table: federations::clusters(&record.federations),
            notes: Vec::new(),
        },
        Section {
            heading: "Reservations",
            table: reservations::reservations(&record.reservations),
            notes: reservations::reservation_notes(&record.reservations),
        },
        Section {
            heading: "Demands",
            table: demands::demands(&record.demands),
            notes: Vec::new(),
        },
        Section {
            heading: "Routes",
            table: routes::routes(&record.routes),
            notes: Vec::new(),
        },
        Section {
            heading: "Clients",
            table: services::clients(&record.clients),
            notes: services::client_notes(&record.clients),
        },
        Section {
            heading: "Servers",
            table: services::servers(&record.services),
            notes: Vec::new(),
        },
        Section {
            heading: "Paths",
            table: overlays::paths(record),
            notes: overlays::overlay_notes(record),
        },
        Section {
            heading: "Links",
            table: tables::links(&record.links),
            notes: notes::link_notes(record),
        },
        Section {
            heading: "Assertions",
            table: tables::assertions(&record.assertions),
            notes: notes::assertion_notes(record),
        },
    ]
}

/// One table with its notes, after an empty line.
pub(crate) fn section(section: &Section, style: Style) -> String {
    let mut page = Page::new(style);
    page.table(section.heading, &section.table, &section.notes);
    page.text
}

/// The short report: the verdict, and why if it is not a pass.
pub fn verdict(record: &RunRecord, style: Style) -> String {
    let mut page = Page::new(style);
    page.verdict(record);
    for note in notes::assertion_notes(record) {
        page.note(&note);
    }
    page.text
}

/// A remark under a table or verdict; its first word decides the colour.
#[derive(Clone, Debug)]
pub(crate) struct Note {
    /// `FAIL`, `failed`, …
    pub status: &'static str,
    pub text: String,
}

struct Page {
    style: Style,
    text: String,
}

impl Page {
    fn new(style: Style) -> Page {
        Page {
            style,
            text: String::new(),
        }
    }

    fn line(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }

    fn blank(&mut self) {
        self.line("");
    }

    fn wrapped(&mut self, text: &str, indent: usize) {
        for line in wrap(text, usize::from(self.style.columns()), indent) {
            self.line(&line);
        }
    }

    fn labelled(&mut self, label: &str, text: &str) {
        self.wrapped(&format!("{label}: {text}"), 2);
    }

    fn head(&mut self, record: &RunRecord) {
        let fidelity = fidelity(record.fidelity);
        let name = human::printable(&record.scenario);
        let title = format!(
            "{name}, seed {}, {fidelity} fidelity, model version {}",
            human::seeds(record),
            record.model_version
        );
        for line in wrap(&title, usize::from(self.style.columns()), 2) {
            let line = self.style.paint(Ink::Heading, &line);
            self.line(&line);
        }
        // A scenario that left the choice open is told what was chosen and why.
        if let Some(reason) = &record.fidelity_reason {
            let chosen = format!("{fidelity}, chosen by Auto: {}", human::printable(reason));
            self.labelled("fidelity", &chosen);
        }
        self.labelled("question", &human::printable(&record.question));
        self.labelled("expected", &human::printable(&record.expect));
        let at = human::span(record.simulated_ns);
        let ended = match record.ended {
            Ended::Done => format!("all work done after {at}"),
            Ended::Horizon => format!("stopped at the horizon after {at}"),
            Ended::EventBudget => format!("stopped by the event budget after {at}"),
            Ended::Interrupted => format!("interrupted after {at}; what was finished is kept"),
        };
        self.wrapped(
            &format!("{ended} (simulated); {} events", human::count(record.events)),
            2,
        );
        if let Some(abort) = &record.aborted {
            self.labelled("faults aborted", &human::printable(&aborted(abort)));
        }
    }

    fn table(&mut self, heading: &str, table: &crate::table::Table, notes: &[Note]) {
        if table.rows.is_empty() && notes.is_empty() {
            return;
        }
        self.blank();
        let heading = self.style.paint(Ink::Heading, heading);
        self.line(&heading);
        let lines = match table.rows.is_empty() {
            true => Vec::new(),
            false => table.render(self.style.columns()),
        };
        for line in lines {
            let has_status = table.name_column > 0;
            let line = if has_status {
                self.with_status_painted(&line)
            } else {
                line
            };
            self.line(&line);
        }
        for note in notes {
            self.note(note);
        }
    }

    /// The line with its first word painted if that is a state or verdict.
    fn with_status_painted(&self, line: &str) -> String {
        let body = line.trim_start();
        let status = body.split(' ').next().unwrap_or_default();
        match tables::ink_of(status) {
            Some(ink) if self.style.colour => {
                let blanks = &line[..line.len() - body.len()];
                format!(
                    "{blanks}{}{}",
                    self.style.paint(ink, status),
                    &body[status.len()..]
                )
            }
            _ => line.to_owned(),
        }
    }

    fn note(&mut self, note: &Note) {
        let text = format!("{} {}", note.status, note.text);
        let lines = wrap(&text, usize::from(self.style.columns()) - 2, 2);
        for (index, line) in lines.iter().enumerate() {
            let line = match index {
                0 => self.with_status_painted(line),
                _ => line.clone(),
            };
            self.line(&format!("  {line}"));
        }
    }

    fn warnings(&mut self, warnings: &[String]) {
        if warnings.is_empty() {
            return;
        }
        self.blank();
        for warning in warnings {
            self.note(&Note {
                status: tables::WARNING,
                text: human::printable(warning),
            });
        }
    }

    fn verdict(&mut self, record: &RunRecord) {
        let text = format!(
            "{}: {}",
            tables::verdict_word(record.verdict),
            verdict_reasons(record)
        );
        for (index, line) in wrap(&text, usize::from(self.style.columns()), 2)
            .iter()
            .enumerate()
        {
            let word = tables::verdict_word(record.verdict);
            let line = match (index, line.strip_prefix(word)) {
                (0, Some(rest)) => format!(
                    "{}{rest}",
                    self.style.paint(tables::verdict_ink(record.verdict), word)
                ),
                _ => line.clone(),
            };
            self.line(&line);
        }
    }
}

/// Why all faults of a run ended early.
pub(crate) fn aborted(abort: &AbortRecord) -> String {
    let AbortRecord {
        at_ns,
        since_ns,
        metric,
        of,
        value,
        bound,
    } = abort;
    let lasted = match at_ns - since_ns {
        0 => String::new(),
        ns => format!(", beyond it for {}", human::span(ns)),
    };
    format!(
        "at {}: {metric} of {of} was {value}, {bound}{lasted}",
        human::span(*at_ns)
    )
}

/// Why the verdict is what it is, in half sentences.
pub(crate) fn verdict_reasons(record: &RunRecord) -> String {
    let mut reasons = Vec::new();

    let progress = record
        .migrations
        .iter()
        .map(|m| &m.progress)
        .chain(record.transfers.iter().map(|t| &t.progress))
        .chain(record.replications.iter().map(|r| &r.progress))
        .chain(record.federations.iter().map(|f| &f.progress));
    let unfinished = progress
        .filter(|progress| **progress != Progress::Completed)
        .count();
    if unfinished > 0 {
        let all = record.migrations.len()
            + record.transfers.len()
            + record.replications.len()
            + record.federations.len();
        let what = match (record.replications.is_empty(), record.federations.is_empty()) {
            (true, true) => "migrations and transfers",
            (false, true) => "migrations, transfers and replications",
            (true, false) => "migrations, transfers and federations",
            (false, false) => "migrations, transfers, replications and federations",
        };
        reasons.push(format!("{unfinished} of {all} {what} did not complete"));
    }
    let total = record.assertions.len();
    let count = |verdict: Verdict, critical: bool| {
        let matching =
            |a: &&longhaul_core::record::AssertionRecord| a.verdict == verdict && a.critical == critical;
        record.assertions.iter().filter(matching).count()
    };
    if total == 0 {
        reasons.push("no assertions".to_owned());
    } else {
        let held = count(Verdict::Pass, true) + count(Verdict::Pass, false);
        reasons.push(format!("{held} of {total} assertions hold"));
    }
    for (verdict, word) in [(Verdict::Fail, "failed"), (Verdict::Inconclusive, "inconclusive")] {
        for (critical, level) in [(true, "critical"), (false, "advisory")] {
            match count(verdict, critical) {
                0 => {}
                number => reasons.push(format!("{number} {level} {word}")),
            }
        }
    }
    if record.ended == Ended::Interrupted {
        reasons.push("the run was interrupted".to_owned());
    }
    reasons.join("; ")
}

/// How much of the memory was real, and what was done with it.
pub(crate) fn payload_statement(payload: &PayloadRecord) -> String {
    if payload.real_bytes == 0 && payload.synthetic_bytes == 0 {
        return "no memory page was carried".to_owned();
    }
    let share = if payload.declared_share_parts == Probability::PARTS {
        "all pages real".to_owned()
    } else {
        format!(
            "{} of the pages real",
            human::percentage(payload.declared_share_parts)
        )
    };
    let real = human::bytes(payload.real_bytes);
    let compared = match payload.verified_pages {
        0 => "no page compared, since nothing was completed".to_owned(),
        pages => format!("{} pages compared at the end, all equal", human::count(pages)),
    };
    let synthetic = match payload.synthetic_bytes {
        0 => String::new(),
        bytes => format!(
            "; the other {} synthetic, at the ratios so measured",
            human::bytes(bytes)
        ),
    };
    format!("{share}: {real} generated, encoded, carried and decoded; {compared}{synthetic}")
}

/// A fidelity in words.
pub(crate) fn fidelity(fidelity: Fidelity) -> &'static str {
    match fidelity {
        Fidelity::Packet => "packet",
        Fidelity::Flow => "flow",
    }
}

#[cfg(test)]
mod tests;
