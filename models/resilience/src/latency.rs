//! Latency budgets: whether the 95th percentile keeps its promise.

use serde::{Deserialize, Serialize};

use longhaul_core::time::Span;

use crate::check::{Check, FieldError};

/// How a latency budget is kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LatencyBudgetConfig {
    /// What the 95th percentile must not exceed; above zero.
    pub p95: Span,
    /// How many latencies are looked at; 1 to 10^4.
    pub window: u32,
    /// Below so many nothing is decided; 1 to `window`.
    pub minimum: u32,
}

impl LatencyBudgetConfig {
    /// Over the last 1000 latencies, from 20 on.
    pub const fn of(p95: Span) -> LatencyBudgetConfig {
        LatencyBudgetConfig {
            p95,
            window: 1_000,
            minimum: 20,
        }
    }

    /// # Errors
    /// Times and windows of zero or beyond sense, and a minimum that the window cannot hold.
    pub fn check(&self) -> Result<(), Vec<FieldError>> {
        let mut check = Check::default();
        check.span("p95", self.p95);
        check.count("window", self.window, 10_000);
        check.count("minimum", self.minimum, self.window.max(1));
        check.done()
    }
}
