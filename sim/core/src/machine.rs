//! The contract of every protocol endpoint.
//!
//! 1. Time enters only with [`Machine::handle`] and never goes back.
//! 2. After each `handle`, call [`Machine::poll`] until it answers [`Output::WakeAt`] or [`Output::Idle`].
//! 3. A machine has at most one pending wake; the newest answer replaces the older one.
//! 4. Randomness is a generator given at construction.
//! 5. No clock, socket, file, thread, environment variable or hash order inside.
//! 6. Outputs leave in the order in which they were produced.
//! 7. Early, late and duplicate wakes are harmless, because sockets will produce them.
//!
//! The simulator, the replay over real sockets and the [`tape`](crate::tape) drive the same object.
//! Machines talk to byte streams and datagrams, never to a network model.

use serde::{Deserialize, Serialize};

use crate::payload::Payload;
use crate::time::{Instant, Span};

/// A byte stream of one machine. The opener chooses numbers below [`StreamId::FIRST_ACCEPTED`]; the driver
/// numbers the streams that a machine accepts from there on.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StreamId(pub u32);

impl StreamId {
    /// First number of an accepted stream.
    pub const FIRST_ACCEPTED: u32 = 1 << 31;
}

/// Another machine, by its index in the scenario.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PeerId(pub u32);

/// Why a stream ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum CloseReason {
    /// The peer finished sending and everything it sent was received.
    Finished,
    /// The transport gave up or the peer reset the stream; bytes may be lost.
    Failed,
}

/// What the transport below knows of a stream that this machine opened: in Linux, of `struct tcp_info`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PathInfo {
    /// Smoothed round trip (`tcpi_rtt`); zero before the first sample.
    pub srtt: Span,
    /// Segments sent so far, of all kinds (`tcpi_segs_out`).
    pub segments_sent: u64,
    /// Segments sent again so far (`tcpi_total_retrans`).
    pub segments_retransmitted: u64,
    /// Bytes of the stream that the peer's transport has acknowledged so far (`tcpi_bytes_acked`).
    pub bytes_acked: u64,
    /// Congestion window in bytes (`tcpi_snd_cwnd` × `tcpi_snd_mss`).
    pub congestion_window_bytes: u64,
    /// What may be in flight however wide that is, in bytes: the window that the peer offers at the moment
    /// (`tcpi_snd_wnd`), or the send buffer if that is smaller (`SO_SNDBUF`).
    pub buffer_window_bytes: u64,
}

/// What a driver tells a machine. `C` is the machine's own command.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum Input<C> {
    /// The run begins. Once, first.
    Start,
    /// The wake that the machine asked for, or an extra one.
    Wake,
    /// Something the scenario or an operator asks for.
    Command(C),
    /// A stream that this machine opened is ready.
    Opened {
        /// Which one.
        stream: StreamId,
    },
    /// A peer opened a stream to this machine.
    Accepted {
        /// The driver's number for it.
        stream: StreamId,
    },
    /// Bytes arrived, in order and without a gap.
    Received {
        /// On which stream.
        stream: StreamId,
        /// The next bytes.
        payload: Payload,
    },
    /// The transport took over `bytes` of what the machine had sent, so there is room for more. This is
    /// back-pressure, not an acknowledgement.
    Sent {
        /// On which stream.
        stream: StreamId,
        /// How many bytes left the machine's outbox.
        bytes: u64,
    },
    /// The stream is over; nothing more will arrive on it.
    Closed {
        /// Which one.
        stream: StreamId,
        /// Why.
        reason: CloseReason,
    },
    /// The answer to [`Output::Inspect`].
    Path {
        /// Which stream.
        stream: StreamId,
        /// What is known of it.
        info: PathInfo,
    },
    /// A datagram arrived.
    Datagram {
        /// Who sent it.
        from: PeerId,
        /// Its content.
        payload: Payload,
    },
}

/// What a machine tells its driver. `E` is the machine's own event.
#[must_use]
#[derive(Clone, PartialEq, Debug, Serialize)]
pub enum Output<E> {
    /// Open a stream to a peer.
    Open {
        /// The machine's number for it.
        stream: StreamId,
        /// To whom.
        peer: PeerId,
    },
    /// Send bytes on a stream. The driver keeps what the transport does not take yet and reports progress
    /// with [`Input::Sent`]. What a machine sends on a stream before its poll ends goes down in one write.
    Send {
        /// On which stream.
        stream: StreamId,
        /// What.
        payload: Payload,
    },
    /// Nothing more will be sent on this stream.
    Close {
        /// Which one.
        stream: StreamId,
    },
    /// Give this stream up at once. What it has not delivered may be lost, and the peer hears of a failure when the
    /// reset reaches it. The driver may still report the stream's end to this machine.
    Abort {
        /// Which one.
        stream: StreamId,
    },
    /// Tell what the transport knows of a stream that this machine opened, with [`Input::Path`] and soon. There is no
    /// answer if the stream has ended.
    Inspect {
        /// Which one.
        stream: StreamId,
    },
    /// Send a datagram.
    Datagram {
        /// To whom.
        to: PeerId,
        /// What.
        payload: Payload,
    },
    /// Something worth telling: goes into the records, the digest and the trace.
    Event(E),
    /// Nothing more for now; wake me at this time at the latest.
    WakeAt {
        /// When.
        at: Instant,
        /// For what, in a word: the first thing to read when a simulation wakes too often.
        why: &'static str,
    },
    /// Nothing more, and no wake needed.
    Idle,
}

impl<E> Output<E> {
    /// Whether this ends a round of polling.
    pub fn ends_poll(&self) -> bool {
        matches!(self, Output::WakeAt { .. } | Output::Idle)
    }
}

/// A protocol endpoint. See the rules at the top of this module.
pub trait Machine {
    /// What the machine can be told to do.
    type Command;
    /// What it reports.
    type Event;

    /// One door in.
    fn handle(&mut self, now: Instant, input: Input<Self::Command>);

    /// One door out.
    fn poll(&mut self) -> Output<Self::Event>;
}
