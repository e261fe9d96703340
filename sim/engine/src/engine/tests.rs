//! The run loop: its order, its budgets, its timers, and that slices add up to the whole.

use std::collections::{BTreeMap, BTreeSet};

use longhaul_core::schedule::{Class, Schedule, TimerId};
use longhaul_core::time::Span;
use proptest::prelude::*;

use super::schedule::SWEEP_FLOOR;
use super::*;

const SOURCES: u32 = 8;

fn entity(index: u32) -> EntityId {
    EntityId::new(index)
}

/// Notes what it handles and how often it is checked.
#[derive(Default)]
struct Log {
    events: Vec<Event>,
    checks: std::cell::Cell<u64>,
}

impl World for Log {
    fn handle(&mut self, event: &Event, engine: &mut Engine) {
        assert_eq!(engine.now(), event.at);
        self.events.push(*event);
    }

    fn check(&self) {
        self.checks.set(self.checks.get() + 1);
    }
}

impl Log {
    fn tokens(&self) -> Vec<u32> {
        self.events.iter().map(|event| event.token).collect()
    }
}

fn at(engine: &mut Engine, ns: u64, token: u32) {
    engine.schedule(Instant::from_ns(ns), Class::Timer, entity(0), entity(1), token);
}

#[test]
fn the_order_is_time_class_source_counter_whoever_scheduled_first() {
    let mut engine = Engine::new();
    let late = Instant::from_ns(2);
    let early = Instant::from_ns(1);
    engine.schedule(late, Class::World, entity(0), entity(0), 4);
    engine.schedule(early, Class::Timer, entity(0), entity(0), 3);
    engine.schedule(early, Class::Arrival, entity(2), entity(0), 2);
    engine.schedule(early, Class::Arrival, entity(1), entity(0), 0);
    engine.schedule(early, Class::Arrival, entity(1), entity(0), 1);
    let mut log = Log::default();
    assert_eq!(
        engine.run(&mut log, Budget::until(Instant::MAX)),
        Stopped::Drained
    );
    assert_eq!(log.tokens(), [0, 1, 2, 3, 4]);
    assert_eq!(engine.now(), late);
}

#[test]
fn an_event_for_now_runs_in_its_place_among_those_pending() {
    struct Late(Vec<u32>);
    impl World for Late {
        fn handle(&mut self, event: &Event, engine: &mut Engine) {
            self.0.push(event.token);
            if event.token == 0 {
                engine.schedule(event.at, Class::Observe, entity(0), entity(0), 3);
                engine.schedule(event.at, Class::World, entity(0), entity(0), 1);
            }
        }
    }
    let mut engine = Engine::new();
    at(&mut engine, 5, 0);
    at(&mut engine, 5, 2);
    let mut world = Late(Vec::new());
    engine.run(&mut world, Budget::until(Instant::from_ns(5)));
    assert_eq!(world.0, [0, 1, 2, 3]);
}

#[test]
#[should_panic(expected = "an event for entity 1 at 4 ns when it is 5 ns")]
fn scheduling_in_the_past_names_the_target_and_the_times() {
    let mut engine = Engine::new();
    at(&mut engine, 5, 0);
    engine.run(&mut Log::default(), Budget::until(Instant::MAX));
    at(&mut engine, 4, 0);
}

#[test]
#[should_panic(expected = "came up after")]
fn two_events_of_one_key_are_a_broken_invariant() {
    let mut engine = Engine::new();
    let event = engine.issue(Instant::ZERO, Class::World, entity(0), entity(0), 0);
    engine.pending += 1;
    engine.queue.push(event);
    engine.queue.push(event);
    engine.run(&mut Log::default(), Budget::until(Instant::MAX));
}

#[test]
fn until_is_inclusive_and_the_clock_says_how_far_the_run_came() {
    let mut engine = Engine::new();
    for (ns, token) in [(10, 0), (20, 1), (20, 2), (30, 3)] {
        at(&mut engine, ns, token);
    }
    let mut log = Log::default();
    let budget = |until, events| Budget {
        until: Instant::from_ns(until),
        events,
    };
    assert_eq!(engine.run(&mut log, budget(5, 9)), Stopped::Until);
    assert_eq!((engine.now().as_ns(), engine.executed()), (5, 0));
    assert_eq!(engine.run(&mut log, budget(20, 2)), Stopped::Events);
    assert_eq!((engine.now().as_ns(), engine.executed()), (20, 2));
    assert_eq!(engine.run(&mut log, budget(20, 1)), Stopped::Events);
    assert_eq!(engine.run(&mut log, budget(25, 1)), Stopped::Until);
    assert_eq!((engine.now().as_ns(), engine.pending()), (25, 1));
    assert_eq!(
        engine.position().at.as_ns(),
        20,
        "the position is that of the last event"
    );
    assert_eq!(engine.run(&mut log, budget(40, 1)), Stopped::Drained);
    assert_eq!((engine.now().as_ns(), engine.pending()), (30, 0));
    assert_eq!(log.tokens(), [0, 1, 2, 3]);
}

#[test]
fn a_cancelled_timer_is_neither_executed_nor_counted_nor_digested() {
    let run = |cancel: bool| {
        let mut engine = Engine::new();
        at(&mut engine, 1, 0);
        let ns = Instant::from_ns(2);
        let timer = engine.schedule_timer(ns, Class::Timer, entity(0), entity(1), 7);
        if cancel {
            assert!(engine.cancel(timer));
            assert!(!engine.cancel(timer));
        }
        assert_eq!(engine.pending(), if cancel { 1 } else { 2 });
        let mut log = Log::default();
        assert_eq!(
            engine.run(&mut log, Budget::until(Instant::MAX)),
            Stopped::Drained
        );
        assert!(!engine.cancel(timer), "it has fired or was cancelled");
        (log.tokens(), engine.position())
    };
    let (fired, both) = run(false);
    let (cancelled, one) = run(true);
    assert_eq!((fired, both.events), (vec![0, 7], 2));
    assert_eq!((cancelled, one.events), (vec![0], 1));
    let mut engine = Engine::new();
    at(&mut engine, 1, 0);
    engine.run(&mut Log::default(), Budget::until(Instant::MAX));
    assert_eq!(engine.position(), one);
}

#[test]
fn timers_cancelled_long_before_they_are_due_leave_the_queue() {
    let mut engine = Engine::new();
    let mut timer = engine.schedule_timer(Instant::MAX, Class::Timer, entity(0), entity(0), 0);
    for _ in 0..100_000 {
        engine.cancel(timer);
        timer = engine.schedule_timer(Instant::MAX, Class::Timer, entity(0), entity(0), 0);
        assert!(engine.timers.cancelled() <= SWEEP_FLOOR);
    }
    assert_eq!(engine.pending(), 1);
}

#[test]
fn only_cancelled_timers_left_means_drained_and_the_clock_stays() {
    let mut engine = Engine::new();
    at(&mut engine, 1, 0);
    let timer = engine.schedule_timer(Instant::from_ns(90), Class::Timer, entity(0), entity(0), 0);
    engine.cancel(timer);
    assert_eq!(
        engine.run(&mut Log::default(), Budget::until(Instant::MAX)),
        Stopped::Drained
    );
    assert_eq!(engine.now().as_ns(), 1);
    // The queue has not run ahead of the clock either.
    at(&mut engine, 2, 1);
    let mut log = Log::default();
    engine.run(&mut log, Budget::until(Instant::MAX));
    assert_eq!(log.tokens(), [1]);
}

#[test]
fn the_world_is_checked_at_every_checkpoint_and_at_the_end() {
    let mut engine = Engine::with_checkpoints_every(4);
    for ns in 0..10 {
        at(&mut engine, ns, 0);
    }
    let mut log = Log::default();
    engine.run(
        &mut log,
        Budget {
            until: Instant::MAX,
            events: 9,
        },
    );
    assert_eq!(log.checks.get(), 2);
    engine.run(&mut log, Budget::until(Instant::MAX));
    assert_eq!(log.checks.get(), 3);
    let events: Vec<u64> = engine.checkpoints().iter().map(|kept| kept.events).collect();
    assert_eq!(events, [4, 8]);
}

/// A world that schedules, re-schedules and cancels as the identity of each event tells it to.
#[derive(Default)]
struct Busy {
    log: Vec<Event>,
    timers: Vec<TimerId>,
}

impl Busy {
    fn step(&mut self, event: &Event, schedule: &mut impl Schedule) {
        self.log.push(*event);
        let mut digest = Digest::new();
        digest.mix(event.id.as_u64());
        let mut draw = |n: u64| {
            digest.mix(n);
            (digest.value() >> 32) % n
        };
        for _ in 0..1 + draw(2) {
            let bits = draw(30);
            let at = event.at + Span::from_ns(draw(1 << bits));
            let class = Class::from_number(draw(5) as u8).expect("a class below 5");
            let (source, target) = (
                entity(draw(SOURCES.into()) as u32),
                entity(draw(SOURCES.into()) as u32),
            );
            let token = draw(1 << 31) as u32;
            if draw(2) == 0 {
                schedule.schedule(at, class, source, target, token);
            } else {
                self.timers
                    .push(schedule.schedule_timer(at, class, source, target, token));
            }
            if !self.timers.is_empty() && draw(2) == 0 {
                let victim = self.timers[draw(self.timers.len() as u64) as usize];
                schedule.cancel(victim);
            }
        }
    }
}

impl World for Busy {
    fn handle(&mut self, event: &Event, engine: &mut Engine) {
        self.step(event, engine);
    }
}

/// The contract of [`Schedule`] written down naively.
#[derive(Default)]
struct Naive {
    now: Instant,
    pending: BTreeSet<Event>,
    counters: BTreeMap<EntityId, u64>,
    timers: Vec<Event>,
}

impl Schedule for Naive {
    fn now(&self) -> Instant {
        self.now
    }

    fn schedule(&mut self, at: Instant, class: Class, source: EntityId, target: EntityId, token: u32) {
        self.schedule_timer(at, class, source, target, token);
    }

    fn schedule_timer(
        &mut self,
        at: Instant,
        class: Class,
        source: EntityId,
        target: EntityId,
        token: u32,
    ) -> TimerId {
        let counter = self.counters.entry(source).or_default();
        let event = Event {
            at,
            id: EventId::new(class, source, *counter),
            target,
            token,
        };
        *counter += 1;
        self.pending.insert(event);
        self.timers.push(event);
        TimerId {
            slot: self.timers.len() as u32 - 1,
            generation: 0,
        }
    }

    fn cancel(&mut self, timer: TimerId) -> bool {
        self.pending.remove(&self.timers[timer.slot as usize])
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn the_engine_executes_what_the_contract_says(seeds in prop::collection::vec(0..1_u64 << 40, 1..200)) {
        let mut engine = Engine::new();
        let mut naive = Naive::default();
        for (i, ns) in (0..).zip(seeds) {
            for schedule in [&mut engine as &mut dyn Schedule, &mut naive] {
                schedule.schedule(Instant::from_ns(ns), Class::World, entity(i), entity(i), i);
            }
        }
        let mut world = Busy::default();
        let events = 5_000;
        engine.run(&mut world, Budget { until: Instant::MAX, events });
        let mut expected = Busy::default();
        while (expected.log.len() as u64) < events
            && let Some(event) = naive.pending.pop_first()
        {
            naive.now = event.at;
            expected.step(&event, &mut naive);
        }
        prop_assert_eq!(world.log, expected.log);
        prop_assert_eq!(engine.pending(), naive.pending.len() as u64);
    }

    #[test]
    fn a_run_in_slices_is_the_run_in_one_piece(
        seeds in prop::collection::vec(0..1_u64 << 32, 1..100),
        slices in prop::collection::vec((0..1_u64 << 31, 0..300_u64), 1..40),
    ) {
        let start = || {
            let mut engine = Engine::with_checkpoints_every(64);
            for (i, &ns) in (0..).zip(&seeds) {
                engine.schedule(Instant::from_ns(ns), Class::World, entity(i), entity(i), i);
            }
            engine
        };
        let mut sliced = start();
        let mut world = Busy::default();
        for (span, events) in slices {
            let until = sliced.now() + Span::from_ns(span);
            sliced.run(&mut world, Budget { until, events });
        }
        let mut whole = start();
        let budget = Budget { until: Instant::MAX, events: sliced.executed() };
        whole.run(&mut Busy::default(), budget);
        prop_assert_eq!(whole.position(), sliced.position());
        prop_assert_eq!(whole.checkpoints(), sliced.checkpoints());
        prop_assert_eq!(whole.pending(), sliced.pending());
    }
}
