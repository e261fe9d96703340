//! The bugs that are planted on purpose: each breaks what the tests of the real thing hold.

use longhaul_core::units::Probability;
use longhaul_resilience::breaker::{Breaker, BreakerConfig, BreakerState, Verdict};
use longhaul_resilience::bucket::{BucketConfig, TokenBucket};
use longhaul_resilience::planted::Planted;
use longhaul_resilience::{Call, Event, LayerConfig, Outcome, Rate, Stack, StackConfig, StackOutput};

use crate::driver::{at, at_ms, drain, ms, random};

#[test]
fn a_late_success_closes_the_planted_breaker_and_no_other() {
    let config = BreakerConfig {
        open_jitter: Probability::ZERO,
        ..BreakerConfig::consecutive(1, ms(100))
    };
    for (planted, after) in [
        (Planted::LateSuccessCloses, BreakerState::Closed),
        (Planted::LostRemainders, BreakerState::Open),
        (Planted::Nothing, BreakerState::Open),
    ] {
        let mut breaker = Breaker::with_planted(&config, planted);
        let slow = breaker.acquire(at(0)).expect("closed");
        let quick = breaker.acquire(at(0)).expect("closed");
        breaker.finish(at(0), quick, Verdict::Failure, &mut random(1));
        breaker.finish(at_ms(1), slow, Verdict::Success, &mut random(1));
        assert_eq!(breaker.state(), after);
    }
}

#[test]
fn a_planted_bucket_loses_a_third_when_it_is_asked_at_odd_times() {
    let config = BucketConfig {
        rate: Rate::per_s(100),
        burst: 100,
    };
    for (planted, expected) in [(Planted::LostRemainders, 66), (Planted::Nothing, 99)] {
        let mut bucket = TokenBucket::with_planted(&config, planted);
        bucket.drain(at(0));
        let granted: usize = (1..=66)
            .map(|poll| std::iter::from_fn(|| bucket.take(at_ms(poll * 15)).then_some(())).count())
            .sum();
        assert_eq!(granted, expected);
    }
}

#[test]
fn a_stack_carries_the_planted_breaker() {
    let config = StackConfig {
        layers: vec![LayerConfig::Breaker(BreakerConfig::consecutive(1, ms(100)))],
    };
    for (planted, closes) in [(Planted::LateSuccessCloses, true), (Planted::Nothing, false)] {
        let mut stack = Stack::with_planted(&config, random(1), planted);
        stack.call(at(0), Call::new(1));
        stack.call(at(0), Call::new(2));
        let failure = Outcome::Failure(longhaul_resilience::Failure::Error);
        stack.attempt_ended(at_ms(1), 1, 1, failure);
        stack.attempt_ended(at_ms(2), 2, 1, Outcome::Success);
        let closed = |output: &StackOutput| {
            matches!(
                output,
                StackOutput::Event(Event::Breaker {
                    to: BreakerState::Closed,
                    ..
                })
            )
        };
        assert_eq!(drain(&mut stack).iter().any(closed), closes);
    }
}
