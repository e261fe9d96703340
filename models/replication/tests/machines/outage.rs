//! A link that fails, and what the source does when it is back.

use longhaul_core::time::{Instant, Span};
use longhaul_core::units::{BitRate, Probability};
use longhaul_frames::PayloadMode;
use longhaul_hde::EncoderOptions;
use longhaul_memory::pattern::Pattern;
use longhaul_replication::{Disconnect, ReplicaEvent, SourceEvent};

use crate::support::{Setup, World, at_ms};

/// When something was first reported by the source.
fn first(world: &World, what: impl Fn(&SourceEvent) -> bool) -> Option<Instant> {
    let found = world.source_events.iter().find(|(_, event)| what(event));
    found.map(|(at, _)| *at)
}

fn caught_up(world: &World) -> Vec<(Instant, Span, u64, u64)> {
    let caught_up = world.source_events.iter().filter_map(|(at, event)| match event {
        SourceEvent::CaughtUp {
            after, epochs, bytes, ..
        } => Some((*at, *after, *epochs, *bytes)),
        _ => None,
    });
    caught_up.collect()
}

fn resyncs(world: &World) -> u64 {
    world.source.statistics().sets.iter().map(|set| set.resyncs).sum()
}

#[test]
fn catching_up_takes_the_backlog_over_what_the_link_has_to_spare() {
    let mut setup = Setup {
        sets: vec![(0, vec![40_000])],
        pattern: Pattern::Constant,
        dirty_pages_per_s: 200,
        working_set: Probability::ONE,
        rate: BitRate::from_bits_per_s(20_000_000),
        horizon: at_ms(220_000),
        outages: vec![(at_ms(100_000), at_ms(140_000))],
        ..Setup::default()
    };
    setup.options.encoding = EncoderOptions::raw();
    setup.options.payload = PayloadMode::Sampled {
        share: Probability::from_ratio(1, 100).unwrap(),
    };
    let world = setup.run();
    assert_eq!(resyncs(&world), 0);
    let [_, (at, after, epochs, bytes)] = caught_up(&world)[..] else {
        panic!("{:?}", caught_up(&world))
    };
    // 200 pages of 4.1 kB a second are a third of the rate; 40 s of them are the backlog.
    let dirty = 200.0 * 4_098.0 * 8.0;
    let closed_form = 40.0 * dirty / (20e6 - dirty);
    let measured = after.as_s_f64();
    assert!(
        (measured / closed_form - 1.0).abs() < 0.12,
        "{measured} s in {epochs} epochs and {bytes} bytes; expected {closed_form} s"
    );
    assert!((3..=6).contains(&epochs), "{epochs}");
    assert!(at > at_ms(140_000) + after);
    // Back within the target afterwards.
    let later = world.rpo[0].distribution(at, setup.horizon);
    assert!(later.max().unwrap() <= setup.options.rpo_target, "{later:?}");
    world.compare_pages();
}

#[test]
fn a_long_silence_ends_the_session_and_the_source_comes_back_soon_after_the_link() {
    let setup = Setup {
        outages: vec![(at_ms(2_500), at_ms(6_000))],
        ..Setup::default()
    };
    let world = setup.run();
    let lost = first(&world, |event| {
        matches!(
            event,
            SourceEvent::Disconnected {
                why: Disconnect::Silence,
                ..
            }
        )
    });
    // The last answer arrived a heartbeat before at most.
    let lost = lost.unwrap();
    assert!((at_ms(2_900)..=at_ms(3_000)).contains(&lost), "{lost:?}");
    let back = world
        .source_events
        .iter()
        .rev()
        .find_map(|(at, event)| match event {
            SourceEvent::Connected { .. } => Some(*at),
            _ => None,
        });
    // Its handshake began during the outage.
    assert!(back.unwrap() <= at_ms(6_500), "{back:?}");
    assert!(
        world
            .replica_events
            .iter()
            .any(|(_, event)| matches!(event, ReplicaEvent::SourceLost { .. }))
    );
    assert!(
        world
            .replica_events
            .iter()
            .any(|(_, event)| matches!(event, ReplicaEvent::SourceBack { .. }))
    );
    assert_eq!(resyncs(&world), 0);
    assert!(world.applied(0).last().unwrap().0 > at_ms(9_000));
    world.compare_pages();
}

#[test]
fn a_short_outage_is_not_noticed() {
    let setup = Setup {
        outages: vec![(at_ms(2_500), at_ms(2_700))],
        ..Setup::default()
    };
    let world = setup.run();
    assert_eq!(world.source.statistics().sessions, 1);
    assert_eq!(world.applied(0).len(), 10);
}

#[test]
fn a_seed_goes_on_where_it_was_interrupted() {
    let mut setup = Setup {
        sets: vec![(0, vec![2_000])],
        pattern: Pattern::Constant,
        dirty_pages_per_s: 20,
        rate: BitRate::from_bits_per_s(10_000_000),
        horizon: at_ms(20_000),
        outages: vec![(at_ms(2_000), at_ms(4_000)), (at_ms(6_000), at_ms(8_000))],
        ..Setup::default()
    };
    setup.options.encoding = EncoderOptions::raw();
    let world = setup.run();
    let statistics = world.source.statistics();
    let set = statistics.sets[0];
    assert_eq!((statistics.sessions, set.resyncs), (3, 0));
    assert_eq!(set.epochs_interrupted, 2);
    // 2,000 pages and the writes of 20 s, and those frames again that were on their way.
    assert!(set.copy.pages() < 2_000 + 400 + 2 * 400, "{set:?}");
    assert_eq!(world.compare_pages(), 2_000);
    // Without the outages it would have taken 6.6 s.
    let (at, epoch, _) = world.applied(0)[0];
    assert!(epoch == 3 && at < at_ms(13_000), "{epoch} {at:?}");
}

#[test]
fn an_epoch_whose_acknowledgement_is_lost_is_not_sent_again() {
    // The second snapshot is taken at 1,085 ms; its epoch is in place 20 ms later, and the word of it is under way for
    // another 20 ms. An outage in between loses the word, and then the session.
    let setup = Setup {
        outages: vec![(at_ms(1_110), at_ms(3_000))],
        ..Setup::default()
    };
    let world = setup.run();
    assert_eq!(world.applied(0)[1].1, 2);
    assert!(world.applied(0)[1].0 < at_ms(1_110));
    let set = world.source.statistics().sets[0];
    assert_eq!((set.resyncs, set.epochs_interrupted), (0, 0), "{set:?}");
    assert_eq!(world.applied(0).len() as u64, set.epochs_done);
    world.compare_pages();
}

#[test]
fn the_death_of_a_stream_of_the_transport_is_not_an_outage() {
    let setup = Setup {
        // The control stream is number 0.
        deaths: vec![(at_ms(150), 1), (at_ms(3_333), 2)],
        ..Setup::default()
    };
    let world = setup.run();
    assert_eq!(world.source.statistics().sessions, 1);
    assert!(first(&world, |event| matches!(event, SourceEvent::StreamLost { .. })).is_some());
    assert_eq!(world.applied(0).len(), 10);
    world.compare_pages();
}

#[test]
fn the_death_of_the_control_stream_is_a_new_session() {
    let setup = Setup {
        deaths: vec![(at_ms(3_000), 0)],
        ..Setup::default()
    };
    let world = setup.run();
    assert_eq!(world.source.statistics().sessions, 2);
    assert!(
        first(&world, |event| {
            matches!(
                event,
                SourceEvent::Disconnected {
                    why: Disconnect::ControlLost,
                    ..
                }
            )
        })
        .is_some()
    );
    assert!(world.applied(0).len() >= 9);
    world.compare_pages();
}

#[test]
fn a_replica_that_is_never_reached_is_asked_less_and_less_often() {
    let mut setup = Setup {
        outages: vec![(at_ms(0), at_ms(100_000))],
        horizon: at_ms(90_000),
        ..Setup::default()
    };
    setup.options.backoff.most = Span::from_s(3);
    let world = setup.run();
    let attempts: Vec<Instant> = world
        .source_events
        .iter()
        .map(|(at, event)| {
            assert!(
                matches!(
                    event,
                    SourceEvent::NotConnected {
                        why: Disconnect::Silence,
                        ..
                    }
                ),
                "{event:?}"
            );
            *at
        })
        .collect();
    // Ten seconds each, and pauses of 0.1, 0.2, 0.4 … up to 3 s.
    assert_eq!(attempts[0], at_ms(10_005));
    assert_eq!(attempts[1] - attempts[0], Span::from_ms(10_100));
    assert_eq!(attempts[2] - attempts[1], Span::from_ms(10_200));
    assert_eq!(
        attempts
            .last()
            .unwrap()
            .saturating_since(attempts[attempts.len() - 2]),
        Span::from_s(13)
    );
    // Nothing but a bitmap remembers what was written meanwhile.
    assert_eq!(world.source.statistics().sets[0].epochs_started, 0);
}
