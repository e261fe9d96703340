//! Which path flows take.

use longhaul_core::machine::{Input, Machine, Output, PeerId};
use longhaul_core::random::Streams;
use longhaul_core::time::Span;
use longhaul_core::units::{BitRate, Probability};
use longhaul_sdwan::{
    Command, Config, ConfigError, Edge, Event, NoPath, PathConfig, Protocol, Routes, SiteId, Why,
};

use crate::world::{Link, World, at_ms, block, key, peer, web};

/// Two paths to one site, of 10 ms with 1 Gbit/s and of 50 ms with 100 Mbit/s.
fn two_paths() -> World {
    let change = |config: &mut Config| {
        config.bandwidth = None;
        config.paths[0].rate = Some(BitRate::from_bits_per_s(1_000_000_000));
        config.paths[1].rate = Some(BitRate::from_bits_per_s(100_000_000));
    };
    let mut world = World::pair(&[5, 25], change, 2);
    world.run_until(at_ms(20_000));
    world
}

#[test]
fn flows_take_the_best_path_of_their_policy_and_stay_on_it() {
    let mut world = two_paths();
    for (flow, key) in [
        (1, key(1, Protocol::UDP, 5060)),
        (2, key(1, Protocol::TCP, 443)),
        (1, key(1, Protocol::UDP, 5060)),
    ] {
        world.classify(flow, key);
        assert_eq!(world.edges[0].path_of(flow), Some(peer(0)));
    }
    let assigned = |policy, flow| Event::Assigned {
        flow,
        path: peer(0),
        policy,
        why: Why::Best,
    };
    let events: Vec<Event> = world
        .happened(0, at_ms(20_000))
        .into_iter()
        .map(|(_, event)| event)
        .collect();
    assert_eq!(events, [assigned(0, 1), assigned(3, 2)]);
}

#[test]
fn a_flow_whose_path_dies_moves_and_without_any_path_waits_in_the_table() {
    let mut world = two_paths();
    world.classify(1, web());
    world.set_path(0, false);
    world.run_until(at_ms(22_000));
    assert_eq!(world.edges[0].path_of(1), Some(peer(1)));
    world.set_path(1, false);
    world.run_until(at_ms(24_000));
    assert_eq!((world.edges[0].path_of(1), world.edges[0].flows()), (None, 1));
    world.classify(2, web());
    world.set_path(1, true);
    world.run_until(at_ms(40_000));
    let why = NoPath::NoHealthyPaths;
    let events = world.happened(0, at_ms(22_001));
    for flow in 1..=2 {
        assert!(
            events
                .iter()
                .any(|(_, event)| *event == Event::NoPath { flow, why })
        );
        let assigned = |event: &Event| matches!(event, Event::Assigned { flow: own, path, why: Why::Restored, .. } if (*own, *path) == (flow, peer(1)));
        assert!(events.iter().any(|(_, event)| assigned(event)), "{events:?}");
    }
}

#[test]
fn the_destination_is_a_filter() {
    // Site 1 over a poor path, site 2 over an excellent one.
    let (one, two) = (SiteId(1), SiteId(2));
    let paths = vec![
        PathConfig::new(PeerId(0), "lte", one),
        PathConfig::new(PeerId(1), "mpls", two),
    ];
    let routes = Routes::new([
        (block(one), one),
        (block(two), two),
        (block(SiteId(3)), SiteId(3)),
    ])
    .unwrap();
    let far = |own: u32| {
        let routes = Routes::new([(block(SiteId(0)), SiteId(0))]).unwrap();
        Config::new(vec![PathConfig::new(PeerId(own), "path", SiteId(0))], routes)
    };
    let mut world = World::new(vec![Config::new(paths, routes), far(0), far(1)], 1);
    let mut poor = Link::new(Span::from_ms(90));
    poor.loss = Probability::from_ratio(1, 50).unwrap();
    world.join((0, PeerId(0)), (1, PeerId(0)), poor);
    world.join((0, PeerId(1)), (2, PeerId(1)), Link::new(Span::from_ms(5)));
    world.run_until(at_ms(20_000));
    for site in 1..5 {
        world.classify(u64::from(site), key(site, Protocol::TCP, 443));
    }
    assert_eq!(world.edges[0].path_of(1), Some(PeerId(0)));
    assert_eq!(world.edges[0].path_of(2), Some(PeerId(1)));
    let why = |flow| {
        world.events.iter().find_map(|(_, _, event)| match event {
            Event::NoPath { flow: own, why } if *own == flow => Some(*why),
            _ => None,
        })
    };
    assert_eq!((why(3), why(4)), (Some(NoPath::NoPaths), Some(NoPath::NoRoute)));
    assert_eq!(world.edges[0].flows(), 3);
}

#[test]
fn a_path_that_turns_poor_is_left_and_come_back_to_after_a_minute_above_80() {
    let mut world = two_paths();
    world.classify(1, web());
    for edge in 0..2 {
        let link = world.link(edge, 0);
        link.delay = Span::from_ms(120);
        link.loss = Probability::from_ratio(15, 100).unwrap();
    }
    world.run_until(at_ms(120_000));
    assert_eq!(world.edges[0].path_of(1), Some(peer(1)));
    for edge in 0..2 {
        *world.link(edge, 0) = Link::new(Span::from_ms(5));
    }
    // The losses leave the window within a minute, and a minute later the flow is back.
    world.run_until(at_ms(179_000));
    assert_eq!(world.edges[0].path_of(1), Some(peer(1)));
    world.run_until(at_ms(250_000));
    assert_eq!(world.edges[0].path_of(1), Some(peer(0)));
    let whys: Vec<Why> = world
        .happened(0, at_ms(20_001))
        .into_iter()
        .filter_map(|(_, event)| match event {
            Event::Moved { why, .. } => Some(why),
            _ => None,
        })
        .collect();
    assert_eq!(whys, [Why::Poor, Why::Returned]);
}

#[test]
fn a_path_too_long_for_a_high_score_is_come_back_to_as_well() {
    // Round trips of 210 and 420 ms: scores of 78 and 60 at best.
    let mut world = World::pair(&[105, 210], |config| config.bandwidth = None, 3);
    world.run_until(at_ms(60_000));
    world.classify(1, web());
    assert_eq!(world.edges[0].path_of(1), Some(peer(0)));
    world.set_path(0, false);
    world.run_until(at_ms(70_000));
    assert_eq!(world.edges[0].path_of(1), Some(peer(1)));
    world.set_path(0, true);
    world.run_until(at_ms(240_000));
    assert_eq!(world.edges[0].path_of(1), Some(peer(0)));
    assert_eq!(world.moves(0, at_ms(0)).len(), 2);
}

#[test]
fn flows_end_expire_and_choose_again_on_command() {
    let mut world = two_paths();
    for flow in 1..=3 {
        world.classify(flow, web());
    }
    world.command(0, Command::Disable { path: peer(0) });
    assert_eq!(world.edges[0].path_of(2), Some(peer(1)));
    // The other end is told, and that the path is back.
    world.run_for(Span::from_ms(100));
    assert!(!world.edges[1].is_up(peer(0)));
    world.command(0, Command::Enable { path: peer(0) });
    world.run_for(Span::from_s(10));
    assert!(world.edges[0].is_up(peer(0)) && world.edges[1].is_up(peer(0)));
    // It is on probation, so even a new choice leaves it alone.
    world.command(0, Command::Reevaluate);
    assert_eq!(world.edges[0].path_of(2), Some(peer(1)));
    world.run_for(Span::from_s(70));
    assert_eq!(world.edges[0].path_of(2), Some(peer(0)));
    world.command(0, Command::Ended { flow: 3 });
    world.run_for(Span::from_s(180));
    world.command(0, Command::Active { flow: 2 });
    world.run_for(Span::from_s(100));
    assert_eq!(world.edges[0].flows(), 1);
    let expired: Vec<Event> = world
        .events
        .iter()
        .map(|(_, _, event)| event.clone())
        .filter(|event| matches!(event, Event::Expired { .. }))
        .collect();
    assert_eq!(expired, [Event::Expired { flow: 1 }]);
}

#[test]
fn an_edge_that_is_stopped_is_silent_for_good() {
    let mut world = two_paths();
    world.classify(1, web());
    world.command(0, Command::Stop);
    let (sent, events) = (world.edges[0].counters().datagrams_sent, world.events.len());
    world.classify(2, web());
    world.run_for(Span::from_s(5));
    assert_eq!(
        (world.edges[0].flows(), world.edges[0].counters().datagrams_sent),
        (0, sent)
    );
    assert!(world.events[events..].iter().all(|(_, edge, _)| *edge == 1));
    assert!(!world.edges[1].is_up(peer(0)) && !world.edges[1].is_up(peer(1)));
    let now = world.now;
    world.edges[0].handle(now, Input::Start);
    assert_eq!(world.edges[0].poll(), Output::Idle);
}

#[test]
fn a_broken_configuration_is_refused() {
    let path = PathConfig::new(PeerId(0), "mpls", SiteId(1));
    let config = Config::new(vec![path.clone(), path], Routes::default());
    let edge = Edge::new(config, Streams::new(0, 0).stream("edge", "edge"));
    assert_eq!(edge.err(), Some(ConfigError::SamePeer(PeerId(0))));
}
