//! Sites that find each other through hubs.

use std::collections::BTreeMap;

use longhaul_core::machine::{Output, PeerId};
use longhaul_core::payload::Payload;
use longhaul_core::time::{Instant, Span};
use longhaul_sdwan::announcer::AnnouncerError;
use longhaul_sdwan::discovery::{self, Endpoint, Refused, public_key};
use longhaul_sdwan::{Announcer, AnnouncerConfig, Cause, Command, DiscoveryEvent, Event, SiteId};

use crate::world::{World, at_ms, block, peer, web};

fn config(site: u32, sites: u32, hubs: &[u32]) -> AnnouncerConfig {
    AnnouncerConfig {
        site: SiteId(site),
        key: [site as u8 + 1; 32],
        tunnel_key: [site as u8; 32],
        endpoints: vec![Endpoint {
            name: "edge".to_owned(),
            address: "10.0.0.1".parse().unwrap(),
            port: 51_820,
        }],
        prefixes: vec![block(SiteId(site))],
        interval: Span::from_s(10),
        hubs: hubs
            .iter()
            .filter(|hub| **hub != site)
            .map(|hub| PeerId(*hub))
            .collect(),
        relays: hubs.contains(&site),
        addresses: (0..sites).map(|site| (SiteId(site), PeerId(site))).collect(),
        directory: discovery::Config::default(),
    }
}

/// Announcers of sites numbered from 0; site i is `delays_ms[i]` from everybody, one way. `lost` says of the n-th datagram
/// whether it is.
struct Land {
    sites: Vec<Announcer>,
    delays_ms: Vec<u64>,
    now: Instant,
    under_way: BTreeMap<(Instant, u64), (PeerId, PeerId, Payload)>,
    sent: u64,
    lost: fn(u64) -> bool,
    events: Vec<(u64, u32, DiscoveryEvent)>,
}

impl Land {
    /// `forger` signs with another key than its own.
    fn new(delays_ms: &[u64], hubs: &[u32], forger: Option<u32>, lost: fn(u64) -> bool) -> Land {
        let sites = delays_ms.len() as u32;
        let make = |site| {
            let mut config = config(site, sites, hubs);
            let keys: Vec<(SiteId, [u8; 32])> = (0..sites)
                .filter(|other| *other != site)
                .map(|other| (SiteId(other), public_key(&[other as u8 + 1; 32])))
                .collect();
            if forger == Some(site) {
                config.key = [99; 32];
            }
            Announcer::new(config, keys.iter().map(|(site, key)| (*site, key.as_slice()))).unwrap()
        };
        let mut land = Land {
            sites: (0..sites).map(make).collect(),
            delays_ms: delays_ms.to_vec(),
            now: Instant::ZERO,
            under_way: BTreeMap::new(),
            sent: 0,
            lost,
            events: Vec::new(),
        };
        for site in 0..sites {
            land.sites[site as usize].start(Instant::ZERO);
            land.drain(site);
        }
        land
    }

    fn drain(&mut self, site: u32) {
        while let Some(output) = self.sites[site as usize].poll() {
            match output {
                Output::Datagram { to, payload } => {
                    let delay = self.delays_ms[site as usize] + self.delays_ms[to.0 as usize];
                    if !(self.lost)(self.sent) {
                        let at = self.now + Span::from_ms(delay);
                        self.under_way
                            .insert((at, self.sent), (PeerId(site), to, payload));
                    }
                    self.sent += 1;
                }
                Output::Event(event) => {
                    let ms = self.now.as_ns() / 1_000_000;
                    self.events.push((ms, site, event));
                }
                other => panic!("{other:?}"),
            }
        }
    }

    fn run_until(&mut self, end: Instant) {
        loop {
            let arrival = self.under_way.keys().next().map(|(at, _)| *at);
            let wake = self.sites.iter().filter_map(Announcer::due).min();
            let Some(next) = arrival.into_iter().chain(wake).min().filter(|at| *at <= end) else {
                break;
            };
            self.now = next;
            if arrival == Some(next) {
                let (_, (from, to, payload)) = self.under_way.pop_first().expect("one arrives");
                self.sites[to.0 as usize].receive(next, from, &payload);
                self.drain(to.0);
            } else {
                for site in 0..self.sites.len() as u32 {
                    self.sites[site as usize].wake(next);
                    self.drain(site);
                }
            }
        }
        self.now = end;
    }

    /// When a site first knew another, in milliseconds.
    fn known_at(&self, site: u32, other: u32) -> Option<u64> {
        let joined = DiscoveryEvent::Joined { site: SiteId(other) };
        let mut own = self
            .events
            .iter()
            .filter(|(_, at, event)| *at == site && *event == joined);
        own.next().map(|(ms, _, _)| *ms)
    }
}

fn nothing_lost(_: u64) -> bool {
    false
}

#[test]
fn without_loss_everybody_knows_everybody_after_the_longest_round_trip_to_the_hub() {
    // The hub is at distance 0, so these are the delays to it.
    let delays = [0, 30, 10, 70, 45];
    let mut land = Land::new(&delays, &[0], None, nothing_lost);
    land.run_until(at_ms(9_000));
    for site in 0..5 {
        for other in (0..5).filter(|other| *other != site) {
            let (own, far) = (delays[site as usize], delays[other as usize]);
            let expected = if site == 0 {
                far
            } else if other == 0 {
                // The hub answers the first announcement.
                2 * own
            } else {
                own.max(far) + own
            };
            assert_eq!(land.known_at(site, other), Some(expected), "{site} of {other}");
        }
    }
    let last = land.events.iter().map(|(ms, _, _)| *ms).max();
    assert_eq!(last, Some(2 * 70));
    assert!(land.sites.iter().all(|site| site.counters().refused() == 0));
    // Each of the four has announced itself once, and the hub itself to each of them; 12 were passed on.
    let sum = |of: fn(&Announcer) -> u64| land.sites.iter().map(of).sum::<u64>();
    assert_eq!(sum(|site| site.counters().announced), 8);
    assert_eq!(sum(|site| site.counters().relayed), 12);
    assert_eq!(sum(|site| site.counters().believed), 20);
    // They go on, and nobody is forgotten.
    land.run_until(at_ms(600_000));
    assert!(
        land.sites
            .iter()
            .all(|site| site.directory().active().count() == 4)
    );
    assert_eq!(sum_expired(&land), 0);
}

fn sum_expired(land: &Land) -> u64 {
    land.sites.iter().map(|site| site.counters().expired).sum()
}

#[test]
fn what_is_lost_is_announced_again() {
    // The first announcement of every site is lost, and an eighth of the rest.
    let mut land = Land::new(&[0, 30, 10, 70], &[0], None, |number| {
        number < 3 || number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 61 == 0
    });
    land.run_until(at_ms(10_000));
    assert_eq!(land.events.len(), 0);
    land.run_until(at_ms(60_000));
    assert!(
        land.sites
            .iter()
            .all(|site| site.directory().active().count() == 3)
    );
}

#[test]
fn who_signs_with_another_key_is_known_to_nobody_and_knows_nobody() {
    let mut land = Land::new(&[0, 30, 10, 70], &[0], Some(2), nothing_lost);
    land.run_until(at_ms(25_000));
    let known: Vec<usize> = land
        .sites
        .iter()
        .map(|site| site.directory().active().count())
        .collect();
    assert_eq!(known, [2, 2, 0, 2]);
    // Its three announcements have come to the hub, which passes none of them on.
    let refused: Vec<u64> = land.sites.iter().map(|site| site.counters().signature).collect();
    assert_eq!(refused, [3, 0, 0, 0]);
    let reason = Refused::Signature(SiteId(2));
    assert!(land.events.contains(&(10, 0, DiscoveryEvent::Refused { reason })));
}

#[test]
fn with_two_hubs_one_is_enough() {
    let mut land = Land::new(&[0, 0, 40, 60], &[0, 1], None, nothing_lost);
    land.run_until(at_ms(5_000));
    assert!(
        land.sites
            .iter()
            .all(|site| site.directory().active().count() == 3)
    );
    // What comes by both hubs counts once.
    let duplicates: u64 = land.sites.iter().map(|site| site.counters().duplicates).sum();
    assert!(duplicates > 0);
    assert!(land.sites.iter().all(|site| site.counters().refused() == 0));
    // Hub 0 falls silent and is forgotten, the others know each other on.
    land.sites[0] = {
        let config = AnnouncerConfig {
            interval: Span::from_s(86_400),
            hubs: Vec::new(),
            ..config(0, 4, &[])
        };
        Announcer::new(config, []).unwrap()
    };
    land.run_until(at_ms(300_000));
    let known: Vec<usize> = land.sites[1..]
        .iter()
        .map(|site| site.directory().active().count())
        .collect();
    assert_eq!(known, [2, 2, 2]);
    assert_eq!(sum_expired(&land), 3);
}

#[test]
fn impossible_announcers_are_refused() {
    let make = |change: fn(&mut AnnouncerConfig)| {
        let mut config = config(0, 2, &[0]);
        change(&mut config);
        Announcer::new(config, []).err()
    };
    assert_eq!(make(|_| {}), None);
    assert_eq!(
        make(|config| config.interval = Span::ZERO),
        Some(AnnouncerError::Interval)
    );
    assert_eq!(
        make(|config| config.endpoints.clear()),
        Some(AnnouncerError::Announcement(SiteId(0)))
    );
}

#[test]
fn paths_to_strangers_are_silent_until_they_are_met_and_again_when_they_part() {
    let mut world = World::pair(&[20, 60], |config| config.strangers = true, 1);
    world.classify(1, web());
    world.run_until(at_ms(30_000));
    assert_eq!(world.edges[0].counters().datagrams_sent, 0);
    assert!(!world.edges[0].is_up(peer(0)));
    // One that is met hears nothing of the other, who does not listen.
    world.command(0, Command::Meet { site: SiteId(1) });
    world.run_until(at_ms(60_000));
    assert!(world.edges[0].counters().datagrams_sent > 0);
    assert_eq!(world.edges[1].counters().datagrams_sent, 0);
    assert!(world.edges[1].counters().refused > 0);
    assert!(!world.edges[0].is_up(peer(0)));
    world.command(1, Command::Meet { site: SiteId(0) });
    world.run_until(at_ms(90_000));
    assert!(world.edges[0].is_up(peer(0)) && world.edges[1].is_up(peer(1)));
    assert_eq!(world.edges[0].path_of(1), Some(peer(0)));
    // To meet somebody known changes nothing.
    world.command(0, Command::Meet { site: SiteId(1) });
    assert!(world.edges[0].is_up(peer(0)));
    world.command(0, Command::Part { site: SiteId(1) });
    let sent = world.edges[0].counters().datagrams_sent;
    let down = world.happened(0, at_ms(90_000));
    assert!(down.iter().any(|(_, event)| matches!(
        event,
        Event::PathDown {
            cause: Cause::Stranger,
            ..
        }
    )));
    world.run_until(at_ms(120_000));
    assert_eq!(world.edges[0].counters().datagrams_sent, sent);
    assert_eq!(world.edges[0].path_of(1), None);
    // The other end finds the paths down.
    assert!(!world.edges[1].is_up(peer(0)));
    world.command(0, Command::Meet { site: SiteId(1) });
    world.run_until(at_ms(150_000));
    assert_eq!(world.edges[0].path_of(1), Some(peer(0)));
}
