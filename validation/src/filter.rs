//! Selects configurations: `controller=cubic|reno,loss<=1,round_trips>=10`.
//!
//! Conditions are joined by commas and must all hold. A word takes `=` or `!=` and one or more alternatives
//! with `|` between them, a number also `<`, `<=`, `>` and `>=`.

use std::fmt;
use std::str::FromStr;

use longhaul_core::units::Probability;
use thiserror::Error;

use crate::table::{Configuration, Table};
use longhaul_statistics::quantile::{quantile, sorted_seconds};

/// Most conditions of a filter.
const MOST_CONDITIONS: usize = 100;

/// What a condition looks at.
#[derive(Clone, Copy, Debug)]
enum Field {
    Word(fn(&Configuration) -> String),
    Number(fn(&Configuration) -> f64),
}

/// Every field by its name, and its unit.
const FIELDS: [(&str, Field); 11] = [
    ("config", Field::Word(|c| c.name.clone())),
    (
        "controller",
        Field::Word(|c| c.parameters.controller.name().to_owned()),
    ),
    (
        "loss_model",
        Field::Word(|c| c.parameters.loss_model.name().to_owned()),
    ),
    ("buffers", Field::Word(|c| c.parameters.buffers.to_string())),
    // In percent.
    (
        "loss",
        Field::Number(|c| c.parameters.loss.as_parts() as f64 / (Probability::PARTS / 100) as f64),
    ),
    // In milliseconds.
    (
        "jitter",
        Field::Number(|c| c.parameters.jitter.as_ns() as f64 / 1e6),
    ),
    // In milliseconds.
    ("rtt", Field::Number(|c| c.parameters.rtt.as_ns() as f64 / 1e6)),
    // In Mbit/s.
    (
        "rate",
        Field::Number(|c| c.parameters.rate.as_bits_per_s() as f64 / 1e6),
    ),
    ("streams", Field::Number(|c| f64::from(c.parameters.streams))),
    ("bytes", Field::Number(|c| c.parameters.bytes.as_bytes() as f64)),
    ("round_trips", Field::Number(round_trips)),
];

/// Measured median over the round trip.
fn round_trips(configuration: &Configuration) -> f64 {
    let times = sorted_seconds(configuration.measurements.iter().map(|m| Some(m.completion)));
    let median = quantile(&times, 0.5).unwrap_or(0.0);
    let rtt = configuration.parameters.rtt.as_s_f64();
    if rtt > 0.0 { median / rtt } else { f64::INFINITY }
}

/// How a condition compares.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Operator {
    Equal,
    NotEqual,
    AtMost,
    AtLeast,
    Below,
    Above,
}

/// As written; of two with the same beginning the longer one first.
const OPERATORS: [(&str, Operator); 6] = [
    ("!=", Operator::NotEqual),
    ("<=", Operator::AtMost),
    (">=", Operator::AtLeast),
    ("=", Operator::Equal),
    ("<", Operator::Below),
    (">", Operator::Above),
];

#[derive(Clone, Debug)]
struct Condition {
    field: Field,
    operator: Operator,
    values: Vec<Value>,
}

#[derive(Clone, PartialEq, Debug)]
enum Value {
    Word(String),
    Number(f64),
}

/// Conditions that all must hold; the default has none.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    text: String,
    conditions: Vec<Condition>,
}

/// Why a text is no filter.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum FilterError {
    /// No condition.
    #[error("`{0}` is not a condition; write for example `controller=cubic` or `loss<=1`")]
    Form(String),
    /// No such field.
    #[error("there is no field `{field}`; there are {}", FIELDS.map(|(name, _)| name).join(", "))]
    Unknown {
        /// As written.
        field: String,
    },
    /// A number was expected.
    #[error("`{0}`: a plain decimal number is expected")]
    Number(String),
    /// A comparison that the field does not have.
    #[error("`{0}`: a word is compared with = or !=, and only those take alternatives")]
    Operator(String),
    /// Too long.
    #[error("more than {MOST_CONDITIONS} conditions")]
    TooMany,
}

impl FromStr for Filter {
    type Err = FilterError;

    fn from_str(text: &str) -> Result<Filter, FilterError> {
        let parts: Vec<&str> = text.split(',').collect();
        if parts.len() > MOST_CONDITIONS {
            return Err(FilterError::TooMany);
        }
        Ok(Filter {
            text: text.to_owned(),
            conditions: parts.into_iter().map(condition).collect::<Result<_, _>>()?,
        })
    }
}

fn condition(text: &str) -> Result<Condition, FilterError> {
    let shown = || text.trim().chars().take(60).collect::<String>();
    let place = text
        .find(['=', '!', '<', '>'])
        .ok_or_else(|| FilterError::Form(shown()))?;
    let (name, rest) = text.split_at(place);
    let name = name.trim();
    let operator = OPERATORS.iter().find(|(written, _)| rest.starts_with(written));
    let &(written, operator) = operator.ok_or_else(|| FilterError::Form(shown()))?;
    let field = FIELDS.iter().find(|(known, _)| *known == name);
    let &(_, field) = field.ok_or_else(|| FilterError::Unknown {
        field: name.chars().take(40).collect(),
    })?;
    let values: Vec<&str> = rest[written.len()..].split('|').map(str::trim).collect();
    if values.iter().any(|value| value.is_empty()) {
        return Err(FilterError::Form(shown()));
    }
    let equality = matches!(operator, Operator::Equal | Operator::NotEqual);
    let word = matches!(field, Field::Word(_));
    if !equality && (word || values.len() > 1) {
        return Err(FilterError::Operator(shown()));
    }
    let value = |value: &str| match field {
        Field::Word(_) => Ok(Value::Word(value.to_owned())),
        Field::Number(_) => {
            let plain = value.bytes().all(|b| b.is_ascii_digit() || b == b'.');
            let number = value.parse().ok().filter(|_| plain);
            number
                .map(Value::Number)
                .ok_or_else(|| FilterError::Number(shown()))
        }
    };
    Ok(Condition {
        field,
        operator,
        values: values.into_iter().map(value).collect::<Result<_, _>>()?,
    })
}

impl Condition {
    fn holds(&self, configuration: &Configuration) -> bool {
        let found = match self.field {
            Field::Word(of) => Value::Word(of(configuration)),
            Field::Number(of) => Value::Number(of(configuration)),
        };
        let compare = |holds: fn(&f64, &f64) -> bool| match (&found, &self.values[0]) {
            (Value::Number(found), Value::Number(bound)) => holds(found, bound),
            _ => false,
        };
        match self.operator {
            Operator::Equal => self.values.contains(&found),
            Operator::NotEqual => !self.values.contains(&found),
            Operator::AtMost => compare(f64::le),
            Operator::AtLeast => compare(f64::ge),
            Operator::Below => compare(f64::lt),
            Operator::Above => compare(f64::gt),
        }
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Filter {
    /// The configurations for which every condition holds, in the order of the table.
    pub fn select<'t>(&self, table: &'t Table) -> Vec<&'t Configuration> {
        let all = table.configurations.iter();
        all.filter(|configuration| self.conditions.iter().all(|c| c.holds(configuration)))
            .collect()
    }
}
