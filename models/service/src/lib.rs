//! Requests and services, so that retry storms and metastable failures can arise.
//!
//! A [`Client`] makes requests in open or closed loop; a [`Server`] queues them, works on them, perhaps asks services
//! behind it, and answers. Both speak in frames ([`wire`]) over byte streams that stay open, and every call goes through a
//! stack of the policies of `longhaul-resilience`. What they leave behind ([`RequestRecord`], [`Series`]) is what
//! [`measures`] looks at: goodput, recovery, availability, and whether a failure outlives its trigger.
//!
//! # How they are driven
//! Both are [`Machine`](longhaul_core::machine::Machine)s. [`Replica::peer`] names the machine that
//! a client or server opens its streams to. Faults are commands: [`ServerCommand`], [`ClientCommand`].
//!
//! # Work in vain
//! A server knows that nobody waits for an answer only if it is told: by a frame that cancels a request
//! ([`ServiceOptions::cancel`] and [`ServerOptions::cancellation`]) or by the time left that a request carries
//! ([`ServiceOptions::propagate_deadline`] and [`QueueOptions::drop_expired`]). Otherwise it works in vain, and that is
//! how an overload feeds itself.

pub use arrivals::{Arrivals, ArrivalsError, Pattern, Rate, Step};
pub use client::{Client, ClientCommand, ClientEvent};
pub use law::{LawError, TimeLaw};
pub use names::{NameFault, NameOptions};
pub use options::{
    Behind, ClientOptions, Load, MemoryOptions, OperationOptions, OptionsError, RequestOptions,
    ServerOptions, ServiceOptions, Stage,
};
pub use queue::{Discipline, QueueOptions};
pub use record::{
    CallerEvent, CallerStatistics, ClientStatistics, Death, Failures, Interval, LostConnection,
    RequestRecord, RequestResult, Series, ServerEvent, ServerStatistics,
};
pub use server::{Gray, Server, ServerCommand};
pub use target::{Choice, ConnectionOptions, EjectionOptions, Replica};

mod arrivals;
mod caller;
mod client;
mod law;
pub mod measures;
mod names;
mod options;
mod processor;
mod queue;
mod record;
mod seen;
mod server;
mod slab;
mod target;
pub mod wire;
