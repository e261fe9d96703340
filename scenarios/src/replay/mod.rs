//! Replays a scenario on a real kernel and compares the result with the simulation. Here is the part that is pure:
//! what the replay is to do, what its measurements mean, and the verdict. [`longhaul_replay`] does the rest.
//!
//! | module | what it does |
//! | --- | --- |
//! | [`settings`] | how many runs, and which margins |
//! | [`job`] | everything that a replay needs, as bytes that go into a virtual machine |
//! | [`records`] | from what was measured to the records that a simulated run has |
//! | [`facts`] | what the health gate has to know about the scenario |
//! | [`simulate`] | the simulated runs, in parallel |
//! | [`equivalence`] | whether two sets of values are equal within a margin |
//! | [`compare`] | from both worlds to the verdict |

pub mod compare;
pub mod equivalence;
pub mod facts;
pub mod job;
pub mod records;
pub mod settings;
pub mod simulate;

pub use settings::{REPLICATIONS, SIMULATIONS, settings};
