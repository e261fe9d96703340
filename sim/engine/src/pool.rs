//! Chunks of events, shared by all slots of the event queue.
//!
//! A slot's events lie in a list of chunks, all full but the last one. Slots fill and empty all the time and
//! never all at once, so a shared pool needs little more memory than the events pending, where a vector per
//! slot would keep what each slot once held.

use longhaul_core::time::Instant;

use crate::engine::Event;

/// Events per chunk.
pub(crate) const CHUNK: usize = 64;

/// No chunk: before the first one of a list.
const NONE: u32 = u32::MAX / CHUNK as u32;

/// A list of chunks, as the place after its last event. At a multiple of [`CHUNK`] the last chunk is full; 0
/// is the empty list.
#[derive(Clone, Copy, Debug)]
pub(crate) struct List(u32);

/// All chunks.
#[derive(Debug)]
pub(crate) struct Pool {
    /// The places of all chunks, one chunk after the other.
    events: Vec<Event>,
    /// Per chunk, the chunk before it in its list or among the free ones.
    before: Vec<u32>,
    /// The last of the free chunks.
    free: u32,
}

impl List {
    pub(crate) const EMPTY: List = List(0);

    #[inline]
    pub(crate) fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The last chunk.
    #[inline]
    fn last(self) -> u32 {
        // Nothing lies before place 0, the place of the empty list: it wraps to NONE.
        self.0.wrapping_sub(1) / CHUNK as u32
    }
}

impl Pool {
    pub(crate) const fn new() -> Pool {
        Pool {
            events: Vec::new(),
            before: Vec::new(),
            free: NONE,
        }
    }

    /// Adds an event to a list.
    #[inline]
    pub(crate) fn push(&mut self, list: &mut List, event: Event) {
        let mut place = list.0;
        if place.is_multiple_of(CHUNK as u32) {
            place = self.take_chunk(*list) * CHUNK as u32;
        }
        self.events[place as usize] = event;
        list.0 = place + 1;
    }

    /// A free chunk, linked to the end of a list.
    #[inline]
    fn take_chunk(&mut self, list: List) -> u32 {
        let mut chunk = self.free;
        if chunk == NONE {
            chunk = self.grow();
        } else {
            self.free = self.before[chunk as usize];
        }
        self.before[chunk as usize] = list.last();
        chunk
    }

    #[cold]
    fn grow(&mut self) -> u32 {
        let chunk = self.before.len() as u32;
        assert!(chunk < NONE - 1, "more than 2^32 events pending");
        self.events.resize(self.events.len() + CHUNK, Event::UNUSED);
        self.before.push(NONE);
        chunk
    }

    /// Whether a list holds at most `few` events, a number no greater than [`CHUNK`].
    #[inline]
    pub(crate) fn has_at_most(&self, list: List, few: usize) -> bool {
        let last = self.last(list);
        last.len() <= few && (last.is_empty() || self.before[list.last() as usize] == NONE)
    }

    /// The events in the last chunk of a list; none if the list is empty.
    #[inline]
    pub(crate) fn last(&self, list: List) -> &[Event] {
        let end = list.0 as usize;
        &self.events[end.saturating_sub(1) / CHUNK * CHUNK..end]
    }

    /// Gives the last chunk of a list back to the pool.
    #[inline]
    pub(crate) fn drop_last(&mut self, list: &mut List) {
        let last = list.last();
        let before = std::mem::replace(&mut self.before[last as usize], self.free);
        self.free = last;
        // All chunks but the last are full; after NONE comes the empty list.
        list.0 = before.wrapping_add(1).wrapping_mul(CHUNK as u32);
    }

    /// Moves the events of a list to other lists, each to the one whose index `of` gives. Returns the indices
    /// used, as a bitmap.
    #[inline]
    pub(crate) fn distribute(&mut self, mut list: List, lists: &mut [List; 64], of: impl Fn(Instant) -> usize) -> u64 {
        let mut used = 0;
        while !list.is_empty() {
            let end = list.0 as usize;
            for place in (end - 1) / CHUNK * CHUNK..end {
                let event = self.events[place];
                let index = of(event.at);
                used |= 1 << index;
                self.push(&mut lists[index], event);
            }
            self.drop_last(&mut list);
        }
        used
    }
}
