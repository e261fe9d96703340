//! Records of demands.

use serde::{Deserialize, Serialize};

/// Traffic of many from one region to another, known by its mean rate.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct DemandRecord {
    /// `from->to`.
    pub name: String,
    /// Where it starts.
    pub from: String,
    /// Where it goes.
    pub to: String,
    /// Mean rate in bit/s, headers included.
    pub rate_bits_per_s: u64,
    /// What was to be sent during the run.
    pub offered_bytes: u64,
    /// What of that the links on its paths could carry.
    pub arrived_bytes: u64,
}
