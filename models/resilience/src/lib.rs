//! Resilience policies without clocks: time comes in with every call of a method.

pub mod breaker;
pub mod bucket;
pub mod budget;
pub mod bulkhead;
pub mod call;
pub mod check;
pub mod config;
pub mod degradation;
pub mod event;
pub mod hedge;
pub mod latency;
pub mod limiter;
pub mod retry;
pub mod shedding;
pub mod stack;
pub mod timeout;

use longhaul_core::units::Probability;

pub use call::{Call, CallError, Class, Classes, Failure, Outcome, Priority};
pub use check::{FieldError, Problem, Rate};
pub use config::{ConfigError, LayerConfig, Policy, StackConfig};
pub use event::Event;
pub use stack::{Stack, StackOutput};

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
