//! What goes through a stack: calls, how their attempts end, and how they end themselves.

use serde::{Deserialize, Serialize};

use longhaul_core::time::Instant;

/// How much a call matters when not all of them can be served; the later ones matter more.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
pub enum Priority {
    /// Nobody waits for it.
    Background,
    /// The usual.
    #[default]
    Normal,
    /// Must get through if anything does.
    Critical,
}

/// One logical call, which may take several attempts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Call {
    /// The caller's number for it, unique while the call is open.
    pub id: u64,
    /// Whether doing it twice is the same as doing it once. Others are neither retried nor hedged unless the policy
    /// says so.
    pub idempotent: bool,
    /// How much it matters.
    pub priority: Priority,
    /// When its answer is of no more use. Every attempt ends by then.
    pub deadline: Option<Instant>,
}

impl Call {
    /// An idempotent call of normal priority without a deadline.
    pub const fn new(id: u64) -> Call {
        Call {
            id,
            idempotent: true,
            priority: Priority::Normal,
            deadline: None,
        }
    }
}

/// Why an attempt failed. That it took too long is found by the stack itself.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Failure {
    /// The server answered with an error.
    Error,
    /// The server refused for want of capacity (HTTP 503, gRPC `RESOURCE_EXHAUSTED`).
    Overloaded,
    /// No connection, or no address for the name.
    Unreachable,
    /// An error that a retry cannot mend (HTTP 400, gRPC `INVALID_ARGUMENT`).
    Fatal,
}

/// How an attempt ended, as the caller saw it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Outcome {
    /// With what was asked for.
    Success,
    /// Otherwise.
    Failure(Failure),
}

/// Why a call failed: which policy refused it, or how its last attempt failed. `attempts` counts what was started for
/// the call until then, retries and hedges included.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, thiserror::Error)]
pub enum CallError {
    /// A rate limiter had no token.
    #[error("refused by the rate limiter")]
    RateLimited,
    /// A bulkhead had neither a permit nor a place in its queue.
    #[error("refused by the bulkhead")]
    BulkheadFull,
    /// A bulkhead had no permit within its longest wait.
    #[error("waited too long in the bulkhead's queue")]
    BulkheadTimeout,
    /// A circuit breaker was open, or half-open with all its permits in use.
    #[error("refused by the circuit breaker")]
    BreakerOpen,
    /// Dropped because of the load.
    #[error("shed because of the load")]
    Shed,
    /// Refused by a service in emergency.
    #[error("refused in emergency")]
    Emergency,
    /// A timeout ended it.
    #[error("timed out after {attempts} attempts")]
    TimedOut {
        /// Attempts started until then.
        attempts: u32,
    },
    /// Its own deadline ended it, or had passed before it began.
    #[error("its deadline passed after {attempts} attempts")]
    DeadlineExceeded {
        /// Attempts started until then.
        attempts: u32,
    },
    /// Its caller did not want it any more.
    #[error("cancelled by its caller after {attempts} attempts")]
    Cancelled {
        /// Attempts started until then.
        attempts: u32,
    },
    /// The last retry that the policy allows failed as well.
    #[error("retries exhausted after {attempts} attempts, the last of which failed: {last:?}")]
    RetriesExhausted {
        /// Attempts started until then.
        attempts: u32,
        /// How the last one failed.
        last: Failure,
    },
    /// An attempt failed and was not retried.
    #[error("failed after {attempts} attempts: {failure:?}")]
    Failed {
        /// Attempts started until then.
        attempts: u32,
        /// How the last one failed.
        failure: Failure,
    },
}

/// Kinds of failure, as [`Classes`] tells them apart.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Class {
    /// [`Failure::Error`].
    Error,
    /// [`Failure::Overloaded`].
    Overloaded,
    /// [`Failure::Unreachable`].
    Unreachable,
    /// [`Failure::Fatal`].
    Fatal,
    /// A timeout, a deadline or its caller ended it.
    Timeout,
    /// A policy of the same stack refused it, so that the server was not asked.
    Refused,
}

impl From<Failure> for Class {
    fn from(failure: Failure) -> Class {
        match failure {
            Failure::Error => Class::Error,
            Failure::Overloaded => Class::Overloaded,
            Failure::Unreachable => Class::Unreachable,
            Failure::Fatal => Class::Fatal,
        }
    }
}

impl CallError {
    /// Which kind of failure this is.
    pub fn class(self) -> Class {
        match self {
            CallError::RateLimited
            | CallError::BulkheadFull
            | CallError::BulkheadTimeout
            | CallError::BreakerOpen
            | CallError::Shed
            | CallError::Emergency => Class::Refused,
            CallError::TimedOut { .. } | CallError::DeadlineExceeded { .. } | CallError::Cancelled { .. } => {
                Class::Timeout
            }
            CallError::RetriesExhausted { last: failure, .. } | CallError::Failed { failure, .. } => {
                failure.into()
            }
        }
    }

    /// The failure of the last attempt, if that is how the call ended.
    pub fn cause(self) -> Option<Failure> {
        match self {
            CallError::RetriesExhausted { last: failure, .. } | CallError::Failed { failure, .. } => {
                Some(failure)
            }
            _ => None,
        }
    }
}

/// A set of [`Class`]es.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Classes {
    /// The server answered with an error.
    pub error: bool,
    /// The server refused for want of capacity.
    pub overloaded: bool,
    /// No connection, or no address for the name.
    pub unreachable: bool,
    /// An error that a retry cannot mend.
    pub fatal: bool,
    /// A timeout or a deadline ended it.
    pub timeout: bool,
    /// A policy further inside refused it.
    pub refused: bool,
}

impl Classes {
    /// What may go better next time: everything but fatal errors and refusals of the stack's own policies.
    pub const TRANSIENT: Classes = Classes {
        fatal: false,
        ..Classes::ANSWERS
    };
    /// Every failure that says something about the server: everything but refusals of the stack's own policies.
    pub const ANSWERS: Classes = Classes {
        error: true,
        overloaded: true,
        unreachable: true,
        fatal: true,
        timeout: true,
        refused: false,
    };

    /// Whether `class` is among them.
    #[inline]
    pub const fn contains(&self, class: Class) -> bool {
        match class {
            Class::Error => self.error,
            Class::Overloaded => self.overloaded,
            Class::Unreachable => self.unreachable,
            Class::Fatal => self.fatal,
            Class::Timeout => self.timeout,
            Class::Refused => self.refused,
        }
    }

    /// Whether nothing is in the set.
    pub const fn is_empty(&self) -> bool {
        !(self.error || self.overloaded || self.unreachable || self.fatal || self.timeout || self.refused)
    }
}
