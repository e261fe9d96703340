//! Records of routes that a controller installs.

use serde::{Deserialize, Serialize};

/// The routes of one pair of regions.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RouteRecord {
    /// `from->to`.
    pub name: String,
    /// Where they start.
    pub from: String,
    /// Where they end.
    pub to: String,
    /// Routes that were replaced because they had failed.
    pub failovers: u64,
    /// Routes that were replaced by better ones.
    pub reroutes: u64,
    /// Routes that failed with no other in their place.
    pub losses: u64,
    /// How long it had no route, from the first traffic on.
    pub without_route_ns: u64,
}
