//! A link that fails and comes back, against closed forms.

use std::sync::Arc;

use crate::support::{Drive, FULL, PLAIN, Probe, at_us, mbit};
use longhaul_core::time::{Instant, Span};
use longhaul_core::units::BitRate;
use longhaul_net::background::{Arrivals, Background};
use longhaul_net::course::{Step, Steps};
use longhaul_net::link::{Changes, LinkSpec, Offer, Queue, QueueLimit};
use longhaul_net::queue::{CoDel, FqCoDel, Htb, HtbClass};
use longhaul_net::trace::DeliveryTrace;

/// How long a full frame takes at 100 Mbit/s.
const FRAME: Span = Span::from_ns(121_120);

fn probe(id: u32) -> Probe {
    Probe {
        id,
        ..Probe::default()
    }
}

/// A link of each kind: 100 Mbit/s, 40 ms.
fn kinds() -> Vec<(&'static str, LinkSpec)> {
    let queue = |queue| LinkSpec { queue, ..PLAIN };
    let class = HtbClass::new(1, mbit(100), mbit(100));
    let htb = Htb {
        rate: mbit(100),
        burst: class.burst,
        classes: vec![class],
        default_class: 1,
    };
    let step = Step {
        rate: Some(mbit(100)),
        ..Step::default()
    };
    let steps = Steps::new(vec![step], None).unwrap();
    let stepped = LinkSpec {
        changes: Changes {
            steps: Some(Arc::new(steps)),
            delivery: None,
        },
        ..PLAIN
    };
    vec![
        ("drop-tail", PLAIN),
        ("limit inside", queue(Queue::Fifo(QueueLimit::Inside(1_000)))),
        (
            "sorted",
            LinkSpec {
                reorder: true,
                ..PLAIN
            },
        ),
        ("CoDel", queue(Queue::CoDel(CoDel::LINUX))),
        ("FQ-CoDel", queue(Queue::FqCoDel(FqCoDel::LINUX))),
        ("HTB", queue(Queue::Htb(Arc::new(htb)))),
        ("stepped", stepped),
    ]
}

#[test]
fn what_is_inside_when_a_link_fails_is_lost_and_it_starts_again_empty() {
    for (kind, spec) in kinds() {
        let mut drive = Drive::new(&spec);
        // Frame i starts at i · FRAME and arrives 40 ms after its end.
        for id in 0..500 {
            let _ = drive.offer(Instant::ZERO, probe(id), FULL);
        }
        // By 41 ms those have arrived whose last bit left in the first millisecond: eight.
        let failure = Instant::ZERO + Span::from_ms(41);
        drive.fail(failure);
        assert_eq!(drive.out.len(), 8, "{kind}");
        let stats = drive.link.stats();
        assert_eq!(
            stats.lost_down.packets,
            500 - 8 - stats.dropped_early.packets,
            "{kind}"
        );
        assert_eq!(drive.link.busy_time(failure), Span::from_ms(41), "{kind}");

        let offer = drive.offer(failure + Span::from_ms(5), probe(1_000), FULL);
        assert_eq!(offer, Offer::LostDown, "{kind}");
        // 500 frames would have kept it busy until 60.56 ms.
        let back = failure + Span::from_ms(10);
        drive.run(back);
        drive.link.restore(back);
        let _ = drive.offer(back, probe(2_000), FULL);
        drive.run(back + Span::from_s(10));
        let arrival = back + FRAME + Span::from_ms(40);
        assert_eq!(drive.out[8..], [(arrival, probe(2_000))], "{kind}");
        assert_eq!(
            drive.link.busy_time(back + FRAME),
            Span::from_ms(41) + FRAME,
            "{kind}"
        );
        assert_eq!(drive.pending(), 0, "{kind}");
        drive.link.check();
    }
}

#[test]
fn a_trace_gives_the_opportunities_after_a_failure_to_what_comes_after_it() {
    let trace = DeliveryTrace::parse("1\n2\n3\n4\n", FULL).unwrap();
    let spec = LinkSpec::cellular(Arc::new(trace), Span::from_ms(10), QueueLimit::Packets(100));
    let mut drive = Drive::new(&spec);
    for id in 0..50 {
        let _ = drive.offer(Instant::ZERO, probe(id), FULL);
    }
    // Opportunities are spoken for until 50 ms. The one at 20 ms is before the link is back.
    drive.fail(at_us(15_500));
    drive.link.restore(at_us(20_500));
    let _ = drive.offer(at_us(20_500), probe(50), FULL);
    let _ = drive.offer(at_us(20_600), probe(51), FULL);
    drive.run(at_us(1_000_000));
    let arrivals: Vec<_> = drive.out.iter().map(|&(at, packet)| (at, packet.id)).collect();
    let before = (1..=5).map(|i| (at_us(10_000 + i * 1_000), i as u32 - 1));
    let after = [(at_us(31_000), 50), (at_us(32_000), 51)];
    assert_eq!(arrivals, before.chain(after).collect::<Vec<_>>());
}

#[test]
fn background_traffic_is_lost_like_any_other() {
    let background = Background {
        rate: mbit(50),
        frame_bytes: FULL,
        arrivals: Arrivals::Constant,
        class: 0,
    };
    for queue in [Queue::Fifo(QueueLimit::Packets(100)), Queue::CoDel(CoDel::LINUX)] {
        let spec = LinkSpec {
            queue,
            rate: mbit(25),
            background: Some(background),
            ..PLAIN
        };
        let mut drive = Drive::new(&spec);
        drive.fail(at_us(100_000));
        let stats = *drive.link.stats();
        // It came at twice the rate: half of it is sent, and all else waits or was dropped.
        let background = stats.background;
        let others = [
            background.lost_down,
            background.dropped_early,
            background.dropped_full,
        ];
        let held_up: u64 = others.iter().map(|count| count.packets).sum();
        assert!(background.lost_down.packets > 80, "{background:?}");
        assert!(
            background.carried.packets.abs_diff(held_up) <= 2,
            "{background:?}"
        );
        drive.link.restore(at_us(200_000));
        let lost = drive.link.stats().background.lost_down.packets - stats.background.lost_down.packets;
        // 100 ms at 50 Mbit/s are 412.8 frames.
        assert!((412..=413).contains(&lost), "{lost}");
        drive.link.check();
    }
}

#[test]
fn a_failed_link_draws_no_random_numbers() {
    let spec = LinkSpec {
        loss: longhaul_net::loss::Loss::Independent(
            longhaul_core::units::Probability::from_ratio(1, 3).unwrap(),
        ),
        rate: BitRate::from_bits_per_s(1_000_000_000),
        ..PLAIN
    };
    let fates = |fails: bool| {
        let mut drive = Drive::new(&spec);
        let mut fates = vec![];
        for id in 0..200u32 {
            let at = Instant::ZERO + Span::from_ms(u64::from(id) + 1);
            match id {
                50 if fails => drive.fail(at),
                80 if fails => drive.link.restore(at),
                _ => {}
            }
            let offer = (!(50..80).contains(&id) || fails).then(|| drive.offer(at, probe(id), FULL));
            fates.extend(
                offer
                    .filter(|offer| *offer != Offer::LostDown)
                    .map(|offer| offer == Offer::LostByLaw),
            );
        }
        fates
    };
    assert_eq!(fates(true), fates(false));
}
