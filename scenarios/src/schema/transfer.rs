//! Bulk transfers.

use longhaul_core::time::Span;
use longhaul_core::units::ByteSize;

use super::Tcp;

/// A bulk transfer: every connection carries an equal share, or what it can until the time is up; then both sides
/// close.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Transfer {
    /// Unique among migrations and transfers.
    pub name: String,
    /// Region of the sender.
    pub from: String,
    /// Region of the receiver.
    pub to: String,
    /// How much is sent.
    pub amount: Amount,
    /// When it starts.
    pub at: Span,
    /// TCP connections, 1 to 256, at most one per byte.
    pub streams: u32,
    /// Time that each call (open, write, finish) of the sending application takes, at most 1 s.
    pub call_time: Span,
    /// The connections.
    pub tcp: Tcp,
}

/// How much a transfer sends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Amount {
    /// So many bytes in all.
    Size(ByteSize),
    /// As much as goes in this time, above zero.
    Duration(Span),
}
