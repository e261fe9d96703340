//! One row for each run: `results.csv` and `results.parquet`.
//!
//! | column | what it holds |
//! | --- | --- |
//! | `point`, `replication` | numbers from 0 |
//! | `seed` | the root seed of the run |
//! | `workload_seed`, `network_seed`, `faults_seed` | those of sources that are replicated over |
//! | one for each axis | its value: ns, bytes, bit/s, a share of one, a number, or a text |
//! | `status` | `done`, or how the run failed |
//! | `verdict`, `digest`, `events`, `simulated_ns` | as in the run's own summary |
//! | one for each metric | its value, or the lower bound that is known of it |
//! | the same with `_state` | `exact`, `at_least`, `at_most` or `missing` |

use longhaul_core::record::Verdict;
use longhaul_scenarios::metric::Unit;

use crate::columns::{Cell, Column, Kind};
use crate::entry::{Entry, Known};
use crate::estimate::in_unit;
use crate::execute::{Failure, FailureKind};
use crate::schema::{AxisValue, Chance, Kind as AxisKind, Sweep, suffix};
use crate::seeds::{self, RunSeeds};

/// A run: where it belongs, and what it left.
#[derive(Clone, Debug)]
pub struct RunRow {
    /// Its point.
    pub point: u64,
    /// Its replication.
    pub replication: u32,
    /// Its seeds.
    pub seeds: RunSeeds,
    /// What is kept of it, or how it failed.
    pub outcome: Result<Box<Entry>, Failure>,
}

impl RunRow {
    /// The values of all measures; of a failed run all are missing.
    pub fn values(&self, sweep: &Sweep) -> Vec<Known> {
        let value = |measure| match &self.outcome {
            Ok(entry) => entry.value(measure),
            Err(_) => Known::Missing,
        };
        sweep.measures.iter().map(value).collect()
    }
}

/// The name of an axis' column.
pub fn axis_column(name: &str, kind: AxisKind) -> Column {
    Column {
        name: format!("{name}{}", kind.suffix()),
        kind: match kind {
            AxisKind::Quantity(unit) => kind_of(unit),
            AxisKind::PageRate => Kind::Signed,
            AxisKind::Label => Kind::Text,
        },
    }
}

/// The value of an axis in its column.
pub fn axis_cell(kind: AxisKind, value: &AxisValue) -> Cell {
    match (kind, value.exact) {
        (AxisKind::Quantity(unit), Some(exact)) => match kind_of(unit) {
            Kind::Real => {
                // Numbers of axes may be negative, values of metrics not.
                let size = in_unit(unit, exact.unsigned_abs());
                Cell::Real(if exact < 0 { -size } else { size })
            }
            _ => Cell::Signed(exact),
        },
        (AxisKind::PageRate, Some(exact)) => Cell::Signed(exact),
        _ => Cell::Text(value.shown.clone()),
    }
}

/// The kind of a column of a unit.
pub fn kind_of(unit: Unit) -> Kind {
    match unit {
        Unit::Time | Unit::Size | Unit::Rate => Kind::Signed,
        Unit::Share | Unit::Number => Kind::Real,
    }
}

/// A value of a metric in its column; beyond 2^63 − 1 as that.
fn value_cell(unit: Unit, exact: u64) -> Cell {
    match kind_of(unit) {
        Kind::Real => Cell::Real(in_unit(unit, exact)),
        _ => Cell::Signed(i64::try_from(exact).unwrap_or(i64::MAX)),
    }
}

/// The name of the column of a source's seed, or of the sample of what is uncertain.
pub fn seed_column(chance: Chance) -> String {
    let what = match chance {
        Chance::Of(_) => "seed",
        Chance::Uncertain => "sample",
    };
    format!("{}_{what}", seeds::name(chance))
}

/// The columns of a sweep's results.
pub fn columns(sweep: &Sweep) -> Vec<Column> {
    let column = |name: &str, kind| Column {
        name: name.to_owned(),
        kind,
    };
    let mut columns = vec![
        column("point", Kind::Unsigned),
        column("replication", Kind::Unsigned),
        column("seed", Kind::Unsigned),
    ];
    for source in sweep.over().sources() {
        columns.push(column(&seed_column(*source), Kind::Unsigned));
    }
    columns.extend(sweep.axes().map(|axis| axis_column(&axis.name, axis.kind)));
    let uncertain = sweep.uncertain.iter();
    columns.extend(uncertain.map(|field| axis_column(&field.name, field.space.kind())));
    for (name, kind) in [
        ("status", Kind::Text),
        ("verdict", Kind::Text),
        ("digest", Kind::Text),
        ("events", Kind::Unsigned),
        ("simulated_ns", Kind::Unsigned),
    ] {
        columns.push(column(name, kind));
    }
    for measure in &sweep.measures {
        let unit = measure.metric.unit();
        columns.push(column(
            &format!("{}{}", measure.name, suffix(unit)),
            kind_of(unit),
        ));
        columns.push(column(&format!("{}_state", measure.name), Kind::Text));
    }
    columns
}

/// The row of a run.
pub fn cells(sweep: &Sweep, values: &[&AxisValue], row: &RunRow) -> Vec<Cell> {
    let mut cells = vec![
        Cell::Unsigned(row.point),
        Cell::Unsigned(row.replication.into()),
        Cell::Unsigned(row.seeds.seed),
    ];
    for chance in sweep.over().sources() {
        cells.push(Cell::Unsigned(match chance {
            Chance::Of(source) => row.seeds.resolved(*source),
            Chance::Uncertain => row.seeds.sample.into(),
        }));
    }
    cells.extend(
        sweep
            .axes()
            .zip(values)
            .map(|(axis, value)| axis_cell(axis.kind, value)),
    );
    let draws = sweep.draws(row.seeds.sample);
    let uncertain = sweep.uncertain.iter().zip(&draws);
    cells.extend(uncertain.map(|(field, value)| axis_cell(field.space.kind(), value)));
    match &row.outcome {
        Ok(entry) => cells.extend([
            Cell::Text("done".to_owned()),
            Cell::Text(verdict(entry.verdict).to_owned()),
            Cell::Text(entry.digest.clone()),
            Cell::Unsigned(entry.events),
            Cell::Unsigned(entry.simulated_ns),
        ]),
        Err(failure) => {
            cells.push(Cell::Text(status(failure.kind).to_owned()));
            cells.extend([const { Cell::Null }; 4]);
        }
    }
    for (measure, value) in sweep.measures.iter().zip(row.values(sweep)) {
        let unit = measure.metric.unit();
        let (cell, state) = match value {
            Known::Exact(value) => (value_cell(unit, value), "exact"),
            Known::AtLeast(value) => (value_cell(unit, value), "at_least"),
            Known::AtMost(value) => (value_cell(unit, value), "at_most"),
            Known::Missing => (Cell::Null, "missing"),
        };
        cells.push(cell);
        cells.push(Cell::Text(state.to_owned()));
    }
    cells
}

/// A failure in one word.
pub fn status(kind: FailureKind) -> &'static str {
    match kind {
        FailureKind::Invalid => "invalid",
        FailureKind::Unbuildable => "unbuildable",
        FailureKind::Panicked => "panicked",
        FailureKind::TimedOut => "timed_out",
        FailureKind::OutOfMemory => "out_of_memory",
    }
}

fn verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "pass",
        Verdict::Fail => "fail",
        Verdict::Inconclusive => "inconclusive",
    }
}
