//! What the packets of a path are wrapped in.

use longhaul_core::time::Span;
use longhaul_tunnel::{Control, GreKeepalive, IpVersion, IpsecConfig, WireGuardConfig};

use crate::schema::PathTunnel;
use crate::syntax::Kind;

use super::context::{At, Context, Fields, Variant, unless_none, variant};
use super::{path_mtu, value};

/// Longest time of a tunnel's timers: a day.
const LONGEST: Span = Span::from_s(86_400);

/// A tunnel, or `None`.
pub fn tunnel(cx: &mut Context, at: &At) -> Option<Option<PathTunnel>> {
    let variants = [
        Variant {
            name: "None",
            form: "None",
        },
        Variant {
            name: "WireGuard",
            form: "WireGuard(keepalive: \"25 s\")",
        },
        Variant {
            name: "Ipsec",
            form: "Ipsec()",
        },
        Variant {
            name: "Gre",
            form: "Gre()",
        },
        Variant {
            name: "Vxlan",
            form: "Vxlan()",
        },
    ];
    let name = variant(cx, at, "a tunnel", &variants)?;
    let known: &[&str] = match name {
        "None" => return Some(None),
        "WireGuard" => &["ip", "path_mtu", "keepalive"],
        "Ipsec" => &[
            "ip",
            "path_mtu",
            "nat_traversal",
            "retransmit_after",
            "retransmissions",
            "rekey_after",
            "lifetime",
            "dead_peer_detection",
            "retry_after",
        ],
        "Gre" => &["ip", "path_mtu", "key", "keepalive"],
        _ => &["ip", "path_mtu"],
    };
    let empty = matches!(at.node.kind, Kind::Word(_));
    if empty {
        return cx.refuse(at, format!("a tunnel is written {name}(…)"));
    }
    let fields = Fields::of(cx, at, "a tunnel", Some(name), known)?;
    let ip = fields.optional(cx, "ip", 4, |cx, at| match value::integer(cx, at, 4, 6)? {
        5 => cx.refuse(at, "there is IP version 4 and 6"),
        version => Some(version),
    });
    let control = match name {
        "WireGuard" => wireguard(cx, &fields),
        "Ipsec" => ipsec(cx, &fields),
        "Gre" => gre(cx, &fields),
        _ => Some(Control::Vxlan),
    };
    let outer = if ip? == 4 { IpVersion::V4 } else { IpVersion::V6 };
    let path_mtu = fields.optional(cx, "path_mtu", None, |cx, at| path_mtu::path_mtu(cx, at, outer));
    let (control, path_mtu) = (control?, path_mtu?);
    if outer == IpVersion::V6
        && matches!(
            control,
            Control::Gre {
                keepalive: Some(_),
                ..
            }
        )
    {
        return cx.refuse(
            &fields.get("keepalive")?,
            "keepalives of GRE exist over IPv4 only",
        );
    }
    Some(Some(PathTunnel {
        outer,
        control,
        path_mtu,
    }))
}

fn wireguard(cx: &mut Context, fields: &Fields) -> Option<Control> {
    let default = WireGuardConfig::default().persistent_keepalive;
    let keepalive = fields.optional(cx, "keepalive", default, |cx, at| {
        unless_none(cx, at, |cx, at| {
            value::quantity_within(cx, at, &Span::from_s(1), &Span::from_s(65_535))
        })
    });
    Some(Control::WireGuard(WireGuardConfig {
        persistent_keepalive: keepalive?,
    }))
}

fn ipsec(cx: &mut Context, fields: &Fields) -> Option<Control> {
    let default = IpsecConfig::default();
    let nat_traversal = fields.optional(cx, "nat_traversal", default.nat_traversal, value::boolean);
    let span = |cx: &mut Context, at: &At| value::quantity_within(cx, at, &Span::from_s(1), &LONGEST);
    let retransmit_after = fields.optional(cx, "retransmit_after", default.retransmit_after, |cx, at| {
        value::quantity_within(cx, at, &Span::from_ms(1), &Span::from_s(60))
    });
    let retransmissions = fields.optional(
        cx,
        "retransmissions",
        u64::from(default.retransmissions),
        |cx, at| value::integer(cx, at, 0, 20),
    );
    let rekey_after = fields.optional(cx, "rekey_after", default.rekey_after, span);
    let lifetime = fields.optional(cx, "lifetime", default.lifetime, span);
    let mut some = |name: &str, default: Option<Span>| {
        fields.optional(cx, name, default, |cx, at| unless_none(cx, at, span))
    };
    let dead_peer_detection = some("dead_peer_detection", default.dead_peer_detection);
    let retry_after = some("retry_after", default.retry_after);
    let ipsec = IpsecConfig {
        nat_traversal: nat_traversal?,
        retransmit_after: retransmit_after?,
        retransmissions: u32::try_from(retransmissions?).expect("at most 20"),
        rekey_after: rekey_after?,
        lifetime: lifetime?,
        dead_peer_detection: dead_peer_detection?,
        retry_after: retry_after?,
        ..default
    };
    if ipsec.lifetime < ipsec.rekey_after.saturating_add(Span::from_s(1)) {
        let message = format!(
            "keys that are renewed after {} must live for a second longer",
            ipsec.rekey_after
        );
        let at = fields.get("lifetime").or_else(|| fields.get("rekey_after"))?;
        return cx.refuse(&at, message);
    }
    Some(Control::Ipsec(ipsec))
}

fn gre(cx: &mut Context, fields: &Fields) -> Option<Control> {
    let key = fields.optional(cx, "key", false, value::boolean);
    let keepalive = fields.optional(cx, "keepalive", None, |cx, at| unless_none(cx, at, keepalive));
    Some(Control::Gre {
        key: key?,
        keepalive: keepalive?,
    })
}

fn keepalive(cx: &mut Context, at: &At) -> Option<GreKeepalive> {
    let default = GreKeepalive::default();
    let fields = Fields::of(cx, at, "the keepalives", None, &["every", "retries"])?;
    let every = fields.optional(cx, "every", default.every, |cx, at| {
        value::quantity_within(cx, at, &Span::from_s(1), &Span::from_s(32_767))
    });
    let retries = fields.optional(cx, "retries", u64::from(default.retries), |cx, at| {
        value::integer(cx, at, 1, 255)
    });
    Some(GreKeepalive {
        every: every?,
        retries: u32::try_from(retries?).expect("at most 255"),
    })
}
