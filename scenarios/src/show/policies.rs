//! The canonical text of stacks of policies, layer by layer.

use longhaul_core::time::Span;
use longhaul_resilience::breaker::{BreakerConfig, Trip};
use longhaul_resilience::bulkhead::BulkheadConfig;
use longhaul_resilience::degradation::DegradationConfig;
use longhaul_resilience::hedge::{HedgeConfig, HedgeDelay};
use longhaul_resilience::limiter::{RateConfig, RateRange};
use longhaul_resilience::retry::{Backoff, RetryBudgetConfig, RetryConfig};
use longhaul_resilience::shedding::{LoadSource, SheddingConfig};
use longhaul_resilience::timeout::TimeoutConfig;
use longhaul_resilience::{Classes, LayerConfig, Rate, StackConfig};

use crate::decode::print_millionths;

/// A list of layers.
pub fn stack(stack: &StackConfig) -> String {
    let layers: Vec<String> = stack.layers.iter().map(layer).collect();
    format!("[{}]", layers.join(", "))
}

fn layer(layer: &LayerConfig) -> String {
    match layer {
        LayerConfig::Rate(config) => rate_limiter(config),
        LayerConfig::Shed(config) => shed(config),
        LayerConfig::Bulkhead(config) => bulkhead(config),
        LayerConfig::Breaker(config) => breaker(config),
        LayerConfig::Retry(config) => retry(config),
        LayerConfig::Timeout(config) => timeout(config),
        LayerConfig::Hedge(config) => hedge(config),
        LayerConfig::Degradation(config) => degradation(config),
        LayerConfig::ErrorBudget(config) => format!(
            "ErrorBudget(objective: \"{}\", window: \"{}\", minimum: {})",
            config.objective, config.window, config.minimum
        ),
        LayerConfig::LatencyBudget(config) => format!(
            "LatencyBudget(p95: \"{}\", window: {}, minimum: {})",
            config.p95, config.window, config.minimum
        ),
    }
}

/// Calls per second.
fn rate(rate: Rate) -> String {
    let parts = i64::try_from(rate.as_parts()).expect("at most 10^15 millionths");
    print_millionths(parts)
}

fn rate_limiter(config: &RateConfig) -> String {
    let range = |range: &RateRange| {
        let RateRange { start, least, most } = *range;
        format!(
            "range: (start: {}, least: {}, most: {})",
            rate(start),
            rate(least),
            rate(most)
        )
    };
    match config {
        RateConfig::Fixed(bucket) => format!("Rate(rate: {}, burst: {})", rate(bucket.rate), bucket.burst),
        RateConfig::Percentile {
            range: moves,
            target,
            window,
            interval,
        } => format!(
            "PercentileRate({}, target: \"{target}\", window: {window}, interval: \"{interval}\")",
            range(moves)
        ),
        RateConfig::Aimd {
            range: moves,
            target,
            increase,
            decrease,
            interval,
        } => format!(
            "AimdRate({}, target: \"{target}\", increase: {}, decrease: \"{decrease}\", interval: \"{interval}\")",
            range(moves),
            rate(*increase)
        ),
        RateConfig::Gradient {
            range: moves,
            headroom,
            tolerance,
            interval,
        } => format!(
            "GradientRate({}, headroom: {}, tolerance: \"{tolerance}\", interval: \"{interval}\")",
            range(moves),
            rate(*headroom)
        ),
    }
}

fn shed(config: &SheddingConfig) -> String {
    let SheddingConfig {
        load,
        max_load,
        cap,
        exempt,
    } = config;
    let load = match load {
        LoadSource::Reported => "Reported".to_owned(),
        LoadSource::Inside { capacity } => format!("Inside(capacity: {capacity})"),
    };
    let exempt = exempt.map_or("None".to_owned(), |priority| format!("{priority:?}"));
    format!("Shed(load: {load}, max_load: \"{max_load}\", cap: \"{cap}\", exempt: {exempt})")
}

fn bulkhead(config: &BulkheadConfig) -> String {
    let BulkheadConfig { permits, queue, wait } = config;
    let wait = wait.map_or(String::new(), |wait| format!(", wait: \"{wait}\""));
    format!("Bulkhead(permits: {permits}, queue: {queue}{wait})")
}

fn breaker(config: &BreakerConfig) -> String {
    let BreakerConfig {
        trip,
        open,
        open_jitter,
        permits,
        successes,
        counts,
    } = config;
    let trip = match trip {
        Trip::Consecutive { failures } => format!("Consecutive(failures: {failures})"),
        Trip::CountWindow {
            calls,
            failure_rate,
            minimum,
        } => format!("CountWindow(calls: {calls}, failure_rate: \"{failure_rate}\", minimum: {minimum})"),
        Trip::TimeWindow {
            window,
            failure_rate,
            minimum,
        } => {
            format!("TimeWindow(window: \"{window}\", failure_rate: \"{failure_rate}\", minimum: {minimum})")
        }
    };
    format!(
        "Breaker(trip: {trip}, open: \"{open}\", open_jitter: \"{open_jitter}\", permits: {permits}, \
         successes: {successes}, counts: {})",
        classes(counts)
    )
}

fn classes(classes: &Classes) -> String {
    let Classes {
        error,
        overloaded,
        unreachable,
        fatal,
        timeout,
        refused,
    } = *classes;
    let named = [
        (error, "Error"),
        (overloaded, "Overloaded"),
        (unreachable, "Unreachable"),
        (fatal, "Fatal"),
        (timeout, "Timeout"),
        (refused, "Refused"),
    ];
    let named: Vec<&str> = named
        .into_iter()
        .filter(|(is, _)| *is)
        .map(|(_, name)| name)
        .collect();
    format!("[{}]", named.join(", "))
}

fn retry(config: &RetryConfig) -> String {
    let RetryConfig {
        retries,
        backoff,
        cap,
        jitter,
        retryable,
        non_idempotent,
        budget,
    } = config;
    let backoff = match backoff {
        Backoff::Exponential { base, factor } => format!("Exponential(base: \"{base}\", factor: {factor})"),
        Backoff::Linear { base, increment } => {
            format!("Linear(base: \"{base}\", increment: \"{increment}\")")
        }
        Backoff::Fibonacci { base } => format!("Fibonacci(base: \"{base}\")"),
    };
    format!(
        "Retry(retries: {retries}, backoff: {backoff}, cap: \"{cap}\", jitter: {jitter:?}, retryable: {}, \
         non_idempotent: {non_idempotent}{})",
        classes(retryable),
        budget_text(budget)
    )
}

fn budget_text(budget: &Option<RetryBudgetConfig>) -> String {
    budget.map_or(String::new(), |budget| {
        let RetryBudgetConfig {
            ratio,
            minimum_per_s,
            window,
        } = budget;
        format!(", budget: (ratio: \"{ratio}\", minimum_per_s: {minimum_per_s}, window: \"{window}\")")
    })
}

fn timeout(config: &TimeoutConfig) -> String {
    let bounds = |start: Span, least: Span, most: Span| {
        format!("start: \"{start}\", least: \"{least}\", most: \"{most}\"")
    };
    match *config {
        TimeoutConfig::Fixed(after) => format!("Timeout(after: \"{after}\")"),
        TimeoutConfig::Step { start, least, most } => format!("StepTimeout({})", bounds(start, least, most)),
        TimeoutConfig::History { start, least, most } => {
            format!("HistoryTimeout({})", bounds(start, least, most))
        }
        TimeoutConfig::Rfc6298 {
            start,
            least,
            most,
            granularity,
        } => format!(
            "Rfc6298Timeout({}, granularity: \"{granularity}\")",
            bounds(start, least, most)
        ),
    }
}

fn hedge(config: &HedgeConfig) -> String {
    let HedgeConfig {
        delay,
        hedges,
        non_idempotent,
        budget,
    } = config;
    let delay = match delay {
        HedgeDelay::Fixed(after) => format!("\"{after}\""),
        HedgeDelay::Percentile {
            percentile,
            window,
            until_then,
        } => {
            format!(
                "Percentile(percentile: \"{percentile}\", window: {window}, until_then: \"{until_then}\")"
            )
        }
    };
    format!(
        "Hedge(delay: {delay}, hedges: {hedges}, non_idempotent: {non_idempotent}{})",
        budget_text(budget)
    )
}

fn degradation(config: &DegradationConfig) -> String {
    let DegradationConfig {
        error_rate,
        latency,
        window,
        minimum,
        margin,
        hold,
        emergency_admits,
        emergency_probe,
    } = config;
    format!(
        "Degradation(error_rate: \"{error_rate}\", latency: \"{latency}\", window: {window}, minimum: {minimum}, \
         margin: \"{margin}\", hold: \"{hold}\", emergency_admits: {emergency_admits:?}, \
         emergency_probe: \"{emergency_probe}\")"
    )
}
