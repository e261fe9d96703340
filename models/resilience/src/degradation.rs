//! Degradation: four levels that follow the error rate and the latency.

use serde::{Deserialize, Serialize};

use longhaul_core::time::Span;
use longhaul_core::units::Probability;

use crate::call::Priority;
use crate::check::{Check, FieldError};

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
    /// Below so many calls the level stays; 1 to `window`.
    pub minimum: u32,
    /// The level falls when the measures, enlarged by this share of the thresholds, would still be lower: the hysteresis.
    /// At 0.1 a service whose threshold is 100 ms comes back at 90 ms.
    pub margin: Probability,
    /// The level falls after it has been lower for this long. Zero: at once.
    pub hold: Span,
    /// In an emergency, calls of this priority and above are let through, and no others.
    pub emergency_admits: Priority,
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
