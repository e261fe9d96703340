//! Counters of one connection.

use longhaul_core::time::Span;

/// What a connection has done so far; the names follow `struct tcp_info` where it has them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Stats {
    /// Packets handed out, of all kinds; one that the local queue refused counts too, as in Linux.
    pub segments_sent: u64,
    /// Packets received, of all kinds.
    pub segments_received: u64,
    /// Packets sent again, SYN and loss probes included.
    pub retransmits: u64,
    /// Retransmission timeouts.
    pub rtos: u64,
    /// Times that fast recovery was entered.
    pub fast_recoveries: u64,
    /// Window reductions taken back because they turned out needless.
    pub undone_reductions: u64,
    /// Loss probes sent.
    pub loss_probes: u64,
    /// Bursts that the local queue refused.
    pub local_drops: u64,
    /// Bytes of the stream that the peer has acknowledged in order.
    pub bytes_acked: u64,
    /// Bytes of the peer's stream that arrived in order.
    pub bytes_received: u64,
    /// Packets delivered, acknowledged in order or by SACK.
    pub delivered: u64,
    /// Smoothed round-trip time; zero before the first sample.
    pub srtt: Span,
    /// Smallest round-trip time seen; [`Span::MAX`] before the first sample.
    pub min_rtt: Span,
    /// Congestion window in segments.
    pub cwnd_segments: u32,
    /// Slow-start threshold in segments; `u32::MAX` before the first reduction.
    pub ssthresh: u32,
}
