//! Faults: what fails, when, and for how long.

use longhaul_core::time::Span;

use crate::schema::{Fault, Kill, LinkDown, Pause, Reset};
use crate::syntax::Kind;

use super::LONGEST_HORIZON;
use super::chaos;
use super::context::{At, Context, Fields, Variant, variant};
use super::names::reference;
use super::network::region_name;
use super::value;
use super::work::positive_span;

/// An entry of `faults`; one that names a link by `between` is two of them.
pub fn fault(cx: &mut Context, at: &At) -> Option<Vec<Fault>> {
    let variants = [
        Variant {
            name: "LinkDown",
            form: "LinkDown(between: (\"a\", \"b\"), at: \"2 s\", for: \"3 s\")",
        },
        Variant {
            name: "Pause",
            form: "Pause(region: \"a\", at: \"1 s\", for: \"500 ms\")",
        },
        Variant {
            name: "Kill",
            form: "Kill(region: \"a\", at: \"1 s\")",
        },
        Variant {
            name: "Reset",
            form: "Reset(workload: \"m0\", at: \"1 s\", every: \"1 s\")",
        },
    ];
    let variants: Vec<Variant> = variants.into_iter().chain(chaos::variants()).collect();
    let name = variant(cx, at, "a fault", &variants)?;
    match name {
        "LinkDown" => link_down(cx, at, name),
        "Pause" => pause(cx, at, name),
        "Kill" => kill(cx, at, name),
        "Reset" => reset(cx, at, name),
        "Recover" => chaos::recover(cx, at, name).map(|fault| vec![fault]),
        _ => chaos::network_fault(cx, at, name).map(|fault| vec![fault]),
    }
}

fn pause(cx: &mut Context, at: &At, name: &str) -> Option<Vec<Fault>> {
    let fields = Fields::of(cx, at, "a pause", Some(name), &["region", "at", "for"])?;
    let region = fields.required(cx, "region", region_name);
    let start = fields.required(cx, "at", moment);
    let duration = fields.optional(cx, "for", None, |cx, at| positive_span(cx, at).map(Some));
    Some(vec![Fault::Pause(Pause {
        region: region?,
        at: start?,
        duration: duration?,
    })])
}

fn kill(cx: &mut Context, at: &At, name: &str) -> Option<Vec<Fault>> {
    let fields = Fields::of(cx, at, "an end", Some(name), &["region", "at", "for"])?;
    let region = fields.required(cx, "region", region_name);
    let start = fields.required(cx, "at", moment);
    let duration = fields.optional(cx, "for", None, |cx, at| positive_span(cx, at).map(Some));
    Some(vec![Fault::Kill(Kill {
        region: region?,
        at: start?,
        duration: duration?,
    })])
}

/// Shortest time between two resets: it bounds how many a run has.
const LEAST_EVERY: Span = Span::from_ms(1);

fn reset(cx: &mut Context, at: &At, name: &str) -> Option<Vec<Fault>> {
    let fields = Fields::of(
        cx,
        at,
        "resets of connections",
        Some(name),
        &["workload", "at", "every"],
    )?;
    let workload = fields.required(cx, "workload", |cx, at| {
        reference(cx, at, "migration or transfer", |names| &names.workloads)
    });
    let start = fields.required(cx, "at", moment);
    let every = fields.optional(cx, "every", None, |cx, at| {
        value::quantity_within(cx, at, &LEAST_EVERY, &LONGEST_HORIZON).map(Some)
    });
    Some(vec![Fault::Reset(Reset {
        workload: workload?,
        at: start?,
        every: every?,
    })])
}

/// A time of the run.
pub fn moment(cx: &mut Context, at: &At) -> Option<Span> {
    value::quantity_within(cx, at, &Span::ZERO, &LONGEST_HORIZON)
}

fn link_down(cx: &mut Context, at: &At, name: &str) -> Option<Vec<Fault>> {
    let known = ["between", "from", "to", "at", "for"];
    let fields = Fields::of(cx, at, "a failure of a link", Some(name), &known)?;
    let ends = match fields.get("between") {
        Some(between) => symmetric(cx, &fields, &between),
        None => directed(cx, &fields),
    };
    let start = fields.required(cx, "at", moment);
    let duration = fields.optional(cx, "for", None, |cx, at| positive_span(cx, at).map(Some));
    let (ends, start, duration) = (ends?, start?, duration?);
    let down = |(from, to)| {
        Fault::LinkDown(LinkDown {
            from,
            to,
            at: start,
            duration,
        })
    };
    Some(ends.into_iter().map(down).collect())
}

/// The ends of directed links.
pub type Ends = Vec<(String, String)>;

/// `from` and `to`.
pub fn directed(cx: &mut Context, fields: &Fields) -> Option<Ends> {
    let from = fields.required(cx, "from", region_name);
    let to = fields.required(cx, "to", region_name);
    Some(vec![(from?, to?)])
}

/// `between`: a link and the one back.
pub fn symmetric(cx: &mut Context, fields: &Fields, between: &At) -> Option<Ends> {
    for name in ["from", "to"] {
        if let Some(at) = fields.get(name) {
            cx.refuse::<()>(&at, format!("`{name}` names one direction; `between` names both"));
        }
    }
    let Kind::Tuple(None, items) = &between.node.kind else {
        return cx.refuse(between, TWO_ENDS);
    };
    let [first, second] = &items[..] else {
        return cx.refuse(between, TWO_ENDS);
    };
    let first = region_name(cx, &between.item(0, first));
    let second = region_name(cx, &between.item(1, second));
    let (first, second) = (first?, second?);
    Some(vec![(first.clone(), second.clone()), (second, first)])
}

const TWO_ENDS: &str = "the two ends are written (\"one-region\", \"other-region\")";
