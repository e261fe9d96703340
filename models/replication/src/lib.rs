//! Continuous replication of virtual machines to another site, over [HDE](longhaul_hde) and [AMST](longhaul_amst).
//!
//! Two machines: a [`Source`], to which the guests belong, and a [`Replica`], where they go on when the source is lost.
//! They talk over byte streams and know no network.
#![warn(missing_docs)]

pub mod control;
mod digest;
mod event;
mod guests;
pub mod message;
mod options;
mod replica;
mod rpo;
mod source;

pub use digest::Fingerprint;
pub use event::{
    Disconnect, NotPromoted, RejectReason, ReplicaCommand, ReplicaEvent, ResyncReason, SessionEnd,
    SourceCommand, SourceEvent, StreamRefusal,
};
pub use options::{
    Backoff, Failover, Heartbeat, OptionsError, Policy, ReplicaOptions, ReplicaSetOptions, SourceOptions,
};
pub use replica::{Replica, ReplicaStatistics};
pub use rpo::{RpoDistribution, RpoHistory};
pub use source::{Guest, SetGuests, SetStatistics, Source, SourceStatistics};

/// Most consistency sets of one source.
pub const MAX_SETS: usize = 1024;
