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
    /// When it started.
    pub started_ns: Option<u64>,
    /// From the start to the guest running at the destination.
    pub total_time_ns: Option<u64>,
    /// How long the guest stood still.
    pub downtime_ns: Option<u64>,
    /// From the start to the first page.
    pub setup_time_ns: Option<u64>,
    /// The last prediction of the downtime before the guest was paused.
    pub expected_downtime_ns: Option<u64>,
    /// Real pages that the destination compared with the guest's memory before it ran, all of them equal.
    pub verified_pages: u64,
    /// Memory statistics.
    pub ram: RamRecord,
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
    /// Real pages sent as they are.
    pub literal_pages: u64,
}
