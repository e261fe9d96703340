//! What happens: a time, an identity, a target and a token.

use longhaul_core::schedule::{EntityId, EventId};
use longhaul_core::time::Instant;

/// Something that happens. Ordered by time and identity, which no two events share.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Event {
    /// When.
    pub at: Instant,
    /// Its identity, which says who scheduled it and of which class it is.
    pub id: EventId,
    /// For whom.
    pub target: EntityId,
    /// What about; below 2^31.
    pub token: u32,
}

impl Event {
    /// What an unused place of the queue holds.
    pub(crate) const UNUSED: Event = Event {
        at: Instant::MAX,
        id: EventId::SETUP,
        target: EntityId::new(0),
        token: 0,
    };

    /// Time and identity in one number: what decides the order of events.
    #[inline]
    pub(crate) fn key(&self) -> u128 {
        u128::from(self.at.as_ns()) << 64 | u128::from(self.id.as_u64())
    }

    #[inline]
    pub(crate) fn precedes(&self, other: &Event) -> bool {
        self.key() < other.key()
    }
}
