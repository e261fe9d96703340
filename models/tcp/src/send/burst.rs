//! How many packets leave as one burst: `tcp_tso_autosize`, `tcp_cwnd_test` and `tcp_tso_should_defer`.
//!
//! Only senders with [`Config::segmentation_offload`](crate::Config::segmentation_offload) come here.

use longhaul_core::time::{Instant, Span};

/// Most payload of one burst (`sk_gso_max_size`: 64 KiB less room for headers).
pub(crate) const MAX_BURST_BYTES: u64 = 65_215;
/// Fewest packets of a burst, if the controller does not say otherwise (`tcp_min_tso_segs`).
pub(crate) const MIN_BURST_PACKETS: u32 = 2;
/// A burst holds what passes in 2^-10 s (`sk_pacing_shift`).
const PACING_SHIFT: u32 = 10;
/// On short paths it is larger, by half as much for every 2^9 µs of the smallest RTT (`tcp_tso_rtt_log`).
const RTT_SHIFT: u32 = 9;
/// A third of the window is always worth sending (`tcp_tso_win_divisor`).
const WINDOW_DIVISOR: u64 = 3;
/// A sender that has been silent for this long does not wait any more.
const RECENT: Span = Span::from_ms(1);

/// Packets that one burst may hold at this pacing rate in bytes per second; `least` at any rate.
pub(crate) fn limit(mss: u32, pacing_rate: u64, min_rtt: Span, least: u32) -> u32 {
    let mut bytes = pacing_rate >> PACING_SHIFT;
    let halvings = (min_rtt.as_ns() / 1000) >> RTT_SHIFT;
    if halvings < 32 {
        bytes = bytes.saturating_add(MAX_BURST_BYTES >> halvings);
    }
    let packets = (bytes.min(MAX_BURST_BYTES) / u64::from(mss)).max(u64::from(least));
    packets as u32
}

/// What the decision to wait for a fuller burst depends on; sizes in bytes.
pub(super) struct Deferral {
    pub(super) now: Instant,
    /// When data last left.
    pub(super) last_sent: Instant,
    /// When the oldest outstanding packet last left, if there is one.
    pub(super) oldest_sent: Option<Instant>,
    pub(super) srtt: Span,
    /// Room in the congestion window.
    pub(super) congestion_room: u64,
    /// Room in the peer's window.
    pub(super) offered_room: u64,
    /// The smaller of the congestion window and the peer's window.
    pub(super) window: u64,
    /// What the next burst would hold if nothing limited it.
    pub(super) full: u64,
    /// What waits in the piece of the queue that the next burst comes from.
    pub(super) waiting: u64,
    /// Whether that piece can still grow.
    pub(super) open_ended: bool,
}

/// Why a sender waits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Wait {
    /// For room in the congestion window.
    Congestion,
    /// For something else.
    Other,
}

impl Deferral {
    /// Whether to wait for ACKs that will let a fuller burst go.
    pub(super) fn decide(&self) -> Option<Wait> {
        let room = self.congestion_room.min(self.offered_room);
        let oldest_sent = self.oldest_sent?;
        let half_rtt = self.srtt / 2;
        let send_now = self.now.saturating_since(self.last_sent) > RECENT
            || room >= self.full
            || (!self.open_ended && room >= self.waiting)
            || room >= self.window / WINDOW_DIVISOR
            // The next ACK is half a round trip or more away.
            || self.now.saturating_since(oldest_sent) < half_rtt;
        if send_now {
            return None;
        }
        if self.congestion_room < self.offered_room {
            if self.congestion_room <= self.waiting {
                return Some(Wait::Congestion);
            }
        } else if self.offered_room <= self.waiting {
            return Some(Wait::Other);
        }
        self.open_ended.then_some(Wait::Other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_a_millisecond_of_data_but_at_least_two_packets() {
        let far = Span::from_ms(80);
        assert_eq!(limit(1448, 100_000, far, 2), 2);
        assert_eq!(limit(1448, 12_500_000, far, 2), 8);
        assert_eq!(limit(1448, u64::MAX, far, 2), 45);
        // BBR below 1.2 Mbit/s.
        assert_eq!(limit(1448, 100_000, far, 1), 1);
    }

    #[test]
    fn short_paths_get_larger_bursts() {
        // 2 ms are three times 512 µs: an eighth of the largest burst is added.
        assert_eq!(limit(1448, 0, Span::from_ms(2), 2), 5);
        assert_eq!(limit(1448, 0, Span::MAX, 2), 2);
    }

    fn deferral() -> Deferral {
        Deferral {
            now: Instant::ZERO + Span::from_ms(100),
            last_sent: Instant::ZERO + Span::from_ms(100),
            oldest_sent: Some(Instant::ZERO),
            srtt: Span::from_ms(100),
            congestion_room: 2_000,
            offered_room: 1_000_000,
            window: 100_000,
            full: 10_000,
            waiting: 60_000,
            open_ended: true,
        }
    }

    #[test]
    fn a_sender_waits_for_a_fuller_burst_only_while_acks_are_near() {
        assert!(deferral().decide() == Some(Wait::Congestion));
        assert!(
            Deferral {
                congestion_room: 10_000,
                ..deferral()
            }
            .decide()
            .is_none()
        );
        assert!(
            Deferral {
                window: 6_000,
                ..deferral()
            }
            .decide()
            .is_none()
        );
        assert!(
            Deferral {
                oldest_sent: None,
                ..deferral()
            }
            .decide()
            .is_none()
        );
        let fresh = Instant::ZERO + Span::from_ms(51);
        assert!(
            Deferral {
                oldest_sent: Some(fresh),
                ..deferral()
            }
            .decide()
            .is_none()
        );
        let silent = Instant::ZERO + Span::from_ms(98);
        assert!(
            Deferral {
                last_sent: silent,
                ..deferral()
            }
            .decide()
            .is_none()
        );
        assert!(
            Deferral {
                open_ended: false,
                waiting: 1_500,
                ..deferral()
            }
            .decide()
            .is_none()
        );
    }
}
