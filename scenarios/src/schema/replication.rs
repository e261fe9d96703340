//! Continuous replication to another region.

use longhaul_core::time::Span;
use longhaul_core::units::BitRate;

use super::{Encoding, Transport};

/// One continuous replication of virtual machines of one region to another.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Replication {
    /// Unique among migrations, transfers and replications.
    pub name: String,
    /// The VMs, all in one region, at least one. Restored in this order after a fail-over.
    pub vms: Vec<String>,
    /// The region where they are replicated to.
    pub to: String,
    /// When it starts.
    pub at: Span,
    /// Which VMs have their snapshots together, and who goes first.
    pub consistency: Consistency,
    /// When snapshots are taken.
    pub policy: Policy,
    /// How old the newest complete epoch at the other region may become.
    pub rpo_target: Span,
    /// How long a VM stands still for a snapshot.
    pub snapshot_pause: Span,
    /// How pages are encoded.
    pub encoding: Encoding,
    /// Threads that encode, at the speed that was measured of the codec; none if encoding takes no time.
    pub encode_threads: Option<u32>,
    /// How pages are carried.
    pub transport: Transport,
    /// Most bits per second that are sent; none for no limit.
    pub max_bandwidth: Option<BitRate>,
    /// How silence is noticed.
    pub heartbeat: Heartbeat,
    /// How the source comes back after it has lost the replica.
    pub backoff: Backoff,
    /// Who decides that the VMs go on in the other region.
    pub failover: Failover,
    /// How fast the disk at the other region writes what arrives; none if that takes no time.
    pub write_rate: Option<BitRate>,
    /// How fast epochs are turned into VMs that can be started, one VM after the other; none if they need not be.
    pub restore_rate: Option<BitRate>,
    /// How long a VM takes from there until it works again.
    pub resume_time: Span,
}

/// Which VMs have their snapshots together.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Consistency {
    /// All: an epoch is of all of them or of none.
    Group,
    /// Each by itself; they take turns.
    Each,
    /// Each by itself; as long as one has something to send, those behind it in the list wait.
    Ranked,
}

/// When snapshots are taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Policy {
    /// A fixed time after the one before.
    Interval(Span),
    /// As soon as the epoch before is acknowledged.
    Continuous {
        /// Least time between two.
        least: Span,
    },
    /// As seldom as the target allows.
    Adaptive {
        /// Least time between two.
        least: Span,
        /// Most time between two.
        most: Span,
    },
}

/// How silence is noticed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Heartbeat {
    /// Time between two heartbeats.
    pub interval: Span,
    /// After how many of them without any news the other side counts as lost.
    pub multiplier: u32,
}

/// Pauses before the attempts to come back, twice as long each time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Backoff {
    /// The first one.
    pub first: Span,
    /// The longest.
    pub most: Span,
}

/// Who decides that the VMs go on in the other region.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Failover {
    /// The replica, when the source is silent for the detection time; a source that is cut off for as long stops its
    /// VMs.
    Automatic,
    /// An operator.
    Manual {
        /// At this time of the run.
        at: Option<Span>,
        /// When the source has counted as lost for this long.
        after: Option<Span>,
    },
}
