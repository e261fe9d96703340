//! Every kind of link under any load: books balance, nothing is early, nothing spins, nothing is kept alive.

use std::sync::Arc;

use crate::support::{Drive, Probe};
use longhaul_core::time::{Instant, Span};
use longhaul_core::units::{BitRate, ByteSize, Probability};
use longhaul_net::background::{Arrivals, Background};
use longhaul_net::course::{Step, Steps};
use longhaul_net::jitter::Jitter;
use longhaul_net::link::{Changes, LinkSpec, Offer, Queue, QueueLimit};
use longhaul_net::loss::Loss;
use longhaul_net::queue::{CoDel, FqCoDel, Htb, HtbClass};
use longhaul_net::stats::Count;
use longhaul_net::trace::DeliveryTrace;
use proptest::prelude::*;

fn any_rate() -> impl Strategy<Value = BitRate> {
    let bits = prop_oneof![
        Just(1u64),
        1_000u64..1_000_000,
        Just(400_000_000_000),
        Just(u64::MAX)
    ];
    bits.prop_map(BitRate::from_bits_per_s)
}

fn any_queue() -> impl Strategy<Value = Queue> {
    let codel = (0u32..30, any::<bool>()).prop_map(|(limit_packets, ecn)| {
        Queue::CoDel(CoDel {
            limit_packets,
            target: Span::from_us(500),
            interval: Span::from_ms(2),
            ecn,
        })
    });
    let fq_codel = (0u32..30, 1u32..5, 0u64..60_000).prop_map(|(limit_packets, flows, memory)| {
        Queue::FqCoDel(FqCoDel {
            limit_packets,
            flows,
            memory_limit: ByteSize::from_bytes(memory),
            target: Span::from_us(500),
            interval: Span::from_ms(2),
            ..FqCoDel::LINUX
        })
    });
    let htb = (any_rate(), any_rate(), any_rate(), 0u32..20).prop_map(|(rate, a, b, limit)| {
        let class = |number, rate: BitRate| HtbClass {
            limit: QueueLimit::Packets(limit),
            ..HtbClass::new(number, rate.min(b), b)
        };
        Queue::Htb(Arc::new(Htb {
            rate,
            burst: ByteSize::from_bytes(1),
            classes: vec![class(1, a), class(2, rate)],
            default_class: 2,
        }))
    });
    prop_oneof![
        (0u32..20).prop_map(|limit| Queue::Fifo(QueueLimit::Packets(limit))),
        (0u64..20_000).prop_map(|limit| Queue::Fifo(QueueLimit::Bytes(limit))),
        (0u32..20).prop_map(|limit| Queue::Fifo(QueueLimit::Inside(limit))),
        codel,
        fq_codel,
        htb,
    ]
}

fn any_jitter() -> impl Strategy<Value = Jitter> {
    let (mean, sd) = (Span::from_ms(1), Span::from_ms(2));
    prop_oneof![
        Just(Jitter::None),
        Just(Jitter::Uniform {
            max: Span::from_ms(5)
        }),
        Just(Jitter::Normal { mean, sd }),
        Just(Jitter::Pareto { mean, sd }),
        Just(Jitter::ParetoNormal {
            mean: Span::MAX,
            sd: Span::MAX
        }),
    ]
}

fn any_changes() -> impl Strategy<Value = Changes> {
    let step = (
        0u64..5_000_000,
        prop::option::of(prop_oneof![Just(0u64), 1u64..1_000_000_000]),
        prop::option::of(0u64..20),
    );
    let steps = (prop::collection::vec(step, 1..6), any::<bool>()).prop_map(|(steps, periodic)| {
        let mut at = 0;
        let mut list = vec![];
        for (pause, rate, ms) in steps {
            list.push(Step {
                at: Span::from_ns(at),
                rate: rate.map(BitRate::from_bits_per_s),
                delay: ms.map(Span::from_ms),
                loss: ms.map(|ms| Loss::Independent(Probability::from_ratio(ms, 40).unwrap())),
                mtu: None,
            });
            at += pause + 1;
        }
        // So that there is a rate at some time.
        list.push(Step {
            at: Span::from_ns(at),
            rate: Some(BitRate::from_bits_per_s(1_000_000)),
            ..Step::default()
        });
        let period = periodic.then_some(Span::from_ns(at + 1));
        Changes {
            steps: Some(Arc::new(Steps::new(list, period).unwrap())),
            delivery: None,
        }
    });
    let delivery = (prop::collection::vec(0u32..30, 1..6), 1u32..3_000).prop_map(|(mut ms, bytes)| {
        ms.sort_unstable();
        ms.push(30);
        let text: String = ms.iter().map(|ms| format!("{ms}\n")).collect();
        Changes {
            steps: None,
            delivery: Some(Arc::new(DeliveryTrace::parse(&text, bytes).unwrap())),
        }
    });
    prop_oneof![2 => Just(Changes::default()), 2 => steps, 1 => delivery]
}

fn any_background() -> impl Strategy<Value = Option<Background>> {
    let arrivals = prop_oneof![
        Just(Arrivals::Constant),
        Just(Arrivals::Poisson),
        Just(Arrivals::OnOff {
            mean_on: Span::from_s(10),
            mean_off: Span::from_ms(1),
            shape_thousandths: 1_200,
        }),
    ];
    let background =
        (arrivals, 1_000_000u64..50_000_000, 100u32..2_000).prop_map(|(arrivals, rate, frame_bytes)| {
            Background {
                rate: BitRate::from_bits_per_s(rate),
                frame_bytes,
                arrivals,
                class: 1,
            }
        });
    prop::option::of(background)
}

prop_compose! {
    fn any_spec()(
        rate in any_rate(),
        delay in prop_oneof![Just(Span::ZERO), Just(Span::from_ms(3)), Just(Span::from_s(10)), Just(Span::MAX)],
        queue in any_queue(),
        loss in prop_oneof![Just(0u64), Just(20), Just(100)],
        jitter in any_jitter(),
        reorder: bool,
        rare in prop_oneof![Just(0u64), Just(30), Just(100)],
        changes in any_changes(),
        background in any_background(),
    ) -> LinkSpec {
        let percent = |n| Probability::from_ratio(n, 100).unwrap();
        LinkSpec {
            rate: if changes.delivery.is_some() { BitRate::default() } else { rate },
            queue,
            loss: if loss == 0 { Loss::None } else { Loss::Independent(percent(loss)) },
            jitter,
            reorder,
            duplicate: percent(rare),
            corrupt: percent(rare),
            changes,
            background,
            ..LinkSpec::fifo(rate, delay, QueueLimit::Packets(0))
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(120))]

    #[test]
    fn any_link_under_any_load_keeps_its_books_and_comes_to_rest(
        spec in any_spec(),
        load in prop::collection::vec((0u64..4_000_000, 1u32..3_000, 0u8..4, prop::bool::weighted(0.08)), 1..120),
    ) {
        let mut drive = Drive::new(&spec);
        let mut now = Instant::ZERO;
        let mut offered = vec![];
        for (id, (pause, bytes, kind, turns)) in (0u32..).zip(load) {
            now += Span::from_ns(pause);
            if turns && drive.link.is_down() {
                drive.link.restore(now);
            } else if turns {
                drive.run(now);
                drive.link.catch_up(now);
                let busy = drive.link.busy_time(now);
                drive.link.fail(now);
                prop_assert_eq!(drive.link.ledger().inside, Count::default());
                prop_assert_eq!(drive.link.queue(now), Count::default());
                prop_assert!(drive.link.last_end() <= now);
                prop_assert!(drive.link.busy_time(Instant::MAX) <= busy);
            }
            let packet = Probe { id, flow: kind.into(), class: kind, ecn: kind % 2 == 0, ..Probe::default() };
            let offer = drive.offer(now, packet, bytes);
            let early = matches!(offer, Offer::Accepted { schedule: Some(at) } if at < now);
            prop_assert!(!early, "an event in the past");
            prop_assert_eq!(offer == Offer::LostDown, drive.link.is_down());
            offered.push(now);
            drive.link.check();
        }
        drive.run(now + Span::from_s(3_600));
        drive.link.check();
        prop_assert!(drive.out.is_sorted_by_key(|&(at, _)| at));
        let shortest = spec.changes.steps.as_ref().map_or(spec.delay, |_| Span::ZERO);
        for (at, packet) in &drive.out {
            prop_assert!(*at >= offered[packet.id as usize].saturating_add(shortest));
        }
        // What asks for events is a packet inside. FQ-CoDel may have dropped it since from the queue for which it asked.
        if drive.link.ledger().inside.packets == 0 {
            let drops_what_waits = matches!(spec.queue, Queue::FqCoDel(_));
            prop_assert!(drive.pending() <= usize::from(drops_what_waits));
        }
        prop_assert!(drive.pending() <= 1 + offered.len());
    }

    /// Equal specifications and seeds give equal histories.
    #[test]
    fn a_link_is_a_function_of_its_specification_and_seed(spec in any_spec(), seed in 0u64..50) {
        let run = || {
            let mut drive = Drive::seeded(&spec, seed);
            for id in 0..40 {
                let _ = drive.offer(Instant::from_ns(u64::from(id) * 77_777), Probe { id, ..Probe::default() }, 900);
            }
            drive.run(Instant::ZERO + Span::from_s(60));
            (drive.out, *drive.link.stats())
        };
        prop_assert_eq!(run(), run());
    }
}
