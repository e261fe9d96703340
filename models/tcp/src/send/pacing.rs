//! When the next burst may leave: the pacing that TCP does itself where no `fq` queue does it
//! (`tcp_pacing_check`, `tcp_update_skb_after_send`).
//!
//! A burst of `n` bytes closes the gate for `n / rate`. One that left late opens the next gate earlier, by at most
//! half of that. The gate stays open while a burst is under way, because Linux hands a burst down in one piece,
//! also where it goes over the wire as separate packets.

use longhaul_core::time::{Instant, Span};

use super::{Sender, Turn};
use crate::timer::{JIFFY, jiffies_in_span};

/// The first packets leave without pacing: the initial window of Linux.
const UNPACED_PACKETS: u32 = 10;

/// The gate, and the burst that passes it.
#[derive(Clone, Debug)]
pub(super) struct Pacing {
    /// Bytes of payload per second.
    rate: u64,
    /// Packets of one burst.
    burst_limit: u32,
    /// When the gate opens (`tcp_wstamp_ns`).
    opens_at: Instant,
    /// Packets sent so far, as far as it matters.
    sent: u32,
    burst: Burst,
    /// When the sender wants to hear that the gate is open.
    timer: Option<Instant>,
}

/// What has left since the gate was last open.
#[derive(Clone, Copy, Debug, Default)]
struct Burst {
    began: Instant,
    /// How long the gate had been open by then.
    late: Span,
    bytes: u64,
    packets: u32,
}

impl Pacing {
    pub(super) fn new() -> Pacing {
        Pacing {
            rate: u64::MAX,
            burst_limit: 1,
            opens_at: Instant::ZERO,
            sent: 0,
            burst: Burst::default(),
            timer: None,
        }
    }

    /// When the next burst may leave; in the past if it may now.
    pub(super) fn opens_at(&self) -> Instant {
        self.opens_at
    }

    /// The rate in bytes of payload per second, and the packets of one burst.
    pub(super) fn set(&mut self, rate: u64, burst_limit: u32) {
        self.rate = rate;
        self.burst_limit = burst_limit;
    }

    /// When to call [`Sender::on_timer`].
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.timer
    }

    /// Whether the timer was due.
    fn take_timer(&mut self, now: Instant) -> bool {
        let due = self.timer.is_some_and(|at| at <= now);
        if due {
            self.timer = None;
        }
        due
    }

    /// Whether a packet may leave; if not, the timer is set.
    fn admits(&mut self, now: Instant) -> bool {
        let under_way = self.burst.began == now && self.burst.packets < self.burst_limit;
        let open = self.opens_at <= now || under_way;
        if !open {
            self.timer = Some(self.opens_at);
        }
        open
    }

    /// `packets` with `bytes` of payload leave.
    fn on_sent(&mut self, now: Instant, packets: u32, bytes: u64) {
        self.sent = self.sent.saturating_add(packets);
        let under_way = self.burst.began == now && self.burst.packets < self.burst_limit;
        if self.burst.packets == 0 || !under_way {
            // What leaves in spite of the gate, a probe, puts the next opening off.
            let began = self.opens_at.max(now);
            self.burst = Burst {
                began,
                late: began.saturating_since(self.opens_at),
                bytes: 0,
                packets: 0,
            };
        }
        let burst = &mut self.burst;
        burst.packets = burst.packets.saturating_add(packets);
        burst.bytes += bytes;
        self.close();
    }

    /// What [`Pacing::on_sent`] was told of last did not leave: the gate is as open as before, but there is no
    /// lateness left to make up for.
    fn on_refused(&mut self, packets: u32, bytes: u64) {
        let burst = &mut self.burst;
        burst.packets -= packets;
        burst.bytes -= bytes;
        if burst.packets == 0 {
            burst.late = Span::ZERO;
        }
        self.close();
    }

    /// Closes the gate for as long as the burst takes.
    fn close(&mut self) {
        let burst = &self.burst;
        if self.sent < UNPACED_PACKETS || self.rate == 0 || self.rate == u64::MAX {
            self.opens_at = burst.began;
            return;
        }
        let ns = u128::from(burst.bytes) * 1_000_000_000 / u128::from(self.rate);
        let gap = Span::from_ns(u64::try_from(ns).unwrap_or(u64::MAX));
        let credit = burst.late.min(gap / 2);
        self.opens_at = burst.began.saturating_add(gap.saturating_sub(credit));
    }

    /// What a timer of TCP is put off by: whole jiffies until the gate opens (`tcp_pacing_delay`).
    fn delay(&self, now: Instant) -> Span {
        jiffies_in_span(self.opens_at.saturating_since(now).as_ns() / JIFFY.as_ns())
    }
}

impl Sender {
    /// Whether pacing lets a packet leave; if not, [`Sender::on_timer`] tries again.
    pub(super) fn is_due(&mut self, now: Instant) -> bool {
        self.pacing.as_mut().is_none_or(|pacing| pacing.admits(now))
    }

    /// Something left, new or again.
    pub(super) fn pace_after(&mut self, now: Instant, packets: u32, bytes: u64) {
        if let Some(pacing) = &mut self.pacing {
            pacing.on_sent(now, packets, bytes);
        }
    }

    /// The local queue refused what left last.
    pub(super) fn pace_after_refusal(&mut self, packets: u32, bytes: u64) {
        if let Some(pacing) = &mut self.pacing {
            pacing.on_refused(packets, bytes);
        }
    }

    /// The gate may be open: what waited for it leaves (`tcp_tsq_write`).
    pub(super) fn on_pacing_timer(&mut self, now: Instant) {
        if self.pacing.as_mut().is_some_and(|pacing| pacing.take_timer(now)) {
            self.start_turn(Turn::Lost);
        }
    }

    /// What a timer of TCP is put off by.
    pub(super) fn pacing_delay(&self, now: Instant) -> Span {
        self.pacing
            .as_ref()
            .map_or(Span::ZERO, |pacing| pacing.delay(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 1000 bytes per millisecond, in bursts of two packets, past the unpaced beginning.
    fn pacing() -> Pacing {
        Pacing {
            sent: UNPACED_PACKETS,
            ..{
                let mut pacing = Pacing::new();
                pacing.set(1_000_000, 2);
                pacing
            }
        }
    }

    fn at(us: u64) -> Instant {
        Instant::ZERO + Span::from_us(us)
    }

    #[test]
    fn the_gap_after_a_burst_is_its_size_over_the_rate() {
        let mut pacing = pacing();
        pacing.opens_at = at(100);
        assert!(pacing.admits(at(100)));
        pacing.on_sent(at(100), 1, 500);
        assert!(pacing.admits(at(100)), "the burst is under way");
        pacing.on_sent(at(100), 1, 500);
        assert!(!pacing.admits(at(100)));
        assert_eq!(pacing.deadline(), Some(at(1_100)));
        assert!(!pacing.admits(at(1_099)));
        assert!(pacing.admits(at(1_100)));
    }

    #[test]
    fn a_burst_in_one_piece_and_packet_by_packet_close_the_gate_for_the_same_time() {
        let (mut whole, mut cut) = (pacing(), pacing());
        whole.on_sent(at(300), 2, 1_000);
        cut.on_sent(at(300), 1, 500);
        cut.on_sent(at(300), 1, 500);
        assert_eq!(whole.opens_at(), cut.opens_at());
    }

    #[test]
    fn lateness_is_made_up_for_by_at_most_half_a_gap() {
        let mut pacing = pacing();
        pacing.opens_at = at(1_000);
        pacing.on_sent(at(1_200), 2, 1_000);
        assert_eq!(pacing.opens_at(), at(2_000));
        pacing.on_sent(at(9_000), 2, 1_000);
        assert_eq!(pacing.opens_at(), at(9_500));
    }

    #[test]
    fn what_the_local_queue_refuses_closes_nothing() {
        let mut pacing = pacing();
        pacing.opens_at = at(1_000);
        pacing.on_sent(at(1_200), 2, 1_000);
        pacing.on_refused(2, 1_000);
        assert!(pacing.admits(at(1_200)));
        pacing.on_sent(at(1_300), 1, 500);
        pacing.on_sent(at(1_300), 1, 500);
        pacing.on_refused(1, 500);
        assert_eq!(pacing.opens_at(), at(1_700));
    }

    #[test]
    fn the_initial_window_is_not_paced() {
        let mut pacing = Pacing::new();
        pacing.set(1_000_000, 2);
        for _ in 0..4 {
            assert!(pacing.admits(at(0)));
            pacing.on_sent(at(0), 2, 1_000);
        }
        pacing.on_sent(at(0), 2, 1_000);
        assert!(!pacing.admits(at(0)));
    }
}
