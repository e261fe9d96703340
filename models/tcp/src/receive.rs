//! The receiving half: what arrived, and what the peer is told of it.
//!
//! The application reads at once, so bytes in order take no room, unless it stands still: then they stay and the
//! window closes (`tcp_cleanup_rbuf`, `__tcp_select_window`). The right edge of the offered window moves with the
//! bytes in order, less what is held out of order, and never moves back (RFC 9293 section 3.8.6.2.1). How large a
//! window is offered is for [`Autotuning`].

use std::collections::VecDeque;

use longhaul_core::time::{Instant, Span};

use crate::autotuning::Autotuning;
use crate::config::Config;
use crate::delayed_ack::{DelayedAck, Situation};
use crate::ecn::CongestionEcho;
use crate::ranges::RangeSet;
use crate::segment::{Flags, MAX_SACK_BLOCKS, SackBlock, Segment};

/// Blocks that are remembered, newest first; one more than fit beside timestamps, as in Linux.
const REMEMBERED_BLOCKS: usize = 4;
/// Blocks that a sender can be expected to be told of in every acknowledgement (`TCP_SACK_BLOCKS_EXPECTED`).
const EXPECTED_BLOCKS: usize = 2;

/// Answers to segments without data outside the window are so far apart (`tcp_invalid_ratelimit`).
const PROBE_ANSWERS_APART: Span = Span::from_ms(500);

/// What the receiver must know of the sending half of its own endpoint.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Path {
    pub(crate) srtt: Option<Span>,
    pub(crate) rto: Span,
}

/// The receiving half of a connection.
#[derive(Clone, Debug)]
pub(crate) struct Receiver {
    mss: u32,
    tuning: Autotuning,
    /// Next byte expected; counts the peer's FIN once it has arrived.
    next: u64,
    /// What arrived beyond `next`.
    held: RangeSet,
    /// A byte in each of the ranges reported last, newest first.
    recent: [u64; REMEMBERED_BLOCKS],
    recent_count: usize,
    /// A range that arrived twice, to be reported once (RFC 2883).
    duplicate: Option<SackBlock>,
    /// Number of the peer's FIN, once it was seen.
    fin: Option<u64>,
    /// End of the offered window.
    right_edge: u64,
    /// `next` when the last acknowledgement left.
    acknowledged: u64,
    /// Timestamp to echo: that of the segment that the next acknowledgement answers.
    echo: Instant,
    policy: DelayedAck,
    /// The marks of congested queues, if the ends have agreed on them.
    congestion: Option<CongestionEcho>,
    /// Acknowledgements that are ready to leave.
    ready: VecDeque<Segment>,
    /// Bytes in order that the application has not been told of.
    unreported: u64,
    /// The application stands still.
    stopped: bool,
    /// When a window probe was answered last.
    probe_answered: Option<Instant>,
}

impl Receiver {
    pub(crate) fn new(config: &Config) -> Receiver {
        let tuning = Autotuning::new(config);
        Receiver {
            mss: config.mss,
            next: 0,
            held: RangeSet::default(),
            recent: [0; REMEMBERED_BLOCKS],
            recent_count: 0,
            duplicate: None,
            fin: None,
            right_edge: tuning.first_window(),
            tuning,
            acknowledged: 0,
            echo: Instant::ZERO,
            policy: DelayedAck::default(),
            congestion: None,
            ready: VecDeque::new(),
            unreported: 0,
            stopped: false,
            probe_answered: None,
        }
    }

    /// Stream bytes that arrived in order, without the FIN.
    pub(crate) fn bytes(&self) -> u64 {
        self.next - u64::from(self.is_finished())
    }

    /// Whether the peer's FIN and everything before it arrived.
    pub(crate) fn is_finished(&self) -> bool {
        self.fin.is_some_and(|fin| self.next > fin)
    }

    /// Bytes in order since the last call.
    #[inline]
    pub(crate) fn take_received(&mut self) -> u64 {
        std::mem::take(&mut self.unreported)
    }

    /// The application stands still: what arrives stays unread.
    pub(crate) fn stop(&mut self) {
        self.stopped = true;
    }

    /// Whether the application stands still.
    #[inline]
    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped
    }

    /// The application goes on and reads everything. The peer hears of it if the window that it frees is worth it:
    /// twice what was left (`tcp_cleanup_rbuf`).
    pub(crate) fn resume(&mut self, now: Instant) {
        self.stopped = false;
        if self.unreported == 0 {
            return;
        }
        let before = self.right_edge.saturating_sub(self.next);
        let after = self.tuning.window(self.held.bytes());
        let due = self.policy.is_scheduled() && self.next - self.acknowledged > u64::from(self.mss);
        let opens = self.fin.is_none() && self.tuning.is_half_closed(before) && after >= 2 * before.max(1);
        if due || opens {
            self.acknowledge_now(now);
        }
        self.tuning.on_read(now, self.next);
    }

    /// Whether a segment without data that starts at `seq` is a window probe: it repeats the last byte that was
    /// acknowledged. After a FIN nothing waits to be sent, and an old acknowledgement may look so.
    #[inline]
    pub(crate) fn is_probe(&self, seq: u64) -> bool {
        seq.checked_add(1) == Some(self.acknowledged) && self.fin.is_none()
    }

    /// A window probe arrived: the answer tells the window, but not too often.
    pub(crate) fn on_probe(&mut self, now: Instant) {
        let recent = |at| now.saturating_since(at) < PROBE_ANSWERS_APART;
        if !self.probe_answered.is_some_and(recent) {
            self.probe_answered = Some(now);
            self.policy
                .on_useless(self.right_edge - self.next.min(self.right_edge), self.mss);
            self.acknowledge_now(now);
        }
    }

    /// Whether a byte before `end` is new.
    pub(crate) fn is_new(&self, end: u64) -> bool {
        end > self.next
    }

    /// Whether bytes in order wait for the application.
    pub(crate) fn has_unread(&self) -> bool {
        self.unreported > 0
    }

    /// Bytes in order that stay in the buffer.
    pub(crate) fn unread(&self) -> u64 {
        if self.stopped { self.unreported } else { 0 }
    }

    /// Whether a segment that starts at `seq` could belong to this connection.
    pub(crate) fn accepts(&self, seq: u64) -> bool {
        (self.next..=self.right_edge).contains(&seq)
    }

    /// The ends have agreed on explicit congestion notification.
    pub(crate) fn enable_ecn(&mut self) {
        self.congestion = Some(CongestionEcho::default());
    }

    /// Payload or a FIN arrived. A burst is taken packet by packet, as if each had come by itself.
    pub(crate) fn on_data(&mut self, now: Instant, segment: &Segment, path: Path) {
        if let Some(congestion) = &mut self.congestion {
            let urgency = congestion.on_data(segment);
            if urgency.now {
                self.policy.hurry();
            }
            if urgency.next_two {
                self.policy.acknowledge_two();
            }
        }
        let fin = segment.flags.has(Flags::FIN);
        let payload_end = segment.seq + u64::from(segment.len);
        if fin {
            // A peer that moves its end of stream is broken; the first word counts.
            self.fin.get_or_insert(payload_end);
        }
        // Divisions are dear, and most segments are one packet.
        let packet = match segment.packets {
            0 | 1 => u64::from(segment.len),
            packets => u64::from(segment.len).div_ceil(u64::from(packets)),
        }
        .max(1);
        if segment.len >= self.mss {
            self.tuning.sample_rtt(now, segment.ts_ecr);
        }
        let mut start = segment.seq;
        loop {
            let mut end = payload_end.min(start + packet);
            let last = end == payload_end;
            end += u64::from(last && fin);
            if end > start {
                self.on_packet(now, SackBlock { start, end }, segment.ts_val, path);
            }
            if last {
                return;
            }
            start = end;
        }
    }

    fn on_packet(&mut self, now: Instant, packet: SackBlock, ts_val: Instant, path: Path) {
        // RFC 7323 section 4.3: the echo is for the segment that the last acknowledgement waited for.
        if packet.start <= self.acknowledged && ts_val > self.echo {
            self.echo = ts_val;
        }
        let window = self.right_edge - self.next.min(self.right_edge);
        if packet.end <= self.next {
            self.duplicate = Some(packet);
            self.policy.on_useless(window, self.mss);
        } else if packet.end > self.right_edge.saturating_add(1) {
            // Beyond the window (a FIN may lie one beyond): it is dropped.
            self.policy.on_useless(window, self.mss);
        } else if packet.start > self.next {
            self.hold(packet, now);
        } else {
            if packet.start < self.next {
                self.duplicate = Some(SackBlock {
                    start: packet.start,
                    end: self.next,
                });
            }
            self.policy.on_data(now, window, self.mss, path.rto);
            self.advance(packet.end);
            self.grow_window(packet);
            if packet.end - packet.start < u64::from(self.mss) && !self.stopped {
                // The application reads a short segment at once, and reading acknowledges it.
                self.policy.hurry();
            }
        }
        self.acknowledge_if_due(now, path);
        // Only now does the application read.
        if !self.stopped {
            self.tuning.on_read(now, self.next);
        }
    }

    fn grow_window(&mut self, packet: SackBlock) {
        let used = self.held.bytes() + self.unread();
        if self.tuning.grow(packet.end - packet.start, used) {
            self.policy.stay_quick();
        }
    }

    /// Something arrived ahead of a gap.
    fn hold(&mut self, packet: SackBlock, now: Instant) {
        let place = self.recent[..self.recent_count].iter().position(|&seq| {
            let range = self.held.containing(seq).expect("what is remembered is held");
            range.start <= packet.end && packet.start <= range.end
        });
        // A thinned acknowledgement must leave before it would have to tell of more ranges than fit
        // (`tcp_sack_compress_send_ack`).
        if place.unwrap_or(self.recent_count) >= EXPECTED_BLOCKS && self.policy.is_thinning() {
            self.acknowledge_now(now);
        }
        let mut new = 0;
        self.held.insert(packet, |part| new += part.end - part.start);
        if new == 0 {
            self.duplicate = Some(packet);
        }
        self.policy.on_gap();
        self.remember(packet.start);
        self.grow_window(packet);
    }

    /// The range around `seq` becomes the first to be reported.
    fn remember(&mut self, seq: u64) {
        let range = self.held.containing(seq).expect("it was just inserted");
        let mut recent = [seq; REMEMBERED_BLOCKS];
        let mut count = 1;
        for &other in &self.recent[..self.recent_count] {
            let same = (range.start..range.end).contains(&other);
            if !same && count < REMEMBERED_BLOCKS {
                recent[count] = other;
                count += 1;
            }
        }
        self.recent = recent;
        self.recent_count = count;
    }

    /// Forgets ranges that the cumulative acknowledgement has passed.
    fn forget_passed(&mut self) {
        let mut count = 0;
        for place in 0..self.recent_count {
            if self.recent[place] >= self.next {
                self.recent[count] = self.recent[place];
                count += 1;
            }
        }
        self.recent_count = count;
    }

    /// The gap moves to `end`, or beyond what that connects to.
    fn advance(&mut self, end: u64) {
        let before = self.bytes();
        self.next = self.held.containing(end).map_or(end, |range| range.end);
        if !self.held.is_empty() {
            self.held.remove_below(self.next);
            self.forget_passed();
            if self.held.is_empty() {
                // RFC 5681 section 4.2: filling the gap is worth an acknowledgement at once.
                self.policy.hurry();
            }
        }
        self.unreported += self.bytes() - before;
    }

    fn acknowledge_if_due(&mut self, now: Instant, path: Path) {
        let situation = Situation {
            now,
            next: self.next,
            unacknowledged: self.next - self.acknowledged,
            mss: self.mss,
            gap: !self.held.is_empty(),
            stalled: self.stopped
                && self.window_behind().0 < self.right_edge.saturating_sub(self.acknowledged),
            srtt: path.srtt,
        };
        if self.policy.decide(&situation) {
            self.acknowledge_now(now);
        }
    }

    fn window_behind(&self) -> (u64, bool) {
        self.tuning.window_behind(self.held.bytes() + self.unread())
    }

    /// Makes an acknowledgement ready.
    pub(crate) fn acknowledge_now(&mut self, now: Instant) {
        let mut segment = Segment::control(Flags::ACK, 0, now);
        self.stamp(&mut segment, now);
        self.ready.push_back(segment);
    }

    /// Fills in what `segment` tells the peer, and counts it as an acknowledgement.
    pub(crate) fn stamp(&mut self, segment: &mut Segment, now: Instant) {
        let window = if self.unread() == 0 {
            self.tuning.window(self.held.bytes())
        } else {
            let (window, short) = self.window_behind();
            if short {
                self.policy.end_quick();
            }
            window
        };
        self.right_edge = self.right_edge.max(self.next.saturating_add(window));
        segment.ack = self.next;
        let window = self.right_edge.saturating_sub(self.next);
        segment.window = u32::try_from(window).unwrap_or(u32::MAX);
        segment.ts_val = now;
        segment.ts_ecr = self.echo;
        if self.congestion.is_some_and(|congestion| congestion.active) {
            segment.flags = segment.flags.and(Flags::ECE);
        }
        let mut free = MAX_SACK_BLOCKS;
        if let Some(duplicate) = self.duplicate.take() {
            segment.push_sack(duplicate);
            free -= 1;
        }
        if !self.held.is_empty() {
            let ranges = self.recent[..self.recent_count]
                .iter()
                .filter_map(|&seq| self.held.containing(seq));
            for range in ranges.take(free) {
                segment.push_sack(range);
            }
        }
        self.acknowledged = self.next;
        self.policy.on_ack_sent();
    }

    /// The peer's timestamp during the handshake.
    pub(crate) fn note_handshake(&mut self, ts_val: Instant) {
        self.echo = ts_val;
    }

    /// The handshake is over.
    pub(crate) fn on_established(&mut self, now: Instant) {
        self.tuning.on_established(now);
    }

    /// The next acknowledgement that is ready. Its `seq` is for the caller to fill in.
    pub(crate) fn poll(&mut self) -> Option<Segment> {
        self.ready.pop_front()
    }

    /// A segment with data left and carried the newest acknowledgement.
    pub(crate) fn forget_ready(&mut self) {
        self.ready.clear();
    }

    /// When to call [`Receiver::on_timer`].
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.policy.deadline()
    }

    /// A delayed acknowledgement may be due.
    pub(crate) fn on_timer(&mut self, now: Instant, path: Path) {
        if self.policy.on_timer(now, path.rto) {
            self.acknowledge_now(now);
        }
    }
}
