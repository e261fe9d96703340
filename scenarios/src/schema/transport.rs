//! What carries bytes: AMST and the TCP connections under it.

use longhaul_core::units::ByteSize;

/// Adaptive multi-stream transport over TCP.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Transport {
    /// TCP connections, 1 to 256.
    pub streams: u32,
    /// Largest chunk, 1 KiB to 16 MiB.
    pub chunk: ByteSize,
    /// Bytes that may be sent and not yet acknowledged by the receiving transport, at least one chunk.
    pub window: ByteSize,
    /// The connections.
    pub tcp: Tcp,
}

/// A TCP connection's settings.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Tcp {
    /// Congestion control.
    pub controller: Controller,
    /// Send buffer: bytes written and not yet acknowledged.
    pub send_buffer: ByteSize,
    /// Bytes written and not yet sent, at most (`TCP_NOTSENT_LOWAT`).
    pub notsent_lowat: ByteSize,
    /// Receive buffer: the largest window that is offered.
    pub receive_buffer: ByteSize,
    /// Whether the offered window starts small and follows the sender up to `receive_buffer`.
    pub autotuning: bool,
    /// Whether queues may mark packets instead of dropping them (RFC 3168).
    pub ecn: bool,
    /// Traffic class of the packets: what HTB queues sort them by.
    pub class: u8,
    /// Congestion window at the start, in segments, 1 to 10,000.
    pub initial_window: u32,
    /// Whether CUBIC leaves slow start early when the delay grows (HyStart); Reno ignores it, as in Linux.
    pub hystart: bool,
    /// Whether new data leaves in bursts of several packets that are one frame to the first link, which then is
    /// the queue of the sender's own device; otherwise a router stands in between.
    pub segmentation_offload: bool,
}

/// Congestion control.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Controller {
    /// RFC 5681 with RFC 6582/6675 recovery.
    Reno,
    /// RFC 9438.
    Cubic,
    /// BBR version 1, as in Linux.
    Bbr,
}
