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
    /// It was left because it was down or poor, and is good again.
    Returned,
    /// It comes before another one in the given order, and is good.
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

/// Whether a candidate is so much better than the path in use that it is worth moving: by more points of the policy than
/// the advantage, or, if the policy sees no difference at all, by as much more of the monitor score, or a tenth shorter.
/// Far away, where the points of latency have run out, this is what tells paths apart.
fn is_worth_moving(to: &Candidate, own: &Candidate, objective: &Objective, hysteresis: &Hysteresis) -> bool {
    let advantage = f64::from(hysteresis.advantage);
    let points = objective.points(&to.attributes) - objective.points(&own.attributes);
    let score = to.score - own.score;
    let latencies = to.attributes.quality.zip(own.attributes.quality);
    let shorter = latencies.is_some_and(|(to, own)| to.latency_ms < 0.9 * own.latency_ms);
    points > advantage || (points == 0.0 && (score > advantage || (score >= 0.0 && shorter)))
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

/// Traffic that has a path.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Traffic {
    /// The path that it is on.
    pub current: usize,
    /// The path that it was on before that one went down or turned poor, if it has not moved by its own will since.
    pub home: Option<usize>,
    /// Its last switch is long enough ago for one that is not forced.
    pub settled: bool,
}

/// Whether traffic stays on its path. Without hysteresis it always takes what is best at the moment. With it, it goes home
/// when its home is good again, unless its path is better by more than the advantage by now, and otherwise moves only to
/// what has been good for the hold time and is better by more than the advantage.
pub fn reconsider(
    candidates: &[Candidate],
    traffic: Traffic,
    objective: &Objective,
    hysteresis: Option<&Hysteresis>,
) -> Decision {
    let current = traffic.current;
    let own = candidates.iter().find(|candidate| candidate.path == current);
    let Some(own) = own.filter(|own| own.standing > Standing::Down) else {
        return best(candidates, objective).map_or(Decision::Lose, |path| Decision::Move(path, Why::Died));
    };
    let (eligible, why): (Vec<Candidate>, Why) = match hysteresis {
        None => (candidates.to_vec(), Why::Better),
        // It was left, or should never have been taken but for want of another.
        Some(_) if own.standing == Standing::Probation => {
            let good = |candidate: &&Candidate| candidate.standing == Standing::Good;
            (candidates.iter().filter(good).copied().collect(), Why::Poor)
        }
        Some(hysteresis) if traffic.settled => {
            let advantage = f64::from(hysteresis.advantage);
            let points = |candidate: &Candidate| objective.points(&candidate.attributes);
            let home = candidates.iter().find(|candidate| {
                let is_good = candidate.standing == Standing::Good;
                is_good && traffic.home == Some(candidate.path) && candidate.path != current
            });
            if let Some(home) = home.filter(|home| points(home) + advantage >= points(own)) {
                return Decision::Move(home.path, Why::Returned);
            }
            let better = |to: &&Candidate| to.proven && is_worth_moving(to, own, objective, hysteresis);
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

    fn on(current: usize, home: Option<usize>, settled: bool) -> Traffic {
        Traffic {
            current,
            home,
            settled,
        }
    }

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
        let decide = |paths: &[Candidate], settled| {
            reconsider(paths, on(2, None, settled), &SENSITIVE, Some(&hysteresis))
        };
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
            reconsider(&paths, on(2, None, false), &SENSITIVE, None),
            Decision::Move(1, Why::Better)
        );
    }

    #[test]
    fn where_points_have_run_out_the_score_and_then_the_length_decide() {
        let decide = |to: Candidate, own: Candidate| {
            let hysteresis = Hysteresis::default();
            let traffic = on(own.path, None, true);
            reconsider(&[to, own], traffic, &Objective::LowestLatency, Some(&hysteresis))
        };
        let path = |path, latency_ms, loss| candidate(path, Standing::Good, latency_ms, 2.0, loss, 1);
        let moves = Decision::Move(1, Why::Better);
        assert_eq!(decide(path(1, 210.0, 0.0), path(2, 260.0, 0.0)), moves);
        assert_eq!(decide(path(1, 400.0, 0.0), path(2, 450.0, 0.0)), moves);
        assert_eq!(decide(path(1, 400.0, 0.0), path(2, 430.0, 0.0)), Decision::Stay);
        assert_eq!(decide(path(1, 400.0, 4.0), path(2, 450.0, 0.0)), Decision::Stay);
        // What the policy gives up is not made up for.
        assert_eq!(decide(path(1, 199.0, 8.0), path(2, 198.0, 12.0)), Decision::Stay);
    }

    #[test]
    fn traffic_goes_home_when_its_home_is_good_again_and_not_much_worse() {
        let hysteresis = Hysteresis::default();
        let decide = |home: Candidate, settled| {
            let own = candidate(2, Standing::Good, 50.0, 10.0, 1.0, 100);
            let traffic = on(2, Some(1), settled);
            reconsider(&[home, own], traffic, &SENSITIVE, Some(&hysteresis))
        };
        let home = |standing, latency_ms| candidate(1, standing, latency_ms, 10.0, 1.0, 100);
        let returns = Decision::Move(1, Why::Returned);
        // Two points of the policy for eight milliseconds.
        assert_eq!(decide(home(Standing::Good, 58.0), true), returns);
        assert_eq!(decide(home(Standing::Good, 58.0), false), Decision::Stay);
        assert_eq!(decide(home(Standing::Probation, 58.0), true), Decision::Stay);
        assert_eq!(decide(home(Standing::Good, 74.0), true), Decision::Stay);
    }

    #[test]
    fn a_poor_path_is_left_for_a_good_one_only_and_a_dead_one_for_anything() {
        let hysteresis = Hysteresis::default();
        let decide =
            |paths: &[Candidate]| reconsider(paths, on(1, None, false), &SENSITIVE, Some(&hysteresis));
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
