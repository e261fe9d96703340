//! How the sender is set up, and what it tells.

use bytes::Bytes;
use longhaul_core::time::{Instant, Span};
use serde::{Deserialize, Serialize};

#[cfg(doc)]
use crate::baseline::BaselineSender;
use crate::baseline::{Cadence, Refusal, StoreOptions};
use crate::cost::EncodeWork;
use crate::object::{ObjectHeader, ObjectName, ObjectOptions};

/// How a [`BaselineSender`] works.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SenderOptions {
    /// How objects are encoded.
    pub encoding: ObjectOptions,
    /// When an object travels whole although a delta would do.
    pub cadence: Cadence,
    /// Whether the first frame of an object may build on the most similar other object that the peer holds.
    pub similar: bool,
    /// How long to wait for a reply before a frame is sent again; doubled at every attempt. Above the round trip,
    /// or everything travels twice.
    pub retry: Span,
    /// The longest such wait.
    pub retry_max: Span,
    /// Memory for versions that were sent and may serve as baselines.
    pub history: StoreOptions,
}

impl Default for SenderOptions {
    /// Across regions; 1 s to 60 s between attempts.
    fn default() -> SenderOptions {
        SenderOptions {
            encoding: ObjectOptions::wan(),
            cadence: Cadence::default(),
            similar: true,
            retry: Span::from_s(1),
            retry_max: Span::from_s(60),
            history: StoreOptions::default(),
        }
    }
}

/// What a [`BaselineSender`] wants done, or reports.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SenderOutput {
    /// Send a frame.
    Send {
        /// What it is and what it needs.
        header: ObjectHeader,
        /// The frame.
        frame: Bytes,
        /// What encoding took.
        work: EncodeWork,
    },
    /// Something worth telling.
    Event(SenderEvent),
    /// Nothing more for now; poll again at this time at the latest.
    WakeAt(Instant),
    /// Nothing more, and no wake needed.
    Idle,
}

/// Something worth telling.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SenderEvent {
    /// The peer holds the latest version of this object.
    Converged(ObjectName),
    /// The peer refused an object for good. It is not sent again before its next update.
    Rejected {
        /// Which.
        object: ObjectName,
        /// Why.
        why: Refusal,
    },
    /// The peer holds a version that is later than any given here, or the same version with another content: somebody
    /// else wrote it, or this side has forgotten its own versions. Nothing is sent before an update with a later
    /// version.
    PeerAhead {
        /// What the peer holds.
        held: ObjectName,
    },
}

/// What a sender has done so far.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct SenderStats {
    /// Versions given to it.
    pub updates: u64,
    /// Versions that a later one replaced before they were sent.
    pub superseded: u64,
    /// Frames sent.
    pub frames: u64,
    /// Frames of these that were sent because no reply had come in time.
    pub retries: u64,
    /// Frames of these that are full because the cadence said so.
    pub full_by_cadence: u64,
    /// Baselines and dictionaries that the peer refused.
    pub refusals: u64,
}
