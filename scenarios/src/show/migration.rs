//! Live migrations, written out.

use std::num::NonZeroU64;

use longhaul_core::time::Span;
use longhaul_core::units::ByteSize;

use crate::schema::{
    AutoConverge, Cost, DirtyLimit, Encoding, Migration, Mode, Orchestration, Recover, Start, StopRule,
    Switch, Throttle,
};

use super::{quoted, transport_settings};

/// A migration.
pub fn migration(migration: &Migration) -> String {
    let Migration {
        name,
        vm,
        to,
        start: begins,
        cancel_after,
        orchestration: Orchestration { before, after },
        mode: how,
        stop: rule,
        throttle: throttled,
        max_bandwidth,
        max_postcopy_bandwidth,
        preempt,
        recover,
        stall_after,
        device_state,
        resume_time,
        encoding: encoded,
        cost: costs,
        transport,
    } = migration;
    let mut fields = vec![
        format!("name: {}", quoted(name)),
        format!("vm: {}", quoted(vm)),
        format!("to: {}", quoted(to)),
        format!("start: {}", start(begins)),
    ];
    fields.extend(cancel_after.map(|span| format!("cancel_after: \"{span}\"")));
    fields.push(format!(
        "orchestration: (before: \"{before}\", after: \"{after}\")"
    ));
    fields.push(format!("mode: {}", mode(*how)));
    // What has no effect is written where it is not the default.
    if *how != Mode::PostCopy || *rule != StopRule::DEFAULT {
        fields.push(stop(*rule));
    }
    if *how != Mode::PostCopy || *throttled != Throttle::None {
        fields.push(format!("throttle: {}", throttle(*throttled)));
    }
    fields.extend(max_bandwidth.map(|rate| format!("max_bandwidth: \"{rate}\"")));
    fields.extend(max_postcopy_bandwidth.map(|rate| format!("max_postcopy_bandwidth: \"{rate}\"")));
    if *how != Mode::PreCopy || !preempt {
        fields.push(format!("preempt: {preempt}"));
    }
    if let Some(Recover { delay, attempts }) = recover {
        fields.push(format!("recover: (delay: \"{delay}\", attempts: {attempts})"));
    }
    fields.push(format!("stall_after: \"{stall_after}\""));
    fields.push(format!("device_state: \"{device_state}\""));
    fields.push(format!("resume_time: \"{resume_time}\""));
    fields.push(format!("encoding: {}", encoding(*encoded)));
    fields.push(format!("cost: {}", cost(*costs)));
    fields.push(format!("transport: {}", transport_settings(*transport)));
    format!("({})", fields.join(", "))
}

fn start(start: &Start) -> String {
    match start {
        Start::At(at) => format!("At(\"{at}\")"),
        Start::After { migration, pause } => {
            format!("After(migration: {}, pause: \"{pause}\")", quoted(migration))
        }
    }
}

fn mode(mode: Mode) -> String {
    match mode {
        Mode::PreCopy => "PreCopy".to_owned(),
        Mode::PostCopy => "PostCopy".to_owned(),
        Mode::Hybrid {
            switch: Switch::After(span),
        } => format!("Hybrid(after: \"{span}\")"),
        Mode::Hybrid {
            switch: Switch::Rounds(rounds),
        } => format!("Hybrid(rounds: {rounds})"),
    }
}

fn stop(stop: StopRule) -> String {
    match stop {
        StopRule::Downtime { limit } => format!("downtime_limit: \"{limit}\""),
        StopRule::Xen {
            pages,
            rounds,
            factor,
        } => {
            format!("stop: Xen(pages: {pages}, rounds: {rounds}, factor: {factor})")
        }
        StopRule::DynamicRate {
            lowest,
            highest,
            step,
            remaining,
        } => format!(
            "stop: DynamicRate(lowest: \"{lowest}\", highest: \"{highest}\", step: \"{step}\", remaining: \
             \"{remaining}\")"
        ),
    }
}

fn throttle(throttle: Throttle) -> String {
    match throttle {
        Throttle::None => "None".to_owned(),
        Throttle::AutoConverge(AutoConverge {
            trigger,
            initial_percent,
            increment_percent,
            max_percent,
            tailslow,
        }) => format!(
            "AutoConverge(trigger: \"{trigger}\", initial: \"{initial_percent} %\", increment: \
             \"{increment_percent} %\", max: \"{max_percent} %\", tailslow: {tailslow})"
        ),
        Throttle::DirtyLimit(DirtyLimit {
            trigger,
            bytes_per_s,
            period,
        }) => {
            let per_second = ByteSize::from_bytes(bytes_per_s);
            format!("DirtyLimit(trigger: \"{trigger}\", per_second: \"{per_second}\", period: \"{period}\")")
        }
    }
}

/// How pages are encoded.
pub fn encoding(encoding: Encoding) -> String {
    match encoding {
        Encoding::Raw => "Raw".to_owned(),
        Encoding::Zstd { level } => format!("Zstd(level: {level})"),
        Encoding::Hde { level } => format!("Hde(level: {level})"),
        Encoding::Xbzrle { cache } => format!("Xbzrle(cache: \"{cache}\")"),
    }
}

fn cost(cost: Option<Cost>) -> String {
    let Some(Cost {
        codec,
        carry,
        threads,
    }) = cost
    else {
        return "Free".to_owned();
    };
    let (encode, decode) = (codec.encode, codec.decode);
    let speed = |bytes: NonZeroU64| ByteSize::from_bytes(bytes.get());
    let carry = carry.map_or(String::new(), |carry| format!("carry: \"{}\", ", speed(carry)));
    format!(
        "Processors(threads: {threads}, {carry}frame: \"{}\", scan: \"{}\", hash: \"{}\", compare: \"{}\", search: \
         \"{}\", entropy: \"{}\", decode_frame: \"{}\", decode_entropy: \"{}\", rebuild: \"{}\", decode_hash: \"{}\")",
        Span::from_ns(encode.frame_ns),
        speed(encode.scan),
        speed(encode.hash),
        speed(encode.compare),
        speed(encode.search),
        speed(encode.entropy),
        Span::from_ns(decode.frame_ns),
        speed(decode.entropy),
        speed(decode.rebuild),
        speed(decode.hash),
    )
}
