//! The canonical text of a service.

use longhaul_service::{
    Behind, Discipline, MemoryOptions, OperationOptions, QueueOptions, ServerOptions, Stage,
};

use super::client::{calls, operation_text};
use super::load::time_law;
use super::policies::stack;
use super::{quoted, tcp_settings};
use crate::schema::Service;

/// One entry of `services`.
pub fn service(service: &Service) -> String {
    let Service {
        name,
        replicas,
        port,
        tcp,
        options,
        behind: names,
        asks_for,
        operations: own,
    } = service;
    // The origin is not of the language.
    let ServerOptions {
        origin: _,
        cores,
        concurrency,
        queue,
        service: law,
        error_rate,
        admission,
        cancellation,
        remember,
        memory,
        restart,
        behind,
        stages,
        operations,
    } = options;
    let MemoryOptions {
        limit,
        base,
        per_request,
        pressure_from,
        slowest,
    } = memory;
    let replicas: Vec<String> = replicas.iter().map(|region| quoted(region)).collect();
    let behind: Vec<String> = names
        .iter()
        .zip(asks_for)
        .zip(behind)
        .map(|((name, operation), behind)| behind_text(name, operation.as_deref(), behind))
        .collect();
    let operations: Vec<String> = own
        .iter()
        .zip(operations)
        .map(|(name, operation)| own_operation(name, operation, names))
        .collect();
    format!(
        "(name: {}, replicas: [{}], port: {port}, cores: {cores}, concurrency: {concurrency}, service_time: {}, \
         queue: {}, error_rate: \"{error_rate}\", cancellation: {cancellation}, remember: {remember}, \
         restart: \"{restart}\", memory: (limit: \"{limit}\", base: \"{base}\", per_request: \"{per_request}\", \
         pressure_from: \"{pressure_from}\", slowest: \"{slowest}\"), admission: {}, behind: [{}], stages: {}, \
         operations: [{}], tcp: {})",
        quoted(name),
        replicas.join(", "),
        time_law(law),
        queue_text(queue),
        stack(admission),
        behind.join(", "),
        stages_text(stages, names),
        operations.join(", "),
        tcp_settings(*tcp),
    )
}

fn queue_text(queue: &QueueOptions) -> String {
    let QueueOptions {
        limit,
        discipline,
        drop_expired,
    } = *queue;
    let limit = match limit {
        u32::MAX => "None".to_owned(),
        limit => limit.to_string(),
    };
    let discipline = match discipline {
        Discipline::Fifo => "Fifo".to_owned(),
        Discipline::Lifo => "Lifo".to_owned(),
        Discipline::CoDel { target, interval } => {
            format!("CoDel(target: \"{target}\", interval: \"{interval}\")")
        }
    };
    format!("(limit: {limit}, discipline: {discipline}, drop_expired: {drop_expired})")
}

fn own_operation(name: &str, operation: &OperationOptions, behind: &[String]) -> String {
    let OperationOptions {
        service,
        error_rate,
        stages,
    } = operation;
    format!(
        "(name: {}, service_time: {}, error_rate: \"{error_rate}\", stages: {})",
        quoted(name),
        time_law(service),
        stages_text(stages, behind)
    )
}

fn behind_text(name: &str, asks_for: Option<&str>, behind: &Behind) -> String {
    // The number of the operation is not of the language.
    let Behind {
        operation: _,
        service,
        body,
        answer,
    } = behind;
    format!(
        "(service: {}, {}body: \"{body}\", answer: \"{answer}\", {})",
        quoted(name),
        operation_text(asks_for),
        calls(service)
    )
}

fn stages_text(stages: &[Stage], names: &[String]) -> String {
    let stages: Vec<String> = stages.iter().map(|stage| stage_text(stage, names)).collect();
    format!("[{}]", stages.join(", "))
}

fn stage_text(stage: &Stage, names: &[String]) -> String {
    let (variant, services) = match stage {
        Stage::All(services) => ("All", services),
        Stage::OneOf(services) => ("OneOf", services),
    };
    let services: Vec<String> = services
        .iter()
        .map(|place| quoted(&names[usize::from(*place)]))
        .collect();
    format!("{variant}([{}])", services.join(", "))
}
