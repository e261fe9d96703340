//! When an experiment has gone too far: a measured value beyond a bound for a time ends all faults.
//!
//! A guard watches nothing unless it is given bounds. It only says that the faults must end; its driver ends them.

use longhaul_core::time::{Instant, Span};

/// On which side of the limit a value is bad.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Side {
    /// Above it.
    Above,
    /// Below it.
    Below,
}

/// How far a measured value may go.
#[derive(Clone, PartialEq, Debug)]
pub struct Bound {
    /// Name of what is measured.
    pub metric: String,
    /// On which side it is bad.
    pub side: Side,
    /// The limit, in the unit of the metric; the limit itself is not beyond it.
    pub limit: f64,
    /// For how long it must have been beyond the limit, at every measurement. Zero: a single measurement is enough.
    pub span: Span,
}

/// Why the faults must end.
#[derive(Clone, PartialEq, Debug)]
pub struct Abort {
    /// When that was decided.
    pub at: Instant,
    /// Which of the bounds, by its place.
    pub bound: usize,
    /// Since when the value has been beyond it.
    pub since: Instant,
    /// The last value.
    pub value: f64,
}

/// Watches measured values.
#[derive(Clone, Debug, Default)]
pub struct Guard {
    bounds: Vec<Bound>,
    beyond_since: Vec<Option<Instant>>,
    abort: Option<Abort>,
}

impl Guard {
    /// A guard with these bounds.
    pub fn new(bounds: Vec<Bound>) -> Guard {
        Guard {
            beyond_since: vec![None; bounds.len()],
            bounds,
            abort: None,
        }
    }

    /// Takes a measurement, in the order of time; answers once, at the first one that ends the experiment. What is not a
    /// number has not been measured, and changes nothing.
    pub fn observe(&mut self, now: Instant, metric: &str, value: f64) -> Option<&Abort> {
        if self.abort.is_some() || value.is_nan() {
            return None;
        }
        for (index, bound) in self.bounds.iter().enumerate() {
            if bound.metric != metric {
                continue;
            }
            let beyond = match bound.side {
                Side::Above => value > bound.limit,
                Side::Below => value < bound.limit,
            };
            if !beyond {
                self.beyond_since[index] = None;
                continue;
            }
            let since = *self.beyond_since[index].get_or_insert(now);
            if now.saturating_since(since) >= bound.span && self.abort.is_none() {
                self.abort = Some(Abort {
                    at: now,
                    bound: index,
                    since,
                    value,
                });
            }
        }
        self.abort.as_ref()
    }

    /// Why the experiment has ended, if it has.
    pub fn abort(&self) -> Option<&Abort> {
        self.abort.as_ref()
    }
}
