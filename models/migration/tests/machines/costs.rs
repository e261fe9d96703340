//! Encoding and decoding that take time.

use std::num::NonZeroU64;

use longhaul_core::time::Span;
use longhaul_core::units::{BitRate, Probability};
use longhaul_hde::{CostModel, EncoderOptions};
use longhaul_memory::pattern::Pattern;
use longhaul_migration::{Cost, Encoding, Mode, PayloadMode};

use crate::support::Setup;

/// Threads that hand so many bytes per second to the network and do everything else at once.
fn carrying(bytes_per_s: u64, threads: u32) -> Cost {
    let free = NonZeroU64::new(u64::MAX).unwrap();
    let mut codec = CostModel::measured(None);
    codec.encode.frame_ns = 0;
    codec.encode.scan = free;
    codec.encode.hash = free;
    codec.encode.compare = free;
    codec.encode.search = free;
    codec.encode.entropy = free;
    codec.decode.frame_ns = 0;
    codec.decode.entropy = free;
    codec.decode.rebuild = free;
    codec.decode.hash = free;
    Cost {
        codec,
        carry: NonZeroU64::new(bytes_per_s),
        threads,
    }
}

/// Memory that nothing shortens, on a fast network.
fn bulky() -> Setup {
    Setup {
        pattern: Pattern::Constant,
        encoding: Encoding::Hde(EncoderOptions::raw()),
        rate: BitRate::from_bits_per_s(1_000_000_000),
        delay: Span::from_ms(1),
        socket_bytes: 128 << 10,
        ..Setup::default()
    }
}

#[test]
fn a_migration_is_as_fast_as_its_threads_or_its_network() {
    let network = bulky().rate.time_for(bulky().mib << 20);
    for (bytes_per_s, threads) in [
        (10_000_000, 1),
        (10_000_000, 4),
        (10_000_000, 64),
        (40_000_000, 1),
    ] {
        let setup = Setup {
            cost: Some(carrying(bytes_per_s, threads)),
            ..bulky()
        };
        let statistics = setup.run().statistics();
        let processors =
            Span::from_ns((setup.mib << 20) * 1_000_000_000 / (bytes_per_s * u64::from(threads)));
        let expected = processors.max(network);
        let took = statistics.total_time;
        assert!(took >= expected, "{threads} threads: {took:?} of {expected:?}");
        // A frame per thread, and round trips.
        let slack = Span::from_ns(264_000 * 1_000_000_000 / bytes_per_s) * 2 + Span::from_ms(12);
        assert!(
            took <= expected + slack,
            "{threads} threads: {took:?} of {expected:?}"
        );
        let bounds = statistics.bounds;
        if processors > network {
            assert!(bounds.processor * 10 > took * 8, "{bounds:?}");
        } else {
            assert!(bounds.network * 10 > took * 6, "{bounds:?}");
        }
        let all_frames = (setup.mib << 20) * 1_000_000_000 / bytes_per_s;
        assert!(statistics.encoding_time >= Span::from_ns(all_frames));
    }
}

#[test]
fn a_slow_destination_delays_the_resumption() {
    let setup = Setup {
        decoding_cost: Some(carrying(20_000_000, 1)),
        ..bulky()
    };
    let world = setup.run();
    assert_eq!(world.compare_pages(), setup.pages());
    let least = Span::from_ns((setup.mib << 20) * 50);
    let took = world.statistics().total_time;
    assert!(
        took > least && took < least + Span::from_ms(30),
        "{took:?} of {least:?}"
    );
    assert!(world.destination.statistics().decoding_time >= least);
}

#[test]
fn sampled_pages_cost_what_the_real_ones_do_that_they_stand_for() {
    for pattern in [Pattern::RealWorld, Pattern::Bursty, Pattern::Sinusoidal] {
        let real = Setup {
            pattern,
            mib: 64,
            dirty_pages_per_s: 3_000,
            rate: BitRate::from_bits_per_s(400_000_000),
            encoding: Encoding::Hde(EncoderOptions::hde(1)),
            cost: Some(Cost {
                codec: CostModel::measured(Some(1)),
                carry: None,
                threads: 1,
            }),
            decoding_cost: Some(Cost {
                codec: CostModel::measured(Some(1)),
                carry: None,
                threads: 1,
            }),
            ..Setup::default()
        };
        let sample = Setup {
            payload: PayloadMode::Sampled {
                share: Probability::from_ratio(1, 8).unwrap(),
            },
            ..real.clone()
        };
        let (real, sample) = (real.run(), sample.run());
        let close = |name: &str, a: Span, b: Span| {
            let (a, b) = (a.as_ns(), b.as_ns());
            assert!(a.abs_diff(b) * 100 <= a * 12, "{pattern:?} {name}: {a} and {b}");
        };
        let (whole, part) = (real.statistics(), sample.statistics());
        close("encoding", whole.encoding_time, part.encoding_time);
        close("total", whole.total_time, part.total_time);
        let decoding = |world: &crate::support::World| world.destination.statistics().decoding_time;
        close("decoding", decoding(&real), decoding(&sample));
    }
}

#[test]
fn pages_that_a_guest_waits_for_do_not_wait_for_the_threads() {
    let setup = Setup {
        mode: Mode::PostCopy,
        mib: 8,
        dirty_pages_per_s: 2_000,
        cost: Some(carrying(4_000_000, 2)),
        decoding_cost: Some(carrying(50_000_000, 1)),
        ..bulky()
    };
    let world = setup.run();
    assert_eq!(world.compare_pages(), setup.pages());
    let longest = world.destination.statistics().longest_fault;
    // A page by itself takes a thread 1 ms. One that is being encoded with 63 others comes with them, after 65 ms.
    assert!(longest < Span::from_ms(90), "{longest:?}");
}
