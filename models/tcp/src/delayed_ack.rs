//! When a receiver acknowledges: `__tcp_ack_snd_check` and `tcp_send_delayed_ack`.
//!
//! - The first segments are acknowledged one by one (*quick* mode), so that slow start gets going.
//! - Then every second full segment is, at once; a lone one after 40 ms or more.
//! - While something is missing every segment is acknowledged, but after three in a row the ACKs are thinned to
//!   one per 5 % of the RTT, at most 1 ms (`tcp_comp_sack_*`).

use longhaul_core::time::{Instant, Span};

use crate::timer::{HZ, expiry, jiffies, span_in_jiffies};

/// Most segments acknowledged one by one in a row (`TCP_MAX_QUICKACKS`).
const MAX_QUICK: u32 = 16;
/// Shortest delay, in jiffies (`TCP_ATO_MIN`, `TCP_DELACK_MIN`): 40 ms.
const MIN_DELAY: u64 = HZ / 25;
/// Longest delay, in jiffies: 0.5 s.
const MAX_DELAY: u64 = HZ / 2;
/// Duplicate acknowledgements before they are thinned (`TCP_FASTRETRANS_THRESH`).
const PROMPT_DUPLICATES: u32 = 3;
/// Most acknowledgements that one stands for (`tcp_comp_sack_nr`).
const MAX_THINNED: u32 = 44;
/// Longest that a thinned acknowledgement waits (`tcp_comp_sack_delay_ns`).
const MAX_THINNING: Span = Span::from_ms(1);

/// What the decision depends on besides its own state.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Situation {
    pub(crate) now: Instant,
    /// Next byte expected.
    pub(crate) next: u64,
    /// Bytes received in order since the last acknowledgement left.
    pub(crate) unacknowledged: u64,
    /// Largest payload of a packet.
    pub(crate) mss: u32,
    /// Whether something arrived out of order and waits.
    pub(crate) gap: bool,
    /// Whether the application lags so that an acknowledgement could not move the window.
    pub(crate) stalled: bool,
    /// The receiver's own RTT.
    pub(crate) srtt: Option<Span>,
}

/// State of the decision.
#[derive(Clone, Debug, Default)]
pub(crate) struct DelayedAck {
    /// Segments still to be acknowledged one by one.
    quick: u32,
    /// Current delay in jiffies; 0 before the first data.
    delay: u64,
    /// Jiffy in which data last arrived.
    last_arrival: u64,
    /// Something waits to be acknowledged.
    scheduled: bool,
    /// It must not wait.
    at_once: bool,
    /// The delayed acknowledgement: the jiffy it is meant for, and when the timer will fire.
    timer: Option<(u64, Instant)>,
    /// Duplicates since the last progress, and the progress at that time.
    duplicates: u32,
    duplicates_next: u64,
    /// Acknowledgements held back by thinning, and when they leave.
    thinned: u32,
    thinned_until: Option<Instant>,
}

impl DelayedAck {
    /// Data arrived in order: adapts the delay to the gaps between arrivals (`tcp_event_data_recv`).
    pub(crate) fn on_data(&mut self, now: Instant, receive_window: u64, mss: u32, rto: Span) {
        let now = jiffies(now);
        let rto = span_in_jiffies(rto);
        self.scheduled = true;
        if self.delay == 0 {
            self.go_quick(receive_window, mss);
            self.delay = MIN_DELAY;
        } else {
            let gap = now.saturating_sub(self.last_arrival);
            if gap <= MIN_DELAY / 2 {
                self.delay = self.delay / 2 + MIN_DELAY / 2;
            } else if gap < self.delay {
                self.delay = (self.delay / 2 + gap).min(rto);
            } else if gap > rto {
                // The sender paused and may start slowly.
                self.go_quick(receive_window, mss);
            }
        }
        self.last_arrival = now;
    }

    /// Data arrived ahead of a gap.
    pub(crate) fn on_gap(&mut self) {
        self.scheduled = true;
    }

    /// Something arrived twice or outside the window.
    pub(crate) fn on_useless(&mut self, receive_window: u64, mss: u32) {
        self.go_quick(receive_window, mss);
        self.delay = MIN_DELAY;
        self.scheduled = true;
    }

    /// The next two segments are acknowledged one by one.
    pub(crate) fn acknowledge_two(&mut self) {
        self.quick = self.quick.max(2);
        self.delay = MIN_DELAY;
    }

    /// The next acknowledgement must not wait.
    pub(crate) fn hurry(&mut self) {
        self.scheduled = true;
        self.at_once = true;
    }

    /// The offered window has room to grow: the sender hears of every step (`tcp_grow_window`).
    pub(crate) fn stay_quick(&mut self) {
        self.quick |= 1;
    }

    /// Memory runs short: nothing is acknowledged for its own sake.
    pub(crate) fn end_quick(&mut self) {
        self.quick = 0;
    }

    /// Whether something waits to be acknowledged.
    pub(crate) fn is_scheduled(&self) -> bool {
        self.scheduled
    }

    fn go_quick(&mut self, receive_window: u64, mss: u32) {
        let half_window = (receive_window / (2 * u64::from(mss))).max(2);
        self.quick = self
            .quick
            .max(u32::try_from(half_window).unwrap_or(MAX_QUICK).min(MAX_QUICK));
    }

    /// Whether to acknowledge now; otherwise a timer is set where one is needed.
    pub(crate) fn decide(&mut self, situation: &Situation) -> bool {
        if !self.scheduled {
            return false;
        }
        let two = situation.unacknowledged > u64::from(situation.mss) && !situation.stalled;
        if two || self.quick > 0 || self.at_once {
            return true;
        }
        if situation.gap {
            self.thin(situation)
        } else {
            self.delay(situation)
        }
    }

    /// Sets the delayed acknowledgement; true if one is due so soon that it may as well leave now.
    fn delay(&mut self, situation: &Situation) -> bool {
        let now = jiffies(situation.now);
        let mut delay = self.delay;
        if delay > MIN_DELAY {
            let path = situation
                .srtt
                .map_or(MAX_DELAY, |srtt| span_in_jiffies(srtt).max(MIN_DELAY));
            delay = delay.min(path.min(MAX_DELAY));
        }
        let mut due = now + delay;
        if let Some((earlier, _)) = self.timer {
            if earlier <= now + delay / 4 {
                return true;
            }
            due = due.min(earlier);
        }
        self.timer = Some((due, expiry(situation.now, due - now)));
        false
    }

    fn thin(&mut self, situation: &Situation) -> bool {
        if self.thinned >= MAX_THINNED {
            return true;
        }
        if self.duplicates_next != situation.next {
            self.duplicates_next = situation.next;
            self.duplicates = 0;
        }
        if self.duplicates < PROMPT_DUPLICATES {
            self.duplicates += 1;
            return true;
        }
        self.thinned += 1;
        if self.thinned_until.is_none() {
            let part = situation
                .srtt
                .map_or(MAX_THINNING, |srtt| (srtt / 20).min(MAX_THINNING));
            self.thinned_until = Some(situation.now.saturating_add(part));
        }
        false
    }

    /// Whether an acknowledgement is being held back by thinning.
    pub(crate) fn is_thinning(&self) -> bool {
        self.thinned > 0
    }

    /// An acknowledgement left, by itself or with data.
    pub(crate) fn on_ack_sent(&mut self) {
        if self.scheduled && self.quick > 0 {
            self.quick -= 1;
            if self.quick == 0 {
                self.delay = MIN_DELAY;
            }
        }
        self.scheduled = false;
        self.at_once = false;
        self.timer = None;
        self.thinned = 0;
        self.thinned_until = None;
    }

    /// When to call [`DelayedAck::on_timer`].
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let delayed = self.timer.map(|(_, at)| at);
        match (delayed, self.thinned_until) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    /// Whether an acknowledgement is due.
    pub(crate) fn on_timer(&mut self, now: Instant, rto: Span) -> bool {
        if self.thinned_until.is_some_and(|at| at <= now) {
            return true;
        }
        if self.timer.is_some_and(|(_, at)| at <= now) {
            self.timer = None;
            if self.scheduled {
                // Waiting was in vain: wait longer next time.
                self.delay = (self.delay * 2).min(span_in_jiffies(rto));
            }
            return self.scheduled;
        }
        false
    }
}
