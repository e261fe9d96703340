//! A comparison as pictures: for each metric the differences at all points, and the single pairs of those that differ most.

use std::collections::BTreeSet;
use std::path::Path;

use longhaul_plots::paired::{self, Paired};
use longhaul_plots::sensitivity::{self as bars, Order, Parameter};
use longhaul_plots::{About, Drawing, PlotError, Quantity};

use crate::directory::{DirectoryError, write_picture};
use crate::pictures::{readable, scaled};

use super::{Comparison, Row};

/// Points whose bars can be read in one picture.
const MOST_POINTS: usize = 40;
/// Points of a metric whose single pairs are drawn.
const MOST_PAIRS: usize = 6;

/// Draws a comparison of two sweeps into a folder: `differences-<metric>.svg`, and `pairs-<metric>-<number>.svg`. Returns the
/// names without their ends, for with `png` each is a PNG, too, and what could not be drawn and why.
///
/// # Errors
/// If a picture cannot be written.
pub fn all(
    comparison: &Comparison,
    folder: &Path,
    png: bool,
) -> Result<(Vec<String>, Vec<String>), DirectoryError> {
    let (mut names, mut notes) = (Vec::new(), Vec::new());
    let mut metrics: Vec<&str> = Vec::new();
    for row in &comparison.rows {
        if !metrics.contains(&row.metric.as_str()) {
            metrics.push(&row.metric);
        }
    }
    for metric in metrics {
        let all: Vec<&Row> = comparison
            .rows
            .iter()
            .filter(|row| row.metric == metric)
            .collect();
        let drawn: Vec<&Row> = all.iter().copied().filter(|row| row.low.is_some()).collect();
        if drawn.is_empty() {
            notes.push(format!(
                "no picture of `{metric}`: no point has a difference with an interval"
            ));
            continue;
        }
        let mut pictures = vec![(
            format!("differences-{metric}"),
            differences(comparison, &drawn, all.len()),
        )];
        let mut order = drawn.clone();
        // By the size of what is seen, not by chance alone.
        let size = |row: &Row| row.effect_size.map_or(0.0, f64::abs);
        order.sort_by(|a, b| size(b).total_cmp(&size(a)));
        for (number, row) in order.into_iter().take(MOST_PAIRS).enumerate() {
            pictures.push((format!("pairs-{metric}-{}", number + 1), pairs(comparison, row)));
        }
        for (name, drawing) in pictures {
            let drawing = match drawing {
                Ok(drawing) => drawing,
                Err(error) => {
                    notes.push(format!("no picture `{name}`: {error}"));
                    continue;
                }
            };
            write_picture(folder, &name, &drawing, png)?;
            names.push(name);
        }
    }
    Ok((names, notes))
}

/// The mean differences of a metric at all points, with their intervals.
fn differences(comparison: &Comparison, rows: &[&Row], all: usize) -> Result<Drawing, PlotError> {
    let largest = rows
        .iter()
        .flat_map(|row| [row.low, row.high])
        .flatten()
        .map(f64::abs)
        .fold(0.0, f64::max);
    let (metric, unit) = rows
        .first()
        .map_or(("", ""), |row| (row.metric.as_str(), row.unit));
    let (unit, factor) = readable(unit, largest);
    let parameters: Vec<Parameter> = rows
        .iter()
        .take(MOST_POINTS)
        .map(|row| Parameter {
            name: row.place.clone(),
            effects: vec![bars::Effect {
                value: row.difference.unwrap_or(0.0) * factor,
                interval: scaled(row.low, row.high, factor),
            }],
        })
        .collect();
    let drawn = &rows[..parameters.len()];
    let (n, of) = pairs_of(drawn);
    let methods: BTreeSet<&str> = drawn.iter().filter_map(|row| row.method).collect();
    let methods: Vec<&str> = methods.into_iter().collect();
    let mut about = About::new(format!("{metric}: difference at each point"), n, of)
        .interval(format!("95 %, {}, each by itself", methods.join(" or ")))
        .remark(format!(
            "To the right {} is larger than {}",
            comparison.b, comparison.a
        ));
    if all > parameters.len() {
        about = about.remark(format!(
            "Not drawn: {} of {all} points, without an interval or beyond the first {MOST_POINTS}",
            all - parameters.len()
        ));
    }
    let height = 170.0 + 22.0 * parameters.len() as f64;
    bars::draw(&bars::Sensitivity {
        about: about.size(760.0, height.max(260.0)),
        x: Quantity::linear(format!("{metric}: b − a"), unit),
        measures: vec!["mean difference".to_owned()],
        parameters,
        order: Order::Given,
    })
}

/// How many pairs there are, and of what: `10` and `pairs at each of 6 points`.
fn pairs_of(rows: &[&Row]) -> (u64, String) {
    let counts = || rows.iter().map(|row| row.n as u64);
    let (least, most) = (counts().min().unwrap_or(0), counts().max().unwrap_or(0));
    match rows.len() {
        0 | 1 => (most, "pairs".to_owned()),
        points if least == most => (most, format!("pairs at each of {points} points")),
        points => (
            counts().sum(),
            format!("pairs at {points} points, {least} to {most} at each"),
        ),
    }
}

/// The differences of the single pairs of a point.
fn pairs(comparison: &Comparison, row: &Row) -> Result<Drawing, PlotError> {
    let differences: Vec<f64> = row.pairs.iter().map(|(a, b)| b - a).collect();
    let largest = differences.iter().copied().map(f64::abs).fold(0.0, f64::max);
    let (unit, factor) = readable(row.unit, largest);
    let interval = scaled(row.low, row.high, factor);
    let mean = row.difference.zip(interval);
    let mean = mean.map(|(mean, (low, high))| (mean * factor, low, high));
    let mut about = About::new(
        format!("{} at {}", row.metric, row.place),
        row.n as u64,
        "pairs of equal seeds",
    )
    .interval(format!("95 %, {}, of the mean", row.method.unwrap_or("none")))
    .remark(format!("a: {}, b: {}", comparison.a, comparison.b));
    if let Some(factor) = row.variance_reduction {
        about = about.remark(format!(
            "Without pairing {factor:.1} times as many runs would be needed"
        ));
    }
    paired::draw(&Paired {
        about,
        y: Quantity::linear(&row.metric, unit),
        a: "b".to_owned(),
        b: "a".to_owned(),
        differences: differences.iter().map(|difference| difference * factor).collect(),
        mean,
    })
}
