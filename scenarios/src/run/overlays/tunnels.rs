//! Tunnels of paths: their machines, which live in the kernels of the regions, and what they add to packets.
//!
//! The two ends of a tunnel talk with each other over the bare path, each as a peer numbered from [`FIRST_UNDERLAY`] on. A
//! path carries nothing from an end whose tunnel is down. Control messages of GRE count as if they had a UDP header.

use longhaul_core::machine::PeerId;
use longhaul_core::random::Source;
use longhaul_core::record::TunnelRecord;
use longhaul_core::time::{Instant, Span};
use longhaul_net::way::Encapsulation;
use longhaul_tunnel::{Config, Event, IpVersion, Protocol, Role, Tunnel};

use super::ends;
use crate::run::build::BuildError;
use crate::run::endpoint;
use crate::run::machines::Maker;
use crate::schema::{OverlayPath, PathTunnel};

/// The number of the first end of a bare path among peers.
pub const FIRST_UNDERLAY: u32 = 1 << 29;

impl Maker<'_> {
    /// The machine of the tunnel at a path end.
    pub(in crate::run) fn tunnel(&self, end: u32) -> Result<endpoint::Protocol, BuildError> {
        let ends = ends(self.scenario);
        let of = &ends[end as usize];
        let overlay = &self.scenario.overlays[of.overlay];
        let path = &overlay.paths[of.path];
        let tunnel = path.tunnel.as_ref().expect("only such paths have these machines");
        let name = format!("{}/{}/{}-{}", overlay.name, path.name, path.ends.0, path.ends.1);
        let config = Config {
            outer: tunnel.outer,
            // Of each path the end at its first region comes first.
            role: if end.is_multiple_of(2) {
                Role::Initiator
            } else {
                Role::Responder
            },
            control: tunnel.control,
            name,
        };
        let region = &self.scenario.regions[of.from.0 as usize].name;
        let random = self
            .streams
            .of(Source::Network)
            .stream(&format!("{}@{region}", config.name), "tunnel");
        Tunnel::new(config, PeerId(FIRST_UNDERLAY + end), random)
            .map(|tunnel| endpoint::Protocol::Tunnel(Box::new(tunnel)))
            .map_err(|error| BuildError::Overlay {
                overlay: overlay.name.clone(),
                reason: error.to_string(),
            })
    }
}

/// What a tunnel makes of packets on a path with this MTU, and the MTU of its interface: what it has by custom.
pub fn encapsulation(tunnel: &PathTunnel, path_mtu: u32) -> Option<(Encapsulation, u32)> {
    let wrap = wrap(tunnel);
    let mtu = wrap.customary_mtu(path_mtu).ok()?;
    Some((wrapped(wrap, mtu), mtu))
}

/// The same for a path whose MTU was measured: the interface has the MTU that just fits.
pub fn exactly(tunnel: &PathTunnel, path_mtu: u32) -> Option<(Encapsulation, u32)> {
    let wrap = wrap(tunnel);
    let mtu = wrap.inner_mtu(path_mtu).ok()?;
    Some((wrapped(wrap, mtu), mtu))
}

fn wrap(tunnel: &PathTunnel) -> longhaul_tunnel::Encapsulation {
    longhaul_tunnel::Encapsulation {
        protocol: match tunnel.control {
            longhaul_tunnel::Control::WireGuard(_) => Protocol::WireGuard,
            longhaul_tunnel::Control::Ipsec(ipsec) => Protocol::Esp {
                nat_traversal: ipsec.nat_traversal,
            },
            longhaul_tunnel::Control::Gre { key, .. } => Protocol::Gre { key },
            longhaul_tunnel::Control::Vxlan => Protocol::Vxlan,
        },
        outer: tunnel.outer,
    }
}

/// As the network has it, on an interface with this MTU.
fn wrapped(wrap: longhaul_tunnel::Encapsulation, mtu: u32) -> Encapsulation {
    let (trailer_bytes, align_bytes) = match wrap.protocol {
        Protocol::WireGuard => (0, 16),
        Protocol::Esp { .. } => (2, 4),
        Protocol::Gre { .. } | Protocol::Vxlan => (0, 1),
    };
    // A packet that needs no padding shows what is added beside it.
    let whole = 160 - trailer_bytes;
    let header_bytes = wrap.outer_bytes(whole, mtu) - 160;
    Encapsulation {
        header_bytes,
        trailer_bytes,
        align_bytes,
        pad_limit_bytes: if wrap.protocol == Protocol::WireGuard {
            mtu
        } else {
            u32::MAX
        },
    }
}

/// What wraps the control messages of a tunnel, beside the header that every datagram has.
pub fn bare(tunnel: &PathTunnel) -> Option<Encapsulation> {
    (tunnel.outer == IpVersion::V6).then_some(Encapsulation {
        header_bytes: IpVersion::V6.header_bytes() - IpVersion::V4.header_bytes(),
        trailer_bytes: 0,
        align_bytes: 1,
        pad_limit_bytes: u32::MAX,
    })
}

/// How the tunnel at a path end is, and what has become of it.
#[derive(Clone, Debug, Default)]
pub struct Standing {
    up: bool,
    record: TunnelRecord,
    told_sent: Option<Instant>,
    told_received: Option<Instant>,
}

/// How often a tunnel hears of traffic: its timers count whole seconds.
const TELL_EVERY: Span = Span::from_s(1);

impl Standing {
    /// Follows what the tunnel reports; whether packets can be sent now, if that has changed.
    pub fn observe(&mut self, now: Instant, event: &Event) -> Option<bool> {
        let record = &mut self.record;
        let before = self.up;
        match event {
            Event::Up { .. } => {
                self.up = true;
                record.established_ns.get_or_insert(now.as_ns());
            }
            Event::Down { .. } => {
                self.up = false;
                record.downs += 1;
            }
            Event::Rekeyed { .. } => record.rekeys += 1,
            Event::Retransmitted { .. } => record.retransmissions += 1,
            Event::HandshakeFailed { .. } => record.failures += 1,
            Event::Refused { .. } => record.refused += 1,
        }
        (self.up != before).then_some(self.up)
    }

    /// Whether the tunnel is to hear that something was sent through it now. One that waits for the other end does not begin
    /// by itself before it has been up: two handshakes that cross come to nothing.
    pub fn tell_sent(&mut self, now: Instant, opens: bool) -> bool {
        (opens || self.record.established_ns.is_some()) && due(&mut self.told_sent, now)
    }

    /// The same for something that came.
    pub fn tell_received(&mut self, now: Instant) -> bool {
        due(&mut self.told_received, now)
    }

    /// Its record.
    pub fn record(&self) -> TunnelRecord {
        self.record.clone()
    }
}

fn due(last: &mut Option<Instant>, now: Instant) -> bool {
    let due = last.is_none_or(|last| now.saturating_since(last) >= TELL_EVERY);
    if due {
        *last = Some(now);
    }
    due
}

impl OverlayPath {
    /// Whether its packets are wrapped.
    pub fn has_tunnel(&self) -> bool {
        self.tunnel.is_some()
    }
}

#[cfg(test)]
mod tests {
    use longhaul_tunnel::{Control, IpsecConfig, WireGuardConfig};

    use super::*;

    #[test]
    fn frames_are_as_long_as_the_tunnel_makes_packets() {
        let controls = [
            (
                Control::WireGuard(WireGuardConfig::default()),
                Protocol::WireGuard,
            ),
            (
                Control::Ipsec(IpsecConfig {
                    nat_traversal: true,
                    ..IpsecConfig::default()
                }),
                Protocol::Esp { nat_traversal: true },
            ),
            (
                Control::Gre {
                    key: true,
                    keepalive: None,
                },
                Protocol::Gre { key: true },
            ),
            (Control::Vxlan, Protocol::Vxlan),
        ];
        for outer in [IpVersion::V4, IpVersion::V6] {
            for (control, protocol) in controls {
                let tunnel = PathTunnel {
                    outer,
                    control,
                    path_mtu: None,
                };
                let (_, exact) = exactly(&tunnel, 1_500).unwrap();
                let (wrap, mtu) = encapsulation(&tunnel, 1_500).unwrap();
                let known = longhaul_tunnel::Encapsulation { protocol, outer };
                for inner in 20..=mtu {
                    let frame = wrap.wire_bytes(14 + inner, 1);
                    assert_eq!(frame, 14 + known.outer_bytes(inner, mtu), "{protocol:?} {inner}");
                    assert!(frame <= 1_514);
                }
                assert!(known.outer_bytes(exact, exact) <= 1_500);
                assert!(known.outer_bytes(exact + 1, exact + 1) > 1_500);
            }
        }
    }
}
