//! Clients and servers over a network in memory.

mod callers;
mod conservation;
mod faults;
mod metastable;
mod network;
mod operations;
mod queueing;
