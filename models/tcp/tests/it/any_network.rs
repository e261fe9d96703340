//! Whatever the network does, every byte arrives once; whatever a peer sends, nothing breaks.

use std::collections::BTreeMap;

use longhaul_core::random::{Stream, Streams};
use longhaul_core::time::{Instant, Span};
use longhaul_core::units::Probability;
use longhaul_tcp::{Config, Connection, Controller, Event, Flags, SackBlock, Segment};
use proptest::prelude::*;

/// A network that loses, repeats and reorders in both directions.
struct Chaos {
    ends: [Connection; 2],
    received: [u64; 2],
    finished: [bool; 2],
    closed: [bool; 2],
    /// Arrivals by time and a counter: for which end, and what.
    wire: BTreeMap<(Instant, u64), (usize, Segment)>,
    count: u64,
    stream: Stream,
    loss: Probability,
    repeat: Probability,
    mark: Probability,
    refuse: Probability,
    spread: Span,
}

impl Chaos {
    fn drain(&mut self, now: Instant, end: usize, bytes: &mut [u64; 2]) {
        loop {
            if let Some(event) = self.ends[end].poll_event() {
                match event {
                    Event::Received(count) => self.received[end] += count,
                    Event::Established | Event::SendSpace => {
                        bytes[end] -= self.ends[end].write(now, bytes[end]);
                        if bytes[end] == 0 {
                            self.ends[end].shutdown(now);
                        }
                    }
                    Event::PeerFinished => self.finished[end] = true,
                    Event::Closed => self.closed[end] = true,
                    Event::Failed(failure) => panic!("{failure:?}"),
                }
                continue;
            }
            let Some(mut segment) = self.ends[end].poll_segment(now) else {
                return;
            };
            if segment.ecn_capable() && self.stream.chance(self.mark) {
                segment.mark_congestion();
            }
            if self.stream.chance(self.refuse) {
                self.ends[end].on_local_drop(now);
                continue;
            }
            let copies = 1 + u64::from(self.stream.chance(self.repeat));
            for _ in 0..copies {
                if !self.stream.chance(self.loss) {
                    let delay = Span::from_ms(10) + Span::from_ns(self.stream.below(self.spread.as_ns()));
                    self.count += 1;
                    self.wire.insert((now + delay, self.count), (1 - end, segment));
                }
            }
        }
    }

    /// Runs to the end of all events.
    fn run(&mut self, mut bytes: [u64; 2]) {
        let mut now = Instant::ZERO;
        for _ in 0..1_000_000 {
            for end in [0, 1] {
                self.drain(now, end, &mut bytes);
            }
            let arrival = self.wire.first_key_value().map(|(key, _)| key.0);
            let timers = self.ends.iter().filter_map(Connection::deadline).min();
            let Some(next) = arrival.into_iter().chain(timers).min() else {
                return;
            };
            now = now.max(next);
            // Too many timer calls must not hurt either.
            for end in &mut self.ends {
                end.on_timer(now);
            }
            if arrival == Some(next) {
                let (_, (end, segment)) = self.wire.pop_first().expect("it is not empty");
                self.ends[end].on_segment(now, &segment);
            }
        }
        panic!("the connection never falls silent");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn every_byte_arrives_once_and_the_connection_closes(
        seed in any::<u64>(),
        // With more, sixteen timeouts in a row, at which TCP gives up, come up by chance.
        loss in 0u64..15,
        repeat in 0u64..25,
        spread_us in 1u64..30_000,
        bytes in (0u64..400_000, 0u64..60_000),
        send_buffer in 2_000u64..300_000,
        receive_buffer in 2_000u64..300_000,
        controller in prop_oneof![Just(Controller::Reno), Just(Controller::Cubic), Just(Controller::Bbr)],
        segmentation_offload in any::<bool>(),
        ecn in any::<[bool; 2]>(),
        mark in 0u64..100,
        refuse in 0u64..10,
    ) {
        let config =
            Config { send_buffer, receive_buffer, controller, segmentation_offload, seed, ..Config::default() };
        let percent = |part| Probability::from_ratio(part, 100).expect("below one");
        let mut chaos = Chaos {
            ends: [
                Connection::connect(Config { ecn: ecn[0], ..config }, Instant::ZERO),
                Connection::listen(Config { ecn: ecn[1], ..config }),
            ],
            received: [0; 2],
            finished: [false; 2],
            closed: [false; 2],
            wire: BTreeMap::new(),
            count: 0,
            stream: Streams::new(seed, 0).stream("wire", "chaos"),
            loss: percent(loss),
            repeat: percent(repeat),
            mark: percent(mark),
            refuse: percent(refuse),
            spread: Span::from_us(spread_us),
        };
        chaos.run([bytes.0, bytes.1]);
        prop_assert_eq!(chaos.received, [bytes.1, bytes.0]);
        prop_assert_eq!((chaos.finished, chaos.closed), ([true; 2], [true; 2]));
        for (end, bytes) in [(0, bytes.0), (1, bytes.1)] {
            let stats = chaos.ends[end].stats();
            prop_assert_eq!(stats.bytes_acked, bytes);
            prop_assert!(stats.delivered >= bytes.div_ceil(1448) && stats.delivered <= bytes / 1448 + 400);
        }
    }

    #[test]
    fn segments_from_nowhere_break_nothing(
        segments in prop::collection::vec(
            (
                (hostile_number(), hostile_number(), hostile_number(), hostile_number()),
                (any::<u32>(), 0u16..100, 0u8..64, 0usize..4),
                (0u64..50, any::<bool>()),
            ),
            1..80,
        ),
        offload in any::<bool>(),
        bbr in any::<bool>(),
    ) {
        let controller = if bbr { Controller::Bbr } else { Controller::Cubic };
        let config = Config { segmentation_offload: offload, controller, ecn: true, ..Config::default() };
        let mut ends = [Connection::connect(config, Instant::ZERO), Connection::listen(config)];
        let mut now = Instant::ZERO;
        let mut handshake = 4;
        for ((seq, ack, window, block), (len, packets, bits, blocks), (wait_ms, real)) in segments {
            now += Span::from_ms(wait_ms);
            for end in [0, 1] {
                while ends[end].poll_event().is_some() {}
                ends[end].write(now, 50_000);
                while let Some(segment) = ends[end].poll_segment(now) {
                    // A true handshake, and later a true segment here and there.
                    if handshake > 0 || real {
                        handshake -= i32::from(handshake > 0);
                        ends[1 - end].on_segment(now, &segment);
                    }
                }
            }
            let mut flags = Flags::NONE;
            let possible = [Flags::SYN, Flags::ACK, Flags::FIN, Flags::ECE, Flags::CWR];
            for (bit, flag) in possible.into_iter().enumerate() {
                if bits >> bit & 1 == 1 {
                    flags = flags.and(flag);
                }
            }
            let mut segment = Segment::control(flags, seq, now);
            (segment.ack, segment.len, segment.packets) = (ack, len, packets);
            segment.window = u32::try_from(window).unwrap_or(u32::MAX);
            segment.ts_ecr = Instant::from_ns(block);
            for number in 0..blocks as u64 {
                let start = block.saturating_mul(number + 1).min(u64::MAX - 1);
                let end = start.saturating_add(u64::from(len % 10_000)).saturating_add(1);
                segment.push_sack(SackBlock { start, end });
            }
            let target = usize::from(bits & 32 == 0);
            ends[target].on_segment(now, &segment);
            for end in &mut ends {
                end.on_timer(now);
                prop_assert!(end.stats().bytes_acked <= 50_000 * 81);
            }
        }
    }
}

/// Numbers near those of a young connection, and extremes.
fn hostile_number() -> impl Strategy<Value = u64> {
    prop_oneof![6 => 0u64..60_000, 2 => 0u64..10_000_000, 1 => any::<u64>(), 1 => Just(u64::MAX)]
}
