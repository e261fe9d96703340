//! The scenario, resolved: every default written out, every reference by name, every quantity an integer.
//!
//! This is what `show` prints, what the run directory keeps and what [`crate::run`] executes. The text forms
//! are in [`longhaul_core::text`]; the grammar and the defaults are in [`crate::decode`]. Laws that need nothing
//! but numbers are the network's own types.

use longhaul_core::time::Span;
use longhaul_core::units::{BitRate, ByteSize, Probability};
pub use longhaul_net::background::{Arrivals, Background};
pub use longhaul_net::course::Step;
pub use longhaul_net::loss::Loss;
pub use longhaul_net::queue::{CoDel, FqCoDel, Htb, HtbClass, Queue, QueueLimit};

/// Version of the scenario language.
pub const SCHEMA_VERSION: u32 = 1;

/// A whole scenario.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Scenario {
    /// Short name; names the run directory. Letters, digits, `_` and `-`.
    pub name: String,
    /// What the scenario asks.
    pub question: String,
    /// The answer that its author expects.
    pub expect: String,
    /// Root of all random streams.
    pub seed: u64,
    /// The run ends here at the latest; what is unfinished then is reported as unfinished.
    pub horizon: Span,
    /// Distance between the samples of the time series.
    pub sample_interval: Span,
    /// Which share of the payload is real bytes.
    pub payload: PayloadMode,
    /// How the network is simulated.
    pub fidelity: Fidelity,
    /// Regions.
    pub regions: Vec<Region>,
    /// Directed links.
    pub links: Vec<Link>,
    /// Virtual machines.
    pub vms: Vec<Vm>,
    /// Live migrations.
    pub migrations: Vec<Migration>,
    /// Plain bulk transfers over TCP.
    pub transfers: Vec<Transfer>,
    /// What fails, and when.
    pub faults: Vec<Fault>,
    /// How long after a link fails or comes back the routers use other routes.
    pub reroute_after: Span,
    /// What must hold at the end.
    pub assertions: Vec<Assertion>,
    /// How a replay on a real kernel is judged; no simulation reads it. `None` leaves it to the defaults.
    pub replay: Option<Replay>,
}

/// Which share of the VM memory is generated, encoded, carried, decoded and compared byte by byte.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PayloadMode {
    /// All of it.
    Real,
    /// This share, in (0, 1]; the rest is synthetic, at the ratios measured on the real share in the same run.
    Sampled {
        /// The share of the pages that is real.
        share: Probability,
    },
}

/// How the network is simulated.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fidelity {
    /// Every segment crosses every hop.
    Packet,
    /// TCP by round trips, links by fair shares.
    Flow,
    /// One of them, by what the scenario needs and what it would cost.
    Auto,
}

/// A region: a node of the network.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Region {
    /// Unique name.
    pub name: String,
    /// Where it is. With both ends known, a link faster than light in fibre is an error.
    pub location: Option<Location>,
}

/// Geographic coordinates in millionths of a degree.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Location {
    /// North positive, within ±90°.
    pub latitude_microdegrees: i32,
    /// East positive, within ±180°.
    pub longitude_microdegrees: i32,
}

/// A directed link. Its name in messages and results is `from->to`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Link {
    /// Region at the sending end.
    pub from: String,
    /// Region at the receiving end.
    pub to: String,
    /// How fast it sends; counts whole Ethernet frames, as netem does.
    pub rate: Rate,
    /// One-way propagation delay.
    pub delay: Span,
    /// What waits in front of the link, how much of it, and who goes first.
    pub queue: Queue,
    /// Loss law, drawn for each frame before it is queued.
    pub loss: Loss,
    /// Jitter law; adds to the propagation delay.
    pub jitter: Jitter,
    /// Whether jitter lets frames overtake each other.
    pub reorder: bool,
    /// Share of the frames that come twice.
    pub duplicate: Probability,
    /// Share of the frames that arrive damaged and are discarded.
    pub corrupt: Probability,
    /// What changes, at times after the start of the run, or of each period.
    pub changes: Vec<Step>,
    /// After what time the changes begin again.
    pub period: Option<Span>,
    /// Traffic of others in the same queue.
    pub background: Option<Background>,
}

impl Link {
    /// `from->to`.
    pub fn name(&self) -> String {
        format!("{}->{}", self.from, self.to)
    }
}

/// How fast a link sends.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Rate {
    /// At this rate, above zero, until a change.
    Constant(BitRate),
    /// A full frame at each recorded moment: mahimahi's packet-delivery trace.
    Deliveries {
        /// The trace, relative to the scenario file.
        file: String,
    },
    /// A full frame at each moment of a Poisson process with this mean rate.
    Poisson(BitRate),
    /// At recorded rates: lines of `seconds Mbit/s`.
    Recorded {
        /// The trace, relative to the scenario file.
        file: String,
    },
}

impl Rate {
    /// The mean rate, unless it is in a file.
    pub fn mean(&self) -> Option<BitRate> {
        match self {
            Rate::Constant(rate) | Rate::Poisson(rate) => Some(*rate),
            Rate::Deliveries { .. } | Rate::Recorded { .. } => None,
        }
    }

    /// The rate, unless it varies.
    pub fn constant(&self) -> Option<BitRate> {
        match self {
            Rate::Constant(rate) => Some(*rate),
            Rate::Deliveries { .. } | Rate::Poisson(_) | Rate::Recorded { .. } => None,
        }
    }
}

/// Jitter law of a link: a delay added to the propagation delay, never negative.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Jitter {
    /// None.
    None,
    /// Normal with this mean and standard deviation, cut off at zero.
    Normal(Spread),
    /// Uniform between zero and this maximum.
    Uniform {
        /// Upper end.
        max: Span,
    },
    /// netem's table `pareto`.
    Pareto(Spread),
    /// netem's table `paretonormal`.
    ParetoNormal(Spread),
    /// A table in netem's format.
    Table {
        /// What its values are scaled to.
        spread: Spread,
        /// The table, relative to the scenario file.
        file: String,
    },
    /// The distribution of recorded delays.
    Measured {
        /// Samples in milliseconds, one per line, relative to the scenario file.
        file: String,
    },
}

/// Mean and standard deviation before the cut at zero.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Spread {
    /// Mean.
    pub mean: Span,
    /// Standard deviation.
    pub sd: Span,
}

/// A virtual machine.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Vm {
    /// Unique name.
    pub name: String,
    /// Region where it runs at the start.
    pub region: String,
    /// Its memory.
    pub memory: Memory,
}

/// Content of a VM's memory and how it changes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Memory {
    /// Generated from the seed.
    Generated {
        /// Content pattern.
        pattern: Pattern,
        /// Size, whole pages of 4 KiB, at least one.
        size: ByteSize,
        /// How the guest writes.
        dirty: Dirty,
    },
    /// Recorded images of equal size, whole pages each; the guest goes through them one by one.
    Images {
        /// Files, relative to the scenario file.
        files: Vec<String>,
        /// Time between two images.
        interval: Span,
    },
}

/// Content patterns of the testing framework's workload generator (reference rows T26–T29).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Pattern {
    /// 30 % zero, 40 % repetitive, 20 % of 6 bits per byte, 10 % random; bound 4.0×.
    RealWorld,
    /// Random bytes; incompressible.
    Constant,
    /// Runs of 64 KiB random (30 %) and 128 KiB zero (70 %); bound 5.67×.
    Bursty,
    /// A sine wave in bytes.
    Sinusoidal,
}

/// How a generated guest writes its memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Dirty {
    /// Page writes per second, Poisson.
    pub pages_per_s: u64,
    /// Share of the memory that is written, uniformly; in [0, 1].
    pub working_set: Probability,
    /// Bytes that one write changes in its page, 1 to 4096.
    pub bytes_per_write: ByteSize,
}

/// One live migration.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Migration {
    /// Unique among migrations and transfers.
    pub name: String,
    /// The VM.
    pub vm: String,
    /// The region where it goes.
    pub to: String,
    /// When it starts.
    pub start: Start,
    /// QEMU's `downtime-limit`.
    pub downtime_limit: Span,
    /// How pages are encoded.
    pub encoding: Encoding,
    /// How they are carried.
    pub transport: Transport,
}

/// When something starts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Start {
    /// At this time of the run.
    At(Span),
    /// This long after another migration has completed.
    After {
        /// Its name.
        migration: String,
        /// How long after.
        pause: Span,
    },
}

/// Encoding of memory pages.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Encoding {
    /// Zero pages are named, all others sent as they are.
    Raw,
    /// Hierarchical delta encoding.
    Hde {
        /// zstd level, 1 to 19.
        level: u32,
    },
}

/// Adaptive multi-stream transport over TCP.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Transport {
    /// TCP connections, 1 to 256.
    pub streams: u32,
    /// Largest chunk, 1 KiB to 16 MiB.
    pub chunk: ByteSize,
    /// Bytes that may be sent and not yet acknowledged by the receiving transport, at least one chunk.
    pub window: ByteSize,
    /// The connections.
    pub tcp: Tcp,
}

/// A TCP connection's settings.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Tcp {
    /// Congestion control.
    pub controller: Controller,
    /// Send buffer: bytes written and not yet acknowledged.
    pub send_buffer: ByteSize,
    /// Bytes written and not yet sent, at most (`TCP_NOTSENT_LOWAT`).
    pub notsent_lowat: ByteSize,
    /// Receive buffer: the largest window that is offered.
    pub receive_buffer: ByteSize,
    /// Whether the offered window starts small and follows the sender up to `receive_buffer`.
    pub autotuning: bool,
    /// Whether queues may mark packets instead of dropping them (RFC 3168).
    pub ecn: bool,
    /// Traffic class of the packets: what HTB queues sort them by.
    pub class: u8,
    /// Congestion window at the start, in segments, 1 to 10,000.
    pub initial_window: u32,
    /// Whether CUBIC leaves slow start early when the delay grows (HyStart); Reno ignores it, as in Linux.
    pub hystart: bool,
    /// Whether new data leaves in bursts of several packets that are one frame to the first link, which then is
    /// the queue of the sender's own device; otherwise a router stands in between.
    pub segmentation_offload: bool,
}

/// Congestion control.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Controller {
    /// RFC 5681 with RFC 6582/6675 recovery.
    Reno,
    /// RFC 9438.
    Cubic,
    /// BBR version 1, as in Linux.
    Bbr,
}

/// A bulk transfer: every connection carries an equal share, or what it can until the time is up; then both sides
/// close.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Transfer {
    /// Unique among migrations and transfers.
    pub name: String,
    /// Region of the sender.
    pub from: String,
    /// Region of the receiver.
    pub to: String,
    /// How much is sent.
    pub amount: Amount,
    /// When it starts.
    pub at: Span,
    /// TCP connections, 1 to 256, at most one per byte.
    pub streams: u32,
    /// Time that each call (open, write, finish) of the sending application takes, at most 1 s.
    pub call_time: Span,
    /// The connections.
    pub tcp: Tcp,
}

/// How much a transfer sends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Amount {
    /// So many bytes in all.
    Size(ByteSize),
    /// As much as goes in this time, above zero.
    Duration(Span),
}

/// Something that fails at a time.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Fault {
    /// A directed link carries nothing.
    LinkDown(LinkDown),
    /// All machines of a region stand still, as after SIGSTOP.
    Pause(Pause),
    /// All machines of a region end, as after SIGKILL.
    Kill(Kill),
}

/// All machines of a region stand still: they take no input and wake late; their TCP goes on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pause {
    /// The region.
    pub region: String,
    /// When they stop.
    pub at: Span,
    /// After what time they go on; none for the rest of the run.
    pub duration: Option<Span>,
}

impl Pause {
    /// When they go on, if ever.
    pub fn end(&self) -> Option<Span> {
        self.duration.map(|duration| self.at.saturating_add(duration))
    }
}

/// All machines of a region end, and their migrations and transfers fail.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Kill {
    /// The region.
    pub region: String,
    /// When.
    pub at: Span,
}

/// A directed link that is down for a time: what is in it is lost, and so is what is sent over it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LinkDown {
    /// Region at the link's sending end.
    pub from: String,
    /// Region at its receiving end.
    pub to: String,
    /// When it fails.
    pub at: Span,
    /// After what time it is back; none for the rest of the run.
    pub duration: Option<Span>,
}

impl LinkDown {
    /// The name of the link.
    pub fn link(&self) -> String {
        format!("{}->{}", self.from, self.to)
    }

    /// When the link is back, if ever.
    pub fn end(&self) -> Option<Span> {
        self.duration.map(|duration| self.at.saturating_add(duration))
    }
}

/// Something that must hold at the end of the run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Assertion {
    /// What is measured.
    pub metric: Metric,
    /// How the samples of the scope become one value.
    pub statistic: Statistic,
    /// Whose samples.
    pub scope: Scope,
    /// What the value must satisfy.
    pub bound: Bound,
    /// Whether a failure fails the run.
    pub level: Level,
}

/// What can be asserted. One sample per migration, transfer or link of the scope.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Metric {
    /// Migration: from its start to the guest running at the destination.
    MigrationTotalTime,
    /// Migration: how long the guest stood still.
    MigrationDowntime,
    /// Migration: bytes handed to the transport's streams.
    MigrationTransferred,
    /// Migration: memory sent (raw) over bytes handed to the transport's streams.
    MigrationCompressionRatio,
    /// Migration: number of dirty-bitmap synchronisations.
    MigrationDirtySyncCount,
    /// Migration: 1 if it completed with every compared page equal, else 0.
    MigrationSuccess,
    /// Transfer: from the first SYN until the last stream has seen the peer's close.
    TransferCompletionTime,
    /// Transfer: size over completion time; of a timed one, what arrived in its time over that time.
    TransferGoodput,
    /// Transfer: Jain's index of what its streams have delivered once the first of them is finished or the time
    /// is up: 1 if all are equal, 1/n if one has everything.
    TransferFairness,
    /// Link: bits sent over rate × time, from the first to the last frame.
    LinkUtilisation,
    /// Link: frames lost by the loss law over frames offered.
    LinkLoss,
    /// Link: frames dropped by the full queue over frames offered.
    LinkQueueDrops,
    /// Link: longest wait in the queue.
    LinkQueueDelay,
    /// Link: bytes of frames that reached the other end, headers included.
    LinkDelivered,
}

/// How samples become one value. Quantiles are nearest-rank (⌈qn⌉-th smallest).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Statistic {
    /// Smallest.
    Min,
    /// Arithmetic mean.
    Mean,
    /// 50th percentile.
    Median,
    /// 95th percentile; wants 20 samples.
    P95,
    /// 99th percentile; wants 100 samples.
    P99,
    /// Largest.
    Max,
    /// Sum.
    Sum,
}

/// Whose samples an assertion looks at.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Scope {
    /// Every migration, transfer or link, as the metric says.
    All,
    /// The one with this name; `from->to` for a link.
    Only(String),
}

/// What the value must satisfy.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Bound {
    /// Value ≤ bound.
    AtMost(Value),
    /// Value ≥ bound.
    AtLeast(Value),
}

/// A value of a metric, in the unit of its kind.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Value {
    /// A time.
    Time(Span),
    /// A size.
    Size(ByteSize),
    /// A rate.
    Rate(BitRate),
    /// A share in [0, 1], written as a percentage.
    Share(Probability),
    /// A plain number, in millionths.
    Number(u64),
}

/// How serious a failed assertion is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Level {
    /// Fails the run.
    Critical,
    /// Is reported.
    Advisory,
}

/// How the runs of a replay and of the simulator are compared.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Replay {
    /// Runs on the real kernel.
    pub replications: u32,
    /// Simulated runs.
    pub simulations: u32,
    /// How far apart they may be; empty leaves it to the defaults.
    pub margins: Vec<Margin>,
}

/// How far apart both worlds may be in one metric.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Margin {
    /// What is compared.
    pub metric: Metric,
    /// Of which migrations, transfers or links. A name takes precedence over `All`.
    pub scope: Scope,
    /// How far apart the medians may be.
    pub within: Within,
}

/// The size of a margin.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Within {
    /// A share of the replayed median.
    Relative(Probability),
    /// A difference in the unit of the metric, a share in percentage points.
    Absolute(Value),
}
