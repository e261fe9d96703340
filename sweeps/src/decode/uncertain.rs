//! Fields whose values are known only as distributions.

use longhaul_scenarios::decode::context::{At, Context, Fields, list};
use longhaul_scenarios::diagnose::Diagnostic;

use super::axes::{self, MOST_GROUPS};
use crate::schema::{Bound, Chance, Chances, Group, Plot, PlotKind, Uncertain};
use crate::space::Space;

/// The list `uncertain`.
pub fn fields(cx: &mut Context, at: &At, text: &str, groups: &[Group]) -> Option<Vec<Uncertain>> {
    let (fields, complete) = list(cx, at, MOST_GROUPS, |cx, at| field(cx, at, text));
    let fields: Vec<Uncertain> = fields.into_iter().map(|(_, field)| field).collect();
    let axes = groups.iter().flat_map(|group| &group.axes);
    let named = axes.map(|axis| (&axis.name, &axis.paths));
    let all: Vec<_> = named
        .chain(fields.iter().map(|field| (&field.name, &field.paths)))
        .collect();
    let distinct = axes::distinct(cx, at, "axes or uncertain fields", &all);
    (complete && distinct).then_some(fields)
}

fn field(cx: &mut Context, at: &At, text: &str) -> Option<Uncertain> {
    let (axis, values) = axes::head(cx, at)?;
    let space = axes::space(cx, &values, text)?;
    match &space {
        Space::Range(range) if range.steps.is_some() => {
            cx.refuse(&values, "chance chooses the values: no `steps` and no `step`")
        }
        Space::Values((_, listed)) if listed.len() < 2 => {
            cx.refuse(&values, "one value is not uncertain: it belongs to `set`")
        }
        _ => Some(Uncertain {
            name: axis.name,
            paths: axis.paths,
            place: axis.place,
            space,
        }),
    }
}

/// Refuses uncertain fields that nothing draws, draws of nothing, and bounds that another draw would move.
pub fn agree(
    cx: &mut Context,
    fields: &Fields,
    uncertain: &[Uncertain],
    over: Option<Chances>,
    replications: Option<u64>,
    plots: Option<&[Plot]>,
) {
    let replicated = match over {
        None | Some(Chances::Seed) => None,
        Some(Chances::One(one)) => Some(one == Chance::Uncertain),
        Some(Chances::Both(both)) => Some(both.contains(&Chance::Uncertain)),
    };
    if uncertain.is_empty() {
        if let (Some(true), Some(at)) = (replicated, fields.get("replicate_over")) {
            cx.refuse::<()>(&at, "nothing is `uncertain` here");
        }
        if let Some(at) = fields.get("uncertain_seed") {
            cx.refuse::<()>(&at, "nothing is `uncertain` here");
        }
        return;
    }
    let Some(at) = fields.get("uncertain") else {
        return;
    };
    if replicated == Some(false) {
        let message =
            "replications do not differ in this: `replicate_over` has to name `Uncertain`, or be `Seed`";
        cx.refuse::<()>(&at, message);
    } else if replications == Some(1) {
        cx.refuse::<()>(&at, "one replication draws one value: that is no distribution");
    }
    for (index, plot) in plots.unwrap_or_default().iter().enumerate() {
        let PlotKind::Line { bounds, .. } = &plot.kind else {
            continue;
        };
        if bounds.iter().any(|bound| matches!(bound, Bound::Law(_))) {
            let place = fields.get("plots").map(|at| at.node.head());
            let message = "a law says something else of every draw of what is `uncertain`";
            cx.sink.push(Diagnostic::error(
                place.unwrap_or_default(),
                format!("plots[{index}].bound"),
                message,
            ));
        }
    }
}
