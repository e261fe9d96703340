//! Held against models and measurements of others.

use longhaul_amst::SenderOptions;
use longhaul_core::time::{Instant, Span};
use longhaul_core::units::{BitRate, ByteSize, Probability};
use longhaul_hde::EncoderOptions;
use longhaul_memory::locality::Locality;
use longhaul_memory::pattern::Pattern;
use longhaul_migration::{Encoding, PayloadMode, SourceEvent, StopRule};
use proptest::prelude::*;

use crate::support::Setup;

/// A guest that nothing shortens, on a link that is its own; most of its pages travel as lengths.
fn published() -> Setup {
    Setup {
        pattern: Pattern::Constant,
        encoding: Encoding::Hde(EncoderOptions::raw()),
        payload: PayloadMode::Sampled {
            share: Probability::from_ratio(1, 1_000).unwrap(),
        },
        transport: SenderOptions::fixed(1, 256 << 10, 16 << 20),
        socket_bytes: 64 << 10,
        rate: BitRate::from_bits_per_s(1_000_000_000),
        delay: Span::from_us(100),
        ..Setup::default()
    }
}

/// Bytes on the wire for each byte of memory: a class byte per page, and headers.
const OVERHEAD: f64 = 1.0007;

/// How many rounds the rule allows, and otherwise nothing that stops the guest.
fn rounds(rounds: u64) -> StopRule {
    StopRule::Xen {
        pages: 0,
        rounds,
        factor: 1_000,
    }
}

#[test]
fn rounds_follow_the_geometric_model() {
    // Liu et al., HPDC 2011: with l = D / R, after n rounds V (1 − l^(n+1)) / (1 − l) were sent, and V l^n at last. The
    // guest writes one page after the other, so that all pages of a round are different ones.
    for (percent, n) in [(20, 3), (50, 4), (50, 7), (80, 5)] {
        let (mib, link) = (256u64, 1e9 / 8.0 / OVERHEAD);
        let pages_per_s = (link * percent as f64 / 100.0 / 4096.0) as u64;
        let setup = Setup {
            mib,
            stop: rounds(n),
            dirty_pages_per_s: pages_per_s,
            locality: Locality::Sequential,
            working_set: Probability::ONE,
            ..published()
        };
        let statistics = setup.run().statistics();
        let (v, l) = ((mib << 20) as f64, percent as f64 / 100.0);
        let power = |exponent: u64| libm::pow(l, exponent as f64);
        let sent = v * (1.0 - power(n + 1)) / (1.0 - l);
        let total = sent / link;
        let downtime = v * power(n) / link;
        let close = |name: &str, measured: f64, model: f64, slack: f64| {
            let difference = (measured - model).abs();
            assert!(
                difference <= model * 0.02 + slack,
                "{percent} %, {n} rounds: {name} {measured} instead of {model}"
            );
        };
        let total_time = (statistics.total_time - statistics.setup_time).as_s_f64();
        close("pages", statistics.copy.pages() as f64 * 4096.0, sent, 0.0);
        close("time", total_time, total, 0.005);
        close(
            "downtime",
            statistics.downtime.unwrap().as_s_f64(),
            downtime,
            0.005,
        );
        assert_eq!(statistics.ram.dirty_sync_count, n + 2);
    }
}

#[test]
fn uniform_writes_dirty_what_a_coupon_collector_would() {
    // Of W pages, D t uniform writes leave W (1 − e^(−D t / W)) dirty: the round after a round of time t.
    let (mib, pages_per_s) = (128u64, 20_000u64);
    let setup = Setup {
        mib,
        stop: rounds(4),
        dirty_pages_per_s: pages_per_s,
        working_set: Probability::ONE,
        ..published()
    };
    let world = setup.run();
    let rounds: Vec<(Instant, u64)> = world
        .source_events
        .iter()
        .filter_map(|(at, event)| match event {
            SourceEvent::RoundStarted { dirty_pages, .. } => Some((*at, *dirty_pages)),
            _ => None,
        })
        .collect();
    for pair in rounds.windows(2) {
        let t = (pair[1].0 - pair[0].0).as_s_f64();
        let w = (mib << 8) as f64;
        let expected = w * (1.0 - libm::exp(-(pages_per_s as f64) * t / w));
        let measured = pair[1].1 as f64;
        // Five standard deviations of a count.
        assert!(
            (measured - expected).abs() < 5.0 * expected.sqrt() + 1.0,
            "{measured} of {expected} after {t} s"
        );
    }
}

#[test]
fn the_forecast_comes_true() {
    for percent in [20, 50, 70] {
        let pages_per_s = (1e9 / 8.0 / OVERHEAD * percent as f64 / 100.0 / 4096.0) as u64;
        let setup = Setup {
            mib: 512,
            stop: StopRule::Downtime {
                limit: Span::from_ms(100),
            },
            dirty_pages_per_s: pages_per_s,
            locality: Locality::Sequential,
            working_set: Probability::ONE,
            ..published()
        };
        let world = setup.run();
        let total = world.statistics().total_time.as_s_f64();
        let mut forecasts = world.source_events.iter().filter_map(|(_, event)| match event {
            SourceEvent::RoundStarted {
                converges,
                expected_total_time,
                ..
            } => converges.map(|_| expected_total_time.unwrap().as_s_f64()),
            _ => None,
        });
        let first = forecasts.next().unwrap();
        assert!(
            (first / total - 1.0).abs() < 0.1,
            "{percent} %: {first} s, then {total} s"
        );
    }
    let hopeless = Setup {
        mib: 64,
        dirty_pages_per_s: 100_000,
        working_set: Probability::ONE,
        horizon: Instant::ZERO + Span::from_s(30),
        ..published()
    };
    let world = hopeless.run();
    let diverges = |event: &SourceEvent| {
        matches!(
            event,
            SourceEvent::RoundStarted {
                converges: Some(false),
                ..
            }
        )
    };
    assert!(world.source_time(diverges).unwrap() < Instant::ZERO + Span::from_s(3));
    // Ten seconds after the smallest round began.
    let stalled = world
        .source_time(|event| matches!(event, SourceEvent::Stalled { .. }))
        .unwrap();
    assert!(stalled > Instant::ZERO + Span::from_s(10) && stalled < Instant::ZERO + Span::from_s(30));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Akoush et al., "Predicting the performance of virtual machine migration", MASCOTS 2010: with Xen's rules,
    /// V / R ≤ T ≤ (5 V − a page) / R, but for overheads, and a downtime between those of no page and all.
    #[test]
    fn akoush_bounds_always_hold(
        mib in 4u64..48, dirty in prop_oneof![0u64..2_000, 2_000u64..100_000], set_percent in 0u64..101,
        mbit_per_s in 50u64..2_000, zipf in any::<bool>(), resume_ms in 0u64..100,
    ) {
        let setup = Setup {
            mib,
            stop: StopRule::XEN,
            dirty_pages_per_s: dirty,
            working_set: Probability::from_ratio(set_percent, 100).unwrap(),
            locality: if zipf { Locality::Zipf { exponent_millionths: 900_000 } } else { Locality::Uniform },
            rate: BitRate::from_bits_per_s(mbit_per_s * 1_000_000),
            resume_time: Span::from_ms(resume_ms),
            ..published()
        };
        let statistics = setup.run().statistics();
        let v = (mib << 20) as f64;
        let rate = mbit_per_s as f64 * 1e6 / 8.0 / OVERHEAD;
        // Way there, loading, and a chunk that is under way when a round ends.
        let overhead = 0.001 + resume_ms as f64 / 1e3;
        let copying = (statistics.total_time - statistics.setup_time).as_s_f64();
        prop_assert!(copying >= v / (mbit_per_s as f64 * 1e6 / 8.0));
        let most = (5.0 * v - 4096.0) / rate;
        // Every round waits until the socket has taken its last piece, and every frame has a header.
        prop_assert!(copying <= most * 1.01 + overhead + 0.01, "{copying} of {most}");
        let downtime = statistics.downtime.unwrap().as_s_f64();
        prop_assert!(downtime >= resume_ms as f64 / 1e3);
        prop_assert!(downtime <= v / rate * 1.01 + overhead + 0.01, "{downtime}");
        prop_assert!(statistics.ram.dirty_sync_count <= 29 + 2);
    }
}

#[test]
fn clarks_rates_follow_the_dirty_rate() {
    let mbit = |mbit: u64| BitRate::from_bits_per_s(mbit * 1_000_000);
    let setup = Setup {
        mib: 64,
        stop: StopRule::DynamicRate {
            lowest: mbit(100),
            highest: mbit(500),
            step: mbit(50),
            remaining: ByteSize::from_bytes(256_000),
        },
        dirty_pages_per_s: 2_000,
        locality: Locality::Sequential,
        working_set: Probability::ONE,
        ..published()
    };
    let world = setup.run();
    let rounds: Vec<(Instant, u64)> = world
        .source_events
        .iter()
        .filter_map(|(at, event)| match event {
            SourceEvent::RoundStarted { dirty_pages, .. } => Some((*at, *dirty_pages)),
            _ => None,
        })
        .collect();
    let rate = |k: usize| {
        let bits = rounds[k].1 as f64 * 4096.0 * 8.0 * OVERHEAD;
        bits / (rounds[k + 1].0 - rounds[k].0).as_s_f64() / 1e6
    };
    assert!((rate(0) - 100.0).abs() < 1.0, "{}", rate(0));
    // 2,000 pages per second are 65.5 Mbit/s, and a step more.
    for k in 1..6 {
        assert!((rate(k) - 115.5).abs() < 3.0, "round {k}: {}", rate(k));
    }
    // Each round leaves 0.567 of the one before, down to 256 kB.
    let left = |from_the_end: usize| rounds[rounds.len() - from_the_end].1 * 4096;
    assert!(left(1) <= 256_000 && left(2) > 256_000, "{rounds:?}");
    let faster = Setup {
        dirty_pages_per_s: 15_000,
        ..setup
    };
    let statistics = faster.run().statistics();
    // Each round dirties everything again, so each is a step faster: nine rounds from 100 to 500 Mbit/s, where 491 Mbit/s
    // are dirtied, and the next would be too fast. The first and the last synchronisation belong to no round.
    assert_eq!(statistics.ram.dirty_sync_count, 1 + 9 + 1);
}
