//! Whether points got to the precision that `until` asks for, and if not, why they stopped: an entry of `summary.json`, and what
//! is said of all points together.

use serde::{Deserialize, Serialize};

use crate::entry::Known;
use crate::estimate::{Standing, Width, standing, width};
use crate::schema::Sweep;

/// How a point stood when it stopped.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct Goal {
    /// `reached`, `limit` (of replications) or `incomplete` (a run failed or did not finish).
    pub stopped: Standing,
    /// Half the width of the interval, as a share of the mean, or of what says yes or no a share of one; none of a mean of zero,
    /// or where a run has no value.
    pub half_width: Option<f64>,
}

impl Goal {
    /// Of a point with these values of all measures, run by run; `None` of a sweep without a goal.
    pub fn of(sweep: &Sweep, runs: &[Vec<Known>]) -> Option<Goal> {
        let until = sweep.until?;
        let measure = &sweep.measures[until.measure];
        let values: Vec<Known> = runs.iter().map(|values| values[until.measure]).collect();
        Some(Goal {
            stopped: standing(measure, &values, until, sweep.replications),
            half_width: width(measure, &values).map(Width::share),
        })
    }
}

/// Points that stopped before their means were known well enough.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Goals {
    points: u64,
    limit: u64,
    incomplete: u64,
    /// Half the width of the widest interval of those at the limit.
    widest: f64,
}

impl Goals {
    /// Counts a point.
    pub fn add(&mut self, goal: Option<Goal>) {
        let Some(goal) = goal else { return };
        self.points += 1;
        match goal.stopped {
            Standing::Reached => {}
            Standing::Incomplete => self.incomplete += 1,
            Standing::Limit | Standing::NeedsMore(_) => {
                self.limit += 1;
                self.widest = self.widest.max(goal.half_width.unwrap_or(f64::INFINITY));
            }
        }
    }

    /// What is to be said of them; nothing if all got there.
    pub fn notes(&self, sweep: &Sweep) -> Vec<String> {
        let mut notes = Vec::new();
        let Some(until) = sweep.until else {
            return notes;
        };
        let measure = &sweep.measures[until.measure];
        let unit = if measure.says_yes_or_no() {
            "percentage points"
        } else {
            "%"
        };
        let name = &measure.name;
        if self.limit > 0 {
            let widest = if self.widest.is_finite() {
                format!("; the widest is at ±{:.1} {unit}", self.widest * 100.0)
            } else {
                "; of one the mean is zero".to_owned()
            };
            notes.push(format!(
                "{} of {} points stopped at the limit of {} runs before `{name}` was known to ±{} {unit}{widest}",
                self.limit,
                self.points,
                until.at_most,
                (until.relative_half_width * 1e6).round() / 1e4,
            ));
        }
        if self.incomplete > 0 {
            notes.push(format!(
                "at {} of {} points a run failed or did not get to its end, so they got no more runs to know `{name}` better",
                self.incomplete, self.points
            ));
        }
        notes
    }
}
