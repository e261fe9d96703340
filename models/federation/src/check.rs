//! What must hold in every run, seen from outside and for all clusters at once.

use std::collections::BTreeMap;

use longhaul_raft::check::{Checker as RaftChecker, Violation};
use longhaul_raft::history::{Timed, Verdict, linearizable};

use crate::registry::{Call, Name};
use crate::{Cluster, ClusterId};

/// Watches a federation: show it every cluster after every step, and every crash.
#[derive(Clone, Debug)]
pub struct Checker {
    raft: RaftChecker,
    voters: Vec<ClusterId>,
}

impl Checker {
    /// For a federation with these voters.
    pub fn new(voters: Vec<ClusterId>) -> Checker {
        Checker {
            raft: RaftChecker::new(voters.len()),
            voters,
        }
    }

    /// The checker of the log.
    pub fn raft(&self) -> &RaftChecker {
        &self.raft
    }

    /// Looks at a cluster.
    ///
    /// # Errors
    /// The first property of the log that is broken.
    pub fn observe(&mut self, cluster: &Cluster) -> Result<(), Violation> {
        let Some(replica) = cluster.replica() else {
            return Ok(());
        };
        self.raft
            .observe(replica.node(), replica.applied(), replica.digest())
    }

    /// A cluster crashed.
    pub fn on_crash(&mut self, id: ClusterId) {
        self.raft.on_crash(id);
    }

    /// Looks at the disks of all voters.
    ///
    /// # Errors
    /// What was committed is on fewer than a quorum.
    pub fn observe_disks<'a>(
        &self,
        disks: impl Iterator<Item = &'a longhaul_raft::disk::Disk>,
    ) -> Result<(), Violation> {
        self.raft
            .observe_disks(disks.map(longhaul_raft::disk::Disk::stable))
    }

    /// Who votes.
    pub fn voters(&self) -> &[ClusterId] {
        &self.voters
    }
}

/// Whether what clients of all clusters asked of the registry and were answered can have happened in one order, name by
/// name; and the first name of which it cannot.
pub fn check_history<'a>(
    histories: impl Iterator<Item = &'a (String, Timed<Call>)>,
    steps: u64,
) -> (Verdict, Option<String>) {
    let mut by_name: BTreeMap<&str, Vec<Timed<Call>>> = BTreeMap::new();
    for (name, call) in histories {
        by_name.entry(name).or_default().push(call.clone());
    }
    let mut verdict = Verdict::Linearizable;
    for (name, calls) in by_name {
        match linearizable(&Name, &calls, steps) {
            Verdict::Linearizable => {}
            Verdict::Undecided => verdict = Verdict::Undecided,
            broken @ Verdict::NotLinearizable { .. } => return (broken, Some(name.to_owned())),
        }
    }
    (verdict, None)
}
