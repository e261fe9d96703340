//! What a fault does to what it strikes, at full strength and while it fades.
//!
//! A kind does not know what it strikes: a link, a region, a disk of a node. Those who drive it give the targets, and
//! say what its numbers mean for them.

use longhaul_core::time::Span;
use longhaul_core::units::{BitRate, Probability};
use serde::{Deserialize, Serialize};

use crate::error::Error;

/// Which way a partition cuts, seen from its target.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub enum Direction {
    /// Nothing leaves and nothing arrives.
    Both,
    /// Nothing leaves; what others send still arrives.
    Outbound,
    /// Nothing arrives; what the target sends still leaves.
    Inbound,
}

/// What a node that crashes no longer has when it is back.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub enum Loses {
    /// What is in memory: a killed process. What was written to a file is there.
    Memory,
    /// Also what was written and not yet flushed: a power failure.
    Unflushed,
    /// Also the disk: the node comes back empty.
    Disk,
}

/// How many times as long something takes, in thousandths: 1000 is the normal time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Slowdown(pub u32);

impl Slowdown {
    /// As fast as ever.
    pub const NONE: Slowdown = Slowdown(1000);

    /// What takes `normal` otherwise takes this long, rounded down.
    pub fn of(self, normal: Span) -> Span {
        let ns = u128::from(normal.as_ns()) * u128::from(self.0) / 1000;
        Span::from_ns(u64::try_from(ns).unwrap_or(u64::MAX))
    }
}

/// What a fault does.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub enum Kind {
    /// Nothing gets through.
    Partition(Direction),
    /// Everything takes longer.
    Latency {
        /// By how much.
        extra: Span,
        /// And up to this much more, at random.
        jitter: Span,
    },
    /// Packets are lost, independently, on top of what is lost anyway.
    Loss {
        /// Probability of each.
        probability: Probability,
    },
    /// No more than this passes; a target that is slower anyway notices nothing.
    Bandwidth {
        /// The rate.
        rate: BitRate,
    },
    /// A node ends at once.
    Crash {
        /// What it loses.
        loses: Loses,
        /// How long it takes to start again once it may.
        restart: Span,
    },
    /// Writes fail for want of space; reads and deletions work.
    DiskFull,
    /// Reads and writes take longer.
    DiskSlow {
        /// How many times as long.
        slowdown: Slowdown,
    },
    /// Reads and writes fail.
    DiskFailed,
    /// Something else takes this share of the memory.
    MemoryPressure {
        /// The share.
        share: Probability,
    },
    /// Something else takes this share of the processor time.
    CpuStarvation {
        /// The share.
        share: Probability,
    },
    /// The clock is wrong by a constant.
    ClockSkew {
        /// By how many nanoseconds it is fast; negative if it is slow.
        ns: i64,
    },
    /// The clock runs at the wrong speed; what it has gained or lost is gone when the fault ends.
    ClockDrift {
        /// Nanoseconds gained in each second (parts per 10⁹); negative if lost.
        ppb: i64,
    },
    /// Names are not resolved.
    DnsFailure,
    /// Names resolve to what they meant when the fault began.
    DnsStale,
    /// Requests fail at once.
    Errors {
        /// Probability of each.
        probability: Probability,
    },
    /// Requests get no answer, and are given up.
    Timeouts {
        /// Probability of each.
        probability: Probability,
        /// After what time.
        after: Span,
    },
    /// Requests end the process that serves them.
    Panics {
        /// Probability of each.
        probability: Probability,
    },
    /// Memory is taken and never given back while the fault lasts.
    Leak {
        /// Bytes in each second.
        bytes_per_s: u64,
    },
    /// Part of the work suffers, and no health check notices.
    Gray {
        /// Probability of each request or packet that it suffers.
        probability: Probability,
        /// What it then takes longer.
        extra: Span,
    },
    /// Everything in a region is without power.
    RegionOutage,
    /// Everything that shares a risk, such as the links in one duct, fails together.
    SharedRiskOutage,
}

impl Kind {
    /// The name that records use.
    pub fn name(&self) -> &'static str {
        match self {
            Kind::Partition(_) => "Partition",
            Kind::Latency { .. } => "Latency",
            Kind::Loss { .. } => "Loss",
            Kind::Bandwidth { .. } => "Bandwidth",
            Kind::Crash { .. } => "Crash",
            Kind::DiskFull => "DiskFull",
            Kind::DiskSlow { .. } => "DiskSlow",
            Kind::DiskFailed => "DiskFailed",
            Kind::MemoryPressure { .. } => "MemoryPressure",
            Kind::CpuStarvation { .. } => "CpuStarvation",
            Kind::ClockSkew { .. } => "ClockSkew",
            Kind::ClockDrift { .. } => "ClockDrift",
            Kind::DnsFailure => "DnsFailure",
            Kind::DnsStale => "DnsStale",
            Kind::Errors { .. } => "Errors",
            Kind::Timeouts { .. } => "Timeouts",
            Kind::Panics { .. } => "Panics",
            Kind::Leak { .. } => "Leak",
            Kind::Gray { .. } => "Gray",
            Kind::RegionOutage => "RegionOutage",
            Kind::SharedRiskOutage => "SharedRiskOutage",
        }
    }

    /// Whether it can be stronger and weaker, rather than only be there or not.
    pub fn has_magnitude(&self) -> bool {
        match self {
            Kind::Partition(_)
            | Kind::Crash { .. }
            | Kind::DiskFull
            | Kind::DiskFailed
            | Kind::DnsFailure
            | Kind::DnsStale
            | Kind::RegionOutage
            | Kind::SharedRiskOutage => false,
            Kind::Latency { .. }
            | Kind::Loss { .. }
            | Kind::Bandwidth { .. }
            | Kind::DiskSlow { .. }
            | Kind::MemoryPressure { .. }
            | Kind::CpuStarvation { .. }
            | Kind::ClockSkew { .. }
            | Kind::ClockDrift { .. }
            | Kind::Errors { .. }
            | Kind::Timeouts { .. }
            | Kind::Panics { .. }
            | Kind::Leak { .. }
            | Kind::Gray { .. } => true,
        }
    }

    /// How long it goes on after its end has been asked for.
    pub fn restart(&self) -> Span {
        match self {
            Kind::Crash { restart, .. } => *restart,
            _ => Span::ZERO,
        }
    }

    /// Refuses a fault that would change nothing.
    ///
    /// # Errors
    /// [`Error::NoEffect`] if its magnitude is none.
    pub fn check(&self) -> Result<(), Error> {
        let none = match *self {
            Kind::Latency { extra, jitter } => extra == Span::ZERO && jitter == Span::ZERO,
            Kind::DiskSlow { slowdown } => slowdown <= Slowdown::NONE,
            Kind::MemoryPressure { share } | Kind::CpuStarvation { share } => share == Probability::ZERO,
            Kind::ClockSkew { ns } => ns == 0,
            Kind::ClockDrift { ppb } => ppb == 0,
            Kind::Loss { probability }
            | Kind::Errors { probability }
            | Kind::Timeouts { probability, .. }
            | Kind::Panics { probability }
            | Kind::Gray { probability, .. } => probability == Probability::ZERO,
            Kind::Leak { bytes_per_s } => bytes_per_s == 0,
            // A rate of zero is a partition of what can be slow.
            Kind::Bandwidth { .. }
            | Kind::Partition(_)
            | Kind::Crash { .. }
            | Kind::DiskFull
            | Kind::DiskFailed
            | Kind::DnsFailure
            | Kind::DnsStale
            | Kind::RegionOutage
            | Kind::SharedRiskOutage => false,
        };
        if none {
            Err(Error::NoEffect(self.name()))
        } else {
            Ok(())
        }
    }

    /// The fault with `part / whole` of its strength, rounded towards none; `normal` is what its target carries
    /// without it, at least the rate to which a [`Kind::Bandwidth`] then returns. A fault without magnitude stays as it
    /// is as long as any part of it is left. `None` when nothing is left.
    ///
    /// A limit of rate is weaker when it is higher: it rises from its own rate to the normal one.
    pub fn scaled(&self, part: u32, whole: u32, normal: BitRate) -> Option<Kind> {
        if part == 0 || whole == 0 {
            return None;
        }
        if part >= whole {
            return Some(*self);
        }
        let share = |amount: u64| (u128::from(amount) * u128::from(part) / u128::from(whole)) as u64;
        let signed = |amount: i64| {
            let scaled = i128::from(amount) * i128::from(part) / i128::from(whole);
            scaled as i64
        };
        let span = |span: Span| Span::from_ns(share(span.as_ns()));
        let chance =
            |p: Probability| Probability::from_parts(share(p.as_parts())).unwrap_or(Probability::ONE);
        let scaled = match *self {
            Kind::Latency { extra, jitter } => Kind::Latency {
                extra: span(extra),
                jitter: span(jitter),
            },
            Kind::Loss { probability } => Kind::Loss {
                probability: chance(probability),
            },
            Kind::Bandwidth { rate } => {
                let above = normal.as_bits_per_s().saturating_sub(rate.as_bits_per_s());
                let rate = rate.as_bits_per_s() + (above - share(above));
                Kind::Bandwidth {
                    rate: BitRate::from_bits_per_s(rate),
                }
            }
            Kind::DiskSlow { slowdown } => {
                let above = u64::from(slowdown.0.saturating_sub(1000));
                Kind::DiskSlow {
                    slowdown: Slowdown(1000 + share(above) as u32),
                }
            }
            Kind::MemoryPressure { share } => Kind::MemoryPressure { share: chance(share) },
            Kind::CpuStarvation { share } => Kind::CpuStarvation { share: chance(share) },
            Kind::ClockSkew { ns } => Kind::ClockSkew { ns: signed(ns) },
            Kind::ClockDrift { ppb } => Kind::ClockDrift { ppb: signed(ppb) },
            Kind::Errors { probability } => Kind::Errors {
                probability: chance(probability),
            },
            Kind::Timeouts { probability, after } => Kind::Timeouts {
                probability: chance(probability),
                after,
            },
            Kind::Panics { probability } => Kind::Panics {
                probability: chance(probability),
            },
            Kind::Leak { bytes_per_s } => Kind::Leak {
                bytes_per_s: share(bytes_per_s),
            },
            Kind::Gray { probability, extra } => Kind::Gray {
                probability: chance(probability),
                extra: span(extra),
            },
            Kind::Partition(_)
            | Kind::Crash { .. }
            | Kind::DiskFull
            | Kind::DiskFailed
            | Kind::DnsFailure
            | Kind::DnsStale
            | Kind::RegionOutage
            | Kind::SharedRiskOutage => return Some(*self),
        };
        scaled.check().is_ok().then_some(scaled)
    }
}
