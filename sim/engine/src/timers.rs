//! Events that may be taken back.
//!
//! The queue entry of a timer carries the index of a place here instead of its token. Cancelling marks the
//! place, in constant time; the entry stays in the queue until it comes up or is swept, and is discarded then.
//! A place is free again only then, so an entry never meets the next user of its place.

use longhaul_core::schedule::{EventId, TimerId};

/// What a place holds. The generation is odd while the timer is pending, so that firing and cancelling both
/// invalidate all handles by adding one.
#[derive(Clone, Copy, Debug)]
struct Place {
    id: EventId,
    token: u32,
    generation: u32,
}

/// All timers whose entry is in the queue.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    places: Vec<Place>,
    free: Vec<u32>,
    cancelled: u64,
}

impl Timers {
    /// Most places. The top bit of a queue entry's token tells timers from other events.
    const LIMIT: usize = 1 << 31;

    /// Registers a timer; the handle's slot goes into the queue entry.
    #[inline]
    pub(crate) fn add(&mut self, id: EventId, token: u32) -> TimerId {
        let slot = match self.free.pop() {
            Some(slot) => slot,
            None => self.grow(),
        };
        let place = &mut self.places[slot as usize];
        place.id = id;
        place.token = token;
        place.generation += 1;
        TimerId {
            slot,
            generation: place.generation,
        }
    }

    #[cold]
    fn grow(&mut self) -> u32 {
        let slot = self.places.len();
        assert!(slot < Timers::LIMIT, "more than 2^31 timers pending");
        self.places.push(Place {
            id: EventId::SETUP,
            token: 0,
            generation: 0,
        });
        slot as u32
    }

    /// Takes a timer back. Returns its event if it was pending.
    #[inline]
    pub(crate) fn cancel(&mut self, timer: TimerId) -> Option<EventId> {
        let place = self.places.get_mut(timer.slot as usize)?;
        if place.generation != timer.generation || timer.generation.is_multiple_of(2) {
            return None;
        }
        place.generation += 1;
        self.cancelled += 1;
        Some(place.id)
    }

    /// Whether the timer in this slot is still wanted.
    pub(crate) fn is_pending(&self, slot: u32) -> bool {
        self.places[slot as usize].generation % 2 == 1
    }

    /// The entry of this slot left the queue: frees the place. Returns the token if the timer is to fire, or
    /// `None` if it had been cancelled.
    #[inline]
    pub(crate) fn remove(&mut self, slot: u32) -> Option<u32> {
        let place = &mut self.places[slot as usize];
        let token = if place.generation % 2 == 1 {
            place.generation += 1;
            Some(place.token)
        } else {
            self.cancelled -= 1;
            None
        };
        // A place whose generations are used up is given away no more: 16 bytes per 2^31 timers.
        if place.generation < u32::MAX - 1 {
            self.free.push(slot);
        }
        token
    }

    /// Number of cancelled timers whose entry is still in the queue.
    pub(crate) fn cancelled(&self) -> u64 {
        self.cancelled
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: EventId = EventId::SETUP;

    #[test]
    fn a_handle_does_not_reach_the_next_timer_in_its_slot() {
        let mut timers = Timers::default();
        let first = timers.add(ID, 7);
        assert_eq!(timers.remove(first.slot), Some(7));
        let second = timers.add(ID, 8);
        assert_eq!(second.slot, first.slot, "the slot is reused");
        assert_eq!(timers.cancel(first), None);
        assert_eq!(timers.cancel(second), Some(ID));
        assert_eq!(timers.cancel(second), None);
        assert_eq!(timers.remove(second.slot), None);
    }

    #[test]
    fn a_cancelled_timer_keeps_its_slot_until_its_entry_leaves_the_queue() {
        let mut timers = Timers::default();
        let first = timers.add(ID, 1);
        timers.cancel(first);
        assert_eq!(timers.cancelled(), 1);
        assert_ne!(timers.add(ID, 2).slot, first.slot);
        assert_eq!(timers.remove(first.slot), None);
        assert_eq!(timers.cancelled(), 0);
        assert_eq!(timers.add(ID, 3).slot, first.slot);
    }

    #[test]
    fn a_slot_whose_generations_are_used_up_is_retired() {
        let mut timers = Timers::default();
        let first = timers.add(ID, 1);
        timers.places[0].generation = u32::MAX - 2;
        assert_eq!(timers.remove(first.slot), Some(1));
        assert_ne!(timers.add(ID, 2).slot, first.slot);
    }

    #[test]
    fn a_made_up_handle_cancels_nothing() {
        let mut timers = Timers::default();
        let timer = timers.add(ID, 1);
        timers.remove(timer.slot);
        for (slot, generation) in [(0, 0), (0, 2), (0, 3), (3, 1)] {
            assert_eq!(timers.cancel(TimerId { slot, generation }), None);
        }
    }
}
