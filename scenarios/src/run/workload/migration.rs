//! How far a live migration has got.

use longhaul_core::record::Progress;
use longhaul_core::time::Instant;
use longhaul_migration::{DestinationEvent, SourceEvent};

use super::Stage;
use crate::run::endpoint::Event;

/// A live migration during the run.
pub struct MigrationRun {
    /// Name in the scenario.
    pub name: String,
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
    pub fn new(name: &str) -> MigrationRun {
        MigrationRun {
            name: name.to_owned(),
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
