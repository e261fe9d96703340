//! Jitter laws: the time for which a link holds a frame before it may queue.

mod table;

use std::sync::Arc;

use longhaul_core::random::Stream;
use longhaul_core::time::Span;

pub use crate::jitter::table::{Measured, Table, TableError};

/// The jitter law of a link, as a scenario states it. It adds to the propagation delay.
///
/// A frame is never faster than light: where a law would give less than zero it gives zero, so a law whose mean
/// is not several standard deviations above zero comes out with a larger mean and a smaller deviation than
/// stated (a normal law of mean 0: σ/√(2π) and 0.58 σ). netem cuts the sum of delay and jitter instead.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Jitter {
    /// None.
    #[default]
    None,
    /// Normal.
    Normal {
        /// Mean before the cut.
        mean: Span,
        /// Standard deviation before the cut.
        sd: Span,
    },
    /// Uniform over the whole nanoseconds from zero to `max`, both included.
    Uniform {
        /// Largest value.
        max: Span,
    },
    /// `mean + sd · x`, where x is drawn from netem's table `pareto`: see [`Table::pareto`].
    Pareto {
        /// Mean before the cut; the table's own mean adds −0.003 `sd`.
        mean: Span,
        /// What netem calls the standard deviation; the table's own is 1.03 times this.
        sd: Span,
    },
    /// `mean + sd · x`, where x is drawn from netem's table `paretonormal`: see [`Table::pareto_normal`].
    ParetoNormal {
        /// Mean before the cut.
        mean: Span,
        /// What netem calls the standard deviation.
        sd: Span,
    },
    /// `mean + sd · x`, where x is drawn from a table.
    Table {
        /// Mean before the cut, for a table of mean 0.
        mean: Span,
        /// Standard deviation before the cut, for a table of standard deviation 1.
        sd: Span,
        /// The distribution's shape.
        table: Arc<Table>,
    },
}

/// A [`Jitter`] law at work: its random stream.
#[derive(Clone, Debug)]
pub struct JitterProcess {
    law: Law,
    stream: Stream,
}

#[derive(Clone, Debug)]
enum Law {
    None,
    Normal { mean: f64, sd: f64 },
    Uniform { max: u64 },
    Table { mean: f64, sd: f64, table: Arc<Table> },
}

impl JitterProcess {
    /// The law `law`, fed by `stream`.
    pub fn new(law: Jitter, stream: Stream) -> JitterProcess {
        let ns = |span: Span| span.as_ns() as f64;
        let table = |mean, sd, table| Law::Table {
            mean: ns(mean),
            sd: ns(sd),
            table,
        };
        let law = match law {
            Jitter::None => Law::None,
            Jitter::Normal { mean, sd } => Law::Normal {
                mean: ns(mean),
                sd: ns(sd),
            },
            Jitter::Uniform { max } => Law::Uniform { max: max.as_ns() },
            Jitter::Pareto { mean, sd } => table(mean, sd, Table::pareto()),
            Jitter::ParetoNormal { mean, sd } => table(mean, sd, Table::pareto_normal()),
            Jitter::Table {
                mean,
                sd,
                table: shape,
            } => table(mean, sd, shape),
        };
        JitterProcess { law, stream }
    }

    /// The jitter of the next frame.
    #[inline]
    pub fn draw(&mut self) -> Span {
        // Most links have none.
        match self.law {
            Law::None => Span::ZERO,
            _ => self.draw_some(),
        }
    }

    fn draw_some(&mut self) -> Span {
        // The cast takes negative values to zero and values beyond the range to its end.
        let rounded = |ns: f64| Span::from_ns((ns + 0.5) as u64);
        match &self.law {
            Law::None => Span::ZERO,
            Law::Normal { mean, sd } => rounded(mean + sd * self.stream.normal()),
            Law::Uniform { max } => Span::from_ns(match max.checked_add(1) {
                Some(choices) => self.stream.below(choices),
                None => self.stream.u64(),
            }),
            Law::Table { mean, sd, table } => rounded(mean + sd * table.draw(&mut self.stream)),
        }
    }
}

#[cfg(test)]
mod tests;
