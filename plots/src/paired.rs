//! Differences of pairs: what the same replication gave with one configuration less what it gave with another.

use crate::axis::Axis;
use crate::chart::{Entry, Key, Plane};
use crate::palette::{BLUE, INK, Look, Marker, VERMILLION};
use crate::sheet::Stroke;
use crate::{About, Drawing, PlotError, Quantity, Scale};

/// A plot of differences.
#[derive(Clone, PartialEq, Debug)]
pub struct Paired {
    /// Title and caption.
    pub about: About,
    /// What differs; its axis is linear whatever is asked for, since differences have signs.
    pub y: Quantity,
    /// The minuend.
    pub a: String,
    /// The subtrahend.
    pub b: String,
    /// `a − b` of every pair, in the order of replications.
    pub differences: Vec<f64>,
    /// The mean of the differences and the ends of its interval.
    pub mean: Option<(f64, f64, f64)>,
}

const PAIR: Look = Look {
    colour: BLUE,
    dash: &[],
    marker: Marker::Circle,
};
const MEAN: Look = Look {
    colour: VERMILLION,
    dash: &[7.0, 3.0],
    marker: Marker::Square,
};

/// Draws differences as stems from zero, with the mean and its interval over them.
///
/// # Errors
/// If there is none, or one cannot be drawn.
pub fn draw(plot: &Paired) -> Result<Drawing, PlotError> {
    plot.about.limit(plot.differences.len())?;
    if plot.differences.is_empty() {
        return Err(plot.about.empty());
    }
    let y_of = Quantity {
        name: format!("{}: {} − {}", plot.y.name, plot.a, plot.b),
        scale: Scale::Linear,
        ..plot.y.clone()
    };
    let ends = plot.mean.map_or([0.0; 3], |(mean, low, high)| [mean, low, high]);
    plot.differences
        .iter()
        .chain(&ends)
        .try_for_each(|value| y_of.check(&plot.about.title, *value))?;
    if ends[1] > ends[0] || ends[2] < ends[0] {
        return Err(PlotError::Inconsistent {
            what: plot.about.title.clone(),
            reason: "the mean lies outside its interval".to_owned(),
        });
    }
    let ys = plot.differences.iter().copied().chain(ends).chain([0.0]);
    let y = Axis::over(ys, Scale::Linear).padded(0.06);
    let count = plot.differences.len();
    let x = Axis {
        low: 0.0,
        high: count as f64 + 1.0,
        scale: Scale::Linear,
        ticks: Vec::new(),
        marks: true,
    };
    let mut legend: Vec<Entry> = vec![("a pair".to_owned(), Key::Point(PAIR))];
    if plot.mean.is_some() {
        legend.push(("mean".to_owned(), Key::Line(MEAN)));
        legend.push(("its interval".to_owned(), Key::Box(VERMILLION, 0.2)));
    }
    let about = plot
        .about
        .clone()
        .remark(format!("Above zero {} is larger", plot.a));
    let x_of = Quantity::linear("replication", "");
    let plane = Plane::new(&about, &legend, (&x_of, x), (&y_of, y))?;
    let (first, last) = (plane.x.low, plane.x.high);
    if let Some((mean, low, high)) = plot.mean {
        plane.sheet.role(
            "band",
            None,
            Some(format!("{} to {}", y_of.value(low), y_of.value(high))),
        );
        plane.band(&[(first, low, high), (last, low, high)], VERMILLION, 0.2)?;
        plane
            .sheet
            .role("mean", None, Some(format!("mean {}", y_of.value(mean))));
        plane.line(&[(first, mean), (last, mean)], Stroke::of(MEAN))?;
    }
    plane.sheet.role("zero", None, None);
    plane.line(
        &[(first, 0.0), (last, 0.0)],
        Stroke {
            width: 1.4,
            ..Stroke::thin(INK)
        },
    )?;
    for (index, &difference) in plot.differences.iter().enumerate() {
        let x = index as f64 + 1.0;
        plane.sheet.role(
            "point",
            Some(index),
            Some(format!("replication {}: {}", index + 1, y_of.value(difference))),
        );
        plane.line(
            &[(x, 0.0), (x, difference)],
            Stroke {
                opacity: 0.5,
                ..Stroke::thin(BLUE)
            },
        )?;
        plane.sheet.marker(
            plane.at((x, difference)),
            if count > 100 { 1.8 } else { 3.4 },
            PAIR,
        )?;
    }
    plane.sheet.no_role();
    Ok(plane.sheet.finish())
}
