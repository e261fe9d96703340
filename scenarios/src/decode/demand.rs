//! Demands and traffic engineering.

use longhaul_core::time::Span;

use crate::schema::{Demand, Engineering, Method};

use super::context::{At, Context, Fields, Variant, no_content, variant};
use super::network::{constant_rate, region_name};
use super::value;

/// A controller that hears of a failure by the routers' flooding, computes and installs: FFC (section 3) reports seconds.
const REACTION: Span = Span::from_ms(1_000);

/// A demand.
pub fn demand(cx: &mut Context, at: &At) -> Option<Demand> {
    let fields = Fields::of(cx, at, "a demand", None, &["from", "to", "rate"])?;
    let from = fields.required(cx, "from", region_name);
    let to = fields.required(cx, "to", region_name);
    let rate = fields.required(cx, "rate", constant_rate);
    let (from, to) = (from?, to?);
    if from == to {
        return cx.refuse(&fields.get("to")?, format!("a demand from `{from}` to itself"));
    }
    Some(Demand {
        from,
        to,
        rate: rate?,
    })
}

/// The block `engineering`.
pub fn engineering(cx: &mut Context, at: &At) -> Option<Engineering> {
    let fields = Fields::of(cx, at, "traffic engineering", None, &["method", "reaction"])?;
    let default = Engineering::default();
    let method = fields.optional(cx, "method", default.method, method);
    let reaction = fields.optional(cx, "reaction", default.reaction, value::quantity);
    let (method, reaction) = (method?, reaction?);
    if method == Method::Routed
        && let Some(at) = fields.get("reaction")
    {
        return cx.refuse(&at, "routers react after `reroute_after`");
    }
    Some(Engineering { method, reaction })
}

impl Default for Engineering {
    /// Routers alone.
    fn default() -> Engineering {
        Engineering {
            method: Method::Routed,
            reaction: REACTION,
        }
    }
}

fn method(cx: &mut Context, at: &At) -> Option<Method> {
    let variants = [
        Variant {
            name: "Routed",
            form: "Routed",
        },
        Variant {
            name: "LeastUtilisation",
            form: "LeastUtilisation",
        },
        Variant {
            name: "Survive",
            form: "Survive(failures: 1, paths: 4)",
        },
    ];
    let name = variant(cx, at, "a method", &variants)?;
    let plain = match name {
        "Routed" => Method::Routed,
        "LeastUtilisation" => Method::LeastUtilisation,
        _ => {
            let fields = Fields::of(cx, at, "a method", Some(name), &["failures", "paths"])?;
            let failures = fields.optional(cx, "failures", 1, |cx, at| value::integer(cx, at, 1, 3));
            let paths = fields.optional(cx, "paths", 4, |cx, at| value::integer(cx, at, 1, 64));
            return Some(Method::Survive {
                failures: failures? as usize,
                paths: paths? as usize,
            });
        }
    };
    no_content(cx, at).map(|()| plain)
}
