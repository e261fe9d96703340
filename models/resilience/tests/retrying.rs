//! Retries, their budgets, and hedges.

use longhaul_core::time::{Instant, Span};
use longhaul_resilience::hedge::{HedgeConfig, HedgeDelay, Hedger};
use longhaul_resilience::named::Operation;
use longhaul_resilience::retry::{
    Backoff, Failed, Jitter, NoRetry, Retrier, RetryBudget, RetryBudgetConfig, RetryConfig,
};
use longhaul_resilience::timeout::TimeoutConfig;
use longhaul_resilience::{
    Call, CallError, Class, Classes, Event, Failure, LayerConfig, Outcome, StackConfig,
};
use proptest::prelude::*;

use crate::driver::{at, at_ms, histories, ms, random, run, share, stack_of};

const BROKEN: Outcome = Outcome::Failure(Failure::Error);

fn plain(retries: u32, base: u64, cap: u64) -> RetryConfig {
    RetryConfig {
        jitter: Jitter::None,
        ..RetryConfig::exponential(retries, ms(base), ms(cap))
    }
}

/// Acceptance case 26.
#[test]
fn case_26_a_failure_is_retried_after_its_wait_and_the_last_one_is_told() {
    let mut stack = stack_of(&[LayerConfig::Retry(plain(3, 10, 1_000))]);
    let second = |attempt| Some((Span::ZERO, if attempt == 1 { BROKEN } else { Outcome::Success }));
    let told = run(&mut stack, at(0), Call::new(1), second);
    assert_eq!(told.starts, [at(0), at_ms(10)]);
    assert_eq!(told.result, Some((at_ms(10), Ok(2))));

    let mut stack = stack_of(&[LayerConfig::Retry(plain(2, 10, 1_000))]);
    let told = run(&mut stack, at(0), Call::new(1), |_| Some((Span::ZERO, BROKEN)));
    assert_eq!(told.starts, [at(0), at_ms(10), at_ms(30)]);
    let error = CallError::RetriesExhausted {
        attempts: 3,
        last: Failure::Error,
    };
    assert_eq!(told.result, Some((at_ms(30), Err(error))));
    assert_eq!(error.cause(), Some(Failure::Error));
}

/// Acceptance case 27.
#[test]
fn case_27_waits_grow_as_their_rule_says_and_never_beyond_the_cap() {
    let waits = |config: &RetryConfig, n| (0..n).map(|i| config.wait(i)).collect::<Vec<Span>>();
    let all = |times: &[u64]| times.iter().map(|time| ms(*time)).collect::<Vec<Span>>();
    let exponential = RetryConfig::exponential(8, ms(100), ms(5_000));
    let expected = all(&[100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000]);
    assert_eq!(waits(&exponential, 8), expected);
    let linear = RetryConfig {
        backoff: Backoff::Linear {
            base: ms(100),
            increment: ms(50),
        },
        cap: ms(250),
        ..exponential
    };
    assert_eq!(waits(&linear, 5), all(&[100, 150, 200, 250, 250]));
    let fibonacci = RetryConfig {
        backoff: Backoff::Fibonacci { base: ms(100) },
        cap: ms(1_000),
        ..exponential
    };
    assert_eq!(waits(&fibonacci, 7), all(&[100, 100, 200, 300, 500, 800, 1_000]));

    let mut random = random(5);
    for (n, wait) in expected.into_iter().enumerate() {
        let draws: Vec<Span> = (0..300)
            .map(|_| exponential.draw(n as u32, &mut random))
            .collect();
        let (least, most) = (wait - wait / 10, (wait + wait / 10).min(ms(5_000)));
        assert!(
            draws.iter().all(|draw| *draw >= least && *draw <= most),
            "{draws:?}"
        );
        // Spread over the whole of it, at the cap as well.
        let span = (most - least).as_ns();
        let near = |end: Span| {
            draws
                .iter()
                .any(|draw| end.as_ns().abs_diff(draw.as_ns()) < span / 20)
        };
        assert!(near(least) && near(most));
    }
}

/// Acceptance case 28.
#[test]
fn case_28_retries_that_outlast_the_time_of_the_call_are_refused() {
    let mut config = Operation::Consensus.stack();
    assert_eq!(config.check(), Ok(()));
    for layer in &mut config.layers {
        if let LayerConfig::Retry(retry) = layer {
            *retry = RetryConfig {
                retries: 5,
                jitter: Jitter::None,
                ..*retry
            };
            assert_eq!(retry.longest_total(), ms(15_500));
        }
    }
    let errors = config.check().expect_err("15.5 s of waits within 10 s");
    let text = errors
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("\n");
    assert_eq!(
        text,
        "layer 3 (retry), retries: the waits between attempts of up to 15.5 s would outlast the timeout of 10 s outside"
    );
}

/// Acceptance case 28: even unchecked, nothing runs on when the caller has been told.
#[test]
fn case_28_no_attempt_runs_after_the_caller_got_its_answer() {
    let config = StackConfig {
        layers: vec![
            LayerConfig::Timeout(TimeoutConfig::Fixed(ms(10_000))),
            LayerConfig::Retry(plain(5, 500, 30_000)),
        ],
    };
    let mut stack = longhaul_resilience::Stack::new(&config, random(1));
    let told = run(&mut stack, at(0), Call::new(1), |_| Some((Span::ZERO, BROKEN)));
    assert_eq!(told.starts, [0, 500, 1_500, 3_500, 7_500].map(at_ms));
    // The wait of 8 s would end at 15.5 s, so the last failure is told at once.
    let error = CallError::Failed {
        attempts: 5,
        failure: Failure::Error,
    };
    assert_eq!(told.result, Some((at_ms(7_500), Err(error))));
    let why = |event: &Event| {
        matches!(
            event,
            Event::NoRetry {
                why: NoRetry::NoTimeLeft,
                ..
            }
        )
    };
    assert!(told.events.iter().any(why));
    let told = run(&mut stack, at_ms(20_000), Call::new(2), |n| {
        (n < 5).then_some((Span::ZERO, BROKEN))
    });
    assert_eq!(
        told.result,
        Some((at_ms(30_000), Err(CallError::TimedOut { attempts: 5 })))
    );
    assert_eq!(told.cancels, [(at_ms(30_000), 5)]);
}

#[test]
fn what_is_not_to_be_repeated_is_not_and_the_reason_is_told() {
    let layers = [LayerConfig::Retry(plain(3, 10, 1_000))];
    let reason = |call: Call, failure: Failure| {
        let mut stack = stack_of(&layers);
        let told = run(&mut stack, at(0), call, |_| {
            Some((Span::ZERO, Outcome::Failure(failure)))
        });
        told.events.iter().rev().find_map(|event| match event {
            Event::NoRetry { why, .. } => Some((*why, told.starts.len())),
            _ => None,
        })
    };
    let once = Call {
        idempotent: false,
        ..Call::new(1)
    };
    let soon = Call {
        deadline: Some(at_ms(25)),
        ..Call::new(1)
    };
    assert_eq!(reason(once, Failure::Error), Some((NoRetry::NotIdempotent, 1)));
    assert_eq!(
        reason(Call::new(1), Failure::Fatal),
        Some((NoRetry::NotRetryable, 1))
    );
    assert_eq!(reason(soon, Failure::Unreachable), Some((NoRetry::NoTimeLeft, 2)));
    assert_eq!(
        reason(Call::new(1), Failure::Overloaded),
        Some((NoRetry::Exhausted, 4))
    );
}

#[test]
fn a_budget_keeps_a_storm_of_failures_from_multiplying() {
    let budget = RetryBudgetConfig {
        ratio: share(1, 10),
        minimum_per_s: 1,
        window: Span::from_s(10),
    };
    let with = |budget| {
        let retry = RetryConfig {
            budget,
            ..plain(3, 10, 1_000)
        };
        let mut stack = stack_of(&[LayerConfig::Retry(retry)]);
        for i in 0..1_000 {
            run(&mut stack, at_ms(i), Call::new(i), |_| Some((Span::ZERO, BROKEN)));
        }
        stack.counters().attempts
    };
    assert_eq!(with(None), 4_000);
    // A tenth of 1000, and one for each second of the window.
    let attempts = with(Some(budget));
    assert!((1_105..=1_110).contains(&attempts), "{attempts}");
}

fn backoffs() -> impl Strategy<Value = Backoff> {
    let base = (1..5_000_u64).prop_map(Span::from_ns);
    prop_oneof![
        (base.clone(), 1..=100_u32).prop_map(|(base, factor)| Backoff::Exponential { base, factor }),
        (base.clone(), 0..5_000_u64).prop_map(|(base, increment)| Backoff::Linear {
            base,
            increment: Span::from_ns(increment)
        }),
        base.prop_map(|base| Backoff::Fibonacci { base }),
    ]
}

proptest! {
    #![proptest_config(histories())]

    #[test]
    fn waits_are_those_of_the_formula_written_out(
        backoff in backoffs(),
        cap in 5_000..1_000_000_u64,
        jitter in prop_oneof![Just(Jitter::None), Just(Jitter::Full), Just(Jitter::Equal), Just(Jitter::PlusMinusTenth)],
        n in 0..100_u32,
        (failed_before, idempotent, transient) in (0..6_u32, any::<bool>(), any::<bool>()),
        limit in 0..2_000_000_u64,
        seed in any::<u64>(),
    ) {
        let cap = Span::from_ns(cap);
        let config = RetryConfig { backoff, cap, jitter, ..RetryConfig::exponential(3, Span::from_ns(1), cap) };
        prop_assert_eq!(config.check(), Ok(()));
        // The sequences as a child would write them down, stopped at the cap.
        let mut wait = backoff.base().as_ns();
        let mut before = 0;
        for _ in 0..n {
            let next = match backoff {
                Backoff::Exponential { factor, .. } => wait * u64::from(factor),
                Backoff::Linear { increment, .. } => wait + increment.as_ns(),
                Backoff::Fibonacci { .. } => wait + before,
            };
            before = wait;
            wait = next.min(1 << 40);
        }
        let wait = wait.min(cap.as_ns());
        prop_assert_eq!(config.wait(n).as_ns(), wait);
        let mut random = random(seed);
        let draw = config.draw(n, &mut random).as_ns();
        let (least, most) = match jitter {
            Jitter::None => (wait, wait),
            Jitter::Full => (0, wait),
            Jitter::Equal => (wait / 2, wait),
            Jitter::PlusMinusTenth => (wait - wait / 10, (wait + wait / 10).min(cap.as_ns())),
        };
        prop_assert!((least..=most).contains(&draw));
        prop_assert!(draw <= config.longest(n).as_ns());

        let failed = Failed {
            retries: failed_before,
            class: if transient { Class::Timeout } else { Class::Refused },
            idempotent,
            limit: at(limit),
        };
        let answer = Retrier::new(&config).again(at(0), failed, &mut random);
        match answer {
            Ok(wait) => prop_assert!(transient && idempotent && failed_before < 3 && wait.as_ns() < limit),
            Err(NoRetry::NotRetryable) => prop_assert!(!transient),
            Err(NoRetry::NotIdempotent) => prop_assert!(transient && !idempotent),
            Err(NoRetry::Exhausted) => prop_assert!(failed_before >= 3),
            Err(why) => prop_assert!(why == NoRetry::NoTimeLeft && limit <= config.longest(failed_before).as_ns()),
        }
        prop_assert!(!Classes::TRANSIENT.contains(Class::Refused));
    }

    /// All calls and retries there ever were, counted anew at each question.
    #[test]
    fn a_budget_does_what_the_list_of_all_calls_says(
        (percent, minimum) in (0..=100_u64, 1..4_u32),
        // A window of a second brings whole retries, so that the budget is met to the last one.
        step in prop_oneof![Just(100_000_000_u64), 1..400_000_000_u64],
        steps in prop::collection::vec((any::<bool>(), 0..6_u64), 1..60),
    ) {
        let config = RetryBudgetConfig {
            ratio: share(percent, 100),
            minimum_per_s: minimum,
            window: Span::from_ns(10 * step),
        };
        let mut budget = RetryBudget::new(&config);
        let (mut calls, mut retries, mut now): (Vec<u64>, Vec<u64>, u64) = (Vec::new(), Vec::new(), 0);
        for (call, wait) in steps {
            now += wait * step / 2;
            if call {
                budget.began(at(now));
                calls.push(now);
                continue;
            }
            let recent = |times: &[u64]| times.iter().filter(|at| now / step - **at / step < 10).count() as u128;
            // In parts of 10^-11 of a retry.
            let allowed = recent(&calls) * u128::from(percent) * 1_000_000_000
                + u128::from(minimum) * u128::from(10 * step) * 100;
            let fits = (recent(&retries) + 1) * 100_000_000_000 <= allowed;
            prop_assert_eq!(budget.spend(at(now)), fits);
            if fits {
                retries.push(now);
            }
        }
    }

    #[test]
    fn the_delay_of_a_hedge_is_the_percentile_of_the_sorted_list(
        percent in 1..100_u64,
        window in 1..30_u32,
        latencies in prop::collection::vec(0..100_u64, 0..80),
    ) {
        let config = HedgeConfig {
            delay: HedgeDelay::Percentile { percentile: share(percent, 100), window, until_then: ms(7) },
            hedges: 2,
            non_idempotent: false,
            budget: None,
        };
        prop_assert_eq!(config.check(), Ok(()));
        let mut hedger = Hedger::new(&config);
        prop_assert_eq!((hedger.most(true), hedger.most(false)), (2, 0));
        for n in 0..latencies.len() {
            let mut last: Vec<u64> = latencies[..n].iter().rev().take(window as usize).copied().collect();
            last.sort_unstable();
            let expected = if last.len() < window as usize {
                ms(7)
            } else {
                // The smallest value that enough others do not exceed.
                let enough = |value: &&u64| {
                    let below = last.iter().filter(|other| other <= value).count() as u64;
                    below * 100 >= percent * last.len() as u64
                };
                Span::from_ns(*last.iter().find(enough).expect("the largest one"))
            };
            prop_assert_eq!(hedger.delay(), expected);
            hedger.record(Span::from_ns(latencies[n]));
        }
    }
}

#[test]
fn a_hedge_goes_out_after_its_delay_and_the_loser_is_cancelled() {
    let hedge = HedgeConfig {
        delay: HedgeDelay::Fixed(ms(50)),
        hedges: 2,
        non_idempotent: false,
        budget: None,
    };
    let mut stack = stack_of(&[LayerConfig::Hedge(hedge)]);
    let second_is_fast = |n| match n {
        2 => Some((ms(20), Outcome::Success)),
        _ => Some((ms(500), Outcome::Success)),
    };
    let told = run(&mut stack, at(0), Call::new(1), second_is_fast);
    assert_eq!(told.starts, [0, 50].map(at_ms));
    assert_eq!(told.cancels, [(at_ms(70), 1)]);
    assert_eq!(told.result, Some((at_ms(70), Ok(2))));
    // One that fails while another runs is no result yet.
    let first_fails = |n| match n {
        1 => Some((ms(60), BROKEN)),
        _ => Some((ms(30), Outcome::Success)),
    };
    let told = run(&mut stack, at_ms(1_000), Call::new(2), first_fails);
    assert_eq!(told.result, Some((at_ms(1_080), Ok(2))));
    let none: Instant = at_ms(2_000);
    let once = Call {
        idempotent: false,
        ..Call::new(3)
    };
    let told = run(&mut stack, none, once, |_| Some((ms(500), Outcome::Success)));
    assert_eq!((told.starts.len(), told.result), (1, Some((at_ms(2_500), Ok(1)))));
}
