//! Curves of Kaplan and Meier: which share has not finished after so long, when some were only watched for a while.

use crate::axis::Axis;
use crate::chart::{Entry, Key, Plane, reference_entries};
use crate::palette::look;
use crate::sheet::Stroke;
use crate::{About, Drawing, PlotError, Quantity, Reference, Scale};

/// A plot of shares that have not finished.
#[derive(Clone, PartialEq, Debug)]
pub struct Survival {
    /// Title and caption.
    pub about: About,
    /// How long things take; its axis is linear, from zero on.
    pub x: Quantity,
    /// The sets.
    pub sets: Vec<Set>,
    /// Bounds and targets.
    pub references: Vec<Reference>,
}

/// A set of times.
#[derive(Clone, PartialEq, Debug)]
pub struct Set {
    /// For the legend.
    pub name: String,
    /// Times in it, finished or not.
    pub n: u64,
    /// Each time at which something finished, in order.
    pub steps: Vec<Step>,
    /// How long those were watched that did not finish, in any order: marked on the curve.
    pub unfinished: Vec<f64>,
}

/// The curve from a time on.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Step {
    /// The time.
    pub time: f64,
    /// Share that has not finished after it, in [0, 1].
    pub share: f64,
    /// Ends of the pointwise interval of that share.
    pub interval: Option<(f64, f64)>,
}

/// Draws the curves.
///
/// # Errors
/// If there is no time, or one that cannot be drawn or is out of order.
pub fn draw(plot: &Survival) -> Result<Drawing, PlotError> {
    check(plot)?;
    let times = |set: &Set| -> Vec<f64> {
        let steps = set.steps.iter().map(|step| step.time);
        steps.chain(set.unfinished.iter().copied()).collect()
    };
    let all: Vec<f64> = plot.sets.iter().flat_map(times).collect();
    if all.is_empty() {
        return Err(plot.about.empty());
    }
    let xs = all
        .iter()
        .copied()
        .chain(plot.references.iter().flat_map(Reference::xs));
    let mut x = Axis::over(xs.chain([0.0]), Scale::Linear).padded(0.03);
    x.low = 0.0;
    let x_of = Quantity {
        scale: Scale::Linear,
        ..plot.x.clone()
    };
    let y = Axis::over([0.0, 1.0].into_iter(), Scale::Linear);
    let y_of = Quantity::linear("share not finished", "");
    let entry = |(index, set): (usize, &Set)| {
        let count = set.unfinished.len();
        let unfinished = if count > 0 {
            format!(", {count} unfinished")
        } else {
            String::new()
        };
        let n = set.n;
        (
            format!("{} (n = {n}{unfinished})", set.name)
                .trim_start()
                .to_owned(),
            Key::Line(look(index)),
        )
    };
    let mut legend: Vec<Entry> = plot.sets.iter().enumerate().map(entry).collect();
    legend.extend(reference_entries(&plot.references));
    let about = if plot.sets.iter().any(|set| !set.unfinished.is_empty()) {
        plot.about
            .clone()
            .remark("Strokes across a curve: watched until then, not finished")
    } else {
        plot.about.clone()
    };
    let plane = Plane::new(&about, &legend, (&x_of, x), (&y_of, y))?;
    for (index, set) in plot.sets.iter().enumerate() {
        let Some(end) = times(set).into_iter().reduce(f64::max) else {
            continue;
        };
        let look = look(index);
        // Corners: before the first step nothing has finished, after it each share holds until the next.
        let mut line = vec![(0.0, 1.0)];
        let mut band = Vec::new();
        for (number, step) in set.steps.iter().enumerate() {
            let before = line[line.len() - 1].1;
            line.extend([(step.time, before), (step.time, step.share)]);
            let until = set.steps.get(number + 1).map_or(end, |next| next.time);
            if let Some((low, high)) = step.interval {
                band.extend([(step.time, low, high), (until, low, high)]);
            }
        }
        let last = line[line.len() - 1].1;
        line.push((end, last));
        if band.len() > 1 {
            plane.sheet.role("band", Some(index), Some(set.name.clone()));
            plane.band(&band, look.colour, 0.15)?;
        }
        plane.sheet.role("series", Some(index), Some(set.name.clone()));
        plane.line(&line, Stroke::of(look))?;
        let mut watched = set.unfinished.clone();
        watched.sort_by(f64::total_cmp);
        watched.dedup();
        for time in watched {
            let after = set.steps.partition_point(|step| step.time <= time);
            let share = after.checked_sub(1).map_or(1.0, |step| set.steps[step].share);
            plane.sheet.role(
                "censored",
                Some(index),
                Some(format!("{}: not finished after {}", set.name, x_of.value(time))),
            );
            plane.stroke_across((time, share), look.colour)?;
        }
        plane.sheet.no_role();
    }
    plane.references(&plot.references)?;
    Ok(plane.sheet.finish())
}

fn check(plot: &Survival) -> Result<(), PlotError> {
    for set in &plot.sets {
        plot.about.limit(set.steps.len() + set.unfinished.len())?;
        for &time in &set.unfinished {
            plot.x.check(&set.name, time)?;
        }
        for step in &set.steps {
            plot.x.check(&set.name, step.time)?;
            let (low, high) = step.interval.unwrap_or((step.share, step.share));
            if ![step.share, low, high]
                .iter()
                .all(|share| (0.0..=1.0).contains(share))
            {
                return Err(PlotError::NotDrawable {
                    what: set.name.clone(),
                    value: step.share.to_string(),
                });
            }
        }
        let rises = set.steps.windows(2).all(|pair| pair[0].time < pair[1].time);
        if !rises || set.steps.first().is_some_and(|step| step.time < 0.0) {
            return Err(PlotError::Inconsistent {
                what: set.name.clone(),
                reason: "times are not in order from zero on".to_owned(),
            });
        }
    }
    let share = Quantity::default();
    plot.references
        .iter()
        .try_for_each(|reference| reference.check(&plot.x, &share))
}
