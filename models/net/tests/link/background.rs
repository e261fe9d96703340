//! Background traffic: it has its law, fills the queue, is counted, and keeps nothing alive.

use crate::support::{Drive, FULL, PLAIN, Probe, accepted, at_us, mbit};
use longhaul_core::random::Streams;
use longhaul_core::time::{Instant, Span};
use longhaul_core::units::BitRate;
use longhaul_net::background::{Arrivals, Background, BackgroundError};
use longhaul_net::link::{Link, LinkError, LinkSpec, Queue, QueueLimit};
use longhaul_net::queue::{CoDel, FqCoDel};

/// A link of 100 Mbit/s without a delay line, with so much other traffic in full frames.
fn spec(rate: u64, arrivals: Arrivals) -> LinkSpec {
    LinkSpec {
        delay: Span::ZERO,
        background: Some(Background {
            rate: mbit(rate),
            frame_bytes: FULL,
            arrivals,
            class: 0,
        }),
        ..PLAIN
    }
}

const PARETO: Arrivals = Arrivals::OnOff {
    mean_on: Span::from_ms(10),
    mean_off: Span::from_ms(30),
    shape_thousandths: 1_900,
};

/// Frames that came in each of `n` windows of this length.
fn windows(spec: &LinkSpec, n: u32, length: Span) -> Vec<f64> {
    let mut link: Link<Probe> = Link::new(spec, "a->b", &Streams::new(4, 0)).unwrap();
    let mut before = 0;
    (1..=n)
        .map(|i| {
            link.catch_up(Instant::ZERO + length * u64::from(i));
            link.check();
            let frames = link.stats().background.offered.packets;
            let came = frames - before;
            before = frames;
            came as f64
        })
        .collect()
}

/// Mean and variance.
fn moments(values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    (
        mean,
        values.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / (n - 1.0),
    )
}

/// Full frames per millisecond at 50 Mbit/s.
const PER_MS: f64 = 50_000.0 / 12_112.0;

#[test]
fn poisson_arrivals_have_their_mean_and_as_much_variance() {
    let counts = windows(&spec(50, Arrivals::Poisson), 20_000, Span::from_ms(1));
    let (mean, variance) = moments(&counts);
    // Standard errors: sqrt(4.13 / 20,000) = 0.0144, and about 4.13 · sqrt(2.2 / 20,000) = 0.043.
    assert!((mean - PER_MS).abs() < 0.06, "{mean}");
    assert!((variance - PER_MS).abs() < 0.18, "{variance}");
}

#[test]
fn constant_arrivals_have_their_mean_and_no_variance() {
    let counts = windows(&spec(50, Arrivals::Constant), 20_000, Span::from_ms(1));
    let (mean, _) = moments(&counts);
    assert!((mean - PER_MS).abs() < 0.000_1, "{mean}");
    assert!(counts.iter().all(|&count| count == 4.0 || count == 5.0));
}

#[test]
fn bursts_have_the_mean_rate_and_are_bursts() {
    let counts = windows(&spec(50, PARETO), 60_000, Span::from_ms(1));
    let (mean, variance) = moments(&counts);
    // A heavy tail: the mean of 60 s converges slowly (1,500 bursts of infinite variance).
    assert!((mean / PER_MS - 1.0).abs() < 0.12, "{mean}");
    assert!(variance > 5.0 * PER_MS, "{variance}");
    // In a burst, four times the mean rate.
    let peak = counts.iter().copied().fold(0.0, f64::max);
    assert!(
        peak == (4.0 * PER_MS).floor() || peak == (4.0 * PER_MS).ceil(),
        "{peak}"
    );
}

#[test]
fn probes_wait_behind_poisson_traffic_as_pollaczek_and_khinchine_say() {
    for percent in [30, 70] {
        let mut drive = Drive::new(&spec(percent, Arrivals::Poisson));
        let probes = 20_000u32;
        for id in 0..probes {
            let now = at_us(u64::from(id) * 5_000 + 1_000_000);
            assert!(accepted(drive.offer(
                now,
                Probe {
                    id,
                    ..Probe::default()
                },
                1
            )));
        }
        drive.run(Instant::MAX);
        let waits = drive.out.iter().map(|&(at, packet)| {
            let wait = at - at_us(u64::from(packet.id) * 5_000 + 1_000_000);
            wait.as_ns() as f64 / 121_120.0
        });
        let mean = waits.sum::<f64>() / f64::from(probes);
        let load = percent as f64 / 100.0;
        // M/D/1: ρ / (2 (1 − ρ)) service times, and the probe's own byte.
        let expected = load / (2.0 * (1.0 - load)) + 1.0 / 1514.0;
        assert!((mean / expected - 1.0).abs() < 0.04, "{mean} for {expected}");
    }
}

#[test]
fn too_much_of_both_is_dropped_from_both() {
    let queues = [
        Queue::Fifo(QueueLimit::Packets(50)),
        Queue::CoDel(CoDel {
            limit_packets: 50,
            ..CoDel::LINUX
        }),
        Queue::FqCoDel(FqCoDel {
            limit_packets: 50,
            ..FqCoDel::LINUX
        }),
    ];
    for queue in queues {
        let mut drive = Drive::new(&LinkSpec {
            queue: queue.clone(),
            ..spec(80, Arrivals::Poisson)
        });
        for id in 0..40_000u32 {
            // 80 Mbit/s of packets.
            let _ = drive.offer(
                Instant::from_ns(u64::from(id) * 151_400),
                Probe {
                    id,
                    ..Probe::default()
                },
                FULL,
            );
        }
        drive.link.check();
        let stats = *drive.link.stats();
        let dropped = stats.dropped_full.packets + stats.dropped_early.packets;
        let foreign = stats.background.dropped_full.packets + stats.background.dropped_early.packets;
        assert!(dropped > 5_000 && foreign > 5_000, "{queue:?}: {stats:?}");
        // The link is always busy, so what it carried is its rate.
        let carried = stats.delivered.bytes + stats.background.carried.bytes;
        let all = mbit(100).bytes_in(Span::from_ns(151_400 * 40_000));
        assert!(carried.abs_diff(all) < all / 500, "{queue:?}: {carried} of {all}");
    }
}

#[test]
fn background_alone_asks_for_no_event_and_a_packet_for_few() {
    for queue in [PLAIN.queue, Queue::CoDel(CoDel::LINUX)] {
        let mut drive = Drive::new(&LinkSpec {
            queue,
            ..spec(60, Arrivals::Poisson)
        });
        drive.link.catch_up(at_us(1_000_000));
        assert_eq!((drive.pending(), drive.link.next_event()), (0, None));
        assert!(accepted(drive.offer(at_us(1_000_000), Probe::default(), FULL)));
        drive.run(Instant::MAX);
        assert_eq!((drive.out.len(), drive.pending()), (1, 0));
        assert!(drive.executed < 60, "{}", drive.executed);
    }
}

#[test]
fn a_long_silence_costs_a_bounded_number_of_draws() {
    for queue in [PLAIN.queue, Queue::CoDel(CoDel::LINUX)] {
        let mut drive = Drive::new(&LinkSpec {
            queue,
            ..spec(150, Arrivals::Constant)
        });
        let year = Instant::ZERO + Span::from_s(365 * 86_400);
        let _ = drive.offer(year, Probe::default(), FULL);
        drive.link.catch_up(Instant::MAX);
        let frames = drive.link.stats().background.offered.packets;
        assert!((2_000_000..2_200_000).contains(&frames), "{frames}");
        drive.link.check();
    }
}

#[test]
fn impossible_traffic_is_refused() {
    let refused = |background: Background| {
        let spec = LinkSpec {
            background: Some(background),
            ..PLAIN
        };
        match Link::<Probe>::new(&spec, "a->b", &Streams::new(1, 0)).unwrap_err() {
            LinkError::Background(error) => error,
            other => panic!("{other}"),
        }
    };
    let good = Background {
        rate: mbit(10),
        frame_bytes: FULL,
        arrivals: Arrivals::Poisson,
        class: 0,
    };
    let zero = BitRate::from_bits_per_s(0);
    // A link may have none to begin with; whoever describes traffic must have some.
    assert_eq!(
        Background { rate: zero, ..good }.check(),
        Err(BackgroundError::Nothing)
    );
    assert_eq!(
        refused(Background {
            frame_bytes: 0,
            ..good
        }),
        BackgroundError::Nothing
    );
    let dense = BitRate::from_bits_per_s(u64::MAX);
    assert_eq!(
        refused(Background { rate: dense, ..good }),
        BackgroundError::TooDense
    );
    let on_off = |mean_on, shape_thousandths| Background {
        arrivals: Arrivals::OnOff {
            mean_on,
            mean_off: Span::from_ms(1),
            shape_thousandths,
        },
        ..good
    };
    assert_eq!(
        refused(on_off(Span::from_ms(10), 1_000)),
        BackgroundError::NoMean(1_000)
    );
    let short = Span::from_ns(10);
    assert_eq!(refused(on_off(short, 1_500)), BackgroundError::ShortBursts(short));
    assert_eq!(
        refused(on_off(Span::ZERO, 1_500)),
        BackgroundError::ShortBursts(Span::ZERO)
    );
}

#[test]
fn the_rate_can_change_and_traffic_can_begin_and_end() {
    let spec = LinkSpec {
        background: Some(Background {
            rate: BitRate::from_bits_per_s(0),
            frame_bytes: FULL,
            arrivals: Arrivals::Poisson,
            class: 0,
        }),
        ..PLAIN
    };
    let mut link = Link::<Probe>::new(&spec, "a->b", &Streams::new(1, 0)).expect("a link");
    let mut offered = 0;
    let mut frames_in_ten_seconds = |from_s: u64, rate: BitRate| {
        link.set_background_rate(Instant::ZERO + Span::from_s(from_s), rate);
        link.catch_up(Instant::ZERO + Span::from_s(from_s + 10));
        let before = std::mem::replace(&mut offered, link.stats().background.offered.packets);
        offered - before
    };
    let zero = BitRate::from_bits_per_s(0);
    assert_eq!(frames_in_ten_seconds(0, zero), 0);
    // Ten seconds of 8 Mbit/s are 10 MB.
    let frames = frames_in_ten_seconds(10, mbit(8)) * u64::from(FULL);
    assert!((9_600_000..10_400_000).contains(&frames), "{frames}");
    let frames = frames_in_ten_seconds(20, mbit(4)) * u64::from(FULL);
    assert!((4_700_000..5_300_000).contains(&frames), "{frames}");
    assert_eq!(frames_in_ten_seconds(30, zero), 0);
}
