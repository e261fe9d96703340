//! PHOLD, the customary test of an event engine: logical processes that do nothing but answer each event with
//! another one, for a random process after a random delay.
//!
//! Every variant does the same work for each event (three random draws, one logarithm, a little state, one
//! virtual call) and all that keep an order execute the same events and end with the same digest. Each
//! measurement runs in a process of its own, which also gives its peak memory.
//!
//! `cargo bench -p longhaul-engine --bench phold [-- --quick]`

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::process::Command;

use longhaul_core::digest::Digest;
use longhaul_core::schedule::{Class, EntityId, EventId, Schedule};
use longhaul_core::time::{Instant, Span};
use longhaul_engine::{Budget, Engine, Event, Stopped, World};
use support::{Stopwatch, median};

#[path = "support/peak.rs"]
mod peak;
mod support;

const PROCESSES: u32 = 1024;
const EVENTS_PER_PROCESS: u32 = 16;
const LOOK_AHEAD: Span = Span::from_ms(100);
const MEAN_NS: f64 = 1e9;
/// Of 2^64: the probability 0.9 that an event goes to another process.
const REMOTE: u64 = u64::MAX / 10 * 9;
const ROUNDS: usize = 5;

/// What a logical process needs of an engine.
trait Clock {
    fn now(&self) -> Instant;
    fn send(&mut self, at: Instant, from: EntityId, to: EntityId, token: u32);
}

/// Receives events and sends others.
trait LogicalProcess<C> {
    fn handle(&mut self, token: u32, clock: &mut C);
}

struct Process {
    id: EntityId,
    random: u64,
    handled: u64,
    tokens: u64,
}

impl Process {
    /// SplitMix64 (Steele, Lea and Flood, 2014).
    fn draw(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }
}

impl<C: Clock> LogicalProcess<C> for Process {
    fn handle(&mut self, token: u32, clock: &mut C) {
        self.handled += 1;
        self.tokens ^= u64::from(token);
        let remote = self.draw() < REMOTE;
        let other = ((u128::from(self.draw()) * u128::from(PROCESSES)) >> 64) as u32;
        let to = if remote { EntityId::new(other) } else { self.id };
        let unit = ((self.draw() >> 12) as f64 + 0.5) / (1u64 << 52) as f64;
        let delay = LOOK_AHEAD + Span::from_ns((-libm::log(unit) * MEAN_NS) as u64);
        clock.send(clock.now() + delay, self.id, to, token);
    }
}

/// All processes, after each has sent its first events.
fn population<C: Clock>(clock: &mut C) -> Vec<Box<dyn LogicalProcess<C>>> {
    let mut processes = Vec::new();
    for index in 0..PROCESSES {
        let mut process: Box<dyn LogicalProcess<C>> = Box::new(Process {
            id: EntityId::new(index),
            random: u64::from(index) << 32,
            handled: 0,
            tokens: 0,
        });
        for token in 0..EVENTS_PER_PROCESS {
            process.handle(token, clock);
        }
        processes.push(process);
    }
    processes
}

/// One way of running PHOLD: given a number of events, executes them and returns the digest.
struct Variant {
    name: &'static str,
    run: fn(u64) -> u64,
}

const VARIANTS: [Variant; 4] = [
    Variant {
        name: "model work alone, no queue",
        run: model_alone,
    },
    Variant {
        name: "Longhaul's engine",
        run: engine,
    },
    Variant {
        name: "loop over std BinaryHeap",
        run: binary_heap,
    },
    Variant {
        name: "BinaryHeap of boxed closures",
        run: closures,
    },
];
/// The variant that ratios refer to.
const REFERENCE: usize = 2;

/// Keeps no order: the floor that no engine can undercut.
struct NoOrder(Digest);

impl Clock for NoOrder {
    fn now(&self) -> Instant {
        Instant::ZERO
    }
    fn send(&mut self, at: Instant, _from: EntityId, to: EntityId, token: u32) {
        self.0.mix(at.as_ns() ^ u64::from(to.index()) ^ u64::from(token));
    }
}

fn model_alone(events: u64) -> u64 {
    let mut clock = NoOrder(Digest::new());
    let mut processes = population(&mut clock);
    for event in 0..events {
        processes[(event % u64::from(PROCESSES)) as usize].handle(event as u32, &mut clock);
    }
    clock.0.value()
}

impl Clock for Engine {
    fn now(&self) -> Instant {
        Schedule::now(self)
    }
    #[inline]
    fn send(&mut self, at: Instant, from: EntityId, to: EntityId, token: u32) {
        self.schedule(at, Class::Arrival, from, to, token);
    }
}

struct Population(Vec<Box<dyn LogicalProcess<Engine>>>);

impl World for Population {
    fn handle(&mut self, event: &Event, engine: &mut Engine) {
        self.0[event.target.index() as usize].handle(event.token, engine);
    }
}

fn engine(events: u64) -> u64 {
    let mut engine = Engine::new();
    let mut world = Population(population(&mut engine));
    let until = Instant::MAX;
    assert_eq!(engine.run(&mut world, Budget { until, events }), Stopped::Events);
    engine.position().digest
}

/// The same bookkeeping as the engine's around another queue: identities by source, and the digest.
struct Books {
    now: Instant,
    counters: Vec<u64>,
    digest: Digest,
}

impl Books {
    fn new() -> Books {
        Books {
            now: Instant::ZERO,
            counters: vec![0; PROCESSES as usize],
            digest: Digest::new(),
        }
    }

    fn issue(&mut self, from: EntityId) -> EventId {
        let counter = &mut self.counters[from.index() as usize];
        *counter += 1;
        EventId::new(Class::Arrival, from, *counter - 1)
    }

    fn execute(&mut self, event: &Event) {
        self.now = event.at;
        self.digest.mix(event.at.as_ns());
        self.digest.mix(event.id.as_u64());
        self.digest
            .mix(u64::from(event.target.index()) << 32 | u64::from(event.token));
    }
}

struct HeapLoop {
    books: Books,
    heap: BinaryHeap<Reverse<Event>>,
}

impl Clock for HeapLoop {
    fn now(&self) -> Instant {
        self.books.now
    }
    #[inline]
    fn send(&mut self, at: Instant, from: EntityId, to: EntityId, token: u32) {
        let id = self.books.issue(from);
        self.heap.push(Reverse(Event {
            at,
            id,
            target: to,
            token,
        }));
    }
}

fn binary_heap(events: u64) -> u64 {
    let mut clock = HeapLoop {
        books: Books::new(),
        heap: BinaryHeap::new(),
    };
    let mut processes = population(&mut clock);
    for _ in 0..events {
        let Reverse(event) = clock.heap.pop().expect("PHOLD never drains");
        clock.books.execute(&event);
        processes[event.target.index() as usize].handle(event.token, &mut clock);
    }
    clock.books.digest.value()
}

/// An event as many hand-written simulators keep it: a key and what to do.
struct Action {
    key: u128,
    act: Box<dyn FnOnce(&mut ClosureWorld)>,
}

impl PartialEq for Action {
    fn eq(&self, other: &Action) -> bool {
        self.key == other.key
    }
}

impl Eq for Action {}

impl PartialOrd for Action {
    fn partial_cmp(&self, other: &Action) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Action {
    fn cmp(&self, other: &Action) -> std::cmp::Ordering {
        other.key.cmp(&self.key)
    }
}

struct ClosureClock {
    books: Books,
    heap: BinaryHeap<Action>,
}

struct ClosureWorld {
    clock: ClosureClock,
    processes: Vec<Box<dyn LogicalProcess<ClosureClock>>>,
}

impl Clock for ClosureClock {
    fn now(&self) -> Instant {
        self.books.now
    }
    #[inline]
    fn send(&mut self, at: Instant, from: EntityId, to: EntityId, token: u32) {
        let event = Event {
            at,
            id: self.books.issue(from),
            target: to,
            token,
        };
        self.heap.push(Action {
            key: u128::from(at.as_ns()) << 64 | u128::from(event.id.as_u64()),
            act: Box::new(move |world| {
                world.clock.books.execute(&event);
                world.processes[to.index() as usize].handle(token, &mut world.clock);
            }),
        });
    }
}

fn closures(events: u64) -> u64 {
    let mut clock = ClosureClock {
        books: Books::new(),
        heap: BinaryHeap::new(),
    };
    let processes = population(&mut clock);
    let mut world = ClosureWorld { clock, processes };
    for _ in 0..events {
        let action = world.clock.heap.pop().expect("PHOLD never drains");
        (action.act)(&mut world);
    }
    world.clock.books.digest.value()
}

/// One measurement, as the child process prints it.
struct Sample {
    ns_per_event: f64,
    /// 0 where the system does not tell.
    peak_kib: u64,
    digest: u64,
}

/// Runs a variant in this process and prints the sample.
fn child(variant: usize, events: u64) {
    let stopwatch = Stopwatch::start();
    let digest = (VARIANTS[variant].run)(events);
    let ns_per_event = stopwatch.elapsed_ns() / events as f64;
    let peak_kib = peak::peak_kib().unwrap_or(0);
    println!("{ns_per_event} {peak_kib} {digest}");
}

/// Runs a variant in a child process.
fn measure(variant: usize, events: u64) -> Sample {
    let program = std::env::current_exe().expect("the path of this benchmark");
    let output = Command::new(program)
        .args(["--child", &variant.to_string(), &events.to_string()])
        .output()
        .expect("a child process");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8_lossy(&output.stdout);
    let mut words = text.split_whitespace();
    let mut word = || words.next().expect("three words");
    Sample {
        ns_per_event: word().parse().expect("a number"),
        peak_kib: word().parse().expect("a number"),
        digest: word().parse().expect("a number"),
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let Some(at) = arguments.iter().position(|argument| argument == "--child") {
        let number = |i: usize| arguments[at + i].parse::<u64>().expect("a number");
        return child(number(1) as usize, number(2));
    }
    let quick = arguments.iter().any(|argument| argument == "--quick");
    let events = if quick { 1_000_000 } else { 10_000_000 };
    println!(
        "PHOLD: {PROCESSES} processes, {EVENTS_PER_PROCESS} events each, 0.9 remote, exponential(1 s) + 0.1 s"
    );
    println!("median of {ROUNDS} interleaved rounds of {events} events, one core\n");

    let mut samples: [Vec<Sample>; VARIANTS.len()] = [const { Vec::new() }; VARIANTS.len()];
    for _ in 0..ROUNDS {
        for (variant, samples) in samples.iter_mut().enumerate() {
            samples.push(measure(variant, events));
        }
    }
    let ordered = samples[1..].iter().flatten().map(|sample| sample.digest);
    let digest = samples[REFERENCE][0].digest;
    assert!(
        ordered.clone().all(|other| other == digest),
        "the variants executed different events"
    );

    println!(
        "{:<32} {:>10} {:>12} {:>8} {:>12}",
        "variant", "ns/event", "M events/s", "ratio", "peak MiB"
    );
    let typical = |samples: &[Sample]| median(samples.iter().map(|sample| sample.ns_per_event).collect());
    let reference = typical(&samples[REFERENCE]);
    for (variant, samples) in VARIANTS.iter().zip(&samples) {
        let ns = typical(samples);
        let peak = samples.iter().map(|sample| sample.peak_kib).max().unwrap_or(0);
        let peak = if peak == 0 {
            "-".to_owned()
        } else {
            format!("{:.1}", peak as f64 / 1024.0)
        };
        println!(
            "{:<32} {ns:>10.1} {:>12.1} {:>8.2} {peak:>12}",
            variant.name,
            1e3 / ns,
            ns / reference
        );
    }
    println!("\ndigest of all that keep an order: {digest:016x}");
}
