//! The points of a sweep: all combinations of rows of its groups that satisfy its conditions. A point is known by its
//! number, and computed from it, so that a hundred thousand of them take no more memory than one.

use std::cmp::Ordering;

use thiserror::Error;

use crate::schema::{Axis, AxisValue, Condition, Operand, Relation, Sweep};

/// Most combinations that are looked through for those that satisfy the conditions.
const MOST_COMBINATIONS: u64 = 100_000_000;

/// Why a sweep has no usable number of points.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum PointsError {
    /// More than the sweep allows.
    #[error(
        "{points} points are more than the limit of {limit}; if that is meant, allow them with --yes, or with `limit: {points}` in the file"
    )]
    TooMany {
        /// Points.
        points: u64,
        /// As allowed.
        limit: u64,
    },
    /// More combinations than can be looked through.
    #[error("the axes have {combinations} combinations; at most {MOST_COMBINATIONS} can be looked through")]
    TooManyCombinations {
        /// Combinations, or the largest number that can be represented.
        combinations: u64,
    },
    /// The conditions leave nothing.
    #[error("no point satisfies `where`")]
    Nothing,
}

/// Who sets a field of a point's scenario.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Setter {
    /// All points share it.
    Shared,
    /// The axis of this index, counted over all groups.
    Axis(usize),
    /// The uncertain field of this index.
    Uncertain(usize),
}

/// The points of a sweep, in the order of their numbers.
#[derive(Clone, Debug)]
pub struct Points<'s> {
    sweep: &'s Sweep,
    /// Numbers of the combinations that are points; `None` if all of them are.
    chosen: Option<Vec<u64>>,
    count: u64,
}

impl<'s> Points<'s> {
    /// The points of a sweep; more than its limit only if `any_number` is allowed.
    ///
    /// # Errors
    /// If there are too many, or none.
    pub fn of(sweep: &'s Sweep, any_number: bool) -> Result<Points<'s>, PointsError> {
        let rows = sweep.groups.iter().map(|group| group.rows() as u64);
        let combinations = rows.fold(1u64, u64::saturating_mul);
        let limit = if any_number {
            MOST_COMBINATIONS
        } else {
            sweep.limit
        };
        if sweep.conditions.is_empty() && combinations > limit {
            let points = combinations;
            return Err(PointsError::TooMany { points, limit });
        }
        if combinations > MOST_COMBINATIONS {
            return Err(PointsError::TooManyCombinations { combinations });
        }
        let mut points = Points {
            sweep,
            chosen: None,
            count: combinations,
        };
        if !sweep.conditions.is_empty() {
            let chosen: Vec<u64> = (0..combinations)
                .filter(|&number| {
                    let values = points.combination(number);
                    sweep.conditions.iter().all(|condition| holds(condition, &values))
                })
                .collect();
            points.count = chosen.len() as u64;
            points.chosen = Some(chosen);
        }
        match points.count {
            0 => Err(PointsError::Nothing),
            points if points > limit => Err(PointsError::TooMany { points, limit }),
            _ => Ok(points),
        }
    }

    /// How many there are.
    pub fn len(&self) -> u64 {
        self.count
    }

    /// Never: a sweep without points is an error.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The values of all axes at a point, in the order of the file.
    ///
    /// # Panics
    /// If there is no such point.
    pub fn values(&self, point: u64) -> Vec<&'s AxisValue> {
        assert!(point < self.count, "there is no point {point}");
        self.combination(self.number(point))
    }

    /// The row of each group at a point.
    pub fn rows(&self, point: u64) -> Vec<usize> {
        self.rows_of(self.number(point))
    }

    /// What a run of a point sets, as `--set` takes it: what all points share, then path by path of each axis, then of each
    /// uncertain field its draw; and for each of these who sets it.
    pub fn overrides(&self, point: u64, draws: &[AxisValue]) -> (Vec<String>, Vec<Setter>) {
        let mut overrides = self.sweep.set.clone();
        let mut setters = vec![Setter::Shared; overrides.len()];
        let mut set = |paths: &[String], value: &AxisValue, setter: Setter| {
            for path in paths {
                overrides.push(format!("{path}={}", value.ron));
                setters.push(setter);
            }
        };
        for (index, (axis, value)) in self.sweep.axes().zip(self.values(point)).enumerate() {
            set(&axis.paths, value, Setter::Axis(index));
        }
        for (index, (field, value)) in self.sweep.uncertain.iter().zip(draws).enumerate() {
            set(&field.paths, value, Setter::Uncertain(index));
        }
        (overrides, setters)
    }

    /// A point in words: `rtt = 80 ms, streams = 16`.
    pub fn describe(&self, point: u64) -> String {
        let values = self.values(point).into_iter().map(|value| value.shown.as_str());
        in_words(
            self.sweep
                .axes()
                .map(|axis: &Axis| axis.name.as_str())
                .zip(values),
        )
    }

    fn number(&self, point: u64) -> u64 {
        match &self.chosen {
            Some(chosen) => chosen[usize::try_from(point).expect("a point in memory")],
            None => point,
        }
    }

    fn rows_of(&self, mut number: u64) -> Vec<usize> {
        let mut rows = vec![0; self.sweep.groups.len()];
        for (row, group) in rows.iter_mut().zip(&self.sweep.groups).rev() {
            let length = group.rows() as u64;
            *row = usize::try_from(number % length).expect("below a length");
            number /= length;
        }
        rows
    }

    fn combination(&self, number: u64) -> Vec<&'s AxisValue> {
        let rows = self.rows_of(number);
        let groups = self.sweep.groups.iter().zip(rows);
        groups
            .flat_map(|(group, row)| group.axes.iter().map(move |axis| &axis.values[row]))
            .collect()
    }
}

/// A point in words, of the names and values of its axes. Without axes there is but one.
pub fn in_words<'v>(values: impl Iterator<Item = (&'v str, &'v str)>) -> String {
    let each = values.map(|(axis, value)| format!("{axis} = {value}"));
    let words = each.collect::<Vec<String>>().join(", ");
    if words.is_empty() {
        return "the only point".to_owned();
    }
    words
}

fn holds(condition: &Condition, values: &[&AxisValue]) -> bool {
    let left = values[condition.left];
    let order = match &condition.right {
        Operand::Axis(right) => compare(left, values[*right]),
        Operand::Exact(exact) => left.exact.map(|left| left.cmp(exact)),
        Operand::Label(label) => (left.shown == *label).then_some(Ordering::Equal),
    };
    match condition.relation {
        Relation::Less => order == Some(Ordering::Less),
        Relation::AtMost => matches!(order, Some(Ordering::Less | Ordering::Equal)),
        Relation::Equal => order == Some(Ordering::Equal),
        Relation::Unequal => order != Some(Ordering::Equal),
        Relation::AtLeast => matches!(order, Some(Ordering::Greater | Ordering::Equal)),
        Relation::More => order == Some(Ordering::Greater),
    }
}

/// How two values of the same kind compare; labels are equal or not.
fn compare(left: &AxisValue, right: &AxisValue) -> Option<Ordering> {
    match (left.exact, right.exact) {
        (Some(left), Some(right)) => Some(left.cmp(&right)),
        _ => (left.shown == right.shown).then_some(Ordering::Equal),
    }
}
