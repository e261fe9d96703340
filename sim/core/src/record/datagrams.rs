//! Records of streams of datagrams.

use serde::{Deserialize, Serialize};

use super::Progress;

/// A stream of datagrams at a constant rate.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct DatagramRecord {
    /// Name.
    pub name: String,
    /// Region of the sender.
    pub from: String,
    /// Region of the receiver.
    pub to: String,
    /// Completed when the receiver has answered, or has not been heard.
    pub progress: Progress,
    /// Datagrams that were sent.
    pub sent: u64,
    /// Of these, those that arrived.
    pub received: u64,
    /// Those that did not.
    pub lost: u64,
    /// Runs of lost datagrams.
    pub loss_bursts: u64,
    /// The longest of them, in datagrams.
    pub longest_loss_burst: u64,
    /// Datagrams that came once more.
    pub duplicates: u64,
    /// Datagrams that came after a later one (RFC 4737).
    pub reordered: u64,
    /// Longest time between two arrivals, if it was longer than the interval.
    pub longest_gap_ns: Option<u64>,
    /// When that began.
    pub longest_gap_at_ns: Option<u64>,
    /// Interarrival jitter (RFC 3550) at the end.
    pub jitter_ns: u64,
    /// Delays of one direction; none if nothing arrived.
    pub delay: Option<DelayRecord>,
    /// Mean opinion score of a call with G.711 over it, in thousandths, by the E-model (ITU-T G.107).
    pub mos_thousandths: Option<u64>,
}

/// How long datagrams took.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct DelayRecord {
    /// The shortest.
    pub min_ns: u64,
    /// The mean.
    pub mean_ns: u64,
    /// The median, at most 1/64 too long, as the other percentiles.
    pub median_ns: u64,
    /// The 95th percentile.
    pub p95_ns: u64,
    /// The 99th percentile.
    pub p99_ns: u64,
    /// The longest.
    pub max_ns: u64,
}
