//! Bugs on purpose, for tests that must find them. No configuration leads here.

/// A bug of the usual kind.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Planted {
    /// None.
    #[default]
    Nothing,
    /// A breaker closes when a call succeeds that began before it opened.
    LateSuccessCloses,
    /// A token bucket forgets the part of a token that came in since the last whole one.
    LostRemainders,
}
