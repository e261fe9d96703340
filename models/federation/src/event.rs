//! What a cluster is told, and what it reports.

use longhaul_core::disk::DiskCondition;
use longhaul_core::time::Span;
use longhaul_hde::object::ObjectId;
use serde::{Deserialize, Serialize};

use crate::ClusterId;
use crate::handshake::Refused;
use crate::outbox::Priority;
use crate::wire::FrameError;

/// What a cluster can be told to do.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Command {
    /// Begin: connect, and let the clients of the workload begin.
    Start,
    /// End: close all streams and do nothing more.
    Stop,
    /// A client sets a value.
    Put {
        /// Of which key.
        key: ObjectId,
        /// The value.
        value: Vec<u8>,
        /// What goes first.
        priority: Priority,
    },
    /// A client removes a key.
    Remove {
        /// Which one.
        key: ObjectId,
        /// What goes first.
        priority: Priority,
    },
    /// A client sets a value in the registry, over the log.
    Propose {
        /// Of which name.
        name: String,
        /// The value.
        value: Vec<u8>,
    },
    /// A client reads a value of the registry.
    Read {
        /// Of which name.
        name: String,
    },
    /// How well its disk does from now on.
    Disk(DiskCondition),
    /// By how many nanoseconds its wall clock, which dates writes, is from now on ahead of the clock that it is told the
    /// time by, which times everything else; negative if behind.
    WallClock {
        /// How many.
        ahead_ns: i64,
    },
}

/// Why a connection was lost.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Lost {
    /// The peer owed an answer for too long: a partition, or it stands still.
    Silent,
    /// Its control stream ended.
    Closed,
    /// No data stream could be had.
    DataStreams,
    /// It sent something that is no frame.
    Malformed(FrameError),
    /// It has connected again.
    Replaced,
}

/// What a cluster reports.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Event {
    /// It is connected with a peer.
    Connected {
        /// Which one.
        peer: ClusterId,
        /// Attempts that this took, of whoever dials.
        attempts: u32,
        /// Changes that wait for it.
        waiting: u64,
    },
    /// It has lost a peer.
    Disconnected {
        /// Which one.
        peer: ClusterId,
        /// Why.
        why: Lost,
        /// Since when nothing was heard from it.
        silent: Span,
    },
    /// A peer was not to be had after so many attempts.
    OutOfReach {
        /// Which one.
        peer: ClusterId,
        /// How many.
        attempts: u32,
    },
    /// A connection was not taken, here or there.
    Refused {
        /// By whom, or from whom.
        peer: ClusterId,
        /// Why.
        why: Refused,
    },
    /// What waits for a peer is too much: something was dropped, and the states will be compared when the peer is back.
    Overflow {
        /// Which peer.
        peer: ClusterId,
        /// Changes dropped so far.
        dropped: u64,
    },
    /// A peer has acknowledged everything that was to be synchronised.
    Synchronised {
        /// Which one.
        peer: ClusterId,
        /// How many changes.
        changes: u64,
        /// Bytes of their keys and values.
        value_bytes: u64,
        /// Bytes of their frames.
        frame_bytes: u64,
        /// How long it took.
        took: Span,
    },
    /// A synchronisation did not come to its end, or found no connection.
    SyncFailed {
        /// With whom.
        peer: ClusterId,
        /// Changes that wait.
        waiting: u64,
    },
    /// It agrees with a peer again.
    Reconciled {
        /// With whom.
        peer: ClusterId,
        /// Rounds in which differences were looked for.
        rounds: u32,
        /// Keys that differed in them.
        differing_keys: u64,
        /// How long it took.
        took: Span,
    },
    /// It does not agree with a peer although there was time enough. It goes on trying.
    RecoveryLate {
        /// With whom.
        peer: ClusterId,
    },
    /// A peer has rejected a value for good.
    Rejected {
        /// Which one.
        peer: ClusterId,
        /// Which key.
        key: ObjectId,
        /// Why.
        why: String,
    },
    /// A dictionary was trained and is offered to all peers.
    DictionaryTrained {
        /// Its version.
        version: u32,
        /// Its length.
        bytes: u64,
    },
    /// It asks for votes in the log's group.
    Campaigns {
        /// The term.
        term: u64,
    },
    /// It was elected.
    Leads {
        /// The term.
        term: u64,
    },
    /// It leads no longer.
    SteppedDown {
        /// The term that it led.
        term: u64,
        /// Why.
        why: String,
    },
    /// It has a leader that it did not know of.
    Follows {
        /// The term.
        term: u64,
        /// Whom.
        leader: ClusterId,
    },
    /// As a leader: members did not acknowledge an entry in time.
    NotAcknowledged {
        /// The entry.
        index: u64,
        /// Whether a quorum did.
        committed: bool,
        /// Who did not.
        silent: Vec<ClusterId>,
    },
    /// A command or read of a client here failed.
    CommandFailed {
        /// Why.
        why: String,
    },
    /// Something else happened in the log.
    Log {
        /// What.
        what: String,
    },
    /// What was reached is not what was to be, or is again.
    Objective {
        /// Which one: "compression" or "latency".
        what: String,
        /// Whether it is met now.
        met: bool,
        /// What was measured: the ratio in millionths, or the round trip in ns.
        measured: u64,
    },
    /// How far it has come; at regular times.
    Progress {
        /// Keys.
        keys: u64,
        /// Changes that wait for peers.
        waiting: u64,
        /// How far the log is committed here.
        committed: u64,
        /// The hash of the state.
        state_hash: String,
    },
    /// Its clients are done.
    WorkloadDone,
    /// It has nothing left to do: clients are done, peers have acknowledged everything, commands are answered. Said again
    /// when something else is true.
    Settled {
        /// The hash of its state.
        state_hash: String,
        /// How far it has applied the log.
        applied: u64,
        /// A number that equal registries have in common.
        registry: u64,
    },
    /// It has something to do again.
    Unsettled,
    /// Its disk has no space left. It leads the log no longer and promises nothing there, and takes no updates of clients;
    /// what comes from peers it keeps in memory.
    DiskFull,
    /// There is space on its disk again, and it goes on.
    DiskHasSpace {
        /// Updates of clients that it refused meanwhile.
        refused: u64,
    },
    /// A write to its disk has failed. What has become of it nobody knows, so the process ends.
    DiskFailed {
        /// What was to be written: "log" or "state".
        what: String,
    },
    /// It has come back after a crash.
    Restarted {
        /// Which of its lives this is.
        incarnation: u64,
        /// Changes that were not durable and are gone here.
        taken_back: u64,
    },
}
