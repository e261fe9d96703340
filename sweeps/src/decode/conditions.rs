//! Comparisons that points must satisfy.

use longhaul_scenarios::decode::context::{At, Context, list};
use longhaul_scenarios::decode::value;
use longhaul_scenarios::metric::Unit;

use crate::schema::{Axis, Condition, Group, Kind, Operand, Relation};

use super::{MOST_ITEMS, axes, named};
use crate::space;

/// The longer ones first, since some begin with others.
const RELATIONS: [(&str, Relation); 6] = [
    ("<=", Relation::AtMost),
    (">=", Relation::AtLeast),
    ("!=", Relation::Unequal),
    ("<", Relation::Less),
    (">", Relation::More),
    ("=", Relation::Equal),
];

/// The list `where`.
pub fn conditions(cx: &mut Context, at: &At, groups: &[Group]) -> Option<Vec<Condition>> {
    let all: Vec<&Axis> = groups.iter().flat_map(|group| &group.axes).collect();
    let (conditions, complete) = list(cx, at, MOST_ITEMS, |cx, at| condition(cx, at, &all));
    complete.then(|| conditions.into_iter().map(|(_, condition)| condition).collect())
}

fn condition(cx: &mut Context, at: &At, all: &[&Axis]) -> Option<Condition> {
    let text = value::sentence(cx, at)?;
    let found = RELATIONS
        .iter()
        .filter_map(|(sign, relation)| Some((text.find(sign)?, *sign, *relation)))
        .min_by_key(|(place, sign, _)| (*place, std::cmp::Reverse(sign.len())));
    let Some((place, sign, relation)) = found else {
        return cx.refuse(at, "a comparison is written \"streams <= 16\" or \"low < high\"");
    };
    let (left, right) = (text[..place].trim(), text[place + sign.len()..].trim());
    let names = all.iter().map(|axis| axis.name.as_str());
    let left = named(cx, at, "axis", left, names)?;
    let right = operand(cx, at, all, left, right)?;
    let ordered = !matches!(relation, Relation::Equal | Relation::Unequal);
    if all[left].kind == Kind::Label && ordered {
        let message = format!(
            "the values of `{}` have no order: `=` or `!=`, please",
            all[left].name
        );
        return cx.refuse(at, message);
    }
    Some(Condition {
        left,
        relation,
        right,
    })
}

fn operand(cx: &mut Context, at: &At, all: &[&Axis], left: usize, right: &str) -> Option<Operand> {
    let axis = all[left];
    if let Some(other) = all.iter().position(|axis| axis.name == right) {
        if all[other].kind != axis.kind {
            let message = format!("`{}` and `{right}` are of different kinds", axis.name);
            return cx.refuse(at, message);
        }
        return Some(Operand::Axis(other));
    }
    if axis.kind == Kind::Label {
        if axis.values.iter().any(|value| value.shown == right) {
            return Some(Operand::Label(right.to_owned()));
        }
        let shown = axis.values.iter().map(|value| value.shown.as_str());
        named(cx, at, "axis or value", right, shown)?;
        return None;
    }
    let exact = match axis.kind {
        Kind::Quantity(Unit::Number) => space::millionths(right),
        kind => axes::measured(right)
            .filter(|(found, _)| *found == kind)
            .map(|(_, exact)| exact),
    };
    match exact {
        Some(exact) => Some(Operand::Exact(exact)),
        None => cx.refuse(
            at,
            format!("`{right}` is neither an axis nor {}", axis.kind.example()),
        ),
    }
}
