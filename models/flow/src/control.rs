//! The congestion controllers as a sender by rounds sees them.

use longhaul_core::time::{Instant, Span};
use longhaul_tcp::{Config, Controller, RoundController, SlowStartRound};

use crate::bbr::Bbr;

/// A controller at work.
#[derive(Clone, Debug)]
pub(crate) enum Governor {
    Window(RoundController),
    Bbr(Box<Bbr>),
}

/// What a round was like for the controller.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RoundResult {
    pub(crate) start: Instant,
    pub(crate) end: Instant,
    /// Segments that arrived outside recovery.
    pub(crate) acked: u32,
    /// Segments that arrived at all.
    pub(crate) delivered: u32,
    /// Whether the window was what limited the sender.
    pub(crate) full: bool,
    /// Time of a segment at the bottleneck.
    pub(crate) spacing: Span,
    pub(crate) min_rtt: Span,
    /// Smallest RTT of the round.
    pub(crate) rtt: Span,
}

impl Governor {
    /// Reno and CUBIC are the code of the packet level, BBR goes by rounds.
    pub(crate) fn new(config: &Config, now: Instant, rtt: Span) -> Governor {
        if config.controller == Controller::Bbr {
            let bbr = Bbr::new(config.initial_window_segments, now, rtt);
            return Governor::Bbr(Box::new(bbr));
        }
        let mut controller = RoundController::new(config, now);
        controller.on_rtt(rtt);
        Governor::Window(controller)
    }

    #[inline]
    pub(crate) fn window(&self) -> u32 {
        match self {
            Governor::Window(controller) => controller.window(),
            Governor::Bbr(bbr) => bbr.window(),
        }
    }

    /// Whether the window grows by all that is acknowledged.
    #[inline]
    pub(crate) fn in_slow_start(&self) -> bool {
        match self {
            Governor::Window(controller) => controller.in_slow_start(),
            Governor::Bbr(bbr) => bbr.in_startup(),
        }
    }

    /// Whether several rounds may be told as one.
    pub(crate) fn has_closed_form(&self) -> bool {
        matches!(self, Governor::Window(_))
    }

    pub(crate) fn on_round(&mut self, round: &RoundResult) {
        match self {
            Governor::Bbr(bbr) => {
                let seconds = (round.end.saturating_since(round.start).as_ns().max(1)) as f64 / 1e9;
                bbr.on_round(round.end, round.delivered, seconds, !round.full);
            }
            Governor::Window(controller) => {
                // In slow start a window counts as used from one half on (`tcp_is_cwnd_limited`).
                let in_slow_start = controller.in_slow_start();
                let used = round.full || (in_slow_start && controller.window() < 2 * round.acked);
                if round.acked == 0 || !used {
                    return;
                }
                if in_slow_start {
                    let shape = SlowStartRound {
                        segments: round.acked,
                        spacing: round.spacing,
                        min_rtt: round.min_rtt,
                        round_min_rtt: round.rtt,
                    };
                    controller.grow_in_slow_start(round.end, &shape);
                } else {
                    // The curve of CUBIC looks one round trip ahead of the ACKs, which come from the start on.
                    controller.grow(round.start, round.acked);
                }
            }
        }
    }

    /// The window falls, as after a loss. BBR does not mind.
    pub(crate) fn reduce(&mut self) {
        if let Governor::Window(controller) = self {
            controller.reduce();
        }
    }

    /// Everything outstanding was lost; see [`RoundController::restart`].
    pub(crate) fn restart(&mut self, now: Instant, left: u32, reduced: bool, timeout: bool) {
        match self {
            Governor::Window(controller) => controller.restart(now, left, reduced, timeout),
            Governor::Bbr(bbr) => bbr.restart(left),
        }
    }

    pub(crate) fn restart_after_idle(&mut self, now: Instant, last_sent: Instant, timeouts: u32) {
        if let Governor::Window(controller) = self {
            controller.restart_after_idle(now, last_sent, timeouts);
        }
    }

    pub(crate) fn burst_segments(&self, window: u32, srtt: Span, min_rtt: Span) -> u32 {
        match self {
            Governor::Window(controller) => controller.burst_segments(window, srtt, min_rtt),
            // Pacing sends what is due within a millisecond.
            Governor::Bbr(_) => (u64::from(window) * 1_000_000 / srtt.as_ns().max(1)).clamp(2, 45) as u32,
        }
    }
}
