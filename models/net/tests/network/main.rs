//! The network with real TCP on it, driven by a hand-written event queue.

mod failures;
mod processes;
mod refusals;
mod support;
mod traffic;
