//! The clock, the run loop and the budget of a run.

use std::any::Any;

use longhaul_core::digest::{Checkpoint, Digest};
use longhaul_core::schedule::{EntityId, EventId};
use longhaul_core::time::Instant;

use crate::checkpoints::Checkpoints;
use crate::event::Event;
use crate::queue::EventQueue;
use crate::timers::Timers;
use crate::trace::TraceSink;

mod schedule;

/// The top bit of the token of an event in the queue: if set, the rest is a slot of [`Timers`].
const TIMER: u32 = 1 << 31;

/// What the events mean.
pub trait World {
    /// Handles an event. Time stands at `event.at`; whatever follows is scheduled through `engine`.
    fn handle(&mut self, event: &Event, engine: &mut Engine);

    /// Asserts what must hold between any two events, such as conservation. Called at every
    /// checkpoint and whenever [`Engine::run`] has executed all that was due.
    fn check(&self) {}
}

/// How far a call of [`Engine::run`] may go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Budget {
    /// The last instant whose events are executed.
    pub until: Instant,
    /// Most events executed by this call.
    pub events: u64,
}

impl Budget {
    /// Everything up to and at `until`.
    pub const fn until(until: Instant) -> Budget {
        Budget {
            until,
            events: u64::MAX,
        }
    }
}

/// Why [`Engine::run`] returned. If several hold, the first of this list is given.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stopped {
    /// No event is pending. The clock has stayed at the last event.
    Drained,
    /// The events of the budget are used up; more may be due. The clock has stayed at the last event.
    Events,
    /// No event is pending at or before `until`. The clock stands at `until`.
    Until,
}

/// Virtual time.
///
/// A run in several slices is the run in one piece: the same events, the same digest, the same checkpoints.
pub struct Engine {
    now: Instant,
    /// Time and identity of the last event executed.
    last: (Instant, EventId),
    /// The event being handled, and the cause of what is scheduled.
    current: EventId,
    pending: u64,
    executed: u64,
    queue: EventQueue,
    timers: Timers,
    /// Per source, how many events it has scheduled.
    counters: Vec<u64>,
    digest: Digest,
    checkpoints: Checkpoints,
    trace: Option<Box<dyn TraceSink>>,
}

impl Default for Engine {
    fn default() -> Engine {
        Engine::new()
    }
}

impl Engine {
    /// At time zero, with nothing scheduled.
    pub fn new() -> Engine {
        Engine::with_checkpoints_every(Checkpoints::DISTANCE)
    }

    /// The same with another initial distance between [checkpoints](Checkpoints), in events.
    ///
    /// # Panics
    /// If `distance` is not a power of two.
    pub fn with_checkpoints_every(distance: u64) -> Engine {
        Engine {
            now: Instant::ZERO,
            last: (Instant::ZERO, EventId::SETUP),
            current: EventId::SETUP,
            pending: 0,
            executed: 0,
            queue: EventQueue::new(),
            timers: Timers::default(),
            counters: Vec::new(),
            digest: Digest::new(),
            checkpoints: Checkpoints::every(distance),
            trace: None,
        }
    }

    /// Executes events in their order until nothing is pending, the budget is used up or nothing more is due,
    /// and says which. All events at `until` belong to the call, also those scheduled at that very instant.
    ///
    /// # Panics
    /// If `until` lies in the past, and with whatever the world asserts.
    pub fn run<W: World + ?Sized>(&mut self, world: &mut W, budget: Budget) -> Stopped {
        assert!(
            budget.until >= self.now,
            "a run until {} ns when it is {} ns",
            budget.until.as_ns(),
            self.now.as_ns()
        );
        let mut left = budget.events;
        let stopped = loop {
            // The loop over events has one end to watch, the next checkpoint or that of the budget.
            let due_in = self.checkpoints.due_in(self.executed);
            let slice = due_in.min(left);
            let before = self.executed;
            self.run_slice(world, budget.until, slice);
            let executed = self.executed - before;
            left -= executed;
            if executed == due_in {
                self.checkpoints.keep(self.position());
                world.check();
            }
            if self.pending == 0 {
                break Stopped::Drained;
            }
            if left == 0 {
                break Stopped::Events;
            }
            if executed < slice {
                self.now = budget.until;
                break Stopped::Until;
            }
        };
        self.current = EventId::SETUP;
        if stopped != Stopped::Events {
            world.check();
        }
        stopped
    }

    /// Executes at most `most` events, all by `until`.
    fn run_slice<W: World + ?Sized>(&mut self, world: &mut W, until: Instant, most: u64) {
        let goal = self.executed + most;
        // Without the look at `pending`, discarding cancelled timers could move the queue beyond the clock.
        while self.executed < goal && self.pending > 0 {
            let Some(Event {
                at,
                id,
                target,
                token,
            }) = self.queue.pop(until)
            else {
                break;
            };
            let token = if token & TIMER == 0 {
                token
            } else {
                match self.timers.remove(token ^ TIMER) {
                    Some(token) => token,
                    None => continue,
                }
            };
            self.execute(
                world,
                &Event {
                    at,
                    id,
                    target,
                    token,
                },
            );
        }
    }

    #[inline]
    fn execute<W: World + ?Sized>(&mut self, world: &mut W, event: &Event) {
        let (last_at, last_id) = self.last;
        assert!(
            event.at > last_at || (event.at == last_at && event.id != last_id),
            "event {} at {} ns came up after {last_id} at {} ns",
            event.id,
            event.at.as_ns(),
            last_at.as_ns()
        );
        self.now = event.at;
        self.last = (event.at, event.id);
        self.current = event.id;
        self.pending -= 1;
        self.digest.mix(event.at.as_ns());
        self.digest.mix(event.id.as_u64());
        self.digest
            .mix(u64::from(event.target.index()) << 32 | u64::from(event.token));
        world.handle(event, self);
        if self.trace.is_some() {
            self.trace_executed(event.at, event.id, event.target, event.token);
        }
        self.executed += 1;
    }

    #[cold]
    fn trace_executed(&mut self, at: Instant, id: EventId, target: EntityId, token: u32) {
        if let Some(trace) = &mut self.trace {
            let event = Event {
                at,
                id,
                target,
                token,
            };
            trace.executed(&event, self.executed, self.digest.value());
        }
    }

    /// Mixes a fact of the world into the digest, such as the contents of what was delivered.
    #[inline]
    pub fn mix(&mut self, word: u64) {
        self.digest.mix(word);
    }

    /// Number of events executed.
    pub fn executed(&self) -> u64 {
        self.executed
    }

    /// Number of events scheduled and neither executed nor cancelled.
    pub fn pending(&self) -> u64 {
        self.pending
    }

    /// How far the run has come, with its digest.
    pub fn position(&self) -> Checkpoint {
        Checkpoint {
            events: self.executed,
            at: self.last.0,
            digest: self.digest.value(),
        }
    }

    /// The checkpoints kept so far, oldest first; see [`Checkpoints`].
    pub fn checkpoints(&self) -> &[Checkpoint] {
        self.checkpoints.as_slice()
    }

    /// Tells `sink` everything from now on.
    pub fn set_trace(&mut self, sink: impl TraceSink) {
        self.trace = Some(Box::new(sink));
    }

    /// Ends the trace and gives the sink back; `None` if there is none.
    ///
    /// # Panics
    /// If the sink is of another type.
    pub fn take_trace<S: TraceSink>(&mut self) -> Option<Box<S>> {
        let sink: Box<dyn Any> = self.trace.take()?;
        Some(sink.downcast().expect("a trace sink of the type that was set"))
    }
}

#[cfg(test)]
mod tests;
