//! Which faults a hunt may let strike, and how strong each is at most.

use longhaul_chaos::{Direction, Impact, Kind, Loses, Slowdown};
use longhaul_core::time::Span;
use longhaul_core::units::{ByteSize, Probability};

/// A class of faults that may take part.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum FaultClass {
    /// A link takes up to two seconds longer.
    Latency,
    /// A link loses up to half of what it carries.
    Loss,
    /// A link carries down to 1 Mbit/s.
    Bandwidth,
    /// Both directions between two regions are down.
    Cut,
    /// One direction between two regions is down.
    OneWay,
    /// A region is cut off from all others.
    Isolation,
    /// A region is without power.
    Region,
    /// The machines of a region stand still.
    Pause,
    /// Something else takes up to 95 % of a server's processor.
    Cpu,
    /// Up to half of a server's requests fail.
    Errors,
    /// A server answers up to two seconds later.
    ServerLatency,
    /// A server's process is killed.
    Crash,
    /// Up to one request in a hundred ends a server's process.
    Panics,
    /// Up to half of a server's requests fail, answers come up to two seconds later, and no health check notices.
    Gray,
    /// Up to half of a server's requests are never answered, and no health check notices.
    Silence,
    /// A server loses up to 16 MiB with each request.
    Leak,
    /// Something else takes up to 95 % of a server's memory.
    Memory,
    /// A client's lookups are not answered.
    BlackHole,
    /// A client's lookups are answered that there is no such name.
    NoName,
    /// A disk takes up to twenty times as long.
    DiskSlow,
    /// A disk has no space left.
    DiskFull,
    /// A disk fails.
    DiskFailed,
    /// A cluster's clock is up to a minute fast.
    ClockAhead,
    /// A cluster's clock is up to a minute slow.
    ClockBehind,
    /// A cluster's clock gains up to a tenth of the time.
    ClockFast,
    /// A cluster's clock loses up to a tenth of the time.
    ClockSlow,
}

/// What each request may leak at most.
const LEAK: ByteSize = ByteSize::from_mib(16);
/// How slow a disk may be.
const SLOW_DISK: Slowdown = Slowdown(20_000);
/// What a clock may gain or lose, in parts per billion.
const DRIFT_PPB: i64 = 100_000_000;

impl FaultClass {
    /// All of them.
    pub const ALL: [FaultClass; 26] = [
        FaultClass::Latency,
        FaultClass::Loss,
        FaultClass::Bandwidth,
        FaultClass::Cut,
        FaultClass::OneWay,
        FaultClass::Isolation,
        FaultClass::Region,
        FaultClass::Pause,
        FaultClass::Cpu,
        FaultClass::Errors,
        FaultClass::ServerLatency,
        FaultClass::Crash,
        FaultClass::Panics,
        FaultClass::Gray,
        FaultClass::Silence,
        FaultClass::Leak,
        FaultClass::Memory,
        FaultClass::BlackHole,
        FaultClass::NoName,
        FaultClass::DiskSlow,
        FaultClass::DiskFull,
        FaultClass::DiskFailed,
        FaultClass::ClockAhead,
        FaultClass::ClockBehind,
        FaultClass::ClockFast,
        FaultClass::ClockSlow,
    ];

    /// Its name; the random stream of its swarm has the same.
    pub fn name(self) -> &'static str {
        match self {
            FaultClass::Latency => "latency",
            FaultClass::Loss => "loss",
            FaultClass::Bandwidth => "bandwidth",
            FaultClass::Cut => "cut",
            FaultClass::OneWay => "one-way",
            FaultClass::Isolation => "isolation",
            FaultClass::Region => "region",
            FaultClass::Pause => "pause",
            FaultClass::Cpu => "cpu",
            FaultClass::Errors => "errors",
            FaultClass::ServerLatency => "server-latency",
            FaultClass::Crash => "crash",
            FaultClass::Panics => "panics",
            FaultClass::Gray => "gray",
            FaultClass::Silence => "silence",
            FaultClass::Leak => "leak",
            FaultClass::Memory => "memory",
            FaultClass::BlackHole => "black-hole",
            FaultClass::NoName => "no-name",
            FaultClass::DiskSlow => "disk-slow",
            FaultClass::DiskFull => "disk-full",
            FaultClass::DiskFailed => "disk-failed",
            FaultClass::ClockAhead => "clock-ahead",
            FaultClass::ClockBehind => "clock-behind",
            FaultClass::ClockFast => "clock-fast",
            FaultClass::ClockSlow => "clock-slow",
        }
    }

    /// It at its strongest, by the table of impacts where that has a number for it.
    pub(super) fn strongest(self) -> Kind {
        let critical = Impact::Critical.magnitudes();
        let half = critical.loss;
        let nearly_all = Probability::from_ratio(95, 100).expect("a share");
        match self {
            FaultClass::Latency | FaultClass::ServerLatency => critical.latency(),
            FaultClass::Loss => critical.loss(),
            FaultClass::Bandwidth => critical.bandwidth(),
            FaultClass::Cut | FaultClass::Isolation => Kind::Partition(Direction::Both),
            FaultClass::OneWay => Kind::Partition(Direction::Outbound),
            FaultClass::Region => Kind::RegionOutage,
            // It is a region's machines that do nothing; its links go on.
            FaultClass::Pause | FaultClass::Crash => Kind::Crash {
                loses: Loses::Memory,
                restart: Span::ZERO,
            },
            FaultClass::Cpu => Kind::CpuStarvation { share: nearly_all },
            FaultClass::Memory => Kind::MemoryPressure { share: nearly_all },
            FaultClass::Errors => Kind::Errors { probability: half },
            FaultClass::Panics => Kind::Panics {
                probability: Impact::Low.magnitudes().loss,
            },
            FaultClass::Gray => Kind::Gray {
                probability: half,
                extra: critical.latency,
            },
            FaultClass::Silence => Kind::Timeouts {
                probability: half,
                after: Span::MAX,
            },
            FaultClass::Leak => Kind::Leak {
                bytes_per_s: LEAK.as_bytes(),
            },
            FaultClass::BlackHole | FaultClass::NoName => Kind::DnsFailure,
            FaultClass::DiskSlow => Kind::DiskSlow { slowdown: SLOW_DISK },
            FaultClass::DiskFull => Kind::DiskFull,
            FaultClass::DiskFailed => Kind::DiskFailed,
            FaultClass::ClockAhead | FaultClass::ClockBehind => critical.clock_skew(),
            FaultClass::ClockFast => Kind::ClockDrift { ppb: DRIFT_PPB },
            FaultClass::ClockSlow => Kind::ClockDrift { ppb: -DRIFT_PPB },
        }
    }
}
