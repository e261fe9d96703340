//! The wheel against a binary heap, on every shape of delays.

use std::collections::BinaryHeap;

use longhaul_core::random::{Stream, Streams};
use proptest::prelude::*;

use super::*;

/// The queue beside the standard library's heap; every pop is compared.
struct Both {
    queue: EventQueue,
    heap: BinaryHeap<Reverse<Event>>,
    now: u64,
    pushed: u64,
}

impl Both {
    fn new() -> Both {
        Both {
            queue: EventQueue::new(),
            heap: BinaryHeap::new(),
            now: 0,
            pushed: 0,
        }
    }

    /// Pushes an event `delay` after now. Identities are unique and in no order.
    fn push(&mut self, delay: u64) {
        self.pushed += 1;
        let event = Event {
            at: Instant::from_ns(self.now.saturating_add(delay)),
            id: EventId::from_u64(self.pushed.wrapping_mul(0x9e37_79b9_7f4a_7c15)),
            target: EntityId::new(self.pushed as u32 % EntityId::LIMIT),
            token: self.pushed as u32,
        };
        self.queue.push(event);
        self.heap.push(Reverse(event));
    }

    fn pop(&mut self, limit: u64) -> Option<Event> {
        let limit = limit.max(self.now);
        let expected = match self.heap.peek() {
            Some(Reverse(event)) if event.at.as_ns() <= limit => self.heap.pop().map(|Reverse(event)| event),
            _ => None,
        };
        assert_eq!(self.queue.pop(Instant::from_ns(limit)), expected);
        self.now = expected.map_or(limit, |event| event.at.as_ns());
        expected
    }

    fn retain(&mut self, keep: impl Fn(&Event) -> bool) {
        self.queue.retain(&keep);
        self.heap.retain(|Reverse(event)| keep(event));
    }

    fn drain(&mut self) {
        while !self.heap.is_empty() {
            self.pop(u64::MAX);
        }
        assert_eq!(self.queue.pop(Instant::MAX), None);
    }
}

/// Laws of the delay between an event and the one that it schedules.
const LAWS: [fn(&mut Stream) -> u64; 7] = [
    |stream| stream.exponential(1e9) as u64,
    // The shape of a wide-area network: serialisation, propagation, timers, keep-alives.
    |stream| match stream.below(100) {
        0..60 => 1_000 + stream.below(119_000),
        60..85 => 5_000_000 + stream.below(145_000_000),
        85..95 => 200_000_000 + stream.below(800_000_000),
        95..99 => 5_000_000_000 + stream.below(25_000_000_000),
        _ => 1_000_000_000,
    },
    |_| 1_000_000,
    |stream| [1_000, 1_000_000_000_000][stream.below(2) as usize],
    // Many events of one instant.
    |stream| stream.below(10).saturating_sub(7),
    // All orders of magnitude.
    |stream| stream.u64() >> stream.below(64),
    // As dense as a run, with ties.
    |stream| stream.below(3_000),
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn events_come_in_the_order_of_a_heap(
        law in 0..LAWS.len(),
        seed: u64,
        pending in 1..3_000_u64,
        burst in 1..200_u64,
    ) {
        let mut stream = Streams::new(seed, 0).stream("queue", "test");
        let mut both = Both::new();
        for _ in 0..pending {
            both.push(LAWS[law](&mut stream));
        }
        for _ in 0..8_000 {
            match stream.below(1_000) {
                0..498 => both.push(LAWS[law](&mut stream)),
                498..990 => {
                    both.pop(u64::MAX);
                }
                990..995 => {
                    let limit = both.now.saturating_add(LAWS[law](&mut stream));
                    both.pop(limit);
                }
                995..998 => (0..burst).for_each(|_| both.push(LAWS[law](&mut stream))),
                _ => {
                    let lucky = stream.below(7) as u32;
                    both.retain(|event| event.token % 7 != lucky);
                }
            }
        }
        both.drain();
    }
}

#[test]
fn events_at_the_end_of_time_are_ordered_too() {
    let mut both = Both::new();
    for delay in [
        u64::MAX,
        u64::MAX - 1,
        0,
        u64::MAX,
        1 << 60,
        (1 << 60) - 1,
        u64::MAX >> 1,
    ] {
        both.push(delay);
    }
    while both.now < u64::MAX {
        both.pop(u64::MAX);
    }
    // Now is the end of time, and events for now are still legal.
    for _ in 0..100 {
        both.push(0);
    }
    both.drain();
}

#[test]
fn a_crowd_at_one_instant_may_schedule_another_crowd_for_it() {
    let mut both = Both::new();
    for _ in 0..20_000 {
        both.push(0);
    }
    for _ in 0..20_000 {
        both.pop(0);
        both.push(0);
    }
    assert!(!both.queue.late.is_empty(), "the test reaches the late heap");
    both.drain();
}

#[test]
fn a_pop_that_finds_nothing_leaves_room_up_to_its_limit() {
    let mut both = Both::new();
    both.push(1_000_000);
    assert_eq!(both.pop(500_000), None);
    both.push(1);
    both.push(0);
    assert_eq!(both.pop(500_000).map(|event| event.token), Some(3));
    both.drain();
}

#[test]
fn memory_follows_the_events_pending_not_the_slots_once_used() {
    let mut stream = Streams::new(1, 0).stream("queue", "test");
    let mut both = Both::new();
    for _ in 0..1_000 {
        both.push(LAWS[1](&mut stream));
    }
    for _ in 0..200_000 {
        both.pop(u64::MAX);
        both.push(LAWS[1](&mut stream));
    }
    // 30 s at this law visit hundreds of slots of every level up to the seconds; with 1,000 events pending at
    // most 200 are in use at a time.
    assert!(
        both.queue.pool.places() <= 200 * 64,
        "{} places",
        both.queue.pool.places()
    );
}
