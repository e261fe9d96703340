//! Replays scenarios on a real Linux kernel: network namespaces, `tc netem`, sockets and processes.
//!
//! | module | what it holds |
//! | --- | --- |
//! | [`host`] | a plan on this kernel, made and removed |
//! | [`outcome`] | what a replay measured, as data |
//! | [`plan`] | what a scenario is on a Linux kernel, as pure data |
//!
//! This is the only crate that may read clocks, open sockets and start processes. It knows plans and machines, not
//! scenarios: `longhaul-scenarios` compiles the one and builds the other.

pub mod host;
pub mod outcome;
pub mod plan;

use longhaul_core::machine::Machine;

/// A machine that can be replayed: the replay asks it for a summary at the end.
pub trait Endpoint: Machine {
    /// What it has to say at the end, in a form that whoever built it reads again.
    fn summary(&self) -> serde_json::Value;
}
