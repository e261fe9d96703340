//! Sweeps as a library: what they read, what they run, and that nothing but the sweep decides what they write.

mod bounds;
mod common;
mod compare;
mod directory;
mod drawn;
mod execute;
mod files;
mod intervals;
mod isolate;
mod merge;
mod pictures;
mod points;
mod records;
mod sensitivity;
mod sources;
mod tails;
mod uncertain;
