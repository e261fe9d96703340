//! What both worlds gave, over each other: the empirical distribution function of every compared metric, as SVG. The
//! colours are told apart with any colour vision, and the replayed line is dashed besides.

use longhaul_core::replay::{ComparisonRecord, Quantity, ReplayRecord};
use longhaul_plots::PlotError;
use plotters::prelude::*;

use super::metric_in_words;

/// Size of one picture in pixels.
const PANEL: (u32, u32) = (460, 300);
/// Height of the caption over all of them.
const CAPTION: u32 = 64;
/// Pictures in a row.
const COLUMNS: usize = 2;
/// Colours of Okabe and Ito (2008).
const SIMULATED: RGBColor = RGBColor(0, 114, 178);
const REPLAYED: RGBColor = RGBColor(213, 94, 0);
const FONT: &str = "sans-serif";

/// One metric: both sets of values in rising order, in the unit of the axis.
struct Panel<'r> {
    record: &'r ComparisonRecord,
    unit: &'static str,
    simulated: Vec<f64>,
    replayed: Vec<f64>,
}

/// The plot as SVG.
///
/// # Errors
/// If no metric has values of both worlds.
pub fn plot(record: &ReplayRecord) -> Result<String, PlotError> {
    let panels: Vec<Panel> = record.comparisons.iter().filter_map(panel).collect();
    if panels.is_empty() {
        return Err(PlotError::Empty {
            what: record.scenario.clone(),
        });
    }
    let rows = panels.len().div_ceil(COLUMNS);
    let columns = panels.len().min(COLUMNS);
    // A scenario has at most a few thousand items, so this fits.
    let size = (PANEL.0 * columns.max(2) as u32, PANEL.1 * rows as u32 + CAPTION);
    let mut svg = String::new();
    draw(&mut svg, size, (rows, columns.max(2)), record, &panels)
        .map_err(|error| PlotError::Drawing(error.to_string()))?;
    Ok(svg)
}

fn panel(record: &ComparisonRecord) -> Option<Panel<'_>> {
    let known = || {
        record
            .simulated
            .values
            .iter()
            .chain(&record.replayed.values)
            .flatten()
    };
    let (scale, unit) = scale(record.quantity, known().copied().max()?);
    let sorted = |values: &[Option<u64>]| {
        let mut values: Vec<f64> = values
            .iter()
            .flatten()
            .map(|&value| value as f64 / scale)
            .collect();
        values.sort_by(f64::total_cmp);
        (!values.is_empty()).then_some(values)
    };
    Some(Panel {
        record,
        unit,
        simulated: sorted(&record.simulated.values)?,
        replayed: sorted(&record.replayed.values)?,
    })
}

/// What to divide by, so that the largest value has few digits, and the unit that it then has.
fn scale(quantity: Quantity, largest: u64) -> (f64, &'static str) {
    let choose = |units: &[(u64, &'static str)]| {
        let fits = units.iter().rev().find(|(size, _)| largest >= *size);
        let (size, unit) = fits.copied().unwrap_or(units[0]);
        (size as f64, unit)
    };
    match quantity {
        Quantity::Time => choose(&[(1, "ns"), (1_000, "µs"), (1_000_000, "ms"), (1_000_000_000, "s")]),
        Quantity::Size => choose(&[(1, "B"), (1_000, "kB"), (1_000_000, "MB"), (1_000_000_000, "GB")]),
        Quantity::Rate => choose(&[
            (1, "bit/s"),
            (1_000, "kbit/s"),
            (1_000_000, "Mbit/s"),
            (1_000_000_000, "Gbit/s"),
        ]),
        Quantity::Share => (1e10, "%"),
        Quantity::Number => (1e6, ""),
    }
}

fn draw(
    svg: &mut String,
    size: (u32, u32),
    grid: (usize, usize),
    record: &ReplayRecord,
    panels: &[Panel],
) -> Result<(), DrawingAreaErrorKind<std::io::Error>> {
    let root = SVGBackend::with_string(svg, size).into_drawing_area();
    root.fill(&WHITE)?;
    let (head, body) = root.split_vertically(CAPTION);
    let caption = format!(
        "{}: {} simulations against {} replications on {}",
        record.scenario,
        record.simulations.len(),
        record.replications.len(),
        record.kernel
    );
    let style = TextStyle::from((FONT, 18).into_font());
    head.draw_text(&caption, &style, (16, 14))?;
    // One legend for all pictures, where it covers no line.
    let style = TextStyle::from((FONT, 14).into_font());
    let dashes = (0..3).map(|dash| {
        PathElement::new(
            [(150 + 11 * dash, 50), (156 + 11 * dash, 50)],
            REPLAYED.stroke_width(2),
        )
    });
    head.draw(&PathElement::new([(16, 50), (46, 50)], SIMULATED.stroke_width(2)))?;
    head.draw_text("simulated", &style, (54, 42))?;
    for dash in dashes {
        head.draw(&dash)?;
    }
    head.draw_text("replayed", &style, (190, 42))?;
    for (area, panel) in body.split_evenly(grid).iter().zip(panels) {
        picture(area, panel)?;
    }
    root.present()
}

fn picture(
    area: &DrawingArea<SVGBackend, plotters::coord::Shift>,
    panel: &Panel,
) -> Result<(), DrawingAreaErrorKind<std::io::Error>> {
    let (least, most) = range(panel);
    let entity = panel.record.entity.replace("->", " → ");
    let what = metric_in_words(&panel.record.metric);
    let mut chart = ChartBuilder::on(area)
        .caption(
            format!(
                "{what}, {entity} (n = {} and {})",
                panel.simulated.len(),
                panel.replayed.len()
            ),
            (FONT, 16),
        )
        .margin(10)
        .x_label_area_size(40)
        .y_label_area_size(52)
        .build_cartesian_2d(least..most, 0.0..1.0)?;
    let unit = if panel.unit.is_empty() {
        String::new()
    } else {
        format!(" ({})", panel.unit)
    };
    // Neighbouring labels must differ.
    let decimals = decimals((most - least) / 5.0);
    chart
        .configure_mesh()
        .x_desc(format!("{what}{unit}"))
        .y_desc("share of runs")
        .x_labels(5)
        .y_labels(5)
        .axis_desc_style((FONT, 14))
        .label_style((FONT, 12))
        .x_label_formatter(&|x| format!("{x:.decimals$}"))
        .y_label_formatter(&|y| format!("{:.0} %", y * 100.0))
        .light_line_style(WHITE)
        .bold_line_style(BLACK.mix(0.15))
        .draw()?;
    let simulated = steps(&panel.simulated, least, most);
    chart.draw_series(LineSeries::new(simulated, SIMULATED.stroke_width(2)))?;
    let replayed = steps(&panel.replayed, least, most);
    chart.draw_series(DashedLineSeries::new(replayed, 6, 3, REPLAYED.stroke_width(2)))?;
    Ok(())
}

/// The axis: all values, with room on both sides, even where they are all the same.
fn range(panel: &Panel) -> (f64, f64) {
    let values = || panel.simulated.iter().chain(&panel.replayed).copied();
    let least = values().fold(f64::INFINITY, f64::min);
    let most = values().fold(f64::NEG_INFINITY, f64::max);
    // A difference of less than a thousandth is not blown up to fill the picture.
    let room = ((most - least) * 0.08).max(most.abs() * 0.002).max(1e-9);
    (least - room, most + room)
}

/// Decimals that tell labels apart which lie this far from each other.
fn decimals(distance: f64) -> usize {
    let mut decimals = 0;
    let mut unit = 1.0;
    while unit > distance && decimals < 9 {
        unit /= 10.0;
        decimals += 1;
    }
    decimals
}

/// The empirical distribution function over the whole axis: a step up at every value.
fn steps(sorted: &[f64], least: f64, most: f64) -> Vec<(f64, f64)> {
    let n = sorted.len() as f64;
    let mut points = vec![(least, 0.0)];
    for (index, &value) in sorted.iter().enumerate() {
        points.push((value, index as f64 / n));
        points.push((value, (index + 1) as f64 / n));
    }
    points.push((most, 1.0));
    points
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;

    #[test]
    fn the_function_steps_up_by_equal_shares_and_spans_the_axis() {
        assert_eq!(
            steps(&[2.0, 3.0], 1.0, 4.0),
            [
                (1.0, 0.0),
                (2.0, 0.0),
                (2.0, 0.5),
                (3.0, 0.5),
                (3.0, 1.0),
                (4.0, 1.0)
            ]
        );
        assert_eq!((decimals(2.0), decimals(0.5), decimals(0.002)), (0, 1, 3));
    }

    #[test]
    fn the_plot_names_metrics_units_worlds_and_numbers() {
        let svg = plot(&fixture::replay()).unwrap();
        for text in [
            "<svg",
            "bulk_loss: 6 simulations against 5 replications on Linux 6.1.0",
            "completion time, bulk",
            "completion time (s)",
            "delivered, north → south",
            "delivered (MB)",
            "share of runs",
            "completion time, bulk (n = 6 and 5)",
            "simulated",
            "replayed",
        ] {
            assert!(svg.contains(text), "{text}");
        }
        assert!(
            !svg.contains("queue delay"),
            "a metric without replayed values is on the plot"
        );
        assert!(!svg.contains("NaN") && !svg.contains("inf"));
    }

    #[test]
    fn without_values_of_both_worlds_there_is_no_plot() {
        let mut record = fixture::replay();
        record.comparisons.retain(|c| c.replayed.values.is_empty());
        assert_eq!(record.comparisons.len(), 1);
        assert!(matches!(plot(&record), Err(PlotError::Empty { .. })));
    }
}
