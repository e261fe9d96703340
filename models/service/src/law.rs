//! Laws of spans: how long work, thinking or a delay takes.

use longhaul_core::random::Stream;
use longhaul_core::time::Span;
use longhaul_core::units::Probability;
use serde::{Deserialize, Serialize};

/// A distribution of spans. Draws are rounded to whole nanoseconds.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub enum TimeLaw {
    /// Always the same.
    Constant(Span),
    /// Equally likely anywhere between both.
    Uniform {
        /// The least.
        min: Span,
        /// The most.
        max: Span,
    },
    /// Exponential: memoryless, coefficient of variation 1.
    Exponential {
        /// The mean.
        mean: Span,
    },
    /// Log-normal, given by its mean so that the load does not depend on the spread.
    LogNormal {
        /// The mean.
        mean: Span,
        /// Standard deviation of the logarithm, above 0 and at most 5.
        sigma: f64,
    },
    /// One of two values: most requests are cheap and a few are not.
    Bimodal {
        /// The usual one.
        short: Span,
        /// The other one.
        long: Span,
        /// How often it is the other one.
        long_share: Probability,
    },
}

/// Why a law cannot be drawn from.
#[derive(Clone, Copy, PartialEq, Debug, thiserror::Error)]
pub enum LawError {
    /// The least is above the most.
    #[error("the least, {min}, is above the most, {max}")]
    Order {
        /// The least.
        min: Span,
        /// The most.
        max: Span,
    },
    /// The spread is not within its range.
    #[error("the standard deviation of the logarithm must be above 0 and at most 5, not {0}")]
    Sigma(f64),
}

impl TimeLaw {
    /// Checks that it can be drawn from.
    ///
    /// # Errors
    /// [`LawError`]
    pub fn check(&self) -> Result<(), LawError> {
        match *self {
            TimeLaw::Uniform { min, max }
            | TimeLaw::Bimodal {
                short: min,
                long: max,
                ..
            } if min > max => Err(LawError::Order { min, max }),
            TimeLaw::LogNormal { sigma, .. } if !(sigma > 0.0 && sigma <= 5.0) => Err(LawError::Sigma(sigma)),
            _ => Ok(()),
        }
    }

    /// The mean.
    pub fn mean(&self) -> Span {
        match *self {
            TimeLaw::Constant(span) => span,
            TimeLaw::Uniform { min, max } => min + (max - min) / 2,
            TimeLaw::Exponential { mean } | TimeLaw::LogNormal { mean, .. } => mean,
            TimeLaw::Bimodal {
                short,
                long,
                long_share,
            } => {
                let parts = u128::from(Probability::PARTS);
                let of_long = u128::from(long_share.as_parts());
                let sum = u128::from(long.as_ns()) * of_long + u128::from(short.as_ns()) * (parts - of_long);
                // A mean of two 64-bit numbers.
                Span::from_ns((sum / parts) as u64)
            }
        }
    }

    /// Draws one.
    pub fn draw(&self, random: &mut Stream) -> Span {
        match *self {
            TimeLaw::Constant(span) => span,
            TimeLaw::Uniform { min, max } => {
                let width = (max - min).as_ns();
                match width.checked_add(1) {
                    Some(choices) => min + Span::from_ns(random.below(choices)),
                    None => Span::from_ns(random.u64()),
                }
            }
            TimeLaw::Exponential { mean } => rounded(random.exponential(mean.as_ns() as f64)),
            TimeLaw::LogNormal { mean, sigma } => {
                let exponent = sigma * random.normal() - sigma * sigma / 2.0;
                rounded(mean.as_ns() as f64 * libm::exp(exponent))
            }
            TimeLaw::Bimodal {
                short,
                long,
                long_share,
            } => {
                if random.chance(long_share) {
                    long
                } else {
                    short
                }
            }
        }
    }
}

/// The nearest whole number of nanoseconds, at most [`Span::MAX`].
pub(crate) fn rounded(ns: f64) -> Span {
    // The conversion saturates.
    Span::from_ns((ns + 0.5) as u64)
}

#[cfg(test)]
mod tests {
    use longhaul_core::random::Streams;

    use super::*;

    #[test]
    fn means_are_what_the_laws_say() {
        let (us, ms) = (Span::from_us, Span::from_ms);
        let ten_percent = Probability::from_ratio(1, 10).expect("a probability");
        let laws = [
            (TimeLaw::Constant(ms(3)), ms(3)),
            (
                TimeLaw::Uniform {
                    min: ms(1),
                    max: ms(4),
                },
                us(2_500),
            ),
            (TimeLaw::Exponential { mean: ms(2) }, ms(2)),
            (
                TimeLaw::LogNormal {
                    mean: ms(2),
                    sigma: 1.0,
                },
                ms(2),
            ),
            (
                TimeLaw::Bimodal {
                    short: ms(1),
                    long: ms(11),
                    long_share: ten_percent,
                },
                ms(2),
            ),
        ];
        let mut random = Streams::new(1, 0).stream("laws", "test");
        for (law, mean) in laws {
            assert_eq!(law.check(), Ok(()));
            assert_eq!(law.mean(), mean);
            let draws = 100_000;
            let sum: f64 = (0..draws).map(|_| law.draw(&mut random).as_s_f64()).sum();
            let share = sum / f64::from(draws) / mean.as_s_f64();
            assert!((share - 1.0).abs() < 0.02, "{law:?}: {share}");
        }
    }

    #[test]
    fn laws_that_cannot_be_drawn_from_are_refused() {
        let (min, max) = (Span::from_ms(2), Span::from_ms(1));
        let order = Err(LawError::Order { min, max });
        assert_eq!(TimeLaw::Uniform { min, max }.check(), order);
        for sigma in [0.0, -1.0, 5.1, f64::INFINITY] {
            assert_eq!(
                TimeLaw::LogNormal { mean: min, sigma }.check(),
                Err(LawError::Sigma(sigma))
            );
        }
        let law = TimeLaw::LogNormal {
            mean: min,
            sigma: f64::NAN,
        };
        assert!(law.check().is_err());
    }
}
