//! Axes and how they are combined.

use std::collections::BTreeMap;
use std::str::FromStr;

use longhaul_core::text::QuantityError;
use longhaul_core::time::Span;
use longhaul_core::units::{BitRate, ByteSize, Probability};
use longhaul_scenarios::decode::context::{At, Context, Fields, Variant, content, list, variant};
use longhaul_scenarios::decode::value;
use longhaul_scenarios::metric::Unit;
use longhaul_scenarios::path;
use longhaul_scenarios::syntax;

use crate::schema::{Axis, AxisValue, Group, Kind};

use crate::space::{self, Space, Spread};

/// Most groups of axes.
pub const MOST_GROUPS: usize = 32;
/// Most axes in one group, or paths of one axis.
const MOST_TOGETHER: usize = 100;
/// Most values of an axis.
pub const MOST_VALUES: usize = 100_000;

/// The list `axes`.
pub fn groups(cx: &mut Context, at: &At, text: &str) -> Option<Vec<Group>> {
    let (groups, complete) = list(cx, at, MOST_GROUPS, |cx, at| group(cx, at, text));
    let groups: Vec<Group> = groups.into_iter().map(|(_, group)| group).collect();
    let all: Vec<_> = groups
        .iter()
        .flat_map(|group| &group.axes)
        .map(|axis| (&axis.name, &axis.paths))
        .collect();
    let distinct = distinct(cx, at, "axes", &all);
    (complete && distinct).then_some(groups)
}

/// Whether no two of these have the same name or set the same field.
pub fn distinct(cx: &mut Context, at: &At, nouns: &str, all: &[(&String, &Vec<String>)]) -> bool {
    let mut distinct = true;
    for (index, (name, paths)) in all.iter().enumerate() {
        for (other, others) in &all[..index] {
            if other == name {
                distinct = false;
                cx.refuse::<()>(at, format!("two {nouns} are named `{name}`"));
            }
            if let Some(path) = paths.iter().find(|path| others.contains(path)) {
                distinct = false;
                cx.refuse::<()>(
                    at,
                    format!("the {nouns} `{other}` and `{name}` both set `{path}`"),
                );
            }
        }
    }
    distinct
}

/// A name that may head a column: letters, digits and `_`.
pub fn column(cx: &mut Context, at: &At) -> Option<String> {
    let name = value::name(cx, at)?;
    if name.contains('-') {
        return cx.refuse(at, "this name heads a column: `_` instead of `-`, please");
    }
    const TAKEN: [&str; 8] = [
        "point",
        "replication",
        "seed",
        "status",
        "verdict",
        "digest",
        "events",
        "simulated_ns",
    ];
    if TAKEN.contains(&name.as_str()) {
        return cx.refuse(at, format!("every table has a column `{name}` already"));
    }
    Some(name)
}

fn group(cx: &mut Context, at: &At, text: &str) -> Option<Group> {
    // An axis by itself bears no name.
    if matches!(&at.node.kind, syntax::Kind::Struct(None, _)) {
        return axis(cx, at, text).map(|axis| Group { axes: vec![axis] });
    }
    let variants = [
        Variant {
            name: "Zipped",
            form: "Zipped([(path: …, values: …), …])",
        },
        Variant {
            name: "LatinHypercube",
            form: "LatinHypercube(points: 20, seed: 1, axes: [(path: …, values: Range(…)), …])",
        },
    ];
    if variant(cx, at, "an axis (path: …, values: …)", &variants)? == "Zipped" {
        let at = content(cx, at, variants[0].form)?;
        return zipped(cx, &at, text);
    }
    latin_hypercube(cx, at, text)
}

fn axis(cx: &mut Context, at: &At, text: &str) -> Option<Axis> {
    let (axis, values) = head(cx, at)?;
    let space = space(cx, &values, text)?;
    let ratios = space.is_by_ratios();
    let (kind, values) = space.into_values(cx, &values)?;
    Some(Axis {
        kind,
        ratios,
        values,
        ..axis
    })
}

fn zipped(cx: &mut Context, at: &At, text: &str) -> Option<Group> {
    let (axes, complete) = list(cx, at, MOST_TOGETHER, |cx, at| axis(cx, at, text));
    let axes: Vec<Axis> = axes.into_iter().map(|(_, axis)| axis).collect();
    if !complete {
        return None;
    }
    let Some(first) = axes.first() else {
        return cx.refuse(at, "nothing is zipped");
    };
    if let Some(other) = axes.iter().find(|axis| axis.values.len() != first.values.len()) {
        let message = format!(
            "`{}` has {} values and `{}` has {}: zipped axes have equally many",
            first.name,
            first.values.len(),
            other.name,
            other.values.len()
        );
        return cx.refuse(at, message);
    }
    Some(Group { axes })
}

fn latin_hypercube(cx: &mut Context, at: &At, text: &str) -> Option<Group> {
    let known = ["points", "seed", "axes"];
    let fields = Fields::of(cx, at, "a hypercube", Some("LatinHypercube"), &known)?;
    let points = fields.required(cx, "points", |cx, at| {
        value::integer(cx, at, 2, MOST_VALUES as u64)
    });
    let seed = fields.optional(cx, "seed", 1, |cx, at| value::integer(cx, at, 0, u64::MAX));
    let sides = fields.required(cx, "axes", |cx, at| {
        let (sides, complete) = list(cx, at, MOST_TOGETHER, |cx, at| {
            let (axis, values) = head(cx, at)?;
            Some((axis, space(cx, &values, text)?))
        });
        if complete && sides.is_empty() {
            return cx.refuse(at, "a hypercube without sides");
        }
        complete.then_some(sides)
    });
    let (points, seed) = (points?, seed?);
    let axes = sides?.into_iter().map(|(_, (axis, space))| {
        let place = axis.place;
        let ratios = space.is_by_ratios();
        let (kind, values) = space.sample(&axis.name, usize::try_from(points).ok()?, seed, place);
        Some(Axis {
            kind,
            ratios,
            values,
            ..axis
        })
    });
    axes.collect::<Option<Vec<Axis>>>().map(|axes| Group { axes })
}

/// An axis but for its values, and where these stand.
pub fn head<'n>(cx: &mut Context, at: &At<'n>) -> Option<(Axis, At<'n>)> {
    let fields = Fields::of(cx, at, "an axis", None, &["name", "path", "values"])?;
    let paths = fields.required(cx, "path", paths);
    let values = fields.required(cx, "values", |_, at| Some(at.clone()));
    let usual = paths.as_ref().and_then(|paths| last_field(&paths[0]));
    let name = match (fields.get("name"), usual) {
        (Some(at), _) => column(cx, &at),
        (None, Some(usual)) => Some(usual),
        (None, None) => {
            // Also if the path is wrong: then the name would not be known either.
            paths.as_ref()?;
            cx.refuse(at, "`name` is missing: the path ends in no field")
        }
    };
    let axis = Axis {
        name: name?,
        paths: paths?,
        kind: Kind::Label,
        ratios: false,
        values: Vec::new(),
        place: fields.get("path")?.node.head(),
    };
    Some((axis, values?))
}

fn last_field(path: &str) -> Option<String> {
    let (last, _) = path::parse(path).ok()?.pop()?;
    match last {
        path::Step::Field(name) => Some(name),
        path::Step::Index(_) | path::Step::Item(_) => None,
    }
}

fn paths(cx: &mut Context, at: &At) -> Option<Vec<String>> {
    if !matches!(at.node.kind, syntax::Kind::List(_)) {
        return one_path(cx, at).map(|path| vec![path]);
    }
    let (paths, complete) = list(cx, at, MOST_TOGETHER, one_path);
    if complete && paths.is_empty() {
        return cx.refuse(at, "an axis that sets nothing");
    }
    complete.then(|| paths.into_iter().map(|(_, path)| path).collect())
}

fn one_path(cx: &mut Context, at: &At) -> Option<String> {
    let written = value::sentence(cx, at)?;
    let written = written.trim().to_owned();
    if written == "seed" {
        return cx.refuse(at, "replications differ in the seed, so it cannot be an axis");
    }
    match path::parse(&written) {
        Ok(_) => Some(written),
        Err(error) => cx.refuse(at, format!("`{written}` is no path of a field: {error}")),
    }
}

/// What an axis may be: a list of values, or a range.
pub fn space(cx: &mut Context, at: &At, text: &str) -> Option<Space> {
    if matches!(at.node.kind, syntax::Kind::List(_)) {
        return values(cx, at, text);
    }
    let variants = [
        Variant {
            name: "Range",
            form: "Range(from: \"10 ms\", to: \"200 ms\", steps: 5)",
        },
        Variant {
            name: "LogRange",
            form: "LogRange(from: 1, to: 64, steps: 7)",
        },
    ];
    let name = variant(cx, at, "a list of values [ … ]", &variants)?;
    let known: &[&str] = if name == "Range" {
        &["from", "to", "steps", "step"]
    } else {
        &["from", "to", "steps"]
    };
    let fields = Fields::of(cx, at, "a range", Some(name), known)?;
    let from = fields.required(cx, "from", end);
    let to = fields.required(cx, "to", end);
    let steps = fields.optional(cx, "steps", None, |cx, at| {
        value::integer(cx, at, 1, MOST_VALUES as u64).map(Some)
    });
    let step = fields.optional(cx, "step", None, |cx, at| end(cx, at).map(Some));
    let (from, to, steps, step) = (from?, to?, steps?, step?);
    if from.kind != to.kind || step.is_some_and(|step| step.kind != from.kind) {
        return cx.refuse(at, "the ends of a range are of one kind");
    }
    if to.exact <= from.exact {
        return cx.refuse(at, "the range is empty: `to` must be above `from`");
    }
    if name == "LogRange" && from.exact <= 0 {
        return cx.refuse(
            at,
            "`from` must be above zero: a range of equal ratios never leaves it",
        );
    }
    let steps = match (steps, step) {
        (Some(_), Some(_)) => return cx.refuse(at, "`steps` or `step`, not both"),
        (Some(steps), None) => Some(usize::try_from(steps).ok()?),
        (None, Some(step)) => Some(stepping(cx, at, from.exact, to.exact, step.exact)?),
        (None, None) => None,
    };
    Some(Space::Range(space::Range {
        kind: from.kind,
        from: from.exact,
        to: to.exact,
        whole: from.whole && to.whole && step.is_none_or(|step| step.whole),
        spread: if name == "Range" {
            Spread::Even
        } else {
            Spread::Ratio
        },
        steps,
    }))
}

/// How many values `step` apart there are.
fn stepping(cx: &mut Context, at: &At, from: i64, to: i64, step: i64) -> Option<usize> {
    if step <= 0 {
        return cx.refuse(at, "`step` must be above zero");
    }
    let (length, step) = (i128::from(to) - i128::from(from), i128::from(step));
    if length % step != 0 {
        return cx.refuse(at, "`step` does not lead from `from` to `to`");
    }
    match usize::try_from(length / step + 1) {
        Ok(count) if count <= MOST_VALUES => Some(count),
        _ => cx.refuse(at, format!("more than {MOST_VALUES} values")),
    }
}

/// An end of a range.
#[derive(Clone, Copy)]
struct End {
    kind: Kind,
    exact: i64,
    /// A number written without a point: then all of the range are whole.
    whole: bool,
}

fn end(cx: &mut Context, at: &At) -> Option<End> {
    if let syntax::Kind::Number(written) = &at.node.kind {
        let exact = value::millionths(cx, at, -i64::MAX, i64::MAX)?;
        return Some(End {
            kind: Kind::Quantity(Unit::Number),
            exact,
            whole: !written.contains('.'),
        });
    }
    let text = value::text(cx, at)?;
    match measured(&text) {
        Some((kind, exact)) => Some(End {
            kind,
            exact,
            whole: false,
        }),
        None => cx.refuse(
            at,
            format!("`{text}` is no quantity: written \"80 ms\", \"1 Gbit/s\", \"4 GiB\", \"0.1 %\" or \"500 pages/s\""),
        ),
    }
}

fn values(cx: &mut Context, at: &At, text: &str) -> Option<Space> {
    let (items, complete) = list(cx, at, MOST_VALUES, |_, at| {
        let (start, end) = (at.node.place.start as usize, at.node.place.end as usize);
        Some(listed(at.node, &text[start..end]))
    });
    if complete && items.is_empty() {
        return cx.refuse(at, "the axis is empty");
    }
    let items: Vec<(Option<Kind>, AxisValue)> = items.into_iter().map(|(_, item)| item).collect();
    let mut seen = BTreeMap::new();
    for (kind, value) in &items {
        // "1 ms" and "1000 us" are one value: a quantity is known by what it is, anything else by how it is shown.
        let quantity = kind.zip(value.exact).map(|(kind, exact)| (kind.suffix(), exact));
        let known = quantity.ok_or(&value.shown);
        if let Some(first) = seen.insert(known, value.place) {
            let error = longhaul_scenarios::diagnose::Diagnostic::error(
                value.place,
                &*at.path,
                format!("`{}` is in the list twice", value.shown),
            );
            cx.sink.push(error.related(first, "first here"));
            return None;
        }
    }
    let kind = items[0]
        .0
        .filter(|kind| items.iter().all(|(other, _)| *other == Some(*kind)))
        .unwrap_or(Kind::Label);
    let mut values: Vec<AxisValue> = items.into_iter().map(|(_, value)| value).collect();
    if kind == Kind::Label {
        for value in &mut values {
            value.exact = None;
        }
    }
    complete.then_some(Space::Values((kind, values)))
}

/// A value of a list, and its kind if it is a quantity or a number.
fn listed(node: &syntax::Node, source: &str) -> (Option<Kind>, AxisValue) {
    let number = Kind::Quantity(Unit::Number);
    let (known, shown) = match &node.kind {
        syntax::Kind::Number(written) => (
            space::millionths(written).map(|exact| (number, exact)),
            written.clone(),
        ),
        syntax::Kind::Text(text) => (measured(text), text.clone()),
        _ => (None, source.split_whitespace().collect::<Vec<_>>().join(" ")),
    };
    let value = AxisValue {
        ron: source.to_owned(),
        shown: match known {
            Some((kind, exact)) if kind != number => space::shown_as(kind, exact),
            _ => shown,
        },
        exact: known.map(|(_, exact)| exact),
        place: node.place,
    };
    (known.map(|(kind, _)| kind), value)
}

/// A quantity of any kind of axis.
pub fn measured(text: &str) -> Option<(Kind, i64)> {
    if let Some(rate) = text.trim().strip_suffix("pages/s") {
        let rate = rate.trim_end();
        let whole = !rate.is_empty() && rate.bytes().all(|byte| byte.is_ascii_digit());
        return Some((Kind::PageRate, rate.parse().ok().filter(|_| whole)?));
    }
    quantity(text).map(|(unit, exact)| (Kind::Quantity(unit), exact))
}

/// A quantity of any kind that metrics have: their units differ, so the unit tells the kind.
pub fn quantity(text: &str) -> Option<(Unit, i64)> {
    fn read<T: FromStr<Err = QuantityError>>(text: &str, exact: impl Fn(T) -> u64) -> Option<i64> {
        text.parse()
            .ok()
            .map(exact)
            .and_then(|exact| i64::try_from(exact).ok())
    }
    let time = read(text, Span::as_ns).map(|exact| (Unit::Time, exact));
    let rate = || read(text, BitRate::as_bits_per_s).map(|exact| (Unit::Rate, exact));
    let size = || read(text, ByteSize::as_bytes).map(|exact| (Unit::Size, exact));
    let share = || read(text, Probability::as_parts).map(|exact| (Unit::Share, exact));
    time.or_else(rate).or_else(size).or_else(share)
}
