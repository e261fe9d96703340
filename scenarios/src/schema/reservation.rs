//! Reservations of bandwidth.

use longhaul_core::time::Span;
use longhaul_core::units::BitRate;

/// A rate that is reserved on a path for a time.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reservation {
    /// Unique among everything that moves.
    pub name: String,
    /// Region where the path starts.
    pub from: String,
    /// Region where it ends.
    pub to: String,
    /// How much, above zero.
    pub rate: BitRate,
    /// When it is asked for.
    pub requested: Span,
    /// When it begins, not before it is asked for.
    pub start: Span,
    /// When it ends.
    pub end: Span,
    /// How important it is: it displaces others of strictly lower priority.
    pub priority: u8,
}
