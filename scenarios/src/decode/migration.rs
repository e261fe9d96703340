//! Live migrations.

use std::num::NonZeroU64;

use longhaul_core::time::Span;
use longhaul_core::units::{BitRate, ByteSize, Probability};
use longhaul_hde::{CostModel, DecodeCost, EncodeCost};
use longhaul_migration::{
    AutoConverge, Cost, DEVICE_STATE, DirtyLimit, MAX_ATTEMPTS, MAX_THREADS, Mode, Orchestration, Recover,
    STALL_AFTER, StopRule, Switch, Throttle,
};

use crate::schema::{Encoding, Migration, Start, Transport};

use super::context::{At, Context, Fields, Variant, content, no_content, variant};
use super::names::reference;
use super::transport;
use super::value;

/// QEMU's MAX_MIGRATE_DOWNTIME (migration/options.h).
const LONGEST_DOWNTIME: Span = Span::from_s(2_000);
/// Longest of the times that a migration waits for something.
const LONGEST_WAIT: Span = Span::from_s(24 * 3_600);
/// Largest device state: memory on a graphics card included.
const LARGEST_DEVICE_STATE: ByteSize = ByteSize::from_mib(64 << 10);
/// Fastest stage of a processor, per second.
const FASTEST_STAGE: ByteSize = ByteSize::from_bytes(1_000_000_000_000);
/// What XBZRLE's encoder sustains per second, by QEMU's documentation: 2 to 2.5 GB.
const XBZRLE_SPEED: NonZeroU64 = NonZeroU64::new(2_000_000_000).expect("above zero");
/// QEMU's `xbzrle-cache-size`.
const DEFAULT_CACHE: ByteSize = ByteSize::from_mib(64);

/// A migration; what its transport does not say is as in `base`.
pub fn migration(cx: &mut Context, at: &At, base: Transport) -> Option<Migration> {
    let known = [
        "name",
        "vm",
        "to",
        "start",
        "cancel_after",
        "orchestration",
        "mode",
        "downtime_limit",
        "stop",
        "throttle",
        "max_bandwidth",
        "max_postcopy_bandwidth",
        "preempt",
        "recover",
        "stall_after",
        "device_state",
        "resume_time",
        "encoding",
        "cost",
        "transport",
    ];
    let fields = Fields::of(cx, at, "a migration", None, &known)?;
    let name = fields.required(cx, "name", value::name);
    let vm = fields.required(cx, "vm", |cx, at| reference(cx, at, "vm", |names| &names.vms));
    let to = fields.required(cx, "to", |cx, at| {
        reference(cx, at, "region", |names| &names.regions)
    });
    let start = fields.optional(cx, "start", Start::At(Span::ZERO), start);
    let cancel_after = fields.optional(cx, "cancel_after", None, |cx, at| wait(cx, at).map(Some));
    let orchestration = fields.optional(cx, "orchestration", Orchestration::default(), orchestration);
    let mode = fields.optional(cx, "mode", Mode::PreCopy, mode);
    let stop = stop(cx, &fields);
    let throttle = fields.optional(cx, "throttle", Throttle::None, throttle);
    let limit = |cx: &mut Context, at: &At| positive_rate(cx, at).map(Some);
    let max_bandwidth = fields.optional(cx, "max_bandwidth", None, limit);
    let max_postcopy_bandwidth = fields.optional(cx, "max_postcopy_bandwidth", None, limit);
    let preempt = fields.optional(cx, "preempt", true, value::boolean);
    let recover = fields.optional(cx, "recover", None, recover);
    let stall_after = fields.optional(cx, "stall_after", STALL_AFTER, |cx, at| {
        value::quantity_within(cx, at, &Span::from_ms(1), &LONGEST_WAIT)
    });
    let device_state = fields.optional(cx, "device_state", DEVICE_STATE, |cx, at| {
        value::quantity_within(cx, at, &ByteSize::default(), &LARGEST_DEVICE_STATE)
    });
    let resume_time = fields.optional(cx, "resume_time", Span::ZERO, wait);
    let encoding = fields.optional(cx, "encoding", Encoding::Hde { level: 1 }, encoding);
    let cost = match encoding {
        Some(encoding) => fields.optional(cx, "cost", None, |cx, at| cost(cx, at, encoding)),
        None => None,
    };
    let transport = fields.optional(cx, "transport", base, |cx, at| transport::transport(cx, at, base));
    let (cancel_after, orchestration, mode, stop) = (cancel_after?, orchestration?, mode?, stop?);
    let (throttle, preempt, recover, stall_after) = (throttle?, preempt?, recover?, stall_after?);
    Some(Migration {
        name: name?,
        vm: vm?,
        to: to?,
        start: start?,
        cancel_after,
        orchestration,
        mode,
        stop,
        throttle,
        max_bandwidth: max_bandwidth?,
        max_postcopy_bandwidth: max_postcopy_bandwidth?,
        preempt,
        recover,
        stall_after,
        device_state: device_state?,
        resume_time: resume_time?,
        encoding: encoding?,
        cost: cost?,
        transport: transport?,
    })
}

fn start(cx: &mut Context, at: &At) -> Option<Start> {
    let variants = [
        Variant {
            name: "At",
            form: "At(\"0 s\")",
        },
        Variant {
            name: "After",
            form: "After(migration: \"m0\", pause: \"5 s\")",
        },
    ];
    let name = variant(cx, at, "a start", &variants)?;
    if name == "At" {
        let at = content(cx, at, variants[0].form)?;
        return value::quantity(cx, &at).map(Start::At);
    }
    let fields = Fields::of(cx, at, "a start", Some(name), &["migration", "pause"])?;
    let migration = fields.required(cx, "migration", |cx, at| {
        reference(cx, at, "migration", |names| &names.migrations)
    });
    let pause = fields.optional(cx, "pause", Span::ZERO, value::quantity);
    Some(Start::After {
        migration: migration?,
        pause: pause?,
    })
}

fn wait(cx: &mut Context, at: &At) -> Option<Span> {
    value::quantity_within(cx, at, &Span::ZERO, &LONGEST_WAIT)
}

fn positive_rate(cx: &mut Context, at: &At) -> Option<BitRate> {
    let rate: BitRate = value::quantity(cx, at)?;
    if rate.as_bits_per_s() == 0 {
        return cx.refuse(at, "this rate must be above zero");
    }
    Some(rate)
}

fn orchestration(cx: &mut Context, at: &At) -> Option<Orchestration> {
    let fields = Fields::of(cx, at, "orchestration", None, &["before", "after"])?;
    let before = fields.optional(cx, "before", Span::ZERO, wait);
    let after = fields.optional(cx, "after", Span::ZERO, wait);
    Some(Orchestration {
        before: before?,
        after: after?,
    })
}

fn mode(cx: &mut Context, at: &At) -> Option<Mode> {
    let variants = [
        Variant {
            name: "PreCopy",
            form: "PreCopy",
        },
        Variant {
            name: "PostCopy",
            form: "PostCopy",
        },
        Variant {
            name: "Hybrid",
            form: "Hybrid(after: \"30 s\") or Hybrid(rounds: 2)",
        },
    ];
    match variant(cx, at, "a mode", &variants)? {
        "PreCopy" => return no_content(cx, at).map(|()| Mode::PreCopy),
        "PostCopy" => return no_content(cx, at).map(|()| Mode::PostCopy),
        _ => {}
    }
    let fields = Fields::of(cx, at, "hybrid migration", Some("Hybrid"), &["after", "rounds"])?;
    let switch = match (fields.get("after"), fields.get("rounds")) {
        (Some(_), None) => fields.required(cx, "after", wait).map(Switch::After),
        (None, Some(_)) => {
            let rounds = |cx: &mut Context, at: &At| value::integer(cx, at, 1, 1_000_000);
            fields.required(cx, "rounds", rounds).map(Switch::Rounds)
        }
        _ => cx.refuse(at, "hybrid migration switches `after` a time or some `rounds`"),
    };
    Some(Mode::Hybrid { switch: switch? })
}

/// Either QEMU's downtime limit or another rule.
fn stop(cx: &mut Context, fields: &Fields) -> Option<StopRule> {
    let Some(at) = fields.get("stop") else {
        let StopRule::Downtime { limit: default } = StopRule::DEFAULT else {
            unreachable!("QEMU has a downtime limit")
        };
        let limit = fields.optional(cx, "downtime_limit", default, |cx, at| {
            value::quantity_within(cx, at, &Span::ZERO, &LONGEST_DOWNTIME)
        });
        return Some(StopRule::Downtime { limit: limit? });
    };
    if let Some(limit) = fields.get("downtime_limit") {
        return cx.refuse(
            &limit,
            "a migration has a `downtime_limit` or another rule to `stop`, not both",
        );
    }
    let variants = [
        Variant {
            name: "Xen",
            form: "Xen()",
        },
        Variant {
            name: "DynamicRate",
            form: "DynamicRate(lowest: \"100 Mbit/s\", highest: \"500 Mbit/s\")",
        },
    ];
    let name = variant(cx, &at, "a rule to stop", &variants)?;
    if name == "Xen" {
        let StopRule::Xen {
            pages,
            rounds,
            factor,
        } = StopRule::XEN
        else {
            unreachable!("Xen's rule")
        };
        let fields = Fields::of(cx, &at, "Xen's rule", Some(name), &["pages", "rounds", "factor"])?;
        let pages = fields.optional(cx, "pages", pages, |cx, at| value::integer(cx, at, 0, 1_000_000));
        let rounds = fields.optional(cx, "rounds", rounds, |cx, at| {
            value::integer(cx, at, 1, 1_000_000)
        });
        let factor = fields.optional(cx, "factor", factor, |cx, at| {
            value::integer(cx, at, 1, 1_000_000)
        });
        return Some(StopRule::Xen {
            pages: pages?,
            rounds: rounds?,
            factor: factor?,
        });
    }
    let known = ["lowest", "highest", "step", "remaining"];
    let fields = Fields::of(cx, &at, "dynamic rate limiting", Some(name), &known)?;
    let lowest = fields.required(cx, "lowest", positive_rate);
    let highest = fields.required(cx, "highest", positive_rate);
    let step = fields.optional(cx, "step", BitRate::from_bits_per_s(50_000_000), value::quantity);
    let remaining = fields.optional(cx, "remaining", ByteSize::from_bytes(256_000), value::quantity);
    let (lowest, highest) = (lowest?, highest?);
    if lowest > highest {
        return cx.refuse(&at, "the lowest rate is above the highest");
    }
    Some(StopRule::DynamicRate {
        lowest,
        highest,
        step: step?,
        remaining: remaining?,
    })
}

fn throttle(cx: &mut Context, at: &At) -> Option<Throttle> {
    let variants = [
        Variant {
            name: "None",
            form: "None",
        },
        Variant {
            name: "AutoConverge",
            form: "AutoConverge()",
        },
        Variant {
            name: "DirtyLimit",
            form: "DirtyLimit(per_second: \"1 MiB\")",
        },
    ];
    let name = variant(cx, at, "a throttle", &variants)?;
    match name {
        "None" => no_content(cx, at).map(|()| Throttle::None),
        "AutoConverge" => {
            let known = ["trigger", "initial", "increment", "max", "tailslow"];
            let fields = Fields::of(cx, at, "auto-converge", Some(name), &known)?;
            let default = AutoConverge::default();
            let trigger = fields.optional(cx, "trigger", default.trigger, value::quantity);
            let initial_percent = fields.optional(cx, "initial", default.initial_percent, percent);
            let increment_percent = fields.optional(cx, "increment", default.increment_percent, percent);
            let max_percent = fields.optional(cx, "max", default.max_percent, percent);
            let tailslow = fields.optional(cx, "tailslow", default.tailslow, value::boolean);
            let (initial_percent, max_percent) = (initial_percent?, max_percent?);
            if initial_percent > max_percent {
                return cx.refuse(at, "the initial throttle is above the largest");
            }
            Some(Throttle::AutoConverge(AutoConverge {
                trigger: trigger?,
                initial_percent,
                increment_percent: increment_percent?,
                max_percent,
                tailslow: tailslow?,
            }))
        }
        _ => {
            let known = ["trigger", "per_second", "period"];
            let fields = Fields::of(cx, at, "a dirty limit", Some(name), &known)?;
            let default = DirtyLimit::default();
            let trigger = fields.optional(cx, "trigger", default.trigger, value::quantity);
            let per_second = fields.optional(
                cx,
                "per_second",
                ByteSize::from_bytes(default.bytes_per_s),
                |cx, at| value::quantity_within(cx, at, &ByteSize::from_bytes(1), &FASTEST_STAGE),
            );
            let period = fields.optional(cx, "period", default.period, |cx, at| {
                value::quantity_within(cx, at, &Span::from_ms(1), &Span::from_s(1))
            });
            Some(Throttle::DirtyLimit(DirtyLimit {
                trigger: trigger?,
                bytes_per_s: per_second?.as_bytes(),
                period: period?,
            }))
        }
    }
}

/// A whole percentage from 1 to 99.
fn percent(cx: &mut Context, at: &At) -> Option<u8> {
    const PERCENT: u64 = Probability::PARTS / 100;
    let share: Probability = value::quantity(cx, at)?;
    let percent = share.as_parts() / PERCENT;
    if !share.as_parts().is_multiple_of(PERCENT) || !(1..=99).contains(&percent) {
        return cx.refuse(at, format!("{share} is no whole percentage from 1 % to 99 %"));
    }
    u8::try_from(percent).ok()
}

fn recover(cx: &mut Context, at: &At) -> Option<Option<Recover>> {
    if matches!(&at.node.kind, crate::syntax::Kind::Word(word) if word == "None") {
        return Some(None);
    }
    let fields = Fields::of(cx, at, "recovery", None, &["delay", "attempts"])?;
    let delay = fields.optional(cx, "delay", Span::from_s(1), wait);
    let attempts = fields.optional(cx, "attempts", MAX_ATTEMPTS, |cx, at| {
        let attempts = value::integer(cx, at, 1, u64::from(MAX_ATTEMPTS))?;
        u16::try_from(attempts).ok()
    });
    Some(Some(Recover {
        delay: delay?,
        attempts: attempts?,
    }))
}

/// How pages are encoded.
pub fn encoding(cx: &mut Context, at: &At) -> Option<Encoding> {
    let variants = [
        Variant {
            name: "Raw",
            form: "Raw",
        },
        Variant {
            name: "Zstd",
            form: "Zstd(level: 1)",
        },
        Variant {
            name: "Hde",
            form: "Hde(level: 1)",
        },
        Variant {
            name: "Xbzrle",
            form: "Xbzrle(cache: \"64 MiB\")",
        },
    ];
    let name = variant(cx, at, "an encoding", &variants)?;
    match name {
        "Raw" => no_content(cx, at).map(|()| Encoding::Raw),
        "Xbzrle" => {
            let fields = Fields::of(cx, at, "XBZRLE", Some(name), &["cache"])?;
            let cache = fields.optional(cx, "cache", DEFAULT_CACHE, |cx, at| {
                let most = ByteSize::from_bytes(1 << 40);
                let size = value::quantity_within(cx, at, &ByteSize::from_kib(4), &most)?;
                if !size.as_bytes().is_power_of_two() {
                    return cx.refuse(at, format!("a cache of {size}: its size is a power of two"));
                }
                Some(size)
            });
            Some(Encoding::Xbzrle { cache: cache? })
        }
        _ => {
            let what = if name == "Zstd" {
                "compression"
            } else {
                "hierarchical delta encoding"
            };
            let fields = Fields::of(cx, at, what, Some(name), &["level"])?;
            let level = fields.required(cx, "level", |cx, at| value::integer(cx, at, 1, 19))?;
            let level = u32::try_from(level).expect("at most 19");
            Some(if name == "Zstd" {
                Encoding::Zstd { level }
            } else {
                Encoding::Hde { level }
            })
        }
    }
}

/// What an encoding costs unless the scenario says otherwise.
fn measured(encoding: Encoding) -> CostModel {
    match encoding {
        Encoding::Raw => CostModel::measured(None),
        Encoding::Zstd { level } | Encoding::Hde { level } => CostModel::measured(Some(level.cast_signed())),
        Encoding::Xbzrle { .. } => {
            let mut model = CostModel::measured(None);
            model.encode.compare = XBZRLE_SPEED;
            model
        }
    }
}

fn cost(cx: &mut Context, at: &At, encoding: Encoding) -> Option<Option<Cost>> {
    let variants = [
        Variant {
            name: "Free",
            form: "Free",
        },
        Variant {
            name: "Processors",
            form: "Processors(threads: 4)",
        },
    ];
    let name = variant(cx, at, "a cost", &variants)?;
    if name == "Free" {
        return no_content(cx, at).map(|()| None);
    }
    let known = [
        "threads",
        "carry",
        "frame",
        "scan",
        "hash",
        "compare",
        "search",
        "entropy",
        "decode_frame",
        "decode_entropy",
        "rebuild",
        "decode_hash",
    ];
    let fields = Fields::of(cx, at, "processors", Some(name), &known)?;
    let CostModel { encode, decode } = measured(encoding);
    let threads = fields.required(cx, "threads", |cx, at| {
        let threads = value::integer(cx, at, 1, u64::from(MAX_THREADS))?;
        u32::try_from(threads).ok()
    });
    let carry = fields.optional(cx, "carry", None, |cx, at| speed(cx, at).map(Some));
    let frame_ns = fields.optional(cx, "frame", encode.frame_ns, nanoseconds);
    let scan = fields.optional(cx, "scan", encode.scan, speed);
    let hash = fields.optional(cx, "hash", encode.hash, speed);
    let compare = fields.optional(cx, "compare", encode.compare, speed);
    let search = fields.optional(cx, "search", encode.search, speed);
    let entropy = fields.optional(cx, "entropy", encode.entropy, speed);
    let decode_frame_ns = fields.optional(cx, "decode_frame", decode.frame_ns, nanoseconds);
    let decode_entropy = fields.optional(cx, "decode_entropy", decode.entropy, speed);
    let rebuild = fields.optional(cx, "rebuild", decode.rebuild, speed);
    let decode_hash = fields.optional(cx, "decode_hash", decode.hash, speed);
    Some(Some(Cost {
        codec: CostModel {
            encode: EncodeCost {
                frame_ns: frame_ns?,
                scan: scan?,
                hash: hash?,
                compare: compare?,
                search: search?,
                entropy: entropy?,
            },
            decode: DecodeCost {
                frame_ns: decode_frame_ns?,
                entropy: decode_entropy?,
                rebuild: rebuild?,
                hash: decode_hash?,
            },
        },
        carry: carry?,
        threads: threads?,
    }))
}

/// Bytes per second, written as a size.
fn speed(cx: &mut Context, at: &At) -> Option<NonZeroU64> {
    let size = value::quantity_within(cx, at, &ByteSize::from_bytes(1), &FASTEST_STAGE)?;
    NonZeroU64::new(size.as_bytes())
}

fn nanoseconds(cx: &mut Context, at: &At) -> Option<u64> {
    let span = value::quantity_within(cx, at, &Span::ZERO, &Span::from_s(1))?;
    Some(span.as_ns())
}
