//! Datagram streams of constant rate, the workload of voice, video and telemetry measurements (as `iperf3 -u`).
//!
//! The [`Sender`] sends a datagram every interval and then says how many there were. The [`Receiver`] counts what
//! arrives, what is lost, comes twice or out of order, how long nothing came and how long the way took, and answers
//! the end of the stream with its [`Report`]. Nothing is sent again: what the network does is what is measured.
//! [`VoiceQuality`] says what a telephone call with these losses and delays would sound like.
//!
//! # The end of a stream
//! [`END_PAUSES`] after the last datagram and after each other, up to three datagrams with the count leave. The
//! first pause lets datagrams that were overtaken on their way still arrive. The receiver answers each of them with
//! the report of that moment; the sender takes the first answer. If none has come [`ANSWER_TIMEOUT`] after the last
//! of them, the stream is over without: to lose everything is a result, not an error.
//!
//! # Clocks
//! A datagram carries when it was sent, by the sender's clock. In a simulation both ends share one clock and
//! one-way delays are exact. On two real machines they are off by the difference of the clocks, and a delay below
//! zero counts as zero; losses, gaps and jitter do not depend on it.

pub use crate::receiver::{Ignored, Receiver, ReceiverEvent, ReceiverOptions};
pub use crate::report::{Delays, Gap, Report};
pub use crate::sender::{
    ANSWER_TIMEOUT, Command, END_PAUSES, OptionsError, Sender, SenderEvent, SenderOptions,
};
pub use crate::voice::VoiceQuality;

mod arrivals;
mod histogram;
mod receiver;
mod report;
mod sender;
mod voice;
mod window;
pub mod wire;
