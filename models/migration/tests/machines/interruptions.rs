//! Networks that fail, guests that somebody wants to stay, and destinations that are called again.

use longhaul_core::time::{Instant, Span};
use longhaul_core::units::{BitRate, ByteSize, Probability};
use longhaul_hde::EncoderOptions;
use longhaul_memory::ReadOptions;
use longhaul_memory::locality::Locality;
use longhaul_migration::{
    DestinationEvent, Encoding, Mode, PayloadMode, Recover, SourceEvent, SourceFailure, Status, Switch,
};
use proptest::prelude::*;

use crate::support::{Setup, World};

fn ms(ms: u64) -> Instant {
    Instant::ZERO + Span::from_ms(ms)
}

fn recover(attempts: u16) -> Option<Recover> {
    Some(Recover {
        delay: Span::from_ms(500),
        attempts,
    })
}

/// A guest of 8 MiB whose migration takes about a second, over a transport that gives up two seconds after the network.
fn fragile(mode: Mode) -> Setup {
    let mut setup = Setup {
        mode,
        mib: 8,
        vcpus: 2,
        dirty_pages_per_s: 3_000,
        working_set: Probability::from_ratio(1, 2).unwrap(),
        reads: ReadOptions {
            pages_per_s: 3_000,
            working_set: Probability::ONE,
            locality: Locality::Uniform,
        },
        encoding: Encoding::Hde(EncoderOptions::raw()),
        device_state: ByteSize::from_kib(64),
        give_up: Span::from_ms(500),
        horizon: Instant::ZERO + Span::from_s(300),
        ..Setup::default()
    };
    setup.transport.patience = Span::from_s(2);
    setup
}

fn happened(world: &World, is: impl Fn(&SourceEvent) -> bool) -> bool {
    world.source_time(is).is_some()
}

#[test]
fn a_network_that_fails_during_pre_copy_leaves_the_guest_at_the_source() {
    let setup = Setup {
        outages: vec![(ms(300), ms(60_000))],
        ..fragile(Mode::PreCopy)
    };
    let world = setup.run();
    assert!(world.source.runs_guest() && !world.destination.runs_guest());
    assert_eq!(world.stood_still, Span::ZERO);
    assert!(happened(&world, |event| matches!(
        event,
        SourceEvent::Failed {
            reason: SourceFailure::Transport { .. }
        }
    )));
    assert!(!happened(&world, |event| matches!(
        event,
        SourceEvent::Paused { .. }
    )));
}

#[test]
fn a_short_outage_delays_and_loses_nothing() {
    for mode in [Mode::PreCopy, Mode::PostCopy] {
        for length in [100, 1_500] {
            let setup = Setup {
                outages: vec![(ms(300), ms(300 + length))],
                ..fragile(mode)
            };
            let world = setup.run();
            assert_eq!(world.compare_pages(), setup.pages());
            assert_eq!(world.statistics().interruptions, 0);
        }
    }
}

#[test]
fn post_copy_is_paused_and_goes_on_with_what_is_missing() {
    let setup = Setup {
        outages: vec![(ms(400), ms(9_000))],
        recover: recover(20),
        ..fragile(Mode::PostCopy)
    };
    let world = setup.run();
    assert_eq!(world.compare_pages(), setup.pages());
    let statistics = world.statistics();
    assert!(statistics.interruptions > 1, "some attempts come too early");
    let missing = world.source_events.iter().find_map(|(_, event)| match event {
        SourceEvent::Recovered { missing_pages } => Some(*missing_pages),
        _ => None,
    });
    // At 80 Mbit/s most of the memory was on its way.
    assert!((1..setup.pages()).contains(&missing.unwrap()), "{missing:?}");
    // What was lost on its way is sent again, and nothing else.
    assert!(statistics.copy.pages() < 2 * setup.pages());
    let paused = |event: &DestinationEvent| matches!(event, DestinationEvent::SourceLost { .. });
    assert!(world.destination_events.iter().any(|(_, event)| paused(event)));
    let arrival = world.destination.statistics();
    assert!(arrival.longest_fault > Span::from_s(5), "{arrival:?}");
    assert!(world.destination.runs_guest());
}

#[test]
fn without_recovery_post_copy_stays_paused_and_the_guest_runs_on_what_it_has() {
    let setup = Setup {
        outages: vec![(ms(400), ms(9_000))],
        ..fragile(Mode::PostCopy)
    };
    let world = setup.run();
    assert!(world.completed().is_none());
    assert_eq!(world.source.statistics().status, Status::PostcopyPaused);
    assert!(world.destination.runs_guest() && !world.source.runs_guest());
    assert!(world.destination.missing_pages() > 0);
}

/// When the guest was stopped in an undisturbed run.
fn pause_of(setup: &Setup) -> Instant {
    let calm = setup.run();
    calm.source_time(|event| matches!(event, SourceEvent::GuestPaused { .. }))
        .unwrap()
}

/// When the guest ran at the destination in an undisturbed run.
fn resumption_of(setup: &Setup) -> Instant {
    let calm = setup.run();
    let resumed =
        |(_, event): &&(Instant, DestinationEvent)| matches!(event, DestinationEvent::Resumed { .. });
    calm.destination_events.iter().find(resumed).unwrap().0
}

#[test]
fn a_guest_whose_destination_has_not_got_everything_comes_back() {
    // The last message is on its way when the network fails, for longer than the transport waits.
    let calm = fragile(Mode::PreCopy);
    let resumed = resumption_of(&calm);
    let outage = (resumed - calm.delay / 2, resumed + Span::from_s(20));
    let with = |recover| Setup {
        outages: vec![outage],
        recover,
        ..calm.clone()
    };
    let alone = with(None).run();
    assert!(!alone.source.runs_guest() && !alone.destination.runs_guest());
    assert_eq!(alone.source.statistics().status, Status::PostcopyPaused);
    let world = with(recover(30)).run();
    assert!(world.source.runs_guest() && !world.destination.runs_guest());
    assert!(happened(&world, |event| *event == SourceEvent::GuestResumed));
    assert!(happened(&world, |event| matches!(
        event,
        SourceEvent::Failed {
            reason: SourceFailure::NotResumed
        }
    )));
    assert!(
        world
            .destination_events
            .iter()
            .any(|(_, event)| *event == DestinationEvent::Abandoned)
    );
}

#[test]
fn an_answer_that_was_lost_is_given_again() {
    let calm = fragile(Mode::PreCopy);
    let resumed = calm
        .run()
        .destination_events
        .iter()
        .find(|(_, event)| matches!(event, DestinationEvent::Resumed { .. }))
        .unwrap()
        .0;
    let setup = Setup {
        outages: vec![(resumed + Span::from_ms(1), resumed + Span::from_s(20))],
        recover: recover(30),
        ..calm
    };
    let world = setup.run();
    assert_eq!(world.compare_pages(), setup.pages());
    let statistics = world.statistics();
    assert!(statistics.interruptions > 0);
    // The guest did not notice.
    assert!(statistics.downtime.unwrap() < Span::from_ms(400));
    assert!(statistics.downtime_at_source.unwrap() > Span::from_s(10));
}

#[test]
fn a_cancelled_guest_stays_and_one_that_may_have_moved_does_not() {
    let calm = fragile(Mode::PreCopy);
    let paused = pause_of(&calm);
    for (at, stays) in [
        (ms(1), true),
        (ms(200), true),
        (paused + Span::from_ms(20), true),
        (paused + Span::from_ms(300), false),
        (paused + Span::from_s(20), false),
    ] {
        let setup = Setup {
            cancel: Some(at),
            ..calm.clone()
        };
        let world = setup.run();
        assert_eq!(world.source.runs_guest(), stays, "{at:?}");
        assert_eq!(world.destination.runs_guest(), !stays, "{at:?}");
        let status = world.source.statistics().status;
        assert_eq!(status == Status::Cancelled, stays, "{at:?}");
        if stays {
            assert!(world.stood_still < Span::from_ms(21));
        } else {
            assert_eq!(world.compare_pages(), setup.pages());
        }
    }
    let setup = Setup {
        cancel: Some(ms(400)),
        ..fragile(Mode::PostCopy)
    };
    let world = setup.run();
    assert!(happened(&world, |event| *event == SourceEvent::CancelRefused));
    assert_eq!(world.compare_pages(), setup.pages());
}

#[test]
fn a_transport_that_gets_nothing_across_is_said_to_have_stalled() {
    let mut setup = Setup {
        outages: vec![(ms(300), ms(20_000))],
        give_up: Span::from_s(100),
        ..fragile(Mode::PreCopy)
    };
    setup.transport.patience = Span::from_s(60);
    let world = setup.run();
    let stalled = world
        .source_time(|event| matches!(event, SourceEvent::Stalled { .. }))
        .unwrap();
    assert!(stalled >= ms(10_000) && stalled < ms(10_400), "{stalled:?}");
    assert_eq!(world.compare_pages(), setup.pages());
}

prop_compose! {
    fn any_troubles()(
        mode in prop::sample::select(vec![
            Mode::PreCopy,
            Mode::PostCopy,
            Mode::Hybrid { switch: Switch::Rounds(1) },
            Mode::Hybrid { switch: Switch::After(Span::from_ms(700)) },
        ]),
        encoding in prop::sample::select(vec![
            Encoding::Hde(EncoderOptions::raw()),
            Encoding::Hde(EncoderOptions::hde(1)),
            Encoding::Xbzrle { cache: ByteSize::from_mib(1) },
        ]),
        preempt in any::<bool>(),
        sampled in any::<bool>(),
        vcpus in 1u32..4,
        delay_ms in 1u64..80,
        resume_ms in 0u64..60,
        cancel_ms in prop::option::weighted(0.3, 0u64..4_000),
        outages_ms in prop::collection::vec((0u64..2_500, 1u64..6_000), 0..4),
        deaths_ms in prop::collection::vec((0u64..3_000, 0u32..6), 0..6),
        back_deaths_ms in prop::collection::vec((0u64..3_000, 0u32..3), 0..3),
    ) -> Setup {
        let mut at = 0;
        let outages = outages_ms.into_iter().map(|(gap, length)| {
            let from = at + gap;
            at = from + length;
            (ms(from), ms(at))
        });
        let deaths = deaths_ms.into_iter().map(|(at, stream)| (ms(at), stream));
        let back_deaths = back_deaths_ms.into_iter().map(|(at, stream)| (ms(at), (1 << 23) + stream));
        Setup {
            outages: outages.collect(),
            deaths: deaths.chain(back_deaths).collect(),
            encoding,
            preempt,
            vcpus,
            mib: 4,
            delay: Span::from_ms(delay_ms),
            resume_time: Span::from_ms(resume_ms),
            cancel: cancel_ms.map(ms),
            recover: recover(60),
            payload: if sampled {
                PayloadMode::Sampled { share: Probability::from_ratio(1, 3).unwrap() }
            } else {
                PayloadMode::Real
            },
            ..fragile(mode)
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever happens, the guest ends on one side, whole; the world checks at every moment that it is on one at most.
    #[test]
    fn no_trouble_loses_a_guest_or_runs_it_twice(setup in any_troubles()) {
        check(&setup);
    }
}

fn check(setup: &Setup) {
    let world = setup.run();
    let runs = (world.source.runs_guest(), world.destination.runs_guest());
    let said = || format!("{:?} {:?}", world.source_events, world.destination_events);
    // In the end the network is there, and there are attempts enough.
    assert!(
        runs == (true, false) || runs == (false, true),
        "{runs:?} {}",
        said()
    );
    assert_eq!(world.completed().is_some(), runs.1, "{}", said());
    if runs.1 {
        assert_eq!(world.destination.missing_pages(), 0);
        let compared = world.compare_pages();
        assert!(compared > 0);
        assert!(setup.payload != PayloadMode::Real || compared == setup.pages());
    } else {
        let status = world.source.statistics().status;
        assert!(matches!(status, Status::Failed | Status::Cancelled), "{}", said());
    }
}

#[test]
#[ignore = "a minute; run with --ignored after a change of the protocol"]
fn thousands_of_troubles_lose_no_guest() {
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        rng_seed: proptest::test_runner::RngSeed::Fixed(1),
        ..ProptestConfig::with_cases(3_000)
    });
    // A panic in a case is reported once, when it is minimal.
    std::panic::set_hook(Box::new(|_| ()));
    runner
        .run(&any_troubles(), |setup| {
            check(&setup);
            Ok(())
        })
        .unwrap();
}

#[test]
fn a_rate_of_next_to_nothing_is_no_trouble() {
    let setup = Setup {
        rate: BitRate::from_bits_per_s(2_000_000),
        mib: 1,
        ..fragile(Mode::PostCopy)
    };
    assert_eq!(setup.run().compare_pages(), setup.pages());
}
