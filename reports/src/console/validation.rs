//! The text of a validation: accuracy by class, the worst cases, and what was declared.

use longhaul_core::record::Verdict;
use longhaul_core::validation::{
    ConfigurationRecord, GroupRecord, HostDelaySource, ToleranceRecord, ValidationRecord,
};

use super::tables::{verdict_ink, verdict_word};
use super::{Ink, Page, Style, fidelity};
use crate::human::{self, MISSING, printable};
use crate::table::Align::{Left, Right};
use crate::table::Table;

/// Cases in the list of the worst.
const WORST: usize = 10;

/// The whole report.
pub fn validation(record: &ValidationRecord, style: Style) -> String {
    let mut page = Page::new(style);
    head(&mut page, record);
    page.table(
        "Error of the median completion time",
        &accuracy(&record.groups),
        &[],
    );
    page.labelled("inside", INSIDE);
    page.labelled("noise", NOISE);
    if let Some(all) = record.groups.first() {
        spread(&mut page, all);
    }
    let worst = worst(&record.configurations);
    page.table("Worst cases", &cases(&worst), &[]);
    page.table("Tolerances", &tolerances(&record.tolerances), &[]);
    page.blank();
    verdict(&mut page, record);
    if let Some(first) = worst.first() {
        let name = printable(&first.name);
        page.labelled(
            "explain",
            &format!("longhaul validate TABLE --emit {name} prints the scenario of configuration {name}"),
        );
    }
    page.text
}

/// The short report: the verdict, and what was missed.
pub fn validation_verdict(record: &ValidationRecord, style: Style) -> String {
    let mut page = Page::new(style);
    verdict(&mut page, record);
    page.text
}

const INSIDE: &str = "configurations with loss or jitter whose measured median lies between 90 % of the first and \
                      110 % of the third simulated quartile";
const NOISE: &str = "how far the measured median itself would lie off in another set of as many measurements, from \
                     resampling the measurements; no model comes closer";

fn head(page: &mut Page, record: &ValidationRecord) {
    let selected = match record.filter.as_str() {
        "" => String::new(),
        filter => format!(" where {}", printable(filter)),
    };
    let title = format!(
        "{}: {} configurations{selected}, {} fidelity, model version {}",
        printable(&record.table),
        record.configurations.len(),
        fidelity(record.fidelity),
        record.model_version
    );
    page.wrapped(&title, 2);
    let simulated = record
        .configurations
        .iter()
        .filter(|c| c.simulated.is_some())
        .count();
    page.labelled(
        "simulated",
        &format!(
            "{simulated}, each {} times, from various points of the kernel's clock tick",
            human::count(record.seeds.into())
        ),
    );
    let mut missing: Vec<&str> = record
        .configurations
        .iter()
        .filter(|c| c.simulated.is_none())
        .map(|c| c.parameters.controller.as_str())
        .collect();
    if !missing.is_empty() {
        let number = missing.len();
        missing.sort_unstable();
        missing.dedup();
        page.labelled(
            "not modelled",
            &format!("{number}, with {}", printable(&missing.join(", "))),
        );
    }
    let source = match record.host_delay_source {
        HostDelaySource::Given => "as given".to_owned(),
        HostDelaySource::Handshakes(n) => {
            format!("the median of {n} configurations' undisturbed handshakes in the table")
        }
        HostDelaySource::Unknown => "the table has no undisturbed handshakes to tell".to_owned(),
    };
    page.labelled(
        "host delay",
        &format!("{} each way: {source}", human::span(record.host_delay_ns)),
    );
    page.labelled(
        "call time",
        &format!(
            "{} for each connect, write and shutdown of the sender",
            human::span(record.call_time_ns)
        ),
    );
}

fn accuracy(groups: &[GroupRecord]) -> Table {
    let row = |group: &GroupRecord| {
        let inside = match group.random {
            0 => MISSING.to_owned(),
            random => format!("{:.0} %", 100.0 * f64::from(group.inside) / f64::from(random)),
        };
        vec![
            printable(&group.by),
            printable(&group.class),
            group.configurations.to_string(),
            or_missing(group.median_error, percent),
            or_missing(group.p90_error, percent),
            or_missing(group.worst_error, signed_percent),
            inside,
            or_missing(group.noise_median, percent),
            or_missing(group.noise_p90, percent),
        ]
    };
    Table {
        columns: vec![
            ("by", Left),
            ("class", Left),
            ("n", Right),
            ("median", Right),
            ("p90", Right),
            ("worst", Right),
            ("inside", Right),
            ("noise", Right),
            ("its p90", Right),
        ],
        name_column: 1,
        rows: groups
            .iter()
            .filter(|group| group.configurations > 0)
            .map(row)
            .collect(),
    }
}

/// How far the quartiles are off, which says whether the model varies as reality does.
fn spread(page: &mut Page, all: &GroupRecord) {
    if all.random == 0 {
        return;
    }
    let text = format!(
        "of the {} configurations with loss or jitter, the first quartiles are {} off at the median and the third {}; \
         {} measured medians lie inside the simulated quartile range widened by a tenth of its width",
        all.random,
        or_missing(all.first_quartile_error, percent),
        or_missing(all.third_quartile_error, percent),
        all.inside_narrow
    );
    page.labelled("spread", &text);
}

/// The simulated configurations with the largest errors, largest first. Whatever did not finish is worst.
fn worst(configurations: &[ConfigurationRecord]) -> Vec<&ConfigurationRecord> {
    let size = |c: &ConfigurationRecord| c.error.map_or(f64::INFINITY, f64::abs);
    let mut worst: Vec<_> = configurations.iter().filter(|c| c.simulated.is_some()).collect();
    // Stable: of equal errors the table's order decides.
    worst.sort_by(|a, b| size(b).total_cmp(&size(a)));
    worst.truncate(WORST);
    worst
}

fn cases(worst: &[&ConfigurationRecord]) -> Table {
    let row = |c: &&ConfigurationRecord| {
        let p = &c.parameters;
        let simulated = c.simulated.as_ref().and_then(|runs| runs.median_ns);
        let loss = match p.loss_burst {
            Some(burst) => format!("{} in {burst}s", human::percentage(p.loss_parts)),
            None => human::percentage(p.loss_parts),
        };
        vec![
            printable(&c.name),
            or_missing(c.error, signed_percent),
            percent(c.measured_noise),
            or_missing(c.measured.median_ns, human::span),
            or_missing(simulated, human::span),
            format!("{} ×{}", printable(&p.controller), p.streams),
            human::bytes(p.bytes),
            human::span(p.rtt_ns),
            human::rate(p.rate_bits_per_s),
            loss,
            if p.jitter_ns == 0 {
                MISSING.to_owned()
            } else {
                human::span(p.jitter_ns)
            },
            format!(
                "{} {}",
                if p.netem { "limit" } else { "queue" },
                human::count(p.room_packets.into())
            ),
            printable(&p.buffers),
        ]
    };
    Table {
        columns: vec![
            ("config", Left),
            ("error", Right),
            ("noise", Right),
            ("measured", Right),
            ("simulated", Right),
            ("streams", Left),
            ("size", Right),
            ("RTT", Right),
            ("rate", Right),
            ("loss", Right),
            ("jitter", Right),
            ("room", Right),
            ("buffers", Left),
        ],
        name_column: 0,
        rows: worst.iter().map(row).collect(),
    }
}

fn tolerances(tolerances: &[ToleranceRecord]) -> Table {
    let row = |t: &ToleranceRecord| {
        let relation = if t.at_least { "≥" } else { "≤" };
        vec![
            verdict_word(t.verdict).to_owned(),
            t.name.clone(),
            t.what.clone(),
            t.configurations.to_string(),
            or_missing(t.value, percent),
            format!("{relation} {}", percent(t.bound)),
        ]
    };
    Table {
        columns: vec![
            ("verdict", Left),
            ("name", Left),
            ("what", Left),
            ("n", Right),
            ("value", Right),
            ("bound", Left),
        ],
        name_column: 1,
        rows: tolerances.iter().map(row).collect(),
    }
}

fn verdict(page: &mut Page, record: &ValidationRecord) {
    let count = record.tolerances.len();
    let kept = record
        .tolerances
        .iter()
        .filter(|t| t.verdict == Verdict::Pass)
        .count();
    let missed: Vec<&str> = record
        .tolerances
        .iter()
        .filter(|t| t.verdict != Verdict::Pass)
        .map(|t| t.name.as_str())
        .collect();
    let reason = match (count, missed.is_empty()) {
        (0, _) => "no tolerance that could be judged".to_owned(),
        (_, true) => format!("{kept} of {count} tolerances kept"),
        (_, false) => format!("{kept} of {count} tolerances kept; missed: {}", missed.join(", ")),
    };
    let word = verdict_word(record.verdict);
    let ink: Ink = verdict_ink(record.verdict);
    let painted = page.style.paint(ink, word);
    page.line(&format!("{painted}: {reason}"));
}

fn or_missing<T>(value: Option<T>, text: fn(T) -> String) -> String {
    value.map_or_else(|| MISSING.to_owned(), text)
}

/// A fraction as a percentage of about three digits.
fn percent(fraction: f64) -> String {
    let percent = fraction * 100.0;
    if percent.abs() < 10.0 {
        format!("{percent:.2} %")
    } else {
        format!("{percent:.1} %")
    }
}

fn signed_percent(fraction: f64) -> String {
    let sign = if fraction < 0.0 { "−" } else { "+" };
    format!("{sign}{}", percent(fraction.abs()))
}
