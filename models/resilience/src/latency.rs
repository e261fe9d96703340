//! Latency budgets: whether the 95th percentile keeps its promise.

use serde::{Deserialize, Serialize};

use longhaul_core::time::Span;

use crate::check::{Check, FieldError};
use crate::window::Latest;

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

/// A latency budget.
#[derive(Clone, Debug)]
pub struct LatencyBudget {
    config: LatencyBudgetConfig,
    latest: Latest,
    exceeded: bool,
    calls: u64,
    exceeding: u64,
}

impl LatencyBudget {
    /// A budget without a past. The configuration should have passed its check.
    pub fn new(config: &LatencyBudgetConfig) -> LatencyBudget {
        LatencyBudget {
            config: *config,
            latest: Latest::new(config.window),
            exceeded: false,
            calls: 0,
            exceeding: 0,
        }
    }

    /// A call took this long. Tells if the budget is exceeded now, or kept again.
    pub fn record(&mut self, latency: Span) -> Option<bool> {
        self.calls += 1;
        self.exceeding += u64::from(latency > self.config.p95);
        self.latest.push(latency.as_ns());
        let enough = self.latest.len() >= self.config.minimum as usize;
        let exceeded = enough && self.p95().is_some_and(|p95| p95 > self.config.p95);
        (std::mem::replace(&mut self.exceeded, exceeded) != exceeded).then_some(exceeded)
    }

    /// The 95th percentile of the window by nearest rank.
    pub fn p95(&self) -> Option<Span> {
        self.latest.p95().map(Span::from_ns)
    }

    /// Whether it is exceeded.
    pub fn exceeded(&self) -> bool {
        self.exceeded
    }

    /// The share of all calls so far that took no longer than they should; all of none.
    pub fn compliance(&self) -> f64 {
        1.0 - self.exceeding as f64 / self.calls.max(1) as f64
    }
}
