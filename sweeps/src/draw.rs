//! Declared plots as pictures, from their tables alone: `plots/<name>.svg`, and one picture for each combination of facets.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use longhaul_plots::boxes::{self, BoxOf, Boxes};
use longhaul_plots::distribution::{self, Band, Distributions, Function, Set};
use longhaul_plots::heatmap::{self, Cell, HeatMap};
use longhaul_plots::pareto::{self, Better, Candidate, Pareto};
use longhaul_plots::survival::{self, Step, Survival};
use longhaul_plots::timeline::{self, Bound, Line, Timeline};
use longhaul_plots::{About, Drawing, PlotError, Quantity, Reference, Where};

use longhaul_statistics::{KaplanMeier, Lifetime};

use crate::censored::{self, Seen};
use crate::directory::{DirectoryError, SweepDirectory};
use crate::estimate::LEVEL;
use crate::pictures::readable;
use crate::plots::PlotHead;
use crate::text;

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
                .map(|(facet, value)| format!("{} = {}", named(facet).0, in_words(facet, value)))
                .collect();
            let Ok(drawing) = draw(head, &facet.join(", "), &rows) else {
                continue;
            };
            let name = file_name(head.name, &values);
            directory.picture(&name, &drawing)?;
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

/// What columns end in, and the unit of what is in them.
const UNITS: [(&str, &str); 4] = [
    ("_ns", "ns"),
    ("_bytes", "bytes"),
    ("_bits_per_s", "bit/s"),
    ("_share", "share"),
];

/// A column's name and unit.
fn named(column: &str) -> (&str, &'static str) {
    let found = UNITS
        .iter()
        .find_map(|(suffix, unit)| column.strip_suffix(suffix).map(|name| (name, *unit)));
    found.unwrap_or((column, "number"))
}

/// A column as an axis, in a unit in which its values read well, and the factor to that.
fn quantity(column: &str, rows: &[Row]) -> (Quantity, f64) {
    let (name, unit) = named(column);
    let values = rows.iter().filter_map(|row| number(row, column)).map(f64::abs);
    let (unit, factor) = readable(unit, values.fold(0.0, f64::max));
    (Quantity::linear(name.trim_end_matches("_mean"), unit), factor)
}

/// A value of an axis in words: `10 ms`, `LowestLatency`.
fn in_words(column: &str, value: &str) -> String {
    match (named(column).1, value.parse::<f64>()) {
        ("number", _) | (_, Err(_)) => value.to_owned(),
        (unit, Ok(number)) => text::value(unit, number),
    }
}

fn draw(head: &PlotHead, facet: &str, rows: &[Row]) -> Result<Drawing, PlotError> {
    let title = if facet.is_empty() {
        head.name.to_owned()
    } else {
        format!("{}: {facet}", head.name)
    };
    let of = if head.by_run { "runs" } else { "points" };
    let about = About::new(title.clone(), rows.len() as u64, of);
    match head.kind {
        "line" => line(
            head,
            without_mean(about, head, rows).interval("95 % intervals of means"),
            rows,
        ),
        "heatmap" => heat_map(head, about, rows),
        "cdf" => {
            let band = match is_bounded(head, rows) {
                true => "95 %, Kaplan–Meier, pointwise",
                false => "95 % bands (DKW)",
            };
            cdf(head, with_band(about, head, band), rows)
        }
        "survival" => survival(
            head,
            with_band(about, head, "95 %, Kaplan–Meier, pointwise"),
            rows,
        ),
        "tail" => {
            let runs = rows.iter().filter_map(|row| number(row, "n")).fold(0.0, f64::max);
            let about = About::new(title, runs as u64, "runs of each point")
                .interval("95 %, of the mean of the runs' own quantiles, each by itself")
                .remark("Of all requests that began; quantiles beyond which a run has fewer than ten of them are left out");
            line(head, without_answer(about, rows), rows)
        }
        "box" => box_plot(head, about, rows),
        _ => pareto_front(
            head,
            without_mean(about, head, rows).interval("95 % intervals of means"),
            rows,
        ),
    }
}

/// Says what the band is, or why there is none.
fn with_band(about: About, head: &PlotHead, band: &str) -> About {
    if head.independent {
        about.interval(band)
    } else {
        about.remark(
            "Runs that share the luck of a source depend on each other, so a band would promise too much",
        )
    }
}

/// Says how many points are not to be seen, since a mean of their finished runs alone would be too good.
fn without_mean(about: About, head: &PlotHead, rows: &[Row]) -> About {
    let columns = [Some(&head.x), head.y.as_ref()];
    let means: Vec<&String> = columns
        .into_iter()
        .flatten()
        .filter(|name| name.contains("_mean"))
        .collect();
    let gaps = rows
        .iter()
        .filter(|row| means.iter().any(|mean| number(row, mean).is_none()));
    match gaps.count() {
        0 => about,
        gaps => about.remark(format!(
            "Not drawn: {gaps} of {} points, runs of which failed or did not finish",
            rows.len()
        )),
    }
}

/// Says what ends a line before its tail.
fn without_answer(about: About, rows: &[Row]) -> About {
    match rows.iter().any(is_unanswered) {
        true => {
            about.remark("Arrow up: one request in so many has no answer, in the run with the most of these")
        }
        false => about,
    }
}

/// Whether a row of a tail says from where on requests have no answer.
fn is_unanswered(row: &Row) -> bool {
    value(row, "latency_state") == "unanswered"
}

fn bound_name(head: &PlotHead, bound: f64) -> String {
    format!("bound: {}", text::value(head.unit, bound))
}

fn bound(head: &PlotHead, factor: f64, at: fn(f64) -> Where) -> Vec<Reference> {
    let reference = |bound: f64| Reference {
        name: bound_name(head, bound),
        at: at(bound * factor),
    };
    head.bound.map(reference).into_iter().collect()
}

/// The rows of each series, in the order in which they come.
fn series<'r>(head: &PlotHead, rows: &'r [Row]) -> Vec<(String, Vec<&'r Row>)> {
    let mut found: Vec<(String, Vec<&Row>)> = Vec::new();
    for row in rows {
        let name = head
            .series
            .as_deref()
            .map_or(String::new(), |column| in_words(column, value(row, column)));
        match found.iter_mut().find(|(known, _)| *known == name) {
            Some((_, rows)) => rows.push(row),
            None => found.push((name, vec![row])),
        }
    }
    found
}

/// A law as a legend calls it.
fn law_in_words(law: &str) -> String {
    let words = match law {
        "LinkRate" => "narrowest link",
        "Mathis" => "Mathis et al. (1997)",
        "WindowOverRtt" => "window / RTT",
        "Propagation" => "propagation",
        "Light" => "light in fibre",
        other => other,
    };
    format!("bound: {words}")
}

/// Takes out what is the same for all lines, which then is a bound of them all.
fn common_bounds(lines: &mut [Line]) -> Vec<Reference> {
    let Some((first, others)) = lines.split_first() else {
        return Vec::new();
    };
    let same = |bound: &Bound| others.iter().all(|line| line.bounds.contains(bound));
    let common: Vec<Bound> = first.bounds.iter().filter(|bound| same(bound)).cloned().collect();
    for line in lines {
        line.bounds
            .retain(|bound| !common.contains(bound) && !bound.points.is_empty());
    }
    let drawn = common.into_iter().filter(|bound| !bound.points.is_empty());
    let reference = |bound: Bound| Reference {
        name: bound.name,
        at: Where::Curve(bound.points),
    };
    drawn.map(reference).collect()
}

fn line(head: &PlotHead, about: About, rows: &[Row]) -> Result<Drawing, PlotError> {
    let y_column = head.y.as_deref().unwrap_or_default();
    let ((x, x_factor), (y, y_factor)) = (quantity(&head.x, rows), quantity(y_column, rows));
    // Tails are seen by orders of magnitude.
    let x = match head.kind {
        "tail" => Quantity::log("one request in so many takes longer", ""),
        _ => x,
    };
    let ends = ["_low", "_high"].map(|end| y_column.replacen("_mean", end, 1));
    let lines = series(head, rows).into_iter().map(|(name, rows)| {
        let bounds = head.laws.iter().map(|law| Bound {
            name: law_in_words(law.law),
            points: Vec::new(),
        });
        let mut line = Line {
            name,
            bounds: bounds.collect(),
            ..Line::default()
        };
        let mut rows: Vec<(f64, &Row)> = (rows.into_iter())
            .filter_map(|row| Some((number(row, &head.x)? * x_factor, row)))
            .collect();
        rows.sort_by(|a, b| a.0.total_cmp(&b.0));
        for (at, row) in rows {
            match number(row, y_column) {
                Some(mean) => line.points.push((at, mean * y_factor)),
                None if is_unanswered(row) => line.unbounded = Some(at),
                None => line.gaps.push(at),
            }
            if let (Some(low), Some(high)) = (number(row, &ends[0]), number(row, &ends[1])) {
                line.band.push((at, low * y_factor, high * y_factor));
            }
            for (law, bound) in head.laws.iter().zip(&mut line.bounds) {
                let said = number(row, &law.column).map(|said| (at, said * y_factor));
                bound.points.extend(said);
            }
        }
        line
    });
    let mut lines: Vec<Line> = lines.collect();
    let mut references = bound(head, y_factor, Where::Horizontal);
    references.extend(common_bounds(&mut lines));
    timeline::draw(&Timeline {
        about,
        x,
        y: y.never_negative(),
        lines,
        faults: Vec::new(),
        references,
        span: None,
    })
}

/// Whether the values of an axis are numbers, between which there are others; labels stand side by side by chance.
fn has_order(values: &[String]) -> bool {
    values.iter().all(|value| value.parse::<f64>().is_ok())
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
    if has_order(&found) {
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
    let ((x, x_factor), (y, y_factor), (z, factor)) = (
        quantity(&head.x, rows),
        quantity(y_column, rows),
        quantity(z_column, rows),
    );
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
        ordered: [&columns, &lines].into_iter().all(|values| has_order(values)),
        bounds: head
            .bound
            .map(|bound| (bound_name(head, bound), bound * factor))
            .into_iter()
            .collect(),
    })
}

/// The column that says what the values of a measure's column are.
fn state_of(column: &str) -> String {
    format!("{}_state", named(column).0)
}

fn survival(head: &PlotHead, about: About, rows: &[Row]) -> Result<Drawing, PlotError> {
    let (x, factor) = quantity(&head.x, rows);
    let state = state_of(&head.x);
    let missing = rows.iter().filter(|row| value(row, &state) == "missing").count();
    let about = match missing {
        0 => about,
        missing => about.remark(format!(
            "Without {missing} failed runs, of which nothing is known"
        )),
    };
    let sets = series(head, rows).into_iter().filter_map(|(name, rows)| {
        let lifetime = |row: &&Row| {
            let time = number(row, &head.x)? * factor;
            match value(row, &state) {
                "exact" => Some(Lifetime::Finished(time)),
                "at_least" => Some(Lifetime::Unfinished(time)),
                _ => None,
            }
        };
        let lifetimes: Vec<Lifetime> = rows.iter().filter_map(lifetime).collect();
        let curve = KaplanMeier::of(&lifetimes, LEVEL).ok()?;
        let unfinished = lifetimes.iter().filter_map(|lifetime| match lifetime {
            Lifetime::Unfinished(time) => Some(*time),
            Lifetime::Finished(_) => None,
        });
        Some(survival::Set {
            name,
            n: curve.n() as u64,
            steps: curve
                .steps()
                .iter()
                .map(|step| Step {
                    time: step.time,
                    share: step.survival,
                    interval: step.interval.filter(|_| head.independent),
                })
                .collect(),
            unfinished: unfinished.collect(),
        })
    });
    survival::draw(&Survival {
        about,
        x,
        sets: sets.collect(),
        references: bound(head, factor, Where::Vertical),
    })
}

fn cdf(head: &PlotHead, about: About, rows: &[Row]) -> Result<Drawing, PlotError> {
    let (x, factor) = quantity(&head.x, rows);
    let state = state_of(&head.x);
    let seen = |row: &&Row| {
        let number = number(row, &head.x)? * factor;
        match value(row, &state) {
            "exact" => Some(Seen::Exact(number)),
            "at_least" => Some(Seen::AtLeast(number)),
            "at_most" => Some(Seen::AtMost(number)),
            _ => None,
        }
    };
    let missing = rows.iter().filter(|row| seen(row).is_none()).count();
    let about = match missing {
        0 => about,
        missing => about.remark(format!(
            "Without {missing} failed runs, of which nothing is known"
        )),
    };
    // One kind of band for the whole picture: that of Kaplan and Meier if anything in it did not finish.
    let bounded = is_bounded(head, rows);
    let sets = series(head, rows).into_iter().map(|(name, rows)| {
        let known: Vec<Seen> = rows.iter().filter_map(seen).collect();
        let exact = |seen: &Seen| match seen {
            Seen::Exact(value) => Some(*value),
            Seen::AtLeast(_) | Seen::AtMost(_) => None,
        };
        let values: Vec<f64> = known.iter().filter_map(exact).collect();
        let estimated = bounded.then(|| censored::distribution(&known)).flatten();
        let (estimated, points) = estimated.unzip();
        Set {
            name,
            beyond: (known.len() - values.len()) as u64,
            values,
            band: match (head.independent, points) {
                (false, _) => Band::None,
                (true, None) => Band::Dkw { confidence: 0.95 },
                (true, Some(points)) => Band::Given(points),
            },
            estimated,
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

/// Whether something is known from one side alone.
fn is_bounded(head: &PlotHead, rows: &[Row]) -> bool {
    let state = state_of(&head.x);
    rows.iter()
        .any(|row| matches!(value(row, &state), "at_least" | "at_most"))
}

fn box_plot(head: &PlotHead, about: About, rows: &[Row]) -> Result<Drawing, PlotError> {
    let y_column = head.y.as_deref().unwrap_or_default();
    let ((x, x_factor), (y, factor)) = (quantity(&head.x, rows), quantity(y_column, rows));
    let state = state_of(y_column);
    let mut hidden = 0;
    let boxes = places(&head.x, rows).into_iter().filter_map(|place| {
        let of: Vec<&Row> = rows.iter().filter(|row| value(row, &head.x) == place).collect();
        // Quartiles of the others alone would be too good, and lower bounds are no values.
        if of.iter().any(|row| value(row, &state) != "exact") {
            hidden += 1;
            return None;
        }
        Some(BoxOf {
            name: label(&place, x_factor),
            values: of
                .iter()
                .filter_map(|row| number(row, y_column))
                .map(|it| it * factor)
                .collect(),
        })
    });
    let boxes: Vec<BoxOf> = boxes.collect();
    let about = match hidden {
        0 => about,
        hidden => about.remark(format!(
            "Not drawn: {hidden} of {} boxes, runs of which failed or did not finish",
            hidden + boxes.len()
        )),
    };
    boxes::draw(&Boxes {
        about,
        x: if x.unit.is_empty() {
            x.name
        } else {
            format!("{} ({})", x.name, x.unit)
        },
        y,
        boxes,
        references: bound(head, factor, Where::Horizontal),
    })
}

fn pareto_front(head: &PlotHead, about: About, rows: &[Row]) -> Result<Drawing, PlotError> {
    let y_column = head.y.as_deref().unwrap_or_default();
    let ((x, x_factor), (y, y_factor)) = (quantity(&head.x, rows), quantity(y_column, rows));
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
            Some(series) => in_words(series, value(row, series)),
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
        x: x.never_negative(),
        x_better: better(&head.x),
        y: y.never_negative(),
        y_better: better(y_column),
        candidates: rows.iter().filter_map(candidate).collect(),
    })
}
