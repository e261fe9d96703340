//! What `longhaul what-if` found: how a network bears its demands, whole and after failures.

use serde::{Deserialize, Serialize};

/// Version of this form.
pub const WHAT_IF_FORMAT: u32 = 1;

/// How a network bears its demands.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct WhatIfRecord {
    /// [`WHAT_IF_FORMAT`].
    pub format: u32,
    /// The scenario's name.
    pub scenario: String,
    /// Demands.
    pub demands: u64,
    /// Their sum in bit/s.
    pub demand_bits_per_s: u64,
    /// Links that fail alone: each with both directions.
    pub failures: u64,
    /// How many fail at once at most.
    pub at_once: u64,
    /// What each link is weighed by on the way of a demand.
    pub metric: String,
    /// The whole network.
    pub whole: ImpactRecord,
    /// The lowest utilisation that any spreading over the whole network attains in its busiest link, in millionths, with a
    /// bound that none can beat; none where no solver gave an answer.
    pub optimum: Option<OptimumRecord>,
    /// After each failure, the worst first: by what has no way, then by the highest utilisation.
    pub after: Vec<ImpactRecord>,
}

/// What the best spreading attains.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct OptimumRecord {
    /// Utilisation of the busiest link in millionths.
    pub utilisation_ppm: u64,
    /// What no spreading can beat, in millionths.
    pub bound_ppm: u64,
    /// `linear program` or `approximation`.
    pub method: String,
}

/// The network with some links down.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ImpactRecord {
    /// Which links failed; none for the whole network.
    pub down: Vec<String>,
    /// Demand without a way in bit/s.
    pub unrouted_bits_per_s: u64,
    /// Utilisation of the busiest link in millionths; above a million it cannot carry what it is offered.
    pub utilisation_ppm: u64,
    /// The busiest link.
    pub busiest: Option<String>,
}
