//! What the replications of a point say about a measure. The methods are those of `longhaul-statistics`.
//!
//! Runs that failed, or did not get to the end of what is measured, are not left out: a mean of the others would be
//! too good. A point with unfinished runs has no mean but the median of Kaplan and Meier, for which it is enough to know that
//! these would have taken longer.

use longhaul_core::random::Streams;
use longhaul_core::units::Probability;
use longhaul_scenarios::metric::Unit;
use longhaul_statistics::bootstrap::studentised;
use longhaul_statistics::mean::t_interval;
use longhaul_statistics::quantile::{quantile_interval, quantile_of};
use longhaul_statistics::{
    Interval, KaplanMeier, Level, Lifetime, Next, Precision, Proportion, Sequential, Summary,
};
use serde::{Deserialize, Serialize};

use crate::components::Component;
use crate::entry::Known;
use crate::schema::{MeanInterval, Measure, Until};

/// Level of all intervals.
pub const LEVEL: Level = Level::P95;

/// Resamples of a bootstrap.
const RESAMPLES: usize = 2_000;

/// Replications over which a precision must hold before it is believed.
const LOOK_AHEAD: usize = 5;

/// What is known about a measure at a point, in base units: ns, bytes, bit/s, shares of one, plain numbers.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Estimate {
    /// Name of the measure.
    pub name: String,
    /// Runs with a value.
    pub n: u64,
    /// Runs with a bound of it alone: of a time a lower one, of a rate an upper one.
    pub unfinished: u64,
    /// Runs without a value, failed ones among them.
    pub missing: u64,
    /// Mean; none if anything is unfinished or missing.
    pub mean: Option<f64>,
    /// Standard deviation of single runs.
    pub standard_deviation: Option<f64>,
    /// Lower end of the interval of the mean.
    pub low: Option<f64>,
    /// Its upper end.
    pub high: Option<f64>,
    /// How the interval was found.
    pub method: Option<String>,
    /// Smallest value.
    pub min: Option<f64>,
    /// Median: with unfinished runs that of Kaplan and Meier, the first value by which half of all have finished. None if
    /// it lies beyond everything seen, or if anything is missing.
    pub median: Option<f64>,
    /// Lower end of its interval: by order statistics, with unfinished runs by Kaplan and Meier.
    pub median_low: Option<f64>,
    /// Upper end; none if it lies beyond everything seen.
    pub median_high: Option<f64>,
    /// How the interval of the median was found; none of fewer than six values.
    pub median_method: Option<String>,
    /// Whether what is unfinished is bounded from above, as rates are: then the median may lie below everything seen, and
    /// its interval is open to below.
    #[serde(default)]
    pub from_above: bool,
    /// Where the variance of single runs comes from, of replications over two sources of chance.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub components: Vec<Component>,
    /// The longest that an unfinished run was watched: the largest lower bound, or the least upper one, that is known of one.
    pub watched: Option<f64>,
    /// Largest value; none if anything is unfinished or missing.
    pub max: Option<f64>,
}

/// An exact value in its base unit.
pub fn in_unit(unit: Unit, exact: u64) -> f64 {
    match unit {
        Unit::Time | Unit::Size | Unit::Rate => exact as f64,
        Unit::Share => exact as f64 / Probability::PARTS as f64,
        Unit::Number => exact as f64 / 1e6,
    }
}

/// What the values of a measure say; a failed run's is [`Known::Missing`].
pub fn estimate(measure: &Measure, values: &[Known]) -> Estimate {
    let unit = measure.metric.unit();
    let exact: Vec<f64> = exact_values(unit, values);
    let unfinished = values
        .iter()
        .filter(|value| matches!(value, Known::AtLeast(_) | Known::AtMost(_)))
        .count();
    let missing = values.len() - exact.len() - unfinished;
    let mut estimate = Estimate {
        name: measure.name.clone(),
        n: exact.len() as u64,
        unfinished: unfinished as u64,
        missing: missing as u64,
        ..Estimate::default()
    };
    if unfinished > 0 && missing == 0 {
        lifetimes_of(unit, values, &mut estimate);
    }
    let Ok(summary) = Summary::of(&exact) else {
        return estimate;
    };
    // What is bounded from above may be less than all of them.
    estimate.min = Some(summary.min).filter(|_| !estimate.from_above);
    if missing == 0 && unfinished == 0 {
        estimate.median = quantile_of(exact.clone(), 0.5);
        // Of fewer than six values even the extremes are no limits.
        if let Ok(interval) = quantile_interval(&exact, 0.5, LEVEL) {
            estimate.median_low = Some(interval.low);
            estimate.median_high = Some(interval.high);
            estimate.median_method = Some(interval.method.name().to_owned());
        }
    }
    if missing > 0 || unfinished > 0 {
        return estimate;
    }
    estimate.mean = Some(summary.mean);
    estimate.standard_deviation = summary.standard_deviation();
    estimate.max = Some(summary.max);
    if let Some(interval) = interval(measure, &exact) {
        estimate.low = Some(interval.low);
        estimate.high = Some(interval.high);
        estimate.method = Some(interval.method.name().to_owned());
    }
    estimate
}

/// What is finished and what is not, as Kaplan and Meier take it; what is missing is left out. Where what is unfinished is
/// bounded from above, as rates are, everything is seen from the largest of all values downwards, which is given back, too:
/// left censoring is the mirror image of right censoring.
fn lifetimes(unit: Unit, values: &[Known]) -> (Vec<Lifetime>, Option<f64>) {
    let value = |known: &Known| match known {
        Known::Exact(value) | Known::AtLeast(value) | Known::AtMost(value) => Some(in_unit(unit, *value)),
        Known::Missing => None,
    };
    let mirror = values
        .iter()
        .any(|known| matches!(known, Known::AtMost(_)))
        .then(|| values.iter().filter_map(value).fold(0.0, f64::max));
    let seen = |known: &Known| value(known).map(|value| mirror.map_or(value, |top| top - value));
    let lifetime = |known: &Known| {
        let time = seen(known)?;
        Some(match known {
            Known::Exact(_) => Lifetime::Finished(time),
            Known::AtLeast(_) | Known::AtMost(_) | Known::Missing => Lifetime::Unfinished(time),
        })
    };
    (values.iter().filter_map(lifetime).collect(), mirror)
}

/// The median of values some of which are bounds.
fn lifetimes_of(unit: Unit, values: &[Known], estimate: &mut Estimate) {
    let (lifetimes, mirror) = lifetimes(unit, values);
    let back = |time: f64| mirror.map_or(time, |top| top - time);
    let bound = |lifetime: &Lifetime| match lifetime {
        Lifetime::Unfinished(bound) => Some(*bound),
        Lifetime::Finished(_) => None,
    };
    estimate.watched = lifetimes.iter().filter_map(bound).reduce(f64::max).map(back);
    estimate.from_above = mirror.is_some();
    let Ok(curve) = KaplanMeier::of(&lifetimes, LEVEL) else {
        return;
    };
    let median = curve.median();
    let (low, high) = if mirror.is_some() {
        (median.high, median.low)
    } else {
        (median.low, median.high)
    };
    estimate.median = median.estimate.map(back);
    estimate.median_low = low.map(back);
    estimate.median_high = high.map(back);
    estimate.median_method = Some(median.method.name().to_owned());
}

pub(crate) fn exact_values(unit: Unit, values: &[Known]) -> Vec<f64> {
    let exact = values.iter().filter_map(|value| match value {
        Known::Exact(value) => Some(in_unit(unit, *value)),
        Known::AtLeast(_) | Known::AtMost(_) | Known::Missing => None,
    });
    exact.collect()
}

/// The shares of values all of which are yes or no, of a measure that says no more.
fn proportion(measure: &Measure, exact: &[f64]) -> Option<Proportion> {
    // A mean over several of the kind lies between them.
    let plain = measure.says_yes_or_no() && exact.iter().all(|value| *value == 0.0 || *value == 1.0);
    let events = exact.iter().filter(|value| **value == 1.0).count();
    plain.then(|| Proportion::new(events, exact.len()).ok()).flatten()
}

fn interval(measure: &Measure, exact: &[f64]) -> Option<Interval> {
    match (proportion(measure, exact), measure.interval) {
        (Some(proportion), _) => proportion.wilson(LEVEL).ok(),
        (None, MeanInterval::StudentT) => t_interval(exact, LEVEL).ok(),
        (None, MeanInterval::Bootstrap) => {
            // The same draws at every point, so that points differ in their values alone.
            let mut stream = Streams::new(0, 0).stream("interval", &measure.name);
            studentised(exact, LEVEL, RESAMPLES, &mut stream).ok()
        }
    }
}

/// Half the width of an interval of a mean.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Width {
    /// As a share of the mean.
    OfTheMean(f64),
    /// Of what says yes or no: itself, a share of one.
    OfAShare(f64),
}

impl Width {
    /// The number, whichever it is.
    pub fn share(self) -> f64 {
        match self {
            Width::OfTheMean(share) | Width::OfAShare(share) => share,
        }
    }
}

/// How well the mean of these runs is known; `None` of fewer than two values, if a run has none, or of a mean of zero.
pub fn width(measure: &Measure, values: &[Known]) -> Option<Width> {
    let exact = exact_values(measure.metric.unit(), values);
    if exact.len() < values.len().max(2) {
        return None;
    }
    let interval = interval(measure, &exact)?;
    if proportion(measure, &exact).is_some() {
        return Some(Width::OfAShare(interval.half_width()));
    }
    interval.relative_half_width().map(Width::OfTheMean)
}

/// How a point stands to the precision that `until` asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// It needs so many more replications.
    NeedsMore(u32),
    /// Its mean is known well enough.
    Reached,
    /// It is not, and it has as many replications as are allowed.
    Limit,
    /// A run failed or did not get to its end: no number of others makes up for it, so there are no more.
    Incomplete,
}

/// How a point stands whose first runs have these values, and which began with `first`.
pub fn standing(measure: &Measure, values: &[Known], until: Until, first: u32) -> Standing {
    let exact = exact_values(measure.metric.unit(), values);
    if exact.len() < values.len() {
        return Standing::Incomplete;
    }
    let precision = Precision {
        level: LEVEL,
        relative_half_width: until.relative_half_width,
        first: (first as usize).max(3),
        look_ahead: LOOK_AHEAD,
        most: until.at_most as usize,
    };
    let sequential = match proportion(measure, &exact) {
        Some(_) => Sequential::of_proportion(precision),
        None => Sequential::new(precision, 1),
    };
    let mut sequential = sequential.expect("a goal within its range");
    for value in exact {
        sequential.add(&[value]).expect("finite values");
    }
    match sequential
        .next()
        .expect("a number of replications that can be run")
    {
        Next::NeedMore(more) => Standing::NeedsMore(u32::try_from(more).expect("at most as many as allowed")),
        Next::Reached { .. } => Standing::Reached,
        Next::Limit { .. } => Standing::Limit,
    }
}
