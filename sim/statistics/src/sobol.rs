//! Sobol's indices: which share of the output's variance each factor explains alone, and with all its interactions.

use longhaul_core::random::Stream;
use serde::Serialize;

use crate::bootstrap::{at, check_resamples};
use crate::design::check_size;
use crate::error::{StatisticsError, check, finite, same_length};
use crate::interval::{Interval, Level, Method};

/// Rows without which the indices are mere noise.
pub const LEAST_ROWS: usize = 16;

/// Two independent random matrices A and B of `rows` points, and for each factor A with that factor's column from B
/// (Saltelli et al., 2010): `rows` × (factors + 2) runs.
#[derive(Clone, PartialEq, Debug)]
pub struct Sobol {
    factors: usize,
    rows: usize,
    points: Vec<Vec<f64>>,
}

/// The indices of a factor.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
#[non_exhaustive]
pub struct Indices {
    /// The factor, from 0.
    pub factor: usize,
    /// Share of the variance that it explains alone. Its estimate may be a little negative by chance.
    pub first_order: Interval,
    /// Share of the variance that is left while all others are fixed, on average: with all interactions.
    pub total: Interval,
}

impl Sobol {
    /// A design. The rows are independent, which the bootstrap needs: hundreds for a ranking, thousands for two digits. The 95 %
    /// intervals cover as they should from 200 rows on (tested); of fewer they are too narrow.
    ///
    /// # Errors
    /// No factors, fewer than [`LEAST_ROWS`] rows, or too many points.
    pub fn new(factors: usize, rows: usize, stream: &mut Stream) -> Result<Sobol, StatisticsError> {
        const METHOD: &str = "Sobol's indices";
        if rows < LEAST_ROWS {
            return Err(StatisticsError::TooFew {
                method: METHOD,
                n: rows,
                least: LEAST_ROWS,
            });
        }
        check_size(METHOD, rows.saturating_mul(factors.saturating_add(2)), factors)?;
        let mut matrix = || -> Vec<Vec<f64>> {
            (0..rows)
                .map(|_| (0..factors).map(|_| stream.unit()).collect())
                .collect()
        };
        let (a, b) = (matrix(), matrix());
        let mixed = (0..factors).flat_map(|factor| {
            let rows = a.iter().zip(&b);
            rows.map(move |(a, b)| {
                let mut point = a.clone();
                point[factor] = b[factor];
                point
            })
        });
        let mixed: Vec<Vec<f64>> = mixed.collect();
        let points = a.into_iter().chain(b).chain(mixed).collect();
        Ok(Sobol {
            factors,
            rows,
            points,
        })
    }

    /// The points to run, in order.
    pub fn points(&self) -> &[Vec<f64>] {
        &self.points
    }

    /// The indices of all factors in their order, from the output at each point: first order by Saltelli et al. (2010,
    /// table 2 b), total by Jansen (1999), intervals by resampling the rows.
    ///
    /// # Errors
    /// A number of outputs other than that of the points, a number that is none, outputs that never vary, or resamples
    /// outside [100, 10^6].
    pub fn indices(
        &self,
        outputs: &[f64],
        level: Level,
        resamples: usize,
        stream: &mut Stream,
    ) -> Result<Vec<Indices>, StatisticsError> {
        let methods = (
            Method::SobolFirstOrder { resamples },
            Method::SobolTotal { resamples },
        );
        same_length(self.points.len(), outputs.len())?;
        check(methods.0.name(), outputs, 1)?;
        check_resamples(resamples)?;
        let rows = self.rows;
        // Centred: the first-order estimator would otherwise lose its digits to the mean.
        let centre = outputs[..2 * rows].iter().sum::<f64>() / (2 * rows) as f64;
        let centred: Vec<f64> = outputs.iter().map(|output| output - centre).collect();
        let block = |number: usize| &centred[number * rows..(number + 1) * rows];
        let all: Vec<usize> = (0..rows).collect();
        let estimates = self.estimate(&block, &all);
        for estimate in &estimates {
            if !(estimate.0.is_finite() && estimate.1.is_finite()) {
                return Err(StatisticsError::Degenerate {
                    method: methods.0.name(),
                    why: "the outputs do not vary",
                });
            }
        }
        let mut others = vec![(Vec::with_capacity(resamples), Vec::with_capacity(resamples)); self.factors];
        let mut chosen = all;
        for _ in 0..resamples {
            for row in &mut chosen {
                *row = stream.below(rows as u64) as usize;
            }
            for (others, (first, total)) in others.iter_mut().zip(self.estimate(&block, &chosen)) {
                others.0.push(finite(methods.0.name(), first)?);
                others.1.push(finite(methods.1.name(), total)?);
            }
        }
        let half = level.alpha() / 2.0;
        let interval = |estimate, others: &mut Vec<f64>, method| {
            others.sort_by(f64::total_cmp);
            Interval::new(
                estimate,
                (at(others, half), at(others, 1.0 - half)),
                level,
                rows,
                method,
            )
        };
        estimates
            .into_iter()
            .zip(&mut others)
            .enumerate()
            .map(|(factor, ((first, total), others))| {
                Ok(Indices {
                    factor,
                    first_order: interval(first, &mut others.0, methods.0)?,
                    total: interval(total, &mut others.1, methods.1)?,
                })
            })
            .collect()
    }

    /// First-order and total index of each factor, from some of the rows. Not a number if nothing varies.
    fn estimate<'o>(&self, block: &impl Fn(usize) -> &'o [f64], chosen: &[usize]) -> Vec<(f64, f64)> {
        let (a, b) = (block(0), block(1));
        let count = chosen.len() as f64;
        let (mut sum, mut squares) = (0.0, 0.0);
        for &row in chosen {
            sum += a[row] + b[row];
            squares += a[row] * a[row] + b[row] * b[row];
        }
        let mean = sum / (2.0 * count);
        // The outputs are centred, so little is lost to cancellation.
        let variance = (squares - sum * mean) / (2.0 * count - 1.0);
        (0..self.factors)
            .map(|factor| {
                let mixed = block(factor + 2);
                let (mut first, mut total) = (0.0, 0.0);
                for &row in chosen {
                    let change = mixed[row] - a[row];
                    first += (b[row] - mean) * change;
                    total += change * change;
                }
                (first / count / variance, total / (2.0 * count) / variance)
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use longhaul_core::random::Streams;

    use super::*;

    fn stream() -> Stream {
        Streams::new(1, 0).stream("sobol", "test")
    }

    #[test]
    fn the_function_of_ishigami_has_its_published_indices() {
        // Ishigami & Homma (1990) with a = 7, b = 0.1: first order 0.3139, 0.4424, 0; total 0.5576, 0.4424, 0.2437.
        let design = Sobol::new(3, 4096, &mut stream()).unwrap();
        let model = |x: &Vec<f64>| {
            let [x1, x2, x3] = [0, 1, 2].map(|i| std::f64::consts::PI * (2.0 * x[i] - 1.0));
            let s = libm::sin(x2);
            libm::sin(x1) + 7.0 * s * s + 0.1 * x3 * x3 * x3 * x3 * libm::sin(x1)
        };
        let outputs: Vec<f64> = design.points().iter().map(model).collect();
        let indices = design.indices(&outputs, Level::P99, 200, &mut stream()).unwrap();
        for (index, (first, total)) in indices
            .iter()
            .zip([(0.3139, 0.5576), (0.4424, 0.4424), (0.0, 0.2437)])
        {
            assert!(index.first_order.contains(first), "{}", index.first_order);
            assert!(index.total.contains(total), "{}", index.total);
            assert!(index.total.half_width() < 0.1 && index.total.n == 4096);
        }
    }

    #[test]
    fn bad_input_is_refused() {
        assert!(Sobol::new(0, 100, &mut stream()).is_err());
        assert!(Sobol::new(2, 15, &mut stream()).is_err());
        assert!(Sobol::new(2, usize::MAX, &mut stream()).is_err());
        let design = Sobol::new(1, 16, &mut stream()).unwrap();
        let indices = |outputs: &[f64]| design.indices(outputs, Level::P95, 100, &mut stream());
        assert!(matches!(
            indices(&[3.0; 48]),
            Err(StatisticsError::Degenerate { .. })
        ));
        assert!(indices(&[3.0; 47]).is_err());
        assert!(indices(&[f64::NAN; 48]).is_err());
    }
}
