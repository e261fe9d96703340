//! The data of declared plots: one table each, with the columns that its drawing needs.
//!
//! A line, a heat map or a Pareto plot has one row for each point: all axes, then how many runs have a value, are unfinished
//! and have none, the mean and the ends of its interval of each measure that it names, of a line also what laws say at that
//! point. A distribution, a curve of Kaplan and Meier or a box plot has one row for each run, since quantiles of quantiles
//! mean nothing: all axes, the replication, and the value. A tail has one row for each point and quantile: all axes, one
//! request in how many takes longer, the runs, the mean of their quantiles with its interval, and its state: `unanswered` in
//! the last row, from where on there is no mean. Bounds are in `plots/index.json`.

use std::collections::BTreeSet;
use std::io;

use longhaul_scenarios::metric::Unit;
use longhaul_scenarios::theory::Law;
use serde::Serialize;

use crate::columns::{Cell, Column, Kind, write_csv_head, write_csv_row};
use crate::directory::{DirectoryError, SweepDirectory, Whole};
use crate::draw::{self, Drawn};
use crate::entry::Known;
use crate::estimate::in_unit;
use crate::rows::{RunRow, axis_cell, axis_column};
use crate::schema::{Axis, AxisValue, Bound, Direction, Plot, PlotKind, Sweep, suffix};
use crate::summary::{PointSummary, unit_name};
use crate::tails;

/// The tables of all plots of a sweep, under way.
pub struct PlotTables<'s> {
    sweep: &'s Sweep,
    tables: Vec<Table>,
}

struct Table {
    file: Whole,
    /// Of the intervals in it.
    methods: BTreeSet<String>,
    /// Indices of the measures.
    measures: Vec<usize>,
    /// What laws say of the first of them.
    laws: Vec<Law>,
    rows: Rows,
}

/// What has a row.
#[derive(Clone, PartialEq, Eq)]
enum Rows {
    /// A point.
    Points,
    /// A run.
    Runs,
    /// A quantile of the latencies of this client, at a point.
    Quantiles(String),
}

/// What a plot is, for whoever draws it: an entry of `plots/index.json`.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct PlotHead<'s> {
    /// Its name, and that of its table.
    pub name: &'s str,
    /// `line`, `heatmap`, `cdf`, `survival`, `tail`, `box` or `pareto`.
    pub kind: &'static str,
    /// Column from left to right.
    pub x: String,
    /// Column from below to above; none for a distribution.
    pub y: Option<String>,
    /// Column that is coloured, of a heat map.
    pub value: Option<String>,
    /// Column that tells lines apart.
    pub series: Option<String>,
    /// Columns of axes that neither are one of these nor change together with one: one picture for each combination of their
    /// values.
    pub facets: Vec<String>,
    /// Value at which a line or contour is drawn, in the unit of its column.
    pub bound: Option<f64>,
    /// Columns with what laws say at each point.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub laws: Vec<LawColumn>,
    /// Unit of the measure that `bound` is of, or that is drawn.
    pub unit: &'static str,
    /// Whether a row is a run (`true`) or a point.
    pub by_run: bool,
    /// Whether runs are independent of each other, so that distributions of them have bands.
    pub independent: bool,
    /// Whether the values from left to right lie in equal ratios, of a line.
    pub x_ratios: bool,
    /// Which values of `x` and of `y` are better, of a Pareto plot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub better: Option<[Direction; 2]>,
    /// How the intervals of the means in its table were found; none where there are none.
    pub methods: BTreeSet<String>,
}

/// A plot and its pictures: an entry of `plots/index.json`.
#[derive(Clone, PartialEq, Debug, Serialize)]
struct Listed<'p> {
    #[serde(flatten)]
    head: &'p PlotHead<'p>,
    #[serde(flatten)]
    drawn: &'p Drawn,
}

/// What a law says.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct LawColumn {
    /// Which.
    pub law: Law,
    /// Column of the table.
    pub column: String,
}

/// What has a row in the table of a plot, and the names of its measures.
fn needs(kind: &PlotKind) -> (Rows, Vec<&str>) {
    match kind {
        PlotKind::Line { y, .. } => (Rows::Points, vec![y]),
        PlotKind::Heatmap { value, .. } => (Rows::Points, vec![value]),
        PlotKind::Pareto { x, y, .. } => (Rows::Points, vec![x, y]),
        PlotKind::Cdf { x, .. } | PlotKind::Ccdf { x, .. } | PlotKind::Survival { x, .. } => {
            (Rows::Runs, vec![x])
        }
        PlotKind::Tail { client, .. } => (Rows::Quantiles(client.clone()), Vec::new()),
        PlotKind::Box { y, .. } => (Rows::Runs, vec![y]),
    }
}

fn measure_index(sweep: &Sweep, name: &str) -> usize {
    let index = sweep.measures.iter().position(|measure| measure.name == name);
    index.expect("plots name measures of the sweep")
}

fn unit_of(sweep: &Sweep, name: &str) -> Unit {
    sweep.measures[measure_index(sweep, name)].metric.unit()
}

impl<'s> PlotTables<'s> {
    /// Begins the tables.
    ///
    /// # Errors
    /// If they cannot be written.
    pub fn create(sweep: &'s Sweep, directory: &SweepDirectory) -> Result<PlotTables<'s>, DirectoryError> {
        let mut tables = Vec::new();
        for plot in &sweep.plots {
            let (rows, names) = needs(&plot.kind);
            let measures: Vec<usize> = names.iter().map(|name| measure_index(sweep, name)).collect();
            let path = directory.path().join("plots").join(format!("{}.csv", plot.name));
            let laws: Vec<Law> = laws_of(&plot.kind).collect();
            let mut file = Whole::create(&path, 0)?;
            let head = write_csv_head(&mut file, &columns_of(sweep, plot));
            head.map_err(|source| file.failed(source))?;
            tables.push(Table {
                file,
                methods: BTreeSet::new(),
                measures,
                laws,
                rows,
            });
        }
        Ok(PlotTables { sweep, tables })
    }

    /// Adds a point and its runs.
    ///
    /// # Errors
    /// If they cannot be written.
    pub fn point(
        &mut self,
        values: &[&AxisValue],
        summary: &PointSummary,
        runs: &[RunRow],
    ) -> Result<(), DirectoryError> {
        for table in &mut self.tables {
            let done = match &table.rows {
                Rows::Runs => runs.iter().try_for_each(|run| table.run(self.sweep, values, run)),
                Rows::Points => table.point(self.sweep, values, summary, runs),
                Rows::Quantiles(client) => {
                    let points = tails::points(self.sweep.over(), client, runs);
                    table.quantiles(self.sweep, values, summary.point, &points)
                }
            };
            done.map_err(|source| table.file.failed(source))?;
        }
        Ok(())
    }

    /// Ends the tables, and says in `plots/index.json` what they are for. `others` are names of pictures that stand beside
    /// them; what is in the folder besides is of an older sweep, and removed. Gives what could not be drawn, and why.
    ///
    /// # Errors
    /// If they cannot be written.
    pub fn finish(
        self,
        directory: &SweepDirectory,
        others: Vec<String>,
    ) -> Result<Vec<String>, DirectoryError> {
        let mut methods = Vec::new();
        for table in self.tables {
            table.file.finish()?;
            methods.push(table.methods);
        }
        let mut names: Vec<String> = self.sweep.plots.iter().map(|plot| plot.name.clone()).collect();
        let mut notes = Vec::new();
        if !names.is_empty() {
            let plots = self.sweep.plots.iter().zip(methods);
            let head = |(plot, methods)| PlotHead {
                methods,
                ..head(self.sweep, plot)
            };
            let heads: Vec<PlotHead> = plots.map(head).collect();
            let drawn = draw::all(directory, &heads)?;
            let listed = heads.iter().zip(&drawn);
            let listed: Vec<Listed> = listed.map(|(head, drawn)| Listed { head, drawn }).collect();
            directory.write("plots/index.json", |out| {
                serde_json::to_writer_pretty(&mut *out, &listed)?;
                io::Write::write_all(out, b"\n")
            })?;
            names.push("index".to_owned());
            for drawn in drawn {
                names.extend(drawn.pictures);
                notes.extend(drawn.notes);
            }
        }
        names.extend(others);
        directory.only_plots(&names)?;
        Ok(notes)
    }
}

impl Table {
    fn point(
        &mut self,
        sweep: &Sweep,
        values: &[&AxisValue],
        summary: &PointSummary,
        runs: &[RunRow],
    ) -> io::Result<()> {
        let mut cells = vec![Cell::Unsigned(summary.point)];
        cells.extend(
            sweep
                .axes()
                .zip(values)
                .map(|(axis, value)| axis_cell(axis.kind, value)),
        );
        for &measure in &self.measures {
            let known = &summary.metrics[measure];
            self.methods.extend(known.method.clone());
            cells.extend([known.n, known.unfinished, known.missing].map(Cell::Unsigned));
            let reals = [known.mean, known.low, known.high];
            cells.extend(reals.map(|real| real.map_or(Cell::Null, Cell::Real)));
        }
        for law in &self.laws {
            let measure = &sweep.measures[self.measures[0]];
            // Where it does not apply there is nothing to draw. All runs of a point have one scenario but for its seeds.
            let mut finished = runs.iter().filter_map(|run| run.outcome.as_ref().ok());
            let bound = finished.next().and_then(|entry| entry.bound(*law, measure));
            let bound = bound.map(|bound| in_unit(measure.metric.unit(), bound));
            cells.push(bound.map_or(Cell::Null, Cell::Real));
        }
        write_csv_row(&mut self.file, &cells)
    }

    fn quantiles(
        &mut self,
        sweep: &Sweep,
        values: &[&AxisValue],
        point: u64,
        quantiles: &[tails::Point],
    ) -> io::Result<()> {
        for quantile in quantiles {
            let mut cells = vec![Cell::Unsigned(point)];
            let axes = sweep.axes().zip(values);
            cells.extend(axes.map(|(axis, value)| axis_cell(axis.kind, value)));
            let ends = quantile.interval;
            cells.extend([
                Cell::Real(quantile.one_in),
                Cell::Unsigned(quantile.n as u64),
                quantile.mean.map_or(Cell::Null, Cell::Real),
                ends.map_or(Cell::Null, |(low, _)| Cell::Real(low)),
                ends.map_or(Cell::Null, |(_, high)| Cell::Real(high)),
                Cell::Text(quantile.mean.map_or("unanswered", |_| "exact").to_owned()),
            ]);
            write_csv_row(&mut self.file, &cells)?;
        }
        Ok(())
    }

    fn run(&mut self, sweep: &Sweep, values: &[&AxisValue], run: &RunRow) -> io::Result<()> {
        let mut cells = vec![Cell::Unsigned(run.point)];
        cells.extend(
            sweep
                .axes()
                .zip(values)
                .map(|(axis, value)| axis_cell(axis.kind, value)),
        );
        cells.push(Cell::Unsigned(run.replication.into()));
        let known = run.values(sweep);
        for &measure in &self.measures {
            let unit = sweep.measures[measure].metric.unit();
            let (value, state) = match known[measure] {
                Known::Exact(value) => (Cell::Real(in_unit(unit, value)), "exact"),
                Known::AtLeast(value) => (Cell::Real(in_unit(unit, value)), "at_least"),
                Known::AtMost(value) => (Cell::Real(in_unit(unit, value)), "at_most"),
                Known::Missing => (Cell::Null, "missing"),
            };
            cells.extend([value, Cell::Text(state.to_owned())]);
        }
        write_csv_row(&mut self.file, &cells)
    }
}

/// The columns of the table of a plot.
pub fn columns_of(sweep: &Sweep, plot: &Plot) -> Vec<Column> {
    let (rows, names) = needs(&plot.kind);
    let measures: Vec<usize> = names.iter().map(|name| measure_index(sweep, name)).collect();
    let mut columns = columns(sweep, &rows, &measures);
    let laws = law_columns(sweep, &plot.kind).into_iter();
    columns.extend(laws.map(|of| Column {
        name: of.column,
        kind: Kind::Real,
    }));
    columns
}

fn columns(sweep: &Sweep, rows: &Rows, measures: &[usize]) -> Vec<Column> {
    let column = |name: String, kind| Column { name, kind };
    let mut columns = vec![column("point".to_owned(), Kind::Unsigned)];
    columns.extend(sweep.axes().map(|axis| axis_column(&axis.name, axis.kind)));
    match rows {
        Rows::Points => {}
        Rows::Runs => columns.push(column("replication".to_owned(), Kind::Unsigned)),
        Rows::Quantiles(_) => {
            columns.push(column("one_in".to_owned(), Kind::Real));
            columns.push(column("n".to_owned(), Kind::Unsigned));
            for part in ["mean", "low", "high"] {
                columns.push(column(format!("latency_{part}_ns"), Kind::Real));
            }
            columns.push(column("latency_state".to_owned(), Kind::Text));
        }
    }
    for &index in measures {
        let measure = &sweep.measures[index];
        let (name, unit) = (&measure.name, suffix(measure.metric.unit()));
        if *rows == Rows::Runs {
            columns.push(column(format!("{name}{unit}"), Kind::Real));
            columns.push(column(format!("{name}_state"), Kind::Text));
        } else {
            for count in ["n", "unfinished", "missing"] {
                columns.push(column(format!("{name}_{count}"), Kind::Unsigned));
            }
            for part in ["mean", "low", "high"] {
                columns.push(column(format!("{name}_{part}{unit}"), Kind::Real));
            }
        }
    }
    columns
}

/// The columns of the axes that tell pictures apart: those that a plot does not use. An axis that changes together with used
/// ones is none of them, if the values of these say which row of the group it is.
fn facets(sweep: &Sweep, used: &[Option<&String>]) -> Vec<String> {
    let mut facets = Vec::new();
    for group in &sweep.groups {
        let is_used = |axis: &&Axis| used.contains(&Some(&axis.name));
        let (named, others): (Vec<&Axis>, Vec<&Axis>) = group.axes.iter().partition(is_used);
        let row = |row: usize| -> Vec<&str> {
            let values = named.iter().map(|axis| &axis.values[row]);
            values.map(|value| value.shown.as_str()).collect()
        };
        let told_apart = (0..group.rows()).map(row).collect::<BTreeSet<_>>().len() == group.rows();
        if named.is_empty() || !told_apart {
            let columns = others.iter().map(|axis| axis_column(&axis.name, axis.kind));
            facets.extend(columns.map(|column| column.name));
        }
    }
    facets
}

/// The laws of a plot, in the order of the file.
pub(crate) fn laws_of(kind: &PlotKind) -> impl Iterator<Item = Law> + '_ {
    let bounds: &[Bound] = match kind {
        PlotKind::Line { bounds, .. } => bounds,
        _ => &[],
    };
    bounds.iter().filter_map(|bound| match bound {
        Bound::Law(law) => Some(*law),
        Bound::Exact(_) => None,
    })
}

/// Their columns.
fn law_columns(sweep: &Sweep, kind: &PlotKind) -> Vec<LawColumn> {
    let PlotKind::Line { y, .. } = kind else {
        return Vec::new();
    };
    let unit = suffix(unit_of(sweep, y));
    let column = |law: Law| LawColumn {
        law,
        column: format!("bound_{}{unit}", law.name()),
    };
    laws_of(kind).map(column).collect()
}

fn head<'s>(sweep: &'s Sweep, plot: &'s Plot) -> PlotHead<'s> {
    let axis = |name: &str| {
        let axis = sweep.axes().find(|axis| axis.name == name);
        let axis = axis.expect("plots name axes of the sweep");
        axis_column(&axis.name, axis.kind).name
    };
    let mean = |name: &str| format!("{name}_mean{}", suffix(unit_of(sweep, name)));
    let each = |name: &str| format!("{name}{}", suffix(unit_of(sweep, name)));
    let in_unit_of =
        |name: &str, bound: &Option<u64>| bound.map(|bound| in_unit(unit_of(sweep, name), bound));
    let series = |name: &Option<String>| name.as_deref().map(axis);
    let (kind, x, y, value, series, bound, of, used) = match &plot.kind {
        PlotKind::Line {
            x,
            y,
            series: s,
            bounds,
        } => {
            let used = [Some(x), s.as_ref()];
            let value = bounds.iter().find_map(|bound| match bound {
                Bound::Exact(value) => Some(*value),
                Bound::Law(_) => None,
            });
            let bound = in_unit_of(y, &value);
            ("line", axis(x), Some(mean(y)), None, series(s), bound, y, used)
        }
        PlotKind::Heatmap { x, y, value, bound } => {
            let used = [Some(x), Some(y)];
            let bound = in_unit_of(value, bound);
            (
                "heatmap",
                axis(x),
                Some(axis(y)),
                Some(mean(value)),
                None,
                bound,
                value,
                used,
            )
        }
        PlotKind::Cdf { x, series: s, bound }
        | PlotKind::Ccdf { x, series: s, bound }
        | PlotKind::Survival { x, series: s, bound } => {
            let used = [s.as_ref(), None];
            let kind = match &plot.kind {
                PlotKind::Survival { .. } => "survival",
                PlotKind::Ccdf { .. } => "ccdf",
                _ => "cdf",
            };
            (
                kind,
                each(x),
                None,
                None,
                series(s),
                in_unit_of(x, bound),
                x,
                used,
            )
        }
        PlotKind::Box { x, y, bound } => {
            let bound = in_unit_of(y, bound);
            (
                "box",
                axis(x),
                Some(each(y)),
                None,
                None,
                bound,
                y,
                [Some(x), None],
            )
        }
        PlotKind::Tail {
            client: _,
            series: s,
            bound,
        } => {
            return PlotHead {
                name: &plot.name,
                kind: "tail",
                x: "one_in".to_owned(),
                y: Some("latency_mean_ns".to_owned()),
                value: None,
                series: series(s),
                facets: facets(sweep, &[s.as_ref(), None]),
                bound: bound.map(|bound| in_unit(Unit::Time, bound)),
                laws: Vec::new(),
                unit: unit_name(Unit::Time),
                by_run: false,
                independent: sweep.over().samples().is_none(),
                x_ratios: false,
                better: None,
                methods: BTreeSet::new(),
            };
        }
        PlotKind::Pareto { x, y, series: s, .. } => {
            let used = [s.as_ref(), None];
            ("pareto", mean(x), Some(mean(y)), None, series(s), None, y, used)
        }
    };
    PlotHead {
        name: &plot.name,
        kind,
        x,
        y,
        value,
        series,
        facets: match plot.kind {
            PlotKind::Pareto { .. } => Vec::new(),
            _ => facets(sweep, &used),
        },
        bound,
        laws: law_columns(sweep, &plot.kind),
        unit: unit_name(unit_of(sweep, of)),
        by_run: needs(&plot.kind).0 == Rows::Runs,
        independent: sweep.over().samples().is_none(),
        x_ratios: match &plot.kind {
            PlotKind::Line { x, .. } => sweep.axes().any(|axis| axis.name == *x && axis.ratios),
            _ => false,
        },
        better: match plot.kind {
            PlotKind::Pareto {
                x_better, y_better, ..
            } => Some([x_better, y_better]),
            _ => None,
        },
        methods: BTreeSet::new(),
    }
}
