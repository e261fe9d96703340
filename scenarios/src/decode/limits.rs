//! Policies that follow the latencies: rate limiters and adaptive timeouts.

use longhaul_core::time::Span;
use longhaul_resilience::Rate;
use longhaul_resilience::bucket::BucketConfig;
use longhaul_resilience::limiter::{RateConfig, RateRange};
use longhaul_resilience::timeout::{ADAPTIVE_LEAST, ADAPTIVE_MOST, TimeoutConfig};

use super::context::{At, Context, Fields};
use super::layers::any_count;
use super::value;

/// Latencies that a percentile is taken from.
const WINDOW: u32 = 100;

/// Calls per second, with up to six decimals.
fn rate(cx: &mut Context, at: &At) -> Option<Rate> {
    let most = i64::try_from(Rate::MAX.as_parts()).expect("a rate below 2^63");
    let parts = value::millionths(cx, at, 0, most)?;
    Some(Rate::from_parts(parts.unsigned_abs()))
}

pub fn fixed_rate(cx: &mut Context, at: &At) -> Option<RateConfig> {
    let fields = Fields::of(cx, at, "a rate limiter", Some("Rate"), &["rate", "burst"])?;
    let rate = fields.required(cx, "rate", rate);
    let burst = fields.required(cx, "burst", any_count);
    Some(RateConfig::Fixed(BucketConfig {
        rate: rate?,
        burst: burst?,
    }))
}

/// Between what a rate may move.
fn range(cx: &mut Context, at: &At) -> Option<RateRange> {
    let fields = Fields::of(cx, at, "a range of rates", None, &["start", "least", "most"])?;
    let start = fields.required(cx, "start", rate);
    let least = fields.required(cx, "least", rate);
    let most = fields.required(cx, "most", rate);
    Some(RateRange {
        start: start?,
        least: least?,
        most: most?,
    })
}

pub fn percentile_rate(cx: &mut Context, at: &At) -> Option<RateConfig> {
    let known = ["range", "target", "window", "interval"];
    let fields = Fields::of(cx, at, "a rate limiter", Some("PercentileRate"), &known)?;
    let range = fields.required(cx, "range", range);
    let target = fields.required(cx, "target", value::quantity);
    let window = fields.optional(cx, "window", WINDOW, any_count);
    let interval = fields.optional(cx, "interval", Span::ZERO, value::quantity);
    Some(RateConfig::Percentile {
        range: range?,
        target: target?,
        window: window?,
        interval: interval?,
    })
}

pub fn aimd_rate(cx: &mut Context, at: &At) -> Option<RateConfig> {
    let known = ["range", "target", "increase", "decrease", "interval"];
    let fields = Fields::of(cx, at, "a rate limiter", Some("AimdRate"), &known)?;
    let range = fields.required(cx, "range", range);
    let target = fields.required(cx, "target", value::quantity);
    let increase = fields.required(cx, "increase", rate);
    let decrease = fields.required(cx, "decrease", value::quantity);
    let interval = fields.required(cx, "interval", value::quantity);
    Some(RateConfig::Aimd {
        range: range?,
        target: target?,
        increase: increase?,
        decrease: decrease?,
        interval: interval?,
    })
}

pub fn gradient_rate(cx: &mut Context, at: &At) -> Option<RateConfig> {
    let known = ["range", "headroom", "tolerance", "interval"];
    let fields = Fields::of(cx, at, "a rate limiter", Some("GradientRate"), &known)?;
    let range = fields.required(cx, "range", range);
    let headroom = fields.required(cx, "headroom", rate);
    let tolerance = fields.required(cx, "tolerance", value::quantity);
    let interval = fields.required(cx, "interval", value::quantity);
    Some(RateConfig::Gradient {
        range: range?,
        headroom: headroom?,
        tolerance: tolerance?,
        interval: interval?,
    })
}

/// A timeout that is not fixed, by the name of its variant.
pub fn adaptive_timeout(cx: &mut Context, at: &At, name: &str) -> Option<TimeoutConfig> {
    if name == "Rfc6298Timeout" {
        return rfc6298(cx, at);
    }
    let fields = Fields::of(
        cx,
        at,
        "an adaptive timeout",
        Some(name),
        &["start", "least", "most"],
    )?;
    let start = fields.required(cx, "start", value::quantity);
    let least = fields.optional(cx, "least", ADAPTIVE_LEAST, value::quantity);
    let most = fields.optional(cx, "most", ADAPTIVE_MOST, value::quantity);
    let (start, least, most) = (start?, least?, most?);
    Some(if name == "StepTimeout" {
        TimeoutConfig::Step { start, least, most }
    } else {
        TimeoutConfig::History { start, least, most }
    })
}

fn rfc6298(cx: &mut Context, at: &At) -> Option<TimeoutConfig> {
    let known = ["start", "least", "most", "granularity"];
    let fields = Fields::of(cx, at, "an adaptive timeout", Some("Rfc6298Timeout"), &known)?;
    // Sections 2.1, 2.4 and 2.5 of the RFC, and the clock of `TimeoutConfig::rfc6298`.
    let start = fields.optional(cx, "start", Span::from_s(1), value::quantity);
    let least = fields.optional(cx, "least", Span::from_s(1), value::quantity);
    let most = fields.optional(cx, "most", Span::from_s(60), value::quantity);
    let granularity = fields.optional(cx, "granularity", Span::from_ms(1), value::quantity);
    Some(TimeoutConfig::Rfc6298 {
        start: start?,
        least: least?,
        most: most?,
        granularity: granularity?,
    })
}
