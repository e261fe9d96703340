//! How far a continuous replication has got.

use longhaul_core::record::Progress;
use longhaul_core::time::{Instant, Span};
use longhaul_replication::{ReplicaEvent, RpoHistory, SourceEvent};

use super::Stage;
use crate::run::endpoint::Event;
use crate::run::replications::sets;
use crate::schema::Replication;

/// A continuous replication during the run.
pub struct ReplicationRun {
    /// Name in the scenario.
    pub name: String,
    /// Since when it runs, and how far it has got.
    pub stage: Stage,
    /// Its consistency sets.
    pub sets: Vec<SetRun>,
    /// Snapshots taken, and those that were late.
    pub started: u64,
    /// See [`ReplicationRun::started`].
    pub late: u64,
    /// Epochs that lost their connection.
    pub interrupted: u64,
    /// Epochs that the replica could not use.
    pub rejected: u64,
    /// How often all pages of a set had to be sent again.
    pub resyncs: u64,
    /// Longest time from a snapshot to its acknowledgement.
    pub longest_epoch: Span,
    /// When all sets had an epoch in place.
    pub seeded: Option<Instant>,
    /// Times without a connection.
    pub outages: Vec<Outage>,
    /// Why its VMs do not run at the source.
    source: SourceLife,
    /// From when to when its processes stood still last.
    still: Option<(Instant, Instant)>,
    /// How long they have stood still before because the lease had run out.
    stood: Span,
    /// When the replica counted the source as lost, if it does.
    pub detected: Option<Instant>,
    /// What was decided, if anything was.
    pub failover: Option<FailoverRun>,
}

/// A consistency set during the run.
pub struct SetRun {
    /// Its VMs, by their place in the list.
    pub members: Vec<usize>,
    /// When its epochs were applied.
    pub rpo: RpoHistory,
    /// Real pages of the newest one.
    pub verified_pages: u64,
    /// Whether it has yet to catch up after an outage.
    behind: bool,
}

/// A time without a connection.
#[derive(Clone, Copy, Debug)]
pub struct Outage {
    /// When the source noticed it.
    pub noticed: Instant,
    /// When it was connected again.
    pub reconnected: Option<Instant>,
    /// When all sets had caught up.
    pub caught_up: Option<Instant>,
    /// Whether it came before the first epochs were in place.
    pub while_seeding: bool,
}

/// A fail-over under way or over.
pub struct FailoverRun {
    /// When it was decided.
    pub decided: Instant,
    /// When the replica had counted the source as lost, if it had.
    pub detected: Option<Instant>,
    /// The epoch of each set from which its VMs go on, when its snapshot was taken, and the pages that were compared.
    pub promoted: Vec<Option<(u64, Instant, u64)>>,
    /// When each VM ran, by its place in the list.
    pub running: Vec<Option<Instant>>,
    /// Why VMs are lost.
    lost: Option<String>,
}

/// Whether the VMs run at the source.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum SourceLife {
    Runs,
    /// The processes stand still.
    Still(Instant),
    /// The lease has run out.
    Stopped(Instant),
    /// Others run in their place.
    Fenced(Instant),
    /// The processes have ended.
    Killed(Instant),
}

impl ReplicationRun {
    /// A replication that has not started.
    pub fn new(spec: &Replication) -> ReplicationRun {
        let sets = sets(spec).into_iter().map(|(members, _)| SetRun {
            members,
            rpo: RpoHistory::default(),
            verified_pages: 0,
            behind: false,
        });
        ReplicationRun {
            name: spec.name.clone(),
            stage: Stage::NOT_STARTED,
            sets: sets.collect(),
            started: 0,
            late: 0,
            interrupted: 0,
            rejected: 0,
            resyncs: 0,
            longest_epoch: Span::ZERO,
            seeded: None,
            outages: Vec::new(),
            source: SourceLife::Runs,
            still: None,
            stood: Span::ZERO,
            detected: None,
            failover: None,
        }
    }

    /// When the VMs stopped at the source for good, if they did by now.
    pub fn stopped(&self) -> Option<Instant> {
        match self.source {
            SourceLife::Runs => None,
            SourceLife::Still(at)
            | SourceLife::Stopped(at)
            | SourceLife::Fenced(at)
            | SourceLife::Killed(at) => Some(at),
        }
    }

    /// How long they have stood still because the lease had run out.
    pub fn stood(&self, end: Instant) -> Span {
        match self.source {
            SourceLife::Stopped(at) => self.stood + end.saturating_since(at),
            _ => self.stood,
        }
    }

    /// Until when the age of the newest epoch counts: the end of the run, the loss of the source or the decision.
    pub fn protected_until(&self, end: Instant) -> Instant {
        let decided = self.failover.as_ref().map(|failover| failover.decided);
        // A source that has merely stopped its VMs may go on.
        let lost = self.stopped().filter(|_| decided.is_some() || self.is_killed());
        [Some(end), lost, decided]
            .into_iter()
            .flatten()
            .min()
            .unwrap_or(end)
    }

    fn is_killed(&self) -> bool {
        matches!(self.source, SourceLife::Killed(_))
    }

    /// The age of the newest epoch, of the set for which it is largest; none while one has none.
    pub fn age(&self, now: Instant) -> Option<Span> {
        let ages: Option<Vec<Span>> = self.sets.iter().map(|set| set.rpo.age(now)).collect();
        ages?.into_iter().max()
    }

    /// How far it got, if the run ends now.
    pub fn progress(&self) -> Progress {
        let protects = self.seeded.is_some() && self.detected.is_none() && self.stopped().is_none();
        match self.stage.progress() {
            Progress::Unfinished if protects => Progress::Completed,
            other => other.clone(),
        }
    }

    /// The processes of the source have ended.
    pub fn source_killed(&mut self, now: Instant) {
        // VMs that have stopped before have stopped then.
        let stopped = self.stopped().unwrap_or(now);
        self.source = SourceLife::Killed(stopped);
    }

    /// The processes of the source stand still.
    pub fn source_still(&mut self, now: Instant) {
        if self.source == SourceLife::Runs {
            self.source = SourceLife::Still(now);
        }
    }

    /// They go on.
    pub fn source_goes_on(&mut self, now: Instant) {
        if let SourceLife::Still(since) = self.source {
            self.source = SourceLife::Runs;
            self.still = Some((since, now));
        }
    }

    /// Takes in what one of its machines reports; true if that ended it.
    pub fn observe(&mut self, now: Instant, event: &Event) -> bool {
        match event {
            Event::ReplicationSource(event) => self.observe_source(now, event),
            Event::Replica(event) => self.observe_replica(now, event),
            _ => false,
        }
    }

    fn observe_source(&mut self, now: Instant, event: &SourceEvent) -> bool {
        match event {
            SourceEvent::Connected { .. } => self.connected(now),
            SourceEvent::Disconnected { .. } => self.outages.push(Outage {
                noticed: now,
                reconnected: None,
                caught_up: None,
                while_seeding: self.seeded.is_none(),
            }),
            SourceEvent::EpochStarted { late, .. } => {
                self.started += 1;
                self.late += u64::from(*late > Span::ZERO);
            }
            SourceEvent::EpochDone { took, .. } => self.longest_epoch = self.longest_epoch.max(*took),
            SourceEvent::EpochInterrupted { .. } => self.interrupted += 1,
            SourceEvent::Resync { .. } => self.resyncs += 1,
            SourceEvent::CaughtUp { set, .. } => self.caught_up(now, *set as usize),
            SourceEvent::GuestsStopped { at } => {
                // A lease that ran out while the processes stood still found the VMs standing still, too.
                let still = self.still.filter(|(from, to)| (*from..=*to).contains(at));
                self.source = SourceLife::Stopped(still.map_or(*at, |(from, _)| from));
            }
            SourceEvent::GuestsResumed { after } => {
                self.stood += *after;
                self.source = SourceLife::Runs;
            }
            SourceEvent::Fenced => {
                let stopped = self.stopped().unwrap_or(now);
                self.source = SourceLife::Fenced(stopped);
            }
            SourceEvent::Refused => {
                return self.stage.fail("the replica is set up for other VMs".to_owned());
            }
            SourceEvent::NotConnected { .. } | SourceEvent::StreamLost { .. } => {}
        }
        false
    }

    fn connected(&mut self, now: Instant) {
        if let Some(outage) = self.outages.last_mut() {
            outage.reconnected = Some(now);
            self.sets.iter_mut().for_each(|set| set.behind = true);
        }
    }

    fn caught_up(&mut self, now: Instant, set: usize) {
        if let Some(set) = self.sets.get_mut(set) {
            set.behind = false;
        }
        if self.sets.iter().all(|set| !set.behind)
            && let Some(outage) = self.outages.last_mut()
        {
            outage.caught_up.get_or_insert(now);
        }
    }

    fn observe_replica(&mut self, now: Instant, event: &ReplicaEvent) -> bool {
        match event {
            ReplicaEvent::EpochApplied {
                set,
                snapshot_at,
                verified_pages,
                ..
            } => {
                if let Some(set) = self.sets.get_mut(*set as usize) {
                    set.rpo.apply(now, *snapshot_at);
                    set.verified_pages = *verified_pages;
                }
                if self.sets.iter().all(|set| set.rpo.epochs() > 0) {
                    self.seeded.get_or_insert(now);
                }
            }
            ReplicaEvent::Rejected { .. } => self.rejected += 1,
            ReplicaEvent::SourceLost { .. } => self.detected = Some(now),
            ReplicaEvent::SourceBack { .. } => self.detected = None,
            ReplicaEvent::Promoted {
                set,
                epoch,
                snapshot_at,
                verified_pages,
            } => {
                let promoted = (*epoch, *snapshot_at, *verified_pages);
                if let Some(place) = self.failover(now).promoted.get_mut(*set as usize) {
                    *place = Some(promoted);
                }
            }
            ReplicaEvent::NotPromoted { set, reason } => {
                let reason = format!("set {set} did not go on: {reason:?}");
                self.failover(now).lost.get_or_insert(reason);
            }
            ReplicaEvent::GuestRunning { set, guest, .. } => {
                let vm = self
                    .sets
                    .get(*set as usize)
                    .map(|set| set.members[*guest as usize]);
                let running = &mut self.failover(now).running;
                if let Some(place) = vm.and_then(|vm| running.get_mut(vm)) {
                    *place = Some(now);
                }
            }
            ReplicaEvent::FailedOver => {
                let lost = self.failover(now).lost.clone();
                return self.stage.end(lost.map_or(Progress::Completed, Progress::Failed));
            }
            ReplicaEvent::Welcomed { .. }
            | ReplicaEvent::StreamRefused { .. }
            | ReplicaEvent::StreamEnded { .. }
            | ReplicaEvent::SessionOver { .. }
            | ReplicaEvent::NoLease
            | ReplicaEvent::DiskStalled { .. }
            | ReplicaEvent::DiskWrites { .. }
            | ReplicaEvent::FailOverWaits
            | ReplicaEvent::SourceFenced => {}
        }
        false
    }

    fn failover(&mut self, now: Instant) -> &mut FailoverRun {
        let (sets, detected) = (self.sets.len(), self.detected);
        let vms = self.sets.iter().map(|set| set.members.len()).sum();
        self.failover.get_or_insert_with(|| FailoverRun {
            decided: now,
            detected,
            promoted: vec![None; sets],
            running: vec![None; vms],
            lost: None,
        })
    }
}
