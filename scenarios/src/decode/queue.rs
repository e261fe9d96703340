//! Queues in front of links: their capacity, and the discipline that rules them.

use std::sync::Arc;

use longhaul_core::time::Span;
use longhaul_core::units::{BitRate, ByteSize};

use crate::diagnose::approximate;
use crate::schema::{CoDel, FqCoDel, Htb, HtbClass, Queue, QueueLimit, Rate};

use super::context::{At, Context, Fields, Variant, content, list, variant};
use super::network::constant_rate;
use super::value::{self, MILLION};
use super::work::positive_span;

/// A frame that carries a full segment over Ethernet.
const FULL_FRAME: u64 = 1514;
/// Smallest queue that is chosen by default: one good burst of segments.
const LEAST_DEFAULT_QUEUE: u64 = 64 << 10;
/// Longest time that a full queue may take to drain; keeps every instant in range.
const LONGEST_DRAIN: Span = Span::from_s(24 * 3_600);
/// Most frames in a queue.
const MOST_PACKETS: u64 = 1_000_000_000;
/// Largest queue.
const LARGEST: ByteSize = ByteSize::from_bytes(1 << 40);
/// Most classes of one HTB.
const MOST_CLASSES: usize = 256;

/// A queue as written.
#[derive(Clone)]
pub enum Written {
    /// In full.
    Queue(Queue),
    /// Millionths of the link's bandwidth-delay product.
    Bdp(i64),
}

/// A bandwidth-delay product.
pub const DEFAULT: Written = Written::Bdp(MILLION);

const VARIANTS: [Variant; 7] = [
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
    Variant {
        name: "CoDel",
        form: "CoDel()",
    },
    Variant {
        name: "FqCoDel",
        form: "FqCoDel()",
    },
    Variant {
        name: "Htb",
        form: "Htb(rate: \"1 Gbit/s\", default_class: 0, classes: [(class: 0, rate: \"500 Mbit/s\")])",
    },
];

/// Any queue.
pub fn queue(cx: &mut Context, at: &At) -> Option<Written> {
    let name = variant(cx, at, "a queue", &VARIANTS)?;
    match name {
        "Bdp" => {
            let at = content(cx, at, VARIANTS[3].form)?;
            value::millionths(cx, &at, 1, 1_000 * MILLION).map(Written::Bdp)
        }
        "CoDel" => codel(cx, at).map(Written::Queue),
        "FqCoDel" => fq_codel(cx, at).map(Written::Queue),
        "Htb" => htb(cx, at).map(Written::Queue),
        _ => limit_named(cx, at, name).map(|limit| Written::Queue(Queue::Fifo(limit))),
    }
}

/// A capacity by its variant.
fn limit_named(cx: &mut Context, at: &At, name: &str) -> Option<QueueLimit> {
    match name {
        "Bytes" => {
            let at = content(cx, at, VARIANTS[0].form)?;
            let least = ByteSize::from_bytes(FULL_FRAME);
            let size = value::quantity_within(cx, &at, &least, &LARGEST)?;
            Some(QueueLimit::Bytes(size.as_bytes()))
        }
        "Packets" => {
            let at = content(cx, at, VARIANTS[1].form)?;
            packets(cx, &at).map(QueueLimit::Packets)
        }
        _ => {
            let at = content(cx, at, VARIANTS[2].form)?;
            packets(cx, &at).map(QueueLimit::Inside)
        }
    }
}

fn packets(cx: &mut Context, at: &At) -> Option<u32> {
    let packets = value::integer(cx, at, 1, MOST_PACKETS)?;
    Some(u32::try_from(packets).expect("at most 10^9"))
}

fn size(cx: &mut Context, at: &At) -> Option<ByteSize> {
    value::quantity_within(cx, at, &ByteSize::from_bytes(1), &LARGEST)
}

fn codel(cx: &mut Context, at: &At) -> Option<Queue> {
    let known = ["limit", "target", "interval", "ecn"];
    let fields = Fields::of(cx, at, "CoDel", Some("CoDel"), &known)?;
    let default = CoDel::LINUX;
    let limit_packets = fields.optional(cx, "limit", default.limit_packets, packets);
    let target = fields.optional(cx, "target", default.target, positive_span);
    let interval = fields.optional(cx, "interval", default.interval, positive_span);
    let ecn = fields.optional(cx, "ecn", default.ecn, value::boolean);
    Some(Queue::CoDel(CoDel {
        limit_packets: limit_packets?,
        target: target?,
        interval: interval?,
        ecn: ecn?,
    }))
}

fn fq_codel(cx: &mut Context, at: &At) -> Option<Queue> {
    let known = [
        "flows",
        "quantum",
        "limit",
        "memory_limit",
        "target",
        "interval",
        "ecn",
    ];
    let fields = Fields::of(cx, at, "FQ-CoDel", Some("FqCoDel"), &known)?;
    let default = FqCoDel::LINUX;
    let flows = fields.optional(cx, "flows", default.flows, |cx, at| {
        let flows = value::integer(cx, at, 1, FqCoDel::MOST_FLOWS.into())?;
        Some(u32::try_from(flows).expect("at most 2^16"))
    });
    let quantum = fields.optional(cx, "quantum", default.quantum, |cx, at| {
        quantum(cx, at, FqCoDel::LEAST_QUANTUM)
    });
    let limit_packets = fields.optional(cx, "limit", default.limit_packets, packets);
    let memory_limit = fields.optional(cx, "memory_limit", default.memory_limit, size);
    let target = fields.optional(cx, "target", default.target, positive_span);
    let interval = fields.optional(cx, "interval", default.interval, positive_span);
    let ecn = fields.optional(cx, "ecn", default.ecn, value::boolean);
    Some(Queue::FqCoDel(FqCoDel {
        flows: flows?,
        quantum: quantum?,
        limit_packets: limit_packets?,
        memory_limit: memory_limit?,
        target: target?,
        interval: interval?,
        ecn: ecn?,
    }))
}

/// Bytes that one may send before it is another's turn.
fn quantum(cx: &mut Context, at: &At, least: u32) -> Option<u32> {
    let (least, most) = (ByteSize::from_bytes(least.into()), ByteSize::from_bytes(1 << 30));
    let bytes = value::quantity_within(cx, at, &least, &most)?.as_bytes();
    Some(u32::try_from(bytes).expect("at most 2^30"))
}

fn htb(cx: &mut Context, at: &At) -> Option<Queue> {
    let known = ["rate", "burst", "default_class", "classes"];
    let fields = Fields::of(cx, at, "HTB", Some("Htb"), &known)?;
    let rate = fields.required(cx, "rate", constant_rate);
    let burst = fields.optional(cx, "burst", ByteSize::from_bytes(1_600), size);
    let default_class = fields.required(cx, "default_class", class_number);
    let classes_at = fields.get("classes");
    let read = fields.required(cx, "classes", |cx, at| {
        Some(list(cx, at, MOST_CLASSES, htb_class))
    });
    let (classes, complete) = read?;
    let classes: Vec<HtbClass> = classes.into_iter().map(|(_, class)| class).collect();
    let (rate, burst, default_class) = (rate?, burst?, default_class?);
    if !complete {
        return None;
    }
    let htb = Htb {
        rate,
        burst,
        classes,
        default_class,
    };
    match htb.check() {
        Ok(()) => Some(Queue::Htb(Arc::new(htb))),
        Err(error) => cx.refuse(&classes_at?, error.to_string()),
    }
}

fn htb_class(cx: &mut Context, at: &At) -> Option<HtbClass> {
    let known = [
        "class", "rate", "ceil", "burst", "cburst", "priority", "quantum", "limit",
    ];
    let fields = Fields::of(cx, at, "a class", None, &known)?;
    let class = fields.required(cx, "class", class_number);
    let rate = fields.required(cx, "rate", constant_rate)?;
    let ceil = fields.optional(cx, "ceil", rate, constant_rate)?;
    let default = HtbClass::new(0, rate, ceil);
    let burst = fields.optional(cx, "burst", default.burst, size);
    let cburst = fields.optional(cx, "cburst", default.cburst, size);
    let priority = fields.optional(cx, "priority", default.priority, |cx, at| {
        let priority = value::integer(cx, at, 0, 7)?;
        Some(u8::try_from(priority).expect("at most 7"))
    });
    let quantum = fields.optional(cx, "quantum", default.quantum, |cx, at| quantum(cx, at, 1));
    let limit = fields.optional(cx, "limit", default.limit, |cx, at| {
        let name = variant(cx, at, "a capacity", &VARIANTS[..2])?;
        limit_named(cx, at, name)
    });
    Some(HtbClass {
        class: class?,
        burst: burst?,
        cburst: cburst?,
        priority: priority?,
        quantum: quantum?,
        limit: limit?,
        ..default
    })
}

/// Number of a traffic class.
pub fn class_number(cx: &mut Context, at: &At) -> Option<u8> {
    let class = value::integer(cx, at, 0, 255)?;
    Some(u8::try_from(class).expect("at most 255"))
}

/// The queue at this rate and round trip.
pub fn resolve(cx: &mut Context, at: &At, queue: Written, rate: &Rate, round_trip: Span) -> Option<Queue> {
    let queue = match (queue, rate.constant()) {
        (Written::Queue(queue), _) => queue,
        (Written::Bdp(millionths), Some(rate)) => Queue::Fifo(product(millionths, rate, round_trip)),
        (Written::Bdp(_), None) => {
            let message = "the rate varies, so `queue` must say how much may wait: Packets(…) or Bytes(…)";
            return cx.refuse(at, message);
        }
    };
    let Some(rate) = rate.constant() else {
        return Some(queue);
    };
    let bytes = most_bytes(&queue);
    let drain = rate.time_for(bytes);
    if drain > LONGEST_DRAIN {
        let size = ByteSize::from_bytes(bytes);
        let drain = approximate(drain);
        let message = format!("a full queue of {size} drains in {drain} at {rate}; at most {LONGEST_DRAIN}");
        return cx.refuse(at, message);
    }
    Some(queue)
}

/// A multiple of the bandwidth-delay product.
fn product(millionths: i64, rate: BitRate, round_trip: Span) -> QueueLimit {
    // Below 10^14 × 7.2·10^12 × 10^9, which 128 bits hold.
    let bits_ns = u128::from(rate.as_bits_per_s()) * u128::from(round_trip.as_ns());
    let factor = u128::from(millionths.unsigned_abs());
    let bytes = bits_ns * factor / (8 * 1_000_000_000 * 1_000_000);
    QueueLimit::Bytes(u64::try_from(bytes).unwrap_or(u64::MAX).max(LEAST_DEFAULT_QUEUE))
}

/// Most bytes of full frames that may wait.
pub fn most_bytes(queue: &Queue) -> u64 {
    let of_limit = |limit: &QueueLimit| match *limit {
        QueueLimit::Bytes(bytes) => bytes,
        QueueLimit::Packets(packets) | QueueLimit::Inside(packets) => u64::from(packets) * FULL_FRAME,
    };
    match queue {
        Queue::Fifo(limit) => of_limit(limit),
        Queue::CoDel(codel) => u64::from(codel.limit_packets) * FULL_FRAME,
        Queue::FqCoDel(fq) => (u64::from(fq.limit_packets) * FULL_FRAME).min(fq.memory_limit.as_bytes()),
        Queue::Htb(htb) => htb.classes.iter().map(|class| of_limit(&class.limit)).sum(),
    }
}
