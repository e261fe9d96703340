//! When clients make requests, and laws of how long something takes.

use longhaul_core::time::Span;
use longhaul_service::{Arrivals, ArrivalsError, Load, Pattern, Rate, Step, TimeLaw};

use crate::syntax::Kind;

use super::context::{At, Context, Fields, Variant, list, no_content, variant};
use super::value;
use super::work::positive_span;

/// Most users of one client.
const MOST_USERS: u64 = 1_000_000;
/// Most steps of one rate.
const MOST_STEPS: usize = 10_000;
/// Longest mean interval between requests: that of the lowest rate, a millionth per second.
const LONGEST_INTERVAL: Span = Span::from_s(1_000_000);
/// A rate in millionths per second times its interval in nanoseconds.
const PARTS_NS: u64 = 1_000_000_000_000_000;
/// Largest standard deviation of a logarithm, in millionths.
const LARGEST_SIGMA: i64 = 5_000_000;

/// The one value of a variant that may be written with or without its name: `Timeout("1 s")`, `Timeout(after: "1 s")`.
pub fn sole<'n, T>(
    cx: &mut Context,
    at: &At<'n>,
    what: &str,
    (variant, field): (&str, &str),
    decode: impl FnOnce(&mut Context, &At<'n>) -> Option<T>,
) -> Option<T> {
    if let Kind::Tuple(_, items) = &at.node.kind
        && let [only] = &items[..]
    {
        let only = At {
            node: only,
            path: at.path.clone(),
        };
        return decode(cx, &only);
    }
    let fields = Fields::of(cx, at, what, Some(variant), &[field])?;
    fields.required(cx, field, decode)
}

/// What makes a client begin requests.
pub fn load(cx: &mut Context, at: &At) -> Option<Load> {
    let variants = [
        Variant {
            name: "Open",
            form: "Open(pattern: Poisson, rate: Steady(500))",
        },
        Variant {
            name: "Closed",
            form: "Closed(users: 100, think: Exponential(\"1 s\"))",
        },
    ];
    let name = variant(cx, at, "a load", &variants)?;
    if name == "Open" {
        let fields = Fields::of(cx, at, "an open loop", Some(name), &["pattern", "rate"])?;
        let pattern = fields.optional(cx, "pattern", Pattern::Poisson, pattern);
        let rate = fields.required(cx, "rate", rate);
        return Some(Load::Open(Arrivals {
            pattern: pattern?,
            rate: rate?,
        }));
    }
    let fields = Fields::of(cx, at, "a closed loop", Some(name), &["users", "think"])?;
    let users = fields.required(cx, "users", |cx, at| {
        let users = value::integer(cx, at, 1, MOST_USERS)?;
        Some(u32::try_from(users).expect("at most a million"))
    });
    let think = fields.required(cx, "think", time_law);
    Some(Load::Closed {
        users: users?,
        think: think?,
    })
}

fn pattern(cx: &mut Context, at: &At) -> Option<Pattern> {
    let variants = ["Regular", "Poisson"].map(|name| Variant { name, form: name });
    let name = variant(cx, at, "a pattern", &variants)?;
    no_content(cx, at)?;
    Some(if name == "Regular" {
        Pattern::Regular
    } else {
        Pattern::Poisson
    })
}

fn rate(cx: &mut Context, at: &At) -> Option<Rate> {
    let variants = [
        Variant {
            name: "Steady",
            form: "Steady(500)",
        },
        Variant {
            name: "Bursts",
            form: "Bursts(on: \"1 s\", off: \"9 s\", rate: 500)",
        },
        Variant {
            name: "Sinusoidal",
            form: "Sinusoidal(rate: 500, amplitude: \"50 %\", period: \"60 s\")",
        },
        Variant {
            name: "Steps",
            form: "Steps([(at: \"0 s\", rate: 500)])",
        },
    ];
    let name = variant(cx, at, "a rate of requests", &variants)?;
    match name {
        "Steady" => steady(cx, at),
        "Bursts" => {
            let known = ["on", "off", "rate", "interval"];
            let fields = Fields::of(cx, at, "bursts", Some(name), &known)?;
            let on = fields.required(cx, "on", positive_span);
            let off = fields.required(cx, "off", value::quantity);
            let interval = interval(cx, &fields);
            Some(Rate::Bursts {
                on: on?,
                off: off?,
                interval: interval?,
            })
        }
        "Sinusoidal" => {
            let known = ["rate", "interval", "amplitude", "period"];
            let fields = Fields::of(cx, at, "a sinusoidal rate", Some(name), &known)?;
            let interval = interval(cx, &fields);
            let amplitude = fields.required(cx, "amplitude", value::quantity);
            let period = fields.required(cx, "period", positive_span);
            Some(Rate::Sinusoidal {
                interval: interval?,
                amplitude: amplitude?,
                period: period?,
            })
        }
        _ => sole(cx, at, "a rate in steps", (name, "steps"), steps).map(Rate::Steps),
    }
}

fn steady(cx: &mut Context, at: &At) -> Option<Rate> {
    let interval = match &at.node.kind {
        Kind::Tuple(_, items) if items.len() == 1 => {
            let only = At {
                node: &items[0],
                path: at.path.clone(),
            };
            per_second(cx, &only)
        }
        _ => {
            let known = ["rate", "interval"];
            let fields = Fields::of(cx, at, "a steady rate", Some("Steady"), &known)?;
            interval(cx, &fields)
        }
    };
    interval.map(|interval| Rate::Steady { interval })
}

/// A mean interval, given so or as a rate.
fn interval(cx: &mut Context, fields: &Fields) -> Option<Span> {
    match fields.get("interval") {
        None => fields.required(cx, "rate", per_second),
        Some(at) if fields.get("rate").is_some() => {
            cx.refuse(&at, "requests have a `rate` or an `interval`, not both")
        }
        Some(at) => value::quantity_within(cx, &at, &Span::from_ns(1), &LONGEST_INTERVAL),
    }
}

/// Requests per second with up to six decimals, as the nearest mean interval in whole nanoseconds.
fn per_second(cx: &mut Context, at: &At) -> Option<Span> {
    let millionths = value::millionths(cx, at, 1, PARTS_NS.cast_signed())?;
    Some(interval_of(millionths.unsigned_abs()))
}

fn interval_of(millionths: u64) -> Span {
    Span::from_ns((PARTS_NS + millionths / 2) / millionths)
}

/// The rate in millionths per second that is read as exactly this interval, if there is one.
pub fn rate_of(interval: Span) -> Option<u64> {
    let ns = interval.as_ns();
    let millionths = PARTS_NS.checked_add(ns / 2)?.checked_div(ns)?;
    (millionths > 0 && interval_of(millionths) == interval).then_some(millionths)
}

fn steps(cx: &mut Context, at: &At) -> Option<Vec<Step>> {
    let (steps, complete) = list(cx, at, MOST_STEPS, step);
    let steps: Vec<Step> = steps.into_iter().map(|(_, step)| step).collect();
    if !complete {
        return None;
    }
    let arrivals = Arrivals {
        pattern: Pattern::Regular,
        rate: Rate::Steps(steps.clone()),
    };
    match arrivals.check() {
        Ok(()) => Some(steps),
        Err(ArrivalsError::Order { index }) => {
            let step = at.item(index, &at.node.items()[index]);
            let place = step.node.field("at").map(|node| step.field("at", node));
            cx.refuse(&place.unwrap_or(step), "this is not later than the step before")
        }
        Err(error) => cx.refuse(at, error.to_string()),
    }
}

/// From when on which rate applies; a rate of zero is a pause.
fn step(cx: &mut Context, at: &At) -> Option<Step> {
    let fields = Fields::of(cx, at, "a step", None, &["at", "rate", "interval"])?;
    let when = fields.required(cx, "at", value::quantity);
    let pause = fields.get("interval").is_none()
        && fields.get("rate").is_some_and(|at| match &at.node.kind {
            Kind::Number(number) => number.bytes().all(|b| matches!(b, b'0' | b'.' | b'_')),
            _ => false,
        });
    let interval = if pause {
        let zero = fields.required(cx, "rate", |cx, at| value::millionths(cx, at, 0, 0));
        zero.map(|_| None)
    } else {
        interval(cx, &fields).map(Some)
    };
    Some(Step {
        at: when?,
        interval: interval?,
    })
}

/// How long something takes.
pub fn time_law(cx: &mut Context, at: &At) -> Option<TimeLaw> {
    let variants = [
        Variant {
            name: "Constant",
            form: "Constant(\"2 ms\")",
        },
        Variant {
            name: "Uniform",
            form: "Uniform(min: \"1 ms\", max: \"3 ms\")",
        },
        Variant {
            name: "Exponential",
            form: "Exponential(\"2 ms\")",
        },
        Variant {
            name: "LogNormal",
            form: "LogNormal(mean: \"2 ms\", sigma: 1.0)",
        },
        Variant {
            name: "Bimodal",
            form: "Bimodal(short: \"1 ms\", long: \"50 ms\", long_share: \"2 %\")",
        },
    ];
    let name = variant(cx, at, "a law of times", &variants)?;
    let law = match name {
        "Constant" => {
            sole(cx, at, "a constant time", (name, "time"), value::quantity).map(TimeLaw::Constant)?
        }
        "Exponential" => {
            let mean = sole(cx, at, "an exponential law", (name, "mean"), value::quantity)?;
            TimeLaw::Exponential { mean }
        }
        "Uniform" => {
            let fields = Fields::of(cx, at, "a uniform law", Some(name), &["min", "max"])?;
            let min = fields.required(cx, "min", value::quantity);
            let max = fields.required(cx, "max", value::quantity);
            TimeLaw::Uniform { min: min?, max: max? }
        }
        "LogNormal" => {
            let fields = Fields::of(cx, at, "a log-normal law", Some(name), &["mean", "sigma"])?;
            let mean = fields.required(cx, "mean", value::quantity);
            let sigma = fields.required(cx, "sigma", |cx, at| value::millionths(cx, at, 1, LARGEST_SIGMA));
            TimeLaw::LogNormal {
                mean: mean?,
                sigma: sigma? as f64 / 1e6,
            }
        }
        _ => {
            let known = ["short", "long", "long_share"];
            let fields = Fields::of(cx, at, "a law of two times", Some(name), &known)?;
            let short = fields.required(cx, "short", value::quantity);
            let long = fields.required(cx, "long", value::quantity);
            let long_share = fields.required(cx, "long_share", value::quantity);
            TimeLaw::Bimodal {
                short: short?,
                long: long?,
                long_share: long_share?,
            }
        }
    };
    match law.check() {
        Ok(()) => Some(law),
        Err(error) => cx.refuse(at, error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_printed_only_if_it_reads_back_as_the_same_interval() {
        for (millionths, ns) in [
            (500_000_000, 2_000_000),
            (333_000_000, 3_003_003),
            (1, PARTS_NS),
            (PARTS_NS, 1),
        ] {
            assert_eq!(interval_of(millionths), Span::from_ns(ns));
            let back = rate_of(Span::from_ns(ns)).expect("a rate");
            assert_eq!(interval_of(back), Span::from_ns(ns));
        }
        // Between two rates of a millionth.
        assert_eq!(rate_of(Span::from_ns(123_456_789_123)), None);
        assert_eq!(rate_of(Span::ZERO), None);
    }
}
