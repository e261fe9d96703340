//! Faults of the network that strike once or at random, act on several links at once, and end in more than one way.

use longhaul_chaos::{Direction, Kind, Loses, Slowdown};
pub use longhaul_chaos::{Gradual, Law, Recovery, Timing};
use longhaul_core::time::Span;
use longhaul_core::units::{BitRate, ByteSize, Probability};

/// A fault of the network.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NetworkFault {
    /// Its name: in the records, for recoveries by hand, and of the random stream of its process.
    pub name: String,
    /// What it does, and where.
    pub effect: Effect,
    /// When it strikes, and for how long.
    pub timing: Timing,
    /// How it ends.
    pub recovery: Recovery,
}

/// A link or both links between two regions.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ends {
    /// Region at the sending end.
    pub from: String,
    /// Region at the receiving end.
    pub to: String,
    /// Whether the link of the other direction is meant as well.
    pub both: bool,
}

impl Ends {
    /// The ends of each directed link.
    pub fn directed(&self) -> impl Iterator<Item = (&str, &str)> {
        let back = self.both.then_some((&*self.to, &*self.from));
        [(&*self.from, &*self.to)].into_iter().chain(back)
    }
}

/// What a fault of the network does, and where.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Effect {
    /// All links between two groups of regions are down.
    Partition {
        /// One group.
        one: Vec<String>,
        /// The other.
        other: Vec<String>,
        /// Whether only the links from the one to the other are.
        one_way: bool,
    },
    /// A link takes longer.
    LinkLatency {
        /// Which.
        ends: Ends,
        /// Added to its propagation delay.
        extra: Span,
    },
    /// A link loses more.
    LinkLoss {
        /// Which.
        ends: Ends,
        /// That a frame is lost which its own law has let pass.
        probability: Probability,
    },
    /// A link carries less.
    LinkBandwidth {
        /// Which.
        ends: Ends,
        /// Its rate, where its own is not lower.
        rate: BitRate,
    },
    /// A region is without power: its machines end and its links are down.
    RegionDown {
        /// Which.
        region: String,
    },
    /// A server of a service suffers.
    Server {
        /// Which service.
        service: String,
        /// The region of the server.
        region: String,
        /// What it suffers.
        suffers: Suffering,
    },
    /// A client's lookups of its service's name go wrong.
    Names {
        /// Which client; it must look names up.
        client: String,
        /// What answers.
        answer: WrongAnswer,
    },
    /// A disk suffers.
    Disk {
        /// Which.
        disk: DiskPlace,
        /// What it suffers.
        suffers: DiskSuffering,
    },
    /// The clock of a cluster of a federation is wrong.
    Clock {
        /// Which federation.
        federation: String,
        /// The region of the cluster.
        member: String,
        /// How wrong.
        wrong: WrongClock,
    },
    /// Links that share a risk are down together, both directions of each.
    SharedRisk {
        /// Their ends.
        links: Vec<(String, String)>,
    },
}

/// What a server suffers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Suffering {
    /// Something else takes this share of its processor time.
    Cpu(Probability),
    /// So many requests fail after they were worked on; health checks notice.
    Errors(Probability),
    /// Answers come later by so much.
    Latency(Span),
    /// The process is killed; it starts again when the fault ends.
    Crash,
    /// So many requests end the process.
    Panics(Probability),
    /// So many requests fail, and answers come later, and no health check notices.
    Gray {
        /// How many fail.
        errors: Probability,
        /// How much later.
        extra: Span,
    },
    /// So many requests are never answered, and no health check notices.
    Silence(Probability),
    /// From each request on so much memory is never given back.
    Leak(ByteSize),
    /// Something else takes this share of the memory that the process may use.
    Memory(Probability),
}

/// Whose disk.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum DiskPlace {
    /// That of a cluster of a federation.
    Cluster {
        /// Which federation.
        federation: String,
        /// The region of the cluster.
        member: String,
    },
    /// That which a replication writes to; it must have a rate.
    Replica {
        /// Which replication.
        replication: String,
    },
}

/// What a disk suffers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DiskSuffering {
    /// Everything takes so many times as long.
    Slow(Slowdown),
    /// There is no space left.
    Full,
    /// Reads and writes fail.
    Failed,
}

/// How wrong a clock is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WrongClock {
    /// The wall clock is ahead by so much.
    Ahead(Span),
    /// It is behind by so much.
    Behind(Span),
    /// All clocks gain so many nanoseconds in each second; negative if they lose.
    Drift {
        /// How many (parts per 10⁹).
        ppb: i64,
    },
}

/// What answers lookups in the place of the right answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum WrongAnswer {
    /// Nothing.
    BlackHole,
    /// That there is no such name.
    Failed,
    /// The server of this region alone.
    Stale(String),
}

impl Suffering {
    fn kind(self) -> Kind {
        match self {
            Suffering::Cpu(share) => Kind::CpuStarvation { share },
            Suffering::Errors(probability) => Kind::Errors { probability },
            Suffering::Latency(extra) => Kind::Latency {
                extra,
                jitter: Span::ZERO,
            },
            Suffering::Crash => Kind::Crash {
                loses: Loses::Memory,
                restart: Span::ZERO,
            },
            Suffering::Panics(probability) => Kind::Panics { probability },
            Suffering::Gray { errors, extra } => Kind::Gray {
                probability: errors,
                extra,
            },
            // Who asks gives up by its own policies.
            Suffering::Silence(probability) => Kind::Timeouts {
                probability,
                after: Span::MAX,
            },
            Suffering::Leak(bytes) => Kind::Leak {
                bytes_per_s: bytes.as_bytes(),
            },
            Suffering::Memory(share) => Kind::MemoryPressure { share },
        }
    }
}

impl DiskSuffering {
    fn kind(self) -> Kind {
        match self {
            DiskSuffering::Slow(slowdown) => Kind::DiskSlow { slowdown },
            DiskSuffering::Full => Kind::DiskFull,
            DiskSuffering::Failed => Kind::DiskFailed,
        }
    }
}

impl WrongClock {
    fn kind(self) -> Kind {
        let ns = |span: Span| i64::try_from(span.as_ns()).unwrap_or(i64::MAX);
        match self {
            WrongClock::Ahead(by) => Kind::ClockSkew { ns: ns(by) },
            WrongClock::Behind(by) => Kind::ClockSkew { ns: -ns(by) },
            WrongClock::Drift { ppb } => Kind::ClockDrift { ppb },
        }
    }
}

impl Effect {
    /// What it is without its place.
    pub fn kind(&self) -> Kind {
        match *self {
            Effect::Partition { .. } => Kind::Partition(Direction::Both),
            Effect::LinkLatency { extra, .. } => Kind::Latency {
                extra,
                jitter: Span::ZERO,
            },
            Effect::LinkLoss { probability, .. } => Kind::Loss { probability },
            Effect::LinkBandwidth { rate, .. } => Kind::Bandwidth { rate },
            Effect::RegionDown { .. } => Kind::RegionOutage,
            Effect::Server { suffers, .. } => suffers.kind(),
            Effect::Names {
                answer: WrongAnswer::Stale(_),
                ..
            } => Kind::DnsStale,
            Effect::Names { .. } => Kind::DnsFailure,
            Effect::Disk { suffers, .. } => suffers.kind(),
            Effect::Clock { wrong, .. } => wrong.kind(),
            Effect::SharedRisk { .. } => Kind::SharedRiskOutage,
        }
    }

    /// Whether it takes links down.
    pub fn cuts_links(&self) -> bool {
        matches!(
            self,
            Effect::Partition { .. } | Effect::RegionDown { .. } | Effect::SharedRisk { .. }
        )
    }

    /// The ends of the one link, or the two, that it degrades.
    pub fn degrades(&self) -> Option<&Ends> {
        match self {
            Effect::LinkLatency { ends, .. }
            | Effect::LinkLoss { ends, .. }
            | Effect::LinkBandwidth { ends, .. } => Some(ends),
            _ => None,
        }
    }
}

impl NetworkFault {
    /// When it strikes if that is not left to chance, and until when.
    pub fn scripted(&self) -> Option<(Span, Option<Span>)> {
        match self.timing {
            Timing::Scripted { at, duration } => {
                let end = duration.map(|duration| at.saturating_add(duration));
                Some((at, end))
            }
            _ => None,
        }
    }
}

/// A fault that is recovered by hand ends.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RecoverFault {
    /// The name of the fault.
    pub fault: String,
    /// When.
    pub at: Span,
}
