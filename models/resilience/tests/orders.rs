//! What the order of layers means, and the stack as a whole.

use longhaul_core::time::Span;
use longhaul_core::units::Probability;
use longhaul_resilience::breaker::{BreakerCause, BreakerConfig, BreakerState};
use longhaul_resilience::budget::ErrorBudgetConfig;
use longhaul_resilience::bulkhead::BulkheadConfig;
use longhaul_resilience::degradation::{DegradationConfig, Level, LevelCause};
use longhaul_resilience::hedge::{HedgeConfig, HedgeDelay};
use longhaul_resilience::named::{BREAKER_INSIDE_ORDER, ORIGINAL_ORDER, Operation};
use longhaul_resilience::retry::{Jitter, RetryConfig};
use longhaul_resilience::timeout::TimeoutConfig;
use longhaul_resilience::{
    Call, CallError, Event, Failure, Layer, LayerConfig, Outcome, Policy, Priority, Stack, StackOutput,
};

use crate::driver::{at, at_ms, drain, ms, run, share, stack_of};

const BROKEN: Outcome = Outcome::Failure(Failure::Error);

fn breaker(failures: u32) -> LayerConfig {
    LayerConfig::Breaker(BreakerConfig {
        open_jitter: Probability::ZERO,
        ..BreakerConfig::consecutive(failures, Span::from_s(60))
    })
}

fn retry(retries: u32) -> LayerConfig {
    LayerConfig::Retry(RetryConfig {
        jitter: Jitter::None,
        ..RetryConfig::exponential(retries, ms(10), ms(10))
    })
}

fn timeout(after: u64) -> LayerConfig {
    LayerConfig::Timeout(TimeoutConfig::Fixed(ms(after)))
}

fn failed(attempts: u32) -> CallError {
    CallError::Failed {
        attempts,
        failure: Failure::Error,
    }
}

/// Acceptance case 36.
#[test]
fn case_36_a_failing_operation_fails_and_the_budget_sees_every_call() {
    let budget = LayerConfig::ErrorBudget(ErrorBudgetConfig {
        minimum: 1,
        ..ErrorBudgetConfig::hourly(share(999, 1_000))
    });
    let mut stack = stack_of(&[budget, breaker(5), timeout(1_000)]);
    let results: Vec<_> = (1..=7)
        .map(|i| run(&mut stack, at_ms(i), Call::new(i), |_| Some((Span::ZERO, BROKEN))))
        .map(|told| told.result.expect("a result").1)
        .collect();
    assert!(results[..5].iter().all(|result| *result == Err(failed(1))));
    assert!(
        results[5..]
            .iter()
            .all(|result| *result == Err(CallError::BreakerOpen))
    );
    let mut layers = stack.layers().to_vec();
    let Layer::ErrorBudget(budget) = &mut layers[0] else {
        panic!("the first layer");
    };
    let left = budget.remaining(at_ms(8));
    assert_eq!((left.calls, left.failed, left.exhausted), (7, 7, true));
    assert_eq!((stack.counters().calls, stack.counters().failed), (7, 7));
}

#[test]
fn a_breaker_inside_a_retry_sees_attempts_and_one_outside_sees_calls() {
    let opened_by = |layers: &[LayerConfig]| {
        let mut stack = stack_of(layers);
        let told = run(&mut stack, at(0), Call::new(1), |_| Some((Span::ZERO, BROKEN)));
        let Some(Layer::Breaker(breaker)) = stack.layers().iter().find(|l| matches!(l, Layer::Breaker(_)))
        else {
            panic!("a breaker");
        };
        (
            breaker.state(),
            told.starts.len(),
            told.result.expect("a result").1,
        )
    };
    // The third attempt opens it, and the fourth is refused, which is not retried.
    let inside = opened_by(&[retry(5), breaker(3)]);
    assert_eq!(inside, (BreakerState::Open, 3, Err(CallError::BreakerOpen)));
    let outside = opened_by(&[breaker(3), retry(5)]);
    let error = CallError::RetriesExhausted {
        attempts: 6,
        last: Failure::Error,
    };
    assert_eq!(outside, (BreakerState::Closed, 6, Err(error)));
}

#[test]
fn a_cancelled_call_gives_back_what_it_holds_and_teaches_nobody() {
    // One runs, one waits for its permit, and one for its retry.
    let mut stack = stack_of(&[
        retry(3),
        breaker(1),
        LayerConfig::Bulkhead(BulkheadConfig::queued(1, 5, Span::from_s(1))),
    ]);
    stack.call(at(0), Call::new(1));
    stack.call(at(0), Call::new(2));
    let _ = drain(&mut stack);
    assert!(stack.cancel(at_ms(1), 1));
    let outputs = drain(&mut stack);
    let expected = [
        StackOutput::Cancel { call: 1, attempt: 1 },
        StackOutput::Finished {
            call: 1,
            result: Err(CallError::Cancelled { attempts: 1 }),
        },
    ];
    assert!(
        expected.iter().all(|output| outputs.contains(output)),
        "{outputs:?}"
    );
    // The permit went to the second.
    assert!(
        outputs
            .iter()
            .any(|output| matches!(output, StackOutput::Start { call: 2, .. })),
        "{outputs:?}"
    );
    assert!(stack.cancel(at_ms(2), 2) && !stack.cancel(at_ms(2), 2) && !stack.cancel(at_ms(2), 7));
    let (mut breakers, mut bulkheads) = (0, 0);
    for layer in stack.layers() {
        match layer {
            Layer::Breaker(breaker) => {
                breakers += 1;
                assert_eq!(breaker.state(), BreakerState::Closed);
                assert_eq!((breaker.counters().failed, breaker.counters().ignored), (0, 2));
            }
            Layer::Bulkhead(bulkhead) => {
                bulkheads += 1;
                assert_eq!((bulkhead.running(), bulkhead.waiting()), (0, 0));
            }
            _ => {}
        }
    }
    assert_eq!((breakers, bulkheads, stack.open()), (1, 1, 0));
}

#[test]
fn a_timeout_outside_a_retry_limits_the_call_and_one_inside_each_attempt() {
    let hangs_at_first = |n| (n > 2).then_some((ms(5), Outcome::Success));
    let mut inside = stack_of(&[retry(3), timeout(100)]);
    let told = run(&mut inside, at(0), Call::new(1), hangs_at_first);
    assert_eq!(told.starts, [0, 110, 220].map(at_ms));
    assert_eq!(told.result, Some((at_ms(225), Ok(3))));
    let mut outside = stack_of(&[timeout(100), retry(3)]);
    let told = run(&mut outside, at(0), Call::new(1), hangs_at_first);
    assert_eq!(told.starts, [at(0)]);
    assert_eq!(
        told.result,
        Some((at_ms(100), Err(CallError::TimedOut { attempts: 1 })))
    );
    assert_eq!(told.cancels, [(at_ms(100), 1)]);
}

#[test]
fn a_bulkhead_inside_a_retry_is_free_during_the_wait_and_one_outside_is_not() {
    let admitted = |layers: &[LayerConfig]| {
        let mut stack = stack_of(layers);
        stack.call(at(0), Call::new(1));
        stack.attempt_ended(at(0), 1, 1, BROKEN);
        let _ = drain(&mut stack);
        stack.call(at_ms(1), Call::new(2));
        drain(&mut stack)
            .iter()
            .any(|output| matches!(output, StackOutput::Start { call: 2, .. }))
    };
    let bulkhead = LayerConfig::Bulkhead(BulkheadConfig::semaphore(1));
    assert!(admitted(&[retry(3), bulkhead]));
    assert!(!admitted(&[bulkhead, retry(3)]));
}

#[test]
fn a_server_that_hangs_opens_the_breaker_wherever_the_timeout_is() {
    for layers in [[breaker(2), timeout(100)], [timeout(100), breaker(2)]] {
        let mut stack = stack_of(&layers);
        for i in 0..2 {
            let told = run(&mut stack, at_ms(i * 1_000), Call::new(i), |_| None);
            assert_eq!(
                told.result,
                Some((at_ms(i * 1_000 + 100), Err(CallError::TimedOut { attempts: 1 })))
            );
            let opened = |event: &Event| {
                let cause = BreakerCause::Consecutive { failures: 2 };
                matches!(event, Event::Breaker { cause: is, .. } if *is == cause)
            };
            assert_eq!(told.events.iter().any(opened), i == 1);
        }
        let told = run(&mut stack, at_ms(5_000), Call::new(9), |_| None);
        assert_eq!(told.result, Some((at_ms(5_000), Err(CallError::BreakerOpen))));
    }
}

#[test]
fn the_loser_of_a_hedge_says_nothing_to_the_breaker() {
    let hedge = LayerConfig::Hedge(HedgeConfig {
        delay: HedgeDelay::Fixed(ms(10)),
        hedges: 1,
        non_idempotent: false,
        budget: None,
    });
    let mut stack = stack_of(&[hedge, breaker(1)]);
    let told = run(&mut stack, at(0), Call::new(1), |n| {
        (n == 2).then_some((ms(1), Outcome::Success))
    });
    assert_eq!(told.result, Some((at_ms(11), Ok(2))));
    let Layer::Breaker(breaker) = &stack.layers()[1] else {
        panic!("the second layer");
    };
    let seen = breaker.counters();
    assert_eq!((seen.admitted, seen.succeeded, seen.ignored), (2, 1, 1));
}

#[test]
fn calls_wait_their_turn_and_give_up_in_the_queue() {
    let bulkhead = LayerConfig::Bulkhead(BulkheadConfig::queued(1, 2, ms(50)));
    let mut stack = stack_of(&[bulkhead]);
    for id in 1..=4 {
        stack.call(at(0), Call::new(id));
    }
    let outputs = drain(&mut stack);
    let finished = |outputs: &[StackOutput]| {
        let result = |output: &StackOutput| match output {
            StackOutput::Finished { call, result } => Some((*call, *result)),
            _ => None,
        };
        outputs.iter().filter_map(result).collect::<Vec<_>>()
    };
    assert_eq!(finished(&outputs), [(4, Err(CallError::BulkheadFull))]);
    stack.attempt_ended(at_ms(20), 1, 1, Outcome::Success);
    let outputs = drain(&mut stack);
    assert_eq!(finished(&outputs), [(1, Ok(1))]);
    let dequeued = Event::Dequeued {
        call: 2,
        layer: 0,
        waited: ms(20),
    };
    assert!(outputs.contains(&StackOutput::Event(dequeued)));
    stack.wake(at_ms(50));
    assert_eq!(
        finished(&drain(&mut stack)),
        [(3, Err(CallError::BulkheadTimeout))]
    );
    assert_eq!(stack.open(), 1);
}

#[test]
fn a_deadline_ends_everything_and_travels_with_the_attempts() {
    let mut stack = stack_of(&[retry(3), timeout(100)]);
    let call = Call {
        deadline: Some(at_ms(150)),
        ..Call::new(1)
    };
    stack.call(at(0), call);
    let start = |attempt, at| StackOutput::Start {
        call: 1,
        attempt,
        gives_up_at: Some(at),
    };
    assert_eq!(drain(&mut stack), [start(1, at_ms(100))]);
    stack.wake(at_ms(100));
    assert!(drain(&mut stack).contains(&StackOutput::Cancel { call: 1, attempt: 1 }));
    stack.wake(at_ms(110));
    assert_eq!(drain(&mut stack), [start(2, at_ms(150))]);
    // An answer at the very time is too late.
    stack.attempt_ended(at_ms(150), 1, 2, Outcome::Success);
    let outputs = drain(&mut stack);
    let result = Err(CallError::DeadlineExceeded { attempts: 2 });
    assert_eq!(outputs.last(), Some(&StackOutput::Finished { call: 1, result }));
    assert_eq!(stack.counters().late, 1);
    stack.call(at_ms(200), call);
    let result = Err(CallError::DeadlineExceeded { attempts: 0 });
    let outputs = drain(&mut stack);
    assert_eq!(outputs.last(), Some(&StackOutput::Finished { call: 1, result }));
}

#[test]
fn a_number_in_use_is_not_taken_twice() {
    let mut stack = stack_of(&[]);
    stack.call(at(0), Call::new(1));
    stack.call(at(0), Call::new(1));
    let outputs = drain(&mut stack);
    assert_eq!(outputs.len(), 2);
    assert_eq!(outputs[1], StackOutput::Event(Event::Duplicate { call: 1 }));
}

#[test]
fn an_exhausted_budget_degrades_and_an_emergency_admits_the_important_alone() {
    let budget = LayerConfig::ErrorBudget(ErrorBudgetConfig {
        minimum: 10,
        ..ErrorBudgetConfig::hourly(share(9, 10))
    });
    let degradation = LayerConfig::Degradation(DegradationConfig {
        minimum: 1_000,
        ..Operation::Send.degradation()
    });
    let mut stack = stack_of(&[budget, degradation]);
    let mut levels = Vec::new();
    for i in 0..200 {
        let told = run(&mut stack, at_ms(i), Call::new(i), |_| {
            Some((Span::ZERO, if i < 10 { BROKEN } else { Outcome::Success }))
        });
        levels.extend(told.events.iter().filter_map(|event| match event {
            Event::Level { to, cause, .. } => Some((i, *to, *cause)),
            _ => None,
        }));
    }
    let expected = [
        (9, Level::Degraded, LevelCause::BudgetExhausted),
        (99, Level::Normal, LevelCause::FloorLifted),
    ];
    assert_eq!(levels, expected);
    stack.set_floor(at_ms(300), Level::Emergency);
    let result =
        |stack: &mut Stack, call| run(stack, at_ms(301), call, |_| Some((ms(1), Outcome::Success))).result;
    assert_eq!(
        result(&mut stack, Call::new(500)),
        Some((at_ms(301), Err(CallError::Emergency)))
    );
    let critical = Call {
        priority: Priority::Critical,
        ..Call::new(501)
    };
    assert_eq!(result(&mut stack, critical), Some((at_ms(302), Ok(1))));
}

#[test]
fn the_named_stacks_pass_their_check_in_both_orders_and_hold_what_they_say() {
    for operation in Operation::ALL {
        for order in [ORIGINAL_ORDER, BREAKER_INSIDE_ORDER] {
            let config = operation.stack_in(order);
            assert_eq!(config.check(), Ok(()), "{operation:?}");
            let unlimited = matches!(operation, Operation::Sync | Operation::Consensus);
            assert_eq!(config.layers.len(), order.len() - usize::from(unlimited));
        }
        let everything = [
            Policy::ErrorBudget,
            Policy::LatencyBudget,
            Policy::Degradation,
            Policy::Shed,
            Policy::Rate,
            Policy::Bulkhead,
            Policy::Timeout,
            Policy::Hedge,
            Policy::Retry,
            Policy::Breaker,
            Policy::Timeout,
        ];
        let config = operation.stack_in(&everything);
        assert_eq!(config.check(), Ok(()), "{operation:?}");
        let text = serde_json::to_string(&config).expect("a configuration");
        assert_eq!(
            serde_json::from_str::<longhaul_resilience::StackConfig>(&text).expect("the same"),
            config
        );
    }
    assert_eq!(Operation::Consensus.retry().longest_total(), ms(8_250));
}
