//! What is decided when a round begins.

use longhaul_core::time::{Instant, Span};

use super::{Conditions, Sender};
use crate::pace::seconds;

/// One round trip, or several that are alike.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Round {
    pub(crate) start: Instant,
    /// Segments sent in each of the rounds.
    pub(super) segments: u32,
    /// Rounds taken together.
    pub(super) rounds: u32,
    /// Retransmissions among the segments.
    pub(super) repeated: u32,
    pub(super) new_bytes: u64,
    /// The window was what limited it.
    pub(super) full: bool,
    /// It began with something to repair.
    pub(super) recovering: bool,
    /// Segments lost.
    pub(super) lost: u32,
    /// First loss that is not part of a recovery under way.
    pub(super) first_loss: Option<u32>,
    /// The last segments are lost, and nothing follows them.
    pub(super) tail_lost: bool,
    /// The local queue refused something, so the window has fallen.
    pub(super) refused: bool,
    /// Bytes per second of the bottleneck, and how long it is busy before.
    pub(super) share: f64,
    wait: Span,
    frame: f64,
}

impl Round {
    /// Whether nothing was sent in it.
    pub(super) fn is_empty(&self) -> bool {
        self.segments == 0
    }

    /// When the last segment left.
    pub(super) fn last_sent(&self) -> Instant {
        let time = f64::from(self.segments) * self.frame / self.share;
        self.start.saturating_add(seconds(time))
    }
}

/// Where the losses of a round fall.
#[derive(Clone, Copy, Debug, Default)]
struct Damage {
    lost: u32,
    /// First of a new recovery.
    first: Option<u32>,
    /// First segment lost that was not sent before.
    first_new: Option<u32>,
    /// Some retransmission, or something sent before them, is lost.
    unrepaired: bool,
    /// The last segment is lost.
    tail: bool,
}

impl Sender {
    /// Decides the next round.
    pub(super) fn plan(&mut self, now: Instant, conditions: &Conditions) -> Round {
        let mss = u64::from(self.line.mss);
        let window = self.governor.window().min(self.line.limit).max(1);
        let recovering = self.retransmit > 0;
        let budget = self.budget.take();
        let budget_segments = budget.unwrap_or(window).max(1);
        let backlog = (self.written - self.sent).div_ceil(mss);
        let wanted = u64::from(self.retransmit) + backlog;
        let segments = u64::from(budget_segments).min(wanted) as u32;
        let mut round = Round {
            start: now,
            segments,
            rounds: 1,
            repeated: 0,
            new_bytes: 0,
            full: segments == budget_segments,
            recovering,
            lost: 0,
            first_loss: None,
            tail_lost: false,
            refused: false,
            share: conditions.share,
            wait: conditions.wait,
            frame: self.line.frame,
        };
        let immune = std::mem::take(&mut self.immune).min(segments);
        round.repeated = self.retransmit.min(segments - immune);
        let burst = self.burst(segments);
        if let Some(losses) = &mut self.losses {
            losses.interleave(conditions.interleaved);
            losses.forget(conditions.between / f64::from(burst.max(1)));
        }
        let overflow = self.overflow(&round, conditions, burst);
        if overflow > 0 && self.line.offload {
            // The sender's own device: it refuses, which TCP hears at once, and the rest waits for ACKs.
            self.stats.queue_drops += u64::from(overflow);
            if !recovering && budget.is_none() && !self.cooling {
                self.governor.reduce();
                self.stats.reductions += 1;
            }
            round.refused = true;
            round.segments -= overflow;
            round.repeated = round.repeated.min(round.segments.saturating_sub(immune));
        }
        if overflow == 0 && !recovering && budget.is_none() {
            round.rounds = self.quiet_rounds(window, segments, burst);
        }
        let new = u64::from(round.segments - round.repeated) * u64::from(round.rounds);
        round.new_bytes = (new * mss).min(self.written - self.sent);
        let mut damage = self.draw_losses(&round, immune, burst);
        if overflow > 0 && !self.line.offload {
            self.stats.queue_drops += u64::from(overflow);
            let first = segments - overflow;
            damage.lost = (damage.lost + overflow).min(segments);
            damage.tail = true;
            damage.first_new = Some(damage.first_new.map_or(first, |at| at.min(first)));
            if !recovering {
                damage.first = Some(damage.first.map_or(first, |at| at.min(first)));
            }
        }
        round.lost = damage.lost;
        round.first_loss = damage.first;
        round.tail_lost = damage.tail && wanted == u64::from(segments);
        self.schedule_deliveries(&round, immune, &damage);
        round
    }

    /// Segments that leave as one frame for queue and loss law.
    fn burst(&self, segments: u32) -> u32 {
        if !self.line.offload {
            return 1;
        }
        let srtt = self.line.rtt.saturating_add(self.lag);
        let burst = self.governor.burst_segments(segments, srtt, self.line.rtt);
        // A third of the window is always worth sending (`tcp_tso_win_divisor`).
        burst.min((segments / 3).max(1))
    }

    /// Segments of the round that find the queue full.
    fn overflow(&self, round: &Round, conditions: &Conditions, burst: u32) -> u32 {
        if !round.full || self.retransmit > 0 {
            return 0;
        }
        let segments = f64::from(round.segments);
        let room = conditions
            .room
            .segments(segments, conditions.share, self.line.frame, burst);
        let on_the_way = conditions.share * self.line.rtt.as_ns() as f64 / 1e9 / self.line.frame;
        let standing = segments - on_the_way;
        // In slow start two segments leave for one that the bottleneck sends, so half of them wait.
        let peak = if self.governor.in_slow_start() {
            standing.max(segments / 2.0)
        } else {
            standing
        };
        let before = conditions.wait.as_ns() as f64 / 1e9 * conditions.share / self.line.frame;
        let excess = peak + before - room;
        if excess < 1.0 {
            return 0;
        }
        let refused = (excess as u32).min(round.segments);
        if self.line.offload {
            // What is refused of a burst is all of it. A queue that is full on average still takes a burst now and
            // then; one that earlier bursts have just filled does not.
            let taken = if before > 0.0 && before >= room.max(1.0) {
                0
            } else {
                burst.min(round.segments)
            };
            return refused.next_multiple_of(burst).min(round.segments - taken);
        }
        // The first segment finds room in the serialiser.
        refused.min(round.segments - 1)
    }

    /// How many rounds like this one may be taken together.
    fn quiet_rounds(&self, window: u32, segments: u32, burst: u32) -> u32 {
        if self.stride == 1 || segments < window {
            return 1;
        }
        let window = u64::from(window);
        let mut rounds = u64::from(self.stride);
        if let Some(losses) = &self.losses {
            rounds = rounds.min(losses.clean_frames() / window.div_ceil(u64::from(burst)));
        }
        // The round of a boundary is one of its own, for its time within the round counts.
        if let Some(&mark) = self.marks.front() {
            rounds = rounds.min((mark - self.sent.min(mark)) / u64::from(self.line.mss) / window);
        }
        // At most the stride.
        rounds.max(1) as u32
    }

    fn draw_losses(&mut self, round: &Round, immune: u32, burst: u32) -> Damage {
        let mut damage = Damage::default();
        let Some(losses) = &mut self.losses else {
            return damage;
        };
        let frames = round.segments.div_ceil(burst).saturating_mul(round.rounds);
        let repeated = immune..immune + round.repeated;
        for &frame in losses.pass(frames) {
            let first = frame * burst;
            let last = (first + burst).min(round.segments);
            damage.lost += last - first;
            damage.tail = last == round.segments;
            if repeated.contains(&first) || first < immune {
                damage.unrepaired = true;
            } else {
                damage.first = damage.first.or(Some(first));
            }
            if !repeated.contains(&first) {
                damage.first_new = damage.first_new.or(Some(first));
            }
        }
        damage
    }

    /// Schedules the ends of writes that this round brings to the peer in order.
    fn schedule_deliveries(&mut self, round: &Round, immune: u32, damage: &Damage) {
        let Some(&mark) = self.marks.front() else { return };
        if mark > self.sent + round.new_bytes {
            return;
        }
        let repairs = round.repeated == self.retransmit && !damage.unrepaired;
        if round.recovering && !repairs {
            return;
        }
        let mss = u64::from(self.line.mss);
        // Rounds follow each other at the pace of the bottleneck, so their time is that at which it sends; a
        // standing queue delays what the sender hears and not what the peer receives.
        let way = self.line.one_way.saturating_add(round.wait);
        let arrival = |segments: u32| {
            let sent = seconds(f64::from(segments) * round.frame / round.share);
            round.start.saturating_add(sent).saturating_add(way)
        };
        let repaired = if round.recovering {
            arrival(immune + round.repeated)
        } else {
            Instant::ZERO
        };
        while let Some(&mark) = self.marks.front() {
            if mark > self.sent + round.new_bytes {
                return;
            }
            // New segments leave before and after the retransmissions. At most those of the round.
            let new = mark.saturating_sub(self.sent).div_ceil(mss) as u32;
            let place = if new <= immune { new } else { new + round.repeated };
            if new > 0 && damage.first_new.is_some_and(|lost| lost < place) {
                return;
            }
            let at = if new > 0 {
                arrival(place).max(repaired)
            } else {
                repaired
            };
            self.marks.pop_front();
            self.deliver(at, mark);
        }
    }

    /// More was written while a round is under way that does not fill the window: segments join it. Returns their
    /// bytes on the wire.
    pub(crate) fn join(&mut self, now: Instant) -> Option<f64> {
        let mss = u64::from(self.line.mss);
        let window = self.governor.window().min(self.line.limit);
        let mut round = self
            .round
            .filter(|round| !round.full && round.lost == 0 && !round.recovering)?;
        let free = u64::from(window.saturating_sub(round.segments));
        let unsent = self.written - self.sent - round.new_bytes;
        let more = unsent.div_ceil(mss).min(free) as u32;
        if more == 0 {
            return None;
        }
        let joining = Round {
            start: now.max(round.last_sent()),
            segments: more,
            new_bytes: unsent.min(u64::from(more) * mss),
            ..round
        };
        let damage = self.draw_losses(&joining, 0, self.burst(more));
        // Positions count from what the round has sent before.
        self.sent += round.new_bytes;
        self.schedule_deliveries(&joining, 0, &damage);
        self.sent -= round.new_bytes;
        round.first_loss = damage.first.map(|first| first + round.segments);
        round.lost = damage.lost;
        round.segments += more;
        round.new_bytes += joining.new_bytes;
        round.full = round.segments == window;
        round.tail_lost = damage.tail && self.sent + round.new_bytes == self.written;
        self.round = Some(round);
        Some(f64::from(more) * self.line.frame)
    }
}
