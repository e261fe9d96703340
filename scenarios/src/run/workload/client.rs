//! How far a client has got.

use longhaul_core::record::Progress;

use super::Stage;
use crate::run::endpoint::Event;
use crate::run::services::ClientReport;
use crate::schema::Client;

/// A client during a run.
pub struct ClientRun {
    /// Name in the scenario.
    pub name: String,
    /// Since when it runs, and whether it has ended.
    pub stage: Stage,
}

impl ClientRun {
    /// One that has not started.
    pub fn new(spec: &Client) -> ClientRun {
        ClientRun {
            name: spec.name.clone(),
            stage: Stage::NOT_STARTED,
        }
    }

    /// Takes in what a machine reports; true if that ended the client. That requests failed is a result, too.
    pub fn observe(&mut self, event: &Event) -> bool {
        matches!(event, Event::Client(ClientReport::Ended)) && self.stage.end(Progress::Completed)
    }
}
