//! What a sender wants done, what it reports, and what it has done.

use std::ops::Add;

use bytes::Bytes;
use longhaul_core::machine::StreamId;
use longhaul_core::payload::Payload;
use longhaul_core::time::Span;
use serde::{Deserialize, Serialize};

use crate::{MessageId, StreamEnd};

/// Why a message was not taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum PushError {
    /// It has no bytes.
    #[error("a message has at least one byte")]
    Empty,
    /// With its record headers it is longer than the window of its priority, so it might never be delivered.
    #[error("a message of up to {wire_bytes} bytes with its headers does not fit into the window")]
    LongerThanWindow {
        /// Its length on the streams at most.
        wire_bytes: u64,
    },
    /// [`SenderOutput::Failed`] was reported, or the sender was closed.
    #[error("the transport is at its end")]
    Failed,
}

/// Why a transport cannot go on.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error, Serialize, Deserialize)]
pub enum Failure {
    /// No stream was open for as long as the options' patience.
    #[error("no stream could be had")]
    NoStream,
    /// For as long as the options' patience no stream took anything over and nothing was acknowledged, although
    /// something was waited for.
    #[error("the peer is silent")]
    Silent,
}

/// What a [`Sender`](crate::Sender) wants done, or reports.
#[derive(Clone, PartialEq, Debug)]
pub enum SenderOutput {
    /// Open this stream.
    Open {
        /// Its number, which no stream had before.
        stream: StreamId,
    },
    /// Send bytes.
    Send {
        /// On which stream.
        stream: StreamId,
        /// What.
        payload: Payload,
    },
    /// Send nothing more on this stream.
    Close {
        /// Which one.
        stream: StreamId,
    },
    /// Give this stream up at once.
    Abort {
        /// Which one.
        stream: StreamId,
    },
    /// Tell [`Sender::on_path`](crate::Sender::on_path) what the transport knows of this stream.
    Inspect {
        /// Which one.
        stream: StreamId,
    },
    /// The number of streams or the size of chunks that the sender aims at has changed.
    Adapted {
        /// Streams.
        streams: u32,
        /// Size of a chunk in bytes.
        chunk_bytes: u32,
    },
    /// A stream ended before [`Sender::close`](crate::Sender::close); its chunks go to the others.
    StreamLost {
        /// Which one.
        stream: StreamId,
        /// Why.
        why: StreamEnd,
        /// How many chunks will be sent again.
        requeued_chunks: u64,
    },
    /// The receiver has all of this message.
    Acked {
        /// Which one.
        message: MessageId,
    },
    /// The receiver has everything and nothing more will come
    /// ([`Sender::finish`](crate::Sender::finish) was called).
    Drained,
    /// The receiving application's answer.
    Reply {
        /// Its content.
        content: Bytes,
    },
    /// The transport cannot go on.
    Failed {
        /// Why.
        why: Failure,
        /// Bytes of messages that the receiver is not known to have.
        unacknowledged_bytes: u64,
    },
}

/// What a [`Sender`](crate::Sender) has done so far.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct SenderStats {
    /// Messages taken.
    pub messages: u64,
    /// Their bytes.
    pub message_bytes: u64,
    /// Chunks put on streams, those sent again included.
    pub chunks: u64,
    /// Bytes put on streams, record headers included.
    pub wire_bytes: u64,
    /// Bytes that the streams have taken over, as [`Sender::on_sent`](crate::Sender::on_sent) told.
    pub taken_bytes: u64,
    /// Chunks that were sent again because their stream was lost.
    pub retransmitted_chunks: u64,
    /// Chunks that were sent once more because they were late.
    pub rescued_chunks: u64,
    /// Chunks acknowledged.
    pub acknowledged_chunks: u64,
    /// Bytes of messages acknowledged.
    pub acknowledged_bytes: u64,
    /// Acknowledgements of chunks that were not waiting for one.
    pub needless_acknowledgements: u64,
    /// Streams that ended early.
    pub lost_streams: u64,
    /// The number of streams that it aims at.
    pub streams: u32,
    /// The most streams that were open at a time.
    pub most_streams: u32,
    /// How long a stream had room while there was nothing to send.
    pub starved: Span,
    /// How long a stream had room while the window had none.
    pub blocked: Span,
}

/// What two senders have done, one after the other: the number of streams is that of the later.
impl Add for SenderStats {
    type Output = SenderStats;

    fn add(self, later: SenderStats) -> SenderStats {
        SenderStats {
            messages: self.messages + later.messages,
            message_bytes: self.message_bytes + later.message_bytes,
            chunks: self.chunks + later.chunks,
            wire_bytes: self.wire_bytes + later.wire_bytes,
            taken_bytes: self.taken_bytes + later.taken_bytes,
            retransmitted_chunks: self.retransmitted_chunks + later.retransmitted_chunks,
            rescued_chunks: self.rescued_chunks + later.rescued_chunks,
            acknowledged_chunks: self.acknowledged_chunks + later.acknowledged_chunks,
            acknowledged_bytes: self.acknowledged_bytes + later.acknowledged_bytes,
            needless_acknowledgements: self.needless_acknowledgements + later.needless_acknowledgements,
            lost_streams: self.lost_streams + later.lost_streams,
            streams: later.streams,
            most_streams: self.most_streams.max(later.most_streams),
            starved: self.starved.saturating_add(later.starved),
            blocked: self.blocked.saturating_add(later.blocked),
        }
    }
}
