//! Records of bulk transfers.

use serde::{Deserialize, Serialize};

use super::Progress;
use crate::time::Span;
use crate::units::BitRate;

/// A bulk transfer.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct TransferRecord {
    /// Name.
    pub name: String,
    /// Sender's region.
    pub from: String,
    /// Receiver's region.
    pub to: String,
    /// How far it got.
    pub progress: Progress,
    /// When it started, at its first SYN. How long one that is unfinished has been under way follows from it.
    #[serde(default)]
    pub started_ns: Option<u64>,
    /// Bytes in all, of one that has a size.
    pub size: Option<u64>,
    /// How long it writes, of one that has a time.
    pub duration_ns: Option<u64>,
    /// Bytes that arrived.
    pub received: u64,
    /// Bytes that had arrived when its time was up.
    pub received_in_time: Option<u64>,
    /// Jain's index of what the streams had delivered when the first of them was finished or the time was up.
    pub fairness_millionths: Option<u64>,
    /// From the first SYN until the last stream has seen the peer's close.
    pub completion_ns: Option<u64>,
    /// The same for the first stream to finish.
    pub first_stream_ns: Option<u64>,
    /// The slowest handshake; over AMST the first.
    pub handshake_ns: Option<u64>,
    /// TCP connections; over AMST the most that were open at a time.
    pub streams: u32,
    /// TCP segments sent by the sender.
    pub segments: u64,
    /// Of these, retransmissions.
    pub retransmits: u64,
    /// What AMST did, if it carried the transfer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amst: Option<AmstRecord>,
}

/// What the sending side of AMST did.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct AmstRecord {
    /// The number of streams that it aimed at last.
    pub streams_last: u32,
    /// Streams that ended early.
    pub lost_streams: u64,
    /// Chunks put on streams, all copies counted.
    pub chunks: u64,
    /// Bytes put on streams, record headers included.
    pub wire_bytes: u64,
    /// Of the chunks, those sent again because their stream was lost.
    pub requeued_chunks: u64,
    /// And those sent once more because they were late.
    pub rescued_chunks: u64,
}

impl TransferRecord {
    /// What a completed transfer achieved: its size over its completion time, or what arrived in its time over
    /// that time.
    pub fn goodput(&self) -> Option<BitRate> {
        let completion = self.completion_ns?;
        match (self.size, self.duration_ns) {
            (Some(size), _) => BitRate::of(size, Span::from_ns(completion)),
            (None, Some(duration)) => BitRate::of(self.received_in_time?, Span::from_ns(duration)),
            (None, None) => None,
        }
    }
}
