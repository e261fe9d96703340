//! Regions and links: where they are, how far and how fast.

use longhaul_core::time::Span;
use longhaul_core::units::{BitRate, ByteSize, Probability};
use longhaul_net::link::ETHERNET_MTU;
use longhaul_net::routing::MAX_WEIGHT;
use longhaul_net::trace::DeliveryTrace;

use crate::schema::{Jitter, Link, Location, Loss, Rate, Region};
use crate::syntax::Kind;

use super::context::{At, Context, Fields, Variant, variant};
use super::names::reference;
use super::value::{self, MILLION};
use super::work::positive_span;
use super::{distance, laws, queue};

/// Longest propagation delay and longest jitter: light to Mars takes less.
const LONGEST_DELAY: Span = Span::from_s(3_600);
/// Highest rate of a link.
const HIGHEST_RATE: BitRate = BitRate::from_bits_per_s(100_000_000_000_000);

/// A region.
pub fn region(cx: &mut Context, at: &At) -> Option<Region> {
    let fields = Fields::of(cx, at, "a region", None, &["name", "location"])?;
    let name = fields.required(cx, "name", value::name);
    let location = fields.optional(cx, "location", None, |cx, at| location(cx, at).map(Some));
    Some(Region {
        name: name?,
        location: location?,
    })
}

fn location(cx: &mut Context, at: &At) -> Option<Location> {
    let fields = Fields::of(cx, at, "a location", None, &["lat", "lon"])?;
    let degrees = |limit: i64| {
        move |cx: &mut Context, at: &At| {
            let microdegrees = value::millionths(cx, at, -limit * MILLION, limit * MILLION)?;
            Some(i32::try_from(microdegrees).expect("at most 180 million"))
        }
    };
    let latitude = fields.required(cx, "lat", degrees(90));
    let longitude = fields.required(cx, "lon", degrees(180));
    Some(Location {
        latitude_microdegrees: latitude?,
        longitude_microdegrees: longitude?,
    })
}

/// An entry of `links`: one directed link, or the two of a symmetric one.
pub fn link(cx: &mut Context, at: &At) -> Option<Vec<Link>> {
    let known = [
        "between",
        "rtt",
        "from",
        "to",
        "delay",
        "rate",
        "cost",
        "mtu",
        "queue",
        "loss",
        "jitter",
        "reorder",
        "duplicate",
        "corrupt",
        "changes",
        "period",
        "background",
    ];
    let fields = Fields::of(cx, at, "a link", None, &known)?;
    let ends = match fields.get("between") {
        Some(between) => symmetric(cx, &fields, &between),
        None => directed(cx, &fields),
    };
    let rate = fields.required(cx, "rate", rate);
    let cost = fields.optional(cx, "cost", 0, |cx, at| value::integer(cx, at, 0, MAX_WEIGHT));
    let mtu = fields.optional(cx, "mtu", ETHERNET_MTU, mtu);
    let loss = fields.optional(cx, "loss", Loss::None, laws::loss);
    let jitter = fields.optional(cx, "jitter", Jitter::None, laws::jitter);
    let reorder = fields.optional(cx, "reorder", false, value::boolean);
    let duplicate = fields.optional(cx, "duplicate", Probability::ZERO, value::quantity);
    let corrupt = fields.optional(cx, "corrupt", Probability::ZERO, value::quantity);
    let changes = fields.optional(cx, "changes", Vec::new(), laws::changes);
    let period = fields.optional(cx, "period", None, |cx, at| positive_span(cx, at).map(Some));
    let background = fields.optional(cx, "background", None, laws::background);
    let queue = fields.optional(cx, "queue", queue::DEFAULT, queue::queue);
    let (ends, rate, queue, cost, mtu) = (ends?, rate?, queue?, cost?, mtu?);
    let (loss, jitter, changes, period) = (loss?, jitter?, changes?, period?);
    let (reorder, duplicate, corrupt, background) = (reorder?, duplicate?, corrupt?, background?);
    laws::agree(cx, &fields, &rate, &changes, period)?;
    let round_trip = ends
        .iter()
        .map(|end| end.delay)
        .fold(Span::ZERO, |sum, delay| sum + delay);
    // A directed link alone does not know its way back: it is taken to be as long.
    let round_trip = if ends.len() == 1 {
        round_trip * 2
    } else {
        round_trip
    };
    let queue_at = fields.get("queue").unwrap_or_else(|| at.clone());
    let queue = queue::resolve(cx, &queue_at, queue, &rate, round_trip)?;
    let link = |Ends { from, to, delay }| Link {
        from,
        to,
        rate: rate.clone(),
        delay,
        cost,
        mtu,
        queue: queue.clone(),
        loss,
        jitter: jitter.clone(),
        reorder,
        duplicate,
        corrupt,
        changes: changes.clone(),
        period,
        background,
    };
    Some(ends.into_iter().map(link).collect())
}

/// A length of IP packets: what every host of IPv4 takes (RFC 791) to what jumbo frames hold.
pub fn mtu(cx: &mut Context, at: &At) -> Option<u32> {
    let (least, most) = (ByteSize::from_bytes(576), ByteSize::from_bytes(9_216));
    let mtu = value::quantity_within(cx, at, &least, &most)?;
    Some(mtu.as_bytes() as u32)
}

/// A constant rate, a recorded one or a random one.
fn rate(cx: &mut Context, at: &At) -> Option<Rate> {
    let variants = [
        Variant {
            name: "Deliveries",
            form: "Deliveries(file: \"lte.down\")",
        },
        Variant {
            name: "Poisson",
            form: "Poisson(mean: \"3 Mbit/s\")",
        },
        Variant {
            name: "Recorded",
            form: "Recorded(file: \"throughput.txt\")",
        },
    ];
    if !matches!(at.node.kind, Kind::Struct(Some(_), _) | Kind::Tuple(Some(_), _)) {
        return constant_rate(cx, at).map(Rate::Constant);
    }
    let name = variant(cx, at, "a rate", &variants)?;
    if name == "Poisson" {
        let fields = Fields::of(cx, at, "a random rate", Some(name), &["mean"])?;
        let (least, most) = DeliveryTrace::POISSON_RATES.into_inner();
        let mean = fields.required(cx, "mean", |cx, at| {
            let (least, most) = (BitRate::from_bits_per_s(least), BitRate::from_bits_per_s(most));
            value::quantity_within(cx, at, &least, &most)
        });
        return mean.map(Rate::Poisson);
    }
    let fields = Fields::of(cx, at, "a recorded rate", Some(name), &["file"])?;
    let file = fields.required(cx, "file", value::sentence)?;
    Some(match name {
        "Deliveries" => Rate::Deliveries { file },
        _ => Rate::Recorded { file },
    })
}

/// A rate above zero.
pub fn constant_rate(cx: &mut Context, at: &At) -> Option<BitRate> {
    value::quantity_within(cx, at, &BitRate::from_bits_per_s(1), &HIGHEST_RATE)
}

/// Where a directed link leads, and how long it takes.
struct Ends {
    from: String,
    to: String,
    delay: Span,
}

fn directed(cx: &mut Context, fields: &Fields) -> Option<Vec<Ends>> {
    if let Some(rtt) = fields.get("rtt") {
        let message =
            "a directed link has a `delay`; `rtt` belongs to a symmetric link, written with `between`";
        cx.refuse::<()>(&rtt, message);
    }
    let from = fields.required(cx, "from", region_name);
    let to_at = fields.get("to");
    let to = fields.required(cx, "to", region_name);
    let (Some(from), Some(to)) = (from, to) else {
        // The delay may be wrong by itself.
        fields.required(cx, "delay", |cx, at| distance::written(cx, at, &LONGEST_DELAY));
        return None;
    };
    if from == to {
        return cx.refuse(&to_at?, format!("a link from `{from}` to itself"));
    }
    let delay = fields.required(cx, "delay", |cx, at| {
        distance::one_way(cx, at, &from, &to, &LONGEST_DELAY)
    })?;
    Some(vec![Ends { from, to, delay }])
}

fn symmetric(cx: &mut Context, fields: &Fields, between: &At) -> Option<Vec<Ends>> {
    for name in ["from", "to", "delay"] {
        if let Some(at) = fields.get(name) {
            let message =
                format!("`{name}` belongs to a directed link; one written with `between` has an `rtt`");
            cx.refuse::<()>(&at, message);
        }
    }
    let ends = match &between.node.kind {
        Kind::Tuple(None, items) if items.len() == 2 => {
            let first = region_name(cx, &between.item(0, &items[0]));
            let second = region_name(cx, &between.item(1, &items[1]));
            first.zip(second)
        }
        _ => cx.refuse(
            between,
            "the two ends are written (\"one-region\", \"other-region\")",
        ),
    };
    let most = LONGEST_DELAY * 2;
    let Some((first, second)) = ends else {
        fields.required(cx, "rtt", |cx, at| distance::written(cx, at, &most));
        return None;
    };
    if first == second {
        return cx.refuse(between, format!("a link from `{first}` to itself"));
    }
    let rtt = fields.required(cx, "rtt", |cx, at| {
        distance::round_trip(cx, at, &first, &second, &most)
    })?;
    // Of an odd number of nanoseconds the way there gets the greater half.
    let there = Span::from_ns(rtt.as_ns().div_ceil(2));
    let back = rtt - there;
    Some(vec![
        Ends {
            from: first.clone(),
            to: second.clone(),
            delay: there,
        },
        Ends {
            from: second,
            to: first,
            delay: back,
        },
    ])
}

/// A region by its name.
pub fn region_name(cx: &mut Context, at: &At) -> Option<String> {
    reference(cx, at, "region", |names| &names.regions)
}

/// A delay of at most an hour.
pub fn delay(cx: &mut Context, at: &At) -> Option<Span> {
    value::quantity_within(cx, at, &Span::ZERO, &LONGEST_DELAY)
}
