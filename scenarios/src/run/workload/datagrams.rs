//! How far a stream of datagrams has got.

use longhaul_core::record::Progress;
use longhaul_stream::{Report, SenderEvent};

use super::Stage;
use crate::run::endpoint::Event;
use crate::schema::DatagramStream;

/// A stream of datagrams during a run.
pub struct DatagramRun {
    /// Name in the scenario.
    pub name: String,
    /// Since when it runs, and how far it has got.
    pub stage: Stage,
    /// What the receiver had counted when it was asked.
    pub report: Option<Report>,
}

impl DatagramRun {
    /// One that has not started.
    pub fn new(spec: &DatagramStream) -> DatagramRun {
        DatagramRun {
            name: spec.name.clone(),
            stage: Stage::NOT_STARTED,
            report: None,
        }
    }

    /// Takes in what a machine reports; true if that ended the stream. That nothing arrived is a result, too.
    pub fn observe(&mut self, event: &Event) -> bool {
        let Event::DatagramSender(event) = event else {
            return false;
        };
        match event {
            SenderEvent::Completed { report } => {
                self.report = Some(*report);
                self.stage.end(Progress::Completed)
            }
            SenderEvent::Unanswered { .. } => self.stage.end(Progress::Completed),
            SenderEvent::Started | SenderEvent::Finished { .. } => false,
        }
    }
}
