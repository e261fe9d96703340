//! Which source of chance makes the runs of a point differ, where they are all combinations of samples of two sources:
//! `components.csv`, and what a table of points and a picture say of it.
//!
//! Runs that share a sample depend on each other. Their mean has the interval of a two-way layout of random effects instead of
//! that of as many independent runs, and what needs independent runs, such as the interval of a median, is left out.

use longhaul_statistics::components::TwoWay;
use serde::{Deserialize, Serialize};

use crate::columns::{Cell, Column, Kind, write_csv_head, write_csv_row};
use crate::directory::{DirectoryError, SweepDirectory, Whole};
use crate::entry::Known;
use crate::estimate::{Estimate, LEVEL, exact_values};
use crate::pictures;
use crate::rows::{axis_cell, axis_column};
use crate::schema::{AxisValue, Chance, Measure, ReplicateOver, Sweep};
use crate::seeds::name;
use crate::summary::{PointSummary, unit_name};

/// What the names of its pictures begin with.
pub const COMPONENTS: &str = "components-";
/// The name of the table.
pub const FILE: &str = "components.csv";
/// Points of which a picture can show the parts.
const MOST_DRAWN: usize = 20;
/// What both sources do together, in tables.
pub const TOGETHER: &str = "together";

/// A part of the variance of single runs.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Component {
    /// `workload`, `network`, `faults`, `uncertain`, or `together`: what a source does only with some samples of the other.
    pub source: String,
    /// Samples of it.
    pub samples: u64,
    /// Its share of the variance of single runs; none where nothing varies.
    pub share: Option<f64>,
    /// Its standard deviation, in base units.
    pub standard_deviation: f64,
    /// Lower end of its interval.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// How these were found.
    pub method: String,
}

/// Puts what all combinations of samples of two sources say in place of what as many independent runs would; nothing is
/// changed where every run stands by itself.
pub fn crossed(over: ReplicateOver, measure: &Measure, values: &[Known], estimate: &mut Estimate) {
    let ReplicateOver::Both { sources, samples } = over else {
        return;
    };
    // Without a way to take the dependence into account there is no interval.
    (estimate.low, estimate.high, estimate.method) = (None, None, None);
    (estimate.median_low, estimate.median_high, estimate.median_method) = (None, None, None);
    let exact = exact_values(measure.metric.unit(), values);
    let samples = samples as usize;
    let Ok(found) = TwoWay::of(&exact, samples, samples, LEVEL) else {
        return;
    };
    estimate.low = Some(found.mean.low);
    estimate.high = Some(found.mean.high);
    estimate.method = Some(found.mean.method.name().to_owned());
    let [first, second] = sources.map(Some);
    estimate.components = [
        (first, found.first),
        (second, found.second),
        (None, found.together),
    ]
    .into_iter()
    .map(|(source, of)| Component {
        source: source.map_or(TOGETHER, name).to_owned(),
        samples: of.deviation.n as u64,
        share: of.share,
        standard_deviation: of.deviation.estimate,
        low: of.deviation.low,
        high: of.deviation.high,
        method: of.deviation.method.name().to_owned(),
    })
    .collect();
}

/// The columns of `components.csv`.
pub fn columns(sweep: &Sweep) -> Vec<Column> {
    let column = |name: &str, kind| Column {
        name: name.to_owned(),
        kind,
    };
    let mut columns = vec![column("point", Kind::Unsigned)];
    columns.extend(sweep.axes().map(|axis| axis_column(&axis.name, axis.kind)));
    for name in ["metric", "unit", "source"] {
        columns.push(column(name, Kind::Text));
    }
    columns.push(column("samples", Kind::Unsigned));
    for name in ["share", "standard_deviation", "low", "high"] {
        columns.push(column(name, Kind::Real));
    }
    columns.push(column("method", Kind::Text));
    columns
}

/// `components.csv` while it is written: one row for each point, metric and part of its variance.
pub struct ComponentTable {
    file: Whole,
    shares: Vec<Shares>,
    points: usize,
}

/// What is drawn of a point: of each measure the shares of all parts of its variance.
#[derive(Clone, PartialEq, Debug)]
pub struct Shares {
    /// The point in words.
    pub point: String,
    /// Runs of it.
    pub runs: u64,
    /// By measure; none where nothing varies.
    pub measures: Vec<Option<Vec<f64>>>,
}

impl ComponentTable {
    /// Begins the table; `None` where every run stands by itself.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn create(
        sweep: &Sweep,
        directory: &SweepDirectory,
    ) -> Result<Option<ComponentTable>, DirectoryError> {
        if sweep.over().samples().is_none() {
            return Ok(None);
        }
        let mut file = Whole::create(&directory.path().join(FILE), 0)?;
        let head = write_csv_head(&mut file, &columns(sweep));
        head.map_err(|source| file.failed(source))?;
        Ok(Some(ComponentTable {
            file,
            shares: Vec::new(),
            points: 0,
        }))
    }

    /// Adds a point, whose words are `described`.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn point(
        &mut self,
        sweep: &Sweep,
        values: &[&AxisValue],
        described: String,
        summary: &PointSummary,
    ) -> Result<(), DirectoryError> {
        self.points += 1;
        if self.shares.len() < MOST_DRAWN {
            let shares = summary.metrics.iter().map(|known| {
                let shares: Option<Vec<f64>> = known.components.iter().map(|part| part.share).collect();
                shares.filter(|shares| !shares.is_empty())
            });
            self.shares.push(Shares {
                point: described,
                runs: summary.replications,
                measures: shares.collect(),
            });
        }
        for (measure, known) in sweep.measures.iter().zip(&summary.metrics) {
            for component in &known.components {
                let mut cells = vec![Cell::Unsigned(summary.point)];
                let axes = sweep.axes().zip(values);
                cells.extend(axes.map(|(axis, value)| axis_cell(axis.kind, value)));
                let texts = [&measure.name, unit_name(measure.metric.unit()), &component.source];
                cells.extend(texts.map(|text| Cell::Text(text.to_owned())));
                cells.push(Cell::Unsigned(component.samples));
                cells.push(component.share.map_or(Cell::Null, Cell::Real));
                let reals = [component.standard_deviation, component.low, component.high];
                cells.extend(reals.map(Cell::Real));
                cells.push(Cell::Text(component.method.clone()));
                let written = write_csv_row(&mut self.file, &cells);
                written.map_err(|source| self.file.failed(source))?;
            }
        }
        Ok(())
    }

    /// Ends the table, and draws the first points; returns the names of the pictures, and what could not be drawn and why.
    ///
    /// # Errors
    /// If something cannot be written.
    pub fn finish(
        self,
        sweep: &Sweep,
        directory: &SweepDirectory,
    ) -> Result<(Vec<String>, Vec<String>), DirectoryError> {
        self.file.finish()?;
        pictures::components(directory, sweep, &self.shares, self.points)
    }
}

/// The sources of a sweep in words: `workload and network`.
pub fn in_words(sources: &[Chance]) -> String {
    let names: Vec<&str> = sources.iter().map(|source| name(*source)).collect();
    names.join(" and ")
}
