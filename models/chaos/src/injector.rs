//! Faults of single calls: before each call one of several may be injected at random.
//!
//! An injector decides and counts; its caller delays, fails or panics. It is off by default, and an injector that is off
//! draws no random number.

use longhaul_core::random::Stream;
use longhaul_core::time::Span;
use longhaul_core::units::{ByteSize, Probability};

/// What may happen to a call.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum CallFault {
    /// It waits for a time that is uniform between two ends.
    Latency {
        /// Shortest.
        least: Span,
        /// Longest, at least the shortest.
        most: Span,
    },
    /// It fails.
    Error {
        /// With this probability; otherwise nothing happens to it.
        rate: Probability,
    },
    /// It ends the process.
    Panic {
        /// With this probability; otherwise nothing happens to it.
        rate: Probability,
    },
    /// It keeps this much memory for ever.
    Leak(ByteSize),
    /// The caller is cut off from the network for a time.
    Partition(Span),
    /// Threads spin for a time.
    Cpu {
        /// How long.
        duration: Span,
        /// How many.
        threads: u32,
    },
    /// The disk fills by this much.
    Disk(ByteSize),
    /// It gets no answer and fails after this time.
    Timeout(Span),
    /// All of these at once.
    All(Vec<CallFault>),
}

/// What happens to a call.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Injected {
    /// It waits first.
    Delay(Span),
    /// It fails at once.
    Error,
    /// It ends the process.
    Panic,
    /// This much memory is kept.
    Leak(ByteSize),
    /// The network is cut for this long.
    Partition(Span),
    /// Threads spin.
    Cpu {
        /// How long.
        duration: Span,
        /// How many.
        threads: u32,
    },
    /// The disk fills by this much.
    Disk(ByteSize),
    /// It fails after this time.
    Timeout(Span),
}

/// What an injector has done.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counters {
    /// Calls that it was asked about while it was on.
    pub checks: u64,
    /// Calls to which something happened.
    pub injections: u64,
    /// Calls that were chosen, and to which then nothing happened: a fault with a rate of its own.
    pub spared: u64,
}

/// Chooses faults for calls.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Injector {
    /// Whether anything is to happen at all.
    pub enabled: bool,
    /// Probability that a call is chosen.
    pub probability: Probability,
    /// What may happen to it: one of these, each as likely.
    pub faults: Vec<CallFault>,
    counters: Counters,
}

impl Default for Injector {
    /// Off. Once it is on, a call in a hundred waits 50 to 200 ms, fails with probability 0.1, or times out after 5 s.
    fn default() -> Injector {
        let percent = |percent| Probability::from_ratio(percent, 100).unwrap_or(Probability::ZERO);
        let faults = vec![
            CallFault::Latency {
                least: Span::from_ms(50),
                most: Span::from_ms(200),
            },
            CallFault::Error { rate: percent(10) },
            CallFault::Timeout(Span::from_s(5)),
        ];
        Injector {
            enabled: false,
            ..Injector::new(percent(1), faults)
        }
    }
}

impl Injector {
    /// An injector that is on.
    pub fn new(probability: Probability, faults: Vec<CallFault>) -> Injector {
        Injector {
            enabled: true,
            probability,
            faults,
            counters: Counters::default(),
        }
    }

    /// What it has done.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// What happens to the next call, in this order; nothing if the list is empty.
    pub fn check(&mut self, random: &mut Stream) -> Vec<Injected> {
        if !self.enabled {
            return Vec::new();
        }
        self.counters.checks += 1;
        if self.faults.is_empty() || !random.chance(self.probability) {
            return Vec::new();
        }
        let chosen = &self.faults[random.below(self.faults.len() as u64) as usize];
        let mut injected = Vec::new();
        inject(chosen, random, &mut injected);
        if injected.is_empty() {
            self.counters.spared += 1;
        } else {
            self.counters.injections += 1;
        }
        injected
    }
}

fn inject(fault: &CallFault, random: &mut Stream, injected: &mut Vec<Injected>) {
    match fault {
        CallFault::Latency { least, most } => {
            let room = most.saturating_sub(*least).as_ns();
            let more = random.below(room.saturating_add(1));
            injected.push(Injected::Delay(least.saturating_add(Span::from_ns(more))));
        }
        CallFault::Error { rate } => injected.extend(random.chance(*rate).then_some(Injected::Error)),
        CallFault::Panic { rate } => injected.extend(random.chance(*rate).then_some(Injected::Panic)),
        CallFault::Leak(size) => injected.push(Injected::Leak(*size)),
        CallFault::Partition(span) => injected.push(Injected::Partition(*span)),
        CallFault::Cpu { duration, threads } => injected.push(Injected::Cpu {
            duration: *duration,
            threads: *threads,
        }),
        CallFault::Disk(size) => injected.push(Injected::Disk(*size)),
        CallFault::Timeout(span) => injected.push(Injected::Timeout(*span)),
        CallFault::All(faults) => {
            for fault in faults {
                inject(fault, random, injected);
            }
        }
    }
}
