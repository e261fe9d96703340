//! A packet that is a number, a plain link, and how to empty one.

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
