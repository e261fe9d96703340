//! Once as much has been open before, a stack allocates nothing. A program of its own, which counts every allocation.

use std::alloc::System;

use longhaul_core::random::Streams;
use longhaul_core::time::{Instant, Span};
use longhaul_resilience::named::Operation;
use longhaul_resilience::{Call, Failure, Outcome, Policy, Stack, StackOutput};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const AT_ONCE: usize = 64;

/// Calls come in groups, more at once than the bulkhead holds now and then; some attempts fail, some hang until they
/// time out.
fn live(
    stack: &mut Stack,
    running: &mut Vec<(u64, u32)>,
    next: &mut u64,
    now: &mut Instant,
    rounds: u32,
) -> u64 {
    let mut finished = 0;
    for round in 0..rounds {
        for _ in 0..AT_ONCE {
            stack.call(*now, Call::new(*next));
            *next += 1;
        }
        // Until all of these are over.
        let mut step = 0_u64;
        loop {
            let wake = loop {
                match stack.poll() {
                    StackOutput::Start { call, attempt, .. } => running.push((call, attempt)),
                    StackOutput::Cancel { call, attempt } => {
                        running.retain(|other| *other != (call, attempt));
                    }
                    StackOutput::Finished { .. } => finished += 1,
                    StackOutput::Event(_) => {}
                    StackOutput::WakeAt { at, .. } => break Some(at),
                    StackOutput::Idle => break None,
                }
            };
            step += 1;
            let hangs = (step + u64::from(round)).is_multiple_of(97);
            match running.pop() {
                Some(ended) if hangs => running.insert(0, ended),
                Some((call, attempt)) => {
                    *now += Span::from_us(100);
                    let failed = (call + u64::from(attempt)) % 10 < 3;
                    let failure = Outcome::Failure(Failure::Error);
                    let outcome = if failed { failure } else { Outcome::Success };
                    stack.attempt_ended(*now, call, attempt, outcome);
                }
                None => match wake {
                    Some(at) => {
                        *now = at;
                        stack.wake(*now);
                    }
                    None => break,
                },
            }
        }
    }
    finished
}

fn main() {
    let order = [
        Policy::ErrorBudget,
        Policy::LatencyBudget,
        Policy::Degradation,
        Policy::Shed,
        Policy::Rate,
        Policy::Bulkhead,
        Policy::Timeout,
        Policy::Retry,
        Policy::Breaker,
        Policy::Hedge,
        Policy::Timeout,
    ];
    for operation in Operation::ALL {
        let config = operation.stack_in(&order);
        config.check().expect("a good configuration");
        let mut stack = Stack::new(&config, Streams::new(1, 0).stream("test", "allocation"));
        let mut running = Vec::with_capacity(1_024);
        let (mut next, mut now) = (0, Instant::ZERO);
        live(&mut stack, &mut running, &mut next, &mut now, 200);
        let region = Region::new(ALLOCATOR);
        let finished = live(&mut stack, &mut running, &mut next, &mut now, 200);
        let change = region.change();
        assert_eq!(finished, 200 * AT_ONCE as u64);
        let allocations = change.allocations + change.reallocations;
        assert_eq!(allocations, 0, "{operation:?}: {change:?}");
        let counters = stack.counters();
        assert!(
            counters.retries > 0 || counters.succeeded < counters.calls,
            "{counters:?}"
        );
    }
    println!("no allocation in {} calls after warming up", 4 * 200 * AT_ONCE);
}
