//! Elementary effects: how much each parameter matters, and whether its effect depends on the others. Parameters far to
//! the right matter; high ones are not linear or interact (Morris, 1991).

use crate::axis::Axis;
use crate::chart::{Entry, Key, Plane, SMALL, label, reference_entries};
use crate::drawing::Anchor;
use crate::palette::{BLUE, INK, Look, MUTED, Marker};
use crate::sheet::Stroke;
use crate::{About, Drawing, PlotError, Quantity, Reference, Scale, Where};

/// A plot of effects' means against their deviations.
#[derive(Clone, PartialEq, Debug)]
pub struct Screening {
    /// Title and caption.
    pub about: About,
    /// What the effects are of: the outcome and its unit. Both axes are linear, from zero on.
    pub outcome: Quantity,
    /// The parameters, in any order.
    pub parameters: Vec<Parameter>,
}

/// A parameter.
#[derive(Clone, PartialEq, Debug)]
pub struct Parameter {
    /// Beside its point, where there is room.
    pub name: String,
    /// Mean absolute effect.
    pub mu_star: f64,
    /// Ends of its interval.
    pub mu_star_interval: Option<(f64, f64)>,
    /// Standard deviation of the effects.
    pub sigma: f64,
    /// Ends of its interval.
    pub sigma_interval: Option<(f64, f64)>,
}

const POINT: Look = Look {
    colour: BLUE,
    dash: &[],
    marker: Marker::Circle,
};

/// Ratios of deviation and mean that are drawn as lines: below them an effect is almost linear, monotonic, almost monotonic
/// (Garcia Sanchez et al., Energy and Buildings 68 (2014) 741).
const RATIOS: [(f64, &str); 3] = [(0.1, "σ = 0.1 μ*"), (0.5, "σ = 0.5 μ*"), (1.0, "σ = μ*")];

/// Draws parameters by mean and deviation of their effects.
///
/// # Errors
/// If there is none, or a value cannot be drawn or is negative.
pub fn draw(plot: &Screening) -> Result<Drawing, PlotError> {
    plot.about.limit(plot.parameters.len())?;
    if plot.parameters.is_empty() {
        return Err(plot.about.empty());
    }
    let spread = |value: f64, interval: Option<(f64, f64)>| {
        // An interval of a size may reach below zero, where no size is.
        let (low, high) = interval.unwrap_or((value, value));
        [value, low.max(0.0), high]
    };
    let quantity = |name: &str| Quantity {
        name: format!("{name} of effects on {}", plot.outcome.name),
        scale: Scale::Linear,
        ..plot.outcome.clone()
    };
    let (x_of, y_of) = (quantity("μ*, mean size"), quantity("σ, deviation"));
    for of in &plot.parameters {
        for value in spread(of.mu_star, of.mu_star_interval)
            .into_iter()
            .chain(spread(of.sigma, of.sigma_interval))
        {
            x_of.check(&of.name, value)?;
            if value < 0.0 {
                return Err(PlotError::NotDrawable {
                    what: of.name.clone(),
                    value: value.to_string(),
                });
            }
        }
    }
    let from_zero = |values: Vec<f64>| {
        let mut axis = Axis::over(values.into_iter().chain([0.0]), Scale::Linear).padded(0.08);
        axis.low = 0.0;
        axis
    };
    let of_all = |spread: &dyn Fn(&Parameter) -> [f64; 3]| plot.parameters.iter().flat_map(spread).collect();
    let x = from_zero(of_all(&|of| spread(of.mu_star, of.mu_star_interval)));
    let mut y = from_zero(of_all(&|of| spread(of.sigma, of.sigma_interval)));
    // Deviations that are nothing but rounding must not fill the picture.
    y.high = y.high.max(0.25 * x.high);
    let references: Vec<Reference> = RATIOS
        .iter()
        .map(|&(ratio, name)| {
            let end = x.high.min(y.high / ratio) * (1.0 - 1e-9);
            Reference {
                name: name.to_owned(),
                at: Where::Curve(vec![(0.0, 0.0), (end, end * ratio)]),
            }
        })
        .collect();
    let mut legend: Vec<Entry> = vec![("a parameter".to_owned(), Key::Point(POINT))];
    legend.extend(reference_entries(&references));
    let plane = Plane::new(&plot.about, &legend, (&x_of, x), (&y_of, y))?;
    for reference in &references {
        if let Where::Curve(points) = &reference.at {
            let pixels: Vec<(f64, f64)> = points.iter().map(|&point| plane.at(point)).collect();
            plane.sheet.avoid(&pixels);
        }
    }
    plane.references(&references)?;
    for (index, of) in plot.parameters.iter().enumerate() {
        let at = (of.mu_star, of.sigma);
        let tip = format!("{}: μ* {}, σ {}", of.name, x_of.value(at.0), y_of.value(at.1));
        let stroke = Stroke {
            opacity: 0.7,
            ..Stroke::thin(MUTED)
        };
        plane.sheet.role("interval", Some(index), Some(tip.clone()));
        let [_, left, right] = spread(at.0, of.mu_star_interval);
        let [_, low, high] = spread(at.1, of.sigma_interval);
        for line in [[(left, at.1), (right, at.1)], [(at.0, low), (at.0, high)]] {
            plane.line(&line, stroke)?;
            plane.sheet.avoid(&line.map(|point| plane.at(point)));
        }
        plane.sheet.role("point", Some(index), Some(tip));
        let (x, y) = plane.at(at);
        plane.sheet.marker((x, y), 4.0, POINT)?;
        // Text keeps off all points, not only its own.
        plane.sheet.take((x - 4.5, y - 4.5, x + 4.5, y + 4.5));
        plane.sheet.no_role();
    }
    // Names of what matters come first, where room is short.
    let mut order: Vec<&Parameter> = plot.parameters.iter().collect();
    order.sort_by(|a, b| b.mu_star.total_cmp(&a.mu_star));
    for of in order {
        let (x, y) = plane.at((of.mu_star, of.sigma));
        let places = [
            ((x + 8.0, y - 9.0), Anchor::Start),
            ((x - 8.0, y - 9.0), Anchor::End),
            ((x + 8.0, y + 10.0), Anchor::Start),
            ((x - 8.0, y + 10.0), Anchor::End),
            // Near the origin all lines meet.
            ((x, y - 26.0), Anchor::Middle),
            ((x + 4.0, y - 42.0), Anchor::Start),
        ];
        let name = crate::font::shorten(&of.name, SMALL, 180.0);
        let text = label(name, (x, y), Anchor::Start, SMALL, INK);
        plane.sheet.text_somewhere(&text, &places, plane.frame, true)?;
    }
    Ok(plane.sheet.finish())
}
