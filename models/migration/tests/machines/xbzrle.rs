//! QEMU's XBZRLE.

use longhaul_core::time::{Instant, Span};
use longhaul_core::units::{BitRate, ByteSize, Probability};
use longhaul_hde::EncoderOptions;
use longhaul_memory::locality::Locality;
use longhaul_memory::pattern::Pattern;
use longhaul_migration::{Encoding, PayloadMode, StopRule};

use crate::support::Setup;

const XBZRLE: Encoding = Encoding::Xbzrle {
    cache: ByteSize::from_mib(64),
};

/// The load generator of QEMU's documentation in small: it goes through an array and changes a few bytes of each
/// page, faster than the link carries pages.
fn load() -> Setup {
    Setup {
        pattern: Pattern::Constant,
        encoding: XBZRLE,
        dirty_pages_per_s: 5_000,
        bytes_per_write: 4,
        locality: Locality::Sequential,
        working_set: Probability::from_ratio(1, 2).unwrap(),
        horizon: Instant::ZERO + Span::from_s(60),
        ..Setup::default()
    }
}

#[test]
fn with_it_a_migration_completes_that_does_not_without() {
    let plain = Setup {
        encoding: Encoding::Hde(EncoderOptions::raw()),
        ..load()
    };
    assert!(plain.run().completed().is_none());
    let world = load().run();
    assert_eq!(world.compare_pages(), load().pages());
    let statistics = world.statistics();
    let cache = statistics.xbzrle_cache.unwrap();
    // The first pass is not cached, so every page of the working set misses once.
    assert_eq!(cache.cache_size, 64 << 20);
    assert!((2_000..=2_200).contains(&cache.cache_miss), "{cache:?}");
    assert_eq!(cache.overflow, 0);
    assert!(cache.bytes < cache.pages * 200, "{cache:?}");
    assert_eq!(
        statistics.ram.normal + statistics.ram.duplicate,
        statistics.copy.pages()
    );
}

#[test]
fn a_small_cache_misses() {
    let misses = |kib| {
        let setup = Setup {
            encoding: Encoding::Xbzrle {
                cache: ByteSize::from_kib(kib),
            },
            horizon: Instant::ZERO + Span::from_s(20),
            ..load()
        };
        setup.run().source.statistics().xbzrle_cache.unwrap()
    };
    let (small, large) = (misses(256), misses(64 << 10));
    assert!(small.cache_miss > 10 * small.pages, "{small:?}");
    assert!(large.pages > large.cache_miss, "{large:?}");
}

#[test]
fn every_pattern_survives_with_zero_pages_and_overflows() {
    for pattern in [Pattern::RealWorld, Pattern::Bursty, Pattern::Sinusoidal] {
        for bytes_per_write in [4, 4096] {
            let setup = Setup {
                pattern,
                bytes_per_write,
                locality: Locality::Zipf {
                    exponent_millionths: 800_000,
                },
                dirty_pages_per_s: 2_000,
                stop: StopRule::XEN,
                ..load()
            };
            let world = setup.run();
            assert_eq!(world.compare_pages(), setup.pages());
            let cache = world.statistics().xbzrle_cache.unwrap();
            assert_eq!(cache.overflow > 0, bytes_per_write == 4096, "{cache:?}");
        }
    }
}

#[test]
fn a_sample_predicts_the_whole() {
    let real = Setup {
        mib: 64,
        rate: BitRate::from_bits_per_s(200_000_000),
        dirty_pages_per_s: 12_000,
        ..load()
    };
    let sample = Setup {
        payload: PayloadMode::Sampled {
            share: Probability::from_ratio(1, 8).unwrap(),
        },
        ..real.clone()
    };
    let (real, sample) = (real.run().statistics(), sample.run().statistics());
    let close = |name: &str, a: u64, b: u64, percent: u64| {
        assert!(a.abs_diff(b) * 100 <= a * percent, "{name}: {a} and {b}");
    };
    let (whole, part) = (real.xbzrle_cache.unwrap(), sample.xbzrle_cache.unwrap());
    close("bytes", real.ram.transferred, sample.ram.transferred, 2);
    close("time", real.total_time.as_ns(), sample.total_time.as_ns(), 2);
    close("misses", whole.cache_miss, part.cache_miss, 2);
    // Changes get smaller from round to round, and the estimate is the mean so far. It is a thousandth of all bytes.
    close("encoded", whole.bytes, part.bytes, 50);
}
