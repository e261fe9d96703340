//! Streams of datagrams at a constant rate.

use longhaul_core::time::Span;

/// A stream of datagrams, as of a call or of telemetry.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DatagramStream {
    /// Unique among everything that moves.
    pub name: String,
    /// Region of the sender.
    pub from: String,
    /// Region of the receiver.
    pub to: String,
    /// When it starts.
    pub at: Span,
    /// How long it lasts.
    pub duration: Span,
    /// Time from one datagram to the next.
    pub interval: Span,
    /// UDP payload of each in bytes.
    pub payload_bytes: u32,
    /// Port of the receiver, above zero: what policies of overlays know it by.
    pub port: u16,
    /// The reservation on whose path it goes while that is in force.
    pub reservation: Option<String>,
    /// Traffic class of the packets, for HTB and policies.
    pub class: u8,
}
