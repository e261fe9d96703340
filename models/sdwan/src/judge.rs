//! Wrong decisions: traffic on a path that is worse than another one by more than a bound.
//!
//! An edge decides by what it has measured. Whoever knows the paths as they are, such as a simulator, can tell how far
//! its choice falls short of the best one, and for how long.

use longhaul_core::time::{Instant, Span};
use longhaul_core::units::Probability;
use serde::{Deserialize, Serialize};

use crate::score::{Attributes, Objective};

/// By how many points of the objective the path that is used falls short of the best one; 0 if it is the best. `paths` are
/// the true attributes of those to the same site that carry traffic at the moment, and `used` is the place of the one
/// that is used, `None` if it is none of them: then everything that the best one offers is missed.
pub fn shortfall(paths: &[Attributes], used: Option<usize>, objective: &Objective) -> f64 {
    let points = |path: &Attributes| objective.points(path);
    let best = paths.iter().map(points).fold(0.0, f64::max);
    let own = used.and_then(|used| paths.get(used)).map_or(0.0, points);
    best - own
}

/// How long some traffic was on a wrong path, over time.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct Judge {
    bound: f64,
    observed_at: Option<Instant>,
    wrong: bool,
    episodes: u64,
    wrong_for: Span,
    observed_for: Span,
}

impl Judge {
    /// A judge for whom a choice is wrong when it falls short by more than `bound` points.
    pub fn new(bound: f64) -> Judge {
        Judge {
            bound,
            observed_at: None,
            wrong: false,
            episodes: 0,
            wrong_for: Span::ZERO,
            observed_for: Span::ZERO,
        }
    }

    /// From now on the choice falls short by so much. Until now it was as last observed.
    pub fn observe(&mut self, now: Instant, shortfall: f64) {
        if let Some(before) = self.observed_at.replace(now) {
            let span = now.saturating_since(before);
            self.observed_for += span;
            if self.wrong {
                self.wrong_for += span;
            }
        }
        let wrong = shortfall > self.bound;
        self.episodes += u64::from(wrong && !self.wrong);
        self.wrong = wrong;
    }

    /// Times that a right choice became a wrong one, by a decision or because the paths changed.
    pub fn episodes(&self) -> u64 {
        self.episodes
    }

    /// How long the choice was wrong.
    pub fn wrong_for(&self) -> Span {
        self.wrong_for
    }

    /// The share of the time in which it was wrong; `None` before any time has passed.
    pub fn share(&self) -> Option<Probability> {
        Probability::from_ratio(self.wrong_for.as_ns(), self.observed_for.as_ns())
    }
}

#[cfg(test)]
mod tests {
    use crate::score::Quality;

    use super::*;

    #[test]
    fn a_choice_falls_short_of_the_best_path() {
        let path = |latency_ms| Attributes {
            quality: Some(Quality {
                latency_ms,
                jitter_ms: 0.0,
                loss_percent: 0.0,
            }),
            rate: None,
            microdollars_per_gb: None,
        };
        let paths = [path(20.0), path(60.0)];
        let by = |used| shortfall(&paths, used, &Objective::LowestLatency);
        assert_eq!(
            (by(Some(0)), by(Some(1)), by(None), by(Some(2))),
            (0.0, 20.0, 90.0, 90.0)
        );
        assert_eq!(shortfall(&[], None, &Objective::LowestLatency), 0.0);
    }

    #[test]
    fn the_time_of_wrong_choices_adds_up() {
        let mut judge = Judge::new(5.0);
        assert_eq!(judge.share(), None);
        for (second, shortfall) in [(10, 0.0), (20, 5.1), (25, 6.0), (30, 5.0), (40, 9.0), (50, 0.0)] {
            judge.observe(Instant::ZERO + Span::from_s(second), shortfall);
        }
        assert_eq!((judge.episodes(), judge.wrong_for()), (2, Span::from_s(20)));
        assert_eq!(judge.share(), Probability::from_ratio(1, 2));
    }
}
