//! The sending half: what may leave, and when.
//!
//! | module | what it holds |
//! | --- | --- |
//! | [`packet`], [`scoreboard`] | the packets that are out, and what is known of each |
//! | [`rack`] | which of them are lost |
//! | [`ack`] | what an ACK does, in the order of `tcp_ack` |
//! | [`recovery`] | the states Open … Loss and the window while it shrinks (PRR) |
//! | [`undo`] | taking back a reduction that turned out needless |
//! | [`timers`] | retransmission timeout, loss probe and reordering timer |
//! | [`persist`] | a peer whose window is closed |
//! | [`transmit`] | the next segment: retransmissions first, then new data |
//! | [`rate`], [`control`] | the delivery rate, and the controllers that go by it |
//! | [`pacing`] | when the next burst may leave |
//! | [`burst`] | how many packets leave together under segmentation offload |
//! | [`local_queue`] | what the sender hears of its own device's queue |
//!
//! Linux sends from within the call that gave the reason to send. Here the caller draws segments one by one, so
//! a reason opens a [`Turn`], and the turn ends when nothing more may leave.

mod ack;
pub(crate) mod burst;
mod control;
mod local_queue;
mod pacing;
mod packet;
mod persist;
mod rack;
mod rate;
mod recovery;

mod scoreboard;
mod timers;
mod transmit;
mod undo;

use longhaul_core::time::{Instant, Span};

use crate::config::Config;
use crate::congestion::{Congestion, Pace, Window};
use crate::rtt::RttEstimator;
use crate::segment::Segment;
use crate::stats::Stats;
use pacing::Pacing;
use persist::Persist;
use rack::Rack;
use recovery::{Phase, Reduction};
use scoreboard::Scoreboard;
use timers::Timer;
pub(crate) use transmit::Outgoing;
use undo::Undo;

/// What may leave next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Turn {
    /// Nothing.
    Idle,
    /// The oldest packet, whatever the window says, and then nothing.
    Oldest,
    /// One packet to provoke an ACK, and then nothing.
    Probe,
    /// One packet of new data, whatever the window says, and then nothing.
    One,
    /// What is left of a window that has no room for a packet, or a probe of a closed one, and then nothing.
    Window,
    /// What is lost, then new data.
    Lost,
    /// New data, or if none can leave what is lost.
    NewFirst,
    /// New data.
    New,
}

/// How well the window has been used (`tcp_cwnd_validate`): a window that nothing has tested must not grow.
#[derive(Clone, Copy, Debug)]
struct Usage {
    /// Whether the window stopped the sender since `round_end` was set.
    limited: bool,
    /// Most packets outstanding since then, while it did not.
    most: u32,
    round_end: u64,
    /// Most packets outstanding since the window was last used fully.
    idle_most: u32,
    /// When it was last used fully.
    full_at: Instant,
}

/// A loss probe that is not yet answered.
#[derive(Clone, Copy, Debug)]
struct Probe {
    /// Everything below had been sent.
    high: u64,
    /// Whether it repeated a packet.
    repeated: bool,
}

/// The sending half of a connection.
#[derive(Clone, Debug)]
pub(crate) struct Sender {
    mss: u32,
    initial_window: u32,
    send_buffer: u64,
    notsent_lowat: u64,
    offload: bool,
    /// Bytes that the application wrote.
    written: u64,
    /// The application is done: a FIN follows the last byte.
    finishing: bool,
    /// The process has ended.
    is_orphan: bool,
    /// The application found the buffer full and wants to hear of space.
    starved: bool,
    /// Oldest unacknowledged number, next number to send, and the end of the peer's window.
    una: u64,
    nxt: u64,
    window_end: u64,
    board: Scoreboard,
    rack: Rack,
    rtt: RttEstimator,
    window: Window,
    congestion: Congestion,
    phase: Phase,
    reduction: Reduction,
    undo: Undo,
    usage: Usage,
    probe: Option<Probe>,
    /// Packets that the peer reported to have received twice.
    duplicates: u64,
    timer: Option<Timer>,
    /// Only controllers that pace have it.
    pacing: Option<Pacing>,
    /// Timeouts since the last progress, and when the first of them was.
    timeouts: u32,
    persist: Persist,
    first_timeout: Instant,
    /// New data may be marked by queues, and the peer echoes marks.
    ecn: bool,
    /// The peer has yet to hear of a reduction, in the next new data.
    reduction_notice: bool,
    turn: Turn,
    /// Packets of new data that left in this turn.
    turn_packets: u32,
    last_sent: Instant,
    /// What the last polled segment was, should the local queue refuse it.
    last: Option<Outgoing>,
    /// What is counted; [`Sender::stats`] adds what is a state.
    counts: Stats,
}

impl Sender {
    pub(crate) fn mss(&self) -> u32 {
        self.mss
    }

    /// What may be in flight by the peer's window and the send buffer.
    pub(crate) fn buffer_window(&self) -> u64 {
        self.window_end.saturating_sub(self.una).min(self.send_buffer)
    }

    pub(crate) fn new(config: &Config) -> Sender {
        let congestion = Congestion::new(config);
        let rate_based = congestion.rules_window();
        Sender {
            mss: config.mss,
            initial_window: config.initial_window_segments,
            send_buffer: config.send_buffer,
            notsent_lowat: config.notsent_lowat,
            offload: config.segmentation_offload,
            written: 0,
            finishing: false,
            is_orphan: false,
            starved: false,
            una: 0,
            nxt: 0,
            window_end: 0,
            board: Scoreboard::new(config.mss, rate_based),
            rack: Rack::new(),
            rtt: RttEstimator::new(),
            window: Window::new(config.initial_window_segments),
            congestion,
            phase: Phase::Open,
            reduction: Reduction::default(),
            undo: Undo::default(),
            usage: Usage {
                limited: false,
                most: 0,
                round_end: 0,
                idle_most: 0,
                full_at: Instant::ZERO,
            },
            probe: None,
            duplicates: 0,
            timer: None,
            pacing: rate_based.then(Pacing::new),
            timeouts: 0,
            persist: Persist::default(),
            first_timeout: Instant::ZERO,
            ecn: false,
            reduction_notice: false,
            turn: Turn::Idle,
            turn_packets: 0,
            last_sent: Instant::ZERO,
            last: None,
            counts: Stats::default(),
        }
    }

    /// The handshake is over. `rtt` is its sample, if it gave one; `handshake_retransmits` counts SYN or SYN-ACK
    /// sent again.
    pub(crate) fn on_established(
        &mut self,
        now: Instant,
        rtt: Option<Span>,
        window: u64,
        handshake_retransmits: u32,
    ) {
        if let Some(rtt) = rtt {
            self.rtt.sample(rtt, 0, 0);
            self.rtt.sample_minimum(now, rtt);
        }
        // RFC 5681 section 3.1; Linux forgives the first.
        if handshake_retransmits > 1 {
            self.window.cwnd = 1;
        }
        self.window_end = window;
        self.last_sent = now;
        self.usage.full_at = now;
        self.congestion.on_start(now, 0);
        self.start_control(now);
        self.turn = Turn::New;
    }

    /// The ends have agreed on explicit congestion notification.
    pub(crate) fn enable_ecn(&mut self) {
        self.ecn = true;
    }

    /// Whether queues may mark this segment: only new data, for what is sent again may not be lost again in
    /// silence (RFC 3168 section 6.1.5).
    pub(crate) fn ecn_capable(&self, outgoing: &Outgoing) -> bool {
        self.ecn && outgoing.len > 0 && outgoing.is_new()
    }

    /// Whether the segment that leaves must tell of a reduction.
    pub(crate) fn take_reduction_notice(&mut self) -> bool {
        std::mem::take(&mut self.reduction_notice)
    }

    /// Takes as many of `bytes` as fit into the buffer.
    pub(crate) fn write(&mut self, now: Instant, bytes: u64) -> u64 {
        if self.finishing {
            return 0;
        }
        self.restart_after_idle(now);
        self.note_app_limited();
        let taken = bytes.min(self.free_space());
        self.starved |= taken < bytes;
        self.written += taken;
        self.start_turn(Turn::New);
        taken
    }

    /// A FIN follows what is written.
    pub(crate) fn finish(&mut self) {
        if !self.finishing {
            self.finishing = true;
            self.start_turn(Turn::New);
        }
    }

    /// The process has ended: there is less patience with the peer.
    pub(crate) fn orphan(&mut self) {
        self.is_orphan = true;
    }

    pub(crate) fn free_space(&self) -> u64 {
        let buffer = self.send_buffer - (self.written - self.una.min(self.written));
        buffer.min(self.notsent_lowat.saturating_sub(self.unsent()))
    }

    /// Bytes written and not yet sent.
    fn unsent(&self) -> u64 {
        self.written - self.nxt.min(self.written)
    }

    /// Whether the application should hear of space: it ran out of it, a third of the buffer is free
    /// (`sk_stream_write_space`) and less than half of what may wait unsent does (`__sk_stream_memory_free`).
    #[inline]
    pub(crate) fn take_space_notice(&mut self) -> bool {
        if !self.starved {
            return false;
        }
        let queued = self.written - self.una.min(self.written);
        let free = self.send_buffer - queued;
        let notice = free >= queued / 2 && self.unsent() < self.notsent_lowat.div_ceil(2);
        self.starved = !notice;
        notice
    }

    /// Whether everything, FIN included, is acknowledged.
    pub(crate) fn is_finished(&self) -> bool {
        self.finishing && self.una > self.written
    }

    /// The next number to send, for segments without payload.
    pub(crate) fn next(&self) -> u64 {
        self.nxt
    }

    pub(crate) fn rtt(&self) -> &RttEstimator {
        &self.rtt
    }

    /// When the sender wants [`Sender::on_timer`].
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let timer = self.timer.map(|timer| timer.at);
        match self.pacing.as_ref().and_then(Pacing::deadline) {
            Some(pacing) => Some(timer.map_or(pacing, |timer| timer.min(pacing))),
            None => timer,
        }
    }

    /// The counters of the connection, except for what the receiver knows.
    pub(crate) fn stats(&self) -> Stats {
        Stats {
            bytes_acked: self.una.min(self.written),
            srtt: self.srtt(),
            min_rtt: self.rtt.min_rtt(),
            cwnd_segments: self.window.cwnd,
            ssthresh: self.window.ssthresh,
            ..self.counts
        }
    }

    /// For what the sender does not count itself.
    pub(crate) fn counts_mut(&mut self) -> &mut Stats {
        &mut self.counts
    }

    /// A reason to send. A turn that may send more is not cut short by one that may send less.
    fn start_turn(&mut self, turn: Turn) {
        let rank = |turn| match turn {
            Turn::Idle => 0,
            Turn::Oldest | Turn::Probe | Turn::One | Turn::Window => 1,
            Turn::New => 2,
            Turn::NewFirst => 3,
            Turn::Lost => 4,
        };
        if rank(turn) >= rank(self.turn) {
            self.turn = turn;
        }
    }

    fn in_flight(&self) -> u32 {
        self.board.in_flight()
    }

    fn srtt(&self) -> Span {
        self.rtt.srtt().unwrap_or(Span::ZERO)
    }

    /// The pace of the window, from which the size of bursts and HyStart's allowance derive.
    fn pace(&self) -> Pace {
        Pace {
            window: u64::from(self.mss) * u64::from(self.window.cwnd.max(self.board.outstanding())),
            early: self.window.cwnd < self.window.ssthresh / 2,
            srtt: self.srtt(),
        }
    }

    /// Whether the window is what limits the sender, so that it may grow (`tcp_is_cwnd_limited`).
    fn is_window_limited(&self) -> bool {
        self.usage.limited
            || (self.window.in_slow_start() && u64::from(self.window.cwnd) < 2 * u64::from(self.usage.most))
    }

    /// Notes at the end of a turn how well the window was used (`tcp_cwnd_validate`).
    fn note_usage(&mut self, now: Instant, limited: bool) {
        let outstanding = self.board.outstanding();
        let usage = &mut self.usage;
        if self.una >= usage.round_end || limited || (!usage.limited && outstanding > usage.most) {
            usage.limited = limited;
            usage.most = outstanding;
            usage.round_end = self.nxt;
        }
        if self.is_window_limited() {
            self.usage.idle_most = 0;
            self.usage.full_at = now;
            return;
        }
        self.usage.idle_most = self.usage.idle_most.max(outstanding);
        let unused_for = now.saturating_since(self.usage.full_at);
        let may_shrink = !self.starved && !self.congestion.rules_window();
        if unused_for >= self.rtt.rto() && self.phase == Phase::Open && may_shrink {
            let used = self.usage.idle_most.max(self.initial_window);
            if used < self.window.cwnd {
                self.window.ssthresh = self.window.remembered_ssthresh();
                self.window.cwnd = (self.window.cwnd + used) / 2;
            }
            self.usage.idle_most = 0;
            self.usage.full_at = now;
        }
    }

    /// A pause longer than the timeout halves the window once per timeout, down to the initial one (RFC 2861,
    /// `tcp_cwnd_restart`).
    fn restart_after_idle(&mut self, now: Instant) {
        let rto = self.rtt.rto();
        let mut idle = now.saturating_since(self.last_sent);
        let busy = self.board.outstanding() > 0 || self.nxt < self.written;
        if busy || idle <= rto || self.congestion.rules_window() {
            return;
        }
        let floor = self.initial_window.min(self.window.cwnd);
        self.window.ssthresh = self.window.remembered_ssthresh();
        while idle > rto && self.window.cwnd > floor {
            idle -= rto;
            self.window.cwnd /= 2;
        }
        self.window.cwnd = self.window.cwnd.max(floor);
        self.usage.full_at = now;
        self.usage.idle_most = 0;
    }

    /// The peer's window as this segment tells it; its right edge never moves back.
    fn note_window(&mut self, segment: &Segment) -> bool {
        let end = segment
            .ack
            .saturating_add(u64::from(segment.window).min(Config::LARGEST_WINDOW));
        let grows = end > self.window_end;
        self.window_end = self.window_end.max(end);
        grows
    }
}
