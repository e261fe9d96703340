//! Box plots: configurations side by side.

use longhaul_statistics::quantile::quantile;

use crate::axis::Axis;
use crate::chart::{Entry, Key, Plane, SMALL, label, reference_entries};
use crate::drawing::Anchor;
use crate::font;
use crate::palette::{INK, MUTED, PAPER, look};
use crate::sheet::Stroke;
use crate::{About, Drawing, PlotError, Quantity, Reference};

/// Fewer values are drawn one by one: quartiles of four values say nothing.
const FEWEST: usize = 5;
/// Most boxes that can be told apart.
const MOST_BOXES: usize = 60;

/// A plot of boxes.
#[derive(Clone, PartialEq, Debug)]
pub struct Boxes {
    /// Title and caption. The caption explains the whiskers by itself.
    pub about: About,
    /// What the configurations differ in.
    pub x: String,
    /// What was measured.
    pub y: Quantity,
    /// From left to right.
    pub boxes: Vec<BoxOf>,
    /// Bounds and targets.
    pub references: Vec<Reference>,
}

/// A configuration.
#[derive(Clone, PartialEq, Debug)]
pub struct BoxOf {
    /// Below the box.
    pub name: String,
    /// In any order. Fewer than five are drawn as points.
    pub values: Vec<f64>,
}

/// Draws boxes from quartile to quartile (type 7 of Hyndman and Fan) with the median, whiskers to the last value within 1.5
/// times their distance (Tukey), and everything beyond as a point.
///
/// # Errors
/// If there is no value, one that cannot be drawn, or more than 60 boxes.
pub fn draw(plot: &Boxes) -> Result<Drawing, PlotError> {
    if plot.boxes.len() > MOST_BOXES {
        return Err(PlotError::TooLarge {
            what: plot.about.title.clone(),
            limit: format!("{MOST_BOXES} boxes"),
        });
    }
    plot.about
        .limit(plot.boxes.iter().map(|of| of.values.len()).sum())?;
    for of in &plot.boxes {
        of.values
            .iter()
            .try_for_each(|value| plot.y.check(&of.name, *value))?;
    }
    let no_x = Quantity::linear(&plot.x, "");
    plot.references
        .iter()
        .try_for_each(|reference| reference.check(&no_x, &plot.y))?;
    let values = || plot.boxes.iter().flat_map(|of| of.values.iter().copied());
    if values().next().is_none() {
        return Err(plot.about.empty());
    }
    let ys = values().chain(plot.references.iter().flat_map(Reference::ys));
    let y = Axis::over(ys, plot.y.scale).padded(0.06);
    let x = Axis::over([0.0, plot.boxes.len() as f64].into_iter(), crate::Scale::Linear);
    let legend: Vec<Entry> = reference_entries(&plot.references)
        .chain([(
            "outlier".to_owned(),
            Key::Point(crate::palette::Look {
                colour: MUTED,
                ..look(0)
            }),
        )])
        .collect();
    let about = plot.about.clone().remark(
        "Boxes from quartile to quartile with the median, whiskers to the last value within 1.5 times their distance; \
         fewer than five values are drawn one by one",
    );
    let (sheet, inner) = crate::chart::page(&about, &legend)?;
    let plane = Plane::unmarked(sheet, inner, &no_x, x, (&plot.y, y))?;
    let share = (plane.frame.2 - plane.frame.0) / plot.boxes.len() as f64;
    for (index, of) in plot.boxes.iter().enumerate() {
        let middle = plane.frame.0 + (index as f64 + 0.5) * share;
        one(&plane, plot, index, of, (middle, share))?;
        let name = format!("{} (n = {})", of.name, of.values.len());
        let short = if font::width(&name, SMALL) <= share - 4.0 {
            name
        } else {
            font::shorten(&of.name, SMALL, share - 4.0)
        };
        plane.sheet.role(
            "tick-x",
            Some(index),
            Some(format!("{}: n = {}", of.name, of.values.len())),
        );
        let at = (middle, plane.frame.3 + 5.0 + SMALL * 0.75);
        plane.sheet.text(&label(short, at, Anchor::Middle, SMALL, INK))?;
        plane.sheet.no_role();
    }
    plane.references(&plot.references)?;
    Ok(plane.sheet.finish())
}

fn one(
    plane: &Plane,
    plot: &Boxes,
    index: usize,
    of: &BoxOf,
    (middle, share): (f64, f64),
) -> Result<(), PlotError> {
    let look = look(index);
    let mut sorted = of.values.clone();
    sorted.sort_by(f64::total_cmp);
    let line = |value: f64| plane.at((plane.x.low, value)).1;
    let point = |value: f64| -> Result<(), PlotError> {
        plane.sheet.role(
            "point",
            Some(index),
            Some(format!("{}: {}", of.name, plot.y.value(value))),
        );
        plane.sheet.marker((middle, line(value)), 3.0, look)
    };
    if sorted.len() < FEWEST {
        return sorted.iter().try_for_each(|&value| point(value));
    }
    let at = |q: f64| quantile(&sorted, q).unwrap_or(sorted[0]);
    let (lower, median, upper) = (at(0.25), at(0.5), at(0.75));
    let reach = 1.5 * (upper - lower);
    let within = |value: &&f64| **value >= lower - reach && **value <= upper + reach;
    let low = *sorted.iter().find(within).unwrap_or(&lower);
    let high = *sorted.iter().rev().find(within).unwrap_or(&upper);
    let half = (share * 0.3).min(32.0);
    let tip = format!(
        "{}: n = {}, quartiles {} · {} · {}, range {} to {}",
        of.name,
        sorted.len(),
        plot.y.value(lower),
        plot.y.value(median),
        plot.y.value(upper),
        plot.y.value(sorted[0]),
        plot.y.value(sorted[sorted.len() - 1]),
    );
    plane.sheet.role("series", Some(index), Some(tip));
    let stroke = Stroke {
        width: 1.4,
        ..Stroke::thin(look.colour)
    };
    for (from, to) in [(low, lower), (upper, high)] {
        plane
            .sheet
            .line(&[(middle, line(from)), (middle, line(to))], stroke)?;
    }
    for end in [low, high] {
        plane.sheet.line(
            &[(middle - half / 2.0, line(end)), (middle + half / 2.0, line(end))],
            stroke,
        )?;
    }
    let outline = (middle - half, line(upper), middle + half, line(lower));
    plane.sheet.rect(outline, PAPER, 1.0)?;
    plane.sheet.rect(outline, look.colour, 0.25)?;
    plane.sheet.outline(outline, stroke)?;
    let median = line(median);
    plane.sheet.line(
        &[(middle - half, median), (middle + half, median)],
        Stroke { width: 2.6, ..stroke },
    )?;
    for value in sorted.iter().filter(|value| !within(value)) {
        point(*value)?;
    }
    plane.sheet.no_role();
    Ok(())
}
