//! Retries: whether, and after how long.

use serde::{Deserialize, Serialize};

use longhaul_core::random::Stream;
use longhaul_core::time::{Instant, Span};
use longhaul_core::units::Probability;

use crate::call::{Class, Classes};
use crate::check::{Check, FieldError, Problem};
use crate::window::TimeWindow;

/// The most retries of one policy.
pub const RETRIES_MAX: u32 = 100;

/// How waits grow. The first retry waits `base`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Backoff {
    /// base × factor^n.
    Exponential {
        /// The first wait; above zero.
        base: Span,
        /// What each wait is multiplied with; 1 to 100.
        factor: u32,
    },
    /// base + n × increment.
    Linear {
        /// The first wait; above zero.
        base: Span,
        /// What is added to each.
        increment: Span,
    },
    /// base × 1, 1, 2, 3, 5, 8, …
    Fibonacci {
        /// The first wait; above zero.
        base: Span,
    },
}

/// How waits are spread, before they are capped.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Jitter {
    /// Not at all: callers that failed together come back together.
    None,
    /// Uniform from nothing to the whole wait.
    Full,
    /// Uniform from half to the whole wait.
    Equal,
    /// Uniform within a tenth below and above the wait.
    PlusMinusTenth,
}

/// How many retries there may be for the calls there are, over a sliding window (as in Finagle and Envoy).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetryBudgetConfig {
    /// Retries for each call of the window.
    pub ratio: Probability,
    /// Retries per second that are allowed in any case, so that a quiet caller may retry at all; up to 10^6. With a
    /// ratio of zero, above zero.
    pub minimum_per_s: u32,
    /// How long the window is; at least 10 ns. It advances in ten steps.
    pub window: Span,
}

/// How a call is retried.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetryConfig {
    /// Attempts after the first; 1 to 100.
    pub retries: u32,
    /// How waits grow.
    pub backoff: Backoff,
    /// The longest wait, jitter included; above zero.
    pub cap: Span,
    /// How waits are spread.
    pub jitter: Jitter,
    /// What is retried.
    pub retryable: Classes,
    /// Whether calls that are not idempotent are retried as well.
    pub non_idempotent: bool,
    /// How many retries there may be for all calls together.
    pub budget: Option<RetryBudgetConfig>,
}

impl RetryConfig {
    /// Waits that double from `base` up to `cap`, within a tenth; transient failures of idempotent calls; no budget.
    pub const fn exponential(retries: u32, base: Span, cap: Span) -> RetryConfig {
        RetryConfig {
            retries,
            backoff: Backoff::Exponential { base, factor: 2 },
            cap,
            jitter: Jitter::PlusMinusTenth,
            retryable: Classes::TRANSIENT,
            non_idempotent: false,
            budget: None,
        }
    }

    /// # Errors
    /// No retries or nothing to retry, and counts and times of zero or beyond sense.
    pub fn check(&self) -> Result<(), Vec<FieldError>> {
        let mut check = Check::default();
        check.count("retries", self.retries, RETRIES_MAX);
        match self.backoff {
            Backoff::Exponential { base, factor } => {
                check.span("backoff.base", base);
                check.count("backoff.factor", factor, 100);
            }
            Backoff::Linear { base, increment } => {
                check.span("backoff.base", base);
                check.span_or_zero("backoff.increment", increment);
            }
            Backoff::Fibonacci { base } => check.span("backoff.base", base),
        }
        check.span("cap", self.cap);
        if self.cap < self.backoff.base() {
            check.contradiction("cap", "is below the first wait");
        }
        if self.retryable.is_empty() {
            check.contradiction("retryable", "nothing would be retried");
        }
        if let Some(budget) = &self.budget {
            budget.check(&mut check);
        }
        check.done()
    }
}

impl RetryBudgetConfig {
    /// A fifth of the calls and ten per second, over ten seconds.
    pub const USUAL: RetryBudgetConfig = RetryBudgetConfig {
        ratio: crate::FIFTH,
        minimum_per_s: 10,
        window: Span::from_s(10),
    };

    pub(crate) fn check(&self, check: &mut Check) {
        check.at_most("budget.minimum_per_s", self.minimum_per_s, 1_000_000);
        if self.minimum_per_s == 0 && self.ratio == Probability::ZERO {
            check.fail("budget.ratio", Problem::Zero);
        }
        check.span("budget.window", self.window);
        if self.window < Span::from_ns(10) {
            let (value, least) = (self.window.to_string(), "10 ns".to_owned());
            check.fail("budget.window", Problem::TooSmall { value, least });
        }
    }
}

impl Backoff {
    /// The first wait.
    pub const fn base(&self) -> Span {
        match *self {
            Backoff::Exponential { base, .. }
            | Backoff::Linear { base, .. }
            | Backoff::Fibonacci { base } => base,
        }
    }
}

/// Why a failed attempt was not retried.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum NoRetry {
    /// It was the last one allowed.
    Exhausted,
    /// Its kind of failure is not retried.
    NotRetryable,
    /// The call is not idempotent.
    NotIdempotent,
    /// The budget is spent.
    Budget,
    /// The wait would outlast the time that the call has left.
    NoTimeLeft,
}

impl RetryConfig {
    /// The wait before retry `n`, from 0, before jitter: at most the cap.
    pub fn wait(&self, n: u32) -> Span {
        let wait = match self.backoff {
            Backoff::Exponential { base, factor } => {
                let factor = u64::from(factor).checked_pow(n);
                base.saturating_mul(factor.unwrap_or(u64::MAX))
            }
            Backoff::Linear { base, increment } => {
                base.saturating_add(increment.saturating_mul(u64::from(n)))
            }
            Backoff::Fibonacci { base } => base.saturating_mul(fibonacci(n)),
        };
        wait.min(self.cap)
    }

    /// The longest wait before retry `n`, from 0, with jitter.
    pub fn longest(&self, n: u32) -> Span {
        let wait = self.wait(n);
        match self.jitter {
            Jitter::None | Jitter::Full | Jitter::Equal => wait,
            Jitter::PlusMinusTenth => wait.saturating_add(wait / 10).min(self.cap),
        }
    }

    /// The longest that all waits of a call take together.
    pub fn longest_total(&self) -> Span {
        (0..self.retries.min(RETRIES_MAX))
            .map(|n| self.longest(n))
            .fold(Span::ZERO, Span::saturating_add)
    }
}

/// 1, 1, 2, 3, 5, 8, …; the highest number there is once that is passed.
fn fibonacci(n: u32) -> u64 {
    let (mut this, mut next) = (1_u64, 1_u64);
    for _ in 0..n {
        (this, next) = (next, this.saturating_add(next));
    }
    this
}

/// How many retries there may be, as it stands.
#[derive(Clone, Debug)]
pub struct RetryBudget {
    ratio: u128,
    minimum: u128,
    window: TimeWindow,
}

impl RetryBudget {
    /// A budget without a past. The configuration should have passed its check.
    pub fn new(config: &RetryBudgetConfig) -> RetryBudget {
        let parts = u128::from(Probability::PARTS);
        let in_window = u128::from(config.minimum_per_s) * u128::from(config.window.as_ns());
        RetryBudget {
            ratio: u128::from(config.ratio.as_parts()),
            minimum: in_window * (parts / 1_000_000_000),
            window: TimeWindow::new(config.window, 10),
        }
    }

    /// A call begins.
    #[inline]
    pub fn began(&mut self, now: Instant) {
        self.window.add(now, 1, 0);
    }

    /// Whether one more retry is allowed; if so, it is counted: retries of the window ≤ ratio × calls of the window +
    /// minimum × window.
    pub fn spend(&mut self, now: Instant) -> bool {
        let [calls, retries] = self.window.sums(now);
        let wanted = (u128::from(retries) + 1) * u128::from(Probability::PARTS);
        let allowed = wanted <= self.ratio * u128::from(calls) + self.minimum;
        if allowed {
            self.window.add(now, 0, 1);
        }
        allowed
    }
}

/// What failed, and how much has been tried.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Failed {
    /// Retries that the call has had.
    pub retries: u32,
    /// How it failed.
    pub class: Class,
    /// Whether doing it twice is the same as doing it once.
    pub idempotent: bool,
    /// When the call's time is over; [`Instant::MAX`] if never.
    pub limit: Instant,
}

/// Decides about retries.
#[derive(Clone, Debug)]
pub struct Retrier {
    config: RetryConfig,
    budget: Option<RetryBudget>,
}

impl Retrier {
    /// The configuration should have passed its check.
    pub fn new(config: &RetryConfig) -> Retrier {
        Retrier {
            config: *config,
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

    /// After how long to try again.
    ///
    /// # Errors
    /// Why not to.
    pub fn again(&mut self, now: Instant, failed: Failed, random: &mut Stream) -> Result<Span, NoRetry> {
        if !self.config.retryable.contains(failed.class) {
            return Err(NoRetry::NotRetryable);
        }
        if !failed.idempotent && !self.config.non_idempotent {
            return Err(NoRetry::NotIdempotent);
        }
        if failed.retries >= self.config.retries {
            return Err(NoRetry::Exhausted);
        }
        let wait = self.config.draw(failed.retries, random);
        if now.saturating_add(wait) >= failed.limit {
            return Err(NoRetry::NoTimeLeft);
        }
        if self.budget.as_mut().is_some_and(|budget| !budget.spend(now)) {
            return Err(NoRetry::Budget);
        }
        Ok(wait)
    }
}

impl RetryConfig {
    /// The wait before retry `n`, from 0, with jitter. Never above the cap: where a tenth more would be, the wait is drawn
    /// from what remains below it, so that capped waits are spread as well.
    pub fn draw(&self, n: u32, random: &mut Stream) -> Span {
        let wait = self.wait(n).as_ns();
        let (least, most) = match self.jitter {
            Jitter::None => return Span::from_ns(wait),
            Jitter::Full => (0, wait),
            Jitter::Equal => (wait / 2, wait),
            Jitter::PlusMinusTenth => (wait - wait / 10, self.longest(n).as_ns()),
        };
        Span::from_ns(least + random.below(most - least + 1))
    }
}
