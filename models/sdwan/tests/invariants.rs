//! What holds at every moment, whatever breaks.

use std::collections::{BTreeMap, BTreeSet};

use longhaul_core::machine::PeerId;
use longhaul_core::random::Streams;
use longhaul_core::time::Span;
use longhaul_core::units::Probability;
use longhaul_sdwan::{Command, Config, Event, PathConfig, Protocol, Redundancy, Routes, SiteId};

use crate::world::{Link, World, block, key};

/// Site 0 with three paths to site 1, by policy, and three to site 2, in a fixed order.
fn three_sites(hysteresis: bool, seed: u64) -> World {
    let path = |peer: u32, site: u32| PathConfig::new(PeerId(peer), &format!("path-{peer}"), SiteId(site));
    let mut center = Config::new(
        (0..6).map(|peer| path(peer, 1 + peer / 3)).collect(),
        Routes::new([1, 2].map(|site| (block(SiteId(site)), SiteId(site)))).unwrap(),
    );
    let order = Redundancy::new(PeerId(4), vec![PeerId(3), PeerId(5)], Span::from_s(20)).unwrap();
    center.redundancy.insert(SiteId(2), order);
    let far = |first: u32| {
        let routes = Routes::new([(block(SiteId(0)), SiteId(0))]).unwrap();
        Config::new((first..first + 3).map(|peer| path(peer, 0)).collect(), routes)
    };
    let mut configs = vec![center, far(0), far(3)];
    for config in &mut configs {
        config.idle_timeout = None;
        if !hysteresis {
            config.hysteresis = None;
        }
    }
    let mut world = World::new(configs, seed);
    for peer in 0..6 {
        let mut link = Link::new(Span::from_ms(10 + 15 * u64::from(peer % 3)));
        link.jitter = Span::from_ms(5);
        world.join((0, PeerId(peer)), (1 + peer as usize / 3, PeerId(peer)), link);
    }
    world
}

#[test]
fn a_flow_is_on_a_path_to_its_site_that_is_up_whenever_there_is_one() {
    for seed in 0..6 {
        let mut world = three_sites(seed % 2 == 0, seed);
        let mut random = Streams::new(seed, 0).stream("weather", "links");
        // Which flows there are, and which path they are on by the events alone.
        let (mut known, mut on, mut read) = (BTreeSet::new(), BTreeMap::new(), 0);
        for step in 0..600 {
            world.run_for(Span::from_ms(random.below(3_000)));
            let path = random.below(6) as usize;
            let end = if random.below(2) == 0 { 0 } else { 1 + path / 3 };
            let link = world.link(end, path);
            match random.below(4) {
                0 => link.loss = Probability::from_ratio(random.below(30), 100).unwrap(),
                1 => link.delay = Span::from_ms(random.below(300)),
                _ => link.up = !link.up,
            }
            let flow = random.below(40);
            match random.below(5) {
                0 => {
                    world.command(0, Command::Ended { flow });
                    known.remove(&flow);
                }
                1 => world.command(0, Command::Reevaluate),
                _ => {
                    let port = 5060 + (flow % 3) as u16;
                    world.classify(flow, key(site_of(flow), Protocol::UDP, port));
                    known.insert(flow);
                }
            }
            for (_, edge, event) in &world.events[read..] {
                match event {
                    _ if *edge != 0 => {}
                    Event::Assigned { flow, path, .. } => assert_eq!(on.insert(*flow, *path), None),
                    Event::Moved { flow, from, to, .. } => assert_eq!(on.insert(*flow, *to), Some(*from)),
                    Event::NoPath { flow, .. } => {
                        on.remove(flow);
                    }
                    _ => {}
                }
            }
            read = world.events.len();
            on.retain(|flow, _| known.contains(flow));
            for &flow in &known {
                let edge = &world.edges[0];
                let first = 3 * (site_of(flow) - 1);
                let up: Vec<PeerId> = (first..first + 3)
                    .map(PeerId)
                    .filter(|path| edge.is_up(*path))
                    .collect();
                let path = edge.path_of(flow);
                let holds = path.map_or(up.is_empty(), |path| up.contains(&path));
                assert!(
                    holds,
                    "seed {seed}, step {step}: flow {flow} on {path:?} of {up:?}"
                );
                assert_eq!(
                    path,
                    on.get(&flow).copied(),
                    "seed {seed}, step {step}: flow {flow}"
                );
            }
        }
        assert!(
            known.len() > 10 && world.edges[0].counters().moved_flows > 100,
            "seed {seed}"
        );
    }
}

/// The site that a flow goes to.
fn site_of(flow: u64) -> u32 {
    1 + (flow % 2) as u32
}
