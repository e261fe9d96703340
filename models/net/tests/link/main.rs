//! Links by themselves.

mod drop_tail;
mod support;
