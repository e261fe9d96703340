//! What members tell each other.

use bytes::Bytes;

use crate::log::Mark;
use crate::{Entry, Index, NodeId, Term};

/// A message from one member to another.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Message {
    /// Who sends it.
    pub from: NodeId,
    /// Who is meant.
    pub to: NodeId,
    /// The sender's term; of a pre-vote the term that it would begin.
    pub term: Term,
    /// What it says.
    pub body: Body,
}

/// What a message says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Body {
    /// Would you vote for me in this term? Changes nothing at the receiver (thesis 9.6).
    PreVote(Candidacy),
    /// The answer. If it is yes, its term is the one asked for.
    PreVoteAnswer {
        /// Yes.
        granted: bool,
    },
    /// Vote for me in this term.
    Vote(Candidacy),
    /// The answer.
    VoteAnswer {
        /// Yes.
        granted: bool,
    },
    /// Entries to append, or none: then it is a heartbeat.
    Append(Append),
    /// The answer.
    AppendAnswer(AppendAnswer),
    /// A piece of a snapshot.
    Snapshot(Chunk),
    /// How much of it has arrived. When all of it has and is durable, an [`Body::AppendAnswer`] says so.
    SnapshotAnswer {
        /// The snapshot's place.
        index: Index,
        /// Bytes that have arrived without a gap.
        received: u64,
    },
}

/// How far the log of a candidate goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Candidacy {
    /// The last entry.
    pub last_index: Index,
    /// Its term.
    pub last_term: Term,
}

/// Entries from a leader.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Append {
    /// What the entries follow.
    pub previous: Index,
    /// Its term.
    pub previous_term: Term,
    /// How far the leader's log is committed.
    pub commit: Index,
    /// The number of the leader's last round of heartbeats; the answer says it back.
    pub round: u64,
    /// The entries, in order and without a gap.
    pub entries: Vec<Entry>,
}

/// The answer to [`Append`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AppendAnswer {
    /// The round of the message that it answers.
    pub round: u64,
    /// What came of it.
    pub outcome: Outcome,
}

/// What came of an [`Append`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// The logs are the same up to here, and that is durable.
    Matches(Index),
    /// The follower's log does not have what the entries follow.
    Differs {
        /// What they follow.
        previous: Index,
        /// Where the follower's entries of a conflicting term begin; the end of its log if that is too short.
        hint: Index,
        /// The conflicting term; none if the log is too short.
        hint_term: Option<Term>,
    },
}

/// A piece of a snapshot.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Chunk {
    /// The place that the snapshot stands for.
    pub at: Mark,
    /// Length of the whole snapshot in bytes.
    pub total: u64,
    /// BLAKE3 of the whole snapshot.
    pub hash: [u8; 32],
    /// Where in it this piece begins.
    pub offset: u64,
    /// The number of the leader's last round of heartbeats.
    pub round: u64,
    /// The piece.
    pub data: Bytes,
}
