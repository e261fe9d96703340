//! Error budgets: how many failures a service-level objective still leaves, and how fast they are used up.

use serde::{Deserialize, Serialize};

use longhaul_core::time::{Instant, Span};
use longhaul_core::units::Probability;

use crate::check::{COUNT_MAX, Check, FieldError, Problem};
use crate::window::TimeWindow;

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

/// What is left of a budget.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Remaining {
    /// Calls in the window.
    pub calls: u64,
    /// Failures among them.
    pub failed: u64,
    /// The share of the budget that is left.
    pub share: Probability,
    /// How many more of the calls might have failed.
    pub allowed: u64,
    /// Whether more have failed than may, and there are enough calls to say so.
    pub exhausted: bool,
}

/// What a call has changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct BudgetChange {
    /// The budget is used up now, or has something left again.
    pub exhausted: Option<bool>,
    /// It burns fast now, or does no more.
    pub fast: Option<bool>,
    /// It burns slowly but too fast now, or does no more.
    pub slow: Option<bool>,
}

/// An error budget. Integers throughout: no rate is rounded before it is compared.
#[derive(Clone, Debug)]
pub struct ErrorBudget {
    config: ErrorBudgetConfig,
    window: TimeWindow,
    burns: [[TimeWindow; 2]; 2],
    exhausted: bool,
    burning: [bool; 2],
}

/// The pairs of windows in seconds, and the burn rates in tenths.
const BURNS: [([u64; 2], u128); 2] = [([3_600, 300], 144), ([21_600, 1_800], 60)];

impl ErrorBudget {
    /// A budget without a past. The configuration should have passed its check.
    pub fn new(config: &ErrorBudgetConfig) -> ErrorBudget {
        let window = |seconds| TimeWindow::new(Span::from_s(seconds), 60);
        ErrorBudget {
            config: *config,
            window: TimeWindow::new(config.window, 60),
            burns: BURNS.map(|(windows, _)| windows.map(window)),
            exhausted: false,
            burning: [false; 2],
        }
    }

    /// A call has ended. Times must not go back.
    pub fn record(&mut self, now: Instant, failed: bool) -> BudgetChange {
        let failures = u64::from(failed);
        self.window.add(now, 1, failures);
        let mut changes = [None; 2];
        for (i, windows) in self.burns.iter_mut().enumerate() {
            let fast = windows.each_mut().map(|window| {
                window.add(now, 1, failures);
                let [calls, failed] = window.sums(now);
                calls >= u64::from(self.config.minimum) && burns(&self.config, calls, failed, BURNS[i].1)
            });
            let burning = fast[0] && fast[1];
            if std::mem::replace(&mut self.burning[i], burning) != burning {
                changes[i] = Some(burning);
            }
        }
        let exhausted = self.remaining(now).exhausted;
        let changed = std::mem::replace(&mut self.exhausted, exhausted) != exhausted;
        BudgetChange {
            exhausted: changed.then_some(exhausted),
            fast: changes[0],
            slow: changes[1],
        }
    }

    /// What is left now.
    pub fn remaining(&mut self, now: Instant) -> Remaining {
        let [calls, failed] = self.window.sums(now);
        let parts = u128::from(Probability::PARTS);
        // Both in parts of a call.
        let budget = u128::from(calls) * u128::from(Probability::PARTS - self.config.objective.as_parts());
        let used = u128::from(failed) * parts;
        let left = budget.saturating_sub(used);
        // Beyond 10^14 calls the last bits are dropped, so that the product has room.
        let shift = if budget >> 87 == 0 { 0 } else { 24 };
        let share = ((left >> shift) * parts)
            .checked_div(budget >> shift)
            .unwrap_or(parts);
        Remaining {
            calls,
            failed,
            share: Probability::from_parts(share.min(parts) as u64).expect("at most one"),
            allowed: (left / parts) as u64,
            exhausted: calls >= u64::from(self.config.minimum) && used > budget,
        }
    }

    /// Whether it burns so fast.
    pub fn burning(&self, burn: Burn) -> bool {
        self.burning[burn as usize]
    }
}

/// Whether failures come at this many tenths of the allowed rate, or faster.
fn burns(config: &ErrorBudgetConfig, calls: u64, failed: u64, tenths: u128) -> bool {
    let allowed = u128::from(Probability::PARTS - config.objective.as_parts());
    10 * u128::from(failed) * u128::from(Probability::PARTS) >= tenths * u128::from(calls) * allowed
}
