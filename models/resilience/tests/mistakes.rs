//! Configurations that are refused, and how.

use longhaul_core::time::{Instant, Span};
use longhaul_core::units::Probability;
use longhaul_resilience::breaker::{BreakerConfig, Trip};
use longhaul_resilience::bucket::BucketConfig;
use longhaul_resilience::budget::ErrorBudgetConfig;
use longhaul_resilience::bulkhead::BulkheadConfig;
use longhaul_resilience::call::Priority;
use longhaul_resilience::degradation::DegradationConfig;
use longhaul_resilience::health::{HealthConfig, OutOf, Probe};
use longhaul_resilience::hedge::{HedgeConfig, HedgeDelay};
use longhaul_resilience::latency::LatencyBudgetConfig;
use longhaul_resilience::limiter::{RateConfig, RateRange};
use longhaul_resilience::named::Operation;
use longhaul_resilience::retry::{Backoff, RetryBudgetConfig, RetryConfig};
use longhaul_resilience::shedding::{LoadSource, SheddingConfig};
use longhaul_resilience::timeout::TimeoutConfig;
use longhaul_resilience::{Call, StackOutput};
use longhaul_resilience::{Classes, ConfigError, FieldError, LayerConfig, Rate, Stack, StackConfig};

use crate::driver::{ms, random, share};

fn fields(result: Result<(), Vec<FieldError>>) -> Vec<&'static str> {
    result
        .err()
        .unwrap_or_default()
        .iter()
        .map(|error| error.field)
        .collect()
}

fn refused(layer: LayerConfig) -> Vec<&'static str> {
    fields(layer.check())
}

const NOTHING: Classes = Classes {
    error: false,
    overloaded: false,
    unreachable: false,
    fatal: false,
    timeout: false,
    refused: false,
};

#[test]
fn zero_and_huge_values_are_refused_by_their_names() {
    let usual = Operation::Send;
    let breaker = |config| refused(LayerConfig::Breaker(config));
    for failures in [0, u32::MAX] {
        let trip = Trip::Consecutive { failures };
        assert_eq!(
            breaker(BreakerConfig {
                trip,
                ..usual.breaker()
            }),
            ["trip.failures"]
        );
    }
    let window = |calls, failure_rate, minimum| {
        let trip = Trip::CountWindow {
            calls,
            failure_rate,
            minimum,
        };
        breaker(BreakerConfig {
            trip,
            ..usual.breaker()
        })
    };
    assert_eq!(window(0, share(1, 2), 1), ["trip.calls"]);
    assert_eq!(
        window(10, Probability::ZERO, 0),
        ["trip.failure_rate", "trip.minimum"]
    );
    assert_eq!(window(10, share(1, 2), 11), ["trip.minimum"]);
    let trip = Trip::TimeWindow {
        window: Span::ZERO,
        failure_rate: share(1, 2),
        minimum: 1,
    };
    assert_eq!(
        breaker(BreakerConfig {
            trip,
            ..usual.breaker()
        }),
        ["trip.window"]
    );
    let none = BreakerConfig {
        open: Span::MAX,
        permits: 0,
        successes: u32::MAX,
        counts: NOTHING,
        ..usual.breaker()
    };
    assert_eq!(breaker(none), ["open", "permits", "successes", "counts"]);

    for (rate, burst, names) in [
        (Rate::per_s(0), 0, vec!["rate", "burst"]),
        (Rate::from_parts(u64::MAX), u32::MAX, vec!["rate", "burst"]),
    ] {
        assert_eq!(
            refused(LayerConfig::Rate(RateConfig::Fixed(BucketConfig { rate, burst }))),
            names
        );
    }
    let range = |start, least, most| RateRange {
        start: Rate::per_s(start),
        least: Rate::per_s(least),
        most: Rate::per_s(most),
    };
    let percentile = |range, target, window| {
        refused(LayerConfig::Rate(RateConfig::Percentile {
            range,
            target,
            window,
            interval: Span::ZERO,
        }))
    };
    assert_eq!(percentile(range(5, 10, 20), ms(1), 10), ["range.start"]);
    assert_eq!(
        percentile(range(5, 10, 2), Span::ZERO, 1),
        ["range.least", "target", "window"]
    );
    assert_eq!(percentile(range(5, 1, 2_000_000), ms(1), 10), ["range.most"]);
    let aimd = RateConfig::Aimd {
        range: range(5, 1, 10),
        target: ms(1),
        increase: Rate::per_s(0),
        decrease: Probability::ONE,
        interval: Span::ZERO,
    };
    assert_eq!(
        refused(LayerConfig::Rate(aimd)),
        ["increase", "decrease", "interval"]
    );
    let gradient = RateConfig::Gradient {
        range: range(5, 1, 10),
        headroom: Rate::per_s(0),
        tolerance: Probability::ZERO,
        interval: Span::MAX,
    };
    assert_eq!(refused(LayerConfig::Rate(gradient)), ["headroom", "interval"]);

    let bulkhead =
        |permits, queue, wait| refused(LayerConfig::Bulkhead(BulkheadConfig { permits, queue, wait }));
    assert_eq!(
        bulkhead(0, u32::MAX, Some(Span::ZERO)),
        ["permits", "queue", "wait"]
    );
    assert_eq!(bulkhead(1, 0, Some(ms(1))), ["wait"]);

    let retry = |config| refused(LayerConfig::Retry(config));
    for retries in [0, 101, u32::MAX] {
        assert_eq!(
            retry(RetryConfig {
                retries,
                ..usual.retry()
            }),
            ["retries"]
        );
    }
    let backoff = Backoff::Exponential {
        base: Span::ZERO,
        factor: 0,
    };
    assert_eq!(
        retry(RetryConfig {
            backoff,
            ..usual.retry()
        }),
        ["backoff.base", "backoff.factor"]
    );
    let budget = RetryBudgetConfig {
        ratio: Probability::ZERO,
        minimum_per_s: 0,
        window: Span::from_ns(9),
    };
    let worst = RetryConfig {
        cap: ms(1),
        retryable: NOTHING,
        budget: Some(budget),
        ..usual.retry()
    };
    assert_eq!(
        retry(worst),
        ["cap", "retryable", "budget.ratio", "budget.window"]
    );

    let timeout = |config| refused(LayerConfig::Timeout(config));
    assert_eq!(timeout(TimeoutConfig::Fixed(Span::ZERO)), ["after"]);
    assert_eq!(timeout(TimeoutConfig::Fixed(Span::MAX)), ["after"]);
    assert_eq!(timeout(TimeoutConfig::step(ms(1))), ["start"]);
    assert_eq!(timeout(TimeoutConfig::history(Span::from_s(301))), ["start"]);
    assert_eq!(
        timeout(TimeoutConfig::Step {
            start: ms(5),
            least: ms(9),
            most: ms(8)
        }),
        ["least"]
    );

    let delay = HedgeDelay::Percentile {
        percentile: Probability::ONE,
        window: 0,
        until_then: Span::ZERO,
    };
    let hedge = HedgeConfig {
        delay,
        hedges: 11,
        ..usual.hedge()
    };
    let names = ["delay.percentile", "delay.window", "delay.until_then", "hedges"];
    assert_eq!(refused(LayerConfig::Hedge(hedge)), names);

    let shed = SheddingConfig {
        load: LoadSource::Inside { capacity: 0 },
        max_load: Probability::ZERO,
        cap: Probability::ZERO,
        exempt: Some(Priority::Background),
    };
    assert_eq!(
        refused(LayerConfig::Shed(shed)),
        ["load.capacity", "max_load", "cap", "exempt"]
    );
    let degradation = DegradationConfig {
        error_rate: Probability::ZERO,
        latency: Span::ZERO,
        window: 5,
        minimum: 6,
        margin: Probability::ONE,
        hold: Span::MAX,
        emergency_probe: Span::ZERO,
        ..usual.degradation()
    };
    let names = [
        "error_rate",
        "latency",
        "minimum",
        "margin",
        "hold",
        "emergency_probe",
    ];
    assert_eq!(refused(LayerConfig::Degradation(degradation)), names);
    for objective in [Probability::ZERO, Probability::ONE] {
        let budget = ErrorBudgetConfig {
            objective,
            window: Span::from_ns(59),
            minimum: 0,
        };
        assert_eq!(
            refused(LayerConfig::ErrorBudget(budget)),
            ["objective", "window", "minimum"]
        );
    }
    let latency = LatencyBudgetConfig {
        p95: Span::ZERO,
        window: 0,
        minimum: 2,
    };
    assert_eq!(
        refused(LayerConfig::LatencyBudget(latency)),
        ["p95", "window", "minimum"]
    );

    let health = HealthConfig {
        interval: ms(1),
        fall: OutOf { k: 4, n: 3 },
        rise: OutOf { k: 0, n: 65 },
        ..HealthConfig::new("x", Probe::Composite(vec![3]))
    };
    assert_eq!(
        fields(health.check(3)),
        ["probe", "timeout", "fall.k", "rise.n", "rise.k"]
    );
    let bounds = Probe::Threshold {
        least: f64::NAN,
        most: 1.0,
    };
    assert_eq!(fields(HealthConfig::new("x", bounds).check(0)), ["probe.least"]);
}

#[test]
fn a_probability_outside_its_interval_cannot_even_be_read() {
    let config = StackConfig {
        layers: vec![LayerConfig::Shed(Operation::Send.shedding())],
    };
    let text = serde_json::to_string(&config).expect("a configuration");
    assert!(serde_json::from_str::<StackConfig>(&text).is_ok());
    for wrong in ["1000000000001", "-1"] {
        let wrong = text.replace("800000000000", wrong);
        assert_ne!(wrong, text);
        assert!(serde_json::from_str::<StackConfig>(&wrong).is_err());
    }
    let unknown = text.replace("\"cap\"", "\"cup\"");
    assert!(serde_json::from_str::<StackConfig>(&unknown).is_err());
    assert!(!text.contains("planted"));
}

#[test]
fn contradictions_with_a_timeout_outside_are_refused_with_layer_and_field() {
    let timeout = |time| LayerConfig::Timeout(TimeoutConfig::Fixed(ms(time)));
    let outer = timeout(100);
    let hedge = HedgeConfig {
        delay: HedgeDelay::Fixed(ms(100)),
        ..Operation::Send.hedge()
    };
    for (inner, field) in [
        (timeout(100), "after"),
        (
            LayerConfig::Bulkhead(BulkheadConfig::queued(1, 1, ms(100))),
            "wait",
        ),
        (LayerConfig::Hedge(hedge), "delay"),
        (
            LayerConfig::Retry(RetryConfig::exponential(1, ms(100), ms(100))),
            "retries",
        ),
    ] {
        // Wherever it is inside, and only there.
        let breaker = LayerConfig::Breaker(Operation::Send.breaker());
        let layers = vec![outer, breaker, inner];
        let errors = StackConfig { layers }.check().expect_err("a contradiction");
        assert_eq!(errors.len(), 1);
        let ConfigError::Field { layer, error, policy } = &errors[0] else {
            panic!("{errors:?}");
        };
        assert_eq!((*layer, error.field, *policy), (2, field, inner.policy()));
        if field != "after" {
            assert_eq!(
                StackConfig {
                    layers: vec![inner, outer]
                }
                .check(),
                Ok(())
            );
        }
    }
    let errors = StackConfig {
        layers: vec![outer; 33],
    }
    .check()
    .expect_err("too many");
    assert!(errors.contains(&ConfigError::TooManyLayers(33)));
}

/// Unchecked nonsense must not panic either.
#[test]
fn an_unchecked_stack_of_zeros_refuses_and_ends() {
    let layers = vec![
        LayerConfig::Rate(RateConfig::Fixed(BucketConfig {
            rate: Rate::per_s(0),
            burst: 1,
        })),
        LayerConfig::Timeout(TimeoutConfig::Fixed(Span::ZERO)),
        LayerConfig::Retry(RetryConfig::exponential(0, Span::ZERO, Span::ZERO)),
    ];
    let mut stack = Stack::new(&StackConfig { layers }, random(1));
    for id in 0..2 {
        stack.call(Instant::ZERO, Call::new(id));
    }
    let mut finished = 0;
    loop {
        match stack.poll() {
            StackOutput::Finished { result, .. } => {
                assert!(result.is_err());
                finished += 1;
            }
            StackOutput::WakeAt { .. } | StackOutput::Idle => break,
            _ => {}
        }
    }
    assert_eq!(finished, 2);
}
