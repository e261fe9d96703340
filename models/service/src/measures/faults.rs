//! Times of faults: detected after, repaired after, and how much of the time was good.

use longhaul_core::time::{Instant, Span};
use serde::{Deserialize, Serialize};

/// From one time to another, the end left out.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct Window {
    /// From when on.
    pub from: Instant,
    /// Until before when.
    pub until: Instant,
}

impl Window {
    /// Its length; nothing if it ends before it begins.
    pub fn span(&self) -> Span {
        self.until.saturating_since(self.from)
    }
}

/// A fault, and what followed from it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Outage {
    /// When the fault began.
    pub began: Instant,
    /// When something noticed it: a breaker that opened, a health check that failed.
    pub detected: Option<Instant>,
    /// When the service was as good as before.
    pub recovered: Option<Instant>,
}

/// How soon faults were detected.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct Detection {
    /// Mean time to detect (MTTD), over those that were; `None` if none was.
    pub mean: Option<Span>,
    /// How many were not.
    pub undetected: u64,
}

/// How soon the service recovered.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct Repair {
    /// Mean time from a fault's begin to recovery (MTTR), over those from which it recovered; `None` if there is none.
    pub mean: Option<Span>,
    /// From how many it did not recover: the mean says nothing of them.
    pub unrecovered: u64,
}

/// Mean time to detect. What was noticed before the fault began was something else.
pub fn detection(outages: &[Outage]) -> Detection {
    let (mean, undetected) = mean_since(outages, |outage| outage.detected);
    Detection { mean, undetected }
}

/// Mean time to recovery.
pub fn repair(outages: &[Outage]) -> Repair {
    let (mean, unrecovered) = mean_since(outages, |outage| outage.recovered);
    Repair { mean, unrecovered }
}

fn mean_since(outages: &[Outage], end: impl Fn(&Outage) -> Option<Instant>) -> (Option<Span>, u64) {
    let (mut sum, mut count) = (0u128, 0u64);
    for outage in outages {
        if let Some(end) = end(outage).filter(|end| *end >= outage.began) {
            sum += u128::from((end - outage.began).as_ns());
            count += 1;
        }
    }
    let mean = sum.checked_div(count.into());
    // A mean of 64-bit numbers.
    let mean = mean.map(|ns| Span::from_ns(ns as u64));
    (mean, outages.len() as u64 - count)
}

/// For how long within the horizon at least one of the windows holds: overlapping and nested ones count once.
pub fn downtime(windows: &[Window], horizon: Window) -> Span {
    let mut clipped: Vec<Window> = windows
        .iter()
        .map(|window| Window {
            from: window.from.max(horizon.from),
            until: window.until.min(horizon.until),
        })
        .filter(|window| window.from < window.until)
        .collect();
    clipped.sort_unstable();
    let (mut sum, mut covered) = (Span::ZERO, horizon.from);
    for window in clipped {
        sum += window.until.saturating_since(window.from.max(covered));
        covered = covered.max(window.until);
    }
    sum
}

/// The share of the horizon in which none of the windows holds; `None` for an empty horizon.
pub fn availability(down: &[Window], horizon: Window) -> Option<f64> {
    let all = horizon.span();
    let up = all.saturating_sub(downtime(down, horizon));
    (all > Span::ZERO).then(|| up.as_ns() as f64 / all.as_ns() as f64)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{ProptestConfig, prop_assert_eq, proptest};

    use super::super::tests::window;
    use super::*;

    #[test]
    fn overlapping_and_nested_windows_count_once() {
        let down = [
            window(5, 9),
            window(1, 3),
            window(2, 4),
            window(6, 7),
            window(20, 30),
            window(8, 8),
        ];
        assert_eq!(downtime(&down, window(0, 10)), Span::from_s(7));
        assert_eq!(downtime(&down, window(2, 6)), Span::from_s(3));
        assert_eq!(availability(&down, window(0, 10)), Some(0.3));
        assert_eq!(availability(&[], window(0, 10)), Some(1.0));
        assert_eq!(availability(&down, window(3, 3)), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(500))]

        #[test]
        fn downtime_is_that_of_every_second_on_its_own(
            windows in proptest::collection::vec((0..40u64, 0..20u64), 0..12),
            from in 0..30u64,
            length in 0..30u64,
        ) {
            let down: Vec<Window> = windows.iter().map(|(from, length)| window(*from, from + length)).collect();
            let is_down = |second: &u64| windows.iter().any(|(from, length)| (*from..from + length).contains(second));
            let seconds = (from..from + length).filter(is_down).count() as u64;
            prop_assert_eq!(downtime(&down, window(from, from + length)), Span::from_s(seconds));
        }
    }

    #[test]
    fn means_are_of_what_happened_and_say_what_did_not() {
        let at = |s| Instant::ZERO + Span::from_s(s);
        let outage = |began, detected: Option<u64>, recovered: Option<u64>| Outage {
            began: at(began),
            detected: detected.map(at),
            recovered: recovered.map(at),
        };
        let outages = [
            outage(10, Some(12), Some(30)),
            outage(50, Some(56), None),
            // Noticed before it began.
            outage(80, Some(70), Some(90)),
        ];
        let detected = Detection {
            mean: Some(Span::from_s(4)),
            undetected: 1,
        };
        let repaired = Repair {
            mean: Some(Span::from_s(15)),
            unrecovered: 1,
        };
        assert_eq!((detection(&outages), repair(&outages)), (detected, repaired));
        let nothing = Repair {
            mean: None,
            unrecovered: 0,
        };
        assert_eq!(repair(&[]), nothing);
    }
}
