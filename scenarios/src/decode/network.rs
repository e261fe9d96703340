//! Regions and links.

use longhaul_core::time::Span;
use longhaul_core::units::{BitRate, ByteSize, Probability};
use longhaul_net::loss;

use crate::diagnose::approximate;
use crate::schema::{Jitter, Link, Location, Loss, QueueLimit, Region};
use crate::syntax::Kind;

use super::context::{At, Context, Fields, Variant, content, no_content, variant};
use super::names::reference;
use super::value::{self, MILLION};

/// Longest propagation delay and longest jitter: light to Mars takes less.
const LONGEST_DELAY: Span = Span::from_s(3_600);
/// Highest rate of a link.
const HIGHEST_RATE: BitRate = BitRate::from_bits_per_s(100_000_000_000_000);
/// A frame that carries a full segment over Ethernet.
const FULL_FRAME: u64 = 1514;
/// Smallest queue that is chosen by default: one good burst of segments.
const LEAST_DEFAULT_QUEUE: u64 = 64 << 10;
/// Longest time that a full queue may take to drain; keeps every instant in range.
const LONGEST_DRAIN: Span = Span::from_s(24 * 3_600);
/// Longest mean burst of losses.
const LONGEST_BURST: u64 = 1_000_000;

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
        "between", "rtt", "from", "to", "delay", "rate", "queue", "loss", "jitter",
    ];
    let fields = Fields::of(cx, at, "a link", None, &known)?;
    let ends = match fields.get("between") {
        Some(between) => symmetric(cx, &fields, &between),
        None => directed(cx, &fields),
    };
    let rate = fields.required(cx, "rate", |cx, at| {
        value::quantity_within(cx, at, &BitRate::from_bits_per_s(1), &HIGHEST_RATE)
    });
    let loss = fields.optional(cx, "loss", Loss::None, loss_law);
    let jitter = fields.optional(cx, "jitter", Jitter::None, jitter_law);
    let queue = fields.optional(cx, "queue", Queue::Bdp(MILLION), queue);
    let (ends, rate, loss, jitter, queue) = (ends?, rate?, loss?, jitter?, queue?);
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
    let queue = queue.resolve(
        cx,
        &fields.get("queue").unwrap_or_else(|| at.clone()),
        rate,
        round_trip,
    )?;
    let link = |Ends { from, to, delay }| Link {
        from,
        to,
        rate,
        delay,
        queue,
        loss,
        jitter,
    };
    Some(ends.into_iter().map(link).collect())
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
    let delay = fields.required(cx, "delay", delay);
    let (from, to, delay) = (from?, to?, delay?);
    if from == to {
        return cx.refuse(&to_at?, format!("a link from `{from}` to itself"));
    }
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
    let rtt = fields.required(cx, "rtt", |cx, at| {
        value::quantity_within(cx, at, &Span::ZERO, &most)
    });
    let ((first, second), rtt) = (ends?, rtt?);
    if first == second {
        return cx.refuse(between, format!("a link from `{first}` to itself"));
    }
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

fn region_name(cx: &mut Context, at: &At) -> Option<String> {
    reference(cx, at, "region", |names| &names.regions)
}

fn delay(cx: &mut Context, at: &At) -> Option<Span> {
    value::quantity_within(cx, at, &Span::ZERO, &LONGEST_DELAY)
}

/// A queue as written.
#[derive(Clone, Copy)]
enum Queue {
    Limit(QueueLimit),
    /// Millionths of the link's bandwidth-delay product.
    Bdp(i64),
}

fn queue(cx: &mut Context, at: &At) -> Option<Queue> {
    let variants = [
        Variant {
            name: "Bytes",
            form: "Bytes(\"64 MiB\")",
        },
        Variant {
            name: "Packets",
            form: "Packets(1000)",
        },
        Variant {
            name: "Inside",
            form: "Inside(1000)",
        },
        Variant {
            name: "Bdp",
            form: "Bdp(1.0)",
        },
    ];
    match variant(cx, at, "a queue", &variants)? {
        "Bytes" => {
            let at = content(cx, at, variants[0].form)?;
            let (least, most) = (ByteSize::from_bytes(FULL_FRAME), ByteSize::from_bytes(1 << 40));
            value::quantity_within(cx, &at, &least, &most).map(|size| Queue::Limit(QueueLimit::Bytes(size)))
        }
        "Packets" => {
            let at = content(cx, at, variants[1].form)?;
            packets(cx, &at).map(|packets| Queue::Limit(QueueLimit::Packets(packets)))
        }
        "Inside" => {
            let at = content(cx, at, variants[2].form)?;
            packets(cx, &at).map(|packets| Queue::Limit(QueueLimit::Inside(packets)))
        }
        _ => {
            let at = content(cx, at, variants[3].form)?;
            value::millionths(cx, &at, 1, 1_000 * MILLION).map(Queue::Bdp)
        }
    }
}

/// A number of frames.
fn packets(cx: &mut Context, at: &At) -> Option<u32> {
    let packets = value::integer(cx, at, 1, 1_000_000_000)?;
    Some(u32::try_from(packets).expect("at most 10^9"))
}

impl Queue {
    /// The capacity at this rate and round trip.
    fn resolve(self, cx: &mut Context, at: &At, rate: BitRate, round_trip: Span) -> Option<QueueLimit> {
        let limit = match self {
            Queue::Limit(limit) => limit,
            Queue::Bdp(millionths) => {
                // Below 10^14 × 7.2·10^12 × 10^9, which 128 bits hold.
                let bits_ns = u128::from(rate.as_bits_per_s()) * u128::from(round_trip.as_ns());
                let factor = u128::from(millionths.unsigned_abs());
                let bytes = bits_ns * factor / (8 * 1_000_000_000 * 1_000_000);
                let bytes = u64::try_from(bytes).unwrap_or(u64::MAX).max(LEAST_DEFAULT_QUEUE);
                QueueLimit::Bytes(ByteSize::from_bytes(bytes))
            }
        };
        let bytes = match limit {
            QueueLimit::Bytes(size) => size.as_bytes(),
            QueueLimit::Packets(packets) | QueueLimit::Inside(packets) => u64::from(packets) * FULL_FRAME,
        };
        let drain = rate.time_for(bytes);
        if drain > LONGEST_DRAIN {
            let size = ByteSize::from_bytes(bytes);
            let drain = approximate(drain);
            let message =
                format!("a full queue of {size} drains in {drain} at {rate}; at most {LONGEST_DRAIN}");
            return cx.refuse(at, message);
        }
        Some(limit)
    }
}

fn loss_law(cx: &mut Context, at: &At) -> Option<Loss> {
    let variants = [
        Variant {
            name: "None",
            form: "None",
        },
        Variant {
            name: "Independent",
            form: "Independent(mean: \"0.1 %\")",
        },
        Variant {
            name: "GilbertElliott",
            form: "GilbertElliott(mean: \"0.1 %\", burst: 3)",
        },
    ];
    let name = variant(cx, at, "a loss law", &variants)?;
    match name {
        "None" => no_content(cx, at).map(|()| Loss::None),
        "Independent" => {
            let fields = Fields::of(cx, at, "independent loss", Some(name), &["mean"])?;
            let mean = fields.required(cx, "mean", mean_loss)?;
            Some(Loss::Independent { mean })
        }
        _ => {
            let fields = Fields::of(cx, at, "Gilbert–Elliott loss", Some(name), &["mean", "burst"])?;
            let mean = fields.required(cx, "mean", mean_loss);
            let burst = fields.required(cx, "burst", |cx, at| value::integer(cx, at, 1, LONGEST_BURST));
            let (mean, burst_packets) = (mean?, u32::try_from(burst?).expect("at most 10^6"));
            if let Err(error) = loss::Loss::transitions(mean, burst_packets) {
                return cx.refuse(&fields.get("mean")?, error.to_string());
            }
            Some(Loss::GilbertElliott { mean, burst_packets })
        }
    }
}

fn mean_loss(cx: &mut Context, at: &At) -> Option<Probability> {
    let mean = value::quantity(cx, at)?;
    if mean == Probability::ONE {
        return cx.refuse(at, "a link that loses everything is no link; leave it out");
    }
    Some(mean)
}

fn jitter_law(cx: &mut Context, at: &At) -> Option<Jitter> {
    let variants = [
        Variant {
            name: "None",
            form: "None",
        },
        Variant {
            name: "Normal",
            form: "Normal(mean: \"2 ms\", sd: \"1 ms\")",
        },
        Variant {
            name: "Uniform",
            form: "Uniform(max: \"5 ms\")",
        },
    ];
    let name = variant(cx, at, "a jitter law", &variants)?;
    match name {
        "None" => no_content(cx, at).map(|()| Jitter::None),
        "Normal" => {
            let fields = Fields::of(cx, at, "normal jitter", Some(name), &["mean", "sd"])?;
            let mean = fields.required(cx, "mean", delay);
            let sd = fields.required(cx, "sd", delay);
            Some(Jitter::Normal { mean: mean?, sd: sd? })
        }
        _ => {
            let fields = Fields::of(cx, at, "uniform jitter", Some(name), &["max"])?;
            fields
                .required(cx, "max", delay)
                .map(|max| Jitter::Uniform { max })
        }
    }
}
