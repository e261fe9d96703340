//! Circuit breakers.

use longhaul_core::time::Instant;
use longhaul_core::units::Probability;
use longhaul_resilience::breaker::{
    Breaker, BreakerCause, BreakerConfig, BreakerState, Permit, Trip, Verdict,
};
use proptest::prelude::*;

use crate::driver::{at, at_ms, histories, ms, random, share};

fn breaker(failures: u32, open_ms: u64) -> Breaker {
    let config = BreakerConfig {
        open_jitter: Probability::ZERO,
        ..BreakerConfig::consecutive(failures, ms(open_ms))
    };
    config.check().expect("a good configuration");
    Breaker::new(&config)
}

fn one(breaker: &mut Breaker, now: Instant, verdict: Verdict) -> bool {
    let Ok(permit) = breaker.acquire(now) else {
        return false;
    };
    breaker.finish(now, permit, verdict, &mut random(1));
    true
}

/// Acceptance case 20.
#[test]
fn case_20_so_many_failures_in_a_row_open_it_and_a_success_between_them_does_not_let_them() {
    let mut twenty = breaker(3, 100);
    for _ in 0..10 {
        assert!(one(&mut twenty, at(0), Verdict::Success));
    }
    assert_eq!(twenty.state(), BreakerState::Closed);
    for _ in 0..3 {
        assert!(one(&mut twenty, at(1), Verdict::Failure));
    }
    assert_eq!(twenty.state(), BreakerState::Open);
    let cause = BreakerCause::Consecutive { failures: 3 };
    assert_eq!(twenty.take_change().map(|change| change.cause), Some(cause));
    assert!(!one(&mut twenty, at(2), Verdict::Success));
    assert_eq!(twenty.counters().rejected, 1);
    let mut mixed = breaker(3, 100);
    for failed in [true, true, false, true, true] {
        let verdict = if failed {
            Verdict::Failure
        } else {
            Verdict::Success
        };
        assert!(one(&mut mixed, at(3), verdict));
    }
    assert_eq!(mixed.state(), BreakerState::Closed);
}

/// Acceptance case 21.
#[test]
fn case_21_after_the_open_time_three_successes_close_it_and_a_failure_opens_it_for_as_long_again() {
    let opened = || {
        let mut breaker = breaker(2, 100);
        assert!(one(&mut breaker, at(0), Verdict::Failure));
        assert!(one(&mut breaker, at(0), Verdict::Failure));
        breaker
    };
    let mut recovering = opened();
    assert!(
        !one(&mut recovering, at_ms(100), Verdict::Success),
        "only after it"
    );
    for state in [
        BreakerState::HalfOpen,
        BreakerState::HalfOpen,
        BreakerState::Closed,
    ] {
        assert!(one(&mut recovering, at_ms(150), Verdict::Success));
        assert_eq!(recovering.state(), state);
    }
    let mut failing = opened();
    assert!(one(&mut failing, at_ms(150), Verdict::Failure));
    assert_eq!(failing.state(), BreakerState::Open);
    assert_eq!(failing.open_until(), Some(at_ms(250)));
    assert!(!one(&mut failing, at_ms(250), Verdict::Success));
    assert!(one(&mut failing, at_ms(251), Verdict::Success));
}

/// Acceptance case 22.
#[test]
fn case_22_three_trials_run_at_once_and_what_began_before_changes_nothing() {
    let mut breaker = breaker(2, 100);
    let early = breaker.acquire(at(0)).expect("closed");
    let early_failure = breaker.acquire(at(0)).expect("closed");
    one(&mut breaker, at(0), Verdict::Failure);
    one(&mut breaker, at(0), Verdict::Failure);
    breaker.finish(at_ms(1), early_failure, Verdict::Failure, &mut random(1));
    assert_eq!(
        breaker.open_until(),
        Some(at_ms(100)),
        "a late failure must not move it"
    );
    let trials: Vec<Permit> = (0..100)
        .filter_map(|_| breaker.acquire(at_ms(101)).ok())
        .collect();
    assert_eq!(trials.len(), 3);
    assert_eq!(breaker.counters().rejected, 97);
    breaker.finish(at_ms(102), early, Verdict::Success, &mut random(1));
    breaker.finish(at_ms(102), trials[0], Verdict::Failure, &mut random(1));
    assert_eq!(breaker.state(), BreakerState::Open);
    for trial in &trials[1..] {
        breaker.finish(at_ms(103), *trial, Verdict::Success, &mut random(1));
    }
    assert_eq!(breaker.state(), BreakerState::Open);
    assert_eq!(breaker.counters().late, 4);
}

#[test]
fn a_cancelled_trial_gives_its_permit_back_and_says_nothing() {
    let mut breaker = breaker(1, 100);
    one(&mut breaker, at(0), Verdict::Failure);
    for _ in 0..10 {
        assert!(one(&mut breaker, at_ms(200), Verdict::Nothing));
        assert_eq!(breaker.state(), BreakerState::HalfOpen);
    }
}

#[test]
fn the_open_time_is_spread_and_never_shorter_than_said() {
    let config = BreakerConfig {
        open_jitter: share(1, 2),
        ..BreakerConfig::consecutive(1, ms(100))
    };
    let mut random = random(7);
    let times: Vec<u64> = (0..200)
        .map(|_| {
            let mut breaker = Breaker::new(&config);
            let permit = breaker.acquire(at(0)).expect("closed");
            breaker.finish(at(0), permit, Verdict::Failure, &mut random);
            breaker.open_until().expect("open").as_ns()
        })
        .collect();
    assert!(
        times
            .iter()
            .all(|time| (100_000_000..=150_000_000).contains(time))
    );
    let (least, most) = (times.iter().min(), times.iter().max());
    assert!(least < Some(&105_000_000) && most > Some(&145_000_000));
}

/// The rules again, by looking through everything that was ever counted.
struct Model {
    config: BreakerConfig,
    state: BreakerState,
    /// Which state, counted from the beginning, a call belongs to.
    epoch: u32,
    opened: Instant,
    /// Time and whether it failed, in this epoch.
    counted: Vec<(Instant, bool)>,
    running: u32,
}

impl Model {
    fn to(&mut self, state: BreakerState) {
        self.state = state;
        self.epoch += 1;
        self.counted.clear();
        self.running = 0;
    }

    fn acquire(&mut self, now: Instant) -> Option<u32> {
        if self.state == BreakerState::Open && now > self.opened + self.config.open {
            self.to(BreakerState::HalfOpen);
        }
        let free = match self.state {
            BreakerState::Closed => true,
            BreakerState::HalfOpen => self.running < self.config.permits,
            BreakerState::Open => false,
        };
        self.running += u32::from(free);
        free.then_some(self.epoch)
    }

    fn must_open(&self, now: Instant) -> bool {
        let reached = |seen: &[&(Instant, bool)], rate: Probability, minimum: u32| {
            let failed = seen.iter().filter(|(_, failed)| *failed).count();
            let rate_is = failed as f64 / seen.len().max(1) as f64;
            // The rates of these tests are far enough from each other for doubles.
            failed > 0 && seen.len() >= minimum as usize && rate_is >= rate.as_f64() - 1e-9
        };
        match self.config.trip {
            Trip::Consecutive { failures } => {
                let last = self.counted.iter().rev().take_while(|(_, failed)| *failed);
                last.count() >= failures as usize
            }
            Trip::CountWindow {
                calls,
                failure_rate,
                minimum,
            } => {
                let seen: Vec<_> = self.counted.iter().rev().take(calls as usize).collect();
                reached(&seen, failure_rate, minimum)
            }
            Trip::TimeWindow {
                window,
                failure_rate,
                minimum,
            } => {
                let step = window.as_ns() / 10;
                let recent = |at: &Instant| now.as_ns() / step - at.as_ns() / step < 10;
                let seen: Vec<_> = self.counted.iter().filter(|(at, _)| recent(at)).collect();
                reached(&seen, failure_rate, minimum)
            }
        }
    }

    fn finish(&mut self, now: Instant, epoch: u32, verdict: Verdict) {
        if epoch != self.epoch {
            return;
        }
        self.running -= 1;
        if verdict == Verdict::Nothing {
            return;
        }
        let failed = verdict == Verdict::Failure;
        self.counted.push((now, failed));
        if self.state == BreakerState::HalfOpen {
            if failed {
                self.opened = now;
                self.to(BreakerState::Open);
            } else if self.counted.len() == self.config.successes as usize {
                self.to(BreakerState::Closed);
            }
        } else if self.must_open(now) {
            self.opened = now;
            self.to(BreakerState::Open);
        }
    }
}

fn trips() -> impl Strategy<Value = Trip> {
    let rate = (1..=4_u64).prop_map(|quarters| share(quarters, 4));
    prop_oneof![
        (1..4_u32).prop_map(|failures| Trip::Consecutive { failures }),
        (1..8_u32, rate.clone(), 1..8_u32).prop_map(|(calls, failure_rate, minimum)| Trip::CountWindow {
            calls,
            failure_rate,
            minimum: minimum.min(calls),
        }),
        (1..20_u64, rate, 1..5_u32).prop_map(|(step, failure_rate, minimum)| Trip::TimeWindow {
            window: longhaul_core::time::Span::from_ns(10 * step),
            failure_rate,
            minimum,
        }),
    ]
}

proptest! {
    #![proptest_config(histories())]

    #[test]
    fn it_does_what_the_slow_model_does(
        trip in trips(),
        (open, permits, successes) in (1..60_u64, 1..4_u32, 1..4_u32),
        steps in prop::collection::vec((0..4_u8, 0..8_u64, 0..5_usize), 1..50),
    ) {
        let config = BreakerConfig {
            trip,
            permits,
            successes,
            open_jitter: Probability::ZERO,
            ..BreakerConfig::consecutive(1, longhaul_core::time::Span::from_ns(open))
        };
        prop_assert_eq!(config.check(), Ok(()));
        let mut breaker = Breaker::new(&config);
        let mut model = Model {
            config,
            state: BreakerState::Closed,
            epoch: 0,
            opened: Instant::ZERO,
            counted: Vec::new(),
            running: 0,
        };
        let mut random = random(1);
        let mut running = Vec::new();
        let mut now = Instant::ZERO;
        for (what, wait, which) in steps {
            now = at(now.as_ns() + wait * wait);
            if what == 0 || running.is_empty() {
                let expected = model.acquire(now);
                let permit = breaker.acquire(now).ok();
                prop_assert_eq!(permit.is_some(), expected.is_some());
                running.extend(permit.zip(expected));
            } else {
                let (permit, epoch) = running.swap_remove(which % running.len());
                let verdict = [Verdict::Success, Verdict::Failure, Verdict::Failure, Verdict::Nothing];
                let verdict = verdict[(usize::from(what) + which) % 4];
                breaker.finish(now, permit, verdict, &mut random);
                model.finish(now, epoch, verdict);
            }
            prop_assert_eq!(breaker.state(), model.state);
        }
        let seen = breaker.counters();
        let ended = seen.succeeded + seen.failed + seen.ignored + seen.late;
        prop_assert_eq!(seen.admitted, ended + running.len() as u64, "every call counts once");
    }
}
