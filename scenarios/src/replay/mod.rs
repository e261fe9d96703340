//! A scenario on a real kernel: what it becomes there, and what cannot be.

mod course;
mod laws;
pub mod plan;
mod settings;
