//! Traffic engineering: how to spread demands over paths so that the links can carry them, also when some have failed.
//!
//! - [`min_max_utilisation`], [`max_flow`]: the optimum by a linear program, over all paths;
//! - [`smallest_cut`]: the most that one demand can get, exactly;
//! - [`approximate_min_max`], [`approximate_max_flow`]: nearly the optimum on networks that no linear program can take;
//! - [`tunnels`], [`survive`], [`least_risk`]: rates on given paths that survive failures;
//! - [`Scenarios`], [`availability`]: what fails how often, and what of the demand is delivered then;
//! - [`WhatIf`]: equal-cost routing after every single and double failure;
//! - [`Class`], [`by_class`]: classes of service in strict priority.
//!
//! An optimum comes with a bound that no solution can beat, computed from link prices alone and not from what the solver
//! claims, so [`Optimum::gap`] is a proof. Results are doubles; they are the same bits in debug and release builds.

mod allocation;
mod approximate;
mod availability;
mod bound;
mod class;
mod cut;
mod exact;
mod failure;
mod flows;
mod lp;
mod packing;
mod robust;
mod tunnel;
mod what_if;

pub use allocation::{Allocation, Share};
pub use approximate::{Effort, approximate_min_max};
pub use availability::{Delivered, Outcome, availability, delivered, throughput_at};
pub use class::{Class, by_class};
pub use cut::smallest_cut;
pub use exact::{max_flow, min_max_utilisation};
pub use failure::{Scenario, Scenarios};
pub use flows::{Flows, Optimum};
pub use packing::approximate_max_flow;
pub use robust::{Grant, least_risk, survive};
pub use tunnel::{Tunnels, tunnels};
pub use what_if::{Impact, WhatIf, worst_first};

use thiserror::Error;

/// Why there is no answer.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum TeError {
    /// No path with capacity leads from one region to the other.
    #[error("no path with capacity leads from \"{from}\" to \"{to}\"")]
    Unroutable {
        /// Where the demand starts.
        from: String,
        /// Where it ends.
        to: String,
    },
    /// The solver of linear programs stopped without a solution.
    #[error("the linear program was not solved: {0}")]
    Solver(String),
    /// The problem is larger than a linear program can sensibly be.
    #[error("a linear program of {0} variables is too large")]
    TooLarge(usize),
}
