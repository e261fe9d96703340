//! Rates, delays and loss laws that change, and delivery opportunities.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::support::{Drive, FULL, PLAIN, Ping, Probe, at_us, drain, link, mbit};
use longhaul_core::random::Streams;
use longhaul_core::time::{Instant, Span};
use longhaul_core::units::{BitRate, Probability};
use longhaul_net::course::{Step, Steps};
use longhaul_net::link::{Changes, Link, LinkError, LinkSpec, Offer, Queue, QueueLimit};
use longhaul_net::loss::{LawError, Loss};
use longhaul_net::queue::CoDel;
use longhaul_net::trace::DeliveryTrace;
use proptest::prelude::*;

fn changing(steps: Vec<Step>, period: Option<Span>) -> LinkSpec {
    LinkSpec {
        changes: Changes {
            steps: Some(Arc::new(Steps::new(steps, period).unwrap())),
            delivery: None,
        },
        delay: Span::ZERO,
        ..PLAIN
    }
}

fn rate_step(at: Span, rate: u64) -> Step {
    Step {
        at,
        rate: Some(BitRate::from_bits_per_s(rate)),
        ..Step::default()
    }
}

fn cellular(text: &str, bytes: u32) -> LinkSpec {
    let trace = Arc::new(DeliveryTrace::parse(text, bytes).unwrap());
    LinkSpec::cellular(trace, Span::ZERO, QueueLimit::Packets(1_000_000))
}

#[test]
fn a_frame_in_service_goes_on_at_the_new_rate() {
    let mut link = link(&changing(vec![rate_step(Span::from_us(60), 10_000_000)], None));
    for id in 0..2 {
        let _ = link.offer(Instant::ZERO, Ping(id), FULL);
    }
    // 6,000 of 12,112 bits at 100 Mbit/s; 6,112 and all of the next at 10.
    let ends = [60_000 + 611_200, 60_000 + 611_200 + 1_211_200];
    assert_eq!(
        drain(&mut link),
        [(Instant::from_ns(ends[0]), 0), (Instant::from_ns(ends[1]), 1)]
    );
}

#[test]
fn an_outage_holds_what_it_finds_and_a_last_one_for_ever() {
    for queue in [PLAIN.queue, Queue::CoDel(CoDel::LINUX)] {
        let outage = vec![
            rate_step(Span::from_us(60), 0),
            rate_step(Span::from_us(1_060), 100_000_000),
            rate_step(Span::from_us(2_000), 0),
        ];
        let mut drive = Drive::new(&LinkSpec {
            queue,
            ..changing(outage, None)
        });
        for id in 0..12 {
            let _ = drive.offer(
                Instant::ZERO,
                Probe {
                    id,
                    ..Probe::default()
                },
                FULL,
            );
        }
        drive.run(Instant::MAX);
        assert_eq!(drive.out[0].0, Instant::from_ns(1_121_120));
        // One millisecond of sending in all: eight frames, and the ninth never ends.
        assert_eq!((drive.out.len(), drive.pending()), (8, 0));
        assert_eq!(drive.link.ledger().inside.packets, 4);
        drive.link.check();
        assert!(drive.executed < 30);
    }
}

#[test]
fn at_one_bit_per_second_whole_periods_pass_at_once() {
    // 1 bit/s every other nanosecond: a full frame takes 12,112 s of sending, so 24,224 s.
    let mut link = link(&LinkSpec {
        rate: BitRate::from_bits_per_s(1),
        ..changing(vec![rate_step(Span::from_ns(1), 0)], Some(Span::from_ns(2)))
    });
    let _ = link.offer(Instant::ZERO, Ping(0), FULL);
    let end = Instant::from_ns(24_224 * 1_000_000_000 - 1);
    assert_eq!(drain(&mut link), [(end, 0)]);
}

#[test]
fn a_shorter_delay_lets_no_frame_overtake() {
    let step = Step {
        at: Span::from_ms(10),
        delay: Some(Span::from_ms(2)),
        ..Step::default()
    };
    let mut drive = Drive::new(&LinkSpec {
        delay: Span::from_ms(40),
        ..changing(vec![step], None)
    });
    for id in 0..60u32 {
        let _ = drive.offer(
            at_us(u64::from(id) * 1_000),
            Probe {
                id,
                ..Probe::default()
            },
            FULL,
        );
    }
    drive.run(Instant::MAX);
    assert!(drive.out.iter().map(|(_, packet)| packet.id).eq(0..60));
    let arrival = |id: usize| drive.out[id].0;
    assert_eq!(arrival(9), Instant::from_ns(49_121_120));
    // Those that left soon after the step wait for those on the long way; later ones do not.
    assert_eq!(arrival(30), arrival(9));
    assert_eq!(arrival(50), Instant::from_ns(52_121_120));
}

#[test]
fn the_loss_law_changes_with_the_time_of_the_offer() {
    let loss = |at, loss| Step {
        at,
        loss: Some(loss),
        ..Step::default()
    };
    let steps = vec![
        loss(Span::from_ms(3), Loss::Independent(Probability::ONE)),
        loss(Span::from_ms(5), Loss::None),
    ];
    let mut link = link(&changing(steps, Some(Span::from_ms(8))));
    let lost: Vec<u32> = (0..16u32)
        .filter(|&id| link.offer(at_us(u64::from(id) * 1_000), Ping(id), 64) == Offer::LostByLaw)
        .collect();
    assert_eq!(lost, [3, 4, 11, 12]);

    let wrong = vec![loss(
        Span::ZERO,
        Loss::GilbertElliott {
            mean: Probability::ZERO,
            burst_packets: 0,
        },
    )];
    let refused = Link::<Ping>::new(&changing(wrong, None), "a->b", &Streams::new(1, 0));
    assert_eq!(refused.unwrap_err(), LinkError::Loss(LawError::EmptyBurst));
}

#[test]
fn a_link_needs_a_rate_at_some_time_and_one_description_of_it() {
    let refused = |spec: &LinkSpec| Link::<Ping>::new(spec, "a->b", &Streams::new(1, 0)).unwrap_err();
    let never = LinkSpec {
        rate: BitRate::from_bits_per_s(0),
        ..changing(vec![rate_step(Span::from_ms(1), 0)], None)
    };
    assert_eq!(refused(&never), LinkError::ZeroRate);
    let twice = LinkSpec {
        rate: mbit(1),
        ..cellular("1\n", 1_504)
    };
    assert_eq!(refused(&twice), LinkError::RateBesideTrace);
}

#[test]
fn the_mean_rate_is_that_of_a_period() {
    let steps = vec![
        rate_step(Span::from_ms(1), 0),
        rate_step(Span::from_ms(3), 8_000_000),
    ];
    assert_eq!(changing(steps.clone(), None).mean_rate(), None);
    // 1 ms at 100, 2 ms at 0, 1 ms at 8 Mbit/s.
    assert_eq!(
        changing(steps, Some(Span::from_ms(4))).mean_rate(),
        Some(mbit(27))
    );
    assert_eq!(PLAIN.mean_rate(), Some(mbit(100)));
    assert_eq!(cellular("1\n2\n2\n4\n", 1_500).mean_rate(), Some(mbit(12)));
}

#[test]
fn opportunities_are_shared_split_and_wasted_as_in_mahimahi() {
    // Opportunities of 1,504 bytes at 10, 20, 20 and 50 ms, and again from 50 ms on.
    let ms = |ms: u64| at_us(ms * 1_000);
    for queue in [Queue::Fifo(QueueLimit::Packets(100)), Queue::CoDel(CoDel::LINUX)] {
        let mut drive = Drive::new(&LinkSpec {
            queue,
            ..cellular("10\n20\n20\n50\n", 1_504)
        });
        let mut offer = |at: u64, id: u32, bytes: u32| {
            drive.offer(
                ms(at),
                Probe {
                    id,
                    ..Probe::default()
                },
                bytes,
            )
        };
        // Two small frames share the first; the third needs the rest of it and all that comes at 20.
        let _ = (offer(1, 0, 500), offer(1, 1, 500), offer(1, 2, 504 + 2 * 1_504));
        // Comes after 20 ms, so 50 is next; what it leaves is lost to one that comes at 51.
        let _ = (offer(21, 3, 100), offer(51, 4, 100));
        drive.run(Instant::MAX);
        let out: Vec<(Instant, u32)> = drive.out.iter().map(|&(at, packet)| (at, packet.id)).collect();
        assert_eq!(
            out,
            [(ms(10), 0), (ms(10), 1), (ms(20), 2), (ms(50), 3), (ms(60), 4)]
        );
        assert_eq!(drive.link.busy_time(Instant::MAX), Span::from_ms(19 + 29 + 9));
    }
}

#[test]
fn a_busy_cellular_link_delivers_every_opportunity_of_every_round() {
    let mut link = link(&cellular("0\n3\n3\n7\n", 1_504));
    for id in 0..1_000 {
        let _ = link.offer(Instant::from_ns(1), Ping(id), 1_504);
    }
    let arrivals: Vec<u64> = drain(&mut link)
        .iter()
        .map(|&(at, _)| at.as_ns() / 1_000_000)
        .collect();
    let rounds = (0..).flat_map(|round| [0u64, 3, 3, 7].map(|ms| round * 7 + ms));
    // The one at zero is gone.
    assert!(arrivals.iter().copied().eq(rounds.skip(1).take(1_000)));
    assert_eq!(
        link.busy_time(Instant::MAX),
        Span::from_ns(arrivals[999] * 1_000_000 - 1)
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Against a serialiser that counts every nanosecond: rates of whole bytes per nanosecond and fractions.
    #[test]
    fn stepped_serialisation_is_exact(
        start in 0u64..4,
        lengths in prop::collection::vec((1u64..20, 0u64..5), 1..6),
        periodic: bool,
        load in prop::collection::vec((0u64..30, 1u32..20), 1..40),
    ) {
        // A rate of k is k bits per nanosecond times 0.7: frames rarely end on a whole one.
        let rate = |k: u64| k * 700_000_000;
        let mut steps = vec![];
        let mut at = 0;
        for (length, k) in lengths {
            at += length;
            steps.push(rate_step(Span::from_ns(at), rate(k)));
        }
        steps.push(rate_step(Span::from_ns(at + 3), rate(2)));
        let period = at + 7;
        let spec = LinkSpec {
            rate: BitRate::from_bits_per_s(rate(start)),
            queue: Queue::Fifo(QueueLimit::Packets(1_000)),
            ..changing(steps.clone(), periodic.then_some(Span::from_ns(period)))
        };
        let rate_at = |ns: u64| {
            let within = if periodic { ns % period } else { ns };
            let current = steps.iter().rev().find(|step| step.at.as_ns() <= within);
            current.map_or(rate(start), |step| step.rate.unwrap().as_bits_per_s())
        };
        let mut link = link(&spec);
        // Work in bits times 10^9; the queue holds what each frame still needs.
        let mut queue: VecDeque<(u32, u64)> = VecDeque::new();
        let mut offers: VecDeque<(u64, u32, u32)> = VecDeque::new();
        let mut now = 0;
        for (id, (pause, bytes)) in (0u32..).zip(load) {
            now += pause;
            offers.push_back((now, id, bytes));
            let _ = link.offer(Instant::from_ns(now), Ping(id), bytes);
        }
        let mut expected = vec![];
        let mut ns = 0;
        while !(offers.is_empty() && queue.is_empty()) {
            while offers.front().is_some_and(|offer| offer.0 == ns) {
                let (_, id, bytes) = offers.pop_front().unwrap();
                queue.push_back((id, u64::from(bytes) * 8_000_000_000));
            }
            let mut work = rate_at(ns);
            ns += 1;
            while let Some(first) = queue.front_mut() {
                let done = work.min(first.1);
                first.1 -= done;
                work -= done;
                if first.1 > 0 {
                    break;
                }
                expected.push((Instant::from_ns(ns), first.0));
                queue.pop_front();
            }
        }
        prop_assert_eq!(drain(&mut link), expected);
    }
}
