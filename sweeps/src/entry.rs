//! What is kept of one finished run: who it was, and one sample of every metric for everything that has one, so that
//! a metric that is asked for later needs no new run.

use longhaul_core::record::{Ended, InputRecord, RunRecord, Verdict};
use longhaul_scenarios::metric::{METRICS, name_of};
use longhaul_scenarios::run::assertions::{Evidence, Sample, samples, statistic};
use longhaul_scenarios::schema::{Scenario, Scope};
use longhaul_scenarios::theory::{self, Law};
use serde::{Deserialize, Serialize};

use crate::schema::Measure;
use crate::tails::Tail;

/// Version of entries; others are not read.
pub const ENTRY_FORMAT: u32 = 4;

/// A finished run.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Entry {
    /// [`ENTRY_FORMAT`].
    pub format: u32,
    /// What identifies [the run](crate::identity::ScenarioHash::run).
    pub key: String,
    /// [`MODEL_VERSION`](longhaul_core::MODEL_VERSION) that made it.
    pub model_version: u32,
    /// [`RECORD_FORMAT`](longhaul_core::record::RECORD_FORMAT) that it comes from.
    pub record_format: u32,
    /// Root seed.
    pub seed: u64,
    /// Digest of all events.
    pub digest: String,
    /// The verdict over the scenario's assertions.
    pub verdict: Verdict,
    /// Why the run ended.
    pub ended: Ended,
    /// Virtual time at the end.
    pub simulated_ns: u64,
    /// Events executed.
    pub events: u64,
    /// Files that the run has read; the entry holds as long as these do.
    pub inputs: Vec<InputRecord>,
    /// The metrics that have samples.
    pub metrics: Vec<MetricSamples>,
    /// The latencies of clients.
    pub tails: Vec<Tail>,
    /// What theory says of its scenario.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub laws: Vec<LawBounds>,
}

/// What a law says of a metric.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct LawBounds {
    /// The law.
    pub law: String,
    /// The metric, as [`theory::stands_for`] gives it.
    pub metric: String,
    /// By the name of what it is about, in ns or bit/s.
    pub bounds: Vec<(String, u64)>,
}

/// The samples of a metric.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct MetricSamples {
    /// Its name.
    pub metric: String,
    /// By the name of what gave it.
    pub samples: Vec<(String, Known)>,
}

/// What is known of a value, in the exact unit of its metric.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Known {
    /// It is this.
    Exact(u64),
    /// It would have become at least this.
    AtLeast(u64),
    /// It would have become at most this.
    AtMost(u64),
    /// Nothing.
    Missing,
}

impl From<Sample> for Known {
    fn from(sample: Sample) -> Known {
        match sample {
            Sample::Exact(value) => Known::Exact(value),
            Sample::AtLeast(value) => Known::AtLeast(value),
            Sample::AtMost(value) => Known::AtMost(value),
            Sample::Missing => Known::Missing,
        }
    }
}

impl Entry {
    /// What is kept of a run; `laws` are the [`law_bounds`] of its scenario.
    pub fn of(key: String, record: &RunRecord, laws: Vec<LawBounds>) -> Entry {
        Entry {
            format: ENTRY_FORMAT,
            key,
            model_version: record.model_version,
            record_format: record.format,
            seed: record.seed,
            digest: record.digest.clone(),
            verdict: record.verdict,
            ended: record.ended,
            simulated_ns: record.simulated_ns,
            events: record.events,
            inputs: record.inputs.clone(),
            metrics: metric_samples(record),
            tails: record.clients.iter().filter_map(Tail::of).collect(),
            laws,
        }
    }

    /// What a law says of a measure, in ns or bit/s; `None` if it says nothing, or different things of what is in the scope.
    pub fn bound(&self, law: Law, measure: &Measure) -> Option<u64> {
        let metric = name_of(&METRICS, &theory::stands_for(measure.metric)?);
        let mut laws = self.laws.iter();
        let found = laws.find(|known| known.law == law.name() && known.metric == metric)?;
        let mut bounds = found
            .bounds
            .iter()
            .filter(|(entity, _)| measure.scope.has(entity));
        let (_, one) = bounds.next()?;
        bounds.all(|(_, other)| other == one).then_some(*one)
    }

    /// The value of a measure. What is unfinished bounds every statistic, since none of them falls when a sample rises; what
    /// is missing leaves nothing to say.
    pub fn value(&self, measure: &Measure) -> Known {
        let name = name_of(&METRICS, &measure.metric);
        let Some(known) = self.metrics.iter().find(|known| known.metric == name) else {
            return Known::Missing;
        };
        let (mut values, mut from_below, mut from_above) = (Vec::new(), false, false);
        for (_, sample) in known
            .samples
            .iter()
            .filter(|(entity, _)| measure.scope.has(entity))
        {
            match sample {
                Known::Exact(value) => values.push(*value),
                Known::AtLeast(value) => {
                    values.push(*value);
                    from_below = true;
                }
                Known::AtMost(value) => {
                    values.push(*value);
                    from_above = true;
                }
                Known::Missing => return Known::Missing,
            }
        }
        match statistic(measure.statistic, values) {
            Some(value) if from_below && !from_above => Known::AtLeast(value),
            Some(value) if from_above && !from_below => Known::AtMost(value),
            Some(value) if !from_below => Known::Exact(value),
            // None of a metric's samples are bounded from other sides than the others.
            Some(_) | None => Known::Missing,
        }
    }
}

/// What theory says of a scenario, whose seeds do not matter.
pub fn law_bounds(scenario: &Scenario) -> Vec<LawBounds> {
    let mut laws: Vec<LawBounds> = Vec::new();
    for said in theory::all(scenario) {
        let (law, metric) = (said.law.name(), name_of(&METRICS, &said.metric));
        // Neither negative nor near the end of the range.
        let bound = (said.name, said.bound.round() as u64);
        match laws
            .last_mut()
            .filter(|last| last.law == law && last.metric == metric)
        {
            Some(last) => last.bounds.push(bound),
            None => laws.push(LawBounds {
                law: law.to_owned(),
                metric: metric.to_owned(),
                bounds: vec![bound],
            }),
        }
    }
    laws
}

/// All metrics that have samples in a record, in the order of [`METRICS`].
pub fn metric_samples(record: &RunRecord) -> Vec<MetricSamples> {
    let evidence = Evidence::from(record);
    let all = METRICS.iter().map(|(name, metric)| {
        let samples = samples(*metric, &Scope::All, evidence);
        let samples = samples
            .into_iter()
            .map(|(entity, sample)| (entity.to_owned(), sample.into()));
        MetricSamples {
            metric: (*name).to_owned(),
            samples: samples.collect(),
        }
    });
    all.filter(|metric| !metric.samples.is_empty()).collect()
}
