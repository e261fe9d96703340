//! How a replay is judged: how many runs, and how far apart both worlds may be.

use crate::metric::{METRICS, Unit};
use crate::replay::{REPLICATIONS, SIMULATIONS};
use crate::schema::{Margin, Replay, Scope, Within};

use super::MOST_ITEMS;
use super::assertion::{one_of, scope, value_in};
use super::context::{At, Context, Fields, list};
use super::value::{self, text_of};

/// Most runs of either kind.
const MOST_RUNS: u64 = 1_000;

/// The block `replay`.
pub fn replay(cx: &mut Context, at: &At) -> Option<Replay> {
    let known = ["replications", "simulations", "margins"];
    let fields = Fields::of(cx, at, "a replay", None, &known)?;
    let replications = fields.optional(cx, "replications", REPLICATIONS, runs);
    let simulations = fields.optional(cx, "simulations", SIMULATIONS, runs);
    let margins = fields.optional(cx, "margins", Vec::new(), margins);
    Some(Replay {
        replications: replications?,
        simulations: simulations?,
        margins: margins?,
    })
}

/// A number of runs.
fn runs(cx: &mut Context, at: &At) -> Option<u32> {
    let runs = value::integer(cx, at, 1, MOST_RUNS)?;
    Some(u32::try_from(runs).expect("at most a thousand"))
}

fn margins(cx: &mut Context, at: &At) -> Option<Vec<Margin>> {
    let (margins, complete) = list(cx, at, MOST_ITEMS, margin);
    complete.then(|| margins.into_iter().map(|(_, margin)| margin).collect())
}

fn margin(cx: &mut Context, at: &At) -> Option<Margin> {
    let fields = Fields::of(cx, at, "a margin", None, &["metric", "scope", "within"])?;
    let metric = fields.required(cx, "metric", |cx, at| one_of(cx, at, "a metric", &METRICS));
    let scope = fields.optional(cx, "scope", Scope::All, scope);
    let within = fields.required(cx, "within", |cx, at| within(cx, at, metric?.unit()));
    Some(Margin {
        metric: metric?,
        scope: scope?,
        within: within?,
    })
}

/// A percentage is relative, except for a metric that is itself a percentage.
fn within(cx: &mut Context, at: &At, unit: Unit) -> Option<Within> {
    let percentage = text_of(at.node).is_some_and(|text| text.trim_end().ends_with('%'));
    if percentage && unit != Unit::Share {
        return value::quantity(cx, at).map(Within::Relative);
    }
    value_in(cx, at, "margin", unit).map(Within::Absolute)
}
