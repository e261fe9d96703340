//! Predicted against measured completion times: a scatter plot with logarithmic axes, as SVG.

use std::fmt::Write as _;

use longhaul_core::validation::{ConfigurationRecord, ValidationRecord};
use plotters::prelude::*;
use thiserror::Error;

/// Width and height in pixels.
const SIZE: (u32, u32) = (900, 860);
/// Relative error of the inner and of the outer band.
const BANDS: [f64; 2] = [0.03, 0.12];
/// Colours of Okabe and Ito (2008), which people with any colour vision tell apart, dark ones first.
const COLOURS: [RGBColor; 4] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
];
const FONT: &str = "sans-serif";

/// Why there is no plot.
#[derive(Debug, Error)]
pub enum PlotError {
    /// Nothing was simulated to its end.
    #[error("there is nothing to plot: no configuration was simulated to its end")]
    Empty,
    /// The drawing failed.
    #[error("cannot draw the plot: {0}")]
    Drawing(String),
}

/// One configuration: measured and simulated median in seconds.
struct Point {
    controller: usize,
    measured: f64,
    simulated: f64,
}

/// The plot as SVG.
///
/// # Errors
/// If there is nothing to plot.
pub fn plot(record: &ValidationRecord) -> Result<String, PlotError> {
    let mut controllers: Vec<&str> = Vec::new();
    let points: Vec<Point> = record
        .configurations
        .iter()
        .filter_map(|configuration| point(configuration, &mut controllers))
        .collect();
    let times = || points.iter().flat_map(|p| [p.measured, p.simulated]);
    let (least, most) = (
        times().min_by(f64::total_cmp).ok_or(PlotError::Empty)? / 1.5,
        times().max_by(f64::total_cmp).ok_or(PlotError::Empty)? * 1.5,
    );
    let mut svg = String::new();
    draw(&mut svg, record, &points, &controllers, least..most)
        .map_err(|error| PlotError::Drawing(error.to_string()))?;
    Ok(svg)
}

fn point<'r>(configuration: &'r ConfigurationRecord, controllers: &mut Vec<&'r str>) -> Option<Point> {
    let seconds = |ns: u64| ns as f64 / 1e9;
    let measured = configuration.measured.median_ns.map(seconds)?;
    let simulated = configuration.simulated.as_ref()?.median_ns.map(seconds)?;
    let name = configuration.parameters.controller.as_str();
    let controller = controllers.iter().position(|known| *known == name);
    let controller = controller.unwrap_or_else(|| {
        controllers.push(name);
        controllers.len() - 1
    });
    // A logarithmic axis has no zero.
    (measured > 0.0 && simulated > 0.0).then_some(Point {
        controller,
        measured,
        simulated,
    })
}

fn draw(
    svg: &mut String,
    record: &ValidationRecord,
    points: &[Point],
    controllers: &[&str],
    range: std::ops::Range<f64>,
) -> Result<(), DrawingAreaErrorKind<std::io::Error>> {
    let root = SVGBackend::with_string(svg, SIZE).into_drawing_area();
    root.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&root)
        .caption(caption(record, points.len()), (FONT, 19))
        .margin(16)
        .x_label_area_size(48)
        .y_label_area_size(64)
        .build_cartesian_2d(range.clone().log_scale(), range.clone().log_scale())?;
    chart
        .configure_mesh()
        .x_desc("measured median completion time (s)")
        .y_desc("simulated median completion time (s)")
        .axis_desc_style((FONT, 17))
        .label_style((FONT, 14))
        .x_label_formatter(&|seconds| format!("{seconds}"))
        .y_label_formatter(&|seconds| format!("{seconds}"))
        .light_line_style(BLACK.mix(0.06))
        .bold_line_style(BLACK.mix(0.18))
        .draw()?;
    let ends = [range.start, range.end];
    for (band, shade) in BANDS.into_iter().zip([0.55, 0.3]) {
        for factor in [1.0 - band, 1.0 + band] {
            // Both ends of the line lie within the picture.
            let (from, to) = (
                range.start.max(range.start / factor),
                range.end.min(range.end / factor),
            );
            let line = [from, to].map(|x| (x, x * factor));
            chart.draw_series(LineSeries::new(line, BLACK.mix(shade).stroke_width(1)))?;
        }
    }
    chart
        .draw_series(LineSeries::new(ends.map(|x| (x, x)), BLACK.stroke_width(2)))?
        .label("equal; thin lines at ± 3 % and ± 12 %")
        .legend(|(x, y)| PathElement::new([(x, y), (x + 18, y)], BLACK.stroke_width(2)));
    for (index, name) in controllers.iter().enumerate() {
        let colour = COLOURS[index % COLOURS.len()];
        let of_this = points.iter().filter(|point| point.controller == index);
        let number = of_this.clone().count();
        chart
            .draw_series(of_this.map(|point| mark(index, colour, (point.measured, point.simulated))))?
            .label(format!("{name} (n = {number})"))
            .legend(move |(x, y)| mark(index, colour, (x + 9, y)));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .background_style(WHITE.mix(0.85))
        .border_style(BLACK.mix(0.3))
        .label_font((FONT, 16))
        .draw()?;
    root.present()
}

/// Colour and form tell the controllers apart: every other one is a ring.
fn mark<C>(index: usize, colour: RGBColor, at: C) -> Circle<C, i32> {
    let style = ShapeStyle {
        color: colour.mix(0.8),
        filled: index.is_multiple_of(2),
        stroke_width: 2,
    };
    Circle::new(at, 4, style)
}

fn caption(record: &ValidationRecord, points: usize) -> String {
    let mut caption = format!("{}, n = {points}", record.table);
    let all = record.groups.first();
    if let Some((median, p90)) = all.and_then(|all| all.median_error.zip(all.p90_error)) {
        // Writing to a string never fails.
        let _ = write!(
            caption,
            ": error {:.1} % at the median, {:.1} % at the 90th percentile",
            median * 100.0,
            p90 * 100.0
        );
    }
    caption
}
