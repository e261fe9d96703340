//! How far a transfer has got, over plain connections or over AMST.

use longhaul_amst::object::ObjectEvent;
use longhaul_bulk::SenderEvent;
use longhaul_core::record::Progress;
use longhaul_core::time::Instant;

use super::Stage;
use crate::run::endpoint::Event;
use crate::schema::Carrier;

/// A bulk transfer during the run.
pub struct TransferRun {
    /// Name in the scenario.
    pub name: String,
    /// How many streams it has, if they have shares: those of AMST have not.
    pub streams: Option<u32>,
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
    pub fn new(name: &str, carrier: Carrier) -> TransferRun {
        TransferRun {
            name: name.to_owned(),
            streams: match carrier {
                Carrier::Plain { streams, .. } => Some(streams),
                Carrier::Amst(_) => None,
            },
            stage: Stage::NOT_STARTED,
            connected: None,
            connections: 0,
            first_stream: None,
            finished: None,
            shares: None,
        }
    }

    /// Whether this event is the moment at which it counts what has been delivered, stream by stream.
    pub fn compares_streams(&self, event: &Event) -> bool {
        let ends = matches!(
            event,
            Event::BulkSender(SenderEvent::TimeUp | SenderEvent::StreamFinished { .. })
                | Event::ObjectSender(ObjectEvent::TimeUp)
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
        let streams = f64::from(self.streams?);
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
            Event::ObjectSender(event) => return self.observe_object(now, *event),
            _ => {}
        }
        false
    }

    fn observe_object(&mut self, now: Instant, event: ObjectEvent) -> bool {
        match event {
            ObjectEvent::Connected { .. } => {
                // The first handshake: later ones open more streams, or others in their place.
                self.connected.get_or_insert(now);
                self.connections += 1;
                false
            }
            ObjectEvent::Completed => {
                let first = self.stage.end(Progress::Completed);
                if first {
                    self.finished = Some(now);
                }
                first
            }
            ObjectEvent::Failed { why, .. } => self.stage.end(Progress::Failed(why.to_string())),
            ObjectEvent::Adapted { .. } | ObjectEvent::StreamLost { .. } | ObjectEvent::TimeUp => false,
        }
    }
}
