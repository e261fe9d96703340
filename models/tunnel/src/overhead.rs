//! What encapsulation adds to a packet, byte for byte, and what fits into a packet of given size.
//!
//! Lengths are those of whole IP packets, inner and outer, in bytes.
//!
//! | | outer header | before the packet | after it |
//! | --- | --- | --- | --- |
//! | WireGuard (whitepaper, section 5.4.6) | IP, UDP | type, receiver, counter: 16 | padding to 16, tag 16 |
//! | ESP tunnel mode (RFC 4303), AES-GCM (RFC 4106) | IP, with NAT traversal UDP (RFC 3948) | SPI, sequence 8, IV 8 | padding to 4 with length and next header 2, ICV 16 |
//! | GRE (RFC 2784), key (RFC 2890) | IP | 4, key 4 | |
//! | VXLAN (RFC 7348) | IP, UDP | 8, inner Ethernet 14 | |
//!
//! Outer headers have no options and no extension headers. (Linux adds a destination option of 8 bytes to GRE over IPv6
//! unless `encaplimit none` is set.)

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Version of the Internet Protocol.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum IpVersion {
    /// IPv4, header of 20 bytes.
    V4,
    /// IPv6, header of 40 bytes.
    V6,
}

impl IpVersion {
    /// Length of its header without options.
    pub const fn header_bytes(self) -> u32 {
        match self {
            IpVersion::V4 => 20,
            IpVersion::V6 => 40,
        }
    }

    /// The MTU that every link must have: 68 bytes (RFC 791, section 3.2) or 1280 (RFC 8200, section 5).
    pub const fn least_mtu(self) -> u32 {
        match self {
            IpVersion::V4 => 68,
            IpVersion::V6 => 1_280,
        }
    }
}

/// Length of a UDP header.
pub const UDP_HEADER_BYTES: u32 = 8;

/// Length of a TCP header without options.
pub const TCP_HEADER_BYTES: u32 = 20;

/// The MTU that WireGuard interfaces have by convention: 1500 less the overhead over IPv6, whichever is used.
pub const WIREGUARD_MTU: u32 = 1_420;

/// How packets are wrapped.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Protocol {
    /// WireGuard transport data messages.
    WireGuard,
    /// IPsec ESP in tunnel mode with AES-128-GCM and an ICV of 16 bytes.
    Esp {
        /// Inside UDP, to pass through address translation.
        nat_traversal: bool,
    },
    /// Generic routing encapsulation of IP packets.
    Gre {
        /// With a key.
        key: bool,
    },
    /// Ethernet frames inside UDP.
    Vxlan,
}

/// A packet length that leaves no room for what should fit inside.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[error("an outer MTU of {outer} bytes leaves less than {least} bytes inside the tunnel")]
pub struct TooSmall {
    /// The outer MTU in bytes.
    pub outer: u32,
    /// What must fit, in bytes: the least MTU that IPv4 knows.
    pub least: u32,
}

/// A way of wrapping packets with the outer version of IP.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Encapsulation {
    /// How.
    pub protocol: Protocol,
    /// Over what.
    pub outer: IpVersion,
}

impl Encapsulation {
    /// Length of the outer packet that carries an inner packet of `inner` bytes through a tunnel whose interface has
    /// an MTU of `inner_mtu` bytes. WireGuard alone looks at the latter: it does not pad beyond it (as Linux'
    /// `calculate_skb_padding`; the whitepaper leaves it open). With an inner length of 0: WireGuard's keepalive.
    pub fn outer_bytes(&self, inner: u32, inner_mtu: u32) -> u32 {
        self.header_bytes() + self.padded(inner, inner_mtu) + self.trailer_bytes()
    }

    /// What encapsulation adds to an inner packet: [`Encapsulation::outer_bytes`] less the inner length.
    pub fn overhead(&self, inner: u32, inner_mtu: u32) -> u32 {
        self.outer_bytes(inner, inner_mtu) - inner
    }

    /// The longest inner packet whose outer packet does not exceed `outer_mtu`, with padding. An interface with this MTU
    /// never causes fragmentation on the outer path.
    ///
    /// # Errors
    /// [`TooSmall`] if that is below 68 bytes, which every IPv4 link must carry.
    pub fn inner_mtu(&self, outer_mtu: u32) -> Result<u32, TooSmall> {
        let room = outer_mtu.saturating_sub(self.header_bytes() + self.trailer_bytes());
        let inner = match self.protocol {
            // Two bytes of the trailer are padded along with the packet to a multiple of four.
            Protocol::Esp { .. } => (room / 4 * 4).saturating_sub(2),
            _ => room,
        };
        let least = IpVersion::V4.least_mtu();
        if inner < least {
            return Err(TooSmall {
                outer: outer_mtu,
                least,
            });
        }
        Ok(inner)
    }

    /// The MTU that tunnel interfaces are given by custom. WireGuard's leaves room for IPv6 whatever the outer version
    /// (1420 bytes for 1500, `wg-quick`); the others take what fits.
    ///
    /// # Errors
    /// [`TooSmall`]
    pub fn customary_mtu(&self, outer_mtu: u32) -> Result<u32, TooSmall> {
        let assumed = match self.protocol {
            Protocol::WireGuard => Encapsulation {
                outer: IpVersion::V6,
                ..*self
            },
            _ => *self,
        };
        assumed.inner_mtu(outer_mtu)
    }

    /// Everything before the inner packet.
    fn header_bytes(&self) -> u32 {
        let inside = match self.protocol {
            Protocol::WireGuard => UDP_HEADER_BYTES + 16,
            Protocol::Esp { nat_traversal } => 16 + if nat_traversal { UDP_HEADER_BYTES } else { 0 },
            Protocol::Gre { key } => 4 + if key { 4 } else { 0 },
            Protocol::Vxlan => UDP_HEADER_BYTES + 8 + 14,
        };
        self.outer.header_bytes() + inside
    }

    /// The inner packet with its padding.
    fn padded(&self, inner: u32, inner_mtu: u32) -> u32 {
        match self.protocol {
            Protocol::WireGuard => {
                // A packet longer than the MTU leaves in pieces of it as far as padding is concerned.
                let last = match inner.checked_rem(inner_mtu) {
                    Some(rest) if inner > inner_mtu => rest,
                    _ => inner,
                };
                let limit = inner_mtu.max(last);
                inner + (last.next_multiple_of(16).min(limit) - last)
            }
            // With the pad length and the next header.
            Protocol::Esp { .. } => (inner + 2).next_multiple_of(4),
            Protocol::Gre { .. } | Protocol::Vxlan => inner,
        }
    }

    /// Authentication.
    fn trailer_bytes(&self) -> u32 {
        match self.protocol {
            Protocol::WireGuard | Protocol::Esp { .. } => 16,
            Protocol::Gre { .. } | Protocol::Vxlan => 0,
        }
    }
}

/// The TCP maximum segment size that fits into packets of `mtu` bytes (RFC 9293, section 3.7.1): without IP and TCP
/// headers, options not subtracted. 0 if not even the headers fit.
pub const fn tcp_mss(mtu: u32, inner: IpVersion) -> u32 {
    mtu.saturating_sub(inner.header_bytes() + TCP_HEADER_BYTES)
}
