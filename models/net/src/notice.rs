//! What the network tells the applications.

use longhaul_core::machine::CloseReason;
use longhaul_core::payload::Payload;

/// A connection. Numbers count up from 0 in the order of opening and are never used again.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ConnectionId(pub u32);

/// One of the two ends of a connection.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Side {
    /// The one that opened it.
    Opener,
    /// The one that it was opened to.
    Acceptor,
}

impl Side {
    /// The other end.
    pub const fn peer(self) -> Side {
        match self {
            Side::Opener => Side::Acceptor,
            Side::Acceptor => Side::Opener,
        }
    }
}

/// Something that an application must hear of.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Notice {
    /// On which connection.
    pub connection: ConnectionId,
    /// Which end hears of it.
    pub side: Side,
    /// What happened.
    pub what: What,
}

/// What happened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum What {
    /// The opener's handshake is over.
    Opened,
    /// The acceptor's handshake is over.
    Accepted,
    /// The next bytes of the peer's stream, in order: one piece as it was written, or a part of one.
    Received(Payload),
    /// TCP took this many bytes of what was written, so there is room for more.
    Sent(u64),
    /// The peer will send no more, and everything it sent has been received.
    PeerFinished,
    /// The connection is over; this end hears of nothing more.
    Closed(CloseReason),
}
