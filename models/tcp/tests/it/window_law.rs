//! The window laws of Reno and CUBIC alone: real-valued windows, one number per packet, no protocol. They are what
//! the response functions of the literature are derived from, played with a given law of loss, and share nothing
//! with the implementation but the constants of the specifications.

use longhaul_core::random::Stream;
use longhaul_core::units::Probability;
use longhaul_tcp::Controller;

/// CUBIC's C in segments/s³ and both decrease factors (RFC 9438 sections 4.1 and 4.6, RFC 5681).
const C: f64 = 0.4;
const CUBIC_BETA: f64 = 0.7;
const RENO_BETA: f64 = 0.5;
/// Additive increase that gives a flow with CUBIC's decrease the window of Reno (RFC 9438 section 4.3).
const FRIENDLY: f64 = 3.0 * (1.0 - CUBIC_BETA) / (1.0 + CUBIC_BETA);

/// A window that grows with every packet and shrinks with a loss.
struct Window {
    controller: Controller,
    segments: f64,
    /// Window of the flat point of CUBIC's curve, as of the last loss.
    remembered: f64,
    /// Start of the present epoch and the curve's K in seconds, unless the epoch has yet to start.
    epoch: Option<(f64, f64)>,
    reno: f64,
}

impl Window {
    fn lose(&mut self) {
        let beta = match self.controller {
            Controller::Cubic => CUBIC_BETA,
            _ => RENO_BETA,
        };
        // Fast convergence (RFC 9438 section 4.7).
        self.remembered = if self.segments < self.remembered {
            self.segments * (1.0 + CUBIC_BETA) / 2.0
        } else {
            self.segments
        };
        self.segments = (self.segments * beta).max(2.0);
        self.epoch = None;
    }

    fn grow(&mut self, now: f64, rtt: f64) {
        if self.controller == Controller::Reno {
            self.segments += 1.0 / self.segments;
            return;
        }
        let (start, k) = *self.epoch.get_or_insert_with(|| {
            self.reno = self.segments;
            self.remembered = self.remembered.max(self.segments);
            (now, libm::cbrt((self.remembered - self.segments) / C))
        });
        let x = now - start + rtt - k;
        let target = self.remembered + C * x * x * x;
        self.reno += FRIENDLY / self.segments;
        let growth = target.max(self.reno) - self.segments;
        self.segments += (growth / self.segments).clamp(0.0, 0.5);
    }
}

/// Mean window in segments over `losses` losses, of which the first fifth does not count. Each packet is lost with
/// `probability`; the losses of one window are one event, and a round trip of recovery passes without growth.
pub fn mean_window(
    controller: Controller,
    rtt: f64,
    probability: Probability,
    losses: u64,
    mut stream: Stream,
) -> f64 {
    let mut window = Window {
        controller,
        segments: 1.0 / probability.as_f64().sqrt(),
        remembered: 0.0,
        epoch: None,
        reno: 0.0,
    };
    let (mut now, mut packets, mut seen) = (0.0, 0.0, 0);
    let (mut before, mut quiet_packets) = ((0.0, 0.0), 0.0);
    while seen < losses {
        packets += 1.0;
        now += rtt / window.segments;
        if stream.chance(probability) {
            seen += 1;
            if seen == losses / 5 {
                before = (now, packets);
            }
            if quiet_packets <= 0.0 {
                window.lose();
                quiet_packets = window.segments;
            }
        } else if quiet_packets > 0.0 {
            quiet_packets -= 1.0;
        } else {
            window.grow(now, rtt);
        }
    }
    (packets - before.1) / ((now - before.0) / rtt)
}
