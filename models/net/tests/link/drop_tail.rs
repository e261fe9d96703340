//! Drop-tail links against closed forms, an independent model of a queue, and their own books.

use crate::support::{FULL, PLAIN, Ping, accepted, drain, link};
use longhaul_core::random::Streams;
use longhaul_core::time::{Instant, Span};
use longhaul_core::units::{BitRate, Probability};
use longhaul_net::jitter::{Jitter, JitterProcess};
use longhaul_net::link::{Link, LinkError, LinkSpec, Offer, Queue, QueueLimit};
use longhaul_net::loss::{LawError, Loss};
use longhaul_net::stats::Count;
use proptest::prelude::*;

#[test]
fn a_frame_arrives_after_serialisation_and_propagation() {
    let mut link = link(&PLAIN);
    let arrival = Instant::from_ns(5 + 121_120 + 40_000_000);
    let offer = link.offer(Instant::from_ns(5), Ping(7), FULL);
    assert_eq!(
        offer,
        Offer::Accepted {
            schedule: Some(arrival)
        }
    );
    assert_eq!(drain(&mut link), [(arrival, 7)]);
}

#[test]
fn frames_queue_behind_each_other_and_only_the_first_is_scheduled() {
    let mut link = link(&PLAIN);
    let now = Instant::ZERO;
    let offers: Vec<Offer> = (0..3).map(|i| link.offer(now, Ping(i), FULL)).collect();
    let first = now + Span::from_ns(40_121_120);
    assert_eq!(
        offers[0],
        Offer::Accepted {
            schedule: Some(first)
        }
    );
    assert_eq!(offers[1..], [Offer::Accepted { schedule: None }; 2]);
    assert_eq!(
        link.queue(now),
        Count {
            packets: 2,
            bytes: 3_028
        }
    );
    assert_eq!(link.stats().longest_wait, Span::from_ns(242_240));
    // The second frame starts at 121,120 ns and no longer waits from then on.
    assert_eq!(link.queue(Instant::from_ns(121_119)).packets, 2);
    assert_eq!(link.queue(Instant::from_ns(121_120)).packets, 1);
    let arrivals: Vec<Instant> = drain(&mut link).into_iter().map(|(at, _)| at).collect();
    assert_eq!(arrivals, [0, 1, 2].map(|i| first + Span::from_ns(121_120) * i));
    assert_eq!(link.busy_time(Instant::MAX), Span::from_ns(363_360));
}

#[test]
fn a_full_queue_drops_and_a_started_frame_makes_room() {
    let mut link = link(&LinkSpec {
        queue: Queue::Fifo(QueueLimit::Packets(1)),
        ..PLAIN
    });
    let now = Instant::ZERO;
    assert!(accepted(link.offer(now, Ping(0), FULL)) && accepted(link.offer(now, Ping(1), FULL)));
    assert_eq!(
        link.offer(Instant::from_ns(121_119), Ping(2), FULL),
        Offer::DroppedFull
    );
    assert!(accepted(link.offer(Instant::from_ns(121_120), Ping(3), FULL)));
    assert_eq!(
        drain(&mut link).into_iter().map(|(_, p)| p).collect::<Vec<_>>(),
        [0, 1, 3]
    );
}

#[test]
fn without_a_queue_only_an_idle_link_takes_a_frame() {
    for limit in [QueueLimit::Packets(0), QueueLimit::Bytes(FULL.into())] {
        let mut link = link(&LinkSpec {
            queue: Queue::Fifo(limit),
            ..PLAIN
        });
        let second = QueueLimit::Packets(0) != limit;
        assert!(accepted(link.offer(Instant::ZERO, Ping(0), FULL)));
        assert_eq!(accepted(link.offer(Instant::ZERO, Ping(1), FULL)), second);
        assert_eq!(link.offer(Instant::ZERO, Ping(2), 1), Offer::DroppedFull);
    }
}

#[test]
fn a_limit_on_the_inside_counts_the_delay_line() {
    let mut link = link(&LinkSpec {
        queue: Queue::Fifo(QueueLimit::Inside(2)),
        ..PLAIN
    });
    assert!(
        accepted(link.offer(Instant::ZERO, Ping(0), FULL))
            && accepted(link.offer(Instant::ZERO, Ping(1), FULL))
    );
    // Both are out of the serialiser but still on their way.
    let later = Instant::from_ns(1_000_000);
    assert_eq!(link.queue(later).packets, 0);
    assert_eq!(link.offer(later, Ping(2), FULL), Offer::DroppedFull);
    let first = link.next_event().unwrap();
    assert_eq!(link.pop_arrival(first), Some(Ping(0)));
    assert!(accepted(link.offer(first, Ping(3), FULL)));
}

#[test]
fn loss_is_drawn_before_the_queue() {
    let mut link = link(&LinkSpec {
        loss: Loss::Independent(Probability::ONE),
        queue: Queue::Fifo(QueueLimit::Packets(0)),
        ..PLAIN
    });
    for i in 0..10 {
        assert_eq!(link.offer(Instant::ZERO, Ping(i), FULL), Offer::LostByLaw);
    }
    assert_eq!(
        link.stats().lost_by_law,
        Count {
            packets: 10,
            bytes: 15_140
        }
    );
    assert_eq!(link.stats().first_start, None);
    assert_eq!(link.next_event(), None);
    link.check();
}

#[test]
fn a_standing_queue_hides_jitter() {
    // netem's law: a = max(t + jitter, a′) + size / rate. 1,000 frames at once stand longer than any jitter.
    let mut link = link(&LinkSpec {
        jitter: Jitter::Uniform {
            max: Span::from_us(200),
        },
        ..PLAIN
    });
    for i in 0..1_000 {
        assert!(accepted(link.offer(Instant::ZERO, Ping(i), FULL)));
    }
    let arrivals = drain(&mut link);
    assert!(
        arrivals
            .windows(2)
            .skip(2)
            .all(|pair| pair[1].0 - pair[0].0 == Span::from_ns(121_120))
    );
}

#[test]
fn jitter_on_an_idle_link_is_the_law_itself() {
    let max = Span::from_us(200);
    let mut link = link(&LinkSpec {
        jitter: Jitter::Uniform { max },
        ..PLAIN
    });
    let floor = Span::from_ns(40_121_120);
    let mut sum = Span::ZERO;
    for i in 0..2_000u32 {
        let now = Instant::from_ns(u64::from(i) * 1_000_000);
        assert!(accepted(link.offer(now, Ping(i), FULL)));
        let (arrival, packet) = drain(&mut link)[0];
        assert_eq!(packet, i);
        let jitter = (arrival - now) - floor;
        assert!(jitter <= max);
        sum += jitter;
    }
    let mean_us = sum.as_ns() as f64 / 2_000.0 / 1e3;
    assert!((mean_us - 100.0).abs() < 6.0, "{mean_us}");
}

#[test]
fn extreme_rates_are_exact_and_what_never_arrives_is_kept() {
    let mut fast = link(&LinkSpec {
        rate: BitRate::from_bits_per_s(400_000_000_000),
        ..PLAIN
    });
    for i in 0..1_000 {
        assert!(accepted(fast.offer(Instant::ZERO, Ping(i), FULL)));
    }
    // 1,000 · 12,112 bits at 400 bits per nanosecond.
    assert_eq!(drain(&mut fast)[999].0, Instant::from_ns(40_000_000 + 30_280));

    let mut slow = link(&LinkSpec {
        rate: BitRate::from_bits_per_s(1),
        ..PLAIN
    });
    assert_eq!(
        slow.offer(Instant::ZERO, Ping(0), FULL),
        Offer::Accepted {
            schedule: Some(Instant::ZERO + Span::from_s(12_112) + Span::from_ms(40))
        }
    );

    let mut endless = link(&LinkSpec {
        delay: Span::MAX,
        ..PLAIN
    });
    assert_eq!(
        endless.offer(Instant::ZERO, Ping(0), FULL),
        Offer::Accepted { schedule: None }
    );
    assert_eq!(endless.pop_arrival(Instant::MAX), None);
    assert_eq!(endless.ledger().inside.packets, 1);
    endless.check();
}

#[test]
fn impossible_links_are_refused() {
    let streams = Streams::new(1, 0);
    let refused = |spec: LinkSpec| Link::<Ping>::new(&spec, "a->b", &streams).unwrap_err();
    assert_eq!(
        refused(LinkSpec {
            rate: BitRate::from_bits_per_s(0),
            ..PLAIN
        }),
        LinkError::ZeroRate
    );
    let loss = Loss::GilbertElliott {
        mean: Probability::ZERO,
        burst_packets: 0,
    };
    assert_eq!(
        refused(LinkSpec { loss, ..PLAIN }),
        LinkError::Loss(LawError::EmptyBurst)
    );
}

fn any_spec() -> impl Strategy<Value = LinkSpec> {
    let rate = prop_oneof![Just(1u64), 1_000u64..1_000_000, Just(10_000_000_000)];
    let delay = prop_oneof![Just(Span::ZERO), Just(Span::from_ms(3)), Just(Span::MAX)];
    let limit = prop_oneof![
        (0u32..20).prop_map(QueueLimit::Packets),
        (0u64..20_000).prop_map(QueueLimit::Bytes),
        (0u32..20).prop_map(QueueLimit::Inside),
    ];
    let loss = prop_oneof![
        Just(Loss::None),
        Just(Loss::Independent(Probability::from_ratio(1, 5).unwrap())),
        Just(Loss::GilbertElliott {
            mean: Probability::from_ratio(1, 5).unwrap(),
            burst_packets: 3
        }),
    ];
    let jitter = prop_oneof![
        Just(Jitter::None),
        Just(Jitter::Uniform {
            max: Span::from_ms(5)
        }),
        Just(Jitter::Normal {
            mean: Span::ZERO,
            sd: Span::from_ms(2)
        }),
    ];
    (rate, delay, limit, loss, jitter).prop_map(|(rate, delay, limit, loss, jitter)| LinkSpec {
        rate: BitRate::from_bits_per_s(rate),
        delay,
        queue: Queue::Fifo(limit),
        loss,
        jitter,
        ..PLAIN
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Whatever the law and the load: books balance, order is kept, nothing is early, limits hold.
    #[test]
    fn every_link_keeps_its_books_its_order_and_its_limits(
        spec in any_spec(),
        load in prop::collection::vec((0u64..4_000_000, 1u32..3_000), 1..200),
    ) {
        let mut link = link(&spec);
        let mut now = Instant::ZERO;
        let mut offered_at = vec![];
        let mut last = (Instant::ZERO, None);
        for (id, (pause, frame_bytes)) in (0u32..).zip(load) {
            now += Span::from_ns(pause);
            while let Some(at) = link.next_event().filter(|&at| at <= now) {
                let Ping(id) = link.pop_arrival(now).unwrap();
                let (offered, size): (Instant, u32) = offered_at[id as usize];
                let floor = spec.delay.saturating_add(spec.rate.time_for(size.into()));
                // A remainder carried over may make a frame's own share of whole nanoseconds one less.
                prop_assert!(at.saturating_add(Span::from_ns(1)) >= offered.saturating_add(floor));
                prop_assert!(at >= last.0 && Some(id) > last.1);
                last = (at, Some(id));
            }
            offered_at.push((now, frame_bytes));
            let _ = link.offer(now, Ping(id), frame_bytes);
            link.check();
            match spec.queue {
                Queue::Fifo(QueueLimit::Packets(limit)) => prop_assert!(link.stats().max_queue_packets <= limit.into()),
                Queue::Fifo(QueueLimit::Bytes(limit)) => prop_assert!(link.stats().max_queue_bytes <= limit),
                Queue::Fifo(QueueLimit::Inside(limit)) => {
                    prop_assert!(link.ledger().inside.packets <= limit.into());
                }
                _ => unreachable!("drop-tail only"),
            }
        }
    }

    /// netem written down as its source has it: one time to send per frame, the constant delay first.
    #[test]
    fn arrivals_and_drops_are_those_of_netem(
        limit in 1u32..30,
        max in prop_oneof![Just(0u64), 1u64..2_000],
        load in prop::collection::vec((0u64..400, 1u32..300), 1..200),
    ) {
        // 8 Gbit/s: one byte per nanosecond.
        let spec = LinkSpec {
            rate: BitRate::from_bits_per_s(8_000_000_000),
            delay: Span::from_ns(1_000),
            queue: Queue::Fifo(QueueLimit::Inside(limit)),
            jitter: Jitter::Uniform { max: Span::from_ns(max) },
            ..PLAIN
        };
        let mut link = link(&spec);
        let mut jitter = JitterProcess::new(spec.jitter.clone(), Streams::new(1, 0).stream("a->b", "jitter"));
        let mut queue = std::collections::VecDeque::new();
        let (mut now, mut last) = (0, 0);
        for (id, (pause, frame_bytes)) in (0u32..).zip(load) {
            now += pause;
            while queue.front().is_some_and(|&(at, _)| at <= now) {
                let (at, id) = queue.pop_front().unwrap();
                prop_assert_eq!(link.next_event(), Some(Instant::from_ns(at)));
                prop_assert_eq!(link.pop_arrival(Instant::from_ns(at)), Some(Ping(id)));
            }
            let fits = queue.len() < limit as usize;
            prop_assert_eq!(accepted(link.offer(Instant::from_ns(now), Ping(id), frame_bytes)), fits);
            if fits {
                last = (now + 1_000 + jitter.draw().as_ns()).max(last) + u64::from(frame_bytes);
                queue.push_back((last, id));
            }
        }
    }

    /// Drop-tail against an event-by-event queue that knows nothing of cursors: whole-nanosecond frame times.
    #[test]
    fn drop_tail_agrees_with_a_step_by_step_queue(
        limit in 0u32..6,
        load in prop::collection::vec((0u64..40, 1u32..30), 1..200),
    ) {
        // 8 Gbit/s: one byte per nanosecond.
        let spec = LinkSpec {
            rate: BitRate::from_bits_per_s(8_000_000_000),
            delay: Span::ZERO,
            queue: Queue::Fifo(QueueLimit::Packets(limit)),
            ..PLAIN
        };
        let mut link = link(&spec);
        let mut waiting = std::collections::VecDeque::new();
        let mut sending_until = None::<u64>;
        let mut clock = 0u64;
        for (id, (pause, frame_bytes)) in (0u32..).zip(load) {
            for _ in 0..pause {
                clock += 1;
                if sending_until == Some(clock) {
                    sending_until = waiting.pop_front().map(|size: u32| clock + u64::from(size));
                }
            }
            let expected = if sending_until.is_none() {
                sending_until = Some(clock + u64::from(frame_bytes));
                true
            } else if waiting.len() < limit as usize {
                waiting.push_back(frame_bytes);
                true
            } else {
                false
            };
            let now = Instant::from_ns(clock);
            prop_assert_eq!(accepted(link.offer(now, Ping(id), frame_bytes)), expected);
            prop_assert_eq!(link.queue(now).packets, waiting.len() as u64);
        }
    }
}
