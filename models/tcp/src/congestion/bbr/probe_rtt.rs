//! The smallest RTT of the last ten seconds, and the short stay in ProbeRtt that measures it anew
//! (`bbr_update_min_rtt`).
//!
//! A flow whose packets often find the queue empty keeps its measurement fresh and never goes there. Others go at
//! nearly the same time, because the first that does empties the queue for all.

use super::window::LEAST_WINDOW;
use super::{Bbr, Mode};
use crate::congestion::{RateSample, Situation, Window};
use crate::timer::{HZ, jiffies};

/// Jiffies after which the smallest RTT is measured anew (10 s), and how long that takes (200 ms).
const MIN_RTT_JIFFIES: u64 = 10 * HZ;
const PROBE_RTT_JIFFIES: u64 = HZ / 5;

/// The short stay in ProbeRtt.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ProbeRtt {
    /// The last jiffy of it, once little enough is in flight.
    until: Option<u64>,
    round_done: bool,
}

impl Bbr {
    /// Follows the smallest RTT, and goes to measure it anew when it is old. Returns whether it is being measured.
    pub(super) fn take_rtt(
        &mut self,
        window: &mut Window,
        situation: &Situation,
        sample: &RateSample,
    ) -> bool {
        let now = jiffies(situation.now);
        let expired = now > self.min_rtt_at + MIN_RTT_JIFFIES;
        if let Some(rtt) = sample.rtt
            && (rtt <= self.min_rtt || (expired && !sample.ack_delayed))
        {
            self.min_rtt = rtt;
            self.min_rtt_at = now;
        }
        if expired && !self.restarting && self.mode != Mode::ProbeRtt {
            self.mode = Mode::ProbeRtt;
            self.save_window(window);
            self.probe_rtt = ProbeRtt::default();
        }
        let dips = self.mode == Mode::ProbeRtt;
        if dips {
            if self.probe_rtt.until.is_some() {
                self.probe_rtt.round_done |= self.round_start;
                if self.probe_rtt.round_done {
                    self.check_probe_rtt_done(window, situation);
                }
            } else if situation.in_flight <= LEAST_WINDOW {
                self.probe_rtt.until = Some(now + PROBE_RTT_JIFFIES);
                self.round_end = situation.delivered;
            }
        }
        self.restarting &= sample.delivered == 0;
        dips
    }

    pub(super) fn check_probe_rtt_done(&mut self, window: &mut Window, situation: &Situation) {
        let now = jiffies(situation.now);
        if self.probe_rtt.until.is_none_or(|until| now <= until) {
            return;
        }
        self.min_rtt_at = now;
        window.cwnd = window.cwnd.max(self.saved_window);
        if self.full_pipe.reached {
            self.enter_probe_bandwidth(situation);
        } else {
            self.mode = Mode::Startup;
        }
    }
}
