//! Two sweeps, or two runs, against each other.
//!
//! Runs of two sweeps are paired by point and seed: with common random numbers both had the same luck, so that the
//! differences vary less than the values do (Law, 2015, section 11.2). What is tested many times is corrected for that
//! (Holm, 1979). Two single runs have differences and no intervals: n is 1.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use longhaul_core::digest::Digest;
use longhaul_core::record::{RECORD_FORMAT, RunRecord};
use longhaul_scenarios::metric::{METRICS, Unit};
use longhaul_statistics::compare::{holm, paired};
use serde::Serialize;
use thiserror::Error;

use crate::directory::{DirectoryError, MANIFEST, Manifest, SWEEP_FORMAT, unreadable};
use crate::entry::{Known, metric_samples};
use crate::estimate::{LEVEL, in_unit};
use crate::summary::{Head, SummaryFile, unit_name};

/// Version of the comparison's JSON.
pub const COMPARISON_FORMAT: u32 = 1;

/// Why two directories cannot be compared.
#[derive(Debug, Error)]
pub enum CompareError {
    /// One of them cannot be read.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// Neither a run nor a sweep.
    #[error("{path} holds neither a run nor a sweep")]
    Neither {
        /// The directory.
        path: PathBuf,
    },
    /// One of each.
    #[error("{run} holds a run and {sweep} a sweep; compare two of a kind")]
    Mixed {
        /// A run.
        run: PathBuf,
        /// A sweep.
        sweep: PathBuf,
    },
    /// Nothing in common.
    #[error("{a} and {b} have nothing in common: {why}")]
    Nothing {
        /// A directory.
        a: PathBuf,
        /// Another.
        b: PathBuf,
        /// What is missing.
        why: &'static str,
    },
}

/// What came out.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Comparison {
    /// [`COMPARISON_FORMAT`].
    pub format: u32,
    /// `runs` or `sweeps`.
    pub of: &'static str,
    /// The first directory.
    pub a: String,
    /// The second.
    pub b: String,
    /// Digest of everything that happened, if both did the same.
    pub identical: Option<String>,
    /// What a reader should know before trusting the numbers.
    pub warnings: Vec<String>,
    /// Level of the intervals.
    pub level: f64,
    /// Tests that [`Row::p_holm`] is corrected for.
    pub tests: usize,
    /// In the order of points, or entities, and metrics.
    pub rows: Vec<Row>,
}

/// One metric at one point, or of one thing. Differences are `b` − `a`, in base units.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Row {
    /// Values of the axes, or the name of what was measured.
    pub place: String,
    /// Name of the metric.
    pub metric: String,
    /// `ns`, `bytes`, `bit/s`, `share` or `number`.
    pub unit: &'static str,
    /// Pairs.
    pub n: usize,
    /// Runs of both sides that have no partner, or no value.
    pub unpaired: usize,
    /// Mean of the first.
    pub a: Option<f64>,
    /// Mean of the second.
    pub b: Option<f64>,
    /// Mean difference.
    pub difference: Option<f64>,
    /// Lower end of its interval.
    pub low: Option<f64>,
    /// Upper end.
    pub high: Option<f64>,
    /// How the interval was found.
    pub method: Option<&'static str>,
    /// Correlation of the pairs.
    pub correlation: Option<f64>,
    /// How many times smaller the variance of the difference is than without pairing.
    pub variance_reduction: Option<f64>,
    /// Two-sided p of no difference.
    pub p: Option<f64>,
    /// The same, corrected for all tests.
    pub p_holm: Option<f64>,
}

/// Compares two directories.
///
/// # Errors
/// If they do not hold two runs, or two finished sweeps, that have something in common.
pub fn compare(a: &Path, b: &Path) -> Result<Comparison, CompareError> {
    match (Held::in_directory(a)?, Held::in_directory(b)?) {
        (Held::Run(one), Held::Run(other)) => runs(a, b, &one, &other),
        (Held::Sweep, Held::Sweep) => sweeps(a, b),
        (Held::Run(_), Held::Sweep) => Err(CompareError::Mixed {
            run: a.to_owned(),
            sweep: b.to_owned(),
        }),
        (Held::Sweep, Held::Run(_)) => Err(CompareError::Mixed {
            run: b.to_owned(),
            sweep: a.to_owned(),
        }),
    }
}

enum Held {
    Run(Box<RunRecord>),
    Sweep,
}

impl Held {
    fn in_directory(path: &Path) -> Result<Held, CompareError> {
        if path.join(MANIFEST).exists() {
            return Ok(Held::Sweep);
        }
        let summary = path.join("summary.json");
        if !summary.exists() || !path.join("manifest.json").exists() {
            return Err(CompareError::Neither {
                path: path.to_owned(),
            });
        }
        let record: RunRecord = read_json(&summary)?;
        if record.format > RECORD_FORMAT {
            let why = format!(
                "record format {}; this program reads {RECORD_FORMAT}",
                record.format
            );
            return Err(unreadable(&summary, &why).into());
        }
        Ok(Held::Run(Box::new(record)))
    }
}

fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T, DirectoryError> {
    let text = fs::read(path).map_err(|error| unreadable(path, &error))?;
    serde_json::from_slice(&text).map_err(|error| unreadable(path, &error))
}

fn versions(a: u32, b: u32, warnings: &mut Vec<String>) {
    if a != b {
        warnings.push(format!(
            "the first is of model version {a}, the second of {b}: differences may come from the program"
        ));
    }
}

fn runs(a: &Path, b: &Path, one: &RunRecord, other: &RunRecord) -> Result<Comparison, CompareError> {
    let mut warnings = Vec::new();
    versions(one.model_version, other.model_version, &mut warnings);
    if one.seed != other.seed {
        let (one, other) = (one.seed, other.seed);
        warnings.push(format!(
            "the seeds are {one} and {other}: differences are of luck, too"
        ));
    }
    warnings.push("one run each: differences have no intervals; compare sweeps for that".to_owned());
    let samples = |record: &RunRecord| -> BTreeMap<(String, String), Known> {
        let metrics = metric_samples(record).into_iter();
        let all = metrics.flat_map(|metric| {
            let name = metric.metric;
            metric
                .samples
                .into_iter()
                .map(move |(entity, known)| ((entity, name.clone()), known))
        });
        all.collect()
    };
    let (left, right) = (samples(one), samples(other));
    let mut rows = Vec::new();
    for ((entity, metric), known) in &left {
        let Some(partner) = right.get(&(entity.clone(), metric.clone())) else {
            continue;
        };
        let unit = METRICS
            .iter()
            .find(|(name, _)| name == metric)
            .map(|(_, metric)| metric.unit());
        let unit = unit.expect("samples are of known metrics");
        let value = |known: &Known| match known {
            Known::Exact(value) => Some(in_unit(unit, *value)),
            Known::AtLeast(_) | Known::Missing => None,
        };
        let (a, b) = (value(known), value(partner));
        if (known, partner) == (&Known::Missing, &Known::Missing) {
            continue;
        }
        rows.push(Row {
            place: entity.clone(),
            metric: metric.clone(),
            unit: unit_name(unit),
            n: usize::from(a.is_some() && b.is_some()),
            unpaired: usize::from(a.is_some() != b.is_some()),
            a,
            b,
            difference: a.zip(b).map(|(a, b)| b - a),
            low: None,
            high: None,
            method: None,
            correlation: None,
            variance_reduction: None,
            p: None,
            p_holm: None,
        });
    }
    if rows.is_empty() {
        return Err(CompareError::Nothing {
            a: a.to_owned(),
            b: b.to_owned(),
            why: "no metric of anything of the same name",
        });
    }
    // Seeds are part of what happened, but a digest of nothing random is the same with any of them.
    let identical = one.digest == other.digest && one.events == other.events;
    Ok(Comparison {
        format: COMPARISON_FORMAT,
        of: "runs",
        a: a.display().to_string(),
        b: b.display().to_string(),
        identical: identical.then(|| one.digest.clone()),
        warnings,
        level: LEVEL.share(),
        tests: 0,
        rows,
    })
}

/// The runs of a sweep, as its tables have them.
struct Sweep {
    head: Head,
    /// By point in words, then by seed.
    points: BTreeMap<String, (u64, BTreeMap<u64, Run>)>,
}

struct Run {
    digest: String,
    /// One for each metric.
    values: Vec<Option<f64>>,
}

impl Sweep {
    fn read(path: &Path) -> Result<Sweep, CompareError> {
        let manifest = Manifest::read(path)?;
        if !manifest.finished {
            return Err(DirectoryError::Unfinished {
                path: path.to_owned(),
            }
            .into());
        }
        let summary_path = path.join("summary.json");
        let summary: SummaryFile = read_json(&summary_path)?;
        if summary.head.format != SWEEP_FORMAT {
            let why = format!(
                "format {}; this program reads {SWEEP_FORMAT}",
                summary.head.format
            );
            return Err(unreadable(&summary_path, &why).into());
        }
        let names: BTreeMap<u64, String> = summary
            .points
            .iter()
            .map(|point| (point.point, describe(&summary.head, &point.values)))
            .collect();
        let mut sweep = Sweep {
            head: summary.head,
            points: BTreeMap::new(),
        };
        sweep.read_results(&path.join("results.csv"), &names)?;
        Ok(sweep)
    }

    fn read_results(&mut self, path: &Path, names: &BTreeMap<u64, String>) -> Result<(), CompareError> {
        let failed = |error: csv::Error| unreadable(path, &error);
        let mut reader = csv::Reader::from_path(path).map_err(failed)?;
        let header = reader.headers().map_err(failed)?.clone();
        let column = |name: &str| {
            let index = header.iter().position(|column| column == name);
            index.ok_or_else(|| unreadable(path, &format!("there is no column `{name}`")))
        };
        let (point, seed, digest) = (column("point")?, column("seed")?, column("digest")?);
        let mut measures = Vec::new();
        for metric in &self.head.metrics {
            let state = column(&format!("{}_state", metric.name))?;
            // The value stands before its state.
            measures.push((state - 1, state));
        }
        for row in reader.records() {
            let row = row.map_err(failed)?;
            let field = |index: usize| row.get(index).unwrap_or_default();
            let number = |index: usize| -> Result<u64, DirectoryError> {
                let text = field(index);
                text.parse()
                    .map_err(|error| unreadable(path, &format!("`{text}`: {error}")))
            };
            let (point, seed) = (number(point)?, number(seed)?);
            let Some(name) = names.get(&point) else {
                let why = format!("point {point} is not in summary.json");
                return Err(unreadable(path, &why).into());
            };
            let values = measures.iter().map(|(value, state)| match field(*state) {
                "exact" => field(*value).parse().ok(),
                _ => None,
            });
            let run = Run {
                digest: field(digest).to_owned(),
                values: values.collect(),
            };
            let runs = self
                .points
                .entry(name.clone())
                .or_insert_with(|| (point, BTreeMap::new()));
            runs.1.insert(seed, run);
        }
        Ok(())
    }

    /// A digest over all runs, or `None` if one failed.
    fn digest(&self) -> Option<String> {
        let mut digest = Digest::new();
        for (name, (_, runs)) in &self.points {
            digest.mix_bytes(name.as_bytes());
            for (seed, run) in runs {
                if run.digest.is_empty() {
                    return None;
                }
                digest.mix(*seed);
                digest.mix_bytes(run.digest.as_bytes());
            }
        }
        Some(digest.to_string())
    }
}

fn describe(head: &Head, values: &[String]) -> String {
    let each = head.axes.iter().zip(values);
    let each = each.map(|(axis, value)| format!("{} = {value}", axis.name));
    each.collect::<Vec<String>>().join(", ")
}

fn sweeps(a: &Path, b: &Path) -> Result<Comparison, CompareError> {
    let (left, right) = (Sweep::read(a)?, Sweep::read(b)?);
    let nothing = |why| CompareError::Nothing {
        a: a.to_owned(),
        b: b.to_owned(),
        why,
    };
    let mut warnings = Vec::new();
    versions(left.head.model_version, right.head.model_version, &mut warnings);
    let metrics: Vec<(usize, usize)> = left
        .head
        .metrics
        .iter()
        .enumerate()
        .filter_map(|(index, metric)| {
            let same = |other: &crate::summary::MetricHead| {
                (&other.name, &other.unit) == (&metric.name, &metric.unit)
            };
            right
                .head
                .metrics
                .iter()
                .position(same)
                .map(|other| (index, other))
        })
        .collect();
    if metrics.is_empty() {
        return Err(nothing("no metric of the same name and unit"));
    }
    let mut common: Vec<(u64, &String)> = left
        .points
        .iter()
        .filter(|(name, _)| right.points.contains_key(*name))
        .map(|(name, (number, _))| (*number, name))
        .collect();
    common.sort();
    if common.is_empty() {
        return Err(nothing("no point with the same values"));
    }
    let lonely = left.points.len() + right.points.len() - 2 * common.len();
    if lonely > 0 {
        warnings.push(format!(
            "{lonely} points are in one of the two alone, and left out"
        ));
    }
    let mut rows = Vec::new();
    for (_, name) in common {
        for (one, other) in &metrics {
            rows.push(row(&left, &right, name, *one, *other));
        }
    }
    let tests = correct(&mut rows);
    let unhelpful = rows
        .iter()
        .filter(|row| row.correlation.is_some_and(|r| r <= 0.0))
        .count();
    if unhelpful > 0 {
        warnings.push(format!(
            "in {unhelpful} of {} rows pairing does not help (correlation ≤ 0): the two do not have their luck in common",
            rows.len()
        ));
    }
    let identical = left
        .digest()
        .filter(|digest| right.digest().as_ref() == Some(digest));
    Ok(Comparison {
        format: COMPARISON_FORMAT,
        of: "sweeps",
        a: a.display().to_string(),
        b: b.display().to_string(),
        identical,
        warnings,
        level: LEVEL.share(),
        tests,
        rows,
    })
}

fn row(left: &Sweep, right: &Sweep, name: &String, one: usize, other: usize) -> Row {
    let (left_runs, right_runs) = (&left.points[name].1, &right.points[name].1);
    let (mut a, mut b) = (Vec::new(), Vec::new());
    for (seed, run) in left_runs {
        let partner = right_runs.get(seed).and_then(|partner| partner.values[other]);
        if let Some((value, partner)) = run.values[one].zip(partner) {
            a.push(value);
            b.push(partner);
        }
    }
    let n = a.len();
    let metric = &left.head.metrics[one];
    let mean = |values: &[f64]| (n > 0).then(|| values.iter().sum::<f64>() / n as f64);
    let mut row = Row {
        place: name.clone(),
        metric: metric.name.clone(),
        unit: unit(&metric.unit),
        n,
        unpaired: left_runs.len() + right_runs.len() - 2 * n,
        a: mean(&a),
        b: mean(&b),
        difference: mean(&a).zip(mean(&b)).map(|(a, b)| b - a),
        low: None,
        high: None,
        method: None,
        correlation: None,
        variance_reduction: None,
        p: None,
        p_holm: None,
    };
    if let Ok(paired) = paired(&b, &a, LEVEL) {
        row.difference = Some(paired.difference.estimate);
        row.low = Some(paired.difference.low);
        row.high = Some(paired.difference.high);
        row.method = Some(paired.difference.method.name());
        row.correlation = paired.correlation;
        row.variance_reduction = paired.variance_reduction;
        row.p = paired.p;
    }
    row
}

fn unit(name: &str) -> &'static str {
    let all = [Unit::Time, Unit::Size, Unit::Rate, Unit::Share, Unit::Number];
    let known = all
        .iter()
        .map(|unit| unit_name(*unit))
        .find(|known| *known == name);
    known.unwrap_or("number")
}

/// Corrects the p-values of all rows for their number, which it gives back.
fn correct(rows: &mut [Row]) -> usize {
    let p: Vec<f64> = rows.iter().filter_map(|row| row.p).collect();
    if let Ok(corrected) = holm(&p) {
        let tested = rows.iter_mut().filter(|row| row.p.is_some());
        for (row, p) in tested.zip(corrected) {
            row.p_holm = Some(p);
        }
    }
    p.len()
}
