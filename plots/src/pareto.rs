//! Configurations in two costs, and those that no other one beats in both.

use crate::axis::Axis;
use crate::chart::{Entry, Key, Plane, SMALL, label};
use crate::drawing::Anchor;
use crate::palette::{BLUE, INK, Look, MUTED, Marker, VERMILLION};
use crate::sheet::Stroke;
use crate::{About, Drawing, PlotError, Quantity};

/// A plot of configurations.
#[derive(Clone, PartialEq, Debug)]
pub struct Pareto {
    /// Title and caption.
    pub about: About,
    /// The horizontal axis.
    pub x: Quantity,
    /// Which of its values are better.
    pub x_better: Better,
    /// The vertical axis.
    pub y: Quantity,
    /// Which of its values are better.
    pub y_better: Better,
    /// The configurations.
    pub candidates: Vec<Candidate>,
}

/// Which values are better.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Better {
    /// Small ones: time, cost.
    Lower,
    /// Large ones: goodput.
    Higher,
}

/// A configuration.
#[derive(Clone, PartialEq, Debug)]
pub struct Candidate {
    /// Beside its point, where there is room.
    pub name: String,
    /// Its place.
    pub x: f64,
    /// Its place.
    pub y: f64,
    /// Ends of an interval of x.
    pub x_interval: Option<(f64, f64)>,
    /// Ends of an interval of y.
    pub y_interval: Option<(f64, f64)>,
}

const FRONT: Look = Look {
    colour: VERMILLION,
    dash: &[],
    marker: Marker::Diamond,
};
const BEHIND: Look = Look {
    colour: BLUE,
    dash: &[],
    marker: Marker::Circle,
};

/// Indices of the candidates that no other one equals or beats in both and beats in one, in order of x.
pub fn front(plot: &Pareto) -> Vec<usize> {
    let cost = |value: f64, better: Better| if better == Better::Lower { value } else { -value };
    let costs: Vec<(f64, f64)> = plot
        .candidates
        .iter()
        .map(|of| (cost(of.x, plot.x_better), cost(of.y, plot.y_better)))
        .collect();
    let mut order: Vec<usize> = (0..costs.len()).collect();
    order.sort_by(|&a, &b| {
        costs[a]
            .0
            .total_cmp(&costs[b].0)
            .then(costs[a].1.total_cmp(&costs[b].1))
    });
    let mut front: Vec<usize> = Vec::new();
    for index in order {
        let beaten = front
            .last()
            .is_some_and(|&best| costs[best].1 <= costs[index].1 && costs[best] != costs[index]);
        if !beaten {
            front.push(index);
        }
    }
    front.sort_by(|&a, &b| plot.candidates[a].x.total_cmp(&plot.candidates[b].x));
    front
}

/// Draws configurations and the front.
///
/// # Errors
/// If there is none, or a value cannot be drawn.
pub fn draw(plot: &Pareto) -> Result<Drawing, PlotError> {
    plot.about.limit(plot.candidates.len())?;
    if plot.candidates.is_empty() {
        return Err(plot.about.empty());
    }
    let spread = |value: f64, interval: Option<(f64, f64)>| {
        let (low, high) = interval.unwrap_or((value, value));
        [value, low, high]
    };
    for of in &plot.candidates {
        spread(of.x, of.x_interval)
            .iter()
            .try_for_each(|x| plot.x.check(&of.name, *x))?;
        spread(of.y, of.y_interval)
            .iter()
            .try_for_each(|y| plot.y.check(&of.name, *y))?;
    }
    let x_interval = |of: &Candidate| of.x_interval.map(|interval| plot.x.possible(interval));
    let y_interval = |of: &Candidate| of.y_interval.map(|interval| plot.y.possible(interval));
    let x = Axis::over(
        plot.candidates.iter().flat_map(|of| spread(of.x, x_interval(of))),
        plot.x.scale,
    );
    let y = Axis::over(
        plot.candidates.iter().flat_map(|of| spread(of.y, y_interval(of))),
        plot.y.scale,
    );
    let from_zero = |of: &Quantity, low: f64, padded: Axis| match padded {
        // Room is for what may be there.
        axis if of.never_negative && low >= 0.0 && axis.low < 0.0 => Axis { low: 0.0, ..axis },
        axis => axis,
    };
    let (x_low, y_low) = (x.low, y.low);
    let x = from_zero(&plot.x, x_low, x.padded(0.08));
    let y = from_zero(&plot.y, y_low, y.padded(0.08));
    let word = |better: Better| if better == Better::Lower { "less" } else { "more" };
    let mut about = plot.about.clone().remark(format!(
        "Better is {} of {} and {} of {}",
        word(plot.x_better),
        plot.x.name,
        word(plot.y_better),
        plot.y.name
    ));
    let lows = |interval: fn(&Candidate) -> Option<(f64, f64)>| {
        plot.candidates.iter().filter_map(move |of| Some(interval(of)?.0))
    };
    about.remarks.extend(plot.x.cut_off(lows(|of| of.x_interval)));
    about.remarks.extend(plot.y.cut_off(lows(|of| of.y_interval)));
    let legend: [Entry; 2] = [
        ("on the front".to_owned(), Key::Marked(FRONT)),
        ("beaten by another in both".to_owned(), Key::Point(BEHIND)),
    ];
    let plane = Plane::new(&about, &legend, (&plot.x, x), (&plot.y, y))?;
    let front = front(plot);
    plane.sheet.role("front", None, None);
    let stairs = staircase(plot, &front);
    let pixels: Vec<(f64, f64)> = stairs.iter().map(|&point| plane.at(point)).collect();
    plane.sheet.avoid(&pixels);
    plane.line(&stairs, Stroke::of(FRONT))?;
    for (index, of) in plot.candidates.iter().enumerate() {
        let look = if front.contains(&index) { FRONT } else { BEHIND };
        let tip = format!("{}: {}, {}", of.name, plot.x.value(of.x), plot.y.value(of.y));
        plane.sheet.role("interval", Some(index), Some(tip.clone()));
        let stroke = Stroke {
            opacity: 0.7,
            ..Stroke::thin(MUTED)
        };
        if let Some((low, high)) = x_interval(of) {
            plane.line(&[(low, of.y), (high, of.y)], stroke)?;
        }
        if let Some((low, high)) = y_interval(of) {
            plane.line(&[(of.x, low), (of.x, high)], stroke)?;
        }
        plane.sheet.role("point", Some(index), Some(tip));
        let (x, y) = plane.at((of.x, of.y));
        plane.sheet.marker((x, y), 4.0, look)?;
        // Text keeps off all points, not only its own.
        plane.sheet.take((x - 4.5, y - 4.5, x + 4.5, y + 4.5));
        plane.sheet.no_role();
    }
    // Names of the front come first, for they matter.
    let behind = (0..plot.candidates.len()).filter(|index| !front.contains(index));
    for index in front.iter().copied().chain(behind) {
        let of = &plot.candidates[index];
        let (x, y) = plane.at((of.x, of.y));
        let places = [
            ((x + 8.0, y - 8.0), Anchor::Start),
            ((x - 8.0, y - 8.0), Anchor::End),
            ((x + 8.0, y + 9.0), Anchor::Start),
            ((x - 8.0, y + 9.0), Anchor::End),
            ((x + 9.0, y), Anchor::Start),
        ];
        let name = crate::font::shorten(&of.name, SMALL, 180.0);
        plane.sheet.text_somewhere(
            &label(name, (x, y), Anchor::Start, SMALL, INK),
            &places,
            plane.frame,
            true,
        )?;
    }
    Ok(plane.sheet.finish())
}

/// The border of what the front beats: corners lie on the worse side.
fn staircase(plot: &Pareto, front: &[usize]) -> Vec<(f64, f64)> {
    let mut line: Vec<(f64, f64)> = Vec::new();
    for &index in front {
        let of = &plot.candidates[index];
        if let Some(&(before_x, before_y)) = line.last() {
            // With less of x being better, one comes from a point on the left, whose y is worse.
            line.push(if plot.x_better == Better::Lower {
                (of.x, before_y)
            } else {
                (before_x, of.y)
            });
        }
        line.push((of.x, of.y));
    }
    line
}
