//! Edges joined by links that delay, lose and break.

mod announcements;
mod cost;
mod failover;
mod finding;
mod flapping;
mod hostile;
mod invariants;
mod measuring;
mod noise;
mod replayed;
mod selection;
mod sessions;
mod world;
