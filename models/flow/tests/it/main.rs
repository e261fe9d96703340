//! Transfers over the flow network, driven by the engine.

mod closed_forms;
mod lab;
mod long_runs;
mod packets;
mod sharing;
mod truth;
