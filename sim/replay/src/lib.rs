//! Replays scenarios on a real Linux kernel: network namespaces, `tc netem`, sockets and processes.
//!
//! | module | what it holds |
//! | --- | --- |
//! | [`coordinator`] | replications: ground, processes, timeline |
//! | [`driver`] | machines over sockets |
//! | [`node`] | the process of one region |
//! | [`outcome`] | what a replay measured, as data |
//!
//! This is the only crate that may read clocks, open sockets and start processes. It knows plans and machines, not
//! scenarios: `longhaul-scenarios` compiles the one and builds the other.

pub mod coordinator;
pub mod driver;
pub mod node;
pub mod outcome;

use longhaul_core::machine::Machine;
use serde::Serialize;

/// A machine that can be replayed.
pub trait Endpoint: Machine<Command: Serialize, Event: Serialize> {
    /// What tells it to start.
    fn start_command(&self) -> Self::Command;

    /// Whether the content of what it receives is of no interest, so that a length will do.
    fn input_is_synthetic(&self) -> bool;

    /// What it has to say at the end, in a form that whoever built it reads again.
    fn summary(&self) -> serde_json::Value;
}
