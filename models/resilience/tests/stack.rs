//! Stacks of any layers in any order under random histories: no result is lost, none comes twice, nothing runs on, and
//! nothing is kept.

use std::collections::{BTreeMap, BTreeSet};

use longhaul_core::time::{Instant, Span};
use longhaul_resilience::breaker::{BreakerConfig, Trip};
use longhaul_resilience::bucket::BucketConfig;
use longhaul_resilience::budget::ErrorBudgetConfig;
use longhaul_resilience::bulkhead::BulkheadConfig;
use longhaul_resilience::degradation::DegradationConfig;
use longhaul_resilience::hedge::{HedgeConfig, HedgeDelay};
use longhaul_resilience::latency::LatencyBudgetConfig;
use longhaul_resilience::limiter::{RateConfig, RateRange};
use longhaul_resilience::named::Operation;
use longhaul_resilience::retry::{Backoff, Jitter, RetryBudgetConfig, RetryConfig};
use longhaul_resilience::shedding::{LoadSource, SheddingConfig};
use longhaul_resilience::timeout::TimeoutConfig;
use longhaul_resilience::{
    Call, Classes, Failure, Layer, LayerConfig, Outcome, Priority, Rate, Stack, StackConfig, StackOutput,
};
use proptest::prelude::*;

use crate::driver::{at, histories, random, share};

fn ns(ns: u64) -> Span {
    Span::from_ns(ns)
}

/// A small layer of each kind, so that every limit is met often.
fn layer() -> impl Strategy<Value = LayerConfig> {
    (0..13_u8, 1..4_u32, 1..60_u64).prop_map(|(kind, few, time)| {
        let fast = Rate::from_parts(10_000_000 * 1_000_000);
        match kind {
            0 => LayerConfig::Rate(RateConfig::Fixed(BucketConfig {
                rate: fast,
                burst: few,
            })),
            1 => LayerConfig::Rate(RateConfig::Percentile {
                range: RateRange {
                    start: Rate::per_s(3),
                    least: Rate::per_s(1),
                    most: Rate::per_s(1_000),
                },
                target: ns(time),
                window: 4,
                interval: Span::ZERO,
            }),
            2 => LayerConfig::Shed(SheddingConfig {
                load: LoadSource::Inside { capacity: few },
                max_load: share(4, 5),
                cap: share(9, 10),
                exempt: Some(Priority::Critical),
            }),
            3 => LayerConfig::Bulkhead(BulkheadConfig::semaphore(few)),
            4 => LayerConfig::Bulkhead(BulkheadConfig::queued(1, few, ns(time))),
            5 => LayerConfig::Bulkhead(BulkheadConfig::pool(1, few)),
            6 => LayerConfig::Breaker(BreakerConfig {
                trip: Trip::CountWindow {
                    calls: few + 1,
                    failure_rate: share(1, 2),
                    minimum: 2,
                },
                permits: 1,
                successes: few,
                ..BreakerConfig::consecutive(1, ns(time))
            }),
            7 => LayerConfig::Retry(RetryConfig {
                backoff: Backoff::Fibonacci { base: ns(time) },
                jitter: Jitter::Full,
                budget: (time % 2 == 0).then_some(RetryBudgetConfig {
                    ratio: share(1, 2),
                    minimum_per_s: 1,
                    window: ns(1_000),
                }),
                retryable: Classes {
                    refused: time % 3 == 0,
                    ..Classes::TRANSIENT
                },
                ..RetryConfig::exponential(few, ns(time), ns(100))
            }),
            8 => LayerConfig::Timeout(TimeoutConfig::Fixed(ns(time))),
            9 => LayerConfig::Timeout(TimeoutConfig::Step {
                start: ns(time),
                least: ns(1),
                most: ns(200),
            }),
            10 => LayerConfig::Hedge(HedgeConfig {
                delay: HedgeDelay::Fixed(ns(time)),
                hedges: few,
                non_idempotent: time % 2 == 0,
                budget: None,
            }),
            11 => LayerConfig::ErrorBudget(ErrorBudgetConfig {
                objective: share(1, 2),
                window: ns(600),
                minimum: 2,
            }),
            _ if time % 2 == 0 => LayerConfig::LatencyBudget(LatencyBudgetConfig {
                p95: ns(time),
                window: 5,
                minimum: 2,
            }),
            _ => LayerConfig::Degradation(DegradationConfig {
                error_rate: share(1, 4),
                latency: ns(time),
                window: 6,
                minimum: 2,
                hold: Span::ZERO,
                emergency_probe: ns(30),
                ..Operation::Send.degradation()
            }),
        }
    })
}

#[derive(Clone, Debug)]
enum Step {
    Call {
        idempotent: bool,
        priority: u8,
        deadline: Option<u64>,
    },
    End {
        which: usize,
        outcome: u8,
    },
    Late {
        which: u64,
    },
    Cancel {
        which: usize,
    },
    Wait {
        time: u64,
        wake: bool,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let deadline = prop_oneof![2 => Just(None), 1 => (0..80_u64).prop_map(Some)];
    prop_oneof![
        4 => (any::<bool>(), 0..3_u8, deadline)
            .prop_map(|(idempotent, priority, deadline)| Step::Call { idempotent, priority, deadline }),
        4 => (any::<usize>(), 0..7_u8).prop_map(|(which, outcome)| Step::End { which, outcome }),
        1 => (0..20_u64).prop_map(|which| Step::Late { which }),
        1 => any::<usize>().prop_map(|which| Step::Cancel { which }),
        4 => (0..40_u64, any::<bool>()).prop_map(|(time, wake)| Step::Wait { time, wake }),
    ]
}

fn outcome(number: u8) -> Outcome {
    match number {
        0..=2 => Outcome::Success,
        3 => Outcome::Failure(Failure::Error),
        4 => Outcome::Failure(Failure::Overloaded),
        5 => Outcome::Failure(Failure::Unreachable),
        _ => Outcome::Failure(Failure::Fatal),
    }
}

/// What an onlooker knows.
#[derive(Default)]
struct Onlooker {
    open: BTreeSet<u64>,
    finished: u64,
    running: BTreeMap<(u64, u32), Option<Instant>>,
    attempts: BTreeMap<u64, u32>,
    /// The attempt that ended last, if it succeeded: a result must be of one that did.
    succeeded: BTreeSet<(u64, u32)>,
    log: Vec<StackOutput>,
}

impl Onlooker {
    fn watch(&mut self, stack: &mut Stack, now: Instant) -> Result<Option<Instant>, TestCaseError> {
        loop {
            let output = stack.poll();
            self.log.push(output);
            match output {
                StackOutput::Start {
                    call,
                    attempt,
                    gives_up_at,
                } => {
                    prop_assert!(self.open.contains(&call), "an attempt of a call that is over");
                    prop_assert!(gives_up_at.is_none_or(|at| at > now), "an attempt without time");
                    let attempts = self.attempts.entry(call).or_default();
                    *attempts += 1;
                    prop_assert_eq!(attempt, *attempts);
                    self.running.insert((call, attempt), gives_up_at);
                }
                StackOutput::Cancel { call, attempt } => {
                    prop_assert!(
                        self.running.remove(&(call, attempt)).is_some(),
                        "cancelled for nothing"
                    );
                }
                StackOutput::Finished { call, result } => {
                    prop_assert!(self.open.remove(&call), "finished twice, or never begun");
                    self.finished += 1;
                    prop_assert!(
                        self.running.keys().all(|(other, _)| *other != call),
                        "something runs on"
                    );
                    if let Ok(attempt) = result {
                        prop_assert!(self.succeeded.contains(&(call, attempt)));
                    }
                }
                StackOutput::Event(_) => {}
                StackOutput::WakeAt { at, .. } => {
                    prop_assert!(at > now, "what is due is done");
                    return self.in_time(now).map(|()| Some(at));
                }
                StackOutput::Idle => return self.in_time(now).map(|()| None),
            }
        }
    }

    fn in_time(&self, now: Instant) -> Result<(), TestCaseError> {
        let late = self.running.values().flatten().any(|at| *at <= now);
        prop_assert!(!late, "an attempt beyond the time at which it should be given up");
        Ok(())
    }
}

fn live(config: &StackConfig, steps: &[Step]) -> Result<Vec<StackOutput>, TestCaseError> {
    let mut stack = Stack::new(config, random(3));
    let mut seen = Onlooker::default();
    let (mut now, mut next, mut calls) = (0_u64, 0_u64, 0_u64);
    let end = |stack: &mut Stack, seen: &mut Onlooker, now: u64, which: usize, how: u8| {
        let keys: Vec<_> = seen.running.keys().copied().collect();
        let Some((call, attempt)) = (!keys.is_empty()).then(|| keys[which % keys.len()]) else {
            return stack.wake(at(now));
        };
        // Its time may be over by now, and then the stack cancels it first.
        let late = seen.running[&(call, attempt)].is_some_and(|at| at.as_ns() <= now);
        if !late {
            seen.running.remove(&(call, attempt));
            if outcome(how) == Outcome::Success {
                seen.succeeded.insert((call, attempt));
            }
        }
        stack.attempt_ended(at(now), call, attempt, outcome(how));
    };
    for step in steps {
        match *step {
            Step::Call {
                idempotent,
                priority,
                deadline,
            } => {
                seen.open.insert(next);
                let priority =
                    [Priority::Background, Priority::Normal, Priority::Critical][usize::from(priority)];
                let deadline = deadline.map(|time| at(now + time));
                stack.call(
                    at(now),
                    Call {
                        id: next,
                        idempotent,
                        priority,
                        deadline,
                    },
                );
                next += 1;
                calls += 1;
            }
            Step::End { which, outcome } => end(&mut stack, &mut seen, now, which, outcome),
            Step::Late { which } => stack.attempt_ended(at(now), which, 99, Outcome::Success),
            Step::Cancel { which } => {
                let open: Vec<u64> = seen.open.iter().copied().collect();
                let call = (!open.is_empty()).then(|| open[which % open.len()]);
                // What is over by now ends otherwise.
                stack.wake(at(now));
                seen.watch(&mut stack, at(now))?;
                let known = call.is_some_and(|call| seen.open.contains(&call));
                let cancelled = call.is_some_and(|call| stack.cancel(at(now), call));
                prop_assert_eq!(cancelled, known);
                prop_assert!(!stack.cancel(at(now), u64::MAX));
            }
            Step::Wait { time, wake } => {
                // Without a wake the stack hears of the time only later.
                now += time;
                if !wake {
                    continue;
                }
                stack.wake(at(now));
                stack.wake(at(now / 2));
            }
        }
        seen.watch(&mut stack, at(now))?;
    }
    // Everything comes to an end.
    for _ in 0..10_000 {
        stack.wake(at(now));
        let wake = seen.watch(&mut stack, at(now))?;
        if !seen.running.is_empty() {
            end(&mut stack, &mut seen, now, 0, 3);
            seen.watch(&mut stack, at(now))?;
        } else if let Some(at) = wake {
            now = at.as_ns();
        } else {
            break;
        }
    }
    prop_assert!(seen.open.is_empty(), "calls without a result: {:?}", seen.open);
    prop_assert_eq!((seen.finished, stack.open()), (calls, 0));
    for layer in stack.layers() {
        match layer {
            Layer::Bulkhead(bulkhead) => prop_assert_eq!((bulkhead.running(), bulkhead.waiting()), (0, 0)),
            Layer::Shed(shedder) => prop_assert_eq!(shedder.load().0, 0),
            Layer::Breaker(breaker) => {
                let seen = breaker.counters();
                prop_assert_eq!(
                    seen.admitted,
                    seen.succeeded + seen.failed + seen.ignored + seen.late
                );
            }
            _ => {}
        }
    }
    Ok(seen.log)
}

proptest! {
    #![proptest_config(histories())]

    #[test]
    fn every_call_is_finished_once_whatever_the_layers_and_their_order(
        layers in prop::collection::vec(layer(), 0..7),
        steps in prop::collection::vec(step(), 1..40),
    ) {
        // Contradictions are allowed here: they too must not lose anything. Each layer by itself is sound.
        for layer in &layers {
            prop_assert_eq!(layer.check(), Ok(()));
        }
        let config = StackConfig { layers };
        let log = live(&config, &steps)?;
        if steps.len() % 8 == 0 {
            prop_assert_eq!(live(&config, &steps)?, log, "the same again");
        }
    }
}
