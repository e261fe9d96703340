//! Overlays: paths, what watches them, and which of them traffic takes.

use longhaul_core::time::Span;
use longhaul_core::units::{BitRate, ByteSize, Probability};
use longhaul_sdwan::{bandwidth, bfd, discovery, probe};

use crate::schema::{Hysteresis, Overlay, OverlayPath, Selection, SiteDiscovery};
use crate::syntax::Kind;

use super::context::{At, Context, Fields, Variant, list, unless_none, variant};
use super::network::{constant_rate, region_name};
use super::value::{self, MILLION};
use super::work::positive_span;
use super::{policy, tunnel};

/// Most paths of an overlay.
const MOST_PATHS: usize = 1_000;
/// Most regions between the ends of a path.
const MOST_VIA: usize = 100;
/// Hold time of a fixed order, and of the hysteresis.
const HOLD: Span = Span::from_s(60);
const REVIEW: Span = Span::from_s(5);
/// How often sites announce themselves.
const ANNOUNCED: Span = Span::from_s(10);
/// Points by which another path must be better for a decision to be wrong.
const WRONG_BY: u64 = 5;

/// An overlay.
pub fn overlay(cx: &mut Context, at: &At) -> Option<Overlay> {
    let known = [
        "name",
        "paths",
        "selection",
        "probes",
        "bfd",
        "trains",
        "discovery",
        "wrong_by",
    ];
    let fields = Fields::of(cx, at, "an overlay", None, &known)?;
    let name = fields.required(cx, "name", value::name);
    let paths = fields.required(cx, "paths", |cx, at| {
        let (paths, complete) = list(cx, at, MOST_PATHS, path);
        if complete && paths.is_empty() {
            return cx.refuse(at, "at least one path is needed");
        }
        complete.then(|| paths.into_iter().map(|(_, path)| path).collect())
    });
    let selection = fields.optional(cx, "selection", by_policy(), selection);
    let probes = fields.optional(cx, "probes", probe::Config::default(), probes);
    let bfd = fields.optional(cx, "bfd", Some(bfd::Config::default()), |cx, at| {
        unless_none(cx, at, sessions)
    });
    let trains = fields.optional(cx, "trains", Some(bandwidth::Config::default()), |cx, at| {
        unless_none(cx, at, trains)
    });
    let discovery = fields.optional(cx, "discovery", None, |cx, at| unless_none(cx, at, discovery));
    let wrong_by = fields.optional(cx, "wrong_by", WRONG_BY, |cx, at| value::integer(cx, at, 0, 100));
    Some(Overlay {
        name: name?,
        paths: paths?,
        selection: selection?,
        probes: probes?,
        bfd: bfd?,
        trains: trains?,
        discovery: discovery?,
        wrong_by: u8::try_from(wrong_by?).expect("at most 100"),
    })
}

fn path(cx: &mut Context, at: &At) -> Option<OverlayPath> {
    let known = ["name", "between", "via", "tunnel", "rate", "price"];
    let fields = Fields::of(cx, at, "a path", None, &known)?;
    let name = fields.required(cx, "name", value::name);
    let ends = fields.required(cx, "between", ends);
    let via = fields.optional(cx, "via", None, |cx, at| {
        let (via, complete) = list(cx, at, MOST_VIA, region_name);
        complete.then(|| Some(via.into_iter().map(|(_, region)| region).collect()))
    });
    let tunnel = fields.optional(cx, "tunnel", None, tunnel::tunnel);
    let rate = fields.optional(cx, "rate", None, |cx, at| constant_rate(cx, at).map(Some));
    let price = fields.optional(cx, "price", None, |cx, at| {
        let millionths = value::millionths(cx, at, 0, 1_000 * MILLION)?;
        Some(Some(u64::try_from(millionths).expect("not negative")))
    });
    Some(OverlayPath {
        name: name?,
        ends: ends?,
        via: via?,
        tunnel: tunnel?,
        rate: rate?,
        microdollars_per_gb: price?,
    })
}

/// How edges find each other.
fn discovery(cx: &mut Context, at: &At) -> Option<SiteDiscovery> {
    let default = discovery::Config::default();
    let known = ["hubs", "interval", "timeout", "skew", "wrong_keys"];
    let fields = Fields::of(cx, at, "the discovery", None, &known)?;
    let regions = |cx: &mut Context, at: &At| {
        let (regions, complete) = list(cx, at, MOST_PATHS, region_name);
        complete.then(|| {
            regions
                .into_iter()
                .map(|(_, region)| region)
                .collect::<Vec<String>>()
        })
    };
    let hubs = fields.required(cx, "hubs", |cx, at| {
        let hubs = regions(cx, at)?;
        if hubs.is_empty() {
            return cx.refuse(at, "at least one hub is needed");
        }
        Some(hubs)
    });
    let interval = fields.optional(cx, "interval", ANNOUNCED, |cx, at| {
        value::quantity_within(cx, at, &Span::from_ms(100), &Span::from_s(3_600))
    });
    let timeout = fields.optional(cx, "timeout", default.timeout, positive_span);
    let skew = fields.optional(cx, "skew", default.skew, positive_span);
    let wrong_keys = fields.optional(cx, "wrong_keys", Vec::new(), regions);
    let discovery = SiteDiscovery {
        hubs: hubs?,
        interval: interval?,
        timeout: timeout?,
        skew: skew?,
        wrong_keys: wrong_keys?,
    };
    for (name, span) in [("timeout", discovery.timeout), ("skew", discovery.skew)] {
        if span <= discovery.interval {
            let message = format!(
                "sites announce themselves every {}: `{name}` must be longer",
                discovery.interval
            );
            return cx.refuse(&fields.get(name).or_else(|| fields.get("interval"))?, message);
        }
    }
    Some(discovery)
}

/// Two regions that are not one.
fn ends(cx: &mut Context, at: &At) -> Option<(String, String)> {
    let Kind::Tuple(None, items) = &at.node.kind else {
        return cx.refuse(at, "the two ends are written (\"one-region\", \"other-region\")");
    };
    let [one, other] = &items[..] else {
        return cx.refuse(at, "the two ends are written (\"one-region\", \"other-region\")");
    };
    let (one, other) = (
        region_name(cx, &at.item(0, one)),
        region_name(cx, &at.item(1, other)),
    );
    let (one, other) = (one?, other?);
    if one == other {
        return cx.refuse(at, format!("a path from `{one}` to itself"));
    }
    Some((one, other))
}

fn by_policy() -> Selection {
    Selection::ByPolicy {
        policies: Vec::new(),
        hysteresis: Some(Hysteresis::default()),
        review: REVIEW,
    }
}

fn selection(cx: &mut Context, at: &At) -> Option<Selection> {
    let variants = [
        Variant {
            name: "InOrder",
            form: "InOrder(hold: \"60 s\")",
        },
        Variant {
            name: "ByPolicy",
            form: "ByPolicy()",
        },
    ];
    let name = variant(cx, at, "a selection", &variants)?;
    if name == "InOrder" {
        let fields = Fields::of(cx, at, "a fixed order", Some(name), &["hold"])?;
        let hold = fields.optional(cx, "hold", HOLD, positive_span);
        return Some(Selection::InOrder { hold: hold? });
    }
    let known = ["policies", "hysteresis", "review"];
    let fields = Fields::of(cx, at, "a selection by policy", Some(name), &known)?;
    let policies = fields.optional(cx, "policies", Vec::new(), policy::policies);
    let hysteresis = fields.optional(cx, "hysteresis", Some(Hysteresis::default()), |cx, at| {
        unless_none(cx, at, hysteresis)
    });
    let review = fields.optional(cx, "review", REVIEW, positive_span);
    Some(Selection::ByPolicy {
        policies: policies?,
        hysteresis: hysteresis?,
        review: review?,
    })
}

fn hysteresis(cx: &mut Context, at: &At) -> Option<Hysteresis> {
    let default = Hysteresis::default();
    let known = ["leave", "back", "hold", "advantage"];
    let fields = Fields::of(cx, at, "the hysteresis", None, &known)?;
    let mut points = |name: &str, default: u8| {
        let points = fields.optional(cx, name, u64::from(default), |cx, at| {
            value::integer(cx, at, 0, 100)
        });
        points.map(|points| u8::try_from(points).expect("at most 100"))
    };
    let (leave, back) = (points("leave", default.leave), points("back", default.back));
    let advantage = points("advantage", default.advantage);
    let hold = fields.optional(cx, "hold", default.hold, value::quantity);
    let hysteresis = Hysteresis {
        leave: leave?,
        back: back?,
        hold: hold?,
        advantage: advantage?,
    };
    if hysteresis.leave > hysteresis.back {
        let message = format!(
            "a path is left below {} points, so it cannot be good again from {}",
            hysteresis.leave, hysteresis.back
        );
        return cx.refuse(&fields.get("leave").or_else(|| fields.get("back"))?, message);
    }
    Some(hysteresis)
}

fn probes(cx: &mut Context, at: &At) -> Option<probe::Config> {
    let default = probe::Config::default();
    let known = [
        "interval",
        "timeout",
        "rtt_samples",
        "loss_samples",
        "age",
        "down_after",
        "up_after",
    ];
    let fields = Fields::of(cx, at, "the probes", None, &known)?;
    let interval = fields.optional(cx, "interval", default.interval, |cx, at| {
        value::quantity_within(cx, at, &Span::from_ms(1), &Span::from_s(3_600))
    });
    let timeout = fields.optional(cx, "timeout", default.timeout, positive_span);
    let age = fields.optional(cx, "age", default.age, positive_span);
    let mut count = |name: &str, default: u32| {
        let count = fields.optional(cx, name, u64::from(default), |cx, at| {
            value::integer(cx, at, 1, 100_000)
        });
        count.map(|count| u32::try_from(count).expect("at most 100,000"))
    };
    let (rtt_samples, loss_samples) = (
        count("rtt_samples", default.rtt_samples),
        count("loss_samples", default.loss_samples),
    );
    let (down_after, up_after) = (
        count("down_after", default.down_after),
        count("up_after", default.up_after),
    );
    Some(probe::Config {
        interval: interval?,
        timeout: timeout?,
        rtt_samples: rtt_samples?,
        loss_samples: loss_samples?,
        age: age?,
        down_after: down_after?,
        up_after: up_after?,
    })
}

fn sessions(cx: &mut Context, at: &At) -> Option<bfd::Config> {
    let default = bfd::Config::default();
    let fields = Fields::of(cx, at, "BFD", None, &["interval", "multiplier", "slow_start"])?;
    let interval = fields.optional(cx, "interval", default.interval, |cx, at| {
        let interval: Span = value::quantity_within(cx, at, &Span::from_ms(1), &Span::from_s(3_600))?;
        if !interval.as_ns().is_multiple_of(1_000) {
            return cx.refuse(at, "BFD counts in whole microseconds");
        }
        Some(interval)
    });
    let multiplier = fields.optional(cx, "multiplier", u64::from(default.multiplier), |cx, at| {
        value::integer(cx, at, 1, 255)
    });
    let slow_start = fields.optional(cx, "slow_start", default.slow_start, value::boolean);
    Some(bfd::Config {
        interval: interval?,
        multiplier: u8::try_from(multiplier?).expect("at most 255"),
        slow_start: slow_start?,
    })
}

fn trains(cx: &mut Context, at: &At) -> Option<bandwidth::Config> {
    let default = bandwidth::Config::default();
    let known = [
        "packets", "burst", "length", "interval", "share", "assumed", "timeout",
    ];
    let fields = Fields::of(cx, at, "the trains", None, &known)?;
    let packets = fields.optional(cx, "packets", u64::from(default.packets), |cx, at| {
        value::integer(cx, at, 2, 1_000)
    });
    let length = ByteSize::from_bytes(u64::from(default.packet_bytes));
    let length = fields.optional(cx, "length", length, |cx, at| {
        value::quantity_within(cx, at, &ByteSize::from_bytes(64), &ByteSize::from_bytes(1_400))
    });
    let burst = fields.optional(cx, "burst", default.burst, positive_span);
    let interval = fields.optional(cx, "interval", default.interval, positive_span);
    let share = fields.optional(cx, "share", default.share, |cx, at| {
        let share: Probability = value::quantity(cx, at)?;
        if share == Probability::ZERO {
            return cx.refuse(
                at,
                "without any share nothing is measured: `trains: None` says so",
            );
        }
        Some(share)
    });
    let assumed = fields.optional(cx, "assumed", default.assumed, constant_rate);
    let timeout = fields.optional(cx, "timeout", default.timeout, positive_span);
    let (packets, length, assumed): (u64, ByteSize, BitRate) = (packets?, length?, assumed?);
    Some(bandwidth::Config {
        packets: u16::try_from(packets).expect("at most 1,000"),
        packet_bytes: u16::try_from(length.as_bytes()).expect("at most 1,400"),
        overhead_bytes: default.overhead_bytes,
        burst: burst?,
        interval: interval?,
        share: share?,
        assumed,
        timeout: timeout?,
    })
}
