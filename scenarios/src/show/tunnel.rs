//! The canonical text of a tunnel.

use longhaul_core::time::Span;
use longhaul_tunnel::{Control, IpVersion};

use crate::schema::{PathMtuSearch, PathTunnel};

/// The field `tunnel` of a path.
pub fn tunnel(tunnel: &PathTunnel) -> String {
    let PathTunnel {
        outer,
        control,
        path_mtu,
    } = tunnel;
    let found = path_mtu.as_ref().map_or(String::new(), discover);
    let ip = match outer {
        IpVersion::V4 => 4,
        IpVersion::V6 => 6,
    };
    let some = |span: Option<Span>| span.map_or("None".to_owned(), |span| format!("\"{span}\""));
    match control {
        Control::WireGuard(wireguard) => {
            format!(
                "WireGuard(ip: {ip}, keepalive: {}{found})",
                some(wireguard.persistent_keepalive)
            )
        }
        Control::Ipsec(ipsec) => format!(
            "Ipsec(ip: {ip}, nat_traversal: {}, retransmit_after: \"{}\", retransmissions: {}, rekey_after: \"{}\", \
             lifetime: \"{}\", dead_peer_detection: {}, retry_after: {}{found})",
            ipsec.nat_traversal,
            ipsec.retransmit_after,
            ipsec.retransmissions,
            ipsec.rekey_after,
            ipsec.lifetime,
            some(ipsec.dead_peer_detection),
            some(ipsec.retry_after)
        ),
        Control::Gre { key, keepalive: None } => {
            format!("Gre(ip: {ip}, key: {key}, keepalive: None{found})")
        }
        // They exist over IPv4 only.
        Control::Gre {
            key,
            keepalive: Some(keepalive),
        } => format!(
            "Gre(key: {key}, keepalive: (every: \"{}\", retries: {}){found})",
            keepalive.every, keepalive.retries
        ),
        Control::Vxlan => format!("Vxlan(ip: {ip}{found})"),
    }
}

fn discover(search: &PathMtuSearch) -> String {
    let PathMtuSearch {
        min,
        base,
        max,
        probe_timer,
        max_probes,
        raise_timer,
        confirmation_timer,
    } = search;
    let max = max.map_or("None".to_owned(), |max| format!("\"{max} B\""));
    let confirmation = confirmation_timer.map_or("None".to_owned(), |timer| format!("\"{timer}\""));
    format!(
        ", path_mtu: Discover(min_plpmtu: \"{min} B\", base_plpmtu: \"{base} B\", max_plpmtu: {max}, \
         probe_timer: \"{probe_timer}\", max_probes: {max_probes}, pmtu_raise_timer: \"{raise_timer}\", \
         confirmation_timer: {confirmation})"
    )
}
