//! Samples sorted as both formats want them: by family, then by series, then by time.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use super::family::Family;

/// An exact decimal number: a count of the `decimals`-th decimal place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Value {
    count: u64,
    decimals: u32,
}

impl Value {
    /// A whole number.
    pub fn whole(count: u64) -> Value {
        Value::scaled(count, 0)
    }

    /// `count` / 10^`decimals`; at most 19 decimals.
    pub fn scaled(count: u64, decimals: u32) -> Value {
        Value { count, decimals }
    }

    /// Nanoseconds in seconds.
    pub fn seconds(ns: u64) -> Value {
        Value::scaled(ns, 9)
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let one = 10_u64.pow(self.decimals);
        write!(f, "{}", self.count / one)?;
        let rest = self.count % one;
        if rest == 0 {
            return Ok(());
        }
        let digits = format!("{rest:0width$}", width = self.decimals as usize);
        write!(f, ".{}", digits.trim_end_matches('0'))
    }
}

/// Names of labels with their values.
pub(super) type Labels<'a> = Vec<(&'static str, Cow<'a, str>)>;

/// A value of a series and its time in nanoseconds.
pub(super) type Point = (u64, Value);

/// The samples of a family by series.
pub(super) type Series<'a> = BTreeMap<Labels<'a>, Vec<Point>>;

/// All samples.
#[derive(Default)]
pub(super) struct Sheet<'a> {
    families: BTreeMap<&'static str, (&'static Family, Series<'a>)>,
}

impl<'a> Sheet<'a> {
    /// Notes a sample. The times of a series have to rise: of two samples of one moment the first counts.
    pub fn put(&mut self, family: &'static Family, labels: Labels<'a>, at_ns: u64, value: Value) {
        let (_, series) = self
            .families
            .entry(family.name)
            .or_insert_with(|| (family, Series::new()));
        let points = series.entry(labels).or_default();
        if points.last().is_none_or(|&(last, _)| last < at_ns) {
            points.push((at_ns, value));
        }
    }

    /// Notes a sample of each of these families, under the same labels.
    pub fn put_counts<const N: usize>(
        &mut self,
        labels: &Labels<'a>,
        at_ns: u64,
        counts: [(&'static Family, u64); N],
    ) {
        for (family, count) in counts {
            self.put(family, labels.clone(), at_ns, Value::whole(count));
        }
    }

    /// Notes a sample if there is a value.
    pub fn put_some(
        &mut self,
        family: &'static Family,
        labels: &Labels<'a>,
        at_ns: u64,
        value: Option<Value>,
    ) {
        if let Some(value) = value {
            self.put(family, labels.clone(), at_ns, value);
        }
    }

    /// Families that have samples, by name.
    pub fn families(&self) -> impl Iterator<Item = (&'static Family, &Series<'a>)> {
        self.families.values().map(|(family, series)| (*family, series))
    }

    /// Whether a family has samples.
    pub fn has(&self, family: &Family) -> bool {
        self.families.contains_key(family.name)
    }
}
