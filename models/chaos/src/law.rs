//! Laws of random spans. Each is given by its mean, so that a mean time between failures is what it says.

use longhaul_core::random::Stream;
use longhaul_core::time::Span;
use serde::{Deserialize, Serialize};

/// Of a time between faults, or of how long a fault lasts.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub enum Law {
    /// Always the same.
    Constant(Span),
    /// Without memory: what has lasted long is no nearer to its end.
    Exponential {
        /// Mean.
        mean: Span,
    },
    /// Wear (shape above one) or infant mortality (below one).
    Weibull {
        /// Mean.
        mean: Span,
        /// Shape in thousandths; 1000 is the exponential law.
        shape: u32,
    },
    /// Products of many causes, such as times to repair.
    LogNormal {
        /// Mean.
        mean: Span,
        /// Standard deviation of the logarithm, in thousandths.
        sigma: u32,
    },
}

/// Smallest shape of a Weibull law, in thousandths: below, hardly a draw is near the mean.
pub const LEAST_SHAPE: u32 = 100;
/// Largest shape of a Weibull law and largest sigma of a lognormal law, in thousandths.
pub const MOST_SHAPE: u32 = 100_000;
/// Largest sigma of a lognormal law, in thousandths: above, hardly a draw is near the mean.
pub const MOST_SIGMA: u32 = 5_000;

impl Law {
    /// The mean.
    pub fn mean(&self) -> Span {
        match *self {
            Law::Constant(span) => span,
            Law::Exponential { mean } | Law::Weibull { mean, .. } | Law::LogNormal { mean, .. } => mean,
        }
    }

    /// Which number of it is zero or outside its range, if one is.
    pub fn fault(&self) -> Option<&'static str> {
        match *self {
            _ if self.mean() == Span::ZERO => Some("mean"),
            Law::Weibull { shape, .. } if !(LEAST_SHAPE..=MOST_SHAPE).contains(&shape) => Some("shape"),
            Law::LogNormal { sigma, .. } if sigma > MOST_SIGMA => Some("sigma"),
            _ => None,
        }
    }

    /// The next span, at least a nanosecond.
    pub fn draw(&self, random: &mut Stream) -> Span {
        let ns = match *self {
            Law::Constant(span) => return span.max(Span::from_ns(1)),
            Law::Exponential { mean } => random.exponential(mean.as_ns() as f64),
            Law::Weibull { mean, shape } => {
                let inverse = 1000.0 / f64::from(shape);
                let scale = mean.as_ns() as f64 / libm::tgamma(1.0 + inverse);
                scale * libm::pow(random.exponential(1.0), inverse)
            }
            Law::LogNormal { mean, sigma } => {
                let sigma = f64::from(sigma) / 1000.0;
                let centre = libm::log(mean.as_ns() as f64) - sigma * sigma / 2.0;
                libm::exp(centre + sigma * random.normal())
            }
        };
        // The conversion keeps within the range of integers.
        Span::from_ns((libm::round(ns) as u64).max(1))
    }
}
