//! What edges measure of their paths.

use longhaul_core::time::{Instant, Span};
use longhaul_core::units::{BitRate, Probability};
use longhaul_sdwan::{Config, Event, bandwidth};

use crate::world::{World, at_ms, peer};

#[test]
fn reports_agree_with_the_links() {
    let mut world = World::pair(&[40, 75], |_| {}, 9);
    for edge in 0..2 {
        world.link(edge, 0).rate = Some(BitRate::from_bits_per_s(20_000_000));
        let second = world.link(edge, 1);
        second.rate = Some(BitRate::from_bits_per_s(2_000_000));
        second.jitter = Span::from_ms(10);
        second.loss = Probability::from_ratio(1, 40).unwrap();
    }
    world.run_until(at_ms(601_000));
    let last = |path: usize| {
        let reports = world
            .events
            .iter()
            .rev()
            .filter_map(|(_, edge, event)| match event {
                Event::Measured(report) if *edge == 0 && report.path == peer(path) => Some(**report),
                _ => None,
            });
        reports.collect::<Vec<_>>()
    };
    let (clean, noisy) = (last(0), last(1));
    assert_eq!(clean.len(), 60);
    let report = clean[0];
    // 80 ms and twice the time of a probe on the wire.
    let mean = report.rtt_mean.unwrap();
    assert!(
        mean >= Span::from_ms(80) && mean < Span::from_us(80_100),
        "{mean:?}"
    );
    assert!(
        report.up && report.loss == Some(Probability::ZERO) && report.rtt_stddev.unwrap() < Span::from_us(50)
    );
    let rate = report.measured_rate.unwrap().as_bits_per_s();
    assert!(rate.abs_diff(20_000_000) < 2_000, "{rate}");
    // Loss of a round trip is 1 − 0.975² ≈ 4.9 %; the mean of ten windows of 60 has a standard deviation of 0.9 %.
    let apart = noisy.iter().step_by(6).take(10);
    let losses: Vec<f64> = apart.map(|report| report.loss.unwrap().as_f64()).collect();
    let loss = losses.iter().sum::<f64>() / losses.len() as f64;
    assert!((0.02..0.08).contains(&loss), "{losses:?}");
    // Two uniform delays of up to 10 ms: 10 ms on average, with a standard deviation of 4.1 ms.
    let spread = noisy
        .iter()
        .map(|report| report.rtt_stddev.unwrap().as_s_f64() * 1e3);
    let spread = spread.sum::<f64>() / noisy.len() as f64;
    assert!((3.0..5.0).contains(&spread), "{spread}");
    assert!(noisy[0].jitter_rfc3550_ns.unwrap() > 2e6 && noisy[0].score < clean[0].score);
    let probes = noisy[0].probes;
    assert!(
        probes.sent >= 598 && probes.sent - probes.answered - probes.timed_out <= 3,
        "{probes:?}"
    );
}

#[test]
fn trains_cost_at_most_one_percent_of_what_the_path_carries_and_disturb_no_session() {
    let (bits, hours) = (100_000, 2);
    let change = |config: &mut Config| {
        config.paths[0].rate = Some(BitRate::from_bits_per_s(bits));
        config.bandwidth = config.bandwidth.map(|bandwidth| bandwidth::Config {
            interval: Span::from_s(1),
            ..bandwidth
        });
    };
    let mut world = World::pair(&[40], change, 9);
    for edge in 0..2 {
        world.link(edge, 0).rate = Some(BitRate::from_bits_per_s(bits));
    }
    world.run_until(at_ms(hours * 3_600_000));
    let counters = world.edges[0].counters();
    // 1,228 bytes on the wire for each datagram of 1,200.
    let on_the_wire = counters.train_bytes_sent as f64 * 1_228.0 / 1_200.0 * 8.0;
    let share = on_the_wire / (bits * hours * 3_600) as f64;
    assert!(
        counters.trains_sent > 300 && share <= 0.010_1,
        "{share} by {counters:?}"
    );
    assert!(share > 0.009, "{share}: the share is there to be used");
    let down = |(_, event): &(Instant, Event)| matches!(event, Event::PathDown { .. });
    assert_eq!(world.happened(0, at_ms(0)).iter().find(|event| down(event)), None);
}
