//! How many more packets arrive acknowledged at once than the bandwidth explains (`bbr_update_ack_aggregation`).
//!
//! Where ACKs come in heaps the sender falls silent between them unless so many more packets may be in flight.

use longhaul_core::time::Instant;

use super::{Bandwidth, Situation};

/// Rounds after which the older of two maxima is dropped, so an answer is of the last 5 to 10 rounds.
const WINDOW_ROUNDS: u32 = 5;
/// An epoch that has seen so many packets begins anew.
const LARGEST_EPOCH: u32 = 1 << 20;

/// The estimate. An *epoch* lasts as long as ACKs come faster than the bandwidth.
#[derive(Clone, Debug, Default)]
pub(super) struct Aggregation {
    since: Instant,
    acknowledged: u32,
    /// Largest excess in this window and in the one before.
    excess: [u32; 2],
    rounds: u32,
}

impl Aggregation {
    /// Begins an epoch.
    pub(super) fn restart(&mut self, now: Instant) {
        self.since = now;
        self.acknowledged = 0;
    }

    /// An ACK delivered `packets`.
    pub(super) fn on_ack(
        &mut self,
        situation: &Situation,
        packets: u32,
        cwnd: u32,
        bandwidth: Bandwidth,
        round_start: bool,
    ) {
        if packets == 0 {
            return;
        }
        if round_start {
            self.rounds += 1;
            if self.rounds >= WINDOW_ROUNDS {
                self.rounds = 0;
                self.excess = [0, self.excess[0]];
            }
        }
        let elapsed = situation.delivered_at.saturating_since(self.since);
        let mut expected = bandwidth.packets_in(elapsed);
        let total = self.acknowledged.saturating_add(packets);
        if u64::from(self.acknowledged) <= expected || total >= LARGEST_EPOCH {
            self.restart(situation.delivered_at);
            expected = 0;
        }
        self.acknowledged = self.acknowledged.saturating_add(packets).min(LARGEST_EPOCH - 1);
        let excess = u64::from(self.acknowledged).saturating_sub(expected);
        let excess = u32::try_from(excess).unwrap_or(u32::MAX).min(cwnd);
        self.excess[0] = self.excess[0].max(excess);
    }

    /// Largest excess of late, in packets.
    pub(super) fn excess(&self) -> u32 {
        self.excess[0].max(self.excess[1])
    }
}
