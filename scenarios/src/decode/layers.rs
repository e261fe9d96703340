//! Single policies. What a policy refuses by itself is asked of it in [`super::policies`]; here are types and defaults.

use longhaul_core::units::Probability;
use longhaul_resilience::breaker::{BreakerConfig, Trip};
use longhaul_resilience::hedge::{HedgeConfig, HedgeDelay};
use longhaul_resilience::named::Operation;
use longhaul_resilience::retry::{Backoff, Jitter, RetryBudgetConfig, RetryConfig};
use longhaul_resilience::timeout::TimeoutConfig;
use longhaul_resilience::{Classes, LayerConfig};

use super::calls::count;
use super::context::{At, Context, Fields, Variant, list, no_content, unless_none, variant};
use super::load::sole;
use super::value;
use super::{guards, limits};

/// Any policy.
pub fn layer(cx: &mut Context, at: &At) -> Option<LayerConfig> {
    let variants = [
        ("Rate", "Rate(rate: 1000, burst: 50)"),
        ("PercentileRate", "PercentileRate(range: (start: 1000, least: 100, most: 10000), target: \"100 ms\")"),
        ("AimdRate", "AimdRate(range: (start: 1000, least: 100, most: 10000), target: \"100 ms\", increase: 10, decrease: \"50 %\", interval: \"1 s\")"),
        ("GradientRate", "GradientRate(range: (start: 1000, least: 100, most: 10000), headroom: 10, tolerance: \"50 %\", interval: \"1 s\")"),
        ("Shed", "Shed(load: Inside(300))"),
        ("Bulkhead", "Bulkhead(permits: 100, queue: 200, wait: \"5 s\")"),
        ("Breaker", "Breaker(trip: Consecutive(5), open: \"30 s\")"),
        ("Retry", "Retry(retries: 3, backoff: Exponential(base: \"100 ms\", factor: 2))"),
        ("Timeout", "Timeout(\"1 s\")"),
        ("StepTimeout", "StepTimeout(start: \"1 s\")"),
        ("HistoryTimeout", "HistoryTimeout(start: \"1 s\")"),
        ("Rfc6298Timeout", "Rfc6298Timeout(least: \"200 ms\")"),
        ("Hedge", "Hedge(delay: \"50 ms\")"),
        ("Degradation", "Degradation(latency: \"100 ms\")"),
        ("ErrorBudget", "ErrorBudget(objective: \"99.9 %\")"),
        ("LatencyBudget", "LatencyBudget(p95: \"100 ms\")"),
    ]
    .map(|(name, form)| Variant { name, form });
    let name = variant(cx, at, "a policy", &variants)?;
    match name {
        "Rate" => limits::fixed_rate(cx, at).map(LayerConfig::Rate),
        "PercentileRate" => limits::percentile_rate(cx, at).map(LayerConfig::Rate),
        "AimdRate" => limits::aimd_rate(cx, at).map(LayerConfig::Rate),
        "GradientRate" => limits::gradient_rate(cx, at).map(LayerConfig::Rate),
        "Shed" => guards::shed(cx, at).map(LayerConfig::Shed),
        "Bulkhead" => guards::bulkhead(cx, at).map(LayerConfig::Bulkhead),
        "Breaker" => breaker(cx, at).map(LayerConfig::Breaker),
        "Retry" => retry(cx, at).map(LayerConfig::Retry),
        "Hedge" => hedge(cx, at).map(LayerConfig::Hedge),
        "Degradation" => guards::degradation(cx, at).map(LayerConfig::Degradation),
        "ErrorBudget" => guards::error_budget(cx, at).map(LayerConfig::ErrorBudget),
        "LatencyBudget" => guards::latency_budget(cx, at).map(LayerConfig::LatencyBudget),
        "Timeout" => {
            let after = sole(cx, at, "a timeout", (name, "after"), value::quantity)?;
            Some(LayerConfig::Timeout(TimeoutConfig::Fixed(after)))
        }
        _ => limits::adaptive_timeout(cx, at, name).map(LayerConfig::Timeout),
    }
}

/// Any count; the policies know their bounds.
pub fn any_count(cx: &mut Context, at: &At) -> Option<u32> {
    count(cx, at, 0, u64::from(u32::MAX))
}

fn percent(of_hundred: u64) -> Probability {
    Probability::from_ratio(of_hundred, 100).expect("a share")
}

/// What counts as a failure or may be tried again.
fn classes(cx: &mut Context, at: &At) -> Option<Classes> {
    let names = [
        "Error",
        "Overloaded",
        "Unreachable",
        "Fatal",
        "Timeout",
        "Refused",
    ];
    let mut classes = Classes {
        error: false,
        overloaded: false,
        unreachable: false,
        fatal: false,
        timeout: false,
        refused: false,
    };
    let (_, complete) = list(cx, at, names.len(), |cx, at| {
        let variants = names.map(|name| Variant { name, form: name });
        let name = variant(cx, at, "a kind of failure", &variants)?;
        no_content(cx, at)?;
        let flag = match name {
            "Error" => &mut classes.error,
            "Overloaded" => &mut classes.overloaded,
            "Unreachable" => &mut classes.unreachable,
            "Fatal" => &mut classes.fatal,
            "Timeout" => &mut classes.timeout,
            _ => &mut classes.refused,
        };
        if std::mem::replace(flag, true) {
            return cx.refuse(at, format!("`{name}` is in the list already"));
        }
        Some(())
    });
    complete.then_some(classes)
}

fn breaker(cx: &mut Context, at: &At) -> Option<BreakerConfig> {
    let known = ["trip", "open", "open_jitter", "permits", "successes", "counts"];
    let fields = Fields::of(cx, at, "a breaker", Some("Breaker"), &known)?;
    let default = Operation::Send.breaker();
    let trip = fields.optional(cx, "trip", default.trip, trip);
    let open = fields.optional(cx, "open", default.open, value::quantity);
    let open_jitter = fields.optional(cx, "open_jitter", default.open_jitter, value::quantity);
    let permits = fields.optional(cx, "permits", default.permits, any_count);
    let successes = fields.optional(cx, "successes", default.successes, any_count);
    let counts = fields.optional(cx, "counts", default.counts, classes);
    Some(BreakerConfig {
        trip: trip?,
        open: open?,
        open_jitter: open_jitter?,
        permits: permits?,
        successes: successes?,
        counts: counts?,
    })
}

fn trip(cx: &mut Context, at: &At) -> Option<Trip> {
    let variants = [
        Variant {
            name: "Consecutive",
            form: "Consecutive(5)",
        },
        Variant {
            name: "CountWindow",
            form: "CountWindow(calls: 100, failure_rate: \"50 %\", minimum: 20)",
        },
        Variant {
            name: "TimeWindow",
            form: "TimeWindow(window: \"10 s\", failure_rate: \"50 %\", minimum: 20)",
        },
    ];
    let name = variant(cx, at, "what trips a breaker", &variants)?;
    match name {
        "Consecutive" => {
            let failures = sole(cx, at, "failures in a row", (name, "failures"), any_count)?;
            Some(Trip::Consecutive { failures })
        }
        "CountWindow" => {
            let known = ["calls", "failure_rate", "minimum"];
            let fields = Fields::of(cx, at, "a window of calls", Some(name), &known)?;
            let calls = fields.required(cx, "calls", any_count);
            let failure_rate = fields.required(cx, "failure_rate", value::quantity);
            let minimum = fields.required(cx, "minimum", any_count);
            Some(Trip::CountWindow {
                calls: calls?,
                failure_rate: failure_rate?,
                minimum: minimum?,
            })
        }
        _ => {
            let known = ["window", "failure_rate", "minimum"];
            let fields = Fields::of(cx, at, "a window of time", Some(name), &known)?;
            let window = fields.required(cx, "window", value::quantity);
            let failure_rate = fields.required(cx, "failure_rate", value::quantity);
            let minimum = fields.required(cx, "minimum", any_count);
            Some(Trip::TimeWindow {
                window: window?,
                failure_rate: failure_rate?,
                minimum: minimum?,
            })
        }
    }
}

fn retry(cx: &mut Context, at: &At) -> Option<RetryConfig> {
    let known = [
        "retries",
        "backoff",
        "cap",
        "jitter",
        "retryable",
        "non_idempotent",
        "budget",
    ];
    let fields = Fields::of(cx, at, "a retry", Some("Retry"), &known)?;
    let default = Operation::Send.retry();
    let retries = fields.optional(cx, "retries", default.retries, any_count);
    let backoff = fields.optional(cx, "backoff", default.backoff, backoff);
    let cap = fields.optional(cx, "cap", default.cap, value::quantity);
    let jitter = fields.optional(cx, "jitter", default.jitter, jitter);
    let retryable = fields.optional(cx, "retryable", default.retryable, classes);
    let non_idempotent = fields.optional(cx, "non_idempotent", default.non_idempotent, value::boolean);
    let budget = fields.optional(cx, "budget", default.budget, |cx, at| unless_none(cx, at, budget));
    Some(RetryConfig {
        retries: retries?,
        backoff: backoff?,
        cap: cap?,
        jitter: jitter?,
        retryable: retryable?,
        non_idempotent: non_idempotent?,
        budget: budget?,
    })
}

fn backoff(cx: &mut Context, at: &At) -> Option<Backoff> {
    let variants = [
        Variant {
            name: "Exponential",
            form: "Exponential(base: \"100 ms\", factor: 2)",
        },
        Variant {
            name: "Linear",
            form: "Linear(base: \"100 ms\", increment: \"50 ms\")",
        },
        Variant {
            name: "Fibonacci",
            form: "Fibonacci(\"100 ms\")",
        },
    ];
    let name = variant(cx, at, "a back-off", &variants)?;
    match name {
        "Exponential" => {
            let fields = Fields::of(cx, at, "an exponential back-off", Some(name), &["base", "factor"])?;
            let base = fields.required(cx, "base", value::quantity);
            let factor = fields.optional(cx, "factor", 2, any_count);
            Some(Backoff::Exponential {
                base: base?,
                factor: factor?,
            })
        }
        "Linear" => {
            let fields = Fields::of(cx, at, "a linear back-off", Some(name), &["base", "increment"])?;
            let base = fields.required(cx, "base", value::quantity);
            let increment = fields.required(cx, "increment", value::quantity);
            Some(Backoff::Linear {
                base: base?,
                increment: increment?,
            })
        }
        _ => {
            let base = sole(cx, at, "a Fibonacci back-off", (name, "base"), value::quantity)?;
            Some(Backoff::Fibonacci { base })
        }
    }
}

fn jitter(cx: &mut Context, at: &At) -> Option<Jitter> {
    let variants = ["None", "Full", "Equal", "PlusMinusTenth"].map(|name| Variant { name, form: name });
    let name = variant(cx, at, "a jitter", &variants)?;
    no_content(cx, at)?;
    Some(match name {
        "None" => Jitter::None,
        "Full" => Jitter::Full,
        "Equal" => Jitter::Equal,
        _ => Jitter::PlusMinusTenth,
    })
}

/// A budget of retries or hedges.
fn budget(cx: &mut Context, at: &At) -> Option<RetryBudgetConfig> {
    let known = ["ratio", "minimum_per_s", "window"];
    let fields = Fields::of(cx, at, "a budget", None, &known)?;
    let default = RetryBudgetConfig::USUAL;
    let ratio = fields.optional(cx, "ratio", default.ratio, value::quantity);
    let minimum_per_s = fields.optional(cx, "minimum_per_s", default.minimum_per_s, any_count);
    let window = fields.optional(cx, "window", default.window, value::quantity);
    Some(RetryBudgetConfig {
        ratio: ratio?,
        minimum_per_s: minimum_per_s?,
        window: window?,
    })
}

fn hedge(cx: &mut Context, at: &At) -> Option<HedgeConfig> {
    let known = ["delay", "hedges", "non_idempotent", "budget"];
    let fields = Fields::of(cx, at, "a hedge", Some("Hedge"), &known)?;
    let delay = fields.required(cx, "delay", hedge_delay);
    let hedges = fields.optional(cx, "hedges", 1, any_count);
    let non_idempotent = fields.optional(cx, "non_idempotent", false, value::boolean);
    let budget = fields.optional(cx, "budget", None, |cx, at| unless_none(cx, at, budget));
    Some(HedgeConfig {
        delay: delay?,
        hedges: hedges?,
        non_idempotent: non_idempotent?,
        budget: budget?,
    })
}

/// A time, or a percentile of those that were seen.
fn hedge_delay(cx: &mut Context, at: &At) -> Option<HedgeDelay> {
    if value::text_of(at.node).is_some() {
        return value::quantity(cx, at).map(HedgeDelay::Fixed);
    }
    let variants = [Variant {
        name: "Percentile",
        form: "\"50 ms\" or Percentile(percentile: \"95 %\", window: 100, until_then: \"100 ms\")",
    }];
    let name = variant(cx, at, "a delay", &variants)?;
    let known = ["percentile", "window", "until_then"];
    let fields = Fields::of(cx, at, "a percentile", Some(name), &known)?;
    let percentile = fields.optional(cx, "percentile", percent(95), value::quantity);
    let window = fields.optional(cx, "window", 100, any_count);
    let until_then = fields.required(cx, "until_then", value::quantity);
    Some(HedgeDelay::Percentile {
        percentile: percentile?,
        window: window?,
        until_then: until_then?,
    })
}
