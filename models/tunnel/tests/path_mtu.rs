//! Path MTU discovery over pipes that drop what is too long.

use longhaul_core::machine::{Input, PeerId};
use longhaul_core::time::Span;
use longhaul_core::units::Probability;
use longhaul_tunnel::IpVersion;
use longhaul_tunnel::path_mtu::{
    PathMtu, PathMtuCommand, PathMtuConfig, PathMtuError, PathMtuEvent, PathMtuPurpose, PathMtuState,
};

use crate::pipe::{Pipe, at_ms};

/// End 0 searches, end 1 acknowledges.
fn pipe(config: PathMtuConfig, mtu: u32, seed: u64) -> Pipe<PathMtu> {
    let other = PathMtuConfig {
        searches: false,
        ..config
    };
    let ends = [
        PathMtu::new(config, PeerId(1)).expect("valid"),
        PathMtu::new(other, PeerId(0)).expect("valid"),
    ];
    let mut pipe = Pipe::new(ends, seed);
    pipe.mtu = mtu;
    pipe.header_bytes = match config.version {
        IpVersion::V4 => 28,
        IpVersion::V6 => 48,
    };
    pipe.start();
    pipe
}

fn v4(max: u32) -> PathMtuConfig {
    PathMtuConfig::new(IpVersion::V4, max)
}

/// Runs until the search is complete; seconds.
fn complete(pipe: &mut Pipe<PathMtu>) -> u64 {
    for second in 1..3_600 {
        pipe.run_until(at_ms(second * 1_000));
        if pipe.ends[0].state() == PathMtuState::SearchComplete {
            return second;
        }
    }
    panic!("no end of the search");
}

#[test]
fn a_path_with_the_interface_s_mtu_is_found_in_two_round_trips() {
    let mut pipe = pipe(v4(1_500), 1_500, 1);
    pipe.run_until(at_ms(160));
    let end = &pipe.ends[0];
    assert_eq!((end.mtu(), end.state()), (1_500, PathMtuState::SearchComplete));
    let events: Vec<PathMtuEvent> = pipe.events.iter().map(|(_, _, event)| *event).collect();
    let changed = PathMtuEvent::Changed {
        from: 1_200,
        to: 1_500,
    };
    let passed = |size, purpose| PathMtuEvent::Passed {
        size,
        probes: 1,
        purpose,
    };
    assert_eq!(
        events,
        [
            passed(1_200, PathMtuPurpose::Base),
            passed(1_500, PathMtuPurpose::Search),
            changed,
            PathMtuEvent::Found { mtu: 1_500 }
        ]
    );
    assert_eq!(pipe.ends[0].probes_sent(), 2);
    // Payloads of 1172 and 1472 bytes, acknowledged with 16.
    let lengths: Vec<u64> = pipe.sent.iter().map(|(_, _, bytes)| *bytes).collect();
    assert_eq!(lengths, [1_172, 16, 1_472, 16]);
    assert_eq!(pipe.ends[1].state(), PathMtuState::Disabled);
}

#[test]
fn every_mtu_is_found_to_the_byte() {
    for (max, sizes) in [(1_500, 1_200..=1_500), (9_000, 8_930..=9_000)] {
        for mtu in sizes {
            let mut pipe = pipe(v4(max), mtu, 1);
            let seconds = complete(&mut pipe);
            assert_eq!(pipe.ends[0].mtu(), mtu);
            // No more than ten sizes fail, each within three probes of 15 s.
            assert!(seconds <= 450, "{mtu}: {seconds} s");
        }
    }
    for mtu in 1_280..=1_500 {
        let mut pipe = pipe(PathMtuConfig::new(IpVersion::V6, 1_500), mtu, 1);
        complete(&mut pipe);
        assert_eq!(pipe.ends[0].mtu(), mtu);
    }
}

#[test]
fn usual_sizes_cost_few_failures() {
    for mtu in [1_400, 1_420, 1_440, 1_450, 1_476, 1_492] {
        let mut pipe = pipe(v4(1_500), mtu, 1);
        let seconds = complete(&mut pipe);
        // The largest, the next usual one and one byte more: 3 × 45 s at most.
        assert!(seconds <= 137, "{mtu}: {seconds} s");
    }
}

#[test]
fn a_black_hole_after_a_change_of_route_is_noticed_and_measured() {
    let mut pipe = pipe(v4(1_500), 1_500, 1);
    pipe.run_until(at_ms(10_000));
    pipe.mtu = 1_420;
    pipe.run_until(at_ms(100_000));
    let hole = pipe
        .events
        .iter()
        .find(|(_, _, event)| *event == PathMtuEvent::BlackHole { was: 1_500 });
    // Confirmed every 30 s by up to three probes of 15 s.
    let (at, _, _) = *hole.expect("noticed");
    assert_eq!(at.as_ns() / 1_000_000, 160 + 30_000 + 45_000);
    pipe.run_until(at_ms(400_000));
    assert_eq!(
        (pipe.ends[0].mtu(), pipe.ends[0].state()),
        (1_420, PathMtuState::SearchComplete)
    );
    // The next usual size and one byte more fail; what is just below the old size is not tried.
    let found = pipe
        .events
        .iter()
        .rfind(|(_, _, event)| *event == PathMtuEvent::Found { mtu: 1_420 });
    let (found, _, _) = found.expect("measured");
    assert!(*found < at + Span::from_s(92), "{found:?}");
    // When the old route is back, the raise timer finds that.
    pipe.mtu = 1_500;
    pipe.run_until(at_ms(1_000_000));
    assert_eq!(pipe.ends[0].mtu(), 1_500);
}

#[test]
fn what_the_driver_notices_makes_it_faster() {
    let mut pipe = pipe(v4(1_500), 1_500, 1);
    pipe.run_until(at_ms(10_000));
    pipe.mtu = 1_420;
    pipe.tell(0, Input::Command(PathMtuCommand::Suspect));
    pipe.run_until(at_ms(55_000));
    assert_eq!(pipe.ends[0].mtu(), 1_200);
    // An ICMP message names the size: one round trip for the base, one for that size.
    pipe.run_until(at_ms(400_000));
    assert_eq!(pipe.ends[0].mtu(), 1_420);
    pipe.mtu = 1_380;
    pipe.tell(0, Input::Command(PathMtuCommand::PacketTooBig { mtu: 1_380 }));
    assert_eq!(pipe.ends[0].mtu(), 1_200);
    pipe.run_until(at_ms(400_160));
    assert_eq!(
        (pipe.ends[0].mtu(), pipe.ends[0].state()),
        (1_380, PathMtuState::SearchComplete)
    );
    // Messages that name a size above the one in use, or below what IP allows, say nothing.
    let before = pipe.events.len();
    for mtu in [1_380, 1_500, 67, 0] {
        pipe.tell(0, Input::Command(PathMtuCommand::PacketTooBig { mtu }));
    }
    assert_eq!(pipe.events.len(), before);
}

#[test]
fn a_message_during_the_search_is_tried_next() {
    let mut pipe = pipe(v4(9_000), 1_438, 1);
    pipe.run_until(at_ms(100));
    assert_eq!(pipe.ends[0].state(), PathMtuState::Searching);
    pipe.tell(0, Input::Command(PathMtuCommand::PacketTooBig { mtu: 1_438 }));
    pipe.run_until(at_ms(180));
    assert_eq!(
        (pipe.ends[0].mtu(), pipe.ends[0].state()),
        (1_438, PathMtuState::SearchComplete)
    );
}

#[test]
fn a_path_that_does_not_carry_the_base_is_an_error_until_it_does() {
    let mut pipe = pipe(v4(1_500), 1_000, 1);
    pipe.run_until(at_ms(45_000));
    assert_eq!(
        (pipe.ends[0].mtu(), pipe.ends[0].state()),
        (68, PathMtuState::Error)
    );
    pipe.run_until(at_ms(300_000));
    assert_eq!(
        pipe.events
            .iter()
            .filter(|(_, _, event)| *event == PathMtuEvent::BaseLost)
            .count(),
        1
    );
    pipe.mtu = 1_500;
    pipe.run_until(at_ms(316_000));
    assert_eq!(
        (pipe.ends[0].mtu(), pipe.ends[0].state()),
        (1_500, PathMtuState::SearchComplete)
    );
}

#[test]
fn the_search_on_1_400_bytes_takes_twelve_probes() {
    let mut pipe = pipe(v4(1_500), 1_400, 1);
    // 1,500 is lost in three timers of 15 s; 1,280 and 1,400 pass, 1,420 and then 1,401 are lost.
    pipe.run_until(at_ms(135_320));
    let of = |size, probes, purpose| (size, probes, purpose);
    let judged: Vec<(u32, u32, PathMtuPurpose)> = pipe
        .events
        .iter()
        .filter_map(|(_, _, event)| match event {
            PathMtuEvent::Passed {
                size,
                probes,
                purpose,
            }
            | PathMtuEvent::Lost {
                size,
                probes,
                purpose,
            } => Some(of(*size, *probes, *purpose)),
            _ => None,
        })
        .collect();
    use PathMtuPurpose::{Base, Search};
    assert_eq!(
        judged,
        [
            of(1_200, 1, Base),
            of(1_500, 3, Search),
            of(1_280, 1, Search),
            of(1_400, 1, Search),
            of(1_420, 3, Search),
            of(1_401, 3, Search)
        ]
    );
    assert_eq!(pipe.ends[0].probes_sent(), 12);
    // Three round trips of 80 ms and nine timers.
    let (at, _, found) = pipe.events.last().expect("an end");
    assert_eq!(*found, PathMtuEvent::Found { mtu: 1_400 });
    assert_eq!(*at, at_ms(3 * 80 + 9 * 15_000));
}

#[test]
fn the_least_size_is_the_one_asked_for() {
    let config = PathMtuConfig {
        min: 576,
        ..v4(1_500)
    };
    let mut pipe = pipe(config, 1_000, 1);
    pipe.run_until(at_ms(45_000));
    assert_eq!(
        (pipe.ends[0].mtu(), pipe.ends[0].state()),
        (576, PathMtuState::Error)
    );
}

#[test]
fn an_outage_does_not_leave_a_smaller_size_behind() {
    let mut pipe = pipe(v4(1_500), 1_500, 1);
    pipe.run_until(at_ms(1_000));
    pipe.cut = true;
    pipe.run_until(at_ms(200_000));
    assert_eq!(pipe.ends[0].state(), PathMtuState::Error);
    pipe.cut = false;
    pipe.run_until(at_ms(216_000));
    assert_eq!(pipe.ends[0].mtu(), 1_500);
}

#[test]
fn loss_and_disorder_do_not_mislead_it() {
    for seed in 0..50 {
        let mut pipe = pipe(v4(1_500), 1_412, seed);
        pipe.loss = Probability::from_ratio(2, 100).unwrap();
        pipe.duplication = Probability::from_ratio(10, 100).unwrap();
        pipe.jitter = Span::from_ms(300);
        complete(&mut pipe);
        assert_eq!(pipe.ends[0].mtu(), 1_412, "seed {seed}");
    }
}

#[test]
fn impossible_configurations_are_refused() {
    let good = v4(1_500);
    let refused = |config| PathMtu::new(config, PeerId(1)).expect_err("refused");
    assert_eq!(
        refused(v4(1_199)).to_string(),
        "sizes must rise from 68 over the least 68, the base 1200 and the largest 1199 to 65535"
    );
    assert!(matches!(refused(v4(65_536)), PathMtuError::Sizes { .. }));
    let v6 = PathMtuConfig::new(IpVersion::V6, 1_500);
    assert!(matches!(
        refused(PathMtuConfig { base: 1_279, ..v6 }),
        PathMtuError::Sizes { .. }
    ));
    for min in [67, 1_201] {
        assert!(matches!(
            refused(PathMtuConfig { min, ..good }),
            PathMtuError::Sizes { .. }
        ));
    }
    assert_eq!(
        refused(PathMtuConfig {
            max_probes: 0,
            ..good
        }),
        PathMtuError::NoProbes
    );
    let short = PathMtuConfig {
        probe_timer: Span::from_ms(999),
        ..good
    };
    assert_eq!(refused(short), PathMtuError::Timer(999_000_000));
}
