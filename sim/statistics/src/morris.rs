//! Elementary effects: which of many factors matter at all, for a few runs each (Morris, Technometrics 33 (1991) 161).

use longhaul_core::random::Stream;
use serde::Serialize;

use crate::design::{check_size, shuffle};
use crate::deviation::deviation_interval;
use crate::error::{StatisticsError, check, finite, same_length};
use crate::interval::{Interval, Level, Method};
use crate::mean::t_interval_as;
use crate::summary::Summary;

/// Trajectories through a grid in the unit cube, each changing every factor once.
#[derive(Clone, PartialEq, Debug)]
pub struct Morris {
    factors: usize,
    points: Vec<Vec<f64>>,
    /// For each step: the factor that it changes, and by how much.
    steps: Vec<(usize, f64)>,
}

/// What a factor does to the output, over the whole range of the others.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
#[non_exhaustive]
pub struct ElementaryEffect {
    /// The factor, from 0.
    pub factor: usize,
    /// Mean absolute effect, μ* (Campolongo, Cariboni & Saltelli, 2007): how much it matters. In units of the output
    /// over the whole range of the factor.
    pub mu_star: Interval,
    /// Mean effect, μ: smaller in size than μ* if the direction changes.
    pub mu: f64,
    /// Standard deviation of the effects, σ: large if it is not linear or interacts with others.
    pub sigma: f64,
    /// The interval of σ; `None` if fewer than three trajectories, or so few different effects, say nothing about it.
    pub sigma_interval: Option<Interval>,
}

impl Morris {
    /// So many trajectories of `factors` + 1 points each on a grid of `levels` levels, an even number: 4 to 8 are usual, and
    /// 10 to 50 trajectories.
    ///
    /// # Errors
    /// No factors, an odd number of levels or one outside [2, 1000], fewer than two trajectories, or too many points.
    pub fn new(
        factors: usize,
        levels: usize,
        trajectories: usize,
        stream: &mut Stream,
    ) -> Result<Morris, StatisticsError> {
        if !(2..=1000).contains(&levels) || levels % 2 == 1 {
            return Err(StatisticsError::OutOfRange {
                name: "the number of levels",
                value: levels as f64,
                range: "[2, 1000], even",
            });
        }
        if trajectories < 2 {
            return Err(StatisticsError::TooFew {
                method: Method::Morris.name(),
                n: trajectories,
                least: 2,
            });
        }
        let rows = trajectories.saturating_mul(factors.saturating_add(1));
        check_size(Method::Morris.name(), rows, factors)?;
        // Half the levels up: then every level is as likely as every other.
        let jump = levels / 2;
        let coordinate = |level: usize| level as f64 / (levels - 1) as f64;
        let mut design = Morris {
            factors,
            points: Vec::with_capacity(rows),
            steps: Vec::with_capacity(trajectories * factors),
        };
        let mut order: Vec<usize> = (0..factors).collect();
        for _ in 0..trajectories {
            // Truncation: below the number of levels.
            let mut at: Vec<usize> = (0..factors)
                .map(|_| stream.below(levels as u64) as usize)
                .collect();
            let point = |at: &[usize]| at.iter().map(|&level| coordinate(level)).collect();
            design.points.push(point(&at));
            shuffle(&mut order, stream);
            for &factor in &order {
                let before = at[factor];
                // Only one direction stays inside.
                at[factor] = if before < jump {
                    before + jump
                } else {
                    before - jump
                };
                design
                    .steps
                    .push((factor, coordinate(at[factor]) - coordinate(before)));
                design.points.push(point(&at));
            }
        }
        Ok(design)
    }

    /// The points to run, in order.
    pub fn points(&self) -> &[Vec<f64>] {
        &self.points
    }

    /// The effects of all factors in their order, from the output at each point. The interval of μ* is Student's over the
    /// trajectories, which are independent.
    ///
    /// # Errors
    /// A number of outputs other than that of the points, or a number that is none.
    pub fn effects(&self, outputs: &[f64], level: Level) -> Result<Vec<ElementaryEffect>, StatisticsError> {
        let method = Method::Morris;
        same_length(self.points.len(), outputs.len())?;
        check(method.name(), outputs, 1)?;
        let mut by_factor = vec![Vec::new(); self.factors];
        let trajectories = outputs.chunks_exact(self.factors + 1);
        for (outputs, steps) in trajectories.zip(self.steps.chunks_exact(self.factors)) {
            for (pair, &(factor, step)) in outputs.windows(2).zip(steps) {
                by_factor[factor].push(finite(method.name(), (pair[1] - pair[0]) / step)?);
            }
        }
        let effect = |(factor, effects): (usize, Vec<f64>)| {
            let summary = Summary::of(&effects)?;
            let sizes: Vec<f64> = effects.iter().map(|effect| effect.abs()).collect();
            Ok(ElementaryEffect {
                factor,
                mu_star: t_interval_as(method, &sizes, level)?,
                mu: summary.mean,
                sigma: summary.standard_deviation().unwrap_or(0.0),
                sigma_interval: deviation_interval(&effects, level).ok(),
            })
        };
        by_factor.into_iter().enumerate().map(effect).collect()
    }
}

#[cfg(test)]
mod tests {
    use longhaul_core::random::Streams;

    use super::*;

    fn stream() -> Stream {
        Streams::new(1, 0).stream("morris", "test")
    }

    #[test]
    fn a_linear_model_has_its_coefficients_and_no_deviation() {
        let design = Morris::new(3, 4, 10, &mut stream()).unwrap();
        assert_eq!(design.points().len(), 40);
        let outputs: Vec<f64> = design
            .points()
            .iter()
            .map(|x| 5.0 - 3.0 * x[0] + 0.5 * x[2])
            .collect();
        let effects = design.effects(&outputs, Level::P95).unwrap();
        for (effect, expected) in effects.iter().zip([-3.0, 0.0, 0.5]) {
            assert!((effect.mu - expected).abs() < 1e-12);
            assert!((effect.mu_star.estimate - f64::abs(expected)).abs() < 1e-12);
            assert!(effect.sigma < 1e-12 && effect.mu_star.n == 10);
        }
    }

    #[test]
    fn an_interaction_shows_in_the_deviation_and_a_turn_in_the_sign() {
        let design = Morris::new(3, 8, 50, &mut stream()).unwrap();
        let model = |x: &Vec<f64>| 4.0 * x[0] * x[1] + 8.0 * (x[2] - 0.5) * (x[0] - 0.5);
        let outputs: Vec<f64> = design.points().iter().map(model).collect();
        let effects = design.effects(&outputs, Level::P95).unwrap();
        // ∂/∂x₁ = 4 x₀: mean 2, deviation 4 × that of the grid, √(63 / 588).
        assert!((effects[1].mu - 2.0).abs() < 0.6 && (effects[1].sigma - 1.31).abs() < 0.2);
        assert!(effects[2].mu.abs() < 1.0 && effects[2].mu_star.estimate > 1.5);
    }

    #[test]
    fn bad_input_is_refused() {
        for (factors, levels, trajectories) in
            [(0, 4, 10), (3, 5, 10), (3, 0, 10), (3, 4, 1), (3, 4, usize::MAX)]
        {
            assert!(Morris::new(factors, levels, trajectories, &mut stream()).is_err());
        }
        let design = Morris::new(2, 4, 2, &mut stream()).unwrap();
        assert!(design.effects(&[1.0; 5], Level::P95).is_err());
        assert!(
            design
                .effects(&[1.0, 2.0, f64::NAN, 1.0, 1.0, 1.0], Level::P95)
                .is_err()
        );
    }
}
