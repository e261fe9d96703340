//! Records of links.

use serde::{Deserialize, Serialize};

/// A directed link.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct LinkRecord {
    /// `from->to`.
    pub name: String,
    /// Rate in bit/s at the start; none if it is recorded in a file.
    pub rate_bits_per_s: Option<u64>,
    /// One-way propagation delay at the start.
    pub delay_ns: u64,
    /// Bytes of frames that reached the other end; at flow fidelity those of data alone.
    pub delivered_bytes: u64,
    /// Time spent transmitting.
    pub busy_ns: u64,
    /// From the first frame offered to the end of the last transmission; at flow fidelity to the end of the run.
    pub active_ns: u64,
    /// What only packet fidelity can tell.
    pub packets: Option<LinkPackets>,
}

/// What became of the frames of a link.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct LinkPackets {
    /// Frames offered to the link.
    pub offered_packets: u64,
    /// Their bytes.
    pub offered_bytes: u64,
    /// Frames that reached the other end.
    pub delivered_packets: u64,
    /// Frames lost by the loss law.
    pub lost_packets: u64,
    /// Copies that the link made of frames.
    pub duplicated_packets: u64,
    /// Frames that arrived damaged and were discarded.
    pub corrupted_packets: u64,
    /// Frames dropped by the full queue.
    pub queue_dropped_packets: u64,
    /// Frames dropped by CoDel to shorten the queue.
    pub early_dropped_packets: u64,
    /// Frames lost because the link failed: those inside it then, and those offered until it was back.
    pub down_lost_packets: u64,
    /// Frames marked instead.
    pub marked_packets: u64,
    /// Longest wait in the queue.
    pub queue_delay_max_ns: u64,
    /// Most bytes waiting in the queue.
    pub queue_bytes_max: u64,
    /// Frames of others that came; they share queue and rate and are in no other count.
    pub background_packets: u64,
    /// Of these, frames that were dropped.
    pub background_dropped_packets: u64,
}
