//! Pairs of values, and what they say about a difference.

use longhaul_scenarios::metric::Unit;
use longhaul_scenarios::suggest;
use longhaul_statistics::compare::{PairedProportions, effect_size, paired, sign_test};
use longhaul_statistics::components::TwoWay;
use longhaul_statistics::equivalence::{Equivalence, judge, tost_paired};
use longhaul_statistics::{Interval, Level};
use serde::Serialize;

use crate::decode::quantity;
use crate::entry::Known;
use crate::estimate::{LEVEL, in_unit};
use crate::summary::{MetricHead, unit_name};

/// Error of the test of equivalence.
const ALPHA: f64 = 0.05;

/// What is known of a run, in base units.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Value {
    /// It is this.
    Exact(f64),
    /// It would have become at least this.
    AtLeast(f64),
    /// It would have become at most this.
    AtMost(f64),
    /// Nothing.
    Missing,
}

impl Value {
    /// From the exact unit of a metric.
    pub fn of(unit: Unit, known: Known) -> Value {
        match known {
            Known::Exact(value) => Value::Exact(in_unit(unit, value)),
            Known::AtLeast(value) => Value::AtLeast(in_unit(unit, value)),
            Known::AtMost(value) => Value::AtMost(in_unit(unit, value)),
            Known::Missing => Value::Missing,
        }
    }

    fn within(self) -> Within {
        let (low, high) = match self {
            Value::Exact(value) => (Some(value), Some(value)),
            Value::AtLeast(value) => (Some(value), None),
            Value::AtMost(value) => (None, Some(value)),
            Value::Missing => (None, None),
        };
        Within { low, high }
    }
}

/// Between what a value lies, both ends included; an end that is absent is not known.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub struct Within {
    /// The least that it can be.
    pub low: Option<f64>,
    /// The most.
    pub high: Option<f64>,
}

/// What is known of a single pair of which a side did not finish.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub struct Bounds {
    /// The first.
    pub a: Within,
    /// The second.
    pub b: Within,
    /// `b` − `a`.
    pub difference: Within,
}

impl Bounds {
    fn of(a: Value, b: Value) -> Bounds {
        let (a, b) = (a.within(), b.within());
        let minus = |one: Option<f64>, other: Option<f64>| Some(one? - other?);
        let difference = Within {
            low: minus(b.low, a.high),
            high: minus(b.high, a.low),
        };
        Bounds { a, b, difference }
    }
}

/// One metric at one point, or of one thing. Differences are `b` − `a`, in base units.
#[derive(Clone, PartialEq, Debug, Default, Serialize)]
pub struct Row {
    /// Values of the axes, or the name of what was measured.
    pub place: String,
    /// Name of the metric.
    pub metric: String,
    /// `ns`, `bytes`, `bit/s`, `share` or `number`.
    pub unit: &'static str,
    /// Pairs of two finished runs.
    pub n: usize,
    /// Runs of both sides that have no partner, or no value, or whose partner has none.
    pub unpaired: usize,
    /// Pairs of which one side or both did not finish.
    pub unfinished: usize,
    /// Pairs of which `b` is larger, as far as that is known.
    pub larger: usize,
    /// Pairs of which `b` is smaller.
    pub smaller: usize,
    /// Pairs whose sides are equal.
    pub equal: usize,
    /// Of a single pair of which a side did not finish: between what the two lie.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bounds: Option<Bounds>,
    /// Mean of the first; none if anything is unfinished.
    pub a: Option<f64>,
    /// Mean of the second.
    pub b: Option<f64>,
    /// Mean difference.
    pub difference: Option<f64>,
    /// Lower end of its interval.
    pub low: Option<f64>,
    /// Upper end.
    pub high: Option<f64>,
    /// How the interval was found.
    pub method: Option<&'static str>,
    /// The difference in standard deviations of single runs (Cohen's d).
    pub effect_size: Option<f64>,
    /// Correlation of the pairs.
    pub correlation: Option<f64>,
    /// How many times smaller the variance of the difference is than without pairing.
    pub variance_reduction: Option<f64>,
    /// Two-sided p of no difference.
    pub p: Option<f64>,
    /// The same, corrected for all tests.
    pub p_holm: Option<f64>,
    /// How `p` was found: `paired t`, or `sign test` where runs did not finish.
    pub test: Option<&'static str>,
    /// Whether the two count as equal, if a margin was given.
    pub equivalence: Option<Equal>,
    /// Both sides of the pairs of two finished runs, in the order of their seeds.
    #[serde(skip)]
    pub pairs: Vec<(f64, f64)>,
    /// What the pairs are, which decides about intervals of their difference.
    #[serde(skip)]
    layout: Layout,
}

/// What pairs are.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Layout {
    /// Numbers that are independent of each other.
    #[default]
    Independent,
    /// Answers of yes or no.
    Proportions(PairedProportions),
    /// All combinations of as many samples of two sources of chance.
    Crossed,
}

/// What an equivalence test says: two one-sided tests (Schuirmann, 1987) at 5 %, corrected for their number.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub struct Equal {
    /// The margin in base units.
    pub margin: f64,
    /// Lower end of the 90 % interval of the difference, which of a single test must lie within the margin.
    pub low: f64,
    /// Its upper end.
    pub high: f64,
    /// The larger p of the two tests; none where the differences never vary.
    pub p: Option<f64>,
    /// The p of what is more likely, `equal` or `different`, corrected for all margins (Holm).
    pub p_holm: Option<f64>,
    /// `equal`, `different`, `outside` (the estimate is, though perhaps by chance) or `undecided`, in the family of all margins.
    pub verdict: &'static str,
    /// Of an undecided one: about how many times as many pairs are needed.
    pub needs: Option<f64>,
}

impl Row {
    /// What pairs of `a` and `b` say; `lonely` runs have no partner.
    pub fn of(
        place: String,
        metric: String,
        unit: &'static str,
        pairs: &[(Value, Value)],
        lonely: usize,
    ) -> Row {
        let mut row = Row {
            place,
            metric,
            unit,
            unpaired: lonely,
            ..Row::default()
        };
        for pair in pairs {
            match *pair {
                (Value::Exact(a), Value::Exact(b)) => {
                    row.pairs.push((a, b));
                    row.larger += usize::from(b > a);
                    row.smaller += usize::from(b < a);
                    row.equal += usize::from(a == b);
                }
                (Value::Missing, Value::Missing) => row.unpaired += 2,
                (Value::Missing, _) | (_, Value::Missing) => row.unpaired += 1,
                // Nothing is known of the difference but on which side of zero it lies, and not always that.
                (a, b) => {
                    row.unfinished += 1;
                    let difference = Bounds::of(a, b).difference;
                    row.larger += usize::from(difference.low.is_some_and(|low| low >= 0.0));
                    row.smaller += usize::from(difference.high.is_some_and(|high| high <= 0.0));
                }
            }
        }
        if let (&[(a, b)], 1) = (pairs, row.unfinished) {
            row.bounds = Some(Bounds::of(a, b));
        }
        row.n = row.pairs.len();
        if row.unfinished > 0 {
            // A mean of the finished pairs alone would be too good for the side that finishes less often. Which side of a pair
            // is larger is known unless both were still unfinished at the shorter of the two times for which they were
            // watched, which treats the sides alike: the sign test of the others is fair.
            if row.larger + row.smaller + row.equal > 1 {
                row.p = sign_test(row.larger, row.smaller);
                row.test = row.p.map(|_| "sign test");
            }
            return row;
        }
        let (a, b): (Vec<f64>, Vec<f64>) = row.pairs.iter().copied().unzip();
        let mean = |values: &[f64]| (row.n > 0).then(|| values.iter().sum::<f64>() / row.n as f64);
        (row.a, row.b) = (mean(&a), mean(&b));
        row.difference = row.a.zip(row.b).map(|(a, b)| b - a);
        if let Ok(paired) = paired(&b, &a, LEVEL) {
            row.difference = Some(paired.difference.estimate);
            row.low = Some(paired.difference.low);
            row.high = Some(paired.difference.high);
            row.method = Some(paired.difference.method.name());
            row.effect_size = effect_size(&b, &a);
            row.correlation = paired.correlation;
            row.variance_reduction = paired.variance_reduction;
            row.p = paired.p;
            row.test = row.p.map(|_| "paired t");
        }
        row
    }

    /// The pairs are answers of yes or no. Their difference has the interval of paired proportions, and its test is that of the
    /// pairs that disagree: equal answers would have a t interval without any width however few they are.
    pub(super) fn answers(&mut self) {
        let (a, b): (Vec<f64>, Vec<f64>) = self.pairs.iter().copied().unzip();
        let Some(counts) = PairedProportions::count(&b, &a) else {
            return;
        };
        if self.unfinished > 0 || self.n < 2 {
            return;
        }
        self.layout = Layout::Proportions(counts);
        self.set_interval();
        self.p = counts.p();
        self.test = self.p.map(|_| "McNemar, exact");
    }

    /// The pairs are all combinations of as many samples of two sources of chance, in the order of their seeds: those that
    /// share one depend on each other. The difference keeps its interval, as that of a two-way layout, and nothing else that
    /// needs independent pairs.
    pub(super) fn depend(&mut self) {
        (self.low, self.high, self.method) = (None, None, None);
        (self.effect_size, self.correlation, self.variance_reduction) = (None, None, None);
        (self.p, self.test) = (None, None);
        self.layout = Layout::Crossed;
        self.set_interval();
    }

    fn set_interval(&mut self) {
        let found = self.interval(LEVEL);
        (self.low, self.high) = (found.map(|found| found.low), found.map(|found| found.high));
        self.method = found.map(|found| found.method.name());
    }

    /// The interval of the difference, as these pairs have one.
    fn interval(&self, level: Level) -> Option<Interval> {
        if self.unfinished > 0 {
            return None;
        }
        match self.layout {
            Layout::Independent => {
                let (a, b): (Vec<f64>, Vec<f64>) = self.pairs.iter().copied().unzip();
                Some(paired(&b, &a, level).ok()?.difference)
            }
            Layout::Proportions(counts) => counts.difference(level).ok(),
            Layout::Crossed if self.unpaired > 0 => None,
            Layout::Crossed => {
                let differences: Vec<f64> = self.pairs.iter().map(|(a, b)| b - a).collect();
                let samples = differences.len().isqrt();
                Some(TwoWay::of(&differences, samples, samples, level).ok()?.mean)
            }
        }
    }

    /// Whether the two sides are equal within a margin, by themselves; `None` of fewer than two pairs, where something did not
    /// finish, or within a share of nothing.
    pub fn within(&self, margin: &Margin) -> Option<Equal> {
        let width = match margin.width {
            Width::Absolute(width) => width,
            Width::Relative(share) => share * self.a?.abs(),
        };
        if width <= 0.0 {
            return None;
        }
        let found = self.interval(single())?;
        let (verdict, needs) = worded(judge(found.estimate, found.low, found.high, width));
        Some(Equal {
            margin: width,
            low: found.low,
            high: found.high,
            p: self.p_of_equal(width),
            p_holm: None,
            verdict,
            needs,
        })
    }

    /// The larger p of two one-sided tests: the least error at which the interval still lies within the margin.
    fn p_of_equal(&self, margin: f64) -> Option<f64> {
        if let Layout::Independent = self.layout {
            let (a, b): (Vec<f64>, Vec<f64>) = self.pairs.iter().copied().unzip();
            return tost_paired(&b, &a, margin, ALPHA).ok()?.p;
        }
        self.least_error(|found| -margin <= found.low && found.high <= margin)
    }

    /// The p of a difference beyond the margin: the least error at which the whole interval lies outside.
    fn p_of_different(&self, margin: f64) -> Option<f64> {
        if let Layout::Independent = self.layout {
            return self.p_of_equal(margin).map(|p| 1.0 - p);
        }
        self.least_error(|found| found.low > margin || found.high < -margin)
    }

    /// The least error of each side at which the interval is as asked for; 1 if it never is. Wider intervals are so less often.
    fn least_error(&self, holds: impl Fn(Interval) -> bool) -> Option<f64> {
        let at = |error: f64| Some(holds(self.interval(Level::new(1.0 - 2.0 * error).ok()?)?));
        let (mut low, mut high) = (1e-9, 0.5 - 1e-9);
        if !at(high)? {
            return Some(1.0);
        }
        for _ in 0..40 {
            let middle = f64::midpoint(low, high);
            if at(middle)? {
                high = middle;
            } else {
                low = middle;
            }
        }
        Some(high)
    }

    /// The p of what is more likely of equal and different, of a row with a margin.
    pub(super) fn p_of_verdict(&self) -> Option<f64> {
        let margin = self.equivalence.as_ref()?.margin;
        Some(self.p_of_equal(margin)?.min(self.p_of_different(margin)?))
    }

    /// Corrects the verdict for as many margins: it stands if its own p does.
    pub(super) fn correct_verdict(&mut self, p_holm: f64, margins: usize) {
        let Some(mut equal) = self.equivalence else {
            return;
        };
        equal.p_holm = Some(p_holm);
        if p_holm > ALPHA {
            // What stands in none of as many intervals as there are margins, all of which hold at once.
            let found = self.interval(single().of_each(margins));
            let judged = found.map(|found| judge(found.estimate, found.low, found.high, equal.margin));
            (equal.verdict, equal.needs) = match judged {
                Some(judged @ (Equivalence::EstimateOutside | Equivalence::Undecided { .. })) => {
                    worded(judged)
                }
                _ => ("undecided", None),
            };
        }
        self.equivalence = Some(equal);
    }
}

/// The level of the interval of a single test of equivalence.
fn single() -> Level {
    Level::new(1.0 - 2.0 * ALPHA).expect("between 0 and 1")
}

fn worded(verdict: Equivalence) -> (&'static str, Option<f64>) {
    match verdict {
        Equivalence::Equal => ("equal", None),
        Equivalence::Different => ("different", None),
        Equivalence::EstimateOutside => ("outside", None),
        Equivalence::Undecided { factor } => ("undecided", Some(factor)),
    }
}

/// Within what two sides count as equal. To be chosen before the results are known.
#[derive(Clone, PartialEq, Debug)]
pub struct Margin {
    /// Of this metric.
    pub metric: String,
    width: Width,
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum Width {
    /// In base units.
    Absolute(f64),
    /// As a share of the first side's mean.
    Relative(f64),
}

impl Margin {
    /// Reads `time=50 ms`, `loss=0.1 %` (of a share: percentage points), `time=5 %` (of anything else: of the first side's
    /// mean) or `elections=2`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read<'m>(
        text: &str,
        known: impl Iterator<Item = &'m MetricHead> + Clone,
    ) -> Result<Margin, String> {
        let Some((metric, width)) = text.split_once('=') else {
            return Err("written METRIC=VALUE, such as \"time=50 ms\" or \"time=5 %\"".to_owned());
        };
        let (metric, width) = (metric.trim(), width.trim());
        let Some(head) = known.clone().find(|head| head.name == metric) else {
            let names = known.map(|head| head.name.as_str());
            let help = suggest::help(metric, names).map_or(String::new(), |help| format!("; {help}"));
            return Err(format!("no metric of both sweeps is named `{metric}`{help}"));
        };
        let number = || {
            width
                .parse::<f64>()
                .ok()
                .filter(|_| head.unit == unit_name(Unit::Number))
        };
        let width = match (quantity(width), number()) {
            (Some((unit, exact)), _) if unit_name(unit) == head.unit => {
                Some(Width::Absolute(in_unit(unit, exact.unsigned_abs())))
            }
            (Some((Unit::Share, exact)), _) => {
                Some(Width::Relative(in_unit(Unit::Share, exact.unsigned_abs())))
            }
            (None, Some(number)) => Some(Width::Absolute(number)),
            _ => None,
        };
        let positive = |width: &Width| match *width {
            Width::Absolute(width) | Width::Relative(width) => width > 0.0 && width.is_finite(),
        };
        match width.filter(positive) {
            Some(width) => Ok(Margin {
                metric: metric.to_owned(),
                width,
            }),
            None => Err(format!(
                "`{metric}` is in {}: a positive amount of that is expected, or a share of its mean",
                head.unit
            )),
        }
    }
}
