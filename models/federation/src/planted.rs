//! Bugs on purpose, for tests that must find them. No configuration leads here.

/// A bug of the usual kind.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Planted {
    /// None.
    #[default]
    Nothing,
    /// What waits for a peer is forgotten when the connection with it is lost.
    OutboxForgets,
}
