//! Distributions of values of which some are only known from one side, as plots show them.
//!
//! What did not finish would have taken longer than it was watched, and its rate would have been less than what it got:
//! Kaplan and Meier's estimate uses both, the second seen from the largest of all values downwards, where a bound from above
//! is one from below.

use longhaul_plots::distribution::Estimated;
use longhaul_statistics::{KaplanMeier, Lifetime};

use crate::estimate::LEVEL;

/// A value, or what is known of it.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Seen {
    /// It is this.
    Exact(f64),
    /// It is at least this.
    AtLeast(f64),
    /// It is at most this.
    AtMost(f64),
}

impl Seen {
    fn number(self) -> f64 {
        match self {
            Seen::Exact(value) | Seen::AtLeast(value) | Seen::AtMost(value) => value,
        }
    }
}

/// A band: x, lower and upper end.
pub type Band = Vec<(f64, f64, f64)>;

/// The distribution function of values none of which is negative, with its pointwise intervals. `None` if there is none, or
/// if some are bounded from below and others from above.
pub fn distribution(values: &[Seen]) -> Option<(Estimated, Band)> {
    let from_above = values.iter().any(|seen| matches!(seen, Seen::AtMost(_)));
    if from_above && values.iter().any(|seen| matches!(seen, Seen::AtLeast(_))) {
        return None;
    }
    let top = values.iter().map(|seen| seen.number()).fold(0.0, f64::max);
    let mirrored = |value: f64| if from_above { top - value } else { value };
    let lifetime = |seen: &Seen| match seen {
        Seen::Exact(value) => Lifetime::Finished(mirrored(*value)),
        Seen::AtLeast(value) | Seen::AtMost(value) => Lifetime::Unfinished(mirrored(*value)),
    };
    let lifetimes: Vec<Lifetime> = values.iter().map(lifetime).collect();
    let curve = KaplanMeier::of(&lifetimes, LEVEL).ok()?;
    let unfinished = values.iter().filter(|seen| !matches!(seen, Seen::Exact(_)));
    let bounds: Vec<f64> = unfinished.map(|seen| seen.number()).collect();
    let numbers = || values.iter().map(|seen| seen.number());
    let steps = curve.steps();
    let (mut rises, mut band) = (Vec::new(), Band::new());
    let first = if from_above {
        // After the step at `top - x` the share of larger mirrored values is that of values below x.
        let least = numbers().fold(f64::INFINITY, f64::min);
        for (index, step) in steps.iter().enumerate().rev() {
            let x = top - step.time;
            let up_to = index.checked_sub(1).map_or(1.0, |before| steps[before].survival);
            rises.push((x, up_to));
            let from = steps.get(index + 1).map_or(least, |next| top - next.time);
            if let Some((low, high)) = step.interval.filter(|_| from < x) {
                band.extend([(from, low, high), (x, low, high)]);
            }
        }
        steps.last().map_or(1.0, |step| step.survival)
    } else {
        let most = numbers().fold(0.0, f64::max);
        for (index, step) in steps.iter().enumerate() {
            rises.push((step.time, 1.0 - step.survival));
            let until = steps.get(index + 1).map_or(most, |next| next.time);
            if let Some((low, high)) = step.interval.filter(|_| step.time < until) {
                band.extend([(step.time, 1.0 - high, 1.0 - low), (until, 1.0 - high, 1.0 - low)]);
            }
        }
        0.0
    };
    let estimated = Estimated { first, rises, bounds };
    Some((estimated, band))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(found: &[(f64, f64)], expected: &[(f64, f64)]) {
        assert_eq!(found.len(), expected.len(), "{found:?}");
        for (found, expected) in found.iter().zip(expected) {
            let distance = (found.0 - expected.0).abs().max((found.1 - expected.1).abs());
            assert!(distance < 1e-9, "{found:?} {expected:?}");
        }
    }

    #[test]
    fn bounds_from_above_are_the_mirror_image_of_bounds_from_below() {
        // Above 7 all four are known; below it two are left, of which one is 6.
        let rates = [
            Seen::Exact(6.0),
            Seen::AtMost(4.0),
            Seen::Exact(8.0),
            Seen::AtMost(7.0),
        ];
        let (known, band) = distribution(&rates).unwrap();
        near(&known.rises, &[(6.0, 0.75), (8.0, 1.0)]);
        assert!((known.first - 0.375).abs() < 1e-9, "{known:?}");
        assert_eq!(known.bounds, [4.0, 7.0]);
        assert!(band.is_sorted_by(|a, b| a.0 <= b.0 && a.1 <= a.2), "{band:?}");
        // The same from below: times 10 - x.
        let mirror = |seen: &Seen| match seen {
            Seen::Exact(value) => Seen::Exact(10.0 - value),
            Seen::AtLeast(value) | Seen::AtMost(value) => Seen::AtLeast(10.0 - value),
        };
        let times: Vec<Seen> = rates.iter().map(mirror).collect();
        let (mirrored, _) = distribution(&times).unwrap();
        assert_eq!(mirrored.first, 0.0);
        near(&mirrored.rises, &[(2.0, 0.25), (4.0, 0.625)]);
    }

    #[test]
    fn without_bounds_every_value_counts_the_same_and_without_values_nothing_rises() {
        let (known, _) = distribution(&[1.0, 2.0, 2.0, 5.0].map(Seen::Exact)).unwrap();
        near(&known.rises, &[(1.0, 0.25), (2.0, 0.75), (5.0, 1.0)]);
        let (known, _) = distribution(&[3.0, 2.0].map(Seen::AtMost)).unwrap();
        assert_eq!((known.first, known.rises.len()), (1.0, 0));
        let (known, _) = distribution(&[3.0, 2.0].map(Seen::AtLeast)).unwrap();
        assert_eq!((known.first, known.rises.len()), (0.0, 0));
        assert_eq!(distribution(&[]), None);
        assert_eq!(distribution(&[Seen::AtMost(1.0), Seen::AtLeast(1.0)]), None);
    }
}
