//! How the MTU of a tunnel is found: known beforehand, or by path MTU discovery.

use longhaul_core::time::Span;
use longhaul_core::units::ByteSize;
use longhaul_tunnel::IpVersion;
use longhaul_tunnel::path_mtu::PathMtuConfig;

use crate::schema::PathMtuSearch;

use super::context::{At, Context, Fields, Variant, no_content, unless_none, variant};
use super::value;

/// The largest MTU of a link.
const LARGEST: u32 = 9_216;
/// The least MTU of a link, which every path carries over IPv4.
const LEAST: u32 = 576;

/// `Known`, or `Discover(…)`.
pub fn path_mtu(cx: &mut Context, at: &At, outer: IpVersion) -> Option<Option<PathMtuSearch>> {
    let variants = [
        Variant {
            name: "Known",
            form: "Known",
        },
        Variant {
            name: "Discover",
            form: "Discover()",
        },
    ];
    let name = variant(cx, at, "how the path MTU is found", &variants)?;
    if name == "Known" {
        return no_content(cx, at).map(|()| None);
    }
    let known = [
        "min_plpmtu",
        "base_plpmtu",
        "max_plpmtu",
        "probe_timer",
        "max_probes",
        "pmtu_raise_timer",
        "confirmation_timer",
    ];
    let fields = Fields::of(cx, at, "a discovery of the path MTU", Some(name), &known)?;
    let default = PathMtuConfig::new(outer, LARGEST);
    let least = default.min.max(LEAST);
    let size = |cx: &mut Context, at: &At| {
        let (least, most) = (bytes(least), bytes(LARGEST));
        let size = value::quantity_within(cx, at, &least, &most)?;
        Some(u32::try_from(size.as_bytes()).expect("at most 9216"))
    };
    let min = fields.optional(cx, "min_plpmtu", least, size);
    let base = fields.optional(cx, "base_plpmtu", default.base, size);
    let max = fields.optional(cx, "max_plpmtu", None, |cx, at| unless_none(cx, at, size));
    let span =
        |cx: &mut Context, at: &At| value::quantity_within(cx, at, &Span::from_s(1), &Span::from_s(86_400));
    let probe_timer = fields.optional(cx, "probe_timer", default.probe_timer, span);
    let max_probes = fields.optional(cx, "max_probes", u64::from(default.max_probes), |cx, at| {
        value::integer(cx, at, 1, 100)
    });
    let raise_timer = fields.optional(cx, "pmtu_raise_timer", default.raise_timer, span);
    let confirmation_timer =
        fields.optional(cx, "confirmation_timer", default.confirmation_timer, |cx, at| {
            unless_none(cx, at, span)
        });
    let search = PathMtuSearch {
        min: min?,
        base: base?,
        max: max?,
        probe_timer: probe_timer?,
        max_probes: u32::try_from(max_probes?).expect("at most 100"),
        raise_timer: raise_timer?,
        confirmation_timer: confirmation_timer?,
    };
    let sizes = [search.min, search.base, search.max.unwrap_or(LARGEST)];
    if !sizes.is_sorted() {
        let message = format!(
            "sizes rise from `min_plpmtu` ({}) over `base_plpmtu` ({}) to `max_plpmtu`",
            bytes(search.min),
            bytes(search.base)
        );
        return cx.refuse(at, message);
    }
    Some(Some(search))
}

fn bytes(bytes: u32) -> ByteSize {
    ByteSize::from_bytes(bytes.into())
}
