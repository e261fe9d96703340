//! What a source measures, under QEMU's names (`query-migrate`).

use longhaul_amst::SenderStats;
use longhaul_core::time::Span;
use longhaul_core::units::BitRate;
use longhaul_hde::EncoderStats;
use serde::{Deserialize, Serialize};

/// A snapshot of a migration. Times are since the command to start.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Statistics {
    /// From the start until now; once completed, until the guest ran at the destination.
    pub total_time: Span,
    /// From the start until every stream was opened or refused; until now before that.
    pub setup_time: Span,
    /// Dirty bytes at the last synchronisation over the bandwidth of the last window; the downtime limit before
    /// there is anything to compute it from.
    pub expected_downtime: Span,
    /// How long the guest stood still: from the pause until it ran at the destination. `None` before that.
    pub downtime: Option<Span>,
    /// The same as the source could see it: until the destination's answer arrived.
    pub downtime_at_source: Option<Span>,
    /// Memory.
    pub ram: RamStatistics,
    /// How pages travelled.
    pub copy: CopyStatistics,
    /// The codec's counters; real pages only.
    pub encoder: EncoderStats,
    /// The transport's counters.
    pub transport: SenderStats,
}

/// QEMU's `ram` section.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct RamStatistics {
    /// Bytes put on the streams, all headers included.
    pub transferred: u64,
    /// Bytes of memory known to be dirty and not yet encoded.
    pub remaining: u64,
    /// Bytes of the guest's memory.
    pub total: u64,
    /// Zero pages sent. For synthetic pages it follows from the share of zero pages measured in their stratum.
    pub duplicate: u64,
    /// Other pages sent.
    pub normal: u64,
    /// Pages per second that were dirtied, over at least a second before the last synchronisation.
    pub dirty_pages_rate: u64,
    /// QEMU's `mbps`, in bits per second: what the streams took over in the last bandwidth window.
    pub bandwidth: BitRate,
    /// How often the dirty bitmap was synchronised.
    pub dirty_sync_count: u64,
    /// Pages per second encoded in the last bandwidth window.
    pub pages_per_second: u64,
}

/// How pages travelled. Every copy of a page counts.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct CopyStatistics {
    /// Frames.
    pub frames: u64,
    /// Pages that travelled as real bytes.
    pub real_pages: u64,
    /// Bytes of their frames.
    pub real_frame_bytes: u64,
    /// Pages that travelled as a length.
    pub synthetic_pages: u64,
    /// Bytes of their frames.
    pub synthetic_frame_bytes: u64,
    /// Zero pages among all.
    pub zero_pages: u64,
}

impl CopyStatistics {
    /// Pages sent.
    pub fn pages(&self) -> u64 {
        self.real_pages + self.synthetic_pages
    }
}
