//! When the faults of a run have gone too far.

pub use longhaul_chaos::Side;
use longhaul_core::time::Span;

use super::{Metric, Scope, Value};

/// A bound beyond which all faults end at once.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AbortCondition {
    /// What is measured at every sample: over the interval since the one before, or as it stands.
    pub metric: Metric,
    /// Whose; each is held against the bound by itself.
    pub scope: Scope,
    /// On which side of the bound it is bad.
    pub side: Side,
    /// The bound, which itself is not beyond it.
    pub bound: Value,
    /// For how long it must have been beyond the bound at every sample; zero for a single one.
    pub lasting: Span,
}
