//! A sender in a crowd: many flows that keep one link full, each losing a part of its window in turn.
//!
//! The more flows there are, the less does the sawtooth of one say about anything: all have the same loss, so in the
//! long run the same window. A sender whose window has come near its even part of the pipe therefore *settles*: it
//! sends up to the next boundary between writes in one stretch, at whatever rate its window, then the time average
//! over a sawtooth under the full pipe, is worth at the moment. Only those that have just come, or are about
//! to leave, are followed round by round.

use longhaul_core::time::{Instant, Span};

use super::round::Round;
use super::{Conditions, REPORT_ROUNDS, Sender};
use crate::pace::Pace;

/// An even part of a full link.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Crowd {
    /// Bytes in flight when pipe and queue are full.
    pub(crate) peak: f64,
    /// Bytes per second.
    pub(crate) rate: f64,
}

/// How a window moves between two losses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Sawtooth {
    /// From a half, by a segment each round trip (RFC 5681).
    Reno,
    /// From seven tenths, along a cubic curve (RFC 9438).
    Cubic,
}

impl Sawtooth {
    /// The time average in parts of the peak: 1 - 1/2 · 1/2, and 1 - 3/10 · 1/4.
    pub(crate) fn mean_part(self) -> f64 {
        match self {
            Sawtooth::Reno => 0.75,
            Sawtooth::Cubic => 0.925,
        }
    }

    /// Seconds between two losses at `peak` segments, with a round trip of `rtt` seconds. CUBIC is never slower than
    /// Reno with its own factor would be (RFC 9438, section 4.3).
    fn period(self, peak: f64, rtt: f64) -> f64 {
        match self {
            Sawtooth::Reno => peak / 2.0 * rtt,
            Sawtooth::Cubic => libm::cbrt(peak * 0.3 / 0.4).min(peak * 0.3 / 0.53 * rtt),
        }
    }
}

impl Sender {
    /// Begins a stretch in a crowd, if there is one and the window is about as large as those of the others.
    pub(super) fn settle(&mut self, now: Instant, conditions: &Conditions) -> Option<Pace> {
        let (crowd, sawtooth) = (conditions.crowd?, self.sawtooth?);
        let repairing = self.retransmit > 0 || self.budget.is_some();
        if self.losses.is_some() || repairing || self.governor.in_slow_start() {
            return None;
        }
        let peak = crowd.peak / self.line.frame;
        let mark = self.marks.front().copied()?;
        let left = mark.saturating_sub(self.sent) / u64::from(self.line.mss);
        let seconds = left as f64 * self.line.frame / crowd.rate;
        // A window below its sawtooth first has to grow; at the end of a transfer, all the way.
        let least = if seconds > sawtooth.period(peak, crowd.peak / crowd.rate) {
            0.7
        } else {
            sawtooth.mean_part()
        };
        if f64::from(self.governor.window()) < least * peak {
            return None;
        }
        let window = (peak * sawtooth.mean_part())
            .min(f64::from(self.line.limit))
            .max(1.0) as u32;
        // Progress is told now and then.
        let rounds = (left / u64::from(window)).min(u64::from(REPORT_ROUNDS)) as u32;
        if rounds < 2 {
            return None;
        }
        let round = Round::settled(now, conditions, &self.line, window, rounds);
        let in_flight = f64::from(window) * self.line.frame;
        let rtt = self.line.rtt.as_ns() as f64 / 1e9;
        self.last_sent = now;
        self.round = Some(round);
        let goal = in_flight * f64::from(rounds);
        let mut pace = Pace::stretch(now, goal, in_flight / rtt, in_flight, rtt);
        pace.settled = true;
        Some(pace)
    }

    /// Ends a stretch in a crowd of which this part is over.
    pub(super) fn come_out(&mut self, now: Instant, round: &Round, part: f64) {
        let all = u64::from(round.segments) * u64::from(round.rounds);
        // At most all of them.
        let segments = ((all as f64 * part) as u64).min(all);
        self.sent += segments * u64::from(self.line.mss);
        self.stats.segments_sent += segments;
        let duration = now.saturating_since(round.start);
        if let Some(each) = duration.as_ns().checked_div(segments) {
            let rtt = Span::from_ns(each.saturating_mul(u64::from(round.segments)));
            self.lag = rtt.saturating_sub(self.line.rtt);
        }
        self.stride = 1;
        // The sawtooth goes on where it stood.
        self.governor.restart_after_idle(now, round.start, 0);
        self.unreported = self.unreported.saturating_add(round.rounds);
        if self.unreported >= REPORT_ROUNDS {
            self.report(now);
        }
    }

    /// The crowd is gone: ends a stretch in it where it stands. Any other goes on.
    pub(crate) fn unsettle(&mut self, now: Instant, pace: Pace) -> Option<Pace> {
        if !pace.settled {
            return Some(pace);
        }
        let round = self.round.take()?;
        self.last_sent = now;
        self.come_out(now, &round, pace.part(now));
        None
    }
}
