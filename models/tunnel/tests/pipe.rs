//! Two machines with a pipe between them.

use std::collections::BTreeMap;

use longhaul_core::machine::{Input, Machine, Output, PeerId};
use longhaul_core::payload::Payload;
use longhaul_core::random::{Stream, Streams};
use longhaul_core::time::{Instant, Span};
use longhaul_core::units::Probability;
use longhaul_tunnel::{Config, Control, IpVersion, Role, Tunnel, tunnel_name};

pub fn at_ms(ms: u64) -> Instant {
    Instant::ZERO + Span::from_ms(ms)
}

/// Two ends, 0 and 1, and what the pipe between them does.
pub struct Pipe<M: Machine> {
    pub ends: [M; 2],
    pub now: Instant,
    pub delay: Span,
    /// Up to this is added to the delay at random, so packets overtake each other.
    pub jitter: Span,
    pub loss: Probability,
    pub duplication: Probability,
    /// Nothing passes.
    pub cut: bool,
    /// Longer packets do not pass. Headers count.
    pub mtu: u32,
    pub header_bytes: u32,
    /// Between two things that happen, both ends are woken for nothing.
    pub restless: bool,
    /// Everything that was sent: when, by whom, bytes of payload.
    pub sent: Vec<(Instant, usize, u64)>,
    pub events: Vec<(Instant, usize, M::Event)>,
    wakes: [Option<Instant>; 2],
    flying: BTreeMap<(Instant, u64), (usize, Payload)>,
    count: u64,
    random: Stream,
}

impl<M: Machine> Pipe<M> {
    /// 40 ms each way, nothing lost.
    pub fn new(ends: [M; 2], seed: u64) -> Pipe<M> {
        Pipe {
            ends,
            now: Instant::ZERO,
            delay: Span::from_ms(40),
            jitter: Span::ZERO,
            loss: Probability::ZERO,
            duplication: Probability::ZERO,
            cut: false,
            mtu: u32::MAX,
            header_bytes: 28,
            restless: false,
            sent: Vec::new(),
            events: Vec::new(),
            wakes: [None; 2],
            flying: BTreeMap::new(),
            count: 0,
            random: Streams::new(seed, 0).stream("pipe", "test"),
        }
    }

    pub fn start(&mut self) {
        self.tell(0, Input::Start);
        self.tell(1, Input::Start);
    }

    pub fn tell(&mut self, end: usize, input: Input<M::Command>) {
        self.ends[end].handle(self.now, input);
        loop {
            match self.ends[end].poll() {
                Output::Datagram { to, payload } => {
                    assert_eq!(to, PeerId(1 - end as u32));
                    self.carry(end, &payload);
                }
                Output::Event(event) => self.events.push((self.now, end, event)),
                Output::WakeAt { at, .. } => {
                    assert!(at > self.now, "a wake that is due already");
                    self.wakes[end] = Some(at);
                    break;
                }
                Output::Idle => {
                    self.wakes[end] = None;
                    break;
                }
                _ => panic!("neither tunnels nor probes use streams"),
            }
        }
    }

    fn carry(&mut self, from: usize, payload: &Payload) {
        self.sent.push((self.now, from, payload.len()));
        let too_long = payload.len() + u64::from(self.header_bytes) > u64::from(self.mtu);
        if self.cut || too_long || self.random.chance(self.loss) {
            return;
        }
        let copies = 1 + u64::from(self.random.chance(self.duplication));
        for _ in 0..copies {
            let more = self.random.below(self.jitter.as_ns() + 1);
            let at = self.now + self.delay + Span::from_ns(more);
            self.count += 1;
            self.flying.insert((at, self.count), (1 - from, payload.clone()));
        }
    }

    /// Runs up to this time, inclusive.
    pub fn run_until(&mut self, end: Instant) {
        loop {
            let arrival = self.flying.first_key_value().map(|((at, _), _)| *at);
            let wake = self.wakes.iter().flatten().min().copied();
            let next = [arrival, wake].into_iter().flatten().min();
            let Some(next) = next.filter(|next| *next <= end) else {
                break;
            };
            if self.restless {
                self.now = Instant::from_ns(self.now.as_ns().midpoint(next.as_ns()));
                self.tell(0, Input::Wake);
                self.tell(1, Input::Wake);
            }
            self.now = next;
            if arrival == Some(next) {
                let (_, (to, payload)) = self.flying.pop_first().expect("an arrival");
                let from = PeerId(1 - to as u32);
                self.tell(to, Input::Datagram { from, payload });
            } else {
                let end = usize::from(self.wakes[0] != Some(next));
                self.tell(end, Input::Wake);
            }
        }
        self.now = end;
    }
}

/// Both ends of a tunnel from a to b, at the peers 0 and 1.
pub fn tunnel(control: Control, seed: u64) -> Pipe<Tunnel> {
    let streams = Streams::new(seed, 0);
    let end = |role, name: &str, peer| {
        let config = Config {
            name: tunnel_name("a", "b"),
            outer: IpVersion::V4,
            role,
            control,
        };
        Tunnel::new(config, PeerId(peer), streams.stream(name, "tunnel")).expect("a valid configuration")
    };
    Pipe::new([end(Role::Initiator, "a", 1), end(Role::Responder, "b", 0)], seed)
}
