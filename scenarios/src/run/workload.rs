//! How far each migration and transfer of the scenario has got.

use longhaul_bulk::SenderEvent;
use longhaul_core::machine::PeerId;
use longhaul_core::record::Progress;
use longhaul_core::time::{Instant, Span};
use longhaul_migration::{DestinationEvent, SourceEvent};

use super::endpoint::Event;
use super::machines::{migration_peers, transfer_peers};
use crate::schema::{Scenario, Start};

/// The migrations and transfers of a scenario, in its order, before any has started.
///
/// # Panics
/// If one waits for a migration that the scenario does not have: the check found it.
pub fn runs(scenario: &Scenario) -> (Vec<MigrationRun>, Vec<TransferRun>) {
    let migrations = scenario.migrations.iter().enumerate().map(|(index, spec)| {
        let after = match &spec.start {
            Start::At(_) => None,
            Start::After { migration, pause } => {
                let before = scenario.migrations.iter().position(|m| m.name == *migration);
                Some((before.expect("a migration of the scenario"), *pause))
            }
        };
        MigrationRun::new(&spec.name, migration_peers(index).0, after)
    });
    let transfers = scenario.transfers.iter().enumerate().map(|(index, spec)| {
        let (sender, receiver) = transfer_peers(scenario, index);
        TransferRun::new(&spec.name, sender, receiver, spec.streams)
    });
    (migrations.collect(), transfers.collect())
}

/// The processes of a region have ended, and what has an end there has failed; says how many workloads that ended.
/// `ends` are the regions between which each runs, migrations first.
pub fn kill(
    name: &str,
    region: usize,
    ends: &[[usize; 2]],
    migrations: &mut [MigrationRun],
    transfers: &mut [TransferRun],
) -> usize {
    let reason = || format!("killed in {name}");
    let (of_migrations, of_transfers) = ends.split_at(migrations.len());
    let mut ended = 0;
    for (run, ends) in migrations.iter_mut().zip(of_migrations) {
        ended += usize::from(ends.contains(&region) && run.stage.fail(reason()));
    }
    for (run, ends) in transfers.iter_mut().zip(of_transfers) {
        ended += usize::from(ends.contains(&region) && run.stage.fail(reason()));
    }
    ended
}

/// The migrations that wait for one that has ended, and how long after it they start. One that failed releases nobody.
pub fn dependents(migrations: &[MigrationRun], ended: usize) -> Vec<(usize, Span)> {
    if migrations[ended].stage.progress != Progress::Completed {
        return Vec::new();
    }
    let waiting = migrations.iter().enumerate().filter_map(|(index, run)| {
        let (before, pause) = run.after?;
        (before == ended).then_some((index, pause))
    });
    waiting.collect()
}

/// Since when a workload runs, and how far it has got.
pub struct Stage {
    /// When it started.
    pub started: Option<Instant>,
    progress: Progress,
}

impl Stage {
    const NOT_STARTED: Stage = Stage {
        started: None,
        progress: Progress::NotStarted,
    };

    /// Notes the start.
    pub fn start(&mut self, now: Instant) {
        self.started = Some(now);
        // One of its machines may have been killed before.
        if self.progress == Progress::NotStarted {
            self.progress = Progress::Unfinished;
        }
    }

    /// How far it got.
    pub fn progress(&self) -> &Progress {
        &self.progress
    }

    /// Whether it has started and not ended.
    pub fn under_way(&self) -> bool {
        self.progress == Progress::Unfinished
    }

    /// It cannot go on; true if that ended it.
    pub fn fail(&mut self, reason: String) -> bool {
        let first = matches!(self.progress, Progress::NotStarted | Progress::Unfinished);
        if first {
            self.progress = Progress::Failed(reason);
        }
        first
    }

    /// It ends like this, if it is under way; true if it was.
    fn end(&mut self, progress: Progress) -> bool {
        let first = self.under_way();
        if first {
            self.progress = progress;
        }
        first
    }
}

/// A live migration during the run.
pub struct MigrationRun {
    /// Name in the scenario.
    pub name: String,
    /// Its source machine.
    pub source: PeerId,
    /// The migration that it waits for, and how long after it starts.
    pub after: Option<(usize, Span)>,
    /// Since when it runs, and how far it has got.
    pub stage: Stage,
    /// When its streams were open.
    pub set_up: Option<Instant>,
    /// When the guest was paused.
    pub paused: Option<Instant>,
    /// When the guest ran at the destination.
    pub resumed: Option<Instant>,
    /// Pages whose content the destination compared with the guest's, all of them equal: it refuses others.
    pub verified_pages: u64,
}

impl MigrationRun {
    /// A migration that has not started.
    pub fn new(name: &str, source: PeerId, after: Option<(usize, Span)>) -> MigrationRun {
        MigrationRun {
            name: name.to_owned(),
            source,
            after,
            stage: Stage::NOT_STARTED,
            set_up: None,
            paused: None,
            resumed: None,
            verified_pages: 0,
        }
    }

    /// Takes in what one of its machines reports; true if that ended it.
    pub fn observe(&mut self, now: Instant, event: &Event) -> bool {
        match event {
            Event::MigrationSource(SourceEvent::SetupDone { .. }) => self.set_up = Some(now),
            Event::MigrationSource(SourceEvent::GuestPaused { .. }) => self.paused = Some(now),
            Event::MigrationSource(SourceEvent::Completed { .. }) => {
                return self.stage.end(Progress::Completed);
            }
            Event::MigrationSource(SourceEvent::Failed { reason }) => {
                return self.stage.end(Progress::Failed(format!("{reason:?}")));
            }
            Event::MigrationDestination(DestinationEvent::Resumed { verified_pages, .. }) => {
                self.resumed = Some(now);
                self.verified_pages = *verified_pages;
            }
            Event::MigrationDestination(DestinationEvent::Failed { reason }) => {
                return self.stage.end(Progress::Failed(format!("{reason:?}")));
            }
            _ => {}
        }
        false
    }
}

/// A bulk transfer during the run.
pub struct TransferRun {
    /// Name in the scenario.
    pub name: String,
    /// Its sending machine.
    pub sender: PeerId,
    /// Its receiving machine.
    pub receiver: PeerId,
    /// How many streams it has.
    pub streams: u32,
    /// Since when it runs, and how far it has got.
    pub stage: Stage,
    /// When the last of its streams so far was ready.
    pub connected: Option<Instant>,
    /// How many of its streams are ready.
    pub connections: u32,
    /// When the first stream was finished.
    pub first_stream: Option<Instant>,
    /// When the last stream was finished.
    pub finished: Option<Instant>,
    /// What each stream had delivered when the first was finished or the time was up.
    pub shares: Option<Vec<u64>>,
}

impl TransferRun {
    /// A transfer that has not started.
    pub fn new(name: &str, sender: PeerId, receiver: PeerId, streams: u32) -> TransferRun {
        TransferRun {
            name: name.to_owned(),
            sender,
            receiver,
            streams,
            stage: Stage::NOT_STARTED,
            connected: None,
            connections: 0,
            first_stream: None,
            finished: None,
            shares: None,
        }
    }

    /// Whether this event is the moment at which the streams are compared.
    pub fn compares_streams(&self, event: &Event) -> bool {
        let ends = matches!(
            event,
            Event::BulkSender(SenderEvent::TimeUp | SenderEvent::StreamFinished { .. })
        );
        ends && self.shares.is_none()
    }

    /// Jain's index of the shares, in millionths: (Σx)² / (n Σx²). Missing if nothing was delivered.
    pub fn fairness_millionths(&self) -> Option<u64> {
        let shares = self.shares.as_ref()?;
        let (mut sum, mut squares) = (0.0, 0.0);
        for &share in shares {
            sum += share as f64;
            squares += share as f64 * share as f64;
        }
        // A stream that was never accepted has delivered nothing and counts.
        let streams = f64::from(self.streams);
        (squares > 0.0).then(|| (sum * sum / (streams * squares) * 1e6).round() as u64)
    }

    /// Takes in what one of its machines reports; true if that ended it.
    pub fn observe(&mut self, now: Instant, event: &Event) -> bool {
        match event {
            Event::BulkSender(SenderEvent::Connected { .. }) => {
                self.connected = Some(now);
                self.connections += 1;
            }
            Event::BulkSender(SenderEvent::StreamFinished { .. }) => {
                self.first_stream.get_or_insert(now);
            }
            Event::BulkSender(SenderEvent::Completed) => {
                let first = self.stage.end(Progress::Completed);
                if first {
                    self.finished = Some(now);
                }
                return first;
            }
            Event::BulkSender(SenderEvent::Failed { stream }) => {
                return self
                    .stage
                    .end(Progress::Failed(format!("stream {} failed", stream.0)));
            }
            _ => {}
        }
        false
    }
}
