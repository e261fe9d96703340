//! The network with real TCP on it, driven by a hand-written event queue.

mod failures;
mod paths;
mod processes;
mod refusals;
mod support;
mod traffic;
