//! Whether two sets of values are equal within a margin: two one-sided tests at 5 % each (Schuirmann, 1987), carried
//! out by looking whether the 90 % interval of the difference of medians lies inside the margin.
//!
//! The interval is the percentile bootstrap (Efron, 1979): both sets are resampled with replacement, each by itself.
//! It assumes no form of the distributions and not that they are alike, and it is a single point where a set never
//! varies. For 5 to 30 values in each set it covers the true difference in 90 to 93 % of all cases; where one set is
//! constant only in 85 to 89 %, so that there a test at 5 % is one at 6 to 8 % (both tested below). Fewer than five
//! values are refused: not even the whole range of four covers a median in 90 %.

use longhaul_core::random::Streams;
use longhaul_core::replay::{ComparisonVerdict, Estimate, MarginRecord, SideRecord};
use longhaul_statistics::Level;
use longhaul_statistics::equivalence::{Contrast, Ends, Equivalence, Resampled, judge, median_difference};

/// The method in words, for the record.
pub const METHOD: &str = "two one-sided tests at 5 %: a metric passes if the 90 % interval of the difference of \
                          medians (percentile bootstrap, 4000 resamples) lies inside its margin";
/// Values of a set without which there is no interval, unless it never varies.
pub const LEAST_VALUES: usize = 5;
/// Resamples of each set: the ends of an interval then move by less than a hundredth of its width.
const RESAMPLES: usize = 4_000;
/// Two tests at 5 % each.
const LEVEL: Level = Level::P90;
/// Millionths in one.
const MILLION: f64 = 1e6;

/// One set of values and what its resamples say.
pub struct Side(Resampled);

impl Side {
    /// A set of values, at least one. The resamples depend on `name` and on nothing else.
    pub fn new(values: &[u64], name: &str, purpose: &str) -> Side {
        Side::resampled(values, RESAMPLES, name, purpose)
    }

    fn resampled(values: &[u64], resamples: usize, name: &str, purpose: &str) -> Side {
        let values = values.iter().map(|&value| value as f64).collect();
        let stream = Streams::new(1, 0).stream(name, purpose);
        Side(Resampled::new(values, resamples, &stream).expect("at least one value"))
    }

    /// Whether it never varies.
    pub fn is_constant(&self) -> bool {
        self.0.is_constant()
    }

    /// Whether there is an interval.
    pub fn is_enough(&self) -> bool {
        self.0.n() >= LEAST_VALUES || self.is_constant()
    }

    /// Fills in the quartiles of a record.
    pub fn describe(&self, record: &mut SideRecord) {
        let [first, median, third] = self.0.quartiles(LEVEL);
        let estimate = |ends| self.is_enough().then(|| whole(ends));
        record.first_quartile = estimate(first);
        record.median = estimate(median);
        record.third_quartile = estimate(third);
    }
}

/// An estimate and its interval in whole units. Infinity becomes the largest number.
fn whole(ends: Ends) -> Estimate {
    // `as` saturates.
    let whole = |value: f64| value.round() as i64;
    Estimate {
        value: whole(ends.estimate),
        low: whole(ends.low),
        high: whole(ends.high),
    }
}

/// How far the simulated median lies above the replayed one, in the unit of the margin. `None` for a relative margin
/// of a replayed median of zero.
pub fn difference(simulated: &Side, replayed: &Side, margin: MarginRecord) -> Option<Estimate> {
    let contrast = match margin {
        MarginRecord::Relative(_) => Contrast::Relative { parts: MILLION },
        MarginRecord::Absolute(_) => Contrast::Absolute,
    };
    median_difference(&simulated.0, &replayed.0, contrast, LEVEL).map(whole)
}

/// The verdict, and why. `replications` and `simulations` are the numbers of values.
pub fn decide(
    difference: Estimate,
    margin: MarginRecord,
    simulations: usize,
    replications: usize,
) -> (ComparisonVerdict, String) {
    let (MarginRecord::Relative(margin) | MarginRecord::Absolute(margin)) = margin;
    let margin = i64::try_from(margin).unwrap_or(i64::MAX);
    let Estimate { value, low, high } = difference;
    let reason = match judge(value as f64, low as f64, high as f64, margin as f64) {
        Equivalence::Equal => {
            let reason = format!("equal within the margin, n = {simulations} and {replications}");
            return (ComparisonVerdict::Pass, reason);
        }
        Equivalence::Different => "the difference is larger than the margin".to_owned(),
        Equivalence::EstimateOutside => {
            "the medians lie further apart than the margin, though by chance they might".to_owned()
        }
        Equivalence::Undecided { factor } => {
            let needed = |n: usize| (n as f64 * factor).ceil() as u64;
            format!(
                "not shown to be equal with so few runs: about {} simulations and {} replications are needed",
                needed(simulations),
                needed(replications)
            )
        }
    };
    (ComparisonVerdict::Fail, reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIVE_PERCENT: MarginRecord = MarginRecord::Relative(50_000);

    fn verdict(simulated: &[u64], replayed: &[u64], margin: MarginRecord) -> (ComparisonVerdict, String) {
        let (simulated, replayed) = (Side::new(simulated, "a", "x"), Side::new(replayed, "a", "y"));
        let difference = difference(&simulated, &replayed, margin).unwrap();
        decide(difference, margin, simulated.0.n(), replayed.0.n())
    }

    #[test]
    fn constants_are_compared_exactly_at_the_edge_of_the_margin() {
        let fine = verdict(&[1_050_000], &[1_000_000; 3], FIVE_PERCENT);
        assert_eq!(fine.0, ComparisonVerdict::Pass);
        let off = verdict(&[1_050_002], &[1_000_000; 3], FIVE_PERCENT);
        assert_eq!(off.0, ComparisonVerdict::Fail);
        assert_eq!(off.1, "the difference is larger than the margin");
        let rounds = |simulated| verdict(&[simulated], &[7], MarginRecord::Absolute(1)).0;
        assert_eq!(
            (rounds(8), rounds(6)),
            (ComparisonVerdict::Pass, ComparisonVerdict::Pass)
        );
        assert_eq!(
            (rounds(9), rounds(5)),
            (ComparisonVerdict::Fail, ComparisonVerdict::Fail)
        );
    }

    #[test]
    fn too_few_runs_are_told_apart_from_a_difference() {
        let wide = [800, 900, 1000, 1100, 1200];
        let (verdict_, reason) = verdict(&wide, &wide, FIVE_PERCENT);
        assert_eq!(verdict_, ComparisonVerdict::Fail);
        assert!(
            reason.starts_with("not shown to be equal with so few runs: about "),
            "{reason}"
        );
        let (_, reason) = verdict(&[2000, 2001, 2002, 2003, 2004], &wide, FIVE_PERCENT);
        assert_eq!(reason, "the difference is larger than the margin");
        let (_, reason) = verdict(&[880, 1060, 1060, 1060, 1300], &wide, FIVE_PERCENT);
        assert!(reason.starts_with("the medians lie further apart"), "{reason}");
    }

    #[test]
    fn a_median_of_zero_has_no_relative_margin_unless_both_are_zero() {
        let (zero, one) = (Side::new(&[0; 5], "a", "x"), Side::new(&[1; 5], "a", "y"));
        assert_eq!(difference(&one, &zero, FIVE_PERCENT), None);
        let none = Estimate {
            value: 0,
            low: 0,
            high: 0,
        };
        assert_eq!(difference(&zero, &zero, FIVE_PERCENT), Some(none));
        assert_eq!(difference(&zero, &one, FIVE_PERCENT).unwrap().value, -1_000_000);
    }

    #[test]
    fn the_same_values_give_the_same_interval_and_few_give_none() {
        let values = [5, 9, 6, 8, 7, 30];
        let record = |values: &[u64]| {
            let mut record = SideRecord::default();
            Side::new(values, "a", "x").describe(&mut record);
            record
        };
        assert_eq!(record(&values), record(&values));
        let median = record(&values).median.unwrap();
        assert!(median.low < median.value && median.value < median.high);
        assert_eq!(record(&[1, 2, 3, 4]).median, None);
        assert_eq!(record(&[4; 4]).median.unwrap().low, 4);
    }

    /// The true medians of lognormal, exponential and bimodal values as they are drawn below. The last is the normal
    /// quantile of 0.5 / 0.7, but for the tail of the other mode.
    const MEDIANS: [f64; 3] = [1e9, 1e9 + 2e8 * std::f64::consts::LN_2, 1e9 + 1e7 * 0.565_95];

    /// How often the interval covers the true ratio of medians, which is 1, in `trials` of lognormal, exponential and
    /// bimodal values. Without `replications` the other side is a single value, the true median.
    fn coverage(simulations: usize, replications: Option<usize>, trials: u32) -> f64 {
        let mut stream = Streams::new(5, 0).stream("coverage", "test");
        let mut covered = 0;
        for trial in 0..trials {
            let mut draw = |n: Option<usize>| -> Vec<u64> {
                let Some(n) = n else {
                    return vec![MEDIANS[trial as usize % 3] as u64];
                };
                let mut one = || match trial % 3 {
                    0 => libm::exp(0.3 * stream.normal()) * 1e9,
                    1 => 1e9 + stream.exponential(2e8),
                    _ if stream.unit() < 0.7 => 1e9 + 1e7 * stream.normal(),
                    _ => 1.3e9 + 5e7 * stream.normal(),
                };
                (0..n).map(|_| one() as u64).collect()
            };
            let (simulated, replayed) = (draw(Some(simulations)), draw(replications));
            let simulated = Side::resampled(&simulated, 400, &trial.to_string(), "x");
            let replayed = Side::resampled(&replayed, 400, &trial.to_string(), "y");
            let found = difference(&simulated, &replayed, FIVE_PERCENT).unwrap();
            covered += u32::from(found.low <= 0 && 0 <= found.high);
        }
        f64::from(covered) / f64::from(trials)
    }

    #[test]
    fn the_interval_covers_the_truth_as_often_as_it_claims() {
        // 1,200 trials have a standard deviation of 0.9 %.
        for (simulations, replications) in [(30, 10), (30, 5), (10, 10)] {
            let covered = coverage(simulations, Some(replications), 1_200);
            assert!(
                (0.87..=0.93).contains(&covered),
                "{simulations}, {replications}: {covered}"
            );
        }
        for simulations in [5, 10, 30] {
            let covered = coverage(simulations, None, 1_200);
            assert!(
                (0.83..=0.91).contains(&covered),
                "{simulations}, constant: {covered}"
            );
        }
    }
}
