//! Federations over streams that are delayed, held up, cut and damaged, with clusters that crash. Every run is checked
//! while it goes on.

mod behaviour;
mod disks;
mod schedules;
mod world;
