//! How a service is called: by clients, and by servers in front of it.

use longhaul_core::time::Span;
use longhaul_core::units::{ByteSize, Probability};
use longhaul_resilience::StackConfig;
use longhaul_resilience::health::{HealthConfig, OutOf, Probe};
use longhaul_service::wire::MAX_BODY_BYTES;
use longhaul_service::{Choice, ConnectionOptions, EjectionOptions, NameOptions, ServiceOptions};

use super::context::{At, Context, Fields, Variant, no_content, unless_none, variant};
use super::names::reference;
use super::work::positive_span;
use super::{policies, value};

/// The fields that [`calls`] reads.
pub const FIELDS: [&str; 10] = [
    "choice",
    "spread",
    "policies",
    "names",
    "connection",
    "ejection",
    "health",
    "cancel",
    "propagate_deadline",
    "report_policies",
];

/// The most of anything that is counted.
const MOST: u64 = 1_000_000;

/// Envoy's outlier detection as it is unless something else is said: five errors in a row, 30 s longer each time up to
/// 300 s, a tenth of the hosts.
const EJECTION: EjectionOptions = EjectionOptions {
    failures: 5,
    time: Span::from_s(30),
    time_max: Span::from_s(300),
    share_max: match Probability::from_parts(Probability::PARTS / 10) {
        Some(share) => share,
        None => panic!("a tenth is a share"),
    },
};

/// The name of a service.
pub fn service_name(cx: &mut Context, at: &At) -> Option<String> {
    reference(cx, at, "service", |names| &names.services)
}

/// The length of a body.
pub fn body(cx: &mut Context, at: &At) -> Option<ByteSize> {
    let most = ByteSize::from_bytes(u64::from(MAX_BODY_BYTES));
    value::quantity_within(cx, at, &ByteSize::from_bytes(0), &most)
}

/// A whole number within `least..=most`.
pub fn count(cx: &mut Context, at: &At, least: u64, most: u64) -> Option<u32> {
    let count = value::integer(cx, at, least, most.min(u64::from(u32::MAX)))?;
    Some(u32::try_from(count).expect("within the range of u32"))
}

/// How a service is called. Who its replicas are is not known here.
pub fn calls(cx: &mut Context, fields: &Fields) -> Option<ServiceOptions> {
    let choice = fields.optional(cx, "choice", Choice::PrimaryFirst, choice);
    let spread = fields.optional(cx, "spread", false, value::boolean);
    let stack = fields.optional(cx, "policies", StackConfig::default(), policies::stack);
    let names = fields.optional(cx, "names", None, |cx, at| unless_none(cx, at, names));
    let connection = fields.optional(cx, "connection", ConnectionOptions::default(), connection);
    let ejection = fields.optional(cx, "ejection", None, |cx, at| unless_none(cx, at, ejection));
    let health = fields.optional(cx, "health", None, |cx, at| unless_none(cx, at, health));
    let cancel = fields.optional(cx, "cancel", false, value::boolean);
    let propagate_deadline = fields.optional(cx, "propagate_deadline", false, value::boolean);
    let report_policies = fields.optional(cx, "report_policies", false, value::boolean);
    Some(ServiceOptions {
        replicas: Vec::new(),
        choice: choice?,
        spread: spread?,
        stack: stack?,
        names: names?,
        connection: connection?,
        ejection: ejection?,
        health: health?,
        cancel: cancel?,
        propagate_deadline: propagate_deadline?,
        report_policies: report_policies?,
    })
}

fn choice(cx: &mut Context, at: &At) -> Option<Choice> {
    let variants = ["PrimaryFirst", "RoundRobin", "Nearest", "LeastOutstanding"]
        .map(|name| Variant { name, form: name });
    let name = variant(cx, at, "a choice of replicas", &variants)?;
    no_content(cx, at)?;
    Some(match name {
        "PrimaryFirst" => Choice::PrimaryFirst,
        "RoundRobin" => Choice::RoundRobin,
        "Nearest" => Choice::Nearest,
        _ => Choice::LeastOutstanding,
    })
}

/// Refuses the field `name` if what it says is longer than what bounds it.
fn ordered(cx: &mut Context, fields: &Fields, name: &str, span: Span, bound: (&str, Span)) -> Option<()> {
    if span <= bound.1 {
        return Some(());
    }
    let message = format!("{span} is longer than `{}`, {}", bound.0, bound.1);
    match fields.get(name).or_else(|| fields.get(bound.0)) {
        Some(at) => cx.refuse(&at, message),
        // Defaults are in order.
        None => Some(()),
    }
}

fn names(cx: &mut Context, at: &At) -> Option<NameOptions> {
    let known = ["ttl", "lookup_time", "timeout", "negative_ttl", "serve_stale"];
    let fields = Fields::of(cx, at, "a lookup of names", None, &known)?;
    let default = NameOptions::default();
    let ttl = fields.optional(cx, "ttl", default.ttl, value::quantity);
    let lookup_time = fields.optional(cx, "lookup_time", default.lookup_time, positive_span);
    let timeout = fields.optional(cx, "timeout", default.timeout, positive_span);
    let negative_ttl = fields.optional(cx, "negative_ttl", default.negative_ttl, value::quantity);
    let serve_stale = fields.optional(cx, "serve_stale", default.serve_stale, value::boolean);
    let (lookup_time, timeout) = (lookup_time?, timeout?);
    ordered(cx, &fields, "lookup_time", lookup_time, ("timeout", timeout))?;
    Some(NameOptions {
        ttl: ttl?,
        lookup_time,
        timeout,
        negative_ttl: negative_ttl?,
        serve_stale: serve_stale?,
    })
}

fn connection(cx: &mut Context, at: &At) -> Option<ConnectionOptions> {
    let known = ["connect_timeout", "backoff", "backoff_max", "silence"];
    let fields = Fields::of(cx, at, "a connection", None, &known)?;
    let default = ConnectionOptions::default();
    let connect_timeout = fields.optional(cx, "connect_timeout", default.connect_timeout, positive_span);
    let backoff = fields.optional(cx, "backoff", default.backoff, positive_span);
    let backoff_max = fields.optional(cx, "backoff_max", default.backoff_max, positive_span);
    let silence = fields.optional(cx, "silence", default.silence, |cx, at| {
        unless_none(cx, at, positive_span)
    });
    let (backoff, backoff_max) = (backoff?, backoff_max?);
    ordered(cx, &fields, "backoff", backoff, ("backoff_max", backoff_max))?;
    Some(ConnectionOptions {
        connect_timeout: connect_timeout?,
        backoff,
        backoff_max,
        silence: silence?,
    })
}

fn ejection(cx: &mut Context, at: &At) -> Option<EjectionOptions> {
    let known = ["failures", "time", "time_max", "share_max"];
    let fields = Fields::of(cx, at, "an ejection", None, &known)?;
    let failures = fields.optional(cx, "failures", EJECTION.failures, |cx, at| count(cx, at, 1, MOST));
    let time = fields.optional(cx, "time", EJECTION.time, positive_span);
    let time_max = fields.optional(cx, "time_max", EJECTION.time_max, positive_span);
    let share_max = fields.optional(cx, "share_max", EJECTION.share_max, value::quantity);
    let (time, time_max) = (time?, time_max?);
    ordered(cx, &fields, "time", time, ("time_max", time_max))?;
    Some(EjectionOptions {
        failures: failures?,
        time,
        time_max,
        share_max: share_max?,
    })
}

/// Pings, each replica on its own.
fn health(cx: &mut Context, at: &At) -> Option<HealthConfig> {
    let known = ["interval", "timeout", "fall", "rise"];
    let fields = Fields::of(cx, at, "a health check", None, &known)?;
    let default = HealthConfig::new("ping", Probe::Ping);
    let interval = fields.optional(cx, "interval", default.interval, value::quantity);
    let timeout = fields.optional(cx, "timeout", default.timeout, value::quantity);
    let fall = fields.optional(cx, "fall", default.fall, |cx, at| out_of(cx, at, default.fall));
    let rise = fields.optional(cx, "rise", default.rise, |cx, at| out_of(cx, at, default.rise));
    let health = HealthConfig {
        interval: interval?,
        timeout: timeout?,
        fall: fall?,
        rise: rise?,
        ..default
    };
    match health.check(0) {
        Ok(()) => Some(health),
        Err(errors) => {
            for error in &errors {
                policies::refuse_field(cx, at, error);
            }
            None
        }
    }
}

/// So many of the last so many answers.
fn out_of(cx: &mut Context, at: &At, default: OutOf) -> Option<OutOf> {
    let fields = Fields::of(cx, at, "a share of the last answers", None, &["k", "n"])?;
    let any = |cx: &mut Context, at: &At| count(cx, at, 0, u64::from(u32::MAX));
    let k = fields.optional(cx, "k", default.k, any);
    let n = fields.optional(cx, "n", default.n, any);
    Some(OutOf { k: k?, n: n? })
}
