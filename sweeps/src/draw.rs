//! Declared plots as pictures, from their tables alone: `plots/<name>.svg`, and one picture for each combination of facets.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use longhaul_plots::boxes::{self, BoxOf, Boxes};
use longhaul_plots::distribution::{self, Band, Distributions, Function, Set};
use longhaul_plots::heatmap::{self, Cell, HeatMap};
use longhaul_plots::pareto::{self, Better, Candidate, Pareto};
use longhaul_plots::timeline::{self, Line, Timeline};
use longhaul_plots::{About, Drawing, PlotError, Quantity, Reference, Where};

use crate::directory::{DirectoryError, SweepDirectory};
use crate::plots::PlotHead;

/// Most pictures of one plot: more facets than that nobody looks at.
const MOST_PICTURES: usize = 64;

/// A row of a table by the names of its columns.
type Row = BTreeMap<String, String>;

/// Draws every plot whose table is written; returns the names of the pictures. What has nothing to show, or cannot be
/// shown, has no picture: its table is there.
///
/// # Errors
/// If a table cannot be read or a picture cannot be written.
pub fn all(directory: &SweepDirectory, heads: &[PlotHead]) -> Result<Vec<String>, DirectoryError> {
    let mut names = Vec::new();
    for head in heads {
        let path = directory.path().join("plots").join(format!("{}.csv", head.name));
        let rows = read(&path).map_err(|source| DirectoryError::of(&path, source))?;
        let mut facets: BTreeMap<Vec<String>, Vec<Row>> = BTreeMap::new();
        for row in rows {
            let values = head.facets.iter().map(|facet| value(&row, facet).to_owned());
            facets.entry(values.collect()).or_default().push(row);
        }
        for (values, rows) in facets.into_iter().take(MOST_PICTURES) {
            let facet: Vec<String> = head
                .facets
                .iter()
                .zip(&values)
                .map(|(facet, value)| format!("{facet} = {value}"))
                .collect();
            let Ok(drawing) = draw(head, &facet.join(", "), &rows) else {
                continue;
            };
            let name = file_name(head.name, &values);
            directory.write(&format!("plots/{name}.svg"), |out| {
                io::Write::write_all(out, drawing.svg().as_bytes())
            })?;
            names.push(name);
        }
    }
    Ok(names)
}

fn read(path: &Path) -> io::Result<Vec<Row>> {
    let mut reader = csv::Reader::from_path(path)?;
    let heads = reader.headers()?.clone();
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = record?;
        let cells = heads.iter().zip(&record);
        rows.push(
            cells
                .map(|(head, cell)| (head.to_owned(), cell.to_owned()))
                .collect(),
        );
    }
    Ok(rows)
}

/// The name of a plot and the values of its facets, of what may be in names.
fn file_name(plot: &str, values: &[String]) -> String {
    let mut name = plot.to_owned();
    for value in values {
        name.push('-');
        name.extend(value.chars().map(|c| {
            if c.is_ascii_alphanumeric() || c == '.' {
                c
            } else {
                '_'
            }
        }));
    }
    // A stem ends at the last point.
    name.replace('.', "_")
}

fn value<'r>(row: &'r Row, column: &str) -> &'r str {
    row.get(column).map_or("", String::as_str)
}

fn number(row: &Row, column: &str) -> Option<f64> {
    value(row, column).parse().ok()
}

/// What columns end in, the unit in which people read them, and the factor between.
const UNITS: [(&str, &str, f64); 4] = [
    ("_ns", "s", 1e-9),
    ("_bytes", "MB", 1e-6),
    ("_bits_per_s", "Mbit/s", 1e-6),
    ("_share", "%", 100.0),
];

/// A column and its unit: times in seconds, as people read them.
fn quantity(column: &str) -> (Quantity, f64) {
    for (suffix, unit, factor) in UNITS {
        if let Some(name) = column.strip_suffix(suffix) {
            return (Quantity::linear(name.trim_end_matches("_mean"), unit), factor);
        }
    }
    (Quantity::linear(column.trim_end_matches("_mean"), ""), 1.0)
}

fn draw(head: &PlotHead, facet: &str, rows: &[Row]) -> Result<Drawing, PlotError> {
    let title = if facet.is_empty() {
        head.name.to_owned()
    } else {
        format!("{}: {facet}", head.name)
    };
    let of = if head.by_run { "runs" } else { "points" };
    let about = About::new(title, rows.len() as u64, of);
    match head.kind {
        "line" => line(head, about.interval("95 % intervals of means"), rows),
        "heatmap" => heat_map(head, about, rows),
        "cdf" => cdf(head, about.interval("95 % bands (DKW)"), rows),
        "box" => box_plot(head, about, rows),
        _ => pareto_front(head, about.interval("95 % intervals of means"), rows),
    }
}

fn bound(head: &PlotHead, factor: f64, at: fn(f64) -> Where) -> Vec<Reference> {
    let reference = |bound: f64| Reference {
        name: "bound".to_owned(),
        at: at(bound * factor),
    };
    head.bound.map(reference).into_iter().collect()
}

/// The rows of each series, in the order in which they come.
fn series<'r>(head: &PlotHead, rows: &'r [Row]) -> Vec<(String, Vec<&'r Row>)> {
    let mut found: Vec<(String, Vec<&Row>)> = Vec::new();
    for row in rows {
        let name = head.series.as_deref().map_or(String::new(), |column| {
            let (quantity, factor) = quantity(column);
            match number(row, column) {
                Some(number) if factor != 1.0 => format!("{} {}", number * factor, quantity.unit),
                _ => value(row, column).to_owned(),
            }
        });
        match found.iter_mut().find(|(known, _)| *known == name) {
            Some((_, rows)) => rows.push(row),
            None => found.push((name, vec![row])),
        }
    }
    found
}

fn line(head: &PlotHead, about: About, rows: &[Row]) -> Result<Drawing, PlotError> {
    let y_column = head.y.as_deref().unwrap_or_default();
    let ((x, x_factor), (y, y_factor)) = (quantity(&head.x), quantity(y_column));
    let ends = ["_low", "_high"].map(|end| y_column.replacen("_mean", end, 1));
    let lines = series(head, rows).into_iter().map(|(name, rows)| {
        let mut line = Line {
            name,
            ..Line::default()
        };
        let mut rows: Vec<(f64, &Row)> = (rows.into_iter())
            .filter_map(|row| Some((number(row, &head.x)? * x_factor, row)))
            .collect();
        rows.sort_by(|a, b| a.0.total_cmp(&b.0));
        for (at, row) in rows {
            if let Some(mean) = number(row, y_column) {
                line.points.push((at, mean * y_factor));
            }
            if let (Some(low), Some(high)) = (number(row, &ends[0]), number(row, &ends[1])) {
                line.band.push((at, low * y_factor, high * y_factor));
            }
        }
        line
    });
    timeline::draw(&Timeline {
        about,
        x,
        y,
        lines: lines.filter(|line| !line.points.is_empty()).collect(),
        faults: Vec::new(),
        references: bound(head, y_factor, Where::Horizontal),
        span: None,
    })
}

/// The values of an axis in order: numbers by size, labels as they come.
fn places(column: &str, rows: &[Row]) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for row in rows {
        let value = value(row, column).to_owned();
        if !found.contains(&value) {
            found.push(value);
        }
    }
    if found.iter().all(|value| value.parse::<f64>().is_ok()) {
        found.sort_by(|a, b| {
            a.parse::<f64>()
                .unwrap_or(0.0)
                .total_cmp(&b.parse().unwrap_or(0.0))
        });
    }
    found
}

fn label(value: &str, factor: f64) -> String {
    match value.parse::<f64>() {
        Ok(number) if factor != 1.0 => format!("{}", (number * factor * 1e6).round() / 1e6),
        _ => value.to_owned(),
    }
}

fn heat_map(head: &PlotHead, about: About, rows: &[Row]) -> Result<Drawing, PlotError> {
    let (y_column, z_column) = (
        head.y.as_deref().unwrap_or_default(),
        head.value.as_deref().unwrap_or_default(),
    );
    let ((x, x_factor), (y, y_factor), (z, factor)) =
        (quantity(&head.x), quantity(y_column), quantity(z_column));
    let (columns, lines) = (places(&head.x, rows), places(y_column, rows));
    let cell = |line: &String, column: &String| {
        let mut found = rows.iter();
        let found = found.find(|row| value(row, &head.x) == column && value(row, y_column) == line);
        match found.map(|row| number(row, z_column)) {
            None => Cell::Missing,
            Some(None) => Cell::Failed,
            Some(Some(mean)) => Cell::Value(mean * factor),
        }
    };
    let cells = lines
        .iter()
        .map(|line| columns.iter().map(|column| cell(line, column)).collect());
    heatmap::draw(&HeatMap {
        about,
        x,
        columns: columns.iter().map(|value| label(value, x_factor)).collect(),
        y,
        rows: lines.iter().map(|value| label(value, y_factor)).collect(),
        z,
        cells: cells.collect(),
        bounds: head
            .bound
            .map(|bound| ("bound".to_owned(), bound * factor))
            .into_iter()
            .collect(),
    })
}

fn cdf(head: &PlotHead, about: About, rows: &[Row]) -> Result<Drawing, PlotError> {
    let (x, factor) = quantity(&head.x);
    let mut suffixes = UNITS.iter();
    let measure = suffixes.find_map(|(suffix, _, _)| head.x.strip_suffix(suffix));
    let measure = measure.unwrap_or(&head.x);
    let state = format!("{measure}_state");
    let sets = series(head, rows).into_iter().map(|(name, rows)| {
        let ended = rows.iter().filter(|row| value(row, &state) == "exact");
        Set {
            name,
            values: ended
                .filter_map(|row| number(row, &head.x))
                .map(|it| it * factor)
                .collect(),
            beyond: rows.iter().filter(|row| value(row, &state) == "at_least").count() as u64,
            band: Band::Dkw { confidence: 0.95 },
        }
    });
    distribution::draw(&Distributions {
        about,
        x,
        function: Function::Cdf,
        sets: sets.collect(),
        references: bound(head, factor, Where::Vertical),
    })
}

fn box_plot(head: &PlotHead, about: About, rows: &[Row]) -> Result<Drawing, PlotError> {
    let y_column = head.y.as_deref().unwrap_or_default();
    let ((x, x_factor), (y, factor)) = (quantity(&head.x), quantity(y_column));
    let boxes = places(&head.x, rows).into_iter().map(|place| {
        let of = rows.iter().filter(|row| value(row, &head.x) == place);
        BoxOf {
            name: label(&place, x_factor),
            values: of
                .filter_map(|row| number(row, y_column))
                .map(|it| it * factor)
                .collect(),
        }
    });
    boxes::draw(&Boxes {
        about,
        x: if x.unit.is_empty() {
            x.name
        } else {
            format!("{} ({})", x.name, x.unit)
        },
        y,
        boxes: boxes.collect(),
        references: bound(head, factor, Where::Horizontal),
    })
}

fn pareto_front(head: &PlotHead, about: About, rows: &[Row]) -> Result<Drawing, PlotError> {
    let y_column = head.y.as_deref().unwrap_or_default();
    let ((x, x_factor), (y, y_factor)) = (quantity(&head.x), quantity(y_column));
    let better = |column: &str| {
        // Times and sizes are costs.
        if column.ends_with("_ns") || column.ends_with("_bytes") {
            Better::Lower
        } else {
            Better::Higher
        }
    };
    let interval = |row: &Row, column: &str, factor: f64| {
        let [low, high] = ["_low", "_high"].map(|end| number(row, &column.replacen("_mean", end, 1)));
        Some((low? * factor, high? * factor))
    };
    let candidate = |row: &Row| {
        let name = match &head.series {
            Some(series) => value(row, series).to_owned(),
            None => format!("point {}", value(row, "point")),
        };
        Some(Candidate {
            name,
            x: number(row, &head.x)? * x_factor,
            y: number(row, y_column)? * y_factor,
            x_interval: interval(row, &head.x, x_factor),
            y_interval: interval(row, y_column, y_factor),
        })
    };
    pareto::draw(&Pareto {
        about,
        x,
        x_better: better(&head.x),
        y,
        y_better: better(y_column),
        candidates: rows.iter().filter_map(candidate).collect(),
    })
}
