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
use serde::Serialize;

use crate::censored::{self, Seen};
use crate::directory::{DirectoryError, SweepDirectory};
use crate::estimate::LEVEL;
use crate::names::{self, Names};
use crate::pictures::readable;
use crate::plots::PlotHead;
use crate::schema::Direction;
use crate::text;

/// Most pictures of one plot: more facets than that nobody looks at.
const MOST_PICTURES: usize = 64;

/// A row of a table by the names of its columns.
type Row = BTreeMap<String, String>;

/// The pictures of a plot.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Drawn {
    /// Their names, without `.svg`.
    pub pictures: Vec<String>,
    /// What there is no picture of, and why.
    pub notes: Vec<String>,
}

/// Draws every plot, whose tables are written. What has nothing to show, or cannot be shown, has no picture but a note.
///
/// # Errors
/// If a table cannot be read or a picture cannot be written.
pub fn all(directory: &SweepDirectory, heads: &[PlotHead]) -> Result<Vec<Drawn>, DirectoryError> {
    let mut names = Names::default();
    heads
        .iter()
        .map(|head| pictures_of(directory, head, &mut names))
        .collect()
}

fn pictures_of(
    directory: &SweepDirectory,
    head: &PlotHead,
    names: &mut Names,
) -> Result<Drawn, DirectoryError> {
    let path = directory.path().join("plots").join(format!("{}.csv", head.name));
    let rows = read(&path).map_err(|source| DirectoryError::of(&path, source))?;
    let mut facets: BTreeMap<Vec<String>, Vec<Row>> = BTreeMap::new();
    for row in rows {
        let values = head.facets.iter().map(|facet| value(&row, facet).to_owned());
        facets.entry(values.collect()).or_default().push(row);
    }
    let (mut drawn, mut failed, all) = (Drawn::default(), Vec::new(), facets.len());
    if all == 0 {
        failed.push("its table has no rows".to_owned());
    }
    for (values, rows) in facets.into_iter().take(MOST_PICTURES) {
        let words: Vec<String> = (head.facets.iter().zip(&values))
            .map(|(facet, value)| in_words(facet, value))
            .collect();
        let facet: Vec<String> = (head.facets.iter().zip(&words))
            .map(|(facet, words)| format!("{} = {}", named(facet).0, names::shortened(words)))
            .collect();
        // Named whether it is drawn or not, so that a name does not depend on what others show.
        let name = names.of(head.name, &words);
        match draw(head, &facet.join(", "), &rows) {
            Ok(drawing) => {
                directory.picture(&name, &drawing)?;
                drawn.pictures.push(name);
            }
            Err(error) => failed.push(error.to_string()),
        }
    }
    if let Some(first) = failed.first() {
        let of = all.clamp(1, MOST_PICTURES);
        let count = failed.len();
        drawn.notes.push(match of {
            1 => format!("no picture of `{}`: {first}", head.name),
            _ => format!(
                "{count} of {of} pictures of `{}` could not be drawn: {first}",
                head.name
            ),
        });
    }
    if all > MOST_PICTURES {
        drawn.notes.push(format!(
            "`{}` has {all} combinations of other axes, of which the first {MOST_PICTURES} are drawn",
            head.name
        ));
    }
    Ok(drawn)
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

fn value<'r>(row: &'r Row, column: &str) -> &'r str {
    row.get(column).map_or("", String::as_str)
}

fn number(row: &Row, column: &str) -> Option<f64> {
    value(row, column).parse().ok()
}

/// What columns end in, and the unit of what is in them.
const UNITS: [(&str, &str); 5] = [
    ("_ns", "ns"),
    ("_bytes", "bytes"),
    ("_bits_per_s", "bit/s"),
    ("_share", "share"),
    ("_pages_per_s", "pages/s"),
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
    (
        Quantity::linear(name.strip_suffix("_mean").unwrap_or(name), unit),
        factor,
    )
}

/// A value of an axis in words, exactly: `100.1 ms`, `LowestLatency`.
fn in_words(column: &str, value: &str) -> String {
    names::in_words(named(column).1, value)
}

fn draw(head: &PlotHead, facet: &str, rows: &[Row]) -> Result<Drawing, PlotError> {
    let title = if facet.is_empty() {
        head.name.to_owned()
    } else {
        format!("{}: {facet}", head.name)
    };
    let (n, of) = runs(head, rows);
    let about = About::new(title.clone(), n, of);
    match head.kind {
        "line" => line(head, with_method(without_mean(about, head, rows), head), rows),
        "heatmap" => heat_map(head, about, rows),
        "cdf" | "ccdf" => {
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
        _ => pareto_front(head, with_method(without_mean(about, head, rows), head), rows),
    }
}

/// How many runs there are, and of what: `20` and `runs of each of 6 points`.
fn runs(head: &PlotHead, rows: &[Row]) -> (u64, String) {
    let mut points: BTreeMap<&str, u64> = BTreeMap::new();
    for row in rows {
        let of_point = points.entry(value(row, "point")).or_default();
        if head.by_run {
            *of_point += 1;
        } else {
            // Those of the first measure, which has as many runs as any other.
            let measure = measure_of(head.value.as_ref().or(head.y.as_ref()).unwrap_or(&head.x));
            let counts = ["n", "unfinished", "missing"].map(|count| format!("{measure}_{count}"));
            let counts = counts
                .iter()
                .filter_map(|count| value(row, count).parse::<u64>().ok());
            *of_point = counts.sum();
        }
    }
    let (least, most) = (points.values().min(), points.values().max());
    let (least, most) = (least.copied().unwrap_or(0), most.copied().unwrap_or(0));
    match points.len() {
        0 | 1 => (most, "runs".to_owned()),
        count if least == most => (most, format!("runs of each of {count} points")),
        count => (
            points.values().sum(),
            format!("runs of {count} points, {least} to {most} of each"),
        ),
    }
}

/// The measure of a column.
fn measure_of(column: &str) -> &str {
    let (name, _) = named(column);
    name.strip_suffix("_mean").unwrap_or(name)
}

/// Says how the intervals were found, if there are any.
fn with_method(about: About, head: &PlotHead) -> About {
    let methods: Vec<&str> = head.methods.iter().map(String::as_str).collect();
    match methods.is_empty() {
        true => about,
        false => about.interval(format!("95 % of means, {}", methods.join(" or "))),
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
    // Told apart by the value itself: words may be shortened.
    let mut found: Vec<(&str, Vec<&Row>)> = Vec::new();
    for row in rows {
        let of = head.series.as_deref().map_or("", |column| value(row, column));
        match found.iter_mut().find(|(known, _)| *known == of) {
            Some((_, rows)) => rows.push(row),
            None => found.push((of, vec![row])),
        }
    }
    let words = |of: &str| match &head.series {
        Some(column) => format!("{} {}", named(column).0, names::shortened(&in_words(column, of))),
        // A single line is what is measured.
        None => measure_of(head.y.as_ref().unwrap_or(&head.x)).to_owned(),
    };
    found.into_iter().map(|(of, rows)| (words(of), rows)).collect()
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
        _ if head.x_ratios => Quantity::log(x.name, x.unit),
        _ => x,
    };
    let ends = ["_low", "_high"].map(|end| y_column.replacen("_mean", end, 1));
    let lines = series(head, rows).into_iter().map(|(name, rows)| {
        let bounds = head.laws.iter().map(|law| Bound {
            name: format!("bound: {}", law.law.in_words()),
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
        // Nine decimals: to the nanosecond of a time in seconds.
        Ok(number) if factor != 1.0 => format!("{}", (number * factor * 1e9).round() / 1e9),
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
        function: match head.kind {
            "ccdf" => Function::Ccdf,
            _ => Function::Cdf,
        },
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
    let better = |side: usize| match head.better.map(|better| better[side]) {
        Some(Direction::Lower) => Better::Lower,
        Some(Direction::Higher) | None => Better::Higher,
    };
    let (x_better, y_better) = (better(0), better(1));
    let about = match &head.series {
        Some(series) => about.remark(format!("Points are labelled with their {}", named(series).0)),
        None => about,
    };
    let interval = |row: &Row, column: &str, factor: f64| {
        let [low, high] = ["_low", "_high"].map(|end| number(row, &column.replacen("_mean", end, 1)));
        Some((low? * factor, high? * factor))
    };
    let candidate = |row: &Row| {
        let name = match &head.series {
            Some(series) => names::shortened(&in_words(series, value(row, series))),
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
        x_better,
        y: y.never_negative(),
        y_better,
        candidates: rows.iter().filter_map(candidate).collect(),
    })
}
