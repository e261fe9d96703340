//! Which path traffic takes: the rules, without state.
//!
//! Candidates are the paths to the destination's site and nothing else: the destination is a filter, not a preference.
//! Among them, paths that are good come before paths on probation, then the points of the policy decide, then the
//! monitor score, the shorter round trip, and the order of the configuration, so that there is one answer.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

use crate::score::{Attributes, Objective};
use crate::standing::{Hysteresis, Standing};

/// A path to the site in question.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Candidate {
    /// Which one.
    pub path: usize,
    /// How far it is trusted.
    pub standing: Standing,
    /// Whether its score has been high for the hold time.
    pub proven: bool,
    /// Its monitor score.
    pub score: f64,
    /// What policies look at.
    pub attributes: Attributes,
}

/// Why there is no path for a flow.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, thiserror::Error, Serialize, Deserialize)]
pub enum NoPath {
    /// No prefix of the route table contains the destination.
    #[error("no route to the destination")]
    NoRoute,
    /// No path leads to the destination's site.
    #[error("no paths")]
    NoPaths,
    /// All paths to the site are down.
    #[error("no healthy paths")]
    NoHealthyPaths,
}

/// Why traffic takes a path.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub enum Why {
    /// It is the best one for new traffic.
    Best,
    /// Another path went down.
    Died,
    /// The score of another path fell below the bound.
    Poor,
    /// It is better than another one, and has been good for long enough.
    Better,
    /// It is the first in the given order again.
    FailBack,
    /// There was no path before.
    Restored,
    /// All traffic was told to choose again.
    Reevaluated,
}

/// The order of preference, the best last.
fn compare(one: &Candidate, other: &Candidate, objective: &Objective) -> Ordering {
    let latency = |candidate: &Candidate| {
        let quality = candidate.attributes.quality;
        quality.map_or(f64::INFINITY, |quality| quality.latency_ms)
    };
    let points = |candidate: &Candidate| objective.points(&candidate.attributes);
    (one.standing.cmp(&other.standing))
        .then_with(|| points(one).total_cmp(&points(other)))
        .then_with(|| one.score.total_cmp(&other.score))
        .then_with(|| latency(other).total_cmp(&latency(one)))
        .then_with(|| other.path.cmp(&one.path))
}

/// The best path for new traffic.
///
/// # Errors
/// There are no candidates, or all are down.
pub fn best(candidates: &[Candidate], objective: &Objective) -> Result<usize, NoPath> {
    if candidates.is_empty() {
        return Err(NoPath::NoPaths);
    }
    let up = candidates
        .iter()
        .filter(|candidate| candidate.standing > Standing::Down);
    let best = up.max_by(|one, other| compare(one, other, objective));
    best.map(|candidate| candidate.path).ok_or(NoPath::NoHealthyPaths)
}

/// What traffic that is on `current` should do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Decision {
    /// Stay.
    Stay,
    /// Move to this path.
    Move(usize, Why),
    /// Its path is down and there is no other.
    Lose,
}

/// Whether traffic on the path `current` stays there. `settled` says that its last switch is long enough ago for one
/// that is not forced. Without hysteresis it always takes what is best at the moment.
pub fn reconsider(
    candidates: &[Candidate],
    current: usize,
    objective: &Objective,
    hysteresis: Option<&Hysteresis>,
    settled: bool,
) -> Decision {
    let own = candidates.iter().find(|candidate| candidate.path == current);
    let Some(own) = own.filter(|own| own.standing > Standing::Down) else {
        return best(candidates, objective).map_or(Decision::Lose, |path| Decision::Move(path, Why::Died));
    };
    let points = |candidate: &Candidate| objective.points(&candidate.attributes);
    let (eligible, why): (Vec<Candidate>, Why) = match hysteresis {
        None => (candidates.to_vec(), Why::Better),
        // It was left, or should never have been taken but for want of another.
        Some(_) if own.standing == Standing::Probation => {
            let good = |candidate: &&Candidate| candidate.standing == Standing::Good;
            (candidates.iter().filter(good).copied().collect(), Why::Poor)
        }
        Some(hysteresis) if settled => {
            let bound = points(own) + f64::from(hysteresis.advantage);
            let better = |candidate: &&Candidate| candidate.proven && points(candidate) > bound;
            (candidates.iter().filter(better).copied().collect(), Why::Better)
        }
        Some(_) => return Decision::Stay,
    };
    match best(&eligible, objective) {
        Ok(path) if path != current => Decision::Move(path, why),
        _ => Decision::Stay,
    }
}

/// The path that a site with a fixed order of paths should use: the current one while it is up, unless one before it
/// may be come back to; if it is down, the first good one, or else the first that is up.
pub fn in_order(
    order: &[usize],
    current: Option<usize>,
    standing: impl Fn(usize) -> Standing,
) -> Option<usize> {
    let first = |least: Standing| order.iter().copied().find(|path| standing(*path) >= least);
    let current = current.filter(|path| standing(*path) > Standing::Down);
    let good = first(Standing::Good);
    match current {
        None => good.or_else(|| first(Standing::Probation)),
        Some(current) => {
            let place = |path: usize| order.iter().position(|other| *other == path);
            // A current path that is itself on probation gives way to any good one.
            let gives_way =
                |path: &usize| place(*path) < place(current) || standing(current) < Standing::Good;
            good.filter(gives_way).or(Some(current))
        }
    }
}

#[cfg(test)]
mod tests {
    use longhaul_core::units::BitRate;

    use crate::score::{Quality, Weights, monitor};

    use super::*;

    const SENSITIVE: Objective = Objective::Weighted(Weights::LATENCY_SENSITIVE);

    fn candidate(
        path: usize,
        standing: Standing,
        latency_ms: f64,
        jitter_ms: f64,
        loss: f64,
        mbps: u64,
    ) -> Candidate {
        let quality = Some(Quality {
            latency_ms,
            jitter_ms,
            loss_percent: loss,
        });
        Candidate {
            path,
            standing,
            proven: standing == Standing::Good,
            score: monitor(quality),
            attributes: Attributes {
                quality,
                rate: Some(BitRate::from_bits_per_s(mbps * 1_000_000)),
                microdollars_per_gb: None,
            },
        }
    }

    #[test]
    fn the_best_path_is_the_one_with_the_most_points_among_those_that_are_up() {
        let paths = [
            candidate(1, Standing::Good, 10.0, 2.0, 0.1, 1000),
            candidate(2, Standing::Good, 50.0, 10.0, 1.0, 100),
        ];
        assert_eq!(best(&paths, &SENSITIVE), Ok(1));
        let mut down = paths;
        down[0].standing = Standing::Down;
        assert_eq!(best(&down, &SENSITIVE), Ok(2));
        down[1].standing = Standing::Down;
        assert_eq!(best(&down, &SENSITIVE), Err(NoPath::NoHealthyPaths));
        assert_eq!(best(&[], &SENSITIVE), Err(NoPath::NoPaths));
        // Good before probation, whatever the points; and equal ones in their order.
        let mut left = paths;
        left[0].standing = Standing::Probation;
        assert_eq!(best(&left, &SENSITIVE), Ok(2));
        let equal = [
            candidate(4, Standing::Good, 10.0, 2.0, 0.1, 1),
            candidate(3, Standing::Good, 10.0, 2.0, 0.1, 1),
        ];
        assert_eq!(best(&equal, &SENSITIVE), Ok(3));
        // Beyond 200 ms the points are the same, and the shorter round trip decides.
        let far = [
            candidate(0, Standing::Good, 320.0, 2.0, 0.1, 1),
            candidate(1, Standing::Good, 310.0, 2.0, 0.1, 1),
        ];
        assert_eq!(best(&far, &Objective::LowestLatency), Ok(1));
    }

    #[test]
    fn traffic_stays_unless_another_path_is_proven_and_better_by_enough() {
        let hysteresis = Hysteresis::default();
        let decide =
            |paths: &[Candidate], settled| reconsider(paths, 2, &SENSITIVE, Some(&hysteresis), settled);
        let mut paths = [
            candidate(1, Standing::Good, 10.0, 2.0, 0.1, 1000),
            candidate(2, Standing::Good, 50.0, 10.0, 1.0, 100),
        ];
        assert_eq!(decide(&paths, true), Decision::Move(1, Why::Better));
        assert_eq!(decide(&paths, false), Decision::Stay);
        paths[0].proven = false;
        assert_eq!(decide(&paths, true), Decision::Stay);
        // Too little to gain, unless there is no hysteresis.
        paths[0] = candidate(1, Standing::Good, 45.0, 9.0, 1.0, 100);
        assert_eq!(decide(&paths, true), Decision::Stay);
        assert_eq!(
            reconsider(&paths, 2, &SENSITIVE, None, false),
            Decision::Move(1, Why::Better)
        );
    }

    #[test]
    fn a_poor_path_is_left_for_a_good_one_only_and_a_dead_one_for_anything() {
        let hysteresis = Hysteresis::default();
        let decide = |paths: &[Candidate]| reconsider(paths, 1, &SENSITIVE, Some(&hysteresis), false);
        let mut paths = [
            candidate(1, Standing::Probation, 10.0, 2.0, 0.1, 1000),
            candidate(2, Standing::Good, 100.0, 20.0, 2.0, 100),
        ];
        assert_eq!(decide(&paths), Decision::Move(2, Why::Poor));
        paths[1].standing = Standing::Probation;
        assert_eq!(decide(&paths), Decision::Stay);
        paths[0].standing = Standing::Down;
        assert_eq!(decide(&paths), Decision::Move(2, Why::Died));
        paths[1].standing = Standing::Down;
        assert_eq!(decide(&paths), Decision::Lose);
    }

    #[test]
    fn a_fixed_order_fails_over_at_once_and_back_when_trust_is_back() {
        use Standing::{Down, Good, Probation};
        let active =
            |current, standings: [Standing; 3]| in_order(&[2, 0, 1], current, |path| standings[path]);
        assert_eq!(active(None, [Down, Down, Down]), None);
        assert_eq!(active(None, [Good, Good, Good]), Some(2));
        assert_eq!(active(Some(2), [Good, Good, Down]), Some(0));
        assert_eq!(active(Some(0), [Good, Good, Probation]), Some(0));
        assert_eq!(active(Some(0), [Good, Good, Good]), Some(2));
        assert_eq!(active(Some(0), [Down, Probation, Probation]), Some(2));
        assert_eq!(active(Some(2), [Down, Good, Probation]), Some(1));
        assert_eq!(active(Some(1), [Probation, Good, Down]), Some(1));
    }
}
