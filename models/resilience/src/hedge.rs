//! Hedging: another attempt when the first one takes long (Dean and Barroso, "The tail at scale", 2013).

use serde::{Deserialize, Serialize};

use longhaul_core::time::Span;
use longhaul_core::units::Probability;

use crate::check::{Check, FieldError};
use crate::retry::RetryBudgetConfig;

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
