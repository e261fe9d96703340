//! Two sweeps, or two runs, against each other.
//!
//! Runs of two sweeps are paired by point and seed: with common random numbers both had the same luck, so that the
//! differences vary less than the values do (Law, 2015, section 11.2). What is tested many times is corrected for that
//! (Holm, 1979). Pairs of which a run did not finish have no difference, but often a larger side, which is what the sign
//! test needs. Two single runs have differences and no intervals, n being 1; of what did not finish in one of them there are
//! bounds.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use longhaul_core::digest::Digest;
use longhaul_core::record::{RECORD_FORMAT, RunRecord};
use longhaul_scenarios::metric::{METRICS, Unit};
use longhaul_statistics::compare::holm;
use serde::Serialize;
use thiserror::Error;

use crate::directory::{DirectoryError, MANIFEST, Manifest, SWEEP_FORMAT, unreadable};
use crate::entry::{Known, metric_samples};
use crate::estimate::LEVEL;
use crate::points::in_words;
use crate::rows::seed_column;
use crate::schema::Chance;
use crate::summary::{Head, SummaryFile, unit_name};

pub mod pairs;
pub mod pictures;

pub use pairs::{Bounds, Equal, Margin, Row, Value, Within};

/// Version of the comparison's JSON.
pub const COMPARISON_FORMAT: u32 = 4;

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
    /// Not a margin.
    #[error("the margin `{margin}`: {why}")]
    Margin {
        /// As written.
        margin: String,
        /// What is wrong with it.
        why: String,
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
    /// Margins that [`Equal::p_holm`] is corrected for.
    pub margins: usize,
    /// In the order of points, or entities, and metrics.
    pub rows: Vec<Row>,
}

/// Compares two directories. `margins`, written `time=50 ms` or `time=5 %`, say within what the two count as equal.
///
/// # Errors
/// If they do not hold two runs, or two finished sweeps, that have something in common; margins that are none, or of
/// single runs.
pub fn compare(a: &Path, b: &Path, margins: &[String]) -> Result<Comparison, CompareError> {
    match (Held::in_directory(a)?, Held::in_directory(b)?) {
        (Held::Run(_), Held::Run(_)) if !margins.is_empty() => Err(CompareError::Margin {
            margin: margins[0].clone(),
            why: "two single runs cannot show that anything is equal; compare sweeps for that".to_owned(),
        }),
        (Held::Run(one), Held::Run(other)) => runs(a, b, &one, &other),
        (Held::Sweep, Held::Sweep) => sweeps(a, b, margins),
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
    if one.seeds != other.seeds {
        warnings
            .push("sources of chance have other seeds of their own: differences are of luck, too".to_owned());
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
        if (known, partner) == (&Known::Missing, &Known::Missing) {
            continue;
        }
        let pair = (Value::of(unit, *known), Value::of(unit, *partner));
        rows.push(Row::of(
            entity.clone(),
            metric.clone(),
            unit_name(unit),
            &[pair],
            0,
        ));
    }
    let unfinished = rows.iter().filter(|row| row.unfinished > 0).count();
    if unfinished > 0 {
        warnings.push(format!(
            "in {unfinished} of {} rows something was unfinished at the end of a run: what is known of it are bounds",
            rows.len()
        ));
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
        margins: 0,
        rows,
    })
}

/// The runs of a sweep, as its tables have them.
struct Sweep {
    head: Head,
    /// Whether runs are combinations of samples of two sources of chance.
    crossed: bool,
    /// By point in words, then by seeds and what was drawn.
    points: BTreeMap<String, (u64, BTreeMap<Luck, Run>)>,
}

/// The seeds of a run, and the values of its uncertain fields.
type Luck = (Vec<u64>, Vec<String>);

struct Run {
    digest: String,
    /// One for each metric.
    values: Vec<Value>,
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
            crossed: false,
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
        let mut seeds = vec![seed];
        let own = Chance::ALL.map(seed_column);
        seeds.extend((0..header.len()).filter(|index| own.iter().any(|name| *name == header[*index])));
        self.crossed = seeds.len() > 2;
        let fields = self.head.uncertain.iter().map(|field| &field.column);
        let drawn = fields
            .map(|name| column(name))
            .collect::<Result<Vec<usize>, DirectoryError>>()?;
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
            let point = number(point)?;
            let seeds = seeds.iter().map(|index| number(*index));
            let seeds = seeds.collect::<Result<Vec<u64>, DirectoryError>>()?;
            let Some(name) = names.get(&point) else {
                let why = format!("point {point} is not in summary.json");
                return Err(unreadable(path, &why).into());
            };
            let values = measures.iter().map(|(value, state)| {
                let number = field(*value).parse().ok();
                match (field(*state), number) {
                    ("exact", Some(number)) => Value::Exact(number),
                    ("at_least", Some(number)) => Value::AtLeast(number),
                    ("at_most", Some(number)) => Value::AtMost(number),
                    _ => Value::Missing,
                }
            });
            let run = Run {
                digest: field(digest).to_owned(),
                values: values.collect(),
            };
            let runs = self
                .points
                .entry(name.clone())
                .or_insert_with(|| (point, BTreeMap::new()));
            let drawn = drawn.iter().map(|index| field(*index).to_owned());
            runs.1.insert((seeds, drawn.collect()), run);
        }
        Ok(())
    }

    /// A digest over all runs, or `None` if one failed.
    fn digest(&self) -> Option<String> {
        let mut digest = Digest::new();
        for (name, (_, runs)) in &self.points {
            digest.mix_bytes(name.as_bytes());
            for ((seeds, _), run) in runs {
                if run.digest.is_empty() {
                    return None;
                }
                seeds.iter().for_each(|seed| digest.mix(*seed));
                digest.mix_bytes(run.digest.as_bytes());
            }
        }
        Some(digest.to_string())
    }
}

fn describe(head: &Head, values: &[String]) -> String {
    let each = head.axes.iter().zip(values);
    in_words(each.map(|(axis, value)| (axis.name.as_str(), value.as_str())))
}

fn sweeps(a: &Path, b: &Path, margins: &[String]) -> Result<Comparison, CompareError> {
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
    let margins = margins
        .iter()
        .map(|text| {
            Margin::read(text, metrics.iter().map(|(one, _)| &left.head.metrics[*one])).map_err(|why| {
                CompareError::Margin {
                    margin: text.clone(),
                    why,
                }
            })
        })
        .collect::<Result<Vec<Margin>, CompareError>>()?;
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
    if left.head.replicate_over != right.head.replicate_over {
        warnings.push(format!(
            "the first is replicated over {}, the second over {}: few runs have the same seeds",
            left.head.replicate_over, right.head.replicate_over
        ));
    } else if left.crossed {
        warnings.push(
            "runs are combinations of two sources of chance, and depend on each other: no tests".to_owned(),
        );
    }
    let mut rows = Vec::new();
    for (_, name) in common {
        for (one, other) in &metrics {
            let mut row = row(&left, &right, name, (*one, *other));
            let margin = margins.iter().find(|margin| margin.metric == row.metric);
            row.equivalence = margin.and_then(|margin| row.within(margin));
            rows.push(row);
        }
    }
    warn_of_gaps(&rows, &mut warnings);
    let tests = correct(&mut rows);
    let margins = correct_margins(&mut rows);
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
        margins,
        rows,
    })
}

/// The pairs of a point: runs with the same seeds and draws.
fn row(left: &Sweep, right: &Sweep, name: &String, (one, other): (usize, usize)) -> Row {
    let (left_runs, right_runs) = (&left.points[name].1, &right.points[name].1);
    let mut pairs = Vec::new();
    for (luck, run) in left_runs {
        if let Some(partner) = right_runs.get(luck) {
            pairs.push((run.values[one], partner.values[other]));
        }
    }
    let lonely = left_runs.len() + right_runs.len() - 2 * pairs.len();
    let metric = &left.head.metrics[one];
    let mut row = Row::of(
        name.clone(),
        metric.name.clone(),
        unit(&metric.unit),
        &pairs,
        lonely,
    );
    if left.crossed || right.crossed {
        row.depend();
    } else if metric.says_yes_or_no() {
        row.answers();
    }
    row
}

/// Says what is not in the means.
fn warn_of_gaps(rows: &[Row], warnings: &mut Vec<String>) {
    let unfinished = rows.iter().filter(|row| row.unfinished > 0).count();
    if unfinished > 0 {
        warnings.push(format!(
            "in {unfinished} of {} rows runs did not finish: no mean difference there, but which side of each pair is larger, \
             and the sign test",
            rows.len()
        ));
    }
    let unpaired = rows.iter().filter(|row| row.unpaired > 0).count();
    if unpaired > 0 {
        warnings.push(format!(
            "in {unpaired} of {} rows runs are left out that failed, have no value or no partner of the same seed",
            rows.len()
        ));
    }
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

/// Corrects the verdicts about margins for their number, which it gives back.
fn correct_margins(rows: &mut [Row]) -> usize {
    let p: Vec<Option<f64>> = rows.iter().map(Row::p_of_verdict).collect();
    let tested: Vec<f64> = p.iter().copied().flatten().collect();
    if let Ok(corrected) = holm(&tested) {
        let with_margin = rows.iter_mut().zip(&p).filter(|(_, p)| p.is_some());
        for ((row, _), p_holm) in with_margin.zip(corrected) {
            row.correct_verdict(p_holm, tested.len());
        }
    }
    tested.len()
}
