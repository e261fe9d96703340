//! How routes are chosen.

use longhaul_core::time::Span;
use longhaul_net::routing::{Congestion, Weights};

use crate::schema::{Objective, RouteControl, RoutingPolicy};

use super::context::{At, Context, Fields, Variant, no_content, variant};
use super::{LONGEST_HORIZON, value};

/// The block `routing`.
pub fn routing(cx: &mut Context, at: &At) -> Option<RoutingPolicy> {
    let fields = Fields::of(cx, at, "the choice of routes", None, &["objective", "multipath"])?;
    let default = RoutingPolicy::default();
    let objective = fields.optional(cx, "objective", default.objective, objective);
    let multipath = fields.optional(cx, "multipath", default.multipath, value::boolean);
    let (objective, multipath) = (objective?, multipath?);
    if objective == Objective::Widest && multipath {
        let at = fields.get("multipath")?;
        return cx.refuse(
            &at,
            "widest routes are equal by chance only: flows do not share them",
        );
    }
    Some(RoutingPolicy { objective, multipath })
}

/// The block `route_control`.
pub fn control(cx: &mut Context, at: &At) -> Option<RouteControl> {
    let known = ["margin", "hold_down", "wait_to_restore", "overlap"];
    let fields = Fields::of(cx, at, "the control of routes", None, &known)?;
    let default = RouteControl::default();
    let margin = fields.optional(cx, "margin", default.margin, value::quantity);
    let mut span = |field: &str, default: Span| {
        fields.optional(cx, field, default, |cx, at| {
            value::quantity_within(cx, at, &Span::ZERO, &LONGEST_HORIZON)
        })
    };
    let (hold_down, wait_to_restore, overlap) = (
        span("hold_down", default.hold_down),
        span("wait_to_restore", default.wait_to_restore),
        span("overlap", default.overlap),
    );
    Some(RouteControl {
        margin: margin?,
        hold_down: hold_down?,
        wait_to_restore: wait_to_restore?,
        overlap: overlap?,
        // It hears of everything: there is nothing to find without news.
        period: None,
        ..default
    })
}

fn objective(cx: &mut Context, at: &At) -> Option<Objective> {
    let variants = [
        Variant {
            name: "LowestLatency",
            form: "LowestLatency",
        },
        Variant {
            name: "LowestCost",
            form: "LowestCost",
        },
        Variant {
            name: "Widest",
            form: "Widest",
        },
        Variant {
            name: "Balanced",
            form: "Balanced(latency_per_ms: 1, cost: 0.5, loss_per_percent: 20)",
        },
    ];
    let name = variant(cx, at, "an objective", &variants)?;
    let plain = match name {
        "LowestLatency" => Objective::Latency,
        "LowestCost" => Objective::Cost,
        "Widest" => Objective::Widest,
        _ => return balanced(cx, at, name),
    };
    no_content(cx, at).map(|()| plain)
}

/// What the attributes of a path weigh, in points.
fn balanced(cx: &mut Context, at: &At, name: &'static str) -> Option<Objective> {
    let known = ["latency_per_ms", "cost", "loss_per_percent"];
    let fields = Fields::of(cx, at, "a balance", Some(name), &known)?;
    let mut weight = |field: &str| {
        fields.optional(cx, field, 0, |cx, at| {
            let millionths = value::millionths(cx, at, 0, i64::from(u32::MAX))?;
            Some(u32::try_from(millionths).expect("within its range"))
        })
    };
    let (latency_per_ms, cost, loss_per_percent) = (
        weight("latency_per_ms"),
        weight("cost"),
        weight("loss_per_percent"),
    );
    let weights = Weights {
        latency_per_ms: latency_per_ms?,
        cost: cost?,
        congestion: 0,
        price: Congestion::Convex,
        loss_per_percent: loss_per_percent?,
        width_at_gbit: 0,
    };
    if [weights.latency_per_ms, weights.cost, weights.loss_per_percent] == [0; 3] {
        return cx.refuse(at, "nothing has a weight, so all routes would be alike");
    }
    Some(Objective::Balanced(weights))
}
