//! The network at packet fidelity: every segment crosses every hop.
//!
//! | module | what it holds |
//! | --- | --- |
//! | [`network`] | links, routes and TCP connections behind one event handler |
//! | [`notice`] | what it tells the applications |
//! | [`link`] | a directed FIFO link: jitter, drop-tail queue, rate, propagation delay |
//! | [`loss`] | loss laws: independent, and Gilbert–Elliott by mean loss and mean burst |
//! | [`jitter`] | jitter laws: normal and uniform |
//! | [`stats`] | what a link counts, and its conservation ledger |
//! | [`routing`] | lowest-latency routes with a total order, so that the answer is unique |
//! | [`geo`] | great-circle distance and the delay of light in fibre |
//!
//! Everything is deterministic: time comes from the caller, randomness from named streams, and no result
//! depends on the order in which a container happens to keep things.

mod endpoint;
pub mod geo;
mod itinerary;
pub mod jitter;
pub mod link;
pub mod loss;
pub mod network;
pub mod notice;
pub mod routing;
mod serialiser;
pub mod stats;

/// Its options and counters are part of this crate's interface.
pub use longhaul_tcp as tcp;
