//! How the engine takes events, and takes them back.

use longhaul_core::schedule::{Class, EntityId, EventId, Schedule, TimerId};
use longhaul_core::time::Instant;

use super::{Engine, TIMER};
use crate::event::Event;

/// Cancelled timers that the queue may hold before it is swept, however few other events are pending.
pub(super) const SWEEP_FLOOR: u64 = 1024;

impl Engine {
    /// Issues the next event of `source`.
    #[inline]
    pub(super) fn issue(
        &mut self,
        at: Instant,
        class: Class,
        source: EntityId,
        target: EntityId,
        token: u32,
    ) -> Event {
        if at < self.now {
            self.refuse_the_past(at, target);
        }
        assert!(
            token < TIMER,
            "a token of 2^31 or more for entity {}",
            target.index()
        );
        let index = source.index() as usize;
        if index >= self.counters.len() {
            self.know(source);
        }
        let counter = &mut self.counters[index];
        let id = EventId::new(class, source, *counter);
        *counter += 1;
        self.pending += 1;
        if self.trace.is_some() {
            self.trace_scheduled(at, id, target, token);
        }
        Event {
            at,
            id,
            target,
            token,
        }
    }

    /// Starts a counter for `source`.
    #[cold]
    fn know(&mut self, source: EntityId) {
        self.counters.resize(source.index() as usize + 1, 0);
    }

    // Out of line, and by value: an event whose address is taken on the way to the queue would have to pass
    // through memory, which costs more than the rest of this path together.
    #[cold]
    fn trace_scheduled(&mut self, at: Instant, id: EventId, target: EntityId, token: u32) {
        if let Some(trace) = &mut self.trace {
            let event = Event {
                at,
                id,
                target,
                token,
            };
            trace.scheduled(&event, self.current, self.now);
        }
    }

    #[cold]
    fn refuse_the_past(&self, at: Instant, target: EntityId) -> ! {
        panic!(
            "an event for entity {} at {} ns when it is {} ns, while handling {}",
            target.index(),
            at.as_ns(),
            self.now.as_ns(),
            self.current
        );
    }

    /// Frees the queue of cancelled timers.
    #[cold]
    fn sweep(&mut self) {
        let timers = &mut self.timers;
        self.queue.retain(|event| {
            let slot = event.token ^ TIMER;
            if event.token & TIMER == 0 || timers.is_pending(slot) {
                return true;
            }
            timers.remove(slot);
            false
        });
    }
}

impl Schedule for Engine {
    #[inline]
    fn now(&self) -> Instant {
        self.now
    }

    #[inline]
    fn schedule(&mut self, at: Instant, class: Class, source: EntityId, target: EntityId, token: u32) {
        let event = self.issue(at, class, source, target, token);
        self.queue.push(event);
    }

    #[inline]
    fn schedule_timer(
        &mut self,
        at: Instant,
        class: Class,
        source: EntityId,
        target: EntityId,
        token: u32,
    ) -> TimerId {
        let event = self.issue(at, class, source, target, token);
        let timer = self.timers.add(event.id, token);
        self.queue.push(Event {
            token: TIMER | timer.slot,
            ..event
        });
        timer
    }

    fn cancel(&mut self, timer: TimerId) -> bool {
        let Some(id) = self.timers.cancel(timer) else {
            return false;
        };
        self.pending -= 1;
        if let Some(trace) = &mut self.trace {
            trace.cancelled(id, self.current, self.now);
        }
        // What was cancelled takes no more room than what is pending: the sweep looks at less than twice as
        // many entries as were cancelled since the last one.
        if self.timers.cancelled() > self.pending.max(SWEEP_FLOOR) {
            self.sweep();
        }
        true
    }
}
