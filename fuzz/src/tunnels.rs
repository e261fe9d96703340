//! Tunnels: what may arrive at their ends, in any order, damaged or not, and at the ends of path MTU discovery.

use bytes::Bytes;
use longhaul_core::machine::{Input, Machine, Output, PeerId};
use longhaul_core::payload::Payload;
use longhaul_core::random::Streams;
use longhaul_core::time::{Instant, Span};
use longhaul_tunnel::path_mtu::{PathMtu, PathMtuCommand, PathMtuConfig};
use longhaul_tunnel::{
    Command, Config, Control, Event, GreKeepalive, IpVersion, IpsecConfig, Role, Tunnel, WireGuardConfig,
};

use crate::bytes::{Decisions, noise};

/// Two machines and the datagrams between them, which wait until something is decided about them.
struct Pair<M: Machine> {
    ends: [M; 2],
    now: Instant,
    wakes: [Option<Instant>; 2],
    /// To whom, and what.
    waiting: Vec<(usize, Bytes)>,
    events: [Vec<M::Event>; 2],
}

/// Datagrams beyond this number are lost.
const MAX_WAITING: usize = 64;

impl<M: Machine> Pair<M> {
    fn new(ends: [M; 2]) -> Pair<M> {
        let mut pair = Pair {
            ends,
            now: Instant::ZERO,
            wakes: [None; 2],
            waiting: Vec::new(),
            events: [Vec::new(), Vec::new()],
        };
        pair.tell(0, Input::Start);
        pair.tell(1, Input::Start);
        pair
    }

    fn tell(&mut self, end: usize, input: Input<M::Command>) {
        self.ends[end].handle(self.now, input);
        loop {
            match self.ends[end].poll() {
                Output::Datagram { to, payload } => {
                    assert_eq!(to, PeerId(1 - end as u32), "a datagram to somebody else");
                    let Payload::Real(bytes) = payload else {
                        panic!("a datagram without content")
                    };
                    if self.waiting.len() < MAX_WAITING {
                        self.waiting.push((1 - end, bytes));
                    }
                }
                Output::Event(event) => self.events[end].push(event),
                Output::WakeAt { at, .. } => {
                    assert!(at > self.now, "a wake in the past");
                    self.wakes[end] = Some(at);
                    return;
                }
                Output::Idle => {
                    self.wakes[end] = None;
                    return;
                }
                _ => panic!("a stream"),
            }
        }
    }

    fn receive(&mut self, end: usize, bytes: Bytes) {
        let from = PeerId(1 - end as u32);
        let payload = bytes.into();
        self.tell(end, Input::Datagram { from, payload });
    }

    /// Lets time pass; every wake that is asked for meanwhile comes.
    fn pass(&mut self, span: Span) {
        let until = self.now + span;
        while let Some(at) = self
            .wakes
            .iter()
            .flatten()
            .min()
            .copied()
            .filter(|at| *at <= until)
        {
            self.now = at;
            let end = usize::from(self.wakes[0] != Some(at));
            self.tell(end, Input::Wake);
        }
        self.now = until;
    }

    /// Decides about one of the datagrams, or makes one up.
    fn datagram(&mut self, decisions: &mut Decisions<'_>, passes: impl Fn(&Bytes) -> bool) {
        let which = decisions.below(MAX_WAITING);
        let Some((to, bytes)) = self.waiting.get(which % self.waiting.len().max(1)).cloned() else {
            let len = decisions.below(400);
            let bytes = Bytes::copy_from_slice(decisions.take(len));
            self.receive(which % 2, bytes);
            return;
        };
        let which = which % self.waiting.len();
        let kept = match decisions.below(8) {
            // It comes, and will come again.
            0 => true,
            // It comes damaged.
            1 => {
                let mut damaged = bytes.to_vec();
                let at = decisions.below(damaged.len());
                damaged[at] ^= decisions.byte();
                damaged.truncate(damaged.len() - decisions.below(2));
                self.waiting.remove(which);
                self.receive(to, damaged.into());
                return;
            }
            // It is lost.
            2 => {
                self.waiting.remove(which);
                return;
            }
            _ => false,
        };
        if !kept {
            self.waiting.remove(which);
        }
        if passes(&bytes) {
            self.receive(to, bytes);
        }
    }
}

fn control(decisions: &mut Decisions<'_>) -> Control {
    match decisions.below(6) {
        0 | 1 => Control::WireGuard(WireGuardConfig {
            persistent_keepalive: [None, Some(Span::from_s(25))][decisions.below(2)],
        }),
        2 | 3 => Control::Ipsec(IpsecConfig {
            nat_traversal: decisions.below(2) == 1,
            rekey_after: Span::from_s(100),
            lifetime: Span::from_s(120),
            ..IpsecConfig::default()
        }),
        4 => Control::Gre {
            key: decisions.below(2) == 1,
            keepalive: Some(GreKeepalive::default()),
        },
        _ => Control::Vxlan,
    }
}

/// Two ends of a tunnel: what they tell and whether they are up agree, and wakes lie ahead.
pub fn ends(data: &[u8]) {
    let mut decisions = Decisions::new(data);
    let control = control(&mut decisions);
    let end = |role, name: &str, peer| {
        let config = Config {
            name: "tunnel-a-b".to_owned(),
            outer: IpVersion::V4,
            role,
            control,
        };
        let random = Streams::new(1, 0).stream(name, "tunnel");
        Tunnel::new(config, PeerId(peer), random).expect("a sound configuration")
    };
    let mut pair = Pair::new([end(Role::Initiator, "a", 1), end(Role::Responder, "b", 0)]);
    let mut up = [false; 2];
    while !decisions.is_over() {
        match decisions.below(8) {
            0 => {
                let ms = 1u64 << decisions.below(20);
                pair.pass(Span::from_ms(ms));
            }
            1 => {
                let command = [
                    Command::Establish,
                    Command::Teardown,
                    Command::Sent,
                    Command::Received,
                ];
                let command = command[decisions.below(4)];
                pair.tell(decisions.below(2), Input::Command(command));
            }
            2 => {
                let len = decisions.below(200);
                let bytes = Bytes::copy_from_slice(decisions.take(len));
                pair.receive(decisions.below(2), bytes);
            }
            _ => pair.datagram(&mut decisions, |_| true),
        }
        for (end, up) in up.iter_mut().enumerate() {
            for event in pair.events[end].drain(..) {
                match event {
                    Event::Up { .. } => assert!(!std::mem::replace(up, true), "up twice"),
                    Event::Down { .. } => assert!(std::mem::take(up), "down twice"),
                    Event::Rekeyed { .. } => assert!(*up, "renewed while down"),
                    Event::Retransmitted { .. } | Event::HandshakeFailed { .. } | Event::Refused { .. } => {}
                }
            }
            assert_eq!(*up, pair.ends[end].is_up(), "what was told differs from what is");
        }
    }
}

/// Each kind of tunnel, established, renewed and torn down.
pub fn ends_seeds() -> Vec<Vec<u8>> {
    let kinds: [&[u8]; 5] = [&[0, 1], &[0, 0], &[2, 1], &[4, 1], &[5]];
    let seeds = (0..).zip(kinds).map(|(number, kind)| {
        let mut bytes = kind.to_vec();
        for round in 0..6 {
            // Deliver four in order, tell of traffic, let time pass.
            for _ in 0..4 {
                bytes.extend([3, 0, 7]);
            }
            bytes.extend([1, 2, round % 2, 1, 3, round % 2]);
            bytes.extend([0, 12 + round]);
        }
        bytes.extend([1, 1, 0, 3, 0, 7, 1, 0, 0]);
        bytes.extend(noise(number, 60));
        bytes
    });
    seeds.collect()
}

/// Two ends that search the MTU of one path, whose MTU changes: the size in use stays within its bounds, and wakes
/// lie ahead.
pub fn path_mtu(data: &[u8]) {
    let mut decisions = Decisions::new(data);
    let version = [IpVersion::V4, IpVersion::V6][decisions.below(2)];
    let max = [1_500, 9_000][decisions.below(2)];
    let config = PathMtuConfig::new(version, max);
    let end = |peer| PathMtu::new(config, PeerId(peer)).expect("a sound configuration");
    let mut pair = Pair::new([end(1), end(0)]);
    let mut mtu = max;
    while !decisions.is_over() {
        match decisions.below(8) {
            0 => {
                let ms = 1u64 << decisions.below(20);
                pair.pass(Span::from_ms(ms));
            }
            1 => {
                let command = match decisions.below(2) {
                    0 => PathMtuCommand::Suspect,
                    _ => PathMtuCommand::PacketTooBig {
                        mtu: decisions.short() as u32,
                    },
                };
                pair.tell(decisions.below(2), Input::Command(command));
            }
            2 => mtu = decisions.short() as u32 % (max + 1),
            _ => {
                let headers = u64::from(version.header_bytes()) + 8;
                pair.datagram(&mut decisions, |bytes| {
                    bytes.len() as u64 + headers <= u64::from(mtu)
                });
            }
        }
        for end in &pair.ends {
            assert!((version.least_mtu()..=max).contains(&end.mtu()), "{}", end.mtu());
        }
    }
}

/// Searches on paths of several sizes, with changes.
pub fn path_mtu_seeds() -> Vec<Vec<u8>> {
    let seeds = [1_500u16, 1_420, 1_281, 1_000].into_iter().map(|mtu| {
        let [high, low] = mtu.to_be_bytes();
        let mut bytes = vec![mtu as u8 % 2, 0, 2, high, low];
        for round in 0..10 {
            for _ in 0..6 {
                bytes.extend([3, 0, 7]);
            }
            bytes.extend([0, 14 + round % 3]);
        }
        // The route changes, and messages say so, truly and falsely.
        bytes.extend([2, 5, 0x46, 1, 0, 0, 1, 1, 5, 0x46, 0, 3, 0, 7, 3, 0, 7, 0, 19]);
        bytes.extend(noise(mtu.into(), 60));
        bytes
    });
    seeds.collect()
}
