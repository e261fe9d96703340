//! `summary.json`: what came out at each point.

use longhaul_core::MODEL_VERSION;
use longhaul_core::digest::Digest;
use longhaul_core::record::{RECORD_FORMAT, Verdict};
use longhaul_scenarios::metric::{METRICS, STATISTICS, Unit, name_of};
use longhaul_scenarios::schema::{Scope, Statistic};
use serde::{Deserialize, Serialize};

use crate::components;
use crate::directory::{Manifest, SWEEP_FORMAT};
use crate::estimate::{Estimate, LEVEL, estimate};
use crate::execute::Failure;
use crate::goal::Goal;
use crate::points::Points;
use crate::rows::{RunRow, axis_column};
use crate::schema::Sweep;
use crate::seeds::name;
use crate::sensitivity::Findings;

/// The scope of a metric of everything of its kind.
const ALL: &str = "all";

/// All of `summary.json` but its points and failures, which follow in the file.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Head {
    /// [`SWEEP_FORMAT`].
    pub format: u32,
    /// Version of the program.
    pub tool_version: String,
    /// [`MODEL_VERSION`].
    pub model_version: u32,
    /// [`RECORD_FORMAT`] of the runs.
    pub record_format: u32,
    /// Name of the sweep.
    pub sweep: String,
    /// What it asks.
    pub question: String,
    /// The answer that its author expects.
    pub expect: String,
    /// As in the manifest.
    pub hash: String,
    /// What differs between replications: `seed`, a source of chance, or two as `workload × network`.
    pub replicate_over: String,
    /// Level of all intervals.
    pub level: f64,
    /// In the order of the columns.
    pub axes: Vec<AxisHead>,
    /// Fields that every sample draws, in the order of the columns.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub uncertain: Vec<UncertainHead>,
    /// In the order of the columns.
    pub metrics: Vec<MetricHead>,
}

/// An axis.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct AxisHead {
    /// Its name.
    pub name: String,
    /// Fields that it sets.
    pub paths: Vec<String>,
    /// `ns`, `bytes`, `bit/s`, `share`, `number`, `pages/s` or `label`.
    pub unit: String,
}

/// A field that every sample draws.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct UncertainHead {
    /// Its name.
    pub name: String,
    /// Fields that it sets.
    pub paths: Vec<String>,
    /// As of an axis.
    pub unit: String,
    /// Where `results.csv` has what each run drew.
    pub column: String,
}

/// A metric.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct MetricHead {
    /// Its name in tables.
    pub name: String,
    /// What is measured.
    pub metric: String,
    /// How the samples of a run become one value.
    pub statistic: String,
    /// `all` or a name.
    pub scope: String,
    /// `ns`, `bytes`, `bit/s`, `share` or `number`.
    pub unit: String,
}

impl MetricHead {
    /// Whether each run says yes or no; see [`Measure::says_yes_or_no`](crate::schema::Measure::says_yes_or_no).
    pub fn says_yes_or_no(&self) -> bool {
        let metric = METRICS.iter().find(|(name, _)| *name == self.metric);
        let one = self.statistic != name_of(&STATISTICS, &Statistic::Sum) || self.scope != ALL;
        one && metric.is_some_and(|(_, metric)| metric.says_yes_or_no())
    }
}

/// A point.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct PointSummary {
    /// Its number.
    pub point: u64,
    /// The value of each axis, as text.
    pub values: Vec<String>,
    /// Seed of its first replication; each further one has the next, unless they differ in a source of chance alone.
    pub seed: u64,
    /// Its replications.
    pub replications: u64,
    /// Of these, how many failed.
    pub failed: u64,
    /// Runs whose assertions hold.
    pub passed: u64,
    /// Runs with a failed assertion.
    pub failed_assertions: u64,
    /// Runs that are undecided.
    pub inconclusive: u64,
    /// Digest over the digests of its runs.
    pub digest: String,
    /// How it stands to the precision that the sweep asks for; none if it asks for none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Goal>,
    /// What is known about each metric.
    pub metrics: Vec<Estimate>,
}

/// The unit of an axis in words.
pub fn unit_name(unit: Unit) -> &'static str {
    match unit {
        Unit::Time => "ns",
        Unit::Size => "bytes",
        Unit::Rate => "bit/s",
        Unit::Share => "share",
        Unit::Number => "number",
    }
}

/// The head of a sweep's summary.
pub fn head(sweep: &Sweep, manifest: &Manifest) -> Head {
    let axes = sweep.axes().map(|axis| AxisHead {
        name: axis.name.clone(),
        paths: axis.paths.clone(),
        unit: axis.kind.unit_name().to_owned(),
    });
    let uncertain = sweep.uncertain.iter().map(|field| UncertainHead {
        name: field.name.clone(),
        paths: field.paths.clone(),
        unit: field.space.kind().unit_name().to_owned(),
        column: axis_column(&field.name, field.space.kind()).name,
    });
    let metrics = sweep.measures.iter().map(|measure| MetricHead {
        name: measure.name.clone(),
        metric: name_of(&METRICS, &measure.metric).to_owned(),
        statistic: name_of(&STATISTICS, &measure.statistic).to_owned(),
        scope: match &measure.scope {
            Scope::All => ALL.to_owned(),
            Scope::Only(name) => name.clone(),
        },
        unit: unit_name(measure.metric.unit()).to_owned(),
    });
    Head {
        format: SWEEP_FORMAT,
        tool_version: manifest.tool_version.clone(),
        model_version: MODEL_VERSION,
        record_format: RECORD_FORMAT,
        sweep: sweep.name.clone(),
        question: sweep.question.clone(),
        expect: sweep.expect.clone(),
        hash: manifest.hash.clone(),
        replicate_over: match sweep.over().sources() {
            [] => "seed".to_owned(),
            sources => {
                let names: Vec<&str> = sources.iter().map(|source| name(*source)).collect();
                names.join(" × ")
            }
        },
        level: LEVEL.share(),
        axes: axes.collect(),
        uncertain: uncertain.collect(),
        metrics: metrics.collect(),
    }
}

/// What the runs of a point say, in the order of their replications.
pub fn point(sweep: &Sweep, points: &Points, rows: &[RunRow]) -> PointSummary {
    let number = rows.first().expect("a point has replications").point;
    let mut digest = Digest::new();
    let mut summary = PointSummary {
        point: number,
        values: points
            .values(number)
            .iter()
            .map(|value| value.shown.clone())
            .collect(),
        seed: rows[0].seeds.seed,
        replications: rows.len() as u64,
        failed: 0,
        passed: 0,
        failed_assertions: 0,
        inconclusive: 0,
        digest: String::new(),
        until: None,
        metrics: Vec::new(),
    };
    for row in rows {
        match &row.outcome {
            Ok(entry) => {
                digest.mix_bytes(entry.digest.as_bytes());
                match entry.verdict {
                    Verdict::Pass => summary.passed += 1,
                    Verdict::Fail => summary.failed_assertions += 1,
                    Verdict::Inconclusive => summary.inconclusive += 1,
                }
            }
            Err(_) => summary.failed += 1,
        }
    }
    summary.digest = digest.to_string();
    let values: Vec<_> = rows.iter().map(|row| row.values(sweep)).collect();
    summary.until = Goal::of(sweep, &values);
    summary.metrics = sweep
        .measures
        .iter()
        .enumerate()
        .map(|(index, measure)| {
            let of_measure: Vec<_> = values.iter().map(|values| values[index]).collect();
            let mut known = estimate(measure, &of_measure);
            components::crossed(sweep.over(), measure, &of_measure, &mut known);
            known
        })
        .collect();
    summary
}

/// The whole of `summary.json`, as it is read.
#[derive(Clone, PartialEq, Debug, Deserialize)]
pub struct SummaryFile {
    /// What the sweep is.
    #[serde(flatten)]
    pub head: Head,
    /// In the order of their numbers.
    pub points: Vec<PointSummary>,
    /// In the order of points and replications.
    pub failures: Vec<Failure>,
    /// What a study of the axes found, if the sweep is one.
    pub sensitivity: Option<Findings>,
}
