//! The network against closed forms and its own books.

use crate::support::{Lab, PLAIN};
use bytes::Bytes;
use longhaul_core::machine::CloseReason;
use longhaul_core::payload::Payload;
use longhaul_core::time::{Instant, Span};
use longhaul_core::units::{BitRate, Probability};
use longhaul_net::jitter::Jitter;
use longhaul_net::link::{LinkSpec, Queue, QueueLimit};
use longhaul_net::loss::Loss;
use longhaul_net::notice::{Side, What};
use longhaul_net::tcp::Config;
use proptest::prelude::*;

const SYN: u64 = 74;
const ACK: u64 = 66;
const HOUR: Instant = Instant::from_ns(3_600_000_000_000);

fn mbit(rate: u64) -> BitRate {
    BitRate::from_bits_per_s(rate * 1_000_000)
}

fn lossy(one_in: u64) -> LinkSpec {
    LinkSpec {
        loss: Loss::Independent(Probability::from_ratio(1, one_in).unwrap()),
        ..PLAIN
    }
}

/// How long a lone frame takes over these links.
fn one_way<'a>(links: impl IntoIterator<Item = &'a LinkSpec>, frame_bytes: u64) -> Span {
    links.into_iter().fold(Span::ZERO, |sum, link| {
        sum + link.rate.time_for(frame_bytes) + link.delay
    })
}

/// Sends `bytes` from the opener, closes both sides, and runs until nothing happens any more.
fn transfer(lab: &mut Lab, bytes: u64) {
    let id = lab.open(Config::default());
    lab.write(id, Side::Opener, Payload::Synthetic(bytes));
    lab.shutdown(id, Side::Opener);
    let finished = |lab: &Lab| {
        lab.heard
            .last()
            .is_some_and(|(_, last)| last.what == What::PeerFinished)
    };
    while !finished(lab) && lab.step(HOUR) {}
    lab.shutdown(id, Side::Acceptor);
    lab.run(HOUR);
    assert_eq!(lab.received_bytes(id, Side::Acceptor), bytes);
}

#[test]
fn a_handshake_takes_exactly_the_unloaded_round_trip() {
    let forward = [
        LinkSpec {
            rate: mbit(100),
            delay: Span::from_ms(10),
            ..PLAIN
        },
        LinkSpec {
            rate: mbit(1),
            delay: Span::from_us(123),
            ..PLAIN
        },
        LinkSpec {
            rate: mbit(333),
            delay: Span::from_ms(70),
            ..PLAIN
        },
    ];
    let backward = forward.clone().map(|link| LinkSpec {
        delay: link.delay * 2,
        ..link
    });
    for hops in 1..=3 {
        let pairs: Vec<_> = forward.iter().cloned().zip(backward.clone()).take(hops).collect();
        let mut lab = Lab::line(1, &pairs);
        lab.open(Config::default());
        lab.run(HOUR);
        let there = |bytes| one_way(&forward[..hops], bytes);
        let opened = Instant::ZERO + there(SYN) + one_way(&backward[..hops], SYN);
        assert_eq!(lab.when(Side::Opener, &What::Opened), Some(opened));
        assert_eq!(
            lab.when(Side::Acceptor, &What::Accepted),
            Some(opened + there(ACK))
        );
    }
}

#[test]
fn a_loss_free_transfer_takes_slow_start_and_then_the_rate() {
    let mut lab = Lab::line(1, &[(PLAIN, PLAIN)]);
    let bytes = 20_000_000;
    transfer(&mut lab, bytes);
    let done = lab.when(Side::Acceptor, &What::PeerFinished).unwrap() - Instant::ZERO;
    let frames = bytes.div_ceil(1448);
    let at_rate = mbit(100).time_for(bytes + frames * 66);
    let rtt = one_way([&PLAIN], SYN) * 2;
    // Never faster than the handshake, the wire and the way there.
    assert!(done >= rtt + at_rate + Span::from_ms(40), "{done:?}");
    // Slow start wastes less than a round trip per doubling from 10 segments to the 661 of the pipe.
    assert!(done <= rtt + at_rate + Span::from_ms(40) + rtt * 7, "{done:?}");
}

#[test]
fn nothing_arrives_before_the_wire_could_carry_it() {
    let mut lab = Lab::line(3, &[(PLAIN, PLAIN), (lossy(200), PLAIN)]);
    transfer(&mut lab, 3_000_000);
    let earliest = Instant::ZERO + one_way([&PLAIN; 2], SYN) * 2 + Span::from_ms(80);
    let mut received = 0;
    for (at, notice) in &lab.heard {
        if let What::Received(piece) = &notice.what {
            received += piece.len();
            let floor = earliest + mbit(100).time_for(received);
            assert!(*at >= floor, "{received} bytes at {at:?}");
        }
    }
}

#[test]
fn every_byte_survives_random_loss_both_ways_and_the_books_balance() {
    let jittery = LinkSpec {
        jitter: Jitter::Normal {
            mean: Span::from_ms(1),
            sd: Span::from_ms(1),
        },
        ..lossy(50)
    };
    let burst = LinkSpec {
        loss: Loss::GilbertElliott {
            mean: Probability::from_ratio(1, 100).unwrap(),
            burst_packets: 4,
        },
        ..PLAIN
    };
    let mut lab = Lab::line(5, &[(jittery.clone(), burst.clone()), (burst, jittery)]);
    let id = lab.open(Config::default());
    let text = |side: usize, len: usize| -> Bytes { (0..len).map(|i| (i * 31 % 251 + side) as u8).collect() };
    let (to_acceptor, to_opener) = (text(0, 300_001), text(1, 200_003));
    // In pieces of different sizes, so that segments span them.
    let mut rest = to_acceptor.clone();
    while !rest.is_empty() {
        let piece = rest.split_to(rest.len().min(7_777));
        lab.write(id, Side::Opener, piece);
    }
    lab.write(id, Side::Acceptor, to_opener.clone());
    lab.shutdown(id, Side::Opener);
    lab.shutdown(id, Side::Acceptor);
    lab.run(HOUR);
    for (side, sent) in [(Side::Acceptor, to_acceptor), (Side::Opener, to_opener)] {
        let mut received = vec![];
        for piece in lab.received(id, side) {
            let Payload::Real(bytes) = piece else {
                panic!("real bytes became synthetic")
            };
            received.extend_from_slice(&bytes);
        }
        assert!(received == sent, "{side:?}");
    }
    let lost: u64 = lab
        .network
        .links()
        .map(|(_, link)| link.stats().lost_by_law.packets)
        .sum();
    assert!(lost > 10, "{lost}");
}

#[test]
fn the_same_seed_gives_the_same_history_and_another_seed_another() {
    let history = |seed| {
        let mut lab = Lab::line(seed, &[(lossy(100), PLAIN)]);
        transfer(&mut lab, 2_000_000);
        lab.heard
    };
    assert_eq!(history(1), history(1));
    assert_ne!(history(1), history(2));
}

#[test]
fn both_sides_close_and_only_the_counters_are_left() {
    let mut lab = Lab::line(1, &[(PLAIN, PLAIN)]);
    transfer(&mut lab, 100_000);
    let finished = What::Closed(CloseReason::Finished);
    for side in [Side::Opener, Side::Acceptor] {
        assert!(lab.when(side, &finished).is_some(), "{side:?}");
    }
    assert_eq!(lab.queue.pending(), 0);
    let id = lab.heard[0].1.connection;
    assert_eq!(lab.network.tcp_stats(id, Side::Acceptor).bytes_received, 100_000);
    let write = lab
        .network
        .write(&mut lab.queue, id, Side::Opener, Payload::Synthetic(1));
    assert_eq!(write.unwrap_err().to_string(), "the connection is closed");
    // Another connection gets another number.
    let next = lab.open(Config::default());
    assert_ne!(next, id);
}

#[test]
fn what_tcp_does_not_take_waits_and_every_byte_is_reported_as_sent_once() {
    let mut lab = Lab::line(1, &[(PLAIN, PLAIN)]);
    let config = Config {
        send_buffer: 100_000,
        ..Config::default()
    };
    let id = lab.open(config);
    lab.write(id, Side::Opener, Payload::Synthetic(1_000_000));
    assert_eq!(lab.network.outbox_bytes(id, Side::Opener), 900_000);
    lab.shutdown(id, Side::Opener);
    let write = lab
        .network
        .write(&mut lab.queue, id, Side::Opener, Payload::Synthetic(1));
    assert_eq!(
        write.unwrap_err().to_string(),
        "nothing may be written after a shutdown"
    );
    lab.run(HOUR);
    let sent: u64 = lab
        .heard
        .iter()
        .map(|(_, notice)| {
            if let What::Sent(bytes) = notice.what {
                bytes
            } else {
                0
            }
        })
        .sum();
    assert_eq!(sent, 1_000_000);
    assert_eq!(lab.received_bytes(id, Side::Acceptor), 1_000_000);
    assert!(lab.when(Side::Acceptor, &What::PeerFinished).is_some());
}

#[test]
fn an_aborted_connection_fails_on_both_sides() {
    let mut lab = Lab::line(1, &[(PLAIN, PLAIN)]);
    let id = lab.open(Config::default());
    lab.write(id, Side::Opener, Payload::Synthetic(50_000_000));
    lab.run(Instant::from_ns(1_000_000_000));
    lab.abort(id, Side::Acceptor);
    lab.run(HOUR);
    let failed = What::Closed(CloseReason::Failed);
    assert_eq!(
        lab.when(Side::Acceptor, &failed),
        Some(Instant::from_ns(1_000_000_000))
    );
    assert!(lab.when(Side::Opener, &failed) >= Some(Instant::from_ns(1_040_000_000)));
    assert_eq!(lab.queue.pending(), 0);
}

#[test]
fn the_event_queue_holds_links_and_timers_not_packets() {
    let mut lab = Lab::line(1, &[(PLAIN, PLAIN), (PLAIN, PLAIN)]);
    let id = lab.open(Config::default());
    lab.write(id, Side::Opener, Payload::Synthetic(30_000_000));
    let mut most_inside = 0;
    for _ in 0..20_000 {
        assert!(lab.step(HOUR));
        assert!(lab.queue.pending() <= 4 + 2);
        let inside = lab
            .network
            .links()
            .map(|(_, link)| link.ledger().inside.packets)
            .sum();
        most_inside = most_inside.max(inside);
    }
    assert!(most_inside > 600, "{most_inside}");
}

#[test]
fn flows_share_a_link_and_never_exceed_it() {
    let mut lab = Lab::line(1, &[(PLAIN, PLAIN)]);
    let ids = [0; 4].map(|_| lab.open(Config::default()));
    for id in ids {
        lab.write(id, Side::Opener, Payload::Synthetic(1 << 40));
    }
    lab.run(Instant::from_ns(20_000_000_000));
    let received: Vec<u64> = ids
        .iter()
        .map(|&id| lab.received_bytes(id, Side::Acceptor))
        .collect();
    let total: u64 = received.iter().sum();
    let bound = 20 * 100_000_000 / 8 * 1448 / 1514;
    assert!(total <= bound && total > bound * 9 / 10, "{total} of {bound}");
    assert!(received.iter().all(|&bytes| bytes > bound / 40), "{received:?}");
}

#[test]
fn tiny_queues_slow_a_transfer_down_and_do_not_stop_it() {
    for limit in [
        QueueLimit::Packets(0),
        QueueLimit::Packets(1),
        QueueLimit::Bytes(1_600),
    ] {
        let spec = LinkSpec {
            queue: Queue::Fifo(limit),
            ..PLAIN
        };
        let mut lab = Lab::line(1, &[(spec, PLAIN)]);
        transfer(&mut lab, 300_000);
        let (_, first) = lab.network.links().next().unwrap();
        assert!(first.stats().dropped_full.packets > 0);
    }
}

#[test]
fn tcp_hears_of_drops_in_its_own_device_and_of_no_others() {
    let narrow = LinkSpec {
        queue: Queue::Fifo(QueueLimit::Packets(20)),
        ..PLAIN
    };
    let local_drops = |segmentation_offload, hops: &[(LinkSpec, LinkSpec)]| {
        let mut lab = Lab::line(1, hops);
        let id = lab.open(Config {
            segmentation_offload,
            ..Config::default()
        });
        lab.write(id, Side::Opener, Payload::Synthetic(10_000_000));
        lab.run(HOUR);
        let dropped: u64 = lab
            .network
            .links()
            .map(|(_, link)| link.stats().dropped_full.packets)
            .sum();
        assert!(dropped > 0);
        lab.network.tcp_stats(id, Side::Opener).local_drops
    };
    assert!(local_drops(true, &[(narrow.clone(), PLAIN)]) > 0);
    assert_eq!(local_drops(false, &[(narrow.clone(), PLAIN)]), 0);
    let fast = LinkSpec {
        rate: mbit(1_000),
        ..PLAIN
    };
    assert_eq!(local_drops(true, &[(fast, PLAIN), (narrow, PLAIN)]), 0);
}

#[test]
fn tcp_sends_nothing_again_that_still_waits_in_its_own_device() {
    // The first window alone takes two seconds, far beyond the first timeout.
    let slow = LinkSpec {
        rate: BitRate::from_bits_per_s(60_000),
        queue: Queue::Fifo(QueueLimit::Inside(1_000)),
        ..PLAIN
    };
    let retransmits = |segmentation_offload| {
        let mut lab = Lab::line(1, &[(slow.clone(), PLAIN)]);
        let id = lab.open(Config {
            segmentation_offload,
            ..Config::default()
        });
        lab.write(id, Side::Opener, Payload::Synthetic(14_480));
        lab.run(HOUR);
        lab.network.tcp_stats(id, Side::Opener).retransmits
    };
    assert_eq!(retransmits(true), 0);
    assert!(retransmits(false) > 0);
}

#[test]
fn extreme_rates_work_and_do_not_spin() {
    let fast = LinkSpec {
        rate: mbit(400_000),
        delay: Span::from_us(10),
        ..PLAIN
    };
    let mut lab = Lab::line(1, &[(fast.clone(), fast)]);
    transfer(&mut lab, 50_000_000);

    // A SYN takes 592 s at one bit per second; the opener has given up before an answer can come.
    let slow = LinkSpec {
        rate: BitRate::from_bits_per_s(1),
        ..PLAIN
    };
    let mut lab = Lab::line(1, &[(slow.clone(), slow)]);
    lab.open(Config::default());
    lab.run(Instant::MAX);
    assert!(
        lab.when(Side::Opener, &What::Closed(CloseReason::Failed))
            .is_some()
    );
    assert!(lab.queue.executed < 200, "{}", lab.queue.executed);
}

#[test]
fn a_link_that_loses_everything_ends_in_failure_without_spinning() {
    let mut lab = Lab::line(1, &[(lossy(1), PLAIN)]);
    let id = lab.open(Config::default());
    lab.write(id, Side::Opener, Payload::Synthetic(1));
    lab.run(Instant::MAX);
    assert!(
        lab.when(Side::Opener, &What::Closed(CloseReason::Failed))
            .is_some()
    );
    assert_eq!(lab.received_bytes(id, Side::Acceptor), 0);
    assert!(lab.queue.executed < 100, "{}", lab.queue.executed);
    assert_eq!(lab.queue.pending(), 0);
}

fn any_link() -> impl Strategy<Value = LinkSpec> {
    let rate = prop_oneof![
        10_000u64..100_000,
        1_000_000u64..1_000_000_000,
        Just(400_000_000_000)
    ];
    let limit = prop_oneof![
        (0u32..50).prop_map(QueueLimit::Packets),
        (0u64..50_000).prop_map(QueueLimit::Bytes),
        (1u32..50).prop_map(QueueLimit::Inside),
    ];
    let loss = prop_oneof![
        Just(Loss::None),
        (0u64..200).prop_map(|n| Loss::Independent(Probability::from_ratio(n, 1_000).unwrap())),
        (1u64..200, 1u32..10).prop_map(|(n, burst_packets)| Loss::GilbertElliott {
            mean: Probability::from_ratio(n, 1_000).unwrap(),
            burst_packets,
        }),
    ];
    let jitter = prop_oneof![
        Just(Jitter::None),
        (0u64..20).prop_map(|ms| Jitter::Uniform {
            max: Span::from_ms(ms)
        }),
        (0u64..20).prop_map(|ms| Jitter::Normal {
            mean: Span::from_ms(ms),
            sd: Span::from_ms(ms)
        }),
    ];
    (rate, 0u64..300, limit, loss, jitter).prop_map(|(rate, ms, limit, loss, jitter)| LinkSpec {
        rate: BitRate::from_bits_per_s(rate),
        delay: Span::from_ms(ms),
        queue: Queue::Fifo(limit),
        loss,
        jitter,
        ..PLAIN
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Whatever the links: no panic, the books balance, nothing is invented, and a clean end means all of it.
    #[test]
    fn any_network_delivers_a_prefix_and_a_clean_end_means_everything(
        seed in 0u64..1_000,
        hops in prop::collection::vec((any_link(), any_link()), 1..3),
        bytes in 1u64..100_000,
        segmentation_offload: bool,
    ) {
        let mut lab = Lab::line(seed, &hops);
        let id = lab.open(Config { segmentation_offload, ..Config::default() });
        lab.write(id, Side::Opener, Payload::Synthetic(bytes));
        lab.write(id, Side::Acceptor, Payload::Synthetic(bytes / 2));
        lab.shutdown(id, Side::Opener);
        lab.shutdown(id, Side::Acceptor);
        lab.run(HOUR);
        let received = [Side::Acceptor, Side::Opener].map(|side| lab.received_bytes(id, side));
        prop_assert!(received[0] <= bytes && received[1] <= bytes / 2);
        let finished = What::Closed(CloseReason::Finished);
        if [Side::Opener, Side::Acceptor].iter().all(|&side| lab.when(side, &finished).is_some()) {
            prop_assert_eq!(received, [bytes, bytes / 2]);
            prop_assert_eq!(lab.queue.pending(), 0);
        }
    }
}
