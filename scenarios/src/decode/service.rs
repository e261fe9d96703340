//! Services: what each of their servers is, and what it asks of services behind it.

use longhaul_core::time::Span;
use longhaul_core::units::{ByteSize, Probability};
use longhaul_resilience::StackConfig;
use longhaul_service::{
    Behind, Discipline, MemoryOptions, OperationOptions, QueueOptions, RequestOptions, ServerOptions, Stage,
    TimeLaw,
};

use crate::schema::{Service, Tcp};

use super::calls::{self, body, count, service_name};
use super::context::{At, Context, Fields, Variant, content, list, no_content, unless_none, variant};
use super::load::time_law;
use super::network::region_name;
use super::work::positive_span;
use super::{policies, policy, transport, value};

/// The port of HTTPS.
const HTTPS: u16 = 443;
/// Most servers of one service, services behind one server, stages, and services of one stage.
const MOST_PARTS: usize = 256;
/// Most cores, requests at once and remembered results.
const MOST: u64 = 1_000_000;
/// Longest queue that is given; one without a limit is longer.
const LONGEST_QUEUE: u64 = 1_000_000_000;

/// A service; what its connections do not say is as in `base`.
pub fn service(cx: &mut Context, at: &At, base: Tcp) -> Option<Service> {
    let known = [
        "name",
        "replicas",
        "port",
        "cores",
        "concurrency",
        "service_time",
        "queue",
        "error_rate",
        "cancellation",
        "remember",
        "restart",
        "memory",
        "admission",
        "behind",
        "stages",
        "operations",
        "tcp",
    ];
    let fields = Fields::of(cx, at, "a service", None, &known)?;
    let name = fields.required(cx, "name", value::name);
    let replicas = fields.required(cx, "replicas", replicas);
    let port = fields.optional(cx, "port", HTTPS, policy::port);
    let many = |cx: &mut Context, at: &At| count(cx, at, 1, MOST);
    let cores = fields.required(cx, "cores", many);
    let concurrency = fields.optional(cx, "concurrency", cores.unwrap_or(1), many);
    let law = fields.required(cx, "service_time", time_law);
    let default = ServerOptions::new(1, TimeLaw::Constant(Span::ZERO));
    let queue = fields.optional(cx, "queue", default.queue, |cx, at| queue(cx, at, default.queue));
    let error_rate = fields.optional(cx, "error_rate", default.error_rate, value::quantity);
    let cancellation = fields.optional(cx, "cancellation", default.cancellation, value::boolean);
    let remember = fields.optional(cx, "remember", default.remember, |cx, at| count(cx, at, 0, MOST));
    let restart = fields.optional(cx, "restart", default.restart, positive_span);
    let memory = fields.optional(cx, "memory", MemoryOptions::default(), memory);
    let admission = fields.optional(cx, "admission", StackConfig::default(), policies::admission);
    let (behind, known_behind) = match fields.get("behind") {
        Some(at) => behind_services(cx, &at),
        None => (Some(Vec::new()), Some(Vec::new())),
    };
    let stages = match (fields.get("stages"), &known_behind) {
        (Some(at), Some(known)) => stages(cx, &at, known),
        (None, Some(known)) if !known.is_empty() => {
            let all = 0..u16::try_from(known.len()).expect("at most 256 services");
            Some(vec![Stage::All(all.collect())])
        }
        (None, Some(_)) => Some(Vec::new()),
        // What stages could name is not known.
        (_, None) => None,
    };
    let operations = match (fields.get("operations"), &known_behind) {
        (Some(at), Some(known)) => operations(cx, &at, known),
        (None, _) => Some(Vec::new()),
        (_, None) => None,
    };
    let tcp = fields.optional(cx, "tcp", base, |cx, at| transport::tcp(cx, at, base));
    let mut names = Vec::new();
    let mut asks_for = Vec::new();
    let behind = behind?.into_iter().map(|(name, operation, behind)| {
        names.push(name);
        asks_for.push(operation);
        behind
    });
    let behind = behind.collect();
    let (own, operations) = operations?.into_iter().unzip();
    Some(Service {
        name: name?,
        replicas: replicas?,
        port: port?,
        tcp: tcp?,
        options: ServerOptions {
            cores: cores?,
            concurrency: concurrency?,
            queue: queue?,
            error_rate: error_rate?,
            admission: admission?,
            cancellation: cancellation?,
            remember: remember?,
            memory: memory?,
            restart: restart?,
            behind,
            stages: stages?,
            service: law?,
            operations,
            // Its origin is filled in when it is built.
            ..default
        },
        behind: names,
        asks_for,
        operations: own,
    })
}

/// What else it can be asked for, by name; `behind` are the names of the services behind.
fn operations(cx: &mut Context, at: &At, behind: &[String]) -> Option<Vec<(String, OperationOptions)>> {
    let mut seen: Vec<String> = Vec::new();
    let (operations, complete) = list(cx, at, MOST_PARTS, |cx, at| {
        let known = ["name", "service_time", "error_rate", "stages"];
        let fields = Fields::of(cx, at, "an operation", None, &known)?;
        let name = fields.required(cx, "name", value::name);
        let law = fields.required(cx, "service_time", time_law);
        let error_rate = fields.optional(cx, "error_rate", Probability::ZERO, value::quantity);
        let stages = fields.optional(cx, "stages", Vec::new(), |cx, at| stages(cx, at, behind));
        let name = name?;
        if seen.contains(&name) {
            return cx.refuse(at, format!("there is an operation `{name}` already"));
        }
        seen.push(name.clone());
        let operation = OperationOptions {
            service: law?,
            error_rate: error_rate?,
            stages: stages?,
        };
        Some((name, operation))
    });
    complete.then(|| operations.into_iter().map(|(_, operation)| operation).collect())
}

fn replicas(cx: &mut Context, at: &At) -> Option<Vec<String>> {
    let mut seen: Vec<String> = Vec::new();
    let (replicas, complete) = list(cx, at, MOST_PARTS, |cx, at| {
        let region = region_name(cx, at)?;
        if seen.contains(&region) {
            return cx.refuse(at, format!("there is a server in `{region}` already"));
        }
        seen.push(region.clone());
        Some(region)
    });
    if complete && replicas.is_empty() {
        return cx.refuse(at, "a service has at least one server");
    }
    complete.then(|| replicas.into_iter().map(|(_, region)| region).collect())
}

fn queue(cx: &mut Context, at: &At, default: QueueOptions) -> Option<QueueOptions> {
    let fields = Fields::of(
        cx,
        at,
        "a queue of requests",
        None,
        &["limit", "discipline", "drop_expired"],
    )?;
    let limit = fields.optional(cx, "limit", default.limit, |cx, at| {
        let limit = unless_none(cx, at, |cx, at| count(cx, at, 0, LONGEST_QUEUE))?;
        Some(limit.unwrap_or(u32::MAX))
    });
    let discipline = fields.optional(cx, "discipline", default.discipline, discipline);
    let drop_expired = fields.optional(cx, "drop_expired", default.drop_expired, value::boolean);
    Some(QueueOptions {
        limit: limit?,
        discipline: discipline?,
        drop_expired: drop_expired?,
    })
}

fn discipline(cx: &mut Context, at: &At) -> Option<Discipline> {
    let variants = [
        Variant {
            name: "Fifo",
            form: "Fifo",
        },
        Variant {
            name: "Lifo",
            form: "Lifo",
        },
        Variant {
            name: "CoDel",
            form: "CoDel(target: \"5 ms\", interval: \"100 ms\")",
        },
    ];
    let name = variant(cx, at, "a discipline", &variants)?;
    match name {
        "Fifo" => no_content(cx, at).map(|()| Discipline::Fifo),
        "Lifo" => no_content(cx, at).map(|()| Discipline::Lifo),
        _ => {
            let fields = Fields::of(cx, at, "CoDel", Some(name), &["target", "interval"])?;
            // The defaults of RFC 8289, sections 4.2 and 4.3.
            let target = fields.optional(cx, "target", Span::from_ms(5), positive_span);
            let interval = fields.optional(cx, "interval", Span::from_ms(100), positive_span);
            let (target, interval) = (target?, interval?);
            if target > interval {
                let message = format!("a target of {target} is longer than the interval, {interval}");
                let field = fields.get("target").or_else(|| fields.get("interval"));
                return cx.refuse(&field?, message);
            }
            Some(Discipline::CoDel { target, interval })
        }
    }
}

fn memory(cx: &mut Context, at: &At) -> Option<MemoryOptions> {
    let known = ["limit", "base", "per_request", "pressure_from", "slowest"];
    let fields = Fields::of(cx, at, "the memory of a server", None, &known)?;
    let default = MemoryOptions::default();
    let size = |cx: &mut Context, at: &At| value::quantity::<ByteSize>(cx, at);
    let limit = fields.optional(cx, "limit", default.limit, size);
    let base = fields.optional(cx, "base", default.base, size);
    let per_request = fields.optional(cx, "per_request", default.per_request, size);
    let pressure_from = fields.optional(cx, "pressure_from", default.pressure_from, value::quantity);
    let slowest = fields.optional(cx, "slowest", default.slowest, |cx, at| {
        let least = Probability::from_parts(1).expect("less than one");
        value::quantity_within(cx, at, &least, &Probability::ONE)
    });
    let (limit, base) = (limit?, base?);
    if base >= limit {
        let message = format!("the process needs {base} of {limit}, so that nothing is left for requests");
        let field = fields.get("base").or_else(|| fields.get("limit"));
        return cx.refuse(&field?, message);
    }
    Some(MemoryOptions {
        limit,
        base,
        per_request: per_request?,
        pressure_from: pressure_from?,
        slowest: slowest?,
    })
}

/// A service behind, by its name, and which of its operations is asked for.
type NamedBehind = (String, Option<String>, Behind);

/// The services behind, and their names alone as far as they can be told.
fn behind_services(cx: &mut Context, at: &At) -> (Option<Vec<NamedBehind>>, Option<Vec<String>>) {
    let names = at.node.items().iter().map(|item| {
        let name = item.field("service").and_then(value::text_of);
        name.map(str::to_owned)
    });
    let names: Option<Vec<String>> = names.collect();
    let mut seen: Vec<String> = Vec::new();
    let (behind, complete) = list(cx, at, MOST_PARTS, |cx, at| {
        let (name, operation, behind) = one_behind(cx, at)?;
        if seen.contains(&name) {
            let place = at.node.field("service").map(|node| at.field("service", node));
            return cx.refuse(&place?, format!("`{name}` is behind this service already"));
        }
        seen.push(name.clone());
        Some((name, operation, behind))
    });
    let behind = complete.then(|| behind.into_iter().map(|(_, behind)| behind).collect());
    (behind, names)
}

fn one_behind(cx: &mut Context, at: &At) -> Option<NamedBehind> {
    let own = ["service", "operation", "body", "answer"];
    let known: Vec<&str> = own.into_iter().chain(calls::FIELDS).collect();
    let fields = Fields::of(cx, at, "a service behind", None, &known)?;
    let default = RequestOptions::default();
    let name = fields.required(cx, "service", service_name);
    let operation = fields.optional(cx, "operation", None, operation_name);
    let length = fields.optional(cx, "body", default.body, body);
    let answer = fields.optional(cx, "answer", default.answer, body);
    let calls = calls::calls(cx, &fields);
    let behind = Behind {
        // Filled in when it is built.
        operation: 0,
        service: calls?,
        body: length?,
        answer: answer?,
    };
    Some((name?, operation?, behind))
}

/// The name of an operation, or `None` for what a service does by default.
pub fn operation_name(cx: &mut Context, at: &At) -> Option<Option<String>> {
    unless_none(cx, at, value::name)
}

/// What is asked of the services behind, of which `known` are the names.
fn stages(cx: &mut Context, at: &At, known: &[String]) -> Option<Vec<Stage>> {
    let (stages, complete) = list(cx, at, MOST_PARTS, |cx, at| stage(cx, at, known));
    complete.then(|| stages.into_iter().map(|(_, stage)| stage).collect())
}

fn stage(cx: &mut Context, at: &At, known: &[String]) -> Option<Stage> {
    let variants = [
        Variant {
            name: "All",
            form: "All([\"db\"])",
        },
        Variant {
            name: "OneOf",
            form: "OneOf([\"cache\", \"db\"])",
        },
    ];
    let name = variant(cx, at, "a stage", &variants)?;
    let form = if name == "All" {
        variants[0].form
    } else {
        variants[1].form
    };
    let inside = content(cx, at, form)?;
    let (services, complete) = list(cx, &inside, MOST_PARTS, |cx, at| {
        let name = service_name(cx, at)?;
        match known.iter().position(|known| *known == name) {
            Some(place) => Some(u16::try_from(place).expect("at most 256 services")),
            None => cx.refuse(at, format!("`{name}` is not behind this service")),
        }
    });
    if complete && services.is_empty() {
        return cx.refuse(at, "this stage asks nothing of anybody");
    }
    let services: Vec<u16> = services.into_iter().map(|(_, service)| service).collect();
    complete.then_some(match name {
        "All" => Stage::All(services),
        _ => Stage::OneOf(services),
    })
}
