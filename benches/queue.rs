//! The event queue alone, against the standard library's binary heap, in the hold model: with a fixed number of
//! events pending, each operation pops the first and pushes one that lies an increment later.
//!
//! `cargo bench -p longhaul-engine --bench queue [-- --quick]`

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use longhaul_core::digest::Digest;
use longhaul_core::random::{Stream, Streams};
use longhaul_core::schedule::{EntityId, EventId};
use longhaul_core::time::Instant;
use longhaul_engine::Event;
use longhaul_engine::queue::EventQueue;
use support::{Stopwatch, median};

mod support;

const SIZES: [usize; 5] = [100, 1_000, 10_000, 100_000, 1_000_000];
const ROUNDS: usize = 5;
/// Increments are drawn before the clock starts and used in turn.
const INCREMENTS: usize = 8191;

/// A law of increments.
type Shape = (&'static str, fn(&mut Stream) -> u64);

const SHAPES: [Shape; 2] = [
    ("exponential increments, mean 1 s", |stream| {
        stream.exponential(1e9) as u64
    }),
    ("WAN-shaped increments", wan),
];

/// What a simulated wide-area network schedules: 60 % serialisation of a packet, 25 % propagation, 10 %
/// retransmission timers, 4 % keep-alives, 1 % a period.
fn wan(stream: &mut Stream) -> u64 {
    let (from, to) = match stream.below(100) {
        0..60 => (1_000, 120_000),
        60..85 => (5_000_000, 150_000_000),
        85..95 => (200_000_000, 1_000_000_000),
        95..99 => (5_000_000_000, 30_000_000_000),
        _ => return 1_000_000_000,
    };
    from + stream.below(to - from)
}

/// The two structures under test.
trait Queue: Default {
    fn push(&mut self, event: Event);
    fn pop(&mut self) -> Option<Event>;
}

impl Queue for EventQueue {
    fn push(&mut self, event: Event) {
        EventQueue::push(self, event);
    }
    fn pop(&mut self) -> Option<Event> {
        EventQueue::pop(self, Instant::MAX)
    }
}

impl Queue for BinaryHeap<Reverse<Event>> {
    fn push(&mut self, event: Event) {
        BinaryHeap::push(self, Reverse(event));
    }
    fn pop(&mut self) -> Option<Event> {
        BinaryHeap::pop(self).map(|Reverse(event)| event)
    }
}

/// Nanoseconds per operation, and the digest of the order in which the events came.
fn hold<Q: Queue>(pending: usize, operations: usize, increments: &[u64]) -> (f64, u64) {
    let mut queue = Q::default();
    let mut increments = (0..).zip(increments.iter().cycle());
    let mut next = |now: u64| {
        let (number, increment) = increments.next().expect("an endless iterator");
        Event {
            at: Instant::from_ns(now + increment),
            id: EventId::from_u64(number),
            target: EntityId::new(0),
            token: 0,
        }
    };
    for _ in 0..pending {
        queue.push(next(0));
    }
    let mut digest = Digest::new();
    let mut operate = |count: usize| {
        for _ in 0..count {
            let first = queue.pop().expect("a constant number of events is pending");
            digest.mix(first.at.as_ns() ^ first.id.as_u64());
            queue.push(next(first.at.as_ns()));
        }
    };
    // Once round, so that the measured part sees the stationary distribution.
    operate(pending);
    let stopwatch = Stopwatch::start();
    operate(operations);
    let ns = stopwatch.elapsed_ns();
    (ns / operations as f64, digest.value())
}

fn main() {
    let quick = std::env::args().any(|argument| argument == "--quick");
    let operations = if quick { 200_000 } else { 2_000_000 };
    println!("Hold model, ns per pop and push: median of {ROUNDS} rounds of {operations} operations");
    for (name, law) in SHAPES {
        let mut stream = Streams::new(1, 0).stream(name, "increments");
        let increments: Vec<u64> = (0..INCREMENTS).map(|_| law(&mut stream)).collect();
        println!("\n{name}");
        println!(
            "{:>12} {:>14} {:>14} {:>8}",
            "pending", "radix wheel", "binary heap", "ratio"
        );
        for pending in SIZES {
            let (mut wheel, mut heap) = (Vec::new(), Vec::new());
            for _ in 0..ROUNDS {
                let (wheel_ns, wheel_order) = hold::<EventQueue>(pending, operations, &increments);
                let (heap_ns, heap_order) =
                    hold::<BinaryHeap<Reverse<Event>>>(pending, operations, &increments);
                assert_eq!(wheel_order, heap_order, "the queues disagree about the order");
                wheel.push(wheel_ns);
                heap.push(heap_ns);
            }
            let (wheel, heap) = (median(wheel), median(heap));
            println!("{pending:>12} {wheel:>14.1} {heap:>14.1} {:>8.2}", wheel / heap);
        }
    }
}
