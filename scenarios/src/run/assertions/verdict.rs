//! From samples to verdicts.
//!
//! A sample that is not finished is known within bounds, and so is every statistic of such samples, since none of them
//! falls when a sample rises: its least value is that of the least samples, its largest that of the largest. Where both
//! are on the same side of an assertion's bound, the verdict is certain whatever the unfinished ones will be.

use longhaul_core::record::{AssertionRecord, Verdict};
use longhaul_statistics::quantile::nearest_rank;

use super::Sample;
use crate::schema::{Assertion, Bound, Level, Metric, Scope, Statistic, Value};

pub(super) fn judge(assertion: &Assertion, samples: &[Sample]) -> AssertionRecord {
    let kind = bound_value(assertion.bound);
    let found = Found::of(assertion.statistic, samples);
    let (verdict, reason) = decide(assertion, &found);
    // A statistic of the finished ones alone would be too good.
    let value = found.of_exact.filter(|_| found.unfinished == 0);
    AssertionRecord {
        metric: format!("{:?}", assertion.metric),
        statistic: format!("{:?}", assertion.statistic),
        scope: match &assertion.scope {
            Scope::All => "all".to_owned(),
            Scope::Only(name) => name.clone(),
        },
        bound: match assertion.bound {
            Bound::AtMost(bound) => format!("≤ {bound}"),
            Bound::AtLeast(bound) => format!("≥ {bound}"),
        },
        critical: assertion.level == Level::Critical,
        samples: found.exact as u64,
        value: value.map(|value| kind.of_same_kind(value).to_string()),
        value_exact: value,
        verdict,
        reason,
    }
}

/// What is known of a statistic of samples.
struct Found {
    /// Samples in all.
    all: usize,
    /// Of these, measured.
    exact: usize,
    /// Of these, known within bounds alone.
    unfinished: usize,
    /// The statistic of those that were measured.
    of_exact: Option<u64>,
    /// The least that the statistic can be.
    least: Option<u64>,
    /// The most, if there is a limit.
    most: Option<u64>,
}

impl Found {
    fn of(of: Statistic, samples: &[Sample]) -> Found {
        let count = |wanted: fn(&Sample) -> bool| samples.iter().filter(|sample| wanted(sample)).count();
        let exact: Vec<u64> = samples
            .iter()
            .filter_map(|sample| match sample {
                Sample::Exact(value) => Some(*value),
                Sample::AtLeast(_) | Sample::AtMost(_) | Sample::Missing => None,
            })
            .collect();
        let boundless = samples.iter().any(|sample| sample.most().is_none());
        let most = samples.iter().map(|sample| sample.most().unwrap_or(u64::MAX));
        let most = statistic(of, most.collect()).filter(|most| match of {
            Statistic::Mean | Statistic::Sum => !boundless,
            _ => *most < u64::MAX,
        });
        Found {
            all: samples.len(),
            exact: exact.len(),
            unfinished: count(|sample| matches!(sample, Sample::AtLeast(_) | Sample::AtMost(_))),
            of_exact: statistic(of, exact),
            least: statistic(of, samples.iter().map(|sample| sample.least()).collect()),
            most,
        }
    }
}

fn decide(assertion: &Assertion, found: &Found) -> (Verdict, String) {
    let value = bound_value(assertion.bound);
    let bound = value.exact();
    let needed = assertion.statistic.least_samples();
    let known = found.exact + found.unfinished;
    let missing = found.all - known;
    let inconclusive = |reason: String| (Verdict::Inconclusive, reason);
    let (Some(least), true) = (found.least, known >= needed) else {
        return inconclusive(match (missing, known) {
            (1.., _) => format!("{missing} of {} gave no value", found.all),
            (0, 0) if needed == 1 => "no samples".to_owned(),
            (0, known) => format!("{known} samples, {needed} needed"),
        });
    };
    let far = |value: u64, side: &str| format!("{} {side} the bound", excess(value, bound));
    // Too much already, whatever is still to come.
    let above = matches!(assertion.bound, Bound::AtMost(_)) && least > bound;
    if missing > 0 && !above {
        return inconclusive(format!("{missing} of {} gave no value", found.all));
    }
    if found.unfinished == 0 && missing == 0 {
        let n = format!("n = {known}");
        return match assertion.bound {
            Bound::AtMost(_) if above => (Verdict::Fail, format!("{}, {n}", far(least, "above"))),
            Bound::AtLeast(_) if least < bound => (Verdict::Fail, format!("{}, {n}", far(least, "below"))),
            Bound::AtMost(_) | Bound::AtLeast(_) => (Verdict::Pass, format!("holds, {n}")),
        };
    }
    let within = format!(
        "{}{}",
        if found.most.is_some() && least == 0 {
            "≤ "
        } else {
            "≥ "
        },
        value.of_same_kind(found.most.filter(|_| least == 0).unwrap_or(least))
    );
    let state = if found.all == 1 && takes_until_its_end(assertion.metric) {
        format!("still unfinished after {} ({within})", value.of_same_kind(least))
    } else {
        format!("{} of {} unfinished ({within})", found.unfinished, found.all)
    };
    match (assertion.bound, found.most) {
        (Bound::AtMost(_), _) if above => (Verdict::Fail, format!("{state}: {}", far(least, "above"))),
        (Bound::AtMost(_), Some(most)) if most <= bound => (Verdict::Pass, format!("{state}: holds")),
        (Bound::AtLeast(_), _) if least >= bound => (Verdict::Pass, format!("{state}: holds already")),
        (Bound::AtLeast(_), Some(most)) if most < bound => {
            (Verdict::Fail, format!("{state}: {}", far(most, "below")))
        }
        _ => inconclusive(format!("{state}: it can end on either side of the bound")),
    }
}

/// Whether a metric is how long something takes, so that what is unfinished has taken all the time that it was watched.
fn takes_until_its_end(metric: Metric) -> bool {
    matches!(
        metric,
        Metric::MigrationTotalTime | Metric::MigrationJobTime | Metric::TransferCompletionTime
    )
}

/// How far a value is from a bound, relative to the bound, where that means something.
fn excess(value: u64, bound: u64) -> String {
    let tenths = u128::from(value.abs_diff(bound)) * 1000;
    match tenths.checked_div(u128::from(bound)) {
        Some(tenths) if tenths > 0 => format!("{}.{} %", tenths / 10, tenths % 10),
        Some(_) => "less than 0.1 %".to_owned(),
        None => "just".to_owned(),
    }
}

/// The statistic of the samples; quantiles are nearest-rank. `None` without samples.
pub fn statistic(statistic: Statistic, mut samples: Vec<u64>) -> Option<u64> {
    samples.sort_unstable();
    let n = samples.len();
    let rank = |percent| nearest_rank(n, percent).map(|place| samples[place]);
    let sum: u128 = samples.iter().copied().map(u128::from).sum();
    match statistic {
        Statistic::Min => samples.first().copied(),
        Statistic::Max => samples.last().copied(),
        Statistic::Median => rank(50),
        Statistic::P95 => rank(95),
        Statistic::P99 => rank(99),
        Statistic::Sum => (n > 0).then(|| u64::try_from(sum).unwrap_or(u64::MAX)),
        Statistic::Mean => {
            let mean = (sum + n as u128 / 2).checked_div(n as u128)?;
            u64::try_from(mean).ok()
        }
    }
}

fn bound_value(bound: Bound) -> Value {
    match bound {
        Bound::AtMost(value) | Bound::AtLeast(value) => value,
    }
}

#[cfg(test)]
mod tests {
    use longhaul_core::time::Span;

    use super::*;

    fn at_most(statistic: Statistic, seconds: u64) -> Assertion {
        Assertion {
            metric: Metric::MigrationTotalTime,
            statistic,
            scope: Scope::All,
            bound: Bound::AtMost(Value::Time(Span::from_s(seconds))),
            level: Level::Critical,
        }
    }

    fn verdict(statistic: Statistic, seconds: u64, samples: &[Sample]) -> Verdict {
        judge(&at_most(statistic, seconds), samples).verdict
    }

    const S: u64 = 1_000_000_000;

    #[test]
    fn quantiles_are_nearest_rank() {
        let hundred: Vec<u64> = (1..=100).collect();
        assert_eq!(statistic(Statistic::P95, hundred.clone()), Some(95));
        assert_eq!(statistic(Statistic::Median, hundred.clone()), Some(50));
        assert_eq!(statistic(Statistic::P99, hundred), Some(99));
        assert_eq!(statistic(Statistic::Median, vec![7]), Some(7));
        assert_eq!(statistic(Statistic::Max, vec![]), None);
        assert_eq!(statistic(Statistic::Mean, vec![1, 2]), Some(2));
    }

    #[test]
    fn the_bound_itself_passes() {
        assert_eq!(verdict(Statistic::Max, 3, &[Sample::Exact(3 * S)]), Verdict::Pass);
        assert_eq!(
            verdict(Statistic::Max, 3, &[Sample::Exact(3 * S + 1)]),
            Verdict::Fail
        );
    }

    #[test]
    fn missing_data_is_never_a_pass() {
        assert_eq!(verdict(Statistic::Max, 3, &[]), Verdict::Inconclusive);
        assert_eq!(
            verdict(Statistic::Max, 3, &[Sample::Exact(S), Sample::Missing]),
            Verdict::Inconclusive
        );
        assert_eq!(
            verdict(Statistic::P95, 3, &[Sample::Exact(S); 19]),
            Verdict::Inconclusive
        );
        assert_eq!(verdict(Statistic::P95, 3, &[Sample::Exact(S); 20]), Verdict::Pass);
    }

    #[test]
    fn what_is_unfinished_fails_once_it_exceeds_the_bound() {
        assert_eq!(
            verdict(Statistic::Max, 3, &[Sample::AtLeast(4 * S)]),
            Verdict::Fail
        );
        assert_eq!(
            verdict(Statistic::Max, 3, &[Sample::AtLeast(2 * S)]),
            Verdict::Inconclusive
        );
        // Half of all are at least that, whatever becomes of the other.
        assert_eq!(
            verdict(Statistic::Median, 3, &[Sample::AtLeast(4 * S)]),
            Verdict::Fail
        );
        let two = [Sample::Exact(S), Sample::AtLeast(4 * S)];
        assert_eq!(verdict(Statistic::Median, 3, &two), Verdict::Pass);
        assert_eq!(verdict(Statistic::Mean, 2, &two), Verdict::Fail);
        assert_eq!(verdict(Statistic::Mean, 3, &two), Verdict::Inconclusive);
        // Nor does it matter that of a third nothing is known.
        let three = [Sample::Missing, Sample::Exact(S), Sample::AtLeast(4 * S)];
        assert_eq!(verdict(Statistic::Max, 3, &three), Verdict::Fail);
        assert_eq!(verdict(Statistic::Min, 3, &three), Verdict::Inconclusive);
        // Quantiles of few are not asked for.
        assert_eq!(
            verdict(Statistic::P95, 3, &[Sample::AtLeast(4 * S); 19]),
            Verdict::Inconclusive
        );
    }

    #[test]
    fn what_is_unfinished_has_already_taken_its_time() {
        let judged = judge(&at_most(Statistic::Max, 10), &[Sample::AtLeast(12 * S)]);
        assert_eq!(judged.verdict, Verdict::Fail);
        assert_eq!(
            judged.reason,
            "still unfinished after 12 s (≥ 12 s): 20.0 % above the bound"
        );
        assert_eq!((judged.value, judged.samples), (None, 0));
        let judged = judge(&at_most(Statistic::Max, 20), &[Sample::AtLeast(12 * S)]);
        assert_eq!(judged.verdict, Verdict::Inconclusive);
        assert_eq!(
            judged.reason,
            "still unfinished after 12 s (≥ 12 s): it can end on either side of the bound"
        );
    }

    #[test]
    fn a_bound_from_below_is_decided_by_what_is_known() {
        let at_least = |seconds, samples: &[Sample]| {
            let bound = Bound::AtLeast(Value::Time(Span::from_s(seconds)));
            let judged = judge(
                &Assertion {
                    bound,
                    ..at_most(Statistic::Min, 0)
                },
                samples,
            );
            (judged.verdict, judged.reason)
        };
        assert_eq!(
            at_least(10, &[Sample::AtLeast(12 * S)]),
            (
                Verdict::Pass,
                "still unfinished after 12 s (≥ 12 s): holds already".to_owned()
            )
        );
        assert_eq!(at_least(20, &[Sample::AtLeast(12 * S)]).0, Verdict::Inconclusive);
        // A rate that can only fall.
        assert_eq!(
            at_least(20, &[Sample::AtMost(12 * S), Sample::Exact(30 * S)]),
            (
                Verdict::Fail,
                "1 of 2 unfinished (≤ 12 s): 40.0 % below the bound".to_owned()
            )
        );
        assert_eq!(at_least(10, &[Sample::AtMost(12 * S)]).0, Verdict::Inconclusive);
        assert_eq!(at_least(10, &[Sample::Missing]).0, Verdict::Inconclusive);
    }

    #[test]
    fn a_failure_says_by_how_much() {
        let record = judge(&at_most(Statistic::Max, 3), &[Sample::Exact(4 * S)]);
        assert_eq!(record.value.as_deref(), Some("4 s"));
        assert!(
            record.reason.starts_with("33.3 % above the bound"),
            "{}",
            record.reason
        );
    }
}
