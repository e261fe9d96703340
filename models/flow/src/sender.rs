//! One direction of a connection: a window's worth of data per round trip.
//!
//! A *round* begins when the first ACK of the one before it comes back; in it the sender sends one window, at
//! the rate of its bottleneck. What becomes of the round is decided when it begins: what is lost, and when each
//! boundary between writes arrives. What it does to the window is decided when it ends. Rounds in which nothing
//! can happen are taken together.
//!
//! # Losses
//! The first loss, at position j of a round, is found out one round trip later, when the sender has sent j
//! segments of the next round. The window falls then (proportional rate reduction spreads that over the rest of
//! the round), and the losses of that one window belong to the same recovery. Retransmissions go first; one that
//! is lost again costs another round without growth. When nothing of a window arrives a loss probe (two round
//! trips) or a retransmission timeout starts again from one segment.

mod crowd;
mod progress;
mod round;

use std::collections::VecDeque;

use longhaul_core::time::{Instant, Span};

use crate::control::{Governor, RoundResult};
use crate::losses::Losses;
use crate::pace::{Pace, seconds};

pub(crate) use crowd::{Crowd, Sawtooth};
pub(crate) use progress::Progress;
use round::Round;

/// The smallest retransmission timeout beyond the RTT (`TCP_RTO_MIN`).
const MIN_TIMEOUT: Span = Span::from_ms(200);
/// Longest timeout (`TCP_RTO_MAX`).
const MAX_TIMEOUT: Span = Span::from_s(120);
/// Added to a probe's two round trips (`TCP_TIMEOUT_MIN`).
const PROBE_SLACK: Span = Span::from_ms(8);
/// Timeouts in a row after which the peer is gone (`tcp_retries2`).
const TIMEOUTS: u32 = 15;
/// Most rounds that are taken together, and most between two reports of progress.
const LONGEST_STRIDE: u32 = 1 << 16;
const REPORT_ROUNDS: u32 = 1 << 12;

/// What does not change about a flow.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Line {
    /// Round trip of a full segment and its ACK on the idle path.
    pub(crate) rtt: Span,
    /// One way of a segment on the idle path, without its time at the slowest link.
    pub(crate) one_way: Span,
    /// Payload of a segment.
    pub(crate) mss: u32,
    /// Its bytes on the wire.
    pub(crate) frame: f64,
    /// Most segments in flight that the buffers admit.
    pub(crate) limit: u32,
    /// Segments leave in bursts through the sender's own device, which tells of full queues.
    pub(crate) offload: bool,
}

/// What the path gives a flow at the moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Conditions {
    /// Bytes per second that a burst of it may take.
    pub(crate) share: f64,
    /// What may stand in the bottleneck's queue of this flow.
    pub(crate) room: Room,
    /// Of so many frames on a full link one is of this flow; at least 1.
    pub(crate) interleaved: f64,
    /// Frames of others between two rounds.
    pub(crate) between: f64,
    /// How long the bursts of others keep the link busy.
    pub(crate) wait: Span,
    /// Its part of a link that a crowd keeps full.
    pub(crate) crowd: Option<Crowd>,
}

/// Room in a queue.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Room {
    /// Frames: a burst of segmentation offload is one.
    pub(crate) frames: f64,
    /// Bytes on the wire beside them; below zero for what others have in the queue.
    pub(crate) bytes: f64,
    /// Seconds of the flow's traffic that are on the way and take room as well.
    pub(crate) line_s: f64,
}

impl Room {
    /// Segments of `frame` bytes, sent at `share` in bursts of `burst`, that find room; `segments` are in flight.
    fn segments(&self, segments: f64, share: f64, frame: f64, burst: u32) -> f64 {
        let on_the_line = (share * self.line_s / frame).min(segments);
        self.frames * f64::from(burst) + self.bytes / frame - on_the_line
    }
}

/// Payload that reaches the peer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Delivery {
    pub(crate) at: Instant,
    /// End of it in the stream.
    pub(crate) upto: u64,
}

/// What a sender has done.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct FlowStats {
    /// Segments sent, retransmissions included.
    pub segments_sent: u64,
    /// Segments sent again; none are counted while the flow has settled in a crowd.
    pub retransmits: u64,
    /// Times that the window fell because of losses or a full queue.
    pub reductions: u64,
    /// Retransmission timeouts.
    pub timeouts: u64,
    /// Segments that a full queue dropped or refused.
    pub queue_drops: u64,
    /// Segments that a loss law took.
    pub lost: u64,
    /// Payload that has reached the peer in order.
    pub delivered_bytes: u64,
}

impl FlowStats {
    fn count(&mut self, round: &Round) {
        self.segments_sent += u64::from(round.segments) * u64::from(round.rounds);
        self.retransmits += u64::from(round.repeated);
        self.queue_drops += u64::from(round.dropped);
        self.lost += u64::from(round.lost_by_law());
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Sender {
    pub(crate) line: Line,
    pub(crate) governor: Governor,
    /// How its window moves between two losses, if that is known.
    pub(crate) sawtooth: Option<Sawtooth>,
    losses: Option<Box<Losses>>,
    /// Ends of writes that have not been scheduled for delivery.
    marks: VecDeque<u64>,
    /// Scheduled deliveries, in order.
    pub(crate) deliveries: VecDeque<Delivery>,
    /// Bytes written so far, and how many of them have been sent before the current round.
    pub(crate) written: u64,
    sent: u64,
    round: Option<Round>,
    /// How long the queue holds a segment.
    lag: Span,
    /// Smallest round trip of a full window so far: a queue that always stands is not known to be one.
    smallest_rtt: Span,
    /// Segments to send again.
    retransmit: u32,
    /// Segments of the next round, where it is not the window.
    budget: Option<u32>,
    /// So many segments of the next round leave before the loss is known.
    immune: u32,
    /// The window fell in the last round because the local queue refused something; that lasts a round trip.
    cooling: bool,
    /// The pause before the next round.
    pause: Option<Instant>,
    /// Timeouts in a row.
    timeouts: u32,
    /// Rounds to take together when nothing happens.
    stride: u32,
    unreported: u32,
    last_sent: Instant,
    /// When it gave up.
    pub(crate) failed: Option<Instant>,
    pub(crate) stats: FlowStats,
}

impl Sender {
    pub(crate) fn new(
        line: Line,
        governor: Governor,
        sawtooth: Option<Sawtooth>,
        losses: Option<Box<Losses>>,
    ) -> Sender {
        Sender {
            line,
            governor,
            sawtooth,
            losses,
            marks: VecDeque::new(),
            deliveries: VecDeque::new(),
            written: 0,
            sent: 0,
            round: None,
            lag: Span::ZERO,
            smallest_rtt: Span::MAX,
            retransmit: 0,
            budget: None,
            immune: 0,
            cooling: false,
            pause: None,
            timeouts: 0,
            stride: 1,
            unreported: 0,
            last_sent: Instant::MAX,
            failed: None,
            stats: FlowStats::default(),
        }
    }

    /// One frame of the handshake; whether it arrives.
    pub(crate) fn control_frame_arrives(&mut self) -> bool {
        self.losses.as_mut().is_none_or(|losses| losses.one_arrives())
    }

    /// `bytes` more to send. Ends of writes closer together than a segment count as one.
    pub(crate) fn write(&mut self, bytes: u64) {
        self.written += bytes;
        let scheduled = self
            .deliveries
            .back()
            .map_or(self.stats.delivered_bytes, |last| last.upto);
        let len = self.marks.len();
        let before = if len > 1 { self.marks[len - 2] } else { scheduled };
        match self.marks.back_mut() {
            Some(last) if *last - before < u64::from(self.line.mss) => *last = self.written,
            _ => self.marks.push_back(self.written),
        }
    }

    /// Whether there is something that no round so far has sent.
    pub(crate) fn has_unsent(&self) -> bool {
        let sent = self.sent + self.round.map_or(0, |round| round.new_bytes);
        sent < self.written
    }

    /// Whether all that was written has arrived.
    pub(crate) fn is_done(&self) -> bool {
        self.stats.delivered_bytes == self.written
    }

    /// This sender goes back to what it was; meanwhile the peer has received `delivered` bytes.
    pub(crate) fn resume_after(&mut self, delivered: u64) {
        self.stats.delivered_bytes = delivered;
        self.deliveries.retain(|delivery| delivery.upto > delivered);
    }

    /// Round trip of the last round.
    pub(crate) fn rtt(&self) -> Span {
        self.line.rtt.saturating_add(self.lag)
    }

    /// The congestion window in bytes.
    pub(crate) fn congestion_window_bytes(&self) -> u64 {
        u64::from(self.governor.window()) * u64::from(self.line.mss)
    }

    /// Bytes that the window admits.
    pub(crate) fn in_flight_limit(&self) -> u64 {
        u64::from(self.governor.window().min(self.line.limit)) * u64::from(self.line.mss)
    }

    /// Most bytes per second on the wire that it can ever use with what is written.
    pub(crate) fn potential(&self) -> f64 {
        let rtt = self.line.rtt.as_ns() as f64 / 1e9;
        let backlog = (self.written - self.stats.delivered_bytes).div_ceil(u64::from(self.line.mss));
        backlog.min(u64::from(self.line.limit)) as f64 * self.line.frame / rtt
    }

    /// What it has done in all, the round under way included.
    pub(crate) fn final_stats(&self) -> FlowStats {
        let mut stats = self.stats;
        if let Some(round) = &self.round {
            stats.count(round);
        }
        stats
    }

    /// Begins the next stretch; `None` if there is nothing to do.
    pub(crate) fn begin(&mut self, now: Instant, conditions: &Conditions) -> Option<Pace> {
        if let Some(until) = self.pause.take() {
            return Some(Pace::pause(now, until.max(now)));
        }
        if self.failed.is_some() || (self.sent == self.written && self.retransmit == 0) {
            return None;
        }
        if self.last_sent != Instant::MAX {
            let idle = now.saturating_since(self.last_sent);
            let timeout = self.timeout();
            if idle >= timeout && self.retransmit == 0 {
                let timeouts = idle.as_ns() / timeout.as_ns();
                let timeouts = u32::try_from(timeouts).unwrap_or(u32::MAX);
                self.governor.restart_after_idle(now, self.last_sent, timeouts);
                self.lag = Span::ZERO;
            }
        }
        if let Some(pace) = self.settle(now, conditions) {
            return Some(pace);
        }
        let round = self.plan(now, conditions);
        if round.is_empty() {
            self.stats.queue_drops += u64::from(round.dropped);
            // All refused and nothing in flight: only a timer tries again (`tcp_check_probe_timer`).
            return Some(Pace::pause(now, now.saturating_add(self.timeout())));
        }
        let line = &self.line;
        let rtt = line.rtt.saturating_add(conditions.wait).as_ns() as f64 / 1e9;
        let in_flight = f64::from(round.segments) * line.frame;
        let goal = in_flight * f64::from(round.rounds);
        self.last_sent = now;
        self.round = Some(round);
        Some(Pace::stretch(now, goal, in_flight / rtt, in_flight, rtt))
    }

    /// Ends the stretch that began last.
    pub(crate) fn end(&mut self, now: Instant) {
        let Some(round) = self.round.take() else { return };
        self.last_sent = now;
        if round.settled {
            self.come_out(now, &round, 1.0);
            return;
        }
        let rounds = u64::from(round.rounds);
        let mut duration = now.saturating_since(round.start);
        if rounds > 1 {
            duration = duration / rounds;
        }
        let queued = duration.saturating_sub(self.line.rtt);
        self.lag = if round.full { queued } else { Span::ZERO };
        let rtt = self.line.rtt.saturating_add(self.lag);
        self.smallest_rtt = self.smallest_rtt.min(rtt);
        self.cooling = round.refused && !self.cooling;
        self.sent += round.new_bytes;
        self.retransmit = self.retransmit - round.repeated + round.lost;
        self.stats.count(&round);
        if round.lost > 0 || self.retransmit > 0 {
            self.stride = 1;
        }
        if round.lost >= round.segments {
            self.stall(&round);
            return;
        }
        self.timeouts = 0;
        let window = self.governor.window().min(self.line.limit);
        let acked = match round.first_loss {
            // A timeout's recovery grows like any slow start; any other leaves the window alone.
            _ if round.recovering && !self.governor.in_slow_start() => 0,
            Some(first) => first,
            None => round.segments.saturating_mul(round.rounds),
        };
        self.governor.on_round(&RoundResult {
            start: round.start,
            end: now,
            // A window that the buffers limit does not grow (`tcp_is_cwnd_limited`).
            acked: if round.refused || self.governor.window() >= self.line.limit {
                0
            } else {
                acked
            },
            delivered: (round.segments - round.lost).saturating_mul(round.rounds),
            full: round.full,
            spacing: seconds(self.line.frame / round.share),
            min_rtt: self.smallest_rtt,
            rtt,
        });
        if let Some(first) = round.first_loss {
            let before = self.governor.window().min(self.line.limit).max(1);
            self.governor.reduce();
            self.stats.reductions += 1;
            let after = self.governor.window().min(self.line.limit);
            self.immune = first.min(before);
            let rest = u64::from(before - self.immune) * u64::from(after) / u64::from(before);
            // The reduction bound: two segments leave for each that arrives at most.
            let bound = (round.segments - round.lost).saturating_mul(2).saturating_add(1);
            self.budget = Some((self.immune + rest as u32).clamp(1, bound));
        } else if round.lost > 0 || self.retransmit > 0 {
            let bound = (round.segments - round.lost).saturating_mul(2).saturating_add(1);
            self.budget = Some(bound.min(self.governor.window().min(self.line.limit)));
        }
        if round.tail_lost {
            self.probe_tail(now, &round);
        }
        self.choose_stride(window, &round);
        self.unreported += round.rounds;
        if self.unreported >= REPORT_ROUNDS && self.retransmit == 0 && !round.recovering {
            self.report(now);
        }
    }

    /// Lets the peer know of what has been sent up to now.
    fn report(&mut self, now: Instant) {
        self.deliver(now.saturating_add(self.line.one_way), self.sent);
    }

    fn deliver(&mut self, at: Instant, upto: u64) {
        let last = self.deliveries.back();
        let at = last.map_or(at, |last| at.max(last.at));
        let scheduled = last.map_or(self.stats.delivered_bytes, |last| last.upto);
        self.unreported = 0;
        if upto > scheduled {
            self.deliveries.push_back(Delivery { at, upto });
        }
    }

    /// Nothing that was sent arrives: a loss probe, or a timeout.
    fn stall(&mut self, round: &Round) {
        let srtt = self.line.rtt.saturating_add(self.lag);
        let last = round.last_sent();
        let mut wake = last;
        let reduced = round.recovering || self.timeouts > 0;
        if !reduced {
            wake = wake.saturating_add(self.probe_after(round));
            self.stats.segments_sent += 1;
            self.stats.retransmits += 1;
            if self.control_frame_arrives() {
                // Its ACK tells of the losses; they are sent again, slowly at first.
                self.pause = Some(wake.saturating_add(srtt));
                self.governor.restart(wake, 2, false, false);
                self.stats.reductions += 1;
                return;
            }
        }
        let wait = self.timeout().saturating_mul(1 << self.timeouts).min(MAX_TIMEOUT);
        if self.timeouts >= TIMEOUTS {
            self.failed = Some(wake.saturating_add(wait));
            return;
        }
        self.pause = Some(wake.saturating_add(wait));
        self.timeouts += 1;
        self.stats.timeouts += 1;
        self.governor.restart(wake, 1, reduced, true);
    }

    /// Nothing follows the last segments, which are lost: only a probe can tell.
    fn probe_tail(&mut self, now: Instant, round: &Round) {
        let wait = if round.recovering {
            self.timeout()
        } else {
            self.probe_after(round)
        };
        self.pause = Some(round.last_sent().saturating_add(wait).max(now));
    }

    /// When a probe follows the last segment (`tcp_schedule_loss_probe`).
    fn probe_after(&self, round: &Round) -> Span {
        let slack = if round.segments == 1 {
            MIN_TIMEOUT
        } else {
            PROBE_SLACK
        };
        let two = self.line.rtt.saturating_add(self.lag).saturating_mul(2);
        two.saturating_add(slack).min(self.timeout())
    }

    fn timeout(&self) -> Span {
        self.line.rtt.saturating_add(self.lag).saturating_add(MIN_TIMEOUT)
    }

    /// More rounds together the longer nothing has happened, as long as the window hardly moves.
    fn choose_stride(&mut self, before: u32, round: &Round) {
        let limited = self.governor.window() >= self.line.limit;
        let quiet = self.retransmit == 0 && !round.refused && (limited || !self.governor.in_slow_start());
        if !quiet || round.recovering || !self.governor.has_closed_form() {
            self.stride = 1;
            return;
        }
        let after = self.governor.window().min(self.line.limit);
        let moved = after.abs_diff(before);
        if limited && moved == 0 {
            // Nothing of it can change: no need to feel one's way.
            self.stride = LONGEST_STRIDE;
            return;
        }
        let longest = {
            // A stride moves the window, and with it the rate, by about a thirty-second; where a queue stands only its
            // length moves, and an eighth will do.
            let per_round = moved.div_ceil(round.rounds).max(1);
            let part = if self.lag > Span::ZERO { 8 } else { 32 };
            (after / part / per_round).max(1)
        };
        self.stride = (self.stride * 3).min(longest);
    }
}
