//! Measures of recovery: pure functions over records, series and times of faults.
//!
//! Rates are compared over whole intervals of a series, so that nothing is measured where an interval has only begun.
//! What cannot be measured is `None` or says why; it is never a good value.

mod faults;
mod metastability;
mod recoveries;

pub use faults::{Detection, Outage, Repair, Window, availability, detection, downtime, repair};
pub use metastability::{Evidence, MetastabilityOptions, Missing, Verdict, metastability};
pub use recoveries::{Became, Effect, Fault, HELD, effect, enough};

use longhaul_core::time::{Instant, Span};
use longhaul_core::units::Probability;

use crate::record::{ClientStatistics, Interval, RequestRecord, RequestResult, Series, ServerStatistics};

/// The series of requests that are over, in any order. What is in flight is missing.
///
/// # Panics
/// If the interval is empty.
pub fn series_of(records: &[RequestRecord], interval: Span) -> Series {
    let mut series = Series::new(interval);
    for record in records {
        let begun = series.at(record.started);
        begun.started += 1;
        begun.attempts += u64::from(record.attempts);
        let ended = series.at(record.ended);
        match record.result {
            RequestResult::Succeeded => ended.succeeded += 1,
            RequestResult::Late => ended.late += 1,
            RequestResult::Failed(_) => ended.failed += 1,
        }
    }
    series
}

/// Sums of the whole intervals within a window, and how long they are together; `None` if there is none.
pub fn sum(series: &Series, within: Window) -> Option<(Interval, Span)> {
    let length = series.interval.as_ns();
    let first = within.from.as_ns().div_ceil(length);
    let end = within.until.as_ns() / length;
    let count = end.checked_sub(first).filter(|count| *count > 0)?;
    let mut sum = Interval::default();
    // At the end of a run intervals in which nothing happened are missing.
    let skip = usize::try_from(first).ok()?;
    let take = usize::try_from(count).ok()?;
    for interval in series.intervals.iter().skip(skip).take(take) {
        sum.started += interval.started;
        sum.succeeded += interval.succeeded;
        sum.late += interval.late;
        sum.failed += interval.failed;
        sum.attempts += interval.attempts;
    }
    Some((sum, series.interval.saturating_mul(count)))
}

/// Mean goodput within a window, in requests per second, over its whole intervals; `None` if there is none.
pub fn goodput(series: &Series, within: Window) -> Option<f64> {
    let (sum, span) = sum(series, within)?;
    Some(sum.succeeded as f64 / span.as_s_f64())
}

/// Goodput of each whole interval within a window, in requests per second, with the interval's begin.
pub fn goodput_series(series: &Series, within: Window) -> Vec<(Instant, f64)> {
    let length = series.interval;
    let first = within.from.as_ns().div_ceil(length.as_ns());
    let end = within.until.as_ns() / length.as_ns();
    let at = |index: u64| {
        let interval = usize::try_from(index)
            .ok()
            .and_then(|index| series.intervals.get(index));
        let succeeded = interval.map_or(0, |interval| interval.succeeded);
        let begin = Instant::from_ns(index * length.as_ns());
        (begin, succeeded as f64 / length.as_s_f64())
    };
    (first..end).map(at).collect()
}

/// When goodput is back at `share` of `baseline` (requests per second): the begin of the first whole interval after
/// `after` that has as much, and so has the mean over `hold` from there on. `None` if that is not seen before `until`.
pub fn recovered_at(
    series: &Series,
    after: Instant,
    until: Instant,
    baseline: f64,
    share: Probability,
    hold: Span,
) -> Option<Instant> {
    let needed = baseline * share.as_f64();
    let rates = goodput_series(series, Window { from: after, until });
    let held = usize::try_from(hold.as_ns().div_ceil(series.interval.as_ns()))
        .ok()?
        .max(1);
    let back = rates.windows(held).find(|window| {
        let mean = window.iter().map(|(_, rate)| rate).sum::<f64>() / held as f64;
        window[0].1 >= needed && mean >= needed
    })?;
    Some(back[0].0)
}

/// What became of requests.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, serde::Serialize)]
pub struct Tally {
    /// Begun.
    pub started: u64,
    /// Succeeded in time.
    pub succeeded: u64,
    /// Succeeded too late.
    pub late: u64,
    /// Failed: lost for whoever made them.
    pub lost: u64,
    /// Under way.
    pub in_flight: u64,
    /// Begun more than once at a server.
    pub duplicated: u64,
    /// Answers that nobody waited for any more.
    pub in_vain: u64,
}

/// What became of the requests of these clients at these servers.
pub fn tally(clients: &[ClientStatistics], servers: &[ServerStatistics]) -> Tally {
    let mut tally = Tally::default();
    for client in clients {
        tally.started += client.started;
        tally.succeeded += client.succeeded;
        tally.late += client.late;
        tally.lost += client.failures.total();
        tally.in_flight += client.in_flight;
        tally.in_vain += client.caller.late_successes;
    }
    tally.duplicated = servers.iter().map(|server| server.repeated).sum();
    tally
}

#[cfg(test)]
mod tests {
    use longhaul_resilience::CallError;

    use super::*;

    fn at(s: u64) -> Instant {
        Instant::ZERO + Span::from_s(s)
    }

    pub(super) fn window(from: u64, until: u64) -> Window {
        Window {
            from: at(from),
            until: at(until),
        }
    }

    /// A series of 1 s with these goodputs, all of it offered 100 requests in an interval.
    pub(super) fn series(goodputs: &[u64]) -> Series {
        let interval = |succeeded: &u64| Interval {
            started: 100,
            succeeded: *succeeded,
            attempts: 100 + 4 * (100u64.saturating_sub(*succeeded)),
            ..Interval::default()
        };
        Series {
            interval: Span::from_s(1),
            intervals: goodputs.iter().map(interval).collect(),
        }
    }

    #[test]
    fn only_whole_intervals_are_measured_and_missing_ones_are_empty() {
        let series = series(&[10, 20, 30]);
        assert_eq!(goodput(&series, window(0, 3)), Some(20.0));
        assert_eq!(goodput(&series, window(1, 5)), Some(12.5));
        let half = Span::from_ms(500);
        let cut = Window {
            from: at(0) + half,
            until: at(2) + half,
        };
        assert_eq!(goodput(&series, cut), Some(20.0));
        let within_one = Window {
            from: at(0) + half,
            until: at(1) + half,
        };
        assert_eq!(goodput(&series, within_one), None);
        assert_eq!(
            goodput_series(&series, window(1, 4)),
            [(at(1), 20.0), (at(2), 30.0), (at(3), 0.0)]
        );
    }

    #[test]
    fn records_make_the_series_that_the_client_kept() {
        let record = |started, ended, attempts, result| RequestRecord {
            number: 0,
            started: at(started),
            ended: at(ended),
            attempts,
            result,
        };
        let failed = RequestResult::Failed(CallError::BreakerOpen);
        let series = series_of(
            &[
                record(2, 2, 1, RequestResult::Succeeded),
                record(0, 1, 3, RequestResult::Late),
                record(0, 2, 2, failed),
            ],
            Span::from_s(1),
        );
        let mut expected = Series::new(Span::from_s(1));
        expected.intervals = vec![
            Interval {
                started: 2,
                attempts: 5,
                ..Interval::default()
            },
            Interval {
                late: 1,
                ..Interval::default()
            },
            Interval {
                started: 1,
                attempts: 1,
                succeeded: 1,
                failed: 1,
                ..Interval::default()
            },
        ];
        assert_eq!(series, expected);
    }

    #[test]
    fn recovery_must_hold() {
        let share = Probability::from_ratio(95, 100).expect("a share");
        let series = series(&[100, 100, 0, 96, 20, 94, 95, 100, 100, 100]);
        let back = |hold, until| recovered_at(&series, at(3), at(until), 100.0, share, Span::from_s(hold));
        assert_eq!(back(1, 10), Some(at(3)));
        assert_eq!(back(3, 10), Some(at(6)));
        assert_eq!(back(3, 8), None);
        assert_eq!(back(5, 10), None);
    }
}
