//! Clients and their requests.

use longhaul_core::time::Span;
use longhaul_resilience::Priority;
use longhaul_service::{ClientOptions, RequestOptions};

use crate::schema::{Client, Tcp};

use super::calls::{self, body, service_name};
use super::context::{At, Context, Fields, Variant, no_content, unless_none, variant};
use super::load::load;
use super::network::region_name;
use super::service::operation_name;
use super::work::positive_span;
use super::{transport, value};

/// A client; what its connections do not say is as in `base`.
pub fn client(cx: &mut Context, at: &At, base: Tcp) -> Option<Client> {
    let own = [
        "name",
        "region",
        "service",
        "at",
        "duration",
        "load",
        "request",
        "limit",
        "keep_records",
        "tcp",
    ];
    let known: Vec<&str> = own.into_iter().chain(calls::FIELDS).collect();
    let fields = Fields::of(cx, at, "a client", None, &known)?;
    let name = fields.required(cx, "name", value::name);
    let region = fields.required(cx, "region", region_name);
    let service = fields.required(cx, "service", service_name);
    let start = fields.optional(cx, "at", Span::ZERO, value::quantity);
    let duration = fields.required(cx, "duration", positive_span);
    let load = fields.required(cx, "load", load);
    let request = fields.optional(cx, "request", (None, RequestOptions::default()), request);
    let limit = fields.optional(cx, "limit", None, |cx, at| {
        unless_none(cx, at, |cx, at| value::integer(cx, at, 1, u64::MAX))
    });
    let keep_records = fields.optional(cx, "keep_records", true, value::boolean);
    let tcp = fields.optional(cx, "tcp", base, |cx, at| transport::tcp(cx, at, base));
    let calls = calls::calls(cx, &fields);
    let (operation, request) = request?;
    Some(Client {
        name: name?,
        region: region?,
        service: service?,
        operation,
        at: start?,
        duration: duration?,
        tcp: tcp?,
        options: ClientOptions {
            // Both are filled in when it is built.
            origin: 0,
            interval: Span::from_s(1),
            service: calls?,
            load: load?,
            request,
            limit: limit?,
            keep_records: keep_records?,
        },
    })
}

/// Which operation is asked for, and how.
fn request(cx: &mut Context, at: &At) -> Option<(Option<String>, RequestOptions)> {
    let known = [
        "operation",
        "body",
        "answer",
        "idempotent",
        "priority",
        "deadline",
        "late_after",
    ];
    let fields = Fields::of(cx, at, "a request", None, &known)?;
    let default = RequestOptions::default();
    let operation = fields.optional(cx, "operation", None, operation_name);
    let body_length = fields.optional(cx, "body", default.body, body);
    let answer = fields.optional(cx, "answer", default.answer, body);
    let idempotent = fields.optional(cx, "idempotent", default.idempotent, value::boolean);
    let priority = fields.optional(cx, "priority", default.priority, priority);
    let span = |cx: &mut Context, at: &At| unless_none(cx, at, positive_span);
    let deadline = fields.optional(cx, "deadline", default.deadline, span);
    let late_after = fields.optional(cx, "late_after", default.late_after, span);
    let request = RequestOptions {
        // Filled in when it is built.
        operation: 0,
        body: body_length?,
        answer: answer?,
        idempotent: idempotent?,
        priority: priority?,
        deadline: deadline?,
        late_after: late_after?,
    };
    Some((operation?, request))
}

/// How much a request matters.
pub fn priority(cx: &mut Context, at: &At) -> Option<Priority> {
    let variants = ["Background", "Normal", "Critical"].map(|name| Variant { name, form: name });
    let name = variant(cx, at, "a priority", &variants)?;
    no_content(cx, at)?;
    Some(match name {
        "Background" => Priority::Background,
        "Normal" => Priority::Normal,
        _ => Priority::Critical,
    })
}
