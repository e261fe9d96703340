//! Addresses, prefixes and what identifies a flow.
//!
//! Addresses are plain values from `core`; nothing here opens a socket.

use core::fmt;
use core::net::IpAddr;

use serde::{Deserialize, Serialize};

/// A site of the overlay, such as a region.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SiteId(pub u32);

impl fmt::Display for SiteId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "site {}", self.0)
    }
}

/// An IP protocol by its number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Protocol(pub u8);

impl Protocol {
    /// TCP.
    pub const TCP: Protocol = Protocol(6);
    /// UDP.
    pub const UDP: Protocol = Protocol(17);
}

/// What a flow is for, in falling order of urgency.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum TrafficClass {
    /// Control of the network itself.
    Critical,
    /// Voice and video.
    Realtime,
    /// People wait for it.
    Interactive,
    /// Large and patient.
    Bulk,
    /// Everything else.
    BestEffort,
}

/// What identifies a flow: the five-tuple and its class.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct FlowKey {
    /// Address of the sender.
    pub source: IpAddr,
    /// Address of the receiver.
    pub destination: IpAddr,
    /// Protocol above IP.
    pub protocol: Protocol,
    /// Port of the sender; 0 without ports.
    pub source_port: u16,
    /// Port of the receiver; 0 without ports.
    pub destination_port: u16,
    /// What it is for, if that is marked.
    pub class: Option<TrafficClass>,
}

/// A block of addresses (CIDR, RFC 4632).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(try_from = "(IpAddr, u8)", into = "(IpAddr, u8)")]
pub struct Prefix {
    address: IpAddr,
    length: u8,
}

/// Why an address and a length are no prefix.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum PrefixError {
    /// More bits than the address has.
    #[error("a prefix of {length} bits of {address}, which has {most}")]
    Length {
        /// The address.
        address: IpAddr,
        /// Bits asked for.
        length: u8,
        /// Bits of such an address.
        most: u8,
    },
    /// Bits are set beyond the length, so that it is unclear which block is meant.
    #[error("{address}/{length} has bits set beyond its length")]
    HostBits {
        /// The address.
        address: IpAddr,
        /// The length.
        length: u8,
    },
}

/// The bits of an address from the left of a word, and how many there are.
fn bits(address: IpAddr) -> (u128, u8) {
    match address {
        IpAddr::V4(v4) => (u128::from(v4.to_bits()) << 96, 32),
        IpAddr::V6(v6) => (v6.to_bits(), 128),
    }
}

impl Prefix {
    /// The block of all addresses that share the first `length` bits with `address`.
    ///
    /// # Errors
    /// The length is beyond the address, or bits are set beyond the length.
    pub fn new(address: IpAddr, length: u8) -> Result<Prefix, PrefixError> {
        let (word, most) = bits(address);
        if length > most {
            return Err(PrefixError::Length {
                address,
                length,
                most,
            });
        }
        if word.checked_shl(u32::from(length)).unwrap_or(0) != 0 {
            return Err(PrefixError::HostBits { address, length });
        }
        Ok(Prefix { address, length })
    }

    /// The block of this length that contains `address`; a length beyond the address is cut.
    pub(crate) fn around(address: IpAddr, length: u8) -> Prefix {
        let (word, most) = bits(address);
        let length = length.min(most);
        let kept = u128::MAX.checked_shl(128 - u32::from(length)).unwrap_or(0) & word;
        let address = match address {
            // The bits of an IPv4 address are the upper 32.
            IpAddr::V4(_) => IpAddr::V4(((kept >> 96) as u32).into()),
            IpAddr::V6(_) => IpAddr::V6(kept.into()),
        };
        Prefix { address, length }
    }

    /// The first address.
    pub fn address(&self) -> IpAddr {
        self.address
    }

    /// Bits that its addresses share.
    pub fn length(&self) -> u8 {
        self.length
    }

    /// Whether the address is in the block. No IPv4 address is in a block of IPv6 addresses, nor the other way.
    pub fn contains(&self, address: IpAddr) -> bool {
        let ((own, own_width), (other, other_width)) = (bits(self.address), bits(address));
        let beyond = 128 - u32::from(self.length);
        own_width == other_width && (own ^ other).checked_shr(beyond).unwrap_or(0) == 0
    }
}

impl TryFrom<(IpAddr, u8)> for Prefix {
    type Error = PrefixError;
    fn try_from((address, length): (IpAddr, u8)) -> Result<Prefix, PrefixError> {
        Prefix::new(address, length)
    }
}

impl From<Prefix> for (IpAddr, u8) {
    fn from(prefix: Prefix) -> (IpAddr, u8) {
        (prefix.address, prefix.length)
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_prefix_contains_its_block_and_nothing_else() {
        let block = Prefix::new(ip("192.168.1.0"), 24).unwrap();
        assert!(block.contains(ip("192.168.1.255")) && !block.contains(ip("192.168.2.1")));
        assert!(!block.contains(ip("::c0a8:100")));
        let all = Prefix::new(ip("0.0.0.0"), 0).unwrap();
        assert!(all.contains(ip("255.0.0.1")) && !all.contains(ip("::")));
        let one = Prefix::new(ip("2001:db8::1"), 128).unwrap();
        assert!(one.contains(ip("2001:db8::1")) && !one.contains(ip("2001:db8::2")));
        assert_eq!(block.to_string(), "192.168.1.0/24");
    }

    #[test]
    fn what_is_no_prefix_is_refused_also_when_read() {
        assert!(matches!(
            Prefix::new(ip("10.0.0.0"), 33),
            Err(PrefixError::Length { most: 32, .. })
        ));
        assert!(matches!(
            Prefix::new(ip("10.0.0.1"), 24),
            Err(PrefixError::HostBits { .. })
        ));
        assert!(Prefix::new(ip("10.0.0.1"), 32).is_ok());
        assert!(serde_json::from_str::<Prefix>("[\"10.0.0.1\",8]").is_err());
        let block = Prefix::new(ip("10.0.0.0"), 8).unwrap();
        let text = serde_json::to_string(&block).unwrap();
        assert_eq!(serde_json::from_str::<Prefix>(&text).unwrap(), block);
    }
}
