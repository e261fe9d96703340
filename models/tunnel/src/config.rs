//! How a tunnel end is set up.

use longhaul_core::time::Span;
use thiserror::Error;

use crate::overhead::{Encapsulation, IpVersion, Protocol, UDP_HEADER_BYTES};

/// Which end begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// Begins the handshake at the start of the run, and renews keys where one end has to.
    Initiator,
    /// Waits for the other end.
    Responder,
}

/// WireGuard's one choice. Its timers are constants of the protocol: see [`wireguard`](crate::wireguard).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct WireGuardConfig {
    /// Sends something at least this often, from 1 s to 65,535 s; 25 s by custom. Without it a tunnel that carries
    /// nothing lets its keys expire and comes up again when something is to be sent.
    pub persistent_keepalive: Option<Span>,
}

impl Default for WireGuardConfig {
    fn default() -> WireGuardConfig {
        WireGuardConfig {
            persistent_keepalive: Some(Span::from_s(25)),
        }
    }
}

/// Lengths of IKE messages in bytes of UDP payload, without the non-ESP marker.
///
/// By default as RFC 7296, section 3, lays out one proposal with AES-GCM and Curve25519, 32-byte nonces, detection of
/// address translation, a pre-shared key, one pair of IPv4 traffic selectors and perfect forward secrecy. Certificates make
/// IKE_AUTH longer, more proposals IKE_SA_INIT.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct IkeSizes {
    /// IKE_SA_INIT request: header 28, SA 40, KE 40, nonce 36, two notifies 56.
    pub init_request: u32,
    /// IKE_SA_INIT response.
    pub init_response: u32,
    /// IKE_AUTH request: header 28, SK 29 around IDi 12, IDr 12, AUTH 40, SA 36, TSi 24, TSr 24.
    pub auth_request: u32,
    /// IKE_AUTH response: without IDi.
    pub auth_response: u32,
    /// CREATE_CHILD_SA request: header 28, SK 29 around notify 12, SA 44, nonce 36, KE 40, TSi 24, TSr 24.
    pub child_request: u32,
    /// CREATE_CHILD_SA response: without the notify.
    pub child_response: u32,
}

impl Default for IkeSizes {
    fn default() -> IkeSizes {
        IkeSizes {
            init_request: 200,
            init_response: 200,
            auth_request: 205,
            auth_response: 193,
            child_request: 237,
            child_response: 225,
        }
    }
}

/// IPsec with keys from IKEv2.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct IpsecConfig {
    /// ESP inside UDP (RFC 3948), and IKE on its port from the second exchange on.
    pub nat_traversal: bool,
    /// Lengths of messages.
    pub sizes: IkeSizes,
    /// Wait for an answer before the first retransmission; doubled with each. RFC 7296, section 2.4, leaves both open.
    pub retransmit_after: Span,
    /// How often a request is sent again before the peer counts as dead, at most 20.
    pub retransmissions: u32,
    /// The initiator renews keys when they are this old, less up to a tenth at random.
    pub rekey_after: Span,
    /// Keys this old are used no more. At least 1 s more than `rekey_after`.
    pub lifetime: Span,
    /// Asks whether the peer is alive if nothing was heard for this long (RFC 7296, section 1.4: "liveness check").
    pub dead_peer_detection: Option<Span>,
    /// The initiator begins anew this long after a failure.
    pub retry_after: Option<Span>,
}

impl Default for IpsecConfig {
    /// First retransmission after 0.5 s, five of them; keys renewed within an hour; peer asked after 30 s of silence;
    /// new attempt after 10 s.
    fn default() -> IpsecConfig {
        IpsecConfig {
            nat_traversal: false,
            sizes: IkeSizes::default(),
            retransmit_after: Span::from_ms(500),
            retransmissions: 5,
            rekey_after: Span::from_s(3_600),
            lifetime: Span::from_s(3_960),
            dead_peer_detection: Some(Span::from_s(30)),
            retry_after: Some(Span::from_s(10)),
        }
    }
}

/// GRE keepalives in the manner of Cisco IOS (`keepalive 10 3`): a packet that the peer sends back by mere forwarding, so
/// only the end that sends it needs to know of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct GreKeepalive {
    /// How often one is sent.
    pub every: Span,
    /// After how many without an answer the tunnel is down.
    pub retries: u32,
}

impl Default for GreKeepalive {
    fn default() -> GreKeepalive {
        GreKeepalive {
            every: Span::from_s(10),
            retries: 3,
        }
    }
}

/// What controls a tunnel, by kind of tunnel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Control {
    /// WireGuard's handshake and timers.
    WireGuard(WireGuardConfig),
    /// IKEv2.
    Ipsec(IpsecConfig),
    /// No handshake.
    Gre {
        /// Packets carry a key.
        key: bool,
        /// Off unless wanted, as in IOS.
        keepalive: Option<GreKeepalive>,
    },
    /// No handshake and nothing to tell whether the peer lives.
    Vxlan,
}

/// One end of a tunnel.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Config {
    /// The tunnel's name, equal at both ends: see [`tunnel_name`](crate::tunnel_name).
    pub name: String,
    /// Version of the outer IP.
    pub outer: IpVersion,
    /// Which end this is.
    pub role: Role,
    /// Kind of tunnel.
    pub control: Control,
}

/// What makes a configuration impossible.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum ConfigError {
    /// A time outside its range.
    #[error("tunnel \"{tunnel}\": {field} is {value} ns, allowed are {least} to {most} ns")]
    Time {
        /// Which tunnel.
        tunnel: String,
        /// Which time.
        field: &'static str,
        /// What it is, in ns.
        value: u64,
        /// Least, in ns.
        least: u64,
        /// Most, in ns.
        most: u64,
    },
    /// A number outside its range.
    #[error("tunnel \"{tunnel}\": {field} is {value}, allowed are {least} to {most}")]
    Number {
        /// Which tunnel.
        tunnel: String,
        /// Which number.
        field: &'static str,
        /// What it is.
        value: u32,
        /// Least.
        least: u32,
        /// Most.
        most: u32,
    },
    /// GRE keepalives over IPv6, which IOS does not offer.
    #[error("tunnel \"{0}\": keepalives of GRE exist over IPv4 only")]
    KeepaliveOverIpv6(String),
}

/// No timer of a tunnel is longer than this, so that none leaves the range of time.
const MAX_TIMER: Span = Span::from_s(10 * 365 * 86_400);

impl Config {
    /// How the tunnel wraps packets.
    pub fn encapsulation(&self) -> Encapsulation {
        let protocol = match self.control {
            Control::WireGuard(_) => Protocol::WireGuard,
            Control::Ipsec(ipsec) => Protocol::Esp {
                nat_traversal: ipsec.nat_traversal,
            },
            Control::Gre { key, .. } => Protocol::Gre { key },
            Control::Vxlan => Protocol::Vxlan,
        };
        Encapsulation {
            protocol,
            outer: self.outer,
        }
    }

    /// Length of the headers that stand before the datagrams of this tunnel's control on the path, in bytes: IP, and
    /// UDP except for GRE.
    pub fn datagram_header_bytes(&self) -> u32 {
        match self.control {
            Control::Gre { .. } => self.outer.header_bytes(),
            _ => self.outer.header_bytes() + UDP_HEADER_BYTES,
        }
    }

    /// Checks all ranges.
    ///
    /// # Errors
    /// [`ConfigError`]; the first.
    pub fn check(&self) -> Result<(), ConfigError> {
        let time = |field, value: Span, least: Span, most: Span| {
            if (least..=most).contains(&value) {
                return Ok(());
            }
            Err(ConfigError::Time {
                tunnel: self.name.clone(),
                field,
                value: value.as_ns(),
                least: least.as_ns(),
                most: most.as_ns(),
            })
        };
        let number = |field, value, least, most| {
            if (least..=most).contains(&value) {
                return Ok(());
            }
            Err(ConfigError::Number {
                tunnel: self.name.clone(),
                field,
                value,
                least,
                most,
            })
        };
        let second = Span::from_s(1);
        match &self.control {
            Control::WireGuard(wireguard) => wireguard.persistent_keepalive.map_or(Ok(()), |every| {
                time("persistent_keepalive", every, second, Span::from_s(65_535))
            }),
            Control::Ipsec(ipsec) => {
                let IkeSizes {
                    init_request,
                    init_response,
                    auth_request,
                    auth_response,
                    child_request,
                    child_response,
                } = ipsec.sizes;
                for (field, value) in [
                    ("init_request", init_request),
                    ("init_response", init_response),
                    ("auth_request", auth_request),
                    ("auth_response", auth_response),
                    ("child_request", child_request),
                    ("child_response", child_response),
                ] {
                    number(field, value, crate::ike::INFORMATIONAL_BYTES, 65_000)?;
                }
                time(
                    "retransmit_after",
                    ipsec.retransmit_after,
                    Span::from_ms(1),
                    Span::from_s(60),
                )?;
                number("retransmissions", ipsec.retransmissions, 0, 20)?;
                time("rekey_after", ipsec.rekey_after, second, MAX_TIMER)?;
                time("lifetime", ipsec.lifetime, ipsec.rekey_after + second, MAX_TIMER)?;
                for (field, value) in [
                    ("dead_peer_detection", ipsec.dead_peer_detection),
                    ("retry_after", ipsec.retry_after),
                ] {
                    value.map_or(Ok(()), |value| time(field, value, Span::from_ms(1), MAX_TIMER))?;
                }
                Ok(())
            }
            Control::Gre { keepalive: None, .. } | Control::Vxlan => Ok(()),
            Control::Gre { .. } if self.outer == IpVersion::V6 => {
                Err(ConfigError::KeepaliveOverIpv6(self.name.clone()))
            }
            Control::Gre {
                keepalive: Some(keepalive),
                ..
            } => {
                time("keepalive", keepalive.every, second, Span::from_s(32_767))?;
                number("retries", keepalive.retries, 1, 255)
            }
        }
    }
}
