//! Axes: linear or logarithmic, with marks that people count in.

use std::ops::Range;

use plotters::coord::ranged1d::{KeyPointHint, NoDefaultFormatting, Ranged};

use crate::PlotError;
use crate::font;

/// How an axis divides.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Scale {
    /// In equal steps.
    #[default]
    Linear,
    /// In equal factors; values must be positive.
    Log,
}

/// What an axis shows.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Quantity {
    /// In words.
    pub name: String,
    /// Of the numbers as they are given; empty for plain numbers.
    pub unit: String,
    /// Linear or logarithmic.
    pub scale: Scale,
    /// Whether nothing of it lies below zero, as of times, sizes and rates. Intervals that reach below are cut off there: a
    /// symmetric interval of a mean knows nothing of what can be.
    pub never_negative: bool,
}

impl Quantity {
    /// With a linear axis.
    pub fn linear(name: impl Into<String>, unit: impl Into<String>) -> Quantity {
        Quantity {
            name: name.into(),
            unit: unit.into(),
            ..Quantity::default()
        }
    }

    /// Of which nothing lies below zero.
    #[must_use]
    pub fn never_negative(self) -> Quantity {
        Quantity {
            never_negative: true,
            ..self
        }
    }

    /// The part of an interval that can be.
    pub(crate) fn possible(&self, (low, high): (f64, f64)) -> (f64, f64) {
        if self.never_negative {
            (low.max(0.0), high.max(0.0))
        } else {
            (low, high)
        }
    }

    /// What a caption says if one of these intervals is cut off.
    pub(crate) fn cut_off(&self, lows: impl IntoIterator<Item = f64>) -> Option<String> {
        let cut = self.never_negative && lows.into_iter().any(|low| low < 0.0);
        cut.then(|| format!("Intervals are cut off at 0: there is no {} below", self.name))
    }

    /// With a logarithmic axis.
    pub fn log(name: impl Into<String>, unit: impl Into<String>) -> Quantity {
        Quantity {
            scale: Scale::Log,
            ..Quantity::linear(name, unit)
        }
    }

    /// `name (unit)`.
    pub(crate) fn label(&self) -> String {
        if self.unit.is_empty() {
            return self.name.clone();
        }
        format!("{} ({})", self.name, self.unit)
    }

    /// A value with its unit.
    pub(crate) fn value(&self, value: f64) -> String {
        let text = short(value);
        match self.unit.as_str() {
            "" => text,
            unit => format!("{text} {unit}"),
        }
    }

    /// Refuses what this axis cannot show.
    pub(crate) fn check(&self, what: &str, value: f64) -> Result<(), PlotError> {
        let fits = value.is_finite() && (self.scale == Scale::Linear || value > 0.0);
        if fits {
            return Ok(());
        }
        Err(PlotError::NotDrawable {
            what: what.to_owned(),
            value: value.to_string(),
        })
    }
}

/// The values between which an axis lies, and its marks.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Axis {
    pub low: f64,
    pub high: f64,
    pub scale: Scale,
    pub ticks: Vec<f64>,
    /// Whether there are marks at all.
    pub marks: bool,
}

impl Axis {
    /// An axis over all values, which are drawable. A single value gets room on both sides.
    pub fn over(values: impl Iterator<Item = f64>, scale: Scale) -> Axis {
        let (low, high) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
            (low.min(value), high.max(value))
        });
        let (low, high) = if low > high { (0.0, 1.0) } else { (low, high) };
        let (low, high) = match scale {
            Scale::Linear if high - low <= high.abs().max(low.abs()) * 1e-9 => {
                let room = if high == 0.0 { 1.0 } else { high.abs() * 0.1 };
                (low - room, high + room)
            }
            Scale::Log if high <= low * (1.0 + 1e-9) => (low / 2.0, high * 2.0),
            _ => (low, high),
        };
        Axis {
            low,
            high,
            scale,
            ticks: Vec::new(),
            marks: true,
        }
    }

    /// With this much more room on both sides, as a share of its length.
    pub fn padded(mut self, share: f64) -> Axis {
        match self.scale {
            Scale::Linear => {
                let room = (self.high - self.low) * share;
                self.low -= room;
                self.high += room;
            }
            Scale::Log => {
                let room = libm::pow(self.high / self.low, share);
                self.low /= room;
                self.high *= room;
            }
        }
        self
    }

    /// From zero, if that is near enough to be worth it and no value lies below.
    pub fn with_zero(mut self) -> Axis {
        if self.scale == Scale::Linear && self.low > 0.0 && self.low < self.high * 0.5 {
            self.low = 0.0;
        }
        self
    }

    /// As many marks as have room for their labels along so many pixels: `gap` is what a label takes.
    pub fn marked(mut self, length: f64, gap: impl Fn(&[String]) -> f64) -> Axis {
        if !self.marks {
            return self;
        }
        for most in (2..=9).rev() {
            self.ticks = match self.scale {
                Scale::Linear => linear_ticks(self.low, self.high, most),
                Scale::Log => log_ticks(self.low, self.high, most),
            };
            let labels = self.labels();
            let nearest = self
                .ticks
                .windows(2)
                .map(|pair| (self.place(pair[1]) - self.place(pair[0])) * length)
                .fold(f64::INFINITY, f64::min);
            if nearest >= gap(&labels) {
                return self;
            }
        }
        self.ticks.truncate(1);
        self
    }

    /// The labels of the marks, all with the same decimals.
    pub fn labels(&self) -> Vec<String> {
        match self.scale {
            Scale::Linear => {
                let step = self.ticks.windows(2).map(|pair| pair[1] - pair[0]).next();
                let largest = self.ticks.iter().fold(0.0_f64, |most, tick| most.max(tick.abs()));
                let label = |&tick: &f64| plain(tick, step.unwrap_or(largest), largest);
                self.ticks.iter().map(label).collect()
            }
            Scale::Log => self.ticks.iter().map(|&tick| short(tick)).collect(),
        }
    }

    /// Where a value lies: 0 at the low end, 1 at the high end.
    pub fn place(&self, value: f64) -> f64 {
        let place = match self.scale {
            Scale::Linear => (value - self.low) / (self.high - self.low),
            Scale::Log => {
                libm::log(value.max(f64::MIN_POSITIVE) / self.low) / libm::log(self.high / self.low)
            }
        };
        place.clamp(0.0, 1.0)
    }

    pub fn contains(&self, value: f64) -> bool {
        value >= self.low && value <= self.high
    }
}

impl Ranged for Axis {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, limit: (i32, i32)) -> i32 {
        let (from, to) = (f64::from(limit.0), f64::from(limit.1));
        // Between the limits.
        (from + (to - from) * self.place(*value)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, _: Hint) -> Vec<f64> {
        self.ticks.clone()
    }

    fn range(&self) -> Range<f64> {
        self.low..self.high
    }
}

/// Multiples of 1, 2 or 5 times a power of ten, at most so many.
fn linear_ticks(low: f64, high: f64, most: usize) -> Vec<f64> {
    let rough = (high - low) / most as f64;
    let power = libm::pow(10.0, libm::floor(libm::log10(rough)));
    let step = [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .map(|factor| factor * power)
        .find(|step| (high - low) / step <= most as f64)
        .unwrap_or(power * 10.0);
    let slack = step * 1e-6;
    let first = libm::ceil((low - slack) / step);
    let last = libm::floor((high + slack) / step);
    // At most `most + 1` of them.
    (0..=(last - first).max(0.0) as usize)
        .map(|index| {
            let tick = (first + index as f64) * step;
            if tick.abs() < slack { 0.0 } else { tick }
        })
        .filter(|tick| *tick >= low - slack && *tick <= high + slack)
        .collect()
}

/// Powers of ten, with 2 and 5 between them where there are few; at most about so many.
fn log_ticks(low: f64, high: f64, most: usize) -> Vec<f64> {
    // Exponents of f64 are within ±324.
    let first = libm::floor(libm::log10(low)) as i32;
    let last = libm::ceil(libm::log10(high)) as i32;
    let inside = |tick: &f64| *tick >= low * (1.0 - 1e-9) && *tick <= high * (1.0 + 1e-9);
    let power = |exponent: i32| libm::pow(10.0, f64::from(exponent));
    let fine: Vec<f64> = (first..=last)
        .flat_map(|exponent| [1.0, 2.0, 5.0].map(|factor| factor * power(exponent)))
        .filter(inside)
        .collect();
    if fine.len() < 2 {
        // A range so short is nearly linear.
        return linear_ticks(low, high, most.min(5));
    }
    if fine.len() <= most {
        return fine;
    }
    let decades: Vec<f64> = (first..=last).map(power).filter(inside).collect();
    if decades.len() < 2 {
        let ends = [fine[0], fine[fine.len() - 1]];
        return ends.to_vec();
    }
    let every = decades.len().div_ceil(most);
    decades.into_iter().step_by(every).collect()
}

/// A tick with as many decimals as tell it from its neighbours.
fn plain(value: f64, step: f64, largest: f64) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    if !(1e-4..1e7).contains(&largest) {
        return short(value);
    }
    let mut decimals = 0;
    let mut unit = 1.0;
    while unit > step * 1.000_001 && decimals < 9 {
        unit /= 10.0;
        decimals += 1;
    }
    // 0.25 has two decimals though 0.1 would tell it from 0.5.
    let exact = |decimals: usize| {
        let text = format!("{value:.decimals$}");
        text.parse::<f64>()
            .is_ok_and(|rounded| (rounded - value).abs() <= step * 1e-3)
    };
    while decimals < 9 && !exact(decimals) {
        decimals += 1;
    }
    format!("{value:.decimals$}").replace('-', "−")
}

/// Three significant digits, with a power of ten where there would be many noughts.
pub(crate) fn short(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return if value == 0.0 {
            "0".to_owned()
        } else {
            value.to_string()
        };
    }
    let exponent = libm::floor(libm::log10(value.abs()) + 1e-9) as i32;
    if (-4..6).contains(&exponent) {
        let decimals = usize::try_from(2 - exponent).unwrap_or(0);
        let text = format!("{value:.decimals$}");
        let text = if text.contains('.') {
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        } else {
            text
        };
        return text.replace('-', "−");
    }
    let factor = value / libm::pow(10.0, f64::from(exponent));
    let power: String = exponent.to_string().chars().map(superscript).collect();
    let factor = format!("{factor:.2}");
    match factor.trim_end_matches('0').trim_end_matches('.') {
        "1" => format!("10{power}"),
        factor => format!("{factor}·10{power}").replace('-', "−"),
    }
}

fn superscript(digit: char) -> char {
    match digit {
        '-' => '⁻',
        '1' => '¹',
        '2' => '²',
        '3' => '³',
        '4' => '⁴',
        '5' => '⁵',
        '6' => '⁶',
        '7' => '⁷',
        '8' => '⁸',
        '9' => '⁹',
        _ => '⁰',
    }
}

/// Room that labels beside each other take.
pub(crate) fn beside(size: f64) -> impl Fn(&[String]) -> f64 {
    move |labels| {
        let widest = labels
            .iter()
            .map(|label| font::width(label, size))
            .fold(0.0, f64::max);
        widest + size
    }
}

/// Room that labels below each other take.
pub(crate) fn below(size: f64) -> impl Fn(&[String]) -> f64 {
    move |_| size * 1.8
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(low: f64, high: f64, scale: Scale) -> Vec<String> {
        let axis = Axis {
            low,
            high,
            scale,
            ticks: Vec::new(),
            marks: true,
        };
        axis.marked(400.0, beside(11.0)).labels()
    }

    #[test]
    fn marks_are_round_and_their_labels_tell_them_apart() {
        assert_eq!(labels(0.0, 10.0, Scale::Linear).join(" "), "0 2 4 6 8 10");
        assert_eq!(
            labels(-0.5, 0.5, Scale::Linear).join(" "),
            "−0.4 −0.2 0.0 0.2 0.4".replace("0.0", "0")
        );
        assert_eq!(labels(0.0, 3e9, Scale::Linear)[1], "5·10⁸");
        assert_eq!(
            labels(1e-5, 1.0, Scale::Log).join(" "),
            "10⁻⁵ 0.0001 0.001 0.01 0.1 1"
        );
        assert_eq!(labels(1.0, 60.0, Scale::Log).join(" "), "1 2 5 10 20 50");
        assert!(labels(3.0, 3.1, Scale::Log).len() >= 2);
    }

    #[test]
    fn every_range_has_marks_inside_it_that_do_not_collide() {
        for scale in [Scale::Linear, Scale::Log] {
            for (low, high) in [
                (1e-9, 2e-9),
                (1.0, 1.0),
                (7.0, 7e12),
                (0.1, 0.100_01),
                (1e-300, 1e300),
            ] {
                let axis = Axis::over([low, high].into_iter(), scale).marked(150.0, beside(11.0));
                assert!(!axis.ticks.is_empty(), "{low} {high} {scale:?}");
                for pair in axis.ticks.windows(2) {
                    assert!(
                        (axis.place(pair[1]) - axis.place(pair[0])) * 150.0 > 11.0,
                        "{axis:?}"
                    );
                }
            }
        }
    }
}
