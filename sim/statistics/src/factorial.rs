//! Two-level full factorial designs: the effect of each factor and of each combination of factors.

use serde::Serialize;

use crate::error::{StatisticsError, check, finite, same_length};
use crate::interval::{Interval, Level, Method};
use crate::mean::t_interval_as;

/// Factors of a design: 1,024 points.
pub const MOST_FACTORS: usize = 10;

/// A 2^k design.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TwoLevel {
    factors: usize,
}

/// What a factor, or several together, do.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[non_exhaustive]
pub struct Effect {
    /// The factors, from 0. One is a main effect, several are an interaction.
    pub factors: Vec<usize>,
    /// By how much the response changes on average from the low to the high level. With Jain's notation this is 2q. Of an
    /// interaction: half the change of one factor's effect as the other goes from low to high.
    pub effect: Interval,
    /// Its share of the variation between the points' means; `None` if these never vary.
    pub share: Option<f64>,
}

impl TwoLevel {
    /// With so many factors.
    ///
    /// # Errors
    /// None, or more than [`MOST_FACTORS`].
    pub fn new(factors: usize) -> Result<TwoLevel, StatisticsError> {
        const METHOD: &str = "a two-level factorial design";
        match factors {
            0 => Err(StatisticsError::TooFew {
                method: METHOD,
                n: 0,
                least: 1,
            }),
            1..=MOST_FACTORS => Ok(TwoLevel { factors }),
            _ => Err(StatisticsError::TooMany {
                method: METHOD,
                n: factors,
                most: MOST_FACTORS,
            }),
        }
    }

    /// All points in standard order: the first factor changes fastest. `true` is the high level.
    pub fn points(self) -> Vec<Vec<bool>> {
        (0..1usize << self.factors)
            .map(|point| (0..self.factors).map(|factor| point >> factor & 1 == 1).collect())
            .collect()
    }

    /// All effects, main effects first, from one response for each replication of each point in the order of
    /// [`TwoLevel::points`].
    ///
    /// The whole design is replicated, each effect computed once for each replication, and its interval is Student's
    /// over these (Law, 2015, section 12.2). This is right whether or not the points share random numbers, as they do
    /// here; a pooled error of all points would not be.
    ///
    /// # Errors
    /// A number of points other than 2^k, points with different numbers of replications, fewer than two of them,
    /// or a number that is none.
    pub fn effects(
        self,
        responses: &[impl AsRef<[f64]>],
        level: Level,
    ) -> Result<Vec<Effect>, StatisticsError> {
        let method = Method::TwoLevelFactorial;
        let points = 1usize << self.factors;
        same_length(points, responses.len())?;
        let replications = responses[0].as_ref().len();
        for point in responses {
            same_length(replications, point.as_ref().len())?;
            check(method.name(), point.as_ref(), 2)?;
        }
        let scale = 2.0 / points as f64;
        // Yates' algorithm, once for each replication.
        let mut by_subset = vec![Vec::with_capacity(replications); points];
        for replication in 0..replications {
            let mut column: Vec<f64> = responses
                .iter()
                .map(|point| point.as_ref()[replication])
                .collect();
            for factor in 0..self.factors {
                for low in (0..points).filter(|point| point >> factor & 1 == 0) {
                    let high = low | 1 << factor;
                    (column[low], column[high]) = (column[high] + column[low], column[high] - column[low]);
                }
            }
            for (subset, sum) in by_subset.iter_mut().zip(column) {
                subset.push(finite(method.name(), sum * scale)?);
            }
        }
        let mut effects = Vec::with_capacity(points - 1);
        for (subset, values) in by_subset.iter().enumerate().skip(1) {
            effects.push(Effect {
                factors: (0..self.factors)
                    .filter(|factor| subset >> factor & 1 == 1)
                    .collect(),
                effect: t_interval_as(method, values, level)?,
                share: None,
            });
        }
        let square = |effect: &Effect| effect.effect.estimate * effect.effect.estimate;
        let total: f64 = effects.iter().map(square).sum();
        for effect in &mut effects {
            effect.share = Some(square(effect) / total).filter(|share| share.is_finite());
        }
        effects.sort_by(|a, b| (a.factors.len(), &a.factors).cmp(&(b.factors.len(), &b.factors)));
        Ok(effects)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jains_memory_and_cache_example() {
        // Jain (1991), section 18.1, table 18.1: 2² with three replications.
        let responses = [
            [15.0, 18.0, 12.0],
            [45.0, 48.0, 51.0],
            [25.0, 28.0, 19.0],
            [75.0, 75.0, 81.0],
        ];
        let effects = TwoLevel::new(2).unwrap().effects(&responses, Level::P90).unwrap();
        let found: Vec<(&[usize], f64)> = effects
            .iter()
            .map(|effect| (effect.factors.as_slice(), effect.effect.estimate))
            .collect();
        // q_A = 21.5, q_B = 9.5, q_AB = 5.
        assert_eq!(found, [(&[0][..], 43.0), (&[1], 19.0), (&[0, 1], 10.0)]);
        // Allocation of variation: 5547, 1083 and 300 of 6930 without that of the errors.
        let shares: Vec<f64> = effects.iter().map(|effect| effect.share.unwrap()).collect();
        for (share, expected) in shares.iter().zip([5547.0, 1083.0, 300.0]) {
            assert!((share - expected / 6930.0).abs() < 1e-12);
        }
        assert!(effects.iter().all(|effect| effect.effect.n == 3));
    }

    #[test]
    fn points_are_in_standard_order() {
        let points = TwoLevel::new(2).unwrap().points();
        assert_eq!(
            points,
            [[false, false], [true, false], [false, true], [true, true]]
        );
    }

    #[test]
    fn noise_shared_by_all_points_leaves_the_effects_exact() {
        // Common random numbers: each replication shifts all points alike.
        let shift = [3.0, -7.0, 11.0];
        let responses: Vec<Vec<f64>> = [1.0, 4.0]
            .iter()
            .map(|x| shift.iter().map(|s| x + s).collect())
            .collect();
        let effects = TwoLevel::new(1).unwrap().effects(&responses, Level::P95).unwrap();
        assert_eq!((effects[0].effect.low, effects[0].effect.high), (3.0, 3.0));
    }

    #[test]
    fn bad_input_is_refused() {
        assert!(TwoLevel::new(0).is_err() && TwoLevel::new(11).is_err());
        let design = TwoLevel::new(1).unwrap();
        assert!(design.effects(&[[1.0, 2.0]], Level::P95).is_err());
        assert!(design.effects(&[vec![1.0, 2.0], vec![1.0]], Level::P95).is_err());
        assert!(design.effects(&[[1.0], [2.0]], Level::P95).is_err());
        assert!(
            design
                .effects(&[[1.0, f64::NAN], [2.0, 1.0]], Level::P95)
                .is_err()
        );
        let flat = design.effects(&[[1.0, 1.0], [1.0, 1.0]], Level::P95).unwrap();
        assert_eq!((flat[0].effect.estimate, flat[0].share), (0.0, None));
    }
}
