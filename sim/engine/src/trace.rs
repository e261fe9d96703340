//! What was scheduled, executed and cancelled, and what caused it.
//!
//! The event being handled is the cause of everything scheduled meanwhile; what is scheduled from outside the
//! run loop has the cause [`EventId::SETUP`].

use std::any::Any;
use std::collections::BTreeMap;
use std::ops::Range;

use longhaul_core::schedule::{EntityId, EventId};
use longhaul_core::time::Instant;

use crate::event::Event;

/// Is told what the engine does. Must not influence the run: it sees events, and no door to the engine.
pub trait TraceSink: Any + Send {
    /// `cause` scheduled `event` at the instant `now`.
    fn scheduled(&mut self, event: &Event, cause: EventId, now: Instant);
    /// `event` was handled, as number `index` of the run counted from 0; `digest` is that of the run
    /// afterwards, with everything the world mixed in.
    fn executed(&mut self, event: &Event, index: u64, digest: u64);
    /// `cause` took the timer `event` back at the instant `now`.
    fn cancelled(&mut self, event: EventId, cause: EventId, now: Instant);
}

/// An executed event with its cause.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TraceRecord {
    /// Its place in the run, counted from 0.
    pub index: u64,
    /// When it was executed.
    pub at: Instant,
    /// Its identity.
    pub id: EventId,
    /// Who handled it.
    pub target: EntityId,
    /// What it was about.
    pub token: u32,
    /// The event that scheduled it.
    pub cause: EventId,
    /// The digest of the run after it.
    pub digest: u64,
}

/// `event 17 at 3000000 ns: Arrival#12.3456 for 4, token 9, caused by setup, digest 00ff…`.
impl std::fmt::Display for TraceRecord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "event {} at {} ns: {} for {}, token {}, caused by {}, digest {:016x}",
            self.index,
            self.at.as_ns(),
            self.id,
            self.target.index(),
            self.token,
            self.cause,
            self.digest
        )
    }
}

/// Keeps the executed events of a window of indices. Use it from the start of the run, since the cause of an
/// event is known when it is scheduled: its memory is that of the window and of the events pending.
#[derive(Debug)]
pub struct Recorder {
    window: Range<u64>,
    causes: BTreeMap<EventId, EventId>,
    records: Vec<TraceRecord>,
}

impl Recorder {
    /// Will keep the events whose index lies in `window`.
    pub fn new(window: Range<u64>) -> Recorder {
        Recorder {
            window,
            causes: BTreeMap::new(),
            records: Vec::new(),
        }
    }

    /// What was kept, in the order of execution.
    pub fn records(&self) -> &[TraceRecord] {
        &self.records
    }
}

impl TraceSink for Recorder {
    fn scheduled(&mut self, event: &Event, cause: EventId, _now: Instant) {
        self.causes.insert(event.id, cause);
    }

    fn executed(&mut self, event: &Event, index: u64, digest: u64) {
        let cause = self
            .causes
            .remove(&event.id)
            .expect("a recorder sees every event from the start of the run");
        if self.window.contains(&index) {
            self.records.push(TraceRecord {
                index,
                at: event.at,
                id: event.id,
                target: event.target,
                token: event.token,
                cause,
                digest,
            });
        }
    }

    fn cancelled(&mut self, event: EventId, _cause: EventId, _now: Instant) {
        self.causes.remove(&event);
    }
}

#[cfg(test)]
mod tests {
    use longhaul_core::schedule::{Class, Schedule};

    use super::*;
    use crate::engine::{Budget, Engine, World};

    /// Event 0 schedules 1 and a timer 2; event 1 takes the timer back and schedules 3.
    #[derive(Default)]
    struct Chain(Option<longhaul_core::schedule::TimerId>);

    impl World for Chain {
        fn handle(&mut self, event: &Event, engine: &mut Engine) {
            let (me, then) = (event.target, Instant::from_ns(event.at.as_ns() + 10));
            match event.token {
                0 => {
                    engine.schedule(then, Class::Arrival, me, me, 1);
                    self.0 = Some(engine.schedule_timer(then, Class::Timer, me, me, 2));
                }
                1 => {
                    engine.cancel(self.0.take().expect("event 0 came first"));
                    engine.schedule(then, Class::Wake, me, me, 3);
                }
                _ => engine.mix(u64::from(event.token)),
            }
        }
    }

    fn run(engine: &mut Engine) {
        let me = EntityId::new(5);
        engine.schedule(Instant::ZERO, Class::World, me, me, 0);
        engine.run(&mut Chain::default(), Budget::until(Instant::MAX));
    }

    #[test]
    fn a_recorder_names_the_cause_of_every_event_in_its_window() {
        let mut engine = Engine::new();
        engine.set_trace(Recorder::new(1..9));
        run(&mut engine);
        let recorder = engine.take_trace::<Recorder>().expect("the sink that was set");
        let me = EntityId::new(5);
        let told: Vec<_> = recorder
            .records()
            .iter()
            .map(|record| (record.index, record.token, record.cause))
            .collect();
        assert_eq!(
            told,
            [
                (1, 1, EventId::new(Class::World, me, 0)),
                (2, 3, EventId::new(Class::Arrival, me, 1)),
            ]
        );
        assert_eq!(
            recorder.records()[1].digest,
            engine.position().digest,
            "with what the world mixed in"
        );
        assert!(recorder.causes.is_empty(), "nothing is pending");
        assert!(engine.take_trace::<Recorder>().is_none());
    }

    #[test]
    fn what_is_scheduled_outside_the_run_is_caused_by_the_setup() {
        let mut engine = Engine::new();
        engine.set_trace(Recorder::new(0..u64::MAX));
        run(&mut engine);
        engine.schedule(engine.now(), Class::World, EntityId::new(6), EntityId::new(6), 4);
        engine.run(&mut Chain::default(), Budget::until(Instant::MAX));
        let recorder = engine.take_trace::<Recorder>().expect("the sink that was set");
        let first = recorder.records()[0];
        let last = recorder.records()[3];
        assert_eq!((first.token, first.cause), (0, EventId::SETUP));
        assert_eq!((last.token, last.cause), (4, EventId::SETUP));
        let start = "event 3 at 20 ns: World#6.0 for 6, token 4, caused by setup, digest ";
        assert!(last.to_string().starts_with(start), "{last}");
    }

    #[test]
    fn a_trace_changes_nothing() {
        let (mut traced, mut plain) = (Engine::new(), Engine::new());
        traced.set_trace(Recorder::new(0..2));
        run(&mut traced);
        run(&mut plain);
        assert_eq!(traced.position(), plain.position());
    }
}
