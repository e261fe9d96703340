//! What a receiver saw of a stream.

use longhaul_core::time::{Instant, Span};
use longhaul_core::units::Probability;
use serde::{Deserialize, Serialize};

/// What a receiver saw of a stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Report {
    /// Datagrams that should have arrived: all that were sent, once the end of the stream is known; before that,
    /// those up to the highest sequence number that has arrived.
    pub expected: u64,
    /// Datagrams that arrived, each counted once.
    pub received: u64,
    /// Those that did not: `expected - received`.
    pub lost: u64,
    /// Runs of consecutive sequence numbers that did not arrive.
    pub loss_bursts: u64,
    /// Length of the longest of them.
    pub longest_loss_burst: u64,
    /// Arrivals of what had arrived before.
    pub duplicates: u64,
    /// Datagrams that arrived after one that was sent later (RFC 4737, section 3.3: the sequence number is below
    /// the next expected one). A duplicate is not reordered.
    pub reordered: u64,
    /// Arrivals so far behind the newest one that nobody remembers whether they are duplicates: more than 4096
    /// sequence numbers. They are in no other count, so such a datagram counts as lost.
    pub too_late: u64,
    /// The longest time without a new datagram, if it was longer than the interval.
    pub longest_gap: Option<Gap>,
    /// Interarrival jitter (RFC 3550, section 6.4.1, in the integers of its appendix A.8), in nanoseconds rather
    /// than units of a media clock, over the datagrams in the order of their arrival, without duplicates.
    pub jitter: Span,
    /// One-way delays; `None` if nothing arrived.
    pub delays: Option<Delays>,
}

/// A time without a new datagram.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Gap {
    /// When the last datagram before it arrived.
    pub began: Instant,
    /// Until the first new one after it arrived; the interval between two datagrams is in it.
    ///
    /// If the first datagrams of the stream are lost, the gap begins when the first one would have arrived, taking
    /// the delay of the first that did. If the last ones are lost, it ends an interval after the last one would
    /// have arrived at the pace of the stream.
    pub length: Span,
}

/// One-way delays of the datagrams that arrived, without duplicates.
///
/// Extremes and mean are exact (the mean rounded down). The percentiles are by nearest rank from a histogram: never
/// below the exact one, and above it by at most 1/64 of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Delays {
    /// The shortest.
    pub min: Span,
    /// The arithmetic mean.
    pub mean: Span,
    /// The longest.
    pub max: Span,
    /// 50th percentile.
    pub p50: Span,
    /// 95th percentile.
    pub p95: Span,
    /// 99th percentile.
    pub p99: Span,
    /// Datagrams that took longer than what `p99` says; at most one in a hundred.
    pub above_p99: u64,
}

impl Report {
    /// Share of what was expected that is lost; zero if nothing was expected.
    pub fn loss(&self) -> Probability {
        Probability::from_ratio(self.lost, self.expected).unwrap_or(Probability::ZERO)
    }
}
