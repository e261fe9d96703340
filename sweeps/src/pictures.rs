//! What a study found, as pictures: bars in the order of what matters most, and of Morris the means of effects against
//! their deviations. Where all combinations of samples of two sources ran, bars for the parts of the variance.

use longhaul_plots::screening::{self, Screening};
use longhaul_plots::sensitivity::{self as bars, Order, Parameter};
use longhaul_plots::{About, Drawing, PlotError, Quantity};

use crate::components::{COMPONENTS, Shares, TOGETHER};
use crate::directory::{DirectoryError, SweepDirectory};
use crate::names::shortened;
use crate::schema::{Chance, Sweep};
use crate::seeds::name;
use crate::sensitivity::{Effect, Findings, MetricFindings};

/// Bars that can be read; a factorial of many axes has more interactions than that.
const MOST_BARS: usize = 24;

/// Draws everything that was found; returns the names of the pictures, and what could not be drawn and why. A metric without an
/// answer has none.
///
/// # Errors
/// If a picture cannot be written.
pub fn all(
    directory: &SweepDirectory,
    findings: &Findings,
) -> Result<(Vec<String>, Vec<String>), DirectoryError> {
    let (mut names, mut notes) = (Vec::new(), Vec::new());
    for metric in &findings.metrics {
        let pictures = [
            (
                format!("sensitivity-{}", metric.metric),
                importance(findings, metric),
            ),
            (format!("screening-{}", metric.metric), scatter(findings, metric)),
        ];
        for (name, drawing) in pictures {
            if let Some(drawing) = drawing {
                keep(directory, name, drawing, (&mut names, &mut notes))?;
            }
        }
    }
    Ok((names, notes))
}

/// Writes a picture and notes its name, or why there is none.
fn keep(
    directory: &SweepDirectory,
    name: String,
    drawing: Result<Drawing, PlotError>,
    (names, notes): (&mut Vec<String>, &mut Vec<String>),
) -> Result<(), DirectoryError> {
    match drawing {
        Ok(drawing) => {
            directory.picture(&name, &drawing)?;
            names.push(name);
        }
        Err(error) => notes.push(format!("no picture `{name}`: {error}")),
    }
    Ok(())
}

/// Draws, of each measure, from where the variance of single runs comes, point by point; `points` is the number of all of them.
/// Returns the names of the pictures, and what could not be drawn and why.
///
/// # Errors
/// If a picture cannot be written.
pub fn components(
    directory: &SweepDirectory,
    sweep: &Sweep,
    shares: &[Shares],
    points: usize,
) -> Result<(Vec<String>, Vec<String>), DirectoryError> {
    let over = sweep.over();
    let fields: Vec<&str> = sweep.uncertain.iter().map(|field| field.name.as_str()).collect();
    let sources = over.sources().iter().map(|chance| match chance {
        Chance::Uncertain => shortened(&format!("{}: {}", name(*chance), fields.join(", "))),
        Chance::Of(_) => name(*chance).to_owned(),
    });
    let measures: Vec<String> = sources.chain([TOGETHER.to_owned()]).collect();
    let (mut names, mut notes) = (Vec::new(), Vec::new());
    for (index, measure) in sweep.measures.iter().enumerate() {
        let known = shares
            .iter()
            .filter_map(|of| Some((of, of.measures[index].as_ref()?)));
        let parameters: Vec<Parameter> = known
            .clone()
            .map(|(of, parts)| Parameter {
                name: of.point.clone(),
                effects: parts
                    .iter()
                    .map(|share| bars::Effect {
                        value: share * 100.0,
                        interval: None,
                    })
                    .collect(),
            })
            .collect();
        let picture = format!("{COMPONENTS}{}", measure.name);
        let title = format!("Why single runs differ in {}", measure.name);
        let runs = known.map(|(of, _)| of.runs).max().unwrap_or(0);
        let mut about = About::new(title, runs, "runs of each point")
            .interval("none; those of standard deviations are in components.csv");
        if points > parameters.len() {
            let shown = parameters.len();
            about = about.remark(format!("{shown} of {points} points: the first ones that vary"));
        }
        let height = 150.0 + 40.0 * parameters.len() as f64;
        let drawing = bars::draw(&bars::Sensitivity {
            about: about.size(760.0, height.max(260.0)),
            x: Quantity::linear("share of the variance of single runs", "%"),
            measures: measures.clone(),
            parameters,
            order: Order::Given,
        });
        keep(directory, picture, drawing, (&mut names, &mut notes))?;
    }
    Ok((names, notes))
}

/// A unit in which values of this size read well, and the factor to it.
pub fn readable(unit: &str, largest: f64) -> (&'static str, f64) {
    match unit {
        "ns" if largest >= 1e9 => ("s", 1e-9),
        "ns" if largest >= 1e6 => ("ms", 1e-6),
        "ns" => ("µs", 1e-3),
        "bytes" if largest >= 1e6 => ("MB", 1e-6),
        "bytes" => ("kB", 1e-3),
        "bit/s" if largest >= 1e10 => ("Gbit/s", 1e-9),
        "bit/s" if largest >= 1e6 => ("Mbit/s", 1e-6),
        "bit/s" => ("kbit/s", 1e-3),
        "share" => ("%", 100.0),
        "pages/s" => ("pages/s", 1.0),
        _ => ("", 1.0),
    }
}

/// An interval in another unit; none if an end of it is unknown.
pub fn scaled(low: Option<f64>, high: Option<f64>, factor: f64) -> Option<(f64, f64)> {
    low.zip(high).map(|(low, high)| (low * factor, high * factor))
}

fn of_measure<'m>(metric: &'m MetricFindings, measure: &str) -> Vec<&'m Effect> {
    metric
        .effects
        .iter()
        .filter(|effect| effect.measure == measure)
        .collect()
}

/// What is behind the effects, as the design counts it: trajectories, rows or runs.
fn about(title: String, findings: &Findings, first: &Effect, intervals: &str) -> About {
    let points = findings.points;
    let of = match findings.design.as_str() {
        "morris" => format!("trajectories, through {points} points"),
        "sobol" => format!("rows of the design, of {points} points"),
        _ => format!("runs of each of {points} points"),
    };
    let about = About::new(title, first.n.unwrap_or(findings.points), of).interval(intervals);
    if findings.design == "factorial" {
        return about.remark("Runs share their seeds with those of the other points");
    }
    match findings.replications {
        1 => about.remark("One run of each point"),
        runs => about.remark(format!("Means of {runs} runs each, which share their seeds")),
    }
}

/// The effect of each axis as a bar.
fn importance(findings: &Findings, metric: &MetricFindings) -> Option<Result<Drawing, PlotError>> {
    let (measures, labels, in_unit): (&[&str], &[&str], bool) = match findings.design.as_str() {
        "morris" => (&["mu_star"], &["mean size of the effect, μ*"], true),
        "sobol" => (
            &["total", "first_order"],
            &["with all interactions", "alone"],
            false,
        ),
        _ => (&["effect"], &["change from the low value to the high one"], true),
    };
    let columns: Vec<Vec<&Effect>> = measures
        .iter()
        .map(|measure| of_measure(metric, measure))
        .collect();
    let mut order: Vec<usize> = (0..columns[0].len()).collect();
    order.sort_by(|a, b| columns[0][*b].value.abs().total_cmp(&columns[0][*a].value.abs()));
    let hidden = order.len().saturating_sub(MOST_BARS);
    order.truncate(MOST_BARS);
    let largest = columns[0][*order.first()?].value.abs();
    let (unit, factor) = if in_unit {
        readable(&metric.unit, largest)
    } else {
        ("%", 100.0)
    };
    let parameters = order.iter().map(|&index| Parameter {
        name: columns[0][index].name(),
        effects: columns
            .iter()
            .map(|column| bars::Effect {
                value: column[index].value * factor,
                interval: scaled(column[index].low, column[index].high, factor),
            })
            .collect(),
    });
    let x = if in_unit {
        Quantity::linear(format!("effect on {}", metric.metric), unit)
    } else {
        Quantity::linear(format!("share of the variance of {}", metric.metric), unit)
    };
    let intervals = format!(
        "95 %, {}",
        columns[0][order[0]].method.as_deref().unwrap_or("none")
    );
    let title = format!("What matters to {}", metric.metric);
    let mut about = about(title, findings, columns[0][order[0]], &intervals);
    if hidden > 0 {
        about = about.remark(format!(
            "The {MOST_BARS} greatest of {} effects",
            hidden + MOST_BARS
        ));
    }
    let height = 150.0 + 26.0 * order.len() as f64 * if measures.len() > 1 { 1.5 } else { 1.0 };
    Some(bars::draw(&bars::Sensitivity {
        about: about.size(760.0, height.max(260.0)),
        x,
        measures: labels.iter().map(|label| (*label).to_owned()).collect(),
        parameters: parameters.collect(),
        order: Order::Largest,
    }))
}

/// Of Morris: means of effects against their deviations.
fn scatter(findings: &Findings, metric: &MetricFindings) -> Option<Result<Drawing, PlotError>> {
    let (means, deviations) = (of_measure(metric, "mu_star"), of_measure(metric, "sigma"));
    let largest = means.iter().map(|effect| effect.value).reduce(f64::max)?;
    let (unit, factor) = readable(&metric.unit, largest);
    let interval = |effect: &Effect| scaled(effect.low, effect.high, factor);
    let parameters = means
        .iter()
        .zip(&deviations)
        .map(|(mean, deviation)| screening::Parameter {
            name: mean.name(),
            mu_star: mean.value * factor,
            mu_star_interval: interval(mean),
            sigma: deviation.value * factor,
            sigma_interval: interval(deviation),
        });
    let intervals = "95 %, over trajectories: μ* by Student's t, σ by the jackknife";
    let about = about(
        format!("What matters to {}, and how", metric.metric),
        findings,
        means[0],
        intervals,
    )
    .remark("High points: not linear, or dependent on other axes");
    Some(screening::draw(&Screening {
        about: about.size(760.0, 460.0),
        outcome: Quantity::linear(&metric.metric, unit),
        parameters: parameters.collect(),
    }))
}
