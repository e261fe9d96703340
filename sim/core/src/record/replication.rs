//! Records of continuous replications.

use serde::{Deserialize, Serialize};

use super::{EncodingRecord, Progress, TransportRecord};

/// A continuous replication of virtual machines to another region.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ReplicationRecord {
    /// Name.
    pub name: String,
    /// Source region.
    pub from: String,
    /// Region of the replica.
    pub to: String,
    /// Completed: all VMs went on in the other region; or, at the end of the run, all were protected and the source had
    /// not been lost.
    pub progress: Progress,
    /// When it started.
    pub started_ns: Option<u64>,
    /// From the start until all VMs had an epoch in place.
    pub seed_ns: Option<u64>,
    /// How old the newest complete epoch may become.
    pub rpo_target_ns: u64,
    /// Memory of all VMs in bytes.
    pub memory: u64,
    /// Every VM, in the order of the scenario.
    pub vms: Vec<ProtectedVmRecord>,
    /// Epochs of all consistency sets.
    pub epochs: EpochsRecord,
    /// Times at which the connection was lost, in order.
    pub outages: Vec<OutageRecord>,
    /// What happened when the source was lost.
    pub failover: Option<FailoverRecord>,
    /// Time that VMs stood still for snapshots, of the one that did for longest.
    pub paused_ns: u64,
    /// Time that VMs stood still because the replica might have counted the source as lost.
    pub stopped_ns: u64,
    /// Most pages that were kept beside the memory of one set, because VMs wrote them before they were sent.
    pub kept_pages_max: u64,
    /// Time that encoding took, over all threads, as the cost model has it.
    pub encode_ns: u64,
    /// Bytes handed to the transport's streams.
    pub transferred: u64,
    /// What the encoder did.
    pub encoding: EncodingRecord,
    /// What the transport did.
    pub transport: TransportRecord,
}

/// A VM that is replicated. What belongs to a consistency set, all VMs of it have in common.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ProtectedVmRecord {
    /// Name.
    pub vm: String,
    /// Epochs in place.
    pub epochs: u64,
    /// The age of the newest one over time, once there was one.
    pub rpo: Option<RpoRecord>,
    /// Where it went on.
    pub resumed: Option<ResumedVmRecord>,
}

/// The age of the newest complete epoch over time, from the first one to the loss of the source or the end of the run.
/// Quantiles are over time, and exact.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RpoRecord {
    /// Length of that time.
    pub over_ns: u64,
    /// Mean.
    pub mean_ns: u64,
    /// Not exceeded for half of the time.
    pub median_ns: u64,
    /// Not exceeded for 95 % of the time.
    pub p95_ns: u64,
    /// Not exceeded for 99 % of the time.
    pub p99_ns: u64,
    /// Greatest.
    pub max_ns: u64,
    /// How long it was within the target.
    pub within_target_ns: u64,
}

/// A VM that went on in the other region.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ResumedVmRecord {
    /// From this epoch.
    pub epoch: u64,
    /// Whose snapshot was so old when the VM stopped: what it did since then is lost.
    pub lost_ns: u64,
    /// From when it stopped until it ran again; 0 if it ran again before.
    pub rto_ns: u64,
    /// Real pages that were compared before it ran, all of them equal, over its consistency set.
    pub verified_pages: u64,
}

/// Epochs of all consistency sets.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct EpochsRecord {
    /// Snapshots taken.
    pub started: u64,
    /// In place at the replica, verified.
    pub applied: u64,
    /// Snapshots that were taken later than they were due.
    pub late: u64,
    /// That lost their connection; what had arrived of them counted for the next.
    pub interrupted: u64,
    /// That the replica could not use.
    pub rejected: u64,
    /// How often all pages of a set had to be sent again.
    pub resyncs: u64,
    /// Longest time from a snapshot to its acknowledgement.
    pub longest_ns: u64,
    /// Real pages covered by the hash of the newest epoch of each set.
    pub verified_pages: u64,
}

/// A time without a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct OutageRecord {
    /// When the source noticed it.
    pub noticed_ns: u64,
    /// When it was connected again.
    pub reconnected_ns: Option<u64>,
    /// From then until the age of the newest epoch of every set kept within its target.
    pub catch_up_ns: Option<u64>,
    /// Whether the first epochs were not in place yet.
    pub while_seeding: bool,
}

/// What happened when the source was lost, or the replica was told to take over.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct FailoverRecord {
    /// When the VMs stopped at the source: it was lost, or stopped them; none if they never did.
    pub stopped_ns: Option<u64>,
    /// When the replica counted the source as lost; none if it was told before.
    pub detected_ns: Option<u64>,
    /// When it was decided that the VMs go on here.
    pub decided_ns: u64,
    /// When all of them ran.
    pub running_ns: Option<u64>,
    /// How long VMs ran in both regions.
    pub overlap_ns: u64,
    /// VMs without a usable epoch.
    pub lost_vms: u64,
}

impl ReplicationRecord {
    /// Of a quantity of the recovery point, the largest over all VMs; none while one has no epoch.
    pub fn worst_rpo(&self, of: impl Fn(&RpoRecord) -> u64) -> Option<u64> {
        let each: Option<Vec<u64>> = self.vms.iter().map(|vm| vm.rpo.as_ref().map(&of)).collect();
        each?.into_iter().max()
    }
}
