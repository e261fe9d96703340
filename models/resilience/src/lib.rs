//! Resilience policies without clocks: time comes in with every call of a method, randomness as a stream.
//!
//! | module | what it holds |
//! | --- | --- |
//! | [`stack`], [`config`] | [`Stack`]: layers of policies around calls, in any order |
//! | [`named`] | stacks for the operations send, receive, sync and consensus |
//! | [`call`], [`event`] | calls, how they end, and every decision with its cause |
//! | [`breaker`] | circuit breakers |
//! | [`bucket`], [`limiter`] | the exact token bucket; rates that follow latencies |
//! | [`bulkhead`] | semaphores, queues and pools of workers |
//! | [`retry`], [`hedge`] | retries with their budgets; second attempts |
//! | [`timeout`] | fixed and adaptive timeouts |
//! | [`health`], [`degradation`], [`flags`] | health checks, levels of degradation, feature flags |
//! | [`shedding`] | dropping calls under load |
//! | [`budget`], [`latency`], [`downtime`] | error budgets, latency budgets, downtime |
//! | [`window`], [`check`] | what was seen lately; why a configuration is refused |
//!
//! Every policy is a machine of its own and usable alone. A [`Stack`] puts them around calls:
//!
//! ```
//! use longhaul_core::random::Streams;
//! use longhaul_core::time::Instant;
//! use longhaul_resilience::named::Operation;
//! use longhaul_resilience::{Call, Outcome, Stack, StackOutput};
//!
//! let config = Operation::Send.stack();
//! config.check().expect("the named stacks pass their check");
//! let mut stack = Stack::new(&config, Streams::new(1, 0).stream("client", "resilience"));
//! let now = Instant::ZERO;
//! stack.call(now, Call::new(7));
//! assert!(matches!(stack.poll(), StackOutput::Start { call: 7, attempt: 1, .. }));
//! stack.attempt_ended(now, 7, 1, Outcome::Success);
//! # while !matches!(stack.poll(), StackOutput::Finished { call: 7, result: Ok(1) }) {}
//! ```

pub mod breaker;
pub mod bucket;
pub mod budget;
pub mod bulkhead;
pub mod call;
pub mod check;
pub mod config;
pub mod degradation;
pub mod downtime;
pub mod event;
pub mod flags;
pub mod health;
pub mod hedge;
pub mod latency;
pub mod limiter;
pub mod named;
#[doc(hidden)]
pub mod planted;
pub mod retry;
pub mod shedding;
pub mod stack;
pub mod timeout;
pub mod window;

use longhaul_core::units::Probability;

pub use call::{Call, CallError, Class, Classes, Failure, Outcome, Priority};
pub use check::{FieldError, Problem, Rate};
pub use config::{ConfigError, LayerConfig, Policy, StackConfig};
pub use event::Event;
pub use stack::{Layer, Stack, StackCounters, StackOutput};

/// A tenth.
const TENTH: Probability = share(1, 10);
/// A fifth.
const FIFTH: Probability = share(1, 5);

/// A share known when compiling.
const fn share(numerator: u64, denominator: u64) -> Probability {
    match Probability::from_parts(Probability::PARTS / denominator * numerator) {
        Some(share) => share,
        None => panic!("a share above one"),
    }
}
