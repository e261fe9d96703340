//! Virtual time: what happens next, in which order, and the proof that it happened the same way twice.
//!
//! | module | what it holds |
//! | --- | --- |
//! | [`engine`] | [`Engine`]: the clock, the run loop, the budget of a run |
//! | [`event`] | [`Event`] |
//! | [`queue`] | the event queue, a radix wheel |
//! | [`checkpoints`] | the digest at regular distances, in bounded memory |
//! | [`trace`] | what was scheduled, executed and cancelled, and what caused it |
//! | [`verify`] | where two runs differ first |
//!
//! The engine knows nothing of networks: an event is a time, an identity, a target and a token, and a
//! [`World`] says what they mean. Models see neither; they ask for events through
//! [`Schedule`](longhaul_core::schedule::Schedule).

#![forbid(unsafe_code)]

pub mod checkpoints;
pub mod engine;
pub mod event;
mod pool;
pub mod queue;
mod timers;
pub mod trace;
pub mod verify;

pub use engine::{Budget, Engine, Stopped, World};
pub use event::Event;
