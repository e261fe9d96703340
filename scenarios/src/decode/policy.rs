//! What traffic wants of the paths of an overlay.

use longhaul_sdwan::score::Weights;

use crate::schema::{PathObjective, PathPolicy, TrafficClass};
use crate::syntax::Kind;

use super::context::{At, Context, Fields, Variant, list, no_content, variant};
use super::network::region_name;
use super::value;

/// Most policies.
const MOST_POLICIES: usize = 100;

/// The list of policies.
pub fn policies(cx: &mut Context, at: &At) -> Option<Vec<PathPolicy>> {
    let (policies, complete) = list(cx, at, MOST_POLICIES, policy);
    if complete && policies.is_empty() {
        return cx.refuse(
            at,
            "without any policy traffic wants nothing; leave the field out for the usual four",
        );
    }
    let policies: Vec<PathPolicy> = policies.into_iter().map(|(_, policy)| policy).collect();
    let all = |policy: &PathPolicy| {
        policy.from.is_none() && policy.to.is_none() && policy.ports.is_none() && policy.class.is_none()
    };
    if complete && !policies.iter().any(all) {
        return cx.refuse(
            at,
            "one policy must apply to all traffic: one without `from`, `to`, `ports` and `class`",
        );
    }
    for (index, policy) in policies.iter().enumerate() {
        if policies[..index].iter().any(|other| other.name == policy.name) {
            return cx.refuse(at, format!("two policies are named `{}`", policy.name));
        }
    }
    complete.then_some(policies)
}

fn policy(cx: &mut Context, at: &At) -> Option<PathPolicy> {
    let known = ["name", "priority", "from", "to", "ports", "class", "objective"];
    let fields = Fields::of(cx, at, "a policy", None, &known)?;
    let name = fields.required(cx, "name", value::sentence);
    let priority = fields.required(cx, "priority", |cx, at| {
        value::integer(cx, at, 0, u64::from(u32::MAX))
    });
    let from = fields.optional(cx, "from", None, |cx, at| region_name(cx, at).map(Some));
    let to = fields.optional(cx, "to", None, |cx, at| region_name(cx, at).map(Some));
    let ports = fields.optional(cx, "ports", None, |cx, at| ports(cx, at).map(Some));
    let class = fields.optional(cx, "class", None, |cx, at| class(cx, at).map(Some));
    let objective = fields.required(cx, "objective", objective);
    Some(PathPolicy {
        name: name?,
        priority: u32::try_from(priority?).expect("within its range"),
        from: from?,
        to: to?,
        ports: ports?,
        class: class?,
        objective: objective?,
    })
}

/// A port.
pub fn port(cx: &mut Context, at: &At) -> Option<u16> {
    let port = value::integer(cx, at, 1, u64::from(u16::MAX))?;
    Some(u16::try_from(port).expect("within its range"))
}

fn ports(cx: &mut Context, at: &At) -> Option<(u16, u16)> {
    let Kind::Tuple(None, items) = &at.node.kind else {
        return port(cx, at).map(|port| (port, port));
    };
    let [first, last] = &items[..] else {
        return cx.refuse(at, "ports are written 443 or (5060, 5061)");
    };
    let (first, last) = (port(cx, &at.item(0, first)), port(cx, &at.item(1, last)));
    let (first, last) = (first?, last?);
    if first > last {
        return cx.refuse(
            at,
            format!("the ports end at {last}, before they begin at {first}"),
        );
    }
    Some((first, last))
}

fn class(cx: &mut Context, at: &At) -> Option<TrafficClass> {
    let variants = ["Critical", "Realtime", "Interactive", "Bulk", "BestEffort"];
    let variants = variants.map(|name| Variant { name, form: name });
    let name = variant(cx, at, "a traffic class", &variants)?;
    no_content(cx, at)?;
    Some(match name {
        "Critical" => TrafficClass::Critical,
        "Realtime" => TrafficClass::Realtime,
        "Interactive" => TrafficClass::Interactive,
        "Bulk" => TrafficClass::Bulk,
        _ => TrafficClass::BestEffort,
    })
}

fn objective(cx: &mut Context, at: &At) -> Option<PathObjective> {
    let plain = [
        ("LowestLatency", PathObjective::LowestLatency),
        ("HighestBandwidth", PathObjective::HighestBandwidth),
        ("LowestPacketLoss", PathObjective::LowestPacketLoss),
        ("LowestCost", PathObjective::LowestCost),
        (
            "LatencySensitive",
            PathObjective::Weighted(Weights::LATENCY_SENSITIVE),
        ),
        (
            "ThroughputFocused",
            PathObjective::Weighted(Weights::THROUGHPUT_FOCUSED),
        ),
        ("CostOptimised", PathObjective::Weighted(Weights::COST_OPTIMISED)),
        ("Balanced", PathObjective::Weighted(Weights::BALANCED)),
    ];
    let mut variants: Vec<Variant> = plain
        .iter()
        .map(|&(name, _)| Variant { name, form: name })
        .collect();
    variants.push(Variant {
        name: "Weighted",
        form: "Weighted(latency: 0.5, jitter: 0.3, loss: 0.2)",
    });
    let name = variant(cx, at, "an objective", &variants)?;
    if let Some((_, objective)) = plain.iter().find(|(known, _)| *known == name) {
        return no_content(cx, at).map(|()| *objective);
    }
    let known = ["latency", "jitter", "loss", "bandwidth", "cost"];
    let fields = Fields::of(cx, at, "weights", Some(name), &known)?;
    let mut weight = |name: &str| {
        fields.optional(cx, name, 0, |cx, at| {
            let millionths = value::millionths(cx, at, 0, value::MILLION)?;
            if millionths % 1_000 != 0 {
                return cx.refuse(at, "weights have at most three decimals");
            }
            Some(u32::try_from(millionths / 1_000).expect("at most 1,000"))
        })
    };
    let (latency, jitter, loss) = (weight("latency"), weight("jitter"), weight("loss"));
    let (bandwidth, cost) = (weight("bandwidth"), weight("cost"));
    let weights = Weights {
        latency: latency?,
        jitter: jitter?,
        loss: loss?,
        bandwidth: bandwidth?,
        cost: cost?,
    };
    if !weights.is_valid() {
        return cx.refuse(at, "the weights must add up to 1");
    }
    Some(PathObjective::Weighted(weights))
}
