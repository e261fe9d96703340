//! Hedging: another attempt when the first one takes long (Dean and Barroso, "The tail at scale", 2013).

use serde::{Deserialize, Serialize};

use longhaul_core::time::{Instant, Span};
use longhaul_core::units::Probability;

use crate::check::{Check, FieldError};
use crate::retry::{RetryBudget, RetryBudgetConfig};
use crate::window::Latest;

/// When the next attempt is sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum HedgeDelay {
    /// After this time; above zero.
    Fixed(Span),
    /// After this percentile of the last latencies.
    Percentile {
        /// Which one; between 0 and 1.
        percentile: Probability,
        /// How many latencies are looked at; 1 to 10^4.
        window: u32,
        /// The delay until the window is full; above zero.
        until_then: Span,
    },
}

/// How a call is hedged.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HedgeConfig {
    /// When the next attempt is sent.
    pub delay: HedgeDelay,
    /// Attempts beside the first; 1 to 10.
    pub hedges: u32,
    /// Whether calls that are not idempotent are hedged as well.
    pub non_idempotent: bool,
    /// How many hedges there may be for all calls together.
    pub budget: Option<RetryBudgetConfig>,
}

impl HedgeConfig {
    /// # Errors
    /// Counts and times of zero or beyond sense.
    pub fn check(&self) -> Result<(), Vec<FieldError>> {
        let mut check = Check::default();
        match self.delay {
            HedgeDelay::Fixed(after) => check.span("delay", after),
            HedgeDelay::Percentile {
                percentile,
                window,
                until_then,
            } => {
                check.inside("delay.percentile", percentile);
                check.count("delay.window", window, 10_000);
                check.span("delay.until_then", until_then);
            }
        }
        check.count("hedges", self.hedges, 10);
        if let Some(budget) = &self.budget {
            budget.check(&mut check);
        }
        check.done()
    }
}

/// Decides about hedges.
#[derive(Clone, Debug)]
pub struct Hedger {
    config: HedgeConfig,
    latest: Option<Latest>,
    budget: Option<RetryBudget>,
}

impl Hedger {
    /// The configuration should have passed its check.
    pub fn new(config: &HedgeConfig) -> Hedger {
        let latest = match config.delay {
            HedgeDelay::Fixed(_) => None,
            HedgeDelay::Percentile { window, .. } => Some(Latest::new(window)),
        };
        Hedger {
            config: *config,
            latest,
            budget: config.budget.as_ref().map(RetryBudget::new),
        }
    }

    /// A call begins.
    #[inline]
    pub fn began(&mut self, now: Instant) {
        if let Some(budget) = &mut self.budget {
            budget.began(now);
        }
    }

    /// How many hedges such a call may have.
    #[inline]
    pub fn most(&self, idempotent: bool) -> u32 {
        if idempotent || self.config.non_idempotent {
            self.config.hedges
        } else {
            0
        }
    }

    /// After how long the next attempt goes out.
    pub fn delay(&self) -> Span {
        match self.config.delay {
            HedgeDelay::Fixed(after) => after,
            HedgeDelay::Percentile {
                percentile,
                until_then,
                ..
            } => {
                let full = self.latest.as_ref().filter(|latest| latest.is_full());
                full.and_then(|latest| latest.percentile(percentile))
                    .map_or(until_then, Span::from_ns)
            }
        }
    }

    /// Whether the budget allows one more; if so, it is counted.
    pub fn spend(&mut self, now: Instant) -> bool {
        self.budget.as_mut().is_none_or(|budget| budget.spend(now))
    }

    /// The attempt that won took this long. What the others would have taken stays unknown.
    #[inline]
    pub fn record(&mut self, latency: Span) {
        if let Some(latest) = &mut self.latest {
            latest.push(latency.as_ns());
        }
    }
}
