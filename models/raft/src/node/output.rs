//! What a node hands out, and why it refuses.

use crate::stable::{Snapshot, StableError, Write};
use crate::{ConfigError, Entry, Event, Message, NodeId};

/// What a node wants done, or reports.
#[derive(Clone, PartialEq, Debug)]
pub enum Output {
    /// Make this durable, after all writes before it, and tell with [`Node::on_persisted`](super::Node::on_persisted).
    Persist(Write),
    /// Send this to the member that it names.
    Send(Message),
    /// Apply this entry: it is committed, and durable here.
    Apply(Entry),
    /// Begin with this state, which survived. Only ever the first output.
    Restore(Snapshot),
    /// Replace the state by this one, if it can be read, and tell with [`Node::install`](super::Node::install).
    Offer {
        /// Who leads.
        from: NodeId,
        /// Its snapshot, of something that is committed.
        snapshot: Snapshot,
    },
    /// A read may be answered from the state as it is after everything that was handed out before.
    ReadReady(ReadId),
    /// It does not lead any more, so it cannot tell what a read would see.
    ReadFailed(ReadId),
    /// Something worth telling.
    Event(Event),
}

/// Names a read; chosen by whoever asks.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct ReadId(pub u64);

/// Why a command or read was not taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ProposeError {
    /// This member does not lead.
    #[error("not the leader")]
    NotLeader {
        /// Who does, as far as it knows.
        leader: Option<NodeId>,
    },
    /// Too much is waiting already.
    #[error("too much is waiting for a quorum")]
    Busy,
    /// The command is longer than allowed.
    #[error("a command of {bytes} bytes is too long")]
    TooLong {
        /// Its length.
        bytes: u64,
    },
}

/// Why a node was not made.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// What survived.
    #[error(transparent)]
    Stable(#[from] StableError),
}

/// What a node is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// It follows a leader, or waits for one.
    Follower,
    /// It asks for votes, or whether it would get them.
    Candidate,
    /// It was elected.
    Leader,
}
