//! What the two machines can be told, and what they report.

use longhaul_amst::{Failure, StreamEnd};
use longhaul_core::machine::StreamId;
use longhaul_core::time::{Instant, Span};
use longhaul_core::units::Probability;
use longhaul_memory::CpuState;
use serde::{Deserialize, Serialize};

use crate::{DestinationStatistics, Statistics};

/// A guest that has come to a state and runs since then.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct GuestState {
    /// Its processors at that moment.
    pub cpu: CpuState,
    /// The moment.
    pub since: Instant,
}

/// What a [`Source`](crate::Source) can be told. A [`Destination`](crate::Destination) has no commands.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Command {
    /// Migrate. Once; later ones are ignored.
    Start {
        /// The guest as it came here, unless it has been here since the start of the run.
        guest: Option<GuestState>,
    },
    /// Keep the guest here, if that is still possible.
    Cancel,
}

/// What a [`Source`](crate::Source) reports.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum SourceEvent {
    /// What goes before is done; the migration itself begins.
    Started,
    /// Every stream has been opened or refused.
    SetupDone {
        /// Since the start.
        setup_time: Span,
        /// Streams that are open.
        streams: u32,
    },
    /// The dirty bitmap has been synchronised.
    RoundStarted {
        /// How often so far: QEMU's `dirty-sync-count`.
        round: u64,
        /// Pages to be sent.
        dirty_pages: u64,
        /// Whether rounds like the last one come to an end; `None` before one has ended.
        converges: Option<bool>,
        /// The total time at which they do.
        expected_total_time: Option<Span>,
    },
    /// The guest runs at another speed: its writes were too fast, or no longer are.
    GuestThrottled {
        /// Share of its full speed.
        speed: Probability,
    },
    /// There has been no progress for long: rounds do not get smaller, or nothing gets across.
    Stalled {
        /// Bytes of memory to be sent.
        remaining_bytes: u64,
    },
    /// A stream ended early; the others carry its chunks again.
    StreamLost {
        /// Which one.
        stream: StreamId,
        /// Why.
        why: StreamEnd,
        /// Chunks to carry again.
        requeued_chunks: u64,
    },
    /// The guest stands still.
    GuestPaused {
        /// Pages to be sent: while it does, or, with post-copy, after it.
        dirty_pages: u64,
        /// Bytes that the streams have yet to take over from before.
        untaken_bytes: u64,
    },
    /// The guest runs here again.
    GuestResumed,
    /// What the guest needs to run at the destination has been handed over; its memory follows.
    PostcopyStarted {
        /// Pages to be sent.
        missing_pages: u64,
    },
    /// The transport is lost, and the guest may run at the destination: QEMU's `postcopy-paused`.
    Paused {
        /// Why.
        why: Failure,
        /// Bytes of messages that the destination is not known to have.
        unacknowledged_bytes: u64,
    },
    /// The destination is called again.
    Recovering {
        /// The how manieth time.
        attempt: u16,
    },
    /// The destination has said what it has; post-copy goes on.
    Recovered {
        /// Pages that it does not have.
        missing_pages: u64,
    },
    /// The guest runs at the destination and has all its memory there.
    Completed {
        /// Everything measured.
        statistics: Box<Statistics>,
    },
    /// It has not moved.
    Failed {
        /// Why.
        reason: SourceFailure,
    },
    /// It has not moved, because somebody wanted so.
    Cancelled,
    /// Somebody wanted it not to move, but it may have done so already.
    CancelRefused,
}

/// Why a migration failed, as the source sees it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum SourceFailure {
    /// The transport is at its end.
    Transport {
        /// Why.
        why: Failure,
        /// Bytes of frames that the destination is not known to have.
        unacknowledged_bytes: u64,
    },
    /// The destination refused what it got.
    Refused,
    /// The destination's answer makes no sense.
    Reply,
    /// The transport was lost while the guest was to change sides, and it has not.
    NotResumed,
    /// The guest runs at the destination, and not all of its memory is right. It runs nowhere else.
    GuestLost,
    /// What the guest was to be like when the migration started is impossible.
    State,
}

/// What a [`Destination`](crate::Destination) reports.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum DestinationEvent {
    /// A stream ended.
    StreamEnded {
        /// Which one.
        stream: StreamId,
        /// Why.
        why: StreamEnd,
    },
    /// A stream was refused: it is not one of this guest's migration.
    StreamRefused {
        /// Which one.
        stream: StreamId,
    },
    /// The guest runs here.
    Resumed {
        /// When.
        at: Instant,
        /// Pages that are still to come.
        missing_pages: u64,
    },
    /// All streams have ended while pages are missing.
    SourceLost {
        /// How many.
        missing_pages: u64,
    },
    /// The source is back, and was told what is here.
    SourceBack {
        /// Pages that are still to come.
        missing_pages: u64,
    },
    /// All pages are there and verified.
    Arrived {
        /// Pages whose content was compared through its hash; the others were synthetic.
        verified_pages: u64,
        /// Their bytes.
        verified_bytes: u64,
        /// The guest now.
        guest: GuestState,
        /// Everything measured.
        statistics: Box<DestinationStatistics>,
    },
    /// The source was told that the guest does not run here; it never will.
    Abandoned,
    /// The migration is refused.
    Failed {
        /// Why.
        reason: DestinationFailure,
    },
}

/// Why a destination refused a migration.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum DestinationFailure {
    /// Not a message of this protocol.
    Message,
    /// A frame that cannot be decoded.
    Frame {
        /// What the codec says.
        error: String,
    },
    /// A frame that is not the next one.
    Sequence {
        /// The next one.
        expected: u64,
        /// What came.
        found: u64,
    },
    /// A page that the guest does not have.
    NoSuchPage {
        /// Its number.
        page: u64,
    },
    /// Device state of another length than the source says.
    DeviceState {
        /// What the source says.
        expected: u64,
        /// What came.
        found: u64,
    },
    /// Pages that never came.
    MissingPages {
        /// How many.
        pages: u64,
    },
    /// The pages at the destination are not those of the guest.
    Mismatch {
        /// Real pages that the source has hashed.
        expected_pages: u64,
        /// Real pages here.
        found_pages: u64,
    },
    /// Post-copy, for which this destination is not set up.
    NoGuest,
    /// A guest that cannot be as the source says.
    State {
        /// What the guest says.
        error: String,
    },
}
