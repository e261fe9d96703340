//! What the two machines can be told, and what they report.

use longhaul_amst::StreamEnd;
use longhaul_core::machine::StreamId;
use longhaul_core::time::{Instant, Span};
use serde::{Deserialize, Serialize};

use crate::Statistics;

/// What a [`Source`](crate::Source) can be told. A [`Destination`](crate::Destination) has no commands.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Command {
    /// Migrate. Once; later ones are ignored.
    Start,
}

/// What a [`Source`](crate::Source) reports.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum SourceEvent {
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
        /// Pages to be sent while it does.
        dirty_pages: u64,
        /// Bytes that the streams have yet to take over from before.
        untaken_bytes: u64,
    },
    /// The guest runs at the destination.
    Completed {
        /// Everything measured.
        statistics: Box<Statistics>,
    },
    /// The guest stays at the source.
    Failed {
        /// Why.
        reason: SourceFailure,
    },
}

/// Why a migration failed, as the source sees it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum SourceFailure {
    /// The transport is at its end.
    Transport {
        /// Why.
        why: longhaul_amst::Failure,
        /// Bytes of frames that the destination is not known to have.
        unacknowledged_bytes: u64,
    },
    /// The destination refused what it got.
    Refused,
    /// The destination's answer makes no sense.
    Reply,
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
    /// All pages are there and verified; the guest runs.
    Resumed {
        /// When.
        at: Instant,
        /// Pages whose content was compared through its hash; the others were synthetic.
        verified_pages: u64,
        /// Their bytes.
        verified_bytes: u64,
    },
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
        /// What HDE says.
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
}
