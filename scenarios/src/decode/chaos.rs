//! Faults of the network: where, how strong, when, and how they end.

use longhaul_chaos::law::{LEAST_SHAPE, MOST_SHAPE, MOST_SIGMA};
use longhaul_chaos::recovery::MOST_STEPS;
use longhaul_chaos::{Impact, Magnitudes, Spec};
use longhaul_core::time::Span;
use longhaul_core::units::{ByteSize, Probability};

use crate::schema::{
    DiskPlace, DiskSuffering, Effect, Ends, Fault, Gradual, Law, NetworkFault, RecoverFault, Recovery,
    Suffering, Timing, WrongAnswer, WrongClock,
};
use crate::syntax::Kind;

use super::calls::service_name;
use super::context::{At, Context, Fields, Variant, content, list, no_content, variant};
use super::fault::{directed, moment, symmetric};
use super::names::reference;
use super::network::{constant_rate, delay, region_name};
use super::value;
use super::work::positive_span;

mod disks;

/// Most links that share a risk, and most regions of a group.
const MOST_MEMBERS: usize = 1_000;
/// Shortest mean of a law and shortest interval: with the longest run it bounds what can be drawn.
const LEAST_MEAN: Span = Span::from_us(1);

/// How such faults are written.
pub fn variants() -> [Variant; 11] {
    [
        (
            "Partition",
            "Partition(between: ([\"a\"], [\"b\", \"c\"]), at: \"2 s\", for: \"3 s\")",
        ),
        (
            "LinkLatency",
            "LinkLatency(between: (\"a\", \"b\"), extra: \"100 ms\", at: \"2 s\", for: \"3 s\")",
        ),
        (
            "LinkLoss",
            "LinkLoss(between: (\"a\", \"b\"), probability: \"5 %\", at: \"2 s\", for: \"3 s\")",
        ),
        (
            "LinkBandwidth",
            "LinkBandwidth(between: (\"a\", \"b\"), rate: \"10 Mbit/s\", at: \"2 s\", for: \"3 s\")",
        ),
        (
            "RegionDown",
            "RegionDown(region: \"a\", at: \"2 s\", for: \"3 s\")",
        ),
        (
            "SharedRisk",
            "SharedRisk(links: [(\"a\", \"b\"), (\"b\", \"c\")], at: \"2 s\", for: \"3 s\")",
        ),
        (
            "Server",
            "Server(service: \"store\", region: \"a\", suffers: Cpu(\"80 %\"), at: \"2 s\", for: \"3 s\")",
        ),
        (
            "Names",
            "Names(client: \"web\", answer: BlackHole, at: \"2 s\", for: \"3 s\")",
        ),
        (
            "Disk",
            "Disk(federation: \"log\", member: \"a\", suffers: Slow(times: 20), at: \"2 s\", for: \"3 s\")",
        ),
        (
            "Clock",
            "Clock(federation: \"log\", member: \"a\", ahead: \"200 ms\", at: \"2 s\", for: \"3 s\")",
        ),
        ("Recover", "Recover(fault: \"cut\", at: \"5 s\")"),
    ]
    .map(|(name, form)| Variant { name, form })
}

/// The fields that say when and how.
const COMMON: [&str; 5] = ["name", "at", "for", "process", "recovery"];

/// A fault that is called `kind`.
pub fn network_fault(cx: &mut Context, at: &At, kind: &str) -> Option<Fault> {
    let own: &[&str] = match kind {
        "Partition" => &["between", "one_way"],
        "LinkLatency" => &["between", "from", "to", "extra", "impact"],
        "LinkLoss" => &["between", "from", "to", "probability", "impact"],
        "LinkBandwidth" => &["between", "from", "to", "rate", "impact"],
        "RegionDown" => &["region"],
        "Server" => &["service", "region", "suffers"],
        "Names" => &["client", "answer"],
        "Disk" => &["federation", "member", "replication", "suffers"],
        "Clock" => &["federation", "member", "ahead", "behind", "drift_ppm"],
        _ => &["links"],
    };
    let known = [own, &COMMON].concat();
    let fields = Fields::of(cx, at, "a fault of the network", Some(kind), &known)?;
    let effect = effect(cx, &fields, kind);
    let timing = timing(cx, at, &fields);
    let recovery = fields.optional(cx, "recovery", Recovery::Automatic, recovery);
    let name = fields.optional(cx, "name", None, |cx, at| value::name(cx, at).map(Some));
    let (effect, timing, recovery, name) = (effect?, timing?, recovery?, name?);
    let name = match name {
        Some(name) => name,
        None => default_name(cx, at, &effect)?,
    };
    let spec = Spec {
        name: name.clone(),
        target: (),
        kind: effect.kind(),
        timing: timing.clone(),
        recovery,
        recover_at: Vec::new(),
    };
    if let Err(error) = spec.check() {
        return cx.refuse(at, error.to_string());
    }
    Some(Fault::Network(NetworkFault {
        name,
        effect,
        timing,
        recovery,
    }))
}

/// The end of a fault that is recovered by hand. Whether there is one, the check finds out.
pub fn recover(cx: &mut Context, at: &At, name: &str) -> Option<Fault> {
    let fields = Fields::of(cx, at, "a recovery", Some(name), &["fault", "at"])?;
    let fault = fields.required(cx, "fault", value::name);
    let when = fields.required(cx, "at", moment);
    Some(Fault::Recover(RecoverFault {
        fault: fault?,
        at: when?,
    }))
}

fn effect(cx: &mut Context, fields: &Fields, kind: &str) -> Option<Effect> {
    match kind {
        "Partition" => {
            let groups = fields.required(cx, "between", groups);
            let one_way = fields.optional(cx, "one_way", false, value::boolean);
            let (one, other) = groups?;
            Some(Effect::Partition {
                one,
                other,
                one_way: one_way?,
            })
        }
        "LinkLatency" => {
            let ends = ends(cx, fields);
            let longer_than_none = |cx: &mut Context, at: &At| {
                positive_span(cx, at)?;
                delay(cx, at)
            };
            let extra = magnitude(cx, fields, "extra", longer_than_none, |level| level.latency);
            Some(Effect::LinkLatency {
                ends: ends?,
                extra: extra?,
            })
        }
        "LinkLoss" => {
            let ends = ends(cx, fields);
            let above_none = |cx: &mut Context, at: &At| {
                let least = Probability::from_parts(1).expect("less than one");
                value::quantity_within(cx, at, &least, &Probability::ONE)
            };
            let probability = magnitude(cx, fields, "probability", above_none, |level| level.loss);
            Some(Effect::LinkLoss {
                ends: ends?,
                probability: probability?,
            })
        }
        "LinkBandwidth" => {
            let ends = ends(cx, fields);
            let rate = magnitude(cx, fields, "rate", constant_rate, |level| level.bandwidth);
            Some(Effect::LinkBandwidth {
                ends: ends?,
                rate: rate?,
            })
        }
        "RegionDown" => {
            let region = fields.required(cx, "region", region_name)?;
            Some(Effect::RegionDown { region })
        }
        "Server" => {
            let service = fields.required(cx, "service", service_name);
            let region = fields.required(cx, "region", region_name);
            let suffers = fields.required(cx, "suffers", suffering);
            Some(Effect::Server {
                service: service?,
                region: region?,
                suffers: suffers?,
            })
        }
        "Names" => {
            let client = fields.required(cx, "client", client_name);
            let answer = fields.required(cx, "answer", wrong_answer);
            Some(Effect::Names {
                client: client?,
                answer: answer?,
            })
        }
        "Disk" => disks::disk(cx, fields),
        "Clock" => disks::clock(cx, fields),
        _ => {
            let links = fields.required(cx, "links", |cx, at| {
                let (links, complete) = list(cx, at, MOST_MEMBERS, pair);
                if complete && links.is_empty() {
                    return cx.refuse(at, "no link, so nothing would happen");
                }
                complete.then(|| links.into_iter().map(|(_, pair)| pair).collect())
            })?;
            Some(Effect::SharedRisk { links })
        }
    }
}

fn client_name(cx: &mut Context, at: &At) -> Option<String> {
    reference(cx, at, "client", |names| &names.clients)
}

fn suffering(cx: &mut Context, at: &At) -> Option<Suffering> {
    let variants = [
        ("Cpu", "Cpu(\"80 %\")"),
        ("Errors", "Errors(\"10 %\")"),
        ("Latency", "Latency(\"200 ms\")"),
        ("Crash", "Crash"),
        ("Panics", "Panics(\"0.1 %\")"),
        ("Gray", "Gray(errors: \"30 %\", extra: \"1 s\")"),
        ("Silence", "Silence(\"20 %\")"),
        ("Leak", "Leak(\"1 MiB\")"),
        ("Memory", "Memory(\"60 %\")"),
    ];
    let variants = variants.map(|(name, form)| Variant { name, form });
    let name = variant(cx, at, "what a server suffers", &variants)?;
    let form = variants.iter().find(|known| known.name == name)?.form;
    let share = |cx: &mut Context, at: &At| {
        let least = Probability::from_parts(1).expect("less than one");
        value::quantity_within(cx, at, &least, &Probability::ONE)
    };
    match name {
        "Crash" => no_content(cx, at).map(|()| Suffering::Crash),
        "Gray" => {
            let fields = Fields::of(cx, at, "a gray failure", Some(name), &["errors", "extra"])?;
            let errors = fields.optional(cx, "errors", Probability::ZERO, value::quantity);
            let extra = fields.optional(cx, "extra", Span::ZERO, value::quantity);
            let (errors, extra) = (errors?, extra?);
            if errors == Probability::ZERO && extra == Span::ZERO {
                return cx.refuse(at, "neither errors nor extra time, so nothing would happen");
            }
            Some(Suffering::Gray { errors, extra })
        }
        _ => {
            let inside = content(cx, at, form)?;
            match name {
                "Latency" => positive_span(cx, &inside).map(Suffering::Latency),
                "Leak" => {
                    let (least, most) = (ByteSize::from_bytes(1), ByteSize::from_mib(1 << 10));
                    value::quantity_within(cx, &inside, &least, &most).map(Suffering::Leak)
                }
                "Cpu" => share(cx, &inside).map(Suffering::Cpu),
                "Errors" => share(cx, &inside).map(Suffering::Errors),
                "Panics" => share(cx, &inside).map(Suffering::Panics),
                "Memory" => share(cx, &inside).map(Suffering::Memory),
                _ => share(cx, &inside).map(Suffering::Silence),
            }
        }
    }
}

fn wrong_answer(cx: &mut Context, at: &At) -> Option<WrongAnswer> {
    let variants = [
        ("BlackHole", "BlackHole"),
        ("Failed", "Failed"),
        ("Stale", "Stale(\"a\")"),
    ];
    let variants = variants.map(|(name, form)| Variant { name, form });
    match variant(cx, at, "an answer", &variants)? {
        "BlackHole" => no_content(cx, at).map(|()| WrongAnswer::BlackHole),
        "Failed" => no_content(cx, at).map(|()| WrongAnswer::Failed),
        _ => {
            let inside = content(cx, at, "Stale(\"a\")")?;
            region_name(cx, &inside).map(WrongAnswer::Stale)
        }
    }
}

/// What is written, or what the impact stands for.
fn magnitude<T>(
    cx: &mut Context,
    fields: &Fields,
    name: &str,
    decode: impl FnOnce(&mut Context, &At) -> Option<T>,
    of: impl FnOnce(Magnitudes) -> T,
) -> Option<T> {
    let Some(at) = fields.get("impact") else {
        return fields.required(cx, name, decode);
    };
    if let Some(given) = fields.get(name) {
        return cx.refuse(
            &given,
            format!("`impact` says it already: leave `{name}` or `impact` out"),
        );
    }
    let variants = ["Low", "Medium", "High", "Critical"].map(|name| Variant { name, form: name });
    let level = variant(cx, &at, "an impact", &variants)?;
    no_content(cx, &at)?;
    Some(of(Impact::named(level)?.magnitudes()))
}

fn ends(cx: &mut Context, fields: &Fields) -> Option<Ends> {
    let both = fields.get("between");
    let ends = match &both {
        Some(between) => symmetric(cx, fields, between),
        None => directed(cx, fields),
    };
    let (from, to) = ends?.into_iter().next()?;
    Some(Ends {
        from,
        to,
        both: both.is_some(),
    })
}

fn pair(cx: &mut Context, at: &At) -> Option<(String, String)> {
    match &at.node.kind {
        Kind::Tuple(None, items) if items.len() == 2 => {
            let first = region_name(cx, &at.item(0, &items[0]));
            let second = region_name(cx, &at.item(1, &items[1]));
            Some((first?, second?))
        }
        _ => cx.refuse(at, "the two ends are written (\"one-region\", \"other-region\")"),
    }
}

fn groups(cx: &mut Context, at: &At) -> Option<(Vec<String>, Vec<String>)> {
    let Kind::Tuple(None, items) = &at.node.kind else {
        return cx.refuse(at, TWO_GROUPS);
    };
    let [one, other] = &items[..] else {
        return cx.refuse(at, TWO_GROUPS);
    };
    let one = group(cx, &at.item(0, one));
    let other = group(cx, &at.item(1, other));
    let (one, other) = (one?, other?);
    if let Some(region) = one.iter().find(|region| other.contains(region)) {
        return cx.refuse(at, format!("`{region}` is in both groups"));
    }
    Some((one, other))
}

const TWO_GROUPS: &str = "the two groups are written ([\"a\"], [\"b\", \"c\"])";

fn group(cx: &mut Context, at: &At) -> Option<Vec<String>> {
    let (regions, complete) = list(cx, at, MOST_MEMBERS, region_name);
    if complete && regions.is_empty() {
        return cx.refuse(at, "no region, so nothing would be cut");
    }
    let regions: Vec<String> = regions.into_iter().map(|(_, region)| region).collect();
    if let Some(twice) = regions
        .iter()
        .enumerate()
        .find(|(index, region)| regions[..*index].contains(region))
    {
        return cx.refuse(at, format!("`{}` is there twice", twice.1));
    }
    complete.then_some(regions)
}

fn timing(cx: &mut Context, at: &At, fields: &Fields) -> Option<Timing> {
    let Some(process) = fields.get("process") else {
        let start = match fields.get("at") {
            Some(at) => moment(cx, &at),
            None => cx.refuse(at, "`at` is missing, or a `process` in its place"),
        };
        let duration = fields.optional(cx, "for", None, |cx, at| positive_span(cx, at).map(Some));
        return Some(Timing::Scripted {
            at: start?,
            duration: duration?,
        });
    };
    for name in ["at", "for"] {
        if let Some(at) = fields.get(name) {
            cx.refuse::<()>(
                &at,
                format!("the `process` says when and for how long, so there is no `{name}`"),
            );
        }
    }
    self::process(cx, &process)
}

fn process(cx: &mut Context, at: &At) -> Option<Timing> {
    let variants = [
        (
            "Chance",
            "Chance(every: \"1 s\", probability: \"10 %\", lasts: Constant(\"5 s\"))",
        ),
        (
            "Alternating",
            "Alternating(up: Exponential(\"1 h\"), down: Exponential(\"5 min\"))",
        ),
        (
            "Poisson",
            "Poisson(every: \"10 min\", lasts: Exponential(\"30 s\"))",
        ),
        (
            "Bursts",
            "Bursts(every: \"1 h\", more: \"80 %\", gap: Exponential(\"10 s\"), lasts: Constant(\"2 s\"))",
        ),
    ];
    let variants = variants.map(|(name, form)| Variant { name, form });
    let name = variant(cx, at, "a random process", &variants)?;
    let known: &[&str] = match name {
        "Chance" => &["every", "probability", "lasts"],
        "Alternating" => &["up", "down"],
        "Poisson" => &["every", "lasts"],
        _ => &["every", "more", "gap", "lasts"],
    };
    let fields = Fields::of(cx, at, "this process", Some(name), known)?;
    if name == "Alternating" {
        let between = fields.required(cx, "up", law);
        let repair = fields.required(cx, "down", law);
        return Some(Timing::Alternating {
            between: between?,
            repair: repair?,
        });
    }
    let every = fields.required(cx, "every", mean);
    if name == "Chance" {
        let probability = fields.required(cx, "probability", value::quantity);
        let duration = fields.optional(cx, "lasts", None, |cx, at| law(cx, at).map(Some));
        return Some(Timing::Probabilistic {
            every: every?,
            probability: probability?,
            duration: duration?,
        });
    }
    let duration = fields.required(cx, "lasts", law);
    if name == "Poisson" {
        return Some(Timing::Poisson {
            mean_between: every?,
            duration: duration?,
        });
    }
    let more = fields.required(cx, "more", value::quantity);
    let gap = fields.required(cx, "gap", law);
    Some(Timing::Bursts {
        mean_between: every?,
        more: more?,
        gap: gap?,
        duration: duration?,
    })
}

fn mean(cx: &mut Context, at: &At) -> Option<Span> {
    value::quantity_within(cx, at, &LEAST_MEAN, &super::LONGEST_HORIZON)
}

fn law(cx: &mut Context, at: &At) -> Option<Law> {
    let variants = [
        ("Constant", "Constant(\"5 s\")"),
        ("Exponential", "Exponential(\"5 s\")"),
        ("Weibull", "Weibull(mean: \"5 s\", shape: 1.5)"),
        ("LogNormal", "LogNormal(mean: \"5 s\", sigma: 0.5)"),
    ];
    let variants = variants.map(|(name, form)| Variant { name, form });
    let name = variant(cx, at, "a law of times", &variants)?;
    if let "Constant" | "Exponential" = name {
        let inside = content(cx, at, &format!("{name}(\"5 s\")"))?;
        let mean = mean(cx, &inside)?;
        return Some(if name == "Constant" {
            Law::Constant(mean)
        } else {
            Law::Exponential { mean }
        });
    }
    let (second, least, most) = match name {
        "Weibull" => ("shape", LEAST_SHAPE, MOST_SHAPE),
        _ => ("sigma", 0, MOST_SIGMA),
    };
    let fields = Fields::of(cx, at, "this law", Some(name), &["mean", second])?;
    let mean = fields.required(cx, "mean", mean);
    let second = fields.required(cx, second, |cx, at| thousandths(cx, at, least, most));
    let (mean, second) = (mean?, second?);
    Some(match name {
        "Weibull" => Law::Weibull { mean, shape: second },
        _ => Law::LogNormal { mean, sigma: second },
    })
}

fn thousandths(cx: &mut Context, at: &At, least: u32, most: u32) -> Option<u32> {
    let millionths = value::millionths(cx, at, i64::from(least) * 1_000, i64::from(most) * 1_000)?;
    if millionths % 1_000 != 0 {
        return cx.refuse(at, "at most three decimals");
    }
    u32::try_from(millionths / 1_000).ok()
}

fn recovery(cx: &mut Context, at: &At) -> Option<Recovery> {
    let variants = [
        ("Automatic", "Automatic"),
        ("Manual", "Manual"),
        ("Gradual", "Gradual(steps: 5, step: \"2 s\")"),
    ];
    let variants = variants.map(|(name, form)| Variant { name, form });
    let name = variant(cx, at, "a recovery", &variants)?;
    match name {
        "Automatic" => no_content(cx, at).map(|()| Recovery::Automatic),
        "Manual" => no_content(cx, at).map(|()| Recovery::Manual),
        _ => {
            let fields = Fields::of(cx, at, "gradual recovery", Some(name), &["steps", "step"])?;
            let default = Gradual::default();
            let steps = fields.optional(cx, "steps", default.steps, |cx, at| {
                let steps = value::integer(cx, at, 1, u64::from(MOST_STEPS))?;
                u32::try_from(steps).ok()
            });
            let step = fields.optional(cx, "step", default.step, positive_span);
            Some(Recovery::Gradual(Gradual {
                steps: steps?,
                step: step?,
            }))
        }
    }
}

/// Made of what it does and where.
fn default_name(cx: &mut Context, at: &At, effect: &Effect) -> Option<String> {
    let link = |what: &str, ends: &Ends| {
        let way = if ends.both { "and" } else { "to" };
        format!("{what}-{}-{way}-{}", ends.from, ends.to)
    };
    let name = match effect {
        Effect::Partition { one, other, .. } => {
            format!("partition-{}-from-{}", one.join("-"), other.join("-"))
        }
        Effect::LinkLatency { ends, .. } => link("latency", ends),
        Effect::LinkLoss { ends, .. } => link("loss", ends),
        Effect::LinkBandwidth { ends, .. } => link("bandwidth", ends),
        Effect::RegionDown { region } => format!("region-{region}"),
        Effect::Server {
            service,
            region,
            suffers,
        } => {
            let what = match suffers {
                Suffering::Cpu(_) => "cpu",
                Suffering::Errors(_) => "errors",
                Suffering::Latency(_) => "latency",
                Suffering::Crash => "crash",
                Suffering::Panics(_) => "panics",
                Suffering::Gray { .. } => "gray",
                Suffering::Silence(_) => "silence",
                Suffering::Leak(_) => "leak",
                Suffering::Memory(_) => "memory",
            };
            format!("{what}-{service}-{region}")
        }
        Effect::Names { client, .. } => format!("names-{client}"),
        Effect::Disk { disk, suffers } => {
            let what = match suffers {
                DiskSuffering::Slow(_) => "slow",
                DiskSuffering::Full => "full",
                DiskSuffering::Failed => "failed",
            };
            match disk {
                DiskPlace::Cluster { federation, member } => format!("{what}-disk-{federation}-{member}"),
                DiskPlace::Replica { replication } => format!("{what}-disk-{replication}"),
            }
        }
        Effect::Clock {
            federation,
            member,
            wrong,
        } => {
            let what = match wrong {
                WrongClock::Ahead(_) | WrongClock::Behind(_) => "skew",
                WrongClock::Drift { .. } => "drift",
            };
            format!("{what}-{federation}-{member}")
        }
        Effect::SharedRisk { links } => {
            let ends: Vec<String> = links
                .iter()
                .map(|(one, other)| format!("{one}-{other}"))
                .collect();
            format!("risk-{}", ends.join("-"))
        }
    };
    if name.chars().count() > value::LONGEST_NAME {
        return cx.refuse(at, format!("give it a `name`: `{name}` is too long"));
    }
    Some(name)
}
