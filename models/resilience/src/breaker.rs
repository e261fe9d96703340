//! The circuit breaker.

use serde::{Deserialize, Serialize};

use longhaul_core::time::Span;
use longhaul_core::units::Probability;

use crate::call::Classes;
use crate::check::{COUNT_MAX, Check, FieldError, Problem};

/// When a closed breaker opens.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Trip {
    /// After so many failures in a row.
    Consecutive {
        /// How many; 1 to 10^6.
        failures: u32,
    },
    /// When the share of failures among the last calls is too high.
    CountWindow {
        /// How many calls the window holds; 1 to 10^6.
        calls: u32,
        /// Opens at this share and above; above zero.
        failure_rate: Probability,
        /// Below so many calls it stays closed; 1 to `calls`.
        minimum: u32,
    },
    /// When the share of failures during the last while is too high. The window advances in ten steps.
    TimeWindow {
        /// How long the window is; above zero.
        window: Span,
        /// Opens at this share and above; above zero.
        failure_rate: Probability,
        /// Below so many calls it stays closed; 1 to 10^6.
        minimum: u32,
    },
}

/// How a breaker works.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BreakerConfig {
    /// When it opens.
    pub trip: Trip,
    /// How long it stays open: the first call *after* that is a trial. Above zero.
    pub open: Span,
    /// Up to this share of `open` is added to it, drawn uniformly each time, so that breakers that opened together do
    /// not try together.
    pub open_jitter: Probability,
    /// How many trials may run at once while half-open; 1 to 10^6.
    pub permits: u32,
    /// How many trials must succeed to close it; 1 to 10^6.
    pub successes: u32,
    /// What counts as a failure. Other failures count neither way.
    pub counts: Classes,
}

impl BreakerConfig {
    /// Opens after `failures` failures in a row for `open` and 0 to 10 % longer; three trials, of which all must
    /// succeed; everything counts that says something about the server.
    pub const fn consecutive(failures: u32, open: Span) -> BreakerConfig {
        BreakerConfig {
            trip: Trip::Consecutive { failures },
            open,
            open_jitter: crate::TENTH,
            permits: 3,
            successes: 3,
            counts: Classes::ANSWERS,
        }
    }

    /// # Errors
    /// Counts, times and rates of zero or beyond sense, and a minimum that the window cannot hold.
    pub fn check(&self) -> Result<(), Vec<FieldError>> {
        let mut check = Check::default();
        match self.trip {
            Trip::Consecutive { failures } => check.count("trip.failures", failures, COUNT_MAX),
            Trip::CountWindow {
                calls,
                failure_rate,
                minimum,
            } => {
                check.count("trip.calls", calls, COUNT_MAX);
                check.positive("trip.failure_rate", failure_rate);
                check.count("trip.minimum", minimum, calls.max(1));
            }
            Trip::TimeWindow {
                window,
                failure_rate,
                minimum,
            } => {
                check.span("trip.window", window);
                check.positive("trip.failure_rate", failure_rate);
                check.count("trip.minimum", minimum, COUNT_MAX);
            }
        }
        check.span("open", self.open);
        check.count("permits", self.permits, COUNT_MAX);
        check.count("successes", self.successes, COUNT_MAX);
        if self.counts.is_empty() {
            check.fail(
                "counts",
                Problem::Contradiction("nothing counts as a failure".to_owned()),
            );
        }
        check.done()
    }
}

/// What a breaker is doing. The numbers are those of the usual gauge.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum BreakerState {
    /// Lets everything through.
    Closed = 0,
    /// Lets trials through.
    HalfOpen = 1,
    /// Lets nothing through.
    Open = 2,
}

/// Why a breaker changed its state.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum BreakerCause {
    /// So many failures in a row.
    Consecutive {
        /// How many.
        failures: u32,
    },
    /// Too high a share of failures in the window.
    FailureRate {
        /// Failures in the window.
        failures: u64,
        /// Calls in the window.
        calls: u64,
    },
    /// The open time was over when a call came.
    OpenTimeOver,
    /// A trial failed.
    TrialFailed,
    /// Enough trials succeeded.
    TrialsSucceeded {
        /// How many.
        successes: u32,
    },
    /// A call that began in an earlier state ended. No breaker does that unless a bug was planted.
    LateSuccess,
}
