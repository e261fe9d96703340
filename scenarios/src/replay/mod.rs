//! Replays a scenario on a real kernel and compares the result with the simulation. Here is the part that is pure:
//! what the replay is to do, what its measurements mean, and the verdict. [`longhaul_replay`] does the rest.
//!
//! | module | what it does |
//! | --- | --- |
//! | [`plan`] | what the scenario becomes on a kernel, and what cannot be |
//! | `laws`, `settings`, `course` | the laws of its links, the settings of its kernel, its changes over time |
//! | [`job`] | everything that a replay needs, as bytes that go into a virtual machine |
//! | [`endpoints`] | builds the machines of a region, by the functions that the simulator uses |
//! | `events` | which machine reports, and how its events read |
//! | `observer` | knows what has started and what is over |
//! | [`records`] | from what was measured to the records that a simulated run has |
//! | [`margins`] | how many runs, and how far apart both worlds may be |
//! | [`scale`] | the scenario, slowed down |
//! | [`simulate`] | the simulated runs, in parallel |
//! | [`facts`] | what the health gate has to know about the scenario |
//! | [`equivalence`] | whether two sets of values are equal within a margin |
//! | [`tapes`] | feeds recorded machines their inputs again, offline |
//! | [`compare`] | from both worlds to the verdict |

pub mod compare;
mod course;
pub mod endpoints;
pub mod equivalence;
mod events;
pub mod facts;
pub mod job;
mod laws;
pub mod margins;
mod observer;
pub mod plan;
pub mod records;
pub mod scale;
mod settings;
pub mod simulate;
pub mod tapes;

pub use margins::{REPLICATIONS, SIMULATIONS, settings};
