//! How far a live migration has got.

use longhaul_core::record::Progress;
use longhaul_core::time::Instant;
use longhaul_migration::{DestinationEvent, DestinationStatistics, GuestState, SourceEvent};

use super::Stage;
use crate::run::endpoint::Event;

/// A live migration during the run.
pub struct MigrationRun {
    /// Name in the scenario.
    pub name: String,
    /// Since when it runs, and how far it has got.
    pub stage: Stage,
    /// When the migration itself began, after what goes before.
    pub began: Option<Instant>,
    /// When its streams were open.
    pub set_up: Option<Instant>,
    /// When the guest was paused.
    pub paused: Option<Instant>,
    /// When the guest ran at the destination.
    pub resumed: Option<Instant>,
    /// When it ran there and had all its memory.
    pub arrived: Option<Instant>,
    /// When everything was tidied up.
    pub finished: Option<Instant>,
    /// How often it was said to have stalled.
    pub stalls: u64,
    /// Pages whose content the destination compared with the guest's, all of them equal: it refuses others.
    pub verified_pages: u64,
    /// The guest when it had all its memory at the destination.
    pub guest: Option<GuestState>,
    /// What the destination counted until then.
    pub arrival: Option<DestinationStatistics>,
    /// On which sides the guest runs.
    runs_at_source: bool,
    runs_at_destination: bool,
}

impl MigrationRun {
    /// A migration that has not started.
    pub fn new(name: &str) -> MigrationRun {
        MigrationRun {
            name: name.to_owned(),
            stage: Stage::NOT_STARTED,
            began: None,
            set_up: None,
            paused: None,
            resumed: None,
            arrived: None,
            finished: None,
            stalls: 0,
            verified_pages: 0,
            guest: None,
            arrival: None,
            runs_at_source: true,
            runs_at_destination: false,
        }
    }

    /// Takes in what one of its machines reports; true if that ended it.
    pub fn observe(&mut self, now: Instant, event: &Event) -> bool {
        match event {
            Event::MigrationSource(event) => self.observe_source(now, event),
            Event::MigrationDestination(event) => self.observe_destination(now, event),
            _ => false,
        }
    }

    /// Whether the guest runs on both sides, which never must be.
    pub fn runs_twice(&self) -> bool {
        self.runs_at_source && self.runs_at_destination
    }

    fn observe_source(&mut self, now: Instant, event: &SourceEvent) -> bool {
        match event {
            SourceEvent::Started => self.began = Some(now),
            SourceEvent::SetupDone { .. } => self.set_up = Some(now),
            SourceEvent::GuestPaused { .. } => {
                self.paused = Some(now);
                self.runs_at_source = false;
            }
            SourceEvent::GuestResumed => self.runs_at_source = true,
            SourceEvent::Stalled { .. } => self.stalls += 1,
            SourceEvent::Completed { .. } => {
                self.finished = Some(now);
                return self.stage.end(Progress::Completed);
            }
            SourceEvent::Failed { reason } => {
                return self.stage.end(Progress::Failed(format!("{reason:?}")));
            }
            SourceEvent::Cancelled => return self.stage.end(Progress::Failed("Cancelled".to_owned())),
            SourceEvent::RoundStarted { .. }
            | SourceEvent::GuestThrottled { .. }
            | SourceEvent::StreamLost { .. }
            | SourceEvent::PostcopyStarted { .. }
            | SourceEvent::Paused { .. }
            | SourceEvent::Recovering { .. }
            | SourceEvent::Recovered { .. }
            | SourceEvent::CancelRefused => {}
        }
        false
    }

    fn observe_destination(&mut self, now: Instant, event: &DestinationEvent) -> bool {
        match event {
            DestinationEvent::Resumed { .. } => {
                self.resumed = Some(now);
                self.runs_at_destination = true;
            }
            DestinationEvent::Arrived {
                verified_pages,
                guest,
                statistics,
                ..
            } => {
                self.arrived = Some(now);
                self.verified_pages = *verified_pages;
                self.guest = Some(guest.clone());
                self.arrival = Some((**statistics).clone());
            }
            DestinationEvent::Failed { reason } => {
                return self.stage.end(Progress::Failed(format!("{reason:?}")));
            }
            DestinationEvent::StreamEnded { .. }
            | DestinationEvent::StreamRefused { .. }
            | DestinationEvent::SourceLost { .. }
            | DestinationEvent::SourceBack { .. }
            | DestinationEvent::Abandoned => {}
        }
        false
    }
}
