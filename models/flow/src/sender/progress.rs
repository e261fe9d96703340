//! How far a sender has come within its round.

use longhaul_core::time::Instant;

use super::Sender;
use crate::pace::Pace;

/// What a sender has done by a moment.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub(crate) struct Progress {
    /// Bytes on the wire that have passed the bottleneck.
    pub(crate) carried: f64,
    /// Segments that the law took, and that a full queue dropped or refused.
    pub(crate) lost: f64,
    pub(crate) dropped: f64,
    /// Payload that has reached the peer, as far as can be told.
    pub(crate) received: u64,
}

impl Progress {
    /// What has been carried and lost since `before`.
    pub(crate) fn beyond(&self, before: &Progress) -> Progress {
        Progress {
            carried: (self.carried - before.carried).max(0.0),
            lost: (self.lost - before.lost).max(0.0),
            dropped: (self.dropped - before.dropped).max(0.0),
            received: 0,
        }
    }

    /// What both have carried and lost.
    pub(crate) fn plus(&self, more: &Progress) -> Progress {
        Progress {
            carried: self.carried + more.carried,
            lost: self.lost + more.lost,
            dropped: self.dropped + more.dropped,
            received: 0,
        }
    }
}

impl Sender {
    /// What has been done by `now` at this pace; without one the whole round counts.
    pub(crate) fn progress(&self, now: Instant, pace: Option<&Pace>) -> Progress {
        let (mut sent, mut lost, mut dropped) = (
            self.stats.segments_sent as f64,
            self.stats.lost as f64,
            self.stats.queue_drops as f64,
        );
        let mut payload = self.sent as f64;
        let mut way = 0.0;
        if let Some(round) = self.round {
            let part = pace.map_or(1.0, |pace| pace.part(now));
            sent += part * f64::from(round.segments) * f64::from(round.rounds);
            lost += part * f64::from(round.lost_by_law());
            dropped += part * f64::from(round.dropped);
            payload += part * round.new_bytes as f64;
            let rate = pace.map_or(0.0, |pace| pace.rate);
            way = rate * self.line.one_way.as_ns() as f64 / 1e9 * f64::from(self.line.mss) / self.line.frame;
        }
        let missing = u64::from(self.retransmit) * u64::from(self.line.mss);
        let arrived = (payload - way).max(0.0) as u64;
        // What a local queue refuses was never sent.
        let never_carried = lost + if self.line.offload { 0.0 } else { dropped };
        Progress {
            carried: (sent - never_carried).max(0.0) * self.line.frame,
            lost,
            dropped,
            received: arrived
                .saturating_sub(missing)
                .min(self.written)
                .max(self.stats.delivered_bytes),
        }
    }
}
