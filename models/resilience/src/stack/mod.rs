//! The stack: layers of policies around calls.

use std::collections::{BTreeMap, VecDeque};

use longhaul_core::random::Stream;
use longhaul_core::time::Instant;

use crate::call::{Call, CallError, Outcome};
use crate::config::StackConfig;
use crate::event::Event;

/// What a stack asks for.
#[must_use]
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum StackOutput {
    /// Begin an attempt: the first one, a retry or a hedge.
    Start {
        /// Of which call.
        call: u64,
        /// Which one, from 1.
        attempt: u32,
        /// When the stack will give it up: the earliest of the deadline and the timeouts around it.
        gives_up_at: Option<Instant>,
    },
    /// An attempt is not wanted any more, since it timed out or another one won. How it ends is of no interest.
    Cancel {
        /// Of which call.
        call: u64,
        /// Which one.
        attempt: u32,
    },
    /// A call is over. Exactly once for each call, and no attempt of it runs any more.
    Finished {
        /// Which one.
        call: u64,
        /// The attempt that succeeded, or why none did.
        result: Result<u32, CallError>,
    },
    /// A decision and its cause.
    Event(Event),
    /// Nothing more for now; call [`Stack::wake`] at this time at the latest.
    WakeAt {
        /// When.
        at: Instant,
        /// For what.
        why: &'static str,
    },
    /// Nothing more, and no wake needed.
    Idle,
}

/// A stack of policies around calls.
#[derive(Clone, Debug)]
pub struct Stack {
    outputs: VecDeque<StackOutput>,
    open: BTreeMap<u64, u32>,
}

impl Stack {
    /// A stack of these layers, which should have passed [`StackConfig::check`].
    pub fn new(_config: &StackConfig, _random: Stream) -> Stack {
        Stack {
            outputs: VecDeque::new(),
            open: BTreeMap::new(),
        }
    }

    /// A call begins.
    pub fn call(&mut self, _now: Instant, call: Call) {
        self.open.insert(call.id, 1);
        self.outputs.push_back(StackOutput::Start {
            call: call.id,
            attempt: 1,
            gives_up_at: call.deadline,
        });
    }

    /// An attempt ended. Attempts that are not wanted any more are counted and otherwise ignored.
    pub fn attempt_ended(&mut self, _now: Instant, call: u64, attempt: u32, outcome: Outcome) {
        if self.open.remove(&call).is_some() {
            let result = match outcome {
                Outcome::Success => Ok(attempt),
                Outcome::Failure(failure) => Err(CallError::Failed { attempts: 1, failure }),
            };
            self.outputs.push_back(StackOutput::Finished { call, result });
        }
    }

    /// Time passed. Early, late and duplicate wakes are harmless.
    pub fn wake(&mut self, _now: Instant) {}

    /// What the stack asks for next; drain it until it answers [`StackOutput::WakeAt`] or [`StackOutput::Idle`].
    pub fn poll(&mut self) -> StackOutput {
        self.outputs.pop_front().unwrap_or(StackOutput::Idle)
    }
}
