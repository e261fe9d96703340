//! Degradation: four levels that follow the error rate and the latency.

use serde::{Deserialize, Serialize};

use longhaul_core::time::{Instant, Span};
use longhaul_core::units::Probability;

use crate::call::{CallError, Priority};
use crate::check::{Check, FieldError};
use crate::window::{Latest, Outcomes};

/// How far a service has cut back.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
pub enum Level {
    /// Not at all.
    #[default]
    Normal,
    /// Worth telling; everything still runs.
    Degraded,
    /// What is not needed is left out.
    Severe,
    /// Nothing runs but what must.
    Emergency,
}

/// How levels are found: strictly above a threshold the level is [`Level::Degraded`], above 1.5 × [`Level::Severe`], above
/// 2 × [`Level::Emergency`]; the worse of the two measures counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DegradationConfig {
    /// The threshold of the error rate; above zero.
    pub error_rate: Probability,
    /// The threshold of the latency's 95th percentile; above zero.
    pub latency: Span,
    /// How many calls both are taken from; 1 to 10^4.
    pub window: u32,
    /// Below so many calls since the last change the level stays: each level is judged by what was seen in it. 1 to `window`.
    pub minimum: u32,
    /// The level falls when the measures, enlarged by this share of the thresholds, would still be lower: the hysteresis.
    /// At 0.1 a service whose threshold is 100 ms comes back at 90 ms.
    pub margin: Probability,
    /// The level falls after it has been lower for this long. Zero: at once.
    pub hold: Span,
    /// In an emergency, calls of this priority and above are let through.
    pub emergency_admits: Priority,
    /// Of the others one is let through in this time, since otherwise nobody would notice when the emergency is over;
    /// above zero.
    pub emergency_probe: Span,
}

impl DegradationConfig {
    /// # Errors
    /// Thresholds and windows of zero or beyond sense, a minimum that the window cannot hold, and a margin that no
    /// measure could come below.
    pub fn check(&self) -> Result<(), Vec<FieldError>> {
        let mut check = Check::default();
        check.positive("error_rate", self.error_rate);
        check.span("latency", self.latency);
        check.count("window", self.window, 10_000);
        check.count("minimum", self.minimum, self.window.max(1));
        if self.margin == Probability::ONE {
            check.contradiction("margin", "at 100% the level would never fall");
        }
        check.span_or_zero("hold", self.hold);
        check.span("emergency_probe", self.emergency_probe);
        check.done()
    }
}

/// Why a level changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum LevelCause {
    /// What was measured.
    Measured {
        /// The error rate.
        error_rate: Probability,
        /// The latency's 95th percentile.
        p95: Span,
    },
    /// An error budget was used up.
    BudgetExhausted,
    /// Someone outside asks for a level at least this high, such as a health check.
    Floor {
        /// Which one.
        floor: Level,
    },
    /// What asked for it has ended.
    FloorLifted,
}

impl DegradationConfig {
    /// The level of these measures, without hysteresis.
    pub fn level(&self, error_rate: Probability, latency: Span) -> Level {
        self.enlarged(error_rate, latency, Probability::ZERO)
    }

    /// The level of measures enlarged by a share of their thresholds.
    fn enlarged(&self, error_rate: Probability, latency: Span, by: Probability) -> Level {
        let parts = u128::from(Probability::PARTS);
        let of = |value: u64, threshold: u64| {
            // In parts of 10^-12 of the unit, so that the share is exact.
            let (value, threshold) = (u128::from(value) * parts, u128::from(threshold));
            let value = value + threshold * u128::from(by.as_parts());
            let threshold = threshold * parts;
            if value > 2 * threshold {
                Level::Emergency
            } else if 2 * value > 3 * threshold {
                Level::Severe
            } else if value > threshold {
                Level::Degraded
            } else {
                Level::Normal
            }
        };
        let errors = of(error_rate.as_parts(), self.error_rate.as_parts());
        errors.max(of(latency.as_ns(), self.latency.as_ns()))
    }
}

/// Which of its implementations a service runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Variant {
    /// The usual one.
    Normal,
    /// A cheaper one.
    Degraded,
    /// What must run in any case.
    Emergency,
}

impl Level {
    /// What to run at this level: the usual up to [`Level::Degraded`], at [`Level::Severe`] the cheaper one if there is one.
    ///
    /// # Errors
    /// [`CallError::Emergency`] in an emergency without anything for it.
    pub fn variant(self, has_degraded: bool, has_emergency: bool) -> Result<Variant, CallError> {
        match self {
            Level::Normal | Level::Degraded => Ok(Variant::Normal),
            Level::Severe if has_degraded => Ok(Variant::Degraded),
            Level::Severe => Ok(Variant::Normal),
            Level::Emergency if has_emergency => Ok(Variant::Emergency),
            Level::Emergency => Err(CallError::Emergency),
        }
    }

    /// The level of a system: the highest one of its components.
    pub fn of_system(components: impl IntoIterator<Item = Level>) -> Level {
        components.into_iter().max().unwrap_or_default()
    }
}

/// A change of level.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LevelChange {
    /// What it was.
    pub from: Level,
    /// What it is.
    pub to: Level,
    /// Why.
    pub cause: LevelCause,
}

/// Measures calls and follows the levels.
#[derive(Clone, Debug)]
pub struct Degradation {
    config: DegradationConfig,
    outcomes: Outcomes,
    latencies: Latest,
    measured: Level,
    lower_since: Option<Instant>,
    floor: Level,
    budget_exhausted: bool,
    probe_at: Instant,
}

impl Degradation {
    /// At [`Level::Normal`]. The configuration should have passed its check.
    pub fn new(config: &DegradationConfig) -> Degradation {
        Degradation {
            config: *config,
            outcomes: Outcomes::new(config.window),
            latencies: Latest::new(config.window),
            measured: Level::Normal,
            lower_since: None,
            floor: Level::Normal,
            budget_exhausted: false,
            probe_at: Instant::ZERO,
        }
    }

    /// The level: the highest of what was measured, what was asked for, and [`Level::Degraded`] while the budget is used up.
    pub fn level(&self) -> Level {
        let budget = if self.budget_exhausted {
            Level::Degraded
        } else {
            Level::Normal
        };
        self.measured.max(self.floor).max(budget)
    }

    /// Whether a call is let through.
    #[inline]
    pub fn admits(&mut self, now: Instant, priority: Priority) -> bool {
        if self.level() < Level::Emergency || priority >= self.config.emergency_admits {
            return true;
        }
        let probe = now >= self.probe_at;
        if probe {
            self.probe_at = now.saturating_add(self.config.emergency_probe);
        }
        probe
    }

    /// A call has ended. `latency` is left out where it says nothing, as with failures that came at once.
    pub fn record(&mut self, now: Instant, failed: bool, latency: Option<Span>) -> Option<LevelChange> {
        self.outcomes.push(failed);
        if let Some(latency) = latency {
            self.latencies.push(latency.as_ns());
        }
        if self.outcomes.len() < self.config.minimum {
            return None;
        }
        let (failures, calls) = (self.outcomes.failures(), self.outcomes.len());
        let error_rate = Probability::from_ratio(u64::from(failures), u64::from(calls));
        let error_rate = error_rate.expect("no more failures than calls");
        let p95 = Span::from_ns(self.latencies.p95().unwrap_or_default());
        let now_at = self.config.level(error_rate, p95);
        let to = if now_at > self.measured {
            now_at
        } else {
            let lower = self.config.enlarged(error_rate, p95, self.config.margin);
            if lower >= self.measured {
                self.lower_since = None;
                return None;
            }
            let since = *self.lower_since.get_or_insert(now);
            if now.saturating_since(since) < self.config.hold {
                return None;
            }
            lower
        };
        let from = self.level();
        self.measured = to;
        self.lower_since = None;
        self.outcomes.clear();
        self.latencies.clear();
        self.changed(now, from, LevelCause::Measured { error_rate, p95 })
    }

    /// Asks for a level of at least `floor`, until told otherwise.
    pub fn set_floor(&mut self, now: Instant, floor: Level) -> Option<LevelChange> {
        let from = self.level();
        self.floor = floor;
        let cause = if floor > from {
            LevelCause::Floor { floor }
        } else {
            LevelCause::FloorLifted
        };
        self.changed(now, from, cause)
    }

    /// Says whether an error budget is used up.
    pub fn set_budget(&mut self, now: Instant, exhausted: bool) -> Option<LevelChange> {
        let from = self.level();
        self.budget_exhausted = exhausted;
        let cause = if exhausted {
            LevelCause::BudgetExhausted
        } else {
            LevelCause::FloorLifted
        };
        self.changed(now, from, cause)
    }

    fn changed(&mut self, now: Instant, from: Level, cause: LevelCause) -> Option<LevelChange> {
        let to = self.level();
        if to == Level::Emergency && from < to {
            self.probe_at = now.saturating_add(self.config.emergency_probe);
        }
        (from != to).then_some(LevelChange { from, to, cause })
    }
}
