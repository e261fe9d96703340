//! The canonical text of a tunnel.

use longhaul_core::time::Span;
use longhaul_tunnel::{Control, IpVersion};

use crate::schema::PathTunnel;

/// The field `tunnel` of a path.
pub fn tunnel(tunnel: &PathTunnel) -> String {
    let PathTunnel { outer, control } = tunnel;
    let ip = match outer {
        IpVersion::V4 => 4,
        IpVersion::V6 => 6,
    };
    let some = |span: Option<Span>| span.map_or("None".to_owned(), |span| format!("\"{span}\""));
    match control {
        Control::WireGuard(wireguard) => {
            format!(
                "WireGuard(ip: {ip}, keepalive: {})",
                some(wireguard.persistent_keepalive)
            )
        }
        Control::Ipsec(ipsec) => format!(
            "Ipsec(ip: {ip}, nat_traversal: {}, retransmit_after: \"{}\", retransmissions: {}, rekey_after: \"{}\", \
             lifetime: \"{}\", dead_peer_detection: {}, retry_after: {})",
            ipsec.nat_traversal,
            ipsec.retransmit_after,
            ipsec.retransmissions,
            ipsec.rekey_after,
            ipsec.lifetime,
            some(ipsec.dead_peer_detection),
            some(ipsec.retry_after)
        ),
        Control::Gre { key, keepalive: None } => format!("Gre(ip: {ip}, key: {key}, keepalive: None)"),
        // They exist over IPv4 only.
        Control::Gre {
            key,
            keepalive: Some(keepalive),
        } => format!(
            "Gre(key: {key}, keepalive: (every: \"{}\", retries: {}))",
            keepalive.every, keepalive.retries
        ),
        Control::Vxlan => format!("Vxlan(ip: {ip})"),
    }
}
