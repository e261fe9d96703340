//! Replays scenarios on a real Linux kernel: network namespaces, `tc netem`, sockets and processes.
//!
//! | module | what it holds |
//! | --- | --- |
//! | [`doctor`] | what this machine can replay, and how |
//! | [`coordinator`] | replications: ground, processes, timeline |
//! | [`driver`] | machines over sockets |
//! | [`node`] | the process of one region |
//! | [`host`] | a plan on this kernel, made and removed |
//! | [`outcome`] | what a replay measured, as data |
//! | [`health`] | whether what was measured can be trusted |
//! | [`shard`] | a replay in parts, and the parts put together |
//! | [`selftest`] | a small replay that needs nothing but a kernel |
//! | [`tools`] | the programs of the system |
//! | [`vm`] | a kernel of its own in deterministic virtual time |
//! | [`plan`] | what a scenario is on a Linux kernel, as pure data |
//!
//! This is the only crate that may read clocks, open sockets and start processes. It knows plans and machines, not
//! scenarios: `longhaul-scenarios` compiles the one and builds the other.

pub mod coordinator;
pub mod doctor;
pub mod driver;
pub mod health;
pub mod host;
pub mod node;
pub mod outcome;
pub mod plan;
pub mod selftest;
pub mod shard;
pub mod tools;
pub mod vm;

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
