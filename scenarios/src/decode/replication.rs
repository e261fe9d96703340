//! Continuous replications.

use longhaul_core::time::Span;
use longhaul_core::units::BitRate;

use crate::schema::{Backoff, Consistency, Encoding, Failover, Heartbeat, Policy, Replication, Transport};
use crate::syntax::Kind;

use super::LONGEST_HORIZON;
use super::context::{At, Context, Fields, Variant, content, list, no_content, variant};
use super::migration;
use super::names::reference;
use super::work::positive_span;
use super::{transport, value};

/// Most VMs of a replication.
const MOST_VMS: usize = 1_000;
/// Most threads that encode.
const MOST_THREADS: u64 = 256;
/// Most heartbeats that may be missed.
const MOST_MISSED: u64 = 1_000;

const HEARTBEAT: Heartbeat = Heartbeat {
    interval: Span::from_s(1),
    multiplier: 5,
};
const BACKOFF: Backoff = Backoff {
    first: Span::from_s(1),
    most: Span::from_s(30),
};
const MANUAL: Failover = Failover::Manual {
    at: None,
    after: None,
};

/// A replication; what its transport does not say is as in `base`.
pub fn replication(cx: &mut Context, at: &At, base: Transport) -> Option<Replication> {
    let known = [
        "name",
        "vms",
        "to",
        "at",
        "consistency",
        "policy",
        "rpo_target",
        "snapshot_pause",
        "encoding",
        "encode_threads",
        "transport",
        "max_bandwidth",
        "heartbeat",
        "backoff",
        "failover",
        "write_rate",
        "restore_rate",
        "resume_time",
    ];
    let fields = Fields::of(cx, at, "a replication", None, &known)?;
    let name = fields.required(cx, "name", value::name);
    let vms = fields.required(cx, "vms", vms);
    let to = fields.required(cx, "to", |cx, at| {
        reference(cx, at, "region", |names| &names.regions)
    });
    let start = fields.optional(cx, "at", Span::ZERO, value::quantity);
    let consistency = fields.optional(cx, "consistency", Consistency::Each, consistency);
    let policy = fields.required(cx, "policy", policy);
    let rpo_target = rpo_target(cx, &fields, policy);
    let snapshot_pause = fields.optional(cx, "snapshot_pause", Span::ZERO, value::quantity);
    let encoding = fields.optional(cx, "encoding", Encoding::Hde { level: 1 }, encoding);
    let encode_threads = fields.optional(cx, "encode_threads", None, |cx, at| {
        let threads = value::integer(cx, at, 1, MOST_THREADS)?;
        Some(Some(u32::try_from(threads).expect("at most 256")))
    });
    let transport = fields.optional(cx, "transport", base, |cx, at| transport::transport(cx, at, base));
    let max_bandwidth = fields.optional(cx, "max_bandwidth", None, some_rate);
    let heartbeat = fields.optional(cx, "heartbeat", HEARTBEAT, heartbeat);
    let backoff = fields.optional(cx, "backoff", BACKOFF, backoff);
    let failover = fields.optional(cx, "failover", MANUAL, failover);
    let write_rate = fields.optional(cx, "write_rate", None, some_rate);
    let restore_rate = fields.optional(cx, "restore_rate", None, some_rate);
    let resume_time = fields.optional(cx, "resume_time", Span::from_s(30), value::quantity);
    let replication = Replication {
        name: name?,
        vms: vms?,
        to: to?,
        at: start?,
        consistency: consistency?,
        policy: policy?,
        rpo_target: rpo_target?,
        snapshot_pause: snapshot_pause?,
        encoding: encoding?,
        encode_threads: encode_threads?,
        transport: transport?,
        max_bandwidth: max_bandwidth?,
        heartbeat: heartbeat?,
        backoff: backoff?,
        failover: failover?,
        write_rate: write_rate?,
        restore_rate: restore_rate?,
        resume_time: resume_time?,
    };
    let least = least_interval(replication.policy);
    if replication.snapshot_pause >= least {
        let message = format!("snapshots every {least} that stop a VM for as long leave it no time to run");
        return cx.refuse(&fields.get("snapshot_pause")?, message);
    }
    Some(replication)
}

/// The least time between two snapshots.
pub fn least_interval(policy: Policy) -> Span {
    match policy {
        Policy::Interval(least) | Policy::Continuous { least } | Policy::Adaptive { least, .. } => least,
    }
}

fn vms(cx: &mut Context, at: &At) -> Option<Vec<String>> {
    let (vms, complete) = list(cx, at, MOST_VMS, |cx, at| {
        reference(cx, at, "vm", |names| &names.vms)
    });
    if complete && vms.is_empty() {
        return cx.refuse(at, "at least one VM is needed");
    }
    complete.then(|| vms.into_iter().map(|(_, vm)| vm).collect())
}

fn consistency(cx: &mut Context, at: &At) -> Option<Consistency> {
    let variants = ["Group", "Each", "Ranked"].map(|name| Variant { name, form: name });
    let name = variant(cx, at, "a consistency", &variants)?;
    no_content(cx, at)?;
    Some(match name {
        "Group" => Consistency::Group,
        "Each" => Consistency::Each,
        _ => Consistency::Ranked,
    })
}

fn policy(cx: &mut Context, at: &At) -> Option<Policy> {
    let variants = [
        Variant {
            name: "Interval",
            form: "Interval(\"5 min\")",
        },
        Variant {
            name: "Continuous",
            form: "Continuous(least: \"100 ms\")",
        },
        Variant {
            name: "Adaptive",
            form: "Adaptive(least: \"10 s\", most: \"10 min\")",
        },
    ];
    let name = variant(cx, at, "a policy", &variants)?;
    match name {
        "Interval" => {
            let at = content(cx, at, variants[0].form)?;
            positive_span(cx, &at).map(Policy::Interval)
        }
        "Continuous" => {
            let fields = Fields::of(cx, at, "a continuous policy", Some(name), &["least"])?;
            let least = fields.required(cx, "least", positive_span)?;
            Some(Policy::Continuous { least })
        }
        _ => {
            let fields = Fields::of(cx, at, "an adaptive policy", Some(name), &["least", "most"])?;
            let least = fields.required(cx, "least", positive_span);
            let most = fields.required(cx, "most", positive_span);
            let (least, most) = (least?, most?);
            if least > most {
                return cx.refuse(&fields.get("least")?, format!("more than `most`, {most}"));
            }
            Some(Policy::Adaptive { least, most })
        }
    }
}

/// Twice the interval where there is one: then an epoch may take as long as the interval.
fn rpo_target(cx: &mut Context, fields: &Fields, policy: Option<Policy>) -> Option<Span> {
    let target = match policy {
        Some(Policy::Interval(interval)) => {
            fields.optional(cx, "rpo_target", interval.saturating_mul(2), positive_span)
        }
        // Whether it has a default is not known then.
        None if fields.get("rpo_target").is_none() => None,
        _ => fields.required(cx, "rpo_target", positive_span),
    }?;
    let least = least_interval(policy?);
    if target <= least {
        let message = format!("snapshots are at least {least} apart, so no epoch keeps within {target}");
        return cx.refuse(&fields.get("rpo_target")?, message);
    }
    Some(target)
}

fn some_rate(cx: &mut Context, at: &At) -> Option<Option<BitRate>> {
    let least = BitRate::from_bits_per_s(1);
    let most = BitRate::from_bits_per_s(u64::MAX);
    value::quantity_within(cx, at, &least, &most).map(Some)
}

fn heartbeat(cx: &mut Context, at: &At) -> Option<Heartbeat> {
    let fields = Fields::of(cx, at, "a heartbeat", None, &["interval", "multiplier"])?;
    let interval = fields.optional(cx, "interval", HEARTBEAT.interval, positive_span);
    let multiplier = fields.optional(cx, "multiplier", HEARTBEAT.multiplier, |cx, at| {
        let multiplier = value::integer(cx, at, 1, MOST_MISSED)?;
        Some(u32::try_from(multiplier).expect("at most 1,000"))
    });
    Some(Heartbeat {
        interval: interval?,
        multiplier: multiplier?,
    })
}

fn backoff(cx: &mut Context, at: &At) -> Option<Backoff> {
    let fields = Fields::of(cx, at, "a back-off", None, &["first", "most"])?;
    let first = fields.optional(cx, "first", BACKOFF.first, positive_span);
    let most = fields.optional(cx, "most", BACKOFF.most, positive_span);
    let (first, most) = (first?, most?);
    if first > most {
        let at = fields.get("first").or_else(|| fields.get("most"))?;
        return cx.refuse(
            &at,
            format!("the first pause of {first} is above the longest, {most}"),
        );
    }
    Some(Backoff { first, most })
}

fn failover(cx: &mut Context, at: &At) -> Option<Failover> {
    let variants = [
        Variant {
            name: "Automatic",
            form: "Automatic",
        },
        Variant {
            name: "Manual",
            form: "Manual(after: \"30 min\")",
        },
    ];
    let name = variant(cx, at, "a fail-over", &variants)?;
    if name == "Automatic" {
        return no_content(cx, at).map(|()| Failover::Automatic);
    }
    if matches!(at.node.kind, Kind::Word(_)) {
        return Some(MANUAL);
    }
    let fields = Fields::of(cx, at, "a manual fail-over", Some(name), &["at", "after"])?;
    let order = fields.optional(cx, "at", None, |cx, at| {
        value::quantity_within(cx, at, &Span::ZERO, &LONGEST_HORIZON).map(Some)
    });
    let after = fields.optional(cx, "after", None, |cx, at| value::quantity(cx, at).map(Some));
    Some(Failover::Manual {
        at: order?,
        after: after?,
    })
}

/// How pages are encoded. XBZRLE caches what is sent again soon, which epochs never do.
fn encoding(cx: &mut Context, at: &At) -> Option<Encoding> {
    match migration::encoding(cx, at)? {
        Encoding::Xbzrle { .. } => cx.refuse(at, "a replication has `Raw`, `Zstd` or `Hde`".to_owned()),
        encoding => Some(encoding),
    }
}
