//! Edges joined by links that delay, lose and break.

mod announcements;
mod cost;
mod failover;
mod flapping;
mod invariants;
mod measuring;
mod noise;
mod replayed;
mod selection;
mod sessions;
mod world;
