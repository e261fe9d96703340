//! Chunks of events, shared by all slots of the event queue.
//!
//! A slot's events lie in a list of chunks, all full but the last one. Slots fill and empty all the time and
//! never all at once, so a shared pool needs little more memory than the events pending, where a vector per
//! slot would keep what each slot once held. It is faster too: the chunks in use stay in the cache.

use longhaul_core::time::Instant;

use crate::event::Event;

/// Events per chunk.
const CHUNK: usize = 64;

/// A list of chunks, as the place after its last event. At a multiple of [`CHUNK`] the last chunk is full; 0
/// is the empty list.
#[derive(Clone, Copy, Debug)]
pub(crate) struct List(u32);

impl List {
    /// No events.
    pub(crate) const EMPTY: List = List(0);

    /// The last chunk; the list is not empty.
    #[inline]
    fn last_chunk(self) -> usize {
        (self.0 as usize - 1) / CHUNK
    }
}

/// All chunks.
#[derive(Debug)]
pub(crate) struct Pool {
    /// The places of all chunks, one chunk after the other.
    events: Vec<Event>,
    /// Per chunk, the list that it was added to: the chunks before it.
    before: Vec<List>,
    /// The free chunks.
    free: List,
}

impl Pool {
    /// A pool without chunks.
    pub(crate) const fn new() -> Pool {
        Pool {
            events: Vec::new(),
            before: Vec::new(),
            free: List::EMPTY,
        }
    }

    /// Adds an event to a list.
    #[inline]
    pub(crate) fn push(&mut self, list: &mut List, event: Event) {
        let mut place = list.0;
        if place.is_multiple_of(CHUNK as u32) {
            place = self.take_chunk(*list);
        }
        self.events[place as usize] = event;
        list.0 = place + 1;
    }

    /// Adds a free chunk to a list. Returns its first place.
    #[inline]
    fn take_chunk(&mut self, list: List) -> u32 {
        if self.free.0 == 0 {
            self.grow();
        }
        let chunk = self.free.last_chunk();
        self.free = std::mem::replace(&mut self.before[chunk], list);
        (chunk * CHUNK) as u32
    }

    #[cold]
    fn grow(&mut self) {
        let end = u32::try_from(self.events.len() + CHUNK).expect("fewer than 2^32 events pending");
        self.events.resize(end as usize, Event::UNUSED);
        self.before.push(self.free);
        self.free = List(end);
    }

    /// The events of a list by chunks, last chunk first.
    #[inline]
    pub(crate) fn chunks(&self, mut list: List) -> impl Iterator<Item = &[Event]> {
        std::iter::from_fn(move || {
            let end = list.0.checked_sub(1)? as usize + 1;
            let chunk = list.last_chunk();
            list = self.before[chunk];
            Some(&self.events[chunk * CHUNK..end])
        })
    }

    /// The events of a list that is not empty, if there are at most `most`, a number less than that of a chunk.
    #[inline]
    pub(crate) fn few(&self, list: List, most: usize) -> Option<&[Event]> {
        let chunk = list.last_chunk();
        let events = &self.events[chunk * CHUNK..list.0 as usize];
        (events.len() <= most && self.before[chunk].0 == 0).then_some(events)
    }

    /// Whether a list holds at most `most` events.
    #[inline]
    pub(crate) fn has_at_most(&self, list: List, most: usize) -> bool {
        let mut count = 0;
        self.chunks(list).all(|events| {
            count += events.len();
            count <= most
        })
    }

    /// Gives the last chunk of a list back.
    #[inline]
    fn drop_last_chunk(&mut self, list: &mut List) {
        let chunk = list.last_chunk();
        *list = std::mem::replace(&mut self.before[chunk], self.free);
        self.free = List(((chunk + 1) * CHUNK) as u32);
    }

    /// Gives all chunks of a list back.
    #[inline]
    pub(crate) fn clear(&mut self, mut list: List) {
        while list.0 != 0 {
            self.drop_last_chunk(&mut list);
        }
    }

    /// Moves the events of a list to other lists, each to the one whose index `of` gives. Returns the indices
    /// used, as a bitmap.
    #[inline]
    pub(crate) fn distribute<const N: usize>(
        &mut self,
        mut list: List,
        lists: &mut [List; N],
        of: impl Fn(Instant) -> usize,
    ) -> u64 {
        let mut used = 0;
        while list.0 != 0 {
            for place in list.last_chunk() * CHUNK..list.0 as usize {
                let event = self.events[place];
                let index = of(event.at);
                used |= 1 << index;
                self.push(&mut lists[index], event);
            }
            // As soon as it is empty, so that the lists can have it while it is in the cache.
            self.drop_last_chunk(&mut list);
        }
        used
    }

    /// How many events the pool has room for.
    #[cfg(test)]
    pub(crate) fn places(&self) -> usize {
        self.events.len()
    }
}
