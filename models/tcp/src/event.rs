//! What a connection tells its application.

/// What the application hears of, in this order if several happen at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Event {
    /// The handshake is over.
    Established,
    /// So many more bytes of the peer's stream arrived in order.
    Received(u64),
    /// A write had found the send buffer full, and a third of it is free again.
    SendSpace,
    /// The peer will send no more; everything it sent has been reported.
    PeerFinished,
    /// Both directions are finished and everything is acknowledged.
    Closed,
    /// The connection is gone; bytes may be lost.
    Failed(Failure),
}

/// Why a connection failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Failure {
    /// The peer sent RST.
    Reset,
    /// The peer did not answer for too long.
    TimedOut,
    /// [`Connection::abort`](crate::Connection::abort) was called.
    Aborted,
}
