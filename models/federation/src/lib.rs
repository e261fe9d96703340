//! Federations: clusters in several regions that keep their state in step and have a log in common.
//!
//! | module | what it holds |
//! | --- | --- |
//! | [`cluster`] | [`Cluster`]: the machine of one cluster |
//! | [`options`] | how it works, and the documented configurations of the original system |
//! | [`topology`] | the members by region: mesh, star or ring |
//! | [`handshake`], [`wire`] | what clusters tell each other, and its bytes |
//! | [`record`], [`state`], [`tree`] | keys, who wrote what when, and the hash tree over them |
//! | [`outbox`], [`reconcile`] | what waits for a peer, and how two clusters agree again |
//! | [`registry`] | what the log in common is for |
//! | [`workload`] | what clients do |
//! | [`statistics`], [`histogram`] | what is measured |
//! | [`check`] | what must hold in every run |
//!
//! # Two kinds of state
//! *Keys and values* are written at any cluster at any time and travel to the others, every
//! [`SyncOptions::interval`], as differences to what the other side is known to hold ([`longhaul_hde::baseline`]).
//! Of writes that know nothing of each other the last one wins; version vectors tell such conflicts from ordinary
//! updates, and records merge to the same in any order, however often. *The registry* is changed by commands in a log
//! that [Raft](longhaul_raft) replicates: one order for all, at the price of a quorum.
//!
//! # A connection
//! Of two neighbours the one with the lower number dials. A handshake on a control stream agrees on a version and on what
//! both can do; then each side opens its data streams, a [multi-stream transport](longhaul_amst). The log, acknowledgements
//! and everything else that is short and urgent go over the control stream; values go over the data streams alone. Streams
//! lose nothing; a connection that breaks may lose what is under way, and both sides send that again: at least once, and
//! version vectors, session numbers and object versions see to it that it counts once.
//!
//! # Partitions
//! A peer that owes an answer for too long is lost: its streams are closed, its changes wait in a bounded
//! [outbox], and whoever dials tries again. When the peer is back, first what waits is sent, in order; then both
//! compare their states by hash trees and send each other what differs ([`reconcile`]), whatever the outbox may have
//! dropped.
//!
//! # A crash
//! What survives is what was durable ([`Survivor`]): the log by the rules of [Raft](longhaul_raft::stable), keys and values
//! as they were a moment before ([`Options::durable_after`]). A cluster that comes back has a new incarnation, which
//! stands in its versions, so that nothing it wrote before is taken for something else.
//!
//! # A disk that is slow, full or broken
//! [`Command::Disk`] says how well it does. Writes to a slow one become durable later; with a full one a cluster
//! stands still, and with one that fails it ends ([`Event::DiskFull`], [`Event::DiskFailed`] and the module `cluster/disk`).
//!
//! # Clocks
//! Whoever drives a cluster tells it the time by a clock that never goes back (`CLOCK_MONOTONIC`); all timers, leases and
//! measured times are by it. Writes are dated by the wall clock ([`Command::WallClock`]), through a hybrid logical clock
//! ([`record::Stamp`]): a cluster whose wall clock is ahead wins over writes that it has not seen, however late these
//! were made, and pulls the stamps of those that have seen its writes along.
//!
//! # Not modelled
//! Encryption and authentication: a cluster is who it says it is. The time that decoding and hashing take. Removed keys
//! stay as tombstones for ever. Members come and go only by failing. Clients stay at their cluster and are silent while it
//! is down.

pub mod check;
pub mod cluster;
mod connection;
mod consensus;
pub mod event;
pub mod handshake;
pub mod histogram;
pub mod options;
pub mod outbox;
mod peer;
pub mod planted;
pub mod reconcile;
pub mod record;
pub mod registry;
pub mod state;
pub mod statistics;
pub mod topology;
pub mod tree;
pub mod wire;
pub mod workload;

pub use cluster::{Cluster, Setup, Survivor};
pub use event::{Command, Event, Lost};
pub use longhaul_hde::object::ObjectId as Key;
pub use longhaul_raft::NodeId as ClusterId;
pub use options::{ConnectionOptions, ConsensusOptions, EncodingOptions, Options, OptionsError, SyncOptions};
pub use statistics::{ConsensusStatistics, Statistics};
pub use topology::{Member, RegionManager, Topology};
pub use workload::{CommandOptions, UpdateOptions, WorkloadOptions};
