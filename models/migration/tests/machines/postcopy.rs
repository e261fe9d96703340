//! A guest that runs at the destination before its memory has come.

use longhaul_core::time::{Instant, Span};
use longhaul_core::units::{BitRate, ByteSize, Probability};
use longhaul_hde::EncoderOptions;
use longhaul_memory::locality::Locality;
use longhaul_memory::pattern::Pattern;
use longhaul_memory::{GuestMemory, ReadOptions};
use longhaul_migration::{
    DestinationEvent, DestinationFailure, DestinationStatistics, Encoding, Mode, PayloadMode, SourceEvent,
    SourceFailure, Status, StopRule, Switch,
};

use crate::support::{Setup, World};

fn percent(percent: u64) -> Probability {
    Probability::from_ratio(percent, 100).unwrap()
}

/// A guest that touches its memory all the time and cannot be copied while it runs.
fn restless() -> Setup {
    Setup {
        mode: Mode::PostCopy,
        mib: 16,
        vcpus: 2,
        dirty_pages_per_s: 10_000,
        working_set: percent(60),
        reads: ReadOptions {
            pages_per_s: 2_000,
            working_set: percent(60),
            locality: Locality::Uniform,
        },
        ..Setup::default()
    }
}

fn arrival(world: &World) -> DestinationStatistics {
    let mut completed = world
        .destination_events
        .iter()
        .filter_map(|(_, event)| match event {
            DestinationEvent::Arrived { statistics, .. } => Some((**statistics).clone()),
            _ => None,
        });
    completed
        .next()
        .unwrap_or_else(|| panic!("{:?}", world.source_events))
}

#[test]
fn every_pattern_and_encoding_arrives_bit_by_bit_while_the_guest_runs() {
    for pattern in [Pattern::RealWorld, Pattern::Bursty] {
        for encoding in [EncoderOptions::raw(), EncoderOptions::hde(1)].map(Encoding::Hde) {
            for preempt in [true, false] {
                let setup = Setup {
                    pattern,
                    encoding,
                    preempt,
                    ..restless()
                };
                let world = setup.run();
                assert_eq!(world.compare_pages(), setup.pages());
                let statistics = world.statistics();
                let arrival = arrival(&world);
                assert_eq!(statistics.status, Status::Completed);
                // Nothing is sent twice.
                assert_eq!(statistics.copy.pages(), setup.pages());
                assert!(arrival.requests > 4, "{arrival:?}");
                assert!(statistics.ram.postcopy_requests >= arrival.requests);
                assert_eq!(arrival.postcopy_vcpu_blocktime.len(), 2);
                assert_eq!(
                    statistics.ram.precopy_bytes + statistics.ram.postcopy_bytes,
                    statistics.ram.transferred
                );
            }
        }
    }
}

#[test]
fn downtime_is_the_package_and_not_the_memory() {
    let setup = Setup {
        device_state: ByteSize::from_kib(100),
        resume_time: Span::from_ms(7),
        ..restless()
    };
    let statistics = setup.run().statistics();
    // Way, device state at the rate of the link, loading. The other streams begin with memory meanwhile, and the link is
    // theirs as well.
    let least = setup.delay + setup.rate.time_for(100 << 10) + setup.resume_time;
    let downtime = statistics.downtime.unwrap();
    assert!(
        downtime >= least && downtime <= least + setup.rate.time_for(100 << 10),
        "{downtime:?}, at least {least:?}"
    );
    assert!(statistics.total_time > Span::from_ms(400));
}

#[test]
fn the_guest_at_the_destination_goes_on_as_it_would_have_here() {
    let setup = Setup {
        vcpus: 1,
        ..restless()
    };
    let world = setup.run();
    let paused = world
        .source_time(|event| matches!(event, SourceEvent::GuestPaused { .. }))
        .unwrap();
    let guest = world.destination.guest().unwrap();
    let Some(DestinationEvent::Arrived { guest: state, .. }) = world
        .destination_events
        .iter()
        .map(|(_, event)| event)
        .find(|event| matches!(event, DestinationEvent::Arrived { .. }))
    else {
        panic!("{:?}", world.destination_events)
    };
    // What it has written by its own time is what it would have written here by then.
    let mut stayed = setup.memory();
    let ran = Instant::from_ns(state.cpu.vcpu_ns[0]);
    assert!(ran > paused, "{ran:?} {paused:?}");
    stayed.advance(ran, &mut longhaul_memory::bitmap::DirtyBitmap::new(setup.pages()));
    for page in 0..setup.pages() {
        assert_eq!(guest.version(page), stayed.version(page), "page {page}");
    }
    let arrival = arrival(&world);
    let resumed = world.statistics().downtime.unwrap();
    let lived = state.since - (paused + resumed);
    // Its time is the time that has passed, less what it has waited.
    assert_eq!(lived - arrival.postcopy_vcpu_blocktime[0], ran - paused);
    assert_eq!(arrival.postcopy_blocktime, arrival.postcopy_vcpu_blocktime[0]);
}

#[test]
fn pages_that_the_guest_waits_for_overtake_the_others() {
    let longest = |preempt| {
        let setup = Setup {
            preempt,
            mib: 32,
            encoding: Encoding::Hde(EncoderOptions::raw()),
            socket_bytes: 64 << 10,
            ..restless()
        };
        let world = setup.run();
        let arrival = arrival(&world);
        (arrival.longest_fault, arrival.postcopy_blocktime, setup)
    };
    let ((overtaking, _, setup), (in_turn, ..)) = (longest(true), longest(false));
    // There and back, and what streams have taken over before: what their sockets hold, and less than two chunks.
    let queued = setup.rate.time_for(4 * (setup.socket_bytes + (128 << 10)));
    assert!(
        overtaking <= setup.delay * 2 + queued + Span::from_ms(1),
        "{overtaking:?}"
    );
    assert!(overtaking < in_turn, "{overtaking:?} {in_turn:?}");
}

#[test]
fn hybrid_sends_what_it_can_before_and_the_rest_after() {
    let with = |mode| Setup {
        mode,
        pattern: Pattern::Constant,
        encoding: Encoding::Hde(EncoderOptions::raw()),
        ..restless()
    };
    let hybrid = |switch| with(Mode::Hybrid { switch }).run();
    let after_rounds = hybrid(Switch::Rounds(2));
    let rounds = after_rounds
        .source_events
        .iter()
        .filter(|(_, event)| matches!(event, SourceEvent::RoundStarted { .. }));
    assert_eq!(rounds.count(), 3, "the first begins with all pages");
    let after_a_while = hybrid(Switch::After(Span::from_s(3)));
    let paused = after_a_while
        .source_time(|event| matches!(event, SourceEvent::GuestPaused { .. }))
        .unwrap();
    let set_up = after_a_while
        .source_time(|event| matches!(event, SourceEvent::SetupDone { .. }))
        .unwrap();
    assert_eq!(paused, set_up + Span::from_s(3));
    let whole = with(Mode::PostCopy).run();
    for world in [&after_rounds, &after_a_while] {
        assert_eq!(world.compare_pages(), restless().pages());
        let statistics = world.statistics();
        assert!(statistics.ram.precopy_bytes > statistics.ram.postcopy_bytes);
        assert!(arrival(world).requests < arrival(&whole).requests);
    }
}

#[test]
fn a_hybrid_migration_that_converges_is_pre_copy() {
    let calm = Setup {
        mode: Mode::Hybrid {
            switch: Switch::After(Span::from_s(60)),
        },
        dirty_pages_per_s: 100,
        ..Setup::default()
    };
    let world = calm.run();
    assert_eq!(world.compare_pages(), calm.pages());
    assert_eq!(world.statistics().ram.postcopy_bytes, 0);
    assert!(
        world
            .source_time(|event| matches!(event, SourceEvent::PostcopyStarted { .. }))
            .is_none()
    );
}

#[test]
fn xbzrle_ends_where_post_copy_begins() {
    let setup = Setup {
        encoding: Encoding::Xbzrle {
            cache: ByteSize::from_mib(4),
        },
        mode: Mode::Hybrid {
            switch: Switch::Rounds(3),
        },
        stop: StopRule::XEN,
        ..restless()
    };
    let world = setup.run();
    assert_eq!(world.compare_pages(), setup.pages());
    let cache = world.statistics().xbzrle_cache.unwrap();
    assert!(cache.pages > 100 && cache.cache_miss > 100, "{cache:?}");
}

#[test]
fn sampled_pages_wait_like_real_ones() {
    let setup = Setup {
        payload: PayloadMode::Sampled { share: percent(25) },
        mib: 32,
        ..restless()
    };
    let real = Setup {
        payload: PayloadMode::Real,
        ..setup.clone()
    };
    let (sampled, real) = (setup.run(), real.run());
    assert!(sampled.compare_pages() < setup.pages() / 2);
    let close = |name: &str, a: u64, b: u64, percent: u64| {
        assert!(a.abs_diff(b) * 100 <= a * percent, "{name}: {a} and {b}");
    };
    let (whole, part) = (arrival(&real), arrival(&sampled));
    close("faults", whole.faults, part.faults, 10);
    close(
        "blocktime",
        whole.postcopy_vcpu_blocktime[0].as_ns(),
        part.postcopy_vcpu_blocktime[0].as_ns(),
        10,
    );
    close(
        "bytes",
        real.statistics().ram.transferred,
        sampled.statistics().ram.transferred,
        5,
    );
}

#[test]
fn background_pages_keep_their_limit_and_requests_do_not_wait_for_it() {
    let limited = Setup {
        max_postcopy_bandwidth: Some(BitRate::from_bits_per_s(8_000_000)),
        encoding: Encoding::Hde(EncoderOptions::raw()),
        pattern: Pattern::Constant,
        mib: 4,
        ..restless()
    };
    let world = limited.run();
    assert_eq!(world.compare_pages(), limited.pages());
    let statistics = world.statistics();
    // A megabyte per second, and what the guest asks for beside it.
    assert!(
        statistics.total_time > Span::from_ms(1_500),
        "{:?}",
        statistics.total_time
    );
    let longest = arrival(&world).longest_fault;
    assert!(longest < Span::from_ms(100), "{longest:?}");
}

#[test]
fn a_destination_that_cannot_run_the_guest_early_leaves_it_at_the_source() {
    let setup = Setup {
        destination_guest: false,
        ..restless()
    };
    let world = setup.run();
    assert!(world.destination_events.iter().any(|(_, event)| matches!(
        event,
        DestinationEvent::Failed {
            reason: DestinationFailure::NoGuest
        }
    )));
    let (_, last) = world.source_events.last().unwrap();
    let reason = SourceFailure::Refused;
    assert_eq!(*last, SourceEvent::Failed { reason });
    assert!(world.source.runs_guest());
}

#[test]
fn the_death_of_streams_and_of_the_way_back_loses_nothing() {
    let ms = |ms| Instant::ZERO + Span::from_ms(ms);
    let setup = Setup {
        // Number 2^23 is the first stream that leads back, the next ones replace it.
        deaths: vec![
            (ms(120), 0),
            (ms(150), 1 << 23),
            (ms(200), 3),
            (ms(330), (1 << 23) + 1),
        ],
        ..restless()
    };
    let world = setup.run();
    assert_eq!(world.compare_pages(), setup.pages());
    assert_eq!(world.statistics().interruptions, 0);
}
