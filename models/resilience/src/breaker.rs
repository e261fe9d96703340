//! The circuit breaker.
//!
//! Each change of state begins a new generation, and a result counts only in the generation in which its call was let
//! through: what ends late changes nothing.

use serde::{Deserialize, Serialize};

use longhaul_core::random::Stream;
use longhaul_core::time::{Instant, Span};
use longhaul_core::units::Probability;

use crate::call::Classes;
use crate::check::{COUNT_MAX, Check, FieldError, Problem};
use crate::planted::Planted;
use crate::window::{Outcomes, TimeWindow};

/// When a closed breaker opens.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Trip {
    /// After so many failures in a row.
    Consecutive {
        /// How many; 1 to 10^6.
        failures: u32,
    },
    /// When the share of failures among the last calls is too high.
    CountWindow {
        /// How many calls the window holds; 1 to 10^6.
        calls: u32,
        /// Opens at this share and above; above zero.
        failure_rate: Probability,
        /// Below so many calls it stays closed; 1 to `calls`.
        minimum: u32,
    },
    /// When the share of failures during the last while is too high. The window advances in ten steps.
    TimeWindow {
        /// How long the window is; above zero.
        window: Span,
        /// Opens at this share and above; above zero.
        failure_rate: Probability,
        /// Below so many calls it stays closed; 1 to 10^6.
        minimum: u32,
    },
}

/// How a breaker works.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BreakerConfig {
    /// When it opens.
    pub trip: Trip,
    /// How long it stays open: the first call *after* that is a trial. Above zero.
    pub open: Span,
    /// Up to this share of `open` is added to it, drawn uniformly each time, so that breakers that opened together do
    /// not try together.
    pub open_jitter: Probability,
    /// How many trials may run at once while half-open; 1 to 10^6.
    pub permits: u32,
    /// How many trials must succeed to close it; 1 to 10^6.
    pub successes: u32,
    /// What counts as a failure. Other failures count neither way.
    pub counts: Classes,
}

impl BreakerConfig {
    /// Opens after `failures` failures in a row for `open` and 0 to 10 % longer; three trials, of which all must
    /// succeed; everything counts that says something about the server.
    pub const fn consecutive(failures: u32, open: Span) -> BreakerConfig {
        BreakerConfig {
            trip: Trip::Consecutive { failures },
            open,
            open_jitter: crate::TENTH,
            permits: 3,
            successes: 3,
            counts: Classes::ANSWERS,
        }
    }

    /// # Errors
    /// Counts, times and rates of zero or beyond sense, and a minimum that the window cannot hold.
    pub fn check(&self) -> Result<(), Vec<FieldError>> {
        let mut check = Check::default();
        match self.trip {
            Trip::Consecutive { failures } => check.count("trip.failures", failures, COUNT_MAX),
            Trip::CountWindow {
                calls,
                failure_rate,
                minimum,
            } => {
                check.count("trip.calls", calls, COUNT_MAX);
                check.positive("trip.failure_rate", failure_rate);
                check.count("trip.minimum", minimum, calls.max(1));
            }
            Trip::TimeWindow {
                window,
                failure_rate,
                minimum,
            } => {
                check.span("trip.window", window);
                check.positive("trip.failure_rate", failure_rate);
                check.count("trip.minimum", minimum, COUNT_MAX);
            }
        }
        check.span("open", self.open);
        check.count("permits", self.permits, COUNT_MAX);
        check.count("successes", self.successes, COUNT_MAX);
        if self.counts.is_empty() {
            check.fail(
                "counts",
                Problem::Contradiction("nothing counts as a failure".to_owned()),
            );
        }
        check.done()
    }
}

/// What a breaker is doing. The numbers are those of the usual gauge.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum BreakerState {
    /// Lets everything through.
    Closed = 0,
    /// Lets trials through.
    HalfOpen = 1,
    /// Lets nothing through.
    Open = 2,
}

/// Why a breaker changed its state.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum BreakerCause {
    /// So many failures in a row.
    Consecutive {
        /// How many.
        failures: u32,
    },
    /// Too high a share of failures in the window.
    FailureRate {
        /// Failures in the window.
        failures: u64,
        /// Calls in the window.
        calls: u64,
    },
    /// The open time was over when a call came.
    OpenTimeOver,
    /// A trial failed.
    TrialFailed,
    /// Enough trials succeeded.
    TrialsSucceeded {
        /// How many.
        successes: u32,
    },
    /// A call that began in an earlier state ended. No breaker does that unless a bug was planted.
    LateSuccess,
}

/// The leave to make one call. Hand it back with [`Breaker::finish`] when the call has ended, however it did.
#[must_use]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Permit {
    generation: u32,
}

/// What a call says about the server.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// It works.
    Success,
    /// It does not.
    Failure,
    /// Nothing: the call was cancelled, or failed in a way that does not count.
    Nothing,
}

/// A change of state.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BreakerChange {
    /// What it was.
    pub from: BreakerState,
    /// What it is.
    pub to: BreakerState,
    /// Why.
    pub cause: BreakerCause,
}

/// What a breaker has seen since the beginning.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
pub struct BreakerCounters {
    /// Calls let through.
    pub admitted: u64,
    /// Calls refused.
    pub rejected: u64,
    /// Of those let through: ended in success, in the generation that let them through.
    pub succeeded: u64,
    /// Ended in failure, likewise.
    pub failed: u64,
    /// Ended without a verdict, likewise.
    pub ignored: u64,
    /// Ended in a later generation.
    pub late: u64,
    /// Changes of state.
    pub changes: u64,
}

#[derive(Clone, Debug)]
enum Seen {
    Consecutive(u32),
    Count(Outcomes),
    Time(TimeWindow),
}

/// A circuit breaker.
#[derive(Clone, Debug)]
pub struct Breaker {
    config: BreakerConfig,
    planted: Planted,
    state: BreakerState,
    generation: u32,
    seen: Seen,
    open_until: Instant,
    trials: u32,
    successes: u32,
    change: Option<BreakerChange>,
    counters: BreakerCounters,
}

impl Breaker {
    /// A closed breaker. The configuration should have passed its check.
    pub fn new(config: &BreakerConfig) -> Breaker {
        Breaker::with_planted(config, Planted::Nothing)
    }

    /// With a bug, for tests.
    #[doc(hidden)]
    pub fn with_planted(config: &BreakerConfig, planted: Planted) -> Breaker {
        Breaker {
            config: *config,
            planted,
            state: BreakerState::Closed,
            generation: 0,
            seen: match config.trip {
                Trip::Consecutive { .. } => Seen::Consecutive(0),
                Trip::CountWindow { calls, .. } => Seen::Count(Outcomes::new(calls)),
                Trip::TimeWindow { window, .. } => Seen::Time(TimeWindow::new(window, 10)),
            },
            open_until: Instant::ZERO,
            trials: 0,
            successes: 0,
            change: None,
            counters: BreakerCounters::default(),
        }
    }

    /// Asks to make a call. Times must not go back.
    ///
    /// # Errors
    /// The breaker is open, or half-open with all its permits in use.
    #[inline]
    pub fn acquire(&mut self, now: Instant) -> Result<Permit, BreakerState> {
        match self.state {
            BreakerState::Closed => {}
            BreakerState::Open if now > self.open_until => {
                self.change(BreakerState::HalfOpen, BreakerCause::OpenTimeOver);
                self.trials = 1;
            }
            BreakerState::HalfOpen if self.trials < self.config.permits => self.trials += 1,
            BreakerState::Open | BreakerState::HalfOpen => {
                self.counters.rejected += 1;
                return Err(self.state);
            }
        }
        self.counters.admitted += 1;
        Ok(Permit {
            generation: self.generation,
        })
    }

    /// A call has ended. Randomness is drawn only when the breaker opens and its open time has jitter.
    #[inline]
    pub fn finish(&mut self, now: Instant, permit: Permit, verdict: Verdict, random: &mut Stream) {
        if permit.generation != self.generation {
            self.late(verdict);
            return;
        }
        match verdict {
            Verdict::Success => self.counters.succeeded += 1,
            Verdict::Failure => self.counters.failed += 1,
            Verdict::Nothing => self.counters.ignored += 1,
        }
        if self.state == BreakerState::HalfOpen {
            self.trial_ended(now, verdict, random);
        } else if verdict != Verdict::Nothing
            && let Some(cause) = self.judge(now, verdict == Verdict::Failure)
        {
            self.open(now, cause, random);
        }
    }

    #[cold]
    fn late(&mut self, verdict: Verdict) {
        self.counters.late += 1;
        if self.planted == Planted::LateSuccessCloses
            && verdict == Verdict::Success
            && self.state != BreakerState::Closed
        {
            self.close(BreakerCause::LateSuccess);
        }
    }

    #[cold]
    fn trial_ended(&mut self, now: Instant, verdict: Verdict, random: &mut Stream) {
        self.trials -= 1;
        match verdict {
            Verdict::Success => {
                self.successes += 1;
                if self.successes >= self.config.successes {
                    let successes = self.successes;
                    self.close(BreakerCause::TrialsSucceeded { successes });
                }
            }
            Verdict::Failure => self.open(now, BreakerCause::TrialFailed, random),
            Verdict::Nothing => {}
        }
    }

    /// Counts an outcome while closed, and tells why to open, if so.
    #[inline]
    fn judge(&mut self, now: Instant, failed: bool) -> Option<BreakerCause> {
        match (&mut self.seen, self.config.trip) {
            (Seen::Consecutive(count), Trip::Consecutive { failures: most }) => {
                *count = if failed { *count + 1 } else { 0 };
                let failures = *count;
                (failures >= most).then_some(BreakerCause::Consecutive { failures })
            }
            (
                Seen::Count(outcomes),
                Trip::CountWindow {
                    failure_rate,
                    minimum,
                    ..
                },
            ) => {
                outcomes.push(failed);
                let (failures, calls) = (u64::from(outcomes.failures()), u64::from(outcomes.len()));
                too_many(failures, calls, failure_rate, minimum)
            }
            (
                Seen::Time(window),
                Trip::TimeWindow {
                    failure_rate,
                    minimum,
                    ..
                },
            ) => {
                window.add(now, 1, u64::from(failed));
                let [calls, failures] = window.sums(now);
                too_many(failures, calls, failure_rate, minimum)
            }
            _ => unreachable!("what is seen follows from the configuration"),
        }
    }

    #[cold]
    fn open(&mut self, now: Instant, cause: BreakerCause, random: &mut Stream) {
        let share = u128::from(self.config.open_jitter.as_parts());
        let most = u128::from(self.config.open.as_ns()) * share / u128::from(Probability::PARTS);
        // A jitter of at most the whole open time fits.
        let extra = if most == 0 {
            0
        } else {
            random.below(most as u64 + 1)
        };
        self.open_until = now
            .saturating_add(self.config.open)
            .saturating_add(Span::from_ns(extra));
        self.change(BreakerState::Open, cause);
    }

    #[cold]
    fn close(&mut self, cause: BreakerCause) {
        match &mut self.seen {
            Seen::Consecutive(count) => *count = 0,
            Seen::Count(outcomes) => outcomes.clear(),
            Seen::Time(window) => window.clear(),
        }
        self.change(BreakerState::Closed, cause);
    }

    #[cold]
    fn change(&mut self, to: BreakerState, cause: BreakerCause) {
        let from = std::mem::replace(&mut self.state, to);
        self.generation = self.generation.wrapping_add(1);
        self.trials = 0;
        self.successes = 0;
        self.counters.changes += 1;
        self.change = Some(BreakerChange { from, to, cause });
    }

    /// What it is doing. An open breaker becomes half-open when a call comes, not before.
    pub fn state(&self) -> BreakerState {
        self.state
    }

    /// Until when an open breaker refuses everything: a call at this very time is refused as well.
    pub fn open_until(&self) -> Option<Instant> {
        (self.state == BreakerState::Open).then_some(self.open_until)
    }

    /// The last change of state, once. Each `acquire` and `finish` changes it at most once.
    #[inline]
    pub fn take_change(&mut self) -> Option<BreakerChange> {
        self.change.take()
    }

    /// What it has seen.
    pub fn counters(&self) -> BreakerCounters {
        self.counters
    }

    /// What counts as a failure.
    pub(crate) fn counts(&self) -> &Classes {
        &self.config.counts
    }
}

#[inline]
fn too_many(failures: u64, calls: u64, rate: Probability, minimum: u32) -> Option<BreakerCause> {
    let reached = u128::from(failures) * u128::from(Probability::PARTS)
        >= u128::from(calls) * u128::from(rate.as_parts());
    (failures > 0 && calls >= u64::from(minimum) && reached)
        .then_some(BreakerCause::FailureRate { failures, calls })
}
