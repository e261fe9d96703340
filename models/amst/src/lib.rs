//! Adaptive multi-stream transport: messages over many byte streams, without clocks or sockets.
//!
//! A [`Sender`] cuts messages into chunks and lets every stream *pull* its next chunk when it has room, so a
//! fast stream carries more than a slow one and nothing is bound to a stream in advance. A [`Receiver`]
//! acknowledges each chunk on the stream that brought it, puts messages together and delivers them in the order
//! in which they were pushed. The chunks of a stream that ends early go to the others; only the loss of the last
//! stream is a failure.
//!
//! Both are driven like a [`Machine`](longhaul_core::machine::Machine) and meant to be embedded in one: feed
//! `on_…`, then drain `poll`. They need no timer.
//!
//! # The window
//! One number bounds both sides. The sender counts what it has put on streams, record headers included, from the
//! start of the oldest message that is not completely acknowledged; that never exceeds `window_bytes`. Everything
//! older has been delivered, so the receiver never holds more for reassembly, plus one unfinished chunk per
//! stream. A message must therefore fit into the window. A slow stream that carries part of the oldest message
//! stalls the others once the window is full: that is the price of ordered delivery in bounded memory.
//!
//! # On the wire
//! Both directions carry records: a [header](record::Header) of [`record::HEADER_BYTES`] and a body.
//! The sender sends chunks; the receiver sends acknowledgements, several in a record where it can, and at most
//! one reply. A record that breaks a rule closes its stream with a typed reason, on either side.
//!
//! # Not modelled
//! The number of streams is fixed: streams are neither added while it runs nor reopened after a failure. There is
//! no pacing and no congestion control here; both belong to the transport below.

mod chunk;
mod options;
mod outbox;
mod reader;
mod receiver;
pub mod record;
mod sender;

use longhaul_core::machine::CloseReason;
use serde::{Deserialize, Serialize};

pub use options::{OptionsError, SenderOptions};
pub use receiver::{Receiver, ReceiverOptions, ReceiverOutput, ReceiverStats};
pub use record::RecordError;
pub use sender::{PushError, Sender, SenderOutput, SenderStats};

/// The largest number of streams of one transport.
pub const MAX_STREAMS: u32 = 256;

/// The largest chunk, in bytes.
pub const MAX_CHUNK_BYTES: u32 = 16 << 20;

/// The longest reply, in bytes.
pub const MAX_REPLY_BYTES: u32 = 64 << 10;

/// A message, numbered from 0 in the order of [`Sender::push`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MessageId(pub u64);

/// Why a stream is no longer used.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum StreamEnd {
    /// The driver said so.
    Closed(CloseReason),
    /// The peer sent a record that breaks the protocol.
    Malformed(RecordError),
    /// The peer opened more streams than [`MAX_STREAMS`].
    TooMany,
}
