//! What a node reports.

use longhaul_core::time::Span;
use serde::Serialize;

use crate::{Index, NodeId, Term};

/// Something worth telling.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub enum Event {
    /// It asks for votes, or whether it would get them.
    Campaigns {
        /// The term that it would begin.
        term: Term,
        /// It only asks.
        pre_vote: bool,
    },
    /// It was elected.
    Leads {
        /// The term.
        term: Term,
    },
    /// It leads no longer.
    SteppedDown {
        /// The term that it led.
        term: Term,
        /// Why.
        why: SteppedDown,
    },
    /// It has a leader that it did not know of.
    Follows {
        /// The term.
        term: Term,
        /// Whom.
        leader: NodeId,
    },
    /// As a leader it found entries up to here to be committed.
    Committed {
        /// Up to here.
        index: Index,
    },
    /// Entries from here on were replaced by those of a leader. None of them was committed.
    Truncated {
        /// The first of them.
        from: Index,
        /// How many there were.
        entries: u64,
    },
    /// It forgot entries that a snapshot covers.
    Compacted {
        /// The snapshot's place.
        index: Index,
        /// The snapshot's length.
        bytes: u64,
    },
    /// As a leader it sends a snapshot to a member that is far behind.
    SendsSnapshot {
        /// To whom.
        to: NodeId,
        /// The snapshot's place.
        index: Index,
        /// The snapshot's length.
        bytes: u64,
    },
    /// It replaced its state by the leader's snapshot.
    Restored {
        /// The snapshot's place.
        index: Index,
    },
    /// As a leader: an entry was not acknowledged in time by all.
    NotAcknowledged(NotAcknowledged),
    /// As a leader it hears again from a member that it named before.
    Answers {
        /// Which one.
        member: NodeId,
    },
    /// It took no notice of a message.
    Refused {
        /// Whose.
        from: NodeId,
        /// Why.
        why: Refusal,
    },
}

/// An entry that some members have not acknowledged within the time for it. It may be committed all the same; whoever
/// waits for all members must stop waiting.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, thiserror::Error)]
#[error("no acknowledgement of entry {index} within {} s from {}", .after.as_s_f64(), Names(.silent))]
pub struct NotAcknowledged {
    /// The entry.
    pub index: Index,
    /// Whether a quorum has it.
    pub committed: bool,
    /// Who has not acknowledged it.
    pub silent: Vec<NodeId>,
    /// How long after it was proposed.
    pub after: Span,
}

struct Names<'a>(&'a [NodeId]);

impl std::fmt::Display for Names<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (position, node) in self.0.iter().enumerate() {
            let comma = if position > 0 { ", " } else { "" };
            write!(f, "{comma}{node}")?;
        }
        Ok(())
    }
}

/// Why a leader leads no longer.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub enum SteppedDown {
    /// Somebody is in a later term.
    LaterTerm,
    /// It has not heard from a quorum for an election timeout.
    LostQuorum,
    /// Its disk takes nothing.
    NoDisk,
}

/// Why a message was ignored.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, thiserror::Error)]
pub enum Refusal {
    /// It is not from a member, or not to this one.
    #[error("from or to a stranger")]
    Stranger,
    /// Two members say that they lead the same term.
    #[error("a second leader in one term")]
    SecondLeader,
    /// It contradicts entries that are committed.
    #[error("contradicts committed entries")]
    Contradiction,
    /// It says something about entries that do not exist.
    #[error("about entries that do not exist")]
    Nonexistent,
    /// The snapshot is longer than this node takes.
    #[error("a snapshot longer than allowed")]
    SnapshotTooLong,
    /// The snapshot does not have the hash that it was announced with.
    #[error("a snapshot with another hash")]
    SnapshotHash,
    /// The state machine cannot read the snapshot.
    #[error("a snapshot that is no state")]
    SnapshotContent,
}
