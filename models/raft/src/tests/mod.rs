//! Groups over a network that loses, repeats, delays, damages and cuts, on disks that forget what was not written,
//! with clocks that differ. Every run is checked while it goes on.

mod behaviour;
mod machine;
mod mistakes;
mod registers;
mod schedule;
mod schedules;
mod seat;
mod weather;
mod world;
