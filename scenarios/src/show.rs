//! The canonical text of a scenario: every default written out, every link directed, every queue in bytes or
//! packets. It reads back as an equal scenario, and its hash is the scenario's identity.

mod link;
mod replication;

use std::fmt::{self, Write as _};

use longhaul_core::time::Span;

use crate::decode::print_millionths;
use crate::metric::{METRICS, STATISTICS, name_of};
use crate::schema::{
    Amount, Assertion, Bound, Controller, Encoding, Fault, Kill, Level, LinkDown, Margin, Memory, Migration,
    Pattern, Pause, PayloadMode, Region, Replay, SCHEMA_VERSION, Scenario, Scope, Start, Tcp, Transfer,
    Transport, Value, Vm, Within,
};

/// The canonical text of a scenario.
pub fn canonical(scenario: &Scenario) -> String {
    let mut out = String::new();
    write_scenario(&mut out, scenario).expect("writing to a string never fails");
    out
}

/// BLAKE3 of a canonical text, in hexadecimal.
pub fn hash(canonical: &str) -> String {
    blake3::hash(canonical.as_bytes()).to_hex().to_string()
}

fn write_scenario(out: &mut String, scenario: &Scenario) -> fmt::Result {
    let Scenario {
        name,
        question,
        expect,
        seed,
        horizon,
        sample_interval,
        payload,
        fidelity,
        regions,
        links,
        vms,
        migrations,
        transfers,
        replications,
        faults,
        reroute_after,
        assertions,
        replay,
    } = scenario;
    writeln!(out, "Scenario(")?;
    writeln!(out, "    version: {SCHEMA_VERSION},")?;
    writeln!(out, "    name: {},", quoted(name))?;
    writeln!(out, "    question: {},", quoted(question))?;
    writeln!(out, "    expect: {},", quoted(expect))?;
    writeln!(out, "    seed: {seed},")?;
    writeln!(out, "    horizon: \"{horizon}\",")?;
    writeln!(out, "    sample_interval: \"{sample_interval}\",")?;
    match payload {
        PayloadMode::Real => writeln!(out, "    payload: Real,")?,
        PayloadMode::Sampled { share } => writeln!(out, "    payload: Sampled(share: \"{share}\"),")?,
    }
    writeln!(out, "    fidelity: {fidelity:?},")?;
    write_list(out, "regions", regions, region)?;
    write_list(out, "links", links, link::link)?;
    write_list(out, "vms", vms, vm)?;
    write_list(out, "migrations", migrations, migration)?;
    write_list(out, "transfers", transfers, transfer)?;
    write_list(out, "replications", replications, replication::replication)?;
    write_list(out, "faults", faults, fault)?;
    // Where no link fails it has no effect, and a field without effect is an error to be told.
    if faults.iter().any(|fault| matches!(fault, Fault::LinkDown(_))) {
        writeln!(out, "    reroute_after: \"{reroute_after}\",")?;
    }
    write_list(out, "assertions", assertions, assertion)?;
    if let Some(replay) = replay {
        writeln!(out, "    replay: {},", replay_block(replay))?;
    }
    writeln!(out, ")")
}

fn write_list<T>(out: &mut String, name: &str, items: &[T], item: impl Fn(&T) -> String) -> fmt::Result {
    writeln!(out, "    {name}: [")?;
    for value in items {
        writeln!(out, "        {},", item(value))?;
    }
    writeln!(out, "    ],")
}

fn region(region: &Region) -> String {
    let Region { name, location } = region;
    let location = location.map_or(String::new(), |location| {
        let lat = print_millionths(location.latitude_microdegrees.into());
        let lon = print_millionths(location.longitude_microdegrees.into());
        format!(", location: (lat: {lat}, lon: {lon})")
    });
    format!("(name: {}{location})", quoted(name))
}

fn fault(fault: &Fault) -> String {
    let lasting =
        |duration: Option<Span>| duration.map_or(String::new(), |duration| format!(", for: \"{duration}\""));
    match fault {
        Fault::LinkDown(LinkDown {
            from,
            to,
            at,
            duration,
        }) => format!(
            "LinkDown(from: {}, to: {}, at: \"{at}\"{})",
            quoted(from),
            quoted(to),
            lasting(*duration)
        ),
        Fault::Pause(Pause { region, at, duration }) => {
            format!(
                "Pause(region: {}, at: \"{at}\"{})",
                quoted(region),
                lasting(*duration)
            )
        }
        Fault::Kill(Kill { region, at }) => format!("Kill(region: {}, at: \"{at}\")", quoted(region)),
    }
}

fn vm(vm: &Vm) -> String {
    let Vm { name, region, memory } = vm;
    let memory = match memory {
        Memory::Generated { pattern, size, dirty } => {
            let pattern = match pattern {
                Pattern::RealWorld => "RealWorld",
                Pattern::Constant => "Constant",
                Pattern::Bursty => "Bursty",
                Pattern::Sinusoidal => "Sinusoidal",
            };
            format!(
                "Generated(pattern: {pattern}, size: \"{size}\", dirty: (rate: \"{} pages/s\", working_set: \"{}\", \
                 bytes_per_write: \"{}\"))",
                dirty.pages_per_s, dirty.working_set, dirty.bytes_per_write
            )
        }
        Memory::Images { files, interval } => {
            let files: Vec<String> = files.iter().map(|file| quoted(file)).collect();
            format!("Images(files: [{}], interval: \"{interval}\")", files.join(", "))
        }
    };
    format!(
        "(name: {}, region: {}, memory: {memory})",
        quoted(name),
        quoted(region)
    )
}

fn migration(migration: &Migration) -> String {
    let Migration {
        name,
        vm,
        to,
        start,
        downtime_limit,
        encoding: pages,
        transport,
    } = migration;
    let start = match start {
        Start::At(at) => format!("At(\"{at}\")"),
        Start::After { migration, pause } => {
            format!("After(migration: {}, pause: \"{pause}\")", quoted(migration))
        }
    };
    format!(
        "(name: {}, vm: {}, to: {}, start: {start}, downtime_limit: \"{downtime_limit}\", encoding: {}, \
         transport: {})",
        quoted(name),
        quoted(vm),
        quoted(to),
        encoding(*pages),
        transport_settings(*transport)
    )
}

fn encoding(encoding: Encoding) -> String {
    match encoding {
        Encoding::Raw => "Raw".to_owned(),
        Encoding::Hde { level } => format!("Hde(level: {level})"),
    }
}

fn transport_settings(transport: Transport) -> String {
    let Transport {
        streams,
        chunk,
        window,
        tcp,
    } = transport;
    format!(
        "(streams: {streams}, chunk: \"{chunk}\", window: \"{window}\", tcp: {})",
        tcp_settings(tcp)
    )
}

fn tcp_settings(tcp: Tcp) -> String {
    let Tcp {
        controller,
        send_buffer,
        notsent_lowat,
        receive_buffer,
        autotuning,
        ecn,
        class,
        initial_window,
        hystart,
        segmentation_offload,
    } = tcp;
    let controller = match controller {
        Controller::Reno => "Reno",
        Controller::Cubic => "Cubic",
        Controller::Bbr => "Bbr",
    };
    format!(
        "(controller: {controller}, send_buffer: \"{send_buffer}\", notsent_lowat: \"{notsent_lowat}\", \
         receive_buffer: \"{receive_buffer}\", autotuning: {autotuning}, ecn: {ecn}, class: {class}, \
         initial_window: {initial_window}, hystart: {hystart}, \
         segmentation_offload: {segmentation_offload})"
    )
}

fn transfer(transfer: &Transfer) -> String {
    let Transfer {
        name,
        from,
        to,
        amount,
        at,
        streams,
        call_time,
        tcp,
    } = transfer;
    let amount = match amount {
        Amount::Size(size) => format!("size: \"{size}\""),
        Amount::Duration(duration) => format!("duration: \"{duration}\""),
    };
    format!(
        "(name: {}, from: {}, to: {}, {amount}, at: \"{at}\", streams: {streams}, call_time: \"{call_time}\", tcp: {})",
        quoted(name),
        quoted(from),
        quoted(to),
        tcp_settings(*tcp)
    )
}

fn assertion(assertion: &Assertion) -> String {
    let Assertion {
        metric,
        statistic,
        scope,
        bound,
        level,
    } = assertion;
    let scope = scope_text(scope);
    let bound = match bound {
        Bound::AtMost(bound) => format!("AtMost({})", value_text(*bound)),
        Bound::AtLeast(bound) => format!("AtLeast({})", value_text(*bound)),
    };
    let level = match level {
        Level::Critical => "Critical",
        Level::Advisory => "Advisory",
    };
    format!(
        "(metric: {}, statistic: {}, scope: {scope}, bound: {bound}, level: {level})",
        name_of(&METRICS, metric),
        name_of(&STATISTICS, statistic)
    )
}

fn scope_text(scope: &Scope) -> String {
    match scope {
        Scope::All => "All".to_owned(),
        Scope::Only(name) => format!("Only({})", quoted(name)),
    }
}

fn value_text(value: Value) -> String {
    match value {
        Value::Time(span) => format!("\"{span}\""),
        Value::Size(size) => format!("\"{size}\""),
        Value::Rate(rate) => format!("\"{rate}\""),
        Value::Share(share) => format!("\"{share}\""),
        Value::Number(millionths) => print_millionths(
            i64::try_from(millionths).expect("the decoder reads no more than i64::MAX millionths"),
        ),
    }
}

fn replay_block(replay: &Replay) -> String {
    let Replay {
        replications,
        simulations,
        margins,
    } = replay;
    let margins: Vec<String> = margins.iter().map(margin).collect();
    format!(
        "(replications: {replications}, simulations: {simulations}, margins: [{}])",
        margins.join(", ")
    )
}

fn margin(margin: &Margin) -> String {
    let Margin {
        metric,
        scope,
        within,
    } = margin;
    let within = match within {
        Within::Relative(share) => format!("\"{share}\""),
        Within::Absolute(value) => value_text(*value),
    };
    format!(
        "(metric: {}, scope: {}, within: {within})",
        name_of(&METRICS, metric),
        scope_text(scope)
    )
}

/// A string as RON has it: quotes, backslashes and control characters escaped, everything else as it is.
fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => {
                out.push('\\');
                out.push(character);
            }
            '\n' => out.push_str("\\n"),
            control if control.is_control() => {
                out.push_str(&format!("\\u{{{:x}}}", u32::from(control)));
            }
            other => out.push(other),
        }
    }
    out.push('"');
    out
}
