//! Error budgets: how many failures a service-level objective still leaves, and how fast they are used up.

use serde::{Deserialize, Serialize};

use longhaul_core::time::Span;
use longhaul_core::units::Probability;

use crate::check::{COUNT_MAX, Check, FieldError, Problem};

/// How an error budget is kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ErrorBudgetConfig {
    /// The share of calls that should succeed; between 0 and 1.
    pub objective: Probability,
    /// The time that it is about; at least 60 ns. It advances in 60 steps.
    pub window: Span,
    /// Below so many calls nothing is decided; 1 to 10^6.
    pub minimum: u32,
}

impl ErrorBudgetConfig {
    /// Over an hour, from 100 calls on.
    pub const fn hourly(objective: Probability) -> ErrorBudgetConfig {
        ErrorBudgetConfig {
            objective,
            window: Span::from_s(3_600),
            minimum: 100,
        }
    }

    /// # Errors
    /// An objective of 0 or 1, and windows and counts of zero or beyond sense.
    pub fn check(&self) -> Result<(), Vec<FieldError>> {
        let mut check = Check::default();
        check.inside("objective", self.objective);
        check.span("window", self.window);
        if self.window < Span::from_ns(60) {
            let (value, least) = (self.window.to_string(), "60 ns".to_owned());
            check.fail("window", Problem::TooSmall { value, least });
        }
        check.count("minimum", self.minimum, COUNT_MAX);
        check.done()
    }
}

/// Pairs of windows whose burn rates are watched: the long one says that it matters, the short one that it still goes on
/// (Google, "The Site Reliability Workbook", chapter 5).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Burn {
    /// 14.4 times as fast as allowed over an hour and over five minutes: 2 % of a month's budget in an hour.
    Fast,
    /// 6 times as fast as allowed over six hours and over half an hour: 5 % of a month's budget in six hours.
    Slow,
}
