//! From the finished runs to everything else in a sweep's directory. Rows and points come in the order of their numbers,
//! read from the cache, so the same runs give the same bytes, whoever ran them, when, and in how many parts.

use std::collections::BTreeMap;
use std::io::{self, Write};

use longhaul_core::MODEL_VERSION;
use rayon::prelude::*;

use crate::cache::{Cache, Found};
use crate::columns::{ParquetTable, write_csv_head, write_csv_row};
use crate::components::{self, ComponentTable};
use crate::directory::{DirectoryError, Manifest, SWEEP_FORMAT, SweepDirectory, Whole, unreadable};
use crate::execute::{Failure, Index, PointRuns};
use crate::goal::Goals;
use crate::pictures;
use crate::plots::PlotTables;
use crate::points::Points;
use crate::rows::{self, RunRow};
use crate::schema::{ReplicateOver, Sweep};
use crate::sensitivity::{self, Findings, Study};
use crate::summary::{self, PointSummary};

/// Runs whose entries are in memory at a time.
const AT_A_TIME: usize = 256;

/// What is known once all tables are written.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Written {
    /// What its study found, if the sweep has one and all points are here.
    pub findings: Option<Findings>,
    /// What could not be drawn, and why; points that stopped before they were known well enough.
    pub notes: Vec<String>,
}

/// Writes all tables of a sweep, calls `see` with each point, and marks the sweep as finished.
///
/// # Errors
/// If a table cannot be written, or a finished run has vanished from the cache.
pub fn write(
    directory: &SweepDirectory,
    sweep: &Sweep,
    points: &Points,
    manifest: &Manifest,
    index: &Index,
    cache: &Cache,
    mut see: impl FnMut(&PointSummary),
) -> Result<Written, DirectoryError> {
    let failures: BTreeMap<(u64, u32), &Failure> = index
        .failures
        .iter()
        .map(|failure| ((failure.point, failure.replication), failure))
        .collect();
    let columns = rows::columns(sweep);
    let metadata = [
        ("longhaul.sweep.format", SWEEP_FORMAT.to_string()),
        ("longhaul.sweep.name", sweep.name.clone()),
        ("longhaul.sweep.hash", manifest.hash.clone()),
        ("longhaul.model_version", MODEL_VERSION.to_string()),
    ];
    let mut csv = Whole::create(&directory.path().join("results.csv"), 0)?;
    write_csv_head(&mut csv, &columns).map_err(|source| csv.failed(source))?;
    let parquet_path = directory.path().join("results.parquet");
    let parquet_failed = |source| DirectoryError::of(&parquet_path, source);
    let parquet = Whole::create(&parquet_path, 0)?;
    let mut parquet = ParquetTable::new(parquet, &columns, &metadata).map_err(parquet_failed)?;
    let mut json = SummaryJson::begin(directory, &summary::head(sweep, manifest))?;
    let mut plots = PlotTables::create(sweep, directory)?;
    let mut study = Study::of(sweep);
    let mut goals = Goals::default();
    let mut components = ComponentTable::create(sweep, directory)?;

    for chunk in chunks(&index.points) {
        let runs: Vec<(&PointRuns, u32)> = chunk
            .iter()
            .flat_map(|point| (0..point.replications).map(move |replication| (point, replication)))
            .collect();
        let read = runs
            .par_iter()
            .map(|(point, replication)| row(cache, &failures, point, *replication, sweep.over()));
        let runs = read.collect::<Result<Vec<RunRow>, DirectoryError>>()?;
        for of_point in runs.chunk_by(|one, other| one.point == other.point) {
            let values = points.values(of_point[0].point);
            for run in of_point {
                let cells = rows::cells(sweep, &values, run);
                write_csv_row(&mut csv, &cells).map_err(|source| csv.failed(source))?;
                parquet.row(&cells).map_err(parquet_failed)?;
            }
            let summary = summary::point(sweep, points, of_point);
            goals.add(summary.until);
            json.point(&summary)?;
            plots.point(&values, &summary, of_point)?;
            if let Some(components) = &mut components {
                components.point(sweep, &values, points.describe(summary.point), &summary)?;
            }
            if let Some(study) = &mut study {
                study.point(&summary, of_point);
            }
            see(&summary);
        }
    }
    csv.finish()?;
    let (mut pictures, missing) = match components {
        Some(components) => components.finish(sweep, directory)?,
        None => {
            directory.remove(components::FILE)?;
            Default::default()
        }
    };
    parquet.finish().map_err(parquet_failed)?.finish()?;
    let findings = study.and_then(Study::finish);
    json.finish(&index.failures, findings.as_ref())?;
    let mut notes = goals.notes(sweep);
    notes.extend(missing);
    if let Some(findings) = &findings {
        directory.write("sensitivity.csv", |out| {
            write_csv_head(out, &sensitivity::columns())?;
            sensitivity::cells(findings).try_for_each(|cells| write_csv_row(out, &cells))
        })?;
        let (names, missing) = pictures::all(directory, findings)?;
        pictures.extend(names);
        notes.extend(missing);
    } else {
        directory.remove("sensitivity.csv")?;
    }
    notes.extend(plots.finish(directory, pictures)?);
    directory.write("index.json", |out| {
        serde_json::to_writer(&mut *out, index)?;
        out.write_all(b"\n")
    })?;
    directory.manifest(&Manifest {
        finished: true,
        ..manifest.clone()
    })?;
    Ok(Written { findings, notes })
}

/// Points in slices of some hundred runs.
fn chunks(points: &[PointRuns]) -> impl Iterator<Item = &[PointRuns]> {
    let mut rest = points;
    std::iter::from_fn(move || {
        let mut runs = 0;
        let full = rest.iter().position(|point| {
            runs += point.replications as usize;
            runs >= AT_A_TIME
        });
        let (chunk, after) = rest.split_at(full.map_or(rest.len(), |index| index + 1));
        rest = after;
        (!chunk.is_empty()).then_some(chunk)
    })
}

fn row(
    cache: &Cache,
    failures: &BTreeMap<(u64, u32), &Failure>,
    point: &PointRuns,
    replication: u32,
    over: ReplicateOver,
) -> Result<RunRow, DirectoryError> {
    let outcome = match (
        failures.get(&(point.point, replication)),
        key_of(point, replication, over),
    ) {
        (Some(failure), _) => Err((*failure).clone()),
        (None, Some(key)) => match cache.find(&key, false) {
            Found::Finished(entry) => Ok(entry),
            Found::Nothing => {
                let path = cache.path(&key);
                return Err(unreadable(
                    &path,
                    &"this finished run is gone; --resume runs it again",
                ));
            }
            Found::Unusable(why) => {
                let path = cache.path(&key);
                return Err(unreadable(&path, &format!("{why}; --resume runs it again")));
            }
        },
        (None, None) => unreachable!("a point without a scenario has failed"),
    };
    Ok(RunRow {
        point: point.point,
        replication,
        seeds: point.seeds.replication(over, replication),
        outcome,
    })
}

/// The key of a run; `None` if its point has no valid scenario.
pub fn key_of(point: &PointRuns, replication: u32, over: ReplicateOver) -> Option<String> {
    let seeds = point.seeds.replication(over, replication);
    point
        .scenario_of(seeds.sample)
        .map(|scenario| scenario.run(seeds))
}

/// `summary.json` while it is written: a struct whose list of points is never in memory.
struct SummaryJson {
    file: Whole,
    first: bool,
}

impl SummaryJson {
    fn begin(directory: &SweepDirectory, head: &summary::Head) -> Result<SummaryJson, DirectoryError> {
        let file = Whole::create(&directory.path().join("summary.json"), 0)?;
        let text = serde_json::to_string_pretty(head).expect("a head is made of numbers and texts");
        let open = text.strip_suffix("\n}").expect("a struct with fields");
        let mut json = SummaryJson { file, first: true };
        json.write(|out| write!(out, "{open},\n  \"points\": ["))?;
        Ok(json)
    }

    fn write(&mut self, write: impl FnOnce(&mut Whole) -> io::Result<()>) -> Result<(), DirectoryError> {
        write(&mut self.file).map_err(|source| self.file.failed(source))
    }

    fn point(&mut self, point: &PointSummary) -> Result<(), DirectoryError> {
        let separator = if self.first { "\n    " } else { ",\n    " };
        self.first = false;
        self.write(|out| {
            out.write_all(separator.as_bytes())?;
            Ok(serde_json::to_writer(&mut *out, point)?)
        })
    }

    fn finish(mut self, failures: &[Failure], findings: Option<&Findings>) -> Result<(), DirectoryError> {
        self.write(|out| {
            write!(out, "\n  ],\n  \"failures\": ")?;
            serde_json::to_writer(&mut *out, failures)?;
            if let Some(findings) = findings {
                write!(out, ",\n  \"sensitivity\": ")?;
                serde_json::to_writer(&mut *out, findings)?;
            }
            out.write_all(b"\n}\n")
        })?;
        self.file.finish()
    }
}
