//! The text of a replay: both worlds side by side, whether the replay can be trusted, and the verdict.

use std::path::Path;

use longhaul_core::doctor::Backend;
use longhaul_core::record::{Ended, Verdict};
use longhaul_core::replay::{
    ComparisonRecord, ComparisonVerdict, Estimate, HealthCheck, MarginRecord, ReplayRecord, ReplayVerdict,
    ReplayedAssertion, SideRecord, StepRecord,
};
use longhaul_statistics::quantile::quantile_of;

use super::{Ink, Note, Page, Style, fidelity};
use crate::human::{self, MISSING, printable};
use crate::replay::{difference, metric_in_words, value};
use crate::table::Align::{Left, Right};
use crate::table::Table;

/// The whole report, with the run directory if it was written.
pub fn replay(record: &ReplayRecord, directory: Option<&Path>, style: Style) -> String {
    let mut page = Page::new(style);
    head(&mut page, record);
    page.table(
        "Comparison",
        &comparisons(&record.comparisons),
        &comparison_notes(record),
    );
    page.table("Timeline", &timeline(&record.timeline), &[]);
    page.table(
        "Assertions, in the replications",
        &assertions(&record.assertions),
        &assertion_notes(record),
    );
    page.warnings(&record.warnings);
    page.blank();
    health(&mut page, &record.health);
    verdict(&mut page, record);
    page.labelled("method", &record.method);
    // Not wrapped: it is there to be copied.
    page.line(&format!("reproduce: {}", printable(&record.reproduce)));
    if let Some(directory) = directory {
        page.line(&format!(
            "run directory: {}",
            printable(&directory.to_string_lossy())
        ));
    }
    page.text
}

/// The short report: the verdict, and why if it is not a pass.
pub fn replay_verdict(record: &ReplayRecord, style: Style) -> String {
    let mut page = Page::new(style);
    verdict(&mut page, record);
    let notes = if record.verdict == ReplayVerdict::Invalid {
        health_notes(&record.health)
    } else {
        comparison_notes(record)
    };
    for note in notes {
        page.note(&note);
    }
    page.text
}

fn head(page: &mut Page, record: &ReplayRecord) {
    let title = format!(
        "{}, seed {}: {} replications, {} simulations, {} fidelity, model version {}",
        printable(&record.scenario),
        record.seed,
        record.replications.len(),
        record.simulations.len(),
        fidelity(record.fidelity),
        record.model_version
    );
    page.wrapped(&title, 2);
    page.labelled("question", &printable(&record.question));
    let place = match record.backend {
        Some(Backend::Host) => "on this machine, in real time",
        Some(Backend::Vm) => "in a virtual machine, in virtual time",
        None => "at an earlier time",
    };
    page.labelled("replayed by", &format!("{}, {place}", printable(&record.kernel)));
    for (runs, what) in [
        (&record.simulations, "simulations"),
        (&record.replications, "replications"),
    ] {
        let cut = runs.iter().filter(|ended| **ended == Ended::Horizon).count();
        if cut > 0 {
            page.labelled("horizon", &format!("{cut} of {} {what} reached it", runs.len()));
        }
    }
}

/// In two lines where it would not fit beside the figures.
fn verdict_cell(verdict: ComparisonVerdict) -> &'static str {
    match verdict {
        ComparisonVerdict::Pass => "PASS",
        ComparisonVerdict::Fail => "FAIL",
        ComparisonVerdict::NotComparable => "NOT\nCOMPARABLE",
    }
}

fn comparisons(comparisons: &[ComparisonRecord]) -> Table {
    let row = |c: &ComparisonRecord| {
        let median = |side: &SideRecord| {
            // Of few values that vary there is no interval, but there is a median.
            let known: Vec<f64> = side.values.iter().flatten().map(|&value| value as f64).collect();
            let few = || quantile_of(known, 0.5).map(|median| median.round() as u64);
            let estimate = side.median.and_then(|median| u64::try_from(median.value).ok());
            estimate
                .or_else(few)
                .map_or_else(|| MISSING.to_owned(), |median| value(c.quantity, median))
        };
        let margin = match c.margin {
            MarginRecord::Relative(millionths) => human::percentage(millionths.saturating_mul(1_000_000)),
            MarginRecord::Absolute(exact) => value(c.quantity, exact),
        };
        vec![
            verdict_cell(c.verdict).to_owned(),
            what(c),
            median(&c.simulated),
            median(&c.replayed),
            c.difference
                .map_or_else(|| MISSING.to_owned(), |found| difference(c, found.value)),
            format!("± {margin}"),
        ]
    };
    Table {
        columns: vec![
            ("verdict", Left),
            ("median of", Left),
            ("simulated", Right),
            ("replayed", Right),
            ("difference", Right),
            ("margin", Left),
        ],
        name_column: 1,
        rows: comparisons.iter().map(row).collect(),
    }
}

/// `completion time, bulk`, `delivered, north→south`: narrow, so that the table stays one block.
fn what(comparison: &ComparisonRecord) -> String {
    let entity = printable(&comparison.entity).replace("->", "→");
    format!("{}, {entity}", metric_in_words(&comparison.metric))
}

/// Why metrics do not pass, with the interval that decided.
fn comparison_notes(record: &ReplayRecord) -> Vec<Note> {
    let note = |c: &ComparisonRecord| {
        let status = match c.verdict {
            ComparisonVerdict::Pass => return None,
            ComparisonVerdict::Fail => "FAIL",
            ComparisonVerdict::NotComparable => "NOT COMPARABLE",
        };
        let interval = c
            .difference
            .map_or_else(String::new, |Estimate { low, high, .. }| {
                format!(
                    " (90 % interval {} to {})",
                    difference(c, low),
                    difference(c, high)
                )
            });
        Some(Note {
            status,
            text: format!("{}: {}{interval}", what(c), printable(&c.reason)),
        })
    };
    record.comparisons.iter().filter_map(note).collect()
}

fn timeline(steps: &[StepRecord]) -> Table {
    let row = |step: &StepRecord| {
        let late = |times: &[u64]| times.iter().map(|&at| at.saturating_sub(step.planned_ns)).max();
        let shown =
            |late: Option<u64>| late.map_or_else(|| MISSING.to_owned(), |ns| format!("+{}", human::span(ns)));
        vec![
            printable(&step.what),
            human::span(step.planned_ns),
            step.done_ns.len().to_string(),
            shown(late(&step.begun_ns)),
            shown(late(&step.done_ns)),
        ]
    };
    Table {
        columns: vec![
            ("step", Left),
            ("planned", Right),
            ("done in", Right),
            ("latest begun", Right),
            ("latest done", Right),
        ],
        name_column: 0,
        rows: steps.iter().map(row).collect(),
    }
}

fn assertions(assertions: &[ReplayedAssertion]) -> Table {
    let row = |a: &ReplayedAssertion| {
        let held = a
            .verdicts
            .iter()
            .filter(|verdict| **verdict == Verdict::Pass)
            .count();
        let advisory = if a.critical { "" } else { " (advisory)" };
        vec![
            printable(&a.what),
            format!("{held} of {}", a.verdicts.len()),
            format!("{}{advisory}", printable(&a.bound)),
        ]
    };
    Table {
        columns: vec![("assertion", Left), ("held in", Right), ("bound", Left)],
        name_column: 0,
        rows: assertions.iter().map(row).collect(),
    }
}

fn assertion_notes(record: &ReplayRecord) -> Vec<Note> {
    let note = |a: &ReplayedAssertion| {
        let why = a.undecided.as_deref()?;
        Some(Note {
            status: "INCONCLUSIVE",
            text: format!("{}: {}", printable(&a.what), printable(why)),
        })
    };
    record.assertions.iter().filter_map(note).collect()
}

fn health(page: &mut Page, checks: &[HealthCheck]) {
    let held = checks.iter().filter(|check| check.passed).count();
    let told: Vec<String> = checks
        .iter()
        .filter(|check| check.passed)
        .map(|check| format!("{} {}", check.name, check.measured))
        .collect();
    let text = format!(
        "{held} of {} checks hold: {}",
        checks.len(),
        printable(&told.join("; "))
    );
    page.labelled("health", &text);
    for note in health_notes(checks) {
        page.note(&note);
    }
}

/// What is wrong with the replay, and what to change.
fn health_notes(checks: &[HealthCheck]) -> Vec<Note> {
    let failed = checks.iter().filter(|check| !check.passed);
    failed
        .map(|check| Note {
            status: "INVALID",
            text: printable(&format!(
                "{}: {}, needed: {}; {}",
                check.name,
                check.measured,
                check.needed,
                check.advice.as_deref().unwrap_or("replay again")
            )),
        })
        .collect()
}

fn verdict(page: &mut Page, record: &ReplayRecord) {
    let (word, ink) = match record.verdict {
        ReplayVerdict::Pass => ("PASS", Ink::Good),
        ReplayVerdict::Fail => ("FAIL", Ink::Bad),
        ReplayVerdict::Inconclusive => ("INCONCLUSIVE", Ink::Doubtful),
        ReplayVerdict::Invalid => ("INVALID", Ink::Bad),
    };
    let painted = page.style.paint(ink, word);
    let text = format!("{word}: {}", printable(&record.reason));
    for line in crate::wrap::wrap(&text, usize::from(page.style.columns()), 2) {
        match line.strip_prefix(word) {
            Some(rest) => page.line(&format!("{painted}{rest}")),
            None => page.line(&line),
        }
    }
}

#[cfg(test)]
mod tests;
