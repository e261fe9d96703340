//! How large a window the receiver offers: dynamic right-sizing (`tcp_rcv_space_adjust`, `tcp_grow_window`,
//! `__tcp_select_window`).
//!
//! Two limits move. The *buffer* grows once per round trip, to twice what the application read in it and more
//! while the sender speeds up. Below it the *offer* grows by two segments for each that arrives. All sizes here are windows: half of the memory that
//! Linux sets aside, because a packet is taken to cost twice its payload (`tcp_adv_win_scale` 1).

use longhaul_core::time::{Instant, Span};

use crate::config::Config;

/// Half of `tcp_rmem`'s second number: the window that the first buffer gives room for.
const FIRST_BUFFER: u64 = 64 << 10;
/// Memory of a packet besides payload and alignment: headers (`MAX_TCP_HEADER`, as in kernels without wireless
/// networks), `sk_buff` and its shared part.
const PACKET_OVERHEAD: u64 = 256 + 576;
/// Memory is tried in these steps.
const MEMORY_STEP: u64 = 128;
/// What the application is taken to have read in the round trip before the first, in segments.
const FIRST_READ: u64 = 10;
/// Segments that the buffer holds beyond what the rate asks for.
const CUSHION: u64 = 16;
/// Smaller packets do not grow the offer, in bytes.
const SMALL: u64 = 128;
/// Timestamps tick in milliseconds, so a round trip measured by them takes at least one (`TCP_TS_HZ`).
const TICK: Span = Span::from_ms(1);

/// The offered window and what it is derived from.
#[derive(Clone, Debug)]
pub(crate) struct Autotuning {
    mss: u64,
    /// Window that the buffer gives room for, now and at most.
    buffer: u64,
    largest: u64,
    /// The offer stays below this (`window_clamp`).
    clamp: u64,
    /// What is offered while nothing is held out of order (`rcv_ssthresh`).
    offer: u64,
    /// Windows are whole multiples of this on the wire (window scale).
    unit: u64,
    /// Window that a buffer needs per segment.
    per_segment: u64,
    round: Round,
}

/// What the application reads per round trip.
#[derive(Clone, Debug)]
struct Round {
    /// Smoothed round trip as the receiver sees it; `None` before the first sample.
    rtt: Option<Span>,
    /// Timestamp that gave the last sample: one sample each.
    last_echo: Instant,
    /// When this round began, and up to where had been read then.
    start: Instant,
    read: u64,
    /// Most bytes read in a round.
    most: u64,
}

impl Autotuning {
    pub(crate) fn new(config: &Config) -> Autotuning {
        let mss = u64::from(config.mss);
        let largest = config.receive_buffer;
        let mut tuning = Autotuning {
            mss,
            buffer: largest,
            largest,
            clamp: largest,
            offer: largest,
            unit: 1,
            per_segment: 0,
            round: Round {
                rtt: None,
                last_echo: Instant::ZERO,
                start: Instant::ZERO,
                read: 0,
                most: 0,
            },
        };
        if config.autotuning {
            tuning.buffer = largest.min(FIRST_BUFFER);
            // One segment stays in reserve.
            tuning.clamp = if tuning.buffer > 2 * mss {
                tuning.buffer - mss
            } else {
                tuning.buffer
            };
            tuning.offer = tuning.clamp;
            // The scale that lets 16 bits tell of the largest buffer's memory.
            tuning.unit = 1 << (2 * largest).ilog2().saturating_sub(15);
            let mut memory = mss + PACKET_OVERHEAD;
            while memory / 2 < mss {
                memory += MEMORY_STEP;
            }
            tuning.per_segment = memory / 2;
            tuning.round.most = tuning.offer.min(FIRST_READ * mss);
        }
        tuning
    }

    /// The window of the handshake: whole segments, and 16 bits without scale if it is to grow.
    pub(crate) fn first_window(&self) -> u64 {
        if self.per_segment == 0 || self.buffer < self.mss {
            return self.buffer;
        }
        self.buffer.min(u64::from(u16::MAX)) / self.mss * self.mss
    }

    /// The window to offer while `held` bytes wait out of order.
    pub(crate) fn window(&self, held: u64) -> u64 {
        let window = self.buffer.saturating_sub(held).min(self.offer);
        // Up to a multiple of the unit, which is a power of two: a division here would be dear.
        (window + (self.unit - 1)) & !(self.unit - 1)
    }

    /// The window to offer while the application lags and `used` bytes wait, in order and out of it: one of less than
    /// a segment, or a sixteenth of the buffer, is not worth offering. Also whether half of the buffer is used.
    pub(crate) fn window_behind(&self, used: u64) -> (u64, bool) {
        let mut free = self.buffer.saturating_sub(used);
        let short = free < self.buffer.min(self.clamp) / 2;
        if short {
            free &= !(self.unit - 1);
            if free < self.buffer / 16 || free < self.mss {
                return (0, true);
            }
        }
        let window = free.min(self.offer);
        ((window + (self.unit - 1)) & !(self.unit - 1), short)
    }

    /// Whether a window is at most half of the largest.
    pub(crate) fn is_half_closed(&self, window: u64) -> bool {
        2 * window <= self.clamp
    }

    /// A packet of `len` bytes was accepted: the offer may grow. Returns whether it did.
    pub(crate) fn grow(&mut self, len: u64, held: u64) -> bool {
        let room = self
            .buffer
            .saturating_sub(held)
            .min(self.clamp)
            .saturating_sub(self.offer);
        if room == 0 || len < SMALL {
            return false;
        }
        self.offer += room.min(2 * self.mss.max(len));
        true
    }

    /// The handshake is over.
    pub(crate) fn on_established(&mut self, now: Instant) {
        self.round.start = now;
    }

    /// A full segment answered what left here at `echo` (`tcp_rcv_rtt_measure_ts`).
    pub(crate) fn sample_rtt(&mut self, now: Instant, echo: Instant) {
        let round = &mut self.round;
        if self.per_segment == 0 || echo == round.last_echo || echo == Instant::ZERO {
            return;
        }
        round.last_echo = echo;
        let ticks =
            now.as_ns() / TICK.as_ns() - (echo.as_ns() / TICK.as_ns()).min(now.as_ns() / TICK.as_ns());
        let sample = TICK.saturating_mul(ticks.max(1));
        round.rtt = Some(round.rtt.map_or(sample, |rtt| rtt - rtt / 8 + sample / 8));
    }

    /// The application has read everything below `next`: once per round trip the buffer follows.
    pub(crate) fn on_read(&mut self, now: Instant, next: u64) {
        let Some(rtt) = self.round.rtt.filter(|_| self.buffer < self.largest) else {
            return;
        };
        if now.saturating_since(self.round.start) < rtt {
            return;
        }
        let read = next - self.round.read;
        if read > self.round.most {
            self.resize(read);
            self.round.most = read;
        }
        self.round.start = now;
        self.round.read = next;
    }

    /// Room for twice what was read, and for as much again as the rate has grown by, twice.
    fn resize(&mut self, read: u64) {
        let most = u128::from(self.round.most.max(1));
        let steady = u128::from(2 * read + CUSHION * self.mss);
        let faster = steady * u128::from(read - self.round.most) / most;
        let segments = (steady + 2 * faster) / u128::from(self.mss);
        let buffer = u64::try_from(segments * u128::from(self.per_segment)).unwrap_or(u64::MAX);
        let buffer = buffer.min(self.largest);
        if buffer > self.buffer {
            self.buffer = buffer;
            self.clamp = buffer;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MSS: u64 = 1448;

    fn at_ms(ms: u64) -> Instant {
        Instant::ZERO + Span::from_ms(ms)
    }

    fn big() -> Autotuning {
        Autotuning::new(&Config {
            receive_buffer: 128 << 20,
            ..Config::default()
        })
    }

    #[test]
    fn the_first_windows_are_those_of_the_kernel() {
        let tuning = big();
        assert_eq!(tuning.first_window(), 65_160);
        // 64 KiB less one segment, in units of 8 KiB.
        assert_eq!(tuning.window(0), 65_536);
        assert_eq!(Autotuning::new(&Config::default()).window(0), 64_128);
    }

    #[test]
    fn a_fixed_window_never_moves() {
        let mut tuning = Autotuning::new(&Config {
            receive_buffer: 100_000,
            autotuning: false,
            ..Config::default()
        });
        assert_eq!(tuning.first_window(), 100_000);
        assert!(!tuning.grow(MSS, 0));
        tuning.sample_rtt(at_ms(100), at_ms(20));
        tuning.on_read(at_ms(100), 0);
        tuning.on_read(at_ms(200), 1_000_000);
        assert_eq!(tuning.window(0), 100_000);
        assert_eq!(tuning.window(30_000), 70_000);
    }

    #[test]
    fn the_buffer_follows_the_sender_and_the_offer_follows_by_two_segments_per_packet() {
        let mut tuning = big();
        assert!(!tuning.grow(MSS, 0), "there is no room yet");
        tuning.sample_rtt(at_ms(80), at_ms(0) + Span::from_us(1));
        tuning.on_read(at_ms(80), 10 * MSS);
        assert_eq!(tuning.buffer, FIRST_BUFFER);
        // Twice as much in the next round: (2·20 + 16)·(1 + 2·1) segments.
        tuning.on_read(at_ms(160), 30 * MSS);
        assert_eq!(tuning.buffer, (2 * 20 + 16) * 3 * 1460);
        let before = tuning.offer;
        assert!(tuning.grow(MSS, 0));
        assert_eq!(tuning.offer, before + 2 * MSS);
        assert!(!tuning.grow(100, 0), "small packets do not count");
        while tuning.grow(MSS, 0) {}
        assert_eq!(tuning.offer, tuning.buffer);
    }

    #[test]
    fn the_buffer_stops_at_its_maximum() {
        let mut tuning = Autotuning::new(&Config::default());
        tuning.sample_rtt(at_ms(80), at_ms(1));
        for round in 1..20 {
            tuning.on_read(at_ms(80 * round), MSS << round);
        }
        assert_eq!(tuning.buffer, 3 << 20);
    }
}
