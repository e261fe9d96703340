//! How much each parameter matters, or differs: a bar for each.

use crate::axis::Axis;
use crate::chart::{Entry, Key, Plane, page};
use crate::palette::{INK, Look, look};
use crate::sheet::Stroke;
use crate::{About, Drawing, PlotError, Quantity, Scale};

/// Most bars that can be read.
const MOST_BARS: usize = 60;

/// A plot of bars.
#[derive(Clone, PartialEq, Debug)]
pub struct Sensitivity {
    /// Title and caption.
    pub about: About,
    /// What the bars measure: an index of Sobol, a mean of elementary effects, an effect of a factorial design.
    pub x: Quantity,
    /// The names of the measures that every parameter has, such as `first order` and `total`.
    pub measures: Vec<String>,
    /// The parameters.
    pub parameters: Vec<Parameter>,
    /// Which of them is on top.
    pub order: Order,
}

/// The order of the bars.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Order {
    /// By the largest measure.
    #[default]
    Largest,
    /// As they come.
    Given,
}

/// A parameter.
#[derive(Clone, PartialEq, Debug)]
pub struct Parameter {
    /// Beside its bars.
    pub name: String,
    /// For every measure its value and, if there is one, the ends of its interval.
    pub effects: Vec<Effect>,
}

/// A value, and the ends of its interval.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Effect {
    /// The length of the bar.
    pub value: f64,
    /// Where it may lie.
    pub interval: Option<(f64, f64)>,
}

/// Draws bars.
///
/// # Errors
/// If there is none, a value cannot be drawn, there are more than 60, or a parameter lacks a measure.
pub fn draw(plot: &Sensitivity) -> Result<Drawing, PlotError> {
    check(plot)?;
    let largest = |of: &Parameter| {
        of.effects
            .iter()
            .map(|effect| effect.value.abs())
            .fold(0.0, f64::max)
    };
    let mut order: Vec<&Parameter> = plot.parameters.iter().collect();
    if plot.order == Order::Largest {
        order.sort_by(|a, b| largest(b).total_cmp(&largest(a)));
    }
    let values = plot
        .parameters
        .iter()
        .flat_map(|of| &of.effects)
        .flat_map(|effect| {
            let (low, high) = effect.interval.unwrap_or((effect.value, effect.value));
            [effect.value, low, high, 0.0]
        });
    let x = Axis::over(values, Scale::Linear);
    let negative = x.low < 0.0;
    let mut x = x.padded(0.05);
    if !negative {
        x.low = 0.0;
    }
    let y = Axis {
        low: 0.0,
        high: order.len() as f64,
        scale: Scale::Linear,
        ticks: Vec::new(),
        marks: false,
    };
    let colour = |measure: usize| Look {
        dash: &[],
        ..look(measure)
    };
    let legend: Vec<Entry> = plot
        .measures
        .iter()
        .enumerate()
        .map(|(measure, name)| (name.clone(), Key::Box(colour(measure).colour, opacity(measure))))
        .collect();
    let x_of = Quantity {
        scale: Scale::Linear,
        ..plot.x.clone()
    };
    let (sheet, inner) = page(&plot.about, &legend)?;
    let names: Vec<String> = order.iter().map(|of| of.name.clone()).collect();
    let plane = Plane::within(sheet, inner, (&x_of, x), (&Quantity::default(), y), Some(&names))?;
    let count = plot.measures.len() as f64;
    for (row, of) in order.iter().enumerate() {
        for (measure, effect) in of.effects.iter().enumerate() {
            // Rows are counted from the top; bars fill three quarters of a row.
            let high = order.len() as f64 - row as f64 - 0.125 - 0.75 * measure as f64 / count;
            let low = high - 0.75 / count;
            let ((left, top), (right, bottom)) = (plane.at((0.0, high)), plane.at((effect.value, low)));
            let tip = format!(
                "{}, {}: {}",
                of.name,
                plot.measures[measure],
                x_of.value(effect.value)
            );
            plane.sheet.role("bar", Some(row), Some(tip));
            let place = (left.min(right), top, left.max(right), bottom);
            plane
                .sheet
                .rect(place, colour(measure).colour, opacity(measure))?;
            plane.sheet.outline(place, Stroke::thin(colour(measure).colour))?;
            if let Some((from, to)) = effect.interval {
                let middle = f64::midpoint(top, bottom);
                let ends = [plane.at((from, low)).0, plane.at((to, low)).0];
                plane.sheet.role("interval", Some(row), None);
                plane.sheet.line(
                    &[(ends[0], middle), (ends[1], middle)],
                    Stroke {
                        width: 1.5,
                        ..Stroke::thin(INK)
                    },
                )?;
                for end in ends {
                    plane
                        .sheet
                        .line(&[(end, middle - 3.5), (end, middle + 3.5)], Stroke::thin(INK))?;
                }
            }
        }
    }
    plane.sheet.role("zero", None, None);
    let (zero, bottom) = plane.at((0.0, 0.0));
    plane.sheet.line(
        &[(zero, plane.frame.1), (zero, bottom)],
        Stroke {
            width: 1.4,
            ..Stroke::thin(INK)
        },
    )?;
    plane.sheet.no_role();
    Ok(plane.sheet.finish())
}

/// Measures differ in lightness, so that they do in greyscale.
fn opacity(measure: usize) -> f64 {
    [0.9, 0.35, 0.6][measure % 3]
}

fn check(plot: &Sensitivity) -> Result<(), PlotError> {
    if plot.parameters.is_empty() || plot.measures.is_empty() {
        return Err(plot.about.empty());
    }
    if plot.parameters.len() * plot.measures.len() > MOST_BARS {
        return Err(PlotError::TooLarge {
            what: plot.about.title.clone(),
            limit: format!("{MOST_BARS} bars"),
        });
    }
    let linear = Quantity::default();
    for of in &plot.parameters {
        if of.effects.len() != plot.measures.len() {
            return Err(PlotError::Inconsistent {
                what: of.name.clone(),
                reason: format!("{} values for {} measures", of.effects.len(), plot.measures.len()),
            });
        }
        for effect in &of.effects {
            let (low, high) = effect.interval.unwrap_or((effect.value, effect.value));
            [effect.value, low, high]
                .iter()
                .try_for_each(|value| linear.check(&of.name, *value))?;
        }
    }
    Ok(())
}
