//! Markdown for comments on pull requests and for job summaries.

use std::fmt::Write as _;

use longhaul_core::record::Verdict;

use super::load::Story;
use super::page::summary;
use crate::console;
use crate::human;
use crate::table::{Align, Table};

/// Faults that are listed.
const FAULTS: usize = 20;
/// Rows of a table.
const ROWS: usize = 50;

/// The text of `report.md`.
pub fn markdown(story: &Story) -> String {
    let record = &story.record;
    let sign = match record.verdict {
        Verdict::Pass => "✅ PASS",
        Verdict::Fail => "❌ FAIL",
        Verdict::Inconclusive => "❔ INCONCLUSIVE",
    };
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = writeln!(text, "## {sign}: {}\n", plain(&record.scenario));
    for line in [&record.question, &record.expect]
        .into_iter()
        .filter(|line| !line.is_empty())
    {
        let _ = writeln!(text, "> {}\n>", plain(line));
    }
    let _ = writeln!(
        text,
        "\n{}\n\nSeed {}, {} fidelity, {} events, model version {}, digest `{}`.\n",
        plain(&summary(story)),
        human::seeds(record),
        console::fidelity(record.fidelity),
        human::count(record.events),
        record.model_version,
        record.digest
    );
    let _ = writeln!(
        text,
        "```sh\n{}\n```",
        human::printable(&record.reproduce).replace("```", "` ` `")
    );
    let mut sections = super::sections(story);
    // What was asserted comes first.
    sections.sort_by_key(|section| section.heading != "Assertions");
    for section in sections.iter().filter(|section| !section.is_empty()) {
        let _ = writeln!(text, "\n### {}\n", section.heading);
        if !section.table.rows.is_empty() {
            table(&mut text, &section.table);
        }
        for note in &section.notes {
            let _ = writeln!(text, "\n- {}: {}", note.status, plain(&note.text));
        }
    }
    let outages = &story.events.outages;
    if !outages.is_empty() {
        let _ = writeln!(
            text,
            "\n### Faults\n\n| what | from | for |\n| --- | ---: | ---: |"
        );
        for of in outages.iter().take(FAULTS) {
            let lasted = if of.repaired {
                human::span(of.to_ns - of.from_ns)
            } else {
                "to the end".to_owned()
            };
            let _ = writeln!(
                text,
                "| {} | {} | {lasted} |",
                plain(&of.what),
                human::span(of.from_ns)
            );
        }
        more(
            &mut text,
            outages.len().saturating_sub(FAULTS) as u64 + story.events.more_outages,
        );
    }
    if !record.warnings.is_empty() {
        let _ = writeln!(text, "\n### Warnings\n");
        for warning in &record.warnings {
            let _ = writeln!(text, "- {}", plain(warning));
        }
    }
    text
}

fn more(text: &mut String, count: u64) {
    if count > 0 {
        let _ = writeln!(text, "\n… and {} more.", human::count(count));
    }
}

fn table(text: &mut String, table: &Table) {
    let row = |cells: Vec<String>| format!("| {} |", cells.join(" | "));
    let heads = table.columns.iter().map(|(head, _)| plain(head)).collect();
    let rules = table.columns.iter().map(|(_, align)| match align {
        Align::Left => "---".to_owned(),
        Align::Right => "---:".to_owned(),
    });
    let _ = writeln!(text, "{}\n{}", row(heads), row(rules.collect()));
    for cells in table.rows.iter().take(ROWS) {
        let _ = writeln!(text, "{}", row(cells.iter().map(|cell| plain(cell)).collect()));
    }
    more(text, table.rows.len().saturating_sub(ROWS) as u64);
}

/// Text in which nothing is markup: names come from scenarios.
fn plain(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in human::printable(text).chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '|' | '\\' | '`' | '*' | '_' | '[' | ']' | '~' | '#' | '!' => {
                safe.push('\\');
                safe.push(c);
            }
            c => safe.push(c),
        }
    }
    safe
}
