//! From a scenario to a replay on a real kernel.
//!
//! | module | what it does |
//! | --- | --- |
//! | [`endpoints`] | builds the machines of a region, by the functions that the simulator uses |
//! | `observer` | knows what has started and what is over |

pub mod endpoints;
mod observer;
