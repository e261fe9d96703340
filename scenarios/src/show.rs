//! The canonical text of a scenario: every default written out, every link directed, every queue in bytes or
//! packets. It reads back as an equal scenario, and its hash is the scenario's identity.

mod chaos;
mod client;
mod demand;
mod federation;
mod guest;
mod link;
mod load;
mod migration;
mod overlay;
mod policies;
mod replication;
mod service;
mod tunnel;

use std::fmt::{self, Write as _};

use longhaul_core::time::Span;

use crate::decode::print_millionths;
use crate::metric::{METRICS, STATISTICS, name_of};
use crate::schema::{
    AbortCondition, Amount, Assertion, Bound, Carrier, Chunk, Controller, DatagramStream, Fault, Kill, Level,
    LinkDown, Margin, OwnSeeds, Pause, PayloadMode, Region, Replay, Reservation, Reset, SCHEMA_VERSION,
    Scenario, Scope, Side, Streams, Tcp, Transfer, Transport, Value, Within,
};

pub use chaos::faults_file;

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
        own_seeds,
        horizon,
        sample_interval,
        payload,
        fidelity,
        regions,
        links,
        vms,
        migrations,
        transfers,
        datagrams,
        replications,
        federations,
        reservations,
        headroom,
        demands,
        engineering,
        overlays,
        services,
        clients,
        faults,
        abort_when,
        routing,
        reroute_after,
        route_control,
        assertions,
        replay,
    } = scenario;
    writeln!(out, "Scenario(")?;
    writeln!(out, "    version: {SCHEMA_VERSION},")?;
    writeln!(out, "    name: {},", quoted(name))?;
    writeln!(out, "    question: {},", quoted(question))?;
    writeln!(out, "    expect: {},", quoted(expect))?;
    writeln!(out, "    seed: {seed},")?;
    if *own_seeds != OwnSeeds::default() {
        writeln!(out, "    seeds: {},", seeds(own_seeds))?;
    }
    writeln!(out, "    horizon: \"{horizon}\",")?;
    writeln!(out, "    sample_interval: \"{sample_interval}\",")?;
    match payload {
        PayloadMode::Real => writeln!(out, "    payload: Real,")?,
        PayloadMode::Sampled { share } => writeln!(out, "    payload: Sampled(share: \"{share}\"),")?,
    }
    writeln!(out, "    fidelity: {fidelity:?},")?;
    write_list(out, "regions", regions, region)?;
    write_list(out, "links", links, link::link)?;
    write_list(out, "vms", vms, guest::vm)?;
    write_list(out, "migrations", migrations, migration::migration)?;
    write_list(out, "transfers", transfers, transfer)?;
    write_list(out, "datagrams", datagrams, datagram_stream)?;
    write_list(out, "replications", replications, replication::replication)?;
    write_list(out, "federations", federations, federation::federation)?;
    write_list(out, "reservations", reservations, reservation)?;
    // Where nothing is reserved it has no effect, and a field without effect is an error to be told.
    if !reservations.is_empty() {
        writeln!(out, "    headroom: \"{headroom}\",")?;
    }
    write_list(out, "demands", demands, demand::demand)?;
    if !demands.is_empty() {
        writeln!(out, "    engineering: {},", demand::engineering(engineering))?;
    }
    write_list(out, "overlays", overlays, overlay::overlay)?;
    write_list(out, "services", services, service::service)?;
    write_list(out, "clients", clients, client::client)?;
    write_list(out, "faults", faults, fault)?;
    if !abort_when.is_empty() {
        write_list(out, "abort_when", abort_when, abort_condition)?;
    }
    writeln!(
        out,
        "    routing: {},",
        link::routing(routing, route_control.is_some())
    )?;
    // Where no link fails it has no effect, and a field without effect is an error to be told.
    if faults.iter().any(Fault::cuts_links) || route_control.is_some() {
        writeln!(out, "    reroute_after: \"{reroute_after}\",")?;
    }
    if let Some(control) = route_control {
        writeln!(out, "    route_control: {},", link::route_control(control))?;
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

fn seeds(seeds: &OwnSeeds) -> String {
    let OwnSeeds {
        workload,
        network,
        faults,
    } = seeds;
    let each = [("workload", workload), ("network", network), ("faults", faults)];
    let each = each
        .into_iter()
        .filter_map(|(name, seed)| seed.map(|seed| format!("{name}: {seed}")));
    format!("({})", each.collect::<Vec<String>>().join(", "))
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
        Fault::Kill(Kill { region, at, duration }) => {
            format!(
                "Kill(region: {}, at: \"{at}\"{})",
                quoted(region),
                lasting(*duration)
            )
        }
        Fault::Reset(Reset { workload, at, every }) => {
            let every = every.map_or(String::new(), |every| format!(", every: \"{every}\""));
            format!("Reset(workload: {}, at: \"{at}\"{every})", quoted(workload))
        }
        Fault::Network(fault) => chaos::network_fault(fault),
        Fault::Recover(recover) => chaos::recover(recover),
    }
}

fn transport_settings(transport: Transport) -> String {
    let Transport {
        streams,
        chunk,
        window,
        patience,
        tcp,
    } = transport;
    let streams = match streams {
        Streams::Fixed(streams) => streams.to_string(),
        Streams::Adaptive {
            initial,
            most,
            contending,
        } => format!("Adaptive(initial: {initial}, most: {most}, contending: {contending})"),
        Streams::SpecRule(rate) => format!("SpecRule(\"{rate}\")"),
        Streams::SeedOptimiser => "SeedOptimiser".to_owned(),
    };
    let chunk = match chunk {
        Chunk::Fixed(size) => format!("\"{size}\""),
        Chunk::Adaptive => "Adaptive".to_owned(),
    };
    format!(
        "(streams: {streams}, chunk: {chunk}, window: \"{window}\", patience: \"{patience}\", tcp: {})",
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
        port,
        reservation,
        carrier,
    } = transfer;
    let amount = match amount {
        Amount::Size(size) => format!("size: \"{size}\""),
        Amount::Duration(duration) => format!("duration: \"{duration}\""),
    };
    let carrier = match carrier {
        Carrier::Plain {
            streams,
            call_time,
            tcp,
        } => {
            let tcp = tcp_settings(*tcp);
            format!("streams: {streams}, call_time: \"{call_time}\", tcp: {tcp}")
        }
        Carrier::Amst(transport) => format!("transport: {}", transport_settings(*transport)),
    };
    format!(
        "(name: {}, from: {}, to: {}, {amount}, at: \"{at}\", port: {port}{}, {carrier})",
        quoted(name),
        quoted(from),
        quoted(to),
        reserved(reservation),
    )
}

fn reservation(reservation: &Reservation) -> String {
    let Reservation {
        name,
        from,
        to,
        rate,
        requested,
        start,
        end,
        priority,
    } = reservation;
    format!(
        "(name: {}, from: {}, to: {}, rate: \"{rate}\", requested: \"{requested}\", start: \"{start}\", \
         end: \"{end}\", priority: {priority})",
        quoted(name),
        quoted(from),
        quoted(to),
    )
}

/// The field `reservation` of traffic that has one.
fn reserved(reservation: &Option<String>) -> String {
    let name = reservation.as_ref();
    name.map_or(String::new(), |name| format!(", reservation: {}", quoted(name)))
}

fn datagram_stream(stream: &DatagramStream) -> String {
    let DatagramStream {
        name,
        from,
        to,
        at,
        duration,
        interval,
        payload_bytes,
        port,
        reservation,
        class,
    } = stream;
    format!(
        "(name: {}, from: {}, to: {}, at: \"{at}\", duration: \"{duration}\", interval: \"{interval}\", \
         payload: \"{payload_bytes} B\", port: {port}, class: {class}{})",
        quoted(name),
        quoted(from),
        quoted(to),
        reserved(reservation),
    )
}

fn abort_condition(condition: &AbortCondition) -> String {
    let AbortCondition {
        metric,
        scope,
        side,
        bound,
        lasting,
    } = condition;
    let side = match side {
        Side::Above => "above",
        Side::Below => "below",
    };
    let lasting = match *lasting {
        Span::ZERO => String::new(),
        lasting => format!(", for: \"{lasting}\""),
    };
    format!(
        "(metric: {}, scope: {}, {side}: {}{lasting})",
        name_of(&METRICS, metric),
        scope_text(scope),
        value_text(*bound)
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
