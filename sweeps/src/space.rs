//! What values an axis or an uncertain field may take: a list, or a range that is divided evenly or in equal ratios.

use longhaul_core::random::Streams;
use longhaul_core::time::Span;
use longhaul_core::units::{BitRate, ByteSize, Probability};
use longhaul_scenarios::decode::context::{At, Context};
use longhaul_scenarios::decode::{print_millionths, value};
use longhaul_scenarios::diagnose::Place;
use longhaul_scenarios::metric::Unit;

use crate::schema::{AxisValue, Kind};

/// Digits of values between the ends of a range: more would be awkward labels.
const DIGITS: u32 = 3;

/// The same of values that chance has chosen: enough that rounding moves none of them out of its part of the space.
const SAMPLED_DIGITS: u32 = 6;

/// What an axis or an uncertain field may be.
#[derive(Clone, PartialEq, Debug)]
pub enum Space {
    /// These and no others.
    Values((Kind, Vec<AxisValue>)),
    /// Between two ends.
    Range(Range),
}

/// How a range is divided.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Spread {
    /// By equal differences.
    Even,
    /// By equal ratios.
    Ratio,
}

/// A range, in steps of its unit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Range {
    /// What lies in it; no labels.
    pub kind: Kind,
    /// Its lower end.
    pub from: i64,
    /// Its upper end, above the lower.
    pub to: i64,
    /// Whether only whole numbers are meant.
    pub whole: bool,
    /// How it is divided.
    pub spread: Spread,
    /// Into how many values, both ends among them.
    pub steps: Option<usize>,
}

impl Space {
    /// Whether it is divided by equal ratios.
    pub fn is_by_ratios(&self) -> bool {
        matches!(self, Space::Range(range) if range.spread == Spread::Ratio)
    }

    /// The kind of its values.
    pub fn kind(&self) -> Kind {
        match self {
            Space::Values((kind, _)) => *kind,
            Space::Range(range) => range.kind,
        }
    }

    /// What a field must take to take everything in between: both ends of a range, or all values.
    pub fn extremes(&self, place: Place) -> Vec<AxisValue> {
        match self {
            Space::Values((_, values)) => values.clone(),
            Space::Range(_) => self.at_shares([0.0, 1.0].into_iter(), place).1,
        }
    }

    /// The values of an axis by itself.
    pub fn into_values(self, cx: &mut Context, at: &At) -> Option<(Kind, Vec<AxisValue>)> {
        let range = match self {
            Space::Values(values) => return Some(values),
            Space::Range(range) => range,
        };
        let Some(steps) = range.steps else {
            return cx.refuse(
                at,
                "`steps` is missing: the number of values, both ends among them",
            );
        };
        if steps < 2 {
            return cx.refuse(at, "a range has both of its ends: at least 2 steps");
        }
        let place = at.node.head();
        let share = |step: usize| step as f64 / (steps - 1) as f64;
        let values: Vec<i64> = (0..steps).map(|step| range.at(share(step))).collect();
        if values.windows(2).any(|pair| pair[0] == pair[1]) {
            return cx.refuse(
                at,
                "some values fall together once they are rounded: fewer `steps`, please",
            );
        }
        let values = values.into_iter().map(|exact| range.value(exact, place));
        Some((range.kind, values.collect()))
    }

    /// `points` values, one out of each of as many equal parts of the space, in random order: the side of a Latin
    /// hypercube (McKay, Beckman and Conover, 1979).
    pub fn sample(self, axis: &str, points: usize, seed: u64, place: Place) -> (Kind, Vec<AxisValue>) {
        let mut stream = Streams::new(seed, 0).stream(axis, "latin hypercube");
        let mut parts: Vec<usize> = (0..points).collect();
        for last in (1..points).rev() {
            let other = usize::try_from(stream.below(last as u64 + 1)).expect("below a length");
            parts.swap(last, other);
        }
        let shares = parts
            .into_iter()
            .map(|part| (part as f64 + stream.unit()) / points as f64);
        self.at_shares(shares, place)
    }

    /// The values at these shares of the way from the first or lower end to the last or upper one.
    pub fn at_shares(&self, shares: impl Iterator<Item = f64>, place: Place) -> (Kind, Vec<AxisValue>) {
        match self {
            Space::Range(range) => {
                let values = shares.map(|share| range.value(range.at(share), place));
                (range.kind, values.collect())
            }
            Space::Values((kind, values)) => {
                // Truncation: shares are below one, so that the index is below the length.
                let index = |share: f64| ((share * values.len() as f64) as usize).min(values.len() - 1);
                (*kind, shares.map(|share| values[index(share)].clone()).collect())
            }
        }
    }
}

impl Range {
    /// What lies at a share of the way from one end to the other. The ends are exact, all else is rounded.
    fn at(&self, share: f64) -> i64 {
        if share <= 0.0 {
            return self.from;
        }
        if share >= 1.0 {
            return self.to;
        }
        let (from, to) = (self.from as f64, self.to as f64);
        let value = match self.spread {
            Spread::Even => from + (to - from) * share,
            Spread::Ratio => from * libm::pow(to / from, share),
        };
        let value = libm::round(value) as i64;
        let rounded = if self.whole {
            rounded(value, value::MILLION)
        } else if self.spread == Spread::Even && self.steps.is_some() && self.divides() {
            // What comes out even stays as it is.
            value
        } else {
            let size = value.unsigned_abs().checked_ilog10().unwrap_or(0);
            let digits = self.steps.map_or(SAMPLED_DIGITS, |_| DIGITS);
            rounded(value, 10i64.pow(size.saturating_sub(digits - 1)))
        };
        rounded.clamp(self.from, self.to)
    }

    /// Whether its steps are a whole number of units apart.
    fn divides(&self) -> bool {
        let length = i128::from(self.to) - i128::from(self.from);
        let steps = self.steps.map_or(0, |steps| steps as i128 - 1);
        steps > 0 && length % steps == 0
    }

    fn value(&self, exact: i64, place: Place) -> AxisValue {
        let number = self.kind == Kind::Quantity(Unit::Number);
        let shown = if number && self.whole {
            (exact / value::MILLION).to_string()
        } else {
            shown_as(self.kind, exact)
        };
        AxisValue {
            ron: if number {
                shown.clone()
            } else {
                format!("\"{shown}\"")
            },
            shown,
            exact: Some(exact),
            place,
        }
    }
}

/// To the nearest multiple of `grain`.
fn rounded(value: i64, grain: i64) -> i64 {
    let half = grain / 2;
    (value + if value < 0 { -half } else { half }) / grain * grain
}

/// A value in the text form of its kind.
pub fn shown_as(kind: Kind, exact: i64) -> String {
    match kind {
        Kind::Quantity(unit) => shown(unit, exact),
        Kind::PageRate => format!("{exact} pages/s"),
        Kind::Label => exact.to_string(),
    }
}

/// A value in the text form of its unit.
pub fn shown(unit: Unit, exact: i64) -> String {
    let size = exact.unsigned_abs();
    match unit {
        Unit::Time => Span::from_ns(size).to_string(),
        Unit::Size => ByteSize::from_bytes(size).to_string(),
        Unit::Rate => BitRate::from_bits_per_s(size).to_string(),
        Unit::Share => Probability::from_parts(size)
            .unwrap_or(Probability::ONE)
            .to_string(),
        Unit::Number => print_millionths(exact),
    }
}

/// A number as written, in millionths; `None` if it is not one of up to six decimals.
pub fn millionths(written: &str) -> Option<i64> {
    value::parse_millionths(&written.replace('_', ""))
}
