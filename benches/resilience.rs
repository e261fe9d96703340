//! What a call costs in each policy and in a whole stack, beside well-known crates that do the same. Times are processor
//! time where the kernel tells it. The others read a clock and may be shared between threads, which
//! these policies leave to their caller; tower has no circuit breaker. Runs are short, so that some pass undisturbed on a busy
//! machine: the fastest tells what the work costs, the median what it costs there.

#![allow(missing_docs, reason = "a program, not a library")]

mod support;

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::hint::black_box;
use std::num::NonZeroU32;
use std::time::Duration;

use failsafe::CircuitBreaker;
use longhaul_core::random::{Stream, Streams};
use longhaul_core::time::{Instant, Span};
use longhaul_core::units::Probability;
use longhaul_resilience::breaker::{Breaker, BreakerConfig, Trip, Verdict};
use longhaul_resilience::bucket::{BucketConfig, TokenBucket};
use longhaul_resilience::bulkhead::{Bulkhead, BulkheadConfig, Entry};
use longhaul_resilience::config::{LayerConfig, Policy, StackConfig};
use longhaul_resilience::limiter::{Answer, RateConfig, RateLimiter};
use longhaul_resilience::named::Operation;
use longhaul_resilience::timeout::TimeoutConfig;
use longhaul_resilience::{Call, Outcome, Rate, Stack, StackOutput};
use support::{Stopwatch, median};
use tower::{Service, ServiceBuilder, ServiceExt};

const RUNS: usize = 201;
const CALLS: u64 = 20_000;
/// Between calls.
const STEP: Span = Span::from_us(1);
/// Never used up at one call in a microsecond.
const PLENTY: BucketConfig = BucketConfig {
    rate: Rate::per_s(10_000_000),
    burst: 1_000,
};

fn random() -> Stream {
    Streams::new(1, 0).stream("bench", "resilience")
}

/// Nanoseconds per call of `work`, which is told the time and must say that the call was admitted.
fn per_call(what: &str, mut work: impl FnMut(Instant) -> bool) {
    let mut now = Instant::ZERO;
    let mut run = || {
        let watch = Stopwatch::start();
        let mut admitted = 0;
        for _ in 0..CALLS {
            now += STEP;
            admitted += u64::from(black_box(work(black_box(now))));
        }
        let took = watch.elapsed_ns() / CALLS as f64;
        assert_eq!(admitted, CALLS, "{what}");
        took
    };
    run();
    print(what, (0..RUNS).map(|_| run()).collect());
}

fn print(what: &str, runs: Vec<f64>) {
    let fastest = runs.iter().copied().fold(f64::INFINITY, f64::min);
    println!("{:>9.1} ns, fastest {fastest:.1}  {what}", median(runs));
}

fn policies() {
    for (what, trip) in [
        ("consecutive failures", Trip::Consecutive { failures: 5 }),
        (
            "failure rate of 100 calls",
            Trip::CountWindow {
                calls: 100,
                failure_rate: half(),
                minimum: 10,
            },
        ),
        (
            "failure rate of 10 s",
            Trip::TimeWindow {
                window: Span::from_s(10),
                failure_rate: half(),
                minimum: 10,
            },
        ),
    ] {
        let config = BreakerConfig {
            trip,
            ..Operation::Send.breaker()
        };
        let mut breaker = Breaker::new(&config);
        let mut random = random();
        per_call(&format!("breaker, {what}"), |now| {
            let Ok(permit) = breaker.acquire(now) else {
                return false;
            };
            breaker.finish(now, permit, Verdict::Success, &mut random);
            true
        });
    }
    let mut bucket = TokenBucket::new(&PLENTY);
    per_call("token bucket", |now| bucket.take(now));
    let mut limiter = RateLimiter::new(&RateConfig::Fixed(PLENTY));
    per_call("rate limiter, fixed", |now| limiter.take(now));
    let mut limiter = RateLimiter::new(&Operation::Send.rate());
    let mut n = 0_u64;
    per_call("rate limiter, by percentile, latency recorded", |now| {
        n += 1;
        // At one call in a microsecond it refuses most, which costs the same.
        let _ = black_box(limiter.take(now));
        limiter.record(now, Answer::After(Span::from_us(90_000 + n * 7_919 % 20_000)));
        true
    });
    let mut bulkhead = Bulkhead::new(&BulkheadConfig::queued(100, 200, Span::from_s(5)));
    per_call("bulkhead", |now| {
        let entry = bulkhead.enter(now, 1);
        bulkhead.leave(now).is_none() && entry == Entry::Admitted
    });
}

fn half() -> Probability {
    Probability::from_ratio(1, 2).expect("a half")
}

/// Calls through a stack, `at_once` of them open at any time.
fn stack(what: &str, config: &StackConfig, at_once: u64) {
    config.check().expect("a good configuration");
    let mut stack = Stack::new(config, random());
    let mut next = 0;
    per_call(&format!("{what}, {at_once} open"), |now| {
        next += 1;
        stack.call(now, Call::new(next));
        let mut good = matches!(stack.poll(), StackOutput::Start { .. });
        while !matches!(stack.poll(), StackOutput::WakeAt { .. } | StackOutput::Idle) {}
        if next > at_once {
            stack.attempt_ended(now, next - at_once, 1, Outcome::Success);
            good &= matches!(stack.poll(), StackOutput::Finished { result: Ok(1), .. });
            while !matches!(stack.poll(), StackOutput::WakeAt { .. } | StackOutput::Idle) {}
        }
        good
    });
}

fn stacks() {
    let mut config = Operation::Send.stack_in(&[
        Policy::Rate,
        Policy::Bulkhead,
        Policy::Breaker,
        Policy::Retry,
        Policy::Timeout,
    ]);
    config.layers[0] = LayerConfig::Rate(RateConfig::Fixed(PLENTY));
    config.layers[4] = LayerConfig::Timeout(TimeoutConfig::Fixed(Span::from_s(30)));
    for at_once in [0, 10, 90] {
        stack("stack: rate, bulkhead, breaker, retry, timeout", &config, at_once);
    }
    config.layers[4] = LayerConfig::Timeout(Operation::Send.attempt_time());
    stack("the same with an adaptive timeout", &config, 10);
    config
        .layers
        .insert(0, LayerConfig::ErrorBudget(Operation::Send.error_budget()));
    config
        .layers
        .insert(1, LayerConfig::LatencyBudget(Operation::Send.latency_budget()));
    stack("the same with error and latency budgets", &config, 10);
}

#[derive(Clone)]
struct Thrice;

impl<E> tower::retry::Policy<u64, u64, E> for Thrice {
    type Future = Ready<()>;

    fn retry(&mut self, _: &mut u64, result: &mut Result<u64, E>) -> Option<Ready<()>> {
        result.is_err().then(|| ready(()))
    }

    fn clone_request(&mut self, request: &u64) -> Option<u64> {
        Some(*request)
    }
}

fn others() {
    let rate = NonZeroU32::new(1_000_000_000).expect("above zero");
    let limiter = governor::RateLimiter::direct(governor::Quota::per_second(rate));
    per_call("governor: rate limiter", |_| limiter.check().is_ok());
    let clock = governor::clock::FakeRelativeClock::default();
    let quota = governor::Quota::per_second(rate);
    let limiter = governor::RateLimiter::direct_with_clock(quota, clock.clone());
    per_call("governor: rate limiter, clock set by hand", |_| {
        clock.advance(Duration::from_micros(1));
        limiter.check().is_ok()
    });
    let backoff = failsafe::backoff::constant(Duration::from_secs(60));
    let policy = failsafe::failure_policy::consecutive_failures(5, backoff);
    let breaker = failsafe::Config::new().failure_policy(policy).build();
    per_call("failsafe: breaker, consecutive failures", |_| {
        breaker.call(|| Ok::<(), Infallible>(())).is_ok()
    });
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime");
    // The limiter of rates makes a timer at once.
    let _guard = runtime.enter();
    let answer = || tower::service_fn(|n: u64| ready(Ok::<u64, Infallible>(n)));
    let bulkhead = ServiceBuilder::new().concurrency_limit(100).service(answer());
    tower("tower: concurrency limit", &runtime, bulkhead);
    let whole = ServiceBuilder::new()
        .rate_limit(1_000_000_000, Duration::from_secs(1))
        .concurrency_limit(100)
        .retry(Thrice)
        .timeout(Duration::from_secs(30))
        .service(answer());
    tower("tower: rate, concurrency, retry, timeout", &runtime, whole);
}

/// Calls through a service one after the other, all in one future, so that the runtime itself costs nothing.
fn tower<S>(what: &str, runtime: &tokio::runtime::Runtime, mut service: S)
where
    S: Service<u64, Response = u64>,
    S::Error: std::fmt::Debug,
{
    let mut run = || {
        let watch = Stopwatch::start();
        runtime.block_on(async {
            for n in 0..CALLS {
                let answer = service.ready().await.expect("ready").call(n).await;
                assert_eq!(black_box(answer.expect("an answer")), n);
            }
        });
        watch.elapsed_ns() / CALLS as f64
    };
    run();
    print(what, (0..RUNS).map(|_| run()).collect());
}

fn main() {
    policies();
    stacks();
    others();
}
