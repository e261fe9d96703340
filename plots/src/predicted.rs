//! Predicted against measured: the nearer to the diagonal, the better.

use crate::axis::Axis;
use crate::chart::{Entry, Key, Plane};
use crate::palette::{BLUE, INK, Look, look};
use crate::sheet::Stroke;
use crate::{About, Drawing, PlotError, Quantity, Scale};

/// A plot of pairs.
#[derive(Clone, PartialEq, Debug)]
pub struct Predicted {
    /// Title and caption.
    pub about: About,
    /// What was predicted and measured; both axes have its unit and scale.
    pub of: Quantity,
    /// Pairs by group.
    pub groups: Vec<Group>,
    /// Relative margins that were declared beforehand, such as 0.1, drawn as ribbons over each other.
    pub margins: Vec<f64>,
}

/// Pairs that belong together.
#[derive(Clone, PartialEq, Debug)]
pub struct Group {
    /// For the legend.
    pub name: String,
    /// The pairs.
    pub pairs: Vec<Pair>,
}

/// A pair.
#[derive(Clone, PartialEq, Debug)]
pub struct Pair {
    /// What a pointer over it tells.
    pub name: String,
    /// Measured.
    pub measured: f64,
    /// Predicted.
    pub predicted: f64,
}

/// How strongly a ribbon tints.
const SHADE: f64 = 0.15;

const DIAGONAL: Look = Look {
    colour: INK,
    dash: &[],
    marker: crate::palette::Marker::Circle,
};

/// Draws pairs, the diagonal and the margin.
///
/// # Errors
/// If there is no pair, or a value or the margin cannot be drawn.
pub fn draw(plot: &Predicted) -> Result<Drawing, PlotError> {
    let pairs = || plot.groups.iter().flat_map(|group| &group.pairs);
    plot.about.limit(pairs().count())?;
    for pair in pairs() {
        plot.of.check(&pair.name, pair.measured)?;
        plot.of.check(&pair.name, pair.predicted)?;
    }
    if pairs().next().is_none() {
        return Err(plot.about.empty());
    }
    let impossible = |margin: &&f64| !(**margin > 0.0 && **margin < 1.0);
    if let Some(margin) = plot.margins.iter().find(impossible) {
        return Err(PlotError::NotDrawable {
            what: "the margin".to_owned(),
            value: margin.to_string(),
        });
    }
    let axis = Axis::over(
        pairs().flat_map(|pair| [pair.measured, pair.predicted]),
        plot.of.scale,
    )
    .padded(0.06)
    .with_zero();
    let mut legend: Vec<Entry> = plot
        .groups
        .iter()
        .enumerate()
        .map(|(index, group)| {
            (
                format!("{} (n = {})", group.name, group.pairs.len()),
                Key::Point(look(index)),
            )
        })
        .collect();
    legend.push(("predicted = measured".to_owned(), Key::Line(DIAGONAL)));
    // The wider ones first, so that the narrower ones lie over them, darker.
    let mut margins = plot.margins.clone();
    margins.sort_by(|a, b| b.total_cmp(a));
    for (index, margin) in margins.iter().enumerate() {
        legend.push((
            format!("within ±{} %", crate::axis::short(margin * 100.0)),
            Key::Box(BLUE, 1.0 - libm::pow(1.0 - SHADE, index as f64 + 1.0)),
        ));
    }
    let with = |word: &str| Quantity {
        name: format!("{word} {}", plot.of.name),
        ..plot.of.clone()
    };
    let (x_of, y_of) = (with("measured"), with("predicted"));
    let plane = Plane::new(&plot.about, &legend, (&x_of, axis.clone()), (&y_of, axis.clone()))?;
    let along = |share: f64| match axis.scale {
        Scale::Linear => axis.low + (axis.high - axis.low) * share,
        Scale::Log => axis.low * libm::pow(axis.high / axis.low, share),
    };
    for margin in margins {
        let band: Vec<(f64, f64, f64)> = (0..=200_u32)
            .map(|step| along(f64::from(step) / 200.0))
            .map(|x| (x, x - x.abs() * margin, x + x.abs() * margin))
            .collect();
        plane.sheet.role("band", None, None);
        plane.band(&band, BLUE, SHADE)?;
    }
    plane.sheet.role("diagonal", None, None);
    plane.line(
        &[(axis.low, axis.low), (axis.high, axis.high)],
        Stroke {
            width: 1.2,
            ..Stroke::thin(INK)
        },
    )?;
    for (index, group) in plot.groups.iter().enumerate() {
        for pair in &group.pairs {
            let tip = format!(
                "{}: measured {}, predicted {}",
                pair.name,
                plot.of.value(pair.measured),
                plot.of.value(pair.predicted)
            );
            plane.sheet.role("point", Some(index), Some(tip));
            plane
                .sheet
                .marker(plane.at((pair.measured, pair.predicted)), 3.2, look(index))?;
        }
    }
    plane.sheet.no_role();
    Ok(plane.sheet.finish())
}
