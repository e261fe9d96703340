//! Whether a failure outlives its trigger (Bronson et al., "Metastable Failures in Distributed Systems", HotOS 2021;
//! Huang et al., "Metastable Failures in the Wild", OSDI 2022).

use longhaul_core::time::{Instant, Span};
use longhaul_core::units::Probability;
use serde::{Deserialize, Serialize};

use super::{Window, goodput, recovered_at, sum};
use crate::record::Series;

/// When a service counts as degraded.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct MetastabilityOptions {
    /// Below this share of the goodput before the trigger.
    pub share: Probability,
    /// For this long: a recovery must hold, and a degradation must have lasted until the end.
    pub hold: Span,
    /// How many attempts for each request, as a multiple of those before the trigger, show that retries feed the failure.
    /// In percent: 150 are one and a half times as many.
    pub amplification_percent: u32,
}

impl Default for MetastabilityOptions {
    /// Below 90 % for 20 s, with half as many attempts again.
    fn default() -> MetastabilityOptions {
        MetastabilityOptions {
            share: Probability::from_ratio(9, 10).expect("a share"),
            hold: Span::from_s(20),
            amplification_percent: 150,
        }
    }
}

/// What feeds a failure whose trigger is gone.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub struct Evidence {
    /// Goodput before the trigger, per second.
    pub baseline: f64,
    /// Goodput at the end, per second.
    pub goodput: f64,
    /// Attempts for each request that began, before the trigger.
    pub attempts_before: f64,
    /// Attempts for each request that began, at the end.
    pub attempts_after: f64,
    /// Requests that waited at the servers before the trigger and at the end, if that was given.
    pub queued: Option<(u64, u64)>,
    /// Whether attempts or the queue have grown enough to keep the service down: without, it may be down for another
    /// reason.
    pub sustained: bool,
}

/// Why nothing can be said.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub enum Missing {
    /// There was no goodput before the trigger to compare with, or no whole interval.
    Baseline,
    /// The data end too early after the trigger, or between good and bad.
    After,
}

/// What became of a service after a trigger.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub enum Verdict {
    /// It was as good as before from then on.
    Recovered {
        /// Begin of the first good interval.
        at: Instant,
    },
    /// The trigger was gone, and at the end of the data it was still down.
    Degraded(Evidence),
    /// Neither can be said.
    NotEnoughData(Missing),
}

impl Verdict {
    /// Whether the failure outlived its trigger and fed itself.
    pub fn is_metastable(&self) -> bool {
        matches!(self, Verdict::Degraded(evidence) if evidence.sustained)
    }
}

/// Judges a series with a trigger in it. The load must be the same from `before.from` to `until`, the end of the data;
/// `before` is a window in which all was well. `queued` is how many requests waited at the servers just before the trigger
/// and at the end.
pub fn metastability(
    series: &Series,
    before: Window,
    trigger: Window,
    until: Instant,
    queued: Option<(u64, u64)>,
    options: &MetastabilityOptions,
) -> Verdict {
    let missing = Verdict::NotEnoughData;
    let before_trigger = Window {
        from: before.from,
        until: before.until.min(trigger.from),
    };
    let Some(baseline) = goodput(series, before_trigger).filter(|baseline| *baseline > 0.0) else {
        return missing(Missing::Baseline);
    };
    // Whole intervals at the end of the data, and all of them after the trigger.
    let length = series.interval.as_ns();
    let end = Instant::from_ns(until.as_ns() / length * length);
    let held = options
        .hold
        .as_ns()
        .div_ceil(length)
        .max(1)
        .saturating_mul(length);
    let from = Instant::from_ns(end.as_ns().saturating_sub(held));
    let last = Window { from, until: end };
    if from < trigger.until || last.span().as_ns() < held {
        return missing(Missing::After);
    }
    let Some(at_end) = goodput(series, last) else {
        return missing(Missing::After);
    };
    if at_end >= baseline * options.share.as_f64() {
        let back = recovered_at(series, trigger.until, end, baseline, options.share, options.hold);
        return back.map_or(missing(Missing::After), |at| Verdict::Recovered { at });
    }
    let attempts = |window| {
        let (sum, _) = sum(series, window)?;
        (sum.started > 0).then(|| sum.attempts as f64 / sum.started as f64)
    };
    let attempts_before = attempts(before_trigger).unwrap_or(0.0);
    let attempts_after = attempts(last).unwrap_or(0.0);
    let needed = attempts_before * f64::from(options.amplification_percent) / 100.0;
    // A queue that needs more than the hold to be worked off at the former goodput.
    let backlog = queued.is_some_and(|(before, after)| {
        let grown = after.saturating_sub(before) as f64;
        grown > baseline * options.hold.as_s_f64()
    });
    Verdict::Degraded(Evidence {
        baseline,
        goodput: at_end,
        attempts_before,
        attempts_after,
        queued,
        sustained: attempts_after >= needed || backlog,
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::{series, window};
    use super::*;

    /// Ten good seconds, five bad ones, and what follows.
    fn judge(after: &[u64], queued: Option<(u64, u64)>) -> Verdict {
        let goodputs = [&[100; 10][..], &[0; 5], after].concat();
        let options = MetastabilityOptions {
            hold: Span::from_s(4),
            ..MetastabilityOptions::default()
        };
        let until = Instant::ZERO + Span::from_s(goodputs.len() as u64);
        metastability(
            &series(&goodputs),
            window(0, 10),
            window(10, 15),
            until,
            queued,
            &options,
        )
    }

    #[test]
    fn three_answers() {
        let at = |s| Instant::ZERO + Span::from_s(s);
        assert_eq!(judge(&[100; 4], None), Verdict::Recovered { at: at(15) });
        assert_eq!(
            judge(&[0, 80, 89, 90, 100, 100, 100], None),
            Verdict::Recovered { at: at(18) }
        );
        // It came back and went down again.
        assert!(judge(&[100, 100, 100, 100, 0, 0, 0, 0], None).is_metastable());
        assert!(judge(&[0; 4], None).is_metastable());
        assert_eq!(judge(&[0; 3], None), Verdict::NotEnoughData(Missing::After));
        assert_eq!(
            judge(&[0, 0, 0, 360], None),
            Verdict::NotEnoughData(Missing::After)
        );
        let nothing = metastability(
            &series(&[0; 30]),
            window(0, 10),
            window(10, 15),
            at(30),
            None,
            &MetastabilityOptions::default(),
        );
        assert_eq!(nothing, Verdict::NotEnoughData(Missing::Baseline));
    }

    #[test]
    fn without_amplification_it_is_down_for_another_reason() {
        // At 85 of 100 with four attempts for each that fails: 1.6 for each request.
        assert!(judge(&[85; 4], None).is_metastable());
        let Verdict::Degraded(evidence) = judge(&[89; 4], None) else {
            panic!("it is degraded");
        };
        assert!(!evidence.sustained);
        assert!((evidence.attempts_after - 1.44).abs() < 1e-9, "{evidence:?}");
        assert!(judge(&[89; 4], Some((3, 500))).is_metastable());
        assert!(!judge(&[89; 4], Some((3, 300))).is_metastable());
    }
}
