//! What clients and servers are made from, and why it may be refused.

use longhaul_core::time::Span;
use longhaul_core::units::{ByteSize, Probability};
use longhaul_resilience::health::{HealthConfig, Probe};
use longhaul_resilience::{ConfigError, FieldError, Policy, Priority, StackConfig};
use serde::{Deserialize, Serialize};

use crate::arrivals::{Arrivals, ArrivalsError};
use crate::law::{LawError, TimeLaw};
use crate::names::NameOptions;
use crate::queue::{Discipline, QueueOptions};
use crate::target::{Choice, ConnectionOptions, EjectionOptions, Replica};
use crate::wire::MAX_BODY_BYTES;

/// The most users of a closed loop, cores, places and services.
const COUNT_MAX: u32 = 1_000_000;

/// A service as a caller sees it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct ServiceOptions {
    /// Its replicas; the first one is the primary.
    pub replicas: Vec<Replica>,
    /// Which of them gets an attempt.
    pub choice: Choice,
    /// Whether a further attempt of a call goes to another replica than the one before if it can.
    pub spread: bool,
    /// The policies that calls go through.
    pub stack: StackConfig,
    /// How its name is looked up; without, the replicas are known.
    pub names: Option<NameOptions>,
    /// How connections are opened.
    pub connection: ConnectionOptions,
    /// When replicas that fail are left out.
    pub ejection: Option<EjectionOptions>,
    /// How replicas are asked for their health, each on its own; those that are not well are left out. By pings.
    pub health: Option<HealthConfig>,
    /// Whether replicas are told which attempts nobody waits for any more.
    pub cancel: bool,
    /// Whether replicas are told until when somebody waits.
    pub propagate_deadline: bool,
    /// Whether every decision of the policies is reported as an event; they are many.
    pub report_policies: bool,
}

impl ServiceOptions {
    /// These replicas, the first of them first, without policies and with known addresses.
    pub fn new(replicas: Vec<Replica>) -> ServiceOptions {
        ServiceOptions {
            replicas,
            choice: Choice::PrimaryFirst,
            spread: false,
            stack: StackConfig { layers: Vec::new() },
            names: None,
            connection: ConnectionOptions::default(),
            ejection: None,
            health: None,
            cancel: false,
            propagate_deadline: false,
            report_policies: false,
        }
    }

    /// Checks it.
    ///
    /// # Errors
    /// The first mistake.
    pub fn check(&self) -> Result<(), OptionsError> {
        if self.replicas.is_empty() {
            return Err(OptionsError::NoReplica);
        }
        for (place, replica) in self.replicas.iter().enumerate() {
            if self.replicas[..place]
                .iter()
                .any(|other| other.peer == replica.peer)
            {
                return Err(OptionsError::SameReplica { place });
            }
        }
        if let Err(errors) = self.stack.check() {
            return Err(OptionsError::Stack(errors));
        }
        positive("connection.connect_timeout", self.connection.connect_timeout)?;
        positive("connection.backoff", self.connection.backoff)?;
        ordered(
            "connection.backoff",
            self.connection.backoff,
            self.connection.backoff_max,
        )?;
        if let Some(silence) = self.connection.silence {
            positive("connection.silence", silence)?;
        }
        if let Some(names) = &self.names {
            positive("names.lookup_time", names.lookup_time)?;
            ordered("names.lookup_time", names.lookup_time, names.timeout)?;
        }
        if let Some(ejection) = &self.ejection {
            count("ejection.failures", ejection.failures)?;
            positive("ejection.time", ejection.time)?;
            ordered("ejection.time", ejection.time, ejection.time_max)?;
        }
        if let Some(health) = &self.health {
            if health.probe != Probe::Ping {
                return Err(OptionsError::Probe);
            }
            health.check(0).map_err(OptionsError::Health)?;
        }
        Ok(())
    }
}

/// How many requests a client makes, and when.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum Load {
    /// Requests begin whether or not earlier ones have ended.
    Open(Arrivals),
    /// Users who each make a request, wait until it has ended, think, and make the next one.
    Closed {
        /// How many.
        users: u32,
        /// How long each thinks, before the first request too.
        think: TimeLaw,
    },
}

/// The requests of a client.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RequestOptions {
    /// What is asked for: 0 what the server does by default, n the n-th of its [`ServerOptions::operations`].
    pub operation: u16,
    /// Length of the body.
    pub body: ByteSize,
    /// Length of the answer's body.
    pub answer: ByteSize,
    /// Whether doing it twice must be the same as doing it once.
    pub idempotent: bool,
    /// How much it matters.
    pub priority: Priority,
    /// After what time the call ends without an answer.
    pub deadline: Option<Span>,
    /// A success that takes longer is late and no goodput.
    pub late_after: Option<Span>,
}

impl Default for RequestOptions {
    /// Idempotent requests of 200 B with answers of 1 kB, for which the client waits as long as its policies let it.
    fn default() -> RequestOptions {
        RequestOptions {
            operation: 0,
            body: ByteSize::from_bytes(200),
            answer: ByteSize::from_bytes(1_000),
            idempotent: true,
            priority: Priority::Normal,
            deadline: None,
            late_after: None,
        }
    }
}

/// What a client is made from.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct ClientOptions {
    /// Tells its requests from those of others: no two callers of a server have the same.
    pub origin: u32,
    /// The service that it calls.
    pub service: ServiceOptions,
    /// When it makes requests.
    pub load: Load,
    /// What they are.
    pub request: RequestOptions,
    /// It makes no more than so many.
    pub limit: Option<u64>,
    /// Whether a record of every request is kept until it is taken.
    pub keep_records: bool,
    /// The interval of the series.
    pub interval: Span,
}

impl ClientOptions {
    /// Checks it.
    ///
    /// # Errors
    /// The first mistake.
    pub fn check(&self) -> Result<(), OptionsError> {
        self.service.check()?;
        check_load(&self.load)?;
        bytes("request.body", self.request.body)?;
        bytes("request.answer", self.request.answer)?;
        positive("interval", self.interval)?;
        if let Some(deadline) = self.request.deadline {
            positive("request.deadline", deadline)?;
        }
        Ok(())
    }
}

pub(crate) fn check_load(load: &Load) -> Result<(), OptionsError> {
    match load {
        Load::Open(arrivals) => arrivals.check().map_err(OptionsError::Arrivals),
        Load::Closed { users, think } => {
            count("load.users", *users)?;
            law("load.think", think)
        }
    }
}

/// One stage of what a server asks of others before it answers: after the one before has succeeded.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Stage {
    /// All of these at once, by their places in [`ServerOptions::behind`]; the same one several times if it is named so.
    All(Vec<u16>),
    /// One of these, each as often.
    OneOf(Vec<u16>),
}

impl Stage {
    pub(crate) fn services(&self) -> &[u16] {
        match self {
            Stage::All(services) | Stage::OneOf(services) => services,
        }
    }
}

/// A service behind a server.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Behind {
    /// How it is called.
    pub service: ServiceOptions,
    /// What is asked of it; see [`RequestOptions::operation`].
    pub operation: u16,
    /// Length of the body of a request.
    pub body: ByteSize,
    /// Length of the answer's body.
    pub answer: ByteSize,
}

/// The memory of a server.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct MemoryOptions {
    /// What there is. Above it the process is killed.
    pub limit: ByteSize,
    /// What the process needs without requests.
    pub base: ByteSize,
    /// What a request needs while it is there, beside its body and its answer.
    pub per_request: ByteSize,
    /// From which share of the limit on the process slows down, as garbage collection and paging do.
    pub pressure_from: Probability,
    /// What is left of its speed just below the limit; in between it falls in proportion.
    pub slowest: Probability,
}

impl Default for MemoryOptions {
    /// 8 GiB, of which a process needs 1 GiB and 64 KiB for each request; from 85 % on it slows down to a tenth.
    fn default() -> MemoryOptions {
        MemoryOptions {
            limit: ByteSize::from_mib(8 << 10),
            base: ByteSize::from_mib(1 << 10),
            per_request: ByteSize::from_kib(64),
            pressure_from: Probability::from_ratio(85, 100).expect("a share"),
            slowest: Probability::from_ratio(1, 10).expect("a share"),
        }
    }
}

/// Something that a server does beside what it does by default. All that it does shares its cores, its queue, its
/// admission and its memory.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct OperationOptions {
    /// Processor time of a request, on a core at full speed.
    pub service: TimeLaw,
    /// How often a request fails in the best of times.
    pub error_rate: Probability,
    /// What it asks of services behind, one stage after the other.
    pub stages: Vec<Stage>,
}

/// What a request asks for: what a server does by default, or one of its operations.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked<'a> {
    pub service: &'a TimeLaw,
    pub error_rate: Probability,
    pub stages: &'a [Stage],
}

/// What a server is made from.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct ServerOptions {
    /// Tells its requests to services behind it from those of other callers.
    pub origin: u32,
    /// Cores, which requests that are worked on share; each uses one at most.
    pub cores: u32,
    /// How many requests are worked on at once, those included that wait for a service behind.
    pub concurrency: u32,
    /// Where others wait.
    pub queue: QueueOptions,
    /// Processor time of a request, on a core at full speed.
    pub service: TimeLaw,
    /// How often a request fails in the best of times.
    pub error_rate: Probability,
    /// Policies that a request must pass before it is let in: rate limiters, shedding, breakers. They may neither
    /// retry, hedge, time out nor wait. The load that is reported to them is how many requests are there, for each that
    /// may be worked on at once.
    pub admission: StackConfig,
    /// Whether work that nobody waits for any more is given up: cancelled, or its connection gone.
    pub cancellation: bool,
    /// How many results of idempotent requests are remembered, so that a duplicate is not done again.
    pub remember: u32,
    /// Its memory.
    pub memory: MemoryOptions,
    /// How long the process takes to start again after it was killed or panicked.
    pub restart: Span,
    /// The services behind it.
    pub behind: Vec<Behind>,
    /// What it asks of them, one stage after the other.
    pub stages: Vec<Stage>,
    /// What else it can be asked for, numbered from 1: at most 65,535.
    pub operations: Vec<OperationOptions>,
}

impl ServerOptions {
    /// So many cores with as many requests at once, others waiting first in, first out, without an end.
    pub fn new(cores: u32, service: TimeLaw) -> ServerOptions {
        ServerOptions {
            origin: u32::MAX,
            cores,
            concurrency: cores,
            queue: QueueOptions {
                limit: u32::MAX,
                discipline: Discipline::Fifo,
                drop_expired: false,
            },
            service,
            error_rate: Probability::ZERO,
            admission: StackConfig { layers: Vec::new() },
            cancellation: false,
            remember: 0,
            memory: MemoryOptions {
                limit: ByteSize::from_mib(1 << 20),
                ..MemoryOptions::default()
            },
            restart: Span::from_s(10),
            behind: Vec::new(),
            stages: Vec::new(),
            operations: Vec::new(),
        }
    }

    /// What is asked for by this number; `None` if there is no such operation.
    pub(crate) fn asked(&self, operation: u16) -> Option<Asked<'_>> {
        let Some(place) = usize::from(operation).checked_sub(1) else {
            return Some(Asked {
                service: &self.service,
                error_rate: self.error_rate,
                stages: &self.stages,
            });
        };
        let operation = self.operations.get(place)?;
        Some(Asked {
            service: &operation.service,
            error_rate: operation.error_rate,
            stages: &operation.stages,
        })
    }

    /// Checks it.
    ///
    /// # Errors
    /// The first mistake.
    pub fn check(&self) -> Result<(), OptionsError> {
        count("cores", self.cores)?;
        count("concurrency", self.concurrency)?;
        law("service", &self.service)?;
        if let Discipline::CoDel { target, interval } = self.queue.discipline {
            positive("queue.target", target)?;
            ordered("queue.target", target, interval)?;
        }
        if let Err(errors) = self.admission.check() {
            return Err(OptionsError::Stack(errors));
        }
        for (layer, config) in self.admission.layers.iter().enumerate() {
            let policy = config.policy();
            if matches!(
                policy,
                Policy::Retry | Policy::Hedge | Policy::Timeout | Policy::Bulkhead
            ) {
                return Err(OptionsError::Admission { layer, policy });
            }
        }
        let memory = &self.memory;
        if memory.base >= memory.limit {
            return Err(OptionsError::Memory);
        }
        if memory.slowest == Probability::ZERO {
            return Err(OptionsError::Zero {
                field: "memory.slowest",
            });
        }
        positive("restart", self.restart)?;
        for behind in &self.behind {
            behind.service.check()?;
            bytes("behind.body", behind.body)?;
            bytes("behind.answer", behind.answer)?;
        }
        if self.operations.len() > usize::from(u16::MAX) {
            return Err(OptionsError::Operations);
        }
        self.check_stages(&self.stages)?;
        for operation in &self.operations {
            law("operations.service", &operation.service)?;
            self.check_stages(&operation.stages)?;
        }
        Ok(())
    }

    fn check_stages(&self, stages: &[Stage]) -> Result<(), OptionsError> {
        let known = |service: &u16| usize::from(*service) < self.behind.len();
        let wrong = |stage: &Stage| stage.services().is_empty() || !stage.services().iter().all(known);
        match stages.iter().position(wrong) {
            Some(stage) => Err(OptionsError::Stage { stage }),
            None => Ok(()),
        }
    }
}

/// Why options are refused.
#[derive(Clone, PartialEq, Debug, thiserror::Error)]
pub enum OptionsError {
    /// More operations than can be numbered.
    #[error("a server has at most 65535 operations")]
    Operations,
    /// A service without replicas.
    #[error("a service needs a replica")]
    NoReplica,
    /// A machine twice.
    #[error("replica {place} is named twice")]
    SameReplica {
        /// The second one, from 0.
        place: usize,
    },
    /// The policies.
    #[error("the policies: {}", list(.0))]
    Stack(Vec<ConfigError>),
    /// The health check.
    #[error("health: {}", list(.0))]
    Health(Vec<FieldError>),
    /// A health check by something else than pings.
    #[error("health: replicas answer pings only")]
    Probe,
    /// The load.
    #[error("load: {0}")]
    Arrivals(ArrivalsError),
    /// A law.
    #[error("{field}: {error}")]
    Law {
        /// Where.
        field: &'static str,
        /// Why.
        error: LawError,
    },
    /// Nothing where something must be.
    #[error("{field} must be above zero")]
    Zero {
        /// Where.
        field: &'static str,
    },
    /// Too many.
    #[error("{field} must be at most {most}")]
    TooMany {
        /// Where.
        field: &'static str,
        /// The most.
        most: u32,
    },
    /// Longer than what bounds it.
    #[error("{field} is longer than its bound: {span} against {bound}")]
    Order {
        /// Where.
        field: &'static str,
        /// The span.
        span: Span,
        /// Its bound.
        bound: Span,
    },
    /// A policy that cannot let requests in.
    #[error("layer {layer} of the admission: a {policy} is for callers")]
    Admission {
        /// Which one, from 0.
        layer: usize,
        /// Its kind.
        policy: Policy,
    },
    /// No memory for requests.
    #[error("the process needs all of its memory before the first request")]
    Memory,
    /// A stage without services, or with some that are not there.
    #[error("stage {stage} must name services behind the server")]
    Stage {
        /// Which one, from 0.
        stage: usize,
    },
}

fn list<E: ToString>(errors: &[E]) -> String {
    let texts: Vec<String> = errors.iter().map(ToString::to_string).collect();
    texts.join("; ")
}

fn positive(field: &'static str, span: Span) -> Result<(), OptionsError> {
    if span == Span::ZERO {
        return Err(OptionsError::Zero { field });
    }
    Ok(())
}

fn ordered(field: &'static str, span: Span, bound: Span) -> Result<(), OptionsError> {
    if span > bound {
        return Err(OptionsError::Order { field, span, bound });
    }
    Ok(())
}

fn count(field: &'static str, count: u32) -> Result<(), OptionsError> {
    match count {
        0 => Err(OptionsError::Zero { field }),
        1..=COUNT_MAX => Ok(()),
        _ => Err(OptionsError::TooMany {
            field,
            most: COUNT_MAX,
        }),
    }
}

fn bytes(field: &'static str, size: ByteSize) -> Result<(), OptionsError> {
    if size.as_bytes() > u64::from(MAX_BODY_BYTES) {
        return Err(OptionsError::TooMany {
            field,
            most: MAX_BODY_BYTES,
        });
    }
    Ok(())
}

fn law(field: &'static str, law: &TimeLaw) -> Result<(), OptionsError> {
    law.check().map_err(|error| OptionsError::Law { field, error })
}
