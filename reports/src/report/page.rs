//! The page: one HTML file with everything in it, laid out by a template that escapes all text.

use std::fmt::Write as _;

use longhaul_core::MODEL_VERSION;
use longhaul_core::record::{ClientRecord, Ended, FaultEffectRecord, FaultOutcome, Verdict};
use longhaul_plots::Drawing;
use longhaul_plots::map::link_colour;
use minijinja::{AutoEscape, Environment, Value, context};
use serde::Serialize;

use super::ReportError;
use super::figures::{Figure, Figures, clock as clock_of, look_times};
use super::load::{Replayable, Story};
use crate::console;
use crate::human;
use crate::table::{Align, Table};

const TEMPLATE: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// Rows of the table of faults and clients.
const RECOVERIES: usize = 100;
/// Rows of a table on the page.
const ROWS: usize = 300;

/// A table as the template takes it.
#[derive(Serialize)]
struct Rows {
    heading: &'static str,
    columns: Vec<(&'static str, bool)>,
    rows: Vec<Vec<String>>,
    /// The column whose words have colours, if there is one.
    status: bool,
    more: String,
    notes: Vec<(&'static str, String)>,
}

/// The text of `report.html`.
///
/// # Errors
/// If the template cannot be filled, which is a bug.
pub fn html(story: &Story) -> Result<String, ReportError> {
    let record = &story.record;
    let mut notes = Vec::new();
    let figures = Figures::of(story, &mut notes);
    let mut sections: Vec<Rows> = super::sections(story).into_iter().map(rows).collect();
    let mut take = |heading: &str| {
        let place = sections
            .iter()
            .position(|section| section.heading == heading && !section.rows.is_empty());
        place.map(|place| sections.remove(place))
    };
    let assertions = take("Assertions");
    let migrations = take("Migrations");
    let links = take("Links");
    let paths = take("Paths");
    sections.retain(|section| !section.rows.is_empty() || !section.notes.is_empty());

    let (_, clock) = clock_of(story);
    let mut environment = Environment::new();
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    environment.set_undefined_behavior(minijinja::UndefinedBehavior::Strict);
    let failed = |error: minijinja::Error| ReportError::Page(format!("{error:#}"));
    environment.add_template("page.html", TEMPLATE).map_err(failed)?;
    let template = environment.get_template("page.html").map_err(failed)?;
    let outages: Vec<[String; 3]> = story
        .events
        .outages
        .iter()
        .map(|of| {
            let lasted = if of.repaired {
                human::span(of.to_ns - of.from_ns)
            } else {
                "to the end of the run".to_owned()
            };
            [of.what.clone(), human::span(of.from_ns), lasted]
        })
        .collect();
    let events: Vec<[String; 4]> = story
        .events
        .told
        .iter()
        .map(|told| {
            let texts = [&told.entity, &told.kind, &told.detail].map(|text| human::printable(text));
            let [entity, kind, detail] = texts;
            [human::span(told.at_ns), entity, kind, detail]
        })
        .collect();
    let effects = story.record.clients.iter().flat_map(|client| {
        let of = client.fault_effects.iter();
        of.map(|effect| (client.name.as_str(), effect))
    });
    let mut effects: Vec<(&str, &FaultEffectRecord)> = effects.collect();
    effects.sort_by_key(|(_, effect)| effect.from_ns);
    let more_recovered = effects.len().saturating_sub(RECOVERIES);
    let recovered: Vec<[String; 5]> = effects
        .iter()
        .take(RECOVERIES)
        .map(|(client, effect)| recovery_row(client, effect))
        .collect();
    let page = context! {
        style => STYLE,
        script => SCRIPT,
        scenario => human::printable(&record.scenario),
        verdict => verdict_word(record.verdict),
        summary => summary(story),
        question => human::printable(&record.question),
        expect => human::printable(&record.expect),
        reproduce => human::printable(&record.reproduce),
        assertions => assertions,
        outages => outages,
        more_outages => story.events.more_outages,
        untold_policies => untold_policies(story),
        recoveries => recovered,
        more_recoveries => more_recovered,
        timeline => plots(figures.timeline, "timeline", clock),
        migrations => migrations,
        migration_plots => plots(figures.migrations, "migrations", clock),
        links => links,
        paths => paths,
        link_plots => plots(figures.links, "links", clock),
        map => figures.map.as_ref().map(inline),
        looks => looks(story),
        tails => plots(figures.tails, "tails", clock),
        sections => sections,
        events => events,
        more_events => human::count(story.events.read - story.events.told.len() as u64),
        method => method(story),
        changes => story.outline.changes(),
        replayable => replayable(story),
        resolved => human::printable_lines(&story.scenario.text),
        cut => story.scenario.cut,
        warnings => record.warnings.iter().map(|text| human::printable(text)).collect::<Vec<_>>(),
        notes => notes,
    };
    template.render(page).map_err(failed)
}

/// What a replay could add.
fn replayable(story: &Story) -> String {
    match &story.replayable {
        Replayable::Unknown => "Whether it can be replayed on one is not known here.".to_owned(),
        Replayable::Yes => {
            "It can be replayed on one, by `longhaul replay`, which compares the two within margins that were declared \
             beforehand."
                .to_owned()
        }
        Replayable::No(why) => format!("It cannot be replayed on one: {}.", human::printable(why)),
    }
}

/// Whether policies refused requests and the run did not tell when.
fn untold_policies(story: &Story) -> bool {
    let refused = |client: &ClientRecord| {
        let of = &client.failures;
        of.breaker_open + of.rate_limited + of.bulkhead + of.shed > 0
    };
    story.events.strips.iter().next().is_none() && story.record.clients.iter().any(refused)
}

/// A fault and a client as the page shows them.
fn recovery_row(client: &str, of: &FaultEffectRecord) -> [String; 5] {
    let rate = |mhz: u64| {
        let rate = mhz as f64 / 1e3;
        let decimals = if rate >= 100.0 { 0 } else { 1 };
        format!("{rate:.decimals$}/s")
    };
    let became = match (of.outcome, of.recovered_after_ns) {
        (FaultOutcome::Recovered, Some(0)) => "back by its end".to_owned(),
        (FaultOutcome::Recovered, Some(ns)) => format!("back after {}", human::span(ns)),
        (FaultOutcome::Recovered, None) => "back".to_owned(),
        (FaultOutcome::Kept, _) => "never fell below 95 %".to_owned(),
        (FaultOutcome::RecoveredBefore, _) => "back before the fault was over".to_owned(),
        (FaultOutcome::Overtaken, _) => "not back when the next fault began".to_owned(),
        (FaultOutcome::NotRecovered, _) => "not back by the end of the run".to_owned(),
        (FaultOutcome::Lasting, _) => "the fault lasted to the end".to_owned(),
    };
    [
        human::printable(&of.fault),
        human::printable(client),
        rate(of.before_mhz),
        rate(of.worst_mhz),
        became,
    ]
}

fn verdict_word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "PASS",
        Verdict::Fail => "FAIL",
        Verdict::Inconclusive => "INCONCLUSIVE",
    }
}

fn inline(drawing: &Drawing) -> Value {
    Value::from_safe_string(drawing.inline_svg())
}

fn rows(section: console::Section) -> Rows {
    let console::Section {
        heading,
        table,
        notes,
    } = section;
    let Table {
        columns,
        name_column,
        mut rows,
    } = table;
    let more = rows.len().saturating_sub(ROWS);
    rows.truncate(ROWS);
    Rows {
        heading,
        columns: columns
            .into_iter()
            .map(|(name, align)| (name, align == Align::Right))
            .collect(),
        rows,
        status: name_column > 0,
        more: if more > 0 {
            human::count(more as u64)
        } else {
            String::new()
        },
        notes: notes.into_iter().map(|note| (note.status, note.text)).collect(),
    }
}

fn plots(figures: Vec<Figure>, part: &str, clock: &str) -> Vec<Value> {
    let plot = |(index, figure): (usize, Figure)| {
        context! {
            svg => inline(&figure.drawing),
            data => Value::from_safe_string(data(&figure, clock)),
            name => format!("{part}-{}", index + 1),
        }
    };
    figures.into_iter().enumerate().map(plot).collect()
}

/// Data for a pointer as JSON inside an element: nothing in it can end the element.
fn data(figure: &Figure, clock: &str) -> String {
    #[derive(Serialize)]
    struct Data<'f> {
        unit: &'f str,
        time: bool,
        clock: &'f str,
        frame: Vec<f64>,
        lines: Vec<(&'f str, Vec<f64>, Vec<f64>)>,
    }
    let rounded = |value: f64| format!("{value:.5e}").parse().unwrap_or(value);
    let frame = figure.drawing.frames().first().map_or_else(Vec::new, |of| {
        vec![
            of.left, of.top, of.width, of.height, of.x.0, of.x.1, of.y.0, of.y.1,
        ]
    });
    let lines = figure.lines.iter().map(|(name, points)| {
        let xs = points.iter().map(|point| rounded(point.0)).collect();
        (
            name.as_str(),
            xs,
            points.iter().map(|point| rounded(point.1)).collect(),
        )
    });
    let data = Data {
        unit: figure.unit,
        time: figure.over_time,
        clock,
        frame,
        lines: lines.collect(),
    };
    harmless(&serde_json::to_string(&data).expect("numbers and text have a JSON form"))
}

fn harmless(json: &str) -> String {
    json.replace('<', "\\u003c")
        .replace('>', "\\u003e")
        .replace('&', "\\u0026")
}

/// How full links were in each look, a text of two hexadecimal digits for each: 00 to 64, or `--` where that is not known.
fn looks(story: &Story) -> Value {
    #[derive(Serialize)]
    struct Looks {
        times: Vec<f64>,
        clock: &'static str,
        colours: Vec<String>,
        links: Vec<String>,
        down: Vec<(String, f64, f64)>,
        names: Vec<String>,
    }
    let percent = |share: &f64| (share * 100.0).round().clamp(0.0, 100.0) as u8;
    let link = |shares: &Vec<f64>| {
        let mut text = String::with_capacity(shares.len() * 2);
        for share in shares {
            let _ = write!(text, "{:02x}", percent(share));
        }
        text
    };
    let (unit, _) = clock_of(story);
    let second = |ns: u64| ns as f64 / 1e9 / unit;
    let down = story
        .events
        .outages
        .iter()
        .map(|of| (of.what.clone(), second(of.from_ns), second(of.to_ns)));
    let looks = Looks {
        times: look_times(story),
        clock: clock_of(story).1,
        colours: (0..=20_u32)
            .map(|step| link_colour(f64::from(step) / 20.0))
            .collect(),
        links: story.series.looks.iter().map(link).collect(),
        down: down.collect(),
        names: story
            .record
            .links
            .iter()
            .map(|link| link.name.replace("->", " → "))
            .collect(),
    };
    let json = serde_json::to_string(&looks).expect("numbers and text have a JSON form");
    Value::from_safe_string(harmless(&json))
}

/// How the run ended, and what decides the verdict.
pub(super) fn summary(story: &Story) -> String {
    let record = &story.record;
    let at = human::span(record.simulated_ns);
    let ended = match record.ended {
        Ended::Done => format!("All work done after {at} (simulated)"),
        Ended::Horizon => format!("Stopped at the horizon after {at} (simulated)"),
        Ended::EventBudget => format!("Stopped by the event budget after {at} (simulated)"),
        Ended::Interrupted => format!("Interrupted after {at} (simulated)"),
    };
    let reasons = console::verdict_reasons(record);
    let aborted = record.aborted.as_ref().map_or(String::new(), |abort| {
        let why = human::printable(&console::aborted(abort));
        format!(" All faults were aborted {why}.")
    });
    format!("{ended}; {reasons}.{aborted}")
}

/// What a reader needs to judge and repeat it.
fn method(story: &Story) -> Vec<(&'static str, String)> {
    let record = &story.record;
    let manifest = &story.manifest;
    let model = if record.model_version == MODEL_VERSION {
        record.model_version.to_string()
    } else {
        format!(
            "{}; this program has {MODEL_VERSION} and may give other results",
            record.model_version
        )
    };
    let chosen = record.fidelity_reason.as_ref();
    let chosen = chosen.map(|reason| format!(", chosen by Auto: {}", human::printable(reason)));
    let fidelity = format!(
        "{}{}",
        console::fidelity(record.fidelity),
        chosen.unwrap_or_default()
    );
    let mut method = vec![
        (
            "replications",
            "1: a single run. No number on this page has an interval; vary the seed to see how far it moves."
                .to_owned(),
        ),
        (
            "seed",
            format!(
                "{}, with a random stream for each entity and purpose (ChaCha)",
                human::seeds(record)
            ),
        ),
        ("fidelity", fidelity),
        (
            "warm-up",
            "nothing is cut off: counters and distributions cover the run from its beginning".to_owned(),
        ),
        (
            "sampling",
            format!(
                "{} samples of the time series, {} events told",
                human::count(story.series.samples),
                human::count(story.events.read)
            ),
        ),
        (
            "tool",
            format!(
                "longhaul {}, model version {model}, record format {}",
                record.tool_version, record.format
            ),
        ),
        ("scenario", record.scenario_hash.clone()),
        (
            "digest",
            format!(
                "{} over {} engine events",
                record.digest,
                human::count(record.events)
            ),
        ),
        ("payload", console::payload_statement(&record.payload)),
        (
            "command line",
            manifest
                .argv
                .iter()
                .map(|word| human::printable(word))
                .collect::<Vec<_>>()
                .join(" "),
        ),
    ];
    for input in &record.inputs {
        method.push((
            "input",
            format!(
                "{} ({}, BLAKE3 {})",
                human::printable(&input.file),
                human::bytes(input.bytes),
                input.blake3
            ),
        ));
    }
    method
}
