//! The network at packet fidelity: every segment crosses every hop.
//!
//! | module | what it holds |
//! | --- | --- |
//! | [`network`] | links, routes and TCP connections behind one event handler |
//! | [`notice`] | what it tells the applications |
//! | [`link`] | a directed link: loss, jitter, queue, serialiser, propagation delay, failure |
//! | [`frame`] | what a link must know of a packet |
//! | [`queue`] | queue disciplines: drop-tail, CoDel, FQ-CoDel, HTB |
//! | [`loss`] | loss laws: independent, and Gilbert–Elliott by mean loss and mean burst |
//! | [`jitter`] | jitter laws: normal, uniform, and netem's tables |
//! | [`course`] | rates, delays, loss laws and MTUs that change at given times |
//! | [`trace`] | recorded links: delivery opportunities and rates over time |
//! | [`background`] | traffic of others in the same queue |
//! | [`stats`] | what a link counts, and its conservation ledger |
//! | [`routing`] | lowest-latency routes with a total order, so that the answer is unique |
//! | [`way`] | which way packets take: the routers', or a path laid for them |
//! | [`geo`] | great-circle distance and the delay of light in fibre |
//! | [`rtt`] | measured round trips between named places |
//!
//! Everything is deterministic: time comes from the caller, randomness from named streams, and no result
//! depends on the order in which a container happens to keep things.

pub mod background;
pub mod course;
mod endpoint;
mod forwarding;
pub mod frame;
pub mod geo;
pub mod jitter;
pub mod link;
pub mod loss;
mod mtus;
pub mod network;
pub mod notice;
pub mod queue;
pub mod routing;
pub mod rtt;
pub mod stats;
pub mod trace;
pub mod way;

/// Its options and counters are part of this crate's interface.
pub use longhaul_tcp as tcp;
