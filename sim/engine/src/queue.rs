//! The event queue: a monotone 64-ary radix wheel with a sorted front.
//!
//! Read a time as eleven digits in base 64. The wheel has one level per digit and 64 slots per level, and
//! measures from an `origin` that no pending event precedes: an event lies in the level of the highest digit
//! in which its time differs from the origin, in the slot of that digit. Lower levels therefore come before
//! higher ones, and one bitmap per level finds the next slot in two instructions. When the next slot holds few
//! events they are sorted straight into the *front*, from which events are popped; when it holds many, the
//! origin moves to its start and its events spread over the levels below. An event moves down at most ten
//! times in its life and usually two or three, whatever the number of events pending.
//!
//! The wheel has no width to tune and never resizes, unlike a calendar queue, whose cost explodes on the
//! mixture of microseconds and seconds that a wide-area network produces. `benches/queue.rs` measures it.
//!
//! All slots share one pool of small chunks, so memory follows the number of pending events and not the sum of
//! what each slot once held.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use longhaul_core::schedule::{EntityId, EventId};
use longhaul_core::time::Instant;

use crate::engine::Event;
use crate::pool::{List, Pool};

/// Bits per digit.
const DIGIT: u32 = 6;
/// Slots per level.
const SLOTS: usize = 1 << DIGIT;
/// Levels: digits of a 64-bit time, the highest of which has four bits.
const LEVELS: usize = 64_usize.div_ceil(DIGIT as usize);
/// How far from the next event the front is searched before an event goes to the late heap.
const REACH: usize = 64;
/// Most events of a slot that are sorted into the front at once, unless all have the same time. Larger fronts
/// save work in the wheel and lose it where new events fall into the front; 16 to 48 cost the same within 5 %.
const FRONT: usize = 32;
/// Most events that are sorted by counting.
const FEW: usize = 16;

/// Events in the order of (time, identity). Monotone: nothing may be pushed before the last event popped, nor
/// before the limit of a [`pop`](EventQueue::pop) that found nothing.
#[derive(Debug)]
pub struct EventQueue {
    /// The earliest events, last one first.
    front: Vec<Event>,
    /// Events that belong far inside the front. Rare: it bounds the cost of many events inserted into a front
    /// that is already long, such as thousands of events of one instant that schedule more for that instant.
    late: BinaryHeap<Reverse<Event>>,
    /// Everything pending is at or after the origin.
    origin: u64,
    /// Events less than this after the origin belong in the front, all others in the wheel.
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
        let mut kept = Vec::new();
        for (level, slots) in self.wheel.iter_mut().enumerate() {
            for (slot, list) in slots.iter_mut().enumerate() {
                while !list.is_empty() {
                    kept.extend(self.pool.last(*list).iter().copied().filter(&mut keep));
                    self.pool.drop_last(list);
                }
                if kept.is_empty() {
                    self.slots[level] &= !(1 << slot);
                }
                for event in kept.drain(..) {
                    self.pool.push(list, event);
                }
            }
            if self.slots[level] == 0 {
                self.levels &= !(1 << level);
            }
        }
    }

    /// Inserts into the front.
    #[inline]
    fn insert(&mut self, event: Event) {
        let len = self.front.len();
        let floor = len.saturating_sub(REACH);
        let mut at = len;
        while at > floor && self.front[at - 1].precedes(&event) {
            at -= 1;
        }
        if len - at == REACH {
            self.insert_late(event.at, event.id, event.target, event.token);
        } else {
            self.front.insert(at, event);
        }
    }

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
        if let Some(Reverse(late)) = self.late.peek()
            && self.front.last().is_none_or(|first| late.precedes(first))
        {
            self.front.push(*late);
            self.late.pop();
        }
    }

    /// Moves the first events of the wheel into the empty front. Returns whether there is one in a slot that
    /// starts by `limit`.
    #[inline(never)]
    fn refill(&mut self, limit: u64) -> bool {
        while self.levels != 0 {
            let level = self.levels.trailing_zeros() as usize;
            let slot = self.slots[level].trailing_zeros() as usize;
            let shift = level as u32 * DIGIT;
            let start = (self.origin >> shift & !(SLOTS as u64 - 1) | slot as u64) << shift;
            if start > limit {
                return false;
            }
            self.origin = start;
            self.width = 0;
            self.slots[level] &= !(1 << slot);
            if self.slots[level] == 0 {
                self.levels &= !(1 << level);
            }
            let list = std::mem::replace(&mut self.wheel[level][slot], List::EMPTY);
            // The events of a slot of level 0 have the same time and cannot be spread.
            if level == 0 || self.pool.has_at_most(list, FRONT) {
                self.width = 1 << shift;
                self.sort_to_front(list);
                return true;
            }
            self.spread(list, level - 1);
        }
        false
    }

    /// Distributes the events of a slot, the origin being its start, over the level below. Those of the first
    /// slot there belong further down, but that slot is looked at next.
    #[inline]
    fn spread(&mut self, list: List, below: usize) {
        let used = self.pool.distribute(list, &mut self.wheel[below], |at| digit(at.as_ns(), below));
        self.slots[below] = used;
        self.levels |= 1 << below;
    }

    /// Sorts the events of a slot into the empty front.
    #[inline]
    fn sort_to_front(&mut self, mut list: List) {
        let events = self.pool.last(list);
        if self.pool.has_at_most(list, FEW) {
            // The place of an event is the number of events after it. Counting them has no branch to
            // mispredict, which for few events matters more than the number of comparisons.
            self.front.extend_from_slice(events);
            for event in events {
                let after = events.iter().filter(|other| event.precedes(other)).count();
                self.front[after] = *event;
            }
            self.pool.drop_last(&mut list);
            return;
        }
        while !list.is_empty() {
            self.front.extend_from_slice(self.pool.last(list));
            self.pool.drop_last(&mut list);
        }
        self.front.sort_unstable_by_key(|event| Reverse(event.key()));
    }
}

/// The digit of `time` that belongs to `level`.
#[inline]
fn digit(time: u64, level: usize) -> usize {
    (time >> (level as u32 * DIGIT)) as usize % SLOTS
}
