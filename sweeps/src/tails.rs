//! The slowest requests of a client: quantiles of single requests, run by run, and their means over the runs of a point.
//!
//! Requests of one run depend on each other, and those of several runs are no larger sample of one. So each run gives its own
//! quantile, and what is said is the mean of these, with the interval of independent runs.
//!
//! Quantiles are over all requests that began. One without an answer is slower than all that have one: a service that answers
//! few of them, but these at once, is not a fast one. Beyond the share of requests that were answered in every run, the mean
//! has no upper limit.

use longhaul_core::record::{ClientRecord, QuantileRecord};
use longhaul_statistics::components::TwoWay;
use longhaul_statistics::mean::t_interval;
use serde::{Deserialize, Serialize};

use crate::estimate::LEVEL;
use crate::rows::RunRow;
use crate::schema::ReplicateOver;

/// The latencies of a client in one run.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Tail {
    /// The client.
    pub client: String,
    /// Requests that began.
    pub started: u64,
    /// Of these, those without an answer: failed, or under way at the end.
    pub unanswered: u64,
    /// Quantiles over all of them in the order of their shares, up to the share that was answered.
    pub quantiles: Vec<QuantileRecord>,
}

impl Tail {
    /// Those of a client; `None` without any request.
    pub fn of(client: &ClientRecord) -> Option<Tail> {
        (client.started > 0).then(|| Tail {
            client: client.name.clone(),
            started: client.started,
            unanswered: client.unanswered(),
            quantiles: client.request_quantiles.clone(),
        })
    }
}

/// A quantile over the runs of a point.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Point {
    /// One request in so many takes longer.
    pub one_in: f64,
    /// Runs.
    pub n: usize,
    /// Mean of the runs' quantiles, in ns; `None` from where on it has no upper limit, since a run has no answer to so many
    /// requests.
    pub mean: Option<f64>,
    /// The ends of its interval; none of a single run.
    pub interval: Option<(f64, f64)>,
}

/// The quantiles of a client that all runs of a point know, and where they lose their upper limit; none if a run failed.
pub fn points(over: ReplicateOver, client: &str, runs: &[RunRow]) -> Vec<Point> {
    let tails = runs.iter().map(|run| {
        let entry = run.outcome.as_ref().ok()?;
        entry.tails.iter().find(|tail| tail.client == client)
    });
    let Some(tails) = tails.collect::<Option<Vec<&Tail>>>() else {
        return Vec::new();
    };
    let Some(first) = tails.first() else {
        return Vec::new();
    };
    let shares = first.quantiles.iter().map(|quantile| quantile.share_parts);
    let point = |share: u32| {
        let of_run = |tail: &&Tail| {
            let mut known = tail.quantiles.iter();
            let found = known.find(|quantile| quantile.share_parts == share)?;
            Some(found.value_ns as f64)
        };
        let values = tails.iter().map(of_run).collect::<Option<Vec<f64>>>()?;
        let interval = match over.samples() {
            Some(samples) => TwoWay::of(&values, samples as usize, samples as usize, LEVEL).map(|it| it.mean),
            None => t_interval(&values, LEVEL),
        };
        Some(Point {
            one_in: QuantileRecord::one_in_beyond(share),
            n: values.len(),
            mean: Some(values.iter().sum::<f64>() / values.len() as f64),
            interval: interval.ok().map(|interval| (interval.low, interval.high)),
        })
    };
    let mut points: Vec<Point> = shares.filter_map(point).collect();
    let without_answer = |tail: &&Tail| QuantileRecord::one_in(tail.started, tail.unanswered);
    let unlimited = tails.iter().filter_map(without_answer);
    points.extend(unlimited.reduce(f64::min).map(|one_in| Point {
        one_in,
        n: tails.len(),
        mean: None,
        interval: None,
    }));
    points
}
