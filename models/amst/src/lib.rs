//! Adaptive multi-stream transport: messages over many byte streams, without clocks or sockets.
//!
//! A [`Sender`] cuts messages into chunks and lets every stream *pull* its next chunk when it has room, so a
//! fast stream carries more than a slow one and nothing is bound to a stream in advance. A [`Receiver`]
//! acknowledges each chunk on the stream that brought it, puts messages together and delivers them in the order
//! in which they were pushed, each [`Priority`] by itself: control overtakes bulk. The chunks of a stream that ends
//! early go to the others, and another stream is opened in its place. Only when no stream can be had for as long as
//! the options' patience is the transport failed; so it is when a peer stays silent for that long.
//!
//! How many streams there are, and how large a chunk is, says [`Streams`]: a fixed number, or what the measured
//! round trip, loss and goodput ask for. A chunk that is late is sent once more on a stream that has nothing to do, or,
//! when it is very late, on any: of many streams there is always one that loss has slowed down, and what it carries
//! keeps all others waiting. The receiver drops what it has already.
//!
//! Both sides are driven like a [`Machine`](longhaul_core::machine::Machine) and meant to be embedded in one. The
//! sender has a clock of its own: give it the time first ([`Sender::advance`]), then what has happened (`on_…`), then
//! drain `poll`, and wake it at [`Sender::next_wake`]. The receiver needs no time.
//!
//! # The window
//! One number bounds both sides. The sender counts what it has put on streams, record headers included, from the
//! start of the oldest message that is not completely acknowledged; that never exceeds `window_bytes`. Everything
//! older has been delivered, so the receiver never holds more for reassembly, plus one unfinished chunk per
//! stream. A message must therefore fit into the window. A slow stream that carries part of the oldest message
//! stalls the others once the window is full: that is the price of ordered delivery in bounded memory. Control
//! messages have a window of their own, [`CONTROL_WINDOW_BYTES`], so that bulk cannot keep them back. A receiving
//! application that cannot keep up holds bulk back ([`Receiver::hold`]), and the window closes.
//!
//! # On the wire
//! Both directions carry records: a [header](record::Header) of [`record::HEADER_BYTES`] and a body.
//! The sender sends chunks; the receiver sends acknowledgements, several in a record where it can, and at most
//! one reply. A record that breaks a rule closes its stream with a typed reason, on either side.

mod chunk;
mod controller;
mod flight;
mod latency;
pub mod object;
mod options;
mod outbox;
mod pace;
mod pool;
mod reader;
mod reassembly;
mod receiver;
pub mod record;
pub mod rules;
mod sender;

use longhaul_core::machine::CloseReason;
use serde::{Deserialize, Serialize};

pub use options::{ChunkSize, OptionsError, SenderOptions, Streams};
pub use receiver::{Receiver, ReceiverOptions, ReceiverOutput, ReceiverStats};
pub use record::RecordError;
pub use sender::{Failure, PushError, Sender, SenderOutput, SenderStats};

/// The largest number of streams of one transport.
pub const MAX_STREAMS: u32 = 256;

/// The largest chunk, in bytes.
pub const MAX_CHUNK_BYTES: u32 = 16 << 20;

/// The longest reply, in bytes.
pub const MAX_REPLY_BYTES: u32 = 64 << 10;

/// The window of control messages, in bytes, beside that of bulk.
pub const CONTROL_WINDOW_BYTES: u64 = 1 << 20;

/// What goes first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Priority {
    /// Before all bulk that no stream has taken over yet.
    Control,
    /// When there is no control to send.
    Bulk,
}

impl Priority {
    /// Both, the first first.
    pub const ALL: [Priority; 2] = [Priority::Control, Priority::Bulk];
}

/// A message, numbered from 0 in the order of [`Sender::push`] among those of its priority.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct MessageId {
    /// Its priority.
    pub priority: Priority,
    /// Its number, below 2^63.
    pub number: u64,
}

impl MessageId {
    /// The identifier on the wire: twice the number, and one more for control.
    pub fn to_wire(self) -> u64 {
        self.number << 1 | u64::from(self.priority == Priority::Control)
    }

    /// The message of an identifier on the wire.
    pub fn from_wire(wire: u64) -> MessageId {
        let priority = if wire & 1 == 1 {
            Priority::Control
        } else {
            Priority::Bulk
        };
        MessageId {
            priority,
            number: wire >> 1,
        }
    }
}

/// Why a stream is no longer used.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum StreamEnd {
    /// The driver said so.
    Closed(CloseReason),
    /// The peer sent a record that breaks the protocol.
    Malformed(RecordError),
    /// It had made no progress for as long as the options' patience.
    Stalled,
    /// The peer has more streams than it may, and this one was silent for longest.
    TooMany,
}
