//! What a link counts, and the books that must balance.

use longhaul_core::time::{Instant, Span};

/// Frames and their bytes, headers included.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Count {
    /// Frames.
    pub packets: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl Count {
    /// Counts one more frame.
    #[inline]
    pub(crate) fn add(&mut self, frame_bytes: u32) {
        self.packets += 1;
        self.bytes += u64::from(frame_bytes);
    }
}

/// What a link has done so far.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct LinkStats {
    /// Frames offered to it.
    pub offered: Count,
    /// Frames that reached the far end.
    pub delivered: Count,
    /// Frames that the loss law took.
    pub lost_by_law: Count,
    /// Frames that found the queue full.
    pub dropped_full: Count,
    /// Most frames that ever waited at once.
    pub max_queue_packets: u64,
    /// Most bytes that ever waited at once.
    pub max_queue_bytes: u64,
    /// Longest time from being ready (after jitter) to the start of transmission.
    pub longest_wait: Span,
    /// When the first frame started.
    pub first_start: Option<Instant>,
}

/// Where the frames offered to a link are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ledger {
    /// Offered to it.
    pub offered: Count,
    /// Reached the far end.
    pub delivered: Count,
    /// Lost by the loss law.
    pub lost_by_law: Count,
    /// Dropped by the full queue.
    pub dropped_full: Count,
    /// Held, waiting, in transmission or in propagation: counted frame by frame, not derived.
    pub inside: Count,
}

impl Ledger {
    /// Whether offered = delivered + lost + dropped + inside, in frames and in bytes.
    pub fn balances(&self) -> bool {
        let parts = [self.delivered, self.lost_by_law, self.dropped_full, self.inside];
        let packets: u64 = parts.iter().map(|part| part.packets).sum();
        let bytes: u64 = parts.iter().map(|part| part.bytes).sum();
        (packets, bytes) == (self.offered.packets, self.offered.bytes)
    }
}
