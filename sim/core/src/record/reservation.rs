//! Records of reservations.

use serde::{Deserialize, Serialize};

/// What became of a reservation.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum ReservationOutcome {
    /// It was not asked for before the end of the run.
    NotRequested,
    /// It was admitted, and is in force, or was until its end.
    Admitted,
    /// No path had the rate left.
    Refused,
    /// One of higher priority took its place.
    Displaced,
}

/// A rate that was reserved, or was to be.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ReservationRecord {
    /// Name.
    pub name: String,
    /// Where it starts.
    pub from: String,
    /// Where it ends.
    pub to: String,
    /// The rate in bit/s.
    pub rate_bits_per_s: u64,
    /// When it was to begin.
    pub start_ns: u64,
    /// When it was to end.
    pub end_ns: u64,
    /// How important it is.
    pub priority: u8,
    /// What became of it.
    pub outcome: ReservationOutcome,
    /// The links of its path, in order; none if it was refused.
    pub path: Vec<String>,
    /// Why it was refused, or by whom it was displaced.
    pub reason: Option<String>,
    /// How long it was in force.
    pub held_ns: u64,
}
