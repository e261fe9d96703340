//! When a run is looked at, and what its time series holds then.

use std::collections::BTreeMap;

use longhaul_core::record::{RunRecord, SampleRecord};

/// Virtual time between two collections, unless samples are further apart.
const INTERVAL_NS: u64 = 10_000_000_000;

/// Prometheus keeps timestamps as whole milliseconds and may round them either way: a collection that the end of
/// the run follows so closely would meet it.
const CLOSEST_NS: u64 = 10_000_000;

/// Every sample of the time series that was taken at one time.
pub(super) struct Snapshot<'a> {
    /// When.
    pub at_ns: u64,
    values: BTreeMap<(&'a str, &'a str), u64>,
}

impl Snapshot<'_> {
    /// A quantity of an entity, if it was sampled.
    pub fn get(&self, entity: &str, metric: &str) -> Option<u64> {
        self.values.get(&(entity, metric)).copied()
    }
}

/// A collection.
pub(super) struct Moment<'a> {
    /// Its timestamp.
    pub at_ns: u64,
    /// Whether it is the end of the run, of which the record tells more than the time series.
    pub end: bool,
    /// The last samples at or before it.
    now: Option<Snapshot<'a>>,
    /// The samples at the beginning of what rates look back at, earlier than those.
    before: Option<Snapshot<'a>>,
}

impl Moment<'_> {
    /// The last value of a quantity.
    pub fn value(&self, entity: &str, metric: &str) -> Option<u64> {
        self.now.as_ref()?.get(entity, metric)
    }

    /// A quantity that the record has at the end of the run, and the time series before: its last value.
    pub fn value_or_last(&self, entity: &str, metric: &str, last: u64) -> Option<u64> {
        if self.end {
            return Some(last);
        }
        self.value(entity, metric)
    }

    /// By how much a counter has risen in the time that rates look back at.
    pub fn rise(&self, entity: &str, metric: &str) -> Option<u64> {
        let before = self.before.as_ref()?.get(entity, metric)?;
        Some(self.value(entity, metric)?.saturating_sub(before))
    }

    /// The length of that time, above 0.
    pub fn window_ns(&self) -> Option<u64> {
        Some(self.now.as_ref()?.at_ns - self.before.as_ref()?.at_ns)
    }
}

/// The time series by time.
pub(super) struct Timeline<'a> {
    end_ns: u64,
    step_ns: u64,
    samples: BTreeMap<u64, &'a [SampleRecord]>,
}

impl<'a> Timeline<'a> {
    /// That of a run. `series` is in the order of time.
    pub fn new(record: &RunRecord, series: &'a [SampleRecord]) -> Timeline<'a> {
        let samples: BTreeMap<u64, &[SampleRecord]> = series
            .chunk_by(|one, next| one.at_ns == next.at_ns)
            .map(|chunk| (chunk[0].at_ns, chunk))
            .collect();
        let mut times = samples.keys();
        let interval = times
            .next()
            .zip(times.next())
            .map_or(0, |(first, second)| second - first);
        Timeline {
            end_ns: record.simulated_ns,
            step_ns: INTERVAL_NS.max(interval),
            samples,
        }
    }

    /// The end of the run.
    pub fn end(&self) -> Moment<'a> {
        self.moment(self.end_ns, true)
    }

    /// Every collection: from the start of the run while there are new samples, and at its end.
    pub fn moments(&self) -> impl Iterator<Item = Moment<'a>> {
        let end = self.end_ns.saturating_sub(CLOSEST_NS);
        let last = self.samples.keys().next_back().copied().unwrap_or(0);
        let round_up = |&at: &u64| at.div_ceil(self.step_ns).checked_mul(self.step_ns);
        let mut times: Vec<u64> = self.samples.keys().filter_map(round_up).collect();
        times.retain(|&at| at <= last && at < end);
        times.dedup();
        let times = times.into_iter();
        times.map(|at| self.moment(at, false)).chain([self.end()])
    }

    fn moment(&self, at_ns: u64, end: bool) -> Moment<'a> {
        let now = self.samples.range(..=at_ns).next_back();
        let before = now.and_then(|(&sampled, _)| {
            // What comes after the last sample is not looked back at: nothing is known of it.
            let from = if end { sampled } else { at_ns };
            let start = from.saturating_sub(self.step_ns);
            let first = || self.samples.range(..sampled).next();
            self.samples.range(..=start).next_back().or_else(first)
        });
        let before = before.filter(|(at, _)| now.is_some_and(|(now, _)| at < &now));
        Moment {
            at_ns,
            end,
            now: now.map(snapshot),
            before: before.map(snapshot),
        }
    }
}

fn snapshot<'a>((&at_ns, samples): (&u64, &&'a [SampleRecord])) -> Snapshot<'a> {
    let value = |sample: &'a SampleRecord| ((sample.entity.as_str(), sample.metric.as_str()), sample.value);
    Snapshot {
        at_ns,
        values: samples.iter().map(value).collect(),
    }
}
