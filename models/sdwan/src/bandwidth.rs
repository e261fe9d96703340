//! The rate of a path, measured by the receiver with packet trains.
//!
//! The sender emits a few packets back to back. The narrowest link spreads them, and the receiver computes from the
//! arrival times how fast they came: bytes after the first packet, divided by the time from the first to the last. It
//! reports this to the sender. With other traffic on the path the result lies between the available rate and the
//! capacity: the asymptotic dispersion rate of Dovrolis, Ramanathan and Moore, "Packet-Dispersion Techniques and a
//! Capacity-Estimation Methodology" (IEEE/ACM Transactions on Networking 12(6), 2004). Single trains are noisy, so the
//! figure of a path is the median of the last few.
//!
//! Trains are so far apart that they cost no more than a given share of the path's rate, and on slow paths so short
//! that what is sent behind them does not wait for long.

use std::collections::VecDeque;

use longhaul_core::time::{Instant, Span};
use longhaul_core::units::{BitRate, Probability};
use serde::{Deserialize, Serialize};

use crate::wire::{TRAIN_BYTES_MAX, TRAIN_BYTES_MIN, TrainPacket, TrainReport};

/// Results whose median counts.
const HISTORY: usize = 5;

/// How rates are measured.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Config {
    /// Most packets of a train, 2 to 1,000. Default 16.
    pub packets: u16,
    /// A train has fewer packets, but at least 2, where it would take longer than this at the path's rate; above zero.
    /// Default 100 ms.
    pub burst: Span,
    /// Length of each datagram in bytes, 16 to 65,000. Default 1,200, which passes every tunnel unfragmented.
    pub packet_bytes: u16,
    /// Bytes that the layers below add to each datagram, 0 to 1,000. They count for the rate and for the cost. Default
    /// 28: IPv4 and UDP.
    pub overhead_bytes: u16,
    /// Least time between two trains of a path, above zero. Default 60 s.
    pub interval: Span,
    /// Trains may cost at most this share of the path's rate, above zero. Default 1 %.
    pub share: Probability,
    /// The path's rate as long as none is configured or measured, above zero. Default 1 Mbit/s.
    pub assumed: BitRate,
    /// So long after its first packet the receiver reports a train that is not complete; above zero. Default 2 s.
    pub timeout: Span,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            packets: 16,
            burst: Span::from_ms(100),
            packet_bytes: 1_200,
            overhead_bytes: 28,
            interval: Span::from_s(60),
            share: Probability::from_parts(Probability::PARTS / 100).expect("below one"),
            assumed: BitRate::from_bits_per_s(1_000_000),
            timeout: Span::from_s(2),
        }
    }
}

impl Config {
    /// The name of the first field that is out of its range.
    pub fn first_error(&self) -> Option<&'static str> {
        let lengths = TRAIN_BYTES_MIN..=TRAIN_BYTES_MAX;
        let rules = [
            ((2..=1_000).contains(&self.packets), "the packets of a train"),
            (
                lengths.contains(&usize::from(self.packet_bytes)),
                "the length of a train's packets",
            ),
            (self.overhead_bytes <= 1_000, "the overhead of a train's packets"),
            (self.burst > Span::ZERO, "the duration of trains"),
            (self.interval > Span::ZERO, "the interval of trains"),
            (self.share > Probability::ZERO, "the share of trains"),
            (self.assumed > BitRate::default(), "the assumed rate"),
            (self.timeout > Span::ZERO, "the timeout of trains"),
        ];
        rules
            .into_iter()
            .find_map(|(holds, name)| (!holds).then_some(name))
    }

    /// What a packet costs on the wire.
    fn wire_bytes(&self) -> u64 {
        u64::from(self.packet_bytes) + u64::from(self.overhead_bytes)
    }

    /// Packets of a train on a path of this rate.
    pub fn packets_at(&self, rate: BitRate) -> u16 {
        let fitting = rate.bytes_in(self.burst) / self.wire_bytes();
        u16::try_from(fitting).unwrap_or(u16::MAX).clamp(2, self.packets)
    }

    /// From one train to the next on a path of this rate.
    pub fn spacing(&self, rate: BitRate) -> Span {
        let bytes = u128::from(self.packets_at(rate)) * u128::from(self.wire_bytes());
        let bits = bytes * 8 * 1_000_000_000 * u128::from(Probability::PARTS);
        let per_second = u128::from(rate.as_bits_per_s().max(1)) * u128::from(self.share.as_parts());
        let ns = u64::try_from(bits.div_ceil(per_second)).unwrap_or(u64::MAX);
        self.interval.max(Span::from_ns(ns))
    }
}

/// The end of a path that sends trains.
#[derive(Clone, Debug)]
pub struct TrainSender {
    config: Config,
    configured: Option<BitRate>,
    next_at: Instant,
    /// Trains sent so far; the last one has this number, less one.
    sent: u32,
    /// Packets of the last one.
    packets: u16,
    reported: bool,
    results: VecDeque<BitRate>,
}

impl TrainSender {
    /// A sender that sends its first train at `first`. `configured` is the path's rate, if that is known.
    pub fn new(config: Config, configured: Option<BitRate>, first: Instant) -> TrainSender {
        TrainSender {
            config,
            configured,
            next_at: first,
            sent: 0,
            packets: 0,
            reported: true,
            results: VecDeque::new(),
        }
    }

    /// The train to send now, if one is due.
    pub fn send(&mut self, now: Instant) -> Option<impl Iterator<Item = TrainPacket> + use<>> {
        if self.next_at > now {
            return None;
        }
        let budget = self.budget();
        self.next_at = now.saturating_add(self.config.spacing(budget));
        self.packets = self.config.packets_at(budget);
        let (train, count, bytes) = (self.sent, self.packets, self.config.packet_bytes);
        self.sent = self.sent.wrapping_add(1);
        self.reported = false;
        Some((0..count).map(move |index| TrainPacket {
            train,
            index,
            count,
            bytes,
        }))
    }

    /// The rate by which the cost of trains is bounded: the lower one of what is configured and what was measured last.
    fn budget(&self) -> BitRate {
        let known = self.results.back().copied().into_iter().chain(self.configured);
        known.min().unwrap_or(self.config.assumed)
    }

    /// The receiver's report; returns what the train has measured. A report of another train than the last one, or a
    /// second one, is ignored, and so is one of fewer than two packets or of other bytes than were sent.
    pub fn report(&mut self, report: &TrainReport) -> Option<BitRate> {
        let most = u64::from(self.config.packet_bytes) * (u64::from(self.config.packets) - 1);
        let plausible =
            report.received >= 2 && report.received <= self.config.packets && report.bytes <= most;
        if self.reported || report.train != self.sent.wrapping_sub(1) || !plausible {
            return None;
        }
        self.reported = true;
        let overhead = u64::from(self.config.overhead_bytes) * (u64::from(report.received) - 1);
        let rate = BitRate::of(report.bytes + overhead, report.dispersion)?;
        if rate == BitRate::default() {
            return None;
        }
        self.results.push_back(rate);
        if self.results.len() > HISTORY {
            self.results.pop_front();
        }
        Some(rate)
    }

    /// The median of the last results, the lower one of two in the middle; `None` before the first.
    pub fn measured(&self) -> Option<BitRate> {
        let mut sorted: Vec<BitRate> = self.results.iter().copied().collect();
        sorted.sort_unstable();
        sorted.get(sorted.len().saturating_sub(1) / 2).copied()
    }

    /// What was measured, or configured.
    pub fn rate(&self) -> Option<BitRate> {
        self.measured().or(self.configured)
    }

    /// When the next train is due.
    pub fn due(&self) -> Instant {
        self.next_at
    }
}

/// A train that is arriving.
#[derive(Clone, Copy, Debug)]
struct Arriving {
    train: u32,
    received: u16,
    bytes: u64,
    first_at: Instant,
    last_at: Instant,
}

impl Arriving {
    fn report(self) -> TrainReport {
        TrainReport {
            train: self.train,
            received: self.received,
            bytes: self.bytes,
            dispersion: self.last_at.saturating_since(self.first_at),
        }
    }
}

/// The end of a path that receives trains.
#[derive(Clone, Debug)]
pub struct TrainReceiver {
    timeout: Span,
    arriving: Option<Arriving>,
}

impl TrainReceiver {
    /// A receiver that waits so long for a train to be complete.
    pub fn new(timeout: Span) -> TrainReceiver {
        TrainReceiver {
            timeout,
            arriving: None,
        }
    }

    /// A packet arrives; returns the report when it is the last of its train. One of another train than the one that
    /// is arriving begins anew.
    pub fn packet(&mut self, now: Instant, packet: &TrainPacket) -> Option<TrainReport> {
        let arriving = match &mut self.arriving {
            Some(arriving) if arriving.train == packet.train => {
                arriving.received = arriving.received.saturating_add(1);
                arriving.bytes = arriving.bytes.saturating_add(u64::from(packet.bytes));
                arriving.last_at = now;
                *arriving
            }
            _ => *self.arriving.insert(Arriving {
                train: packet.train,
                received: 1,
                bytes: 0,
                first_at: now,
                last_at: now,
            }),
        };
        if packet.index + 1 < packet.count {
            return None;
        }
        self.arriving = None;
        Some(arriving.report())
    }

    /// The report of a train whose end has not come in time.
    pub fn expire(&mut self, now: Instant) -> Option<TrainReport> {
        self.due().filter(|at| *at <= now)?;
        self.arriving.take().map(Arriving::report)
    }

    /// When the train that is arriving is reported at the latest.
    pub fn due(&self) -> Option<Instant> {
        self.arriving
            .map(|arriving| arriving.first_at.saturating_add(self.timeout))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: BitRate = BitRate::from_bits_per_s(10_000_000);

    /// Sends a train over a link of this rate, without the packets in `lost`, and reports it.
    fn measure(sender: &mut TrainSender, now: Instant, rate: BitRate, lost: &[u16]) -> Option<BitRate> {
        let mut receiver = TrainReceiver::new(Span::from_s(2));
        let (mut at, mut report) = (now + Span::from_ms(30), None);
        for packet in sender.send(now).expect("one is due") {
            at += rate.time_for(u64::from(packet.bytes) + 28);
            if !lost.contains(&packet.index) {
                report = receiver.packet(at, &packet);
            }
        }
        let report = report.or_else(|| receiver.expire(receiver.due()?));
        sender.report(&report?)
    }

    #[test]
    fn a_train_measures_the_link_that_spreads_it() {
        let mut sender = TrainSender::new(Config::default(), None, Instant::ZERO);
        let measured = measure(&mut sender, Instant::ZERO, RATE, &[]).unwrap();
        // Each arrival is rounded to a nanosecond.
        assert!(
            measured.as_bits_per_s().abs_diff(10_000_000) < 100,
            "{measured:?}"
        );
        assert_eq!(sender.rate(), Some(measured));
        // A second report of the same train is ignored.
        let report = TrainReport {
            train: 0,
            received: 2,
            bytes: 1_200,
            dispersion: Span::from_ns(1),
        };
        assert_eq!(sender.report(&report), None);
    }

    #[test]
    fn lost_packets_count_neither_as_bytes_nor_as_a_faster_link() {
        for (lost, at_least) in [(&[3][..], 9_200_000), (&[0], 9_999_000), (&[15], 9_999_000)] {
            let mut sender = TrainSender::new(Config::default(), Some(RATE), Instant::ZERO);
            let measured = measure(&mut sender, Instant::ZERO, RATE, lost)
                .unwrap()
                .as_bits_per_s();
            assert!(
                (at_least..10_001_000).contains(&measured),
                "{measured} without {lost:?}"
            );
        }
        let mut sender = TrainSender::new(Config::default(), Some(RATE), Instant::ZERO);
        let all_but_one: Vec<u16> = (1..16).collect();
        assert_eq!(measure(&mut sender, Instant::ZERO, RATE, &all_but_one), None);
        assert_eq!((sender.measured(), sender.rate()), (None, Some(RATE)));
    }

    #[test]
    fn trains_cost_at_most_their_share_whatever_the_rate() {
        let config = Config {
            interval: Span::from_s(1),
            ..Config::default()
        };
        for rate in [64_000, 1_000_000, 10_000_000, 10_000_000_000] {
            let rate = BitRate::from_bits_per_s(rate);
            let mut sender = TrainSender::new(config, Some(rate), Instant::ZERO);
            measure(&mut sender, Instant::ZERO, rate, &[]);
            let spacing = sender.due().saturating_since(Instant::ZERO);
            let bytes = u64::from(config.packets_at(rate)) * config.wire_bytes();
            let share = bytes as f64 * 8.0 / spacing.as_s_f64() / rate.as_bits_per_s() as f64;
            assert!(spacing >= config.interval && share <= 0.01, "{share} at {rate:?}");
        }
        // A measured rate below the configured one bounds the next train.
        let mut sender = TrainSender::new(config, Some(RATE), Instant::ZERO);
        measure(&mut sender, Instant::ZERO, BitRate::from_bits_per_s(64_000), &[]);
        let now = sender.due();
        sender.send(now);
        assert!(sender.due().saturating_since(now) > Span::from_s(30));
    }

    #[test]
    fn the_figure_of_a_path_is_the_median_of_the_last_five() {
        let mut sender = TrainSender::new(Config::default(), None, Instant::ZERO);
        for mbps in [900, 10, 12, 11, 500, 13] {
            let now = sender.due();
            measure(&mut sender, now, BitRate::from_bits_per_s(mbps * 1_000_000), &[]);
        }
        // The first is forgotten.
        let mbps = sender.rate().unwrap().as_bits_per_s() / 999_000;
        assert_eq!(mbps, 12);
    }
}
