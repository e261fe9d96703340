//! How soon a failure is seen and traffic moves.

use longhaul_core::random::Streams;
use longhaul_core::time::Span;
use longhaul_sdwan::bfd::{self, Diagnostic};
use longhaul_sdwan::{Cause, Command, Config, Event, Redundancy, Why};

use crate::world::{World, at_ms, peer, web};

/// Sessions of 100 ms × 3.
fn fast(config: &mut Config) {
    config.bfd = Some(bfd::Config {
        interval: Span::from_ms(100),
        ..bfd::Config::default()
    });
    config.bandwidth = None;
}

#[test]
fn traffic_moves_within_450_ms_of_any_break() {
    let mut random = Streams::new(11, 0).stream("breaks", "times");
    let mut longest = Span::ZERO;
    for seed in 0..1_000 {
        let mut world = World::pair(&[100, 100], fast, seed);
        world.run_until(at_ms(8_000));
        world.classify(1, web());
        assert_eq!(world.edges[0].path_of(1), Some(peer(0)), "seed {seed}");
        let broken_at = at_ms(8_000) + Span::from_us(random.below(2_000_000));
        world.run_until(broken_at);
        world.set_path(0, false);
        world.run_for(Span::from_s(1));
        let moves = world.moves(0, broken_at);
        assert_eq!(moves.len(), 1, "seed {seed}");
        let (at, from, to) = moves[0];
        assert_eq!((from, to), (peer(0), peer(1)));
        longest = longest.max(at.saturating_since(broken_at));
    }
    // Detection takes 300 ms from the last message, which may have been under way for 100 ms.
    assert!(longest <= Span::from_ms(450), "{longest:?}");
    assert!(longest > Span::from_ms(300), "{longest:?}");
}

#[test]
fn a_failure_of_one_direction_is_seen_at_both_ends() {
    let mut world = World::pair(&[100, 150], fast, 1);
    world.run_until(at_ms(9_000));
    for edge in 0..2 {
        assert!(world.edges[edge].is_up(peer(0)) && world.edges[edge].is_up(peer(1)));
    }
    // What edge 0 sends vanishes; what it receives still comes.
    world.link(0, 0).up = false;
    world.run_until(at_ms(9_600));
    let cause = |edge: usize| {
        world
            .happened(edge, at_ms(9_000))
            .into_iter()
            .find_map(|(at, event)| match event {
                Event::PathDown { path, cause, .. } => Some((at, path, cause)),
                _ => None,
            })
    };
    let (at, path, deaf) = cause(1).expect("the end that hears nothing");
    assert!(at <= at_ms(9_400) && path == peer(0), "{at:?}");
    let Cause::Silence {
        silent_for,
        detection_time,
    } = deaf
    else {
        panic!("{deaf:?}")
    };
    assert_eq!(
        (silent_for, detection_time),
        (Span::from_ms(300), Span::from_ms(300))
    );
    let (told_at, path, told) = cause(0).expect("the end that is not heard");
    assert_eq!((told_at, path), (at + Span::from_ms(100), peer(0)));
    let diagnostic = Diagnostic::NeighborSignaledDown;
    assert_eq!(told, Cause::Neighbour { diagnostic });
    // While it lasts neither end believes in the path, and both do again when it has healed.
    world.run_until(at_ms(30_000));
    assert!(!world.edges[0].is_up(peer(0)) && !world.edges[1].is_up(peer(0)));
    world.link(0, 0).up = true;
    world.run_until(at_ms(40_000));
    assert!(world.edges[0].is_up(peer(0)) && world.edges[1].is_up(peer(0)));
}

#[test]
fn without_a_slow_start_sessions_come_up_sooner() {
    let up_at = |slow_start| {
        let change = |config: &mut Config| {
            fast(config);
            config.bfd = config.bfd.map(|bfd| bfd::Config { slow_start, ..bfd });
        };
        let mut world = World::pair(&[20], change, 4);
        world.run_until(at_ms(10_000));
        let events = world.happened(0, at_ms(0));
        let (at, event) = events.front().cloned().expect("it comes up");
        assert!(matches!(event, Event::PathUp { down_for: None, .. }), "{event:?}");
        at
    };
    assert!(up_at(false) < at_ms(250), "{:?}", up_at(false));
    assert!(up_at(true) < at_ms(2_100) && up_at(true) > up_at(false));
}

#[test]
fn without_sessions_lost_probes_take_a_path_down_and_answers_bring_it_back() {
    let mut world = World::pair(&[20, 30], |config| config.bfd = None, 5);
    world.run_until(at_ms(20_000));
    world.classify(1, web());
    world.set_path(0, false);
    world.run_until(at_ms(50_000));
    world.set_path(0, true);
    world.run_until(at_ms(60_000));
    let events = world.happened(0, at_ms(20_001));
    // The third lost probe was sent within 3 s of the break and given up 2 s later.
    let down = events
        .iter()
        .find(|(_, event)| matches!(event, Event::PathDown { .. }))
        .expect("down");
    assert!(down.0 <= at_ms(25_000), "{down:?}");
    assert!(matches!(
        down.1,
        Event::PathDown {
            cause: Cause::MissedProbes { missed: 3 },
            ..
        }
    ));
    let up = events
        .iter()
        .find(|(_, event)| matches!(event, Event::PathUp { .. }))
        .expect("up");
    assert!(up.0 > at_ms(50_000) && up.0 <= at_ms(53_100), "{up:?}");
    assert_eq!(world.moves(0, at_ms(20_000)).len(), 1);
}

#[test]
fn a_primary_fails_over_in_order_and_back_after_the_hold_time() {
    let change = |config: &mut Config| {
        fast(config);
        let backups = vec![peer(2), peer(1)];
        let redundancy = Redundancy::new(peer(0), backups, Span::from_s(60)).unwrap();
        config.redundancy.insert(config.paths[0].site, redundancy);
    };
    let mut world = World::pair(&[100, 10, 100], change, 6);
    world.run_until(at_ms(10_000));
    world.classify(1, web());
    // The order decides, not the score.
    assert_eq!(world.edges[0].path_of(1), Some(peer(0)));
    let (broken_at, before) = (at_ms(10_000), world.edges[0].counters().switches);
    world.set_path(0, false);
    world.run_until(at_ms(10_500));
    assert_eq!(world.edges[0].path_of(1), Some(peer(2)));
    world.set_path(2, false);
    world.run_until(at_ms(11_000));
    assert_eq!(world.edges[0].path_of(1), Some(peer(1)));
    world.set_path(0, true);
    world.run_until(at_ms(100_000));
    assert_eq!(world.edges[0].path_of(1), Some(peer(0)));
    let moves = world.moves(0, broken_at);
    assert_eq!(moves.len(), 3);
    assert!(moves[0].0.saturating_since(broken_at) <= Span::from_ms(450));
    let up = world
        .happened(0, at_ms(11_000))
        .into_iter()
        .find(|(_, event)| matches!(event, Event::PathUp { .. }));
    assert_eq!(moves[2].0, up.expect("it is mended").0 + Span::from_s(60));
    let switches: Vec<Why> = world
        .happened(0, broken_at)
        .into_iter()
        .filter_map(|(_, event)| match event {
            Event::Switched { why, .. } => Some(why),
            _ => None,
        })
        .collect();
    assert_eq!(switches, [Why::Died, Why::Died, Why::FailBack]);
    assert_eq!(world.edges[0].counters().switches - before, 3);
}

#[test]
fn a_path_that_is_promoted_comes_first() {
    let change = |config: &mut Config| {
        fast(config);
        let redundancy = Redundancy::new(peer(0), vec![peer(1)], Span::from_s(60)).unwrap();
        config.redundancy.insert(config.paths[0].site, redundancy);
    };
    let mut world = World::pair(&[10, 20, 30], change, 7);
    world.run_until(at_ms(10_000));
    world.classify(1, web());
    // One that is not in the order stays out of it.
    world.command(0, Command::Promote { path: peer(2) });
    assert_eq!(world.edges[0].path_of(1), Some(peer(0)));
    world.command(0, Command::Promote { path: peer(1) });
    assert_eq!(world.edges[0].path_of(1), Some(peer(1)));
    // The former first one is now its backup.
    world.set_path(1, false);
    world.run_until(at_ms(10_500));
    assert_eq!(world.edges[0].path_of(1), Some(peer(0)));
    let counters = world.edges[0].counters();
    assert!(counters.probes_answered > 20 && counters.probes_sent - counters.probes_answered <= 3);
}
