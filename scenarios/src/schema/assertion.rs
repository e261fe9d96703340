//! What must hold at the end, and what is compared with a replay.

use std::fmt;

use longhaul_core::time::Span;
use longhaul_core::units::{BitRate, ByteSize, Probability};

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

/// What can be asserted. One sample per migration, transfer, replication, federation or link of the
/// scope.
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
    /// Migration: from its start to its end, with what goes before and after.
    MigrationJobTime,
    /// Migration: what each processor of the guest has lost at the source by being slowed down.
    MigrationThrottledTime,
    /// Migration: QEMU's `cpu-throttle-percentage` at the end.
    MigrationThrottle,
    /// Migration: QEMU's `postcopy-blocktime`, how long all processors of the guest waited for pages together.
    MigrationBlocktime,
    /// Migration: the longest wait for a page at the destination.
    MigrationLongestFault,
    /// Migration: pages that the destination has asked for.
    MigrationPostcopyRequests,
    /// Migration: how often the transport was lost after the guest may have changed sides.
    MigrationInterruptions,
    /// Migration: how often it was said to make no progress.
    MigrationStalls,
    /// Migration: the share of the time of copying in which the streams waited for the encoder.
    MigrationProcessorBound,
    /// Migration: the share of the time of copying in which the streams would not take more.
    MigrationNetworkBound,
    /// Transfer: from the first SYN until the last stream has seen the peer's close.
    TransferCompletionTime,
    /// Transfer: size over completion time; of a timed one, what arrived in its time over that time.
    TransferGoodput,
    /// Transfer: Jain's index of what its streams have delivered once the first of them is finished or the time
    /// is up: 1 if all are equal, 1/n if one has everything.
    TransferFairness,
    /// Replication: from its start until all its VMs have an epoch in place.
    ReplicationSeedTime,
    /// Replication: memory of its VMs over that time: what is sent before it is encoded.
    ReplicationSeedRate,
    /// Replication: the age of the newest complete epoch that is not exceeded for half of the time, from the first epoch
    /// to the loss of the source or the end of the run; of the VM for which it is largest.
    ReplicationRpoMedian,
    /// Replication: the same for 95 % of the time.
    ReplicationRpoP95,
    /// Replication: the same for 99 % of the time.
    ReplicationRpoP99,
    /// Replication: the greatest age in that time.
    ReplicationRpoMax,
    /// Replication: the share of that time in which the age was within its target; of the VM for which it is least.
    ReplicationRpoWithin,
    /// Replication: epochs in place, over all VMs.
    ReplicationEpochs,
    /// Replication: bytes handed to the transport's streams.
    ReplicationTransferred,
    /// Replication: memory sent (raw) over bytes handed to the transport's streams.
    ReplicationCompressionRatio,
    /// Replication: how often all pages of a set had to be sent again.
    ReplicationResyncs,
    /// Replication: longest time from when the source was connected again after an outage until the age kept within its
    /// target.
    ReplicationCatchUp,
    /// Replication: from the loss of the source, or from when it stopped its VMs, until all of them ran in the other
    /// region.
    ReplicationRto,
    /// Replication: how old the epoch was at that loss from which a VM went on; of the VM for which it is largest.
    ReplicationDataLoss,
    /// Replication: how long VMs ran in both regions.
    ReplicationOverlap,
    /// Replication: 1 if no epoch was rejected and, if the source was lost, all VMs went on in the other region, else 0.
    ReplicationSuccess,
    /// Federation: half of the commands of clients were answered within this time.
    FederationCommitLatencyMedian,
    /// Federation: 95 % of them were.
    FederationCommitLatencyP95,
    /// Federation: 99 % of them were.
    FederationCommitLatencyP99,
    /// Federation: all that were answered at all were.
    FederationCommitLatencyMax,
    /// Federation: 99 % of the reads of the log that were answered were within this time.
    FederationReadLatencyP99,
    /// Federation: half of the updates were applied at other clusters within this time, each counted wherever it arrived.
    FederationPropagationMedian,
    /// Federation: 99 % of them were.
    FederationPropagationP99,
    /// Federation: all of them were.
    FederationPropagationMax,
    /// Federation: from the end of the work of clients until all clusters were equal.
    FederationConvergenceTime,
    /// Federation: longest time from when two clusters were connected again until they agreed.
    FederationReconcileTime,
    /// Federation: how long the log was without a leader after it had one.
    FederationLeaderless,
    /// Federation: elections that clusters began.
    FederationElections,
    /// Federation: commands of clients that were answered.
    FederationCommitted,
    /// Federation: commands and reads that failed.
    FederationFailedCommands,
    /// Federation: 1 if all answers of the log fit into one order in true time, 0 if some are stale; none if there are too
    /// many orders to try.
    FederationLinearizable,
    /// Federation: what encoding and transport save: one less the bytes of state and its acknowledgements on the streams over those of keys and values that were sent; 0 if it is less than nothing.
    FederationSavings,
    /// Federation: bytes of keys and values over those of the frames that carry them.
    FederationCompressionRatio,
    /// Federation: bytes handed to streams, of all classes and clusters.
    FederationSent,
    /// Federation: synchronisations that a lost connection ended, or that found none.
    FederationSyncFailures,
    /// Federation: changes that met writes that knew nothing of them.
    FederationConflicts,
    /// Federation: changes that an outbox had no room for.
    FederationDropped,
    /// Federation: changes that were given up before a peer had them.
    FederationLostChanges,
    /// Federation: frames refused or damaged, handshakes refused, updates without room.
    FederationErrors,
    /// Federation: 1 if all clusters that were there at the end were equal, with nothing left to do; else 0.
    FederationSuccess,
    /// Datagrams: the share that did not arrive.
    DatagramLoss,
    /// Datagrams: the longest time between two arrivals; zero if none was longer than the interval.
    DatagramGap,
    /// Datagrams: interarrival jitter (RFC 3550).
    DatagramJitter,
    /// Datagrams: the median of the delays.
    DatagramDelayMedian,
    /// Datagrams: their 99th percentile.
    DatagramDelayP99,
    /// Datagrams: the mean opinion score of a call with G.711 over them.
    DatagramMos,
    /// Reservation: 1 if it was admitted and not displaced, else 0.
    ReservationSuccess,
    /// Reservation: how long it was in force.
    ReservationHeld,
    /// Demand: the share of it that the links on its paths could carry.
    DemandArrived,
    /// How often the route of a pair of regions was replaced or lost; only with a controller of routes.
    RouteChanges,
    /// How long a pair of regions had no route as its controller knows, from its first traffic on.
    RouteOutage,
    /// Client: the share of ended requests that succeeded in time.
    ClientSuccess,
    /// Client: requests per second that succeeded in time.
    ClientGoodput,
    /// Client: the share of sample intervals in which at least 95 % of ended requests succeeded in time.
    ClientAvailability,
    /// Client: attempts for each request.
    ClientAmplification,
    /// Client: the share of ended requests that its own rate limits refused.
    ClientRateLimited,
    /// Client: times that a breaker opened.
    ClientBreakerOpenings,
    /// Client: how long half of the answered requests took at most, late ones included.
    ClientLatencyMedian,
    /// Client: the 95th percentile of that.
    ClientLatencyP95,
    /// Client: the 99th percentile of that.
    ClientLatencyP99,
    /// Its 99.9th percentile, if at least ten requests took longer.
    ClientLatencyP999,
    /// Client: from the first fault until it noticed.
    ClientDetectionTime,
    /// Client: from the end of the last fault until goodput was back at 95 % of what it was before.
    ClientRecoveryTime,
    /// Client: 1 if goodput stayed down after the faults and feeds that itself, else 0.
    ClientMetastable,
    /// Service: the share of requests that its servers refused.
    ServiceRefused,
    /// Service: the share of work that had been begun before in an earlier attempt.
    ServiceRepeated,
    /// Service: the share of answers for which nobody waited any more.
    ServiceInVain,
    /// Service: requests that were lost when a server ended.
    ServiceLost,
    /// Service: the share of its processor time that went into requests.
    ServiceUtilisation,
    /// Service: the most requests that ever waited at one of its servers.
    ServiceLongestQueue,
    /// Overlay: times that flows went from one path to another, all those of an edge and a moment counted once.
    OverlaySwitches,
    /// Overlay: times that a path went down soon after it had come up.
    OverlayFlaps,
    /// Overlay: the longest time from the failure of a link to an edge's knowing of it.
    OverlayDetectionTime,
    /// Overlay: the longest time from the failure of a link to the first payload that arrived by another path.
    OverlayFailoverTime,
    /// Overlay: the share of samples in which a flow was on a path while another was better.
    OverlayWrongDecisions,
    /// Overlay: bytes of all datagrams of its edges.
    OverlayProbing,
    /// Overlay: the smallest MTU at the end of those that its paths have found, outer headers included.
    OverlayPathMtu,
    /// Overlay: the longest time until a path had found its MTU.
    OverlayPathMtuTime,
    /// Overlay: the time until every site knew all that it can know.
    OverlayDiscoveryTime,
    /// Overlay: announcements that its sites did not believe.
    OverlayRefusedAnnouncements,
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
    /// Everything of the kind that the metric is of.
    All,
    /// The one with this name; `from->to` for a link.
    Only(String),
}

impl Scope {
    /// Whether it takes in what has this name.
    pub fn has(&self, name: &str) -> bool {
        match self {
            Scope::All => true,
            Scope::Only(only) => only == name,
        }
    }
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

/// A number counts in these.
pub const MILLIONTHS: u64 = 1_000_000;

impl Value {
    /// Its exact integer.
    pub fn exact(self) -> u64 {
        match self {
            Value::Time(span) => span.as_ns(),
            Value::Size(size) => size.as_bytes(),
            Value::Rate(rate) => rate.as_bits_per_s(),
            Value::Share(share) => share.as_parts(),
            Value::Number(millionths) => millionths,
        }
    }

    /// Another value of the same kind, by its exact integer.
    #[must_use]
    pub fn of_same_kind(self, exact: u64) -> Value {
        match self {
            Value::Time(_) => Value::Time(Span::from_ns(exact)),
            Value::Size(_) => Value::Size(ByteSize::from_bytes(exact)),
            Value::Rate(_) => Value::Rate(BitRate::from_bits_per_s(exact)),
            Value::Share(_) => Value::Share(Probability::from_parts(exact).unwrap_or(Probability::ONE)),
            Value::Number(_) => Value::Number(exact),
        }
    }
}

/// As people read it.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Time(span) => span.fmt(f),
            Value::Size(size) => size.fmt(f),
            Value::Rate(rate) => rate.fmt(f),
            Value::Share(share) => share.fmt(f),
            Value::Number(millionths) => {
                let (whole, part) = (millionths / MILLIONTHS, millionths % MILLIONTHS);
                let text = format!("{whole}.{part:06}");
                f.write_str(text.trim_end_matches('0').trim_end_matches('.'))
            }
        }
    }
}

/// How serious a failed assertion is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Level {
    /// Fails the run.
    Critical,
    /// Is reported.
    Advisory,
}
