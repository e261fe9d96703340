//! Assertions, one by one; whether anything produces their metric, [`crate::check`] finds out.

use crate::metric::{METRICS, STATISTICS, Unit};
use crate::schema::{Assertion, Bound, Level, Metric, Scope, Statistic, Value};
use crate::suggest;
use crate::syntax::Kind;

use super::context::{At, Context, Fields, Variant, content, no_content, variant};
use super::value;

/// An assertion.
pub fn assertion(cx: &mut Context, at: &At) -> Option<Assertion> {
    let known = ["metric", "statistic", "scope", "bound", "level"];
    let fields = Fields::of(cx, at, "an assertion", None, &known)?;
    let metric = fields.required(cx, "metric", |cx, at| one_of(cx, at, "a metric", &METRICS));
    let statistic = fields.required(cx, "statistic", |cx, at| {
        one_of(cx, at, "a statistic", &STATISTICS)
    });
    let scope = fields.optional(cx, "scope", Scope::All, scope);
    let bound = fields.required(cx, "bound", |cx, at| bound(cx, at, metric));
    let level = fields.optional(cx, "level", Level::Critical, level);
    let (metric, statistic) = (metric?, statistic?);
    if statistic == Statistic::Sum && metric.unit() == Unit::Share {
        return cx.refuse(&fields.get("statistic")?, "a sum of shares means nothing");
    }
    Some(Assertion {
        metric,
        statistic,
        scope: scope?,
        bound: bound?,
        level: level?,
    })
}

/// One of many names without content.
pub fn one_of<T: Copy>(cx: &mut Context, at: &At, what: &str, table: &[(&'static str, T)]) -> Option<T> {
    let Kind::Word(word) = &at.node.kind else {
        let message = format!("{what} is expected, found {}", at.node.describe());
        return cx.refuse_with_help(
            at,
            message,
            format!("written without quotes, such as {}", table[0].0),
        );
    };
    if let Some((_, value)) = table.iter().find(|(name, _)| name == word) {
        return Some(*value);
    }
    let help = suggest::help(word, table.iter().map(|(name, _)| *name));
    cx.refuse_with_help(at, format!("`{word}` is not {what}"), help.unwrap_or_default())
}

/// Whose samples.
pub fn scope(cx: &mut Context, at: &At) -> Option<Scope> {
    let variants = [
        Variant {
            name: "All",
            form: "All",
        },
        Variant {
            name: "Only",
            form: "Only(\"m0\")",
        },
    ];
    if variant(cx, at, "a scope", &variants)? == "All" {
        return no_content(cx, at).map(|()| Scope::All);
    }
    let at = content(cx, at, variants[1].form)?;
    value::text(cx, &at).map(Scope::Only)
}

fn bound(cx: &mut Context, at: &At, metric: Option<Metric>) -> Option<Bound> {
    let variants = [
        Variant {
            name: "AtMost",
            form: "AtMost(\"300 s\")",
        },
        Variant {
            name: "AtLeast",
            form: "AtLeast(3.9)",
        },
    ];
    let name = variant(cx, at, "a bound", &variants)?;
    let at = content(
        cx,
        at,
        if name == "AtMost" {
            variants[0].form
        } else {
            variants[1].form
        },
    )?;
    // Without a metric there is no telling which unit the bound should have.
    let value = value_in(cx, &at, "bound", metric?.unit())?;
    Some(if name == "AtMost" {
        Bound::AtMost(value)
    } else {
        Bound::AtLeast(value)
    })
}

/// A value in the unit of a metric: the `what` of that metric in messages.
pub fn value_in(cx: &mut Context, at: &At, what: &str, unit: Unit) -> Option<Value> {
    let number = matches!(at.node.kind, Kind::Number(_));
    if number != (unit == Unit::Number) {
        let message = format!(
            "the {what} of this metric is {}, found {}",
            unit.example(),
            at.node.describe()
        );
        return cx.refuse(at, message);
    }
    match unit {
        Unit::Time => value::quantity(cx, at).map(Value::Time),
        Unit::Size => value::quantity(cx, at).map(Value::Size),
        Unit::Rate => value::quantity(cx, at).map(Value::Rate),
        Unit::Share => value::quantity(cx, at).map(Value::Share),
        Unit::Number => {
            let millionths = value::millionths(cx, at, 0, i64::MAX)?;
            Some(Value::Number(millionths.unsigned_abs()))
        }
    }
}

fn level(cx: &mut Context, at: &At) -> Option<Level> {
    let variants = [
        Variant {
            name: "Critical",
            form: "Critical",
        },
        Variant {
            name: "Advisory",
            form: "Advisory",
        },
    ];
    let name = variant(cx, at, "a level", &variants)?;
    no_content(cx, at)?;
    Some(if name == "Critical" {
        Level::Critical
    } else {
        Level::Advisory
    })
}
