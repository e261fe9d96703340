//! Streams over a pipe that delays, loses, doubles and reorders.

mod hostile;
mod pipe;
mod streams;
