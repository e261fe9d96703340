//! The event queue: a monotone 64-ary radix wheel.
//!
//! Read a time as eleven digits in base 64. The wheel has one level per digit and 64 slots per level, and
//! measures from an `origin` that no pending event precedes: an event lies in the level of the highest digit
//! in which its time differs from the origin, in the slot of that digit. Lower levels therefore come before
//! higher ones, and a bitmap per level finds the next slot in two instructions. What happens to the next slot
//! depends on how many events it holds:
//!
//! - few: they are sorted straight into the *front*, from which events are popped;
//! - some hundred: they are sorted at once into a *run*, which feeds the front piece by piece;
//! - more: the origin moves to the start of the slot, and its events spread over the level below.
//!
//! A new event goes into the front if it precedes the front's end and into the wheel otherwise, never into
//! the run: an insertion costs the same however long the run is. An event moves down at most ten times in its
//! life and usually once or twice, whatever the number of events pending.
//!
//! The wheel has no width to tune and never resizes, unlike a calendar queue, whose cost explodes on the
//! mixture of microseconds and seconds that a wide-area network produces. `benches/queue.rs` measures it.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use longhaul_core::schedule::{EntityId, EventId};
use longhaul_core::time::Instant;

use crate::event::Event;
use crate::pool::{List, Pool};

/// Bits per digit.
const DIGIT: u32 = 6;
/// Slots per level.
const SLOTS: usize = 1 << DIGIT;
/// Levels: digits of a 64-bit time, the highest of which has four bits.
const LEVELS: usize = 64_usize.div_ceil(DIGIT as usize);
/// Most events of a slot that go straight into the front.
const FEW: usize = 16;
/// Most events of a slot that become a run.
const RUN: usize = 512;
/// Bits by which a run is sorted into buckets: a bucket of a full run has two events on average.
const BUCKET: u32 = 8;
/// How many events of a run enter the front at a time.
const PIECE: usize = 32;
/// How far from the next event the front is searched for the place of a new one.
const REACH: usize = 64;

/// Events in the order of (time, identity). Monotone: nothing may be pushed before the last event popped, nor
/// before the limit of a [`pop`](EventQueue::pop) that found nothing.
#[derive(Debug)]
pub struct EventQueue {
    /// The earliest events, sorted, last one first.
    front: Vec<Event>,
    /// Events that belong far inside the front. Rare: it bounds the cost of many insertions into a long front,
    /// such as those of thousands of events of one instant that schedule more for that instant.
    late: BinaryHeap<Reverse<Event>>,
    /// Events after the front, sorted, last one first.
    run: Vec<Event>,
    /// Nothing pending is before the origin.
    origin: u64,
    /// New events less than this after the origin belong in the front, all others in the wheel.
    width: u64,
    /// Which levels have a slot in use.
    levels: u32,
    /// Which slots of each level are in use.
    slots: [u64; LEVELS],
    /// The events of each slot.
    wheel: Box<[[List; SLOTS]; LEVELS]>,
    pool: Pool,
}

impl Default for EventQueue {
    fn default() -> EventQueue {
        EventQueue::new()
    }
}

impl EventQueue {
    /// An empty queue at time 0.
    pub fn new() -> EventQueue {
        EventQueue {
            front: Vec::new(),
            late: BinaryHeap::new(),
            run: Vec::new(),
            origin: 0,
            width: 0,
            levels: 0,
            slots: [0; LEVELS],
            wheel: Box::new([[List::EMPTY; SLOTS]; LEVELS]),
            pool: Pool::new(),
        }
    }

    /// Adds an event.
    #[inline]
    pub fn push(&mut self, event: Event) {
        let time = event.at.as_ns();
        debug_assert!(time >= self.origin, "an event before the origin");
        if time.wrapping_sub(self.origin) < self.width {
            self.insert(event);
        } else {
            let highest = 63 - ((time ^ self.origin) | 1).leading_zeros();
            let level = (highest / DIGIT) as usize;
            let slot = digit(time, level);
            self.levels |= 1 << level;
            self.slots[level] |= 1 << slot;
            self.pool.push(&mut self.wheel[level][slot], event);
        }
    }

    /// Takes the first event if its time is at most `limit`. Looks at nothing beyond the limit, so that
    /// events between the limit and the next one may still be pushed.
    #[inline]
    pub fn pop(&mut self, limit: Instant) -> Option<Event> {
        if !self.late.is_empty() {
            self.promote_late();
        }
        if self.front.is_empty() && !self.refill(limit.as_ns()) {
            return None;
        }
        if self.front.last()?.at > limit {
            return None;
        }
        self.front.pop()
    }

    /// Keeps only the events for which `keep` holds; linear in the number of events.
    pub fn retain(&mut self, mut keep: impl FnMut(&Event) -> bool) {
        self.front.retain(&mut keep);
        self.late.retain(|Reverse(event)| keep(event));
        self.run.retain(&mut keep);
        let mut kept = Vec::new();
        for level in 0..LEVELS {
            for slot in 0..SLOTS {
                let list = self.take(level, slot);
                kept.extend(self.pool.chunks(list).flatten().copied().filter(&mut keep));
                self.pool.clear(list);
                // The origin has not moved, so they return to this slot.
                kept.drain(..).for_each(|event| self.push(event));
            }
        }
    }

    /// Inserts into the front.
    #[inline]
    fn insert(&mut self, event: Event) {
        let len = self.front.len();
        if len >= REACH && self.front[len - REACH].precedes(&event) {
            self.insert_late(event.at, event.id, event.target, event.token);
        } else {
            self.front.push(event);
            settle(&mut self.front, event);
        }
    }

    // By parts: an event whose address is taken would pass through memory also on the way to the wheel.
    #[cold]
    fn insert_late(&mut self, at: Instant, id: EventId, target: EntityId, token: u32) {
        self.late.push(Reverse(Event {
            at,
            id,
            target,
            token,
        }));
    }

    /// Moves the first of the late events into the front if it is the next event.
    #[cold]
    fn promote_late(&mut self) {
        if let Some(&Reverse(late)) = self.late.peek()
            && self.front.last().is_none_or(|first| late.precedes(first))
        {
            self.front.push(late);
            self.late.pop();
        }
    }

    /// Fills the empty front with the first events of run and wheel, without moving the origin beyond `limit`.
    /// Returns whether there are any.
    #[inline(never)]
    fn refill(&mut self, limit: u64) -> bool {
        loop {
            let first = self.first_slot();
            if let Some(next) = self.run.last()
                && first.is_none_or(|(_, _, start)| next.at.as_ns() < start)
            {
                self.take_piece(first.map(|(_, _, start)| start));
                return true;
            }
            let Some((level, slot, start)) = first else {
                return false;
            };
            if start > limit {
                return false;
            }
            let list = self.take(level, slot);
            self.origin = start;
            self.width = 0;
            // The events of a slot of level 0 have the same time and cannot be spread.
            if level == 0 || self.pool.few(list, FEW).is_some() {
                self.width = 1 << (level as u32 * DIGIT);
                self.sort_to_front(list);
                return true;
            }
            if self.run.is_empty() && self.pool.has_at_most(list, RUN) {
                self.sort_to_run(list, level);
            } else {
                self.spread(list, level - 1);
            }
        }
    }

    /// The first slot of the wheel that is in use: its level, its digit, and when it starts.
    #[inline]
    fn first_slot(&self) -> Option<(usize, usize, u64)> {
        if self.levels == 0 {
            return None;
        }
        let level = self.levels.trailing_zeros() as usize;
        let slot = self.slots[level].trailing_zeros() as usize;
        let shift = level as u32 * DIGIT;
        let start = (self.origin >> shift & !(SLOTS as u64 - 1) | slot as u64) << shift;
        Some((level, slot, start))
    }

    /// Takes the events out of a slot.
    #[inline]
    fn take(&mut self, level: usize, slot: usize) -> List {
        self.slots[level] &= !(1 << slot);
        if self.slots[level] == 0 {
            self.levels &= !(1 << level);
        }
        std::mem::replace(&mut self.wheel[level][slot], List::EMPTY)
    }

    /// Distributes the events of a slot, the origin being its start, over the level below. Those of the first
    /// slot there belong further down, but that slot is looked at next.
    #[inline]
    fn spread(&mut self, list: List, below: usize) {
        let used = self
            .pool
            .distribute(list, &mut self.wheel[below], |at| digit(at.as_ns(), below));
        self.slots[below] = used;
        self.levels |= 1 << below;
    }

    /// Sorts the events of a slot into the empty front, together with those of the run that lie in the slot.
    // Out of line: within `refill` the loops of the two get in each other's way, which costs up to a fifth.
    #[inline(never)]
    fn sort_to_front(&mut self, list: List) {
        let mut first = self.run.len();
        while first > 0 && self.run[first - 1].at.as_ns() - self.origin < self.width {
            first -= 1;
        }
        if first < self.run.len() {
            self.front.extend_from_slice(&self.run[first..]);
            self.run.truncate(first);
        }
        match self.pool.few(list, FEW) {
            Some(events) if self.front.is_empty() => {
                // The place of an event is the number of events after it. Counting them has no branch to
                // mispredict, which for few events matters more than the number of comparisons.
                self.front.extend_from_slice(events);
                for event in events {
                    let after = events.iter().filter(|other| event.precedes(other)).count();
                    self.front[after] = *event;
                }
            }
            Some(events) => {
                for event in events {
                    self.front.push(*event);
                    settle(&mut self.front, *event);
                }
            }
            None => {
                for events in self.pool.chunks(list) {
                    self.front.extend_from_slice(events);
                }
                self.front.sort_unstable_by_key(|event| Reverse(event.key()));
            }
        }
        self.pool.clear(list);
    }

    /// Sorts the events of a slot of this level into the empty run: first into buckets by the highest bits in
    /// which they can differ, then by insertion, which has little left to do.
    fn sort_to_run(&mut self, list: List, level: usize) {
        let shift = (level as u32 * DIGIT).saturating_sub(BUCKET);
        let bucket = |event: &Event| (event.at.as_ns() >> shift) as usize % (1 << BUCKET);
        let mut places = [0_u16; 1 << BUCKET];
        for events in self.pool.chunks(list) {
            for event in events {
                places[bucket(event)] += 1;
            }
        }
        let (mut count, mut most) = (0, 0);
        for place in places.iter_mut().rev() {
            most = most.max(*place);
            count += std::mem::replace(place, count);
        }
        self.run.resize(usize::from(count), Event::UNUSED);
        for events in self.pool.chunks(list) {
            for event in events {
                let place = &mut places[bucket(event)];
                self.run[usize::from(*place)] = *event;
                *place += 1;
            }
        }
        if usize::from(most) <= FEW {
            for next in 1..self.run.len() {
                let event = self.run[next];
                settle(&mut self.run[..=next], event);
            }
        } else {
            self.run.sort_unstable_by_key(|event| Reverse(event.key()));
        }
        self.pool.clear(list);
    }

    /// Moves the next events of the run, the first of which precedes `end`, into the empty front.
    fn take_piece(&mut self, end: Option<u64>) {
        let mut first = self.run.len().saturating_sub(PIECE);
        // Events of one instant stay together, since the front's end is an instant.
        while first > 0 && self.run[first - 1].at == self.run[first].at {
            first -= 1;
        }
        if let Some(end) = end {
            while self.run[first].at.as_ns() >= end {
                first += 1;
            }
        }
        self.width = self.run[first].at.as_ns() - self.origin + 1;
        self.front.extend_from_slice(&self.run[first..]);
        self.run.truncate(first);
    }
}

/// The digit of `time` that belongs to `level`.
#[inline]
fn digit(time: u64, level: usize) -> usize {
    (time >> (level as u32 * DIGIT)) as usize % SLOTS
}

/// Moves the last event, which is `event`, to its place among those before it, sorted with the latest first.
#[inline]
fn settle(events: &mut [Event], event: Event) {
    let mut at = events.len() - 1;
    while at > 0 && events[at - 1].precedes(&event) {
        events[at] = events[at - 1];
        at -= 1;
    }
    events[at] = event;
}

#[cfg(test)]
mod tests;
