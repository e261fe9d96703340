//! What a link must know of a packet, and may do to it.

use std::fmt::Debug;

/// A packet as links see it: a small value that they carry without looking inside.
pub trait Frame: Copy {
    /// What a link keeps of every packet on its way: there are many, so it should be small.
    type Common: Copy + Debug;
    /// What it keeps besides of those few that have it.
    type Rare: Copy + Debug;

    /// Takes the packet apart.
    fn split(self) -> (Self::Common, Option<Self::Rare>);

    /// The packet that [`Frame::split`] took apart.
    fn join(common: Self::Common, rare: Option<Self::Rare>) -> Self;

    /// Number of the flow that it belongs to: FQ-CoDel keeps flows apart by it. Packets with one number are
    /// delivered in order unless the link reorders.
    fn flow(&self) -> u64;

    /// Its traffic class: HTB sorts packets by it.
    fn class(&self) -> u8 {
        0
    }

    /// Whether a queue may mark it instead of dropping it (RFC 3168).
    fn ecn_capable(&self) -> bool {
        false
    }

    /// Sets the congestion-experienced mark. Called on packets that are [`ecn_capable`](Frame::ecn_capable) only.
    fn mark_congestion(&mut self) {}

    /// Damages it: it travels on and takes its place, but the receiving host's checksum will refuse it.
    fn damage(&mut self);
}
