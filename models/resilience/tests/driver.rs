//! What the tests share.

use longhaul_core::random::{Stream, Streams};
use longhaul_core::time::{Instant, Span};
use longhaul_core::units::Probability;
use longhaul_resilience::{Call, CallError, Event, LayerConfig, Outcome, Stack, StackConfig, StackOutput};
use proptest::test_runner::Config;

/// At least so many random histories for each machine.
pub const HISTORIES: u32 = 10_000;

pub fn histories() -> Config {
    Config {
        cases: HISTORIES,
        failure_persistence: None,
        ..Config::default()
    }
}

pub fn random(seed: u64) -> Stream {
    Streams::new(seed, 0).stream("test", "resilience")
}

pub fn ms(ms: u64) -> Span {
    Span::from_ms(ms)
}

pub fn at_ms(ms: u64) -> Instant {
    Instant::ZERO + Span::from_ms(ms)
}

pub fn at(ns: u64) -> Instant {
    Instant::from_ns(ns)
}

pub fn share(numerator: u64, denominator: u64) -> Probability {
    Probability::from_ratio(numerator, denominator).expect("a share")
}

/// Everything that a stack asked for in one go, without the wake at its end.
pub fn drain(stack: &mut Stack) -> Vec<StackOutput> {
    let mut outputs = Vec::new();
    loop {
        match stack.poll() {
            StackOutput::WakeAt { .. } | StackOutput::Idle => return outputs,
            output => outputs.push(output),
        }
    }
}

pub fn stack_of(layers: &[LayerConfig]) -> Stack {
    let config = StackConfig {
        layers: layers.to_vec(),
    };
    assert_eq!(config.check(), Ok(()));
    Stack::new(&config, random(1))
}

/// What happened to one call.
#[derive(Debug, Default)]
pub struct Told {
    /// When each attempt started.
    pub starts: Vec<Instant>,
    pub cancels: Vec<(Instant, u32)>,
    pub result: Option<(Instant, Result<u32, CallError>)>,
    pub events: Vec<Event>,
}

/// Runs one call to its end: attempt n (from 1) ends after `behaviour(n)`, or never. Wakes come when they are asked for.
pub fn run(
    stack: &mut Stack,
    now: Instant,
    call: Call,
    behaviour: impl Fn(u32) -> Option<(Span, Outcome)>,
) -> Told {
    let mut told = Told::default();
    let mut ends: Vec<(Instant, u32, Outcome)> = Vec::new();
    let mut now = now;
    stack.call(now, call);
    loop {
        let wake = loop {
            match stack.poll() {
                StackOutput::Start { attempt, .. } => {
                    told.starts.push(now);
                    ends.extend(behaviour(attempt).map(|(after, outcome)| (now + after, attempt, outcome)));
                }
                StackOutput::Cancel { attempt, .. } => {
                    told.cancels.push((now, attempt));
                    ends.retain(|(_, other, _)| *other != attempt);
                }
                StackOutput::Finished { result, .. } => {
                    assert!(told.result.is_none(), "finished twice");
                    told.result = Some((now, result));
                }
                StackOutput::Event(event) => told.events.push(event),
                StackOutput::WakeAt { at, .. } => break Some(at),
                StackOutput::Idle => break None,
            }
        };
        if told.result.is_some() {
            return told;
        }
        ends.sort_by_key(|(at, attempt, _)| (*at, *attempt));
        let next = ends.first().map(|(at, ..)| *at);
        match (next, wake) {
            (Some(end), wake) if wake.is_none_or(|wake| end < wake) => {
                now = end;
                let (_, attempt, outcome) = ends.remove(0);
                stack.attempt_ended(now, call.id, attempt, outcome);
            }
            (_, Some(wake)) => {
                now = wake;
                stack.wake(now);
            }
            _ => panic!("nothing will ever happen: {told:?}"),
        }
    }
}
