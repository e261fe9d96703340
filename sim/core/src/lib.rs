//! Words that every part of Longhaul shares.
//!
//! | module | what it holds |
//! | --- | --- |
//! | [`time`] | [`Instant`](time::Instant) and [`Span`](time::Span), integer nanoseconds |
//! | [`units`] | rates, sizes and probabilities as integers |
//! | [`text`] | their text forms ("80 ms", "10 Gbit/s", "4 GiB", "0.1 %"), exact in both directions |
//! | [`random`] | one root seed, one ChaCha stream per (entity name, purpose, replication) |
//! | [`digest`] | the rolling digest of a run and its checkpoints |
//! | [`payload`] | bytes in transit, real or synthetic |
//! | [`disk`] | how well a disk does |
//! | [`doctor`] | what a machine can replay, as data |
//! | [`machine`] | the contract of every protocol endpoint: one door in, one door out |
//! | [`tape`] | a machine's recorded inputs and outputs, fed back offline |
//! | [`schedule`] | how the environment asks for events without seeing the engine |
//! | [`record`] | what a run leaves behind, with its format version |
//! | [`replay`] | what a comparison with a real kernel leaves behind |
//! | [`validation`] | what a comparison with measurements leaves behind |
//!
//! Nothing here reads a clock, a file, the environment or the order of a hash map.

pub mod digest;
pub mod disk;
pub mod doctor;
pub mod machine;
pub mod payload;
pub mod random;
pub mod record;
pub mod replay;
pub mod schedule;
pub mod tape;
pub mod text;
pub mod time;
pub mod units;
pub mod validation;
pub mod what_if;

/// Version of the models. The same scenario, seed and model version give the same bytes; a change that
/// moves any golden bumps it and says why in the changelog.
pub const MODEL_VERSION: u32 = 4;
