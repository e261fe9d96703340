//! What is refused.

use longhaul_core::time::Span;
use thiserror::Error;

use crate::recovery::MOST_STEPS;

/// Why a fault, a plan or a schedule is refused.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum Error {
    /// Its magnitude is zero.
    #[error("{0} without a magnitude changes nothing")]
    NoEffect(&'static str),
    /// Gradual recovery of something that has no strength.
    #[error("{0} is there or not, and cannot recover gradually")]
    NotGradual(&'static str),
    /// A gradual recovery of no steps, of too many, or of steps without length.
    #[error("a gradual recovery needs 1 to {MOST_STEPS} steps of more than no time")]
    NoSteps,
    /// A fault that lasts until somebody ends it has a duration as well.
    #[error("`{0}` is recovered by hand, so it cannot have a duration")]
    ManualEnds(String),
    /// A recovery by hand of a fault that ends by itself.
    #[error("`{0}` ends by itself, so nobody can recover it")]
    NotManual(String),
    /// A recovery of something that is not injected at that time.
    #[error("`{fault}` is recovered at {at}, and is not injected then")]
    NothingToRecover {
        /// Name of the fault.
        fault: String,
        /// When.
        at: Span,
    },
    /// A duration of zero.
    #[error("`{0}` lasts no time")]
    NoDuration(String),
    /// An interval, a mean, a shape or a probability that is zero or outside its range.
    #[error("the {what} of the process of `{fault}` is zero or outside its range")]
    Range {
        /// Name of the fault.
        fault: String,
        /// Which number.
        what: &'static str,
    },
    /// Two faults of a plan have one name, and so would draw the same random numbers.
    #[error("two faults are called `{0}`")]
    SameName(String),
    /// More injections than a schedule may hold.
    #[error("`{fault}` would be injected more than {most} times")]
    TooMany {
        /// Name of the fault.
        fault: String,
        /// How many a schedule may hold of one fault.
        most: usize,
    },
}
