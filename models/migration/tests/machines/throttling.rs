//! Guests that write too fast, slowed down until they can be moved.

use longhaul_amst::SenderOptions;
use longhaul_core::time::{Instant, Span};
use longhaul_core::units::{BitRate, Probability};
use longhaul_hde::EncoderOptions;
use longhaul_memory::locality::Locality;
use longhaul_memory::pattern::Pattern;
use longhaul_migration::{AutoConverge, DirtyLimit, Encoding, PayloadMode, SourceEvent, Throttle};

use crate::support::Setup;

/// A guest that writes a part of its memory over and over, faster than the link carries it (80 Mbit/s are 2,441 pages
/// per second).
fn muncher() -> Setup {
    Setup {
        pattern: Pattern::Constant,
        encoding: Encoding::Hde(EncoderOptions::raw()),
        dirty_pages_per_s: 8_000,
        locality: Locality::Sequential,
        working_set: Probability::from_ratio(1, 2).unwrap(),
        horizon: Instant::ZERO + Span::from_s(60),
        payload: PayloadMode::Sampled {
            share: Probability::from_ratio(1, 10).unwrap(),
        },
        ..Setup::default()
    }
}

fn sampled() -> PayloadMode {
    PayloadMode::Sampled {
        share: Probability::from_ratio(1, 100).unwrap(),
    }
}

#[test]
fn without_throttling_it_never_ends_and_with_it_does() {
    let free = muncher().run();
    assert!(free.completed().is_none());
    assert!(free.source.statistics().ram.dirty_sync_count > 20);
    let setup = Setup {
        throttle: Throttle::AutoConverge(AutoConverge::default()),
        ..muncher()
    };
    let world = setup.run();
    let statistics = world.statistics();
    assert!(world.compare_pages() > setup.pages() / 20);
    // It ends when the guest writes less than the link carries: at 30 % of its speed or less.
    assert!(
        (70..=99).contains(&statistics.cpu_throttle_percentage),
        "{statistics:?}"
    );
    let speeds: Vec<u64> = world
        .source_events
        .iter()
        .filter_map(|(_, event)| match event {
            SourceEvent::GuestThrottled { speed } => Some(speed.as_parts() / (Probability::PARTS / 100)),
            _ => None,
        })
        .collect();
    assert_eq!(speeds[..3], [80, 70, 60]);
    assert!(speeds.is_sorted_by(|a, b| a > b));
    // What it has lost is the sum of what every step has cost.
    let mut lost = Span::ZERO;
    let mut steps: Vec<(Instant, u64)> = Vec::new();
    for (at, event) in &world.source_events {
        match event {
            SourceEvent::GuestThrottled { speed } => {
                steps.push((*at, 100 - speed.as_parts() / (Probability::PARTS / 100)));
            }
            SourceEvent::GuestPaused { .. } => steps.push((*at, 0)),
            _ => {}
        }
    }
    for pair in steps.windows(2) {
        lost += Span::from_ns((pair[1].0 - pair[0].0).as_ns() * pair[0].1 / 100);
    }
    let difference = lost.as_ns().abs_diff(statistics.throttled_time.as_ns());
    assert!(difference < 1_000, "{lost:?} and {:?}", statistics.throttled_time);
}

#[test]
fn a_slow_tail_throttles_no_more_than_it_must() {
    let percent = |tailslow| {
        let options = AutoConverge {
            tailslow,
            ..AutoConverge::default()
        };
        let setup = Setup {
            throttle: Throttle::AutoConverge(options),
            ..muncher()
        };
        setup.run().statistics().cpu_throttle_percentage
    };
    assert!(percent(true) <= percent(false));
}

#[test]
fn a_dirty_limit_holds_every_processor_near_it() {
    // QEMU is content 25 MiB/s from the limit, so links and guests have to be faster than that to notice.
    let fast = Setup {
        mib: 256,
        payload: sampled(),
        vcpus: 2,
        rate: BitRate::from_bits_per_s(800_000_000),
        delay: Span::from_ms(1),
        socket_bytes: 128 << 10,
        transport: SenderOptions::fixed(4, 256 << 10, 16 << 20),
        dirty_pages_per_s: 40_000,
        horizon: Instant::ZERO + Span::from_s(20),
        ..muncher()
    };
    assert!(fast.run().completed().is_none());
    let setup = Setup {
        throttle: Throttle::DirtyLimit(DirtyLimit::default()),
        ..fast
    };
    let statistics = setup.run().statistics();
    assert_eq!(statistics.cpu_throttle_percentage, 0);
    assert!(statistics.dirty_limit_throttle_time_per_round > statistics.dirty_limit_ring_full_time);
    // Both processors together, within what QEMU tolerates and the pages of a full working set allow.
    let rate = statistics.ram.dirty_pages_rate * 4096 / (1 << 20);
    assert!(rate < 2 * (1 + 26), "{rate} MiB/s");
    assert!(statistics.throttled_time > Span::from_s(1));
}

#[test]
fn a_guest_that_is_slow_enough_is_left_alone() {
    for throttle in [
        Throttle::AutoConverge(AutoConverge::default()),
        Throttle::DirtyLimit(DirtyLimit::default()),
    ] {
        let setup = Setup {
            throttle,
            dirty_pages_per_s: 1_000,
            ..muncher()
        };
        let world = setup.run();
        assert_eq!(world.statistics().throttled_time, Span::ZERO);
        let throttled = |event: &SourceEvent| matches!(event, SourceEvent::GuestThrottled { .. });
        assert_eq!(world.source_time(throttled), None);
    }
}

#[test]
fn max_bandwidth_is_kept_while_the_guest_runs() {
    let setup = Setup {
        pattern: Pattern::Constant,
        encoding: Encoding::Hde(EncoderOptions::raw()),
        max_bandwidth: Some(BitRate::from_bits_per_s(20_000_000)),
        ..Setup::default()
    };
    let statistics = setup.run().statistics();
    let fastest = setup.max_bandwidth.unwrap().time_for(setup.mib << 20);
    // What remains in the end goes as fast as it can.
    let took = statistics.total_time;
    assert!(
        took > fastest - Span::from_ms(300) && took < fastest + Span::from_ms(300),
        "{took:?}"
    );
    assert!(
        statistics.bounds.bandwidth_limit > fastest - Span::from_ms(700),
        "{:?}",
        statistics.bounds
    );
}
