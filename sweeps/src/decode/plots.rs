//! Declared plots: what they show must be axes and metrics of the sweep.

use longhaul_scenarios::decode::assertion::{one_of, value_in};
use longhaul_scenarios::decode::context::{At, Context, Fields, Variant, list, variant};
use longhaul_scenarios::decode::value;
use longhaul_scenarios::metric::{Better, Unit};
use longhaul_scenarios::syntax;
use longhaul_scenarios::theory::LAWS;

use crate::schema::{Axis, Bound, Direction, Group, Kind, Measure, Plot, PlotKind};

use super::{MOST_ITEMS, named};

/// The list `plots`.
pub fn plots(cx: &mut Context, at: &At, groups: &[Group], measures: &[Measure]) -> Option<Vec<Plot>> {
    let axes: Vec<&Axis> = groups.iter().flat_map(|group| &group.axes).collect();
    let (plots, complete) = list(cx, at, MOST_ITEMS, |cx, at| plot(cx, at, &axes, measures));
    let plots: Vec<Plot> = plots.into_iter().map(|(_, plot)| plot).collect();
    for (index, plot) in plots.iter().enumerate() {
        if plots[..index].iter().any(|other| other.name == plot.name) {
            return cx.refuse(at, format!("two plots are named `{}`", plot.name));
        }
    }
    complete.then_some(plots)
}

/// A bound, or a list of them.
fn bounds(cx: &mut Context, at: &At, unit: Unit) -> Option<Vec<Bound>> {
    if !matches!(at.node.kind, syntax::Kind::List(_)) {
        return Some(vec![bound(cx, at, unit)?]);
    }
    let (bounds, complete) = list(cx, at, LAWS.len() + 1, |cx, at| bound(cx, at, unit));
    let bounds: Vec<Bound> = bounds.into_iter().map(|(_, bound)| bound).collect();
    let values = bounds.iter().filter(|bound| matches!(bound, Bound::Exact(_)));
    if values.count() > 1 {
        return cx.refuse(at, "one value at most; further bounds are laws");
    }
    if let Some(twice) = (1..bounds.len()).find(|&index| bounds[..index].contains(&bounds[index])) {
        return cx.refuse(at, format!("bound {} is there twice", twice + 1));
    }
    complete.then_some(bounds)
}

/// A value, or the name of a law.
fn bound(cx: &mut Context, at: &At, unit: Unit) -> Option<Bound> {
    if !matches!(at.node.kind, syntax::Kind::Word(_)) {
        let value = value_in(cx, at, "the bound of this metric is the name of a law, or", unit)?;
        return Some(Bound::Exact(value.exact()));
    }
    let variants = LAWS.map(|(name, _)| Variant { name, form: name });
    let name = variant(cx, at, "a law", &variants)?;
    let law = LAWS.iter().find(|(known, _)| *known == name);
    law.map(|(_, law)| Bound::Law(*law))
}

fn plot(cx: &mut Context, at: &At, axes: &[&Axis], measures: &[Measure]) -> Option<Plot> {
    let variants = [
        Variant {
            name: "Line",
            form: "Line(name: \"a\", x: \"rtt\", y: \"goodput\", series: \"streams\", bound: [\"1 Gbit/s\", Mathis])",
        },
        Variant {
            name: "Heatmap",
            form: "Heatmap(name: \"a\", x: \"rtt\", y: \"loss\", value: \"goodput\")",
        },
        Variant {
            name: "Cdf",
            form: "Cdf(name: \"a\", x: \"goodput\", series: \"streams\")",
        },
        Variant {
            name: "Ccdf",
            form: "Ccdf(name: \"a\", x: \"goodput\", series: \"streams\")",
        },
        Variant {
            name: "Survival",
            form: "Survival(name: \"a\", x: \"time\", series: \"bandwidth\")",
        },
        Variant {
            name: "Tail",
            form: "Tail(name: \"a\", client: \"web\", series: \"retries\", bound: \"1 s\")",
        },
        Variant {
            name: "Box",
            form: "Box(name: \"a\", x: \"streams\", y: \"goodput\")",
        },
        Variant {
            name: "Pareto",
            form: "Pareto(name: \"a\", x: \"downtime\", y: \"transferred\")",
        },
    ];
    let kind = variant(cx, at, "a plot", &variants)?;
    let known: &[&str] = match kind {
        "Line" => &["name", "x", "y", "series", "bound"],
        "Heatmap" => &["name", "x", "y", "value", "bound"],
        "Cdf" | "Ccdf" | "Survival" => &["name", "x", "series", "bound"],
        "Tail" => &["name", "client", "series", "bound"],
        "Box" => &["name", "x", "y", "bound"],
        _ => &["name", "x", "x_better", "y", "y_better", "series"],
    };
    let fields = Fields::of(cx, at, "a plot", Some(kind), known)?;
    let name = fields.required(cx, "name", value::name);
    let axis = |cx: &mut Context, at: &At| {
        let name = value::text(cx, at)?;
        named(cx, at, "axis", &name, axes.iter().map(|axis| axis.name.as_str()))?;
        Some(name)
    };
    let measure = |cx: &mut Context, at: &At| {
        let name = value::text(cx, at)?;
        named(cx, at, "metric", &name, measures.iter().map(|m| m.name.as_str()))?;
        Some(name)
    };
    let bound = |cx: &mut Context, of: &Option<String>| {
        fields.optional(cx, "bound", None, |cx, at| {
            let measure = measures.iter().find(|m| Some(&m.name) == of.as_ref())?;
            let value = value_in(cx, at, "the bound of this metric is", measure.metric.unit())?;
            Some(Some(value.exact()))
        })
    };
    let series = |cx: &mut Context| fields.optional(cx, "series", None, |cx, at| axis(cx, at).map(Some));
    // Both sides of a plot showing the same are a mistake of the pen.
    let distinct = |cx: &mut Context, one: Option<&String>, field: &str, other: Option<&String>| {
        if let (true, Some(name), Some(at)) = (one == other, one, fields.get(field)) {
            return cx.refuse(&at, format!("`{name}` is shown from left to right already"));
        }
        Some(())
    };
    let kind = match kind {
        "Line" => {
            let x = fields.required(cx, "x", |cx, at| {
                let name = axis(cx, at)?;
                let of = axes.iter().find(|axis| axis.name == name)?;
                if of.kind == Kind::Label {
                    let message = format!(
                        "the values of `{name}` have no order, so no line leads from one to the next: `Box`, `Heatmap`, or \
                         `series: \"{name}\"`, please"
                    );
                    return cx.refuse(at, message);
                }
                Some(name)
            });
            let y = fields.required(cx, "y", measure);
            let series = series(cx);
            let told = series.as_ref().and_then(Option::as_ref);
            distinct(cx, x.as_ref(), "series", told)?;
            let unit = measures
                .iter()
                .find(|m| Some(&m.name) == y.as_ref())
                .map(|m| m.metric.unit());
            let bounds = fields.optional(cx, "bound", Vec::new(), |cx, at| bounds(cx, at, unit?));
            PlotKind::Line {
                x: x?,
                y: y?,
                series: series?,
                bounds: bounds?,
            }
        }
        "Heatmap" => {
            let (x, y) = (fields.required(cx, "x", axis), fields.required(cx, "y", axis));
            let value = fields.required(cx, "value", measure);
            let bound = bound(cx, &value);
            distinct(cx, x.as_ref(), "y", y.as_ref())?;
            PlotKind::Heatmap {
                x: x?,
                y: y?,
                value: value?,
                bound: bound?,
            }
        }
        "Cdf" | "Ccdf" => {
            let x = fields.required(cx, "x", measure);
            let (series, bound) = (series(cx), bound(cx, &x));
            let (x, series, bound) = (x?, series?, bound?);
            match kind {
                "Cdf" => PlotKind::Cdf { x, series, bound },
                _ => PlotKind::Ccdf { x, series, bound },
            }
        }
        "Survival" => {
            let x = fields.required(cx, "x", |cx, at| {
                let name = measure(cx, at)?;
                let of = measures.iter().find(|m| m.name == name)?;
                if of.metric.unit() != Unit::Time {
                    let message = format!("`{name}` is no time: only what takes time can be unfinished");
                    return cx.refuse(at, message);
                }
                Some(name)
            });
            let (series, bound) = (series(cx), bound(cx, &x));
            PlotKind::Survival {
                x: x?,
                series: series?,
                bound: bound?,
            }
        }
        "Tail" => {
            let client = fields.required(cx, "client", value::text);
            let bound = fields.optional(cx, "bound", None, |cx, at| {
                let value = value_in(cx, at, "the bound of a latency is", Unit::Time)?;
                Some(Some(value.exact()))
            });
            PlotKind::Tail {
                client: client?,
                series: series(cx)?,
                bound: bound?,
            }
        }
        "Box" => {
            let (x, y) = (fields.required(cx, "x", axis), fields.required(cx, "y", measure));
            let bound = bound(cx, &y);
            PlotKind::Box {
                x: x?,
                y: y?,
                bound: bound?,
            }
        }
        _ => {
            let (x, y) = (
                fields.required(cx, "x", measure),
                fields.required(cx, "y", measure),
            );
            distinct(cx, x.as_ref(), "y", y.as_ref())?;
            let x_better = better(cx, &fields, measures, "x", x.as_ref());
            let y_better = better(cx, &fields, measures, "y", y.as_ref());
            PlotKind::Pareto {
                x: x?,
                x_better: x_better?,
                y: y?,
                y_better: y_better?,
                series: series(cx)?,
            }
        }
    };
    Some(Plot { name: name?, kind })
}

/// Which values of a side of a Pareto plot are better: as it says, else as the metric means it.
fn better(
    cx: &mut Context,
    fields: &Fields,
    measures: &[Measure],
    side: &str,
    name: Option<&String>,
) -> Option<Direction> {
    let directions = [("Lower", Direction::Lower), ("Higher", Direction::Higher)];
    let field = format!("{side}_better");
    let said = fields.optional(cx, &field, None, |cx, at| {
        one_of(cx, at, "which values are better", &directions).map(Some)
    })?;
    let measure = measures.iter().find(|measure| Some(&measure.name) == name)?;
    match (said, measure.metric.better()) {
        (Some(direction), _) => Some(direction),
        (None, Better::Lower) => Some(Direction::Lower),
        (None, Better::Higher) => Some(Direction::Higher),
        (None, Better::Either) => {
            let message = format!(
                "which values of `{}` are better depends on what is asked: `{field}: Lower` or `{field}: Higher`, please",
                measure.name
            );
            cx.refuse(&fields.get(side)?, message)
        }
    }
}
