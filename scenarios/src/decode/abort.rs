//! Bounds beyond which all faults of a run end.

use longhaul_core::time::Span;

use crate::metric::{METRICS, Unit, watchable};
use crate::schema::{AbortCondition, Scope, Side};

use super::assertion::{one_of, scope, value_in};
use super::context::{At, Context, Fields};
use super::work::positive_span;

/// A condition.
pub fn condition(cx: &mut Context, at: &At) -> Option<AbortCondition> {
    let known = ["metric", "scope", "above", "below", "for"];
    let fields = Fields::of(cx, at, "an abort condition", None, &known)?;
    let metric = fields.required(cx, "metric", |cx, at| {
        let metric = one_of(cx, at, "a metric", &METRICS)?;
        if watchable().any(|known| known == metric) {
            return Some(metric);
        }
        let names: Vec<String> = watchable().map(|known| format!("`{known:?}`")).collect();
        let help = format!("these are: {}", names.join(", "));
        cx.refuse_with_help(at, format!("`{metric:?}` is not measured during a run"), help)
    });
    let scope = fields.optional(cx, "scope", Scope::All, scope);
    let lasting = fields.optional(cx, "for", Span::ZERO, positive_span);
    let (side, bound) = match (fields.get("above"), fields.get("below")) {
        (Some(above), None) => (Side::Above, above),
        (None, Some(below)) => (Side::Below, below),
        (Some(_), Some(below)) => return cx.refuse(&below, "either `above` or `below` is the bound"),
        (None, None) => return cx.refuse(at, "the bound is missing: `above` or `below`"),
    };
    // Without a metric there is no telling which unit the bound should have.
    let metric = metric?;
    let value = value_in(cx, &bound, "the bound of this metric is", metric.unit())?;
    let exact = value.exact();
    let most = match metric.unit() {
        Unit::Share => longhaul_core::units::Probability::PARTS,
        _ => u64::MAX,
    };
    match side {
        Side::Below if exact == 0 => return cx.refuse(&bound, "nothing is ever below this"),
        Side::Above if exact >= most => return cx.refuse(&bound, "nothing is ever above this"),
        Side::Below | Side::Above => {}
    }
    Some(AbortCondition {
        metric,
        scope: scope?,
        side,
        bound: value,
        lasting: lasting?,
    })
}
