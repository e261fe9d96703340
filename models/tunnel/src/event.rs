//! What a tunnel reports, and what it is told.

use longhaul_core::time::Span;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Why a tunnel carries nothing any more.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum DownReason {
    /// It was told to.
    TornDown,
    /// The peer said that it is over (IKEv2's Delete).
    ClosedByPeer,
    /// The keys grew too old and no new ones came.
    KeysExpired,
    /// The peer did not answer a request, or too many keepalives.
    PeerDead,
}

/// Something worth telling.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub enum Event {
    /// Packets can be sent.
    Up {
        /// Since this end began the exchange that led to it, first attempt included; 0 at an end that needed none.
        after: Span,
    },
    /// Packets can be sent no more.
    Down {
        /// Why.
        why: DownReason,
    },
    /// New keys have replaced those in use, which served until then.
    Rekeyed {
        /// Since this end began the exchange, first attempt included; at the responding end since it answered.
        after: Span,
    },
    /// A message of an exchange was sent again because no answer came.
    Retransmitted {
        /// How often it has been sent, the first time included.
        attempt: u32,
    },
    /// An exchange was given up. If keys are in force, they stay.
    HandshakeFailed {
        /// How often its last message was sent.
        attempts: u32,
        /// How long it was tried.
        after: Span,
    },
    /// A datagram was no message of this tunnel, or not one to be expected.
    Refused {
        /// Why.
        error: WireError,
    },
}

/// What a tunnel is told.
///
/// Traffic may be told in samples: timers count whole seconds, so once a second for each direction is enough.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Command {
    /// Come up, if it is not up or on its way.
    Establish,
    /// Go down and stay there until told otherwise.
    Teardown,
    /// A packet wants through the tunnel from this end, or went.
    Sent,
    /// A packet came through the tunnel to this end, protected by the newest keys.
    Received,
}

/// Why a datagram was refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error, Serialize, Deserialize)]
pub enum WireError {
    /// It comes from somebody else.
    #[error("not from the peer")]
    Stranger,
    /// It has no content.
    #[error("no bytes to read")]
    Synthetic,
    /// Its length is not that of such a message.
    #[error("wrong length")]
    Length,
    /// Its type is not known.
    #[error("unknown type")]
    Kind,
    /// Its tag does not match: damaged, or of another tunnel.
    #[error("wrong tag")]
    Tag,
    /// It names keys or an exchange that this end does not know, or no longer.
    #[error("unknown session")]
    Session,
    /// It is older than one that was seen before.
    #[error("replayed")]
    Replayed,
    /// This end is down.
    #[error("torn down")]
    Down,
}
