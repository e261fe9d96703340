//! The stack: layers of policies around calls.
//!
//! A call goes down through the layers. One that lets it through leaves a frame behind, which waits for the result; one that
//! refuses it, or the end of an attempt, makes a result, which goes up through the frames. So a result meets every layer
//! that let the call through, and ends with the call: there is no other way out. Retries and hedges go down from their
//! frame again. What is cancelled gives back what it holds on the way.
//!
//! When a timeout or a deadline ends what is inside it, the layers inside see a timeout: a breaker counts it, limiters and
//! adaptive timeouts learn from it, or a server that hangs would look like one that nobody asks. When a hedge loses, the
//! layers inside it learn nothing.

mod frames;
mod layer;
mod numbers;
mod run;
mod timers;

use std::collections::VecDeque;

use serde::Serialize;

use longhaul_core::random::Stream;
use longhaul_core::time::Instant;

use crate::call::{Call, CallError, Outcome};
use crate::config::{LAYERS_MAX, StackConfig};
use crate::degradation::Level;
use crate::event::Event;
use crate::planted::Planted;
use crate::shedding::Load;

use frames::{Calls, Frames, NONE, Open, State};
pub use layer::Layer;
use numbers::Numbers;
use timers::{Timers, UNORDERED};

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

/// What a stack has done since the beginning.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
pub struct StackCounters {
    /// Calls begun.
    pub calls: u64,
    /// Calls that ended in success.
    pub succeeded: u64,
    /// Calls that failed or were refused.
    pub failed: u64,
    /// Attempts started.
    pub attempts: u64,
    /// Retries decided.
    pub retries: u64,
    /// Hedges decided.
    pub hedges: u64,
    /// Attempts cancelled.
    pub cancelled: u64,
    /// Ends of attempts that were not wanted any more, or never asked for.
    pub late: u64,
}

/// A stack of policies around calls. See the head of the module.
#[derive(Clone, Debug)]
pub struct Stack {
    layers: Vec<Layer>,
    frames: Frames,
    calls: Calls,
    numbers: Numbers,
    timers: Timers,
    /// Frames that got their permit and have not gone on yet.
    ready: VecDeque<u32>,
    outputs: VecDeque<StackOutput>,
    random: Stream,
    now: Instant,
    counters: StackCounters,
}

impl Stack {
    /// A stack of these layers, which should have passed [`StackConfig::check`].
    pub fn new(config: &StackConfig, random: Stream) -> Stack {
        Stack::with_planted(config, random, Planted::Nothing)
    }

    /// With a bug, for tests.
    #[doc(hidden)]
    pub fn with_planted(config: &StackConfig, random: Stream, planted: Planted) -> Stack {
        Stack {
            layers: config
                .layers
                .iter()
                .map(|layer| Layer::new(layer, planted))
                .collect(),
            frames: Frames::new(),
            calls: Calls::new(),
            numbers: Numbers::new(),
            timers: Timers::new(config.layers.len().min(LAYERS_MAX)),
            ready: VecDeque::new(),
            outputs: VecDeque::new(),
            random,
            now: Instant::ZERO,
            counters: StackCounters::default(),
        }
    }

    /// A call begins. A time before the last one that the stack was told is taken for that one, here and below.
    pub fn call(&mut self, now: Instant, call: Call) {
        self.wake(now);
        if self.numbers.get(call.id).is_some() {
            self.tell(Event::Duplicate { call: call.id });
            return;
        }
        self.counters.calls += 1;
        let slot = self.calls.add(Open {
            id: call.id,
            idempotent: call.idempotent,
            priority: call.priority,
            attempts: 0,
            leaves: NONE,
            root: NONE,
        });
        self.numbers.insert(call.id, slot);
        let limit = call.deadline.unwrap_or(Instant::MAX);
        // No layer has this place.
        let root = self
            .frames
            .add(NONE, slot, u16::MAX as usize, self.now, limit, State::Root);
        self.calls[slot].root = root;
        if call.deadline.is_some() {
            self.timers.set(root, limit, UNORDERED);
        }
        if limit > self.now {
            self.descend(root, 0);
        }
        self.settle();
    }

    /// A call is not wanted any more. Its attempts are cancelled, and it gives back what it holds; no policy learns anything
    /// from it. It ends as [`CallError::Cancelled`]. False if there is no such call, or it is over.
    pub fn cancel(&mut self, now: Instant, call: u64) -> bool {
        self.wake(now);
        let Some(slot) = self.numbers.get(call) else {
            return false;
        };
        let Open { root, attempts, .. } = self.calls[slot];
        self.abandon(root, CallError::Cancelled { attempts });
        self.settle();
        true
    }

    /// An attempt ended. Those that are not wanted any more are counted and otherwise ignored, as is one that ends at the
    /// very time at which it is given up.
    pub fn attempt_ended(&mut self, now: Instant, call: u64, attempt: u32, outcome: Outcome) {
        self.wake(now);
        let Some(leaf) = self.take_leaf(call, attempt) else {
            self.counters.late += 1;
            return;
        };
        let frame = self.frames[leaf];
        self.frames.remove(leaf);
        let result = match outcome {
            Outcome::Success => Ok(attempt),
            Outcome::Failure(failure) => Err(CallError::Failed {
                attempts: self.calls[frame.call].attempts,
                failure,
            }),
        };
        self.ascend(frame.parent, frame.began, result);
        self.settle();
    }

    /// Time passed. Early, late and duplicate wakes are harmless.
    pub fn wake(&mut self, now: Instant) {
        self.now = self.now.max(now);
        self.settle();
    }

    /// What the load is, for shedding layers that are told.
    pub fn report_load(&mut self, load: Load) {
        for layer in &mut self.layers {
            if let Layer::Shed(shedder) = layer {
                shedder.report(load);
            }
        }
    }

    /// Asks the degradation layers for a level of at least `floor` until told otherwise, as when a health check fails.
    pub fn set_floor(&mut self, now: Instant, floor: Level) {
        self.wake(now);
        self.each_degradation(|degradation, now| degradation.set_floor(now, floor));
    }

    /// What the stack asks for next; drain it until it answers [`StackOutput::WakeAt`] or [`StackOutput::Idle`].
    #[inline]
    pub fn poll(&mut self) -> StackOutput {
        if let Some(output) = self.outputs.pop_front() {
            return output;
        }
        match self.timers.first() {
            Some((at, frame)) => {
                let why = match self.frames[frame].state {
                    State::Root => "deadline",
                    State::Waiting(_) => "longest wait for a permit",
                    State::Retry { .. } => "retry",
                    State::Hedge { .. } => "hedge",
                    _ => "timeout",
                };
                StackOutput::WakeAt { at, why }
            }
            None => StackOutput::Idle,
        }
    }

    /// Its layers, outermost first.
    pub fn layers(&self) -> &[Layer] {
        &self.layers
    }

    /// How many calls are open.
    pub fn open(&self) -> u64 {
        self.counters.calls - self.counters.succeeded - self.counters.failed
    }

    /// What it has done.
    pub fn counters(&self) -> StackCounters {
        self.counters
    }
}
