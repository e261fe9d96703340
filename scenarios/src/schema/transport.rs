//! What carries bytes: AMST and the TCP connections under it.

use longhaul_core::time::Span;
use longhaul_core::units::{BitRate, ByteSize};

/// Adaptive multi-stream transport over TCP.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Transport {
    /// How many TCP connections.
    pub streams: Streams,
    /// Largest chunk.
    pub chunk: Chunk,
    /// Bytes that may be sent and not yet acknowledged by the receiving transport, at least one chunk.
    pub window: ByteSize,
    /// How long it lives without any connection, and waits for a silent peer; zero opens no connection in place of a
    /// lost one.
    pub patience: Span,
    /// The connections.
    pub tcp: Tcp,
}

/// How many TCP connections, 1 to 256.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Streams {
    /// So many.
    Fixed(u32),
    /// As many as pay.
    Adaptive {
        /// At the start.
        initial: u32,
        /// At most.
        most: u32,
        /// At most where the path is full.
        contending: u32,
    },
    /// The rule of the seed's specification, for this rate.
    SpecRule(BitRate),
    /// The rule of the seed's optimiser.
    SeedOptimiser,
}

/// Size of a chunk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Chunk {
    /// At most so many bytes, 1 KiB to 16 MiB.
    Fixed(ByteSize),
    /// As the number of streams is chosen: by what is measured, or by the seed's rule.
    Adaptive,
}

impl Streams {
    /// The most connections that there can be at a time.
    pub fn most(&self) -> u32 {
        match *self {
            Streams::Fixed(streams) => streams,
            Streams::Adaptive { most, .. } => most,
            Streams::SpecRule(_) | Streams::SeedOptimiser => longhaul_amst::MAX_STREAMS,
        }
    }
}

impl Transport {
    /// What AMST is given.
    pub fn sender_options(&self) -> longhaul_amst::SenderOptions {
        longhaul_amst::SenderOptions {
            streams: match self.streams {
                Streams::Fixed(streams) => longhaul_amst::Streams::Fixed(streams),
                Streams::Adaptive {
                    initial,
                    most,
                    contending,
                } => longhaul_amst::Streams::Adaptive {
                    initial,
                    most,
                    contending,
                },
                Streams::SpecRule(rate) => longhaul_amst::Streams::SpecRule { rate },
                Streams::SeedOptimiser => longhaul_amst::Streams::SeedOptimiser,
            },
            chunk: match self.chunk {
                // The check keeps the chunk within 16 MiB.
                Chunk::Fixed(size) => longhaul_amst::ChunkSize::Fixed(size.as_bytes() as u32),
                Chunk::Adaptive => longhaul_amst::ChunkSize::Adaptive,
            },
            window_bytes: self.window.as_bytes(),
            patience: self.patience,
        }
    }
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
