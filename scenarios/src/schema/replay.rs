//! How a replay on a real kernel is compared.

use longhaul_core::units::Probability;

use super::{Metric, Scope, Value};

/// How the runs of a replay and of the simulator are compared.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Replay {
    /// Runs on the real kernel.
    pub replications: u32,
    /// Simulated runs.
    pub simulations: u32,
    /// How far apart they may be; empty leaves it to the defaults.
    pub margins: Vec<Margin>,
}

/// How far apart both worlds may be in one metric.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Margin {
    /// What is compared.
    pub metric: Metric,
    /// Of which migrations, transfers or links. A name takes precedence over `All`.
    pub scope: Scope,
    /// How far apart the medians may be.
    pub within: Within,
}

/// The size of a margin.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Within {
    /// A share of the replayed median.
    Relative(Probability),
    /// A difference in the unit of the metric, a share in percentage points.
    Absolute(Value),
}
