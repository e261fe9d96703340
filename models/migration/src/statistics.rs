//! What a source measures, under QEMU's names (`query-migrate`).

use longhaul_amst::SenderStats;
use longhaul_core::time::Span;
use longhaul_core::units::BitRate;
use longhaul_frames::CopyStatistics;
use longhaul_hde::{EncoderStats, PAGE_SIZE};
use serde::{Deserialize, Serialize};

use crate::source::accounts::Bounds;
use crate::xbzrle::cache::CacheStatistics;

/// QEMU's `MigrationStatus`, as far as it has a meaning here.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// Not started.
    #[default]
    None,
    /// Whatever goes before, and streams being opened.
    Setup,
    /// The guest runs here and its memory is copied.
    Active,
    /// The guest stands still; the rest is sent, or the answer awaited.
    Device,
    /// The guest runs at the destination and its memory follows.
    PostcopyActive,
    /// The transport is lost, and the guest may run at the destination.
    PostcopyPaused,
    /// Streams are being opened again.
    PostcopyRecoverSetup,
    /// The destination says what it has.
    PostcopyRecover,
    /// Done.
    Completed,
    /// The guest stays at the source.
    Failed,
    /// The guest stays at the source because somebody wanted so.
    Cancelled,
}

impl Status {
    /// QEMU's name for it.
    pub fn name(self) -> &'static str {
        match self {
            Status::None => "none",
            Status::Setup => "setup",
            Status::Active => "active",
            Status::Device => "device",
            Status::PostcopyActive => "postcopy-active",
            Status::PostcopyPaused => "postcopy-paused",
            Status::PostcopyRecoverSetup => "postcopy-recover-setup",
            Status::PostcopyRecover => "postcopy-recover",
            Status::Completed => "completed",
            Status::Failed => "failed",
            Status::Cancelled => "cancelled",
        }
    }
}

/// A snapshot of a migration. Times are since it began, after what goes before.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Statistics {
    /// Where it stands.
    pub status: Status,
    /// From the start until now; once completed, until the guest ran at the destination, or, with post-copy, until it
    /// had all its memory there.
    pub total_time: Span,
    /// From the command until everything was tidied up, with what goes before and after.
    pub job_time: Span,
    /// From the start until every stream was opened or refused; until now before that.
    pub setup_time: Span,
    /// Dirty bytes at the last synchronisation over the bandwidth of the last window; the downtime limit before
    /// there is anything to compute it from.
    pub expected_downtime: Span,
    /// The total time that the last forecast leads to; `None` if rounds do not shrink or none has ended.
    pub expected_total_time: Option<Span>,
    /// How long the guest stood still: from the pause until it ran at the destination. `None` before that.
    pub downtime: Option<Span>,
    /// The same as the source could see it: until the destination's answer arrived.
    pub downtime_at_source: Option<Span>,
    /// Memory.
    pub ram: RamStatistics,
    /// QEMU's `cpu-throttle-percentage`; 0 if the guest is not throttled.
    pub cpu_throttle_percentage: u8,
    /// QEMU's `dirty-limit-throttle-time-per-round`; zero without a dirty limit.
    pub dirty_limit_throttle_time_per_round: Span,
    /// QEMU's `dirty-limit-ring-full-time`; zero without a dirty limit.
    pub dirty_limit_ring_full_time: Span,
    /// What each processor of the guest has lost by being throttled.
    pub throttled_time: Span,
    /// XBZRLE's cache, if there is one.
    pub xbzrle_cache: Option<CacheStatistics>,
    /// What bounded the speed of copying, and for how long.
    pub bounds: Bounds,
    /// Time that encoding took of all threads together.
    pub encoding_time: Span,
    /// How often the transport was lost after the guest may have changed sides.
    pub interruptions: u32,
    /// How pages travelled.
    pub copy: CopyStatistics,
    /// The codec's counters; real pages only.
    pub encoder: EncoderStats,
    /// The transport's counters, of all attempts.
    pub transport: SenderStats,
}

/// QEMU's `ram` section.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct RamStatistics {
    /// Bytes put on the streams, all headers included.
    pub transferred: u64,
    /// Bytes of memory known to be dirty and not yet handed to the transport.
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
    /// Pages per second handed to the transport in the last bandwidth window.
    pub pages_per_second: u64,
    /// Pages that the destination has asked for.
    pub postcopy_requests: u64,
    /// Bytes put on the streams while the guest ran here.
    pub precopy_bytes: u64,
    /// Bytes put on the streams while it stood still and pre-copy was finishing.
    pub downtime_bytes: u64,
    /// Bytes put on the streams once it was to run at the destination without all of its memory.
    pub postcopy_bytes: u64,
}

impl RamStatistics {
    /// QEMU's `normal-bytes`.
    pub fn normal_bytes(&self) -> u64 {
        self.normal * PAGE_SIZE as u64
    }
}
