//! What happens to frames on a link: loss, jitter, changes over time, other traffic.

use longhaul_core::time::Span;
use longhaul_core::units::{ByteSize, Probability};
use longhaul_net::course::Steps;

use crate::schema::{Arrivals, Background, Jitter, Loss, Rate, Spread, Step};

use super::context::{At, Context, Fields, Variant, list, no_content, variant};
use super::network::{constant_rate, delay, mtu};
use super::queue::class_number;
use super::value::{self, MILLION};
use super::work::positive_span;

/// Longest mean burst of losses, in frames.
const LONGEST_BURST: u64 = 1_000_000;
/// Most changes of one link.
const MOST_CHANGES: usize = 10_000;

/// A loss law.
pub fn loss(cx: &mut Context, at: &At) -> Option<Loss> {
    let variants = [
        Variant {
            name: "None",
            form: "None",
        },
        Variant {
            name: "Independent",
            form: "Independent(mean: \"0.1 %\")",
        },
        Variant {
            name: "GilbertElliott",
            form: "GilbertElliott(mean: \"0.1 %\", burst: 3)",
        },
        Variant {
            name: "TwoState",
            form: "TwoState(mean: \"0.1 %\", stay: 3, bad: \"50 %\", good: \"0 %\")",
        },
    ];
    let name = variant(cx, at, "a loss law", &variants)?;
    let law = match name {
        "None" => return no_content(cx, at).map(|()| Loss::None),
        "Independent" => {
            let fields = Fields::of(cx, at, "independent loss", Some(name), &["mean"])?;
            return fields.required(cx, "mean", mean_loss).map(Loss::Independent);
        }
        "GilbertElliott" => {
            let fields = Fields::of(cx, at, "Gilbert–Elliott loss", Some(name), &["mean", "burst"])?;
            let mean = fields.required(cx, "mean", mean_loss);
            let burst = fields.required(cx, "burst", burst);
            Loss::GilbertElliott {
                mean: mean?,
                burst_packets: burst?,
            }
        }
        _ => {
            let known = ["mean", "stay", "bad", "good"];
            let fields = Fields::of(cx, at, "loss in two states", Some(name), &known)?;
            let mean = fields.required(cx, "mean", mean_loss);
            let stay = fields.required(cx, "stay", burst);
            let bad = fields.required(cx, "bad", value::quantity);
            let good = fields.required(cx, "good", value::quantity);
            Loss::TwoState {
                mean: mean?,
                stay_packets: stay?,
                bad: bad?,
                good: good?,
            }
        }
    };
    match law.check() {
        Ok(()) => Some(law),
        Err(error) => {
            let mean = match &at.node.kind {
                crate::syntax::Kind::Struct(_, fields) => {
                    fields.iter().find(|field| field.name.text == "mean")
                }
                _ => None,
            };
            let place = mean.map_or_else(|| at.clone(), |field| at.field("mean", &field.value));
            cx.refuse(&place, error.to_string())
        }
    }
}

fn burst(cx: &mut Context, at: &At) -> Option<u32> {
    let packets = value::integer(cx, at, 1, LONGEST_BURST)?;
    Some(u32::try_from(packets).expect("at most 10^6"))
}

fn mean_loss(cx: &mut Context, at: &At) -> Option<Probability> {
    let mean = value::quantity(cx, at)?;
    if mean == Probability::ONE {
        return cx.refuse(at, "a link that loses everything is no link; leave it out");
    }
    Some(mean)
}

/// A jitter law.
pub fn jitter(cx: &mut Context, at: &At) -> Option<Jitter> {
    let variants = [
        Variant {
            name: "None",
            form: "None",
        },
        Variant {
            name: "Normal",
            form: "Normal(mean: \"2 ms\", sd: \"1 ms\")",
        },
        Variant {
            name: "Uniform",
            form: "Uniform(max: \"5 ms\")",
        },
        Variant {
            name: "Pareto",
            form: "Pareto(mean: \"2 ms\", sd: \"1 ms\")",
        },
        Variant {
            name: "ParetoNormal",
            form: "ParetoNormal(mean: \"2 ms\", sd: \"1 ms\")",
        },
        Variant {
            name: "Table",
            form: "Table(mean: \"2 ms\", sd: \"1 ms\", file: \"own.dist\")",
        },
        Variant {
            name: "Measured",
            form: "Measured(file: \"delays.txt\")",
        },
    ];
    let name = variant(cx, at, "a jitter law", &variants)?;
    match name {
        "None" => no_content(cx, at).map(|()| Jitter::None),
        "Uniform" => {
            let fields = Fields::of(cx, at, "uniform jitter", Some(name), &["max"])?;
            let max = fields.required(cx, "max", delay)?;
            Some(Jitter::Uniform { max })
        }
        "Table" => {
            let fields = Fields::of(cx, at, "jitter by a table", Some(name), &["mean", "sd", "file"])?;
            let spread = spread(cx, &fields);
            let file = fields.required(cx, "file", value::sentence);
            Some(Jitter::Table {
                spread: spread?,
                file: file?,
            })
        }
        "Measured" => {
            let fields = Fields::of(cx, at, "measured jitter", Some(name), &["file"])?;
            let file = fields.required(cx, "file", value::sentence)?;
            Some(Jitter::Measured { file })
        }
        _ => {
            let fields = Fields::of(cx, at, "this jitter", Some(name), &["mean", "sd"])?;
            let spread = spread(cx, &fields)?;
            Some(match name {
                "Normal" => Jitter::Normal(spread),
                "Pareto" => Jitter::Pareto(spread),
                _ => Jitter::ParetoNormal(spread),
            })
        }
    }
}

fn spread(cx: &mut Context, fields: &Fields) -> Option<Spread> {
    let mean = fields.required(cx, "mean", delay);
    let sd = fields.required(cx, "sd", delay);
    Some(Spread { mean: mean?, sd: sd? })
}

/// What changes when.
pub fn changes(cx: &mut Context, at: &At) -> Option<Vec<Step>> {
    let (steps, complete) = list(cx, at, MOST_CHANGES, change);
    let steps: Vec<Step> = steps.into_iter().map(|(_, step)| step).collect();
    if !complete || steps.is_empty() {
        return complete.then_some(steps);
    }
    match Steps::new(steps.clone(), None) {
        Ok(_) => Some(steps),
        Err(error) => cx.refuse(at, error.to_string()),
    }
}

fn change(cx: &mut Context, at: &At) -> Option<Step> {
    let fields = Fields::of(cx, at, "a change", None, &["at", "rate", "delay", "loss", "mtu"])?;
    let when = fields.required(cx, "at", value::quantity);
    // A rate of zero is an outage.
    let rate = fields.optional(cx, "rate", None, |cx, at| value::quantity(cx, at).map(Some));
    let delay = fields.optional(cx, "delay", None, |cx, at| delay(cx, at).map(Some));
    let loss = fields.optional(cx, "loss", None, |cx, at| loss(cx, at).map(Some));
    let mtu = fields.optional(cx, "mtu", None, |cx, at| mtu(cx, at).map(Some));
    let (when, rate, delay, loss, mtu) = (when?, rate?, delay?, loss?, mtu?);
    if rate.is_none() && delay.is_none() && loss.is_none() && mtu.is_none() {
        return cx.refuse(
            at,
            "nothing changes: give a `rate`, a `delay`, a `loss` or an `mtu`",
        );
    }
    Some(Step {
        at: when,
        rate,
        delay,
        loss,
        mtu,
    })
}

/// Traffic of others.
pub fn background(cx: &mut Context, at: &At) -> Option<Option<Background>> {
    let variants = [
        Variant {
            name: "None",
            form: "None",
        },
        Variant {
            name: "Constant",
            form: "Constant(rate: \"10 Mbit/s\")",
        },
        Variant {
            name: "Poisson",
            form: "Poisson(rate: \"10 Mbit/s\")",
        },
        Variant {
            name: "OnOff",
            form: "OnOff(rate: \"10 Mbit/s\", mean_on: \"1 s\", mean_off: \"2 s\")",
        },
    ];
    let name = variant(cx, at, "background traffic", &variants)?;
    if name == "None" {
        return no_content(cx, at).map(|()| None);
    }
    let known = ["rate", "frame", "class", "mean_on", "mean_off", "shape"];
    let known = if name == "OnOff" { &known[..] } else { &known[..3] };
    let fields = Fields::of(cx, at, "background traffic", Some(name), known)?;
    let rate = fields.required(cx, "rate", constant_rate);
    let frame = fields.optional(cx, "frame", 1_514, |cx, at| {
        let (least, most) = (ByteSize::from_bytes(64), ByteSize::from_bytes(65_536));
        let frame = value::quantity_within(cx, at, &least, &most)?;
        Some(u32::try_from(frame.as_bytes()).expect("at most 2^16"))
    });
    let class = fields.optional(cx, "class", 0, class_number);
    let arrivals = match name {
        "Constant" => Some(Arrivals::Constant),
        "Poisson" => Some(Arrivals::Poisson),
        _ => on_off(cx, &fields),
    };
    let background = Background {
        rate: rate?,
        frame_bytes: frame?,
        arrivals: arrivals?,
        class: class?,
    };
    match background.check() {
        Ok(()) => Some(Some(background)),
        Err(error) => cx.refuse(at, error.to_string()),
    }
}

fn on_off(cx: &mut Context, fields: &Fields) -> Option<Arrivals> {
    let mean_on = fields.required(cx, "mean_on", positive_span);
    let mean_off = fields.required(cx, "mean_off", positive_span);
    let shape = fields.optional(cx, "shape", 1_500, |cx, at| {
        let millionths = value::millionths(cx, at, MILLION + 1_000, 100 * MILLION)?;
        if millionths % 1_000 != 0 {
            return cx.refuse(at, "a shape has at most three decimals");
        }
        Some(u32::try_from(millionths / 1_000).expect("at most 100,000"))
    });
    Some(Arrivals::OnOff {
        mean_on: mean_on?,
        mean_off: mean_off?,
        shape_thousandths: shape?,
    })
}

/// Whether a link's settings go together.
pub fn agree(
    cx: &mut Context,
    fields: &Fields,
    rate: &Rate,
    changes: &[Step],
    period: Option<Span>,
) -> Option<()> {
    if period.is_some() && changes.is_empty() {
        return cx.refuse(&fields.get("period")?, "there are no `changes` to repeat");
    }
    if let Some(period) = period
        && let Err(error) = Steps::new(changes.to_vec(), Some(period))
    {
        return cx.refuse(&fields.get("period")?, error.to_string());
    }
    if rate.constant().is_none() && changes.iter().any(|step| step.rate.is_some()) {
        let message = "the rate varies by itself, so no change can set it";
        return cx.refuse(&fields.get("changes")?, message);
    }
    if matches!(rate, Rate::Recorded { .. }) && !changes.is_empty() {
        let message = "a recorded rate has its own times; changes cannot be mixed with it";
        return cx.refuse(&fields.get("changes")?, message);
    }
    Some(())
}
