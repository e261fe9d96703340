//! A cluster whose disk is slow, full or broken.
//!
//! A full disk is noticed before something is lost: the cluster takes no updates of its clients, leads the log no longer
//! and promises nothing there until there is space again. etcd does so when its quota of space is used up (the `NOSPACE`
//! alarm), and Redis refuses writes of clients while it cannot save them (`stop-writes-on-bgsave-error`). What peers
//! send is kept in memory, as a replica of Redis keeps it, and becomes durable when there is space.
//!
//! After a write that failed nobody knows what is on the disk, and trying again may report success for pages that the
//! kernel has dropped (Rebello and others, "Can Applications Recover from fsync Failures?", USENIX ATC 2020). So the
//! process ends, as etcd does when it cannot save its log, and PostgreSQL since version 11.2 (`data_sync_retry`). What
//! was durable before is there when it is started again.

use longhaul_core::disk::DiskCondition;
use longhaul_core::machine::Output;
use longhaul_core::time::Instant;

use super::Cluster;
use crate::consensus::Consensus;
use crate::event::Event;

impl Cluster {
    /// How well its disk does from now on.
    pub(super) fn set_disk(&mut self, condition: DiskCondition) {
        let before = std::mem::replace(&mut self.disk, condition);
        self.state.set_disk(self.now, condition);
        if let Some(consensus) = &mut self.consensus {
            consensus.set_disk(self.now, condition);
        }
        match (before.is_out_of_space(), condition.is_out_of_space()) {
            (false, true) => {
                self.refused_before = self.statistics.refused_updates;
                self.event(Event::DiskFull);
            }
            (true, false) => {
                let refused = self.statistics.refused_updates - self.refused_before;
                self.event(Event::DiskHasSpace { refused });
            }
            _ => {}
        }
    }

    /// Whether a write has failed: then the process is over, and all that is left to do is [`Cluster::crash`].
    pub fn has_failed(&self) -> bool {
        self.failed
    }

    /// Ends the process if a write that was due has failed.
    pub(super) fn fail_with_disk(&mut self) {
        if !self.disk.failed || self.failed {
            return;
        }
        let log = self.consensus.as_ref().is_some_and(Consensus::has_disk_failed);
        let state = self.state.fails_at().is_some_and(|at| at <= self.now);
        if !log && !state {
            return;
        }
        (self.failed, self.stopped) = (true, true);
        for stream in std::mem::take(&mut self.streams).into_keys() {
            self.outputs.push_back(Output::Abort { stream });
        }
        let what = if log { "log" } else { "state" }.to_owned();
        self.event(Event::DiskFailed { what });
    }

    /// When the next write fails.
    pub(super) fn disk_wake(&self) -> Option<(Instant, &'static str)> {
        self.state.fails_at().map(|at| (at.max(self.now), "disk"))
    }
}
