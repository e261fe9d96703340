//! Records of live migrations.

use serde::{Deserialize, Serialize};

use super::{Progress, TransportRecord};

/// A live migration, in QEMU's terms (`query-migrate`).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct MigrationRecord {
    /// Name.
    pub name: String,
    /// The VM.
    pub vm: String,
    /// Source region.
    pub from: String,
    /// Destination region.
    pub to: String,
    /// How far it got.
    pub progress: Progress,
    /// Where QEMU would say that it stands: `active`, `postcopy-paused`, …; empty if nobody could be asked.
    pub status: String,
    /// When it started, with what goes before.
    pub started_ns: Option<u64>,
    /// When the migration itself began.
    pub began_ns: Option<u64>,
    /// From the start to the end, with what goes before and after.
    pub job_time_ns: Option<u64>,
    /// From the beginning of the migration itself to the guest running at the destination with all its memory.
    pub total_time_ns: Option<u64>,
    /// How long the guest stood still.
    pub downtime_ns: Option<u64>,
    /// From the beginning to the first page.
    pub setup_time_ns: Option<u64>,
    /// The last prediction of the downtime before the guest was paused.
    pub expected_downtime_ns: Option<u64>,
    /// The total time to which the last forecast leads; none if rounds did not shrink.
    pub expected_total_time_ns: Option<u64>,
    /// How often it was said to make no progress.
    pub stalls: u64,
    /// How often the transport was lost after the guest may have changed sides.
    pub interruptions: u64,
    /// Real pages that the destination compared with the guest's memory before it ran, all of them equal.
    pub verified_pages: u64,
    /// Memory statistics.
    pub ram: RamRecord,
    /// What the guest has lost at the source by being slowed down.
    pub throttle: ThrottleRecord,
    /// What it has waited for at the destination, if it ran there before all its memory had come.
    pub postcopy: Option<PostcopyRecord>,
    /// What XBZRLE's cache did, if there is one.
    pub xbzrle_cache: Option<XbzrleCacheRecord>,
    /// What bounded the speed of copying, and the time of processors.
    pub bounds: BoundsRecord,
    /// What the encoder did.
    pub encoding: EncodingRecord,
    /// What the transport did.
    pub transport: TransportRecord,
}

/// QEMU's `ram` section.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct RamRecord {
    /// Memory of the guest in bytes.
    pub total: u64,
    /// Bytes handed to the transport's streams.
    pub transferred: u64,
    /// Memory bytes still to be sent when the run or the migration ended.
    pub remaining: u64,
    /// Zero pages sent.
    pub duplicate: u64,
    /// Pages sent that were not zero.
    pub normal: u64,
    /// Synchronisations of the dirty bitmap.
    pub dirty_sync_count: u64,
    /// Dirty pages per second in the last round.
    pub dirty_pages_rate: u64,
    /// QEMU's `mbps` in bits per second: what the streams took over in the last bandwidth window.
    pub bandwidth_bits_per_s: u64,
    /// Pages per second handed to the transport in the last bandwidth window.
    pub pages_per_second: u64,
    /// Pages that the destination has asked for.
    pub postcopy_requests: u64,
    /// Of the transferred bytes, those of the time in which the guest ran at the source.
    pub precopy_bytes: u64,
    /// Those of the time in which it stood still.
    pub downtime_bytes: u64,
    /// Those of the time in which it was to run at the destination.
    pub postcopy_bytes: u64,
}

/// How a guest was slowed down.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct ThrottleRecord {
    /// QEMU's `cpu-throttle-percentage` at the end.
    pub cpu_throttle_percentage: u64,
    /// What each of its processors has lost.
    pub lost_ns: u64,
    /// QEMU's `dirty-limit-throttle-time-per-round`.
    pub dirty_limit_throttle_time_per_round_ns: u64,
    /// QEMU's `dirty-limit-ring-full-time`.
    pub dirty_limit_ring_full_time_ns: u64,
}

/// A guest that ran before all its memory had come.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct PostcopyRecord {
    /// Times that a processor had to wait for a page.
    pub faults: u64,
    /// Different pages that the source was asked for.
    pub requests: u64,
    /// QEMU's `postcopy-blocktime`: how long all processors waited together.
    pub blocktime_ns: u64,
    /// QEMU's `postcopy-vcpu-blocktime`: how long each did.
    pub vcpu_blocktime_ns: Vec<u64>,
    /// The longest wait.
    pub longest_fault_ns: u64,
}

/// QEMU's `xbzrle-cache` section.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct XbzrleCacheRecord {
    /// Bytes of memory that it takes.
    pub cache_size: u64,
    /// Bytes that encoded pages came to.
    pub bytes: u64,
    /// Pages found in it.
    pub pages: u64,
    /// Pages not found.
    pub cache_miss: u64,
    /// Pages found whose encoding was no shorter than the page.
    pub overflow: u64,
}

/// How the time of copying divides by what bounded it, and what processors took.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct BoundsRecord {
    /// The streams would not take more.
    pub network_ns: u64,
    /// The streams would have taken more, and nothing was encoded yet.
    pub processor_ns: u64,
    /// The streams would have taken more, and `max-bandwidth` forbade it.
    pub bandwidth_limit_ns: u64,
    /// Nothing was to be sent.
    pub idle_ns: u64,
    /// Thread time that encoding took, as modelled.
    pub encoding_ns: u64,
    /// Thread time that decoding took, as modelled.
    pub decoding_ns: u64,
}

impl BoundsRecord {
    /// All of the time of copying.
    pub fn copying_ns(&self) -> u64 {
        self.network_ns + self.processor_ns + self.bandwidth_limit_ns + self.idle_ns
    }
}

/// Memory bytes in, frame bytes out, and what became of the pages.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct EncodingRecord {
    /// Memory bytes encoded, real and synthetic, every copy counted.
    pub raw_bytes: u64,
    /// Frame bytes that came out.
    pub encoded_bytes: u64,
    /// Of the raw bytes, those that were real.
    pub real_raw_bytes: u64,
    /// Of the frame bytes, those that were real.
    pub real_encoded_bytes: u64,
    /// Real pages found to be zero.
    pub zero_pages: u64,
    /// Real pages found elsewhere.
    pub duplicate_pages: u64,
    /// Real pages sent as a difference.
    pub delta_pages: u64,
    /// Real pages put together from parts of other pages.
    pub similar_pages: u64,
    /// Real pages sent as they are.
    pub literal_pages: u64,
}
