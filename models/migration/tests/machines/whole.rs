//! Whole migrations over a link of fixed rate and delay.

use longhaul_amst::{Failure, SenderOptions};
use longhaul_core::machine::{Machine, Output};
use longhaul_core::tape::{Recorder, feed};
use longhaul_core::time::{Instant, Span};
use longhaul_core::units::{BitRate, Probability};
use longhaul_hde::{EncoderOptions, PAGE_SIZE};
use longhaul_memory::pattern::Pattern;
use longhaul_migration::{
    DestinationEvent, DestinationFailure, Encoding, PayloadMode, SourceEvent, SourceFailure, StopRule,
};

use crate::support::Setup;

const PATTERNS: [Pattern; 4] = [
    Pattern::RealWorld,
    Pattern::Constant,
    Pattern::Bursty,
    Pattern::Sinusoidal,
];

fn ms(ms: u64) -> Instant {
    Instant::ZERO + Span::from_ms(ms)
}

/// A guest that writes half of what the link carries.
fn busy() -> Setup {
    Setup {
        dirty_pages_per_s: 1_200,
        ..Setup::default()
    }
}

fn sampled(numerator: u64, denominator: u64) -> PayloadMode {
    PayloadMode::Sampled {
        share: Probability::from_ratio(numerator, denominator).unwrap(),
    }
}

#[test]
fn every_pattern_and_encoding_arrives_bit_by_bit() {
    for pattern in PATTERNS {
        for encoding in [EncoderOptions::raw(), EncoderOptions::hde(1)].map(Encoding::Hde) {
            let setup = Setup {
                pattern,
                encoding,
                ..busy()
            };
            let world = setup.run();
            let pages = setup.mib * 256;
            assert_eq!(world.compare_pages(), pages);
            assert!(world.destination_events.iter().any(|(_, event)| matches!(
                event,
                DestinationEvent::Arrived { verified_pages, .. } if *verified_pages == pages
            )));
            let statistics = world.statistics();
            assert!(statistics.ram.dirty_sync_count >= 3);
            assert_eq!(
                statistics.copy.real_pages,
                statistics.ram.duplicate + statistics.ram.normal
            );
        }
    }
}

#[test]
fn an_idle_guest_costs_its_memory_plus_headers_and_not_a_byte_more() {
    let setup = Setup {
        pattern: Pattern::Constant,
        encoding: Encoding::Hde(EncoderOptions::raw()),
        ..Setup::default()
    };
    let world = setup.run();
    let statistics = world.statistics();
    let (pages, chunk) = (setup.mib * 256, 64 << 10);
    let with_record_headers = |bytes: u64| bytes + bytes.div_ceil(chunk) * 44;
    let frames = (0..pages / 64).map(|frame| {
        // A varint holds seven bits per byte: twice the first page and a bit, then the 64 pages of the run.
        let runs = if frame * 64 * 2 < 128 { 1 + 1 } else { 2 + 1 };
        // The fixed part, the pages, a checksum; a class per page behind the lengths of eight columns; two sections.
        let header = 56 + runs + 4;
        let plan = 8 + 64;
        let data = 64 * PAGE_SIZE as u64;
        with_record_headers(header + (1 + 1 + 1 + plan) + (1 + 3 + 3 + data))
    });
    let end = with_record_headers(4 + 8 + 8 + 32 + 8 + 4 + 8);
    let prefaces = 4 * 16;
    let expected = prefaces + frames.sum::<u64>() + end;
    // At the end, when streams have nothing else to do, the transport may send a chunk that it finds late once more.
    let rescued = statistics.ram.transferred - expected;
    let most = statistics.transport.rescued_chunks * (chunk + 44);
    assert!(rescued <= most && most <= 3 * chunk, "{rescued} of {most}");
    assert_eq!(world.wire.link_bytes, statistics.ram.transferred);
    assert_eq!((statistics.ram.normal, statistics.ram.duplicate), (pages, 0));
    assert_eq!(statistics.ram.remaining, 0);
    // At setup, when little remained, and with the guest standing still.
    assert_eq!(statistics.ram.dirty_sync_count, 3);

    assert_eq!(statistics.setup_time, setup.delay * 2);
    let fastest = setup.delay * 3 + setup.rate.time_for(expected);
    let slower = statistics.total_time - fastest;
    assert!(slower < Span::from_us(50), "{slower:?} above {fastest:?}");
}

#[test]
fn downtime_keeps_its_limit_plus_a_round_trip_when_bandwidth_is_steady() {
    for encoding in [EncoderOptions::raw(), EncoderOptions::hde(1)].map(Encoding::Hde) {
        for limit in [100, 300] {
            let setup = Setup {
                encoding,
                stop: StopRule::Downtime {
                    limit: Span::from_ms(limit),
                },
                ..busy()
            };
            let statistics = setup.run().statistics();
            let downtime = statistics.downtime.unwrap();
            assert!(downtime >= setup.delay, "{downtime:?}");
            assert!(
                downtime <= Span::from_ms(limit) + setup.delay * 2,
                "{downtime:?} with limit {limit} ms"
            );
            assert_eq!(statistics.downtime_at_source, Some(downtime + setup.delay));
        }
    }
}

#[test]
fn a_guest_that_writes_faster_than_the_link_carries_never_leaves() {
    let setup = Setup {
        pattern: Pattern::Constant,
        encoding: Encoding::Hde(EncoderOptions::raw()),
        dirty_pages_per_s: 10_000,
        working_set: Probability::ONE,
        horizon: ms(30_000),
        ..Setup::default()
    };
    let world = setup.run();
    assert!(world.completed().is_none());
    let statistics = world.source.statistics();
    assert!(statistics.ram.dirty_sync_count > 10);
    assert_eq!(statistics.downtime, None);
    // 10,000 writes per second hit fewer pages, because some hit the same.
    assert!(
        (1_500..10_000).contains(&statistics.ram.dirty_pages_rate),
        "{statistics:?}"
    );
    assert!(statistics.ram.transferred > setup.rate.bytes_in(Span::from_s(29)));
}

#[test]
fn total_time_is_at_least_memory_over_rate() {
    for dirty_pages_per_s in [0, 500, 1_500] {
        let setup = Setup {
            pattern: Pattern::Constant,
            dirty_pages_per_s,
            ..Setup::default()
        };
        let statistics = setup.run().statistics();
        let lower = setup.rate.time_for(statistics.ram.total);
        assert!(statistics.total_time > lower);
        assert!(
            statistics.total_time < lower * 5,
            "{:?} of {lower:?}",
            statistics.total_time
        );
    }
}

#[test]
fn a_sample_predicts_the_whole() {
    for pattern in PATTERNS {
        let real = Setup {
            pattern,
            mib: 64,
            dirty_pages_per_s: 4_000,
            rate: BitRate::from_bits_per_s(150_000_000),
            ..Setup::default()
        };
        let sample = Setup {
            payload: sampled(1, 8),
            ..real.clone()
        };
        let (real, sample) = (real.run(), sample.run());
        let (whole, part) = (real.statistics(), sample.statistics());
        let compared = sample.compare_pages();
        assert!((1..64 * 256 / 2).contains(&compared), "{compared} pages");
        assert!(part.copy.synthetic_pages > part.copy.real_pages);
        let close = |name: &str, a: u64, b: u64, percent: u64| {
            assert!(
                a.abs_diff(b) * 100 <= a * percent,
                "{pattern:?} {name}: {a} and {b}"
            );
        };
        // Real pages can only copy from real ones, so a sample of memory whose pages are alike is a bit above the whole.
        close("bytes", whole.ram.transferred, part.ram.transferred, 5);
        close("time", whole.total_time.as_ns(), part.total_time.as_ns(), 5);
        close("zero pages", whole.ram.duplicate, part.ram.duplicate, 4);
        close("pages", whole.copy.pages(), part.copy.pages(), 4);
    }
}

#[test]
fn a_share_of_nothing_still_measures_every_stratum() {
    for pattern in PATTERNS {
        let setup = Setup {
            pattern,
            payload: sampled(0, 1),
            ..busy()
        };
        let world = setup.run();
        // An extent of 64 pages for each of a few strata.
        let compared = world.compare_pages();
        assert!((1..=12 * 64).contains(&compared), "{pattern:?}: {compared}");
        assert!(world.statistics().copy.synthetic_pages > 3_000);
    }
}

#[test]
fn the_narrowest_window_and_odd_chunks_carry_a_guest() {
    let transport = SenderOptions::fixed(3, 5_003, 266_000);
    for pattern in PATTERNS {
        let setup = Setup {
            pattern,
            transport,
            mib: 4,
            ..Setup::default()
        };
        assert_eq!(setup.run().compare_pages(), 4 * 256);
    }
}

#[test]
fn zero_pages_share_large_frames() {
    let setup = Setup {
        mib: 64,
        ..Setup::default()
    };
    let statistics = setup.run().statistics();
    let zero_pages = 64 * 256 * 3 / 10;
    assert!(statistics.ram.duplicate.abs_diff(zero_pages) <= 1);
    // One frame to learn that the stratum is zero, three large ones, and one or two at each border of a section.
    let other_frames = statistics.ram.normal / 64;
    assert!(
        (other_frames + 4..=other_frames + 10).contains(&statistics.copy.frames),
        "{statistics:?}"
    );
}

#[test]
fn a_destination_that_refuses_leaves_the_guest_at_the_source() {
    let setup = Setup {
        pattern: Pattern::Constant,
        destination_pages: Some(100),
        ..busy()
    };
    let world = setup.run();
    let reason = DestinationFailure::NoSuchPage { page: 127 };
    assert!(world.destination_events.iter().any(|(_, e)| *e
        == DestinationEvent::Failed {
            reason: reason.clone()
        }));
    let (_, last) = world.source_events.last().unwrap();
    assert_eq!(
        *last,
        SourceEvent::Failed {
            reason: SourceFailure::Refused
        }
    );
}

#[test]
fn the_death_of_streams_loses_nothing() {
    let setup = Setup {
        deaths: vec![(ms(100), 0), (ms(350), 3), (ms(351), 1)],
        ..busy()
    };
    let world = setup.run();
    let statistics = world.statistics();
    assert_eq!(world.compare_pages(), setup.mib * 256);
    assert_eq!(statistics.transport.lost_streams, 3);
    assert!(statistics.transport.retransmitted_chunks > 0);
    let lost = world
        .source_events
        .iter()
        .filter(|(_, e)| matches!(e, SourceEvent::StreamLost { .. }))
        .count();
    assert_eq!(lost, 3);
}

#[test]
fn the_death_of_every_stream_leaves_the_guest_at_the_source() {
    let setup = Setup {
        deaths: (0..4).map(|stream| (ms(400), stream)).collect(),
        transport: SenderOptions {
            patience: Span::ZERO,
            ..busy().transport
        },
        ..busy()
    };
    let world = setup.run();
    let (at, last) = world.source_events.last().unwrap();
    assert!(matches!(
        last,
        SourceEvent::Failed {
            reason: SourceFailure::Transport {
                why: Failure::NoStream,
                unacknowledged_bytes: 1..
            }
        }
    ));
    assert_eq!(*at, ms(400) + setup.delay);
    assert!(
        world
            .destination_events
            .iter()
            .all(|(_, e)| matches!(e, DestinationEvent::StreamEnded { .. }))
    );
}

#[test]
fn a_stream_that_dies_while_the_guest_stands_still_delays_the_answer_and_no_more() {
    let calm = busy().run();
    let paused = calm
        .source_events
        .iter()
        .find_map(|(at, e)| matches!(e, SourceEvent::GuestPaused { .. }).then_some(*at))
        .unwrap();
    for after_ms in [1, 10, 30] {
        let setup = Setup {
            deaths: vec![(paused + Span::from_ms(after_ms), 0)],
            ..busy()
        };
        let world = setup.run();
        assert_eq!(world.compare_pages(), setup.mib * 256);
        assert!(world.statistics().downtime >= calm.statistics().downtime);
    }
}

#[test]
fn the_same_setup_gives_the_same_run() {
    let setup = Setup {
        payload: sampled(1, 5),
        ..busy()
    };
    let (one, two) = (setup.run(), setup.run());
    assert_eq!(one.tape, two.tape);
    assert_eq!(one.destination_events, two.destination_events);
}

#[test]
fn a_tape_of_the_source_plays_back_alike() {
    let setup = Setup {
        mib: 2,
        deaths: vec![(ms(100), 2)],
        payload: sampled(1, 3),
        ..busy()
    };
    let mut recorder = Recorder::new("source", setup.source());
    for (now, input, outputs) in setup.run().tape {
        recorder.handle(now, input);
        for output in outputs {
            assert_eq!(recorder.poll(), output);
        }
    }
    let tape = recorder.tape();
    assert!(
        tape.contains("retransmitted_chunks"),
        "the tape ends before the migration"
    );
    feed(&mut setup.source(), &tape).unwrap();
}

#[test]
fn unasked_for_wakes_are_harmless() {
    let setup = Setup {
        extra_wakes: Some(Span::from_ms(3)),
        ..busy()
    };
    let world = setup.run();
    assert_eq!(world.compare_pages(), setup.mib * 256);
    assert!(world.statistics().downtime.unwrap() <= Span::from_ms(300) + setup.delay * 2);
}

#[test]
fn the_source_wakes_for_its_bandwidth_window_only_while_it_copies() {
    let tape = busy().run().tape;
    let copies = |tape: &[(Instant, _, Vec<Output<SourceEvent>>)]| {
        tape.iter()
            .filter(|(_, _, outputs)| matches!(outputs.last(), Some(Output::WakeAt { .. })))
            .count()
    };
    assert!(copies(&tape) > 0);
    assert_eq!(tape.first().unwrap().2, [Output::Idle]);
    assert_eq!(tape.last().unwrap().2, [Output::Idle]);
}
