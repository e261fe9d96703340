//! Raft: a replicated log without clocks, sockets or disks.
//!
//! After Ongaro and Ousterhout, "In Search of an Understandable Consensus Algorithm" (USENIX ATC 2014), and Ongaro's
//! thesis "Consensus: Bridging Theory and Practice" (Stanford 2014), whose sections the modules cite.
//!
//! | module | what it holds |
//! | --- | --- |
//! | [`node`] | [`Node`]: elections, replication, commitment |
//! | [`replica`] | [`Replica`]: a node with a state machine, client sessions and snapshots |
//! | [`request`] | what clients ask of members, and its bytes |
//! | [`client`] | [`Client`]: retries until it has an answer, so that each command is applied exactly once |
//! | [`entry`], [`log`], [`stable`], [`disk`] | log entries with type and checksum; what survives a crash |
//! | [`message`], [`wire`] | what members tell each other, and its bytes |
//! | [`check`] | the safety properties, checked while a run goes on |
//! | [`history`] | whether what clients saw is linearizable |
//!
//! A [`Node`] is driven like a [`Machine`](longhaul_core::machine::Machine) and meant to be embedded in one: feed
//! `on_…`, drain `poll`, wake it at `wake_at`. Its randomness is a stream handed over at construction.
//!
//! # What survives a crash
//! Everything that must is a [`Write`](stable::Write). The driver makes writes durable in the order in which they come and
//! reports with [`Node::on_persisted`]; until then no vote and no acknowledgement leaves the node that depends on
//! them, and the node does not count itself. A leader alone may send entries before they are durable at home
//! (thesis, section 10.2.1). A node that crashed is built again from [`Stable`](stable::Stable), and from nothing else.
//!
//! # Options
//! Pre-vote (thesis 9.6), check-quorum (6.2), reads by a round of heartbeats (6.4) or by a lease (6.4.1) with a declared
//! bound on how much clocks differ in speed, batches of entries, snapshots sent in chunks.
//!
//! # Not modelled
//! The set of members is fixed: no joint consensus, no learners, no transfer of leadership. Members are assumed to fail
//! by stopping, by losing what they had not written and by being cut off, not by lying; a message that contradicts
//! what a node knows to be committed is refused and reported.

pub mod check;
pub mod client;
pub mod config;
pub mod disk;
pub mod entry;
pub mod event;
pub mod history;
pub mod log;
pub mod message;
pub mod mistake;
pub mod node;
pub mod replica;
pub mod request;
pub mod session;
pub mod stable;
pub mod wire;

#[cfg(test)]
mod tests;

use std::fmt;
use std::ops::{Add, Sub};

use serde::{Deserialize, Serialize};

pub use client::Client;
pub use config::{Config, ConfigError};
pub use entry::{Entry, EntryKind};
pub use event::Event;
pub use message::Message;
pub use node::{Node, Output};
pub use replica::Replica;

/// A member of the group.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NodeId(pub u32);

/// A term: the number of an election. 0 comes before the first one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Term(pub u64);

/// A place in the log. 0 comes before the first entry.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Index(pub u64);

/// Terms and indices stay below this, whatever a peer claims: nothing that is added to them overflows.
pub const LIMIT: u64 = 1 << 56;

impl Term {
    /// The term after this one.
    #[must_use]
    pub fn next(self) -> Term {
        Term(self.0 + 1)
    }
}

impl Index {
    /// Before the first entry.
    pub const ZERO: Index = Index(0);

    /// The place after this one.
    #[must_use]
    pub fn next(self) -> Index {
        Index(self.0 + 1)
    }

    /// The place before this one; 0 has none and stays.
    #[must_use]
    pub fn before(self) -> Index {
        Index(self.0.saturating_sub(1))
    }
}

impl Add<u64> for Index {
    type Output = Index;
    fn add(self, entries: u64) -> Index {
        Index(self.0 + entries)
    }
}

impl Sub for Index {
    type Output = u64;
    fn sub(self, earlier: Index) -> u64 {
        self.0 - earlier.0
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "member {}", self.0)
    }
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Index {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
