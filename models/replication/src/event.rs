//! What the two machines can be told, and what they report.

use longhaul_amst::StreamEnd;
use longhaul_core::disk::DiskCondition;
use longhaul_core::machine::StreamId;
use longhaul_core::time::{Instant, Span};
use serde::{Deserialize, Serialize};

use crate::control::ControlError;
use crate::message::MessageError;

/// What a [`Source`](crate::Source) can be told.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum SourceCommand {
    /// Replicate. Once; later ones are ignored.
    Start,
}

/// What a [`Replica`](crate::Replica) can be told.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum ReplicaCommand {
    /// Start the guests here, from the newest complete epochs. Once; later ones are ignored.
    FailOver,
    /// How well its disk does from now on; ignored without one ([`ReplicaOptions::write_rate`](crate::ReplicaOptions::write_rate)).
    Disk(DiskCondition),
}

/// What a [`Source`](crate::Source) reports.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum SourceEvent {
    /// The replica is there, and both sides agree on what it has.
    Connected {
        /// Number of the session.
        session: u64,
        /// Pages that the replica lacks, over all sets.
        backlog_pages: u64,
    },
    /// An attempt to reach the replica has come to nothing.
    NotConnected {
        /// Number of the session.
        session: u64,
        /// Why.
        why: Disconnect,
    },
    /// The replica is lost; the source tries to come back.
    Disconnected {
        /// Number of the session.
        session: u64,
        /// Why.
        why: Disconnect,
    },
    /// A stream of the transport ended early; the others carry its chunks again.
    StreamLost {
        /// Which one.
        stream: StreamId,
        /// Why.
        why: StreamEnd,
        /// Chunks to carry again.
        requeued_chunks: u64,
    },
    /// A snapshot was taken and is on its way.
    EpochStarted {
        /// The consistency set.
        set: u32,
        /// The epoch, from 1.
        epoch: u64,
        /// Pages to be sent.
        pages: u64,
        /// How long after it was due.
        late: Span,
    },
    /// The replica has the epoch, complete and verified.
    EpochDone {
        /// The consistency set.
        set: u32,
        /// The epoch.
        epoch: u64,
        /// Since the snapshot.
        took: Span,
        /// Bytes of its messages.
        bytes: u64,
        /// Most pages that had to be kept beside the memory, because the guests wrote them before they were sent.
        kept_pages: u64,
    },
    /// The connection was lost before the epoch was complete. What has arrived of it is not sent again.
    EpochInterrupted {
        /// The consistency set.
        set: u32,
        /// The epoch.
        epoch: u64,
    },
    /// All pages of a set must be sent again.
    Resync {
        /// The consistency set.
        set: u32,
        /// Why.
        reason: ResyncReason,
    },
    /// The age of the newest complete epoch keeps within its target, for the first time since the start, an outage or
    /// a [`Resync`](SourceEvent::Resync).
    CaughtUp {
        /// The consistency set.
        set: u32,
        /// Since the source was connected again, or the resynchronisation began.
        after: Span,
        /// Epochs that it took.
        epochs: u64,
        /// Bytes of messages that it took.
        bytes: u64,
    },
    /// The guests stand still because the replica may count the source as lost.
    GuestsStopped {
        /// When they stopped.
        at: Instant,
    },
    /// They go on: the replica has heard from the source in time.
    GuestsResumed {
        /// How long they stood still.
        after: Span,
    },
    /// The guests run at the replica's site. Here they stand still, for good.
    Fenced,
    /// The replica is set up for other guests, so nothing is replicated.
    Refused,
}

/// Why the source and the replica are not connected.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Disconnect {
    /// The control stream ended or could not be opened.
    ControlLost,
    /// The transport is at its end.
    Transport {
        /// Why.
        why: longhaul_amst::Failure,
        /// Bytes that the replica is not known to have.
        unacknowledged_bytes: u64,
    },
    /// Nothing was heard for too long.
    Silence,
    /// What was heard makes no sense.
    Control(ControlError),
    /// A record that does not belong here.
    Unexpected,
}

/// Why all pages of a set must be sent again.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum ResyncReason {
    /// The replica has another epoch than the source believes.
    Epoch,
    /// The replica has the epoch, but its content is another.
    Fingerprint,
    /// The replica lacks frames that it had acknowledged, or has some that were never sent.
    Frames,
    /// The replica could not use what it got.
    Rejected,
}

/// What a [`Replica`](crate::Replica) reports.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum ReplicaEvent {
    /// A source has begun a session.
    Welcomed {
        /// Its number.
        session: u64,
    },
    /// A stream was closed because of what came on it, or what it came for.
    StreamRefused {
        /// Which one.
        stream: StreamId,
        /// Why.
        why: StreamRefusal,
    },
    /// A stream of the transport ended.
    StreamEnded {
        /// Which one.
        stream: StreamId,
        /// Why.
        why: StreamEnd,
    },
    /// The session is over; its streams are closed.
    SessionOver {
        /// Its number.
        session: u64,
        /// Why.
        why: SessionEnd,
    },
    /// What came of a set cannot be used. Its newest complete epoch stays.
    Rejected {
        /// The consistency set.
        set: u32,
        /// Why.
        reason: RejectReason,
    },
    /// An epoch is complete, verified and in place.
    EpochApplied {
        /// The consistency set.
        set: u32,
        /// The epoch.
        epoch: u64,
        /// When its snapshot was taken, on the source's clock.
        snapshot_at: Instant,
        /// Pages that it changed.
        pages: u64,
        /// Pages whose content is covered by the hash that was compared; the others are synthetic.
        verified_pages: u64,
    },
    /// Nothing has been heard from the source for the detection time.
    SourceLost {
        /// When it was heard last.
        last_heard: Instant,
    },
    /// A source that counted as lost is there again.
    SourceBack {
        /// How long it was not heard.
        after: Span,
    },
    /// The source is lost and the replica would start the guests, but the source has not promised to stop its own: not
    /// all of them were protected.
    NoLease,
    /// Its disk writes nothing: no epoch is completed until it does.
    DiskStalled {
        /// Why.
        why: Stalled,
    },
    /// Its disk writes again.
    DiskWrites {
        /// How long it did not.
        after: Span,
    },
    /// The guests cannot be started because their memory cannot be read. They will be as soon as it can, unless the source
    /// is back before.
    FailOverWaits,
    /// The guests of a set are going to be started from this epoch.
    Promoted {
        /// The consistency set.
        set: u32,
        /// The epoch.
        epoch: u64,
        /// When its snapshot was taken, on the source's clock.
        snapshot_at: Instant,
        /// Pages that were read and compared through their hash once more.
        verified_pages: u64,
    },
    /// There is no complete epoch of a set, or it is not what it was: its guests are lost.
    NotPromoted {
        /// The consistency set.
        set: u32,
        /// Why.
        reason: NotPromoted,
    },
    /// A guest runs here.
    GuestRunning {
        /// The consistency set.
        set: u32,
        /// Its number in the set.
        guest: u32,
        /// How long restoring took, with those before it.
        restoring: Span,
    },
    /// All guests run that can.
    FailedOver,
    /// A source came back after the fail-over and was told to keep its guests still.
    SourceFenced,
}

/// Why a stream was closed by the replica.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum StreamRefusal {
    /// It makes no sense.
    Control(ControlError),
    /// It belongs to no session, or to one that is over.
    Session,
    /// More streams than the replica keeps.
    TooMany,
    /// The source replicates other guests.
    Guests,
}

/// Why a session is over.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum SessionEnd {
    /// The control stream ended.
    ControlLost,
    /// What came on it makes no sense.
    Control(ControlError),
    /// A record that does not belong here.
    Unexpected,
    /// A newer session has begun.
    Superseded,
    /// Something came that is no message.
    Message(MessageError),
    /// The guests run here now.
    FailedOver,
}

/// Why what came of a set cannot be used.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum RejectReason {
    /// A frame that cannot be decoded.
    Frame {
        /// What HDE says.
        error: String,
    },
    /// A synthetic frame whose length is not what it says.
    Synthetic,
    /// A frame that is not the next one, or an epoch that is not as long as it was.
    Sequence {
        /// The next one.
        expected: u64,
        /// What came.
        found: u64,
    },
    /// A page that no guest of the set has.
    NoSuchPage {
        /// Its number.
        page: u64,
    },
    /// Pages that never came.
    MissingPages {
        /// How many.
        pages: u64,
    },
    /// The memory is not that of the guests.
    Mismatch {
        /// Real pages at the source.
        expected_pages: u64,
        /// Real pages here.
        found_pages: u64,
    },
    /// An epoch that does not follow the newest one.
    Epoch {
        /// The newest one.
        newest: u64,
        /// What came.
        found: u64,
    },
}

/// Why a disk writes nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Stalled {
    /// There is no space left.
    Full,
    /// Nothing can be written or read.
    Failed,
}

/// Why a set is not started.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum NotPromoted {
    /// No epoch of it has ever been complete.
    NoEpoch,
    /// The pages have changed since they were verified.
    Mismatch,
}
