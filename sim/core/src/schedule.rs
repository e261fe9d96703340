//! How the environment (links, TCP) asks for events. The engine implements [`Schedule`]; models are generic
//! over it, so they never see the engine and tests can drive them with a hand-written queue.
//!
//! # The order of events
//! Pending events run in the order of (time, class, source, the source's own counter). The last three are
//! packed into [`EventId`], so an event's identity is part of its place in the order and two events never tie.
//! The order depends on what the events are, never on who happened to insert first. An event scheduled for
//! "now" is legal and runs after the current one, in its place among the events still pending.

use crate::time::Instant;

/// Who schedules or receives an event: a link, a connection, an endpoint. At most 2^24 of them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct EntityId(u32);

impl EntityId {
    /// Number of distinct entities.
    pub const LIMIT: u32 = 1 << 24;

    /// The entity with this index.
    ///
    /// # Panics
    /// At [`EntityId::LIMIT`] and above.
    #[inline]
    pub const fn new(index: u32) -> EntityId {
        assert!(index < EntityId::LIMIT, "more than 2^24 entities");
        EntityId(index)
    }

    /// The index, below [`EntityId::LIMIT`].
    #[inline]
    pub const fn index(self) -> u32 {
        self.0
    }
}

/// First criterion among events of the same time. The numbers are part of the results.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum Class {
    /// Changes of the world itself: faults, link changes, the start of a workload.
    World = 0,
    /// Arrival of a packet.
    Arrival = 1,
    /// A timer of a transport.
    Timer = 2,
    /// A wake-up that an endpoint asked for.
    Wake = 3,
    /// Observation: samples of a time series, checkpoints. Last, so that it sees the instant complete.
    Observe = 4,
}

impl Class {
    /// The class with this number.
    #[inline]
    pub const fn from_number(number: u8) -> Option<Class> {
        match number {
            0 => Some(Class::World),
            1 => Some(Class::Arrival),
            2 => Some(Class::Timer),
            3 => Some(Class::Wake),
            4 => Some(Class::Observe),
            _ => None,
        }
    }
}

/// Identity of an event and its place among those of the same time: class (4 bits), source (24 bits), the
/// source's own counter (36 bits), most significant first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct EventId(u64);

impl EventId {
    /// Number of events that one source may schedule.
    pub const COUNTER_LIMIT: u64 = 1 << 36;
    /// The event before all events: the cause of what is scheduled before the run starts.
    pub const SETUP: EventId = EventId(u64::MAX);

    /// Packs the three parts.
    ///
    /// # Panics
    /// If the source has used up its counter.
    #[inline]
    pub const fn new(class: Class, source: EntityId, counter: u64) -> EventId {
        assert!(
            counter < EventId::COUNTER_LIMIT,
            "one source scheduled 2^36 events"
        );
        EventId((class as u64) << 60 | (source.0 as u64) << 36 | counter)
    }

    /// The packed form.
    #[inline]
    pub const fn as_u64(self) -> u64 {
        self.0
    }

    /// From the packed form.
    #[inline]
    pub const fn from_u64(packed: u64) -> EventId {
        EventId(packed)
    }

    /// The class, or `None` for [`EventId::SETUP`].
    #[inline]
    pub const fn class(self) -> Option<Class> {
        Class::from_number((self.0 >> 60) as u8)
    }

    /// Who scheduled the event.
    #[inline]
    pub const fn source(self) -> EntityId {
        EntityId((self.0 >> 36) as u32 & (EntityId::LIMIT - 1))
    }

    /// How many events the source had scheduled before.
    #[inline]
    pub const fn counter(self) -> u64 {
        self.0 & (EventId::COUNTER_LIMIT - 1)
    }
}

/// `setup`, or class, source and counter: `Arrival#12.3456`.
impl std::fmt::Display for EventId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.class() {
            Some(class) => write!(f, "{class:?}#{}.{}", self.source().index(), self.counter()),
            None => f.write_str("setup"),
        }
    }
}

/// Handle of an event that may be cancelled.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TimerId {
    /// Where the queue keeps the timer.
    pub slot: u32,
    /// Which use of that place it is.
    pub generation: u32,
}

/// The one door through which the environment reaches virtual time.
pub trait Schedule {
    /// The current instant.
    fn now(&self) -> Instant;

    /// Schedules an event at `at` for `target` on behalf of `source`. `token` (below 2^31) tells the target
    /// what it is about.
    ///
    /// # Panics
    /// If `at` lies in the past.
    fn schedule(&mut self, at: Instant, class: Class, source: EntityId, target: EntityId, token: u32);

    /// The same for an event that [`Schedule::cancel`] may take back.
    fn schedule_timer(
        &mut self,
        at: Instant,
        class: Class,
        source: EntityId,
        target: EntityId,
        token: u32,
    ) -> TimerId;

    /// Takes a timer back, in constant time. Returns whether it was still pending; cancelling one that has
    /// fired or was cancelled is harmless.
    fn cancel(&mut self, timer: TimerId) -> bool;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_an_event_id_come_back_and_order_it() {
        let id = EventId::new(Class::Timer, EntityId::new(0xab_cdef), 0xf_1234_5678);
        assert_eq!(id.class(), Some(Class::Timer));
        assert_eq!(id.source().index(), 0xab_cdef);
        assert_eq!(id.counter(), 0xf_1234_5678);
        assert!(
            EventId::new(Class::Arrival, EntityId::new(9), 9)
                < EventId::new(Class::Timer, EntityId::new(0), 0)
        );
        assert!(
            EventId::new(Class::Timer, EntityId::new(1), 9) < EventId::new(Class::Timer, EntityId::new(2), 0)
        );
        assert_eq!(EventId::SETUP.class(), None);
    }
}
