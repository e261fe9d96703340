//! Policies that let calls in or watch them: load shedding, bulkheads, degradation and budgets.

use longhaul_core::time::Span;
use longhaul_core::units::Probability;
use longhaul_resilience::budget::ErrorBudgetConfig;
use longhaul_resilience::bulkhead::BulkheadConfig;
use longhaul_resilience::degradation::DegradationConfig;
use longhaul_resilience::latency::LatencyBudgetConfig;
use longhaul_resilience::named::Operation;
use longhaul_resilience::shedding::{LoadSource, SheddingConfig};

use super::client::priority;
use super::context::{At, Context, Fields, Variant, no_content, unless_none, variant};
use super::layers::any_count;
use super::load::sole;
use super::value;

pub fn shed(cx: &mut Context, at: &At) -> Option<SheddingConfig> {
    let known = ["load", "max_load", "cap", "exempt"];
    let fields = Fields::of(cx, at, "load shedding", Some("Shed"), &known)?;
    let default = Operation::Send.shedding();
    let load = fields.required(cx, "load", load_source);
    let max_load = fields.optional(cx, "max_load", default.max_load, value::quantity);
    let cap = fields.optional(cx, "cap", default.cap, value::quantity);
    let exempt = fields.optional(cx, "exempt", default.exempt, |cx, at| {
        unless_none(cx, at, priority)
    });
    Some(SheddingConfig {
        load: load?,
        max_load: max_load?,
        cap: cap?,
        exempt: exempt?,
    })
}

fn load_source(cx: &mut Context, at: &At) -> Option<LoadSource> {
    let variants = [
        Variant {
            name: "Reported",
            form: "Reported",
        },
        Variant {
            name: "Inside",
            form: "Inside(300)",
        },
    ];
    let name = variant(cx, at, "a load", &variants)?;
    if name == "Reported" {
        return no_content(cx, at).map(|()| LoadSource::Reported);
    }
    let capacity = sole(cx, at, "the load of calls inside", (name, "capacity"), any_count)?;
    Some(LoadSource::Inside { capacity })
}

pub fn bulkhead(cx: &mut Context, at: &At) -> Option<BulkheadConfig> {
    let known = ["permits", "queue", "wait"];
    let fields = Fields::of(cx, at, "a bulkhead", Some("Bulkhead"), &known)?;
    let permits = fields.required(cx, "permits", any_count);
    let queue = fields.optional(cx, "queue", 0, any_count);
    let wait = fields.optional(cx, "wait", None, |cx, at| unless_none(cx, at, value::quantity));
    Some(BulkheadConfig {
        permits: permits?,
        queue: queue?,
        wait: wait?,
    })
}

pub fn degradation(cx: &mut Context, at: &At) -> Option<DegradationConfig> {
    let known = [
        "error_rate",
        "latency",
        "window",
        "minimum",
        "margin",
        "hold",
        "emergency_admits",
        "emergency_probe",
    ];
    let fields = Fields::of(cx, at, "a degradation", Some("Degradation"), &known)?;
    let default = Operation::Send.degradation();
    let error_rate = fields.optional(cx, "error_rate", default.error_rate, value::quantity);
    let latency = fields.required(cx, "latency", value::quantity);
    let window = fields.optional(cx, "window", default.window, any_count);
    let minimum = fields.optional(cx, "minimum", default.minimum, any_count);
    let margin = fields.optional(cx, "margin", default.margin, value::quantity);
    let hold = fields.optional(cx, "hold", default.hold, value::quantity);
    let emergency_admits = fields.optional(cx, "emergency_admits", default.emergency_admits, priority);
    let emergency_probe = fields.optional(cx, "emergency_probe", default.emergency_probe, value::quantity);
    Some(DegradationConfig {
        error_rate: error_rate?,
        latency: latency?,
        window: window?,
        minimum: minimum?,
        margin: margin?,
        hold: hold?,
        emergency_admits: emergency_admits?,
        emergency_probe: emergency_probe?,
    })
}

pub fn error_budget(cx: &mut Context, at: &At) -> Option<ErrorBudgetConfig> {
    let known = ["objective", "window", "minimum"];
    let fields = Fields::of(cx, at, "an error budget", Some("ErrorBudget"), &known)?;
    let default = ErrorBudgetConfig::hourly(Probability::ZERO);
    let objective = fields.required(cx, "objective", value::quantity);
    let window = fields.optional(cx, "window", default.window, value::quantity);
    let minimum = fields.optional(cx, "minimum", default.minimum, any_count);
    Some(ErrorBudgetConfig {
        objective: objective?,
        window: window?,
        minimum: minimum?,
    })
}

pub fn latency_budget(cx: &mut Context, at: &At) -> Option<LatencyBudgetConfig> {
    let known = ["p95", "window", "minimum"];
    let fields = Fields::of(cx, at, "a latency budget", Some("LatencyBudget"), &known)?;
    let default = LatencyBudgetConfig::of(Span::ZERO);
    let p95 = fields.required(cx, "p95", value::quantity);
    let window = fields.optional(cx, "window", default.window, any_count);
    let minimum = fields.optional(cx, "minimum", default.minimum, any_count);
    Some(LatencyBudgetConfig {
        p95: p95?,
        window: window?,
        minimum: minimum?,
    })
}
