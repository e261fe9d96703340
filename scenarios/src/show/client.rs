//! The canonical text of a client, and of how services are called.

use longhaul_service::{ClientOptions, RequestOptions, ServiceOptions};

use super::load::load;
use super::policies::stack;
use super::{quoted, tcp_settings};
use crate::schema::Client;

/// One entry of `clients`.
pub fn client(client: &Client) -> String {
    let Client {
        name,
        region,
        service,
        operation,
        at,
        duration,
        tcp,
        options,
    } = client;
    // The origin and the interval of the series are not of the language.
    let ClientOptions {
        origin: _,
        service: called,
        load: requests,
        request,
        limit,
        keep_records,
        interval: _,
    } = options;
    let limit = limit.map_or(String::new(), |limit| format!(", limit: {limit}"));
    format!(
        "(name: {}, region: {}, service: {}, at: \"{at}\", duration: \"{duration}\", load: {}, request: {}{limit}, \
         keep_records: {keep_records}, {}, tcp: {})",
        quoted(name),
        quoted(region),
        quoted(service),
        load(requests),
        request_text(operation.as_deref(), request),
        calls(called),
        tcp_settings(*tcp),
    )
}

fn request_text(operation: Option<&str>, request: &RequestOptions) -> String {
    // The number of the operation is not of the language.
    let RequestOptions {
        operation: _,
        body,
        answer,
        idempotent,
        priority,
        deadline,
        late_after,
    } = request;
    let time = |field: &str, time: &Option<_>| {
        time.as_ref()
            .map_or(String::new(), |time| format!(", {field}: \"{time}\""))
    };
    format!(
        "({}body: \"{body}\", answer: \"{answer}\", idempotent: {idempotent}, priority: {priority:?}{}{})",
        operation_text(operation),
        time("deadline", deadline),
        time("late_after", late_after)
    )
}

/// Which operation is asked for, with a comma; nothing for what a service does by default.
pub fn operation_text(operation: Option<&str>) -> String {
    operation.map_or(String::new(), |name| format!("operation: {}, ", quoted(name)))
}

/// How a service is called: fields of a client or of a service behind.
pub fn calls(service: &ServiceOptions) -> String {
    let ServiceOptions {
        replicas: _,
        choice,
        spread,
        stack: policies,
        names,
        connection,
        ejection,
        health,
        cancel,
        propagate_deadline,
        report_policies,
    } = service;
    let names = names.map_or(String::new(), |names| {
        format!(
            ", names: (ttl: \"{}\", lookup_time: \"{}\", timeout: \"{}\", negative_ttl: \"{}\", serve_stale: {})",
            names.ttl, names.lookup_time, names.timeout, names.negative_ttl, names.serve_stale
        )
    });
    let silence = connection
        .silence
        .map_or(String::new(), |silence| format!(", silence: \"{silence}\""));
    let ejection = ejection.map_or(String::new(), |ejection| {
        format!(
            ", ejection: (failures: {}, time: \"{}\", time_max: \"{}\", share_max: \"{}\")",
            ejection.failures, ejection.time, ejection.time_max, ejection.share_max
        )
    });
    let health = health.as_ref().map_or(String::new(), |health| {
        format!(
            ", health: (interval: \"{}\", timeout: \"{}\", fall: (k: {}, n: {}), rise: (k: {}, n: {}))",
            health.interval, health.timeout, health.fall.k, health.fall.n, health.rise.k, health.rise.n
        )
    });
    format!(
        "choice: {choice:?}, spread: {spread}, policies: {}{names}, connection: (connect_timeout: \"{}\", \
         backoff: \"{}\", backoff_max: \"{}\"{silence}){ejection}{health}, cancel: {cancel}, \
         propagate_deadline: {propagate_deadline}, report_policies: {report_policies}",
        stack(policies),
        connection.connect_timeout,
        connection.backoff,
        connection.backoff_max,
    )
}
