//! Ways that packets take: by the routers' own routes, or along a path that was laid for them.
//!
//! A laid path is an explicit route: a list of links that every packet of it follows whatever the routing protocol
//! does (RFC 3209 section 4.3, RFC 8402). Without such a list a path goes where routing leads, as the packets of a
//! tunnel over the internet do. Either kind may wrap its packets in another header.

use crate::routing::{LinkId, RegionId};

/// A way, as packets carry it: a region, or a path that was [laid](crate::network::Network::lay).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Way(u32);

impl Way {
    /// The way by which the routers lead to a region.
    pub const fn to(region: RegionId) -> Way {
        Way(region.0)
    }

    /// # Panics
    /// With 2^32 ways.
    pub(crate) fn numbered(index: usize) -> Way {
        Way(u32::try_from(index).expect("fewer than 2^32 ways"))
    }

    pub(crate) fn index(self) -> usize {
        self.0 as usize
    }
}

/// A path to be laid.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Path {
    /// Where it starts.
    pub from: RegionId,
    /// Where it ends.
    pub to: RegionId,
    /// The links in the order in which they are crossed; `None` goes where the routers lead.
    pub links: Option<Vec<LinkId>>,
    /// What its packets are wrapped in.
    pub encapsulation: Option<Encapsulation>,
}

/// What a tunnel makes of an IP packet of n bytes: one of `(n + trailer, rounded up to align, but at most pad_limit if
/// n + trailer is less) + header` bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Encapsulation {
    /// Outer headers and everything else that does not depend on the packet.
    pub header_bytes: u32,
    /// What is appended before the padding.
    pub trailer_bytes: u32,
    /// What the padding fills up to a multiple of; 1 for none.
    pub align_bytes: u32,
    /// Padding goes no further than this.
    pub pad_limit_bytes: u32,
}

/// The Ethernet header, which counts in a frame and not in a packet.
pub(crate) const ETHERNET_BYTES: u32 = 14;

impl Encapsulation {
    /// Bytes on the wire of a frame of `frame_bytes` that stands for so many packets. The packets of a burst count as
    /// alike.
    #[inline]
    pub fn wire_bytes(&self, frame_bytes: u32, packets: u16) -> u32 {
        let packets = u32::from(packets).max(1);
        let packet = frame_bytes.div_ceil(packets).saturating_sub(ETHERNET_BYTES) + self.trailer_bytes;
        let padded = packet.next_multiple_of(self.align_bytes.max(1));
        let padded = padded.min(self.pad_limit_bytes.max(packet));
        packets * (ETHERNET_BYTES + self.header_bytes + padded)
    }
}
