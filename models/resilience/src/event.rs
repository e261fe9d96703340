//! What a stack reports: every decision with its cause. That a call was let through without more ado is told by
//! [`StackOutput::Start`](crate::StackOutput::Start) alone.

use serde::Serialize;

use longhaul_core::time::Span;

use crate::breaker::{BreakerCause, BreakerState};
use crate::budget::Burn;
use crate::call::CallError;
use crate::check::Rate;
use crate::degradation::{Level, LevelCause};
use crate::limiter::LimitCause;
use crate::retry::NoRetry;

/// A decision of a stack. `layer` is the place in [`StackConfig::layers`](crate::StackConfig::layers).
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub enum Event {
    /// A layer refused a call.
    Refused {
        /// Which call.
        call: u64,
        /// Which layer.
        layer: u16,
        /// Why.
        why: CallError,
    },
    /// A call waits for a permit.
    Queued {
        /// Which call.
        call: u64,
        /// Which layer.
        layer: u16,
        /// How many wait, with it.
        waiting: u32,
    },
    /// A call that waited got its permit.
    Dequeued {
        /// Which call.
        call: u64,
        /// Which layer.
        layer: u16,
        /// How long it waited.
        waited: Span,
    },
    /// A breaker changed its state.
    Breaker {
        /// Which layer.
        layer: u16,
        /// What it was.
        from: BreakerState,
        /// What it is.
        to: BreakerState,
        /// Why.
        cause: BreakerCause,
    },
    /// A failed attempt will be retried.
    Retry {
        /// Which call.
        call: u64,
        /// Which layer.
        layer: u16,
        /// Which retry of this layer for this call, from 1.
        retry: u32,
        /// After how long.
        delay: Span,
        /// What failed.
        after: CallError,
    },
    /// A failed attempt will not be retried.
    NoRetry {
        /// Which call.
        call: u64,
        /// Which layer.
        layer: u16,
        /// Why not.
        why: NoRetry,
        /// What failed.
        after: CallError,
    },
    /// A timeout ended what was inside it.
    TimedOut {
        /// Which call.
        call: u64,
        /// Which layer.
        layer: u16,
        /// After how long.
        after: Span,
    },
    /// A call's own deadline passed.
    DeadlinePassed {
        /// Which call.
        call: u64,
    },
    /// Another attempt goes out beside those that run.
    Hedge {
        /// Which call.
        call: u64,
        /// Which layer.
        layer: u16,
        /// Which hedge of this layer for this call, from 1.
        hedge: u32,
        /// How long the first one has run.
        after: Span,
    },
    /// No other attempt goes out, since the budget is spent.
    NoHedge {
        /// Which call.
        call: u64,
        /// Which layer.
        layer: u16,
    },
    /// A limiter changed its rate.
    Limit {
        /// Which layer.
        layer: u16,
        /// What it was.
        from: Rate,
        /// What it is.
        to: Rate,
        /// Why.
        cause: LimitCause,
    },
    /// A service cut back, or came back.
    Level {
        /// Which layer.
        layer: u16,
        /// What it was.
        from: Level,
        /// What it is.
        to: Level,
        /// Why.
        cause: LevelCause,
    },
    /// An error budget was used up, or has something left again.
    ErrorBudget {
        /// Which layer.
        layer: u16,
        /// Whether it is used up.
        exhausted: bool,
        /// Failures in the window.
        failed: u64,
        /// Calls in the window.
        calls: u64,
    },
    /// An error budget began or ceased to burn too fast.
    Burning {
        /// Which layer.
        layer: u16,
        /// Which pair of windows.
        burn: Burn,
        /// Whether it burns.
        burning: bool,
    },
    /// A latency budget is exceeded, or kept again.
    LatencyBudget {
        /// Which layer.
        layer: u16,
        /// Whether it is exceeded.
        exceeded: bool,
        /// The 95th percentile.
        p95: Span,
    },
    /// A call's number was in use by another one; the new call was not taken, and will not be finished.
    Duplicate {
        /// Which number.
        call: u64,
    },
}
