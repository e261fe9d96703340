//! How large the congestion window may be: the window itself and the controllers that move it.
//!
//! Controllers count whole segments, as Linux does. A controller decides how the window grows and how far it
//! falls; *when* it falls is decided by loss recovery ([`crate::send`]).

pub(crate) mod bbr;
pub(crate) mod cubic;
mod hystart;
pub(crate) mod reno;
pub(crate) mod rounds;

use longhaul_core::random::Streams;
use longhaul_core::time::{Instant, Span};

use crate::config::{Config, Controller};
use bbr::Bbr;
use cubic::Cubic;

/// The congestion window, in segments.
#[derive(Clone, Debug)]
pub(crate) struct Window {
    /// Segments that may be in flight.
    pub(crate) cwnd: u32,
    /// Below this the window doubles every round trip; `u32::MAX` before the first reduction.
    pub(crate) ssthresh: u32,
    /// Segments acknowledged since the window last grew by one.
    pub(crate) credit: u32,
}

impl Window {
    pub(crate) fn new(initial: u32) -> Window {
        Window {
            cwnd: initial,
            ssthresh: u32::MAX,
            credit: 0,
        }
    }

    pub(crate) fn in_slow_start(&self) -> bool {
        self.cwnd < self.ssthresh
    }

    /// Grows by what was acknowledged, not beyond the threshold; returns what is left for congestion avoidance.
    fn slow_start(&mut self, acked: u32) -> u32 {
        let grown = self.cwnd.saturating_add(acked).min(self.ssthresh);
        let left = acked - (grown - self.cwnd);
        self.cwnd = grown;
        left
    }

    /// Grows by one segment for every `per_segment` acknowledged (`tcp_cong_avoid_ai`).
    fn additive_increase(&mut self, per_segment: u32, acked: u32) {
        // Credit gathered at a slower pace counts once, gently.
        if self.credit >= per_segment {
            self.credit = 0;
            self.cwnd = self.cwnd.saturating_add(1);
        }
        self.credit = self.credit.saturating_add(acked);
        if self.credit >= per_segment {
            self.cwnd = self.cwnd.saturating_add(self.credit / per_segment);
            self.credit %= per_segment;
        }
    }

    /// The threshold that a restart after a pause keeps (`tcp_current_ssthresh`).
    pub(crate) fn remembered_ssthresh(&self) -> u32 {
        self.ssthresh.max((self.cwnd >> 1).saturating_add(self.cwnd >> 2))
    }
}

/// What an ACK tells a controller about the path.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PathSample {
    pub(crate) now: Instant,
    /// RTT of the latest packet that this ACK delivered.
    pub(crate) rtt: Span,
    /// Everything below is acknowledged.
    pub(crate) una: u64,
    /// Everything below was sent.
    pub(crate) nxt: u64,
    /// The pace of the window.
    pub(crate) pace: Pace,
}

/// What `sk_pacing_rate` derives from. CUBIC and Reno do not pace, but other decisions look at the rate; it costs
/// a division, so it is worked out only where it is looked at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    /// The congestion window or what is outstanding, if that is more, in bytes.
    pub(crate) window: u64,
    /// The window is below half the threshold of slow start.
    pub(crate) early: bool,
    pub(crate) srtt: Span,
}

impl Pace {
    /// Bytes per second: twice the window per round trip early in slow start, else 1.2 times.
    pub(crate) fn rate(&self) -> u64 {
        let percent = if self.early { 200 } else { 120 };
        let per_round = self.window.saturating_mul(percent) / 100;
        let scaled = per_round.saturating_mul(1_000_000_000);
        scaled.checked_div(self.srtt.as_ns()).unwrap_or(u64::MAX)
    }
}

/// How far loss recovery has gone, as a controller sees it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Repair {
    /// Nothing is being repaired.
    None,
    /// Fast recovery.
    Fast,
    /// After a retransmission timeout.
    Timeout,
}

/// What a controller that paces must know of its sender.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Situation {
    pub(crate) now: Instant,
    /// Packets delivered so far, the handshake's included, and when the last of them was.
    pub(crate) delivered: u64,
    pub(crate) delivered_at: Instant,
    /// Packets ever taken for lost.
    pub(crate) lost: u64,
    pub(crate) in_flight: u32,
    pub(crate) srtt: Option<Span>,
    pub(crate) repair: Repair,
    /// When pacing lets the next burst go; in the past if it may go now.
    pub(crate) next_departure: Instant,
    pub(crate) mss: u32,
}

/// What one ACK says of the delivery rate (`struct rate_sample`).
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct RateSample {
    /// Packets delivered since the latest packet of this ACK left; 0 if the ACK delivered nothing.
    pub(crate) delivered: u64,
    /// The time that took; `None` if that is not known or not to be believed.
    pub(crate) interval: Option<Span>,
    /// Packets delivered when that packet left.
    pub(crate) prior_delivered: u64,
    /// The application had nothing to send when that packet left.
    pub(crate) app_limited: bool,
    /// Packets that this ACK delivered, and that were found to be lost with it.
    pub(crate) newly_delivered: u32,
    pub(crate) newly_lost: u32,
    /// Packets in flight before this ACK.
    pub(crate) prior_in_flight: u32,
    /// RTT of the latest packet that this ACK delivered.
    pub(crate) rtt: Option<Span>,
    /// The receiver may have held this ACK back.
    pub(crate) ack_delayed: bool,
}

/// A controller with its state. An enum and not a trait object: it is called for every ACK.
#[derive(Clone, Debug)]
pub(crate) enum Congestion {
    Reno,
    Cubic(Box<Cubic>),
    Bbr(Box<Bbr>),
}

impl Congestion {
    pub(crate) fn new(config: &Config) -> Congestion {
        match config.controller {
            Controller::Reno => Congestion::Reno,
            Controller::Cubic => Congestion::Cubic(Box::new(Cubic::new(config.hystart))),
            Controller::Bbr => {
                let stream = Streams::new(config.seed, 0).stream("tcp", "gain cycle");
                Congestion::Bbr(Box::new(Bbr::new(stream)))
            }
        }
    }

    /// Whether the controller alone moves the window, by [`RateSample`]s: then neither a reduction, nor a pause,
    /// nor disuse does (`cong_control`).
    #[inline]
    pub(crate) fn rules_window(&self) -> bool {
        matches!(self, Congestion::Bbr(_))
    }

    /// The handshake is over and the window has its initial size.
    pub(crate) fn on_start(&mut self, now: Instant, nxt: u64) {
        match self {
            Congestion::Reno | Congestion::Bbr(_) => {}
            Congestion::Cubic(cubic) => cubic.reset(now, nxt),
        }
    }

    /// A window was lost: the new slow-start threshold.
    pub(crate) fn ssthresh(&mut self, window: &Window) -> u32 {
        match self {
            Congestion::Reno => reno::ssthresh(window),
            Congestion::Cubic(cubic) => cubic.ssthresh(window),
            Congestion::Bbr(bbr) => bbr.ssthresh(window),
        }
    }

    /// `acked` segments were delivered outside recovery, and the window was what limited the sender.
    pub(crate) fn grow(&mut self, window: &mut Window, now: Instant, acked: u32) {
        match self {
            Congestion::Reno => reno::grow(window, acked),
            Congestion::Cubic(cubic) => cubic.grow(window, now, acked),
            Congestion::Bbr(_) => {}
        }
    }

    /// An ACK brought an RTT.
    pub(crate) fn on_path_sample(&mut self, window: &mut Window, sample: &PathSample) {
        match self {
            Congestion::Reno | Congestion::Bbr(_) => {}
            Congestion::Cubic(cubic) => cubic.on_path_sample(window, sample),
        }
    }

    /// A retransmission timeout: what was learnt no longer holds.
    pub(crate) fn on_timeout(&mut self, now: Instant, nxt: u64) {
        match self {
            Congestion::Reno | Congestion::Bbr(_) => {}
            Congestion::Cubic(cubic) => cubic.reset(now, nxt),
        }
    }

    /// Data leaves after a time with nothing in flight; the last data left at `last_sent`.
    pub(crate) fn on_transmit_start(&mut self, now: Instant, last_sent: Instant) {
        match self {
            Congestion::Reno | Congestion::Bbr(_) => {}
            Congestion::Cubic(cubic) => cubic.on_transmit_start(now, last_sent),
        }
    }
}
