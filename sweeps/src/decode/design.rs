//! Studies of which axes matter: their designs choose the points, so axes say only between which values.

use longhaul_scenarios::decode::context::{At, Context, Fields, Variant, list, no_content, variant};
use longhaul_scenarios::decode::value;
use longhaul_scenarios::syntax;
use longhaul_statistics::{LEAST_ROWS, MOST_FACTORS};

use crate::schema::{Axis, Group, Plot, PlotKind, Sensitivity};
use crate::sensitivity::{PICTURES, coordinates};

use super::axes::{self, MOST_GROUPS, MOST_VALUES};
use crate::space::Space;

/// Most levels of a grid.
const MOST_LEVELS: u64 = 1_000;

/// The field `sensitivity`.
pub fn sensitivity(cx: &mut Context, at: &At) -> Option<Sensitivity> {
    let variants = [
        Variant {
            name: "Morris",
            form: "Morris(trajectories: 20, levels: 4)",
        },
        Variant {
            name: "Sobol",
            form: "Sobol(samples: 256)",
        },
        Variant {
            name: "Factorial",
            form: "Factorial",
        },
    ];
    let name = variant(cx, at, "a study of which axes matter", &variants)?;
    let seed = |cx: &mut Context, fields: &Fields| {
        fields.optional(cx, "seed", 1, |cx, at| value::integer(cx, at, 0, u64::MAX))
    };
    let number = |number: u64| usize::try_from(number).ok();
    match name {
        "Morris" => {
            let fields = Fields::of(cx, at, "a study", Some(name), &["trajectories", "levels", "seed"])?;
            let trajectories = fields.optional(cx, "trajectories", 20, |cx, at| {
                value::integer(cx, at, 2, MOST_VALUES as u64)
            });
            let levels = fields.optional(cx, "levels", 4, |cx, at| {
                let levels = value::integer(cx, at, 2, MOST_LEVELS)?;
                if levels % 2 == 1 {
                    return cx.refuse(
                        at,
                        "an even number of levels is expected: each step crosses half of them",
                    );
                }
                Some(levels)
            });
            let seed = seed(cx, &fields);
            Some(Sensitivity::Morris {
                trajectories: number(trajectories?)?,
                levels: number(levels?)?,
                seed: seed?,
            })
        }
        "Sobol" => {
            let fields = Fields::of(cx, at, "a study", Some(name), &["samples", "seed"])?;
            let samples = fields.required(cx, "samples", |cx, at| {
                value::integer(cx, at, LEAST_ROWS as u64, MOST_VALUES as u64)
            });
            let seed = seed(cx, &fields);
            Some(Sensitivity::Sobol {
                samples: number(samples?)?,
                seed: seed?,
            })
        }
        _ => {
            no_content(cx, at)?;
            Some(Sensitivity::Factorial)
        }
    }
}

/// The list `axes` of a study.
pub fn groups(cx: &mut Context, at: &At, text: &str, sensitivity: Sensitivity) -> Option<Vec<Group>> {
    let (sides, complete) = list(cx, at, MOST_GROUPS, |cx, at| side(cx, at, text, sensitivity));
    if complete && sides.is_empty() {
        return cx.refuse(at, "there is no axis: nothing can matter");
    }
    let sides: Vec<(Axis, Space)> = sides.into_iter().map(|(_, side)| side).collect();
    let all: Vec<_> = sides.iter().map(|(axis, _)| (&axis.name, &axis.paths)).collect();
    let distinct = axes::distinct(cx, at, "axes", &all);
    if !(complete && distinct) {
        return None;
    }
    let count = sides.len();
    let points = sensitivity.points(count);
    if sensitivity == Sensitivity::Factorial && count > MOST_FACTORS {
        let message = format!(
            "{count} axes make {points} points: at most {MOST_FACTORS}; screen them with Morris first"
        );
        return cx.refuse(at, message);
    }
    if points > MOST_VALUES {
        let message = format!("the design has {points} points for {count} axes; at most {MOST_VALUES}");
        return cx.refuse(at, message);
    }
    let Some(coordinates) = coordinates(sensitivity, count) else {
        // All combinations of two values each.
        let group = |(axis, space): (Axis, Space)| {
            let ratios = space.is_by_ratios();
            let (kind, values) = space.at_shares([0.0, 1.0].into_iter(), axis.place);
            let axes = vec![Axis {
                kind,
                ratios,
                values,
                ..axis
            }];
            Group { axes }
        };
        return Some(sides.into_iter().map(group).collect());
    };
    let axes = sides.into_iter().enumerate().map(|(index, (axis, space))| {
        let shares = coordinates.iter().map(|point| match (sensitivity, &space) {
            // A step across half of the levels must be one across half of the list.
            (Sensitivity::Morris { levels, .. }, Space::Values(_)) => {
                let level = (point[index] * (levels - 1) as f64).round();
                (level + 0.5) / levels as f64
            }
            _ => point[index],
        });
        let (kind, values) = space.at_shares(shares, axis.place);
        Axis {
            kind,
            ratios: space.is_by_ratios(),
            values,
            ..axis
        }
    });
    let axes: Vec<Axis> = axes.collect();
    Some(vec![Group { axes }])
}

/// An axis of a study, and between which values it lies.
fn side(cx: &mut Context, at: &At, text: &str, sensitivity: Sensitivity) -> Option<(Axis, Space)> {
    if !matches!(&at.node.kind, syntax::Kind::Struct(None, _)) {
        let message =
            "the design of `sensitivity` combines the axes, so each stands by itself: (path: …, values: …)";
        return cx.refuse(at, message);
    }
    let (axis, values) = axes::head(cx, at)?;
    let space = axes::space(cx, &values, text)?;
    match (&space, sensitivity) {
        (Space::Range(range), _) if range.steps.is_some() => {
            let message = "the design of `sensitivity` chooses the values: no `steps` and no `step`";
            cx.refuse(&values, message)
        }
        (Space::Range(_), Sensitivity::Morris { levels, .. }) => {
            let shares = (0..levels).map(|level| level as f64 / (levels - 1) as f64);
            let (_, on_grid) = space.at_shares(shares, axis.place);
            if on_grid.windows(2).any(|pair| pair[0].exact == pair[1].exact) {
                let message =
                    "some of its levels fall together once they are rounded: fewer `levels`, please";
                return cx.refuse(&values, message);
            }
            Some((axis, space))
        }
        (Space::Values((_, listed)), Sensitivity::Morris { levels, .. }) => {
            if listed.len() < 2 || levels % listed.len() != 0 {
                let message = format!(
                    "{} values do not divide {levels} levels evenly: some would count more than others",
                    listed.len()
                );
                return cx.refuse(&values, message);
            }
            Some((axis, space))
        }
        (Space::Values((_, listed)), Sensitivity::Factorial) if listed.len() != 2 => {
            let message = format!(
                "{} values: a factorial takes two, the low one and the high one",
                listed.len()
            );
            cx.refuse(&values, message)
        }
        (Space::Values((_, listed)), Sensitivity::Sobol { .. }) if listed.len() < 2 => {
            cx.refuse(&values, "an axis with one value cannot matter")
        }
        _ => Some((axis, space)),
    }
}

/// Refuses what does not go with a study.
pub fn allowed(
    cx: &mut Context,
    fields: &Fields,
    sensitivity: Sensitivity,
    replications: Option<u64>,
    plots: Option<&[Plot]>,
) {
    if let Some(at) = fields.get("where") {
        cx.refuse::<()>(
            &at,
            "a design needs all of its points: with `sensitivity` there is no `where`",
        );
    }
    if let Some(at) = fields.get("until") {
        let message =
            "a design needs equally many replications of all points: with `sensitivity` there is no `until`";
        cx.refuse::<()>(&at, message);
    }
    if let (Sensitivity::Factorial, Some(1), Some(at)) = (
        sensitivity,
        replications,
        fields.get("replications").or(fields.get("sensitivity")),
    ) {
        cx.refuse::<()>(
            &at,
            "a factorial needs at least 2 replications: its intervals are over them",
        );
    }
    for plot in plots.unwrap_or_default() {
        let Some(at) = fields.get("plots") else {
            return;
        };
        let by_axis = !matches!(plot.kind, PlotKind::Pareto { .. });
        if by_axis && sensitivity != Sensitivity::Factorial {
            let message = format!(
                "`{}` would be one picture for each of the design's points: with this study only Pareto",
                plot.name
            );
            cx.refuse::<()>(&at, message);
        }
        if PICTURES.iter().any(|prefix| plot.name.starts_with(prefix)) {
            let message = format!("`{}` is the name of a picture of the study itself", plot.name);
            cx.refuse::<()>(&at, message);
        }
    }
}
