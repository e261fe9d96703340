//! Sweeps for a terminal: tables of points and of differences. What is missing is shown as `–`, never as 0.

use longhaul_reports::human;
use longhaul_reports::wrap::wrap;

use crate::compare::{Bounds, Comparison, Within};
use crate::components::in_words;
use crate::estimate::Estimate;
use crate::layout;
use crate::plan::Plan;
use crate::schema::Sweep;
use crate::sensitivity::{Effect, Findings};
use crate::summary::{PointSummary, unit_name};

/// Points that are shown; all of them are in `summary.json`.
pub const MOST_SHOWN: usize = 40;

/// A value in the base unit `unit`, such as `ns`, with three significant digits.
pub fn value(unit: &str, value: f64) -> String {
    let sign = if value < 0.0 { "−" } else { "" };
    // Saturates; whoever shows more than 2^64 ns has other problems.
    let whole = libm::round(value.abs()) as u64;
    let size = match unit {
        "ns" => human::span(whole),
        "bytes" => human::bytes(whole),
        "bit/s" => human::rate(whole),
        "share" => format!("{} %", digits(value.abs() * 100.0)),
        _ => digits(value.abs()),
    };
    format!("{sign}{size}")
}

/// A number with about three significant digits.
fn digits(value: f64) -> String {
    let decimals = match value {
        0.0 => 0,
        value if value >= 100.0 => 0,
        value if value >= 10.0 => 1,
        value if value >= 1.0 => 2,
        value if value >= 0.01 => 4,
        _ => 6,
    };
    let text = format!("{value:.decimals$}");
    if text.contains('.') {
        return text.trim_end_matches('0').trim_end_matches('.').to_owned();
    }
    text
}

/// What is known about a metric, in one cell.
fn estimate(unit: &str, known: &Estimate) -> String {
    if known.missing > 0 {
        return format!(
            "{} ({} of {} missing)",
            human::MISSING,
            known.missing,
            runs(known)
        );
    }
    if known.unfinished > 0 {
        return unfinished(unit, known);
    }
    let Some(mean) = known.mean else {
        return human::MISSING.to_owned();
    };
    match (known.low, known.high) {
        (Some(low), Some(high)) => format!("{}{}", value(unit, mean), around(unit, mean, low, high)),
        _ => format!("{} (n = {})", value(unit, mean), known.n),
    }
}

/// The interval around a mean; nothing around a point.
fn around(unit: &str, mean: f64, low: f64, high: f64) -> String {
    if low == high {
        return String::new();
    }
    let (below, above) = (mean - low, high - mean);
    // Some intervals lie to one side.
    if (above - below).abs() > 0.01 * above {
        return format!(" [{}, {}]", value(unit, low), value(unit, high));
    }
    format!(" ± {}", value(unit, above))
}

fn runs(known: &Estimate) -> u64 {
    known.n + known.unfinished + known.missing
}

/// What is known if some runs did not get to their end: the median with its interval, open to above if it lies beyond
/// everything seen; of what is bounded from above, open to below.
fn unfinished(unit: &str, known: &Estimate) -> String {
    let count = format!("{} of {} unfinished", known.unfinished, runs(known));
    let shown =
        |known: Option<f64>, unknown: &str| known.map_or(unknown.to_owned(), |known| value(unit, known));
    let (lowest, highest, beyond) = if known.from_above {
        ("0", human::MISSING, "<")
    } else {
        (human::MISSING, "∞", ">")
    };
    let Some(median) = known.median else {
        return format!(
            "median {beyond} {} ({count})",
            shown(known.watched, human::MISSING)
        );
    };
    format!(
        "median {} [{}, {}] ({count})",
        value(unit, median),
        shown(known.median_low, lowest),
        shown(known.median_high, highest)
    )
}

/// The table of the points that were kept for it.
pub fn points(sweep: &Sweep, shown: &[PointSummary], all: u64, width: u16) -> String {
    let axes: Vec<&str> = sweep.axes().map(|axis| axis.name.as_str()).collect();
    let measures = sweep.measures.iter().map(|measure| measure.name.as_str());
    let head: Vec<&str> = axes.iter().copied().chain(["n"]).chain(measures).collect();
    let mut rows = Vec::new();
    for point in shown {
        let mut cells = point.values.clone();
        cells.push(point.replications.to_string());
        for (measure, known) in sweep.measures.iter().zip(&point.metrics) {
            cells.push(estimate(unit_name(measure.metric.unit()), known));
        }
        rows.push(cells);
    }
    let mut text = layout::rows(&head, &rows, axes.len(), width);
    let rest = all.saturating_sub(shown.len() as u64);
    if rest > 0 {
        text.push_str(&format!("… and {rest} more points\n"));
    }
    text
}

/// Which source of chance makes the runs of each point differ; empty where every run stands by itself.
pub fn components(sweep: &Sweep, shown: &[PointSummary], width: u16) -> String {
    let parts = shown.iter().flat_map(|point| &point.metrics);
    let Some(named) = parts
        .map(|known| &known.components)
        .find(|parts| !parts.is_empty())
    else {
        return String::new();
    };
    let mut head: Vec<&str> = sweep.axes().map(|axis| axis.name.as_str()).collect();
    head.push("metric");
    let keys = head.len();
    head.extend(named.iter().map(|part| part.source.as_str()));
    let mut rows = Vec::new();
    for point in shown {
        for (measure, known) in sweep.measures.iter().zip(&point.metrics) {
            if known.components.is_empty() {
                continue;
            }
            let unit = unit_name(measure.metric.unit());
            let mut cells = point.values.clone();
            cells.push(measure.name.clone());
            cells.extend(known.components.iter().map(|part| {
                let ends = [part.low, part.high].map(|end| value(unit, end));
                let share = part
                    .share
                    .map_or(human::MISSING.to_owned(), |share| value("share", share));
                let deviation = value(unit, part.standard_deviation);
                format!("{share}: {deviation} [{}, {}]", ends[0], ends[1])
            }));
            rows.push(cells);
        }
    }
    format!(
        "Share of the variance of single runs, and standard deviation with its 95 % interval, of {}:\n\n{}",
        in_words(sweep.over().sources()),
        layout::rows(&head, &rows, keys, width)
    )
}

/// Effects that are shown of a metric; all of them are in `sensitivity.csv`.
const MOST_EFFECTS: usize = 20;

/// What a study found: a table for each metric, what matters most at the top.
pub fn findings(findings: &Findings, width: u16) -> String {
    let (leading, others): (&str, &[&str]) = match findings.design.as_str() {
        "morris" => ("mu_star", &["mu", "sigma"]),
        "sobol" => ("total", &["first_order"]),
        _ => ("effect", &["share"]),
    };
    let mut text = String::new();
    for metric in &findings.metrics {
        if !text.is_empty() {
            text.push('\n');
        }
        if let Some(problem) = &metric.problem {
            text.push_str(&format!("{}: no answer: {problem}\n", metric.metric));
            continue;
        }
        let mut order: Vec<&Effect> = metric
            .effects
            .iter()
            .filter(|effect| effect.measure == leading)
            .collect();
        order.sort_by(|a, b| b.value.abs().total_cmp(&a.value.abs()));
        let mut rows = Vec::new();
        let mut head = vec![metric.metric.as_str()];
        head.extend(
            [&leading]
                .into_iter()
                .chain(others)
                .map(|measure| heading(measure)),
        );
        let hidden = order.len().saturating_sub(MOST_EFFECTS);
        for effect in order.into_iter().take(MOST_EFFECTS) {
            let mut cells = vec![effect.name()];
            for measure in [&leading].into_iter().chain(others) {
                let same = |other: &&Effect| other.measure == **measure && other.axes == effect.axes;
                let found = metric.effects.iter().find(same);
                cells.push(found.map_or(human::MISSING.to_owned(), |found| {
                    effect_cell(&metric.unit, found)
                }));
            }
            rows.push(cells);
        }
        text.push_str(&layout::rows(&head, &rows, 1, width));
        if hidden > 0 {
            text.push_str(&format!("… and {hidden} smaller effects\n"));
        }
    }
    text.push_str(match findings.design.as_str() {
        "morris" => "μ*: mean size of the effect over the whole range, μ: mean effect, σ: large if it depends on others\n",
        "sobol" => "shares of the variance: alone (first order), and with all that an axis does together with others (total)\n",
        _ => "share: of the variation between the points\n",
    });
    text
}

/// The head of a measure's column.
fn heading(measure: &str) -> &str {
    match measure {
        "mu_star" => "μ*",
        "mu" => "μ",
        "sigma" => "σ",
        "first_order" => "first order",
        "effect" => "low → high",
        other => other,
    }
}

/// A value and the ends of its interval.
fn effect_cell(unit: &str, effect: &Effect) -> String {
    let unit = match effect.measure.as_str() {
        "total" | "first_order" | "share" => "share",
        _ => unit,
    };
    match effect.low.zip(effect.high) {
        Some((low, high)) => {
            format!(
                "{} [{}, {}]",
                value(unit, effect.value),
                value(unit, low),
                value(unit, high)
            )
        }
        None => value(unit, effect.value),
    }
}

/// A plan in words.
pub fn plan(plan: &Plan) -> String {
    let mut text = format!(
        "{} points, {} runs",
        human::count(plan.points),
        human::count(plan.runs)
    );
    if plan.most_runs > plan.runs {
        text.push_str(&format!(" (at most {})", human::count(plan.most_runs)));
    }
    if plan.known > 0 {
        text.push_str(&format!(", {} of them already done", human::count(plan.known)));
    }
    text.push('\n');
    let nanoseconds =
        |time: std::time::Duration| human::span(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
    match (plan.trial, plan.time) {
        (Some(trial), Some(time)) => {
            let most = plan.most_time.filter(|most| *most > time);
            text.push_str(&format!(
                "about {}{} on {} threads, if all take as long as the first point: {}\n",
                nanoseconds(time),
                most.map_or(String::new(), |most| format!(" to {}", nanoseconds(most))),
                plan.threads,
                nanoseconds(trial)
            ));
        }
        _ => text.push_str("time unknown: the first point took too long to wait for its end\n"),
    }
    let most = match plan.most_bytes > plan.bytes {
        true => format!(" to {}", human::bytes(plan.most_bytes)),
        false => String::new(),
    };
    text.push_str(&format!("about {}{most} of disk\n", human::bytes(plan.bytes)));
    text
}

/// A comparison as a table.
pub fn comparison(comparison: &Comparison, width: u16) -> String {
    let mut text = format!(
        "a: {}\nb: {}\n",
        human::printable(&comparison.a),
        human::printable(&comparison.b)
    );
    if let Some(digest) = &comparison.identical {
        text.push_str(&format!("identical ({digest})\n"));
        return text;
    }
    for warning in &comparison.warnings {
        text.push_str(&sentence(&format!("note: {warning}"), width));
    }
    let sweeps = comparison.of == "sweeps";
    let mut rows = Vec::new();
    let mut head = vec![if sweeps { "point" } else { "of" }, "metric", "a", "b", "b − a"];
    let margins = comparison.rows.iter().any(|row| row.equivalence.is_some());
    if sweeps {
        head.extend(["d", "n", "÷", "p"]);
        if margins {
            head.push("within the margin");
        }
    }
    for row in comparison.rows.iter().take(MOST_SHOWN) {
        let shown =
            |known: Option<f64>| known.map_or(human::MISSING.to_owned(), |known| value(row.unit, known));
        let bounds = row.bounds.as_ref();
        let side = |mean: Option<f64>, of: fn(&Bounds) -> Within| match bounds {
            Some(bounds) => within(row.unit, of(bounds)),
            None => shown(mean),
        };
        let relative = match (row.a, row.difference) {
            (Some(a), Some(difference)) if a != 0.0 => format!(" ({:+.1} %)", difference / a * 100.0),
            _ => String::new(),
        };
        let interval = match (row.difference, row.low, row.high) {
            (Some(mean), Some(low), Some(high)) => around(row.unit, mean, low, high),
            _ => String::new(),
        };
        let difference = if let Some(bounds) = bounds {
            within(row.unit, bounds.difference)
        } else if row.unfinished > 0 {
            let unknown = row.unfinished + row.n - row.larger - row.smaller - row.equal;
            format!(
                "b larger {}, smaller {}, unknown {unknown} ({} unfinished)",
                row.larger, row.smaller, row.unfinished
            )
        } else {
            format!("{}{interval}{relative}", shown(row.difference))
        };
        let mut cells = vec![
            short(&row.place),
            row.metric.clone(),
            side(row.a, |bounds| bounds.a),
            side(row.b, |bounds| bounds.b),
            difference,
        ];
        if sweeps {
            cells.push(row.effect_size.map_or(human::MISSING.to_owned(), signed_digits));
            cells.push(row.n.to_string());
            cells.push(row.variance_reduction.map_or(human::MISSING.to_owned(), digits));
            cells.push(row.p_holm.map_or(human::MISSING.to_owned(), p));
            if margins {
                cells.push(
                    row.equivalence
                        .as_ref()
                        .map_or(human::MISSING.to_owned(), |equal| {
                            let needs = equal
                                .needs
                                .map_or(String::new(), |needs| format!(", {} × the runs", digits(needs)));
                            format!("{} (± {}{needs})", equal.verdict, value(row.unit, equal.margin))
                        }),
                );
            }
        }
        rows.push(cells);
    }
    text.push_str(&layout::rows(&head, &rows, 2, width));
    if comparison.rows.len() > MOST_SHOWN {
        text.push_str(&format!(
            "… and {} more rows (--json has them)\n",
            comparison.rows.len() - MOST_SHOWN
        ));
    }
    if sweeps {
        let legend = format!(
            "paired by point and seed; ±, […]: 95 % intervals; d: in standard deviations of single runs; ÷: how many times fewer \
             runs pairing needs; p: Holm over {} tests",
            comparison.tests
        );
        text.push_str(&sentence(&legend, width));
        if margins {
            let legend = format!(
                "equal, different: two one-sided tests at 5 %, Holm over {} margins; outside: the estimate is, perhaps by chance",
                comparison.margins
            );
            text.push_str(&sentence(&legend, width));
        }
    }
    text
}

/// A sentence in lines of a terminal.
fn sentence(text: &str, width: u16) -> String {
    let lines = wrap(text, width.into(), 0);
    lines.iter().map(|line| format!("{line}\n")).collect()
}

/// What is known of a value: itself, or on which side of what it lies.
fn within(unit: &str, known: Within) -> String {
    match (known.low, known.high) {
        (Some(low), Some(high)) if low == high => value(unit, low),
        (Some(low), Some(high)) => format!("{} to {}", value(unit, low), value(unit, high)),
        (Some(low), None) => format!("≥ {}", value(unit, low)),
        (None, Some(high)) => format!("≤ {}", value(unit, high)),
        (None, None) => "unknown".to_owned(),
    }
}

fn signed_digits(value: f64) -> String {
    let sign = if value < 0.0 { "−" } else { "" };
    format!("{sign}{}", digits(value.abs()))
}

/// The values of a point without the names of its axes.
fn short(place: &str) -> String {
    let values = place
        .split(", ")
        .map(|each| each.split_once(" = ").map_or(each, |(_, value)| value));
    values.collect::<Vec<&str>>().join(", ")
}

fn p(p: f64) -> String {
    if p < 0.001 {
        return "< 0.001".to_owned();
    }
    format!("{p:.3}")
}
