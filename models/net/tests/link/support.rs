//! A packet that is a number, a plain link, and how to empty one.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use longhaul_core::random::Streams;
use longhaul_core::time::{Instant, Span};
use longhaul_core::units::BitRate;
use longhaul_net::frame::Frame;
use longhaul_net::link::{Link, LinkSpec, Offer, QueueLimit};

pub const FULL: u32 = 1514;

/// 100 Mbit/s, 40 ms, 1,000 frames: a full frame takes 121,120 ns.
pub const PLAIN: LinkSpec = LinkSpec::fifo(
    BitRate::from_bits_per_s(100_000_000),
    Span::from_ms(40),
    QueueLimit::Packets(1_000),
);

/// A packet that nothing can be done to.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Ping(pub u32);

impl Frame for Ping {
    type Common = Ping;
    type Rare = std::convert::Infallible;

    fn split(self) -> (Ping, Option<Self::Rare>) {
        (self, None)
    }

    fn join(common: Ping, _rare: Option<Self::Rare>) -> Ping {
        common
    }

    fn flow(&self) -> u64 {
        0
    }

    fn damage(&mut self) {}
}

pub fn link(spec: &LinkSpec) -> Link<Ping> {
    Link::new(spec, "a->b", &Streams::new(1, 0)).unwrap()
}

pub fn accepted(offer: Offer) -> bool {
    matches!(offer, Offer::Accepted { .. })
}

/// Takes everything out: (arrival, packet).
pub fn drain(link: &mut Link<Ping>) -> Vec<(Instant, u32)> {
    let mut out = vec![];
    while let Some(at) = link.next_event() {
        assert_eq!(link.pop_arrival(Instant::from_ns(at.as_ns() - 1)), None, "early");
        out.push((at, link.pop_arrival(at).unwrap().0));
    }
    out
}

/// A packet with everything that a link can look at or change.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Probe {
    pub id: u32,
    pub flow: u64,
    pub class: u8,
    pub ecn: bool,
    pub marked: bool,
    pub damaged: bool,
}

impl Frame for Probe {
    type Common = Probe;
    type Rare = std::convert::Infallible;

    fn split(self) -> (Probe, Option<Self::Rare>) {
        (self, None)
    }

    fn join(common: Probe, _rare: Option<Self::Rare>) -> Probe {
        common
    }

    fn flow(&self) -> u64 {
        self.flow
    }

    fn class(&self) -> u8 {
        self.class
    }

    fn ecn_capable(&self) -> bool {
        self.ecn
    }

    fn mark_congestion(&mut self) {
        assert!(self.ecn, "marked without being asked for");
        self.marked = true;
    }

    fn damage(&mut self) {
        self.damaged = true;
    }
}

/// A link with its events, and everything that came out of it.
pub struct Drive {
    pub link: Link<Probe>,
    /// When, and in which term of the link it was asked for.
    events: BinaryHeap<Reverse<(Instant, u32)>>,
    pub executed: u64,
    pub out: Vec<(Instant, Probe)>,
}

impl Drive {
    pub fn new(spec: &LinkSpec) -> Drive {
        Drive::seeded(spec, 1)
    }

    pub fn seeded(spec: &LinkSpec, seed: u64) -> Drive {
        Drive {
            link: Link::new(spec, "a->b", &Streams::new(seed, 0)).unwrap(),
            events: BinaryHeap::new(),
            executed: 0,
            out: vec![],
        }
    }

    /// Runs up to `at` and offers a frame.
    pub fn offer(&mut self, at: Instant, packet: Probe, frame_bytes: u32) -> Offer {
        self.run(at);
        let offer = self.link.offer(at, packet, frame_bytes);
        if let Offer::Accepted { schedule: Some(at) } = offer {
            self.events.push(Reverse((at, self.link.term())));
        }
        offer
    }

    /// Runs what is pending up to `until`.
    pub fn run(&mut self, until: Instant) {
        while let Some(&Reverse((at, term))) = self.events.peek().filter(|first| first.0.0 <= until) {
            self.events.pop();
            self.executed += 1;
            if term != self.link.term() {
                continue;
            }
            if let Some(packet) = self.link.pop_arrival(at) {
                self.out.push((at, packet));
            }
            if let Some(next) = self.link.next_event() {
                assert!(next >= at, "an event in the past");
                self.events.push(Reverse((next, term)));
            }
        }
    }

    /// Runs what is pending before `at`, and lets the link fail then.
    pub fn fail(&mut self, at: Instant) {
        self.run(Instant::from_ns(at.as_ns() - 1));
        self.link.fail(at);
    }

    pub fn pending(&self) -> usize {
        let valid = |Reverse((_, term)): &&Reverse<(Instant, u32)>| *term == self.link.term();
        self.events.iter().filter(valid).count()
    }
}

pub fn mbit(rate: u64) -> BitRate {
    BitRate::from_bits_per_s(rate * 1_000_000)
}

pub fn at_us(us: u64) -> Instant {
    Instant::ZERO + Span::from_us(us)
}
