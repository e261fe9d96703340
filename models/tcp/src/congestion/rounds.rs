//! The same controllers fed by round trips instead of ACKs, for models that do not follow single packets.
//!
//! A round is everything that one window sends, and what its ACKs do to the window. Nothing here decides anew how
//! a window grows or falls: the controllers of the packet level do.

use longhaul_core::time::{Instant, Span};

use super::{Congestion, Window, hystart};
use crate::config::{Config, Controller};
use crate::send::burst;

/// A congestion window and its controller.
#[derive(Clone, Debug)]
pub struct RoundController {
    window: Window,
    initial: u32,
    congestion: Congestion,
    /// HyStart is on and has not ended slow start yet.
    searching: bool,
    hystart: bool,
    mss: u32,
}

/// What the ACKs of a round in slow start looked like.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct SlowStartRound {
    /// Segments that were sent in the round.
    pub segments: u32,
    /// Time between the ACKs of two segments: what a segment takes at the bottleneck.
    pub spacing: Span,
    /// Smallest RTT of the connection.
    pub min_rtt: Span,
    /// Smallest RTT of the round.
    pub round_min_rtt: Span,
}

impl RoundController {
    /// The controller of a connection whose handshake ends at `now`.
    pub fn new(config: &Config, now: Instant) -> RoundController {
        let hystart = config.hystart && config.controller == Controller::Cubic;
        // What a round tells about delay is judged here; the ACKs that the controller would judge are not there.
        let mut congestion = Congestion::new(&Config {
            hystart: false,
            ..*config
        });
        congestion.on_start(now, 0);
        RoundController {
            window: Window::new(config.initial_window_segments),
            initial: config.initial_window_segments,
            congestion,
            searching: hystart,
            hystart,
            mss: config.mss,
        }
    }

    /// The congestion window in segments.
    #[inline]
    pub fn window(&self) -> u32 {
        self.window.cwnd
    }

    /// The slow-start threshold in segments; `u32::MAX` before the first reduction.
    #[inline]
    pub fn threshold(&self) -> u32 {
        self.window.ssthresh
    }

    /// Whether the window doubles every round.
    #[inline]
    pub fn in_slow_start(&self) -> bool {
        self.window.in_slow_start()
    }

    /// Tells CUBIC the smallest RTT, from which it knows how far ahead to aim.
    pub fn on_rtt(&mut self, smallest: Span) {
        if let Congestion::Cubic(cubic) = &mut self.congestion {
            cubic.on_smallest_rtt(smallest);
        }
    }

    /// `segments` were delivered since the last call, and the window was what limited the sender. They may be
    /// those of several rounds, since the growth of congestion avoidance has a closed form.
    pub fn grow(&mut self, now: Instant, segments: u32) {
        match &mut self.congestion {
            Congestion::Cubic(cubic) => cubic.grow_over_rounds(&mut self.window, now, segments),
            congestion => {
                let mut left = segments;
                while left > 0 {
                    let round = left.min(self.window.cwnd);
                    congestion.grow(&mut self.window, now, round);
                    left -= round;
                }
            }
        }
    }

    /// The ACKs of a round in slow start arrive: the window grows by one segment for each of them until HyStart
    /// has seen enough, which then ends slow start.
    pub fn grow_in_slow_start(&mut self, now: Instant, round: &SlowStartRound) {
        let acked = if self.searching {
            hystart::acks_before_exit(self.window.cwnd, self.mss, round)
        } else {
            None
        };
        self.grow(now, acked.unwrap_or(round.segments).min(round.segments));
        if acked.is_some() && self.in_slow_start() {
            self.searching = false;
            self.window.ssthresh = self.window.cwnd;
        }
    }

    /// A loss or a refusal of the local queue: the window falls to the new threshold.
    pub fn reduce(&mut self) {
        self.window.credit = 0;
        self.window.ssthresh = self.congestion.ssthresh(&self.window);
        self.window.cwnd = self.window.ssthresh;
    }

    /// All that was outstanding is lost, so the window starts again from `left` segments. `reduced` says that the
    /// threshold has already fallen for this loss; `timeout` that a retransmission timeout found it, after which
    /// nothing learnt of the path holds.
    pub fn restart(&mut self, now: Instant, left: u32, reduced: bool, timeout: bool) {
        if !reduced {
            self.window.ssthresh = self.congestion.ssthresh(&self.window);
        }
        if timeout {
            self.congestion.on_timeout(now, 0);
            self.searching = self.hystart;
        }
        self.window.cwnd = left;
        self.window.credit = 0;
    }

    /// Data leaves after a pause that began at `last_sent` and lasted `timeouts` whole retransmission timeouts:
    /// the window halves for each (RFC 2861, `tcp_cwnd_restart`).
    pub fn restart_after_idle(&mut self, now: Instant, last_sent: Instant, timeouts: u32) {
        self.congestion.on_transmit_start(now, last_sent);
        if timeouts > 0 {
            let floor = self.initial.min(self.window.cwnd);
            self.window.ssthresh = self.window.remembered_ssthresh();
            self.window.cwnd = self.window.cwnd.checked_shr(timeouts).unwrap_or(0).max(floor);
        }
    }

    /// Segments that segmentation offload sends as one burst when `window` of them fill a round trip.
    pub fn burst_segments(&self, window: u32, srtt: Span, min_rtt: Span) -> u32 {
        let pace = super::Pace {
            window: u64::from(window) * u64::from(self.mss),
            early: u64::from(window) * 2 < u64::from(self.window.ssthresh),
            srtt,
        };
        burst::limit(self.mss, pace.rate(), min_rtt, burst::MIN_BURST_PACKETS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn controller(controller: Controller) -> RoundController {
        let config = Config {
            controller,
            ..Config::default()
        };
        RoundController::new(&config, Instant::ZERO)
    }

    fn round(segments: u32, spacing_us: u64, rtt_ms: u64) -> SlowStartRound {
        SlowStartRound {
            segments,
            spacing: Span::from_us(spacing_us),
            min_rtt: Span::from_ms(80),
            round_min_rtt: Span::from_ms(rtt_ms),
        }
    }

    #[test]
    fn reno_grows_by_one_segment_a_round_however_the_rounds_are_told() {
        let mut single = controller(Controller::Reno);
        single.reduce();
        let mut many = single.clone();
        let mut total = 0;
        for _ in 0..20 {
            total += single.window();
            single.grow(Instant::ZERO, single.window());
        }
        assert_eq!(single.window(), 5 + 20);
        many.grow(Instant::ZERO, total);
        assert_eq!(many.window(), single.window());
    }

    #[test]
    fn cubic_is_where_its_curve_is_after_one_step_or_many() {
        let start = |controller: &mut RoundController| {
            controller.window = Window::new(1000);
            controller.on_rtt(Span::from_ms(100));
            controller.reduce();
            controller.grow(Instant::ZERO, 1);
        };
        let (mut single, mut many) = (controller(Controller::Cubic), controller(Controller::Cubic));
        start(&mut single);
        start(&mut many);
        for round in 1..=120 {
            let now = Instant::ZERO + Span::from_ms(100 * round);
            single.grow(now, single.window());
            if round % 30 == 0 {
                many.grow(now, 30 * many.window());
            }
        }
        // W_max 1000, K = 9.09 s, 12 s and one RTT ahead: 1000 + 0.4·3.01³ = 1011.
        assert!((1005..=1020).contains(&single.window()), "{}", single.window());
        assert!((1005..=1020).contains(&many.window()), "{}", many.window());
    }

    #[test]
    fn slow_start_doubles_until_the_train_of_acks_fills_half_the_round_trip() {
        let mut cubic = controller(Controller::Cubic);
        for window in [20, 40, 80, 160] {
            cubic.grow_in_slow_start(Instant::ZERO, &round(cubic.window(), 100, 80));
            assert_eq!((cubic.window(), cubic.in_slow_start()), (window, true));
        }
        // 640 segments of 100 µs take 64 ms, more than half of 80 ms and what is allowed for bursts.
        cubic.window.cwnd = 640;
        cubic.grow_in_slow_start(Instant::ZERO, &round(640, 100, 80));
        assert!(!cubic.in_slow_start());
        assert!(
            (640 + 400..=640 + 406).contains(&cubic.window()),
            "{}",
            cubic.window()
        );
    }

    #[test]
    fn a_round_whose_smallest_rtt_has_risen_ends_slow_start() {
        let mut cubic = controller(Controller::Cubic);
        cubic.window.cwnd = 100;
        // ACKs 3 ms apart are no train.
        cubic.grow_in_slow_start(Instant::ZERO, &round(100, 3_000, 91));
        assert_eq!((cubic.window(), cubic.in_slow_start()), (109, false));
    }

    #[test]
    fn a_pause_halves_the_window_for_each_timeout_but_not_below_the_initial_one() {
        let mut reno = controller(Controller::Reno);
        reno.window.cwnd = 100;
        let at = |s| Instant::ZERO + Span::from_s(s);
        reno.restart_after_idle(at(2), at(0), 2);
        assert_eq!(reno.window(), 25);
        reno.restart_after_idle(at(99), at(2), 90);
        assert_eq!(reno.window(), 10);
    }
}
