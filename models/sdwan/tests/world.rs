//! A small world: edges, and links between them that delay, lose, spread and break.

use std::collections::{BTreeMap, VecDeque};

use longhaul_core::machine::{Input, Machine, Output, PeerId};
use longhaul_core::payload::Payload;
use longhaul_core::random::{Stream, Streams};
use longhaul_core::time::{Instant, Span};
use longhaul_core::units::{BitRate, Probability};
use longhaul_sdwan::{Command, Config, Edge, Event, FlowKey, PathConfig, Prefix, Protocol, Routes, SiteId};

/// The point of time so many milliseconds after the start.
pub fn at_ms(ms: u64) -> Instant {
    Instant::ZERO + Span::from_ms(ms)
}

/// One direction of a path.
#[derive(Clone, Debug)]
pub struct Link {
    /// Propagation.
    pub delay: Span,
    /// A uniform random delay is added, up to this; order is kept.
    pub jitter: Span,
    /// Share of datagrams that vanish.
    pub loss: Probability,
    /// Serialisation, with 28 bytes of headers on each datagram.
    pub rate: Option<BitRate>,
    /// Whether anything passes. What is under way when it breaks still arrives.
    pub up: bool,
    free_at: Instant,
    last_arrival: Instant,
}

impl Link {
    /// A perfect link of this delay.
    pub fn new(delay: Span) -> Link {
        Link {
            delay,
            jitter: Span::ZERO,
            loss: Probability::ZERO,
            rate: None,
            up: true,
            free_at: Instant::ZERO,
            last_arrival: Instant::ZERO,
        }
    }
}

/// Where a direction of a path begins: at which edge, over which peer.
pub type End = (usize, PeerId);

pub struct World {
    pub now: Instant,
    pub edges: Vec<Edge>,
    wakes: Vec<Option<Instant>>,
    /// Each direction by where it begins, and where it ends.
    pub links: BTreeMap<End, (End, Link)>,
    under_way: BTreeMap<(Instant, u64), (End, Payload)>,
    sent: u64,
    pub events: Vec<(Instant, usize, Event)>,
    /// Wakes so far.
    pub woken: u64,
    stream: Stream,
}

impl World {
    /// Edges that have started, joined by nothing yet.
    pub fn new(configs: Vec<Config>, seed: u64) -> World {
        let streams = Streams::new(seed, 0);
        let edge = |(number, config)| Edge::new(config, streams.stream(&format!("edge-{number}"), "edge"));
        let edges: Result<Vec<Edge>, _> = configs.into_iter().enumerate().map(edge).collect();
        let edges = edges.expect("valid configurations");
        let mut world = World {
            now: Instant::ZERO,
            wakes: vec![None; edges.len()],
            edges,
            links: BTreeMap::new(),
            under_way: BTreeMap::new(),
            sent: 0,
            events: Vec::new(),
            woken: 0,
            stream: streams.stream("world", "links"),
        };
        for edge in 0..world.edges.len() {
            world.handle(edge, Input::Start);
        }
        world
    }

    /// Two sites joined by as many paths as there are delays: path `n` is peer `n` at both ends, site 1 is behind
    /// 10.1.0.0/16 and belongs to edge 1, site 0 likewise.
    pub fn pair(delays_ms: &[u64], change: impl Fn(&mut Config), seed: u64) -> World {
        let config = |own: u32| {
            let other = SiteId(1 - own);
            let path = |number: usize| PathConfig::new(peer(number), &format!("path-{number}"), other);
            let routes = Routes::new([(block(other), other)]).expect("one route");
            let mut config = Config::new((0..delays_ms.len()).map(path).collect(), routes);
            change(&mut config);
            config
        };
        let mut world = World::new(vec![config(0), config(1)], seed);
        for (number, delay) in delays_ms.iter().enumerate() {
            world.join(
                (0, peer(number)),
                (1, peer(number)),
                Link::new(Span::from_ms(*delay)),
            );
        }
        world
    }

    /// Joins two ends by the same link in both directions.
    pub fn join(&mut self, one: End, other: End, link: Link) {
        self.links.insert(one, (other, link.clone()));
        self.links.insert(other, (one, link));
    }

    /// The link from an edge over a path.
    pub fn link(&mut self, edge: usize, path: usize) -> &mut Link {
        &mut self.links.get_mut(&(edge, peer(path))).expect("a link").1
    }

    /// Breaks or mends both directions of a path of a pair.
    pub fn set_path(&mut self, path: usize, up: bool) {
        self.link(0, path).up = up;
        self.link(1, path).up = up;
    }

    /// Gives an edge a command.
    pub fn command(&mut self, edge: usize, command: Command) {
        self.handle(edge, Input::Command(command));
    }

    /// Puts a flow of edge 0 to a site.
    pub fn classify(&mut self, flow: u64, key: FlowKey) {
        self.command(0, Command::Classify { flow, key });
    }

    fn handle(&mut self, edge: usize, input: Input<Command>) {
        self.edges[edge].handle(self.now, input);
        loop {
            match self.edges[edge].poll() {
                Output::Datagram { to, payload } => self.carry((edge, to), payload),
                Output::Event(event) => self.events.push((self.now, edge, event)),
                Output::WakeAt { at, .. } => {
                    self.wakes[edge] = Some(at);
                    return;
                }
                Output::Idle => {
                    self.wakes[edge] = None;
                    return;
                }
                other => panic!("an edge opens no streams: {other:?}"),
            }
        }
    }

    fn carry(&mut self, from: End, payload: Payload) {
        let Some((to, link)) = self.links.get_mut(&from) else {
            return;
        };
        let lost = self.stream.chance(link.loss);
        if !link.up || lost {
            return;
        }
        let mut leaves = self.now;
        if let Some(rate) = link.rate {
            leaves = leaves.max(link.free_at) + rate.time_for(payload.len() + 28);
            link.free_at = leaves;
        }
        let jitter = Span::from_ns(self.stream.below(link.jitter.as_ns() + 1));
        let at = (leaves + link.delay + jitter).max(link.last_arrival);
        link.last_arrival = at;
        self.under_way.insert((at, self.sent), (*to, payload));
        self.sent += 1;
    }

    /// Lets time pass until `end`, and everything happen that is due by then.
    pub fn run_until(&mut self, end: Instant) {
        loop {
            let arrival = self.under_way.keys().next().map(|(at, _)| *at);
            let wake = self.wakes.iter().flatten().min().copied();
            let Some(next) = arrival.into_iter().chain(wake).min().filter(|next| *next <= end) else {
                break;
            };
            self.now = self.now.max(next);
            if arrival == Some(next) {
                let (_, ((edge, peer), payload)) = self.under_way.pop_first().expect("one arrives");
                let input = Input::Datagram { from: peer, payload };
                self.handle(edge, input);
            } else {
                let edge = self
                    .wakes
                    .iter()
                    .position(|wake| *wake == Some(next))
                    .expect("one wakes");
                self.woken += 1;
                self.handle(edge, Input::Wake);
            }
        }
        self.now = end;
    }

    /// Runs for so long.
    pub fn run_for(&mut self, span: Span) {
        self.run_until(self.now + span);
    }

    /// What happened at an edge since `from`, without measurements.
    pub fn happened(&self, edge: usize, from: Instant) -> VecDeque<(Instant, Event)> {
        let measured = |event: &Event| matches!(event, Event::Measured(_) | Event::Rate { .. });
        let events = self.events.iter();
        let own = events.filter(|(at, own, event)| *own == edge && *at >= from && !measured(event));
        own.map(|(at, _, event)| (*at, event.clone())).collect()
    }

    /// Moves of flows at an edge since `from`.
    pub fn moves(&self, edge: usize, from: Instant) -> Vec<(Instant, PeerId, PeerId)> {
        let moved = |(at, event): (Instant, Event)| match event {
            Event::Moved { from, to, .. } => Some((at, from, to)),
            _ => None,
        };
        self.happened(edge, from).into_iter().filter_map(moved).collect()
    }
}

/// The peer of a path of a pair.
pub fn peer(path: usize) -> PeerId {
    PeerId(path as u32)
}

/// The block of a site.
pub fn block(site: SiteId) -> Prefix {
    Prefix::new(format!("10.{}.0.0", site.0).parse().unwrap(), 16).unwrap()
}

/// A flow to a site.
pub fn key(site: u32, protocol: Protocol, port: u16) -> FlowKey {
    FlowKey {
        source: "192.168.1.7".parse().unwrap(),
        destination: format!("10.{site}.0.9").parse().unwrap(),
        protocol,
        source_port: 40_000,
        destination_port: port,
        class: None,
    }
}

/// HTTPS to site 1.
pub fn web() -> FlowKey {
    key(1, Protocol::TCP, 443)
}
