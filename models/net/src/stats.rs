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

    /// Counts one frame less.
    #[inline]
    pub(crate) fn remove(&mut self, frame_bytes: u32) {
        self.packets -= 1;
        self.bytes -= u64::from(frame_bytes);
    }

    /// Counts what `other` counts, too.
    pub(crate) fn join(&mut self, other: Count) {
        self.packets += other.packets;
        self.bytes += other.bytes;
    }

    /// Counts no more what `other` counts.
    pub(crate) fn take(&mut self, other: Count) {
        self.packets -= other.packets;
        self.bytes -= other.bytes;
    }

    fn sum(counts: &[Count]) -> Count {
        Count {
            packets: counts.iter().map(|count| count.packets).sum(),
            bytes: counts.iter().map(|count| count.bytes).sum(),
        }
    }
}

/// What a link has done so far. Background traffic is counted apart, except in the figures of the queue and the
/// serialiser, which it shares.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct LinkStats {
    /// Frames offered to it.
    pub offered: Count,
    /// Copies that the duplication law added to them.
    pub duplicated: Count,
    /// Frames that reached the far end as they were offered.
    pub delivered: Count,
    /// Frames that reached the far end damaged by this link. The receiving host will discard them.
    pub corrupted: Count,
    /// Frames that the loss law took.
    pub lost_by_law: Count,
    /// Frames that found no room, or were dropped to make some.
    pub dropped_full: Count,
    /// Frames that CoDel dropped to shorten the queue.
    pub dropped_early: Count,
    /// Frames lost because the link failed: those inside it then, and those offered until it came back.
    pub lost_down: Count,
    /// Frames that CoDel marked instead. They are among the others, too.
    pub marked: Count,
    /// Most frames that ever waited at once.
    pub max_queue_packets: u64,
    /// Most bytes that ever waited at once.
    pub max_queue_bytes: u64,
    /// Longest time from being ready (after jitter) to the start of transmission. A drop-tail queue foresees it when
    /// the frame is offered, also for one that a failure takes out before.
    pub longest_wait: Span,
    /// When the first frame started.
    pub first_start: Option<Instant>,
    /// Traffic of others.
    pub background: BackgroundStats,
}

/// What became of background traffic, up to the last time that the link was touched.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct BackgroundStats {
    /// Frames that came.
    pub offered: Count,
    /// Frames that the serialiser has taken or will certainly take.
    pub carried: Count,
    /// Frames that found no room, or were dropped to make some.
    pub dropped_full: Count,
    /// Frames that CoDel dropped to shorten the queue.
    pub dropped_early: Count,
    /// Frames lost because the link failed: those that waited then, and those that came until it was back.
    pub lost_down: Count,
}

/// Where the frames offered to a link are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ledger {
    /// What the link has counted.
    pub stats: LinkStats,
    /// Held, waiting, in transmission or in propagation: counted frame by frame, not derived.
    pub inside: Count,
    /// Background traffic that waits and may still be dropped, counted frame by frame.
    pub background_waiting: Count,
}

impl Ledger {
    /// Whether offered + duplicated = delivered + corrupted + lost + dropped + inside, and for background
    /// traffic offered = carried + dropped + lost + waiting, in frames and in bytes.
    pub fn balances(&self) -> bool {
        let stats = &self.stats;
        let sources = [stats.offered, stats.duplicated];
        let places = [
            stats.delivered,
            stats.corrupted,
            stats.lost_by_law,
            stats.dropped_full,
            stats.dropped_early,
            stats.lost_down,
            self.inside,
        ];
        let foreign = [
            stats.background.carried,
            stats.background.dropped_full,
            stats.background.dropped_early,
            stats.background.lost_down,
            self.background_waiting,
        ];
        Count::sum(&sources) == Count::sum(&places) && stats.background.offered == Count::sum(&foreign)
    }
}
